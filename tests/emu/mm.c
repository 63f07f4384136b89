// SPDX-License-Identifier: GPL-2.0-or-later
/* Mapped memory: anonymous pages, BAR mappings, and the MMIO hooks behind those. */
#include "emu_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/ones.h"
#include "os/os.h"

uint32_t vfn_mmio_hook_read32(void *addr);
void vfn_mmio_hook_write32(void *addr, uint32_t val);

#define MAX_BAR_MAPS 64

struct mapping {
	char *addr;
	size_t len;
	struct mapping *next;
};

/* Looked up without the lock: addr is set last and cleared first. */
struct bar_map {
	char *addr;
	size_t len;
	struct emu_pci *pci;
	unsigned int bar;
	uint64_t offset;
	pid_t owner;
	bool revoked;
};

static struct mapping *mappings;
static struct bar_map bar_maps[MAX_BAR_MAPS];

void mm_init(void)
{
	memset(bar_maps, 0, sizeof(bar_maps));
	mappings = NULL;
}

void mm_fini(void)
{
	while (mappings) {
		struct mapping *m = mappings;

		mappings = m->next;
		munmap(m->addr, m->len);
		free(m);
	}
	memset(bar_maps, 0, sizeof(bar_maps));
}

static size_t page_up(size_t len)
{
	return (len + EMU_PAGE - 1) & ~(EMU_PAGE - 1);
}

static void track(void *addr, size_t len)
{
	struct mapping *m = emu_zalloc(sizeof(*m));

	m->addr = addr;
	m->len = page_up(len);
	m->next = mappings;
	mappings = m;
	emu_used.mmaps++;
	emu_used.mmap_bytes += m->len;
}

static void untrack(struct mapping **link)
{
	struct mapping *m = *link;

	*link = m->next;
	emu_used.mmaps--;
	emu_used.mmap_bytes -= m->len;
	free(m);
}

static struct mapping **find_mapping(const char *addr, size_t len)
{
	for (struct mapping **link = &mappings; *link; link = &(*link)->next) {
		struct mapping *m = *link;

		if (addr >= m->addr && addr + len <= m->addr + m->len)
			return link;
	}

	return NULL;
}

/* ------------------------------------------------------------------- BARs */

static struct bar_map *find_bar(const char *addr)
{
	for (size_t i = 0; i < MAX_BAR_MAPS; i++) {
		char *start = __atomic_load_n(&bar_maps[i].addr, __ATOMIC_ACQUIRE);

		if (start && addr >= start && addr + 4 <= start + bar_maps[i].len)
			return &bar_maps[i];
	}

	return NULL;
}

bool mm_bar_memory(struct dma_map *m)
{
	for (struct bar_map *b = bar_maps; b < bar_maps + MAX_BAR_MAPS; b++) {
		if (!b->addr || m->vaddr < b->addr || m->vaddr + m->size > b->addr + b->len)
			continue;
		m->pci = b->pci;
		m->bar = b->bar;
		m->host = (char *)b->pci->bar_mem[b->bar];
		if (m->host)
			m->host += b->offset + (m->vaddr - b->addr);
		return true;
	}

	return false;
}

uint8_t *mm_shared(size_t size, int *fd)
{
	void *mem = MAP_FAILED;

	*fd = memfd_create("bar", MFD_CLOEXEC);
	if (*fd >= 0 && !ftruncate(*fd, size))
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (mem == MAP_FAILED) {
		fputs("emu: no memory for a BAR\n", stderr);
		abort();
	}

	return mem;
}

/* A disk ends where a page without access begins. It is none of malloc()'s, since sanitizers mark all of what that gives. */
static size_t disk_pages(size_t size)
{
	return (size + EMU_PAGE - 1) / EMU_PAGE * EMU_PAGE;
}

uint8_t *mm_make_disk(size_t size)
{
	const size_t len = disk_pages(size);
	uint8_t *mem = mmap(NULL, len + EMU_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED || mprotect(mem + len, EMU_PAGE, PROT_NONE)) {
		fputs("emu: no memory for a disk\n", stderr);
		abort();
	}

	return mem + len - size;
}

void mm_free_disk(uint8_t *disk, size_t size)
{
	const size_t len = disk_pages(size);

	munmap(disk + size - len, len + EMU_PAGE);
}

static int bar_prot(const struct emu_pci *pci, unsigned int bar)
{
	return pci->bar_hidden[bar] ? PROT_NONE : PROT_READ | PROT_WRITE;
}

void mm_show_bar(struct emu_pci *pci, unsigned int bar, bool shown)
{
	pci->bar_hidden[bar] = !shown;
	for (struct bar_map *b = bar_maps; b < bar_maps + MAX_BAR_MAPS; b++) {
		if (b->addr && b->pci == pci && b->bar == bar)
			mprotect(b->addr, b->len, bar_prot(pci, bar));
	}
}

