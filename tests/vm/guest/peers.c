// SPDX-License-Identifier: GPL-2.0-or-later
/* Peer to peer: a controller reads from its medium into another device's memory, and writes from there. */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include <vfn/nvme/cmb.h>
#include <vfn/nvme/pmr.h>

#define LEN 65536

/* The kernel maps one device's memory for another: type1 always, iommufd by dma-buf since 6.19. */
static bool reachable(struct nvme_ctrl *ctrl)
{
	struct utsname name;
	int major, minor;

	assert_int_equal(uname(&name), 0);
	assert_int_equal(sscanf(name.release, "%d.%d", &major, &minor), 2);

	return !iommu_ctx_is_iommufd(__iommu_ctx(ctrl)) || major > 6 || (major == 6 && minor >= 19);
}

static void assert_refused(int ret)
{
	assert_int_equal(ret, -1);
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(vfn_last_error(), "VFN_IOMMU_FORCE_VFIO=1"));
	print_message("# %s\n", vfn_last_error());
}

/* Memory of a device, and where the host has the same. */
struct memory {
	char *vaddr;
	/* a file, */
	const char *file;
	uint64_t offset;
	/* or what is at a physical address */
	uint64_t addr;
};

static void host_check_memory(const struct memory *memory, uint64_t seed)
{
	if (memory->addr)
		host_save(memory->file, memory->addr, LEN);
	host_check(memory->file, memory->offset, LEN, seed);
}

/* What the CPU has put into the memory goes to the medium, what is on the medium comes into the memory. */
static void exchange(struct nvme_ctrl *ctrl, const struct memory *memory, uint64_t seed)
{
	char *mem = guest_alloc(LEN);

	guest_fill(memory->vaddr, LEN, seed);
	guest_write(ctrl, 1, &guest_ns512, 256, memory->vaddr, LEN);
	guest_kernel_check(&guest_ns512, 256, LEN, seed);
	host_check("shared512", 256 * 512, LEN, seed);

	guest_fill(mem, LEN, seed + 1);
	guest_write(ctrl, 1, &guest_ns512, 0, mem, LEN);
	guest_read(ctrl, 1, &guest_ns512, 0, memory->vaddr, LEN);
	guest_check(memory->vaddr, LEN, seed + 1);
	host_check_memory(memory, seed + 1);
	guest_free(mem, LEN);
}

/* Where the bus has a base address register, and with it the machine. */
static uint64_t bar_address(struct vfio_pci_device *pci, int bar)
{
	leint32_t half[2];

	assert_int_equal(vfio_pci_read_config(pci, half, sizeof(half), 0x10 + 4 * bar),
			 sizeof(half));

	return (uint64_t)le32_to_cpu(half[1]) << 32 | (le32_to_cpu(half[0]) & ~0xfU);
}

static void open_both(struct nvme_ctrl *ctrl, struct nvme_ctrl *peer, const char *name)
{
	guest_open(ctrl, "plain", 0);
	peer->pci.dev.ctx = __iommu_ctx(ctrl);
	guest_open(peer, name, 0);
}

static void use_cmb(const char *name)
{
	struct nvme_ctrl ctrl = {}, peer = {};
	struct iommu_dmabuf first, mem;
	struct memory memory;

	open_both(&ctrl, &peer, name);
	assert_vfn(nvme_configure_cmb(&peer) == 0);
	assert_vfn(vfn_nvme_cmb_alloc(&peer, &first, 4096) == 0);
	assert_vfn(vfn_nvme_cmb_alloc(&peer, &mem, LEN) == 0);
	memory = (struct memory){
		.vaddr = mem.vaddr,
		.file = "cmb",
		.addr = bar_address(&peer.pci, peer.cmb.bar) + 4096,
	};
	if (reachable(&ctrl)) {
		assert_vfn(vfn_nvme_cmb_check(&peer, VFN_NVME_CMB_PEERS) == 0);
		exchange(&ctrl, &memory, 7000);
	} else {
		assert_refused(vfn_nvme_cmb_check(&peer, VFN_NVME_CMB_PEERS));
	}
	/* what the kernel does not map for others is still the controller's own */
	exchange(&peer, &memory, 7010);
	nvme_close(&ctrl);
	exchange(&peer, &memory, 7020);
	nvme_close(&peer);
}

static void test_cmb(void **state)
{
	(void)state;
	use_cmb("a");
}

static void test_legacy_cmb(void **state)
{
	(void)state;
	use_cmb("legacy");
}

static void test_pmr(void **state)
{
	struct nvme_ctrl ctrl = {}, peer = {};
	struct memory memory = { .file = "pmr", .offset = 3 * LEN };
	struct vfn_nvme_pmr pmr = {};

	(void)state;
	open_both(&ctrl, &peer, "a");
	assert_vfn(vfn_nvme_pmr_map(&peer, &pmr) == 0);
	memory.vaddr = (char *)pmr.vaddr + memory.offset;
	assert_int_equal(pmr.peers, reachable(&ctrl));
	if (pmr.peers)
		exchange(&ctrl, &memory, 7100);
	exchange(&peer, &memory, 7110);
	vfn_nvme_pmr_unmap(&peer, &pmr);
	nvme_close(&peer);
	nvme_close(&ctrl);
}

/* A device that is nothing but memory, of which a part is mapped, and of that a part for the controller. */
static void test_ivshmem(void **state)
{
	const uint64_t offset = 1 << 20;
	struct memory memory = { .file = "shared", .offset = offset + LEN };
	struct vfio_pci_device peer = {};
	struct nvme_ctrl ctrl = {};
	char *bar;

	(void)state;
	guest_open(&ctrl, "a", 0);
	peer.dev.ctx = __iommu_ctx(&ctrl);
	assert_vfn(vfio_pci_open(&peer, guest_bdf("ivshmem")) == 0);
	assert_int_equal(peer.bar_region_info[2].size, 4 << 20);
	bar = vfio_pci_map_bar(&peer, 2, 2 << 20, offset, PROT_READ | PROT_WRITE);
	assert_non_null(bar);
	memory.vaddr = bar + LEN;

	if (reachable(&ctrl)) {
		assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), memory.vaddr, LEN, NULL, 0) == 0);
		exchange(&ctrl, &memory, 7200);
		assert_vfn(iommu_unmap_vaddr(__iommu_ctx(&ctrl), memory.vaddr, NULL) == 0);
	} else {
		assert_refused(iommu_map_vaddr(__iommu_ctx(&ctrl), memory.vaddr, LEN, NULL, 0));
	}

	vfio_pci_unmap_bar(&peer, 2, bar, 2 << 20, offset);
	assert_vfn(vfio_pci_close(&peer) == 0);
	nvme_close(&ctrl);
}

int main(void)
{
	const struct CMUnitTest memory[] = { cmocka_unit_test(test_ivshmem) };
	const struct CMUnitTest controllers[] = {
		cmocka_unit_test(test_cmb),
		cmocka_unit_test(test_legacy_cmb),
		cmocka_unit_test(test_pmr),
	};

	if (getenv("BDF_IVSHMEM"))
		return cmocka_run_group_tests(memory, NULL, NULL);

	return cmocka_run_group_tests(controllers, NULL, NULL);
}
