// SPDX-License-Identifier: GPL-2.0-or-later
/* Checksums, and protection information: made, checked, and understood by a controller. */
#include "machine.h"

#define SEED 0x20261121
#define BLOCKS 5

/* ---- checksums ---- */

/* Bit by bit, as the specification has it. */
static uint16_t slow_crc16(uint16_t crc, const uint8_t *p, size_t len)
{
	while (len--) {
		crc ^= (uint16_t)(*p++ << 8);
		for (int i = 0; i < 8; i++)
			crc = (uint16_t)((crc << 1) ^ (crc >> 15 ? 0x8bb7 : 0));
	}

	return crc;
}

/* The polynomial as the specification prints it, so from the other end. */
static uint64_t slow_crc64(const uint8_t *p, size_t len)
{
	uint64_t crc = UINT64_MAX, reflected = 0;

	for (; len--; p++) {
		for (int i = 0; i < 8; i++) {
			uint64_t bit = crc >> 63 ^ (*p >> i & 1);

			crc = crc << 1 ^ (bit ? 0xad93d23594c93659ULL : 0);
		}
	}
	for (int i = 0; i < 64; i++)
		reflected |= (crc >> i & 1) << (63 - i);

	return ~reflected;
}

static void checksums_of_known_bytes_are_the_published_ones(void **state)
{
	uint8_t block[4096];

	assert_int_equal(vfn_nvme_crc16(0, "123456789", 9), 0xd0db);
	assert_int_equal(vfn_nvme_crc16(0, NULL, 0), 0);
	assert_true(nvme_crc64(UINT64_MAX, (const void *)"123456789", 9) == 0xae8b14860a799888);

	/* NVM Command Set Specification, test cases of the 64-bit guard */
	memset(block, 0, sizeof(block));
	assert_true(nvme_crc64(UINT64_MAX, block, 4096) == 0x6482d367eb22b64e);
	memset(block, 0xff, sizeof(block));
	assert_true(nvme_crc64(UINT64_MAX, block, 4096) == 0xc0ddba7302eca3ac);
	for (int i = 0; i < 4096; i++)
		block[i] = (uint8_t)i;
	assert_true(nvme_crc64(UINT64_MAX, block, 4096) == 0x3e729f5f6750449c);
	for (int i = 0; i < 4096; i++)
		block[i] = (uint8_t)~i;
	assert_true(nvme_crc64(UINT64_MAX, block, 4096) == 0x9a2df64b8e9e517e);
}

static void checksums_do_not_depend_on_alignment_or_portions(void **state)
{
	uint64_t seed = SEED;
	uint8_t buf[600];

	fill_random(buf, sizeof(buf), &seed);
	for (int i = 0; i < 2000; i++) {
		size_t from = next_random(&seed) % 64, len = next_random(&seed) % 500;
		size_t cut = next_random(&seed) % (len + 1);
		const uint8_t *p = buf + from;

		assert_int_equal(vfn_nvme_crc16(0, p, len), slow_crc16(0, p, len));
		assert_int_equal(vfn_nvme_crc16(vfn_nvme_crc16(0, p, cut), p + cut, len - cut),
				 slow_crc16(0, p, len));
		assert_true(nvme_crc64(UINT64_MAX, p, len) == slow_crc64(p, len));
		assert_true(nvme_crc64(~nvme_crc64(UINT64_MAX, p, cut), p + cut, len - cut) ==
			    slow_crc64(p, len));
	}
}

/* ---- tuples ---- */

/* Blocks in either layout; @data and @meta are what the library gets. */
struct blocks {
	struct vfn_nvme_pi pi;
	uint8_t *mem, *data, *meta;
	size_t len;
};

static size_t tuple_size(const struct blocks *b)
{
	return b->pi.guard ? 16 : 8;
}

static uint8_t *data_of(const struct blocks *b, size_t n)
{
	return b->data + n * (b->pi.lba_size + (b->meta ? 0U : b->pi.ms));
}

static uint8_t *meta_of(const struct blocks *b, size_t n)
{
	return b->meta ? b->meta + n * b->pi.ms : data_of(b, n) + b->pi.lba_size;
}

static uint8_t *tuple_of(const struct blocks *b, size_t n)
{
	return meta_of(b, n) + (b->pi.first ? 0 : b->pi.ms - tuple_size(b));
}

static void new_blocks(struct blocks *b, const struct vfn_nvme_pi *pi, bool extended,
		       uint64_t *seed)
{
	b->pi = *pi;
	b->len = (size_t)BLOCKS * (pi->lba_size + pi->ms);
	b->mem = malloc(b->len + 1);
	fill_random(b->mem, b->len, seed);
	/* nothing says that blocks are aligned */
	b->data = b->mem + 1;
	memmove(b->data, b->mem, b->len);
	b->meta = extended ? NULL : b->data + (size_t)BLOCKS * pi->lba_size;
}

