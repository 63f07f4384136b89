// SPDX-License-Identifier: GPL-2.0-or-later
/* Handing a function over and back: what is recorded, restored, refused. */
#include <fcntl.h>

#include "os/os.h"

#include "machine.h"

static const char *override_of(const char *bdf)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);

	return emu_file_content(path);
}

static void assert_state(const char *driver, const char *override, const char *record)
{
	char line[64];

	assert_string_equal(emu_pci_driver(emu_pci_find(EMU_BDF)), driver);
	snprintf(line, sizeof(line), "%s\n", override ? override : "(null)");
	assert_string_equal(override_of(EMU_BDF), line);
	if (record)
		assert_string_equal(emu_file_content(RECORD), record);
	else
		assert_null(emu_file_content(RECORD));
}

#define RECORDED "driver=nvme\ndriver_override=\nbound=vfio-pci\n"

/* W39: and back */
static void bind_then_restore_comes_back(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_int_equal(vfn_pci_bind_driver("01:00.0", "vfio-pci", NULL), 0);
	assert_state("vfio-pci", "vfio-pci", RECORDED);
	assert_int_equal(vfn_pci_restore_driver(EMU_BDF, NULL), 0);
	assert_state("nvme", NULL, NULL);
}

/* W39: driver_override, never new_id */
static void bind_leaves_identical_neighbour_alone(void **state)
{
	struct emu_pci *bound, *unbound;

	add_bound(EMU_BDF, "nvme");
	bound = add_bound(EMU_BDF2, "nvme");
	unbound = add_bound(EMU_BDF3, "");
	emu_calls_clear();
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
	assert_string_equal(emu_pci_driver(bound), "nvme");
	assert_string_equal(emu_pci_driver(unbound), "");
	assert_string_equal(override_of(EMU_BDF2), "(null)\n");
	assert_null(strstr(emu_calls(), "new_id"));
}

static void bind_records_before_it_touches(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_calls_clear();
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
	emu_assert_order("write_file " RECORD, "driver_override < vfio-pci", "unbind < " EMU_BDF,
			 "bind < " EMU_BDF, NULL);
}

static void bind_of_what_is_bound_does_nothing(void **state)
{
	add_bound(EMU_BDF, "vfio-pci");
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
	assert_state("vfio-pci", NULL, NULL);
	assert_int_equal(emu_call_count("sysfs"), 0);
}

static void restore_brings_back_override_of_before(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_int_equal(pci_unbind(EMU_BDF), 0);
	emu_driver_add("special", 0);
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "special", NULL), 0);
	assert_state("special", "special", "driver=\ndriver_override=\nbound=special\n");
	assert_int_equal(vfn_pci_restore_driver(EMU_BDF, NULL), 0);
	assert_state("", NULL, NULL);
}

static void changes_in_a_row_keep_the_first_record(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_driver_add("uio", 0);
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "uio", NULL), 0);
	assert_int_equal(vfn_pci_unbind_driver(EMU_BDF, NULL), 0);
	assert_state("", "uio", "driver=nvme\ndriver_override=\nbound=\n");
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
	assert_state("vfio-pci", "vfio-pci", RECORDED);
	assert_int_equal(vfn_pci_restore_driver(EMU_BDF, NULL), 0);
	assert_state("nvme", NULL, NULL);
}

static void record_of_another_driver_is_stale(void **state)
{
	emu_driver_add("uio", 0);
	emu_driver_add("mine", 0);
	add_bound(EMU_BDF, "uio");
	emu_file(RECORD, "driver=mine\ndriver_override=\nbound=vfio-pci\n");
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
	assert_state("vfio-pci", "vfio-pci", "driver=uio\ndriver_override=\nbound=vfio-pci\n");
}

static void unbind_then_restore_comes_back(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_int_equal(vfn_pci_unbind_driver(EMU_BDF, NULL), 0);
	assert_state("", NULL, "driver=nvme\ndriver_override=\nbound=\n");
	assert_int_equal(vfn_pci_unbind_driver(EMU_BDF, NULL), 0);
	assert_int_equal(vfn_pci_restore_driver(EMU_BDF, NULL), 0);
	assert_state("nvme", NULL, NULL);
}

