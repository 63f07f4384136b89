/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A namespace as a block device: open it by its address, and read and write any number of blocks. */
#ifndef VFN_BLK_H
#define VFN_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * A namespace that is open is a handle, which threads may share. Handles of namespaces of one
 * controller share that controller: the first one brings it up, the last one shuts it down.
 *
 * Errors are 0 or -1 with errno, or a pointer or NULL with errno; vfn_last_error() says more.
 * Functions may be called by any thread at any time unless they say otherwise.
 */

/* A namespace that is open. Opaque. */
struct vfn_blk;

/* Of <vfn/nvme/types.h>, for programs with commands of their own. */
union nvme_cmd;

/**
 * enum vfn_blk_flags - how to open a namespace
 * @VFN_BLK_RDONLY: calls that write fail with EROFS
 * @VFN_BLK_EXACT: fail with ENOSPC where there are fewer queues or entries than asked for
 * @VFN_BLK_TRY: vfn_blk_submit() fails with EAGAIN where the queue is full; without, it keeps the request until
 *	there is room
 * @VFN_BLK_SGL: describe vectors by SGLs where the controller takes them
 * @VFN_BLK_NO_FALLBACK: do not do by other commands what the controller has no command for
 * @VFN_BLK_INTERRUPTS: waits sleep until there is an interrupt; without, they poll. Each queue takes a vector
 */
enum vfn_blk_flags {
	VFN_BLK_RDONLY = 1 << 0,
	VFN_BLK_EXACT = 1 << 1,
	VFN_BLK_TRY = 1 << 2,
	VFN_BLK_SGL = 1 << 3,
	VFN_BLK_NO_FALLBACK = 1 << 4,
	VFN_BLK_INTERRUPTS = 1 << 5,
};

/**
 * struct vfn_blk_opts - what to ask for; zero is the default for every field
 * @queues: pairs of queues; default is one per CPU, but no more than half of those that the controller has left
 * @depth: entries of a queue; one less can be outstanding; default 256, or what the controller takes
 * @timeout_ms: limit of a request; default 30 s. For admin commands that of the controller's first handle holds
 * @quirks: NVME_QUIRK_*; those of the controller's first handle hold
 * @flags: of enum vfn_blk_flags
 */
struct vfn_blk_opts {
	unsigned int queues;
	unsigned int depth;
	unsigned int timeout_ms;
	unsigned int quirks;
	unsigned int flags;
};

/**
 * enum vfn_blk_features - what a namespace and its controller can do
 * @VFN_BLK_F_RDONLY: it cannot be written: it is protected, or was opened so
 * @VFN_BLK_F_WRITE_CACHE: what is written is safe only after a flush
 * @VFN_BLK_F_COMPARE: blocks are compared by the controller
 * @VFN_BLK_F_DISCARD: blocks can be deallocated
 * @VFN_BLK_F_WRITE_ZEROES: zeroes are written without a transfer
 * @VFN_BLK_F_VERIFY: blocks are verified without a transfer
 * @VFN_BLK_F_COPY: blocks are copied without a transfer
 * @VFN_BLK_F_PI: blocks are protected: the controller makes and checks their protection information (PRACT), and a block
 *	that does not match ends a call with EILSEQ
 */
enum vfn_blk_features {
	VFN_BLK_F_RDONLY = 1 << 0,
	VFN_BLK_F_WRITE_CACHE = 1 << 1,
	VFN_BLK_F_COMPARE = 1 << 2,
	VFN_BLK_F_DISCARD = 1 << 3,
	VFN_BLK_F_WRITE_ZEROES = 1 << 4,
	VFN_BLK_F_VERIFY = 1 << 5,
	VFN_BLK_F_COPY = 1 << 6,
	VFN_BLK_F_PI = 1 << 7,
};

/**
 * struct vfn_blk_info - a namespace that is open
 * @bdf: address of the controller, DDDD:BB:DD.F
 * @nsid: namespace identifier
 * @block_size: bytes of a block
 * @nblocks: blocks
 * @max_blocks: most blocks of a command: longer requests are split
 * @boundary: blocks between the places that commands do not cross, 0 for none (NOIOB)
 * @queues: pairs of queues of this handle
 * @depth: entries of each
 * @features: of enum vfn_blk_features
 * @vendor: PCI vendor of the controller
 * @serial: serial number, without the spaces around it
 * @model: model number, the same
 * @firmware: firmware revision, the same
 * @nguid: globally unique identifier, zeroes for none
 * @eui64: IEEE identifier, zeroes for none
 * @zone_size: blocks from the start of a zone to that of the next one, 0 where there are none
 * @max_append: most blocks of vfn_blk_zone_append()
 *
 * Texts end with a zero; bytes that are not printable ASCII are question marks.
 */
