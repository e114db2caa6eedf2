"""Observed addresses as programs print them: one a line, perhaps with how often it came.

    203.0.113.4              one request
         12 203.0.113.6      twelve, as `sort | uniq -c` prints it
    192.0.2.250,3            three, as in CSV; a first line `address,count` is passed over
    2001:db8::/64   # lab    a prefix stands for its addresses; a comment

An address may stand on several lines; its requests are added up.  Nothing is guessed and nothing is passed over: each
line that has no address, or another count, is a problem with its line.

Cost: two microseconds a line; the whole file is in memory.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from .._core import Prefix
from ..errors import InvalidPrefix, quote
from .documents import DocumentError, name_of, place_in, read_text

__all__ = ["ObservedFileError", "read_observed"]

_LINE: Final = re.compile(r"(?:([0-9]+)[ \t]+)?([^ \t,]+)(?:[ \t]*,[ \t]*([0-9]+))?")
_HEADERS: Final = ("address,count", "address,requests")
_MOST_DIGITS: Final = 18


class ObservedFileError(DocumentError):
    """Say which file of addresses cannot be used, at which places, and why.

    Attributes:
        place: the first place that is wrong.
        reason: what is wrong there.
        problems: every place and its reason; empty if the file could not be read at all.
    """

    def __init__(self, place: str, reason: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(place, reason)
        self.problems = problems


def read_observed(source: str | Path) -> dict[Prefix, int]:
    """Read observed addresses and their requests.

    Args:
        source: a path, or `"-"` for standard input.
    Returns:
        For each address or prefix, its requests; in the order of the file.
    Raises:
        ObservedFileError: it cannot be read, or some lines are no address with or without a count.
    """
    name = name_of(source)
    try:
        text = read_text(source)
    except DocumentError as error:
        raise ObservedFileError(error.place, error.reason) from error
    found: dict[Prefix, int] = {}
    problems: list[tuple[str, str]] = []
    for number, content in enumerate(text.split("\n"), 1):
        line = content.partition("#")[0].strip(" \t\r")
        if not line or (number == 1 and line in _HEADERS):
            continue
        try:
            prefix, count = _parse_line(line)
        except ValueError as error:
            problems.append((place_in(name, number), str(error)))
        else:
            found[prefix] = found.get(prefix, 0) + count
    if problems:
        raise ObservedFileError(*problems[0], tuple(problems))
    return found


def _parse_line(line: str) -> tuple[Prefix, int]:
    """Parse the content of a line, or raise ValueError with the reason."""
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise ValueError(f"{quote(line)} is no address, no count and address, and no address, comma and count")
    before, text, behind = matched.groups()
    if before is not None and behind is not None:
        raise ValueError(f"{quote(line)} has two counts, one before the address and one behind it")
    digits = before or behind or "1"
    if len(digits) > _MOST_DIGITS or int(digits) == 0:
        raise ValueError(f"the count of {quote(line)} is not from 1 to 10**18 - 1")
    try:
        return Prefix(text), int(digits)
    except InvalidPrefix as error:
        raise ValueError(str(error)) from None
