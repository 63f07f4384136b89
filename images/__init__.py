# SPDX-License-Identifier: GPL-2.0-or-later
"""How guest kernels and their initramfs are made."""
