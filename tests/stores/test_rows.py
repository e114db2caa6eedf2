"""Rows that somebody spoilt by hand: each is a SpoiltRow that names its table, and no key is opened by it.

    UPDATE keys SET ...  --> everything: SpoiltRow   some: SpoiltRow   the copy of a follower: as it was

A store is looked at in both ways: by a new copy, and by one that was in step before and reads only what changed.
Requirements: B10, C21, C22, P9.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from cidrmatch import KeyRules, Policy, presets
from cidrmatch.service.stores.errors import SpoiltRow, StoreUnavailable
from cidrmatch.service.stores.reading import Changed, Head, Reading
from cidrmatch.service.stores.store import Store
from tests.stored import Copy, by_hand

if TYPE_CHECKING:
    from cidrmatch.service.stores.change import StoreChange
    from tests.databases import Postgres

POLICY = Policy(min_prefix_v4=8, keys=KeyRules(default_list=True))
OUTSIDE = "9.9.9.9"
KEYS = ("own", "linked", "inside", "bare", "trial", "named")
LISTS = ("office", "org", "fallback")
OPEN_NOW = "2999-01-01T00:00:00+00:00"


def fill(change: StoreChange) -> None:
    """Put keys of each kind; none of them lets `OUTSIDE` in."""
    change.put_list("office", [{"prefix": "198.51.100.0/24", "label": "Vienna"}, "2001:db8::/48"], description="d")
    change.put_list("org", ["203.0.113.0/24", "198.51.100.0/24"])
    change.put_list("fallback", ["192.0.2.1"])
    change.put_key(
        "own", ["203.0.113.0/24", {"prefix": "203.0.113.66", "effect": "deny"}, "198.51.100.7"], owner="acme"
    )
    change.put_key("linked", lists=["office", "org"])
    change.put_key("inside", ["203.0.113.0/24"], within=["org"])
    change.put_key("bare")
    change.put_key("trial", ["203.0.113.5"])
    change.put_shadow("trial", ["203.0.113.6", "203.0.113.7"])
    change.put_key("named", lists=["office"])
    change.set_default("fallback")


_TENANTS = itertools.count()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('shared') / 'store.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url(server.create_database())


@pytest.fixture
def store(shared_url: str) -> Iterator[Store]:
    """Give a filled tenant of its own in a database with all triggers and constraints."""
    made = Store.create(shared_url, f"t{next(_TENANTS)}", policy=POLICY)
    with made.change() as change:
        fill(change)
    yield made
    made.close()


def spoil(store: Store, *statements: str) -> None:
    """Change rows of the store's tenant; `:t` is its number."""
    with store.look() as (head, _):
        tenant = head.tenant
    by_hand(store.database.url.render_as_string(False), *(each.replace(":t", str(tenant)) for each in statements))


def looks(store: Store) -> dict[str, Callable[[], object]]:
    """The ways in which a store is read; each must refuse what is spoilt."""

    def all_of_it() -> object:
        return Copy(store)

    def some_of_it() -> object:
        with store.look() as (head, reading):
            return reading.some(head, Changed(set(KEYS), set(LISTS), True))

    def for_people() -> object:
        with store.reading() as data:
            return data.engine()

    return {"everything": all_of_it, "some": some_of_it, "people": for_people}


def check_spoilt(store: Store, table: str, *row: object) -> None:
    """Each way of reading names the table and, if it is said, the row."""
    for name, look in looks(store).items():
        if (name, table) == ("people", "grants"):
            continue  # people see no grants in a record
        with pytest.raises(SpoiltRow) as caught:
            look()
        assert caught.value.table == table, (name, caught.value)
        assert f"table {table}" in str(caught.value)
        assert len(str(caught.value)) < 1_000
        if row:
            assert caught.value.row[: len(row)] == row, (name, caught.value)


