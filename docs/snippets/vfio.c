// SPDX-License-Identifier: GPL-2.0-or-later
/* The vfio layer: any PCI device, its configuration space, registers and interrupts. */
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfn/support.h>
#include <vfn/vfio.h>

#include "snippet.h"

/* [config] */
static void print_ids(struct vfio_pci_device *pci)
{
	leint16_t ids[2];

	if (vfio_pci_read_config(pci, ids, sizeof(ids), 0) != sizeof(ids))
		fail();
	printf("vendor %04x, device %04x\n", le16_to_cpu(ids[0]), le16_to_cpu(ids[1]));
}
/* [config-end] */

/* [bar] */
static void print_register(struct vfio_pci_device *pci)
{
	void *regs = vfio_pci_map_bar(pci, 0, 4096, 0, PROT_READ | PROT_WRITE);

	if (!regs)
		fail();
	printf("register 8 is %08x\n", le32_to_cpu(mmio_read32((char *)regs + 8)));
	vfio_pci_unmap_bar(pci, 0, regs, 4096, 0);
}
/* [bar-end] */

/* [irq] */
static void route_first_vector(struct vfio_pci_device *pci)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (efd < 0 || vfio_set_irq(&pci->dev, &efd, 0, 1))
		fail();

	/* ... poll(2) and read(2) it; with INTx, vfn_vfio_unmask_irq() after each ... */

	if (vfio_disable_irq_all(&pci->dev))
		fail();
	close(efd);
}
/* [irq-end] */

/* [irqs] */
static void route_what_there_is(struct vfio_pci_device *pci)
{
	int efds[4], n;

	for (int i = 0; i < 4; i++) {
		efds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (efds[i] < 0)
			fail();
	}

	/* four would be nice, one is enough */
	n = vfn_vfio_setup_irqs(&pci->dev, efds, 1, 4);
	if (n < 0)
		fail();
	printf("%d of %u vectors\n", n, pci->dev.irq_info.count);

	if (vfio_disable_irq_all(&pci->dev))
		fail();
	for (int i = 0; i < 4; i++)
		close(efds[i]);
}
/* [irqs-end] */

int main(int argc, char **argv)
{
	/* [guard] */
	/* once, in main() */
	if (vfn_sigbus_guard(true))
		fail();
	/* [guard-end] */

	/* [open] */
	struct vfio_pci_device pci = {};

	(void)argc;
	if (vfio_pci_open(&pci, argv[1]))
		fail();
	printf("%s, class %06llx, %u vectors\n", pci.bdf, pci.classcode, pci.dev.irq_info.count);
	/* [open-end] */

	print_ids(&pci);
	print_register(&pci);
	route_first_vector(&pci);
	route_what_there_is(&pci);

	if (vfio_pci_close(&pci))
		fail();

	return 0;
}
