// SPDX-License-Identifier: GPL-2.0-or-later
/* The single steps on sysfs: include/vfn/pci/util.h. */
#include "machine.h"

static void number_hexadecimal_is_read(void **state)
{
	unsigned long long v = 0;

	add_bound(EMU_BDF, "nvme");
	assert_int_equal(pci_device_info_get_ull("01:00.0", "class", &v), 0);
	assert_int_equal(v, 0x010802);
}

static void number_longest_is_read(void **state)
{
	unsigned long long v = 0;

	add_bound(EMU_BDF, "nvme");
	emu_file(DEV "/big", "18446744073709551615\n");
	assert_int_equal(pci_device_info_get_ull(EMU_BDF, "big", &v), 0);
	assert_true(v == UINT64_MAX);
}

/* W20: an attribute that is longer than any number */
static void number_from_long_attribute_is_einval(void **state)
{
	unsigned long long v = 42;
	char digits[9001];

	add_bound(EMU_BDF, "nvme");
	assert_fails_with(pci_device_info_get_ull(EMU_BDF, "modalias", &v), EINVAL);

	for (size_t len = 28; len < 36; len++) {
		memset(digits, 'x', len);
		digits[len] = '\0';
		emu_file(DEV "/long", digits);
		assert_fails_with(pci_device_info_get_ull(EMU_BDF, "long", &v), EINVAL);
	}

	memset(digits, '1', sizeof(digits) - 1);
	digits[sizeof(digits) - 1] = '\0';
	emu_file(DEV "/long", digits);
	assert_fails_with(pci_device_info_get_ull(EMU_BDF, "long", &v), ERANGE);
	assert_int_equal(v, 42);
}

static void number_ill_formed_is_refused(void **state)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{ "", EINVAL },	     { "\n", EINVAL },
		{ "x", EINVAL },     { "12x\n", EINVAL },
		{ "0x", EINVAL },    { " 1", EINVAL },
		{ "1 2\n", EINVAL }, { "+1", EINVAL },
		{ "-1\n", ERANGE },  { "18446744073709551616\n", ERANGE },
		{ "-", EINVAL },
	};
	unsigned long long v = 42;

	add_bound(EMU_BDF, "nvme");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		emu_file(DEV "/odd", cases[i].text);
		assert_fails_with(pci_device_info_get_ull(EMU_BDF, "odd", &v), cases[i].err);
		assert_error_has(EMU_BDF);
		assert_int_equal(v, 42);
	}
}

static void number_without_attribute_is_enoent(void **state)
{
	unsigned long long v;

	add_bound(EMU_BDF, "nvme");
	assert_fails_with(pci_device_info_get_ull(EMU_BDF, "nothing", &v), ENOENT);
	assert_fails_with(pci_device_info_get_ull(EMU_BDF, "", &v), EINVAL);
	assert_fails_with(pci_device_info_get_ull(EMU_BDF, NULL, &v), EINVAL);
}

static void driver_bound_is_named(void **state)
{
	char *driver;

	add_bound(EMU_BDF, "nvme");
	driver = pci_get_driver(EMU_BDF);
	assert_string_equal(driver, "nvme");
	free(driver);
}

static void driver_absent_is_enoent(void **state)
{
	add_bound(EMU_BDF, "");
	assert_null_with(pci_get_driver(EMU_BDF), ENOENT);
	assert_error_has("no driver is bound");
	assert_fails_with(pci_unbind(EMU_BDF), ENOENT);
	assert_error_has("no driver is bound");
}

static void unbind_then_bind_changes_driver(void **state)
{
	struct emu_pci *pci = add_bound(EMU_BDF, "nvme");

	assert_int_equal(pci_unbind(EMU_BDF), 0);
	assert_string_equal(emu_pci_driver(pci), "");
	assert_int_equal(pci_bind(EMU_BDF, "nvme"), 0);
	assert_string_equal(emu_pci_driver(pci), "nvme");
	assert_fails_with(pci_bind(EMU_BDF, "nvme"), EBUSY);
}

static void unbind_that_the_kernel_refuses_says_so(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_fail_at(EMU_WRITE, 1, EPERM);
	assert_fails_with(pci_unbind(EMU_BDF), EPERM);
	assert_error_has("cannot unbind: Operation not permitted");
}

