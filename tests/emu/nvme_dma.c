// SPDX-License-Identifier: GPL-2.0-or-later
/* The way to host memory: the fake IOMMU, page by page, and what data pointers lead to by PRPs. */
#include "nvme_model.h"

#include <stdlib.h>

void *nvme_reach(struct emu_nvme *n, uint64_t iova, bool write)
{
	void *own = nvme_own_memory(n, iova);

	return own ? own : space_translate(pci_space(n->pci), iova, write);
}

/* Never returns memory beyond the page of @iova. */
void *nvme_dma(struct emu_nvme *n, uint64_t iova, bool write, const char *what)
{
	void *mem = nvme_own_memory(n, iova);

	if (mem)
		return mem;
	if (!pci_bus_master(n->pci)) {
		nvme_report(n, "DMA for %s while bus master is off", what);
		return NULL;
	}
	mem = space_translate(pci_space(n->pci), iova, write);
	if (!mem && iommufd_page_fault(n->pci, iova, 1, write))
		mem = space_translate(pci_space(n->pci), iova, write);
	if (!mem)
		nvme_report(n, "DMA %s at unmapped IOVA 0x%llx for %s", write ? "write" : "read",
			    (unsigned long long)iova, what);

	return mem;
}

static size_t to_page_end(uint64_t iova, size_t len)
{
	size_t room = EMU_PAGE - (iova & (EMU_PAGE - 1));

	return len < room ? len : room;
}

bool nvme_dma_read(struct emu_nvme *n, uint64_t iova, void *buf, size_t len, const char *what)
{
	while (len) {
		size_t part = to_page_end(iova, len);
		void *mem = nvme_dma(n, iova, false, what);

		if (!mem)
			return false;
		memcpy(buf, mem, part);
		buf = (char *)buf + part;
		iova += part;
		len -= part;
	}

	return true;
}

/* ---------------------------------------------------------- data pointers */

bool nvme_bad_dptr(struct walk *w, uint16_t status, const char *what, uint64_t value)
{
	nvme_report(w->n, "%s cid %u: %s (0x%llx)", nvme_cmd_name(w->cmd), w->cmd->cid, what,
		    (unsigned long long)value);
	w->status = status;
	return false;
}

/* Every host page under a segment must be reachable in the right direction. */
static bool reachable(struct walk *w, uint64_t iova, uint64_t len)
{
	while (len) {
		size_t part = to_page_end(iova, len);

		if (!nvme_cmb_takes_data(w, iova))
			return false;
		if (!nvme_dma(w->n, iova, w->cmd->to_host, nvme_cmd_name(w->cmd))) {
			w->status = SC_DATA_TRANSFER;
			return false;
		}
		iova += part;
		len -= part;
	}

	return true;
}

bool nvme_add_seg(struct walk *w, uint64_t iova, uint32_t len)
{
	struct cmd *cmd = w->cmd;

	if (!reachable(w, iova, len))
		return false;
	cmd->segs = emu_resize(cmd->segs, (cmd->nsegs + 1) * sizeof(*cmd->segs));
	cmd->segs[cmd->nsegs++] = (struct seg){ iova, len };
	w->left -= len;

	return true;
}

/* ------------------------------------------------------------------- PRPs */

static bool add_to_page_end(struct walk *w, uint64_t iova)
{
	uint64_t room = w->page - (iova & (w->page - 1));

	return nvme_add_seg(w, iova, w->left < room ? w->left : room);
}

static bool add_page(struct walk *w, uint64_t entry)
{
	if (entry & (w->page - 1))
		return nvme_bad_dptr(w, SC_PRP_OFFSET, "PRP entry has an offset", entry);

	return add_to_page_end(w, entry);
}

static bool read_entry(struct walk *w, uint64_t at, uint64_t *entry)
{
	if (!nvme_cmb_takes_list(w, at))
		return false;
	if (!nvme_dma_read(w->n, at, entry, sizeof(*entry), "PRP list")) {
		w->status = SC_DATA_TRANSFER;
		return false;
	}
	*entry = le64toh(*entry);

	return true;
}

/* The last slot of a list page is a pointer to the next list if more than one page is left. */
static bool walk_list(struct walk *w, uint64_t at)
{
	uint64_t entry;

	if (at & 7)
		return nvme_bad_dptr(w, SC_PRP_OFFSET, "PRP list is not aligned to 8 bytes", at);

	while (w->left) {
		bool last_slot = (at & (w->page - 1)) == w->page - 8;

		if (!read_entry(w, at, &entry))
			return false;
		if (last_slot && w->left > w->page) {
			if (entry & (w->page - 1))
				return nvme_bad_dptr(w, SC_PRP_OFFSET,
						     "PRP list chain pointer has an offset", entry);
			at = entry;
			continue;
		}
		if (!add_page(w, entry))
			return false;
		at += 8;
	}

	return true;
}

uint16_t nvme_walk_prps(struct emu_nvme *n, struct cmd *cmd)
{
	struct walk w = { .n = n, .cmd = cmd, .page = nvme_page_size(n), .left = cmd->len };

	if (cmd->prp1 & 3)
		nvme_bad_dptr(&w, SC_PRP_OFFSET, "PRP1 is not aligned to 4 bytes", cmd->prp1);
	else if (!add_to_page_end(&w, cmd->prp1))
		return w.status;
	else if (!w.left && cmd->prp2)
		nvme_bad_dptr(&w, SC_INVALID_FIELD, "PRP2 is reserved and not zero", cmd->prp2);
	else if (w.left && w.left <= w.page)
		add_page(&w, cmd->prp2);
	else if (w.left)
		walk_list(&w, cmd->prp2);

	return w.status;
}

/* Copy between @buf and the command's memory; @len may be less than the segments. */
uint16_t nvme_transfer(struct emu_nvme *n, struct cmd *cmd, void *buf, size_t len)
{
	for (unsigned int i = 0; i < cmd->nsegs && len; i++) {
		struct seg s = cmd->segs[i];

		while (s.len && len) {
			size_t part = to_page_end(s.iova, s.len < len ? s.len : len);
			void *mem = nvme_dma(n, s.iova, cmd->to_host, nvme_cmd_name(cmd));

			if (!mem)
				return SC_DATA_TRANSFER;
			memcpy(cmd->to_host ? mem : buf, cmd->to_host ? buf : mem, part);
			buf = (char *)buf + part;
			s.iova += part;
			s.len -= part;
			len -= part;
		}
	}

	return SC_SUCCESS;
}
