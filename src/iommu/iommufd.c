// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* iommufd, and VFIO's character devices. */
#define VFN_TRACE 1

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vfn/iommu/iommufd.h>
#include <vfn/pci/util.h>
#include <vfn/support/mutex.h>
#include <vfn/trace.h>

#include "iommu/context.h"
#include "os/abi.h"
#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"
#include "support/probe.h"

#define IOMMUFD_PATH "/dev/iommu"

/* More than any kernel reports; it doubles as the limit for what we believe. */
#define RANGES_MAX 65536

static void close_quietly(int fd)
{
	int saved = errno;

	(void)os_close(fd);
	errno = saved;
}

/* ---- the process's one descriptor ---- */

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users;
static int iommufd;

static int explain_open_iommufd(const char *who)
{
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return vfn_fail(ENODEV, "%s: " IOMMUFD_PATH " is missing: modprobe iommufd", who);
	default:
		return iommu_explain_open(who, IOMMUFD_PATH);
	}
}

static int get_iommufd(const char *who)
{
	__autolock(&users_lock);

	if (!users) {
		iommufd = os_open(IOMMUFD_PATH, O_RDWR);
		if (iommufd < 0)
			return explain_open_iommufd(who);
	}

	users++;

	return iommufd;
}

static void put_iommufd(void)
{
	__autolock(&users_lock);

	if (!--users)
		close_quietly(iommufd);
}

/* Of what nobody uses any more this cannot fail. */
static void destroy_object(int fd, uint32_t id)
{
	struct abi_iommu_destroy cmd = { .size = sizeof(cmd), .id = id };
	int saved = errno;

	(void)os_ioctl(fd, ABI_IOMMU_DESTROY, &cmd);
	errno = saved;
}

/* ---- the address space ---- */

static int open_space(struct iommu_ctx *ctx, const char *bdf)
{
	struct abi_iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = get_iommufd(bdf);

	if (fd < 0)
		return -1;

	if (os_ioctl(fd, ABI_IOMMU_IOAS_ALLOC, &cmd)) {
		(void)vfn_fail(errno, "%s: cannot make an I/O address space: %s", bdf,
			       strerror(errno));
		put_iommufd();
		return -1;
	}

	/* nobody looks at these before there are ranges */
	ctx->ioas = cmd.out_ioas_id;
	ctx->fd = fd;

	return 0;
}

static void close_space(struct iommu_ctx *ctx)
{
	__autolock(&ctx->lock);

	destroy_object(ctx->fd, ctx->ioas);
	ctx->fd = -1;
	iommu_forget_all(ctx);
	put_iommufd();
}

static int ask_ranges(struct iommu_ctx *ctx, struct abi_iommu_iova_range *ranges, uint32_t *n)
{
	struct abi_iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ctx->ioas,
		.num_iovas = *n,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int ret = os_ioctl(ctx->fd, ABI_IOMMU_IOAS_IOVA_RANGES, &cmd);

	*n = cmd.num_iovas;

	return ret;
}

/* A further device may have narrowed them. There may be more each time, but not for ever. */
static int read_ranges(struct iommu_ctx *ctx)
{
	struct abi_iommu_iova_range *ranges;
	uint32_t room = 16, n;
	int ret, saved;

	__autolock(&ctx->lock);

	__static_assert(sizeof(*ranges) == sizeof(struct iommu_iova_range));

	do {
		n = room;
		ranges = vfn_zalloc(n * sizeof(*ranges));
		if (!ranges)
			return -1;

		ret = ask_ranges(ctx, ranges, &n);
		if (!ret && n <= room)
			ret = iova_set_ranges(ctx, (struct iommu_iova_range *)ranges, n);
		else if (!ret || (errno == EMSGSIZE && (n <= room || n > RANGES_MAX)))
			ret = vfn_fail(EPROTO, "%s: the IOMMU reports %u address ranges", ctx->name,
				       n);
		else if (errno != EMSGSIZE)
			(void)vfn_fail(errno, "%s: cannot read the IOMMU's address ranges: %s",
				       ctx->name, strerror(errno));

		room = n;
		saved = errno;
		free(ranges);
		errno = saved;
	} while (ret && errno == EMSGSIZE);

	return ret;
}

/* ---- devices ---- */

