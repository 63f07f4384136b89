// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool: hand PCI devices to VFIO and back. The command line and the table of subcommands. */
#include "vfntool.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/log.h>

#define DEFAULT_DRIVER "vfio-pci"

#define MAX_REPEAT 1000000
#define MAX_TIMEOUT_MS 3600000
#define MAX_LENGTH (64 << 20) /* of what is kept in memory */

/* What an option takes. */
enum kind {
	FLAG,
	TEXT,
	NUMBER,
	SIZE,
	NUMBERS, /* several, with commas between them, where the command takes that */
	SIZES,
	ADDRESS, /* a number, or + and how far from the start of the data */
};

/* Options of a subcommand. */
#define TAKES(id) [id] = true
#define TAKES_CHANGE TAKES(OPT_DEVICE), TAKES(OPT_DRY_RUN), TAKES(OPT_VERBOSE)
#define TAKES_ADMIN TAKES(OPT_DEVICE), TAKES(OPT_JSON), TAKES(OPT_TIMEOUT)
#define TAKES_DATA TAKES(OPT_JSON), TAKES(OPT_TIMEOUT), TAKES(OPT_LENGTH)
#define TAKES_LOAD \
	TAKES_DATA, TAKES(OPT_DEVICE), TAKES(OPT_FORCE), TAKES(OPT_SEED), TAKES(OPT_THREADS), \
		TAKES(OPT_RUNTIME), TAKES(OPT_RW), TAKES(OPT_IODEPTH), TAKES(OPT_BS)
#define TAKES_PASSTHRU \
	TAKES(OPT_DEVICE), TAKES(OPT_JSON), [OPT_OPCODE... OPT_TIMEOUT] = true, \
							   TAKES(OPT_DOORBELL), TAKES(OPT_QUEUES)