struct vfn_blk_info {
	char bdf[16];
	uint32_t nsid;
	uint32_t block_size;
	uint64_t nblocks;
	uint32_t max_blocks;
	uint32_t boundary;
	unsigned int queues;
	unsigned int depth;
	unsigned int features;
	uint16_t vendor;
	char serial[21];
	char model[41];
	char firmware[9];
	uint8_t nguid[16];
	uint8_t eui64[8];
	uint64_t zone_size;
	uint32_t max_append;
};

/**
 * vfn_blk_open - open a namespace
 * @blk: receives the handle; untouched on error
 * @name: [DDDD:]BB:DD.F[/NSID]; without NSID, the first active namespace
 * @opts: what to ask for, NULL for defaults; copied
 *
 * Brings the controller up where no handle of this process has it. Identify, Base Specification 2.0,
 * section 5.17; NVM Command Set Specification 1.0, section 4.1.5.
 *
 * Return: 0, or -1 with errno: EINVAL (@name, @opts), ENODEV (no such device or namespace), EBUSY (another
 * process, or this one by nvme_init(), has the device), EACCES (permission), ENOSPC (the controller has no
 * queues left, or with VFN_BLK_EXACT fewer than asked for; VFN_BLK_INTERRUPTS: no vectors), ENOTSUP (blocks with
 * metadata that is more than protection information, or of a size that makes no sense; VFN_BLK_INTERRUPTS: the
 * device has no vectors for queues), and those of nvme_init() and nvme_create_ioqpair(). Nothing is left behind then.
 */
int vfn_blk_open(struct vfn_blk **blk, const char *name, const struct vfn_blk_opts *opts);

/**
 * vfn_blk_close - close a handle
 * @blk: handle, invalid afterwards; NULL does nothing
 *
 * Deletes its queues, and releases memory of vfn_blk_alloc() and vfn_blk_register(). The last handle
 * of a controller shuts that down. No other call for this handle is under way.
 *
 * Return: 0, or -1 with errno: EBUSY (a queue of vfn_blk_get_queue() was not put back). Nothing has changed then.
 */
int vfn_blk_close(struct vfn_blk *blk);

/**
 * vfn_blk_get_info - describe a namespace
 * @blk: handle
 * @info: filled in
 */
void vfn_blk_get_info(const struct vfn_blk *blk, struct vfn_blk_info *info);

/*
 * Memory that was allocated or registered by a handle can be used with all handles of the same controller,
 * wherever in it the data lies.
 */

/**
 * vfn_blk_alloc - allocate memory for data
 * @blk: handle
 * @len: bytes, rounded up to pages
 *
 * Zeroed, at the start of a page, in huge pages where the kernel has them and @len is 2 MiB or more. The child
 * of a fork() does not have it.
 *
 * Return: memory for vfn_blk_free(), which vfn_blk_close() calls for what is left; or NULL with errno: EINVAL
 * (@len), ENOMEM (also the limit on locked memory).
 */
void *vfn_blk_alloc(struct vfn_blk *blk, size_t len);

/**
 * vfn_blk_free - free memory
 * @blk: handle that has allocated it
 * @mem: what vfn_blk_alloc() returned; no request uses it; NULL does nothing
 *
 * Return: 0, or -1 with errno: ENOENT (not the start of such memory).
 */
int vfn_blk_free(struct vfn_blk *blk, void *mem);

/**
 * vfn_blk_register - let the controller reach memory of the caller's
 * @blk: handle
 * @mem: start
 * @len: bytes
 *
 * The pages that it lies in stay pinned until vfn_blk_unregister() or vfn_blk_close(), and must stay allocated.
 * The controller can reach all of each page. Registering the same pages several times counts.
 *
 * Return: 0, or -1 with errno: EINVAL (@len), EEXIST (some of the pages are registered with others), and those of
 * iommu_map_vaddr().
 */
