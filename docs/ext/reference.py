# SPDX-License-Identifier: GPL-2.0-or-later
"""Sphinx: the reference, made from the public headers.

``.. header:: vfn/nvme/ctrl.h`` is replaced by what the header declares, in its order, with what its comments say. The
manual pages of section 3 are the same pages; each function has a page of its own that refers to its header's.
"""

import pathlib
import re
import shutil

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles
from sphinx.writers.manpage import ManualPageTranslator

import headers

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "include"

# Functions whose names say which library they belong to, so that a manual page may have that name.
OWN_NAMES = re.compile(r"(__)?(nvme|iommu|iommufd|vfio|pci|vfn|mmio)_")

DOMAIN_KIND = {"function": "func", "struct": "struct", "union": "union", "enum": "enum", "macro": "macro",
               "typedef": "type", "variable": "var"}

MARKUP = re.compile(r"""
    (?P<literal>``[^`]+``)
  | "(?P<quoted>[^"\s`]+)"
  | <(?P<header>[\w/]+\.h)>
  | @(?P<parameter>\w+)
  | %(?P<constant>\w+)
  | (?P<page>\b[a-z_]\w*\([1-8]\))
  | (?P<function>\b[A-Za-z_]\w*)\(\)
  | (?P<call>\b([A-Za-z_]\w*_\w*)\([^()]*\))
  | \b(?P<tag>struct|union|enum)\ (?P<tagged>\w+)
  | (?P<pattern>\b[\w/.]*(?:_\*|\*_)\w*(?:\(\))?|\b\w+_<\w+>)
  | (?P<word>\b[A-Za-z_]\w*_\w*)
  | (?P<special>[\\*`|_])
""", re.VERBOSE)


def page_of(path):
    """The document about a header."""
    return "reference/" + path.removeprefix("vfn/").removesuffix(".h")


def manual_name(path):
    """The manual page about a header, named as POSIX names those of its headers."""
    return path.replace("/", "_")


class Reference:
    """All headers, and what kind of thing each public name is."""

    def __init__(self, include):
        self.headers = headers.read_all(include)
        self.kinds = {}
        self.places = {}
        for header in self.headers.values():
            for item in header.items:
                self.add(header, item.name, item.kind)
                for name in enumerators(item) if item.kind == "enum" else ():
                    self.add(header, name, "enumerator")

    def add(self, header, name, kind):
        """A public name. What <vfn/v3.h> puts over it is not meant by those who use the name."""
        if name and name not in self.kinds:
            self.kinds[name] = kind
            self.places[name] = header

    def pages(self):
        """The headers that declare something; the others only include them."""
        return [header for header in self.headers.values() if any(item.name for item in header.items)]

    def to_include(self, header):
        """The headers by which a program gets this one, the usual one first."""
        layer = "/".join(header.path.split("/")[:2]) + ".h"
        usual = self.headers.get(layer)
        return [layer, header.path] if usual and header.path in usual.includes else [header.path]


def enumerators(item):
    """The names and values of an enumeration, conditional ones once."""
    body = re.sub(r"/\*.*?\*/|#[^\n]*", "", item.code[item.code.index("{") + 1:item.code.rindex("}")], flags=re.DOTALL)
    values = (part.partition("=") for part in headers.split_arguments(body) if part)
    return {name.strip(): " ".join(value.split()) for name, _, value in values}


