"""The docstrings of the compiled core, written into its stubs, where editors read them.

    $ python tools/stubs.py

An editor shows what stands in the `.pyi` and never looks at the compiled
module.  So each class, function, method and property of a stub has the
docstring of what it stands for; of overloads the first one has it.  They are
written by this program and never by hand: the source is the `.pyx`.

    def contains(self, address, /) -> bool: ...       before
    def contains(self, address, /) -> bool:           after
        \"\"\"Tell whether an address is in the list ...\"\"\"
"""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import cidrmatch

PACKAGE = Path(cidrmatch.__file__).parent

Node: TypeAlias = ast.ClassDef | ast.FunctionDef


def main() -> None:
    """Rewrite every stub that says something else than its module."""
    for stub in sorted(PACKAGE.rglob("*.pyi")):
        text = stub.read_text(encoding="utf-8")
        written = with_docstrings(text, documented(stub, text))
        if written != text:
            stub.write_text(written, encoding="utf-8")
            print(stub.name)


def documented(stub: Path, text: str) -> list[tuple[Node, str | None]]:
    """Pair each class and function of a stub with the docstring that it has to have."""
    module = importlib.import_module(f"cidrmatch.{stub.parent.name}.{stub.stem}")
    return list(_pairs(ast.parse(text), module))


def _pairs(parent: ast.Module | ast.ClassDef, thing: object) -> Iterator[tuple[Node, str | None]]:
    named: set[str] = set()
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        found = getattr(thing, node.name, None)
        yield node, _docstring(thing, node.name) if node.name not in named else None
        named.add(node.name)
        if isinstance(node, ast.ClassDef) and found is not None:
            yield from _pairs(node, found)


def _docstring(owner: object, name: str) -> str | None:
    """Give the docstring of an attribute, if it is our own."""
    if name.startswith("__"):
        return None
    if isinstance(owner, type):
        homes = [home for home in owner.__mro__ if name in vars(home)]
        if not homes or not homes[0].__module__.startswith("cidrmatch"):
            return None
    found = getattr(owner, name, None)
    return None if found is None or not found.__doc__ else inspect.cleandoc(found.__doc__)


def with_docstrings(text: str, pairs: list[tuple[Node, str | None]]) -> str:
    """Write the docstrings into the text of a stub, from the last to the first."""
    lines = text.split("\n")
    for node, docstring in sorted(pairs, key=_place, reverse=True):
        first = node.body[0]
        is_docstring = ast.get_docstring(node, clean=False) is not None
        if is_docstring:
            assert first.end_lineno is not None
            del lines[first.lineno - 1 : first.end_lineno]
            at = first.lineno - 1
            if len(node.body) == 1 and docstring is None:
                lines[at - 1] += " ..."
        elif docstring is not None and isinstance(first, ast.Expr) and len(node.body) == 1:  # the body is "..."
            lines[first.lineno - 1] = lines[first.lineno - 1].removesuffix(" ...")
            at = first.lineno
        else:
            at = _first_line(first) - 1
        if docstring is not None:
            lines[at:at] = _written(docstring, " " * (node.col_offset + 4))
    return "\n".join(lines)


def _place(pair: tuple[Node, str | None]) -> tuple[int, int]:
    """Where a docstring goes: the line, and how deep, because a class and its first method may share one."""
    node, _ = pair
    return _first_line(node.body[0]), node.col_offset


def _first_line(node: ast.stmt) -> int:
    """The line where a statement begins, with its decorators."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _written(docstring: str, indent: str) -> list[str]:
    """Write a docstring as source text."""
    escaped = docstring.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    end = "\n" if "\n" in docstring else ""
    quoted = textwrap.indent(f'"""{escaped}{end}"""', indent)
    return quoted.split("\n")


if __name__ == "__main__":
    main()