int vfn_blk_register(struct vfn_blk *blk, void *mem, size_t len);

/**
 * vfn_blk_unregister - undo vfn_blk_register()
 * @blk: handle
 * @mem: start as it was registered; no request uses the memory
 *
 * Return: 0, or -1 with errno: ENOENT (not registered).
 */
int vfn_blk_unregister(struct vfn_blk *blk, void *mem);

/*
 * Calls that wait. Each takes a queue of the handle that no other thread uses at the time, or waits for one. Any
 * number of blocks goes: what is too much for a command is split. Memory of vfn_blk_alloc() and
 * vfn_blk_register() is transferred from and to where it is; other memory, and what no command describes, such as data
 * that does not begin at a multiple of 4 bytes, is copied. Vectors may have pieces of any length, if their
 * sum is right.
 *
 * Errors of all: EINVAL (no blocks, or some beyond the end; NULL; lengths that do not fit), EROFS (it cannot be
 * written), ENOTSUP (the controller has no such command), ETIMEDOUT (the limit has passed; no command is out any
 * more), ENODEV (the controller is gone), EIO (it has failed, or a command has), ENOMEM, and what
 * vfn_nvme_status_errno() says to the status of a command, which vfn_last_error() names. Where several
 * commands failed the first one counts; the others may have been done.
 */

/**
 * vfn_blk_last_status - status of the command for which the last call of this thread has failed
 *
 * Only meaningful right after one of the calls below has failed, as vfn_last_error() is.
 *
 * Return: as in &struct vfn_blk_req; 0 if no command has failed.
 */
uint16_t vfn_blk_last_status(void);

/**
 * vfn_blk_read - read blocks
 * @blk: handle
 * @buf: receives them
 * @lba: first block
 * @nlb: how many
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_read(struct vfn_blk *blk, void *buf, uint64_t lba, uint64_t nlb);

/**
 * vfn_blk_write - write blocks
 * @blk: handle
 * @buf: what to write
 * @lba: first block
 * @nlb: how many
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_write(struct vfn_blk *blk, const void *buf, uint64_t lba, uint64_t nlb);

/**
 * vfn_blk_readv - read blocks into pieces of memory
 * @blk: handle
 * @iov: pieces; their lengths are a number of blocks together
 * @niov: how many
 * @lba: first block
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_readv(struct vfn_blk *blk, const struct iovec *iov, int niov, uint64_t lba);

/**
 * vfn_blk_writev - write blocks from pieces of memory
 * @blk: handle
 * @iov: pieces; their lengths are a number of blocks together
 * @niov: how many
 * @lba: first block
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_writev(struct vfn_blk *blk, const struct iovec *iov, int niov, uint64_t lba);

/**
 * vfn_blk_flush - make what was written safe
 * @blk: handle
 *
 * Holds for writes that have completed, of any queue (Base Specification 2.0, section 7.1). Where there is no write
 * cache nothing is sent.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_flush(struct vfn_blk *blk);

/**
 * vfn_blk_discard - tell the controller that blocks are not needed any more
 * @blk: handle
 * @lba: first block
 * @nlb: how many
 *
 * Dataset Management, attribute Deallocate (section 3.2.3). What they contain then the namespace says.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_discard(struct vfn_blk *blk, uint64_t lba, uint64_t nlb);

/**
 * vfn_blk_write_zeroes - write zeroes
 * @blk: handle
 * @lba: first block
 * @nlb: how many
 *
 * Write Zeroes (section 3.2.8), or writes where the controller has no such command, unless VFN_BLK_NO_FALLBACK.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_write_zeroes(struct vfn_blk *blk, uint64_t lba, uint64_t nlb);

/**
 * vfn_blk_compare - compare blocks with memory
 * @blk: handle
 * @buf: what they should contain
 * @lba: first block
 * @nlb: how many
 *
 * Compare (section 3.2.1).
 *
 * Return: 0, or -1 with errno; EILSEQ where they differ.
 */
int vfn_blk_compare(struct vfn_blk *blk, const void *buf, uint64_t lba, uint64_t nlb);

