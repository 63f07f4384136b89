// SPDX-License-Identifier: GPL-2.0-or-later
/* Bringing a controller up: what is asked of it, how long it is waited for, what is refused. */
#include "machine.h"

#define CC_VALUE(nvme) emu_nvme_reg(nvme, REG_CC)
#define CSTS_VALUE(nvme) emu_nvme_reg(nvme, REG_CSTS)
#define CFG_COMMAND 4
#define COMMAND_MASTER 4

/* ---- what init asks for and finds ---- */

static void init_with_defaults_is_ready(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(CSTS_VALUE(m.nvme), CSTS_RDY);
	assert_int_equal(m.ctrl.opts.nsqr, 63);
	assert_int_equal(m.ctrl.config.nsqa, 63);
	assert_int_equal(m.ctrl.config.ncqa, 63);
	assert_int_equal(m.ctrl.config.mqes, 1023);
	assert_int_equal(m.ctrl.config.mps, 0);
	assert_ptr_equal(m.ctrl.adminq.sq, &m.ctrl.sq[0]);
	assert_int_equal(m.ctrl.flags, 0);
	assert_string_equal(m.ctrl.pci.bdf, EMU_BDF);
	nvme_close(&m.ctrl);
}

static void init_with_options_asks_for_those(void **state)
{
	const struct nvme_ctrl_opts opts = { .nsqr = 2, .ncqr = 0 };
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(NULL);
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, &opts), 0);
	assert_int_equal(ctrl.config.nsqa, 2);
	assert_int_equal(ctrl.config.ncqa, 0);
	nvme_close(&ctrl);
}

/* W35 */
static void options_out_of_range_are_refused_before_any_call(void **state)
{
	static const struct nvme_ctrl_opts bad[] = {
		{ .nsqr = -1 },	       { .ncqr = -1 },	    { .nsqr = 0xffff },
		{ .ncqr = 0xffff },    { .nsqr = 0x10000 }, { .nsqr = INT32_MIN },
		{ .ncqr = INT32_MAX },
	};
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(NULL);
	emu_calls_clear();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_fails_with(nvme_init(&ctrl, EMU_BDF, &bad[i]), EINVAL);
		assert_fails_with(nvme_ctrl_init(&ctrl, EMU_BDF, &bad[i]), EINVAL);
	}
	assert_string_equal(emu_calls(), "");
}

/* W35 */
static void options_of_the_largest_count_are_taken(void **state)
{
	const struct nvme_ctrl_opts opts = { .nsqr = 0xfffe, .ncqr = 0xfffe };
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(NULL);
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, &opts), 0);
	assert_int_equal(ctrl.config.nsqa, 63);
	nvme_close(&ctrl);
}

/* C13 */
static void fewer_queues_granted_are_used(void **state)
{
	const struct emu_nvme_opts opts = { .queues = 2 };
	struct machine m;

	start(&m, &opts);
	assert_int_equal(m.ctrl.config.nsqa, 1);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 2, 8, -1, 0), 0);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 3, 8, -1, 0), EINVAL);
	nvme_close(&m.ctrl);
}

/* C13 */
static void more_queues_granted_than_asked_are_not_used(void **state)
{
	const struct nvme_ctrl_opts opts = { .nsqr = 3, .ncqr = 3 };
	struct nvme_ctrl ctrl = {};
	struct emu_nvme *nvme = emu_nvme_add(NULL);

	emu_nvme_fault(nvme, &(struct emu_fault){
				     .kind = EMU_CORRUPT,
				     .qid = 0,
				     .opcode = OP_SET_FEATURES,
				     .fields = EMU_CQE_DW0,
				     .dw0 = UINT32_MAX,
			     });
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, &opts), 0);
	assert_int_equal(ctrl.config.nsqa, 3);
	assert_int_equal(ctrl.config.ncqa, 3);
	nvme_close(&ctrl);
}

static void administrative_controller_has_no_io_queues(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct emu_nvme *nvme = emu_nvme_add(NULL);

	emu_nvme_identify_ctrl(nvme)[111] = 3;
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(ctrl.flags, NVME_CTRL_F_ADMINISTRATIVE);
	assert_int_equal(emu_nvme_stats(nvme).admin[OP_SET_FEATURES], 0);
	nvme_close(&ctrl);
}

