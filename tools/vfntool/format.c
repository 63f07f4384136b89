// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool format: Format NVM, after a question (Base Specification 2.0, section 5.14). */
#include "admin.h"

#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 600000
#define OPCODE_FORMAT 0x80

#define OACS 256
#define OACS_FORMAT 2
#define FNA 524
#define FNA_FORMAT_ALL 1
#define FNA_ERASE_ALL 2
#define NS_FLBAS 26
#define NS_DPS 29
#define NS_NMIC 30

struct format {
	uint32_t nsid;
	uint8_t page[IDENTIFY_SIZE]; /* of the namespace */
	struct ns_format now;
	unsigned int lbaf, mset, pi, pil, ses;
};

/* What no option says stays as it is, as long as the format does. */
static int choose(struct admin *a, struct format *f)
{
	const struct request *req = a->req;
	bool stays;

	f->lbaf = (unsigned int)number_or(req, OPT_LBAF, f->now.index);
	if (f->nsid != NSID_ALL && f->lbaf >= f->now.count)
		return complain(
			"%s: namespace %u has LBA formats 0 to %u, not %u: id-ns prints them",
			req->bdf, f->nsid, f->now.count - 1, f->lbaf);

	stays = f->nsid != NSID_ALL && f->lbaf == f->now.index;
	f->mset = (unsigned int)number_or(req, OPT_MSET, stays ? f->page[NS_FLBAS] >> 4 & 1 : 0);
	f->pi = (unsigned int)number_or(req, OPT_PI, stays ? f->page[NS_DPS] & 7 : 0);
	f->pil = (unsigned int)number_or(req, OPT_PIL, stays ? f->page[NS_DPS] >> 3 & 1 : 0);
	f->ses = (unsigned int)number_or(req, OPT_SES, 0);

	return EXIT_SUCCESS;
}

static int look(struct admin *a, struct format *f)
{
	int status;

	if (!(a->id[OACS] & OACS_FORMAT))
		return complain("%s: the controller does not have Format NVM (OACS bit 1)",
				a->req->bdf);
	if (f->nsid == NSID_ALL)
		return EXIT_SUCCESS;

	status = admin_identify_ns(a, CNS_NS, f->nsid, f->page);
	if (!status)
		get_ns_format(f->page, &f->now);

	return status;
}

/* Who loses what, on a line. */
static void describe(const struct admin *a, const struct format *f, FILE *out)
{
	uint8_t fna = a->id[FNA];

	if (f->nsid == NSID_ALL)
		fputs("all namespaces", out);
	else
		fprintf(out, "namespace %u, %llu blocks of %llu bytes,", f->nsid,
			(unsigned long long)get_number(f->page, 8),
			f->now.valid ? 1ULL << f->now.lbads : 0);
	fprintf(out, " of %s with LBA format %u", a->req->bdf, f->lbaf);
	if (f->ses)
		fprintf(out, ", %s erase", f->ses == 1 ? "user data" : "cryptographic");
	if (f->nsid != NSID_ALL && (fna & FNA_FORMAT_ALL || (f->ses && fna & FNA_ERASE_ALL)))
		fputs("; this controller does it to all of its namespaces", out);
	if (f->page[NS_NMIC] & 1)
		fputs("; other controllers may have the namespace, too", out);
}

static bool is_sure(const struct admin *a, const struct format *f)
{
	char answer[8] = "";

	fputs("Format ", stderr);
	describe(a, f, stderr);
	fputs("? All data are lost. Write yes: ", stderr);
	fflush(stderr);

	return fgets(answer, sizeof(answer), stdin) && !strcmp(answer, "yes\n");
}

static int send(struct admin *a, const struct format *f)
{
	union nvme_cmd cmd = {
		.opcode = OPCODE_FORMAT,
		.nsid = cpu_to_le32(f->nsid),
		.cdw10 = cpu_to_le32((f->lbaf & 15) | f->mset << 4 | f->pi << 5 | f->pil << 8 |
				     f->ses << 9 | f->lbaf >> 4 << 12),
	};

	return admin_run(a, "Format NVM", &cmd, NULL, 0, NULL);
}

static int put_result(struct admin *a, struct output *o, struct format *f)
{
	int status = look(a, f);

	if (status)
		return status;
	if (f->nsid == NSID_ALL) {
		if (!o->as_json)
			fprintf(o->out, "%s: all namespaces are formatted\n", a->req->bdf);
		return EXIT_SUCCESS;
	}
	put_ns_size(o, f->nsid, f->page);

	return EXIT_SUCCESS;
}

static int format_ns(struct admin *a, struct output *o)
{
	struct format f = { .nsid = (uint32_t)a->req->values[OPT_NSID].number };
	int status = look(a, &f);

	if (!status)
		status = choose(a, &f);
	if (status)
		return status;

	if (a->req->dry_run) {
		if (o->as_json)
			return EXIT_SUCCESS;
		fputs("would format ", o->out);
		describe(a, &f, o->out);
		fputc('\n', o->out);
		return EXIT_SUCCESS;
	}
	if (!is_given(a->req, OPT_FORCE) && !is_sure(a, &f))
		return complain("%s: not formatted", a->req->bdf);

	status = send(a, &f);

	return status ? status : put_result(a, o, &f);
}

int cmd_format(const struct request *req)
{
	if (!is_given(req, OPT_NSID))
		return complain_usage("format needs --nsid, the namespace; 0xffffffff is all");
	if (req->values[OPT_NSID].number == NSID_ALL && !is_given(req, OPT_LBAF))
		return complain_usage("format of all namespaces needs --lbaf, the format");
	if (!is_given(req, OPT_FORCE) && !req->dry_run && !isatty(STDIN_FILENO))
		return complain(
			"%s: all data would be lost: --force, where there is no terminal to ask",
			req->bdf);
	if (vfn_pci_check_idle(req->bdf))
		return complain_last_error();

	return admin_report(req, TIMEOUT_MS, format_ns);
}
