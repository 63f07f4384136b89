// SPDX-License-Identifier: GPL-2.0-or-later
/* Mapping memory that is a file's, with iommufd. */
#include "space.h"

#include <unistd.h>

static int fd;
static char *view;

static void open_memfd(void)
{
	fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
	view = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(view, MAP_FAILED);
}

static void close_memfd(void)
{
	munmap(view, 8 * PAGE);
	close(fd);
}

static int setup_file(void **state)
{
	if (setup_closed(state))
		return -1;
	emu_iommu()->no_iommufd = false;
	open_memfd();

	return 0;
}

static int teardown_file(void **state)
{
	close_memfd();

	return teardown(state);
}

static int map_part(unsigned int page, size_t len, iova_t *iova, unsigned long flags)
{
	return vfn_iommu_map_file(ctx, fd, (off_t)(page * PAGE), view + page * PAGE, len, iova,
				  flags);
}

static void file_is_mapped_and_translates(void **state)
{
	const struct emu_usage before = emu_usage();
	iova_t iova, got;

	open_space();
	assert_int_equal(map_part(2, 3 * PAGE, &iova, 0), 0);
	assert_true(emu_iova_mapped(EMU_BDF, iova, 3 * PAGE));
	assert_int_equal(emu_call_count("ioctl IOAS_MAP_FILE"), 1);
	assert_int_equal(vfn_iommu_translate(ctx, view + 3 * PAGE, 9 * PAGE, &got), 2 * PAGE);
	assert_int_equal(got, iova + PAGE);

	/* mapped is mapped, whichever way one asks */
	assert_int_equal(map(view + 2 * PAGE, PAGE, 0), iova);
	assert_int_equal(map_part(2, PAGE, &got, 0), 0);
	assert_int_equal(got, iova);
	unmap(view + 2 * PAGE);
	assert_int_equal(vfio_pci_close(&pci), 0);
	emu_assert_usage(&before);
}

static void file_is_mapped_where_it_is_told(void **state)
{
	iova_t iova = 0x123000;

	open_space();
	assert_int_equal(map_part(0, PAGE, &iova, IOMMU_MAP_FIXED_IOVA), 0);
	assert_true(emu_iova_mapped(EMU_BDF, 0x123000, PAGE));
	unmap(view);
}

static void bad_files_are_refused(void **state)
{
	struct tally before;
	int pipes[2];

	open_space();
	before = tally();
	assert_fails_with(vfn_iommu_map_file(ctx, -1, 0, view, PAGE, NULL, 0), EINVAL);
	assert_fails_with(vfn_iommu_map_file(ctx, fd, -(off_t)PAGE, view, PAGE, NULL, 0), EINVAL);
	assert_error_has("offset -4096 is no multiple");
	assert_fails_with(vfn_iommu_map_file(ctx, fd, 1, view, PAGE, NULL, 0), EINVAL);
	assert_error_has("offset 1 is no multiple");
	assert_fails_with(vfn_iommu_map_file(ctx, fd, 0, view + 1, PAGE, NULL, 0), EINVAL);
	assert_fails_with(vfn_iommu_map_file(NULL, fd, 0, view, PAGE, NULL, 0), EINVAL);
	assert_fails_with(map_part(7, 2 * PAGE, NULL, 0), EINVAL);
	assert_error_has("memfd");
	assert_int_equal(pipe(pipes), 0);
	assert_fails_with(vfn_iommu_map_file(ctx, pipes[0], 0, view, PAGE, NULL, 0), EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	assert_fails_with(vfn_iommu_map_file(ctx, pipes[0], 0, view, PAGE, NULL, 0), EBADF);
	assert_tally(&before);
}

static void kernel_without_is_not_supported(void **state)
{
	emu_iommu()->no_map_file = true;
	open_space();
	assert_fails_with(map_part(0, PAGE, NULL, 0), ENOTSUP);
	assert_error_has("Linux 6.13");
}

static void type1_is_not_supported(void **state)
{
	emu_iommu()->no_iommufd = true;
	open_space();
	assert_fails_with(map_part(0, PAGE, NULL, 0), ENOTSUP);
	assert_error_has("iommufd only");
}

#undef test
#define test(name) cmocka_unit_test_setup_teardown(name, setup_file, teardown_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(file_is_mapped_and_translates), test(file_is_mapped_where_it_is_told),
		test(bad_files_are_refused),	     test(kernel_without_is_not_supported),
		test(type1_is_not_supported),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
