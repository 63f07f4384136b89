// SPDX-License-Identifier: GPL-2.0-or-later
/* The slides "Identify Example", asynchronous and then with an eventfd, in an address space of our own. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "slides.h"

int main(void)
{
	struct vfio_container *vfio = vfio_new();
	struct nvme_ctrl ctrl = { .pci.dev.ctx = vfio };
	struct nvme_id_ctrl *vaddr;
	union nvme_cmd cmd;
	struct nvme_cqe cqe;
	uint64_t iova;

	nvme_init(&ctrl, "0000:01:00.0", NULL);
	check(__iommu_ctx(&ctrl) == vfio);

	{
		/* clang-format off */
/* allocate and map memory */
size_t len = pgsmap(&vaddr, NVME_IDENTIFY_DATA_SIZE);
vfio_map_vaddr(vfio, vaddr, NVME_IDENTIFY_DATA_SIZE, &iova);

/* setup command */
cmd.identify = (struct nvme_cmd_identify){.opcode = nvme_admin_identify, .cns = NVME_IDENTIFY_CNS_CTRL};

struct nvme_rq *rq = nvme_rq_acquire(ctrl.adminq.sq);

nvme_rq_map_prp(rq, &cmd, iova, NVME_IDENTIFY_DATA_SIZE);

nvme_rq_exec(rq, &cmd); /* post and ring doorbell */
nvme_rq_spin(rq, &cqe); /* spin on cq */

nvme_rq_release(rq);

printf("vid 0x%"PRIx8"\n", (struct nvme_id_ctrl *)vaddr->vid);
		/* clang-format on */
		check(nvme_cqe_ok(&cqe));
		check(len == NVME_IDENTIFY_DATA_SIZE);
	}

	{
		struct nvme_rq *rq = nvme_rq_acquire(ctrl.adminq.sq);
		struct iovec iov[] = { { vaddr, 512 } };
		/* clang-format off */
int efd = eventfd(0, 0);

/* register eventfd for vector 0 */
vfio_set_irq(&ctrl.pci.dev, &efd, 1);

nvme_rq_map_prp(rq, &cmd, iova, NVME_IDENTIFY_DATA_SIZE);
nvme_rq_exec(rq, &cmd);

/* wait for interrupt */
uint64_t v;
read(efd, &v, sizeof(v));

/* will not spin */
nvme_rq_spin(rq, &cqe);
		/* clang-format on */
		check(v == 1 && nvme_cqe_ok(&cqe));

		/* the other prototypes of these slides */
		check(!nvme_rq_mapv_prp(rq, &cmd, iov, 1));
		check(le64_to_cpu(cmd.dptr.prp1) == iova);
		check(!vfio_disable_irq(&ctrl.pci.dev));
		nvme_rq_release(rq);
		close(efd);
	}

	{
		size_t len;

		check(!vfio_unmap_vaddr(vfio, vaddr, &len));
		check(len == NVME_IDENTIFY_DATA_SIZE);
		pgunmap(vaddr, len);
	}
	nvme_close(&ctrl);

	return 0;
}
