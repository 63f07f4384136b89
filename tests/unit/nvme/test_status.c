// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of status codes, and what is said of each. */
#include "machine.h"

#include <string.h>

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

/* Q14 */
static void status_errno_is_one_that_guarantees_name(void **state)
{
	static const struct {
		uint16_t status;
		int err;
	} cases[] = {
		{ 0x000, 0 },	      { 0x001, ENOTSUP },   /* opcode */
		{ 0x002, EINVAL },			    /* field */
		{ 0x004, EIO },				    /* transfer */
		{ 0x006, EIO },				    /* internal */
		{ 0x007, ECANCELED },			    /* abort */
		{ 0x008, ECANCELED },			    /* queue deleted */
		{ 0x00b, ENODEV },			    /* namespace */
		{ 0x00c, EINVAL },			    /* sequence */
		{ 0x013, EINVAL },			    /* PRP offset */
		{ 0x014, EINVAL },			    /* atomic write unit */
		{ 0x017, EIO },				    /* reserved */
		{ 0x01c, EIO },				    /* sanitize failed */
		{ 0x020, EROFS },			    /* write protected */
		{ 0x021, EAGAIN },			    /* interrupted */
		{ 0x025, EIO },				    /* reserved */
		{ 0x07f, EIO },				    /* reserved */
		{ 0x080, EINVAL },			    /* LBA */
		{ 0x081, ENOSPC },			    /* capacity */
		{ 0x084, EBUSY },			    /* format */
		{ 0x085, EIO },	      { 0x0c0, EIO },	    /* vendor */
		{ 0x100, EINVAL },			    /* completion queue */
		{ 0x103, EBUSY },			    /* aborts */
		{ 0x104, EIO },				    /* reserved */
		{ 0x182, EROFS },			    /* read-only range */
		{ 0x1b9, ENOSPC },			    /* zone full */
		{ 0x1bb, EIO },				    /* zone offline */
		{ 0x280, EIO },				    /* write fault */
		{ 0x281, EIO },				    /* read error */
		{ 0x282, EILSEQ },			    /* guard */
		{ 0x284, EILSEQ },			    /* reference tag */
		{ 0x285, EIO },				    /* compare */
		{ 0x286, EACCES },    { 0x371, ECANCELED }, /* by the host */
		{ 0x370, ENODEV },    { 0x401, EIO },	    { 0x701, EIO }, { 0x7ff, EIO },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(vfn_nvme_status_errno(cases[i].status), cases[i].err);
}

/* Q14: no status but success is 0, and only type and code count */
static void status_errno_of_any_status_is_an_error(void **state)
{
	for (unsigned int status = 0; status < 0x10000; status++) {
		int err = vfn_nvme_status_errno((uint16_t)status);

		assert_int_equal(err == 0, !(status & 0x7ff));
		assert_int_equal(err, vfn_nvme_status_errno((uint16_t)(status & 0x7ff)));
	}
}

/* Q14: of whatever status, a command fails, and its completion has all of that */
static void every_status_fails_the_command_and_is_kept(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct machine m;

	start_pair(&m, NULL, 8);
	for (unsigned int status = 1; status < 0x8000; status += status < 0x800 ? 1 : 0x7ff) {
		struct nvme_cqe cqe;

		emu_nvme_clear_faults(m.nvme);
		emu_nvme_fault(m.nvme, &(struct emu_fault){
					       .kind = EMU_STATUS,
					       .qid = 1,
					       .opcode = OP_FLUSH,
					       .status = (uint16_t)status,
				       });
		assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, &cqe), EIO);
		assert_int_equal(le16_to_cpu(cqe.sfp) >> 1, status);
		assert_false(nvme_cqe_ok(&cqe));
		assert_int_equal(free_requests(m.sq), 7);
	}
	emu_nvme_clear_faults(m.nvme);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), 0);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_text_names_each_type),
		cmocka_unit_test(status_text_ignores_what_is_not_type_and_code),
		cmocka_unit_test(status_text_is_short_and_printable),
		cmocka_unit_test(status_errno_is_one_that_guarantees_name),
		cmocka_unit_test(status_errno_of_any_status_is_an_error),
		test(every_status_fails_the_command_and_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
