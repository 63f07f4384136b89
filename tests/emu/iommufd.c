// SPDX-License-Identifier: GPL-2.0-or-later
/* iommufd: its objects, who holds them, and the address spaces among them. */
#include "emu_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/abi.h"

#define PAGE_MASK (EMU_PAGE - 1)
#define HUGE_PAGE (2UL << 20)
#define CMD_MAX 128
#define FAULT_TIMEOUT_MS 5000

enum object_type {
	OBJECT_IOAS,
	OBJECT_HWPT,
	OBJECT_DEVICE,
	OBJECT_FAULT,
};

struct object {
	enum object_type type;
	uint32_t id;
	unsigned int users; /* EBUSY while there are any */
	struct space space; /* an IOAS's; its users are page tables */
	/* a page table's; its users are devices */
	struct object *ioas, *fault;
	bool automatic; /* goes with its last user */
	/* a fault queue's: the ends of process and kernel, and whom the first one holds */
	int own, peer;
	uint32_t cookie;
	struct iommufd *ctx;
};

/* Kept by its descriptor, bound devices and descriptors of fault queues. */
struct iommufd {
	struct object **objects; /* by number less one */
	uint32_t room;
	unsigned int count, holders;
};

/* ----------------------------------------------------------------- objects */

static struct object *find(struct iommufd *ctx, uint32_t id)
{
	return id && id <= ctx->room ? ctx->objects[id - 1] : NULL;
}

/* Numbers are reused, the lowest first. */
static struct object *add(struct iommufd *ctx, enum object_type type)
{
	struct object *obj;
	uint32_t at = 0;

	if (emu_iommu()->object_limit && ctx->count >= emu_iommu()->object_limit) {
		errno = ENOMEM;
		return NULL;
	}
	while (at < ctx->room && ctx->objects[at])
		at++;
	if (at == ctx->room) {
		ctx->objects = emu_resize(ctx->objects, (at + 1) * sizeof(*ctx->objects));
		ctx->room++;
	}
	obj = ctx->objects[at] = emu_zalloc(sizeof(*obj));
	obj->type = type;
	obj->id = at + 1;
	obj->peer = -1;
	if (type == OBJECT_IOAS)
		space_init(&obj->space);
	ctx->count++;
	emu_used.objects++;

	return obj;
}

static void drop(struct iommufd *ctx, struct object *obj)
{
	if (obj->ioas)
		obj->ioas->users--;
	if (obj->fault)
		obj->fault->users--;
	if (obj->type == OBJECT_IOAS)
		space_fini(&obj->space, "IOAS destroyed");
	if (obj->peer >= 0)
		close(obj->peer);
	ctx->objects[obj->id - 1] = NULL;
	ctx->count--;
	emu_used.objects--;
	free(obj);
}

/* Those that hold others go first. */
static void drop_all(struct iommufd *ctx)
{
	static const enum object_type order[] = { OBJECT_DEVICE, OBJECT_HWPT, OBJECT_FAULT,
						  OBJECT_IOAS };

	if (ctx->count)
		emu_report("/dev/iommu closed with %u objects", ctx->count);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		for (uint32_t at = 0; at < ctx->room; at++) {
			if (ctx->objects[at] && ctx->objects[at]->type == order[i])
				drop(ctx, ctx->objects[at]);
		}
	}
}

static void put(struct iommufd *ctx)
{
	if (--ctx->holders)
		return;
	drop_all(ctx);
	free(ctx->objects);
	free(ctx);
}

static int destroy(struct iommufd *ctx, void *arg)
{
	const struct abi_iommu_destroy *cmd = arg;
	struct object *obj = find(ctx, cmd->id);

	if (!obj)
		return ENOENT;
	if (obj->users)
		return EBUSY;
	drop(ctx, obj);

	return 0;
}

/* ------------------------------------------------------------------- IOAS */

