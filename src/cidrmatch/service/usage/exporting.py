"""The log as CSV and as JSON Lines, streamed, and read back.

CSV is that of RFC 4180, in UTF-8: a header, lines that end with CR LF, text in quotes, numbers bare.  A spreadsheet
takes some text for formulas, and some characters end its files.  So a text is written in three steps, and `read_csv`
takes them back:

    a\\nb          1  control and half characters, and backslashes, become escapes:  a\\\\nb  \\\\x00  \\\\ud800
    a;=1             so does a semicolon before what begins a formula:  a\\x3b=1
    =SUM(1)       2  what begins like a formula, or with an apostrophe, gets an apostrophe:  '=SUM(1)   ''quoted
    (empty)       3  an empty text is one apostrophe; an empty cell is a value that is not there

    a formula begins with  = + - @  or their full-width forms; TAB and CR are escaped already

`number` is written as text, because a spreadsheet shows 15 digits.  `trail` is a JSON list.

JSON Lines have one object a line, in ASCII, with the fields of `UsageRecord`; `time` is text as in CSV.

Cost: 4 to 7 microseconds a row; memory for some thousand rows.  Threads: safe.
Source: B27; RFC 4180; https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TextIO

from ..._core import format_address
from ...errors import quote
from .errors import UsageError
from .record import FIELDS, UsageRecord
from .words import text_of, trail_of

if TYPE_CHECKING:
    from .words import Row, Words

__all__ = ["csv_chunks", "json_chunks", "read_csv", "read_json_lines", "text_in_cell", "text_of_cell"]

_UNSAFE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff\ufffe\uffff\u2028\u2029\ufeff]|;(?=[=+\-@'\uff1d\uff0b\uff0d\uff20])"
)
"""What is escaped; some spreadsheets part cells at a semicolon, too, so none stands before what begins a formula."""
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_ESCAPED: Final = re.compile(r"\\(?:([nrt\\])|x([0-9a-f]{2})|u([0-9a-f]{4}))")
_LONG: Final = {short[1]: plain for plain, short in _SHORT.items()}
_GUARDED: Final = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OF_ADDRESSES: Final = b"0123456789abcdefABCDEF.:\0"
_MOST_CACHED: Final = 50_000


def text_in_cell(text: str | None) -> str | None:
    """Give a text as a cell of CSV has it.

    >>> text_in_cell("=SUM(1)"), text_in_cell("a\\nb"), text_in_cell("")
    ("'=SUM(1)", 'a\\\\nb', "'")
    """
    if text is None:
        return None
    if _UNSAFE.search(text):
        text = _UNSAFE.sub(_escape, text)
    return "'" + text if not text or text.startswith(_GUARDED) else text


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    code = ord(letter)
    return _SHORT.get(letter) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def text_of_cell(cell: str) -> str | None:
    """Give the text that a cell of CSV stands for; None for an empty one."""
    if not cell:
        return None
    return _ESCAPED.sub(_unescape, cell.removeprefix("'"))


def _unescape(found: re.Match[str]) -> str:
    short, code, long = found.groups()
    return _LONG[short] if short else chr(int(code or long, 16))


class _Lines:
    """Make lines of CSV of rows.  What many rows share is made once, commas and quotes included."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._kinds: dict[int, tuple[str, ...]] = {}
        self._entries: dict[int | None, str] = {None: ",,"}
        self._data: dict[int | None, str] = {None: ","}
        self._keys: dict[Any, str] = {None: ""}

    def _key(self, key: Any) -> str:
        """Write a key; those that were written lately are remembered."""
        if len(self._keys) > _MOST_CACHED:
            self._keys = {None: ""}
        cell = self._keys[bytes(key)] = _quoted(text_of(key))
        return cell

    def _kind(self, number: int) -> tuple[str, ...]:
        """Write the words of a kind: those that stand together are one text."""
        method, status, allowed, reason, problem, policy, stopped_at, would_allow, masked = self._words.kinds[number]
        decided = ",".join(map(_cell, (allowed, reason, stopped_at, would_allow)))
        told = tuple(map(_cell, (method, status, problem, policy, masked or None)))
        cells = self._kinds[number] = (*told, decided)
        return cells

    def __call__(self, row: Row) -> str:
        """Make the line of a row, in the order of `FIELDS`."""
        number, lag, key, kind, packed, path, trail, entry, data, request_id, micros, lost = row
        method, status, problem, policy, masked, decided = self._kinds.get(kind) or self._kind(kind)
        place = self._entries.get(entry)
        if place is None:
            place = self._entries[entry] = ",".join(map(_cell, self._words.entries[entry]))
        version = self._data.get(data)
        if version is None:
            version = self._data[data] = ",".join(map(_cell, self._words.data[data]))
        whose = self._keys.get(key)
        address = "" if packed is None else f'"{format_address(bytes(packed))}"'
        return (
            f'"{number}","{_time(number - lag)}",{self._key(key) if whose is None else whose},{method},'
            f"{'' if path is None else _quoted(text_of(path))},{status},{address},{problem},"
            f"{_trail(trail, address)},{decided},{place},{policy},{version},"
            f"{'' if request_id is None else _quoted(text_of(request_id))},"
            f"{'' if micros is None else micros / 1e6},{masked},{'' if lost is None else lost}\r\n"
        )


