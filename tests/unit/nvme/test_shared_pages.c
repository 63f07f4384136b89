// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads whose buffers lie on the same pages; the controller runs in one of its own. */
#include "machine.h"

#include <pthread.h>

#define THREADS 2
#define ROUNDS 500

/* cmocka's assertions belong to the main thread: the others count what goes wrong. */
struct reader {
	struct nvme_ctrl *ctrl;
	struct nvme_sq *sq;
	char *buf;
	int fill;
	int errors;
};

static void *read_often(void *arg)
{
	struct reader *r = arg;

	for (int i = 0; i < ROUNDS; i++) {
		union nvme_cmd cmd = rw_cmd(OP_READ, 64U * r->sq->id, 5);

		memset(r->buf, 0, 5 * 512);
		if (nvme_sync(r->ctrl, r->sq, &cmd, r->buf, 5 * 512, NULL))
			r->errors++;
		for (int k = 0; k < 5 * 512; k++)
			r->errors += r->buf[k] != r->fill;
	}

	return NULL;
}

/*
 * Heap memory, one buffer behind the other: from the first page to the second,
 * and from the second to the third.
 */
static void two_threads_whose_buffers_share_a_page_read_their_data(void **state)
{
	char *buf = new_pages(3 * PAGE), *disk;
	struct reader readers[THREADS];
	pthread_t threads[THREADS];
	struct emu_usage before;
	struct machine m = {};

	m.nvme = emu_nvme_add(NULL);
	disk = emu_nvme_disk(m.nvme, 1, NULL);
	emu_start_threads();
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, i + 1, 8, -1, 0), 0);
		warm_up(&m.ctrl.sq[i + 1]);
		memset(disk + 64UL * (i + 1) * 512, 0x11 * (i + 1), 5UL * 512);
		readers[i] = (struct reader){
			.ctrl = &m.ctrl,
			.sq = &m.ctrl.sq[i + 1],
			.buf = buf + 3072 + i * 5 * 512,
			.fill = 0x11 * (i + 1),
		};
	}
	before = emu_usage();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_often, &readers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(readers[i].errors, 0);
	emu_assert_usage(&before);
	nvme_close(&m.ctrl);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(two_threads_whose_buffers_share_a_page_read_their_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
