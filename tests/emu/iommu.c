// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake type1v2 IOMMU: mapping rules, capability chain, translation. */
#include "emu_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* Larger memory is only tried at its ends. */
#define POPULATE_MAX (64UL << 20)
#define PAGE_MASK (EMU_PAGE - 1)
#define CHAIN_START sizeof(struct vfio_iommu_type1_info)
#define INFO_ROOM 1024

static struct emu_iommu_opts opts;
static uint32_t grown;

void iommu_init(void)
{
	opts = (struct emu_iommu_opts){
		.ranges = { { 0, 0xfedfffff }, { 0xfef00000, (1ULL << 39) - 1 } },
		.nranges = 2,
		.dma_entry_limit = 65535,
	};
	grown = INFO_ROOM;
}

struct emu_iommu_opts *emu_iommu(void)
{
	return &opts;
}

/* ---------------------------------------------------------------- GET_INFO */

static uint32_t add_ranges(char *buf, uint32_t at)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap = (void *)(buf + at);
	uint32_t size = sizeof(*cap) + opts.nranges * sizeof(cap->iova_ranges[0]);

	cap->header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	cap->header.version = 1;
	cap->nr_iovas = opts.chain == EMU_CHAIN_COUNT_HUGE ? UINT32_MAX : opts.nranges;
	for (unsigned int i = 0; i < opts.nranges; i++) {
		cap->iova_ranges[i].start = opts.ranges[i].start;
		cap->iova_ranges[i].end = opts.ranges[i].last;
	}

	return at + size;
}

static uint32_t add_avail(char *buf, uint32_t at)
{
	struct vfio_iommu_type1_info_dma_avail *cap = (void *)(buf + at);

	cap->header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
	cap->header.version = 1;
	cap->avail = opts.dma_entry_limit;

	return at + sizeof(*cap);
}

/* The last capability is the list of ranges, so that a walk has to get there. */
static uint32_t build_chain(char *buf)
{
	struct vfio_iommu_type1_info *info = (void *)buf;
	struct vfio_info_cap_header *first = (void *)(buf + CHAIN_START), *last;
	uint32_t at, end;

	info->cap_offset = CHAIN_START;
	at = (add_avail(buf, CHAIN_START) + 7) & ~7u;
	first->next = at;
	last = (void *)(buf + at);
	end = add_ranges(buf, at);

	switch (opts.chain) {
	case EMU_CHAIN_LOOP:
		first->id = last->id = 0xff;
		last->next = CHAIN_START;
		break;
	case EMU_CHAIN_SELF:
		first->next = CHAIN_START;
		break;
	case EMU_CHAIN_BACK:
		first->next = 4;
		break;
	case EMU_CHAIN_PAST_END:
		info->cap_offset = end + 64;
		break;
	case EMU_CHAIN_NEXT_PAST_END:
		first->next = end + 64;
		break;
	case EMU_CHAIN_CUT:
		end = at + 4;
		break;
	default:
		break;
	}

	return end;
}

int iommu_get_info(struct vfio_iommu_type1_info *info)
{
	char buf[INFO_ROOM] = {};
	struct vfio_iommu_type1_info *full = (void *)buf;
	uint32_t argsz = info->argsz, need = CHAIN_START;

	if (argsz < offsetof(struct vfio_iommu_type1_info, cap_offset))
		return emu_errno(EINVAL);

	full->flags = VFIO_IOMMU_INFO_PGSIZES;
	full->iova_pgsizes = ~PAGE_MASK;
	if (opts.chain != EMU_CHAIN_NONE) {
		full->flags |= VFIO_IOMMU_INFO_CAPS;
		need = build_chain(buf);
	}
	if (opts.chain == EMU_CHAIN_ARGSZ_GROWS)
		need = grown += INFO_ROOM;

	full->argsz = need;
	if (argsz < need) {
		full->cap_offset = 0;
		memcpy(info, full, argsz < CHAIN_START ? argsz : CHAIN_START);
		return 0;
	}
	memcpy(info, full, need < INFO_ROOM ? need : INFO_ROOM);

	return 0;
}

