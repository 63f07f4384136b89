// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices: found, described, and who uses their block devices. */
#include <fcntl.h>

#include "os/os.h"

#include "machine.h"

/* What a walk came by: "name=value," for each visit. */
struct trail {
	char text[1024];
	int stop_after;
};

static int leave(struct trail *trail, const char *name, const char *value)
{
	size_t len = strlen(trail->text);

	snprintf(trail->text + len, sizeof(trail->text) - len, "%s=%s,", name, value ? value : "-");

	return trail->stop_after && !--trail->stop_after ? 7 : 0;
}

static int visit(const char *name, const char *value, void *arg)
{
	return leave(arg, name, value);
}

static int visit_device(const char *bdf, void *arg)
{
	return leave(arg, bdf, "");
}

static void assert_blocks(const char *expected)
{
	struct trail trail = {};

	assert_int_equal(vfn_pci_for_each_block(EMU_BDF, visit, &trail), 0);
	assert_string_equal(trail.text, expected);
}

static void devices_are_visited_in_order(void **state)
{
	struct trail trail = {};

	add_bound(EMU_BDF3, "");
	add_bound(EMU_BDF, "nvme");
	add_bound(EMU_BDF2, "vfio-pci");
	emu_dir("/sys/bus/pci/devices/10000:00:00.0");
	assert_int_equal(vfn_pci_for_each_device(visit_device, &trail), 0);
	assert_string_equal(trail.text, EMU_BDF "=," EMU_BDF2 "=," EMU_BDF3 "=,");
}

static void walk_that_is_stopped_returns_the_value(void **state)
{
	struct trail trail = { .stop_after = 1 };

	add_bound(EMU_BDF, "nvme");
	add_bound(EMU_BDF2, "vfio-pci");
	assert_int_equal(vfn_pci_for_each_device(visit_device, &trail), 7);
	assert_string_equal(trail.text, EMU_BDF "=,");
}

static void info_has_everything(void **state)
{
	struct emu_pci_opts opts = {
		.vendor = 0x8086,
		.device = 0x0a54,
		.subvendor = 0x1028,
		.subdevice = 0x1fe1,
		.numa_node = 1,
		.group = 44,
		.driver = "nvme",
	};
	struct vfn_pci_info info;

	emu_pci_add(&opts);
	emu_file(DEV "/irq", "11\n");
	emu_file(DEV "/msi_irqs/29", "msix\n");
	emu_file(DEV "/msi_irqs/30", "msix\n");
	emu_file(DEV "/resource", "0x00000000fe000000 0x00000000fe003fff 0x0000000000140204\n"
				  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				  "0x0000004000000000 0x0000004fffffffff 0x000000000014220c\n"
				  "0x000000000000d000 0x000000000000d000 0x0000000000040101\n"
				  "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n"
				  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				  "0x00000000ffff0000 0x00000000ffffffff 0x0000000000046200\n");

	assert_int_equal(vfn_pci_get_info("01:00.0", &info), 0);
	assert_string_equal(info.bdf, EMU_BDF);
	assert_int_equal(info.vendor, 0x8086);
	assert_int_equal(info.device, 0x0a54);
	assert_int_equal(info.subsystem_vendor, 0x1028);
	assert_int_equal(info.subsystem_device, 0x1fe1);
	assert_int_equal(info.classcode, 0x010802);
	assert_int_equal(info.revision, 2);
	assert_int_equal(info.numa_node, 1);
	assert_int_equal(info.iommu_group, 44);
	assert_string_equal(info.driver, "nvme");
	assert_null(info.driver_override);
	assert_int_equal(info.bars[0].start, 0xfe000000);
	assert_int_equal(info.bars[0].size, 0x4000);
	assert_int_equal(info.bars[1].size, 0);
	assert_int_equal(info.bars[2].size, 0x1000000000);
	assert_int_equal(info.bars[2].flags, 0x14220c);
	assert_int_equal(info.bars[3].size, 1);
	assert_int_equal(info.bars[4].size, 32);
	assert_int_equal(info.bars[5].size, 0);
	assert_int_equal(info.irq, 11);
	assert_int_equal(info.nr_vectors, 2);
	assert_true(info.msix);
	vfn_pci_put_info(&info);
	assert_null(info.driver);
}

static void group_of_number_zero_is_one(void **state)
{
	struct vfn_pci_info info;

	emu_pci_add(NULL);
	emu_link(DEV "/iommu_group", "../../../kernel/iommu_groups/0");
	errno = EIO;
	assert_int_equal(vfn_pci_get_info(EMU_BDF, &info), 0);
	assert_int_equal(info.iommu_group, 0);
	vfn_pci_put_info(&info);
}