static void command_sets_offered_choose_cc_css(void **state)
{
	static const struct {
		unsigned int css, cc_css;
	} cases[] = {
		{ 0x01, 0 },
		{ 0x41, 6 },
		{ 0x80, 7 },
		{ 0xc1, 6 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct emu_nvme_opts opts = { .css = cases[i].css };
		struct machine m;

		start(&m, &opts);
		assert_int_equal(CC_VALUE(m.nvme) >> 4 & 7, cases[i].cc_css);
		nvme_close(&m.ctrl);
		emu_fini();
		emu_init();
	}
}

/* W35: what counts are the two low bits of SGLS, not that some bit is set */
static void sgl_support_is_in_two_bits(void **state)
{
	static const struct {
		uint8_t sgls[4];
		unsigned long flags;
	} cases[] = {
		{ { 0 }, 0 },
		{ { 1 }, NVME_CTRL_F_SGLS_SUPPORTED },
		{ { 2 }, NVME_CTRL_F_SGLS_SUPPORTED | NVME_CTRL_F_SGLS_DWORD_ALIGNMENT },
		{ { 0xfc, 0xff, 0xff, 0xff }, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct nvme_ctrl ctrl = {};
		struct emu_nvme *nvme = emu_nvme_add(NULL);

		memcpy(emu_nvme_identify_ctrl(nvme) + 536, cases[i].sgls, 4);
		assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
		assert_int_equal(ctrl.flags, cases[i].flags);
		nvme_close(&ctrl);
		emu_fini();
		emu_init();
	}
}

/* ---- in which state it is found ---- */

/* C4 */
static void found_enabled_is_disabled_first(void **state)
{
	const struct emu_nvme_opts opts = { .start_enabled = true };
	struct machine m;

	start(&m, &opts);
	emu_assert_order("reg write 0x14 0x460000", "reg write 0x24", "reg write 0x14 0x460001",
			 NULL);
	nvme_close(&m.ctrl);
}

/* C4 */
static void found_with_fatal_status_is_disabled_first(void **state)
{
	const struct emu_nvme_opts opts = { .start_cfs = true };
	struct machine m;

	start(&m, &opts);
	assert_int_equal(CSTS_VALUE(m.nvme), CSTS_RDY);
	nvme_close(&m.ctrl);
}

/* V21: a reset of the function takes it away */
static void enable_sets_bus_master_again(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct emu_pci *pci = emu_nvme_pci(nvme);

	assert_int_equal(nvme_ctrl_init(&ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_reset(&ctrl), 0);
	assert_int_equal(nvme_configure_adminq(&ctrl, 0), 0);
	emu_pci_config(pci)[CFG_COMMAND] &= (uint8_t)~COMMAND_MASTER;
	assert_false(emu_pci_bus_master(pci));
	assert_int_equal(nvme_enable(&ctrl), 0);
	assert_true(emu_pci_bus_master(pci));
	nvme_close(&ctrl);
}

/* Section 3.5.1: the fields of CC come before its bit EN. */
static void enable_configures_first(void **state)
{
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(NULL);
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
	emu_assert_order("reg write 0x14 0x460000", "reg write 0x14 0x460001");
	nvme_close(&ctrl);
}

static void enable_without_bus_master_fails(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	emu_fail_at(EMU_PWRITE, 1, EIO);
	assert_fails_with(nvme_enable(&m.ctrl), EIO);
	assert_int_equal(emu_nvme_stats(m.nvme).enables, 1);
	nvme_close(&m.ctrl);
}

/* ---- how long it is waited for ---- */

static uint64_t failing_init_takes(struct emu_nvme *nvme, int err)
{
	struct nvme_ctrl ctrl = {};
	uint64_t begin = emu_now();

	(void)nvme;
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), err);
	assert_null(ctrl.regs);

	return emu_now() - begin;
}

/* Undoing a failed enable waits once more, for the controller to become disabled. */
static void assert_waited(uint64_t took, uint64_t limit)
{
	assert_in_range(took, limit, limit + limit / 20 + 100 * MS);
}

/* C5 */
static void never_ready_gives_up_after_cap_to(void **state)
{
	for (unsigned int to = 1; to <= 255; to += 127) {
		const struct emu_nvme_opts opts = { .to = to };
		struct emu_nvme *nvme = emu_nvme_add(&opts);

		emu_nvme_set(nvme, EMU_NEVER_READY, true);
		assert_waited(failing_init_takes(nvme, ETIMEDOUT), to * 500 * MS);
		emu_fini();
		emu_init();
	}
}

/* C21, W24 */
static void never_ready_gives_up_after_crto_where_longer(void **state)
{
	const struct emu_nvme_opts opts = { .to = 4, .crto = 60 };
	struct emu_nvme *nvme = emu_nvme_add(&opts);

	emu_nvme_set(nvme, EMU_NEVER_READY, true);
	assert_waited(failing_init_takes(nvme, ETIMEDOUT), 30 * SEC);
}

/* C21 */
static void never_ready_gives_up_after_cap_to_where_crto_is_shorter(void **state)
{
	const struct emu_nvme_opts opts = { .to = 8, .crto = 2 };
	struct emu_nvme *nvme = emu_nvme_add(&opts);

	emu_nvme_set(nvme, EMU_NEVER_READY, true);
	assert_waited(failing_init_takes(nvme, ETIMEDOUT), 4 * SEC);
}

/* As many units as the field has room for say that it takes longer, not how long. */
static void never_ready_gives_up_after_cap_to_where_crto_is_full(void **state)
{
	const struct emu_nvme_opts opts = { .to = 8, .crto = 0xffff };
	struct emu_nvme *nvme = emu_nvme_add(&opts);

	emu_nvme_set(nvme, EMU_NEVER_READY, true);
	assert_waited(failing_init_takes(nvme, ETIMEDOUT), 4 * SEC);
}

/* W24 */
static void slow_controller_with_crto_becomes_ready(void **state)
{
	const struct emu_nvme_opts opts = { .to = 1, .crto = 60, .ready_ns = 29 * SEC };
	struct machine m;

	start(&m, &opts);
	assert_true(emu_now() >= 29 * SEC);
	nvme_close(&m.ctrl);
}

/* C5 */
static void never_unready_gives_up_after_cap_to(void **state)
{
	const struct emu_nvme_opts opts = { .to = 2, .start_enabled = true };
	struct emu_nvme *nvme = emu_nvme_add(&opts);

	emu_nvme_set(nvme, EMU_NEVER_UNREADY, true);
	/* once to bring it up, and nothing is left to disable for the undo */
	assert_waited(failing_init_takes(nvme, ETIMEDOUT), SEC);
}

/* W24: a wait sleeps; so it reads the register about every other millisecond */
static void waiting_for_ready_does_not_burn_the_cpu(void **state)
{
	const struct emu_nvme_opts opts = { .to = 20 };
	struct emu_nvme *nvme = emu_nvme_add(&opts);

	emu_nvme_set(nvme, EMU_NEVER_READY, true);
	failing_init_takes(nvme, ETIMEDOUT);
	assert_in_range(emu_nvme_stats(nvme).reg_accesses, 1000, 7000);
}

/* C6, W24, K5 */
static void fatal_status_at_enable_is_seen_within_10_ms(void **state)
{
	const struct emu_nvme_opts opts = { .to = 255 };
	struct emu_nvme *nvme = emu_nvme_add(&opts);

	emu_nvme_set(nvme, EMU_CFS_AT_ENABLE, true);
	assert_true(failing_init_takes(nvme, EIO) < 10 * MS);
}

/* ---- registers that make no sense ---- */

/* Everything a program does with a controller; errors are kept, and do not stop the undo. */
static int whole_life(struct emu_nvme *nvme)
{
	struct nvme_ctrl ctrl = {};
	union nvme_cmd cmd = identify_cmd();
	int err = 0;

	(void)nvme;
	vfn_nvme_set_timeout(&ctrl, 1000);
	if (nvme_init(&ctrl, EMU_BDF, NULL))
		return errno;
	if (nvme_create_ioqpair(&ctrl, 1, 4, -1, 0)) {
		err = errno;
	} else {
		cmd = flush_cmd();
		if (nvme_sync(&ctrl, &ctrl.sq[1], &cmd, NULL, 0, NULL))
			err = errno;
		if (nvme_delete_ioqpair(&ctrl, 1))
			err = errno;
	}
	nvme_close(&ctrl);

	return err;
}

/* Let registers give @value from every access on in turn. */
static void lose_registers_at_each_access(uint32_t value, bool (*allowed)(int err), uint64_t limit)
{
	const struct emu_usage nothing = {};

	for (unsigned int n = 1;; n++) {
		struct emu_nvme *nvme = emu_nvme_add(NULL);
		uint64_t begin = emu_now();
		bool reached;
		int err;

		emu_nvme_fail_regs(nvme, n, value);
		err = whole_life(nvme);
		reached = emu_nvme_stats(nvme).reg_accesses >= n;

		if (!allowed(err))
			fail_msg("access %u: errno %d (%s): %s", n, err, strerror(err),
				 vfn_last_error());
		if (emu_now() - begin > limit)
			fail_msg("access %u: took %llu ms", n,
				 (unsigned long long)((emu_now() - begin) / MS));
		emu_assert_usage(&nothing);
		emu_assert_clean();
		emu_fini();
		emu_init();

		if (!reached) {
			assert_int_equal(err, 0);
			assert_true(n > 25);
			return;
		}
	}
}

/* Once closing has begun, and between looks at the registers, nobody notices. */
static bool gone_or_unnoticed(int err)
{
	return err == ENODEV || !err;
}

/* C1, H3, W24, K4 */
static void registers_all_ones_at_any_access_mean_gone(void **state)
{
	lose_registers_at_each_access(UINT32_MAX, gone_or_unnoticed, 100 * MS);
}

static bool failed_or_unnoticed(int err)
{
	return err == ENODEV || err == ETIMEDOUT || err == ENOTSUP || err == EIO || !err;
}

/* C2, H3 */
static void registers_zero_at_any_access_do_not_hang(void **state)
{
	lose_registers_at_each_access(0, failed_or_unnoticed, 20 * SEC);
}

/* C2: no controller loses CSTS.RDY by itself and still answers */
static void ready_lost_during_a_command_means_failed(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct machine m;
	uint64_t begin;

	start_pair(&m, NULL, 4);
	add_fault(&m, EMU_LOSE, 1, OP_FLUSH);
	emu_nvme_fail_regs(m.nvme, 1, 0);
	begin = emu_now();
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ENODEV);
	assert_true(emu_now() - begin < 10 * MS);
	stop(&m);
}