LONG = "1" * 10_000_000
KEY, ENTRY, LINK = "tenant = :t AND id", "tenant = :t AND holder = 'key' AND name", 'tenant = :t AND "key"'
SPOILT: dict[str, tuple[tuple[str, ...], tuple[object, ...]]] = {
    # name: (statements, (table, the row's first values))
    "bad prefix": (
        (f"UPDATE entries SET prefix = '203.0.113.0/99' WHERE {ENTRY} = 'own' AND position = 0",),
        ("entries", "key", "own", 0),
    ),
    "prefix with host bits": (
        (f"UPDATE entries SET prefix = '203.0.113.7/24' WHERE {ENTRY} = 'own' AND position = 0",),
        ("entries", "key", "own", 0),
    ),
    "prefix that is empty": ((f"UPDATE entries SET prefix = '' WHERE {ENTRY} = 'trial'",), ("entries", "key", "trial")),
    "prefix with a newline": (
        (f"UPDATE entries SET prefix = prefix || '\n' WHERE {ENTRY} = 'trial'",),
        ("entries", "key", "trial"),
    ),
    "prefix of ten megabytes": (
        (f"UPDATE entries SET prefix = '{LONG}' WHERE {ENTRY} = 'trial'",),
        ("entries", "key", "trial"),
    ),
    "prefix that the policy refuses": (
        (f"UPDATE entries SET prefix = '0.0.0.0/1' WHERE {ENTRY} = 'own' AND position = 0",),
        ("entries", "key", "own", 0),
    ),
    "prefix of a list": (
        (
            "UPDATE entries SET prefix = 'office' WHERE tenant = :t AND holder = 'list' AND name = 'org'"
            " AND position = 1",
        ),
        ("entries", "list", "org", 1),
    ),
    "prefix on trial": (
        ("UPDATE entries SET prefix = '::/129' WHERE tenant = :t AND holder = 'shadow' AND position = 1",),
        ("entries", "shadow", "trial", 1),
    ),
    "two entries that are one": (
        (f"UPDATE entries SET prefix = '203.0.113.0/24' WHERE {ENTRY} = 'own' AND position = 2",),
        ("entries", "key", "own"),
    ),
    "label of ten megabytes": (
        (f"UPDATE entries SET label = '{LONG}' WHERE {ENTRY} = 'trial'",),
        ("entries", "key", "trial"),
    ),
    "condition that is no JSON": (
        (f"UPDATE entries SET condition = '{{' WHERE {ENTRY} = 'trial'",),
        ("entries", "key", "trial", 0),
    ),
    "condition that is a list": (
        (f"UPDATE entries SET condition = '[]' WHERE {ENTRY} = 'trial'",),
        ("entries", "key", "trial", 0),
    ),
    "condition that is empty": (
        (f"UPDATE entries SET condition = '{{}}' WHERE {ENTRY} = 'trial'",),
        ("entries", "key", "trial", 0),
    ),
    "condition with another prefix": (
        (f"""UPDATE entries SET condition = '{{"prefix": "9.0.0.0/8"}}' WHERE {ENTRY} = 'trial'""",),
        ("entries", "key", "trial", 0),
    ),
    "condition that nobody knows": (
        (f"""UPDATE entries SET condition = '{{"effects": "deny"}}' WHERE {ENTRY} = 'trial'""",),
        ("entries", "key", "trial", 0),
    ),
    "condition with an infinite moment": (
        (f"""UPDATE entries SET condition = '{{"expires": 1e999}}' WHERE {ENTRY} = 'trial'""",),
        ("entries", "key", "trial", 0),
    ),
    "condition that is deep": (
        (f"UPDATE entries SET condition = '{'[' * 50_000}' WHERE {ENTRY} = 'trial'",),
        ("entries", "key", "trial", 0),
    ),
    "condition with a number of 9,999 digits": (
        (f"""UPDATE entries SET condition = '{{"expires": {"9" * 9_999}}}' WHERE {ENTRY} = 'trial'""",),
        ("entries", "key", "trial", 0),
    ),
    "an entry that is gone": ((f"DELETE FROM entries WHERE {ENTRY} = 'own' AND position = 1",), ("keys", "own")),
    "all entries gone": ((f"DELETE FROM entries WHERE {ENTRY} = 'own'",), ("keys", "own")),
    "entries of all keys gone": (("DELETE FROM entries WHERE tenant = :t AND holder = 'key'",), ("keys",)),
    "an entry more": (
        ("INSERT INTO entries (tenant, holder, name, position, prefix) VALUES (:t, 'key', 'own', 3, '192.0.2.0/24')",),
        ("keys", "own"),
    ),
    "an entry of a list gone": (
        ("DELETE FROM entries WHERE tenant = :t AND holder = 'list' AND name = 'org' AND position = 1",),
        ("lists", "org"),
    ),
    "an entry on trial gone": (
        ("DELETE FROM entries WHERE tenant = :t AND holder = 'shadow' AND position = 1",),
        ("keys", "trial"),
    ),
    "all entries gone, and the count with them": (
        (f"DELETE FROM entries WHERE {ENTRY} = 'own'", f"UPDATE keys SET own_count = 0 WHERE {KEY} = 'own'"),
        ("keys", "own"),
    ),
    "all links gone, and the count with them": (
        (f"DELETE FROM links WHERE {LINK} = 'linked'", f"UPDATE keys SET link_count = 0 WHERE {KEY} = 'linked'"),
        ("keys", "linked"),
    ),
    "entries exchanged for the level within": (
        (f"DELETE FROM entries WHERE {ENTRY} = 'inside'", f"UPDATE keys SET own_count = 0 WHERE {KEY} = 'inside'"),
        ("keys", "inside"),
    ),
    "a gap between positions": (
        (f"UPDATE entries SET position = 7 WHERE {ENTRY} = 'own' AND position = 2",),
        ("entries", "key", "own", 7),
    ),
    "a position below zero": (
        (f"UPDATE entries SET position = -1 WHERE {ENTRY} = 'own' AND position = 2",),
        ("entries", "key", "own", -1),
    ),
    "entries of nobody": (
        ("INSERT INTO entries (tenant, holder, name, position, prefix) VALUES (:t, 'key', 'bare', 0, '192.0.2.1')",),
        ("keys", "bare"),
    ),
    "a link gone": ((f"DELETE FROM links WHERE {LINK} = 'linked' AND position = 1",), ("keys", "linked")),
    "a gap between links": (
        (f"UPDATE links SET position = 5 WHERE {LINK} = 'linked' AND position = 1",),
        ("links", "linked", "lists", 5),
    ),
    "a link twice": ((f"UPDATE links SET list = 'office' WHERE {LINK} = 'linked'",), ("links", "linked")),
    "a link of another kind": ((f"UPDATE links SET kind = 'within' WHERE {LINK} = 'named'",), ("keys", "named")),
    "a moment that is none": ((f"UPDATE keys SET created_at = 'yesterday' WHERE {KEY} = 'own'",), ("keys", "own")),
    "a moment without a zone": (
        (f"UPDATE keys SET created_at = '2026-01-01T00:00:00' WHERE {KEY} = 'own'",),
        ("keys", "own"),
    ),
    "a moment out of all years": (
        (f"UPDATE keys SET created_at = '0001-01-01T00:00:00+14:00' WHERE {KEY} = 'own'",),
        ("keys", "own"),
    ),
    "a moment of ten megabytes": ((f"UPDATE keys SET created_at = '{LONG}' WHERE {KEY} = 'own'",), ("keys", "own")),
    "a count of ten": ((f"UPDATE keys SET own_count = 10 WHERE {KEY} = 'own'",), ("keys", "own")),
    "a count below zero": ((f"UPDATE keys SET own_count = -1 WHERE {KEY} = 'bare'",), ("keys", "bare")),
    "a count of a list": (("UPDATE lists SET entry_count = 1 WHERE tenant = :t AND name = 'org'",), ("lists", "org")),
    "a trial more": ((f"UPDATE keys SET shadow_count = 1 WHERE {KEY} = 'own'",), ("keys", "own")),
    "a trial without a count": ((f"UPDATE keys SET shadow_count = NULL WHERE {KEY} = 'trial'",), ("keys", "trial")),
    "a key that is switched off": ((f"UPDATE keys SET is_enabled = false WHERE {KEY} = 'own'",), ("keys", "own")),
    "a key on the default that is switched off": (
        (f"UPDATE keys SET is_enabled = false WHERE {KEY} = 'bare'",),
        ("keys", "bare"),
    ),
    "an open key made by hand": (
        (
            "INSERT INTO keys (tenant, id, created_at, is_enabled, own_count, link_count, judged, revision)"
            f" VALUES (:t, 'own', '{OPEN_NOW}', true, 0, 0, '', 1)"
            " ON CONFLICT (tenant, id) DO UPDATE SET own_count = 0, judged = excluded.judged",
            f"DELETE FROM entries WHERE {ENTRY} = 'own'",
        ),
        ("keys", "own"),
    ),
    "a list renamed to a grant": (
        (
            "INSERT INTO lists SELECT tenant, 'break-glass:1', description, 0, judged, revision FROM lists"
            " WHERE tenant = :t AND name = 'org'",
        ),
        ("lists", "break-glass:1"),
    ),
    "a default that is not there": (("UPDATE tenants SET default_list = 'nowhere' WHERE id = :t",), ("tenants",)),
    "no default any more": (("UPDATE tenants SET default_list = NULL WHERE id = :t",), ("tenants",)),
    "the feature switched off": (("UPDATE tenants SET is_enforced = false WHERE id = :t",), ("tenants",)),
    "unknown keys pass": (("UPDATE tenants SET unknown_passes = true WHERE id = :t",), ("tenants",)),
    "a policy that is no JSON": (("UPDATE tenants SET policy = '{' WHERE id = :t",), ("tenants",)),
    "a policy that nobody knows": (("""UPDATE tenants SET policy = '"acme"' WHERE id = :t""",), ("tenants",)),
    "a policy that is a number": (("UPDATE tenants SET policy = '5' WHERE id = :t",), ("tenants",)),
    "a policy that is null": (("UPDATE tenants SET policy = 'null' WHERE id = :t",), ("tenants",)),
    "a policy with a field too many": (
        ("""UPDATE tenants SET policy = '{"name": "x", "min": 3}' WHERE id = :t""",),
        ("tenants",),
    ),
    "a policy of wrong types": (
        ("""UPDATE tenants SET policy = '{"name": "x", "families": "4"}' WHERE id = :t""",),
        ("tenants",),
    ),
    "a policy without its cutover": (
        ("""UPDATE tenants SET policy = '{"preset": "nomsa"}' WHERE id = :t""",),
        ("tenants",),
    ),
    "a policy without a default list": (("""UPDATE tenants SET policy = '"bitbybit"' WHERE id = :t""",), ("tenants",)),
    "a policy of ten megabytes": ((f"UPDATE tenants SET policy = '{LONG}' WHERE id = :t",), ("tenants",)),
    "a number below zero": (("UPDATE tenants SET number = -5 WHERE id = :t",), ("tenants",)),
    "an epoch below zero": (("UPDATE tenants SET epoch = -5 WHERE id = :t",), ("tenants",)),
    "a grant by hand": ((f"INSERT INTO grants VALUES (:t, 99, 'own', NULL, 'x', '{OPEN_NOW}')",), ("grants", 99)),
    "a grant that ends at no moment": (
        ("INSERT INTO grants VALUES (:t, 99, 'own', NULL, 'x', 'never')",),
        ("grants", 99),
    ),
}


