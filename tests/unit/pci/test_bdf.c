// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses: what is one, and that nothing else reaches the kernel. */
#include "machine.h"

static char hostile[301];

static const char *const bad[] = {
	NULL,
	"",
	" ",
	"1:2.3",
	"0000:01:00.8",
	"../..",
	hostile,
	"0000:01:00.0 ",
	" 0000:01:00.0",
	"0000:01:00.",
	"0000:01:00",
	"0000:01:20.0",
	"0000:01:ff.0",
	"000:01:00.0",
	"10000:01:00.0",
	"0000:1:00.0",
	"0000:01:0.0",
	"0000-01-00.0",
	"0000:01:00.0/driver",
	"0000:01:00.0\n",
	"gggg:01:00.0",
	"01:00.00",
	"0x00:01.0",
	"-001:00.0",
	":01:00.0",
	"0000:01:00:0",
	"01.00.0",
	"+1:00.0",
};

static void parse_good_is_normalised(void **state)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{ "0000:01:00.0", "0000:01:00.0" },
		{ "01:00.0", "0000:01:00.0" },
		{ "FfFf:AB:1F.7", "ffff:ab:1f.7" },
		{ "c3:1e.5", "0000:c3:1e.5" },
	};
	char bdf[VFN_PCI_BDF_LEN];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(vfn_pci_parse_bdf(good[i].in, bdf), 0);
		assert_string_equal(bdf, good[i].out);
	}
}

static void parse_in_place_is_normalised(void **state)
{
	char bdf[VFN_PCI_BDF_LEN] = "0A:1B.3";

	assert_int_equal(vfn_pci_parse_bdf(bdf, bdf), 0);
	assert_string_equal(bdf, "0000:0a:1b.3");
}

/* V1 */
static void parse_bad_is_einval_and_result_untouched(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char bdf[VFN_PCI_BDF_LEN] = "untouched";

		assert_fails_with(vfn_pci_parse_bdf(bad[i], bdf), EINVAL);
		assert_string_equal(bdf, "untouched");
	}
}

/* Every string of hexadecimal digits and separators against a formula. */
static void parse_mutated_matches_model(void **state)
{
	static const char alphabet[] = "0189afAFgx:. ";
	static const char base[] = "0000:01:00.0";
	char bdf[VFN_PCI_BDF_LEN];

	for (size_t i = 0; i < strlen(base); i++) {
		for (const char *c = alphabet; *c; c++) {
			char s[sizeof(base)];
			bool ok = strchr("0189afAF", *c);

			memcpy(s, base, sizeof(base));
			s[i] = *c;
			if (base[i] == ':' || base[i] == '.')
				ok = *c == base[i];
			else if (i == 8)
				ok = ok && *c <= '1';
			else if (i == 11)
				ok = ok && *c <= '7';
			assert_int_equal(vfn_pci_parse_bdf(s, bdf), ok ? 0 : -1);
		}
	}
}

static int never(const char *a, void *arg)
{
	fail();
	return 0;
}

static int never2(const char *a, const char *b, void *arg)
{
	fail();
	return 0;
}

/* V1 */
static void every_call_bad_address_is_einval_before_any_call(void **state)
{
	struct vfn_pci_record record;
	struct vfn_pci_info info;
	unsigned long long v;

	add_bound(EMU_BDF, "nvme");
	emu_calls_clear();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *s = bad[i];

		assert_fails_with(pci_bind(s, "nvme"), EINVAL);
		assert_fails_with(pci_unbind(s), EINVAL);
		assert_fails_with(pci_device_info_get_ull(s, "class", &v), EINVAL);
		assert_null_with(pci_get_driver(s), EINVAL);
		assert_null_with(pci_get_iommu_group(s), EINVAL);
		assert_null_with(pci_get_device_vfio_id(s), EINVAL);
		assert_null_with(pci_get_vf_bdf(s, 1), EINVAL);
		assert_null_with(pci_vf_get_pf_bdf(s), EINVAL);
		assert_fails_with(pci_vf_get_vfnum(s), EINVAL);
		assert_false(pci_is_vf(s));
		assert_false(pci_is_pf(s));
		assert_false(pci_is_sriov_supported(s));
		assert_fails_with(vfn_pci_get_info(s, &info), EINVAL);
		assert_fails_with(vfn_pci_group_members(s, never2, NULL), EINVAL);
		assert_fails_with(vfn_pci_for_each_block(s, never2, NULL), EINVAL);
		assert_fails_with(vfn_pci_check_idle(s), EINVAL);
		assert_fails_with(vfn_pci_bind_driver(s, "vfio-pci", NULL), EINVAL);
		assert_fails_with(vfn_pci_unbind_driver(s, NULL), EINVAL);
		assert_fails_with(vfn_pci_restore_driver(s, NULL), EINVAL);
		assert_fails_with(vfn_pci_get_record(s, &record), EINVAL);
	}

	assert_string_equal(emu_calls(), "");
}

/* V2 */
static void every_call_absent_device_is_enodev_and_named(void **state)
{
	static const char s[] = "ff:1f.7";
	struct vfn_pci_info info;
	unsigned long long v;

	assert_fails_with(pci_bind(s, "nvme"), ENODEV);
	assert_fails_with(pci_unbind(s), ENODEV);
	assert_fails_with(pci_device_info_get_ull(s, "class", &v), ENODEV);
	assert_null_with(pci_get_driver(s), ENODEV);
	assert_null_with(pci_get_iommu_group(s), ENODEV);
	assert_null_with(pci_get_device_vfio_id(s), ENODEV);
	assert_null_with(pci_get_vf_bdf(s, 1), ENODEV);
	assert_null_with(pci_vf_get_pf_bdf(s), ENODEV);
	assert_fails_with(pci_vf_get_vfnum(s), ENODEV);
	assert_fails_with(vfn_pci_get_info(s, &info), ENODEV);
	assert_fails_with(vfn_pci_group_members(s, never2, NULL), ENODEV);
	assert_fails_with(vfn_pci_for_each_block(s, never2, NULL), ENODEV);
	assert_fails_with(vfn_pci_check_idle(s), ENODEV);
	assert_fails_with(vfn_pci_bind_driver(s, "vfio-pci", NULL), ENODEV);
	assert_fails_with(vfn_pci_unbind_driver(s, NULL), ENODEV);
	assert_fails_with(vfn_pci_restore_driver(s, NULL), ENODEV);
	assert_error_has("0000:ff:1f.7");
	assert_int_equal(vfn_pci_for_each_device(never, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_good_is_normalised),
		cmocka_unit_test(parse_in_place_is_normalised),
		cmocka_unit_test(parse_bad_is_einval_and_result_untouched),
		cmocka_unit_test(parse_mutated_matches_model),
		test(every_call_bad_address_is_einval_before_any_call),
		test(every_call_absent_device_is_enodev_and_named),
	};

	memset(hostile, 'a', sizeof(hostile) - 1);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
