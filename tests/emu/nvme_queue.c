// SPDX-License-Identifier: GPL-2.0-or-later
/* Queues of the strict controller: doorbells, fetching, completing, interrupts. */
#include "nvme_model.h"

#include <stdlib.h>

#if defined(__SANITIZE_THREAD__)
#define EMU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EMU_TSAN 1
#endif
#endif
#ifdef EMU_TSAN
void __tsan_release(void *addr);
#endif

/* --------------------------------------------------------- queue ownership */

static bool stale_phase(struct emu_nvme *n, uint64_t base, uint32_t entries)
{
	for (uint32_t i = 0; i < entries; i++) {
		const uint8_t *e = nvme_reach(n, base + (uint64_t)i * CQE_SIZE, true);

		if (e && e[14] & 1)
			return true;
	}

	return false;
}

static bool overlaps(uint64_t base, uint64_t len, uint64_t iova, uint64_t last)
{
	return base <= last && base + len > iova;
}

static bool sq_overlaps(const struct model_sq *sq, uint64_t iova, uint64_t last)
{
	return sq->live && overlaps(sq->base, (uint64_t)sq->size * SQE_SIZE, iova, last);
}

static bool cq_overlaps(const struct model_cq *cq, uint64_t iova, uint64_t last)
{
	return cq->live && overlaps(cq->base, (uint64_t)cq->size * CQE_SIZE, iova, last);
}

static void check_shared(struct emu_nvme *n, uint64_t base, uint64_t len, const char *what)
{
	for (unsigned int i = 0; i < NVME_MAX_QUEUES; i++) {
		if (sq_overlaps(&n->sq[i], base, base + len - 1) ||
		    cq_overlaps(&n->cq[i], base, base + len - 1))
			nvme_report(n, "memory of %s is also that of queue %u", what, i);
	}
}

/* Whether all of a new queue's memory is reachable. */
bool nvme_check_queue(struct emu_nvme *n, uint64_t base, uint32_t entries, bool is_cq,
		      const char *what)
{
	uint64_t len = (uint64_t)entries * (is_cq ? CQE_SIZE : SQE_SIZE);

	if (!nvme_cmb_takes_queue(n, base, len, is_cq, what))
		return false;
	for (uint64_t at = 0; at < len; at += EMU_PAGE) {
		if (!nvme_reach(n, base + at, is_cq)) {
			nvme_report(n, "memory of %s is not mapped at IOVA 0x%llx", what,
				    (unsigned long long)(base + at));
			return false;
		}
	}
	check_shared(n, base, len, what);
	if (is_cq && stale_phase(n, base, entries))
		nvme_report(n, "memory of %s has phase bits set before its first use", what);

	return true;
}

static bool cmd_overlaps(const struct cmd *c, uint64_t iova, uint64_t last)
{
	for (unsigned int i = 0; i < c->nsegs; i++) {
		if (overlaps(c->segs[i].iova, c->segs[i].len, iova, last))
			return true;
	}

	return false;
}

/* Memory that the device may still use is about to be unmapped. */
void nvme_queues_unmapping(struct emu_nvme *n, uint64_t iova, uint64_t last)
{
	if (n->pci->removed || n->dead || !pci_bus_master(n->pci))
		return;
	for (unsigned int i = 0; i < NVME_MAX_QUEUES; i++) {
		if (sq_overlaps(&n->sq[i], iova, last))
			nvme_report(n, "memory of sq %u is unmapped while the queue exists", i);
		if (cq_overlaps(&n->cq[i], iova, last))
			nvme_report(n, "memory of cq %u is unmapped while the queue exists", i);
	}
	if (n->dbbuf && (overlaps(n->dbbuf_shadow, EMU_PAGE, iova, last) ||
			 overlaps(n->dbbuf_event, EMU_PAGE, iova, last)))
		nvme_report(n, "shadow doorbells are unmapped while in use");
	for (const struct cmd *c = n->cmds; c; c = c->next) {
		if (cmd_overlaps(c, iova, last))
			nvme_report(n, "memory of %s cid %u is unmapped while it is outstanding",
				    nvme_cmd_name(c), c->cid);
	}
}

/* --------------------------------------------------------------- commands */

static struct cmd **list_of_cid(struct emu_nvme *n, uint16_t cid)
{
	return &n->by_cid[cid % NVME_CID_LISTS];
}