#define CAP(mqes, to, dstrd, css, mpsmin, mpsmax) \
	((uint64_t)(mqes) | 1ULL << 16 | (uint64_t)(to) << 24 | (uint64_t)(dstrd) << 32 | \
	 (uint64_t)(css) << 37 | (uint64_t)(mpsmin) << 48 | (uint64_t)(mpsmax) << 52)

/* C3 */
static void capabilities_without_sense_are_refused(void **state)
{
	static const struct {
		uint64_t cap;
		int err;
	} cases[] = {
		{ CAP(0, 4, 0, 1, 0, 4), ENOTSUP },    /* queues of one entry */
		{ CAP(1023, 4, 0, 0, 0, 4), ENOTSUP }, /* no command set */
		{ CAP(1023, 4, 0, 0x3e, 0, 4), ENOTSUP },
		{ CAP(1023, 4, 0, 1, 1, 4), ENOTSUP }, /* pages larger than ours */
		{ CAP(1023, 4, 0, 1, 15, 15), ENOTSUP },
		{ CAP(1023, 4, 15, 1, 0, 4), EINVAL }, /* doorbells beyond BAR 0 */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct emu_nvme_opts opts = { .cap = cases[i].cap };
		struct emu_nvme *nvme = emu_nvme_add(&opts);

		failing_init_takes(nvme, cases[i].err);
		emu_fini();
		emu_init();
	}
}