/* Pages beyond the end of a file. A child has other things where its parent has a BAR. */
void mm_revoke(struct emu_pci *pci)
{
	int fd = memfd_create("nothing", MFD_CLOEXEC);

	for (struct bar_map *b = bar_maps; b < bar_maps + MAX_BAR_MAPS; b++) {
		if (!b->addr || b->pci != pci || b->owner != getpid())
			continue;
		mmap(b->addr, b->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
		__atomic_store_n(&b->revoked, true, __ATOMIC_RELEASE);
	}
	close(fd);
}

static void *map_registers(size_t len)
{
	return mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Registers give no access: whoever goes around the accessors gets a SIGSEGV. */
void *mm_map_bar(struct emu_pci *pci, unsigned int bar, uint64_t offset, size_t len)
{
	struct bar_map *map = bar_maps;
	void *addr;

	while (map < bar_maps + MAX_BAR_MAPS && map->addr)
		map++;
	if (map == bar_maps + MAX_BAR_MAPS) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (pci->bar_fd[bar] < 0)
		addr = map_registers(len);
	else
		addr = mmap(NULL, len, bar_prot(pci, bar), MAP_SHARED, pci->bar_fd[bar], offset);
	if (addr == MAP_FAILED)
		return addr;

	map->len = len;
	map->pci = pci;
	map->bar = bar;
	map->offset = offset;
	map->owner = getpid();
	map->revoked = false;
	__atomic_store_n(&map->addr, addr, __ATOMIC_RELEASE);

	return addr;
}

static void unmap_bar(char *addr)
{
	struct bar_map *map = find_bar(addr);

	if (map)
		__atomic_store_n(&map->addr, NULL, __ATOMIC_RELEASE);
}

static struct bar_map *hook_bar(void *addr, const char *what)
{
	struct bar_map *map = find_bar(addr);

	if (!map)
		emu_report("register %s at an address where no BAR is mapped", what);
	else if ((uintptr_t)addr & 3)
		emu_report("register %s not aligned to 4 bytes", what);

	return map;
}

/* What the processor would do. */
static bool is_revoked(const struct bar_map *map)
{
	return map && __atomic_load_n(&map->revoked, __ATOMIC_ACQUIRE);
}

uint32_t vfn_mmio_hook_read32(void *addr)
{
	struct bar_map *map = find_bar(addr);

	if (is_revoked(map))
		return *(volatile uint32_t *)addr;

	emu_autolock();
	map = hook_bar(addr, "read");
	if (!map)
		return UINT32_MAX;

	return pci_bar_read32(map->pci, map->bar, map->offset + ((char *)addr - map->addr));
}

void vfn_mmio_hook_write32(void *addr, uint32_t val)
{
	struct bar_map *map = find_bar(addr);

	if (is_revoked(map)) {
		*(volatile uint32_t *)addr = val;
		return;
	}
	if (map && map->bar == 0 && map->pci->ops && map->pci->ops->post &&
	    map->pci->ops->post(map->pci, map->offset + ((char *)addr - map->addr), val))
		return;

	emu_autolock();
	map = hook_bar(addr, "write");
	if (map)
		pci_bar_write32(map->pci, map->bar, map->offset + ((char *)addr - map->addr), val);
}

/* -------------------------------------------------------------- os_ calls */

void *os_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t offset)
{
	struct emu_file *file;
	void *mem;

	emu_autolock();
	if (emu_enter(EMU_MMAP, "mmap %zu", len))
		return MAP_FAILED;

	file = flags & MAP_ANONYMOUS ? NULL : fd_get(fd);
	if (!file) {
		mem = mmap(addr, len, prot, flags, fd, offset);
	} else if (!file->ops->mmap) {
		errno = ENODEV;
		return MAP_FAILED;
	} else {
		mem = file->ops->mmap(file, len, prot, flags, offset);
	}
	if (mem != MAP_FAILED)
		track(mem, len);

	return mem;
}

int os_munmap(void *addr, size_t len)
{
	struct mapping **link;
	char *start, *end, *from = addr;
	int ret;

	emu_autolock();
	ret = emu_enter(EMU_MUNMAP, "munmap %zu", len);
	if (!len || (uintptr_t)addr & (EMU_PAGE - 1))
		return emu_errno(EINVAL);

	len = page_up(len);
	link = find_mapping(addr, len);
	if (!link) {
		emu_report("munmap of %zu bytes that os_mmap did not give", len);
		return emu_errno(EINVAL);
	}
	start = (*link)->addr;
	end = start + (*link)->len;
	untrack(link);
	if (start < from)
		track(start, from - start);
	if (from + len < end)
		track(from + len, end - from - len);

	space_memory_gone(addr, len);
	unmap_bar(addr);
	munmap(addr, len);

	return ret;
}

/* Runs in handlers, so without the lock; what is mapped there stays mapped. */
int os_put_ones(void *addr, size_t len)
{
	return put_ones(addr, len);
}

int os_sigaction(int signum, const struct sigaction *act, struct sigaction *old)
{
	return sigaction(signum, act, old);
}

int os_raise(int signum)
{
	return raise(signum);
}

int os_madvise(void *addr, size_t len, int advice)
{
	emu_autolock();
	if (emu_enter(EMU_MADVISE, "madvise %d", advice))
		return -1;

	return madvise(addr, len, advice);
}
