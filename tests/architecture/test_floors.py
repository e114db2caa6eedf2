"""The floors: each uses only floors below it, no two rooms use each other, and no private name crosses a wall.

    __main__   10   the console script
    service     9   what needs a server, a database or a page
    cli         8   the command
    __init__    7   the public names
    gateways    6   requests in this process
    files       5   text             advice   5   for people
    engine      4   changes
    policy      3   rules
    _keys       2   keys             client   2   who asks
    _core       1   matching
    errors      0

Files are read, not imported, so an import inside a function counts, and so does one that only a type checker follows.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.reading import PACKAGE, edges, floor_of, named_by, room_of, rooms, sources
from tests.architecture.table import BEGIN, END, PAGE, table

HEIGHT = {
    "errors": 0, "version": 0, "cidrmatch.h": 0,
    "_core": 1,
    "_keys": 2, "client": 2,
    "policy": 3,
    "engine": 4,
    "files": 5, "advice": 5,
    "gateways": 6,
    "__init__": 7,
    "cli": 8,
    "service": 9,
    "__main__": 10,
}  # fmt: skip

NEVER = (
    ("_core", "_keys"),
    ("_keys", "policy"),
    ("_keys", "engine"),
    ("client", "_keys"),
    ("gateways", "service"),
    ("service/usage", "service/stores"),
    ("", "service/console"),
)
"""A room below the first name never names one below the second; "" is everything outside the second."""

LONGEST = 700
"""Lines of a file; a longer one says in its essay why it is one file, with these words."""
LONG_WORDS = "This file is long because"


GATES = ("_core", "_keys")
"""Compiled floors: their `__init__` names what Python above may use."""


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def is_below(room: str, folder: str) -> bool:
    return room == folder or room.startswith(folder + "/")


def test_every_room_has_a_floor() -> None:
    assert {floor_of(room) for room in rooms()} <= set(HEIGHT)
    assert len(rooms()) > 40


def test_no_room_names_a_room_of_a_higher_floor_or_of_another_at_the_same_height() -> None:
    upward = {
        (room, other)
        for room, others in edges().items()
        for other in others
        if floor_of(room) != floor_of(other) and HEIGHT[floor_of(room)] <= HEIGHT[floor_of(other)]
    }
    assert upward == set()


@pytest.mark.parametrize(("room", "never"), NEVER)
def test_what_must_never_be_named_is_not(room: str, never: str) -> None:
    found = [
        (one, other)
        for one, others in edges().items()
        if (is_below(one, room) if room else not is_below(one, never))
        for other in others
        if is_below(other, never)
    ]
    assert found == []


def others_of(room: str) -> Iterator[str]:
    return iter(sorted(edges()[room]))


def circles() -> Iterator[list[str]]:
    """Yield circles of rooms that name each other, by a walk in depth."""
    done: set[str] = set()
    for start in sorted(rooms()):
        stack = [(start, others_of(start))]
        way = [start]
        while stack and start not in done:
            room, left = stack[-1]
            other = next(left, None)
            if other is None:
                done.add(room)
                stack.pop()
                way.pop()
            elif other in way:
                yield [*way[way.index(other) :], other]
            elif other not in done:
                stack.append((other, others_of(other)))
                way.append(other)


def test_no_rooms_name_each_other_in_a_circle() -> None:
    assert list(circles()) == []


def private_names_from_elsewhere(path: Path) -> Iterator[str]:
    """Yield names with a leading underscore that a file takes from another room, or asks of what is not its own."""
    tree = ast.parse(text_of(path))
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_own(node)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            yield from (alias.name for alias in node.names if _is_private(alias.name))
        elif isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_own(node) and node.attr not in own:
            yield f".{node.attr}"


def _is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in ("_core", "_keys")


@pytest.mark.parametrize("path", [path for path in sources() if path.suffix == ".py"], ids=room_of)
def test_private_names_cross_no_wall(path: Path) -> None:
    standard = {".__replace__", "._exit", "._get_current_object"}  # public in spite of their names: Python, werkzeug
    assert sorted(set(private_names_from_elsewhere(path)) - standard) == []


@pytest.mark.parametrize("floor", GATES)
def test_python_above_enters_a_compiled_floor_by_its_gate_alone(floor: str) -> None:
    """Cython code above cimports rooms by their names; whatever is imported stands in `__init__`, with its reason."""
    above = [path for path in sources() if floor_of(room_of(path)) != floor and path.suffix in (".py", ".pyi", ".pyx")]
    past = [
        room_of(path)
        for path in above
        if re.search(rf"^\s*from [\w.]*\b{floor}\.[\w.]+ import", text_of(path), re.MULTILINE)
    ]
    assert past == []


@pytest.mark.parametrize("floor", GATES)
def test_a_gate_offers_nothing_that_nobody_above_asks_for(floor: str) -> None:
    offered = {
        alias.name
        for node in ast.walk(ast.parse(text_of(PACKAGE / floor / "__init__.py")))
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    asked = {
        name
        for path in sources()
        if floor_of(room_of(path)) != floor
        for names in re.findall(rf"from [\w.]*\b{floor} import (\([^)]*\)|[^\n]*)", text_of(path))
        for name in re.findall(r"\w+", re.sub(r"#.*", "", names))
    }
    assert offered - asked == set()


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_file_is_short_or_says_why_not(path: Path) -> None:
    text = text_of(path)
    assert text.count("\n") <= LONGEST or LONG_WORDS in text


def test_the_reader_sees_each_way_of_naming() -> None:
    """Each of these is there today; without one of them the tests above would look at nothing."""
    assert "_core/c/bits.h" in edges()["_keys/c/find.h"], "#include of another floor"
    assert "_core/c/bits.h" in edges()["_core/c/text.h"], "#include of a neighbour"
    assert "_core/c/bits.h" in edges()["_core/patricia"], "extern from"
    assert "_core/prefix" in edges()["_keys/check"], "cimport"
    assert "_keys/reasons" in edges()["_keys/check"], "import in a .pyx"
    assert "_core/address" in edges()["_keys/check"], "import in a .pyi"
    assert "policy/presets" in edges()["__init__"], "from a folder"
    assert "cli/app" in edges()["__main__"], "import in a function of a .py"
    assert next(named_by(PACKAGE / "__main__.py")) == "cli/app"


def test_the_table_of_rooms_is_the_one_that_the_files_make() -> None:
    """`python -m tests.architecture.table` writes it."""
    page = text_of(PAGE)
    assert BEGIN + table() + END in page
