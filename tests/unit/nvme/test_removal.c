// SPDX-License-Identifier: GPL-2.0-or-later
/* A controller that is wanted back, that is taken away, or that the bus has an error of: every command ends once. */
#include "recovery.h"

#include <poll.h>
#include <unistd.h>

#define OUT 3

static bool is_told(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

static int fail_ctrl(struct machine *m, struct told *told)
{
	return vfn_nvme_fail_ctrl(&m->ctrl, &(struct vfn_nvme_recovery){
						    .complete = complete,
						    .opaque = told,
					    });
}

/* Some commands complete and are not taken yet, others never do; and there is a request for events. */
static void start_busy(struct machine *m, const struct emu_nvme_opts *opts)
{
	start_with(m, opts);
	assert_int_equal(nvme_aer(&m->ctrl, NULL), 0);
	(void)post_flush(m->sq);
	lose(m, 1, OP_FLUSH, UINT32_MAX);
	for (int i = 1; i < OUT; i++)
		(void)post_flush(m->sq);
}

static void assert_ended_once(const struct told *told, unsigned int status)
{
	int lost = 0;

	assert_int_equal(told->n, OUT + 1);
	for (int i = 0; i < told->n; i++) {
		lost += told->status[i] == status;
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(told->rq[i], told->rq[j]);
	}
	assert_int_equal(lost, OUT);
}

static void assert_no_device(struct machine *m, enum vfn_nvme_state state)
{
	union nvme_cmd cmd = flush_cmd();
	struct vfn_nvme_io io = {};

	assert_int_equal(vfn_nvme_get_state(&m->ctrl), state);
	assert_null_with(nvme_rq_acquire(m->sq), ENODEV);
	assert_fails_with(nvme_sync(&m->ctrl, m->sq, &cmd, NULL, 0, NULL), ENODEV);
	assert_fails_with(vfn_nvme_io_submit(m->sq, &io, 0, 1, m->buf.vaddr, NULL), ENODEV);
	cmd = identify_cmd();
	assert_fails_with(nvme_admin(&m->ctrl, &cmd, m->buf.vaddr, PAGE, NULL), ENODEV);
}

static void assert_works(struct machine *m)
{
	union nvme_cmd cmd = rw_cmd(OP_WRITE, 0, 1);

	assert_int_equal(vfn_nvme_get_state(&m->ctrl), VFN_NVME_LIVE);
	assert_int_equal(nvme_sync(&m->ctrl, m->sq, &cmd, m->buf.vaddr, 512, NULL), 0);
	assert_int_equal(free_requests(m->sq), 15);
}

/* H5 */
static void controller_with_an_error_of_the_bus_is_failed_and_reset(void **state)
{
	struct told told = {};
	struct machine m;
	int fd;

	start_busy(&m, NULL);
	fd = vfn_vfio_error_fd(&m.ctrl.pci);
	assert_false(is_told(fd));
	emu_pci_error(emu_nvme_pci(m.nvme));
	assert_true(is_told(fd));

	assert_int_equal(fail_ctrl(&m, &told), 0);
	assert_ended_once(&told, VFN_NVME_STATUS_LOST);
	assert_no_device(&m, VFN_NVME_FAILED);
	assert_int_equal(emu_nvme_reg(m.nvme, REG_CC) & 1, 0);
	assert_fails_with(check_told(&m, &told), ENODEV);

	emu_nvme_clear_faults(m.nvme);
	assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, NULL), 0);
	assert_works(&m);
	assert_int_equal(told.n, OUT + 1);
	assert_int_equal(vfn_vfio_error_fd(&m.ctrl.pci), fd);
	stop(&m);
}

