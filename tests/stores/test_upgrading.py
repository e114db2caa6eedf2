"""Tables are made and upgraded: from every revision there was, with data, whole or not at all, one at a time.

    for each revision R:     upgrade to R --> rows as R wrote them --> upgrade to head --> the rows are there

Requirements: B10 (what was saved stays saved).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from cidrmatch.service.stores.by_hand import marked_writer
from cidrmatch.service.stores.errors import StoreError, StoreUnavailable
from cidrmatch.service.stores.schema import metadata
from cidrmatch.service.stores.upgrading import VERSION_TABLE, check_schema, revisions, schema_version, upgrade
from tests.servers import ROOT

NOT_OF_THE_STORE = {VERSION_TABLE, "writing"}  # which revision it is; the mark of by_hand.py in SQLite

_MOMENT = "2026-03-01T12:00:00.000001+00:00"
SAMPLES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "0001": {
        "tenants": [
            {"id": 1, "name": "acme", "policy": "{}", "is_enforced": True, "unknown_passes": False}
            | {"default_list": None, "ids": None, "epoch": 2**40, "number": 2**41, "mark": "5f0c", "server": "one"}
        ],
        "keys": [
            {"tenant": 1, "id": "key \u00e9", "created_at": _MOMENT, "is_enabled": True, "owner": None}
            | {"own_count": 1, "shadow_count": 1, "link_count": 1, "judged": "5f", "revision": 7}
        ],
        "lists": [
            {"tenant": 1, "name": "office", "description": "", "entry_count": 1, "judged": "5f", "revision": 7},
        ],
        "entries": [
            {"tenant": 1, "holder": holder, "name": name, "position": 0, "prefix": "10.0.0.0/8", "label": None}
            | {"condition": '{"expires_at": "2027-01-01"}'}
            for holder, name in (("key", "key \u00e9"), ("shadow", "key \u00e9"), ("list", "office"))
        ],
        "links": [{"tenant": 1, "key": "key \u00e9", "kind": "lists", "position": 0, "list": "office"}],
        "assertions": [
            {"tenant": 1, "holder": "list", "name": "office", "address": "10.1.2.3", "must_allow": True, "note": ""}
        ],
        "grants": [
            {"tenant": 1, "number": 7, "key": "key \u00e9", "prefix": None, "reason": "fire", "expires": _MOMENT}
        ],
        "changes": [
            {"tenant": 1, "number": 7, "epoch": 1, "mark": "5f0c", "at": _MOMENT, "actor": "ann", "origin": "::1"}
            | {"reason": None, "operation": "put_key"}
        ],
        "changed": [{"tenant": 1, "number": 7, "kind": "key", "name": "key \u00e9", "before": None, "after": "{}"}],
        "tokens": [{"hash": "ab", "tenant": 1, "name": "ci", "role": "viewer", "created_at": _MOMENT}],
        "readers": [{"tenant": 1, "name": "host/7", "epoch": 1, "number": 7, "seen_at": _MOMENT}],
    },
}
"""For each revision, rows of each of its tables as a program of its time wrote them."""


@pytest.fixture
def database(store_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(store_url, connect_args={} if "postgresql" in store_url else {"timeout": 30})
    yield engine
    engine.dispose()


def tables_of(connection: sa.Connection) -> sa.MetaData:
    found = sa.MetaData()
    found.reflect(connection)
    return found


def in_order(tables: sa.MetaData) -> list[sa.Table]:
    return [table for table in tables.sorted_tables if table.name not in NOT_OF_THE_STORE]


def fill(connection: sa.Connection, revision: str) -> None:
    """Write the samples, in the order that foreign keys want."""
    with marked_writer(connection):
        for table in in_order(tables_of(connection)):
            connection.execute(table.insert(), SAMPLES[revision][table.name])


def triggers(connection: sa.Connection) -> list[tuple[Any, ...]]:
    """List the triggers with their texts."""
    query = {
        "sqlite": "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid), prosrc"
        " FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal",
    }[connection.dialect.name]
    return sorted(tuple(row) for row in connection.execute(sa.text(query)))


def shape_of(connection: sa.Connection) -> dict[str, Any]:
    """Tell all about the tables that a comparison with Alembic leaves out: keys and constraints, in order."""
    found = sa.inspect(connection)
    asks = (found.get_pk_constraint, found.get_foreign_keys, found.get_check_constraints, found.get_unique_constraints)
    return {
        name: (
            [(each["name"], repr(each["type"]), each["nullable"]) for each in found.get_columns(name)],
            *(sorted(map(repr, [told] if isinstance(told := ask(name), dict) else told)) for ask in asks),
            sorted(map(repr, found.get_indexes(name))),
        )
        for name in found.get_table_names()
        if name not in NOT_OF_THE_STORE
    }


def test_the_revisions_make_what_schema_says(database: sa.Engine) -> None:
    with database.begin() as connection:
        metadata.create_all(connection)
        wanted = shape_of(connection)
        metadata.drop_all(connection)
    upgrade(database)
    with database.connect() as connection:
        options = {
            "version_table": VERSION_TABLE,
            "compare_server_default": True,
            "include_name": lambda name, _kind, _parents: name not in NOT_OF_THE_STORE,
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        assert shape_of(connection) == wanted
        assert set(wanted) == set(metadata.tables)


def test_every_revision_has_samples_of_all_its_tables_and_no_way_down() -> None:
    assert list(SAMPLES) == revisions()
    config = Config()
    config.set_main_option("script_location", "cidrmatch.service.stores:migrations")
    config.set_main_option("path_separator", "os")
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert [script for script in scripts if hasattr(script.module, "downgrade")] == []
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


@pytest.mark.parametrize("revision", revisions())
def test_B10_every_revision_that_there_was_upgrades_with_its_data(database: sa.Engine, revision: str) -> None:
    upgrade(database, revision)
    with database.begin() as connection:
        assert schema_version(connection) == revision
        assert set(SAMPLES[revision]) == {table.name for table in in_order(tables_of(connection))}
        fill(connection, revision)
    upgrade(database)
    with database.connect() as connection:
        check_schema(connection)
        tables = tables_of(connection).tables
        for name, rows in SAMPLES[revision].items():
            columns = [tables[name].c[column] for column in rows[0]]
            found = [dict(row) for row in connection.execute(sa.select(*columns)).mappings()]
            assert sorted(found, key=repr) == sorted(rows, key=repr), name


@pytest.mark.parametrize("revision", revisions())
def test_every_revision_that_there_was_upgrades_to_the_same_tables_and_triggers(
    database: sa.Engine, revision: str
) -> None:
    """An upgrade that makes a table of SQLite anew would lose its triggers."""
    upgrade(database)
    with database.begin() as connection:
        wanted = shape_of(connection), triggers(connection)
        tables_of(connection).drop_all(connection)
        for name in ("note_by_hand", "refuse_unless_appended", "refuse_truncate"):
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"DROP FUNCTION {name}"))
    upgrade(database, revision)
    upgrade(database)
    with database.connect() as connection:
        assert (shape_of(connection), triggers(connection)) == wanted
        assert wanted[1]


def test_an_upgrade_that_fails_leaves_nothing(database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE readers (of_somebody_else TEXT)"))  # the last that we make
    with pytest.raises(StoreUnavailable, match=r"cannot be made or upgraded: .*readers"):
        upgrade(database)
    with database.begin() as connection:
        assert sa.inspect(connection).get_table_names() == ["readers"]
        with pytest.raises(StoreError, match="run `cidrmatch store init`"):
            check_schema(connection)
        connection.execute(sa.text("DROP TABLE readers"))
    upgrade(database)
    with database.connect() as connection:
        check_schema(connection)


def test_an_upgrade_again_changes_nothing(database: sa.Engine) -> None:
    upgrade(database)
    with database.begin() as connection:
        fill(connection, revisions()[-1])
    upgrade(database)
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM entries")) == 3
        assert schema_version(connection) == revisions()[-1]


def test_processes_and_threads_that_upgrade_at_once_all_succeed(database: sa.Engine) -> None:
    """Each waits for the others, and then finds nothing to do."""
    url = database.url.render_as_string(hide_password=False)
    program = (
        "import sys, sqlalchemy as sa; from cidrmatch.service.stores.upgrading import upgrade\n"
        "database = sa.create_engine(sys.argv[1]); print(flush=True); input(); upgrade(database); database.dispose()"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, url], stdin=-1, stdout=-1, stderr=-1, cwd=ROOT, text=True)
        for _ in range(3)
    ]
    errors: list[BaseException] = []
    threads = [Thread(target=_upgrade_anew, args=(url, errors)) for _ in range(3)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()  # it is ready
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for thread in threads:
        thread.start()
    said = [child.communicate(timeout=60)[1] for child in children]
    for thread in threads:
        thread.join(60)
    assert said == ["", "", ""]
    assert errors == []
    with database.connect() as connection:
        check_schema(connection)


def _upgrade_anew(url: str, errors: list[BaseException]) -> None:
    database = sa.create_engine(url)
    try:
        upgrade(database)
    except BaseException as error:
        errors.append(error)
    finally:
        database.dispose()


def test_a_store_of_another_revision_is_refused_in_words(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(database)
    with database.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        with pytest.raises(StoreError, match="9999, which is newer than this program, whose newest is"):
            check_schema(connection)
    with pytest.raises(StoreError, match="9999, which is newer"):
        upgrade(database)
    with database.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '{revisions()[0]}'"))
    said = rf"older schema {revisions()[0]}, and this program needs 9998: run `cidrmatch store upgrade`"
    newer = [*revisions(), "9998"]
    monkeypatch.setattr("cidrmatch.service.stores.upgrading.revisions", lambda: newer)
    with database.connect() as connection, pytest.raises(StoreError, match=said):
        check_schema(connection)


def test_tables_of_the_host_that_its_own_alembic_keeps_are_left_alone(database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('of the host')"))
        assert schema_version(connection) is None
    upgrade(database)
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "of the host"
        check_schema(connection)


def test_an_engine_that_begins_transactions_itself_upgrades_too(database: sa.Engine) -> None:
    """The usual recipe for SQLite: the driver begins nothing, SQLAlchemy says BEGIN."""
    if database.dialect.name == "sqlite":
        sa.event.listen(database, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
        sa.event.listen(database, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    else:
        database = database.execution_options(isolation_level="SERIALIZABLE")
    upgrade(database)
    with database.begin() as connection:
        check_schema(connection)


def test_another_kind_of_database_is_refused() -> None:
    engine = sa.create_mock_engine("mysql://", lambda *_: None)
    with pytest.raises(StoreError, match="and not in mysql"):
        upgrade(engine)  # type: ignore[arg-type]
