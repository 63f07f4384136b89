// SPDX-License-Identifier: GPL-2.0-or-later
/* The persistent memory region: enabled, awaited, addressed by commands, and what it keeps. */
#include "machine.h"

#include <vfn/nvme/pmr.h>

#define REG_PMRCTL 0xe04
#define REG_PMRMSCL 0xe14
#define PMR_LEN (1UL << 20)

static struct emu_nvme_opts with_pmr(void)
{
	return (struct emu_nvme_opts){ .pmr = { .size = PMR_LEN } };
}

static void assert_disabled(struct machine *m)
{
	assert_int_equal(emu_nvme_reg(m->nvme, REG_PMRCTL), 0);
	assert_int_equal(emu_nvme_reg(m->nvme, REG_PMRMSCL), 0);
}

static void without_a_region_nothing_is_mapped(void **state)
{
	struct vfn_nvme_pmr pmr = {};
	struct nvme_ctrl closed = {};
	struct machine m;

	(void)state;
	assert_fails_with(vfn_nvme_pmr_map(&closed, &pmr), ENODEV);
	start(&m, NULL);
	assert_fails_with(vfn_nvme_pmr_map(&m.ctrl, &pmr), ENOTSUP);
	assert_null(pmr.vaddr);
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	stop(&m);
}

static void a_region_is_its_whole_bar(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	struct vfn_nvme_pmr pmr = {};
	struct emu_usage before;
	struct machine m;

	(void)state;
	opts.pmr.bir = 3;
	start(&m, &opts);
	before = emu_usage();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
		assert_int_equal(pmr.bar, 3);
		assert_int_equal(pmr.size, PMR_LEN);
		assert_true(pmr.peers);
		assert_int_not_equal(pmr.iova, 0);
		vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
		assert_null(pmr.vaddr);
		assert_disabled(&m);
		emu_assert_usage(&before);
	}
	stop(&m);
}

static void a_region_keeps_what_was_written(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	struct vfn_nvme_pmr pmr = {};
	struct machine m;

	(void)state;
	start(&m, &opts);
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	strcpy(pmr.vaddr, "kept");
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	assert_string_equal(emu_nvme_pmr(m.nvme), "kept");
	stop(&m);

	memset(&m.ctrl, 0, sizeof(m.ctrl));
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	assert_string_equal(pmr.vaddr, "kept");
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	nvme_close(&m.ctrl);
}

static void commands_reach_the_region(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	union nvme_cmd cmd = rw_cmd(OP_WRITE, 0, 128);
	struct vfn_nvme_pmr pmr = {};
	struct machine m;
	uint64_t seed = 2;
	char *disk;

	(void)state;
	start_pair(&m, &opts, 8);
	disk = emu_nvme_disk(m.nvme, 1, NULL);
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	fill_random(pmr.vaddr, 65536, &seed);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, pmr.vaddr, 65536, NULL), 0);
	assert_memory_equal(disk, pmr.vaddr, 65536);

	cmd = rw_cmd(OP_READ, 0, 128);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, (char *)pmr.vaddr + 65536, 65536, NULL), 0);
	assert_memory_equal((char *)pmr.vaddr + 65536, disk, 65536);
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	assert_memory_equal((char *)emu_nvme_pmr(m.nvme) + 65536, disk, 65536);
	stop(&m);
}

static void without_controller_memory_space_no_address_is_set(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	struct vfn_nvme_pmr pmr = {};
	struct machine m;

	(void)state;
	opts.pmr.no_cmss = true;
	start(&m, &opts);
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	strcpy(pmr.vaddr, "kept");
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	assert_string_equal(emu_nvme_pmr(m.nvme), "kept");
	assert_disabled(&m);
	stop(&m);
}

