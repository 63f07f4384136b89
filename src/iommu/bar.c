// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Which of the process's memory is a device's: mapped base address registers. */
#include <errno.h>
#include <stdlib.h>

#include <vfn/support/mutex.h>

#include "iommu/context.h"
#include "os/os.h"
#include "support/error.h"

#define NAP_NS 1000

struct mapped_bar {
	struct mapped_bar *next;
	struct iommu_bar bar;
	size_t len;
};

/* Taken after an address space's lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mapped_bar *bars;

/*
 * Handlers of signals walk the list without the lock, so its links are set at once. What a
 * walker may still see is not freed: either it has begun before this says so, or it does not
 * find any more what was taken out.
 */
static unsigned int walkers;

#define LINK(p, mb) __atomic_store_n(p, mb, __ATOMIC_SEQ_CST)
#define FOLLOW(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)

static void put(struct mapped_bar *mb)
{
	__autolock(&lock);

	LINK(&mb->next, bars);
	LINK(&bars, mb);
}

static void forget(struct mapped_bar *mb)
{
	while (__atomic_load_n(&walkers, __ATOMIC_SEQ_CST))
		os_sleep_ns(NAP_NS);
	free(mb);
}

bool iommu_bar_around(const void *addr, void **start, size_t *len)
{
	bool found = false;

	__atomic_add_fetch(&walkers, 1, __ATOMIC_SEQ_CST);

	for (struct mapped_bar *mb = FOLLOW(&bars); mb && !found; mb = FOLLOW(&mb->next)) {
		found = (uintptr_t)addr - (uintptr_t)mb->bar.vaddr < mb->len;
		if (found) {
			*start = mb->bar.vaddr;
			*len = mb->len;
		}
	}

	__atomic_sub_fetch(&walkers, 1, __ATOMIC_SEQ_CST);

	return found;
}

int iommu_add_bar(void *vaddr, size_t len, const struct iommu_bar *bar)
{
	struct mapped_bar *mb = vfn_zalloc(sizeof(*mb));

	if (!mb)
		return -1;

	mb->bar = *bar;
	mb->bar.vaddr = vaddr;
	mb->len = len;
	put(mb);

	return 0;
}

bool iommu_find_bar(const void *vaddr, size_t len, struct iommu_bar *bar)
{
	__autolock(&lock);

	for (struct mapped_bar *mb = bars; mb; mb = mb->next) {
		size_t skip = (uintptr_t)vaddr - (uintptr_t)mb->bar.vaddr;

		if ((uintptr_t)vaddr < (uintptr_t)mb->bar.vaddr || skip >= mb->len ||
		    len > mb->len - skip)
			continue;

		*bar = mb->bar;
		bar->offset += skip;
		return true;
	}

	return false;
}

static struct mapped_bar *take(const void *vaddr)
{
	__autolock(&lock);

	for (struct mapped_bar **p = &bars; *p; p = &(*p)->next) {
		struct mapped_bar *mb = *p;

		if (mb->bar.vaddr == vaddr) {
			LINK(p, mb->next);
			return mb;
		}
	}

	return NULL;
}

int iommu_remove_bar(void *vaddr, size_t *len)
{
	struct mapped_bar *mb = take(vaddr);

	if (!mb)
		return 0;

	*len = mb->len;
	if (iommu_unmap_everywhere(vaddr, *len)) {
		put(mb);
		return -1;
	}

	forget(mb);

	return 0;
}

/* The next one of a device that closes; what it was is forgotten, how long it is is not. */
static bool orphan(int fd, void **vaddr, size_t *len)
{
	__autolock(&lock);

	for (struct mapped_bar *mb = bars; mb; mb = mb->next) {
		if (mb->bar.fd != fd)
			continue;

		mb->bar.fd = -1;
		*vaddr = mb->bar.vaddr;
		*len = mb->len;
		return true;
	}

	return false;
}

void iommu_orphan_bars(int fd)
{
	void *vaddr;
	size_t len;

	while (orphan(fd, &vaddr, &len))
		(void)iommu_unmap_everywhere(vaddr, len);
}
