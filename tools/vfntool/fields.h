/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structures of the specification, field by field, as text or as JSON. */
#ifndef VFNTOOL_FIELDS_H
#define VFNTOOL_FIELDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "json.h"
#include "vfntool.h"

enum field_kind {
	FIELD_NUMBER, /* little-endian, up to 16 bytes */
	FIELD_HEX,    /* the same, up to 8 */
	FIELD_KELVIN, /* a number that is shown in degrees Celsius, too, where it is not 0 */
	FIELD_TEXT,   /* padded with blanks; it need not end */
	FIELD_BYTES,  /* as they lie there */
};

struct field_bits {
	const char *name;
	unsigned int low, high;
	const char *text;
};

/* A table of them. */
#define BITS(...) \
	(const struct field_bits[]) \
	{ \
		__VA_ARGS__, \
		{ \
		} \
	}

struct field {
	const char *name;
	unsigned int offset, len;
	enum field_kind kind;
	const char *text;
	const struct field_bits *bits; /* up to one without a name; for FIELD_HEX */
};

/* Where a report goes: as JSON it is one object. */
struct output {
	FILE *out;
	struct json json;
	bool as_json;
};

void output_open(struct output *o, FILE *out, const struct request *req);
void output_close(struct output *o);

/* The fields of a structure, up to one without a name. Both forms have the same names. */
void put_fields(struct output *o, const struct field *fields, const uint8_t *bytes);
void put_field(struct output *o, const struct field *field, const uint8_t *bytes);

/* Structures within: as text a line that begins with @title and its number, as JSON members of an array. */
void put_array(struct output *o, const char *name);
void put_array_end(struct output *o);
void put_element(struct output *o, const char *title, unsigned long number);
void put_element_end(struct output *o);

void put_words(struct output *o, const char *name, const char *text);

/* Bytes: as hexdump -C does, as JSON a string of digits. */
void put_bytes(struct output *o, const char *name, const uint8_t *bytes, size_t len);

/* A little-endian number of up to 8 bytes. */
uint64_t get_number(const uint8_t *bytes, unsigned int len);

#endif /* VFNTOOL_FIELDS_H */
