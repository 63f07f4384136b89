// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory inside the strict controller: the controller memory buffer and the persistent memory region. */
#include "nvme_model.h"

#include <stdlib.h>

#include <linux/pci_regs.h>

#define CMBMSC_CRE 1u
#define CMBMSC_CMSE 2u
#define PMRMSC_CMSE 2u
#define MSC_BASE(msc) ((msc) & ~0xfffULL)

/* CMBLOC: restrictions that do not hold */
#define CMBLOC_CQMMS (1u << 3)
#define CMBLOC_CDPMLS (1u << 5)
#define CMBLOC_CDPCILS (1u << 6)
#define CMBLOC_CDMMMS (1u << 7)

#define PMRCAP_DATA (3u << 3)
#define PMRCAP_WRITE_BARRIERS (3u << 10)
#define PMRSTS_NRDY (1u << 8)
#define PMRSTS_CBAI (1u << 12)

#define CMB_LOST 0xcb

#define MS 1000000ULL

/* Where a command has things of one kind, see struct walk. */
#define SEEN_INSIDE 1
#define SEEN_OUTSIDE 2

/* ----------------------------------------------------------------- windows */

static uint8_t *in_window(const struct window *w, uint64_t iova)
{
	return w->on && iova - w->base < w->size ? w->mem + (iova - w->base) : NULL;
}

/* The controller looks here first, so what a host has mapped at the same address is lost to it. */
static void check_hidden(struct emu_nvme *n, const uint8_t *own, uint64_t iova)
{
	const void *mapped = space_translate(pci_space(n->pci), iova, false);

	if (mapped && mapped != own)
		nvme_report(n, "controller memory hides what is mapped at IOVA 0x%llx",
			    (unsigned long long)iova);
}

void *nvme_own_memory(struct emu_nvme *n, uint64_t iova)
{
	uint8_t *own = in_window(&n->cmb.window, iova);

	if (!own)
		own = in_window(&n->pmr.window, iova);
	if (own)
		check_hidden(n, own, iova);

	return own;
}

static void close_window(struct emu_nvme *n, struct window *w)
{
	if (w->on)
		nvme_queues_unmapping(n, w->base, w->base + w->size - 1);
	w->on = false;
}

/* False if the address cannot be. */
static bool open_window(struct emu_nvme *n, struct window *w, uint64_t base)
{
	if (base + w->size < base)
		return false;
	w->base = base;
	w->on = true;
	for (uint64_t at = 0; at < w->size; at += EMU_PAGE)
		check_hidden(n, w->mem + at, base + at);

	return true;
}

static uint64_t set_half(uint64_t val, bool high, uint32_t half)
{
	return high ? (uint32_t)val | (uint64_t)half << 32 : (val & ~0xffffffffULL) | half;
}

/* --------------------------------------------------------------------- CMB */

static unsigned int unit_shift(const struct emu_nvme *n)
{
	return 12 + 4 * n->o.cmb.szu;
}

static void lose(const struct window *w)
{
	if (w->size)
		memset(w->mem, CMB_LOST, w->size);
}

/* Where the bus has it. */
static uint64_t bus_address(const struct emu_nvme *n)
{
	return n->o.cmb.addr + (n->o.cmb.offset << unit_shift(n));
}

static void apply_cmbmsc(struct emu_nvme *n)
{
	struct model_cmb *c = &n->cmb;

	close_window(n, &c->window);
	c->invalid = false;
	if (!(c->msc & CMBMSC_CMSE)) {
		lose(&c->window);
		return;
	}
	if (!(c->msc & CMBMSC_CRE))
		nvme_report(n, "CMBMSC.CMSE set without CRE");
	c->invalid =
		n->o.cmb.cbai ||
		!open_window(n, &c->window, n->o.cmb.stays ? bus_address(n) : MSC_BASE(c->msc));
}

static void write_cmbmsc(struct emu_nvme *n, bool high, uint32_t val)
{
	struct model_cmb *c = &n->cmb;

	if (!high && val & 0xffc)
		nvme_report(n, "CMBMSC written with reserved bits: 0x%x", val);
	if (c->msc & CMBMSC_CMSE &&
	    (high || (val & CMBMSC_CMSE && MSC_BASE((uint32_t)c->msc ^ val))))
		nvme_report(n, "CMBMSC.CBA written while it is enabled");
	c->msc = set_half(c->msc, high, val);
	if (!high)
		apply_cmbmsc(n);
}