/* ------------------------------------------------------------ MAP and UNMAP */

/* Index of the first mapping that ends at or after @iova. */
static size_t find_from(struct container *c, uint64_t iova)
{
	size_t low = 0, high = c->nmaps;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (c->maps[mid].iova + (c->maps[mid].size - 1) < iova)
			low = mid + 1;
		else
			high = mid;
	}

	return low;
}

static bool in_ranges(uint64_t iova, uint64_t last)
{
	if (opts.chain == EMU_CHAIN_NONE || !opts.nranges)
		return true;
	for (unsigned int i = 0; i < opts.nranges; i++) {
		if (iova >= opts.ranges[i].start && last <= opts.ranges[i].last)
			return true;
	}

	return false;
}

static int check_map(const struct vfio_iommu_type1_dma_map *map)
{
	const uint32_t rw = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;

	if (map->argsz < sizeof(*map) || map->flags & ~rw || !(map->flags & rw))
		return EINVAL;
	if (!map->size || (map->iova | map->vaddr | map->size) & PAGE_MASK)
		return EINVAL;
	if (map->iova + map->size - 1 < map->iova || map->vaddr + map->size - 1 < map->vaddr)
		return EINVAL;

	return 0;
}

static bool touch(uint64_t vaddr, uint64_t size, bool write)
{
	return !madvise((void *)(uintptr_t)vaddr, size,
			write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

/* Pin: the memory must be there, and writable if the device is to write it. */
static bool memory_ok(const struct vfio_iommu_type1_dma_map *map)
{
	bool write = map->flags & VFIO_DMA_MAP_FLAG_WRITE;

	if (map->size <= POPULATE_MAX)
		return touch(map->vaddr, map->size, write);

	return touch(map->vaddr, EMU_PAGE, write) &&
	       touch(map->vaddr + map->size - EMU_PAGE, EMU_PAGE, write);
}

static void insert(struct container *c, size_t at, const struct vfio_iommu_type1_dma_map *map)
{
	if (c->nmaps == c->room) {
		c->room = c->room ? 2 * c->room : 64;
		c->maps = emu_resize(c->maps, c->room * sizeof(*c->maps));
	}
	memmove(&c->maps[at + 1], &c->maps[at], (c->nmaps - at) * sizeof(*c->maps));
	c->maps[at] = (struct dma_map){
		.iova = map->iova,
		.size = map->size,
		.vaddr = (char *)(uintptr_t)map->vaddr,
		.read = map->flags & VFIO_DMA_MAP_FLAG_READ,
		.write = map->flags & VFIO_DMA_MAP_FLAG_WRITE,
	};
	c->nmaps++;
	emu_used.dma_maps++;
	emu_used.dma_bytes += map->size;
}

int iommu_map(struct container *c, const struct vfio_iommu_type1_dma_map *map)
{
	uint64_t last = map->iova + map->size - 1;
	int err = check_map(map);
	size_t at;

	if (err)
		return emu_errno(err);
	at = find_from(c, map->iova);
	if (at < c->nmaps && c->maps[at].iova <= last)
		return emu_errno(EEXIST);
	if (c->nmaps >= opts.dma_entry_limit)
		return emu_errno(ENOSPC);
	if (!in_ranges(map->iova, last))
		return emu_errno(EINVAL);
	if (opts.memlock && emu_used.dma_bytes + map->size > opts.memlock)
		return emu_errno(ENOMEM);
	if (!memory_ok(map))
		return emu_errno(EFAULT);
	insert(c, at, map);

	return 0;
}

/* Tell the devices behind @c before [iova, last] goes. */
static void announce(struct container *c, uint64_t iova, uint64_t last)
{
	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		if (p->ops && pci_container(p) == c)
			p->ops->unmapping(p, iova, last);
	}
}

static uint64_t remove_from(struct container *c, size_t at, uint64_t last)
{
	uint64_t removed = 0;
	size_t end = at;

	while (end < c->nmaps && c->maps[end].iova <= last) {
		struct dma_map *m = &c->maps[end++];

		announce(c, m->iova, m->iova + m->size - 1);
		removed += m->size;
	}
	if (end == at)
		return 0;
	emu_used.dma_maps -= end - at;
	emu_used.dma_bytes -= removed;
	memmove(&c->maps[at], &c->maps[end], (c->nmaps - end) * sizeof(*c->maps));
	c->nmaps -= end - at;

	return removed;
}

/* Version 2 does not split: mappings must be wholly inside. */
static bool splits(struct container *c, size_t at, uint64_t iova, uint64_t last)
{
	size_t end = find_from(c, last);

	if (at < c->nmaps && c->maps[at].iova < iova)
		return true;

	return end < c->nmaps && c->maps[end].iova <= last &&
	       c->maps[end].iova + c->maps[end].size - 1 > last;
}

int iommu_unmap(struct container *c, struct vfio_iommu_type1_dma_unmap *unmap)
{
	bool all = unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	uint64_t last = unmap->iova + unmap->size - 1;
	size_t at;

	if (unmap->argsz < sizeof(*unmap) || unmap->flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return emu_errno(EINVAL);
	if (all) {
		if (unmap->iova || unmap->size)
			return emu_errno(EINVAL);
		last = UINT64_MAX;
	} else if (!unmap->size || (unmap->iova | unmap->size) & PAGE_MASK || last < unmap->iova) {
		return emu_errno(EINVAL);
	}

	at = find_from(c, unmap->iova);
	if (!all && splits(c, at, unmap->iova, last))
		return emu_errno(EINVAL);
	unmap->size = remove_from(c, at, last);
	if (opts.short_unmap && unmap->size)
		unmap->size -= EMU_PAGE;

	return 0;
}

void iommu_unmap_everything(struct container *c)
{
	if (c->nmaps)
		emu_report("container released with %zu DMA mappings", c->nmaps);
	remove_from(c, 0, UINT64_MAX);
	free(c->maps);
	c->maps = NULL;
	c->room = 0;
}

/* ------------------------------------------------------------- translation */

static struct dma_map *find(struct container *c, uint64_t iova)
{
	size_t at = c ? find_from(c, iova) : 0;

	return c && at < c->nmaps && c->maps[at].iova <= iova ? &c->maps[at] : NULL;
}

void *iommu_translate(struct container *c, uint64_t iova, bool write)
{
	struct dma_map *m = find(c, iova);

	if (!m || m->gone || !(write ? m->write : m->read))
		return NULL;

	return m->vaddr + (iova - m->iova);
}

/* The kernel keeps pinned pages; a device that still uses them is a mistake we want to see. */
static void mark_gone(struct container *c, char *addr, size_t len)
{
	for (size_t i = 0; i < c->nmaps; i++) {
		struct dma_map *m = &c->maps[i];

		if (m->vaddr < addr + len && addr < m->vaddr + m->size)
			m->gone = true;
	}
}

void iommu_memory_gone(void *addr, size_t len)
{
	struct container *last = NULL;

	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		struct container *c = pci_container(p);

		if (c && c != last)
			mark_gone(c, addr, len);
		last = c;
	}
}

bool emu_iova_mapped(const char *bdf, uint64_t iova, size_t len)
{
	struct emu_pci *pci;
	struct dma_map *m;

	emu_autolock();
	pci = pci_find(bdf);
	while (pci && len) {
		uint64_t room;

		m = find(pci_container(pci), iova);
		if (!m)
			return false;
		room = m->iova + m->size - iova;
		iova += room;
		len -= room < len ? room : len;
	}

	return pci;
}
