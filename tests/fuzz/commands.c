// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A controller that loses, repeats, delays, mixes up and corrupts what it completes, fails
 * in the middle, and returns any data: what the library asks it, and what a program
 * does with queues meanwhile. All of it ends, and leaves nothing.
 *
 * C16, C23, Q7, Q8
 */
#include "fuzz.h"

#include <errno.h>

#include <vfn/nvme.h>

#include "emu.h"

/* The linker puts these around the fake kernel's. */
void __real_vfn_mmio_hook_write32(void *addr, uint32_t val);
void __wrap_vfn_mmio_hook_write32(void *addr, uint32_t val);
void __real_os_sleep_ns(uint64_t ns);
void __wrap_os_sleep_ns(uint64_t ns);

/* The admin queue and two others, of at most that many entries. */
#define QUEUES 3
#define DEPTH 16

static struct nvme_ctrl ctrl;
static struct emu_nvme *nvme;
/* What data structures are spoilt with. */
static struct input *script;
/* A device may write to it until its controller is closed. */
static _Alignas(4096) uint8_t buffer[16384];

static void spoil(void *mem, size_t len)
{
	for (unsigned int n = script ? take_to(script, 3) : 0; n; n--) {
		size_t at = take(script, 2) % len, room = len - at, some = take_to(script, 15);

		take_bytes(script, (uint8_t *)mem + at, some < room ? some : room);
	}
}

/* What an Identify has brought, before the host looks at it. */
void __wrap_vfn_mmio_hook_write32(void *addr, uint32_t val)
{
	const struct nvme_sq *sq = ctrl.adminq.sq;
	const union nvme_cmd *cmd;
	void *data;

	__real_vfn_mmio_hook_write32(addr, val);
	if (!sq || addr != sq->doorbell || val >= (unsigned int)sq->qsize)
		return;

	cmd = (const union nvme_cmd *)sq->mem.vaddr + (val ? val : (unsigned int)sq->qsize) - 1;
	if (cmd->opcode == 6 && cmd->identify.cns >= 0x14 &&
	    iommu_translate_iova(__iommu_ctx(&ctrl), le64_to_cpu(cmd->dptr.prp1), &data) >= 4096)
		spoil(data, 4096);
}

/* Seconds of waiting are over soon. */
void __wrap_os_sleep_ns(uint64_t ns)
{
	__real_os_sleep_ns(ns * 20);
}

static void add_fault(struct input *in)
{
	static const int opcodes[] = { EMU_ANY, 0, 1, 2, 4, 5, 6, 9, 0x0c, 0x1c };

	struct emu_fault fault = {
		.kind = take_to(in, EMU_NO_IRQ),
		.qid = (int)take_to(in, 3) - 1,
		.opcode = opcodes[take_to(in, 9)],
		.nth = take_to(in, 7),
		.count = take_to(in, 7),
		.delay_ns = take(in, 3) << 4,
		.status = (uint16_t)take(in, 2) & 0x7fff,
		.fields = (unsigned int)take(in, 1),
		.cid = (uint16_t)take(in, 2),
		.sqid = (uint16_t)take_to(in, 3),
		.dw0 = (uint32_t)take(in, 4),
	};

	emu_nvme_fault(nvme, &fault);
}

static void sync_one(struct input *in)
{
	struct nvme_sq *sq = &ctrl.sq[take_to(in, 2)];
	union nvme_cmd cmd = {};
	struct nvme_cqe cqe;
	uint8_t *data;
	size_t offset;

	if (!sq->id) {
		cmd.identify.opcode = 6;
		cmd.identify.cns = (uint8_t)take_to(in, 2);
	} else {
		cmd.rw.opcode = (uint8_t)take_to(in, 2);
		cmd.rw.nlb = cpu_to_le16(7);
	}
	cmd.nsid = cpu_to_le32(take_to(in, 1));
	offset = (take(in, 2) & 0x3ffc) % 8192;
	data = sq->id && !cmd.opcode ? NULL : buffer + offset;
	(void)nvme_sync(&ctrl, sq, &cmd, data, 4096, &cqe);
}

/* ---- requests that are out: each ends once, whoever says so ---- */

static bool out[QUEUES][DEPTH];

static void end(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	bool *is_out = rq->opaque;

	/* that of an event has none */
	require(!is_out || *is_out);
	if (is_out)
		*is_out = false;
	nvme_rq_release(rq);
}

static void post_some(struct nvme_sq *sq, unsigned int n)
{
	union nvme_cmd cmd = { .opcode = 0 };
	struct nvme_rq *rq;

	cmd.nsid = cpu_to_le32(1);
	while (n-- && sq->qsize && sq->id && (rq = nvme_rq_acquire(sq))) {
		require(!out[sq->id][rq->cid]);
		rq->opaque = &out[sq->id][rq->cid];
		out[sq->id][rq->cid] = true;
		nvme_rq_exec(rq, &cmd);
	}
}

static void take_completions(struct nvme_cq *cq)
{
	struct nvme_cqe *cqe;
	struct nvme_rq *rq;

	while (cq->qsize && (cqe = nvme_cq_get_cqe(cq))) {
		rq = nvme_rq_from_cqe(&ctrl, cqe);
		if (rq)
			end(rq, cqe, NULL);
		nvme_cq_update_head(cq);
	}
}

