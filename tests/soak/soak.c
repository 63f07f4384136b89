// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything at once, for as long as one likes: threads that read, write, map, create queues and abort, and one who
 * recovers, with the data checked throughout.
 *
 * usage: soak [--seed N] [--time S] [--ops N] [--threads N] [--lockstep] [--slow]
 *
 * Each half minute it is another machine, that of the next seed.
 *
 * What each thread does follows from the seed. When does not, as threads, controllers and time go their own ways: a run
 * that failed goes through the same operations again, in another order between threads. In lockstep, on the emulated
 * controller, all is done by one thread, and repeats exactly.
 */
#include "soak.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ADMIN_GET_LOG 2
#define ADMIN_SET_FEATURES 9
#define FEATURE_EVENTS 0x0b
#define REG_CSTS 0x1c
#define PATIENCE_S 90
#define SHARED_SIZE 48
#define ROUND_S 30
#define EVENTS 2

/* What was asked for. */
static uint64_t first_seed, most_ops;
static unsigned int seconds = 10, nworkers = 4;
static bool lockstep;
bool soak_slow;

/* Of all rounds. */
static struct {
	struct counts workers;
	uint64_t ops, checks, late, resets, shrunk, events, troubles, rounds;
} total;

static struct soak soak = {
	.in_use = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP,
	.device = PTHREAD_MUTEX_INITIALIZER,
	.shared_sq = PTHREAD_MUTEX_INITIALIZER,
	.shared_cq = PTHREAD_MUTEX_INITIALIZER,
};

#define RECOVERER(s) ((int)(s)->nworkers)
#define wrong(s, ...) soak_fail(s, RECOVERER(s), (s)->turn, "recovery", __VA_ARGS__)

void soak_fail(struct soak *s, int thread, uint64_t number, const char *doing, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printf("# soak: seed %llu, thread %d, operation %llu (%s): %s\n",
	       (unsigned long long)s->seed, thread, (unsigned long long)number, doing, text);
	(void)fflush(stdout);
	__atomic_store_n(&s->failed, 1, __ATOMIC_RELEASE);
}

bool soak_failed(struct soak *s)
{
	return __atomic_load_n(&s->failed, __ATOMIC_ACQUIRE);
}

/* ---- events ---- */

static int context;

static void ask_for_events(struct soak *s)
{
	for (; s->asked < EVENTS; s->asked++)
		if (nvme_aer(&s->ctrl, &context))
			wrong(s, "asking for events: %s", vfn_last_error());
}

/* What it is about is read, so that the controller can report more of it. */
static int heed_event(struct soak *s, struct nvme_cqe *cqe)
{
	static char page[4096] __attribute__((aligned(4096)));
	int lid = NVME_AEN_LID(le32_to_cpu(cqe->dw0));
	union nvme_cmd cmd = { .log = {
				       .opcode = ADMIN_GET_LOG,
				       .nsid = cpu_to_le32(UINT32_MAX),
				       .lid = (uint8_t)lid,
				       .numdl = cpu_to_le16(512 / 4 - 1),
			       } };

	if (lid == s->event_pending)
		s->event_pending = 0;
	s->events++;

	return nvme_admin(&s->ctrl, &cmd, page, sizeof(page), NULL);
}

static int look_for_events(struct soak *s)
{
	struct nvme_cqe *entry, cqe;
	struct nvme_rq *rq;

	while ((entry = nvme_cq_get_cqe(s->ctrl.adminq.cq))) {
		cqe = *entry;
		nvme_cq_update_head(s->ctrl.adminq.cq);
		rq = nvme_rq_from_cqe(&s->ctrl, &cqe);
		if (!rq)
			continue;
		if (!(cqe.cid & NVME_CID_AER) || rq->opaque != &context) {
			wrong(s, "admin command %u completes, which nobody waits for", cqe.cid);
			return 0;
		}
		nvme_rq_release(rq);
		s->asked--;
		if (!nvme_cqe_ok(&cqe)) {
			wrong(s, "a request for events fails with 0x%x", le16_to_cpu(cqe.sfp) >> 1);
			return 0;
		}
		if (heed_event(s, &cqe))
			return -1;
		ask_for_events(s);
	}

	return 0;
}

