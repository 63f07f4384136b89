// SPDX-License-Identifier: GPL-2.0-or-later
/* PCI functions: plugging, config space, BARs, reset. */
#include "emu_internal.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#define CAP_PM 0x40
#define CAP_MSI 0x50
#define CAP_MSIX 0x70
#define CAP_EXP 0x80
#define MSIX_ENTRY 16

struct emu_pci *emu_pcis;

/* ------------------------------------------------------------ config space */

static void put16(uint8_t *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

/* Where the table of MSI-X is: BAR 4, or 5 if that has memory. */
static unsigned int msix_bar(const struct emu_pci *pci)
{
	return pci->opts.bar_size[4] ? 5 : 4;
}

static uint16_t command(struct emu_pci *pci)
{
	return pci->config[PCI_COMMAND] | pci->config[PCI_COMMAND + 1] << 8;
}

bool pci_bus_master(struct emu_pci *pci)
{
	return command(pci) & PCI_COMMAND_MASTER;
}

/* Add a capability in front of the list. */
static uint8_t *add_cap(struct emu_pci *pci, uint8_t pos, uint8_t id)
{
	uint8_t *cap = pci->config + pos;

	cap[PCI_CAP_LIST_ID] = id;
	cap[PCI_CAP_LIST_NEXT] = pci->config[PCI_CAPABILITY_LIST];
	pci->config[PCI_CAPABILITY_LIST] = pos;

	return cap;
}

void pci_config_init(struct emu_pci *pci)
{
	uint8_t *c = pci->config;

	put16(c + PCI_VENDOR_ID, pci->opts.vendor);
	put16(c + PCI_DEVICE_ID, pci->opts.device);
	put16(c + PCI_COMMAND, PCI_COMMAND_MEMORY);
	put16(c + PCI_STATUS, PCI_STATUS_CAP_LIST);
	put32(c + PCI_CLASS_REVISION, pci->opts.classcode << 8 | 2);
	put32(c + PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_MEM_TYPE_64);
	put16(c + PCI_SUBSYSTEM_VENDOR_ID, pci->opts.subvendor);
	put16(c + PCI_SUBSYSTEM_ID, pci->opts.subdevice);
	c[PCI_INTERRUPT_PIN] = !pci->opts.no_intx;

	add_cap(pci, CAP_EXP, PCI_CAP_ID_EXP);
	if (pci->irq[VFIO_PCI_MSIX_IRQ_INDEX].count) {
		uint8_t *cap = add_cap(pci, CAP_MSIX, PCI_CAP_ID_MSIX);

		put16(cap + PCI_MSIX_FLAGS, pci->irq[VFIO_PCI_MSIX_IRQ_INDEX].count - 1);
		put32(cap + PCI_MSIX_TABLE, msix_bar(pci));
		put32(cap + PCI_MSIX_PBA, (EMU_PAGE / 2) | msix_bar(pci));
	}
	if (pci->irq[VFIO_PCI_MSI_IRQ_INDEX].count)
		add_cap(pci, CAP_MSI, PCI_CAP_ID_MSI);
	add_cap(pci, CAP_PM, PCI_CAP_ID_PM);
}

/* ------------------------------------------------------------------- BARs */

bool pci_decodes(const struct emu_pci *pci)
{
	return pci->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;
}

static bool decodes(struct emu_pci *pci)
{
	if (pci_decodes(pci))
		return true;
	emu_report("%s: BAR access with memory decode off (SIGBUS)", pci->bdf);
	return false;
}

uint32_t pci_bar_read32(struct emu_pci *pci, unsigned int bar, uint64_t offset)
{
	uint32_t val;

	if (pci->removed || !decodes(pci))
		return UINT32_MAX;
	if (pci->ops && bar == 0)
		return pci->ops->read32(pci, bar, offset);
	memcpy(&val, pci->bar_mem[bar] + offset, sizeof(val));

	return le32toh(val);
}

void pci_bar_write32(struct emu_pci *pci, unsigned int bar, uint64_t offset, uint32_t val)
{
	if (pci->removed || !decodes(pci))
		return;
	if (pci->ops && bar == 0)
		pci->ops->write32(pci, bar, offset, val);
	else
		put32(pci->bar_mem[bar] + offset, val);
}

/* ------------------------------------------------------------------ plug */

static void fill_defaults(struct emu_pci_opts *o)
{
	o->bdf = o->bdf ? o->bdf : EMU_BDF;
	o->vendor = o->vendor ? o->vendor : 0x1b36;
	o->device = o->device ? o->device : 0x0010;
	o->subvendor = o->subvendor ? o->subvendor : 0x1af4;
	o->subdevice = o->subdevice ? o->subdevice : 0x1100;
	o->classcode = o->classcode ? o->classcode : 0x010802;
	o->driver = o->driver ? o->driver : "vfio-pci";
	if (!o->msix_vectors && !o->no_msix)
		o->msix_vectors = 9;
	if (!o->num_regions)
		o->num_regions = VFIO_PCI_NUM_REGIONS;
	if (!o->num_irqs)
		o->num_irqs = VFIO_PCI_NUM_IRQS;
}

static void irq_init(struct emu_pci *pci)
{
	pci->irq[VFIO_PCI_INTX_IRQ_INDEX].count = !pci->opts.no_intx;
	pci->irq[VFIO_PCI_MSI_IRQ_INDEX].count = pci->opts.msi_vectors;
	pci->irq[VFIO_PCI_MSIX_IRQ_INDEX].count = pci->opts.no_msix ? 0 : pci->opts.msix_vectors;
	pci->irq[VFIO_PCI_ERR_IRQ_INDEX].count = !pci->opts.not_express;
	pci->irq[VFIO_PCI_REQ_IRQ_INDEX].count = 1;
}

static void bars_init(struct emu_pci *pci, uint64_t bar0_size)
{
	uint64_t table = (uint64_t)pci->irq[VFIO_PCI_MSIX_IRQ_INDEX].count * MSIX_ENTRY;

	pci->bar_size[0] = pci->opts.bar0_size ? pci->opts.bar0_size : bar0_size;
	if (pci->opts.bar0_absent)
		pci->bar_size[0] = 0;
	if (table)
		pci->bar_size[msix_bar(pci)] = (table + 2 * EMU_PAGE - 1) & ~(EMU_PAGE - 1);
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		pci->bar_fd[i] = -1;
		if (i && pci->opts.bar_size[i]) {
			pci->bar_size[i] = pci->opts.bar_size[i];
			pci->bar_mem[i] = mm_shared(pci->bar_size[i], &pci->bar_fd[i]);
		} else if (pci->bar_size[i] && !(i == 0 && pci->ops)) {
			pci->bar_mem[i] = emu_zalloc(pci->bar_size[i]);
		}
	}
}

