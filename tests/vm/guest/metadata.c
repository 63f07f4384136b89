/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks with metadata, beside them or within, protected by every type: what is written is what the kernel's driver gets. */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/nvme_ioctl.h>

#include "guest.h"

/* Whole pages of the host's file, as QEMU would check what was never written in the same one. */
#define SLBA 128
#define BLOCKS 24

/* Of the host's files. */
#define DRIVE_BYTES (16UL << 20)

#define APPTAG 0x1234
#define GUARD 0xa5

/* Room behind data and metadata that is nobody's. */
#define SLACK 4096UL
#define ROOM (BLOCKS * (4096UL + 16) + SLACK)

/* Media errors: the guard's, the application tag's, the reference tag's check. */
#define GUARD_ERROR 0x282
#define APPTAG_ERROR 0x283
#define REFTAG_ERROR 0x284

/* A namespace of the profile. */
struct format {
	uint32_t nsid;
	struct vfn_nvme_pi pi;
	bool extended;
};

static const struct format formats[] = {
	{ 3, { .lba_size = 512, .ms = 8, .type = 1 }, false },
	{ 4, { .lba_size = 512, .ms = 8, .type = 2 }, false },
	{ 5, { .lba_size = 512, .ms = 8, .type = 3 }, false },
	{ 6, { .lba_size = 512, .ms = 8, .type = 1 }, true },
	{ 7, { .lba_size = 4096, .ms = 16, .type = 1, .guard = VFN_NVME_PI_GUARD_64B }, false },
	{ 8, { .lba_size = 512, .ms = 8, .type = 2 }, true },
	{ 9, { .lba_size = 512, .ms = 16, .type = 3, .first = true }, true },
	{ 10, { .lba_size = 4096, .ms = 16, .type = 2, .guard = VFN_NVME_PI_GUARD_64B }, true },
	{ 11, { .lba_size = 4096, .ms = 16, .type = 3, .guard = VFN_NVME_PI_GUARD_64B }, false },
};

static struct nvme_ctrl ctrl;

/* What the controller reaches, data and metadata; what the kernel's driver read. */
static struct iommu_dmabuf data, meta;
static char *kernel_data, *kernel_meta;

static int setup(void **state)
{
	(void)state;
	guest_open(&ctrl, "a", 0);
	assert_vfn(iommu_get_dmabuf(__iommu_ctx(&ctrl), &data, ROOM, 0) == 0);
	assert_vfn(iommu_get_dmabuf(__iommu_ctx(&ctrl), &meta, ROOM, 0) == 0);
	kernel_data = guest_alloc(ROOM);
	kernel_meta = guest_alloc(ROOM);

	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iommu_put_dmabuf(&data);
	iommu_put_dmabuf(&meta);
	nvme_close(&ctrl);
	guest_free(kernel_data, ROOM);
	guest_free(kernel_meta, ROOM);

	return 0;
}

static struct vfn_nvme_pi protection(const struct format *f)
{
	struct vfn_nvme_pi pi = f->pi;

	pi.flags = VFN_NVME_PI_CHECK_ALL;
	pi.apptag = APPTAG;
	pi.appmask = 0xffff;
	pi.reftag = SLBA;

	return pi;
}

static size_t stride(const struct format *f)
{
	return f->pi.lba_size + (f->extended ? f->pi.ms : 0);
}

static size_t data_len(const struct format *f)
{
	return BLOCKS * stride(f);
}

static size_t meta_len(const struct format *f)
{
	return f->extended ? 0 : BLOCKS * f->pi.ms;
}

static size_t tuple_len(const struct format *f)
{
	return f->pi.guard == VFN_NVME_PI_GUARD_64B ? 16 : 8;
}

static void *meta_of(const struct format *f)
{
	return f->extended ? NULL : meta.vaddr;
}

/* Of a block; the tuple is at its start in all of them. */
static unsigned char *metadata(const struct format *f, size_t block)
{
	return f->extended ? (unsigned char *)data.vaddr + block * stride(f) + f->pi.lba_size :
			     (unsigned char *)meta.vaddr + block * f->pi.ms;
}

/* Status of the command, 0 for success. @len is less where the controller makes the metadata. */
static unsigned int transfer(const struct format *f, const struct vfn_nvme_pi *pi, uint8_t opcode,
			     size_t len, bool sgl)
{
	const struct guest_ns ns = { .nsid = f->nsid, .block = f->pi.lba_size };
	union nvme_cmd cmd = guest_rw(opcode, &ns, SLBA, (size_t)BLOCKS * f->pi.lba_size);
	/* an SGL of more than one piece */
	struct iovec iov[] = {
		{ .iov_base = data.vaddr, .iov_len = 4096 },
		{ .iov_base = (char *)data.vaddr + 4096, .iov_len = len - 4096 },
	};
	struct nvme_rq *rq = nvme_rq_acquire(&ctrl.sq[1]);
	struct nvme_cqe cqe = {};

	assert_non_null(rq);
	vfn_nvme_pi_prep_cmd(pi, &cmd);
	if (!f->extended)
		cmd.rw.mptr = cpu_to_le64(meta.iova);
	if (sgl)
		assert_vfn(nvme_rq_mapv_sgl(&ctrl, rq, &cmd, iov, 2) == 0);
	else
		assert_vfn(nvme_rq_mapv_prp(&ctrl, rq, &cmd, iov, 2) == 0);
	nvme_rq_exec(rq, &cmd);
	if (nvme_rq_spin(rq, &cqe))
		assert_int_equal(errno, EIO);
	nvme_rq_release(rq);

	return le16_to_cpu(cqe.sfp) >> 1 & 0x7ff;
}

