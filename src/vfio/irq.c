// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Interrupts: vectors to eventfds. */
#include "vfio/device.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "iommu/context.h"
#include "os/os.h"
#include "support/error.h"

/* Of MSI-X, whose table has no more (PCI Express Base Specification, section 7.7.2); others have fewer. */
#define VECTORS_MAX 2048

/* It has one vector, which is on exactly while it has an eventfd. */
static bool is_intx(struct vfio_device *dev)
{
	return dev->irq_info.index == VFIO_PCI_INTX_IRQ_INDEX;
}

/* 0, or -1, or as many vectors as the kernel could have given, with errno ENOSPC. */
static int set_irqs(struct vfio_device *dev, struct vfio_irq_set *set, const char *what)
{
	int ret;

	if (iommu_check_process(dev->ctx))
		return -1;

	set->index = dev->irq_info.index;

	ret = os_ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, set);
	if (!ret)
		return 0;
	if (ret > 0)
		errno = ENOSPC;

	(void)vfn_fail(errno, "cannot %s interrupt vectors %u to %u: %s", what, set->start,
		       set->start + set->count - 1, strerror(errno));

	return ret;
}

/* Without @eventfds, all get none. Returns what set_irqs() does. */
static int route(struct vfio_device *dev, const int *eventfds, unsigned int start,
		 unsigned int count)
{
	size_t size = sizeof(struct vfio_irq_set) + count * sizeof(int32_t);
	struct vfio_irq_set *set = vfn_zalloc(size);
	int ret, saved;

	if (!set)
		return -1;

	set->argsz = (uint32_t)size;
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->start = start;
	set->count = count;
	for (unsigned int i = 0; i < count; i++) {
		int32_t fd = eventfds ? eventfds[i] : -1;

		memcpy(set->data + i * sizeof(fd), &fd, sizeof(fd));
	}

	ret = set_irqs(dev, set, "route");
	saved = errno;
	free(set);
	errno = saved;

	return ret;
}

static int check_vectors(struct vfio_device *dev, int start, int count)
{
	if (start < 0 || count < 1 || (unsigned int)start >= dev->irq_info.count ||
	    (unsigned int)count > dev->irq_info.count - (unsigned int)start)
		return vfn_fail(EINVAL,
				"%d interrupt vectors from %d are not among the device's %u", count,
				start, dev->irq_info.count);

	return 0;
}

/*
 * Have at least @count vectors allocated. All at once if possible: before Linux
 * 6.5, MSI-X cannot grow later, and routing beyond what is allocated fails.
 */
static int allocate(struct vfio_device *dev, unsigned int count)
{
	unsigned int want[] = { dev->irq_info.count, count };
	int ret;

	if (count <= dev->irqs_enabled)
		return 0;
	if (dev->irqs_enabled && !(dev->irq_info.flags & VFIO_IRQ_INFO_NORESIZE))
		return 0;
	if (dev->irqs_enabled)
		return vfn_fail(
			ENOSPC,
			"the kernel cannot add interrupt vectors to the %u in use: disable them first",
			dev->irqs_enabled);

	for (unsigned int i = 0; i < 2; i++) {
		vfn_begin_attempt();
		ret = route(dev, NULL, 0, want[i]);
		vfn_end_attempt();
		if (!ret) {
			dev->irqs_enabled = want[i];
			return 0;
		}
	}

	return vfn_fail_again();
}

int(vfio_set_irq)(struct vfio_device *dev, int *eventfds, int start, int count)
{
	unsigned int end;

	if (check_vectors(dev, start, count))
		return -1;

	end = (unsigned int)(start + count);

	if (!is_intx(dev) && allocate(dev, end))
		return -1;

	if (route(dev, eventfds, (unsigned int)start, (unsigned int)count))
		return -1;

	if (is_intx(dev))
		dev->irqs_enabled = eventfds[0] >= 0;
	else if (end > dev->irqs_enabled)
		dev->irqs_enabled = end;

	return 0;
}

int(vfio_disable_irq)(struct vfio_device *dev, int start, int count)
{
	unsigned int end;

	if (check_vectors(dev, start, count))
		return -1;

	if (is_intx(dev))
		return vfio_disable_irq_all(dev);

	if (route(dev, NULL, (unsigned int)start, (unsigned int)count))
		return -1;

	end = (unsigned int)(start + count);
	if (end > dev->irqs_enabled)
		dev->irqs_enabled = end;

	return 0;
}

