// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads that map, unmap, translate, open and close at the same time; TSan watches. */
#include "space.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <vfn/support/atomic.h>

#define THREADS 4
#define ROUNDS 1500

/* cmocka's assertions belong to the main thread: the others count what went wrong. */
static unsigned int wrong, stop;
static pthread_barrier_t start;

#define check(cond) \
	do { \
		if (!(cond)) \
			atomic_inc(&wrong); \
	} while (0)

struct worker {
	pthread_t thread;
	unsigned int id;
	void *(*fn)(void *arg);
};

static void *work(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(&start);

	return w->fn(w);
}

static void run(void *(*fn)(void *), void *(*reader)(void *))
{
	struct worker workers[THREADS];
	pthread_t watching;

	wrong = stop = 0;
	pthread_barrier_init(&start, NULL, THREADS);
	if (reader)
		assert_int_equal(pthread_create(&watching, NULL, reader, NULL), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i].id = i;
		workers[i].fn = fn;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	atomic_inc(&stop);
	if (reader)
		pthread_join(watching, NULL);
	pthread_barrier_destroy(&start);

	assert_int_equal(wrong, 0);
}

/* D17: each its own pages */
static void *map_own(void *arg)
{
	struct worker *w = arg;
	char *own = mem + w->id * 16 * PAGE;
	unsigned int seed = w->id;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t len = (1 + rand_r(&seed) % 8) * PAGE;
		unsigned long flags = rand_r(&seed) & 1 ? IOMMU_MAP_EPHEMERAL : 0;
		iova_t iova = 0, found = 0;
		void *back = NULL;

		check(!iommu_map_vaddr(ctx, own, len, &iova, flags));
		check(vfn_iommu_translate(ctx, own, len, &found) == len && found == iova);
		check(iommu_translate_iova(ctx, iova, &back) == (ssize_t)len && back == own);
		check(!iommu_unmap_vaddr(ctx, own, NULL));
	}

	return NULL;
}

/* Sees a page as it was or as it is, never something else, and no run past what any thread maps. */
static void *translate_all(void *arg)
{
	while (!atomic_load_acquire(&stop)) {
		for (unsigned int i = 0; i < THREADS * 16; i++) {
			uint64_t entry = iommu_table_entry(ctx, (uintptr_t)mem + i * PAGE);
			size_t run = iommu_entry_run(entry);
			iova_t iova = 0;

			check(!entry == !run && (!run || i % 16 + run / PAGE <= 8));
			if (iommu_translate_vaddr(ctx, mem + i * PAGE + 3, &iova))
				check(iova % PAGE == 3 && iova >= PAGE && iova < 1ULL << 39);
		}
	}

	return NULL;
}

/* D17 */
static void maps_and_unmaps_do_not_disturb_each_other(void **state)
{
	struct tally before = tally();

	run(map_own, translate_all);
	assert_tally(&before);
}

/* W33: all the same pages */
static void *map_shared(void *arg)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		iova_t iova = 0, found = 0;

		check(!iommu_map_vaddr(ctx, mem, 4 * PAGE, &iova, IOMMU_MAP_EPHEMERAL));
		check(vfn_iommu_translate(ctx, mem, 4 * PAGE, &found) == 4 * PAGE && found == iova);
		check(!iommu_unmap_vaddr(ctx, mem, NULL));
	}

	return NULL;
}

static void ephemeral_users_of_the_same_pages_come_out_even(void **state)
{
	struct tally before = tally();

	run(map_shared, translate_all);
	assert_false(is_mapped(mem));
	assert_tally(&before);
}

/* Commands whose buffers share pages. */
static void *pin_overlapping(void *arg)
{
	struct worker *w = arg;
	char *first = mem + w->id * PAGE;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		iova_t iova;

		check(!iommu_pin(ctx, first, 3 * PAGE));
		for (unsigned int page = 0; page < 3; page++)
			check(iommu_translate_vaddr(ctx, first + page * PAGE, &iova));
		iommu_unpin(ctx, first, 3 * PAGE);
	}

	return NULL;
}

static void pins_that_overlap_come_out_even(void **state)
{
	struct tally before = tally();

	run(pin_overlapping, translate_all);
	assert_int_equal(emu_usage().dma_maps, 0);
	assert_tally(&before);
}

/* W33: a map that several remove goes once */
static unsigned int removed;

static void *unmap_one(void *arg)
{
	if (!iommu_unmap_vaddr(ctx, mem, NULL))
		atomic_inc(&removed);
	else
		check(errno == ENOENT);

	return NULL;
}

/* D17 */
static void unmaps_of_one_map_succeed_once(void **state)
{
	for (unsigned int i = 0; i < 200; i++) {
		removed = 0;
		map(mem, PAGE, 0);
		run(unmap_one, NULL);
		assert_int_equal(removed, 1);
	}
}

/* Asked for before every command: no lock and no call where it is mapped to stay. */
static void *map_again(void *arg)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		iova_t iova = 0;

		check(!iommu_map_vaddr(ctx, mem, PAGE, &iova, 0) && iova);
	}

	return NULL;
}

static void maps_of_what_is_mapped_make_one_map(void **state)
{
	run(map_again, NULL);
	assert_int_equal(count_maps(), 1);
	unmap(mem);
	assert_false(is_mapped(mem));
}

/* W33 */
static void *open_and_close(void *arg)
{
	struct worker *w = arg;
	char bdf[] = "0000:05:00.0";

	bdf[11] = (char)('0' + w->id);
	for (unsigned int i = 0; i < 50; i++) {
		struct vfio_pci_device dev = {};

		check(!vfio_pci_open(&dev, bdf));
		check(!vfio_pci_close(&dev));
	}

	return NULL;
}

static void opens_and_closes_of_different_devices_succeed(void **state)
{
	/* two of a group, two of their own */
	for (unsigned int i = 0; i < THREADS; i++) {
		char bdf[] = "0000:05:00.0";
		const struct emu_pci_opts opts = { .bdf = bdf, .group = i < 2 ? 50 : 0 };

		bdf[11] = (char)('0' + i);
		emu_pci_add(&opts);
	}

	run(open_and_close, NULL);
}

/* The first message decides on the verbosity, whoever has it. */
static void *fail_a_lot(void *arg)
{
	char text[64];
	struct worker *w = arg;

	for (unsigned int i = 0; i < 100; i++) {
		void *nowhere = (void *)(uintptr_t)((w->id + 1) * PAGE);

		/* refused before any lock is taken */
		check(iommu_map_vaddr(ctx, nowhere, 0, NULL, 0) == -1 && errno == EINVAL);
		snprintf(text, sizeof(text), "cannot map 0 bytes at %p", nowhere);
		check(strstr(vfn_last_error(), text));
	}

	return NULL;
}

static void failures_have_the_texts_of_their_threads(void **state)
{
	logv_set(VFN_LOG_UNSET);
	run(fail_a_lot, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(maps_and_unmaps_do_not_disturb_each_other),
		test(ephemeral_users_of_the_same_pages_come_out_even),
		test(pins_that_overlap_come_out_even),
		test(unmaps_of_one_map_succeed_once),
		test(maps_of_what_is_mapped_make_one_map),
		test(opens_and_closes_of_different_devices_succeed),
		test(failures_have_the_texts_of_their_threads),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
