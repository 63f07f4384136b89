// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Interrupts: vectors to eventfds. */
#include "vfio/device.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"
#include "support/error.h"

/* It has one vector, which is on exactly while it has an eventfd. */
static bool is_intx(struct vfio_device *dev)
{
	return dev->irq_info.index == VFIO_PCI_INTX_IRQ_INDEX;
}

static int set_irqs(struct vfio_device *dev, struct vfio_irq_set *set, const char *what)
{
	int ret;

	set->index = dev->irq_info.index;

	ret = os_ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, set);
	if (!ret)
		return 0;
	/* as many as it could have given */
	if (ret > 0)
		errno = ENOSPC;

	return vfn_fail(errno, "cannot %s interrupt vectors %u to %u: %s", what, set->start,
			set->start + set->count - 1, strerror(errno));
}

/* Without @eventfds, all get none. */
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
		if (!route(dev, NULL, 0, want[i])) {
			dev->irqs_enabled = want[i];
			return 0;
		}
	}

	return -1;
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

	return set_irqs(dev, &set, "unmask");
}

static int no_such_irq(unsigned int index)
{
	static const char *const names[] = { "INTx", "MSI", "MSI-X" };

	return vfn_fail(ENOTSUP, "the device has no interrupts of kind %s",
			index < 3 ? names[index] : "unknown");
}

int vfio_use_irq(struct vfio_device *dev, unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (index >= dev->device_info.num_irqs)
		return no_such_irq(index);

	if (os_ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return vfn_fail(errno, "cannot read the properties of interrupts: %s",
				strerror(errno));

	if (!info.count || !(info.flags & VFIO_IRQ_INFO_EVENTFD))
		return no_such_irq(index);

	dev->irq_info = info;

	return 0;
}
