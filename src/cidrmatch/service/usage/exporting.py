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

A page of rows is written column by column: what many rows share is written once, and plain texts all together.

Cost: 3 to 4 microseconds a row; memory for some thousand rows.  Threads: safe.
Source: B27; RFC 4180; https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import sub
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
_CSV: Final = '"%s","%s"' + 15 * ",%s" + "\r\n"
_JSON: Final = (
    '{"number": %s, "time": "%s", "key": %s, %s, "path": %s, %s, "address": %s, %s, "trail": %s, %s, %s, %s, %s,'
    ' "request_id": %s, "seconds": %s, %s, "lost": %s}\n'
)
"""What `_Lines.columns` gives is put in here; what stands together has its names already."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPLIT: Final = "\x1e"
_BETWEEN: Final = _SPLIT.encode()
_PLAIN: Final = bytes(code for code in range(0x20, 0x7F) if chr(code) not in '"\\;') + _BETWEEN
"""The bytes of plain texts: they stand for themselves in CSV and in JSON."""
_NOT_PLAIN: Final = tuple(_BETWEEN + begin for begin in (b"=", b"+", b"-", b"@", b"'", _BETWEEN))
"""How a text begins that is not plain, although its bytes are: like a formula, with an apostrophe, or not at all."""
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


def _cells(column: Sequence[bytes | None], one: Callable[[bytes | None], str]) -> list[str]:
    """Write a column of texts, each in quotes.

    Most columns have plain texts only, which look the same in CSV and JSON.  They are written at once.

    Args:
        one: writes a text that is not plain.
    """
    if None not in column:
        joined = _BETWEEN.join(column)  # type: ignore[arg-type]
        if not joined.translate(None, _PLAIN) and joined.count(_BETWEEN) == len(column) - 1:
            around = _BETWEEN + joined + _BETWEEN
            if not any(begin in around for begin in _NOT_PLAIN):
                return ('"' + joined.decode("ascii").replace(_SPLIT, f'"{_SPLIT}"') + '"').split(_SPLIT)
    return list(map(one, column))


class _Cache(dict[Any, str]):
    """What many rows share, written once.

    Args:
        write: writes what is not there yet.
    """

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, value: Any) -> str:
        if len(self) >= _MOST_CACHED:
            self.clear()
        text = self[value] = self._write(value)
        return text


class _Lines:
    """Make the lines of a page of rows, column by column.

    Args:
        words: what is interned.
        word: writes a word, a number, an answer, or None.
        trail: writes a trail and the address as text, or None.
        names: whether a field has its name in front, as in JSON.
    """

    def __init__(
        self,
        words: Words,
        word: Callable[[Any], str],
        trail: Callable[[tuple[bytes | None, str | None]], str],
        *,
        names: bool,
    ) -> None:
        self._words = words
        self._word = word
        self._fields = [f'"{name}": ' if names else "" for name in FIELDS]
        self._between = ", " if names else ","
        self._text = lambda data: word(text_of(data))
        self._minutes = _Cache(lambda minute: (_EPOCH + timedelta(0, 0, 0, 0, minute)).isoformat()[:17])
        self._kinds: dict[int, tuple[str, ...]] = {}
        self._entries = _Cache(lambda entry: self._several(13, self._words.entries[entry] if entry else (None,) * 3))
        self._data = _Cache(lambda data: self._several(17, self._words.data[data] if data else (None, None)))
        self._keys = _Cache(self._text)
        self._addresses = _Cache(lambda packed: word(None if packed is None else format_address(bytes(packed))))
        self._trails = _Cache(
            lambda pair: trail((pair[0], None if pair[1] is None else format_address(bytes(pair[1]))))
        )
        self._lost = _Cache(word)
        self._seconds = _Cache(lambda micros: word(None if micros is None else micros / 1e6))

    def _several(self, first: int, values: Sequence[Any]) -> str:
        """Write fields that stand together."""
        return self._between.join(
            field + self._word(value) for field, value in zip(self._fields[first:], values, strict=False)
        )

    def _kind(self, number: int) -> tuple[str, ...]:
        """Write the words of a kind: those that stand together are one text."""
        method, status, allowed, reason, problem, policy, stopped_at, would_allow, masked = self._words.kinds[number]
        decided = self._several(9, (allowed, reason, stopped_at, would_allow))
        told = [
            self._several(place, (value,))
            for place, value in ((3, method), (5, status), (7, problem), (16, policy), (21, masked or None))
        ]
        cells = self._kinds[number] = (*told, decided)
        return cells

    def columns(self, page: list[Row]) -> Iterator[tuple[Any, ...]]:
        """Give the fields of each row, ready to be joined; some stand together."""
        numbers, lags, keys, kinds, packed, paths, trails, entries, data, ids, micros, lost = zip(*page, strict=True)
        known = self._kinds
        written = [known.get(kind) or self._kind(kind) for kind in kinds]
        methods, statuses, problems, policies, masks, decided = zip(*written, strict=True)
        return zip(
            numbers,
            self._moments(map(sub, numbers, lags)),
            map(self._keys.__getitem__, keys),
            methods,
            _cells(paths, self._text),
            statuses,
            map(self._addresses.__getitem__, packed),
            problems,
            map(self._trails.__getitem__, zip(trails, packed, strict=True)),
            decided,
            map(self._entries.__getitem__, entries),
            policies,
            map(self._data.__getitem__, data),
            _cells(ids, self._text),
            map(self._seconds.__getitem__, micros),
            masks,
            map(self._lost.__getitem__, lost),
            strict=True,
        )

    def _moments(self, moments: Iterable[int]) -> list[str]:
        """Write moments as ISO 8601; a minute is written once."""
        minutes = self._minutes
        return [
            f"{minutes[micros // 60_000_000]}{micros // 1_000_000 % 60:02}.{micros % 1_000_000:06}+00:00"
            for micros in moments
        ]


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


def _trail_in_cell(pair: tuple[bytes | None, str | None]) -> str:
    """Write a trail as a JSON list, in a cell; where nothing is kept, it is the address."""
    elements = trail_of(*pair)
    return _quoted(json.dumps(elements)) if elements else ""


def csv_chunks(pages: Iterable[list[Row]], words: Words) -> Iterator[bytes]:
    """Write pages of rows as CSV, a piece a page; the first one has the header."""
    lines = _Lines(words, _cell, _trail_in_cell, names=False)
    yield (",".join(f'"{name}"' for name in FIELDS) + "\r\n").encode()
    for page in pages:
        yield "".join(map(_CSV.__mod__, lines.columns(page))).encode()


def json_chunks(pages: Iterable[list[Row]], words: Words) -> Iterator[bytes]:
    """Write pages of rows as JSON Lines, a piece a page."""
    lines = _Lines(words, json.dumps, lambda pair: json.dumps(trail_of(*pair)), names=True)
    for page in pages:
        yield "".join(map(_JSON.__mod__, lines.columns(page))).encode()


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
