// SPDX-License-Identifier: GPL-2.0-or-later
/* Structures of the specification, field by field, as text or as JSON. */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

#include "passthru.h"

/* The largest number has 39 digits, the longest text or row of bytes 256. */
#define DIGITS 40
#define LONGEST 256

#define ZERO_CELSIUS 273

void output_open(struct output *o, FILE *out, const struct request *req)
{
	*o = (struct output){ .out = out, .json = { .out = out }, .as_json = req->json };
	if (!o->as_json)
		return;
	json_open(&o->json, NULL, '{');
	json_string(&o->json, "bdf", req->bdf);
}

void output_close(struct output *o)
{
	if (o->as_json)
		json_close(&o->json, '}');
}

uint64_t get_number(const uint8_t *bytes, unsigned int len)
{
	uint64_t value = 0;

	while (len--)
		value = value << 8 | bytes[len];

	return value;
}

/* Returns the digits, which end at the end of @text. */
static const char *decimal(const uint8_t *bytes, unsigned int len, char text[DIGITS])
{
	char *at = text + DIGITS - 1;
	uint8_t quotient[16] = {};
	bool more;

	memcpy(quotient, bytes, len);
	*at = '\0';
	do {
		unsigned int rest = 0;

		more = false;
		for (unsigned int i = len; i--;) {
			rest = rest << 8 | quotient[i];
			quotient[i] = (uint8_t)(rest / 10);
			rest %= 10;
			more = more || quotient[i];
		}
		*--at = (char)('0' + rest);
	} while (more);

	return at;
}

static const char *text_of(const uint8_t *bytes, unsigned int len, char text[LONGEST + 1])
{
	memcpy(text, bytes, len);
	text[len] = '\0';
	len = (unsigned int)strlen(text);
	while (len && text[len - 1] == ' ')
		text[--len] = '\0';

	return text;
}

static const char *hex_of(const uint8_t *bytes, size_t len, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * len] = '\0';

	return text;
}

static unsigned long long get_bits(uint64_t value, const struct field_bits *b)
{
	return value >> b->low & UINT64_MAX >> (63 - (b->high - b->low));
}

static void text_bits(FILE *out, const struct field_bits *bits, uint64_t value)
{
	for (const struct field_bits *b = bits; b && b->name; b++) {
		char place[8];

		snprintf(place, sizeof(place), b->low == b->high ? "%u" : "%u:%u", b->high, b->low);
		fprintf(out, "  %-8s %5s  0x%-5llx %s\n", b->name, place, get_bits(value, b),
			b->text);
	}
}

static void text_field(FILE *out, const struct field *f, const uint8_t *bytes)
{
	char text[2 * LONGEST + 1], value[DIGITS];

	switch (f->kind) {
	case FIELD_NUMBER:
	case FIELD_KELVIN:
		snprintf(text, sizeof(text), "%s", decimal(bytes, f->len, value));
		break;
	case FIELD_HEX:
		snprintf(text, sizeof(text), "0x%0*llx", (int)(2 * f->len),
			 (unsigned long long)get_number(bytes, f->len));
		break;
	case FIELD_TEXT:
		(void)text_of(bytes, f->len, text);
		break;
	case FIELD_BYTES:
		(void)hex_of(bytes, f->len, text);
		break;
	}

	fprintf(out, "%-10s ", f->name);
	put_text(out, text);
	fprintf(out, "%*s  %s", strlen(text) < 18 ? 18 - (int)strlen(text) : 0, "", f->text);
	if (f->kind == FIELD_KELVIN && get_number(bytes, f->len))
		fprintf(out, ", %d C", (int)get_number(bytes, f->len) - ZERO_CELSIUS);
	fputc('\n', out);
	text_bits(out, f->bits, f->bits ? get_number(bytes, f->len) : 0);
}

static void json_bits(struct json *j, const struct field *f, uint64_t value)
{
	json_open(j, f->name, '{');
	json_hex(j, "value", (int)(2 * f->len), value);
	json_open(j, "fields", '{');
	for (const struct field_bits *b = f->bits; b->name; b++)
		json_int(j, b->name, (long long)get_bits(value, b));
	json_close(j, '}');
	json_close(j, '}');
}

static void json_field(struct json *j, const struct field *f, const uint8_t *bytes)
{
	char text[2 * LONGEST + 1];

	switch (f->kind) {
	case FIELD_NUMBER:
	case FIELD_KELVIN:
		json_digits(j, f->name, decimal(bytes, f->len, text));
		break;
	case FIELD_HEX:
		if (f->bits)
			json_bits(j, f, get_number(bytes, f->len));
		else
			json_hex(j, f->name, (int)(2 * f->len), get_number(bytes, f->len));
		break;
	case FIELD_TEXT:
		json_string(j, f->name, text_of(bytes, f->len, text));
		break;
	case FIELD_BYTES:
		json_string(j, f->name, hex_of(bytes, f->len, text));
		break;
	}
}

void put_field(struct output *o, const struct field *field, const uint8_t *bytes)
{
	if (o->as_json)
		json_field(&o->json, field, bytes + field->offset);
	else
		text_field(o->out, field, bytes + field->offset);
}

void put_fields(struct output *o, const struct field *fields, const uint8_t *bytes)
{
	for (const struct field *f = fields; f->name; f++)
		put_field(o, f, bytes);
}

void put_array(struct output *o, const char *name)
{
	if (o->as_json)
		json_open(&o->json, name, '[');
}

void put_array_end(struct output *o)
{
	if (o->as_json)
		json_close(&o->json, ']');
}

void put_element(struct output *o, const char *title, unsigned long number)
{
	if (o->as_json)
		json_open(&o->json, NULL, '{');
	else
		fprintf(o->out, "%s %lu\n", title, number);
}

void put_element_end(struct output *o)
{
	if (o->as_json)
		json_close(&o->json, '}');
}

void put_words(struct output *o, const char *name, const char *text)
{
	if (o->as_json)
		json_string(&o->json, name, text);
	else
		fprintf(o->out, "%-10s %s\n", name, text);
}

void put_bytes(struct output *o, const char *name, const uint8_t *bytes, size_t len)
{
	char *text;

	if (!o->as_json) {
		put_dump(o->out, bytes, len);
		return;
	}

	text = malloc(2 * len + 1);
	json_string(&o->json, name, text ? hex_of(bytes, len, text) : NULL);
	free(text);
}
