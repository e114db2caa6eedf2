"""Headers of the PROXY protocol, written as its specification says: the opposite of reading.

    line("TCP4", "203.0.113.9", ...)              PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\\r\\n
    binary(PROXY, 0x11, ipv4(...) + tlv(...))     the twelve bytes, version and command, family, length, block
    summed(PROXY, 0x11, ipv4(...))                the same with a checksum, made bit by bit
    written(header)                               the bytes that an answer of `read_proxy_protocol` speaks of

Nothing here is taken from the library, so a test that compares the two compares two readings of the specification.
"""

from __future__ import annotations

import re
import socket
import struct
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address

from cidrmatch.client import Endpoint, ProxyHeader

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
CLIENT4, SERVER4, CLIENT6, SERVER6 = "203.0.113.9", "198.51.100.1", "2001:db8::9", "2001:db8:1::1"
PORTS = (56324, 443)

LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) ([^ \r\n]+) ([^ \r\n]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)


def line(
    family: str, source: str = CLIENT4, destination: str = SERVER4, ports: tuple[int | str, int | str] = PORTS
) -> bytes:
    return f"PROXY {family} {source} {destination} {ports[0]} {ports[1]}\r\n".encode("latin-1")


def ipv4(source: str = CLIENT4, destination: str = SERVER4, ports: tuple[int, int] = PORTS) -> bytes:
    return IPv4Address(source).packed + IPv4Address(destination).packed + struct.pack("!HH", *ports)


def ipv6(source: str = CLIENT6, destination: str = SERVER6, ports: tuple[int, int] = PORTS) -> bytes:
    return IPv6Address(source).packed + IPv6Address(destination).packed + struct.pack("!HH", *ports)


def unix(source: bytes = b"/run/client.sock", destination: bytes = b"/run/server.sock") -> bytes:
    return struct.pack("108s108s", source, destination)


def tlv(kind: int, value: bytes = b"") -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def binary(command: int, family: int, block: bytes = b"", *, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block) if length is None else length) + block


def summed(command: int, family: int, block: bytes = b"", behind: bytes = b"") -> bytes:
    """A header whose checksum stands between the block and what is behind it."""
    whole = binary(command, family, block + tlv(3, bytes(4)) + behind)
    at = 16 + len(block) + 3
    return whole[:at] + struct.pack("!I", crc32c(whole)) + whole[at + 4 :]


def crc32c(data: bytes) -> int:
    """Divide by the polynomial 0x1EDC6F41, the highest bit first; bits of a byte and of the result run backwards."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder = (remainder << 8 & 0xFFFFFFFF) ^ divided(remainder >> 24 ^ reversed_bits(byte, 8))
    return reversed_bits(remainder, 32) ^ 0xFFFFFFFF


@cache
def divided(byte: int) -> int:
    """The remainder of a byte that stands in front of 32 zeros."""
    remainder = byte << 24
    for _ in range(8):
        remainder = remainder << 1 ^ (0x11EDC6F41 if remainder >> 31 else 0)
    return remainder


@lru_cache(1_000)
def reversed_bits(number: int, bits: int) -> int:
    return int(format(number, f"0{bits}b")[::-1], 2)


def written(header: ProxyHeader) -> bytes:
    """Write version 2 again; the addresses of a local connection are nobody's, so such a header cannot be written."""
    assert (header.status, header.version, header.command) == ("ok", 2, "proxy")
    behind = b"".join(tlv(kind, value) for kind, value in header.tlvs)
    if header.source is None or header.destination is None:
        assert (header.source, header.destination, header.transport) == (None, None, None)
        return binary(PROXY, 0x00, behind)
    ends = (header.source, header.destination)
    transport = {"stream": 1, "datagram": 2}[str(header.transport)]
    if all(end.port is None for end in ends):
        return binary(PROXY, 0x30 | transport, struct.pack("108s108s", *map(path_of, ends)) + behind)
    version = 6 if ":" in header.source.address else 4
    packed = [socket.inet_pton(socket.AF_INET6 if version == 6 else socket.AF_INET, end.address) for end in ends]
    ports = struct.pack("!HH", *[end.port for end in ends])
    return binary(PROXY, (0x20 if version == 6 else 0x10) | transport, b"".join(packed) + ports + behind)


def path_of(end: Endpoint) -> bytes:
    assert end.address.startswith("unix:")
    return end.address.removeprefix("unix:").encode("ascii").decode("unicode_escape").encode("latin-1")


def said_by_line(data: bytes) -> tuple[int, Endpoint | None, Endpoint | None] | None:
    """What a line says, its length and both ends; None where it is no line that has to be taken."""
    found = LINE.match(data[:107])
    if found is None:
        return None
    if found[1] is None:
        return found.end(), None, None
    family = socket.AF_INET if found[1] == b"TCP4" else socket.AF_INET6
    ends = []
    for address, port in ((found[2], found[4]), (found[3], found[5])):
        try:
            packed = socket.inet_pton(family, address.decode("ascii"))
        except (UnicodeDecodeError, OSError, ValueError):
            return None
        if int(port) > 65535:
            return None
        if packed[:12] == bytes(10) + b"\xff\xff":
            packed = packed[12:]
        text = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
        ends.append(Endpoint(text, int(port)))
    return found.end(), ends[0], ends[1]
