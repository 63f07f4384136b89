/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the blk layer's files share: controllers, handles, queues. */
#ifndef VFN_SRC_BLK_BLK_H
#define VFN_SRC_BLK_BLK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <vfn/blk.h>
#include <vfn/nvme.h>
#include <vfn/pci/bdf.h>

#define BLK_TIMEOUT_MS 30000

/* Identify data, by its offsets; Base Specification 2.0, figure 275. */
static inline uint16_t blk_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t blk_get32(const uint8_t *p)
{
	return blk_get16(p) | (uint32_t)blk_get16(p + 2) << 16;
}

static inline uint64_t blk_get64(const uint8_t *p)
{
	return blk_get32(p) | (uint64_t)blk_get32(p + 4) << 32;
}

/*
 * dev.c: a controller that handles share. @next and @users are the registry's. @lock is held for admin
 * commands, which include creating and deleting queues, and for @page, their data.
 */
struct blk_dev {
	struct blk_dev *next;
	unsigned int users;
	char bdf[VFN_PCI_BDF_LEN];
	pthread_mutex_t lock;
	struct nvme_ctrl ctrl;
	/* the kernel wants the device back when this can be read; negative where it does not tell */
	int request_fd;
	uint8_t *page;
	uint64_t max_bytes;
	uint16_t oncs;
	bool write_cache;
	/* the controller is lost: an errno */
	int error;
	/* that the kernel has given, 0 where nobody has asked yet; the admin queue's included */
	unsigned int vectors;
	uint16_t vendor;
	char serial[21];
	char model[41];
	char firmware[9];
};

struct blk_dev *blk_get_dev(const char *bdf, const struct vfn_blk_opts *opts);
void blk_put_dev(struct blk_dev *dev);
/* With the lock: an Identify command, whose data is in @dev->page then. */
int blk_identify(struct blk_dev *dev, uint8_t cns, uint32_t nsid);
/* With @dev->lock: have interrupt vectors, once. -1 with errno ENOSPC or ENOTSUP. */
int blk_get_vectors(struct blk_dev *dev);
/*
 * With @dev->lock: a pair of queues of that many entries, which signals @event_fd, if that is no -1. NULL with errno
 * ENOSPC, where there is none left, and others.
 */
struct nvme_sq *blk_create_pair(struct blk_dev *dev, unsigned int depth, int event_fd);
void blk_delete_pair(struct blk_dev *dev, struct nvme_sq *sq);
/* With @dev->lock: pairs that are left, or those of them that have vectors. */
unsigned int blk_pairs_left(const struct blk_dev *dev, bool interrupts);

/* memory.c: what was allocated and registered, by address. */
struct blk_area {
	struct blk_area *next;
	void *start;
	void *vaddr;
	size_t len;
	bool allocated;
};

#define BLK_BUCKETS 256

struct blk_areas {
	pthread_mutex_t lock;
	struct blk_area *bucket[BLK_BUCKETS];
};

void blk_release_areas(struct vfn_blk *blk);

/* First in, first out. */
struct blk_list {
	struct vfn_blk_req *first, *last;
};

/* Commands that vfn_nvme_io_submit() makes: read, write and compare, then these with FUA. */
#define BLK_KINDS 6

/* Who has a request. */
enum blk_state {
	BLK_IDLE = 0, /* the caller */
	BLK_PLAIN, /* it is one command, which is out; other fields of its private part are undefined */
	BLK_SENT,  /* commands that are out, and a rest that waits */
	BLK_ENDED, /* it waits for being handed out */
};

/* Of @quick: no request can be sent without a closer look. */
#define BLK_NONE_QUICK (-1)

/*
 * What a request needs comes first. @quick is the last operation that may be sent without a further look, with no
 * flags: requests that wait go first. @polls counts down to a closer look, which those that wait and those that have
 * @ended need at once. @out counts requests that were not handed out.
 */
struct vfn_blk_queue {
	struct nvme_sq *sq;
	struct blk_dev *dev;
	uint64_t nblocks;
	uint32_t max_blocks;
	uint32_t boundary;
	int quick;
	unsigned int out;
	unsigned int polls;
	int id;
	/* what vfn_blk_wait() was asked for: where it takes no registers from the common case */
	struct blk_ask {
		struct vfn_blk_req **done;
		int64_t timeout_ns;
		int min, max;
	} ask;
	struct vfn_nvme_io io[BLK_KINDS];
	struct blk_list waiting;
	struct blk_list ended;
	bool sgl;
	bool may_write;
	/* -1 without interrupts */
	int event_fd;
	/* what @polls begins at */
	unsigned int calm;
	struct vfn_blk *blk;
	uint64_t next_look;
	struct iommu_dmabuf spare;
	/* with the handle's lock: somebody has it for himself; with its own: a call that waits uses it */
	bool taken;
	pthread_mutex_t lock;
};

