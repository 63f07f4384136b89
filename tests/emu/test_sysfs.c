// SPDX-License-Identifier: GPL-2.0-or-later
/* Drivers bind and unbind through the fake sysfs as they do in Linux. */
#include "raw.h"

#define DEV "/sys/bus/pci/devices/"
#define DRV "/sys/bus/pci/drivers/"

/* 0 or the errno of writing @text to @path. */
static int put(const char *path, const char *text)
{
	int fd = os_open(path, O_WRONLY), err;

	if (fd < 0)
		return errno;
	err = os_write(fd, text, strlen(text)) < 0 ? errno : 0;
	os_close(fd);

	return err;
}

static const char *get(const char *path)
{
	static char text[256];
	int fd = os_open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : os_read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		os_close(fd);
	text[n < 0 ? 0 : n] = '\0';
	text[strcspn(text, "\n")] = '\0';

	return text;
}

static void add(const char *bdf, const char *driver)
{
	const struct emu_nvme_opts opts = { .pci = { .bdf = bdf, .driver = driver } };

	emu_nvme_add(&opts);
}

static const char *driver_of(const char *bdf)
{
	return emu_pci_driver(emu_pci_find(bdf));
}

static void attributes_describe_the_device(void **state)
{
	char link[128] = {};

	add(EMU_BDF, "nvme");
	assert_string_equal(get(DEV EMU_BDF "/vendor"), "0x1b36");
	assert_string_equal(get(DEV EMU_BDF "/class"), "0x010802");
	assert_string_equal(get(DEV EMU_BDF "/numa_node"), "0");
	assert_string_equal(get(DEV EMU_BDF "/driver_override"), "(null)");
	assert_true(strlen(get(DEV EMU_BDF "/modalias")) >= 32);
	assert_true(os_readlink(DEV EMU_BDF "/driver", link, sizeof(link)) > 0);
	assert_string_equal(strrchr(link, '/'), "/nvme");
	assert_int_equal(os_access("/sys/block/nvme0n1/holders", 0), 0);
	assert_int_equal(os_access(DEV EMU_BDF "/nvme/nvme0/nvme0n1", 0), 0);
	assert_int_equal(os_access("/sys/kernel/iommu_groups/100/devices/" EMU_BDF, 0), 0);
}

static void override_binds_one_of_two_identical_devices(void **state)
{
	add(EMU_BDF, "nvme");
	add(EMU_BDF2, "nvme");
	assert_int_equal(put(DEV EMU_BDF "/driver_override", "vfio-pci\n"), 0);
	assert_string_equal(get(DEV EMU_BDF "/driver_override"), "vfio-pci");
	assert_int_equal(put(DEV EMU_BDF "/driver/unbind", EMU_BDF), 0);
	assert_int_equal(os_access("/sys/block/nvme0n1", 0), -1);
	assert_int_equal(put("/sys/bus/pci/drivers_probe", EMU_BDF), 0);
	assert_string_equal(driver_of(EMU_BDF), "vfio-pci");
	assert_string_equal(driver_of(EMU_BDF2), "nvme");
	assert_int_equal(os_access("/dev/vfio/100", 0), 0);

	assert_int_equal(put(DRV "vfio-pci/unbind", EMU_BDF), 0);
	assert_int_equal(os_access("/dev/vfio/100", 0), -1);
	assert_int_equal(put(DEV EMU_BDF "/driver_override", "\n"), 0);
	assert_int_equal(put("/sys/bus/pci/drivers_probe", EMU_BDF), 0);
	assert_string_equal(driver_of(EMU_BDF), "nvme");
}

static void new_id_grabs_every_unbound_twin(void **state)
{
	add(EMU_BDF, "");
	add(EMU_BDF2, "");
	assert_int_equal(put(DRV "vfio-pci/new_id", "1b36 0010"), 0);
	assert_string_equal(driver_of(EMU_BDF), "vfio-pci");
	assert_string_equal(driver_of(EMU_BDF2), "vfio-pci");
	assert_int_equal(put(DRV "vfio-pci/new_id", "1b36 0010"), EEXIST);
	assert_int_equal(put(DRV "vfio-pci/remove_id", "1b36 0010"), 0);
	assert_int_equal(put(DRV "vfio-pci/remove_id", "1b36 0010"), ENODEV);
	assert_int_equal(put(DRV "vfio-pci/new_id", "nonsense"), EINVAL);
}

