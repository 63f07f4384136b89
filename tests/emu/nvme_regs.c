// SPDX-License-Identifier: GPL-2.0-or-later
/* Registers of the strict controller and its reset state machine. */
#include "nvme_model.h"

#include <stdlib.h>

#define NSSR_RESET 0x4e564d65u
#define MS 1000000ULL
#define DISK_LIMIT (256UL << 20)

struct emu_nvme *emu_nvmes;

uint32_t nvme_page_size(const struct emu_nvme *n)
{
	return EMU_PAGE << CC_MPS(n->cc);
}

static uint32_t stride(const struct emu_nvme *n)
{
	return 4u << n->o.dstrd;
}

unsigned int nvme_max_db(const struct emu_nvme *n)
{
	return 2 * (n->o.queues + 1);
}

bool nvme_running(const struct emu_nvme *n)
{
	return n->csts & CSTS_RDY && n->cc & CC_EN && !(n->csts & CSTS_CFS) && !n->dead &&
	       !n->pci->removed && (n->csts & CSTS_SHST_MASK) != CSTS_SHST_DONE;
}

void nvme_set_cfs(struct emu_nvme *n, const char *why)
{
	emu_log("controller fatal status: %s", why);
	n->csts |= CSTS_CFS;
}

/* ------------------------------------------------------------------ enable */

static bool refuse(struct emu_nvme *n, const char *why)
{
	nvme_report(n, "enabled with %s", why);
	return false;
}

static bool config_valid(struct emu_nvme *n)
{
	const unsigned int css = CC_CSS(n->cc), asqs = (n->aqa & 0xfff) + 1,
			   acqs = (n->aqa >> 16 & 0xfff) + 1;
	const unsigned int caps = n->cap >> 37 & 0xff;

	if (n->csts & CSTS_RDY)
		return refuse(n, "CSTS.RDY still set");
	if (n->half_written)
		return refuse(n, "only half of ASQ or ACQ written");
	if (!n->asq || !n->acq)
		return refuse(n, "ASQ or ACQ zero");
	if (asqs < 2 || acqs < 2)
		return refuse(n, "AQA of less than two entries");
	if (CC_MPS(n->cc) < n->o.mpsmin || CC_MPS(n->cc) > n->o.mpsmax)
		return refuse(n, "CC.MPS outside of CAP.MPSMIN and MPSMAX");
	if (!(css == 0 && caps & 1) && !(css == 6 && caps & 1 << 6) && !(css == 7 && caps & 1 << 7))
		return refuse(n, "a CC.CSS that CAP.CSS does not offer");
	if (CC_AMS(n->cc))
		return refuse(n, "a CC.AMS that CAP.AMS does not offer");

	return nvme_check_queue(n, n->asq, asqs, false, "admin sq") &&
	       nvme_check_queue(n, n->acq, acqs, true, "admin cq");
}

static void start_adminq(struct emu_nvme *n)
{
	n->sq[0] = (struct model_sq){
		.live = true,
		.size = (n->aqa & 0xfff) + 1,
		.base = n->asq,
	};
	n->cq[0] = (struct model_cq){
		.live = true,
		.size = (n->aqa >> 16 & 0xfff) + 1,
		.base = n->acq,
		.ien = true,
		.phase = true,
	};
}

static void enable(struct emu_nvme *n)
{
	n->stats.enables++;
	if (!config_valid(n) || n->flags[EMU_CFS_AT_ENABLE]) {
		nvme_set_cfs(n, "enable");
		return;
	}
	nvme_reset_features(n);
	nvme_reset_virt(n);
	start_adminq(n);
	if (!n->flags[EMU_NEVER_READY])
		n->ready_at = clock_now() + n->o.ready_ns;
}

static void reset_done(struct emu_nvme *n)
{
	nvme_drop_queues(n);
	n->csts = 0;
	n->intm = 0;
}

/* Memory is the controller's until RDY is 0; if it is already, no host would wait. */
static void disable(struct emu_nvme *n)
{
	n->shutdown_at = NEVER;
	n->ready_at = NEVER;
	if (!(n->csts & CSTS_RDY))
		reset_done(n);
	else if (!n->flags[EMU_NEVER_UNREADY])
		n->ready_at = clock_now() + n->o.ready_ns;
}

