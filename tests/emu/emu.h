/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The emulated-device harness: a fake kernel with strict NVMe controllers, for tests. */
#ifndef VFN_EMU_H
#define VFN_EMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: the machine
 *
 * One emulated machine per process: a file tree (/sys, /dev, /proc, whatever a
 * test adds), the drivers "vfio-pci" and "nvme", VFIO with a type1v2 IOMMU, PCI
 * devices and NVMe controllers. It implements every function of src/os/os.h and
 * the MMIO hooks. Everything is forgotten by emu_fini().
 *
 * A typical test file::
 *
 *	static void init_then_close_leaves_nothing(void **state)
 *	{
 *		struct nvme_ctrl ctrl = {};
 *
 *		emu_nvme_add(NULL);
 *		assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
 *		nvme_close(&ctrl);
 *	}
 *	...
 *	cmocka_unit_test_setup_teardown(init_then_close_leaves_nothing,
 *					emu_setup, emu_teardown)
 *
 * emu_teardown() fails the test on any violation and on anything left open.
 *
 * Time is virtual: emu_advance() and os_sleep_ns() advance it, and each os_clock_ns()
 * adds 100 ns. In threaded mode (emu_start_threads()) it is CLOCK_MONOTONIC.
 *
 * Functions may be called from any thread unless said otherwise.
 */

/* The default controller's address, and its neighbours' by convention. */
#define EMU_BDF "0000:01:00.0"
#define EMU_BDF2 "0000:02:00.0"
#define EMU_BDF3 "0000:03:00.0"

/* Any queue, any opcode, in struct emu_fault. */
#define EMU_ANY (-1)

/* ---------------------------------------------------------------- machine */

/**
 * emu_init() - build an empty machine: file tree, drivers, no devices
 */
void emu_init(void);

/**
 * emu_fini() - stop threads and free all of it, descriptors and mappings included
 */
void emu_fini(void);

/**
 * emu_setup() - cmocka setup: emu_init()
 */
int emu_setup(void **state);

/**
 * emu_setup_type1() - cmocka setup: a machine that has only the group interface
 */
int emu_setup_type1(void **state);

/**
 * emu_setup_iommufd() - cmocka setup: a machine that has iommufd, too
 */
int emu_setup_iommufd(void **state);

/**
 * emu_teardown() - cmocka teardown: check and free
 *
 * Fails the test (with the texts on stderr) if there were violations that no
 * emu_expect_violation() announced, if an announced one did not come, or if a
 * descriptor, a mapping or a DMA mapping is left.
 */
int emu_teardown(void **state);

/**
 * emu_memory_ok() - whether the kernel could pin memory of this process
 * @mem: start of a page
 * @len: bytes
 * @write: for a device that writes it, too
 */
bool emu_memory_ok(const void *mem, size_t len, bool write);

/* ------------------------------------------------------------- violations */

/**
 * DOC: violations
 *
 * What no correct host does is recorded as a violation, with a text that says
 * device, command and value; the device then answers as a device would (error
 * status, CSTS.CFS or nothing). In particular:
 *
 * - PRPs: PRP1 not aligned to 4 bytes, a list not to 8, an offset in a later
 *   entry or chain pointer, a reserved PRP2 that is not zero, and any page,
 *   list included, that the IOMMU does not map for the direction of the transfer;
 * - SGLs: where SGLS or the admin queue does not allow them; a type that is not data
 *   block, segment or last segment, or in the wrong place; reserved bytes; segments
 *   of no descriptors or not aligned to 8 bytes; more or less than the length of the
 *   data; data off the dwords that SGLS asks for; memory that is not mapped;
 * - commands: PSDT, reserved bits and dwords, a CID that is outstanding or 0xffff;
 * - queues: memory that is not mapped, misaligned, shared with another queue, or
 *   holds phase bits when a completion queue is created; PC clear; a completion
 *   queue deleted before its submission queues; Number of Queues set too late;
 * - unmapping memory of a queue, of the shadow doorbells or of an outstanding
 *   command, and unmapped memory that is used anyway;
 * - controller memory: enabled where it hides mapped memory, reserved bits of its registers,
 *   moved while it is enabled, disabled while a queue or command uses it, queues, lists or data
 *   in it that the controller does not take there or not mixed with others elsewhere;
 * - doorbells: no such queue, a value beyond the size, a head past the tail, a
 *   tail past the head, wrong stride, before CSTS.RDY, not what the shadow says;
 * - registers: read-only, reserved or unaligned ones written, reserved bits, half
 *   of a 64-bit one, ASQ, ACQ, AQA or CC fields changed while enabled, enabling
 *   with values that CAP does not offer or before RDY is 0, INTMS with MSI-X;
 * - DMA with bus master off, BAR access with memory decode off or outside of a
 *   mapping (an access that avoids the accessors is a SIGSEGV);
 * - VFIO: a device closed while its controller is enabled, a container released or an
 *   IOAS destroyed with DMA mappings, an iommufd closed with objects left in it, munmap
 *   of what is not mapped, unbinding an open device.
 *
 * A request that a host may well make to see what comes back (bad opcode,
 * namespace, LBA range, queue id or size, vector, log, feature) has its status
 * and is no violation.
 */

