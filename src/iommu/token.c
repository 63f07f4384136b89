// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* VF tokens: the secret by which the owner of a physical function admits users of its virtual functions. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/pci/util.h>

#include "iommu/context.h"
#include "pci/sysfs.h"
#include "support/error.h"

#define TOKEN_ENV "VFTOKEN"

static unsigned int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? (unsigned int)(c - '0') :
					   (unsigned int)(tolower((unsigned char)c) - 'a') + 10;
}

/* 8-4-4-4-12 digits; the bytes have the order of the text. */
static bool parse_uuid(const char *text, uint8_t uuid[16])
{
	unsigned int digits = 0;

	for (size_t i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (!isxdigit((unsigned char)text[i]))
			return false;

		uuid[digits / 2] = (uint8_t)(uuid[digits / 2] << 4 | hex_digit(text[i]));
		digits++;
	}

	return !text[36];
}

int iommu_get_token(const char *bdf, struct iommu_token *token)
{
	const char *text = getenv(TOKEN_ENV);

	memset(token, 0, sizeof(*token));

	/* the kernel takes one for these only */
	if (!text || !*text || (!pci_is_vf(bdf) && !pci_is_pf(bdf)))
		return 0;

	if (!parse_uuid(text, token->uuid))
		return vfn_fail(EINVAL,
				"%s: " TOKEN_ENV
				"='%.60s' is no UUID (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)",
				bdf, text);

	memcpy(token->text, text, sizeof(token->text) - 1);

	return 0;
}

/* vfio-pci has tokens, and so have the drivers that are built upon it. */
static bool is_vf_without_tokens(const char *bdf)
{
	__autostr pf = pci_is_vf(bdf) ? pci_vf_get_pf_bdf(bdf) : NULL;
	__autostr driver = pf ? pci_get_driver(pf) : NULL;

	return pf && (!driver || !strstr(driver, "vfio"));
}

bool iommu_token_is_refused(const char *bdf, const struct iommu_token *token)
{
	int err = errno;

	if (err == EACCES)
		(void)vfn_fail(
			EACCES,
			token->text[0] ?
				"%s: the VF token in " TOKEN_ENV
				" is not the one that its physical function was opened with" :
				"%s: a VF token is required: set " TOKEN_ENV
				" to the one that its physical function was opened with",
			bdf);
	else if (err == EINVAL && token->text[0] && is_vf_without_tokens(bdf))
		(void)vfn_fail(
			EINVAL,
			"%s takes no VF token, as vfio-pci does not drive its physical function: unset " TOKEN_ENV,
			bdf);
	else {
		errno = err;
		return false;
	}

	return true;
}
