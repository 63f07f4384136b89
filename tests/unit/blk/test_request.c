// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests that do not wait: handed out once, in any number, split or not, failed or called off. */
#include "blk.h"

#include <poll.h>

struct async {
	struct emu_nvme *nvme;
	struct vfn_blk *blk;
	struct vfn_blk_queue *q;
	char *mem;
};

static void begin_with(struct async *a, struct emu_nvme *nvme, const struct vfn_blk_opts *opts)
{
	struct vfn_blk_opts two = opts ? *opts : (struct vfn_blk_opts){};

	two.queues = 2;
	a->nvme = nvme;
	a->blk = open_with(EMU_BDF, &two);
	a->q = vfn_blk_get_queue(a->blk);
	assert_non_null(a->q);
	a->mem = vfn_blk_alloc(a->blk, MIB);
	assert_non_null(a->mem);
}

static void begin(struct async *a, const struct emu_nvme_opts *nvme_opts,
		  const struct vfn_blk_opts *opts)
{
	begin_with(a, emu_nvme_add(nvme_opts), opts);
}

static void finish(struct async *a)
{
	assert_int_equal(vfn_blk_put_queue(a->q), 0);
	close_blk(a->blk);
}

static struct vfn_blk_req a_read(struct async *a, uint64_t lba, uint64_t nlb)
{
	return (struct vfn_blk_req){ .op = VFN_BLK_READ, .lba = lba, .nlb = nlb, .buf = a->mem };
}

static void submit(struct async *a, struct vfn_blk_req *req)
{
	assert_int_equal(vfn_blk_submit(a->q, req), 0);
}

static void wait_one(struct async *a, struct vfn_blk_req *req)
{
	struct vfn_blk_req *done[2] = {};

	assert_int_equal(vfn_blk_wait(a->q, done, 1, 2, -1), 1);
	assert_ptr_equal(done[0], req);
}

static void status_once(struct async *a, uint8_t opcode, uint32_t nth, uint16_t status)
{
	emu_nvme_fault(a->nvme, &(struct emu_fault){
					.kind = EMU_STATUS,
					.qid = EMU_ANY,
					.opcode = opcode,
					.nth = nth,
					.status = status,
				});
}

static void request_is_handed_out_once_with_its_data(void **state)
{
	struct vfn_blk_req *done[4], req;
	struct async a;

	begin(&a, NULL, NULL);
	memset(emu_nvme_disk(a.nvme, 1, NULL), 0x33, 64 * KIB);
	req = a_read(&a, 8, 8);
	for (int i = 0; i < 1000; i++) {
		memset(a.mem, 0, PAGE);
		submit(&a, &req);
		wait_one(&a, &req);
		assert_int_equal(req.error, 0);
		assert_int_equal(a.mem[0], 0x33);
		assert_int_equal(a.mem[PAGE - 1], 0x33);
		assert_int_equal(vfn_blk_wait(a.q, done, 0, 4, 0), 0);
	}
	finish(&a);
}

#define MANY 40

/* Q2 */
static void queues_of_any_depth_go_round(void **state)
{
	static const unsigned int depths[] = { 2, 3, 65536 };
	static struct vfn_blk_req reqs[1000], *done[1000];
	const struct emu_nvme_opts nvme_opts = { .mqes = 65536 };
	struct async a;

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(depths); i++) {
		const struct vfn_blk_opts opts = { .depth = depths[i], .flags = VFN_BLK_EXACT };
		const int n = depths[i] < 1000 ? (int)depths[i] - 1 : 1000;

		begin(&a, &nvme_opts, &opts);
		/* behind the last of 65536 entries a head of 16 bits is 0, as at the start */
		assert_int_equal(vfn_blk_wait(a.q, done, 0, 1, 0), 0);
		for (unsigned int sent = 0; sent < 3 * depths[i]; sent += (unsigned int)n) {
			for (int k = 0; k < n; k++) {
				reqs[k] = a_read(&a, 0, 1);
				submit(&a, &reqs[k]);
			}
			for (int got = 0; got < n;) {
				int more = vfn_blk_wait(a.q, done + got, 1, n - got, 1000000000);

				assert_true(more > 0);
				got += more;
			}
			for (int k = 0; k < n; k++)
				assert_ptr_equal(done[k], &reqs[k]);
		}
		finish(&a);
		emu_fini();
		emu_init();
	}
}

