/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A change in a process apart. */
#ifndef VFNTOOL_APART_H
#define VFNTOOL_APART_H

#include <signal.h>
#include <sys/types.h>

/*
 * Returns in a child. The process itself forwards signals to it, and ends with its status; it says so when that takes
 * long, and leaves it alone when it takes too long, or at a second signal. Weak, as tests whose kernel is in their own process do without.
 */
void go_apart(void) __attribute__((weak));

/* What the process itself does: returns its exit status. Signals of @set are blocked. */
int stand_by(pid_t worker, const sigset_t *set, unsigned int patience_ms, unsigned int limit_ms);

#endif /* VFNTOOL_APART_H */
