"""The exception family: who is whose child, what an error tells, and that it can be shown, copied and pickled."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from cidrmatch import (
    AllowList,
    CidrmatchError,
    InvalidAddress,
    InvalidPrefix,
    InvalidText,
    Policy,
    PolicyError,
    parse_address,
    parse_prefix,
)


def caught_from(read: Callable[[Any], object], text: Any) -> InvalidText:
    with pytest.raises(InvalidText) as caught:
        read(text)
    return caught.value


def test_family_of_errors() -> None:
    assert issubclass(InvalidAddress, InvalidText)
    assert issubclass(InvalidPrefix, InvalidText)
    assert issubclass(InvalidText, CidrmatchError)
    assert issubclass(InvalidText, ValueError)
    assert issubclass(PolicyError, CidrmatchError)
    assert issubclass(PolicyError, ValueError)
    assert not issubclass(InvalidAddress, InvalidPrefix)
    assert not issubclass(InvalidPrefix, InvalidAddress)
    assert not issubclass(CidrmatchError, (TypeError, LookupError))


def test_address_and_prefix_errors_are_told_apart() -> None:
    assert type(caught_from(parse_address, "junk")) is InvalidAddress
    assert type(caught_from(parse_prefix, "junk")) is InvalidPrefix
    assert "not an address" in str(caught_from(parse_address, "junk"))
    assert "not a prefix" in str(caught_from(parse_prefix, "junk"))


def test_message_shows_text_reason_position_and_suggestion() -> None:
    error = caught_from(parse_prefix, "203.0.113.7/24")
    assert str(error) == (
        f"'203.0.113.7/24' is not a prefix: {error.reason} (at position {error.position}); did you mean 203.0.113.0/24?"
    )
    assert "host bits" in error.reason


def test_message_says_which_entry() -> None:
    error = caught_from(AllowList, ["10.0.0.0/8", "junk"])
    assert (error.index, error.text) == (1, "junk")
    assert str(error).startswith("entry 1: 'junk' is not a prefix")


def test_error_of_a_single_text_has_no_index() -> None:
    assert caught_from(parse_address, "junk").index is None
    assert caught_from(parse_prefix, "junk").index is None


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1\n",
        "\x1b[31m10.0.0.1",
        "\0",
        "\ud800",
        "\uff11.2.3.4",
        "10.0.0.1\u202e",
        "'; DROP TABLE keys; --",
        "\x7f",
    ],
)
def test_message_is_one_printable_ascii_line(text: str) -> None:
    for read in (parse_address, parse_prefix):
        error = caught_from(read, text)
        assert str(error).isascii()
        assert str(error).isprintable()
        assert error.text == text, "the text itself is kept as it was"


@pytest.mark.parametrize(
    "text", ["1" * 10_000_000, "\n" * 10_000_000, "10.0.0.0/" + "8" * 10_000_000, "::" + "é" * 10**6]
)
def test_message_about_a_huge_text_is_short(text: str) -> None:
    for read in (parse_address, parse_prefix):
        error = caught_from(read, text)
        assert len(str(error)) < 1000
        assert len(error.reason) < 300
        assert error.suggestion is None or len(error.suggestion) < 100
        assert error.text == text


def test_huge_packed_value_is_refused_with_a_short_message() -> None:
    for read in (parse_address, parse_prefix):
        assert len(str(caught_from(read, bytes(10_000_000)))) < 1000


def test_there_is_one_error_and_no_second_on_top() -> None:
    for read in (parse_address, parse_prefix):
        error = caught_from(read, "10.0.0.256")
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickle(protocol: int) -> None:
    for read, text in [(parse_address, "junk"), (parse_prefix, "203.0.113.7/24"), (AllowList, ["x"])]:
        error = caught_from(read, text)  # type: ignore[arg-type]
        twin = pickle.loads(pickle.dumps(error, protocol))
        assert type(twin) is type(error)
        assert (twin.text, twin.position, twin.code, twin.reason) == (
            error.text,
            error.position,
            error.code,
            error.reason,
        )
        assert (twin.suggestion, twin.index, str(twin)) == (error.suggestion, error.index, str(error))


def test_errors_survive_copy() -> None:
    error = caught_from(parse_prefix, "203.0.113.7/24")
    assert str(copy.copy(error)) == str(copy.deepcopy(error)) == str(error)


def test_policy_error_carries_its_report_and_lists_every_error() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy().accept(["junk", "203.0.113.5", "203.0.113.7/24"])
    assert [problem.index for problem in caught.value.report.errors] == [0, 2]
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 errors in the list; nothing was applied"
    assert len(lines) == 3
    assert "'junk'" in lines[1]
    assert "203.0.113.0/24" in lines[2]


def test_policy_error_survives_pickle() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy().accept(["junk"])
    twin = pickle.loads(pickle.dumps(caught.value))
    assert str(twin) == str(caught.value)
    assert twin.report == caught.value.report


def test_one_error_is_counted_as_one() -> None:
    with pytest.raises(PolicyError, match=r"^1 error in the list"):
        Policy().accept(["junk"])
