// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapping, pinning, translation and the choice of addresses against a model that has a line per page.
 *
 * D2, D4, D5, D7
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/mman.h>

#include <vfn/vfio.h>

#include "emu.h"
#include "iommu/context.h"
#include "iommu/table.h"

#define PAGE 4096UL
#define BASE 0x10000UL /* of the addresses that the IOMMU has, in two parts */
#define ROOM 96U
#define HOLE 40U  /* to 48 */
#define PAGES 64U /* of memory, with the border of two tables in the middle */
#define MAPS 64U

struct map {
	unsigned int page, n, at;
	unsigned int bits; /* permissions */
	unsigned int persistent, ephemeral, pins;
	bool reserved;
};

static struct vfio_pci_device devices[2];
static struct iommu_ctx *ctx;
static char *memory;

static struct map maps[MAPS];
static struct map *by_page[PAGES], *by_address[256];
static struct {
	unsigned int page, n;
} pins[16];
static unsigned int npins;

static bool usable(unsigned int at)
{
	return at < HOLE || (at >= HOLE + 8 && at < ROOM);
}

static unsigned int users(const struct map *m)
{
	return m->persistent + m->ephemeral + m->pins;
}

static unsigned int bits(const struct map *m)
{
	return m->bits | (m->persistent ? 0 : IOMMU_PAGE_EPHEMERAL);
}

static uint64_t address(const struct map *m, unsigned int page)
{
	return BASE + (m->at + page - m->page) * PAGE;
}

static bool is_free(unsigned int page, unsigned int n)
{
	for (unsigned int i = page; i < page + n; i++)
		if (by_page[i])
			return false;

	return true;
}

/* Pages from @page on, at most @n, that have consecutive addresses and the same bits. */
static unsigned int run(unsigned int page, unsigned int n)
{
	const struct map *first = by_page[page];
	unsigned int i = 1;

	while (i < n && by_page[page + i] && bits(by_page[page + i]) == bits(first) &&
	       address(by_page[page + i], page + i) == address(first, page) + i * PAGE)
		i++;

	return i;
}

/* 0, or the errno with which an address is refused. */
static int refusal(unsigned int at, unsigned int n, bool reserve)
{
	bool outside = reserve;

	for (unsigned int i = at; i < at + n; i++)
		outside = outside && !usable(i) && !by_address[i];
	for (unsigned int i = at; !outside && i < at + n; i++)
		if (by_address[i] || !usable(i))
			return by_address[i] ? EEXIST : EINVAL;

	return 0;
}

/* The lowest place, or the highest; -1 without. */
static int place(unsigned int n, unsigned int align, bool top)
{
	for (unsigned int i = 0; i + n <= ROOM; i++) {
		unsigned int at = top ? ROOM - n - i : i;

		if ((BASE / PAGE + at) % align == 0 && !refusal(at, n, false))
			return (int)at;
	}

	return -1;
}

static void add(const struct map *new)
{
	struct map *m = maps;

	while (users(m))
		m++;
	*m = *new;
	for (unsigned int i = 0; i < m->n; i++)
		by_page[m->page + i] = by_address[m->at + i] = m;
}

static void drop(struct map *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		by_page[m->page + i] = by_address[m->at + i] = NULL;
	*m = (struct map){};
}

/* What a map should do: 0 with the address, or an errno. */
static int model_map(struct map *want, unsigned long flags, unsigned int align, uint64_t *iova)
{
	bool fixed = flags & IOMMU_MAP_FIXED_IOVA, top = flags & IOMMU_MAP_EPHEMERAL;
	struct map *m = by_page[want->page];
	int at, err;

	want->bits = flags >> 2;
	want->persistent = !top;
	want->ephemeral = top;
	if (is_free(want->page, want->n)) {
		at = fixed ? (int)want->at : place(want->n, align, top);
		err = at < 0 ? ENOMEM : fixed ? refusal(want->at, want->n, want->reserved) : 0;
		if (err)
			return err;
		want->at = (unsigned int)at;
		*iova = BASE + want->at * PAGE;
		add(want);
		return 0;
	}

	if (want->reserved || !m || run(want->page, want->n) < want->n || m->bits != want->bits)
		return EEXIST;
	if ((fixed && address(m, want->page) != BASE + want->at * PAGE) ||
	    address(m, want->page) / PAGE % align)
		return EEXIST;
	if (m->page + m->n < want->page + want->n && (!m->persistent || top))
		return EEXIST;

	*iova = address(m, want->page);
	m->ephemeral += top;
	m->persistent |= !top;

	return 0;
}

