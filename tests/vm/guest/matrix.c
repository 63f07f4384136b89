/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Data of every length from every offset, in 1 to 300 pieces, arrives by PRPs and by SGLs, and nothing beside it changes. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/nvme_ioctl.h>

#include "guest.h"

#define PAGE 4096UL
#define MOST 300

/* Room for one piece with memory around it that is nobody's. */
#define SLOT (3 * PAGE)

#define ROOM ((MOST + 2) * SLOT)

#define GUARD 0xa5

#define LOG_EFFECTS 5

struct vector {
	struct iovec iov[MOST];
	int n;
	size_t len;
};

enum method {
	PRP,
	SGL
};

static const size_t offsets[] = { 0, 4, 512, 3584, 4092 };

/* Neighbours of blocks, pages, the 2 MiB of a full page of PRPs, and some between. */
static const size_t lengths[] = {
	4,
	8,
	508,
	512,
	516,
	1024,
	3584,
	4092,
	4096,
	4100,
	4608,
	8188,
	8192,
	8196,
	12288,
	(64 << 10) - 4,
	64 << 10,
	(64 << 10) + 4,
	(512 << 10) - 512,
	512 << 10,
	(512 << 10) + 512,
	1 << 20,
	(2 << 20) - 4096,
	(2 << 20) - 4,
	2 << 20,
};

static struct nvme_ctrl ctrl;

/* What the controller reaches; what that should have become; data, of which each transfer takes another part. */
static char *mem, *want, *data;
static char *got;

static unsigned int transfers;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int setup(void **state)
{
	(void)state;
	/* the one without a limit per command */
	guest_open(&ctrl, "mdts0", 0);
	assert_true(ctrl.flags & NVME_CTRL_F_SGLS_SUPPORTED);

	mem = guest_alloc(ROOM);
	want = guest_alloc(ROOM);
	data = guest_alloc(ROOM);
	got = guest_alloc(ROOM);
	guest_fill(data, ROOM, 300);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, ROOM, NULL, 0) == 0);

	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nvme_close(&ctrl);
	guest_free(mem, ROOM);
	guest_free(want, ROOM);
	guest_free(data, ROOM);
	guest_free(got, ROOM);

	return 0;
}

static void add_piece(struct vector *v, size_t offset, size_t len)
{
	v->iov[v->n++] = (struct iovec){ .iov_base = mem + offset, .iov_len = len };
	v->len += len;
}

/* Where the pieces end, with room behind them. */
static size_t extent(const struct vector *v)
{
	const struct iovec *last = &v->iov[v->n - 1];

	return ALIGN_UP((size_t)((char *)last->iov_base - mem) + last->iov_len, PAGE) + PAGE;
}

/* Pieces must meet on pages, and all of ours start on dwords. */
static bool prps_can(const struct vector *v)
{
	for (int i = 1; i < v->n; i++)
		if (((uintptr_t)v->iov[i - 1].iov_base + v->iov[i - 1].iov_len) % PAGE ||
		    (uintptr_t)v->iov[i].iov_base % PAGE)
			return false;

	return true;
}

/* Guards all over, and the data, if any, in the pieces. */
static void lay_out(char *where, const struct vector *v, const char *flat)
{
	memset(where, GUARD, extent(v));
	for (int i = 0; flat && i < v->n; flat += v->iov[i++].iov_len)
		memcpy(where + ((char *)v->iov[i].iov_base - mem), flat, v->iov[i].iov_len);
}

static void transfer(enum method method, union nvme_cmd cmd, struct vector *v)
{
	struct nvme_rq *rq = nvme_rq_acquire(&ctrl.sq[1]);

	assert_non_null(rq);
	if (method == PRP)
		assert_vfn(nvme_rq_mapv_prp(&ctrl, rq, &cmd, v->iov, v->n) == 0);
	else
		assert_vfn(nvme_rq_mapv_sgl(&ctrl, rq, &cmd, v->iov, v->n) == 0);
	assert_int_equal(cmd.flags >> NVME_CMD_FLAGS_PSDT_SHIFT, method == SGL);
	nvme_rq_exec(rq, &cmd);
	assert_vfn(nvme_rq_spin(rq, NULL) == 0);
	nvme_rq_release(rq);
}

static void write_and_read(enum method method, const struct guest_ns *ns, struct vector *v)
{
	uint64_t slba = transfers % 8192;
	const char *flat = data + 8 * (transfers++ % 4096);

	lay_out(mem, v, flat);
	transfer(method, guest_rw(NVME_IO_WRITE, ns, slba, v->len), v);
	guest_kernel_read(ns, slba, got, v->len);
	assert_true(!memcmp(got, flat, v->len));

	lay_out(mem, v, NULL);
	lay_out(want, v, flat);
	transfer(method, guest_rw(NVME_IO_READ, ns, slba, v->len), v);
	assert_true(!memcmp(mem, want, extent(v)));
}

