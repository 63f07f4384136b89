/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the nvme layer share: a machine with a controller, commands, checks. */
#ifndef VFN_TESTS_UNIT_NVME_MACHINE_H
#define VFN_TESTS_UNIT_NVME_MACHINE_H

#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <vfn/nvme.h>
#include <vfn/support/mem.h>

#include "emu.h"

#define MS 1000000ULL
#define SEC (1000 * MS)

#define REG_CC 0x14
#define REG_CSTS 0x1c
#define CSTS_RDY 1

enum {
	OP_FLUSH = 0,
	OP_WRITE = 1,
	OP_READ = 2,
	OP_COMPARE = 5,
	OP_ZEROES = 8,
	OP_DSM = 9
};
enum {
	OP_DELETE_SQ = 0,
	OP_CREATE_SQ = 1,
	OP_GET_LOG = 2,
	OP_DELETE_CQ = 4,
	OP_CREATE_CQ = 5,
	OP_IDENTIFY = 6,
	OP_SET_FEATURES = 9,
	OP_AER = 0xc,
	OP_DBBUF = 0x7c,
};

/* Status of a command that was given an invalid field, do not retry. */
#define STATUS_INVALID_FIELD 0x4002

#define test(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)

/* A controller that is up, its first queue pair, and a mapped buffer of 1 MiB. */
struct machine {
	struct emu_nvme *nvme;
	struct nvme_ctrl ctrl;
	struct nvme_sq *sq;
	struct nvme_cq *cq;
	struct iommu_dmabuf buf;
};

#define BUF_LEN (1UL << 20)

static inline void start(struct machine *m, const struct emu_nvme_opts *opts)
{
	memset(m, 0, sizeof(*m));
	m->nvme = emu_nvme_add(opts);
	assert_int_equal(nvme_init(&m->ctrl, opts && opts->pci.bdf ? opts->pci.bdf : EMU_BDF, NULL),
			 0);
}

/* What a queue's first requests need gets mapped, so that tests see what they hold themselves. */
static inline void warm_up(struct nvme_sq *sq)
{
	struct nvme_rq *rq = nvme_rq_acquire(sq);

	assert_non_null(rq);
	assert_int_equal(vfn_nvme_rq_ready(rq), 0);
	nvme_rq_release(rq);
}

static inline void add_pair(struct machine *m, int qsize)
{
	assert_int_equal(nvme_create_ioqpair(&m->ctrl, 1, qsize, -1, 0), 0);
	m->sq = &m->ctrl.sq[1];
	m->cq = &m->ctrl.cq[1];
	warm_up(m->sq);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m->ctrl), &m->buf, BUF_LEN, 0), 0);
}

static inline void start_pair(struct machine *m, const struct emu_nvme_opts *opts, int qsize)
{
	start(m, opts);
	add_pair(m, qsize);
}

/* The controller goes first: commands may be outstanding that know the buffer. */
static inline void stop(struct machine *m)
{
	if (m->ctrl.regs)
		(void)nvme_reset(&m->ctrl);
	iommu_put_dmabuf(&m->buf);
	nvme_close(&m->ctrl);
}

static inline union nvme_cmd rw_cmd(uint8_t opcode, uint64_t slba, unsigned int blocks)
{
	union nvme_cmd cmd = {};

	cmd.rw.opcode = opcode;
	cmd.rw.nsid = cpu_to_le32(1);
	cmd.rw.slba = cpu_to_le64(slba);
	cmd.rw.nlb = cpu_to_le16((uint16_t)(blocks - 1));

	return cmd;
}

static inline union nvme_cmd flush_cmd(void)
{
	union nvme_cmd cmd = { .opcode = OP_FLUSH };

	cmd.nsid = cpu_to_le32(1);

	return cmd;
}

static inline union nvme_cmd identify_cmd(void)
{
	union nvme_cmd cmd = {};

	cmd.identify.opcode = OP_IDENTIFY;
	cmd.identify.cns = 1;

	return cmd;
}

static inline union nvme_cmd smart_log_cmd(void)
{
	union nvme_cmd cmd = {};

	cmd.log.opcode = OP_GET_LOG;
	cmd.log.nsid = cpu_to_le32(UINT32_MAX);
	cmd.log.lid = 2;
	cmd.log.numdl = cpu_to_le16(512 / 4 - 1);

	return cmd;
}

static inline unsigned int add_fault(struct machine *m, enum emu_fault_kind kind, int qid,
				     int opcode)
{
	return emu_nvme_fault(m->nvme, &(struct emu_fault){
					       .kind = kind,
					       .qid = qid,
					       .opcode = opcode,
				       });
}

static inline unsigned int refuse(struct emu_nvme *nvme, int opcode, uint32_t nth)
{
	return emu_nvme_fault(nvme, &(struct emu_fault){
					    .kind = EMU_STATUS,
					    .qid = 0,
					    .opcode = opcode,
					    .nth = nth,
					    .status = STATUS_INVALID_FIELD,
				    });
}

/* How many requests of a queue are free now; more than there are means that some are twice. */
static inline int free_requests(struct nvme_sq *sq)
{
	int n = 0;

	for (struct nvme_rq *rq = sq->rq_top; rq && n < sq->qsize; rq = rq->rq_next)
		n++;

	return n;
}

/* Post a flush without waiting for it. */
static inline struct nvme_rq *post_flush(struct nvme_sq *sq)
{
	struct nvme_rq *rq = nvme_rq_acquire(sq);
	union nvme_cmd cmd = flush_cmd();

	assert_non_null(rq);
	nvme_rq_exec(rq, &cmd);

	return rq;
}

/* Pages that nothing else has mapped. */
static inline char *new_pages(size_t len)
{
	char *mem = aligned_alloc(PAGE, len);

	assert_non_null(mem);
	memset(mem, 0, len);

	return mem;
}

static inline void map_at(struct machine *m, void *vaddr, size_t len, iova_t iova)
{
	assert_int_equal(iommu_map_vaddr(__iommu_ctx(&m->ctrl), vaddr, len, &iova,
					 IOMMU_MAP_FIXED_IOVA),
			 0);
}

static inline void unmap(struct machine *m, void *vaddr)
{
	assert_int_equal(iommu_unmap_vaddr(__iommu_ctx(&m->ctrl), vaddr, NULL), 0);
}

/* xorshift64*, so that failures can be repeated. */
static inline uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;

	return *seed * 0x2545f4914f6cdd1dULL;
}

static inline void fill_random(void *buf, size_t len, uint64_t *seed)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(next_random(seed) >> 32);
}

#endif /* VFN_TESTS_UNIT_NVME_MACHINE_H */