/* PMRCAP: to in units of half a second, or of minutes; 0 is one unit */
static void a_region_that_is_not_ready_in_time_is_given_up(void **state)
{
	static const struct {
		unsigned int to;
		bool minutes;
		uint64_t ns;
	} limits[] = { { 0, false, SEC / 2 }, { 3, false, 3 * SEC / 2 }, { 2, true, 120 * SEC } };

	(void)state;
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(limits); i++) {
		struct emu_nvme_opts opts = with_pmr();
		struct vfn_nvme_pmr pmr = {};
		struct emu_usage before;
		struct machine m;
		uint64_t start_ns;

		opts.pmr.to = limits[i].to;
		opts.pmr.minutes = limits[i].minutes;
		opts.pmr.never_ready = true;
		start(&m, &opts);
		before = emu_usage();
		start_ns = emu_now();
		assert_fails_with(vfn_nvme_pmr_map(&m.ctrl, &pmr), ETIMEDOUT);
		assert_in_range(emu_now() - start_ns, limits[i].ns, limits[i].ns + 10 * MS);
		assert_null(pmr.vaddr);
		assert_disabled(&m);
		emu_assert_usage(&before);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

static void a_region_is_awaited(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	struct vfn_nvme_pmr pmr = {};
	struct machine m;
	uint64_t start_ns;

	(void)state;
	opts.pmr.to = 10;
	opts.pmr.ready_ns = 2 * SEC;
	start(&m, &opts);
	start_ns = emu_now();
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	assert_in_range(emu_now() - start_ns, 2 * SEC, 2 * SEC + 10 * MS);
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	stop(&m);
}

/* PMRSTS: ERR, and of the health states those that say that contents are lost */
static void a_region_in_bad_health_is_refused(void **state)
{
	static const struct {
		uint32_t status;
		bool usable;
	} states[] = {
		{ 0x01, false },  { 0x80, false },   { 1 << 9, false },
		{ 2 << 9, true }, { 3 << 9, false },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(states); i++) {
		struct emu_nvme_opts opts = with_pmr();
		struct vfn_nvme_pmr pmr = {};
		struct machine m;

		opts.pmr.status = states[i].status;
		start(&m, &opts);
		if (states[i].usable)
			assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
		else
			assert_fails_with(vfn_nvme_pmr_map(&m.ctrl, &pmr), EIO);
		vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
		assert_disabled(&m);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

static void an_address_that_is_refused_is_taken_back(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	struct vfn_nvme_pmr pmr = {};
	struct emu_usage before;
	struct machine m;

	(void)state;
	opts.pmr.cbai = true;
	start(&m, &opts);
	before = emu_usage();
	assert_fails_with(vfn_nvme_pmr_map(&m.ctrl, &pmr), EIO);
	assert_null(pmr.vaddr);
	assert_disabled(&m);
	emu_assert_usage(&before);
	stop(&m);
}

struct mapping {
	struct nvme_ctrl *ctrl;
	struct vfn_nvme_pmr pmr;
};

static int map(void *arg)
{
	struct mapping *mapping = arg;

	return vfn_nvme_pmr_map(mapping->ctrl, &mapping->pmr);
}

static void undo(void *arg)
{
	struct mapping *mapping = arg;

	vfn_nvme_pmr_unmap(mapping->ctrl, &mapping->pmr);
}

static void any_failure_leaves_the_region_disabled(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	struct mapping mapping = {};
	struct machine m;

	(void)state;
	start(&m, &opts);
	mapping.ctrl = &m.ctrl;
	assert_in_range(emu_fail_each(EMU_INIT, ENOMEM, map, undo, &mapping), 2, 20);
	assert_disabled(&m);
	stop(&m);
}

static void a_region_of_a_controller_that_is_gone_is_let_go(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	struct vfn_nvme_pmr pmr = {};
	struct machine m;

	(void)state;
	start(&m, &opts);
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	emu_pci_remove(emu_nvme_pci(m.nvme));
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	assert_null(pmr.vaddr);
	assert_fails_with(vfn_nvme_pmr_map(&m.ctrl, &pmr), ENODEV);
	stop(&m);
}

static void what_somebody_left_enabled_hides_no_memory(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, 8);
	struct machine m;

	(void)state;
	opts.pmr.left = 0x1000 | 2;
	start_pair(&m, &opts, 8);
	assert_disabled(&m);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, m.buf.vaddr, 4096, NULL), 0);
	stop(&m);
}