static void bind_to_driver_that_is_missing_says_modprobe(void **state)
{
	add_bound(EMU_BDF, "");
	assert_fails_with(pci_bind(EMU_BDF, "uio"), ENOENT);
	assert_error_has("modprobe uio");
}

static void bind_to_name_that_is_a_path_is_einval(void **state)
{
	static const char *const bad[] = { NULL, "", ".", "..", "../nvme", "a/b" };

	add_bound(EMU_BDF, "");
	emu_calls_clear();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_fails_with(pci_bind(EMU_BDF, bad[i]), EINVAL);
		assert_fails_with(pci_driver_new_id(bad[i], 1, 2), EINVAL);
		assert_fails_with(vfn_pci_bind_driver(EMU_BDF, bad[i], NULL), EINVAL);
	}
	assert_int_equal(emu_call_count("open"), 0);
}

static void new_id_then_remove_id_takes_and_forgets(void **state)
{
	struct emu_pci *pci = add_bound(EMU_BDF, "");

	assert_int_equal(pci_driver_new_id("vfio-pci", 0x1b36, 0x0010), 0);
	assert_string_equal(emu_pci_driver(pci), "vfio-pci");
	assert_fails_with(pci_driver_new_id("vfio-pci", 0x1b36, 0x0010), EEXIST);
	assert_int_equal(pci_driver_remove_id("vfio-pci", 0x1b36, 0x0010), 0);
	assert_fails_with(pci_driver_remove_id("vfio-pci", 0x1b36, 0x0010), ENODEV);
}

static void group_is_path_of_vfio(void **state)
{
	struct emu_pci_opts opts = { .group = 17 };
	char *group;

	emu_pci_add(&opts);
	group = pci_get_iommu_group(EMU_BDF);
	assert_string_equal(group, "/dev/vfio/17");
	free(group);
}

static void group_of_number_zero_has_a_path(void **state)
{
	char *group;

	add_bound(EMU_BDF, "nvme");
	emu_link(DEV "/iommu_group", "../../../kernel/iommu_groups/0");
	errno = ENOENT;
	group = pci_get_iommu_group(EMU_BDF);
	assert_non_null(group);
	assert_string_equal(group, "/dev/vfio/0");
	free(group);
}

/* W14, W41: no crash, and the errno is the cause's */
static void group_absent_is_enodev_with_hint(void **state)
{
	struct emu_pci_opts opts = { .no_group = true, .driver = "nvme" };

	emu_pci_add(&opts);
	assert_null_with(pci_get_iommu_group(EMU_BDF), ENODEV);
	assert_error_has(EMU_BDF);
	assert_error_has("intel_iommu=on");
}

static void group_beyond_an_int_is_erange(void **state)
{
	emu_pci_add(NULL);
	emu_link(DEV "/iommu_group", "../../../kernel/iommu_groups/2147483648");
	assert_null_with(pci_get_iommu_group(EMU_BDF), ERANGE);
	/* the lower half is not another group */
	emu_link(DEV "/iommu_group", "../../../kernel/iommu_groups/4294967297");
	assert_null_with(pci_get_iommu_group(EMU_BDF), ERANGE);
}

static void vfio_id_is_name_of_cdev(void **state)
{
	char *id;

	add_bound(EMU_BDF, "vfio-pci");
	emu_iommu()->no_iommufd = true;
	assert_null_with(pci_get_device_vfio_id(EMU_BDF), ENOENT);

	emu_iommu()->no_iommufd = false;
	id = pci_get_device_vfio_id(EMU_BDF);
	assert_string_equal(id, "vfio0");
	free(id);
}

static void add_virtual_functions(void)
{
	struct emu_pci_opts opts = { .bdf = EMU_BDF, .sriov_totalvfs = 2 };

	emu_file("/sys/module/vfio_pci/parameters/enable_sriov", "Y\n");
	emu_pci_add(&opts);
	add_bound(EMU_BDF2, "");
	add_bound(EMU_BDF3, "");
	emu_link(DEV "/virtfn0", "../" EMU_BDF2);
	emu_link(DEV "/virtfn1", "../" EMU_BDF3);
	emu_link("/sys/bus/pci/devices/" EMU_BDF2 "/physfn", "../" EMU_BDF);
	emu_link("/sys/bus/pci/devices/" EMU_BDF3 "/physfn", "../" EMU_BDF);
}

