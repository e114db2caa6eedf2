"""Exports write column by column what a slow twin writes record by record.

    rows --csv_chunks, json_chunks, parquet_chunks-->   = csv.writer, json.dumps, and a list of records

Requirements: B27.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch.service.usage.exporting import csv_chunks, json_chunks, text_in_cell
from cidrmatch.service.usage.parquet import SCHEMA, parquet_chunks
from cidrmatch.service.usage.record import FIELDS, UsageRecord
from cidrmatch.service.usage.words import Row, Words

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = 1_795_000_000_000_000
HARD = [
    "a\x1eb",
    "",
    "\0",
    "\x1e",
    "a\x1e=b",
    "\ud800",
    "=1",
    "a;=1",
    ";",
    "'",
    "-",
    'a"b',
    "\\",
    "a\r\nb",
    "\uff1dx",
    "\x7f",
    "\u20ac",
]
TEXTS = st.sampled_from(["/v1/orders", "x", "/a b", "key_1"]) | st.sampled_from(HARD) | st.text(max_size=12)
BYTES = TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
ANSWERS = st.sampled_from([None, True, False])

WORDS = Words()
WORDS.kinds = {
    1: ["GET", 200, True, "matched", None, "bitbybit", None, None, ""],
    2: ["=GET", None, False, "ip_not_listed", "malformed", 'a"b', "scope", True, "address/24/48 key=hash"],
    3: [None, None, None, "lost_full", None, None, None, None, ""],
    4: ["\ud800", 999, None, "not_asked", "\x1e", None, "-x", False, ""],
}
WORDS.entries = {1: ["203.0.113.0/24", "office", None], 2: [None, "=1+1", "\ud800,\n"], 3: ["2001:db8::/32", None, ""]}
WORDS.data = {1: [17, "5/17"], 2: [2**60, None]}

ROWS = st.tuples(
    st.integers(0, 10**12),
    st.integers(0, 10**9),
    st.none() | BYTES,
    st.sampled_from(list(WORDS.kinds)),
    st.none() | st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
    st.none() | BYTES,
    st.none() | BYTES | st.sampled_from([b"10.0.0.7\x00203.0.113.9", b"::1"]),
    st.none() | st.sampled_from(list(WORDS.entries)),
    st.none() | st.sampled_from(list(WORDS.data)),
    st.none() | BYTES,
    st.none() | st.integers(0, 2**53),
    st.none() | st.integers(1, 2**40),
)
PLAIN = ROWS.map(lambda row: (*row[:2], b"key_1", *row[3:5], b"/v1/orders/7", *row[6:9], b"7f", *row[10:]))


@st.composite
def page_lists(draw: st.DrawFn) -> list[list[Row]]:
    pages, number = [], NUMBER
    for _ in range(draw(st.integers(1, 3))):
        page = []
        for row in draw(st.lists(draw(st.sampled_from([ROWS, PLAIN])), min_size=1, max_size=6)):
            number += 1 + row[0]
            page.append((number, *row[1:]))
        pages.append(page)
    return pages


def moment(row: Row) -> str:
    return (EPOCH + timedelta(0, 0, row[0] - row[1])).isoformat(timespec="microseconds")


def cell(name: str, value: Any, row: Row) -> Any:
    if name == "time":
        return moment(row)
    if name == "trail":
        return text_in_cell(json.dumps(value)) if value else None
    if name == "number":
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return text_in_cell(value) if isinstance(value, str) else value


def slow_csv(record: UsageRecord, row: Row) -> str:
    """Write one line with `csv.writer`, which quotes text and leaves numbers bare; None is an empty cell."""
    parts = []
    for name in FIELDS:
        value = cell(name, getattr(record, name), row)
        if value is None:
            parts.append("")
            continue
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_NONNUMERIC, lineterminator="").writerow([value])
        parts.append(line.getvalue())
    return ",".join(parts) + "\r\n"


def check_lines(pages: list[list[Row]]) -> None:
    header, *chunks = csv_chunks(pages, WORDS)
    assert header.decode() == ",".join(f'"{name}"' for name in FIELDS) + "\r\n"
    wanted = ["".join(slow_csv(WORDS.record(row), row) for row in page) for page in pages]
    assert [chunk.decode() for chunk in chunks] == wanted
    wanted = [
        "".join(json.dumps({**WORDS.record(row).to_dict(), "time": moment(row)}) + "\n" for row in page)
        for page in pages
    ]
    assert [chunk.decode() for chunk in json_chunks(pages, WORDS)] == wanted


@given(pages=page_lists())
def test_B27_csv_and_json_lines_are_those_of_the_twin(pages: list[list[Row]]) -> None:
    check_lines(pages)


@pytest.mark.parametrize("text", [None, *HARD], ids=ascii)
def test_B27_one_hard_text_among_plain_ones_is_written_as_the_twin_does(text: str | None) -> None:
    hard = None if text is None else text.encode("utf-8", "surrogatepass")
    for place in range(3):
        paths = [b"/v1/orders", b"/a b", b"x"]
        paths[place : place + 1] = [hard]  # type: ignore[list-item]
        check_lines(
            [
                [
                    (NUMBER + number, 0, b"key_1", 1, b"\x01\x02\x03\x04", path, None, 1, 1, path, 7, None)
                    for number, path in enumerate(paths)
                ]
            ]
        )


def whole(value: Any) -> Any:
    if isinstance(value, tuple):
        return [whole(each) for each in value]
    return (
        "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in value) if type(value) is str else value
    )


@given(pages=page_lists())
def test_B27_parquet_has_the_values_of_the_twin(pages: list[list[Row]]) -> None:
    table = pq.read_table(pa.BufferReader(b"".join(parquet_chunks(pages, WORDS))))
    assert table.schema == SCHEMA
    wanted = [
        {
            **{name: whole(getattr(WORDS.record(row), name)) for name in FIELDS},
            "time": EPOCH + timedelta(0, 0, row[0] - row[1]),
        }
        for page in pages
        for row in page
    ]
    assert table.to_pylist() == wanted
