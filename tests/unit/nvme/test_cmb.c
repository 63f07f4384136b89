// SPDX-License-Identifier: GPL-2.0-or-later
/* The controller memory buffer: where it is, who enables it, what commands find there, who has which piece. */
#include "machine.h"

#include <vfn/nvme/cmb.h>

#define REG_CMBSZ 0x3c
#define REG_CMBMSC 0x50
#define CMB_LEN (256UL << 10)

#define ALL_USES 0x1f
#define ALL_RULES 0x1f8
/* As QEMU has it: lists may lie on both sides, and elsewhere than their commands. */
#define QEMU_RULES 0x60

/* The linker puts these around the harness's hook; a CMBSZ that the model would not have. */
uint32_t __real_vfn_mmio_hook_read32(void *addr);
uint32_t __wrap_vfn_mmio_hook_read32(void *addr);

static struct {
	void *addr;
	uint32_t value;
} cmbsz;

uint32_t __wrap_vfn_mmio_hook_read32(void *addr)
{
	uint32_t value = __real_vfn_mmio_hook_read32(addr);

	return addr && addr == cmbsz.addr ? cmbsz.value : value;
}

static struct emu_nvme_opts with_cmb(void)
{
	return (struct emu_nvme_opts){ .cmb = { .size = CMB_LEN, .rules = QEMU_RULES } };
}

static void start_cmb(struct machine *m, const struct emu_nvme_opts *opts)
{
	start_pair(m, opts, 16);
	assert_int_equal(nvme_configure_cmb(&m->ctrl), 0);
	assert_non_null(m->ctrl.cmb.vaddr);
}

static void get(struct machine *m, struct iommu_dmabuf *mem, size_t len)
{
	assert_int_equal(vfn_nvme_cmb_alloc(&m->ctrl, mem, len), 0);
}

/* What a command's data pointer means with these commands, one way and back. */
static void write_and_read(struct machine *m, void *from, void *to, size_t len)
{
	union nvme_cmd cmd = rw_cmd(OP_WRITE, 8, len / 512);
	uint64_t seed = 7;
	size_t size;
	char *disk = emu_nvme_disk(m->nvme, 1, &size);

	memset(to, 0, len);
	fill_random(from, len, &seed);
	assert_int_equal(nvme_sync(&m->ctrl, m->sq, &cmd, from, len, NULL), 0);
	assert_memory_equal(disk + 8 * 512, from, len);
	cmd = rw_cmd(OP_READ, 8, len / 512);
	assert_int_equal(nvme_sync(&m->ctrl, m->sq, &cmd, to, len, NULL), 0);
	assert_memory_equal(to, from, len);
}

/* ------------------------------------------------------ finding it, and away */

static void without_a_buffer_nothing_is_configured(void **state)
{
	struct iommu_dmabuf mem = {};
	struct machine m;

	(void)state;
	start(&m, NULL);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_null(m.ctrl.cmb.vaddr);
	assert_int_equal(m.ctrl.cmb.size, 0);
	assert_fails_with(vfn_nvme_cmb_alloc(&m.ctrl, &mem, 1), ENOTSUP);
	assert_fails_with(vfn_nvme_cmb_check(&m.ctrl, 0), ENOTSUP);
	vfn_nvme_cmb_free(&m.ctrl, &mem);
	nvme_discard_cmb(&m.ctrl);
	stop(&m);
}

static void a_unit_without_a_size_is_no_buffer(void **state)
{
	struct machine m;

	(void)state;
	start(&m, NULL);
	/* the largest unit there could be is 64 GiB, with 6 */
	cmbsz.addr = (char *)m.ctrl.regs + REG_CMBSZ;
	cmbsz.value = 15 << 8 | 0x1f;
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	cmbsz.addr = NULL;
	assert_null(m.ctrl.cmb.vaddr);
	stop(&m);
}

static void a_closed_controller_has_no_buffer(void **state)
{
	struct nvme_ctrl ctrl = {};

	(void)state;
	assert_fails_with(nvme_configure_cmb(&ctrl), ENODEV);
	nvme_discard_cmb(&ctrl);
}

