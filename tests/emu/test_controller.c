// SPDX-License-Identifier: GPL-2.0-or-later
/* The emulated controller does what a well-behaved host asks for. */
#include "raw.h"

static void bring_up_then_disable_is_clean(void **state)
{
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_read(&r, 0x08), 0x10400);
	raw_enable(&r);
	raw_stop(&r);
	emu_assert_clean();
}

static void ready_takes_its_time(void **state)
{
	const struct emu_nvme_opts opts = { .ready_ns = 500000000 };
	struct raw r;
	uint64_t start;

	emu_nvme_add(&opts);
	raw_open(&r, EMU_BDF);
	start = emu_now();
	raw_enable(&r);
	assert_true(emu_now() - start >= 500000000);
	raw_stop(&r);
}

static void identify_controller_has_serial(void **state)
{
	struct raw_cmd cmd = raw_identify(1, 0);
	struct raw r;

	raw_start(&r, NULL);
	assert_int_equal(raw_sync(&r, 0, &cmd), 0);
	assert_memory_equal(r.buf + 4, "EMU0001 ", 8);
	raw_stop(&r);
}

static void identify_namespaces_of_two(void **state)
{
	const struct emu_nvme_opts opts = {
		.nns = 2,
		.ns = { { .blocks = 100 }, { .blocks = 200, .lba_size = 4096 } },
	};
	struct raw_cmd list = raw_identify(2, 0), ns2 = raw_identify(0, 2),
		       none = raw_identify(0, 3);
	uint32_t ids[3];
	uint64_t size;
	struct raw r;

	raw_start(&r, &opts);
	assert_int_equal(raw_sync(&r, 0, &list), 0);
	memcpy(ids, r.buf, sizeof(ids));
	assert_int_equal(ids[0], 1);
	assert_int_equal(ids[1], 2);
	assert_int_equal(ids[2], 0);
	assert_int_equal(raw_sync(&r, 0, &ns2), 0);
	memcpy(&size, r.buf, sizeof(size));
	assert_int_equal(size, 200);
	assert_int_equal(r.buf[26], 1);
	assert_int_equal(raw_sync(&r, 0, &none), 0x400b);
	raw_stop(&r);
}

static void write_then_read_gives_the_data(void **state)
{
	struct raw_cmd write = raw_rw(1, 1, 8, 8, RAW_BUF_IOVA, 0);
	struct raw_cmd read = raw_rw(2, 2, 8, 8, RAW_BUF_IOVA + 4096, 0);
	struct raw r;

	raw_start(&r, NULL);
	memset(r.buf, 0x5a, 4096);
	assert_int_equal(raw_sync(&r, 1, &write), 0);
	assert_memory_equal((char *)emu_nvme_disk(r.nvme, 1, NULL) + 8 * 512, r.buf, 4096);
	assert_int_equal(raw_sync(&r, 1, &read), 0);
	assert_memory_equal(r.buf, r.buf + 4096, 4096);
	raw_stop(&r);
}

static void prp_list_is_followed(void **state)
{
	const unsigned int npages = 16;
	struct raw_cmd read = raw_rw(2, 2, 0, npages * 8, RAW_BUF_IOVA, RAW_BUF_IOVA + 40 * 4096);
	struct raw r;
	uint64_t *list;

	raw_start(&r, NULL);
	list = (uint64_t *)(r.buf + 40 * 4096);
	for (unsigned int i = 0; i < npages - 1; i++)
		list[i] = RAW_BUF_IOVA + (npages - 1 - i) * 4096;
	for (unsigned int i = 0; i < npages; i++)
		memset((char *)emu_nvme_disk(r.nvme, 1, NULL) + i * 4096, i + 1, 4096);
	assert_int_equal(raw_sync(&r, 1, &read), 0);
	assert_int_equal(r.buf[0], 1);
	for (unsigned int i = 1; i < npages; i++)
		assert_int_equal(r.buf[(npages - i) * 4096 + 4095], i + 1);
	raw_stop(&r);
}

