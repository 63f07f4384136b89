/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A controller is taken out while it is in use: in order, or without a word; errors of the bus; and a new one may come. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define LEN 4096
#define DEPTH 32
#define ROUNDS 10

#define REMOVAL_MS 15000
#define ORDERLY_MS 2000
#define SURPRISE_MS 1000

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

/* ---- load ---- */

static struct nvme_ctrl ctrl;
static char *mem;
static iova_t iova;

/* How often each command that was sent has ended, and how often without success. */
static int ended[DEPTH], lost;

static void open_controller(void)
{
	vfntool("bind");
	memset(&ctrl, 0, sizeof(ctrl));
	guest_open(&ctrl, "hot", 0);
	mem = guest_alloc(DEPTH * LEN);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, DEPTH * LEN, &iova, 0) == 0);
}

static void count(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	(void)opaque;
	ended[((char *)rq->opaque - mem) / LEN]++;
	if (!nvme_cqe_ok(cqe))
		lost++;
	nvme_rq_release(rq);
}

static const struct vfn_nvme_recovery recovery = {
	.complete = count,
	.flags = VFN_NVME_RECOVER_RESET,
};

static void submit(uint8_t opcode)
{
	int i;

	memset(ended, 0, sizeof(ended));
	lost = 0;
	for (i = 0; i < DEPTH; i++) {
		union nvme_cmd cmd = guest_rw(opcode, &guest_ns512, i * 8, LEN);
		struct nvme_rq *rq = nvme_rq_acquire(&ctrl.sq[1]);

		assert_non_null(rq);
		rq->opaque = mem + i * LEN;
		assert_vfn(nvme_rq_map_prp(&ctrl, rq, &cmd, iova + i * LEN, LEN) == 0);
		nvme_rq_post(rq, &cmd);
	}
	nvme_sq_update_tail(&ctrl.sq[1]);
}

/* Take what completes within this time; whether that is all. */
static bool reap(unsigned int ms)
{
	uint64_t end = get_ticks() + ms * vfn_ticks_freq() / 1000;
	int i, left;

	do {
		struct nvme_cqe *cqe = nvme_cq_get_cqe(&ctrl.cq[1]);

		if (cqe) {
			count(nvme_rq_from_cqe(&ctrl, cqe), cqe, NULL);
			nvme_cq_update_head(&ctrl.cq[1]);
		}
		for (i = left = 0; i < DEPTH; i++)
			left += !ended[i];
	} while (left && get_ticks() < end);

	return !left;
}

/*
 * Until the controller has completed all of it, of which nobody is told: QEMU (7.2) keeps a reference to a device that was
 * reset between the end of a command and its completion, so that the device never goes.
 */
static void wait_until_posted(void)
{
	uint64_t end = get_ticks() + vfn_ticks_freq();
	struct nvme_cq look = ctrl.cq[1];
	int n = 0;

	while (n < DEPTH && get_ticks() < end)
		n += !!nvme_cq_get_cqe(&look);
	assert_int_equal(n, DEPTH);
}

static void assert_ended_once(void)
{
	int i;

	for (i = 0; i < DEPTH; i++)
		assert_int_equal(ended[i], 1);
}

/* ---- orderly removal ---- */

static void unplug(void)
{
	host_qmp("{\"execute\": \"device_del\", \"arguments\": {\"id\": \"hot\"}}");
}

static bool asked_for(int eventfd, int timeout_ms)
{
	struct pollfd fd = { .fd = eventfd, .events = POLLIN };

	return poll(&fd, 1, timeout_ms) == 1;
}

static void wait_until_deleted(long before)
{
	int i;

	for (i = 0; host_event_count("DEVICE_DELETED") < before + 1 && i < REMOVAL_MS / 10; i++)
		usleep(10 * 1000);
	assert_int_equal(host_event_count("DEVICE_DELETED"), before + 1);
}

/* The program lets go, which takes no time; then the device goes. */
static void let_go(void)
{
	assert_true(present());
	nvme_close(&ctrl);
	guest_free(mem, DEPTH * LEN);
}

