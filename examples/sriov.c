// SPDX-License-Identifier: GPL-2.0-or-later
/* Virtual functions: enable them, give them queues and interrupts, set them online, identify them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/pci.h>

#include "common.h"

#define MAX_VFS 64

/*
 * Flexible resources may belong to the physical function, which gives them back
 * with its next reset.
 */
static void open_primary(struct nvme_ctrl *ctrl, const char *bdf)
{
	if (nvme_init(ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	if (vfn_nvme_vm_set_primary_flexible(ctrl, 0, 0))
		die_vfn("the physical function keeps its resources");
	nvme_close(ctrl);
	if (nvme_init(ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller again");
}

static void set_online(struct nvme_ctrl *ctrl, int vfnum, uint16_t *cntlid)
{
	if (nvme_get_vf_cntlid(ctrl, vfnum, cntlid))
		die_vfn("virtual function %d has no controller", vfnum);
	if (nvme_vm_assign_max_flexible(ctrl, *cntlid))
		die_vfn("virtual function %d gets no resources", vfnum);
	if (nvme_vm_set_online(ctrl, *cntlid))
		die_vfn("virtual function %d does not come online", vfnum);
}

/* It is a controller like any other. */
static void identify_vf(const char *bdf, int vfnum, uint16_t cntlid)
{
	struct nvme_ctrl ctrl = {};
	struct nvme_id_ctrl *id;
	void *data;

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise virtual function %d", vfnum);
	if (pgmap(&data, NVME_IDENTIFY_DATA_SIZE) < 0)
		die("out of memory");
	identify(&ctrl, NVME_IDENTIFY_CNS_CTRL, 0, 0, data);
	id = data;
	if (le16_to_cpu(id->cntlid) != cntlid)
		die("%s says that it is controller %u, not %u", bdf, le16_to_cpu(id->cntlid),
		    cntlid);

	printf("virtual function %d is %s, controller %u with %d queue pairs, serial number %.20s\n",
	       vfnum, bdf, cntlid, ctrl.config.nsqa + 1, id->sn);
	printf("virtual function %d by %s\n", vfnum, vfn_iommu_reason(__iommu_ctx(&ctrl)));
	pgunmap(data, NVME_IDENTIFY_DATA_SIZE);
	nvme_close(&ctrl);
}

int main(int argc, char **argv)
{
	uint64_t vfs = 1;
	bool wait = false;
	const struct option_spec options[] = {
		{ 'v', "vfs", "N", "how many virtual functions (default 1)", .number = &vfs,
		  .min = 1, .max = MAX_VFS },
		{ 'w', "wait", NULL, "keep them until standard input ends", .flag = &wait },
		{},
	};
	const char *bdf = parse_options(
		argc, argv,
		"Enable virtual functions of a controller, which go away with this program.\n\n"
		"vfio-pci must have been loaded with enable_sriov=1. VFTOKEN=UUID in the environment\n"
		"is the secret that programs need, there as well, to use the virtual functions.",
		options);
	uint16_t cntlids[MAX_VFS];
	struct nvme_ctrl ctrl = {};

	if (!pci_is_sriov_supported(bdf))
		die("%s has no virtual functions", bdf);

	open_primary(&ctrl, bdf);
	if (vfn_pci_set_numvfs(bdf, (unsigned int)vfs))
		die_vfn("cannot enable virtual functions");

	for (int i = 0; i < (int)vfs; i++) {
		char *vf = pci_get_vf_bdf(bdf, i + 1);

		if (!vf)
			die_vfn("cannot find virtual function %d", i + 1);
		set_online(&ctrl, i + 1, &cntlids[i]);
		identify_vf(vf, i + 1, cntlids[i]);
		free(vf);
	}
	fflush(stdout);

	while (wait && getchar() != EOF)
		;

	for (int i = 0; i < (int)vfs; i++)
		if (nvme_vm_set_offline(&ctrl, cntlids[i]))
			die_vfn("virtual function %d does not go offline", i + 1);
	if (vfn_pci_set_numvfs(bdf, 0))
		die_vfn("cannot remove the virtual functions");
	nvme_close(&ctrl);

	return 0;
}
