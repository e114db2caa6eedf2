"""Spans: dash ranges and wildcards, which become prefixes where the user asks for it.

    192.0.2.10-192.0.2.20     192.0.2.10/31, 192.0.2.12/30, 192.0.2.16/30, 192.0.2.20
    192.0.2.10 - 20           the same: a short last address, and white space around the dash
    10.0.*   10.0.*.*         10.0.0.0/16
    2001:db8:: - 2001:db8::3  2001:db8::/126

A span never becomes prefixes by itself, because a product may refuse ranges, and because one slip in a range lets in
more addresses than one in a prefix.  These spans are never split, and stay as they are for `parse_entry` to refuse: a
range that runs backwards or has ends of two families, a wildcard before a known octet, and every span that would be all
addresses of a family.

A range of IPv6 that has ::ffff:0:0/96 as a piece of its own is not split either: that piece would mean all of IPv4.
An address that is a piece is written without a length, because some products take only those.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import TYPE_CHECKING, Final

from .._core import parse_address, parse_prefix
from ..errors import InvalidAddress, InvalidPrefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .items import Item

__all__ = ["is_span", "split_items", "split_span"]

_RANGE: Final = re.compile(r"([0-9A-Fa-f:.]+)[ \t]*-[ \t]*([0-9A-Fa-f:.]+)")
_SHORT: Final = re.compile(r"0|[1-9][0-9]{0,2}")
_WILD: Final = re.compile(r"((?:[0-9]+\.){1,3})\*(?:\.\*)*")
_MAPPED: Final = ip_network("::ffff:0:0/96")


def split_span(text: str) -> list[str]:
    """Write a dash range or a wildcard as the fewest prefixes.

    Args:
        text: a range, a wildcard, or a prefix, which is given back as it is.
    Returns:
        Texts that `parse_prefix` takes, in their order.
    Raises:
        InvalidPrefix: it is none of these, or a span that is never split.
    Threads: safe, keeps no state.

    >>> split_span("192.0.2.10-13")
    ['192.0.2.10/31', '192.0.2.12/31']
    >>> split_span("10.0.*.*")
    ['10.0.0.0/16']
    """
    pieces = _pieces_of(text)
    if pieces is None:
        parse_prefix(text)  # which says why, if it is no prefix
        return [text]
    return pieces


def is_span(text: str) -> bool:
    """Return whether a text is a range or a wildcard that `split_span` splits."""
    return _pieces_of(text) is not None


def split_items(items: Iterable[Item]) -> Iterator[Item]:
    """Split the spans among items; each piece has the mark and the label of its item."""
    for mark, prefix, label in items:
        pieces = _pieces_of(prefix) if "-" in prefix or "*" in prefix else None
        if pieces is None:
            yield mark, prefix, label
        else:
            yield from ((mark, piece, label) for piece in pieces)


def _pieces_of(text: str) -> list[str] | None:
    """Split a span; None if the text is none, or one that is never split."""
    if found := _RANGE.fullmatch(text):
        return _pieces_of_range(found[1], found[2])
    if found := _WILD.fullmatch(text):
        octets = found[1].split(".")[:-1]
        if text.count(".") <= 3:
            prefix = ".".join(octets + ["0"] * (4 - len(octets))) + f"/{8 * len(octets)}"
            return [prefix] if _is_prefix(prefix) else None
    return None


def _pieces_of_range(first: str, last: str) -> list[str] | None:
    if "." in first and _SHORT.fullmatch(last):
        last = f"{first.rpartition('.')[0]}.{last}"
    try:
        ends = ip_address(parse_address(first)), ip_address(parse_address(last))
        pieces: list[IPv4Network | IPv6Network] = [*summarize_address_range(*ends)]
    except (InvalidAddress, ValueError, TypeError):  # no addresses; backwards; two families
        return None
    if any(piece.prefixlen == 0 or piece == _MAPPED for piece in pieces):
        return None
    return [str(piece).removesuffix(f"/{piece.max_prefixlen}") for piece in pieces]


def _is_prefix(text: str) -> bool:
    try:
        parse_prefix(text)
    except InvalidPrefix:
        return False
    return True
