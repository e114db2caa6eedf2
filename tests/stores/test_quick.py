"""The quick ways of large stores against the slow ones: rows, texts and prefixes that are read or written in one go.

    key_as_written   the twin: key_of        the same key; or None, and then key_of says what is wrong
    key_as_text      the twin: as_text of key_as_values
    Judge            the digest of the rows' own texts is that of the record
    insert_rows      many rows in one statement, the rest one by one; all of them or none

A quick way may give up at any time.  It must never say another thing than its twin.
Requirements: B10, C21, C22.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Condition, Engine, Entry, KeyRecord, Revision, parse_entry, presets
from cidrmatch._core import entries_as_written
from cidrmatch.engine.things import key_as_values
from cidrmatch.policy.plain import write_policy
from cidrmatch.service.stores import bulk, reading, writing
from cidrmatch.service.stores.by_hand import marked_writer
from cidrmatch.service.stores.errors import SpoiltRow, StoreUnavailable
from cidrmatch.service.stores.rows import Judge, key_as_written, key_of, key_rows
from cidrmatch.service.stores.schema import changes, keys
from cidrmatch.service.stores.store import Store
from cidrmatch.service.stores.things import as_text, key_as_text
from tests.reference import format_span
from tests.stored import Copy, by_hand
from tests.strategies import damaged, prefix_texts, span_lists

if TYPE_CHECKING:
    from cidrmatch._keys import View
    from cidrmatch.service.stores.rows import Row
    from tests.databases import Postgres

JUDGE = Judge(as_text(write_policy(presets.unkey())))
BORN = datetime(2026, 1, 1, tzinfo=UTC)
OFFICE, ORG = "office", "org"

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])).filter(
    lambda moment: 2 < moment.year < 9998
)
conditions = st.sampled_from([None, None, None, Condition(effect="deny"), Condition(enabled=False)])


@st.composite
def entry_lists(draw: st.DrawFn) -> tuple[Entry, ...]:
    spans = draw(span_lists(max_size=4))
    return tuple(Entry(format_span(span), draw(st.none() | texts), draw(conditions)) for span in spans)


@st.composite
def records(draw: st.DrawFn) -> KeyRecord:
    links = st.lists(st.sampled_from([OFFICE, ORG, "é"]), unique=True, max_size=2).map(tuple)
    return KeyRecord(
        created_at=draw(moments), entries=draw(entry_lists()), lists=draw(links), within=draw(links),
        enabled=draw(st.booleans()), owner=draw(st.none() | texts), shadow=draw(st.none() | entry_lists()),
    )  # fmt: skip


def rows_of(key: str, record: KeyRecord) -> tuple[list[Any], list[list[Any]], list[list[Any]]]:
    """Write a record, and give its rows as they are asked for: without tenant and revision."""
    row, owned, linked = key_rows(JUDGE, 1, key, record, 7)
    own = [[name, holder, *facts] for _, holder, name, *facts in owned]
    return list(row[1:-1]), own, [list(link[1:]) for link in linked]


def slow(row: Row, owned: list[Row], linked: list[Row]) -> tuple[str, KeyRecord] | None:
    """Read by the twin; None if it refuses."""
    try:
        return key_of(JUDGE, row, reading._by_holder(owned, linked))
    except SpoiltRow:
        return None


def records_of(view: View) -> dict[str, KeyRecord]:
    """Give all keys of a view."""
    found = {key: view.record(key) for key in view}
    return {key: record for key, record in found.items() if record is not None}


def quick(row: list[Any], owned: list[list[Any]], linked: list[list[Any]]) -> tuple[str, KeyRecord] | None:
    return key_as_written(JUDGE, tuple(row), [*map(tuple, owned)], [*map(tuple, linked)])


# Reading.


@given(key=texts, record=records())
def test_a_key_that_the_store_wrote_is_read_quickly_as_its_twin_reads_it(key: str, record: KeyRecord) -> None:
    row, owned, linked = rows_of(key, record)
    found = quick(row, owned, linked)
    is_plain = record.shadow is None and all(entry.condition is None for entry in record.entries)
    assert found == ((key, record) if is_plain else None)
    if is_plain:
        assert slow(tuple(row), [*map(tuple, owned)], [*map(tuple, linked)]) == found


@given(key=texts, record=records(), data=st.data())
def test_C21_whatever_a_hand_wrote_into_one_value_the_quick_way_says_what_its_twin_says_or_nothing(
    key: str, record: KeyRecord, data: st.DataObject
) -> None:
    rows = [row, owned, linked] = rows_of(key, replace(record, shadow=None))
    others = [0, 1, 2, True, False, None, "", "key", "shadow", "lists", OFFICE, "10.0.0.1/32", b"x", 1.0, "2026-01-01"]
    spoilt = data.draw(st.sampled_from([row, *owned, *linked]))
    place = data.draw(st.integers(0 if spoilt is row else 1, len(spoilt) - 1))  # rows come to a key by their names
    was = spoilt[place]
    spoilt[place] = data.draw(
        st.sampled_from(others) | (damaged(st.just(was)) if was and type(was) is str else st.none())
    )
    found = quick(*rows)
    if found is not None:
        assert found == slow(tuple(row), [*map(tuple, owned)], [*map(tuple, linked)])


@pytest.mark.parametrize("part", [1, 2])
def test_C21_a_row_that_is_gone_or_there_twice_is_left_to_the_twin(part: int) -> None:
    record = KeyRecord(created_at=BORN, entries=(parse_entry("10.0.0.0/24"), parse_entry("10.0.1.0/24")), lists=("a",))
    for change in (list[Any].pop, lambda rows: rows.append(rows[-1]), lambda rows: rows.reverse()):
        rows = rows_of("key", replace(record, lists=("a", "b")))
        change(rows[part])
        assert quick(*rows) is None


@pytest.mark.parametrize(
    "change",
    [
        {"entries": (parse_entry("0.0.0.0/0"),)},
        {"enabled": False},
        {"entries": (), "lists": ()},
        {"created_at": BORN - timedelta(days=400)},
        {"lists": ()},
        {"within": ()},
    ],
)
def test_C21_no_row_with_the_digest_of_another_record_is_read_quickly(change: dict[str, Any]) -> None:
    record = KeyRecord(created_at=BORN, entries=(parse_entry("10.0.0.0/24"),), lists=(OFFICE,), within=(ORG,))
    row, owned, linked = rows_of("key", replace(record, **change))
    row[-1] = rows_of("key", record)[0][-1]
    assert quick(row, owned, linked) is None


def test_another_policy_reads_nothing_quickly_and_neither_does_one_that_believes_all() -> None:
    row, owned, linked = rows_of("key", KeyRecord(created_at=BORN, entries=(parse_entry("10.0.0.0/24"),)))
    for judge in (Judge(as_text(write_policy(presets.bitbybit()))), Judge(JUDGE.policy_text, believes=True)):
        assert key_as_written(judge, tuple(row), [*map(tuple, owned)], [*map(tuple, linked)]) is None


@given(text=prefix_texts() | damaged(prefix_texts()), label=st.none() | texts)
def test_C16_a_prefix_is_read_quickly_only_in_the_one_spelling_that_is_written(text: str, label: str | None) -> None:
    try:
        entry: Entry | None = parse_entry((text, label))
    except ValueError:
        entry = None
    expected = (entry,) if entry is not None and str(entry) == text else None
    assert entries_as_written(((text, label, None),)) == expected


@pytest.mark.parametrize(
    "fact",
    [
        ("::ffff:10.0.0.0/120", None, None), ("10.0.0.0", None, None), ("10.0.0.1/24", None, None),
        ("10.0.0.0/24", "x", "{}"), ("10.0.0.0/24", 1, None), (b"10.0.0.0/24", None, None), (None, None, None),
        ("", None, None), ("10.0.0.0/24 ", None, None), ("2001:DB8::/32", None, None), ("010.0.0.0/8", None, None),
    ],
)  # fmt: skip
def test_C16_what_is_written_in_another_way_is_left_to_the_twin(fact: Any) -> None:
    assert entries_as_written((("10.0.0.0/8", None, None), fact)) is None


def test_many_rows_are_read_as_few(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows at a time: rows of one key come in several parts."""
    monkeypatch.setattr(reading, "_ROWS_AT_ONCE", 2)
    given_keys = {f"key_{number}": [f"10.0.{number}.{part}" for part in range(number % 6)] for number in range(40)}
    with closing(Store.create(store_url, policy=presets.unkey())) as store:
        with store.change() as change:
            for key, entries in given_keys.items():
                change.put_key(key, entries or None)
        view = Copy(store).engine.view
    assert {key: [str(entry) for entry in said.entries] for key, said in records_of(view).items()} == {
        key: [f"{entry}/32" for entry in entries] for key, entries in given_keys.items()
    }


