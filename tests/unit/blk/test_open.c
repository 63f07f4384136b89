// SPDX-License-Identifier: GPL-2.0-or-later
/* Open and close: names, options, what a namespace is, handles that share a controller. */
#include "blk.h"

static void open_without_options_works(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	struct vfn_blk_info info = info_of(blk);

	assert_string_equal(info.bdf, EMU_BDF);
	assert_int_equal(info.nsid, 1);
	assert_int_equal(info.block_size, 512);
	assert_int_equal(info.nblocks, 65536);
	/* MDTS of 7 */
	assert_int_equal(info.max_blocks, 128 * 4096 / 512);
	assert_int_equal(info.boundary, 0);
	/* the emulated machine's CPUs */
	assert_int_equal(info.queues, 4);
	assert_int_equal(info.depth, 256);
	assert_int_equal(info.features, VFN_BLK_F_WRITE_CACHE | VFN_BLK_F_COMPARE |
						VFN_BLK_F_DISCARD | VFN_BLK_F_WRITE_ZEROES);
	assert_int_equal(info.vendor, 0x1b36);
	assert_string_equal(info.serial, "EMU0001");
	assert_string_equal(info.model, "Emulated NVMe Controller");
	assert_string_equal(info.firmware, "1.0");
	assert_memory_equal(info.eui64, "\x00\x07\x06\x05\x04\x03\x02\x01", 8);
	assert_int_equal(emu_nvme_stats(nvme).sqs, 4);
	close_blk(blk);
}

static void close_shuts_the_controller_down_and_leaves_nothing(void **state)
{
	struct emu_usage before;

	emu_nvme_add(NULL);
	before = emu_usage();
	close_blk(open_blk());
	emu_assert_usage(&before);
	emu_assert_order("admin CREATE_SQ 1", "admin DELETE_SQ 1", "admin DELETE_CQ 1",
			 "reg write 0x14");
	assert_int_equal(vfn_blk_close(NULL), 0);
}

static void name_may_have_a_namespace_and_no_domain(void **state)
{
	const struct emu_nvme_opts opts = {
		.nns = 2,
		.ns = { { .blocks = 100, .lba_size = 512 }, { .blocks = 200, .lba_size = 4096 } },
	};
	struct vfn_blk_info info;
	struct vfn_blk *blk;

	emu_nvme_add(&opts);
	blk = open_with("01:00.0/2", NULL);
	info = info_of(blk);
	assert_string_equal(info.bdf, EMU_BDF);
	assert_int_equal(info.nsid, 2);
	assert_int_equal(info.block_size, 4096);
	assert_int_equal(info.nblocks, 200);
	assert_int_equal(info.max_blocks, 128);
	close_blk(blk);
}

static void bad_names_are_refused(void **state)
{
	static const char *const names[] = {
		"",
		"/",
		"/1",
		"nvme0",
		EMU_BDF "/",
		EMU_BDF "/0",
		EMU_BDF "/x",
		EMU_BDF "/1x",
		EMU_BDF "/-1",
		EMU_BDF "/ 1",
		EMU_BDF "/1/1",
		EMU_BDF "/4294967295",
		EMU_BDF "/18446744073709551617",
		"00000:01:00.0",
	};
	struct vfn_blk *blk = NULL;

	emu_nvme_add(NULL);
	emu_calls_clear();
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(names); i++) {
		assert_fails_with(vfn_blk_open(&blk, names[i], NULL), EINVAL);
		assert_error_has(names[i]);
	}
	assert_fails_with(vfn_blk_open(&blk, NULL, NULL), EINVAL);
	assert_null(blk);
	assert_string_equal(emu_calls(), "");
}

static void bad_options_are_refused(void **state)
{
	static const struct vfn_blk_opts bad[] = {
		{ .flags = 1U << 31 },
		{ .depth = 1 },
		{ .depth = 65537 },
	};
	struct vfn_blk *blk = NULL;

	emu_nvme_add(NULL);
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(bad); i++)
		assert_fails_with(vfn_blk_open(&blk, EMU_BDF, &bad[i]), EINVAL);
	assert_null(blk);
}

static void what_is_not_there_is_enodev(void **state)
{
	const struct emu_nvme_opts none = { .pci.bdf = EMU_BDF2, .no_ns = true };
	struct vfn_blk *blk = NULL;
	struct emu_usage before;

	emu_nvme_add(NULL);
	emu_nvme_add(&none);
	before = emu_usage();
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF3, NULL), ENODEV);
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF "/2", NULL), ENODEV);
	assert_error_has("namespace 2");
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF2, NULL), ENODEV);
	assert_error_has("no active namespace");
	emu_assert_usage(&before);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

