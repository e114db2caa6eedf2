"""Every difference between cidrmatch and the standard library's `ipaddress`, one row each, with its reason.

A row tells what each of the two makes of an example and, for texts, how to recognise its kind.  `test_ipaddress.py`
verifies that each row is a real difference, today, with this Python; and that no text differs without a row here.
What is said about a text is its canonical text, or None where it is refused:

    reads      which of their functions is meant: "ip_address" or "ip_network"
    theirs     str() of what it returns, or None
    ours       str() of what parse_address (formatted) or parse_prefix returns, or None
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One kind of input that the two libraries take differently."""

    name: str
    reads: Literal["ip_address", "ip_network"]
    example: Any
    theirs: str | None
    ours: str | None
    reason: str
    is_kind: Callable[[str], bool] | None = None
    """Does a text belong to this row?  None where the example is no text."""


# How to recognise a text.  Each asks as little as will do: a row that recognises too much hides other differences.


def has_zone(text: str) -> bool:
    return "%" in text.partition("/")[0]


def is_mapped_address(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text) in MAPPED
    except ValueError:
        return False


def is_mapped_network(text: str) -> bool:
    try:
        return ipaddress.IPv6Network(text).subnet_of(MAPPED)
    except ValueError:
        return False


def length_text(text: str) -> str:
    return text.partition("/")[2]


def has_leading_zero_length(text: str) -> bool:
    length = length_text(text)
    return length.isascii() and length.isdigit() and len(length) > 1 and length[0] == "0"


def has_dotted_length(text: str) -> bool:
    """A netmask or a hostmask instead of a length."""
    return ":" not in text and "." in length_text(text)


DIFFERENCES = [
    Difference(
        name="zone id in an address",
        reads="ip_address",
        example="fe80::1%eth0",
        theirs="fe80::1%eth0",
        ours=None,
        reason="A zone names an interface of one machine; a list is read on another. Only a socket may report one.",
        is_kind=has_zone,
    ),
    Difference(
        name="zone id in a network",
        reads="ip_network",
        example="fe80::%eth0/64",
        theirs="fe80::%eth0/64",
        ours=None,
        reason="The same.",
        is_kind=has_zone,
    ),
    Difference(
        name="IPv4-mapped address",
        reads="ip_address",
        example="::ffff:203.0.113.5",
        theirs=str(ipaddress.ip_address("::ffff:203.0.113.5")),  # its text changed with Python 3.13
        ours="203.0.113.5",
        reason="A dual-stack socket reports IPv4 clients in this form; they are the IPv4 clients of the list.",
        is_kind=is_mapped_address,
    ),
    Difference(
        name="IPv4-mapped network",
        reads="ip_network",
        example="::ffff:10.0.0.0/104",
        theirs=str(ipaddress.ip_network("::ffff:10.0.0.0/104")),
        ours="10.0.0.0/8",
        reason="The same: as IPv6 the entry would never match anybody.",
        is_kind=is_mapped_network,
    ),
    Difference(
        name="leading zero in the length",
        reads="ip_network",
        example="10.0.0.0/08",
        theirs="10.0.0.0/8",
        ours=None,
        reason="No standard writes it; some tools read 010 as octal. What can be read two ways is refused.",
        is_kind=has_leading_zero_length,
    ),
    Difference(
        name="netmask",
        reads="ip_network",
        example="10.0.0.0/255.0.0.0",
        theirs="10.0.0.0/8",
        ours=None,
        reason="One mistyped character can give another mask; the length is suggested instead.",
        is_kind=has_dotted_length,
    ),
    Difference(
        name="hostmask",
        reads="ip_network",
        example="10.0.0.0/0.255.255.255",
        theirs="10.0.0.0/8",
        ours=None,
        reason="The same, and 0.0.0.0 means /0 as a netmask and /32 as a hostmask.",
        is_kind=has_dotted_length,
    ),
    Difference(
        name="integer",
        reads="ip_address",
        example=3405803781,
        theirs="203.0.113.5",
        ours=None,
        reason="Ambiguous: 1 is 0.0.0.1 or ::1, and a port or a count is easily passed by mistake.",
    ),
    Difference(
        name="bool",
        reads="ip_address",
        example=True,
        theirs="0.0.0.1",
        ours=None,
        reason="The same, and certainly a mistake.",
    ),
    Difference(
        name="pair of address and length",
        reads="ip_network",
        example=("10.0.0.0", 8),
        theirs="10.0.0.0/8",
        ours=None,
        reason="A pair is (prefix, label) here.",
    ),
    Difference(
        name="interface",
        reads="ip_network",
        example=ipaddress.IPv4Interface("10.0.0.0/8"),
        theirs="10.0.0.0/8",
        ours=None,
        reason="An interface is an address and a network at once; the caller says which by .ip or .network.",
    ),
]
