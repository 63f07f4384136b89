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
	/* a device's node: what opening it does */
	int (*open)(void *priv, int flags);
	void *priv;
	/* not there while this says so, as the options are */
	bool (*absent)(void);
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
struct node *fs_device(const char *path, int (*open)(void *, int), void *priv,
		       bool (*absent)(void));
bool fs_hidden(const struct node *node);

/* -------------------------------------------------------------------- fds */

struct emu_file {
	const struct file_ops *ops;
	int flags;
	uint64_t pos;
	void *priv;
};

struct file_ops {
	const char *name;
	bool is_device; /* a VFIO device, by whichever door */
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
/* The number is a duplicate of @real, which is closed: for those who use it without os_. */
int fd_install_over(int real, const struct file_ops *ops, int flags, void *priv);
struct emu_file *fd_get(int fd);

/* --------------------------------------------------------- mapped memory */

void mm_init(void);
void mm_fini(void);
/* Reserve inaccessible memory that stands for @len bytes of @bar from @offset. */
void *mm_map_bar(struct emu_pci *pci, unsigned int bar, uint64_t offset, size_t len);

/* Memory that is a file's, too, so that it can be mapped again. */
uint8_t *mm_shared(size_t size, int *fd);
/* Memory of zeroes that only the controller reaches. */
uint8_t *mm_make_disk(size_t size);
void mm_free_disk(uint8_t *disk, size_t size);
/*
 * For a model whose BAR has memory of its own, pci->bar_mem[bar]: whether it is
 * there at the moment (it is at first). While it is not, loads and stores of the
 * process give a SIGSEGV, and DMA of other devices is a violation.
 */
void mm_show_bar(struct emu_pci *pci, unsigned int bar, bool shown);
/* The process's mappings of all BARs stay, with nothing behind them. */
void mm_revoke(struct emu_pci *pci);

/* ------------------------------------------------------------------ spaces */

struct dma_map {
	uint64_t iova, size;
	char *vaddr;	     /* the process's, NULL if it came by a file */
	char *host;	     /* where a device finds it, NULL if a BAR has no memory */
	bool read, write;    /* by the device */
	bool gone;	     /* the process unmapped the memory */
	bool file;	     /* host is a mapping of a file's pages, which goes with this */
	struct emu_pci *pci; /* whose BAR it is, and which */
	unsigned int bar;
};

/* An I/O address space, whatever the door: a container's or an IOAS's. */
struct space {
	struct space_part **parts; /* sorted by iova, as are the mappings of each; never empty */
	size_t nparts, room;
	size_t nmaps;
	struct space *next;
};

void space_init(struct space *s);
/* Mappings that are left are a violation: "@what with N DMA mappings". */
void space_clear(struct space *s, const char *what);
void space_fini(struct space *s, const char *what);
void spaces_forget(void);
/* The first mapping that ends at or after @iova. */
struct dma_map *space_next(const struct space *s, uint64_t iova);
/* The one behind @m, or NULL. */
struct dma_map *space_after(const struct space *s, const struct dma_map *m);
/* It must be free. */
void space_insert(struct space *s, const struct dma_map *map);
/* Remove what overlaps [iova, last]; returns the bytes. */
uint64_t space_remove(struct space *s, uint64_t iova, uint64_t last);
/* Pin: the memory must be there, and writable if the device is to write it. */
bool space_memory_ok(const struct dma_map *map);
/* The process unmapped [addr, addr + len). */
void space_memory_gone(const char *addr, size_t len);
/* The memory of its BARs is out of reach. */
void space_device_gone(struct emu_pci *pci);
/* Host address of @iova, at most to the end of its page; NULL if not mapped so. */
void *space_translate(const struct space *s, uint64_t iova, bool write);
/* If a mapping's vaddr is in a mapped BAR, fill in host and pci. */
bool mm_bar_memory(struct dma_map *map);

/* ------------------------------------------------------------------- vfio */

struct container {
	unsigned int groups;
	bool fd_open;
	bool iommu;
	struct space space;
};

struct vfio_group {
	unsigned int id;
	bool fd_open;
	unsigned int devices_open;
	unsigned int cdevs; /* devices that were opened without the group */
	struct container *container;
	struct vfio_group *next;
};

void vfio_init(void);
void vfio_fini(void);
int vfio_open_group(void *group, int flags);
struct vfio_group *vfio_group_get(unsigned int id);
void vfio_group_put_device(struct vfio_group *group);
/* Whether none of its devices has a driver but vfio-pci. */
bool vfio_group_viable(const struct vfio_group *group);

int iommu_get_info(struct vfio_iommu_type1_info *info);
int iommu_map(struct space *s, const struct vfio_iommu_type1_dma_map *map);
int iommu_unmap(struct space *s, struct vfio_iommu_type1_dma_unmap *unmap);
void iommu_init(void);
bool iommu_in_ranges(uint64_t iova, uint64_t last);
bool iommu_over_memlock(uint64_t size);
/* What the options take away. */
bool iommu_no_vfio(void);
bool iommu_no_iommufd(void);
bool iommu_no_cdev(void);

/* ---------------------------------------------------------------- iommufd */

struct iommufd;
struct object;

void iommufd_init(void);
/* The iommufd behind a descriptor; NULL with errno EBADF or EBADFD. */
struct iommufd *iommufd_of(int fd);
/* A device's ways in and out: -1 with errno. */
int iommufd_bind(struct iommufd *ctx, struct emu_pci *pci);
void iommufd_unbind(struct emu_pci *pci);
int iommufd_attach(struct emu_pci *pci, uint32_t *pt_id);
void iommufd_detach(struct emu_pci *pci);
/* The address space of a page table. */
struct space *iommufd_space(struct object *hwpt);
uint32_t iommufd_id(const struct object *object);
#define FAULT_PAGES_MAX 4U
/*
 * A device missed pages from @iova on: ask the process by its fault queue, without
 * the lock, and say whether it is worth another try. False if there is no queue.
 */
bool iommufd_page_fault(struct emu_pci *pci, uint64_t iova, unsigned int pages, bool write);

/* dmabuf.c: VFIO_DEVICE_FEATURE_DMA_BUF; the descriptor, or -1 with errno. */
struct abi_vfio_device_feature_dma_buf;
int dmabuf_export(struct emu_pci *pci, const struct abi_vfio_device_feature_dma_buf *arg);
/* Fill in @map with the memory of a file: 0 or an errno. */
int dmabuf_memory(int fd, uint64_t start, struct dma_map *map);

/* sriov.c: may a device be opened with this token (NULL: without): 0 or an errno */
int sriov_check_token(struct emu_pci *pci, const uint8_t *token);
/* The options behind a device's name in GET_DEVICE_FD: 0 or an errno. */
int sriov_check_options(struct emu_pci *pci, const char *options);
/* The attributes of a physical function, in its directory. */
void sriov_add_attributes(struct emu_pci *pci, const char *at);
/* A physical function loses its driver. */
int sriov_remove_all(struct emu_pci *pf);
void sriov_opened(struct emu_pci *pci);
void sriov_closed(struct emu_pci *pci);
bool sriov_parse_uuid(const char *text, uint8_t *uuid);

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
	/* make a virtual function; without it that is a function with plain memory */
	struct emu_pci *(*add_vf)(struct emu_pci *pf, const struct emu_pci_opts *opts);
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
	int bar_fd[PCI_BARS]; /* a file of its memory, if loads and stores reach that; or -1 */
	bool bar_hidden[PCI_BARS];
	bool removed;
	struct vfio_group *group;
	struct pci_driver *driver;
	struct emu_pci *physfn; /* whose virtual function it is */
	unsigned int numvfs;
	bool vfs_not_probed; /* sriov_drivers_autoprobe is 0 */
	char *override;
	unsigned int nvme_index; /* the kernel's nvmeN */
	unsigned int vfio_index; /* vfioN while bound to vfio-pci */
	unsigned int open;
	unsigned int files; /* descriptors of its own node and of dma-bufs, which keep its driver */
	unsigned int closed; /* how often it was closed: what was exported before is revoked */
	uint8_t vf_token[16];
	unsigned int token_users; /* open virtual functions of a physical one */
	/* bound by way of its own node: to what, as what, and what it is attached to */
	struct iommufd *iommufd;
	struct object *idev, *hwpt;
	/* a move to another page table failed: the old one is there only in name */
	bool blocked;
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
void pci_unplug(struct emu_pci *pci);
void pci_init(void);
void pci_fini(void);
bool pci_bound_to_vfio(struct emu_pci *pci);
bool pci_bus_master(struct emu_pci *pci);
bool pci_decodes(const struct emu_pci *pci);
/* What its DMA goes through, or NULL. */
struct space *pci_space(struct emu_pci *pci);
void pci_config_init(struct emu_pci *pci);
uint32_t pci_bar_read32(struct emu_pci *pci, unsigned int bar, uint64_t offset);
void pci_bar_write32(struct emu_pci *pci, unsigned int bar, uint64_t offset, uint32_t val);
void pci_reset(struct emu_pci *pci);

/* sysfs.c */
void sysfs_init(void);
void sysfs_fini(void);
void sysfs_add(struct emu_pci *pci);
const char *sysfs_driver_name(struct emu_pci *pci);
/* Let a driver that matches take it. */
void sysfs_probe(struct emu_pci *pci);
void sysfs_set_override(struct emu_pci *pci, const char *name);
/* Unbind it and forget its files: 0 or a negative errno. */
int sysfs_remove(struct emu_pci *pci);

/* vfio_device.c, cdev.c and vfio_irq.c */
extern const struct file_ops device_file_ops;
void device_first_open(struct emu_pci *pci);
void device_last_close(struct emu_pci *pci);
int cdev_open(void *pci, int flags);
int irq_get_info(struct emu_pci *pci, struct vfio_irq_info *info);
int irq_set(struct emu_pci *pci, const struct vfio_irq_set *set);
void irq_disable_all(struct emu_pci *pci);
void irq_signal(struct emu_pci *pci, unsigned int vector);
/* Error or request. */
void irq_tell(struct emu_pci *pci, unsigned int index);
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
