// SPDX-License-Identifier: GPL-2.0-or-later
/* Physical and virtual functions: the token by which their users trust each other. */
#include "emu_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_OPTION "vf_token="
#define UUID_TEXT 36

/* ------------------------------------------------------------------ tokens */

bool sriov_parse_uuid(const char *text, uint8_t *uuid)
{
	unsigned int n = 0;

	if (strnlen(text, UUID_TEXT) < UUID_TEXT)
		return false;
	for (unsigned int i = 0; i < UUID_TEXT; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		const char digit[2] = { text[i] };

		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
		if (dash)
			continue;
		uuid[n / 2] = uuid[n / 2] << 4 | strtoul(digit, NULL, 16);
		n++;
	}

	return true;
}

/* The token of who trusts a virtual function's user, NULL if nobody has to. */
static const uint8_t *token_of_vf(const struct emu_pci *pci)
{
	if (pci->opts.vf_token)
		return pci->vf_token;

	return pci->physfn && pci_bound_to_vfio(pci->physfn) ? pci->physfn->vf_token : NULL;
}

static int match(const uint8_t *wanted, const uint8_t *token)
{
	return token && !memcmp(wanted, token, sizeof(((struct emu_pci *)0)->vf_token)) ? 0 :
											  EACCES;
}

/* A token that nobody asked for is an error, too; on a physical function it sets the token. */
int sriov_check_token(struct emu_pci *pci, const uint8_t *token)
{
	if (token_of_vf(pci))
		return match(token_of_vf(pci), token);
	if (!pci->opts.sriov_totalvfs)
		return token ? EINVAL : 0;
	if (pci->token_users)
		return match(pci->vf_token, token);
	if (token)
		memcpy(pci->vf_token, token, sizeof(pci->vf_token));

	return 0;
}

int sriov_check_options(struct emu_pci *pci, const char *options)
{
	uint8_t uuid[16];
	bool given = false;

	for (options += strspn(options, " "); *options; options += strspn(options, " ")) {
		if (given || strncmp(options, TOKEN_OPTION, strlen(TOKEN_OPTION)) ||
		    !sriov_parse_uuid(options + strlen(TOKEN_OPTION), uuid))
			return EINVAL;
		given = true;
		options += strlen(TOKEN_OPTION) + UUID_TEXT;
	}

	return sriov_check_token(pci, given ? uuid : NULL);
}

void sriov_opened(struct emu_pci *pci)
{
	if (pci->physfn)
		pci->physfn->token_users++;
}

void sriov_closed(struct emu_pci *pci)
{
	if (pci->physfn)
		pci->physfn->token_users--;
}