static void add_cmd(struct emu_nvme *n, struct cmd *cmd)
{
	struct cmd **list = list_of_cid(n, cmd->cid);

	cmd->next_of_cid = *list;
	*list = cmd;

	if (!n->cmds)
		n->cmds_end = &n->cmds;
	*n->cmds_end = cmd;
	n->cmds_end = &cmd->next;
}

bool nvme_cid_in_use(struct emu_nvme *n, const struct cmd *cmd)
{
	for (const struct cmd *c = *list_of_cid(n, cmd->cid); c; c = c->next_of_cid) {
		if (c != cmd && c->sqid == cmd->sqid && c->cid == cmd->cid)
			return true;
	}

	return false;
}

void nvme_drop_cmd(struct emu_nvme *n, struct cmd *cmd)
{
	struct cmd **link = &n->cmds, **list = list_of_cid(n, cmd->cid);

	while (*list != cmd)
		list = &(*list)->next_of_cid;
	*list = cmd->next_of_cid;

	while (*link != cmd)
		link = &(*link)->next;
	*link = cmd->next;
	if (!*link)
		n->cmds_end = link;
	n->stats.outstanding--;
	free(cmd->segs);
	free(cmd);
}

void nvme_drop_queues(struct emu_nvme *n)
{
	while (n->cmds)
		nvme_drop_cmd(n, n->cmds);
	memset(n->sq, 0, sizeof(n->sq));
	memset(n->cq, 0, sizeof(n->cq));
	n->stats.sqs = n->stats.cqs = n->stats.aers = 0;
	n->naens = n->aen_masked = 0;
	n->dbbuf = false;
	nvme_update_intx(n);
}

void emu_nvme_add_error(struct emu_nvme *n, uint16_t sqid, uint16_t cid, uint16_t status)
{
	uint8_t *entry = n->errors[0];

	memmove(n->errors[1], n->errors[0], sizeof(n->errors) - sizeof(n->errors[0]));
	memset(entry, 0, NVME_ERROR_SIZE);
	put_le64(entry, ++n->nerrors);
	put_le16(entry + 8, sqid);
	put_le16(entry + 10, cid);
	put_le16(entry + 12, (uint16_t)(status << 1));
	put_le16(entry + 14, 0xffff); /* no parameter */
}

void nvme_complete(struct emu_nvme *n, struct cmd *cmd, uint16_t status)
{
	if (status)
		emu_nvme_add_error(n, cmd->sqid, cmd->cid, status);
	cmd->status = status;
	cmd->state = CMD_DONE;
}

static void finish(struct emu_nvme *n, struct cmd *cmd)
{
	uint16_t status = cmd->status;

	if (cmd->faulty && cmd->fault.kind == EMU_STATUS)
		status = cmd->fault.status;
	else if (!status)
		status = nvme_exec(n, cmd);

	if (status == SC_PENDING)
		cmd->state = CMD_WAITING;
	else if (cmd->faulty && cmd->fault.kind == EMU_DROP)
		cmd->state = CMD_STUCK;
	else
		nvme_complete(n, cmd, status);
}

static void begin(struct emu_nvme *n, struct cmd *cmd)
{
	cmd->faulty = nvme_match_fault(n, cmd, &cmd->fault);
	cmd->status = nvme_check_cmd(n, cmd);

	if (cmd->faulty && cmd->fault.kind == EMU_CFS) {
		cmd->state = CMD_STUCK;
		nvme_set_cfs(n, "scripted fault");
	} else if (cmd->faulty && cmd->fault.kind == EMU_LOSE) {
		cmd->state = CMD_STUCK;
	} else if (cmd->faulty && cmd->fault.kind == EMU_DELAY) {
		cmd->state = CMD_DELAYED;
		cmd->due = clock_now() + cmd->fault.delay_ns;
	} else {
		finish(n, cmd);
	}
}

static void decode(struct cmd *cmd, const uint32_t *sqe)
{
	for (unsigned int i = 0; i < 16; i++)
		cmd->dw[i] = le32toh(sqe[i]);
	cmd->opcode = cmd->dw[0] & 0xff;
	cmd->cid = cmd->dw[0] >> 16;
	cmd->nsid = cmd->dw[1];
	cmd->prp1 = cmd->dw[6] | (uint64_t)cmd->dw[7] << 32;
	cmd->prp2 = cmd->dw[8] | (uint64_t)cmd->dw[9] << 32;
}

static void account(struct emu_nvme *n, const struct cmd *cmd)
{
	n->stats.fetched++;
	n->stats.outstanding++;
	if (cmd->sqid) {
		n->stats.io[cmd->opcode]++;
		return;
	}
	n->stats.admin[cmd->opcode]++;
	emu_log("admin %s %u", nvme_cmd_name(cmd), cmd->dw[10] & 0xffff);
}

