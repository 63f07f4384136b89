// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole stories: several controllers, queues, namespaces; failure and a new beginning. */
#include "machine.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define SEED 0x20260720

static void write_block(struct nvme_ctrl *ctrl, int qid, uint64_t slba, uint8_t *buf)
{
	union nvme_cmd cmd = rw_cmd(OP_WRITE, slba, 1);

	assert_int_equal(nvme_sync(ctrl, &ctrl->sq[qid], &cmd, buf, 512, NULL), 0);
}

static void check_block(struct nvme_ctrl *ctrl, int qid, uint64_t slba, uint8_t value, uint8_t *buf)
{
	union nvme_cmd cmd = rw_cmd(OP_READ, slba, 1);

	memset(buf, ~value, 512);
	assert_int_equal(nvme_sync(ctrl, &ctrl->sq[qid], &cmd, buf, 512, NULL), 0);
	for (int i = 0; i < 512; i++)
		assert_int_equal(buf[i], value);
}

static void two_controllers_at_once_keep_apart(void **state)
{
	static const char *const bdfs[] = { EMU_BDF, EMU_BDF2 };
	uint8_t *buf = (uint8_t *)new_pages(PAGE);
	struct nvme_ctrl ctrl[2] = {};

	for (int i = 0; i < 2; i++) {
		const struct emu_nvme_opts opts = { .pci.bdf = bdfs[i] };

		emu_nvme_add(&opts);
		assert_int_equal(nvme_init(&ctrl[i], bdfs[i], NULL), 0);
		assert_int_equal(nvme_create_ioqpair(&ctrl[i], 1, 8, -1, 0), 0);
	}
	for (uint64_t k = 0; k < 50; k++) {
		for (int i = 0; i < 2; i++) {
			memset(buf, (int)(2 * k) + i, 512);
			write_block(&ctrl[i], 1, k, buf);
		}
	}
	for (uint64_t k = 0; k < 50; k++)
		for (int i = 0; i < 2; i++)
			check_block(&ctrl[i], 1, k, (uint8_t)(2 * k + (uint64_t)i), buf);

	nvme_close(&ctrl[0]);
	check_block(&ctrl[1], 1, 7, 15, buf);
	nvme_close(&ctrl[1]);
	free(buf);
}

/* V22: a buffer mapped once serves both; the one that stays keeps it */
static void two_controllers_share_an_address_space(void **state)
{
	static const char *const bdfs[] = { EMU_BDF, EMU_BDF2 };
	struct iommu_ctx *ctx = iommu_get_context("both");
	struct nvme_ctrl ctrl[2] = {};
	struct iommu_dmabuf buf;

	for (int i = 0; i < 2; i++) {
		const struct emu_nvme_opts opts = { .pci.bdf = bdfs[i] };

		emu_nvme_add(&opts);
		ctrl[i].pci.dev.ctx = ctx;
		assert_int_equal(nvme_init(&ctrl[i], bdfs[i], NULL), 0);
		assert_ptr_equal(__iommu_ctx(&ctrl[i]), ctx);
		assert_int_equal(nvme_create_ioqpair(&ctrl[i], 1, 8, -1, 0), 0);
	}
	assert_int_equal(iommu_get_dmabuf(ctx, &buf, PAGE, 0), 0);
	memset(buf.vaddr, 3, 512);
	write_block(&ctrl[0], 1, 0, buf.vaddr);
	write_block(&ctrl[1], 1, 9, buf.vaddr);
	nvme_close(&ctrl[0]);
	check_block(&ctrl[1], 1, 9, 3, buf.vaddr);
	iommu_put_dmabuf(&buf);
	nvme_close(&ctrl[1]);
}

static void all_64_queue_pairs_carry_data(void **state)
{
	uint8_t *buf = (uint8_t *)new_pages(PAGE);
	struct machine m;

	start(&m, NULL);
	for (int qid = 1; qid <= 64; qid++)
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, qid, 2 + qid, -1, 0), 0);
	for (int qid = 1; qid <= 64; qid++) {
		memset(buf, qid, 512);
		write_block(&m.ctrl, qid, (uint64_t)qid * 5, buf);
	}
	for (int qid = 1; qid <= 64; qid++)
		check_block(&m.ctrl, 65 - qid, (uint64_t)qid * 5, (uint8_t)qid, buf);
	nvme_close(&m.ctrl);
	free(buf);
}

