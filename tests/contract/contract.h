/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the contract's programs share: the device they are given, commands, checks. Nothing but what api's users have. */
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vfn/nvme.h>
#include <vfn/pci.h>

enum {
	OP_WRITE = 0x01,
	OP_READ = 0x02,
};
enum {
	OP_DELETE_SQ = 0x00,
	OP_CREATE_SQ = 0x01,
	OP_GET_LOG = 0x02,
	OP_DELETE_CQ = 0x04,
	OP_CREATE_CQ = 0x05,
	OP_IDENTIFY = 0x06,
	OP_SET_FEATURES = 0x09,
	OP_GET_FEATURES = 0x0a,
};

#define BLOCK 512UL
#define PAGE 4096UL
#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* The controller that the program is run for: bound to vfio-pci, namespace 1 with blocks of 512 bytes. */
static inline const char *contract_bdf(void)
{
	const char *bdf = getenv("BDF_A");

	assert_non_null(bdf);

	return bdf;
}

/* The call succeeds, or the test fails with the library's reason. */
#define assert_ok(call) \
	do { \
		if ((call) != 0) \
			fail_msg("%s: %s", #call, vfn_last_error()); \
	} while (0)

#define assert_errno(call, err) \
	do { \
		errno = 0; \
		assert_int_equal(call, -1); \
		assert_int_equal(errno, err); \
	} while (0)

static inline union nvme_cmd contract_rw(uint8_t opcode, uint64_t slba, size_t len)
{
	union nvme_cmd cmd = {};

	cmd.rw.opcode = opcode;
	cmd.rw.nsid = cpu_to_le32(1);
	cmd.rw.slba = cpu_to_le64(slba);
	cmd.rw.nlb = cpu_to_le16((uint16_t)(len / BLOCK - 1));

	return cmd;
}

static inline void contract_fill(void *mem, size_t len, unsigned int seed)
{
	unsigned char *bytes = (unsigned char *)mem;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)((i * 131 + i / 251 + seed * 7919) >> 3);
}

#endif /* TESTS_CONTRACT_H */