static int ioas_alloc(struct iommufd *ctx, void *arg)
{
	struct abi_iommu_ioas_alloc *cmd = arg;
	struct object *obj;

	if (cmd->flags)
		return EOPNOTSUPP;
	obj = add(ctx, OBJECT_IOAS);
	if (!obj)
		return errno;
	cmd->out_ioas_id = obj->id;

	return 0;
}

static struct object *find_ioas(struct iommufd *ctx, uint32_t id)
{
	struct object *obj = find(ctx, id);

	return obj && obj->type == OBJECT_IOAS ? obj : NULL;
}

/* What no device limits is all of 64 bits. */
static uint32_t count_ranges(const struct object *ioas)
{
	static uint32_t grown;
	const struct emu_iommu_opts *o = emu_iommu();

	if (!ioas->users)
		return 1;
	switch (o->chain) {
	case EMU_CHAIN_NONE:
		return 0;
	case EMU_CHAIN_COUNT_HUGE:
		return UINT32_MAX;
	case EMU_CHAIN_ARGSZ_GROWS:
		return grown += 64;
	default:
		return o->nranges;
	}
}

static int iova_ranges(struct iommufd *ctx, void *arg)
{
	struct abi_iommu_ioas_iova_ranges *cmd = arg;
	struct abi_iommu_iova_range *out = (void *)(uintptr_t)cmd->allowed_iovas;
	const struct object *ioas = find_ioas(ctx, cmd->ioas_id);
	struct emu_range all = { 0, UINT64_MAX };
	uint32_t room = cmd->num_iovas, known = emu_iommu()->nranges;
	const struct emu_range *ranges = emu_iommu()->ranges;

	if (cmd->__reserved)
		return EOPNOTSUPP;
	if (!ioas)
		return ENOENT;
	if (!ioas->users) {
		ranges = &all;
		known = 1;
	}
	cmd->num_iovas = count_ranges(ioas);
	cmd->out_iova_alignment = ioas->users ? EMU_PAGE : 1;
	for (uint32_t i = 0; i < room && i < known && i < cmd->num_iovas; i++)
		out[i] = (struct abi_iommu_iova_range){ ranges[i].start, ranges[i].last };

	return cmd->num_iovas > room ? EMSGSIZE : 0;
}

/* ---------------------------------------------------------- MAP and UNMAP */

static bool reserved(const struct object *ioas, uint64_t iova, uint64_t last)
{
	return ioas->users && !iommu_in_ranges(iova, last);
}

/* The kernel keeps as much of the memory's alignment as pays off, but takes no IOVA 0. */
static int choose_iova(const struct object *ioas, uint64_t addr, uint64_t size, uint64_t *iova)
{
	const struct emu_range all = { 0, UINT64_MAX };
	const struct emu_range *ranges = ioas->users ? emu_iommu()->ranges : &all;
	unsigned int n = ioas->users ? emu_iommu()->nranges : 1;
	uint64_t align = EMU_PAGE;

	while (align < size && align < HUGE_PAGE && !(addr & align))
		align *= 2;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t at = ranges[i].start ? ranges[i].start : EMU_PAGE;
		const struct dma_map *m;

		for (at = (at + align - 1) & -align; at < ranges[i].last; at = *iova) {
			if (ranges[i].last - at < size - 1)
				break;
			m = space_next(&ioas->space, at);
			if (!m || m->iova > at + size - 1) {
				*iova = at;
				return 0;
			}
			*iova = (m->iova + m->size + align - 1) & -align;
		}
	}

	return ENOSPC;
}

static int check_flags(uint32_t flags, uint64_t iova, uint64_t length)
{
	const uint32_t rw = ABI_IOMMU_IOAS_MAP_READABLE | ABI_IOMMU_IOAS_MAP_WRITEABLE;

	if (flags & ~(rw | ABI_IOMMU_IOAS_MAP_FIXED_IOVA))
		return EOPNOTSUPP;
	if (iova == UINT64_MAX || length == UINT64_MAX)
		return EOVERFLOW;

	return flags & rw ? 0 : EINVAL;
}

