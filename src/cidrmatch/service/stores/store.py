"""`Store`: keys and lists of one tenant in a database, with everybody who changes them and everybody who follows.

    Store.create(url, policy=presets.bitbybit())         once: the tables, and a tenant
    store = Store(url)
    with store.change(actor="anna", reason="CI") as change:
        report = change.put_key("key_1", ["203.0.113.0/24"])
    change.revision                                      (epoch, 1): what a reader may wait for

    with store.reading() as data:                        one moment of the database
        data.key("key_1")                                the record, and the commit that changed it last

A history gets a new epoch when it is not the one that this store knew: the database is another one or was restored
(its name says so, see `Database.history`), or a commit that this store has seen is not in it.  So a follower never
takes a new history for the old one.

Threads: safe.  Cost: a change is one transaction, some milliseconds.  Source: B9 to B11, P1, P7, C19.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from sqlalchemy import func, insert, select

from ..._keys import Revision, drawn_epoch
from ...engine.engine import Engine
from ...engine.forking import remember
from ...engine.ids import id_hash_of
from ...engine.settings import Settings
from ...errors import AlreadyExists, Conflict, UnknownName, quote
from ...policy.plain import write_policy
from ...policy.presets import check_policy
from .asserting import read_assertions
from .by_hand import marked_writer
from .change import Author, StoreChange
from .database import Database
from .draft import StoredDraft
from .errors import StoreError
from .history import Commit, read_history
from .nudges import CHANNEL, notice
from .reading import Head, Reading
from .reporting import Reader, read_readers
from .rows import check_text, check_workable
from .schema import keys, lists, tenants
from .things import as_text
from .upgrading import check_schema, upgrade

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ..._keys import FrozenList, KeyRecord
    from ...engine.feeding import Rules
    from ...policy.policy import Policy
    from .asserting import Assertion
    from .grants import Grant

__all__ = ["Data", "Store", "Stored"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_MAIN = "main"
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Stored(Generic[_T]):
    """Hold a record or a list as the store has it.

    Attributes:
        value: the `KeyRecord` or the `FrozenList`.
        revision: the number of the commit that changed it last; `expect_key` and `expect_list` take it.
    """

    value: _T
    revision: int


class Data:
    """What a store has at one moment; made by `Store.reading`.

    Attributes:
        revision: of the data.
        rules: policy, switches and default list.
    """

    def __init__(self, store: Store, connection: Connection, head: Head, reading: Reading) -> None:
        self._store = store
        self._connection = connection
        self._head = head
        self._reading = reading
        self.revision = head.revision
        self.rules: Rules = head.rules

    def key(self, key: str) -> Stored[KeyRecord]:
        """Give a key, without its grants; UnknownName if there is none."""
        held = self._store.held_id(key)
        record = self._reading.records(self._head, {held}).get(held)
        if record is None:
            raise UnknownName(f"no key {quote(key)}")
        query = select(keys.c.revision).where(keys.c.tenant == self._head.tenant, keys.c.id == held)
        return Stored(record, self._connection.execute(query).scalar_one())

    def named_list(self, name: str) -> Stored[FrozenList]:
        """Give a named list; UnknownName if there is none."""
        frozen = self._reading.lists(self._head, {name}).get(name)
        if frozen is None:
            raise UnknownName(f"no list {quote(name)}")
        query = select(lists.c.revision).where(lists.c.tenant == self._head.tenant, lists.c.name == name)
        return Stored(frozen, self._connection.execute(query).scalar_one())

    def keys(self, after: str = "", limit: int = _PAGE) -> list[str]:
        """Name keys by their held ids, in the order of the database, after one of them."""
        check_text("an id", after)
        query = select(keys.c.id).where(keys.c.tenant == self._head.tenant, keys.c.id > after)
        return [row[0] for row in self._connection.execute(query.order_by(keys.c.id).limit(limit))]

    def lists(self) -> list[str]:
        """Name the lists, sorted."""
        query = select(lists.c.name).where(lists.c.tenant == self._head.tenant)
        return sorted(row[0] for row in self._connection.execute(query))

    def keys_of(self, name: str) -> list[str]:
        """Name the keys that are linked to a list or lie within it, sorted (P7)."""
        self.named_list(name)
        return sorted(self._reading.keys_of(self._head, name))

    def grants(self) -> list[Grant]:
        """Give the grants that are in force."""
        return self._reading.grants(self._head)

    def assertions(self) -> list[Assertion]:
        """Give all assertions, sorted."""
        return read_assertions(self._connection, self._head.tenant)

    def readers(self) -> list[Reader]:
        """Give the processes that follow the tenant, with the revisions that they answer by; see `Reader`."""
        return read_readers(self._connection, self._head)

    def history(
        self, *, kind: str | None = None, name: str | None = None, before: int | None = None, limit: int = _PAGE
    ) -> list[Commit]:
        """Give commits, the latest first; see `read_history`."""
        check_text("a kind", kind)
        check_text("a name", name)
        return read_history(self._connection, self._head.tenant, kind=kind, name=name, before=before, limit=limit)

    def engine(self) -> Engine:
        """Make an engine of everything, without grants: to write a configuration, to ask, to look for mistakes.

        Cost: reads everything.
        """
        settings = self._store.settings(self.rules)
        unknown_key = "pass" if self.rules.unknown_passes else "deny"
        engine = Engine(self.rules.policy, clock=settings.clock, unknown_key=unknown_key)
        records, found = self._reading.plain(self._head)
        engine.restore(keys=dict(records), lists=found, default=self.rules.default, enforced=self.rules.is_enforced)
        return engine


class Store:
    """Store(url, tenant): keep a tenant's keys and lists in a database.

    Args:
        url: "sqlite:///keys.db" or "postgresql+psycopg://user@host/name".
        tenant: the name of the tenant.
        clock: gives the time in POSIX seconds.
        permits: the host's role check for named lists, called with actor, operation and name (P1).
        id_secret: 16 to 64 bytes; ids of keys are stored as their hashes under it.
        announce: is told after each commit, such as `RedisNudge.announce`; it must neither raise nor take long.
    Raises:
        StoreError: the URL is none.  Nothing is asked of the database yet.
    """

    def __init__(
        self,
        url: str,
        tenant: str = _MAIN,
        *,
        clock: Callable[[], float] = time.time,
        permits: Callable[[object, str, str], bool] | None = None,
        id_secret: bytes | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        check_text("the name of a tenant", tenant)
        self.database = Database(url)
        self.tenant = tenant
        self._clock = clock
        self._permits = permits
        self._id_secret = id_secret
        self._id_hash = id_hash_of(id_secret)
        self._announce = announce
        self._lock = threading.Lock()
        self._seen: tuple[Revision, str] | None = None  # the latest commit that this store has seen
        remember(self)

    def begin_anew(self) -> None:
        """Make a new lock, in a forked child."""
        self._lock = threading.Lock()

    @classmethod
    def create(
        cls,
        url: str,
        tenant: str = _MAIN,
        *,
        policy: Policy,
        clock: Callable[[], float] = time.time,
        permits: Callable[[object, str, str], bool] | None = None,
        id_secret: bytes | None = None,
    ) -> Store:
        """Make the tables, or upgrade them, and a tenant.

        Args:
            policy: what the tenant's product accepts.
        Raises:
            AlreadyExists: there is such a tenant.  ValueError: the policy needs a cutover (C10).
            StoreError: the database cannot be used.
        """
        check_workable(check_policy(policy))
        store = cls(url, tenant, clock=clock, permits=permits, id_secret=id_secret)
        try:
            store._begin(policy)
        except BaseException:
            store.close()
            raise
        return store

    def _begin(self, policy: Policy) -> None:
        """Make the tables, and the row of the tenant."""
        upgrade(self.database.engine)
        with self.database.writing() as connection, marked_writer(connection):
            if connection.execute(select(tenants.c.id).where(tenants.c.name == self.tenant)).one_or_none():
                raise AlreadyExists(f"there is a tenant {quote(self.tenant)} in this store")
            ids = None if self._id_hash is None else as_text(self._id_hash.said())
            connection.execute(
                insert(tenants).values(
                    name=self.tenant, policy=as_text(write_policy(policy)), is_enforced=True, unknown_passes=False,
                    ids=ids, epoch=drawn_epoch(0), number=0, mark=secrets.token_hex(8),
                    server=self.database.history(connection),
                )
            )  # fmt: skip

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self.database.close()

    def held_id(self, key: str) -> str:
        """Give the id under which the store holds a key."""
        return key if self._id_hash is None else self._id_hash(key)

    def new_engine(self) -> Engine:
        """Make an engine without data, for a follower; nothing of it is known but how it asks."""
        return Engine(clock=self._clock, permits=self._permits, id_secret=self._id_secret)

    def settings(self, rules: Rules) -> Settings:
        """Give the settings of an engine with these rules."""
        return Settings(
            policy=rules.policy, clock=self._clock, is_enforced=rules.is_enforced,
            unknown_passes=rules.unknown_passes, permits=self._permits, id_hash=self._id_hash,
        )  # fmt: skip

    def now(self) -> datetime:
        """Give the time of the store's clock."""
        return datetime.fromtimestamp(self._clock(), UTC)

    # Reading

    @contextmanager
    def look(self, last: Head | None = None) -> Iterator[tuple[Head, Reading]]:
        """Open a reading for a follower; see `reading` for people.

        Raises:
            StoreError: the database does not answer, has no such store, or its tenant's row is spoilt.
        """
        with self.database.reading() as connection, self._reading_of(connection, last) as found:
            yield found

    @contextmanager
    def _reading_of(self, connection: Connection, last: Head | None = None) -> Iterator[tuple[Head, Reading]]:
        check_schema(connection)
        with closing(Reading(connection, self.tenant, self.now())) as reading:
            head = reading.head(last)
            said = None if self._id_hash is None else as_text(self._id_hash.said())
            if head.ids != said:
                raise StoreError("the id_secret is not the one that this store's ids were hashed with")
            yield head, reading

    @contextmanager
    def reading(self) -> Iterator[Data]:
        """Read one moment of the data, for people; see `Data`."""
        with self.database.reading() as connection, self._reading_of(connection) as (head, reading):
            yield Data(self, connection, head, reading)

    # Changing

    @contextmanager
    def change(
        self,
        operation: str = "change",
        *,
        actor: str | None = None,
        origin: str | None = None,
        reason: str | None = None,
        if_revision: Revision | None = None,
        permits: Callable[[object, str, str], bool] | None = None,
    ) -> Iterator[StoreChange]:
        """Make one commit of everything that is said in the block, or nothing, if the block raises.

        Args:
            operation: what it is, in a word, for the history.
            actor, origin, reason: who makes the change, from where, and why.
            if_revision: refuse unless the data still has this revision.
            permits: the role check of this change, in the place of the store's.
        Raises:
            Conflict: it has another revision.  StoreUnavailable, StoreError, and what the changes raise.
        Threads: writers of one tenant take turns, in all processes.

        >>> import tempfile
        >>> from cidrmatch import presets
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = Store.create(f"sqlite:///{folder.name}/keys.db", policy=presets.bitbybit())
        >>> with store.change(actor="anna", reason="a new runner") as change:
        ...     report = change.put_key("key_1", ["203.0.113.0/24"])
        >>> change.revision.generation
        1
        >>> store.close(); folder.cleanup()
        """
        author = Author(actor=actor, origin=origin, reason=reason)
        check_text("an operation", operation)
        with self.database.writing() as connection, marked_writer(connection):
            self._take_turn(connection)
            with self._reading_of(connection) as (head, reading):
                if if_revision is not None and if_revision != head.revision:
                    raise Conflict(f"the data is of {head.revision}, not of {if_revision}")
                draft = StoredDraft.on(reading, head, self._settings_for(author, head.rules, permits))
                change = StoreChange(draft, connection, author, self.now())
                try:
                    yield change
                finally:
                    draft.is_over = True
                history = self.database.history(connection)
                epoch = drawn_epoch(head.revision.epoch) if self._is_other(connection, head, reading, history) else None
                revision = change.write(history, epoch, operation)
                if revision != head.revision:
                    self._notify(connection, revision)
                seen = reading.head(head)
        with self._lock:
            self._seen = (seen.revision, seen.mark)
        if self._announce is not None and revision != head.revision:
            try:
                self._announce(notice(self.tenant, revision))
            except Exception:  # the commit is made; followers find it by looking
                _log.exception("a change could not be announced")

    def _notify(self, connection: Connection, revision: Revision) -> None:
        """Nudge those who listen to PostgreSQL, when the transaction is committed."""
        if self.database.kind == "postgresql":
            connection.execute(select(func.pg_notify(CHANNEL, notice(self.tenant, revision))))

    def _settings_for(
        self, author: Author, rules: Rules, permits: Callable[[object, str, str], bool] | None
    ) -> Settings:
        """The settings of a change: the role check is asked about its actor."""
        settings, permits = self.settings(rules), permits or self._permits
        if permits is None:
            return settings
        return replace(settings, permits=lambda _actor, operation, name: permits(author.actor, operation, name))

    def _take_turn(self, connection: Connection) -> None:
        """Wait for other writers of the tenant; a transaction of SQLite has waited for all already."""
        if self.database.kind == "postgresql":
            connection.execute(select(tenants.c.id).where(tenants.c.name == self.tenant).with_for_update())

    def _is_other(self, connection: Connection, head: Head, reading: Reading, history: str) -> bool:
        """Whether the history is another than the one that this store, or the last writer, knew."""
        written = connection.execute(select(tenants.c.server).where(tenants.c.id == head.tenant)).scalar_one()
        if written != history:
            return True
        with self._lock:
            seen = self._seen
        if seen is None or seen[0].epoch != head.revision.epoch or seen[0].generation == 0:
            return False
        return not reading.has_commit(head, *seen)

    def __repr__(self) -> str:
        return f"<Store of {quote(self.tenant)} in {self.database!r}>"