static void requests_that_the_queue_has_no_room_for_come_later(void **state)
{
	const struct vfn_blk_opts opts = { .depth = 4 };
	struct vfn_blk_req *done[MANY], reqs[MANY];
	bool seen[MANY] = {};
	int got = 0;
	struct async a;

	begin(&a, NULL, &opts);
	for (int i = 0; i < MANY; i++) {
		reqs[i] = a_read(&a, (uint64_t)i, i % 3 ? 1 : 300);
		submit(&a, &reqs[i]);
	}
	while (got < MANY) {
		int n = vfn_blk_wait(a.q, done + got, 1,
				     1 + got % 7 < MANY - got ? 1 + got % 7 : MANY - got, -1);

		assert_true(n >= 1);
		for (int i = got; i < got + n; i++) {
			assert_false(seen[done[i] - reqs]);
			seen[done[i] - reqs] = true;
			assert_int_equal(done[i]->error, 0);
		}
		got += n;
	}
	assert_int_equal(vfn_blk_wait(a.q, done, 0, 1, 0), 0);
	finish(&a);
}

static void queue_that_is_full_is_eagain_where_asked_for(void **state)
{
	const struct vfn_blk_opts opts = { .depth = 4, .flags = VFN_BLK_TRY };
	struct vfn_blk_req reqs[4];
	struct async a;

	begin(&a, NULL, &opts);
	for (int i = 0; i < 4; i++)
		reqs[i] = a_read(&a, 0, 1);
	for (int i = 0; i < 3; i++)
		submit(&a, &reqs[i]);
	assert_fails_with(vfn_blk_submit(a.q, &reqs[3]), EAGAIN);
	assert_int_equal(vfn_blk_wait(a.q, NULL, 3, 3, -1), 3);
	submit(&a, &reqs[3]);
	assert_int_equal(vfn_blk_wait(a.q, NULL, 1, 3, -1), 1);
	finish(&a);
}

/* B10 */
static void split_request_ends_once_with_its_first_error(void **state)
{
	const struct emu_nvme_opts opts = { .mdts = 1 };
	const struct vfn_blk_opts depths[] = { { .depth = 4 }, { .depth = 64 } };
	struct vfn_blk_req req;
	struct async a;

	for (size_t d = 0; d < 2; d++) {
		for (uint32_t k = 1; k <= 10; k++) {
			emu_fini();
			emu_init();
			begin(&a, &opts, &depths[d]);
			status_once(&a, OP_READ, k, 0x4281);
			status_once(&a, OP_READ, k + 1, 0x282);
			req = a_read(&a, 0, 10 * 16);
			submit(&a, &req);
			wait_one(&a, &req);
			assert_int_equal(req.error, EIO);
			assert_int_equal(req.status, 0x4281);
			assert_int_equal(vfn_blk_wait(a.q, NULL, 0, 1, 0), 0);
			/* it can be used again at once */
			emu_nvme_clear_faults(a.nvme);
			submit(&a, &req);
			wait_one(&a, &req);
			assert_int_equal(req.error, 0);
			assert_int_equal(req.status, 0);
			finish(&a);
		}
	}
}

/* The status of a command that is all there is to its request, among others that are successful. */
static void failed_command_among_others_keeps_its_status(void **state)
{
	struct vfn_blk_req reqs[8], *done[8];
	struct async a;

	begin(&a, NULL, NULL);
	status_once(&a, OP_READ, 4, 0x4281);
	for (int i = 0; i < 8; i++) {
		reqs[i] = a_read(&a, 0, 1);
		submit(&a, &reqs[i]);
	}
	assert_int_equal(vfn_blk_wait(a.q, done, 8, 8, -1), 8);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(reqs[i].error, i == 3 ? EIO : 0);
		assert_int_equal(reqs[i].status, i == 3 ? 0x4281 : 0);
	}
	assert_int_equal(vfn_blk_wait(a.q, done, 0, 8, 0), 0);
	finish(&a);
}