static char *cdev_path(const char *bdf)
{
	__autostr name = pci_get_device_vfio_id(bdf);
	char *path;

	if (!name)
		return NULL;

	path = vfn_sysfs_format("/dev/vfio/devices/%s", name);
	if (!path)
		(void)vfn_fail(errno, "%s: %s", bdf, strerror(errno));

	return path;
}

bool iommu_iommufd_is_there(const char *bdf)
{
	__autostr path = cdev_path(bdf);

	if (!path)
		return false;

	if (os_access(IOMMUFD_PATH, R_OK | W_OK))
		return !explain_open_iommufd(bdf);
	if (os_access(path, R_OK | W_OK))
		return !iommu_explain_open(bdf, path);

	return true;
}

static int explain_bind(const struct iommu_device *dev, const struct iommu_token *token)
{
	int err = errno;

	/* the device is open elsewhere, or so is its group, or a driver has its neighbour */
	if (err == EBUSY && iommu_group_is_taken(dev->bdf))
		return iommu_explain_group(dev->bdf, dev->group);
	if (err == EBUSY || (err == EINVAL && !token->text[0]))
		return vfn_fail(EBUSY, "%s is in use by another process: stop that one first",
				dev->bdf);
	if (err == EPERM)
		return vfn_fail(
			err,
			"%s: its interrupts cannot be isolated: turn interrupt remapping on in firmware and kernel",
			dev->bdf);

	errno = err;
	if (iommu_token_is_refused(dev->bdf, token))
		return -1;
	if (err == EINVAL)
		return vfn_fail(err, "%s: the kernel takes no VF token with iommufd (Linux 6.17)",
				dev->bdf);

	return vfn_fail(err, "%s: cannot bind it to iommufd: %s", dev->bdf, strerror(err));
}

static int bind_device(struct iommu_ctx *ctx, struct iommu_device *dev, int fd)
{
	struct abi_vfio_device_bind_iommufd cmd = { .argsz = sizeof(cmd), .iommufd = ctx->fd };
	struct iommu_token token;

	if (iommu_get_token(dev->bdf, &token))
		return -1;
	if (token.text[0]) {
		cmd.flags = ABI_VFIO_DEVICE_BIND_FLAG_TOKEN;
		cmd.token_uuid_ptr = (uintptr_t)token.uuid;
	}

	if (os_ioctl(fd, ABI_VFIO_DEVICE_BIND_IOMMUFD, &cmd))
		return explain_bind(dev, &token);

	dev->id = cmd.out_devid;

	return 0;
}

/* Attaching a device that is attached already moves it. */
static int attach_to(const struct iommu_device *dev, int fd, uint32_t object)
{
	struct abi_vfio_device_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = object };

	if (!os_ioctl(fd, ABI_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd))
		return 0;

	if (errno == EADDRINUSE)
		return vfn_fail(
			EINVAL,
			"%s: the address space %s has memory mapped where the device's IOMMU allows none",
			dev->bdf, dev->ctx->name);

	return vfn_fail(errno, "%s: cannot attach it to the address space %s: %s", dev->bdf,
			dev->ctx->name, strerror(errno));
}

static int open_cdev(const struct iommu_device *dev)
{
	__autostr path = cdev_path(dev->bdf);
	int fd;

	if (!path)
		return -1;

	fd = os_open(path, O_RDWR);
	if (fd < 0)
		(void)iommu_explain_open(dev->bdf, path);

	return fd;
}

static int open_device(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	int fd = open_cdev(dev);

	if (fd < 0)
		return -1;

	if (bind_device(ctx, dev, fd) || attach_to(dev, fd, ctx->ioas) || read_ranges(ctx)) {
		close_quietly(fd);
		return -1;
	}

	return fd;
}

static int iommufd_attach(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	bool first = ctx->fd < 0;
	int fd;

	if (first && open_space(ctx, dev->bdf))
		return -1;

	fd = open_device(ctx, dev);
	if (fd < 0 && first)
		close_space(ctx);

	return fd;
}

static void iommufd_detach(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	if (dev->hwpt)
		destroy_object(ctx->fd, dev->hwpt);
	if (ctx->devices == 1)
		close_space(ctx);
}

/* ---- mappings ---- */

