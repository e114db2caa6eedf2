"""Is an address one of the public Internet?

    93.184.216.34           yes
    10.1.2.3, 127.0.0.1     no: private, loopback
    64:ff9b::a01:203        no: NAT64 around 10.1.2.3; an address that holds another one is judged by the inner one, too

Two questions need this.  A name that a publisher's server redirects to must not lead into the own network (SSRF).  A
name that stands in a list must not become an address of the own network (DNS rebinding).

Threads: safe, keeps no state.  Source: the registries of RFC 6890, as `ipaddress` has them; RFC 6052, RFC 3056.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

__all__ = ["why_not_public"]

_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_UNICAST: Final = IPv6Network("2000::/3")
"""From which all public IPv6 addresses come; outside are site-local ones, and a NAT64 of the own network."""
_LATER: Final = (IPv4Network("192.0.0.0/24"), IPv6Network("3fff::/20"))
"""What the registries reserved later than an old `ipaddress` knows."""


def why_not_public(text: str) -> str | None:
    """Say why an address is not one of the public Internet; None if it is one.

    Args:
        text: an address; a zone after "%" makes it link-local.
    Raises:
        ValueError: it is no address.

    >>> why_not_public("10.1.2.3"), why_not_public("64:ff9b::a01:203"), why_not_public("1.1.1.1")
    ('10.1.2.3 is private', '64:ff9b::a01:203 holds 10.1.2.3, which is private', None)
    """
    address = ip_address(text)
    if why := _noun(address):
        return f"{address} is {why}"
    inner = _inner(address)
    why = None if inner is None else _noun(inner)
    return None if why is None else f"{address} holds {inner}, which is {why}"


def _noun(address: IPv4Address | IPv6Address) -> str | None:
    for noun, is_so in (
        ("unspecified", address.is_unspecified),
        ("loopback", address.is_loopback),
        ("multicast", address.is_multicast),
        ("link-local", address.is_link_local),
        ("private", address.is_private),
        ("not of the public Internet", not address.is_global or not _may_be_public(address)),
    ):
        if is_so:
            return noun
    return None


def _may_be_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is of a block from which public addresses come, or holds one that is judged by itself."""
    if any(address in block for block in _LATER):
        return False
    return isinstance(address, IPv4Address) or any(
        address in block for block in (_UNICAST, _NAT64, _COMPATIBLE, _MAPPED)
    )


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Give the IPv4 address that an IPv6 address holds, if it is of a kind that holds one."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
