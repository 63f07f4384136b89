// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Data pointers, by every call that makes one: decoded, they are the given pieces, or the errno is the right one.
 *
 * P1, P3, P4, P5, P7, P10
 */
#include "fuzz.h"

#include <limits.h>
#include <sys/mman.h>

#include "../unit/nvme/decode.h"

#include <vfn/nvme/io.h>

#define PAGES 4096U
#define LIST_PAGES 16U
#define MAX_PIECES 12U
#define RQ_LIST_PAGES 256U
#define SGLD_MAX 0xfffff000ULL

/* The memory, and where it is mapped; neighbours in the one may be none in the other. */
static const struct {
	unsigned int page, n;
	uint64_t iova;
	unsigned long flags;
} parts[] = {
	{ 0, 16, 0x100000, 0 },	     { 16, 1, 0x200000, 0 },
	{ 17, 3, 0x201000, 0 },	     { 24, 8, 0x300000, IOMMU_MAP_NOWRITE },
	{ 32, 1, 0x110000, 0 },	     { 33, 1, 0x400000, 0 },
	{ 64, 2048, 0x10000000, 0 }, { 2112, 1984, 0x20000000, 0 },
};

static struct nvme_ctrl ctrl;
static struct nvme_sq *sq;
static struct iommu_dmabuf lists;
static char *memory;
static struct ranges wanted, got;

/* What must come of the pieces. */
struct expect {
	bool prps, invalid, fault;
	uint64_t page, end, len, entries;
};

static uint64_t translate(const char *vaddr)
{
	uint64_t at = (uint64_t)(vaddr - memory);

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (at / PAGE - parts[i].page < parts[i].n && vaddr >= memory)
			return parts[i].iova + at - parts[i].page * PAGE;

	return 0;
}

static void expect_range(struct expect *e, uint64_t iova, uint64_t len)
{
	if (e->prps && (e->len ? (e->end | iova) & (e->page - 1) : iova & 3))
		e->invalid = true;
	e->entries += (iova + len - 1) / e->page - iova / e->page + 1;
	e->end = iova + len;
	e->len += len;
	add_range(&wanted, iova, len);
}

static void expect_piece(struct expect *e, uint64_t at, uint64_t len, bool is_iova)
{
	uint64_t iova, n;

	if (at + len <= at) {
		e->invalid = true;
		return;
	}
	if (is_iova) {
		expect_range(e, at, len);
		return;
	}

	for (; len && !e->fault; at += n, len -= n) {
		iova = translate((char *)(uintptr_t)at);
		e->fault = !iova;
		/* to the end of the page, and on while addresses follow each other */
		n = PAGE - at % PAGE;
		while (n < len && translate((char *)(uintptr_t)(at + n)) == iova + n)
			n += PAGE;
		n = n < len ? n : len;
		if (iova)
			expect_range(e, iova, n);
	}
}

/* More PRP entries, or SGL descriptors, than @pages of lists have. */
static bool too_many(const struct expect *e, uint64_t pages)
{
	uint64_t n = 0, each = e->page / (e->prps ? 8 : 16);

	if (e->prps)
		n = e->entries - 1;
	for (size_t i = 0; !e->prps && i < wanted.n; i++)
		n += (wanted.r[i].len - 1) / SGLD_MAX + 1;

	return n > (pages - 1) * (each - 1) + each;
}

static bool off_dwords(void)
{
	for (size_t i = 0; i < wanted.n; i++)
		if ((wanted.r[i].start | wanted.r[i].len) & 3)
			return true;

	return false;
}

static void check(struct expect *e, int ret, const union nvme_cmd *cmd, uint64_t pages,
		  const struct lists *where)
{
	int err = errno;

	if (!pages || (e->len ? too_many(e, pages) : !e->fault))
		e->invalid = true;
	if (!e->prps && off_dwords() && ctrl.flags & NVME_CTRL_F_SGLS_DWORD_ALIGNMENT)
		e->invalid = true;

	require(!ret == !(e->invalid || e->fault));
	if (ret) {
		require(e->invalid && e->fault ? err == EINVAL || err == EFAULT :
						 err == (e->fault ? EFAULT : EINVAL));
		assert_harmless(cmd);
		return;
	}

	if (e->prps)
		decode_prps(cmd, e->len, where, &got);
	else
		(void)decode_sgl(cmd, where, &got);
	assert_same_ranges(&got, &wanted);
}

static uint64_t take_len(struct input *in)
{
	uint64_t v;

	switch (take_to(in, 7)) {
	case 0:
		/* what takes all list pages that there can be takes long */
		return take_to(in, 31) ? take(in, 3) : take(in, 8);
	case 1:
		return take(in, 4) >> 6;
	case 2:
		return take(in, 2);
	case 3:
		return take(in, 1) * 4;
	case 4:
		v = take(in, 2) % 2048 * PAGE;
		return v + take(in, 2);
	default:
		return (1 + take(in, 1) % 16) * PAGE;
	}
}

static uint64_t take_offset(struct input *in)
{
	static const uint64_t masks[] = { 0, 0, 0xffc, 0xfff };
	uint64_t mask = masks[take_to(in, 3)];

	return take(in, 2) & mask;
}

/* As vfn_nvme_io_submit() writes it into the queue. */
static int submit(struct vfn_nvme_io *io, void *buf, uint64_t len, union nvme_cmd *cmd)
{
	unsigned int tail = sq->tail;

	memset(cmd, 0, sizeof(*cmd));
	if (vfn_nvme_io_submit(sq, io, 0, (uint32_t)(len / 512), buf, NULL))
		return -1;

	memcpy(cmd, (char *)sq->mem.vaddr + 64 * tail, sizeof(*cmd));
	nvme_rq_release(&sq->rqs[cmd->cid]);
	sq->tail = (uint16_t)tail;

	return 0;
}