static void trace_map(const struct iommu_extent *ext)
{
	vfn_probe(iommufd_ioas_map_dma, ext->vaddr, ext->start, ext->len);
	trace_guard(IOMMUFD_IOAS_MAP_DMA) {
		trace_emit("%p at 0x%" PRIx64 ", %" PRIu64 " bytes", ext->vaddr, ext->start,
			   ext->len);
	}
}

static void trace_unmap(const struct iommu_extent *ext)
{
	vfn_probe(iommufd_ioas_unmap_dma, ext->vaddr, ext->start, ext->len);
	trace_guard(IOMMUFD_IOAS_UNMAP_DMA) {
		trace_emit("%p at 0x%" PRIx64 ", %" PRIu64 " bytes", ext->vaddr, ext->start,
			   ext->len);
	}
}

static uint32_t map_flags(const struct iommu_extent *ext)
{
	return ABI_IOMMU_IOAS_MAP_FIXED_IOVA |
	       (ext->permissions & IOMMU_PAGE_NOREAD ? 0 : ABI_IOMMU_IOAS_MAP_READABLE) |
	       (ext->permissions & IOMMU_PAGE_NOWRITE ? 0 : ABI_IOMMU_IOAS_MAP_WRITEABLE);
}

static int map_memory(struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	struct abi_iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = map_flags(ext),
		.ioas_id = ctx->ioas,
		.user_va = (uintptr_t)ext->vaddr,
		.length = ext->len,
		.iova = ext->start,
	};

	return os_ioctl(ctx->fd, ABI_IOMMU_IOAS_MAP, &cmd);
}

static int map_file(struct iommu_ctx *ctx, const struct iommu_extent *ext,
		    const struct iommu_file *file)
{
	struct abi_iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = map_flags(ext),
		.ioas_id = ctx->ioas,
		.fd = file->fd,
		.start = file->offset,
		.length = ext->len,
		.iova = ext->start,
	};

	return os_ioctl(ctx->fd, ABI_IOMMU_IOAS_MAP_FILE, &cmd);
}

static bool is_unknown(int err)
{
	return err == ENOTTY || err == EOPNOTSUPP;
}

/* A descriptor of part of a device's memory. */
static int export_bar(const struct iommu_bar *bar, uint64_t len)
{
	union {
		struct vfio_device_feature head;
		char room[sizeof(struct vfio_device_feature) +
			  sizeof(struct abi_vfio_device_feature_dma_buf) +
			  sizeof(struct abi_vfio_region_dma_range)];
	} cmd = {
		.head = {
			.argsz = sizeof(cmd.room),
			.flags = VFIO_DEVICE_FEATURE_GET | ABI_VFIO_DEVICE_FEATURE_DMA_BUF,
		},
	};
	struct abi_vfio_device_feature_dma_buf *part = (void *)cmd.head.data;

	part->region_index = bar->region;
	part->open_flags = O_RDWR | O_CLOEXEC;
	part->nr_ranges = 1;
	part->dma_ranges[0].offset = bar->offset;
	part->dma_ranges[0].length = len;

	return os_ioctl(bar->fd, VFIO_DEVICE_FEATURE, &cmd);
}

static int map_bar(struct iommu_ctx *ctx, const struct iommu_extent *ext,
		   const struct iommu_bar *bar)
{
	struct iommu_file file = {};
	int ret = -1;

	if (bar->fd < 0)
		return vfn_fail(ENODEV, "%s: %p is memory of a device that is closed", ctx->name,
				ext->vaddr);

	file.fd = export_bar(bar, ext->len);
	if (file.fd >= 0) {
		ret = map_file(ctx, ext, &file);
		close_quietly(file.fd);
	}

	if (ret && is_unknown(errno))
		return vfn_fail(
			ENOTSUP,
			"%s: with iommufd the kernel does not map a device's memory for others (Linux 6.19): set VFN_IOMMU_FORCE_VFIO=1",
			ctx->name);

	return ret ? iommu_explain_map(ctx, ext) : 0;
}

static int explain_map_file(const struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	if (is_unknown(errno))
		return vfn_fail(ENOTSUP, "%s: the kernel does not map files (Linux 6.13)",
				ctx->name);
	if (errno == EINVAL)
		return vfn_fail(EINVAL,
				"%s: the file is no memfd, or does not have those %llu bytes",
				ctx->name, (unsigned long long)ext->len);

	return iommu_explain_map(ctx, ext);
}

