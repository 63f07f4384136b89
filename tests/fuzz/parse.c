// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Texts of users and of sysfs: addresses, numbers, and the environment, each against a second opinion.
 *
 * V1
 */
#include "fuzz.h"

#include <errno.h>
#include <limits.h>

#include <vfn/pci.h>
#include <vfn/support/log.h>
#include <vfn/trace.h>

#include "emu.h"
#include "iommu/context.h"
#include "pci/sysfs.h"

#define DEV "/sys/bus/pci/devices/" EMU_BDF

static bool all_in(const char *s, size_t n, const char *set)
{
	return strspn(s, set) >= n;
}

static const char HEX[] = "0123456789abcdefABCDEF";

static bool is_bdf(const char *s)
{
	if (strlen(s) == 12 && all_in(s, 4, HEX) && s[4] == ':')
		s += 5;

	return strlen(s) == 7 && all_in(s, 2, HEX) && s[2] == ':' && all_in(s + 3, 1, "01") &&
	       all_in(s + 4, 1, HEX) && s[5] == '.' && all_in(s + 6, 1, "01234567");
}

static void parse_address(const char *text)
{
	char bdf[VFN_PCI_BDF_LEN], again[VFN_PCI_BDF_LEN];
	int ret = vfn_pci_parse_bdf(text, bdf);

	require(!ret == is_bdf(text));
	require(!ret || errno == EINVAL);
	if (ret)
		return;

	require(strlen(bdf) == 12 && strspn(bdf, "0123456789abcdef:.") == 12);
	require(!vfn_pci_parse_bdf(bdf, again) && !strcmp(bdf, again));
	require(!strcasecmp(bdf + (strlen(text) == 7 ? 5 : 0), text));
}

/* As C writes them: 0x, a leading 0, or decimal. False where it is none, or too large. */
static bool number(const char *s, unsigned long long *v)
{
	unsigned int base = 10;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && s[2] && strchr(HEX, s[2]))
		base = 16;
	else if (s[0] == '0')
		base = 8;
	s += base == 16 ? 2 : 0;

	*v = 0;
	do {
		const char *at = *s ? strchr(HEX, *s) : NULL;
		unsigned int digit = at ? (unsigned int)(at - HEX) : UINT_MAX;

		if (at && digit >= 16)
			digit -= 6;
		if (digit >= base || *v > (ULLONG_MAX - digit) / base)
			return false;
		*v = *v * base + digit;
	} while (*++s);

	return true;
}

static void parse_number(const char *text)
{
	unsigned long long v = 0, wanted;
	int ret = vfn_sysfs_parse_ull(text, &v);

	require(!ret == number(text, &wanted));
	require(ret ? errno == EINVAL || errno == ERANGE : v == wanted);
}

#define EVENT(name) { TRACE_##name, &TRACE_##name##_ACTIVE, false },

static void parse_trace_events(char *text)
{
	struct {
		const char *name;
		bool *active, wanted;
	} events[] = { __VFN_TRACE_EVENTS(EVENT) };
	const size_t n = sizeof(events) / sizeof(events[0]);

	for (size_t i = 0; i < n; i++)
		*events[i].active = false;
	vfn_trace_ready = false;
	setenv("VFN_TRACE_EVENTS", text, 1);
	vfn_trace_init();

	for (char *word; (word = strsep(&text, ","));) {
		bool on = *word != '-';

		word += *word == '-' || *word == '+';
		for (size_t i = 0; i < n && *word; i++)
			if (strstr(events[i].name, word) == events[i].name)
				events[i].wanted = on;
	}
	for (size_t i = 0; i < n; i++)
		require(*events[i].active == events[i].wanted);
}

static void parse_token(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	bool good = strlen(text) == strlen(form);
	struct iommu_token token;
	char again[sizeof(form)], *to = again;
	int ret;

	for (size_t i = 0; good && form[i]; i++)
		good = form[i] == 'x' ? !!strchr(HEX, text[i]) : text[i] == '-';

	setenv("VFTOKEN", text, 1);
	ret = iommu_get_token(EMU_BDF, &token);
	require(!ret == (good || !*text));
	require(!ret || errno == EINVAL);
	if (ret || !*text)
		return;

	for (unsigned int i = 0; i < 16; i++)
		to += sprintf(to, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      token.uuid[i]);
	require(!strcasecmp(again, text) && !strcmp(token.text, text));
}

static void parse_verbosity(const char *text)
{
	__log_state.v = VFN_LOG_UNSET;
	setenv("LOGV", text, 1);
	require(vfn_log_init() >= VFN_LOG_OFF && __log_state.v >= VFN_LOG_OFF);
	require(__log_state.v == VFN_LOG_OFF || __log_state.v == atol(text));
	__log_state.v = VFN_LOG_OFF;
}

/* What the library returns as an int is no other number for that. */
static void check_int(int ret, const char *text)
{
	unsigned long long v;

	if (number(text, &v) && v <= INT_MAX)
		require(ret == (int)v);
	else
		require(ret == -1 && (errno == EINVAL || errno == ERANGE));
}

static void parse_group(const char *text)
{
	emu_link(DEV "/iommu_group", text);
	check_int(vfn_pci_group_number(EMU_BDF),
		  strrchr(text, '/') ? strrchr(text, '/') + 1 : text);
	emu_link(DEV "/iommu_group", "../../kernel/iommu_groups/1");
}

static void parse_numvfs(char *text)
{
	size_t len = strlen(text);
	int ret;

	emu_file(DEV "/sriov_numvfs", text);
	ret = vfn_pci_get_numvfs(EMU_BDF);
	/* attributes end with a newline */
	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	check_int(ret, text);
}

static void parse_force(const char *text)
{
	bool forced = *text && strcmp(text, "0");
	char why[64];
	int ret;

	setenv("VFN_IOMMU_FORCE_VFIO", text, 1);
	ret = vfn_iommu_choose(EMU_BDF, why, sizeof(why));
	require(ret == (forced ? VFN_IOMMU_TYPE1 : VFN_IOMMU_IOMMUFD));
}

/* One machine for all runs. */
static void start(void)
{
	emu_init();
	emu_iommu()->no_iommufd = false;
	emu_pci_add(&(struct emu_pci_opts){ .group = 1 });
	emu_pci_add(&(struct emu_pci_opts){ .bdf = EMU_BDF2 });
	emu_link(DEV "/physfn", "../" EMU_BDF2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	char kind = (char)take(&in, 1), *text = take_text(&in, '\0');

	if (!emu_pci_find(EMU_BDF))
		start();

	if (kind == 'a')
		parse_address(text);
	else if (kind == 'n')
		parse_number(text);
	else if (kind == 'e')
		parse_trace_events(text);
	else if (kind == 'g')
		parse_group(text);
	else if (kind == 's')
		parse_numvfs(text);
	else if (kind == 't')
		parse_token(text);
	else if (kind == 'v')
		parse_verbosity(text);
	else if (kind == 'f')
		parse_force(text);
	free(text);

	return 0;
}
