"""Documents: how a place is written, and what is refused before anybody looks at the values."""

from __future__ import annotations

from pathlib import Path

import pytest

from cidrmatch import CidrmatchError
from cidrmatch.files.documents import (
    STDIN,
    DocumentError,
    Place,
    name_of,
    noun_of,
    parse_json,
    parse_toml,
    path_of,
    place_in,
    read_text,
)


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ((), ""),
        (("default",), "default"),
        (("keys", 3, "entries", 0), "keys[3].entries[0]"),
        ((0,), "[0]"),
        ((0, "label"), "[0].label"),
    ],
)
def test_a_path_is_written_as_people_would(place: Place, path: str) -> None:
    assert path_of(place) == path


def test_a_place_is_the_document_and_where_in_it() -> None:
    assert place_in("office.csv", 17) == "office.csv:17"
    assert place_in("keys.toml", "keys[3]") == "keys.toml:keys[3]"
    assert place_in("keys.toml", "") == place_in("keys.toml", None) == "keys.toml"
    assert (name_of(STDIN), name_of(Path("a.toml"))) == ("<stdin>", "a.toml")


def test_a_text_comes_without_its_byte_order_mark_and_what_is_no_text_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfB\xc3\xbcro\r\n")
    assert read_text(path) == "Büro\r\n"
    path.write_bytes(b"one\ntwo\xff")
    with pytest.raises(DocumentError) as refused:
        read_text(path)
    assert (refused.value.place, refused.value.reason) == (f"{path}:2", "is not UTF-8: byte 0xff")
    assert str(refused.value) == f"{path}:2: is not UTF-8: byte 0xff"
    assert isinstance(refused.value, CidrmatchError)
    with pytest.raises(DocumentError, match=r"cannot be read: No such file"):
        read_text(tmp_path / "none.txt")


def test_what_stands_twice_or_would_choke_a_parser_is_refused() -> None:
    assert parse_json('{"a": [1, null]}') == {"a": [1, None]}
    with pytest.raises(ValueError, match="the key 'a' stands twice"):
        parse_json('[{"a": 1, "a": 2}]')
    assert parse_toml("a.b = 1") == {"a": {"b": 1}}
    with pytest.raises(ValueError, match="a key has more than 64 parts"):
        parse_toml("a" + ".a" * 64 + " = 1")


def test_a_value_is_called_as_its_author_would() -> None:
    values: list[object] = [None, True, 1, 1.5, "", [], {}, set()]
    assert list(map(noun_of, values)) == [
        "null",
        "a boolean",
        "a number",
        "a number",
        "a text",
        "a list",
        "an object",
        "a value of type set",
    ]
