// SPDX-License-Identifier: GPL-2.0-or-later
/* The shortest program that uses a namespace: open it, write a text, read it back. */
#include <stdio.h>

#include <vfn/blk.h>

#include "common.h"

int main(int argc, char **argv)
{
	const char *bdf =
		parse_options(argc, argv,
			      "Write a text over the first bytes of a namespace, and read it.",
			      (const struct option_spec[]){ {} });
	const char text[] = "hello, blocks";
	char found[sizeof(text)];
	struct vfn_blk *blk;

	if (vfn_blk_open(&blk, bdf, NULL))
		die_vfn("cannot open the namespace");
	if (vfn_blk_pwrite(blk, text, sizeof(text), 0) || vfn_blk_flush(blk))
		die_vfn("cannot write");
	if (vfn_blk_pread(blk, found, sizeof(found), 0))
		die_vfn("cannot read");
	printf("%.*s\n", (int)sizeof(found), found);

	if (vfn_blk_close(blk))
		die_vfn("cannot close");

	return 0;
}
