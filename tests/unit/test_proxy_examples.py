"""The two small servers of `examples/proxy_protocol` serve clients of trusted proxies, and nobody who pretends.

Each runs in a process of its own, on a free port of the loopback.  127.0.0.1 is the proxy that they trust; 127.0.0.2 is
a stranger.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy_headers import LOCAL, PROXY, binary, ipv4, ipv6, line, summed, unix

EXAMPLES = Path(__file__).parents[2] / "examples" / "proxy_protocol"
PROXY_HOST, STRANGER = "127.0.0.1", "127.0.0.2"
PATIENCE_S = 2.0
"""How long the servers wait for a header and a line."""
LINE = b"key_live_1\n"

ALLOWED = {"with_asyncio": b"allowed 203.0.113.9\n", "with_socketserver": b"allowed: key_live_1\n"}
DENIED = {"with_asyncio": b"denied 198.51.100.9\n", "with_socketserver": b"denied\n"}


@pytest.fixture(scope="module", params=ALLOWED)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """The name of a server and its port."""
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{request.param}.py"), "0", str(PATIENCE_S)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith("listening on port "), said
            yield request.param, int(said.split()[-1])
        finally:
            process.kill()


def talk(port: int, *pieces: bytes, host: str = PROXY_HOST, pause_s: float = 0.0) -> bytes:
    """Send pieces, each in a packet of its own, and give all that comes until the other side closes."""
    with socket.create_connection((PROXY_HOST, port), timeout=30, source_address=(host, 0)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
            heard = b""
            while piece := connection.recv(1_024):
                heard += piece
        except ConnectionError:  # closed while bytes of ours lay unread
            return b""
        return heard


GOOD = {
    "v1": line("TCP4"),
    "v1 mapped": line("TCP6", "::ffff:203.0.113.9", "::1"),
    "v2": binary(PROXY, 0x11, ipv4()),
    "v2 with a checksum": summed(PROXY, 0x11, ipv4()),
}


@pytest.mark.parametrize("header", GOOD.values(), ids=GOOD)
def test_client_of_a_trusted_proxy_is_served(server: tuple[str, int], header: bytes) -> None:
    name, port = server
    assert talk(port, header + LINE) == ALLOWED[name], "in one packet"
    assert talk(port, header, LINE, pause_s=0.01) == ALLOWED[name]
    assert talk(port, header + LINE[:3], LINE[3:], pause_s=0.01) == ALLOWED[name]


@pytest.mark.parametrize("header", GOOD.values(), ids=GOOD)
def test_header_arrives_byte_by_byte(server: tuple[str, int], header: bytes) -> None:
    name, port = server
    assert talk(port, *[bytes([byte]) for byte in header + LINE], pause_s=0.001) == ALLOWED[name]


def test_client_that_is_not_listed_is_denied(server: tuple[str, int]) -> None:
    name, port = server
    assert talk(port, line("TCP4", "198.51.100.9") + LINE) == DENIED[name]
    assert talk(port, binary(PROXY, 0x11, ipv4("198.51.100.9")) + LINE) == DENIED[name]


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", line("UNKNOWN"), binary(PROXY, 0x00), binary(PROXY, 0x31, unix(b"203.0.113.9"))],
    ids=["unknown", "unknown with addresses", "unspecified", "a path that reads as an address"],
)
def test_C23_client_that_nobody_names_is_denied(server: tuple[str, int], header: bytes) -> None:
    assert talk(server[1], header + LINE).startswith(b"denied")


def test_proxy_that_asks_for_itself_is_no_client(server: tuple[str, int]) -> None:
    heard = talk(server[1], binary(LOCAL, 0x11, ipv4()) + LINE)
    assert heard == (b"here\n" if server[0] == "with_asyncio" else b"denied\n")


@pytest.mark.parametrize(
    "data",
    [
        LINE,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\n",
        line("TCP4", "203.0.113.09") + LINE,
        binary(0x31, 0x11, ipv4()) + LINE,
        summed(PROXY, 0x21, ipv6())[:-1] + b"\0" + LINE,
        binary(PROXY, 0x11, ipv4(), length=0xFFFF),
        b"PROXY TCP4 " + b"1" * 100_000,
    ],
    ids=["no header", "HTTP", "LF", "bad line", "version 3", "wrong checksum", "endless", "a line without an end"],
)
def test_trusted_proxy_without_a_good_header_hears_nothing(server: tuple[str, int], data: bytes) -> None:
    started = time.monotonic()
    assert talk(server[1], data) == b""
    assert time.monotonic() - started < PATIENCE_S, "it was closed at once"


@pytest.mark.parametrize("header", GOOD.values(), ids=GOOD)
def test_B28_stranger_cannot_say_that_it_is_another(server: tuple[str, int], header: bytes) -> None:
    assert talk(server[1], header + LINE, host=STRANGER) == b""
    assert talk(server[1], *[bytes([byte]) for byte in header + LINE], host=STRANGER, pause_s=0.001) == b""


def test_stranger_without_a_header_is_judged_by_its_own_address(server: tuple[str, int]) -> None:
    heard = talk(server[1], LINE, host=STRANGER)
    assert heard == (b"denied 127.0.0.2\n" if server[0] == "with_asyncio" else b"denied\n")


@pytest.mark.parametrize("start", [b"", b"PROX", line("TCP4")[:-1], binary(PROXY, 0x11, ipv4())[:-1]])
def test_slow_proxy_is_not_waited_for(server: tuple[str, int], start: bytes) -> None:
    started = time.monotonic()
    assert talk(server[1], start) == b""
    assert PATIENCE_S * 0.9 < time.monotonic() - started < PATIENCE_S + 20


def test_a_byte_now_and_then_does_not_hold_a_connection(server: tuple[str, int]) -> None:
    started = time.monotonic()
    drops = [bytes([byte]) for byte in b"PROXY UNKNOWN " + b"x" * 80]
    assert talk(server[1], *drops, pause_s=PATIENCE_S / 10) == b""
    assert time.monotonic() - started < PATIENCE_S + 20


def test_proxy_that_leaves_is_forgotten(server: tuple[str, int]) -> None:
    for data in (b"", b"PROXY", line("TCP4")):
        with socket.create_connection((PROXY_HOST, server[1]), timeout=30) as connection:
            connection.sendall(data)
        with socket.create_connection((PROXY_HOST, server[1]), timeout=30) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it is cut, not closed
            connection.sendall(data)
    assert talk(server[1], line("TCP4") + LINE) == ALLOWED[server[0]]


@pytest.mark.parametrize("name", ALLOWED)
def test_servers_are_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 60