static int iommufd_map(struct iommu_ctx *ctx, const struct iommu_extent *ext,
		       const struct iommu_file *file)
{
	struct iommu_bar bar;
	int ret;

	if (file)
		ret = map_file(ctx, ext, file) ? explain_map_file(ctx, ext) : 0;
	else if (iommu_find_bar(ext->vaddr, ext->len, &bar))
		ret = map_bar(ctx, ext, &bar);
	else
		ret = map_memory(ctx, ext) ? iommu_explain_map(ctx, ext) : 0;

	if (!ret)
		trace_map(ext);

	return ret;
}

static int iommufd_unmap(struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	struct abi_iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ctx->ioas,
		.iova = ext->start,
		.length = ext->len,
	};

	if (os_ioctl(ctx->fd, ABI_IOMMU_IOAS_UNMAP, &cmd)) {
		if (errno != ENOENT)
			return iommu_explain_unmap(ctx, ext);
		cmd.length = 0;
	}

	if (cmd.length != ext->len)
		return iommu_explain_part(ctx, ext, cmd.length);

	trace_unmap(ext);

	return 0;
}

/* ---- page faults of devices ---- */

int iommufd_alloc_fault_queue(struct iommufd_fault_queue *fq)
{
	struct abi_iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int fd = get_iommufd("fault queue");

	fq->fault_id = 0;
	fq->fault_fd = -1;
	if (fd < 0)
		return -1;

	if (os_ioctl(fd, ABI_IOMMU_FAULT_QUEUE_ALLOC, &cmd)) {
		if (is_unknown(errno))
			(void)vfn_fail(ENOTSUP, "fault queue: the kernel has none (Linux 6.11)");
		else
			(void)vfn_fail(errno, "fault queue: cannot make one: %s", strerror(errno));
		put_iommufd();
		return -1;
	}

	fq->fault_id = (int)cmd.out_fault_id;
	fq->fault_fd = (int)cmd.out_fault_fd;

	return 0;
}

void vfn_iommufd_free_fault_queue(struct iommufd_fault_queue *fq)
{
	if (!fq->fault_id)
		return;

	close_quietly(fq->fault_fd);
	destroy_object(iommufd, (uint32_t)fq->fault_id);
	put_iommufd();
	fq->fault_id = 0;
	fq->fault_fd = -1;
}

/* A page table with the mappings of the address space, whose faults go to the queue. */
static int make_table(struct iommu_ctx *ctx, const struct iommu_device *dev,
		      const struct iommufd_fault_queue *fq, uint32_t *table)
{
	struct abi_iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = ABI_IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = dev->id,
		.pt_id = ctx->ioas,
		.fault_id = (uint32_t)fq->fault_id,
	};

	if (os_ioctl(ctx->fd, ABI_IOMMU_HWPT_ALLOC, &cmd)) {
		if (is_unknown(errno))
			return vfn_fail(
				ENOTSUP,
				"%s: the kernel, or the device's IOMMU, does not hand page faults on",
				dev->bdf);
		return vfn_fail(errno, "%s: cannot make a page table with a fault queue: %s",
				dev->bdf, strerror(errno));
	}

	*table = cmd.out_hwpt_id;

	return 0;
}

/*
 * A failed move should have changed nothing, but Linux 7.3 leaves a device of
 * an Intel IOMMU without a page table, and believes that it has the old one.
 */
static int go_back(struct iommu_ctx *ctx, const struct iommu_device *dev)
{
	struct abi_vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	(void)os_ioctl(dev->fd, ABI_VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);

	return attach_to(dev, dev->fd, dev->hwpt ? dev->hwpt : ctx->ioas);
}

static int move_device(struct iommu_ctx *ctx, struct iommu_device *dev,
		       const struct iommufd_fault_queue *fq)
{
	uint32_t old = dev->hwpt, table = 0;

	if (fq && make_table(ctx, dev, fq, &table))
		return -1;

	if (attach_to(dev, dev->fd, fq ? table : ctx->ioas)) {
		int err = errno, lost = go_back(ctx, dev);

		if (table)
			destroy_object(ctx->fd, table);
		if (lost)
			return -1;
		if (table && (err == ENODEV || is_unknown(err)))
			return vfn_fail(ENODEV,
					"%s has no page faults: it, or its IOMMU, has no PRI",
					dev->bdf);
		return vfn_fail(err, "%s: cannot %s a fault queue: %s", dev->bdf,
				fq ? "use" : "do without", strerror(err));
	}

	dev->hwpt = table;
	if (old)
		destroy_object(ctx->fd, old);

	return 0;
}