/* Where a mapping of @length goes; @addr is what the alignment goes by. */
static int place(const struct object *ioas, uint32_t flags, uint64_t addr, uint64_t length,
		 uint64_t *iova)
{
	const struct dma_map *next;

	if (!length || length & PAGE_MASK)
		return EINVAL;
	if (!(flags & ABI_IOMMU_IOAS_MAP_FIXED_IOVA))
		return length >= UINT64_MAX / 2 ? EOVERFLOW : choose_iova(ioas, addr, length, iova);
	if (*iova & PAGE_MASK)
		return EINVAL;
	if (*iova + length - 1 < *iova)
		return EOVERFLOW;
	if (reserved(ioas, *iova, *iova + length - 1))
		return EINVAL;
	next = space_next(&ioas->space, *iova);

	return next && next->iova <= *iova + length - 1 ? EEXIST : 0;
}

static int ioas_map(struct iommufd *ctx, void *arg)
{
	struct abi_iommu_ioas_map *cmd = arg;
	struct object *ioas = find_ioas(ctx, cmd->ioas_id);
	struct dma_map m = {
		.size = cmd->length,
		.vaddr = (char *)(uintptr_t)cmd->user_va,
		.host = (char *)(uintptr_t)cmd->user_va,
		.read = cmd->flags & ABI_IOMMU_IOAS_MAP_READABLE,
		.write = cmd->flags & ABI_IOMMU_IOAS_MAP_WRITEABLE,
	};
	int err = cmd->__reserved ? EOPNOTSUPP : check_flags(cmd->flags, cmd->iova, cmd->length);

	if (err)
		return err;
	if (!ioas)
		return ENOENT;
	if (cmd->user_va + cmd->length < cmd->user_va)
		return EOVERFLOW;
	err = place(ioas, cmd->flags, cmd->user_va, cmd->length, &cmd->iova);
	if (err)
		return err;
	if (cmd->user_va & PAGE_MASK)
		return EINVAL;
	if (iommu_over_memlock(cmd->length))
		return ENOMEM;
	/* pages are pinned for page tables: without any, whatever is mapped */
	if (ioas->users && (mm_bar_memory(&m) || !space_memory_ok(&m)))
		return EFAULT;
	m.iova = cmd->iova;
	space_insert(&ioas->space, &m);

	return 0;
}

/* Whole mappings only; those below one that sticks out are gone when that is found. */
static int unmap_range(struct object *ioas, uint64_t iova, uint64_t last, uint64_t *removed)
{
	const struct dma_map *first = space_next(&ioas->space, iova);
	const struct dma_map *end = space_next(&ioas->space, last);

	if (first && first->iova < iova)
		return ENOENT;
	if (end && end->iova <= last && end->iova + end->size - 1 > last) {
		if (end->iova > iova)
			space_remove(&ioas->space, iova, end->iova - 1);
		return ENOENT;
	}
	*removed = space_remove(&ioas->space, iova, last);

	return 0;
}

static int ioas_unmap(struct iommufd *ctx, void *arg)
{
	struct abi_iommu_ioas_unmap *cmd = arg;
	struct object *ioas = find_ioas(ctx, cmd->ioas_id);
	bool all = !cmd->iova && cmd->length == UINT64_MAX;
	uint64_t last = all ? UINT64_MAX : cmd->iova + cmd->length - 1;
	uint64_t removed = 0;
	int err;

	if (!ioas)
		return ENOENT;
	if (!all && (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX))
		return EOVERFLOW;
	if (!cmd->length)
		return EINVAL;
	if (last < cmd->iova)
		return EOVERFLOW;
	err = unmap_range(ioas, cmd->iova, last, &removed);
	if (err)
		return err;
	if (!removed && !all)
		return ENOENT;
	cmd->length = removed;
	if (emu_iommu()->short_unmap && removed)
		cmd->length -= EMU_PAGE;

	return 0;
}

