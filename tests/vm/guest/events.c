/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asynchronous events arrive, also among other admin commands, and again after the log page was read. */
#include "guest.h"

#define FEATURE_ASYNC_EVENTS 0x0b
#define LOG_SMART 0x02
#define TYPE_SMART 1

static struct nvme_ctrl ctrl;
static void *log_page;

static int setup(void **state)
{
	union nvme_cmd cmd = { .features = {
				       .opcode = NVME_ADMIN_SET_FEATURES,
				       .fid = FEATURE_ASYNC_EVENTS,
				       .cdw11 = cpu_to_le32(0xff),
			       } };

	(void)state;
	log_page = guest_alloc(4096);
	assert_vfn(nvme_init(&ctrl, guest_bdf("a"), NULL) == 0);
	assert_vfn(nvme_admin(&ctrl, &cmd, NULL, 0, NULL) == 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nvme_close(&ctrl);
	guest_free(log_page, 4096);
	return 0;
}

static void warn(int bits)
{
	host_qmp("{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/machine/peripheral/a\", "
		 "\"property\": \"smart_critical_warning\", \"value\": %d}}",
		 bits);
}

/* Wait for an event; return the context with which it was asked for. */
static void *expect_event(void)
{
	struct timespec limit = { .tv_sec = 30 };
	struct nvme_cqe cqe;
	struct nvme_rq *rq;
	void *opaque;
	uint32_t dw0;

	assert_vfn(nvme_cq_wait_cqes(ctrl.adminq.cq, &cqe, 1, &limit) == 1);
	nvme_cq_update_head(ctrl.adminq.cq);
	assert_true(nvme_cqe_ok(&cqe));
	assert_true(cqe.cid & NVME_CID_AER);

	rq = nvme_rq_from_cqe(&ctrl, &cqe);
	assert_non_null(rq);
	opaque = rq->opaque;
	nvme_rq_release(rq);

	dw0 = le32_to_cpu(cqe.dw0);
	assert_int_equal(NVME_AEN_TYPE(dw0), TYPE_SMART);
	assert_int_equal(NVME_AEN_LID(dw0), LOG_SMART);

	return opaque;
}

/* Reading the log page lets the controller report that kind of event again. */
static int critical_warning(void)
{
	union nvme_cmd cmd = { .log = {
				       .opcode = NVME_ADMIN_GET_LOG,
				       .nsid = cpu_to_le32(0xffffffff),
				       .lid = LOG_SMART,
				       .numdl = cpu_to_le16(512 / 4 - 1),
			       } };

	assert_vfn(nvme_admin(&ctrl, &cmd, log_page, 512, NULL) == 0);
	return *(uint8_t *)log_page;
}

/* C18 */
static void test_event_arrives(void **state)
{
	int context;

	(void)state;
	assert_vfn(nvme_aer(&ctrl, &context) == 0);
	assert_null(nvme_cq_get_cqe(ctrl.adminq.cq));

	warn(1);
	assert_ptr_equal(expect_event(), &context);
	assert_int_equal(critical_warning(), 1);
	warn(0);
}

/* C18 */
static void test_event_survives_other_admin_commands(void **state)
{
	int context, i;

	(void)state;
	assert_vfn(nvme_aer(&ctrl, &context) == 0);
	for (i = 0; i < 40; i++) {
		if (i == 20)
			warn(4);
		guest_identify(&ctrl, log_page);
	}
	assert_ptr_equal(expect_event(), &context);
	assert_int_equal(critical_warning(), 4);
	warn(0);
}

static void test_two_requests_get_an_event_each(void **state)
{
	int contexts[2];
	void *first, *second;

	(void)state;
	assert_vfn(nvme_aer(&ctrl, &contexts[0]) == 0);
	assert_vfn(nvme_aer(&ctrl, &contexts[1]) == 0);
	warn(1);
	first = expect_event();
	assert_int_equal(critical_warning(), 1);
	warn(0);
	warn(8);
	second = expect_event();
	assert_int_equal(critical_warning(), 8);
	warn(0);

	/* which of them is answered first is the controller's choice */
	assert_true((first == &contexts[0] && second == &contexts[1]) ||
		    (first == &contexts[1] && second == &contexts[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_arrives),
		cmocka_unit_test(test_event_survives_other_admin_commands),
		cmocka_unit_test(test_two_requests_get_an_event_each),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