static bool cmb_shows(const struct emu_nvme *n)
{
	return n->o.cmb.size && (n->cmb.window.on || n->cmb.msc & CMBMSC_CRE);
}

static uint32_t cmbloc(const struct emu_nvme *n)
{
	const struct emu_cmb_opts *o = &n->o.cmb;

	return o->bir | o->rules | (uint32_t)o->offset << 12;
}

static uint32_t cmbsz(const struct emu_nvme *n)
{
	const struct emu_cmb_opts *o = &n->o.cmb;

	return o->uses | o->szu << 8 | (uint32_t)(o->size >> unit_shift(n)) << 12;
}

/* --------------------------------------------------------------------- PMR */

static void set_pmr_window(struct emu_nvme *n)
{
	struct model_pmr *p = &n->pmr;

	close_window(n, &p->window);
	p->invalid = false;
	if (p->ready && p->msc & PMRMSC_CMSE)
		p->invalid = n->o.pmr.cbai || !open_window(n, &p->window, MSC_BASE(p->msc));
}

/* While it is disabled, nobody gets at what it keeps. */
static void show_pmr(struct emu_nvme *n, bool show)
{
	if (show == n->pmr.ready)
		return;
	mm_show_bar(n->pci, n->o.pmr.bir, show);
	n->pmr.ready = show;
	set_pmr_window(n);
}

void nvme_memory_tick(struct emu_nvme *n)
{
	if (n->pmr.enabled && n->pmr.ready_at <= clock_now())
		show_pmr(n, true);
}

static void write_pmrctl(struct emu_nvme *n, uint32_t val)
{
	struct model_pmr *p = &n->pmr;

	if (val & ~1u)
		nvme_report(n, "PMRCTL written with reserved bits: 0x%x", val);
	if (val & 1 && !p->enabled)
		p->ready_at = n->o.pmr.never_ready || n->flags[EMU_NEVER_READY] ?
				      NEVER :
				      clock_now() + n->o.pmr.ready_ns;
	p->enabled = val & 1;
	if (!p->enabled)
		show_pmr(n, false);
}

static void write_pmrmsc(struct emu_nvme *n, bool high, uint32_t val)
{
	struct model_pmr *p = &n->pmr;

	if (!high && val & 0xffd)
		nvme_report(n, "PMRMSCL written with reserved bits: 0x%x", val);
	if (p->msc & PMRMSC_CMSE &&
	    (high || (val & PMRMSC_CMSE && MSC_BASE((uint32_t)p->msc ^ val))))
		nvme_report(n, "PMRMSC.CBA written while it is enabled");
	p->msc = set_half(p->msc, high, val);
	if (!high)
		set_pmr_window(n);
}

static uint32_t pmrcap(const struct emu_nvme *n)
{
	const struct emu_pmr_opts *o = &n->o.pmr;

	return PMRCAP_DATA | o->bir << 5 | (uint32_t)o->minutes << 8 | PMRCAP_WRITE_BARRIERS |
	       o->to << 16 | (uint32_t)!o->no_cmss << 24;
}

static uint32_t pmrsts(const struct emu_nvme *n)
{
	return n->o.pmr.status | (n->pmr.ready ? 0 : PMRSTS_NRDY) |
	       (n->pmr.invalid ? PMRSTS_CBAI : 0);
}

/* --------------------------------------------------------------- registers */

static uint32_t read_cmb(const struct emu_nvme *n, uint64_t offset)
{
	switch (offset) {
	case REG_CMBLOC:
		return cmb_shows(n) ? cmbloc(n) : 0;
	case REG_CMBSZ:
		return cmb_shows(n) ? cmbsz(n) : 0;
	case REG_CMBMSC:
		return n->cmb.msc;
	case REG_CMBMSC + 4:
		return n->cmb.msc >> 32;
	case REG_CMBSTS:
		return n->cmb.invalid;
	default:
		return 0;
	}
}