/* C3: CAP.TO 0 still gives the controller some time */
static void ready_time_of_zero_is_half_a_second(void **state)
{
	const struct emu_nvme_opts opts = { .cap = CAP(1023, 0, 0, 1, 0, 4) };
	struct emu_nvme *nvme = emu_nvme_add(&opts);

	emu_nvme_set(nvme, EMU_NEVER_READY, true);
	assert_waited(failing_init_takes(nvme, ETIMEDOUT), SEC / 2);
}

/* V15 */
static void bar_without_doorbells_is_refused(void **state)
{
	const struct emu_nvme_opts small = { .pci.bar0_size = PAGE };
	const struct emu_nvme_opts absent = { .pci = { .bdf = EMU_BDF2, .bar0_absent = true } };
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(&small);
	emu_nvme_add(&absent);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), ENOTSUP);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF2, NULL), ENOTSUP);
}

/* ---- what is no controller that we can open ---- */

/* V3 */
static void other_class_is_refused_unopened(void **state)
{
	const struct emu_pci_opts opts = { .classcode = 0x020000 };
	struct nvme_ctrl ctrl = {};

	emu_pci_add(&opts);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), ENODEV);
	assert_int_equal(emu_call_count("open /dev/vfio"), 0);
	assert_non_null(strstr(vfn_last_error(), "not an NVMe controller"));
}

