/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Static probes for debuggers and tracers (USDT), where the build found <sys/sdt.h>: a nop each. */
#ifndef VFN_SRC_SUPPORT_PROBE_H
#define VFN_SRC_SUPPORT_PROBE_H

#ifdef VFN_HAVE_SDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define vfn_probe(name, ...) STAP_PROBEV(libvfn, name, __VA_ARGS__)
#else
#define vfn_probe(name, ...) ((void)0)
#endif

#endif /* VFN_SRC_SUPPORT_PROBE_H */