struct vfn_blk {
	struct blk_dev *dev;
	struct vfn_blk_info info;
	unsigned int flags;
	unsigned int lba_shift;
	/* protection information that the controller is to make and check: bits of dword 12, 0 for none */
	uint16_t protection;
	/* a block's number is in it */
	bool has_reftag;
	/* most blocks of a Copy command */
	uint32_t copy_max;
	uint64_t timeout_ns;
	struct blk_areas areas;
	pthread_mutex_t lock;
	/* for blocks that are written in part */
	pthread_mutex_t part_lock;
	unsigned int nqueues;
	struct vfn_blk_queue *queues;
};

static inline struct iommu_ctx *blk_ctx(const struct vfn_blk *blk)
{
	return __iommu_ctx(&blk->dev->ctrl);
}

/* The errno of a controller that is lost, else 0. */
static inline int blk_lost(const struct blk_dev *dev)
{
	return __atomic_load_n(&dev->error, __ATOMIC_ACQUIRE);
}

/* dev.c: see to it that the controller does not access memory any more; from now on blk_lost(). With the lock. */
void blk_lose(struct blk_dev *dev, int err);

/* queue.c: with @blk->dev->lock */
int blk_create_queue(struct vfn_blk *blk, struct vfn_blk_queue *q);
void blk_delete_queue(struct vfn_blk_queue *q);
/* queue.c: a queue that no other thread uses until it is given back. */
struct vfn_blk_queue *blk_borrow(struct vfn_blk *blk);
void blk_give_back(struct vfn_blk_queue *q);

/* data.c: where the data of a request is: the caller's memory, or a copy of it. -1 with errno. */
int blk_prepare_data(struct vfn_blk_queue *q, struct vfn_blk_req *req);
/* The request has ended: a copy goes where it belongs. */
void blk_finish_data(struct vfn_blk_queue *q, struct vfn_blk_req *req);
/* Send up to @n blocks. Returns how many, or 0 with errno as of vfn_nvme_io_submit(). */
uint32_t blk_send_data(struct vfn_blk_queue *q, struct vfn_blk_req *req, uint64_t lba, uint32_t n);

/* It transfers blocks. */
static inline bool blk_is_transfer(const struct vfn_blk_req *req)
{
	return req->op <= VFN_BLK_COMPARE;
}

static inline bool blk_has_data(const struct vfn_blk_req *req)
{
	return blk_is_transfer(req) || (req->op == VFN_BLK_CMD && req->nlb);
}

static inline size_t blk_data_len(const struct vfn_blk_queue *q, const struct vfn_blk_req *req)
{
	return (size_t)req->nlb << (req->op == VFN_BLK_CMD ? 0 : q->blk->lba_shift);
}

/* How a buffer that is only read fits into a request. */
static inline void *blk_unconst(const void *buf)
{
	union {
		const void *from;
		void *to;
	} pointer = { .from = buf };

	return pointer.to;
}

/* zone.c: with the lock, what the format of a namespace says of zones; 0, or -1 where that cannot be asked. */
int blk_identify_zones(struct vfn_blk *blk, unsigned int format);

/* sync.c: a queue for that long, and an error that says which request it was. */
int blk_execute(struct vfn_blk *blk, struct vfn_blk_req *req);

/* request.c: 0, or -1 with errno EINVAL where the namespace does not have these blocks, or they are none. */
int blk_check_blocks(const struct vfn_blk *blk, uint64_t lba, uint64_t nlb);

/* request.c: more than one command, or more than that to know, such as a limit. */
void blk_fill_in(struct vfn_blk_req *req);
void blk_take_out(struct blk_list *list, struct vfn_blk_req *req);
/* A request that has ended, to be handed out. */
void blk_end(struct vfn_blk_queue *q, struct vfn_blk_req *req);
/* The first error counts, and what was not sent is not sent any more. */
void blk_fail(struct vfn_blk_queue *q, struct vfn_blk_req *req, int err, uint16_t status);
/* One of its commands has completed. */
void blk_end_piece(struct vfn_blk_queue *q, struct vfn_blk_req *req, uint16_t status);
/* See to it that an event loop asks for what has ended. */
void blk_signal(struct vfn_blk_queue *q);
/* Send what waits as far as there is room for it. */
void blk_push(struct vfn_blk_queue *q);

/* late.c: everything that is out and everything that waits; the controller does not use their memory any more. */
void blk_end_all(struct vfn_blk_queue *q, int err);
/*
 * late.c: now and then, see whether requests are late, or the controller is lost, and do something about it. Returns
 * whether there was something to do.
 */
bool blk_look(struct vfn_blk_queue *q, uint64_t now);

/* request.c: how many blocks the next command of a request takes that goes on at @lba. */
uint32_t blk_piece(const struct vfn_blk_queue *q, uint64_t lba, uint64_t left);

#endif /* VFN_SRC_BLK_BLK_H */
