"""The PROXY protocol: what a header says, which is refused with which code, and who may send one.

203.0.113.9 and 2001:db8::9 are clients, 10.0.0.0/8 and fd00::/8 are our proxies.  Headers are written by
`tests/proxy_headers.py`, which knows the specification and nothing of the library.
Requirements: B28, C16 (mapped addresses), C23 (an address that is not known denies).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from cidrmatch import Engine, Policy
from cidrmatch.client import Endpoint, ProxyHeader, ProxyProtocol, proxy_protocol, read_proxy_protocol
from cidrmatch.client.proxy_protocol import MOST_ANNOUNCED
from cidrmatch.client.proxy_protocol import crc32c as our_crc32c
from tests.proxy_headers import (
    CLIENT4,
    CLIENT6,
    LOCAL,
    PROXY,
    SERVER4,
    SERVER6,
    SIGNATURE,
    binary,
    crc32c,
    ipv4,
    ipv6,
    line,
    said_by_line,
    summed,
    tlv,
    unix,
    written,
)

PAYLOAD = b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n"
ZEROS = bytes(MOST_ANNOUNCED + 300)
"""More than any header can announce, and TLVs of nothing wherever a changed length takes them for its own."""

FOUR = (Endpoint(CLIENT4, 56324), Endpoint(SERVER4, 443))
SIX = (Endpoint(CLIENT6, 56324), Endpoint(SERVER6, 443))
PATHS = (Endpoint("unix:/run/client.sock", None), Endpoint("unix:/run/server.sock", None))
NOBODY = (None, None)

SSL = tlv(0x20, b"\x01\x00\x00\x00\x00" + tlv(0x21, b"TLSv1.3"))
SSL_VALUE = SSL[3:]
LONGEST_SIX = "abcd:" * 7 + "abcd"

Said = tuple[int, str, tuple[Endpoint | None, Endpoint | None], str | None, tuple[tuple[int, bytes], ...]]

GOOD: dict[str, tuple[bytes, Said]] = {
    "v1 TCP4": (line("TCP4"), (1, "proxy", FOUR, "stream", ())),
    "v1 TCP6": (line("TCP6", CLIENT6, SERVER6), (1, "proxy", SIX, "stream", ())),
    "v1 TCP6 upper case": (line("TCP6", CLIENT6.upper(), "2001:0DB8:1:0:0:0:0:1"), (1, "proxy", SIX, "stream", ())),
    "v1 TCP6 mapped": (line("TCP6", "::ffff:203.0.113.9", "::ffff:c633:6401"), (1, "proxy", FOUR, "stream", ())),
    "v1 least": (
        line("TCP4", "0.0.0.0", "0.0.0.0", (0, 0)),
        (1, "proxy", (Endpoint("0.0.0.0", 0), Endpoint("0.0.0.0", 0)), "stream", ()),
    ),
    "v1 longest TCP4": (
        line("TCP4", "255.255.255.255", "255.255.255.255", (65535, 65535)),
        (1, "proxy", (Endpoint("255.255.255.255", 65535),) * 2, "stream", ()),
    ),
    "v1 longest TCP6": (
        line("TCP6", LONGEST_SIX, LONGEST_SIX, (65535, 65535)),
        (1, "proxy", (Endpoint(LONGEST_SIX, 65535),) * 2, "stream", ()),
    ),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", (1, "proxy", NOBODY, None, ())),
    "v1 UNKNOWN with more": (line("UNKNOWN"), (1, "proxy", NOBODY, None, ())),
    "v1 UNKNOWN with junk": (b"PROXY UNKNOWN \x00\xff  TCP4 1.2.3.4\r\n", (1, "proxy", NOBODY, None, ())),
    "v1 UNKNOWN of 107": (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", (1, "proxy", NOBODY, None, ())),
    "local": (binary(LOCAL, 0x00), (2, "local", NOBODY, None, ())),
    "local with addresses": (binary(LOCAL, 0x11, ipv4()), (2, "local", NOBODY, None, ())),
    "local with TLVs": (binary(LOCAL, 0x00, tlv(4, b"abc")), (2, "local", NOBODY, None, ())),
    "local with junk": (binary(LOCAL, 0x00, b"\xff\xff"), (2, "local", NOBODY, None, ())),
    "local of an unknown family": (binary(LOCAL, 0xFF, b"whatever"), (2, "local", NOBODY, None, ())),
    "local with a short block": (binary(LOCAL, 0x21, b"short"), (2, "local", NOBODY, None, ())),
    "local with a checksum": (summed(LOCAL, 0x00), (2, "local", NOBODY, None, ())),
    "unspecified": (binary(PROXY, 0x00), (2, "proxy", NOBODY, None, ())),
    "unspecified with TLVs": (binary(PROXY, 0x00, tlv(4)), (2, "proxy", NOBODY, None, ((4, b""),))),
    "IPv4 stream": (binary(PROXY, 0x11, ipv4()), (2, "proxy", FOUR, "stream", ())),
    "IPv4 datagram": (binary(PROXY, 0x12, ipv4()), (2, "proxy", FOUR, "datagram", ())),
    "IPv6 stream": (binary(PROXY, 0x21, ipv6()), (2, "proxy", SIX, "stream", ())),
    "IPv6 datagram": (binary(PROXY, 0x22, ipv6()), (2, "proxy", SIX, "datagram", ())),
    "IPv6 mapped": (
        binary(PROXY, 0x21, ipv6("::ffff:203.0.113.9", "::ffff:198.51.100.1")),
        (2, "proxy", FOUR, "stream", ()),
    ),
    "UNIX stream": (binary(PROXY, 0x31, unix()), (2, "proxy", PATHS, "stream", ())),
    "UNIX datagram": (binary(PROXY, 0x32, unix()), (2, "proxy", PATHS, "datagram", ())),
    "TLVs of all kinds": (
        binary(
            PROXY,
            0x11,
            ipv4() + tlv(1, b"h2") + tlv(2, b"example.org") + tlv(4, bytes(9)) + tlv(5, bytes(128)) + SSL + tlv(0xEE),
        ),
        (
            2,
            "proxy",
            FOUR,
            "stream",
            ((1, b"h2"), (2, b"example.org"), (4, bytes(9)), (5, bytes(128)), (0x20, SSL_VALUE), (0xEE, b"")),
        ),
    ),
    "one type twice": (
        binary(PROXY, 0x11, ipv4() + tlv(4, b"a") + tlv(4, b"b")),
        (2, "proxy", FOUR, "stream", ((4, b"a"), (4, b"b"))),
    ),
    "IPv4 with a checksum": (
        summed(PROXY, 0x11, ipv4()),
        (2, "proxy", FOUR, "stream", ((3, summed(PROXY, 0x11, ipv4())[-4:]),)),
    ),
    "IPv6 with a checksum between TLVs": (
        summed(PROXY, 0x21, ipv6() + tlv(4, b"abc"), tlv(1, b"h2")),
        (
            2,
            "proxy",
            SIX,
            "stream",
            ((4, b"abc"), (3, summed(PROXY, 0x21, ipv6() + tlv(4, b"abc"), tlv(1, b"h2"))[-9:-5]), (1, b"h2")),
        ),
    ),
}

BAD: dict[str, tuple[bytes, str]] = {
    "HTTP": (PAYLOAD, "signature"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", "signature"),
    "PRI of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "signature"),
    "lower case": (b"proxy TCP4", "signature"),
    "another signature": (SIGNATURE[:11] + b"\r", "signature"),
    "empty lines first": (b"\r\n" + line("TCP4"), "signature"),
    "v1 no space": (b"PROXY\r\n", "malformed"),
    "v1 word glued": (b"PROXYX TCP4 203.0.113.9 198.51.100.1 1 2\r\n", "malformed"),
    "v1 word glued to UNKNOWN": (b"PROXY2 UNKNOWN\r\n", "malformed"),
    "v1 two spaces": (b"PROXY  TCP4 203.0.113.9 198.51.100.1 1 2\r\n", "malformed"),
    "v1 tab": (b"PROXY\tTCP4 203.0.113.9 198.51.100.1 1 2\r\n", "malformed"),
    "v1 family in lower case": (line("tcp4"), "malformed"),
    "v1 UDP": (line("UDP4"), "malformed"),
    "v1 longer UNKNOWN": (b"PROXY UNKNOWNS\r\n", "malformed"),
    "v1 shorter UNKNOWN": (b"PROXY UNKNO\r\n", "malformed"),
    "v1 nothing behind the family": (b"PROXY TCP4\r\n", "malformed"),
    "v1 a word missing": (b"PROXY TCP4 203.0.113.9 198.51.100.1 1\r\n", "malformed"),
    "v1 a word more": (b"PROXY TCP4 203.0.113.9 198.51.100.1 1 2 3\r\n", "malformed"),
    "v1 space at the end": (b"PROXY TCP4 203.0.113.9 198.51.100.1 1 2 \r\n", "malformed"),
    "v1 LF alone": (b"PROXY TCP4 203.0.113.9 198.51.100.1 1 2\n", "malformed"),
    "v1 CR alone": (b"PROXY TCP4 203.0.113.9 198.51.100.1 1 2\rGET", "malformed"),
    "v1 UNKNOWN, LF alone": (b"PROXY UNKNOWN\n\r\n", "malformed"),
    "v1 UNKNOWN, LF within": (b"PROXY UNKNOWN a\nPROXY TCP4\r\n", "malformed"),
    "v1 UNKNOWN, CR within": (b"PROXY UNKNOWN a\rb\r\n", "malformed"),
    "v1 UNKNOWN of 108": (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "too_long"),
    "v1 never ends": (b"PROXY TCP4 " + b"1" * 200, "too_long"),
    "v1 TCP4 of 108": (b"PROXY TCP4 " + b"1" * 95 + b"\r\n", "too_long"),
    "v1 mixed families": (line("TCP4", CLIENT4, SERVER6), "malformed"),
    "v1 IPv6 in TCP4": (line("TCP4", CLIENT6, SERVER6), "malformed"),
    "v1 mapped in TCP4": (line("TCP4", "::ffff:203.0.113.9", SERVER4), "malformed"),
    "v1 IPv4 in TCP6": (line("TCP6"), "malformed"),
    "v1 zone": (line("TCP6", "fe80::1%eth0", SERVER6), "malformed"),
    "v1 brackets": (line("TCP6", f"[{CLIENT6}]", SERVER6), "malformed"),
    "v1 prefix": (line("TCP4", "203.0.113.9/32"), "malformed"),
    "v1 octet of 256": (line("TCP4", "203.0.113.256"), "malformed"),
    "v1 leading zero": (line("TCP4", "203.0.113.09"), "malformed"),
    "v1 three octets": (line("TCP4", "203.0.113"), "malformed"),
    "v1 no address": (line("TCP4", ""), "malformed"),
    "v1 not ASCII": (line("TCP4", "203.0.113.\xb9"), "malformed"),
    "v1 NUL": (line("TCP4", "203.0.113.9\0"), "malformed"),
    **{
        f"v1 port {port!r} {place}": (line("TCP4", ports=ports), "malformed")
        for port in ("", "65536", "99999", "100000", "00", "01", "00443", "-1", "+1", "1_0", "0x1", "1e1", "\xb9", "\0")
        for place, ports in (("first", (port, 443)), ("last", (1, port)))
    },
    "v2 version 0": (binary(0x01, 0x11, ipv4()), "version"),
    "v2 version 1": (binary(0x11, 0x11, ipv4()), "version"),
    "v2 version 3": (binary(0x31, 0x11, ipv4()), "version"),
    "v2 command 2": (binary(0x22, 0x11, ipv4()), "version"),
    "v2 command 15": (binary(0x2F, 0x11, ipv4()), "version"),
    "v2 family 4": (binary(PROXY, 0x41, ipv4()), "family"),
    "v2 family 15": (binary(PROXY, 0xF1, ipv4()), "family"),
    "v2 transport 3": (binary(PROXY, 0x13, ipv4()), "family"),
    "v2 family alone": (binary(PROXY, 0x10, ipv4()), "family"),
    "v2 transport alone": (binary(PROXY, 0x01, ipv4()), "family"),
    "v2 IPv4 without a block": (binary(PROXY, 0x11), "length"),
    "v2 IPv4 of 11": (binary(PROXY, 0x11, ipv4()[:-1]), "length"),
    "v2 IPv6 of 35": (binary(PROXY, 0x21, ipv6()[:-1]), "length"),
    "v2 IPv6 with an IPv4 block": (binary(PROXY, 0x21, ipv4()), "length"),
    "v2 UNIX of 215": (binary(PROXY, 0x31, unix()[:-1]), "length"),
    "v2 over the limit": (binary(PROXY, 0x11, ipv4(), length=MOST_ANNOUNCED + 1), "too_long"),
    "v2 local over the limit": (binary(LOCAL, 0x00, length=0xFFFF), "too_long"),
    "v2 one byte of a TLV": (binary(PROXY, 0x11, ipv4() + b"\x04"), "tlv"),
    "v2 two bytes of a TLV": (binary(PROXY, 0x11, ipv4() + b"\x04\x00"), "tlv"),
    "v2 TLV over the end": (binary(PROXY, 0x11, ipv4() + tlv(4, b"abc")[:-1]), "tlv"),
    "v2 junk behind a TLV": (binary(PROXY, 0x11, ipv4() + tlv(4, b"abc") + b"x"), "tlv"),
    "v2 addresses of no family": (binary(PROXY, 0x00, ipv4()), "tlv"),
    "v2 checksum of 3 bytes": (binary(PROXY, 0x11, ipv4() + tlv(3, bytes(3))), "tlv"),
    "v2 checksum of 5 bytes": (binary(PROXY, 0x11, ipv4() + tlv(3, bytes(5))), "tlv"),
    "v2 checksum without bytes": (binary(PROXY, 0x11, ipv4() + tlv(3)), "tlv"),
    "v2 two checksums": (summed(PROXY, 0x11, ipv4() + tlv(3, bytes(4))), "tlv"),
    "v2 unique id of 129": (binary(PROXY, 0x11, ipv4() + tlv(5, bytes(129))), "tlv"),
    "v2 SSL of 4": (binary(PROXY, 0x11, ipv4() + tlv(0x20, bytes(4))), "tlv"),
    "v2 checksum of zero": (binary(PROXY, 0x11, ipv4() + tlv(3, bytes(4))), "checksum"),
    "v2 checksum of the header as it is": (
        binary(PROXY, 0x11, ipv4() + tlv(3, crc32c(binary(PROXY, 0x11, ipv4())).to_bytes(4, "big"))),
        "checksum",
    ),
    "v2 checksum, low byte first": (
        summed(PROXY, 0x11, ipv4())[:-4] + summed(PROXY, 0x11, ipv4())[-4:][::-1],
        "checksum",
    ),
    "v2 local with a wrong checksum": (summed(LOCAL, 0x00)[:-1] + b"\0", "checksum"),
    "v2 local with addresses and a wrong checksum": (
        binary(LOCAL, 0x21, ipv6() + tlv(4) + tlv(3, bytes(4))),
        "checksum",
    ),
}

good = pytest.mark.parametrize(("data", "said"), GOOD.values(), ids=GOOD)
bad = pytest.mark.parametrize(("data", "problem"), BAD.values(), ids=BAD)

PROXIES = ProxyProtocol(["10.0.0.0/8", "fd00::/8"])
TRUSTED = ("10.0.0.7", "fd00::7", "::ffff:10.0.0.7", "10.255.255.255")


# What a header says


@good
def test_B28_header_says_who_connected(data: bytes, said: Said) -> None:
    version, command, (source, destination), transport, tlvs = said
    expected = ProxyHeader("ok", None, len(data), version, command, source, destination, transport, tlvs)
    assert read_proxy_protocol(data) == expected


@good
def test_what_stands_behind_a_header_is_not_looked_at(data: bytes, said: Said) -> None:
    alone = read_proxy_protocol(data)
    assert alone.consumed == len(data)
    for behind in (b"\r", b"\n", b"\0", b"\xff", PAYLOAD, data, line("TCP4"), ZEROS):
        assert read_proxy_protocol(data + behind) == alone
        assert (data + behind)[alone.consumed :] == behind


@good
def test_every_part_of_a_header_asks_for_more_and_consumes_nothing(data: bytes, said: Said) -> None:
    for length in range(len(data)):
        assert read_proxy_protocol(data[:length]) == ProxyHeader("more"), length


@good
def test_bytes_of_every_type_are_read(data: bytes, said: Said) -> None:
    assert read_proxy_protocol(bytearray(data)) == read_proxy_protocol(memoryview(data)) == read_proxy_protocol(data)


def test_nothing_has_arrived_yet() -> None:
    assert read_proxy_protocol(b"") == ProxyHeader("more")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"", "unix:"),
        (b"203.0.113.9", "unix:203.0.113.9"),
        (b"\0abstract", "unix:\\x00abstract"),
        (b"/run/a\nb", "unix:/run/a\\nb"),
        (b"/run/it's", "unix:/run/it's"),
        (b"/run/\xc3\xa9", "unix:/run/\\xc3\\xa9"),
        (b"/" * 108, "unix:" + "/" * 108),
    ],
)
def test_C23_path_of_a_unix_socket_is_never_an_address(path: bytes, shown: str) -> None:
    header = read_proxy_protocol(binary(PROXY, 0x31, unix(path, b"/run/server.sock")))
    assert header.source == Endpoint(shown, None)
    engine = Engine(Policy())
    engine.put_key("key", [CLIENT4])
    assert not engine.allows("key", header.source.address)


@pytest.mark.parametrize(
    "data", [b"PROXY UNKNOWN\r\n", line("UNKNOWN"), binary(PROXY, 0x00), binary(LOCAL, 0x11, ipv4())]
)
def test_C23_client_that_the_proxy_does_not_name_is_denied(data: bytes) -> None:
    """Also where addresses stand in a line or a block that says nothing."""
    header = PROXIES.read("10.0.0.7", data)
    assert (header.status, header.source, header.destination) == ("ok", None, None)
    engine = Engine(Policy())
    engine.put_key("key", [CLIENT4, SERVER4, "10.0.0.7"])
    assert not engine.allows("key", header.source.address if header.source else None)


@pytest.mark.parametrize("data", [line("TCP4"), binary(PROXY, 0x21, ipv6("::ffff:203.0.113.9", "::"))])
def test_C16_client_of_a_header_is_asked_about_like_any_other(data: bytes) -> None:
    source = PROXIES.read("10.0.0.7", data).source
    assert source is not None
    engine = Engine(Policy())
    engine.put_key("key", ["203.0.113.0/24"])
    assert engine.allows("key", source.address)


# What is refused


@bad
def test_bad_header_has_its_code_and_consumes_nothing(data: bytes, problem: str) -> None:
    assert read_proxy_protocol(data) == ProxyHeader("bad", problem)
    assert PROXIES.read("10.0.0.7", data) == ProxyHeader("bad", problem)


@bad
def test_bad_header_stays_bad_whatever_follows_and_in_whatever_pieces(data: bytes, problem: str) -> None:
    statuses = [read_proxy_protocol(data[:length]) for length in range(len(data) + 1)]
    first = statuses.index(ProxyHeader("bad", problem))
    assert statuses == [ProxyHeader("more")] * first + [ProxyHeader("bad", problem)] * (len(data) + 1 - first)
    for behind in (b"\r\n", b"\n", PAYLOAD, ZEROS, line("TCP4"), binary(LOCAL, 0x00)):
        assert read_proxy_protocol(data + behind) == ProxyHeader("bad", problem)


def test_every_code_of_a_bad_header_has_an_example() -> None:
    told = str(ProxyHeader.__doc__).partition("problem:")[2].partition("consumed:")[0]
    assert {problem for _, problem in BAD.values()} | {"not_trusted"} == set(told.split('"')[1::2])


@pytest.mark.parametrize("beginning", [b"PROXYX", b"PROXY TCP5", b"PROXY  ", b"PROXY UNKNOWNX", SIGNATURE + b"\x31"])
def test_what_can_never_be_a_header_is_bad_at_once(beginning: bytes) -> None:
    assert read_proxy_protocol(beginning[:-1]).status == "more"
    assert read_proxy_protocol(beginning).status == "bad"


@pytest.mark.parametrize("command", range(256))
def test_version_is_2_and_the_command_local_or_proxy(command: int) -> None:
    header = read_proxy_protocol(binary(command, 0x11, ipv4()))
    expected = {LOCAL: (None, "local"), PROXY: (None, "proxy")}
    assert (header.problem, header.command) == expected.get(command, ("version", None))


@pytest.mark.parametrize("family", range(256))
def test_family_and_transport_are_those_of_the_specification(family: int) -> None:
    blocks = {0x00: b"", 0x11: ipv4(), 0x12: ipv4(), 0x21: ipv6(), 0x22: ipv6(), 0x31: unix(), 0x32: unix()}
    header = read_proxy_protocol(binary(PROXY, family, blocks.get(family, ipv4())))
    assert header.problem == (None if family in blocks else "family")
    assert read_proxy_protocol(binary(LOCAL, family, ipv4())).problem is None, "it is ignored for a local connection"


@pytest.mark.parametrize("port", [*range(12), 99, 100, 9_999, 10_000, 65_534, 65_535])
def test_ports_are_those_that_are_written(port: int) -> None:
    for data in (line("TCP4", ports=(port, 1)), binary(PROXY, 0x11, ipv4(ports=(port, 1)))):
        header = read_proxy_protocol(data)
        assert (header.source, header.destination) == (Endpoint(CLIENT4, port), Endpoint(SERVER4, 1))


# Every byte changed


def changes(data: bytes) -> Iterator[tuple[int, bytes]]:
    for place, byte in enumerate(data):
        for other in range(256):
            if other != byte:
                yield place, data[:place] + bytes([other]) + data[place + 1 :]


CHANGED = [
    "local", "local with addresses", "local with a checksum", "unspecified with TLVs", "IPv4 stream", "IPv6 datagram",
    "UNIX stream", "one type twice", "IPv4 with a checksum", "IPv6 with a checksum between TLVs",
]  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_every_changed_byte_is_refused_or_means_what_it_says(name: str) -> None:
    data, _ = GOOD[name]
    taken = 0
    for _, changed in changes(data):
        arrived = changed + ZEROS
        header = read_proxy_protocol(arrived)
        assert header.status in ("ok", "bad")
        if header.status == "ok":
            taken += 1
            assert header.consumed == 16 + int.from_bytes(changed[14:16], "big")
            if header.command == "local":
                assert changed[:13] == SIGNATURE + b"\x20"
                assert header == ProxyHeader("ok", None, header.consumed, 2, "local")
            else:
                assert written(header) == arrived[: header.consumed]
    assert taken > 0


@pytest.mark.parametrize("name", [name for name in CHANGED if "checksum" in name and "local" not in name])
def test_every_changed_byte_under_a_checksum_is_refused_unless_the_checksum_is_gone(name: str) -> None:
    """It goes where its own type is another, or a changed length leaves it outside the header or inside a value."""
    data, said = GOOD[name]
    at = data.index(tlv(3, dict(said[4])[3]))
    lengths = [14, 15, *([53, 54] if "between" in name else [])]
    gone = set()
    for place, changed in changes(data):
        header = read_proxy_protocol(changed + ZEROS)
        if header.status == "ok":
            assert place in (at, *lengths), (place, changed)
            assert 3 not in dict(header.tlvs)
            gone.add(place)
    assert at in gone


def test_a_local_connection_under_a_checksum_is_never_a_client() -> None:
    data, _ = GOOD["local with a checksum"]
    for place, changed in changes(data):
        header = read_proxy_protocol(changed + ZEROS)
        if header.status == "ok":
            assert 13 <= place < 19, "the family is ignored, and what is not TLVs has no checksum"
            assert (header.command, header.source) == ("local", None)


@pytest.mark.parametrize("name", [name for name in GOOD if name.startswith("v1")])
def test_every_changed_byte_of_a_line_is_refused_or_means_what_it_says(name: str) -> None:
    data, _ = GOOD[name]
    for place, changed in changes(data):
        header = read_proxy_protocol(changed + PAYLOAD)
        said = said_by_line(changed + PAYLOAD)
        assert (header.status == "ok") == (said is not None), (place, changed)
        if said is not None:
            assert (header.consumed, header.source, header.destination) == said


@pytest.mark.parametrize("data", [b"", b"\0", b"123456789", bytes(32), b"\xff" * 32, bytes(range(32)), PAYLOAD])
def test_checksum_is_that_of_the_bits(data: bytes) -> None:
    assert our_crc32c(data) == crc32c(data)


def test_checksums_of_the_rfc() -> None:
    """RFC 3720, appendix B.4, whose bytes stand in the other order."""
    for data, expected in (
        (bytes(32), "aa36918a"),
        (b"\xff" * 32, "43aba862"),
        (bytes(range(32)), "4e79dd46"),
        (bytes(range(31, -1, -1)), "5cdb3f11"),
    ):
        assert our_crc32c(data).to_bytes(4, "little").hex() == expected


# Bounds


def test_line_has_107_bytes_at_most() -> None:
    for length in range(105, 110):
        data = b"PROXY UNKNOWN " + b"x" * (length - 16) + b"\r\n"
        assert len(data) == length
        assert read_proxy_protocol(data).problem == (None if length <= 107 else "too_long")
        assert read_proxy_protocol(data[:106]).status == ("ok" if length <= 106 else "more")
    assert read_proxy_protocol(b"PROXY UNKNOWN " + b"x" * 92 + b"\r").problem == "too_long", "LF would be the 108th"


@pytest.mark.parametrize("limit", [216, 300, MOST_ANNOUNCED, 0xFFFF])
def test_announced_length_is_at_most_the_limit(limit: int) -> None:
    most = binary(PROXY, 0x11, ipv4() + tlv(4, bytes(limit - 15)))
    assert len(most) == 16 + limit
    proxies = ProxyProtocol(["10.0.0.0/8"], limit=limit)
    for ask in (partial(read_proxy_protocol, limit=limit), partial(proxies.read, "10.0.0.7")):
        assert ask(most).consumed == len(most)
        assert ask(most[:-1]).status == "more"
        if limit < 0xFFFF:
            over = binary(PROXY, 0x11, ipv4(), length=limit + 1)
            assert ask(over[:15]).status == "more"
            assert ask(over[:16]).problem == "too_long", "nothing is waited for"
        assert ask(line("TCP4")).consumed == len(line("TCP4"))


def test_limit_is_4096_where_none_is_said() -> None:
    proxies = ProxyProtocol(["10.0.0.0/8"])
    for length, expected in ((4_096, "more"), (4_097, "bad")):
        data = binary(PROXY, 0x11, length=length)
        assert read_proxy_protocol(data).status == expected
        assert proxies.read("10.0.0.7", data).status == expected


@pytest.mark.parametrize("limit", [215, 0, -1, 65_536, True, 300.0, "300", None])
def test_limit_is_a_number_of_bytes(limit: Any) -> None:
    with pytest.raises(ValueError, match="216 to 65535"):
        read_proxy_protocol(b"", limit=limit)
    with pytest.raises(ValueError, match="216 to 65535"):
        ProxyProtocol(["10.0.0.0/8"], limit=limit)


def steps(data: bytes) -> int:
    """Lines of the room that reading executes; what a collection of garbage runs meanwhile is not counted."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line" and frame.f_code.co_filename == proxy_protocol.__file__
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        read_proxy_protocol(data, limit=0xFFFF)
    finally:
        sys.settrace(before)
    return count


