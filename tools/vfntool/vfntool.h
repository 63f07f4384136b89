/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the subcommands of vfntool share. */
#ifndef VFNTOOL_H
#define VFNTOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <vfn/iommu.h>
#include <vfn/pci.h>

#define EXIT_USAGE 2

/* The command line after it was checked: @bdf is normalised. */
struct request {
	char bdf[VFN_PCI_BDF_LEN];
	const char *driver;
	bool all;
	bool json;
	bool dry_run;
	bool verbose;
};

/* Subcommands: each returns the exit status. */
int cmd_list(const struct request *req);
int cmd_show(const struct request *req);
int cmd_bind(const struct request *req);
int cmd_unbind(const struct request *req);
int cmd_reset(const struct request *req);

/* "vfntool: " and a line on stderr; what the library said. Both return 1. */
int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int complain_last_error(void);

/*
 * Text from devices and file systems may hold anything. put_text() prints
 * control characters and what is not UTF-8 as \xNN.
 */
void put_text(FILE *out, const char *s);

/* Bytes of the UTF-8 character at @s, 0 if it is none. */
unsigned int utf8_length(const char *s);

/* Whether the character at @s, of @len bytes, does something to a terminal. */
bool is_control(const char *s, unsigned int len);

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
