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

/* Most pieces that --vector and --iova cut the memory of a transfer into. */
#define PIECES 16

/* How commands describe memory: in one piece or in several; by addresses of which kind; by PRPs or SGLs. */
struct how {
	bool vector, iova, sgl;
};

/* What to do, in bytes. */
struct job {
	uint64_t start, len;
	uint64_t seed;
	uint64_t depth;
	struct how how;
};

/*
 * What a request does; it has the share of the buffer that its command identifier
 * says. Several pieces lie in memory in reverse order.
 */
struct slot {
	struct iovec pieces[PIECES];
	int n;
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

/* Cut memory with room for @room bytes into pieces of whole pages, the last one of what is left. */
static void cut(struct slot *slot, char *mem, size_t room, bool vector)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = slot->len, left = slot->len;

	if (vector)
		size = ALIGN_UP((slot->len + PIECES - 1) / PIECES, page);

	for (slot->n = 0; left; slot->n++) {
		size_t len = left < size ? left : size;

		room -= vector ? size : room;
		slot->pieces[slot->n] = (struct iovec){ .iov_base = mem + room, .iov_len = len };
		left -= len;
	}
}

static int describe(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		    const struct iommu_dmabuf *buffer, const struct how *how)
{
	struct slot *slot = rq->opaque;
	struct iova_vec pieces[PIECES] = {};

	for (int i = 0; i < slot->n; i++) {
		ptrdiff_t offset = (char *)slot->pieces[i].iov_base - (char *)buffer->vaddr;

		pieces[i].iova = buffer->iova + (iova_t)offset;
		pieces[i].len = slot->pieces[i].iov_len;
	}

	if (how->iova && how->sgl)
		return nvme_rq_mapv_iova_sgl(ctrl, rq, cmd, pieces, slot->n);
	if (how->iova)
		return nvme_rq_mapv_iova_prp(ctrl, rq, cmd, pieces, slot->n);
	if (how->sgl)
		return nvme_rq_mapv_sgl(ctrl, rq, cmd, slot->pieces, slot->n);
	if (how->vector)
		return nvme_rq_mapv_prp(ctrl, rq, cmd, slot->pieces, slot->n);

	return nvme_rq_map_prp(ctrl, rq, cmd, pieces[0].iova, pieces[0].len);
}

static void submit(struct nvme_ctrl *ctrl, const struct nvm_namespace *ns, struct nvme_rq *rq,
		   const struct iommu_dmabuf *buffer, const struct how *how, bool write)
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

	if (describe(ctrl, rq, &cmd, buffer, how))
		die_vfn("cannot describe the memory");

	nvme_rq_post(rq, &cmd);
}

/* What is read must not be what happened to be there. */
static void prepare(const struct slot *slot, uint64_t seed, bool write)
{
	uint64_t offset = slot->offset;

	for (int i = 0; i < slot->n; offset += slot->pieces[i++].iov_len)
		if (write)
			pattern_fill(slot->pieces[i].iov_base, slot->pieces[i].iov_len, seed,
				     offset);
		else
			memset(slot->pieces[i].iov_base, 0xa5, slot->pieces[i].iov_len);
}

static void check_pieces(const struct slot *slot, uint64_t seed)
{
	uint64_t offset = slot->offset;

	for (int i = 0; i < slot->n; offset += slot->pieces[i++].iov_len)
		check(slot->pieces[i].iov_base, slot->pieces[i].iov_len, seed, offset);
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
	size_t room = ns->max_transfer;
	struct nvme_rq *rq;
	struct slot *slot;

	while (left) {
		while (offset < end && (rq = nvme_rq_acquire(&ctrl->sq[QID]))) {
			slot = rq->opaque = &slots[rq->cid];
			slot->offset = offset;
			slot->len = end - offset < ns->max_transfer ? end - offset :
								      ns->max_transfer;
			offset += slot->len;

			cut(slot, (char *)buffer->vaddr + rq->cid * room, room,
			    job->how.vector || job->how.iova);
			prepare(slot, job->seed, write);
			submit(ctrl, ns, rq, buffer, &job->how, write);
		}
		nvme_sq_update_tail(&ctrl->sq[QID]);

		rq = complete(ctrl, write);
		slot = rq->opaque;
		if (!write)
			check_pieces(slot, job->seed);
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

	if (job->how.sgl && !(ctrl.flags & NVME_CTRL_F_SGLS_SUPPORTED))
		die("--sgl: the controller has no SGLs");
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
		{ 0, "vector", NULL, "memory in up to 16 pieces, which the library translates",
		  .flag = &job.how.vector },
		{ 0, "iova", NULL, "memory in up to 16 pieces by their I/O virtual addresses",
		  .flag = &job.how.iova },
		{ 0, "sgl", NULL, "SGLs instead of PRPs", .flag = &job.how.sgl },
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
	if (job.how.vector && job.how.iova)
		usage_error("--vector and --iova exclude each other");
	if (file && (bdf || write_only))
		usage_error("--verify-file just reads, from PATH");

	if (file)
		verify_file(file, slba, &job);
	else
		run(bdf, (uint32_t)nsid, slba, &job, !read_only, !write_only);

	return 0;
}