/* --------------------------------------------------------------- refusals */

static void restore_without_record_is_enoent(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_fails_with(vfn_pci_restore_driver(EMU_BDF, NULL), ENOENT);
	assert_error_has("nothing is recorded");
}

static void record_damaged_is_eproto_and_nothing_touched(void **state)
{
	static const char *const damaged[] = {
		"",
		"x",
		"driver=nvme",
		"driver=nvme\ndriver_override=\n",
		"driver=nvme\nbound=\ndriver_override=\n",
		RECORDED "more\n",
		"driver=../../evil\ndriver_override=\nbound=\n",
		"driver=..\ndriver_override=\nbound=\n",
	};
	struct vfn_pci_record record;

	add_bound(EMU_BDF, "nvme");
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		emu_file(RECORD, damaged[i]);
		assert_fails_with(vfn_pci_get_record(EMU_BDF, &record), EPROTO);
		assert_fails_with(vfn_pci_restore_driver(EMU_BDF, NULL), EPROTO);
		assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), EPROTO);
		assert_error_has(RECORD);
	}
	assert_int_equal(emu_call_count("sysfs"), 0);
}

static void bind_without_module_says_modprobe(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_remove("/sys/bus/pci/drivers/vfio-pci");
	assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), ENOENT);
	assert_error_has("modprobe vfio-pci");
	assert_state("nvme", NULL, NULL);
}

static void bind_without_group_gives_hint(void **state)
{
	struct emu_pci_opts opts = { .no_group = true, .driver = "nvme" };

	emu_pci_add(&opts);
	assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), ENODEV);
	assert_error_has("intel_iommu=on");
	assert_state("nvme", NULL, NULL);
}

static void bind_of_bridge_is_refused(void **state)
{
	struct emu_pci_opts opts = { .classcode = 0x060400, .driver = "pcieport" };

	emu_pci_add(&opts);
	assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), EINVAL);
	assert_error_has("bridge");
	assert_fails_with(vfn_pci_unbind_driver(EMU_BDF, NULL), EINVAL);
	assert_state("pcieport", NULL, NULL);
}

static void change_of_mounted_device_is_refused_by_name(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_file("/proc/self/mountinfo", "31 22 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
	assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), EBUSY);
	assert_error_has("nvme0n1 is mounted on /srv");
	assert_fails_with(vfn_pci_unbind_driver(EMU_BDF, NULL), EBUSY);
	assert_state("nvme", NULL, NULL);
	assert_int_equal(emu_call_count("sysfs"), 0);
}

static void restore_of_open_group_is_refused(void **state)
{
	struct emu_pci_opts opts = { .group = 9, .driver = "nvme" };
	int fd;

	emu_dir("/run");
	emu_pci_add(&opts);
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
	fd = os_open("/dev/vfio/9", O_RDWR);
	assert_true(fd >= 0);
	assert_fails_with(vfn_pci_restore_driver(EMU_BDF, NULL), EBUSY);
	assert_error_has("/dev/vfio/9 is open");
	assert_state("vfio-pci", "vfio-pci", RECORDED);
	os_close(fd);
	assert_int_equal(vfn_pci_restore_driver(EMU_BDF, NULL), 0);
}

static void bind_refused_by_driver_is_undone(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_driver_add("uio", 0);
	/* a driver that says yes and does nothing, as older kernels have it */
	emu_remove("/sys/bus/pci/drivers/uio/bind");
	emu_file("/sys/bus/pci/drivers/uio/bind", "");
	assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "uio", NULL), ENODEV);
	assert_error_has("bind to uio");
	assert_state("nvme", NULL, NULL);
}

static void restore_to_driver_that_is_gone_changes_nothing(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
	emu_remove("/sys/bus/pci/drivers/nvme");
	assert_fails_with(vfn_pci_restore_driver(EMU_BDF, NULL), ENOENT);
	assert_error_has("modprobe nvme");
	assert_state("vfio-pci", "vfio-pci", RECORDED);
}

/* ------------------------------------------------------------- fail at n */

static int bind(void *arg)
{
	int ret = vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL);
	int saved = errno;

	if (ret) {
		assert_state("nvme", NULL, NULL);
		assert_error_has(EMU_BDF);
	} else {
		assert_state("vfio-pci", "vfio-pci", RECORDED);
	}
	errno = saved;

	return ret;
}