/* W9: CMBLOC.OFST counts in the units of CMBSZ */
static void the_buffer_is_where_units_say(void **state)
{
	static const struct {
		unsigned int szu;
		uint64_t offset, bytes;
	} places[] = { { 0, 0, 0 }, { 0, 3, 3 << 12 }, { 1, 1, 1 << 16 }, { 2, 1, 1 << 20 } };

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct emu_nvme_opts opts = { .cmb = {
						      .size = 1 << 20,
						      .szu = places[i].szu,
						      .offset = places[i].offset,
						      .bir = i & 1 ? 3 : 2,
					      } };
		struct machine m;

		start(&m, &opts);
		assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
		assert_int_equal(m.ctrl.cmb.bar, opts.cmb.bir);
		assert_int_equal(m.ctrl.cmb.size, 1 << 20);
		((char *)m.ctrl.cmb.vaddr)[12345] = 0x12;
		assert_int_equal(((char *)emu_nvme_cmb(m.nvme))[12345], 0x12);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* W9: what lies beyond the base address register is not there */
static void the_size_is_cut_to_its_bar(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct machine m;

	(void)state;
	opts.cmb.offset = 4;
	opts.cmb.bar_size = 1 << 16;
	start(&m, &opts);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_int_equal(m.ctrl.cmb.size, (1 << 16) - (4 << 12));
	stop(&m);
}

/* W9: of what cannot be used, nothing stays mapped and nothing enabled */
static void a_description_that_makes_no_sense_is_refused(void **state)
{
	struct emu_nvme_opts opts[] = { with_cmb(), with_cmb(), with_cmb(), with_cmb() };

	(void)state;
	opts[0].cmb.offset = 16;
	opts[0].cmb.bar_size = 1 << 16;
	opts[1].cmb.szu = 7;
	opts[1].cmb.size = 1ULL << 40;
	opts[1].cmb.bar_size = 1 << 16;
	/* BAR 7, and one that can only be the upper half of another */
	opts[2].cmb.rules = 5;
	opts[3].cmb.bir = 1;

	for (size_t i = 0; i < sizeof(opts) / sizeof(opts[0]); i++) {
		struct emu_usage before;
		struct machine m;

		start(&m, &opts[i]);
		before = emu_usage();
		assert_fails_with(nvme_configure_cmb(&m.ctrl), ENOTSUP);
		assert_null(m.ctrl.cmb.vaddr);
		assert_int_equal(emu_nvme_reg(m.nvme, REG_CMBMSC), 0);
		emu_assert_usage(&before);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

static int configure(void *arg)
{
	return nvme_configure_cmb(arg);
}

static void discard(void *arg)
{
	nvme_discard_cmb(arg);
}

/* W9: no mapping is left, and the buffer does not stay enabled */
static void any_failure_leaves_the_buffer_disabled(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct machine m;

	(void)state;
	start(&m, &opts);
	assert_in_range(emu_fail_each(EMU_INIT, ENOMEM, configure, discard, &m.ctrl), 3, 20);
	for (unsigned int n = 1; n <= 3; n++) {
		emu_fail_at(EMU_INIT, n, ENOMEM);
		assert_fails_with(nvme_configure_cmb(&m.ctrl), ENOMEM);
		assert_int_equal(emu_nvme_reg(m.nvme, REG_CMBMSC), 0);
		assert_null(m.ctrl.cmb.vaddr);
	}
	stop(&m);
}

static void an_address_that_is_refused_is_taken_back(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct emu_usage before;
	struct machine m;

	(void)state;
	opts.cmb.cbai = true;
	start(&m, &opts);
	before = emu_usage();
	assert_fails_with(nvme_configure_cmb(&m.ctrl), EIO);
	assert_null(m.ctrl.cmb.vaddr);
	assert_int_equal(emu_nvme_reg(m.nvme, REG_CMBMSC), 0);
	emu_assert_usage(&before);
	stop(&m);
}

static void a_controller_that_is_gone_has_no_buffer(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct machine m;

	(void)state;
	start(&m, &opts);
	emu_pci_remove(emu_nvme_pci(m.nvme));
	assert_fails_with(nvme_configure_cmb(&m.ctrl), ENODEV);
	stop(&m);
}

static void configuring_twice_changes_nothing(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf mem, other;
	struct emu_usage before;
	struct machine m;

	(void)state;
	start_cmb(&m, &opts);
	get(&m, &mem, 4096);
	before = emu_usage();
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	emu_assert_usage(&before);
	get(&m, &other, 4096);
	assert_ptr_not_equal(mem.vaddr, other.vaddr);
	stop(&m);
}

static void discarding_gives_all_back(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct emu_usage before;
	struct iommu_dmabuf mem;
	struct machine m;

	(void)state;
	start(&m, &opts);
	before = emu_usage();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
		get(&m, &mem, 8192);
		nvme_discard_cmb(&m.ctrl);
		assert_null(m.ctrl.cmb.vaddr);
		assert_int_equal(m.ctrl.cmb.size, 0);
		assert_int_equal(emu_nvme_reg(m.nvme, REG_CMBMSC), 0);
		emu_assert_usage(&before);
	}
	nvme_discard_cmb(&m.ctrl);
	stop(&m);
}

static void closing_disables_it_after_the_controller(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct machine m;

	(void)state;
	start_cmb(&m, &opts);
	emu_calls_clear();
	stop(&m);
	emu_assert_order("reg write 0x14 0x460000", "reg write 0x50 0x0", "close " EMU_BDF);
}

/* ----------------------------------------------------------------- resets */

static void a_reset_keeps_the_buffer(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct machine m;
	char *byte;

	(void)state;
	start(&m, &opts);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	byte = m.ctrl.cmb.vaddr;
	*byte = 0x34;
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	assert_int_equal(emu_nvme_reg(m.nvme, REG_CMBMSC), (uint32_t)m.ctrl.cmb.iova | 3);
	assert_int_equal(*byte, 0x34);
	stop(&m);
}

static void enabling_brings_back_what_a_function_reset_took(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf mem;
	struct machine m = {};

	(void)state;
	m.nvme = emu_nvme_add(&opts);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_int_equal(vfio_reset(&m.ctrl.pci.dev), 0);
	assert_int_equal(emu_nvme_reg(m.nvme, REG_CMBMSC), 0);

	assert_int_equal(nvme_configure_adminq(&m.ctrl, 0), 0);
	assert_int_equal(nvme_enable(&m.ctrl), 0);
	add_pair(&m, 8);
	get(&m, &mem, 8192);
	write_and_read(&m, mem.vaddr, (char *)mem.vaddr + 4096, 4096);
	stop(&m);
}

static void initialising_again_discards_the_buffer(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct emu_usage before;
	struct machine m = {};

	(void)state;
	m.nvme = emu_nvme_add(&opts);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), 0);
	before = emu_usage();
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, &m.ctrl.opts), 0);
	assert_null(m.ctrl.cmb.vaddr);
	assert_int_equal(emu_nvme_reg(m.nvme, REG_CMBMSC), 0);
	emu_assert_usage(&before);
	nvme_close(&m.ctrl);
}

