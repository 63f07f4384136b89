// SPDX-License-Identifier: GPL-2.0-or-later
/* Asynchronous events. */
#include "machine.h"

enum {
	ERROR = 0,
	SMART = 1,
	NOTICE = 2
};
enum {
	LOG_ERROR_PAGE = 1,
	LOG_SMART = 2
};

static struct nvme_cqe next_admin(struct machine *m)
{
	struct timespec limit = { .tv_sec = 1 };
	struct nvme_cqe cqe;

	assert_int_equal(nvme_cq_wait_cqes(m->ctrl.adminq.cq, &cqe, 1, &limit), 1);
	nvme_cq_update_head(m->ctrl.adminq.cq);

	return cqe;
}

static void release(struct machine *m, struct nvme_cqe *cqe)
{
	struct nvme_rq *rq = nvme_rq_from_cqe(&m->ctrl, cqe);

	assert_non_null(rq);
	nvme_rq_release(rq);
}

static void read_smart_log(struct machine *m)
{
	union nvme_cmd cmd = smart_log_cmd();

	assert_int_equal(nvme_admin(&m->ctrl, &cmd, m->buf.vaddr, 512, NULL), 0);
}

static void event_leads_to_its_request(void **state)
{
	struct nvme_cqe cqe;
	struct nvme_rq *rq;
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_aer(&m.ctrl, &m), 0);
	assert_int_equal(emu_nvme_stats(m.nvme).aers, 1);
	assert_null(nvme_cq_get_cqe(m.ctrl.adminq.cq));
	emu_nvme_raise_aen(m.nvme, SMART, 2, LOG_SMART);
	cqe = next_admin(&m);
	assert_true(cqe.cid & NVME_CID_AER);
	assert_int_equal(NVME_AEN_TYPE(le32_to_cpu(cqe.dw0)), SMART);
	assert_int_equal(NVME_AEN_INFO(le32_to_cpu(cqe.dw0)), 2);
	assert_int_equal(NVME_AEN_LID(le32_to_cpu(cqe.dw0)), LOG_SMART);
	rq = nvme_rq_from_cqe(&m.ctrl, &cqe);
	assert_ptr_equal(rq->opaque, &m);
	nvme_rq_release(rq);
	assert_int_equal(free_requests(m.ctrl.adminq.sq), 31);
	stop(&m);
}

/* Q19: the strict controller of all these tests knows no mercy with doorbells; a real one reports them */
static void invalid_doorbell_is_reported_as_an_error(void **state)
{
	enum {
		INVALID_REGISTER,
		INVALID_VALUE
	};
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	for (uint8_t info = INVALID_REGISTER; info <= INVALID_VALUE; info++) {
		union nvme_cmd cmd = smart_log_cmd();

		assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
		emu_nvme_raise_aen(m.nvme, ERROR, info, LOG_ERROR_PAGE);
		cqe = next_admin(&m);
		assert_true(cqe.cid & NVME_CID_AER);
		assert_int_equal(NVME_AEN_TYPE(le32_to_cpu(cqe.dw0)), ERROR);
		assert_int_equal(NVME_AEN_INFO(le32_to_cpu(cqe.dw0)), info);
		assert_int_equal(NVME_AEN_LID(le32_to_cpu(cqe.dw0)), LOG_ERROR_PAGE);
		release(&m, &cqe);
		cmd.log.lid = LOG_ERROR_PAGE;
		assert_int_equal(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, 512, NULL), 0);
	}
	stop(&m);
}

static void event_before_the_request_waits_for_it(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start(&m, NULL);
	emu_nvme_raise_aen(m.nvme, ERROR, 3, LOG_ERROR_PAGE);
	assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	cqe = next_admin(&m);
	assert_int_equal(NVME_AEN_INFO(le32_to_cpu(cqe.dw0)), 3);
	release(&m, &cqe);
	stop(&m);
}

