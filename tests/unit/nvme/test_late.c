// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands that do not complete in time: their requests and memory stay the controller's. */
#include "machine.h"

#define TIMEOUT_MS 50

static void start_short(struct machine *m, int qsize)
{
	start_pair(m, NULL, qsize);
	vfn_nvme_set_timeout(&m->ctrl, TIMEOUT_MS);
}

static void delay(struct machine *m, int opcode, uint64_t ns)
{
	emu_nvme_fault(m->nvme, &(struct emu_fault){
					.kind = EMU_DELAY,
					.qid = 1,
					.opcode = opcode,
					.delay_ns = ns,
				});
}

static int flush(struct machine *m)
{
	union nvme_cmd cmd = flush_cmd();

	return nvme_sync(&m->ctrl, m->sq, &cmd, NULL, 0, NULL);
}

static int read_into(struct machine *m, void *buf)
{
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, 8);

	return nvme_sync(&m->ctrl, m->sq, &cmd, buf, PAGE, NULL);
}

static unsigned int dma_maps(void)
{
	return emu_usage().dma_maps;
}

/* Q7, W23 */
static void sync_of_a_lost_command_times_out(void **state)
{
	static const enum emu_fault_kind kinds[] = { EMU_DROP, EMU_LOSE, EMU_DELAY };
	uint64_t begin;
	struct machine m;

	start_short(&m, 16);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		emu_nvme_fault(m.nvme, &(struct emu_fault){
					       .kind = kinds[i],
					       .qid = 1,
					       .opcode = OP_FLUSH,
					       .delay_ns = 10 * SEC,
				       });
		begin = emu_now();
		assert_fails_with(flush(&m), ETIMEDOUT);
		assert_in_range(emu_now() - begin, TIMEOUT_MS * MS, (TIMEOUT_MS + 2) * MS);
		emu_nvme_clear_faults(m.nvme);
	}
	assert_int_equal(flush(&m), 0);
	stop(&m);
}

/* W23 */
static void sync_waits_a_minute_by_default(void **state)
{
	uint64_t begin;
	struct machine m;

	start_pair(&m, NULL, 8);
	add_fault(&m, EMU_LOSE, 1, OP_FLUSH);
	begin = emu_now();
	assert_fails_with(flush(&m), ETIMEDOUT);
	assert_in_range(emu_now() - begin, 60 * SEC, 61 * SEC);
	stop(&m);
}

/* C16 */
static void admin_command_lost_times_out(void **state)
{
	union nvme_cmd cmd = identify_cmd();
	struct machine m;

	start_short(&m, 8);
	add_fault(&m, EMU_DROP, 0, OP_IDENTIFY);
	assert_fails_with(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, PAGE, NULL), ETIMEDOUT);
	cmd = identify_cmd();
	assert_int_equal(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, PAGE, NULL), 0);
	stop(&m);
}

/* W23, Q7 */
static void identifier_of_a_lost_command_is_not_used_again(void **state)
{
	struct nvme_rq *rqs[2];
	struct machine m;

	start_short(&m, 4);
	add_fault(&m, EMU_LOSE, 1, OP_FLUSH);
	assert_fails_with(flush(&m), ETIMEDOUT);
	assert_int_equal(free_requests(m.sq), 2);
	for (int i = 0; i < 100; i++)
		assert_int_equal(flush(&m), 0);
	for (int i = 0; i < 2; i++) {
		rqs[i] = nvme_rq_acquire(m.sq);
		assert_int_not_equal(rqs[i]->cid, 0);
	}
	assert_null_with(nvme_rq_acquire(m.sq), EBUSY);
	stop(&m);
}

/* Q8, W23 */
static void late_completion_gives_the_request_back(void **state)
{
	struct machine m;

	start_short(&m, 4);
	delay(&m, OP_FLUSH, 200 * MS);
	assert_fails_with(flush(&m), ETIMEDOUT);
	assert_int_equal(free_requests(m.sq), 2);
	emu_advance(200 * MS);
	assert_int_equal(flush(&m), 0);
	assert_int_equal(free_requests(m.sq), 3);
	assert_int_equal(m.cq->head, 2);
	stop(&m);
}