int vfio_disable_irq_all(struct vfio_device *dev)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
	};

	if (!dev->irqs_enabled)
		return 0;
	if (iommu_check_process(dev->ctx))
		return -1;

	set.index = dev->irq_info.index;
	if (os_ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &set))
		return vfn_fail(errno, "cannot switch interrupts off: %s", strerror(errno));

	dev->irqs_enabled = 0;

	return 0;
}

int vfn_vfio_unmask_irq(struct vfio_device *dev)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		.count = 1,
	};

	if (!is_intx(dev))
		return 0;

	return set_irqs(dev, &set, "unmask") ? -1 : 0;
}

/* ---- as many as there are ---- */

/* Whether fewer vectors may work where so many do not. */
static bool is_too_many(int err)
{
	return err == ENOSPC || err == EINVAL || err == ENOMEM || err == ERANGE;
}

/* Have just the first @n vectors. Returns as set_irqs(). */
static int try_vectors(struct vfio_device *dev, const int *eventfds, unsigned int n)
{
	int ret;

	if (vfio_disable_irq_all(dev))
		return -1;

	ret = route(dev, eventfds, 0, n);
	if (!ret)
		dev->irqs_enabled = n;

	return ret;
}

/* The most vectors from @low to @high that work; the kernel does not say. */
static int search_vectors(struct vfio_device *dev, const int *eventfds, unsigned int low,
			  unsigned int high)
{
	unsigned int best = 0;

	while (low <= high) {
		unsigned int middle = low + (high - low) / 2;

		if (!try_vectors(dev, eventfds, middle)) {
			best = middle;
			low = middle + 1;
		} else if (is_too_many(errno)) {
			high = middle - 1;
		} else {
			return -1;
		}
	}

	if (!best || (dev->irqs_enabled != best && try_vectors(dev, eventfds, best)))
		return -1;

	return (int)best;
}

static int setup_vectors(struct vfio_device *dev, const int *eventfds, int min, int max)
{
	unsigned int count = dev->irq_info.count, n = (unsigned int)max;
	int offer;

	if (min < 1 || max < min)
		return vfn_fail(EINVAL, "cannot set up %d to %d interrupt vectors", min, max);
	if (!count)
		return vfn_fail(ENOTSUP, "the device has no interrupts");
	if ((unsigned int)min > count)
		return vfn_fail(ENOSPC, "the device has %u interrupt vectors, not %d", count, min);

	if (n > count)
		n = count;

	offer = try_vectors(dev, eventfds, n);
	if (!offer)
		return (int)n;
	if (offer >= min && (unsigned int)offer < n &&
	    !try_vectors(dev, eventfds, (unsigned int)offer))
		return offer;
	if (!is_too_many(errno) || n == (unsigned int)min)
		return -1;

	return search_vectors(dev, eventfds, (unsigned int)min, n - 1);
}

int vfn_vfio_setup_irqs(struct vfio_device *dev, int *eventfds, int min, int max)
{
	int ret;

	vfn_begin_attempt();
	ret = setup_vectors(dev, eventfds, min, max);
	vfn_end_attempt();

	return ret < 0 ? vfn_fail_again() : ret;
}

static int no_such_irq(unsigned int index)
{
	static const char *const names[] = { "INTx", "MSI", "MSI-X", "error", "request" };

	return vfn_fail(ENOTSUP, "the device has no interrupts of kind %s",
			index < 5 ? names[index] : "unknown");
}

int vfio_read_irq_info(struct vfio_device *dev, unsigned int index, struct vfio_irq_info *info)
{
	*info = (struct vfio_irq_info){ .argsz = sizeof(*info), .index = index };

	if (index >= dev->device_info.num_irqs)
		return no_such_irq(index);

	if (os_ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, info))
		return vfn_fail(errno, "cannot read the properties of interrupts: %s",
				strerror(errno));

	if (!info->count || !(info->flags & VFIO_IRQ_INFO_EVENTFD))
		return no_such_irq(index);

	return 0;
}

int vfio_use_irq(struct vfio_device *dev, unsigned int index)
{
	struct vfio_irq_info info;

	if (vfio_read_irq_info(dev, index, &info))
		return -1;
	if (info.count > VECTORS_MAX)
		return vfn_fail(EPROTO, "the kernel reports %u interrupt vectors", info.count);

	dev->irq_info = info;

	return 0;
}
