"""A look at a store is cheap, and misses nothing that is gone; a nudge of one follower does not wake the others."""

from contextlib import closing

import pytest
import sqlalchemy

from cidrmatch import presets
from cidrmatch.service.stores.errors import StoreError, StoreUnavailable
from cidrmatch.service.stores.nudges import PostgresNudge
from cidrmatch.service.stores.reading import Head
from cidrmatch.service.stores.store import Store
from tests.databases import Postgres, wait_until
from tests.stored import by_hand


def test_a_look_asks_few_statements_and_notices_what_is_gone(store_url: str) -> None:
    """Every follower looks every two seconds, so a statement more is dear; and a look must not miss what is gone."""
    store, statements = Store.create(store_url, policy=presets.bitbybit()), list[str]()

    def look(last: Head | None = None) -> Head:
        with store.look(last) as (head, reading):
            reading.check_columns()
        return head

    head = look()
    sqlalchemy.event.listen(
        store.database.engine, "before_cursor_execute", lambda *said: statements.append(said[2].partition(" ")[0])
    )
    look(head)
    assert statements.count("SELECT") == (3 if "sqlite" in store_url else 4)
    for table, column in (("keys", "owner"), ("lists", "description"), ("entries", "label"), ("grants", "reason")):
        by_hand(store_url, f"ALTER TABLE {table} RENAME COLUMN {column} TO away")
        with pytest.raises(StoreUnavailable, match=column):
            look()
        by_hand(store_url, f"ALTER TABLE {table} RENAME COLUMN away TO {column}")
        look()
    by_hand(store_url, "UPDATE cidrmatch_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer than this program"):
        look()
    by_hand(store_url, "DROP TABLE cidrmatch_version")
    with pytest.raises(StoreUnavailable):  # a connection that has found the table
        look()
    with pytest.raises(StoreError, match="there is no store in this database"):
        look()
    store.close()


def test_probes_of_a_nudge_wake_no_other_session(postgres: Postgres) -> None:
    """PostgreSQL wakes every session that listens to anything, for each NOTIFY of anybody."""
    store = Store.create(postgres.url(name := postgres.create_database()), policy=presets.bitbybit())
    nudge = PostgresNudge(store.database.connect_args())
    with closing(store), postgres._connect(name) as other:
        nudge.start(lambda: None, "main")
        wait_until(lambda: nudge.is_alive, "the nudge listens")
        first = nudge.age
        wait_until(lambda: nudge.age is not None and first is not None and nudge.age < first, "it was probed again")
        sent = other.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_notify%' AND pid <> pg_backend_pid()"
        ).fetchone()
        assert sent == (0,)
        nudge.stop()
