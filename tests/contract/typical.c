// SPDX-License-Identifier: GPL-2.0-or-later
/* The way of examples and small tests: each name of the interface that the other programs leave out. */
#include "contract.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct nvme_ctrl ctrl;

static int open_ctrl(void **state)
{
	assert_ok(nvme_init(&ctrl, contract_bdf(), NULL));

	return 0;
}

static int close_ctrl(void **state)
{
	nvme_close(&ctrl);

	return 0;
}

/* ---- devices ---- */

static void device_is_opened_looked_at_and_closed(void **state)
{
	struct vfio_pci_device pci = {};
	uint16_t vendor, command;
	leint32_t *bar;
	unsigned long long value;

	assert_ok(vfio_pci_open(&pci, contract_bdf()));
	assert_errno(vfio_pci_open(&pci, contract_bdf()), EALREADY);
	assert_true(pci.dev.fd >= 0);
	assert_int_equal(pci.classcode >> 8, 0x0108);
	assert_string_equal(pci.bdf, contract_bdf());
	assert_true(pci.dev.device_info.num_regions > VFIO_PCI_CONFIG_REGION_INDEX);
	assert_true(pci.config_region_info.size >= 256);
	assert_true(pci.bar_region_info[0].size >= PAGE);

	assert_int_equal(vfio_pci_read_config(&pci, &vendor, 2, 0), 2);
	assert_ok(pci_device_info_get_ull(contract_bdf(), "vendor", &value));
	assert_int_equal(le16_to_cpu(vendor), value);
	assert_int_equal(vfio_pci_read_config(&pci, &command, 2, 4), 2);
	assert_true(le16_to_cpu(command) & 4);
	assert_int_equal(vfio_pci_write_config(&pci, &command, 2, 4), 2);

	bar = vfio_pci_map_bar(&pci, 0, SIZE_MAX, 0, PROT_READ | PROT_WRITE);
	assert_non_null(bar);
	assert_int_not_equal(le32_to_cpu(mmio_read32((char *)bar + 8)), 0);
	vfio_pci_unmap_bar(&pci, 0, bar, SIZE_MAX, 0);

	assert_ok(vfio_reset(&pci.dev));
	assert_ok(vfio_pci_close(&pci));
	assert_null(pci.bdf);
}

static void device_in_sysfs_is_what_it_is(void **state)
{
	const char *bdf = contract_bdf();
	unsigned long long vendor, device;
	__autofree char *driver = pci_get_driver(bdf);
	__autofree char *group = pci_get_iommu_group(bdf);
	__autofree char *cdev = pci_get_device_vfio_id(bdf);
	struct vfn_pci_record record = {};
	__autofree char *vf = NULL, *pf = NULL;
	char path[64], text[16] = "";

	assert_string_equal(driver, "vfio-pci");
	assert_non_null(group);
	assert_int_equal(strncmp(group, "/dev/vfio/", 10), 0);
	assert_true(strrchr(group, '/')[1] >= '0' && strrchr(group, '/')[1] <= '9');
	assert_true(!cdev || !strncmp(cdev, "vfio", 4));

	assert_false(pci_is_vf(bdf));
	assert_true(pci_is_pf(bdf) == pci_is_sriov_supported(bdf));
	vf = pci_get_vf_bdf(bdf, 1);
	pf = pci_vf_get_pf_bdf(bdf);
	assert_null(vf);
	assert_null(pf);
	assert_int_equal(pci_vf_get_vfnum(bdf), -1);

	assert_ok(pci_device_info_get_ull(bdf, "vendor", &vendor));
	assert_ok(pci_device_info_get_ull(bdf, "device", &device));
	assert_errno(pci_device_info_get_ull(bdf, "modalias", &vendor), EINVAL);
	assert_errno(pci_driver_remove_id("vfio-pci", 0x1234, 0x4321), ENODEV);
	assert_ok(pci_driver_new_id("vfio-pci", 0x1234, 0x4321));
	assert_ok(pci_driver_remove_id("vfio-pci", 0x1234, 0x4321));

	vfn_pci_put_record(&record);
	assert_ok(pci_unbind(bdf));
	assert_null(pci_get_driver(bdf));
	assert_int_equal(errno, ENOENT);
	assert_errno(pci_unbind(bdf), ENOENT);
	assert_errno(pci_bind(bdf, "no-such-driver"), ENOENT);

	/* a driver takes what it was told to take, whatever ids it knows */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	assert_int_equal(writeall(path, "vfio-pci", 8), 8);
	assert_ok(pci_bind(bdf, "vfio-pci"));

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", bdf);
	assert_true(readmax(path, text, sizeof(text) - 1) >= 6);
	assert_int_equal(strtoul(text, NULL, 16), vendor);
}

