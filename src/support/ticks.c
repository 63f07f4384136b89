// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Frequency of the time stamp counter, and sleeping. */
#include <vfn/support/ticks.h>

#include <string.h>

#include <vfn/support/atomic.h>
#include <vfn/support/timer.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "os/os.h"
#include "support/ticks.h"

static uint64_t known_freq;

#define CALIBRATION_NS (20 * 1000000ULL)

#define CPUID_HYPERVISOR (1U << 31) /* leaf 1, ECX */

/* Where VMware has the frequency, QEMU has it for guests of KVM; others may have anything there. */
static uint64_t ticks_of_hypervisor(ticks_cpuid_fn *cpuid)
{
	const struct ticks_cpuid id = cpuid(0x40000000);
	char name[12];

	memcpy(name, &id.ebx, 4);
	memcpy(name + 4, &id.ecx, 4);
	memcpy(name + 8, &id.edx, 4);
	if (id.eax < 0x40000010 || id.eax > 0x4000ffff ||
	    (memcmp(name, "KVMKVMKVM\0\0", 12) && memcmp(name, "VMwareVMware", 12)))
		return 0;

	return cpuid(0x40000010).eax * 1000ULL;
}

uint64_t ticks_stated(ticks_cpuid_fn *cpuid)
{
	const uint32_t last = cpuid(0).eax;
	struct ticks_cpuid crystal;
	uint64_t freq = 0;

	/* a guest's counter need not run as fast as the CPU's, so the hypervisor is asked first */
	if (cpuid(1).ecx & CPUID_HYPERVISOR)
		freq = ticks_of_hypervisor(cpuid);
	if (freq || last < 0x15)
		return freq;

	crystal = cpuid(0x15);

	return ticks_of_crystal(crystal.eax, crystal.ebx, crystal.ecx);
}

#ifdef __x86_64__
static struct ticks_cpuid ask_cpu(uint32_t leaf)
{
	struct ticks_cpuid regs;

	__cpuid_count(leaf, 0, regs.eax, regs.ebx, regs.ecx, regs.edx);

	return regs;
}
#endif

uint64_t get_ticks_freq_arch(void)
{
#ifdef __x86_64__
	return ticks_stated(ask_cpu);
#else
	uint64_t v;

	__asm__ __volatile__("mrs %0, cntfrq_el0" : "=r"(v));

	return v;
#endif
}

const struct ticks_moment *ticks_sharpest(const struct ticks_moment *moments, unsigned int n)
{
	const struct ticks_moment *best = moments;

	for (const struct ticks_moment *m = moments; m < moments + n; m++) {
		if (m->after - m->before < best->after - best->before)
			best = m;
	}

	return best;
}

/* Whoever is taken from the CPU between two reads gets another try. */
static struct ticks_moment look_at_clock(void)
{
	struct ticks_moment tries[8];

	for (unsigned int i = 0; i < 8; i++) {
		tries[i].before = get_ticks();
		tries[i].ns = os_clock_ns();
		tries[i].after = get_ticks();
	}

	return *ticks_sharpest(tries, 8);
}

uint64_t ticks_measure(void)
{
	const struct ticks_moment start = look_at_clock();
	struct ticks_moment end;
	uint64_t ns, ticks;

	os_sleep_ns(CALIBRATION_NS);
	end = look_at_clock();

	ns = end.ns - start.ns;
	ticks = (end.before - start.before + end.after - start.after) / 2;

	return (uint64_t)((unsigned __int128)ticks * NS_PER_SEC / (ns ? ns : 1));
}

uint64_t vfn_ticks_freq(void)
{
	uint64_t freq = atomic_load_acquire(&known_freq), unknown = 0;

	if (freq)
		return freq;

	freq = get_ticks_freq_arch();
	if (!freq)
		freq = ticks_measure();
	if (!freq)
		freq = 1;

	/* of threads that measure at the same time one is right */
	return atomic_cmpxchg(&known_freq, unknown, freq) ? freq : unknown;
}

void __usleep(unsigned int usec)
{
	os_sleep_ns((uint64_t)usec * 1000);
}
