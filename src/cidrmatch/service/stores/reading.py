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
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, literal_column, or_, select, text, type_coerce, union_all
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from ..._keys import Revision
from ...engine.feeding import Rules
from ...errors import quote
from .errors import SpoiltRow, StoreError
from .grants import Grant, grant_as_values, granted, list_of_grant
from .rows import Judge, Row, is_storable, key_as_written, key_of, list_of, read_moment, shown
from .schema import changed, changes, entries, grants, keys, links, lists, tenants
from .things import read_said

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, CompoundSelect, Connection, CursorResult, Select

    from ..._keys import FrozenList, KeyRecord

__all__ = ["Changed", "Head", "Reading"]

_MOST_CHANGED = 10_000
"""Rows of the history; who is further behind reads everything."""
_AT_ONCE = 400
"""Names in one query; SQLite takes 32,766 values."""
_ROWS_AT_ONCE = 5_000
_AT_FIRST = {"enforced": True, "unknown_key": "deny", "default": None}
"""What a tenant begins with, before any change of its rules."""


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
_COLUMNS: Final[CompoundSelect[Any]] = union_all(
    *(
        select(literal_column("1")).select_from(select(table).limit(0).subquery())
        for table in (keys, lists, entries, links, grants)
    )
)
"""All columns of all tables that hold data, and no row.  One query, because each follower asks it every two seconds."""


