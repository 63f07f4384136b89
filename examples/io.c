// SPDX-License-Identifier: GPL-2.0-or-later
/* Write a pattern to a namespace, read it back, compare; or check it on a kernel block device. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "common.h"
#include "pattern.h"

#define QID 1
#define MAX_DEPTH 1024
#define TIMEOUT_S 30

/* What to do, in bytes. */
struct job {
	uint64_t start, len;
	uint64_t seed;
	uint64_t depth;
};

/* What a request does; it has the share of the buffer that its command identifier says. */
struct slot {
	void *buf;
	uint64_t offset;
	size_t len;
};

static void check(const void *buf, size_t len, uint64_t seed, uint64_t offset)
{
	uint64_t bad = pattern_check(buf, len, seed, offset);
	uint64_t found;

	if (bad == offset + len)
		return;

	memcpy(&found, (const char *)buf + (bad - offset), sizeof(found));
	die("byte %" PRIu64 ": 0x%016" PRIx64 " where 0x%016" PRIx64 " was written", bad,
	    le64_to_cpu(found), le64_to_cpu(pattern_word(seed, bad)));
}

static void submit(struct nvme_ctrl *ctrl, const struct nvm_namespace *ns, struct nvme_rq *rq,
		   iova_t iova, bool write)
{
	struct slot *slot = rq->opaque;
	union nvme_cmd cmd = {
		.rw = {
			.opcode = write ? nvme_cmd_write : nvme_cmd_read,
			.nsid = cpu_to_le32(ns->nsid),
			.slba = cpu_to_le64(slot->offset / ns->block_size),
			.nlb = cpu_to_le16((uint16_t)(slot->len / ns->block_size - 1)),
		},
	};

	if (nvme_rq_map_prp(ctrl, rq, &cmd, iova, slot->len))
		die_vfn("cannot describe the memory");

	nvme_rq_post(rq, &cmd);
}

/* Wait for the next completion; returns its request. */
static struct nvme_rq *complete(struct nvme_ctrl *ctrl, bool write)
{
	struct nvme_cq *cq = &ctrl->cq[QID];
	struct timespec timeout = { .tv_sec = TIMEOUT_S };
	struct nvme_cqe cqe;
	struct nvme_rq *rq;

	if (nvme_cq_wait_cqes(cq, &cqe, 1, &timeout) != 1)
		die("no completion: %s", strerror(errno));
	nvme_cq_update_head(cq);

	rq = nvme_rq_from_cqe(ctrl, &cqe);
	if (!rq)
		die("a completion that was not asked for");
	if (!nvme_cqe_ok(&cqe))
		die_status(&cqe, "%s at byte %" PRIu64, write ? "write" : "read",
			   ((struct slot *)rq->opaque)->offset);

	return rq;
}

/* Keep the queue full until all of the job is done. */
static void transfer(struct nvme_ctrl *ctrl, const struct nvm_namespace *ns, const struct job *job,
		     struct iommu_dmabuf *buffer, bool write)
{
	static struct slot slots[MAX_DEPTH];
	uint64_t offset = job->start, end = job->start + job->len, left = job->len;
	struct nvme_rq *rq;
	struct slot *slot;

	while (left) {
		while (offset < end && (rq = nvme_rq_acquire(&ctrl->sq[QID]))) {
			slot = rq->opaque = &slots[rq->cid];
			slot->buf = (char *)buffer->vaddr + rq->cid * ns->max_transfer;
			slot->offset = offset;
			slot->len = end - offset < ns->max_transfer ? end - offset :
								      ns->max_transfer;
			offset += slot->len;

			/* what is read must not be what happened to be there */
			if (write)
				pattern_fill(slot->buf, slot->len, job->seed, slot->offset);
			else
				memset(slot->buf, 0xa5, slot->len);
			submit(ctrl, ns, rq, buffer->iova + rq->cid * ns->max_transfer, write);
		}
		nvme_sq_update_tail(&ctrl->sq[QID]);

		rq = complete(ctrl, write);
		slot = rq->opaque;
		if (!write)
			check(slot->buf, slot->len, job->seed, slot->offset);
		left -= slot->len;
		nvme_rq_release(rq);
	}
}

