"""The guard behind real servers, on real sockets: who is judged, what is answered, and what hostile requests come to.

client --bytes--> uvicorn, hypercorn, granian, gunicorn --> guard --> application
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateways.hostile import hostile
from tests.gateways.serving import ASGI_SERVERS, WSGI_SERVERS, Reply, ask, read, running, send

HOME, AWAY = "203.0.113.9", "198.51.100.1"
SERVERS = (*ASGI_SERVERS, *WSGI_SERVERS)


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest) -> Iterator[int | str]:
    with running(request.param, strategy="proxies") as found:
        yield found


@pytest.mark.parametrize(
    ("lines", "status", "address"),
    [
        ([f"X-Forwarded-For: {HOME}"], 200, HOME),
        ([f"X-Forwarded-For: 6.6.6.6, {HOME}, 10.0.0.8"], 200, HOME),
        (["X-Forwarded-For: 6.6.6.6", f"x-forwarded-for: {HOME}", "X-FORWARDED-FOR: 10.0.0.8"], 200, HOME),
        (["X-Forwarded-For: [2001:db8::9]:4711"], 200, "2001:db8::9"),
        ([f"X-Forwarded-For: {AWAY}"], 403, AWAY),
        ([f"X-Forwarded-For: {HOME}, {AWAY}"], 403, AWAY),
        ([f"X-Forwarded-For: {HOME}, junk"], 403, None),
        ([f"X-Forwarded-For: {HOME}, unknown"], 403, None),
        (["X-Forwarded-For: 10.0.0.8"], 403, None),
        (["X-Forwarded-For:"], 403, None),
        ([f"X-Real-IP: {HOME}", f"Forwarded: for={HOME}", f"X-Forwarded: {HOME}"], 403, None),
        (["Connection: close, X-Forwarded-For", f"X-Forwarded-For: {AWAY}"], 403, AWAY),
    ],
)
def test_B2_B5_B28_who_is_judged(port: int | str, lines: list[str], status: int, address: str | None) -> None:
    reply = ask(port, "key_1", *lines)
    assert (reply.status, reply.address) == (status, address)


def test_B7_request_without_a_key_is_answered_before_the_address_is_judged(port: int | str) -> None:
    assert ask(port, None, f"X-Forwarded-For: {AWAY}").status == 401
    assert ask(port, "nobody", f"X-Forwarded-For: {HOME}").status == 401
    assert ask(port, "open", "X-Forwarded-For: junk").status == 200, "a key without a list asks nothing of the address"


def test_denial_of_a_HEAD_request_has_no_body(port: int | str) -> None:
    """A body would be taken for the beginning of the next answer on the same connection."""
    head = b"HEAD / HTTP/1.1\r\nHost: test\r\nX-API-Key: key_1\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
    answer = send(port, head)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.partition(b"\r\n\r\n")[2] == b""


@pytest.mark.parametrize("name", hostile())
def test_C23_hostile_requests_are_never_allowed_and_never_an_error_of_ours(port: int | str, name: str) -> None:
    reply = read(send(port, hostile()[name]))
    assert reply.status in (0, 400, 401, 403, 413, 431), (reply, name)


@pytest.mark.parametrize("server", SERVERS)
def test_B28_forwarded_by_real_servers(server: str) -> None:
    with running(server, strategy="forwarded") as port:
        for lines, status, address in (
            ([f"Forwarded: for=6.6.6.6, for={HOME};proto=https"], 200, HOME),
            (['Forwarded: for="', 'Forwarded: for="[2001:db8::9]:1"', "Forwarded: for=10.0.0.8"], 200, "2001:db8::9"),
            ([f"Forwarded: for={HOME}, for=_hidden"], 403, None),
            ([f"X-Forwarded-For: {HOME}"], 403, None),
        ):
            reply = ask(port, "key_1", *lines)
            assert (reply.status, reply.address) == (status, address), lines


@pytest.mark.parametrize("server", SERVERS)
def test_peer_is_the_client_where_nobody_stands_in_front(server: str) -> None:
    with running(server, strategy="peer") as port:
        assert ask(port, "local", f"X-Forwarded-For: {HOME}") == ask(port, "local")
        assert ask(port, "local").address == "127.0.0.1"
        assert ask(port, "key_1", f"X-Forwarded-For: {HOME}").status == 403
    with running(server, strategy="strangers") as port:
        assert ask(port, "local", f"X-Forwarded-For: {HOME}").address == "127.0.0.1", "a peer that is not trusted"


@pytest.mark.parametrize("strategy", ["proxies", "peer"])
def test_uvicorn_as_it_comes_rewrites_the_peer_and_is_refused(strategy: str) -> None:
    """It believes X-Forwarded-For of peers on the loopback; nobody gets in by that."""
    with running("uvicorn, as it comes", strategy=strategy) as port:
        assert ask(port, "key_1", f"X-Forwarded-For: {HOME}").status == 503
        assert ask(port, "local", "X-Forwarded-For: 127.0.0.1").status in (403, 503)


def test_granian_takes_an_underscore_for_a_dash_and_is_refused() -> None:
    """By WSGI; under it, nobody is let in by a header until the host has said that a proxy drops such names."""
    with running("granian, wsgi", strategy="proxies") as port:
        for lines in ([f"X_Forwarded_For: {HOME}"], [f"X-Forwarded-For: {HOME}"], []):
            assert ask(port, "key_1", *lines).status == 503
    with running("granian, wsgi", strategy="peer") as port:
        assert ask(port, "local", f"X_Forwarded_For: {HOME}").address == "127.0.0.1"


@pytest.mark.parametrize(
    "server", ["gunicorn, on a UNIX socket", "uvicorn, on a UNIX socket", "granian, on a UNIX socket"]
)
def test_peer_on_a_unix_socket_is_trusted_where_that_was_said(server: str) -> None:
    with running(server, strategy="unix") as path:
        reply = ask(path, "key_1", f"X-Forwarded-For: {HOME}, 10.0.0.8")
        assert (reply.status, reply.address) == (200, HOME)
    with running(server, strategy="proxies") as path:
        assert ask(path, "key_1", f"X-Forwarded-For: {HOME}").status == 403


def test_C23_hypercorn_does_not_tell_a_unix_socket_and_nobody_is_let_in() -> None:
    with running("hypercorn, on a UNIX socket", strategy="unix") as path:
        assert ask(path, "key_1", f"X-Forwarded-For: {HOME}").status == 403
        assert ask(path, "open").status == 200, "a key without a list asks nothing of the address"


@pytest.mark.parametrize("server", ASGI_SERVERS)
def test_B2_websockets_open_for_listed_clients_only(server: str) -> None:
    def shake(port: int | str, address: str) -> bytes:
        lines = [
            "GET / HTTP/1.1", "Host: test", "X-API-Key: key_1", f"X-Forwarded-For: {address}", "Upgrade: websocket",
            "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "",
        ]  # fmt: skip
        return send(port, "\r\n".join(lines).encode())

    with running(server, strategy="proxies") as port:
        opened = shake(port, HOME)
        assert opened.startswith(b"HTTP/1.1 101")
        assert HOME.encode() in opened
        refused = read(shake(port, AWAY))
        assert refused.status == 403
        assert isinstance(refused, Reply)