/**
 * emu_violations() - number of violations so far that were not announced
 */
unsigned int emu_violations(void);

/**
 * emu_violation() - text of violation @i (from 0), NULL past the last
 */
const char *emu_violation(unsigned int i);

/**
 * emu_expect_violation - announce one violation whose text contains @substring
 *
 * Takes one that has already happened, or else the next that matches; further
 * copies of the text are still failures.
 */
void emu_expect_violation(const char *substring);

/**
 * emu_forget_violations() - drop all of them, and what was announced
 */
void emu_forget_violations(void);

/**
 * emu_assert_clean() - cmocka-fail with the texts if there are violations
 */
void emu_assert_clean(void);

/* -------------------------------------------------- resources and calls */

/**
 * struct emu_usage - what the process holds of the fake kernel
 * @fds: open descriptors
 * @mmaps: mappings made by os_mmap(), BAR mappings included
 * @mmap_bytes: their size
 * @dma_maps: IOMMU mappings in all containers and IOASes
 * @dma_bytes: their size
 * @objects: objects in all iommufds: IOASes, page tables, bound devices, fault queues
 */
struct emu_usage {
	unsigned int fds;
	unsigned int mmaps;
	size_t mmap_bytes;
	unsigned int dma_maps;
	size_t dma_bytes;
	unsigned int objects;
};

struct emu_usage emu_usage(void);

/**
 * emu_assert_usage() - cmocka-fail unless the process holds just what @before says
 */
void emu_assert_usage(const struct emu_usage *before);

/**
 * emu_calls() - the log of calls, one line each, oldest first
 *
 * Lines are "open /dev/vfio/vfio", "ioctl MAP_DMA", "close 0000:01:00.0",
 * "reg write 0x14 0x460001", "admin DELETE_SQ 1", "mmap 8192", ...; clock reads and
 * doorbells are not logged; past 1 MiB it starts anew. Valid until the next call of the library.
 */
const char *emu_calls(void);

/**
 * emu_calls_clear() - empty the log
 */
void emu_calls_clear(void);

/**
 * emu_assert_order() - cmocka-fail unless the log has these substrings in this order
 *
 * The arguments are strings.
 */
#define emu_assert_order(...) emu_assert_order_of((const char *const[]){ __VA_ARGS__, NULL })
void emu_assert_order_of(const char *const *texts);

/**
 * emu_call_count() - how many log lines start with @prefix
 */
unsigned int emu_call_count(const char *prefix);

/**
 * emu_map_call() - how the log's line of a mapping starts, on the machine's newest interface
 */
const char *emu_map_call(void);

/**
 * emu_unmap_call() - how that of an unmapping does
 */
const char *emu_unmap_call(void);

/* --------------------------------------------------------------- fail at n */

/**
 * enum emu_call - classes of os_ calls for emu_fail_at()
 *
 * EMU_INIT has everything that acquires; EMU_UNDO what releases (failing those
 * leaves the object released, except for EMU_DMA_UNMAP, as in Linux).
 */