static void wipe(void)
{
	memset(data.vaddr, GUARD, ROOM);
	memset(meta.vaddr, GUARD, ROOM);
}

static void fill(const struct format *f, const struct vfn_nvme_pi *pi, uint64_t seed)
{
	wipe();
	guest_fill(data.vaddr, data_len(f), seed);
	assert_vfn(vfn_nvme_pi_fill(pi, data.vaddr, meta_of(f), BLOCKS) == 0);
}

static void assert_guards(const struct format *f)
{
	for (size_t i = data_len(f); i < ROOM; i++)
		assert_int_equal(((unsigned char *)data.vaddr)[i], GUARD);
	for (size_t i = meta_len(f); i < ROOM; i++)
		assert_int_equal(((unsigned char *)meta.vaddr)[i], GUARD);
}

/* Data and metadata as they are on the media: a command of our own, that asks for no check, by the kernel's driver. */
static void kernel_reads_raw(const struct format *f)
{
	struct nvme_passthru_cmd cmd = {
		.opcode = NVME_IO_READ,
		.nsid = f->nsid,
		.addr = (uintptr_t)kernel_data,
		.data_len = (uint32_t)data_len(f),
		.metadata = f->extended ? 0 : (uintptr_t)kernel_meta,
		.metadata_len = (uint32_t)meta_len(f),
		.cdw10 = SLBA,
		.cdw12 = BLOCKS - 1,
	};
	int fd = guest_kernel_open("b", f->nsid, 0);

	/*
	 * The memory for metadata must have been written to: Linux 6.12 takes the page of zeroes that
	 * everybody shares for a fine place otherwise, and the device writes to it.
	 */
	memset(kernel_data, 0, ROOM);
	memset(kernel_meta, 0, ROOM);
	if (ioctl(fd, NVME_IOCTL_IO_CMD, &cmd))
		fail_msg("namespace %u: the kernel's driver: %s", f->nsid, strerror(errno));
	close(fd);
}

/* QEMU keeps all the metadata behind all the data. */
static void host_has(const struct format *f)
{
	uint64_t blocks = DRIVE_BYTES / (f->pi.lba_size + f->pi.ms);
	char name[8];

	snprintf(name, sizeof(name), "pi%u", f->nsid);
	host_read(name, (uint64_t)SLBA * f->pi.lba_size, kernel_data, BLOCKS * f->pi.lba_size);
	host_read(name, blocks * f->pi.lba_size + SLBA * f->pi.ms, kernel_meta, BLOCKS * f->pi.ms);
	for (size_t i = 0; i < BLOCKS; i++) {
		assert_memory_equal(kernel_data + i * f->pi.lba_size,
				    (char *)data.vaddr + i * stride(f), f->pi.lba_size);
		assert_memory_equal(kernel_meta + i * f->pi.ms, metadata(f, i), f->pi.ms);
	}
}

/* The block device, which has the data only. One whose metadata is more than a tuple the kernel gives no size. */
static int kernel_device(const struct format *f)
{
	int fd = guest_kernel_open("b", f->nsid, O_RDWR | O_DIRECT);
	uint64_t size = 0;

	assert_int_equal(ioctl(fd, BLKGETSIZE64, &size), 0);
	assert_int_equal(size != 0, f->pi.ms == tuple_len(f));
	if (size)
		return fd;

	close(fd);

	return -1;
}

static void kernel_reads_data(const struct format *f)
{
	int fd = kernel_device(f);

	if (fd < 0)
		return;
	assert_int_equal(pread(fd, kernel_data, BLOCKS * f->pi.lba_size,
			       (off_t)SLBA * f->pi.lba_size),
			 BLOCKS * f->pi.lba_size);
	close(fd);
	for (size_t i = 0; i < BLOCKS; i++)
		assert_memory_equal(kernel_data + i * f->pi.lba_size,
				    (char *)data.vaddr + i * stride(f), f->pi.lba_size);
}

