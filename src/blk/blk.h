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
#define BLK_PAGE_BYTES 4096

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
	uint8_t *page;
	/* in blocks of a page of the controller; 0 is no limit */
	uint64_t max_bytes;
	uint16_t oncs;
	bool write_cache;
	uint16_t vendor;
	char serial[21];
	char model[41];
	char firmware[9];
};

struct blk_dev *blk_get_dev(const char *bdf, const struct vfn_blk_opts *opts);
void blk_put_dev(struct blk_dev *dev);
/* With the lock: an Identify command, whose data is in @dev->page then. */
int blk_identify(struct blk_dev *dev, uint8_t cns, uint32_t nsid);
/* A pair of queues of that many entries, or NULL with errno ENOSPC, where there is none left, and others. */
struct nvme_sq *blk_create_pair(struct blk_dev *dev, unsigned int depth);
/* With @dev->lock: pairs that are left. */
unsigned int blk_pairs_left(const struct blk_dev *dev);

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

struct vfn_blk_queue {
	struct nvme_sq *sq;
	struct vfn_blk *blk;
};

struct vfn_blk {
	struct blk_dev *dev;
	struct vfn_blk_info info;
	unsigned int flags;
	unsigned int lba_shift;
	uint64_t timeout_ns;
	struct blk_areas areas;
	unsigned int nqueues;
	struct vfn_blk_queue *queues;
};

static inline struct iommu_ctx *blk_ctx(const struct vfn_blk *blk)
{
	return __iommu_ctx(&blk->dev->ctrl);
}

#endif /* VFN_SRC_BLK_BLK_H */