static void info_of_a_node_that_cannot_be_read_fails(void **state)
{
	struct vfn_pci_info info;

	emu_pci_add(NULL);
	emu_file_error(DEV "/numa_node", EIO);
	assert_fails_with(vfn_pci_get_info(EMU_BDF, &info), EIO);
}

static void info_of_sparse_device_has_none(void **state)
{
	struct emu_pci_opts opts = { .no_group = true, .driver = "", .numa_node = -1 };
	struct vfn_pci_info info;

	emu_pci_add(&opts);
	emu_remove("/sys/devices/pci0000:00/" EMU_BDF "/subsystem_vendor");
	emu_remove("/sys/devices/pci0000:00/" EMU_BDF "/driver_override");
	assert_int_equal(vfn_pci_get_info(EMU_BDF, &info), 0);
	assert_int_equal(info.numa_node, -1);
	assert_int_equal(info.iommu_group, -1);
	assert_int_equal(info.subsystem_vendor, 0);
	assert_null(info.driver);
	assert_null(info.driver_override);
	assert_int_equal(info.nr_vectors, 0);
	vfn_pci_put_info(&info);
}

static void info_of_hostile_regions_is_bounded(void **state)
{
	static const char *const texts[] = {
		"", "\n\n", "zzz", "0x1 0x0 0x200\n", "0xffffffffffffffffffff 1 1", "1 2",
	};
	struct vfn_pci_info info;

	add_bound(EMU_BDF, "nvme");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		emu_file(DEV "/resource", texts[i]);
		assert_int_equal(vfn_pci_get_info(EMU_BDF, &info), 0);
		for (int bar = 0; bar < VFN_PCI_NUM_BARS; bar++)
			assert_int_equal(info.bars[bar].size, 0);
		vfn_pci_put_info(&info);
	}
}

static int get_info(void *arg)
{
	return vfn_pci_get_info(EMU_BDF, arg);
}

static void put_info(void *arg)
{
	vfn_pci_put_info(arg);
}

static void info_failing_at_n_leaves_nothing(void **state)
{
	struct vfn_pci_info info;

	add_bound(EMU_BDF, "nvme");
	emu_file(DEV "/msi_irqs/29", "msix\n");
	emu_file(DEV "/driver_override", "nvme\n");
	assert_true(emu_fail_each(EMU_SYSCALL, EIO, get_info, put_info, &info) >= 20);
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, get_info, put_info, &info) >= 20);
}

static void group_members_are_the_others(void **state)
{
	struct emu_pci_opts opts[] = {
		{ .bdf = EMU_BDF, .group = 5, .driver = "vfio-pci" },
		{ .bdf = "0000:01:00.1", .group = 5, .driver = "snd" },
		{ .bdf = "0000:01:00.2", .group = 5, .driver = "" },
		{ .bdf = EMU_BDF2, .group = 6 },
	};
	struct trail trail = {};

	for (size_t i = 0; i < sizeof(opts) / sizeof(opts[0]); i++)
		emu_pci_add(&opts[i]);

	assert_int_equal(vfn_pci_group_members(EMU_BDF, visit, &trail), 0);
	assert_string_equal(trail.text, "0000:01:00.1=snd,0000:01:00.2=-,");

	memset(&trail, 0, sizeof(trail));
	assert_int_equal(vfn_pci_group_members(EMU_BDF2, visit, &trail), 0);
	assert_string_equal(trail.text, "");
}

static void group_members_without_iommu_is_enodev(void **state)
{
	struct emu_pci_opts opts = { .no_group = true, .driver = "nvme" };

	emu_pci_add(&opts);
	assert_fails_with(vfn_pci_group_members(EMU_BDF, visit, NULL), ENODEV);
	assert_error_has("intel_iommu=on");
}

/* ------------------------------------------------------------ block devices */

