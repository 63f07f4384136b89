// SPDX-License-Identifier: GPL-2.0-or-later
/* The guard against SIGBUS: what it takes, what it hands on, and how it goes. */
#include "device.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL 2
#define LARGE 3
#define SMALL_LEN (2 * PAGE)
#define LARGE_LEN (2 * MIB)

static volatile uint8_t *small_bar, *large_bar;
static char *foreign;

static void set_action(const struct sigaction *act)
{
	assert_int_equal(sigaction(SIGBUS, act, NULL), 0);
}

static void set_handler(void (*handler)(int))
{
	set_action(&(struct sigaction){ .sa_handler = handler });
}

/* A device with two BARs, of which one has much memory; and memory that is no device's, with nothing behind it. */
static int setup_guard(void **state)
{
	const struct emu_pci_opts opts = {
		.bar_size = { [SMALL] = SMALL_LEN, [LARGE] = LARGE_LEN },
	};
	int fd = memfd_create("foreign", MFD_CLOEXEC);

	if (setup(state) || fd < 0)
		return -1;
	plug(opts);
	open_device();
	small_bar = vfio_pci_map_bar(&pci, SMALL, SIZE_MAX, 0, PROT_READ | PROT_WRITE);
	large_bar = vfio_pci_map_bar(&pci, LARGE, SIZE_MAX, 0, PROT_READ | PROT_WRITE);
	foreign = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);

	return small_bar && large_bar && foreign != MAP_FAILED ? 0 : -1;
}

static void unmap_bars(void)
{
	vfio_pci_unmap_bar(&pci, SMALL, (void *)small_bar, SIZE_MAX, 0);
	vfio_pci_unmap_bar(&pci, LARGE, (void *)large_bar, SIZE_MAX, 0);
	small_bar = NULL;
	large_bar = NULL;
}

static int teardown_guard(void **state)
{
	unmap_bars();
	munmap(foreign, PAGE);

	return teardown(state);
}

/* The signal that ends a child that does this, or 0. */
static int signal_of(void (*act)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);

	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void read_small(void)
{
	(void)small_bar[0];
}

static void read_foreign(void)
{
	(void)*(volatile char *)foreign;
}

static void raise_sigbus(void)
{
	raise(SIGBUS);
}

/* Children do not have the mapping: that of a device is what they map themselves. */
static void map_and_read(void)
{
	small_bar = vfio_pci_map_bar(&pci, SMALL, SIZE_MAX, 0, PROT_READ | PROT_WRITE);
	emu_pci_revoke(hw);
	read_small();
}

/* ---- what it takes ---- */

/* H4 */
static void without_the_guard_the_process_ends(void **state)
{
	assert_int_equal(signal_of(map_and_read), SIGBUS);
	assert_int_equal(vfn_sigbus_guard(true), 0);
	assert_int_equal(signal_of(map_and_read), 0);
	assert_int_equal(vfn_sigbus_guard(false), 0);
	assert_int_equal(signal_of(map_and_read), SIGBUS);
}

/* H4 */
static void memory_that_is_taken_away_reads_as_ones(void **state)
{
	assert_int_equal(vfn_sigbus_guard(true), 0);
	small_bar[PAGE] = 0x5a;
	emu_pci_revoke(hw);

	errno = 7;
	assert_int_equal(*(volatile uint16_t *)(small_bar + PAGE + 2), 0xffff);
	assert_int_equal(errno, 7);
	assert_int_equal(small_bar[PAGE], 0xff);
	assert_int_equal(*(volatile uint64_t *)small_bar, UINT64_MAX);
	assert_int_equal(small_bar[SMALL_LEN - 1], 0xff);
}

/* H4 */
static void writes_to_memory_that_is_taken_away_do_no_harm(void **state)
{
	uint8_t *mem = emu_pci_bar(hw, SMALL, NULL);

	assert_int_equal(vfn_sigbus_guard(true), 0);
	small_bar[1] = 1;
	emu_pci_revoke(hw);
	small_bar[1] = 2;
	assert_int_equal(small_bar[0], 0xff);
	assert_int_equal(mem[1], 1);
}

