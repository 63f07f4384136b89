#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The device that is nothing but memory has no driver to go back to.
vfntool bind "$BDF_IVSHMEM" || exit 1
peers
status=$?
vfntool reset "$BDF_IVSHMEM" || exit 1
exit $status
