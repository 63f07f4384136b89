/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the subcommands of vfntool share. */
#ifndef VFNTOOL_H
#define VFNTOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <vfn/iommu.h>
#include <vfn/pci.h>

/* Exit status besides EXIT_SUCCESS and EXIT_FAILURE; the manual page explains them. */
#define EXIT_USAGE 2
#define EXIT_STATUS 3
#define EXIT_OUTSTANDING 4

enum option_id {
	OPT_DEVICE,
	OPT_DRIVER,
	OPT_ALL,
	OPT_JSON,
	OPT_DRY_RUN,
	OPT_VERBOSE,
	OPT_HELP,
	OPT_VERSION,
	OPT_COMPLETION,
	OPT_ENABLE,
	OPT_OPCODE,
	OPT_FLAGS,
	OPT_CID,
	OPT_NSID,
	OPT_CDW2,
	OPT_CDW3,
	OPT_MPTR,
	OPT_PRP1,
	OPT_PRP2,
	OPT_CDW10,
	OPT_CDW11,
	OPT_CDW12,
	OPT_CDW13,
	OPT_CDW14,
	OPT_CDW15,
	OPT_RAW,
	OPT_RAW_FILE,
	OPT_DATA,
	OPT_DATA_FILE,
	OPT_LENGTH,
	OPT_IOVA,
	OPT_OUTPUT,
	OPT_REPEAT,
	OPT_TIMEOUT,
	OPT_DEPTH,
	OPT_DOORBELL,
	OPT_QUEUES,
	OPT_ALLOCATED,
	OPT_ENTRIES,
	OPT_LID,
	OPT_LSP,
	OPT_LSI,
	OPT_CSI,
	OPT_OFFSET,
	OPT_RAE,
	OPT_FID,
	OPT_SELECT,
	OPT_VALUE,
	OPT_SAVE,
	OPT_LBAF,
	OPT_SES,
	OPT_PI,
	OPT_PIL,
	OPT_MSET,
	OPT_FORCE,
	OPT_PAD,
	OPT_VERIFY,
	OPT_SKIP,
	OPT_SEEK,
	OPT_SEED,
	OPT_THREADS,
	OPT_RATIO,
	OPT_SESSIONS,
	OPT_BLOCKS,
	OPT_RUNTIME,
	OPT_CHECK,
	OPT_SGL,
	OPT_RW,
	OPT_IODEPTH,
	OPT_BS,
	OPT_PLOT,
	OPT_KERNEL,
	OPT_CSV,
	NR_OPTIONS,
};

#define MAX_LIST 16

/*
 * Whether an option was given, and what; @relative is for an address: it begins with "+". @list are the numbers of one that may
 * have several, of which @number is the first.
 */
struct value {
	bool given;
	const char *text;
	uint64_t number;
	bool relative;
	unsigned int count;
	uint64_t list[MAX_LIST];
};

#define MAX_OPERANDS 16

/* The command line after it was checked: @bdf is normalised, @name is how it was written, with a namespace where one may be. */
struct request {
	char bdf[VFN_PCI_BDF_LEN];
	const char *name;
	const char *operands[MAX_OPERANDS];
	const char *driver;
	bool all;
	bool json;
	bool dry_run;
	bool verbose;
	struct value values[NR_OPTIONS];
};

static inline bool is_given(const struct request *req, enum option_id id)
{
	return req->values[id].given;
}

static inline uint64_t number_or(const struct request *req, enum option_id id, uint64_t otherwise)
{
	return is_given(req, id) ? req->values[id].number : otherwise;
}

/* Subcommands: each returns the exit status. */
int cmd_list(const struct request *req);
int cmd_show(const struct request *req);
int cmd_bind(const struct request *req);
int cmd_unbind(const struct request *req);
int cmd_reset(const struct request *req);
int cmd_regs(const struct request *req);
int cmd_admin_passthru(const struct request *req);
int cmd_io_passthru(const struct request *req);
int cmd_id_ctrl(const struct request *req);
int cmd_id_ns(const struct request *req);
int cmd_list_ns(const struct request *req);
int cmd_smart(const struct request *req);
int cmd_error_log(const struct request *req);
int cmd_get_log(const struct request *req);
int cmd_get_feature(const struct request *req);
int cmd_set_feature(const struct request *req);
int cmd_format(const struct request *req);
int cmd_read(const struct request *req);
int cmd_write(const struct request *req);
int cmd_copy(const struct request *req);
int cmd_discard(const struct request *req);
int cmd_zero(const struct request *req);
int cmd_verify(const struct request *req);
int cmd_lat(const struct request *req);
int cmd_bench(const struct request *req);

/* "vfntool: " and a line on stderr; what the library said. Both return 1. */
int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int complain_last_error(void);

/* The same with a word on --help; returns EXIT_USAGE. */
int complain_usage(const char *text);

/*
 * Text from devices and file systems may hold anything. put_text() prints
 * control characters and what is not UTF-8 as \xNN.
 */
void put_text(FILE *out, const char *s);

/* A number from 0 to @max, decimal or after 0x hexadecimal; a size may end in K, M, G or T. */
bool parse_number(const char *text, uint64_t max, bool size, uint64_t *value);

/* Whether @name is an address with or without "/NSID"; normalises the address. */
bool parse_namespace(const char *name, char bdf[VFN_PCI_BDF_LEN]);

/* Bytes of @text, two hexadecimal digits each; how many, or -1. @bytes may be NULL. */
ssize_t parse_hex(const char *text, uint8_t *bytes);

/* Bytes of the UTF-8 character at @s, 0 if it is none. */
unsigned int utf8_length(const char *s);

/* Whether the character at @s, of @len bytes, does something to a terminal. */
bool is_control(const char *s, unsigned int len);

/*
 * signals.c: the first HUP, INT or TERM calls off what is being done, a second one kills as ever. Those that are ignored, as
 * under nohup, stay that. caught_signal() is 0 for none.
 */
void catch_signals(void);
void release_signals(void);
int caught_signal(void);

/* progress.c: how far it is, on standard error where that is a terminal, and not with --json. */
struct progress {
	const char *what;
	uint64_t total; /* bytes; 0 for not known */
	uint64_t start_ns, next_ns;
	bool shown;
};

void progress_begin(struct progress *p, const struct request *req, const char *what,
		    uint64_t total);
void progress_show(struct progress *p, uint64_t done);
void progress_end(struct progress *p);
double seconds_since(const struct progress *p);

/*
 * Reports are written to memory and come out whole or not at all. report_open()
 * returns 0, or complains and returns 1; the others return the exit status.
 */
struct report {
	FILE *out;
	char *text;
	size_t size;
};

int report_open(struct report *report);
int report_print(struct report *report);
int report_drop(struct report *report);

/* Members of the open object @j; -1 with vfn_last_error() and @j in good order. */
struct json;
int json_device(struct json *j, const struct vfn_pci_info *info);

/* names.c: from the database of libpci; NULL when it has none. Free them. */
char *vendor_name(uint16_t vendor);
char *device_name(uint16_t vendor, uint16_t device);
char *class_name(uint32_t classcode);
void names_done(void);

#endif /* VFNTOOL_H */
