/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From PRPs and SGLs back to the memory they describe; knows nothing of the library's builder. */
#ifndef VFN_TESTS_UNIT_NVME_DECODE_H
#define VFN_TESTS_UNIT_NVME_DECODE_H

#include "machine.h"

struct range {
	uint64_t start, len;
};

/* A list of ranges in which neighbours that touch are one. */
struct ranges {
	struct range *r;
	size_t n, room;
};

static inline void add_range(struct ranges *to, uint64_t start, uint64_t len)
{
	if (to->n && to->r[to->n - 1].start + to->r[to->n - 1].len == start) {
		to->r[to->n - 1].len += len;
		return;
	}
	if (to->n == to->room) {
		to->room = 2 * to->room + 16;
		to->r = realloc(to->r, to->room * sizeof(*to->r));
	}
	to->r[to->n++] = (struct range){ start, len };
}

static inline void assert_same_ranges(const struct ranges *a, const struct ranges *b)
{
	if (a->n != b->n)
		fail_msg("%zu ranges, should be %zu", a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		if (a->r[i].start != b->r[i].start || a->r[i].len != b->r[i].len)
			fail_msg("range %zu is 0x%llx + 0x%llx, should be 0x%llx + 0x%llx", i,
				 (unsigned long long)a->r[i].start, (unsigned long long)a->r[i].len,
				 (unsigned long long)b->r[i].start,
				 (unsigned long long)b->r[i].len);
}

/*
 * Where PRP lists or an SGL's segments may lie, and the size of the controller's pages;
 * with @ctx also in any other memory that is mapped.
 */
struct lists {
	const void *vaddr;
	uint64_t iova, len, page;
	struct iommu_ctx *ctx;
};

static inline struct lists lists_of(struct nvme_rq *rq)
{
	assert_int_equal(vfn_nvme_rq_ready(rq), 0);

	return (struct lists){ rq->page.vaddr, rq->page.iova, PAGE, PAGE, NULL };
}

static inline const uint8_t *list_memory(const struct lists *lists, uint64_t at, uint64_t len)
{
	void *vaddr = NULL;

	if (at >= lists->iova && at + len <= lists->iova + lists->len)
		return (const uint8_t *)lists->vaddr + (at - lists->iova);
	if (!lists->ctx || iommu_translate_iova(lists->ctx, at, &vaddr) < (ssize_t)len)
		fail_msg("no list at 0x%llx", (unsigned long long)at);

	return vaddr;
}

/* What a command has whose data could not be described. */
static inline void assert_harmless(const union nvme_cmd *cmd)
{
	assert_int_equal(cmd->dptr.prp1, 0);
	assert_int_equal(cmd->dptr.prp2, 0);
	assert_int_equal(cmd->flags >> 6, 0);
}

/* What an earlier use has left. */
static inline union nvme_cmd spoilt(void)
{
	union nvme_cmd cmd;

	memset(&cmd, 0xff, sizeof(cmd));

	return cmd;
}

static inline uint64_t list_entry(const struct lists *lists, uint64_t at)
{
	uint64_t entry;

	assert_int_equal(at % 8, 0);
	memcpy(&entry, list_memory(lists, at, sizeof(entry)), sizeof(entry));

	return le64_to_cpu((leint64_t __force)entry);
}

static inline uint64_t take_page(const struct lists *lists, struct ranges *out, uint64_t entry,
				 uint64_t left)
{
	uint64_t len = left < lists->page ? left : lists->page;

	if (entry % lists->page)
		fail_msg("PRP entry 0x%llx has an offset", (unsigned long long)entry);
	add_range(out, entry, len);

	return left - len;
}

/* Base Specification 2.0, section 4.1.1 */
static inline void decode_prps(const union nvme_cmd *cmd, uint64_t len, const struct lists *lists,
			       struct ranges *out)
{
	uint64_t prp1 = le64_to_cpu(cmd->dptr.prp1), at = le64_to_cpu(cmd->dptr.prp2);
	uint64_t room = lists->page - prp1 % lists->page, left;

	out->n = 0;
	assert_int_equal(cmd->flags >> 6, 0);
	assert_int_equal(prp1 % 4, 0);
	add_range(out, prp1, len < room ? len : room);
	left = len - (len < room ? len : room);

	if (!left) {
		assert_int_equal(at, 0);
		return;
	}
	if (left <= lists->page) {
		(void)take_page(lists, out, at, left);
		return;
	}

	while (left) {
		uint64_t entry = list_entry(lists, at);

		if (at % lists->page == lists->page - 8 && left > lists->page) {
			assert_int_equal(entry % lists->page, 0);
			at = entry;
			continue;
		}
		left = take_page(lists, out, entry, left);
		at += 8;
	}
}

/* 16 bytes of a descriptor: the type, and its range. */
static inline uint8_t decode_sgld(const uint8_t *raw, struct range *range)
{
	leint64_t addr;
	leint32_t len;

	memcpy(&addr, raw, sizeof(addr));
	memcpy(&len, raw + 8, sizeof(len));
	*range = (struct range){ le64_to_cpu(addr), le32_to_cpu(len) };
	for (int i = 12; i < 15; i++)
		assert_int_equal(raw[i], 0);
	assert_int_not_equal(range->len, 0);

	return raw[15];
}

/* How many data descriptors the segments have, 0 if there are none (section 4.1.2). */
static inline size_t decode_sgl(const union nvme_cmd *cmd, const struct lists *lists,
				struct ranges *out)
{
	struct range at;
	uint8_t type = decode_sgld((const uint8_t *)&cmd->dptr, &at);
	size_t n = 0;

	out->n = 0;
	assert_int_equal(cmd->flags >> 6, 1);
	if (!type)
		add_range(out, at.start, at.len);

	while (type) {
		const struct range segment = at;
		const uint8_t *memory = list_memory(lists, segment.start, segment.len);
		const bool last = type == 0x30;

		assert_true(last || type == 0x20);
		assert_int_equal(segment.start % 8, 0);
		assert_int_equal(segment.len % 16, 0);
		for (uint64_t i = 0; i < segment.len; i += 16) {
			type = decode_sgld(memory + i, &at);
			/* the last descriptor of all segments but the last, and no other, leads on */
			assert_int_equal(!type, last || i + 16 < segment.len);
			if (!type) {
				add_range(out, at.start, at.len);
				n++;
			}
		}
	}

	return n;
}

#endif /* VFN_TESTS_UNIT_NVME_DECODE_H */
