// SPDX-License-Identifier: GPL-2.0-or-later
/* Admin commands that the subcommands put together themselves, and what comes back. */
#include "admin.h"

#include <errno.h>
#include <string.h>

#define MOST_BYTES (256UL << 10)
#define OPCODE_IDENTIFY 0x06

/* Which way data go is in the opcode. */
#define OPCODE_FROM_HOST 1
#define OPCODE_TO_HOST 2

/* Generic and command specific status, as the Base Specification 2.0 has them in section 3.3.3.2.1. */
static const char *advice(uint16_t status)
{
	switch (status & 0x7ff) {
	case 0x001:
		return "the controller does not have this command";
	case 0x002:
		return "the controller does not take one of the parameters; id-ctrl and id-ns print what it has";
	case 0x00b:
		return "list-ns prints which namespaces there are, --nsid says which is meant";
	case 0x109:
		return "the controller does not have this log page";
	case 0x10a:
		return "id-ns prints the formats that there are";
	case 0x10d:
		return "leave --save out";
	case 0x10f:
		return "leave --nsid out";
	default:
		return NULL;
	}
}

static int refused(const struct admin *a, const char *what, const struct nvme_cqe *cqe)
{
	uint16_t status = le16_to_cpu(cqe->sfp) >> 1;
	const char *text = advice(status);

	complain("%s: %s: %s (SCT %xh, SC %02xh)%s%s", a->req->bdf, what,
		 vfn_nvme_status_text(status), status >> 8 & 7U, status & 0xffU, text ? ": " : "",
		 text ? text : "");

	return EXIT_STATUS;
}

int admin_run(struct admin *a, const char *what, union nvme_cmd *cmd, void *data, size_t len,
	      struct nvme_cqe *cqe)
{
	struct nvme_cqe own;

	if (!cqe)
		cqe = &own;
	memset(cqe, 0, sizeof(*cqe));
	memset(a->memory, 0, len);
	if (len && cmd->opcode & OPCODE_FROM_HOST)
		memcpy(a->memory, data, len);

	if (nvme_admin(&a->ctrl, cmd, len ? a->memory : NULL, len, cqe)) {
		bool lost = errno == ETIMEDOUT || errno == ENODEV;

		if (!nvme_cqe_ok(cqe))
			return refused(a, what, cqe);
		complain("%s: %s: %s", a->req->bdf, what, vfn_last_error());
		return lost ? EXIT_OUTSTANDING : EXIT_FAILURE;
	}
	if (len && cmd->opcode & OPCODE_TO_HOST)
		memcpy(data, a->memory, len);

	return EXIT_SUCCESS;
}

int admin_identify(struct admin *a, enum cns cns, uint32_t nsid, uint8_t *page)
{
	union nvme_cmd cmd = {
		.identify = {
			.opcode = OPCODE_IDENTIFY,
			.nsid = cpu_to_le32(nsid),
			.cns = (uint8_t)cns,
		},
	};
	char what[64];

	snprintf(what, sizeof(what), "Identify (CNS %02xh, namespace 0x%x)", (unsigned int)cns,
		 nsid);

	return admin_run(a, what, &cmd, page, IDENTIFY_SIZE, NULL);
}

/* Maximum Data Transfer Size, in pages as small as the controller has them. */
static size_t most_bytes(const struct admin *a)
{
	unsigned int mdts = a->id[77];
	unsigned int page = 12 + ((unsigned int)(a->ctrl.priv.cap >> 48) & 15);

	return mdts && mdts + page < 18 ? (size_t)1 << (mdts + page) : MOST_BYTES;
}

static int run_open(struct admin *a, int (*fn)(struct admin *a, struct output *o))
{
	struct output o = {};
	struct report report;
	int status;

	a->most = IDENTIFY_SIZE;
	status = admin_identify(a, CNS_CTRL, 0, a->id);
	if (status)
		return status;
	a->most = most_bytes(a);

	if (report_open(&report))
		return EXIT_FAILURE;
	output_open(&o, report.out, a->req);
	status = fn(a, &o);
	output_close(&o);
	if (!status)
		return report_print(&report);
	(void)report_drop(&report);

	return status;
}

int admin_report(const struct request *req, unsigned int ms,
		 int (*fn)(struct admin *a, struct output *o))
{
	const struct nvme_ctrl_opts opts = { .quirks = NVME_QUIRK_BROKEN_DBBUF };
	struct admin a = { .req = req };
	ssize_t size = pgmap(&a.memory, MOST_BYTES);
	int status;

	if (size < 0)
		return complain("out of memory");

	vfn_nvme_set_timeout(&a.ctrl, (unsigned int)number_or(req, OPT_TIMEOUT, ms));
	status = nvme_init(&a.ctrl, req->bdf, &opts) ? complain_last_error() : run_open(&a, fn);

	/* which stops what has not completed; until then it may use the memory */
	nvme_close(&a.ctrl);
	pgunmap(a.memory, (size_t)size);

	return status;
}
