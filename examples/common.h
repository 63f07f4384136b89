/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all examples share: options, ways to fail, facts about a namespace. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

/*
 * An option besides -d and -h. Exactly one of the pointers says where its value
 * goes; what is there before is the default. A table ends with an empty entry.
 */
struct option_spec {
	char letter; /* 0 for an option that has a long form only */
	const char *name;
	const char *arg; /* what the help calls the argument */
	const char *help;
	bool *flag;
	uint64_t *number; /* decimal, or hexadecimal after 0x */
	uint64_t *size;	  /* the same, with an optional K, M, G or T (powers of 1024) */
	const char **text;
	uint64_t min, max; /* of a number or size, both included */
	bool replaces_bdf; /* makes -d unnecessary */
};

/*
 * Returns the normalised address of -d, or NULL where an option that replaces it was given. Ends
 * the program after -h (status 0) and after a mistake, whose text it quotes (status 2).
 */
const char *parse_options(int argc, char **argv, const char *about,
			  const struct option_spec *options);

/* Say what was wrong with the options; status 2. */
void usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Say what went wrong; status 1. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The same after a call into the library has failed: adds its reason. */
void die_vfn(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The same after a command has failed: adds its status. */
void die_status(const struct nvme_cqe *cqe, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* Execute a command that moves up to @len bytes of @data and wait for it, or say what failed. */
void execute(struct nvme_ctrl *ctrl, struct nvme_sq *sq, union nvme_cmd *cmd, void *data,
	     size_t len, struct nvme_cqe *cqe, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));

/* The 4096 bytes of an Identify data structure. */
void identify(struct nvme_ctrl *ctrl, uint8_t cns, uint8_t csi, uint32_t nsid, void *data);

/* Index of the LBA format in use. */
unsigned int format_index(const struct nvme_id_ns *id_ns);

/* "16 MiB", in the largest unit that divides it. The text is static. */
const char *size_text(uint64_t bytes);

/* A namespace, and the most that one command may transfer. */
struct nvm_namespace {
	uint32_t nsid;
	uint32_t block_size;
	uint64_t blocks;
	uint64_t max_transfer;
};

void get_namespace(struct nvme_ctrl *ctrl, uint32_t nsid, struct nvm_namespace *ns);

#endif /* EXAMPLES_COMMON_H */
