/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Admin commands that the subcommands put together themselves, and what comes back. */
#ifndef VFNTOOL_ADMIN_H
#define VFNTOOL_ADMIN_H

#include <vfn/nvme.h>

#include "fields.h"
#include "vfntool.h"

#define NSID_ALL UINT32_MAX
#define IDENTIFY_SIZE 4096

enum cns {
	CNS_NS = 0x00,
	CNS_CTRL = 0x01,
	CNS_ACTIVE_NS = 0x02,
	CNS_NS_DESC = 0x03,
	CNS_ALLOCATED_NS = 0x10,
	CNS_ALLOCATED = 0x11,
};

/*
 * A controller that is up. What it moves goes through memory that it reaches for the time of one command only, so what
 * is looked at does not change meanwhile.
 */
struct admin {
	const struct request *req;
	struct nvme_ctrl ctrl;
	void *memory;
	size_t most;		   /* bytes that a command moves */
	uint8_t id[IDENTIFY_SIZE]; /* of the controller */
};

/*
 * Bring the controller up and identify it, run the subcommand, print its report, close the controller. @ms: how long to wait for
 * a command where no option says so. Returns the exit status.
 */
int admin_report(const struct request *req, unsigned int ms,
		 int (*fn)(struct admin *a, struct output *o));

/*
 * Send a command and wait for it. @what it is called in a complaint. Data go which way the opcode says; what the
 * controller left out is zeros. @len: up to a->most, a multiple of 4. @cqe may be NULL. Returns the exit status, after a complaint.
 */
int admin_run(struct admin *a, const char *what, union nvme_cmd *cmd, void *data, size_t len,
	      struct nvme_cqe *cqe);

/* Identify: @page has IDENTIFY_SIZE bytes. */
int admin_identify(struct admin *a, enum cns cns, uint32_t nsid, uint8_t *page);

/* Identify Namespace, or what a CNS like it says: a complaint where it has no such namespace. */
int admin_identify_ns(struct admin *a, enum cns cns, uint32_t nsid, uint8_t *page);

/* The LBA formats of Identify Namespace: how many, and which it has. Not @valid where the controller says what cannot be. */
#define NS_LBAF 128
#define NS_MOST_FORMATS 64

struct ns_format {
	unsigned int count, index, lbads, metadata;
	bool valid;
};

void get_ns_format(const uint8_t *page, struct ns_format *f);

/* Size and format of a namespace: a line, or members. */
void put_ns_size(struct output *o, uint32_t nsid, const uint8_t *page);

#endif /* VFNTOOL_ADMIN_H */
