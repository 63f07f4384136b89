// SPDX-License-Identifier: GPL-2.0-or-later
/* The emulated controller follows SGLs, and finds what is wrong with one. */
#include "raw.h"

#define BLOCK 0x00
#define BIT_BUCKET 0x10
#define SEGMENT 0x20
#define LAST 0x30

#define SGL_PSDT (1u << 14)
#define LISTS 0x20000 /* of the buffer, where segments are */
#define LIST_IOVA (RAW_BUF_IOVA + LISTS)
#define SECTOR 512u

struct sgld {
	uint64_t addr;
	uint32_t len;
	uint8_t rsvd[3], type;
};

static struct raw_cmd rw_by_sgl(uint8_t opcode, uint16_t blocks, struct sgld d)
{
	struct raw_cmd cmd = raw_rw(opcode, 1, 0, blocks, 0, 0);

	cmd.dw[0] |= SGL_PSDT;
	memcpy(&cmd.dw[6], &d, sizeof(d));

	return cmd;
}

static struct sgld data(uint32_t offset, uint32_t len)
{
	return (struct sgld){ .addr = RAW_BUF_IOVA + offset, .len = len };
}

static struct sgld segment(uint8_t type, uint32_t offset, uint32_t n)
{
	return (struct sgld){ .addr = LIST_IOVA + offset, .len = 16 * n, .type = type };
}

static uint8_t *start_with_pattern(struct raw *r, uint32_t sgls)
{
	const struct emu_nvme_opts opts = { .sgls = sgls };
	uint8_t *disk;

	raw_start(r, &opts);
	disk = emu_nvme_disk(r->nvme, 1, NULL);
	for (unsigned int i = 0; i < 4 * SECTOR; i++)
		disk[i] = (uint8_t)(i * 7 + i / 256);

	return disk;
}

static void support_is_in_identify(void **state)
{
	const struct emu_nvme_opts opts = { .sgls = 2 };
	struct raw_cmd id = raw_identify(1, 0);
	struct raw r;

	raw_start(&r, &opts);
	assert_int_equal(raw_sync(&r, 0, &id), 0);
	assert_int_equal(r.buf[536], 2);
	raw_stop(&r);
}

static void data_block_in_the_command_is_followed(void **state)
{
	struct raw_cmd cmd = rw_by_sgl(2, 1, data(3, SECTOR));
	struct raw r;
	uint8_t *disk = start_with_pattern(&r, 1);

	assert_int_equal(raw_sync(&r, 1, &cmd), 0);
	assert_memory_equal(r.buf + 3, disk, SECTOR);
	assert_int_equal(r.buf[2] | r.buf[3 + SECTOR], 0);
	raw_stop(&r);
}

static void segments_are_followed_in_order(void **state)
{
	struct raw_cmd cmd = rw_by_sgl(2, 2, segment(SEGMENT, 8, 3));
	struct raw r;
	uint8_t *disk = start_with_pattern(&r, 1);
	struct sgld *first = (struct sgld *)(r.buf + LISTS + 8);
	struct sgld *second = (struct sgld *)(r.buf + LISTS + 0x1000);

	first[0] = data(0x9000, 5);
	first[1] = data(0x1001, 1000);
	first[2] = segment(LAST, 0x1000, 2);
	second[0] = data(0x5000, 1);
	second[1] = data(0x3000, 18);
	assert_int_equal(raw_sync(&r, 1, &cmd), 0);
	assert_memory_equal(r.buf + 0x9000, disk, 5);
	assert_memory_equal(r.buf + 0x1001, disk + 5, 1000);
	assert_memory_equal(r.buf + 0x5000, disk + 1005, 1);
	assert_memory_equal(r.buf + 0x3000, disk + 1006, 18);
	assert_int_equal(r.buf[0x9005] | r.buf[0x1000] | r.buf[0x1001 + 1000], 0);

	/* and the other way */
	memset(disk, 0, 2 * SECTOR);
	cmd = rw_by_sgl(1, 2, segment(SEGMENT, 8, 3));
	assert_int_equal(raw_sync(&r, 1, &cmd), 0);
	assert_memory_equal(r.buf + 0x1001, disk + 5, 1000);
	assert_memory_equal(r.buf + 0x3000, disk + 1006, 18);
	raw_stop(&r);
}

#define BAD(type_) \
	{ \
		.addr = RAW_BUF_IOVA, .len = SECTOR, .type = (type_) \
	}
#define DATA(offset, len_) \
	{ \
		.addr = RAW_BUF_IOVA + (offset), .len = (len_) \
	}
#define SEGM(type_, offset, len_) \
	{ \
		.addr = LIST_IOVA + (offset), .len = (len_), .type = (type_) \
	}

