/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the iommu layer start from: an open device, its address space, memory to map. */
#ifndef VFN_TESTS_UNIT_IOMMU_SPACE_H
#define VFN_TESTS_UNIT_IOMMU_SPACE_H

#include "../unit.h"

#include <sys/mman.h>

#include <vfn/iommu.h>
#include <vfn/support/align.h>
#include <vfn/support/mem.h>
#include <vfn/vfio.h>

#include "emu.h"
#include "iommu/context.h"
#include "iommu/table.h"

/* What a last-level table of the translation covers. Memory starts with one, and has several. */
#define BLOCK TABLE_LEAF_BYTES
#define MEM_BYTES (4 * BLOCK)

static struct vfio_pci_device pci;
static struct iommu_ctx *ctx;
static char *room, *mem;

static inline void open_space(void)
{
	assert_int_equal(vfio_pci_open(&pci, EMU_BDF), 0);
	ctx = pci.dev.ctx;
}

/* One range of addresses for the device, instead of the usual two. */
static inline void set_range(uint64_t start, uint64_t last)
{
	emu_iommu()->ranges[0] = (struct emu_range){ start, last };
	emu_iommu()->nranges = 1;
}

/* Everything but the open device: the test has a say about the machine. */
static inline int setup_closed(void **state)
{
	room = mmap(NULL, MEM_BYTES + BLOCK, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return -1;
	mem = room + (ALIGN_UP((uintptr_t)room, BLOCK) - (uintptr_t)room);

	emu_init();
	emu_pci_add(NULL);
	memset(&pci, 0, sizeof(pci));
	ctx = NULL;

	return 0;
}

static inline int setup_open(void **state)
{
	if (setup_closed(state))
		return -1;
	if (vfio_pci_open(&pci, EMU_BDF))
		return -1;
	ctx = pci.dev.ctx;

	return 0;
}

static inline int teardown(void **state)
{
	int ret = vfio_pci_close(&pci);

	if (emu_teardown(state))
		ret = -1;
	munmap(room, MEM_BYTES + BLOCK);

	return ret;
}

static inline iova_t map(void *vaddr, size_t len, unsigned long flags)
{
	iova_t iova = 0;

	assert_int_equal(iommu_map_vaddr(ctx, vaddr, len, &iova, flags), 0);
	assert_int_not_equal(iova, 0);

	return iova;
}

static inline void map_fixed(void *vaddr, size_t len, iova_t iova)
{
	assert_int_equal(iommu_map_vaddr(ctx, vaddr, len, &iova, IOMMU_MAP_FIXED_IOVA), 0);
}

static inline int try_fixed(void *vaddr, size_t len, iova_t iova)
{
	return iommu_map_vaddr(ctx, vaddr, len, &iova, IOMMU_MAP_FIXED_IOVA);
}

static inline void unmap(void *vaddr)
{
	assert_int_equal(iommu_unmap_vaddr(ctx, vaddr, NULL), 0);
}

static inline bool is_mapped(void *vaddr)
{
	iova_t iova;

	return iommu_translate_vaddr(ctx, vaddr, &iova);
}

/* Whether the machine has iommufd, as it has in the second run of each program. */
static inline bool with_iommufd(void)
{
	return !emu_iommu()->no_iommufd;
}

static inline unsigned int count_maps(void)
{
	return emu_call_count(emu_map_call());
}

/* What the allocator has: drift would show in these. */
struct tally {
	unsigned int extents;
	uint64_t free_bytes;
};

static inline struct tally tally(void)
{
	struct tally t = {};
	uint64_t addr = 0;

	for (struct iommu_extent *ext; (ext = tree_next(ctx->extents, addr)); t.extents++) {
		if (!ext->count)
			t.free_bytes += ext->len;
		addr = ext->start + ext->len;
	}

	return t;
}

static inline void assert_tally(const struct tally *before)
{
	struct tally now = tally();

	assert_int_equal(now.extents, before->extents);
	assert_int_equal(now.free_bytes, before->free_bytes);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup_open, teardown)
#define test_closed(name) cmocka_unit_test_setup_teardown(name, setup_closed, teardown)

#endif /* VFN_TESTS_UNIT_IOMMU_SPACE_H */