def test_time_is_that_of_the_header_and_not_of_what_follows() -> None:
    for data, _ in GOOD.values():
        assert steps(data) == steps(data + PAYLOAD) == steps(data + ZEROS)
        assert steps(data[:-1]) <= steps(data)


@pytest.mark.parametrize(
    "make",
    [
        lambda count: binary(PROXY, 0x11, ipv4() + tlv(4) * count),
        lambda count: binary(PROXY, 0x11, ipv4() + tlv(4, bytes(count))),
        lambda count: summed(PROXY, 0x11, ipv4(), tlv(4, bytes(count))),
        lambda count: binary(PROXY, 0x11, ipv4() + tlv(4) * count + tlv(4)[:2]),
    ],
    ids=["TLVs", "a value", "a checksum", "a broken end"],
)
def test_time_is_proportional_to_the_header(make: Callable[[int], bytes]) -> None:
    one, two, four = (steps(make(count)) for count in (1_000, 2_000, 4_000))
    assert four - two <= 2 * (two - one) + 10
    assert four < 16 * 4_000


def test_megabytes_behind_a_header_cost_nothing() -> None:
    """By the clock, for what the processor copies has no lines; the bound is a thousand times what it takes."""
    behind = memoryview(line("TCP4") + bytes(64_000_000))
    started = time.perf_counter()
    for _ in range(100):
        assert read_proxy_protocol(behind).status == "ok"
        assert PROXIES.read("10.0.0.7", behind[1:]).problem == "signature"
        assert PROXIES.read("198.51.100.9", behind[1:]).status == "ok"
    assert time.perf_counter() - started < 2


