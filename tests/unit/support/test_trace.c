// SPDX-License-Identifier: GPL-2.0-or-later
/* Trace events are silent until asked for, and then tell what happened, in order. */
#define DEBUG

#include "../nvme/machine.h"

#include <pthread.h>

#include <vfn/support/timer.h>
#include <vfn/trace.h>

static char said[8192];

static void hook(int level, const char *text, void *opaque)
{
	size_t len = strlen(said);

	assert_true(len + strlen(text) + 2 < sizeof(said));
	snprintf(said + len, sizeof(said) - len, "%s\n", text);
	errno = EXDEV;
}

/* As in a new process that has this in its environment. */
static void environment(const char *events)
{
	trace_event_set_active("", false);
	vfn_trace_ready = false;
	if (events)
		setenv("VFN_TRACE_EVENTS", events, 1);
	else
		unsetenv("VFN_TRACE_EVENTS");
	said[0] = '\0';
}

static int setup(void **state)
{
	vfn_log_set_hook(hook, NULL);
	environment(NULL);

	return emu_setup(state);
}

static int teardown(void **state)
{
	environment(NULL);
	vfn_log_set_hook(NULL, NULL);
	logv_set(VFN_LOG_OFF);

	return emu_teardown(state);
}

static bool says(const char *text)
{
	return strstr(said, text);
}

static void assert_order(const char *first, const char *second)
{
	const char *at = strstr(said, first);

	if (!at || !strstr(at, second))
		fail_msg("no '%s' before '%s' in:\n%s", first, second, said);
}

static void one_flush(struct machine *m)
{
	union nvme_cmd cmd = { .opcode = OP_FLUSH, .nsid = cpu_to_le32(1) };
	struct nvme_rq *rq = nvme_rq_acquire(m->sq);
	struct nvme_cqe *cqe;

	nvme_rq_exec(rq, &cmd);
	emu_advance(MS);
	cqe = nvme_cq_get_cqe(m->cq);
	assert_non_null(cqe);
	assert_true(nvme_cqe_ok(cqe));
	nvme_cq_update_head(m->cq);
	nvme_rq_release(rq);
}

static void unasked_events_are_silent(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	one_flush(&m);
	stop(&m);
	assert_string_equal(said, "");
	assert_false(TRACE_NVME_SQ_POST_ACTIVE);
}

static void command_is_told_in_order(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	environment("nvme");
	one_flush(&m);
	assert_order("nvme_sq_post: sq 1, entry 0: opcode 0x00",
		     "nvme_sq_update_tail: sq 1, tail 1");
	assert_order("nvme_sq_update_tail: ", "nvme_cq_got_cqe: cq 1, head 0: sq 1, cid ");
	assert_order("nvme_cq_got_cqe: ", "nvme_cq_update_head: cq 1, head 1");
	assert_false(says("nvme_cq_get_cqe"));
	environment(NULL);
	stop(&m);
}

static void spared_doorbell_is_told(void **state)
{
	const struct emu_nvme_opts opts = { .dbbuf = true, .dbbuf_lazy = true };
	struct machine m;

	start_pair(&m, &opts, 8);
	environment("nvme_skip");
	for (int i = 0; i < 5; i++)
		one_flush(&m);
	assert_true(says("nvme_skip_mmio: doorbell "));
	environment(NULL);
	stop(&m);
}

static void spinning_is_told_once(void **state)
{
	struct machine m;
	struct nvme_cq cq;
	struct nvme_cqe cqe = { .sfp = 0 };

	start_pair(&m, NULL, 8);
	cq = *m.cq;
	cq.mem.vaddr = &cqe;
	cq.head = 0;
	cq.phase = 1;

	environment("nvme_cq_spin");
	nvme_cq_spin(&cq);
	assert_string_equal(said, "");
	stop(&m);
}

/* Mappings are the library's own: they need no DEBUG, and this file's could not change it. */
static void mappings_are_told(void **state)
{
	struct machine m;
	void *mem;
	iova_t iova;

	start(&m, NULL);
	assert_true(pgmap(&mem, 2 * PAGE) > 0);

	environment("vfio_iommu,iommufd");
	assert_int_equal(iommu_map_vaddr(__iommu_ctx(&m.ctrl), mem, 2 * PAGE, &iova, 0), 0);
	assert_true(says("_map_dma: "));
	assert_true(says(", 8192 bytes"));
	assert_int_equal(iommu_unmap_vaddr(__iommu_ctx(&m.ctrl), mem, NULL), 0);
	assert_true(says("_unmap_dma: "));
	assert_false(says("recycle"));

	environment("vfio_iommu_type1_recycle,iommufd");
	assert_int_equal(iommu_map_vaddr(__iommu_ctx(&m.ctrl), mem, PAGE, &iova,
					 IOMMU_MAP_EPHEMERAL),
			 0);
	assert_int_equal(iommu_unmap_vaddr(__iommu_ctx(&m.ctrl), mem, NULL), 0);
	if (!iommu_ctx_is_iommufd(__iommu_ctx(&m.ctrl)))
		assert_true(says("vfio_iommu_type1_recycle_ephemeral_iovas: 0x"));

	environment(NULL);
	pgunmap(mem, 2 * PAGE);
	nvme_close(&m.ctrl);
}