static uint32_t read_pmr(const struct emu_nvme *n, uint64_t offset)
{
	switch (offset) {
	case REG_PMRCAP:
		return pmrcap(n);
	case REG_PMRCTL:
		return n->pmr.enabled;
	case REG_PMRSTS:
		return pmrsts(n);
	case REG_PMRMSCL:
		return n->pmr.msc;
	case REG_PMRMSCU:
		return n->pmr.msc >> 32;
	default:
		return 0;
	}
}

uint32_t nvme_memory_read(struct emu_nvme *n, uint64_t offset)
{
	nvme_memory_tick(n);
	if (offset >= REG_PMRCAP)
		return n->o.pmr.size ? read_pmr(n, offset) : 0;

	return n->o.cmb.size ? read_cmb(n, offset) : 0;
}

/* False if that cannot be written. */
bool nvme_memory_write(struct emu_nvme *n, uint64_t offset, uint32_t val)
{
	const bool cmbs = n->o.cmb.size && !n->o.cmb.legacy;
	const bool pmr = n->o.pmr.size, cmss = pmr && !n->o.pmr.no_cmss;

	if (cmbs && (offset & ~4ULL) == REG_CMBMSC)
		write_cmbmsc(n, offset != REG_CMBMSC, val);
	else if (pmr && offset == REG_PMRCTL)
		write_pmrctl(n, val);
	else if (cmss && (offset == REG_PMRMSCL || offset == REG_PMRMSCU))
		write_pmrmsc(n, offset == REG_PMRMSCU, val);
	else
		return false;

	return true;
}

uint64_t nvme_memory_cap(const struct emu_nvme *n)
{
	return (n->o.cmb.size && !n->o.cmb.legacy ? 1ULL << 57 : 0) |
	       (n->o.pmr.size ? 1ULL << 56 : 0);
}

/* A reset of the function; one of the controller leaves all this alone. */
void nvme_memory_reset(struct emu_nvme *n)
{
	if (n->o.pmr.size) {
		n->pmr.msc = 0;
		n->pmr.enabled = false;
		show_pmr(n, false);
	}
	if (n->o.cmb.size && !n->o.cmb.legacy) {
		n->cmb.msc = 0;
		apply_cmbmsc(n);
	} else if (n->o.cmb.size) {
		lose(&n->cmb.window);
	}
}

void nvme_memory_closing(struct emu_nvme *n)
{
	if (n->cmb.msc & (CMBMSC_CRE | CMBMSC_CMSE))
		nvme_report(n, "device closed while its memory buffer is enabled");
	if (n->pmr.enabled || n->pmr.msc & PMRMSC_CMSE)
		nvme_report(n, "device closed while its persistent memory is enabled");
}

/* ------------------------------------------------- what may lie in the CMB */

static bool inside(struct emu_nvme *n, uint64_t iova)
{
	return in_window(&n->cmb.window, iova);
}

static bool takes(const struct emu_nvme *n, enum cmb_use use)
{
	return n->o.cmb.uses >> use & 1;
}

bool nvme_cmb_takes_queue(struct emu_nvme *n, uint64_t base, uint64_t len, bool is_cq,
			  const char *what)
{
	const bool first = inside(n, base), last = inside(n, base + len - 1);

	if (!first && !last)
		return true;
	if (!takes(n, is_cq ? CMB_CQ : CMB_SQ))
		nvme_report(n, "%s lies in the CMB, which takes none", what);
	else if (first != last && !(n->o.cmb.rules & CMBLOC_CQMMS))
		nvme_report(n, "%s lies partly in the CMB", what);
	else
		return true;

	return false;
}

/* Note where a part of a command's data or list lies; false if not all lies on one side. */
static bool same_side(unsigned int *seen, bool in)
{
	*seen |= in ? SEEN_INSIDE : SEEN_OUTSIDE;

	return *seen != (SEEN_INSIDE | SEEN_OUTSIDE);
}