/* In the order of enum option_id. */
static const struct option_text {
	char letter; /* 0 for an option that has a long form only */
	const char *name;
	const char *arg;
	enum kind kind;
	uint64_t min, max;
	const char *text;
} options[] = {
	{ 'd', "device", "BDF", TEXT, 0, 0, "the device, as 0000:01:00.0 or 01:00.0" },
	{ 't', "driver", "DRIVER", TEXT, 0, 0,
	  "driver to bind to, " DEFAULT_DRIVER " if not given" },
	{ 'a', "all", NULL, FLAG, 0, 0, "all PCI devices, not just NVMe; all blocks" },
	{ 'j', "json", NULL, FLAG, 0, 0, "print JSON" },
	{ 'n', "dry-run", NULL, FLAG, 0, 0,
	  "check everything, say what would be done, do nothing" },
	{ 'v', "verbose", NULL, FLAG, 0, 0, "say what is done" },
	{ 'h', "help", NULL, FLAG, 0, 0, "print this and exit" },
	{ 'V', "version", NULL, FLAG, 0, 0, "print the version and exit" },
	{ 0, "completion", NULL, FLAG, 0, 0, "print what bash needs to complete words, and exit" },
	{ 0, "enable", NULL, FLAG, 0, 0, "bring the controller up before" },
	{ 0, "opcode", "NUMBER", NUMBER, 0, 0xff, "opcode" },
	{ 0, "flags", "NUMBER", NUMBER, 0, 0xff, "second byte: FUSE in bits 1:0, PSDT in 7:6" },
	{ 0, "cid", "NUMBER", NUMBER, 0, 0xffff,
	  "command identifier, of all of them; they count from 0 if not given" },
	{ 0, "nsid", "NUMBER", NUMBER, 0, UINT32_MAX, "namespace" },
	{ 0, "cdw2", "NUMBER", NUMBER, 0, UINT32_MAX, "dword 2" },
	{ 0, "cdw3", "NUMBER", NUMBER, 0, UINT32_MAX, "dword 3" },
	{ 0, "mptr", "ADDRESS", ADDRESS, 0, UINT64_MAX, "metadata pointer" },
	{ 0, "prp1", "ADDRESS", ADDRESS, 0, UINT64_MAX,
	  "PRP entry 1, or the first half of an SGL descriptor; +N is byte N of the data" },
	{ 0, "prp2", "ADDRESS", ADDRESS, 0, UINT64_MAX, "PRP entry 2, or the other half" },
	{ 0, "cdw10", "NUMBER", NUMBER, 0, UINT32_MAX, "dword 10" },
	{ 0, "cdw11", "NUMBER", NUMBER, 0, UINT32_MAX, "dword 11" },
	{ 0, "cdw12", "NUMBER", NUMBER, 0, UINT32_MAX, "dword 12" },
	{ 0, "cdw13", "NUMBER", NUMBER, 0, UINT32_MAX, "dword 13" },
	{ 0, "cdw14", "NUMBER", NUMBER, 0, UINT32_MAX, "dword 14" },
	{ 0, "cdw15", "NUMBER", NUMBER, 0, UINT32_MAX, "dword 15" },
	{ 0, "raw", "HEX", TEXT, 0, 0, "all 64 bytes of the command; other options change it" },
	{ 0, "raw-file", "FILE", TEXT, 0, 0, "the same from a file of 64 bytes" },
	{ 0, "data", "HEX", TEXT, 0, 0, "bytes for the controller" },
	{ 0, "data-file", "FILE", TEXT, 0, 0, "the same from a file" },
	{ 0, "length", "SIZE", SIZE, 1, INT64_MAX, "bytes of data" },
	{ 0, "iova", "NUMBER", NUMBER, 0, UINT64_MAX, "where the controller finds the data" },
	{ 0, "output", "FILE", TEXT, 0, 0, "write the data to a file afterwards" },
	{ 0, "repeat", "NUMBER", NUMBER, 1, MAX_REPEAT,
	  "how many times, as many at once as the queue holds" },
	{ 0, "timeout", "MS", NUMBER, 1, MAX_TIMEOUT_MS,
	  "how long to wait for a command; 10000, or 30000 for blocks, if not given" },
	{ 0, "depth", "NUMBER", NUMBER, 2, 65536, "entries of the queues, 32 if not given" },
	{ 0, "doorbell", "NUMBER", NUMBER, 0, UINT32_MAX,
	  "write this to the tail doorbell instead of the tail" },
	{ 0, "queues", NULL, FLAG, 0, 0, "print both queues, entry by entry, afterwards" },
	{ 0, "allocated", NULL, FLAG, 0, 0, "namespaces that are not attached, too" },
	{ 0, "entries", "NUMBER", NUMBER, 1, 256, "no more than so many" },
	{ 0, "lid", "NUMBER", NUMBER, 0, 0xff, "log page" },
	{ 0, "lsp", "NUMBER", NUMBER, 0, 0x7f, "log specific parameter" },
	{ 0, "lsi", "NUMBER", NUMBER, 0, 0xffff, "log specific identifier" },
	{ 0, "csi", "NUMBER", NUMBER, 0, 0xff, "command set" },
	{ 0, "offset", "SIZE", SIZE, 0, INT64_MAX, "where in the log page or namespace" },
	{ 0, "rae", NULL, FLAG, 0, 0, "retain asynchronous event" },
	{ 0, "fid", "NUMBER", NUMBER, 0, 0xff, "feature" },
	{ 0, "select", "NUMBER", NUMBER, 0, 3, "0 current, 1 default, 2 saved, 3 what can be" },
	{ 0, "value", "NUMBER", NUMBER, 0, UINT32_MAX, "what to set, dword 11" },
	{ 0, "save", NULL, FLAG, 0, 0, "through power cycles and resets" },
	{ 0, "lbaf", "NUMBER", NUMBER, 0, 63, "LBA format" },
	{ 0, "ses", "NUMBER", NUMBER, 0, 2, "secure erase: 0 none, 1 user data, 2 cryptographic" },
	{ 0, "pi", "NUMBER", NUMBER, 0, 3, "type of protection information, 0 none" },
	{ 0, "pil", "NUMBER", NUMBER, 0, 1, "where it is: 0 in the last bytes, 1 in the first" },
	{ 0, "mset", "NUMBER", NUMBER, 0, 1, "metadata: 0 in a buffer apart, 1 behind each block" },
	{ 0, "force", NULL, FLAG, 0, 0, "do not ask, and overwrite whatever is there" },
	{ 0, "pad", NULL, FLAG, 0, 0, "fill the last block up with zeros" },
	{ 0, "verify", NULL, FLAG, 0, 0, "read again what was written" },
	{ 0, "skip", "SIZE", SIZE, 0, INT64_MAX, "where to begin in the source" },
	{ 0, "seek", "SIZE", SIZE, 0, INT64_MAX, "where to begin in the destination" },
	{ 0, "seed", "NUMBER", NUMBER, 0, UINT32_MAX, "what data and order come from" },
	{ 0, "threads", "NUMBER", NUMBERS, 1, 64, "threads, each with a queue" },
	{ 0, "ratio", "NUMBER", NUMBER, 1, 64, "requests as many times what a queue holds" },
	{ 0, "sessions", "NUMBER", NUMBER, 1, 64, "handles" },
	{ 0, "blocks", "NUMBER", NUMBER, 1, 65536, "most blocks of a request" },
	{ 0, "runtime", "SECONDS", NUMBER, 1, 86400, "how long" },
	{ 0, "check", "FILE", TEXT, 0, 0, "the kernel's block device that has the same blocks" },
	{ 0, "sgl", NULL, FLAG, 0, 0, "describe memory by SGLs" },
	{ 0, "rw", "WORD", TEXT, 0, 0, "read, write, randread, randwrite or randrw" },
	{ 0, "iodepth", "NUMBER", NUMBERS, 1, 4096, "requests at a time, of each thread" },
	{ 0, "bs", "SIZE", SIZES, 512, MAX_LENGTH, "bytes of a request" },
	{ 0, "plot", "FILE", TEXT, 0, 0, "draw a picture, SVG" },
	{ 0, "kernel", "FILE", TEXT, 0, 0, "the kernel's block device, to compare" },
	{ 0, "csv", "FILE", TEXT, 0, 0, "figures that are there are kept, others are added" },
};