static void wait_for(struct nvme_sq *sq, unsigned int cid, bool give_up)
{
	struct timespec limit = { .tv_nsec = 1000 };
	struct nvme_rq *rq, *owner = NULL;
	struct nvme_cqe cqe;

	if (!sq->qsize || !sq->id || (int)cid >= sq->qsize - 1 || !out[sq->id][cid])
		return;

	rq = &sq->rqs[cid];
	if (!nvme_rq_wait(rq, &cqe, &limit) || errno == EIO)
		owner = rq;
	else if (errno == EAGAIN)
		owner = nvme_rq_from_cqe(&ctrl, &cqe);
	else if (give_up)
		owner = rq;
	if (owner)
		end(owner, NULL, NULL);
}

static void check_timeouts(uint64_t ns)
{
	const struct vfn_nvme_recovery recovery = { .complete = end };
	int ret;

	emu_advance(ns);
	ret = vfn_nvme_check_timeouts(&ctrl, &recovery);
	if (ret >= 0 || errno != ENODEV)
		return;

	require(!memchr(out, 1, sizeof(out)));
}

/* Everything that was out has ended, whatever comes of it; the caller has what it has taken. */
static void reset(unsigned int quirk)
{
	const struct vfn_nvme_recovery recovery = { .complete = end };

	if (vfn_nvme_reset_ctrl(&ctrl, quirk & 1 ? &recovery : NULL) < 0 && errno == EBUSY)
		return;
	if (!(quirk & 1))
		memset(out, 0, sizeof(out));
	require(!memchr(out, 1, sizeof(out)));
}

/* What was out of a queue that is gone is nobody's any more. */
static void delete_queues(int qid)
{
	(void)nvme_delete_ioqpair(&ctrl, qid);
	if (qid < QUEUES && !ctrl.sq[qid].qsize)
		memset(out[qid], 0, sizeof(out[qid]));
}

static void raise_event(struct input *in)
{
	uint8_t type = (uint8_t)take_to(in, 7), info = (uint8_t)take_to(in, 7);

	(void)nvme_aer(&ctrl, NULL);
	emu_nvme_raise_aen(nvme, type, info, (uint8_t)take(in, 1));
	emu_advance(1000000);
}

static void manage(struct input *in)
{
	uint16_t id = (uint16_t)take(in, 1);

	(void)nvme_get_vf_cntlid(&ctrl, (int)take_to(in, 4), &id);
	(void)nvme_vm_assign_max_flexible(&ctrl, id);
	(void)nvme_vm_set_online(&ctrl, id);
	(void)nvme_vm_set_offline(&ctrl, id);
	(void)vfn_nvme_vm_set_primary_flexible(&ctrl, 1, 1);
}

static void step(struct input *in)
{
	unsigned int what = take_to(in, 13), a = take_to(in, 255), b = take_to(in, 255);
	int qid = (int)(a % (QUEUES + 1));
	struct nvme_sq *sq = &ctrl.sq[a % QUEUES];

	switch (what) {
	case 0:
		(void)nvme_create_ioqpair(&ctrl, qid, 2 + (int)(b % (DEPTH - 1)), (int)(b & 1) - 1,
					  0);
		break;
	case 1:
		delete_queues(qid);
		break;
	case 2:
		sync_one(in);
		break;
	case 3:
		post_some(sq, b % DEPTH);
		break;
	case 4:
		raise_event(in);
		break;
	case 10:
		take_completions(&ctrl.cq[a % QUEUES]);
		break;
	case 11:
		wait_for(sq, b % DEPTH, b & 128);
		break;
	case 13:
		reset(b);
		break;
	case 12:
		check_timeouts((uint64_t)b << 16);
		break;
	case 5:
		manage(in);
		break;
	case 6:
		add_fault(in);
		break;
	case 7:
		emu_nvme_set(nvme, (enum emu_nvme_flag)(a % (EMU_HOLD + 1)), b & 1);
		break;
	case 8:
		emu_nvme_fail_regs(nvme, a, b & 1 ? UINT32_MAX : 0);
		break;
	default:
		emu_nvme_set_cfs(nvme);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + (size < 1024 ? size : 1024) };
	const struct nvme_ctrl_opts wanted = { .nsqr = QUEUES - 2, .ncqr = QUEUES - 2 };
	const struct emu_usage nothing = {};
	const struct emu_nvme_opts opts = {
		.ns[0] = { 64, 512, false },
		.nns = 1,
		.dbbuf = take_to(&in, 1),
		.sgls = take_to(&in, 2),
		.virt = { take_to(&in, 4),
			  { take_to(&in, 9), take_to(&in, 9) },
			  { 4, 4 },
			  take_to(&in, 1) },
		.pci.sriov_totalvfs = 4,
	};

	emu_init();
	nvme = emu_nvme_add(&opts);
	memset(&ctrl, 0, sizeof(ctrl));
	memset(out, 0, sizeof(out));
	vfn_nvme_set_timeout(&ctrl, 5);
	script = &in;
	spoil(emu_nvme_identify_ctrl(nvme), 4096);
	for (unsigned int n = take_to(&in, 3); n; n--)
		add_fault(&in);

	if (!nvme_init(&ctrl, EMU_BDF, &wanted))
		for (unsigned int i = 0; i < 24 && left(&in); i++)
			step(&in);
	nvme_close(&ctrl);

	script = NULL;
	emu_assert_usage(&nothing);
	emu_fini();

	return 0;
}
