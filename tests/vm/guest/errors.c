/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a drive cannot read or write arrives as the whole status that the controller gives, and nothing else suffers. */
#include <errno.h>
#include <string.h>

#include "guest.h"

#define LEN 4096
#define BLOCK 512
#define NVME_IO_WRITE_ZEROES 0x08
#define NVME_IO_VERIFY 0x0c
#define NVME_IO_COMPARE 0x05

#define UNRECOVERED_READ 0x281
#define WRITE_FAULT 0x280
#define INTERNAL_ERROR 0x006
#define COMPARE_FAILURE 0x285

/* Where the profile has put errors, and how the controller is to tell of them. */
static const struct error {
	const char *what;
	uint8_t opcode;
	uint16_t status;
	uint64_t bad;
	const char *text;
} errors[] = {
	{ "read", NVME_IO_READ, UNRECOVERED_READ, 16384, "Unrecovered Read Error" },
	{ "write, EIO", NVME_IO_WRITE, WRITE_FAULT, 16448, "Write Fault" },
	{ "write, ENOSPC", NVME_IO_WRITE, WRITE_FAULT, 16512, "Write Fault" },
	{ "write zeroes", NVME_IO_WRITE_ZEROES, WRITE_FAULT, 16576, "Write Fault" },
	{ "compare", NVME_IO_COMPARE, INTERNAL_ERROR, 16384, "Internal Error" },
	{ "verify", NVME_IO_VERIFY, INTERNAL_ERROR, 16384, "Internal Error" },
};

#define ERRORS (sizeof(errors) / sizeof(errors[0]))

static const struct guest_ns ns = { .nsid = 1, .block = BLOCK };
static struct nvme_ctrl ctrl;
static char *mem;

static int setup(void **state)
{
	(void)state;
	guest_open(&ctrl, "neighbour", 0);
	mem = guest_alloc(LEN);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, LEN, NULL, 0) == 0);

	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nvme_close(&ctrl);
	guest_free(mem, LEN);

	return 0;
}

static bool has_data(const struct error *error)
{
	return error->opcode != NVME_IO_WRITE_ZEROES && error->opcode != NVME_IO_VERIFY;
}

/* Do Not Retry, More, retry delay, type and code: all of the status, without the phase. */
static void assert_status(const struct error *error, const struct nvme_cqe *cqe)
{
	uint16_t status = le16_to_cpu(cqe->sfp) >> 1;

	if (status != error->status)
		fail_msg("%s: status 0x%x (%s) is not 0x%x", error->what, status,
			 vfn_nvme_status_text(status), error->status);
	assert_string_equal(vfn_nvme_status_text(status), error->text);
	assert_int_equal(vfn_nvme_status_errno(status), EIO);
}

static int try(const struct error *error, uint64_t slba, size_t len, struct nvme_cqe *cqe)
{
	return guest_try(&ctrl, 1, guest_rw(error->opcode, &ns, slba, len),
			 has_data(error) ? mem : NULL, has_data(error) ? len : 0, cqe);
}

static void assert_fails(const struct error *error, uint64_t slba, size_t len)
{
	struct nvme_cqe cqe = {};

	assert_int_equal(try(error, slba, len, &cqe), -1);
	assert_int_equal(errno, EIO);
	assert_non_null(strstr(vfn_last_error(), error->text));
	assert_status(error, &cqe);
}

/* Others of its kind, however near, are not concerned. */
static void assert_works(const struct error *error, uint64_t slba)
{
	const struct error write = { .opcode = NVME_IO_WRITE };
	struct nvme_cqe cqe = {};

	/* whatever others have left there, a comparison finds what it looks for */
	memset(mem, 0, LEN);
	assert_vfn(try(&write, slba, BLOCK, &cqe) == 0);
	if (try(error, slba, BLOCK, &cqe))
		fail_msg("%s of block %lu: %s", error->what, (unsigned long)slba, vfn_last_error());
	assert_true(nvme_cqe_ok(&cqe));
}

/* B2: the block itself, and any transfer that has it among others */
static void test_errors_arrive_with_their_whole_status(void **state)
{
	(void)state;
	for (const struct error *error = errors; error < errors + ERRORS; error++) {
		assert_fails(error, error->bad, BLOCK);
		assert_fails(error, error->bad - 3, 8UL * BLOCK);
		assert_works(error, error->bad - 1);
		assert_works(error, error->bad + 1);
		assert_fails(error, error->bad, BLOCK);
	}
}

/* Reads that are out together: each block but the bad one arrives. */
static void test_errors_are_of_the_commands_that_failed(void **state)
{
	const int n = LEN / BLOCK, bad = n / 2;
	uint64_t first = errors[0].bad - (uint64_t)bad;
	struct vfn_nvme_done done[LEN / BLOCK];
	struct vfn_nvme_io io;
	int taken = 0, failed = 0;

	(void)state;
	guest_fill(mem, LEN, 31000);
	guest_write(&ctrl, 1, &ns, first, mem, LEN);
	memset(mem, 0, LEN);

	assert_vfn(vfn_nvme_io_prep(&io, &ctrl, NVME_IO_READ, ns.nsid, 9) == 0);
	for (int i = 0; i < n; i++)
		assert_vfn(vfn_nvme_io_submit(&ctrl.sq[1], &io, first + (uint64_t)i, 1,
					      mem + i * BLOCK, mem + i * BLOCK) == 0);
	while (taken < n) {
		int got = vfn_nvme_io_poll(&ctrl.sq[1], done, n);

		for (int i = 0; i < got; i++)
			if (!nvme_cqe_ok(&done[i].cqe)) {
				assert_ptr_equal(done[i].opaque, mem + bad * BLOCK);
				assert_status(&errors[0], &done[i].cqe);
				failed++;
			}
		taken += got;
	}
	assert_int_equal(failed, 1);

	/* what the pattern has at the bad block, nobody knows */
	guest_check(mem, (size_t)bad * BLOCK, 31000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_arrive_with_their_whole_status),
		cmocka_unit_test(test_errors_are_of_the_commands_that_failed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