int iommufd_set_fault_queue(struct iommu_ctx *ctx, struct iommufd_fault_queue *fq, int devfd)
{
	struct iommu_device *dev;

	if (!ctx)
		return vfn_fail(EINVAL, "fault queue: no address space");

	__autolock(&iommu_devices_lock);

	dev = iommu_find_fd(ctx, devfd);
	if (!dev)
		return vfn_fail(ENODEV, "%s: no device with descriptor %d is open in it", ctx->name,
				devfd);
	if (!ctx->ops->iommufd)
		return vfn_fail(ENOTSUP, "%s: fault queues take iommufd (%s)", dev->bdf,
				ctx->reason);
	if (fq && !fq->fault_id)
		return vfn_fail(EINVAL, "%s: the fault queue was released", dev->bdf);

	return move_device(ctx, dev, fq);
}

static void take_record(const struct abi_iommu_hwpt_pgfault *record,
			struct vfn_iommufd_fault *fault)
{
	const struct iommu_device *dev = iommu_find_id(record->dev_id);

	*fault = (struct vfn_iommufd_fault){
		.addr = record->addr,
		.length = record->length,
		.cookie = record->cookie,
		.devfd = dev ? dev->fd : -1,
	};
	if (record->perm & ABI_IOMMU_PGFAULT_PERM_READ)
		fault->flags |= VFN_IOMMUFD_FAULT_READ;
	if (record->perm & ABI_IOMMU_PGFAULT_PERM_WRITE)
		fault->flags |= VFN_IOMMUFD_FAULT_WRITE;
	if (record->flags & ABI_IOMMU_PGFAULT_FLAGS_LAST_PAGE)
		fault->flags |= VFN_IOMMUFD_FAULT_LAST;
}

static int read_records(const struct iommufd_fault_queue *fq,
			struct abi_iommu_hwpt_pgfault *records, size_t n)
{
	ssize_t ret = os_read(fq->fault_fd, records, n * sizeof(*records));

	if (ret < 0 && errno != EAGAIN)
		return vfn_fail(errno, "fault queue: cannot read: %s", strerror(errno));
	if (ret > 0 && (size_t)ret % sizeof(*records))
		return vfn_fail(EPROTO, "fault queue: the kernel gave %zd bytes of records", ret);

	return ret < 0 ? 0 : (int)((size_t)ret / sizeof(*records));
}

int vfn_iommufd_get_faults(struct iommufd_fault_queue *fq, struct vfn_iommufd_fault *faults, int n)
{
	struct abi_iommu_hwpt_pgfault *records;
	int got, saved;

	if (n < 1)
		return vfn_fail(EINVAL, "fault queue: no room for a fault");

	records = vfn_zalloc((size_t)n * sizeof(*records));
	if (!records)
		return -1;

	got = read_records(fq, records, (size_t)n);

	__autolock(&iommu_devices_lock);

	for (int i = 0; i < got; i++)
		take_record(&records[i], &faults[i]);

	saved = errno;
	free(records);
	errno = saved;

	return got;
}

int vfn_iommufd_answer_fault(struct iommufd_fault_queue *fq, const struct vfn_iommufd_fault *fault,
			     bool resolved)
{
	const struct abi_iommu_hwpt_page_response record = {
		.cookie = fault->cookie,
		.code = resolved ? ABI_IOMMUFD_PAGE_RESP_SUCCESS : ABI_IOMMUFD_PAGE_RESP_INVALID,
	};

	if (os_write(fq->fault_fd, &record, sizeof(record)) != sizeof(record))
		return vfn_fail(errno, "fault queue: cannot answer: %s", strerror(errno));

	return 0;
}

const struct iommu_ops iommu_iommufd_ops = {
	.iommufd = true,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
	.attach = iommufd_attach,
	.detach = iommufd_detach,
};
