/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the emulated-device harness share. */
#ifndef VFN_EMU_INTERNAL_H
#define VFN_EMU_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/types.h>
#include <linux/vfio.h>

#include "emu.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define EMU_PAGE 4096UL
#define EMU_MAX_FDS 1024
#define EMU_BDF_LEN 12

/*
 * One lock for the whole machine. Doorbells in threaded mode are the only state
 * outside it. emu_autolock holds it until the end of the block.
 */
void emu_lock(void);
void emu_unlock(int *dummy);
#define emu_autolock() int emu_locked __attribute__((cleanup(emu_unlock), unused)) = (emu_lock(), 0)

/* ------------------------------------------------------------------ state */

/* Zeroed memory or the end of the test program. */
void *emu_zalloc(size_t size);
void *emu_resize(void *mem, size_t size);
char *emu_strdup(const char *s);

void emu_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void emu_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Log a call and fail it if it is the one that was asked for: -1 and errno. */
int emu_enter(enum emu_call call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* -1 with errno set. */
int emu_errno(int err);

extern struct emu_usage emu_used;

/* -------------------------------------------------------------- file tree */

enum node_type {
	NODE_DIR,
	NODE_FILE,
	NODE_LINK
};

struct node {
	enum node_type type;
	char *name;
	struct node *parent, *child, *next;
	char *data; /* content or link target */
	size_t len;
	int err; /* see emu_file_error() */
	/* a sysfs attribute: 0 or a negative errno; the text ends with NUL, not newline */
	int (*store)(void *priv, const char *text);
	void *priv;
	bool container;		  /* /dev/vfio/vfio */
	struct vfio_group *group; /* /dev/vfio/N */
};

void fs_init(void);
void fs_fini(void);
struct node *fs_lookup(const char *path, bool follow);
struct node *fs_make(const char *path, enum node_type type);
void fs_remove(const char *path);
void fs_set(struct node *node, const void *data, size_t len);
struct node *fs_printf(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
struct node *fs_attr(const char *path, int (*store)(void *, const char *), void *priv);

/* -------------------------------------------------------------------- fds */

struct emu_file {
	const struct file_ops *ops;
	int flags;
	uint64_t pos;
	void *priv;
};

struct file_ops {
	const char *name;
	ssize_t (*pread)(struct emu_file *file, void *buf, size_t count, uint64_t offset);
	ssize_t (*pwrite)(struct emu_file *file, const void *buf, size_t count, uint64_t offset);
	int (*ioctl)(struct emu_file *file, unsigned long request, void *arg);
	void *(*mmap)(struct emu_file *file, size_t len, int prot, int flags, uint64_t offset);
	void (*release)(struct emu_file *file);
	const char *(*describe)(struct emu_file *file);
};

void fd_init(void);
void fd_fini(void);
int fd_install(const struct file_ops *ops, int flags, void *priv);
struct emu_file *fd_get(int fd);

/* --------------------------------------------------------- mapped memory */

void mm_init(void);
void mm_fini(void);
/* Reserve inaccessible memory that stands for @len bytes of @bar from @offset. */
void *mm_map_bar(struct emu_pci *pci, unsigned int bar, uint64_t offset, size_t len);

/* ------------------------------------------------------------------- vfio */

struct dma_map {
	uint64_t iova, size;
	char *vaddr;
	bool read, write; /* by the device */
	bool gone;	  /* the process unmapped the memory */
};

struct container {
	unsigned int groups;
	bool fd_open;
	bool iommu;
	struct dma_map *maps; /* sorted by iova */
	size_t nmaps, room;
	struct container *next;
};

struct vfio_group {
	unsigned int id;
	bool fd_open;
	unsigned int devices_open;
	struct container *container;
	struct vfio_group *next;
};

void vfio_init(void);
void vfio_fini(void);
int vfio_open_container(int flags);
int vfio_open_group(struct vfio_group *group, int flags);
struct vfio_group *vfio_group_get(unsigned int id);
int vfio_open_device(struct vfio_group *group, const char *name);
void vfio_group_put_device(struct vfio_group *group);

int iommu_get_info(struct vfio_iommu_type1_info *info);
int iommu_map(struct container *c, const struct vfio_iommu_type1_dma_map *map);
int iommu_unmap(struct container *c, struct vfio_iommu_type1_dma_unmap *unmap);
void iommu_unmap_everything(struct container *c);
void iommu_init(void);
/* The process unmapped [addr, addr + len). */
void iommu_memory_gone(void *addr, size_t len);
/* Host address of @iova, at most to the end of its page; NULL if not mapped so. */
void *iommu_translate(struct container *c, uint64_t iova, bool write);

/* -------------------------------------------------------------------- pci */

#define PCI_BARS 6
#define PCI_CONFIG_SIZE 4096

/* What a device model implements; all called with the lock held. */
struct pci_ops {
	uint32_t (*read32)(struct emu_pci *pci, unsigned int bar, uint64_t offset);
	void (*write32)(struct emu_pci *pci, unsigned int bar, uint64_t offset, uint32_t val);
	/* a store that needs no lock; false if it is not one of those */
	bool (*post)(struct emu_pci *pci, uint64_t offset, uint32_t val);
	void (*reset)(struct emu_pci *pci);
	void (*closing)(struct emu_pci *pci);
	/* DMA mappings of [iova, last] of @pci's address space are about to go */
	void (*unmapping)(struct emu_pci *pci, uint64_t iova, uint64_t last);
	void (*irq_changed)(struct emu_pci *pci);
	void (*free)(struct emu_pci *pci);
};

struct pci_irq {
	unsigned int count; /* capable of */
	unsigned int enabled;
	int *fds;
};

struct emu_pci {
	struct emu_pci_opts opts;
	char bdf[EMU_BDF_LEN + 1];
	uint8_t config[PCI_CONFIG_SIZE];
	uint64_t bar_size[PCI_BARS];
	uint8_t *bar_mem[PCI_BARS]; /* for bars without a model */
	bool removed;
	struct vfio_group *group;
	struct pci_driver *driver;
	char *override;
	unsigned int nvme_index; /* the kernel's nvmeN */
	unsigned int open;
	struct pci_irq irq[VFIO_PCI_NUM_IRQS];
	bool intx_masked, intx_level;
	uint64_t irqs_signalled;
	const struct pci_ops *ops;
	void *model;
	struct emu_pci *next;
};

extern struct emu_pci *emu_pcis;

struct emu_pci *pci_find(const char *bdf);
struct emu_pci *pci_plug(const struct emu_pci_opts *opts, const struct pci_ops *ops, void *model,
			 uint64_t bar0_size);
void pci_init(void);
void pci_fini(void);
bool pci_bound_to_vfio(struct emu_pci *pci);
bool pci_bus_master(struct emu_pci *pci);
struct container *pci_container(struct emu_pci *pci);
void pci_config_init(struct emu_pci *pci);
uint32_t pci_bar_read32(struct emu_pci *pci, unsigned int bar, uint64_t offset);
void pci_bar_write32(struct emu_pci *pci, unsigned int bar, uint64_t offset, uint32_t val);
void pci_reset(struct emu_pci *pci);

/* sysfs.c */
void sysfs_init(void);
void sysfs_fini(void);
void sysfs_add(struct emu_pci *pci);
const char *sysfs_driver_name(struct emu_pci *pci);

/* vfio_device.c and vfio_irq.c */
extern const struct file_ops device_file_ops;
int irq_get_info(struct emu_pci *pci, struct vfio_irq_info *info);
int irq_set(struct emu_pci *pci, const struct vfio_irq_set *set);
void irq_disable_all(struct emu_pci *pci);
void irq_signal(struct emu_pci *pci, unsigned int vector);
void irq_spurious(struct emu_pci *pci, unsigned int vector);
void irq_set_level(struct emu_pci *pci, bool level);

/* ------------------------------------------------------------------ clock */

extern uint64_t emu_time;
extern bool emu_threaded;

void clock_init(void);
uint64_t clock_now(void);

/* nvme.c: all controllers */
void nvme_run_all(void);
uint64_t nvme_next_due(void);
void nvme_threads_stop(void);

#endif /* VFN_EMU_INTERNAL_H */