static int unbind(void *arg)
{
	int ret = vfn_pci_unbind_driver(EMU_BDF, NULL);
	int saved = errno;

	if (ret)
		assert_state("nvme", NULL, NULL);
	errno = saved;

	return ret;
}

static void undo(void *arg)
{
	assert_int_equal(vfn_pci_restore_driver(EMU_BDF, NULL), 0);
	assert_state("nvme", NULL, NULL);
}

/* T5 */
static void bind_failing_at_n_is_undone_with_its_errno(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_true(emu_fail_each(EMU_SYSCALL, EIO, bind, undo, NULL) >= 25);
	assert_true(emu_fail_each(EMU_SYSCALL, EACCES, bind, undo, NULL) >= 25);
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, bind, undo, NULL) >= 25);
	assert_true(emu_fail_each(EMU_UNDO, EINTR, bind, undo, NULL) >= 5);
}

static void unbind_failing_at_n_is_undone_with_its_errno(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_true(emu_fail_each(EMU_SYSCALL, EIO, unbind, undo, NULL) >= 20);
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, unbind, undo, NULL) >= 20);
}

/* A bind over an earlier one: the earlier state and its record come back. */
static void second_bind_failing_at_n_keeps_first_record(void **state)
{
	unsigned int n;

	add_bound(EMU_BDF, "nvme");
	emu_driver_add("uio", 0);
	for (n = 1;; n++) {
		assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "uio", NULL), 0);
		emu_fail_at(EMU_WRITE | EMU_PATH, n, EIO);
		if (vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL)) {
			assert_int_equal(errno, EIO);
			assert_state("uio", "uio", "driver=nvme\ndriver_override=\nbound=uio\n");
		}
		if (!emu_fail_fired())
			break;
		emu_fail_at(0, 0, 0);
		undo(NULL);
	}
	assert_true(n > 10);
	assert_state("vfio-pci", "vfio-pci", RECORDED);
}

static void restore_failing_at_n_can_be_repeated(void **state)
{
	unsigned int n;

	add_bound(EMU_BDF, "nvme");
	for (n = 1;; n++) {
		int ret;

		assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
		emu_fail_at(EMU_INIT, n, EIO);
		ret = vfn_pci_restore_driver(EMU_BDF, NULL);
		if (!emu_fail_fired())
			break;
		if (ret) {
			assert_true(errno == EIO || errno == ENOMEM);
			if (!strncmp(emu_fail_call(), "unlink", 6))
				assert_state("nvme", NULL, RECORDED);
			else if (strcmp(emu_pci_driver(emu_pci_find(EMU_BDF)), "nvme"))
				assert_state("vfio-pci", "vfio-pci", RECORDED);
			emu_fail_at(0, 0, 0);
			undo(NULL);
		}
		emu_fail_at(0, 0, 0);
		assert_state("nvme", NULL, NULL);
	}
	assert_true(n > 30);
	emu_fail_at(0, 0, 0);
}

static void undo_that_fails_as_well_is_told(void **state)
{
	add_bound(EMU_BDF, "nvme");
	/* neither driver takes the device */
	emu_file_error("/sys/bus/pci/drivers/vfio-pci/bind", EIO);
	emu_file_error("/sys/bus/pci/drivers/nvme/bind", EIO);
	assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), EIO);
	assert_error_has("bind to vfio-pci");
	assert_error_has("could not be given back to nvme");
}

/* ------------------------------------------------------- steps and dry run */

struct script {
	char text[1024];
	int stop_at;
};

static int note(const char *bdf, const char *step, void *arg)
{
	struct script *script = arg;

	assert_string_equal(bdf, EMU_BDF);
	strcat(script->text, step);
	strcat(script->text, "; ");

	return script->stop_at && !--script->stop_at;
}

#define BIND_STEPS \
	"record driver nvme in /run/libvfn; set driver_override to vfio-pci; " \
	"unbind from nvme; bind to vfio-pci; check that vfio-pci has it; "