/* Call @fn with each layout there is; filled already if @filled. */
static void for_each_format(void (*fn)(struct blocks *b), bool filled)
{
	uint64_t seed = SEED;

	for (unsigned int i = 0; i < 3 * 2 * 2 * 2 * 2; i++) {
		struct vfn_nvme_pi pi = {
			.lba_size = i & 8 ? 4096 : 520,
			.type = (uint8_t)(i / 16 + 1),
			.guard = i & 1 ? VFN_NVME_PI_GUARD_64B : VFN_NVME_PI_GUARD_16B,
			.first = i & 2,
			.flags = VFN_NVME_PI_CHECK_ALL,
			.apptag = 0x1234,
			.appmask = 0xffff,
			.reftag = i & 1 ? 0xfffffffffffeULL : 0xfffffffe,
		};

		for (int wide = 0; wide < 2; wide++) {
			struct blocks b;

			pi.ms = (uint16_t)((pi.guard ? 16 : 8) + 37 * wide);
			new_blocks(&b, &pi, i & 4, &seed);
			if (filled)
				assert_int_equal(vfn_nvme_pi_fill(&b.pi, b.data, b.meta, BLOCKS),
						 0);
			fn(&b);
			free(b.mem);
		}
	}
}

static bool passes(const struct blocks *b)
{
	return !vfn_nvme_pi_verify(&b->pi, b->data, b->meta, BLOCKS, NULL);
}

static void assert_verify_finds(const struct blocks *b, size_t block, uint16_t check,
				const char *text)
{
	struct vfn_nvme_pi_error error = {};

	assert_fails_with(vfn_nvme_pi_verify(&b->pi, b->data, b->meta, BLOCKS, &error), EILSEQ);
	assert_int_equal(error.block, block);
	assert_int_equal(error.check, check);
	assert_true(error.found != error.wanted);
	assert_error_has(text);
	assert_false(passes(b));
}

static uint64_t big_endian(const uint8_t *p, int bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;

	return v;
}

static void check_bytes(struct blocks *b)
{
	const uint64_t mask = b->pi.guard ? (1ULL << 48) - 1 : UINT32_MAX;
	const size_t lba = b->pi.lba_size, before = b->pi.first ? 0 : b->pi.ms - tuple_size(b);
	uint8_t *was = malloc(b->len), *covered = malloc(lba + before);
	uint8_t *copy = b->data;

	memcpy(was, b->data, b->len);
	assert_int_equal(vfn_nvme_pi_fill(&b->pi, b->data, b->meta, BLOCKS), 0);

	for (size_t n = 0; n < BLOCKS; n++) {
		const uint8_t *tuple = tuple_of(b, n);
		uint64_t reftag = (b->pi.reftag + (b->pi.type == 3 ? 0 : n)) & mask;

		memcpy(covered, data_of(b, n), lba);
		memcpy(covered + lba, meta_of(b, n), before);
		if (b->pi.guard)
			assert_true(big_endian(tuple, 8) == slow_crc64(covered, lba + before));
		else
			assert_int_equal(big_endian(tuple, 2),
					 slow_crc16(0, covered, lba + before));
		tuple += b->pi.guard ? 8 : 2;
		assert_int_equal(big_endian(tuple, 2), 0x1234);
		assert_true(big_endian(tuple + 2, b->pi.guard ? 6 : 4) == reftag);

		/* the rest is as it was */
		memcpy(tuple_of(b, n), was + (tuple_of(b, n) - copy), tuple_size(b));
	}
	assert_memory_equal(b->data, was, b->len);
	free(covered);
	free(was);
}

static void fill_makes_tuples_where_they_belong(void **state)
{
	for_each_format(check_bytes, false);
}

static void spoil_each(struct blocks *b)
{
	const int guard = b->pi.guard ? 8 : 2;

	assert_true(passes(b));
	for (size_t n = 0; n < BLOCKS; n++) {
		uint8_t *tuple = tuple_of(b, n),
			*other = meta_of(b, n) + (b->pi.first ? b->pi.ms - 1 : 0);
		bool has_other = b->pi.ms > tuple_size(b);

		data_of(b, n)[n * 100] ^= 1;
		assert_verify_finds(b, n, VFN_NVME_PI_CHECK_GUARD, "guard");
		data_of(b, n)[n * 100] ^= 1;

		tuple[guard - 1] ^= 0x80;
		assert_verify_finds(b, n, VFN_NVME_PI_CHECK_GUARD, "guard");
		b->pi.flags &= (uint16_t)~VFN_NVME_PI_CHECK_GUARD;
		assert_true(passes(b));
		b->pi.flags = VFN_NVME_PI_CHECK_ALL;
		tuple[guard - 1] ^= 0x80;

		tuple[guard + 1] ^= 2;
		assert_verify_finds(b, n, VFN_NVME_PI_CHECK_APPTAG, "application tag");
		b->pi.appmask = 0xfffd;
		assert_true(passes(b));
		b->pi.appmask = 0xffff;
		b->pi.flags &= (uint16_t)~VFN_NVME_PI_CHECK_APPTAG;
		assert_true(passes(b));
		b->pi.flags = VFN_NVME_PI_CHECK_ALL;
		tuple[guard + 1] ^= 2;

		tuple[tuple_size(b) - 1] ^= 1;
		if (b->pi.type == 3)
			assert_true(passes(b));
		else
			assert_verify_finds(b, n, VFN_NVME_PI_CHECK_REFTAG, "reference tag");
		b->pi.flags &= (uint16_t)~VFN_NVME_PI_CHECK_REFTAG;
		assert_true(passes(b));
		b->pi.flags = VFN_NVME_PI_CHECK_ALL;
		tuple[tuple_size(b) - 1] ^= 1;

		if (has_other) {
			*other ^= 1;
			if (b->pi.first)
				assert_true(passes(b));
			else
				assert_verify_finds(b, n, VFN_NVME_PI_CHECK_GUARD, "guard");
			*other ^= 1;
		}
	}
	assert_true(passes(b));
}

