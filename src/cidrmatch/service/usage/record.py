"""One line of the usage log, as its readers get it.

    number   1794211200000123   microseconds since 1970: of the record's time, or one more than the record before
    time     1794211200.000123  seconds since 1970, UTC
    key      "key_live_1"       method "GET"   path "/v1/orders"   status 403   request_id "7f..."   seconds 0.0021
    address  "203.0.113.9"      trail ("10.0.0.7", "203.0.113.9")          found by the strategy of the guard
    allowed  False              reason "ip_not_listed"   policy "bitbybit"   version 17   revision "5/17"

Numbers grow and are not dense.  They are smaller than 2**53, so that JSON keeps them.

A record may also tell that others are missing.  Its `reason` is one of `LOST`, and its fields say: `lost` records were
lost in the `seconds` before `time`.  It has no key and no address.

Cost: some 300 bytes a record.  Threads: frozen.  Source: B25, B28, C26.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FIELDS", "LOST", "STEPS_ONLY", "UsageRecord"]

LOST: Final = {
    "full": "lost_full",
    "database": "lost_database",
    "disk": "lost_disk",
    "crash": "lost_crash",
    "refused": "lost_refused",
    "closed": "lost_closed",
}
"""The reasons of records that tell of lost ones, by cause.

full       the writer was slower than the requests       database   the database did not answer
disk       the disk was full                             crash      the process was killed
refused    a record could not be written as it was       closed     the log was closed before the rest was written
"""
STEPS_ONLY: Final = "not_asked"
"""The reason of a request that the guard was not asked about: a step of the host ended it first, or it had no key."""


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """Tell of one request.

    Attributes:
        number: the place in the log; a cursor of `UsageLog.find`.
        time: when it was noted, seconds since 1970, UTC.
        key: the key's id, or its hash; None if the request had none.
        method, path: of the request; None where no face told.
        status: what the client was told: by us if it was blocked, else by the application; None where no face told.
        address: the address that was judged, in canonical text (B28), or None.  A mask truncates it.
        problem: why there is no address, a code of `ClientAddress`, or None.
        trail: what the strategy looked at, from the peer on.
        allowed: the guard's decision; None if the guard was not asked.
        reason: a `Reason`, "no_key", "guard_error", "not_asked", or a value of `LOST`.
        stopped_at: the host's step that ended the request, or None.
        would_allow: what the key's trial list would have said, or None (B31).
        entry, label, list: the prefix that decided, its label, and its named list; None for what there is not.
        policy: the name of the policy.
        version: the version of the engine's data that was judged.
        revision: the same as "epoch/number" of the store or file, if the log was given the engine.
        request_id: as the face was told.
        seconds: how long the request took.
        masked: what a mask did, such as "address/24/48 key=hash"; None for nothing.
        lost: how many records were lost; None for a request.
    """

    number: int
    time: float
    key: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    address: str | None = None
    problem: str | None = None
    trail: tuple[str, ...] = ()
    allowed: bool | None = None
    reason: str = STEPS_ONLY
    stopped_at: str | None = None
    would_allow: bool | None = None
    entry: str | None = None
    label: str | None = None
    list: str | None = None
    policy: str | None = None
    version: int | None = None
    revision: str | None = None
    request_id: str | None = None
    seconds: float | None = None
    masked: str | None = None
    lost: int | None = None

    @property
    def blocked(self) -> bool:
        """Whether the request was ended before the application: by the guard, or by a step of the host (B29)."""
        return self.allowed is False or self.stopped_at is not None

    def to_dict(self) -> dict[str, object]:
        """Give the fields as plain values, for JSON."""
        return {name: getattr(self, name) for name in FIELDS}


FIELDS: Final = tuple(UsageRecord.__dataclass_fields__)
"""The names of the fields, in the order of every export."""
