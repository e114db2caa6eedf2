"""A text list read without an object for each line: the same entries at the same lines as the slow way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Prefix
from cidrmatch._core import PrefixLines, number_of, numbered_prefixes, without_mark
from cidrmatch.files.line_lists import is_text, read_lines
from cidrmatch.files.lists import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

WRITTEN = ("10.0.0.0/8", "10.0.0.0", "10.0.0.0/9", "10.0.0.1", "2001:db8::/32", "2001:db8::", "2001:db8::/48", "::/0")
JUNK = (
    "junk",
    "10.0.0.1/8",
    "1.2.3.4 5",
    "ä",
    "10.0.0.0/8;",
    "\ufeff",
    "010.0.0.1",
    "\x00",
    "#",
    "",
    "\r",
    "::ffff:1.2.3.4",
)

lines_of_lists = st.lists(
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", " ", "\t", " \t "]),
        st.sampled_from(WRITTEN + JUNK),
        st.sampled_from(["", " ", "\t", "\r", " \r", "\r\r", " ; x"]),
        st.sampled_from(["", "", "# x", "#ä#", "\r"]),
    ),
    max_size=12,
)


def refused_by_twin(prefixes: Sequence[str]) -> int:
    return sum(not is_prefix(prefix) for prefix in prefixes)


def is_prefix(text: str) -> bool:
    try:
        Prefix(text)
    except ValueError:
        return False
    return True


@given(lines_of_lists, st.booleans(), st.booleans())
def test_entries_and_lines_are_those_of_the_slow_way(lines: list[str], has_mark: bool, ends: bool) -> None:
    text = "\ufeff" * has_mark + "\n".join(lines) + "\n" * ends
    expected = list(numbered_prefixes(without_mark(text)))
    found = PrefixLines(text.encode())
    assert found.refused == refused_by_twin(list(found))
    if found.refused:
        return
    assert [(found.line(i), found[i]) for i in range(len(found))] == expected
    assert list(found) == [prefix for _, prefix in expected]


@pytest.mark.parametrize("line", ["# x\r10.0.0.1", "10.0.0.1 # x\r", "10.0.0.1 ; x", "// x", "; x", "10.0.0.1 # x\r\r"])
def test_what_only_the_slow_way_knows_is_refused(line: str) -> None:
    assert PrefixLines(f"192.0.2.1\n{line}\n192.0.2.2".encode()).refused == (line.count("\r") != 1 or line[-1] != "\r")


@given(lines_of_lists)
def test_a_frozen_text_is_the_list_of_its_entries_with_their_first_lines(lines: list[str]) -> None:
    content = "\n".join(lines).encode()
    found = PrefixLines(content)
    numbered = list(numbered_prefixes(without_mark(content.decode())))
    if found.refused:
        with pytest.raises(ValueError, match="entries are no prefixes"):
            found.freeze()
        return
    allow = found.freeze()
    assert allow == AllowList(prefix for _, prefix in numbered)
    first: dict[Prefix, int] = {}
    for line, prefix in numbered:
        first.setdefault(Prefix(prefix), line)
    assert list(found.first_lines(allow)) == [first[entry.prefix] for entry in allow]
    assert found.freeze() == allow


@given(st.lists(st.sampled_from(WRITTEN)), st.sampled_from(WRITTEN))
def test_the_number_of_an_entry_is_its_place_in_the_list(prefixes: list[str], asked: str) -> None:
    allow, wanted = AllowList(prefixes), Prefix(asked)
    expected = next((number for number, entry in enumerate(allow) if entry.prefix == wanted), None)
    assert number_of(allow, wanted) == expected


def test_numbers_are_found_in_long_lists_of_both_families() -> None:
    texts = [f"10.{i >> 8}.{i & 255}.0/{length}" for i in range(40_000) for length in (24, 25)]
    texts += [f"2001:db8:{i:x}::/{length}" for i in range(40_000) for length in (48, 49, 128)]
    lines = PrefixLines("\n".join(reversed(texts)).encode())
    allow = lines.freeze()
    first = lines.first_lines(allow)
    for number in range(0, len(allow), 997):
        assert number_of(allow, allow[number].prefix) == number
        assert lines[first[number] - 1] == str(allow[number].prefix)


def test_a_list_of_another_text_has_no_lines() -> None:
    with pytest.raises(ValueError, match="entry 0 is not in the list"):
        PrefixLines(b"10.0.0.0/8").first_lines(AllowList(["10.0.0.0/9", "::/0"]))
    with pytest.raises(ValueError, match="entry 0 is not in the list"):
        PrefixLines(b"::/1").first_lines(AllowList(["10.0.0.0/9"]))


@pytest.mark.parametrize("number", [-1, 1])
def test_an_entry_that_is_not_there_is_an_index_error(number: int) -> None:
    lines = PrefixLines(b"10.0.0.0/8")
    with pytest.raises(IndexError, match=f"1 entries, no entry {number}"):
        lines[number]
    with pytest.raises(IndexError, match=f"1 entries, no entry {number}"):
        lines.line(number)


def test_the_short_way_is_left_to_texts_that_need_no_words() -> None:
    assert read_lines(b"10.0.0.0/8 # \xc3\xa4") is not None
    assert read_lines(b"10.0.0.0/8 # \xff") is None
    assert read_lines(b"10.0.0.0/8\njunk") is None
    assert (is_text("-"), is_text("a.TXT"), is_text("a.csv"), is_text("a")) == (True, True, False, False)
    assert (is_text("a.csv", Format.TEXT), is_text("a.txt", Format.CSV), is_text("-", Format.JSON)) == (
        True,
        False,
        False,
    )