/* Whoever died before us had the buffer where our admin queue goes. */
static void what_somebody_left_enabled_hides_no_memory(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct machine m;

	(void)state;
	opts.cmb.left = 0x1000 | 3;
	start_pair(&m, &opts, 8);
	assert_int_equal(emu_nvme_reg(m.nvme, REG_CMBMSC), 0);
	write_and_read(&m, m.buf.vaddr, (char *)m.buf.vaddr + 4096, 4096);
	stop(&m);
}

static void a_buffer_is_at_its_bus_address_if_that_can_be(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	char *page = new_pages(PAGE);
	struct iommu_dmabuf mem;
	struct machine m;

	(void)state;
	opts.cmb.addr = 0x80000000;
	opts.cmb.offset = 1;
	start_cmb(&m, &opts);
	assert_int_equal(m.ctrl.cmb.iova, 0x80001000);
	nvme_discard_cmb(&m.ctrl);

	/* in use */
	map_at(&m, page, PAGE, 0x80001000 + CMB_LEN - PAGE);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_int_not_equal(m.ctrl.cmb.iova, 0x80001000);
	assert_int_equal(vfn_nvme_cmb_check(&m.ctrl, VFN_NVME_CMB_PEERS), 0);
	get(&m, &mem, 8192);
	write_and_read(&m, mem.vaddr, (char *)mem.vaddr + 4096, 4096);
	unmap(&m, page);
	stop(&m);
	free(page);
}

static void a_buffer_beyond_the_iommu_is_moved(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf mem;
	struct machine m;

	(void)state;
	opts.cmb.addr = 1ULL << 45;
	start_cmb(&m, &opts);
	assert_in_range(m.ctrl.cmb.iova, 1, (1ULL << 45) - 1);
	assert_int_equal(vfn_nvme_cmb_check(&m.ctrl, VFN_NVME_CMB_PEERS), 0);
	get(&m, &mem, 8192);
	write_and_read(&m, mem.vaddr, (char *)mem.vaddr + 4096, 4096);
	stop(&m);
}

static void a_bar_without_address_has_a_buffer_elsewhere(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct machine m;

	(void)state;
	start(&m, &opts);
	memset(emu_pci_config(emu_nvme_pci(m.nvme)) + 0x18, 0, 8);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_non_null(m.ctrl.cmb.vaddr);
	assert_int_not_equal(m.ctrl.cmb.iova, 0);
	stop(&m);
}

