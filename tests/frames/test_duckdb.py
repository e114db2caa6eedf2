"""Functions of DuckDB: the answers of single calls, NULL and junk with a reason, in vectors of any size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from cidrmatch import Engine, parse_address
from cidrmatch.service.frames.duckdb import register
from tests.frames.rows import JUNK, OFFICE, addresses, clock, differences, engine_row, keys, list_row, new_engine, saved

ASKED = [*JUNK, None, *addresses(5000, 41)]
KEYS = keys(len(ASKED), 42)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        requests = pa.table({"n": range(len(ASKED)), "key": pa.array(KEYS), "ip": pa.array(ASKED)})
        made.register("arrow_requests", requests)
        made.execute("CREATE TABLE requests AS SELECT * FROM arrow_requests")
        yield made


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, object]]:
    return [row for (row,) in connection.execute(query).fetchall()]


def test_each_row_says_what_a_single_call_says(connection: duckdb.DuckDBPyConnection) -> None:
    register(connection, OFFICE, "look_up")
    found = rows(connection, "SELECT look_up(ip) FROM requests ORDER BY n")
    assert differences(found, [list_row(OFFICE, text) for text in ASKED], ASKED) == []


@pytest.mark.parametrize("entries", [False, True])
def test_decisions_are_those_of_single_checks(
    entries: bool, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    engine = Engine.open(saved(tmp_path / "keys.snap"), clock=clock)
    register(connection, engine, "decide", entries=entries)
    found = rows(connection, "SELECT decide(key, ip) FROM requests ORDER BY n")
    asked = list(zip(KEYS, ASKED, strict=True))
    assert differences(found, [engine_row(engine, *row, entries=entries) for row in asked], asked) == []


def test_an_arrow_table_and_its_dictionary_are_read_as_a_table_is(connection: duckdb.DuckDBPyConnection) -> None:
    register(connection, OFFICE, "look_up")
    texts = pa.array(ASKED)
    for column in (texts, texts.dictionary_encode(), texts.cast(pa.large_string()), texts.cast(pa.string_view())):
        connection.register("other", pa.table({"n": range(len(ASKED)), "ip": column}))
        found = rows(connection, "SELECT look_up(ip) FROM other ORDER BY n")
        assert differences(found, [list_row(OFFICE, text) for text in ASKED], ASKED) == []


def test_packed_addresses(connection: duckdb.DuckDBPyConnection) -> None:
    register(connection, OFFICE, "look_up_packed", is_packed=True)
    packed = [*map(parse_address, ("203.0.113.7", "2001:db8::1", "9.9.9.9")), b"abc", None]
    connection.register("packed", pa.table({"n": range(5), "ip": pa.array(packed, pa.binary())}))
    found = rows(connection, "SELECT look_up_packed(ip) FROM packed ORDER BY n")
    assert found == [list_row(OFFICE, each) for each in packed]


def test_constants_null_and_no_rows(connection: duckdb.DuckDBPyConnection) -> None:
    register(connection, OFFICE, "look_up")
    register(connection, new_engine(), "decide")
    assert rows(connection, "SELECT look_up('203.0.113.65')") == [list_row(OFFICE, "203.0.113.65")]
    assert rows(connection, "SELECT look_up(NULL)") == [list_row(OFFICE, None)]
    assert rows(connection, "SELECT look_up(ip) FROM requests WHERE n < 0") == []
    assert rows(connection, "SELECT decide(NULL, NULL)") == [engine_row(new_engine(), None, None)]
    found = rows(connection, "SELECT decide('key_1', ip) FROM requests ORDER BY n")
    engine = new_engine()
    assert differences(found, [engine_row(engine, "key_1", text) for text in ASKED], ASKED) == []


def test_C23_a_prepared_statement_asks_the_engine_as_it_is_now(connection: duckdb.DuckDBPyConnection) -> None:
    engine = new_engine()
    register(connection, engine, "decide")
    address = next(text for text in ASKED if text is not None and engine.allows("key_1", text))
    connection.execute(f"PREPARE one AS SELECT decide('key_1', '{address}').allowed")
    assert connection.execute("EXECUTE one").fetchall() == [(True,)]
    engine.remove_key("key_1")
    assert connection.execute("EXECUTE one").fetchall() == [(False,)]


def test_a_query_filters_by_the_answer_and_counts_reasons(connection: duckdb.DuckDBPyConnection) -> None:
    register(connection, OFFICE, "look_up")
    kept = rows(connection, "SELECT ip FROM requests WHERE look_up(ip).listed ORDER BY n")
    expected_texts = [text for text in ASKED if list_row(OFFICE, text)["listed"]]
    assert differences(kept, expected_texts, expected_texts) == []
    counts = dict(connection.execute("SELECT look_up(ip).reason, count(*) FROM requests GROUP BY 1").fetchall())
    expected = [list_row(OFFICE, text)["reason"] for text in ASKED]
    assert counts == {reason: expected.count(reason) for reason in set(expected)}


def test_a_cursor_has_the_function_and_a_name_is_taken_once(connection: duckdb.DuckDBPyConnection) -> None:
    register(connection, OFFICE, "look_up")
    assert rows(connection.cursor(), "SELECT look_up('203.0.113.7')") == [list_row(OFFICE, "203.0.113.7")]
    with pytest.raises(duckdb.Error, match="look_up"):
        register(connection, OFFICE, "look_up")


def test_what_is_no_judge_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(TypeError, match="the engine is an Engine, not list"):
        register(connection, ["203.0.113.7"], "look_up")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="entries=True is of an engine"):
        register(connection, OFFICE, "look_up", entries=True)


def test_an_error_of_the_clock_fails_the_query(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    works = [True]

    def unsteady() -> float:
        if not works[0]:
            raise RuntimeError("no time")
        return clock()

    engine = Engine.open(saved(tmp_path / "keys.snap"), clock=unsteady)
    register(connection, engine, "decide")
    works[0] = False
    with pytest.raises(duckdb.Error, match="no time"):
        connection.execute("SELECT decide('timed', ip) FROM requests").fetchall()


@pytest.mark.long
def test_ten_million_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """The same texts again and again: each round says what single calls say."""
    register(connection, OFFICE, "look_up")
    engine = new_engine()
    register(connection, engine, "decide")
    rounds = 10_000_000 // len(ASKED)
    expected = [
        {**list_row(OFFICE, text), **{f"d_{name}": value for name, value in engine_row(engine, key, text).items()}}
        for key, text in zip(KEYS, ASKED, strict=True)
    ]
    connection.register("expected_rows", pa.Table.from_pylist([{"n": n, **row} for n, row in enumerate(expected)]))
    ((wrong, total),) = connection.execute(
        """
        SELECT count(*) FILTER (
            (f.listed, f.reason, f.prefix, d.allowed, d.reason, d.problem)
            IS DISTINCT FROM (e.listed, e.reason, e.prefix, e.d_allowed, e.d_reason, e.d_problem)), count(*)
        FROM (SELECT n, look_up(ip) AS f, decide(key, ip) AS d FROM requests, range(?))
        JOIN expected_rows AS e USING (n)
        """,
        [rounds],
    ).fetchall()
    assert (wrong, total) == (0, rounds * len(ASKED))
