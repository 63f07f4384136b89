/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A million maps and unmaps leave the kernel's address space as it was. CYCLES and
 * SEED in the environment change how many and which.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "guest.h"

#define PAGE 4096UL
#define LARGE (2UL << 20)

#define SLOTS 16
#define SLOT_PAGES 16UL

/* Where fixed maps go: above what lasting maps get, below what ephemeral ones get. */
#define FIXED 0x40000000UL
#define FIXED_PAGES 1024UL

struct slot {
	char *vaddr;
	iova_t iova;
	size_t len;
};

/* What was used of a part of the address space. */
struct window {
	iova_t start, end;
};

enum {
	LOW,
	MIDDLE,
	HIGH,
	WINDOWS
};

static struct nvme_ctrl ctrl;
static struct iommu_ctx *ctx;
static uint64_t seed;
static struct slot slots[SLOTS];
static struct window windows[WINDOWS];

static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static uint64_t below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;

	return seed % n;
}

static bool is_taken(iova_t iova, size_t len)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (slots[i].len && iova < slots[i].iova + slots[i].len &&
		    slots[i].iova < iova + len)
			return true;

	return false;
}

static void take(struct slot *slot, iova_t iova, size_t len)
{
	struct window *w = &windows[iova < FIXED ? LOW : iova < 2 * FIXED ? MIDDLE : HIGH];

	if (!w->end || iova < w->start)
		w->start = iova;
	if (iova + len > w->end)
		w->end = iova + len;
	slot->iova = iova;
	slot->len = len;
}

/* The address that is free must be given, the one that is not must be refused. */
static void map_there(struct slot *slot, size_t len)
{
	iova_t iova = FIXED + below(FIXED_PAGES) * PAGE;
	bool taken = is_taken(iova, len);
	int ret = iommu_map_vaddr(ctx, slot->vaddr, len, &iova, IOMMU_MAP_FIXED_IOVA);

	if (taken) {
		assert_int_equal(ret, -1);
		assert_int_equal(errno, EEXIST);
		return;
	}
	assert_vfn(ret == 0);
	take(slot, iova, len);
}

static void map_somewhere(struct slot *slot, size_t len)
{
	size_t align = PAGE << below(8);
	iova_t iova = 0;

	assert_vfn(iommu_map_vaddr_align(ctx, slot->vaddr, len, align, &iova,
					 below(2) ? 0 : IOMMU_MAP_EPHEMERAL) == 0);
	assert_true(iova && iova % align == 0);
	assert_false(is_taken(iova, len));
	take(slot, iova, len);
}

static void empty(struct slot *slot)
{
	size_t len;

	assert_vfn(iommu_unmap_vaddr(ctx, slot->vaddr, &len) == 0);
	assert_int_equal(len, slot->len);
	slot->len = 0;
}

/* Mostly small ones. */
static void fill(struct slot *slot)
{
	size_t len = (1 + below(below(8) ? 2 : SLOT_PAGES)) * PAGE;

	if (below(3))
		map_somewhere(slot, len);
	else
		map_there(slot, len);
}

static void cycle(unsigned long cycles)
{
	while (cycles) {
		struct slot *slot = &slots[below(SLOTS)];

		if (slot->len) {
			empty(slot);
			cycles--;
		} else {
			fill(slot);
		}
	}
	for (unsigned int i = 0; i < SLOTS; i++)
		if (slots[i].len)
			empty(&slots[i]);
}

/* ---- what the library has ---- */

static iova_t place_of(void *mem, size_t align, unsigned long flags)
{
	iova_t iova = 0;

	assert_vfn(iommu_map_vaddr_align(ctx, mem, PAGE, align, &iova, flags) == 0);
	assert_vfn(iommu_unmap_vaddr(ctx, mem, NULL) == 0);

	return iova;
}

/* What a newcomer gets: lowest, highest, and the first that is aligned to 1 GiB. */
static void probe(void *mem, iova_t places[3])
{
	places[0] = place_of(mem, PAGE, 0);
	places[1] = place_of(mem, PAGE, IOMMU_MAP_EPHEMERAL);
	places[2] = place_of(mem, 1UL << 30, 0);
}

/* ---- what the kernel has ---- */

static int find_container(void)
{
	char path[64], target[PATH_MAX];
	int fd = -1;

	for (int i = 3; fd < 0 && i < 256; i++) {
		ssize_t len;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
		len = readlink(path, target, sizeof(target) - 1);
		if (len > 0 && !strncmp(target, "/dev/vfio/vfio", (size_t)len))
			fd = i;
	}

	return fd;
}

/* How many more mappings type1 would take; iommufd does not say. */
static unsigned int mappings_left(void)
{
	char room[1024] = {};
	struct vfio_iommu_type1_info *info = (void *)room;
	const struct vfio_info_cap_header *cap;
	int fd = find_container();

	if (iommu_ctx_is_iommufd(ctx))
		return 0;

	info->argsz = sizeof(room);
	assert_int_equal(ioctl(fd, VFIO_IOMMU_GET_INFO, info), 0);
	assert_true(info->argsz <= sizeof(room) && (info->flags & VFIO_IOMMU_INFO_CAPS));
	for (uint32_t at = info->cap_offset; at; at = cap->next) {
		cap = (void *)(room + at);
		if (cap->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)
			return ((const struct vfio_iommu_type1_info_dma_avail *)cap)->avail;
	}
	fail_msg("VFIO does not say how many mappings are left");

	return 0;
}

/* It refuses a fixed map over what it still has. */
static void check_kernel_has_nothing(void *mem, const struct window *w)
{
	size_t len;

	assert_true(w->end > w->start);
	for (iova_t iova = w->start; iova < w->end; iova += len) {
		len = w->end - iova < LARGE ? w->end - iova : LARGE;
		assert_vfn(iommu_map_vaddr(ctx, mem, len, &iova, IOMMU_MAP_FIXED_IOVA) == 0);
		assert_vfn(iommu_unmap_vaddr(ctx, mem, NULL) == 0);
	}
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* D6 */
static void test_cycles_leave_the_address_space_as_it_was(void **state)
{
	const unsigned long cycles = environment("CYCLES", 1000000);
	char *mem = guest_alloc(LARGE);
	iova_t before[3], after[3];
	unsigned int left = mappings_left();
	uint64_t start = now_ms();

	(void)state;
	for (unsigned int i = 0; i < SLOTS; i++)
		slots[i].vaddr = mem + i * SLOT_PAGES * PAGE;

	probe(mem, before);
	cycle(cycles);
	printf("# %lu cycles in %lu ms\n", cycles, (unsigned long)(now_ms() - start));

	probe(mem, after);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(mappings_left(), left);
	for (unsigned int i = 0; i < WINDOWS; i++)
		check_kernel_has_nothing(mem, &windows[i]);
	guest_free(mem, LARGE);
}

static int setup(void **state)
{
	(void)state;
	guest_open(&ctrl, "a", 0);
	ctx = __iommu_ctx(&ctrl);
	printf("# SEED=%llu, %s\n", (unsigned long long)seed, vfn_iommu_reason(ctx));

	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nvme_close(&ctrl);

	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycles_leave_the_address_space_as_it_was),
	};

	/* any but 0 */
	seed = environment("SEED", 88172645463325252ULL) | 1;

	return cmocka_run_group_tests(tests, setup, teardown);
}
