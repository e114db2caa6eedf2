"""From a parser's status to an exception, in one place.

A parser of the core answers with a status and a position and knows no words.
Here the status gets its code, its reason and, when a small repair of the text
makes it acceptable, a suggestion.  Only refusals come here, so clarity beats
speed: a refusal costs some microseconds.

A suggestion is never a guess left unchecked: each repair below only edits the
text, and the caller's own parser decides whether the result is shown.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Callable, Iterator
from typing import cast

from ..errors import InvalidAddress, InvalidText

# Named in the order of `enum Status` in address.pxd, which a test compares.
REASONS: dict[str, str] = {
    "ok": "nothing is wrong",
    "empty": "the address is missing",
    "not_ascii": "only ASCII characters are allowed",
    "unexpected_character": "unexpected character",
    "leading_zero": "an octet has no leading zero (some programs would read it as octal)",
    "octet_too_large": "an octet is at most 255",
    "octet_count": "an IPv4 address has four octets",
    "group_too_long": "an IPv6 group has at most four hexadecimal digits",
    "group_count": "an IPv6 address has eight groups, or fewer and one '::'",
    "double_compression": "'::' may stand only once",
    "zone_id": "a zone id is not part of an address",
    "length_missing": "the prefix length is missing",
    "length_not_a_number": "a prefix length is one to three decimal digits",
    "length_leading_zero": "a prefix length has no leading zero",
    "length_too_large": "the prefix length is larger than the address",
    "netmask": "a netmask is not a prefix length",
    "host_bits": "host bits are set",
    "packed_size": "a packed address has 4 or 16 bytes (decode text before you pass it)",
    "wrong_type": "the value is of another type",
}
CODES: tuple[str, ...] = tuple(REASONS)

_TELLING = {
    "-": "a dash range is not accepted",
    "*": "a wildcard is not accepted",
    "[": "brackets are not part of an address",
    "/": "a prefix length is not part of an address",
}
"""Unexpected characters that tell what was meant."""

_LONGEST_REPAIRED = 100
"""A longer text is no address with a slip in it; leave it alone."""


def refusal(
    error: type[InvalidText],
    status: int,
    value: str | bytes,
    position: int,
    is_valid: Callable[[str], bool],
    index: int | None = None,
) -> InvalidText:
    """Build the exception of class `error` for a text that a parser refused."""
    code = CODES[status]
    reason = REASONS[code]
    suggestion = None
    if isinstance(value, str):
        if code == "unexpected_character":
            reason = _TELLING.get(value[position], f"{reason} {value[position]!a}")
        repairs = _ADDRESS_REPAIRS if issubclass(error, InvalidAddress) else _PREFIX_REPAIRS
        suggestion = next((text for text in _repaired(value, repairs) if is_valid(text)), None)
    return error(value, position, code, reason, suggestion, index)


def shown(value: object) -> str | bytes:
    """Give the text of a value that an error is about, whatever the value's own methods do."""
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(cast("str", value))
    if issubclass(kind, bytes):
        return bytes.__getitem__(cast("bytes", value), slice(None))
    if kind.__module__ in ("ipaddress", "cidrmatch._core.prefix"):
        try:
            return str(value)
        except Exception:  # noqa: S110 - an ipaddress object that somebody broke may raise anything
            pass
    return f"<{kind.__name__}>"


def wrong_type(noun: str, value: object) -> TypeError:
    """Build the error for a value that is no text at all, with the usual way out."""
    hints = {
        int: "; an integer is ambiguous, write it as text",
        bytearray: "; pass bytes(...), which nobody can change",
        memoryview: "; pass bytes(...), which nobody can change",
        ipaddress.IPv4Interface: "; pass its .ip or its .network",
        ipaddress.IPv6Interface: "; pass its .ip or its .network",
        ipaddress.IPv4Network: "; to ask for a whole prefix, use covers()",
        ipaddress.IPv6Network: "; to ask for a whole prefix, use covers()",
    }
    hint = hints.get(type(value), "")
    if type(value).__name__ == "Prefix":
        hint = "; to ask for a whole prefix, use covers()"
    accepted = "text, packed bytes or an ipaddress object"
    return TypeError(f"{noun} is {accepted}, not {type(value).__name__}{hint}")