/* D15, Q7, W23, promise 2: memory is not given back while the controller may write it */
static void mapping_of_a_late_command_stays_until_it_completes(void **state)
{
	char *buf = new_pages(PAGE);
	unsigned int before;
	struct machine m;

	start_short(&m, 4);
	memset(emu_nvme_disk(m.nvme, 1, NULL), 0x5a, PAGE);
	before = dma_maps();
	delay(&m, OP_READ, 200 * MS);
	assert_fails_with(read_into(&m, buf), ETIMEDOUT);
	assert_int_equal(dma_maps(), before + 1);
	assert_int_equal(flush(&m), 0);
	assert_int_equal(dma_maps(), before + 1);
	assert_int_equal(buf[0], 0);

	emu_advance(200 * MS);
	assert_int_equal(buf[0], 0x5a);
	assert_int_equal(flush(&m), 0);
	assert_int_equal(dma_maps(), before);
	free(buf);
	stop(&m);
}

/* W23: another command with the same buffer meanwhile does not take the mapping away */
static void mapping_of_a_late_command_outlives_another_of_the_same_buffer(void **state)
{
	char *buf = new_pages(PAGE);
	unsigned int before;
	struct machine m;

	start_short(&m, 4);
	before = dma_maps();
	delay(&m, OP_READ, 200 * MS);
	assert_fails_with(read_into(&m, buf), ETIMEDOUT);
	assert_int_equal(read_into(&m, buf), 0);
	assert_int_equal(dma_maps(), before + 1);
	emu_advance(200 * MS);
	assert_int_equal(flush(&m), 0);
	assert_int_equal(dma_maps(), before);
	free(buf);
	stop(&m);
}

/* W23: nor does the late one take it from a command that is out */
static void mapping_of_a_late_command_is_kept_for_another_of_the_same_buffer(void **state)
{
	char *buf = new_pages(PAGE);
	unsigned int before;
	struct machine m;

	start_short(&m, 4);
	before = dma_maps();
	delay(&m, OP_READ, 80 * MS);
	assert_fails_with(read_into(&m, buf), ETIMEDOUT);
	emu_nvme_clear_faults(m.nvme);
	delay(&m, OP_READ, 45 * MS);
	assert_int_equal(read_into(&m, buf), 0);
	assert_int_equal(free_requests(m.sq), 3);
	assert_int_equal(dma_maps(), before);
	free(buf);
	stop(&m);
}

/* W23: a request lets go of its mapping once, though the same memory may be mapped for another one then */
static void
mapping_of_a_late_command_is_kept_from_a_request_that_had_the_buffer_before(void **state)
{
	char *buf = new_pages(PAGE);
	struct nvme_rq *rq;
	unsigned int before;
	struct machine m;

	start_short(&m, 4);
	before = dma_maps();
	assert_int_equal(read_into(&m, buf), 0);
	rq = nvme_rq_acquire(m.sq);
	assert_int_equal(rq->cid, 0);
	delay(&m, OP_READ, 200 * MS);
	assert_fails_with(read_into(&m, buf), ETIMEDOUT);
	nvme_rq_release(rq);
	assert_int_equal(flush(&m), 0);
	assert_int_equal(dma_maps(), before + 1);
	emu_advance(200 * MS);
	assert_int_equal(flush(&m), 0);
	assert_int_equal(dma_maps(), before);
	free(buf);
	stop(&m);
}

/* Buffers of two commands may meet on a page, whichever goes first. */
static void mapping_of_a_page_is_shared_by_two_buffers(void **state)
{
	char *buf = new_pages(3 * PAGE);
	unsigned int before;
	struct machine m;

	for (int first = 0; first < 2; first++) {
		start_short(&m, 4);
		memset(emu_nvme_disk(m.nvme, 1, NULL), 0x5a, PAGE);
		before = dma_maps();
		memset(buf, 0, 3 * PAGE);
		delay(&m, OP_READ, 80 * MS);
		assert_fails_with(read_into(&m, buf + (first ? 512 : 512 + PAGE)), ETIMEDOUT);
		emu_nvme_clear_faults(m.nvme);
		delay(&m, OP_READ, 45 * MS);
		assert_int_equal(read_into(&m, buf + (first ? 512 + PAGE : 512)), 0);
		assert_int_equal(buf[511], 0);
		for (size_t i = 0; i < 2 * PAGE; i++)
			assert_int_equal(buf[512 + i], 0x5a);
		assert_int_equal(buf[512 + 2 * PAGE], 0);
		assert_int_equal(dma_maps(), before);
		stop(&m);
		emu_fini();
		emu_init();
	}
	free(buf);
}

