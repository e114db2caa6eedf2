"""Broken lists: each message names the cause and the cure, and the cure is one that is accepted.

A row is a file as people make it by mistake, what the message must say, and the file after the cure that it names.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import AllowList, InvalidPrefix, parse_entry, parse_prefix
from cidrmatch.files.line_lists import read_lines
from cidrmatch.files.lists import Format, ListFileError, read_list
from tests.unit.test_provider_files import FASTLY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def entries_of(name: str, content: str | bytes, **options: Any) -> list[tuple[str, str | None]]:
    """Read a file and parse every entry, as the command line does."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    listed = read_list(name, **options)
    return [(str(entry.prefix), entry.label) for entry in map(parse_entry, listed.entries)]


VPN = ("10.0.0.0/8", "VPN")
BARE = ("10.0.0.0/8", None)

WHOLE_FILES = [
    (
        "a.csv",
        "prefix;label\n10.0.0.0/8;VPN\n",
        "the cells are parted by ';'; CSV has commas",
        "prefix,label\n10.0.0.0/8,VPN\n",
        VPN,
    ),
    ("a.csv", "prefix\tlabel\n10.0.0.0/8\tVPN\n", "parted by tabs", "prefix,label\n10.0.0.0/8,VPN\n", VPN),
    (
        "a.csv",
        "Prefix,Label\n10.0.0.0/8,VPN\n",
        "write the header prefix,label$",
        "prefix,label\n10.0.0.0/8,VPN\n",
        VPN,
    ),
    (
        "a.csv",
        "Label, Prefix\nVPN,10.0.0.0/8\n",
        "write the header label,prefix$",
        "label,prefix\nVPN,10.0.0.0/8\n",
        VPN,
    ),
    ("a.csv", "10.0.0.0/8,VPN\n", "write the row prefix,label above it", "prefix,label\n10.0.0.0/8,VPN\n", VPN),
    (
        "a.json",
        '["10.0.0.0/8",]',
        "a comma stands before the closing bracket; take that comma out",
        '["10.0.0.0/8"]',
        BARE,
    ),
    (
        "a.json",
        '[{"prefix": "10.0.0.0/8",\n}]',
        "a comma stands before the closing bracket",
        '[{"prefix": "10.0.0.0/8"}]',
        BARE,
    ),
    ("a.json", "['10.0.0.0/8']", "single quotes; JSON has double quotes", '["10.0.0.0/8"]', BARE),
    ("a.json", '["10.0.0.0/8" // VPN\n]', "JSON has no comments", '["10.0.0.0/8"]', BARE),
]


@pytest.mark.parametrize(("name", "broken", "told", "cured", "entry"), WHOLE_FILES)
def test_a_broken_file_names_the_cause_and_the_cure(
    folder: Path, name: str, broken: str, told: str, cured: str, entry: tuple[str, str | None]
) -> None:
    with pytest.raises(ListFileError, match=told):
        entries_of(name, broken)
    assert entries_of(name, cured) == [entry]


def test_json_lines_in_a_json_file_name_their_format(folder: Path) -> None:
    lines = '"10.0.0.0/8"\n{"prefix": "10.0.0.0/8"}\n'
    with pytest.raises(ListFileError, match="name the format: --format jsonl"):
        entries_of("a.json", lines)
    assert entries_of("a.json", lines, file_format=Format.JSONL) == [BARE, BARE]


def test_a_column_of_another_name_is_found_in_the_message(folder: Path) -> None:
    sheet = "Site,Network,Owner\nHQ,10.0.0.0/8,me\n"
    with pytest.raises(ListFileError, match="--column Network reads that one"):
        entries_of("a.csv", sheet)
    assert entries_of("a.csv", sheet, column="Network") == [BARE]


def test_a_document_in_a_text_file_is_told(folder: Path) -> None:
    with pytest.raises(ListFileError, match=r"^a.txt: is not a list as text, but looks like JSON; name its format"):
        entries_of("a.txt", json.dumps(FASTLY))
    assert len(entries_of("a.txt", json.dumps(FASTLY), file_format=Format.FASTLY)) == 2