static int raise_event(struct soak *s, struct dice *d)
{
	union nvme_cmd cmd = { .features = {
				       .opcode = ADMIN_SET_FEATURES,
				       .fid = FEATURE_EVENTS,
				       .cdw11 = cpu_to_le32(0xff),
			       } };

	/* a reset makes the controller forget it */
	if (nvme_admin(&s->ctrl, &cmd, NULL, 0, NULL))
		return -1;
	s->event_pending = machine_event(d);

	return 0;
}

static void enter_all(struct soak *s)
{
	pthread_rwlock_rdlock(&s->in_use);
	pthread_mutex_lock(&s->device);
}

static void leave_all(struct soak *s)
{
	pthread_mutex_unlock(&s->device);
	pthread_rwlock_unlock(&s->in_use);
}

static bool has_failed(struct soak *s)
{
	uint32_t csts = le32_to_cpu(mmio_read32((char *)s->ctrl.regs + REG_CSTS));

	return (csts & 3) != 1;
}

/* Threads go on meanwhile. A controller that fails forgets the event. */
static void do_event(struct soak *s, struct dice *d)
{
	uint64_t start = machine_seconds();
	int ret;

	enter_all(s);
	ret = raise_event(s, d);
	leave_all(s);

	while (!ret && s->event_pending && !soak_failed(s)) {
		if (machine_seconds() - start > PATIENCE_S / 3)
			wrong(s, "an event of log page %d does not arrive", s->event_pending);
		machine_pass();
		if (!s->lockstep)
			(void)poll(NULL, 0, 1);
		enter_all(s);
		ret = has_failed(s) ? -1 : look_for_events(s);
		leave_all(s);
	}
	machine_event_over();
	if (ret)
		__atomic_store_n(&s->urgent, 1, __ATOMIC_RELEASE);
}

/* ---- recovery ---- */

static void ended(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	struct soak *s = opaque;

	if (rq->opaque == &context) {
		/* an event that nobody has looked at yet, or a request for them that is lost */
		s->asked--;
		s->event_pending = 0;
	} else {
		io_end(rq->opaque, cqe);
	}
	nvme_rq_release(rq);
}

/* Its own commands have more time than those of the others: they are to work, on a busy machine, too. */
static void reset(struct soak *s, unsigned int queues)
{
	const struct vfn_nvme_recovery recovery = { .complete = ended, .opaque = s };
	bool few = queues && machine_shrink(queues);
	int ret;

	if (!queues)
		(void)machine_shrink(0);
	s->event_pending = 0;
	vfn_nvme_set_timeout(&s->ctrl, 0);
	ret = vfn_nvme_reset_ctrl(&s->ctrl, &recovery);
	if (ret < 0 || (ret && !few))
		wrong(s, "reset: %d: %s", ret, vfn_last_error());
	else
		ask_for_events(s);
	vfn_nvme_set_timeout(&s->ctrl, s->machine->timeout_ms);
	s->few = few;
	s->shrunk += few;
	__atomic_add_fetch(&s->resets, 1, __ATOMIC_ACQ_REL);
}

/* It may reset the controller by itself, or say that this is needed. */
static void check(struct soak *s, struct dice *d)
{
	const struct vfn_nvme_recovery recovery = {
		.complete = ended,
		.opaque = s,
		.flags = roll(d, 2) ? VFN_NVME_RECOVER_RESET : 0,
	};
	int n = vfn_nvme_check_timeouts(&s->ctrl, &recovery);

	s->checks++;
	if (n > 0)
		s->late += (uint64_t)n;
	if (n >= 0)
		ask_for_events(s);
	else if (errno == EIO || errno == ETIMEDOUT)
		reset(s, 0);
	else
		wrong(s, "check: %s (%s)", strerror(errno), vfn_last_error());
}

static void recover(struct soak *s, struct dice *d, unsigned int point)
{
	unsigned int queues = roll(d, 3) ? 0 : 1 + (unsigned int)roll(d, s->nworkers);

	pthread_rwlock_wrlock(&s->in_use);
	if (__atomic_exchange_n(&s->urgent, 0, __ATOMIC_ACQ_REL))
		reset(s, 0);
	else if (point < 76)
		check(s, d);
	else
		reset(s, queues);
	if (vfn_nvme_get_state(&s->ctrl) != VFN_NVME_LIVE)
		wrong(s, "it is in state %d after recovery", vfn_nvme_get_state(&s->ctrl));
	pthread_rwlock_unlock(&s->in_use);
}

