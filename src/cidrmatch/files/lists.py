"""Lists as people keep them: a text, CSV, JSON or TOML file, or standard input.

    office.txt           office.csv         office.json                 office.toml
    # the office         prefix,label       ["203.0.113.5",             entries = [
    203.0.113.5          203.0.113.5,HQ      {"prefix": "10.0.0.0/8",     "203.0.113.5",
    10.0.0.0/8   # VPN   10.0.0.0/8,VPN       "label": "VPN"}]            { prefix = "10.0.0.0/8", label = "VPN" },
                                                                        ]
    office.txt:2         office.csv:2       office.json:[0]             office.toml:entries[0]

The last row shows the *place* of "203.0.113.5" in each file.  The place is the line.  If the parser of a format gives
no lines, it is the position in the document.  A JSON document may also be an object with the one key "entries", as in
TOML.  Beside it "$schema" may stand, which editors read.

The result is pairs of texts, (prefix, label), as they were written.  `parse_entry` decides whether a text is a prefix.
A policy decides what a product accepts.  `documents` turns a file into text and plain values.

There are two rules.  Nothing is guessed: the suffix or the caller says the format, and the content never does.  Nothing
is lost: an unknown column, a key that is written twice and a row that is too long are errors.  Each of these might be
an entry that somebody believes to be in force.

Cost: the whole file is in memory, some hundred bytes an entry.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from .._core import numbered_prefixes
from ..errors import brief, quote
from .documents import STDIN, DocumentError, name_of, noun_of, parse_json, parse_toml, place_in, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Format", "ListFile", "ListFileError", "read_list"]


class Format(StrEnum):
    """The format of a file with a list."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    TOML = "toml"


_FORMATS = {".txt": Format.TEXT, ".csv": Format.CSV, ".json": Format.JSON, ".toml": Format.TOML}

_Mark: TypeAlias = int | str
"""The position of an entry in its file: a line, or a path such as ``entries[3]``."""

_Item: TypeAlias = tuple[_Mark, str, str | None]
"""What a parser yields: mark, prefix, label."""


class ListFileError(DocumentError):
    """Say which file holds no list that can be read, at which place, and why.

    Attributes:
        place: the file, and the line or the position in it if it is known.
        reason: what is wrong, in words.
    """


@dataclass(frozen=True, slots=True)
class ListFile:
    """Hold the entries of one file in their order, and the position of each.

    Attributes:
        name: the file as the user named it, or ``<stdin>``.
        entries: pairs (prefix, label) as written; `parse_entry` takes such a pair.
        marks: for each entry its line, or its position in the document.
    """

    name: str
    entries: tuple[tuple[str, str | None], ...]
    marks: tuple[_Mark, ...]

    def __repr__(self) -> str:
        return f"<ListFile {brief(self.name)} of {len(self.entries):,} entries>"

    def place(self, index: int) -> str:
        """Name the place of an entry: ``office.csv:17``."""
        return place_in(self.name, self.marks[index])


def read_list(source: str | Path, file_format: Format | None = None, *, content: bytes | None = None) -> ListFile:
    """Read the entries of a list.

    Args:
        source: a path, or ``"-"`` for standard input.
        file_format: the format; by default the suffix of the path says it, and standard input is text.
        content: the bytes of the list, if the caller has them already: then nothing is read, and the source is only
            their name, in messages and for the suffix.
    Returns:
        `ListFile`; it may have no entries.
    Raises:
        ListFileError: it cannot be read, or it does not have that format and shape.
    Threads: safe, keeps no state.
    """
    name = name_of(source)
    chosen = file_format or _format_of(source)
    try:
        text = read_text(source, content)
    except DocumentError as error:
        raise ListFileError(error.place, error.reason) from error
    items = list(_PARSERS[chosen](name, text))
    return ListFile(name, tuple((prefix, label) for _, prefix, label in items), tuple(mark for mark, _, _ in items))


def _format_of(source: str | Path) -> Format:
    if source == STDIN:
        return Format.TEXT
    suffix = Path(source).suffix.lower()
    if suffix not in _FORMATS:
        raise ListFileError(str(source), f"the suffix tells no format; name one (--format): {', '.join(Format)}")
    return _FORMATS[suffix]


# -- Text ---------------------------------------------------------------------


def _parse_text(_name: str, text: str) -> Iterator[_Item]:
    for line, prefix in numbered_prefixes(text):
        yield line, prefix, None


# -- CSV ----------------------------------------------------------------------


def _parse_csv(name: str, text: str) -> Iterator[_Item]:
    rows = _csv_rows(name, text)
    line, header = next(rows, (1, []))
    _check_header(place_in(name, line), header)
    for line, row in rows:
        if len(row) != len(header):
            raise ListFileError(
                place_in(name, line), f"the number of cells differs from the header's: {len(row)}, not {len(header)}"
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
            raise ListFileError(place_in(name, line), f"is not CSV: {error}") from error
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
        document = parse_json(text)
    except json.JSONDecodeError as error:
        raise ListFileError(place_in(name, error.lineno), f"is not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # a key twice, a number or a nesting beyond all bounds
        raise ListFileError(name, f"is not JSON that can be read: {error}") from error
    if isinstance(document, list):
        return _parse_items(name, "", document)
    return _parse_document(name, document)


def _parse_toml(name: str, text: str) -> Iterator[_Item]:
    try:
        document = parse_toml(text)
    except (ValueError, RecursionError) as error:
        raise ListFileError(name, f"is not TOML: {error}") from error
    return _parse_document(name, document)


def _parse_document(name: str, document: object) -> Iterator[_Item]:
    """Take a document with the one key "entries", and perhaps "$schema", which is for editors."""
    if not isinstance(document, dict):
        raise ListFileError(name, f"a list of entries was expected, not {noun_of(document)}")
    if not isinstance(document.pop("$schema", ""), str):
        raise ListFileError(name, "the key '$schema' must be a text")
    _check_keys(name, document, ["entries"])
    entries: object = document.get("entries")
    if not isinstance(entries, list):
        what = "is missing" if "entries" not in document else f"must be a list, not {noun_of(entries)}"
        raise ListFileError(name, f"the key 'entries' {what}")
    return _parse_items(name, "entries", entries)


def _parse_items(name: str, path: str, items: Iterable[object]) -> Iterator[_Item]:
    for index, item in enumerate(items):
        mark = f"{path}[{index}]"
        prefix, label = _parse_item(place_in(name, mark), item)
        yield mark, prefix, label


def _parse_item(place: str, item: object) -> tuple[str, str | None]:
    """Take a text, or an object with "prefix" and perhaps "label"."""
    if isinstance(item, str):
        return item, None
    if not isinstance(item, dict):
        raise ListFileError(place, f"an entry is a text or an object with prefix and label, not {noun_of(item)}")
    _check_keys(place, item, ["prefix", "label"])
    prefix, label = item.get("prefix"), item.get("label")
    if not isinstance(prefix, str):
        what = "is missing" if "prefix" not in item else f"must be a text, not {noun_of(prefix)}"
        raise ListFileError(place, f"the key 'prefix' {what}")
    if label is not None and not isinstance(label, str):
        raise ListFileError(place, f"the key 'label' must be a text, not {noun_of(label)}")
    return prefix, label


def _check_keys(place: str, found: Iterable[str], known: list[str]) -> None:
    unknown = [key for key in found if key not in known]
    if unknown:
        raise ListFileError(place, f"unknown key {quote(unknown[0])}; known: {', '.join(known)}")


_PARSERS = {Format.TEXT: _parse_text, Format.CSV: _parse_csv, Format.JSON: _parse_json, Format.TOML: _parse_toml}
