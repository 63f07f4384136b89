// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A handler of SIGBUS by which registers that are out of reach read as ones. What runs in it is async-signal-safe. */
#include <vfn/vfio/guard.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <vfn/support/align.h>
#include <vfn/support/mem.h>

#include "iommu/context.h"
#include "os/os.h"
#include "support/error.h"

/* Registers; more than that is memory, of which ones would take much. */
#define WHOLE_MAX (1UL << 20)

/* What SIGBUS did before; it is not written to while the guard is on. */
static struct sigaction before;
static bool guarding;

/* The thread's own access, which is repeated on return; others were sent. */
static bool is_access(const siginfo_t *info)
{
	return info->si_code == BUS_ADRALN || info->si_code == BUS_ADRERR ||
	       info->si_code == BUS_OBJERR || info->si_code == BUS_MCEERR_AR;
}

static bool cover(void *addr)
{
	void *start;
	size_t len;

	if (!iommu_bar_around(addr, &start, &len))
		return false;

	if (len > WHOLE_MAX) {
		start = (void *)ALIGN_DOWN((uintptr_t)addr, __VFN_PAGESIZE);
		len = __VFN_PAGESIZE;
	}

	return !os_put_ones(start, ALIGN_UP(len, __VFN_PAGESIZE));
}

static void take_handler_off(int signum)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };

	(void)os_sigaction(signum, &standard, NULL);
}

/* Have it do what it does to a process without handlers. An access does that by itself when it is repeated. */
static void do_default(int signum, const siginfo_t *info)
{
	take_handler_off(signum);
	if (!is_access(info))
		(void)os_raise(signum);
}

static void chain(int signum, siginfo_t *info, void *context)
{
	if (before.sa_handler == SIG_DFL || (before.sa_handler == SIG_IGN && is_access(info))) {
		do_default(signum, info);
		return;
	}
	if (before.sa_handler == SIG_IGN)
		return;

	/* one that is there for one time only relies on that */
	if (before.sa_flags & (int)SA_RESETHAND)
		take_handler_off(signum);

	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(signum, info, context);
	else
		before.sa_handler(signum);
}

static void handle(int signum, siginfo_t *info, void *context)
{
	int saved = errno;

	if (!is_access(info) || !cover(info->si_addr))
		chain(signum, info, context);
	errno = saved;
}

static bool is_ours(const struct sigaction *act)
{
	return (act->sa_flags & SA_SIGINFO) && act->sa_sigaction == handle;
}

int vfn_sigbus_guard(bool on)
{
	struct sigaction now, ours;

	if (!on && !guarding)
		return 0;

	if (os_sigaction(SIGBUS, NULL, &now))
		return vfn_fail(errno, "cannot tell what SIGBUS does: %s", strerror(errno));
	if (guarding && !is_ours(&now))
		return vfn_fail(EBUSY, "SIGBUS has got another handler since it has the guard's");
	if (on && guarding)
		return 0;

	/* handlers that are called by ours find what they have asked for */
	if (on) {
		before = now;
		ours = now;
		ours.sa_sigaction = handle;
		ours.sa_flags = (now.sa_flags & ~(int)SA_RESETHAND) | SA_SIGINFO | SA_ONSTACK;
	}
	if (os_sigaction(SIGBUS, on ? &ours : &before, NULL))
		return vfn_fail(errno, "cannot change what SIGBUS does: %s", strerror(errno));

	guarding = on;

	return 0;
}