def wrong_key(key: object, index: int | None = None) -> TypeError:
    """Build the error for a key that is no text, with the usual way out."""
    kind = type(key)
    where = "" if index is None else f"key {index}: "
    hint = ""
    if key is None:
        hint = "; a request without a key is refused before anybody asks"
    elif kind is bytes:
        hint = "; decode it first"
    elif kind.__module__ in ("ipaddress", "cidrmatch._core.prefix"):
        hint = "; the key comes first, then the address"
    return TypeError(f"{where}a key is text, not {kind.__name__}{hint}")


# -- Repairs: each edits one kind of slip; they add up from left to right. ----


Repair = Callable[[str], str]


def _repaired(text: str, repairs: tuple[Repair, ...]) -> Iterator[str]:
    """Yield the text after each repair that changed it."""
    if len(text) > _LONGEST_REPAIRED:
        return
    for repair in repairs:
        repaired = repair(text)
        if repaired != text:
            text = repaired
            yield text


def _to_ascii(text: str) -> str:
    """Turn full-width and other compatible digits into ASCII."""
    return unicodedata.normalize("NFKC", text)


def _without_white_space(text: str) -> str:
    return "".join(text.replace("\0", " ").split())


def _without_brackets_and_port(text: str) -> str:
    """[2001:db8::1]:443 -> 2001:db8::1 and 203.0.113.5:443 -> 203.0.113.5."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, _, port = text.rpartition(":")
    return host if host.count(".") == 3 and ":" not in host and port.isdigit() else text


def _without_zone(text: str) -> str:
    """fe80::1%eth0/64 -> fe80::1/64."""
    address, _, rest = text.partition("%")
    slash = rest.find("/")
    return address + (rest[slash:] if slash >= 0 else "")


def _without_leading_zeros(text: str) -> str:
    """010.001.0.7/08 -> 10.1.0.7/8."""
    address, slash, length = text.partition("/")
    if ":" not in address:
        address = ".".join(octet.lstrip("0") or "0" if octet.isdigit() else octet for octet in address.split("."))
    return address + slash + (length.lstrip("0") or "0" if length.isdigit() else length)


def _wildcard_to_prefix(text: str) -> str:
    """203.0.113.* -> 203.0.113.0/24."""
    octets = text.split(".")
    known = len(octets) - octets.count("*")
    if len(octets) > 4 or known == len(octets) or "*" in octets[:known]:
        return text
    return ".".join(octets[:known] + ["0"] * (4 - known)) + f"/{8 * known}"


def _all_octets(text: str) -> str:
    """10/8 -> 10.0.0.0/8 and 172.16/12 -> 172.16.0.0/12."""
    address, slash, length = text.partition("/")
    missing = 3 - address.count(".")
    if not slash or ":" in address or missing <= 0:
        return text
    return address + ".0" * missing + slash + length


def _range_to_prefix(text: str) -> str:
    """203.0.113.0-203.0.113.255 or 203.0.113.0-255 -> 203.0.113.0/24, if one prefix says it."""
    first, dash, last = text.partition("-")
    if not dash:
        return text
    if "." in first and last.isdigit():
        last = first.rpartition(".")[0] + "." + last
    try:
        ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
        prefixes = list(ipaddress.summarize_address_range(*ends))
    except (ValueError, TypeError):
        return text
    return str(prefixes[0]) if len(prefixes) == 1 else text


def _network_of(text: str) -> str:
    """203.0.113.7/24 -> 203.0.113.0/24; a netmask becomes a length on the way."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text


def _without_length(text: str) -> str:
    return text.partition("/")[0]


_ADDRESS_REPAIRS: tuple[Repair, ...] = (
    _to_ascii,
    _without_white_space,
    _without_length,
    _without_brackets_and_port,
    _without_zone,
    _without_leading_zeros,
)
_PREFIX_REPAIRS: tuple[Repair, ...] = (
    _to_ascii,
    _without_white_space,
    _without_brackets_and_port,
    _without_zone,
    _without_leading_zeros,
    _wildcard_to_prefix,
    _range_to_prefix,
    _all_octets,
    _network_of,
)