# -- Encodings ----------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_says_the_encoding(folder: Path, encoding: str) -> None:
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    assert entries_of("a.txt", f"{mark}# Büro\r\n10.0.0.0/8\r\n".encode(encoding)) == [BARE]
    assert entries_of("a.csv", f"{mark}prefix,label\r\n10.0.0.0/8,VPN\r\n".encode(encoding)) == [VPN]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_utf_16_without_a_mark_names_the_cure(folder: Path, encoding: str) -> None:
    """The command in the message is run, and its output is the list."""
    with pytest.raises(ListFileError, match=r"^a.txt:1: holds a NUL; is it UTF-(16|32)[LB]E\? iconv") as caught:
        entries_of("a.txt", "# office\n10.0.0.0/8\n".encode(encoding))
    named = re.search(r"iconv -f (\S+) -t UTF-8 <old >new", str(caught.value))
    assert named is not None
    text = "# office\n10.0.0.0/8\n".encode(encoding).decode(named[1])
    assert entries_of("b.txt", text.encode()) == [BARE]


def test_line_ends_of_old_machines_name_the_cure(folder: Path) -> None:
    for content in ("10.0.0.0/8\r10.1.0.0/16\r", "# all of them\r10.0.0.0/8\r"):
        with pytest.raises(
            InvalidPrefix, match=r"a carriage return stands in the line.*tr '\\r' '\\n' <old.txt >new.txt"
        ):
            entries_of("a.txt", content)
        assert entries_of("a.txt", content.replace("\r", "\n"))[0] == BARE


def test_the_short_way_through_a_text_hides_nothing_behind_a_return() -> None:
    for content in (b"# all\r10.0.0.0/8\r", b"10.0.0.0/8\n# all\r10.1.0.0/16\n", b"# all\r10.0.0.0/8"):
        assert read_lines(content) is None
    for content in (b"# all\r\n10.0.0.0/8\r\n", b"10.0.0.0/8\r", b"# all\n"):
        assert read_lines(content) is not None


# -- Entries ------------------------------------------------------------------

SUGGESTED = [
    ("- 10.0.0.0/8", "a list mark stands before the entry", "10.0.0.0/8"),
    ('- "10.0.0.0/8"', "a list mark stands before the entry", "10.0.0.0/8"),
    ("* 10.0.0.7", "a list mark stands before the entry", "10.0.0.7"),
    ('"10.0.0.0/8"', "quotes stand around the entry", "10.0.0.0/8"),
    ('"10.0.0.0/8",', "quotes stand around the entry", "10.0.0.0/8"),
    ("10.0.0.0/8,", "a comma stands behind the entry", "10.0.0.0/8"),
    ("10.0.0.0 255.0.0.0", "a netmask is not a prefix length", "10.0.0.0/8"),
    ("10.0.0.0\t0.0.0.255", "a netmask is not a prefix length", "10.0.0.0/24"),
    ("10.0.0.0/255.0.0.0", "a netmask is not a prefix length", "10.0.0.0/8"),
    ("10.0.*.*", "a wildcard is not accepted", "10.0.0.0/16"),
    ("10.0.*", "a wildcard is not accepted", "10.0.0.0/16"),
    ("10.0.0.0,255.0.0.0", "a netmask is not a prefix length", "10.0.0.0/8"),
    ("10.0.0.0; 0.255.255.255", "a netmask is not a prefix length", "10.0.0.0/8"),
    ("192.0.2.0 - 192.0.2.255", "a dash range is not accepted", "192.0.2.0/24"),
    ("192.0.2.0-192.0.2.255", "a dash range is not accepted", "192.0.2.0/24"),
    ("192.0.2.0 - 255", "a dash range is not accepted", "192.0.2.0/24"),
]


@pytest.mark.parametrize(("text", "told", "suggestion"), SUGGESTED)
def test_a_broken_entry_with_one_reading_suggests_it(text: str, told: str, suggestion: str) -> None:
    with pytest.raises(InvalidPrefix, match=re.escape(told)) as caught:
        AllowList.from_text(text)
    assert caught.value.suggestion == suggestion
    assert parse_prefix(suggestion)


