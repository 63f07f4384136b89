/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest programs share: a controller with a queue, patterns, the kernel's view of the data, the host. */
#ifndef VM_GUEST_H
#define VM_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include <vfn/nvme.h>

#define NVME_ADMIN_GET_LOG 0x02
#define NVME_ADMIN_IDENTIFY 0x06
#define NVME_ADMIN_SET_FEATURES 0x09
#define NVME_IO_WRITE 0x01
#define NVME_IO_READ 0x02

#define SECOND_NS 1000000000ULL

/* A namespace that several controllers share; the profile makes two. */
struct guest_ns {
	uint32_t nsid;
	size_t block;
};

extern const struct guest_ns guest_ns512, guest_ns4096;

/* The PCI address of a controller that the profile names. */
const char *guest_bdf(const char *name);

/* A controller, up, with one polled queue pair; the test fails if it does not come up. */
void guest_open(struct nvme_ctrl *ctrl, const char *name, unsigned int quirks);

/* Memory for I/O: page-aligned, cleared. */
void *guest_alloc(size_t len);
void guest_free(void *mem, size_t len);

/* Fill memory with what only this seed gives; say whether it is still that. */
void guest_fill(void *mem, size_t len, uint64_t seed);
void guest_check(const void *mem, size_t len, uint64_t seed);

/* A read or write command. */
union nvme_cmd guest_rw(uint8_t opcode, const struct guest_ns *ns, uint64_t slba, size_t len);

/* Do one and wait: one returns what the library says, its twins expect success. */
int guest_try(struct nvme_ctrl *ctrl, int qid, union nvme_cmd cmd, void *mem, size_t len,
	      struct nvme_cqe *cqe);
void guest_write(struct nvme_ctrl *ctrl, int qid, const struct guest_ns *ns, uint64_t slba,
		 void *mem, size_t len);
void guest_read(struct nvme_ctrl *ctrl, int qid, const struct guest_ns *ns, uint64_t slba,
		void *mem, size_t len);

/* The same data as the kernel's driver of controller "b" reads it, past the page cache; @mem is page-aligned. */
void guest_kernel_read(const struct guest_ns *ns, uint64_t slba, void *mem, size_t len);
void guest_kernel_check(const struct guest_ns *ns, uint64_t slba, size_t len, uint64_t seed);

/* Open the kernel's block device for a namespace of a controller, with these flags besides O_RDONLY and O_CLOEXEC. */
int guest_kernel_open(const char *name, uint32_t nsid, int flags);

/* Identify Controller data, 4096 bytes. */
void guest_identify(struct nvme_ctrl *ctrl, void *data);

/* How many descriptors this process has, that of the count included. */
int guest_count_descriptors(void);

/* How many descriptors of VFIO, of iommufd and of interrupts a process has. */
unsigned int guest_kernel_objects(pid_t pid);

/* A QMP command of the host's QEMU: one returns whether it succeeds, its twin expects that. */
bool host_try_qmp(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define host_qmp(...) assert_true(host_try_qmp(__VA_ARGS__))

/* What the host has in the file of a drive or a memory that the profile names. */
void host_read(const char *name, uint64_t offset, void *mem, size_t len);
void host_check(const char *name, uint64_t offset, size_t len, uint64_t seed);

/* Have the host put a device's memory, at a physical address, into a file of this name. */
void host_save(const char *name, uint64_t addr, size_t len);

/* How often QEMU has told of an event of QMP. */
long host_event_count(const char *name);

/* Switch one of QEMU's trace events on; count its lines that start with this regular
 * expression. */
void host_trace(const char *event);
long host_trace_count(const char *text);

/* The host's clock, which no emulation has part in: where the host is busy, a guest may get the rate of its own wrong. */
uint64_t host_seconds(void);

/* The test fails with what the library says of its last error. */
#define assert_vfn(expression) \
	do { \
		if (!(expression)) \
			fail_msg("%s: %s", #expression, vfn_last_error()); \
	} while (0)

#endif /* VM_GUEST_H */