static void dry_run_tells_the_steps_and_changes_nothing(void **state)
{
	struct script dry_script = {}, script = {}, reset = {};
	struct vfn_pci_steps dry = { .dry_run = true, .report = note, .arg = &dry_script };
	struct vfn_pci_steps steps = { .report = note, .arg = &script };

	add_bound(EMU_BDF, "nvme");
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", &dry), 0);
	assert_string_equal(dry_script.text, BIND_STEPS);
	assert_state("nvme", NULL, NULL);
	assert_int_equal(emu_call_count("sysfs"), 0);
	assert_int_equal(emu_call_count("write"), 0);
	assert_int_equal(emu_call_count("mkdir"), 0);

	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", &steps), 0);
	assert_string_equal(script.text, BIND_STEPS);

	dry.arg = &reset;
	assert_int_equal(vfn_pci_restore_driver(EMU_BDF, &dry), 0);
	assert_string_equal(reset.text, "clear driver_override; unbind from vfio-pci; "
					"bind to nvme; check that nvme has it; drop the record; ");
	assert_state("vfio-pci", "vfio-pci", RECORDED);
}

static void dry_run_refuses_what_the_change_would(void **state)
{
	struct vfn_pci_steps dry = { .dry_run = true };

	add_bound(EMU_BDF, "nvme");
	emu_file("/proc/self/mountinfo", "31 22 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
	assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", &dry), EBUSY);
	assert_fails_with(vfn_pci_unbind_driver(EMU_BDF, &dry), EBUSY);
	assert_fails_with(vfn_pci_bind_driver(EMU_BDF, "uio", &dry), ENOENT);
}

/* L2, T5 */
static void bind_called_off_at_any_step_is_undone(void **state)
{
	int n;

	add_bound(EMU_BDF, "nvme");
	for (n = 1;; n++) {
		struct script script = { .stop_at = n };
		struct vfn_pci_steps steps = { .report = note, .arg = &script };

		if (!vfn_pci_bind_driver(EMU_BDF, "vfio-pci", &steps))
			break;
		assert_int_equal(errno, ECANCELED);
		assert_state("nvme", NULL, NULL);
	}
	assert_int_equal(n, 6);
	assert_state("vfio-pci", "vfio-pci", RECORDED);
}

/* L2 */
static void restore_called_off_at_any_step_is_undone(void **state)
{
	int n;

	add_bound(EMU_BDF, "nvme");
	assert_int_equal(vfn_pci_bind_driver(EMU_BDF, "vfio-pci", NULL), 0);
	for (n = 1;; n++) {
		struct script script = { .stop_at = n };
		struct vfn_pci_steps steps = { .report = note, .arg = &script };

		if (!vfn_pci_restore_driver(EMU_BDF, &steps))
			break;
		assert_int_equal(errno, ECANCELED);
		assert_state("vfio-pci", "vfio-pci", RECORDED);
	}
	assert_int_equal(n, 5);
	assert_state("nvme", NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(bind_then_restore_comes_back),
		test(bind_leaves_identical_neighbour_alone),
		test(bind_records_before_it_touches),
		test(bind_of_what_is_bound_does_nothing),
		test(restore_brings_back_override_of_before),
		test(changes_in_a_row_keep_the_first_record),
		test(record_of_another_driver_is_stale),
		test(unbind_then_restore_comes_back),
		test(restore_without_record_is_enoent),
		test(record_damaged_is_eproto_and_nothing_touched),
		test(bind_without_module_says_modprobe),
		test(bind_without_group_gives_hint),
		test(bind_of_bridge_is_refused),
		test(change_of_mounted_device_is_refused_by_name),
		test(restore_of_open_group_is_refused),
		test(bind_refused_by_driver_is_undone),
		test(restore_to_driver_that_is_gone_changes_nothing),
		test(bind_failing_at_n_is_undone_with_its_errno),
		test(unbind_failing_at_n_is_undone_with_its_errno),
		test(second_bind_failing_at_n_keeps_first_record),
		test(restore_failing_at_n_can_be_repeated),
		test(undo_that_fails_as_well_is_told),
		test(dry_run_tells_the_steps_and_changes_nothing),
		test(dry_run_refuses_what_the_change_would),
		test(bind_called_off_at_any_step_is_undone),
		test(restore_called_off_at_any_step_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
