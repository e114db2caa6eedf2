"""Every difference between our reader of the PROXY protocol and two others, one row each, with its reason.

A row says whom it is about, an example, what each of the two makes of it, and how to recognise its kind.
`test_proxy_parsers.py` verifies that each row is a real difference today, that no header differs without a row, and
that a run meets every row.

    ours, theirs    "more", "bad" or "said", the kind of the answer
    is_kind         whether bytes and the two answers belong to this row

How to recognise a kind is written from the specification, without asking the library.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Literal, NamedTuple, TypeAlias

from tests.differential.proxy_parsers import Answer, End, Said
from tests.proxy_headers import LOCAL, PROXY, SIGNATURE, binary, crc32c, ipv4, ipv6, line, summed, tlv, unix

Kind: TypeAlias = Literal["more", "bad", "said"]
IsKind: TypeAlias = Callable[[bytes, Answer, Answer], bool]

PP, AI = "proxy-protocol", "aiosmtpd"


def kind_of(answer: Answer) -> Kind:
    return answer if isinstance(answer, str) else "said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One kind of bytes that two readers take differently."""

    name: str
    reader: str
    example: bytes
    ours: Kind
    theirs: Kind
    reason: str
    is_kind: IsKind

    def explains(self, reader: str, data: bytes, ours: Answer, theirs: Answer) -> bool:
        about = (reader, kind_of(ours), kind_of(theirs))
        return about == (self.reader, self.ours, self.theirs) and self.is_kind(data, ours, theirs)


# How to recognise a kind


class Parts(NamedTuple):
    """A whole header of version 2."""

    command: int
    family: int
    header: bytes
    at: int
    """Where the addresses end; behind the header where it is too short for them."""

    @property
    def tlvs(self) -> list[tuple[int, bytes]] | None:
        return split(self.header[self.at :])


def parts_of(data: bytes) -> Parts | None:
    if not data.startswith(SIGNATURE) or len(data) < 16:
        return None
    end = 16 + int.from_bytes(data[14:16], "big")
    if len(data) < end:
        return None
    return Parts(data[12], data[13], data[:end], 16 + {1: 12, 2: 36, 3: 216}.get(data[13] >> 4, 0))


def split(block: bytes) -> list[tuple[int, bytes]] | None:
    """TLVs that fill a block, or None."""
    found = []
    while block:
        length = int.from_bytes(block[1:3], "big")
        if len(block) < 3 + length:
            return None
        found.append((block[0], block[3 : 3 + length]))
        block = block[3 + length :]
    return found


def of(test: Callable[[Parts], bool]) -> IsKind:
    """Recognise a whole header of version 2."""

    def is_kind(data: bytes, ours: Answer, theirs: Answer) -> bool:
        parts = parts_of(data)
        return parts is not None and test(parts)

    return is_kind


def with_words(test: Callable[[list[bytes]], bool]) -> IsKind:
    """Recognise the words of a line that ends with LF."""

    def is_kind(data: bytes, ours: Answer, theirs: Answer) -> bool:
        return data.startswith(b"PROXY ") and test(data[: data.find(b"\n") + 1].removesuffix(b"\r\n").split(b" "))

    return is_kind


def waits_for_lines_from(first: int) -> IsKind:
    """Recognise what a reader that wants so many bytes and then a line, or 16 and then a block, would wait for."""

    def is_kind(data: bytes, ours: Answer, theirs: Answer) -> bool:
        if len(data) < first:
            return True
        if data.startswith(b"PROXY"):
            return b"\n" not in data[first - 1 :]
        return data.startswith(SIGNATURE[:5]) and (len(data) < 16 or parts_of(data) is None)

    return is_kind


def is_odd_port(words: list[bytes]) -> bool:
    return len(words) == 6 and not all(re.fullmatch(rb"0|[1-9][0-9]{0,4}", word) for word in words[4:])


def has_zone(words: list[bytes]) -> bool:
    return any(b"%" in word for word in words[2:4])


def is_longer_name(words: list[bytes]) -> bool:
    return len(words) == 6 and re.fullmatch(rb"TCP.+[46]", words[1]) is not None


def has_lone_return(words: list[bytes]) -> bool:
    return words[1] == b"UNKNOWN" and any(b"\r" in word for word in words)


def is_long(data: bytes, ours: Answer, theirs: Answer) -> bool:
    return data.startswith(b"PROXY UNKNOWN") and b"\n" not in data[:107]