_Static_assert(sizeof(options) / sizeof(options[0]) == NR_OPTIONS, "an option lacks its text");

static const struct command {
	const char *name;
	int (*run)(const struct request *req);
	const char *description;
	bool takes[NR_OPTIONS];
	/* the device may be a namespace, BDF/NSID */
	bool blocks;
	/* options of kind NUMBERS and SIZES may have several */
	bool several;
	/* operands that the command itself looks at, and how many */
	const char *operands;
	unsigned int least, most;
} commands[] = {
	{ "list", cmd_list, "list devices with driver, IOMMU group, NUMA node and users",
	  .takes = { TAKES(OPT_ALL), TAKES(OPT_JSON), TAKES(OPT_VERBOSE) } },
	{ "show", cmd_show, "show everything about a device",
	  .takes = { TAKES(OPT_DEVICE), TAKES(OPT_JSON) } },
	{ "bind", cmd_bind, "hand a device to a driver; record what it had",
	  .takes = { TAKES_CHANGE, TAKES(OPT_DRIVER) } },
	{ "unbind", cmd_unbind, "take a device from its driver; record what it had",
	  .takes = { TAKES_CHANGE } },
	{ "reset", cmd_reset, "give a device back to the recorded driver",
	  .takes = { TAKES_CHANGE } },
	{ "regs", cmd_regs, "print the registers of a controller, field by field",
	  .takes = { TAKES(OPT_DEVICE), TAKES(OPT_JSON), TAKES(OPT_ENABLE) } },
	{ "id-ctrl", cmd_id_ctrl, "print what a controller says of itself",
	  .takes = { TAKES_ADMIN } },
	{ "id-ns", cmd_id_ns, "print what it says of a namespace",
	  .takes = { TAKES_ADMIN, TAKES(OPT_NSID) } },
	{ "list-ns", cmd_list_ns, "list the namespaces of a controller",
	  .takes = { TAKES_ADMIN, TAKES(OPT_NSID), TAKES(OPT_ALLOCATED) } },
	{ "smart", cmd_smart, "print its health", .takes = { TAKES_ADMIN, TAKES(OPT_NSID) } },
	{ "error-log", cmd_error_log, "print the errors that it remembers",
	  .takes = { TAKES_ADMIN, TAKES(OPT_ENTRIES) } },
	{ "get-log", cmd_get_log, "print any log page",
	  .takes = { TAKES_ADMIN, TAKES(OPT_NSID), TAKES(OPT_LENGTH), TAKES(OPT_OUTPUT),
		     [OPT_LID... OPT_RAE] = true } },
	{ "get-feature", cmd_get_feature, "print a feature",
	  .takes = { TAKES_ADMIN, TAKES(OPT_NSID), TAKES(OPT_FID), TAKES(OPT_SELECT),
		     TAKES(OPT_CDW11), TAKES(OPT_LENGTH) } },
	{ "set-feature", cmd_set_feature, "change a feature and print it",
	  .takes = { TAKES_ADMIN, TAKES(OPT_NSID), TAKES(OPT_FID), TAKES(OPT_VALUE),
		     TAKES(OPT_SAVE), TAKES(OPT_CDW12), TAKES(OPT_CDW13), TAKES(OPT_CDW15),
		     TAKES(OPT_DATA), TAKES(OPT_DATA_FILE), TAKES(OPT_LENGTH) } },
	{ "format", cmd_format, "format a namespace, after a question",
	  .takes = { TAKES_ADMIN, TAKES(OPT_NSID), TAKES(OPT_DRY_RUN),
		     [OPT_LBAF... OPT_FORCE] = true } },
	{ "read", cmd_read, "read blocks, to print them or into a file",
	  .takes = { TAKES_DATA, TAKES(OPT_DEVICE), TAKES(OPT_OFFSET), TAKES(OPT_OUTPUT),
		     TAKES(OPT_VERIFY) },
	  .blocks = true },
	{ "write", cmd_write, "write blocks, from a file or the command line",
	  .takes = { TAKES_DATA, TAKES(OPT_DEVICE), TAKES(OPT_OFFSET), TAKES(OPT_DATA),
		     TAKES(OPT_DATA_FILE), TAKES(OPT_VERIFY), TAKES(OPT_PAD), TAKES(OPT_FORCE) },
	  .blocks = true },
	{ "copy", cmd_copy,
	  "copy a namespace to a file, a file to a namespace, or a namespace to another",
	  .takes = { TAKES_DATA, TAKES(OPT_SKIP), TAKES(OPT_SEEK), TAKES(OPT_VERIFY),
		     TAKES(OPT_PAD), TAKES(OPT_FORCE) },
	  .operands = "SOURCE DESTINATION", .least = 2, .most = 2 },
	{ "discard", cmd_discard, "tell a namespace that blocks are not needed any more",
	  .takes = { TAKES_DATA, TAKES(OPT_DEVICE), TAKES(OPT_OFFSET), TAKES(OPT_ALL),
		     TAKES(OPT_FORCE) },
	  .blocks = true },
	{ "zero", cmd_zero, "write zeros",
	  .takes = { TAKES_DATA, TAKES(OPT_DEVICE), TAKES(OPT_OFFSET), TAKES(OPT_ALL),
		     TAKES(OPT_FORCE) },
	  .blocks = true },
	{ "verify", cmd_verify, "test a controller with data that are written and read",
	  .takes = { TAKES_DATA, TAKES(OPT_DEPTH), TAKES(OPT_FORCE), [OPT_SEED... OPT_SGL] = true },
	  .operands = "TEST BDF[/NSID]...", .least = 2, .most = MAX_OPERANDS },
	{ "lat", cmd_lat, "measure latencies: a histogram with percentiles",
	  .takes = { TAKES_LOAD, TAKES(OPT_PLOT) }, .blocks = true },
	{ "bench", cmd_bench, "measure throughput and latency over depths, sizes and threads",
	  .takes = { TAKES_LOAD, TAKES(OPT_PLOT), TAKES(OPT_KERNEL), TAKES(OPT_CSV) },
	  .blocks = true, .several = true },
	{ "admin-passthru", cmd_admin_passthru, "send any admin command, checked by nobody",
	  .takes = { TAKES_PASSTHRU } },
	{ "io-passthru", cmd_io_passthru, "send any I/O command, checked by nobody",
	  .takes = { TAKES_PASSTHRU, TAKES(OPT_DEPTH) } },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* One value of getopt_long() for each option that has no letter. */
#define LONG_OPTION 0x100

/* What the command line had, before it is known what it may have. */
struct line {
	const char *command;
	const char *device;
	unsigned int noperands;
	struct request req;
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}

	return NULL;
}