/* W23 */
static void mapping_of_a_lost_command_goes_with_the_queue(void **state)
{
	char *buf = new_pages(PAGE);
	unsigned int before;
	struct machine m;

	start_short(&m, 4);
	before = dma_maps();
	add_fault(&m, EMU_DROP, 1, OP_READ);
	assert_fails_with(read_into(&m, buf), ETIMEDOUT);
	assert_int_equal(dma_maps(), before + 1);
	/* entries, PRP lists, completions, and the buffer */
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	assert_int_equal(dma_maps(), before - 3);
	free(buf);
	stop(&m);
}

/* W23 */
static void mapping_of_a_lost_command_goes_with_the_controller(void **state)
{
	const struct emu_usage nothing = {};
	char *buf = new_pages(PAGE);
	struct machine m;

	start_short(&m, 4);
	add_fault(&m, EMU_DROP, 1, OP_READ);
	assert_fails_with(read_into(&m, buf), ETIMEDOUT);
	iommu_put_dmabuf(&m.buf);
	nvme_close(&m.ctrl);
	emu_assert_usage(&nothing);
	free(buf);
}

/* ---- requests of the program's ---- */

static struct timespec ms(long n)
{
	return (struct timespec){ .tv_nsec = n * (long)MS };
}

/* W23 */
static void wait_that_timed_out_can_be_repeated(void **state)
{
	struct timespec ts = ms(20);
	struct nvme_cqe cqe;
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 4);
	delay(&m, OP_FLUSH, 100 * MS);
	rq = post_flush(m.sq);
	for (int i = 0; i < 3; i++)
		assert_fails_with(nvme_rq_wait(rq, &cqe, &ts), ETIMEDOUT);
	ts = ms(200);
	assert_int_equal(nvme_rq_wait(rq, &cqe, &ts), 0);
	assert_int_equal(cqe.cid, rq->cid);
	nvme_rq_release(rq);
	assert_int_equal(free_requests(m.sq), 3);
	stop(&m);
}

/* W23 */
static void request_released_after_a_time_out_is_free_when_it_completes(void **state)
{
	struct timespec ts = ms(20);
	struct nvme_rq *late, *rq;
	struct nvme_cqe cqe, *raw;
	struct machine m;

	start_pair(&m, NULL, 4);
	delay(&m, OP_FLUSH, 100 * MS);
	late = post_flush(m.sq);
	assert_fails_with(nvme_rq_wait(late, NULL, &ts), ETIMEDOUT);
	nvme_rq_release(late);
	assert_int_equal(free_requests(m.sq), 2);

	/* waiting for another skips it */
	emu_advance(100 * MS);
	rq = post_flush(m.sq);
	assert_ptr_not_equal(rq, late);
	assert_int_equal(nvme_rq_spin(rq, &cqe), 0);
	assert_int_equal(cqe.cid, rq->cid);
	nvme_rq_release(rq);
	assert_int_equal(free_requests(m.sq), 3);

	/* and so does a program that polls */
	delay(&m, OP_FLUSH, 100 * MS);
	late = post_flush(m.sq);
	assert_fails_with(nvme_rq_wait(late, NULL, &ts), ETIMEDOUT);
	nvme_rq_release_atomic(late);
	emu_advance(100 * MS);
	raw = nvme_cq_get_cqe(m.cq);
	assert_non_null(raw);
	assert_null_with(nvme_rq_from_cqe(&m.ctrl, raw), ECANCELED);
	nvme_cq_update_head(m.cq);
	assert_int_equal(free_requests(m.sq), 3);
	stop(&m);
}

/* ---- what ends a wait ---- */

/*
 * Two commands time out one after the other, the first of them completes @ns after
 * it was posted. Returns how long all of it took.
 */
