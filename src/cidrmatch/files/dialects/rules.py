"""Which of these rules allow?  Two questions that several dialects ask.

**Rules in an order**, of which the first that covers an address decides (nginx, iptables):

    allow 10.0.0.0/8      deny 10.1.0.0/16      allow 10.0.0.0/8
    deny all              allow 10.0.0.0/8      deny all
                          deny all              allow 192.0.2.0/24
    a list                refused: a hole       refused: the last line never counts, and looks as if it did

**Prefixes with values**, of which the longest decides (nginx `geo`, HAProxy maps):

    10.0.0.0/8 1          10.0.0.0/8 1          10.0.0.0/8 office
    192.0.2.0/24 1        10.1.0.0/16 0         192.0.2.0/24 partner
    a list                refused: a hole       refused, or the list of the value that the user picks

A list of prefixes cannot say "but not these", so whatever carves addresses out is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..._core import AllowList, Prefix, parse_prefix
from ...errors import InvalidPrefix, quote
from .dialect import ALL_PREFIXES, Source, everyone, refuse

if TYPE_CHECKING:
    from ..items import Item, Mark

__all__ = ["OrderedRule", "ValuedPrefix", "allowed_by_order", "allowed_by_value", "chosen_sets"]


class OrderedRule(NamedTuple):
    """Hold one rule of several in an order; a prefix of None means every address."""

    mark: Mark
    allows: bool
    prefix: str | None
    label: str | None = None


def allowed_by_order(
    source: Source, rules: Sequence[OrderedRule], deny_all: str, prefixes: Sequence[str] = ALL_PREFIXES
) -> Iterator[Item]:
    """Yield what rules in an order allow.

    Args:
        deny_all: how the dialect writes "deny everyone"; the refusals say it.
        prefixes: what every address is to the dialect.
    Raises:
        ListFileError: a denial stands before an allowance, or nothing denies the rest.
    """
    last = next((index for index, rule in enumerate(rules) if rule.prefix is None), None)
    if last is None:
        refuse(source, None, f"nothing denies the other addresses, so they pass; end it with {quote(deny_all)}")
    for rule in rules[last + 1 :]:
        if rule.allows != rules[last].allows:
            refuse(source, rule.mark, "never counts: a rule above it is for every address; move it up or remove it")
    _refuse_holes(source, rules[: last + 1])
    for rule in rules[: last + 1]:
        if rule.allows and rule.prefix is not None:
            yield rule.mark, rule.prefix, rule.label
        elif rule.allows:
            yield from everyone(rule.mark, rule.label, prefixes)


def _refuse_holes(source: Source, rules: Sequence[OrderedRule]) -> None:
    """Refuse a denial of some addresses above an allowance of others, because they may be the same."""
    last_allowance = max((index for index, rule in enumerate(rules) if rule.allows), default=-1)
    for rule in rules[: max(last_allowance, 0)]:
        if not rule.allows:
            refuse(
                source,
                rule.mark,
                f"denies {quote(rule.prefix or 'all')} before something is allowed, and a list has no holes; "
                "subtract these addresses from the prefixes that are allowed, and remove the line",
            )


class ValuedPrefix(NamedTuple):
    """Hold one prefix with its value."""

    mark: Mark
    prefix: str
    value: str
    label: str | None = None


def allowed_by_value(source: Source, rows: Sequence[ValuedPrefix], default: str) -> Iterator[Item]:
    """Yield the prefixes with the value that means "allowed": the picked one, else 1 if only 1 and 0 are there.

    Args:
        default: the value of an address that no prefix covers.
    Raises:
        ListFileError: it is not clear which value is meant; addresses in no prefix have it; or another value carves
            addresses out.
    """
    picked = "1" if source.pick is None else source.pick
    values = sorted({row.value for row in rows})
    if source.pick is None and not set(values) <= {"0", "1"}:
        refuse(source, None, f"there are the values {_several(values)}; name the one that means allowed (--pick VALUE)")
    if default == picked:
        refuse(source, None, f"addresses in no prefix have the value {quote(picked)}, too, so the prefixes are no list")
    if source.pick is not None and picked not in values and rows:
        refuse(source, None, f"no prefix has the value {quote(picked)}; there are {_several(values)}")
    chosen = [row for row in rows if row.value == picked]
    _refuse_carved(source, chosen, [row for row in rows if row.value != picked])
    for row in chosen:
        yield row.mark, row.prefix, row.label


def _refuse_carved(source: Source, chosen: Sequence[ValuedPrefix], others: Sequence[ValuedPrefix]) -> None:
    if not others:
        return
    allow = AllowList(_parsed(source, row) for row in chosen)
    for row in others:
        if allow.covers(_parsed(source, row)):
            refuse(
                source,
                row.mark,
                f"{quote(row.prefix)} has the value {quote(row.value)} inside a prefix with the picked value, "
                "and a list of prefixes has no holes; subtract it from that prefix",
            )


def _parsed(source: Source, row: ValuedPrefix) -> Prefix:
    try:
        return parse_prefix(row.prefix)
    except InvalidPrefix as error:
        refuse(source, row.mark, str(error))


def _several(values: Sequence[str]) -> str:
    shown = ", ".join(quote(value) for value in values[:5])
    return f"{shown} and {len(values) - 5} more" if len(values) > 5 else shown


# -- Sets with names ----------------------------------------------------------


def chosen_sets(source: Source, families: Mapping[str, int | None]) -> list[str]:
    """Choose the set that the user picked, or the one list that there is: a set, or one of each family.

    Args:
        families: the family of each set by its name.
    Raises:
        ListFileError: there is no such set; or several that do not belong together by their names, such as
            office4 and office6, so one may be a list of whom to deny.
    """
    if source.pick is not None and source.pick in families:
        return [source.pick]
    if source.pick is not None:
        pair = [name for family in (4, 6) if families.get(name := f"{source.pick}{family}") == family]
        return pair or refuse(source, None, f"there is no set {quote(source.pick)}; there are {_several([*families])}")
    if len(families) > 1 and not _is_pair(families):
        refuse(source, None, f"there are several sets, such as {_several([*families])}; name one (--pick SET)")
    return list(families)


def _is_pair(families: Mapping[str, int | None]) -> bool:
    """Tell whether there is one set of IPv4 and one of IPv6, whose names differ only in what they say of the family."""
    names = {family: name for name, family in families.items()}
    if len(families) != 2 or set(names) != {4, 6}:
        return False
    return _stem(names[4], "4") == _stem(names[6], "6")


def _stem(name: str, digit: str) -> str:
    return re.sub(rf"(?:[-_]?(?:ip)?v?{digit})$", "", name)