static void print_options_of(FILE *out, const struct command *c)
{
	int column = 100;

	for (size_t o = 0; o < NR_OPTIONS; o++) {
		char word[64];
		int len;

		if (o == OPT_DEVICE || !c->takes[o])
			continue;
		len = snprintf(word, sizeof(word), " [--%s%s%s]", options[o].name,
			       options[o].arg ? " " : "", options[o].arg ? options[o].arg : "");
		if (column + len > 95) {
			fputs("\n         ", out);
			column = 9;
		}
		fputs(word, out);
		column += len;
	}
	fputc('\n', out);
}

static const char *operands_of(const struct command *c)
{
	if (c->operands)
		return c->operands;

	return !c->takes[OPT_DEVICE] ? "" : c->blocks ? "BDF[/NSID]" : "BDF";
}

static void print_form(FILE *out)
{
	fputs("usage: vfntool COMMAND [BDF|OPERAND...] [OPTION...]\n"
	      "       vfntool -d BDF [-t DRIVER] [-v]      the same as bind\n",
	      out);
}

static void print_help(FILE *out)
{
	print_form(out);
	fputs("\ncommands:\n", out);
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		const struct command *c = &commands[i];

		fprintf(out, "  %-6s %-4s %s", c->name, operands_of(c), c->description);
		print_options_of(out, c);
	}

	fputs("\noptions:\n", out);
	for (size_t o = 0; o < NR_OPTIONS; o++) {
		char letter[] = { '-', options[o].letter, ',', '\0' }, name[32];

		snprintf(name, sizeof(name), "%s%s%s", options[o].name, options[o].arg ? " " : "",
			 options[o].arg ? options[o].arg : "");
		fprintf(out, "  %-3s --%-15s %s\n", options[o].letter ? letter : "", name,
			options[o].text);
	}
}

