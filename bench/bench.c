// SPDX-License-Identifier: GPL-2.0-or-later
/* What an I/O costs the CPU, with a controller that costs next to nothing. bench.py makes a table of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

#ifdef __clang__
#define COMPILER "clang"
#else
#define COMPILER "gcc"
#endif

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool all = argc > 2 && !strcmp(argv[2], "all");
	struct vfn_blk *blk;
	struct ring *r, *other;
	int status = 0;

	if (!strcmp(what, "compiler")) {
		puts("{\"compiler\": \"" COMPILER " " __VERSION__ "\"}");
		return 0;
	}

	blk = rig_start();
	if (!strcmp(what, "memory")) {
		measure_memory(rig_ctrl(blk));
		rig_stop(blk);
		return 0;
	}

	r = ring_open(blk);
	other = ring_open(blk);
	if (!strcmp(what, "contents")) {
		measure_contents(r);
		measure_contents(other);
	} else if (!strcmp(what, "spoiled")) {
		measure_spoiled(r);
	} else if (!strcmp(what, "counts")) {
		measure_counts(r, all);
	} else if (!strcmp(what, "lines")) {
		measure_lines(r, all);
	} else if (!strcmp(what, "times")) {
		measure_times(r, all);
	} else if (!strcmp(what, "threads") && argc > 3) {
		measure_threads(r, other, atoi(argv[2]), atoi(argv[3]));
	} else if (!strcmp(what, "shared")) {
		measure_shared(r, other);
	} else {
		status = 2;
	}
	ring_close(other);
	ring_close(r);
	rig_stop(blk);

	if (status)
		fprintf(stderr,
			"usage: bench "
			"compiler|contents|spoiled|memory|shared|counts [all]|lines [all]|times [all]|"
			"threads CPU CPU\n");

	return status;
}
