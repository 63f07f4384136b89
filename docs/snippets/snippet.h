/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs that the manual quotes share: how they fail. */
#ifndef DOCS_SNIPPET_H
#define DOCS_SNIPPET_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/log.h>

/* End the program after a call into the library that has failed. */
static inline __attribute__((noreturn)) void fail(void)
{
	fprintf(stderr, "%s\n", *vfn_last_error() ? vfn_last_error() : strerror(errno));
	exit(1);
}

#endif /* DOCS_SNIPPET_H */
