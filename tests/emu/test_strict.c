// SPDX-License-Identifier: GPL-2.0-or-later
/* Every strict check finds the violation it is there for. */
#include "raw.h"

#define ONCE(text) \
	do { \
		assert_int_equal(emu_violations(), 1); \
		emu_expect_violation(text); \
		assert_int_equal(emu_violations(), 0); \
	} while (0)

#define UNMAPPED 0x7000000000ULL
#define CQ_FREE (RAW_IOVA + 0x6000)

static void bad_commands_are_violations(void **state)
{
	static const struct {
		unsigned int qid;
		struct raw_cmd cmd;
		uint16_t status;
		const char *text;
	} cases[] = {
		{ 1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA + 1 } },
		  0x4013,
		  "PRP1 is not aligned" },
		{ 1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, [8] = 4096 } },
		  0x4002,
		  "PRP2 is reserved" },
		{ 1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, [8] = RAW_BUF_IOVA + 4, [12] = 15 } },
		  0x4013,
		  "PRP entry has an offset" },
		{ 1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, [8] = RAW_BUF_IOVA + 4, [12] = 31 } },
		  0x4013,
		  "PRP list is not aligned" },
		{ 1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, [12] = 15 } },
		  0x0004,
		  "unmapped IOVA 0x0 for READ" },
		{ 1, { { [0] = 2, [1] = 1 } }, 0x0004, "unmapped IOVA 0x0 for READ" },
		{ 1,
		  { { [0] = 1, [1] = 1, [6] = (uint32_t)UNMAPPED, [7] = UNMAPPED >> 32 } },
		  0x0004,
		  "DMA read at unmapped" },
		{ 1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA + RAW_BUF_SIZE - 512, [12] = 1 } },
		  0x0004,
		  "unmapped" },
		{ 1, { { [0] = 2 | 1 << 14, [1] = 1, [6] = RAW_BUF_IOVA } }, 0x4002, "PSDT is 1" },
		{ 1, { { [0] = 2 | 1 << 10, [1] = 1, [6] = RAW_BUF_IOVA } }, 0, "CDW0 bits" },
		{ 1, { { [0] = 2 | 0xffffu << 16, [1] = 1, [6] = RAW_BUF_IOVA } }, 0, "0xffff" },
		{ 1, { { [0] = 0, [1] = 1, [6] = 64 } }, 0, "reserved PRP1" },
		{ 1, { { [0] = 0, [1] = 1, [2] = 1 } }, 0, "reserved CDW2" },
		{ 1, { { [0] = 0, [1] = 1, [4] = 1 } }, 0, "reserved MPTR" },
		{ 1,
		  { { [0] = 2, [1] = 1, [6] = RAW_BUF_IOVA, [12] = 1 << 16 } },
		  0,
		  "reserved CDW12" },
		{ 0, { { [0] = 6, [6] = RAW_BUF_IOVA, [10] = 1, [12] = 5 } }, 0, "reserved CDW12" },
		{ 0, { { [0] = 6, [6] = RAW_BUF_IOVA, [10] = 1, [3] = 5 } }, 0, "reserved CDW3" },
		{ 0, { { [0] = 6, [1] = 1, [6] = RAW_BUF_IOVA, [10] = 1 } }, 0, "with NSID" },
		{ 0, { { [0] = 8, [1] = 1, [10] = 1 } }, 0, "reserved NSID" },
		{ 0,
		  { { [0] = 5, [6] = CQ_FREE, [8] = 4096, [10] = 15 << 16 | 3, [11] = 1 } },
		  0,
		  "reserved PRP2" },
		{ 0, { { [0] = 5, [6] = CQ_FREE, [10] = 15 << 16 | 3 } }, 0x4002, "PC is not set" },
		{ 0,
		  { { [0] = 5, [6] = CQ_FREE + 64, [10] = 15 << 16 | 3, [11] = 1 } },
		  0x4013,
		  "page offset" },
		{ 0,
		  { { [0] = 5, [6] = 0x50000000, [10] = 15 << 16 | 3, [11] = 1 } },
		  0x0004,
		  "memory of cq is not mapped" },
		{ 0,
		  { { [0] = 1, [6] = 0x50000000, [10] = 15 << 16 | 3, [11] = 1 << 16 | 1 } },
		  0x0004,
		  "memory of sq is not mapped" },
		{ 0,
		  { { [0] = 1, [6] = RAW_IOVA, [10] = 15 << 16 | 3, [11] = 1 << 16 | 1 } },
		  0,
		  "memory of sq is also that of queue 0" },
		{ 0, { { [0] = 4, [10] = 1 } }, 0x410c, "DELETE_CQ 1 while sq 1 uses it" },
		{ 0, { { [0] = 9, [10] = 7, [11] = 3 << 16 | 3 } }, 0x400c, "Number of Queues" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t status;
		struct raw r;

		emu_fini();
		emu_init();
		raw_start(&r, NULL);
		status = raw_sync(&r, cases[i].qid, &cases[i].cmd);
		if (status != cases[i].status || emu_violations() != 1 ||
		    !strstr(emu_violation(0), cases[i].text))
			fail_msg("case %zu (%s): status 0x%x, %u violations, first is \"%s\"", i,
				 cases[i].text, status, emu_violations(),
				 emu_violations() ? emu_violation(0) : "");
		emu_expect_violation(cases[i].text);
		raw_stop(&r);
	}
}