static void run(const char *bdf, uint32_t nsid, uint64_t slba, struct job *job, bool writing,
		bool reading)
{
	struct iommu_dmabuf buffer = {};
	struct nvme_ctrl ctrl = {};
	struct nvm_namespace ns;

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	get_namespace(&ctrl, nsid, &ns);

	if (job->len % ns.block_size)
		usage_error("--length: %" PRIu64 " is not a multiple of the blocks' %u bytes",
			    job->len, ns.block_size);
	if (slba > ns.blocks || job->len / ns.block_size > ns.blocks - slba)
		usage_error("namespace %u ends at block %" PRIu64, nsid, ns.blocks);
	if (job->depth > (uint64_t)ctrl.config.mqes)
		usage_error("--depth: the controller takes %d at the most", ctrl.config.mqes);
	job->start = slba * ns.block_size;

	if (nvme_create_ioqpair(&ctrl, QID, (int)job->depth + 1, -1, 0))
		die_vfn("cannot create queues");
	if (iommu_get_dmabuf(__iommu_ctx(&ctrl), &buffer, job->depth * ns.max_transfer, 0))
		die_vfn("no memory");

	if (writing) {
		transfer(&ctrl, &ns, job, &buffer, true);
		printf("wrote %s\n", size_text(job->len));
	}
	if (reading) {
		transfer(&ctrl, &ns, job, &buffer, false);
		printf("verified %s\n", size_text(job->len));
	}

	iommu_put_dmabuf(&buffer);
	nvme_close(&ctrl);
}

/* Read past the page cache, which may hold what was there before. */
static void verify_file(const char *path, uint64_t slba, struct job *job)
{
	int block_size = 512, flags = O_RDONLY | O_CLOEXEC;
	uint64_t end, piece;
	struct stat st;
	ssize_t len;
	void *buf;
	int fd;

	if (stat(path, &st))
		die("%s: %s", path, strerror(errno));
	fd = open(path, S_ISBLK(st.st_mode) ? flags | O_DIRECT : flags);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKSSZGET, &block_size))
		die("%s: %s", path, strerror(errno));
	if (job->len % (unsigned int)block_size)
		usage_error("--length: %" PRIu64 " is not a multiple of the blocks' %d bytes",
			    job->len, block_size);

	len = pgmap(&buf, 1 << 20);
	if (len < 0)
		die("out of memory");

	job->start = slba * (unsigned int)block_size;
	end = job->start + job->len;
	for (uint64_t offset = job->start; offset < end; offset += piece) {
		piece = end - offset < (uint64_t)len ? end - offset : (uint64_t)len;
		memset(buf, 0xa5, piece);
		if (pread(fd, buf, piece, (off_t)offset) != (ssize_t)piece)
			die("%s: cannot read %" PRIu64 " bytes at byte %" PRIu64, path, piece,
			    offset);
		check(buf, piece, job->seed, offset);
	}
	printf("verified %s\n", size_text(job->len));

	pgunmap(buf, (size_t)len);
	close(fd);
}

int main(int argc, char **argv)
{
	struct job job = { .len = 1 << 20, .seed = 1, .depth = 8 };
	bool write_only = false, read_only = false;
	const char *file = NULL;
	uint64_t nsid = 1, slba = 0;
	const struct option_spec options[] = {
		{ 'n', "namespace", "NSID", "namespace (default 1)", .number = &nsid, .min = 1,
		  .max = 0xfffffffe },
		{ 's', "slba", "LBA", "first block (default 0)", .number = &slba,
		  .max = UINT64_MAX >> 16 },
		{ 'l', "length", "BYTES", "how much, with K, M, G or T (default 1M)",
		  .size = &job.len, .min = 512, .max = UINT64_MAX >> 16 },
		{ 'q', "depth", "N", "commands in flight (default 8)", .number = &job.depth,
		  .min = 1, .max = MAX_DEPTH },
		{ 'p', "pattern", "SEED", "which pattern (default 1)", .number = &job.seed,
		  .max = UINT64_MAX },
		{ 'w', "write-only", NULL, "do not read back", .flag = &write_only },
		{ 'r', "read-only", NULL, "compare with what was written before",
		  .flag = &read_only },
		{ 'f', "verify-file", "PATH",
		  "read a kernel block device instead (of a file, blocks of 512 bytes)",
		  .text = &file, .replaces_bdf = true },
		{},
	};
	const char *bdf;

	bdf = parse_options(
		argc, argv,
		"Write a pattern to a namespace, read it back and compare. WHAT WAS THERE IS LOST.\n\n"
		"The pattern is made of 64-bit little-endian words. The one at byte n of the\n"
		"namespace is (SEED + n / 8) * 0x9e3779b97f4a7c15, modulo 2^64.",
		options);
	if (write_only && read_only)
		usage_error("--write-only and --read-only exclude each other");
	if (file && (bdf || write_only))
		usage_error("--verify-file just reads, from PATH");

	if (file)
		verify_file(file, slba, &job);
	else
		run(bdf, (uint32_t)nsid, slba, &job, !read_only, !write_only);

	return 0;
}
