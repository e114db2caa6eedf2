"""Exceptions for refused texts: a parser's status and position become a code, a reason and a suggestion.

A parser of the core returns only a status and a position.  This module adds the
code and the reason.  If a small repair of the text makes it acceptable, it also
adds a suggestion.  Only refused texts come here, so this code is written for
clarity, not for speed: a refusal takes some microseconds.

Every suggestion is checked.  Each repair below only edits the text.  It does
not change a text with two possible meanings (010.0.0.7 is 10.0.0.7, or in octal
8.0.0.7).  The caller's own parser then decides whether the result is an address
or a prefix.  A result that allows all addresses of a family, or a large part of
them, is never suggested; the reason says so instead.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from itertools import islice
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
    ",": "a list of addresses is not one address",
}
"""Unexpected characters from which one can tell what the author meant."""

_HOST_NAME = re.compile(
    r"(?![0-9]+\.[0-9]+\.)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\.?", re.IGNORECASE
)
"""A text that is a host name rather than an address with a mistake."""

_TOLD_BETTER = ("unexpected_character", "length_not_a_number", "octet_count")
"""Codes of texts that may be more than one entry, or an entry with something around it."""

_MOST_SHOWN = 8
"""How many prefixes of a dash range are written out."""

_LONGEST_REPAIRED = 100
"""A longer text is not an address with a small mistake, so it is not repaired."""

_BROADEST_SUGGESTED = {4: 8, 6: 16}
"""The shortest length that is suggested: 203.0.113.7/2 more probably lost a digit than means a quarter of IPv4."""


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
            if value[position] == ":" and value[:position].count(".") == 3:
                reason = "a port is not part of an address"
            if not issubclass(error, InvalidAddress) and len(value) <= 254 and _HOST_NAME.fullmatch(value):
                reason = "a host name is not a prefix; only a feed with hosts resolves names (docs/feeds.md)"
        repairs = _ADDRESS_REPAIRS if issubclass(error, InvalidAddress) else _PREFIX_REPAIRS
        suggestion = next((text for text in _repaired(value, repairs) if is_valid(text)), None)
        if code in _TOLD_BETTER and not issubclass(error, InvalidAddress):
            reason = _slip_of(value, suggestion, is_valid) or reason
        if suggestion is not None and (danger := _danger_of(suggestion)):
            reason, suggestion = f"{reason}, and {danger}", None
    return error(value, position, code, reason, suggestion, index)


def _danger_of(suggestion: str) -> str | None:
    """Say why a valid text must not be suggested; None if it may be."""
    network = ipaddress.ip_network(suggestion)
    family, length = network.version, network.prefixlen
    if _is_mapped(network.network_address) and length >= 96:
        family, length = 4, length - 96
    if length == 0:
        return "this allows everyone"
    broadest = _BROADEST_SUGGESTED[family]
    return f"an IPv{family} range broader than /{broadest} is never guessed" if length < broadest else None


def _is_mapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None


def shown(value: object) -> str | bytes:
    """Give the text that an error shows for a value; the value's own methods cannot change it."""
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


def wrong_type(noun: str, value: object, index: int | None = None) -> TypeError:
    """Build the error for a value of a wrong type, with advice on what to pass instead."""
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
    where = "" if index is None else f"entry {index}: "
    return TypeError(f"{where}{noun} is {accepted}, not {type(value).__name__}{hint}")


def address_problem(given: object, status: int, position: int, is_valid: Callable[[str], bool]) -> InvalidAddress:
    """Build the error that says why a client's address is no address; it is returned, not raised."""
    if given is None:
        return InvalidAddress("", 0, "not_given", "no address was given")
    if CODES[status] == "wrong_type":
        return InvalidAddress(shown(given), 0, "wrong_type", str(wrong_type("an address", given)))
    return cast("InvalidAddress", refusal(InvalidAddress, status, shown(given), position, is_valid))


def wrong_key(key: object, index: int | None = None) -> TypeError:
    """Build the error for a key that is no text, with advice on what to pass instead."""
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


# -- Slips: what a text is that was to be one entry of a list. ----------------


