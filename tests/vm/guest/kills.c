/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that writes is killed at some moment, again and again: who opens the controller next finds every write that
 * was acknowledged. ROUNDS and SEED in the environment change how often and when.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define LEN 4096
#define DEPTH 32
#define CHUNK 64

/* As many as namespace 1 has room for; write n goes to place n % PLACES, and says so in all of its bytes. */
#define PLACES 16384UL

/* What the killed have told: it outlives them. */
struct told {
	unsigned long submitted, taken;
	/* 0, or the number of the write there that was acknowledged and is not being replaced */
	unsigned long acknowledged[PLACES];
};

static struct told *told;
static uint64_t seed;

static uint64_t below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;

	return seed % n;
}

static uint64_t pattern(unsigned long n)
{
	return n << 20;
}

static void submit(struct nvme_ctrl *ctrl, char *mem, struct nvme_rq *rq)
{
	unsigned long n = __atomic_add_fetch(&told->submitted, 1, __ATOMIC_SEQ_CST);
	char *mine = mem + (size_t)rq->cid * LEN;
	union nvme_cmd cmd = guest_rw(NVME_IO_WRITE, &guest_ns512, n % PLACES * 8, LEN);
	iova_t iova;

	__atomic_store_n(&told->acknowledged[n % PLACES], 0, __ATOMIC_SEQ_CST);
	guest_fill(mine, LEN, pattern(n));
	rq->opaque = (void *)n;
	assert_true(iommu_translate_vaddr(__iommu_ctx(ctrl), mine, &iova));
	assert_vfn(nvme_rq_map_prp(ctrl, rq, &cmd, iova, LEN) == 0);
	nvme_rq_exec(rq, &cmd);
}

/* Write for ever, and tell of what has been acknowledged. */
static void write_until_killed(void)
{
	struct nvme_ctrl ctrl = {};
	char *mem = guest_alloc(DEPTH * LEN);
	struct nvme_rq *rq;

	assert_vfn(nvme_init(&ctrl, guest_bdf("a"), NULL) == 0);
	assert_vfn(nvme_create_ioqpair(&ctrl, 1, DEPTH + 1, -1, 0) == 0);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, DEPTH * LEN, NULL, 0) == 0);
	while ((rq = nvme_rq_acquire(&ctrl.sq[1])))
		submit(&ctrl, mem, rq);

	for (;;) {
		struct nvme_cqe *cqe = nvme_cq_get_cqe(&ctrl.cq[1]);
		unsigned long n;

		if (!cqe)
			continue;
		rq = nvme_rq_from_cqe(&ctrl, cqe);
		if (!rq || !nvme_cqe_ok(cqe))
			_exit(1);
		n = (unsigned long)rq->opaque;
		nvme_cq_update_head(&ctrl.cq[1]);
		__atomic_store_n(&told->acknowledged[n % PLACES], n, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&told->taken, 1, __ATOMIC_SEQ_CST);
		submit(&ctrl, mem, rq);
	}
}

/* Most are killed at work, the others at any moment from their start on. */
static void let_work(pid_t child, unsigned long before)
{
	int status;

	if (below(5))
		while (__atomic_load_n(&told->taken, __ATOMIC_SEQ_CST) == before)
			if (waitpid(child, &status, WNOHANG))
				fail_msg("the program that writes has ended by itself");
	usleep((unsigned int)below(60000));
}

/* Returns how many of the writes there were acknowledged. */
static unsigned long check(const char *data, unsigned long first, unsigned long count)
{
	unsigned long checked = 0;

	for (unsigned long n = first; n < first + count; n++) {
		unsigned long acknowledged = told->acknowledged[n % PLACES];

		if (!acknowledged)
			continue;
		guest_check(data + (n - first) * LEN, LEN, pattern(acknowledged));
		checked++;
	}

	return checked;
}

/* Those of the last program; who opened the controller reads them. */
static unsigned long read_back(struct nvme_ctrl *ctrl, unsigned long first, unsigned long last)
{
	char *mem = guest_alloc(CHUNK * LEN);
	unsigned long checked = 0;

	for (unsigned long n = first; n <= last; n += CHUNK - n % CHUNK) {
		unsigned long count = CHUNK - n % CHUNK;

		if (count > last - n + 1)
			count = last - n + 1;
		guest_read(ctrl, 1, &guest_ns512, n % PLACES * 8, mem, count * LEN);
		checked += check(mem, n, count);
	}
	guest_free(mem, CHUNK * LEN);

	return checked;
}

/* L1, C4 */
static void test_no_acknowledged_write_is_lost_with_who_wrote_it(void **state)
{
	const char *rounds = getenv("ROUNDS"), *start = getenv("SEED");
	int n = rounds ? atoi(rounds) : 50, busy = 0;
	unsigned long first_seed;
	char *mem = guest_alloc(CHUNK * LEN);

	(void)state;
	seed = start ? strtoull(start, NULL, 0) : (uint64_t)time(NULL) << 16 | (uint64_t)getpid();
	first_seed = seed;
	print_message("# SEED=%lu\n", first_seed);
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(told != MAP_FAILED);

	for (int i = 0; i < n; i++) {
		unsigned long before = told->submitted, taken = told->taken;
		struct nvme_ctrl ctrl = {};
		pid_t child;
		int status;

		fflush(NULL);
		child = fork();
		assert_true(child >= 0);
		if (!child)
			write_until_killed();
		let_work(child, taken);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		busy += told->taken > taken;

		guest_open(&ctrl, "a", 0);
		assert_true(read_back(&ctrl, before + 1, told->submitted) >= told->taken - taken);
		nvme_close(&ctrl);
	}

	/* nor has anything that was in flight then come to where it is not expected: all of them, by the kernel */
	for (unsigned long place = 0; place < PLACES; place += CHUNK) {
		guest_kernel_read(&guest_ns512, place * 8, mem, CHUNK * LEN);
		(void)check(mem, place, CHUNK);
	}

	assert_true(busy > n / 2);
	print_message(
		"# note: SEED=%lu: %d kills, %d of them at work, %lu writes, %lu acknowledged\n",
		first_seed, n, busy, told->submitted, told->taken);
	guest_free(mem, CHUNK * LEN);
	munmap(told, sizeof(*told));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_acknowledged_write_is_lost_with_who_wrote_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