/* It is on before anybody asks for it, where our admin queue goes, too. */
static void a_buffer_that_cannot_be_moved_hides_no_memory(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct machine m;

	(void)state;
	opts.cmb.stays = true;
	opts.cmb.addr = 0x1000;
	start_pair(&m, &opts, 8);
	write_and_read(&m, m.buf.vaddr, (char *)m.buf.vaddr + 4096, 4096);
	stop(&m);
}

static void a_buffer_that_cannot_be_moved_is_found(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf mem;
	struct machine m;

	(void)state;
	opts.cmb.stays = true;
	opts.cmb.addr = 0x80000000;
	start_pair(&m, &opts, 8);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
		get(&m, &mem, 8192);
		write_and_read(&m, mem.vaddr, (char *)mem.vaddr + 4096, 4096);
		nvme_discard_cmb(&m.ctrl);
	}
	stop(&m);
}

/* ------------------------------------------------------------- version 1.3 */

static struct emu_nvme_opts with_legacy(uint64_t addr)
{
	struct emu_nvme_opts opts = with_cmb();

	opts.cmb.legacy = true;
	opts.cmb.addr = addr;

	return opts;
}

static void a_buffer_of_version_1_3_is_at_its_bus_address(void **state)
{
	struct emu_nvme_opts opts = with_legacy(0x80000000);
	iova_t taken = 0x80000000 + CMB_LEN;
	struct iommu_dmabuf mem;
	struct machine m;
	char *page;

	(void)state;
	opts.cmb.offset = 1;
	start_cmb(&m, &opts);
	assert_int_equal(m.ctrl.cmb.iova, 0x80001000);
	get(&m, &mem, 8192);
	write_and_read(&m, mem.vaddr, (char *)mem.vaddr + 4096, 4096);

	page = new_pages(PAGE);
	assert_fails_with(iommu_map_vaddr(__iommu_ctx(&m.ctrl), page, PAGE, &taken,
					  IOMMU_MAP_FIXED_IOVA),
			  EEXIST);
	nvme_discard_cmb(&m.ctrl);
	map_at(&m, page, PAGE, taken);
	unmap(&m, page);
	stop(&m);
	free(page);
}

static void a_buffer_of_version_1_3_may_lie_beyond_the_iommu(void **state)
{
	struct emu_nvme_opts opts = with_legacy(1ULL << 45);
	struct emu_usage before;
	struct iommu_dmabuf mem;
	struct machine m;

	(void)state;
	start_pair(&m, &opts, 8);
	before = emu_usage();
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_int_equal(m.ctrl.cmb.iova, 1ULL << 45);
	assert_fails_with(vfn_nvme_cmb_check(&m.ctrl, VFN_NVME_CMB_PEERS), ENOTSUP);
	get(&m, &mem, 8192);
	write_and_read(&m, mem.vaddr, (char *)mem.vaddr + 4096, 4096);
	nvme_discard_cmb(&m.ctrl);
	emu_assert_usage(&before);
	stop(&m);
}

static void a_buffer_of_version_1_3_in_a_used_range_is_refused(void **state)
{
	struct emu_nvme_opts opts = with_legacy(0x80000000);
	char *page = new_pages(PAGE);
	struct emu_usage before;
	struct machine m;

	(void)state;
	start(&m, &opts);
	map_at(&m, page, PAGE, 0x80000000 + CMB_LEN - PAGE);
	before = emu_usage();
	assert_fails_with(nvme_configure_cmb(&m.ctrl), EEXIST);
	assert_null(m.ctrl.cmb.vaddr);
	emu_assert_usage(&before);
	unmap(&m, page);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	stop(&m);
	free(page);
}

static void a_bar_without_address_is_refused(void **state)
{
	struct emu_nvme_opts opts = with_legacy(0x80000000);
	struct machine m;

	(void)state;
	start(&m, &opts);
	memset(emu_pci_config(emu_nvme_pci(m.nvme)) + 0x18, 0, 8);
	assert_fails_with(nvme_configure_cmb(&m.ctrl), ENOTSUP);
	stop(&m);
}

/* ----------------------------------------------------------- what lies there */

static void data_in_the_buffer_arrives(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf one, two;
	struct machine m;

	(void)state;
	start_cmb(&m, &opts);
	get(&m, &one, 65536);
	get(&m, &two, 65536);
	for (size_t len = 512; len <= 65536; len *= 2) {
		write_and_read(&m, one.vaddr, two.vaddr, len);
		write_and_read(&m, m.buf.vaddr, two.vaddr, len);
		write_and_read(&m, one.vaddr, m.buf.vaddr, len);
	}
	stop(&m);
}

