// SPDX-License-Identifier: GPL-2.0-or-later
/* A child of fork(): what its parent has opened is not its own. */
#include "machine.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfn/nvme/pmr.h>

static struct vfn_nvme_pmr pmr;
static struct emu_usage usage;
static uint64_t accesses;

static void become_child(struct machine *m)
{
	usage = emu_usage();
	accesses = emu_nvme_stats(m->nvme).reg_accesses;
	emu_set_child(true);
}

/* Nothing has reached the kernel or the device, and the parent works on. */
static void become_parent(struct machine *m)
{
	struct emu_usage now = emu_usage();
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, 1);

	emu_set_child(false);
	assert_memory_equal(&now, &usage, sizeof(now));
	assert_int_equal(emu_nvme_stats(m->nvme).reg_accesses, accesses);
	assert_int_equal(nvme_sync(&m->ctrl, m->sq, &cmd, m->buf.vaddr, 512, NULL), 0);
}

/* D18, L3 */
static void controller_is_not_the_childs(void **state)
{
	struct nvme_ctrl again = {};
	union nvme_cmd cmd;
	struct machine m;

	start_pair(&m,
		   &(struct emu_nvme_opts){ .pmr = { .size = 1 << 20 },
					    .cmb = { .size = 1 << 20 } },
		   8);
	become_child(&m);
	cmd = flush_cmd();
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ECHILD);
	assert_non_null(strstr(vfn_last_error(), "child"));
	cmd = identify_cmd();
	assert_fails_with(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, 4096, NULL), ECHILD);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 2, 8, -1, 0), ECHILD);
	assert_fails_with(nvme_delete_ioqpair(&m.ctrl, 1), ECHILD);
	assert_fails_with(nvme_reset(&m.ctrl), ECHILD);
	assert_fails_with(nvme_enable(&m.ctrl), ECHILD);
	assert_fails_with(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), ECHILD);
	assert_fails_with(nvme_init(&again, EMU_BDF, NULL), ECHILD);
	assert_fails_with(nvme_configure_cmb(&m.ctrl), ECHILD);
	assert_fails_with(vfn_nvme_pmr_map(&m.ctrl, &pmr), ECHILD);
	assert_fails_with(vfn_nvme_check_timeouts(&m.ctrl, NULL), ECHILD);
	assert_fails_with(vfn_nvme_reset_ctrl(&m.ctrl, NULL), ECHILD);
	assert_fails_with(vfn_nvme_fail_ctrl(&m.ctrl, NULL), ECHILD);
	assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_LIVE);
	nvme_close(&m.ctrl);
	assert_non_null(m.ctrl.regs);
	become_parent(&m);
	stop(&m);
}

/* D18 */
static void controllers_memory_is_not_the_childs(void **state)
{
	struct machine m;

	start_pair(&m,
		   &(struct emu_nvme_opts){ .pmr = { .size = 1 << 20 },
					    .cmb = { .size = 1 << 20 } },
		   8);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	become_child(&m);
	nvme_discard_cmb(&m.ctrl);
	assert_non_null(m.ctrl.cmb.vaddr);
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	assert_non_null(pmr.vaddr);
	become_parent(&m);
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	stop(&m);
}

/* D18 */
static void device_is_not_the_childs(void **state)
{
	struct vfio_pci_device *pci;
	int fd = eventfd(0, EFD_NONBLOCK);
	uint32_t id = 0;
	struct machine m;

	start_pair(&m, NULL, 8);
	pci = &m.ctrl.pci;
	assert_int_equal(vfio_set_irq(&pci->dev, &fd, 0, 1), 0);
	become_child(&m);
	assert_fails_with(vfn_vfio_pci_pread(pci, &id, 4, 0), ECHILD);
	assert_fails_with(vfn_vfio_pci_pwrite(pci, &id, 4, 0), ECHILD);
	assert_null_with(vfio_pci_map_bar(pci, 0, 4096, 0, PROT_READ), ECHILD);
	assert_fails_with(vfio_reset(&pci->dev), ECHILD);
	assert_fails_with(vfio_set_irq(&pci->dev, &fd, 0, 1), ECHILD);
	assert_fails_with(vfio_disable_irq_all(&pci->dev), ECHILD);
	assert_fails_with(vfn_vfio_select_irq(pci, VFN_IRQ_INTX), ECHILD);
	assert_fails_with(vfn_vfio_request_fd(pci), ECHILD);
	vfio_pci_unmap_bar(pci, 0, m.ctrl.regs, 4096, 0);
	assert_fails_with(vfio_pci_close(pci), ECHILD);
	become_parent(&m);
	assert_int_equal(vfio_disable_irq_all(&pci->dev), 0);
	stop(&m);
	close(fd);
}

/* D18 */
static void address_space_is_not_the_childs(void **state)
{
	struct iommu_dmabuf buffer = {};
	struct iommu_ctx *ctx;
	struct machine m;
	void *mem;
	iova_t iova;

	start_pair(&m, NULL, 8);
	ctx = __iommu_ctx(&m.ctrl);
	mem = new_pages(4096);
	become_child(&m);
	assert_fails_with(iommu_map_vaddr(ctx, mem, 4096, &iova, 0), ECHILD);
	assert_fails_with(iommu_map_vaddr(ctx, m.buf.vaddr, 4096, &iova, IOMMU_MAP_EPHEMERAL),
			  ECHILD);
	assert_fails_with(iommu_unmap_vaddr(ctx, m.buf.vaddr, NULL), ECHILD);
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), ECHILD);
	assert_fails_with(iommu_unmap_all(ctx), ECHILD);
	assert_fails_with(iommu_get_dmabuf(ctx, &buffer, 4096, 0), ECHILD);
	become_parent(&m);
	free(mem);
	stop(&m);
}

/* D18: what a child opens itself is its own */
static void other_device_is_the_childs(void **state)
{
	struct nvme_ctrl other = {};
	union nvme_cmd cmd = identify_cmd();
	struct iommu_dmabuf buffer;
	struct machine m;

	start_pair(&m, NULL, 8);
	emu_nvme_add(&(struct emu_nvme_opts){ .pci = { .bdf = EMU_BDF2 } });
	become_child(&m);
	assert_int_equal(nvme_init(&other, EMU_BDF2, NULL), 0);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&other), &buffer, 4096, 0), 0);
	assert_int_equal(nvme_admin(&other, &cmd, buffer.vaddr, 4096, NULL), 0);
	iommu_put_dmabuf(&buffer);
	nvme_close(&other);
	become_parent(&m);
	stop(&m);
}

/* D18: a child may have what its parent has closed before */
static void device_that_is_closed_is_the_childs(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	stop(&m);
	emu_set_child(true);
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	nvme_close(&m.ctrl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(controller_is_not_the_childs), test(controllers_memory_is_not_the_childs),
		test(device_is_not_the_childs),	    test(address_space_is_not_the_childs),
		test(other_device_is_the_childs),   test(device_that_is_closed_is_the_childs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