static void blocks_idle_are_not_in_use(void **state)
{
	add_bound(EMU_BDF, "nvme");
	add_bound(EMU_BDF2, "nvme");
	add_partition("nvme0n1p2", "259:12\n");
	add_partition("nvme0n1p10", "259:20\n");
	emu_file("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
	assert_blocks("nvme0n1=-,nvme0n1p2=-,nvme0n1p10=-,");
	assert_int_equal(vfn_pci_check_idle(EMU_BDF), 0);
}

static void block_mounted_names_the_mount_point(void **state)
{
	add_bound(EMU_BDF, "nvme");
	add_partition("nvme0n1p1", "259:11\n");
	emu_file(
		"/proc/self/mountinfo",
		"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"30 22 259:1 / /other rw - ext4 /dev/nvme1n1 rw\n"
		"31 22 259:11 / /srv/with\\040blank\\134 rw,noatime shared:7 - ext4 /dev/nvme0n1p1 rw\n");
	assert_blocks("nvme0n1=-,nvme0n1p1=mounted on /srv/with blank\\,");
	assert_fails_with(vfn_pci_check_idle(EMU_BDF), EBUSY);
	assert_error_has(EMU_BDF " is in use: nvme0n1p1 is mounted on /srv/with blank");
}

/* btrfs has a device number of its own */
static void block_mounted_by_source_is_seen(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_file("/proc/self/mountinfo",
		 "31 22 0:44 /@ /data rw shared:7 master:1 - btrfs /dev/nvme0n1 rw,subvol=/@\n");
	assert_blocks("nvme0n1=mounted on /data,");
}

static void block_swap_is_in_use(void **state)
{
	add_bound(EMU_BDF, "nvme");
	add_partition("nvme0n1p1", "259:11\n");
	emu_file("/proc/swaps", "Filename\tType\t\tSize\tUsed\tPriority\n"
				"/dev/nvme0n1p1                          partition\t976\t0\t-2\n");
	assert_blocks("nvme0n1=-,nvme0n1p1=swap,");
	assert_fails_with(vfn_pci_check_idle(EMU_BDF), EBUSY);
	assert_error_has("nvme0n1p1 is swap");
}

static void block_with_holder_is_in_use(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_dir(BLOCK "nvme0n1/holders/dm-0");
	emu_file("/sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
	emu_link(BLOCK "dm-0", "../../devices/virtual/block/dm-0");
	assert_blocks("nvme0n1=held by dm-0 (vg-root),");

	emu_remove(BLOCK "nvme0n1/holders/dm-0");
	emu_dir(BLOCK "nvme0n1/holders/md127");
	assert_blocks("nvme0n1=held by md127,");
	assert_fails_with(vfn_pci_check_idle(EMU_BDF), EBUSY);
	assert_error_has("nvme0n1 is held by md127");
}

static void block_open_exclusively_is_in_use(void **state)
{
	add_bound(EMU_BDF, "nvme");
	emu_file_error("/dev/nvme0n1", EBUSY);
	assert_blocks("nvme0n1=-,");
	assert_fails_with(vfn_pci_check_idle(EMU_BDF), EBUSY);
	assert_error_has("nvme0n1 is open in another program");
}

static void listing_opens_no_device(void **state)
{
	struct trail trail = {};

	add_bound(EMU_BDF, "nvme");
	emu_calls_clear();
	assert_int_equal(vfn_pci_for_each_block(EMU_BDF, visit, &trail), 0);
	assert_int_equal(emu_call_count("open /dev/"), 0);
}

/* nvme0c0n1 is a hidden path of the head nvme0n1 below the subsystem */
static void multipath_head_belongs_to_each_of_its_paths(void **state)
{
	static const char subsys[] = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0";
	char path[128];

	add_bound(EMU_BDF, "nvme");
	add_bound(EMU_BDF2, "nvme");
	emu_file(BLOCK "nvme0n1/hidden", "1\n");
	snprintf(path, sizeof(path), "%s/nvme9n1/dev", subsys);
	emu_file(path, "259:77\n");
	emu_link(BLOCK "nvme9n1", "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme9n1");
	emu_link("/sys/class/nvme-subsystem/nvme-subsys0/nvme0",
		 "../../../pci0000:00/" EMU_BDF "/nvme/nvme0");
	emu_file("/sys/class/nvme-subsystem/nvme-subsys0/subsysnqn", "nqn\n");
	emu_file("/proc/self/mountinfo", "31 22 259:77 / /shared rw - ext4 /dev/nvme9n1 rw\n");

	assert_blocks("nvme9n1=mounted on /shared,");
	assert_fails_with(vfn_pci_check_idle(EMU_BDF), EBUSY);
	assert_error_has("nvme9n1 is mounted on /shared");
	assert_int_equal(vfn_pci_check_idle(EMU_BDF2), 0);
}

/* disks behind a bridge or a storage adapter belong to it as well */
static void block_deep_below_a_device_belongs_to_it(void **state)
{
	add_bound(EMU_BDF, "");
	emu_link(BLOCK "sda",
		 "../../devices/pci0000:00/" EMU_BDF "/ata1/host0/target0:0:0/block/sda");
	emu_file("/sys/devices/pci0000:00/" EMU_BDF "/ata1/host0/target0:0:0/block/sda/dev",
		 "8:0\n");
	emu_link(BLOCK "loop0", "../../devices/virtual/block/loop0");
	assert_blocks("sda=-,");
}

static void device_without_a_group_is_idle(void **state)
{
	struct emu_pci_opts opts = { .no_group = true, .driver = "vfio-pci" };

	emu_pci_add(&opts);
	assert_int_equal(vfn_pci_check_idle(EMU_BDF), 0);
}

static void device_whose_links_cannot_be_read_may_be_in_use(void **state)
{
	static const char *const links[] = { DEV "/driver", DEV "/iommu_group" };

	add_bound(EMU_BDF, "vfio-pci");
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(links); i++) {
		emu_file_error(links[i], EIO);
		assert_fails_with(vfn_pci_check_idle(EMU_BDF), EIO);
		emu_file_error(links[i], 0);
	}
	assert_int_equal(vfn_pci_check_idle(EMU_BDF), 0);
}

static void group_open_elsewhere_is_in_use(void **state)
{
	struct emu_pci_opts opts = { .group = 9, .driver = "vfio-pci" };
	int fd;

	emu_pci_add(&opts);
	assert_int_equal(vfn_pci_check_idle(EMU_BDF), 0);
	fd = os_open("/dev/vfio/9", O_RDWR);
	assert_true(fd >= 0);
	assert_fails_with(vfn_pci_check_idle(EMU_BDF), EBUSY);
	assert_error_has("/dev/vfio/9 is open in another program");
	os_close(fd);
}

static void hostile_tables_are_harmless(void **state)
{
	static const char *const tables[] = {
		"\n\n\n",
		"1",
		"1 2 259:0",
		"1 2 259:0 / ",
		" - ",
		"a b c d e - ",
		"1 2 3 4 5 6 -",
		"1 2 259:1 / \\0 rw - x /dev/nvme0n1",
		"1 2 0:0 / \\40 rw - x y",
		"\\",
		"- - - -",
	};
	struct trail trail;

	add_bound(EMU_BDF, "nvme");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		emu_file("/proc/self/mountinfo", tables[i]);
		emu_file("/proc/swaps", tables[i]);
		memset(&trail, 0, sizeof(trail));
		assert_int_equal(vfn_pci_for_each_block(EMU_BDF, visit, &trail), 0);
	}
}

