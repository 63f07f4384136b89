#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that the reference is complete, and that it is read from the headers without loss.

usage: comments.py SOURCE INCLUDE[:INCLUDE]... COMPILER...

SOURCE is the source tree, INCLUDEs are the folders that have vfn/, COMPILER the C compiler's command.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(sys.argv[1]) if len(sys.argv) > 3 else sys.exit(__doc__.strip())
sys.path[:0] = [str(SOURCE / "docs/ext"), str(SOURCE / "tests/unit/headers"), str(SOURCE / "tests/unit")]

# pylint: disable=wrong-import-position
import headers
import symbols
from tap import run_tests, test

INCLUDE = SOURCE / "include"
HEADERS = headers.read_all(INCLUDE)

SAMPLE = """\
/* SPDX-License-Identifier: MIT */
/* About
 * the file. */
#ifndef SAMPLE_H
#define SAMPLE_H
#include <vfn/other.h>
VFN_BEGIN_DECLS

/* Stands alone. */

/* Of both. */
#define ONE 1
#define TWO (1 << 1)

#ifdef CONDITION
#define ONE_OR_TWO 1
#else
#define ONE_OR_TWO 2
#endif

#define CALL(a, b) \\
	((a) + (b))
#ifdef __cplusplus
#define __HIDDEN 1
int hidden(void);
#else
typedef int (*shown)(void *);
#endif

/**
 * struct thing - a thing
 * @a: first, continued
 *	here
 * @b: second
 */
struct thing {
	int a; /* { */
	struct {
		int c;
	} b;
};

enum { A = 1 << 0, B };

/**
 * get, put - do it
 * @p: what
 * @fn: how, see put()
 *
 * Text with @p.
 *
 * More.
 *
 * Return: 0, or
 * -1: an error.
 */
int get(const struct thing *p, int (*fn)(int a, void *b)) __attribute__((nonnull(1, 2)));
VFN_INLINE int put(const struct thing p[2], int (*fn)(int a, void *b))
{
	if (p)
		return '}' == fn(1, (void *)p) ? 0 : -1;
}

/**
 * nothing - not much
 */
void nothing(void);

extern struct thing things[4];
VFN_END_DECLS
#endif
"""

COMPLAINTS = {
    "int f(int a);": "no comment",
    "/** f - x */ int f(void);": "what it returns",
    "/**\n * f - x\n * @a: y\n */\nvoid f(int a, int b);": "@b is not described",
    "/**\n * f - x\n * @a: y\n */\nvoid f(void);": "@a is described",
    "/**\n * g - x\n */\nvoid f(void);": "is about g",
    "/**\n * f - x\n *\n * Return: y\n */\nvoid f(void);": "returns nothing",
}


@test
def every_function_is_described_with_all_parameters_and_result():
    wrong = [f"{header.path}: {complaint}" for header in HEADERS.values() for complaint in headers.complaints(header)]
    assert not wrong, "\n".join(wrong)


@test
def every_function_and_variable_is_found():
    found = {item.name for header in HEADERS.values() for item in header.items
             if item.kind in ("function", "variable") and not item.code.startswith("static")}
    declared = symbols.declared(symbols.own_text(sys.argv[2].split(":"), sys.argv[3:]))
    # those of a header that the build makes
    declared = {name for name in declared if not name.startswith("TRACE_")}
    assert found == declared, " ".join(sorted(found ^ declared))


@test
def every_header_has_a_page_and_every_page_a_header():
    pages = {f"vfn/{page.relative_to(SOURCE / 'docs/reference').with_suffix('.h')}": page.read_text(encoding="utf-8")
             for page in (SOURCE / "docs/reference").glob("**/*.rst")}
    pages.pop("vfn/index.h", None)
    wanted = {path for path, header in HEADERS.items() if any(item.name for item in header.items)}
    assert pages.keys() == wanted, "docs/reference: " + " ".join(sorted(pages.keys() ^ wanted))
    for path, text in pages.items():
        assert f".. header:: {path}\n" in text, f"the page of {path} is about something else"


@test
def a_header_is_read_without_loss():
    header = headers.Header("vfn/sample.h", SAMPLE)
    assert header.about == "About\nthe file." and header.includes == ["vfn/other.h"]
    items = {item.name: item for item in header.items}
    assert [item.kind for item in header.items] == [
        "text", "macro", "macro", "macro", "macro", "typedef", "struct", "enum", "function", "function", "function", "variable"]
    assert header.items[0].comment == "Stands alone."
    assert items["ONE"].comment == "Of both." and items["TWO"].value == "(1 << 1)" and not items["TWO"].apart
    assert not items["ONE_OR_TWO"].value
    assert items["CALL"].code == "CALL(a, b)" and items["CALL"].apart and not items["CALL"].value
    assert items["shown"].code == "int (*shown)(void *)"
    assert items["thing"].comment.parameters == {"a": "first, continued\nhere", "b": "second"}
    assert items["thing"].code.endswith("} b;\n};")
    assert items["get"].code == "int get(const struct thing *p, int (*fn)(int a, void *b))"
    assert items["put"].comment is items["get"].comment and headers.parameters(items["put"].code) == ["p", "fn"]
    assert items["get"].comment.summary == "do it" and items["get"].comment.text == "Text with @p.\n\nMore."
    assert items["get"].comment.returns == "0, or\n-1: an error."
    assert items["things"].code == "struct thing things[4]"
    assert not list(headers.complaints(header))


@test
def what_a_comment_lacks_is_named():
    for code, complaint in COMPLAINTS.items():
        found = list(headers.complaints(headers.Header("f.h", "/* About. */\n\n" + code)))
        assert len(found) == 1 and complaint in found[0], f"{code}: {found}"


if __name__ == "__main__":
    sys.exit(run_tests())