static void two_namespaces_have_their_own_blocks(void **state)
{
	const struct emu_nvme_opts opts = {
		.nns = 2,
		.ns = { { .blocks = 100 }, { .blocks = 100, .lba_size = 4096 } },
	};
	uint8_t *buf = (uint8_t *)new_pages(PAGE);
	struct machine m;

	start_pair(&m, &opts, 8);
	for (uint32_t nsid = 1; nsid <= 2; nsid++) {
		union nvme_cmd cmd = rw_cmd(OP_WRITE, 3, 1);

		cmd.nsid = cpu_to_le32(nsid);
		memset(buf, (int)nsid, PAGE);
		assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, buf, nsid == 1 ? 512 : PAGE, NULL),
				 0);
	}
	assert_int_equal(((uint8_t *)emu_nvme_disk(m.nvme, 1, NULL))[3 * 512], 1);
	assert_int_equal(((uint8_t *)emu_nvme_disk(m.nvme, 2, NULL))[3 * PAGE + PAGE - 1], 2);
	free(buf);
	stop(&m);
}

/* ---- interrupts ---- */

static uint64_t signals(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void completions_signal_the_vector_of_their_queue(void **state)
{
	int fds[3];
	struct machine m;

	start(&m, NULL);
	for (int i = 0; i < 3; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(vfio_set_irq(&m.ctrl.pci.dev, fds, 0, 3), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, 1, 0), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 2, 8, 2, 0), 0);
	assert_int_equal(signals(fds[0]), 4);

	for (int i = 0; i < 5; i++) {
		union nvme_cmd cmd = flush_cmd();

		assert_int_equal(nvme_sync(&m.ctrl, &m.ctrl.sq[1], &cmd, NULL, 0, NULL), 0);
	}
	assert_int_equal(signals(fds[1]), 5);
	assert_int_equal(signals(fds[2]), 0);
	nvme_close(&m.ctrl);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

/* Q13 */
static void lost_and_spurious_interrupts_do_not_matter_to_a_poll(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	int fds[2];
	struct machine m;

	start(&m, NULL);
	for (int i = 0; i < 2; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(vfio_set_irq(&m.ctrl.pci.dev, fds, 0, 2), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, 1, 0), 0);

	add_fault(&m, EMU_NO_IRQ, 1, OP_FLUSH);
	assert_int_equal(nvme_sync(&m.ctrl, &m.ctrl.sq[1], &cmd, NULL, 0, NULL), 0);
	assert_int_equal(signals(fds[1]), 0);
	emu_pci_irq_spurious(emu_nvme_pci(m.nvme), 1);
	assert_int_equal(signals(fds[1]), 1);
	assert_null(nvme_cq_get_cqe(&m.ctrl.cq[1]));
	assert_int_equal(nvme_sync(&m.ctrl, &m.ctrl.sq[1], &cmd, NULL, 0, NULL), 0);
	nvme_close(&m.ctrl);
	for (int i = 0; i < 2; i++)
		close(fds[i]);
}

/* ---- failure and a new beginning ---- */

/* C7: data written before is there afterwards */
static void failed_controller_works_again_after_close_and_init(void **state)
{
	uint8_t *buf = (uint8_t *)new_pages(PAGE);
	union nvme_cmd cmd = flush_cmd();
	struct machine m;

	start_pair(&m, NULL, 8);
	memset(buf, 0x77, 512);
	write_block(&m.ctrl, 1, 11, buf);
	add_fault(&m, EMU_CFS, 1, OP_FLUSH);
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ENODEV);
	stop(&m);

	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	check_block(&m.ctrl, 1, 11, 0x77, buf);
	nvme_close(&m.ctrl);
	free(buf);
}

/* H2, H6 */
static void removed_controller_stays_gone(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct machine m;

	start_pair(&m, NULL, 8);
	emu_pci_remove(emu_nvme_pci(m.nvme));
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ENODEV);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 2, 8, -1, 0), ENODEV);
	assert_fails_with(nvme_delete_ioqpair(&m.ctrl, 1), ENODEV);
	stop(&m);
	assert_fails_with(nvme_init(&m.ctrl, EMU_BDF, NULL), ENODEV);
}

/* H8: a machine that sleeps takes the power from its devices; the registers are those of a controller that was not set up */
static void controller_that_forgot_in_its_sleep_is_brought_up_again(void **state)
{
	uint8_t *buf = (uint8_t *)new_pages(PAGE);
	union nvme_cmd cmd = flush_cmd();
	struct machine m;
	uint64_t begin;

	start_pair(&m, NULL, 8);
	memset(buf, 0x78, 512);
	write_block(&m.ctrl, 1, 12, buf);
	(void)post_flush(m.sq);
	assert_int_equal(vfio_reset(&m.ctrl.pci.dev), 0);

	emu_expect_violation("doorbell");
	begin = emu_now();
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ENODEV);
	assert_true(emu_now() - begin < 10 * MS);
	stop(&m);

	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	check_block(&m.ctrl, 1, 12, 0x78, buf);
	nvme_close(&m.ctrl);
	free(buf);
}

