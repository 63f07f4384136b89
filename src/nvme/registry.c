// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Controllers by address, for programs that want to find them again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/mutex.h>

#include "nvme/nvme.h"
#include "support/error.h"

struct entry {
	struct entry *next;
	struct nvme_ctrl *ctrl;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries;

static struct entry **find_bdf(const char *bdf)
{
	struct entry **p = &entries;

	while (*p && strcmp((*p)->ctrl->pci.bdf, bdf))
		p = &(*p)->next;

	return p;
}

static struct entry **find_ctrl(const struct nvme_ctrl *ctrl)
{
	struct entry **p = &entries;

	while (*p && (*p)->ctrl != ctrl)
		p = &(*p)->next;

	return p;
}

static bool drop(const struct nvme_ctrl *ctrl)
{
	struct entry **p = find_ctrl(ctrl), *entry = *p;

	if (!entry)
		return false;

	*p = entry->next;
	free(entry);

	return true;
}

struct nvme_ctrl *nvme_get_ctrl(const char *bdf)
{
	struct entry *entry;

	if (!bdf) {
		errno = EINVAL;
		return NULL;
	}

	__autolock(&lock);

	entry = *find_bdf(bdf);
	if (!entry) {
		errno = ENODEV;
		return NULL;
	}

	return entry->ctrl;
}

int nvme_add_ctrl(struct nvme_ctrl *ctrl)
{
	struct entry *entry;

	if (!ctrl->pci.bdf)
		return vfn_fail(ENODEV, "a closed controller cannot be registered");

	__autolock(&lock);

	if (*find_bdf(ctrl->pci.bdf))
		return vfn_fail(EEXIST, "%s is registered already", ctrl->pci.bdf);

	entry = vfn_zalloc(sizeof(*entry));
	if (!entry)
		return -1;

	entry->ctrl = ctrl;
	entry->next = entries;
	entries = entry;

	return 0;
}

int nvme_del_ctrl(struct nvme_ctrl *ctrl)
{
	__autolock(&lock);

	if (!drop(ctrl))
		return vfn_fail(ENODEV, "%s is not registered", nvme_name(ctrl));

	return 0;
}

void nvme_forget_ctrl(struct nvme_ctrl *ctrl)
{
	__autolock(&lock);

	(void)drop(ctrl);
}
