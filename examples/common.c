// SPDX-License-Identifier: GPL-2.0-or-later
/* What all examples share: options, ways to fail, facts about a namespace. */
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <vfn/pci.h>

#define MAX_OPTIONS 16
#define LONG_OPTION 0x100

static void complain(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

static void complain(const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, fmt, ap);
}

void usage_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);

	fprintf(stderr, "\nTry %s -h.\n", program_invocation_short_name);
	exit(2);
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);

	fputc('\n', stderr);
	exit(1);
}

void die_vfn(const char *fmt, ...)
{
	const char *reason = strerror(errno);
	va_list ap;

	if (*vfn_last_error())
		reason = vfn_last_error();

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);

	fprintf(stderr, ": %s\n", reason);
	exit(1);
}

void die_status(const struct nvme_cqe *cqe, const char *fmt, ...)
{
	unsigned int status = le16_to_cpu(cqe->sfp) >> 1;
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);

	fprintf(stderr, ": status type %xh, code %02xh: %s\n", status >> 8 & 7, status & 0xff,
		vfn_nvme_status_text((uint16_t)status));
	exit(1);
}

static void help(const char *about, const struct option_spec *options)
{
	const struct option_spec *o;

	printf("usage: %s -d BDF [OPTION]...\n\n%s\n\n", program_invocation_short_name, about);
	printf("  -d, --device BDF          controller, bound to vfio-pci, as [DDDD:]BB:DD.F\n");
	for (o = options; o->name; o++) {
		int width;

		if (o->letter)
			width = printf("  -%c, --%s", o->letter, o->name);
		else
			width = printf("      --%s", o->name);
		if (o->arg)
			width += printf(" %s", o->arg);
		printf("%*s%s\n", width < 27 ? 28 - width : 1, "", o->help);
	}
	printf("  -h, --help                this text\n\n");
	printf("Exit status: 0 done, 1 failed, 2 wrong options. LOGV=0, 1 or 2 in the environment\n");
	printf("makes the library say what it does.\n");
}

static void parse_number(const struct option_spec *o, const char *text, uint64_t *value)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	/* strtoull() takes blanks and signs, and with base 0 it takes a leading 0 for octal */
	errno = 0;
	*value = strtoull(text, &end, strncasecmp(text, "0x", 2) ? 10 : 16);
	if (text[0] < '0' || text[0] > '9' || errno)
		usage_error("--%s: '%s' is not a %s", o->name, text, o->size ? "size" : "number");

	if (o->size && *end) {
		unit = strchr(units, *end);
		if (unit) {
			int shift = 10 * (int)(unit - units + 1);

			if (*value > UINT64_MAX >> shift)
				usage_error("--%s: '%s' is too large", o->name, text);
			*value <<= shift;
			end++;
		}
	}
	if (*end)
		usage_error("--%s: '%s' is not a %s", o->name, text, o->size ? "size" : "number");

	if (*value < o->min || *value > o->max)
		usage_error("--%s: '%s' is not from %llu to %llu", o->name, text,
			    (unsigned long long)o->min, (unsigned long long)o->max);
}

static void take_option(const struct option_spec *o, const char *text)
{
	if (o->flag)
		*o->flag = true;
	else if (o->text)
		*o->text = text;
	else
		parse_number(o, text, o->size ? o->size : o->number);
}