static void bars_free(struct emu_pci *pci)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		if (pci->bar_fd[i] < 0) {
			free(pci->bar_mem[i]);
			continue;
		}
		munmap(pci->bar_mem[i], pci->bar_size[i]);
		close(pci->bar_fd[i]);
	}
}

struct emu_pci *pci_plug(const struct emu_pci_opts *opts, const struct pci_ops *ops, void *model,
			 uint64_t bar0_size)
{
	struct emu_pci *pci = emu_zalloc(sizeof(*pci)), **end = &emu_pcis;

	if (opts)
		pci->opts = *opts;
	fill_defaults(&pci->opts);
	snprintf(pci->bdf, sizeof(pci->bdf), "%s", pci->opts.bdf);
	pci->opts.bdf = pci->bdf;
	/* by default one that nobody can know */
	memset(pci->vf_token, 0xa5, sizeof(pci->vf_token));
	if (pci->opts.vf_token)
		sriov_parse_uuid(pci->opts.vf_token, pci->vf_token);
	pci->ops = ops;
	pci->model = model;
	irq_init(pci);
	bars_init(pci, bar0_size);
	pci_config_init(pci);

	while (*end)
		end = &(*end)->next;
	*end = pci;
	sysfs_add(pci);

	return pci;
}

struct emu_pci *emu_pci_add(const struct emu_pci_opts *opts)
{
	emu_autolock();
	return pci_plug(opts, NULL, NULL, EMU_PAGE);
}

struct emu_pci *pci_find(const char *bdf)
{
	for (struct emu_pci *pci = emu_pcis; pci; pci = pci->next) {
		if (!strcmp(pci->bdf, bdf))
			return pci;
	}

	return NULL;
}

struct space *pci_space(struct emu_pci *pci)
{
	if (pci->hwpt)
		return pci->blocked ? NULL : iommufd_space(pci->hwpt);

	return pci->group && pci->group->container ? &pci->group->container->space : NULL;
}

void pci_reset(struct emu_pci *pci)
{
	if (pci->ops)
		pci->ops->reset(pci);
	if (!pci->opts.reset_keeps_bus_master)
		pci->config[PCI_COMMAND] &= ~PCI_COMMAND_MASTER;
}

void pci_init(void)
{
	emu_pcis = NULL;
}

void pci_unplug(struct emu_pci *pci)
{
	struct emu_pci **link = &emu_pcis;

	while (*link != pci)
		link = &(*link)->next;
	*link = pci->next;
	if (pci->ops)
		pci->ops->free(pci);
	bars_free(pci);
	free(pci->override);
	free(pci);
}

void pci_fini(void)
{
	while (emu_pcis)
		pci_unplug(emu_pcis);
}

/* ------------------------------------------------------------- for tests */

struct emu_pci *emu_pci_find(const char *bdf)
{
	emu_autolock();
	return pci_find(bdf);
}

void emu_pci_remove(struct emu_pci *pci)
{
	emu_autolock();
	pci->removed = true;
}

void emu_pci_revoke(struct emu_pci *pci)
{
	emu_autolock();
	mm_revoke(pci);
}

void emu_pci_request(struct emu_pci *pci)
{
	emu_autolock();
	irq_tell(pci, VFIO_PCI_REQ_IRQ_INDEX);
}

void emu_pci_error(struct emu_pci *pci)
{
	emu_autolock();
	irq_tell(pci, VFIO_PCI_ERR_IRQ_INDEX);
}

const char *emu_pci_driver(struct emu_pci *pci)
{
	emu_autolock();
	return sysfs_driver_name(pci);
}

uint8_t *emu_pci_bar(struct emu_pci *pci, unsigned int bar, size_t *size)
{
	if (size)
		*size = pci->bar_size[bar];

	return pci->bar_mem[bar];
}

uint8_t *emu_pci_config(struct emu_pci *pci)
{
	return pci->config;
}

bool emu_pci_bus_master(struct emu_pci *pci)
{
	emu_autolock();
	return pci_bus_master(pci);
}

void emu_pci_irq_spurious(struct emu_pci *pci, unsigned int vector)
{
	emu_autolock();
	irq_spurious(pci, vector);
}

unsigned int emu_pci_irq_enabled(struct emu_pci *pci, unsigned int index)
{
	emu_autolock();
	return index < VFIO_PCI_NUM_IRQS ? pci->irq[index].enabled : 0;
}
