// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake type1v2 IOMMU: mapping rules, capability chain, translation. */
#include "emu_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "os/os.h"

#define PAGE_MASK (EMU_PAGE - 1)
#define CHAIN_START sizeof(struct vfio_iommu_type1_info)
#define INFO_ROOM 1024

static struct emu_iommu_opts opts;
static uint32_t grown;

void iommu_init(void)
{
	const char *wanted = getenv("EMU_IOMMUFD");

	opts = (struct emu_iommu_opts){
		.ranges = { { 0, 0xfedfffff }, { 0xfef00000, (1ULL << 39) - 1 } },
		.nranges = 2,
		.dma_entry_limit = 65535,
		.no_iommufd = !wanted || !*wanted || !strcmp(wanted, "0"),
	};
	grown = INFO_ROOM;
}

struct emu_iommu_opts *emu_iommu(void)
{
	return &opts;
}

bool iommu_no_vfio(void)
{
	return opts.no_vfio;
}

bool iommu_no_iommufd(void)
{
	return opts.no_iommufd;
}

bool iommu_no_cdev(void)
{
	return opts.no_iommufd || opts.no_cdev;
}

const char *emu_map_call(void)
{
	return opts.no_iommufd ? "ioctl MAP_DMA" : "ioctl IOAS_MAP";
}

const char *emu_unmap_call(void)
{
	return opts.no_iommufd ? "ioctl UNMAP_DMA" : "ioctl IOAS_UNMAP";
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
	case EMU_CHAIN_ODD:
		memmove(buf + at + 2, buf + at, end - at);
		first->next = at + 2;
		end += 2;
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

bool iommu_in_ranges(uint64_t iova, uint64_t last)
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

static struct dma_map make_map(const struct vfio_iommu_type1_dma_map *map)
{
	char *vaddr = (char *)(uintptr_t)map->vaddr;

	return (struct dma_map){
		.iova = map->iova,
		.size = map->size,
		.vaddr = vaddr,
		.host = vaddr,
		.read = map->flags & VFIO_DMA_MAP_FLAG_READ,
		.write = map->flags & VFIO_DMA_MAP_FLAG_WRITE,
	};
}

uint64_t os_memlock_limit(void)
{
	return opts.memlock ? opts.memlock : UINT64_MAX;
}

bool iommu_over_memlock(uint64_t size)
{
	return opts.memlock && emu_used.dma_bytes + size > opts.memlock;
}

int iommu_map(struct space *s, const struct vfio_iommu_type1_dma_map *map)
{
	uint64_t last = map->iova + map->size - 1;
	int err = check_map(map);
	struct dma_map new, *next;

	if (err)
		return emu_errno(err);
	next = space_next(s, map->iova);
	if (next && next->iova <= last)
		return emu_errno(EEXIST);
	if (s->nmaps >= opts.dma_entry_limit)
		return emu_errno(ENOSPC);
	if (!iommu_in_ranges(map->iova, last))
		return emu_errno(EINVAL);
	if (iommu_over_memlock(map->size))
		return emu_errno(ENOMEM);
	new = make_map(map);
	if (!mm_bar_memory(&new) && !space_memory_ok(&new))
		return emu_errno(EFAULT);
	space_insert(s, &new);

	return 0;
}

/* Version 2 does not split: mappings must be wholly inside. */
static bool splits(const struct space *s, uint64_t iova, uint64_t last)
{
	struct dma_map *first = space_next(s, iova), *end = space_next(s, last);

	if (first && first->iova < iova)
		return true;

	return end && end->iova <= last && end->iova + end->size - 1 > last;
}

int iommu_unmap(struct space *s, struct vfio_iommu_type1_dma_unmap *unmap)
{
	bool all = unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	uint64_t last = unmap->iova + unmap->size - 1;

	if (unmap->argsz < sizeof(*unmap) || unmap->flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return emu_errno(EINVAL);
	if (all) {
		if (unmap->iova || unmap->size)
			return emu_errno(EINVAL);
		last = UINT64_MAX;
	} else if (!unmap->size || (unmap->iova | unmap->size) & PAGE_MASK || last < unmap->iova) {
		return emu_errno(EINVAL);
	}

	if (!all && splits(s, unmap->iova, last))
		return emu_errno(EINVAL);
	unmap->size = space_remove(s, unmap->iova, last);
	if (opts.short_unmap && unmap->size)
		unmap->size -= EMU_PAGE;

	return 0;
}
