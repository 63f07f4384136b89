// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory inside the controller: its registers are those of the specification, and every misuse is found. */
#include "raw.h"

#define CMBLOC 0x38
#define CMBSZ 0x3c
#define CMBMSC 0x50
#define CMBSTS 0x58
#define PMRCTL 0xe04
#define PMRSTS 0xe08
#define PMRMSCL 0xe14

#define CMB_LEN 0x10000
#define CMB_BASE 0x200000000ULL
#define LISTS_ANYWHERE 0x60

#define ONCE(text) \
	do { \
		if (emu_violations() != 1) \
			fail_msg("%u violations for '%s'", emu_violations(), text); \
		emu_expect_violation(text); \
		assert_int_equal(emu_violations(), 0); \
	} while (0)

static const struct emu_nvme_opts buffer = { .cmb = { .size = CMB_LEN } };

static void enable_cmb(struct raw *r, uint64_t base)
{
	raw_write(r, CMBMSC + 4, base >> 32);
	raw_write(r, CMBMSC, (uint32_t)base | 3);
}

static void disable_cmb(struct raw *r)
{
	raw_write(r, CMBMSC, 0);
	raw_write(r, CMBMSC + 4, 0);
}

/* An enabled buffer, with these bits of CMBSZ and CMBLOC. */
static void start(struct raw *r, unsigned int uses, uint32_t rules)
{
	struct emu_nvme_opts opts = buffer;

	opts.cmb.uses = uses;
	opts.cmb.rules = rules;
	raw_start(r, &opts);
	enable_cmb(r, CMB_BASE);
}

static void stop(struct raw *r)
{
	raw_disable(r);
	disable_cmb(r);
	raw_stop(r);
}

static void registers_show_when_enabled(void **state)
{
	struct raw r;

	(void)state;
	raw_start(&r, &buffer);
	assert_int_equal(raw_read(&r, 4) >> 25 & 1, 1);
	assert_int_equal(raw_read(&r, CMBLOC) | raw_read(&r, CMBSZ), 0);
	raw_write(&r, CMBMSC, 1);
	assert_int_equal(raw_read(&r, CMBLOC), 2);
	assert_int_equal(raw_read(&r, CMBSZ), CMB_LEN | 0x1d);
	raw_write(&r, CMBMSC, 0);
	assert_int_equal(raw_read(&r, CMBLOC) | raw_read(&r, CMBSZ), 0);

	enable_cmb(&r, UINT64_MAX & ~0xfffULL);
	assert_int_equal(raw_read(&r, CMBSTS), 1);
	disable_cmb(&r);
	assert_int_equal(raw_read(&r, CMBSTS), 0);
	raw_stop(&r);
}

static void bad_register_writes_are_violations(void **state)
{
	struct raw r;

	(void)state;
	raw_start(&r, &buffer);
	raw_write(&r, CMBMSC, 5);
	ONCE("reserved bits");
	raw_write(&r, CMBMSC, 2);
	ONCE("CMSE set without CRE");
	enable_cmb(&r, CMB_BASE);
	emu_expect_violation("CBA written while it is enabled");
	raw_write(&r, CMBMSC + 4, 1);
	ONCE("CBA written while it is enabled");
	raw_write(&r, PMRCTL, 1);
	ONCE("reserved register 0xe04");
	disable_cmb(&r);
	raw_stop(&r);
}

static void hiding_mapped_memory_is_a_violation(void **state)
{
	struct raw r;

	(void)state;
	raw_start(&r, &buffer);
	enable_cmb(&r, RAW_BUF_IOVA + RAW_BUF_SIZE - 4096);
	ONCE("controller memory hides");
	disable_cmb(&r);

	/* what is mapped later is found when it is used */
	enable_cmb(&r, CMB_BASE);
	assert_int_equal(raw_map(&r, r.buf, CMB_BASE, 4096, VFIO_DMA_MAP_FLAG_READ), 0);
	{
		struct raw_cmd cmd = raw_rw(1, 1, 0, 1, CMB_BASE, 0);

		emu_expect_violation("controller memory hides");
		assert_int_equal(raw_sync(&r, 1, &cmd), 0);
		ONCE("controller memory hides");
	}
	raw_unmap(&r, CMB_BASE, 4096);
	disable_cmb(&r);
	raw_stop(&r);
}

static void leaving_it_enabled_is_a_violation(void **state)
{
	struct raw r;

	(void)state;
	raw_start(&r, &buffer);
	enable_cmb(&r, CMB_BASE);
	raw_stop(&r);
	ONCE("closed while its memory buffer is enabled");
}

static void disabling_it_in_use_is_a_violation(void **state)
{
	struct raw_cmd cq = { { [0] = 5,
				[6] = (uint32_t)CMB_BASE,
				[7] = CMB_BASE >> 32,
				[10] = 15 << 16 | 3,
				[11] = 1 } };
	struct raw r;

	(void)state;
	start(&r, 0x1f, 0);
	memset(emu_nvme_cmb(r.nvme), 0, 4096);
	assert_int_equal(raw_sync(&r, 0, &cq), 0);
	disable_cmb(&r);
	ONCE("memory of cq 3 is unmapped");
	raw_disable(&r);
	raw_stop(&r);
}

