// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool: hand PCI devices to VFIO and back. The command line and the table of subcommands. */
#include "vfntool.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/log.h>

#define DEFAULT_DRIVER "vfio-pci"

/* Options, and which of them a subcommand takes. */
enum {
	OPT_DEVICE = 1 << 0,
	OPT_DRIVER = 1 << 1,
	OPT_ALL = 1 << 2,
	OPT_JSON = 1 << 3,
	OPT_DRY_RUN = 1 << 4,
	OPT_VERBOSE = 1 << 5,
	OPT_HELP = 1 << 6,
	OPT_VERSION = 1 << 7,
};

static const struct option_text {
	unsigned int bit;
	char letter;
	const char *name;
	const char *arg;
	const char *text;
} options[] = {
	{ OPT_DEVICE, 'd', "device", "BDF", "the device, as 0000:01:00.0 or 01:00.0" },
	{ OPT_DRIVER, 't', "driver", "DRIVER",
	  "driver to bind to, " DEFAULT_DRIVER " if not given" },
	{ OPT_ALL, 'a', "all", NULL, "all PCI devices, not just NVMe" },
	{ OPT_JSON, 'j', "json", NULL, "print JSON" },
	{ OPT_DRY_RUN, 'n', "dry-run", NULL,
	  "check everything, say what would be done, do nothing" },
	{ OPT_VERBOSE, 'v', "verbose", NULL, "say what is done" },
	{ OPT_HELP, 'h', "help", NULL, "print this and exit" },
	{ OPT_VERSION, 'V', "version", NULL, "print the version and exit" },
};

#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

static const struct command {
	const char *name;
	int (*run)(const struct request *req);
	const char *description;
	unsigned int options;
} commands[] = {
	{ "list", cmd_list, "list devices with driver, IOMMU group, NUMA node and users",
	  OPT_ALL | OPT_JSON | OPT_VERBOSE },
	{ "show", cmd_show, "show everything about a device", OPT_DEVICE | OPT_JSON },
	{ "bind", cmd_bind, "hand a device to a driver; record what it had",
	  OPT_DEVICE | OPT_DRIVER | OPT_DRY_RUN | OPT_VERBOSE },
	{ "unbind", cmd_unbind, "take a device from its driver; record what it had",
	  OPT_DEVICE | OPT_DRY_RUN | OPT_VERBOSE },
	{ "reset", cmd_reset, "give a device back to the recorded driver",
	  OPT_DEVICE | OPT_DRY_RUN | OPT_VERBOSE },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* What the command line had, before it is known what it may have. */
struct line {
	unsigned int given;
	const char *command;
	const char *device;
	const char *driver;
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}

	return NULL;
}

static void print_usage(FILE *out)
{
	fputs("usage: vfntool COMMAND [BDF] [OPTION...]\n"
	      "       vfntool -d BDF [-t DRIVER] [-v]      the same as bind\n"
	      "\n"
	      "commands:\n",
	      out);
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		const struct command *c = &commands[i];

		fprintf(out, "  %-6s %-4s %s\n         ", c->name,
			c->options & OPT_DEVICE ? "BDF" : "", c->description);
		for (size_t o = 0; o < NR_OPTIONS; o++) {
			if (c->options & options[o].bit & ~OPT_DEVICE)
				fprintf(out, " [--%s%s%s]", options[o].name,
					options[o].arg ? " " : "",
					options[o].arg ? options[o].arg : "");
		}
		fputc('\n', out);
	}

	fputs("\noptions:\n", out);
	for (size_t o = 0; o < NR_OPTIONS; o++) {
		char name[32];

		snprintf(name, sizeof(name), "%s%s%s", options[o].name, options[o].arg ? " " : "",
			 options[o].arg ? options[o].arg : "");
		fprintf(out, "  -%c, --%-15s %s\n", options[o].letter, name, options[o].text);
	}
}

