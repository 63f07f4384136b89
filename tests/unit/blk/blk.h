/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the blk layer share: a controller, handles, data. */
#ifndef VFN_TESTS_UNIT_BLK_BLK_H
#define VFN_TESTS_UNIT_BLK_BLK_H

#include "../nvme/machine.h"

#include <vfn/blk.h>

static inline struct vfn_blk *open_with(const char *name, const struct vfn_blk_opts *opts)
{
	struct vfn_blk *blk = NULL;

	assert_int_equal(vfn_blk_open(&blk, name, opts), 0);
	assert_non_null(blk);

	return blk;
}

static inline struct vfn_blk *open_blk(void)
{
	return open_with(EMU_BDF, NULL);
}

static inline struct vfn_blk_info info_of(const struct vfn_blk *blk)
{
	struct vfn_blk_info info;

	vfn_blk_get_info(blk, &info);

	return info;
}

static inline void close_blk(struct vfn_blk *blk)
{
	assert_int_equal(vfn_blk_close(blk), 0);
}

#endif /* VFN_TESTS_UNIT_BLK_BLK_H */