def _time(micros: int) -> str:
    """Write a moment as ISO 8601."""
    return (_EPOCH + timedelta(0, 0, micros)).isoformat(timespec="microseconds")


def _quoted(text: str | None) -> str:
    """Write a text as a cell, in quotes."""
    cell = text_in_cell(text)
    if cell is None:
        return ""
    return '"' + cell.replace('"', '""') + '"' if '"' in cell else f'"{cell}"'


def _cell(word: Any) -> str:
    if word is None:
        return ""
    if isinstance(word, bool):
        return '"true"' if word else '"false"'
    return _quoted(word) if isinstance(word, str) else str(word)


def _trail(data: bytes | None, address: str) -> str:
    """Write a trail as a JSON list; a plain one, of addresses, without an encoder."""
    if data is None:
        return f'"[""{address[1:-1]}""]"' if address else ""
    data = bytes(data)
    if data and not data.strip(_OF_ADDRESSES):
        return '"[""' + data.decode().replace("\0", '"",""') + '""]"'
    elements = trail_of(data, None)
    return _quoted(json.dumps(elements)) if elements else ""


def csv_chunks(pages: Iterable[list[Row]], words: Words) -> Iterator[bytes]:
    """Write pages of rows as CSV, a piece a page; the first one has the header."""
    line = _Lines(words)
    yield (",".join(f'"{name}"' for name in FIELDS) + "\r\n").encode()
    for page in pages:
        yield "".join(map(line, page)).encode()


def json_chunks(pages: Iterable[list[Row]], words: Words) -> Iterator[bytes]:
    """Write pages of rows as JSON Lines, a piece a page."""
    for page in pages:
        records = [(words.record(row).to_dict(), _time(row[0] - row[1])) for row in page]
        lines = [json.dumps({**values, "time": time}) for values, time in records]
        yield ("\n".join(lines) + "\n").encode()


# -- Reading back -------------------------------------------------------------

_NUMBERS: Final = {"number": int, "status": int, "version": int, "lost": int, "seconds": float}
_ANSWERS: Final = {"true": True, "false": False}


def read_csv(lines: TextIO) -> Iterator[UsageRecord]:
    """Read what was exported as CSV.

    Args:
        lines: a text file, opened with `encoding="utf-8-sig", newline=""`.
    Raises:
        UsageError: it is no such file; the message names the line.
    """
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != FIELDS:
            raise UsageError(f"line 1: this is no export of a usage log; its header is {quote(','.join(header))}")
        for cells in reader:
            yield _record(dict(zip(FIELDS, cells, strict=True)))
    except (csv.Error, ValueError) as error:
        raise UsageError(f"line {reader.line_num}: {error}") from None


def _record(cells: Mapping[str, str]) -> UsageRecord:
    values: dict[str, Any] = {}
    for name, cell in cells.items():
        text = text_of_cell(cell)
        if name in _NUMBERS:
            values[name] = None if text is None else _NUMBERS[name](text)
        elif name in ("allowed", "would_allow"):
            values[name] = None if text is None else _ANSWERS[text]
        else:
            values[name] = text
    values["time"] = _seconds(values["time"])
    values["trail"] = tuple(json.loads(values["trail"] or "[]"))
    return UsageRecord(**values)


def read_json_lines(lines: Iterable[str]) -> Iterator[UsageRecord]:
    """Read what was exported as JSON Lines.

    Raises:
        UsageError: a line is none; the message names it.
    """
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            values["time"] = _seconds(values["time"])
            values["trail"] = tuple(values["trail"])
            yield UsageRecord(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"line {number}: this is no record of a usage log: {error}") from None


def _seconds(text: str) -> float:
    return ((datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)) / 1e6
