/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A reader-writer lock that is held until the end of the scope. */
#ifndef VFN_SUPPORT_RWLOCK_H
#define VFN_SUPPORT_RWLOCK_H

#include <pthread.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

VFN_INLINE pthread_rwlock_t *__vfn_rwlock_rdlock(pthread_rwlock_t *lock)
{
	(void)pthread_rwlock_rdlock(lock);

	return lock;
}

VFN_INLINE pthread_rwlock_t *__vfn_rwlock_wrlock(pthread_rwlock_t *lock)
{
	(void)pthread_rwlock_wrlock(lock);

	return lock;
}

VFN_INLINE void __vfn_rwlock_unlock(pthread_rwlock_t **lock)
{
	(void)pthread_rwlock_unlock(*lock);
}

#define __vfn_autorwlock(how, lock) \
	__attribute__((cleanup(__vfn_rwlock_unlock), unused)) pthread_rwlock_t * \
	glue(__autorwlock_, __LINE__) = how(lock)

/* Lock now, for reading or writing; unlock when the enclosing scope ends. */
#define __autordlock(lock) __vfn_autorwlock(__vfn_rwlock_rdlock, lock)
#define __autowrlock(lock) __vfn_autorwlock(__vfn_rwlock_wrlock, lock)

VFN_END_DECLS

#endif /* VFN_SUPPORT_RWLOCK_H */