@pytest.fixture(scope="module")
def filled(shared_url: str) -> Iterator[tuple[Store, sa.Engine, Head]]:
    """Give a filled store, connections that know nothing of it, and its head."""
    made, raw = Store.create(shared_url, "filled", policy=POLICY), sa.create_engine(shared_url)
    with made.change() as change:
        fill(change)
    with made.look() as (head, _):
        pass
    yield made, raw, head
    raw.dispose()
    made.close()


def whole(reading: Reading, head: Head, _: Head) -> object:
    records, found = reading.everything(head)
    return dict(records), found


def parts(reading: Reading, head: Head, _: Head) -> object:
    return reading.some(head, Changed(set(KEYS), {*LISTS, "break-glass:1"}, True))


def followed(reading: Reading, head: Head, before: Head) -> object:
    """Read as a follower does that was in step before."""
    changed = reading.changed_since(head, before.revision, before.mark)
    return whole(reading, head, before) if changed is None else reading.some(head, changed)


@pytest.mark.parametrize("name", SPOILT)
def test_a_row_that_was_spoilt_by_hand_is_named(filled: tuple[Store, sa.Engine, Head], name: str) -> None:
    statements, (table, *row) = SPOILT[name]
    store, raw, before = filled
    with raw.connect() as connection:  # which is never committed, and sees what it did
        for statement in statements:
            connection.execute(sa.text(statement.replace(":t", str(before.tenant))))
        for look in (whole, parts, followed):
            reading = Reading(connection, "filled", store.now())
            with closing(reading), pytest.raises(SpoiltRow) as caught:
                look(reading, reading.head(), before)
            assert caught.value.table == table, (look, caught.value)
            assert f"table {table}" in str(caught.value)
            assert len(str(caught.value)) < 1_000
            if row:
                assert caught.value.row[: len(row)] == tuple(row), (look, caught.value)


