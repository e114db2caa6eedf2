"""Names in backticks, and the names that there are.

    "`find_entry` asks the table"   in a comment, a docstring or a page     a name that must exist
    cdef Py_ssize_t find_entry(..)  in code                                 so it exists

A name that only comments speak of does not exist: comments and docstrings are taken out before names are collected.
"""

import builtins
import io
import keyword
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("src", "tests", "benchmarks", "tools", "examples")
NAMED = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)(?:\([^`\n]*\))?`(?!`)")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
C_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CYTHON_COMMENT = re.compile(r'""".*?"""|#[^\n]*', re.DOTALL)
SUFFIXES = (".py", ".pyi", ".pyx", ".pxd", ".h", ".c")


def files(*folders: str) -> Iterator[Path]:
    """Yield our source files below some folders of the project."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and "build" not in path.parts:
                yield path


def pages() -> list[Path]:
    """List the pages that speak of what there is now; decisions and the change log speak of their own day."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


def code_of(path: Path) -> str:
    """Give a file's text without comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".h", ".c"):
        return C_COMMENT.sub("", text)
    if path.suffix in (".pyx", ".pxd"):
        return CYTHON_COMMENT.sub("", text)
    return " ".join(_tokens(text))


def _tokens(text: str) -> Iterator[str]:
    """Yield names and strings of Python; a string that is a whole statement is a docstring."""
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_docstring = token.type == tokenize.STRING and before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if token.type in (tokenize.NAME, tokenize.STRING) and not is_docstring:
            yield token.string
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.type


@cache
def existing() -> frozenset[str]:
    """Collect every name that code has, ours, Python's and that of the standard library's modules."""
    found = set(dir(builtins)) | set(keyword.kwlist) | set(sys.stdlib_module_names)
    for path in files(*CODE):
        found.update(IDENTIFIER.findall(code_of(path)))
        found.update(IDENTIFIER.findall(path.relative_to(ROOT).as_posix()))
    for name in ("Makefile", "setup.py", "pyproject.toml", "MANIFEST.in", ".ci/run"):
        found.update(IDENTIFIER.findall((ROOT / name).read_text(encoding="utf-8")))
    for path in (ROOT / "examples").iterdir():
        found.update(IDENTIFIER.findall(path.name))
    return frozenset(found)


def named_in(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the names in backticks of a file, with their lines."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        for name in NAMED.findall(line):
            yield number, name
