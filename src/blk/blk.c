// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Open and close a namespace, and say what it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/nvme/pi.h>
#include <vfn/support/mutex.h>

#include "blk/blk.h"
#include "os/os.h"
#include "support/error.h"

/* Identify Namespace (NVM Command Set Specification 1.0, section 4.1.5.1). */
#define CNS_NS 0x00
#define CNS_ACTIVE_NS 0x02
#define NS_NSZE 0
#define NS_FLBAS 26
#define NS_DPS 29
#define NS_NOIOB 46
#define NS_MSSRL 74
#define NS_MCL 76
#define NS_NSATTR 99
#define NS_NGUID 104
#define NS_EUI64 120
#define NS_LBAF 128

/* Optional commands, as in ONCS (Base Specification 2.0, figure 275). */
#define ONCS_COMPARE (1 << 0)
#define ONCS_DSM (1 << 2)
#define ONCS_WRITE_ZEROES (1 << 3)
#define ONCS_VERIFY (1 << 7)
#define ONCS_COPY (1 << 8)

#define NLB_MAX 65536
#define DEPTH_DEFAULT 256

/* The data of a command: as much as a list of one page describes, whatever the memory's alignment is. */
#define LIST_BYTES(page) ((page) / sizeof(leint64_t) * (page))

#define ALL_FLAGS \
	(VFN_BLK_RDONLY | VFN_BLK_EXACT | VFN_BLK_TRY | VFN_BLK_SGL | VFN_BLK_NO_FALLBACK | \
	 VFN_BLK_INTERRUPTS)

/* ---- names ---- */

/* Address and namespace, 0 where it is not said. */
static int parse_name(const char *name, char *bdf, uint32_t *nsid)
{
	char text[VFN_PCI_BDF_LEN];
	const char *slash = name ? strchrnul(name, '/') : NULL;
	size_t len = name ? (size_t)(slash - name) : 0;
	uint64_t n = 0;

	if (!name || len >= sizeof(text))
		goto bad;

	memcpy(text, name, len);
	text[len] = '\0';

	if (*slash) {
		const char *p = slash + 1;

		while (*p >= '0' && *p <= '9' && n < UINT32_MAX)
			n = n * 10 + (uint64_t)(*p++ - '0');
		if (*p || !n || n >= UINT32_MAX)
			goto bad;
	}

	if (vfn_pci_parse_bdf(text, bdf))
		goto bad;
	*nsid = (uint32_t)n;

	return 0;

bad:
	return vfn_fail(EINVAL, "'%s' is no namespace: [DDDD:]BB:DD.F[/NSID] is", name ? name : "");
}

/* ---- what there is ---- */

static int find_nsid(struct blk_dev *dev, uint32_t *nsid)
{
	if (*nsid)
		return 0;

	if (blk_identify(dev, CNS_ACTIVE_NS, 0))
		return -1;

	*nsid = blk_get32(dev->page);
	if (!*nsid)
		return vfn_fail(ENODEV, "%s has no active namespace", dev->bdf);

	return 0;
}

static unsigned int features_of(const struct vfn_blk *blk, const uint8_t *id)
{
	const struct blk_dev *dev = blk->dev;

	return ((blk->flags & VFN_BLK_RDONLY || id[NS_NSATTR] & 1) ? VFN_BLK_F_RDONLY : 0) |
	       (dev->write_cache ? VFN_BLK_F_WRITE_CACHE : 0) |
	       (dev->oncs & ONCS_COMPARE ? VFN_BLK_F_COMPARE : 0) |
	       (dev->oncs & ONCS_DSM ? VFN_BLK_F_DISCARD : 0) |
	       (dev->oncs & ONCS_WRITE_ZEROES ? VFN_BLK_F_WRITE_ZEROES : 0) |
	       (dev->oncs & ONCS_VERIFY ? VFN_BLK_F_VERIFY : 0) |
	       (dev->oncs & ONCS_COPY && blk->copy_max && !blk->protection ? VFN_BLK_F_COPY : 0) |
	       (blk->protection ? VFN_BLK_F_PI : 0);
}

/* The guard is of 16 bits: the format has no more metadata than that takes (NVM Command Set Specification 1.0, section 5.2). */
#define PI_BYTES 8

