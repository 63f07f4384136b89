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

#define VF1 "0000:01:00.1"
#define VF2 "0000:01:00.2"
#define ENABLE "/sys/module/vfio_pci/parameters/enable_sriov"
#define TOKEN "2ab74924-c335-45f4-9b16-8569e5b08258"

static void add_pf(const char *driver)
{
	const struct emu_nvme_opts opts = { .pci = { .driver = driver, .sriov_totalvfs = 2 } };

	emu_nvme_add(&opts);
}

static void virtual_functions_come_and_go(void **state)
{
	char link[64] = {};

	add_pf("nvme");
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "3"), ERANGE);
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "x"), EINVAL);
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "2"), 0);
	assert_string_equal(get(DEV EMU_BDF "/sriov_numvfs"), "2");
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "1"), EBUSY);
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "2"), 0);
	assert_string_equal(driver_of(VF1), "nvme");
	assert_true(os_readlink(DEV EMU_BDF "/virtfn1", link, sizeof(link) - 1) > 0);
	assert_string_equal(link, "../" VF2);
	assert_true(os_readlink(DEV VF2 "/physfn", link, sizeof(link) - 1) > 0);
	assert_int_equal(os_access(DEV EMU_BDF "/virtfn1/physfn/sriov_totalvfs", 0), 0);
	assert_int_equal(os_access(DEV VF1 "/sriov_numvfs", 0), -1);
	assert_non_null(emu_nvme_find(VF2));

	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "0"), 0);
	assert_null(emu_pci_find(VF1));
	assert_int_equal(os_access(DEV VF1, 0), -1);
	assert_int_equal(os_access(DEV EMU_BDF "/virtfn0", 0), -1);
	assert_int_equal(put(DEV EMU_BDF "/sriov_drivers_autoprobe", "0"), 0);
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "1"), 0);
	assert_string_equal(driver_of(VF1), "");
}

static void vfio_keeps_virtual_functions_of_its_own(void **state)
{
	add_pf(NULL);
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "1"), ENOENT);
	emu_file(ENABLE, "Y\n");
	assert_int_equal(put(DEV EMU_BDF "/sriov_drivers_autoprobe", "0"), 0);
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "2"), 0);
	assert_string_equal(driver_of(VF2), "vfio-pci");
	assert_string_equal(get(DEV VF2 "/driver_override"), "vfio-pci");
	assert_int_equal(put(DEV EMU_BDF "/driver/unbind", EMU_BDF), 0);
	assert_null(emu_pci_find(VF1));
}

static int get_device(int group, const char *name)
{
	return os_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name);
}

static int open_group_of(const char *bdf, int container)
{
	char path[64], link[64] = {};
	int group;

	snprintf(path, sizeof(path), DEV "%s/iommu_group", bdf);
	assert_true(os_readlink(path, link, sizeof(link) - 1) > 0);
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = os_open(path, O_RDWR);
	assert_int_equal(os_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);

	return group;
}

static void token_of_physical_function_opens_virtual_one(void **state)
{
	int container = os_open("/dev/vfio/vfio", O_RDWR), pf_group, vf_group, pf, vf, again;

	emu_file(ENABLE, "Y\n");
	add_pf(NULL);
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "1"), 0);
	pf_group = open_group_of(EMU_BDF, container);
	assert_int_equal(os_ioctl(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	vf_group = open_group_of(VF1, container);
	assert_int_equal(get_device(vf_group, VF1 " vf_token=" TOKEN), -1);
	assert_int_equal(errno, EACCES);
	pf = get_device(pf_group, EMU_BDF " vf_token=" TOKEN);
	assert_true(pf > 2);
	assert_int_equal(get_device(vf_group, VF1), -1);
	assert_int_equal(errno, EACCES);
	vf = get_device(vf_group, VF1 " vf_token=" TOKEN);
	assert_true(vf > 2);

	/* from now on the physical one takes it, too */
	assert_int_equal(get_device(pf_group, EMU_BDF), -1);
	assert_int_equal(errno, EACCES);
	again = get_device(pf_group, EMU_BDF " vf_token=" TOKEN);
	assert_true(again > 2);
	emu_expect_violation("unbind of an open device");
	assert_int_equal(put(DEV EMU_BDF "/sriov_numvfs", "0"), EBUSY);
	os_close(again);
	os_close(vf);
	os_close(pf);
	os_close(vf_group);
	os_close(pf_group);
	os_close(container);
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
		T(virtual_functions_come_and_go),
		T(vfio_keeps_virtual_functions_of_its_own),
		T(token_of_physical_function_opens_virtual_one),
		T(directories_are_listed),
		T(files_are_made_and_removed),
		T(file_errors_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