static void test_kernel_and_host_have_what_was_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof(formats) / sizeof(formats[0]); i++) {
		const struct format *f = &formats[i / 2];
		struct vfn_nvme_pi pi = protection(f);
		bool sgl = i % 2;

		fill(f, &pi, 400 + i);
		assert_int_equal(transfer(f, &pi, NVME_IO_WRITE, data_len(f), sgl), 0);
		kernel_reads_raw(f);
		assert_memory_equal(kernel_data, data.vaddr, data_len(f));
		assert_memory_equal(kernel_meta, meta.vaddr, meta_len(f));
		kernel_reads_data(f);
		host_has(f);

		wipe();
		assert_int_equal(transfer(f, &pi, NVME_IO_READ, data_len(f), sgl), 0);
		assert_vfn(vfn_nvme_pi_verify(&pi, data.vaddr, meta_of(f), BLOCKS, NULL) == 0);
		kernel_reads_raw(f);
		assert_memory_equal(kernel_data, data.vaddr, data_len(f));
		assert_memory_equal(kernel_meta, meta.vaddr, meta_len(f));
		assert_guards(f);
	}
}

static void test_what_the_kernel_wrote_verifies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const struct format *f = &formats[i];
		struct vfn_nvme_pi pi = protection(f);
		size_t len = (size_t)BLOCKS * f->pi.lba_size;
		int fd = kernel_device(f);

		if (fd < 0)
			continue;
		guest_fill(kernel_data, len, 500 + i);
		assert_int_equal(pwrite(fd, kernel_data, len, (off_t)SLBA * f->pi.lba_size), len);
		close(fd);

		/* it has no application tag of ours */
		pi.flags &= (uint16_t)~VFN_NVME_PI_CHECK_APPTAG;
		wipe();
		assert_int_equal(transfer(f, &pi, NVME_IO_READ, data_len(f), false), 0);
		assert_vfn(vfn_nvme_pi_verify(&pi, data.vaddr, meta_of(f), BLOCKS, NULL) == 0);
		for (size_t k = 0; k < BLOCKS; k++)
			assert_memory_equal(kernel_data + k * f->pi.lba_size,
					    (char *)data.vaddr + k * stride(f), f->pi.lba_size);
		assert_guards(f);
	}
}

/* With PRACT the tuple stays between controller and media, if there is nothing else in the metadata. */
static void test_what_the_controller_inserts_verifies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const struct format *f = &formats[i];
		struct vfn_nvme_pi pi = protection(f), pract = pi;
		bool alone = f->pi.ms == tuple_len(f);
		size_t len = alone ? (size_t)BLOCKS * f->pi.lba_size : data_len(f);

		pract.flags |= VFN_NVME_PI_PRACT;
		wipe();
		guest_fill(data.vaddr, len, 600 + i);
		assert_int_equal(transfer(f, &pract, NVME_IO_WRITE, len, false), 0);

		wipe();
		assert_int_equal(transfer(f, &pi, NVME_IO_READ, data_len(f), false), 0);
		assert_vfn(vfn_nvme_pi_verify(&pi, data.vaddr, meta_of(f), BLOCKS, NULL) == 0);

		if (!alone)
			continue;
		wipe();
		assert_int_equal(transfer(f, &pract, NVME_IO_READ, len, false), 0);
		guest_check(data.vaddr, len, 600 + i);
		for (size_t k = 0; k < ROOM; k++)
			assert_int_equal(((unsigned char *)meta.vaddr)[k], GUARD);
	}
}

/* One byte of a tuple is wrong: controller and library name the same check. */
static void wrong_tuple(const struct format *f, size_t byte, uint16_t check, unsigned int status)
{
	struct vfn_nvme_pi pi = protection(f), none = pi;
	struct vfn_nvme_pi_error error = {};

	fill(f, &pi, 700 + byte);
	metadata(f, 5)[byte] ^= 0x10;
	assert_int_equal(transfer(f, &pi, NVME_IO_WRITE, data_len(f), false), status);

	none.flags = 0;
	assert_int_equal(transfer(f, &none, NVME_IO_WRITE, data_len(f), false), 0);
	assert_int_equal(transfer(f, &pi, NVME_IO_READ, data_len(f), false), status);
	wipe();
	assert_int_equal(transfer(f, &none, NVME_IO_READ, data_len(f), false), 0);
	assert_int_equal(vfn_nvme_pi_verify(&pi, data.vaddr, meta_of(f), BLOCKS, &error), -1);
	assert_int_equal(errno, EILSEQ);
	assert_int_equal(error.block, 5);
	assert_int_equal(error.check, check);

	fill(f, &pi, 700);
	assert_int_equal(transfer(f, &pi, NVME_IO_WRITE, data_len(f), false), 0);
}

/* P11 */
static void test_every_check_catches_its_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const struct format *f = &formats[i];
		size_t guard = tuple_len(f) == 16 ? 8 : 2;

		wrong_tuple(f, guard - 1, VFN_NVME_PI_CHECK_GUARD, GUARD_ERROR);
		wrong_tuple(f, guard + 1, VFN_NVME_PI_CHECK_APPTAG, APPTAG_ERROR);
		/* type 3 has no say in reference tags */
		if (f->pi.type != 3)
			wrong_tuple(f, tuple_len(f) - 1, VFN_NVME_PI_CHECK_REFTAG, REFTAG_ERROR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_and_host_have_what_was_written),
		cmocka_unit_test(test_what_the_kernel_wrote_verifies),
		cmocka_unit_test(test_what_the_controller_inserts_verifies),
		cmocka_unit_test(test_every_check_catches_its_error),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