/* V4, W14 */
static void no_iommu_group_is_an_error_and_no_crash(void **state)
{
	const struct emu_nvme_opts opts = { .pci.no_group = true };
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(&opts);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), ENODEV);
	assert_non_null(strstr(vfn_last_error(), "iommu"));
	nvme_close(&ctrl);
}

/* V5, W14 */
static void no_vfio_is_an_error_and_no_crash(void **state)
{
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(NULL);
	emu_iommu()->no_vfio = emu_iommu()->no_iommufd = true;
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), ENODEV);
	nvme_close(&ctrl);
}

static void unknown_address_is_refused(void **state)
{
	struct nvme_ctrl ctrl = {};

	assert_fails_with(nvme_init(&ctrl, "0000:ff:1f.7", NULL), ENODEV);
	assert_fails_with(nvme_init(&ctrl, "nonsense", NULL), EINVAL);
	assert_fails_with(nvme_init(&ctrl, NULL, NULL), EINVAL);
}

/* W37 */
static void second_instance_of_a_controller_is_busy(void **state)
{
	struct nvme_ctrl second = {};
	struct emu_usage before;
	struct machine m;

	start(&m, NULL);
	before = emu_usage();
	assert_fails_with(nvme_init(&second, EMU_BDF, NULL), EBUSY);
	emu_assert_usage(&before);
	assert_int_equal(CSTS_VALUE(m.nvme), CSTS_RDY);
	nvme_close(&m.ctrl);
}

/* ---- again, and in parts ---- */

/* W22 */
static void init_of_an_open_controller_is_refused(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_fails_with(nvme_init(&m.ctrl, EMU_BDF, NULL), EALREADY);
	assert_int_equal(CSTS_VALUE(m.nvme), CSTS_RDY);
	nvme_close(&m.ctrl);
}

/* W22 */
static void init_after_a_failed_one_starts_fresh(void **state)
{
	const struct emu_usage nothing = {};
	struct nvme_ctrl ctrl = {};
	struct emu_nvme *nvme = emu_nvme_add(NULL);

	refuse(nvme, OP_IDENTIFY, 1);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), EIO);
	emu_assert_usage(&nothing);
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(emu_nvme_stats(nvme).enables, 2);
	nvme_close(&ctrl);
}

/* C13 */
static void set_features_refused_is_an_error(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);

	refuse(nvme, OP_SET_FEATURES, 1);
	failing_init_takes(nvme, EIO);
}

/* W7: the buffer stays while the controller may still write it */
static void identify_lost_times_out(void **state)
{
	const enum emu_fault_kind kinds[] = { EMU_LOSE, EMU_DROP };

	for (size_t i = 0; i < 2; i++) {
		struct emu_nvme *nvme = emu_nvme_add(NULL);
		struct nvme_ctrl ctrl = {};

		emu_nvme_fault(nvme, &(struct emu_fault){
					     .kind = kinds[i],
					     .qid = 0,
					     .opcode = OP_IDENTIFY,
				     });
		vfn_nvme_set_timeout(&ctrl, 500);
		assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), ETIMEDOUT);
		emu_assert_clean();
		emu_fini();
		emu_init();
	}
}