static void bad_sgls_are_violations(void **state)
{
	/* a read of one sector by @dptr, with @list at LIST_IOVA */
	static const struct {
		uint32_t sgls;
		struct sgld dptr, list[3];
		uint16_t status;
		const char *text;
	} cases[] = {
		{ 0, DATA(0, SECTOR), {}, 0x4002, "PSDT is 1, there is no SGL support" },
		{ 4, DATA(0, SECTOR), {}, 0x4002, "PSDT is 1, there is no SGL support" },
		{ 1, BAD(BIT_BUCKET), {}, 0x4011, "unsupported type (0x10)" },
		{ 1, BAD(0x40), {}, 0x4011, "unsupported type (0x40)" },
		{ 1, BAD(0x01), {}, 0x4011, "unsupported type (0x1)" },
		{ 1,
		  { .addr = RAW_BUF_IOVA, .len = SECTOR, .rsvd = { 0, 0, 1 } },
		  {},
		  0x4002,
		  "reserved bytes (0x10000)" },
		{ 1, DATA(0, SECTOR - 1), {}, 0x400f, "shorter than the data (0x1)" },
		{ 1, DATA(0, SECTOR + 1), {}, 0x400f, "longer than the data (0x201)" },
		{ 1, DATA(RAW_BUF_SIZE - 4, SECTOR), {}, 0x0004, "unmapped" },
		{ 1, { .len = SECTOR }, {}, 0x0004, "unmapped IOVA 0x0" },
		{ 2, DATA(2, SECTOR), {}, 0x4002, "off its dwords" },
		{ 2, SEGM(LAST, 0, 32), { DATA(0, 6), DATA(8, 506) }, 0x4002, "off its dwords" },
		{ 1, SEGM(LAST, 4, 16), {}, 0x400d, "not aligned to 8 bytes" },
		{ 1, SEGM(LAST, 0, 0), {}, 0x400d, "wrong length (0x0)" },
		{ 1, SEGM(LAST, 0, 24), { DATA(0, SECTOR) }, 0x400d, "wrong length (0x18)" },
		{ 1, SEGM(SEGMENT, 0, 16), { DATA(0, SECTOR) }, 0x400d, "leads to no other" },
		{ 1, SEGM(LAST, 0, 16), { SEGM(LAST, 16, 16) }, 0x400d, "goes on where" },
		{ 1,
		  SEGM(SEGMENT, 0, 32),
		  { SEGM(LAST, 32, 16), DATA(0, SECTOR) },
		  0x400d,
		  "goes on where" },
		{ 1, SEGM(SEGMENT, 0, 16), { SEGM(SEGMENT, 0, 16) }, 0x400d, "no end" },
		{ 1, SEGM(LAST, 0, 32), { DATA(0, 4), BAD(BIT_BUCKET) }, 0x4011, "type" },
		{ 1,
		  SEGM(LAST, 0, 16),
		  { { .addr = RAW_BUF_IOVA, .len = SECTOR, .rsvd = { 1 } } },
		  0x4002,
		  "reserved bytes (0x1)" },
		{ 1, SEGM(LAST, 0, 32), { DATA(0, 4), DATA(4, 507) }, 0x400f, "shorter" },
		{ 1, SEGM(LAST, 0, 32), { DATA(0, 4), DATA(4, 509) }, 0x400f, "longer" },
		{ 1, SEGM(LAST, RAW_BUF_SIZE, 16), {}, 0x0004, "for SGL segment" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct raw_cmd cmd = rw_by_sgl(2, 1, cases[i].dptr);
		uint16_t status;
		struct raw r;

		emu_fini();
		emu_init();
		start_with_pattern(&r, cases[i].sgls);
		memcpy(r.buf + LISTS, cases[i].list, sizeof(cases[i].list));
		status = raw_sync(&r, 1, &cmd);
		if (status != cases[i].status || emu_violations() != 1 ||
		    !strstr(emu_violation(0), cases[i].text))
			fail_msg("case %zu (%s): status 0x%x, %u violations, first is \"%s\"", i,
				 cases[i].text, status, emu_violations(),
				 emu_violations() ? emu_violation(0) : "");
		emu_expect_violation(cases[i].text);
		raw_stop(&r);
	}
}

static void violates(struct raw *r, unsigned int qid, const struct raw_cmd *cmd, const char *text)
{
	assert_int_equal(raw_sync(r, qid, cmd), 0x4002);
	assert_int_equal(emu_violations(), 1);
	emu_expect_violation(text);
	assert_int_equal(emu_violations(), 0);
}

static void sgl_where_there_is_none_is_a_violation(void **state)
{
	struct raw_cmd id = raw_identify(1, 0), flush = { { [0] = SGL_PSDT, [1] = 1 } };
	struct raw_cmd read = rw_by_sgl(2, 1, data(0, SECTOR));
	struct raw r;

	start_with_pattern(&r, 1);
	id.dw[0] |= SGL_PSDT;
	id.dw[8] = 4096;
	violates(&r, 0, &id, "PSDT is 1, admin commands have PRPs");
	violates(&r, 1, &flush, "PSDT is 1, there is no data");
	read.dw[0] = 2 | 2u << 14;
	violates(&r, 1, &read, "PSDT is 2");
	read.dw[0] = 2 | 3u << 14;
	violates(&r, 1, &read, "PSDT is 3");
	raw_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		T(support_is_in_identify),
		T(data_block_in_the_command_is_followed),
		T(segments_are_followed_in_order),
		T(bad_sgls_are_violations),
		T(sgl_where_there_is_none_is_a_violation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