enum emu_call {
	EMU_OPEN = 1 << 0,
	EMU_READ = 1 << 1,
	EMU_WRITE = 1 << 2,
	EMU_PREAD = 1 << 3,
	EMU_PWRITE = 1 << 4,
	EMU_IOCTL = 1 << 5,   /* but those named below */
	EMU_DMA_MAP = 1 << 6, /* MAP_DMA IOAS_MAP IOAS_MAP_FILE */
	EMU_MMAP = 1 << 7,
	EMU_MADVISE = 1 << 8,
	EMU_PATH = 1 << 9,   /* mkdir unlink write_file readlink access list_dir */
	EMU_ALLOC = 1 << 10, /* os_zalloc */
	EMU_CLOSE = 1 << 11,
	EMU_MUNMAP = 1 << 12,
	EMU_DMA_UNMAP = 1 << 13, /* UNMAP_DMA IOAS_UNMAP */
	EMU_DESTROY = 1 << 14,	 /* DESTROY DETACH_IOMMUFD_PT */
	EMU_UNDO = EMU_CLOSE | EMU_MUNMAP | EMU_DMA_UNMAP | EMU_DESTROY,
	EMU_INIT = (1 << 11) - 1,
	EMU_SYSCALL = EMU_INIT & ~EMU_ALLOC,
};

/**
 * emu_fail_at() - make the @n-th call (from 1, counted from now) of a class in @mask fail
 *
 * Once. @err is the errno; os_zalloc() always sets ENOMEM. @n 0 disarms.
 */
void emu_fail_at(unsigned int mask, unsigned int n, int err);

/**
 * emu_transfer_at_most() - calls of a class in @mask (EMU_READ, EMU_WRITE) move no more than @n bytes of files
 *
 * With @n 0 they move none, and say so. emu_init() ends it.
 */
void emu_transfer_at_most(unsigned int mask, size_t n);

/**
 * emu_fail_fired() - whether the armed failure has happened
 */
bool emu_fail_fired(void);

/**
 * emu_fail_call() - the log line of the call that was made to fail, or ""
 */
const char *emu_fail_call(void);

/**
 * emu_fail_each() - run @step with each of its calls failing in turn
 *
 * For n = 1, 2, ... until a run meets no failure: @step must return 0, or -1 with
 * errno @err (any errno if @err is negative: -@err is injected), and leave the
 * descriptors, mappings and DMA mappings it found; after a success @undo is called.
 * Leaks of memory are the sanitizer's to find. cmocka-fails otherwise.
 *
 * Return: the number of calls that were made to fail.
 */
unsigned int emu_fail_each(unsigned int mask, int err, int (*step)(void *arg),
			   void (*undo)(void *arg), void *arg);

/**
 * emu_set_child() - from now on it is a child of the process that it was, as after fork(), or that one again
 */
void emu_set_child(bool child);

/* -------------------------------------------------------------------- time */

/**
 * emu_now() - the time, without advancing it
 */
uint64_t emu_now(void);

/**
 * emu_advance() - let @ns pass; controllers do what falls due (lockstep only)
 */
void emu_advance(uint64_t ns);

/**
 * emu_run() - let all controllers do everything they can at this instant
 */
void emu_run(void);

/* --------------------------------------------------------------- file tree */

/**
 * emu_dir() - make a directory and its parents
 */
void emu_dir(const char *path);

/**
 * emu_file() - make or replace a file (and its directories) with a string
 */
void emu_file(const char *path, const char *content);

/**
 * emu_link() - make or replace a symbolic link
 */
void emu_link(const char *path, const char *target);

/**
 * emu_remove() - remove a file, link or tree
 */
void emu_remove(const char *path);

/**
 * emu_file_error() - let open, access or readlink of @path fail with @err; 0 ends that
 *
 * EBUSY is returned for opens with O_EXCL only, as of a mounted block device.
 */
void emu_file_error(const char *path, int err);

/**
 * emu_file_content() - content of a file as a string, NULL if there is none
 */
const char *emu_file_content(const char *path);

/* -------------------------------------------------------------------- VFIO */

/**
 * struct emu_range - IOVAs from @start to @last, both included
 */
struct emu_range {
	uint64_t start, last;
};

/**
 * enum emu_hostile - ill-formed capability chains
 */
enum emu_hostile {
	EMU_CHAIN_OK,
	EMU_CHAIN_NONE,	    /* no capability at all */
	EMU_CHAIN_LOOP,	    /* last capability points to the first */
	EMU_CHAIN_SELF,	    /* the first points to itself */
	EMU_CHAIN_BACK,	    /* next points into the fixed header */
	EMU_CHAIN_PAST_END, /* first offset is past argsz */
	EMU_CHAIN_NEXT_PAST_END,
	EMU_CHAIN_CUT,	       /* header of the last capability does not fit */
	EMU_CHAIN_ODD,	       /* the last capability is not aligned */
	EMU_CHAIN_COUNT_HUGE,  /* nr_iovas is 0xffffffff */
	EMU_CHAIN_ARGSZ_GROWS, /* asks for more room at each call */
};