/* With the memory's place known from an earlier one, or not. */
static int submit_piece(union nvme_cmd *cmd, const struct iovec *piece, bool known)
{
	struct vfn_nvme_io io;

	require(!vfn_nvme_io_prep(&io, &ctrl, OP_READ, 1, 9));
	if (known &&
	    submit(&io, (char *)piece->iov_base - (uintptr_t)piece->iov_base % 512, 512, cmd))
		require(errno == EFAULT);

	return submit(&io, piece->iov_base, piece->iov_len, cmd);
}

static void set_up(void)
{
	char *room = mmap(NULL, 4 * PAGES * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t block = PAGES * PAGE;

	require(room != MAP_FAILED);
	/* a border of two tables of the translation is within the first parts */
	memory = room + 2 * block - (uintptr_t)room % block - 19 * PAGE;

	emu_init();
	emu_iommu()->no_iommufd = true;
	emu_nvme_add(&(struct emu_nvme_opts){ .no_ns = true });
	require(!nvme_init(&ctrl, EMU_BDF, NULL));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		iova_t iova = parts[i].iova;

		require(!iommu_map_vaddr(__iommu_ctx(&ctrl), memory + parts[i].page * PAGE,
					 parts[i].n * PAGE, &iova,
					 parts[i].flags | IOMMU_MAP_FIXED_IOVA));
	}

	lists = (struct iommu_dmabuf){ .iova = 0x40000000, .len = LIST_PAGES * PAGE };
	lists.vaddr = aligned_alloc(PAGE, (size_t)lists.len);
	require(!iommu_map_vaddr(__iommu_ctx(&ctrl), lists.vaddr, (size_t)lists.len, &lists.iova,
				 IOMMU_MAP_FIXED_IOVA));
	require(!nvme_configure_cq(&ctrl, 1, 4, -1));
	require(!nvme_configure_sq(&ctrl, 1, 4, &ctrl.cq[1], 0));
	sq = &ctrl.sq[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct iovec iov[MAX_PIECES];
	struct iova_vec vec[MAX_PIECES];
	/* 0 and 1: PRPs, 2 and 3: in a caller's lists; 4 to 7: SGLs; 8: the fast call; 9: one piece */
	unsigned int call = take_to(&in, 9), n = take_to(&in, MAX_PIECES), mps = take_to(&in, 2);
	unsigned int pages = take_to(&in, LIST_PAGES >> mps);
	bool is_iova = call % 2, own_lists = !(call & 2);
	struct expect e = { .prps = call < 4 || call >= 8, .page = PAGE << (own_lists ? 0 : mps) };
	union nvme_cmd cmd = spoilt();
	struct nvme_rq *rq;
	struct lists where;
	int ret;

	if (!memory)
		set_up();

	ctrl.flags = take_to(&in, 1) ? NVME_CTRL_F_SGLS_DWORD_ALIGNMENT : 0;
	ctrl.config.mps = own_lists ? 0 : (int)mps;
	wanted.n = got.n = 0;
	if (call >= 8)
		n = 1;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int page = take_to(&in, 1) ? take_to(&in, 65) :
						      (unsigned int)take(&in, 2) % PAGES;
		uint64_t offset = take_offset(&in), len = take_len(&in);

		if (call == 8)
			len = len % (65536 * 512 + 1) / 512 * 512;
		iov[i] = (struct iovec){ memory + page * PAGE + offset, len };
		vec[i] = (struct iova_vec){ (uint64_t)take(&in, 1) << 32 | (page * PAGE + offset),
					    len };
		expect_piece(&e, is_iova ? vec[i].iova : (uintptr_t)iov[i].iov_base, len, is_iova);
		if (e.fault)
			n = i + 1;
	}

	rq = sq->rq_top;
	if (!rq->page.iova)
		nvme_rq_release(nvme_rq_acquire(sq));
	where = lists_of(rq);
	where.ctx = __iommu_ctx(&ctrl);
	where.page = e.page;

	switch (call) {
	case 0:
		ret = nvme_rq_mapv_prp(&ctrl, rq, &cmd, iov, (int)n);
		break;
	case 1:
		ret = nvme_rq_mapv_iova_prp(&ctrl, rq, &cmd, vec, (int)n);
		break;
	case 2:
		ret = nvme_mapv_prp(&ctrl, lists.vaddr, (int)pages, &cmd, iov, (int)n);
		break;
	case 3:
		ret = nvme_mapv_iova_prp(&ctrl, lists.vaddr, (int)pages, &cmd, vec, (int)n);
		break;
	case 4:
		ret = nvme_rq_mapv_sgl(&ctrl, rq, &cmd, iov, (int)n);
		break;
	case 5:
		ret = nvme_rq_mapv_iova_sgl(&ctrl, rq, &cmd, vec, (int)n);
		break;
	case 6:
		ret = vfn_nvme_mapv_sgl(&ctrl, lists.vaddr, lists.iova, (int)pages, &cmd, iov,
					(int)n);
		break;
	case 7:
		ret = vfn_nvme_mapv_iova_sgl(&ctrl, lists.vaddr, lists.iova, (int)pages, &cmd, vec,
					     (int)n);
		break;
	case 8:
		ret = submit_piece(&cmd, iov, mps);
		break;
	default:
		ret = nvme_rq_map_prp(&ctrl, rq, &cmd, vec[0].iova, vec[0].len);
	}

	check(&e, ret, &cmd, own_lists ? RQ_LIST_PAGES : pages, &where);

	return 0;
}
