"""Lists as people keep them: a text, CSV, JSON or TOML file, or standard input.

    office.txt           office.csv         office.json                 office.toml
    # the office         prefix,label       ["203.0.113.5",             entries = [
    203.0.113.5          203.0.113.5,HQ      {"prefix": "10.0.0.0/8",     "203.0.113.5",
    10.0.0.0/8   # VPN   10.0.0.0/8,VPN       "label": "VPN"}]            { prefix = "10.0.0.0/8", label = "VPN" },
                                                                        ]
    office.txt:2         office.csv:2       office.json:[0]             office.toml:entries[0]

The last row is the *place* of "203.0.113.5" in each: the line or, in documents
whose parser tells no lines, the position.  A JSON document may also be an
object with the one key "entries", as in TOML.

What comes out are pairs of texts, (prefix, label), as they were written.
Whether a prefix is one is for the prefix room, and what a product takes is for
a policy; this room knows files only.

Two rules.  Nothing is guessed: the format is told by the suffix or by the
caller, never by the content.  Nothing is lost: an unknown column, a key that is
written twice, a row that is too long are errors, because each of them may be
an entry that somebody believes to be in force.

Cost: the whole file is in memory, some hundred bytes an entry.  TOML keys of very many parts (a.a.a ...)
are refused before they are parsed: the parser needs the square of their number, in time and in memory.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .._core.lines import numbered_prefixes, without_mark
from ..errors import CidrmatchError, brief, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["STDIN", "Format", "ListFile", "ListFileError", "read_list"]

STDIN = "-"
"""The source that means standard input."""


class Format(StrEnum):
    """How a list is written down."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    TOML = "toml"


_FORMATS = {".txt": Format.TEXT, ".csv": Format.CSV, ".json": Format.JSON, ".toml": Format.TOML}

_Mark: TypeAlias = int | str
"""Where an entry stands in its file: a line, or a path such as ``entries[3]``."""

_Item: TypeAlias = tuple[_Mark, str, str | None]
"""What a parser yields: mark, prefix, label."""


class ListFileError(CidrmatchError, ValueError):
    """Say that a file holds no list that could be read, where, and why.

    Attributes:
        place: the file, and the line or the position in it where that is known.
        reason: what is wrong, in words.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ListFile:
    """Hold the entries of one file in their order, and where each stands.

    Attributes:
        name: the file as it was named, or ``<stdin>``.
        entries: (prefix, label) as written; each is what `parse_entry` takes.
        marks: for each entry its line, or its position in the document.
    """

    name: str
    entries: tuple[tuple[str, str | None], ...]
    marks: tuple[_Mark, ...]

    def __repr__(self) -> str:
        return f"<ListFile {brief(self.name)} of {len(self.entries):,} entries>"

    def place(self, index: int) -> str:
        """Name the place of an entry: ``office.csv:17``."""
        return f"{self.name}:{self.marks[index]}"


def read_list(source: str | Path, file_format: Format | None = None) -> ListFile:
    """Read the entries of a list.

    Args:
        source: a path, or ``"-"`` for standard input.
        file_format: how it is written; by default as the suffix says, and text on standard input.
    Returns:
        `ListFile`; an empty list is a list.
    Raises:
        ListFileError: it cannot be read, or is not of that format or shape.
    Threads: safe, keeps no state.
    """
    name = "<stdin>" if source == STDIN else str(source)
    chosen = file_format or _format_of(source)
    text = _decode(name, _read_bytes(source, name))
    items = list(_PARSERS[chosen](name, text))
    return ListFile(name, tuple((prefix, label) for _, prefix, label in items), tuple(mark for mark, _, _ in items))


def _format_of(source: str | Path) -> Format:
    if source == STDIN:
        return Format.TEXT
    suffix = Path(source).suffix.lower()
    if suffix not in _FORMATS:
        raise ListFileError(str(source), f"the suffix tells no format; name one (--format): {', '.join(Format)}")
    return _FORMATS[suffix]


def _read_bytes(source: str | Path, name: str) -> bytes:
    if source == STDIN and sys.stdin is None:  # a process may be started without one
        raise ListFileError(name, "cannot be read: there is no standard input")
    try:
        return sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise ListFileError(name, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _decode(name: str, content: bytes) -> str:
    try:
        return without_mark(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ListFileError(f"{name}:{line}", f"is not UTF-8: byte 0x{content[error.start]:02x}") from error


# -- Text ---------------------------------------------------------------------


def _parse_text(_name: str, text: str) -> Iterator[_Item]:
    for line, prefix in numbered_prefixes(text):
        yield line, prefix, None


# -- CSV ----------------------------------------------------------------------


def _parse_csv(name: str, text: str) -> Iterator[_Item]:
    rows = _csv_rows(name, text)
    line, header = next(rows, (1, []))
    _check_header(f"{name}:{line}", header)
    for line, row in rows:
        if len(row) != len(header):
            raise ListFileError(
                f"{name}:{line}", f"the number of cells differs from the header's: {len(row)}, not {len(header)}"
            )
        cells = dict(zip(header, row, strict=True))
        yield line, cells["prefix"], cells.get("label") or None


def _csv_rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, with the line on which it begins."""
    rows = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise ListFileError(f"{name}:{line}", f"is not CSV: {error}") from error
        if row is None:
            return
        if row:
            yield line, row


