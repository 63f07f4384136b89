// SPDX-License-Identifier: GPL-2.0-or-later
/* A handle that threads share; the controller runs in one of its own. */
#include "blk.h"

#include <pthread.h>

#define WORKERS 4
#define ROUNDS 100
#define BLOCKS 512UL

struct worker {
	struct vfn_blk *blk;
	uint64_t base;
	uint64_t seed;
	int errors;
};

static void count_errors(struct worker *w, bool ok)
{
	w->errors += !ok;
}

/* Blocks of its own, of which it has a model; memory that is nobody's, so that neighbours share pages. */
static void *work(void *arg)
{
	struct worker *w = arg;
	char *model = calloc(BLOCKS, 512), *buf = malloc(64 * 512);

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t n = 1 + next_random(&w->seed) % 64,
			 at = next_random(&w->seed) % (BLOCKS - n);
		size_t len = n * 512;

		switch (next_random(&w->seed) % 5) {
		case 0:
			memset(model + at * 512, 0, len);
			count_errors(w, !vfn_blk_discard(w->blk, w->base + at, n));
			break;
		case 1:
			count_errors(w, !vfn_blk_flush(w->blk));
			break;
		case 2:
			count_errors(w, !vfn_blk_read(w->blk, buf, w->base + at, n));
			count_errors(w, !memcmp(buf, model + at * 512, len));
			break;
		case 3:
			len -= next_random(&w->seed) % 600 % len;
			fill_random(buf, len, &w->seed);
			memcpy(model + at * 512, buf, len);
			count_errors(w, !vfn_blk_pwrite(w->blk, buf, len, (w->base + at) * 512));
			break;
		default:
			fill_random(buf, len, &w->seed);
			memcpy(model + at * 512, buf, len);
			count_errors(w, !vfn_blk_write(w->blk, buf, w->base + at, n));
		}
	}

	count_errors(w,
		     !memcmp(model,
			     (char *)emu_nvme_disk(emu_nvme_find(EMU_BDF), 1, NULL) + w->base * 512,
			     BLOCKS * 512));
	free(buf);
	free(model);

	return NULL;
}

/* B14 */
static void blocks_are_what_a_model_of_each_thread_says(void **state)
{
	static const unsigned int queues[] = { 1, 2, WORKERS };
	const struct emu_nvme_opts opts = { .mdts = 1 };

	for (size_t q = 0; q < UNIT_ARRAY_SIZE(queues); q++) {
		struct vfn_blk_opts blk_opts = { .queues = queues[q], .depth = 4 };
		struct worker workers[WORKERS];
		pthread_t threads[WORKERS];
		struct vfn_blk *blk;

		emu_fini();
		emu_init();
		emu_nvme_add(&opts);
		emu_start_threads();
		blk = open_with(EMU_BDF, &blk_opts);
		for (unsigned int i = 0; i < WORKERS; i++) {
			workers[i] =
				(struct worker){ .blk = blk, .base = i * BLOCKS, .seed = i + 1 };
			assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
		}
		for (unsigned int i = 0; i < WORKERS; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(workers[i].errors, 0);
		}
		close_blk(blk);
		emu_stop_threads();
	}
}

/* Queues of their own, while others call. */
static void *take_queues(void *arg)
{
	struct worker *w = arg;
	char *mem = vfn_blk_alloc(w->blk, 4096);

	for (int i = 0; i < ROUNDS; i++) {
		struct vfn_blk_req req = {
			.op = VFN_BLK_READ, .lba = w->base, .nlb = 8, .buf = mem
		};
		struct vfn_blk_queue *q = vfn_blk_get_queue(w->blk);

		if (q) {
			count_errors(w, !vfn_blk_submit(q, &req));
			count_errors(w, vfn_blk_wait(q, NULL, 1, 1, -1) == 1);
			count_errors(w, !vfn_blk_put_queue(q));
		} else {
			count_errors(w, !vfn_blk_read(w->blk, mem, w->base, 8));
		}
	}
	count_errors(w, !vfn_blk_free(w->blk, mem));

	return NULL;
}

static void queues_are_taken_and_put_back_while_others_call(void **state)
{
	const struct vfn_blk_opts opts = { .queues = 3 };
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS];
	struct vfn_blk *blk;

	emu_nvme_add(NULL);
	emu_start_threads();
	blk = open_with(EMU_BDF, &opts);
	for (unsigned int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ .blk = blk, .base = i };
		assert_int_equal(pthread_create(&threads[i], NULL, take_queues, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].errors, 0);
	}
	close_blk(blk);
	emu_stop_threads();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(blocks_are_what_a_model_of_each_thread_says),
		test(queues_are_taken_and_put_back_while_others_call),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
