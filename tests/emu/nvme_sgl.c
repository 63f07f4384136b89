// SPDX-License-Identifier: GPL-2.0-or-later
/* SGLs (Base Specification 2.0, section 4.1.2): data blocks in segments, every rule checked. */
#include "nvme_model.h"

/* Types, with the only subtype that is not for fabrics: an address. */
#define DATA_BLOCK 0x00
#define SEGMENT 0x20
#define LAST_SEGMENT 0x30

#define DESCRIPTOR_SIZE 16

/* More than any test has: a chain that leads back to itself. */
#define MAX_SEGMENTS 1000

struct sgld {
	uint64_t addr;
	uint32_t len;
	uint8_t type;
};

static bool parse(struct walk *w, const uint8_t *raw, struct sgld *d)
{
	memcpy(&d->addr, raw, sizeof(d->addr));
	memcpy(&d->len, raw + 8, sizeof(d->len));
	d->addr = le64toh(d->addr);
	d->len = le32toh(d->len);
	d->type = raw[15];

	if (d->type != DATA_BLOCK && d->type != SEGMENT && d->type != LAST_SEGMENT)
		return nvme_bad_dptr(w, SC_SGL_TYPE, "SGL descriptor has an unsupported type",
				     d->type);
	if (raw[12] || raw[13] || raw[14])
		return nvme_bad_dptr(w, SC_INVALID_FIELD, "SGL descriptor has reserved bytes",
				     raw[12] | raw[13] << 8 | raw[14] << 16);

	return true;
}

static bool take_data(struct walk *w, const struct sgld *d)
{
	if (SGLS_SUPPORT(w->n->o.sgls) == SGLS_DWORD_ALIGNED && ((d->addr | d->len) & 3))
		return nvme_bad_dptr(w, SC_INVALID_FIELD, "SGL data is off its dwords",
				     d->addr | d->len);
	if (d->len > w->left)
		return nvme_bad_dptr(w, SC_SGL_LENGTH, "SGL is longer than the data", d->len);

	return nvme_add_seg(w, d->addr, d->len);
}

static bool read_descriptor(struct walk *w, uint64_t at, struct sgld *d)
{
	uint8_t raw[DESCRIPTOR_SIZE];

	if (!nvme_cmb_takes_list(w, at))
		return false;
	if (!nvme_dma_read(w->n, at, raw, sizeof(raw), "SGL segment")) {
		w->status = SC_DATA_TRANSFER;
		return false;
	}

	return parse(w, raw, d);
}

/* Follow @d to a segment; its last descriptor, which may lead on, comes back in @d. */
static bool walk_segment(struct walk *w, struct sgld *d)
{
	const bool last = d->type == LAST_SEGMENT;
	const uint64_t at = d->addr, end = at + d->len;

	if (at & 7)
		return nvme_bad_dptr(w, SC_SGL_SEGMENT, "SGL segment is not aligned to 8 bytes",
				     at);
	if (!d->len || d->len % DESCRIPTOR_SIZE)
		return nvme_bad_dptr(w, SC_SGL_SEGMENT, "SGL segment has a wrong length", d->len);

	for (uint64_t i = at; i < end; i += DESCRIPTOR_SIZE) {
		if (!read_descriptor(w, i, d))
			return false;
		if (d->type == DATA_BLOCK && !take_data(w, d))
			return false;
		if (d->type != DATA_BLOCK && (last || i + DESCRIPTOR_SIZE < end))
			return nvme_bad_dptr(w, SC_SGL_SEGMENT,
					     "SGL segment goes on where it must not", i);
	}
	if (!last && d->type == DATA_BLOCK)
		return nvme_bad_dptr(w, SC_SGL_SEGMENT, "SGL segment leads to no other", at);

	return true;
}

uint16_t nvme_walk_sgl(struct emu_nvme *n, struct cmd *cmd)
{
	struct walk w = { .n = n, .cmd = cmd, .left = cmd->len, .status = SC_SUCCESS };
	struct sgld d;
	uint8_t raw[DESCRIPTOR_SIZE];

	put_le64(raw, cmd->prp1);
	put_le64(raw + 8, cmd->prp2);
	if (!parse(&w, raw, &d) || (d.type == DATA_BLOCK && !take_data(&w, &d)))
		return w.status;

	for (unsigned int i = 0; d.type != DATA_BLOCK; i++) {
		if (i == MAX_SEGMENTS)
			nvme_bad_dptr(&w, SC_SGL_SEGMENT, "SGL has no end", d.addr);
		if (w.status || !walk_segment(&w, &d))
			return w.status;
	}
	if (w.left)
		nvme_bad_dptr(&w, SC_SGL_LENGTH, "SGL is shorter than the data", w.left);

	return w.status;
}
