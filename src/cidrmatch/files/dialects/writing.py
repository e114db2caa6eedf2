"""Writing a list in a dialect: the whole list as that product understands it, or a refusal.

    entries --AllowList--> canonical, each prefix once
            --family-----> IPv4 or IPv6 alone, if the user says so
            --hole-------> ::/0 without ::ffff:0:0/96, for a product that takes IPv4 clients for addresses in there
            --split------> 0.0.0.0/0 as two halves, for a product without /0
            --limits-----> refused, or a warning about a quota that can be raised
            --labels-----> only harmless characters
            --write------> text

The output admits exactly the addresses of the list.  Everything that is different in it is in `warnings`.

Cost: some microseconds an entry.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ..._core import AllowList, EntryLike, Prefix
from ...errors import CidrmatchError, quote
from .dialect import Dialect, Row
from .labels import harmless
from .table import DIALECTS

__all__ = ["UnwritableList", "WrittenList", "write_list"]

_HOLE: Final = ipaddress.IPv6Network("::ffff:0:0/96")


class UnwritableList(CidrmatchError, ValueError):
    """Say why a dialect cannot hold a list, and what to do."""


@dataclass(frozen=True, slots=True)
class WrittenList:
    """Hold a list as a dialect writes it.

    Attributes:
        text: the content of the file.
        warnings: what is different there: labels that are not kept, prefixes that were split, a quota.
    """

    text: str
    warnings: tuple[str, ...] = ()


def write_list(
    entries: Iterable[EntryLike], to: str, *, name: str | None = None, family: int | None = None
) -> WrittenList:
    """Write a list as a gateway, a firewall or a cloud keeps it.

    Args:
        entries: an `AllowList`, or an iterable of what `parse_entry` takes.
        to: the name of a dialect, a key of `DIALECTS`.
        name: of the list in the file, where the dialect has one: a set, a variable, a rule.
        family: 4 or 6 to write only these entries, for a dialect that holds one family.
    Returns:
        `WrittenList`.
    Raises:
        UnwritableList: the dialect cannot hold the list; nothing is written.
        InvalidPrefix, TypeError: an entry is refused by the rules of texts.
        ValueError: there is no such dialect, the name has other characters than the product takes, or an entry has a
            condition, which no dialect holds.

    >>> print(write_list([("203.0.113.0/24", "Vienna")], "nginx").text, end="")
    allow 203.0.113.0/24; # Vienna
    deny all;
    """
    dialect = _dialect(to)
    called = _name(dialect, name)
    given = entries if isinstance(entries, AllowList) else AllowList(entries)
    rows = [Row(entry.prefix, entry.label) for entry in given]
    rows = _of_family(dialect, rows, family)
    if not rows and dialect.empty:
        raise UnwritableList(f"the list is empty, and {dialect.empty}; remove the rule instead")
    warnings = [dialect.note] if dialect.note and any(row.prefix.family == 4 for row in rows) else []
    rows = _fitting(dialect, rows, warnings)
    _check_limits(dialect, rows, warnings)
    return WrittenList(dialect.write(_labelled(dialect, rows, warnings), called), tuple(warnings))


def _dialect(to: str) -> Dialect:
    if to not in DIALECTS:
        raise ValueError(f"{quote(to)} is no format that is written; there are {', '.join(DIALECTS)}")
    return DIALECTS[to]


def _name(dialect: Dialect, name: str | None) -> str:
    if name is None:
        return dialect.default_name
    if dialect.name_pattern is None:
        raise ValueError(f"{dialect.name} has no names; leave it out")
    if not re.fullmatch(dialect.name_pattern, name, re.ASCII):
        raise ValueError(f"{quote(name)} is no name for {dialect.name}; it has the form {dialect.name_pattern}")
    return name


def _of_family(dialect: Dialect, rows: list[Row], family: int | None) -> list[Row]:
    if family not in (None, 4, 6):
        raise ValueError("family is 4 or 6")
    kept = rows if family is None else [row for row in rows if row.prefix.family == family]
    found = {row.prefix.family for row in kept}
    if dialect.only_family is not None and found - {dialect.only_family}:
        raise UnwritableList(
            f"{dialect.name} holds only IPv{dialect.only_family}, and the list has entries of IPv"
            f"{10 - dialect.only_family}; write the IPv{dialect.only_family} entries (--family {dialect.only_family}), "
            "and the others in another file"
        )
    if dialect.one_family and len(found) > 1:
        raise UnwritableList(f"{dialect.name} holds one family, and the list has both; write two files (--family 4, 6)")
    return kept


# -- Prefixes that a product does not take as they are ------------------------


def _fitting(dialect: Dialect, rows: list[Row], warnings: list[str]) -> list[Row]:
    fitting: dict[Prefix, Row] = {}
    for row in rows:
        pieces = list(_pieces(dialect, row))
        if len(pieces) > 1:
            warnings.append(f"{row.prefix} is written as {len(pieces)} prefixes, because {dialect.name} cannot hold it")
        for piece in pieces:
            fitting.setdefault(piece.prefix, piece)
    return list(fitting.values())


def _pieces(dialect: Dialect, row: Row) -> Iterator[Row]:
    """Yield the row, or the rows that mean the same addresses of clients."""
    shortest = dialect.shortest[row.prefix.family == 6]
    may_be_split = row.prefix.length < shortest or (row.prefix.family == 6 and dialect.is_mapping)
    if not may_be_split and (row.prefix.family == 4 or row.prefix.length <= dialect.longest6):
        yield row
        return
    network = ipaddress.ip_network(str(row.prefix))
    whole: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [network]
    if dialect.is_mapping and isinstance(network, ipaddress.IPv6Network) and network.supernet_of(_HOLE):
        whole = list(network.address_exclude(_HOLE))
    if row.prefix.family == 6 and row.prefix.length > dialect.longest6:
        raise UnwritableList(
            f"{row.prefix} is longer than /{dialect.longest6}, and {dialect.name} takes no such prefix; "
            "a broader one would admit others"
        )
    for one in whole:
        for piece in [one] if one.prefixlen >= shortest else one.subnets(new_prefix=shortest):
            yield Row(Prefix(piece), row.label)


def _check_limits(dialect: Dialect, rows: list[Row], warnings: list[str]) -> None:
    limit = dialect.limit
    if limit is None:
        return
    families = [[row for row in rows if row.prefix.family == family] for family in (4, 6)]
    for some in families if limit.is_of_family else [rows]:
        if len(some) <= limit.most:
            continue
        told = f"{len(some):,} prefixes are more than the {limit.most:,} of {limit.of}"
        if not limit.is_quota:
            raise UnwritableList(f"{told}; aggregate the list, or write several files")
        warnings.append(f"{told}, unless the quota was raised")


# -- Labels -------------------------------------------------------------------


def _labelled(dialect: Dialect, rows: list[Row], warnings: list[str]) -> list[Row]:
    labelled = [Row(row.prefix, harmless(row.label, dialect.labels)) for row in rows]
    lost = sum(row.label is not None and not dialect.labels.most_bytes for row in rows)
    changed = sum(row.label != kept.label for row, kept in zip(rows, labelled, strict=True)) - lost
    if lost:
        warnings.append(f"{dialect.name} keeps no labels; {lost:,} are not written")
    if changed:
        warnings.append(f"{changed:,} labels have characters that {dialect.name} does not keep, or are too long")
    return labelled
