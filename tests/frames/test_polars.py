"""Expressions of Polars: eager, lazy and streaming, in every form of a column, and never a null for "no"."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from cidrmatch import AllowList, Engine, parse_address
from cidrmatch.service.frames.polars import decide, look_up
from tests.frames.rows import JUNK, OFFICE, addresses, clock, differences, engine_row, keys, list_row, new_engine, saved

ASKED = [*JUNK, None, *addresses(3000, 21)]
KEYS = keys(len(ASKED), 22)
FRAME = pl.DataFrame({"key": KEYS, "ip": ASKED}, schema={"key": pl.String, "ip": pl.String})


def listed(frame: pl.DataFrame) -> list[dict[str, object]]:
    return frame["look_up"].to_list()


def test_each_row_says_what_a_single_call_says() -> None:
    found = FRAME.select(look_up("ip", OFFICE))
    assert differences(listed(found), [list_row(OFFICE, text) for text in ASKED], ASKED) == []
    assert found["look_up"].struct.field("listed").null_count() == 0
    assert found.schema["look_up"] == pl.Struct({"listed": pl.Boolean, "reason": pl.String, "prefix": pl.String})


def test_the_lazy_schema_is_the_one_that_comes() -> None:
    for asked in (
        look_up("ip", OFFICE),
        decide("key", "ip", new_engine()),
        decide("key", "ip", new_engine(), entries=True),
    ):
        lazy = FRAME.lazy().select(asked)
        assert lazy.collect_schema() == lazy.collect().schema


@pytest.mark.parametrize(
    "kind", [pl.String, pl.Categorical, pl.Enum(sorted({text for text in ASKED if text is not None}))]
)
def test_strings_and_categories_say_the_same(kind: pl.DataType) -> None:
    assert (
        differences(
            listed(FRAME.select(look_up(pl.col("ip").cast(kind), OFFICE))),
            [list_row(OFFICE, text) for text in ASKED],
            ASKED,
        )
        == []
    )


def test_packed_addresses_and_numbers() -> None:
    packed = [*map(parse_address, ("203.0.113.7", "2001:db8::1", "9.9.9.9")), b"abc", None]
    found = pl.DataFrame({"ip": packed}).select(look_up("ip", OFFICE))
    assert listed(found) == [list_row(OFFICE, each) for each in packed]
    numbers = pl.DataFrame({"ip": pl.Series([0xCB007107, 0, None], dtype=pl.UInt32)}).select(look_up("ip", OFFICE))
    assert [row["reason"] for row in listed(numbers)] == ["matched", "ip_not_listed", "not_given"]


def test_nulls_without_a_type_and_no_rows() -> None:
    assert listed(pl.DataFrame({"ip": [None, None]}).select(look_up("ip", OFFICE))) == [list_row(OFFICE, None)] * 2
    assert listed(FRAME.head(0).select(look_up("ip", OFFICE))) == []
    assert FRAME.head(0).select(decide("key", "ip", new_engine()))["decision"].to_list() == []


def test_many_chunks_and_slices() -> None:
    parts = pl.concat([FRAME[:7], FRAME[7:8], FRAME[8:2000], FRAME[2000:]], rechunk=False)
    found = listed(parts[3:].select(look_up("ip", OFFICE)))
    assert differences(found, [list_row(OFFICE, text) for text in ASKED[3:]], ASKED[3:]) == []
    engine = new_engine()
    found = parts[3:].select(decide("key", "ip", engine))["decision"].to_list()
    asked = list(zip(KEYS[3:], ASKED[3:], strict=True))
    assert differences(found, [engine_row(engine, *row) for row in asked], asked) == []


@pytest.mark.parametrize("entries", [False, True])
def test_decisions_are_those_of_single_checks(entries: bool, tmp_path: Path) -> None:
    engine = Engine.open(saved(tmp_path / "keys.snap"), clock=clock)
    found = FRAME.select(decide("key", "ip", engine, entries=entries))["decision"]
    asked = list(zip(KEYS, ASKED, strict=True))
    expected = [engine_row(engine, *row, entries=entries) for row in asked]
    assert differences(found.to_list(), expected, asked) == []
    assert found.struct.field("allowed").null_count() == found.struct.field("reason").null_count() == 0


def test_an_address_for_all_rows_and_an_expression_for_the_key() -> None:
    engine = new_engine()
    found = FRAME.select(decide(pl.lit("key_1"), pl.col("ip"), engine))["decision"].to_list()
    assert differences(found, [engine_row(engine, "key_1", text) for text in ASKED], ASKED) == []


@pytest.mark.parametrize("how", ["in-memory", "streaming"])
def test_a_file_that_is_read_in_parts(how: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.parquet"
    FRAME.write_parquet(path, row_group_size=500)
    engine = new_engine()
    found = (
        pl.scan_parquet(path)
        .with_columns(look_up("ip", OFFICE), decide("key", "ip", engine))
        .filter(pl.col("look_up").struct.field("listed"))
        .collect(engine=how)  # type: ignore[call-overload]
    )
    kept = [each for each in zip(KEYS, ASKED, strict=True) if list_row(OFFICE, each[1])["listed"]]
    assert differences(found["ip"].to_list(), [text for _, text in kept], kept) == []
    assert differences(found["decision"].to_list(), [engine_row(engine, *row) for row in kept], kept) == []


def test_within_groups_a_row_has_its_own_answer() -> None:
    found = FRAME.with_columns(look_up("ip", OFFICE).over("key"))
    assert differences(listed(found), [list_row(OFFICE, text) for text in ASKED], ASKED) == []


def test_the_engine_of_the_moment_decides() -> None:
    engine = Engine()
    engine.put_key("k", ["203.0.113.0/24"])
    lazy = pl.LazyFrame({"key": ["k"], "ip": ["198.51.100.7"]}).select(decide("key", "ip", engine))
    assert lazy.collect()["decision"].to_list() == [{"allowed": False, "reason": "ip_not_listed", "problem": None}]
    engine.put_key("k", ["198.51.100.0/24"], replace=True)
    assert lazy.collect()["decision"].to_list() == [{"allowed": True, "reason": "matched", "problem": None}]


def test_an_unknown_key_passes_where_the_engine_lets_it_and_no_key_never_does() -> None:
    frame = pl.DataFrame({"key": ["nobody", None], "ip": ["203.0.113.7"] * 2})
    found = frame.select(decide("key", "ip", new_engine(unknown_key="pass")))["decision"].to_list()
    assert [(row["allowed"], row["problem"]) for row in found] == [(True, None), (False, "key_not_given")]


def test_what_is_no_list_no_engine_and_no_address() -> None:
    with pytest.raises(TypeError, match="the list is an AllowList, not list"):
        look_up("ip", ["203.0.113.7"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the engine is an Engine, not AllowList"):
        decide("key", "ip", OFFICE)  # type: ignore[arg-type]
    for column in (pl.Series("ip", [1, 2]), pl.Series("ip", [["203.0.113.7"]]), pl.Series("ip", [1.5])):
        with pytest.raises((pl.exceptions.ComputeError, TypeError), match="has format"):
            pl.DataFrame(column).select(look_up("ip", OFFICE))


@pytest.mark.long
def test_ten_million_rows() -> None:
    """The same texts again and again: the answers of the first round are those of all."""
    texts = addresses(100_000, 31)
    asked = keys(100_000, 32)
    engine = new_engine()
    frame = pl.concat([pl.DataFrame({"key": asked, "ip": texts})] * 100)
    for name, expected in (
        ("look_up", [list_row(OFFICE, text) for text in texts]),
        ("decision", [engine_row(engine, *each) for each in zip(asked, texts, strict=True)]),
    ):
        expression = look_up("ip", OFFICE) if name == "look_up" else decide("key", "ip", engine)
        found = frame.select(expression)[name]
        once = pl.Series(name, expected, dtype=found.dtype)
        assert all(found[begin : begin + 100_000].equals(once) for begin in range(0, len(found), 100_000))


def test_an_allow_list_is_not_changed_by_its_use() -> None:
    allow = AllowList(["203.0.113.0/24"])
    FRAME.select(look_up("ip", allow))
    assert allow == AllowList(["203.0.113.0/24"])
