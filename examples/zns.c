// SPDX-License-Identifier: GPL-2.0-or-later
/* A zoned namespace: report its zones, append to one and learn where it went, reset one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "pattern.h"

#define QID 1
#define REPORT_SIZE 4096

/* What this example wants to know of a namespace, in blocks but for the block size. */
struct zoned {
	uint32_t nsid;
	uint32_t block_size;
	uint64_t zone_size;
	uint64_t zones;
	uint64_t max_append;
};

static void get_zoned(struct nvme_ctrl *ctrl, uint32_t nsid, struct zoned *zoned)
{
	uint64_t cap = le64_to_cpu(mmio_read64((char *)ctrl->regs + NVME_REG_CAP));
	union nvme_cmd cmd = {
		.identify = {
			.opcode = nvme_admin_identify,
			.nsid = cpu_to_le32(nsid),
			.cns = NVME_IDENTIFY_CNS_CSI_NS,
			.csi = NVME_CSI_ZNS,
		},
	};
	const struct nvme_zns_id_ns *zns;
	const struct nvme_zns_id_ctrl *id_ctrl;
	struct nvm_namespace ns;
	unsigned int format;
	void *data;

	if (pgmap(&data, NVME_IDENTIFY_DATA_SIZE) < 0)
		die("out of memory");

	get_namespace(ctrl, nsid, &ns);
	identify(ctrl, NVME_IDENTIFY_CNS_NS, 0, nsid, data);
	format = format_index(data);

	/* refused, or all zeroes, if the namespace is of another kind */
	zns = data;
	if (nvme_admin(ctrl, &cmd, data, NVME_IDENTIFY_DATA_SIZE, NULL) || !zns->lbafe[format].zsze)
		die("namespace %u has no zones", nsid);
	zoned->nsid = nsid;
	zoned->block_size = ns.block_size;
	zoned->zone_size = le64_to_cpu(zns->lbafe[format].zsze);
	zoned->zones = ns.blocks / zoned->zone_size;

	identify(ctrl, NVME_IDENTIFY_CNS_CSI_CTRL, NVME_CSI_ZNS, 0, data);
	id_ctrl = data;
	zoned->max_append = ns.max_transfer;
	if (id_ctrl->zasl && id_ctrl->zasl < 32) {
		uint64_t zasl = 1ULL << (id_ctrl->zasl + 12 + NVME_CAP_MPSMIN(cap));

		if (zoned->max_append > zasl)
			zoned->max_append = zasl;
	}
	zoned->max_append /= ns.block_size;

	pgunmap(data, NVME_IDENTIFY_DATA_SIZE);
}

static const char *state_name(uint8_t zs)
{
	static const char *const names[16] = {
		[NVME_ZNS_ZS_EMPTY] = "empty",
		[NVME_ZNS_ZS_IMPL_OPEN] = "open (implicitly)",
		[NVME_ZNS_ZS_EXPL_OPEN] = "open (explicitly)",
		[NVME_ZNS_ZS_CLOSED] = "closed",
		[NVME_ZNS_ZS_READ_ONLY] = "read-only",
		[NVME_ZNS_ZS_FULL] = "full",
		[NVME_ZNS_ZS_OFFLINE] = "offline",
	};
	const char *name = names[zs >> 4];

	return name ? name : "unknown";
}

/* As many zones as one buffer holds, again and again. */
static void report(struct nvme_ctrl *ctrl, const struct zoned *zoned)
{
	const size_t room =
		(REPORT_SIZE - sizeof(struct nvme_zone_report)) / sizeof(struct nvme_zns_desc);
	struct nvme_zone_report *zones;
	void *data;

	if (pgmap(&data, REPORT_SIZE) < 0)
		die("out of memory");
	zones = data;

	for (uint64_t first = 0; first < zoned->zones; first += room) {
		uint64_t n = zoned->zones - first < room ? zoned->zones - first : room;
		union nvme_cmd cmd = {
			.rw = {
				.opcode = nvme_zns_cmd_mgmt_recv,
				.nsid = cpu_to_le32(zoned->nsid),
				.slba = cpu_to_le64(first * zoned->zone_size),
			},
		};

		cmd.cdw12 = cpu_to_le32(REPORT_SIZE / 4 - 1);
		cmd.cdw13 = cpu_to_le32(NVME_ZNS_ZRA_REPORT_ZONES | NVME_ZNS_ZRAS_REPORT_ALL << 8);
		execute(ctrl, &ctrl->sq[QID], &cmd, data, REPORT_SIZE, NULL, "report of zones");

		for (uint64_t i = 0; i < n; i++) {
			const struct nvme_zns_desc *zone = &zones->entries[i];
			uint64_t start = le64_to_cpu(zone->zslba);
			uint64_t capacity = le64_to_cpu(zone->zcap);
			uint64_t end = le64_to_cpu(zone->wp);

			/* a full zone's write pointer is nowhere */
			if (zone->zs >> 4 == NVME_ZNS_ZS_FULL)
				end = start + capacity;
			printf("zone %" PRIu64 ": from block %" PRIu64 ", %s, %" PRIu64
			       " of %" PRIu64 " blocks written\n",
			       first + i, start, state_name(zone->zs), end - start, capacity);
		}
	}

	pgunmap(data, REPORT_SIZE);
}