/* A write from the region, which the controller finds at the address that it was told. */
static void assert_reachable(struct machine *m, const struct vfn_nvme_pmr *pmr)
{
	union nvme_cmd cmd = rw_cmd(OP_WRITE, 0, 8);
	char *disk = emu_nvme_disk(m->nvme, 1, NULL);

	strcat(pmr->vaddr, "+");
	assert_int_equal(nvme_sync(&m->ctrl, m->sq, &cmd, pmr->vaddr, PAGE, NULL), 0);
	assert_string_equal(disk, pmr->vaddr);
}

static void a_region_is_there_after_a_reset_of_the_function(void **state)
{
	struct vfn_nvme_pmr pmr = {};
	struct machine m;

	(void)state;
	for (int no_cmss = 0; no_cmss < 2; no_cmss++) {
		struct emu_nvme_opts opts = with_pmr();

		opts.pmr.no_cmss = no_cmss;
		start_pair(&m, &opts, 8);
		assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
		strcpy(pmr.vaddr, "kept");

		/* its own reset does not end, so the function has one */
		emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, true);
		assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, NULL), 0);
		assert_int_equal(emu_call_count("ioctl DEVICE_RESET"), 1);
		emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, false);
		assert_int_equal(emu_nvme_reg(m.nvme, REG_PMRCTL), 1);
		assert_string_equal(pmr.vaddr, "kept");
		if (!no_cmss)
			assert_reachable(&m, &pmr);

		/* and one that the program asks for */
		assert_int_equal(nvme_reset(&m.ctrl), 0);
		assert_int_equal(vfio_reset(&m.ctrl.pci.dev), 0);
		assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, NULL), 0);
		if (!no_cmss)
			assert_reachable(&m, &pmr);

		vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
		assert_int_equal(vfio_reset(&m.ctrl.pci.dev), 0);
		assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, NULL), 0);
		assert_disabled(&m);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

static void a_region_that_a_reset_has_disabled_is_let_go_without_a_look(void **state)
{
	const struct emu_nvme_opts opts = with_pmr();
	struct vfn_nvme_pmr pmr = {};
	struct machine m;

	(void)state;
	start_pair(&m, &opts, 8);
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	assert_int_equal(vfio_reset(&m.ctrl.pci.dev), 0);
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	assert_null(pmr.vaddr);
	stop(&m);
}

static void a_region_that_does_not_come_back_fails_the_reset(void **state)
{
	struct emu_nvme_opts opts = with_pmr();
	struct vfn_nvme_pmr pmr = {};
	struct machine m;

	(void)state;
	start_pair(&m, &opts, 8);
	assert_int_equal(vfn_nvme_pmr_map(&m.ctrl, &pmr), 0);
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	assert_int_equal(vfio_reset(&m.ctrl.pci.dev), 0);
	emu_nvme_set(m.nvme, EMU_NEVER_READY, true);
	assert_fails_with(vfn_nvme_reset_ctrl(&m.ctrl, NULL), ETIMEDOUT);
	assert_error_has("persistent memory is not ready");
	assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_FAILED);
	assert_disabled(&m);

	emu_nvme_set(m.nvme, EMU_NEVER_READY, false);
	assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, NULL), 0);
	strcpy(pmr.vaddr, "back");
	assert_reachable(&m, &pmr);
	vfn_nvme_pmr_unmap(&m.ctrl, &pmr);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(without_a_region_nothing_is_mapped),
		test(a_region_is_its_whole_bar),
		test(a_region_keeps_what_was_written),
		test(commands_reach_the_region),
		test(without_controller_memory_space_no_address_is_set),
		test(a_region_that_is_not_ready_in_time_is_given_up),
		test(a_region_is_awaited),
		test(a_region_in_bad_health_is_refused),
		test(an_address_that_is_refused_is_taken_back),
		test(any_failure_leaves_the_region_disabled),
		test(a_region_of_a_controller_that_is_gone_is_let_go),
		test(what_somebody_left_enabled_hides_no_memory),
		test(a_region_is_there_after_a_reset_of_the_function),
		test(a_region_that_a_reset_has_disabled_is_let_go_without_a_look),
		test(a_region_that_does_not_come_back_fails_the_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