def test_a_copy_stays_as_it_was_while_a_row_is_spoilt(store: Store) -> None:
    copy = Copy(store)
    spoil(store, f"DELETE FROM links WHERE {LINK} = 'linked'", f"UPDATE keys SET link_count = 0 WHERE {KEY} = 'linked'")
    check_spoilt(store, "keys", "linked")
    with pytest.raises(SpoiltRow):
        copy.look()
    assert not any(copy.engine.allows(key, OUTSIDE) for key in (*KEYS, "unknown"))
    with pytest.raises(SpoiltRow), store.change() as change:
        change.update_key("linked", owner="acme")


HARMLESS = {
    "another label": f"UPDATE entries SET label = 'x' WHERE {ENTRY} = 'own' AND position = 0",
    "another prefix": f"UPDATE entries SET prefix = '192.0.2.0/24' WHERE {ENTRY} = 'own' AND position = 0",
    "another owner": f"UPDATE keys SET owner = 'umbrella' WHERE {KEY} = 'own'",
    "another list": f"UPDATE links SET list = 'org' WHERE {LINK} = 'named'",
    "another default": "UPDATE tenants SET default_list = 'org' WHERE id = :t",
    "a key that is gone": f"DELETE FROM keys WHERE {KEY} = 'bare'",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_an_edit_by_hand_that_the_policy_takes_is_followed(store: Store, name: str) -> None:
    copy = Copy(store)
    spoil(store, HARMLESS[name])
    copy.look()
    assert copy.looked == "some"
    new = Copy(store)
    assert {key: copy.engine.key(key) for key in copy.engine.view} == {
        key: new.engine.key(key) for key in new.engine.view
    }
    assert not any(copy.engine.allows(key, OUTSIDE) for key in (*KEYS, "unknown"))


def test_rules_that_a_change_opened_stay_open_and_can_be_closed_by_hand(store: Store) -> None:
    with store.change() as change:
        change.set_enforced(False)
        change.set_unknown_key("pass")
    assert Copy(store).engine.allows("own", OUTSIDE)
    spoil(store, "UPDATE tenants SET is_enforced = true WHERE id = :t")
    assert not Copy(store).engine.allows("own", OUTSIDE)
    assert Copy(store).engine.allows("unknown", OUTSIDE)
    with store.change() as change:
        change.set_unknown_key("deny")
    spoil(store, "UPDATE tenants SET is_enforced = false WHERE id = :t")
    check_spoilt(store, "tenants")
    with pytest.raises(SpoiltRow), store.change() as change:
        change.put_key("new", ["192.0.2.1"])


def test_a_grant_that_was_prolonged_by_hand_is_spoilt(store: Store) -> None:
    with store.change() as change:
        change.grant("own", "192.0.2.77", reason="night", until=datetime.now(UTC) + timedelta(hours=1))
    copy = Copy(store)
    assert copy.engine.allows("own", "192.0.2.77")
    for column, value in (("expires", OPEN_NOW), ("prefix", "9.0.0.0/8"), ("reason", "other")):
        spoil(store, f"UPDATE grants SET {column} = '{value}' WHERE tenant = :t")
        for look in (lambda: Copy(store), copy.look):
            with pytest.raises(SpoiltRow, match="no change of the store granted this"):
                look()
    assert not copy.engine.allows("own", OUTSIDE)


# Databases that lost their constraints.


@pytest.fixture(params=["sqlite", "postgresql"])
def loose(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give a filled store whose tables have no constraint and no trigger any more."""
    made: Store = request.getfixturevalue(f"loose_{request.param}")
    yield made
    made.close()


TABLES = ("tenants", "keys", "lists", "entries", "links", "grants")


def loosen(store: Store) -> Store:
    with store.change() as change:
        fill(change)
    for table in TABLES:
        by_hand(
            store.database.url.render_as_string(False),
            f"ALTER TABLE {table} RENAME TO old_{table}",
            f"CREATE TABLE {table} AS SELECT * FROM old_{table}",
        )
    return store


@pytest.fixture(scope="module")
def loose_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loose") / "store.db"
    loosen(Store.create(f"sqlite:///{path}", policy=POLICY)).close()
    return path


@pytest.fixture
def loose_sqlite(loose_file: Path, tmp_path: Path) -> Store:
    for path in loose_file.parent.iterdir():
        shutil.copy(path, tmp_path)
    return Store(f"sqlite:///{tmp_path / 'store.db'}")


@pytest.fixture(scope="module")
def loose_database(postgres: Postgres) -> str:
    name = postgres.create_database()
    loosen(Store.create(postgres.url(name), policy=POLICY)).close()
    return name


@pytest.fixture
def loose_postgresql(loose_database: str, postgres: Postgres) -> Store:
    name = f"{loose_database}_{next(_TENANTS)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {loose_database}")
    return Store(postgres.url(name))


NULLS = [
    ("keys", column)
    for column in ("created_at", "is_enabled", "own_count", "link_count")
] + [
    ("lists", "description"), ("lists", "entry_count"), ("entries", "prefix"), ("entries", "position"),
    ("links", "position"), ("links", "list"), ("tenants", "policy"), ("tenants", "is_enforced"),
    ("tenants", "unknown_passes"), ("tenants", "epoch"), ("tenants", "number"), ("tenants", "mark"),
]  # fmt: skip


def test_a_null_where_there_must_be_a_value_is_spoilt(loose: Store) -> None:
    for table, column in NULLS:
        kept = f"kept_{table}_{column}"
        spoil(loose, f"CREATE TABLE {kept} AS SELECT * FROM {table}", f"UPDATE {table} SET {column} = NULL")
        try:
            check_spoilt(loose, table)
        finally:
            by_hand(
                loose.database.url.render_as_string(False),
                f"DELETE FROM {table}",
                f"INSERT INTO {table} SELECT * FROM {kept}",
            )
    Copy(loose)


TWICE = {
    "keys": "INSERT INTO keys SELECT * FROM keys WHERE id = 'bare'",
    "lists": "INSERT INTO lists SELECT * FROM lists WHERE name = 'org'",
    "tenants": "INSERT INTO tenants SELECT * FROM tenants",
}


@pytest.mark.parametrize("table", TWICE)
def test_a_row_that_is_there_twice_is_spoilt(loose: Store, table: str) -> None:
    spoil(loose, TWICE[table])
    check_spoilt(loose, table)


def test_an_entry_that_is_there_twice_is_spoilt(loose: Store) -> None:
    spoil(loose, "INSERT INTO entries SELECT * FROM entries WHERE holder = 'key' AND name = 'own' AND position = 1")
    check_spoilt(loose, "keys", "own")
    spoil(loose, "UPDATE keys SET own_count = 4 WHERE id = 'own'")
    check_spoilt(loose, "entries", "key", "own")


GONE = {
    "a list that keys name": (
        "DELETE FROM lists WHERE name = 'org'",
        "DELETE FROM entries WHERE holder = 'list' AND name = 'org'",
    ),
    "the default list": (
        "DELETE FROM lists WHERE name = 'fallback'",
        "DELETE FROM entries WHERE holder = 'list' AND name = 'fallback'",
    ),
    "a list, but not its entries": ("DELETE FROM lists WHERE name = 'office'",),
    "a key, but not its entries": ("DELETE FROM keys WHERE id = 'own'",),
    "a key, but not its links": ("DELETE FROM keys WHERE id = 'linked'",),
    "a link to nowhere": ("UPDATE links SET list = 'nowhere' WHERE \"key\" = 'named'",),
    "a lack of all lists": ("DELETE FROM lists", "DELETE FROM entries WHERE holder = 'list'"),
    "entries whose holder nobody knows": ("UPDATE entries SET holder = 'other' WHERE holder = 'key' AND name = 'own'",),
    "links whose kind nobody knows": ("UPDATE links SET kind = 'other' WHERE \"key\" = 'named'",),
}
TABLE_OF_GONE = {"a list that keys name": "links", "the default list": "tenants", "a list, but not its entries": None,
                 "a link to nowhere": "links", "a lack of all lists": "tenants"}  # fmt: skip


@pytest.mark.parametrize("name", GONE)
def test_what_belongs_to_something_that_is_gone_is_spoilt(loose: Store, name: str) -> None:
    spoil(loose, *GONE[name])
    for look in looks(loose).values():
        with pytest.raises(SpoiltRow) as caught:
            look()
        assert TABLE_OF_GONE.get(name) in (None, caught.value.table)


COLUMNS = [
    ("keys", "judged"), ("keys", "own_count"), ("keys", "is_enabled"), ("entries", "prefix"), ("entries", "condition"),
    ("links", "position"), ("lists", "description"), ("tenants", "policy"), ("tenants", "mark"),
]  # fmt: skip


def test_a_column_that_is_gone_is_told_and_nothing_is_served(loose: Store) -> None:
    for table, column in COLUMNS:
        spoilt = f"ALTER TABLE {table} RENAME COLUMN {column} TO lost"
        by_hand(loose.database.url.render_as_string(False), spoilt)
        for look in looks(loose).values():
            with pytest.raises(StoreUnavailable, match=column):
                look()
        by_hand(loose.database.url.render_as_string(False), f"ALTER TABLE {table} RENAME COLUMN lost TO {column}")
    Copy(loose)
    by_hand(loose.database.url.render_as_string(False), "ALTER TABLE keys DROP COLUMN shadow_count")
    with pytest.raises(StoreUnavailable, match="shadow_count"), loose.look() as (_, reading):
        reading.check_columns()


WRONG_TYPES = [
    ("keys", "id", "x'00'"), ("keys", "created_at", "5"), ("keys", "created_at", "x'32303236'"),
    ("keys", "is_enabled", "2"), ("keys", "is_enabled", "'yes'"), ("keys", "is_enabled", "1.5"),
    ("keys", "owner", "x'00'"), ("keys", "own_count", "'many'"), ("keys", "link_count", "0.5"),
    ("keys", "shadow_count", "'two'"), ("lists", "name", "x'00'"), ("lists", "description", "x'00'"),
    ("lists", "entry_count", "x'00'"), ("entries", "name", "x'00'"), ("entries", "holder", "x'00'"),
    ("entries", "position", "'first'"), ("entries", "prefix", "x'01020304'"), ("entries", "label", "x'00'"),
    ("entries", "condition", "x'7b7d'"), ("links", "key", "x'00'"), ("links", "position", "x'00'"),
    ("links", "list", "x'00'"), ("tenants", "policy", "x'00'"), ("tenants", "is_enforced", "'on'"),
    ("tenants", "is_enforced", "2"), ("tenants", "unknown_passes", "x'01'"), ("tenants", "default_list", "x'00'"),
    ("tenants", "epoch", "'old'"), ("tenants", "number", "1.5"), ("tenants", "mark", "x'00'"),
    ("tenants", "ids", "x'00'"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "value"), WRONG_TYPES)
def test_a_value_of_another_type_is_spoilt_in_sqlite(loose_sqlite: Store, table: str, column: str, value: str) -> None:
    copy = Copy(loose_sqlite)
    by_hand(loose_sqlite.database.url.render_as_string(False), f'UPDATE {table} SET "{column}" = {value}')
    ways = looks(loose_sqlite)
    for name in ("everything", "people"):
        with pytest.raises(SpoiltRow):
            ways[name]()
    if table != "keys" or column != "id":
        with pytest.raises(SpoiltRow):
            ways["some"]()
    with pytest.raises(SpoiltRow):
        Copy(loose_sqlite)
    assert not any(copy.engine.allows(key, OUTSIDE) for key in KEYS)


def test_text_that_is_no_utf8_is_told_in_sqlite(loose_sqlite: Store) -> None:
    by_hand(loose_sqlite.database.url.render_as_string(False), "UPDATE entries SET label = CAST(x'ff' AS TEXT)")
    for look in looks(loose_sqlite).values():
        with pytest.raises(StoreUnavailable, match="UTF-8"):
            look()


def test_a_number_of_the_wrong_size_is_no_revision(store: Store) -> None:
    """The head may jump; then a follower reads everything, and the next commit goes on from there."""
    copy = Copy(store)
    spoil(store, "UPDATE tenants SET number = 50 WHERE id = :t")
    copy.look()
    assert copy.looked == "everything"
    with store.change() as change:
        change.put_key("new", ["192.0.2.9"])
    assert change.revision is not None
    assert change.revision.generation == 51
    copy.look()
    assert copy.engine.allows("new", "192.0.2.9")


def test_C10_a_new_key_is_not_made_a_legacy_key_by_hand(shared_url: str) -> None:
    cutover = datetime(2020, 1, 1, tzinfo=UTC)
    store = Store.create(shared_url, f"t{next(_TENANTS)}", policy=presets.nomsa(cutover=cutover))
    with store.change() as change:
        change.put_key("key", ["203.0.113.1"])
    spoil(store, f"DELETE FROM entries WHERE {ENTRY} = 'key'", f"UPDATE keys SET own_count = 0 WHERE {KEY} = 'key'")
    with pytest.raises(SpoiltRow):
        Copy(store)
    spoil(store, f"UPDATE keys SET created_at = '2001-01-01T00:00:00+00:00' WHERE {KEY} = 'key'")
    with pytest.raises(SpoiltRow):
        Copy(store)
    later = (
        """UPDATE tenants SET policy = '{"preset": "nomsa", "cutover": "2999-01-01T00:00:00+00:00"}' WHERE id = :t"""
    )
    spoil(store, later)
    with pytest.raises(SpoiltRow):
        Copy(store)
    store.close()


def test_a_key_that_a_hand_removes_is_spoilt_where_unknown_keys_pass(store: Store) -> None:
    with store.change() as change:
        change.set_unknown_key("pass")
    copy = Copy(store)
    with store.change() as change:
        change.remove_key("own")
    copy.look()
    assert copy.engine.allows("own", OUTSIDE)  # said by a change of the store
    with store.change() as change:
        change.put_key("own", ["192.0.2.1"])
    copy.look()
    spoil(
        store,
        "DELETE FROM entries WHERE tenant = :t AND name = 'own' AND holder IN ('key', 'shadow')",
        "DELETE FROM links WHERE tenant = :t AND key = 'own'",
        "DELETE FROM keys WHERE tenant = :t AND id = 'own'",
    )
    with pytest.raises(SpoiltRow, match="no change of the store removed it"):
        copy.look()
    assert not copy.engine.allows("own", OUTSIDE)