/* H4: ones for all of it would take as much memory as it has */
static void large_memory_is_covered_by_pages(void **state)
{
	struct emu_usage before;
	unsigned char resident[LARGE_LEN / PAGE];

	assert_int_equal(vfn_sigbus_guard(true), 0);
	emu_pci_revoke(hw);
	before = emu_usage();
	assert_int_equal(large_bar[5 * PAGE + 17], 0xff);
	assert_int_equal(large_bar[LARGE_LEN - 1], 0xff);
	emu_assert_usage(&before);
	assert_int_equal(mincore((void *)large_bar, LARGE_LEN, resident), 0);
	for (size_t i = 0; i < LARGE_LEN / PAGE; i++)
		assert_int_equal(resident[i] & 1, i == 5 || i == LARGE_LEN / PAGE - 1);
}

/* H4 */
static void mapping_again_is_a_fresh_start(void **state)
{
	const struct emu_usage nothing = {};

	assert_int_equal(vfn_sigbus_guard(true), 0);
	small_bar[0] = 0x5a;
	emu_pci_revoke(hw);
	assert_int_equal(small_bar[0], 0xff);
	unmap_bars();
	assert_int_equal(vfio_pci_close(&pci), 0);
	emu_assert_usage(&nothing);

	open_device();
	small_bar = vfio_pci_map_bar(&pci, SMALL, SIZE_MAX, 0, PROT_READ | PROT_WRITE);
	assert_int_equal(small_bar[0], 0x5a);
}

/* ---- what it hands on ---- */

static volatile int called;
static void *volatile called_for;