static void device_write_needs_write_permission(void **state)
{
	struct raw_cmd read = raw_rw(2, 1, 0, 8, 0x10000000, 0);
	struct raw_cmd write = raw_rw(1, 1, 0, 8, 0x10000000, 0);
	struct raw r;

	raw_start(&r, NULL);
	raw_map(&r, r.buf, 0x10000000, 4096, VFIO_DMA_MAP_FLAG_READ);
	assert_int_equal(raw_sync(&r, 1, &write), 0);
	assert_int_equal(raw_sync(&r, 1, &read), 0x0004);
	ONCE("DMA write at unmapped");
	raw_unmap(&r, 0x10000000, 4096);
	raw_map(&r, r.buf, 0x10000000, 4096, VFIO_DMA_MAP_FLAG_WRITE);
	assert_int_equal(raw_sync(&r, 1, &read), 0);
	assert_int_equal(raw_sync(&r, 1, &write), 0x0004);
	ONCE("DMA read at unmapped");
	raw_unmap(&r, 0x10000000, 4096);
	raw_stop(&r);
}

static void prp_chain_pointer_with_offset(void **state)
{
	const struct emu_nvme_opts opts = { .no_mdts = true };
	struct raw_cmd read = raw_rw(2, 2, 0, 4 * 8, RAW_BUF_IOVA, RAW_BUF_IOVA + 61 * 4096 - 16);
	uint64_t *list;
	struct raw r;

	raw_start(&r, &opts);
	list = (uint64_t *)(r.buf + 61 * 4096 - 16);
	list[0] = RAW_BUF_IOVA + 4096;
	list[1] = RAW_BUF_IOVA + 62 * 4096 + 8;
	assert_int_equal(raw_sync(&r, 1, &read), 0x4013);
	ONCE("chain pointer has an offset");
	list[1] = 0;
	assert_int_equal(raw_sync(&r, 1, &read), 0x0004);
	ONCE("for PRP list");
	raw_stop(&r);
}

static void cid_of_an_outstanding_command(void **state)
{
	const struct emu_fault lose = { .kind = EMU_LOSE, .qid = 1, .opcode = EMU_ANY };
	struct raw_cmd read = raw_rw(2, 5, 0, 1, RAW_BUF_IOVA, 0);
	struct raw r;

	raw_start(&r, NULL);
	emu_nvme_fault(r.nvme, &lose);
	raw_submit(&r, 1, &read);
	assert_int_equal(raw_sync(&r, 1, &read), 0x4003);
	ONCE("cid 5 is already outstanding");
	raw_stop(&r);
}

/* Q19 */
static void wrong_doorbells(void **state)
{
	static const struct {
		unsigned int offset;
		uint32_t val;
		const char *text;
	} cases[] = {
		{ 0x1008, RAW_DEPTH, "tail doorbell of sq 1 is 16, its size is 16" },
		{ 0x100c, RAW_DEPTH, "head doorbell of cq 1 is 16" },
		{ 0x100c, 1, "head doorbell of cq 1 is past its tail" },
		{ 0x1010, 1, "sq 2, which does not exist" },
		{ 0x1014, 1, "cq 2, which does not exist" },
		{ 0x100a, 1, "not aligned to 4" },
		{ 0x1000 + 8 * 65, 1, "no doorbell at register" },
	};
	struct raw r;

	raw_start(&r, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		raw_write(&r, cases[i].offset, cases[i].val);
		assert_true(emu_violations() > 0);
		assert_non_null(strstr(emu_violation(0), cases[i].text));
		emu_forget_violations();
	}
	assert_int_equal(raw_read(&r, 0x1008), 0);
	ONCE("doorbell register 0x1008 read");
	raw_stop(&r);
}

