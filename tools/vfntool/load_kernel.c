// SPDX-License-Identifier: GPL-2.0-or-later
/* Load by the kernel's driver: asynchronous I/O (io_submit(2)) past the page cache, without libaio. */
#include "load.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct kernel {
	aio_context_t ctx;
	struct iocb *iocbs;
	struct iocb **batch; /* not submitted yet */
	long nbatch;
};

static int kernel_open(struct load_thread *t)
{
	size_t len = (size_t)t->load->iodepth * t->load->bs;
	struct kernel *k = calloc(1, sizeof(*k));

	t->priv = k;
	if (!k)
		return complain("out of memory");
	if (syscall(SYS_io_setup, t->load->iodepth, &k->ctx))
		return complain("io_setup: %s", strerror(errno));
	k->iocbs = calloc(t->load->iodepth, sizeof(*k->iocbs));
	k->batch = calloc(t->load->iodepth, sizeof(struct iocb *));
	t->data = aligned_alloc(4096, (len + 4095) / 4096 * 4096);
	if (!k->iocbs || !k->batch || !t->data)
		return complain("out of memory");
	memset(t->data, 0x5a, len);

	return 0;
}

static void kernel_close(struct load_thread *t)
{
	struct kernel *k = t->priv;

	if (!k)
		return;
	if (k->ctx)
		(void)syscall(SYS_io_destroy, k->ctx);
	free(t->data);
	free(k->batch);
	free(k->iocbs);
	free(k);
}

static int kernel_submit(struct load_thread *t, unsigned int i, bool write, uint64_t offset)
{
	struct kernel *k = t->priv;
	struct iocb *iocb = &k->iocbs[i];

	*iocb = (struct iocb){
		.aio_data = i,
		.aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)t->load->fd,
		.aio_buf = (uint64_t)(uintptr_t)(t->data + (size_t)i * t->load->bs),
		.aio_nbytes = t->load->bs,
		.aio_offset = (int64_t)offset,
	};

	k->batch[k->nbatch++] = iocb;

	return 0;
}

static int send_batch(struct kernel *k)
{
	long done = 0;

	while (done < k->nbatch) {
		long n = syscall(SYS_io_submit, k->ctx, k->nbatch - done, k->batch + done);

		if (n <= 0)
			return complain("io_submit: %s", strerror(errno));
		done += n;
	}
	k->nbatch = 0;

	return 0;
}

static int kernel_wait(struct load_thread *t, unsigned int *ended, unsigned int max)
{
	struct io_event events[LOAD_BATCH];
	struct kernel *k = t->priv;
	long n;

	if (send_batch(k))
		return -1;
	do {
		n = syscall(SYS_io_getevents, k->ctx, 1L, (long)max, events, NULL);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		complain("io_getevents: %s", strerror(errno));
		return -1;
	}
	for (long i = 0; i < n; i++) {
		ended[i] = (unsigned int)events[i].data;
		if (events[i].res == (int64_t)t->load->bs || t->failed)
			continue;
		complain("the kernel's driver: %s", strerror((int)-events[i].res));
		t->failed = true;
	}

	return (int)n;
}

const struct load_engine load_kernel = {
	.open = kernel_open,
	.close = kernel_close,
	.submit = kernel_submit,
	.wait = kernel_wait,
};
