// SPDX-License-Identifier: GPL-2.0-or-later
/* I/O address spaces: mappings in order, memory behind them, translation for devices. */
#include "emu_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* Larger memory is only tried at its ends. */
#define POPULATE_MAX (64UL << 20)

static struct space *spaces;

void space_init(struct space *s)
{
	s->next = spaces;
	spaces = s;
}

void space_clear(struct space *s, const char *what)
{
	if (s->nmaps)
		emu_report("%s with %zu DMA mappings", what, s->nmaps);
	space_remove(s, 0, UINT64_MAX);
}

void space_fini(struct space *s, const char *what)
{
	struct space **link = &spaces;

	space_clear(s, what);
	free(s->maps);
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
}

void spaces_forget(void)
{
	spaces = NULL;
}

/* ------------------------------------------------------------------ memory */

static bool touch(uint64_t vaddr, uint64_t size, bool write)
{
	return !madvise((void *)(uintptr_t)vaddr, size,
			write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

bool space_memory_ok(const struct dma_map *m)
{
	uint64_t vaddr = (uintptr_t)m->vaddr;

	if (m->size <= POPULATE_MAX)
		return touch(vaddr, m->size, m->write);

	return touch(vaddr, EMU_PAGE, m->write) &&
	       touch(vaddr + m->size - EMU_PAGE, EMU_PAGE, m->write);
}

/* ---------------------------------------------------------------- mappings */

/* Index of the first mapping that ends at or after @iova. */
static size_t find_from(const struct space *s, uint64_t iova)
{
	size_t low = 0, high = s->nmaps;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (s->maps[mid].iova + (s->maps[mid].size - 1) < iova)
			low = mid + 1;
		else
			high = mid;
	}

	return low;
}

struct dma_map *space_next(const struct space *s, uint64_t iova)
{
	size_t at = find_from(s, iova);

	return at < s->nmaps ? &s->maps[at] : NULL;
}

void space_insert(struct space *s, const struct dma_map *map)
{
	size_t at = find_from(s, map->iova);

	if (s->nmaps == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->maps = emu_resize(s->maps, s->room * sizeof(*s->maps));
	}
	memmove(&s->maps[at + 1], &s->maps[at], (s->nmaps - at) * sizeof(*s->maps));
	s->maps[at] = *map;
	s->nmaps++;
	emu_used.dma_maps++;
	emu_used.dma_bytes += map->size;
}

/* Tell the devices behind @s before [iova, last] goes. */
static void announce(struct space *s, uint64_t iova, uint64_t last)
{
	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		if (p->ops && pci_space(p) == s)
			p->ops->unmapping(p, iova, last);
	}
}

static void drop_memory(struct dma_map *m)
{
	if (m->file)
		munmap(m->host, m->size);
}

uint64_t space_remove(struct space *s, uint64_t iova, uint64_t last)
{
	size_t at = find_from(s, iova), end = at;
	uint64_t removed = 0;

	while (end < s->nmaps && s->maps[end].iova <= last) {
		struct dma_map *m = &s->maps[end++];

		announce(s, m->iova, m->iova + m->size - 1);
		drop_memory(m);
		removed += m->size;
	}
	if (end == at)
		return 0;
	emu_used.dma_maps -= end - at;
	emu_used.dma_bytes -= removed;
	memmove(&s->maps[at], &s->maps[end], (s->nmaps - end) * sizeof(*s->maps));
	s->nmaps -= end - at;

	return removed;
}

/* ------------------------------------------------------------- translation */

static struct dma_map *find(const struct space *s, uint64_t iova)
{
	struct dma_map *m = s ? space_next(s, iova) : NULL;

	return m && m->iova <= iova ? m : NULL;
}

void *space_translate(const struct space *s, uint64_t iova, bool write)
{
	struct dma_map *m = find(s, iova);

	if (!m || m->gone || !m->host || !(write ? m->write : m->read))
		return NULL;
	if (m->pci && (m->pci->removed || m->pci->bar_hidden[m->bar] || !pci_decodes(m->pci)))
		return NULL;

	return m->host + (iova - m->iova);
}

/* The kernel keeps pinned pages; a device that still uses them is a mistake we want to see. */
void space_memory_gone(const char *addr, size_t len)
{
	for (struct space *s = spaces; s; s = s->next) {
		for (size_t i = 0; i < s->nmaps; i++) {
			struct dma_map *m = &s->maps[i];

			if (m->vaddr && m->vaddr < addr + len && addr < m->vaddr + m->size)
				m->gone = true;
		}
	}
}

void space_device_gone(struct emu_pci *pci)
{
	for (struct space *s = spaces; s; s = s->next) {
		for (size_t i = 0; i < s->nmaps; i++)
			s->maps[i].gone |= s->maps[i].pci == pci;
	}
}

bool emu_iova_mapped(const char *bdf, uint64_t iova, size_t len)
{
	struct emu_pci *pci;
	struct dma_map *m;

	emu_autolock();
	pci = pci_find(bdf);
	while (pci && len) {
		uint64_t room;

		m = find(pci_space(pci), iova);
		if (!m)
			return false;
		room = m->iova + m->size - iova;
		iova += room;
		len -= room < len ? room : len;
	}

	return pci;
}