/* With @fails the kernel refuses; then nothing changes. */
static void map(struct input *in, bool fails)
{
	static const unsigned long kinds[] = {
		0,
		IOMMU_MAP_EPHEMERAL,
		IOMMU_MAP_NOWRITE,
		IOMMU_MAP_NOREAD,
		IOMMU_MAP_FIXED_IOVA,
		IOMMU_MAP_FIXED_IOVA | IOMMU_MAP_EPHEMERAL,
		IOMMU_MAP_FIXED_IOVA | IOMMU_MAP_NOWRITE,
		IOMMU_MAP_EPHEMERAL | IOMMU_MAP_NOREAD,
	};
	unsigned long flags = kinds[take_to(in, 7)];
	unsigned int page = take_to(in, PAGES - 1), n = 1 + take_to(in, PAGES - page - 1);
	unsigned int align = flags & IOMMU_MAP_FIXED_IOVA ? 1 : 1u << take_to(in, 5);
	struct map want = { .page = page, .n = n, .at = take_to(in, 127) };
	uint64_t iova = BASE + want.at * PAGE, wanted = 0;
	char *at = memory + page * PAGE;
	int ret, err;

	want.reserved = align == 1 && take_to(in, 3) == 3;
	if (fails && is_free(page, n)) {
		/* a copy would do, but what is not mapped is not mapped again either */
		emu_fail_at(EMU_DMA_MAP | EMU_ALLOC, 1, ENOSPC);
		ret = iommu_map_vaddr(ctx, at, n * PAGE, &iova, flags);
		emu_fail_at(0, 0, 0);
		require(ret && errno);
		return;
	}

	err = model_map(&want, flags, align, &wanted);
	if (want.reserved)
		ret = iommu_reserve_vaddr(ctx, at, n * PAGE, &iova, flags);
	else if (align == 1)
		ret = iommu_map_vaddr(ctx, at, n * PAGE, &iova, flags);
	else
		ret = iommu_map_vaddr_align(ctx, at, n * PAGE, align * PAGE, &iova, flags);

	require(ret ? errno == err : !err);
	require(ret || iova == wanted);
}

static void unmap(struct input *in, bool fails)
{
	unsigned int page = take_to(in, PAGES - 1);
	struct map *m = by_page[page];
	size_t len = 0, wanted = m ? m->n * PAGE : 0;
	int ret, err = !m || !(m->persistent + m->ephemeral) ? ENOENT : 0;

	fails = fails && m && !err && users(m) == 1 && !m->reserved;
	emu_fail_at(EMU_DMA_UNMAP, fails, ENOMEM);
	ret = iommu_unmap_vaddr(ctx, memory + page * PAGE + take_to(in, 4095), &len);
	emu_fail_at(0, 0, 0);

	require(ret ? errno == (err ? err : ENOMEM) : !err && !fails && len == wanted);
	if (ret)
		return;
	if (users(m) == 1)
		drop(m);
	else if (m->ephemeral)
		m->ephemeral--;
	else
		m->persistent = 0;
}

static unsigned int until(const struct map *m, unsigned int page, unsigned int end)
{
	unsigned int next = page;

	while (next < end && by_page[next] == m)
		next++;

	return next;
}

static void model_unpin(unsigned int page, unsigned int end)
{
	for (unsigned int next; page < end; page = next) {
		struct map *m = by_page[page];

		next = until(m, page, end);
		if (users(m) == 1)
			drop(m);
		else
			m->pins--;
	}
}

static bool model_pin(unsigned int page, unsigned int end)
{
	unsigned int from = page;

	for (unsigned int next; page < end; page = next) {
		struct map *m = by_page[page], new = { .page = page, .pins = 1 };
		int at;

		next = until(m, page, end);
		if (m) {
			m->pins++;
			continue;
		}
		new.n = next - page;
		at = place(new.n, 1, true);
		if (at < 0) {
			model_unpin(from, page);
			return false;
		}
		new.at = (unsigned int)at;
		add(&new);
	}

	return true;
}