void recoverer_turn(struct soak *s)
{
	struct dice d = dice_of(s->seed, s->nworkers, s->turn++);
	unsigned int point = (unsigned int)roll(&d, 128);

	machine_pass();
	if (point < 80 || __atomic_load_n(&s->urgent, __ATOMIC_ACQUIRE)) {
		recover(s, &d, point);
	} else if (point < 108) {
		s->troubles++;
		machine_trouble(&d);
	} else if (point < 110) {
		machine_quiet();
	} else if (point < 120) {
		do_event(s, &d);
	} else {
		machine_spurious((unsigned int)roll(&d, s->nworkers) + 1);
	}
}

/* ---- the run ---- */

static void *work(void *arg)
{
	struct worker *w = arg;
	struct soak *s = w->soak;

	while (!__atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE) && !soak_failed(s) &&
	       (!s->ops || w->number < s->ops))
		worker_turn(w);
	worker_drain(w);
	__atomic_add_fetch(&s->finished, 1, __ATOMIC_ACQ_REL);

	return NULL;
}

/* The operation that a thread is at may never end: who hangs says so. */
static void give_up(struct soak *s)
{
	for (unsigned int i = 0; i < s->nworkers; i++)
		printf("# soak: seed %llu, thread %u hangs in operation %llu (%s)\n",
		       (unsigned long long)s->seed, i,
		       (unsigned long long)__atomic_load_n(&s->workers[i].number, __ATOMIC_RELAXED),
		       s->workers[i].doing);
	(void)fflush(stdout);
	abort();
}

static void run_threads(struct soak *s)
{
	for (unsigned int i = 0; i < s->nworkers; i++)
		if (pthread_create(&s->workers[i].thread, NULL, work, &s->workers[i]))
			wrong(s, "no thread");

	while (__atomic_load_n(&s->finished, __ATOMIC_ACQUIRE) < (int)s->nworkers) {
		recoverer_turn(s);
		(void)usleep(s->machine->pace_us);
		if (machine_seconds() >= s->end)
			__atomic_store_n(&s->stopping, 1, __ATOMIC_RELEASE);
		if (machine_seconds() >= s->end + PATIENCE_S)
			give_up(s);
	}

	for (unsigned int i = 0; i < s->nworkers; i++)
		pthread_join(s->workers[i].thread, NULL);
}

static void run_in_lockstep(struct soak *s)
{
	for (uint64_t n = 0; (s->ops ? n < s->ops : machine_seconds() < s->end) && !soak_failed(s);
	     n++) {
		for (unsigned int i = 0; i < s->nworkers; i++)
			worker_turn(&s->workers[i]);
		recoverer_turn(s);
	}
	for (unsigned int i = 0; i < s->nworkers; i++)
		worker_drain(&s->workers[i]);
}

static void start(struct soak *s)
{
	struct dice dice = dice_of(s->seed, MAX_THREADS, 0);

	s->machine = machine_start(s->lockstep, &dice);
	if (nvme_init(&s->ctrl, s->machine->bdf, NULL))
		fail_msg("%s", vfn_last_error());
	if (nvme_create_ioqpair(&s->ctrl, (int)s->nworkers + 1, SHARED_SIZE, -1, 0))
		wrong(s, "%s", vfn_last_error());
	ask_for_events(s);
	s->shared = &s->ctrl.sq[s->nworkers + 1];

	s->workers = calloc(s->nworkers, sizeof(*s->workers));
	assert_non_null(s->workers);
	for (unsigned int i = 0; i < s->nworkers; i++)
		worker_init(&s->workers[i], s, i);
	vfn_nvme_set_timeout(&s->ctrl, s->machine->timeout_ms);
}

static void finish(struct soak *s)
{
	const char *left;

	machine_quiet();
	pthread_rwlock_wrlock(&s->in_use);
	reset(s, 0);
	pthread_rwlock_unlock(&s->in_use);
	vfn_nvme_set_timeout(&s->ctrl, 0);
	for (unsigned int i = 0; i < s->nworkers && !soak_failed(s); i++)
		worker_verify(&s->workers[i]);
	for (unsigned int i = 0; i < s->nworkers && !soak_failed(s); i++)
		worker_fini(&s->workers[i]);
	nvme_close(&s->ctrl);
	if (soak_failed(s))
		return;

	left = machine_stop();
	if (left)
		wrong(s, "left behind: %s", left);
}

