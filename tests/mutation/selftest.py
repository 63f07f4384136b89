#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the mutation check itself: where it finds something to change, and what it says of a library of a few lines."""

import contextlib
import io
import pathlib
import sys
import tempfile
import textwrap
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position,missing-function-docstring
import mutants
import places

LIBRARY = """\
    int limit(int n);
    int silent(int n);
    int unused(int n);
    int endless(int n);

    int limit(int n)
    {
    	return n < 8 ? n : -1;
    }

    int silent(int n)
    {
    	if (n > 8)
    		return 0;
    	return n == 3;
    }

    int unused(int n)
    {
    	return n != 4;
    }

    int endless(int n)
    {
    	while (n)
    		n--;
    	return n;
    }
"""

TREE = {
    "meson.build": """\
        project('tiny', 'c')
        test('limit', executable('limit', 'src/limit.c', 'test.c'))
    """,
    "src/limit.c": LIBRARY,
    "test.c": """\
        int limit(int n);
        int silent(int n);
        int endless(int n);

        int main(void)
        {
        	silent(2);
        	return limit(8) != -1 || limit(7) != 7 || endless(3);
        }
    """,
    "tests/mutation/explained": """\
        # a remark
        src/limit.c
        - return n < 8 ? n : -1;
        + return n <= 8 ? n : -1;
        an example of a reason
    """,
}


def found(code):
    """What is found in the body of a function: as it was, and as it is."""
    text = "int f(void)\n{\n" + textwrap.dedent(code) + "}\n"
    return [(place.was, place.shown) for place in places.find("f.c", text)]


def written(folder, tree):
    for name, text in tree.items():
        path = pathlib.Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def run(folder, **environment):
    """Run the check on a tree: its exit status and its output."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), mock.patch.multiple(mutants, COMMON=[], STAGES=mutants.STAGES[:1], CPU_LEAST=0.1), \
            mock.patch.dict("os.environ", environment | {"MUTANTS_JOBS": "1"}), \
            mock.patch("sys.argv", ["mutants", "--source", folder, "--build", f"{folder}/build"]):
        status = mutants.main()
    return status, output.getvalue()


class Places(unittest.TestCase):
    """Where something can be changed."""

    def test_comparison_is_flipped_and_its_number_moved(self):
        self.assertEqual(found("\tif (a <= 7)\n\t\treturn 1;\n"), [
            ("if (a <= 7)", "if (a < 7)"), ("if (a <= 7)", "if (a <= 8)"), ("return 1;", "(deleted)")])

    def test_boundary_is_flipped(self):
        self.assertEqual(found("\tint a = b + 1, c = b - 1, d = b + 10;\n"), [
            ("int a = b + 1, c = b - 1, d = b + 10;", "int a = b - 1, c = b - 1, d = b + 10;"),
            ("int a = b + 1, c = b - 1, d = b + 10;", "int a = b + 1, c = b + 1, d = b + 10;")])

    def test_statement_of_two_lines_is_deleted_as_one(self):
        text = "void f(void)\n{\n\tf(a,\n\t  b);\n\tg();\n}\n"
        place = places.find("f.c", text)[0]
        self.assertEqual((place.was, place.line), ("f(a, b);", 3))
        self.assertEqual(places.mutated(text, place), "void f(void)\n{\n\t(void)0;\n\n\tg();\n}\n")

    def test_what_is_no_code_is_left_alone(self):
        self.assertEqual(found('\t/* a < b; */\n#define X(a) \\\n\t((a) > 1)\n\tchar *s = " && ";\n\tint *p = a->b;\n'), [])

    def test_texts_and_assertions_are_left_alone(self):
        self.assertEqual(found('\tlog_debug("x", a < b);\n\tassert(a == b);\n\ttrace_guard(X) {\n\t}\n'), [])

    def test_reason_of_an_error_is_left_alone_but_not_that_it_is_one(self):
        self.assertEqual([shown for _, shown in found('\treturn vfn_fail(EINVAL, "x", a + 1);\n')], ["(deleted)"])

    def test_declaration_is_not_deleted(self):
        self.assertEqual(found("\tstruct a *b = c;\n\tuint64_t d;\n\tint (*e)(int);\n"), [])

    def test_loop_reaches_over_its_head(self):
        text = "void f(void)\n{\n\tfor (int i = 0; i < n;\n\t     i++)\n\t\tg();\n}\n"
        self.assertIn((3, 5), [(place.first, place.last) for place in places.find("f.c", text)])


class Run(unittest.TestCase):
    """What is said of a small tree."""

    def test_each_mutant_has_its_end(self):
        with tempfile.TemporaryDirectory() as folder:
            written(folder, TREE)
            status, output = run(folder, MUTANTS_AT="src/limit.c")
            self.assertIn("killed: src/limit.c:8: return n < 8 ? n : -1; -> return n < 9 ? n : -1; (limit, plain)", output)
            self.assertIn("explained: src/limit.c:8: return n < 8 ? n : -1; -> return n <= 8 ? n : -1;", output)
            self.assertIn("survived: src/limit.c:15: return n == 3; -> return n != 3; (1 tests)", output)
            self.assertIn("survived: src/limit.c:20: return n != 4; -> return n == 4; (no test executes it)", output)
            self.assertIn("does not compile: src/limit.c:8: return n < 8 ? n : -1; -> (deleted)", output)
            self.assertIn("killed: src/limit.c:26: n--; -> (deleted) (limit, plain)", output)
            self.assertEqual(status, 1)

    def test_entry_that_fits_nothing_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            written(folder, TREE | {"tests/mutation/explained": "src/limit.c\n- return n < 7;\n+ return n <= 7;\nno more\n"})
            with self.assertRaises(SystemExit):
                run(folder)

    def test_sample_follows_from_its_seed(self):
        all_places = places.find("limit.c", textwrap.dedent(LIBRARY))
        self.assertEqual(mutants.sample(all_places, "1"), mutants.sample(all_places, "1"))
        self.assertNotEqual(mutants.sample(all_places, "1"), mutants.sample(all_places, "2"))
        self.assertEqual(sorted(mutants.sample(all_places, "1")), sorted(all_places))


if __name__ == "__main__":
    unittest.main()