static void long_mount_table_is_read_to_the_end(void **state)
{
	static const char other[] = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
	static const char ours[] = "31 22 259:0 / /far rw - ext4 /dev/nvme0n1 rw\n";
	char *table = calloc(1, 1000 * sizeof(other) + sizeof(ours));

	add_bound(EMU_BDF, "nvme");
	for (int i = 0; i < 1000; i++)
		memcpy(table + i * strlen(other), other, strlen(other));
	strcat(table, ours);
	emu_file("/proc/self/mountinfo", table);
	free(table);
	assert_blocks("nvme0n1=mounted on /far,");
}

static int check_idle(void *arg)
{
	return vfn_pci_check_idle(EMU_BDF);
}

static void nothing(void *arg)
{
}

static void check_failing_at_n_keeps_errno(void **state)
{
	add_bound(EMU_BDF, "nvme");
	add_partition("nvme0n1p1", "259:11\n");
	emu_file("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
	assert_true(emu_fail_each(EMU_SYSCALL, EIO, check_idle, nothing, NULL) >= 20);
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, check_idle, nothing, NULL) >= 20);
	assert_true(emu_fail_each(EMU_UNDO, EINTR, check_idle, nothing, NULL) >= 5);
	emu_file_error("/proc/self/mountinfo", EIO);
	assert_fails_with(check_idle(NULL), EIO);
	assert_error_has("cannot see whether it is in use");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(devices_are_visited_in_order),
		test(walk_that_is_stopped_returns_the_value),
		test(info_has_everything),
		test(group_of_number_zero_is_one),
		test(info_of_a_node_that_cannot_be_read_fails),
		test(info_of_sparse_device_has_none),
		test(info_of_hostile_regions_is_bounded),
		test(info_failing_at_n_leaves_nothing),
		test(group_members_are_the_others),
		test(group_members_without_iommu_is_enodev),
		test(blocks_idle_are_not_in_use),
		test(block_mounted_names_the_mount_point),
		test(block_mounted_by_source_is_seen),
		test(block_swap_is_in_use),
		test(block_with_holder_is_in_use),
		test(block_open_exclusively_is_in_use),
		test(listing_opens_no_device),
		test(multipath_head_belongs_to_each_of_its_paths),
		test(block_deep_below_a_device_belongs_to_it),
		test(device_without_a_group_is_idle),
		test(device_whose_links_cannot_be_read_may_be_in_use),
		test(group_open_elsewhere_is_in_use),
		test(hostile_tables_are_harmless),
		test(long_mount_table_is_read_to_the_end),
		test(check_failing_at_n_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