static int ioas_map_file(struct iommufd *ctx, void *arg)
{
	struct abi_iommu_ioas_map_file *cmd = arg;
	struct object *ioas = find_ioas(ctx, cmd->ioas_id);
	struct dma_map m = {
		.size = cmd->length,
		.read = cmd->flags & ABI_IOMMU_IOAS_MAP_READABLE,
		.write = cmd->flags & ABI_IOMMU_IOAS_MAP_WRITEABLE,
	};
	int err = check_flags(cmd->flags, cmd->iova, cmd->length);

	if (err)
		return err;
	if (!ioas)
		return ENOENT;
	err = place(ioas, cmd->flags, cmd->start, cmd->length, &cmd->iova);
	if (err)
		return err;
	if (cmd->start & PAGE_MASK)
		return EINVAL;
	if (iommu_over_memlock(cmd->length))
		return ENOMEM;
	err = dmabuf_memory(cmd->fd, cmd->start, &m);
	if (err)
		return err;
	m.iova = cmd->iova;
	space_insert(&ioas->space, &m);

	return 0;
}

/* ------------------------------------------------------ page tables, devices */

/* All that is mapped must suit the device and be there to be pinned. */
static int fits(const struct object *ioas)
{
	const struct space *s = &ioas->space;

	for (const struct dma_map *p = space_next(s, 0); p; p = space_after(s, p)) {
		struct dma_map m = *p;

		if (!iommu_in_ranges(m.iova, m.iova + m.size - 1))
			return EADDRINUSE;
		if (!m.file && !m.pci && (mm_bar_memory(&m) || !space_memory_ok(&m)))
			return EFAULT;
	}

	return 0;
}

static struct object *add_hwpt(struct iommufd *ctx, struct object *ioas, struct object *fault)
{
	int err = ioas->users ? 0 : fits(ioas);
	struct object *hwpt;

	if (err) {
		errno = err;
		return NULL;
	}
	hwpt = add(ctx, OBJECT_HWPT);
	if (!hwpt)
		return NULL;
	hwpt->ioas = ioas;
	ioas->users++;
	hwpt->fault = fault;
	if (fault)
		fault->users++;

	return hwpt;
}

static struct object *automatic_hwpt(struct iommufd *ctx, struct object *ioas)
{
	struct object *hwpt;

	for (uint32_t i = 0; i < ctx->room; i++) {
		hwpt = ctx->objects[i];
		if (hwpt && hwpt->ioas == ioas && hwpt->automatic)
			return hwpt;
	}
	hwpt = add_hwpt(ctx, ioas, NULL);
	if (hwpt)
		hwpt->automatic = true;

	return hwpt;
}

static void put_hwpt(struct iommufd *ctx, struct object *hwpt)
{
	if (hwpt->automatic && !hwpt->users)
		drop(ctx, hwpt);
}

/* Devices of a group share a page table. */
static bool others_differ(const struct emu_pci *pci, const struct object *hwpt)
{
	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		if (p != pci && p->group == pci->group && p->hwpt && p->hwpt != hwpt)
			return true;
	}

	return false;
}

/* A device that still uses mappings complains, unless @next has the same. */
static void leave(struct emu_pci *pci, const struct object *next)
{
	struct object *hwpt = pci->hwpt;

	if (!hwpt)
		return;
	if (pci->ops && !(next && next->ioas == hwpt->ioas))
		pci->ops->unmapping(pci, 0, UINT64_MAX);
	pci->hwpt = NULL;
	pci->blocked = false;
	hwpt->users--;
	put_hwpt(pci->iommufd, hwpt);
}

static int enter(struct emu_pci *pci, struct object *hwpt)
{
	if (others_differ(pci, hwpt))
		return EINVAL;
	if (hwpt->fault && pci->physfn)
		return EINVAL;
	if (hwpt->fault && emu_iommu()->no_pri) {
		pci->blocked = true;
		return ENODEV;
	}
	if (hwpt == pci->hwpt)
		return 0;
	hwpt->users++;
	leave(pci, hwpt);
	pci->hwpt = hwpt;

	return 0;
}

