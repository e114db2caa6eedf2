"""Three readers of the PROXY protocol behind one question, and a generator of headers that are nearly right.

    draw_headers(count, rng)     good headers of both versions, most of them damaged, most with something behind
    READERS[name].ours(data), .theirs(data)     what each makes of the bytes so far:

        "more"    it would wait
        "bad"     it refuses, by whatever exception
        Said      what it takes: bytes consumed, command, both ends, transport, and what stands behind the addresses

proxy-protocol keeps TLVs by type, of equal types the last; aiosmtpd keeps the bytes.  Each is compared in its own form,
so what ours says of them is made for the reader that it is compared with.  Nobody's TLVs of a local connection are
compared, for we discard them.  Both read streams: they get one that has these bytes and ends.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable, Coroutine, Iterator
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, NamedTuple, TypeAlias

import aiosmtpd.proxy_protocol
from proxyprotocol import ProxyProtocolIncompleteError
from proxyprotocol.detect import ProxyProtocolDetect
from proxyprotocol.result import is_ipv4, is_ipv6, is_local, is_unix

from cidrmatch.client import Endpoint, read_proxy_protocol
from tests.proxy_headers import LOCAL, PROXY, SIGNATURE, binary, path_of, summed, tlv, unix

Address: TypeAlias = "IPv4Address | IPv6Address | bytes"
"""Bytes are a path of a UNIX socket."""
TLVs: TypeAlias = tuple[tuple[int, bytes], ...]
End: TypeAlias = "tuple[Address, int | None] | None"


class Said(NamedTuple):
    """What a reader takes."""

    consumed: int
    command: str
    source: End
    destination: End
    transport: str | None
    behind: Any


Answer: TypeAlias = "Said | Literal['more', 'bad']"


# The readers


def written_tlvs(tlvs: TLVs) -> bytes:
    return b"".join(tlv(kind, value) for kind, value in tlvs)


def ours(data: bytes, behind: Callable[[TLVs], Any]) -> Answer:
    header = read_proxy_protocol(data, limit=0xFFFF)
    if header.status != "ok":
        assert header.consumed == 0
        return "bad" if header.status == "bad" else "more"
    ends = end_of(header.source), end_of(header.destination)
    return Said(header.consumed, str(header.command), *ends, header.transport, behind(header.tlvs))


def end_of(end: Endpoint | None) -> End:
    if end is None:
        return None
    if end.port is None:
        return path_of(end), None
    return (IPv6Address if ":" in end.address else IPv4Address)(end.address), end.port


DETECT = ProxyProtocolDetect()


def proxy_protocol(data: bytes) -> Answer:
    """Ask `proxy-protocol`, giving it as many bytes or lines as it wants, as its own reader does."""
    at = 0
    while True:
        try:
            result = DETECT.unpack(data[:at])
            break
        except ProxyProtocolIncompleteError as incomplete:
            want = incomplete.want_read
            end = data.find(b"\n", at) + 1 if want.want_line else at + (want.want_bytes or 0)
            if not at < end <= len(data):
                return "more"
            at = end
        except (ValueError, struct.error):
            return "bad"
    if is_local(result):
        return Said(at, "local", None, None, None, {})
    transport = {None: None, 1: "stream", 2: "datagram"}[result.protocol]
    ends: tuple[End, End] = (None, None)
    if is_unix(result):
        ends = (result.source.encode(), None), (result.dest.encode(), None)
    elif is_ipv4(result) or is_ipv6(result):
        ends = result.source, result.dest
        transport = transport or ("stream" if data.startswith(b"PROXY") else None)
    return Said(at, "proxy", *ends, transport, dict(result.tlv))


@cache
def loop() -> asyncio.AbstractEventLoop:
    """A loop that never runs: what a stream reader asks for at birth."""
    return asyncio.new_event_loop()


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits, though the stream has ended")


def aiosmtpd_reader(data: bytes) -> Answer:
    stream = asyncio.StreamReader(loop=loop())
    stream.feed_data(data)
    stream.feed_eof()
    try:
        found = finish(aiosmtpd.proxy_protocol.get_proxy(stream))
    except asyncio.IncompleteReadError:
        return "more"
    if not found.valid:
        is_cut = "bytes read on a total of" in found.error or "Connection lost" in found.error
        return "more" if is_cut else "bad"
    consumed = len(data) - len(finish(stream.read()))
    if found.command == 0:
        return Said(consumed, "local", None, None, None, b"")
    transport = {0: None, 1: "stream", 2: "datagram"}[int(found.protocol)]
    source, destination = aiosmtpd_end(found.src_addr, found.src_port), aiosmtpd_end(found.dst_addr, found.dst_port)
    return Said(consumed, "proxy", source, destination, transport, bytes(found.rest) if found.version == 2 else b"")


def aiosmtpd_end(address: Address | None, port: int | None) -> End:
    if address is None:
        return None
    return (address.rstrip(b"\0"), None) if isinstance(address, bytes) else (address, port)


class Reader(NamedTuple):
    """A reader, and ours in its form."""

    theirs: Callable[[bytes], Answer]
    ours: Callable[[bytes], Answer]


READERS = {
    "proxy-protocol": Reader(proxy_protocol, partial(ours, behind=dict)),
    "aiosmtpd": Reader(aiosmtpd_reader, partial(ours, behind=written_tlvs)),
}


# Headers, good and damaged

PLACES4 = ("203.0.113.9", "198.51.100.1", "0.0.0.0", "255.255.255.255", "10.0.0.1")
PLACES6 = (
    "2001:db8::9", "::", "::1", "::ffff:203.0.113.9", "fe80::1", "2001:DB8:0:0:1:0:0:1", "::1.2.3.4", "ff02::1:2",
)  # fmt: skip
ODD_WORDS = (
    "", "0", "00", "01", "65535", "65536", "-1", "+1", "1_0", "0x1", "203.0.113.09", "203.0.113", "1.2.3.4/32",
    "fe80::1%eth0", "[::1]", "::ffff:0:0", "localhost", "UNKNOWN", "TCP4", "TCP6", "UDP4", "tcp4", "XTCP4", "TCPX6",
    "12345:1::", "1:2:3:4:5:6:7:8:9", "TCP46", "\xb9",
)  # fmt: skip
PATHS = (b"", b"/run/a.sock", b"\0abstract", b"/\xc3\xa9", b"a\0b", b"x" * 108)
FIELDS = (0x00, 0x01, 0x0C, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x31, 0x41)
"""What a byte of version and command, family and transport, or length is changed to."""
BEHIND = (b"", b"GET / HTTP/1.1\r\n\r\n", b"\r\n", b"\n", bytes(40), b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20" * 9)
"""What follows a header, or stands where one was cut."""


def draw_line(rng: random.Random) -> bytes:
    family = rng.choice(("TCP4", "TCP4", "TCP6", "TCP6", "UNKNOWN"))
    places = PLACES6 if family == "TCP6" else PLACES4
    words = ["PROXY", family, rng.choice(places), rng.choice(places), draw_port(rng), draw_port(rng)]
    if family == "UNKNOWN":
        del words[rng.randint(2, 6) :]
    if family == "TCP6" and rng.random() < 0.02:
        words[2] = "fe80::1%eth0"
    while rng.random() < 0.2:
        words[rng.randrange(len(words))] = rng.choice(ODD_WORDS)
    if rng.random() < 0.1:
        first, second = rng.randrange(len(words)), rng.randrange(len(words))
        words[first], words[second] = words[second], words[first]
    if rng.random() < 0.05:
        words.insert(rng.randint(0, len(words)), rng.choice(words))
    if rng.random() < 0.03:
        words[-1] += "x" * rng.randint(40, 120)
    return " ".join(words).encode("latin-1") + b"\r\n"


def draw_port(rng: random.Random) -> str:
    return str(rng.choice((0, 1, 443, 65535, rng.getrandbits(16))))


def draw_tlvs(rng: random.Random) -> bytes:
    kinds = (1, 2, 4, 4, 5, 0x20, 0x30, 0xE0)
    count = rng.choice((0, 0, 1, 2, 3))
    found = [tlv(rng.choice(kinds), rng.randbytes(rng.choice((0, 1, 4, 5, 9)))) for _ in range(count)]
    if rng.random() < 0.03:
        found.append(tlv(rng.choice((3, 5, 0x20)), rng.randbytes(rng.choice((0, 3, 4, 5, 128, 129)))))
    return b"".join(found)


def draw_block(family: int, rng: random.Random) -> bytes:
    if family >> 4 == 3:
        return unix(rng.choice(PATHS), rng.choice(PATHS))
    size = {1: 4, 2: 16}.get(family >> 4, 0)
    mapped = bytes(10) + b"\xff\xff"
    ends = [mapped + rng.randbytes(4) if size == 16 and rng.random() < 0.1 else rng.randbytes(size) for _ in "12"]
    return b"".join(ends) + (rng.randbytes(4) if size else b"")


def draw_binary(rng: random.Random) -> bytes:
    command = rng.choice((LOCAL, PROXY, PROXY, PROXY))
    family = rng.choice((0x00, 0x11, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32))
    stands = family if rng.random() < 0.95 else rng.choice((0x00, 0x11, 0x21, 0x31))
    block = draw_block(stands, rng)
    if command == LOCAL and rng.random() < 0.5:
        block = b""
    before, behind = draw_tlvs(rng), draw_tlvs(rng)
    if rng.random() < 0.4:
        return summed(command, family, block + before, behind)
    return binary(command, family, block + before + behind)


def damage(data: bytes, rng: random.Random) -> bytes:
    whole = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(whole) + 1) if rng.random() < 0.5 else rng.randint(0, min(len(whole), 20))
        way = rng.randrange(7)
        if way == 0 and at < len(whole):
            whole[at] ^= 1 << rng.randrange(8)
        elif way == 1 and at < len(whole):
            whole[at] = rng.choice((rng.randrange(256), 0x20, 0x21, 0x0A, 0x0D, 0x00, 0x11, 0x30))
        elif way == 2:
            whole[at:at] = rng.choice((b" ", b"0", b"\r", b"\n", b"\0", b"1", b":", rng.randbytes(1)))
        elif way == 3:
            del whole[at : at + rng.choice((1, 1, 2, 7))]
        elif way == 4:
            del whole[at:]
        elif way == 5 and len(whole) > 16:
            whole[rng.choice((12, 13, 14, 15))] = rng.choice(FIELDS)
        elif way == 6:
            length = rng.randint(1, 20)
            start = rng.randint(0, len(whole))
            whole[at : at + length] = whole[start : start + length]
    return bytes(whole)


def draw_headers(count: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield a kind and the bytes that arrived."""
    for _ in range(count):
        version, draw = rng.choice((("v1", draw_line), ("v2", draw_binary)))
        data, kind = draw(rng), f"{version} as drawn"
        if rng.random() < 0.7:
            data, kind = damage(data, rng), f"{version} damaged"
        yield kind, data + rng.choice(BEHIND)