static void bind_and_unbind_errors(void **state)
{
	add(EMU_BDF, "nvme");
	assert_int_equal(put(DRV "vfio-pci/bind", EMU_BDF), ENODEV);
	assert_int_equal(put(DRV "nvme/bind", EMU_BDF), EBUSY);
	assert_int_equal(put(DRV "nvme/bind", "0000:99:00.0"), ENODEV);
	assert_int_equal(put(DRV "vfio-pci/unbind", EMU_BDF), ENODEV);
	assert_int_equal(put("/sys/bus/pci/drivers_probe", "0000:99:00.0"), ENODEV);
	assert_int_equal(put(DRV "nope/bind", EMU_BDF), ENOENT);
}

static void vfio_needs_a_group(void **state)
{
	const struct emu_pci_opts opts = { .no_group = true, .driver = "" };

	emu_pci_add(&opts);
	assert_int_equal(put(DEV EMU_BDF "/driver_override", "vfio-pci"), 0);
	assert_int_equal(put(DRV "vfio-pci/bind", EMU_BDF), EINVAL);
	assert_int_equal(os_access(DEV EMU_BDF "/iommu_group", 0), -1);
}

static void unbinding_an_open_device_is_a_violation(void **state)
{
	struct raw r;

	add(EMU_BDF, NULL);
	raw_open(&r, EMU_BDF);
	emu_expect_violation("unbind of an open device");
	assert_int_equal(put(DEV EMU_BDF "/driver/unbind", EMU_BDF), EBUSY);
	raw_close(&r);
}

static int count(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

static int stop(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
	return 42;
}

static void directories_are_listed(void **state)
{
	int n = 0;

	add(EMU_BDF, "nvme");
	add(EMU_BDF2, "nvme");
	assert_int_equal(os_list_dir("/sys/bus/pci/devices", count, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(os_list_dir("/sys/bus/pci/devices", stop, &n), 42);
	assert_int_equal(n, 3);
	assert_int_equal(os_list_dir("/sys/none", count, &n), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(os_list_dir("/sys/bus/pci/drivers_probe", count, &n), -1);
	assert_int_equal(errno, ENOTDIR);
}

static void files_are_made_and_removed(void **state)
{
	assert_int_equal(os_write_file("/run/none/x", "a", 1), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(os_mkdir("/run/libvfn", 0755), 0);
	assert_int_equal(os_mkdir("/run/libvfn", 0755), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(os_write_file("/run/libvfn/x", "hello", 5), 0);
	assert_string_equal(emu_file_content("/run/libvfn/x"), "hello");
	assert_int_equal(os_write_file("/run/libvfn/x", "bye", 3), 0);
	assert_string_equal(get("/run/libvfn/x"), "bye");
	assert_int_equal(os_unlink("/run/libvfn/x"), 0);
	assert_int_equal(os_unlink("/run/libvfn/x"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(os_unlink("/sys/bus/pci/drivers_probe"), -1);
	assert_int_equal(errno, EPERM);
}

static void file_errors_are_given_back(void **state)
{
	int fd;

	add(EMU_BDF, "nvme");
	emu_file_error("/dev/nvme0n1", EBUSY);
	assert_int_equal(os_open("/dev/nvme0n1", O_RDONLY | O_EXCL), -1);
	assert_int_equal(errno, EBUSY);
	fd = os_open("/dev/nvme0n1", O_RDONLY);
	assert_true(fd > 2);
	os_close(fd);
	emu_file_error("/dev/vfio/vfio", EACCES);
	assert_int_equal(os_open("/dev/vfio/vfio", O_RDWR), -1);
	assert_int_equal(errno, EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		T(attributes_describe_the_device),
		T(override_binds_one_of_two_identical_devices),
		T(new_id_grabs_every_unbound_twin),
		T(bind_and_unbind_errors),
		T(vfio_needs_a_group),
		T(unbinding_an_open_device_is_a_violation),
		T(directories_are_listed),
		T(files_are_made_and_removed),
		T(file_errors_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