static void submission_queue_overrun(void **state)
{
	struct raw r;

	raw_start(&r, NULL);
	emu_nvme_set(r.nvme, EMU_HOLD, true);
	for (unsigned int i = 0; i < RAW_DEPTH; i++) {
		struct raw_cmd read = raw_rw(2, i, 0, 1, RAW_BUF_IOVA, 0);

		assert_int_equal(emu_violations(), 0);
		raw_submit(&r, 1, &read);
	}
	ONCE("tail doorbell of sq 1 overtakes the head that was reported");
	raw_stop(&r);
}

static void doorbell_with_reserved_bits(void **state)
{
	struct raw r;

	raw_start(&r, NULL);
	raw_write(&r, 0x1008, 0x10000);
	assert_int_equal(emu_violations(), 2);
	emu_expect_violation("doorbell 2 has reserved bits: 0x10000");
	emu_expect_violation("tail doorbell of sq 1 is 65536");
	raw_stop(&r);
}

static void doorbell_stride_is_respected(void **state)
{
	const struct emu_nvme_opts opts = { .dstrd = 1 };
	struct raw r;

	emu_nvme_add(&opts);
	raw_open(&r, EMU_BDF);
	raw_enable(&r);
	raw_write(&r, 0x1004, 1);
	ONCE("no doorbell at register 0x1004");
	raw_stop(&r);
}

/* Q19 */
static void doorbell_before_ready(void **state)
{
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	raw_write(&r, 0x1000, 1);
	ONCE("doorbell 0 while the controller is not ready");
	raw_close(&r);
}

static void wrong_register_writes(void **state)
{
	static const struct {
		unsigned int offset;
		uint32_t val;
		const char *text;
	} cases[] = {
		{ 0x00, 1, "read-only or reserved register 0x0" },
		{ 0x08, 1, "read-only or reserved register 0x8" },
		{ 0x44, 1, "read-only or reserved register 0x44" },
		{ 0x1c, 1, "read-only bits of CSTS" },
		{ 0x20, 1, "NSSR written" },
		{ 0x24, 0x0000f000, "AQA written with reserved bits" },
		{ 0x28, 0x100004, "admin queue base has reserved bits" },
		{ 0x30, 0x100004, "admin queue base has reserved bits" },
		{ 0x14, 0x2, "CC written with reserved bits" },
	};
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		raw_write(&r, cases[i].offset, cases[i].val);
		ONCE(cases[i].text);
	}
	raw_close(&r);
}

static void registers_written_while_enabled(void **state)
{
	struct raw r;

	raw_start(&r, NULL);
	raw_write(&r, 0x24, 0xf000f);
	ONCE("AQA written while enabled");
	raw_write(&r, 0x14, 1 | 6 << 16 | 4 << 20 | 1 << 7);
	ONCE("CC changed while enabled");
	raw_write(&r, 0x14, 1 | 6 << 16 | 4 << 20);
	ONCE("CC changed while enabled");
	raw_stop(&r);
}