TOLD = [
    ("10.0.0.0/8,10.1.0.0/16", "this is more than one entry; give each a line of its own: 10.0.0.0/8 and 10.1.0.0/16"),
    ("192.0.2.1 192.0.2.2", "this is more than one entry; give each a line of its own: 192.0.2.1 and 192.0.2.2"),
    ("2001:db8::1;2001:db8::2", "this is more than one entry"),
    ("10.0.0.0/8,192.0.2.0/24,192.0.2.1", "give each a line of its own: 10.0.0.0/8 and 192.0.2.0/24 and so on"),
    ("192.0.2.1 ; 192.0.2.2", "this is more than one entry"),
    ("10.0.0.0/8,VPN", "a text stands behind the entry; a label needs the format CSV, and a comment begins with #"),
    ("10.0.0.0/8 VPN", "a text stands behind the entry"),
    ("10.0.0.0/8;VPN", "a text stands behind the entry"),
    ("192.0.2.20 - 192.0.2.10", "the range runs backwards"),
    ("192.0.2.20-10", "the range runs backwards"),
    ("192.0.2.1 - 2001:db8::1", "the ends of the range are of two families"),
    (
        "192.0.2.1 - 192.0.2.6",
        "a dash range is not accepted; give each prefix of it a line: 192.0.2.1/32, 192.0.2.2/31, 192.0.2.4/31,"
        " 192.0.2.6/32",
    ),
    ("192.0.2.1 - 192.0.2.254", "a dash range is not accepted, unless you ask for ranges to be split (--split-ranges)"),
    ("10.0.0.0,255.0.255.0", "a netmask is not a prefix length"),
    ("192.0.2.1 0.0.0.0", "a netmask is not a prefix length"),
    ("10.*.0.1", "an octet stands behind a wildcard"),
    ("* 0.0.0.0/0", "a list mark stands before the entry, and this allows everyone"),
    ("128.0.0.0 192.0.0.0", "an IPv4 range broader than /8 is never guessed"),
]


@pytest.mark.parametrize(("text", "told"), TOLD)
def test_a_broken_entry_without_one_reading_names_the_cause(text: str, told: str) -> None:
    with pytest.raises(InvalidPrefix, match=re.escape(told)) as caught:
        AllowList.from_text(text)
    assert caught.value.suggestion is None


@pytest.mark.parametrize("text", ["junk", "10.0.0.0/33", "10.0.0.7/8", "010.0.0.1", "10/8", "10.0.0.1:80", "allow"])
def test_other_messages_are_those_of_the_parser(text: str) -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(text)
    assert not re.search("list mark|quotes|behind the entry|range|carriage", caught.value.reason)


# -- What people keep in cells ------------------------------------------------


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("10.0.0.9", "is an address; write the whole entry in one cell, and each entry in a row of its own"),
        ("192.0.2.0/24", "is an address; write the whole entry in one cell"),
        (" 2001:db8::1", "is an address; write the whole entry in one cell"),
        ("255.0.0.0", "is a mask; write the whole entry in one cell, such as 10.0.0.0/8,"),
        ("mask 255.0.0.0", "is a mask; write the whole entry in one cell"),
        ("/255.0.0.0", "is a mask; write the whole entry in one cell, such as 10.0.0.0/8,"),
        ("0.0.0.0", "is a mask; write the whole entry in one cell"),
        ("8", "is a prefix length; write the whole entry in one cell, such as 10.0.0.0/8,"),
        ("/8", "is a prefix length; write the whole entry in one cell, such as 10.0.0.0/8,"),
    ],
)
def test_a_label_that_is_a_part_of_an_entry_is_refused(folder: Path, label: str, told: str) -> None:
    """A range, a mask and two entries in two cells of a row were one entry with a label."""
    with pytest.raises(ListFileError, match=rf"^a.csv:2: the label .*{re.escape(told)}"):
        entries_of("a.csv", f"prefix,label\n10.0.0.0,{label}\n")
    assert read_list("a.csv", label_column="label").entries == (("10.0.0.0", label),)


@pytest.mark.parametrize("column", ["netmask", "Mask", "prefix length", "end", "last_ip"])
def test_a_column_that_is_a_part_of_the_entries_is_refused(folder: Path, column: str) -> None:
    with pytest.raises(ListFileError, match=r"^a.csv:3: the column .* says how far the entry goes; write the whole"):
        entries_of("a.csv", f"net,{column}\n10.0.0.0/8,x\n192.0.2.0,255.255.255.0\n", column="net")
    assert len(entries_of("a.csv", f"net,{column}\n10.0.0.0/8,255.0.0.0\n", column="net")) == 1


