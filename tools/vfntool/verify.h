/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of vfntool verify share. */
#ifndef VFNTOOL_VERIFY_H
#define VFNTOOL_VERIFY_H

#include <pthread.h>

#include "blocks.h"
#include "json.h"

/* Tests write what they find as they go, or as JSON at the end. Threads may, too. */
struct verify {
	const struct request *req;
	uint64_t seed;
	pthread_mutex_t lock;
	unsigned int tests, failures;
	int status; /* the first that is not EXIT_SUCCESS */
	struct report report;
	struct json json;
};

/* "ok" or "not ok", with what was tested. */
void verify_result(struct verify *v, bool ok, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What else there is to know; @key is the member's as JSON. */
void verify_note(struct verify *v, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A call of the library failed: "not ok", and the exit status will say so. */
void verify_failed(struct verify *v, const struct blocks *b);
/* A request did, with @err. */
void verify_lost(struct verify *v, const struct blocks *b, const struct vfn_blk_req *req);

/* The next of the numbers that a seed gives; and one below @n. */
uint64_t verify_random(uint64_t *state);
uint64_t verify_below(uint64_t *state, uint64_t n);

/* What the bytes from @at on are to be: each word tells its place and the seed. Lengths are multiples of 8. */
void verify_fill(void *mem, size_t len, uint64_t seed, uint64_t at);
/* The first byte that is not so, or @len. */
size_t verify_compare(const void *mem, size_t len, uint64_t seed, uint64_t at);

/* A thread for each of @n elements of @size bytes. */
void verify_threads(void *elements, size_t size, unsigned int n, void *(*run)(void *element));

/* The tests: each with the namespaces that it has. */
void verify_sim(struct verify *v, struct blocks *b, unsigned int n);
void verify_api(struct verify *v, struct blocks *b, unsigned int n);
void verify_mts(struct verify *v, const char *name);
void verify_lat(struct verify *v, struct blocks *b, unsigned int n);
void verify_off(struct verify *v, struct blocks *b, unsigned int n);

#endif /* VFNTOOL_VERIFY_H */
