/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Has the kernel's driver send an admin command that moves data to the host, or none: prints the data, or dword 0. */
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 0);
}

int main(int argc, char **argv)
{
	static char data[4096];
	struct nvme_admin_cmd cmd = {};
	int fd, status;

	if (argc != 7) {
		fputs("usage: ask DEVICE OPCODE NSID CDW10 CDW11 LENGTH\n", stderr);
		return 2;
	}

	cmd.opcode = (uint8_t)number(argv[2]);
	cmd.nsid = number(argv[3]);
	cmd.cdw10 = number(argv[4]);
	cmd.cdw11 = number(argv[5]);
	cmd.data_len = number(argv[6]);
	cmd.addr = (uintptr_t)data;
	if (cmd.data_len > sizeof(data))
		return 2;

	fd = open(argv[1], O_RDONLY);
	status = fd < 0 ? -1 : ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd);
	if (status) {
		fprintf(stderr, "%s: status 0x%x\n", argv[1], (unsigned int)status);
		return 1;
	}

	if (cmd.data_len)
		fwrite(data, 1, cmd.data_len, stdout);
	else
		printf("0x%08x\n", cmd.result);

	return 0;
}