/* ---- address spaces ---- */

static void memory_is_mapped_in_every_way(void **state)
{
	struct iommu_ctx *ctx = __iommu_ctx(&ctrl);
	struct iommu_iova_range *ranges;
	iova_t iova, again, fixed;
	void *mem, *found, *same;
	size_t len;
	int n = iommu_get_iova_ranges(ctx, &ranges);

	assert_true(n > 0);
	for (int i = 0; i < n; i++)
		assert_true(ranges[i].start < ranges[i].last);

	assert_int_equal(pgmapn(&mem, 4, PAGE), 4 * PAGE);

	/* a fixed address in the last range, at its start or behind */
	fixed = ALIGN_UP(ranges[n - 1].start + 0x10000000, 0x10000000ULL);
	iova = fixed;
	assert_ok(iommu_map_vaddr(ctx, mem, 4 * PAGE, &iova, IOMMU_MAP_FIXED_IOVA));
	assert_int_equal(iova, fixed);
	assert_ok(iommu_map_vaddr(ctx, (char *)mem + PAGE, PAGE, &again, 0));
	assert_int_equal(again, fixed + PAGE);
	assert_true(iommu_translate_vaddr(ctx, (char *)mem + 5, &again));
	assert_int_equal(again, fixed + 5);
	assert_int_equal(iommu_translate_iova(ctx, fixed + PAGE, &found), 3 * PAGE);
	assert_ptr_equal(found, (char *)mem + PAGE);
	assert_ok(iommu_unmap_vaddr(ctx, (char *)mem + 100, &len));
	assert_int_equal(len, 4 * PAGE);
	assert_false(iommu_translate_vaddr(ctx, mem, &again));
	assert_errno(iommu_unmap_vaddr(ctx, mem, NULL), ENOENT);

	assert_ok(iommu_map_vaddr(ctx, mem, 4 * PAGE, NULL, IOMMU_MAP_NOWRITE));
	assert_ok(iommu_unmap_vaddr(ctx, mem, NULL));
	assert_ok(iommu_map_vaddr(ctx, mem, 4 * PAGE, NULL, IOMMU_MAP_EPHEMERAL));
	assert_ok(iommu_unmap_vaddr(ctx, mem, NULL));
	assert_errno(iommu_map_vaddr_align(ctx, mem, PAGE, PAGE, &iova, IOMMU_MAP_FIXED_IOVA),
		     EINVAL);
	pgunmap(mem, 4 * PAGE);

	same = iommu_alloc_same_iova(ctx, PAGE);
	if (same) {
		assert_true(iommu_translate_vaddr(ctx, same, &iova));
		assert_int_equal(iova, same_iova(same));
		assert_ok(iommu_free_same_iova(ctx, same));
	} else {
		/* an IOMMU that is narrower than the process */
		assert_int_equal(errno, ENOMEM);
	}
}