int iommufd_attach(struct emu_pci *pci, uint32_t *pt_id)
{
	struct iommufd *ctx = pci->iommufd;
	struct object *obj = find(ctx, *pt_id), *hwpt = obj;
	int err;

	if (!obj)
		return emu_errno(ENOENT);
	if (obj->type == OBJECT_IOAS)
		hwpt = automatic_hwpt(ctx, obj);
	else if (obj->type != OBJECT_HWPT)
		return emu_errno(EINVAL);
	if (!hwpt)
		return -1;
	err = enter(pci, hwpt);
	if (err) {
		put_hwpt(ctx, hwpt);
		return emu_errno(err);
	}
	*pt_id = hwpt->id;

	return 0;
}

void iommufd_detach(struct emu_pci *pci)
{
	leave(pci, NULL);
}

static struct object *find_fault(struct iommufd *ctx, uint32_t id)
{
	struct object *obj = find(ctx, id);

	return obj && obj->type == OBJECT_FAULT ? obj : NULL;
}

static int hwpt_alloc(struct iommufd *ctx, void *arg)
{
	struct abi_iommu_hwpt_alloc *cmd = arg;
	const bool with_fault = cmd->flags & ABI_IOMMU_HWPT_FAULT_ID_VALID;
	struct object *dev = find(ctx, cmd->dev_id), *ioas = find_ioas(ctx, cmd->pt_id);
	struct object *fault = find_fault(ctx, cmd->fault_id), *hwpt;

	if (cmd->__reserved)
		return EOPNOTSUPP;
	if (!cmd->data_type != !cmd->data_len)
		return EINVAL;
	if (!dev || dev->type != OBJECT_DEVICE)
		return ENOENT;
	if (!ioas)
		return EINVAL;
	if (cmd->flags & ~ABI_IOMMU_HWPT_FAULT_ID_VALID || cmd->data_type)
		return EOPNOTSUPP;
	if (with_fault && emu_iommu()->no_fault_hwpt)
		return EOPNOTSUPP;
	if (with_fault && !fault)
		return ENOENT;
	hwpt = add_hwpt(ctx, ioas, with_fault ? fault : NULL);
	if (!hwpt)
		return errno;
	cmd->out_hwpt_id = hwpt->id;

	return 0;
}

/* A group has one owner: none of its devices may have a kernel driver or another iommufd. */
static bool owned_by_other(const struct iommufd *ctx, const struct emu_pci *pci)
{
	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		if (p->group == pci->group && p->iommufd && p->iommufd != ctx)
			return true;
	}

	return !vfio_group_viable(pci->group);
}

int iommufd_bind(struct iommufd *ctx, struct emu_pci *pci)
{
	struct object *idev;

	if (owned_by_other(ctx, pci))
		return emu_errno(EPERM);
	idev = add(ctx, OBJECT_DEVICE);
	if (!idev)
		return -1;
	idev->users = 1;
	ctx->holders++;
	pci->iommufd = ctx;
	pci->idev = idev;

	return 0;
}

void iommufd_unbind(struct emu_pci *pci)
{
	struct iommufd *ctx = pci->iommufd;

	leave(pci, NULL);
	drop(ctx, pci->idev);
	pci->idev = NULL;
	pci->iommufd = NULL;
	put(ctx);
}

struct space *iommufd_space(struct object *hwpt)
{
	return &hwpt->ioas->space;
}

uint32_t iommufd_id(const struct object *object)
{
	return object->id;
}

/* ------------------------------------------------------------ fault queues */