/**
 * struct emu_iommu_opts - what the IOMMU and VFIO can do; change it with emu_iommu()
 * @no_vfio: /dev/vfio/vfio does not exist
 * @api_version: VFIO_GET_API_VERSION
 * @no_type1v2: VFIO_CHECK_EXTENSION knows only TYPE1
 * @noiommu: report VFIO_NOIOMMU_IOMMU
 * @ranges: reported ranges in this order; mappings outside are EINVAL
 * @nranges: their number; with 0 and %EMU_CHAIN_OK an empty list is reported
 * @chain: how the capability chain is spoiled
 * @dma_entry_limit: mappings per container
 * @memlock: bytes that may be mapped in all, 0 is unlimited
 * @short_unmap: UNMAP_DMA and IOAS_UNMAP report a page less than they should
 * @no_iommufd: no /dev/iommu and nothing of devices' own nodes, as before Linux 6.1
 * @no_cdev: devices' own nodes are only named in sysfs, as by Debian's 6.12
 * @object_limit: objects of an iommufd, above is ENOMEM; 0 is unlimited
 * @no_token: BIND_IOMMUFD knows no VF tokens and checks none (before Linux 6.17)
 * @no_map_file: IOAS_MAP_FILE is unknown (before 6.13)
 * @no_dma_buf: VFIO has no dma-bufs, IOAS_MAP_FILE takes none (before 6.19)
 * @no_fault_queue: FAULT_QUEUE_ALLOC is unknown (before 6.11)
 * @no_fault_hwpt: HWPT_ALLOC refuses fault queues, as 6.12 and IOMMUs that cannot
 * @no_pri: attaching to a page table with a fault queue fails: the device has no PRI
 */
struct emu_iommu_opts {
	bool no_vfio;
	int api_version;
	bool no_type1v2;
	bool noiommu;
	struct emu_range ranges[20];
	unsigned int nranges;
	enum emu_hostile chain;
	unsigned int dma_entry_limit;
	uint64_t memlock;
	bool short_unmap;
	bool no_iommufd;
	bool no_cdev;
	unsigned int object_limit;
	bool no_token;
	bool no_map_file;
	bool no_dma_buf;
	bool no_fault_queue;
	bool no_fault_hwpt;
	bool no_pri;
};

/**
 * emu_iommu() - the options, to be changed at will (single-threaded)
 *
 * The defaults are a 39-bit address space with the hole at 0xfee00000, and a
 * dma_entry_limit of 65535; no_iommufd is set unless the environment has EMU_IOMMUFD=1,
 * by which whole test programs run a second time.
 */
struct emu_iommu_opts *emu_iommu(void);

/**
 * emu_iova_mapped() - whether @len bytes at @iova are mapped for the device at @bdf
 */
bool emu_iova_mapped(const char *bdf, uint64_t iova, size_t len);

/* --------------------------------------------------------------------- PCI */

/**
 * struct emu_pci_opts - a PCI function; zero is the default for every field
 * @bdf: address, default EMU_BDF
 * @vendor: default 0x1b36
 * @device: default 0x0010
 * @subvendor: default 0x1af4
 * @subdevice: default 0x1100
 * @classcode: 24 bits, default 0x010802
 * @numa_node: as in sysfs
 * @group: IOMMU group, default a group of its own
 * @no_group: no IOMMU group at all
 * @driver: bound driver, default "vfio-pci", "" for none; unknown drivers are created
 * @bar_size: sizes of BARs 1 to 5; they have memory that loads and stores reach, too
 * @bar0_size: size of BAR 0, default what the controller needs (4096 otherwise)
 * @bar0_no_mmap: region flag MMAP is not set
 * @bar0_absent: BAR 0 has size 0
 * @msix_vectors: default 9; @no_msix for none
 * @msi_vectors: default 0 (not capable)
 * @no_intx: no INTx
 * @num_regions: regions that the kernel knows of, in the order of VFIO; default all
 * @num_irqs: kinds of interrupt that the kernel knows of, in the order of VFIO; default all
 * @not_express: there are no reports of errors
 * @msix_dynamic: MSI-X without NORESIZE (Linux 6.5 and later)
 * @vectors_avail: vectors that the host can give, 0 is enough
 * @no_reset: no reset capability
 * @reset_keeps_bus_master: VFIO_DEVICE_RESET leaves the command register alone
 * @sriov_totalvfs: sriov attributes are there if nonzero. Virtual functions, which
 *	follow it at .1, .2, ..., come and go by sriov_numvfs; with vfio-pci as its driver
 *	only if /sys/module/vfio_pci/parameters/enable_sriov begins with Y
 * @vf_token: the UUID that opening it takes, as of a virtual function whose physical one
 *	vfio-pci has
 */
