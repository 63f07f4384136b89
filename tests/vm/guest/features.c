/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells which features of VFIO and iommufd this kernel has, asking it and not the library: "has NAME" or "lacks NAME". */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/abi.h"

#define PAGE 4096UL

static const char *bdf;

static void tell(const char *feature, bool has)
{
	printf("%s %s\n", has ? "has" : "lacks", feature);
}

/* The device by its group. It stays open, with all that it hangs on, until the program ends. */
static int open_by_group(void)
{
	char link[256], path[256], target[256] = "";
	int container, group;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	if (readlink(link, target, sizeof(target) - 1) < 0)
		return -1;
	snprintf(path, sizeof(path), "/dev/vfio%s", strrchr(target, '/'));

	container = open("/dev/vfio/vfio", O_RDWR);
	group = open(path, O_RDWR);
	if (container < 0 || group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -1;

	return ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
}

static int open_node(void)
{
	char pattern[256], path[256];
	glob_t found;
	int fd = -1;

	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", bdf);
	if (!glob(pattern, 0, NULL, &found)) {
		snprintf(path, sizeof(path), "/dev/vfio/devices%s",
			 strrchr(found.gl_pathv[0], '/'));
		fd = open(path, O_RDWR);
	}
	globfree(&found);

	return fd;
}

static int bind_node(int device, int iommufd, uint32_t flags)
{
	struct abi_vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.flags = flags,
		.iommufd = iommufd,
		.token_uuid_ptr = flags ? 1 : 0,
	};

	return ioctl(device, ABI_VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

/* A kernel that does not know the flag does not look at the token, which is nowhere. */
static bool takes_token(int device, int iommufd)
{
	return bind_node(device, iommufd, ABI_VFIO_DEVICE_BIND_FLAG_TOKEN) && errno == EFAULT;
}

static bool maps_files(int iommufd)
{
	struct abi_iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct abi_iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = ABI_IOMMU_IOAS_MAP_READABLE,
		.length = PAGE,
	};
	bool can;

	map.fd = memfd_create("features", MFD_CLOEXEC);
	if (map.fd < 0 || ftruncate(map.fd, PAGE) || ioctl(iommufd, ABI_IOMMU_IOAS_ALLOC, &ioas))
		return false;

	map.ioas_id = ioas.out_ioas_id;
	can = ioctl(iommufd, ABI_IOMMU_IOAS_MAP_FILE, &map) == 0;
	close(map.fd);

	return can;
}

static bool has_fault_queue(int iommufd)
{
	struct abi_iommu_fault_alloc fault = { .size = sizeof(fault) };

	return ioctl(iommufd, ABI_IOMMU_FAULT_QUEUE_ALLOC, &fault) == 0;
}

static bool has_dma_buf(int device)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			 ABI_VFIO_DEVICE_FEATURE_DMA_BUF,
	};

	return ioctl(device, VFIO_DEVICE_FEATURE, &feature) == 0;
}

/* Vectors of MSI-X can be set up one after the other. */
static bool has_dynamic_msix(int device)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX };

	return !ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info) &&
	       !(info.flags & VFIO_IRQ_INFO_NORESIZE);
}

int main(int argc, char **argv)
{
	const char *force = getenv("VFN_IOMMU_FORCE_VFIO");
	int iommufd = -1, device = -1;
	char group[128];
	bool iommu;

	if (argc != 2)
		return 2;
	bdf = argv[1];
	snprintf(group, sizeof(group), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	iommu = !access(group, F_OK);

	if (!force || !*force || !strcmp(force, "0")) {
		iommufd = open("/dev/iommu", O_RDWR);
		device = open_node();
	}
	tell("iommufd-token", takes_token(device, iommufd));
	if (bind_node(device, iommufd, 0)) {
		iommufd = -1;
		device = open_by_group();
	}
	if (device < 0 && iommu) {
		fprintf(stderr, "%s cannot be opened: %s\n", bdf, strerror(errno));
		return 1;
	}
	tell("iommu", iommu);
	tell("iommufd", iommufd >= 0);
	tell("fault-queue", has_fault_queue(iommufd));
	tell("map-file", maps_files(iommufd));
	tell("dma-buf", iommufd >= 0 && has_dma_buf(device));
	tell("dynamic-msix", has_dynamic_msix(device));
	tell("no-iommu", !access("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", F_OK));

	return 0;
}