/* V22 */
static void preset_context_and_timeout_survive_a_failed_init(void **state)
{
	struct iommu_ctx *ctx = iommu_get_context("shared");
	struct nvme_ctrl ctrl = {};
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	uint64_t begin;

	assert_non_null(ctx);
	ctrl.pci.dev.ctx = ctx;
	vfn_nvme_set_timeout(&ctrl, 250);
	emu_nvme_set(nvme, EMU_CFS_AT_ENABLE, true);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), EIO);
	assert_ptr_equal(ctrl.pci.dev.ctx, ctx);

	emu_nvme_set(nvme, EMU_CFS_AT_ENABLE, false);
	emu_nvme_fault(nvme, &(struct emu_fault){
				     .kind = EMU_LOSE,
				     .qid = 0,
				     .opcode = OP_IDENTIFY,
			     });
	begin = emu_now();
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), ETIMEDOUT);
	assert_in_range(emu_now() - begin, 250 * MS, 300 * MS);
	assert_ptr_equal(ctrl.pci.dev.ctx, ctx);

	emu_nvme_clear_faults(nvme);
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
	assert_ptr_equal(ctrl.pci.dev.ctx, ctx);
	nvme_close(&ctrl);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void pci_init_then_init_is_one_bring_up(void **state)
{
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(NULL);
	assert_int_equal(nvme_pci_init(&ctrl, EMU_BDF), 0);
	assert_null(ctrl.regs);
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
	nvme_close(&ctrl);
}
#pragma GCC diagnostic pop

static void ctrl_init_leaves_the_controller_alone(void **state)
{
	const struct emu_nvme_opts opts = { .start_enabled = true };
	struct emu_nvme *nvme = emu_nvme_add(&opts);
	struct nvme_ctrl ctrl = {};

	assert_int_equal(nvme_ctrl_init(&ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(CSTS_VALUE(nvme), CSTS_RDY);
	assert_int_equal(ctrl.config.mqes, 1023);
	assert_int_equal(nvme_reset(&ctrl), 0);
	assert_int_equal(CSTS_VALUE(nvme), 0);
	nvme_close(&ctrl);
}

static void ctrl_init_in_place_keeps_its_own_options(void **state)
{
	const struct nvme_ctrl_opts opts = { .nsqr = 5, .ncqr = 6 };
	struct nvme_ctrl ctrl = {};
	struct emu_usage before;

	emu_nvme_add(NULL);
	assert_int_equal(nvme_ctrl_init(&ctrl, EMU_BDF, &opts), 0);
	before = emu_usage();
	assert_int_equal(nvme_configure_adminq(&ctrl, 0), 0);
	assert_int_equal(nvme_ctrl_init(&ctrl, EMU_BDF, &ctrl.opts), 0);
	emu_assert_usage(&before);
	assert_int_equal(ctrl.opts.nsqr, 5);
	assert_int_equal(ctrl.opts.ncqr, 6);
	assert_null(ctrl.adminq.sq);

	assert_int_equal(nvme_configure_adminq(&ctrl, 0), 0);
	assert_int_equal(nvme_enable(&ctrl), 0);
	nvme_close(&ctrl);
}

/* W7: queues are discarded, so the controller must not use them any more */
static void ctrl_init_in_place_of_an_enabled_controller_disables_it(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, &m.ctrl.opts), 0);
	assert_int_equal(CSTS_VALUE(m.nvme), 0);
	nvme_close(&m.ctrl);
}

static void ctrl_init_in_place_of_another_address_is_refused(void **state)
{
	const struct emu_nvme_opts other = { .pci.bdf = EMU_BDF2 };
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(NULL);
	emu_nvme_add(&other);
	assert_int_equal(nvme_ctrl_init(&ctrl, EMU_BDF, NULL), 0);
	assert_fails_with(nvme_ctrl_init(&ctrl, EMU_BDF2, NULL), EBUSY);
	assert_fails_with(nvme_ctrl_init(&ctrl, "nonsense", NULL), EINVAL);
	assert_string_equal(ctrl.pci.bdf, EMU_BDF);
	nvme_close(&ctrl);
}

