"""Columns of addresses and of requests: each row is what a single call says, in every form that Arrow has for it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Engine, InvalidAddress, Reason, parse_address
from cidrmatch.service.frames.answers import LIST_REASONS, REASONS, Deciding, Listing
from tests.frames.rows import (
    JUNK,
    KEYS,
    OFFICE,
    SECRET,
    addresses,
    clock,
    differences,
    engine_row,
    filled,
    keys,
    list_row,
    new_engine,
    saved,
)
from tests.strategies import any_texts
from tests.unit.test_arrow import Lender

ROWS = 3000
ASKED = [*JUNK, None, *addresses(ROWS, 1)]


def in_chunks(values: pa.Array) -> pa.ChunkedArray:
    """Cut an array, also into chunks without a row."""
    cuts = sorted(min(cut, len(values)) for cut in (0, 0, 1, 7, 7, 1000, len(values) // 2, len(values), len(values)))
    return pa.chunked_array([values[a:b] for a, b in pairwise(cuts)], values.type)


def behind_others(values: pa.Array) -> pa.Array:
    """Give the same items as a slice of a longer array, not at a whole byte of the bits for nulls."""
    other = pa.array(["203.0.113.7", None] * 7, pa.string()).cast(values.type)
    return pa.concat_arrays([other[:13], values, other])[13 : 13 + len(values)]


FORMS: dict[str, Callable[[pa.Array], Any]] = {
    "string": lambda values: values,
    "large_string": lambda values: values.cast(pa.large_string()),
    "string_view": lambda values: values.cast(pa.string_view()),
    "dictionary": lambda values: values.dictionary_encode(),
    "chunks": in_chunks,
    "chunks of a dictionary": lambda values: in_chunks(values.dictionary_encode()),
    "slice": behind_others,
    "slice of views": lambda values: behind_others(values.cast(pa.string_view())),
}


# A list


@pytest.mark.parametrize("form", FORMS)
def test_a_column_of_texts_says_what_single_calls_say(form: str) -> None:
    found = Listing(OFFICE).answer(FORMS[form](pa.array(ASKED, pa.string())))
    assert differences(found.to_pylist(), [list_row(OFFICE, text) for text in ASKED], ASKED) == []
    assert found.field("listed").null_count == found.field("reason").null_count == 0
    assert {"matched", "ip_not_listed", "leading_zero", "not_ascii", "not_given", "zone_id"} <= {
        row["reason"] for row in found.to_pylist()
    }


PACKED = [*map(parse_address, ("203.0.113.7", "10.0.0.1", "2001:db8::1", "::1", "9.9.9.9", "0.0.0.0"))] * 50
MIXED = [*PACKED, None, b"", b"abc", b"203.0.113.7", bytes(17), ip_address("::ffff:203.0.113.65").packed]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_a_column_of_packed_addresses_of_both_families(kind: pa.DataType) -> None:
    found = Listing(OFFICE).answer(pa.array(MIXED, kind))
    assert found.to_pylist() == [list_row(OFFICE, packed) for packed in MIXED]
    assert found.to_pylist()[-1]["prefix"] == "203.0.113.64/26"


@pytest.mark.parametrize("size", [4, 16])
def test_a_column_of_packed_addresses_of_one_size(size: int) -> None:
    packed = [each for each in PACKED if len(each) == size] + [None]
    found = Listing(OFFICE).answer(pa.array(packed, pa.binary(size)))
    assert found.to_pylist() == [list_row(OFFICE, each) for each in packed]


def test_a_column_of_numbers() -> None:
    packed = [each for each in PACKED if len(each) == 4]
    numbers = [*(int.from_bytes(each, "big") for each in packed), None]
    found = Listing(OFFICE).answer(pa.array(numbers, pa.uint32()))
    assert found.to_pylist() == [list_row(OFFICE, each) for each in [*packed, None]]


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_column_has_an_empty_answer(form: str) -> None:
    assert len(Listing(OFFICE).answer(FORMS[form](pa.array([], pa.string())))) == 0
    assert len(Listing(OFFICE).answer(pa.chunked_array([], pa.string()))) == 0


def test_a_column_without_a_type_has_only_nulls() -> None:
    assert Listing(OFFICE).answer(pa.nulls(3)).to_pylist() == [list_row(OFFICE, None)] * 3


def test_an_empty_list_lists_nobody() -> None:
    nobody = AllowList()
    assert Listing(nobody).answer(pa.array(ASKED)).to_pylist() == [list_row(nobody, text) for text in ASKED]


@given(st.lists(st.none() | any_texts(), max_size=12), st.sampled_from(sorted(FORMS)))
def test_any_texts_say_what_single_calls_say(texts: list[str | None], form: str) -> None:
    whole = [text for text in texts if text is None or text.isprintable() or text.isascii()]
    found = Listing(OFFICE).answer(FORMS[form](pa.array(whole * 3, pa.string())))
    assert found.to_pylist() == [list_row(OFFICE, text) for text in whole * 3]


def test_a_column_of_another_type_is_refused() -> None:
    for column in (pa.array([1, 2], pa.int64()), pa.array([1.5]), pa.array([["1.2.3.4"]])):
        with pytest.raises(TypeError, match="Arrow array of addresses has format"):
            Listing(OFFICE).answer(column)
    with pytest.raises(TypeError, match="a column is an Arrow array, not _Loose"):
        Listing(OFFICE).answer(_Loose(["1.2.3.4"]))
    with pytest.raises(TypeError, match="the list is an AllowList, not list"):
        Listing(["1.2.3.4"])  # type: ignore[arg-type]


class _Loose(list[str]):
    """A list that says it has a type of Arrow."""

    type = pa.string()


def test_binary_is_of_columns_only_because_a_batch_raises_for_a_text_in_it() -> None:
    with pytest.raises(TypeError, match="not 'z'"):
        OFFICE.contains_many(pa.array([b"1234"]))


@pytest.mark.parametrize("code", [b"vu", b"vz"])
def test_a_text_outside_of_its_buffer_refuses_the_column(code: bytes) -> None:
    inside = struct.pack("<i12s", 7, b"1.2.3.4")
    outside = struct.pack("<i4sii", 30, b"2001", 0, 0)
    lent = Lender(code, 3, None, inside + inside + outside, bytes(20), struct.pack("<q", 20))
    with pytest.raises(ValueError, match="text 2 does not lie in its buffer"):
        Listing(OFFICE).answer(_Typed(lent))
    assert sorted(lent.drop()) == ["Array", "Schema"]


class _Typed:
    """An array made by hand, with a type that says nothing."""

    type = pa.string()

    def __init__(self, lent: Lender) -> None:
        self.__lent = lent

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        return self.__lent.__arrow_c_array__(requested_schema)


def test_every_reason_of_a_list_is_one_of_the_core() -> None:
    assert set(REASONS) == set(map(str, Reason))
    assert not set(LIST_REASONS) & {"ok", "key_not_given"}
    for text in JUNK:
        with pytest.raises(InvalidAddress) as error:
            parse_address(text)
        assert error.value.code in LIST_REASONS


# An engine


def opened(path: Path) -> Engine:
    return Engine.open(saved(path), clock=clock)


def with_changes(path: Path) -> Engine:
    engine = opened(path)
    engine.update_key("key_3", entries=["203.0.113.200"])
    engine.remove_key("key_4")
    return engine


def not_enforced(path: Path) -> Engine:
    engine = opened(path)
    engine.set_enforced(False)
    return engine


def letting_strangers_pass(path: Path) -> Engine:
    saved(path, unknown_key="pass")
    return Engine.open(path, clock=clock)


def stale(path: Path) -> Engine:
    engine = opened(path)
    engine.is_stale = True
    return engine


def with_default(path: Path) -> Engine:
    engine = filled(Engine(clock=clock))
    engine.set_default("shared")
    engine.save(path)
    return Engine.open(path, clock=clock)


def hashed(path: Path) -> Engine:
    saved(path, id_secret=SECRET)
    return Engine.open(path, clock=clock, id_secret=SECRET)


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "in memory": lambda path: new_engine(),
    "snapshot": opened,
    "snapshot with changes": with_changes,
    "not enforced": not_enforced,
    "strangers pass": letting_strangers_pass,
    "stale": stale,
    "with a default": with_default,
    "hashed ids": hashed,
}


@pytest.mark.parametrize("entries", [False, True])
@pytest.mark.parametrize("kind", ENGINES)
def test_two_columns_say_what_single_checks_say(kind: str, entries: bool, tmp_path: Path) -> None:
    engine = ENGINES[kind](tmp_path / "keys.snap")
    asked_keys = [*KEYS, *keys(len(ASKED) - len(KEYS), 2)]
    found = Deciding(engine, entries=entries).answer(pa.array(asked_keys), pa.array(ASKED))
    asked = list(zip(asked_keys, ASKED, strict=True))
    assert differences(found.to_pylist(), [engine_row(engine, *row, entries=entries) for row in asked], asked) == []
    assert found.field("allowed").null_count == found.field("reason").null_count == 0


def test_every_key_with_every_kind_of_address(tmp_path: Path) -> None:
    """Reasons that random rows may miss are here."""
    engine = opened(tmp_path / "keys.snap")
    asked = [(key, text) for key in KEYS for text in ("203.0.113.66", "203.0.113.5", "10.0.0.1", "::", "junk", None)]
    found = Deciding(engine, entries=True).answer(pa.array([k for k, _ in asked]), pa.array([a for _, a in asked]))
    assert found.to_pylist() == [engine_row(engine, key, text, entries=True) for key, text in asked]
    assert {row["reason"] for row in found.to_pylist()} == {
        "matched", "ip_not_listed", "denied_by_entry", "client_ip_unknown", "unrestricted", "unknown_key",
    }  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key_form", ["string", "string_view", "dictionary", "chunks", "slice"])
def test_keys_and_addresses_may_have_other_forms_and_chunks(form: str, key_form: str, tmp_path: Path) -> None:
    engine = opened(tmp_path / "keys.snap")
    texts, asked_keys = ASKED[:1500], keys(1500, 3)
    whole = Deciding(engine).answer(pa.array(asked_keys), pa.array(texts))
    assert Deciding(engine).answer(FORMS[key_form](pa.array(asked_keys)), FORMS[form](pa.array(texts))).equals(whole)


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary_view()], ids=str)
def test_requests_with_packed_addresses(kind: pa.DataType, tmp_path: Path) -> None:
    engine = opened(tmp_path / "keys.snap")
    asked_keys = keys(len(MIXED), 4)
    found = Deciding(engine).answer(pa.array(asked_keys), pa.array(MIXED, kind))
    assert found.to_pylist() == [engine_row(engine, *each) for each in zip(asked_keys, MIXED, strict=True)]
    four = pa.array([parse_address(f"203.0.113.{i % 256}") for i in range(len(KEYS))], pa.binary(4))
    found = Deciding(engine).answer(pa.array(KEYS), four)
    assert found.to_pylist() == [engine_row(engine, *each) for each in zip(KEYS, four.to_pylist(), strict=True)]


def test_a_key_is_no_number_and_no_packed_address() -> None:
    for column in (pa.array([1], pa.uint32()), pa.array([b"1234"], pa.binary(4)), pa.array([b"1234"])):
        with pytest.raises(TypeError):
            Deciding(new_engine()).answer(column, pa.array(["203.0.113.7"]))


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 keys, but 1 addresses"):
        Deciding(new_engine()).answer(pa.array(["a", "b"]), pa.array(["203.0.113.7"]))


def test_bytes_that_are_no_text_are_an_unknown_key(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    for engine in (new_engine(), opened(tmp_path / "keys.snap")):
        (row,) = Deciding(engine).answer(bad, pa.array(["203.0.113.7"])).to_pylist()
        assert row == {"allowed": False, "reason": "unknown_key", "problem": None}


def test_an_address_outside_of_its_buffer_refuses_the_columns(tmp_path: Path) -> None:
    outside = struct.pack("<i4sii", 30, b"2001", 0, 0)
    for engine in (new_engine(), opened(tmp_path / "keys.snap")):
        for key in ("key_1", "nobody"):
            lent = Lender(b"vu", 1, None, outside, bytes(20), struct.pack("<q", 20))
            with pytest.raises(ValueError, match="text 0 does not lie in its buffer"):
                Deciding(engine).answer(pa.array([key]), _Typed(lent))
    lent = Lender(b"vu", 1, None, outside, bytes(20), struct.pack("<q", 20))
    with pytest.raises(ValueError, match="text 0 does not lie in its buffer"):
        Deciding(new_engine()).answer(_Typed(lent), pa.array(["203.0.113.7"]))


def test_a_trial_counts_each_row_once() -> None:
    engine = new_engine()
    for count, entries in ((1, False), (2, True)):
        Deciding(engine, entries=entries).answer(pa.array(["trial"]), pa.array(["203.0.113.70"]))
        shadow = engine.shadow("trial")
        assert shadow is not None
        assert (shadow.would_allow, shadow.would_deny) == (0, count)


def test_a_clock_that_fails_fails_the_columns() -> None:
    works = [True]

    def unsteady() -> float:
        if not works[0]:
            raise RuntimeError("no time")
        return clock()

    engine = filled(Engine(clock=unsteady))
    works[0] = False
    assert Deciding(engine).answer(pa.array(["key_1"]), pa.array(["203.0.113.5"])).to_pylist()[0]["allowed"]
    with pytest.raises(RuntimeError, match="no time"):
        Deciding(engine).answer(pa.array(["key_1", "timed"]), pa.array(["203.0.113.5"] * 2))


# Many


@pytest.mark.parametrize("kind", ["in memory", "snapshot"])
def test_a_hundred_thousand_rows(kind: str, tmp_path: Path) -> None:
    engine = ENGINES[kind](tmp_path / "keys.snap")
    texts, asked_keys = addresses(100_000, 11), keys(100_000, 12)
    found = Deciding(engine).answer(pa.array(asked_keys), pa.array(texts).cast(pa.string_view()))
    asked = list(zip(asked_keys, texts, strict=True))
    assert differences(found.to_pylist(), [engine_row(engine, *row) for row in asked], asked) == []
    listed = Listing(OFFICE).answer(pa.array(texts).cast(pa.string_view()))
    assert differences(listed.to_pylist(), [list_row(OFFICE, text) for text in texts], texts) == []
