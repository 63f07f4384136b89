/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Accesses to device registers: by width, little-endian, each exactly once and in program order. */
#ifndef VFN_SUPPORT_MMIO_H
#define VFN_SUPPORT_MMIO_H

#include <vfn/support/compiler.h>
#include <vfn/support/endian.h>

VFN_BEGIN_DECLS

/*
 * Guarantee: the compiler neither merges, splits, repeats nor reorders these
 * accesses with respect to each other (they are volatile). Ordering against
 * ordinary memory is the caller's business (<vfn/support/barrier.h>).
 * Registers may be accessed by several threads as far as the device allows.
 */
#ifdef VFN_MMIO_HOOK
/* Test builds: an emulated device stands behind the registers. */
uint32_t vfn_mmio_hook_read32(void *addr);
void vfn_mmio_hook_write32(void *addr, uint32_t val);
#define __vfn_mmio_load32(addr) vfn_mmio_hook_read32(addr)
#define __vfn_mmio_store32(addr, val) vfn_mmio_hook_write32(addr, val)
#else
#define __vfn_mmio_load32(addr) __LOAD_PTR(uint32_t, addr)
#define __vfn_mmio_store32(addr, val) __STORE_PTR(uint32_t, addr, val)
#endif

/**
 * mmio_read32 - read a 32-bit register
 * @addr: register, 4-byte aligned
 *
 * Return: its value as the device presents it; all ones from a device that is gone.
 */
VFN_INLINE leint32_t mmio_read32(void *addr)
{
	return (leint32_t __force)__vfn_mmio_load32(addr);
}

/**
 * mmio_write32 - write a 32-bit register
 * @addr: register, 4-byte aligned
 * @v: value
 */
VFN_INLINE void mmio_write32(void *addr, leint32_t v)
{
	__vfn_mmio_store32(addr, (uint32_t __force)v);
}

/**
 * mmio_lh_read64 - read a 64-bit register as two halves, low first
 * @addr: register, 4-byte aligned
 *
 * Not every path to a device carries 64-bit accesses; NVMe allows this form
 * for all of its properties (NVMe over PCIe Transport, section 3.1).
 *
 * Return: its value as the device presents it.
 */
VFN_INLINE leint64_t mmio_lh_read64(void *addr)
{
	uint64_t lo, hi;

	lo = le32_to_cpu(mmio_read32(addr));
	hi = le32_to_cpu(mmio_read32((char *)addr + 4));

	return cpu_to_le64(hi << 32 | lo);
}

/**
 * mmio_lh_write64 - write a 64-bit register as two halves, low first
 * @addr: register, 4-byte aligned
 * @v: value
 */
VFN_INLINE void mmio_lh_write64(void *addr, leint64_t v)
{
	uint64_t val = le64_to_cpu(v);

	mmio_write32(addr, cpu_to_le32((uint32_t)val));
	mmio_write32((char *)addr + 4, cpu_to_le32((uint32_t)(val >> 32)));
}

/**
 * mmio_hl_write64 - write a 64-bit register as two halves, high first
 * @addr: register, 4-byte aligned
 * @v: value
 */
VFN_INLINE void mmio_hl_write64(void *addr, leint64_t v)
{
	uint64_t val = le64_to_cpu(v);

	mmio_write32((char *)addr + 4, cpu_to_le32((uint32_t)(val >> 32)));
	mmio_write32(addr, cpu_to_le32((uint32_t)val));
}

#define mmio_read64(addr) mmio_lh_read64(addr)

VFN_END_DECLS

#endif /* VFN_SUPPORT_MMIO_H */
