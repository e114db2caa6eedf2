"""A set of trusted prefixes: which peers may say who the client is.

    trusted_set(["10.0.0.0/8", "2001:db8:1::/48"])     "10.0.0.7" in it --> True     "203.0.113.9" in it --> False

Whoever is in the set can name any client, so a mistake here opens every door at once.  So the set must be a list of
prefixes, must not be empty, and must not contain every possible client of a family.  The whole list is judged:
0.0.0.0/1 with 128.0.0.0/1 is the same as 0.0.0.0/0, and so is ::ffff:0:0/96.  2000::/3 is refused, too, because it is
all of public IPv6.  A caller who wants such a set has to pass `trust_everyone=True`.

Cost: a search in an `AllowList` for each question.
Threads: safe, because a set never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._core import AllowList, parse_prefix
from ..errors import quote

if TYPE_CHECKING:
    from .._core import PrefixLike

__all__ = ["UNKNOWN_PEER", "check_peer", "check_switches", "trusted_set"]

UNKNOWN_PEER = "unknown"
"""The peer of a request whose server does not say who it is.  It is no address, so that no strategy believes it; and it
is not None, which is a peer on a UNIX socket."""

_EVERYONE = {
    "0.0.0.0/0": [
        parse_prefix(text)
        for text in (
            "1.0.0.0/8", "2.0.0.0/7", "4.0.0.0/6", "8.0.0.0/5", "16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2",
            "128.0.0.0/2", "192.0.0.0/3",
        )
    ],
    "::/0": [parse_prefix("2000::/3")],
}  # fmt: skip
"""All possible clients of each family: unicast IPv4 without 0.0.0.0/8, and global unicast IPv6 (RFC 4291)."""


def trusted_set(
    prefixes: Iterable[PrefixLike], *, trust_everyone: bool = False, may_be_empty: bool = False
) -> AllowList:
    """Make the set of trusted prefixes, or refuse it.

    Args:
        prefixes: what an `AllowList` takes, without labels and conditions.
        trust_everyone: whether the set may hold every address of a family.
        may_be_empty: whether the set may be empty, because a peer without an address is trusted, such as a UNIX socket.
    Raises:
        ValueError: the set is empty, contains everybody, or (InvalidPrefix) has an entry that is no prefix.
        TypeError: one text where a list is meant, or an entry of another type.
    """
    check_switches(trust_everyone=trust_everyone)
    if isinstance(prefixes, str):
        raise TypeError(f"trusted prefixes are a list, not one text: [{quote(prefixes)}]")
    trusted = AllowList(prefixes)
    if len(trusted) == 0 and not may_be_empty:
        raise ValueError(
            "no prefix is trusted, so no header could ever be believed; PeerAddress() says that on purpose"
        )
    if not trust_everyone:
        for everyone, clients in _EVERYONE.items():
            if all(trusted.covers(prefix) for prefix in clients):
                raise ValueError(
                    f"these prefixes trust everybody ({everyone}), so every client could say that it is another; "
                    "name the proxies, or say trust_everyone=True"
                )
    return trusted


def check_switches(**switches: object) -> None:
    """Raise TypeError unless each value is True or False."""
    for name, value in switches.items():
        if type(value) is not bool:
            raise TypeError(f"{name} is True or False, not {quote(value)}")


def check_peer(peer: object) -> None:
    """Raise TypeError unless the peer is a `str` or None: bytes could count as a packed address, or as no peer."""
    if peer is not None and not isinstance(peer, str):
        raise TypeError(f"a peer is text or None, not {type(peer).__name__}")