static void address_space_is_preset_and_emptied(void **state)
{
	struct iommu_ctx *ctx = iommu_get_context("of my own");
	struct vfio_pci_device pci = {};
	__autovar_s(iommu_dmabuf) kept = {};
	iova_t iova;
	void *mem;

	assert_non_null(ctx);
	pci.dev.ctx = ctx;
	assert_ok(vfio_pci_open(&pci, contract_bdf()));
	assert_ptr_equal(__iommu_ctx(&pci), ctx);
	(void)iommu_ctx_is_iommufd(ctx);

	assert_true(pgmap(&mem, 1) == (ssize_t)__VFN_PAGESIZE);
	assert_ok(iommu_map_vaddr(ctx, mem, __VFN_PAGESIZE, &iova, 0));
	assert_ok(iommu_unmap_all(ctx));
	assert_false(iommu_translate_vaddr(ctx, mem, &iova));
	pgunmap(mem, __VFN_PAGESIZE);

	assert_ok(iommu_get_dmabuf(ctx, &kept, PAGE + 1, 0));
	assert_int_equal(kept.len, 2 * PAGE);
	assert_ptr_equal(kept.ctx, ctx);
	__do_iommu_put_dmabuf(&kept);
	assert_int_equal(kept.len, 0);
	assert_null(kept.vaddr);
	iommu_put_dmabuf(&kept);

	assert_ok(vfio_pci_close(&pci));
}

/* ---- controllers ---- */