/* What is copied is no error of anybody's. */
static void memory_that_is_not_mapped_is_copied_without_a_word(void **state)
{
	static const uint32_t blocks[] = { 1, 16, 300 };
	static char plain[300 * 512];
	struct vfn_blk_req req;
	struct async a;

	begin(&a, NULL, NULL);
	memset(emu_nvme_disk(a.nvme, 1, NULL), 0x33, sizeof(plain));
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(blocks); i++) {
		/* not at a multiple of 4 either */
		for (size_t offset = 0; offset <= 2; offset += 2) {
			req = a_read(&a, 0, blocks[i] - 1 + !offset);
			if (!req.nlb)
				continue;
			req.buf = plain + offset;
			memset(plain, 0, sizeof(plain));
			assert_messages(submit(&a, &req); wait_one(&a, &req), 0, 0);
			assert_int_equal(plain[offset], 0x33);
			assert_int_equal(plain[offset + req.nlb * 512 - 1], 0x33);
		}
	}
	finish(&a);
}

/* B11 */
static void waits_that_make_no_sense_are_einval(void **state)
{
	struct vfn_blk_req req, *done[4];
	struct async a;

	begin(&a, NULL, NULL);
	req = a_read(&a, 0, 1);
	assert_fails_with(vfn_blk_wait(a.q, done, 1, 1, -1), EINVAL);
	assert_fails_with(vfn_blk_wait_req(&req, -1), EINVAL);
	assert_fails_with(vfn_blk_cancel(&req), EINVAL);
	submit(&a, &req);
	assert_fails_with(vfn_blk_wait(a.q, done, 2, 4, -1), EINVAL);
	assert_fails_with(vfn_blk_wait(a.q, done, -1, 4, -1), EINVAL);
	assert_fails_with(vfn_blk_wait(a.q, done, 0, 0, -1), EINVAL);
	assert_fails_with(vfn_blk_wait(a.q, done, 1, 0, -1), EINVAL);
	assert_fails_with(vfn_blk_wait(a.q, done, 1, 4, -2), EINVAL);
	assert_fails_with(vfn_blk_wait_req(&req, -2), EINVAL);
	assert_int_equal(vfn_blk_wait(a.q, NULL, 1, 1, 0), 1);
	finish(&a);
}

/* B11, E14 */
static void wait_has_a_limit_of_its_own(void **state)
{
	struct vfn_blk_req req, *done[4];
	uint64_t start;
	struct async a;

	begin(&a, NULL, NULL);
	emu_nvme_set(a.nvme, EMU_HOLD, true);
	req = a_read(&a, 0, 1);
	submit(&a, &req);
	start = emu_now();
	assert_fails_with(vfn_blk_wait_req(&req, 0), EAGAIN);
	assert_int_equal(vfn_blk_wait(a.q, done, 0, 4, -1), 0);
	assert_true(emu_now() - start < MS);
	start = emu_now();
	assert_fails_with(vfn_blk_wait_req(&req, 100 * (int64_t)MS), ETIMEDOUT);
	assert_fails_with(vfn_blk_wait(a.q, done, 1, 4, 100 * (int64_t)MS), ETIMEDOUT);
	assert_true(emu_now() - start >= 200 * MS);
	assert_true(emu_now() - start < 400 * MS);
	emu_nvme_set(a.nvme, EMU_HOLD, false);
	assert_int_equal(vfn_blk_wait_req(&req, -1), 0);
	assert_int_equal(req.error, 0);
	assert_fails_with(vfn_blk_wait_req(&req, -1), EINVAL);
	finish(&a);
}

static void fewer_than_asked_for_come_when_the_time_is_up(void **state)
{
	struct vfn_blk_req reqs[2], *done[2];
	struct async a;

	begin(&a, NULL, NULL);
	emu_nvme_fault(a.nvme, &(struct emu_fault){ .kind = EMU_DELAY,
						    .qid = EMU_ANY,
						    .opcode = OP_READ,
						    .nth = 2,
						    .delay_ns = SEC });
	for (int i = 0; i < 2; i++) {
		reqs[i] = a_read(&a, 0, 1);
		submit(&a, &reqs[i]);
	}
	assert_int_equal(vfn_blk_wait(a.q, done, 2, 2, 10 * (int64_t)MS), 1);
	assert_ptr_equal(done[0], &reqs[0]);
	wait_one(&a, &reqs[1]);
	finish(&a);
}

/* B12 */
static void queues_and_handles_with_requests_are_not_given_up(void **state)
{
	struct vfn_blk_req req;
	struct async a;

	begin(&a, NULL, NULL);
	req = a_read(&a, 0, 1);
	submit(&a, &req);
	assert_fails_with(vfn_blk_put_queue(a.q), EBUSY);
	assert_error_has("1 requests");
	assert_fails_with(vfn_blk_close(a.blk), EBUSY);
	assert_error_has("put back");
	wait_one(&a, &req);
	finish(&a);
}

