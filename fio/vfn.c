// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An engine for fio: jobs on namespaces, by the block API. A namespace is opened once, by the first job that names it, and
 * every job has a queue of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fio.h"

#include <vfn/blk.h>
#include <vfn/support/log.h>
#include <vfn/support/mem.h>

#if FIO_IOOPS_VERSION < 31
#error "these are sources of an fio before 3.33"
#endif

/* A namespace that is open, for all jobs. */
struct target {
	struct target *next;
	char name[64];
	struct vfn_blk *blk;
	struct vfn_blk_info info;
	unsigned int users;
};

/* A file of a job: its namespace, and its queue while it is open. */
struct place {
	struct target *target;
	struct vfn_blk_queue *queue;
};

/* A job: what has ended, of which fio has asked for the first ones. */
struct job {
	struct vfn_blk_req **ended;
	unsigned int count, told;
	size_t len; /* of the memory for data */
};

static pthread_mutex_t targets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct target *targets;

/* Say what the library says of a failure. */
static int fail(struct thread_data *td, const struct fio_file *f)
{
	int err = errno;

	log_err("vfn: %s: %s\n", f->file_name, vfn_last_error());
	td_verror(td, err, "vfn");

	return 1;
}

/* ---- namespaces ---- */

/*
 * A colon is what separates file names, so points may be in its place: 0000.05.00.0/1 or 05.00.0/1. Everything but the
 * last point before the function is a colon then.
 */
static int parse_name(const char *text, char *name, size_t len)
{
	size_t end = strcspn(text, "/");
	char *last = NULL;

	if (strlen(text) >= len)
		return -1;

	strcpy(name, text);
	for (size_t i = 0; i < end; i++) {
		if (name[i] != '.')
			continue;
		last = &name[i];
		*last = ':';
	}
	if (!last)
		return -1;
	*last = '.';

	return 0;
}

/* One queue for each job that there is, and the one that stays for others. */
static struct target *open_target(const char *name)
{
	const struct vfn_blk_opts opts = { .queues = thread_number + 1 };
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	if (vfn_blk_open(&target->blk, name, &opts)) {
		free(target);
		return NULL;
	}

	strcpy(target->name, name);
	vfn_blk_get_info(target->blk, &target->info);
	target->next = targets;
	targets = target;

	return target;
}

static struct target *get_target(const char *name)
{
	struct target *target;

	pthread_mutex_lock(&targets_lock);
	for (target = targets; target && strcmp(target->name, name); target = target->next)
		;
	if (!target)
		target = open_target(name);
	if (target)
		target->users++;
	pthread_mutex_unlock(&targets_lock);

	return target;
}

static void put_target(struct target *target)
{
	struct target **p = &targets;

	pthread_mutex_lock(&targets_lock);
	if (!--target->users) {
		while (*p != target)
			p = &(*p)->next;
		*p = target->next;
		if (vfn_blk_close(target->blk))
			log_err("vfn: %s: %s\n", target->name, vfn_last_error());
		free(target);
	}
	pthread_mutex_unlock(&targets_lock);
}

/* ---- jobs ---- */

/* The namespace of a file; whoever asks first opens it. */
static struct place *place_of(struct thread_data *td, struct fio_file *f)
{
	struct place *place = FILE_ENG_DATA(f);
	char name[sizeof(place->target->name)];

	if (place)
		return place;

	if (parse_name(f->file_name, name, sizeof(name))) {
		log_err("vfn: '%s' is no namespace: filename=0000.05.00.0/1, or 0000.05.00.0\n",
			f->file_name);
		td_verror(td, EINVAL, "vfn");
		return NULL;
	}

	place = calloc(1, sizeof(*place));
	if (place)
		place->target = get_target(name);
	if (!place || !place->target) {
		(void)fail(td, f);
		free(place);
		return NULL;
	}
	FILE_SET_ENG_DATA(f, place);

	return place;
}