_RANGE = re.compile(r"([0-9A-Fa-f:.]+)[ \t]*-[ \t]*([0-9A-Fa-f:.]+)")
_BULLET = re.compile(r"(?:[-*+]|\u2022)[ \t]+")
_QUOTED = re.compile(r"""(["'])([^"']*)\1,?""")
_SLIPS = {
    re.compile(
        r"\r[^\r\n]"
    ): "a carriage return stands in the line; lines end with a newline: tr '\\r' '\\n' <old.txt >new.txt",
    re.compile(rf"^{_BULLET.pattern}"): "a list mark stands before the entry",
    re.compile(rf"^{_QUOTED.pattern}$"): "quotes stand around the entry",
    re.compile(r"^[^\s,]+,$"): "a comma stands behind the entry",
    re.compile(r"\*\.[0-9]"): "an octet stands behind a wildcard",
}
"""What a text of an entry holds, and what that is; the first one that is found is told."""


def _slip_of(text: str, suggestion: str | None, is_valid: Callable[[str], bool]) -> str | None:
    """Say what somebody wrote who meant one entry or more; None if the parser's reason says it well."""
    if found := _RANGE.fullmatch(text):
        return _slip_of_range(found[1], found[2])
    for slip, reason in _SLIPS.items():
        if slip.search(text):
            return reason
    return _slip_of_parts(re.split(r"[\s,;|]+", text, maxsplit=2), suggestion, is_valid)


def _slip_of_parts(parts: list[str], suggestion: str | None, is_valid: Callable[[str], bool]) -> str | None:
    """Say what two things stand in the text of one entry; None if the first is no entry."""
    if len(parts) < 2 or not is_valid(parts[0]):
        return None
    if not is_valid(parts[1]):
        return "a text stands behind the entry; a label needs the format CSV, and a comment begins with #"
    if suggestion is not None or re.match(r"(?:0|255)\.", parts[1]):  # no client has such an address, but a mask does
        return REASONS["netmask"]
    more = " and so on" if len(parts) > 2 and parts[2] else ""
    return f"this is more than one entry; give each a line of its own: {parts[0]} and {parts[1]}{more}"


def _slip_of_range(first: str, last: str) -> str | None:
    """Say what is wrong with a range; None if the ends are no addresses."""
    if "." in first and _is_number(last):
        last = f"{first.rpartition('.')[0]}.{last}"
    try:
        ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
    except ValueError:
        return None
    if ends[0].version != ends[1].version:
        return "the ends of the range are of two families"
    if int(ends[1]) < int(ends[0]):
        return "the range runs backwards: its last address is below its first"
    prefixes = [str(prefix) for prefix in islice(ipaddress.summarize_address_range(*ends), _MOST_SHOWN + 1)]
    if len(prefixes) == 1 or any(_danger_of(prefix) for prefix in prefixes):
        return _TELLING["-"]
    if len(prefixes) > _MOST_SHOWN:
        return f"{_TELLING['-']}, unless you ask for ranges to be split (--split-ranges)"
    return f"{_TELLING['-']}; give each prefix of it a line: {', '.join(prefixes)}"


# -- Repairs: each edits one kind of mistake, on the result of those before. --


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


_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_BRACKETED = re.compile(r"\[([^\[\]]*)\]?(?::[0-9]+)?(/.*)?")
_ZONED = re.compile(r"([^%/]*:[^%/]*)%[^%/:]*(/.*)?")
_SHORT = re.compile(r"([0-9]+(?:\.[0-9]+){0,2})/([0-9]+)")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")


def _to_ascii(text: str) -> str:
    """Turn full-width characters into the ASCII ones that they show."""
    return text.translate(_FULL_WIDTH)


def _without_white_space(text: str) -> str:
    """Remove white space at both ends, and around a slash or a dash. Elsewhere white space may separate two entries."""
    return re.sub(r"[ \t]*([/-])[ \t]*", r"\1", text.strip().strip("\0").strip())


def _without_list_marks(text: str) -> str:
    """- 10.0.0.0/8, - "10.0.0.0/8" and "10.0.0.0/8", -> 10.0.0.0/8, as in YAML and JSON."""
    bare = _BULLET.sub("", text, count=1) if _BULLET.match(text) else text
    quoted = _QUOTED.fullmatch(bare)
    return quoted[2] if quoted else bare.removesuffix(",")