/* Page 0 and 510 entries of one list page, then its chain pointer. */
static void prp_list_is_chained(void **state)
{
	const struct emu_nvme_opts opts = { .no_mdts = true };
	const unsigned int npages = 60;
	struct raw_cmd read =
		raw_rw(2, 2, 0, npages * 8, RAW_BUF_IOVA, RAW_BUF_IOVA + 61 * 4096 - 16);
	struct raw r;
	uint64_t *list;

	raw_start(&r, &opts);
	list = (uint64_t *)(r.buf + 61 * 4096 - 16);
	list[0] = RAW_BUF_IOVA + 4096;
	list[1] = RAW_BUF_IOVA + 62 * 4096;
	list = (uint64_t *)(r.buf + 62 * 4096);
	for (unsigned int i = 2; i < npages; i++)
		list[i - 2] = RAW_BUF_IOVA + i * 4096;
	memset(emu_nvme_disk(r.nvme, 1, NULL), 7, npages * 4096);
	assert_int_equal(raw_sync(&r, 1, &read), 0);
	assert_int_equal(r.buf[0], 7);
	assert_int_equal(r.buf[npages * 4096 - 1], 7);
	assert_int_equal(r.buf[npages * 4096], 0);
	raw_stop(&r);
}

static void compare_zeroes_and_deallocate(void **state)
{
	struct raw_cmd write = raw_rw(1, 1, 0, 8, RAW_BUF_IOVA, 0);
	struct raw_cmd cmp = raw_rw(5, 1, 0, 8, RAW_BUF_IOVA, 0);
	struct raw_cmd zero = raw_rw(8, 1, 0, 4, 0, 0);
	struct raw_cmd flush = { { [0] = 0, [1] = 1 } };
	struct raw_cmd dsm = {
		{ [0] = 9, [1] = 1, [6] = RAW_BUF_IOVA + 4096, [10] = 0, [11] = 4 }
	};
	const uint32_t range[4] = { 0, 2, 5, 0 };
	const uint8_t *disk;
	struct raw r;

	raw_start(&r, NULL);
	disk = emu_nvme_disk(r.nvme, 1, NULL);
	memset(r.buf, 1, 4096);
	assert_int_equal(raw_sync(&r, 1, &write), 0);
	assert_int_equal(raw_sync(&r, 1, &flush), 0);
	assert_int_equal(raw_sync(&r, 1, &cmp), 0);
	assert_int_equal(raw_sync(&r, 1, &zero), 0);
	assert_int_equal(raw_sync(&r, 1, &cmp), 0x0285);
	assert_int_equal(disk[4 * 512 - 1], 0);
	assert_int_equal(disk[5 * 512], 1);
	memcpy(r.buf + 4096, range, sizeof(range));
	assert_int_equal(raw_sync(&r, 1, &dsm), 0);
	assert_int_equal(disk[5 * 512], 0);
	assert_int_equal(disk[7 * 512 - 1], 0);
	assert_int_equal(disk[7 * 512], 1);
	raw_stop(&r);
}

static void bad_requests_get_their_status(void **state)
{
	static const struct {
		struct raw_cmd cmd;
		unsigned int qid;
		uint16_t status;
	} cases[] = {
		{ { { [0] = 0x7f } }, 0, 0x4001 },
		{ { { [0] = 0x7f } }, 1, 0x4001 },
		{ { { [0] = 2, [1] = 9, [6] = RAW_BUF_IOVA } }, 1, 0x400b },
		{ { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, [10] = 65536 } }, 1, 0x4080 },
		{ { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, [12] = 0xffff } }, 1, 0x4002 },
		{ { { [0] = 5, [6] = RAW_IOVA + 0x6000, [10] = 15 << 16 | 1, [11] = 1 } },
		  0,
		  0x4101 },
		{ { { [0] = 5, [6] = RAW_IOVA + 0x6000, [10] = 15 << 16 | 99, [11] = 1 } },
		  0,
		  0x4101 },
		{ { { [0] = 5, [6] = RAW_IOVA + 0x6000, [10] = 2, [11] = 1 } }, 0, 0x4102 },
		{ { { [0] = 5, [6] = RAW_IOVA + 0x6000, [10] = 0xffff0002, [11] = 1 } },
		  0,
		  0x4102 },
		{ { { [0] = 5,
		      [6] = RAW_IOVA + 0x6000,
		      [10] = 15 << 16 | 2,
		      [11] = 77 << 16 | 3 } },
		  0,
		  0x4108 },
		{ { { [0] = 1, [6] = RAW_IOVA + 0x6000, [10] = 15 << 16 | 2, [11] = 2 << 16 | 1 } },
		  0,
		  0x4100 },
		{ { { [0] = 0, [10] = 3 } }, 0, 0x4101 },
		{ { { [0] = 4, [10] = 3 } }, 0, 0x4101 },
		{ { { [0] = 9, [10] = 0x3 } }, 0, 0x4002 },
		{ { { [0] = 2, [6] = RAW_BUF_IOVA, [10] = 0x00030077 } }, 0, 0x4109 },
		{ { { [0] = 6, [6] = RAW_BUF_IOVA, [10] = 0x44 } }, 0, 0x4002 },
	};
	struct raw r;

	raw_start(&r, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t status = raw_sync(&r, cases[i].qid, &cases[i].cmd);

		if (status != cases[i].status)
			fail_msg("case %zu: status 0x%x, should be 0x%x", i, status,
				 cases[i].status);
	}
	raw_stop(&r);
}