bool nvme_cmb_takes_list(struct walk *w, uint64_t at)
{
	const uint32_t rules = w->n->o.cmb.rules;
	const bool in = inside(w->n, at);

	if (!same_side(&w->lists, in) && !(rules & CMBLOC_CDPMLS))
		return nvme_bad_dptr(w, SC_CMB_USE, "list lies partly in the CMB", at);
	if (!in)
		return true;
	if (!takes(w->n, CMB_LISTS))
		return nvme_bad_dptr(w, SC_CMB_USE, "list lies in the CMB, which takes none", at);
	if (!(rules & CMBLOC_CDPCILS) && !inside(w->n, w->n->sq[w->cmd->sqid].base))
		return nvme_bad_dptr(w, SC_CMB_USE, "list lies in the CMB, its command does not",
				     at);

	return true;
}

bool nvme_cmb_takes_data(struct walk *w, uint64_t iova)
{
	const bool in = inside(w->n, iova);

	if (!same_side(&w->data, in) && !(w->n->o.cmb.rules & CMBLOC_CDMMMS))
		return nvme_bad_dptr(w, SC_CMB_USE, "data lies partly in the CMB", iova);
	if (in && !takes(w->n, w->cmd->to_host ? CMB_READ : CMB_WRITE))
		return nvme_bad_dptr(w, SC_CMB_USE, "data lies in the CMB, which takes none", iova);

	return true;
}

/* -------------------------------------------------------------------- plug */

/* A base address register that takes the next one for its upper half. */
static void put_bar(struct emu_nvme *n, unsigned int bar, uint64_t addr)
{
	uint8_t *reg = n->pci->config + PCI_BASE_ADDRESS_0 + 4 * bar;

	put_le64(reg, addr | PCI_BASE_ADDRESS_MEM_PREFETCH | PCI_BASE_ADDRESS_MEM_TYPE_64);
}

static void plug_cmb(struct emu_nvme *n)
{
	const struct emu_cmb_opts *o = &n->o.cmb;
	const uint64_t offset = o->offset << unit_shift(n);

	put_bar(n, o->bir, o->addr);
	if (offset >= o->bar_size)
		return;
	n->cmb.window.mem = n->pci->bar_mem[o->bir] + offset;
	n->cmb.window.size = o->size < o->bar_size - offset ? o->size : o->bar_size - offset;
	lose(&n->cmb.window);
	n->cmb.msc = o->left;
	if (o->legacy || o->stays)
		open_window(n, &n->cmb.window, bus_address(n));
	else
		apply_cmbmsc(n);
}

static void plug_pmr(struct emu_nvme *n)
{
	const struct emu_pmr_opts *o = &n->o.pmr;

	n->pmr.window.mem = n->pci->bar_mem[o->bir];
	n->pmr.window.size = o->size;
	n->pmr.msc = o->left;
	n->pmr.enabled = o->left;
	mm_show_bar(n->pci, o->bir, false);
	show_pmr(n, o->left);
}

void nvme_memory_defaults(struct emu_nvme_opts *o)
{
	struct emu_cmb_opts *c = &o->cmb;
	const unsigned int bus = o->pci.bdf ? strtoul(o->pci.bdf + 5, NULL, 16) : 1;

	if (!c->bir)
		c->bir = 2;
	if (!c->uses && !c->no_uses)
		c->uses = 1 << CMB_SQ | 1 << CMB_LISTS | 1 << CMB_READ | 1 << CMB_WRITE;
	if (!c->bar_size)
		c->bar_size = (c->offset << (12 + 4 * c->szu)) + c->size;
	if (!c->addr)
		c->addr = (256ULL + bus) << 30;
	if (!o->pmr.bir)
		o->pmr.bir = 4;
	if (c->size)
		o->pci.bar_size[c->bir] = c->bar_size;
	if (o->pmr.size)
		o->pci.bar_size[o->pmr.bir] = o->pmr.size;
	if (!o->pmr.ready_ns)
		o->pmr.ready_ns = MS;
}

void nvme_memory_plug(struct emu_nvme *n)
{
	if (n->o.cmb.size)
		plug_cmb(n);
	if (n->o.pmr.size)
		plug_pmr(n);
}

/* --------------------------------------------------------------- for tests */

void *emu_nvme_cmb(struct emu_nvme *n)
{
	return n->cmb.window.mem;
}

void *emu_nvme_pmr(struct emu_nvme *n)
{
	return n->pmr.window.mem;
}