class Writer:
    """Turns a header into reStructuredText, in Sphinx's C domain."""

    def __init__(self, reference):
        self.reference = reference
        self.lines = []
        self.current = None

    def inline(self, text):
        """The marks of kernel-doc, names and special characters in running text."""
        return MARKUP.sub(self.replace, text)

    def replace(self, match):
        """One of them. Its neighbours may be any characters, so it is set off by escaped blanks."""
        kinds = self.reference.kinds
        if match["literal"]:
            result = match["literal"]
        elif match["quoted"]:
            result = f"``{match['quoted']}``"
        elif match["header"]:
            path = match["header"]
            known = any(header.path == path for header in self.reference.pages())
            result = f":doc:`<{path}> </{page_of(path)}>`" if known else f"``<{path}>``"
        elif match["parameter"]:
            result = f"*{match['parameter']}*"
        elif match["constant"]:
            result = self.name(match["constant"]) or f"``{match['constant']}``"
        elif match["page"]:
            result = f":manpage:`{match['page']}`"
        elif match["function"]:
            name = match["function"]
            result = f":c:func:`{name}`" if kinds.get(name) == "function" else f"``{name}()``"
        elif match["call"]:
            result = f"``{match['call']}``"
        elif match["tag"]:
            name = match["tagged"]
            result = f":c:{match['tag']}:`{match[0]} <{name}>`" if kinds.get(name) == match["tag"] else f"``{match[0]}``"
        elif match["pattern"]:
            result = f"``{match['pattern']}``"
        elif match["word"]:
            result = self.name(match["word"]) or f"``{match['word']}``"
        else:
            return "\\" + match["special"]
        return f"\\ {result}\\ "

    def name(self, name):
        """A reference to a constant; None where it is none of ours."""
        kind = self.reference.kinds.get(name)
        if kind == "enumerator":
            return f":c:enumerator:`{name}`"
        return f":c:macro:`{name}`" if kind == "macro" else None

    def put(self, text="", indent=0):
        """Lines of text."""
        for line in text.split("\n"):
            self.lines.append("   " * indent + line if line else "")

    def sentence(self, text):
        """A summary or the like, as a sentence."""
        text = self.inline(text)
        if re.match(r"[a-z]+\b(?![_(])", text):
            text = text[0].upper() + text[1:]
        return text if text.endswith((".", ":")) else text + "."

    def header(self, header):
        """All of a header."""
        self.current = header
        self.put(".. only:: not man\n")
        self.put(self.sentence(header.about), 1)
        self.put("\nSynopsis\n--------\n")
        self.put(".. code-block:: c\n")
        for number, path in enumerate(self.reference.to_include(header)):
            self.put(f"#include <{path}>" + ("   /* or */" if number else ""), 1)
        self.put("\nDescription\n-----------\n")
        items = header.items
        number = 0
        while number < len(items):
            same = [items[number]]
            while number + len(same) < len(items) and self.goes_with(same[-1], items[number + len(same)]):
                same.append(items[number + len(same)])
            self.item(same)
            number += len(same)
        return self.lines

    @staticmethod
    def goes_with(item, following):
        """Whether two neighbours share a description."""
        if item.documented:
            return item.comment is following.comment
        return item.kind == following.kind in ("macro", "typedef", "variable") and not following.apart

    def item(self, same):
        """A comment that stands alone, or one description of one or several things."""
        first = same[0]
        if first.kind == "text":
            self.put(self.inline(first.comment) + "\n")
            return

        directive = {"typedef": "type", "variable": "var"}.get(first.kind, first.kind)
        overlay = first.name and self.reference.places[first.name] is not self.current
        prefix = ".. describe:: " if overlay else f".. c:{directive}:: "
        for number, item in enumerate(same):
            code = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", item.code)
            text = item.name or "@constants" if first.kind in ("struct", "union", "enum") else code
            self.put((prefix if number == 0 else " " * len(prefix)) + text)
        self.put()

        if first.documented:
            self.described(first)
        else:
            if first.comment:
                self.put(self.inline(first.comment) + "\n", 1)
            self.definition(first, {})
        self.values(same)

    def described(self, item):
        """What a comment in kernel-doc's form says."""
        comment = item.comment
        self.put(self.sentence(comment.summary) + "\n", 1)
        if comment.text:
            self.put(self.inline(comment.text) + "\n", 1)
        if item.kind in ("function", "macro"):
            for name, text in comment.parameters.items():
                field = f"``{name}``" if self.reference.places[item.name] is not self.current else f"param {name}"
                self.put(f":{field}: " + self.inline(text).replace("\n", "\n   "), 1)
            if comment.returns:
                self.put(":returns: " + self.inline(comment.returns).replace("\n", "\n   "), 1)
            self.put()
        else:
            self.definition(item, comment.parameters)

    def values(self, same):
        """The values of macros that are constants."""
        if any(item.value for item in same):
            self.put(".. code-block:: c\n", 1)
            for item in same:
                if item.value:
                    self.put(f"#define {item.name} {item.value}", 2)
            self.put()

    def definition(self, item, described):
        """The members of a struct or an enumeration."""
        if item.kind == "enum":
            for name, value in enumerators(item).items():
                self.put(f".. c:enumerator:: {name}" + (f" = {value}" if value else "") + "\n", 1)
                if name in described:
                    self.put(self.sentence(described[name]).replace("\n", " ") + "\n", 2)
        elif item.kind in ("struct", "union") and "{" in item.code:
            self.put(".. code-block:: c\n", 1)
            self.put(item.code.expandtabs(8) + "\n", 2)
            for name, text in described.items():
                self.put(f"``{name}``", 1)
                self.put(self.sentence(text).replace("\n", " "), 2)
            self.put()


