"""Sheets: lists in rows and columns, as spreadsheets, databases and feeds write them (CSV).

    office.csv           --column network            geofeed                           Sheet says
    prefix,label         network,asn,org             203.0.113.0/24,DE,DE-HE,Berlin,   which column is the prefix,
    203.0.113.5,HQ       203.0.113.0/24,64500,Lab    2001:db8::/48,DE,,,               which are the label

A `Sheet` is one published shape as data: the columns of the prefix and of the label, and the header that tells it.  One
parser reads them all.

Nothing is lost: a row with another number of cells than the header is refused, and so is an unknown column of our own
CSV.  A feed may have columns that nobody here knows.  They are passed over, unless a cell of one holds an address; that
might be an entry, so the file is refused.  A column that the user names (`column`) is the only one that is read.

Cells are parted by commas.  A header that holds semicolons or tabs is refused with that cause, because a guess would
read `prefix;label` as one column.
Cost: about a microsecond a row; the whole file is in memory.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from .._core import parse_prefix
from ..errors import InvalidPrefix, quote
from .documents import place_in
from .items import CONDITIONS, PARTS, Filter, ListFileError, ListOptions, has_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._core import Prefix
    from .items import Item, Parser

__all__ = ["SHEETS", "Sheet", "is_own_sheet", "is_sheet", "parse_csv", "sheet_parser", "write_csv"]

_Row = tuple[int, list[str]]

_COMMENT: Final = re.compile(r"^#[^\r\n]*", re.MULTILINE)
_LOOKED_AT: Final = 100_000
"""How many characters are looked at to tell the shape."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Hold the shape of a published CSV file.

    Attributes:
        prefixes: names of the column with the prefix; the first one that the header has is read.
        labels: columns whose cells, joined by commas, are the label.
        marks: headers that tell this shape; each is a set of columns that must all be there.
        known: other columns that hold nothing to be let in.
        header: the columns of a file without a header row; empty if the file has one.
        scoped: whether a cell may name its scope before the prefix, as in ``Ip:203.0.113.5``.
    """

    prefixes: tuple[str, ...]
    labels: tuple[str, ...]
    marks: tuple[frozenset[str], ...] = ()
    known: frozenset[str] = frozenset()
    header: tuple[str, ...] = ()
    scoped: bool = False


def _columns(*names: str) -> frozenset[str]:
    return frozenset(" ".join(names).split())


SHEETS: Final = {
    "geofeed": Sheet(
        ("prefix",), ("country", "region", "city"), header=("prefix", "country", "region", "city", "postal")
    ),
    "maxmind": Sheet(
        ("network",),
        ("autonomous_system_number", "autonomous_system_organization", "geoname_id"),
        marks=(_columns("network geoname_id"), _columns("network autonomous_system_number")),
        known=_columns(
            "registered_country_geoname_id represented_country_geoname_id is_anonymous_proxy is_satellite_provider",
            "is_anycast postal_code latitude longitude accuracy_radius",
        ),
    ),
    "crowdsec": Sheet(
        ("value", "ip"),
        ("reason", "comment"),
        marks=(
            _columns("duration value"),
            _columns("scope value"),
            _columns("value expiration"),
            _columns("id source ip reason action"),
        ),
        known=_columns(
            "id source action country as events_count expiration simulated alert_id duration origin scope type"
        ),
        scoped=True,
    ),
}
"""The published shapes: RFC 8805; MaxMind's GeoIP2 and GeoLite CSV of countries, cities and ASNs; what `cscli decisions
list -o raw` prints, and what `cscli decisions import` and `cscli allowlists import` take."""


# -- Our own CSV --------------------------------------------------------------


def parse_csv(name: str, text: str, options: ListOptions) -> Iterator[Item]:
    """Read a header with `prefix`, and perhaps `label`; or the columns that the options name.

    Raises:
        ListFileError: it is not CSV, or an entry might be lost.
    """
    rows = _rows(name, text)
    line, header = next(rows, (1, []))
    first = next(rows, None)
    _check_header(place_in(name, line), header, [] if first is None else first[1], options)
    label = options.label_column or "label"
    columns = (options.column or "prefix", (label,) if label in header else ())
    items = _items(name, header, chain([] if first is None else [first], rows), columns, options)
    return _whole(name, items, _part_column(header), is_label=options.label_column is not None)


def write_csv(entries: Iterable[tuple[Prefix, str | None]]) -> str:
    """Write prefixes and labels as `parse_csv` reads them."""
    output = io.StringIO(newline="")
    plain = csv.writer(output, lineterminator="\n")
    quoted = csv.writer(output, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(("prefix", "label"))
    for prefix, label in entries:
        (quoted if label and "\r" in label else plain).writerow((prefix, label))  # a return alone is not quoted
    return output.getvalue()


def _part_column(header: list[str]) -> str | None:
    """Find a column whose name says that it is a part of the entry."""
    return next((column for column in header if column.strip().lower().replace(" ", "_") in PARTS), None)


def _whole(name: str, items: Iterable[Item], part: str | None, *, is_label: bool) -> Iterator[Item]:
    """Refuse an entry of which a part is in another cell: the end of a range, a mask or a length.

    Args:
        name: of the file, for messages.
        items: what the cells of prefix and label say.
        part: a column whose name says that it is a part of the entry.
        is_label: whether the user said which column is the label, so that any text is one.
    """
    for line, prefix, label in items:
        if part is not None and "/" not in prefix:
            raise ListFileError(place_in(name, line), _why_part(part))
        what = None if label is None or is_label else _part_of(prefix, label.strip())
        if label is not None and what is not None:
            reason = f"the label {quote(label)} is {what}; {_ONE_CELL}{_such_as(prefix, label.strip())}"
            raise ListFileError(place_in(name, line), f"{reason}, and each entry in a row of its own")
        yield line, prefix, label


_ONE_CELL: Final = "write the whole entry in one cell"
_MASK: Final = re.compile(r"(?:255|0)(?:\.[0-9]{1,3}){3}")
_MASK_IN_WORDS: Final = re.compile(rf"(?:sub)?(?:net)?(?:mask )?/?{_MASK.pattern}", re.IGNORECASE)


def _why_part(column: str, example: str = ", such as 10.0.0.0/8") -> str:
    cure = f"{_ONE_CELL}{example}, and take that column out"
    return f"the column {quote(column)} says how far the entry goes; {cure}"


def _mask_beside(header: list[str], row: list[str], at: int) -> str | None:
    """Say that a column that is not read holds the mask of the address at `at`; None if none does."""
    if "/" in row[at]:
        return None
    for other, cell in enumerate(row):
        if other != at and _MASK.fullmatch(cell.strip()):
            return _why_part(header[other], _such_as(row[at], cell.strip()))
    return None


def _part_of(prefix: str, label: str) -> str | None:
    """Say which part of an entry a label is; None if it is a label."""
    if label in (prefix.strip(), prefix.strip().partition("/")[0]):
        return None
    if _MASK_IN_WORDS.fullmatch(label):
        return "a mask"
    if has_address(label):
        return "an address"
    is_length = re.fullmatch(r"/[0-9]{1,3}", label) or (re.fullmatch(r"[0-9]{1,3}", label) and "/" not in prefix)
    return "a prefix length" if is_length else None


def _such_as(prefix: str, part: str) -> str:
    """Write an entry whose part was in another cell as one text; nothing if it has no certain reading."""
    text = f"{prefix.strip()}/{part.removeprefix('/')}"
    try:
        return f", such as {parse_prefix(text)}"
    except InvalidPrefix as error:
        return f", such as {error.suggestion}" if error.suggestion else ""


def _check_header(place: str, header: list[str], first: list[str], options: ListOptions) -> None:
    """Refuse a header that does not say what is read; `first` is the row behind it."""
    for wanted in (options.column, options.label_column):
        if wanted is not None and wanted not in header:
            raise ListFileError(place, f"no column {quote(wanted)}; the columns are {', '.join(map(quote, header))}")
    known = {"prefix", "label", options.label_column, *options.where}
    unknown = [column for column in header if column not in known] if options.column is None else []
    if unknown:
        raise ListFileError(place, _cause_of(header, unknown[0], first))
    if options.column is None and "prefix" not in header:
        raise ListFileError(place, "a header row with the column prefix, and perhaps label, was expected")
    if len(set(header)) < len(header):
        raise ListFileError(place, "a column is named twice")
    unread = [column for column in header if column.strip().lower() in CONDITIONS and column not in known]
    if unread:
        raise ListFileError(place, f"the column {quote(unread[0])} says when an entry counts, and is not read")


def _cause_of(header: list[str], unknown: str, first: list[str]) -> str:
    """Say why a header is refused, and what would be taken."""
    parted = next((mark for mark in ";\t|" if len(header) == 1 and mark in unknown), None)
    if parted:
        what, each = ("tabs", "tab") if parted == "\t" else (quote(parted), quote(parted))
        cure = f"save it with commas, or replace each {each} by ',' and put cells with a comma into quotes"
        return f"the cells are parted by {what}; CSV has commas: {cure}"
    if any(map(has_address, header)):
        return f"the first row is an entry, not a header; write the row {_header_for(header)}" + _geofeed_hint(header)
    cells = dict(zip(header, first, strict=False))
    part = _part_column(header) or next((column for column in header if _MASK.fullmatch(cells.get(column, ""))), None)
    if part is not None and not any("/" in cell for cell in first):
        address = next((cell for cell in first if has_address(cell) and not _MASK.fullmatch(cell)), "")
        return _why_part(part, _such_as(address, cells.get(part, "")) or ", such as 10.0.0.0/8")
    reason = f"unknown column {quote(unknown)}; the columns are prefix and label"
    plain = [column.strip().lower() for column in header]
    if sorted(plain) in (["prefix"], ["label", "prefix"]):
        return f"{reason}, in small letters and without white space: write the header {','.join(plain)}"
    if "prefix" in header:
        label = " --label-column label reads these two" if "label" in header else " reads that one"
        return f"{reason}; --column prefix{label} and passes over the others"
    found = [column for column, cell in zip(header, first, strict=False) if has_address(cell)]
    return f"{reason}; --column {found[0]} reads that one and passes over the others" if len(found) == 1 else reason


def _header_for(row: list[str]) -> str:
    """Write a header for a row that has none, and the options with which it is read."""
    at = next(number for number, cell in enumerate(row) if has_address(cell))
    label = 1 if at == 0 else 0
    names = [{at: "prefix", label: "label"}.get(number, f"other{number}") for number in range(len(row))]
    options = " and name two: --column prefix --label-column label" if len(row) > 2 else ""
    return f"{','.join(names)} above it{options}"


def _geofeed_hint(row: list[str]) -> str:
    return "; or is it a geofeed (RFC 8805)? name it: --format geofeed" if _is_geofeed_row(row) else ""


# -- Published shapes ---------------------------------------------------------


def sheet_parser(shape: str) -> Parser:
    """Make the parser of a published shape."""
    sheet = SHEETS[shape]

    def parse(name: str, text: str, options: ListOptions) -> Iterator[Item]:
        if sheet.header:
            return _parse_bare(name, text, sheet, options)
        rows = _rows(name, text)
        line, header = next(rows, (1, []))
        prefix = options.column or next((column for column in sheet.prefixes if column in header), None)
        if prefix is None or prefix not in header:
            wanted = quote(options.column) if options.column else " or ".join(map(quote, sheet.prefixes))
            raise ListFileError(place_in(name, line), f"the header has no column {wanted}")
        return _items(name, header, rows, (prefix, _labels(sheet, options)), options, sheet)

    return parse


def _labels(sheet: Sheet, options: ListOptions) -> tuple[str, ...]:
    return sheet.labels if options.label_column is None else (options.label_column,)


def _parse_bare(name: str, text: str, sheet: Sheet, options: ListOptions) -> Iterator[Item]:
    """Read a file without a header row; lines that begin with # are comments, and cells at the end may be missing."""
    header = list(sheet.header)
    rows = _filled(name, _rows(name, _COMMENT.sub("", text)), len(header))
    return _items(name, header, rows, (options.column or sheet.prefixes[0], _labels(sheet, options)), options)


def _filled(name: str, rows: Iterable[_Row], width: int) -> Iterator[_Row]:
    for line, row in rows:
        extra = next((cell for cell in row[width:] if has_address(cell.strip())), None)
        if extra is not None:
            raise ListFileError(place_in(name, line), f"a cell that is not read holds an address: {quote(extra)}")
        yield line, (row + [""] * width)[:width]


def _is_geofeed_row(row: list[str]) -> bool:
    """Return whether a row has the five cells of RFC 8805: a prefix, a country or none, a region or none, and so on."""
    return (
        len(row) == len(SHEETS["geofeed"].header)
        and has_address(row[0])
        and re.fullmatch(r"(?:[A-Za-z]{2})?", row[1]) is not None
        and re.fullmatch(r"(?:[A-Za-z]{2}-[A-Za-z0-9]{1,3})?", row[2]) is not None
    )


def is_own_sheet(text: str) -> bool:
    """Return whether the first row is a header of our own CSV."""
    return "prefix" in _first_row(text)


def is_sheet(name: str, text: str) -> bool:
    """Return whether the first row has the shape of a published file."""
    sheet, first = SHEETS[name], _first_row(text)
    return _is_geofeed_row(first) if sheet.header else any(mark <= set(first) for mark in sheet.marks)


def _first_row(text: str) -> list[str]:
    """Give the first row that is not a comment; an empty one if there is none."""
    try:
        return next(_rows("", _COMMENT.sub("", text[:_LOOKED_AT])), (1, []))[1]
    except ListFileError:
        return []


# -- Rows ---------------------------------------------------------------------


def _items(
    name: str,
    header: list[str],
    rows: Iterable[_Row],
    columns: tuple[str, tuple[str, ...]],
    options: ListOptions,
    sheet: Sheet | None = None,
) -> Iterator[Item]:
    """Yield an item for each row that the filter takes; `columns` names that of the prefix and those of the label."""
    at = header.index(columns[0])
    labels = [header.index(label) for label in columns[1] if label in header]
    unread = [] if sheet is None or options.column else _unread(sheet, header, {at, *labels})
    is_open = options.column is not None
    wanted = Filter(name, options.where)
    for line, row in rows:
        if len(row) != len(header):
            raise ListFileError(
                place_in(name, line), f"the number of cells differs from the header's: {len(row)}, not {len(header)}"
            )
        if is_open and (reason := _mask_beside(header, row, at)):
            raise ListFileError(place_in(name, line), reason)
        for other in unread:
            if has_address(row[other]):
                cell = f"the column {quote(header[other])}, which is not read, holds the address {quote(row[other])}"
                raise ListFileError(place_in(name, line), f"{cell}; --column names the one column that is read")
        scope, prefix = _scope_of(row[at]) if sheet and sheet.scoped else ("", row[at])
        if options.where:
            fields = dict(zip(header, ((cell,) for cell in row), strict=True))
            if not wanted.takes({"scope": (scope,), **fields} if scope else fields):
                continue
        label = ", ".join(filter(None, (row[label] for label in labels))) if labels else ""
        yield line, prefix, label or None
    wanted.check()


def _unread(sheet: Sheet, header: list[str], read: set[int]) -> list[int]:
    """Find the columns that nobody here knows."""
    return [at for at, column in enumerate(header) if at not in read and column not in sheet.known]


def _scope_of(cell: str) -> tuple[str, str]:
    """Take ``Ip:203.0.113.5`` apart; a cell without a scope of addresses stays as it is."""
    scope, _, prefix = cell.partition(":")
    if scope.lower() in ("ip", "range"):
        return scope, prefix
    return ("" if has_address(cell) or not scope.isalpha() else scope), cell


def _rows(name: str, text: str) -> Iterator[_Row]:
    """Yield each row that is not blank, with the line on which it begins."""
    rows = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise ListFileError(place_in(name, line), f"is not CSV: {_cause_of_error(text, error)}") from error
        if row is None:
            return
        if row:
            yield line, row


def _cause_of_error(text: str, error: csv.Error) -> str:
    """Say what stands where CSV was expected, for the slips that people make."""
    if re.search(r"\r(?!\n)", text):
        return "a carriage return ends a line; lines end with a newline: tr '\\r' '\\n' <old.csv >new.csv"
    parted = re.match(r'"[^"\n]*"([;\t|])', text)
    if parted:
        what = "tabs" if parted[1] == "\t" else quote(parted[1])
        return f"the cells are parted by {what}; CSV has commas: save it with commas"
    return str(error)