# Who may send it


@pytest.mark.parametrize("peer", TRUSTED)
def test_trusted_peer_has_to_send_a_header(peer: str) -> None:
    assert PROXIES.read(peer, PAYLOAD) == ProxyHeader("bad", "signature")
    assert PROXIES.read(peer, b"").status == "more"
    for data, _ in GOOD.values():
        assert PROXIES.read(peer, data + PAYLOAD) == read_proxy_protocol(data)


@pytest.mark.parametrize("peer", ["203.0.113.200", "2001:db8::c8", "::ffff:203.0.113.200", "11.0.0.0"])
def test_B28_other_peers_are_clients_and_may_not_send_one(peer: str) -> None:
    source = Endpoint("203.0.113.200" if peer.startswith("::ffff") else peer, None)
    assert PROXIES.read(peer, PAYLOAD) == ProxyHeader("ok", source=source)
    assert PROXIES.read(peer, b"\x16\x03\x01") == ProxyHeader("ok", source=source)
    for data, _ in GOOD.values():
        assert PROXIES.read(peer, data) == ProxyHeader("bad", "not_trusted")
        assert PROXIES.read(peer, data + PAYLOAD) == ProxyHeader("bad", "not_trusted")
    for data, problem in BAD.values():
        answer = PROXIES.read(peer, data)
        if problem == "signature":
            assert answer in (ProxyHeader("ok", source=source), ProxyHeader("more"))
        else:
            assert answer == ProxyHeader("bad", "not_trusted")


