/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The strict NVMe controller: its state, and what its parts offer each other. */
#ifndef VFN_EMU_NVME_MODEL_H
#define VFN_EMU_NVME_MODEL_H

#include <endian.h>
#include <string.h>

#include "emu_internal.h"

#define REG_CAP 0x00
#define REG_VS 0x08
#define REG_INTMS 0x0c
#define REG_INTMC 0x10
#define REG_CC 0x14
#define REG_CSTS 0x1c
#define REG_NSSR 0x20
#define REG_AQA 0x24
#define REG_ASQ 0x28
#define REG_ACQ 0x30
#define REG_CMBLOC 0x38
#define REG_CMBSZ 0x3c
#define REG_CMBMSC 0x50
#define REG_CMBSTS 0x58
#define REG_CRTO 0x68
#define REG_PMRCAP 0xe00
#define REG_PMRCTL 0xe04
#define REG_PMRSTS 0xe08
#define REG_PMRMSCL 0xe14
#define REG_PMRMSCU 0xe18
#define REG_DOORBELLS 0x1000

#define CC_EN 1u
#define CC_CSS(cc) ((cc) >> 4 & 7)
#define CC_MPS(cc) ((cc) >> 7 & 15)
#define CC_AMS(cc) ((cc) >> 11 & 7)
#define CC_SHN(cc) ((cc) >> 14 & 3)
#define CC_IOSQES(cc) ((cc) >> 16 & 15)
#define CC_IOCQES(cc) ((cc) >> 20 & 15)
#define CSTS_RDY 1u
#define CSTS_CFS 2u
#define CSTS_SHST_MASK (3u << 2)
#define CSTS_SHST_BUSY (1u << 2)
#define CSTS_SHST_DONE (2u << 2)
#define CSTS_NSSRO (1u << 4)

#define SQE_SIZE 64
#define CQE_SIZE 16
#define NVME_MAX_QUEUES 256 /* admin included */
#define NVME_MAX_FAULTS 32
#define NVME_MAX_AENS 16
#define NVME_FEATURES 16
#define NSID_ALL UINT32_MAX
#define SGLS_SUPPORT(sgls) ((sgls)&3)
#define SGLS_DWORD_ALIGNED 2
#define PSDT(dw0) ((dw0) >> 14 & 3)
#define PSDT_SGL 1
#define NEVER UINT64_MAX

/* Status field without phase: SC, SCT << 8, DNR << 14. */
enum nvme_status {
	SC_SUCCESS = 0x0,
	SC_INVALID_OPCODE = 0x4001,
	SC_INVALID_FIELD = 0x4002,
	SC_CID_CONFLICT = 0x4003,
	SC_DATA_TRANSFER = 0x0004,
	SC_INTERNAL = 0x0006,
	SC_ABORTED = 0x0007,
	SC_SQ_DELETED = 0x0008,
	SC_INVALID_NS = 0x400b,
	SC_SEQUENCE = 0x400c,
	SC_SGL_SEGMENT = 0x400d,
	SC_SGL_LENGTH = 0x400f,
	SC_SGL_TYPE = 0x4011,
	SC_CMB_USE = 0x4012,
	SC_PRP_OFFSET = 0x4013,
	SC_WRITE_PROTECTED = 0x4020,
	SC_LBA_RANGE = 0x4080,
	SC_CQ_INVALID = 0x4100,
	SC_QID_INVALID = 0x4101,
	SC_QSIZE_INVALID = 0x4102,
	SC_AER_LIMIT = 0x4105,
	SC_VECTOR_INVALID = 0x4108,
	SC_LOG_INVALID = 0x4109,
	SC_FORMAT_INVALID = 0x410a,
	SC_NOT_SAVEABLE = 0x410d,
	SC_QUEUE_DELETION = 0x410c,
	SC_CNTLID_INVALID = 0x411f,
	SC_SECONDARY_STATE = 0x4120,
	SC_RESOURCES_INVALID = 0x4121,
	SC_RESOURCE_ID_INVALID = 0x4122,
	SC_COMPARE_FAILED = 0x0285,
	SC_PENDING = 0xffff, /* not a status: no completion now */
};

struct seg {
	uint64_t iova;
	uint32_t len;
};

enum cmd_state {
	CMD_BUSY,    /* being executed */
	CMD_DONE,    /* waits for its completion to be posted */
	CMD_DELAYED, /* not executed before @due */
	CMD_WAITING, /* an AER */
	CMD_STUCK,   /* never completes by itself */
};

/* Outstanding commands are found by their identifiers, of which there may be tens of thousands. */
#define NVME_CID_LISTS 4096

struct cmd {
	enum cmd_state state;
	uint16_t sqid, cqid, cid;
	uint8_t opcode;
	uint32_t nsid;
	uint32_t dw[16];
	uint64_t prp1, prp2;
	struct seg *segs;
	unsigned int nsegs;
	uint64_t len;
	bool to_host;
	uint64_t due;
	bool after_next; /* its completion lets another one pass */
	bool faulty;
	struct emu_fault fault;
	uint16_t status;
	uint32_t dw0;
	struct cmd *next, *next_of_cid;
};

