// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that comes by a descriptor: dma-bufs of BARs, memfds. */
#include "emu_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "os/abi.h"

#define PAGE_MASK (EMU_PAGE - 1)

struct dmabuf {
	struct emu_pci *pci;
	unsigned int bar, nr_ranges;
	uint64_t offset, size;
	unsigned int closed;
};

static void dmabuf_release(struct emu_file *file)
{
	struct dmabuf *buf = file->priv;

	buf->pci->files--;
	free(buf);
}

static const struct file_ops dmabuf_ops = {
	.name = "dma-buf",
	.release = dmabuf_release,
};

static bool range_ok(const struct emu_pci *pci, unsigned int bar,
		     const struct abi_vfio_region_dma_range *r)
{
	return r->length && !((r->offset | r->length) & PAGE_MASK) &&
	       r->offset <= pci->bar_size[bar] && r->length <= pci->bar_size[bar] - r->offset;
}

int dmabuf_export(struct emu_pci *pci, const struct abi_vfio_device_feature_dma_buf *arg)
{
	const unsigned int bar = arg->region_index;
	struct dmabuf *buf;
	int fd;

	if (!arg->nr_ranges || arg->flags)
		return emu_errno(EINVAL);
	if (bar >= PCI_BARS)
		return emu_errno(ENODEV);
	for (uint32_t i = 0; i < arg->nr_ranges; i++) {
		if (!range_ok(pci, bar, &arg->dma_ranges[i]))
			return emu_errno(EINVAL);
	}
	buf = emu_zalloc(sizeof(*buf));
	*buf = (struct dmabuf){
		.pci = pci,
		.bar = bar,
		.nr_ranges = arg->nr_ranges,
		.offset = arg->dma_ranges[0].offset,
		.size = arg->dma_ranges[0].length,
		.closed = pci->closed,
	};
	fd = fd_install(&dmabuf_ops, O_RDWR, buf);
	if (fd < 0)
		free(buf);
	else
		pci->files++;

	return fd;
}

/* A device that was closed takes back what it gave. */
static int bar_memory(const struct dmabuf *buf, uint64_t start, struct dma_map *m)
{
	if (emu_iommu()->no_dma_buf || buf->nr_ranges != 1)
		return EOPNOTSUPP;
	if (buf->closed != buf->pci->closed)
		return ENODEV;
	if (start > buf->size || m->size > buf->size - start)
		return EINVAL;
	m->pci = buf->pci;
	m->bar = buf->bar;
	m->host = (char *)buf->pci->bar_mem[buf->bar];
	if (m->host)
		m->host += buf->offset + start;

	return 0;
}

/* Files whose pages can be pinned are those of memfds and of tmpfs: the ones with seals. */
int dmabuf_memory(int fd, uint64_t start, struct dma_map *m)
{
	struct emu_file *file = fd_get(fd);
	struct stat st;
	void *mem;

	if (file && file->ops == &dmabuf_ops)
		return bar_memory(file->priv, start, m);
	if (fcntl(fd, F_GETFD) < 0)
		return EBADF;
	if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st))
		return EINVAL;
	if (start > (uint64_t)st.st_size || m->size > st.st_size - start)
		return EINVAL;
	mem = mmap(NULL, m->size, PROT_READ | (m->write ? PROT_WRITE : 0), MAP_SHARED, fd, start);
	if (mem == MAP_FAILED)
		return EINVAL;
	m->host = mem;
	m->file = true;

	return 0;
}
