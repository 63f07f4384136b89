# SPDX-License-Identifier: GPL-2.0-or-later
"""What a public header declares, and what its comments say of it: kernel-doc where there is some, plain text else."""

import dataclasses
import re

# Branches that are for sparse, C++ or the library's own tests; the other one is what C programs see.
NOT_FOR_C_PROGRAMS = {"__CHECKER__", "__cplusplus", "VFN_MMIO_HOOK"}

# Words that say how a declaration is compiled, not what it is.
NOISE = re.compile(r"\b(?:VFN_INLINE|VFN_OWN_LINES|extern|__vfn_nocast|__bitwise)\b\s*")


@dataclasses.dataclass
class Comment:
    """A comment in kernel-doc's form."""
    names: list[str]
    summary: str
    parameters: dict[str, str]
    text: str
    returns: str


@dataclasses.dataclass
class Item:
    """A declaration, or (kind "text") a comment that stands alone."""
    kind: str
    name: str
    code: str
    comment: "Comment | str | None"
    value: str  # of a macro that is a constant
    apart: bool  # it has a comment, or an empty line is before it

    @property
    def documented(self):
        """Whether it has a comment in kernel-doc's form."""
        return isinstance(self.comment, Comment)


def balanced(text, start):
    """Where the bracket that opens at start ends."""
    depth = 0
    for position in range(start, len(text)):
        depth += text[position] in "([{"
        depth -= text[position] in ")]}"
        if depth == 0:
            return position + 1
    raise ValueError("bracket without its match: " + text[start:start + 40])


def without_attributes(text):
    """Text without __attribute__((...))."""
    while match := re.search(r"\s*__attribute__\s*\(", text):
        text = text[:match.start()] + text[balanced(text, match.end() - 1):]
    return text


def split_arguments(text):
    """Split at the commas that are in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += character in "(["
        depth -= character in ")]"
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def parameters(prototype):
    """The names of a function's parameters."""
    opening = prototype.index("(")
    names = []
    for part in split_arguments(prototype[opening + 1:balanced(prototype, opening) - 1]):
        pointer = re.search(r"\(\*\s*(\w+)", part)
        names.append(pointer[1] if pointer else re.sub(r"(\[.*)", "", part).split()[-1].lstrip("*"))
    return [name for name in names if name not in ("void", "...")]


def returns_something(prototype):
    """Whether a function has a result."""
    return not re.match(r"void\s+\w+\s*\(", prototype)


def comment_text(source):
    """The lines between the marks of a comment, without the stars before them."""
    body = re.sub(r"^/\*+|\*+/$", "", source)
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in body.split("\n")]
    return "\n".join([lines[0].strip(), *lines[1:]]).strip("\n")


def kernel_doc(text):
    """Take a comment apart; None where it has not kernel-doc's form."""
    head = re.match(r"(?:(?:define|struct|union|enum|typedef)\s+)?(\w+(?:\(\))?(?:,\s+\w+(?:\(\))?)*) - (.*)", text, re.DOTALL)
    if not head:
        return None
    names = [name.strip().removesuffix("()") for name in head[1].split(",")]
    comment = Comment(names, "", {}, "", "")

    part, paragraphs = "summary", {"summary": [], "text": [], "returns": []}
    for line in head[2].split("\n"):
        described = re.match(r"@(\w+|\.\.\.):\s*(.*)", line)
        if described and part != "returns":
            part = "@" + described[1]
            comment.parameters[described[1]] = described[2]
        elif line.startswith("Return:"):
            part = "returns"
            paragraphs[part].append(line.removeprefix("Return:").strip())
        elif part == "returns":
            paragraphs[part].append(line)
        elif not line.strip():
            part = "text"
            paragraphs[part].append("")
        elif part.startswith("@"):
            comment.parameters[part[1:]] += "\n" + line.strip()
        else:
            paragraphs[part].append(line)

    comment.summary = " ".join(paragraphs["summary"])
    comment.text = "\n".join(paragraphs["text"]).strip("\n")
    comment.returns = "\n".join(paragraphs["returns"]).strip("\n")
    return comment


