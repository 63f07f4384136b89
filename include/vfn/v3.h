/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Names of release 3 and before, as the slides and the first README have them, on top of today's. */
#ifndef VFN_V3_H
#define VFN_V3_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/nvme.h>

VFN_BEGIN_DECLS

/*
 * Include it last of our headers, or by the compiler's -include. Programs that
 * include <support/mem.h> find it with -idirafter PREFIX/include/vfn.
 *
 * Address spaces were containers, addresses plain numbers, and memory pgsmap()'ed.
 */
#define vfio_container iommu_ctx
#define vfio_map_vaddr(vfio, vaddr, len, iova) iommu_map_vaddr(vfio, vaddr, len, iova, 0)
#define vfio_unmap_vaddr(vfio, vaddr, len) iommu_unmap_vaddr(vfio, vaddr, len)
#define pgsmap(mem, sz) pgmap((void **)(mem), sz)

/* What the atomic variants of acquire and release are explained with. */
#ifndef load_acquire
#define load_acquire(ptr) atomic_load_acquire(ptr)
#endif
#ifndef cmpxchg
#define cmpxchg(ptr, expected, desired) atomic_cmpxchg(ptr, expected, desired)
#endif

/* Address spaces that this file has made. */
struct __vfn_v3_container {
	struct __vfn_v3_container *next;
	struct iommu_ctx *ctx;
};

static struct __vfn_v3_container *__vfn_v3_containers __attribute__((unused));

/* The completion queue that a thread has looked at last. */
static __thread struct nvme_cq *__vfn_v3_cq __attribute__((unused));

/**
 * vfio_new - make an address space
 *
 * Store it in pci.dev.ctx before nvme_init(). One thread at a time.
 *
 * Return: the address space, or NULL with errno.
 */
#define vfio_new() __vfn_v3_new()

static __attribute__((noinline, unused)) struct iommu_ctx *__vfn_v3_new(void)
{
	struct __vfn_v3_container *container =
		(struct __vfn_v3_container *)calloc(1, sizeof(*container));
	char name[32];

	if (!container)
		return NULL;

	/* of no other address space */
	(void)snprintf(name, sizeof(name), "v3-%p", (void *)container);
	container->ctx = iommu_get_context(name);
	if (!container->ctx) {
		free(container);
		return NULL;
	}

	container->next = __vfn_v3_containers;
	__vfn_v3_containers = container;

	return container->ctx;
}

/**
 * nvme_init - bring a controller up
 * @ctrl: controller, which need not be zeroed as today: those programs do not. Just
 *	an address space of vfio_new() in it counts.
 * @bdf: address
 * @opts: what to ask for
 *
 * Return: 0, or -1 with errno.
 */
#define nvme_init(ctrl, bdf, opts) __vfn_v3_nvme_init(ctrl, bdf, opts)

static __attribute__((noinline, unused)) int
__vfn_v3_nvme_init(struct nvme_ctrl *ctrl, const char *bdf, const struct nvme_ctrl_opts *opts)
{
	const struct __vfn_v3_container *container = __vfn_v3_containers;
	struct nvme_ctrl_opts copy = opts ? *opts : nvme_ctrl_opts_default;

	while (container && container->ctx != ctrl->pci.dev.ctx)
		container = container->next;

	memset(ctrl, 0, sizeof(*ctrl));
	ctrl->pci.dev.ctx = container ? container->ctx : NULL;

	return (nvme_init)(ctrl, bdf, &copy);
}

/* Requests know their controller. */
#define __vfn_v3_ctrl(rq) ((rq)->sq->cq->ctrl)

#define __vfn_v3_pick_5(_1, _2, _3, _4, _5, name, ...) name

#define __vfn_v3_map_prp_4(rq, cmd, iova, len) \
	(nvme_rq_map_prp)(__vfn_v3_ctrl(rq), rq, cmd, iova, len)
#define __vfn_v3_map_prp_5(ctrl, rq, cmd, iova, len) (nvme_rq_map_prp)(ctrl, rq, cmd, iova, len)
#define nvme_rq_map_prp(...) \
	__vfn_v3_pick_5(__VA_ARGS__, __vfn_v3_map_prp_5, __vfn_v3_map_prp_4, 0, 0, 0)(__VA_ARGS__)

#define __vfn_v3_mapv_prp_4(rq, cmd, iov, niov) \
	(nvme_rq_mapv_prp)(__vfn_v3_ctrl(rq), rq, cmd, iov, niov)
#define __vfn_v3_mapv_prp_5(ctrl, rq, cmd, iov, niov) (nvme_rq_mapv_prp)(ctrl, rq, cmd, iov, niov)
#define nvme_rq_mapv_prp(...) \
	__vfn_v3_pick_5(__VA_ARGS__, __vfn_v3_mapv_prp_5, __vfn_v3_mapv_prp_4, 0, 0, 0)(__VA_ARGS__)

/*
 * Completions do not: nvme_rq_from_cqe(cqe) takes the controller of the queue
 * that the thread has looked at last, in the same file.
 */
#define nvme_cq_get_cqe(cq) (__vfn_v3_cq = (cq), (nvme_cq_get_cqe)(__vfn_v3_cq))

VFN_INLINE struct nvme_rq *__vfn_v3_rq_from_cqe(struct nvme_cqe *cqe)
{
	if (!__vfn_v3_cq) {
		errno = EINVAL;
		return NULL;
	}

	return nvme_rq_from_cqe(__vfn_v3_cq->ctrl, cqe);
}

#define __vfn_v3_pick_2(_1, _2, name, ...) name
#define __vfn_v3_from_cqe_2(ctrl, cqe) (nvme_rq_from_cqe)(ctrl, cqe)
#define nvme_rq_from_cqe(...) \
	__vfn_v3_pick_2(__VA_ARGS__, __vfn_v3_from_cqe_2, __vfn_v3_rq_from_cqe, 0)(__VA_ARGS__)

VFN_END_DECLS

#endif /* VFN_V3_H */