static void sriov_functions_know_each_other(void **state)
{
	char *bdf;

	add_virtual_functions();
	assert_true(pci_is_pf(EMU_BDF));
	assert_true(pci_is_sriov_supported(EMU_BDF));
	assert_false(pci_is_vf(EMU_BDF));
	assert_true(pci_is_vf(EMU_BDF3));
	assert_false(pci_is_pf(EMU_BDF3));
	assert_false(pci_is_sriov_supported(EMU_BDF3));

	bdf = pci_get_vf_bdf(EMU_BDF, 1);
	assert_string_equal(bdf, EMU_BDF2);
	free(bdf);
	bdf = pci_get_vf_bdf(EMU_BDF, 2);
	assert_string_equal(bdf, EMU_BDF3);
	free(bdf);
	bdf = pci_vf_get_pf_bdf(EMU_BDF3);
	assert_string_equal(bdf, EMU_BDF);
	free(bdf);
	assert_int_equal(pci_vf_get_vfnum(EMU_BDF2), 1);
	assert_int_equal(pci_vf_get_vfnum("03:00.0"), 2);
}

static void sriov_link_that_cannot_be_read_is_no_answer(void **state)
{
	add_virtual_functions();
	emu_file_error("/sys/bus/pci/devices/" EMU_BDF3 "/physfn", EACCES);
	assert_null_with(pci_vf_get_pf_bdf(EMU_BDF3), EACCES);
	assert_error_has("cannot read physfn");
}

static void sriov_number_out_of_range_is_refused(void **state)
{
	add_virtual_functions();
	assert_null_with(pci_get_vf_bdf(EMU_BDF, 0), EINVAL);
	assert_null_with(pci_get_vf_bdf(EMU_BDF, -1), EINVAL);
	assert_null_with(pci_get_vf_bdf(EMU_BDF, INT32_MIN), EINVAL);
	assert_null_with(pci_get_vf_bdf(EMU_BDF, 3), ENOENT);
	assert_null_with(pci_vf_get_pf_bdf(EMU_BDF), ENOENT);
	assert_fails_with(pci_vf_get_vfnum(EMU_BDF), ENOENT);
}

static void numvfs_is_written_and_read_back(void **state)
{
	add_virtual_functions();
	assert_int_equal(vfn_pci_get_numvfs(EMU_BDF), 0);
	assert_int_equal(vfn_pci_set_numvfs("01:00.0", 2), 0);
	assert_string_equal(emu_file_content(DEV "/sriov_numvfs"), "2\n");
	assert_int_equal(vfn_pci_get_numvfs(EMU_BDF), 2);
	assert_int_equal(vfn_pci_set_numvfs(EMU_BDF, 2), 0);
	assert_int_equal(vfn_pci_set_numvfs(EMU_BDF, 0), 0);
	assert_int_equal(vfn_pci_get_numvfs(EMU_BDF), 0);
	assert_int_equal(vfn_pci_set_numvfs(EMU_BDF, 0), 0);
}

static void numvfs_is_read_in_pieces_when_the_kernel_gives_no_more(void **state)
{
	emu_pci_add(NULL);
	emu_file(DEV "/sriov_numvfs", "12\n");
	emu_transfer_at_most(EMU_READ, 1);
	assert_int_equal(vfn_pci_get_numvfs(EMU_BDF), 12);
}

static void numvfs_that_is_not_written_whole_is_eio(void **state)
{
	add_virtual_functions();
	emu_transfer_at_most(EMU_WRITE, 0);
	assert_fails_with(vfn_pci_set_numvfs(EMU_BDF, 2), EIO);
	assert_error_has("cannot have 2 virtual functions: Input/output error");
	emu_file(DEV "/sriov_totalvfs", "12\n");
	emu_transfer_at_most(EMU_WRITE, 1);
	assert_fails_with(vfn_pci_set_numvfs(EMU_BDF, 12), EIO);
	assert_error_has("cannot have 12 virtual functions: Input/output error");
}