/* B13 */
static void request_is_not_submitted_twice(void **state)
{
	struct vfn_blk_req req;
	struct async a;

	begin(&a, NULL, NULL);
	req = a_read(&a, 0, 1);
	submit(&a, &req);
	assert_fails_with(vfn_blk_submit(a.q, &req), EBUSY);
	wait_one(&a, &req);
	submit(&a, &req);
	wait_one(&a, &req);
	assert_int_equal(emu_nvme_stats(a.nvme).io[OP_READ], 2);
	assert_int_equal(vfn_blk_put_queue(NULL), 0);
	finish(&a);
}

static void one_queue_stays_for_calls_that_wait(void **state)
{
	struct vfn_blk_queue *other;
	struct async a;

	begin(&a, NULL, NULL);
	assert_null_with(vfn_blk_get_queue(a.blk), EBUSY);
	assert_error_has("left of 2");
	assert_int_equal(vfn_blk_read(a.blk, a.mem, 0, 8), 0);
	assert_int_equal(vfn_blk_put_queue(a.q), 0);
	other = vfn_blk_get_queue(a.blk);
	assert_ptr_equal(other, a.q);
	finish(&a);
}

/* B1, E15 */
static void bad_requests_are_not_submitted(void **state)
{
	struct vfn_blk_req good;
	struct async a;
	struct iovec iov = { 0 };
	uint64_t fetched;

	begin(&a, NULL, NULL);
	iov = (struct iovec){ a.mem, 1024 };
	/* a queue that has seen good ones looks less */
	assert_int_equal(vfn_blk_read(a.blk, a.mem, 0, 1), 0);
	good = a_read(&a, 0, 1);
	submit(&a, &good);
	wait_one(&a, &good);
	fetched = emu_nvme_stats(a.nvme).fetched;
	{
		struct vfn_blk_req bad[] = {
			{ .op = VFN_BLK_CMD + 1, .nlb = 1, .buf = a.mem },
			{ .op = VFN_BLK_CMD, .nlb = 512, .buf = a.mem },
			{ .op = 255, .nlb = 1, .buf = a.mem },
			{ .op = VFN_BLK_READ, .flags = 2, .nlb = 1, .buf = a.mem },
			{ .op = VFN_BLK_READ, .flags = 4, .nlb = 1, .buf = a.mem },
			{ .op = VFN_BLK_COMPARE, .flags = VFN_BLK_FUA, .nlb = 1, .buf = a.mem },
			{ .op = VFN_BLK_READ, .nlb = 0, .buf = a.mem },
			{ .op = VFN_BLK_READ, .nlb = 1 },
			{ .op = VFN_BLK_READ, .nlb = 2, .lba = 65535, .buf = a.mem },
			{ .op = VFN_BLK_READ, .nlb = 1ULL << 32, .buf = a.mem },
			{ .op = VFN_BLK_READ, .nlb = (1ULL << 32) + 1, .buf = a.mem },
			{ .op = VFN_BLK_READ, .nlb = UINT64_MAX, .lba = 1, .buf = a.mem },
			{ .op = VFN_BLK_READ, .nlb = 1, .lba = 65536, .buf = a.mem },
			{ .op = VFN_BLK_READ, .nlb = 1, .lba = UINT64_MAX, .buf = a.mem },
			{ .op = VFN_BLK_READ, .nlb = 1, .iov = &iov, .niov = 1 },
			{ .op = VFN_BLK_READ, .nlb = 3, .iov = &iov, .niov = 1 },
			{ .op = VFN_BLK_READ, .nlb = 2, .iov = &iov, .niov = 0 },
		};

		for (size_t i = 0; i < UNIT_ARRAY_SIZE(bad); i++) {
			assert_fails_with(vfn_blk_submit(a.q, &bad[i]), EINVAL);
			assert_int_equal(vfn_blk_wait(a.q, NULL, 0, 1, 0), 0);
		}
	}
	assert_int_equal(emu_nvme_stats(a.nvme).fetched, fetched);
	finish(&a);
}

static int called;

static void count_call(struct vfn_blk_req *req)
{
	called += *(int *)req->opaque;
}

static void submit_again(struct vfn_blk_req *req)
{
	struct async *a = req->opaque;

	if (++called < 10)
		submit(a, req);
}

