"""Rows that somebody changes with psql or sqlite3 are changes: the head moves on, and the change names what it changed.

    by hand   UPDATE keys ... 'a'   -->   tenants.number + 1     changes: "by hand"     changed: key a

Requirements: B10, C19 (who follows the store asks for the number, and must see these edits, too).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from cidrmatch import presets
from cidrmatch.errors import Conflict
from cidrmatch.service.stores.by_hand import marked_writer
from cidrmatch.service.stores.schema import metadata
from cidrmatch.service.stores.store import Store
from cidrmatch.service.stores.upgrading import upgrade

if TYPE_CHECKING:
    from tests.databases import Postgres

MOMENT = "2026-03-01T12:00:00.000001+00:00"
KEY = {"created_at": MOMENT, "is_enabled": True, "own_count": 0, "link_count": 0, "judged": "", "revision": 0}
TENANT = {"policy": "{}", "is_enforced": True, "unknown_passes": False, "epoch": 1, "number": 10, "mark": "m"}
TENANT["server"] = "s"


@pytest.fixture(scope="module")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "store.db"
    fill(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module")
def filled_database(postgres: Postgres) -> str:
    name = postgres.create_database()
    fill(postgres.url(name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> sa.Engine:
    """Give a store with the tenants 1 and 2; in the first the keys a and b, both with an entry, and the list office."""
    engine: sa.Engine = request.getfixturevalue(f"in_{request.param}")
    return engine


@pytest.fixture
def in_sqlite(filled_file: Path, tmp_path: Path) -> Iterator[sa.Engine]:
    shutil.copy(filled_file, tmp_path / "store.db")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'store.db'}", connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON"))
    yield engine
    engine.dispose()


@pytest.fixture
def in_postgresql(postgres: Postgres, filled_database: str) -> Iterator[sa.Engine]:
    name = postgres.create_database(template=filled_database)
    engine = sa.create_engine(postgres.url(name))
    yield engine
    engine.dispose()
    postgres.drop_database(name)


def fill(url: str) -> None:
    engine = sa.create_engine(url)
    upgrade(engine)
    with engine.begin() as connection, marked_writer(connection):
        for tenant in (1, 2):
            add(connection, "tenants", id=tenant, name=f"tenant {tenant}", **TENANT)
        for key in "ab":
            add(connection, "keys", tenant=1, id=key, **KEY)
            add_entry(connection, "key", key)
        add(connection, "lists", tenant=1, name="office", description="", entry_count=0, judged="", revision=0)
        add_entry(connection, "list", "office")
    engine.dispose()


def add(connection: sa.Connection, table: str, **values: Any) -> None:
    columns = metadata.tables[table].c
    connection.execute(metadata.tables[table].insert(), {name: values[name] for name in values if name in columns})


def add_entry(connection: sa.Connection, holder: str, name: str, position: int = 0) -> None:
    add(connection, "entries", tenant=1, holder=holder, name=name, position=position, prefix="10.0.0.0/8")


def by_hand(database: sa.Engine, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def ask(database: sa.Engine, query: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def head(database: sa.Engine, tenant: int = 1) -> tuple[int, str]:
    ((number, mark),) = ask(database, f"SELECT number, mark FROM tenants WHERE id = {tenant}")
    return number, mark


def noticed(database: sa.Engine, tenant: int = 1) -> set[tuple[str, str]]:
    """Give what the changes name, after a look at what is true of each change."""
    number, mark = head(database, tenant)
    columns = "number, epoch, mark, at, actor, origin, reason, operation"
    changes = ask(database, f"SELECT {columns} FROM changes WHERE tenant = {tenant} ORDER BY number")
    assert [change[0] for change in changes] == list(range(11, number + 1))
    assert len({change[2] for change in changes} | {"m"}) == len(changes) + 1
    assert mark == (changes[-1][2] if changes else "m")
    for _, epoch, text, at, actor, *rest in changes:
        assert (epoch, len(text), rest) == (1, 32, [None, None, "by hand"])
        assert actor == ("cidrmatch" if database.dialect.name == "postgresql" else None)
        assert datetime.fromisoformat(at).isoformat(timespec="microseconds") == at
        assert abs(datetime.now(UTC) - datetime.fromisoformat(at)) < timedelta(minutes=5)
        assert at.endswith("+00:00")
    rows = ask(database, f"SELECT kind, name, before, after FROM changed WHERE tenant = {tenant}")
    assert all(row[2:] == (None, None) for row in rows)
    return {row[:2] for row in rows}


A, B, OFFICE, RULES = ("key", "a"), ("key", "b"), ("list", "office"), ("rules", "")
COPIED = ", ".join(column.name for column in metadata.tables["keys"].c if column.name != "id")
NEW_KEY = f"INSERT INTO keys (id, {COPIED}) SELECT 'c', {COPIED} FROM keys WHERE id = 'a'"
LINK = "INSERT INTO links (tenant, \"key\", kind, position, list) VALUES (1, 'a', 'lists', 0, 'office')"
GRANT = "INSERT INTO grants (tenant, number, \"key\", reason, expires) VALUES (1, 3, 'b', 'fire', 'x')"


@pytest.mark.parametrize(
    ("statements", "names"),
    [
        ([NEW_KEY], {("key", "c")}),
        (["UPDATE keys SET is_enabled = false WHERE id = 'a'"], {A}),
        (["DELETE FROM keys WHERE id = 'a'"], {A}),
        (["DELETE FROM entries WHERE name = 'a'", "UPDATE keys SET id = 'z' WHERE id = 'a'"], {A, ("key", "z")}),
        (["UPDATE lists SET description = 'x'"], {OFFICE}),
        (["DELETE FROM lists"], {OFFICE}),
        (["UPDATE lists SET name = 'home'"], {OFFICE, ("list", "home")}),
        (["UPDATE entries SET prefix = '0.0.0.0/0' WHERE holder = 'key' AND name = 'b'"], {B}),
        (["UPDATE entries SET prefix = '0.0.0.0/0'"], {A, B, OFFICE}),
        (["UPDATE entries SET name = 'b', position = 1 WHERE name = 'a'"], {A, B}),
        (["UPDATE entries SET holder = 'shadow' WHERE name = 'a'"], {A}),
        (["DELETE FROM entries WHERE holder = 'list'"], {OFFICE}),
        (["INSERT INTO entries VALUES (1, 'shadow', 'a', 0, '::/0', NULL, NULL)"], {A}),
        ([LINK], {A}),
        ([LINK, "UPDATE links SET kind = 'within'", "DELETE FROM links"], {A}),
        ([LINK, "UPDATE links SET \"key\" = 'b'"], {A, B}),
        ([GRANT], {B}),
        ([GRANT, "UPDATE grants SET expires = '2999'", "DELETE FROM grants"], {B}),
        (["UPDATE tenants SET policy = '{ }' WHERE id = 1"], {RULES}),
        (["UPDATE tenants SET is_enforced = false WHERE id = 1"], {RULES}),
        (["UPDATE tenants SET unknown_passes = true WHERE id = 1"], {RULES}),
        (["UPDATE tenants SET default_list = 'office' WHERE id = 1"], {RULES}),
    ],
)
def test_B10_C19_an_edit_by_hand_moves_the_head_and_names_what_it_changed(
    database: sa.Engine, statements: list[str], names: set[tuple[str, str]]
) -> None:
    by_hand(database, *statements)
    assert noticed(database) == names
    assert head(database)[0] >= 10 + len(statements)
    assert head(database, 2) == (10, "m")
    number = head(database)[0]
    changed = {name for kind, name in names if kind in ("key", "list")}
    for table, column in (("keys", "id"), ("lists", "name")):
        for name, revision in ask(database, f"SELECT {column}, revision FROM {table}"):
            assert (0 < revision <= number) == (name in changed), (name, revision)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE keys SET is_enabled = false WHERE id = 'nobody'",
        "DELETE FROM entries WHERE name = 'nobody'",
        "UPDATE tenants SET name = 'other' WHERE id = 1",
        "INSERT INTO readers (tenant, name, epoch, number, seen_at) VALUES (1, 'r', 1, 1, 'x')",
        "INSERT INTO tokens (hash, tenant, name, role, created_at) VALUES ('h', 1, 't', 'viewer', 'x')",
    ],
)
def test_what_decides_about_no_request_moves_nothing(database: sa.Engine, statement: str) -> None:
    by_hand(database, statement)
    assert head(database) == (10, "m")
    assert noticed(database) == set()


def test_what_the_store_writes_is_not_by_hand_and_its_mark_ends_with_it(database: sa.Engine) -> None:
    with database.begin() as connection:
        with marked_writer(connection):
            connection.execute(sa.text("UPDATE keys SET is_enabled = false"))
        connection.execute(sa.text("UPDATE keys SET is_enabled = false WHERE id = 'a'"))
    assert noticed(database) == {A}
    by_hand(database, "UPDATE keys SET is_enabled = true WHERE id = 'b'")
    assert noticed(database) == {A, B}


def test_a_writer_that_commits_after_an_error_leaves_no_mark(database: sa.Engine) -> None:
    with database.begin() as connection, pytest.raises(ZeroDivisionError), marked_writer(connection):
        raise ZeroDivisionError
    by_hand(database, "UPDATE keys SET is_enabled = true WHERE id = 'b'")
    assert noticed(database) == {B}


def test_a_row_that_goes_to_another_tenant_moves_both(database: sa.Engine) -> None:
    by_hand(database, "DELETE FROM entries WHERE name = 'a'", "UPDATE keys SET tenant = 2 WHERE id = 'a'")
    assert noticed(database, 1) == {A}
    assert noticed(database, 2) == {A}


def test_a_tenant_that_is_made_by_hand_has_a_change_and_one_that_is_deleted_takes_all_along(
    database: sa.Engine,
) -> None:
    by_hand(
        database,
        "INSERT INTO tenants (id, name, policy, is_enforced, unknown_passes, epoch, number, mark, server)"
        " VALUES (3, 'third', '{}', true, false, 1, 10, 'm', 's')",
        LINK,
        GRANT,
    )
    assert noticed(database, 3) == {RULES}
    by_hand(database, "DELETE FROM tenants")
    for table in metadata.tables:
        assert ask(database, f"SELECT * FROM {table}") == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE changes SET actor = 'nobody'",
        "DELETE FROM changes",
        "UPDATE changed SET after = NULL",
        "DELETE FROM changed",
        "INSERT OR REPLACE INTO changes SELECT tenant, number, epoch, mark, at, 'nobody', NULL, NULL, '' FROM changes",
        "INSERT OR REPLACE INTO changed SELECT tenant, number, kind, name, '', '' FROM changed",
        "INSERT INTO changes SELECT * FROM changes WHERE true ON CONFLICT (tenant, number) DO UPDATE SET actor = 'x'",
        "TRUNCATE changes CASCADE",
        "TRUNCATE tenants CASCADE",
    ],
)
@pytest.mark.parametrize("marked", [False, True])
def test_a_history_is_appended_and_never_changed(database: sa.Engine, statement: str, marked: bool) -> None:
    by_hand(database, "UPDATE keys SET is_enabled = false")
    before = ask(database, "SELECT * FROM changes"), ask(database, "SELECT * FROM changed ORDER BY name")
    refusal = "append-only|takes no TRUNCATE|syntax error"  # REPLACE is SQLite's, TRUNCATE is not
    with database.connect() as connection, marked_writer(connection) if marked else nullcontext():
        savepoint = connection.begin_nested()
        with pytest.raises(sa.exc.DBAPIError, match=refusal):
            connection.execute(sa.text(statement))
        savepoint.rollback()
    assert (ask(database, "SELECT * FROM changes"), ask(database, "SELECT * FROM changed ORDER BY name")) == before
    assert before[0]


def test_a_thousand_rows_of_one_statement_are_one_change_in_postgresql(database: sa.Engine) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
    by_hand(database, f"{numbers} INSERT INTO entries SELECT 1, 'key', 'a', i, '10.0.0.0/8', NULL, NULL FROM n")
    assert noticed(database) == {A}
    assert head(database)[0] == (11 if database.dialect.name == "postgresql" else 1010)


def test_edits_by_hand_at_once_are_all_counted(database: sa.Engine) -> None:
    def edit(key: str) -> None:
        for _ in range(20):
            by_hand(database, f"UPDATE keys SET owner = 'x' WHERE id = '{key}'")

    threads = [Thread(target=edit, args=(key,)) for key in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert head(database)[0] == 50
    assert noticed(database) == {A, B}


def test_truncate_names_no_row_so_it_is_refused(in_postgresql: sa.Engine) -> None:
    for table in ("keys", "lists", "entries", "links", "grants"):
        with pytest.raises(sa.exc.DBAPIError, match="takes no TRUNCATE, which nobody could follow: use DELETE"):
            by_hand(in_postgresql, f"TRUNCATE {table} CASCADE")


def test_somebody_else_with_another_search_path_is_named_as_the_actor(
    postgres: Postgres, in_postgresql: sa.Engine
) -> None:
    postgres.execute("CREATE ROLE operator IN ROLE pg_read_all_data, pg_write_all_data")
    edit = "UPDATE public.keys SET owner = 'x' WHERE id = 'a'"
    by_hand(in_postgresql, "SET LOCAL ROLE operator", "SET LOCAL search_path = ''", edit)
    assert ask(in_postgresql, "SELECT actor FROM changes") == [("operator",)]
    postgres.execute("DROP ROLE operator")


def test_the_shell_of_sqlite_which_keeps_no_foreign_keys_is_noticed(in_sqlite: sa.Engine) -> None:
    with closing(sqlite3.connect(str(in_sqlite.url.database))) as shell:
        shell.execute("REPLACE INTO keys SELECT * FROM keys WHERE id = 'a'")
        shell.execute("DELETE FROM keys WHERE id = 'b'")
        shell.commit()
        assert noticed(in_sqlite) == {A, B}
        shell.execute("DELETE FROM tenants")
        shell.execute("DELETE FROM entries")
        shell.commit()


def test_B10_a_store_goes_on_after_an_edit_by_hand_and_tells_it_in_its_history(store_url: str) -> None:
    store = Store.create(store_url, policy=presets.bitbybit())
    with store.change(actor="ann") as change:
        change.put_key("key_1", ["203.0.113.0/24"])
    by_hand(store.database.engine, "UPDATE entries SET prefix = '203.0.113.0/25', label = 'half' WHERE name = 'key_1'")
    with store.reading() as data:
        held = data.key("key_1")
        assert [(str(entry.prefix), entry.label) for entry in held.value.entries] == [("203.0.113.0/25", "half")]
        assert (held.revision, data.revision.generation) == (2, 2)
        assert data.history()[0].operation == "by hand"
    with pytest.raises(Conflict), store.change() as change:
        change.expect_key("key_1", 1)
    with store.change(actor="ann") as change:
        change.put_key("key_1", ["203.0.113.7"], replace=True)
    with store.reading() as data:
        assert [commit.revision.generation for commit in data.history()] == [3, 2, 1]
    store.close()
