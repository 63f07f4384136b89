// SPDX-License-Identifier: GPL-2.0-or-later
/* What is said to be safe in any thread is called by all of them at once, while one resets the controller. */
#include "machine.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfn/iommu/iommufd.h>
#include <vfn/nvme/pi.h>
#include <vfn/pci.h>
#include <vfn/support.h>
#include <vfn/trace.h>

#define THREADS 4
#define ROUNDS 40

/* What takes the controller does so for reading, as it is not used by others while it is reset. */
static pthread_rwlock_t in_use = PTHREAD_RWLOCK_INITIALIZER;

struct caller {
	pthread_t thread;
	struct machine *m;
	unsigned int id;
	unsigned int errors;
};

/* cmocka's assertions belong to the main thread. */
#define check(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #cond, \
				vfn_last_error()); \
			c->errors++; \
		} \
	} while (0)

static void swallow(int level, const char *text, void *opaque)
{
	(void)level;
	(void)text;
	__atomic_add_fetch((uint64_t *)opaque, 1, __ATOMIC_RELAXED);
}

static int count(const char *bdf, void *arg)
{
	(void)bdf;
	++*(int *)arg;

	return 0;
}

static int count_members(const char *bdf, const char *driver, void *arg)
{
	(void)driver;

	return count(bdf, arg);
}

static void call_support(struct caller *c)
{
	void *mem = NULL;
	ssize_t len = pgmap(&mem, 5000);
	char text[16], name[16], why[16];

	(void)snprintf(name, sizeof(name), "none%u", c->id);
	check(len == 8192);
	pgunmap(mem, (size_t)len);
	check(pgmapn(&mem, 3, PAGE) == 3 * (ssize_t)PAGE && !vfn_pgunmap(mem, 3 * PAGE));
	check(readmax("/sys/module/a", text, sizeof(text)) == 5 && !memcmp(text, "text\n", 5));
	check(vfn_ticks_freq() > 0 && get_ticks() <= get_ticks());
	logv_set(c->id % 2 ? VFN_LOG_DEBUG : VFN_LOG_OFF);
	log_debug("thread %u", c->id);
	vfn_trace_init();
	trace_event_set_active("iommu", c->id % 2);
	vfn_trace("any_thread", "%u", c->id);
	check(vfn_iommu_choose(name, why, sizeof(why)) == -1 && strstr(vfn_last_error(), name));
	__usleep(1);
}

static void call_pci(struct caller *c)
{
	struct vfn_pci_info info;
	char bdf[VFN_PCI_BDF_LEN];
	unsigned long long vendor;
	char *driver, *group;
	int n = 0;

	check(!vfn_pci_parse_bdf("01:00.0", bdf) && !strcmp(bdf, EMU_BDF));
	check(!vfn_pci_get_info(EMU_BDF, &info));
	vfn_pci_put_info(&info);
	check(!vfn_pci_for_each_device(count, &n) && n == 1);
	check(!vfn_pci_group_members(EMU_BDF, count_members, &n));
	check(!pci_device_info_get_ull(EMU_BDF, "vendor", &vendor));
	driver = pci_get_driver(EMU_BDF);
	group = pci_get_iommu_group(EMU_BDF);
	check(driver && group);
	free(driver);
	free(group);
	check(!pci_is_vf(EMU_BDF) && !pci_is_pf(EMU_BDF));
}

static void call_iommu(struct caller *c)
{
	struct iommu_ctx *ctx = __iommu_ctx(&c->m->ctrl), *own;
	struct iommu_iova_range *ranges;
	struct iommu_dmabuf buffer;
	char why[64], name[16];
	iova_t iova = 0, same;
	void *mem = NULL, *back;

	check(vfn_iommu_choose(EMU_BDF, why, sizeof(why)) > VFN_IOMMU_NONE);
	check(iommu_ctx_is_iommufd(ctx) == !strncmp(vfn_iommu_reason(ctx), "iommufd", 7));
	(void)snprintf(name, sizeof(name), "own%u", c->id);
	own = iommu_get_context(name);
	check(own);
	vfn_iommu_put_context(own);

	check(iommu_get_iova_ranges(ctx, &ranges) > 0);
	check(!iommu_get_dmabuf(ctx, &buffer, PAGE, 0));
	check(vfn_iommu_translate(ctx, buffer.vaddr, PAGE, &iova) == PAGE && iova == buffer.iova);
	check(iommu_translate_iova(ctx, iova, &back) == (ssize_t)PAGE && back == buffer.vaddr);
	iommu_put_dmabuf(&buffer);

	check(pgmap(&mem, 4 * PAGE) > 0);
	check(!iommu_map_vaddr_align(ctx, mem, 4 * PAGE, 16 * PAGE, &iova, 0) &&
	      !(iova % (16 * PAGE)));
	check(iommu_translate_vaddr(ctx, mem, &same) && same == iova);
	check(!iommu_unmap_vaddr(ctx, mem, NULL));
	pgunmap(mem, 4 * PAGE);

	mem = iommu_alloc_same_iova(ctx, PAGE);
	if (mem)
		check(!iommu_free_same_iova(ctx, mem));
}