/* What is wrong, in three parts: the last is what the user wrote. */
static int usage_error(const char *what, const char *sep, const char *text)
{
	complain("%s%s%s", what, sep, text);
	print_form(stderr);
	fputs("Try vfntool --help.\n", stderr);

	return EXIT_USAGE;
}

int complain_usage(const char *text)
{
	return usage_error(text, "", "");
}

/* The two forms that getopt wants, from the one table. */
static void make_getopt(struct option longs[NR_OPTIONS + 1], char *shorts)
{
	*shorts++ = ':';
	for (int o = 0; o < NR_OPTIONS; o++) {
		longs[o] = (struct option){
			.name = options[o].name,
			.has_arg = options[o].arg ? required_argument : no_argument,
			.val = LONG_OPTION + o,
		};
		if (!options[o].letter)
			continue;
		*shorts++ = options[o].letter;
		if (options[o].arg)
			*shorts++ = ':';
	}
	longs[NR_OPTIONS] = (struct option){};
	*shorts = '\0';
}

/* NR_OPTIONS if there is none. */
static int find_option(int val)
{
	int o = val - LONG_OPTION;

	if (val < LONG_OPTION)
		for (o = 0; o < NR_OPTIONS && (val == 0 || options[o].letter != val); o++)
			;

	return o;
}

