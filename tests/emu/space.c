// SPDX-License-Identifier: GPL-2.0-or-later
/* I/O address spaces: mappings in order, memory behind them, translation for devices. */
#include "emu_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* Larger memory is only tried at its ends. */
#define POPULATE_MAX (64UL << 20)

/* What is moved when a mapping comes or goes, so that a million of them take no long. */
#define PART_MAPS 128

struct space_part {
	size_t n;
	struct dma_map maps[PART_MAPS];
};

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
	free(s->parts);
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
}

void spaces_forget(void)
{
	spaces = NULL;
}

/* ------------------------------------------------------------------ memory */

static bool populate(void *mem, size_t len, bool write)
{
	return !madvise(mem, len, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

/* qemu-user passes no advice on, and says that all is well even where there is no access. */
static bool populate_is_ignored(void)
{
	static int ignored = -1;

	if (ignored < 0) {
		void *none = mmap(NULL, EMU_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ignored = populate(none, EMU_PAGE, false);
		munmap(none, EMU_PAGE);
	}

	return ignored;
}

/*
 * It looks at all of the memory before it reads or writes a file, though. The null
 * device has nothing to read and takes whatever is written, so nothing is touched.
 */
static bool file_takes(void *mem, size_t len, bool write_to_mem)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const bool ok = write_to_mem ? read(fd, mem, len) == 0 :
				       write(fd, mem, len) == (ssize_t)len;

	close(fd);

	return ok;
}

bool emu_memory_ok(const void *mem, size_t len, bool write)
{
	return populate_is_ignored() ? file_takes((void *)mem, len, write) :
				       populate((void *)mem, len, write);
}

bool space_memory_ok(const struct dma_map *m)
{
	if (m->size <= POPULATE_MAX)
		return emu_memory_ok(m->vaddr, m->size, m->write);

	return emu_memory_ok(m->vaddr, EMU_PAGE, m->write) &&
	       emu_memory_ok(m->vaddr + m->size - EMU_PAGE, EMU_PAGE, m->write);
}

/* ---------------------------------------------------------------- mappings */

static uint64_t last_of(const struct dma_map *m)
{
	return m->iova + (m->size - 1);
}

/* Index of the first part that ends at or after @iova. */
static size_t find_part(const struct space *s, uint64_t iova)
{
	size_t low = 0, high = s->nparts;

	while (low < high) {
		const size_t mid = (low + high) / 2;
		const struct space_part *part = s->parts[mid];

		if (last_of(&part->maps[part->n - 1]) < iova)
			low = mid + 1;
		else
			high = mid;
	}

	return low;
}

/* Index of the first mapping of a part that ends at or after @iova. */
static size_t find_in_part(const struct space_part *part, uint64_t iova)
{
	size_t low = 0, high = part->n;

	while (low < high) {
		const size_t mid = (low + high) / 2;

		if (last_of(&part->maps[mid]) < iova)
			low = mid + 1;
		else
			high = mid;
	}

	return low;
}

struct dma_map *space_next(const struct space *s, uint64_t iova)
{
	const size_t at = find_part(s, iova);

	return at < s->nparts ? &s->parts[at]->maps[find_in_part(s->parts[at], iova)] : NULL;
}

struct dma_map *space_after(const struct space *s, const struct dma_map *m)
{
	return last_of(m) == UINT64_MAX ? NULL : space_next(s, last_of(m) + 1);
}

/* An empty part in front of the one that has index @at. */
static struct space_part *add_part(struct space *s, size_t at)
{
	struct space_part *part = emu_zalloc(sizeof(*part));

	if (s->nparts == s->room) {
		s->room = s->room ? 2 * s->room : 16;
		s->parts = emu_resize(s->parts, s->room * sizeof(*s->parts));
	}
	memmove(&s->parts[at + 1], &s->parts[at], (s->nparts - at) * sizeof(*s->parts));
	s->parts[at] = part;
	s->nparts++;

	return part;
}

/* Move the upper half of a full part to one of its own. */
static void split_part(struct space *s, size_t at)
{
	struct space_part *upper = add_part(s, at + 1), *part = s->parts[at];

	part->n = PART_MAPS / 2;
	upper->n = PART_MAPS - part->n;
	memcpy(upper->maps, &part->maps[part->n], upper->n * sizeof(*upper->maps));
}

/* The part that a mapping at @iova goes into, with room for it. */
static struct space_part *part_for(struct space *s, uint64_t iova)
{
	size_t at = find_part(s, iova);

	if (!s->nparts)
		add_part(s, 0);
	else if (at == s->nparts)
		at--;
	if (s->parts[at]->n == PART_MAPS) {
		split_part(s, at);
		at += last_of(&s->parts[at]->maps[PART_MAPS / 2 - 1]) < iova;
	}

	return s->parts[at];
}

void space_insert(struct space *s, const struct dma_map *map)
{
	struct space_part *part = part_for(s, map->iova);
	const size_t at = find_in_part(part, map->iova);

	memmove(&part->maps[at + 1], &part->maps[at], (part->n - at) * sizeof(*part->maps));
	part->maps[at] = *map;
	part->n++;
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

static void remove_map(struct space *s, size_t at, struct dma_map *m)
{
	struct space_part *part = s->parts[at];

	part->n--;
	memmove(m, m + 1, (size_t)(part->maps + part->n - m) * sizeof(*m));
	s->nmaps--;
	if (part->n)
		return;

	free(part);
	s->nparts--;
	memmove(&s->parts[at], &s->parts[at + 1], (s->nparts - at) * sizeof(*s->parts));
}

uint64_t space_remove(struct space *s, uint64_t iova, uint64_t last)
{
	struct dma_map *m;
	uint64_t removed = 0;

	while ((m = space_next(s, iova)) && m->iova <= last) {
		announce(s, m->iova, last_of(m));
		drop_memory(m);
		removed += m->size;
		emu_used.dma_maps--;
		remove_map(s, find_part(s, iova), m);
	}
	emu_used.dma_bytes -= removed;

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
		for (struct dma_map *m = space_next(s, 0); m; m = space_after(s, m)) {
			if (m->vaddr && m->vaddr < addr + len && addr < m->vaddr + m->size)
				m->gone = true;
		}
	}
}

void space_device_gone(struct emu_pci *pci)
{
	for (struct space *s = spaces; s; s = s->next) {
		for (struct dma_map *m = space_next(s, 0); m; m = space_after(s, m))
			m->gone |= m->pci == pci;
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