_SINCE: Final = text("""
    SELECT NULL AS kind, mark, epoch, (SELECT count(*) FROM changes WHERE tenant = :tenant AND number > :number)
    FROM changes WHERE tenant = :tenant AND number = :number
    UNION ALL
    SELECT kind, name, 0, 0 FROM (
        SELECT kind, name FROM changed WHERE tenant = :tenant AND number > :number LIMIT :most
    ) AS told
""")
"""A commit, without a kind; how many came after it; and what they changed.

One query, because each follower waits for it after each commit.

Not DISTINCT: by it, SQLite reads the whole history in the index by name.
"""


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
        self._streams: list[CursorResult[Any]] = []

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
        found: list[Row] = list(self._rows(select(*_raw(*columns)).where(tenants.c.name == self._name)))
        if not found:
            raise StoreError(f"there is no tenant {self._name!r} in this store")
        if len(found) > 1:
            raise SpoiltRow("tenants", (self._name,), "there are several of this name")
        tenant, policy, is_enforced, unknown_passes, default, ids, epoch, number, mark = found[0]
        for what, value, kinds in (
            ("is_enforced", is_enforced, (bool, int)), ("unknown_passes", unknown_passes, (bool, int)),
            ("default_list", default, (str, type(None))), ("ids", ids, (str, type(None))), ("epoch", epoch, (int,)),
            ("number", number, (int,)), ("mark", mark, (str,)),
        ):  # fmt: skip
            is_in = type(value) in kinds and (type(value) is not int or value >= 0)
            if not is_in or (bool in kinds and value not in (0, 1)):
                raise SpoiltRow("tenants", (self._name,), f"{what} is {shown(value)}")
        judge = last.judge if last is not None and last.judge.policy_text == policy else self._judge_of(policy)
        if default is not None and not judge.policy.keys.default_list:
            raise SpoiltRow("tenants", (self._name,), f"{judge.policy.name} has no default list")
        rules = Rules(
            policy=judge.policy, is_enforced=bool(is_enforced), unknown_passes=bool(unknown_passes), default=default
        )
        if last is None or last.rules != rules:
            self._check_said(tenant, rules)
        return Head(tenant, Revision(epoch, number), mark, rules, judge, ids)

    def _judge_of(self, policy: str) -> Judge:
        try:
            return Judge(policy)
        except SpoiltRow as error:
            raise SpoiltRow(error.table, (self._name,), error.reason) from None

    def _check_said(self, tenant: int, rules: Rules) -> None:
        """Refuse switches, or a default list, that are more open than the store ever wrote them: SpoiltRow."""
        query = select(changed.c.number, changed.c.after).where(
            changed.c.tenant == tenant, changed.c.kind == "rules", changed.c.name == "", changed.c.after.is_not(None)
        )
        row = self._connection.execute(query.order_by(changed.c.number.desc()).limit(1)).one_or_none()
        said = _AT_FIRST if row is None else read_said((row[0], "rules", ""), row[1])
        for what, is_open, was_open in (
            ("is_enforced", not rules.is_enforced, said.get("enforced") is False),
            ("unknown_passes", rules.unknown_passes, said.get("unknown_key") == "pass"),
            ("default_list", rules.default is None, said.get("default") is None),
        ):
            if is_open and not was_open:
                raise SpoiltRow("tenants", (self._name,), f"{what} opens keys, and no change of the store did that")

    def check_columns(self) -> None:
        """Ask each table for its columns and no row: a column that is gone is noticed before somebody needs it."""
        self._connection.execute(_COLUMNS)

    def has_commit(self, head: Head, revision: Revision, mark: str) -> bool:
        """Whether a commit belongs to this history."""
        found = select(changes.c.epoch, changes.c.mark).where(
            changes.c.tenant == head.tenant, changes.c.number == revision.generation
        )
        return self._connection.execute(found).one_or_none() == (revision.epoch, mark)

    def changed_since(self, head: Head, revision: Revision, mark: str) -> Changed | None:
        """Name what changed since a commit; None if the commit is not of this history, or if very much changed."""
        if revision.epoch != head.revision.epoch:
            return None
        asked = {"tenant": head.tenant, "number": revision.generation, "most": _MOST_CHANGED + 1}
        rows = self._connection.execute(_SINCE, asked).all()
        expected = (None, mark, revision.epoch, head.revision.generation - revision.generation)
        if [tuple(row) for row in rows if row[0] is None] != [expected]:
            return None  # the commit is not of this history, or there is a gap
        told = [row[:2] for row in rows if row[0] is not None]
        return None if len(told) > _MOST_CHANGED else _sorted_out(told)

    # Some.

    def some(self, head: Head, asked: Changed) -> tuple[dict[str, KeyRecord | None], dict[str, FrozenList | None]]:
        """Read some keys and lists, with their grants; None stands for what does not exist.

        Raises:
            SpoiltRow: one of them is spoilt.
        """
        given = self._grants(head, None if asked.rules else asked.keys)
        named = asked.keys | (set(given) if asked.rules else set())  # the default that there was is linked to them
        found_lists = self._lists_of(head, asked.lists)
        found: dict[str, KeyRecord | None] = dict.fromkeys(named)
        records = dict(self._keys_of(head, named))
        self._check_there(head, records, found_lists)
        self._check_removed(head, named - records.keys())
        for key, record in records.items():
            mine = given.get(key, ())
            found[key] = self._with_grants(head, record, mine)
            found_lists.update((grant.name, self._list_of(grant)) for grant in mine)
        return found, found_lists

    def _check_removed(self, head: Head, gone: Collection[str]) -> None:
        """Raise SpoiltRow if a hand removed a key and by that opened it, because unknown keys pass."""
        if not head.rules.unknown_passes:
            return
        for key in sorted(gone):
            told = and_(changed.c.tenant == head.tenant, changed.c.kind == "key", changed.c.name == key)
            is_said = or_(changed.c.before.is_not(None), changed.c.after.is_not(None))
            query = select(changed.c.after).where(told, is_said).order_by(changed.c.number.desc()).limit(1)
            if any(after is not None for (after,) in self._rows(query)):
                raise SpoiltRow("keys", (key,), "it is gone, unknown keys pass, and no change of the store removed it")

    def _check_there(self, head: Head, records: dict[str, KeyRecord], found: dict[str, FrozenList | None]) -> None:
        """Raise SpoiltRow if one of the keys, or the default, names a list that is not there, or any names one gone."""
        there = {name for name, frozen in found.items() if frozen is not None}
        named = {name for record in records.values() for name in (*record.lists, *record.within)}
        named |= set() if head.rules.default is None else {head.rules.default}
        for some in _in_parts(named - there):
            query = select(lists.c.name).where(lists.c.tenant == head.tenant, lists.c.name.in_(some))
            there |= {row[0] for row in self._rows(query)}
        self._check_default(head, there)
        for key, record in records.items():
            _check_linked(key, record, there)
        for some in _in_parts(found.keys() - there):
            query = _links_where(head).where(links.c.list.in_(some)).limit(1)
            for *row, name in self._rows(query):
                raise SpoiltRow("links", row, f"there is no list {quote(name)}")

    def _check_default(self, head: Head, there: Container[str]) -> None:
        default = head.rules.default
        if default is not None and default not in there:
            raise SpoiltRow("tenants", (self._name,), f"there is no list {quote(default)}, the default")

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
            seen: set[str] = set()
            for row in self._rows(select(*_KEY).where(keys.c.tenant == head.tenant, keys.c.id.in_(some))):
                if row[0] in seen:
                    raise SpoiltRow("keys", row[:1], "there are several of this key")
                seen.add(row[0])
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
                if found[row[0]] is not None:
                    raise SpoiltRow("lists", row[:1], "there are several of this list")
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
        records, found = self.plain(head)
        found += [self._list_of(grant) for mine in given.values() for grant in mine]
        if not given:
            return records, found
        return ((key, self._with_grants(head, record, given.get(key, ()))) for key, record in records), found

    def plain(self, head: Head) -> tuple[Iterator[tuple[str, KeyRecord]], list[FrozenList]]:
        """Read all keys and all lists as people see them, without grants; SpoiltRow as `everything`."""
        found = list(self.all_lists(head))
        names = {str(frozen.name) for frozen in found}
        self._check_default(head, names)

        def records() -> Iterator[tuple[str, KeyRecord]]:
            for key, record in self.all_keys(head):
                _check_linked(key, record, names)
                yield key, record

        return records(), found

    def all_keys(self, head: Head) -> Iterator[tuple[str, KeyRecord]]:
        """Read all keys as people see them, ordered."""
        order = self._in_bytes
        of_keys = entries.c.holder.in_(("key", "shadow"))
        owned = select(*_ENTRY).where(entries.c.tenant == head.tenant, of_keys)
        owned = owned.order_by(order(entries.c.name), entries.c.holder, entries.c.position)
        linked = select(*_LINK).where(links.c.tenant == head.tenant)
        linked = linked.order_by(order(links.c.key), links.c.kind, links.c.position)
        sides = [_Side(self._stream(owned), "entries"), _Side(self._stream(linked), "links")]
        of_entries, of_links = (side.take for side in sides)
        judge, last = head.judge, None
        for row in self._stream(select(*_KEY).where(keys.c.tenant == head.tenant).order_by(order(keys.c.id))):
            if row[0] == last:
                raise SpoiltRow("keys", row[:1], "there are several of this key")
            last = row[0]
            mine, links_of = of_entries(last), of_links(last)
            yield key_as_written(judge, row, mine, links_of) or key_of(judge, row, _by_holder(mine, links_of))
        for side in sides:
            side.check_empty()

    def all_lists(self, head: Head) -> Iterator[FrozenList]:
        """Read all lists, ordered."""
        order = self._in_bytes
        owned = select(*_ENTRY).where(entries.c.tenant == head.tenant, entries.c.holder == "list")
        side = _Side(self._stream(owned.order_by(order(entries.c.name), entries.c.position)), "entries")
        last = None
        for row in self._stream(select(*_LIST).where(lists.c.tenant == head.tenant).order_by(order(lists.c.name))):
            if row[0] == last:
                raise SpoiltRow("lists", row[:1], "there are several of this list")
            last = row[0]
            yield list_of(head.judge, row, [each[2:] for each in side.take(row[0])])
        side.check_empty()

    def _in_bytes(self, column: Column[str]) -> ColumnElement[Any]:
        """Order text as Python orders it; PostgreSQL has an order of its own for each language."""
        return column.collate("C") if self._connection.dialect.name == "postgresql" else column

    def _stream(self, query: Select[Any]) -> Iterator[Row]:
        options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}  # of the query; the connection goes on to write
        result = self._connection.execute(query, execution_options=options)
        self._streams.append(result)
        return chain.from_iterable(self._batches(result))

    def _batches(self, result: CursorResult[Any]) -> Iterator[Sequence[Row]]:
        """Fetch rows from the driver itself: a row of SQLAlchemy costs more than the reading of it.

        SQLAlchemy may have some rows already.  Its `fetchmany` gives those first, and none is left with it; the cursor
        is None if there are no others.
        """
        yield [tuple(row) for row in result.fetchmany(_ROWS_AT_ONCE)]
        cursor = result.cursor
        try:
            while cursor is not None and (rows := cursor.fetchmany(_ROWS_AT_ONCE)):
                yield rows
        except self._connection.dialect.loaded_dbapi.Error as error:
            raise DBAPIError(str(result.context.statement), None, error) from error
        result.close()

    def close(self) -> None:
        """Close what was not read to its end, such as the rows behind a spoilt one."""
        for result in self._streams:
            with suppress(Exception):  # what ended the reading says more
                result.close()
        self._streams.clear()

    # Grants.

    def grants(self, head: Head, named: Collection[str] | None = None) -> list[Grant]:
        """Read the grants that are in force, of some keys or of all."""
        found = self._grants(head, named).values()
        return [grant for mine in found for grant in mine if grant.expires > self._now]

    def _grants(self, head: Head, named: Collection[str] | None) -> dict[str, list[Grant]]:
        """Read all grants, so that the data of a revision is the same at each moment; the old ones open nothing."""
        query = select(*_raw(grants.c.number, grants.c.key, grants.c.prefix, grants.c.reason, grants.c.expires))
        query = query.where(grants.c.tenant == head.tenant).order_by(grants.c.number)
        found: dict[str, list[Grant]] = defaultdict(list)
        for row in self._rows(query):
            number, key, prefix, reason, expires = row
            until = read_moment("grants", (number,), expires)
            if named is None or key in named:
                if until > self._now:
                    self._check_granted(head, row)
                found[key].append(Grant(number, key, prefix, reason, until))
        return found

    def lists_of_grants(self, head: Head) -> set[str]:
        """Name the lists of all grants."""
        return {grant.name for mine in self._grants(head, None).values() for grant in mine}

    def _check_granted(self, head: Head, row: Row) -> None:
        """Refuse a grant that no change of the store made: SpoiltRow."""
        kind, told = (
            changed.c.kind,
            (changed.c.number, changed.c.kind, changed.c.name, changed.c.before, changed.c.after),
        )
        query = select(*_raw(*told)).where(
            changed.c.tenant == head.tenant, changed.c.name == row[1], kind.in_(("grant", "key")),
            changed.c.number >= row[0],
        )  # fmt: skip
        said = [_Said(*each) for each in self._rows(query)] if [*map(type, row[:2])] == [int, str] else []
        values = grant_as_values(*row)
        if not any(each.kind == "grant" and each.number == row[0] and each.after == values for each in said):
            raise SpoiltRow("grants", row[:1], "no change of the store granted this")
        if any(each.number > row[0] and each.ends(values) for each in said):
            raise SpoiltRow("grants", row[:1], "a change of the store has ended this, or removed its key")

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


