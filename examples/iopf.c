// SPDX-License-Identifier: GPL-2.0-or-later
/* Page faults of a device: read into memory that is mapped page by page, when the controller asks for it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <vfn/iommu/iommufd.h>

#include "common.h"

#define QID 1
#define PAGE 4096
#define MAX_FAULTS 64

/* How long to wait for the completion before looking for page faults again. */
#define PATIENCE_NS 1000000

/* Memory, and the addresses at which the controller is to find it. */
struct window {
	struct iommu_ctx *ctx;
	char *vaddr;
	size_t len;
	iova_t iova;
	unsigned int mapped;
};

/* The library gives out addresses from the ends of a range: its middle is ours. */
static iova_t middle(struct iommu_ctx *ctx)
{
	struct iommu_iova_range *ranges, *largest;
	int n = iommu_get_iova_ranges(ctx, &ranges);

	if (n < 1)
		die_vfn("no addresses");
	largest = ranges;
	for (int i = 1; i < n; i++)
		if (ranges[i].last - ranges[i].start > largest->last - largest->start)
			largest = &ranges[i];

	return (largest->start + (largest->last - largest->start) / 2) & ~(PAGE - 1ULL);
}

static void make_window(struct window *w, struct iommu_ctx *ctx, size_t len)
{
	void *vaddr;

	if (pgmap(&vaddr, len) < 0)
		die("out of memory");
	w->ctx = ctx;
	w->vaddr = vaddr;
	w->len = len;
	w->iova = middle(ctx);
}

/* The controller may ask again for a page that it has been given. */
static bool give_page(struct window *w, const struct vfn_iommufd_fault *fault)
{
	iova_t iova = fault->addr, known;
	char *page = w->vaddr + (iova - w->iova);

	if (iova < w->iova || iova - w->iova >= w->len)
		return false;
	if (iommu_translate_vaddr(w->ctx, page, &known))
		return true;
	if (iommu_map_vaddr(w->ctx, page, PAGE, &iova, IOMMU_MAP_FIXED_IOVA))
		die_vfn("cannot map a page");

	w->mapped++;
	printf("page 0x%" PRIx64 " for %s: mapped\n", iova,
	       fault->flags & VFN_IOMMUFD_FAULT_WRITE ? "writing" : "reading");

	return true;
}

/* The last fault of a group is answered for all of it. */
static void handle_faults(struct iommufd_fault_queue *fq, struct window *w)
{
	struct vfn_iommufd_fault faults[MAX_FAULTS];
	int n = vfn_iommufd_get_faults(fq, faults, MAX_FAULTS);
	bool resolved = true;

	if (n < 0)
		die_vfn("cannot learn of page faults");

	for (int i = 0; i < n; i++) {
		resolved = give_page(w, &faults[i]) && resolved;
		if (!(faults[i].flags & VFN_IOMMUFD_FAULT_LAST))
			continue;
		if (vfn_iommufd_answer_fault(fq, &faults[i], resolved))
			die_vfn("cannot answer");
		resolved = true;
	}
}

static void read_into(struct nvme_ctrl *ctrl, struct iommufd_fault_queue *fq, struct window *w,
		      union nvme_cmd cmd)
{
	struct nvme_rq *rq = nvme_rq_acquire(&ctrl->sq[QID]);
	struct nvme_cqe cqe;

	if (!rq)
		die("no request is free");
	if (nvme_rq_map_prp(ctrl, rq, &cmd, w->iova, w->len))
		die_vfn("cannot describe the memory");
	nvme_rq_exec(rq, &cmd);

	for (;;) {
		struct timespec patience = { .tv_nsec = PATIENCE_NS };

		handle_faults(fq, w);
		if (!nvme_rq_wait(rq, &cqe, &patience))
			break;
		if (errno == EIO)
			die_status(&cqe, "read");
		if (errno != ETIMEDOUT)
			die_vfn("read");
	}
	nvme_rq_release(rq);
}

int main(int argc, char **argv)
{
	uint64_t nsid = 1, slba = 0, len = 64 * 1024;
	const struct option_spec options[] = {
		{ 'n', "nsid", "N", "namespace (default 1)", .number = &nsid, .min = 1,
		  .max = UINT32_MAX - 1 },
		{ 's', "slba", "N", "first block (default 0)", .number = &slba, .max = UINT64_MAX },
		{ 'l', "length", "SIZE", "how much, in pages (default 64K)", .size = &len,
		  .min = PAGE, .max = 1024 * 1024 },
		{},
	};
	const char *bdf = parse_options(
		argc, argv,
		"Read into memory that is not mapped before the controller asks for it.\n\n"
		"It takes a controller with PRI (page requests), an IOMMU that hands these on, and\n"
		"iommufd of Linux 6.11 or later.",
		options);
	struct iommufd_fault_queue fq = {};
	struct nvme_ctrl ctrl = {};
	struct nvm_namespace ns;
	struct window w = {};
	union nvme_cmd cmd;
	void *expected;

	if (len % PAGE)
		usage_error("--length: %" PRIu64 " bytes are not whole pages", len);

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	if (nvme_create_ioqpair(&ctrl, QID, 16, -1, 0))
		die_vfn("cannot create queues");
	get_namespace(&ctrl, (uint32_t)nsid, &ns);
	if (len > ns.max_transfer)
		usage_error("--length: one command moves %s at most", size_text(ns.max_transfer));
	if (slba > ns.blocks || len / ns.block_size > ns.blocks - slba)
		usage_error("--slba: the namespace ends at block %" PRIu64, ns.blocks);

	/* while the controller is quiet */
	if (iommufd_alloc_fault_queue(&fq) ||
	    iommufd_set_fault_queue(__iommu_ctx(&ctrl), &fq, ctrl.pci.dev.fd))
		die_vfn("no page faults");

	cmd.rw = (struct nvme_cmd_rw){
		.opcode = nvme_cmd_read,
		.nsid = cpu_to_le32(ns.nsid),
		.slba = cpu_to_le64(slba),
		.nlb = cpu_to_le16((uint16_t)(len / ns.block_size - 1)),
	};
	make_window(&w, __iommu_ctx(&ctrl), len);
	read_into(&ctrl, &fq, &w, cmd);

	/* as one does without page faults */
	if (pgmap(&expected, len) < 0)
		die("out of memory");
	execute(&ctrl, &ctrl.sq[QID], &cmd, expected, len, NULL, "read");
	if (memcmp(expected, w.vaddr, len))
		die("what was read is not the same as with mapped memory");
	printf("read %s, %u pages of which were mapped on request\n", size_text(len), w.mapped);

	for (size_t at = 0; at < len; at += PAGE)
		if (iommu_unmap_vaddr(w.ctx, w.vaddr + at, NULL))
			die_vfn("cannot unmap a page");

	/* the device comes before its queue */
	nvme_close(&ctrl);
	vfn_iommufd_free_fault_queue(&fq);
	pgunmap(expected, len);
	pgunmap(w.vaddr, len);

	return 0;
}