/* H1: in order: what completes is waited for, what does not is ended, then it is closed */
static void controller_that_is_wanted_back_is_let_go_in_order(void **state)
{
	const struct emu_usage nothing = {};
	struct told told = {};
	unsigned int status;
	struct machine m;
	int fd;

	start_busy(&m, NULL);
	fd = vfn_vfio_request_fd(&m.ctrl.pci);
	emu_pci_request(emu_nvme_pci(m.nvme));
	assert_true(is_told(fd));

	nvme_rq_release(reap(&m, &status));
	assert_int_equal(status, 0);
	assert_null(nvme_cq_get_cqe(m.cq));
	assert_int_equal(fail_ctrl(&m, &told), 0);
	assert_int_equal(told.n, OUT);
	for (int i = 0; i < OUT; i++)
		assert_int_equal(told.status[i], VFN_NVME_STATUS_LOST);

	iommu_put_dmabuf(&m.buf);
	nvme_close(&m.ctrl);
	emu_assert_usage(&nothing);
}

/* H7: the remover may hold what files of sysfs wait for */
static void events_leave_sysfs_alone(void **state)
{
	struct told told = {};
	struct machine m;

	start_busy(&m, NULL);
	emu_calls_clear();
	assert_true(vfn_vfio_request_fd(&m.ctrl.pci) > 0);
	assert_true(vfn_vfio_error_fd(&m.ctrl.pci) > 0);
	assert_int_equal(fail_ctrl(&m, &told), 0);
	stop(&m);
	assert_null(strstr(emu_calls(), "/sys"));
}

/* A device that answers the bus no more, whose registers read as zeros all the same. */
static void take_away(struct machine *m)
{
	emu_nvme_fail_regs(m->nvme, 1, 0);
	memset(emu_pci_config(emu_nvme_pci(m->nvme)), 0xff, 64);
}

/* H2, C2: no reset is tried, and nothing waited for */
static void registers_of_zeros_and_no_configuration_space_mean_gone(void **state)
{
	struct told told = {};
	struct machine m;
	uint64_t before;

	start_busy(&m, NULL);
	take_away(&m);
	before = emu_now();
	assert_fails_with(check_told(&m, &told), ENODEV);
	assert_error_has("is gone");
	assert_true(emu_now() - before < MS);
	assert_ended_once(&told, VFN_NVME_STATUS_LOST);
	assert_no_device(&m, VFN_NVME_GONE);

	assert_fails_with(vfn_nvme_reset_ctrl(&m.ctrl, NULL), ENODEV);
	assert_no_device(&m, VFN_NVME_GONE);
	stop(&m);
}

static void reset_of_a_controller_that_is_gone_says_so(void **state)
{
	struct told told = {};
	struct machine m;

	start_busy(&m, NULL);
	take_away(&m);
	assert_fails_with(vfn_nvme_reset_ctrl(&m.ctrl,
					      &(struct vfn_nvme_recovery){
						      .complete = complete,
						      .opaque = &told,
					      }),
			  ENODEV);
	assert_ended_once(&told, VFN_NVME_STATUS_LOST);
	assert_no_device(&m, VFN_NVME_GONE);
	stop(&m);
}

static void failing_a_controller_that_is_gone_ends_everything(void **state)
{
	struct told told = {};
	struct machine m;

	start_busy(&m, NULL);
	emu_pci_remove(emu_nvme_pci(m.nvme));
	assert_int_equal(fail_ctrl(&m, &told), 0);
	assert_ended_once(&told, VFN_NVME_STATUS_LOST);
	assert_no_device(&m, VFN_NVME_GONE);
	stop(&m);
}

static void controller_that_is_gone_is_closed_without_a_reset(void **state)
{
	struct machine m;

	start(&m, NULL);
	emu_pci_remove(emu_nvme_pci(m.nvme));
	nvme_close(&m.ctrl);
	assert_int_equal(emu_call_count("ioctl DEVICE_RESET"), 0);
}