static uint64_t time_out_twice(uint64_t ns)
{
	uint64_t begin, took;
	struct machine m;

	start_short(&m, 8);
	delay(&m, OP_FLUSH, ns);
	begin = emu_now();
	assert_fails_with(flush(&m), ETIMEDOUT);
	emu_nvme_clear_faults(m.nvme);
	add_fault(&m, EMU_LOSE, 1, OP_FLUSH);
	assert_fails_with(flush(&m), ETIMEDOUT);
	took = emu_now() - begin;
	stop(&m);
	emu_fini();
	emu_init();

	return took;
}

/* The late completion of one command comes at any instant of the end of another's wait. */
static void time_out_is_reported_as_such_whatever_else_arrives(void **state)
{
	const uint64_t took = time_out_twice(SEC);

	for (uint64_t early = 0; early < 5000; early += 100)
		time_out_twice(took - early);
}

/* W23 */
static void time_out_of_a_wait_is_not_hidden_by_a_late_completion(void **state)
{
	struct timespec none = {};
	struct nvme_rq *rq;
	struct machine m;

	start_short(&m, 8);
	delay(&m, OP_FLUSH, 100 * MS);
	assert_fails_with(flush(&m), ETIMEDOUT);
	emu_nvme_clear_faults(m.nvme);
	add_fault(&m, EMU_LOSE, 1, OP_FLUSH);
	emu_advance(100 * MS);
	rq = post_flush(m.sq);
	assert_fails_with(nvme_rq_wait(rq, NULL, &none), ETIMEDOUT);
	nvme_rq_release(rq);
	stop(&m);
}

/* Q20: what came before the limit counts, however late one looks */
static void completion_that_is_there_beats_the_limit(void **state)
{
	struct timespec none = {};
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 4);
	rq = post_flush(m.sq);
	emu_advance(100 * SEC);
	assert_int_equal(nvme_rq_wait(rq, NULL, &none), 0);
	nvme_rq_release(rq);
	stop(&m);
}

static void wait_sleeps_rather_than_spins(void **state)
{
	uint64_t before;
	struct machine m;

	start_pair(&m, NULL, 4);
	vfn_nvme_set_timeout(&m.ctrl, 10000);
	add_fault(&m, EMU_LOSE, 1, OP_FLUSH);
	before = emu_nvme_stats(m.nvme).reg_accesses;
	assert_fails_with(flush(&m), ETIMEDOUT);
	assert_in_range(emu_nvme_stats(m.nvme).reg_accesses - before, 1000, 12000);
	stop(&m);
}

/* Every request is lost, then the queue is deleted and made anew. */
static void queue_full_of_lost_commands_recovers_when_made_anew(void **state)
{
	struct machine m;

	start_short(&m, 4);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_LOSE,
				       .qid = 1,
				       .opcode = EMU_ANY,
				       .count = 3,
			       });
	for (int i = 0; i < 3; i++)
		assert_fails_with(flush(&m), ETIMEDOUT);
	assert_fails_with(flush(&m), EBUSY);
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 4, -1, 0), 0);
	assert_int_equal(flush(&m), 0);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(sync_of_a_lost_command_times_out),
		test(sync_waits_a_minute_by_default),
		test(admin_command_lost_times_out),
		test(identifier_of_a_lost_command_is_not_used_again),
		test(late_completion_gives_the_request_back),
		test(mapping_of_a_late_command_stays_until_it_completes),
		test(mapping_of_a_late_command_outlives_another_of_the_same_buffer),
		test(mapping_of_a_late_command_is_kept_for_another_of_the_same_buffer),
		test(mapping_of_a_late_command_is_kept_from_a_request_that_had_the_buffer_before),
		test(mapping_of_a_page_is_shared_by_two_buffers),
		test(mapping_of_a_lost_command_goes_with_the_queue),
		test(mapping_of_a_lost_command_goes_with_the_controller),
		test(wait_that_timed_out_can_be_repeated),
		test(request_released_after_a_time_out_is_free_when_it_completes),
		test(time_out_is_reported_as_such_whatever_else_arrives),
		test(time_out_of_a_wait_is_not_hidden_by_a_late_completion),
		test(completion_that_is_there_beats_the_limit),
		test(wait_sleeps_rather_than_spins),
		test(queue_full_of_lost_commands_recovers_when_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
