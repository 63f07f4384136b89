// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Scatter gather lists: memory described piece by piece (Base Specification 2.0, section 4.1.2). */
#include <errno.h>

#include "nvme/nvme.h"
#include "support/error.h"

/* Most bytes of one descriptor: what follows them starts on a page again. */
#define SGLD_LEN_MAX 0xfffff000u

struct sgl {
	struct nvme_ctrl *ctrl;
	/* the only segment */
	struct nvme_sgld *list;
	iova_t list_iova;
	size_t n, room;
	/* contiguous memory that has no descriptor yet */
	iova_t iova;
	size_t len;
};

static struct nvme_sgld descriptor(enum nvme_sgld_type type, iova_t addr, size_t len)
{
	return (struct nvme_sgld){
		.addr = cpu_to_le64(addr),
		.len = cpu_to_le32((uint32_t)len),
		.type = (uint8_t)(type << NVME_SGLD_TYPE_SHIFT),
	};
}

static int check_alignment(const struct sgl *sgl)
{
	if (sgl->ctrl->flags & NVME_CTRL_F_SGLS_DWORD_ALIGNMENT && (sgl->iova | sgl->len) & 3)
		return vfn_fail(
			EINVAL,
			"%s: %zu bytes of data at 0x%llx: the controller wants SGL data in multiples of 4",
			nvme_name(sgl->ctrl), sgl->len, (unsigned long long)sgl->iova);

	return 0;
}

/* Describe what has no descriptor yet in the segment. */
static int put(struct sgl *sgl)
{
	if (check_alignment(sgl))
		return -1;

	while (sgl->len) {
		size_t len = sgl->len < SGLD_LEN_MAX ? sgl->len : SGLD_LEN_MAX;

		if (sgl->n == sgl->room)
			return vfn_fail(
				EINVAL,
				"%s: the data takes more SGL descriptors than the %zu that there is room for",
				nvme_name(sgl->ctrl), sgl->room);

		sgl->list[sgl->n++] = descriptor(NVME_SGLD_TYPE_DATA_BLOCK, sgl->iova, len);
		sgl->iova += len;
		sgl->len -= len;
	}

	return 0;
}

static int add(void *opaque, iova_t iova, size_t len)
{
	struct sgl *sgl = opaque;

	if (sgl->len && iova == sgl->iova + sgl->len) {
		sgl->len += len;
		return 0;
	}

	if (put(sgl))
		return -1;

	sgl->iova = iova;
	sgl->len = len;

	return 0;
}

/* All in one piece needs no segment. */
static int finish(struct sgl *sgl, struct nvme_sgld *dptr)
{
	if (!sgl->n && sgl->len <= SGLD_LEN_MAX) {
		if (check_alignment(sgl))
			return -1;
		*dptr = descriptor(NVME_SGLD_TYPE_DATA_BLOCK, sgl->iova, sgl->len);
		return 0;
	}

	if (put(sgl))
		return -1;
	*dptr = descriptor(NVME_SGLD_TYPE_LAST_SEGMENT, sgl->list_iova,
			   sgl->n * sizeof(*sgl->list));

	return 0;
}

static int build(struct nvme_ctrl *ctrl, struct nvme_sgld *list, iova_t list_iova,
		 union nvme_cmd *cmd, const struct nvme_data *data)
{
	struct sgl sgl = {
		.ctrl = ctrl,
		.list = list,
		.list_iova = list_iova,
		.room = list ? __mps_to_pagesize(ctrl->config.mps) / sizeof(*list) : 0,
	};

	nvme_clear_dptr(cmd);

	if (list_iova & 7)
		return vfn_fail(EINVAL, "%s: the SGL segment at 0x%llx is not aligned to 8 bytes",
				nvme_name(ctrl), (unsigned long long)list_iova);

	if (nvme_walk_data(ctrl, data, add, &sgl) || finish(&sgl, &cmd->dptr.sgl))
		return -1;

	cmd->flags |= NVME_CMD_FLAGS_PSDT_SGL_MPTR_CONTIG << NVME_CMD_FLAGS_PSDT_SHIFT;

	return 0;
}

int nvme_mapv_iova_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
		       union nvme_cmd *cmd, struct iova_vec *iov, int niov)
{
	return build(ctrl, seglist, seglist_iova, cmd,
		     &(struct nvme_data){ .iova = iov, .n = niov });
}

int nvme_mapv_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
		  union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	return build(ctrl, seglist, seglist_iova, cmd,
		     &(struct nvme_data){ .iov = iov, .n = niov });
}

int nvme_rq_mapv_iova_sgl(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
			  struct iova_vec *iov, int niov)
{
	return nvme_mapv_iova_sgl(ctrl, rq->page.vaddr, rq->page.iova, cmd, iov, niov);
}

int nvme_rq_mapv_sgl(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		     struct iovec *iov, int niov)
{
	return nvme_mapv_sgl(ctrl, rq->page.vaddr, rq->page.iova, cmd, iov, niov);
}

/*
 * A page holds twice as many PRP entries as descriptors, so what is too long for
 * the one may still suit the other.
 */
int nvme_rq_mapv(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov,
		 int niov)
{
	if (ctrl->flags & NVME_CTRL_F_SGLS_SUPPORTED && rq->sq->id != NVME_AQ) {
		if (!nvme_rq_mapv_sgl(ctrl, rq, cmd, iov, niov))
			return 0;
		if (errno != EINVAL)
			return -1;
	}

	return nvme_rq_mapv_prp(ctrl, rq, cmd, iov, niov);
}