@dataclass(slots=True)
class _Said:
    """Hold what the history says of a grant, or of its key."""

    number: int
    kind: str
    name: str
    before: Any
    after: Any

    def __post_init__(self) -> None:
        row = (self.number, self.kind, self.name)
        self.before, self.after = read_said(row, self.before), read_said(row, self.after)

    def ends(self, values: dict[str, object]) -> bool:
        """Whether this has ended a grant: by itself, or with its key; what was made by hand has no values."""
        if self.kind == "grant" or self.before is None:
            return bool(self.before == values)
        return self.after is None or self.after["created_at"] != self.before["created_at"]


class _Side:
    """Rows that belong to keys or lists, in the order of those: the rows of each are taken when it comes."""

    def __init__(self, rows: Iterator[Row], table: str) -> None:
        self._rows = rows
        self._table = table
        self._next = next(rows, None)

    def take(self, name: str) -> list[Row]:
        """Take the rows of a name; SpoiltRow if rows of a name come that has none."""
        found, row = [], self._next
        while row is not None and row[0] == name:
            found.append(row)
            row = next(self._rows, None)
        self._next = row
        if row is not None and (type(row[0]) is not str or type(name) is not str or row[0] < name):
            raise SpoiltRow(self._table, row[:3], "nothing has this name")
        return found

    def check_empty(self) -> None:
        """Raise SpoiltRow if rows are left."""
        if self._next is not None:
            raise SpoiltRow(self._table, self._next[:3], "nothing has this name")


def _check_linked(key: str, record: KeyRecord, there: Container[str]) -> None:
    for kind, names in (("lists", record.lists), ("within", record.within)):
        for position, name in enumerate(names):
            if name not in there:
                raise SpoiltRow("links", (key, kind, position), f"there is no list {quote(name)}")


def _in_parts(names: Collection[str]) -> Iterator[list[str]]:
    """Divide names into so many as one query takes; what no database holds is not there."""
    ordered = sorted(filter(is_storable, names))
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


def _by_holder(*sides: list[Row]) -> dict[str, list[Row]]:
    """Sort the rows of a key by what they belong to, as `key_of` takes them."""
    rows: dict[str, list[Row]] = {}
    for side in sides:
        for row in side:
            rows.setdefault(row[1], []).append(row[2:])
    return rows


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