static void pin(struct input *in)
{
	unsigned int page = take_to(in, PAGES - 1), n = 1 + take_to(in, PAGES - page - 1);
	bool good;
	int ret;

	if (npins == sizeof(pins) / sizeof(pins[0]))
		return;

	good = model_pin(page, page + n);
	ret = iommu_pin(ctx, memory + page * PAGE, n * PAGE);
	require(good ? !ret : ret && errno == ENOMEM);
	if (good) {
		pins[npins].page = page;
		pins[npins++].n = n;
	}
}

static void unpin(unsigned int i)
{
	iommu_unpin(ctx, memory + pins[i].page * PAGE, pins[i].n * PAGE);
	model_unpin(pins[i].page, pins[i].page + pins[i].n);
	pins[i] = pins[--npins];
}

/* All that there is to ask of a page, and of its address. */
static void look(unsigned int page, unsigned int n, unsigned int offset)
{
	const struct map *m = by_page[page];
	char *at = memory + page * PAGE + offset;
	size_t len = n * PAGE - offset, got;
	iova_t iova = 0, other = 0;
	void *vaddr = NULL;
	uint64_t entry;

	require(iommu_translate_vaddr(ctx, at, &iova) == !!m);
	got = vfn_iommu_translate(ctx, at, len, &other);
	require(got == (m ? run(page, n) * PAGE - offset : 0));
	entry = iommu_table_entry(ctx, (uintptr_t)at);
	require(iommu_entry_run(entry) ==
		(m && !m->bits && !m->reserved ? (m->page + m->n - page) * PAGE : 0));
	if (!m)
		return;

	require(iova == address(m, page) + offset && other == iova);
	require(iommu_translate_iova(ctx, iova, &vaddr) ==
		(ssize_t)((m->page + m->n - page) * PAGE - offset));
	require(vaddr == at);
	require(emu_iova_mapped(ctx == devices[0].dev.ctx ? EMU_BDF : EMU_BDF2, address(m, page),
				PAGE) == !m->reserved);
}

static void look_somewhere(struct input *in)
{
	unsigned int page = take_to(in, PAGES - 1), n = 1 + take_to(in, PAGES - page - 1);

	look(page, n, take_to(in, 4095));
}

static void look_back(unsigned int at)
{
	void *vaddr;

	require(by_address[at] ||
		(iommu_translate_iova(ctx, BASE + at * PAGE, &vaddr) < 0 && errno == EINVAL));
}

static void start(void)
{
	char *room = mmap(NULL, 2 * TABLE_LEAF_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	require(room != MAP_FAILED);
	room += TABLE_LEAF_BYTES - (uintptr_t)room % TABLE_LEAF_BYTES;
	memory = room - PAGES / 2 * PAGE;

	emu_init();
	emu_iommu()->nranges = 2;
	emu_iommu()->ranges[0] = (struct emu_range){ BASE, BASE + HOLE * PAGE - 1 };
	emu_iommu()->ranges[1] =
		(struct emu_range){ BASE + (HOLE + 8) * PAGE, BASE + ROOM * PAGE - 1 };
	emu_pci_add(NULL);
	emu_pci_add(&(struct emu_pci_opts){ .bdf = EMU_BDF2 });
	emu_iommu()->no_iommufd = true;
	require(!vfio_pci_open(&devices[0], EMU_BDF));
	emu_iommu()->no_iommufd = false;
	require(!vfio_pci_open(&devices[1], EMU_BDF2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + (size < 256 ? size : 256) };

	if (!memory)
		start();
	ctx = devices[take_to(&in, 1)].dev.ctx;

	while (left(&in)) {
		unsigned int step = take_to(&in, 15);

		if (step < 6)
			map(&in, step == 5);
		else if (step < 10)
			unmap(&in, step == 9);
		else if (step < 12)
			pin(&in);
		else if (step < 13 && npins)
			unpin(take_to(&in, npins - 1));
		else
			look_somewhere(&in);
	}

	for (unsigned int i = 0; i < PAGES; i++)
		look(i, PAGES - i, 0);
	for (unsigned int i = 0; i < 256; i++)
		look_back(i);

	while (npins)
		unpin(npins - 1);
	require(!iommu_unmap_all(ctx));
	for (unsigned int i = 0; i < MAPS; i++)
		if (users(&maps[i]))
			drop(&maps[i]);
	/* all of it is there again, and in as few pieces as at first */
	require(place(HOLE, 1, false) == 0 &&
		tree_fit(ctx->extents, (ROOM - HOLE - 8) * PAGE, 1, true));
	require(!emu_usage().dma_maps && !emu_violations());

	return 0;
}
