/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Variables that clean up after themselves when they go out of scope. */
#ifndef VFN_SUPPORT_AUTOPTR_H
#define VFN_SUPPORT_AUTOPTR_H

#include <vfn/support/compiler.h>

#define __autoptr_name(t) glue(t, _autoptr)
#define __autoptr_cleanup(t) glue(__cleanup_ptr_, t)
#define __autovar_cleanup(t) glue(__cleanup_var_, t)

/* Declare how a pointer to t is released; NULL is never passed to cleanup. */
#define DEFINE_AUTOPTR(t, cleanup) \
	typedef t *__autoptr_name(t); \
	static inline __attribute__((unused)) void __autoptr_cleanup(t)(t * *p) \
	{ \
		if (*p) \
			(cleanup)(*p); \
	}
#define __autoptr(t) __attribute__((cleanup(__autoptr_cleanup(t)))) __autoptr_name(t)

/* The same for a struct that lives on the stack; cleanup takes its address. */
#define DEFINE_AUTOVAR_STRUCT(t, cleanup) \
	static inline __attribute__((unused)) void __autovar_cleanup(t)(struct t * p) \
	{ \
		(cleanup)(p); \
	}
#define __autovar_s(t) __attribute__((cleanup(__autovar_cleanup(t)))) struct t

#endif /* VFN_SUPPORT_AUTOPTR_H */
