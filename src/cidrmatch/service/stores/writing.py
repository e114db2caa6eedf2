"""Writing the rows of one commit: lists and keys as they are now, and the history of what changed.

    lists first      because links name them
    keys             a key that was there loses all its rows, and gets new ones, some thousand keys at a time;
                     a key that goes takes its grants along
    lists that go    last, because links named them
    changed          each key and list, with its values before and after

Cost: some 30 us a key, half of it in the database.  Threads: a writer belongs to one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import bindparam, delete, update

from ...engine.things import list_as_values
from .bulk import insert_rows, taking_turns
from .rows import Judge, Written, key_rows, list_rows
from .schema import changed, entries, grants, keys, links, lists
from .things import as_text, key_as_text

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Table

    from ..._keys import FrozenList, KeyRecord
    from .reading import Head, Reading

    _Change: TypeAlias = tuple[str, KeyRecord | None, KeyRecord | None]

__all__ = ["Writer", "matching"]

_AT_ONCE = 5_000


class Writer:
    """Write rows of one commit, many at once."""

    def __init__(self, connection: Connection, tenant: int, judge: Judge, number: int) -> None:
        self._connection = connection
        self._tenant = tenant
        self._judge = judge
        self._number = number
        self._told: list[Written] = []

    def write(
        self,
        keys_changed: Iterator[_Change],
        lists_changed: list[tuple[str, FrozenList | None, FrozenList | None]],
    ) -> None:
        """Write keys and lists; lists come first and go last, because links name them."""
        self._put_lists([(name, after) for name, _, after in lists_changed if after is not None])
        some = list(islice(keys_changed, _AT_ONCE))
        with taking_turns(self._connection, is_large=len(some) == _AT_ONCE) as later:
            while some:
                later(self._put_keys, some, *self._rows_of(some))
                some = list(islice(keys_changed, _AT_ONCE))
        for name, before, after in lists_changed:
            self._forget("list", name) if after is None else None
            said = (None if each is None else as_text(list_as_values(each)) for each in (before, after))
            self.tell("list", name, *said)

    def _put_lists(self, some: list[tuple[str, FrozenList]]) -> None:
        for name, frozen in some:
            row, owned = list_rows(self._judge, self._tenant, frozen, self._number)
            where = {"tenant": self._tenant, "name": name}
            values = {column.name: value for column, value in zip(lists.columns, row, strict=True)}
            if not self._connection.execute(matching(update(lists), lists, where).values(**values)).rowcount:
                self._insert(lists, [row])
            self._connection.execute(matching(delete(entries), entries, {**where, "holder": "list"}))
            self._insert(entries, owned)

    def _rows_of(self, some: list[_Change]) -> tuple[list[Written], ...]:
        """Make the rows of keys, for each table, and those of their history; nothing is asked of the database."""
        rows: tuple[list[Written], ...] = ([], [], [], [])
        for key, before, after in some:
            if after is not None:
                row, owned, linked = key_rows(self._judge, self._tenant, key, after, self._number)
                rows[0].append(row)
                rows[1].extend(owned)
                rows[2].extend(linked)
            was, is_now = (None if record is None else key_as_text(record) for record in (before, after))
            rows[3].append((self._tenant, self._number, "key", key, was, is_now))
        return rows

    def _put_keys(self, some: list[_Change], *rows: list[Written]) -> None:
        """Replace the rows of keys; a key that was there before loses its rows first."""
        self._forget_grants(some)
        old = [key for key, before, _ in some if before is not None]
        for table, column in ((entries, entries.c.name), (links, links.c.key), (keys, keys.c.id)):
            gone = delete(table).where(table.c.tenant == self._tenant, column.in_(old))
            if table is entries:
                gone = gone.where(entries.c.holder.in_(("key", "shadow")))
            if old:
                self._connection.execute(gone)
        for table, mine in zip((keys, entries, links, changed), rows, strict=True):
            self._insert(table, mine)

    def _forget_grants(self, some: list[_Change]) -> None:
        """Remove the grants of keys that go, and the earlier ones of keys that are made anew: those are other keys."""
        were = [(key, before, after) for key, before, after in some if before is not None]
        gone = [key for key, _, after in were if after is None]
        anew = [key for key, before, after in were if after is not None and after.created_at != before.created_at]
        for names, until in ((gone, self._number), (anew, self._number - 1)):
            if names:
                where = (grants.c.tenant == self._tenant, grants.c.number <= until, grants.c.key.in_(names))
                self._connection.execute(delete(grants).where(*where))

    def _forget(self, holder: str, name: str) -> None:
        where = {"tenant": self._tenant, "name": name}
        self._connection.execute(matching(delete(entries), entries, {**where, "holder": holder}))
        self._connection.execute(matching(delete(lists), lists, where))

    def _insert(self, table: Table, rows: list[Written]) -> None:
        insert_rows(self._connection, table, rows)

    def tell(self, kind: str, name: str, before: str | None, after: str | None) -> None:
        """Note in the history what changed."""
        self._told.append((self._tenant, self._number, kind, name, before, after))
        if len(self._told) >= _AT_ONCE:
            self.flush()

    def renew(self, reading: Reading, head: Head) -> None:
        """Write the digest of each key and list anew, because another policy has judged them.

        Args:
            reading: the transaction.
            head: with a judge that believes the rows.
        """
        judged = [(frozen.name, self._judge.digest_of_list(frozen)) for frozen in reading.all_lists(head)]
        self._renew(lists, lists.c.name, judged)
        self._renew(
            keys, keys.c.id, [(key, self._judge.digest_of_key(key, record)) for key, record in reading.all_keys(head)]
        )

    def _renew(self, table: Table, column: Column[str], judged: Sequence[tuple[object, str]]) -> None:
        query = update(table).where(table.c.tenant == self._tenant, column == bindparam("of"))
        query = query.values(judged=bindparam("digest"))
        for start in range(0, len(judged), _AT_ONCE):
            rows = [{"of": name, "digest": digest} for name, digest in judged[start : start + _AT_ONCE]]
            self._connection.execute(query, rows)

    def flush(self) -> None:
        """Write what was noted."""
        self._insert(changed, self._told)
        self._told = []


def matching(statement: Any, table: Table, values: dict[str, Any]) -> Any:
    """Bind a statement to the rows that have these values."""
    return statement.where(*(table.c[name] == value for name, value in values.items()))
