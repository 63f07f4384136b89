/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the slides leave out: headers, and how a program says that something is wrong. */
#ifndef TESTS_CONTRACT_V3_SLIDES_H
#define TESTS_CONTRACT_V3_SLIDES_H

#include <stdio.h>
#include <stdlib.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#define check(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			exit(1); \
		} \
	} while (0)

#endif /* TESTS_CONTRACT_V3_SLIDES_H */
