// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Parse the address of a PCI function. */
#include <vfn/pci/bdf.h>

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* x is a hexadecimal digit, everything else stands for itself */
static bool matches(const char *s, const char *pattern)
{
	for (; *pattern; s++, pattern++) {
		if (*pattern == 'x' ? !isxdigit((unsigned char)*s) : *s != *pattern)
			return false;
	}

	return *s == '\0';
}

int vfn_pci_parse_bdf(const char *s, char bdf[VFN_PCI_BDF_LEN])
{
	char text[VFN_PCI_BDF_LEN] = "0000:";

	if (s && matches(s, "xxxx:xx:xx.x"))
		memcpy(text, s, sizeof(text));
	else if (s && matches(s, "xx:xx.x"))
		memcpy(text + strlen(text), s, strlen(s));
	else
		goto invalid;

	/* five bits of device, three of function */
	if (text[8] > '1' || text[11] > '7')
		goto invalid;

	for (int i = 0; i < VFN_PCI_BDF_LEN; i++)
		bdf[i] = (char)tolower((unsigned char)text[i]);

	return 0;

invalid:
	errno = EINVAL;
	return -1;
}