/* C9: what was out is given up, and the queues are made anew */
static void reset_with_everything_in_flight_starts_over(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 64);
	emu_nvme_set(m.nvme, EMU_HOLD, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	for (int i = 0; i < 60; i++)
		(void)post_flush(m.sq);
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	assert_int_equal(emu_nvme_stats(m.nvme).outstanding, 0);
	emu_nvme_set(m.nvme, EMU_HOLD, false);
	iommu_put_dmabuf(&m.buf);

	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, &m.ctrl.opts), 0);
	assert_int_equal(nvme_configure_adminq(&m.ctrl, 0), 0);
	assert_int_equal(nvme_enable(&m.ctrl), 0);
	m.ctrl.config.nsqa = m.ctrl.opts.nsqr;
	m.ctrl.config.ncqa = m.ctrl.opts.ncqr;
	add_pair(&m, 8);
	for (int i = 0; i < 20; i++) {
		struct nvme_rq *rq = post_flush(m.sq);

		assert_int_equal(nvme_rq_spin(rq, NULL), 0);
		nvme_rq_release(rq);
	}
	stop(&m);
}

static void many_lives_leave_nothing(void **state)
{
	const struct emu_usage nothing = {};
	uint8_t *buf = (uint8_t *)new_pages(PAGE);
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(&(struct emu_nvme_opts){ .dbbuf = true });
	for (int i = 0; i < 50; i++) {
		assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
		assert_int_equal(nvme_aer(&ctrl, NULL), 0);
		for (int qid = 1; qid <= 4; qid++)
			assert_int_equal(nvme_create_ioqpair(&ctrl, qid, 32, -1, 0), 0);
		memset(buf, i, 512);
		write_block(&ctrl, 1 + i % 4, (uint64_t)i, buf);
		if (i)
			check_block(&ctrl, 1 + i % 3, (uint64_t)i - 1, (uint8_t)(i - 1), buf);
		nvme_close(&ctrl);
		emu_assert_usage(&nothing);
	}
	free(buf);
}

/* Many commands out at once, each into a piece of a buffer, verified as they complete. */
static void deep_queue_of_vectors_carries_data(void **state)
{
	enum {
		DEPTH = 63,
		TOTAL = 3000
	};
	uint64_t seed = SEED;
	unsigned int posted = 0, done = 0;
	struct machine m;

	start_pair(&m, NULL, DEPTH + 1);
	fill_random(emu_nvme_disk(m.nvme, 1, NULL), 4096 * 512, &seed);
	while (done < TOTAL) {
		struct nvme_rq *rq;
		struct nvme_cqe *cqe;

		while (posted < TOTAL && posted - done < DEPTH) {
			uint32_t slba = (uint32_t)(next_random(&seed) % 4080);
			union nvme_cmd cmd = rw_cmd(OP_READ, slba, 16);
			char *at;
			struct iovec iov[2];

			rq = nvme_rq_acquire(m.sq);
			at = (char *)m.buf.vaddr + rq->cid * 4 * PAGE;
			iov[0] = (struct iovec){ at + PAGE, PAGE };
			iov[1] = (struct iovec){ at + 3 * PAGE, PAGE };
			rq->opaque = (char *)emu_nvme_disk(m.nvme, 1, NULL) + slba * 512;
			assert_int_equal(nvme_rq_mapv(&m.ctrl, rq, &cmd, iov, 2), 0);
			nvme_rq_post(rq, &cmd);
			posted++;
		}
		nvme_sq_update_tail(m.sq);
		while ((cqe = nvme_cq_get_cqe(m.cq))) {
			char *at;

			rq = nvme_rq_from_cqe(&m.ctrl, cqe);
			at = (char *)m.buf.vaddr + rq->cid * 4 * PAGE;
			assert_true(nvme_cqe_ok(cqe));
			assert_memory_equal(at + PAGE, rq->opaque, PAGE);
			assert_memory_equal(at + 3 * PAGE, (char *)rq->opaque + PAGE, PAGE);
			nvme_rq_release(rq);
			done++;
		}
		nvme_cq_update_head(m.cq);
	}
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(two_controllers_at_once_keep_apart),
		test(two_controllers_share_an_address_space),
		test(all_64_queue_pairs_carry_data),
		test(two_namespaces_have_their_own_blocks),
		test(completions_signal_the_vector_of_their_queue),
		test(lost_and_spurious_interrupts_do_not_matter_to_a_poll),
		test(failed_controller_works_again_after_close_and_init),
		test(removed_controller_stays_gone),
		test(controller_that_forgot_in_its_sleep_is_brought_up_again),
		test(reset_with_everything_in_flight_starts_over),
		test(many_lives_leave_nothing),
		test(deep_queue_of_vectors_carries_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
