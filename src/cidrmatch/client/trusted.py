"""A set of trusted prefixes: which peers may say who the client is.

    TrustedSet(["10.0.0.0/8", "2001:db8:1::/48"])     "10.0.0.7" in it --> True     "203.0.113.9" in it --> False

Whoever is in the set can name any client, so a mistake here opens every door at once.  The set refuses what is not a
list of prefixes, is empty, or holds everybody of a family.  "Everybody" is judged over the whole list: 0.0.0.0/1 with
128.0.0.0/1 is 0.0.0.0/0, and so is ::ffff:0:0/96.  Everybody is whoever can be a client, so 2000::/3, all of public
IPv6, is refused, too.  A caller who means it says it a second time.

Cost: a question, a search in an `AllowList`.
Threads: never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._core import AllowList, parse_prefix
from ..errors import quote

if TYPE_CHECKING:
    from .._core import PrefixLike

__all__ = ["check_peer", "check_switches", "trusted_set"]

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
"""What holds everybody of a family: unicast IPv4 without 0.0.0.0/8, and the global unicast of IPv6 (RFC 4291)."""


def trusted_set(
    prefixes: Iterable[PrefixLike], *, trust_everyone: bool = False, may_be_empty: bool = False
) -> AllowList:
    """Make the set of trusted prefixes, or refuse it.

    Args:
        prefixes: what an `AllowList` takes, without labels and conditions.
        trust_everyone: whether the set may hold every address of a family.
        may_be_empty: whether somebody without an address is trusted besides, such as the peer on a UNIX socket.
    Raises:
        ValueError: the set is empty, or holds everybody, or (InvalidPrefix) an entry is no prefix.
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
    """Refuse what is neither True nor False; TypeError."""
    for name, value in switches.items():
        if type(value) is not bool:
            raise TypeError(f"{name} is True or False, not {quote(value)}")


def check_peer(peer: object) -> None:
    """Refuse what is no text; TypeError.  Four bytes would be an address that nobody wrote, and b"" a UNIX socket."""
    if peer is not None and not isinstance(peer, str):
        raise TypeError(f"a peer is text or None, not {type(peer).__name__}")