def is_mapped(data: bytes, ours: Answer, theirs: Answer) -> bool:
    """The two say the same once theirs are folded."""
    return isinstance(theirs, Said) and ours == theirs._replace(
        source=folded(theirs.source), destination=folded(theirs.destination)
    )


def folded(end: End) -> End:
    if end is not None and isinstance(end[0], IPv6Address) and end[0].ipv4_mapped is not None:
        return end[0].ipv4_mapped, end[1]
    return end


KNOWN = {0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32}


def has_odd_family(parts: Parts) -> bool:
    return parts.command == PROXY and parts.family not in KNOWN


def has_odd_tlvs(parts: Parts) -> bool:
    """They do not fill the block, or one is shorter or longer than its type says, or there are two checksums."""
    bounds = {3: (4, 4), 5: (0, 128), 0x20: (5, 0xFFFF)}
    tlvs = parts.tlvs
    if tlvs is None:
        return True
    odd = [kind for kind, value in tlvs if kind in bounds and not bounds[kind][0] <= len(value) <= bounds[kind][1]]
    return bool(odd) or [kind for kind, _ in tlvs].count(3) > 1


def is_client_with_odd_tlvs(parts: Parts) -> bool:
    return parts.command == PROXY and parts.family in KNOWN and has_odd_tlvs(parts)


def has_wrong_checksum(parts: Parts) -> bool:
    tlvs = parts.tlvs
    if tlvs is None or 3 not in dict(tlvs) or has_odd_tlvs(parts):
        return False
    at = parts.at
    for kind, value in tlvs:
        if kind == 3:
            header = parts.header[: at + 3] + bytes(4) + parts.header[at + 7 :]
            return crc32c(header).to_bytes(4, "big") != value
        at += 3 + len(value)
    return False


def has_unsorted_tlvs_and_a_checksum(parts: Parts) -> bool:
    kinds = [kind for kind, _ in parts.tlvs or []]
    return parts.command == PROXY and 3 in kinds and kinds != sorted(set(kinds))


def has_a_path_beyond_ascii(parts: Parts) -> bool:
    return parts.command == PROXY and parts.family in (0x31, 0x32) and not parts.header[16:232].isascii()


def is_local_with_a_checksum_at_once(parts: Parts) -> bool:
    """TLVs that are read from the first byte of the block, as far as there are any, have one of a checksum's type."""
    block, kinds = parts.header[16:], set()
    while len(block) >= 3:
        kinds.add(block[0])
        block = block[3 + int.from_bytes(block[1:3], "big") :]
    return parts.command == LOCAL and 3 in kinds


def is_local_of_odd_family(data: bytes, ours: Answer, theirs: Answer) -> bool:
    if not data.startswith(SIGNATURE) or len(data) < 16:
        return False
    return data[12] == LOCAL and (data[13] >> 4 > 3 or data[13] & 15 > 2)


def is_local_with_a_short_block(parts: Parts) -> bool:
    return parts.command == LOCAL and parts.family in KNOWN and len(parts.header) < parts.at


def is_unspecified(parts: Parts) -> bool:
    return parts.command == PROXY and parts.family == 0


def row(reader: str, name: str, example: bytes, ours: Kind, theirs: Kind, reason: str, is_kind: IsKind) -> Difference:
    return Difference(
        name=f"{reader}: {name}",
        reader=reader,
        example=example,
        ours=ours,
        theirs=theirs,
        reason=reason,
        is_kind=is_kind,
    )


AT_ONCE = (
    "What can never become a header is bad at once, so that the sender notices; they first read what they asked for."
)
FOLDED = "A mapped address is its IPv4 address here, as everywhere in this library."
PORTS = "They ask int(), which takes more than digits; a heading zero and any other character are not permitted."
FAMILIES = "Values that the specification leaves out must be rejected; one of the pair unspecified may be."
TLVS = "A block that its TLVs do not fill is malformed; they take what is readable, or leave it to whoever asks later."
SUMS = "A checksum that is there must be verified, also that of a local connection."

