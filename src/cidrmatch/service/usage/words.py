"""A row of the log as a record: what many rows share is read once, and remembered.

    kind 4 --> ["GET", 403, false, "ip_not_listed", null, "bitbybit", null, null, ""]
    entry 9 --> ["203.0.113.0/24", "office", null]          data 2 --> [17, "5/17"]

Cost: 2 microseconds a record.  Threads: safe, an id never changes its words.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..._core import format_address
from .record import UsageRecord

if TYPE_CHECKING:
    from .databases import Connection

_NEW_WORDS: Final = "SELECT id, what, words FROM usage_words WHERE id >= ? ORDER BY id"

__all__ = ["Row", "Words", "text_of", "trail_of"]

Row: TypeAlias = "tuple[Any, ...]"
"""A row with the columns of a day's table, in their order; see schema.py."""


class Words:
    """What is interned, read when it is needed; read anew if another database is there, such as a backup.

    Threads: safe, an entry never changes.
    """

    def __init__(self) -> None:
        self._newest: tuple[Any, ...] | None = None
        self.forget()

    def forget(self) -> None:
        """Forget all words."""
        self.kinds: dict[int, list[Any]] = {}
        self.entries: dict[int, list[Any]] = {}
        self.data: dict[int, list[Any]] = {}

    def learn(self, connection: Connection) -> None:
        """Read the words that are new."""
        newest = self._newest
        rows = connection.rows(_NEW_WORDS, (0 if newest is None else newest[0],))
        if newest is not None and rows and tuple(rows[0]) != newest:  # none: another thread has seen a later moment
            self.forget()
            rows = connection.rows(_NEW_WORDS, (0,))
        for number, what, words in rows:
            {"kind": self.kinds, "entry": self.entries, "data": self.data}[what][number] = json.loads(words)
        if rows:
            self._newest = tuple(rows[-1])

    def record(self, row: Row) -> UsageRecord:
        """Make a record of a row."""
        number, lag, key, kind, packed, path, trail, entry, data, request_id, micros, lost = row
        method, status, allowed, reason, problem, policy, stopped_at, would_allow, masked = self.kinds[kind]
        prefix, label, list_name = (None, None, None) if entry is None else self.entries[entry]
        version, revision = (None, None) if data is None else self.data[data]
        address = None if packed is None else format_address(bytes(packed))
        return UsageRecord(
            number=number,
            time=(number - lag) / 1e6,
            key=text_of(key),
            method=method,
            path=text_of(path),
            status=status,
            address=address,
            problem=problem,
            trail=trail_of(trail, address),
            allowed=allowed,
            reason=reason,
            stopped_at=stopped_at,
            would_allow=would_allow,
            entry=prefix,
            label=label,
            list=list_name,
            policy=policy,
            version=version,
            revision=revision,
            request_id=text_of(request_id),
            seconds=None if micros is None else micros / 1e6,
            masked=masked or None,
            lost=lost,
        )


def text_of(data: bytes | None) -> str | None:
    """Give a text of the log."""
    return None if data is None else bytes(data).decode("utf-8", "surrogatepass")


def trail_of(data: bytes | None, address: str | None) -> tuple[str, ...]:
    """Give a trail of the log; where it would only repeat the address, nothing is written."""
    if data is None:
        return () if address is None else (address,)
    text = text_of(data)
    return tuple(text.split("\0")) if text else ()