/* The counts of a worker are numbers and nothing else. */
static void add(struct counts *to, const struct counts *counts)
{
	for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++)
		((uint64_t *)to)[i] += ((const uint64_t *)counts)[i];
}

static void count(struct soak *s)
{
	for (unsigned int i = 0; i < s->nworkers; i++) {
		add(&total.workers, &s->workers[i].count);
		total.ops += s->workers[i].number;
	}
	total.checks += s->checks;
	total.late += s->late;
	total.resets += s->resets;
	total.shrunk += s->shrunk;
	total.events += s->events;
	total.troubles += s->troubles;
	total.rounds++;
}

#define N(n) ((unsigned long long)(n))

static void report(void)
{
	static const char *const names[OPS] = {
		"reads and writes",
		"waits",
		"mappings",
		"requests taken and released",
		"aborts",
		"queues made anew",
		"interrupts switched",
		"limits looked at",
		"identified",
	};
	const struct counts *c = &total.workers;

	for (int op = 0; op < OPS; op++)
		printf("# soak: %s: %llu\n", names[op], N(c->op[op]));
	printf("# soak: %llu reads, %llu writes, %llu MiB, %llu blocks verified\n", N(c->reads),
	       N(c->writes), N(c->bytes >> 20), N(c->verified));
	printf("# soak: %llu commands failed, %llu of them aborted, %llu completions for nobody, %llu calls refused\n",
	       N(c->failed), N(c->aborted), N(c->stray), N(c->refused));
	printf("# soak: %llu checks found %llu late, %llu resets (%llu with fewer queues), %llu events, %llu troubles, woken %llu times\n",
	       N(total.checks), N(total.late), N(total.resets), N(total.shrunk), N(total.events),
	       N(total.troubles), N(c->woken));
	(void)fflush(stdout);
}

static void run_round(struct soak *s)
{
	start(s);
	if (!soak_failed(s)) {
		if (s->lockstep)
			run_in_lockstep(s);
		else
			run_threads(s);
	}
	finish(s);
	count(s);
	free(s->workers);
	s->workers = NULL;
}

static void everything_at_once(void **state)
{
	uint64_t end = machine_seconds() + seconds;
	const struct soak fresh = soak;

	(void)state;
	do {
		soak = fresh;
		soak.seed = first_seed + total.rounds;
		soak.ops = most_ops;
		soak.nworkers = nworkers;
		soak.lockstep = lockstep;
		soak.end = most_ops || end - machine_seconds() < 2 * ROUND_S ?
				   end :
				   machine_seconds() + ROUND_S;
		run_round(&soak);
	} while (!soak_failed(&soak) && !most_ops && machine_seconds() < end);

	report();
	if (!soak_failed(&soak))
		printf("# note: seed %llu: %llu operations of %u threads, %llu resets, %llu rounds: nothing differs, nothing is left\n",
		       N(first_seed), N(total.ops), nworkers, N(total.resets), N(total.rounds));
	(void)fflush(stdout);
	assert_false(soak_failed(&soak));
}

static uint64_t number(const char *text, uint64_t most)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value > most) {
		fprintf(stderr, "soak: '%s' is not a number up to %llu\n", text,
			(unsigned long long)most);
		exit(2);
	}

	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "time", required_argument, NULL, 't' },
		{ "ops", required_argument, NULL, 'o' },
		{ "threads", required_argument, NULL, 'n' },
		{ "lockstep", no_argument, NULL, 'l' },
		{ "slow", no_argument, NULL, 'w' },
		{},
	};
	struct timespec now;
	int option;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	first_seed = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 's':
			first_seed = number(optarg, UINT64_MAX);
			break;
		case 't':
			seconds = (unsigned int)number(optarg, 1000000);
			break;
		case 'o':
			most_ops = number(optarg, UINT64_MAX);
			seconds = 1000000;
			break;
		case 'n':
			nworkers = (unsigned int)number(optarg, MAX_THREADS);
			break;
		case 'l':
			lockstep = true;
			break;
		case 'w':
			soak_slow = true;
			break;
		default:
			exit(2);
		}
	}
	if (optind < argc || !nworkers) {
		fprintf(stderr,
			"usage: soak [--seed N] [--time S] [--ops N] [--threads N] [--lockstep] [--slow]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(everything_at_once) };

	parse(argc, argv);
	printf("# soak: seed %llu, %u threads%s\n", N(first_seed), nworkers,
	       lockstep ? ", lockstep" : "");
	(void)fflush(stdout);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