/* Before there are threads: how large everything is. */
static int setup(struct thread_data *td)
{
	struct fio_file *f;
	unsigned int i;

	if (!td->o.use_thread) {
		log_err("vfn: thread=1 is missing: processes cannot share a controller, threads can\n");
		td_verror(td, EINVAL, "vfn");
		return 1;
	}

	for_each_file(td, f, i)
	{
		struct place *place = place_of(td, f);

		if (!place)
			return 1;
		if (td_min_bs(td) % place->target->info.block_size) {
			log_err("vfn: %s: bs is no multiple of %u bytes, a block\n", f->file_name,
				place->target->info.block_size);
			td_verror(td, EINVAL, "vfn");
			return 1;
		}
		f->filetype = FIO_TYPE_BLOCK;
		f->real_file_size = place->target->info.nblocks * place->target->info.block_size;
		fio_file_set_size_known(f);
	}

	return 0;
}

static int init(struct thread_data *td)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job)
		job->ended = calloc(td->o.iodepth, sizeof(struct vfn_blk_req *));
	if (!job || !job->ended) {
		free(job);
		td_verror(td, ENOMEM, "vfn");
		return 1;
	}
	td->io_ops_data = job;

	return 0;
}

static void cleanup(struct thread_data *td)
{
	struct job *job = td->io_ops_data;
	struct fio_file *f;
	unsigned int i;

	for_each_file(td, f, i)
	{
		struct place *place = FILE_ENG_DATA(f);

		if (!place)
			continue;
		put_target(place->target);
		free(place);
		FILE_SET_ENG_DATA(f, NULL);
	}
	if (job)
		free(job->ended);
	free(job);
	td->io_ops_data = NULL;
}

static int open_file(struct thread_data *td, struct fio_file *f)
{
	struct place *place = place_of(td, f);

	if (!place)
		return 1;
	place->queue = vfn_blk_get_queue(place->target->blk);
	if (place->queue)
		return 0;

	log_err("vfn: %s: the controller has %u queues for us, and %u jobs need one each and one for all\n",
		f->file_name, place->target->info.queues, thread_number);
	td_verror(td, errno, "vfn");

	return 1;
}

static int close_file(struct thread_data *td, struct fio_file *f)
{
	struct place *place = FILE_ENG_DATA(f);

	if (!place || !place->queue)
		return 0;
	if (vfn_blk_put_queue(place->queue))
		return fail(td, f);
	place->queue = NULL;

	return 0;
}

/* ---- memory for data: all namespaces of the job can reach it ---- */

static int iomem_alloc(struct thread_data *td, size_t len)
{
	struct job *job = td->io_ops_data;
	struct fio_file *f;
	unsigned int i;
	void *mem;

	if (pgmap(&mem, len) < 0)
		return ENOMEM;
	for_each_file(td, f, i)
	{
		struct place *place = place_of(td, f);

		/* what is not registered is copied */
		if (place && vfn_blk_register(place->target->blk, mem, len))
			log_info("vfn: %s: %s\n", f->file_name, vfn_last_error());
	}
	job->len = len;
	td->orig_buffer = mem;

	return 0;
}

static void iomem_free(struct thread_data *td)
{
	struct job *job = td->io_ops_data;
	struct fio_file *f;
	unsigned int i;

	if (!td->orig_buffer)
		return;
	for_each_file(td, f, i)
	{
		struct place *place = FILE_ENG_DATA(f);

		if (place)
			(void)vfn_blk_unregister(place->target->blk, td->orig_buffer);
	}
	pgunmap(td->orig_buffer, job->len);
	td->orig_buffer = NULL;
}

static int io_u_init(struct thread_data *td, struct io_u *io_u)
{
	struct vfn_blk_req *req = calloc(1, sizeof(*req));

	if (!req)
		return 1;
	req->opaque = io_u;
	io_u->engine_data = req;

	return 0;
}

static void io_u_free(struct thread_data *td, struct io_u *io_u)
{
	free(io_u->engine_data);
	io_u->engine_data = NULL;
}

/* ---- requests ---- */