def test_a_mask_in_a_column_that_is_not_read_is_refused(folder: Path) -> None:
    """The message writes the entry as one text, whatever the column is called."""
    told = r"^a.csv:2: the column 'Maske' says how far the entry goes; .* such as 172.16.0.0/12, and take that"
    with pytest.raises(ListFileError, match=told):
        entries_of("a.csv", "prefix,Maske\n172.16.0.0,255.240.0.0\n", column="prefix")
    assert len(entries_of("a.csv", "prefix,Maske\n172.16.0.0/12,255.240.0.0\n", column="prefix")) == 1


@pytest.mark.parametrize(
    ("header", "part"), [("prefix,netmask", "netmask"), ("net,x", "x"), ("prefix,label,end", "end")]
)
def test_a_header_with_a_part_of_the_entries_has_no_dead_end(folder: Path, header: str, part: str) -> None:
    cells = "172.16.0.0,255.240.0.0" if part != "end" else "172.16.0.0,VPN,172.31.255.255"
    with pytest.raises(ListFileError, match=rf"^a.csv:1: the column '{part}' says how far the entry goes; write"):
        entries_of("a.csv", f"{header}\n{cells}\n")


@pytest.mark.parametrize("label", ["8", "floor 8", "10.0.0.0", "AS64500", "Room 0.0.1"])
def test_a_label_that_is_no_part_of_the_entry_is_kept(folder: Path, label: str) -> None:
    assert entries_of("a.csv", f"prefix,label\n10.0.0.0/8,{label}\n") == [("10.0.0.0/8", label)]


def test_a_label_that_is_the_entry_again_says_nothing_new(folder: Path) -> None:
    assert entries_of("a.csv", b"prefix,label\n10.0.0.5/32,10.0.0.5\n") == [("10.0.0.5/32", "10.0.0.5")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("10.0.0.0/8\n192.0.2.0/24\n", "write the row prefix above it"),
        ("10.0.0.0/8,VPN\n", "write the row prefix,label above it"),
        ("VPN,10.0.0.0/8\nHQ,192.0.2.0/24\n", "write the row label,prefix above it"),
        ("10.0.0.0/8,VPN,me\n", "write the row prefix,label,other2 above it and name two: --column prefix --label-col"),
        ("prefix,label\r\n10.0.0.0/8,VPN\r192.0.2.1,HQ\r\n", "a carriage return ends a line"),
        ("prefix;label\n10.0.0.0/8;corp, Berlin\n", "replace each ';' by ',' and put cells with a comma into quotes"),
        ('"prefix";"label"\n"10.0.0.0/8";"VPN"\n', "the cells are parted by ';'; CSV has commas"),
        ("prefix\tlabel\n10.0.0.0/8\tVPN\n", "replace each tab by ','"),
        (
            "prefix,label\r10.0.0.0/8,VPN\r",
            "a carriage return ends a line; lines end with a newline: tr '\\r' '\\n'",
        ),
        ("prefix,label,owner\n10.0.0.0/8,VPN,me\n", "--column prefix --label-column label reads these two and passes"),
        ("prefix,owner\n10.0.0.0/8,me\n", "--column prefix reads that one and passes over the others"),
    ],
)
def test_a_sheet_names_the_cause_and_the_cure(folder: Path, content: str, told: str) -> None:
    with pytest.raises(ListFileError, match=re.escape(told)):
        entries_of("a.csv", content.encode())


AWS = {
    "syncToken": "1",
    "createDate": "2026-01-01-00-00-00",
    "prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "x", "service": "S"}],
    "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32", "region": "x", "service": "S"}],
}


@pytest.mark.parametrize("lost", ["createDate", "prefixes", "ipv6_prefixes"])
def test_a_document_that_lacks_a_part_is_told_by_its_provider(folder: Path, lost: str) -> None:
    content = json.dumps({key: value for key, value in AWS.items() if key != lost}).encode()
    with pytest.raises(ListFileError, match=r"it looks like --format aws, of which a part is missing"):
        entries_of("a.json", content)
    if lost == "createDate":
        assert len(read_list("a.json", Format.AWS).entries) == 2
    else:
        with pytest.raises(ListFileError, match=f"^a.json: the key '{lost}' is missing; is the file whole"):
            read_list("a.json", Format.AWS)
