/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's limits on mappings and on locked memory, and what the library says of them. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest.h"

#define PAGE 4096UL
#define MIB (1UL << 20)

/* More than type1 takes by default: dma_entry_limit is 65535. */
#define ENTRIES 66000UL

/* More than an open controller has. */
#define LOCKED_BYTES (4 * MIB)
#define NOBODY 65534

static struct nvme_ctrl ctrl;
static struct iommu_ctx *ctx;

static void unmap(void *vaddr)
{
	assert_vfn(iommu_unmap_vaddr(ctx, vaddr, NULL) == 0);
}

static void assert_error_has(const char *part)
{
	if (!strstr(vfn_last_error(), part))
		fail_msg("'%s' is not in '%s'", part, vfn_last_error());
}

/* D9; iommufd has no such limit */
static void test_limit_of_mappings_is_enomem_and_says_so(void **state)
{
	char *mem = mmap(NULL, ENTRIES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned long n = 0;

	(void)state;
	assert_ptr_not_equal(mem, MAP_FAILED);

	while (n < ENTRIES && !iommu_map_vaddr(ctx, mem + n * PAGE, PAGE, NULL, 0))
		n++;
	if (iommu_ctx_is_iommufd(ctx)) {
		assert_int_equal(n, ENTRIES);
	} else {
		assert_in_range(n, 60000, 65535);
		assert_int_equal(errno, ENOMEM);
		assert_error_has("dma_entry_limit of vfio_iommu_type1");

		/* one gone, one more to be had */
		unmap(mem);
		assert_vfn(iommu_map_vaddr(ctx, mem, PAGE, NULL, 0) == 0);
	}
	for (unsigned long i = 0; i < n; i++)
		unmap(mem + i * PAGE);
	munmap(mem, ENTRIES * PAGE);
}

/* D8: the limit is for who lacks CAP_IPC_LOCK */
static void test_limit_of_locked_memory_is_enomem_and_says_so(void **state)
{
	const struct rlimit limit = { LOCKED_BYTES, LOCKED_BYTES };
	char *mem = guest_alloc(8 * MIB);

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(seteuid(NOBODY), 0);

	assert_int_equal(iommu_map_vaddr(ctx, mem, 8 * MIB, NULL, 0), -1);
	assert_int_equal(errno, ENOMEM);
	assert_error_has("cannot pin 8388608 more bytes");
	assert_error_has("is 4194304 bytes");
	assert_error_has("ulimit -l");

	/* what it allows works, and works again when it was given back */
	for (unsigned int i = 0; i < 2; i++) {
		assert_vfn(iommu_map_vaddr(ctx, mem, MIB, NULL, 0) == 0);
		unmap(mem);
	}

	assert_int_equal(seteuid(0), 0);
	assert_vfn(iommu_map_vaddr(ctx, mem, 8 * MIB, NULL, 0) == 0);
	unmap(mem);
	guest_free(mem, 8 * MIB);
}

static int setup(void **state)
{
	(void)state;
	guest_open(&ctrl, "a", 0);
	ctx = __iommu_ctx(&ctrl);

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
		cmocka_unit_test(test_limit_of_mappings_is_enomem_and_says_so),
		cmocka_unit_test(test_limit_of_locked_memory_is_enomem_and_says_so),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
