"""The slow, obvious twin: what the compiled core must answer, said as plainly as possible.

A prefix is a span, three integers; a set of prefixes is a list of spans; every question is a loop over it:

    198.51.100.0/30   ->   Span(4, 0xC6336400, 0xC6336403)

        first                 last
          |---------------------|          2 ** (bits - length) addresses; `first` is a multiple of that number

Nothing here is clever, and nothing comes from cidrmatch, `ipaddress` or a regular expression, so a mistake made
there is not repeated here.  The text rules are those of RFC 4291 section 2.2 made strict (ASCII, no leading zeros, no
zone, no netmask); an IPv4-mapped address is its IPv4 address, a mapped prefix its IPv4 prefix.

Cost: O(number of spans) a question, and nobody minds.
"""

from collections.abc import Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar

V = TypeVar("V")

BITS = {4: 32, 6: 128}
DIGITS = "0123456789"
HEX_DIGITS = "0123456789abcdefABCDEF"
MAPPED = 0xFFFF
"""The upper 96 bits of every IPv4-mapped IPv6 address."""


class Refused(Exception):
    """The text is not an address, or not a prefix."""


class Address(NamedTuple):
    """One address: its family and its number."""

    family: int
    number: int


class Span(NamedTuple):
    """One prefix: its family, its first and its last address."""

    family: int
    first: int
    last: int


class PackedPrefix(Protocol):
    """What the twin needs to see of somebody else's prefix."""

    @property
    def family(self) -> int: ...
    @property
    def packed(self) -> bytes: ...
    @property
    def length(self) -> int: ...


# Numbers and spans


def bits_of(family: int) -> int:
    return BITS[family]


def largest(family: int) -> int:
    return (1 << bits_of(family)) - 1


def build_span(family: int, first: int, length: int) -> Span:
    """The prefix of this length around an address; host bits are cut off."""
    size = 2 ** (bits_of(family) - length)
    start = first - first % size
    return Span(family, start, start + size - 1)


def length_of(span: Span) -> int:
    size = span.last - span.first + 1
    length = bits_of(span.family)
    while size > 1:
        size //= 2
        length -= 1
    return length


