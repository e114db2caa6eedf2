"""What is refused, whoever publishes it: everyone, nobody, too broad, too much, too sudden.

    a list by itself
      empty        no entry: nobody would pass
      everyone     a whole family, by one entry or by several together
      too_broad    a prefix shorter than min_prefix4 or min_prefix6
      too_much     more than max_share of a family

    a list beside the last good one, each family by itself
      sudden       before   [================]                  16 addresses
                   after        [============|====]
                            lost              gained

Addresses are compared by what comes and what goes, not by the sums: a list that is exchanged for another one of the
same size has lost everything.  Entries are compared by their numbers, because the same addresses may be written in
other pieces.  A share of IPv6 is one of 2000::/3, from which all public addresses of today come.

Small lists have a slack, or one more office of three would be a sudden growth: a few entries, and addresses of about a
/24 or of 256 /64.  The slack never lets more than half of a family go, and a family never goes as a whole.

A person may accept what is sudden.  Nobody can accept the rest; who wants it writes other bounds.

Threads: safe, keeps no state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import FeedRefused

if TYPE_CHECKING:
    from ..._core import AllowList, Prefix
    from ...advice.diff import ListDiff
    from .settings import Bounds

__all__ = ["Size", "check_alone", "check_step", "size_of"]

_BITS: Final = {4: 32, 6: 128}
_SHARED: Final = {4: 1 << 32, 6: 1 << 125}
"""Of how many addresses a share is a part."""
_SLACK_ENTRIES: Final = 5
_SLACK_ADDRESSES: Final = {4: 256, 6: 256 << 64}
_FAMILIES: Final = (4, 6)


@dataclass(frozen=True, slots=True)
class Size:
    """Hold how many entries and how many addresses of one family a list has."""

    entries: int
    addresses: int


def size_of(allow: AllowList) -> dict[int, Size]:
    """Give the size of a list for each family."""
    entries = {4: 0, 6: 0}
    for entry in allow:
        entries[entry.prefix.family] += 1
    addresses = _addresses(allow.aggregate())
    return {family: Size(entries[family], addresses[family]) for family in _FAMILIES}


def _addresses(prefixes: Iterable[Prefix]) -> dict[int, int]:
    """Count the addresses of prefixes that do not overlap."""
    found = {4: 0, 6: 0}
    for prefix in prefixes:
        found[prefix.family] += 1 << (_BITS[prefix.family] - prefix.length)
    return found


def check_alone(allow: AllowList, bounds: Bounds) -> None:
    """Refuse a list that is everyone, nobody, or too broad.

    Raises:
        FeedRefused: with the code.
    """
    if not len(allow):
        raise FeedRefused("empty", "the list has no entries")
    broadest = {4: bounds.min_prefix4, 6: bounds.min_prefix6}
    for entry in allow:
        prefix = entry.prefix
        if prefix.length == 0:
            raise FeedRefused("everyone", f"the list has {prefix}, which is everyone")
        if prefix.length < broadest[prefix.family]:
            bound = f"min_prefix{prefix.family} is {broadest[prefix.family]}"
            raise FeedRefused("too_broad", f"the list has {prefix}, and {bound}")
    for family, covered in _addresses(allow.aggregate()).items():
        if covered >= 1 << _BITS[family]:
            raise FeedRefused("everyone", f"the entries together are every IPv{family} address")
        if covered > bounds.max_share * _SHARED[family]:
            share = covered / _SHARED[family]
            raise FeedRefused(
                "too_much", f"the list covers {share:.1%} of IPv{family}; max_share is {bounds.max_share:g}"
            )


def check_step(before: AllowList, after: AllowList, found: ListDiff, bounds: Bounds) -> None:
    """Refuse a list that differs too much from the last good one.

    Args:
        before: the last good list.
        after: the new one.
        found: their comparison.
        bounds: how much may change at once.
    Raises:
        FeedRefused: with the code "sudden", and all that is.
    """
    was, now = size_of(before), size_of(after)
    gained, lost = _addresses(found.gained), _addresses(found.lost)
    told: list[str] = []
    for family in _FAMILIES:
        old, new = was[family], now[family]
        if old.entries and not new.entries:
            told.append(f"all {old.entries:,} IPv{family} entries are gone")
            continue
        slack = _SLACK_ADDRESSES[family]
        addresses = _Step(f"IPv{family} addresses", old.addresses, gained[family], lost[family], slack)
        grown, shrunk = max(0, new.entries - old.entries), max(0, old.entries - new.entries)
        entries = _Step(f"IPv{family} entries", old.entries, grown, shrunk, _SLACK_ENTRIES)
        told += [*addresses.faults(bounds), *entries.faults(bounds)]
    if told:
        raise FeedRefused("sudden", "; ".join(told))


@dataclass(frozen=True, slots=True)
class _Step:
    """Hold how something of one family changes: how much there was, how much comes and how much goes."""

    noun: str
    before: int
    more: int
    less: int
    slack: int

    def faults(self, bounds: Bounds) -> Iterable[str]:
        if self.more > max(bounds.max_growth * self.before, self.slack):
            yield f"{self.more:,} more {self.noun} than {self.before:,}; max_growth is {bounds.max_growth:g}"
        if self.less > max(bounds.max_shrink * self.before, min(self.slack, self.before / 2)):
            yield f"{self.less:,} of {self.before:,} {self.noun} are gone; max_shrink is {bounds.max_shrink:g}"
