#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Handles that have all queues of a controller, and one too many.
. /vfn/tap.sh

host trace pci_nvme_create_sq
host trace pci_nvme_del_sq

check 'bind one with 24 queues' vfntool bind "$BDF_Q24"
# its I/O queues, not the one of a look at what is there
created=$(host count 'pci_nvme_create_sq .*qsize=99') deleted=$(host count pci_nvme_del_sq)
check 'E7: mts' vfntool verify mts "$BDF_Q24" --sessions 4 --threads 6 --depth 100 --blocks 2048 --force
same 'E7: four sessions' "$(grep -Ec '^ok [1-4] - session [1-4]: 6 queues' /tmp/output)" 4
looked=7
same 'E7: 24 queues are created' "$(($(host count 'pci_nvme_create_sq .*qsize=99') - created - looked))" 24
same 'E7: and deleted' "$(($(host count pci_nvme_del_sq) - deleted - looked))" 24
check 'reset' vfntool reset "$BDF_Q24"

check 'bind one with 23' vfntool bind "$BDF_Q23"
refuse 'E8: mts' vfntool verify mts "$BDF_Q23" --sessions 4 --threads 6 --depth 100 --blocks 2048 --force
says 'E8: the fourth session is refused' '^not ok 1 - session 4 is refused: 6 queues, and 5 of 23 are available'
same 'E8: the others complete' "$(grep -Ec '^ok [2-4] - session [1-3]: 6 queues' /tmp/output)" 3
check 'reset' vfntool reset "$BDF_Q23"
check 'the kernel has both' wait_for_kernel "$BDF_Q24"
check 'again' wait_for_kernel "$BDF_Q23"
finish
