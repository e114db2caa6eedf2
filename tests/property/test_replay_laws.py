"""Replay equals asking the engine request by request: lists, engines, times, bad addresses, in rows and in columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Condition, Engine, Entry, InvalidAddress, Prefix
from cidrmatch.advice.replay import Judge, RecordedRequest, ReplayReport, replay

ADDRESSES = ("203.0.113.7", "203.0.113.77", "198.51.100.7", "2001:db8::7", "::ffff:203.0.113.7", "010.0.0.1", "-", None)
PREFIXES = ("203.0.113.0/24", "203.0.113.64/26", "203.0.113.7/32", "198.51.100.0/25", "2001:db8::/32", "0.0.0.0/0")
KEYS = ("key_1", "key_2", "key_3", "nobody's")
NOW = 1_800_000_000.0

moments = st.sampled_from([NOW + step for step in (-20, -10, -9.5, 0, 0.25, 10, 20)])


def when(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    start, end = draw(st.none() | moments), draw(st.none() | moments)
    if start is not None and end is not None and start >= end:
        start = None
    condition = Condition(
        effect=draw(st.sampled_from(["allow", "deny"])),
        enabled=draw(st.booleans()),
        not_before=None if start is None else when(start),
        expires=None if end is None else when(end),
    )
    timed = draw(st.booleans())
    return Entry(Prefix(draw(st.sampled_from(PREFIXES))), None, condition if timed else None)


class Clock:
    """A clock that the twin turns; the engine's own trial counts tell whether anybody else asked."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@st.composite
def engines(draw: st.DrawFn) -> tuple[Engine, Clock]:
    clock = Clock()
    engine = Engine(clock=clock)
    lists = st.lists(entries(), max_size=3, unique_by=lambda entry: entry.prefix)
    for name in ("office", "home"):
        engine.put_list(name, [*draw(lists), "192.0.2.1"], description="d")
    for key in KEYS[:3]:
        engine.put_key(
            key,
            draw(lists),
            lists=draw(st.sampled_from([(), ("office",), ("office", "home")])),
            within=draw(st.sampled_from([(), ("home",)])),
        )
        if draw(st.booleans()):
            engine.put_shadow(key, draw(lists))
    if draw(st.booleans()):
        engine.set_default("office")
    if draw(st.booleans()):
        engine.fold()
    return engine, clock


def lists() -> st.SearchStrategy[AllowList]:
    return st.lists(st.sampled_from(PREFIXES), max_size=3).map(AllowList)


rows = st.lists(
    st.builds(
        RecordedRequest,
        st.sampled_from(KEYS),
        st.sampled_from(ADDRESSES),
        st.integers(1, 3),
        st.none() | moments | st.floats(NOW - 30, NOW + 30),
        allowed=st.sampled_from([True, False, None]),
    ),
    max_size=30,
)


class Columns:
    """The same rows, offered as columns in batches of some size."""

    def __init__(self, requests: Sequence[RecordedRequest], size: int) -> None:
        self.requests, self.size = requests, size

    def batches(self) -> Iterator[Any]:
        for start in range(0, len(self.requests), self.size):
            yield _Batch(self.requests[start : start + self.size])


class _Batch:
    def __init__(self, requests: Sequence[RecordedRequest]) -> None:
        self.requests = [request for request in requests for _ in range(request.count)]
        self.counts = None
        self.addresses = tuple(request.address for request in self.requests)
        self.allowed = [request.allowed for request in self.requests]
        keys = [request.key for request in self.requests]
        self.keys = keys[0] if len(set(keys)) == 1 else keys

    def times(self) -> list[float | None]:
        return [request.time for request in self.requests]

    def row(self, index: int) -> RecordedRequest:
        return self.requests[index]


def ask(judge: tuple[Judge, Clock | None], request: RecordedRequest, at: float | None) -> bool:
    """Ask one judge about one request, in the obvious way."""
    asked, clock = judge
    if isinstance(asked, AllowList):
        try:
            return request.address is not None and request.address in asked
        except InvalidAddress:
            return False
    assert isinstance(asked, Engine)
    assert clock is not None
    clock.now = at if at is not None else NOW if request.time is None else request.time
    return asked.check(str(request.key), request.address).allowed


def tell(report: ReplayReport) -> dict[str, Any]:
    return {
        "blocked": report.newly_blocked.requests,
        "allowed": report.newly_allowed.requests,
        "still_allowed": report.still_allowed,
        "still_denied": report.still_denied,
        "not_recorded": report.not_recorded,
        "blocked keys": {tally.name: tally.requests for tally in report.newly_blocked.by_key},
        "blocked addresses": {tally.name: tally.requests for tally in report.newly_blocked.by_address},
        "allowed keys": {tally.name: tally.requests for tally in report.newly_allowed.by_key},
        "allowed addresses": {tally.name: tally.requests for tally in report.newly_allowed.by_address},
    }


def twin(
    requests: Sequence[RecordedRequest],
    after: tuple[Judge, Clock | None],
    before: tuple[Judge, Clock | None] | None,
    at: float | None,
) -> dict[str, Any]:
    sums: Counter[str] = Counter()
    named: dict[str, Counter[str | None]] = {
        f"{side} {what}": Counter() for side in ("blocked", "allowed") for what in ("keys", "addresses")
    }
    for request in requests:
        was = request.allowed if before is None else ask(before, request, at)
        will = ask(after, request, at)
        if was is None:
            sums["not_recorded"] += request.count
        elif was == will:
            sums["still_allowed" if will else "still_denied"] += request.count
        else:
            side = "allowed" if will else "blocked"
            sums[side] += request.count
            named[f"{side} keys"][request.key] += request.count
            named[f"{side} addresses"][request.address] += request.count
    names = ("blocked", "allowed", "still_allowed", "still_denied", "not_recorded")
    return {name: sums[name] for name in names} | named


def trials_of(engine: Engine) -> list[tuple[int, int]]:
    shadows = [engine.shadow(key) for key in KEYS[:3]]
    return [(shadow.would_allow, shadow.would_deny) for shadow in shadows if shadow is not None]


@given(engines(), engines() | st.none(), rows, st.none() | moments, st.integers(1, 31))
def test_B31_a_replay_over_engines_is_asking_each_request_at_its_time(
    after: tuple[Engine, Clock],
    before: tuple[Engine, Clock] | None,
    requests: list[RecordedRequest],
    at: float | None,
    size: int,
) -> None:
    earlier = None if before is None else before[0]
    counted = trials_of(after[0])
    reports = [
        replay(given_as, after[0], earlier, at=at, top=100) for given_as in (iter(requests), Columns(requests, size))
    ]
    assert trials_of(after[0]) == counted
    expected = twin(requests, after, before, at)
    assert [tell(report) for report in reports] == [expected, expected]
    total = sum(request.count for request in requests)
    assert all(report.requests == total for report in reports)
    assert all(len(report.newly_blocked.examples) <= 10 for report in reports)


@given(lists(), lists() | engines() | st.none(), rows, st.integers(1, 31))
def test_B31_a_replay_over_lists_is_asking_each_address(
    after: AllowList,
    before: AllowList | tuple[Engine, Clock] | None,
    requests: list[RecordedRequest],
    size: int,
) -> None:
    earlier = before if isinstance(before, tuple) else None if before is None else (before, None)
    judge = None if earlier is None else earlier[0]
    expected = twin(requests, (after, None), earlier, None)
    for given_as in (requests, Columns(requests, size)):
        assert tell(replay(given_as, after, judge, top=100)) == expected
