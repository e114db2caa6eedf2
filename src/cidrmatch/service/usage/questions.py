"""Questions to a log: find, count, sums, last uses; each by index, day by day, the newest first.

    find(key, status=403)    day 20786: kinds of this key there: 3, 4, 9; with 403: 4, 9
                                 (key, 4) newest ... |
                                 (key, 9) newest ... | merged by number, as many as wanted; else day 20785, and so on

The kinds of a key in a day are found by seeking from one to the next in the index, which takes a look for each.

A cursor is a number.  No record ever gets a number below one that was committed before, so a walk through pages sees
each record once, in both directions, while new ones arrive.

Cost: some looks into an index for each day and kind.  A filter by path, address or request id goes through the records
that the other conditions leave.
Threads: safe.  Source: B26, B28, B29.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from ..._core import format_address
from ...engine.recorded import RecordedRequest
from ...errors import quote
from .errors import UsageError, UsageUnavailable
from .exporting import csv_chunks, json_chunks
from .filters import Conditions, UsageFilter
from .formatting import stored_key
from .masks import kept_bits
from .record import LOST
from .schema import COLUMNS, DAY_MICROS, table_of, upgrade
from .words import Words, text_of

if TYPE_CHECKING:
    from .databases import Connection, PostgresDatabase, SqliteDatabase
    from .masks import Mask
    from .record import UsageRecord
    from .words import Row

__all__ = ["By", "LastUse", "Questions", "UsageSum"]

By: TypeAlias = Literal["key", "address", "reason", "hour", "method", "status", "path"]

_COLUMNS: Final = ", ".join(COLUMNS)
_MOST_ARMS: Final = 400
"""SQLite takes 500 parts of a compound query; a filter with more kinds goes through the records of a key or a day."""
_ATTEMPTS: Final = 3
_EXPORTED_AT_ONCE: Final = 10_000
_HOUR_MICROS: Final = 3_600_000_000
_NO_FILTER: Final = UsageFilter()
_LOST: Final = frozenset(LOST.values())
_COLUMN_OF: Final = {"key": "key", "address": "address", "path": "path", "hour": f"(number - lag) / {_HOUR_MICROS}"}
_WORD_OF: Final = {"method": 0, "status": 1, "reason": 3}


class UsageSum(NamedTuple):
    """So many requests have a value.

    Attributes:
        value: a key, an address, a reason, a path, a method, a status; or an hour, as seconds since 1970.
        requests: how many; for a reason of `LOST`, how many records were lost.
        blocked: how many of them were ended before the application.
    """

    value: str | int | None
    requests: int
    blocked: int


class LastUse(NamedTuple):
    """When something was used last, in seconds since 1970; None if never.

    Attributes:
        seen: the last request, allowed or not.
        allowed: the last request that was allowed.
    """

    seen: float | None
    allowed: float | None


class _Day(NamedTuple):
    """A day of the log, and the records of it that a question is about."""

    day: int
    first: int
    last: int
    where: list[str]
    values: list[object]
    is_whole: bool


class Questions:
    """What a log answers; `UsageLog` adds what writes."""

    def __init__(self, database: SqliteDatabase | PostgresDatabase, mask: Mask | None) -> None:
        self.database = database
        self._mask = mask
        self._words = Words()
        self._is_upgraded = False

    # -- Find -----------------------------------------------------------------

    def find(
        self,
        filter: UsageFilter | None = None,  # noqa: A002  the word of the log's users
        *,
        after: int | None = None,
        limit: int = 50,
        oldest_first: bool = False,
    ) -> list[UsageRecord]:
        """Find records, the newest first.

        Args:
            filter: a `UsageFilter`; None asks for all.
            after: the number of the last record of the page before; None for the first page.
            limit: the most records.
            oldest_first: the other direction.
        Raises:
            TypeError, ValueError: an argument has a wrong type or value.
            UsageUnavailable: the database does not answer.
        """
        if type(limit) is not int or limit < 1:
            raise ValueError("limit is a number of records, 1 or more")
        if after is not None and type(after) is not int:
            raise TypeError(f"after is the number of a record, or None, not {quote(after)}")
        rows = self._page(filter or _NO_FILTER, after, limit, oldest_first)
        return [self._words.record(row) for row in rows]

    def pages(
        self,
        filter: UsageFilter | None = None,  # noqa: A002
        *,
        after: int | None = None,
        size: int = 20_000,
        oldest_first: bool = True,
        day: int | None = None,
    ) -> Iterator[list[Row]]:
        """Walk through all matching rows, of all days or of one, in pages, each of one moment; for exports."""
        last = None
        if day is not None:
            after, last = day * DAY_MICROS - 1, (day + 1) * DAY_MICROS
        while rows := self._page(filter or _NO_FILTER, after, size, oldest_first):
            whole = len(rows) == size
            if last is not None and rows[-1][0] >= last:
                rows, whole = [row for row in rows if row[0] < last], False
            yield rows
            if not whole:
                return
            after = rows[-1][0]

    def _page(self, wanted: UsageFilter, after: int | None, limit: int, oldest_first: bool) -> list[Row]:
        for attempt in range(_ATTEMPTS):
            try:
                with self._asking() as connection:
                    return list(self._rows(connection, wanted, after, limit, oldest_first))
            except UsageUnavailable as error:  # a day was dropped between two looks
                if not error.is_gone or attempt + 1 == _ATTEMPTS:
                    raise
        raise AssertionError

    def _rows(
        self, connection: Connection, wanted: UsageFilter, after: int | None, limit: int, oldest_first: bool
    ) -> Iterator[Row]:
        conditions, kinds = self._prepare(wanted)
        order = "ASC" if oldest_first else "DESC"
        for day in self._days(connection, conditions, after, oldest_first):
            first, last = day.first, day.last
            while limit > 0 and first <= last:
                found = self._select(connection, day, conditions, kinds, (first, last), f"{order} LIMIT {limit}")
                passed = _passed(found, conditions)
                yield from passed
                limit -= len(passed)
                if len(found) == len(passed) or not found:
                    break
                first, last = (found[-1][0] + 1, last) if oldest_first else (first, found[-1][0] - 1)

    def _select(
        self,
        connection: Connection,
        day: _Day,
        conditions: Conditions,
        kinds: list[int] | None,
        numbers: tuple[int, int],
        order: str,
    ) -> list[Row]:
        """Find rows of a day, as a merge of the rows of each kind."""
        where = ["number BETWEEN ? AND ?", *day.where]
        values: list[object] = [*numbers, *day.values]
        if conditions.key is not None:
            where, values = ["key = ?", *where], [conditions.key, *values]
        select = f"SELECT {_COLUMNS} FROM {table_of(day.day)} WHERE {' AND '.join(where)}"  # noqa: S608
        if kinds is None and conditions.key is None:
            return connection.rows(f"{select} ORDER BY number {order}", values)
        there = _kinds_there(connection, day.day, conditions.key)
        arms = there if kinds is None else sorted(set(there) & set(kinds))
        if not arms:
            return []
        if len(arms) > _MOST_ARMS:
            return connection.rows(f"{select} AND kind IN ({_numbers(arms)}) ORDER BY number {order}", values)
        union = " UNION ALL ".join(f"{select} AND kind = {int(arm)}" for arm in arms)
        return connection.rows(f"{union} ORDER BY number {order}", values * len(arms))

    # -- Count ----------------------------------------------------------------

    def days(self) -> dict[int, int]:
        """Give the number of records of each day of the log, the oldest first; days are counted since 1970, in UTC."""
        with self._asking() as connection:
            return dict(connection.rows("SELECT day, records FROM usage_days WHERE records > 0 ORDER BY day"))

    def count(self, filter: UsageFilter | None = None) -> int:  # noqa: A002
        """Count records.

        Raises:
            UsageUnavailable: the database does not answer.
        Cost: for a filter by key, method, status, decision and reason, it goes through the matching part of an index.
        """
        wanted = filter or _NO_FILTER
        with self._asking() as connection:
            if wanted == _NO_FILTER:
                return int(connection.rows("SELECT coalesce(sum(records), 0) FROM usage_days")[0][0])
            return sum(row[-2] for row in self._grouped(connection, wanted))

    def sums(
        self,
        by: By,
        filter: UsageFilter | None = None,  # noqa: A002
        *,
        limit: int | None = None,
    ) -> list[UsageSum]:
        """Count requests by a value, the most frequent first; hours in their order.

        Args:
            by: "key", "address", "reason", "hour", "method", "status" or "path".
            limit: the most values.
        Raises:
            ValueError: `by` is none of these.
            UsageUnavailable: the database does not answer.
        """
        if by not in _COLUMN_OF and by not in _WORD_OF:
            raise ValueError(f"by is {', '.join(map(repr, (*_COLUMN_OF, *_WORD_OF)))}, not {quote(by)}")
        requests: Counter[Any] = Counter()
        blocked: Counter[Any] = Counter()
        with self._asking() as connection:
            column, losses = _COLUMN_OF.get(by, "NULL"), "sum(lost)" if by == "reason" and self._has_lost() else "0"
            for value, kind, _, count, lost in self._grouped(connection, filter or _NO_FILTER, column, losses):
                words = self._words.kinds[kind]
                is_lost = words[3] in _LOST
                if is_lost and by != "reason":
                    continue
                named = words[_WORD_OF[by]] if by in _WORD_OF else value
                requests[named] += lost if is_lost else count
                blocked[named] += count if words[2] is False or words[6] is not None else 0
        found = [UsageSum(_shown(by, value), count, blocked[value]) for value, count in requests.items()]
        found.sort(key=lambda each: (each.value,) if by == "hour" else (-each.requests, str(each.value)))
        return found[:limit]

    def _has_lost(self) -> bool:
        """Whether any record tells of lost ones; only then their sum is asked for, which no index has."""
        return any(words[3] in _LOST for words in list(self._words.kinds.values()))

    def _grouped(
        self, connection: Connection, wanted: UsageFilter, value: str = "NULL", lost: str = "0"
    ) -> Iterator[Row]:
        """Yield value, kind, address, count, and lost ones; the address only where the core asks it."""
        conditions, kinds = self._prepare(wanted)
        address = "NULL" if conditions.predicate is None else "address"
        groups = [name for name in ("kind", value, address) if name != "NULL"]
        for day in self._days(connection, conditions, None, oldest_first=False):
            where, values = list(day.where), list(day.values)
            if not day.is_whole:
                where, values = ["number BETWEEN ? AND ?", *where], [day.first, day.last, *values]
            if conditions.key is not None:
                where, values = ["key = ?", *where], [conditions.key, *values]
            if kinds is not None:
                where.append(f"kind IN ({_numbers(kinds)})" if kinds else "1 = 0")
            rows = connection.rows(
                f"SELECT {value}, kind, {address}, count(*), {lost} FROM {table_of(day.day)}"  # noqa: S608
                f" WHERE {' AND '.join(where) or '1 = 1'} GROUP BY {', '.join(dict.fromkeys(groups))}",
                values,
            )
            asks = conditions.predicate
            yield from rows if asks is None else [row for row in rows if asks(bytes(row[2]))]

    # -- Last uses ------------------------------------------------------------

    def last_use(self, key: str) -> LastUse:
        """Tell when a key was used last, at most some seconds late."""
        named = stored_key(key if self._mask is None else self._mask.named(key))
        with self._asking() as connection:
            rows = connection.rows("SELECT seen, allowed FROM usage_keys WHERE key = ?", (named,))
        return LastUse(None, None) if not rows else LastUse(*map(_seconds, rows[0]))

    def last_uses(self) -> Mapping[str, LastUse]:
        """Tell for all keys when they were used last."""
        with self._asking() as connection:
            rows = connection.rows("SELECT key, seen, allowed FROM usage_keys")
        return {str(text_of(key)): LastUse(_seconds(seen), _seconds(allowed)) for key, seen, allowed in rows}

    def entry_uses(self) -> Mapping[tuple[str | None, str | None, str], float]:
        """Tell for all entries when they decided last, in seconds since 1970.

        Returns:
            {(key, None, prefix): seconds} for entries of a key, and {(None, list, prefix): seconds} for those of a
            named list.  Entries that never decided are not there.
        """
        with self._asking() as connection:
            rows = connection.rows("SELECT entry, key, used FROM usage_entries")
        found: dict[tuple[str | None, str | None, str], float] = {}
        for entry, key, used in rows:
            prefix, _, list_name = self._words.entries[entry]
            if prefix is not None:
                name = (None if list_name is not None else text_of(key), list_name, prefix)
                found[name] = max(found.get(name, 0.0), used / 1e6)
        return found

    # -- Export ---------------------------------------------------------------

    def export(
        self,
        filter: UsageFilter | None = None,  # noqa: A002
        format: Literal["csv", "jsonl", "parquet"] = "csv",  # noqa: A002
        *,
        day: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Iterator[bytes]:
        """Write all matching records, the oldest first, in pieces of some megabytes at most.

        Args:
            filter: a `UsageFilter`; None asks for all.
            format: "csv" and "jsonl" as exporting.py says; "parquet" needs the extra parquet.
            day: only the records of this day of the log, counted since 1970; see `days`.
            progress: called with the number of records after each piece.
        Raises:
            ValueError: the format is none of these.
            UsageUnavailable: the database does not answer; pieces that were given stay right.
        Cost: constant memory; records that arrive meanwhile may be exported, too.
        """
        if format not in ("csv", "jsonl", "parquet"):
            raise ValueError(f"format is 'csv', 'jsonl' or 'parquet', not {quote(format)}")
        pages = _counted(self.pages(filter, size=_EXPORTED_AT_ONCE, day=day), progress)
        if format == "parquet":
            from .parquet import parquet_chunks  # noqa: PLC0415  an extra

            return parquet_chunks(pages, self._words)
        return (csv_chunks if format == "csv" else json_chunks)(pages, self._words)

    def recorded(self, filter: UsageFilter | None = None) -> Iterator[RecordedRequest]:  # noqa: A002
        """Give the requests to `advice.replay`, the oldest first; what has no key, and lost ones, are left out.

        Raises:
            UsageError: a mask hides whose requests they were, or from where.
            UsageUnavailable: the database does not answer.
        """
        for page in self.pages(filter):
            for record in map(self._words.record, page):
                if record.masked is not None:
                    raise UsageError(f"record {record.number} is masked ({record.masked}): nobody can judge it again")
                if record.key is not None and record.lost is None:
                    yield RecordedRequest(
                        record.key, record.address, 1, record.time, record.method, record.path, record.allowed
                    )

    # -- What all of them share -----------------------------------------------

    def _asking(self) -> Any:
        """Open a transaction that reads; make the tables if that was not possible before."""
        if not self._is_upgraded:
            upgrade(self.database)
            self._is_upgraded = True
        return _Learned(self.database.reading(), self._words)

    def _prepare(self, wanted: UsageFilter) -> tuple[Conditions, list[int] | None]:
        conditions = wanted.conditions(self._mask)
        if conditions.narrowest:
            self._check_narrowest(conditions.narrowest)
        kinds = None
        if wanted.asks_for_kinds:
            kinds = [number for number, words in list(self._words.kinds.items()) if wanted.takes_kind(words)]
        return conditions, kinds

    def _check_narrowest(self, narrowest: Mapping[int, int]) -> None:
        """A record whose address was cut does not tell whether the address is in a narrower prefix."""
        for said in {words[8] for words in list(self._words.kinds.values())} - {""}:
            for family, bits in kept_bits(said).items():
                if narrowest.get(family, 0) > bits:
                    raise ValueError(
                        f"addresses of this log are cut to /{bits}: nobody can tell which are in a "
                        f"/{narrowest[family]}; ask for a /{bits} or a broader prefix"
                    )

    def _days(
        self, connection: Connection, conditions: Conditions, after: int | None, oldest_first: bool
    ) -> Iterator[_Day]:
        """Find the days that may have matching records, in the order in which they are asked."""
        order = "ASC" if oldest_first else "DESC"
        for day, lag in connection.rows(f"SELECT day, lag FROM usage_days ORDER BY day {order}"):  # noqa: S608
            first = whole_first = day * DAY_MICROS
            last = whole_last = first + DAY_MICROS - 1
            where, values = list(conditions.where), list(conditions.values)
            since, until = conditions.since, conditions.until
            if since is not None:
                first = max(first, since)
                if lag and since > whole_first - lag:
                    where.append("number - lag >= ?")
                    values.append(since)
            if until is not None:
                last = min(last, until + lag - 1)
                if lag and until <= whole_last:
                    where.append("number - lag < ?")
                    values.append(until)
            if after is not None:
                first, last = (max(first, after + 1), last) if oldest_first else (first, min(last, after - 1))
            if first <= last:
                yield _Day(day, first, last, where, values, (first, last) == (whole_first, whole_last))


def _counted(pages: Iterator[list[Row]], progress: Callable[[int], object] | None) -> Iterator[list[Row]]:
    count = 0
    for page in pages:
        yield page
        count += len(page)
        if progress is not None:
            progress(count)


class _Learned:
    """A transaction that reads, with the words of its moment."""

    def __init__(self, transaction: Any, words: Words) -> None:
        self._transaction = transaction
        self._words = words

    def __enter__(self) -> Connection:
        connection: Connection = self._transaction.__enter__()
        try:
            self._words.learn(connection)
        except BaseException as error:
            self._transaction.__exit__(type(error), error, error.__traceback__)
            raise
        return connection

    def __exit__(self, *error: object) -> None:
        self._transaction.__exit__(*error)


def _kinds_there(connection: Connection, day: int, key: bytes | None) -> list[int]:
    """Find which kinds a day has, or a key in it, by seeking from each to the next."""
    name = table_of(day)
    whose, values = ("", []) if key is None else ("key = ? AND", [key, key])
    rows = connection.rows(
        f"WITH RECURSIVE there(kind) AS (SELECT min(kind) FROM {name} WHERE {whose} kind >= 0"  # noqa: S608
        f" UNION ALL SELECT (SELECT min(kind) FROM {name} WHERE {whose} kind > there.kind) FROM there"
        " WHERE there.kind IS NOT NULL) SELECT kind FROM there WHERE kind IS NOT NULL",
        values,
    )
    return [kind for (kind,) in rows]


def _passed(rows: list[Row], conditions: Conditions) -> list[Row]:
    asks = conditions.predicate
    return rows if asks is None else [row for row in rows if asks(bytes(row[4]))]


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers)


def _shown(by: str, value: Any) -> str | int | None:
    if by in ("key", "path"):
        return text_of(value)
    if by == "address":
        return None if value is None else format_address(bytes(value))
    return int(value) * _HOUR_MICROS // 1_000_000 if by == "hour" else value


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / 1e6