static void reset_then_enable_brings_the_admin_queue_back(void **state)
{
	union nvme_cmd cmd = identify_cmd();
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	nvme_discard_sq(&m.ctrl, m.ctrl.adminq.sq);
	nvme_discard_cq(&m.ctrl, m.ctrl.adminq.cq);
	assert_int_equal(nvme_configure_adminq(&m.ctrl, 0), 0);
	assert_int_equal(nvme_enable(&m.ctrl), 0);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m.ctrl), &m.buf, PAGE, 0), 0);
	assert_int_equal(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, PAGE, NULL), 0);
	stop(&m);
}

static void calls_on_a_closed_controller_are_refused(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct nvme_ctrl ctrl = {};

	assert_fails_with(nvme_reset(&ctrl), ENODEV);
	assert_fails_with(nvme_enable(&ctrl), ENODEV);
	assert_error_has("the controller is closed");
	assert_fails_with(nvme_admin(&ctrl, &cmd, NULL, 0, NULL), ENODEV);
	assert_fails_with(nvme_aer(&ctrl, NULL), ENODEV);
	assert_fails_with(nvme_configure_adminq(&ctrl, 0), ENODEV);
	assert_fails_with(nvme_configure_cq(&ctrl, 1, 8, -1), ENODEV);
	assert_fails_with(nvme_configure_sq(&ctrl, 1, 8, NULL, 0), ENODEV);
	assert_fails_with(nvme_create_ioqpair(&ctrl, 1, 8, -1, 0), ENODEV);
	assert_fails_with(nvme_create_iosq(&ctrl, 1, 8, NULL, 0), ENODEV);
	assert_fails_with(nvme_delete_iosq(&ctrl, 1), ENOENT);
	assert_fails_with(nvme_delete_iocq(&ctrl, 1), ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(init_with_defaults_is_ready),
		test(init_with_options_asks_for_those),
		test(options_out_of_range_are_refused_before_any_call),
		test(options_of_the_largest_count_are_taken),
		test(fewer_queues_granted_are_used),
		test(more_queues_granted_than_asked_are_not_used),
		test(administrative_controller_has_no_io_queues),
		test(command_sets_offered_choose_cc_css),
		test(sgl_support_is_in_two_bits),
		test(found_enabled_is_disabled_first),
		test(found_with_fatal_status_is_disabled_first),
		test(enable_sets_bus_master_again),
		test(enable_configures_first),
		test(enable_without_bus_master_fails),
		test(never_ready_gives_up_after_cap_to),
		test(never_ready_gives_up_after_crto_where_longer),
		test(never_ready_gives_up_after_cap_to_where_crto_is_shorter),
		test(never_ready_gives_up_after_cap_to_where_crto_is_full),
		test(slow_controller_with_crto_becomes_ready),
		test(never_unready_gives_up_after_cap_to),
		test(waiting_for_ready_does_not_burn_the_cpu),
		test(fatal_status_at_enable_is_seen_within_10_ms),
		test(registers_all_ones_at_any_access_mean_gone),
		test(registers_zero_at_any_access_do_not_hang),
		test(ready_lost_during_a_command_means_failed),
		test(capabilities_without_sense_are_refused),
		test(ready_time_of_zero_is_half_a_second),
		test(bar_without_doorbells_is_refused),
		test(other_class_is_refused_unopened),
		test(no_iommu_group_is_an_error_and_no_crash),
		test(no_vfio_is_an_error_and_no_crash),
		test(unknown_address_is_refused),
		test(second_instance_of_a_controller_is_busy),
		test(init_of_an_open_controller_is_refused),
		test(init_after_a_failed_one_starts_fresh),
		test(set_features_refused_is_an_error),
		test(identify_lost_times_out),
		test(preset_context_and_timeout_survive_a_failed_init),
		test(pci_init_then_init_is_one_bring_up),
		test(ctrl_init_leaves_the_controller_alone),
		test(ctrl_init_in_place_keeps_its_own_options),
		test(ctrl_init_in_place_of_an_enabled_controller_disables_it),
		test(ctrl_init_in_place_of_another_address_is_refused),
		test(reset_then_enable_brings_the_admin_queue_back),
		test(calls_on_a_closed_controller_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