static void data_that_the_buffer_does_not_take_is_refused(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf mem;
	union nvme_cmd cmd;
	struct machine m;

	(void)state;
	opts.cmb.uses = 1 << 3;
	start_cmb(&m, &opts);
	get(&m, &mem, 4096);
	cmd = rw_cmd(OP_READ, 0, 1);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, mem.vaddr, 512, NULL), 0);
	cmd = rw_cmd(OP_WRITE, 0, 1);
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, mem.vaddr, 512, NULL), ENOTSUP);
	assert_int_equal(vfn_nvme_cmb_check(&m.ctrl, VFN_NVME_CMB_READ), 0);
	assert_fails_with(vfn_nvme_cmb_check(&m.ctrl, VFN_NVME_CMB_READ | VFN_NVME_CMB_WRITE),
			  ENOTSUP);
	assert_error_has("commands that write");
	stop(&m);

	emu_fini();
	emu_init();
	opts.cmb.uses = 1 << 4;
	start_cmb(&m, &opts);
	get(&m, &mem, 4096);
	cmd = rw_cmd(OP_READ, 0, 1);
	assert_fails_with(nvme_rq_map_prp(&m.ctrl, &m.sq->rqs[0], &cmd, mem.iova, 512), ENOTSUP);
	assert_fails_with(nvme_rq_mapv_iova_sgl(&m.ctrl, &m.sq->rqs[0], &cmd,
						&(struct iova_vec){ mem.iova, 512 }, 1),
			  ENOTSUP);
	assert_fails_with(nvme_rq_mapv_sgl(&m.ctrl, &m.sq->rqs[0], &cmd,
					   &(struct iovec){ mem.vaddr, 512 }, 1),
			  ENOTSUP);
	assert_int_equal(le64_to_cpu(cmd.dptr.prp1), 0);
	cmd = rw_cmd(OP_WRITE, 0, 1);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, mem.vaddr, 512, NULL), 0);
	stop(&m);
}

static void prp_lists_in_the_buffer_are_followed(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf list;
	struct machine m;
	uint64_t seed = 3;
	char *disk;

	(void)state;
	start_cmb(&m, &opts);
	get(&m, &list, 4096);
	disk = emu_nvme_disk(m.nvme, 1, NULL);
	fill_random(m.buf.vaddr, 65536, &seed);
	{
		struct nvme_rq *rq = nvme_rq_acquire(m.sq);
		union nvme_cmd cmd = rw_cmd(OP_WRITE, 0, 128);

		assert_int_equal(nvme_map_prp(&m.ctrl, list.vaddr, 1, &cmd, m.buf.iova, 65536), 0);
		assert_int_equal(le64_to_cpu(cmd.dptr.prp2), list.iova);
		nvme_rq_exec(rq, &cmd);
		assert_int_equal(nvme_rq_spin(rq, NULL), 0);
		nvme_rq_release(rq);
	}
	assert_memory_equal(disk, m.buf.vaddr, 65536);
	stop(&m);
}

static void sgl_segments_in_the_buffer_are_followed(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf list;
	struct iovec iov[3];
	struct machine m;
	uint64_t seed = 4;
	char *disk;

	(void)state;
	opts.sgls = 1;
	start_cmb(&m, &opts);
	get(&m, &list, 4096);
	disk = emu_nvme_disk(m.nvme, 1, NULL);
	fill_random(m.buf.vaddr, 65536, &seed);
	for (int i = 0; i < 3; i++)
		iov[i] = (struct iovec){ (char *)m.buf.vaddr + 8192 * i, 512 };
	{
		struct nvme_rq *rq = nvme_rq_acquire(m.sq);
		union nvme_cmd cmd = rw_cmd(OP_WRITE, 0, 3);

		assert_int_equal(nvme_mapv_sgl(&m.ctrl, list.vaddr, list.iova, &cmd, iov, 3), 0);
		nvme_rq_exec(rq, &cmd);
		assert_int_equal(nvme_rq_spin(rq, NULL), 0);
		nvme_rq_release(rq);
	}
	for (int i = 0; i < 3; i++)
		assert_memory_equal(disk + 512 * i, iov[i].iov_base, 512);
	stop(&m);
}

