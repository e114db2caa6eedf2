"""Files of entries: what each format takes, where each entry stands, and what is refused.

The rule under test is that nothing is guessed and nothing is lost: every entry
of a file comes out, with its place, or the file is refused.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import CidrmatchError
from cidrmatch.files.documents import STDIN
from cidrmatch.files.items import has_address
from cidrmatch.files.lists import Format, ListFile, ListFileError, read_list

if TYPE_CHECKING:
    from pathlib import Path

Pairs = list[tuple[str, str | None]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, so that places are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(folder: Path, name: str, content: str | bytes, file_format: Format | None = None) -> ListFile:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_list(name, file_format)


def refuse(folder: Path, name: str, content: str | bytes) -> str:
    with pytest.raises(ListFileError) as caught:
        read(folder, name, content)
    return str(caught.value)


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))


# -- Text ---------------------------------------------------------------------


def test_text_has_one_entry_a_line_without_comments_and_blank_lines(folder: Path) -> None:
    listed = read(folder, "a.txt", "# all\n\n203.0.113.5\n \t10.0.0.0/8 \t# VPN # two\n2001:db8::/48#office\n   \n#")
    assert listed.entries == (("203.0.113.5", None), ("10.0.0.0/8", None), ("2001:db8::/48", None))
    assert listed.marks == (3, 4, 5)
    assert [listed.place(index) for index in range(3)] == ["a.txt:3", "a.txt:4", "a.txt:5"]


def test_windows_line_ends_are_line_ends(folder: Path) -> None:
    assert read(folder, "a.txt", "1.2.3.4\r\n5.6.7.8 # x\r\n").entries == (("1.2.3.4", None), ("5.6.7.8", None))


@pytest.mark.parametrize("separator", ["\r", "\v", "\f", "\x1c", "\x85", "\u2028", " ", ",", ";", "\u00a0"])
def test_nothing_but_a_newline_parts_two_entries(folder: Path, separator: str) -> None:
    text = f"1.2.3.4{separator}5.6.7.8"
    assert read(folder, "a.txt", text).entries == ((text, None),)
    assert read(folder, "a.txt", f"# all\n{text}").entries == ((text, None),)


@pytest.mark.parametrize("mark", [";", "//"])
def test_other_comments_begin_a_line_or_stand_behind_white_space(folder: Path, mark: str) -> None:
    text = f"{mark} all\n1.2.3.4 {mark} office\r\n\t{mark}x\n5.6.7.8\t{mark}SBL1 # x\n9.9.9.9 # {mark}"
    listed = read(folder, "a.txt", text)
    assert listed.entries == (("1.2.3.4", None), ("5.6.7.8", None), ("9.9.9.9", None))
    assert listed.marks == (2, 4, 5)


@pytest.mark.parametrize("mark", [";", "//"])
@pytest.mark.parametrize("behind", ["5.6.7.8", " 5.6.7.8 office", "2001:db8::/32", "5.6.7.8-9"])
def test_no_entry_hides_in_a_comment_behind_an_entry(folder: Path, mark: str, behind: str) -> None:
    line = f"1.2.3.4 {mark}{behind}"
    assert read(folder, "a.txt", line).entries == ((line, None),)


def test_a_comment_hides_no_line_where_carriage_returns_end_the_lines(folder: Path) -> None:
    assert read(folder, "a.txt", "# all\r1.2.3.4\r5.6.7.8\r").entries == (("# all\r1.2.3.4\r5.6.7.8", None),)
    assert read(folder, "a.txt", "1.2.3.4\r").entries == (("1.2.3.4", None),)
    assert read(folder, "a.txt", "1.2.3.4;office").entries == (("1.2.3.4;office", None),)


@pytest.mark.parametrize("name", ["a.netset", "a.ipset"])
def test_lists_of_firewalls_are_text(folder: Path, name: str) -> None:
    assert read(folder, name, "#\n# a list\n#\n1.2.3.0/24\n").entries == (("1.2.3.0/24", None),)


def test_a_byte_order_mark_is_taken_off_once(folder: Path) -> None:
    assert read(folder, "a.txt", "\ufeff1.2.3.4").entries == (("1.2.3.4", None),)
    assert read(folder, "a.csv", "\ufeffprefix\n1.2.3.4").entries == (("1.2.3.4", None),)
    assert read(folder, "a.json", '\ufeff["1.2.3.4"]').entries == (("1.2.3.4", None),)
    assert read(folder, "a.toml", '\ufeffentries = ["1.2.3.4"]').entries == (("1.2.3.4", None),)
    assert read(folder, "a.txt", "\ufeff\ufeff1.2.3.4").entries == (("\ufeff1.2.3.4", None),)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", ""), ("a.txt", "# none"), ("a.csv", "prefix\n"), ("a.json", "[]"), ("a.toml", "entries=[]")],
)
def test_an_empty_list_is_a_list(folder: Path, name: str, content: str) -> None:
    assert read(folder, name, content) == ListFile(name, (), ())


# -- CSV ----------------------------------------------------------------------


def test_csv_rows_have_a_prefix_and_perhaps_a_label(folder: Path) -> None:
    listed = read(folder, "a.csv", "prefix,label\n203.0.113.5,Office\n10.0.0.0/8,\n")
    assert listed.entries == (("203.0.113.5", "Office"), ("10.0.0.0/8", None))
    assert listed.place(1) == "a.csv:3"


def test_csv_columns_stand_in_any_order(folder: Path) -> None:
    assert read(folder, "a.csv", "label,prefix\r\nOffice,203.0.113.5\r\n").entries == (("203.0.113.5", "Office"),)


def test_csv_lines_are_counted_through_blank_lines_and_labels_of_several_lines(folder: Path) -> None:
    listed = read(folder, "a.csv", '\n\nprefix,label\n1.2.3.4,"one, ""two""\nthree"\n\n5.6.7.8,x\n')
    assert listed.entries == (("1.2.3.4", 'one, "two"\nthree'), ("5.6.7.8", "x"))
    assert listed.marks == (4, 7)


def test_csv_cells_are_taken_to_the_letter(folder: Path) -> None:
    listed = read(folder, "a.csv", "prefix,label\n 1.2.3.4 , x \n,lonely\n#1.1.1.1,y\n")
    assert listed.entries == ((" 1.2.3.4 ", " x "), ("", "lonely"), ("#1.1.1.1", "y"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.csv:1: a header row with the column prefix, and perhaps label, was expected"),
        ("label\nx", "a.csv:1: a header row with the column prefix, and perhaps label, was expected"),
        ("\n1.2.3.4,Office\n", "a.csv:2: the first row is an entry, not a header; write the row prefix,label above it"),
        (
            "prefix,note\n1.2.3.4,x",
            "a.csv:1: unknown column 'note'; the columns are prefix and label; --column prefix reads that one and"
            " passes over the others",
        ),
        (
            "prefix, label\n",
            "a.csv:1: unknown column ' label'; the columns are prefix and label, in small letters and without white"
            " space: write the header prefix,label",
        ),
        (
            "Prefix\n",
            "a.csv:1: unknown column 'Prefix'; the columns are prefix and label, in small letters and without white"
            " space: write the header prefix",
        ),
        ("prefix,label,prefix\n", "a.csv:1: a column is named twice"),
        ("prefix,label\n1.2.3.4\n", "a.csv:2: the number of cells differs from the header's: 1, not 2"),
        ("prefix\n1.2.3.4\n5.6.7.8,9.9.9.9\n", "a.csv:3: the number of cells differs from the header's: 2, not 1"),
        ('prefix\n"1.2.3.4"x\n', "a.csv:2: is not CSV: ',' expected after '\"'"),
        ('prefix\n1.2.3.4\n"5.6.7.8\n9.9.9.9\n', "a.csv:3: is not CSV: unexpected end of data"),
        ("prefix\n" + "1" * 200_000, "a.csv:2: is not CSV: field larger than field limit (131072)"),
    ],
)
def test_csv_that_might_lose_an_entry_is_refused(folder: Path, content: str, message: str) -> None:
    assert refuse(folder, "a.csv", content) == message


def test_csv_with_a_bare_carriage_return_is_refused(folder: Path) -> None:
    assert refuse(folder, "a.csv", "prefix\n1.2.3.4\r5.6.7.8\n").startswith("a.csv:2: is not CSV: a carriage return")


# -- JSON and TOML ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "marks"),
    [
        ("a.json", '["1.2.3.4", {"prefix": "5.6.7.8", "label": "x"}, {"prefix": "::1"}]', ("[0]", "[1]", "[2]")),
        (
            "a.json",
            '{"entries": ["1.2.3.4", {"label": "x", "prefix": "5.6.7.8"}, {"prefix": "::1", "label": null}]}',
            ("entries[0]", "entries[1]", "entries[2]"),
        ),
        (
            "a.toml",
            'entries = ["1.2.3.4", {prefix = "5.6.7.8", label = "x"}, {prefix = "::1"}]',
            ("entries[0]", "entries[1]", "entries[2]"),
        ),
        (
            "a.toml",
            '[[entries]]\nprefix="1.2.3.4"\n[[entries]]\nprefix="5.6.7.8"\nlabel="x"\n[[entries]]\nprefix="::1"',
            ("entries[0]", "entries[1]", "entries[2]"),
        ),
    ],
)
def test_documents_hold_texts_and_objects(folder: Path, name: str, content: str, marks: tuple[str, ...]) -> None:
    listed = read(folder, name, content)
    assert listed.entries == (("1.2.3.4", None), ("5.6.7.8", "x"), ("::1", None))
    assert listed.marks == marks
    assert listed.place(1) == f"{name}:{marks[1]}"


def test_an_empty_label_in_a_document_is_kept_for_the_policy_to_judge(folder: Path) -> None:
    assert read(folder, "a.json", '[{"prefix": "1.2.3.4", "label": ""}]').entries == (("1.2.3.4", ""),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.json:1: is not JSON: Expecting value (column 1)"),
        ('[\n"1.2.3.4"\n"5.6.7.8"]', "a.json:3: is not JSON: Expecting ',' delimiter (column 1)"),
        (
            '["1.2.3.4"] # office',
            "a.json:1: is not JSON: JSON has no comments; take the comment out, or keep the list as text or TOML"
            " (column 13)",
        ),
        ('"1.2.3.4"', "a.json: a list of entries was expected, not a text"),
        ("null", "a.json: a list of entries was expected, not null"),
        ("{}", "a.json: the key 'entries' is missing"),
        ('{"entries": null}', "a.json: the key 'entries' must be a list, not null"),
        ('{"entries": {"prefix": "1.2.3.4"}}', "a.json: the key 'entries' must be a list, not an object"),
        ('{"entries": [], "Entries": ["1.2.3.4"]}', "a.json: unknown key 'Entries'; known: entries"),
        (
            '{"prefix": "1.2.3.4"}',
            "a.json: one entry stands alone; write a list around it: [...], or name JSON lines: --format jsonl",
        ),
        ('["1.2.3.4", 5]', "a.json:[1]: an entry is a text or an object with prefix and label, not a number"),
        ("[1.5]", "a.json:[0]: an entry is a text or an object with prefix and label, not a number"),
        ("[true]", "a.json:[0]: an entry is a text or an object with prefix and label, not a boolean"),
        ('[["1.2.3.4", "x"]]', "a.json:[0]: an entry is a text or an object with prefix and label, not a list"),
        ("[{}]", "a.json:[0]: the key 'prefix' is missing"),
        ('[{"label": "x"}]', "a.json:[0]: the key 'prefix' is missing"),
        ('[{"prefix": null}]', "a.json:[0]: the key 'prefix' must be a text, not null"),
        ('[{"prefix": "1.2.3.4", "label": 5}]', "a.json:[0]: the key 'label' must be a text, not a number"),
        (
            '{"entries": [{"prefix": "1.2.3.4", "l\\n": 5}]}',
            "a.json:entries[0]: unknown key 'l\\n'; known: prefix, label",
        ),
    ],
)
def test_json_of_another_shape_is_refused(folder: Path, content: str, message: str) -> None:
    assert refuse(folder, "a.json", content) == message


@pytest.mark.parametrize(
    "content",
    ['{"entries": ["1.2.3.4"], "entries": []}', '[{"prefix": "1.2.3.4", "prefix": "5.6.7.8"}]'],
)
def test_a_json_key_that_stands_twice_is_refused(folder: Path, content: str) -> None:
    assert "stands twice" in refuse(folder, "a.json", content)


@pytest.mark.parametrize("content", ["[" * 200_000, "[" + "1" * 5000 + "]"])
def test_json_beyond_all_bounds_is_refused(folder: Path, content: str) -> None:
    assert refuse(folder, "a.json", content).startswith("a.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.toml: the key 'entries' is missing"),
        ("entries = 5", "a.toml: the key 'entries' must be a list, not a number"),
        ("entries = []\nname = 'x'", "a.toml: unknown key 'name'; known: entries"),
        (
            "entries = [1979-05-27]",
            "a.toml:entries[0]: an entry is a text or an object with prefix and label, not a value of type date",
        ),
        ("entries = [{prefix = '1.2.3.4', note = 'x'}]", "a.toml:entries[0]: unknown key 'note'; known: prefix, label"),
    ],
)
def test_toml_of_another_shape_is_refused(folder: Path, content: str, message: str) -> None:
    assert refuse(folder, "a.toml", content) == message


@pytest.mark.parametrize(
    "content", ["entries = [", "entries = []\nentries = ['1.2.3.4']", "1.2.3.4", "entries=" + "[" * 200_000]
)
def test_text_that_is_no_toml_is_refused(folder: Path, content: str) -> None:
    assert refuse(folder, "a.toml", content).startswith("a.toml: is not TOML: ")


# -- Which format -------------------------------------------------------------


def test_the_suffix_tells_the_format_in_either_case(folder: Path) -> None:
    assert read(folder, "A.JSON", "[]").entries == ()


@pytest.mark.parametrize("name", ["list", "list.conf", "list.txt.bak", ".csv"])
def test_a_suffix_that_tells_no_format_is_refused(folder: Path, name: str) -> None:
    told = f"{name}: the suffix tells no format; name one (--format): text, csv, json, jsonl, toml, "
    assert refuse(folder, name, "").startswith(told)


def test_a_named_format_wins_over_the_suffix(folder: Path) -> None:
    assert read(folder, "list.txt", "prefix\n1.2.3.4", Format.CSV).entries == (("1.2.3.4", None),)
    assert read(folder, "list", "1.2.3.4", Format.TEXT).entries == (("1.2.3.4", None),)


def test_standard_input_is_text_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, b"1.2.3.4\n")
    listed = read_list(STDIN)
    assert (listed.entries, listed.place(0)) == ((("1.2.3.4", None),), "<stdin>:1")
    give_stdin(monkeypatch, '["1.2.3.4", {"prefix": "::1", "label": "Büro"}]'.encode())
    assert read_list(STDIN, Format.JSON).entries == (("1.2.3.4", None), ("::1", "Büro"))


# -- What cannot be read ------------------------------------------------------


def test_a_missing_file_is_refused(folder: Path) -> None:
    with pytest.raises(ListFileError, match=r"^none\.txt: cannot be read: No such file or directory$"):
        read_list("none.txt")


def test_a_folder_is_refused(folder: Path) -> None:
    (folder / "a.txt").mkdir()
    with pytest.raises(ListFileError, match=r"^a\.txt: cannot be read: Is a directory$"):
        read_list(folder.joinpath("a.txt").relative_to(folder))


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(ListFileError, match="cannot be read: embedded null"):
        read_list("a\0.txt")


def test_missing_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ListFileError, match=r"^<stdin>: cannot be read: there is no standard input$"):
        read_list(STDIN)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1.2.3.4\n5.6.7.8 # B\xfcro\n", "a.txt:2: is not UTF-8: byte 0xfc"),
        (b"\xef\xbb\xbf\n\xff", "a.txt:2: is not UTF-8: byte 0xff"),
        ("1.2.3.4\n".encode("utf-16") + b"x", "a.txt: begins with the mark of UTF-16, but is not UTF-16"),
        (b"# cut off \xe2\x82", "a.txt:1: is not UTF-8: byte 0xe2"),
    ],
)
def test_bytes_that_are_not_utf8_are_refused_with_their_line(folder: Path, content: bytes, message: str) -> None:
    assert refuse(folder, "a.txt", content) == message


def test_the_error_is_one_of_the_family_and_holds_its_parts() -> None:
    error = ListFileError("a.csv:3", "is wrong")
    assert isinstance(error, CidrmatchError)
    assert isinstance(error, ValueError)
    assert (error.place, error.reason, str(error)) == ("a.csv:3", "is wrong", "a.csv:3: is wrong")


# -- Laws ---------------------------------------------------------------------

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.text(characters, max_size=20)
labels = st.text(characters, min_size=1, max_size=20).filter(lambda label: not has_address(label))
pairs = st.lists(st.tuples(texts, st.none() | labels))


@given(pairs)
def test_json_and_csv_give_back_every_entry_that_was_written(written: Pairs) -> None:
    table = io.StringIO(newline="")
    csv.writer(table).writerows([("prefix", "label"), *written])
    document = json.dumps([{"prefix": prefix, "label": label} for prefix, label in written], ensure_ascii=False)
    for file_format, content in ((Format.CSV, table.getvalue()), (Format.JSON, document)):
        with pytest.MonkeyPatch.context() as monkeypatch:
            give_stdin(monkeypatch, content.encode())
            # The label is named, so that it may be any text, and also a mask.
            assert list(read_list(STDIN, file_format, label_column="label").entries) == written


@given(st.binary(max_size=60), st.sampled_from(Format))
def test_any_bytes_are_a_list_or_a_list_file_error(content: bytes, file_format: Format) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        give_stdin(monkeypatch, content)
        try:
            listed = read_list(STDIN, file_format)
        except ListFileError:
            return
    assert len(listed.entries) == len(listed.marks)


def test_a_toml_key_of_very_many_parts_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("# fine\n" + "a." * 20_000 + "a = 1", encoding="utf-8")
    tracemalloc.start()
    with pytest.raises(ListFileError, match=r"a.toml: is not TOML: a key has more than 64 parts \(at line 2\)"):
        read_list(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_file_of_no_bytes_is_an_empty_list(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"")
    assert read_list(path).entries == ()


# -- Bytes that the caller has already ----------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", b"\xef\xbb\xbf203.0.113.5\n"), ("a.csv", b"prefix,label\n203.0.113.5,HQ\n"), ("a.json", b'["::/0"]')],
)
def test_bytes_are_read_as_the_file_that_holds_them(folder: Path, name: str, content: bytes) -> None:
    from_file = read(folder, name, content)
    (folder / name).unlink()
    assert read_list(name, content=content) == from_file


def test_bytes_named_as_standard_input_are_text_and_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, b"::/0\n")
    assert read_list(STDIN, content=b"203.0.113.5\n").entries == (("203.0.113.5", None),)
    assert read_list(STDIN, content=b"").entries == ()
    with pytest.raises(ListFileError, match="<stdin>:2: is not UTF-8"):
        read_list(STDIN, content=b"203.0.113.5\n\xff")


@pytest.mark.parametrize("name", ["a.json", "a.toml"])
def test_a_document_may_name_its_schema_for_editors(folder: Path, name: str) -> None:
    written = {"a.json": '{"$schema": "x", "entries": ["1.2.3.4"]}', "a.toml": '"$schema" = "x"\nentries = ["1.2.3.4"]'}
    assert read(folder, name, written[name]).entries == (("1.2.3.4", None),)
    assert refuse(folder, name, written[name].replace('"x"', '["1.2.3.4"]')).endswith("'$schema' must be a text")
    assert "unknown key '$schemas'" in refuse(folder, name, written[name].replace("$schema", "$schemas"))