static int set_protection(struct vfn_blk *blk, unsigned int type, unsigned int metadata)
{
	struct vfn_blk_info *info = &blk->info;

	if (metadata && (type < 1 || type > 3 || metadata != PI_BYTES))
		return vfn_fail(ENOTSUP, "%s/%u: blocks with %u bytes of metadata", info->bdf,
				info->nsid, metadata);
	if (!metadata)
		return 0;

	/* tags that nobody checks in type 3, or counts in type 2 from wherever */
	blk->has_reftag = type != 3;
	blk->protection = VFN_NVME_PI_PRACT | VFN_NVME_PI_CHECK_GUARD |
			  (blk->has_reftag ? VFN_NVME_PI_CHECK_REFTAG : 0);

	return 0;
}

static unsigned int format_of(const uint8_t *id)
{
	/* bits 6:5 belong to more formats than 16 */
	return (id[NS_FLBAS] & 0xfu) | (id[NS_FLBAS] >> 5 & 3u) << 4;
}

static int set_format(struct vfn_blk *blk, const uint8_t *id)
{
	const uint8_t *lbaf = id + NS_LBAF + 4UL * format_of(id);
	unsigned int metadata = blk_get16(lbaf), shift = lbaf[2];
	struct vfn_blk_info *info = &blk->info;

	if (!blk_get64(id + NS_NSZE))
		return vfn_fail(ENODEV, "%s has no active namespace %u", info->bdf, info->nsid);
	if (set_protection(blk, id[NS_DPS] & 7, metadata))
		return -1;
	if (shift < 9 || shift > 16)
		return vfn_fail(ENOTSUP, "%s/%u: blocks of 2^%u bytes", info->bdf, info->nsid,
				shift);

	blk->lba_shift = shift;
	info->block_size = 1U << shift;
	info->nblocks = blk_get64(id + NS_NSZE);
	/* the last byte has an address */
	if (info->nblocks > (uint64_t)INT64_MAX >> shift)
		return vfn_fail(ENOTSUP, "%s/%u: 0x%llx blocks", info->bdf, info->nsid,
				(unsigned long long)info->nblocks);

	return 0;
}

static void set_limits(struct vfn_blk *blk, const uint8_t *id)
{
	const uint64_t list = LIST_BYTES(__mps_to_pagesize(blk->dev->ctrl.config.mps));
	struct vfn_blk_info *info = &blk->info;
	uint64_t bytes = blk->dev->max_bytes < list ? blk->dev->max_bytes : list;
	uint64_t blocks = bytes >> blk->lba_shift;

	info->max_blocks = blocks > NLB_MAX ? NLB_MAX : blocks ? (uint32_t)blocks : 1;
	info->boundary = blk_get16(id + NS_NOIOB);
	/* the less of what a range, and what a command has */
	blk->copy_max = blk_get32(id + NS_MCL);
	if (blk->copy_max > blk_get16(id + NS_MSSRL))
		blk->copy_max = blk_get16(id + NS_MSSRL);
}

static int identify_ns(struct vfn_blk *blk)
{
	struct blk_dev *dev = blk->dev;
	struct vfn_blk_info *info = &blk->info;

	if (find_nsid(dev, &info->nsid) || blk_identify(dev, CNS_NS, info->nsid)) {
		if (errno == EIO)
			return vfn_fail(ENODEV, "%s has no namespace %u: %s", dev->bdf, info->nsid,
					vfn_last_error());
		return -1;
	}

	if (set_format(blk, dev->page))
		return -1;
	set_limits(blk, dev->page);

	info->features = features_of(blk, dev->page);
	memcpy(info->nguid, dev->page + NS_NGUID, sizeof(info->nguid));
	memcpy(info->eui64, dev->page + NS_EUI64, sizeof(info->eui64));
	info->vendor = dev->vendor;
	memcpy(info->serial, dev->serial, sizeof(info->serial));
	memcpy(info->model, dev->model, sizeof(info->model));
	memcpy(info->firmware, dev->firmware, sizeof(info->firmware));

	/* the last one, as its data takes the place of these */
	return blk_identify_zones(blk, format_of(dev->page));
}

/* ---- queues ---- */

