/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host, for shell cases: "host trace EVENT" switches a trace event of QEMU's on, "host count TEXT" counts lines of the trace
 * that start with this regular expression, "host events NAME" those of QMP, "host qmp COMMAND" sends QEMU a command.
 */
#include <stdio.h>
#include <string.h>

#include "guest.h"

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "trace"))
		host_trace(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "count"))
		printf("%ld\n", host_trace_count(argv[2]));
	else if (argc == 3 && !strcmp(argv[1], "events"))
		printf("%ld\n", host_event_count(argv[2]));
	else if (argc == 3 && !strcmp(argv[1], "qmp"))
		host_qmp("%s", argv[2]);
	else
		return 2;

	return 0;
}