/* A caller that does not look at the result submits a command that reaches nothing. */
static void refused_by_prps(const struct guest_ns *ns, struct vector *v)
{
	union nvme_cmd cmd = guest_rw(NVME_IO_READ, ns, 0, v->len);
	struct nvme_rq *rq = nvme_rq_acquire(&ctrl.sq[1]);
	void *vaddr;

	assert_non_null(rq);
	memset(&cmd.dptr, 0xff, sizeof(cmd.dptr));
	assert_int_equal(nvme_rq_mapv_prp(&ctrl, rq, &cmd, v->iov, v->n), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(iommu_translate_iova(__iommu_ctx(&ctrl), le64_to_cpu(cmd.dptr.prp1),
					      &vaddr),
			 -1);
	assert_int_equal(iommu_translate_iova(__iommu_ctx(&ctrl), le64_to_cpu(cmd.dptr.prp2),
					      &vaddr),
			 -1);
	nvme_rq_release(rq);
}

static void by_both(const struct guest_ns *ns, struct vector *v)
{
	if (prps_can(v))
		write_and_read(PRP, ns, v);
	else
		refused_by_prps(ns, v);
	write_and_read(SGL, ns, v);
}

/* One piece; where it is not whole blocks, another one, far away, that completes the last of them. */
static void every_length(const struct guest_ns *ns)
{
	for (size_t i = 0; i < COUNT(offsets); i++)
		for (size_t k = 0; k < COUNT(lengths); k++) {
			size_t rest = ALIGN_UP(lengths[k], ns->block) - lengths[k];
			struct vector v = {};

			add_piece(&v, PAGE + offsets[i], lengths[k]);
			if (rest)
				add_piece(&v, ALIGN_UP(offsets[i] + lengths[k], PAGE) + 2 * PAGE,
					  rest);
			by_both(ns, &v);
		}
}

/* Of 4 to 4000 bytes, the last one up to whole blocks. */
static void odd_pieces(const struct guest_ns *ns, int n, size_t offset)
{
	struct vector v = {};
	size_t rest;

	for (int i = 0; i < n; i++)
		add_piece(&v, (size_t)i * SLOT + offset, 4 + (size_t)(i * 1372 + n * 52) % 4000);
	rest = ALIGN_UP(v.len, ns->block) - v.len;
	v.iov[n - 1].iov_len += rest;
	v.len += rest;

	if (!prps_can(&v))
		refused_by_prps(ns, &v);
	write_and_read(SGL, ns, &v);
}

/* Whole pages behind a first piece that ends with its page and before a last one up to whole blocks. */
static void pieces_of_pages(const struct guest_ns *ns, int n, size_t offset)
{
	struct vector v = {};
	size_t rest;

	add_piece(&v, offset, PAGE - offset);
	for (int i = 1; i < n - 1; i++)
		add_piece(&v, (size_t)i * 2 * PAGE, PAGE);
	rest = ALIGN_UP(v.len, ns->block) - v.len;
	if (n > 1)
		add_piece(&v, (size_t)n * 2 * PAGE, rest ? rest : ns->block);
	else if (rest)
		return;

	by_both(ns, &v);
}

/* Every number of pieces; few, many, and about as many as a page of descriptors holds, from every offset. */
static void every_number(const struct guest_ns *ns,
			 void (*pieces)(const struct guest_ns *ns, int n, size_t offset))
{
	for (int n = 1; n <= MOST; n++)
		for (size_t i = 0; i < COUNT(offsets); i++)
			if (n <= 8 || (n >= 254 && n <= 258) || n >= MOST - 2 ||
			    (size_t)n % COUNT(offsets) == i)
				pieces(ns, n, offsets[i]);
}

static void test_every_length_in_blocks_of_512_arrives(void **state)
{
	(void)state;
	every_length(&guest_ns512);
}

static void test_every_length_in_blocks_of_4096_arrives(void **state)
{
	(void)state;
	every_length(&guest_ns4096);
}

static void test_every_number_of_odd_pieces_arrives(void **state)
{
	(void)state;
	every_number(&guest_ns512, odd_pieces);
}

static void test_every_number_of_pages_arrives(void **state)
{
	(void)state;
	every_number(&guest_ns4096, pieces_of_pages);
}

/* The kernel's driver asks the controller next door, which is of the same kind. */
static void kernel_log(void *log, size_t len)
{
	struct nvme_passthru_cmd cmd = {
		.opcode = NVME_ADMIN_GET_LOG,
		.nsid = 0xffffffff,
		.addr = (uintptr_t)log,
		.data_len = (uint32_t)len,
		.cdw10 = LOG_EFFECTS | (uint32_t)(len / 4 - 1) << 16,
	};
	int fd = guest_kernel_open("b", 1, 0);

	assert_int_equal(ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd), 0);
	close(fd);
}

/* A log page is any number of dwords, which no number of blocks is. */
static void test_every_length_of_a_log_page_arrives(void **state)
{
	(void)state;
	kernel_log(got, PAGE);

	for (size_t i = 0; i < COUNT(offsets); i++)
		for (size_t k = 0; k < COUNT(lengths) && lengths[k] <= PAGE; k++) {
			struct nvme_rq *rq = nvme_rq_acquire(ctrl.adminq.sq);
			union nvme_cmd cmd = { .log = {
						       .opcode = NVME_ADMIN_GET_LOG,
						       .nsid = cpu_to_le32(0xffffffff),
						       .lid = LOG_EFFECTS,
						       .numdl = cpu_to_le16(
							       (uint16_t)(lengths[k] / 4 - 1)),
					       } };
			struct vector v = {};

			assert_non_null(rq);
			add_piece(&v, PAGE + offsets[i], lengths[k]);
			lay_out(mem, &v, NULL);
			lay_out(want, &v, got);
			assert_vfn(nvme_rq_mapv(&ctrl, rq, &cmd, v.iov, v.n) == 0);
			nvme_rq_exec(rq, &cmd);
			assert_vfn(nvme_rq_spin(rq, NULL) == 0);
			nvme_rq_release(rq);
			assert_true(!memcmp(mem, want, extent(&v)));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_in_blocks_of_512_arrives),
		cmocka_unit_test(test_every_length_in_blocks_of_4096_arrives),
		cmocka_unit_test(test_every_number_of_odd_pieces_arrives),
		cmocka_unit_test(test_every_number_of_pages_arrives),
		cmocka_unit_test(test_every_length_of_a_log_page_arrives),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