def test_B10_a_database_that_fails_in_the_middle_is_a_store_that_is_unavailable(store_url: str) -> None:
    with closing(Store.create(store_url, policy=presets.unkey())) as store:
        error = store.database.engine.dialect.loaded_dbapi.OperationalError("the server is gone")
        with pytest.raises(StoreUnavailable, match="the server is gone"), store.look() as (_, found):
            list(found._batches(_Failing(error)))  # type: ignore[arg-type]


class _Failing:
    """A result whose cursor fails after the first rows."""

    def __init__(self, error: Exception) -> None:
        self.cursor, self.context, self._error = self, self, error
        self.statement = "SELECT"
        self._calls = 0

    def fetchmany(self, _: int) -> list[tuple[int]]:
        self._calls += 1
        if self._calls > 1:
            raise self._error
        return [(1,)]


# Writing.


@given(record=records())
def test_the_history_of_a_key_is_the_text_of_its_values(record: KeyRecord) -> None:
    assert key_as_text(record) == as_text(key_as_values(record))


@pytest.mark.parametrize("entry", [Entry("10.0.0.0/8", "CI"), Entry("10.0.0.0/8", None, Condition(effect="deny"))])
def test_the_history_of_a_key_tells_labels_and_conditions(entry: Entry) -> None:
    """Also of a key that has nothing else to tell; drawn records are seldom so simple."""
    record = KeyRecord(created_at=BORN, entries=(entry,))
    assert key_as_text(record) == as_text(key_as_values(record))


