/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the soak program share: decisions, the model of the data, the machine, the run. */
#ifndef SOAK_H
#define SOAK_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <vfn/nvme.h>

#define BLOCK 512UL
#define NSID 1
#define MAX_THREADS 16
#define REGION 2048
#define MAX_BLOCKS 256
#define MAX_LEN (MAX_BLOCKS * BLOCK)

/* ---- decisions ---- */

/* All that an operation decides follows from the seed, its thread and its number, and from nothing else. */
struct dice {
	uint64_t state;
};

struct dice dice_of(uint64_t seed, unsigned int thread, uint64_t number);
uint64_t roll(struct dice *dice, uint64_t below);

/* ---- data ---- */

/* Generations that a block may have: bit n of @may is the one before @next by n + 1. */
struct block {
	uint64_t may;
	uint32_t next;
	bool busy;
};

void block_fill(void *mem, uint64_t seed, uint64_t lba, uint32_t generation);

/* What is wrong with a block that was read, or NULL; then its generation is the one that it has. */
const char *block_check(struct block *block, const void *mem, uint64_t seed, uint64_t lba);

/* Whether another write may fail before one succeeds, or a read tells. */
bool block_can_be_written(const struct block *block);
void block_writing(struct block *block);
void block_written(struct block *block);

/* ---- the machine: an emulated one, or a guest ---- */

struct machine {
	const char *bdf;
	uint64_t blocks;
	/* limit of commands; between what the one who recovers does */
	unsigned int timeout_ms, pace_us;
	/* how long a wait for an interrupt takes */
	int irq_ms;
	/* whether a queue may be deleted while its commands are out */
	bool deletes_busy;
};

/* What it is like follows from the dice. */
const struct machine *machine_start(bool lockstep, struct dice *dice);
/* The time, of a clock that can be relied on. */
uint64_t machine_seconds(void);
/* Time passes, where it does not by itself. */
void machine_pass(void);
/* Something goes wrong from now on; machine_quiet() ends that. */
void machine_trouble(struct dice *dice);
void machine_quiet(void);
/* The next reset finds fewer queues, or all of them again. */
bool machine_shrink(unsigned int queues);
/* Raise an event; the log page that tells more, 0 where there is none. */
int machine_event(struct dice *dice);
void machine_event_over(void);
/* An interrupt for no reason. */
void machine_spurious(unsigned int vector);
/* What the drive has, not by the library. */
void machine_read(uint64_t lba, void *mem, size_t len);
/* What it has to complain about so far, or NULL. */
const char *machine_complaint(void);
/* What is left behind of the controller that was closed, or NULL. */
const char *machine_stop(void);

/* Whether guests may make their drive slow. */
extern bool soak_slow;

/* ---- the run ---- */

struct io {
	struct worker *worker;
	/* whose requests these are */
	struct nvme_sq *sq;
	/* atomic: it is ended by whoever takes its completion */
	int state;
	uint16_t status;
	uint64_t number;
	uint8_t opcode;
	unsigned int first, n;
	char *buf, *mem;
	size_t mem_len;
	int memory;
	struct iommu_dmabuf dmabuf;
	char *pool;
};

enum io_state {
	IO_NONE,
	IO_OUT,
	IO_ENDED
};

#define DEPTH 24

/* What an operation of a worker is. */
enum {
	OP_IO,
	OP_POLL,
	OP_MEMORY,
	OP_REQUESTS,
	OP_ABORT,
	OP_QUEUE,
	OP_IRQ,
	OP_LIMITS,
	OP_ADMIN,
	OPS
};

struct worker {
	unsigned int id;
	struct soak *soak;
	pthread_t thread;
	uint64_t number, done;
	const char *doing;
	struct nvme_sq *sq;
	struct vfn_nvme_io read, write;
	struct block blocks[REGION];
	struct io io[DEPTH];
	struct iommu_dmabuf pool;
	int qsize, vector, fd;
	bool irq_on;
	struct counts {
		uint64_t op[OPS];
		uint64_t reads, writes, bytes, failed, aborted, woken, stray, verified, refused;
	} count;
};

struct soak {
	uint64_t seed, ops;
	/* when this round ends */
	uint64_t end;
	unsigned int nworkers;
	bool lockstep;
	const struct machine *machine;
	struct nvme_ctrl ctrl;
	struct worker *workers;
	/* whoever uses the controller holds it for reading, who recovers for writing */
	pthread_rwlock_t in_use;
	/* functions for one thread per controller, or per device */
	pthread_mutex_t device;
	/* one queue for all, with requests of nvme_rq_acquire_atomic() */
	struct nvme_sq *shared;
	pthread_mutex_t shared_sq, shared_cq;
	int failed, stopping, urgent, finished;
	uint64_t resets;
	/* of the one who recovers */
	uint64_t turn, checks, late, events, troubles, shrunk;
	int event_pending, asked;
	bool few;
};

/* Print what differs, with all that it takes to look into it; the run ends. */
void soak_fail(struct soak *s, int thread, uint64_t number, const char *doing, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
bool soak_failed(struct soak *s);

/* One turn of the one who recovers; in lockstep the workers call it when they wait. */
void recoverer_turn(struct soak *s);

/* Set up before the threads run, and take down after them. */
void worker_init(struct worker *w, struct soak *s, unsigned int id);
void worker_verify(struct worker *w);
void worker_fini(struct worker *w);

/* One operation; let all that is out end. */
void worker_turn(struct worker *w);
void worker_drain(struct worker *w);

/* The command of an @io has ended, by a completion or by the library. */
void io_end(struct io *io, struct nvme_cqe *cqe);

#endif /* SOAK_H */
