/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A controller is taken out while it is in use: the program is asked, goes on until it closes, and a new one may come. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define LEN 4096
#define DEPTH 32

/* The slot's button is pressed: for five seconds it could be pressed again. */
#define REMOVAL_MS 15000

static void vfntool(const char *command)
{
	char line[128];

	snprintf(line, sizeof(line), "vfntool %s %s", command, guest_bdf("hot"));
	assert_int_equal(system(line), 0);
}

static bool present(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", guest_bdf("hot"));
	return access(path, F_OK) == 0;
}

/* The kernel asks for a device by this eventfd. */
static int removal_eventfd(struct nvme_ctrl *ctrl)
{
	union {
		struct vfio_irq_set set;
		char bytes[sizeof(struct vfio_irq_set) + sizeof(int)];
	} irqs = {
		.set = {
			.argsz = sizeof(irqs.bytes),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1,
		},
	};
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_true(fd >= 0);
	memcpy(irqs.set.data, &fd, sizeof(fd));
	assert_int_equal(ioctl(ctrl->pci.dev.fd, VFIO_DEVICE_SET_IRQS, &irqs), 0);

	return fd;
}

static void unplug(void)
{
	host_qmp("{\"execute\": \"device_del\", \"arguments\": {\"id\": \"hot\"}}");
}

static bool asked_for(int eventfd, int timeout_ms)
{
	struct pollfd fd = { .fd = eventfd, .events = POLLIN };

	return poll(&fd, 1, timeout_ms) == 1;
}

/* The program lets go, which takes no time; then the device goes. */
static void let_go(struct nvme_ctrl *ctrl, int eventfd)
{
	uint64_t start = get_ticks();
	int i;

	assert_true(present());
	nvme_close(ctrl);
	assert_true(get_ticks() - start < vfn_ticks_freq());
	close(eventfd);

	for (i = 0; present() && i < REMOVAL_MS / 10; i++)
		usleep(10 * 1000);
	assert_false(present());
	assert_int_equal(nvme_init(ctrl, guest_bdf("hot"), NULL), -1);
	assert_int_equal(errno, ENODEV);
}

static bool plug(void)
{
	return host_try_qmp(
		"{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"nvme\", \"id\": \"hot\", "
		"\"bus\": \"bay\", \"drive\": \"hot\", \"serial\": \"vfn-hot\"}}");
}

/* The kernel takes what is new; what was written before is what it reads, and what the host has. */
static void replug(uint64_t seed)
{
	char line[128];
	void *mem = guest_alloc(LEN);
	int i, fd;

	/* QEMU has the old one until the slot's indicator is off, a second after its power */
	for (i = 0; !plug() && i < REMOVAL_MS / 100; i++)
		usleep(100 * 1000);
	for (i = 0; !present() && i < REMOVAL_MS / 10; i++)
		usleep(10 * 1000);
	snprintf(line, sizeof(line), ". /vfn/tap.sh; wait_for_kernel %s", guest_bdf("hot"));
	assert_int_equal(system(line), 0);

	fd = guest_kernel_open("hot", 1, O_DIRECT);
	assert_int_equal(pread(fd, mem, LEN, 0), LEN);
	guest_check(mem, LEN, seed);
	close(fd);
	memset(mem, 0, LEN);
	host_read("hot", 0, mem, LEN);
	guest_check(mem, LEN, seed);
	guest_free(mem, LEN);
}

/* H1 */
static void test_idle_controller_is_asked_for_and_works_until_closed(void **state)
{
	struct nvme_ctrl ctrl = {};
	void *mem = guest_alloc(LEN);
	int fd;

	(void)state;
	vfntool("bind");
	guest_open(&ctrl, "hot", 0);
	fd = removal_eventfd(&ctrl);
	unplug();
	assert_true(asked_for(fd, REMOVAL_MS));

	guest_fill(mem, LEN, 18000);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	memset(mem, 0, LEN);
	guest_read(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	guest_check(mem, LEN, 18000);

	let_go(&ctrl, fd);
	replug(18000);
	guest_free(mem, LEN);
}

static void submit(struct nvme_ctrl *ctrl, iova_t iova)
{
	int i;

	for (i = 0; i < DEPTH; i++) {
		union nvme_cmd cmd = guest_rw(NVME_IO_WRITE, &guest_ns512, i * 8, LEN);
		struct nvme_rq *rq = nvme_rq_acquire(&ctrl->sq[1]);

		assert_non_null(rq);
		assert_vfn(nvme_rq_map_prp(ctrl, rq, &cmd, iova + i * LEN, LEN) == 0);
		nvme_rq_post(rq, &cmd);
	}
	nvme_sq_update_tail(&ctrl->sq[1]);
}

static void reap(struct nvme_ctrl *ctrl)
{
	struct timespec limit = { .tv_sec = 1 };
	struct nvme_cqe cqes[DEPTH];
	int i;

	assert_int_equal(nvme_cq_wait_cqes(&ctrl->cq[1], cqes, DEPTH, &limit), DEPTH);
	for (i = 0; i < DEPTH; i++) {
		assert_true(nvme_cqe_ok(&cqes[i]));
		nvme_rq_release(nvme_rq_from_cqe(ctrl, &cqes[i]));
	}
}

/* H1 */
static void test_commands_in_flight_finish_though_the_controller_is_asked_for(void **state)
{
	char *mem = guest_alloc(DEPTH * LEN);
	struct nvme_ctrl ctrl = {};
	int i, fd, rounds = 0;
	iova_t iova;

	(void)state;
	vfntool("bind");
	guest_open(&ctrl, "hot", 0);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, DEPTH * LEN, &iova, 0) == 0);
	for (i = 0; i < DEPTH; i++)
		guest_fill(mem + i * LEN, LEN, 18100 + i);

	fd = removal_eventfd(&ctrl);
	submit(&ctrl, iova);
	unplug();
	do {
		reap(&ctrl);
		submit(&ctrl, iova);
		rounds++;
	} while (!asked_for(fd, 0));
	reap(&ctrl);
	assert_true(rounds > 1);

	memset(mem, 0, DEPTH * LEN);
	for (i = 0; i < DEPTH; i++) {
		guest_read(&ctrl, 1, &guest_ns512, i * 8, mem + i * LEN, LEN);
		guest_check(mem + i * LEN, LEN, 18100 + i);
	}

	let_go(&ctrl, fd);
	replug(18100);
	guest_free(mem, DEPTH * LEN);
}

/* H6 */
static void test_new_controller_at_the_same_address_works(void **state)
{
	struct nvme_ctrl ctrl = {};
	void *mem = guest_alloc(LEN);

	(void)state;
	vfntool("bind");
	guest_open(&ctrl, "hot", 0);
	guest_fill(mem, LEN, 18200);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	nvme_close(&ctrl);
	vfntool("reset");
	guest_free(mem, LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_controller_is_asked_for_and_works_until_closed),
		cmocka_unit_test(test_commands_in_flight_finish_though_the_controller_is_asked_for),
		cmocka_unit_test(test_new_controller_at_the_same_address_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
