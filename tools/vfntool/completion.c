// SPDX-License-Identifier: GPL-2.0-or-later
/* A completion in words (Base Specification 2.0, section 3.3.3.2). */
#include "passthru.h"

/* The status of a completion, field by field. */
struct status {
	uint16_t all;
	unsigned int sc, sct, crd;
	bool more, dnr;
};

static struct status get_status(const struct nvme_cqe *cqe)
{
	uint16_t status = le16_to_cpu(cqe->sfp) >> 1;

	return (struct status){
		.all = status,
		.sc = status & 0xff,
		.sct = status >> 8 & 7,
		.crd = status >> 11 & 3,
		.more = status >> 13 & 1,
		.dnr = status >> 14 & 1,
	};
}

static const char *type_name(unsigned int sct)
{
	static const char *const names[8] = {
		"Generic Command Status",
		"Command Specific Status",
		"Media and Data Integrity Errors",
		"Path Related Status",
		"Reserved",
		"Reserved",
		"Reserved",
		"Vendor Specific",
	};

	return names[sct];
}

void put_completion(FILE *out, unsigned int number, const struct nvme_cqe *cqe)
{
	struct status status = get_status(cqe);

	fprintf(out, "completion %u: %s\n", number, vfn_nvme_status_text(status.all));
	fprintf(out, "  status 0x%04x: SCT %xh %s, SC %02xh", status.all, status.sct,
		type_name(status.sct), status.sc);
	fprintf(out, ", CRD %u%s", status.crd, status.crd ? " retry after its delay" : "");
	fprintf(out, ", M %u%s", status.more, status.more ? " more in the error log" : "");
	fprintf(out, ", DNR %u%s\n", status.dnr, status.dnr ? " do not retry" : "");
	fprintf(out, "  CID 0x%04x, SQID %u, SQHD %u, DW0 0x%08x, DW1 0x%08x, P %u\n", cqe->cid,
		le16_to_cpu(cqe->sqid), le16_to_cpu(cqe->sqhd), le32_to_cpu(cqe->dw0),
		le32_to_cpu(cqe->dw1), le16_to_cpu(cqe->sfp) & 1U);
}

void json_completion(struct json *j, const char *key, const struct nvme_cqe *cqe)
{
	struct status status = get_status(cqe);

	json_open(j, key, '{');
	json_int(j, "cid", cqe->cid);
	json_int(j, "sqid", le16_to_cpu(cqe->sqid));
	json_int(j, "sqhd", le16_to_cpu(cqe->sqhd));
	json_hex(j, "dw0", 8, le32_to_cpu(cqe->dw0));
	json_hex(j, "dw1", 8, le32_to_cpu(cqe->dw1));
	json_int(j, "phase", le16_to_cpu(cqe->sfp) & 1U);
	json_hex(j, "status", 4, status.all);
	json_int(j, "sct", status.sct);
	json_string(j, "sct_text", type_name(status.sct));
	json_int(j, "sc", status.sc);
	json_string(j, "sc_text", vfn_nvme_status_text(status.all));
	json_int(j, "crd", status.crd);
	json_bool(j, "more", status.more);
	json_bool(j, "do_not_retry", status.dnr);
	json_close(j, '}');
}