static void number_of_queues_is_limited(void **state)
{
	const struct emu_nvme_opts opts = { .queues = 3 };
	struct raw_cmd set = { { [0] = 9, [10] = 7, [11] = 63 << 16 | 63 } };
	struct raw_cmd get = { { [0] = 10, [10] = 7 } };
	struct raw_cqe cqe;
	struct raw r;

	emu_nvme_add(&opts);
	raw_open(&r, EMU_BDF);
	raw_enable(&r);
	raw_submit(&r, 0, &set);
	cqe = raw_wait(&r, 0);
	assert_int_equal(cqe.sfp >> 1, 0);
	assert_int_equal(cqe.dw0, 2 << 16 | 2);
	raw_submit(&r, 0, &get);
	assert_int_equal(raw_wait(&r, 0).dw0, 2 << 16 | 2);
	raw_stop(&r);
}

static void aer_waits_for_event_and_masks_until_log_read(void **state)
{
	struct raw_cmd aer = { { [0] = 0x0c | 100u << 16 } };
	struct raw_cmd log = {
		{ [0] = 0x02, [1] = 0xffffffff, [6] = RAW_BUF_IOVA, [10] = 127 << 16 | 2 }
	};
	struct raw_cqe cqe;
	struct raw r;

	raw_start(&r, NULL);
	raw_submit(&r, 0, &aer);
	assert_false(raw_poll(&r, 0, &cqe));
	emu_nvme_raise_aen(r.nvme, 1, 2, 2);
	cqe = raw_wait(&r, 0);
	assert_int_equal(cqe.cid, 100);
	assert_int_equal(cqe.dw0, 0x20201);
	raw_submit(&r, 0, &aer);
	emu_nvme_raise_aen(r.nvme, 1, 1, 2);
	assert_false(raw_poll(&r, 0, &cqe));
	assert_int_equal(raw_sync(&r, 0, &log), 0);
	assert_int_equal(raw_wait(&r, 0).dw0, 0x20101);
	raw_stop(&r);
}

static void aer_limit_is_kept(void **state)
{
	const struct emu_nvme_opts opts = { .aerl = 2 };
	struct raw_cqe cqe;
	struct raw r;

	raw_start(&r, &opts);
	for (uint32_t i = 0; i < 3; i++) {
		struct raw_cmd aer = { { [0] = 0x0c | i << 16 } };

		raw_submit(&r, 0, &aer);
	}
	cqe = raw_wait(&r, 0);
	assert_int_equal(cqe.cid, 2);
	assert_int_equal(cqe.sfp >> 1, 0x4105);
	assert_int_equal(emu_nvme_stats(r.nvme).aers, 2);
	raw_stop(&r);
}

static void abort_completes_an_outstanding_command(void **state)
{
	const struct emu_fault lose = { .kind = EMU_LOSE, .qid = 1, .opcode = 2 };
	struct raw_cmd read = raw_rw(2, 7, 0, 1, RAW_BUF_IOVA, 0);
	struct raw_cmd abort = { { [0] = 0x08, [10] = 7 << 16 | 1 } };
	struct raw_cqe cqe;
	struct raw r;

	raw_start(&r, NULL);
	emu_nvme_fault(r.nvme, &lose);
	raw_submit(&r, 1, &read);
	raw_submit(&r, 0, &abort);
	assert_int_equal(raw_wait(&r, 0).dw0, 0);
	cqe = raw_wait(&r, 1);
	assert_int_equal(cqe.cid, 7);
	assert_int_equal(cqe.sfp >> 1, 0x0007);
	raw_submit(&r, 0, &abort);
	assert_int_equal(raw_wait(&r, 0).dw0, 1);
	raw_stop(&r);
}

static void shutdown_and_delete_queues(void **state)
{
	struct raw r;

	raw_start(&r, NULL);
	raw_delete(&r, 1);
	assert_int_equal(emu_nvme_stats(r.nvme).sqs, 0);
	raw_write(&r, 0x14, 1 | 1 << 14 | 6 << 16 | 4 << 20);
	assert_int_equal(raw_read(&r, 0x1c) >> 2 & 3, 1);
	os_sleep_ns(2000000);
	assert_int_equal(raw_read(&r, 0x1c) >> 2 & 3, 2);
	emu_assert_order("admin DELETE_SQ 1", "admin DELETE_CQ 1", "reg write 0x14 0x464001");
	raw_stop(&r);
}

