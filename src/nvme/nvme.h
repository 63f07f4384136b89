/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the nvme layer's files share: registers, waiting, and each other's functions. */
#ifndef VFN_SRC_NVME_NVME_H
#define VFN_SRC_NVME_NVME_H

#include <stdbool.h>
#include <stdint.h>

#include <vfn/nvme.h>

/* Controller properties (Base Specification 2.0, section 3.1.3). */
enum nvme_register {
	NVME_REG_CAP = 0x00,
	NVME_REG_CC = 0x14,
	NVME_REG_CSTS = 0x1c,
	NVME_REG_AQA = 0x24,
	NVME_REG_ASQ = 0x28,
	NVME_REG_ACQ = 0x30,
	NVME_REG_CMBLOC = 0x38,
	NVME_REG_CMBSZ = 0x3c,
	NVME_REG_CMBMSC = 0x50,
	NVME_REG_CMBSTS = 0x58,
	NVME_REG_CRTO = 0x68,
	NVME_REG_PMRCAP = 0xe00,
	NVME_REG_PMRCTL = 0xe04,
	NVME_REG_PMRSTS = 0xe08,
	NVME_REG_PMRMSCL = 0xe14,
	NVME_REG_PMRMSCU = 0xe18,
	NVME_REG_DOORBELLS = 0x1000,
};

/* CAP */
#define CAP_MQES(cap) ((unsigned int)(0xffff & (cap)))
#define CAP_TO(cap) ((unsigned int)((cap) >> 24 & 0xff))
#define CAP_DSTRD(cap) ((unsigned int)((cap) >> 32 & 0xf))
#define CAP_CSS_NVM(cap) ((cap) >> 37 & 1)
#define CAP_CSS_IOCS(cap) ((cap) >> 43 & 1)
#define CAP_CSS_ADMIN(cap) ((cap) >> 44 & 1)
#define CAP_MPSMIN(cap) ((unsigned int)((cap) >> 48 & 0xf))
#define CAP_MPSMAX(cap) ((unsigned int)((cap) >> 52 & 0xf))
#define CAP_PMRS(cap) ((cap) >> 56 & 1)
#define CAP_CMBS(cap) ((cap) >> 57 & 1)
#define CAP_CRMS_CRWMS(cap) ((cap) >> 59 & 1)

/* CC */
#define CC_EN 0x1u
#define CC_CSS_SHIFT 4
#define CC_CSS_NVM 0u
#define CC_CSS_IOCS 6u
#define CC_CSS_ADMIN 7u
#define CC_MPS_SHIFT 7
#define CC_SHN_MASK (3u << 14)
#define CC_SHN_NORMAL (1u << 14)
#define CC_IOSQES_SHIFT 16
#define CC_IOCQES_SHIFT 20

/* CSTS */
#define CSTS_RDY 0x1u
#define CSTS_CFS 0x2u
#define CSTS_SHST_MASK (3u << 2)
#define CSTS_SHST_COMPLETE (2u << 2)

/* Opcodes and identifiers of what the library itself sends. */
enum {
	ADMIN_DELETE_SQ = 0x00,
	ADMIN_CREATE_SQ = 0x01,
	ADMIN_DELETE_CQ = 0x04,
	ADMIN_CREATE_CQ = 0x05,
	ADMIN_IDENTIFY = 0x06,
	ADMIN_ABORT = 0x08,
	ADMIN_SET_FEATURES = 0x09,
	ADMIN_GET_FEATURES = 0x0a,
	ADMIN_ASYNC_EVENT = 0x0c,
	ADMIN_VIRT_MGMT = 0x1c,
	ADMIN_DBBUF_CONFIG = 0x7c,

	FEATURE_NUM_QUEUES = 0x07,
	FEATURE_HOST_BEHAVIOR = 0x16,

	IDENTIFY_CTRL = 0x01,
	IDENTIFY_PRIMARY = 0x14,
	IDENTIFY_SECONDARY = 0x15,
	IDENTIFY_SIZE = 4096,
};

/* Entries of the admin queues; existing programs count on this number. */
#define ADMINQ_SIZE 32
#define ADMINQ_SIZE_MAX 4096

static inline uint32_t nvme_read32(struct nvme_ctrl *ctrl, enum nvme_register reg)
{
	return le32_to_cpu(mmio_read32((char *)ctrl->regs + reg));
}

static inline void nvme_write32(struct nvme_ctrl *ctrl, enum nvme_register reg, uint32_t v)
{
	mmio_write32((char *)ctrl->regs + reg, cpu_to_le32(v));
}

static inline const char *nvme_name(struct nvme_ctrl *ctrl)
{
	return ctrl->pci.bdf ? ctrl->pci.bdf : "closed controller";
}

/* ctrl.c: -1 with errno ENODEV; registers or configuration space read as all ones. */
int nvme_gone(struct nvme_ctrl *ctrl);
/* ctrl.c: -1 with errno ENODEV where it is closed, ECHILD in a child of the process that opened it. */
int nvme_check_open(struct nvme_ctrl *ctrl);
/* ctrl.c: steps of bringing it up that are those of a reset, too. */
int nvme_read_capabilities(struct nvme_ctrl *ctrl);
int nvme_request_queues(struct nvme_ctrl *ctrl);

