// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes that a queue pair pins besides its queues, once all of its requests are in use. */
#include <stdio.h>
#include <stdlib.h>

#include "emu.h"
#include "measure.h"

/* One that no handle has. */
#define QID 8

static const int entries[] = { 32, 128, 1024, 4096, 65536 };
static const size_t lens[] = { 8 << 10, 128 << 10 };

/* As many requests as there are, with a list each if @len needs one. */
static int use_all(struct nvme_ctrl *ctrl, struct nvme_sq *sq, const struct iommu_dmabuf *mem,
		   size_t len)
{
	for (int i = 0; i < sq->qsize - 1; i++) {
		struct nvme_rq *rq = nvme_rq_acquire(sq);
		union nvme_cmd cmd = { .opcode = OP_READ };

		if (!rq || nvme_rq_map_prp(ctrl, rq, &cmd, mem->iova, len))
			return -1;
	}

	return 0;
}

static void measure(struct nvme_ctrl *ctrl, const struct iommu_dmabuf *mem, int n, size_t len)
{
	size_t before = emu_usage().dma_bytes, after;
	struct nvme_sq *sq = &ctrl->sq[QID];

	if (nvme_create_ioqpair(ctrl, QID, n, -1, 0) || use_all(ctrl, sq, mem, len)) {
		fprintf(stderr, "bench: no queue pair of %d entries, or not all of its requests\n",
			n);
		exit(1);
	}
	after = emu_usage().dma_bytes;
	printf("{\"entries\": %d, \"bytes\": %zu, \"pinned\": %zu}\n", n, len,
	       after - before - sq->mem.len - sq->cq->mem.len);
	if (nvme_delete_ioqpair(ctrl, QID))
		exit(1);
}

void measure_memory(struct nvme_ctrl *ctrl)
{
	struct iommu_dmabuf mem;

	if (iommu_get_dmabuf(__iommu_ctx(ctrl), &mem, 1 << 20, 0))
		exit(1);
	for (unsigned int i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		for (unsigned int k = 0; k < sizeof(lens) / sizeof(lens[0]); k++)
			measure(ctrl, &mem, entries[i], lens[k]);
	iommu_put_dmabuf(&mem);
}
