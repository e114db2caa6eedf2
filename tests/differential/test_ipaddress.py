"""Ours against `ipaddress`: the same for every text, except for the rows of `known_differences.py`."""

import ipaddress
from typing import Any

import pytest
from hypothesis import example, given

from cidrmatch import InvalidText, format_address, parse_prefix
from tests.differential.known_differences import DIFFERENCES, Difference
from tests.strategies import any_texts, damaged, prefix_texts, wrong_lengths


def theirs(reads: str, value: Any) -> str | None:
    try:
        return str(getattr(ipaddress, reads)(value))
    except ValueError:
        return None


def ours(reads: str, value: Any) -> str | None:
    try:
        return format_address(value) if reads == "ip_address" else str(parse_prefix(value))
    except (InvalidText, TypeError):
        return None


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.name)
def test_row_is_a_real_difference(row: Difference) -> None:
    assert theirs(row.reads, row.example) == row.theirs
    assert ours(row.reads, row.example) == row.ours
    assert row.theirs != row.ours
    assert row.reason.endswith(".")
    assert isinstance(row.example, str) == (row.is_kind is not None)
    assert row.is_kind is None or row.is_kind(row.example)


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in DIFFERENCES}) == len(DIFFERENCES)


def check_no_other_difference(text: str) -> None:
    for reads in ("ip_address", "ip_network"):
        their_answer, our_answer = theirs(reads, text), ours(reads, text)
        if their_answer == our_answer:
            continue
        rows = [row.name for row in DIFFERENCES if row.reads == reads and row.is_kind and row.is_kind(text)]
        assert rows, f"{reads}({text!r}) gives {their_answer}, we give {our_answer}, and no row explains it"


@given(any_texts())
@example("10.0.0.0/8 ")
@example("1:2:3:4:5:6:7::")
@example("::ffff:0:0/95")
@example("255.255.255.255/32")
def test_no_text_differs_without_a_row(text: str) -> None:
    check_no_other_difference(text)


@given(damaged(prefix_texts()))
def test_no_damaged_prefix_differs_without_a_row(text: str) -> None:
    check_no_other_difference(text)


@given(wrong_lengths())
def test_no_odd_length_differs_without_a_row(text: str) -> None:
    check_no_other_difference(text)


@pytest.mark.parametrize("address", ["0.0.0.0", "128.0.0.0", "::", "8000::", "::ffff:0.0.0.0"])
def test_no_length_differs_without_a_row(address: str) -> None:
    for length in range(300):
        check_no_other_difference(f"{address}/{length}")
        check_no_other_difference(f"{address}/{length:03}")


def test_what_we_take_they_take_too() -> None:
    """Rows only ever make us stricter, or fold a mapped address: nothing is taken here that they refuse."""
    assert all(row.theirs is not None for row in DIFFERENCES)
