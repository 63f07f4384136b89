// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Controllers that several handles share: the first brings one up, the last shuts it down. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/mem.h>
#include <vfn/support/mutex.h>

#include "blk/blk.h"
#include "nvme/nvme.h"
#include "support/error.h"
#include "vfio/device.h"

/* Identify Controller (Base Specification 2.0, section 5.17.2.1). */
#define CTRL_VID 0
#define CTRL_SN 4
#define CTRL_MN 24
#define CTRL_FR 64
#define CTRL_MDTS 77
#define CTRL_ONCS 520
#define CTRL_VWC 525

/* Most pairs to ask for; the controller says how many there are. */
#define PAIRS_MAX 256

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct blk_dev *registry;

/* A text of a device's, which may be anything. */
static void get_text(char *to, const uint8_t *from, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		to[i] = from[i] >= ' ' && from[i] < 0x7f ? (char)from[i] : '?';
		if (from[i] != ' ' && from[i])
			n = i + 1;
	}
	to[n] = '\0';

	n = strspn(to, " ");
	memmove(to, to + n, strlen(to + n) + 1);
}

int blk_identify(struct blk_dev *dev, uint8_t cns, uint32_t nsid)
{
	union nvme_cmd cmd = {
		.identify = { .opcode = ADMIN_IDENTIFY, .nsid = cpu_to_le32(nsid), .cns = cns }
	};

	return nvme_admin(&dev->ctrl, &cmd, dev->page, IDENTIFY_SIZE, NULL);
}

static int identify_ctrl(struct blk_dev *dev)
{
	const uint8_t *id = dev->page;
	unsigned int shift;

	if (blk_identify(dev, IDENTIFY_CTRL, 0))
		return -1;

	dev->vendor = blk_get16(id + CTRL_VID);
	get_text(dev->serial, id + CTRL_SN, sizeof(dev->serial) - 1);
	get_text(dev->model, id + CTRL_MN, sizeof(dev->model) - 1);
	get_text(dev->firmware, id + CTRL_FR, sizeof(dev->firmware) - 1);
	dev->oncs = blk_get16(id + CTRL_ONCS);
	dev->write_cache = id[CTRL_VWC] & 1;

	/* in units of the smallest page that it has */
	shift = id[CTRL_MDTS] + 12 + CAP_MPSMIN(dev->ctrl.priv.cap);
	dev->max_bytes = id[CTRL_MDTS] && shift < 32 ? 1ULL << shift : UINT32_MAX;

	return 0;
}

static int bring_up(struct blk_dev *dev, const struct vfn_blk_opts *opts)
{
	const struct nvme_ctrl_opts ctrl_opts = {
		.nsqr = PAIRS_MAX - 1,
		.ncqr = PAIRS_MAX - 1,
		.quirks = opts->quirks,
	};
	void *page;

	if (pgmap(&page, IDENTIFY_SIZE) < 0)
		return vfn_fail(errno, "%s: no memory for admin commands", dev->bdf);
	dev->page = page;

	vfn_nvme_set_timeout(&dev->ctrl, opts->timeout_ms ? opts->timeout_ms : BLK_TIMEOUT_MS);
	if (nvme_init(&dev->ctrl, dev->bdf, &ctrl_opts))
		return -1;
	dev->request_fd = vfn_vfio_request_fd(&dev->ctrl.pci);
	if (dev->ctrl.flags & NVME_CTRL_F_ADMINISTRATIVE)
		return vfn_fail(ENOTSUP, "%s is an administrative controller, without I/O queues",
				dev->bdf);

	return identify_ctrl(dev);
}

static void take_down(struct blk_dev *dev)
{
	nvme_close(&dev->ctrl);
	/* where a command timed out the controller had it until now */
	if (dev->page)
		pgunmap(dev->page, IDENTIFY_SIZE);
	(void)pthread_mutex_destroy(&dev->lock);
	free(dev);
}

static struct blk_dev *new_dev(const char *bdf, const struct vfn_blk_opts *opts)
{
	struct blk_dev *dev = vfn_zalloc(sizeof(*dev));

	if (!dev)
		return NULL;

	memcpy(dev->bdf, bdf, sizeof(dev->bdf));
	(void)pthread_mutex_init(&dev->lock, NULL);