static int bad_value(const struct option_text *option, const char *text)
{
	char what[64];

	snprintf(what, sizeof(what), "--%s: no number from %llu to %llu", option->name,
		 (unsigned long long)option->min, (unsigned long long)option->max);

	return usage_error(what, ": ", text);
}

/* Numbers with commas between them. */
static int take_list(const struct option_text *option, struct value *value)
{
	const char *at = value->text;
	char word[32];

	for (value->count = 0;; at++) {
		size_t len = strcspn(at, ",");
		uint64_t *number = &value->list[value->count];

		if (len >= sizeof(word) || value->count == MAX_LIST)
			return bad_value(option, value->text);
		memcpy(word, at, len);
		word[len] = '\0';
		if (!parse_number(word, option->max, option->kind == SIZES, number) ||
		    *number < option->min)
			return bad_value(option, value->text);
		value->count++;
		at += len;
		if (!*at)
			break;
	}
	value->number = value->list[0];

	return 0;
}

static int take_value(struct line *line, int o, const char *text)
{
	const struct option_text *option = &options[o];
	struct value *value = &line->req.values[o];

	value->given = true;
	value->text = text;
	if (o == OPT_DEVICE)
		line->device = text;
	if (option->kind == FLAG || option->kind == TEXT)
		return 0;
	if (option->kind == NUMBERS || option->kind == SIZES)
		return take_list(option, value);

	value->relative = option->kind == ADDRESS && *text == '+';
	if (parse_number(text + value->relative, option->max, option->kind == SIZE,
			 &value->number) &&
	    value->number >= option->min)
		return 0;

	return bad_value(option, text);
}

