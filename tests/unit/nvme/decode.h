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

/* Where PRP lists or an SGL's segment may lie, and the size of the controller's pages. */
struct lists {
	const void *vaddr;
	uint64_t iova, len, page;
};

static inline struct lists lists_of(struct nvme_rq *rq)
{
	return (struct lists){ rq->page.vaddr, rq->page.iova, PAGE, PAGE };
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

	if (at % 8 || at < lists->iova || at + 8 > lists->iova + lists->len)
		fail_msg("no PRP list at 0x%llx", (unsigned long long)at);
	memcpy(&entry, (const char *)lists->vaddr + (at - lists->iova), sizeof(entry));

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

/* How many descriptors the segment has, 0 if there is none (section 4.1.2). */
static inline size_t decode_sgl(const union nvme_cmd *cmd, const struct lists *lists,
				struct ranges *out)
{
	struct range list, data;
	uint8_t type = decode_sgld((const uint8_t *)&cmd->dptr, &list);
	size_t offset = list.start - lists->iova, n = list.len / 16;

	out->n = 0;
	assert_int_equal(cmd->flags >> 6, 1);
	if (!type) {
		add_range(out, list.start, list.len);
		return 0;
	}

	/* the last segment, all of it where there is memory for it */
	assert_int_equal(type, 0x30);
	assert_int_equal(list.start % 8, 0);
	assert_int_equal(list.len % 16, 0);
	assert_in_range(list.start, lists->iova, lists->iova + lists->len - list.len);
	for (size_t i = 0; i < n; i++) {
		type = decode_sgld((const uint8_t *)lists->vaddr + offset + 16 * i, &data);
		assert_int_equal(type, 0);
		add_range(out, data.start, data.len);
	}

	return n;
}

#endif /* VFN_TESTS_UNIT_NVME_DECODE_H */
