# SPDX-License-Identifier: GPL-2.0-or-later
"""Where C code can be changed in a small way, such that a test should notice."""

import collections
import pathlib
import re

FLIPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
    "+ 1": "- 1", "- 1": "+ 1",
}

# Comments, strings and characters, and directives with their continuation lines: no code.
NO_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^[ \t]*#(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE)

# What says what happens, or is checked by the compiler.
TELLS = re.compile(r"\b(?:vfn_log\w*|log_\w+|trace_\w+|vfn_trace\w*|\w*assert\w*)\s*\(")
# What tells the reason of an error: its texts are not of interest, but that it happens is.
FAILS = re.compile(r"\b(?:vfn_fail|vfn_set_error)\s*\(")

# Only operators between operands, as clang-format writes them; not the arrow, a shift, or the stars of a pointer.
OPERATOR = re.compile(r"(?<=[ ])(?:<=|>=|==|!=|&&|\|\||<|>|[+-] 1\b(?!\.))(?=[ \n;,)\]]|$)", re.MULTILINE)
# A number that something is compared with, or that a loop begins with.
NUMBER = re.compile(r"(?: (?:[<>]=?|[=!]=) |\bfor \([\w ]+ = )(0x[0-9a-fA-F]+|\d+)([uUlL]*)\b")

# A statement that is no declaration, at the start of a line: a call, an assignment, a jump.
STATEMENT = re.compile(r"^[ \t]*((?:return|break|continue|goto)\b|"
                       r"(?:\(void\))?[*(+-]*\w+\)*(?:->|\.\w|\[|\(|\+\+|--|;| (?:[-+*/%&|^]|<<|>>)?=(?!=)))",
                       re.MULTILINE)
# What is before a statement.
BEFORE = re.compile(r"(?:[;{})]|\belse|\bdo|\b(?:case [^\n?]*|default|\n\w+):)\s*\Z")

Place = collections.namedtuple("Place", "file line start end new was shown deleted first last")


def blanked(text, match):
    """The text with what was matched in blanks, and its lines as they are."""
    return text[:match[0]] + re.sub(r"[^\n]", " ", text[match[0]:match[1]]) + text[match[1]:]


def closing(code, start):
    """Where the parenthesis that opens before start is closed: the position behind it."""
    depth = 1
    for position in range(start, len(code)):
        depth += (code[position] in "({[") - (code[position] in ")}]")
        if not depth:
            return position + 1
    return len(code)


def code_of(text):
    """The text with blanks for everything that is not code."""
    for match in NO_CODE.finditer(text):
        text = blanked(text, match.span())
    return text


def end_of_statement(code, start):
    """The position behind the semicolon that ends the statement that starts there, or None."""
    depth = 0
    for position in range(start, len(code)):
        depth += (code[position] in "({[") - (code[position] in ")}]")
        if depth < 0:
            return None
        if not depth and code[position] == ";":
            return position + 1
    return None


def extent(code, start, end):
    """From the end of the last statement before to the end of this one: positions."""
    # the parts of a "for" are one
    head = code.rfind("for (", 0, start)
    if head >= 0 and closing(code, head + 5) > start:
        start, end = head, closing(code, head + 5)
    first = max(code.rfind(mark, 0, start) for mark in ";{}") + 1
    first += len(code[first:start]) - len(code[first:start].lstrip())
    ends = [position for position in (code.find(mark, end - 1) for mark in ";{") if position >= 0]
    return first, min(ends, default=end)


def one_line(text):
    """A piece of code in one line."""
    return re.sub(r"\s+", " ", text).strip()


def find(file, text):
    """All places of a file, in their order."""
    code = code_of(text)
    for match in list(TELLS.finditer(code)):
        code = blanked(code, (match.start(), closing(code, match.end())))
    statements = code
    for match in list(FAILS.finditer(code)):
        code = blanked(code, (match.end(), closing(code, match.end()) - 1))

    found = []

    def add(start, end, new, whole):
        line_start = text.rfind("\n", 0, start) + 1
        line_end = text.find("\n", end)
        if whole:
            was, shown = one_line(text[start:end]), "(deleted)"
        else:
            was = one_line(text[line_start:line_end])
            shown = one_line(text[line_start:start] + new + text[end:line_end])
        first, last = extent(statements, start, end)
        found.append(Place(file, text.count("\n", 0, start) + 1, start, end, new, was, shown, whole,
                           text.count("\n", 0, first) + 1, text.count("\n", 0, last) + 1))

    for match in OPERATOR.finditer(code):
        add(match.start(), match.end(), FLIPS[match[0]], False)
    for match in NUMBER.finditer(code):
        number = int(match[1], 0) + 1
        add(match.start(1), match.end(1), hex(number) if match[1].startswith("0x") else str(number), False)
    for match in STATEMENT.finditer(statements):
        start = match.start(1)
        end = end_of_statement(statements, start)
        if end and BEFORE.search(statements[:start]):
            lines = "\n" * text.count("\n", start, end)
            add(start, end, "(void)0;" + lines, True)

    return sorted(found, key=lambda place: (place.start, place.end, place.new))


def find_all(root, folders):
    """All places of the C files below folders of a source tree."""
    places = []
    for folder in folders:
        for path in sorted(pathlib.Path(root, folder).rglob("*.[ch]")):
            places += find(str(path.relative_to(root)), path.read_text(encoding="utf-8"))
    return places


def mutated(text, place):
    """The text of a file with one place of it changed."""
    return text[:place.start] + place.new + text[place.end:]