/**
 * vfn_blk_verify - let the controller read blocks, and see whether it can
 * @blk: handle
 * @lba: first block
 * @nlb: how many
 *
 * Verify (section 3.2.5).
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_verify(struct vfn_blk *blk, uint64_t lba, uint64_t nlb);

/**
 * vfn_blk_copy - copy blocks to other blocks
 * @blk: handle
 * @to: first block to write
 * @from: first block to read
 * @nlb: how many; the two must not overlap
 *
 * Copy (section 3.2.2), or reads and writes where the controller has no such command, unless VFN_BLK_NO_FALLBACK.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_copy(struct vfn_blk *blk, uint64_t to, uint64_t from, uint64_t nlb);

/**
 * vfn_blk_cmd - send a command of one's own
 * @blk: handle
 * @cmd: I/O command; its identifier and data pointer are the library's
 * @buf: data in the direction of the opcode, NULL for none
 * @len: bytes of data
 * @result: receives dwords 0 and 1 of the completion; or NULL
 *
 * Nothing but the data's memory is looked at. A handle that cannot be written takes commands only whose data comes from the
 * controller.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_cmd(struct vfn_blk *blk, const union nvme_cmd *cmd, void *buf, size_t len,
		uint64_t *result);

/**
 * vfn_blk_admin - send an admin command of one's own
 * @blk: handle
 * @cmd: admin command; its identifier and data pointer are the library's
 * @buf: data in the direction of the opcode, NULL for none
 * @len: bytes of data
 * @result: receives dwords 0 and 1 of the completion; or NULL
 *
 * Handles of the controller take turns. What it changes no handle hears of: do not touch queues.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_admin(struct vfn_blk *blk, const union nvme_cmd *cmd, void *buf, size_t len,
		  uint64_t *result);

/**
 * struct vfn_blk_zone - a zone
 * @start: first block
 * @capacity: blocks that can be written
 * @pointer: the block that is to be written next; makes no sense for zones that are full, read-only or offline
 * @type: 2 for zones that must be written in order
 * @state: 1 empty, 2 open by a write, 3 open by command, 4 closed, 13 read-only, 14 full, 15 offline (Zoned Namespace
 *	Command Set Specification 1.1, figure 37)
 */
struct vfn_blk_zone {
	uint64_t start;
	uint64_t capacity;
	uint64_t pointer;
	uint8_t type;
	uint8_t state;
};

/**
 * enum vfn_blk_zone_action - what to do with a zone
 * @VFN_BLK_ZONE_CLOSE: it takes no resources of an open one any more
 * @VFN_BLK_ZONE_FINISH: it is full
 * @VFN_BLK_ZONE_OPEN: it is going to be written
 * @VFN_BLK_ZONE_RESET: it is empty
 * @VFN_BLK_ZONE_OFFLINE: it was read-only, and is no more to be read either
 */
enum vfn_blk_zone_action {
	VFN_BLK_ZONE_CLOSE = 1,
	VFN_BLK_ZONE_FINISH,
	VFN_BLK_ZONE_OPEN,
	VFN_BLK_ZONE_RESET,
	VFN_BLK_ZONE_OFFLINE,
};

/* All zones to which it applies. */
#define VFN_BLK_ALL_ZONES UINT64_MAX

/**
 * vfn_blk_zone_report - describe zones
 * @blk: handle
 * @lba: a block of the first one
 * @zones: receives them
 * @max: how many there is room for, at least 1
 *
 * Zone Management Receive (Zoned Namespace Command Set Specification 1.1, section 3.4.2).
 *
 * Return: how many there are, from @lba on, up to @max; or -1 with errno; ENOTSUP where there are no zones.
 */
int vfn_blk_zone_report(struct vfn_blk *blk, uint64_t lba, struct vfn_blk_zone *zones, int max);

/**
 * vfn_blk_zone_send - do something with a zone
 * @blk: handle
 * @lba: first block of the zone, or VFN_BLK_ALL_ZONES
 * @action: of enum vfn_blk_zone_action
 *
 * Zone Management Send (section 3.4.3).
 *
 * Return: 0, or -1 with errno; ENOTSUP where there are no zones.
 */
int vfn_blk_zone_send(struct vfn_blk *blk, uint64_t lba, unsigned int action);

/**
 * vfn_blk_zone_append - write blocks where a zone goes on
 * @blk: handle
 * @lba: first block of the zone
 * @buf: what to write
 * @nlb: how many; no more than info.max_append, as they are not split
 * @where: receives the block that was written first; or NULL
 *
 * Zone Append (section 3.4.1). Of several at a time, nobody knows which comes first.
 *
 * Return: 0, or -1 with errno; ENOTSUP where there are no zones.
 */