/* An Identify Namespace structure with a few bytes changed: what open says to it. */
static void refused_with(unsigned int at, const void *bytes, size_t len, int err)
{
	struct vfn_blk *blk = NULL;
	struct emu_nvme *nvme;

	emu_fini();
	emu_init();
	nvme = emu_nvme_add(NULL);
	memcpy(emu_nvme_identify_ns(nvme, 1) + at, bytes, len);
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF, NULL), err);
}

/* C11 */
static void namespaces_that_make_no_sense_are_refused(void **state)
{
	refused_with(0, "\0\0\0\0\0\0\0\0", 8, ENODEV);
	refused_with(0, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, ENOTSUP);
	refused_with(0, "\0\0\0\0\0\0\x40\0", 8, ENOTSUP);
	/* blocks of 256 bytes, and of 128 KiB */
	refused_with(130, "\x08", 1, ENOTSUP);
	refused_with(130, "\x11", 1, ENOTSUP);
	/* 8 bytes of metadata */
	refused_with(128, "\x08", 1, ENOTSUP);
	assert_error_has("metadata");
	/* formats that it does not have: the last of all, whose fields are zeroes */
	refused_with(26, "\x6f", 1, ENOTSUP);
}

/* C12 */
static void texts_of_a_device_are_cut_and_cleaned(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	uint8_t *id = emu_nvme_identify_ctrl(nvme);
	struct vfn_blk_info info;
	struct vfn_blk *blk;

	memset(id + 4, 'S', 20);
	memcpy(id + 24, "  a\x1b[2Jb  ", 9);
	memset(id + 33, 0, 31);
	memset(id + 64, ' ', 8);
	blk = open_blk();
	info = info_of(blk);
	assert_string_equal(info.serial, "SSSSSSSSSSSSSSSSSSSS");
	assert_string_equal(info.model, "a?[2Jb");
	assert_string_equal(info.firmware, "");
	close_blk(blk);
}

static void limits_are_those_of_controller_and_list(void **state)
{
	static const struct {
		uint8_t mdts;
		uint32_t blocks;
	} cases[] = {
		{ 1, 16 },
		/* a list of a page has 512 entries */
		{ 0, 4096 },
		{ 9, 4096 },
		{ 255, 4096 },
		{ 31, 4096 },
	};

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(cases); i++) {
		struct emu_nvme *nvme;
		struct vfn_blk *blk;

		emu_fini();
		emu_init();
		nvme = emu_nvme_add(NULL);
		emu_nvme_identify_ctrl(nvme)[77] = cases[i].mdts;
		put16(emu_nvme_identify_ns(nvme, 1) + 46, 32);
		blk = open_blk();
		assert_int_equal(info_of(blk).max_blocks, cases[i].blocks);
		assert_int_equal(info_of(blk).boundary, 32);
		close_blk(blk);
	}
}

static void a_namespace_that_is_protected_says_so(void **state)
{
	const struct vfn_blk_opts rdonly = { .flags = VFN_BLK_RDONLY };
	const struct emu_nvme_opts opts = {
		.nns = 1,
		.ns = { { .blocks = 100, .lba_size = 512, .read_only = true } },
	};
	const struct emu_nvme_opts other = { .pci.bdf = EMU_BDF2 };
	struct vfn_blk *blk;

	emu_nvme_add(&opts);
	emu_nvme_add(&other);
	blk = open_blk();
	assert_true(info_of(blk).features & VFN_BLK_F_RDONLY);
	close_blk(blk);
	blk = open_with(EMU_BDF2, &rdonly);
	assert_true(info_of(blk).features & VFN_BLK_F_RDONLY);
	close_blk(blk);
}

