// SPDX-License-Identifier: GPL-2.0-or-later
/* VFIO interrupts: INTx with automask, MSI and MSI-X, delivered to eventfds. */
#include "emu_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINSZ sizeof(struct vfio_irq_set)

static const unsigned int info_flags[VFIO_PCI_NUM_IRQS] = {
	[VFIO_PCI_INTX_IRQ_INDEX] = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
				    VFIO_IRQ_INFO_AUTOMASKED,
	[VFIO_PCI_MSI_IRQ_INDEX] = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
	[VFIO_PCI_MSIX_IRQ_INDEX] = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
	[VFIO_PCI_ERR_IRQ_INDEX] = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
	[VFIO_PCI_REQ_IRQ_INDEX] = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
};

static bool may_resize(struct emu_pci *pci, unsigned int index)
{
	return index == VFIO_PCI_MSIX_IRQ_INDEX && pci->opts.msix_dynamic;
}

int irq_get_info(struct emu_pci *pci, struct vfio_irq_info *info)
{
	if (info->argsz < sizeof(*info) || info->index >= pci->opts.num_irqs)
		return emu_errno(EINVAL);
	if (info->index == VFIO_PCI_ERR_IRQ_INDEX && pci->opts.not_express)
		return emu_errno(EINVAL);

	info->count = pci->irq[info->index].count;
	info->flags = info_flags[info->index];
	if (may_resize(pci, info->index))
		info->flags &= ~VFIO_IRQ_INFO_NORESIZE;

	return 0;
}

/* --------------------------------------------------------------- eventfds */

static int check_eventfd(int fd)
{
	char path[32], name[32] = {};

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, name, sizeof(name) - 1) < 0)
		return emu_errno(EBADF);

	return strcmp(name, "anon_inode:[eventfd]") ? emu_errno(EINVAL) : 0;
}

