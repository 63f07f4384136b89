/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Commands and completions as they lie in queue memory (NVM Express Base Specification). */
#ifndef VFN_NVME_TYPES_H
#define VFN_NVME_TYPES_H

#include <stdint.h>

#include <vfn/support/compiler.h>
#include <vfn/support/endian.h>

VFN_BEGIN_DECLS

/* SGL descriptor types (Base Specification 2.0, section 4.1.2, figure 97). */
enum nvme_sgld_type {
	NVME_SGLD_TYPE_DATA_BLOCK = 0x0,
	NVME_SGLD_TYPE_BIT_BUCKET = 0x1,
	NVME_SGLD_TYPE_SEGMENT = 0x2,
	NVME_SGLD_TYPE_LAST_SEGMENT = 0x3,
};

#define NVME_SGLD_TYPE_SHIFT 4
#define NVME_SGLD_TYPE_MASK 0xf

struct nvme_sgld {
	leint64_t addr;
	leint32_t len;
	uint8_t rsvd12[3];
	uint8_t type;
};

/* Where a command's data is: two PRP entries, or one SGL descriptor. */
union nvme_dptr {
	struct {
		leint64_t prp1;
		leint64_t prp2;
	};
	struct nvme_sgld sgl;
};

enum nvme_cmd_flags {
	NVME_CMD_FLAGS_PSDT_PRP = 0x0,
	NVME_CMD_FLAGS_PSDT_SGL_MPTR_CONTIG = 0x1,
	NVME_CMD_FLAGS_PSDT_SGL_MPTR_SGL = 0x2,
};

#define NVME_CMD_FLAGS_PSDT_SHIFT 6
#define NVME_CMD_FLAGS_PSDT_MASK 0x3

/* The cid of commands and completions is opaque to the controller and never swapped. */

struct nvme_cmd_identify {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	leint32_t nsid;
	leint64_t rsvd2[2];
	union nvme_dptr dptr;
	uint8_t cns;
	uint8_t rsvd3;
	leint16_t ctrlid;
	uint8_t rsvd11[3];
	uint8_t csi;
	leint32_t rsvd12[4];
};

struct nvme_cmd_create_cq {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	leint32_t rsvd1[5];
	leint64_t prp1;
	leint64_t rsvd8;
	leint16_t qid;
	leint16_t qsize;
	leint16_t qflags;
	leint16_t iv;
	leint32_t rsvd12[4];
};

struct nvme_cmd_create_sq {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	leint32_t rsvd1[5];
	leint64_t prp1;
	leint64_t rsvd8;
	leint16_t qid;
	leint16_t qsize;
	leint16_t qflags;
	leint16_t cqid;
	leint32_t rsvd12[4];
};

enum nvme_cmd_create_q_flags {
	NVME_Q_PC = 1 << 0,
	NVME_CQ_IEN = 1 << 1,
	NVME_SQ_QPRIO_URGENT = 0 << 1,
	NVME_SQ_QPRIO_HIGH = 1 << 1,
	NVME_SQ_QPRIO_MEDIUM = 2 << 1,
	NVME_SQ_QPRIO_LOW = 3 << 1,
};

struct nvme_cmd_delete_q {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	leint32_t rsvd1[9];
	leint16_t qid;
	leint16_t rsvd10;
	leint32_t rsvd11[5];
};

struct nvme_cmd_features {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	leint32_t nsid;
	leint64_t rsvd2[2];
	union nvme_dptr dptr;
	uint8_t fid;
	uint8_t sel;
	uint16_t rsvd42;
	leint32_t cdw11;
	leint32_t cdw12;
	leint32_t cdw13;
	leint32_t cdw14;
	leint32_t cdw15;
};

struct nvme_cmd_log {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	leint32_t nsid;
	leint64_t rsvd2[2];
	union nvme_dptr dptr;
	uint8_t lid;
	uint8_t lsp;
	leint16_t numdl;
	leint16_t numdu;
	leint16_t lsi;
	leint32_t lpol;
	leint32_t lpou;
	union {
		struct {
			uint8_t rsvd14[3];
			uint8_t csi;
		};
		leint32_t cdw14;
	};
	leint32_t cdw15;
};

struct nvme_cmd_rw {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	leint32_t nsid;
	leint32_t cdw2;
	leint32_t cdw3;
	leint64_t mptr;
	union nvme_dptr dptr;
	leint64_t slba;
	leint16_t nlb;
	leint16_t control;
	leint32_t dsm;
	leint32_t reftag;
	leint16_t apptag;
	leint16_t appmask;
};

/* A submission queue entry (section 3.3.3.1). */
union nvme_cmd {
	struct {
		uint8_t opcode;
		uint8_t flags;
		uint16_t cid;
		leint32_t nsid;
		leint32_t cdw2;
		leint32_t cdw3;
		leint64_t mptr;
		union nvme_dptr dptr;
		leint32_t cdw10;
		leint32_t cdw11;
		leint32_t cdw12;
		leint32_t cdw13;
		leint32_t cdw14;
		leint32_t cdw15;
	};
	struct nvme_cmd_identify identify;
	struct nvme_cmd_create_cq create_cq;
	struct nvme_cmd_create_sq create_sq;
	struct nvme_cmd_delete_q delete_q;
	struct nvme_cmd_features features;
	struct nvme_cmd_log log;
	struct nvme_cmd_rw rw;
};

/* A completion queue entry (section 3.3.3.2). Bit 0 of sfp is the phase tag, the rest the status. */
struct nvme_cqe {
	union {
		struct {
			leint32_t dw0;
			leint32_t dw1;
		};
		leint64_t qw0;
	};
	leint16_t sqhd;
	leint16_t sqid;
	uint16_t cid;
	leint16_t sfp;
};

/* Fields of dword 0 of an asynchronous event's completion, in host order (section 5.2.1). */
#define NVME_AEN_TYPE(dw0) ((dw0)&0x7)
#define NVME_AEN_INFO(dw0) (((dw0) >> 8) & 0xff)
#define NVME_AEN_LID(dw0) (((dw0) >> 16) & 0xff)

/* Protection information with a 64-bit guard (NVM Command Set Specification 1.0, section 5.2.1.3). */
struct nvme_crc64_pi_tuple {
	beint64_t guard;
	beint16_t apptag;
	uint8_t sr[6];
};

typedef void (*cqe_handler)(struct nvme_cqe *cqe);

__static_assert(sizeof(struct nvme_sgld) == 16);
__static_assert(sizeof(union nvme_dptr) == 16);
__static_assert(sizeof(struct nvme_cmd_identify) == 64);
__static_assert(sizeof(struct nvme_cmd_create_cq) == 64);
__static_assert(sizeof(struct nvme_cmd_create_sq) == 64);
__static_assert(sizeof(struct nvme_cmd_delete_q) == 64);
__static_assert(sizeof(struct nvme_cmd_features) == 64);
__static_assert(sizeof(struct nvme_cmd_log) == 64);
__static_assert(sizeof(struct nvme_cmd_rw) == 64);
__static_assert(sizeof(union nvme_cmd) == 64);
__static_assert(sizeof(struct nvme_cqe) == 16);
__static_assert(sizeof(struct nvme_crc64_pi_tuple) == 16);

VFN_END_DECLS

#endif /* VFN_NVME_TYPES_H */