static void lists_that_the_buffer_does_not_take_are_refused(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf list;
	union nvme_cmd cmd = rw_cmd(OP_WRITE, 0, 128);
	struct machine m;

	(void)state;
	opts.cmb.uses = ALL_USES & ~(1 << 2);
	start_cmb(&m, &opts);
	get(&m, &list, 4096);
	assert_fails_with(nvme_map_prp(&m.ctrl, list.vaddr, 1, &cmd, m.buf.iova, 65536), ENOTSUP);
	assert_fails_with(nvme_mapv_sgl(&m.ctrl, list.vaddr, list.iova, &cmd,
					&(struct iovec){ m.buf.vaddr, 512 }, 1),
			  ENOTSUP);
	stop(&m);
}

static void create_in(struct machine *m, int qid, struct iommu_dmabuf *sq_mem,
		      struct iommu_dmabuf *cq_mem)
{
	union nvme_cmd cmd = { .create_cq = { .opcode = OP_CREATE_CQ } };

	assert_int_equal(nvme_configure_cq_mem(&m->ctrl, qid, 32, -1, cq_mem), 0);
	cmd.create_cq.prp1 = cpu_to_le64(m->ctrl.cq[qid].mem.iova);
	cmd.create_cq.qid = cpu_to_le16((uint16_t)qid);
	cmd.create_cq.qsize = cpu_to_le16(31);
	cmd.create_cq.qflags = cpu_to_le16(NVME_Q_PC);
	assert_int_equal(nvme_admin(&m->ctrl, &cmd, NULL, 0, NULL), 0);

	cmd = (union nvme_cmd){ .create_sq = { .opcode = OP_CREATE_SQ } };
	assert_int_equal(nvme_configure_sq_mem(&m->ctrl, qid, 32, &m->ctrl.cq[qid], 0, sq_mem), 0);
	cmd.create_sq.prp1 = cpu_to_le64(m->ctrl.sq[qid].mem.iova);
	cmd.create_sq.qid = cmd.create_sq.cqid = cpu_to_le16((uint16_t)qid);
	cmd.create_sq.qsize = cpu_to_le16(31);
	cmd.create_sq.qflags = cpu_to_le16(NVME_Q_PC);
	assert_int_equal(nvme_admin(&m->ctrl, &cmd, NULL, 0, NULL), 0);
}

static void queues_in_the_buffer_carry_commands(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf sq, cq, data;
	struct machine m;

	(void)state;
	opts.cmb.uses = ALL_USES;
	start_cmb(&m, &opts);
	get(&m, &sq, 32 * 64);
	get(&m, &cq, 32 * 16);
	get(&m, &data, 8192);
	create_in(&m, 2, &sq, &cq);
	m.sq = &m.ctrl.sq[2];
	/* more often than the queues have entries */
	for (int i = 0; i < 100; i++)
		write_and_read(&m, data.vaddr, (char *)data.vaddr + 4096, 4096);
	stop(&m);
}

/* W10: what the memory held before looks like completions */
static void a_completion_queue_in_the_buffer_starts_empty(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf cq;
	struct machine m;

	(void)state;
	opts.cmb.uses = ALL_USES;
	start_cmb(&m, &opts);
	get(&m, &cq, 32 * 16);
	memset(cq.vaddr, 0xff, (size_t)cq.len);
	create_in(&m, 2, NULL, &cq);
	assert_null(nvme_cq_get_cqe(&m.ctrl.cq[2]));
	stop(&m);
}

static void queues_that_the_buffer_does_not_take_are_refused(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf mem;
	struct machine m;

	(void)state;
	start_cmb(&m, &opts);
	get(&m, &mem, 4096);
	assert_fails_with(nvme_configure_cq_mem(&m.ctrl, 2, 32, -1, &mem), ENOTSUP);
	assert_error_has("completion queues");
	stop(&m);

	emu_fini();
	emu_init();
	opts.cmb.uses = ALL_USES & ~1;
	start_cmb(&m, &opts);
	get(&m, &mem, 4096);
	assert_fails_with(nvme_configure_sq_mem(&m.ctrl, 2, 32, m.cq, 0, &mem), ENOTSUP);
	assert_error_has("submission queues");
	stop(&m);
}

static void an_admin_queue_may_lie_in_the_buffer(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf sq, cq;
	struct machine m = {};
	union nvme_cmd cmd = identify_cmd();

	(void)state;
	opts.cmb.uses = ALL_USES;
	m.nvme = emu_nvme_add(&opts);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	get(&m, &sq, 4096);
	get(&m, &cq, 4096);
	assert_int_equal(nvme_configure_adminq_mem(&m.ctrl, 0, &cq, &sq), 0);
	assert_int_equal(nvme_enable(&m.ctrl), 0);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m.ctrl), &m.buf, 4096, 0), 0);
	assert_int_equal(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, 4096, NULL), 0);
	assert_memory_equal((char *)m.buf.vaddr + 4, "EMU0001", 7);
	stop(&m);
}

