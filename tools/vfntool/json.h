/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Write JSON: always well-formed, always UTF-8. */
#ifndef VFNTOOL_JSON_H
#define VFNTOOL_JSON_H

#include <stdbool.h>
#include <stdio.h>

/**
 * struct json - a document being written
 * @out: where to; write to memory first if an error may come half-way
 * @depth: open objects and arrays
 * @filled: the innermost one has a member already
 */
struct json {
	FILE *out;
	unsigned int depth;
	bool filled;
};

/* @key is NULL in arrays and at the top. @bracket is '{' or '['. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
/* NULL is null; what is not UTF-8 becomes U+FFFD. */
void json_string(struct json *j, const char *key, const char *value);
void json_int(struct json *j, const char *key, long long value);
/* A number that may be larger. */
void json_digits(struct json *j, const char *key, const char *digits);
/* Negative is null; a string of at least @digits digits, as ids are written. */
void json_optional(struct json *j, const char *key, int value);
void json_hex(struct json *j, const char *key, int digits, unsigned long long value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif /* VFNTOOL_JSON_H */
