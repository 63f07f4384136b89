// SPDX-License-Identifier: GPL-2.0-or-later
/* Sleep until an interrupt tells that a command has completed, instead of polling for it. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "common.h"

#define TIMEOUT_MS 10000

static enum vfn_irq_type parse_irq(const char *name)
{
	static const struct {
		const char *name;
		enum vfn_irq_type type;
	} kinds[] = {
		{ "intx", VFN_IRQ_INTX },
		{ "msi", VFN_IRQ_MSI },
		{ "msix", VFN_IRQ_MSIX },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(name, kinds[i].name))
			return kinds[i].type;

	usage_error("--irq: '%s' is not intx, msi or msix", name);
}

static const char *irq_name(struct nvme_ctrl *ctrl)
{
	switch (ctrl->pci.dev.irq_info.index) {
	case VFN_IRQ_INTX:
		return "INTx";
	case VFN_IRQ_MSI:
		return "MSI";
	default:
		return "MSI-X";
	}
}

/* Sleep until the completion is there; returns how often the interrupt has fired meanwhile. */
static uint64_t wait_for_completion(struct nvme_ctrl *ctrl, int efd, struct nvme_cqe *copy)
{
	struct nvme_cq *cq = ctrl->adminq.cq;
	struct pollfd pfd = { .fd = efd, .events = POLLIN };
	uint64_t fired, total = 0;
	struct nvme_cqe *cqe;

	for (;;) {
		switch (poll(&pfd, 1, TIMEOUT_MS)) {
		case -1:
			if (errno == EINTR)
				continue;
			die("poll: %s", strerror(errno));
		case 0:
			die("no interrupt within %d s", TIMEOUT_MS / 1000);
		}
		if (read(efd, &fired, sizeof(fired)) != sizeof(fired))
			die("eventfd: %s", strerror(errno));
		total += fired;

		cqe = nvme_cq_get_cqe(cq);
		if (cqe) {
			*copy = *cqe;
			nvme_cq_update_head(cq);
		}

		/* a pin stays masked after it has fired, until its cause is gone and we say so */
		if (vfn_vfio_unmask_irq(&ctrl->pci.dev))
			die_vfn("cannot unmask the interrupt");
		if (cqe)
			return total;
	}
}

int main(int argc, char **argv)
{
	const char *irq = NULL;
	uint64_t count = 8, fired = 0;
	const struct option_spec options[] = {
		{ 't', "irq", "KIND", "intx, msi or msix (default: the best there is)",
		  .text = &irq },
		{ 'n', "count", "N", "commands, one after the other (default 8)", .number = &count,
		  .min = 1, .max = 1000000 },
		{},
	};
	const char *bdf =
		parse_options(argc, argv, "Identify a controller, told by interrupt.", options);
	enum vfn_irq_type type = VFN_IRQ_MSIX;
	struct iommu_dmabuf buffer = {};
	struct nvme_ctrl ctrl = {};
	struct nvme_cqe cqe;
	union nvme_cmd cmd;
	struct nvme_rq *rq;
	int efd;

	if (irq)
		type = parse_irq(irq);

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	if (irq && vfn_vfio_select_irq(&ctrl.pci, type))
		die_vfn("cannot use %s", irq);

	/* the admin queue interrupts by vector 0 */
	efd = eventfd(0, EFD_CLOEXEC);
	if (efd < 0)
		die("eventfd: %s", strerror(errno));
	if (vfio_set_irq(&ctrl.pci.dev, &efd, 0, 1))
		die_vfn("cannot route the interrupt");

	if (iommu_get_dmabuf(__iommu_ctx(&ctrl), &buffer, NVME_IDENTIFY_DATA_SIZE, 0))
		die_vfn("no memory");

	for (uint64_t i = 0; i < count; i++) {
		memset(buffer.vaddr, 0, NVME_IDENTIFY_DATA_SIZE);
		cmd.identify = (struct nvme_cmd_identify){
			.opcode = nvme_admin_identify,
			.cns = NVME_IDENTIFY_CNS_CTRL,
		};

		rq = nvme_rq_acquire(ctrl.adminq.sq);
		if (!rq)
			die("no request is free");
		if (nvme_rq_map_prp(&ctrl, rq, &cmd, buffer.iova, NVME_IDENTIFY_DATA_SIZE))
			die_vfn("cannot describe the memory");
		nvme_rq_exec(rq, &cmd);

		fired += wait_for_completion(&ctrl, efd, &cqe);

		if (nvme_rq_from_cqe(&ctrl, &cqe) != rq)
			die("a completion that was not asked for");
		if (!nvme_cqe_ok(&cqe))
			die_status(&cqe, "identify");
		nvme_rq_release(rq);
	}

	printf("vid 0x%04x\n", le16_to_cpu(((struct nvme_id_ctrl *)buffer.vaddr)->vid));
	printf("%" PRIu64 " commands, %" PRIu64 " interrupts by %s\n", count, fired,
	       irq_name(&ctrl));

	if (vfio_disable_irq(&ctrl.pci.dev))
		die_vfn("cannot switch interrupts off");
	close(efd);
	iommu_put_dmabuf(&buffer);
	nvme_close(&ctrl);

	return 0;
}