/* ----------------------------------------------------------------- pieces */

static void pieces_are_pages_lowest_first(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf a, b, c, d;
	struct machine m;

	(void)state;
	start_cmb(&m, &opts);
	get(&m, &a, 1);
	get(&m, &b, 4097);
	get(&m, &c, 4096);
	assert_ptr_equal(a.vaddr, m.ctrl.cmb.vaddr);
	assert_int_equal(a.iova, m.ctrl.cmb.iova);
	assert_ptr_equal(a.ctx, __iommu_ctx(&m.ctrl));
	assert_int_equal(a.len, 4096);
	assert_int_equal(b.iova, a.iova + 4096);
	assert_int_equal(b.len, 8192);
	assert_int_equal(c.iova, a.iova + 12288);

	vfn_nvme_cmb_free(&m.ctrl, &b);
	assert_null(b.vaddr);
	get(&m, &d, 12288);
	assert_int_equal(d.iova, c.iova + 4096);
	get(&m, &b, 8192);
	assert_int_equal(b.iova, a.iova + 4096);

	/* once more is harmless, even if somebody else has it by now */
	d = a;
	vfn_nvme_cmb_free(&m.ctrl, &a);
	vfn_nvme_cmb_free(&m.ctrl, &a);
	get(&m, &a, 1);
	assert_int_equal(a.iova, m.ctrl.cmb.iova);
	stop(&m);
}

static void pieces_are_never_larger_than_what_is_free(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf mem = {}, rest;
	struct machine m;

	(void)state;
	start_cmb(&m, &opts);
	assert_fails_with(vfn_nvme_cmb_alloc(&m.ctrl, &mem, 0), EINVAL);
	assert_fails_with(vfn_nvme_cmb_alloc(&m.ctrl, &mem, CMB_LEN + 1), ENOMEM);
	assert_fails_with(vfn_nvme_cmb_alloc(&m.ctrl, &mem, SIZE_MAX), ENOMEM);
	assert_null(mem.vaddr);
	get(&m, &mem, CMB_LEN - 4096);
	assert_fails_with(vfn_nvme_cmb_alloc(&m.ctrl, &rest, 4097), ENOMEM);
	get(&m, &rest, 4096);
	assert_fails_with(vfn_nvme_cmb_alloc(&m.ctrl, &rest, 1), ENOMEM);
	vfn_nvme_cmb_free(&m.ctrl, &mem);
	get(&m, &mem, CMB_LEN - 4096);
	stop(&m);
}

/* Against a map of bytes, in random order. */
static void pieces_never_overlap(void **state)
{
	enum {
		SLOTS = 24,
		PAGES = CMB_LEN / 4096
	};
	struct emu_nvme_opts opts = with_cmb();
	struct iommu_dmabuf mem[SLOTS] = {};
	char used[PAGES] = {};
	struct machine m;
	uint64_t seed = 11;

	(void)state;
	start_cmb(&m, &opts);
	for (int round = 0; round < 20000; round++) {
		struct iommu_dmabuf *slot = &mem[next_random(&seed) % SLOTS];
		size_t first, pages = 1 + next_random(&seed) % 9, run = 0, at;

		if (slot->len) {
			first = (slot->iova - m.ctrl.cmb.iova) / 4096;
			memset(used + first, 0, (size_t)slot->len / 4096);
			vfn_nvme_cmb_free(&m.ctrl, slot);
			continue;
		}
		for (at = 0; at < PAGES && run < pages; at++)
			run = used[at] ? 0 : run + 1;
		if (run < pages) {
			assert_fails_with(vfn_nvme_cmb_alloc(&m.ctrl, slot, pages * 4096), ENOMEM);
			continue;
		}
		get(&m, slot, pages * 4096);
		first = (slot->iova - m.ctrl.cmb.iova) / 4096;
		assert_int_equal(first, at - pages);
		memset(used + first, 1, pages);
	}
	stop(&m);
}

/* ------------------------------------------------------------ from outside */