struct model_sq {
	bool live;
	uint32_t size, head, tail;
	uint32_t reported; /* head that the last completion told the host */
	uint64_t base;
	uint16_t cqid;
	uint32_t shadow;
};

struct model_cq {
	bool live, ien, phase;
	uint32_t size, head, tail;
	uint64_t base;
	uint16_t vector;
	uint32_t shadow;
};

struct model_ns {
	struct emu_ns_opts opts;
	uint8_t identify[4096];
	uint8_t *disk;
};

struct model_fault {
	struct emu_fault f;
	uint32_t seen, hits;
};

struct model_aen {
	uint8_t type, info, lid;
};

/* Error log entries, the newest first. */
#define NVME_ERRORS 64
#define NVME_ERROR_SIZE 64

struct model_secondary {
	bool online;
	uint32_t resources[2];
};

/* Addresses that mean memory of the controller's. */
struct window {
	uint8_t *mem;
	uint64_t base, size;
	bool on;
};

struct model_cmb {
	struct window window;
	uint64_t msc;
	bool invalid;
};

struct model_pmr {
	struct window window;
	uint64_t msc, ready_at;
	bool enabled, ready, invalid;
};

struct emu_nvme {
	struct emu_pci *pci;
	struct emu_nvme_opts o;
	struct model_ns ns[EMU_MAX_NS];
	uint8_t identify[4096];

	/* registers */
	uint64_t cap;
	uint32_t vs, intm, cc, csts, aqa, crto;
	uint64_t asq, acq;
	unsigned int half_written; /* bit per 64-bit register with only one half written */
	uint64_t ready_at, shutdown_at;
	unsigned int fail_regs;
	uint32_t fail_value;
	bool dead;
	bool flags[EMU_HOLD + 1];

	struct model_cmb cmb;
	struct model_pmr pmr;

	struct model_sq sq[NVME_MAX_QUEUES];
	struct model_cq cq[NVME_MAX_QUEUES];
	struct cmd *cmds;      /* outstanding, oldest first */
	struct cmd **cmds_end; /* where the next one goes, if there is one */
	struct cmd *by_cid[NVME_CID_LISTS];
	bool reordered;	      /* some of them wait for another one */
	unsigned int nqueues; /* allocated I/O queues */
	unsigned int granted; /* that can be; 0 for all */
	uint32_t features[NVME_FEATURES];
	uint8_t host_behavior[512];

	uint8_t errors[NVME_ERRORS][NVME_ERROR_SIZE];
	uint64_t nerrors;

	struct model_aen aens[NVME_MAX_AENS];
	unsigned int naens, aen_masked; /* bit per type */

	struct model_secondary *secondaries;
	uint32_t primary[2], primary_next[2]; /* flexible resources, now and after a reset */

	bool dbbuf;
	uint64_t dbbuf_shadow, dbbuf_event;

	struct model_fault faults[NVME_MAX_FAULTS];
	unsigned int nfaults;
	struct emu_nvme_stats stats;

	/* threaded mode: doorbells as the host left them, DB_NONE if taken */
	uint32_t db[2 * NVME_MAX_QUEUES];
	uint32_t kick;
	uint32_t stop;
	pthread_t thread;
	struct emu_nvme *next;
};

#define DB_NONE UINT32_MAX

extern struct emu_nvme *emu_nvmes;

#define nvme_report(n, fmt, ...) emu_report("%s: " fmt, (n)->pci->bdf, ##__VA_ARGS__)

