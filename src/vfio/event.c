// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What the kernel tells a program about its device: it is wanted back, the bus has failed. */
#include "vfio/device.h"

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "support/error.h"

enum event {
	REQUEST,
	ERROR,
};

static const struct {
	unsigned int index;
	const char *what;
} events[] = {
	[REQUEST] = { VFIO_PCI_REQ_IRQ_INDEX, "that it wants the device back" },
	[ERROR] = { VFIO_PCI_ERR_IRQ_INDEX, "of errors of the bus" },
};

static int check(struct vfio_pci_device *pci, enum event event)
{
	struct vfio_irq_info info;
	int ret;

	vfn_begin_attempt();
	ret = vfio_read_irq_info(&pci->dev, events[event].index, &info);
	vfn_end_attempt();

	/* EINVAL is for devices without AER, as they are not of PCI Express */
	if (ret && (errno == ENOTSUP || errno == EINVAL))
		return vfn_fail(ENOTSUP,
				"%s: the kernel does not tell %s (VFIO interrupt index %u)",
				pci->bdf, events[event].what, events[event].index);

	return ret ? vfn_fail_again() : 0;
}

static int route(struct vfio_pci_device *pci, enum event event, int fd)
{
	union {
		struct vfio_irq_set set;
		char bytes[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	} irqs = {
		.set = {
			.argsz = sizeof(irqs.bytes),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = events[event].index,
			.count = 1,
		},
	};

	memcpy(irqs.bytes + sizeof(irqs.set), &fd, sizeof(int32_t));
	if (os_ioctl(pci->dev.fd, VFIO_DEVICE_SET_IRQS, &irqs))
		return vfn_fail(errno, "%s: cannot ask the kernel to tell %s: %s", pci->bdf,
				events[event].what, strerror(errno));

	return 0;
}

static int event_fd(struct vfio_pci_device *pci, enum event event)
{
	int fd, saved;

	if (vfio_pci_check(pci))
		return -1;
	if (pci->event_fds[event])
		return pci->event_fds[event];
	if (check(pci, event))
		return -1;

	fd = os_eventfd();
	if (fd < 0)
		return vfn_fail(errno, "%s: no descriptor for the kernel to tell %s: %s", pci->bdf,
				events[event].what, strerror(errno));

	if (route(pci, event, fd)) {
		saved = errno;
		(void)os_close(fd);
		errno = saved;
		return -1;
	}

	pci->event_fds[event] = fd;

	return fd;
}

int vfn_vfio_request_fd(struct vfio_pci_device *pci)
{
	return event_fd(pci, REQUEST);
}

int vfn_vfio_error_fd(struct vfio_pci_device *pci)
{
	return event_fd(pci, ERROR);
}

void vfio_close_events(struct vfio_pci_device *pci)
{
	int saved = errno;

	for (unsigned int i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (pci->event_fds[i])
			(void)os_close(pci->event_fds[i]);
	errno = saved;
}
