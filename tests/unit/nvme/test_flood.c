// SPDX-License-Identifier: GPL-2.0-or-later
/* A device that posts completions without end: waits end at their limit all the same. */
#include "machine.h"

#define TIMEOUT_MS 50
#define QSIZE 8

/* Far more than a wait looks at; a wait that does not end is seen by this, not by a hang. */
#define ENOUGH 1000000U

/* The linker puts these around the harness's hook, which a device's doorbells are behind. */
void __real_vfn_mmio_hook_write32(void *addr, uint32_t val);
void __wrap_vfn_mmio_hook_write32(void *addr, uint32_t val);

static struct {
	struct nvme_cq *cq;
	uint16_t cid;
	unsigned int head, posted;
} flood;

static void post(unsigned int index, int phase)
{
	struct nvme_cqe cqe = { .cid = flood.cid };

	cqe.sqid = cpu_to_le16(1);
	cqe.sfp = cpu_to_le16((uint16_t)phase);
	((struct nvme_cqe *)flood.cq->mem.vaddr)[index] = cqe;
	flood.posted++;
}

/* Each entry that the host gives back is filled again, with the phase of the next round. */
void __wrap_vfn_mmio_hook_write32(void *addr, uint32_t val)
{
	if (!flood.cq || addr != flood.cq->doorbell) {
		__real_vfn_mmio_hook_write32(addr, val);
		return;
	}

	while (flood.head != val) {
		struct nvme_cqe *cqe = (struct nvme_cqe *)flood.cq->mem.vaddr + flood.head;

		if (flood.posted < ENOUGH)
			post(flood.head, !(le16_to_cpu(cqe->sfp) & 1));
		flood.head = (flood.head + 1) % QSIZE;
	}
}

static void start_flood(struct machine *m, uint16_t cid)
{
	start_pair(m, NULL, QSIZE);
	vfn_nvme_set_timeout(&m->ctrl, TIMEOUT_MS);
	emu_nvme_fault(m->nvme, &(struct emu_fault){
					.kind = EMU_LOSE,
					.qid = 1,
					.opcode = EMU_ANY,
					.count = UINT32_MAX,
				});
	memset(&flood, 0, sizeof(flood));
	flood.cq = m->cq;
	flood.cid = cid;
	for (unsigned int i = 0; i < QSIZE; i++)
		post(i, 1);
}

static void stop_flood(struct machine *m)
{
	assert_true(flood.posted < ENOUGH);
	flood.cq = NULL;
	stop(m);
}

/* Of no command, and of one that is not out. */
static const uint16_t cids[] = { 0xfffe, 5 };

/* H9 */
static void sync_ends_at_its_limit(void **state)
{
	for (int i = 0; i < 2; i++) {
		union nvme_cmd cmd = flush_cmd();
		uint64_t begin;
		struct machine m;

		start_flood(&m, cids[i]);
		begin = emu_now();
		assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ETIMEDOUT);
		assert_in_range(emu_now() - begin, TIMEOUT_MS * MS, (TIMEOUT_MS + 2) * MS);
		stop_flood(&m);
		emu_fini();
		emu_init();
	}
}

/* H9: what is of no command is the caller's to judge, so only the other one is passed over */
static void wait_ends_at_its_limit(void **state)
{
	struct timespec ts = { .tv_nsec = TIMEOUT_MS * (long)MS };
	struct nvme_rq *rq;
	uint64_t begin;
	struct machine m;

	start_flood(&m, 5);
	rq = post_flush(m.sq);
	begin = emu_now();
	assert_fails_with(nvme_rq_wait(rq, NULL, &ts), ETIMEDOUT);
	assert_in_range(emu_now() - begin, TIMEOUT_MS * MS, (TIMEOUT_MS + 2) * MS);
	assert_true(flood.posted > QSIZE);
	stop_flood(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(sync_ends_at_its_limit),
		test(wait_ends_at_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