static int read_options(int argc, char **argv, struct line *line)
{
	struct option longs[NR_OPTIONS + 1];
	char shorts[2 * NR_OPTIONS + 2];
	int val, status;

	make_getopt(longs, shorts);

	/* 0 starts anew, also when tests call main() more than once */
	optind = 0;
	while ((val = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		int o = find_option(val);

		if (o < 0 || o >= NR_OPTIONS)
			return usage_error(val == ':' ? "no argument after" : "unknown option", " ",
					   argv[optind - 1]);
		if (is_given(&line->req, o))
			return usage_error("given twice", ": --", options[o].name);

		status = take_value(line, o, optarg);
		if (status)
			return status;
	}

	return 0;
}

static int read_operands(int argc, char **argv, struct line *line)
{
	if (optind < argc)
		line->command = argv[optind++];

	for (; optind < argc; optind++) {
		if (line->noperands == MAX_OPERANDS)
			return usage_error("surplus argument", ": ", argv[optind]);
		line->req.operands[line->noperands++] = argv[optind];
	}

	return 0;
}

/* The operand that most commands have: a device, which an option may have given, too. */
static int take_device(struct line *line, const struct command *c)
{
	const char *const *operands = line->req.operands;

	if (line->noperands) {
		if (!c->takes[OPT_DEVICE])
			return usage_error(c->name, " takes no device: ", operands[0]);
		if (line->device)
			return usage_error("device given twice", ": ", operands[0]);
		line->device = operands[0];
	}
	if (line->noperands > 1)
		return usage_error("surplus argument", ": ", operands[1]);
	if (!c->takes[OPT_DEVICE])
		return 0;
	if (!line->device)
		return usage_error(c->name, " needs the address of a device", "");

	line->req.name = line->device;
	if (c->blocks ? !parse_namespace(line->device, line->req.bdf) :
			vfn_pci_parse_bdf(line->device, line->req.bdf))
		return usage_error(c->blocks ? "no namespace such as 0000:01:00.0/1" :
					       "no PCI address such as 0000:01:00.0",
				   ": ", line->device);

	return 0;
}

static int check_operands(struct line *line, const struct command *c)
{
	if (!c->operands)
		return take_device(line, c);
	if (line->noperands < c->least)
		return usage_error(c->name, " needs ", c->operands);
	if (line->noperands > c->most)
		return usage_error("surplus argument", ": ", line->req.operands[c->most]);

	return 0;
}

/* Options of which one at most makes sense. */
static int check_pairs(const struct request *req)
{
	static const enum option_id pairs[][2] = {
		{ OPT_RAW, OPT_RAW_FILE },
		{ OPT_DATA, OPT_DATA_FILE },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (is_given(req, pairs[i][0]) && is_given(req, pairs[i][1]))
			return usage_error(options[pairs[i][0]].name, " excludes --",
					   options[pairs[i][1]].name);
	}

	return 0;
}

static int check_line(struct line *line, const struct command **command)
{
	struct request *req = &line->req;
	const struct command *c;
	int status;

	if (!line->command && !line->device)
		return usage_error("no command", "", "");

	c = find_command(line->command ? line->command : "bind");
	if (!c)
		return usage_error("unknown command", ": ", line->command);

	for (int o = 0; o < NR_OPTIONS; o++) {
		if (is_given(req, o) && !c->takes[o])
			return usage_error(c->name, " does not take --", options[o].name);
		if (req->values[o].count > 1 && !c->several)
			return usage_error(c->name, " takes one number for --", options[o].name);
	}

	status = check_operands(line, c);
	if (status)
		return status;
	if (c->takes[OPT_LENGTH] && !c->takes[OPT_SEEK] && !c->blocks &&
	    req->values[OPT_LENGTH].number > MAX_LENGTH)
		return usage_error("--length: more than 64M", ": ", req->values[OPT_LENGTH].text);

	*command = c;
	req->driver = is_given(req, OPT_DRIVER) ? req->values[OPT_DRIVER].text : DEFAULT_DRIVER;
	req->all = is_given(req, OPT_ALL);
	req->json = is_given(req, OPT_JSON);
	req->dry_run = is_given(req, OPT_DRY_RUN);
	req->verbose = is_given(req, OPT_VERBOSE);

	return check_pairs(req);
}

/* What bash evaluates: all words come from the tables above. */
static void print_completion(void)
{
	fputs("_vfntool()\n{\n"
	      "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words\n"
	      "    case $prev in\n"
	      "    --data-file | --raw-file | --output | --check | --plot | --kernel | --csv)\n"
	      "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
	      "        return ;;\n"
	      "    esac\n"
	      "    case ${COMP_WORDS[1]} in\n",
	      stdout);
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		const struct command *c = &commands[i];

		printf("    %s) words='", c->name);
		for (size_t o = 0; o < NR_OPTIONS; o++) {
			if (c->takes[o])
				printf("--%s ", options[o].name);
		}
		fputs("' ;;\n", stdout);
	}
	fputs("    *) words='", stdout);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		printf("%s ", commands[i].name);
	fputs("--help --version --completion' ;;\n"
	      "    esac\n"
	      "    [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} != list ]] &&\n"
	      "        words+=$(cd /sys/bus/pci/devices 2>/dev/null && echo *)\n"
	      "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	      "    [[ ${COMP_WORDS[1]} == copy ]] && COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
	      "}\n"
	      "complete -F _vfntool vfntool\n",
	      stdout);
}

/* Whether the options have asked for something that needs no command. */
static bool print_about(const struct request *req)
{
	if (is_given(req, OPT_HELP))
		print_help(stdout);
	else if (is_given(req, OPT_VERSION))
		puts("vfntool " VFNTOOL_VERSION);
	else if (is_given(req, OPT_COMPLETION))
		print_completion();
	else
		return false;

	return true;
}

static int run(int argc, char **argv)
{
	const struct command *command = NULL;
	struct line line = {};
	int status;

	status = read_options(argc, argv, &line);
	if (status)
		return status;
	if (print_about(&line.req))
		return EXIT_SUCCESS;

	status = read_operands(argc, argv, &line);
	if (!status)
		status = check_line(&line, &command);

	return status ? status : command->run(&line.req);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	names_done();

	if (ferror(stdout) | fflush(stdout)) {
		complain("cannot write the output: %s", strerror(errno));
		return status ? status : EXIT_FAILURE;
	}

	return status;
}