/* B4 */
static void verify_says_which_check_and_which_block(void **state)
{
	for_each_format(spoil_each, true);
}

static void spoil_unchecked(struct blocks *b)
{
	uint8_t *tuple = tuple_of(b, 2) + (b->pi.guard ? 8 : 2);

	data_of(b, 2)[7] ^= 1;
	assert_false(passes(b));
	tuple[0] = 0xff;
	assert_false(passes(b));
	tuple[1] = 0xff;
	assert_int_equal(passes(b), b->pi.type != 3);
	memset(tuple, 0xff, tuple_size(b) - (b->pi.guard ? 8 : 2));
	assert_true(passes(b));
	data_of(b, 3)[7] ^= 1;
	assert_verify_finds(b, 3, VFN_NVME_PI_CHECK_GUARD, "block 3");
}

static void tags_of_ones_exempt_a_block(void **state)
{
	for_each_format(spoil_unchecked, true);
}

/* P11 */
static void format_that_does_not_exist_is_refused(void **state)
{
	static const struct vfn_nvme_pi bad[] = {
		{ .lba_size = 512, .ms = 8, .type = 0 },
		{ .lba_size = 512, .ms = 8, .type = 4 },
		{ .lba_size = 0, .ms = 8, .type = 1 },
		{ .lba_size = 512, .ms = 7, .type = 1 },
		{ .lba_size = 512, .ms = 0, .type = 1 },
		{ .lba_size = 512, .ms = 15, .type = 1, .guard = VFN_NVME_PI_GUARD_64B },
		{ .lba_size = 512, .ms = 16, .type = 1, .guard = 1 },
	};
	uint8_t buf[1024];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_fails_with(vfn_nvme_pi_fill(&bad[i], buf, NULL, 1), EINVAL);
		assert_fails_with(vfn_nvme_pi_verify(&bad[i], buf, NULL, 1, NULL), EINVAL);
	}
}

static void command_carries_what_is_to_be_checked(void **state)
{
	struct vfn_nvme_pi pi = {
		.lba_size = 512,
		.ms = 16,
		.type = 1,
		.guard = VFN_NVME_PI_GUARD_64B,
		.flags = VFN_NVME_PI_CHECK_ALL,
		.apptag = 0x1234,
		.appmask = 0xf00f,
		.reftag = 0xabcdef0123456789,
	};
	union nvme_cmd cmd = rw_cmd(OP_WRITE, 9, 1);

	/* what is there already, but for PRINFO, stays: force unit access */
	cmd.rw.control = cpu_to_le16(1 << 14 | VFN_NVME_PI_PRACT);
	vfn_nvme_pi_prep_cmd(&pi, &cmd);
	assert_int_equal(le16_to_cpu(cmd.rw.control), 1 << 14 | 7 << 10);
	assert_int_equal(le32_to_cpu(cmd.rw.cdw3), 0xef01);
	assert_int_equal(le32_to_cpu(cmd.rw.reftag), 0x23456789);
	assert_int_equal(le16_to_cpu(cmd.rw.apptag), 0x1234);
	assert_int_equal(le16_to_cpu(cmd.rw.appmask), 0xf00f);
	assert_int_equal(le64_to_cpu(cmd.rw.slba), 9);

	pi.guard = VFN_NVME_PI_GUARD_16B;
	pi.type = 3;
	pi.flags |= VFN_NVME_PI_PRACT;
	vfn_nvme_pi_prep_cmd(&pi, &cmd);
	assert_int_equal(le16_to_cpu(cmd.rw.control), 1 << 14 | 1 << 13 | 6 << 10);
	assert_int_equal(le32_to_cpu(cmd.rw.cdw3), 0);
	assert_int_equal(le32_to_cpu(cmd.rw.reftag), 0x23456789);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_of_known_bytes_are_the_published_ones),
		cmocka_unit_test(checksums_do_not_depend_on_alignment_or_portions),
		cmocka_unit_test(fill_makes_tuples_where_they_belong),
		cmocka_unit_test(verify_says_which_check_and_which_block),
		cmocka_unit_test(tags_of_ones_exempt_a_block),
		cmocka_unit_test(format_that_does_not_exist_is_refused),
		cmocka_unit_test(command_carries_what_is_to_be_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
