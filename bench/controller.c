// SPDX-License-Identifier: GPL-2.0-or-later
/* The controller: one that completes whatever comes, and one that looks first. */
#include <stdio.h>
#include <string.h>

#include "ring.h"

#define PAGE 4096UL

static inline void complete_next(struct ring *r)
{
	struct nvme_cqe *cqe = &r->cqes[r->dev_tail];
	union nvme_cmd *cmd = &r->sqes[r->dev_head];

	if (++r->dev_head == QUEUE_ENTRIES)
		r->dev_head = 0;
	cqe->cid = cmd->cid;
	cqe->sqid = cpu_to_le16((uint16_t)r->sq->id);
	cqe->sqhd = cpu_to_le16((uint16_t)r->dev_head);
	__atomic_store_n((uint16_t *)&cqe->sfp, (uint16_t)r->dev_phase, __ATOMIC_RELEASE);
	if (++r->dev_tail == QUEUE_ENTRIES) {
		r->dev_tail = 0;
		r->dev_phase ^= 1;
	}
}

void controller_serve(struct ring *r)
{
	unsigned int tail = *r->tail_word;

	while (r->dev_head != tail)
		complete_next(r);
}

/* ---- verification ---- */

struct expected {
	const struct ring *r;
	const char *what;
	unsigned int i;
	uint64_t iova;
};

static int wrong(const struct expected *e, const char *field, uint64_t is, uint64_t should)
{
	fprintf(stderr, "bench: %s, %zu bytes, command %u of a round: %s is 0x%llx, not 0x%llx\n",
		e->what, e->r->len, e->i, field, (unsigned long long)is,
		(unsigned long long)should);
	return -1;
}

#define check(e, field, is, should) \
	do { \
		if ((uint64_t)(is) != (uint64_t)(should)) \
			return wrong(e, field, (uint64_t)(is), (uint64_t)(should)); \
	} while (0)

/* PRP2 as a list; the last entry of a full page leads to the next. */
static int check_list(const struct expected *e, uint64_t list, size_t pages)
{
	for (size_t page = 1; page < pages;) {
		size_t slots = (PAGE - list % PAGE) / 8;
		const leint64_t *entry = rig_reach(list);

		check(e, "alignment of a PRP list", list % 8, 0);
		check(e, "a PRP list that is mapped", !!entry, 1);
		for (size_t i = 0; i < slots && page < pages; i++) {
			if (i + 1 == slots && page + 1 < pages) {
				list = le64_to_cpu(entry[i]);
				break;
			}
			check(e, "an entry of a PRP list", le64_to_cpu(entry[i]),
			      e->iova + page * PAGE);
			page++;
		}
	}

	return 0;
}

static int check_prps(const struct expected *e, const union nvme_cmd *cmd)
{
	size_t pages = (e->iova % PAGE + e->r->len + PAGE - 1) / PAGE;
	uint64_t prp2 = le64_to_cpu(cmd->dptr.prp2);

	check(e, "flags", cmd->flags, 0);
	check(e, "PRP1", le64_to_cpu(cmd->dptr.prp1), e->iova);
	if (pages == 1)
		check(e, "PRP2", prp2, 0);
	else if (pages == 2)
		check(e, "PRP2", prp2, e->iova + PAGE);
	else
		return check_list(e, prp2, pages);

	return 0;
}

/* One mapping, so that the descriptor is in the command. */
static int check_sgl(const struct expected *e, const union nvme_cmd *cmd)
{
	check(e, "flags", cmd->flags, 1 << NVME_CMD_FLAGS_PSDT_SHIFT);
	check(e, "type of the SGL", cmd->dptr.sgl.type, 0);
	check(e, "address of the SGL", le64_to_cpu(cmd->dptr.sgl.addr), e->iova);
	check(e, "length of the SGL", le32_to_cpu(cmd->dptr.sgl.len), e->r->len);
	for (unsigned int i = 0; i < sizeof(cmd->dptr.sgl.rsvd12); i++)
		check(e, "reserved byte of the SGL", cmd->dptr.sgl.rsvd12[i], 0);

	return 0;
}

static int check_command(const struct expected *e, const union nvme_cmd *cmd, bool sgl)
{
	check(e, "opcode", cmd->opcode, OP_READ);
	check(e, "nsid", le32_to_cpu(cmd->nsid), NSID);
	check(e, "dword 2", le32_to_cpu(cmd->cdw2), 0);
	check(e, "dword 3", le32_to_cpu(cmd->cdw3), 0);
	check(e, "metadata pointer", le64_to_cpu(cmd->mptr), 0);
	check(e, "slba", le64_to_cpu(cmd->rw.slba), ring_slba(e->r, e->i));
	check(e, "dword 12", le32_to_cpu(cmd->cdw12), e->r->nlb - 1);
	check(e, "dword 13", le32_to_cpu(cmd->cdw13), 0);
	check(e, "dword 14", le32_to_cpu(cmd->cdw14), 0);
	check(e, "dword 15", le32_to_cpu(cmd->cdw15), 0);

	return sgl ? check_sgl(e, cmd) : check_prps(e, cmd);
}

int controller_verify(struct ring *r, const char *what, unsigned int depth, bool sgl)
{
	struct expected e = { .r = r, .what = what };
	unsigned int tail = (r->dev_head + depth) % QUEUE_ENTRIES;
	bool used[QUEUE_ENTRIES] = {};

	check(&e, "tail doorbell", *r->tail_word, tail);
	/* a driver may keep some back */
	if ((r->dev_tail - *r->head_word) % QUEUE_ENTRIES > (unsigned int)r->cq->slack)
		check(&e, "head doorbell", *r->head_word, r->dev_tail);

	for (e.i = 0; e.i < depth; e.i++) {
		const union nvme_cmd *cmd = &r->sqes[r->dev_head];

		e.iova = r->iova + (uint64_t)(ring_buf(r, e.i) - r->mem);
		check(&e, "reach of the data", (uintptr_t)rig_reach(e.iova),
		      (uintptr_t)ring_buf(r, e.i));
		if (check_command(&e, cmd, sgl))
			return -1;
		if (cmd->cid >= QUEUE_ENTRIES || used[cmd->cid])
			return wrong(&e, "cid, taken or too large,", cmd->cid, 0);
		used[cmd->cid] = true;
		complete_next(r);
	}

	return 0;
}