DIFFERENCES = [
    row(PP, "bad at once", b"GET ", "bad", "more", AT_ONCE, waits_for_lines_from(8)),
    row(AI, "bad at once", b"PROXYX", "bad", "more", AT_ONCE, waits_for_lines_from(5)),
    *[
        row(
            reader,
            "mapped address",
            line("TCP6", "::ffff:203.0.113.9", "2001:db8::1"),
            "said",
            "said",
            FOLDED,
            is_mapped,
        )
        for reader in (PP, AI)
    ],
    row(PP, "odd port", line("TCP4", ports=("0443", "+1")), "bad", "said", PORTS, with_words(is_odd_port)),
    row(AI, "odd port", line("TCP4", ports=("1_0", "443")), "bad", "said", PORTS, with_words(is_odd_port)),
    *[
        row(
            reader,
            "CR within a line",
            b"PROXY UNKNOWN a\rb\r\n",
            "bad",
            "said",
            "CR and LF end a line, together; a reader that ends it at the first would go on elsewhere.",
            with_words(has_lone_return),
        )
        for reader in (PP, AI)
    ],
    row(
        PP,
        "zone",
        line("TCP6", "fe80::1%eth0", "::1"),
        "bad",
        "said",
        "A zone is no part of an address as the specification writes it.",
        with_words(has_zone),
    ),
    row(
        PP,
        "no bound",
        b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
        "bad",
        "said",
        "A line has 107 bytes at most; they read until it ends.",
        is_long,
    ),
    row(
        AI,
        "longer name of a family",
        line("TCP44"),
        "bad",
        "said",
        "They compare the beginning and the end of the word.",
        with_words(is_longer_name),
    ),
    *[
        row(reader, "odd family", binary(PROXY, family, ipv4()), "bad", "said", FAMILIES, of(has_odd_family))
        for reader, family in ((PP, 0x41), (AI, 0x10))
    ],
    *[
        row(reader, "odd TLVs", binary(PROXY, 0x11, ipv4() + b"\x04"), "bad", "said", TLVS, of(is_client_with_odd_tlvs))
        for reader in (PP, AI)
    ],
    row(AI, "checksum", binary(PROXY, 0x11, ipv4() + tlv(3, bytes(4))), "bad", "said", SUMS, of(has_wrong_checksum)),
    row(
        PP,
        "checksum of no addresses",
        binary(PROXY, 0x00, tlv(3, bytes(4))),
        "bad",
        "said",
        SUMS,
        of(lambda parts: is_unspecified(parts) and has_wrong_checksum(parts)),
    ),
    row(
        PP,
        "checksum of a local connection",
        binary(LOCAL, 0x11, ipv4() + tlv(3, bytes(4))),
        "bad",
        "said",
        SUMS,
        of(lambda parts: parts.command == LOCAL and parts.family != 0 and has_wrong_checksum(parts)),
    ),
    row(
        PP,
        "checksum and TLVs in another order",
        summed(PROXY, 0x11, ipv4() + tlv(4)),
        "said",
        "bad",
        "They sum the TLVs in the order of their types, each type once, and not as they came.",
        of(has_unsorted_tlvs_and_a_checksum),
    ),
    row(
        PP,
        "path beyond ASCII",
        binary(PROXY, 0x31, unix(b"/\xc3\xa9")),
        "said",
        "bad",
        "A path is bytes; ours are shown escaped.",
        of(has_a_path_beyond_ascii),
    ),
    row(
        PP,
        "local block that looks like a checksum",
        binary(LOCAL, 0x21, tlv(3, bytes(4)) + ipv6()[7:]),
        "said",
        "bad",
        "The block of a local connection is discarded; they read it as TLVs from its first byte.",
        of(is_local_with_a_checksum_at_once),
    ),
    row(
        AI,
        "local connection of an odd family",
        binary(LOCAL, 0x41),
        "said",
        "bad",
        "The family of a local connection is ignored.",
        is_local_of_odd_family,
    ),
    row(
        AI,
        "beginning of a local connection of an odd family",
        binary(LOCAL, 0x41, length=1),
        "more",
        "bad",
        "The same.",
        is_local_of_odd_family,
    ),
    row(
        AI,
        "local connection with a short block",
        binary(LOCAL, 0x11, b"short"),
        "said",
        "bad",
        "The block of a local connection is discarded, and may be empty whatever the family.",
        of(is_local_with_a_short_block),
    ),
    row(
        PP,
        "TLVs without addresses",
        binary(PROXY, 0x00, tlv(1, b"h2")),
        "said",
        "said",
        "They forget the TLVs of a connection whose addresses are not specified.",
        lambda data, ours, theirs: (
            isinstance(ours, Said)
            and ours._replace(behind={}) == theirs
            and parts_of(data) is not None
            and data[12:14] == b"\x21\x00"
        ),
    ),
]
