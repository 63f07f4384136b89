// SPDX-License-Identifier: GPL-2.0-or-later
/* An emulated machine for the tests of the Python package: with the library, it takes libvfn's place. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <vfn/blk.h>

#include "emu.h"

void machine_start(void);
unsigned int machine_stop(void);
void machine_fail(int qid, int opcode, unsigned int status);
const char *machine_layout(void);

static struct emu_nvme *nvme;

/* One controller, with namespaces of both sizes of blocks. */
void machine_start(void)
{
	emu_init();
	nvme = emu_nvme_add(&(struct emu_nvme_opts){
		.nns = 2,
		.ns = { {}, { .blocks = 100, .lba_size = 4096 } },
	});
	emu_start_threads();
}

/* Returns how many rules were broken. */
unsigned int machine_stop(void)
{
	unsigned int n;

	emu_stop_threads();
	n = emu_violations();
	for (unsigned int i = 0; i < n; i++)
		fprintf(stderr, "violation: %s\n", emu_violation(i));
	emu_fini();

	return n;
}

/* The next such command fails. */
void machine_fail(int qid, int opcode, unsigned int status)
{
	emu_nvme_clear_faults(nvme);
	(void)emu_nvme_fault(nvme, &(struct emu_fault){ .kind = EMU_STATUS,
							.qid = qid,
							.opcode = opcode,
							.status = (uint16_t)status });
}

#define FIELD(type, name) \
	{ \
#type, #name, offsetof(struct vfn_blk_##type, name), \
			sizeof(((struct vfn_blk_##type *)NULL)->name) \
	}

/*
 * Where the compiler puts what ctypes has to find: structure, field, offset and size in a line. What it need not know is
 * at the end of a request.
 */
const char *machine_layout(void)
{
	static const struct {
		const char *type, *name;
		size_t offset, size;
	} fields[] = {
		FIELD(opts, queues),	 FIELD(opts, depth),	  FIELD(opts, timeout_ms),
		FIELD(opts, quirks),	 FIELD(opts, flags),	  FIELD(info, bdf),
		FIELD(info, nsid),	 FIELD(info, block_size), FIELD(info, nblocks),
		FIELD(info, max_blocks), FIELD(info, boundary),	  FIELD(info, queues),
		FIELD(info, depth),	 FIELD(info, features),	  FIELD(info, vendor),
		FIELD(info, serial),	 FIELD(info, model),	  FIELD(info, firmware),
		FIELD(info, nguid),	 FIELD(info, eui64),	  FIELD(info, zone_size),
		FIELD(info, max_append), FIELD(req, op),	  FIELD(req, flags),
		FIELD(req, timeout_ms),	 FIELD(req, lba),	  FIELD(req, nlb),
		FIELD(req, buf),	 FIELD(req, iov),	  FIELD(req, niov),
		FIELD(req, error),	 FIELD(req, status),	  FIELD(req, complete),
		FIELD(req, opaque),	 FIELD(req, cmd),	  FIELD(req, result),
	};
	static char text[2048];
	int n = 0;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s %s %zu %zu\n", fields[i].type,
			      fields[i].name, fields[i].offset, fields[i].size);

	(void)snprintf(text + n, sizeof(text) - (size_t)n, "req priv %zu %zu\n",
		       offsetof(struct vfn_blk_req, result) + sizeof(uint64_t),
		       sizeof(struct vfn_blk_req) - offsetof(struct vfn_blk_req, result) -
			       sizeof(uint64_t));

	return text;
}