static void reset(struct nvme_ctrl *ctrl, const struct zoned *zoned, uint64_t zone)
{
	union nvme_cmd cmd = {
		.rw = {
			.opcode = nvme_zns_cmd_mgmt_send,
			.nsid = cpu_to_le32(zoned->nsid),
			.slba = cpu_to_le64(zone * zoned->zone_size),
		},
	};

	cmd.cdw13 = cpu_to_le32(NVME_ZNS_ZSA_RESET);
	execute(ctrl, &ctrl->sq[QID], &cmd, NULL, 0, NULL, "reset of zone %" PRIu64, zone);
	printf("reset zone %" PRIu64 "\n", zone);
}

/* The command names the zone; its completion, the block. */
static uint64_t append_once(struct nvme_ctrl *ctrl, const struct zoned *zoned, uint64_t zone,
			    void *data, uint64_t blocks)
{
	struct nvme_cqe cqe;
	union nvme_cmd cmd = {
		.rw = {
			.opcode = nvme_zns_cmd_append,
			.nsid = cpu_to_le32(zoned->nsid),
			.slba = cpu_to_le64(zone * zoned->zone_size),
			.nlb = cpu_to_le16((uint16_t)(blocks - 1)),
		},
	};

	execute(ctrl, &ctrl->sq[QID], &cmd, data, blocks * zoned->block_size, &cqe,
		"append to zone %" PRIu64, zone);

	return le64_to_cpu(cqe.qw0);
}

static void read_back(struct nvme_ctrl *ctrl, const struct zoned *zoned, uint64_t slba, void *data,
		      uint64_t blocks)
{
	union nvme_cmd cmd = {
		.rw = {
			.opcode = nvme_cmd_read,
			.nsid = cpu_to_le32(zoned->nsid),
			.slba = cpu_to_le64(slba),
			.nlb = cpu_to_le16((uint16_t)(blocks - 1)),
		},
	};

	execute(ctrl, &ctrl->sq[QID], &cmd, data, blocks * zoned->block_size, NULL,
		"read at block %" PRIu64, slba);
}

static void append(struct nvme_ctrl *ctrl, const struct zoned *zoned, uint64_t zone, uint64_t len)
{
	size_t most = zoned->max_append * zoned->block_size;
	uint64_t left = len / zoned->block_size, done = 0;
	char *out, *in;
	void *data;

	if (len % zoned->block_size)
		usage_error("--append: %" PRIu64 " is not a multiple of the blocks' %u bytes", len,
			    zoned->block_size);
	if (pgmap(&data, 2 * most) < 0)
		die("out of memory");
	out = data;
	in = out + most;

	while (left) {
		uint64_t blocks = left < zoned->max_append ? left : zoned->max_append, slba;
		size_t bytes = blocks * zoned->block_size;

		pattern_fill(out, bytes, zone, done);
		slba = append_once(ctrl, zoned, zone, out, blocks);

		memset(in, 0xa5, bytes);
		read_back(ctrl, zoned, slba, in, blocks);
		if (memcmp(in, out, bytes))
			die("block %" PRIu64 " has other data than what was appended", slba);
		printf("appended %" PRIu64 " blocks at block %" PRIu64 "\n", blocks, slba);
		left -= blocks;
		done += bytes;
	}

	pgunmap(data, 2 * most);
}

int main(int argc, char **argv)
{
	uint64_t nsid = 1, zone = 0, append_len = 0;
	bool resets = false;
	const struct option_spec options[] = {
		{ 'n', "namespace", "NSID", "namespace (default 1)", .number = &nsid, .min = 1,
		  .max = 0xfffffffe },
		{ 'z', "zone", "INDEX", "zone to reset or append to (default 0)", .number = &zone,
		  .max = UINT32_MAX },
		{ 'r', "reset", NULL, "reset the zone. ITS DATA ARE LOST", .flag = &resets },
		{ 'a', "append", "BYTES", "append and read back, with K, M, G or T",
		  .size = &append_len, .min = 512, .max = UINT64_MAX >> 16 },
		{},
	};
	const char *bdf = parse_options(
		argc, argv,
		"Reset a zone if asked to, append to it if asked to, then report all zones.",
		options);
	struct nvme_ctrl ctrl = {};
	struct zoned zoned;

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	get_zoned(&ctrl, (uint32_t)nsid, &zoned);
	if (zone >= zoned.zones)
		usage_error("--zone: namespace %u has %" PRIu64 " zones", zoned.nsid, zoned.zones);
	if (nvme_create_ioqpair(&ctrl, QID, 2, -1, 0))
		die_vfn("cannot create queues");

	if (resets)
		reset(&ctrl, &zoned, zone);
	if (append_len)
		append(&ctrl, &zoned, zone, append_len);
	report(&ctrl, &zoned);

	nvme_close(&ctrl);

	return 0;
}
