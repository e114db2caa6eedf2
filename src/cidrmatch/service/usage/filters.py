"""What is asked of a log: `UsageFilter`, and how it becomes conditions of SQL.

    UsageFilter(key="key_live_1", status=403, within="203.0.113.0/24", since=yesterday)
        key        = b"key_live_1"                        by index (key, kind, number)
        kinds      those with the status 403              as above
        rest       address BETWEEN cb007100 AND cb0071ff  looked at row by row
        numbers    from yesterday on                      only the days since then

All conditions must hold.  A condition with several values holds if one of them does.

An address is compared as packed bytes.  A list becomes its ranges; a list with more than `_MOST_RANGES` is asked row by
row, by the compiled core, because SQL would go through all of them for each row.

Threads: frozen.  Source: B26, B29.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from ..._core import AllowList, Prefix
from ...errors import quote
from .formatting import stored_id, stored_key, stored_path

if TYPE_CHECKING:
    from ..._core import PrefixLike
    from .masks import Mask
    from .record import UsageRecord

__all__ = ["Conditions", "Moment", "UsageFilter", "micros_of"]

_MOST_RANGES: Final = 64
T = TypeVar("T")
Moment: TypeAlias = "float | datetime"
"""Seconds since 1970, or a `datetime` with a time zone."""


@dataclass(frozen=True)
class UsageFilter:
    """UsageFilter(key=..., status=...): which records are asked for; None asks for all.

    Args:
        key: the key's id, as plain text.
        method: such as "GET", or several.
        status: such as 403, or several.
        allowed: the guard's decision.
        blocked: whether the request was ended before the application, by the guard or by a step of the host.
        reason: a `Reason`, "no_key", "guard_error", "not_asked", or one of `LOST`; or several.
        since, until: moments; from `since` on, and before `until`.
        within: a prefix or an address, or an `AllowList`; records without an address are not within.
        path, path_prefix: the whole path, or how it begins.
        request_id: by which other logs name the request.
    Raises:
        TypeError, ValueError, InvalidPrefix: a value is none that a record could have.

    >>> UsageFilter(status=403).conditions(None).kinds
    """

    key: str | None = None
    method: str | Iterable[str] | None = None
    status: int | Iterable[int] | None = None
    allowed: bool | None = None
    blocked: bool | None = None
    reason: str | Iterable[str] | None = None
    since: Moment | None = None
    until: Moment | None = None
    within: PrefixLike | AllowList | None = None
    path: str | None = None
    path_prefix: str | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        for name in ("key", "path", "path_prefix", "request_id"):
            _check(name, getattr(self, name), str)
        for name in ("allowed", "blocked"):
            _check(name, getattr(self, name), bool)
        for name in ("method", "reason"):
            self._set(name, _several(name, getattr(self, name), str))
        self._set("status", _several("status", self.status, int))
        for status in self._status or ():
            if not 100 <= status <= 999:
                raise ValueError(f"status is a number from 100 to 999, not {status}")
        for name in ("since", "until"):
            micros_of(name, getattr(self, name))
        if self.within is not None and not isinstance(self.within, AllowList):
            self._set("within", Prefix(self.within))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def _status(self) -> Sequence[int] | None:
        return self.status  # type: ignore[return-value]

    def takes_kind(self, words: Sequence[Any]) -> bool:
        """Tell whether records of a kind may be asked for."""
        method, status, allowed, reason, _, _, stopped_at = words[:7]
        return (
            (self.method is None or method in self.method)
            and (self._status is None or status in self._status)
            and (self.allowed is None or allowed is self.allowed)
            and (self.blocked is None or (allowed is False or stopped_at is not None) is self.blocked)
            and (self.reason is None or reason in self.reason)
        )

    @property
    def asks_for_kinds(self) -> bool:
        """Whether not all kinds are asked for."""
        asked = (self.method, self.status, self.allowed, self.blocked, self.reason)
        return any(value is not None for value in asked)

    def takes(self, record: UsageRecord) -> bool:
        """Tell whether a record is one that is asked for; for records in memory.  A key is compared as it stands."""
        words = (record.method, record.status, record.allowed, record.reason, None, None, record.stopped_at)
        since, until = micros_of("since", self.since), micros_of("until", self.until)
        micros = round(record.time * 1e6)
        path = record.path
        return (
            self.takes_kind(words)
            and (self.key is None or record.key == self.key)
            and (since is None or micros >= since)
            and (until is None or micros < until)
            and (self.within is None or (record.address is not None and _is_within(self.within, record.address)))
            and (self.path is None or path == self.path)
            and (self.path_prefix is None or (path is not None and path.startswith(self.path_prefix)))
            and (self.request_id is None or record.request_id == self.request_id)
        )

    def conditions(self, mask: Mask | None) -> Conditions:
        """Make the conditions for the tables of a log.

        Args:
            mask: that of the log; the key is hashed with it.
        """
        key = None if self.key is None else stored_key(self.key if mask is None else mask.named(self.key))
        made = Conditions(key, micros_of("since", self.since), micros_of("until", self.until))
        if self.path is not None:
            made.add("path = ?", stored_path(self.path))
        if self.path_prefix is not None:
            made.add_prefix("path", stored_path(self.path_prefix))
        if self.request_id is not None:
            made.add("request_id = ?", stored_id(self.request_id))
        if self.within is not None:
            made.add_within(self.within)
        return made


def _is_within(within: Any, address: str) -> bool:
    return within.contains(address) if isinstance(within, AllowList) else bool(within.covers(Prefix(address)))


class Conditions:
    """The conditions of a filter that are not about kinds.

    Attributes:
        key: the key as the log keeps it, or None.
        since, until: in microseconds, or None.
        where, values: SQL for the rest, and its values.
        narrowest: the longest prefix of each family that `within` has, as {4: 24, 6: 48}.
        predicate: asks a packed address; None if SQL asks already.
    """

    def __init__(self, key: bytes | None, since: int | None, until: int | None) -> None:
        self.key = key
        self.since, self.until = since, until
        self.where: list[str] = []
        self.values: list[object] = []
        self.narrowest: dict[int, int] = {}
        self.predicate: Callable[[bytes], bool] | None = None

    def add(self, where: str, *values: object) -> None:
        """Add a condition."""
        self.where.append(where)
        self.values += values

    def add_prefix(self, column: str, begin: bytes) -> None:
        """Add the condition that a column begins with some bytes."""
        if not begin:
            self.add(f"{column} IS NOT NULL")
            return
        self.add(f"{column} >= ?", begin)
        if end := _after(begin):
            self.add(f"{column} < ?", end)

    def add_within(self, within: Prefix | AllowList | Any) -> None:
        """Add the condition that the address is in a prefix or a list."""
        prefixes = within.aggregate() if isinstance(within, AllowList) else [within]
        for prefix in prefixes:
            self.narrowest[prefix.family] = max(self.narrowest.get(prefix.family, 0), prefix.length)
        if len(prefixes) > _MOST_RANGES and isinstance(within, AllowList):
            self.predicate = within.contains
            self.add("address IS NOT NULL")
            return
        ranges = [_range_of(prefix) for prefix in prefixes]
        tests = ["(length(address) = ? AND address BETWEEN ? AND ?)" for _ in ranges]
        self.add(f"({' OR '.join(tests) or '1 = 0'})", *[v for lo, hi in ranges for v in (len(lo), lo, hi)])


def _range_of(prefix: Prefix) -> tuple[bytes, bytes]:
    """Give the first and the last address of a prefix, packed."""
    first = prefix.packed
    host = (1 << (8 * len(first) - prefix.length)) - 1
    return first, (int.from_bytes(first, "big") | host).to_bytes(len(first), "big")


def _after(begin: bytes) -> bytes:
    """Give the least bytes that are greater than all that begin so; b"" if there are none."""
    cut = begin.rstrip(b"\xff")
    return cut[:-1] + bytes([cut[-1] + 1]) if cut else b""


def micros_of(name: str, moment: Moment | None) -> int | None:
    """Give a moment in microseconds since 1970.

    Raises:
        TypeError, ValueError: it is no moment.
    """
    if moment is None:
        return None
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError(f"{name} has no time zone: give it one, such as datetime.now(UTC)")
        moment = moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise TypeError(f"{name} is seconds since 1970 or a datetime, not {type(moment).__name__}")
    if not abs(moment) < 2**40:
        raise ValueError(f"{name} is seconds since 1970, and {moment} is none of our time")
    return round(moment * 1e6)


def _check(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} is a {kind.__name__}, or None, not {quote(value)}")


def _several(name: str, given: object, kind: type[T]) -> tuple[T, ...] | None:
    """Give one value or several as a tuple."""
    if given is None:
        return None
    values: tuple[Any, ...] = (given,)
    if isinstance(given, Iterable) and not isinstance(given, str):
        values = tuple(given)
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(f"{name} is a {kind.__name__}, or several, not {quote(value)}")
    return values