struct emu_pci_opts {
	const char *bdf;
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t classcode;
	int numa_node;
	unsigned int group;
	bool no_group;
	const char *driver;
	uint64_t bar_size[6];
	uint64_t bar0_size;
	bool bar0_no_mmap;
	bool bar0_absent;
	unsigned int msix_vectors;
	bool no_msix;
	unsigned int msi_vectors;
	bool no_intx;
	unsigned int num_regions;
	unsigned int num_irqs;
	bool not_express;
	bool msix_dynamic;
	unsigned int vectors_avail;
	bool no_reset;
	bool reset_keeps_bus_master;
	unsigned int sriov_totalvfs;
	const char *vf_token;
};

struct emu_pci;

/**
 * emu_pci_add() - plug a function that is no NVMe controller (BAR 0 is plain memory)
 */
struct emu_pci *emu_pci_add(const struct emu_pci_opts *opts);

/**
 * emu_pci_find() - the function at @bdf or NULL
 */
struct emu_pci *emu_pci_find(const char *bdf);

/**
 * emu_pci_remove() - surprise removal: registers and config space read as ones
 */
void emu_pci_remove(struct emu_pci *pci);

/**
 * emu_pci_revoke() - the process's mappings of its BARs have nothing behind them any more
 *
 * As when memory decoding is switched off: accesses raise SIGBUS, those to registers included,
 * until the BAR is mapped again. The function itself goes on, unless it is removed, too.
 */
void emu_pci_revoke(struct emu_pci *pci);

/**
 * emu_pci_request() - the kernel wants it back: whoever has asked to be told is
 */
void emu_pci_request(struct emu_pci *pci);

/**
 * emu_pci_error() - the kernel has a report of an uncorrectable error: the same
 */
void emu_pci_error(struct emu_pci *pci);

/**
 * emu_pci_driver() - name of the bound driver, "" if none
 */
const char *emu_pci_driver(struct emu_pci *pci);

/**
 * emu_pci_bar() - the memory of a BAR and its size; NULL for registers
 */
uint8_t *emu_pci_bar(struct emu_pci *pci, unsigned int bar, size_t *size);

/**
 * emu_pci_config() - the 4096 bytes of config space, for tests to spoil
 */
uint8_t *emu_pci_config(struct emu_pci *pci);

/**
 * emu_pci_bus_master() - whether the command register lets the device do DMA
 */
bool emu_pci_bus_master(struct emu_pci *pci);

/**
 * emu_pci_irq_spurious() - signal @vector's eventfd for no reason
 */
void emu_pci_irq_spurious(struct emu_pci *pci, unsigned int vector);

/**
 * emu_pci_irq_enabled() - vectors enabled of VFIO index @index (0 INTx, 1 MSI, 2 MSI-X, 3 error, 4 request)
 */
unsigned int emu_pci_irq_enabled(struct emu_pci *pci, unsigned int index);

/**
 * emu_driver_add() - register a driver; @classcode (24 bit) is what it binds to, 0 none
 */
void emu_driver_add(const char *name, uint32_t classcode);

/* -------------------------------------------------------------------- NVMe */

struct emu_nvme;

/**
 * struct emu_ns_opts - a namespace of @blocks blocks of @lba_size bytes (512 or 4096)
 */
struct emu_ns_opts {
	uint64_t blocks;
	unsigned int lba_size;
	bool read_only;
};

#define EMU_MAX_NS 8

/* Controller identifiers: of any controller, and of the first secondary one; the next are 3 more. */
#define EMU_CNTLID 1
#define EMU_SCID 0x20

/**
 * struct emu_virt_opts - secondary controllers
 * @secondaries: their number; they are the virtual functions from 1 on
 * @total: flexible queues and interrupts; the primary controller has all of them at first
 * @max: most of them of a secondary controller
 * @stuck_list: the list of them begins with the first, whatever is asked for
 */
struct emu_virt_opts {
	unsigned int secondaries;
	uint32_t total[2];
	uint16_t max[2];
	bool stuck_list;
};

