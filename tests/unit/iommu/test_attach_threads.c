// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices come and go in an address space that threads map memory in; TSan watches. */
#include "space.h"

#include <pthread.h>

#include <vfn/iommu/iommufd.h>
#include <vfn/support/atomic.h>

#define THREADS 3
#define ROUNDS 100

/* cmocka's assertions belong to the main thread: the others count what went wrong. */
static unsigned int wrong, ready, stop;

static void check(bool cond)
{
	if (!cond)
		atomic_inc(&wrong);
}

static void *map_and_ask(void *arg)
{
	char *own = arg;

	while (!atomic_load_acquire(&stop)) {
		struct iommu_iova_range *ranges;
		iova_t iova = 0, found = 0;

		check(!iommu_map_vaddr(ctx, own, 4 * PAGE, &iova, 0));
		check(iova >= MIB && iova < 16 * MIB);
		check(vfn_iommu_translate(ctx, own, 4 * PAGE, &found) == 4 * PAGE && found == iova);
		check(iommu_get_iova_ranges(ctx, &ranges) == 1);
		check(!iommufd_set_fault_queue(ctx, NULL, pci.dev.fd) == with_iommufd());
		check(!iommu_unmap_vaddr(ctx, own, NULL));
		atomic_inc(&ready);
	}

	return NULL;
}

/* D17: The addresses that the threads get are in the narrower range, too. */
static void devices_come_and_go_while_threads_map(void **state)
{
	const struct emu_pci_opts opts = { .bdf = EMU_BDF2 };
	pthread_t threads[THREADS];
	struct vfio_pci_device other;

	emu_pci_add(&opts);
	set_range(MIB, 64 * MIB - 1);
	open_space();
	set_range(MIB, 16 * MIB - 1);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, map_and_ask,
						mem + 16 * i * PAGE),
				 0);

	/* each round meets threads that are at it */
	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int seen = atomic_load_acquire(&ready);

		memset(&other, 0, sizeof(other));
		other.dev.ctx = ctx;
		check(!vfio_pci_open(&other, EMU_BDF2));
		check(!vfio_pci_close(&other));
		while (atomic_load_acquire(&ready) == seen)
			;
	}
	atomic_inc(&stop);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(emu_usage().dma_maps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_closed(devices_come_and_go_while_threads_map),
	};

	return cmocka_run_group_tests_name("attach-threads", tests, NULL, NULL);
}
