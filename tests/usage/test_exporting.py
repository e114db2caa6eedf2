"""Every export comes back as it was: CSV, JSON Lines, Parquet; and a spreadsheet shows each cell as it is written.

Requirements: B27.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch.service.usage.archiving import archive
from cidrmatch.service.usage.errors import UsageError
from cidrmatch.service.usage.exporting import read_csv, read_json_lines, text_in_cell, text_of_cell
from cidrmatch.service.usage.filters import UsageFilter
from cidrmatch.service.usage.parquet import read_parquet
from cidrmatch.service.usage.record import FIELDS, UsageRecord
from tests.usage.usage_stand import make_engine, make_guard, note_random, opened, peer_guard

if TYPE_CHECKING:
    from cidrmatch.service.usage.log import UsageLog

HARD = [
    "/a;=HYPERLINK(1)",
    "a;b;-1;@x",
    "=HYPERLINK(1)",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "'quoted",
    "''",
    "",
    " =1",
    'a "b", c;\td\r\ne',
    "NUL\0NUL",
    "\u202eright to left \u05d0\u05d1",
    "\ud800 half",
    "\uff1d1",
    "\\n is no line",
    "\\",
    "\\x41",
    "\x7f\x85\u2028\ufeff\ufffe",
    "0012",
    "1e5",
    "2026-01-01",
    "TRUE",
    "\U0001f511",
    "'=1",
]


def fill(log: UsageLog) -> None:
    """Note requests of all sorts, and for each hard text one that has it in every field that may hold it."""
    note_random(log, make_guard(), seed=3, count=100)
    engine = make_engine()
    for text in HARD:
        engine.put_key(f"{text}" or "empty", ["203.0.113.0/24"])
    engine.put_key("labelled", [{"prefix": "203.0.113.0/24", "label": '=HYPERLINK("http://x";"\u05d0")'}])
    guard = peer_guard(engine)
    for text in HARD:
        log.note(guard.check(text or "empty", "203.0.113.9"), method=text, path=text, request_id=text, status=200)
    log.note(guard.check("labelled", "203.0.113.9"))
    assert log.flush()


def export(log: UsageLog, form: Any = "csv", wanted: UsageFilter | None = None) -> bytes:
    return b"".join(log.export(wanted, form))


def test_B27_a_csv_export_comes_back_as_it_was(log_url: str, tmp_path: Path) -> None:
    with opened(log_url, tmp_path) as log:
        fill(log)
        data = export(log)
        records = log.find(limit=1_000, oldest_first=True)
        assert len(records) == 100 + len(HARD) + 1
        assert list(read_csv(io.StringIO(data.decode(), newline=""))) == records
        blocked = export(log, wanted=UsageFilter(blocked=True))
        assert list(read_csv(io.StringIO(blocked.decode(), newline=""))) == [each for each in records if each.blocked]
    assert [record.path for record in records[100:-1]] == HARD


def test_B27_a_csv_export_is_that_of_the_rfc_and_holds_no_formula(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        fill(log)
        text = export(log).decode()
    lines = text.split("\r\n")
    assert lines[-1] == ""
    assert lines[0] == ",".join(f'"{name}"' for name in FIELDS)
    assert len(lines) == 1 + 100 + len(HARD) + 1 + 1, "a record is a line, whatever its texts hold"
    assert re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", text) is None
    for row in csv.reader(io.StringIO(text, newline=""), strict=True):
        assert len(row) == len(FIELDS)
        for name, cell in zip(FIELDS, row, strict=True):
            assert not cell.startswith(("=", "+", "-", "@", "\uff1d")), (name, cell)


@given(st.text(st.characters(), max_size=20) | st.sampled_from(HARD))
def test_B27_any_text_comes_back_from_a_cell(text: str) -> None:
    cell = text_in_cell(text)
    assert cell is not None
    assert text_of_cell(cell) == text
    assert cell == text or any(letter in text for letter in cell) or cell.startswith(("'", "\\"))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0"))
    cell.encode()
    out = io.StringIO(newline="")
    csv.writer(out).writerow([cell, "x"])
    assert next(csv.reader(io.StringIO(out.getvalue(), newline=""), strict=True)) == [cell, "x"]


def test_B27_json_lines_come_back_as_they_were(log_url: str, tmp_path: Path) -> None:
    with opened(log_url, tmp_path) as log:
        fill(log)
        data = export(log, "jsonl")
        records = log.find(limit=1_000, oldest_first=True)
    assert data.isascii()
    assert list(read_json_lines(io.StringIO(data.decode()))) == records
    assert list(json.loads(data.splitlines()[0])) == list(FIELDS)


def as_parquet_keeps(record: UsageRecord) -> UsageRecord:
    values: dict[str, Any] = {name: getattr(record, name) for name in FIELDS}
    for name, value in values.items():
        if isinstance(value, str):
            values[name] = re.sub("[\ud800-\udfff]", "\ufffd", value)
    return UsageRecord(**values)


def test_B27_a_parquet_export_comes_back_but_for_half_characters(log_url: str, tmp_path: Path) -> None:
    with opened(log_url, tmp_path) as log:
        fill(log)
        (tmp_path / "usage.parquet").write_bytes(export(log, "parquet"))
        records = log.find(limit=1_000, oldest_first=True)
    assert list(read_parquet(str(tmp_path / "usage.parquet"))) == list(map(as_parquet_keeps, records))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_an_empty_export_is_a_file_without_records(tmp_path: Path, form: Any) -> None:
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        data = export(log, form)
        with pytest.raises(ValueError, match="format is 'csv'"):
            log.export(format="xlsx")  # type: ignore[arg-type]
    (tmp_path / "file").write_bytes(data)
    reading: dict[str, Any] = {
        "csv": lambda: read_csv(io.StringIO(data.decode(), newline="")),
        "jsonl": lambda: read_json_lines(io.StringIO(data.decode())),
        "parquet": lambda: read_parquet(str(tmp_path / "file")),
    }
    assert list(reading[form]()) == []


def test_an_export_tells_of_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cidrmatch.service.usage.questions._EXPORTED_AT_ONCE", 30)
    told: list[int] = []
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        note_random(log, make_guard(), seed=3, count=100)
        assert log.flush()
        assert len(b"".join(log.export(progress=told.append)).splitlines()) == 101
    assert told == [30, 60, 90, 100]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: this is no export"),
        ("a,b\r\n", "line 1: this is no export"),
        (",".join(FIELDS) + "\r\n1,2\r\n", "line 2: "),
        (",".join(FIELDS) + "\r\n" + "x," * (len(FIELDS) - 1) + "x\r\n", "line 2: "),
    ],
)
def test_a_file_that_is_no_export_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list(read_csv(io.StringIO(text, newline="")))


def test_a_line_that_is_no_record_is_refused() -> None:
    with pytest.raises(UsageError, match="line 1: this is no record"):
        list(read_json_lines(["{}\n"]))


# -- A spreadsheet ------------------------------------------------------------

OFFICE = shutil.which("soffice")
needs_office = pytest.mark.skipif(
    OFFICE is None and os.environ.get("CIDRMATCH_SERVERS") != "required", reason="LibreOffice is not installed"
)
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"


def convert(folder: Path, options: str) -> list[list[ElementTree.Element]]:
    """Let LibreOffice open usage.csv, and give the cells of its first rows."""
    assert OFFICE is not None, "LibreOffice is not installed"
    profile = f"-env:UserInstallation=file://{folder}/profile"
    words = [OFFICE, profile, "--headless", f"--infilter=CSV:{options}", "--convert-to", "ods", "usage.csv"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(folder / "usage.ods") as archived:
        tree = ElementTree.fromstring(archived.read("content.xml"))
    rows = []
    for row in tree.iter(f"{_TABLE}table-row"):
        cells: list[ElementTree.Element] = []
        for cell in row.iter(f"{_TABLE}table-cell"):
            cells += [cell] * min(int(cell.get(f"{_TABLE}number-columns-repeated", "1")), len(FIELDS))
        rows += [cells[: len(FIELDS)]] * min(int(row.get(f"{_TABLE}number-rows-repeated", "1")), 1)
    return rows


def shown(cell: ElementTree.Element) -> str:
    """Give what a cell shows; runs of blanks are elements in this format."""
    return "\n".join(_flat(paragraph) for paragraph in cell.iter(f"{_TEXT}p"))


def _flat(element: ElementTree.Element) -> str:
    blanks = " " * int(element.get(f"{_TEXT}c", "1")) if element.tag == f"{_TEXT}s" else ""
    return blanks + (element.text or "") + "".join(_flat(child) + (child.tail or "") for child in element)


@needs_office
def test_B27_libreoffice_shows_every_cell_as_it_is_written(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        fill(log)
        data = export(log)
    (tmp_path / "usage.csv").write_bytes(data)
    written = list(csv.reader(io.StringIO(data.decode(), newline="")))
    rows = convert(tmp_path, "44,34,UTF8,1,,0,true")  # text in quotes is text
    assert len(rows) >= len(written)
    for cells, texts in zip(rows, written, strict=False):
        for name, cell, text in zip(FIELDS, cells, texts, strict=False):
            if name in ("status", "version", "seconds", "lost") and text[:1].isdigit():
                assert float(cell.get(f"{_OFFICE}value", "nan")) == float(text)
            else:
                assert shown(cell) == text, name


@needs_office
def test_B27_libreoffice_finds_no_formula_whatever_its_settings(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        fill(log)
        data = export(log)
    naked = b'"=1+1","x"\r\n'
    (tmp_path / "usage.csv").write_bytes(naked)
    options = "44,34,UTF8,1,,0,false,true,false,false,false,-1,true"  # numbers are found, and formulas are evaluated
    assert any(cell.get(f"{_TABLE}formula") for row in convert(tmp_path, options) for cell in row)
    (tmp_path / "usage.csv").write_bytes(data)
    rows = convert(tmp_path, options)
    assert len(rows) > len(HARD)
    assert not any(cell.get(f"{_TABLE}formula") for row in rows for cell in row)


# -- Days as files ------------------------------------------------------------


def test_whole_days_move_to_files_once_and_are_dropped_when_they_are_whole(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([1_794_700_000.0 + 20_000 * number for number in range(20)])
    found = peer_guard().check("key_1", "203.0.113.9")
    monkeypatch.setattr("cidrmatch.service.usage.log.time", lambda: next(moments))
    url = f"{tmp_path}/files"
    with opened(log_url, tmp_path) as log:
        for number in range(20):
            log.note(found, path=f"/{number}")
        assert log.flush()
        records = log.find(oldest_first=True)
        days = log.days()
        assert sum(days.values()) == 20
        written = archive(log, url)
        assert len(written) == len(days) == 6
        assert all(re.fullmatch(r".*/day=2026-11-\d\d/usage\.parquet", name) for name in written)
        back = [record for name in written for record in read_parquet(name)]
        assert back == records
        assert archive(log, url) == []
        before = Path(written[0]).read_bytes()
        Path(written[0]).write_bytes(Path(written[1]).read_bytes())
        with pytest.raises(UsageError, match="has 4 records, and its day has 1: the day is not dropped"):
            archive(log, url, drop=True)
        assert log.days() == days
        Path(written[0]).write_bytes(before)
        assert archive(log, url, drop=True) == []
        assert log.days() == {}
        assert log.count() == 0
        assert not list(Path(url).rglob("*.part"))


def test_today_is_not_archived(log_url: str, tmp_path: Path) -> None:
    with opened(log_url, tmp_path) as log:
        log.note(peer_guard().check("key_1", "203.0.113.9"))
        assert log.flush()
        assert archive(log, "memory://usage", drop=True) == []
        assert log.count() == 1


def test_B27_no_semicolon_stands_before_a_formula() -> None:
    """Some spreadsheets part cells there."""
    for text in HARD:
        assert not re.search(r";[=+\-@'\uff1d\uff0b\uff0d\uff20]", text_in_cell(text) or "")
    assert text_in_cell("a;b") == "a;b"
