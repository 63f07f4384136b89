// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of vendors, devices and classes from the database of libpci. */
#include "vfntool.h"

#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LIBPCI

#include <pci/pci.h>

static struct pci_access *database;

__attribute__((noreturn)) static void fail(char *fmt, ...)
{
	complain("the database of PCI names is damaged");
	exit(EXIT_FAILURE);
}

static void ignore(char *fmt, ...)
{
}

/* Without pci_init(), which looks for hardware and exits where there is none. */
static struct pci_access *names(void)
{
	if (!database) {
		database = pci_alloc();
		database->error = fail;
		database->warning = ignore;
		database->debug = ignore;
	}

	return database;
}

static char *copy_name(const char *name)
{
	return name ? strdup(name) : NULL;
}

char *vendor_name(uint16_t vendor)
{
	char buf[256];

	return copy_name(pci_lookup_name(names(), buf, sizeof(buf),
					 PCI_LOOKUP_VENDOR | PCI_LOOKUP_NO_NUMBERS, vendor));
}

char *device_name(uint16_t vendor, uint16_t device)
{
	char buf[256];

	return copy_name(pci_lookup_name(names(), buf, sizeof(buf),
					 PCI_LOOKUP_DEVICE | PCI_LOOKUP_NO_NUMBERS, vendor,
					 device));
}

char *class_name(uint32_t classcode)
{
	char buf[256];

	return copy_name(pci_lookup_name(names(), buf, sizeof(buf),
					 PCI_LOOKUP_CLASS | PCI_LOOKUP_NO_NUMBERS, classcode >> 8));
}

void names_done(void)
{
	if (database)
		pci_cleanup(database);
	database = NULL;
}

#else

char *vendor_name(uint16_t vendor)
{
	return NULL;
}

char *device_name(uint16_t vendor, uint16_t device)
{
	return NULL;
}

char *class_name(uint32_t classcode)
{
	return NULL;
}

void names_done(void)
{
}

#endif