def packed_of(family: int, number: int) -> bytes:
    return number.to_bytes(bits_of(family) // 8, "big")


def address_of_packed(packed: bytes) -> Address:
    family = {4: 4, 16: 6}[len(packed)]
    return fold_address(Address(family, int.from_bytes(packed, "big")))


def span_of(prefix: PackedPrefix) -> Span:
    """Somebody else's prefix as a span; that its facts fit together is checked here, once."""
    first = int.from_bytes(prefix.packed, "big")
    span = build_span(prefix.family, first, prefix.length)
    assert len(prefix.packed) * 8 == bits_of(prefix.family)
    assert span.first == first, "host bits are set"
    assert span == fold_span(span), "an IPv4-mapped prefix is an IPv4 prefix"
    return span


def spans_of(prefixes: Iterable[PackedPrefix]) -> list[Span]:
    return [span_of(prefix) for prefix in prefixes]


def fold_address(address: Address) -> Address:
    """Give the IPv4 address that an IPv4-mapped address stands for."""
    if address.family == 6 and address.number >> 32 == MAPPED:
        return Address(4, address.number & 0xFFFFFFFF)
    return address


def fold_span(span: Span) -> Span:
    """Give the IPv4 prefix that a prefix inside ::ffff:0:0/96 stands for."""
    if span.family == 6 and span.first >> 32 == MAPPED and span.last >> 32 == MAPPED:
        return Span(4, span.first & 0xFFFFFFFF, span.last & 0xFFFFFFFF)
    return span


def canonical_order(span: Span) -> tuple[int, int, int]:
    return span.family, span.first, length_of(span)


# Text in


def parse_address(text: str) -> Address:
    family = 6 if ":" in text else 4
    number = parse_ipv6(text) if family == 6 else parse_ipv4(text)
    return fold_address(Address(family, number))


def parse_prefix(text: str, *, mask: bool = False) -> Span:
    address, slash, length_text = text.partition("/")
    family = 6 if ":" in address else 4
    number = parse_ipv6(address) if family == 6 else parse_ipv4(address)
    length = parse_number(length_text, bits_of(family)) if slash else bits_of(family)
    span = build_span(family, number, length)
    if span.first != number and not mask:
        raise Refused(f"host bits are set in {text!r}")
    return fold_span(span)


def parse_ipv4(text: str) -> int:
    octets = text.split(".")
    if len(octets) != 4:
        raise Refused(f"{len(octets)} octets in {text!r}")
    number = 0
    for octet in octets:
        number = number * 256 + parse_number(octet, 255)
    return number


def parse_number(text: str, most: int) -> int:
    """One to three decimal digits, no leading zero."""
    if not 1 <= len(text) <= 3:
        raise Refused(f"{text!r} has not one to three digits")
    if text[0] == "0" and len(text) > 1:
        raise Refused(f"leading zero in {text!r}")
    number = 0
    for character in text:
        if character not in DIGITS:
            raise Refused(f"{character!r} is not a digit")
        number = number * 10 + DIGITS.index(character)
    if number > most:
        raise Refused(f"{text!r} is more than {most}")
    return number


def parse_ipv6(text: str) -> int:
    halves = text.split("::")
    if len(halves) > 2:
        raise Refused(f"more than one '::' in {text!r}")
    if len(halves) == 1:
        groups = parse_groups(text, dotted_tail=True)
        if len(groups) != 8:
            raise Refused(f"{len(groups)} groups in {text!r}")
    else:
        left = parse_groups(halves[0], dotted_tail=False) if halves[0] else []
        right = parse_groups(halves[1], dotted_tail=True) if halves[1] else []
        zeros = 8 - len(left) - len(right)
        if zeros < 1:
            raise Refused(f"'::' stands for nothing in {text!r}")
        groups = left + [0] * zeros + right
    number = 0
    for group in groups:
        number = number * 65536 + group
    return number


def parse_groups(text: str, *, dotted_tail: bool) -> list[int]:
    groups: list[int] = []
    parts = text.split(":")
    for index, part in enumerate(parts):
        if dotted_tail and "." in part and index == len(parts) - 1:
            tail = parse_ipv4(part)
            groups += [tail // 65536, tail % 65536]
        else:
            groups.append(parse_group(part))
    return groups


def parse_group(text: str) -> int:
    """One to four hexadecimal digits."""
    if not 1 <= len(text) <= 4:
        raise Refused(f"{text!r} has not one to four digits")
    for character in text:
        if character not in HEX_DIGITS:
            raise Refused(f"{character!r} is not a hexadecimal digit")
    return int(text, 16)


# Text out (RFC 5952)


def format_number(family: int, number: int) -> str:
    if family == 4:
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    groups = [number >> shift & 0xFFFF for shift in range(112, -1, -16)]
    start, count = find_longest_zeros(groups)
    if count < 2:
        return ":".join(f"{group:x}" for group in groups)
    left = ":".join(f"{group:x}" for group in groups[:start])
    right = ":".join(f"{group:x}" for group in groups[start + count :])
    return f"{left}::{right}"


def find_longest_zeros(groups: list[int]) -> tuple[int, int]:
    """Start and count of the longest run of zero groups; of equal runs, the first."""
    best = (0, 0)
    for start in range(len(groups)):
        count = 0
        while start + count < len(groups) and groups[start + count] == 0:
            count += 1
        if count > best[1]:
            best = (start, count)
    return best


def format_address(address: Address) -> str:
    return format_number(*fold_address(address))


def format_span(span: Span) -> str:
    folded = fold_span(span)
    return f"{format_number(folded.family, folded.first)}/{length_of(folded)}"


# Questions


def span_contains(span: Span, address: Address) -> bool:
    return span.family == address.family and span.first <= address.number <= span.last


def span_covers(outer: Span, inner: Span) -> bool:
    return outer.family == inner.family and outer.first <= inner.first and inner.last <= outer.last


def contains(spans: Iterable[Span], address: Address) -> bool:
    return any(span_contains(span, address) for span in spans)


def host_span(address: Address) -> Span:
    return Span(address.family, address.number, address.number)


def covering(spans: Iterable[Span], inner: Span) -> list[Span]:
    """Every span around `inner`, the most specific first."""
    return sorted((span for span in set(spans) if span_covers(span, inner)), key=length_of, reverse=True)


def covered(spans: Iterable[Span], outer: Span) -> list[Span]:
    """Every span inside `outer`, in canonical order."""
    return sorted((span for span in set(spans) if span_covers(outer, span)), key=canonical_order)


def longest_match(spans: Iterable[Span], inner: Span) -> Span | None:
    around = covering(spans, inner)
    return around[0] if around else None


def is_covered_whole(spans: Iterable[Span], target: Span) -> bool:
    """Is every number of `target` in some span, whichever?"""
    return any(span_covers(whole, target) for whole in merge(spans))


# Sets of addresses


def merge(spans: Iterable[Span]) -> list[Span]:
    """The same addresses as ranges that neither meet nor touch.  A range need not be a prefix."""
    ranges: list[Span] = []
    for span in sorted(spans):
        if ranges and ranges[-1].family == span.family and span.first <= ranges[-1].last + 1:
            ranges[-1] = ranges[-1]._replace(last=max(ranges[-1].last, span.last))
        else:
            ranges.append(span)
    return ranges


def cut(whole: Span) -> list[Span]:
    """The fewest prefixes that make up a range: the largest that fits, again and again."""
    prefixes: list[Span] = []
    first = whole.first
    while first <= whole.last:
        length = bits_of(whole.family)
        while length > 0 and fits(build_span(whole.family, first, length - 1), first, whole.last):
            length -= 1
        prefixes.append(build_span(whole.family, first, length))
        first = prefixes[-1].last + 1
    return prefixes


def fits(span: Span, first: int, last: int) -> bool:
    return span.first == first and span.last <= last


def aggregate(spans: Iterable[Span]) -> list[Span]:
    """The fewest prefixes with the same addresses, in canonical order."""
    return [prefix for whole in merge(spans) for prefix in cut(whole)]


def exclude(spans: Iterable[Span], hole: Span) -> list[Span]:
    """The fewest prefixes with the same addresses except those of `hole`."""
    return exclude_from(spans, [hole])


def exclude_from(spans: Iterable[Span], holes: list[Span]) -> list[Span]:
    ranges = merge(spans)
    for hole in holes:
        ranges = [rest for whole in ranges for rest in around_hole(whole, hole)]
    prefixes = [prefix for whole in ranges for prefix in cut(whole)]
    # What is left inside ::ffff:0:0/96 is no IPv6 address, and must not come back as an IPv4 one.
    return [prefix for prefix in prefixes if prefix == fold_span(prefix)]


def around_hole(whole: Span, hole: Span) -> list[Span]:
    if whole.family != hole.family or hole.last < whole.first or whole.last < hole.first:
        return [whole]
    left = Span(whole.family, whole.first, hole.first - 1)
    right = Span(whole.family, hole.last + 1, whole.last)
    return [rest for rest in (left, right) if rest.first <= rest.last]


# The map


class SlowTrie(Generic[V]):
    """A dictionary from span to value that answers like a `PatriciaTrie`, by looking at everything."""

    def __init__(self) -> None:
        self.values: dict[Span, V] = {}

    def items(self) -> list[tuple[Span, V]]:
        return self.pairs(sorted(self.values, key=canonical_order))

    def pairs(self, spans: Iterable[Span]) -> list[tuple[Span, V]]:
        return [(span, self.values[span]) for span in spans]

    def longest_match(self, inner: Span) -> tuple[Span, V] | None:
        found = longest_match(self.values, inner)
        return None if found is None else (found, self.values[found])

    def covering(self, inner: Span) -> list[tuple[Span, V]]:
        return self.pairs(covering(self.values, inner))

    def covered(self, outer: Span) -> list[tuple[Span, V]]:
        return self.pairs(covered(self.values, outer))

    def aggregate(self) -> list[Span]:
        return aggregate(self.values)

    def exclude(self, hole: Span) -> list[Span]:
        return exclude(self.values, hole)