static void assert_gone(void)
{
	assert_false(present());
	assert_int_equal(nvme_init(&ctrl, guest_bdf("hot"), NULL), -1);
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
	int i, fd;

	assert_true(plug());
	mem = guest_alloc(LEN);
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
	long deleted = host_event_count("DEVICE_DELETED");
	int fd;

	(void)state;
	open_controller();
	fd = vfn_vfio_request_fd(&ctrl.pci);
	assert_vfn(fd > 0);
	unplug();
	assert_true(asked_for(fd, REMOVAL_MS));

	guest_fill(mem, LEN, 18000);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	memset(mem, 0, LEN);
	guest_read(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	guest_check(mem, LEN, 18000);

	let_go();
	wait_until_deleted(deleted);
	assert_gone();
	replug(18000);
}

/* H1: from device_del to its end: what was sent before is waited for, what is sent last is ended */
static void test_removal_under_load_takes_two_seconds_and_loses_nothing(void **state)
{
	long deleted = host_event_count("DEVICE_DELETED");
	int i, fd, rounds = 0;
	uint64_t start, ms;

	(void)state;
	open_controller();
	fd = vfn_vfio_request_fd(&ctrl.pci);
	assert_vfn(fd > 0);
	for (i = 0; i < DEPTH; i++)
		guest_fill(mem + i * LEN, LEN, 18100 + i);

	submit(NVME_IO_WRITE);
	start = get_ticks();
	unplug();
	do {
		assert_true(reap(1000));
		assert_ended_once();
		assert_int_equal(lost, 0);
		submit(NVME_IO_WRITE);
	} while (!asked_for(fd, 0) || ++rounds < ROUNDS);
	assert_true(reap(1000));
	assert_ended_once();
	assert_int_equal(lost, 0);

	submit(NVME_IO_READ);
	wait_until_posted();
	assert_vfn(vfn_nvme_fail_ctrl(&ctrl, &recovery) == 0);
	assert_ended_once();
	let_go();
	wait_until_deleted(deleted);
	ms = (get_ticks() - start) * 1000 / vfn_ticks_freq();
	assert_in_range(ms, 0, ORDERLY_MS);
	print_message("# note: removed %llu ms after device_del, under load\n",
		      (unsigned long long)ms);
	assert_gone();
	replug(18100);
}

/* H6 */
static void test_new_controller_at_the_same_address_works(void **state)
{
	(void)state;
	open_controller();
	guest_fill(mem, LEN, 18200);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	let_go();
	vfntool("reset");
}

/* ---- without a word ---- */

static void assert_works(uint64_t seed)
{
	assert_int_equal(vfn_nvme_get_state(&ctrl), VFN_NVME_LIVE);
	guest_fill(mem, LEN, seed);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	memset(mem, 0, LEN);
	guest_read(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	guest_check(mem, LEN, seed);
}

/* H5: the bridge above reports an error */
static void test_controller_below_an_error_of_the_bus_is_reset(void **state)
{
	int fd;

	(void)state;
	open_controller();
	fd = vfn_vfio_error_fd(&ctrl.pci);
	assert_vfn(fd > 0);
	assert_false(asked_for(fd, 0));

	submit(NVME_IO_READ);
	host_qmp("{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": "
		 "\"pcie_aer_inject_error bay COMP_TIME\"}}");
	assert_true(asked_for(fd, REMOVAL_MS));
	assert_vfn(vfn_nvme_fail_ctrl(&ctrl, &recovery) == 0);
	assert_ended_once();
	assert_int_equal(vfn_nvme_get_state(&ctrl), VFN_NVME_FAILED);
	assert_null(nvme_rq_acquire(&ctrl.sq[1]));
	assert_int_equal(errno, ENODEV);

	assert_vfn(vfn_nvme_reset_ctrl(&ctrl, &recovery) == 0);
	assert_ended_once();
	assert_works(18300);
	let_go();
}

static void assert_no_device(void)
{
	union nvme_cmd cmd = guest_rw(NVME_IO_READ, &guest_ns512, 0, LEN);

	assert_int_equal(vfn_nvme_get_state(&ctrl), VFN_NVME_GONE);
	assert_null(nvme_rq_acquire(&ctrl.sq[1]));
	assert_int_equal(errno, ENODEV);
	assert_int_equal(guest_try(&ctrl, 1, cmd, mem, LEN, NULL), -1);
	assert_int_equal(errno, ENODEV);
	cmd.identify.opcode = NVME_ADMIN_IDENTIFY;
	assert_int_equal(nvme_admin(&ctrl, &cmd, mem, LEN, NULL), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(vfn_nvme_check_timeouts(&ctrl, &recovery), -1);
	assert_int_equal(errno, ENODEV);
}

/* H4: the kernel takes the registers away */
static void test_registers_that_are_not_decoded_read_as_ones(void **state)
{
	leint16_t command;

	(void)state;
	open_controller();
	assert_vfn(vfn_sigbus_guard(true) == 0);
	submit(NVME_IO_READ);
	assert_int_equal(vfn_vfio_pci_pread(&ctrl.pci, &command, 2, 4), 2);
	command &= cpu_to_le16((uint16_t)~2);
	assert_int_equal(vfn_vfio_pci_pwrite(&ctrl.pci, &command, 2, 4), 2);

	assert_int_equal(vfn_nvme_check_timeouts(&ctrl, &recovery), -1);
	assert_int_equal(errno, ENODEV);
	assert_ended_once();
	assert_no_device();
	let_go();

	open_controller();
	assert_works(18400);
	let_go();
	assert_vfn(vfn_sigbus_guard(false) == 0);
}

/* Power controller and indicator off, by the bridge's Slot Control (PCI Express Base Specification, section 7.5.3.10). */
static void power_off(void)
{
	uint8_t pos = 0x34, id = 0;
	uint16_t control;
	int fd;

	fd = open("/sys/bus/pci/devices/0000:00:1c.0/config", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (pos = 0x33; id != 0x10;) {
		assert_int_equal(pread(fd, &pos, 1, pos + 1), 1);
		assert_int_not_equal(pos, 0);
		assert_int_equal(pread(fd, &id, 1, pos), 1);
	}
	assert_int_equal(pread(fd, &control, 2, pos + 0x18), 2);
	control |= 0x700;
	assert_int_equal(pwrite(fd, &control, 2, pos + 0x18), 2);
	close(fd);
}

/* H2: the last one, as the slot stays without power */
static void test_controller_without_power_is_gone_within_a_second(void **state)
{
	uint64_t start, ms;

	(void)state;
	open_controller();
	assert_vfn(vfn_sigbus_guard(true) == 0);
	submit(NVME_IO_WRITE);
	reap(1);
	power_off();

	start = get_ticks();
	assert_int_equal(vfn_nvme_check_timeouts(&ctrl, &recovery), -1);
	assert_int_equal(errno, ENODEV);
	assert_ended_once();
	assert_no_device();
	assert_int_equal(vfn_nvme_reset_ctrl(&ctrl, &recovery), -1);
	assert_int_equal(errno, ENODEV);
	assert_no_device();
	ms = (get_ticks() - start) * 1000 / vfn_ticks_freq();
	assert_in_range(ms, 0, SURPRISE_MS);
	print_message(
		"# note: ENODEV to everything %llu ms after the first look at a slot without power\n",
		(unsigned long long)ms);

	/* the kernel waits for more than a minute when the last descriptor goes: somebody else has it */
	if (!fork())
		for (;;)
			pause();
	start = get_ticks();
	nvme_close(&ctrl);
	assert_true(get_ticks() - start < vfn_ticks_freq());
	assert_vfn(vfn_sigbus_guard(false) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_controller_is_asked_for_and_works_until_closed),
		cmocka_unit_test(test_removal_under_load_takes_two_seconds_and_loses_nothing),
		cmocka_unit_test(test_new_controller_at_the_same_address_works),
		cmocka_unit_test(test_controller_below_an_error_of_the_bus_is_reset),
		cmocka_unit_test(test_registers_that_are_not_decoded_read_as_ones),
		cmocka_unit_test(test_controller_without_power_is_gone_within_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