static void callbacks_are_called_and_may_submit(void **state)
{
	struct vfn_blk_req req, *done;
	int seven = 7;
	struct async a;

	begin(&a, NULL, NULL);
	called = 0;
	req = a_read(&a, 0, 1);
	req.complete = count_call;
	req.opaque = &seven;
	submit(&a, &req);
	assert_int_equal(vfn_blk_wait(a.q, &done, 1, 1, -1), 1);
	assert_int_equal(called, 7);
	submit(&a, &req);
	assert_int_equal(vfn_blk_wait_req(&req, -1), 0);
	assert_int_equal(called, 14);

	called = 0;
	req.complete = submit_again;
	req.opaque = &a;
	submit(&a, &req);
	for (int i = 0; i < 10; i++)
		assert_int_equal(vfn_blk_wait(a.q, NULL, 1, 1, -1), 1);
	assert_int_equal(called, 10);
	assert_int_equal(vfn_blk_wait(a.q, NULL, 0, 1, 0), 0);
	finish(&a);
}

/* More at a time than are taken at a time, and nobody wants to know which. */
static void callbacks_do_without_a_list(void **state)
{
	const struct vfn_blk_opts opts = { .depth = 256 };
	struct vfn_blk_req reqs[200];
	int one = 1, got = 0;
	struct async a;

	begin(&a, NULL, &opts);
	for (int round = 0; round < 10; round++) {
		called = 0;
		for (int i = 0; i < 200; i++) {
			reqs[i] = a_read(&a, (uint64_t)i, 1);
			reqs[i].complete = count_call;
			reqs[i].opaque = &one;
			submit(&a, &reqs[i]);
		}
		for (got = 0; got < 60;)
			got += vfn_blk_wait(a.q, NULL, 1, 60 - got, -1);
		assert_int_equal(called, 60);
		assert_int_equal(vfn_blk_wait(a.q, NULL, 140, 200, -1), 140);
		assert_int_equal(called, 200);
	}
	assert_int_equal(vfn_blk_wait(a.q, NULL, 0, 200, 0), 0);
	finish(&a);
}

static void others_that_end_meanwhile_stay(void **state)
{
	struct vfn_blk_req reqs[3], *done[3];
	struct async a;

	begin(&a, NULL, NULL);
	for (int i = 0; i < 3; i++) {
		reqs[i] = a_read(&a, 0, i == 1 ? 2000 : 1);
		submit(&a, &reqs[i]);
	}
	assert_int_equal(vfn_blk_wait_req(&reqs[1], -1), 0);
	assert_int_equal(vfn_blk_wait(a.q, done, 2, 3, 0), 2);
	assert_ptr_equal(done[0], &reqs[0]);
	assert_ptr_equal(done[1], &reqs[2]);
	finish(&a);
}

static void those_that_were_left_come_before_others(void **state)
{
	struct vfn_blk_req reqs[3], *done[3], quick;
	struct async a;

	begin(&a, NULL, NULL);
	for (int i = 0; i < 3; i++) {
		reqs[i] = a_read(&a, 0, 2000);
		submit(&a, &reqs[i]);
	}
	assert_int_equal(vfn_blk_wait(a.q, done, 1, 1, -1), 1);
	assert_ptr_equal(done[0], &reqs[0]);
	assert_int_equal(vfn_blk_wait_req(&reqs[2], -1), 0);
	quick = a_read(&a, 0, 1);
	submit(&a, &quick);
	assert_int_equal(vfn_blk_wait(a.q, done, 1, 1, -1), 1);
	assert_ptr_equal(done[0], &reqs[1]);
	assert_int_equal(vfn_blk_wait(a.q, done, 1, 1, -1), 1);
	assert_ptr_equal(done[0], &quick);
	finish(&a);
}

