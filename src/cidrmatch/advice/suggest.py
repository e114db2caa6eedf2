"""The best list for a key: the few entries that admit its observed addresses, and as few others as possible.

    observed         192.0.2.250 (1 request)   203.0.113.4 (120)   203.0.113.6 (30)   2001:db8::9 (88)

    3 entries        192.0.2.250/32            203.0.113.4/30                         2001:db8::/64      2 extra
    leave_out=0.01                             203.0.113.4/32      203.0.113.6/32     2001:db8::/64      none

What a list is measured by, the first first:

    1. what must hold    the policy accepts it, `must_exclude` is outside, `must_include` is inside
    2. requests          as few as possible are left out; with `leave_out`, any number within the budget is as good
    3. extra             how many units it admits beyond the observed: addresses of IPv4, and /64s of IPv6, added up
    4. entries           the fewer the better
    5. ties              the same addresses give the same list, in whatever order they come

Without `leave_out`, the list is the best one by this order, among all lists that the policy accepts.  It is found by
dynamic programming on the tree of common prefixes, in the compiled room `cover`.

With `leave_out`, to choose whom to leave out is a knapsack, and nobody knows a quick way to solve that exactly.  The
list is then found along the border of the trade-off between requests and extra, with three guarantees:

    - It leaves out no more than the budget, unless even the list that leaves out the fewest has to.
    - It has no more extra than any corner of the border within the budget.
    - No list within the budget has less extra than `at_least`.  If `extra` is that number, no list is better.

    extra
      | *                         * the corners of the border are found first
      |  .  x                     x then lists between two corners that use up the budget
      |   .                       . the border between two corners is `at_least`
      |     * .  .  .  .  .  *
      +---------------|-------- requests that are left out
                   budget

An IPv6 address counts as its /64, because a client may use any address in there.  A policy that accepts only longer
prefixes is served, too; then each prefix of that length is a unit.

The policy is asked about every list at the end, and a list that it does not accept is never given.  A list without
entries is never given either, because a key without entries may be open.
Cost: a second for a million addresses and 20 entries; with `leave_out`, some twenty rounds of a tenth of a second more.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import fractions
import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NoReturn, TypeAlias

from .._core import Entry, Observed, Prefix, aggregate, check_is_list, parse_prefix, without_covered
from ..errors import PolicyError, brief, quote
from ..policy.checks import check_number
from ..policy.policy import Policy, Report
from ..policy.presets import check_policy
from ..policy.reach import NEVER, reach_of
from ..policy.validation import PRIVATE

if TYPE_CHECKING:
    from .._core import PrefixLike

__all__ = ["Greedy", "LeftOut", "Suggestion", "suggest"]

Reason: TypeAlias = Literal["outlier", "no_room", "excluded", "family", "private", "never"]

REASONS: Final[dict[Reason, str]] = {
    "outlier": "left out because that makes the list narrower",
    "no_room": "no room: the policy does not accept a broader entry, or one more",
    "excluded": "in an entry that would also have what must be excluded",
    "family": "the policy does not accept its family",
    "private": "the policy refuses private addresses",
    "never": "no client ever has such an address",
}
"""Why an observed address is not on the list."""

_WIDTHS: Final = (32, 128)
_UNITS: Final = (32, 64)
_FAMILIES: Final = (4, 6)
_EVERYTHING: Final = {4: Prefix("0.0.0.0/0"), 6: Prefix("::/0")}
_NO_LIMIT: Final = 2**31 - 1
_REQUEST_FIRST: Final = 1 << 65
"""What a request costs so that it counts before all units of both families together."""
_NO_BUDGET: Final = 2**64 - 1
_ROUNDS: Final = 10
"""How often the leaves are bisected, to use what is left of a budget."""

_Pair: TypeAlias = tuple[int, int]
_Given: TypeAlias = "Mapping[PrefixLike, int] | Iterable[PrefixLike]"
_Outside: TypeAlias = tuple[Prefix, int, Prefix, bool]
"""What cannot be covered: a prefix, its requests, the bar around it, whether it must be included."""


# -- Answers ------------------------------------------------------------------


class LeftOut(NamedTuple):
    """Name observed addresses that the list does not admit.

    Attributes:
        prefix: the addresses; neighbours may be one prefix, and an IPv6 address is its /64.
        requests: how many came from there.
        reason: why, as a stable name; `REASONS` has the words.
    """

    prefix: Prefix
    requests: int
    reason: Reason

    def to_dict(self) -> dict[str, object]:
        """Give the fields as plain values, for JSON."""
        return {"prefix": str(self.prefix), "requests": self.requests, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Greedy:
    """Hold the greedy list: the two entries whose common prefix adds the least are joined, until there are few enough.

    If entries that cannot be joined are still too many, the ones with the most requests stay.

    Attributes:
        entries: the entries, as the policy shows them.
        admitted: how many units it admits.
        extra: how many of them were not observed.
        left_out: the requests that it leaves out.
    """

    entries: tuple[str, ...]
    admitted: int
    extra: int
    left_out: int

    def __repr__(self) -> str:
        return f"<Greedy: {len(self.entries):,} entries, {self.extra:,} extra, {self.left_out:,} requests left out>"

    def to_dict(self) -> dict[str, object]:
        """Give the fields as plain values, for JSON."""
        return {
            "entries": list(self.entries),
            "admitted": self.admitted,
            "extra": self.extra,
            "left_out_requests": self.left_out,
        }


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Hold the best list for some observed addresses.

    A unit is an address of IPv4, or a /64 of IPv6.

    Attributes:
        entries: the entries in canonical order, as the policy shows and accepts them.
        admitted_by_family: how many units the list admits, of IPv4 and of IPv6.
        extra_by_family: how many of them were neither observed nor to be included, of IPv4 and of IPv6.
        at_least: no list within the limits and the budget has fewer extra units.
        requests: how many requests were observed.  A prefix that is too broad for one entry counts as one or more for
            each of its pieces.
        left_out: the observed addresses that the list does not admit, those with the most requests first.
        greedy: the greedy list, which leaves nobody out for being an outlier.
        report: what the policy says about the list; it is accepted, perhaps with warnings.
    """

    entries: tuple[str, ...]
    admitted_by_family: tuple[int, int]
    extra_by_family: tuple[int, int]
    at_least: int
    requests: int
    left_out: tuple[LeftOut, ...]
    greedy: Greedy
    report: Report

    @property
    def admitted(self) -> int:
        """How many units the list admits, both families added up."""
        return sum(self.admitted_by_family)

    @property
    def extra(self) -> int:
        """How many admitted units were neither observed nor to be included, both families added up."""
        return sum(self.extra_by_family)

    @property
    def left_out_requests(self) -> int:
        """How many requests came from addresses that the list does not admit."""
        return sum(one.requests for one in self.left_out)

    @property
    def has_all(self) -> bool:
        """Whether the list admits everybody but the outliers that the caller allowed to leave out."""
        return all(one.reason == "outlier" for one in self.left_out)

    def __bool__(self) -> NoReturn:
        raise TypeError("a Suggestion has no truth value; ask its .has_all, or its .entries")

    def __repr__(self) -> str:
        left = f"{self.left_out_requests:,} of {self.requests:,} requests left out"
        name = brief(self.report.policy.name)
        return f"<Suggestion for {name}: {len(self.entries):,} entries, {self.extra:,} extra, {left}>"

    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for JSON."""
        return {
            "policy": self.report.policy.name,
            "entries": list(self.entries),
            "admitted": dict(zip(("ipv4", "ipv6_64s"), self.admitted_by_family, strict=True)),
            "extra": dict(zip(("ipv4", "ipv6_64s"), self.extra_by_family, strict=True)),
            "extra_at_least": self.at_least,
            "requests": self.requests,
            "left_out_requests": self.left_out_requests,
            "left_out": [one.to_dict() for one in self.left_out],
            "greedy": self.greedy.to_dict(),
            "warnings": [problem.to_dict() for problem in self.report.warnings],
        }


# -- The question ---------------------------------------------------------------


def suggest(
    observed: Mapping[PrefixLike, int] | Iterable[PrefixLike],
    /,
    policy: Policy | None = None,
    *,
    max_entries: int | None = None,
    leave_out: float | fractions.Fraction = 0,
    must_include: Iterable[PrefixLike] = (),
    must_exclude: Iterable[PrefixLike] = (),
) -> Suggestion:
    """Find the best list for observed addresses within a policy.

    Args:
        observed: addresses or prefixes: a mapping to their requests, whole numbers from 1 on; or an iterable, in which
            each item is one request.  A prefix stands for all its addresses.
        policy: what the product accepts; None for no limits.
        max_entries: at most this many entries, if the policy accepts as many.
        leave_out: the share of requests that may be left out if that makes the list narrower, from 0 to less than 1.
            Requests from addresses that no accepted list could have do not count.
        must_include: addresses or prefixes that the list has to admit.
        must_exclude: addresses or prefixes of which the list may admit nothing.
    Returns:
        `Suggestion`.
    Raises:
        InvalidPrefix, TypeError: something is no address and no prefix.
        ValueError: the wishes contradict each other, or the policy; or there is nobody to list.
    Cost: a sort, and n * K steps for n addresses and K entries; a second for a million addresses and 20 entries.
        Then some microseconds for each entry, and a microsecond for each address that is left out.
    Threads: safe, keeps no state.
    Source: B17 to B19 for the limits that `presets.bitbybit` has.

    >>> from cidrmatch import presets
    >>> found = suggest({"203.0.113.4": 12, "203.0.113.6": 3, "192.0.2.7": 90}, presets.bitbybit(), max_entries=2)
    >>> found.entries, found.extra
    (('192.0.2.7/32', '203.0.113.4/30'), 2)
    """
    rules = Policy() if policy is None else check_policy(policy)
    asked = _Asked(
        rules,
        _limit(rules, max_entries),
        _share(leave_out),
        _parsed("must_include", must_include),
        _parsed("must_exclude", must_exclude),
    )
    _refuse_contradiction(asked)
    if not isinstance(observed, Mapping):
        check_is_list(observed, "observed")
        observed = observed if rules.allow_any else list(observed)  # it may be read again
    shortest = _shortest(rules)
    while True:
        found = _answer(asked, observed, shortest)
        narrower = shortest if rules.allow_any else _without_everyone(found, shortest)
        if narrower == shortest:
            return found
        shortest = narrower


class _Asked(NamedTuple):
    """Hold what the caller wants, after all checks of single values."""

    policy: Policy
    most: int
    share: fractions.Fraction
    include: list[Prefix]
    exclude: list[Prefix]


def _limit(policy: Policy, max_entries: int | None) -> int:
    """How many entries a list may have."""
    if max_entries is not None:
        check_number("max_entries", max_entries, 1, None)
    limits = [limit for limit in (max_entries, policy.max_entries, _NO_LIMIT) if limit is not None]
    if min(limits) < max(1, policy.min_entries):
        least = max(1, policy.min_entries)
        raise ValueError(
            f"the policy {quote(policy.name)} and max_entries leave no list: {least} to {min(limits)} entries"
        )
    return min(limits)


def _share(leave_out: float | fractions.Fraction) -> fractions.Fraction:
    """The share of requests that may be left out, exactly as its decimal digits say."""
    if isinstance(leave_out, bool) or not isinstance(leave_out, (int, float, fractions.Fraction)):
        raise TypeError(f"leave_out is a number, not {type(leave_out).__name__}")
    if not 0 <= leave_out < 1:
        raise ValueError(f"leave_out is a share from 0 to less than 1, such as 0.01 for 1 %, not {leave_out}")
    return fractions.Fraction(str(leave_out))


def _parsed(noun: str, prefixes: Iterable[PrefixLike]) -> list[Prefix]:
    check_is_list(prefixes, noun)
    return [parse_prefix(prefix) for prefix in prefixes]


def _shortest(policy: Policy) -> _Pair:
    """The least length of an entry, for IPv4 and IPv6."""
    if "cidr" not in policy.kinds:
        return _WIDTHS
    least = 0 if policy.allow_any else 1
    return max(policy.min_prefix_v4 or 0, least), max(policy.min_prefix_v6 or 0, least)


def _without_everyone(found: Suggestion, shortest: _Pair) -> _Pair:
    """Refuse the broadest entries of a family of which the list would allow every address (C24)."""
    reach = reach_of(map(Entry, found.entries))
    four, six = (
        least + 1 if reach.is_everyone(family) else least for least, family in zip(shortest, _FAMILIES, strict=True)
    )
    return four, six


# -- Contradictions -------------------------------------------------------------


def _refuse_contradiction(asked: _Asked) -> None:
    for include in asked.include:
        exclude = _first_touching(asked.exclude, include)
        if exclude is not None:
            raise ValueError(
                f"must_include {include} and must_exclude {exclude} contradict each other: they share addresses"
            )


def _first_touching(prefixes: Iterable[Prefix], other: Prefix) -> Prefix | None:
    return next((prefix for prefix in prefixes if prefix.covers(other) or other.covers(prefix)), None)


def _refuse_unlistable(asked: _Asked, bars: dict[Prefix, Reason], outside: list[_Outside]) -> None:
    """Raise if something that must be included lies in no entry that may be."""
    for prefix, _, bar, is_required in outside:
        if not is_required:
            continue
        include = _first_touching(asked.include, prefix)
        if bar in bars:
            raise ValueError(f"must_include {include} cannot be on the list: {REASONS[bars[bar]]}")
        exclude = _first_touching(asked.exclude, bar)
        raise ValueError(
            f"must_include {include} and must_exclude {exclude} contradict each other: the narrowest possible entry,"
            f" {prefix}, has both"
        )


# -- The answer -----------------------------------------------------------------


def _bars(policy: Policy) -> dict[Prefix, Reason]:
    """Find the disjoint prefixes in which the policy refuses every entry."""
    bars: dict[Prefix, Reason] = dict.fromkeys(map(Prefix, NEVER), "never")
    if policy.private == "reject":
        bars |= dict.fromkeys(PRIVATE, "private")
    bars = {prefix: reason for prefix, reason in bars.items() if prefix.family in policy.families}
    bars.update((_EVERYTHING[family], "family") for family in _FAMILIES if family not in policy.families)
    return bars


def _answer(asked: _Asked, observed: _Given, shortest: _Pair) -> Suggestion:
    """Find the best list with no entry shorter than that, and ask the policy what it says."""
    held = Observed((_UNITS[0], max(_UNITS[1], shortest[1])), shortest)
    if isinstance(observed, Mapping):
        held.add_mapping(observed)
    else:
        held.add_each(observed)
    held.add(asked.include)
    bars = _bars(asked.policy)
    outside = held.settle(list(bars), aggregate(asked.exclude), aggregate(asked.include), asked.most)
    requests = held.requests + sum(count for _, count, _, _ in outside)
    _refuse_unlistable(asked, bars, outside)
    best, at_least, budget = _best(asked, held)
    if not best.entries:
        raise ValueError(_nobody(bars, outside))
    left_out = [
        *(
            LeftOut(prefix, count, bars.get(bar, "excluded"))
            for prefix, count, bar, _ in without_covered(outside, best.entries)
        ),
        *(
            LeftOut(*leaf, "outlier" if best.requests <= budget else "no_room")
            for leaf in held.leaves_of(best.left_out)
        ),
    ]
    left_out.sort(key=lambda one: (-one.requests, one.prefix))
    entries = tuple(_written(asked.policy, prefix) for prefix in _halved(asked.policy, best.entries))
    report = asked.policy.validate(entries)
    if not report.ok and {problem.code for problem in report.errors} != {"no_restriction"}:
        raise PolicyError(report)
    return Suggestion(
        entries,
        _units(best.entries),
        (best.extra4, best.extra6),
        at_least,
        requests,
        tuple(left_out),
        _greedy(asked, held, outside, requests),
        report,
    )


def _nobody(bars: dict[Prefix, Reason], outside: list[_Outside]) -> str:
    """Say why there is no list."""
    if not outside:
        return "there is nobody to list: no address was observed, and a list without entries may let everybody pass"
    prefix, _, bar, _ = outside[0]
    why = REASONS[bars.get(bar, "excluded")]
    return f"there is nobody to list: {prefix} and all other observed addresses cannot be on the list ({why})"


# -- The best cover -------------------------------------------------------------


class _Cover(NamedTuple):
    """Hold what `Observed.solve` finds."""

    cost: int
    entries: list[Prefix]
    left_out: list[int]
    requests: int
    extra4: int
    extra6: int

    @property
    def extra(self) -> int:
        return self.extra4 + self.extra6


def _best(asked: _Asked, held: Observed) -> tuple[_Cover, int, int]:
    """Find the best cover, the least number of extra units that any cover could have, and the budget."""
    budget = int(held.requests * asked.share)
    best = held.solve(_REQUEST_FIRST, 1, _NO_BUDGET)
    if best is None:
        raise ValueError(
            f"must_include does not fit: the list has at most {asked.most:,} entries, each within the limits of the"
            f" policy {quote(asked.policy.name)} and without what must be excluded"
        )
    near = _Cover(*best)
    if budget == 0 or near.requests > budget or near.extra == 0:
        return near, near.extra, budget
    return *_trade(held, near, budget), budget


def _trade(held: Observed, near: _Cover, budget: int) -> tuple[_Cover, int]:
    """Walk along the lower border of requests left out and extra units, to the last corner within the budget.

    near *  .                       the corner within the budget that was found so far
                .
            found *     .           a cover below the line between both is a new corner
                            * far   the corner beyond the budget that was found so far
    """
    far = _solved(held, 1, held.requests + 1, budget)  # the fewest extra units, whoever is left out
    if far.requests <= budget:
        return far, far.extra
    while near.extra > far.extra:
        per_request, per_unit = near.extra - far.extra, far.requests - near.requests
        found = _solved(held, per_request, per_unit, budget)
        if found.cost == per_request * near.requests + per_unit * near.extra:
            # Every cover costs at least this, so one within the budget has at least so many units.
            at_least = -((per_request * budget - found.cost) // per_unit)
            return _filled(held, near, (per_request, per_unit, budget), at_least), at_least
        if found.requests <= budget:
            near = found
        else:
            far = found
    return near, near.extra


def _filled(held: Observed, near: _Cover, factors: tuple[int, int, int], at_least: int) -> _Cover:
    """Use what is left of the budget between two corners: leave out more of the first leaves, and none of the others.

    Both corners cost the same.  With a little less for a request, the cover of the least cost leaves out as much as it
    can.  Bisection finds up to which leaf it may, as exactly as a thousandth of the leaves.
    """
    per_request, per_unit, budget = factors
    finer = held.requests + 1
    units = 2**32 + (2**64 if held.leaves_of([len(held) - 1])[0][0].family == _FAMILIES[1] else 0)
    if per_unit * finer >= 2**64 or finer * (per_unit * units + per_request * held.requests) >= 2**126:
        return near  # a cost would not fit
    held.set_free(near.left_out)
    low, high = 0, len(held)
    for _ in range(_ROUNDS):
        if high - low < 2 or near.extra == at_least:
            break
        middle = (low + high) // 2
        found = _solved(held, per_request * finer - 1, per_unit * finer, budget, middle)
        if found.requests > budget:
            high = middle
            continue
        low = middle
        near = min(near, found, key=lambda one: (one.extra, one.requests, len(one.entries)))
    return near


def _solved(held: Observed, per_request: int, per_unit: int, budget: int, fixed_from: int = _NO_LIMIT) -> _Cover:
    """Solve with other factors; there is a cover, because there was one before."""
    found = held.solve(per_request, per_unit, budget, fixed_from)
    assert found is not None  # noqa: S101
    return _Cover(*found)


def _greedy(asked: _Asked, held: Observed, outside: list[_Outside], requests: int) -> Greedy:
    """Find the greedy list.

    If it has too many entries, then no two of them can be joined.  So no list needs fewer entries for what must be
    included, and these entries have room.
    """
    rows = held.greedy()
    kept = heapq.nsmallest(asked.most, rows, key=lambda row: (not row[0], -row[1], row[2]))
    kept.sort(key=lambda row: row[2])
    prefixes = [prefix for _, _, prefix, _ in kept]
    never = sum(row[1] for row in outside) - sum(row[1] for row in without_covered(outside, prefixes))
    return Greedy(
        tuple(_written(asked.policy, prefix) for prefix in prefixes),
        sum(_units(prefixes)),
        sum(row[3] for row in kept),
        requests - never - sum(row[1] for row in kept),
    )


# -- Entries --------------------------------------------------------------------


def _units(prefixes: Iterable[Prefix]) -> _Pair:
    """Count the units of disjoint prefixes, for IPv4 and IPv6."""
    counts = [0, 0]
    for prefix in prefixes:
        at = prefix.family == 6
        counts[at] += 1 << max(0, _UNITS[at] - prefix.length)
    return counts[0], counts[1]


def _written(policy: Policy, prefix: Prefix) -> str:
    """Write an entry in the form that the policy shows; if it does not accept this form, in the other."""
    shown = policy.canonical(prefix)
    if not prefix.is_address or ("cidr" if "/" in shown else "address") in policy.kinds:
        return shown
    return prefix.address if "/" in shown else str(prefix)


def _halved(policy: Policy, entries: list[Prefix]) -> list[Prefix]:
    """Halve the broadest entries until there are as many as the policy asks for at least."""
    if len(entries) >= policy.min_entries:
        return entries
    alone = replace(policy, min_entries=0)
    found = list(entries)
    while len(found) < policy.min_entries:
        for broadest in sorted(found, key=lambda prefix: (prefix.length - _WIDTHS[prefix.family == 6], prefix)):
            halves = _halves(broadest)
            if halves and alone.validate([_written(policy, half) for half in halves]).ok:
                break
        else:
            return found  # the policy will say that these are too few
        found.remove(broadest)
        found += halves
    return sorted(found)


def _halves(prefix: Prefix) -> list[Prefix]:
    return [] if prefix.is_address else [parse_prefix(half) for half in ip_network(str(prefix)).subnets()]