static void fill_in(int signum, siginfo_t *info, void *context)
{
	(void)context;
	called = signum;
	called_for = info->si_addr;
	if (info->si_code == BUS_ADRERR)
		mmap(foreign, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void just_fill_in(int signum)
{
	called = signum;
	mmap(foreign, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* H4 */
static void other_accesses_are_for_the_handler_that_was_there(void **state)
{
	called = 0;
	set_action(&(struct sigaction){ .sa_sigaction = fill_in, .sa_flags = SA_SIGINFO });
	assert_int_equal(vfn_sigbus_guard(true), 0);
	assert_int_equal(foreign[8], 0);
	assert_int_equal(called, SIGBUS);
	assert_ptr_equal(called_for, foreign + 8);

	called = 0;
	emu_pci_revoke(hw);
	assert_int_equal(small_bar[0], 0xff);
	assert_int_equal(called, 0);
}

/* H4 */
static void handler_without_information_is_called_too(void **state)
{
	called = 0;
	set_handler(just_fill_in);
	assert_int_equal(vfn_sigbus_guard(true), 0);
	read_foreign();
	assert_int_equal(called, SIGBUS);
}

/* H4: nobody's access, though the sender's numbers may look like an address of ours */
static void signal_that_was_sent_is_handed_on(void **state)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	set_action(&(struct sigaction){ .sa_sigaction = fill_in, .sa_flags = SA_SIGINFO });
	assert_int_equal(vfn_sigbus_guard(true), 0);
	called = 0;
	raise(SIGBUS);
	assert_int_equal(called, SIGBUS);

	called = 0;
	info.si_addr = (void *)small_bar;
	assert_int_equal(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info), 0);
	assert_int_equal(called, SIGBUS);
	assert_int_equal(small_bar[0], 0);
	assert_int_equal(vfn_sigbus_guard(false), 0);

	set_handler(SIG_IGN);
	assert_int_equal(vfn_sigbus_guard(true), 0);
	assert_int_equal(signal_of(raise_sigbus), 0);
	assert_int_equal(signal_of(read_foreign), SIGBUS);
}

/* H4: as the bus, or memory that is broken, says so */
static void access_that_fails_in_another_way_is_covered(void **state)
{
	static const int codes[] = { BUS_OBJERR, BUS_MCEERR_AR };
	struct sigaction guard;

	set_action(&(struct sigaction){ .sa_sigaction = fill_in, .sa_flags = SA_SIGINFO });
	assert_int_equal(vfn_sigbus_guard(true), 0);
	called = 0;
	/* not sent: an emulator of processors takes such a signal for its own */
	assert_int_equal(sigaction(SIGBUS, NULL, &guard), 0);
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(codes); i++) {
		siginfo_t info = { .si_code = codes[i] };

		info.si_addr = (void *)small_bar;
		guard.sa_sigaction(SIGBUS, &info, NULL);
		assert_int_equal(called, 0);
	}
	assert_int_equal(vfn_sigbus_guard(false), 0);
}

/* H4 */
static void default_action_is_the_end(void **state)
{
	assert_int_equal(vfn_sigbus_guard(true), 0);
	assert_int_equal(signal_of(read_foreign), SIGBUS);
	assert_int_equal(signal_of(raise_sigbus), SIGBUS);
}

static void count_up(int signum)
{
	(void)signum;
	if (called++)
		_exit(1);
}

/* One that reports a crash, and returns to have it. */
static void handler_for_one_time_is_called_once(void **state)
{
	called = 0;
	set_action(&(struct sigaction){ .sa_handler = count_up, .sa_flags = (int)SA_RESETHAND });
	assert_int_equal(vfn_sigbus_guard(true), 0);
	assert_int_equal(signal_of(read_foreign), SIGBUS);
}

static sigset_t blocked;

static void look_at_mask(int signum)
{
	just_fill_in(signum);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
}

static void handler_finds_the_signals_blocked_that_it_has_asked_for(void **state)
{
	struct sigaction act = { .sa_handler = look_at_mask };

	sigaddset(&act.sa_mask, SIGUSR1);
	set_action(&act);
	assert_int_equal(vfn_sigbus_guard(true), 0);
	read_foreign();
	assert_int_equal(sigismember(&blocked, SIGUSR1), 1);
	assert_int_equal(sigismember(&blocked, SIGBUS), 1);
}

/* What was a BAR's address may be anybody's later. */
static void address_that_is_no_bar_any_more_is_handed_on(void **state)
{
	int fd = memfd_create("foreign", MFD_CLOEXEC);
	void *at = (void *)small_bar;

	assert_int_equal(vfn_sigbus_guard(true), 0);
	unmap_bars();
	munmap(foreign, PAGE);
	foreign = mmap(at, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	close(fd);
	assert_ptr_equal(foreign, at);
	assert_int_equal(signal_of(read_foreign), SIGBUS);
}

/* ---- how it goes ---- */

static void *action_now(void)
{
	struct sigaction act;

	assert_int_equal(sigaction(SIGBUS, NULL, &act), 0);

	return (void *)act.sa_handler;
}

static void guard_that_goes_leaves_what_was_there(void **state)
{
	set_handler(just_fill_in);
	assert_int_equal(vfn_sigbus_guard(false), 0);
	assert_ptr_equal(action_now(), just_fill_in);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfn_sigbus_guard(true), 0);
		assert_int_equal(vfn_sigbus_guard(true), 0);
		assert_ptr_not_equal(action_now(), just_fill_in);
		assert_int_equal(vfn_sigbus_guard(false), 0);
		assert_int_equal(vfn_sigbus_guard(false), 0);
		assert_ptr_equal(action_now(), just_fill_in);
	}
}

/* Threads may have a stack for handlers, because theirs is small, or full. */
static void guard_runs_on_the_stack_for_handlers(void **state)
{
	struct sigaction guard;

	assert_int_equal(vfn_sigbus_guard(true), 0);
	assert_int_equal(sigaction(SIGBUS, NULL, &guard), 0);
	assert_true(guard.sa_flags & SA_ONSTACK);
}