static int describe(struct thread_data *td, const struct io_u *io_u, struct vfn_blk_req *req)
{
	const struct place *place = FILE_ENG_DATA(io_u->file);
	const uint32_t size = place->target->info.block_size;

	req->flags = 0;
	req->buf = NULL;
	req->lba = req->nlb = 0;
	if (ddir_sync(io_u->ddir)) {
		req->op = VFN_BLK_FLUSH;
		return 0;
	}

	if (io_u->offset % size || io_u->xfer_buflen % size)
		return EINVAL;
	req->lba = io_u->offset / size;
	req->nlb = io_u->xfer_buflen / size;

	switch (io_u->ddir) {
	case DDIR_READ:
		req->op = VFN_BLK_READ;
		req->buf = io_u->xfer_buf;
		return 0;
	case DDIR_WRITE:
		req->op = VFN_BLK_WRITE;
		req->flags = td->o.sync_io ? VFN_BLK_FUA : 0;
		req->buf = io_u->xfer_buf;
		return 0;
	case DDIR_TRIM:
		req->op = VFN_BLK_DISCARD;
		return 0;
	default:
		return ENOTSUP;
	}
}

static enum fio_q_status queue(struct thread_data *td, struct io_u *io_u)
{
	const struct place *place = FILE_ENG_DATA(io_u->file);
	struct vfn_blk_req *req = io_u->engine_data;

	fio_ro_check(td, io_u);

	io_u->error = describe(td, io_u, req);
	if (!io_u->error && vfn_blk_submit(place->queue, req)) {
		io_u->error = errno;
		log_err("vfn: %s\n", vfn_last_error());
	}
	if (!io_u->error)
		return FIO_Q_QUEUED;

	td_verror(td, io_u->error, "vfn");

	return FIO_Q_COMPLETED;
}

/* Take what has ended in a queue: at least @min requests, and no more than there is room for. */
static int take(struct thread_data *td, const struct place *place, unsigned int min)
{
	struct job *job = td->io_ops_data;
	unsigned int room = td->o.iodepth - job->count;
	int n;

	if (!room)
		return 0;
	n = vfn_blk_wait(place->queue, job->ended + job->count, (int)min, (int)room, min ? -1 : 0);
	if (n < 0) {
		log_err("vfn: %s: %s\n", place->target->name, vfn_last_error());
		return -errno;
	}
	job->count += (unsigned int)n;

	return 0;
}

/* A look at every queue, which is also what sends that which was submitted. */
static int commit(struct thread_data *td)
{
	struct fio_file *f;
	unsigned int i;
	int ret = 0;

	for_each_file(td, f, i)
	{
		const struct place *place = FILE_ENG_DATA(f);

		if (place && place->queue && !ret)
			ret = take(td, place, 0);
	}

	return ret;
}

static int getevents(struct thread_data *td, unsigned int min, unsigned int max,
		     const struct timespec *t)
{
	struct job *job = td->io_ops_data;
	const struct place *only = td->o.nr_files == 1 ? FILE_ENG_DATA(td->files[0]) : NULL;
	int ret;

	/* those of the last time are fio's */
	job->count -= job->told;
	memmove(job->ended, job->ended + job->told, job->count * sizeof(struct vfn_blk_req *));
	job->told = 0;

	do {
		unsigned int missing = min > job->count ? min - job->count : 0;

		ret = only && only->queue ? take(td, only, missing) : commit(td);
		if (ret)
			return ret;
	} while (job->count < min);

	job->told = job->count < max ? job->count : max;

	return (int)job->told;
}

static struct io_u *event(struct thread_data *td, int n)
{
	struct job *job = td->io_ops_data;
	struct vfn_blk_req *req = job->ended[n];
	struct io_u *io_u = req->opaque;

	io_u->error = (unsigned int)req->error;
	io_u->resid = req->error ? io_u->xfer_buflen : 0;

	return io_u;
}

/* fio finds it by this name, and checks the version. */
struct ioengine_ops ioengine = {
	.name = "vfn",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_RAWIO | FIO_DISKLESSIO | FIO_NOEXTEND | FIO_NODISKUTIL | FIO_MEMALIGN,
	.setup = setup,
	.init = init,
	.cleanup = cleanup,
	.open_file = open_file,
	.close_file = close_file,
	.iomem_alloc = iomem_alloc,
	.iomem_free = iomem_free,
	.io_u_init = io_u_init,
	.io_u_free = io_u_free,
	.queue = queue,
	.commit = commit,
	.getevents = getevents,
	.event = event,
};