@given(record=records())
def test_the_digest_of_the_rows_is_that_of_the_record(record: KeyRecord) -> None:
    assert rows_of("key", record)[0][-1] == JUDGE.digest_of_key("key", record)


def test_a_view_gives_a_record_as_its_rule_has_it() -> None:
    engine = Engine(presets.unkey())
    for number, entries in enumerate((["10.0.0.0/8"], ["10.0.0.1", "2001:db8::/32"], None)):
        engine.put_key(f"key_{number}", entries)
    engine.fold()
    engine.put_key("key_3", ["192.0.2.1"])
    engine.remove_key("key_0")
    view = engine.view
    assert view.record("key_0") is None
    assert view.record("nobody") is None
    for key in view:
        rule = view.rule(key)
        assert rule is not None
        assert view.record(key) == rule.record


@pytest.mark.parametrize("count", [1, 49, 50, 51, 100, 137])
def test_all_rows_are_inserted_however_many_go_into_one_statement(store_url: str, count: int) -> None:
    with closing(Store.create(store_url, policy=presets.unkey())) as store:
        rows = [(1, f"k{number}\t\\N\n", "2026", True, None, 0, None, number, "d", 1) for number in range(count)]
        with store.database.writing() as connection, marked_writer(connection):
            bulk.insert_rows(connection, keys, rows)
            found = connection.execute(sa.select(keys).order_by(keys.c.link_count)).all()
    assert [tuple(row) for row in found] == rows


