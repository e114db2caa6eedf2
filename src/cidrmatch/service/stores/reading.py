"""Reading a tenant within one transaction: its head, everything, or what changed since a commit.

    head           (E, 17), mark "5f0c", policy, default          one row; asked every two seconds by each follower
    changed_since  (E, 15), mark "a211"  -->  {key_1}, {office}   None: the history is another, or too much changed
    some           {key_1}, {office}     -->  their records
    everything                           -->  all records, one after the other, from three queries side by side

    keys     a      b      c             ordered by the key, byte by byte, in each query:
    entries  a a           c c c         so that the rows of a key come together,
    links           b b    c             and nothing but one key is in memory

The transaction sees one moment of the database, so what is read belongs together.
Every row is judged (rows.py); the first one that is spoilt ends the reading.

Cost: 20 us a key.  Threads: a reading belongs to one thread.  Source: C19.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select, type_coerce
from sqlalchemy.types import NullType

from ..._keys import Revision
from ...engine.feeding import Rules
from .errors import SpoiltRow, StoreError
from .grants import Grant, granted, list_of_grant
from .rows import Judge, Row, key_of, list_of, read_moment
from .schema import changed, changes, entries, grants, keys, links, lists, tenants

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Connection, Select

    from ..._keys import FrozenList, KeyRecord

__all__ = ["Changed", "Head", "Reading"]

_MOST_CHANGED = 10_000
"""Keys and lists; who is further behind reads everything."""
_AT_ONCE = 400
"""Names in one query; SQLite takes 32,766 values."""
_ROWS_AT_ONCE = 5_000


def _raw(*columns: Column[Any]) -> list[ColumnElement[Any]]:
    """Ask for values as the database has them, without the types of the schema: the judge looks at them."""
    return [type_coerce(column, NullType()).label(column.name) for column in columns]


_KEY = _raw(
    keys.c.id, keys.c.created_at, keys.c.is_enabled, keys.c.owner, keys.c.own_count, keys.c.shadow_count,
    keys.c.link_count, keys.c.judged,
)  # fmt: skip
_LIST = _raw(lists.c.name, lists.c.description, lists.c.entry_count, lists.c.judged)
_ENTRY = _raw(entries.c.name, entries.c.holder, entries.c.position, entries.c.prefix, entries.c.label)
_ENTRY += _raw(entries.c.condition)
_LINK = _raw(links.c.key, links.c.kind, links.c.position, links.c.list)


@dataclass(frozen=True, slots=True)
class Head:
    """Hold the head of a tenant's history.

    Attributes:
        tenant: the number of its row.
        revision: of the data.
        mark: what the last commit drew.
        rules: policy, switches and default list.
        judge: the policy, as it judges rows.
        ids: how ids of keys are hashed, as JSON; None for plain ids.
    """

    tenant: int
    revision: Revision
    mark: str
    rules: Rules
    judge: Judge
    ids: str | None


@dataclass(frozen=True, slots=True)
class Changed:
    """Name what changed between two commits."""

    keys: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    rules: bool = False


class Reading:
    """Read a tenant within the transaction of a connection.

    Args:
        connection: in a transaction that sees one moment.
        tenant: the name of the tenant.
        now: the time, for grants.
    """

    def __init__(self, connection: Connection, tenant: str, now: datetime) -> None:
        self._connection = connection
        self._name = tenant
        self._now = now
        self._last: Judge | None = None

    # The head.

    def head(self, last: Head | None = None) -> Head:
        """Read the head.

        Args:
            last: an earlier head; a policy that did not change is not parsed again.
        Raises:
            StoreError: there is no such tenant.  SpoiltRow: its row is spoilt.
        """
        columns = [
            tenants.c.id, tenants.c.policy, tenants.c.is_enforced, tenants.c.unknown_passes, tenants.c.default_list,
            tenants.c.ids, tenants.c.epoch, tenants.c.number, tenants.c.mark,
        ]  # fmt: skip
        row = self._connection.execute(select(*_raw(*columns)).where(tenants.c.name == self._name)).one_or_none()
        if row is None:
            raise StoreError(f"there is no tenant {self._name!r} in this store")
        tenant, policy, is_enforced, unknown_passes, default, ids, epoch, number, mark = row
        for what, value, kinds in (
            ("is_enforced", is_enforced, (bool, int)), ("unknown_passes", unknown_passes, (bool, int)),
            ("default_list", default, (str, type(None))), ("ids", ids, (str, type(None))), ("epoch", epoch, (int,)),
            ("number", number, (int,)), ("mark", mark, (str,)),
        ):  # fmt: skip
            if type(value) not in kinds or (bool in kinds and value not in (0, 1)):
                raise SpoiltRow("tenants", (self._name,), f"{what} is {value!r}")
        judge = last.judge if last is not None and last.judge.policy_text == policy else Judge(policy)
        if default is not None and not judge.policy.keys.default_list:
            raise SpoiltRow("tenants", (self._name,), f"{judge.policy.name} has no default list")
        rules = Rules(
            policy=judge.policy, is_enforced=bool(is_enforced), unknown_passes=bool(unknown_passes), default=default
        )
        return Head(tenant, Revision(epoch, number), mark, rules, judge, ids)

    def check_columns(self) -> None:
        """Ask each table for its columns and no row: a column that is gone is noticed before somebody needs it."""
        for table in (keys, lists, entries, links, grants):
            self._connection.execute(select(table).limit(0))

    def has_commit(self, head: Head, revision: Revision, mark: str) -> bool:
        """Whether a commit belongs to this history."""
        found = select(changes.c.epoch, changes.c.mark).where(
            changes.c.tenant == head.tenant, changes.c.number == revision.generation
        )
        return self._connection.execute(found).one_or_none() == (revision.epoch, mark)

    def changed_since(self, head: Head, revision: Revision, mark: str) -> Changed | None:
        """Name what changed since a commit; None if the commit is not of this history, or if very much changed."""
        if revision.epoch != head.revision.epoch or not self.has_commit(head, revision, mark):
            return None
        later = and_(changes.c.tenant == head.tenant, changes.c.number > revision.generation)
        count = self._connection.execute(select(func.count()).select_from(changes).where(later)).scalar_one()
        if count != head.revision.generation - revision.generation:
            return None  # a gap
        rows = self._connection.execute(
            select(changed.c.kind, changed.c.name)
            .where(changed.c.tenant == head.tenant, changed.c.number > revision.generation)
            .distinct()
            .limit(_MOST_CHANGED + 1)
        ).all()
        return None if len(rows) > _MOST_CHANGED else _sorted_out(rows)

    # Some.

    def some(self, head: Head, asked: Changed) -> tuple[dict[str, KeyRecord | None], dict[str, FrozenList | None]]:
        """Read some keys and lists, with their grants; None stands for what does not exist.

        Raises:
            SpoiltRow: one of them is spoilt.
        """
        given = self._grants(head, None if asked.rules else asked.keys)
        named = asked.keys | (set(given) if asked.rules else set())
        found_lists = self._lists_of(head, asked.lists)
        found: dict[str, KeyRecord | None] = dict.fromkeys(named)
        for key, record in self._keys_of(head, named):
            mine = given.get(key, ())
            found[key] = self._with_grants(head, record, mine)
            found_lists.update((grant.name, self._list_of(grant)) for grant in mine)
        return found, found_lists

    def records(self, head: Head, names: Collection[str]) -> dict[str, KeyRecord]:
        """Read some keys as people see them, without their grants."""
        return dict(self._keys_of(head, names))

    def lists(self, head: Head, names: Collection[str]) -> dict[str, FrozenList]:
        """Read some lists."""
        return {name: frozen for name, frozen in self._lists_of(head, names).items() if frozen is not None}

    def names(self, head: Head) -> Iterator[str]:
        """Name all keys."""
        return (row[0] for row in self._rows(select(keys.c.id).where(keys.c.tenant == head.tenant)))

    def keys_of(self, head: Head, name: str) -> Iterator[str]:
        """Name the keys that are linked to a list, or lie within it (P7)."""
        query = select(links.c.key).where(links.c.tenant == head.tenant, links.c.list == name).distinct()
        return (row[0] for row in self._rows(query))

    def keys_bare(self, head: Head) -> Iterator[str]:
        """Name the keys without entries and links."""
        has_none = and_(keys.c.own_count == 0, keys.c.link_count == 0)
        return (row[0] for row in self._rows(select(keys.c.id).where(keys.c.tenant == head.tenant, has_none)))

    def _keys_of(self, head: Head, names: Collection[str]) -> Iterator[tuple[str, KeyRecord]]:
        for some in _in_parts(names):
            rows: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
            for row in self._rows(_entries_where(head, entries.c.holder.in_(("key", "shadow")), some)):
                rows[row[0]][row[1]].append(row[2:])
            for row in self._rows(_links_where(head).where(links.c.key.in_(some))):
                rows[row[0]][row[1]].append(row[2:])
            for row in self._rows(select(*_KEY).where(keys.c.tenant == head.tenant, keys.c.id.in_(some))):
                yield key_of(head.judge, row, rows.pop(row[0], {}))
            for name in rows:
                raise SpoiltRow("keys", (name,), "there are entries or links of this key, and it is gone")

    def _lists_of(self, head: Head, names: Collection[str]) -> dict[str, FrozenList | None]:
        found: dict[str, FrozenList | None] = dict.fromkeys(names)
        for some in _in_parts(names):
            rows: dict[str, list[Row]] = defaultdict(list)
            for row in self._rows(_entries_where(head, entries.c.holder == "list", some)):
                rows[row[0]].append(row[2:])
            for row in self._rows(select(*_LIST).where(lists.c.tenant == head.tenant, lists.c.name.in_(some))):
                found[row[0]] = list_of(head.judge, row, rows.pop(row[0], ()))
            for name in rows:
                raise SpoiltRow("lists", (name,), "there are entries of this list, and it is gone")
        return found

    def _rows(self, query: Select[Any]) -> Iterator[Row]:
        return iter(self._connection.execute(query).all())

    # Everything.

    def everything(self, head: Head) -> tuple[Iterator[tuple[str, KeyRecord]], list[FrozenList]]:
        """Read all keys, one after the other, and all lists, with all grants.

        Raises:
            SpoiltRow: something is spoilt; also while the keys are read.
        """
        given = self._grants(head, None)
        found = list(self.all_lists(head))
        names = {frozen.name for frozen in found}
        if head.rules.default is not None and head.rules.default not in names:
            raise SpoiltRow("tenants", (self._name,), f"there is no list {head.rules.default!r}, the default")
        found += [self._list_of(grant) for mine in given.values() for grant in mine]
        records = ((key, self._with_grants(head, record, given.get(key, ()))) for key, record in self.all_keys(head))
        return records, found

    def all_keys(self, head: Head) -> Iterator[tuple[str, KeyRecord]]:
        """Read all keys as people see them, ordered."""
        order = self._in_bytes
        of_keys = entries.c.holder.in_(("key", "shadow"))
        owned = select(*_ENTRY).where(entries.c.tenant == head.tenant, of_keys)
        owned = owned.order_by(order(entries.c.name), entries.c.holder, entries.c.position)
        linked = select(*_LINK).where(links.c.tenant == head.tenant)
        linked = linked.order_by(order(links.c.key), links.c.kind, links.c.position)
        sides = [_Side(self._stream(owned), "entries"), _Side(self._stream(linked), "links")]
        for row in self._stream(select(*_KEY).where(keys.c.tenant == head.tenant).order_by(order(keys.c.id))):
            rows: dict[str, list[Row]] = {}
            for side in sides:
                for holder, some in groupby(side.take(row[0]), key=_second):
                    rows[holder] = [each[2:] for each in some]
            yield key_of(head.judge, row, rows)
        for side in sides:
            side.check_empty()

    def all_lists(self, head: Head) -> Iterator[FrozenList]:
        """Read all lists, ordered."""
        order = self._in_bytes
        owned = select(*_ENTRY).where(entries.c.tenant == head.tenant, entries.c.holder == "list")
        side = _Side(self._stream(owned.order_by(order(entries.c.name), entries.c.position)), "entries")
        for row in self._stream(select(*_LIST).where(lists.c.tenant == head.tenant).order_by(order(lists.c.name))):
            yield list_of(head.judge, row, [each[2:] for each in side.take(row[0])])
        side.check_empty()

    def _in_bytes(self, column: Column[str]) -> ColumnElement[Any]:
        """Order text as Python orders it; PostgreSQL has an order of its own for each language."""
        return column.collate("C") if self._connection.dialect.name == "postgresql" else column

    def _stream(self, query: Select[Any]) -> Iterator[Row]:
        options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}  # of the query; the connection goes on to write
        return iter(self._connection.execute(query, execution_options=options))

    # Grants.

    def grants(self, head: Head, named: Collection[str] | None = None) -> list[Grant]:
        """Read the grants that are in force, of some keys or of all."""
        return [grant for mine in self._grants(head, named).values() for grant in mine]

    def _grants(self, head: Head, named: Collection[str] | None) -> dict[str, list[Grant]]:
        query = select(*_raw(grants.c.number, grants.c.key, grants.c.prefix, grants.c.reason, grants.c.expires))
        query = query.where(grants.c.tenant == head.tenant).order_by(grants.c.number)
        found: dict[str, list[Grant]] = defaultdict(list)
        for number, key, prefix, reason, expires in self._rows(query):
            until = read_moment("grants", (number,), expires)
            if until > self._now and (named is None or key in named):
                found[key].append(Grant(number, key, prefix, reason, until))
        return found

    def _with_grants(self, head: Head, record: KeyRecord, mine: Sequence[Grant]) -> KeyRecord:
        if not mine:
            return record
        needs_list = head.rules.policy.keys.needs_list(record.created_at)
        return granted(record, mine, head.rules.default, needs_list=needs_list)

    def _list_of(self, grant: Grant) -> FrozenList:
        try:
            return list_of_grant(grant)
        except (ValueError, TypeError) as error:
            raise SpoiltRow("grants", (grant.number,), str(error)) from None


class _Side:
    """Rows that belong to keys or lists, in the order of those: the rows of each are taken when it comes."""

    def __init__(self, rows: Iterator[Row], table: str) -> None:
        self._rows = rows
        self._table = table
        self._next = next(rows, None)

    def take(self, name: str) -> list[Row]:
        """Take the rows of a name; SpoiltRow if rows of a name come that has none."""
        found = []
        while (row := self._next) is not None and row[0] == name:
            found.append(row)
            self._next = next(self._rows, None)
        if row is not None and (type(row[0]) is not str or type(name) is not str or row[0] < name):
            raise SpoiltRow(self._table, row[:3], "nothing has this name")
        return found

    def check_empty(self) -> None:
        """Raise SpoiltRow if rows are left."""
        if self._next is not None:
            raise SpoiltRow(self._table, self._next[:3], "nothing has this name")


def _in_parts(names: Collection[str]) -> Iterator[list[str]]:
    """Divide names into so many as one query takes."""
    ordered = sorted(names)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


def _second(row: Row) -> Any:
    return row[1]


def _sorted_out(rows: Iterable[Row]) -> Changed:
    found = Changed()
    has_rules = False
    for kind, name in rows:
        if kind in ("key", "grant"):
            found.keys.add(name)
        elif kind == "list":
            found.lists.add(name)
        elif kind == "rules":
            has_rules = True
    return Changed(found.keys, found.lists, has_rules)


def _entries_where(head: Head, holder: ColumnElement[bool], names: Collection[str]) -> Select[Any]:
    query = select(*_ENTRY).where(entries.c.tenant == head.tenant, holder, entries.c.name.in_(names))
    return query.order_by(entries.c.name, entries.c.holder, entries.c.position)


def _links_where(head: Head) -> Select[Any]:
    return select(*_LINK).where(links.c.tenant == head.tenant).order_by(links.c.key, links.c.kind, links.c.position)