/* A duplicate, as the kernel's reference: closing the caller's changes nothing. */
static int put_fd(int *slot, int fd)
{
	int copy = -1;

	if (fd >= 0) {
		if (check_eventfd(fd))
			return -1;
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	if (*slot >= 0)
		close(*slot);
	*slot = copy;

	return 0;
}

static bool signal_fd(int fd)
{
	const uint64_t one = 1;

	return fd >= 0 && write(fd, &one, sizeof(one)) == sizeof(one);
}

/* -------------------------------------------------------- enable, disable */

static void disable(struct pci_irq *irq)
{
	for (unsigned int i = 0; i < irq->enabled; i++)
		put_fd(&irq->fds[i], -1);
	free(irq->fds);
	irq->fds = NULL;
	irq->enabled = 0;
}

void irq_disable_all(struct emu_pci *pci)
{
	for (unsigned int i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		disable(&pci->irq[i]);
	pci->intx_masked = false;
}

static void resize(struct pci_irq *irq, unsigned int n)
{
	irq->fds = emu_resize(irq->fds, n * sizeof(*irq->fds));
	for (unsigned int i = irq->enabled; i < n; i++)
		irq->fds[i] = -1;
	irq->enabled = n;
}

/* INTx, MSI and MSI-X exclude each other. */
static bool other_enabled(struct emu_pci *pci, unsigned int index)
{
	for (unsigned int i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++) {
		if (i != index && pci->irq[i].enabled)
			return true;
	}

	return false;
}

/* -------------------------------------------------------------------- INTx */

static void deliver_intx(struct emu_pci *pci)
{
	struct pci_irq *irq = &pci->irq[VFIO_PCI_INTX_IRQ_INDEX];

	if (!pci->intx_level || pci->intx_masked || !irq->enabled)
		return;
	pci->intx_masked = true;
	pci->irqs_signalled += signal_fd(irq->fds[0]);
}

void irq_set_level(struct emu_pci *pci, bool level)
{
	pci->intx_level = level;
	deliver_intx(pci);
}

static int intx_set_trigger(struct emu_pci *pci, const struct vfio_irq_set *set)
{
	struct pci_irq *irq = &pci->irq[VFIO_PCI_INTX_IRQ_INDEX];
	int fd;

	if (!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD)) {
		if (!irq->enabled)
			return emu_errno(EINVAL);
		signal_fd(irq->fds[0]);
		return 0;
	}
	memcpy(&fd, set->data, sizeof(fd));
	if (fd < 0) {
		disable(irq);
		return 0;
	}
	if (check_eventfd(fd))
		return -1;
	if (!irq->enabled) {
		resize(irq, 1);
		pci->intx_masked = false;
	}
	put_fd(&irq->fds[0], fd);
	deliver_intx(pci);

	return 0;
}

static int intx_set_mask(struct emu_pci *pci, const struct vfio_irq_set *set, bool mask)
{
	if (!pci->irq[VFIO_PCI_INTX_IRQ_INDEX].enabled)
		return emu_errno(EINVAL);
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return emu_errno(ENOTTY);
	if (set->flags & VFIO_IRQ_SET_DATA_BOOL && !set->data[0])
		return 0;
	pci->intx_masked = mask;
	deliver_intx(pci);

	return 0;
}

static int intx_set(struct emu_pci *pci, const struct vfio_irq_set *set)
{
	const uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

	if (!set->count) {
		if (action != VFIO_IRQ_SET_ACTION_TRIGGER ||
		    !pci->irq[VFIO_PCI_INTX_IRQ_INDEX].enabled)
			return emu_errno(EINVAL);
		disable(&pci->irq[VFIO_PCI_INTX_IRQ_INDEX]);
		return 0;
	}
	if (set->start || set->count != 1 || other_enabled(pci, VFIO_PCI_INTX_IRQ_INDEX))
		return emu_errno(EINVAL);
	if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
		return intx_set_trigger(pci, set);

	return intx_set_mask(pci, set, action == VFIO_IRQ_SET_ACTION_MASK);
}

/* ---------------------------------------------------------- MSI and MSI-X */

static int set_fds(struct pci_irq *irq, const struct vfio_irq_set *set)
{
	for (unsigned int i = 0; i < set->count; i++) {
		int fd;

		memcpy(&fd, set->data + i * sizeof(fd), sizeof(fd));
		if (put_fd(&irq->fds[set->start + i], fd)) {
			int err = errno;

			for (unsigned int j = 0; j < i; j++)
				put_fd(&irq->fds[set->start + j], -1);
			return emu_errno(err);
		}
	}

	return 0;
}

static int msi_set_fds(struct emu_pci *pci, const struct vfio_irq_set *set)
{
	struct pci_irq *irq = &pci->irq[set->index];
	unsigned int want = set->start + set->count, avail = pci->opts.vectors_avail;
	bool first = !irq->enabled;
	int ret;

	if (avail && want > avail && (first || may_resize(pci, set->index)))
		return avail; /* what pci_alloc_irq_vectors() said, as in the kernel */
	if (!first && want > irq->enabled && !may_resize(pci, set->index))
		return emu_errno(EINVAL);
	if (want > irq->enabled)
		resize(irq, want);
	ret = set_fds(irq, set);
	if (ret && first)
		disable(irq);

	return ret;
}

static int msi_trigger(struct pci_irq *irq, const struct vfio_irq_set *set)
{
	if (!irq->enabled || set->start + set->count > irq->enabled)
		return emu_errno(EINVAL);
	for (unsigned int i = 0; i < set->count; i++) {
		if (set->flags & VFIO_IRQ_SET_DATA_NONE || set->data[i])
			signal_fd(irq->fds[set->start + i]);
	}

	return 0;
}

static int msi_set(struct emu_pci *pci, const struct vfio_irq_set *set)
{
	struct pci_irq *irq = &pci->irq[set->index];

	if ((set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return emu_errno(ENOTTY);
	if (!set->count) {
		if (!irq->enabled)
			return emu_errno(EINVAL);
		disable(irq);
		return 0;
	}
	if (other_enabled(pci, set->index))
		return emu_errno(EINVAL);
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return msi_set_fds(pci, set);

	return msi_trigger(irq, set);
}

/* Error and request: one eventfd each. */
static int err_set(struct emu_pci *pci, const struct vfio_irq_set *set)
{
	struct pci_irq *irq = &pci->irq[set->index];

	if ((set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return emu_errno(ENOTTY);
	if (!set->count) {
		disable(irq);
		return 0;
	}
	if (!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD))
		return msi_trigger(irq, set);
	if (!irq->enabled)
		resize(irq, 1);

	return set_fds(irq, set);
}

/* ---------------------------------------------------------------- SET_IRQS */

static int check_set(struct emu_pci *pci, const struct vfio_irq_set *set)
{
	uint32_t data = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	size_t size = data == VFIO_IRQ_SET_DATA_EVENTFD ? 4 : data == VFIO_IRQ_SET_DATA_BOOL;
	unsigned int n;

	if (set->argsz < MINSZ || set->index >= pci->opts.num_irqs)
		return EINVAL;
	if (set->flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return EINVAL;
	if (__builtin_popcount(data) != 1 || __builtin_popcount(action) != 1)
		return EINVAL;
	n = pci->irq[set->index].count;
	if (set->start >= n || set->count > n - set->start)
		return EINVAL;
	if (set->argsz - MINSZ < set->count * size)
		return EINVAL;
	if (!set->count && data != VFIO_IRQ_SET_DATA_NONE)
		return EINVAL;

	return 0;
}

int irq_set(struct emu_pci *pci, const struct vfio_irq_set *set)
{
	int err = check_set(pci, set);

	if (err)
		return emu_errno(err);
	if (set->index == VFIO_PCI_INTX_IRQ_INDEX)
		return intx_set(pci, set);
	if (set->index == VFIO_PCI_ERR_IRQ_INDEX || set->index == VFIO_PCI_REQ_IRQ_INDEX)
		return err_set(pci, set);

	return msi_set(pci, set);
}

static bool signal_index(struct emu_pci *pci, unsigned int index, unsigned int vector)
{
	struct pci_irq *irq = &pci->irq[index];
	bool done = vector < irq->enabled && signal_fd(irq->fds[vector]);

	pci->irqs_signalled += done;

	return done;
}

/* Vector @vector of MSI-X or MSI; INTx has only a level. */
void irq_signal(struct emu_pci *pci, unsigned int vector)
{
	if (!signal_index(pci, VFIO_PCI_MSIX_IRQ_INDEX, vector))
		signal_index(pci, VFIO_PCI_MSI_IRQ_INDEX, vector);
}

void irq_tell(struct emu_pci *pci, unsigned int index)
{
	signal_index(pci, index, 0);
}

void irq_spurious(struct emu_pci *pci, unsigned int vector)
{
	if (!signal_index(pci, VFIO_PCI_INTX_IRQ_INDEX, vector))
		irq_signal(pci, vector);
}
