// SPDX-License-Identifier: GPL-2.0-or-later
/* VFIO containers and groups: who may do what in which order, and the errnos. */
#include "emu_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct vfio_group *groups;

/* -------------------------------------------------------------- container */

static void container_put(struct container *c)
{
	if (c->groups)
		return;
	space_clear(&c->space, "container released");
	c->iommu = false;
	if (c->fd_open)
		return;
	space_fini(&c->space, "container released");
	free(c);
}

static int set_iommu(struct container *c, unsigned long type)
{
	if (!c->groups || c->iommu)
		return emu_errno(EINVAL);
	if (type != VFIO_TYPE1_IOMMU && (type != VFIO_TYPE1v2_IOMMU || emu_iommu()->no_type1v2))
		return emu_errno(ENODEV);
	c->iommu = true;

	return 0;
}

static int check_extension(unsigned long type)
{
	switch (type) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_TYPE1v2_IOMMU:
		return !emu_iommu()->no_type1v2;
	case VFIO_NOIOMMU_IOMMU:
		return emu_iommu()->noiommu;
	default:
		return 0;
	}
}

static int container_ioctl(struct emu_file *file, unsigned long request, void *arg)
{
	struct container *c = file->priv;

	switch (request) {
	case VFIO_GET_API_VERSION:
		return emu_iommu()->api_version;
	case VFIO_CHECK_EXTENSION:
		return check_extension((uintptr_t)arg);
	case VFIO_SET_IOMMU:
		return set_iommu(c, (uintptr_t)arg);
	}
	if (!c->iommu)
		return emu_errno(EINVAL);

	switch (request) {
	case VFIO_IOMMU_GET_INFO:
		return iommu_get_info(arg);
	case VFIO_IOMMU_MAP_DMA:
		return iommu_map(&c->space, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return iommu_unmap(&c->space, arg);
	default:
		return emu_errno(ENOTTY);
	}
}

static void container_release(struct emu_file *file)
{
	struct container *c = file->priv;

	c->fd_open = false;
	container_put(c);
}

static const struct file_ops container_ops = {
	.name = "container",
	.ioctl = container_ioctl,
	.release = container_release,
};

static int open_container(void *priv, int flags)
{
	struct container *c = emu_zalloc(sizeof(*c));
	int fd;

	(void)priv;
	fd = fd_install(&container_ops, flags, c);
	if (fd < 0) {
		free(c);
		return -1;
	}
	c->fd_open = true;
	space_init(&c->space);

	return fd;
}

/* ------------------------------------------------------------------ group */

struct vfio_group *vfio_group_get(unsigned int id)
{
	struct vfio_group *g;

	for (g = groups; g; g = g->next) {
		if (g->id == id)
			return g;
	}
	g = emu_zalloc(sizeof(*g));
	g->id = id;
	g->next = groups;
	groups = g;

	return g;
}

bool vfio_group_viable(const struct vfio_group *g)
{
	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		if (p->group == g && p->driver && !pci_bound_to_vfio(p))
			return false;
	}

	return true;
}

static int get_status(struct vfio_group *g, struct vfio_group_status *status)
{
	if (status->argsz < sizeof(*status))
		return emu_errno(EINVAL);
	status->flags = vfio_group_viable(g) ? VFIO_GROUP_FLAGS_VIABLE : 0;
	if (g->container)
		status->flags |= VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;

	return 0;
}

static int set_container(struct vfio_group *g, const int *fd)
{
	struct emu_file *file = fd_get(*fd);
	struct container *c;

	if (g->container)
		return emu_errno(EINVAL);
	if (!file || file->ops != &container_ops)
		return emu_errno(!file && fcntl(*fd, F_GETFD) < 0 ? EBADF : EBADFD);
	if (!vfio_group_viable(g))
		return emu_errno(EPERM);

	c = file->priv;
	c->groups++;
	g->container = c;

	return 0;
}

static void detach(struct vfio_group *g)
{
	struct container *c = g->container;

	g->container = NULL;
	if (!c)
		return;
	c->groups--;
	container_put(c);
}

static int unset_container(struct vfio_group *g)
{
	if (!g->container)
		return emu_errno(EINVAL);
	if (g->devices_open)
		return emu_errno(EBUSY);
	detach(g);

	return 0;
}

/* The name may be followed by options. */
static struct emu_pci *group_device(const struct vfio_group *g, const char *name)
{
	size_t len = strcspn(name, " ");

	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		if (p->group == g && pci_bound_to_vfio(p) && !p->removed && strlen(p->bdf) == len &&
		    !strncmp(p->bdf, name, len))
			return p;
	}

	return NULL;
}

static int get_device_fd(struct vfio_group *g, const char *name)
{
	struct emu_pci *pci = group_device(g, name);
	int fd, err;

	if (!pci)
		return emu_errno(ENODEV);
	err = sriov_check_options(pci, name + strlen(pci->bdf));
	if (err)
		return emu_errno(err);
	if (!g->container || !g->container->iommu)
		return emu_errno(EINVAL);
	fd = fd_install(&device_file_ops, O_RDWR, pci);
	if (fd < 0)
		return -1;
	g->devices_open++;
	if (!pci->open++)
		device_first_open(pci);

	return fd;
}

static int group_ioctl(struct emu_file *file, unsigned long request, void *arg)
{
	struct vfio_group *g = file->priv;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		return get_status(g, arg);
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(g, arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(g);
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(g, arg);
	default:
		return emu_errno(ENOTTY);
	}
}

/* Open devices keep the group, as if its descriptor were still open. */
static void group_put(struct vfio_group *g)
{
	if (!g->fd_open && !g->devices_open)
		detach(g);
}

void vfio_group_put_device(struct vfio_group *g)
{
	g->devices_open--;
	group_put(g);
}

static void group_release(struct emu_file *file)
{
	struct vfio_group *g = file->priv;

	g->fd_open = false;
	group_put(g);
}

static const struct file_ops group_ops = {
	.name = "group",
	.ioctl = group_ioctl,
	.release = group_release,
};

int vfio_open_group(void *group, int flags)
{
	struct vfio_group *g = group;
	int fd;

	if (g->fd_open || g->devices_open || g->cdevs)
		return emu_errno(EBUSY);
	fd = fd_install(&group_ops, flags, g);
	g->fd_open = fd >= 0;

	return fd;
}

/* ---------------------------------------------------------------- life cycle */

void vfio_init(void)
{
	groups = NULL;
	spaces_forget();
	fs_device("/dev/vfio/vfio", open_container, NULL, iommu_no_vfio);
}

void vfio_fini(void)
{
	while (groups) {
		struct vfio_group *g = groups;

		groups = g->next;
		free(g);
	}
}
