// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line of the examples: any words, and sizes against a second opinion.
 *
 * T2
 */
#include "fuzz.h"

#include <ctype.h>
#include <getopt.h>
#include <setjmp.h>

#include "common.h"

/* The build gives examples/common.c these instead of exit() and stderr. */
void fuzz_exit(int status) __attribute__((noreturn));

static jmp_buf out;

void fuzz_exit(int status)
{
	longjmp(out, status + 1);
}

static struct values {
	bool flag;
	uint64_t number, size;
	const char *text;
} got;

static const struct option_spec options[] = {
	{ .letter = 'f', .name = "flag", .help = "", .flag = &got.flag },
	{ .letter = 'n',
	  .name = "number",
	  .arg = "N",
	  .help = "",
	  .number = &got.number,
	  .min = 1,
	  .max = 4096 },
	{ .letter = 's',
	  .name = "size",
	  .arg = "S",
	  .help = "",
	  .size = &got.size,
	  .max = UINT64_MAX },
	{ .name = "text", .arg = "T", .help = "", .text = &got.text, .replaces_bdf = true },
	{},
};

/* Returns the exit status, or -1 where the program would go on. */
static int run(int argc, char **argv, const char **bdf)
{
	int status = setjmp(out);

	if (status)
		return status - 1;

	got = (struct values){};
	optind = 0;
	*bdf = parse_options(argc, argv, "", options);

	return -1;
}

static bool size_of(const char *s, uint64_t *v)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *digits = hex ? "0123456789abcdef" : "0123456789", *units = "KMGT", *at;
	unsigned __int128 sum = 0;
	size_t n = 0;

	for (s += hex ? 2 : 0; s[n] && (at = strchr(digits, tolower(s[n]))); n++)
		if ((sum = sum * (hex ? 16 : 10) + (size_t)(at - digits)) > UINT64_MAX)
			return false;
	if (!n)
		return false;

	at = s[n] ? strchr(units, s[n]) : NULL;
	if (at)
		sum <<= 10 * (at - units + 1);
	*v = (uint64_t)sum;

	return sum <= UINT64_MAX && !s[n + !!at];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line[18] = { (char *)"fuzz" },
	     *words[] = { (char *)"fuzz", (char *)"--text=", (char *)"-s", NULL, NULL };
	struct input in = { data, data + size };
	FILE *real = stderr, *real_out = stdout;
	const char *bdf = NULL;
	uint64_t wanted;
	int argc = 1, status;

	stderr = stdout = fopen("/dev/null", "w");
	while (left(&in) && argc < 17)
		line[argc++] = take_text(&in, '\n');
	/* getopt changes the order */
	memcpy(words + 3, line + argc - 1, sizeof(*words));

	if (argc > 1) {
		status = run(4, words, &bdf);
		require(size_of(words[3], &wanted) ? status < 0 && got.size == wanted :
						     status == 2);
	}

	status = run(argc, line, &bdf);
	require(status == -1 || status == 0 || status == 2);
	require(status >= 0 || bdf || got.text);
	require(status >= 0 || !got.number || got.number <= 4096);

	for (int i = 1; i < argc; i++)
		free(line[i]);
	fclose(stderr);
	stderr = real;
	stdout = real_out;

	return 0;
}