static void fetch(struct emu_nvme *n, uint16_t sqid)
{
	struct model_sq *sq = &n->sq[sqid];
	struct cmd *cmd;
	uint32_t sqe[16];

	if (!nvme_dma_read(n, sq->base + (uint64_t)sq->head * SQE_SIZE, sqe, sizeof(sqe),
			   "submission queue")) {
		nvme_set_cfs(n, "submission queue unreachable");
		return;
	}
	sq->head = (sq->head + 1) % sq->size;

	cmd = emu_zalloc(sizeof(*cmd));
	cmd->sqid = sqid;
	cmd->cqid = sq->cqid;
	decode(cmd, sqe);
	add_cmd(n, cmd);
	account(n, cmd);
	begin(n, cmd);
}

static void run_delayed(struct emu_nvme *n)
{
	for (struct cmd *c = n->cmds; c; c = c->next) {
		if (c->state == CMD_DELAYED && c->due <= clock_now())
			finish(n, c);
	}
}

void nvme_run_queues(struct emu_nvme *n)
{
	run_delayed(n);
	for (unsigned int i = 0; i <= n->o.queues && nvme_running(n); i++) {
		while (n->sq[i].live && n->sq[i].head != n->sq[i].tail && nvme_running(n))
			fetch(n, i);
	}
	nvme_post_completions(n);
	nvme_deliver_aens(n);
	nvme_post_completions(n);
}

/* ------------------------------------------------------------ completions */

static bool cq_full(const struct model_cq *cq)
{
	return (cq->tail + 1) % cq->size == cq->head;
}

#ifdef EMU_TSAN
/* Hosts may read the phase with 8, 4 or 2 bytes; to TSan those are different things. */
static void publish(uint8_t *mem)
{
	__tsan_release(mem + 8);
	__tsan_release(mem + 12);
	__tsan_release(mem + 14);
}
#else
static void publish(uint8_t *mem)
{
}
#endif

/*
 * The phase goes last, by itself; whoever sees it may read the rest. TSan does not see this store, as what is published
 * before it must have all of the entry.
 */
__attribute__((noinline, no_sanitize("thread"))) static void store_phase(uint8_t *mem,
									 uint16_t status)
{
	__atomic_store_n((uint16_t *)mem, status, __ATOMIC_RELEASE);
}

static void store_cqe(uint8_t *mem, const uint32_t *cqe)
{
	const uint64_t old_phase = mem[14] & 1;
	uint64_t high = cqe[2] | (uint64_t)cqe[3] << 32;

	high = (high & ~(1ULL << 48)) | old_phase << 48;
	put_le32(mem, cqe[0]);
	put_le32(mem + 4, cqe[1]);
	__atomic_store_n((uint64_t *)(mem + 8), htole64(high), __ATOMIC_RELEASE);
	publish(mem);
	store_phase(mem + 14, htole16(cqe[3] >> 16));
}

static void corrupt(uint32_t *cqe, const struct emu_fault *f)
{
	if (f->fields & EMU_CQE_DW0)
		cqe[0] = f->dw0;
	if (f->fields & EMU_CQE_SQHD)
		cqe[2] = (cqe[2] & 0xffff0000) | f->sqhd;
	if (f->fields & EMU_CQE_SQID)
		cqe[2] = (cqe[2] & 0xffff) | (uint32_t)f->sqid << 16;
	if (f->fields & EMU_CQE_CID)
		cqe[3] = (cqe[3] & 0xffff0000) | f->cid;
	if (f->fields & EMU_CQE_STATUS)
		cqe[3] = (cqe[3] & 0x1ffff) | (uint32_t)f->status << 17;
	if (f->fields & EMU_CQE_PHASE)
		cqe[3] ^= 1 << 16;
}

static void raise_irq(struct emu_nvme *n, const struct model_cq *cq)
{
	if (!cq->ien)
		return;
	irq_signal(n->pci, cq->vector);
	nvme_update_intx(n);
}

