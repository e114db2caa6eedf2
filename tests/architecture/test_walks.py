"""The walks of docs/design.md: each function is in its file, and no walk enters a room twice.

| file | function | what ... |      a table is one event: a call, and all that happens until it returns
| `_core/c/ask.h` | `ask_text` | ... |
"""

import re

import pytest

from tests.architecture.reading import PACKAGE
from tests.architecture.table import PAGE

_ROW = re.compile(r"^\| `([\w/]+\.\w+)` \| `(\w+)` \|", re.MULTILINE)


def walks() -> list[list[tuple[str, str]]]:
    """Read the tables of the section, each as pairs of file and function."""
    section = PAGE.read_text(encoding="utf-8").split("## Three walks", 1)[1].split("\n## ", 1)[0]
    return [_ROW.findall(table) for table in section.split("\n| file | function |")[1:]]


@pytest.mark.parametrize(("file", "function"), [step for walk in walks() for step in walk])
def test_each_step_is_a_function_of_its_file(file: str, function: str) -> None:
    text = (PACKAGE / file).read_text(encoding="utf-8")
    # Python and Cython: `def name(`, `cdef int name(`, `class Name`.  C: `... name(` behind a type.
    defined = rf"\bc?p?def [^(=\n]*\b{function}\(|\bclass {function}\b|^(?!return)\w[\w *]*\b\*?{function}\("
    assert re.search(defined, text, re.MULTILINE), f"{function} is not defined in {file}"


@pytest.mark.parametrize("walk", walks())
def test_no_walk_enters_a_room_twice(walk: list[tuple[str, str]]) -> None:
    files = [file for file, _ in walk]
    assert len(files) == len(set(files)) > 5


def test_there_are_three_walks_in_five_events() -> None:
    assert len(walks()) == 5