/**
 * struct emu_cmb_opts - a controller memory buffer; zero is the default for every field
 * @size: bytes, none without
 * @szu: CMBSZ.SZU
 * @offset: CMBLOC.OFST, in units of @szu
 * @bir: CMBLOC.BIR, default 2
 * @bar_size: default what it takes
 * @uses: CMBSZ.SQS, CQS, LISTS, RDS and WDS, default 0x1d: all but CQS; @no_uses for none
 * @rules: more bits of CMBLOC; each of 8:3 lifts a restriction
 * @legacy: as of version 1.3, found at @addr by commands: neither CAP.CMBS nor CMBMSC
 * @stays: as QEMU's legacy-cmb has it: CMBMSC switches the buffer, which is on already, but
 *	does not move it from @addr
 * @addr: bus address of the base address register
 * @cbai: every address is refused
 * @left: CMBMSC as somebody left it who did not clean up
 */
struct emu_cmb_opts {
	uint64_t size;
	unsigned int szu;
	uint64_t offset;
	unsigned int bir;
	uint64_t bar_size;
	unsigned int uses;
	bool no_uses;
	uint32_t rules;
	bool legacy, stays;
	uint64_t addr;
	bool cbai;
	uint64_t left;
};

/**
 * struct emu_pmr_opts - a persistent memory region; zero is the default for every field
 * @size: bytes, none without
 * @bir: PMRCAP.BIR, default 4
 * @to: PMRCAP.PMRTO, @minutes is the unit (PMRTU)
 * @no_cmss: no controller memory space
 * @ready_ns: time to become ready, default 1 ms
 * @never_ready: PMRSTS.NRDY stays
 * @status: PMRSTS.ERR and HSTS
 * @cbai: every address is refused
 * @left: PMRMSC as somebody left it who did not clean up
 */
struct emu_pmr_opts {
	uint64_t size;
	unsigned int bir;
	unsigned int to;
	bool minutes;
	bool no_cmss;
	uint64_t ready_ns;
	bool never_ready;
	uint32_t status;
	bool cbai;
	uint64_t left;
};

/**
 * struct emu_nvme_opts - a controller; zero is the default for every field
 * @pci: the function it is
 * @mqes: CAP.MQES plus one, default 1024
 * @dstrd: CAP.DSTRD
 * @to: CAP.TO in 500 ms, default 4
 * @mpsmin: CAP.MPSMIN
 * @mpsmax: CAP.MPSMAX, default 4
 * @css: CAP.CSS, default NVM set (1)
 * @no_nvm_css: CAP.CSS is 0
 * @cap: the whole register if nonzero, sense or nonsense
 * @crto: CRTO.CRWMT and CRIMT in 500 ms; CAP.CRMS is set if nonzero
 * @vs: default 0x10400
 * @ready_ns: time to become ready and unready, default 1 ms
 * @shutdown_ns: time to shut down, default 1 ms
 * @queues: I/O queue pairs, default 64
 * @mdts: Identify MDTS, default 7; @no_mdts reports 0
 * @aerl: Identify AERL plus one, default 4
 * @acl: Identify ACL plus one, default 4
 * @abort_fails: Abort never aborts
 * @ns_list_loops: lists of namespaces are full, with the first one over and over
 * @sgls: Identify SGLS, default 0: no SGLs; 1 as QEMU has it, 2 with dword alignment
 * @dbbuf: doorbell buffer config is supported
 * @dbbuf_lazy: event indexes are never advanced, so that the host rings no doorbell
 * @start_enabled: found with CC.EN and CSTS.RDY set, as after a crash
 * @start_cfs: found enabled and with CSTS.CFS set
 * @cmb: memory that commands may refer to
 * @pmr: memory that keeps its contents
 * @ns: namespaces; with @nns 0 there is one, of 65536 blocks of 512 bytes
 * @nns: their number
 * @no_ns: none
 * @virt: secondary controllers
 */
struct emu_nvme_opts {
	struct emu_pci_opts pci;
	unsigned int mqes;
	unsigned int dstrd;
	unsigned int to;
	unsigned int mpsmin, mpsmax;
	unsigned int css;
	bool no_nvm_css;
	uint64_t cap;
	unsigned int crto;
	uint32_t vs;
	uint64_t ready_ns, shutdown_ns;
	unsigned int queues;
	unsigned int mdts;
	bool no_mdts;
	unsigned int aerl, acl;
	bool abort_fails;
	bool ns_list_loops;
	uint32_t sgls;
	bool dbbuf, dbbuf_lazy;
	bool start_enabled, start_cfs;
	struct emu_cmb_opts cmb;
	struct emu_pmr_opts pmr;
	struct emu_ns_opts ns[EMU_MAX_NS];
	unsigned int nns;
	bool no_ns;
	struct emu_virt_opts virt;
};

