// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts: numbers that people wrote, and what devices and file systems call things, printed without obeying it. */
#include "vfntool.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/log.h>

/* What the first byte promises; 0 if no character starts with it. */
static unsigned int character_size(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;

	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

unsigned int utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned int len = character_size(s[0]);

	for (unsigned int i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}

	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;

	return len;
}

bool is_control(const char *text, unsigned int len)
{
	const unsigned char *s = (const unsigned char *)text;

	if (len == 1)
		return s[0] < 0x20 || s[0] == 0x7f;

	/* U+0080 to U+009F are terminal controls as well */
	return len == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

void put_text(FILE *out, const char *s)
{
	while (*s) {
		unsigned int len = utf8_length(s);

		if (!len || is_control(s, len)) {
			fprintf(out, "\\x%02x", (unsigned char)*s++);
			continue;
		}
		fwrite(s, 1, len, out);
		s += len;
	}
}

bool parse_number(const char *text, uint64_t max, bool size, uint64_t *value)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	/* strtoull() takes blanks and signs, also behind 0x */
	if (!isxdigit((unsigned char)text[hex ? 2 : 0]))
		return false;

	errno = 0;
	*value = strtoull(text, &end, hex ? 16 : 10);
	if (errno || end == text)
		return false;

	unit = size && *end ? strchr(units, *end) : NULL;
	if (unit) {
		int shift = 10 * (int)(unit - units + 1);

		if (*value > UINT64_MAX >> shift)
			return false;
		*value <<= shift;
		end++;
	}

	return !*end && *value <= max;
}

bool parse_namespace(const char *name, char bdf[VFN_PCI_BDF_LEN])
{
	const char *slash = strchrnul(name, '/');
	char text[VFN_PCI_BDF_LEN];
	uint64_t nsid;

	if ((size_t)(slash - name) >= sizeof(text))
		return false;
	memcpy(text, name, (size_t)(slash - name));
	text[slash - name] = '\0';

	if (*slash && (!parse_number(slash + 1, UINT32_MAX - 1, false, &nsid) || !nsid))
		return false;

	return !vfn_pci_parse_bdf(text, bdf);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return digit ? (int)(digit - digits) : -1;
}

ssize_t parse_hex(const char *text, uint8_t *bytes)
{
	ssize_t n = 0;
	int high, low;

	for (;; text += 2, n++) {
		while (isspace((unsigned char)*text))
			text++;
		if (!*text)
			return n;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return -1;
		if (bytes)
			bytes[n] = (uint8_t)(16 * high + low);
	}
}

int complain(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);

	fputs("vfntool: ", stderr);
	if (len >= 0) {
		put_text(stderr, text);
		free(text);
	} else {
		fputs("out of memory", stderr);
	}
	fputc('\n', stderr);

	return EXIT_FAILURE;
}

int complain_last_error(void)
{
	return complain("%s", vfn_last_error());
}

int report_open(struct report *report)
{
	report->out = open_memstream(&report->text, &report->size);

	return report->out ? EXIT_SUCCESS : complain("out of memory");
}

int report_drop(struct report *report)
{
	fclose(report->out);
	free(report->text);

	return EXIT_FAILURE;
}

int report_print(struct report *report)
{
	bool complete = !ferror(report->out);

	if (fclose(report->out))
		complete = false;
	if (complete)
		fwrite(report->text, 1, report->size, stdout);
	free(report->text);

	return complete ? EXIT_SUCCESS : complain("out of memory");
}