	if (bring_up(dev, opts)) {
		int saved = errno;

		take_down(dev);
		errno = saved;
		return NULL;
	}

	dev->next = registry;
	registry = dev;

	return dev;
}

struct blk_dev *blk_get_dev(const char *bdf, const struct vfn_blk_opts *opts)
{
	struct blk_dev *dev;

	__autolock(&registry_lock);

	for (dev = registry; dev && strcmp(dev->bdf, bdf); dev = dev->next)
		;
	if (!dev)
		dev = new_dev(bdf, opts);
	if (dev)
		dev->users++;

	return dev;
}

void blk_put_dev(struct blk_dev *dev)
{
	struct blk_dev **p = &registry;

	__autolock(&registry_lock);

	if (--dev->users)
		return;

	while (*p != dev)
		p = &(*p)->next;
	*p = dev->next;

	take_down(dev);
}

/* A queue has the vector of its own number. */
static int pairs(const struct blk_dev *dev, bool interrupts)
{
	int nsqa = dev->ctrl.config.nsqa, ncqa = dev->ctrl.config.ncqa;
	int n = (nsqa < ncqa ? nsqa : ncqa) + 1, vectors = (int)dev->vectors - 1;

	return interrupts && vectors < n ? vectors : n;
}

unsigned int blk_pairs_left(const struct blk_dev *dev, bool interrupts)
{
	unsigned int n = 0;

	for (int qid = 1; qid <= pairs(dev, interrupts); qid++)
		n += !dev->ctrl.cq[qid].mem.vaddr;

	return n;
}

int blk_get_vectors(struct blk_dev *dev)
{
	struct vfio_device *vfio = &dev->ctrl.pci.dev;
	unsigned int most = vfio->irq_info.count;
	int none[PAIRS_MAX + 1], n;

	if (dev->vectors)
		return 0;
	if (most < 2)
		return vfn_fail(ENOTSUP, "%s has %u interrupt vectors: queues need their own",
				dev->bdf, most);

	memset(none, -1, sizeof(none));
	n = vfn_vfio_setup_irqs(vfio, none, 2, most < PAIRS_MAX ? (int)most : PAIRS_MAX);
	if (n < 0)
		return -1;
	dev->vectors = (unsigned int)n;

	return 0;
}

struct nvme_sq *blk_create_pair(struct blk_dev *dev, unsigned int depth, int event_fd)
{
	const bool interrupts = event_fd >= 0;
	const int n = pairs(dev, interrupts);
	int qid = 1;

	while (qid <= n && dev->ctrl.cq[qid].mem.vaddr)
		qid++;

	if (qid > n) {
		(void)vfn_fail(ENOSPC, "%s: all %d pairs of queues are in use", dev->bdf, n);
		return NULL;
	}

	if (interrupts && vfio_set_irq(&dev->ctrl.pci.dev, &event_fd, qid, 1))
		return NULL;
	if (nvme_create_ioqpair(&dev->ctrl, qid, (int)depth, interrupts ? qid : -1, 0)) {
		int saved = errno;

		if (interrupts)
			(void)vfio_disable_irq(&dev->ctrl.pci.dev, qid, 1);
		errno = saved;
		return NULL;
	}

	return &dev->ctrl.sq[qid];
}

void blk_delete_pair(struct blk_dev *dev, struct nvme_sq *sq)
{
	struct nvme_ctrl *ctrl = &dev->ctrl;
	const int qid = sq->id;

	if (ctrl->cq[qid].vector >= 0)
		(void)vfio_disable_irq(&ctrl->pci.dev, qid, 1);

	if (blk_lost(dev)) {
		nvme_discard_sq(ctrl, sq);
		nvme_discard_cq(ctrl, &ctrl->cq[qid]);
	} else {
		/* what does not go now goes with the controller */
		(void)nvme_delete_ioqpair(ctrl, qid);
	}
}

void blk_lose(struct blk_dev *dev, int err)
{
	struct nvme_ctrl *ctrl = &dev->ctrl;

	if (blk_lost(dev))
		return;

	if (nvme_reset(ctrl) && errno != ENODEV && (vfio_reset(&ctrl->pci.dev) || nvme_reset(ctrl)))
		(void)vfio_pci_clear_master(&ctrl->pci);

	__atomic_store_n(&dev->error, err, __ATOMIC_RELEASE);
}
