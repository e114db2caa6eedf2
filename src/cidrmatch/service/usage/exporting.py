"""The log as CSV and as JSON Lines, streamed, and read back.

CSV is that of RFC 4180, in UTF-8: a header, lines that end with CR LF, text in quotes, numbers bare.  A spreadsheet
takes some text for formulas, and some characters end its files.  So a text is written in three steps, and `read_csv`
takes them back:

    a\\nb          1  control and half characters, and backslashes, become escapes:  a\\\\nb  \\\\x00  \\\\ud800
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
import io
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

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff\ufffe\uffff\u2028\u2029\ufeff]")
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_ESCAPED: Final = re.compile(r"\\(?:([nrt\\])|x([0-9a-f]{2})|u([0-9a-f]{4}))")
_LONG: Final = {short[1]: plain for plain, short in _SHORT.items()}
_GUARDED: Final = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BOOLEANS: Final = {None: None, True: "true", False: "false"}
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


class _Cells:
    """Make cells of rows; what many rows share is made once."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._kinds: dict[int, tuple[Any, ...]] = {}
        self._entries: dict[int | None, tuple[Any, ...]] = {None: (None, None, None)}
        self._data: dict[int | None, tuple[Any, ...]] = {None: (None, None)}
        self._keys: dict[Any, str | None] = {None: None}
        self._second, self._second_text = -1, ""

    def time(self, micros: int) -> str:
        """Write a moment as ISO 8601."""
        second, micro = divmod(micros, 1_000_000)
        if second != self._second:
            self._second = second
            self._second_text = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{micro:06d}+00:00"

    def key(self, key: Any) -> str | None:
        """Write a key; those that were written lately are remembered."""
        cell = self._keys.get(key)
        if cell is None and key is not None:
            if len(self._keys) > _MOST_CACHED:
                self._keys = {None: None}
            cell = self._keys[bytes(key)] = text_in_cell(text_of(key))
        return cell

    def kind(self, number: int) -> tuple[Any, ...]:
        """Write the words of a kind, text by text."""
        words = self._words.kinds[number]
        cells = tuple(_cell(word) for word in words)
        self._kinds[number] = cells
        return cells

    def line(self, row: Row) -> tuple[Any, ...]:
        """Make the line of a row, in the order of `FIELDS`."""
        number, lag, key, kind, packed, path, trail, entry, data, request_id, micros, lost = row
        words = self._kinds.get(kind) or self.kind(kind)
        method, status, allowed, reason, problem, policy, stopped_at, would_allow, masked = words
        place = self._entries.get(entry)
        if place is None:
            place = self._entries[entry] = tuple(map(_cell, self._words.entries[entry]))
        version = self._data.get(data)
        if version is None:
            version = self._data[data] = tuple(map(_cell, self._words.data[data]))
        address = None if packed is None else format_address(bytes(packed))
        return (
            str(number),
            self.time(number - lag),
            self.key(key),
            method,
            None if path is None else text_in_cell(text_of(path)),
            status,
            address,
            problem,
            f'["{address}"]' if trail is None and address else _trail(trail),
            allowed,
            reason,
            stopped_at,
            would_allow,
            *place,
            policy,
            *version,
            None if request_id is None else text_in_cell(text_of(request_id)),
            None if micros is None else micros / 1e6,
            None if masked == "'" else masked,
            lost,
        )


def _cell(word: Any) -> Any:
    if isinstance(word, str):
        return text_in_cell(word)
    return _BOOLEANS[word] if word is None or isinstance(word, bool) else word


def _trail(data: bytes | None) -> str | None:
    elements = trail_of(data, None)
    return text_in_cell(json.dumps(elements)) if elements else None


def csv_chunks(pages: Iterable[list[Row]], words: Words) -> Iterator[bytes]:
    """Write pages of rows as CSV, a piece a page; the first one has the header."""
    cells = _Cells(words)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(FIELDS)
    yield _taken(buffer)
    for page in pages:
        writer.writerows(map(cells.line, page))
        yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return data


def json_chunks(pages: Iterable[list[Row]], words: Words) -> Iterator[bytes]:
    """Write pages of rows as JSON Lines, a piece a page."""
    cells = _Cells(words)
    for page in pages:
        records = [(words.record(row).to_dict(), cells.time(row[0] - row[1])) for row in page]
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