/* W19: two controllers in one address space, one of which reads into the other's memory */
static void another_controller_reaches_the_buffer(void **state)
{
	struct emu_nvme_opts opts = with_cmb(), other = { .pci = { .bdf = EMU_BDF2 } };
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, 64);
	struct nvme_ctrl peer = {};
	struct iommu_dmabuf mem;
	struct machine m;
	uint64_t seed = 5;
	char *disk;

	(void)state;
	start_cmb(&m, &opts);
	assert_int_equal(vfn_nvme_cmb_check(&m.ctrl, VFN_NVME_CMB_PEERS), 0);
	get(&m, &mem, 32768);

	disk = emu_nvme_disk(emu_nvme_add(&other), 1, NULL);
	fill_random(disk, 32768, &seed);
	peer.pci.dev.ctx = __iommu_ctx(&m.ctrl);
	assert_int_equal(nvme_init(&peer, EMU_BDF2, NULL), 0);
	assert_int_equal(nvme_create_ioqpair(&peer, 1, 8, -1, 0), 0);
	assert_int_equal(nvme_sync(&peer, &peer.sq[1], &cmd, mem.vaddr, 32768, NULL), 0);
	assert_memory_equal(mem.vaddr, disk, 32768);
	assert_memory_equal(emu_nvme_cmb(m.nvme), disk, 32768);

	cmd = rw_cmd(OP_WRITE, 1000, 64);
	assert_int_equal(nvme_sync(&peer, &peer.sq[1], &cmd, mem.vaddr, 32768, NULL), 0);
	assert_memory_equal(disk + 512000, disk, 32768);

	nvme_close(&peer);
	stop(&m);
}

static void without_dma_buf_the_buffer_is_the_controllers_own(void **state)
{
	struct emu_nvme_opts opts = with_cmb();
	struct emu_usage before;
	struct iommu_dmabuf mem;
	struct machine m;

	(void)state;
	emu_iommu()->no_iommufd = false;
	emu_iommu()->no_dma_buf = true;
	start_pair(&m, &opts, 8);
	before = emu_usage();
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_fails_with(vfn_nvme_cmb_check(&m.ctrl, VFN_NVME_CMB_PEERS), ENOTSUP);
	assert_error_has("VFN_IOMMU_FORCE_VFIO=1");
	get(&m, &mem, 8192);
	write_and_read(&m, mem.vaddr, (char *)mem.vaddr + 4096, 4096);
	nvme_discard_cmb(&m.ctrl);
	emu_assert_usage(&before);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(without_a_buffer_nothing_is_configured),
		test(a_unit_without_a_size_is_no_buffer),
		test(a_closed_controller_has_no_buffer),
		test(the_buffer_is_where_units_say),
		test(the_size_is_cut_to_its_bar),
		test(a_description_that_makes_no_sense_is_refused),
		test(any_failure_leaves_the_buffer_disabled),
		test(an_address_that_is_refused_is_taken_back),
		test(a_controller_that_is_gone_has_no_buffer),
		test(configuring_twice_changes_nothing),
		test(discarding_gives_all_back),
		test(closing_disables_it_after_the_controller),
		test(a_reset_keeps_the_buffer),
		test(enabling_brings_back_what_a_function_reset_took),
		test(initialising_again_discards_the_buffer),
		test(what_somebody_left_enabled_hides_no_memory),
		test(a_buffer_is_at_its_bus_address_if_that_can_be),
		test(a_buffer_beyond_the_iommu_is_moved),
		test(a_bar_without_address_has_a_buffer_elsewhere),
		test(a_buffer_that_cannot_be_moved_hides_no_memory),
		test(a_buffer_that_cannot_be_moved_is_found),
		test(a_buffer_of_version_1_3_is_at_its_bus_address),
		test(a_buffer_of_version_1_3_may_lie_beyond_the_iommu),
		test(a_buffer_of_version_1_3_in_a_used_range_is_refused),
		test(a_bar_without_address_is_refused),
		test(data_in_the_buffer_arrives),
		test(data_that_the_buffer_does_not_take_is_refused),
		test(prp_lists_in_the_buffer_are_followed),
		test(sgl_segments_in_the_buffer_are_followed),
		test(lists_that_the_buffer_does_not_take_are_refused),
		test(queues_in_the_buffer_carry_commands),
		test(a_completion_queue_in_the_buffer_starts_empty),
		test(queues_that_the_buffer_does_not_take_are_refused),
		test(an_admin_queue_may_lie_in_the_buffer),
		test(pieces_are_pages_lowest_first),
		test(pieces_are_never_larger_than_what_is_free),
		test(pieces_never_overlap),
		test(another_controller_reaches_the_buffer),
		test(without_dma_buf_the_buffer_is_the_controllers_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
