# SPDX-License-Identifier: GPL-2.0-or-later
"""Sphinx: the manual in HTML, and the manual pages, from the same sources."""
# pylint: disable=invalid-name

import pathlib
import re
import sys

top = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(top / "docs/ext"))

from reference import INCLUDE, Reference, manual_name, page_of  # pylint: disable=wrong-import-position

project = "libvfn"
author = "the libvfn contributors"
copyright = author  # pylint: disable=redefined-builtin
release = version = re.search(r"version: '(.*?)'", (top / "meson.build").read_text(encoding="utf-8"))[1]

extensions = ["reference"]
exclude_patterns = ["snippets"]
primary_domain = "c"
highlight_language = "none"
smartquotes = False
nitpicky = True

# What belongs to C, libc and the kernel.
nitpick_ignore_regex = [("c:identifier", name) for name in (
    r"u?int(8|16|32|64)_t", "s?size_t", "off_t", "bool", r"pthread_\w+_t", "va_list", "iovec", "timespec",
    r"vfio_\w+_info", r"VFIO_\w+",
)]

html_theme = "alabaster"
html_theme_options = {"description": "NVMe from user space", "fixed_sidebar": True, "page_width": "1080px"}
html_copy_source = False
html_show_copyright = False
html_use_index = True

today_fmt = "%Y-%m-%d"
man_make_section_directory = True
man_pages = [
    ("libvfn", "libvfn", "drive NVMe controllers and other PCI devices from user space", [], 7),
    ("vfntool", "vfntool", "hand PCI devices to vfio-pci and back, and look at them", [], 8),
] + [
    (page_of(header.path), manual_name(header.path), header.about, [], 3) for header in Reference(INCLUDE).pages()
]
