"""A proposed list, policy or configuration over recorded requests: whose answer would be another one.

    requests --> groups of equal ones --> before  what was decided then, or what another judge says
                                          after   what the proposed judge says

                     after: allowed      after: denied
    before: allowed  still_allowed       newly_blocked     by key, by address, by reason, with examples
    before: denied   newly_allowed       still_denied
    not recorded     not_recorded: their answers are not compared

A *judge* is an `AllowList`, which asks only the address; or an engine, or one version of its data (a `View`, which
`proposed` makes of a change that is not committed).  Nothing is judged here: the compiled core is asked.

Equal requests are asked once.  Where an entry has times, the answer depends on the time of the request.  Time is cut
into periods at the moments at which an entry of the key begins or ends to count; requests of one period are equal:

    entry A counts        |-----------------|
    entry B counts                  |---------------------|
    period           0    |    1    |   2   |      3      |   4      of a request: by its recorded time

A replay adds nothing to the counts of a list on trial, and does not mind whether an engine's data is stale.
Cost: each batch of requests is grouped and forgotten; what stays in memory is a number for each key and each address
whose answer changes.  Some hundred ns a request, and some microseconds for each key.
Threads: an engine may change meanwhile; the data at the beginning is asked.
Source: B31.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from .._keys import Reason, View
from ..engine.changes import Transaction
from ..engine.draft import Draft
from ..engine.recorded import RecordedBatch, RecordedRequest, RecordsBatches, RowBatch
from .judges import EVERYONE, Asked, Judge, OpenJudge, contains, judge_of, problem_of

if TYPE_CHECKING:
    from ..engine.engine import Engine
    from ..policy.policy import Policy

__all__ = ["Change", "Example", "Judge", "RecordedRequest", "ReplayReport", "Tally", "proposed", "replay"]

_ROWS = 65_536
"""How many rows of an iterable make one batch."""
_MOST_NAMES = 1_000_000
"""How many keys, and how many addresses, a change counts by name; requests of further ones count in the sums only."""


# -- What a replay found ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """Hold a key or an address, and how many requests of it are meant; the name is None where nobody knew it."""

    name: str | None
    requests: int


@dataclass(frozen=True, slots=True)
class Example:
    """Hold one request whose answer changes, or whose address cannot be read.

    Attributes:
        request: the first of the equal requests, as it was recorded.
        before: the reason of the earlier judge; None where what was recorded is compared.
        after: the reason of the proposed judge.
        entry, list_name: what decided after, or None.
        problem: why the address is no address, in words; None if it is one.
    """

    request: RecordedRequest
    before: Reason | None
    after: Reason
    entry: str | None
    list_name: str | None
    problem: str | None

    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for JSON."""
        facts = self.request.to_dict() | {
            "before": self.before and str(self.before),
            "after": str(self.after),
            "entry": self.entry,
        }
        return facts | {"list": self.list_name, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class Change:
    """Hold the requests whose answer changes in one direction.

    Attributes:
        requests: how many.
        keys, addresses: how many different ones; with more than a million of them, a lower bound.
        by_key, by_address: those with most requests, most first; equal counts by name.
        by_reason: for each reason of the proposed judge, how many requests.
        examples: the first ones.
    """

    requests: int
    keys: int
    addresses: int
    by_key: tuple[Tally, ...]
    by_address: tuple[Tally, ...]
    by_reason: dict[Reason, int]
    examples: tuple[Example, ...]

    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for JSON."""
        return {
            "requests": self.requests,
            "keys": self.keys,
            "addresses": self.addresses,
            "by_key": [{"key": tally.name, "requests": tally.requests} for tally in self.by_key],
            "by_address": [{"address": tally.name, "requests": tally.requests} for tally in self.by_address],
            "by_reason": {str(reason): requests for reason, requests in self.by_reason.items()},
            "examples": [example.to_dict() for example in self.examples],
        }


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Say whose answer would change.

    Attributes:
        requests: how many requests were replayed: the sum of the next five.
        still_allowed, still_denied: requests with the same answer.
        newly_blocked, newly_allowed: a `Change` each.
        not_recorded: requests whose earlier answer nobody recorded.
        without_key: further requests that name no key where a judge needs one; they were not asked.
        without_address: of all requests, those whose address is unknown or no address.
        without_time: of all requests, those whose answer depends on a time that nobody recorded; they were asked as if
            they came now.
        bad_addresses: examples of addresses that are none.
    """

    requests: int
    still_allowed: int
    still_denied: int
    newly_blocked: Change
    newly_allowed: Change
    not_recorded: int
    without_key: int
    without_address: int
    without_time: int
    bad_addresses: tuple[Example, ...]

    @property
    def is_unchanged(self) -> bool:
        """Whether no request that was compared has another answer."""
        return not (self.newly_blocked.requests or self.newly_allowed.requests)

    def __bool__(self) -> NoReturn:
        raise TypeError("a ReplayReport has no truth value; ask its .is_unchanged")

    def __repr__(self) -> str:
        changed = f"{self.newly_blocked.requests:,} newly blocked, {self.newly_allowed.requests:,} newly allowed"
        return f"<ReplayReport of {self.requests:,} requests: {changed}>"

    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for JSON; bounded by the `top` and `examples` of the replay."""
        return {
            "requests": self.requests,
            "unchanged": self.is_unchanged,
            "still_allowed": self.still_allowed,
            "still_denied": self.still_denied,
            "newly_blocked": self.newly_blocked.to_dict(),
            "newly_allowed": self.newly_allowed.to_dict(),
            "not_recorded": self.not_recorded,
            "without_key": self.without_key,
            "without_address": self.without_address,
            "without_time": self.without_time,
            "bad_addresses": [example.to_dict() for example in self.bad_addresses],
        }


# -- Asking for it ------------------------------------------------------------


def replay(
    requests: Iterable[RecordedRequest] | RecordsBatches,
    after: Judge,
    before: Judge | Literal["open"] | None = None,
    *,
    at: float | None = None,
    examples: int = 10,
    top: int = 20,
) -> ReplayReport:
    """Ask a proposed judge about recorded requests, and compare its answers with earlier ones.

    Args:
        requests: an iterable of `RecordedRequest`, which is read once and never held; or an object with `batches`.
        after: the proposed list, engine or version.
        before: whom to compare with; "open" if every request passed; None for what was recorded.
        at: ask as if all requests came at this moment, in POSIX seconds.  By default each is asked at its recorded
            time; without one, as if it came now.
        examples, top: how many examples and how many keys and addresses a change names.
    Returns:
        `ReplayReport`.
    Raises:
        TypeError: a judge is none, a key is no text, or a row is none.  ValueError: a time or a number makes no sense.
        Whatever the iterable raises.
    Cost: some hundred ns a request; less where many are equal.

    >>> from cidrmatch import AllowList
    >>> office = AllowList(["203.0.113.0/24"])
    >>> seen = [RecordedRequest("key_1", "203.0.113.7", 9), RecordedRequest("key_1", "198.51.100.7", 2)]
    >>> report = replay(seen, office, before=AllowList(["0.0.0.0/0"]))
    >>> report, report.newly_blocked.by_address
    (<ReplayReport of 11 requests: 2 newly blocked, 0 newly allowed>, (Tally(name='198.51.100.7', requests=2),))
    """
    if at is not None and not math.isfinite(at):
        raise ValueError(f"a moment is a number of seconds, not {at}")
    if examples < 0 or top < 0:
        raise ValueError("numbers of examples and names are not negative")
    earlier = None if before is None else OpenJudge() if before == "open" else judge_of(before, at)
    work = _Replay(judge_of(after, at), earlier, at, examples, top)
    for batch in requests.batches() if isinstance(requests, RecordsBatches) else _batches_of(requests):
        work.take(batch)
    return work.report()


def _batches_of(rows: Iterable[RecordedRequest]) -> Iterator[RecordedBatch]:
    left = iter(rows)
    while chunk := list(islice(left, _ROWS)):
        yield RowBatch(chunk)


def proposed(
    engine: Engine | View, change: Callable[[Transaction], object] | None = None, *, policy: Policy | None = None
) -> View:
    """Make the data that an engine would have after a change, and commit nothing.

    Args:
        engine: the engine, or a version of its data.
        change: called with a `Transaction`, whose methods are those of the engine; None for no change of data.
        policy: another policy to judge the keys by.  Entries that it would refuse stay as they are; `Policy.validate`
            tells of them.
    Returns:
        `View`: what `replay` takes; the engine is as before.
    Raises:
        Whatever the change raises, such as PolicyError.
    Cost: that of the change; with a policy, some microseconds for each key.

    >>> from cidrmatch import Engine, presets
    >>> engine = Engine(presets.bitbybit())
    >>> report = engine.put_key("key_1", ["203.0.113.0/24"])
    >>> view = proposed(engine, lambda change: change.put_key("key_1", ["203.0.113.7"], replace=True))
    >>> replay([RecordedRequest("key_1", "203.0.113.9")], view, before=engine)
    <ReplayReport of 1 requests: 1 newly blocked, 0 newly allowed>
    """
    start = engine if isinstance(engine, View) else engine.view
    draft = Draft.of(start)
    try:
        if policy is not None:
            draft.settings = dataclasses.replace(draft.settings, policy=policy)
            for key in start:
                draft.set_record(key, draft.record(key))
        if change is not None:
            change(Transaction(draft))
        return draft.build(start.version + 1)
    finally:
        draft.is_over = True


# -- Comparing ----------------------------------------------------------------


class _ChangeSums:
    """Counts the requests whose answer changes in one direction."""

    def __init__(self) -> None:
        self.requests = 0
        self.by_key: dict[str | None, int] = {}
        self.by_address: dict[str | None, int] = {}
        self.by_reason: Counter[Reason] = Counter()
        self.examples: list[Example] = []

    def note(self, key: str | None, address: str | None, reason: Reason, requests: int) -> None:
        self.requests += requests
        self.by_reason[reason] += requests
        for sums, name in ((self.by_key, key), (self.by_address, address)):
            if name in sums:
                sums[name] += requests
            elif len(sums) < _MOST_NAMES:
                sums[name] = requests

    def change(self, top: int, *, has_keys: bool) -> Change:
        by_key = self.by_key if has_keys else {}
        return Change(
            self.requests,
            len(by_key),
            len(self.by_address),
            _largest(by_key, top),
            _largest(self.by_address, top),
            dict(sorted(self.by_reason.items(), key=lambda item: (-item[1], item[0]))),
            tuple(self.examples),
        )


def _largest(sums: dict[str | None, int], top: int) -> tuple[Tally, ...]:
    found = heapq.nsmallest(top, sums.items(), key=lambda item: (-item[1], item[0] or ""))
    return tuple(Tally(name, requests) for name, requests in found)


@dataclass(slots=True)
class _Groups:
    """Equal requests of one batch, as columns; None where a column is the same for all, or not needed.

    `rows` are the batch's rows in the form in which `firsts` knows them: the first row of a group is looked up there.
    """

    rows: Sequence[object]
    firsts: list[object]
    keys: Sequence[str | None] | None
    addresses: Sequence[str | None]
    moments: Sequence[float | None] | None
    allowed: Sequence[bool | None] | None
    weights: list[int]


class _Replay:
    """Holds the sums of one replay."""

    def __init__(self, after: Asked, before: Asked | None, at: float | None, examples: int, top: int) -> None:
        self._after, self._before, self._at = after, before, at
        self._most_examples, self._top = examples, top
        self._judges = (after,) if before is None else (before, after)
        self._needs_key = any(judge.needs_key for judge in self._judges)
        self._now = next((judge.now() for judge in (after, *self._judges) if judge.needs_key), 0.0)
        self._edges: dict[str, Sequence[float] | None] = {}
        self._has_keys = self._needs_key
        self._requests = self._still_allowed = self._still_denied = 0
        self._not_recorded = self._without_key = self._without_address = self._without_time = 0
        self._blocked, self._allowed = _ChangeSums(), _ChangeSums()
        self._bad_addresses: list[Example] = []
        self._bad_texts: set[str | None] = set()

    def report(self) -> ReplayReport:
        """Give what was found so far."""
        return ReplayReport(
            requests=self._requests,
            still_allowed=self._still_allowed,
            still_denied=self._still_denied,
            newly_blocked=self._blocked.change(self._top, has_keys=self._has_keys),
            newly_allowed=self._allowed.change(self._top, has_keys=self._has_keys),
            not_recorded=self._not_recorded,
            without_key=self._without_key,
            without_address=self._without_address,
            without_time=self._without_time,
            bad_addresses=tuple(self._bad_addresses),
        )

    def take(self, batch: RecordedBatch) -> None:
        """Compare the answers for one batch of requests."""
        groups = self._group(batch)
        if groups is None or not groups.weights:
            return
        self._requests += sum(groups.weights)
        keys: list[str | None] | Sequence[str | None] = groups.keys or [None] * len(groups.weights)
        self._note_bad_addresses(batch, groups, keys)
        after = self._after.answers(keys, groups.addresses, groups.moments)
        before: Sequence[int | None]
        if self._before is not None:
            before = self._before.answers(keys, groups.addresses, groups.moments)
        else:
            before = groups.allowed or [None] * len(after)
        if before == after:
            allowed = sum(compress(groups.weights, after))
            self._still_allowed += allowed
            self._still_denied += sum(groups.weights) - allowed
            return
        for index, (was, will) in enumerate(zip(before, after, strict=True)):
            self._compare(batch, groups, keys, index, was, will)

    def _compare(
        self, batch: RecordedBatch, groups: _Groups, keys: Sequence[str | None], index: int, was: object, will: int
    ) -> None:
        weight = groups.weights[index]
        if was is None:
            self._not_recorded += weight
        elif bool(was) is bool(will):
            if will:
                self._still_allowed += weight
            else:
                self._still_denied += weight
        else:
            sums = self._allowed if will else self._blocked
            moment = None if groups.moments is None else groups.moments[index]
            reason, entry, list_name = self._after.why(keys[index], groups.addresses[index], moment)
            sums.note(keys[index], groups.addresses[index], reason, weight)
            if len(sums.examples) < self._most_examples:
                sums.examples.append(self._example(batch, groups, keys, index, (reason, entry, list_name)))

    def _example(
        self,
        batch: RecordedBatch,
        groups: _Groups,
        keys: Sequence[str | None],
        index: int,
        found: tuple[Reason, str | None, str | None] | None = None,
    ) -> Example:
        key, address = keys[index], groups.addresses[index]
        moment = None if groups.moments is None else groups.moments[index]
        reason, entry, list_name = self._after.why(key, address, moment) if found is None else found
        before = None if self._before is None else self._before.why(key, address, moment)[0]
        row = batch.row(groups.rows.index(groups.firsts[index]))
        return Example(row, before, reason, entry, list_name, problem_of(address))

    def _note_bad_addresses(self, batch: RecordedBatch, groups: _Groups, keys: Sequence[str | None]) -> None:
        known = contains(EVERYONE, groups.addresses)
        if 0 not in known:
            return
        for index, is_known in enumerate(known):
            if not is_known:
                self._without_address += groups.weights[index]
                address = groups.addresses[index]
                if len(self._bad_addresses) < self._most_examples and address not in self._bad_texts:
                    self._bad_texts.add(address)
                    self._bad_addresses.append(self._example(batch, groups, keys, index))

    # Grouping

    def _group(self, batch: RecordedBatch) -> _Groups | None:
        """Group equal requests; None if no key is known and a judge needs one."""
        keys, columns, names = batch.keys, [batch.addresses], ["addresses"]
        if keys is None and self._needs_key:
            self._without_key += len(batch.addresses) if batch.counts is None else sum(batch.counts)
            return None
        if keys is not None:
            self._has_keys = True
        edges = self._edges_of(keys) if self._needs_key and keys is not None else {}
        if keys is not None and not isinstance(keys, str):
            columns.append(keys)
            names.append("keys")
        if edges:
            columns.append(self._moments(batch, edges))  # type: ignore[arg-type]
            names.append("moments")
        if self._before is None and batch.allowed is not None:
            columns.append(batch.allowed)  # type: ignore[arg-type]
            names.append("allowed")
        rows: Sequence[object] = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        sums = Counter(rows) if batch.counts is None else _weighed(rows, batch.counts)
        groups = self._groups_of(rows, sums, names)
        if isinstance(keys, str):
            groups.keys = [keys] * len(groups.weights)
        return groups

    def _groups_of(self, rows: Sequence[object], sums: dict[Any, int], names: list[str]) -> _Groups:
        if len(names) == 1:
            firsts = list(sums)
            return _Groups(rows, firsts, None, firsts, None, None, list(sums.values()))
        if self._needs_key and "keys" in names:
            self._without_key += sum(weight for row, weight in sums.items() if row[1] is None)
            sums = {row: weight for row, weight in sums.items() if row[1] is not None}
        columns = dict(zip(names, map(list, zip(*sums, strict=True)), strict=True)) if sums else {}
        return _Groups(
            rows,
            list(sums),
            columns.get("keys"),
            columns.get("addresses", []),
            columns.get("moments"),
            columns.get("allowed"),
            list(sums.values()),
        )

    def _edges_of(self, keys: Sequence[str | None] | str) -> dict[str, Sequence[float] | None]:
        """Learn new keys; give the edges of the periods of those keys whose answer depends on the time."""
        here = {keys} if isinstance(keys, str) else {key for key in set(keys) if key is not None}
        for key in here - self._edges.keys():
            moments = [judge.moments_of(key) for judge in self._judges if judge.needs_key]
            known = [each for each in moments if each is not None]
            self._edges[key] = None if len(known) < len(moments) else sorted(set().union(*known))
        return {key: edges for key in here if (edges := self._edges[key]) is None or edges}

    def _moments(self, batch: RecordedBatch, edges: dict[str, Sequence[float] | None]) -> list[float | None]:
        """Give for each request one moment of its period; None where the time does not matter."""
        keys, times = batch.keys, batch.times()
        keys = [keys] * len(times) if keys is None or isinstance(keys, str) else keys
        pairs = list(zip(keys, times, strict=True))
        if None in times:
            counts = [1] * len(times) if batch.counts is None else batch.counts
            for (key, time), count in zip(pairs, counts, strict=True):
                self._without_time += count * (time is None and key in edges)
        moments: dict[tuple[str | None, float | None], float] = {
            (key, time): self._moment(edges[key], time) for key, time in set(pairs) if key in edges
        }
        return [moments.get(pair) for pair in pairs]

    def _moment(self, edges: Sequence[float] | None, time: float | None) -> float:
        time = self._now if time is None else time
        if not math.isfinite(time):
            raise ValueError(f"the time of a request is a number of seconds, not {time}")
        return _period(edges, time)


def _weighed(rows: Sequence[object], counts: Sequence[int]) -> dict[object, int]:
    sums: dict[object, int] = {}
    for row, count in zip(rows, counts, strict=True):
        sums[row] = sums.get(row, 0) + count
    return sums


def _period(edges: Sequence[float] | None, time: float) -> float:
    """Give the first moment of the period in which a time lies: an entry counts from its start on, until its end.

    The period before the first edge has no first moment; any moment of it will do.
    """
    if edges is None:
        return time
    number = bisect_right(edges, time)
    return edges[number - 1] if number else math.nextafter(edges[0], -math.inf)