/* Queues and commands that refer to the buffer: a list at its start, of pages of the buffer or not. */
static void misplaced_things_are_violations(void **state)
{
	static const struct {
		unsigned int uses;
		uint32_t rules;
		unsigned int qid;
		struct raw_cmd cmd;
		/* of the list in the buffer */
		uint64_t entries[2];
		const char *text;
	} cases[] = {
#define CMB_AT(dword, offset) \
	[dword] = (uint32_t)(CMB_BASE + (offset)), [(dword) + 1] = CMB_BASE >> 32
		{ 0x1e,
		  0,
		  0,
		  { { [0] = 1, CMB_AT(6, 0), [10] = 15 << 16 | 3, [11] = 1 << 16 | 1 } },
		  {},
		  "sq lies in the CMB" },
		{ 0x1d,
		  0,
		  0,
		  { { [0] = 5, CMB_AT(6, 0), [10] = 15 << 16 | 3, [11] = 1 } },
		  {},
		  "cq lies in the CMB" },
		{ 0x17, 0, 1, { { [0] = 2, [1] = 1, CMB_AT(6, 0) } }, {}, "data lies in the CMB" },
		{ 0x0f, 0, 1, { { [0] = 1, [1] = 1, CMB_AT(6, 0) } }, {}, "data lies in the CMB" },
		{ 0x1f,
		  0,
		  1,
		  { { [0] = 2, [1] = 1, CMB_AT(6, 0), [8] = RAW_BUF_IOVA, [12] = 15 } },
		  {},
		  "data lies partly in the CMB" },
		{ 0x1b,
		  LISTS_ANYWHERE,
		  1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, CMB_AT(8, 0), [12] = 23 } },
		  { RAW_BUF_IOVA + 4096, RAW_BUF_IOVA + 8192 },
		  "list lies in the CMB, which takes none" },
		{ 0x1f,
		  0,
		  1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, CMB_AT(8, 0), [12] = 23 } },
		  { RAW_BUF_IOVA + 4096, RAW_BUF_IOVA + 8192 },
		  "list lies in the CMB, its command does not" },
		{ 0x1f,
		  0x40,
		  1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, CMB_AT(8, 4096 - 8), [12] = 23 } },
		  { RAW_BUF_IOVA + 8192 },
		  "list lies partly in the CMB" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t *cmb;
		struct raw r;

		emu_fini();
		emu_init();
		start(&r, cases[i].uses, cases[i].rules);
		cmb = emu_nvme_cmb(r.nvme);
		memcpy(cmb, cases[i].entries, sizeof(cases[i].entries));
		/* where a list of one entry on its page goes on */
		cmb[511] = cases[i].entries[0];
		assert_int_not_equal(raw_sync(&r, cases[i].qid, &cases[i].cmd), 0);
		if (emu_violations() != 1 || !strstr(emu_violation(0), cases[i].text))
			fail_msg("case %zu (%s): %u violations, first is \"%s\"", i, cases[i].text,
				 emu_violations(), emu_violations() ? emu_violation(0) : "");
		emu_expect_violation(cases[i].text);
		stop(&r);
	}
}

static bool readable(const void *mem)
{
	return emu_memory_ok(mem, 1, false);
}

static void persistent_memory_is_hidden_until_enabled(void **state)
{
	const struct emu_nvme_opts opts = { .pmr = { .size = 0x10000, .ready_ns = 1000000 } };
	struct raw r;
	char *mem;

	(void)state;
	raw_start(&r, &opts);
	assert_int_equal(raw_read(&r, 4) >> 24 & 1, 1);
	mem = os_mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, r.dev, 4ULL << 40);
	assert_ptr_not_equal(mem, MAP_FAILED);

	assert_false(readable(mem));
	raw_write(&r, PMRCTL, 1);
	assert_int_equal(raw_read(&r, PMRSTS), 0x100);
	assert_false(readable(mem));
	emu_advance(1000000);
	assert_int_equal(raw_read(&r, PMRSTS), 0);
	assert_true(readable(mem));
	strcpy(mem, "kept");
	raw_write(&r, PMRCTL, 0);
	assert_false(readable(mem));
	assert_string_equal(emu_nvme_pmr(r.nvme), "kept");

	raw_write(&r, PMRCTL, 1);
	emu_advance(1000000);
	raw_write(&r, PMRMSCL, 5);
	ONCE("PMRMSCL written with reserved bits");
	raw_write(&r, PMRCTL, 3);
	ONCE("PMRCTL written with reserved bits");
	os_munmap(mem, 0x10000);
	raw_stop(&r);
	ONCE("closed while its persistent memory is enabled");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define test(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		test(registers_show_when_enabled),
		test(bad_register_writes_are_violations),
		test(hiding_mapped_memory_is_a_violation),
		test(leaving_it_enabled_is_a_violation),
		test(disabling_it_in_use_is_a_violation),
		test(misplaced_things_are_violations),
		test(persistent_memory_is_hidden_until_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