/* B15 */
static void cancelled_request_ends_with_ecanceled(void **state)
{
	const struct emu_nvme_opts opts = { .mdts = 1 };
	const struct vfn_blk_opts shallow = { .depth = 4 };
	struct vfn_blk_req reqs[3];
	struct async a;

	begin(&a, &opts, &shallow);
	emu_nvme_fault(a.nvme,
		       &(struct emu_fault){
			       .kind = EMU_LOSE, .qid = EMU_ANY, .opcode = OP_READ, .count = 3 });
	/* all of the first is out, a part of the second, none of the third */
	reqs[0] = a_read(&a, 0, 16);
	reqs[1] = a_read(&a, 0, 16 * 8);
	reqs[2] = a_read(&a, 0, 1);
	for (int i = 0; i < 3; i++)
		submit(&a, &reqs[i]);
	for (int i = 2; i >= 0; i--) {
		assert_int_equal(vfn_blk_cancel(&reqs[i]), 0);
		assert_int_equal(vfn_blk_cancel(&reqs[i]), 0);
		assert_int_equal(vfn_blk_wait_req(&reqs[i], -1), 0);
		assert_int_equal(reqs[i].error, ECANCELED);
	}
	assert_int_equal(emu_nvme_stats(a.nvme).io[OP_READ], 3);
	/* too late */
	submit(&a, &reqs[2]);
	assert_int_equal(vfn_blk_wait(a.q, NULL, 1, 1, -1), 1);
	assert_int_equal(reqs[2].error, 0);
	finish(&a);
}

/* B15 */
static void requests_have_limits_of_their_own(void **state)
{
	struct vfn_blk_req slow, quick, *done[2];
	uint64_t start;
	struct async a;

	begin(&a, NULL, NULL);
	emu_nvme_fault(a.nvme,
		       &(struct emu_fault){
			       .kind = EMU_LOSE, .qid = EMU_ANY, .opcode = OP_READ, .count = 2 });
	slow = a_read(&a, 0, 1);
	slow.timeout_ms = 1000;
	quick = a_read(&a, 0, 1);
	quick.timeout_ms = 50;
	start = emu_now();
	submit(&a, &slow);
	submit(&a, &quick);
	assert_int_equal(vfn_blk_wait(a.q, done, 1, 2, -1), 1);
	assert_ptr_equal(done[0], &quick);
	assert_int_equal(quick.error, ETIMEDOUT);
	assert_true(emu_now() - start < 200 * MS);
	wait_one(&a, &slow);
	assert_int_equal(slow.error, ETIMEDOUT);
	assert_true(emu_now() - start >= 1000 * MS);
	finish(&a);
}

/* B15: a wait that always finds something sees limits, too. */
static void request_is_late_among_others_that_are_not(void **state)
{
	struct vfn_blk_req lost, quick, *done[2] = {};
	uint64_t start;
	struct async a;

	begin(&a, NULL, NULL);
	emu_nvme_fault(a.nvme,
		       &(struct emu_fault){ .kind = EMU_LOSE, .qid = EMU_ANY, .opcode = OP_READ });
	lost = a_read(&a, 0, 1);
	lost.timeout_ms = 50;
	submit(&a, &lost);
	assert_int_equal(vfn_blk_wait(a.q, done, 0, 2, 0), 0);
	start = emu_now();
	do {
		quick = a_read(&a, 0, 1);
		submit(&a, &quick);
		emu_advance(MS);
		assert_true(vfn_blk_wait(a.q, done, 1, 2, -1) >= 1);
		assert_true(emu_now() - start < 5 * SEC);
	} while (done[0] != &lost && done[1] != &lost);
	assert_int_equal(lost.error, ETIMEDOUT);
	finish(&a);
}