static void call_fault_queues(struct caller *c)
{
	struct iommufd_fault_queue fq = {};
	struct vfn_iommufd_fault fault;

	if (iommufd_alloc_fault_queue(&fq))
		return;
	check(vfn_iommufd_get_faults(&fq, &fault, 1) == 0);
	vfn_iommufd_free_fault_queue(&fq);
}

/* Own arguments, and what the library knows of the specification. */
static void call_nvme(struct caller *c, char *page, iova_t iova)
{
	struct vfn_nvme_pi pi = {
		.lba_size = 512,
		.ms = 16,
		.type = 1,
		.guard = c->id % 2 ? VFN_NVME_PI_GUARD_64B : VFN_NVME_PI_GUARD_16B,
		.flags = VFN_NVME_PI_CHECK_ALL,
	};
	struct nvme_cqe bad = { .sfp = cpu_to_le16(0x281 << 1) };
	struct nvme_ctrl *ctrl = &c->m->ctrl;
	struct iovec iov = { page, PAGE };
	union nvme_cmd cmd = {};
	uint8_t data[512] = {}, meta[16] = {};

	check(vfn_nvme_get_state(ctrl) <= VFN_NVME_RESETTING);
	check(nvme_get_ctrl(EMU_BDF) == ctrl);
	check(nvme_crc64(~0ULL, data, 512) && vfn_nvme_crc16(1, data, 512));
	check(!vfn_nvme_pi_fill(&pi, data, meta, 1) &&
	      !vfn_nvme_pi_verify(&pi, data, meta, 1, NULL));
	check(vfn_nvme_status_text(0x281) && vfn_nvme_status_errno(0x281) == EIO);
	check(!nvme_cqe_ok(&bad) && nvme_set_errno_from_cqe(&bad) == -1);

	pthread_rwlock_rdlock(&in_use);
	check(!nvme_mapv_prp(ctrl, (leint64_t *)page, 1, &cmd, &iov, 1));
	check(!nvme_mapv_sgl(ctrl, (struct nvme_sgld *)page, iova, &cmd, &iov, 1));
	pthread_rwlock_unlock(&in_use);
}

static void *call_all(void *arg)
{
	struct caller *c = arg;
	char *page = (char *)c->m->buf.vaddr + c->id * PAGE;

	for (int i = 0; i < ROUNDS; i++) {
		call_support(c);
		call_pci(c);
		call_iommu(c);
		call_fault_queues(c);
		call_nvme(c, page, c->m->buf.iova + c->id * PAGE);
	}

	return NULL;
}

/* D17 */
static void any_thread_may_call_what_says_so(void **state)
{
	struct caller callers[THREADS];
	uint64_t messages = 0;
	struct machine m;

	emu_file("/sys/module/a", "text\n");
	memset(&m, 0, sizeof(m));
	m.nvme = emu_nvme_add(NULL);
	emu_start_threads();
	vfn_log_set_hook(swallow, &messages);
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_add_ctrl(&m.ctrl), 0);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m.ctrl), &m.buf, BUF_LEN, 0), 0);

	for (unsigned int i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){ .m = &m, .id = i };
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_all, &callers[i]),
				 0);
	}
	for (int i = 0; i < 5; i++) {
		pthread_rwlock_wrlock(&in_use);
		assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, NULL), 0);
		pthread_rwlock_unlock(&in_use);
		usleep(2000);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].errors, 0);
	}

	trace_event_set_active("", false);
	logv_set(VFN_LOG_OFF);
	assert_true(messages > 0);
	stop(&m);
	vfn_log_set_hook(NULL, NULL);
}

static void *look(void *arg)
{
	if (arg)
		vfn_trace_init();
	else
		trace_event_set_active("none", false);

	return NULL;
}

/* As in a new process. Nothing else puts them in order, nor makes a sanitizer forget who was first. */
static void any_thread_may_be_the_first_to_look_for_trace_events(void **state)
{
	pthread_t threads[THREADS];

	vfn_trace_ready = false;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look, i % 2 ? threads : NULL),
				 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(vfn_trace_ready);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(any_thread_may_call_what_says_so),
		test(any_thread_may_be_the_first_to_look_for_trace_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