static int choose_sizes(struct vfn_blk *blk, const struct vfn_blk_opts *opts)
{
	const unsigned int most = (unsigned int)blk->dev->ctrl.config.mqes + 1;
	const unsigned int left = blk_pairs_left(blk->dev, (blk->flags & VFN_BLK_INTERRUPTS) != 0);
	struct vfn_blk_info *info = &blk->info;

	if (!left)
		return vfn_fail(ENOSPC, "%s has no queues left: all of them are in use", info->bdf);

	info->queues = opts->queues;
	if (!info->queues) {
		info->queues = os_cpus();
		if (info->queues > left / 2)
			info->queues = left / 2 ? left / 2 : 1;
	}
	info->depth = opts->depth ? opts->depth : DEPTH_DEFAULT < most ? DEPTH_DEFAULT : most;

	if (blk->flags & VFN_BLK_EXACT && info->queues > left)
		return vfn_fail(ENOSPC, "%s has %u pairs of queues left, not %u", info->bdf, left,
				info->queues);
	if (blk->flags & VFN_BLK_EXACT && info->depth > most)
		return vfn_fail(ENOSPC, "%s has queues of %u entries, not %u", info->bdf, most,
				info->depth);

	if (info->queues > left)
		info->queues = left;
	if (info->depth > most)
		info->depth = most;

	return 0;
}

static void delete_queues(struct vfn_blk *blk)
{
	__autolock(&blk->dev->lock);

	while (blk->nqueues)
		blk_delete_queue(&blk->queues[--blk->nqueues]);
	free(blk->queues);
}

static int create_queues(struct vfn_blk *blk)
{
	blk->queues = vfn_zalloc(blk->info.queues * sizeof(*blk->queues));
	if (!blk->queues)
		return -1;

	while (blk->nqueues < blk->info.queues) {
		if (blk_create_queue(blk, &blk->queues[blk->nqueues]))
			return -1;
		blk->nqueues++;
	}

	return 0;
}

/* ---- open and close ---- */

static int set_up(struct vfn_blk *blk, const struct vfn_blk_opts *opts)
{
	__autolock(&blk->dev->lock);

	if (blk_lost(blk->dev))
		return vfn_fail(blk_lost(blk->dev), "%s is lost: close all of its handles first",
				blk->info.bdf);
	if (blk->flags & VFN_BLK_INTERRUPTS && blk_get_vectors(blk->dev))
		return -1;
	if (identify_ns(blk) || choose_sizes(blk, opts))
		return -1;

	return create_queues(blk);
}

static void free_blk(struct vfn_blk *blk)
{
	(void)pthread_mutex_destroy(&blk->part_lock);
	(void)pthread_mutex_destroy(&blk->lock);
	(void)pthread_mutex_destroy(&blk->areas.lock);
	free(blk);
}

int vfn_blk_open(struct vfn_blk **blk, const char *name, const struct vfn_blk_opts *opts)
{
	static const struct vfn_blk_opts defaults;
	char bdf[VFN_PCI_BDF_LEN];
	struct vfn_blk *new;
	uint32_t nsid;
	int saved;

	if (!opts)
		opts = &defaults;
	if (parse_name(name, bdf, &nsid))
		return -1;
	if (opts->flags & ~ALL_FLAGS || opts->depth == 1 || opts->depth > NLB_MAX)
		return vfn_fail(EINVAL, "%s: flags 0x%x, queues of %u entries", bdf, opts->flags,
				opts->depth);

	new = vfn_zalloc(sizeof(*new));
	if (!new)
		return -1;

	(void)pthread_mutex_init(&new->areas.lock, NULL);
	(void)pthread_mutex_init(&new->lock, NULL);
	(void)pthread_mutex_init(&new->part_lock, NULL);
	memcpy(new->info.bdf, bdf, sizeof(bdf));
	new->info.nsid = nsid;
	new->flags = opts->flags;
	new->timeout_ns = (opts->timeout_ms ? opts->timeout_ms : BLK_TIMEOUT_MS) * 1000000ULL;

	new->dev = blk_get_dev(bdf, opts);
	if (!new->dev)
		goto free_new;
	if (set_up(new, opts))
		goto put_dev;

	*blk = new;

	return 0;

put_dev:
	saved = errno;
	delete_queues(new);
	blk_put_dev(new->dev);
	errno = saved;
free_new:
	saved = errno;
	free_blk(new);
	errno = saved;
	return -1;
}

int vfn_blk_close(struct vfn_blk *blk)
{
	if (!blk)
		return 0;

	for (unsigned int i = 0; i < blk->nqueues; i++) {
		if (blk->queues[i].taken)
			return vfn_fail(EBUSY, "%s: a queue was not put back", blk->info.bdf);
	}

	delete_queues(blk);
	blk_release_areas(blk);
	blk_put_dev(blk->dev);
	free_blk(blk);

	return 0;
}

void vfn_blk_get_info(const struct vfn_blk *blk, struct vfn_blk_info *info)
{
	*info = blk->info;
}
