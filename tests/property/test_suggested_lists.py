"""The lists that are suggested, against all lists that there are; and the policy accepts each of them.

The universe is an IPv4 /29; or the /64s of an IPv6 /61; or four units of each family.  The first two have 677 lists,
the third has 676, so every list is looked at: whether it may be, whom it leaves out, what it has beyond the observed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from ipaddress import ip_address
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cidrmatch import AllowList, Policy, PolicyError, Prefix, presets
from cidrmatch.advice import suggest
from cidrmatch.advice.suggest import Suggestion

CASES = 10_000


class List(NamedTuple):
    """One list of a universe: a bit for each unit that it has, its entries, and the shortest length of each family."""

    units: int
    entries: int
    shortest4: int
    shortest6: int


def lists(family: int, first: int, size: int) -> list[List]:
    """Give all lists inside a prefix of `size` units, the first of which has the number `first`."""
    length = (32 if family == 4 else 64) - (size.bit_length() - 1)
    whole = List(((1 << size) - 1) << first, 1, *((length, 128) if family == 4 else (32, length)))
    if size == 1:
        return [List(0, 0, 32, 128), whole]
    return [*joined(lists(family, first, size // 2), lists(family, first + size // 2, size // 2)), whole]


def joined(these: list[List], those: list[List]) -> list[List]:
    return [
        List(a.units | b.units, a.entries + b.entries, min(a.shortest4, b.shortest4), min(a.shortest6, b.shortest6))
        for a in these
        for b in those
    ]


@cache
def universe(kind: str) -> tuple[list[str], list[List]]:
    """Give the units of a universe as texts, and all its lists."""
    four = [f"198.51.100.{unit}" for unit in range(8)]
    six = [f"2001:db8:0:{unit:x}::/64" for unit in range(8)]
    if kind == "both":
        return four[:4] + six[:4], joined(lists(4, 0, 4), lists(6, 4, 4))
    return (four, lists(4, 0, 8)) if kind == "ipv4" else (six, lists(6, 0, 8))


class Case(NamedTuple):
    """One question."""

    kind: str
    requests: dict[int, int]
    include: int
    exclude: int
    most: int
    policy: Policy
    share: Fraction

    def ask(self) -> Suggestion:
        names, _ = universe(self.kind)
        return suggest(
            {names[unit]: count for unit, count in self.requests.items()},
            self.policy,
            max_entries=self.most,
            leave_out=self.share,
            must_include=[name for unit, name in enumerate(names) if self.include >> unit & 1],
            must_exclude=[name for unit, name in enumerate(names) if self.exclude >> unit & 1],
        )

    def judged(self) -> list[tuple[int, int, int]]:
        """For each list that may be: requests left out, units beyond the observed, entries."""
        wanted = sum(1 << unit for unit in self.requests) | self.include
        least4, least6 = self.policy.min_prefix_v4 or 0, self.policy.min_prefix_v6 or 0
        return [
            (
                sum(count for unit, count in self.requests.items() if not one.units >> unit & 1),
                (one.units & ~wanted).bit_count(),
                one.entries,
            )
            for one in universe(self.kind)[1]
            if 1 <= one.entries <= self.most
            and not one.units & self.exclude
            and not self.include & ~one.units
            and one.shortest4 >= least4
            and one.shortest6 >= least6
        ]


def draw(source: random.Random) -> Case:
    """Draw a case that does not contradict itself."""
    density = source.choice([0.3, 0.6, 0.9])
    observed = [unit for unit in range(8) if source.random() < density] or [source.randrange(8)]
    exclude = sum(1 << unit for unit in range(8) if source.random() < source.choice([0, 0, 0.2]))
    include = sum(1 << unit for unit in range(8) if source.random() < source.choice([0, 0, 0.2])) & ~exclude
    return Case(
        source.choice(["ipv4", "ipv6", "both"]),
        {unit: source.choice([1, 1, 2, 5, 40]) for unit in observed},
        include,
        exclude,
        source.randint(1, 5),
        Policy(min_prefix_v4=source.choice([None, 30, 31, 32]), min_prefix_v6=source.choice([None, 62, 63, 64])),
        Fraction(source.choice([0, 0, 1, 5, 20, 50]), 100),
    )


def tried(ask: Callable[..., Suggestion], *arguments: Any, **options: Any) -> Suggestion | str:
    """Suggest, or give the reason why there is no list."""
    try:
        return ask(*arguments, **options)
    except ValueError as error:
        return str(error)


def measured(found: Suggestion) -> tuple[int, int, int]:
    return found.left_out_requests, found.extra, len(found.entries)


def check_list(case: Case, found: Suggestion) -> None:
    """Check what the answer says of itself, by asking the list."""
    names, _ = universe(case.kind)
    allow = AllowList(found.entries)
    inside = {unit for unit, name in enumerate(names) if name.partition("/")[0] in allow}
    assert found.admitted == len(inside)
    assert found.left_out_requests == sum(count for unit, count in case.requests.items() if unit not in inside)
    assert found.extra == len([unit for unit in inside if unit not in case.requests and not case.include >> unit & 1])
    assert case.policy.validate(found.entries).ok


def corners(judged: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Give the corners of the lower convex hull, by requests left out and extra, from the fewest requests on."""
    points = sorted({(requests, extra) for requests, extra, _ in judged})
    hull: list[tuple[int, int]] = []
    for point in points:
        if hull and point[1] >= hull[-1][1]:
            continue
        while len(hull) > 1 and is_above(hull[-1], hull[-2], point):
            hull.pop()
        hull.append(point)
    return hull


