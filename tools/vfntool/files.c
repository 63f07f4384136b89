// SPDX-License-Identifier: GPL-2.0-or-later
/* Data that commands move: from files, to files, and as hexadecimal digits. */
#include "passthru.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* At most @max bytes, and whether there are more. */
static uint8_t *read_stream(FILE *in, size_t max, size_t *len)
{
	uint8_t *bytes = NULL;

	*len = 0;
	for (size_t room = 0; *len == room && room <= max;) {
		uint8_t *larger;

		room = room ? 2 * room : 4096;
		if (room > max)
			room = max + 1;
		larger = realloc(bytes, room);
		if (!larger) {
			free(bytes);
			errno = ENOMEM;
			return NULL;
		}
		bytes = larger;
		*len += fread(bytes + *len, 1, room - *len, in);
	}

	return bytes;
}

uint8_t *read_file(const char *path, size_t max, size_t *len)
{
	FILE *in = fopen(path, "re");
	uint8_t *bytes;

	if (!in) {
		complain("%s: %s", path, strerror(errno));
		return NULL;
	}

	bytes = read_stream(in, max, len);
	if (!bytes || ferror(in)) {
		complain("%s: %s", path, strerror(errno));
		free(bytes);
		bytes = NULL;
	}
	fclose(in);

	return bytes;
}

uint8_t *read_hex(const char *option, const char *text, size_t *len)
{
	ssize_t n = parse_hex(text, NULL);
	uint8_t *bytes;

	if (n <= 0) {
		complain("--%s: no bytes of two hexadecimal digits each: %.40s", option, text);
		return NULL;
	}

	bytes = malloc((size_t)n);
	if (!bytes) {
		complain("out of memory");
		return NULL;
	}
	*len = (size_t)parse_hex(text, bytes);

	return bytes;
}

void put_dump(FILE *out, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len; at += 16) {
		size_t n = len - at < 16 ? len - at : 16;

		fprintf(out, "%08zx ", at);
		for (size_t i = 0; i < 16; i++) {
			if (i < n)
				fprintf(out, "%s %02x", i == 8 ? " " : "", bytes[at + i]);
			else
				fprintf(out, "%s   ", i == 8 ? " " : "");
		}
		fputs("  |", out);
		for (size_t i = 0; i < n; i++)
			fputc(bytes[at + i] >= ' ' && bytes[at + i] <= '~' ? bytes[at + i] : '.',
			      out);
		fputs("|\n", out);
	}
}

int write_file(FILE *file, const char *path, const void *bytes, size_t len)
{
	bool whole = fwrite(bytes, 1, len, file) == len;

	if (fclose(file) || !whole)
		return complain("%s: not all of the data is there: %s", path, strerror(errno));

	return EXIT_SUCCESS;
}