static inline void put_le16(uint8_t *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

/* nvme_regs.c */
extern const struct pci_ops nvme_pci_ops;
uint32_t nvme_page_size(const struct emu_nvme *n);
unsigned int nvme_max_db(const struct emu_nvme *n);
bool nvme_running(const struct emu_nvme *n);
void nvme_set_cfs(struct emu_nvme *n, const char *why);
void nvme_tick(struct emu_nvme *n);
uint64_t nvme_due(const struct emu_nvme *n);

/* nvme_queue.c */
void nvme_doorbell(struct emu_nvme *n, unsigned int index, uint32_t val);
void nvme_take_doorbells(struct emu_nvme *n);
void nvme_poll_shadow(struct emu_nvme *n);
void nvme_run_queues(struct emu_nvme *n);
void nvme_post_completions(struct emu_nvme *n);
void nvme_drop_queues(struct emu_nvme *n);
void nvme_complete(struct emu_nvme *n, struct cmd *cmd, uint16_t status);
void nvme_drop_cmd(struct emu_nvme *n, struct cmd *cmd);
/* Whether another one that is outstanding has its identifier. */
bool nvme_cid_in_use(struct emu_nvme *n, const struct cmd *cmd);
void nvme_update_intx(struct emu_nvme *n);
bool nvme_check_queue(struct emu_nvme *n, uint64_t base, uint32_t entries, bool is_cq,
		      const char *what);
void nvme_queues_unmapping(struct emu_nvme *n, uint64_t iova, uint64_t last);

/* nvme_dma.c */
/* The memory at @iova, the controller's own included; NULL if there is none. */
void *nvme_reach(struct emu_nvme *n, uint64_t iova, bool write);
void *nvme_dma(struct emu_nvme *n, uint64_t iova, bool write, const char *what);
bool nvme_dma_read(struct emu_nvme *n, uint64_t iova, void *buf, size_t len, const char *what);

/* The way along a command's data pointer. */
struct walk {
	struct emu_nvme *n;
	struct cmd *cmd;
	uint64_t page, left;
	uint16_t status;
	/* whether some of it was inside and some outside of the CMB */
	unsigned int lists, data;
};

/* Report what is wrong with it; false. */
bool nvme_bad_dptr(struct walk *w, uint16_t status, const char *what, uint64_t value);
/* It leads to this memory; false if that cannot be reached. */
bool nvme_add_seg(struct walk *w, uint64_t iova, uint32_t len);
uint16_t nvme_walk_prps(struct emu_nvme *n, struct cmd *cmd);
uint16_t nvme_transfer(struct emu_nvme *n, struct cmd *cmd, void *buf, size_t len);

/* nvme_memory.c; what commands may not do there is reported */
enum cmb_use {
	CMB_SQ,
	CMB_CQ,
	CMB_LISTS,
	CMB_READ,
	CMB_WRITE,
};

void nvme_memory_defaults(struct emu_nvme_opts *o);
uint64_t nvme_memory_cap(const struct emu_nvme *n);
void nvme_memory_plug(struct emu_nvme *n);
void nvme_memory_reset(struct emu_nvme *n);
void nvme_memory_closing(struct emu_nvme *n);
void nvme_memory_tick(struct emu_nvme *n);
uint32_t nvme_memory_read(struct emu_nvme *n, uint64_t offset);
bool nvme_memory_write(struct emu_nvme *n, uint64_t offset, uint32_t val);
void *nvme_own_memory(struct emu_nvme *n, uint64_t iova);
bool nvme_cmb_takes_queue(struct emu_nvme *n, uint64_t base, uint64_t len, bool is_cq,
			  const char *what);
bool nvme_cmb_takes_list(struct walk *w, uint64_t at);
bool nvme_cmb_takes_data(struct walk *w, uint64_t iova);

/* nvme_sgl.c */
uint16_t nvme_walk_sgl(struct emu_nvme *n, struct cmd *cmd);

/* nvme_check.c */
enum nsid_rule {
	NSID_UNUSED,
	NSID_ANY,
	NSID_ACTIVE,
	NSID_ACTIVE_OR_ALL
};
enum dptr_rule {
	DPTR_UNUSED,
	DPTR_DATA,
	DPTR_PRP1,
	DPTR_PRP12
};

struct nvme_op {
	uint8_t opcode;
	const char *name;
	enum nsid_rule nsid;
	enum dptr_rule dptr;
	bool mptr;
	uint32_t allow[6]; /* bits of CDW10 to CDW15 that are defined */
	uint32_t allow23[2];
	uint64_t (*length)(struct emu_nvme *n, const struct cmd *cmd);
	uint16_t (*exec)(struct emu_nvme *n, struct cmd *cmd);
};

const struct nvme_op *nvme_find_op(const struct cmd *cmd);
const char *nvme_cmd_name(const struct cmd *cmd);
uint16_t nvme_check_cmd(struct emu_nvme *n, struct cmd *cmd);
uint16_t nvme_exec(struct emu_nvme *n, struct cmd *cmd);
struct model_ns *nvme_ns(struct emu_nvme *n, uint32_t nsid);

/* nvme_admin.c, nvme_io.c, nvme_identify.c */
extern const struct nvme_op nvme_admin_ops[], nvme_io_ops[];
extern const size_t nvme_num_admin_ops, nvme_num_io_ops;
void nvme_reset_features(struct emu_nvme *n);
void nvme_deliver_aens(struct emu_nvme *n);
void nvme_init_identify(struct emu_nvme *n);
void nvme_format_ns(struct emu_nvme *n, uint32_t nsid, uint32_t lba_size);
uint16_t nvme_identify(struct emu_nvme *n, struct cmd *cmd);

/* nvme_virt.c */
void nvme_init_virt(struct emu_nvme *n);
void nvme_reset_virt(struct emu_nvme *n);
void nvme_primary_caps(struct emu_nvme *n, uint8_t *buf);
void nvme_secondary_list(struct emu_nvme *n, uint16_t from, uint8_t *buf);
uint16_t nvme_virt_mgmt(struct emu_nvme *n, struct cmd *cmd);

/* fault.c */
bool nvme_match_fault(struct emu_nvme *n, const struct cmd *cmd, struct emu_fault *fault);

#endif /* VFN_EMU_NVME_MODEL_H */