int vfn_blk_zone_append(struct vfn_blk *blk, uint64_t lba, const void *buf, uint64_t nlb,
			uint64_t *where);

/**
 * vfn_blk_pread - read bytes
 * @blk: handle
 * @buf: receives them
 * @len: how many; 0 does nothing
 * @offset: first one
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_pread(struct vfn_blk *blk, void *buf, size_t len, uint64_t offset);

/**
 * vfn_blk_pwrite - write bytes
 * @blk: handle
 * @buf: what to write
 * @len: how many; 0 does nothing
 * @offset: first one
 *
 * A block of which only a part is written is read before. Such calls for the same handle wait for each other; what
 * others write into that block meanwhile may be lost.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_blk_pwrite(struct vfn_blk *blk, const void *buf, size_t len, uint64_t offset);

/*
 * Requests that do not wait. A queue of one's own is used by one thread at a time, without locks. A request is the
 * caller's memory, and belongs to the queue from vfn_blk_submit() until it is handed out, which
 * happens once: by vfn_blk_wait(), or by vfn_blk_wait_req().
 */

/* A pair of queues that one thread has. Opaque. */
struct vfn_blk_queue;

/**
 * enum vfn_blk_op - what a request does; see the calls of these names
 * @VFN_BLK_READ: read
 * @VFN_BLK_WRITE: write
 * @VFN_BLK_COMPARE: compare
 * @VFN_BLK_FLUSH: flush; there are no blocks
 * @VFN_BLK_DISCARD: discard
 * @VFN_BLK_WRITE_ZEROES: write zeroes, by that command only
 * @VFN_BLK_VERIFY: verify
 * @VFN_BLK_CMD: what @cmd of the request says, with @nlb bytes at @buf; there are no blocks
 */
enum vfn_blk_op {
	VFN_BLK_READ = 0,
	VFN_BLK_WRITE,
	VFN_BLK_COMPARE,
	VFN_BLK_FLUSH,
	VFN_BLK_DISCARD,
	VFN_BLK_WRITE_ZEROES,
	VFN_BLK_VERIFY,
	VFN_BLK_CMD,
};

/**
 * enum vfn_blk_req_flags - how to do it
 * @VFN_BLK_FUA: reads and writes: past the write cache (Force Unit Access)
 */
enum vfn_blk_req_flags {
	VFN_BLK_FUA = 1 << 0,
};

/**
 * struct vfn_blk_req - a request; zeroed before first use
 * @op: of enum vfn_blk_op
 * @flags: of enum vfn_blk_req_flags
 * @timeout_ms: its limit; 0 for that of the handle
 * @lba: first block
 * @nlb: how many
 * @buf: data, where there is no @iov
 * @iov: pieces of data, NULL for none; must stay until the request has ended
 * @niov: how many
 * @complete: called when it is handed out, after which the request is the caller's; or NULL. May submit, but not wait
 * @opaque: the caller's
 * @error: result: 0, or an errno as of the calls above; ECANCELED after vfn_blk_cancel()
 * @status: result: status of the first command that failed, le16_to_cpu(cqe->sfp) >> 1; 0 for none
 * @cmd: of VFN_BLK_CMD; must stay until the request has ended
 * @result: result of VFN_BLK_CMD: dwords 0 and 1 of the completion
 * @priv: the library's
 *
 * When it is handed out it may be submitted again, as it is or changed.
 */
struct vfn_blk_req {
	uint8_t op;
	uint8_t flags;
	uint32_t timeout_ms;
	uint64_t lba;
	uint64_t nlb;
	void *buf;
	const struct iovec *iov;
	int niov;
	int error;
	uint16_t status;
	void (*complete)(struct vfn_blk_req *req);
	void *opaque;
	const union nvme_cmd *cmd;
	uint64_t result;
	struct {
		struct vfn_blk_queue *queue;
		struct vfn_blk_req *next;
		uint64_t left;
		uint64_t deadline;
		const struct iovec *iov;
		size_t iov_offset;
		void *copy;
		size_t copy_len;
		uint32_t pieces;
		int reason;
		bool aborted;
		uint8_t state;
	} priv;
};