class Header:
    """A public header: self.path as programs include it, self.about its first comment, self.items in its order."""

    def __init__(self, path, text):
        self.path = path
        self.about = ""
        self.includes = []
        self.items = []
        self.text = text
        # brackets in comments and strings are none
        self.code = re.sub(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])+'", lambda match: re.sub(r"[^\n]", " ", match[0]),
                           text, flags=re.DOTALL)
        self.position = 0
        self.conditions = []
        self.pending = None
        self.gap = False
        self.parse()

    def parse(self):
        """Walk through the text: comments, directives, declarations."""
        while self.position < len(self.text):
            if match := re.compile(r"\s+").match(self.text, self.position):
                # an empty line parts a comment from what follows it
                if match[0].count("\n") > 1:
                    self.flush()
                    self.gap = True
                self.position = match.end()
            elif self.text.startswith("/*", self.position):
                self.take_comment()
            elif self.text[self.position] == "#":
                self.take_directive()
            else:
                self.take_declaration()
        self.flush()

    def flush(self):
        """A comment that belongs to no declaration is text."""
        if self.pending is not None:
            text, self.pending = self.pending, None
            self.add("text", "", "", text)

    def skipping(self):
        """Whether this branch is not for C programs."""
        return any(self.conditions)

    def add(self, kind, name, code, comment, value=""):
        """Add an item, unless it is a helper of others or another branch has declared it already."""
        if self.skipping() or name.startswith("__vfn_"):
            return
        for item in self.items:
            if name and name == item.name:
                # a constant that depends on something
                item.value = value if value == item.value else ""
                return
        if isinstance(comment, str):
            comment = kernel_doc(comment) or comment
        # one comment may be for several functions
        last = self.items[-1] if self.items else None
        if comment is None and last and last.documented and name in last.comment.names:
            comment = last.comment
        self.items.append(Item(kind, name, code, comment, value, comment is not None or self.gap))
        self.gap = False

    def take_comment(self):
        """A comment: of the file, or pending until it is known what follows."""
        end = self.text.index("*/", self.position) + 2
        text = comment_text(self.text[self.position:end])
        self.position = end
        if "SPDX-License-Identifier" in text:
            return
        if not self.about:
            self.about = text
            return
        self.flush()
        self.pending = text

    def take_directive(self):
        """A line of the preprocessor with its continuations."""
        match = re.compile(r"#(?:[^\n]*\\\n)*[^\n]*").match(self.text, self.position)
        self.position = match.end()
        word, _, rest = re.sub(r"/\*.*?\*/", "", match[0][1:]).strip().partition(" ")
        if word in ("if", "ifdef", "ifndef"):
            self.conditions.append(word == "ifdef" and rest.strip() in NOT_FOR_C_PROGRAMS)
        elif word in ("else", "elif"):
            self.conditions[-1] = False
        elif word == "endif":
            self.conditions.pop()
        elif word == "include":
            self.includes.append(rest.strip('<>" '))
            self.pending = None
        elif word == "define":
            self.take_macro(rest)
        # a condition around a declaration does not part it from its comment
        if word not in ("define", "if", "ifdef", "ifndef"):
            self.flush()

    def take_macro(self, definition):
        """A macro, but for guards and helpers of other macros."""
        name = re.match(r"\w+", definition)[0]
        guard = definition == name and name.endswith("_H")
        helper = re.match(r"__auto(ptr|var)_(name|cleanup)", name)
        if guard or helper:
            self.flush()
            return
        call = re.match(r"\w+\([^)]*\)", definition)
        value = re.fullmatch(r"\w+\s+(\(?[-\w<\s]+\)?|\"[^\"]*\")", definition)
        self.add("macro", name, call[0] if call else name, self.take_pending(), value[1] if value else "")

    def take_pending(self):
        """The comment right before a declaration."""
        comment, self.pending = self.pending, None
        return comment

    def take_declaration(self):
        """A declaration up to its semicolon, or a function's body."""
        if match := re.compile(r"(VFN_(BEGIN|END)_DECLS|DEFINE_AUTO\w+\([^)]*\)|__static_assert\([^;]*;)").match(
                self.text, self.position):
            self.position = match.end()
            self.flush()
            return
        start = end = self.position
        while self.code[end] != ";":
            end = balanced(self.code, end) if self.code[end] in "([{" else end + 1
            if self.code[end - 1] == "}" and re.search(r"\)\s*\{", self.code[start:end]) \
                    and "=" not in self.code[start:end].split("{")[0]:
                end -= 1
                break
        self.position = end + 1
        self.declare(self.text[start:end + 1].strip())

    def declare(self, code):
        """Tell what is declared."""
        comment = self.take_pending()
        plain = without_attributes(NOISE.sub("", code)).rstrip(";").strip()
        if match := re.match(r"(struct|union|enum)\s*(\w*)\s*\{", plain):
            self.add(match[1], match[2], code, comment)
        elif match := re.fullmatch(r"(struct|union|enum)\s+(\w+)", plain):
            if comment:
                self.add(match[1], match[2], code, comment)
        elif plain.startswith("typedef"):
            name = re.search(r"\(\*(\w+)\)|(\w+)$", plain)
            self.add("typedef", name[1] or name[2], " ".join(plain.split()).removeprefix("typedef "), comment)
        elif "(" not in (head := " ".join(re.split("[{=]", plain)[0].split())):
            self.add("variable", re.search(r"(\w+)(\[.*\])?$", head)[1], head, comment)
        else:
            self.add("function", re.search(r"(\w+)\s*\(", head)[1], head, comment)


def complaints(header):
    """What the comments of a header's functions lack or have too much of."""
    for item in header.items:
        if item.kind != "function":
            continue
        if not item.documented:
            yield f"{item.name}: no comment that describes it"
            continue
        said, declared = list(item.comment.parameters), parameters(item.code)
        if item.name not in item.comment.names:
            yield f"{item.name}: its comment is about {', '.join(item.comment.names)}"
        for name in declared:
            if name not in said:
                yield f"{item.name}: @{name} is not described"
        for name in said:
            if name not in declared and not (name == "..." and "..." in item.code):
                yield f"{item.name}: @{name} is described, but no parameter"
        if returns_something(item.code) and not item.comment.returns:
            yield f"{item.name}: no word on what it returns"
        if not returns_something(item.code) and item.comment.returns:
            yield f"{item.name}: returns nothing, its comment says something"


def read_all(include):
    """All headers below an include folder, by the path that programs include."""
    return {str(path.relative_to(include)): Header(str(path.relative_to(include)), path.read_text(encoding="utf-8"))
            for path in sorted(include.glob("vfn/**/*.h"))}
