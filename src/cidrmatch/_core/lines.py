"""A list as a text: one prefix on each line, comments, and marks that editors write.

    \\ufeff# the office\\r\\n            a byte order mark; a comment; two ways to end a line
    203.0.113.0/24   # Vienna\\r\\n     white space around a prefix, and a comment behind it

Only "\\n" and "\\r\\n" end a line.  Python's own `splitlines` also breaks lines
at form feeds and U+2028, and would make two entries of one.

The prefix room checks whether a line is a prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ..errors import InvalidPrefix

__all__ = ["frozen_text", "numbered_prefixes", "without_mark"]

_MARK = "\ufeff"

_List = TypeVar("_List")


def without_mark(text: str) -> str:
    """Take off the byte order mark that some editors write."""
    return text.removeprefix(_MARK)


def numbered_prefixes(text: str) -> Iterator[tuple[int, str]]:
    """Yield each prefix as it is written, with the number of its line; the first line is 1."""
    for line, content in enumerate(text.split("\n"), 1):
        prefix = content.removesuffix("\r").partition("#")[0].strip(" \t")
        if prefix:
            yield line, prefix


def frozen_text(kind: Callable[[list[str]], _List], text: object) -> _List:
    """Make a list of a whole text; an error names the line of the refused prefix."""
    if type(text) is not str:
        hint = "; decode it, or use from_lines" if isinstance(text, bytes) else ""
        raise TypeError(f"a text was expected, not {type(text).__name__}{hint}")
    lines, prefixes = [], []
    for line, prefix in numbered_prefixes(without_mark(text)):
        lines.append(line)
        prefixes.append(prefix)
    try:
        return kind(prefixes)
    except InvalidPrefix as error:
        at = 0 if error.index is None else error.index
        raise InvalidPrefix(
            error.text, error.position, error.code, error.reason, error.suggestion, at, lines[at]
        ) from None
