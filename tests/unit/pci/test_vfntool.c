// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool, all of it but main()'s name, on the fake kernel. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

/* The build renames the tool's main(), and so this file's. */
#undef main
int vfntool_main(int argc, char **argv);

static char *out, *err;

/* Run "vfntool @line"; its output is in out and err. */
static int run(const char *line)
{
	FILE *real_out = stdout, *real_err = stderr;
	char *copy = strdup(line), *argv[16] = { (char *)"vfntool" };
	size_t out_size, err_size;
	int argc = 1, status;

	free(out);
	free(err);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;

	stdout = open_memstream(&out, &out_size);
	stderr = open_memstream(&err, &err_size);
	status = vfntool_main(argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = real_out;
	stderr = real_err;
	free(copy);

	return status;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

static int forget_output(void **state)
{
	free(out);
	free(err);
	out = err = NULL;

	return emu_teardown(state);
}

#define tool_test(name) cmocka_unit_test_setup_teardown(name, emu_setup, forget_output)

static const char *driver(void)
{
	return emu_pci_driver(emu_pci_find(EMU_BDF));
}

/* ------------------------------------------------------------ command line */

/* T1 */
static void line_wrong_is_usage_on_stderr(void **state)
{
	static const char *const lines[] = {
		"",
		"nonsense",
		"-x",
		"--nonsense",
		"-d",
		"-v",
		"-t vfio-pci",
		"--driver",
		"show",
		"bind",
		"unbind",
		"reset",
		"bind 1:2.3",
		"bind ../..",
		"-d 0000:01:00.8",
		"list 01:00.0",
		"list --dry-run",
		"list -t x",
		"list -d 01:00.0",
		"show 01:00.0 --all",
		"show 01:00.0 --dry-run",
		"bind 01:00.0 --json",
		"unbind 01:00.0 -t x",
		"reset 01:00.0 -t x",
		"bind 01:00.0 02:00.0",
		"bind 01:00.0 -d 01:00.0",
		"-d 01:00.0 -d 01:00.0",
		"list -j -j",
		"bind 01:00.0 x y",
		"list --json=1",
	};

	add_bound(EMU_BDF, "nvme");
	emu_calls_clear();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (run(lines[i]) != 2)
			fail_msg("no usage error: %s", lines[i]);
		assert_string_equal(out, "");
		assert_has(err, "usage: vfntool");
	}
	assert_string_equal(emu_calls(), "");
}

/* T1, T2 */
static void line_wrong_is_quoted(void **state)
{
	run("frobnicate");
	assert_has(err, "vfntool: unknown command: frobnicate\n");
	run("bind 1:2.3");
	assert_has(err, "1:2.3");
	run("list --frobnicate");
	assert_has(err, "--frobnicate");
	run("bind \x1b[31m");
	assert_has(err, "\\x1b[31m");
}

/* T10 */
static void help_names_every_command_and_option(void **state)
{
	static const char *const words[] = {
		"list",	     "show",
		"bind",	     "unbind",
		"reset",     "--device",
		"--driver",  "--all",
		"--json",    "--dry-run",
		"--verbose", "--help",
		"--version", "-d BDF [-t DRIVER] [-v]",
	};

	assert_int_equal(run("--help"), 0);
	assert_string_equal(err, "");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_has(out, words[i]);
	assert_int_equal(run("bind --help"), 0);
	assert_has(out, "usage: vfntool");
}

static void version_is_printed(void **state)
{
	assert_int_equal(run("--version"), 0);
	assert_string_equal(out, "vfntool " VFNTOOL_VERSION "\n");
}

/* --------------------------------------------------------- bind and reset */

static void bind_then_reset_comes_back(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_int_equal(run("bind 01:00.0"), 0);
	assert_string_equal(out, "");
	assert_string_equal(driver(), "vfio-pci");
	assert_int_equal(run("reset " EMU_BDF), 0);
	assert_string_equal(driver(), "nvme");
	assert_string_equal(err, "");
}

static void seed_form_binds_to_vfio_pci(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_int_equal(run("-d " EMU_BDF), 0);
	assert_string_equal(driver(), "vfio-pci");
	assert_int_equal(run("reset -d " EMU_BDF), 0);
	emu_driver_add("uio", 0);
	assert_int_equal(run("-v -d " EMU_BDF " -t uio"), 0);
	assert_string_equal(driver(), "uio");
	assert_has(out, EMU_BDF ": bind to uio\n");
}

static void unbind_takes_the_driver(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_int_equal(run("unbind " EMU_BDF), 0);
	assert_string_equal(driver(), "");
}

static void dry_run_changes_nothing(void **state)
{
	add_bound(EMU_BDF, "nvme");
	assert_int_equal(run("bind --dry-run " EMU_BDF), 0);
	assert_has(out, EMU_BDF ": would set driver_override to vfio-pci\n");
	assert_has(out, EMU_BDF ": would unbind from nvme\n");
	assert_string_equal(driver(), "nvme");
	assert_int_equal(emu_call_count("write"), 0);
}

/*
 * T4: to take a device from its driver is what vfntool has of this kind. Raw commands want a device
 * on vfio-pci, which nothing is mounted on (raw_command_needs_vfio). Confirmations of writes to whole
 * namespaces belong to the tools of the block layer, which come with it.
 */
static void mounted_device_is_refused_by_name(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_file("/proc/self/mountinfo", "31 22 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
	assert_int_equal(run("bind " EMU_BDF), 1);
	assert_string_equal(err, "vfntool: " EMU_BDF " is in use: nvme0n1 is mounted on /srv\n");
	assert_int_equal(run("unbind " EMU_BDF), 1);
	assert_int_equal(run("-d " EMU_BDF " -n"), 1);
	assert_string_equal(driver(), "nvme");
}

/* T9 */
static void without_root_is_one_line(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_dir(VFN_PCI_RECORD_DIR);
	emu_file_error("/sys/bus/pci/devices/" EMU_BDF "/driver_override", EACCES);
	emu_fail_at(EMU_PATH, 1000, EACCES);
	assert_int_equal(run("bind " EMU_BDF), 1);
	assert_has(err, EMU_BDF);
	assert_has(err, "Permission denied");
	assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
	emu_fail_at(0, 0, 0);
}

/* ---------------------------------------------------------------- signals */

static const char *signal_at;

/* A stdout that sends us SIGTERM as the step comes along. */
static ssize_t write_and_signal(void *cookie, const char *buf, size_t size)
{
	if (memmem(buf, size, signal_at, strlen(signal_at)))
		raise(SIGTERM);

	return (ssize_t)size;
}

static int run_signalled(const char *command, const char *step)
{
	const cookie_io_functions_t io = { .write = write_and_signal };
	char *argv[] = { (char *)"vfntool", (char *)command, (char *)EMU_BDF, (char *)"-v", NULL };
	FILE *real_out = stdout, *real_err = stderr;
	size_t err_size;
	int status;

	free(err);
	signal_at = step;
	stdout = fopencookie(NULL, "w", io);
	stderr = open_memstream(&err, &err_size);
	status = vfntool_main(4, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = real_out;
	stderr = real_err;

	return status;
}

/* L2, T5 */
static void signal_at_any_step_of_bind_undoes_it(void **state)
{
	static const char *const steps[] = {
		"record", "driver_override", "unbind", "bind to", "check that",
	};

	add_bound(EMU_BDF, "nvme");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(run_signalled("bind", steps[i]), 128 + SIGTERM);
		assert_has(err, "stopped");
		assert_string_equal(driver(), "nvme");
		assert_null(emu_file_content(RECORD));
		assert_string_equal(emu_file_content(DEV "/driver_override"), "(null)\n");
	}
	assert_int_equal(run_signalled("bind", "no such step"), 0);
	assert_int_equal(run_signalled("reset", "bind to"), 128 + SIGTERM);
	assert_string_equal(driver(), "vfio-pci");
}

/* T5 */
static void step_of_bind_that_fails_is_undone(void **state)
{
	static const unsigned int classes[] = { EMU_PATH, EMU_OPEN | EMU_WRITE };
	unsigned int failures = 0;

	add_bound(EMU_BDF, "nvme");
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		for (unsigned int n = 1;; n++) {
			int status;

			emu_fail_at(classes[i], n, EIO);
			status = run("bind " EMU_BDF);
			if (!emu_fail_fired())
				break;
			failures++;
			assert_string_equal(driver(), status ? "nvme" : "vfio-pci");
			if (status)
				assert_has(err, EMU_BDF);
			emu_fail_at(0, 0, 0);
			if (!status)
				assert_int_equal(run("reset " EMU_BDF), 0);
		}
		emu_fail_at(0, 0, 0);
		assert_int_equal(run("reset " EMU_BDF), 0);
	}
	assert_true(failures > 10);
}

struct kills {
	unsigned int count, bad;
};

/* A stdout at which, step by step, a twin of this process is killed; its successor runs reset. */
static ssize_t write_and_reset(void *cookie, const char *buf, size_t size)
{
	char *argv[] = { (char *)"vfntool", (char *)"reset", (char *)EMU_BDF, NULL };
	bool recorded = emu_file_content(RECORD);
	struct kills *kills = cookie;
	int status = 1;
	pid_t twin = fork();

	if (!twin) {
		stdout = stderr = fopen("/dev/null", "w");
		/* before there is a record, nothing has changed */
		if (recorded && vfntool_main(3, argv))
			_exit(1);
		_exit(strcmp(driver(), "nvme") || emu_file_content(RECORD) ||
		      strcmp(emu_file_content(DEV "/driver_override"), "(null)\n"));
	}
	if (waitpid(twin, &status, 0) != twin || status)
		kills->bad++;
	kills->count++;

	return (ssize_t)size;
}

/* T5 */
static void reset_restores_after_a_kill_at_any_step_of_bind(void **state)
{
	const cookie_io_functions_t io = { .write = write_and_reset };
	char *argv[] = { (char *)"vfntool", (char *)"bind", (char *)EMU_BDF, (char *)"-v", NULL };
	FILE *real_out = stdout;
	struct kills kills = {};
	int status;

	add_bound(EMU_BDF, "nvme");
	stdout = fopencookie(&kills, "w", io);
	status = vfntool_main(4, argv);
	fclose(stdout);
	stdout = real_out;
	assert_int_equal(status, 0);
	assert_int_equal(kills.bad, 0);
	assert_true(kills.count >= 5);
	assert_string_equal(driver(), "vfio-pci");
}

/* ------------------------------------------------------------ raw commands */

/* T4 */
static void raw_command_needs_vfio(void **state)
{
	static const char *const lines[] = {
		"admin-passthru 01:00.0 --opcode 0x80",
		"io-passthru 01:00.0 --opcode 1 --data 00",
		"regs 01:00.0",
	};

	add_bound(EMU_BDF, "nvme");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(run(lines[i]), 1);
		assert_string_equal(out, "");
		assert_has(err, EMU_BDF " is bound to nvme");
		assert_has(err, "vfntool bind");
	}
	assert_int_equal(emu_call_count("mmap"), 0);
}