@pytest.mark.parametrize("count", [3, 60, 130])
def test_a_row_that_the_database_refuses_is_an_error_and_nothing_stays(store_url: str, count: int) -> None:
    with closing(Store.create(store_url, policy=presets.unkey())) as store:
        rows = [(1, f"k{number}", "2026", True, None, 0, None, 0, "d", 1) for number in range(count)]
        with pytest.raises(StoreUnavailable), store.database.writing() as connection, marked_writer(connection):
            bulk.insert_rows(connection, keys, [*rows, rows[count // 2]])
        with store.database.reading() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(keys)).scalar_one() == 0


def test_the_memory_for_pages_is_given_back_also_after_an_error(tmp_path: Any) -> None:
    def said(connection: sa.Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())

    def fail(connection: sa.Connection) -> None:
        with bulk.roomy(connection):
            assert said(connection) == -65_536
            raise KeyError

    store = Store.create(f"sqlite:///{tmp_path}/keys.db", policy=presets.unkey())
    with closing(store), store.database.writing() as connection:
        before = said(connection)
        with pytest.raises(KeyError):
            fail(connection)
        assert said(connection) == before


def _large(count: int) -> Engine:
    engine = Engine(presets.unkey())
    engine.restore(
        keys={
            f"key_{number}": KeyRecord(created_at=BORN, entries=(parse_entry(f"10.0.0.{number}"),))
            for number in range(count)
        }
    )
    return engine


def test_C22_a_large_import_is_what_the_engine_was(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven keys at a time: on PostgreSQL the next are made while a thread inserts the last."""
    monkeypatch.setattr(writing, "_AT_ONCE", 7)
    engine = _large(40)
    with closing(Store.create(store_url, policy=presets.unkey())) as store:
        with store.change() as change:
            change.restore_engine(engine)
        found = records_of(Copy(store).engine.view)
        with store.reading() as data:
            (commit,) = data.history()
    assert found == records_of(engine.view)
    assert {each.name: each.after for each in commit.things} == {
        key: key_as_values(record) for key, record in found.items()
    }


@pytest.mark.parametrize("number", [0, 20, 39])
def test_C22_a_large_import_that_fails_changes_nothing(
    store_url: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A text that no database holds, in the first rows, in the middle, and in the last ones."""
    monkeypatch.setattr(writing, "_AT_ONCE", 7)
    engine = _large(40)
    engine.update_key(f"key_{number}", owner="half a pair: \ud800")
    with closing(Store.create(store_url, policy=presets.unkey())) as store:
        with pytest.raises(ValueError, match="half a surrogate pair"), store.change() as change:
            change.restore_engine(engine)
        with store.reading() as data:
            assert data.keys() == []
            assert data.history() == []
            assert data.revision.generation == 0


@pytest.mark.parametrize("at", [1, 4])
def test_C22_a_large_import_that_the_database_refuses_changes_nothing(
    store_url: str, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """What fails in the thread is raised, and the last rows may be those."""
    monkeypatch.setattr(writing, "_AT_ONCE", 10)
    calls = 0
    put = writing.Writer._put_keys

    def put_twice(writer: Any, *given: Any) -> None:
        nonlocal calls
        calls += 1
        put(writer, *given)
        if calls == at:
            put(writer, [], *given[1:])

    monkeypatch.setattr(writing.Writer, "_put_keys", put_twice)
    with closing(Store.create(store_url, policy=presets.unkey())) as store:
        with pytest.raises(StoreUnavailable), store.change() as change:
            change.restore_engine(_large(40))
        with store.reading() as data:
            assert data.keys() == []
            assert data.history() == []
            assert data.revision.generation == 0


@pytest.mark.parametrize("at", [0, 1, 2])
def test_C22_what_fails_in_the_thread_is_raised_and_nothing_is_called_after_it(postgres: Postgres, at: int) -> None:
    """The last call, too: nobody asks for anything after it."""
    called = []

    def call(number: int) -> None:
        called.append(number)
        if number == at:
            raise KeyError(number)

    def work(connection: sa.Connection) -> None:
        with bulk.taking_turns(connection, is_large=True) as later:
            for number in range(3):
                later(call, number)

    store = Store.create(postgres.url(postgres.create_database()), policy=presets.unkey())
    with closing(store), store.database.reading() as connection, pytest.raises(KeyError):
        work(connection)
    assert called == list(range(at + 1))


# Looking.


@pytest.mark.parametrize(("idle", "pings"), [(0.0, 0), (60.0, 1)])
def test_a_connection_is_asked_whether_it_lives_only_if_it_was_idle(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, idle: float, pings: int
) -> None:
    url = postgres.url(postgres.create_database())
    with closing(Store.create(url, policy=presets.unkey())) as store:
        dialect = store.database.engine.dialect
        asked: list[Any] = []
        ping = dialect.do_ping

        def note(connection: Any) -> bool:
            asked.append(connection)
            return ping(connection)

        monkeypatch.setattr(dialect, "do_ping", note)
        with store.look():
            asked.clear()
        later = time.monotonic() + idle
        monkeypatch.setattr("cidrmatch.service.stores.database.time.monotonic", lambda: later)
        with store.look():
            assert len(asked) == pings


def test_B10_a_connection_that_the_server_has_ended_while_it_was_idle_is_replaced(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.url(postgres.create_database())
    with closing(Store.create(url, policy=presets.unkey())) as store:
        with store.look():
            pass
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
        by_hand(url, others + "current_database()")
        later = time.monotonic() + 60
        monkeypatch.setattr("cidrmatch.service.stores.database.time.monotonic", lambda: later)
        with store.look() as (head, _):
            assert head.revision.generation == 0


def test_C19_what_changed_since_a_commit_that_is_not_there_is_everything(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Store.create(store_url, policy=presets.unkey())) as store:
        for number in range(3):
            with store.change() as change:
                change.put_key(f"key_{number}", ["10.0.0.1"])
        with store.look() as (head, found):
            epoch, last = head.revision
            first = sa.select(changes.c.mark).where(changes.c.number == 1)
            mark = found._connection.execute(first).scalar_one()
            told = found.changed_since(head, Revision(epoch, 1), mark)
            assert told is not None
            assert told.keys == {"key_1", "key_2"}
            assert found.changed_since(head, head.revision, head.mark) == reading.Changed()
            for other in (Revision(epoch + 1, 1), Revision(epoch, 2), Revision(epoch, 9), Revision(epoch, 0)):
                assert found.changed_since(head, other, mark) is None
            assert (
                found.changed_since(replace(head, revision=Revision(epoch, last + 1)), Revision(epoch, 1), mark) is None
            )
            for most, is_too_much in ((1, True), (2, False)):
                monkeypatch.setattr(reading, "_MOST_CHANGED", most)
                assert (found.changed_since(head, Revision(epoch, 1), mark) is None) == is_too_much