def is_above(middle: tuple[int, int], first: tuple[int, int], last: tuple[int, int]) -> bool:
    """Whether a point is on or above the line between two others."""
    return (middle[1] - first[1]) * (last[0] - first[0]) >= (last[1] - first[1]) * (middle[0] - first[0])


def test_B17_B18_B19_the_suggestion_is_the_best_of_all_lists() -> None:
    source = random.Random(20_260_618)
    seen = dict.fromkeys(("best", "impossible", "nobody", "traded", "forced", "best of a budget"), 0)
    for _ in range(CASES):
        case = draw(source)
        judged = case.judged()
        found = tried(case.ask)
        if isinstance(found, str):
            nobody = "nobody to list" in found
            assert nobody or "does not fit" in found
            assert not judged or (nobody and all(case.exclude >> unit & 1 for unit in case.requests))
            seen["nobody" if nobody else "impossible"] += 1
            continue
        check_list(case, found)
        best = min(judged)
        listable = sum(count for unit, count in case.requests.items() if not case.exclude >> unit & 1)
        never = sum(case.requests.values()) - listable
        budget = int(listable * case.share)
        if budget == 0 or best[0] - never > budget:
            assert measured(found) == best, case
            assert found.at_least == found.extra
            seen["forced" if best[0] > never else "best"] += 1
            continue
        # The three guarantees of `leave_out`.
        allowed = [one for one in judged if one[0] - never <= budget]
        assert found.left_out_requests - never <= budget
        assert found.extra <= min(extra for requests, extra in corners(judged) if requests - never <= budget), case
        assert found.at_least <= min(one[1] for one in allowed) <= found.extra
        seen["best of a budget"] += found.extra == min(one[1] for one in allowed)
        seen["traded"] += 1
    assert min(seen.values()) > CASES // 1000, seen
    assert seen["best of a budget"] > seen["traded"] * 0.95, seen


# -- Whatever the policy is ------------------------------------------------------