static void numvfs_that_cannot_be_is_refused(void **state)
{
	add_virtual_functions();
	assert_fails_with(vfn_pci_set_numvfs(EMU_BDF, 3), EINVAL);
	assert_error_has("can have 2");
	assert_fails_with(vfn_pci_set_numvfs(EMU_BDF, UINT32_MAX), EINVAL);
	assert_fails_with(vfn_pci_set_numvfs(EMU_BDF2, 1), ENOTSUP);
	assert_error_has("no physical function");
	assert_fails_with(vfn_pci_get_numvfs(EMU_BDF2), ENOTSUP);
	assert_fails_with(vfn_pci_set_numvfs("0000:09:00.0", 1), ENODEV);
	assert_fails_with(vfn_pci_set_numvfs("nonsense", 1), EINVAL);
	assert_fails_with(vfn_pci_get_numvfs(NULL), EINVAL);
	assert_int_equal(vfn_pci_get_numvfs(EMU_BDF), 0);

	/* from one number to another the way leads over none */
	emu_file(DEV "/sriov_numvfs", "1\n");
	assert_fails_with(vfn_pci_set_numvfs(EMU_BDF, 2), EBUSY);
	assert_error_has("has 1 virtual functions");
	assert_int_equal(vfn_pci_get_numvfs(EMU_BDF), 1);
}

static int make_two(void *arg)
{
	return vfn_pci_set_numvfs(EMU_BDF, 2);
}

static void make_none(void *arg)
{
	assert_int_equal(vfn_pci_set_numvfs(EMU_BDF, 0), 0);
}

static void numvfs_beyond_an_int_is_erange(void **state)
{
	emu_pci_add(NULL);
	emu_file(DEV "/sriov_numvfs", "4294967296\n");
	assert_fails_with(vfn_pci_get_numvfs(EMU_BDF), ERANGE);
	assert_error_has("4294967296");
	emu_file(DEV "/sriov_numvfs", "2147483647\n");
	assert_int_equal(vfn_pci_get_numvfs(EMU_BDF), INT32_MAX);
}

static void numvfs_that_the_kernel_refuses_says_so(void **state)
{
	add_virtual_functions();
	emu_fail_at(EMU_WRITE, 1, EBUSY);
	assert_fails_with(make_two(NULL), EBUSY);
	emu_fail_at(EMU_WRITE, 1, ENOENT);
	assert_fails_with(make_two(NULL), ENOTSUP);
	assert_error_has("enable_sriov=1");
	emu_fail_at(0, 0, 0);
	make_none(NULL);
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, make_two, make_none, NULL) >= 4);
}

/* W41: whatever fails, the errno is that of the call that failed */
static int read_everything(void *arg)
{
	unsigned long long v;
	char *driver, *group;

	if (pci_device_info_get_ull(EMU_BDF, "class", &v))
		return -1;
	driver = pci_get_driver(EMU_BDF);
	if (!driver)
		return -1;
	free(driver);
	group = pci_get_iommu_group(EMU_BDF);
	if (!group)
		return -1;
	free(group);

	return 0;
}

static void nothing(void *arg)
{
}

static void reading_failing_at_n_keeps_errno(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_true(emu_fail_each(EMU_SYSCALL, EIO, read_everything, nothing, NULL) >= 6);
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, read_everything, nothing, NULL) >= 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(number_hexadecimal_is_read),
		test(number_longest_is_read),
		test(number_from_long_attribute_is_einval),
		test(number_ill_formed_is_refused),
		test(number_without_attribute_is_enoent),
		test(driver_bound_is_named),
		test(driver_absent_is_enoent),
		test(unbind_then_bind_changes_driver),
		test(unbind_that_the_kernel_refuses_says_so),
		test(bind_to_driver_that_is_missing_says_modprobe),
		test(bind_to_name_that_is_a_path_is_einval),
		test(new_id_then_remove_id_takes_and_forgets),
		test(group_is_path_of_vfio),
		test(group_beyond_an_int_is_erange),
		test(group_of_number_zero_has_a_path),
		test(group_absent_is_enodev_with_hint),
		test(vfio_id_is_name_of_cdev),
		test(sriov_functions_know_each_other),
		test(sriov_link_that_cannot_be_read_is_no_answer),
		test(sriov_number_out_of_range_is_refused),
		test(numvfs_is_written_and_read_back),
		test(numvfs_is_read_in_pieces_when_the_kernel_gives_no_more),
		test(numvfs_that_is_not_written_whole_is_eio),
		test(numvfs_that_cannot_be_is_refused),
		test(numvfs_beyond_an_int_is_erange),
		test(numvfs_that_the_kernel_refuses_says_so),
		test(reading_failing_at_n_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