static bool post(struct emu_nvme *n, const struct cmd *cmd)
{
	struct model_cq *cq = &n->cq[cmd->cqid];
	uint32_t cqe[4] = {
		cmd->dw0,
		0,
		(n->sq[cmd->sqid].head & 0xffff) | (uint32_t)cmd->sqid << 16,
		cmd->cid | (uint32_t)cq->phase << 16 | (uint32_t)cmd->status << 17,
	};
	void *mem = nvme_dma(n, cq->base + (uint64_t)cq->tail * CQE_SIZE, true, "completion queue");

	if (!mem) {
		nvme_set_cfs(n, "completion queue unreachable");
		return false;
	}
	if (cmd->faulty && cmd->fault.kind == EMU_CORRUPT)
		corrupt(cqe, &cmd->fault);
	store_cqe(mem, cqe);
	n->sq[cmd->sqid].reported = n->sq[cmd->sqid].head;
	cq->tail = (cq->tail + 1) % cq->size;
	cq->phase ^= !cq->tail;
	n->stats.completed++;
	if (!cmd->faulty || cmd->fault.kind != EMU_NO_IRQ)
		raise_irq(n, cq);

	return true;
}

static bool may_post(struct emu_nvme *n, const struct cmd *cmd)
{
	return cmd->state == CMD_DONE && !cmd->after_next && n->cq[cmd->cqid].live &&
	       !cq_full(&n->cq[cmd->cqid]);
}

static void release_reordered(struct emu_nvme *n, uint16_t sqid, const struct cmd *passed)
{
	if (!n->reordered)
		return;

	n->reordered = false;
	for (struct cmd *c = n->cmds; c; c = c->next) {
		if (c != passed && c->sqid == sqid)
			c->after_next = false;
		n->reordered |= c->after_next;
	}
}

/* Post @cmd's completion and forget it. */
static bool post_and_drop(struct emu_nvme *n, struct cmd *cmd)
{
	bool twice = cmd->faulty && cmd->fault.kind == EMU_DUPLICATE;

	if (!post(n, cmd))
		return false;
	if (twice && !cq_full(&n->cq[cmd->cqid]) && !post(n, cmd))
		return false;
	release_reordered(n, cmd->sqid, cmd);
	nvme_drop_cmd(n, cmd);

	return true;
}

static void mark_reordered(struct emu_nvme *n, struct cmd *cmd)
{
	if (cmd->state == CMD_DONE && cmd->faulty && cmd->fault.kind == EMU_REORDER) {
		cmd->after_next = n->reordered = true;
		cmd->faulty = false;
	}
}

void nvme_post_completions(struct emu_nvme *n)
{
	struct cmd *c;

	if (n->flags[EMU_HOLD])
		return;
	for (c = n->cmds; c; c = c->next)
		mark_reordered(n, c);
	do {
		for (c = n->cmds; c && !may_post(n, c); c = c->next)
			;
	} while (c && nvme_running(n) && post_and_drop(n, c));
}

/* INTx: asserted while a completion queue with interrupts has entries. */
void nvme_update_intx(struct emu_nvme *n)
{
	const bool used = n->pci->irq[VFIO_PCI_INTX_IRQ_INDEX].enabled;
	bool level = false;

	for (unsigned int i = 0; used && i < NVME_MAX_QUEUES; i++) {
		const struct model_cq *cq = &n->cq[i];

		level |= cq->live && cq->ien && cq->head != cq->tail && !(n->intm & 1);
	}
	irq_set_level(n->pci, level);
}

/* -------------------------------------------------------------- doorbells */

static void sq_tail(struct emu_nvme *n, unsigned int qid, uint32_t tail)
{
	struct model_sq *sq = &n->sq[qid];
	uint32_t added, room;

	if (!sq->live) {
		nvme_report(n, "doorbell of sq %u, which does not exist", qid);
		return;
	}
	if (tail >= sq->size) {
		nvme_report(n, "tail doorbell of sq %u is %u, its size is %u", qid, tail, sq->size);
		return;
	}
	added = (tail + sq->size - sq->tail) % sq->size;
	room = sq->size - 1 - (sq->tail + sq->size - sq->reported) % sq->size;
	if (added > room)
		nvme_report(n, "tail doorbell of sq %u overtakes the head that was reported", qid);
	sq->tail = tail;
}

static void cq_head(struct emu_nvme *n, unsigned int qid, uint32_t head)
{
	struct model_cq *cq = &n->cq[qid];
	uint32_t posted, taken;

	if (!cq->live) {
		nvme_report(n, "doorbell of cq %u, which does not exist", qid);
		return;
	}
	if (head >= cq->size) {
		nvme_report(n, "head doorbell of cq %u is %u, its size is %u", qid, head, cq->size);
		return;
	}
	posted = (cq->tail + cq->size - cq->head) % cq->size;
	taken = (head + cq->size - cq->head) % cq->size;
	if (taken > posted) {
		nvme_report(n, "head doorbell of cq %u is past its tail", qid);
		return;
	}
	cq->head = head;
	nvme_update_intx(n);
}

