"""A list as a text: one prefix on each line, comments, and marks that editors write.

    \\ufeff# the office\\r\\n            a byte order mark; a comment; two ways to end a line
    203.0.113.0/24   # Vienna\\r\\n     white space around a prefix, and a comment behind it
    192.0.2.0/24 ; SBL1              `;` and `//` begin a comment at the start of a line or behind white space

Only "\\n" and "\\r\\n" end a line.  Python's own `splitlines` also breaks lines
at form feeds and U+2028, and would make two entries of one.

No entry hides in a comment.  Where "\\r" alone ends the lines, the first comment
would hide all of the file; and `10.0.0.1 ; 10.0.0.2` are probably two entries.
Such a line is given as it is, with its comment, for the prefix room to refuse.
Behind `#` anything may stand.

The prefix room checks whether a line is a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..errors import InvalidPrefix
from .address import is_address

__all__ = ["frozen_text", "numbered_prefixes", "without_mark"]

_MARK = "\ufeff"
_COMMENT = re.compile(r"#|(?:^|(?<=[ \t]))(?:;|//)")
_ADDRESS = re.compile(r"\s*([0-9A-Fa-f:.]+)")

_List = TypeVar("_List")


def without_mark(text: str) -> str:
    """Take off the byte order mark that some editors write."""
    return text.removeprefix(_MARK)


def numbered_prefixes(text: str) -> Iterator[tuple[int, str]]:
    """Yield each prefix as it is written, with the number of its line; the first line is 1."""
    if ";" in text or "//" in text or ("\r" in text and _has_lone_returns(text)):
        yield from _with_other_marks(text)
    elif any(mark in text for mark in "#\r \t"):
        for line, content in enumerate(text.split("\n"), 1):
            prefix = content.removesuffix("\r").partition("#")[0].strip(" \t")
            if prefix:
                yield line, prefix
    else:
        for line, prefix in enumerate(text.split("\n"), 1):
            if prefix:
                yield line, prefix


def _has_lone_returns(text: str) -> bool:
    return text.count("\r") > text.count("\r\n") + text.endswith("\r")


def _with_other_marks(text: str) -> Iterator[tuple[int, str]]:
    """Do the same for a text that has marks which few texts have."""
    for line, content in enumerate(text.split("\n"), 1):
        written = content.removesuffix("\r")
        comment = None if "\r" in written else _COMMENT.search(written)
        if comment is not None:
            prefix = written[: comment.start()].strip(" \t")
            hidden = prefix and comment[0] != "#" and _begins_with_address(written[comment.end() :])
            written = written if hidden else prefix
        if prefix := written.strip(" \t"):
            yield line, prefix


def _begins_with_address(text: str) -> bool:
    begins = _ADDRESS.match(text)
    return begins is not None and is_address(begins[1])


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
