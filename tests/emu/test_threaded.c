// SPDX-License-Identifier: GPL-2.0-or-later
/* The controller in a thread of its own: no races, nothing lost. */
#include <pthread.h>

#include "raw.h"

#define COMMANDS 500

static void start_threaded(struct raw *r, const struct emu_nvme_opts *opts)
{
	emu_nvme_add(opts);
	emu_start_threads();
	raw_open(r, EMU_BDF);
	raw_enable(r);
}

static void add_queue(struct raw *r, unsigned int qid)
{
	raw_create_cq(r, qid, -1);
	raw_create_sq(r, qid);
}

static void bring_up_and_io(void **state)
{
	struct raw_cmd id = raw_identify(1, 0);
	struct raw r;

	start_threaded(&r, NULL);
	add_queue(&r, 1);
	assert_int_equal(raw_sync(&r, 0, &id), 0);
	assert_memory_equal(r.buf + 4, "EMU0001 ", 8);
	for (unsigned int i = 0; i < 200; i++) {
		struct raw_cmd write = raw_rw(1, 1, i, 1, RAW_BUF_IOVA, 0);
		struct raw_cmd read = raw_rw(2, 2, i, 1, RAW_BUF_IOVA + 4096, 0);

		memset(r.buf, i, 512);
		assert_int_equal(raw_sync(&r, 1, &write), 0);
		assert_int_equal(raw_sync(&r, 1, &read), 0);
		assert_memory_equal(r.buf, r.buf + 4096, 512);
	}
	raw_delete(&r, 1);
	raw_stop(&r);
}

struct worker {
	struct raw *r;
	unsigned int qid, done;
	pthread_t thread;
};

/* Keep eight commands in flight. */
static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int sent = 0;
	struct raw_cqe cqe;

	while (w->done < COMMANDS) {
		while (sent < COMMANDS && sent - w->done < 8) {
			struct raw_cmd read =
				raw_rw(2, sent % 16, sent, 1, RAW_BUF_IOVA + w->qid * 8192, 0);

			raw_submit(w->r, w->qid, &read);
			sent++;
		}
		while (raw_poll(w->r, w->qid, &cqe))
			w->done += cqe.cid == w->done % 16 && !(cqe.sfp >> 1);
	}

	return NULL;
}

static void queues_are_independent_of_each_other(void **state)
{
	struct worker w[3];
	struct raw r;

	start_threaded(&r, NULL);
	for (unsigned int i = 0; i < 3; i++) {
		add_queue(&r, i + 1);
		w[i] = (struct worker){ .r = &r, .qid = i + 1 };
	}
	for (unsigned int i = 0; i < 3; i++)
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	for (unsigned int i = 0; i < 3; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].done, COMMANDS);
	}
	assert_int_equal(emu_nvme_stats(r.nvme).io[2], 3 * COMMANDS);
	raw_stop(&r);
}

static void interrupts_arrive(void **state)
{
	const int fds[2] = { -1, eventfd(0, EFD_CLOEXEC) };
	struct raw_cqe cqe;
	struct raw r;
	uint64_t n;

	emu_nvme_add(NULL);
	emu_start_threads();
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_set_irqs(&r, VFIO_PCI_MSIX_IRQ_INDEX, RAW_TRIGGER_FD, 0, 2, fds), 0);
	raw_enable(&r);
	raw_create_cq(&r, 1, 1);
	raw_create_sq(&r, 1);
	for (unsigned int i = 0; i < 100; i++) {
		struct raw_cmd read = raw_rw(2, i, 0, 1, RAW_BUF_IOVA, 0);

		raw_submit(&r, 1, &read);
		assert_int_equal(os_read(fds[1], &n, sizeof(n)), sizeof(n));
		assert_true(raw_poll(&r, 1, &cqe));
	}
	raw_stop(&r);
	close(fds[1]);
}

static void shadow_doorbells_without_mmio(void **state)
{
	const struct emu_nvme_opts opts = { .dbbuf = true, .dbbuf_lazy = true };
	struct raw_cmd config = { { [0] = 0x7c, [6] = RAW_BUF_IOVA, [8] = RAW_BUF_IOVA + 4096 } };
	struct raw_queue *q;
	struct raw r;

	start_threaded(&r, &opts);
	add_queue(&r, 1);
	assert_int_equal(raw_sync(&r, 0, &config), 0);
	q = &r.q[1];
	for (uint32_t i = 0; i < 100; i++) {
		struct raw_cmd read = raw_rw(2, i, 0, 1, RAW_BUF_IOVA + 8192, 0);
		const struct raw_cqe *cqe = &q->cq[q->head];

		memcpy(q->sq + 16 * q->tail, &read, sizeof(read));
		q->tail = (q->tail + 1) % q->size;
		__atomic_store_n((uint32_t *)r.buf + 2, q->tail, __ATOMIC_RELEASE);
		while ((__atomic_load_n(&cqe->sfp, __ATOMIC_ACQUIRE) & 1) != q->phase)
			os_sleep_ns(1000);
		assert_int_equal(cqe->cid, i);
		q->head = (q->head + 1) % q->size;
		q->phase ^= !q->head;
		__atomic_store_n((uint32_t *)r.buf + 3, q->head, __ATOMIC_RELEASE);
	}
	assert_int_equal(emu_nvme_stats(r.nvme).sq_doorbells, 3);
	raw_stop(&r);
}

static void violations_are_found_too(void **state)
{
	struct raw_cmd bad = raw_rw(2, 1, 0, 1, RAW_BUF_IOVA + 1, 0);
	struct raw r;

	start_threaded(&r, NULL);
	add_queue(&r, 1);
	assert_int_equal(raw_sync(&r, 1, &bad), 0x4013);
	raw_write(&r, 0x1008, 99);
	while (emu_violations() < 2)
		os_sleep_ns(1000);
	emu_expect_violation("PRP1 is not aligned");
	emu_expect_violation("tail doorbell of sq 1 is 99");
	raw_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		T(bring_up_and_io),	     T(queues_are_independent_of_each_other),
		T(interrupts_arrive),	     T(shadow_doorbells_without_mmio),
		T(violations_are_found_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