@pytest.mark.parametrize("start", [b"PROXY", SIGNATURE])
def test_other_peers_are_asked_for_more_until_it_is_clear(start: bytes) -> None:
    for length in range(len(start)):
        assert PROXIES.read("198.51.100.9", start[:length]) == ProxyHeader("more")
        if length:
            assert PROXIES.read("198.51.100.9", start[:length] + b"!").status == "ok"
    assert PROXIES.read("198.51.100.9", start) == ProxyHeader("bad", "not_trusted")
    assert PROXIES.read("198.51.100.9", start + b"!") == ProxyHeader("bad", "not_trusted")


@pytest.mark.parametrize("peer", [None, ""])
def test_peer_on_a_unix_socket_is_trusted_where_that_was_said(peer: str | None) -> None:
    trusting = ProxyProtocol(["10.0.0.0/8"], unix=True)
    assert trusting.read(peer, line("TCP4")).source == FOUR[0]
    assert trusting.read(peer, PAYLOAD).problem == "signature"
    assert trusting.read("198.51.100.9", line("TCP4")).problem == "not_trusted"
    assert PROXIES.read(peer, line("TCP4")) == ProxyHeader("bad", "not_trusted")
    assert PROXIES.read(peer, PAYLOAD) == ProxyHeader("bad", "not_trusted"), "it has no address, and is nobody's client"