def _check_header(place: str, header: list[str]) -> None:
    unknown = [column for column in header if column not in ("prefix", "label")]
    if unknown:
        raise ListFileError(place, f"unknown column {quote(unknown[0])}; the columns are prefix and label")
    if "prefix" not in header:
        raise ListFileError(place, "a header row with the column prefix, and perhaps label, was expected")
    if len(set(header)) < len(header):
        raise ListFileError(place, "a column is named twice")


# -- JSON and TOML ------------------------------------------------------------


def _parse_json(name: str, text: str) -> Iterator[_Item]:
    try:
        document: object = json.loads(text, object_pairs_hook=_check_unique)
    except json.JSONDecodeError as error:
        raise ListFileError(f"{name}:{error.lineno}", f"is not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # a key twice, a number or a nesting beyond all bounds
        raise ListFileError(name, f"is not JSON that can be read: {error}") from error
    if isinstance(document, list):
        return _parse_items(name, "", document)
    return _parse_document(name, document)


def _check_unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object; the parser by itself would keep the last of two equal keys and say nothing."""
    built: dict[str, object] = {}
    for key, value in pairs:
        if key in built:
            raise ValueError(f"the key {quote(key)} stands twice")
        built[key] = value
    return built


def _parse_toml(name: str, text: str) -> Iterator[_Item]:
    try:
        document = load_toml(text)
    except (ValueError, RecursionError) as error:
        raise ListFileError(name, f"is not TOML: {error}") from error
    return _parse_document(name, document)


_MOST_PARTS: Final = 64
"""A key has one to three parts in all that we read."""
_TOKEN: Final = re.compile(r"\"{3}|'{3}|[\"'#.=,\[\]{}\n]")
_ENDS: Final = {
    '"': re.compile(r'(?:\\.|[^"\\\n])*+"'),
    "'": re.compile(r"[^'\n]*+'"),
    '"""': re.compile(r'(?:\\.|(?!""")[^\\])*+"{3,5}', re.DOTALL),
    "'''": re.compile(r"(?:(?!''').)*+'{3,5}", re.DOTALL),
}


def load_toml(text: str) -> dict[str, Any]:
    """Parse TOML, and refuse what its parser would choke on.

    Raises:
        ValueError: it is no TOML, or a key has too many parts.
        RecursionError: it is nested too deep.
    """
    _check_parts(text)
    return tomllib.loads(text)


def _check_parts(text: str) -> None:
    """Count the dots between two marks, outside of strings and comments; what follows an error is not looked at."""
    at = dots = 0
    while token := _TOKEN.search(text, at):
        mark, at = token[0], token.end()
        if mark == ".":
            dots += 1
            if dots >= _MOST_PARTS:
                line = text.count("\n", 0, at) + 1
                raise ValueError(f"a key has more than {_MOST_PARTS} parts (at line {line})")
        elif mark in _ENDS:
            end = _ENDS[mark].match(text, at)
            if end is None:
                return
            at = end.end()
        elif mark == "#":
            at = text.find("\n", at)
            if at < 0:
                return
        else:
            dots = 0


def _parse_document(name: str, document: object) -> Iterator[_Item]:
    """Take a document with the one key "entries"."""
    if not isinstance(document, dict):
        raise ListFileError(name, f"a list of entries was expected, not {_noun(document)}")
    _check_keys(name, document, ["entries"])
    entries: object = document.get("entries")
    if not isinstance(entries, list):
        what = "is missing" if "entries" not in document else f"must be a list, not {_noun(entries)}"
        raise ListFileError(name, f"the key 'entries' {what}")
    return _parse_items(name, "entries", entries)


def _parse_items(name: str, path: str, items: Iterable[object]) -> Iterator[_Item]:
    for index, item in enumerate(items):
        mark = f"{path}[{index}]"
        prefix, label = _parse_item(f"{name}:{mark}", item)
        yield mark, prefix, label


def _parse_item(place: str, item: object) -> tuple[str, str | None]:
    """Take a text, or an object with "prefix" and perhaps "label"."""
    if isinstance(item, str):
        return item, None
    if not isinstance(item, dict):
        raise ListFileError(place, f"an entry is a text or an object with prefix and label, not {_noun(item)}")
    _check_keys(place, item, ["prefix", "label"])
    prefix, label = item.get("prefix"), item.get("label")
    if not isinstance(prefix, str):
        what = "is missing" if "prefix" not in item else f"must be a text, not {_noun(prefix)}"
        raise ListFileError(place, f"the key 'prefix' {what}")
    if label is not None and not isinstance(label, str):
        raise ListFileError(place, f"the key 'label' must be a text, not {_noun(label)}")
    return prefix, label


def _check_keys(place: str, found: Iterable[str], known: list[str]) -> None:
    unknown = [key for key in found if key not in known]
    if unknown:
        raise ListFileError(place, f"unknown key {quote(unknown[0])}; known: {', '.join(known)}")


_NOUNS = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def _noun(value: object) -> str:
    """Name the kind of a JSON or TOML value as its author would."""
    return _NOUNS.get(type(value), f"a value of type {type(value).__name__}")


_PARSERS = {Format.TEXT: _parse_text, Format.CSV: _parse_csv, Format.JSON: _parse_json, Format.TOML: _parse_toml}