static void become_ready(struct emu_nvme *n)
{
	n->ready_at = NEVER;
	if (!(n->cc & CC_EN))
		reset_done(n);
	else if (!(n->csts & CSTS_CFS))
		n->csts |= CSTS_RDY;
}

static void shut_down(struct emu_nvme *n)
{
	n->shutdown_at = NEVER;
	n->csts = (n->csts & ~CSTS_SHST_MASK) | CSTS_SHST_DONE;
}

void nvme_tick(struct emu_nvme *n)
{
	if (n->dead || n->pci->removed)
		return;
	nvme_memory_tick(n);
	if (n->ready_at <= clock_now())
		become_ready(n);
	if (n->shutdown_at <= clock_now())
		shut_down(n);
	if (!nvme_running(n))
		return;
	if (n->dbbuf)
		nvme_poll_shadow(n);
	nvme_run_queues(n);
	if (n->dbbuf)
		nvme_poll_shadow(n);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t nvme_due(const struct emu_nvme *n)
{
	uint64_t due = earlier(n->ready_at, n->shutdown_at);

	if (n->dead || n->pci->removed)
		return NEVER;
	if (!nvme_running(n))
		return due;
	for (const struct cmd *c = n->cmds; c; c = c->next) {
		if (c->state == CMD_DELAYED)
			due = earlier(due, c->due);
	}

	return due;
}

/* --------------------------------------------------------------- registers */

static void write_cc(struct emu_nvme *n, uint32_t val)
{
	const uint32_t old = n->cc, change = old ^ val;
	const uint32_t may_change = CC_EN | 3u << 14 |
				    (n->stats.sqs || n->stats.cqs ? 0 : 0xffu << 16);

	if (val & 0xfe00000e)
		nvme_report(n, "CC written with reserved bits: 0x%x", val);
	if (old & val & CC_EN && change & ~may_change)
		nvme_report(n, "CC changed while enabled: 0x%x to 0x%x", old, val);
	n->cc = val;
	if (!(old & CC_EN) && val & CC_EN)
		enable(n);
	if (old & CC_EN && !(val & CC_EN))
		disable(n);
	if (val & CC_EN && CC_SHN(val) && !CC_SHN(old)) {
		n->csts = (n->csts & ~CSTS_SHST_MASK) | CSTS_SHST_BUSY;
		if (!n->flags[EMU_NEVER_SHUT_DOWN])
			n->shutdown_at = clock_now() + n->o.shutdown_ns;
	}
}

static void check_disabled(struct emu_nvme *n, const char *name)
{
	if (n->cc & CC_EN)
		nvme_report(n, "%s written while enabled", name);
}

static void write_base(struct emu_nvme *n, uint64_t *base, unsigned int offset, uint32_t val)
{
	const unsigned int bit = 1u << (offset >> 3 & 1);
	const unsigned int half = offset & 4 ? 32 : 0;

	check_disabled(n, bit == 1 ? "ACQ" : "ASQ");
	if (!half && val & 0xfff)
		nvme_report(n, "admin queue base has reserved bits: 0x%x", val);
	*base = (*base & ~(0xffffffffULL << half)) | (uint64_t)val << half;
	n->half_written ^= bit;
}

static void write_aqa(struct emu_nvme *n, uint32_t val)
{
	check_disabled(n, "AQA");
	if (val & 0xf000f000)
		nvme_report(n, "AQA written with reserved bits: 0x%x", val);
	n->aqa = val;
}

static void write_intm(struct emu_nvme *n, uint32_t intm)
{
	if (n->pci->irq[VFIO_PCI_MSIX_IRQ_INDEX].enabled)
		nvme_report(n, "INTMS or INTMC written with MSI-X enabled");
	n->intm = intm;
	nvme_update_intx(n);
}

static void write_csts(struct emu_nvme *n, uint32_t val)
{
	if (val & ~CSTS_NSSRO)
		nvme_report(n, "read-only bits of CSTS written: 0x%x", val);
	n->csts &= ~(val & CSTS_NSSRO);
}

static void power_on(struct emu_nvme *n)
{
	n->cc = 0;
	n->half_written = 0;
	n->ready_at = n->shutdown_at = NEVER;
	nvme_reset_features(n);
	reset_done(n);
	nvme_memory_reset(n);
}

static void write_nssr(struct emu_nvme *n, uint32_t val)
{
	if (!(n->cap >> 36 & 1) || val != NSSR_RESET) {
		nvme_report(n, "NSSR written with 0x%x", val);
		return;
	}
	power_on(n);
	n->csts = CSTS_NSSRO;
}

static void write_reg(struct emu_nvme *n, uint64_t offset, uint32_t val)
{
	switch (offset) {
	case REG_INTMS:
		write_intm(n, n->intm | val);
		break;
	case REG_INTMC:
		write_intm(n, n->intm & ~val);
		break;
	case REG_CC:
		write_cc(n, val);
		break;
	case REG_CSTS:
		write_csts(n, val);
		break;
	case REG_NSSR:
		write_nssr(n, val);
		break;
	case REG_AQA:
		write_aqa(n, val);
		break;
	case REG_ASQ:
	case REG_ASQ + 4:
		write_base(n, &n->asq, offset, val);
		break;
	case REG_ACQ:
	case REG_ACQ + 4:
		write_base(n, &n->acq, offset, val);
		break;
	default:
		if (!nvme_memory_write(n, offset, val))
			nvme_report(n, "read-only or reserved register 0x%llx written",
				    (unsigned long long)offset);
	}
}

static uint32_t read_reg(struct emu_nvme *n, uint64_t offset)
{
	switch (offset) {
	case REG_CAP:
		return n->cap;
	case REG_CAP + 4:
		return n->cap >> 32;
	case REG_VS:
		return n->vs;
	case REG_INTMS:
	case REG_INTMC:
		return n->intm;
	case REG_CC:
		return n->cc;
	case REG_CSTS:
		return n->csts;
	case REG_AQA:
		return n->aqa;
	case REG_ASQ:
		return n->asq;
	case REG_ASQ + 4:
		return n->asq >> 32;
	case REG_ACQ:
		return n->acq;
	case REG_ACQ + 4:
		return n->acq >> 32;
	case REG_CRTO:
		return n->crto;
	default:
		return nvme_memory_read(n, offset);
	}
}

/* Let happen what the host did before: posted doorbells, passing time. */
static void catch_up(struct emu_nvme *n)
{
	if (emu_threaded)
		nvme_take_doorbells(n);
	else
		nvme_tick(n);
}

/* Count an access; true if the registers are broken from here on. */
static bool access_fails(struct emu_nvme *n)
{
	n->stats.reg_accesses++;
	if (n->fail_regs && !--n->fail_regs)
		n->dead = true;

	return n->dead;
}

/* Index of the doorbell at @offset, or -1 with a report. */
static int doorbell_index(struct emu_nvme *n, uint64_t offset)
{
	uint64_t at = offset - REG_DOORBELLS;

	if (at % stride(n) || at / stride(n) >= nvme_max_db(n)) {
		nvme_report(n, "no doorbell at register 0x%llx", (unsigned long long)offset);
		return -1;
	}

	return at / stride(n);
}

static uint32_t pci_read32(struct emu_pci *pci, unsigned int bar, uint64_t offset)
{
	struct emu_nvme *n = pci->model;

	(void)bar;
	if (offset >= REG_DOORBELLS) {
		nvme_report(n, "doorbell register 0x%llx read", (unsigned long long)offset);
		return 0;
	}
	if (access_fails(n))
		return n->fail_value;
	catch_up(n);

	return read_reg(n, offset);
}

static void pci_write32(struct emu_pci *pci, unsigned int bar, uint64_t offset, uint32_t val)
{
	struct emu_nvme *n = pci->model;
	int db;

	(void)bar;
	if (offset >= REG_DOORBELLS) {
		db = n->dead ? -1 : doorbell_index(n, offset);
		if (db >= 0)
			nvme_doorbell(n, db, val);
	} else {
		emu_log("reg write 0x%02x 0x%x", (unsigned int)offset, val);
		catch_up(n);
		if (!access_fails(n))
			write_reg(n, offset, val);
	}
	if (!emu_threaded)
		nvme_tick(n);
}

/* Threaded mode: leave a doorbell for the controller's thread to find. */
static bool pci_post(struct emu_pci *pci, uint64_t offset, uint32_t val)
{
	struct emu_nvme *n = pci->model;
	uint64_t at = offset - REG_DOORBELLS;

	if (!__atomic_load_n(&emu_threaded, __ATOMIC_ACQUIRE) || offset < REG_DOORBELLS ||
	    at % stride(n) || at / stride(n) >= nvme_max_db(n) || val == DB_NONE)
		return false;
	__atomic_store_n(&n->db[at / stride(n)], val, __ATOMIC_RELEASE);
	__atomic_store_n(&n->kick, 1, __ATOMIC_RELEASE);

	return true;
}

static void pci_reset_model(struct emu_pci *pci)
{
	catch_up(pci->model);
	power_on(pci->model);
}

static void pci_closing(struct emu_pci *pci)
{
	struct emu_nvme *n = pci->model;

	if (n->dead || pci->removed)
		return;
	if (n->cc & CC_EN)
		nvme_report(n, "device closed while the controller is enabled");
	nvme_memory_closing(n);
}

static void pci_unmapping(struct emu_pci *pci, uint64_t iova, uint64_t last)
{
	nvme_queues_unmapping(pci->model, iova, last);
}

static void pci_irq_changed(struct emu_pci *pci)
{
	nvme_update_intx(pci->model);
}

static struct emu_nvme *plug(const struct emu_nvme_opts *opts);

/* A secondary controller, with namespaces of its own. */
static struct emu_pci *pci_add_vf(struct emu_pci *pf, const struct emu_pci_opts *opts)
{
	const struct emu_nvme *n = pf->model;
	struct emu_nvme_opts o = n->o;

	o.pci = *opts;
	o.virt = (struct emu_virt_opts){};
	o.start_enabled = o.start_cfs = false;

	return plug(&o)->pci;
}

static size_t disk_size(const struct model_ns *ns)
{
	return ns->opts.blocks * ns->opts.lba_size;
}

static void pci_free(struct emu_pci *pci)
{
	struct emu_nvme *n = pci->model, **link = &emu_nvmes;

	while (*link != n)
		link = &(*link)->next;
	*link = n->next;
	while (n->cmds)
		nvme_drop_cmd(n, n->cmds);
	for (unsigned int i = 0; i < n->o.nns; i++)
		mm_free_disk(n->ns[i].disk, disk_size(&n->ns[i]));
	free(n->secondaries);
	free(n);
}

const struct pci_ops nvme_pci_ops = {
	.read32 = pci_read32,
	.write32 = pci_write32,
	.post = pci_post,
	.reset = pci_reset_model,
	.closing = pci_closing,
	.unmapping = pci_unmapping,
	.irq_changed = pci_irq_changed,
	.free = pci_free,
	.add_vf = pci_add_vf,
};

/* ------------------------------------------------------------------- plug */

static void fill(unsigned int *field, unsigned int val)
{
	if (!*field)
		*field = val;
}

static void fill_defaults(struct emu_nvme_opts *o)
{
	fill(&o->mqes, 1024);
	fill(&o->to, 4);
	fill(&o->mpsmax, o->mpsmin > 4 ? o->mpsmin : 4);
	fill(&o->css, !o->no_nvm_css);
	fill(&o->queues, 64);
	fill(&o->mdts, 7);
	fill(&o->aerl, 4);
	fill(&o->acl, 4);
	if (o->queues >= NVME_MAX_QUEUES)
		o->queues = NVME_MAX_QUEUES - 1;
	if (!o->vs)
		o->vs = 0x10400;
	if (!o->ready_ns)
		o->ready_ns = MS;
	if (!o->shutdown_ns)
		o->shutdown_ns = MS;
	if (!o->nns && !o->no_ns) {
		o->nns = 1;
		o->ns[0].blocks = 65536;
	}
	for (unsigned int i = 0; i < o->nns; i++) {
		fill(&o->ns[i].lba_size, 512);
		if (!o->ns[i].blocks)
			o->ns[i].blocks = 65536;
	}
	nvme_memory_defaults(o);
}

static uint64_t make_cap(const struct emu_nvme_opts *o)
{
	if (o->cap)
		return o->cap;

	return (uint64_t)(o->mqes - 1) | 1ULL << 16 /* CQR */ | (uint64_t)o->to << 24 |
	       (uint64_t)o->dstrd << 32 | (uint64_t)o->css << 37 | (uint64_t)o->mpsmin << 48 |
	       (uint64_t)o->mpsmax << 52 | (o->crto ? 3ULL << 59 : 0);
}

static void make_disks(struct emu_nvme *n)
{
	for (unsigned int i = 0; i < n->o.nns; i++) {
		n->ns[i].opts = n->o.ns[i];
		n->ns[i].disk = mm_make_disk(disk_size(&n->ns[i]));
	}
}

/* A previous user was killed: enabled, with queues somewhere in memory that is gone. */
static void leave_enabled(struct emu_nvme *n)
{
	n->cc = CC_EN | 6 << 16 | 4 << 20;
	n->csts = CSTS_RDY;
}

static struct emu_nvme *plug(const struct emu_nvme_opts *opts)
{
	struct emu_nvme *n = emu_zalloc(sizeof(*n)), **end = &emu_nvmes;
	uint64_t bar;

	if (opts)
		n->o = *opts;
	fill_defaults(&n->o);
	n->vs = n->o.vs;
	n->cap = make_cap(&n->o) | nvme_memory_cap(n);
	n->crto = n->o.crto | n->o.crto << 16;
	n->ready_at = n->shutdown_at = NEVER;
	memset(n->db, 0xff, sizeof(n->db));
	make_disks(n);
	nvme_init_identify(n);
	nvme_init_virt(n);
	nvme_reset_features(n);
	if (n->o.start_enabled || n->o.start_cfs)
		leave_enabled(n);
	if (n->o.start_cfs)
		n->csts |= CSTS_CFS;
	while (*end)
		end = &(*end)->next;
	*end = n;
	bar = REG_DOORBELLS + (uint64_t)nvme_max_db(n) * stride(n);
	bar = (bar + 4 * EMU_PAGE - 1) & ~(4 * EMU_PAGE - 1);
	n->pci = pci_plug(&n->o.pci, &nvme_pci_ops, n, bar);
	nvme_memory_plug(n);

	return n;
}

struct emu_nvme *emu_nvme_add(const struct emu_nvme_opts *opts)
{
	emu_autolock();
	return plug(opts);
}

/* ------------------------------------------------------------- for tests */

struct emu_pci *emu_nvme_pci(struct emu_nvme *n)
{
	return n->pci;
}

struct emu_nvme *emu_nvme_find(const char *bdf)
{
	struct emu_pci *pci;

	emu_autolock();
	pci = pci_find(bdf);

	return pci && pci->ops == &nvme_pci_ops ? pci->model : NULL;
}

void *emu_nvme_disk(struct emu_nvme *n, uint32_t nsid, size_t *size)
{
	struct model_ns *ns = nvme_ns(n, nsid);

	if (ns && size)
		*size = disk_size(ns);

	return ns ? ns->disk : NULL;
}

uint8_t *emu_nvme_identify_ctrl(struct emu_nvme *n)
{
	return n->identify;
}

uint8_t *emu_nvme_identify_ns(struct emu_nvme *n, uint32_t nsid)
{
	struct model_ns *ns = nvme_ns(n, nsid);

	return ns ? ns->identify : NULL;
}

uint32_t emu_nvme_reg(struct emu_nvme *n, unsigned int offset)
{
	emu_autolock();
	return read_reg(n, offset);
}

struct emu_nvme_stats emu_nvme_stats(struct emu_nvme *n)
{
	emu_autolock();
	n->stats.irqs = n->pci->irqs_signalled;
	return n->stats;
}

void emu_nvme_fail_regs(struct emu_nvme *n, unsigned int nth, uint32_t value)
{
	emu_autolock();
	n->fail_regs = nth;
	n->fail_value = value;
	n->dead = false;
}

void emu_nvme_set(struct emu_nvme *n, enum emu_nvme_flag flag, bool on)
{
	emu_autolock();
	n->flags[flag] = on;
	/* what it was told meanwhile happens now */
	if (flag == EMU_NEVER_UNREADY && !on && !(n->cc & CC_EN) && n->csts & CSTS_RDY)
		n->ready_at = clock_now();
	if (!emu_threaded)
		nvme_tick(n);
}

void emu_nvme_change(struct emu_nvme *n, unsigned int queues, uint64_t cap)
{
	emu_autolock();
	n->granted = queues;
	if (cap)
		n->cap = cap;
}

void emu_nvme_set_cfs(struct emu_nvme *n)
{
	emu_autolock();
	nvme_set_cfs(n, "test");
}
