"""Requests as somebody recorded them: who asked, with which key, how often, and what was decided then.

    an access log      \\
    the usage log       >--  RecordedRequest, RecordedRequest, ...     one object for each request, or for equal ones
    a Parquet file     /     RecordedBatch, RecordedBatch, ...         the same as columns, for millions of requests

       keys         [ key_1,       key_1,        key_2 ]     or one key of all
       addresses    [ 203.0.113.7, 198.51.100.7, None  ]     None: nobody knew the client's address
       counts       [ 1,           12,           1     ]     or None: each row is one request
       allowed      [ True,        False,        None  ]     or None: nobody recorded what was decided

Whoever reads requests offers one of the two forms; `advice.replay` takes both.  The texts come from strangers: show
them escaped.
Threads: a row never changes; a batch belongs to its reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["RecordedBatch", "RecordedRequest", "RecordsBatches", "RowBatch"]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """Hold one request, or several equal ones, as they were recorded.

    Attributes:
        key: the key's plain id, or None where the record names no key.
        address: the client's address as text, or None where nobody knew it.
        count: how many equal requests this is, at least 1.
        time: when, in POSIX seconds, or None.
        method, path: of the request, or None.
        allowed: what was decided then, or None where nobody recorded it.
        place: where the record stands, such as ``access.log:17``, or None.
    """

    key: str | None
    address: str | None
    count: int = 1
    time: float | None = None
    method: str | None = None
    path: str | None = None
    allowed: bool | None = None
    place: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class RecordedBatch(Protocol):
    """Many requests as columns of one length."""

    @property
    def keys(self) -> Sequence[str | None] | str | None: ...  # one text: the key of all; None: no key is known
    @property
    def addresses(self) -> Sequence[str | None]: ...
    @property
    def counts(self) -> Sequence[int] | None: ...
    @property
    def allowed(self) -> Sequence[bool | None] | None: ...
    def times(self) -> Sequence[float | None]: ...  # read only if an answer depends on the time
    def row(self, index: int, /) -> RecordedRequest: ...  # all that is known of one request, for an example


@runtime_checkable
class RecordsBatches(Protocol):
    """Whoever gives requests as columns, because that is faster than one object for each."""

    def batches(self) -> Iterator[RecordedBatch]: ...


class RowBatch:
    """Turn rows into columns.

    Args:
        rows: `RecordedRequest`, or objects with the same attributes.
    Raises:
        TypeError: an address is neither text nor None, or a count is no whole number.
        ValueError: a count is less than 1.
    """

    __slots__ = ("_rows", "addresses", "allowed", "counts", "keys")

    def __init__(self, rows: Iterable[RecordedRequest]) -> None:
        self._rows = list(rows)
        self.keys: list[str | None] = [row.key for row in self._rows]
        self.addresses: list[str | None] = [row.address for row in self._rows]
        self.counts: list[int] = [row.count for row in self._rows]
        self.allowed: list[bool | None] = [row.allowed for row in self._rows]
        for address in self.addresses:
            if address is not None and not isinstance(address, str):
                raise TypeError(f"a recorded address is text or None, not {type(address).__name__}")
        for count in self.counts:
            if type(count) is not int:
                raise TypeError(f"a count of requests is a whole number, not {type(count).__name__}")
            if count < 1:
                raise ValueError(f"a count of requests is at least 1, not {count}")

    def times(self) -> list[float | None]:
        """Give the column of times."""
        return [row.time for row in self._rows]

    def row(self, index: int, /) -> RecordedRequest:
        """Give one request."""
        return self._rows[index]
