// SPDX-License-Identifier: GPL-2.0-or-later
/* Decisions that can be repeated, and what each block of the drive may have in it. */
#include "soak.h"

#include <string.h>

#define WORDS (BLOCK / sizeof(uint64_t))
#define MAGIC 0x6b616f73ULL

enum {
	LBA,
	GENERATION,
	SEED,
	FIRST,
	SUM = WORDS - 1
};

/* splitmix64 */
static uint64_t mix(uint64_t word)
{
	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ULL;
	word = (word ^ (word >> 27)) * 0x94d049bb133111ebULL;

	return word ^ (word >> 31);
}

struct dice dice_of(uint64_t seed, unsigned int thread, uint64_t number)
{
	return (struct dice){ mix(mix(seed + 0x9e3779b97f4a7c15ULL) + thread) ^ mix(~number) };
}

uint64_t roll(struct dice *dice, uint64_t below)
{
	return mix(dice->state += 0x9e3779b97f4a7c15ULL) % below;
}

static uint64_t sum(const uint64_t *words)
{
	uint64_t all = 0;

	for (size_t i = 0; i < SUM; i++)
		all = (all << 7 | all >> 57) ^ words[i];

	return mix(all);
}

void block_fill(void *mem, uint64_t seed, uint64_t lba, uint32_t generation)
{
	uint64_t words[WORDS], word = mix(seed ^ lba << 32 ^ generation);

	words[LBA] = lba;
	words[GENERATION] = MAGIC << 32 | generation;
	words[SEED] = seed;
	for (size_t i = FIRST; i < SUM; i++)
		words[i] = word += 0x9e3779b97f4a7c15ULL;
	words[SUM] = sum(words);
	/* data is aligned to 4 bytes only */
	memcpy(mem, words, sizeof(words));
}

const char *block_check(struct block *block, const void *mem, uint64_t seed, uint64_t lba)
{
	uint64_t words[WORDS];
	uint32_t age;

	memcpy(words, mem, sizeof(words));
	if (words[SUM] != sum(words))
		return "its checksum is wrong";
	if (words[GENERATION] >> 32 != MAGIC || words[SEED] != seed)
		return "it is not of this run";
	if (words[LBA] != lba)
		return "it is another block";

	age = block->next - 1 - (uint32_t)words[GENERATION];
	if (age >= 64 || !(block->may >> age & 1))
		return "it has a generation that it cannot have any more, or not yet";

	block->may = 1ULL << age;

	return NULL;
}

bool block_can_be_written(const struct block *block)
{
	return !(block->may >> 60);
}

void block_writing(struct block *block)
{
	block->may = block->may << 1 | 1;
	block->next++;
}

void block_written(struct block *block)
{
	block->may = 1;
}