static void environment_takes_prefixes_with_signs(void **state)
{
	environment("+nvme,-nvme_cq,,nvme_cq_got,-nvme_sq_post");
	vfn_trace_init();
	assert_true(TRACE_NVME_CQ_GOT_CQE_ACTIVE);
	assert_true(TRACE_NVME_SQ_UPDATE_TAIL_ACTIVE);
	assert_true(TRACE_NVME_SKIP_MMIO_ACTIVE);
	assert_false(TRACE_NVME_CQ_UPDATE_HEAD_ACTIVE);
	assert_false(TRACE_NVME_SQ_POST_ACTIVE);
	assert_false(TRACE_VFIO_IOMMU_TYPE1_MAP_DMA_ACTIVE);
}

static void environment_of_signs_alone_means_nothing(void **state)
{
	environment("+,-,,");
	vfn_trace_init();
	assert_false(TRACE_NVME_SQ_POST_ACTIVE);
	assert_string_equal(said, "");
}

static void environment_with_an_unknown_event_is_an_error_message(void **state)
{
	environment("nvme_sq,NVME,nothing");
	logv_set(LOG_ERROR);
	vfn_trace_init();
	assert_true(says("VFN_TRACE_EVENTS: no event begins with 'NVME'"));
	assert_true(says("'nothing'"));
	assert_true(TRACE_NVME_SQ_POST_ACTIVE);
}

static void program_has_the_last_word(void **state)
{
	environment("nvme");
	trace_event_set_active("nvme_sq_post", false);
	trace_event_set_active("iommufd", true);
	trace_event_set_active(NULL, false);
	assert_false(TRACE_NVME_SQ_POST_ACTIVE);
	assert_true(TRACE_NVME_SQ_UPDATE_TAIL_ACTIVE);
	assert_true(TRACE_IOMMUFD_IOAS_MAP_DMA_ACTIVE);
	assert_true(TRACE_IOMMUFD_IOAS_UNMAP_DMA_ACTIVE);
	trace_event_set_active("", false);
	assert_false(TRACE_NVME_SQ_UPDATE_TAIL_ACTIVE);
}

static void prefix_of_nothing_is_that_of_every_event(void **state)
{
	trace_event_set_active("", true);
#define ASSERT_ACTIVE(name) assert_true(TRACE_##name##_ACTIVE);
	__VFN_TRACE_EVENTS(ASSERT_ACTIVE)
	trace_event_set_active("", false);
#define ASSERT_SILENT(name) assert_false(TRACE_##name##_ACTIVE);
	__VFN_TRACE_EVENTS(ASSERT_SILENT)
}

static void event_that_is_compiled_out_stays_silent(void **state)
{
	assert_int_equal(TRACE_NVME_CQ_GET_CQE_DISABLED, 1);
	assert_int_equal(TRACE_NVME_SQ_POST_DISABLED, 0);
	trace_event_set_active("", true);
	trace_guard(NVME_CQ_GET_CQE) {
		trace_emit("never");
	}
	trace_guard(NVME_SQ_POST) {
		trace_emit("%s\n", "once");
	}
	assert_string_equal(said, "nvme_sq_post: once\n");
}

static void message_leaves_errno_and_is_cut(void **state)
{
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	errno = EPROTO;
	vfn_trace("nvme_sq_post", "%s", text);
	assert_int_equal(errno, EPROTO);
	assert_in_range(strlen(said), 200, 300);
}

static void emit_limited(uint64_t tag)
{
	trace_guard(NVME_SQ_POST) {
		trace_emitrl(2, tag, "tag %d", (int)tag);
	}
}

static void limited_message_comes_once_in_an_interval(void **state)
{
	struct trace_ratelimit_state other = { .interval = 1 };

	trace_event_set_active("nvme_sq_post", true);

	emit_limited(1);
	emit_limited(1);
	emit_limited(1);
	assert_string_equal(said, "nvme_sq_post: tag 1\n");

	said[0] = '\0';
	emu_advance(2 * SEC);
	emit_limited(1);
	assert_string_equal(said, "nvme_sq_post: 2 more were not shown\nnvme_sq_post: tag 1\n");

	assert_false(__trace_ratelimited(&other, 9, "x"));
	assert_true(__trace_ratelimited(&other, 9, "x"));
	assert_int_equal(other.end - other.begin, SEC);

	said[0] = '\0';
	emit_limited(2);
	emit_limited(2);
	assert_string_equal(said, "nvme_sq_post: tag 2\n");
}

static void *toggle(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		trace_event_set_active("nvme", i & 1);
		emit_limited(3);
	}

	return NULL;
}

static void quiet(int level, const char *text, void *opaque)
{
}

static void threads_may_switch_and_trace(void **state)
{
	pthread_t threads[3];

	vfn_log_set_hook(quiet, NULL);
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, toggle, NULL), 0);
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
}

#define traced(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		traced(unasked_events_are_silent),
		traced(command_is_told_in_order),
		traced(spared_doorbell_is_told),
		traced(spinning_is_told_once),
		traced(mappings_are_told),
		traced(environment_takes_prefixes_with_signs),
		traced(environment_of_signs_alone_means_nothing),
		traced(environment_with_an_unknown_event_is_an_error_message),
		traced(program_has_the_last_word),
		traced(prefix_of_nothing_is_that_of_every_event),
		traced(event_that_is_compiled_out_stays_silent),
		traced(message_leaves_errno_and_is_cut),
		traced(limited_message_comes_once_in_an_interval),
		traced(threads_may_switch_and_trace),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
