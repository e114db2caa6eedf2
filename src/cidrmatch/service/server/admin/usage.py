"""What a log makes possible: who asked, who would be shut out by another list, and which list is the best one.

    GET  /usage, /usage/count, /usage/sums, /usage/export     the log, by filters that combine
    GET  /keys/{key}/last-use                                 when the key was used last
    POST /preview                                             a list over recorded requests, before it is saved
    GET  /keys/{key}/suggestion                               the best list for the addresses from which the key passed

    a preview:  key "key_1", entries [...]  --proposed--> the data as it would be
                the newest records of this key  --replay--> who would be newly blocked, and newly allowed

A preview compares with the data that this worker serves.  It asks for the moment of each record, so conditions count.
Records whose addresses a mask cut are left out of previews and suggestions, and counted: nobody knows who came.

Bounds: a preview and a suggestion read the newest 100,000 records, or as many as are asked for.
Threads: each function runs in a thread.  Source: B26 to B29, B31; C26.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from ....advice.replay import proposed, replay
from ....advice.suggest import suggest
from ....engine.recorded import RecordedRequest
from ....errors import UnknownName, quote
from .asked import Answer, Refusal, moment_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ....engine.changes import Transaction
    from ...usage.filters import UsageFilter
    from ...usage.log import UsageLog
    from ...usage.record import UsageRecord
    from .asked import Asked

__all__ = [
    "FILTERS",
    "count_usage",
    "export_usage",
    "find_usage",
    "get_last_use",
    "get_suggestion",
    "preview_list",
    "sum_usage",
]

FILTERS: Final = (
    "key", "method", "status", "allowed", "blocked", "decided", "since", "until", "within", "path", "path_prefix",
    "request_id",
)  # fmt: skip
"""What the query of a question to the log may have."""
_PAGE: Final = 100
_RECORDS: Final = 100_000
_AT_ONCE: Final = 5_000
_TYPES: Final = {"csv": "text/csv; charset=utf-8; header=present", "jsonl": "application/jsonl"}


def _log_of(asked: Asked) -> UsageLog:
    if asked.usage is None:
        raise Refusal(404, "no_usage_log", "this server keeps no usage log; start it with --usage-log")
    return asked.usage


def _filter_of(asked: Asked, **more: Any) -> UsageFilter:
    from ...usage.filters import UsageFilter  # noqa: PLC0415  an extra

    words = {name: asked.query[name] for name in FILTERS if name in asked.query}
    words |= {name: moment_of(words[name]) for name in ("since", "until") if name in words}
    if "decided" in words:
        words["reason"] = words.pop("decided")
    return UsageFilter(**words | more)


def find_usage(asked: Asked) -> Answer:
    """Give records of the usage log, the newest first, a page at a time."""
    limit = asked.query.get("limit", _PAGE)
    found = _log_of(asked).find(_filter_of(asked), after=asked.query.get("before"), limit=limit + 1)
    more = found[limit - 1].number if len(found) > limit else None
    return Answer({"records": [_written(each) for each in found[:limit]], "next": more})


def _written(record: UsageRecord) -> dict[str, Any]:
    return {**asdict(record), "time": _moment(record.time), "trail": list(record.trail)}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def count_usage(asked: Asked) -> Answer:
    """Count records of the usage log."""
    return Answer({"records": _log_of(asked).count(_filter_of(asked))})


def sum_usage(asked: Asked) -> Answer:
    """Count requests by key, address, reason, hour, method, status or path, the most frequent first."""
    by, limit = asked.query.get("by", "key"), asked.query.get("limit", _PAGE)
    found = _log_of(asked).sums(by, _filter_of(asked), limit=limit)
    sums = [{"value": each.value, "requests": each.requests, "blocked": each.blocked} for each in found]
    return Answer({"by": by, "sums": sums})


def export_usage(asked: Asked) -> Answer:
    """Give all matching records as CSV or as JSON Lines, the oldest first (B27)."""
    kind = asked.query.get("format", "csv")
    pieces = _log_of(asked).export(_filter_of(asked), kind)
    first = next(iter(pieces), b"")  # what goes wrong at once is still told as a problem
    return Answer({}, stream=chain([first], pieces), content_type=_TYPES[kind])


def get_last_use(asked: Asked) -> Answer:
    """Say when a key was used last, and when it was let through last."""
    found = _log_of(asked).last_use(asked.names["key"])
    return Answer({"seen": _moment(found.seen), "allowed": _moment(found.allowed)})


# -- What a list would do, and which one is the best --------------------------


class _Records:
    """The newest records of a key, or of all keys; only those that say who came, and by which key.

    Args:
        blocked: only requests that were blocked, or that were not; None for both.
    Attributes:
        masked: how many were left out, because a mask cut the address, or hashed the keys that are asked for.
    """

    def __init__(self, asked: Asked, key: str | None, facts: Mapping[str, Any], blocked: bool | None = None) -> None:
        self._log = _log_of(asked)
        self._filter = _filter_of(asked, key=key, since=moment_of(facts.get("since")), blocked=blocked)
        self._key = key
        self._left = facts.get("records", _RECORDS)
        self.masked = 0

    def __iter__(self) -> Iterator[RecordedRequest]:
        after = None
        while self._left:
            wanted = min(self._left, _AT_ONCE)
            page = self._log.find(self._filter, after=after, limit=wanted)
            for record in page:
                if record.lost is not None:
                    continue
                if self._is_masked(record):
                    self.masked += 1
                    continue
                yield RecordedRequest(
                    self._key or record.key, record.address, time=record.time, method=record.method,
                    path=record.path, allowed=record.allowed,
                )  # fmt: skip
            self._left = self._left - len(page) if len(page) == wanted else 0
            after = page[-1].number if page else None

    def _is_masked(self, record: UsageRecord) -> bool:
        from ...usage.masks import kept_bits  # noqa: PLC0415  an extra

        if record.masked is None:
            return False
        family, whole = (6, 128) if ":" in (record.address or "") else (4, 32)
        is_cut = record.address is not None and kept_bits(record.masked).get(family, whole) < whole
        return is_cut or (self._key is None and "key=keep" not in record.masked)


def preview_list(asked: Asked) -> Answer:
    """Say whom a list of a key, or a named list, would shut out and let in, by recorded requests (B31)."""
    body = asked.body
    key, name = body.get("key"), body.get("list")
    if (key is None) == (name is None):
        raise Refusal(422, "invalid_body", "a preview names a key or a list")

    def change(transaction: Transaction) -> None:
        if key is not None:
            transaction.update_key(key, entries=body["entries"])
        elif name is not None:
            transaction.put_list(name, body["entries"])

    engine = asked.engine
    if name is not None and name not in engine.lists():
        raise UnknownName(f"there is no list {quote(name)} in the data that this worker serves")
    records = _Records(asked, key, body)
    report = replay(records, proposed(engine, change), before=engine, top=body.get("top", 20))
    return Answer({**report.to_dict(), "masked": records.masked})


def get_suggestion(asked: Asked) -> Answer:
    """Find the best list for the addresses from which a key passed, within the tenant's policy."""
    key, query = asked.names["key"], asked.query
    records = _Records(asked, key, query, blocked=False)  # else whoever tries a key often gets into its list
    seen = Counter(each.address for each in records if each.address is not None)
    if not seen:
        raise Refusal(404, "nothing_seen", "no request of this key passed with an address that is on record")
    found = suggest(
        seen, asked.engine.policy, max_entries=query.get("max_entries"), leave_out=query.get("leave_out", 0) / 100
    )
    return Answer({**found.to_dict(), "masked": records.masked})
