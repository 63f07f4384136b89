// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A controller whose registers read as anything, from any access on: bring-up, reset,
 * the controller memory buffer, persistent memory. All of it ends, and leaves nothing.
 *
 * C1, C2, C3
 */
#include "fuzz.h"

#include <sys/mman.h>

#include <vfn/nvme.h>
#include <vfn/nvme/cmb.h>
#include <vfn/nvme/pmr.h>

#include "emu.h"

/* The linker puts these around the fake kernel's. */
uint32_t __real_vfn_mmio_hook_read32(void *addr);
uint32_t __wrap_vfn_mmio_hook_read32(void *addr);
void __real_os_sleep_ns(uint64_t ns);
void __wrap_os_sleep_ns(uint64_t ns);

/* A register that reads as @value while it is read for the @from-th to the @to-th time. */
static struct lie {
	unsigned int offset, from, to, reads;
	uint32_t value, keep;
} lies[8];
static unsigned int nlies;

static struct nvme_ctrl ctrl;

uint32_t __wrap_vfn_mmio_hook_read32(void *addr)
{
	uint32_t value = __real_vfn_mmio_hook_read32(addr);
	size_t offset = (size_t)((char *)addr - (char *)ctrl.regs);

	for (struct lie *l = lies; l < lies + nlies; l++) {
		if (l->offset != offset)
			continue;
		if (l->reads >= l->from && l->reads <= l->to)
			value = (value & l->keep) | (l->value & ~l->keep);
		l->reads++;
	}

	return value;
}

/* An hour of waiting is over soon. */
void __wrap_os_sleep_ns(uint64_t ns)
{
	__real_os_sleep_ns(ns * 1000);
}

static void take_lies(struct input *in)
{
	static const unsigned int registers[] = {
		0x00, 0x04, 0x08, 0x14,	 0x1c,	0x24,  0x38,  0x3c,  0x50,
		0x54, 0x58, 0x68, 0xe00, 0xe04, 0xe08, 0xe14, 0xe18,
	};

	nlies = take_to(in, 8);
	for (struct lie *l = lies; l < lies + nlies; l++) {
		*l = (struct lie){
			.offset =
				registers[take_to(in, sizeof(registers) / sizeof(*registers) - 1)],
			.from = take_to(in, 15),
			.value = (uint32_t)take(in, 4),
		};
		l->to = l->from + (unsigned int)take(in, 1) * 255;
		l->keep = take_to(in, 1) ? (uint32_t)take(in, 4) : 0;
	}
}

/* All of it is mapped. What the controller does not show is no memory to the fake kernel only. */
static void allow_access(void *mem, size_t len)
{
	require(!mprotect(mem, len, PROT_READ | PROT_WRITE));
}

static void use_cmb(struct input *in)
{
	struct iommu_dmabuf mem[3];
	size_t pagesize;

	if (nvme_configure_cmb(&ctrl) || !ctrl.cmb.vaddr)
		return;

	require(ctrl.cmb.size && ctrl.cmb.iova);
	allow_access(ctrl.cmb.vaddr, ctrl.cmb.size);
	pagesize = __mps_to_pagesize(ctrl.config.mps);
	for (int i = 0; i < 3; i++) {
		if (vfn_nvme_cmb_alloc(&ctrl, &mem[i], (size_t)take(in, 3)))
			mem[i] = (struct iommu_dmabuf){};
		require(!mem[i].vaddr ||
			mem[i].iova - ctrl.cmb.iova + (size_t)mem[i].len <= ctrl.cmb.size);
		require(!mem[i].vaddr ||
			mem[i].iova - ctrl.cmb.iova ==
				(size_t)((char *)mem[i].vaddr - (char *)ctrl.cmb.vaddr));
		require((size_t)mem[i].len % pagesize == 0);
		if (take_to(in, 1))
			vfn_nvme_cmb_free(&ctrl, &mem[i]);
	}
	(void)vfn_nvme_cmb_check(&ctrl, (unsigned int)take(in, 1));
	if (take_to(in, 1))
		nvme_discard_cmb(&ctrl);
}

/* Registers may say that it is enabled when it is not. */
static void let_go_of_pmr(struct vfn_nvme_pmr *pmr)
{
	if (pmr->vaddr)
		allow_access(pmr->vaddr, pmr->size);
	vfn_nvme_pmr_unmap(&ctrl, pmr);
}

static void use_pmr(struct vfn_nvme_pmr *pmr)
{
	if (pmr->vaddr) {
		let_go_of_pmr(pmr);
	} else if (!vfn_nvme_pmr_map(&ctrl, pmr)) {
		require(pmr->size && pmr->iova);
		allow_access(pmr->vaddr, pmr->size);
	}
}

static void use(struct input *in)
{
	struct vfn_nvme_pmr pmr = {};
	union nvme_cmd cmd;
	int qid;

	for (unsigned int i = 0; i < 8 && left(in) && ctrl.regs; i++) {
		switch (take_to(in, 6)) {
		case 0:
			use_cmb(in);
			break;
		case 1:
			use_pmr(&pmr);
			break;
		case 2:
			(void)nvme_reset(&ctrl);
			break;
		case 3:
			(void)nvme_enable(&ctrl);
			break;
		case 4:
			cmd = (union nvme_cmd){ .opcode = 0x18 };
			if (ctrl.adminq.sq)
				(void)nvme_admin(&ctrl, &cmd, NULL, 0, NULL);
			break;
		case 5:
			qid = 1 + (int)take_to(in, 3);
			(void)nvme_create_ioqpair(&ctrl, qid, (int)take(in, 3), -1, 0);
			break;
		default:
			(void)nvme_delete_ioqpair(&ctrl, 1 + (int)take_to(in, 3));
		}
	}

	let_go_of_pmr(&pmr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	const struct emu_nvme_opts opts = {
		.pci.bar0_size = take_to(&in, 1) ? take(&in, 3) : 0,
		.no_ns = true,
		.start_enabled = take_to(&in, 1),
		.crto = take_to(&in, 1),
		.dbbuf = take_to(&in, 1),
		.cmb = { .size = 0x4000,
			 .offset = 1,
			 .legacy = take_to(&in, 1),
			 .addr = 0x80000000 },
		.pmr = { .size = 0x2000 },
	};
	const struct nvme_ctrl_opts wanted = { .nsqr = 4, .ncqr = 4 };
	const struct emu_usage nothing = {};

	emu_init();
	emu_nvme_add(&opts);
	take_lies(&in);
	memset(&ctrl, 0, sizeof(ctrl));
	vfn_nvme_set_timeout(&ctrl, 5);

	if (!nvme_init(&ctrl, EMU_BDF, &wanted) ||
	    (take_to(&in, 1) && !nvme_ctrl_init(&ctrl, EMU_BDF, &wanted)))
		use(&in);
	nvme_close(&ctrl);

	nlies = 0;
	emu_assert_usage(&nothing);
	emu_fini();

	return 0;
}