const char *parse_options(int argc, char **argv, const char *about,
			  const struct option_spec *options)
{
	static char bdf[VFN_PCI_BDF_LEN];
	struct option long_options[MAX_OPTIONS + 3] = {
		{ "device", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
	};
	char letters[2 * MAX_OPTIONS + 4] = "d:h";
	bool bdf_needed = true;
	int c, i, n;

	for (n = 0; n < MAX_OPTIONS && options[n].name; n++) {
		const struct option_spec *o = &options[n];

		long_options[n + 2] = (struct option){
			.name = o->name,
			.has_arg = o->flag ? no_argument : required_argument,
			.val = LONG_OPTION + n,
		};
		if (o->letter)
			snprintf(letters + strlen(letters), 3, "%c%s", o->letter,
				 o->flag ? "" : ":");
	}

	while ((c = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		if (c == 'h') {
			help(about, options);
			exit(0);
		}
		if (c == '?') {
			fprintf(stderr, "Try %s -h.\n", program_invocation_short_name);
			exit(2);
		}
		if (c == 'd') {
			if (vfn_pci_parse_bdf(optarg, bdf))
				usage_error("--device: '%s' is not a PCI address, [DDDD:]BB:DD.F",
					    optarg);
			continue;
		}

		i = c - LONG_OPTION;
		if (c < LONG_OPTION)
			for (i = 0; options[i].letter != c; i++)
				;
		take_option(&options[i], optarg);
		bdf_needed = bdf_needed && !options[i].replaces_bdf;
	}

	if (optind < argc)
		usage_error("unexpected argument '%s'", argv[optind]);
	if (bdf_needed && !*bdf)
		usage_error("which device? -d BDF is missing");

	return *bdf ? bdf : NULL;
}

const char *size_text(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	static char text[32];
	unsigned int i = 0;

	while (bytes && bytes % 1024 == 0 && i < 4) {
		bytes /= 1024;
		i++;
	}
	snprintf(text, sizeof(text), "%llu %s", (unsigned long long)bytes, units[i]);

	return text;
}

void execute(struct nvme_ctrl *ctrl, struct nvme_sq *sq, union nvme_cmd *cmd, void *data,
	     size_t len, struct nvme_cqe *cqe, const char *fmt, ...)
{
	struct nvme_cqe status = {};
	char what[128];
	va_list ap;
	int failed = nvme_sync(ctrl, sq, cmd, data, len, &status), err = errno;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);

	errno = err;
	if (failed && err == EIO && !nvme_cqe_ok(&status))
		die_status(&status, "%s", what);
	if (failed)
		die_vfn("%s", what);
	if (cqe)
		*cqe = status;
}

void identify(struct nvme_ctrl *ctrl, uint8_t cns, uint8_t csi, uint32_t nsid, void *data)
{
	union nvme_cmd cmd = {
		.identify = {
			.opcode = nvme_admin_identify,
			.nsid = cpu_to_le32(nsid),
			.cns = cns,
			.csi = csi,
		},
	};

	execute(ctrl, ctrl->adminq.sq, &cmd, data, NVME_IDENTIFY_DATA_SIZE, NULL,
		"identify (cns %u, nsid %u)", cns, nsid);
}

unsigned int format_index(const struct nvme_id_ns *id_ns)
{
	/* bits 6:5 extend the index beyond 16 formats */
	return (id_ns->flbas & 0xf) | (id_ns->flbas >> 5 & 3) << 4;
}

void get_namespace(struct nvme_ctrl *ctrl, uint32_t nsid, struct nvm_namespace *ns)
{
	size_t page = __mps_to_pagesize(ctrl->config.mps);
	uint64_t cap = le64_to_cpu(mmio_read64((char *)ctrl->regs + NVME_REG_CAP));
	const struct nvme_id_ctrl *id_ctrl;
	const struct nvme_id_ns *id_ns;
	unsigned int format;
	ssize_t len;
	void *data;

	len = pgmap(&data, NVME_IDENTIFY_DATA_SIZE);
	if (len < 0)
		die("out of memory");

	identify(ctrl, NVME_IDENTIFY_CNS_NS, 0, nsid, data);
	id_ns = data;
	ns->nsid = nsid;
	ns->blocks = le64_to_cpu(id_ns->nsze);
	if (!ns->blocks)
		die("namespace %u is not there or not active", nsid);

	format = format_index(id_ns);
	if (id_ns->lbaf[format].ds < 9 || id_ns->lbaf[format].ds > 16)
		die("namespace %u: blocks of 2^%u bytes make no sense", nsid,
		    id_ns->lbaf[format].ds);
	if (le16_to_cpu(id_ns->lbaf[format].ms))
		die("namespace %u has metadata, for which this example has no use", nsid);
	ns->block_size = 1U << id_ns->lbaf[format].ds;

	/* a request has one page for its PRP list; a command, 16 bits for its number of blocks */
	ns->max_transfer = page / sizeof(leint64_t) * page;
	if (ns->max_transfer > 65536ULL * ns->block_size)
		ns->max_transfer = 65536ULL * ns->block_size;

	identify(ctrl, NVME_IDENTIFY_CNS_CTRL, 0, 0, data);
	id_ctrl = data;
	if (id_ctrl->mdts && id_ctrl->mdts < 32) {
		uint64_t mdts = 1ULL << (id_ctrl->mdts + 12 + NVME_CAP_MPSMIN(cap));

		if (ns->max_transfer > mdts)
			ns->max_transfer = mdts;
	}

	pgunmap(data, (size_t)len);
}
