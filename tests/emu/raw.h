/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bare NVMe host on raw os_ and MMIO calls, with which the harness tests itself. */
#ifndef VFN_EMU_RAW_H
#define VFN_EMU_RAW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/vfio.h>

#include "emu.h"
#include "os/abi.h"
#include "os/os.h"

uint32_t vfn_mmio_hook_read32(void *addr);
void vfn_mmio_hook_write32(void *addr, uint32_t val);

#define RAW_QUEUES 4
#define RAW_DEPTH 16
#define RAW_IOVA 0x100000ULL
#define RAW_BUF_IOVA 0x1000000ULL
#define RAW_BUF_SIZE (64 * 4096UL)

struct raw_cqe {
	uint32_t dw0, dw1;
	uint16_t sqhd, sqid, cid, sfp;
};

struct raw_queue {
	uint32_t *sq;
	struct raw_cqe *cq;
	unsigned int size, tail, head;
	bool phase;
};

struct raw {
	int container, group, dev;
	int iommu; /* by iommufd if it is not -1 */
	uint32_t ioas;
	char *bar;
	char *queue_mem; /* 2 pages per queue pair, mapped at RAW_IOVA */
	char *buf;	 /* RAW_BUF_SIZE at RAW_BUF_IOVA */
	struct raw_queue q[RAW_QUEUES];
	struct emu_nvme *nvme;
};

/* A 64-byte command by dwords. */
struct raw_cmd {
	uint32_t dw[16];
};

void raw_open(struct raw *r, const char *bdf);
void raw_close(struct raw *r);
void raw_enable(struct raw *r);
void raw_disable(struct raw *r);
/* Open, enable, and a pair of I/O queues with qid 1. */
void raw_start(struct raw *r, const struct emu_nvme_opts *opts);
void raw_stop(struct raw *r);

uint32_t raw_read(struct raw *r, unsigned int offset);
void raw_write(struct raw *r, unsigned int offset, uint32_t val);
void raw_bus_master(struct raw *r, bool on);
/* VFIO_DMA_MAP_FLAG_READ and _WRITE, whichever the interface. */
int raw_map(struct raw *r, void *vaddr, uint64_t iova, uint64_t size, uint32_t flags);
int raw_unmap(struct raw *r, uint64_t iova, uint64_t size);

/* The steps of iommufd. */
int raw_bind(int dev, int iommu, uint32_t *devid);
int raw_ioas_alloc(int iommu, uint32_t *id);
int raw_attach(int dev, uint32_t *pt);
int raw_destroy(int iommu, uint32_t id);
/* Open the device's own node. */
int raw_open_node(const char *bdf);

#define RAW_TRIGGER_FD (VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD)
/* VFIO_DEVICE_SET_IRQS with the eventfds @fds, if not NULL. */
int raw_set_irqs(struct raw *r, uint32_t index, uint32_t flags, uint32_t start, uint32_t count,
		 const int *fds);

void raw_setup_queue(struct raw *r, unsigned int qid);
void raw_create_cq(struct raw *r, unsigned int qid, int vector);
void raw_create_sq(struct raw *r, unsigned int qid);
void raw_delete(struct raw *r, unsigned int qid);

/* Put a command in the queue and ring the doorbell. */
void raw_submit(struct raw *r, unsigned int qid, const struct raw_cmd *cmd);
/* Take a completion; false if there is none. */
bool raw_poll(struct raw *r, unsigned int qid, struct raw_cqe *cqe);
/* Poll as time passes; fails the test after ten seconds. */
struct raw_cqe raw_wait(struct raw *r, unsigned int qid);
/* Submit and wait: the status field. */
uint16_t raw_sync(struct raw *r, unsigned int qid, const struct raw_cmd *cmd);

struct raw_cmd raw_identify(uint8_t cns, uint32_t nsid);
struct raw_cmd raw_rw(uint8_t opcode, uint16_t cid, uint64_t slba, uint16_t blocks, uint64_t prp1,
		      uint64_t prp2);

#endif /* VFN_EMU_RAW_H */