/* What is wrong, in three parts: the last is what the user wrote. */
static int usage_error(const char *what, const char *sep, const char *text)
{
	complain("%s%s%s", what, sep, text);
	fputc('\n', stderr);
	print_usage(stderr);

	return EXIT_USAGE;
}

/* The two forms that getopt wants, from the one table. */
static void make_getopt(struct option longs[NR_OPTIONS + 1], char *shorts)
{
	*shorts++ = ':';
	for (size_t o = 0; o < NR_OPTIONS; o++) {
		longs[o] = (struct option){
			.name = options[o].name,
			.has_arg = options[o].arg ? required_argument : no_argument,
			.val = options[o].letter,
		};
		*shorts++ = options[o].letter;
		if (options[o].arg)
			*shorts++ = ':';
	}
	longs[NR_OPTIONS] = (struct option){};
	*shorts = '\0';
}

static const struct option_text *find_option(int letter)
{
	for (size_t o = 0; o < NR_OPTIONS; o++) {
		if (options[o].letter == letter)
			return &options[o];
	}

	return NULL;
}

static int read_options(int argc, char **argv, struct line *line)
{
	struct option longs[NR_OPTIONS + 1];
	char shorts[2 * NR_OPTIONS + 2];
	int letter;

	make_getopt(longs, shorts);

	/* 0 starts anew, also when tests call main() more than once */
	optind = 0;
	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct option_text *option = find_option(letter);

		if (!option)
			return usage_error(letter == ':' ? "no argument after" : "unknown option",
					   " ", argv[optind - 1]);
		if (line->given & option->bit)
			return usage_error("given twice", ": --", option->name);

		line->given |= option->bit;
		if (option->bit == OPT_DEVICE)
			line->device = optarg;
		if (option->bit == OPT_DRIVER)
			line->driver = optarg;
	}

	return 0;
}

static int read_operands(int argc, char **argv, struct line *line)
{
	if (optind < argc)
		line->command = argv[optind++];

	if (optind < argc) {
		if (line->device)
			return usage_error("device given twice", ": ", argv[optind]);
		line->given |= OPT_DEVICE;
		line->device = argv[optind++];
	}

	return optind < argc ? usage_error("surplus argument", ": ", argv[optind]) : 0;
}

static int check_line(const struct line *line, const struct command **command, struct request *req)
{
	const struct command *c;

	if (!line->command && !line->device)
		return usage_error("no command", "", "");

	c = find_command(line->command ? line->command : "bind");
	if (!c)
		return usage_error("unknown command", ": ", line->command);

	for (size_t o = 0; o < NR_OPTIONS; o++) {
		if (line->given & ~c->options & options[o].bit)
			return usage_error(c->name, " does not take --", options[o].name);
	}

	if (c->options & OPT_DEVICE && !line->device)
		return usage_error(c->name, " needs the address of a device", "");
	if (line->device && vfn_pci_parse_bdf(line->device, req->bdf))
		return usage_error("no PCI address such as 0000:01:00.0", ": ", line->device);

	*command = c;
	req->driver = line->driver ? line->driver : DEFAULT_DRIVER;
	req->all = line->given & OPT_ALL;
	req->json = line->given & OPT_JSON;
	req->dry_run = line->given & OPT_DRY_RUN;
	req->verbose = line->given & OPT_VERBOSE;

	return 0;
}

static int run(int argc, char **argv)
{
	const struct command *command = NULL;
	struct request req = {};
	struct line line = {};
	int status;

	status = read_options(argc, argv, &line);
	if (status)
		return status;

	if (line.given & OPT_HELP) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	if (line.given & OPT_VERSION) {
		puts("vfntool " VFNTOOL_VERSION);
		return EXIT_SUCCESS;
	}

	status = read_operands(argc, argv, &line);
	if (!status)
		status = check_line(&line, &command, &req);

	return status ? status : command->run(&req);
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
