// SPDX-License-Identifier: GPL-2.0-or-later
/* Physical and virtual functions: how these come and go, and the token of their users. */
#include "emu_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
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

/* --------------------------------------------------------------- functions */

#define DEVICES "/sys/devices/pci0000:00"

/* Numbers are those of the functions behind the physical one. */
static void vf_bdf(const struct emu_pci *pf, unsigned int vf, char *bdf)
{
	unsigned int domain, bus, dev, fn, devfn;

	sscanf(pf->bdf, "%x:%x:%x.%x", &domain, &bus, &dev, &fn);
	devfn = (bus << 8 | dev << 3 | fn) + 1 + vf;
	snprintf(bdf, 24, "%04x:%02x:%02x.%x", domain & 0xffff, devfn >> 8 & 0xff, devfn >> 3 & 31,
		 devfn & 7);
}

static void link_functions(const struct emu_pci *pf, unsigned int vf, const char *bdf)
{
	char path[128], target[32];

	snprintf(target, sizeof(target), "../%s", bdf);
	snprintf(path, sizeof(path), DEVICES "/%s/virtfn%u", pf->bdf, vf);
	fs_set(fs_make(path, NODE_LINK), target, strlen(target));
	snprintf(target, sizeof(target), "../%s", pf->bdf);
	snprintf(path, sizeof(path), DEVICES "/%s/physfn", bdf);
	fs_set(fs_make(path, NODE_LINK), target, strlen(target));
}

/* vfio-pci wants the virtual functions of what it has. */
static void add_vf(struct emu_pci *pf, unsigned int vf)
{
	struct emu_pci_opts opts = pf->opts;
	struct emu_pci *pci;
	char bdf[24];

	vf_bdf(pf, vf, bdf);
	opts.bdf = bdf;
	opts.group = 0;
	opts.driver = "";
	opts.sriov_totalvfs = 0;
	opts.vf_token = NULL;
	opts.no_intx = true;
	if (pf->ops && pf->ops->add_vf)
		pci = pf->ops->add_vf(pf, &opts);
	else
		pci = pci_plug(&opts, NULL, NULL, EMU_PAGE);
	pci->physfn = pf;
	link_functions(pf, vf, bdf);
	if (pci_bound_to_vfio(pf))
		sysfs_set_override(pci, "vfio-pci");
	sysfs_probe(pci);
}

static void show_numvfs(const struct emu_pci *pf)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICES "/%s/sriov_numvfs", pf->bdf);
	fs_printf(path, "%u\n", pf->numvfs);
}

/* All or, where one is in use, those behind it: Linux would wait for its user. */
int sriov_remove_all(struct emu_pci *pf)
{
	char bdf[24], path[128];

	while (pf->numvfs) {
		const unsigned int vf = pf->numvfs - 1;
		struct emu_pci *pci;
		int ret;

		vf_bdf(pf, vf, bdf);
		pci = pci_find(bdf);
		ret = sysfs_remove(pci);
		if (ret)
			return ret;
		pci_unplug(pci);
		snprintf(path, sizeof(path), DEVICES "/%s/virtfn%u", pf->bdf, vf);
		fs_remove(path);
		pf->numvfs = vf;
		show_numvfs(pf);
	}

	return 0;
}

/* nvme makes them, vfio-pci if its parameter says so. */
static bool driver_makes_vfs(struct emu_pci *pf)
{
	const struct node *param;

	if (!pci_bound_to_vfio(pf))
		return !strcmp(sysfs_driver_name(pf), "nvme");
	param = fs_lookup("/sys/module/vfio_pci/parameters/enable_sriov", true);

	return param && param->data && *param->data == 'Y';
}

static int store_numvfs(void *priv, const char *text)
{
	struct emu_pci *pf = priv;
	char *end;
	const unsigned long n = strtoul(text, &end, 0);

	if (!isdigit((unsigned char)*text) || *end || n > UINT16_MAX)
		return -EINVAL;
	if (n > pf->opts.sriov_totalvfs)
		return -ERANGE;
	if (n == pf->numvfs)
		return 0;
	if (!driver_makes_vfs(pf))
		return -ENOENT;
	if (!n)
		return sriov_remove_all(pf);
	if (pf->numvfs)
		return -EBUSY;
	for (unsigned int vf = 0; vf < n; vf++) {
		add_vf(pf, vf);
		pf->numvfs++;
	}
	show_numvfs(pf);

	return 0;
}

static int store_autoprobe(void *priv, const char *text)
{
	struct emu_pci *pf = priv;
	char path[128];

	if (strcmp(text, "0") && strcmp(text, "1"))
		return -EINVAL;
	pf->vfs_not_probed = *text == '0';
	snprintf(path, sizeof(path), DEVICES "/%s/sriov_drivers_autoprobe", pf->bdf);
	fs_printf(path, "%s\n", text);

	return 0;
}

void sriov_add_attributes(struct emu_pci *pci, const char *at)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/sriov_totalvfs", at);
	fs_printf(path, "%u\n", pci->opts.sriov_totalvfs);
	snprintf(path, sizeof(path), "%s/sriov_numvfs", at);
	fs_attr(path, store_numvfs, pci);
	fs_printf(path, "0\n");
	snprintf(path, sizeof(path), "%s/sriov_drivers_autoprobe", at);
	fs_attr(path, store_autoprobe, pci);
	fs_printf(path, "1\n");
}
