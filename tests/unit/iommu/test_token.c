// SPDX-License-Identifier: GPL-2.0-or-later
/* VF tokens: who may open a virtual function, by either interface, and what is said to who may not. */
#include "space.h"

#include <stdio.h>
#include <stdlib.h>

#include <vfn/pci.h>

#define TOKEN "2ab74924-c335-45f4-9b16-8569e5b08258"
#define OTHER "2ab74924-c335-45f4-9b16-8569e5b08259"
#define VF "0000:01:00.1"
#define REQUIRED VF ": a VF token is required: set VFTOKEN"
#define WRONG VF ": the VF token in VFTOKEN is not the one"
#define NONE \
	VF " takes no VF token, as vfio-pci does not drive its physical function: unset VFTOKEN"

static struct vfio_pci_device vf;

static void set_token(const char *token)
{
	if (token)
		setenv("VFTOKEN", token, 1);
	else
		unsetenv("VFTOKEN");
}

/* A physical function of this driver, with a virtual one for vfio-pci. */
static void plug(const char *driver)
{
	const struct emu_pci_opts opts = { .driver = driver, .sriov_totalvfs = 2 };

	emu_init();
	emu_file("/sys/module/vfio_pci/parameters/enable_sriov", "Y\n");
	emu_pci_add(&opts);
	assert_int_equal(vfn_pci_set_numvfs(EMU_BDF, 1), 0);
	if (strcmp(driver, "vfio-pci"))
		assert_int_equal(vfn_pci_bind_driver(VF, "vfio-pci", NULL), 0);
}

static void open_owner(const char *token)
{
	plug("vfio-pci");
	set_token(token);
	open_space();
	memset(&vf, 0, sizeof(vf));
}

static int teardown_token(void **state)
{
	set_token(NULL);

	return emu_teardown(state);
}

static void close_both(void)
{
	assert_int_equal(vfio_pci_close(&vf), 0);
	assert_int_equal(vfio_pci_close(&pci), 0);
}

static void assert_refused(const char *token, int err, const char *why)
{
	const struct emu_usage before = emu_usage();

	set_token(token);
	assert_fails_with(vfio_pci_open(&vf, VF), err);
	assert_error_has(why);
	emu_assert_usage(&before);
}

static void assert_open_by(const char *reason)
{
	assert_int_equal(vfio_pci_open(&vf, VF), 0);
	if (!strstr(vfn_iommu_reason(vf.dev.ctx), reason))
		fail_msg("'%s' is not in '%s'", reason, vfn_iommu_reason(vf.dev.ctx));
}

static void only_the_owners_token_opens_a_virtual_function(void **state)
{
	open_owner(TOKEN);
	assert_refused(NULL, EACCES, REQUIRED);
	assert_refused("", EACCES, REQUIRED);
	assert_refused(OTHER, EACCES, WRONG);
	set_token(TOKEN);
	assert_open_by(with_iommufd() ? "iommufd: " : "type1: ");
	close_both();
}

/* Upper case and lower case are one. */
static void token_is_a_number_not_a_text(void **state)
{
	open_owner("2AB74924-C335-45F4-9B16-8569E5B08258");
	set_token(TOKEN);
	assert_open_by("");
	close_both();
}

static void token_that_is_no_uuid_is_quoted(void **state)
{
	static const char *const bad[] = { "secret",
					   TOKEN "0",
					   "2ab74924-c335-45f4-9b16-8569e5b0825",
					   "2ab74924-c335-45f4-9b16-8569e5b0825g",
					   "2ab74924c335-45f4-9b16-8569e5b082588",
					   (" " TOKEN) };

	open_owner(TOKEN);
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(bad); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), VF ": VFTOKEN='%s' is no UUID", bad[i]);
		assert_refused(bad[i], EINVAL, text);
	}
	set_token(TOKEN);
	assert_int_equal(vfio_pci_close(&pci), 0);
}

/* Before Linux 6.17 iommufd takes none, and asks for none. */
static void older_iommufd_leaves_the_token_to_groups(void **state)
{
	open_owner(TOKEN);
	emu_iommu()->no_token = true;
	assert_refused(OTHER, EACCES, WRONG);
	set_token(TOKEN);
	assert_open_by(with_iommufd() ? "type1: " VF
					": the kernel takes no VF token with iommufd (Linux 6.17)" :
					"type1: ");
	close_both();
}

static void function_of_another_driver_takes_no_token(void **state)
{
	plug("nvme");
	memset(&vf, 0, sizeof(vf));
	assert_refused(TOKEN, EINVAL, NONE);
	emu_iommu()->no_token = true;
	assert_refused(TOKEN, EINVAL, NONE);
	set_token(NULL);
	assert_open_by("");
	assert_int_equal(vfio_pci_close(&vf), 0);
}

/* The kernel would refuse it there. */
static void device_without_functions_never_sees_the_token(void **state)
{
	emu_init();
	emu_pci_add(NULL);
	set_token("not even a UUID");
	open_space();
	assert_int_equal(vfio_pci_close(&pci), 0);
}

#define test_token(name) cmocka_unit_test_teardown(name, teardown_token)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_token(only_the_owners_token_opens_a_virtual_function),
		test_token(token_is_a_number_not_a_text),
		test_token(token_that_is_no_uuid_is_quoted),
		test_token(older_iommufd_leaves_the_token_to_groups),
		test_token(function_of_another_driver_takes_no_token),
		test_token(device_without_functions_never_sees_the_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