def _without_brackets_and_port(text: str) -> str:
    """[2001:db8::1]:443 -> 2001:db8::1 and 203.0.113.5:443 -> 203.0.113.5."""
    if bracketed := _BRACKETED.fullmatch(text):
        return bracketed[1] + (bracketed[2] or "")
    host, _, port = text.rpartition(":")
    return host if host.count(".") == 3 and ":" not in host and _is_number(port) else text


def _without_zone(text: str) -> str:
    """fe80::1%eth0/64 -> fe80::1/64."""
    zoned = _ZONED.fullmatch(text)
    return zoned[1] + (zoned[2] or "") if zoned else text


def _without_leading_zeros(text: str) -> str:
    """192.0.2.007/08 -> 192.0.2.7/8; but 010 stays, because it means 10, or in octal 8."""
    address, slash, length = text.partition("/")
    if ":" not in address:
        address = ".".join(map(_without_zeros, address.split(".")))
    return address + slash + _without_zeros(length)


def _without_zeros(number: str) -> str:
    """Drop leading zeros where the number means the same in octal, or is none."""
    plain = number.lstrip("0") or "0"
    is_clear = _is_number(number) and (len(plain) == 1 or not set("89").isdisjoint(plain))
    return plain if is_clear else number


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _wildcard_to_prefix(text: str) -> str:
    """203.0.113.* -> 203.0.113.0/24."""
    octets = text.split(".")
    known = len(octets) - octets.count("*")
    if len(octets) > 4 or known == len(octets) or "*" in octets[:known]:
        return text
    return ".".join(octets[:known] + ["0"] * (4 - known)) + f"/{8 * known}"


def _mask_to_length(text: str) -> str:
    """10.0.0.0/255.0.0.0, 10.0.0.0 255.0.0.0 and 10.0.0.0/0.255.255.255 -> 10.0.0.0/8."""
    address, _, mask = re.sub(r"[ \t]*[,;|][ \t]*|[ \t]+", "/", text, count=1).partition("/")
    try:
        bits = int(ipaddress.IPv4Address(mask))
    except ValueError:
        return text
    host_bits = bits if bits < 1 << 31 else bits ^ 0xFFFFFFFF  # a netmask begins with a 1 bit, a hostmask with a 0 bit
    if bits == 0 or host_bits & (host_bits + 1):
        return text  # 0.0.0.0 is /0 as a netmask and /32 as a hostmask
    return f"{address}/{32 - host_bits.bit_length()}"


def _all_octets(text: str) -> str:
    """10/8 -> 10.0.0.0/8 and 172.16/12 -> 172.16.0.0/12; but 10/32 might be any one address."""
    short = _SHORT.fullmatch(text)
    octets = short[1].count(".") + 1 if short else 0
    if not short or int(short[2]) > 8 * octets:
        return text
    return f"{short[1]}{'.0' * (4 - octets)}/{short[2]}"


def _range_to_prefix(text: str) -> str:
    """203.0.113.0-203.0.113.255 or 203.0.113.0-255 -> 203.0.113.0/24, if one prefix has the same addresses."""
    first, dash, last = text.partition("-")
    if not dash or "%" in text:  # ip_address would take the zone ids that we refuse
        return text
    if "." in first and _is_number(last):
        last = first.rpartition(".")[0] + "." + last
    try:
        ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
        prefixes = list(ipaddress.summarize_address_range(*ends))
    except (ValueError, TypeError):
        return text
    return str(prefixes[0]) if len(prefixes) == 1 else text


def _network_of(text: str) -> str:
    """203.0.113.7/24 -> 203.0.113.0/24."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return text
    is_clear = _LENGTH.fullmatch(text.partition("/")[2])
    # The prefix of ::ffff:192.0.2.1/95 would be IPv6, and would allow no IPv4 client.
    if not is_clear or (_is_mapped(interface.ip) and interface.network.prefixlen < 96):
        return text
    return str(interface.network)


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
    _without_list_marks,
    _without_white_space,
    _without_brackets_and_port,
    _without_zone,
    _without_leading_zeros,
    _wildcard_to_prefix,
    _range_to_prefix,
    _mask_to_length,
    _all_octets,
    _network_of,
)