/**
 * emu_nvme_add() - plug a controller; NULL for the defaults
 */
struct emu_nvme *emu_nvme_add(const struct emu_nvme_opts *opts);

/**
 * emu_nvme_pci() - the function that a controller is
 */
struct emu_pci *emu_nvme_pci(struct emu_nvme *nvme);

/**
 * emu_nvme_find() - the controller at @bdf or NULL
 */
struct emu_nvme *emu_nvme_find(const char *bdf);

/**
 * emu_nvme_disk() - the RAM disk behind @nsid and its size
 */
void *emu_nvme_disk(struct emu_nvme *nvme, uint32_t nsid, size_t *size);

/**
 * emu_nvme_cmb() - the controller memory buffer, as the controller has it
 */
void *emu_nvme_cmb(struct emu_nvme *nvme);

/**
 * emu_nvme_pmr() - what the persistent memory region keeps
 */
void *emu_nvme_pmr(struct emu_nvme *nvme);

/**
 * emu_nvme_identify_ctrl() - the 4096 bytes of Identify Controller, for tests to spoil
 */
uint8_t *emu_nvme_identify_ctrl(struct emu_nvme *nvme);

/**
 * emu_nvme_identify_ns() - the 4096 bytes of Identify Namespace, for tests to spoil
 */
uint8_t *emu_nvme_identify_ns(struct emu_nvme *nvme, uint32_t nsid);

/**
 * emu_nvme_add_error() - a new entry of the error log; @status without phase tag
 */
void emu_nvme_add_error(struct emu_nvme *nvme, uint16_t sqid, uint16_t cid, uint16_t status);

/**
 * emu_nvme_reg() - a register's value (4 bytes), without counting as an access
 */
uint32_t emu_nvme_reg(struct emu_nvme *nvme, unsigned int offset);

/**
 * struct emu_nvme_stats - counters
 * @fetched: commands taken from a submission queue
 * @completed: completions posted
 * @admin: admin commands by opcode
 * @io: I/O commands by opcode
 * @sq_doorbells: doorbells written, per kind
 * @reg_accesses: register accesses but doorbells
 * @irqs: eventfds signalled
 * @enables: transitions of CC.EN from 0 to 1
 * @outstanding: commands fetched and not completed now (AERs included)
 * @aers: outstanding AERs now
 * @sqs: I/O submission queues now
 * @cqs: I/O completion queues now
 */
struct emu_nvme_stats {
	uint64_t fetched, completed;
	uint32_t admin[256], io[256];
	uint64_t sq_doorbells, cq_doorbells;
	uint64_t reg_accesses;
	uint64_t irqs;
	uint32_t enables;
	unsigned int outstanding, aers, sqs, cqs;
};

struct emu_nvme_stats emu_nvme_stats(struct emu_nvme *nvme);

/**
 * emu_nvme_raise_aen() - raise an asynchronous event
 *
 * It completes an outstanding AER if there is one and the type is not masked
 * by an unread log page, otherwise it waits. Error (0), SMART (1) and notice (2)
 * are subject to Asynchronous Event Configuration.
 */
void emu_nvme_raise_aen(struct emu_nvme *nvme, uint8_t type, uint8_t info, uint8_t lid);

/* ----------------------------------------------------------------- faults */

/**
 * enum emu_fault_kind - what goes wrong with a command
 * @EMU_DROP: it is executed and never completed
 * @EMU_LOSE: it is fetched, neither executed nor completed
 * @EMU_DELAY: it is executed and completed @delay_ns later
 * @EMU_DUPLICATE: its completion is posted twice
 * @EMU_REORDER: its completion is posted after that of the next command of the queue
 * @EMU_CORRUPT: fields of its completion are overwritten, see &struct emu_fault.fields
 * @EMU_STATUS: it is not executed and completes with @status
 * @EMU_CFS: the controller fails instead (CSTS.CFS)
 * @EMU_NO_IRQ: its completion raises no interrupt
 */
enum emu_fault_kind {
	EMU_DROP,
	EMU_LOSE,
	EMU_DELAY,
	EMU_DUPLICATE,
	EMU_REORDER,
	EMU_CORRUPT,
	EMU_STATUS,
	EMU_CFS,
	EMU_NO_IRQ,
};