/*
 * wait.c: a loop that waits for the controller looks like this, so that
 * whatever happened before the limit is seen:
 *
 *	nvme_wait_start(&wait, ctrl, ns);
 *	do {
 *		over = nvme_wait_step(&wait);
 *		if (what is waited for has happened)
 *			return 0;
 *	} while (!over);
 *	return -1;
 *
 * A step spins at first and sleeps later; it returns -1 with errno ETIMEDOUT
 * when the time is up, or ENODEV when the controller has failed or is gone.
 */
struct nvme_wait {
	struct nvme_ctrl *ctrl;
	uint64_t start;
	uint64_t deadline;
	uint64_t next_look;
	uint64_t nap;
};

#define NVME_WAIT_FOREVER UINT64_MAX

void nvme_wait_start(struct nvme_wait *wait, struct nvme_ctrl *ctrl, uint64_t ns);
int nvme_wait_step(struct nvme_wait *wait);

/* The second half of a completion as one word: the queue, the command, and the phase tag. */
#define NVME_DW2_SQID_SHIFT 16
#define NVME_DW2_CID_SHIFT 32
#define NVME_DW2_PHASE (1ULL << 48)

/* The limit for calls that have none of their own, in nanoseconds. */
uint64_t nvme_timeout_ns(struct nvme_ctrl *ctrl);
/* A time limit of a caller's in nanoseconds; @ts NULL gives @otherwise. */
uint64_t nvme_timespec_ns(const struct timespec *ts, uint64_t otherwise);

/*
 * data.c: what a command of that opcode transfers, either by the process's addresses or by I/O
 * virtual ones. A walk hands out contiguous pieces that are neither empty nor
 * wrap, until one is refused with -1.
 */
struct nvme_data {
	const struct iovec *iov;
	const struct iova_vec *iova;
	int n;
};

typedef int nvme_piece_fn(void *opaque, iova_t iova, size_t len);

int nvme_walk_data(struct nvme_ctrl *ctrl, uint8_t opcode, const struct nvme_data *data,
		   nvme_piece_fn *add, void *opaque);

/*
 * Whatever happens, the command has a data pointer that can do no harm: PRPs, and
 * address 0 is never mapped.
 */
void nvme_clear_dptr(union nvme_cmd *cmd);

/* dbbuf.c: shadow doorbells, new or once more, for the queues configured from now on, if that works out. */
int nvme_setup_dbbuf(struct nvme_ctrl *ctrl);
void nvme_attach_dbbuf(struct nvme_ctrl *ctrl, int index, struct nvme_dbbuf *dbbuf);

/*
 * admin.c: a command with a page of data, by PRP1: in a buffer that is made unless there is one, and that the caller puts
 * afterwards; on an error there is none.
 */
int nvme_admin_page(struct nvme_ctrl *ctrl, union nvme_cmd *cmd, struct iommu_dmabuf *buffer);
int nvme_fetch_identify(struct nvme_ctrl *ctrl, uint8_t cns, uint16_t cntid,
			struct iommu_dmabuf *buffer);

/*
 * admin.c: look through the completions that were not taken, from the oldest to the first that is
 * ours: what is somebody's stays where it is, the others are taken out. Whether there is one of
 * ours, which @cqe has then.
 */
enum nvme_verdict {
	NVME_OURS,
	NVME_SOMEBODYS,
	NVME_NOBODYS,
};

typedef enum nvme_verdict nvme_judge_fn(struct nvme_ctrl *ctrl, void *opaque, struct nvme_cqe *cqe);

/* rq.c: count a completion that belongs to no command, and tell of it now and then. */
void nvme_stray(struct nvme_ctrl *ctrl, unsigned int sqid, unsigned int cid);

bool nvme_take_cqe(struct nvme_cq *cq, nvme_judge_fn *judge, void *opaque, struct nvme_cqe *cqe);
/* Drop those that nobody waits for. */
void nvme_drop_abandoned(struct nvme_cq *cq);

/* queue.c: free the host side of all queues. */
void nvme_discard_queues(struct nvme_ctrl *ctrl);
/*
 * queue.c: make a queue that the controller does not have what it is when the controller hears
 * of it: empty. -1 with errno EINVAL where there is no doorbell for it any more.
 */
int nvme_renew_cq(struct nvme_cq *cq);
int nvme_renew_sq(struct nvme_sq *sq);
/* queue.c: tell the controller of a queue, or to delete it: -1 with errno as nvme_admin(). */
void nvme_tell_adminq(struct nvme_ctrl *ctrl);
int nvme_tell_cq(struct nvme_cq *cq);
int nvme_tell_sq(struct nvme_sq *sq);
int nvme_untell_sq(struct nvme_sq *sq);

