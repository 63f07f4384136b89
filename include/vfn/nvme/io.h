/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Reads and writes at the least cost: a call each to submit a command, and to take completions. */
#ifndef VFN_NVME_IO_H
#define VFN_NVME_IO_H

#include <stdint.h>

#include <vfn/nvme/ctrl.h>
#include <vfn/nvme/queue.h>
#include <vfn/nvme/types.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * What acquire, map, exec, get and release of <vfn/nvme/rq.h> do, in two calls that
 * build the command where the controller reads it, look at the memory's mapping
 * once, and ring each doorbell once for many commands. A kind of command is prepared
 * by vfn_nvme_io_prep(); then vfn_nvme_io_submit() puts as many into the queue as there
 * is room for, and vfn_nvme_io_poll() tells the controller of all of them and takes
 * what has completed.
 *
 * They may be mixed with the other calls for the same queue. Thread rule as for
 * queues: one thread per queue at a time, and one per struct vfn_nvme_io.
 */

/**
 * struct vfn_nvme_io - a kind of command, prepared
 * @cmd: what all of its commands have in common: dwords 0 to 3 and 12 to 15 (Base
 *	Specification 2.0, section 3.3.3.1). The caller may set fields there, such as
 *	cmd.rw.control. The command identifier, the number of blocks and what lies between
 *	come with each command
 * @first_page: where the part of memory begins that the last command was in; private
 * @leaf: the mappings of that part; private
 * @block: bytes of a block; private
 * @room: where in a page of 4 KiB the last block of a command may begin that lies in one; private
 * @slow: bits of the address of data beyond a page that make it no common case; private
 *
 * Belongs to the controller that it was prepared for, and must not be used after
 * that was closed.
 */
struct vfn_nvme_io {
	union nvme_cmd cmd;
	uint64_t first_page;
	const uint64_t *leaf;
	uint64_t block;
	int64_t room;
	uint64_t slow;
};

/**
 * struct vfn_nvme_done - a command that has completed
 * @opaque: what came with it
 * @cqe: its completion: nvme_cqe_ok(&cqe) says whether it was successful
 */
struct vfn_nvme_done {
	void *opaque;
	struct nvme_cqe cqe;
};

/**
 * vfn_nvme_io_prep - prepare a kind of command
 * @io: filled in
 * @ctrl: open controller
 * @opcode: read, write, compare, or any other whose data is a number of blocks that
 *	starts at a block (NVM Command Set Specification 1.0, section 3.2)
 * @nsid: namespace
 * @lba_shift: binary logarithm of the bytes of a block, between 9 and 16
 *
 * Return: 0, or -1 with errno: ENODEV (the controller is closed), EINVAL (@lba_shift).
 */
int vfn_nvme_io_prep(struct vfn_nvme_io *io, struct nvme_ctrl *ctrl, uint8_t opcode, uint32_t nsid,
		     unsigned int lba_shift);

/**
 * vfn_nvme_io_submit - put a command into its queue
 * @sq: I/O queue of the controller that @io was prepared for
 * @io: kind of command
 * @slba: first block
 * @nlb: number of blocks, from 1 to 65536
 * @buf: mapped memory, aligned to 4 bytes; must stay mapped until the command has completed
 * @opaque: comes back with the completion
 *
 * The controller learns of it from vfn_nvme_io_poll() or nvme_sq_update_tail().
 * The data is described by PRPs.
 *
 * Return: 0, or -1 with errno: EBUSY (all requests of the queue are in use: poll
 * first), EINVAL (@nlb, or what nvme_rq_mapv_prp() refuses), EFAULT (not all of
 * the data is mapped), ENOMEM. Nothing is submitted then.
 */
int vfn_nvme_io_submit(struct nvme_sq *sq, struct vfn_nvme_io *io, uint64_t slba, uint32_t nlb,
		       void *buf, void *opaque);

/**
 * vfn_nvme_io_poll - tell the controller what was submitted, and take completions
 * @sq: I/O queue
 * @done: receives what has completed
 * @max: how many there is room for
 *
 * Takes what is in the completion queue of @sq now; does not wait. Requests of
 * completed commands are released, those of the other submission queues of the
 * same completion queue included. The controller hears of consumed entries when they
 * are a quarter of the queue, or at once where the queue has an interrupt;
 * nvme_cq_update_head() tells it of all. Completions that nobody waits for are dropped,
 * as by __nvme_rq_from_cqe().
 *
 * Return: how many, 0 if there are none.
 */
int vfn_nvme_io_poll(struct nvme_sq *sq, struct vfn_nvme_done *done, int max);

VFN_END_DECLS

#endif /* VFN_NVME_IO_H */