/* Which fields EMU_CORRUPT overwrites. */
enum emu_cqe_field {
	EMU_CQE_CID = 1 << 0,
	EMU_CQE_SQID = 1 << 1,
	EMU_CQE_SQHD = 1 << 2,
	EMU_CQE_STATUS = 1 << 3,
	EMU_CQE_PHASE = 1 << 4, /* inverted: the entry looks as if not yet written */
	EMU_CQE_DW0 = 1 << 5,
};

/**
 * struct emu_fault - a scripted fault
 * @kind: what happens
 * @qid: submission queue or EMU_ANY
 * @opcode: opcode or EMU_ANY
 * @nth: the first command that matches is 1 (0 is taken as 1)
 * @count: number of commands hit from there on, 0 is 1; UINT32_MAX is all
 * @delay_ns: for EMU_DELAY
 * @status: 15-bit status field (SC, SCT << 8, CRD << 11, M << 13, DNR << 14) for EMU_STATUS, EMU_CORRUPT
 * @fields: for EMU_CORRUPT
 * @cid: for EMU_CORRUPT, as @sqid, @sqhd and @dw0
 */
struct emu_fault {
	enum emu_fault_kind kind;
	int qid;
	int opcode;
	uint32_t nth, count;
	uint64_t delay_ns;
	uint16_t status;
	unsigned int fields;
	uint16_t cid, sqid, sqhd;
	uint32_t dw0;
};

/**
 * emu_nvme_fault() - add a fault; commands are counted from now
 *
 * The first fault in order of addition that matches a command is applied.
 *
 * Return: its index for emu_nvme_fault_hits().
 */
unsigned int emu_nvme_fault(struct emu_nvme *nvme, const struct emu_fault *fault);

/**
 * emu_nvme_fault_hits() - how often fault @index was applied
 */
unsigned int emu_nvme_fault_hits(struct emu_nvme *nvme, unsigned int index);

/**
 * emu_nvme_clear_faults() - remove all scripted faults; dropped commands stay dropped
 */
void emu_nvme_clear_faults(struct emu_nvme *nvme);

/**
 * emu_nvme_fail_regs() - from the @nth register access (from 1) on all reads give @value
 *
 * Doorbells do not count. Writes get lost and commands are no longer executed,
 * as with a device that is gone. @nth 0 ends it.
 */
void emu_nvme_fail_regs(struct emu_nvme *nvme, unsigned int nth, uint32_t value);

/**
 * enum emu_nvme_flag - states that a test switches on and off
 * @EMU_NEVER_READY: CSTS.RDY does not become 1, nor persistent memory ready
 * @EMU_NEVER_UNREADY: CSTS.RDY does not become 0
 * @EMU_CFS_AT_ENABLE: enabling gives CSTS.CFS
 * @EMU_NEVER_SHUT_DOWN: CSTS.SHST stays at "in progress"
 * @EMU_HOLD: completions are kept back; switching off posts them
 */
enum emu_nvme_flag {
	EMU_NEVER_READY,
	EMU_NEVER_UNREADY,
	EMU_CFS_AT_ENABLE,
	EMU_NEVER_SHUT_DOWN,
	EMU_HOLD,
};

void emu_nvme_set(struct emu_nvme *nvme, enum emu_nvme_flag flag, bool on);

/**
 * emu_nvme_change() - be another controller from the next enabling on, as after a firmware's update
 * @queues: I/O queue pairs that are granted, up to those it was plugged with; 0 for all of them
 * @cap: CAP, 0 for what it is
 */
void emu_nvme_change(struct emu_nvme *nvme, unsigned int queues, uint64_t cap);

/**
 * emu_nvme_set_cfs() - fail now: CSTS.CFS is set until the controller is disabled
 */
void emu_nvme_set_cfs(struct emu_nvme *nvme);

/* ---------------------------------------------------------------- threads */

/**
 * emu_start_threads() - from now on each controller runs in a thread of its own
 *
 * Doorbells are then polled and time is CLOCK_MONOTONIC. Call it after adding
 * the controllers and before they are used.
 */
void emu_start_threads(void);

/**
 * emu_stop_threads() - back to lockstep; outstanding work is kept
 */
void emu_stop_threads(void);

#ifdef __cplusplus
}
#endif

#endif /* VFN_EMU_H */