/* A socket, so that its users can poll it. A message is a group, which comes whole or not at all. */
static ssize_t fault_pread(struct emu_file *file, void *buf, size_t count, uint64_t offset)
{
	struct object *fault = file->priv;
	size_t done = 0;
	ssize_t n;

	(void)offset;
	if (count % sizeof(struct abi_iommu_hwpt_pgfault))
		return emu_errno(ESPIPE);

	for (;;) {
		n = recv(fault->own, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
		if (n <= 0 || (size_t)n > count - done)
			return (ssize_t)done;
		done += (size_t)recv(fault->own, (char *)buf + done, count - done, MSG_DONTWAIT);
	}
}

static ssize_t fault_pwrite(struct emu_file *file, const void *buf, size_t count, uint64_t offset)
{
	struct object *fault = file->priv;

	(void)offset;
	if (count % sizeof(struct abi_iommu_hwpt_page_response))
		return emu_errno(ESPIPE);

	return send(fault->own, buf, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void fault_release(struct emu_file *file)
{
	struct object *fault = file->priv;
	struct iommufd *ctx = fault->ctx;

	fault->users--;
	put(ctx);
}

static const struct file_ops fault_ops = {
	.name = "fault queue",
	.pread = fault_pread,
	.pwrite = fault_pwrite,
	.release = fault_release,
};

static int fault_queue_alloc(struct iommufd *ctx, void *arg)
{
	struct abi_iommu_fault_alloc *cmd = arg;
	struct object *fault;
	int ends[2];

	if (cmd->flags)
		return EOPNOTSUPP;
	fault = add(ctx, OBJECT_FAULT);
	if (!fault)
		return errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		drop(ctx, fault);
		return errno;
	}
	fault->own = fd_install_over(ends[0], &fault_ops, O_RDWR, fault);
	fault->peer = ends[1];
	if (fault->own < 0) {
		drop(ctx, fault);
		return EMFILE;
	}
	fault->ctx = ctx;
	fault->users = 1;
	ctx->holders++;
	cmd->out_fault_id = fault->id;
	cmd->out_fault_fd = fault->own;

	return 0;
}

/* Until the process says that it has done what it could, or seems to be gone. */
static bool wait_for_answer(int peer, uint32_t cookie)
{
	struct abi_iommu_hwpt_page_response answer;
	struct pollfd p = { .fd = peer, .events = POLLIN };
	int n = poll(&p, 1, FAULT_TIMEOUT_MS);

	if (n <= 0 || recv(peer, &answer, sizeof(answer), 0) != sizeof(answer)) {
		emu_report("page fault %u: no answer", cookie);
		return false;
	}
	if (answer.cookie != cookie || answer.code > ABI_IOMMUFD_PAGE_RESP_INVALID) {
		emu_report("page fault %u: answer %u to %u", cookie, answer.code, answer.cookie);
		return false;
	}

	return answer.code == ABI_IOMMUFD_PAGE_RESP_SUCCESS;
}

bool iommufd_page_fault(struct emu_pci *pci, uint64_t iova, unsigned int pages, bool write)
{
	struct object *fault = pci->hwpt ? pci->hwpt->fault : NULL;
	struct abi_iommu_hwpt_pgfault group[FAULT_PAGES_MAX];
	uint32_t cookie;
	bool ok;

	if (!fault)
		return false;
	cookie = ++fault->cookie;
	for (unsigned int i = 0; i < pages; i++)
		group[i] = (struct abi_iommu_hwpt_pgfault){
			.flags = i + 1 == pages ? ABI_IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0,
			.perm = write ? ABI_IOMMU_PGFAULT_PERM_WRITE : ABI_IOMMU_PGFAULT_PERM_READ,
			.addr = (iova & ~PAGE_MASK) + i * EMU_PAGE,
			.dev_id = pci->idev->id,
			.cookie = cookie,
		};
	if (send(fault->peer, group, pages * sizeof(*group), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	emu_log("page fault 0x%llx", (unsigned long long)group[0].addr);
	emu_unlock(NULL);
	ok = wait_for_answer(fault->peer, cookie);
	emu_lock();

	return ok;
}

/* -------------------------------------------------------------- descriptor */

static const struct {
	unsigned long request;
	uint32_t size, min; /* of the structure, and what the first kernel had */
	int (*execute)(struct iommufd *ctx, void *cmd);
} commands[] = {
	{ ABI_IOMMU_DESTROY, sizeof(struct abi_iommu_destroy), 8, destroy },
	{ ABI_IOMMU_IOAS_ALLOC, sizeof(struct abi_iommu_ioas_alloc), 12, ioas_alloc },
	{ ABI_IOMMU_IOAS_IOVA_RANGES, sizeof(struct abi_iommu_ioas_iova_ranges), 32, iova_ranges },
	{ ABI_IOMMU_IOAS_MAP, sizeof(struct abi_iommu_ioas_map), 40, ioas_map },
	{ ABI_IOMMU_IOAS_UNMAP, sizeof(struct abi_iommu_ioas_unmap), 24, ioas_unmap },
	{ ABI_IOMMU_IOAS_MAP_FILE, sizeof(struct abi_iommu_ioas_map_file), 40, ioas_map_file },
	{ ABI_IOMMU_HWPT_ALLOC, sizeof(struct abi_iommu_hwpt_alloc), 24, hwpt_alloc },
	{ ABI_IOMMU_FAULT_QUEUE_ALLOC, sizeof(struct abi_iommu_fault_alloc), 16,
	  fault_queue_alloc },
};

/* What older kernels do not have. */
static bool unknown(unsigned long request)
{
	return (request == ABI_IOMMU_IOAS_MAP_FILE && emu_iommu()->no_map_file) ||
	       (request == ABI_IOMMU_FAULT_QUEUE_ALLOC && emu_iommu()->no_fault_queue);
}

/* A longer structure than is known must end in zeroes. */
static int copy_in(void *cmd, const void *arg, uint32_t given, uint32_t size)
{
	for (uint32_t i = size; i < given; i++) {
		if (((const char *)arg)[i])
			return E2BIG;
	}
	memcpy(cmd, arg, given < size ? given : size);

	return 0;
}

static int iommufd_ioctl(struct emu_file *file, unsigned long request, void *arg)
{
	uint64_t cmd[CMD_MAX / 8] = {};
	uint32_t given;
	size_t i = 0;
	int err;

	while (i < ARRAY_SIZE(commands) && commands[i].request != request)
		i++;
	if (i == ARRAY_SIZE(commands) || unknown(request))
		return emu_errno(ENOTTY);
	memcpy(&given, arg, sizeof(given));
	if (given < commands[i].min)
		return emu_errno(EINVAL);
	err = copy_in(cmd, arg, given, commands[i].size);
	if (err)
		return emu_errno(err);
	err = commands[i].execute(file->priv, cmd);
	/* answers of failed commands stay in the kernel, but how many ranges there are */
	if (!err || err == EMSGSIZE)
		memcpy(arg, cmd, given < commands[i].size ? given : commands[i].size);

	return err ? emu_errno(err) : 0;
}

static void iommufd_release(struct emu_file *file)
{
	put(file->priv);
}

static const struct file_ops iommufd_ops = {
	.name = "iommufd",
	.ioctl = iommufd_ioctl,
	.release = iommufd_release,
};

static int iommufd_open(void *priv, int flags)
{
	struct iommufd *ctx = emu_zalloc(sizeof(*ctx));
	int fd = fd_install(&iommufd_ops, flags, ctx);

	(void)priv;
	if (fd < 0)
		free(ctx);
	else
		ctx->holders = 1;

	return fd;
}

struct iommufd *iommufd_of(int fd)
{
	struct emu_file *file = fd_get(fd);

	if (file && file->ops == &iommufd_ops)
		return file->priv;
	errno = !file && fcntl(fd, F_GETFD) < 0 ? EBADF : EBADFD;

	return NULL;
}

void iommufd_init(void)
{
	fs_device("/dev/iommu", iommufd_open, NULL, iommu_no_iommufd);
}
