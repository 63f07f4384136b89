// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool with any words on its command line, on a machine whose /sys, /proc and records
 * have any texts. What it prints is for terminals, or it is JSON.
 *
 * T1, T7
 */
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>

#include <vfn/pci.h>

#include "emu.h"
#include "vfntool.h"

/* The tool's main(), as the build calls it. */
int vfntool_main(int argc, char **argv);

#define WORDS 12
#define DEV "/sys/bus/pci/devices/" EMU_BDF "/"
#define DISK "/sys/class/block/nvme0n1/"

enum kind {
	TEXT,
	LINK,
	NAME
};

/* Each has a letter: what has its text, what points to it, or where a file has its name. */
static const struct {
	enum kind kind;
	const char *path;
} places[] = {
	{ TEXT, DEV "vendor" },
	{ TEXT, DEV "device" },
	{ TEXT, DEV "class" },
	{ TEXT, DEV "subsystem_vendor" },
	{ TEXT, DEV "revision" },
	{ TEXT, DEV "numa_node" },
	{ TEXT, DEV "irq" },
	{ TEXT, DEV "driver_override" },
	{ TEXT, DEV "resource" },
	{ TEXT, DEV "msi_irqs/24" },
	{ TEXT, VFN_PCI_RECORD_DIR "/" EMU_BDF },
	{ TEXT, "/proc/self/mountinfo" },
	{ TEXT, "/proc/swaps" },
	{ TEXT, DISK "dev" },
	{ TEXT, DISK "hidden" },
	{ TEXT, "/sys/class/block/dm-0/dm/name" },
	{ LINK, DEV "driver" },
	{ LINK, DEV "iommu_group" },
	{ LINK, DEV "physfn" },
	{ LINK, "/sys/class/block/nvme1n1" },
	{ LINK, "/sys/class/nvme-subsystem/nvme-subsys0/nvme0" },
	{ NAME, DISK "holders" },
	{ NAME, DEV "vfio-dev" },
	{ NAME, DEV "msi_irqs" },
	{ NAME, "/sys/bus/pci/devices" },
	{ NAME, "/sys/kernel/iommu_groups/1/devices" },
};

#define NPLACES (sizeof(places) / sizeof(places[0]))

static void change_machine(char *change)
{
	static const int errs[] = { EACCES, EIO, ENOMEM };
	size_t which = (size_t)(tolower(*change) - 'a');
	char path[512];

	if (which >= NPLACES)
		return;

	snprintf(path, sizeof(path), "%s%s%s", places[which].path,
		 places[which].kind == NAME ? "/" : "",
		 places[which].kind == NAME ? change + 1 : "");
	if (places[which].kind == NAME &&
	    (!change[1] || strchr(change + 1, '/') || change[1] == '.'))
		return;

	/* a capital is for one that cannot be read */
	if (isupper(*change))
		emu_file_error(path, errs[(unsigned char)change[1] % 3]);
	else if (places[which].kind == LINK)
		emu_link(path, change + 1);
	else
		emu_file(path, places[which].kind == TEXT ? change + 1 : "");
}

static void check_text(const char *s)
{
	for (unsigned int len; *s; s += len) {
		len = utf8_length(s);
		require(len && (*s == '\n' || (unsigned char)*s >= 0x20) && *s != 0x7f);
		require(len != 2 || (unsigned char)s[0] != 0xc2 || (unsigned char)s[1] >= 0xa0);
	}
}

static const char *skip(const char *s)
{
	return s + strspn(s, " \n");
}

/* A value of JSON; returns what follows. */
static const char *check_json(const char *s)
{
	bool object = *s == '{';

	if (*s == '"') {
		for (s++; *s != '"'; s++) {
			require((unsigned char)*s >= 0x20);
			if (*s != '\\')
				continue;
			s++;
			require(*s == '"' || *s == '\\' ||
				(*s == 'u' && strspn(s + 1, "0123456789abcdef") >= 4));
		}
		return s + 1;
	}
	if (*s != '{' && *s != '[') {
		size_t len = strcspn(s, ",]} \n");

		require((len == 4 && (!memcmp(s, "null", 4) || !memcmp(s, "true", 4))) ||
			(len == 5 && !memcmp(s, "false", 5)) || strspn(s, "-0123456789") == len);
		require(len);
		return s + len;
	}

	s = skip(s + 1);
	while (*s != ']' && *s != '}') {
		if (object) {
			require(*s == '"');
			s = skip(check_json(s));
			require(*s == ':');
			s = skip(s + 1);
		}
		s = skip(check_json(s));
		require(*s == ',' ? s[1] == '\n' : *s == ']' || *s == '}');
		s = skip(s + (*s == ','));
	}
	require(*s == (object ? '}' : ']'));

	return s + 1;
}

static void run(char *line)
{
	char *words[WORDS + 2] = { (char *)"vfntool" }, *out, *err;
	FILE *real_out = stdout, *real_err = stderr;
	size_t out_size, err_size;
	bool json = false;
	int argc = 1, status;

	for (char *word; argc <= WORDS && (word = strsep(&line, "\n")); argc++) {
		words[argc] = word;
		json = json || !strcmp(word, "--json") || !strcmp(word, "-j");
	}

	stdout = open_memstream(&out, &out_size);
	stderr = open_memstream(&err, &err_size);
	status = vfntool_main(argc, words);
	fclose(stdout);
	fclose(stderr);
	stdout = real_out;
	stderr = real_err;

	require(status >= 0 && status <= EXIT_USAGE);
	require(status == 0 || *err);
	require(strlen(out) == out_size && strlen(err) == err_size);
	check_text(out);
	check_text(err);
	if (!status && json && (*out == '{' || *out == '['))
		require(!*skip(check_json(out)));
	free(out);
	free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	char *line = take_text(&in, '\0');
	const struct emu_usage nothing = {};

	emu_init();
	emu_iommu()->no_iommufd = false;
	emu_dir("/run");
	emu_pci_add(&(struct emu_pci_opts){ .driver = "nvme" });
	emu_pci_add(&(struct emu_pci_opts){ .bdf = EMU_BDF2, .group = 1 });
	while (left(&in)) {
		char *change = take_text(&in, '\0');

		change_machine(change);
		free(change);
	}

	run(line);
	free(line);
	emu_assert_usage(&nothing);
	emu_fini();

	return 0;
}