static void queue_wraps_many_times(void **state)
{
	struct raw r;

	raw_start(&r, NULL);
	for (unsigned int i = 0; i < 1000; i++) {
		struct raw_cmd read = raw_rw(2, i & 0xff, i, 1, RAW_BUF_IOVA, 0);

		assert_int_equal(raw_sync(&r, 1, &read), 0);
	}
	assert_int_equal(emu_nvme_stats(r.nvme).io[2], 1000);
	raw_stop(&r);
}

static void full_completion_queue_holds_back(void **state)
{
	struct raw_cqe cqe;
	struct raw r;
	unsigned int n = 0;

	raw_start(&r, NULL);
	for (unsigned int i = 0; i < RAW_DEPTH + 4; i++) {
		struct raw_cmd read = raw_rw(2, i, 0, 1, RAW_BUF_IOVA, 0);

		raw_submit(&r, 1, &read);
	}
	assert_int_equal(emu_nvme_stats(r.nvme).outstanding, 5);
	while (raw_poll(&r, 1, &cqe))
		assert_int_equal(cqe.cid, n++);
	assert_int_equal(n, RAW_DEPTH + 4);
	raw_stop(&r);
}

static void controllers_are_independent(void **state)
{
	const struct emu_nvme_opts second = { .pci.bdf = EMU_BDF2 };
	struct raw a, b;

	raw_start(&a, NULL);
	raw_start(&b, &second);
	raw_write(&a, 0x14, 0);
	os_sleep_ns(10000000);
	assert_int_equal(raw_read(&a, 0x1c), 0);
	assert_int_equal(raw_read(&b, 0x1c), 1);
	raw_stop(&a);
	raw_stop(&b);
}

static void found_enabled_can_be_reset(void **state)
{
	const struct emu_nvme_opts opts = { .start_enabled = true, .start_cfs = true };
	struct raw r;

	emu_nvme_add(&opts);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_read(&r, 0x1c), 3);
	raw_disable(&r);
	assert_int_equal(raw_read(&r, 0x1c), 0);
	raw_enable(&r);
	raw_stop(&r);
}

static struct raw_cmd dbbuf_config(void)
{
	return (struct raw_cmd){ {
		[0] = 0x7c,
		[6] = RAW_BUF_IOVA,
		[8] = RAW_BUF_IOVA + 4096,
	} };
}

static void shadow_doorbells_are_polled(void **state)
{
	const struct emu_nvme_opts opts = { .dbbuf = true };
	struct raw_cmd config = dbbuf_config();
	struct raw_cmd read = raw_rw(2, 3, 0, 1, RAW_BUF_IOVA + 8192, 0);
	uint32_t *shadow, *event;
	struct raw r;

	raw_start(&r, &opts);
	shadow = (uint32_t *)r.buf;
	event = (uint32_t *)(r.buf + 4096);
	assert_int_equal(raw_sync(&r, 0, &config), 0);
	memcpy(r.q[1].sq, &read, sizeof(read));
	shadow[2] = 1;
	assert_int_equal(emu_nvme_stats(r.nvme).io[2], 0);
	emu_run();
	assert_int_equal(emu_nvme_stats(r.nvme).io[2], 1);
	assert_int_equal(event[2], 1);
	assert_true(r.q[1].cq[0].sfp & 1);
	shadow[3] = 1;
	raw_write(&r, 0x100c, 1);
	assert_int_equal(event[3], 1);
	raw_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		T(bring_up_then_disable_is_clean),
		T(ready_takes_its_time),
		T(identify_controller_has_serial),
		T(identify_namespaces_of_two),
		T(write_then_read_gives_the_data),
		T(prp_list_is_followed),
		T(prp_list_is_chained),
		T(compare_zeroes_and_deallocate),
		T(bad_requests_get_their_status),
		T(number_of_queues_is_limited),
		T(aer_waits_for_event_and_masks_until_log_read),
		T(aer_limit_is_kept),
		T(abort_completes_an_outstanding_command),
		T(shutdown_and_delete_queues),
		T(queue_wraps_many_times),
		T(full_completion_queue_holds_back),
		T(controllers_are_independent),
		T(found_enabled_can_be_reset),
		T(shadow_doorbells_are_polled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