/**
 * vfn_blk_get_queue - have a queue for oneself
 * @blk: handle
 *
 * One queue of the handle always stays for the calls that wait.
 *
 * Return: a queue for vfn_blk_put_queue(), or NULL with errno EBUSY (there is none left: open with more).
 */
struct vfn_blk_queue *vfn_blk_get_queue(struct vfn_blk *blk);

/**
 * vfn_blk_put_queue - give a queue back
 * @queue: queue; NULL does nothing
 *
 * Return: 0, or -1 with errno: EBUSY (requests were not handed out: wait for them).
 */
int vfn_blk_put_queue(struct vfn_blk_queue *queue);

/**
 * vfn_blk_submit - put a request into a queue
 * @queue: queue; one thread at a time
 * @req: request, zeroed or handed out
 *
 * The controller learns of it from the next vfn_blk_wait() or vfn_blk_wait_req(). What does not fit into the queue
 * is sent by these, in order. Memory as for the calls that wait: of what is not registered a copy is made.
 *
 * Return: 0, or -1 with errno, and nothing is submitted: EINVAL, EROFS, ENOTSUP, ENOMEM, ENODEV, EIO as of the calls that
 * wait; EBUSY (it is submitted already), EAGAIN (VFN_BLK_TRY: the queue is full).
 */
int vfn_blk_submit(struct vfn_blk_queue *queue, struct vfn_blk_req *req);

/**
 * vfn_blk_wait - hand out requests that have ended
 * @queue: queue; one thread at a time
 * @done: receives them, each once; or NULL. Callbacks have been called then
 * @min: how many to wait for; 0 looks
 * @max: how many there is room for, at least 1
 * @timeout_ns: limit in nanoseconds; -1 for none but those of requests
 *
 * Limits of requests run from the first look at them, and are seen by calls of this and the next function
 * only: one that is overdue is aborted, and where that does not help its queue is made anew, which ends other
 * requests of the queue with ECANCELED. So does a controller that is gone, or that the kernel
 * wants back (vfn_vfio_request_fd()), or that has failed end requests, with ENODEV or EIO.
 *
 * Return: how many, fewer than @min if the time is up; or -1 with errno: EINVAL (@min is more than @max, or than what
 * was submitted; @max; @timeout_ns), ETIMEDOUT (none of @min).
 */
int vfn_blk_wait(struct vfn_blk_queue *queue, struct vfn_blk_req **done, int min, int max,
		 int64_t timeout_ns);

/**
 * vfn_blk_wait_req - hand one request out when it has ended
 * @req: request that was submitted; one thread at a time for its queue
 * @timeout_ns: limit in nanoseconds, 0 looks; -1 for none but those of requests
 *
 * Its callback is called. Others that end meanwhile stay for vfn_blk_wait().
 *
 * Return: 0 (@req->error has the result), or -1 with errno: EINVAL (it is not submitted; @timeout_ns), EAGAIN (it has
 * not ended, and @timeout_ns is 0), ETIMEDOUT.
 */
int vfn_blk_wait_req(struct vfn_blk_req *req, int64_t timeout_ns);

/**
 * vfn_blk_event_fd - have an event loop wait
 * @queue: queue of a handle with VFN_BLK_INTERRUPTS; one thread at a time
 *
 * For poll() and its kin: readable as long as vfn_blk_wait() may have something to hand out. It need not: look, with
 * a @min of 0. That look tells the controller of what was submitted, so it comes before the loop sleeps, too.
 * Nothing else is to be done with the descriptor, which is the queue's. Limits of requests, and a controller that is gone,
 * make nothing readable: look now and then.
 *
 * Return: a descriptor, or -1 with errno ENOTSUP (no VFN_BLK_INTERRUPTS).
 */
int vfn_blk_event_fd(const struct vfn_blk_queue *queue);

/**
 * vfn_blk_cancel - call a request off
 * @req: request that was submitted; one thread at a time for its queue
 *
 * What was not sent is not sent any more; what was is aborted, if the controller still can. The request ends with
 * ECANCELED, or as it would have if it was too late, and is handed out like any other.
 *
 * Return: 0, or -1 with errno EINVAL (it is not submitted).
 */
int vfn_blk_cancel(struct vfn_blk_req *req);

VFN_END_DECLS

#endif /* VFN_BLK_H */