static void wrong_enables(void **state)
{
	static const struct {
		uint32_t aqa, asq, acq, cc;
		bool no_high;
		const char *text;
	} cases[] = {
		{ 0, 0x100000, 0x101000, 1, false, "AQA of less than two" },
		{ 0xf000f, 0, 0x101000, 1, false, "ASQ or ACQ zero" },
		{ 0xf000f, 0x100000, 0x101000, 1, true, "only half of ASQ" },
		{ 0xf000f, 0x100000, 0x101000, 1 | 9 << 7, false, "CC.MPS outside" },
		{ 0xf000f, 0x100000, 0x101000, 1 | 6 << 4, false, "CC.CSS" },
		{ 0xf000f, 0x100000, 0x101000, 1 | 1 << 11, false, "CC.AMS" },
		{ 0xf000f, 0x50000000, 0x101000, 1, false, "memory of admin sq is not mapped" },
		{ 0xf000f, 0x100000, 0x50000000, 1, false, "memory of admin cq is not mapped" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct raw r;

		emu_fini();
		emu_init();
		emu_nvme_add(NULL);
		raw_open(&r, EMU_BDF);
		raw_write(&r, 0x24, cases[i].aqa);
		raw_write(&r, 0x28, cases[i].asq);
		if (!cases[i].no_high)
			raw_write(&r, 0x2c, 0);
		raw_write(&r, 0x30, cases[i].acq);
		raw_write(&r, 0x34, 0);
		raw_write(&r, 0x14, cases[i].cc);
		assert_int_equal(raw_read(&r, 0x1c), 2);
		ONCE(cases[i].text);
		raw_disable(&r);
		raw_close(&r);
	}
}

static void enable_before_unready(void **state)
{
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	raw_enable(&r);
	raw_write(&r, 0x14, 0);
	raw_write(&r, 0x14, 1 | 6 << 16 | 4 << 20);
	ONCE("CSTS.RDY still set");
	raw_stop(&r);
}

static void completion_queue_with_stale_phase(void **state)
{
	struct raw_cmd create = { {
		[0] = 5,
		[6] = CQ_FREE,
		[10] = 15 << 16 | 3,
		[11] = 1,
	} };
	struct raw r;

	raw_start(&r, NULL);
	r.queue_mem[0x6000 + 3 * 16 + 14] = 1;
	assert_int_equal(raw_sync(&r, 0, &create), 0);
	ONCE("phase bits set");
	raw_stop(&r);
}

static void memory_unmapped_while_in_use(void **state)
{
	const struct emu_fault drop = { .kind = EMU_DROP, .qid = 1, .opcode = EMU_ANY };
	struct raw_cmd read = raw_rw(2, 1, 0, 1, 0x10000000, 0);
	struct raw r;

	raw_start(&r, NULL);
	raw_map(&r, r.buf, 0x10000000, 4096, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	emu_nvme_fault(r.nvme, &drop);
	raw_submit(&r, 1, &read);
	raw_unmap(&r, 0x10000000, 4096);
	ONCE("memory of READ cid 1 is unmapped while it is outstanding");
	raw_unmap(&r, RAW_IOVA, 2 * 4096 * RAW_QUEUES);
	assert_int_equal(emu_violations(), 4);
	emu_expect_violation("memory of sq 0 is unmapped");
	emu_expect_violation("memory of cq 0 is unmapped");
	emu_expect_violation("memory of sq 1 is unmapped");
	emu_expect_violation("memory of cq 1 is unmapped");
	raw_submit(&r, 1, &read);
	assert_int_equal(raw_read(&r, 0x1c) & 2, 2);
	ONCE("for submission queue");
	raw_stop(&r);
}

static void memory_munmapped_while_in_use(void **state)
{
	struct raw_cmd read = raw_rw(2, 1, 0, 1, 0x10000000, 0);
	struct raw r;
	void *mem;

	raw_start(&r, NULL);
	mem = os_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	raw_map(&r, mem, 0x10000000, 4096, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	os_munmap(mem, 4096);
	assert_int_equal(raw_sync(&r, 1, &read), 0x0004);
	ONCE("DMA write at unmapped IOVA 0x10000000");
	raw_unmap(&r, 0x10000000, 4096);
	raw_stop(&r);
}

static void dma_without_bus_master(void **state)
{
	struct raw_cmd id = raw_identify(1, 0);
	struct raw r;

	raw_start(&r, NULL);
	raw_bus_master(&r, false);
	raw_submit(&r, 0, &id);
	assert_int_equal(raw_read(&r, 0x1c), 3);
	ONCE("bus master is off");
	raw_stop(&r);
}

static void register_access_without_memory_decode(void **state)
{
	const uint16_t off = 4, on = 6;
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(os_pwrite(r.dev, &off, 2, (7ULL << 40) + 4), 2);
	assert_int_equal(raw_read(&r, 0x08), UINT32_MAX);
	ONCE("memory decode off");
	assert_int_equal(os_pwrite(r.dev, &on, 2, (7ULL << 40) + 4), 2);
	assert_int_equal(raw_read(&r, 0x08), 0x10400);
	raw_close(&r);
}

static void interrupt_mask_with_msix(void **state)
{
	const int fd = -1;
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	raw_set_irqs(&r, VFIO_PCI_MSIX_IRQ_INDEX, RAW_TRIGGER_FD, 0, 1, &fd);
	raw_write(&r, 0x0c, 1);
	ONCE("INTMS or INTMC written with MSI-X enabled");
	raw_close(&r);
}

static void queues_without_entry_sizes(void **state)
{
	struct raw_cmd cq = { { [0] = 5, [6] = CQ_FREE, [10] = 15 << 16 | 3, [11] = 1 } };
	struct raw_cmd sq = { { [0] = 1, [6] = CQ_FREE, [10] = 15 << 16 | 3, [11] = 1 << 16 | 1 } };
	struct raw r;

	raw_start(&r, NULL);
	raw_delete(&r, 1);
	raw_write(&r, 0x14, 1 | 6 << 16);
	assert_int_equal(raw_sync(&r, 0, &cq), 0x4102);
	ONCE("CREATE_CQ with CC.IOCQES 0");
	raw_write(&r, 0x14, 1 | 4 << 20);
	assert_int_equal(raw_sync(&r, 0, &sq), 0x4102);
	ONCE("CREATE_SQ with CC.IOSQES 0");
	raw_stop(&r);
}

static void dbbuf_config_with_an_offset(void **state)
{
	const struct emu_nvme_opts opts = { .dbbuf = true };
	struct raw_cmd config = { {
		[0] = 0x7c,
		[6] = RAW_BUF_IOVA,
		[8] = RAW_BUF_IOVA + 2048,
	} };
	struct raw r;

	raw_start(&r, &opts);
	assert_int_equal(raw_sync(&r, 0, &config), 0x4002);
	ONCE("DBBUF_CONFIG with a page offset");
	raw_stop(&r);
}

static void munmap_of_foreign_memory(void **state)
{
	void *mem = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_int_equal(os_munmap(mem, 4096), -1);
	ONCE("that os_mmap did not give");
	munmap(mem, 4096);
}

static void close_while_enabled(void **state)
{
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	raw_enable(&r);
	os_close(r.dev);
	ONCE("device closed while the controller is enabled");
	r.dev = os_open("/dev/vfio/vfio", O_RDWR);
	raw_close(&r);
}

static void address_space_left_with_mappings(void **state)
{
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	os_close(r.dev);
	if (r.iommu >= 0) {
		raw_destroy(r.iommu, r.ioas);
		os_close(r.iommu);
		ONCE("IOAS destroyed with 2 DMA mappings");
	} else {
		os_close(r.container);
		os_close(r.group);
		ONCE("container released with 2 DMA mappings");
	}
	os_munmap(r.queue_mem, 2 * 4096 * RAW_QUEUES);
	os_munmap(r.buf, RAW_BUF_SIZE);
	os_munmap(r.bar, 4 * 4096);
}

static void register_access_outside_of_a_mapping(void **state)
{
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_read(&r, 4 * 4096), UINT32_MAX);
	ONCE("no BAR is mapped");
	raw_close(&r);
}

static void shadow_doorbell_must_agree(void **state)
{
	const struct emu_nvme_opts opts = { .dbbuf = true };
	struct raw_cmd config = { { [0] = 0x7c, [6] = RAW_BUF_IOVA, [8] = RAW_BUF_IOVA + 4096 } };
	struct raw_cmd read = raw_rw(2, 3, 0, 1, RAW_BUF_IOVA + 8192, 0);
	struct raw r;

	raw_start(&r, &opts);
	assert_int_equal(raw_sync(&r, 0, &config), 0);
	raw_submit(&r, 1, &read);
	ONCE("doorbell 2 is 1 but its shadow is 0");
	raw_unmap(&r, RAW_BUF_IOVA, RAW_BUF_SIZE);
	ONCE("shadow doorbells are unmapped while in use");
	raw_write(&r, 0x14, 0);
	emu_forget_violations();
	os_sleep_ns(5000000);
	raw_stop(&r);
}

static void expected_violation_that_does_not_come_fails(void **state)
{
	emu_init();
	emu_expect_violation("something");
	assert_int_equal(emu_teardown(state), -1);
}

static void unannounced_violation_fails(void **state)
{
	emu_init();
	vfn_mmio_hook_write32(state, 0);
	assert_int_equal(emu_teardown(state), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		T(bad_commands_are_violations),
		T(device_write_needs_write_permission),
		T(prp_chain_pointer_with_offset),
		T(cid_of_an_outstanding_command),
		T(wrong_doorbells),
		T(submission_queue_overrun),
		T(doorbell_with_reserved_bits),
		T(doorbell_stride_is_respected),
		T(doorbell_before_ready),
		T(wrong_register_writes),
		T(registers_written_while_enabled),
		T(wrong_enables),
		T(enable_before_unready),
		T(completion_queue_with_stale_phase),
		T(memory_unmapped_while_in_use),
		T(memory_munmapped_while_in_use),
		T(dma_without_bus_master),
		T(register_access_without_memory_decode),
		T(interrupt_mask_with_msix),
		T(queues_without_entry_sizes),
		T(dbbuf_config_with_an_offset),
		T(munmap_of_foreign_memory),
		T(close_while_enabled),
		T(address_space_left_with_mappings),
		T(register_access_outside_of_a_mapping),
		T(shadow_doorbell_must_agree),
		cmocka_unit_test(expected_violation_that_does_not_come_fails),
		cmocka_unit_test(unannounced_violation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