class HeaderDirective(SphinxDirective):
    """.. header:: PATH"""
    required_arguments = 1

    def run(self):
        reference = self.env.app.vfn_reference
        header = reference.headers.get(self.arguments[0])
        if header is None:
            raise self.error(f"no header {self.arguments[0]}")
        # a page refers to things in other headers
        for path in reference.headers:
            self.env.note_dependency(str(INCLUDE / path))
        node = nodes.section()
        node.document = self.state.document
        lines = Writer(reference).header(header)
        nested_parse_with_titles(self.state, StringList(lines, str(INCLUDE / header.path)), node)
        return node.children


class ManualPage(ManualPageTranslator):
    """Manual pages whose NAME section has what the page is about, so that apropos(1) finds it; free of what mandoc(1)
    complains about."""

    def astext(self):
        text = re.sub(r"\n\.ft [CP](?=\n)", "", super().astext())
        return re.sub(r"[ \t]+$", "", re.sub(r"(\n\.S[HS] .*)\n\.sp(?=\n)", r"\1", text), flags=re.MULTILINE)

    def header(self):
        for header in self.builder.app.vfn_reference.pages():
            if manual_name(header.path) == self.settings.title:
                names = [item.name for item in header.items if item.kind in ("function", "macro")]
                title = self.settings.title
                return super().header().replace(f"\n{title} ", "\n" + ",\n".join([title, *names]) + "\n", 1)
        return super().header()


def write_dependencies(app):
    """What ninja(1) has to know."""
    if not app.config.vfn_depfile:
        return
    documents = [pathlib.Path(app.env.doc2path(name)) for name in app.env.found_docs]
    sources = {*documents, *(path.parent for path in documents), *INCLUDE.glob("vfn/**/*"), *pathlib.Path(app.srcdir).glob("*/*.py"),
               *(pathlib.Path(app.srcdir, path) for paths in app.env.dependencies.values() for path in paths)}
    names = " ".join(sorted(str(path.resolve()).replace(" ", "\\ ") for path in sources))
    pathlib.Path(app.config.vfn_depfile).write_text(f"{app.config.vfn_target}: {names}\n", encoding="utf-8")


def empty_sections(app):
    """Pages of what there was before do not stay."""
    if app.builder.name == "man":
        for folder in pathlib.Path(app.outdir).glob("man[1-8]"):
            shutil.rmtree(folder)


def finish(app, exception):
    """A manual page per function, which refers to its header's."""
    if exception:
        return
    write_dependencies(app)
    if app.builder.name != "man":
        return
    for header in app.vfn_reference.pages():
        for item in header.items:
            if item.kind == "function" and OWN_NAMES.match(item.name):
                path = pathlib.Path(app.outdir, "man3", item.name + ".3")
                path.write_text(f".so man3/{manual_name(header.path)}.3\n", encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.vfn_reference = Reference(INCLUDE)
    app.add_directive("header", HeaderDirective)
    app.set_translator("man", ManualPage)
    app.add_config_value("vfn_depfile", "", "")
    app.add_config_value("vfn_target", "", "")
    app.connect("builder-inited", empty_sections)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