static void controller_is_found_by_its_address(void **state)
{
	assert_null(nvme_get_ctrl(contract_bdf()));
	assert_ok(nvme_add_ctrl(&ctrl));
	assert_ptr_equal(nvme_get_ctrl(contract_bdf()), &ctrl);
	assert_errno(nvme_add_ctrl(&ctrl), EEXIST);
	assert_ok(nvme_del_ctrl(&ctrl));
	assert_errno(nvme_del_ctrl(&ctrl), ENODEV);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void controller_comes_up_in_two_steps(void **state)
{
	struct nvme_ctrl other = {};

	assert_ok(nvme_pci_init(&other, contract_bdf()));
	assert_int_equal(other.pci.classcode, 0x010802);
	assert_ok(nvme_init(&other, contract_bdf(), &nvme_ctrl_opts_default));
	assert_errno(nvme_init(&other, contract_bdf(), NULL), EALREADY);
	nvme_close(&other);
	assert_null(other.pci.bdf);
	nvme_close(&other);
}
#pragma GCC diagnostic pop

static void admin_queues_in_memory_of_the_program_work(void **state)
{
	struct nvme_ctrl other = {};
	struct iommu_dmabuf cq_mem, sq_mem;
	union nvme_cmd cmd = { .identify = { .opcode = OP_IDENTIFY, .cns = 1 } };
	void *data;

	assert_true(pgmap(&data, PAGE) > 0);
	assert_ok(nvme_ctrl_init(&other, contract_bdf(), NULL));
	assert_ok(nvme_reset(&other));
	assert_ok(iommu_get_dmabuf(__iommu_ctx(&other), &cq_mem, PAGE, 0));
	assert_ok(iommu_get_dmabuf(__iommu_ctx(&other), &sq_mem, PAGE, 0));
	assert_ok(nvme_configure_adminq_mem(&other, 0, &cq_mem, &sq_mem));
	assert_ptr_equal(other.adminq.sq->mem.vaddr, sq_mem.vaddr);
	assert_true(other.adminq.sq->flags & NVME_Q_MEM_PREALLOCATED);
	assert_ok(nvme_enable(&other));
	assert_ok(nvme_oneshot(&other, other.adminq.sq, &cmd, data, PAGE, NULL));
	assert_ok(nvme_reset(&other));
	iommu_put_dmabuf(&cq_mem);
	iommu_put_dmabuf(&sq_mem);
	nvme_close(&other);
	pgunmap(data, PAGE);
}

static void aborted_wait_says_how_many_came(void **state)
{
	struct timespec ts = { .tv_nsec = 20000000 };
	struct nvme_cqe cqes[4];
	struct nvme_rq *rq;
	union nvme_cmd cmd = { .nsid = cpu_to_le32(1) };
	struct nvme_cq *cq = &ctrl.cq[2];

	assert_ok(nvme_create_iocq(&ctrl, 2, 8, -1));
	assert_ok(nvme_create_iosq(&ctrl, 1, 8, cq, 0));
	assert_int_equal(nvme_cq_wait_cqes(cq, cqes, 1, &ts), 0);
	assert_int_equal(errno, ETIMEDOUT);

	for (int i = 0; i < 4; i++) {
		rq = nvme_rq_acquire(&ctrl.sq[1]);
		rq->opaque = cqes;
		nvme_rq_exec(rq, &cmd);
	}
	assert_int_equal(nvme_cq_wait_cqes(cq, cqes, 3, NULL), 3);
	nvme_cq_get_cqes(cq, &cqes[3], 1);
	nvme_cq_update_head(cq);
	for (int i = 0; i < 4; i++) {
		rq = nvme_rq_from_cqe(&ctrl, &cqes[i]);
		assert_ptr_equal(rq->opaque, cqes);
		nvme_rq_release(rq);
		assert_null(rq->opaque);
	}

	rq = nvme_rq_acquire(&ctrl.sq[1]);
	nvme_rq_exec(rq, &cmd);
	ts.tv_sec = 10;
	assert_ok(nvme_rq_wait(rq, &cqes[0], &ts));
	assert_int_equal(cqes[0].cid, rq->cid);
	nvme_rq_reset(rq);
	nvme_rq_release(rq);

	/* by the queues' functions alone */
	cmd.cid = 0;
	nvme_sq_exec(&ctrl.sq[1], &cmd);
	nvme_cq_spin(cq);
	assert_int_equal(nvme_cq_head(cq)->cid, 0);
	assert_non_null(nvme_cq_get_cqe(cq));
	nvme_cq_update_head(cq);

	assert_ok(nvme_delete_iosq(&ctrl, 1));
	assert_ok(nvme_delete_iocq(&ctrl, 2));
}

static void addresses_for_devices_describe_data(void **state)
{
	__autovar_s(iommu_dmabuf) mem = {};
	struct iova_vec iov[2];
	leint64_t *lists;
	union nvme_cmd cmd;
	struct nvme_rq *rq;

	assert_ok(iommu_get_dmabuf(__iommu_ctx(&ctrl), &mem, 16 * PAGE, 0));
	assert_ok(nvme_create_ioqpair(&ctrl, 1, 8, -1, 0));
	lists = (leint64_t *)((char *)mem.vaddr + 15 * PAGE);
	rq = nvme_rq_acquire(&ctrl.sq[1]);
	iov[0] = (struct iova_vec){ mem.iova + 2 * PAGE, PAGE };
	iov[1] = (struct iova_vec){ mem.iova + 8 * PAGE, PAGE };

	cmd = contract_rw(OP_WRITE, 0, 2 * PAGE);
	assert_ok(nvme_rq_mapv_iova_prp(&ctrl, rq, &cmd, iov, 2));
	assert_int_equal(le64_to_cpu(cmd.dptr.prp1), iov[0].iova);
	assert_int_equal(le64_to_cpu(cmd.dptr.prp2), iov[1].iova);
	nvme_rq_exec(rq, &cmd);
	assert_ok(nvme_rq_spin(rq, NULL));

	cmd = contract_rw(OP_READ, 0, PAGE);
	assert_ok(nvme_mapv_iova_sgl(&ctrl, NULL, 0, &cmd, iov, 1));
	assert_int_equal(le64_to_cpu(cmd.dptr.sgl.addr), iov[0].iova);
	assert_int_equal(le32_to_cpu(cmd.dptr.sgl.len), PAGE);
	assert_int_equal(cmd.dptr.sgl.type, NVME_SGLD_TYPE_DATA_BLOCK << NVME_SGLD_TYPE_SHIFT);
	assert_int_equal(cmd.flags,
			 NVME_CMD_FLAGS_PSDT_SGL_MPTR_CONTIG << NVME_CMD_FLAGS_PSDT_SHIFT);

	if (ctrl.flags & NVME_CTRL_F_SGLS_SUPPORTED) {
		cmd = contract_rw(OP_READ, 0, 2 * PAGE);
		assert_ok(nvme_rq_mapv_iova_sgl(&ctrl, rq, &cmd, iov, 2));
		assert_int_equal(cmd.dptr.sgl.type,
				 NVME_SGLD_TYPE_LAST_SEGMENT << NVME_SGLD_TYPE_SHIFT);
		assert_int_equal(le64_to_cpu(cmd.dptr.sgl.addr), rq->page.iova);
		nvme_rq_exec(rq, &cmd);
		assert_ok(nvme_rq_spin(rq, NULL));
	}

	cmd = contract_rw(OP_READ, 0, PAGE);
	assert_ok(nvme_map_prp(&ctrl, lists, 1, &cmd, mem.iova, PAGE));
	assert_ok(nvme_sync(&ctrl, &ctrl.sq[1], &cmd, mem.vaddr, PAGE, NULL));

	nvme_rq_release(rq);
	assert_ok(nvme_delete_ioqpair(&ctrl, 1));
}

static void log_and_events_are_typed(void **state)
{
	union nvme_cmd cmd = {};
	__autofree unsigned char *page = aligned_alloc(PAGE, PAGE);
	uint32_t dw0 = 0x00030402;

	/* the errors' log: first entry */
	cmd.log.opcode = OP_GET_LOG;
	cmd.log.nsid = cpu_to_le32(0xffffffff);
	cmd.log.lid = 0x01;
	cmd.log.numdl = cpu_to_le16(64 / 4 - 1);
	assert_ok(nvme_admin(&ctrl, &cmd, page, 64, NULL));

	assert_int_equal(NVME_AEN_TYPE(dw0), 2);
	assert_int_equal(NVME_AEN_INFO(dw0), 4);
	assert_int_equal(NVME_AEN_LID(dw0), 3);

	/* stays with the controller until it is closed */
	assert_ok(nvme_aer(&ctrl, page));
	assert_int_equal(NVME_CID_AER, 0x8000);
}

/* ---- helpers for programs ---- */

static cqe_handler handler;

static void helpers_are_there(void **state)
{
	char *strings = new_t(char, 4);
	uint8_t six[6];
	uint64_t start = get_ticks();
	int values[] = { 3, 5 };
	void *mem;

	assert_null(handler);
	assert_int_equal(ALIGN_UP(4097, 4096), 8192);
	assert_int_equal(ALIGN_DOWN(8191, 4096), 4096);
	assert_true(ALIGNED(8192, 4096));
	assert_int_equal(ROUND_UP(10, 3), 12);
	assert_int_equal(ROUND_DOWN(10, 3), 9);
	assert_int_equal(ROUND(10, 3), 9);
	assert_int_equal(__mps_to_pagesize(1), 8192);
	assert_int_equal(__mps_to_pageshift(0), 12);

	put_unaligned_be48(0x010203040506ULL, six);
	assert_int_equal(six[0], 1);
	assert_int_equal(get_unaligned_be48(six), 0x010203040506ULL);
	assert_int_equal(be16_to_cpu(cpu_to_be16(0x1234)), 0x1234);
	assert_int_equal(be32_to_cpu(cpu_to_be32(0x12345678)), 0x12345678);
	assert_int_equal(be64_to_cpu(cpu_to_be64(0x123456789abcdef0)), 0x123456789abcdef0);
	assert_int_equal(((const uint8_t *)&(beint32_t){ CPU_TO_BE32(1) })[3], 1);

	strings = reallocn(strings, 8, 1);
	assert_non_null(strings);
	free(strings);
	free(zmallocn(3, 5));
	assert_true(would_overflow(4, SIZE_MAX / 2));
	assert_false(would_overflow(4, 4));
	__abort_on_overflow(4, 4);
	assert_true(pgmap(&mem, 1) > 0);
	pgunmap(mem, __VFN_PAGESIZE);
	assert_int_equal(1UL << __VFN_PAGESHIFT, __VFN_PAGESIZE);

	__usleep(1000);
	assert_true(get_ticks() - start >= __vfn_ticks_freq / 1000 / 2);
	(void)get_ticks_freq_arch();
	assert_int_equal(NS_PER_SEC, US_PER_SEC * MS_PER_SEC);

	barrier();
	mb();
	rmb();
	wmb();
	dma_rmb();
	assert_int_equal(LOAD_PTR(&values[1]), 5);
	STORE_PTR(&values[0], 4);
	assert_int_equal(__LOAD_PTR(int, &values[0]) + __LOAD(int, values[1]), 9);
	__STORE(int, values[0], 1);
	__STORE_PTR(int, &values[1], 1);
	assert_true(likely(values[0]) && !unlikely(!values[1]));
	assert_int_equal(glue(va, lues)[0], 1);

	trace_guard(NVME_SQ_POST) {
		trace_emit("%d", values[0]);
		trace_emitrl(1, 1, "%d", values[1]);
		fail();
	}
	assert_string_equal(TRACE_NVME_SQ_POST, "nvme_sq_post");
	trace_event_set_active("nvme", false);

	logv_set(-1);
	log_error("nobody hears that %s", "this is an error");
	log_info("nor this");
	log_debug(log_fmt("nor this\n"), __func__);
	log_fatal_if(values[0] != 1, "does not happen");
}

static void running_out_of_memory_ends_a_program_that_asked_for_it(void **state)
{
	const struct rlimit no_core = {};
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		backtrace_abort();
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && !WEXITSTATUS(status));
}