/* H2 */
static void everything_ends_when_the_controller_goes(void **state)
{
	const struct vfn_blk_opts opts = { .depth = 4 };
	struct vfn_blk_req reqs[10], *done[10];
	struct vfn_blk *more;
	char plain[512];
	struct async a;

	begin(&a, NULL, &opts);
	emu_nvme_set(a.nvme, EMU_HOLD, true);
	for (int i = 0; i < 10; i++) {
		reqs[i] = a_read(&a, 0, 1);
		if (i % 2)
			reqs[i].buf = plain;
		submit(&a, &reqs[i]);
	}
	assert_int_equal(vfn_blk_wait(a.q, done, 0, 10, 0), 0);
	emu_pci_remove(emu_nvme_pci(a.nvme));
	assert_int_equal(vfn_blk_wait(a.q, done, 10, 10, -1), 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(reqs[i].error, ENODEV);
	assert_fails_with(vfn_blk_submit(a.q, &reqs[0]), ENODEV);
	assert_fails_with(vfn_blk_open(&more, EMU_BDF, NULL), ENODEV);
	assert_error_has("lost");
	finish(&a);
}

/* H1: the kernel waits for the device until the program lets go of it */
static void everything_ends_when_the_kernel_wants_the_device_back(void **state)
{
	struct vfn_blk_req req, *done;
	struct async a;

	begin(&a, NULL, NULL);
	emu_nvme_set(a.nvme, EMU_HOLD, true);
	req = a_read(&a, 0, 1);
	submit(&a, &req);
	assert_int_equal(vfn_blk_wait(a.q, &done, 0, 1, 0), 0);
	emu_pci_request(emu_nvme_pci(a.nvme));
	assert_int_equal(vfn_blk_wait(a.q, &done, 1, 1, -1), 1);
	assert_int_equal(req.error, ENODEV);
	assert_fails_with(vfn_blk_submit(a.q, &req), ENODEV);
	finish(&a);
}

/* ---- interrupts ---- */

static const struct vfn_blk_opts by_interrupts = { .flags = VFN_BLK_INTERRUPTS };

static bool is_readable(struct async *a)
{
	struct pollfd pollfd = { .fd = vfn_blk_event_fd(a->q), .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

static void delay_reads(struct async *a, uint64_t ns)
{
	emu_nvme_fault(a->nvme, &(struct emu_fault){ .kind = EMU_DELAY,
						     .qid = EMU_ANY,
						     .opcode = OP_READ,
						     .count = 100,
						     .delay_ns = ns });
}

static void event_loop_is_told_when_there_is_something(void **state)
{
	struct vfn_blk_req req, *done[4];
	struct async a;

	begin(&a, NULL, &by_interrupts);
	assert_true(vfn_blk_event_fd(a.q) > 2);
	assert_false(is_readable(&a));
	delay_reads(&a, 5 * MS);
	req = a_read(&a, 0, 1);
	for (int i = 0; i < 20; i++) {
		submit(&a, &req);
		/* the controller learns of it */
		assert_int_equal(vfn_blk_wait(a.q, done, 0, 4, 0), 0);
		assert_false(is_readable(&a));
		emu_advance(6 * MS);
		assert_true(is_readable(&a));
		assert_int_equal(vfn_blk_wait(a.q, done, 0, 4, 0), 1);
		assert_false(is_readable(&a));
	}
	finish(&a);
}

/* What has ended without an interrupt, or was left there. */
static void event_loop_is_told_of_what_waits_for_it(void **state)
{
	struct vfn_blk_req reqs[5], *done[5];
	struct async a;

	a.nvme = emu_nvme_add(NULL);
	/* there is no cache to flush */
	emu_nvme_identify_ctrl(a.nvme)[525] = 0;
	begin_with(&a, a.nvme, &by_interrupts);
	reqs[0] = (struct vfn_blk_req){ .op = VFN_BLK_FLUSH };
	submit(&a, &reqs[0]);
	assert_true(is_readable(&a));
	wait_one(&a, &reqs[0]);
	assert_int_equal(vfn_blk_wait(a.q, done, 0, 5, 0), 0);
	assert_false(is_readable(&a));

	for (int i = 0; i < 5; i++) {
		reqs[i] = a_read(&a, 0, 1);
		submit(&a, &reqs[i]);
	}
	assert_int_equal(vfn_blk_wait(a.q, done, 3, 3, -1), 3);
	assert_true(is_readable(&a));
	assert_int_equal(vfn_blk_wait_req(&reqs[4], -1), 0);
	assert_true(is_readable(&a));
	wait_one(&a, &reqs[3]);
	assert_int_equal(vfn_blk_wait(a.q, done, 0, 5, 0), 0);
	assert_false(is_readable(&a));

	delay_reads(&a, SEC);
	submit(&a, &reqs[0]);
	assert_int_equal(vfn_blk_cancel(&reqs[0]), 0);
	assert_int_equal(vfn_blk_wait(a.q, done, 1, 5, -1), 1);
	finish(&a);
}

/* Q13 */
static void waits_sleep_and_do_without_an_interrupt_that_is_lost(void **state)
{
	struct vfn_blk_req req;
	uint64_t start;
	struct async a;

	begin(&a, NULL, &by_interrupts);
	req = a_read(&a, 0, 1);
	delay_reads(&a, 3 * SEC);
	start = emu_now();
	submit(&a, &req);
	wait_one(&a, &req);
	assert_true(emu_now() - start >= 3 * SEC);
	assert_true(emu_now() - start < 3 * SEC + MS);
	submit(&a, &req);
	assert_fails_with(vfn_blk_wait_req(&req, 20 * (int64_t)MS), ETIMEDOUT);
	assert_int_equal(vfn_blk_wait_req(&req, -1), 0);
	assert_int_equal(vfn_blk_read(a.blk, a.mem, 0, 300), 0);

	emu_nvme_clear_faults(a.nvme);
	emu_nvme_fault(a.nvme, &(struct emu_fault){
				       .kind = EMU_NO_IRQ, .qid = EMU_ANY, .opcode = OP_READ });
	start = emu_now();
	submit(&a, &req);
	wait_one(&a, &req);
	assert_true(emu_now() - start < 100 * MS);
	finish(&a);
}

/* A queue that is made anew interrupts as before. */
static void late_request_costs_no_interrupts(void **state)
{
	const struct emu_nvme_opts opts = { .abort_fails = true };
	struct vfn_blk_req req;
	struct async a;

	begin(&a, &opts, &by_interrupts);
	emu_nvme_fault(a.nvme,
		       &(struct emu_fault){ .kind = EMU_LOSE, .qid = EMU_ANY, .opcode = OP_READ });
	req = a_read(&a, 0, 1);
	req.timeout_ms = 100;
	submit(&a, &req);
	wait_one(&a, &req);
	assert_int_equal(req.error, ETIMEDOUT);
	assert_int_equal(emu_nvme_stats(a.nvme).admin[OP_DELETE_SQ], 1);
	assert_int_equal(vfn_blk_wait(a.q, NULL, 0, 1, 0), 0);
	submit(&a, &req);
	assert_int_equal(vfn_blk_wait_req(&req, 0), 0);
	assert_true(is_readable(&a));
	finish(&a);
}

static void queues_are_no_more_than_their_vectors(void **state)
{
	struct vfn_blk_opts opts = { .queues = 4, .flags = VFN_BLK_INTERRUPTS };
	const struct emu_nvme_opts few = { .pci = { .msix_vectors = 3 } };
	const struct emu_nvme_opts one = { .pci = { .no_msix = true } };
	struct vfn_blk *blk, *polled, *more;
	struct vfn_blk_queue *q;

	emu_nvme_add(&few);
	blk = open_with(EMU_BDF, &opts);
	assert_int_equal(info_of(blk).queues, 2);
	/* one that needs none */
	polled = open_with(EMU_BDF, &(struct vfn_blk_opts){ .queues = 2 });
	assert_fails_with(vfn_blk_open(&more, EMU_BDF, &opts), ENOSPC);
	close_blk(blk);
	opts.flags |= VFN_BLK_EXACT;
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF, &opts), ENOSPC);
	assert_error_has("2 pairs");
	q = vfn_blk_get_queue(polled);
	assert_fails_with(vfn_blk_event_fd(q), ENOTSUP);
	assert_int_equal(vfn_blk_put_queue(q), 0);
	close_blk(polled);

	emu_fini();
	emu_init();
	emu_nvme_add(&one);
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF, &opts), ENOTSUP);
	assert_error_has("vectors");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(request_is_handed_out_once_with_its_data),
		test(queues_of_any_depth_go_round),
		test(requests_that_the_queue_has_no_room_for_come_later),
		test(queue_that_is_full_is_eagain_where_asked_for),
		test(split_request_ends_once_with_its_first_error),
		test(failed_command_among_others_keeps_its_status),
		test(memory_that_is_not_mapped_is_copied_without_a_word),
		test(waits_that_make_no_sense_are_einval),
		test(wait_has_a_limit_of_its_own),
		test(fewer_than_asked_for_come_when_the_time_is_up),
		test(queues_and_handles_with_requests_are_not_given_up),
		test(request_is_not_submitted_twice),
		test(one_queue_stays_for_calls_that_wait),
		test(bad_requests_are_not_submitted),
		test(callbacks_are_called_and_may_submit),
		test(callbacks_do_without_a_list),
		test(others_that_end_meanwhile_stay),
		test(those_that_were_left_come_before_others),
		test(cancelled_request_ends_with_ecanceled),
		test(requests_have_limits_of_their_own),
		test(request_is_late_among_others_that_are_not),
		test(everything_ends_when_the_controller_goes),
		test(everything_ends_when_the_kernel_wants_the_device_back),
		test(event_loop_is_told_when_there_is_something),
		test(event_loop_is_told_of_what_waits_for_it),
		test(waits_sleep_and_do_without_an_interrupt_that_is_lost),
		test(late_request_costs_no_interrupts),
		test(queues_are_no_more_than_their_vectors),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