@pytest.mark.parametrize("peer", ["fe80::1%eth0", "localhost", "10.0.0.7:80", "010.0.0.7", " 10.0.0.7", "unix:", "\0"])
def test_C23_peer_that_cannot_be_read_is_nobody(peer: str) -> None:
    assert PROXIES.read(peer, line("TCP4")) == ProxyHeader("bad", "not_trusted")
    assert PROXIES.read(peer, PAYLOAD) == ProxyHeader("bad", "not_trusted")
    assert ProxyProtocol(["10.0.0.0/8"], unix=True).read(peer, PAYLOAD) == ProxyHeader("bad", "not_trusted")


@pytest.mark.parametrize("peer", [b"\x0a\x00\x00\x07", b"", 0, False, 1, ("10.0.0.7", 80), (), 0.0])
def test_peer_is_text_or_none(peer: Any) -> None:
    """What is empty but no text is no UNIX socket."""
    for proxies in (PROXIES, ProxyProtocol(["10.0.0.0/8"], unix=True)):
        with pytest.raises(TypeError, match="peer"):
            proxies.read(peer, PAYLOAD)


@pytest.mark.parametrize("data", [None, "PROXY TCP4", 5, [80, 82], ("PROXY",)])
def test_what_arrived_is_bytes(data: Any) -> None:
    with pytest.raises(TypeError, match="bytes"):
        read_proxy_protocol(data)
    for peer in ("10.0.0.7", "198.51.100.9", "junk", None):
        with pytest.raises(TypeError, match="bytes"):
            PROXIES.read(peer, data)


@pytest.mark.parametrize("trusted", [[], ["0.0.0.0/0"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"], "10.0.0.0/8", [None]])
def test_trusted_prefixes_that_open_the_door_are_refused(trusted: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        ProxyProtocol(trusted)


def test_everybody_is_trusted_where_that_was_said_twice() -> None:
    everybody = ProxyProtocol(["0.0.0.0/0"], trust_everyone=True)
    assert everybody.read("198.51.100.9", line("TCP4")).source == FOUR[0]
    assert everybody.read("2001:db8::1", line("TCP4")).problem == "not_trusted"
    assert everybody.read(None, line("TCP4")).problem == "not_trusted"


@pytest.mark.parametrize("odd", [1, 0, "yes", None])
def test_switches_are_true_or_false(odd: Any) -> None:
    with pytest.raises(TypeError):
        ProxyProtocol(["10.0.0.0/8"], unix=odd)
    with pytest.raises(TypeError):
        ProxyProtocol(["10.0.0.0/8"], trust_everyone=odd)


def test_header_has_no_truth_value() -> None:
    for data in (b"", PAYLOAD, line("TCP4")):
        with pytest.raises(TypeError, match="status"):
            bool(read_proxy_protocol(data))
