// SPDX-License-Identifier: GPL-2.0-or-later
/* Every public name with its exact type: a change of the interface does not compile, or does not link. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <vfn/blk.h>
#include <vfn/iommu/iommufd.h>
#include <vfn/nvme.h>
#include <vfn/pci.h>

#define SAME_TYPE(a, b) __builtin_types_compatible_p(a, b)

/* A function, or a variable, of this type, that the library also has as a symbol. */
#define NAME(name, ...) \
	_Static_assert(SAME_TYPE(__typeof__(name), __VA_ARGS__), #name); \
	static const void *glue(link_, name) __attribute__((used)) = (const void *)&name

#define FIELD(type, field, ...) \
	_Static_assert(SAME_TYPE(__typeof__(((type *)NULL)->field), __VA_ARGS__), #type "." #field)
#define FIELD_AT(type, field, offset, ...) \
	FIELD(type, field, __VA_ARGS__); \
	_Static_assert(offsetof(type, field) == (offset), #type "." #field)
#define VALUE(name, value) _Static_assert((name) + 0 == (value) + 0, #name)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)

typedef struct iommu_ctx ctx;
typedef struct nvme_ctrl ctrl;
typedef struct nvme_cqe cqe;
typedef struct nvme_rq rq;
typedef struct nvme_sq sq;
typedef struct nvme_cq cq;
typedef union nvme_cmd cmd;
typedef struct vfio_pci_device pci;

typedef struct vfn_blk blk;
typedef struct vfn_blk_queue blk_queue;
typedef struct vfn_blk_req blk_req;

/* vfn/blk.h */
FIELD_AT(struct vfn_blk_opts, queues, 0, unsigned int);
FIELD(struct vfn_blk_opts, depth, unsigned int);
FIELD(struct vfn_blk_opts, timeout_ms, unsigned int);
FIELD(struct vfn_blk_opts, quirks, unsigned int);
FIELD(struct vfn_blk_opts, flags, unsigned int);
VALUE(VFN_BLK_RDONLY, 1 << 0);
VALUE(VFN_BLK_EXACT, 1 << 1);
VALUE(VFN_BLK_TRY, 1 << 2);
VALUE(VFN_BLK_SGL, 1 << 3);
VALUE(VFN_BLK_NO_FALLBACK, 1 << 4);
VALUE(VFN_BLK_F_RDONLY, 1 << 0);
VALUE(VFN_BLK_F_WRITE_CACHE, 1 << 1);
VALUE(VFN_BLK_F_COMPARE, 1 << 2);
VALUE(VFN_BLK_F_DISCARD, 1 << 3);
VALUE(VFN_BLK_F_WRITE_ZEROES, 1 << 4);
VALUE(VFN_BLK_F_VERIFY, 1 << 5);
FIELD_AT(struct vfn_blk_info, bdf, 0, char[16]);
FIELD(struct vfn_blk_info, nsid, uint32_t);
FIELD(struct vfn_blk_info, block_size, uint32_t);
FIELD(struct vfn_blk_info, nblocks, uint64_t);
FIELD(struct vfn_blk_info, max_blocks, uint32_t);
FIELD(struct vfn_blk_info, boundary, uint32_t);
FIELD(struct vfn_blk_info, queues, unsigned int);
FIELD(struct vfn_blk_info, depth, unsigned int);
FIELD(struct vfn_blk_info, features, unsigned int);
FIELD(struct vfn_blk_info, vendor, uint16_t);
FIELD(struct vfn_blk_info, serial, char[21]);
FIELD(struct vfn_blk_info, model, char[41]);
FIELD(struct vfn_blk_info, firmware, char[9]);
FIELD(struct vfn_blk_info, nguid, uint8_t[16]);
FIELD(struct vfn_blk_info, eui64, uint8_t[8]);
FIELD(struct vfn_blk_info, zone_size, uint64_t);
FIELD(struct vfn_blk_info, max_append, uint32_t);
NAME(vfn_blk_open, int(blk **, const char *, const struct vfn_blk_opts *));
NAME(vfn_blk_close, int(blk *));
NAME(vfn_blk_get_info, void(const blk *, struct vfn_blk_info *));
NAME(vfn_blk_alloc, void *(blk *, size_t));
NAME(vfn_blk_free, int(blk *, void *));
NAME(vfn_blk_register, int(blk *, void *, size_t));
NAME(vfn_blk_unregister, int(blk *, void *));
NAME(vfn_blk_last_status, uint16_t(void));
NAME(vfn_blk_read, int(blk *, void *, uint64_t, uint64_t));
NAME(vfn_blk_write, int(blk *, const void *, uint64_t, uint64_t));
NAME(vfn_blk_readv, int(blk *, const struct iovec *, int, uint64_t));
NAME(vfn_blk_writev, int(blk *, const struct iovec *, int, uint64_t));
NAME(vfn_blk_flush, int(blk *));
NAME(vfn_blk_discard, int(blk *, uint64_t, uint64_t));
NAME(vfn_blk_write_zeroes, int(blk *, uint64_t, uint64_t));
NAME(vfn_blk_compare, int(blk *, const void *, uint64_t, uint64_t));
NAME(vfn_blk_verify, int(blk *, uint64_t, uint64_t));
NAME(vfn_blk_event_fd, int(const blk_queue *));
NAME(vfn_blk_copy, int(blk *, uint64_t, uint64_t, uint64_t));
NAME(vfn_blk_cmd, int(blk *, const union nvme_cmd *, void *, size_t, uint64_t *));
NAME(vfn_blk_admin, int(blk *, const union nvme_cmd *, void *, size_t, uint64_t *));
NAME(vfn_blk_zone_report, int(blk *, uint64_t, struct vfn_blk_zone *, int));
NAME(vfn_blk_zone_send, int(blk *, uint64_t, unsigned int));
NAME(vfn_blk_zone_append, int(blk *, uint64_t, const void *, uint64_t, uint64_t *));
NAME(vfn_blk_pread, int(blk *, void *, size_t, uint64_t));
NAME(vfn_blk_pwrite, int(blk *, const void *, size_t, uint64_t));
VALUE(VFN_BLK_READ, 0);
VALUE(VFN_BLK_WRITE, 1);
VALUE(VFN_BLK_COMPARE, 2);
VALUE(VFN_BLK_FLUSH, 3);
VALUE(VFN_BLK_DISCARD, 4);
VALUE(VFN_BLK_WRITE_ZEROES, 5);
VALUE(VFN_BLK_VERIFY, 6);
VALUE(VFN_BLK_FUA, 1 << 0);
FIELD_AT(blk_req, op, 0, uint8_t);
FIELD_AT(blk_req, flags, 1, uint8_t);
FIELD_AT(blk_req, timeout_ms, 4, uint32_t);
FIELD_AT(blk_req, lba, 8, uint64_t);
FIELD_AT(blk_req, nlb, 16, uint64_t);
FIELD_AT(blk_req, buf, 24, void *);
FIELD_AT(blk_req, iov, 32, const struct iovec *);
FIELD_AT(blk_req, niov, 40, int);
FIELD_AT(blk_req, error, 44, int);
FIELD_AT(blk_req, status, 48, uint16_t);
FIELD_AT(blk_req, complete, 56, void (*)(blk_req *));
FIELD_AT(blk_req, opaque, 64, void *);
NAME(vfn_blk_get_queue, blk_queue *(blk *));
NAME(vfn_blk_put_queue, int(blk_queue *));
NAME(vfn_blk_submit, int(blk_queue *, blk_req *));
NAME(vfn_blk_wait, int(blk_queue *, blk_req **, int, int, int64_t));
NAME(vfn_blk_wait_req, int(blk_req *, int64_t));
NAME(vfn_blk_cancel, int(blk_req *));

/* vfn/iommu/context.h */
NAME(iommu_get_context, ctx *(const char *));
NAME(iommu_ctx_is_iommufd, bool(ctx *));
NAME(vfn_iommu_put_context, void(ctx *));
NAME(vfn_iommu_reason, const char *(ctx *));
NAME(vfn_iommu_choose, int(const char *, char *, size_t));

/* vfn/iommu/dma.h */
_Static_assert(SAME_TYPE(iova_t, uint64_t), "iova_t");
FIELD(struct iova_vec, iova, iova_t);
FIELD(struct iova_vec, len, size_t);
FIELD_AT(struct iommu_iova_range, start, 0, __typeof__(((struct iommu_iova_range *)NULL)->last));
SIZE(struct iommu_iova_range, 16);
VALUE(IOMMU_MAP_FIXED_IOVA, 1 << 0);
VALUE(IOMMU_MAP_EPHEMERAL, 1 << 1);
VALUE(IOMMU_MAP_NOWRITE, 1 << 2);
VALUE(IOMMU_MAP_NOREAD, 1 << 3);
NAME(iommu_map_vaddr, int(ctx *, void *, size_t, iova_t *, unsigned long));
NAME(iommu_map_vaddr_align, int(ctx *, void *, size_t, size_t, iova_t *, unsigned long));
NAME(iommu_unmap_vaddr, int(ctx *, void *, size_t *));
NAME(iommu_unmap_all, int(ctx *));
NAME(iommu_alloc_same_iova, void *(ctx *, size_t));
NAME(iommu_free_same_iova, int(ctx *, void *));
NAME(iommu_translate_vaddr, bool(ctx *, void *, iova_t *));
NAME(iommu_translate_iova, ssize_t(ctx *, iova_t, void **));
NAME(iommu_get_iova_ranges, int(ctx *, struct iommu_iova_range **));
NAME(vfn_iommu_map_file, int(ctx *, int, off_t, void *, size_t, iova_t *, unsigned long));
NAME(vfn_iommu_translate, size_t(ctx *, const void *, size_t, iova_t *));

/* vfn/iommu/iommufd.h */
FIELD(struct iommufd_fault_queue, fault_id, int);
FIELD(struct iommufd_fault_queue, fault_fd, int);
NAME(iommufd_alloc_fault_queue, int(struct iommufd_fault_queue *));
NAME(iommufd_set_fault_queue, int(ctx *, struct iommufd_fault_queue *, int));
NAME(vfn_iommufd_free_fault_queue, void(struct iommufd_fault_queue *));
NAME(vfn_iommufd_get_faults, int(struct iommufd_fault_queue *, struct vfn_iommufd_fault *, int));
NAME(vfn_iommufd_answer_fault,
     int(struct iommufd_fault_queue *, const struct vfn_iommufd_fault *, bool));

/* vfn/iommu/dmabuf.h */
FIELD(struct iommu_dmabuf, ctx, ctx *);
FIELD(struct iommu_dmabuf, vaddr, void *);
FIELD(struct iommu_dmabuf, iova, iova_t);
FIELD(struct iommu_dmabuf, len, ssize_t);
NAME(iommu_get_dmabuf, int(ctx *, struct iommu_dmabuf *, size_t, unsigned long));
NAME(iommu_put_dmabuf, void(struct iommu_dmabuf *));
NAME(__do_iommu_put_dmabuf, void(void *));

/* vfn/vfio/device.h */
FIELD_AT(struct vfio_device, fd, 0, int);
FIELD_AT(struct vfio_device, ctx, 8, ctx *);
FIELD_AT(struct vfio_device, device_info, 16, struct vfio_device_info);
FIELD_AT(struct vfio_device, irq_info, 48, struct vfio_irq_info);
NAME(vfio_set_irq, int(struct vfio_device *, int *, int, int));
NAME(vfio_disable_irq, int(struct vfio_device *, int, int));
NAME(vfio_disable_irq_all, int(struct vfio_device *));
NAME(vfio_reset, int(struct vfio_device *));
NAME(vfn_vfio_setup_irqs, int(struct vfio_device *, int *, int, int));
NAME(vfn_vfio_unmask_irq, int(struct vfio_device *));

/* vfn/vfio/pci.h */
VALUE(PCI_STD_NUM_BARS, 6);
FIELD_AT(struct vfio_pci_device, dev, 0, struct vfio_device);
FIELD(struct vfio_pci_device, classcode, unsigned long long);
FIELD(struct vfio_pci_device, bdf, char *);
FIELD(struct vfio_pci_device, config_region_info, struct vfio_region_info);
FIELD(struct vfio_pci_device, bar_region_info, struct vfio_region_info[6]);
VALUE(VFN_IRQ_INTX, VFIO_PCI_INTX_IRQ_INDEX);
VALUE(VFN_IRQ_MSI, VFIO_PCI_MSI_IRQ_INDEX);
VALUE(VFN_IRQ_MSIX, VFIO_PCI_MSIX_IRQ_INDEX);
NAME(vfio_pci_open, int(pci *, const char *));
NAME(vfio_pci_close, int(pci *));
NAME(vfio_pci_get_irq_info, int(pci *, struct vfio_irq_info *));
NAME(vfio_pci_map_bar, void *(pci *, int, size_t, uint64_t, int));
NAME(vfio_pci_unmap_bar, void(pci *, int, void *, size_t, uint64_t));
NAME(vfio_pci_read_config, ssize_t(pci *, void *, size_t, off_t));
NAME(vfio_pci_write_config, ssize_t(pci *, void *, size_t, off_t));
NAME(vfn_sigbus_guard, int(bool));
NAME(vfn_vfio_request_fd, int(pci *));
NAME(vfn_vfio_error_fd, int(pci *));
NAME(vfn_vfio_select_irq, int(pci *, enum vfn_irq_type));
NAME(vfn_vfio_pci_set_master, int(pci *));
NAME(vfn_vfio_pci_pread, ssize_t(pci *, void *, size_t, off_t));
NAME(vfn_vfio_pci_pwrite, ssize_t(pci *, const void *, size_t, off_t));

/* vfn/pci/util.h */
NAME(pci_bind, int(const char *, const char *));
NAME(pci_unbind, int(const char *));
NAME(pci_driver_new_id, int(const char *, uint16_t, uint16_t));
NAME(pci_driver_remove_id, int(const char *, uint16_t, uint16_t));
NAME(pci_device_info_get_ull, int(const char *, const char *, unsigned long long *));
NAME(pci_get_driver, char *(const char *));
NAME(pci_get_iommu_group, char *(const char *));
NAME(pci_get_device_vfio_id, char *(const char *));
NAME(pci_get_vf_bdf, char *(const char *, int));
NAME(pci_is_vf, bool(const char *));
NAME(pci_is_pf, bool(const char *));
NAME(pci_is_sriov_supported, bool(const char *));
NAME(pci_vf_get_pf_bdf, char *(const char *));
NAME(pci_vf_get_vfnum, int(const char *));
NAME(vfn_pci_set_numvfs, int(const char *, unsigned int));
NAME(vfn_pci_get_numvfs, int(const char *));

/* vfn/pci/bdf.h, device.h, driver.h */
VALUE(VFN_PCI_BDF_LEN, 13);
VALUE(VFN_PCI_CLASS_NVME, 0x0108);
NAME(vfn_pci_parse_bdf, int(const char *, char *));
NAME(vfn_pci_get_info, int(const char *, struct vfn_pci_info *));
NAME(vfn_pci_put_info, void(struct vfn_pci_info *));
NAME(vfn_pci_for_each_device, int(int (*)(const char *, void *), void *));
NAME(vfn_pci_group_members, int(const char *, int (*)(const char *, const char *, void *), void *));
NAME(vfn_pci_for_each_block,
     int(const char *, int (*)(const char *, const char *, void *), void *));
NAME(vfn_pci_check_idle, int(const char *));
NAME(vfn_pci_bind_driver, int(const char *, const char *, const struct vfn_pci_steps *));
NAME(vfn_pci_unbind_driver, int(const char *, const struct vfn_pci_steps *));
NAME(vfn_pci_restore_driver, int(const char *, const struct vfn_pci_steps *));
NAME(vfn_pci_get_record, int(const char *, struct vfn_pci_record *));
NAME(vfn_pci_put_record, void(struct vfn_pci_record *));

/* vfn/trace.h */
#define EVENT(name) NAME(TRACE_##name##_ACTIVE, bool);
__VFN_TRACE_EVENTS(EVENT)
VALUE(TRACE_NVME_CQ_GET_CQE_DISABLED, 1);
VALUE(TRACE_IOMMUFD_IOAS_UNMAP_DMA_DISABLED, 0);
FIELD_AT(struct trace_ratelimit_state, interval, 0, int);
FIELD_AT(struct trace_ratelimit_state, skipped, 4, int);
FIELD_AT(struct trace_ratelimit_state, tag, 8, uint64_t);
FIELD_AT(struct trace_ratelimit_state, begin, 16, uint64_t);
FIELD_AT(struct trace_ratelimit_state, end, 24, uint64_t);
NAME(trace_event_set_active, void(const char *, bool));
NAME(__trace_ratelimited, bool(struct trace_ratelimit_state *, uint64_t, const char *));
NAME(vfn_trace, void(const char *, const char *, ...));
NAME(vfn_trace_init, void(void));
NAME(vfn_trace_ready, bool);

/* vfn/nvme/types.h */
VALUE(NVME_SGLD_TYPE_DATA_BLOCK, 0);
VALUE(NVME_SGLD_TYPE_BIT_BUCKET, 1);
VALUE(NVME_SGLD_TYPE_SEGMENT, 2);
VALUE(NVME_SGLD_TYPE_LAST_SEGMENT, 3);
VALUE(NVME_SGLD_TYPE_SHIFT, 4);
VALUE(NVME_SGLD_TYPE_MASK, 0xf);
FIELD_AT(struct nvme_sgld, addr, 0, leint64_t);
FIELD_AT(struct nvme_sgld, len, 8, leint32_t);
FIELD_AT(struct nvme_sgld, rsvd12, 12, uint8_t[3]);
FIELD_AT(struct nvme_sgld, type, 15, uint8_t);
FIELD_AT(union nvme_dptr, prp1, 0, leint64_t);
FIELD_AT(union nvme_dptr, prp2, 8, leint64_t);
FIELD_AT(union nvme_dptr, sgl, 0, struct nvme_sgld);

#define COMMAND_HEADER(type) \
	SIZE(type, 64); \
	FIELD_AT(type, opcode, 0, uint8_t); \
	FIELD_AT(type, flags, 1, uint8_t); \
	FIELD_AT(type, cid, 2, uint16_t)
#define COMMAND_MEMBER(member, type) \
	FIELD_AT(cmd, member, 0, type); \
	COMMAND_HEADER(type)

COMMAND_MEMBER(identify, struct nvme_cmd_identify);
FIELD_AT(struct nvme_cmd_identify, nsid, 4, leint32_t);
FIELD_AT(struct nvme_cmd_identify, rsvd2, 8, leint64_t[2]);
FIELD_AT(struct nvme_cmd_identify, dptr, 24, union nvme_dptr);
FIELD_AT(struct nvme_cmd_identify, cns, 40, uint8_t);
FIELD_AT(struct nvme_cmd_identify, rsvd3, 41, uint8_t);
FIELD_AT(struct nvme_cmd_identify, ctrlid, 42, leint16_t);
FIELD_AT(struct nvme_cmd_identify, rsvd11, 44, uint8_t[3]);
FIELD_AT(struct nvme_cmd_identify, csi, 47, uint8_t);
FIELD_AT(struct nvme_cmd_identify, rsvd12, 48, leint32_t[4]);

COMMAND_MEMBER(create_cq, struct nvme_cmd_create_cq);
FIELD_AT(struct nvme_cmd_create_cq, rsvd1, 4, leint32_t[5]);
FIELD_AT(struct nvme_cmd_create_cq, prp1, 24, leint64_t);
FIELD_AT(struct nvme_cmd_create_cq, rsvd8, 32, leint64_t);
FIELD_AT(struct nvme_cmd_create_cq, qid, 40, leint16_t);
FIELD_AT(struct nvme_cmd_create_cq, qsize, 42, leint16_t);
FIELD_AT(struct nvme_cmd_create_cq, qflags, 44, leint16_t);
FIELD_AT(struct nvme_cmd_create_cq, iv, 46, leint16_t);
FIELD_AT(struct nvme_cmd_create_cq, rsvd12, 48, leint32_t[4]);

COMMAND_MEMBER(create_sq, struct nvme_cmd_create_sq);
FIELD_AT(struct nvme_cmd_create_sq, rsvd1, 4, leint32_t[5]);
FIELD_AT(struct nvme_cmd_create_sq, prp1, 24, leint64_t);
FIELD_AT(struct nvme_cmd_create_sq, rsvd8, 32, leint64_t);
FIELD_AT(struct nvme_cmd_create_sq, qid, 40, leint16_t);
FIELD_AT(struct nvme_cmd_create_sq, qsize, 42, leint16_t);
FIELD_AT(struct nvme_cmd_create_sq, qflags, 44, leint16_t);
FIELD_AT(struct nvme_cmd_create_sq, cqid, 46, leint16_t);
FIELD_AT(struct nvme_cmd_create_sq, rsvd12, 48, leint32_t[4]);

VALUE(NVME_Q_PC, 1);
VALUE(NVME_CQ_IEN, 2);
VALUE(NVME_SQ_QPRIO_URGENT, 0 << 1);
VALUE(NVME_SQ_QPRIO_HIGH, 1 << 1);
VALUE(NVME_SQ_QPRIO_MEDIUM, 2 << 1);
VALUE(NVME_SQ_QPRIO_LOW, 3 << 1);

COMMAND_MEMBER(delete_q, struct nvme_cmd_delete_q);
FIELD_AT(struct nvme_cmd_delete_q, rsvd1, 4, leint32_t[9]);
FIELD_AT(struct nvme_cmd_delete_q, qid, 40, leint16_t);
FIELD_AT(struct nvme_cmd_delete_q, rsvd10, 42, leint16_t);
FIELD_AT(struct nvme_cmd_delete_q, rsvd11, 44, leint32_t[5]);

COMMAND_MEMBER(features, struct nvme_cmd_features);
FIELD_AT(struct nvme_cmd_features, nsid, 4, leint32_t);
FIELD_AT(struct nvme_cmd_features, rsvd2, 8, leint64_t[2]);
FIELD_AT(struct nvme_cmd_features, dptr, 24, union nvme_dptr);
FIELD_AT(struct nvme_cmd_features, fid, 40, uint8_t);
FIELD_AT(struct nvme_cmd_features, sel, 41, uint8_t);
FIELD_AT(struct nvme_cmd_features, rsvd42, 42, uint16_t);
FIELD_AT(struct nvme_cmd_features, cdw11, 44, leint32_t);
FIELD_AT(struct nvme_cmd_features, cdw12, 48, leint32_t);
FIELD_AT(struct nvme_cmd_features, cdw13, 52, leint32_t);
FIELD_AT(struct nvme_cmd_features, cdw14, 56, leint32_t);
FIELD_AT(struct nvme_cmd_features, cdw15, 60, leint32_t);

COMMAND_MEMBER(log, struct nvme_cmd_log);
FIELD_AT(struct nvme_cmd_log, nsid, 4, leint32_t);
FIELD_AT(struct nvme_cmd_log, rsvd2, 8, leint64_t[2]);
FIELD_AT(struct nvme_cmd_log, dptr, 24, union nvme_dptr);
FIELD_AT(struct nvme_cmd_log, lid, 40, uint8_t);
FIELD_AT(struct nvme_cmd_log, lsp, 41, uint8_t);
FIELD_AT(struct nvme_cmd_log, numdl, 42, leint16_t);
FIELD_AT(struct nvme_cmd_log, numdu, 44, leint16_t);
FIELD_AT(struct nvme_cmd_log, lsi, 46, leint16_t);
FIELD_AT(struct nvme_cmd_log, lpol, 48, leint32_t);
FIELD_AT(struct nvme_cmd_log, lpou, 52, leint32_t);
FIELD_AT(struct nvme_cmd_log, rsvd14, 56, uint8_t[3]);
FIELD_AT(struct nvme_cmd_log, csi, 59, uint8_t);
FIELD_AT(struct nvme_cmd_log, cdw14, 56, leint32_t);
FIELD_AT(struct nvme_cmd_log, cdw15, 60, leint32_t);

COMMAND_MEMBER(rw, struct nvme_cmd_rw);
FIELD_AT(struct nvme_cmd_rw, nsid, 4, leint32_t);
FIELD_AT(struct nvme_cmd_rw, cdw2, 8, leint32_t);
FIELD_AT(struct nvme_cmd_rw, cdw3, 12, leint32_t);
FIELD_AT(struct nvme_cmd_rw, mptr, 16, leint64_t);
FIELD_AT(struct nvme_cmd_rw, dptr, 24, union nvme_dptr);
FIELD_AT(struct nvme_cmd_rw, slba, 40, leint64_t);
FIELD_AT(struct nvme_cmd_rw, nlb, 48, leint16_t);
FIELD_AT(struct nvme_cmd_rw, control, 50, leint16_t);
FIELD_AT(struct nvme_cmd_rw, dsm, 52, leint32_t);
FIELD_AT(struct nvme_cmd_rw, reftag, 56, leint32_t);
FIELD_AT(struct nvme_cmd_rw, apptag, 60, leint16_t);
FIELD_AT(struct nvme_cmd_rw, appmask, 62, leint16_t);

COMMAND_HEADER(cmd);
FIELD_AT(cmd, nsid, 4, leint32_t);
FIELD_AT(cmd, cdw2, 8, leint32_t);
FIELD_AT(cmd, cdw3, 12, leint32_t);
FIELD_AT(cmd, mptr, 16, leint64_t);
FIELD_AT(cmd, dptr, 24, union nvme_dptr);
FIELD_AT(cmd, cdw10, 40, leint32_t);
FIELD_AT(cmd, cdw11, 44, leint32_t);
FIELD_AT(cmd, cdw12, 48, leint32_t);
FIELD_AT(cmd, cdw13, 52, leint32_t);
FIELD_AT(cmd, cdw14, 56, leint32_t);
FIELD_AT(cmd, cdw15, 60, leint32_t);

VALUE(NVME_CMD_FLAGS_PSDT_PRP, 0);
VALUE(NVME_CMD_FLAGS_PSDT_SGL_MPTR_CONTIG, 1);
VALUE(NVME_CMD_FLAGS_PSDT_SGL_MPTR_SGL, 2);
VALUE(NVME_CMD_FLAGS_PSDT_MASK, 3);
VALUE(NVME_CMD_FLAGS_PSDT_SHIFT, 6);

SIZE(struct nvme_crc64_pi_tuple, 16);
SIZE(cqe, 16);
FIELD_AT(cqe, dw0, 0, leint32_t);
FIELD_AT(cqe, dw1, 4, leint32_t);
FIELD_AT(cqe, qw0, 0, leint64_t);
FIELD_AT(cqe, sqhd, 8, leint16_t);
FIELD_AT(cqe, sqid, 10, leint16_t);
FIELD_AT(cqe, cid, 12, uint16_t);
FIELD_AT(cqe, sfp, 14, leint16_t);
VALUE(NVME_AEN_TYPE(0x00030201), 1);
VALUE(NVME_AEN_INFO(0x00030201), 2);
VALUE(NVME_AEN_LID(0x00030201), 3);
_Static_assert(SAME_TYPE(cqe_handler, void (*)(cqe *)), "cqe_handler");

/* vfn/nvme/ctrl.h */
VALUE(NVME_CTRL_MPS, 0);
VALUE(NVME_QUIRK_BROKEN_DBBUF, 1 << 0);
FIELD(struct nvme_ctrl_opts, nsqr, int);
FIELD(struct nvme_ctrl_opts, ncqr, int);
FIELD(struct nvme_ctrl_opts, quirks, unsigned int);
_Static_assert(SAME_TYPE(__typeof__(nvme_ctrl_opts_default), const struct nvme_ctrl_opts),
	       "nvme_ctrl_opts_default");
VALUE(NVME_CTRL_F_ADMINISTRATIVE, 1 << 0);
VALUE(NVME_CTRL_F_SGLS_SUPPORTED, 1 << 1);
VALUE(NVME_CTRL_F_SGLS_DWORD_ALIGNMENT, 1 << 2);
FIELD_AT(ctrl, pci, 0, pci);
FIELD(ctrl, regs, void *);
FIELD(ctrl, sq, sq *);
FIELD(ctrl, cq, cq *);
FIELD(ctrl, adminq.sq, sq *);
FIELD(ctrl, adminq.cq, cq *);
FIELD(ctrl, doorbells, void *);
FIELD(ctrl, dbbuf.doorbells, struct iommu_dmabuf);
FIELD(ctrl, dbbuf.eventidxs, struct iommu_dmabuf);
FIELD(ctrl, opts, struct nvme_ctrl_opts);
FIELD(ctrl, config.nsqa, int);
FIELD(ctrl, config.ncqa, int);
FIELD(ctrl, config.mqes, int);
FIELD(ctrl, config.mps, int);
FIELD(ctrl, flags, unsigned long);
FIELD_AT(ctrl, cmb.bar, offsetof(ctrl, cmb), int);
FIELD_AT(ctrl, cmb.vaddr, offsetof(ctrl, cmb) + 8, void *);
FIELD_AT(ctrl, cmb.iova, offsetof(ctrl, cmb) + 16, iova_t);
FIELD_AT(ctrl, cmb.size, offsetof(ctrl, cmb) + 24, size_t);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
NAME(nvme_pci_init, int(ctrl *, const char *));
#pragma GCC diagnostic pop
NAME(nvme_ctrl_init, int(ctrl *, const char *, const struct nvme_ctrl_opts *));
NAME(nvme_init, int(ctrl *, const char *, const struct nvme_ctrl_opts *));
NAME(nvme_close, void(ctrl *));
NAME(nvme_get_ctrl, ctrl *(const char *));
NAME(nvme_add_ctrl, int(ctrl *));
NAME(nvme_del_ctrl, int(ctrl *));
NAME(nvme_reset, int(ctrl *));
NAME(nvme_enable, int(ctrl *));
NAME(nvme_configure_sq, int(ctrl *, int, int, cq *, unsigned long));
NAME(nvme_configure_cmb, int(ctrl *));
NAME(nvme_configure_cq, int(ctrl *, int, int, int));
NAME(nvme_configure_sq_mem, int(ctrl *, int, int, cq *, unsigned long, struct iommu_dmabuf *));
NAME(nvme_configure_cq_mem, int(ctrl *, int, int, int, struct iommu_dmabuf *));
NAME(nvme_configure_adminq, int(ctrl *, unsigned long));
NAME(nvme_configure_adminq_mem,
     int(ctrl *, unsigned long, struct iommu_dmabuf *, struct iommu_dmabuf *));
NAME(nvme_create_iocq, int(ctrl *, int, int, int));
NAME(nvme_delete_iocq, int(ctrl *, int));
NAME(nvme_create_iosq, int(ctrl *, int, int, cq *, unsigned long));
NAME(nvme_delete_iosq, int(ctrl *, int));
NAME(nvme_create_ioqpair, int(ctrl *, int, int, int, unsigned long));
NAME(nvme_delete_ioqpair, int(ctrl *, int));
NAME(nvme_discard_cq, void(ctrl *, cq *));
NAME(nvme_discard_sq, void(ctrl *, sq *));
NAME(nvme_discard_cmb, void(ctrl *));
NAME(vfn_nvme_set_timeout, void(ctrl *, unsigned int));

/* vfn/nvme/cmb.h, pmr.h */
VALUE(VFN_NVME_CMB_SQ, 1);
VALUE(VFN_NVME_CMB_CQ, 2);
VALUE(VFN_NVME_CMB_LISTS, 4);
VALUE(VFN_NVME_CMB_READ, 8);
VALUE(VFN_NVME_CMB_WRITE, 16);
VALUE(VFN_NVME_CMB_PEERS, 32);
NAME(vfn_nvme_cmb_check, int(ctrl *, unsigned int));
NAME(vfn_nvme_cmb_alloc, int(ctrl *, struct iommu_dmabuf *, size_t));
NAME(vfn_nvme_cmb_free, void(ctrl *, struct iommu_dmabuf *));
NAME(vfn_nvme_pmr_map, int(ctrl *, struct vfn_nvme_pmr *));
NAME(vfn_nvme_pmr_unmap, void(ctrl *, struct vfn_nvme_pmr *));

/* vfn/nvme/queue.h */
VALUE(NVME_AQ, 0);
VALUE(NVME_SQES, 6);
VALUE(NVME_CQES, 4);
VALUE(NVME_Q_MEM_PREALLOCATED, 1 << 0);
FIELD(struct nvme_dbbuf, doorbell, void *);
FIELD(struct nvme_dbbuf, eventidx, void *);
FIELD(cq, mem, struct iommu_dmabuf);
FIELD(cq, id, int);
FIELD(cq, head, uint16_t);
FIELD(cq, qsize, int);
FIELD(cq, entry_size, size_t);
FIELD(cq, doorbell, void *);
FIELD(cq, dbbuf, struct nvme_dbbuf);
FIELD(cq, phase, int);
FIELD(cq, vector, int);
FIELD(cq, flags, uint32_t);
FIELD(sq, cq, cq *);
FIELD(sq, mem, struct iommu_dmabuf);
FIELD(sq, pages, struct iommu_dmabuf);
FIELD(sq, tail, uint16_t);
FIELD(sq, ptail, uint16_t);
FIELD(sq, qsize, int);
FIELD(sq, id, int);
FIELD(sq, entry_size, size_t);
FIELD(sq, doorbell, void *);
FIELD(sq, dbbuf, struct nvme_dbbuf);
FIELD(sq, rqs, rq *);
FIELD(sq, rq_top, rq *);
FIELD(sq, flags, uint32_t);
NAME(nvme_sq_post, void(sq *, const cmd *));
NAME(nvme_sq_update_tail, void(sq *));
NAME(nvme_sq_exec, void(sq *, const cmd *));
NAME(nvme_cq_head, cqe *(cq *));
NAME(nvme_cq_spin, void(cq *));
NAME(nvme_cq_get_cqe, cqe *(cq *));
NAME(nvme_cq_update_head, void(cq *));
NAME(__nvme_need_mmio, bool(uint16_t, uint16_t, uint16_t));
NAME(nvme_try_dbbuf, int(uint16_t, struct nvme_dbbuf *));
NAME(nvme_cq_get_cqes, void(cq *, cqe *, int));
NAME(nvme_cq_wait_cqes, int(cq *, cqe *, int, struct timespec *));

/* vfn/nvme/rq.h */
FIELD(rq, opaque, void *);
FIELD(rq, sq, sq *);
FIELD(rq, cid, uint16_t);
FIELD(rq, page.vaddr, void *);
FIELD(rq, page.iova, iova_t);
FIELD(rq, rq_next, rq *);
NAME(nvme_rq_reset, void(rq *));
NAME(nvme_rq_release, void(rq *));
NAME(nvme_rq_release_atomic, void(rq *));
NAME(nvme_rq_acquire, rq *(sq *));
NAME(nvme_rq_acquire_atomic, rq *(sq *));
NAME(__nvme_rq_from_cqe, rq *(sq *, cqe *));
NAME(nvme_rq_from_cqe, rq *(ctrl *, cqe *));
NAME(nvme_rq_prep_cmd, void(rq *, cmd *));
NAME(nvme_rq_post, void(rq *, cmd *));
NAME(nvme_rq_exec, void(rq *, cmd *));
NAME(nvme_rq_map_prp, int(ctrl *, rq *, cmd *, iova_t, size_t));
NAME(nvme_rq_mapv_prp, int(ctrl *, rq *, cmd *, struct iovec *, int));
NAME(nvme_rq_mapv_iova_prp, int(ctrl *, rq *, cmd *, struct iova_vec *, int));
NAME(nvme_rq_mapv_sgl, int(ctrl *, rq *, cmd *, struct iovec *, int));
NAME(nvme_rq_mapv_iova_sgl, int(ctrl *, rq *, cmd *, struct iova_vec *, int));
NAME(nvme_rq_mapv, int(ctrl *, rq *, cmd *, struct iovec *, int));
NAME(nvme_rq_spin, int(rq *, cqe *));
NAME(nvme_rq_wait, int(rq *, cqe *, struct timespec *));

/* vfn/nvme/recover.h */
VALUE(VFN_NVME_LIVE, 0);
VALUE(VFN_NVME_RESETTING, 1);
VALUE(VFN_NVME_FAILED, 2);
VALUE(VFN_NVME_GONE, 3);
VALUE(VFN_NVME_STATUS_ABORTED, 0x371);
VALUE(VFN_NVME_STATUS_LOST, 0x370);
FIELD(struct vfn_nvme_recovery, complete, void (*)(rq *, cqe *, void *));
FIELD(struct vfn_nvme_recovery, opaque, void *);
NAME(vfn_nvme_get_state, enum vfn_nvme_state(const ctrl *));
NAME(vfn_nvme_rq_set_timeout, int(rq *, uint64_t));
NAME(vfn_nvme_sq_overdue, int(sq *));
VALUE(VFN_NVME_RECOVER_RESET, 1);
NAME(vfn_nvme_reset_ctrl, int(ctrl *, const struct vfn_nvme_recovery *));
NAME(vfn_nvme_fail_ctrl, int(ctrl *, const struct vfn_nvme_recovery *));
NAME(vfn_nvme_enable_retry_delays, int(ctrl *));
NAME(vfn_nvme_may_retry,
     bool(const struct nvme_ctrl *, const struct nvme_cqe *, unsigned int, uint64_t *));
NAME(vfn_nvme_sync_retry, int(ctrl *, sq *, cmd *, void *, size_t, cqe *));
NAME(vfn_nvme_check_timeouts, int(ctrl *, const struct vfn_nvme_recovery *));

/* vfn/nvme/util.h */
VALUE(NVME_VERSION(1, 4, 2), 0x00010402);
VALUE(NVME_CID_AER, 1 << 15);
VALUE(__mps_to_pageshift(1), 13);
VALUE(__mps_to_pagesize(1), 8192);
NAME(nvme_cqe_ok, bool(cqe *));
NAME(nvme_set_errno_from_cqe, int(cqe *));
NAME(vfn_nvme_status_text, const char *(uint16_t));
NAME(vfn_nvme_status_errno, int(uint16_t));
NAME(nvme_aer, int(ctrl *, void *));
NAME(vfn_nvme_strays, uint64_t(const struct nvme_ctrl *));
NAME(nvme_sync, int(ctrl *, sq *, cmd *, void *, size_t, cqe *));
NAME(nvme_oneshot, int(ctrl *, sq *, cmd *, void *, size_t, cqe *));
NAME(nvme_admin, int(ctrl *, cmd *, void *, size_t, cqe *));
NAME(nvme_crc64, uint64_t(uint64_t, const unsigned char *, size_t));
NAME(nvme_map_prp, int(ctrl *, leint64_t *, int, cmd *, iova_t, size_t));
NAME(nvme_mapv_prp, int(ctrl *, leint64_t *, int, cmd *, struct iovec *, int));
NAME(nvme_mapv_iova_prp, int(ctrl *, leint64_t *, int, cmd *, struct iova_vec *, int));
NAME(nvme_mapv_sgl, int(ctrl *, struct nvme_sgld *, iova_t, cmd *, struct iovec *, int));
NAME(nvme_mapv_iova_sgl, int(ctrl *, struct nvme_sgld *, iova_t, cmd *, struct iova_vec *, int));

NAME(vfn_nvme_mapv_sgl, int(ctrl *, struct nvme_sgld *, iova_t, int, cmd *, struct iovec *, int));
NAME(vfn_nvme_mapv_iova_sgl,
     int(ctrl *, struct nvme_sgld *, iova_t, int, cmd *, struct iova_vec *, int));
NAME(nvme_vm_assign_max_flexible, int(ctrl *, uint16_t));
NAME(nvme_vm_set_online, int(ctrl *, uint16_t));
NAME(nvme_vm_set_offline, int(ctrl *, uint16_t));
NAME(nvme_get_vf_cntlid, int(ctrl *, int, uint16_t *));
NAME(vfn_nvme_vm_set_primary_flexible, int(ctrl *, uint16_t, uint16_t));

/* vfn/nvme/pi.h */
SIZE(struct vfn_nvme_crc16_pi_tuple, 8);
VALUE(VFN_NVME_PI_PRACT, 1 << 13);
VALUE(VFN_NVME_PI_CHECK_ALL, 7 << 10);
NAME(vfn_nvme_pi_prep_cmd, void(const struct vfn_nvme_pi *, cmd *));
NAME(vfn_nvme_pi_fill, int(const struct vfn_nvme_pi *, void *, void *, size_t));
NAME(vfn_nvme_pi_verify, int(const struct vfn_nvme_pi *, const void *, const void *, size_t,
			     struct vfn_nvme_pi_error *));
NAME(vfn_nvme_crc16, uint16_t(uint16_t, const void *, size_t));

/* vfn/support/ */
_Static_assert(SAME_TYPE(leint16_t, uint16_t) && SAME_TYPE(beint16_t, uint16_t), "16 bits");
_Static_assert(SAME_TYPE(leint32_t, uint32_t) && SAME_TYPE(beint32_t, uint32_t), "32 bits");
_Static_assert(SAME_TYPE(leint64_t, uint64_t) && SAME_TYPE(beint64_t, uint64_t), "64 bits");
NAME(cpu_to_le16, leint16_t(uint16_t));
NAME(cpu_to_le32, leint32_t(uint32_t));
NAME(cpu_to_le64, leint64_t(uint64_t));
NAME(cpu_to_be16, beint16_t(uint16_t));
NAME(cpu_to_be32, beint32_t(uint32_t));
NAME(cpu_to_be64, beint64_t(uint64_t));
NAME(le16_to_cpu, uint16_t(leint16_t));
NAME(le32_to_cpu, uint32_t(leint32_t));
NAME(le64_to_cpu, uint64_t(leint64_t));
NAME(be16_to_cpu, uint16_t(beint16_t));
NAME(be32_to_cpu, uint32_t(beint32_t));
NAME(be64_to_cpu, uint64_t(beint64_t));
NAME(put_unaligned_be48, void(const uint64_t, uint8_t *));
NAME(get_unaligned_be48, uint64_t(const uint8_t *));
NAME(writeallfd, ssize_t(int, const void *, size_t));
NAME(writeall, ssize_t(const char *, const void *, size_t));
NAME(readmaxfd, ssize_t(int, void *, size_t));
NAME(readmax, ssize_t(const char *, void *, size_t));
NAME(__log_state, struct log_state);
FIELD(struct log_state, v, int);
VALUE(LOG_ERROR, 0);
VALUE(LOG_INFO, 1);
VALUE(LOG_DEBUG, 2);
NAME(logv, bool(int));
NAME(logv_set, void(int));
NAME(vfn_log_set_hook, void(void (*)(int, const char *, void *), void *));
NAME(vfn_last_error, const char *(void));
NAME(__VFN_PAGESIZE, size_t);
NAME(__VFN_PAGESHIFT, int);
NAME(backtrace_abort, void(void));
NAME(would_overflow, bool(unsigned int, size_t));
NAME(__abort_on_overflow, void(unsigned int, size_t));
NAME(xmalloc, void *(size_t));
NAME(zmalloc, void *(size_t));
NAME(mallocn, void *(unsigned int, size_t));
NAME(zmallocn, void *(unsigned int, size_t));
NAME(reallocn, void *(void *, unsigned int, size_t));
NAME(pgmap, ssize_t(void **, size_t));
NAME(pgmapn, ssize_t(void **, unsigned int, size_t));
NAME(pgunmap, void(void *, size_t));
NAME(vfn_pgunmap, int(void *, size_t));
NAME(mmio_read32, leint32_t(void *));
NAME(mmio_lh_read64, leint64_t(void *));
NAME(mmio_write32, void(void *, leint32_t));
NAME(mmio_lh_write64, void(void *, leint64_t));
NAME(mmio_hl_write64, void(void *, leint64_t));
NAME(get_ticks, uint64_t(void));
NAME(get_ticks_freq_arch, uint64_t(void));
NAME(vfn_ticks_freq, uint64_t(void));
_Static_assert(SAME_TYPE(__typeof__(__vfn_ticks_freq), uint64_t), "__vfn_ticks_freq");
NAME(__usleep, void(unsigned int));
VALUE(NS_PER_SEC, 1000000000);
VALUE(US_PER_SEC, 1000000);
VALUE(MS_PER_SEC, 1000);
VALUE(CPU_TO_LE32(LE32_TO_CPU(0x12345678)), 0x12345678);

/* Constant expressions and statements: macros that programs use. */

struct cleaned {
	int *counter;
};

static void count_cleanup(struct cleaned *p)
{
	(*p->counter)++;
}

DEFINE_AUTOVAR_STRUCT(cleaned, count_cleanup)
typedef struct cleaned cleaned_t;
DEFINE_AUTOPTR(cleaned_t, count_cleanup)

static void align_and_round_compute_multiples(void **state)
{
	uint64_t large = (UINT64_C(1) << 40) + 1;

	assert_int_equal(ALIGN_UP(4097, 4096), 8192);
	assert_int_equal(ALIGN_DOWN(4097, 4096), 4096);
	assert_int_equal(ALIGN_UP(large, 4096), (UINT64_C(1) << 40) + 4096);
	assert_true(ALIGNED(8192, 4096));
	assert_false(ALIGNED(8193, 4096));
	assert_int_equal(ROUND_UP(13, 6), 18);
	assert_int_equal(ROUND_DOWN(13, 6), 12);
	assert_int_equal(ROUND(14, 6), 12);
	assert_int_equal(ROUND(15, 6), 18);
}

static void atomics_return_what_programs_expect(void **state)
{
	int v = 1, expected = 5;

	assert_int_equal(atomic_inc_fetch(&v), 2);
	assert_int_equal(atomic_dec_fetch(&v), 1);
	atomic_inc(&v);
	atomic_dec(&v);
	atomic_store_release(&v, 7);
	assert_int_equal(atomic_load_acquire(&v), 7);

	/* what was found comes back in expected */
	assert_false(atomic_cmpxchg(&v, expected, 9));
	assert_int_equal(expected, 7);
	assert_true(atomic_cmpxchg(&v, expected, 9));
	assert_int_equal(v, 9);
}

static void single_accesses_and_hints_keep_values(void **state)
{
	uint32_t v = 3, *p = &v;

	STORE(v, 4);
	assert_int_equal(LOAD(v), 4);
	STORE_PTR(p, 5);
	assert_int_equal(LOAD_PTR(p), 5);
	__STORE(uint32_t, v, 6);
	assert_int_equal(__LOAD(uint32_t, v), 6);
	__STORE_PTR(uint32_t, p, 7);
	assert_int_equal(__LOAD_PTR(uint32_t, p), 7);
	assert_true(likely(v) && !unlikely(!v));
	barrier();
	rmb();
	wmb();
	mb();
	dma_rmb();
	dma_wmb();
}

static void autovariables_clean_up_at_the_end_of_their_scope(void **state)
{
	int counter = 0;
	struct cleaned object = { &counter };

	{
		__autovar_s(cleaned) var = { &counter };
		__autoptr(cleaned_t) ptr = &object;
		__autoptr(cleaned_t) none = NULL;
		__autofree char *text = (char *)xmalloc(8);
		__autovar_s(iommu_dmabuf) no_buffer = {};

		assert_int_equal(*var.counter + *ptr->counter, 0);
		assert_true(text && !none && !no_buffer.len);
	}
	assert_int_equal(counter, 2);
}

static void autolocks_unlock_at_the_end_of_their_scope(void **state)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

	{
		__autolock(&mutex);
		assert_int_not_equal(pthread_mutex_trylock(&mutex), 0);
	}
	assert_int_equal(pthread_mutex_trylock(&mutex), 0);
	pthread_mutex_unlock(&mutex);

	{
		__autordlock(&rwlock);
		assert_int_not_equal(pthread_rwlock_trywrlock(&rwlock), 0);
	}
	{
		__autowrlock(&rwlock);
		assert_int_not_equal(pthread_rwlock_tryrdlock(&rwlock), 0);
	}
	assert_int_equal(pthread_rwlock_trywrlock(&rwlock), 0);
	pthread_rwlock_unlock(&rwlock);
}

static void mmio_accesses_are_little_endian_halves(void **state)
{
	uint32_t reg[2] = {};

	mmio_lh_write64(reg, cpu_to_le64(UINT64_C(0x1122334455667788)));
	assert_int_equal(le32_to_cpu(reg[0]), 0x55667788);
	assert_int_equal(le32_to_cpu(reg[1]), 0x11223344);
	assert_int_equal(le64_to_cpu(mmio_read64(reg)), UINT64_C(0x1122334455667788));
	mmio_write32(reg, cpu_to_le32(1));
	assert_int_equal(le32_to_cpu(mmio_read32(reg)), 1);
	mmio_hl_write64(reg, cpu_to_le64(2));
	assert_int_equal(le64_to_cpu(mmio_lh_read64(reg)), 2);
}

static void new_t_allocates_arrays(void **state)
{
	__autofree int *plain = new_t(int, 3);
	__autofree int *zeroed = znew_t(int, 3);

	plain[2] = 1;
	assert_int_equal(plain[2] + zeroed[0] + zeroed[2], 1);
}

static void context_is_found_from_every_level_of_a_controller(void **state)
{
	struct nvme_ctrl c = {};
	struct iommu_ctx *context = (struct iommu_ctx *)&c;

	c.pci.dev.ctx = context;
	assert_ptr_equal(__iommu_ctx(&c), context);
	assert_ptr_equal(__iommu_ctx(&c.pci), context);
	assert_ptr_equal(__iommu_ctx(&c.pci.dev), context);
	assert_int_equal(same_iova(context), (uintptr_t)context);
}

/* A device that is not open has no vectors, so both forms arrive and are refused alike. */
static void irq_calls_take_both_numbers_of_arguments(void **state)
{
	struct vfio_device dev = { .fd = -1 };
	int efd = -1;

	assert_int_equal(vfio_set_irq(&dev, &efd, 1), -1);
	assert_int_equal(vfio_set_irq(&dev, &efd, 0, 1), -1);
	assert_int_equal(vfio_disable_irq(&dev, 0, 1), -1);
	(void)vfio_disable_irq(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(align_and_round_compute_multiples),
		cmocka_unit_test(atomics_return_what_programs_expect),
		cmocka_unit_test(single_accesses_and_hints_keep_values),
		cmocka_unit_test(autovariables_clean_up_at_the_end_of_their_scope),
		cmocka_unit_test(autolocks_unlock_at_the_end_of_their_scope),
		cmocka_unit_test(mmio_accesses_are_little_endian_halves),
		cmocka_unit_test(new_t_allocates_arrays),
		cmocka_unit_test(context_is_found_from_every_level_of_a_controller),
		cmocka_unit_test(irq_calls_take_both_numbers_of_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
