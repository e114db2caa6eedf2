"""Read what each file of the package names: imports, cimports, headers.

    file                      rooms that it names                  how
    _keys/check.pyx     -->   _keys/store, _core/prefix, errors    from ... cimport, from ... import
    _keys/c/find.h      -->   _core/c/bits.h                       #include
    engine/engine.py    -->   policy/policy                        import, also inside a function or `if TYPE_CHECKING`

A room is a module without its ending: `check.pyx`, `check.pxd` and `check.pyi` are one.  A floor is a folder, or a
file beside the folders.  Nothing is imported to find this out.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "cidrmatch"
SUFFIXES = (".py", ".pyi", ".pyx", ".pxd", ".h")

_CIMPORT = re.compile(r"^\s*from (\.*[\w.]*) (?:c?import) ([^#\n]+)|^\s*c?import (cidrmatch[\w.]*)", re.MULTILINE)
_HEADER = re.compile(r'(?:extern from|#include) "([\w/]+\.h)"')


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Write a text into a page, in the place of what stands between two marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(before + begin + text + end + rest.partition(end)[2], encoding="utf-8")


def sources() -> list[Path]:
    """List every file of the package that can name another."""
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in SUFFIXES)


def room_of(path: Path) -> str:
    """Name a file's room: its path in the package without the ending; a header keeps it."""
    relative = path.relative_to(PACKAGE)
    if path.suffix == ".h":
        return relative.as_posix()
    return relative.with_suffix("").as_posix()


def floor_of(room: str) -> str:
    """Name the floor of a room: the first folder, or the room itself where it stands beside the folders."""
    return room.partition("/")[0]


@cache
def rooms() -> frozenset[str]:
    """Name all rooms."""
    return frozenset(map(room_of, sources()))


def named_by(path: Path) -> Iterator[str]:
    """Yield the rooms that a file names, each as often as it does."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".py", ".pyi"):
        yield from _named_in_python(path, text)
        return
    for header in _HEADER.findall(text):
        found = PACKAGE / header if "/" in header else path.with_name(header)
        if found.exists():  # else it is a header of the system
            yield room_of(found)
    if path.suffix == ".h":
        return
    for source, names, whole in _CIMPORT.findall(text):
        yield from _resolved(path, whole or source, [name.split()[0] for name in names.strip("( ").split(",") if name])


def _named_in_python(path: Path, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from _resolved(path, source, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _resolved(path, alias.name, [])


def _resolved(path: Path, source: str, names: list[str]) -> Iterator[str]:
    """Yield the rooms behind `from source import names`; those of other packages are none of ours."""
    if source.startswith("."):
        dots = len(source) - len(source.lstrip("."))
        folder = path.parents[dots - 1]
        where = "/".join([*folder.relative_to(PACKAGE).parts, *source.strip(".").split(".")]).strip("/")
    elif source.partition(".")[0] == "cidrmatch":
        where = source.removeprefix("cidrmatch").strip(".").replace(".", "/")
    else:
        return
    if where in rooms():
        yield where
        return
    for name in names:  # the source is a folder: a name is a room in it, or stands in its __init__
        inside = f"{where}/{name}".strip("/")
        yield inside if inside in rooms() else f"{where}/__init__".strip("/")


@cache
def edges() -> dict[str, frozenset[str]]:
    """Tell for each room which others it names."""
    found: dict[str, set[str]] = {room: set() for room in rooms()}
    for path in sources():
        room = room_of(path)
        found[room].update(other for other in named_by(path) if other != room)
    return {room: frozenset(others) for room, others in found.items()}
