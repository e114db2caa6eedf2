"""What the tests of the usage log share: an engine with keys, a guard, requests of all sorts, and a slow twin.

    Twin      a list of records and a for loop; it answers what `UsageLog` answers

The twin works on the records that the log gave back, so it does not test what is written; test_log.py does.
"""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cidrmatch import Engine, presets
from cidrmatch.client import PeerAddress, TrustedProxies
from cidrmatch.gateways.guard import Guard, GuardDecision
from cidrmatch.service.usage.log import UsageLog
from cidrmatch.service.usage.record import LOST, UsageRecord

if TYPE_CHECKING:
    from cidrmatch.service.usage.filters import UsageFilter

OFFICE = {"prefix": "203.0.113.0/24", "label": "office"}
METHODS = ("GET", "GET", "GET", "POST", "DELETE")
PATHS = ("/v1/orders", "/v1/orders/7", "/v1/%", "/v2", "/", "/v1/\xff", None)
PEERS = (
    "203.0.113.9",
    "203.0.113.200",
    "198.51.100.1",
    "198.51.100.77",
    "2001:db8::1",
    "2001:db8:1::7",
    "::ffff:203.0.113.5",
    "cb00:7109::1",  # begins with the bytes of 203.0.113.9
)


def make_engine() -> Engine:
    engine = Engine(presets.bitbybit())
    engine.put_list("partners", [{"prefix": "2001:db8::/48", "label": "partner"}])
    engine.put_key("key_1", [OFFICE, "198.51.100.1"])
    engine.put_key("key_2", lists=["partners"])
    engine.put_key("key_3", [])
    return engine


def make_guard(engine: Engine | None = None) -> Guard:
    return Guard(engine or make_engine(), TrustedProxies(["10.0.0.0/8"]))


def peer_guard(engine: Engine | None = None) -> Guard:
    return Guard(engine or make_engine(), PeerAddress())


@contextmanager
def opened(url: str, counters: Path | None = None, **options: Any) -> Iterator[UsageLog]:
    log = UsageLog(url, counters=counters, **options)
    try:
        yield log
    finally:
        log.close()


def note_random(log: UsageLog, guard: Guard, seed: int, count: int) -> None:
    """Note requests of all sorts: with and without keys, allowed, denied, stopped by a step, and never asked about."""
    chance = random.Random(seed)
    for number in range(count):
        facts: dict[str, Any] = {
            "method": chance.choice(METHODS),
            "path": chance.choice(PATHS),
            "request_id": f"r{number}" if chance.random() < 0.8 else None,
            "seconds": chance.random() if chance.random() < 0.9 else None,
        }
        if chance.random() < 0.05:
            log.note(None, key="key_1", status=429, stopped_at="rate_limit", **facts)
            continue
        found = any_decision(guard, chance)
        stopped = "scope" if found.allowed and chance.random() < 0.1 else None
        status = 403 if stopped or not found.allowed else chance.choice((200, 200, 201, 404, 500))
        log.note(found, status=status, stopped_at=stopped, **facts)


def any_decision(guard: Guard, chance: random.Random) -> GuardDecision:
    key = chance.choice(("key_1", "key_1", "key_2", "key_3", "nobody", None))
    headers = [(b"x-forwarded-for", chance.choice(PEERS).encode())]
    peer = chance.choice(("10.0.0.7", "10.0.0.7", "10.0.0.7", *PEERS, "rubbish"))
    return guard.check(key, peer, headers)


@dataclass
class Twin:
    """Answer by going through a list of records."""

    records: list[UsageRecord] = field(default_factory=list)

    def matching(self, wanted: UsageFilter) -> list[UsageRecord]:
        return [record for record in self.records if self.takes(wanted, record)]

    @staticmethod
    def takes(wanted: UsageFilter, record: UsageRecord) -> bool:
        if wanted.key is not None and record.key != wanted.key:
            return False
        for name in ("method", "status", "reason"):
            values: Any = getattr(wanted, name)
            if values is not None and getattr(record, name) not in values:
                return False
        if wanted.allowed is not None and record.allowed is not wanted.allowed:
            return False
        if wanted.blocked is not None and (record.allowed is False or record.stopped_at is not None) != wanted.blocked:
            return False
        if wanted.since is not None and record.time < float(wanted.since):  # type: ignore[arg-type]
            return False
        if wanted.until is not None and record.time >= float(wanted.until):  # type: ignore[arg-type]
            return False
        if wanted.within is not None and not Twin.is_within(wanted.within, record.address):
            return False
        if wanted.path is not None and record.path != wanted.path:
            return False
        if wanted.path_prefix is not None and not (
            record.path is not None and record.path.startswith(wanted.path_prefix)
        ):
            return False
        return wanted.request_id is None or record.request_id == wanted.request_id

    @staticmethod
    def is_within(within: Any, address: str | None) -> bool:
        if address is None:
            return False
        mine = ipaddress.ip_address(address)
        entries = (
            [str(getattr(entry, "prefix", entry)) for entry in within] if hasattr(within, "__iter__") else [within]
        )
        networks = [ipaddress.ip_network(str(entry)) for entry in entries]
        return any(mine.version == network.version and mine in network for network in networks)

    def sums(self, by: str, wanted: UsageFilter) -> dict[Any, tuple[int, int]]:
        requests: Counter[Any] = Counter()
        blocked: Counter[Any] = Counter()
        for record in self.matching(wanted):
            value = int(record.time // 3600) * 3600 if by == "hour" else getattr(record, by)
            if record.reason in LOST.values() and by != "reason":
                continue
            requests[value] += record.lost or 1
            blocked[value] += record.allowed is False or record.stopped_at is not None
        return {value: (count, blocked[value]) for value, count in requests.items()}
