// SPDX-License-Identifier: GPL-2.0-or-later
/* Write JSON: always well-formed, always UTF-8. */
#include "json.h"

#include "vfntool.h"

static void put_string(FILE *out, const char *s)
{
	fputc('"', out);

	while (*s) {
		unsigned int len = utf8_length(s);

		if (!len) {
			fputs("\\ufffd", out);
			s++;
		} else if (*s == '"' || *s == '\\') {
			fprintf(out, "\\%c", *s++);
		} else if (is_control(s, len)) {
			/* the last byte is the number of all of them */
			fprintf(out, "\\u%04x", (unsigned char)s[len - 1]);
			s += len;
		} else {
			fwrite(s, 1, len, out);
			s += len;
		}
	}

	fputc('"', out);
}

static void next_member(struct json *j, const char *key)
{
	if (j->filled)
		fputc(',', j->out);
	if (j->depth)
		fprintf(j->out, "\n%*s", (int)(2 * j->depth), "");
	j->filled = true;

	if (key) {
		put_string(j->out, key);
		fputs(": ", j->out);
	}
}

void json_open(struct json *j, const char *key, char bracket)
{
	next_member(j, key);
	fputc(bracket, j->out);
	j->depth++;
	j->filled = false;
}

void json_close(struct json *j, char bracket)
{
	j->depth--;
	if (j->filled)
		fprintf(j->out, "\n%*s", (int)(2 * j->depth), "");
	fputc(bracket, j->out);
	j->filled = true;
	if (!j->depth)
		fputc('\n', j->out);
}

void json_string(struct json *j, const char *key, const char *value)
{
	if (!value) {
		json_null(j, key);
		return;
	}

	next_member(j, key);
	put_string(j->out, value);
}

void json_int(struct json *j, const char *key, long long value)
{
	next_member(j, key);
	fprintf(j->out, "%lld", value);
}

void json_digits(struct json *j, const char *key, const char *digits)
{
	next_member(j, key);
	fputs(digits, j->out);
}

void json_bool(struct json *j, const char *key, bool value)
{
	next_member(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_null(struct json *j, const char *key)
{
	next_member(j, key);
	fputs("null", j->out);
}

void json_optional(struct json *j, const char *key, int value)
{
	if (value < 0)
		json_null(j, key);
	else
		json_int(j, key, value);
}

void json_hex(struct json *j, const char *key, int digits, unsigned long long value)
{
	char text[2 + 16 + 1];

	snprintf(text, sizeof(text), "0x%0*llx", digits, value);
	json_string(j, key, text);
}