clients = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda number: str(ip_address(number))),
    st.integers(0, 255).map(lambda number: f"203.0.113.{number}"),
    st.integers(0, 2**16).map(lambda number: f"10.0.{number >> 8 & 255}.{number & 255}"),
    st.integers(0, 2**128 - 1).map(lambda number: str(ip_address(number))).filter(lambda text: ":" in text),
    st.integers(0, 2**20).map(lambda number: f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::{number & 7:x}"),
    st.sampled_from(["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "::1", "ff02::1", "fe80::1", "127.0.0.1"]),
    st.sampled_from(["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "198.51.100.0/24", "2001:db8::/40", "8.0.0.0/6"]),
)
policies = st.builds(
    Policy,
    families=st.sampled_from([frozenset((4,)), frozenset((6,)), frozenset((4, 6))]),
    kinds=st.sampled_from([frozenset(("address",)), frozenset(("cidr",)), frozenset(("address", "cidr"))]),
    min_entries=st.integers(0, 3),
    max_entries=st.one_of(st.none(), st.integers(4, 20)),
    min_prefix_v4=st.one_of(st.none(), st.integers(0, 16), st.integers(0, 32)),
    min_prefix_v6=st.one_of(st.none(), st.integers(0, 16), st.integers(0, 128)),
    duplicates=st.sampled_from(["collapse", "reject"]),
    labels=st.sampled_from(["optional", "refuse"]),
    private=st.sampled_from(["accept", "warn", "reject"]),
    allow_any=st.booleans(),
    bare_addresses=st.booleans(),
)


@example([("0.0.0.0/1", 1)], presets.bitbybit(), None, 0, [], [])
@given(
    st.lists(st.tuples(clients, st.integers(1, 100)), min_size=1, max_size=30),
    st.one_of(policies, st.sampled_from([presets.bitbybit(), presets.nomsa(), presets.unkey(), presets.pigment()])),
    st.one_of(st.none(), st.integers(1, 8)),
    st.sampled_from([0, 0.01, 0.3]),
    st.lists(clients, max_size=2),
    st.lists(clients, max_size=2),
)
def test_the_policy_accepts_every_suggestion(
    seen: list[tuple[str, int]],
    policy: Policy,
    most: int | None,
    share: float,
    include: list[str],
    exclude: list[str],
) -> None:
    observed = dict(seen)
    found = tried(
        suggest, observed, policy, max_entries=most, leave_out=share, must_include=include, must_exclude=exclude
    )
    if isinstance(found, str):
        return
    assert policy.validate(found.entries).ok
    assert 1 <= len(found.entries) <= min(most or 2**31, policy.max_entries or 2**31)
    prefixes = [Prefix(entry) for entry in found.entries]
    assert prefixes == sorted(prefixes)
    assert not any(a.covers(b) or b.covers(a) for a in prefixes for b in map(Prefix, exclude))
    allow = AllowList(found.entries)
    for one in map(Prefix, include):
        if one.is_address:
            assert one.address in allow
            assert one.address in AllowList(found.greedy.entries)
    left = [one.prefix for one in found.left_out]
    for one in map(Prefix, observed):
        if one.is_address:
            assert one.address in allow or any(other.covers(one) for other in left)
    assert not any(other.is_address and other.address in allow for other in left)
    assert found.at_least <= found.extra <= found.admitted
    # A prefix broader than any entry may be is taken in pieces, and each piece counts as a request at least.
    assert found.requests >= sum(observed.values())
    if all(Prefix(one).is_address for one in observed):
        assert found.requests == sum(observed.values())


@given(st.lists(st.tuples(clients, st.integers(1, 100)), min_size=1, max_size=30), st.randoms(), st.integers(1, 5))
def test_the_order_of_the_observed_does_not_matter(
    seen: list[tuple[str, int]], source: random.Random, most: int
) -> None:
    observed = list(dict(seen).items())
    shuffled = observed.copy()
    source.shuffle(shuffled)
    first, second = (tried(suggest, dict(each), max_entries=most, leave_out=0.1) for each in (observed, shuffled))
    assert first == second


@given(st.lists(clients, min_size=1, max_size=30), st.integers(1, 5))
def test_an_iterable_is_a_request_for_each_item_and_greedy_is_never_better(seen: list[str], most: int) -> None:
    counts = {one: seen.count(one) for one in seen}
    found = tried(suggest, iter(seen), max_entries=most)
    assert found == tried(suggest, counts, max_entries=most)
    if isinstance(found, Suggestion):
        assert (found.left_out_requests, found.extra) <= (found.greedy.left_out, found.greedy.extra)


@pytest.mark.parametrize("least", [0, 1, 2])
def test_C24_a_policy_that_refuses_everyone_gets_a_list_that_is_not_everyone(least: int) -> None:
    policy = replace(Policy(allow_any=False), min_entries=least)
    ends = ["0.0.0.1", "127.255.255.254", "128.0.0.1", "255.255.255.254"]
    found = suggest(ends, policy, max_entries=2)
    assert found.report.ok
    everyone = ["0.0.0.0/1", "128.0.0.0/1"]
    with pytest.raises(PolicyError, match="no restriction"):
        policy.accept(everyone)