/* What few requests need, apart from what every command touches. */
struct vfn_nvme_rq_extra {
	/* memory that is mapped for the time of the command */
	void *mapped;
	size_t mapped_len;
	/* pages for lists that are longer than the request's own page */
	struct iommu_dmabuf lists;
	/* recovery: when its command is overdue, of enum nvme_tried; for states from LATE to WATCHED */
	uint64_t deadline;
	uint64_t limit;
	unsigned int tried;
	/* recovery: commands that have ended, until their owners are told; by the controller, with this */
	bool ended;
	bool completed;
	struct nvme_cqe cqe;
	struct nvme_rq *next;
};

/* Each request of a queue, each submission queue of a controller: none where there is no queue yet. */
#define for_each_rq(rq, queue) \
	for (struct nvme_rq *rq = (queue)->rqs; \
	     (queue)->qsize && rq < (queue)->rqs + (queue)->qsize - 1; rq++)
#define for_each_sq(queue, ctrl) \
	for (struct nvme_sq *queue = (ctrl)->sq; \
	     (ctrl)->priv.nsq && queue < (ctrl)->sq + (ctrl)->priv.nsq; queue++)

/* What was done about a command that takes too long, or that it is an Abort command. */
enum nvme_tried {
	NVME_TRIED_NOTHING,
	NVME_TRIED_ABORT,
	NVME_IS_ABORT,
};

/* rq.c: the requests of a queue that is being made, and of one that goes. */
int nvme_make_requests(struct nvme_ctrl *ctrl, struct nvme_sq *sq);
void nvme_free_requests(struct nvme_sq *sq);
/* What a request still has mapped. */
void nvme_rq_unmap(struct nvme_rq *rq);
/* A wait for it has timed out. */
void nvme_rq_set_late(struct nvme_rq *rq);
/* Its command has ended, and nobody waits for it. */
void nvme_rq_free(struct nvme_rq *rq);

/* recover.c: its time runs from now; whether the queue's requests are not to be had. */
void nvme_rq_watch(struct nvme_rq *rq, uint64_t limit);
bool nvme_is_parked(const struct nvme_sq *sq);

/*
 * lists.c: controller pages for PRP lists and SGL segments: a request's own and, as
 * they are needed, more; or a caller's. The first may lie apart from the others.
 */
struct nvme_lists {
	struct nvme_ctrl *ctrl;
	/* NULL for a caller's */
	struct nvme_rq *rq;
	size_t pagesize;
	int n;
	void *vaddr[2];
	iova_t iova[2];
};

struct nvme_lists nvme_rq_lists(struct nvme_ctrl *ctrl, struct nvme_rq *rq);
/* @iova may be 0 where the memory is of requests. */
struct nvme_lists nvme_caller_lists(struct nvme_ctrl *ctrl, void *vaddr, iova_t iova, int n);
/*
 * Before the first entry or descriptor, as most commands need none: pages of requests
 * are mapped now. -1 with errno as iommu_map_vaddr().
 */
int nvme_begin_lists(struct nvme_lists *lists);
/* A caller's memory is not what it should be: -1 with errno EFAULT. */
int nvme_no_lists(struct nvme_ctrl *ctrl, const void *vaddr, int n);
/*
 * The pages were too few: get more, and begin again. -1 with errno EINVAL where there
 * can be no more, or as iommu_get_dmabuf().
 */
int nvme_grow_lists(struct nvme_lists *lists);

static inline void *nvme_list_page(const struct nvme_lists *lists, int i)
{
	return i ? (char *)lists->vaddr[1] + (size_t)(i - 1) * lists->pagesize : lists->vaddr[0];
}

static inline iova_t nvme_list_iova(const struct nvme_lists *lists, int i)
{
	return i ? lists->iova[1] + (size_t)(i - 1) * lists->pagesize : lists->iova[0];
}

/*
 * region.c: memory of the controller's own. @bar, @offset and @size say where; @size is
 * cut to the base address register. @iova is the address that it should have, if not 0;
 * where it is @movable and that one cannot be had, it gets another. @peers says whether
 * other devices reach it there. Unmapping needs what mapping filled in.
 */
struct nvme_region {
	int bar;
	uint64_t offset;
	size_t size;
	void *vaddr;
	iova_t iova;
	bool movable;
	bool peers;
};

int nvme_map_region(struct nvme_ctrl *ctrl, struct nvme_region *region);
void nvme_unmap_region(struct nvme_ctrl *ctrl, const struct nvme_region *region);

/* cmb.c, pmr.c: let the controller know of the buffer, and of the region, that there is, if there is one. */
int nvme_enable_cmb(struct nvme_ctrl *ctrl);
int nvme_enable_pmr(struct nvme_ctrl *ctrl);

/*
 * cmb.c, pmr.c: what another program has left enabled when it died would hide memory
 * that is mapped at the same addresses.
 */
void nvme_forget_cmb(struct nvme_ctrl *ctrl);
void nvme_forget_pmr(struct nvme_ctrl *ctrl);

static inline bool nvme_in_cmb(const struct nvme_ctrl *ctrl, iova_t iova)
{
	return iova - ctrl->cmb.iova < ctrl->cmb.size;
}

/* registry.c: forget a controller that closes. */
void nvme_forget_ctrl(struct nvme_ctrl *ctrl);

#endif /* VFN_SRC_NVME_NVME_H */