static void handler_in_the_place_of_the_guard_has_to_go_first(void **state)
{
	struct sigaction guard;

	assert_int_equal(vfn_sigbus_guard(true), 0);
	assert_int_equal(sigaction(SIGBUS, NULL, &guard), 0);
	set_handler(just_fill_in);
	assert_fails_with(vfn_sigbus_guard(false), EBUSY);
	assert_error_has("another handler");
	assert_fails_with(vfn_sigbus_guard(true), EBUSY);
	assert_ptr_equal(action_now(), just_fill_in);

	set_action(&guard);
	assert_int_equal(vfn_sigbus_guard(false), 0);
	assert_ptr_equal(action_now(), SIG_DFL);
}

static void library_has_no_handler_unless_asked(void **state)
{
	assert_ptr_equal(action_now(), SIG_DFL);
	assert_int_equal(vfio_reset(&pci.dev), 0);
	assert_ptr_equal(action_now(), SIG_DFL);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS 50

static pthread_barrier_t barrier;

static void *read_all_over(void *arg)
{
	pthread_barrier_wait(&barrier);
	for (size_t at = 0; at < SMALL_LEN; at += 256)
		if (small_bar[at] != 0xff)
			return (void *)(small_bar + at);

	return arg;
}

static void *map_and_unmap(void *arg)
{
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 20; i++) {
		void *bar = vfio_pci_map_bar(&pci, LARGE, PAGE, 0, PROT_READ);

		if (!bar)
			return bar;
		vfio_pci_unmap_bar(&pci, LARGE, bar, PAGE, 0);
	}

	return arg;
}

/* H4: at a time, while others come and go: nobody sees anything but ones */
static void threads_are_guarded(void **state)
{
	pthread_t threads[THREADS + 1];
	void *result;

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	assert_int_equal(vfn_sigbus_guard(true), 0);
	for (int round = 0; round < ROUNDS; round++) {
		emu_pci_revoke(hw);
		for (int i = 0; i <= THREADS; i++)
			pthread_create(&threads[i], NULL, i ? read_all_over : map_and_unmap,
				       &barrier);
		for (int i = 0; i <= THREADS; i++) {
			pthread_join(threads[i], &result);
			assert_ptr_equal(result, &barrier);
		}
	}
	pthread_barrier_destroy(&barrier);
}

/* cmocka has a handler of its own around each test. */
static void run(void **state)
{
	CMUnitTestFunction body = (CMUnitTestFunction)*state;
	struct sigaction cmockas;

	assert_int_equal(sigaction(SIGBUS, NULL, &cmockas), 0);
	set_handler(SIG_DFL);
	body(state);
	assert_int_equal(vfn_sigbus_guard(false), 0);
	set_action(&cmockas);
}

#define guard_test(name) \
	{ \
#name, run, setup_guard, teardown_guard, (void *)name \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guard_test(without_the_guard_the_process_ends),
		guard_test(memory_that_is_taken_away_reads_as_ones),
		guard_test(writes_to_memory_that_is_taken_away_do_no_harm),
		guard_test(large_memory_is_covered_by_pages),
		guard_test(mapping_again_is_a_fresh_start),
		guard_test(other_accesses_are_for_the_handler_that_was_there),
		guard_test(handler_without_information_is_called_too),
		guard_test(signal_that_was_sent_is_handed_on),
		guard_test(access_that_fails_in_another_way_is_covered),
		guard_test(default_action_is_the_end),
		guard_test(handler_for_one_time_is_called_once),
		guard_test(handler_finds_the_signals_blocked_that_it_has_asked_for),
		guard_test(address_that_is_no_bar_any_more_is_handed_on),
		guard_test(guard_that_goes_leaves_what_was_there),
		guard_test(guard_runs_on_the_stack_for_handlers),
		guard_test(handler_in_the_place_of_the_guard_has_to_go_first),
		guard_test(library_has_no_handler_unless_asked),
		guard_test(threads_are_guarded),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
