/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A mutex that is held until the end of the scope. */
#ifndef VFN_SUPPORT_MUTEX_H
#define VFN_SUPPORT_MUTEX_H

#include <pthread.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

VFN_INLINE pthread_mutex_t *__vfn_mutex_lock(pthread_mutex_t *mutex)
{
	(void)pthread_mutex_lock(mutex);

	return mutex;
}

VFN_INLINE void __vfn_mutex_unlock(pthread_mutex_t **mutex)
{
	(void)pthread_mutex_unlock(*mutex);
}

/* Lock now, unlock when the enclosing scope ends. */
#define __autolock(mutex) \
	__attribute__((cleanup(__vfn_mutex_unlock), unused)) pthread_mutex_t *glue(__autolock_, \
										   __LINE__) = \
		__vfn_mutex_lock(mutex)

VFN_END_DECLS

#endif /* VFN_SUPPORT_MUTEX_H */