/* It cannot be disabled, nor reset: memory is out of its reach before anybody is told. */
static void controller_that_does_not_stop_is_cut_off_and_failed(void **state)
{
	struct told told = {};
	struct machine m;

	start_busy(&m, &(struct emu_nvme_opts){ .pci = { .no_reset = true } });
	emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, true);
	assert_int_equal(fail_ctrl(&m, &told), 0);
	assert_ended_once(&told, VFN_NVME_STATUS_LOST);
	assert_no_device(&m, VFN_NVME_FAILED);
	assert_false(emu_pci_bus_master(emu_nvme_pci(m.nvme)));

	emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, false);
	emu_nvme_clear_faults(m.nvme);
	assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, NULL), 0);
	assert_works(&m);
	stop(&m);
}

static void failing_twice_tells_nobody_again(void **state)
{
	struct nvme_ctrl closed = {};
	struct told told = {};
	struct machine m;

	assert_fails_with(vfn_nvme_fail_ctrl(&closed, NULL), ENODEV);
	start_busy(&m, NULL);
	assert_int_equal(fail_ctrl(&m, &told), 0);
	assert_int_equal(fail_ctrl(&m, &told), 0);
	assert_int_equal(told.n, OUT + 1);
	stop(&m);
}

static void fail_again(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	struct machine *m = opaque;

	(void)cqe;
	assert_fails_with(vfn_nvme_fail_ctrl(&m->ctrl, NULL), EBUSY);
	nvme_rq_release(rq);
}

static void failing_from_the_callback_is_busy(void **state)
{
	struct machine m;

	start_busy(&m, NULL);
	assert_int_equal(vfn_nvme_fail_ctrl(&m.ctrl,
					    &(struct vfn_nvme_recovery){
						    .complete = fail_again,
						    .opaque = &m,
					    }),
			 0);
	stop(&m);
}

/* H4: what raises SIGBUS reads as ones, so that it is a controller that is gone; it may be alive all the same */
static void controller_whose_registers_raise_sigbus_is_gone(void **state)
{
	struct told told = {};
	struct machine m;

	start_busy(&m, NULL);
	assert_int_equal(vfn_sigbus_guard(true), 0);
	emu_pci_revoke(emu_nvme_pci(m.nvme));
	(void)post_flush(m.sq);
	assert_fails_with(check_told(&m, &told), ENODEV);
	assert_int_equal(told.n, OUT + 2);
	assert_no_device(&m, VFN_NVME_GONE);
	assert_false(emu_pci_bus_master(emu_nvme_pci(m.nvme)));
	stop(&m);
	emu_expect_violation("device closed while the controller is enabled");

	memset(&m.ctrl, 0, sizeof(m.ctrl));
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	add_pair(&m, 16);
	assert_works(&m);
	stop(&m);
	assert_int_equal(vfn_sigbus_guard(false), 0);
}

/* H4 */
static void doorbell_that_raises_sigbus_does_no_harm(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct machine m;

	start_with(&m, NULL);
	assert_int_equal(vfn_sigbus_guard(true), 0);
	emu_pci_remove(emu_nvme_pci(m.nvme));
	emu_pci_revoke(emu_nvme_pci(m.nvme));
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ENODEV);
	stop(&m);
	assert_int_equal(vfn_sigbus_guard(false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(controller_with_an_error_of_the_bus_is_failed_and_reset),
		test(controller_that_is_wanted_back_is_let_go_in_order),
		test(events_leave_sysfs_alone),
		test(registers_of_zeros_and_no_configuration_space_mean_gone),
		test(reset_of_a_controller_that_is_gone_says_so),
		test(failing_a_controller_that_is_gone_ends_everything),
		test(controller_that_is_gone_is_closed_without_a_reset),
		test(controller_that_does_not_stop_is_cut_off_and_failed),
		test(failing_twice_tells_nobody_again),
		test(failing_from_the_callback_is_busy),
		test(controller_whose_registers_raise_sigbus_is_gone),
		test(doorbell_that_raises_sigbus_does_no_harm),
	};

	return cmocka_run_group_tests_name("removal", tests, NULL, NULL);
}
