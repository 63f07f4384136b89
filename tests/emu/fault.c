// SPDX-License-Identifier: GPL-2.0-or-later
/* Scripted faults: which command is hit by which. */
#include "nvme_model.h"

static bool matches(struct model_fault *mf, const struct cmd *cmd)
{
	const struct emu_fault *f = &mf->f;

	if (f->qid != EMU_ANY && f->qid != cmd->sqid)
		return false;
	if (f->opcode != EMU_ANY && f->opcode != cmd->opcode)
		return false;
	mf->seen++;

	return mf->seen >= f->nth && mf->seen - f->nth < f->count;
}

/* Every fault counts every command it matches, also one that an earlier fault hits. */
bool nvme_match_fault(struct emu_nvme *n, const struct cmd *cmd, struct emu_fault *fault)
{
	bool hit = false;

	for (unsigned int i = 0; i < n->nfaults; i++) {
		struct model_fault *mf = &n->faults[i];

		if (!matches(mf, cmd) || hit)
			continue;
		hit = true;
		mf->hits++;
		*fault = mf->f;
	}

	return hit;
}

unsigned int emu_nvme_fault(struct emu_nvme *n, const struct emu_fault *fault)
{
	struct model_fault *mf;

	emu_autolock();
	if (n->nfaults == NVME_MAX_FAULTS) {
		emu_report("more than %d scripted faults", NVME_MAX_FAULTS);
		return 0;
	}
	mf = &n->faults[n->nfaults];
	*mf = (struct model_fault){ .f = *fault };
	if (!mf->f.nth)
		mf->f.nth = 1;
	if (!mf->f.count)
		mf->f.count = 1;

	return n->nfaults++;
}

unsigned int emu_nvme_fault_hits(struct emu_nvme *n, unsigned int index)
{
	emu_autolock();
	return index < n->nfaults ? n->faults[index].hits : 0;
}

void emu_nvme_clear_faults(struct emu_nvme *n)
{
	emu_autolock();
	n->nfaults = 0;
}
