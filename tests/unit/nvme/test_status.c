// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of status codes. */
#include "../unit.h"

#include <string.h>

#include <vfn/nvme.h>

static void status_text_names_each_type(void **state)
{
	static const struct {
		uint16_t status;
		const char *text;
	} cases[] = {
		{ 0x000, "Successful Completion" },
		{ 0x001, "Invalid Command Opcode" },
		{ 0x013, "PRP Offset Invalid" },
		{ 0x016, "SGL Offset Invalid" },
		{ 0x017, "Reserved" },
		{ 0x018, "Host Identifier Inconsistent Format" },
		{ 0x024, "Admin Command Media Not Ready" },
		{ 0x025, "Reserved" },
		{ 0x080, "LBA Out of Range" },
		{ 0x089, "Key Exists" },
		{ 0x08a, "Reserved" },
		{ 0x0bf, "Reserved" },
		{ 0x0c0, "Vendor Specific" },
		{ 0x100, "Completion Queue Invalid" },
		{ 0x104, "Reserved" },
		{ 0x10c, "Invalid Queue Deletion" },
		{ 0x12d, "Identifier Unavailable" },
		{ 0x1bf, "Invalid Zone State Transition" },
		{ 0x1c0, "Vendor Specific" },
		{ 0x200, "Reserved" },
		{ 0x281, "Unrecovered Read Error" },
		{ 0x288, "End-to-end Storage Tag Check Error" },
		{ 0x289, "Reserved" },
		{ 0x371, "Command Aborted By Host" },
		{ 0x372, "Reserved" },
		{ 0x400, "Reserved" },
		{ 0x6ff, "Vendor Specific" },
		{ 0x700, "Vendor Specific" },
		{ 0x7ff, "Vendor Specific" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(vfn_nvme_status_text(cases[i].status), cases[i].text);
}

static void status_text_ignores_what_is_not_type_and_code(void **state)
{
	for (unsigned int status = 0; status < 0x10000; status++)
		assert_ptr_equal(vfn_nvme_status_text((uint16_t)status),
				 vfn_nvme_status_text((uint16_t)(status & 0x7ff)));
}

static void status_text_is_short_and_printable(void **state)
{
	for (uint16_t status = 0; status < 0x800; status++) {
		const char *text = vfn_nvme_status_text(status);

		assert_in_range(strlen(text), 8, 64);
		for (; *text; text++)
			assert_in_range(*text, ' ', '~');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_text_names_each_type),
		cmocka_unit_test(status_text_ignores_what_is_not_type_and_code),
		cmocka_unit_test(status_text_is_short_and_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
