// SPDX-License-Identifier: GPL-2.0-or-later
/* Histograms of latencies. */
#include "load.h"

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int shift;

	if (ns < 1U << HIST_BITS)
		return (unsigned int)ns;
	shift = 63 - HIST_BITS - (unsigned int)__builtin_clzll(ns);

	return ((shift + 1) << HIST_BITS) + ((unsigned int)(ns >> shift) & ((1U << HIST_BITS) - 1));
}

uint64_t hist_start(unsigned int bucket)
{
	unsigned int shift = bucket >> HIST_BITS;
	uint64_t low = bucket & ((1U << HIST_BITS) - 1);

	return shift ? (low | 1U << HIST_BITS) << (shift - 1) : low;
}

void hist_add(struct hist *h, uint64_t ns)
{
	if (!h->count++ || ns < h->least)
		h->least = ns;
	if (ns > h->most)
		h->most = ns;
	h->sum += ns;
	h->buckets[bucket_of(ns)]++;
}

void hist_merge(struct hist *h, const struct hist *other)
{
	if (!other->count)
		return;
	if (!h->count || other->least < h->least)
		h->least = other->least;
	if (other->most > h->most)
		h->most = other->most;
	h->count += other->count;
	h->sum += other->sum;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++)
		h->buckets[i] += other->buckets[i];
}

double hist_average(const struct hist *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0;
}

uint64_t hist_percentile(const struct hist *h, double part)
{
	double seen = 0;

	for (unsigned int i = 0; i < HIST_BUCKETS - 1; i++) {
		seen += (double)h->buckets[i];
		if (h->buckets[i] && seen >= part * (double)h->count) {
			uint64_t end = hist_start(i + 1) - 1;

			return end < h->most ? end : h->most;
		}
	}

	return h->most;
}