/* T9 */
static void raw_command_without_root_is_one_line(void **state)
{
	add_bound(EMU_BDF, "vfio-pci");
	emu_file_error("/dev/vfio/vfio", EACCES);
	assert_int_equal(run("admin-passthru " EMU_BDF " --opcode 6"), 1);
	assert_string_equal(out, "");
	assert_has(err, "no permission to open /dev/vfio/vfio");
	assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
}

/* ----------------------------------------------------------- list and show */

static void list_shows_nvme_only_unless_all(void **state)
{
	struct emu_pci_opts nic = { .bdf = EMU_BDF2, .classcode = 0x020000, .driver = "e1000e" };

	add_bound(EMU_BDF, "nvme");
	emu_pci_add(&nic);
	assert_int_equal(run("list"), 0);
	assert_has(out, EMU_BDF "  1b36:0010");
	assert_null(strstr(out, EMU_BDF2));
	assert_int_equal(run("list --all"), 0);
	assert_has(out, EMU_BDF2 "  1b36:0010");
	assert_has(out, "e1000e");
}

static void list_without_nvme_says_so(void **state)
{
	assert_int_equal(run("list"), 0);
	assert_string_equal(out, "");
	assert_has(err, "list --all");
	assert_int_equal(run("list --json"), 0);
	assert_string_equal(out, "[]\n");
	assert_string_equal(err, "");
}