static void shadow_doorbell_decides_on_the_register(void **state)
{
	uint32_t index = 0, event = CPU_TO_LE32(1);
	struct nvme_dbbuf dbbuf = { &index, &event }, none = {};

	assert_int_equal(nvme_try_dbbuf(1, &none), -1);
	assert_int_equal(nvme_try_dbbuf(1, &dbbuf), 0);
	assert_int_equal(nvme_try_dbbuf(2, &dbbuf), -1);
	assert_int_equal(index, CPU_TO_LE32(2));
}

static void checksum_of_pages_is_the_specifications(void **state)
{
	__autofree unsigned char *page = zmalloc(PAGE);

	/* NVM Command Set Specification 1.0, section 5.2.1.3.4 */
	assert_int_equal(nvme_crc64(~0ULL, page, PAGE), 0x6482d367eb22b64eULL);
	memset(page, 0xff, PAGE);
	assert_int_equal(nvme_crc64(~0ULL, page, PAGE), 0xc0ddba7302eca3acULL);
}

#define with_ctrl(name) cmocka_unit_test_setup_teardown(name, open_ctrl, close_ctrl)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_is_opened_looked_at_and_closed),
		cmocka_unit_test(device_in_sysfs_is_what_it_is),
		with_ctrl(memory_is_mapped_in_every_way),
		cmocka_unit_test(address_space_is_preset_and_emptied),
		with_ctrl(controller_is_found_by_its_address),
		cmocka_unit_test(controller_comes_up_in_two_steps),
		cmocka_unit_test(admin_queues_in_memory_of_the_program_work),
		with_ctrl(aborted_wait_says_how_many_came),
		with_ctrl(addresses_for_devices_describe_data),
		with_ctrl(log_and_events_are_typed),
		cmocka_unit_test(helpers_are_there),
		cmocka_unit_test(running_out_of_memory_ends_a_program_that_asked_for_it),
		cmocka_unit_test(shadow_doorbell_decides_on_the_register),
		cmocka_unit_test(checksum_of_pages_is_the_specifications),
	};

	return cmocka_run_group_tests_name("contract-typical", tests, NULL, NULL);
}