/* Shadow or event index @index, or NULL if the page does not reach so far. */
static uint32_t *shadow_word(struct emu_nvme *n, uint64_t page, unsigned int index, bool write)
{
	uint64_t at = (uint64_t)index * (4u << n->o.dstrd);
	char *mem;

	if (at + 4 > nvme_page_size(n))
		return NULL;
	mem = nvme_dma(n, page + at, write, "shadow doorbells");

	return (uint32_t *)mem;
}

/*
 * The doorbell's shadow must have been written before the doorbell. In a thread the
 * doorbell may be seen late: the shadow has moved on, and may have been acted on.
 */
static uint32_t check_shadow(struct emu_nvme *n, unsigned int index, uint32_t val, uint32_t *seen)
{
	uint32_t *word = shadow_word(n, n->dbbuf_shadow, index, false), now;

	if (!word)
		return val;
	now = le32toh(__atomic_load_n(word, __ATOMIC_ACQUIRE));
	*seen = now;
	if (now == val || index < 2)
		return val;
	if (emu_threaded)
		return now;
	nvme_report(n, "doorbell %u is %u but its shadow is %u", index, val, now);

	return val;
}

void nvme_doorbell(struct emu_nvme *n, unsigned int index, uint32_t val)
{
	unsigned int qid = index / 2;
	bool is_cq = index & 1;

	*(is_cq ? &n->stats.cq_doorbells : &n->stats.sq_doorbells) += 1;
	if (!nvme_running(n)) {
		if (!(n->csts & CSTS_CFS) && !n->dead && !n->pci->removed)
			nvme_report(n, "doorbell %u while the controller is not ready", index);
		return;
	}
	if (val > 0xffff)
		nvme_report(n, "doorbell %u has reserved bits: 0x%x", index, val);
	if (n->dbbuf)
		val = check_shadow(n, index, val, is_cq ? &n->cq[qid].shadow : &n->sq[qid].shadow);
	if (is_cq)
		cq_head(n, qid, val);
	else
		sq_tail(n, qid, val);
}

static uint32_t take(struct emu_nvme *n, unsigned int index)
{
	return __atomic_exchange_n(&n->db[index], DB_NONE, __ATOMIC_ACQUIRE);
}

/*
 * The admin tail is read first and applied last: whatever the host rang before
 * it submitted, say, a queue deletion is then seen before the deletion.
 */
void nvme_take_doorbells(struct emu_nvme *n)
{
	uint32_t admin = take(n, 0), val;

	for (unsigned int i = 1; i < nvme_max_db(n); i++) {
		val = take(n, i);
		if (val != DB_NONE)
			nvme_doorbell(n, i, val);
	}
	if (admin != DB_NONE)
		nvme_doorbell(n, 0, admin);
}

static bool poll_word(struct emu_nvme *n, unsigned int index, uint32_t *seen)
{
	uint32_t *word = shadow_word(n, n->dbbuf_shadow, index, false), val;

	if (!word)
		return false;
	val = le32toh(__atomic_load_n(word, __ATOMIC_ACQUIRE));
	if (val == *seen)
		return false;
	*seen = val;
	if (index & 1)
		cq_head(n, index / 2, val);
	else
		sq_tail(n, index / 2, val);

	return true;
}

static void set_event(struct emu_nvme *n, unsigned int index, uint32_t val)
{
	uint32_t *word = n->o.dbbuf_lazy ? NULL : shadow_word(n, n->dbbuf_event, index, true);

	if (word)
		__atomic_store_n(word, htole32(val), __ATOMIC_SEQ_CST);
}

static bool poll_queue(struct emu_nvme *n, unsigned int qid)
{
	bool changed = false;

	if (n->sq[qid].live) {
		set_event(n, 2 * qid, n->sq[qid].shadow);
		changed = poll_word(n, 2 * qid, &n->sq[qid].shadow);
	}
	if (n->cq[qid].live) {
		set_event(n, 2 * qid + 1, n->cq[qid].shadow);
		changed |= poll_word(n, 2 * qid + 1, &n->cq[qid].shadow);
	}

	return changed;
}

/* Event index first, then the shadow once more, lest a tail be missed in between. */
void nvme_poll_shadow(struct emu_nvme *n)
{
	for (unsigned int i = 0; i <= n->o.queues && n->dbbuf; i++) {
		while (poll_queue(n, i))
			;
	}
}
