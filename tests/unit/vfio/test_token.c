// SPDX-License-Identifier: GPL-2.0-or-later
/* VF tokens: taken from the environment, and given to the kernel by either interface. */
#include "device.h"

#include <stdlib.h>

#include <vfn/pci.h>

/* W36: the kernel opens a virtual function only for those who know its physical one's secret */

#define ENABLE "/sys/module/vfio_pci/parameters/enable_sriov"
#define VF1 "0000:01:00.1"
#define TOKEN "2ab74924-c335-45f4-9b16-8569e5b08258"
#define TOKEN_IN_CAPITALS "2AB74924-C335-45F4-9B16-8569E5B08258"
#define OTHER "2ab74924-c335-45f4-9b16-8569e5b08259"

static struct vfio_pci_device vf;

static int setup_token(void **state)
{
	unsetenv("VFTOKEN");
	memset(&vf, 0, sizeof(vf));

	return setup(state);
}

static int teardown_token(void **state)
{
	int ret = vfio_pci_close(&vf);

	unsetenv("VFTOKEN");

	return teardown(state) ? -1 : ret;
}

static void set_token(const char *token)
{
	setenv("VFTOKEN", token, 1);
}

/* The physical function is opened with TOKEN, and has a virtual one. */
static void open_physical(void)
{
	emu_file(ENABLE, "Y\n");
	plug((struct emu_pci_opts){ .sriov_totalvfs = 1 });
	set_token(TOKEN);
	open_device();
	assert_int_equal(vfn_pci_set_numvfs(EMU_BDF, 1), 0);
}

static void assert_vf_fails(int err, const char *text)
{
	assert_fails_with(vfio_pci_open(&vf, VF1), err);
	assert_error_has(text);
	assert_error_has(VF1);
	assert_null(vf.bdf);
}

static void vf_opens_with_the_token_of_its_physical_function(void **state)
{
	open_physical();
	assert_int_equal(vfio_pci_open(&vf, VF1), 0);
	assert_int_equal(iommu_ctx_is_iommufd(vf.dev.ctx), iommu_ctx_is_iommufd(pci.dev.ctx));
	assert_int_equal(vfio_pci_close(&vf), 0);
	set_token(TOKEN_IN_CAPITALS);
	assert_int_equal(vfio_pci_open(&vf, VF1), 0);
}

static void vf_without_token_is_refused(void **state)
{
	open_physical();
	unsetenv("VFTOKEN");
	assert_vf_fails(EACCES, "a VF token is required: set VFTOKEN");
	set_token("");
	assert_vf_fails(EACCES, "a VF token is required: set VFTOKEN");
}

static void vf_with_another_token_is_refused(void **state)
{
	open_physical();
	set_token(OTHER);
	assert_vf_fails(EACCES, "the VF token in VFTOKEN is not the one");
}

static void token_that_is_no_uuid_is_refused_before_the_kernel_sees_it(void **state)
{
	static const char *const bad[] = {
		"2ab74924",
		TOKEN "0",
		"2ab74924-c335-45f4-9b16-8569e5b0825g",
		"2ab74924xc335x45f4x9b16x8569e5b08258",
		"{" TOKEN "}",
	};

	open_physical();
	emu_calls_clear();
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(bad); i++) {
		set_token(bad[i]);
		assert_vf_fails(EINVAL, "is no UUID");
	}
	assert_int_equal(emu_call_count("BIND_IOMMUFD"), 0);
	assert_int_equal(emu_call_count("GET_DEVICE_FD"), 0);
}

/* The environment is the whole program's; other devices take no token. */
static void device_without_virtual_functions_opens_whatever_the_token(void **state)
{
	set_token(TOKEN);
	open_with();
	assert_int_equal(vfio_pci_close(&pci), 0);
	set_token("nonsense");
	open_device();
}

/* Linux before 6.17: iommufd cannot pass a token on, groups can. */
static void kernel_whose_iommufd_takes_no_token_opens_by_group(void **state)
{
	emu_iommu()->no_token = true;
	open_physical();
	assert_int_equal(vfio_pci_open(&vf, VF1), 0);
	assert_false(iommu_ctx_is_iommufd(vf.dev.ctx));
	assert_int_equal(vfio_pci_close(&vf), 0);
	set_token(OTHER);
	assert_vf_fails(EACCES, "the VF token in VFTOKEN is not the one");
}

#undef test
#define test(name) cmocka_unit_test_setup_teardown(name, setup_token, teardown_token)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(vf_opens_with_the_token_of_its_physical_function),
		test(vf_without_token_is_refused),
		test(vf_with_another_token_is_refused),
		test(token_that_is_no_uuid_is_refused_before_the_kernel_sees_it),
		test(device_without_virtual_functions_opens_whatever_the_token),
		test(kernel_whose_iommufd_takes_no_token_opens_by_group),
	};

	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