static void list_names_group_members_and_users(void **state)
{
	struct emu_pci_opts opts[] = {
		{ .bdf = EMU_BDF, .group = 5, .driver = "nvme" },
		{ .bdf = "0000:01:00.1", .group = 5, .driver = "snd", .classcode = 0x040300 },
	};

	emu_pci_add(&opts[0]);
	emu_pci_add(&opts[1]);
	emu_file("/proc/self/mountinfo", "31 22 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
	assert_int_equal(run("list"), 0);
	assert_has(out, "group also has 0000:01:00.1 (snd)\n");
	assert_has(out, "nvme0n1 is mounted on /srv\n");
}

static void list_json_is_complete(void **state)
{
	struct emu_pci_opts opts = { .group = 5, .driver = "nvme", .numa_node = -1 };

	emu_pci_add(&opts);
	assert_int_equal(run("list --json"), 0);
	assert_string_equal(out, "[\n"
				 "  {\n"
				 "    \"bdf\": \"0000:01:00.0\",\n"
				 "    \"vendor\": \"0x1b36\",\n"
				 "    \"vendor_name\": null,\n"
				 "    \"device\": \"0x0010\",\n"
				 "    \"device_name\": null,\n"
				 "    \"driver\": \"nvme\",\n"
				 "    \"numa_node\": null,\n"
				 "    \"iommu_group\": 5,\n"
				 "    \"group_members\": [],\n"
				 "    \"block_devices\": [\n"
				 "      {\n"
				 "        \"name\": \"nvme0n1\",\n"
				 "        \"use\": null\n"
				 "      }\n"
				 "    ]\n"
				 "  }\n"
				 "]\n");
}

/* T7; some terminals obey U+0080 to U+009F, too */
static void hostile_driver_is_escaped(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_link(DEV "/driver", "../../x\x1b[31m\xc2\x9b"
				"2J");
	emu_dir("/sys/devices/\x1b]0;\xc2\x90");
	emu_link(DEV "/physfn", "/sys/devices/\x1b]0;\xc2\x90");
	assert_int_equal(run("list"), 0);
	assert_has(out, "  x\\x1b[31m\\xc2\\x9b2J ");
	assert_int_equal(run("list --json"), 0);
	assert_has(out, "\"x\\u001b[31m\\u009b2J\"");
	assert_int_equal(run("show " EMU_BDF), 0);
	assert_has(out, "virtual function of \\x1b]0;\\xc2\\x90\n");
}

/* T7: a mount point may hold anything but NUL */
static void hostile_mount_point_is_escaped(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_file("/proc/self/mountinfo",
		 "31 22 259:0 / /a\"\\134\\012\x1b[31m\xc3(\xed\xa0\x80\xc3\xa9\xf0\x9f\x92\xbe\xff"
		 " rw - ext4 /dev/nvme0n1 rw\n");
	assert_int_equal(run("list --json"), 0);
	assert_has(out, "\"mounted on /a\\\"\\\\\\u000a\\u001b[31m\\ufffd(\\ufffd\\ufffd\\ufffd"
			"\xc3\xa9\xf0\x9f\x92\xbe\\ufffd\"");
	assert_int_equal(run("list"), 0);
	assert_has(
		out,
		"mounted on /a\"\\\\x0a\\x1b[31m\\xc3(\\xed\\xa0\\x80\xc3\xa9\xf0\x9f\x92\xbe\\xff\n");
	assert_int_equal(run("bind " EMU_BDF), 1);
	assert_null(strchr(err, '\x1b'));
	assert_null(strstr(err, "\xff"));
}

static void show_tells_record_and_regions(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_file(DEV "/resource", "0x00000000fe000000 0x00000000fe003fff 0x0000000000140204\n");
	assert_int_equal(run("bind " EMU_BDF), 0);
	assert_int_equal(run("show " EMU_BDF), 0);
	assert_has(out, "driver           vfio-pci\n");
	assert_has(out, "driver override  vfio-pci\n");
	assert_has(out, "reset gives it   driver nvme, override none\n");
	assert_has(out, "IOMMU interface  type1\n");
	assert_has(out, "because          " EMU_BDF " has no VFIO device file");
	assert_has(out, "VFIO group       /dev/vfio/100\n");
	assert_has(out, "BAR 0            0xfe000000, 16384 bytes, memory, 64 bits\n");

	assert_int_equal(run("show --json " EMU_BDF), 0);
	assert_has(
		out,
		"\"recorded\": {\n    \"driver\": \"nvme\",\n    \"driver_override\": null\n  }");
	assert_has(out, "\"iommu_interface\": \"type1\"");
	assert_has(out, "\"iommu_reason\": \"" EMU_BDF " has no VFIO device file");
	assert_has(out, "\"size\": 16384");
}

static void show_tells_group_function_and_users(void **state)
{
	struct emu_pci_opts opts[] = {
		{ .bdf = EMU_BDF, .group = 5, .driver = "nvme", .sriov_totalvfs = 1 },
		{ .bdf = EMU_BDF2, .group = 5, .driver = "vfio-pci" },
	};

	emu_pci_add(&opts[0]);
	emu_pci_add(&opts[1]);
	emu_link("/sys/bus/pci/devices/" EMU_BDF2 "/physfn", "../" EMU_BDF);
	emu_iommu()->no_iommufd = false;
	emu_file("/sys/bus/pci/devices/" EMU_BDF2 "/msi_irqs/40", "msi\n");
	emu_file("/proc/self/mountinfo", "31 22 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");

	assert_int_equal(run("show " EMU_BDF), 0);
	assert_has(out, "also in group    " EMU_BDF2 " vfio-pci\n");
	assert_has(out, "block device     nvme0n1 mounted on /srv\n");
	assert_has(out, "reset gives it   -\n");
	assert_has(out, "IOMMU interface  -\n");
	assert_has(out, "because          -\n");

	assert_int_equal(run("show " EMU_BDF2), 0);
	assert_has(out, "virtual function of " EMU_BDF "\n");
	assert_has(out, "IOMMU interface  iommufd\n");
	assert_has(out, "because          " EMU_BDF2 " has a character device");
	assert_has(out, "VFIO device      vfio0\n");
	assert_has(out, "MSI vectors      1 in use\n");

	assert_int_equal(run("show --json " EMU_BDF2), 0);
	assert_has(out, "\"bdf\": \"" EMU_BDF "\",\n      \"driver\": \"nvme\"\n");
	assert_has(out, "\"physical_function\": \"" EMU_BDF "\"");
	assert_has(out, "\"vfio_device\": \"vfio0\"");
	assert_has(out, "\"recorded\": null");
}

static void show_absent_device_fails_without_output(void **state)
{
	assert_int_equal(run("show ff:1f.7 --json"), 1);
	assert_string_equal(out, "");
	assert_has(err, "0000:ff:1f.7: no such PCI device");
}

/* T7: valid or none, whatever fails underneath */
static void list_json_failing_at_n_is_whole_or_nothing(void **state)
{
	unsigned int n;

	add_bound(EMU_BDF, "nvme");
	for (n = 1;; n++) {
		int status;

		emu_fail_at(EMU_INIT, n, EIO);
		status = run("list --json");
		if (!emu_fail_fired())
			break;
		if (status) {
			assert_int_equal(status, 1);
			assert_string_equal(out, "");
		} else {
			assert_has(out, "]\n");
		}
	}
	emu_fail_at(0, 0, 0);
	assert_true(n > 40);
}

/* T3 */
static void full_disk_is_an_error(void **state)
{
	FILE *real_out = stdout, *real_err = stderr;
	char *argv[] = { (char *)"vfntool", (char *)"--help", NULL };
	size_t err_size;
	int status;

	stdout = fopen("/dev/full", "w");
	assert_non_null(stdout);
	stderr = open_memstream(&err, &err_size);
	status = vfntool_main(2, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = real_out;
	stderr = real_err;
	assert_int_equal(status, 1);
	assert_has(err, "No space left");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tool_test(line_wrong_is_usage_on_stderr),
		tool_test(line_wrong_is_quoted),
		tool_test(help_names_every_command_and_option),
		tool_test(version_is_printed),
		tool_test(bind_then_reset_comes_back),
		tool_test(seed_form_binds_to_vfio_pci),
		tool_test(unbind_takes_the_driver),
		tool_test(dry_run_changes_nothing),
		tool_test(mounted_device_is_refused_by_name),
		tool_test(without_root_is_one_line),
		tool_test(signal_at_any_step_of_bind_undoes_it),
		tool_test(step_of_bind_that_fails_is_undone),
		tool_test(reset_restores_after_a_kill_at_any_step_of_bind),
		tool_test(raw_command_needs_vfio),
		tool_test(raw_command_without_root_is_one_line),
		tool_test(list_shows_nvme_only_unless_all),
		tool_test(list_without_nvme_says_so),
		tool_test(list_names_group_members_and_users),
		tool_test(list_json_is_complete),
		tool_test(hostile_driver_is_escaped),
		tool_test(hostile_mount_point_is_escaped),
		tool_test(show_tells_record_and_regions),
		tool_test(show_tells_group_function_and_users),
		tool_test(show_absent_device_fails_without_output),
		tool_test(list_json_failing_at_n_is_whole_or_nothing),
		tool_test(full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
