/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the passthru subcommands share. */
#ifndef VFNTOOL_PASSTHRU_H
#define VFNTOOL_PASSTHRU_H

#include <vfn/nvme.h>

#include "json.h"
#include "vfntool.h"

/* files.c: the bytes of a file, up to one more than @max, or of hexadecimal digits; free() them. NULL after a complaint. */
uint8_t *read_file(const char *path, size_t max, size_t *len);
uint8_t *read_hex(const char *option, const char *text, size_t *len);
/* Close @file after writing; the exit status, after a complaint if it is not EXIT_SUCCESS. */
int write_file(FILE *file, const char *path, const void *bytes, size_t len);
/* As hexdump -C does. */
void put_dump(FILE *out, const uint8_t *bytes, size_t len);

/* completion.c: a completion in words. */
void put_completion(FILE *out, unsigned int number, const struct nvme_cqe *cqe);
void json_completion(struct json *j, const char *key, const struct nvme_cqe *cqe);

/* queues.c: all entries as they lie in memory. */
void put_queues(FILE *out, const struct nvme_sq *sq);
void json_queues(struct json *j, const struct nvme_sq *sq);

#endif /* VFNTOOL_PASSTHRU_H */