/* C18 */
static void several_events_take_several_requests(void **state)
{
	static const uint8_t types[] = { SMART, ERROR, NOTICE };
	struct nvme_cqe cqe;
	struct machine m;

	start(&m, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	for (int i = 0; i < 3; i++)
		emu_nvme_raise_aen(m.nvme, types[i], 0, 0);
	for (int i = 0; i < 3; i++) {
		cqe = next_admin(&m);
		assert_int_equal(NVME_AEN_TYPE(le32_to_cpu(cqe.dw0)), types[i]);
		release(&m, &cqe);
	}
	stop(&m);
}

/* C18: reading the log page lets the next event of its kind through */
static void event_is_masked_until_its_log_is_read(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	for (int i = 0; i < 2; i++)
		assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	for (uint8_t i = 0; i < 2; i++)
		emu_nvme_raise_aen(m.nvme, SMART, i, LOG_SMART);
	cqe = next_admin(&m);
	assert_int_equal(NVME_AEN_INFO(le32_to_cpu(cqe.dw0)), 0);
	release(&m, &cqe);
	assert_null(nvme_cq_get_cqe(m.ctrl.adminq.cq));
	read_smart_log(&m);
	cqe = next_admin(&m);
	assert_int_equal(NVME_AEN_INFO(le32_to_cpu(cqe.dw0)), 1);
	release(&m, &cqe);
	stop(&m);
}

/* C18 */
static void storm_of_events_is_delivered_one_by_one(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(nvme_aer(&m.ctrl, &m), 0);
		emu_nvme_raise_aen(m.nvme, SMART, (uint8_t)i, LOG_SMART);
		if (i % 2)
			read_smart_log(&m);
		cqe = next_admin(&m);
		assert_int_equal(NVME_AEN_INFO(le32_to_cpu(cqe.dw0)), i % 256);
		release(&m, &cqe);
		read_smart_log(&m);
	}
	assert_int_equal(free_requests(m.ctrl.adminq.sq), 31);
	stop(&m);
}

/* W27 */
static void event_after_admin_traffic_arrives(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	for (int i = 0; i < 300; i++)
		read_smart_log(&m);
	emu_nvme_raise_aen(m.nvme, SMART, 1, LOG_SMART);
	cqe = next_admin(&m);
	assert_true(cqe.cid & NVME_CID_AER);
	release(&m, &cqe);
	stop(&m);
}

static void one_request_too_many_is_completed_with_an_error(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start(&m, &(struct emu_nvme_opts){ .aerl = 2 });
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	cqe = next_admin(&m);
	assert_int_equal(le16_to_cpu(cqe.sfp) >> 1, 0x4105);
	assert_true(cqe.cid & NVME_CID_AER);
	release(&m, &cqe);
	stop(&m);
}

static void request_from_a_used_up_queue_is_busy(void **state)
{
	struct machine m;

	start(&m, NULL);
	while (nvme_rq_acquire(m.ctrl.adminq.sq))
		;
	assert_fails_with(nvme_aer(&m.ctrl, NULL), EBUSY);
	assert_int_equal(emu_nvme_stats(m.nvme).aers, 0);
	nvme_rq_release(&m.ctrl.adminq.sq->rqs[0]);
	assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	/* closing needs a request for each of its commands, and there are no queues to delete */
	nvme_close(&m.ctrl);
	assert_fails_with(nvme_aer(&m.ctrl, NULL), ENODEV);
	assert_error_has("is not up");
}

static void outstanding_requests_do_not_hinder_close(void **state)
{
	uint64_t begin;
	struct machine m;

	start_pair(&m, NULL, 8);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	begin = emu_now();
	iommu_put_dmabuf(&m.buf);
	nvme_close(&m.ctrl);
	assert_true(emu_now() - begin < 100 * MS);
	assert_int_equal(emu_nvme_stats(m.nvme).outstanding, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(event_leads_to_its_request),
		test(invalid_doorbell_is_reported_as_an_error),
		test(event_before_the_request_waits_for_it),
		test(several_events_take_several_requests),
		test(event_is_masked_until_its_log_is_read),
		test(storm_of_events_is_delivered_one_by_one),
		test(event_after_admin_traffic_arrives),
		test(one_request_too_many_is_completed_with_an_error),
		test(request_from_a_used_up_queue_is_busy),
		test(outstanding_requests_do_not_hinder_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
