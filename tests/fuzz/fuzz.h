/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the harnesses share: taking numbers and texts out of the input, and saying what must hold. */
#ifndef VFN_TESTS_FUZZ_FUZZ_H
#define VFN_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a harness is: libFuzzer calls it, or replay.c with the contents of a file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input. */
struct input {
	const uint8_t *at, *end;
};

static inline size_t left(const struct input *in)
{
	return (size_t)(in->end - in->at);
}

/* The next @n bytes as a little-endian number; behind the end there are zeros. */
static inline uint64_t take(struct input *in, unsigned int n)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < n && left(in); i++)
		v |= (uint64_t)*in->at++ << 8 * i;

	return v;
}

/* A number of 0 to @last. */
static inline unsigned int take_to(struct input *in, unsigned int last)
{
	return (unsigned int)(take(in, last < 256 ? 1 : 4) % (last + 1ULL));
}

/* Some bytes of the input, and zeros up to @n where there are not enough. */
static inline void take_bytes(struct input *in, void *to, size_t n)
{
	size_t have = left(in) < n ? left(in) : n;

	memset(to, 0, n);
	memcpy(to, in->at, have);
	in->at += have;
}

/* The text up to @sep, which is taken as well, or to the end; in memory of just its size. */
static inline char *take_text(struct input *in, char sep)
{
	const uint8_t *end = left(in) ? memchr(in->at, sep, left(in)) : NULL;
	size_t len = end ? (size_t)(end - in->at) : left(in);
	char *text = malloc(len + 1);

	if (!text)
		abort();
	take_bytes(in, text, len);
	text[len] = '\0';
	if (end)
		in->at++;

	return text;
}

/* A finding where @cond does not hold. */
#define require(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s: does not hold: %s\n", __FILE__, __LINE__, \
				__func__, #cond); \
			abort(); \
		} \
	} while (0)

#endif /* VFN_TESTS_FUZZ_FUZZ_H */