/* E7, E8 */
static void handles_share_the_queues_of_a_controller(void **state)
{
	const struct vfn_blk_opts six = { .queues = 6, .depth = 100, .flags = VFN_BLK_EXACT };
	const struct emu_nvme_opts opts = { .queues = 23 };
	struct vfn_blk *blk[4] = {}, *rest;
	struct emu_nvme *nvme = emu_nvme_add(&opts);

	for (int i = 0; i < 3; i++)
		blk[i] = open_with(EMU_BDF, &six);
	assert_int_equal(info_of(blk[2]).queues, 6);
	assert_int_equal(info_of(blk[2]).depth, 100);
	assert_int_equal(emu_nvme_stats(nvme).enables, 1);
	assert_int_equal(emu_nvme_stats(nvme).sqs, 18);

	assert_fails_with(vfn_blk_open(&blk[3], EMU_BDF, &six), ENOSPC);
	assert_error_has("5 pairs of queues left, not 6");
	assert_null(blk[3]);
	assert_int_equal(emu_nvme_stats(nvme).sqs, 18);

	/* half of what is left, then what is left, then none */
	blk[3] = open_blk();
	assert_int_equal(info_of(blk[3]).queues, 2);
	rest = open_with(EMU_BDF, &(struct vfn_blk_opts){ .queues = 6 });
	assert_int_equal(info_of(rest).queues, 3);
	assert_fails_with(vfn_blk_open(&(struct vfn_blk *){ NULL }, EMU_BDF, NULL), ENOSPC);

	/* what is closed is there for others */
	close_blk(blk[0]);
	assert_int_equal(emu_nvme_stats(nvme).sqs, 17);
	blk[0] = open_with(EMU_BDF, &six);
	close_blk(rest);
	for (int i = 0; i < 4; i++)
		close_blk(blk[i]);
	assert_int_equal(emu_nvme_stats(nvme).enables, 1);
}

static void depth_is_what_the_controller_takes(void **state)
{
	const struct emu_nvme_opts opts = { .mqes = 64 };
	struct vfn_blk_opts deep = { .depth = 100 };
	struct vfn_blk *blk = NULL;

	emu_nvme_add(&opts);
	blk = open_with(EMU_BDF, &deep);
	assert_int_equal(info_of(blk).depth, 64);
	close_blk(blk);
	blk = open_blk();
	assert_int_equal(info_of(blk).depth, 64);
	close_blk(blk);
	deep.flags = VFN_BLK_EXACT;
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF, &deep), ENOSPC);
	assert_error_has("64 entries, not 100");
}

/* E24 */
static void a_device_that_somebody_has_is_ebusy(void **state)
{
	struct vfn_blk *blk = NULL;
	struct machine m;

	start(&m, NULL);
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF, NULL), EBUSY);
	assert_error_has(EMU_BDF);
	stop(&m);
	blk = open_blk();
	close_blk(blk);
}

static int try_to_open(void *arg)
{
	const struct vfn_blk_opts opts = { .queues = 2, .flags = VFN_BLK_INTERRUPTS };

	return vfn_blk_open(arg, EMU_BDF, &opts);
}

static void close_it(void *arg)
{
	struct vfn_blk **blk = arg;

	close_blk(*blk);
}

static void each_step_that_fails_leaves_nothing(void **state)
{
	struct vfn_blk *blk;

	emu_nvme_add(NULL);
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, try_to_open, close_it, &blk) > 5);
	assert_true(emu_fail_each(EMU_DMA_MAP, ENOMEM, try_to_open, close_it, &blk) > 5);
	assert_true(emu_fail_each(EMU_MMAP, ENOMEM, try_to_open, close_it, &blk) > 5);
	assert_true(emu_fail_each(EMU_OPEN, EMFILE, try_to_open, close_it, &blk) > 5);
}

static void queue_that_is_refused_undoes_the_others(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *first = open_blk(), *blk = NULL;

	refuse(nvme, OP_CREATE_SQ, 3);
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF, NULL), EIO);
	assert_int_equal(emu_nvme_stats(nvme).sqs, 4);
	assert_int_equal(emu_nvme_stats(nvme).cqs, 4);
	close_blk(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(open_without_options_works),
		test(close_shuts_the_controller_down_and_leaves_nothing),
		test(name_may_have_a_namespace_and_no_domain),
		test(bad_names_are_refused),
		test(bad_options_are_refused),
		test(what_is_not_there_is_enodev),
		test(namespaces_that_make_no_sense_are_refused),
		test(texts_of_a_device_are_cut_and_cleaned),
		test(limits_are_those_of_controller_and_list),
		test(a_namespace_that_is_protected_says_so),
		test(handles_share_the_queues_of_a_controller),
		test(depth_is_what_the_controller_takes),
		test(a_device_that_somebody_has_is_ebusy),
		test(each_step_that_fails_leaves_nothing),
		test(queue_that_is_refused_undoes_the_others),
	};

	return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
