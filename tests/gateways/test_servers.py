"""The guard behind real servers, on real sockets: who is judged, what is answered, and what hostile requests come to.

client --bytes--> uvicorn, hypercorn, granian, gunicorn --> guard --> application
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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


def hostile() -> dict[str, bytes]:
    """Requests that no client library sends; none of them comes from a listed address."""
    start = b"GET / HTTP/1.1\r\nHost: test\r\nX-API-Key: key_1\r\n"
    end = b"Connection: close\r\n\r\n"
    home = HOME.encode()
    lines = {
        "an underscore": b"X_Forwarded_For: " + home + b"\r\nX-Forwarded-For: 198.51.100.1\r\n",
        "an underscore alone": b"X_Forwarded_For: " + home + b"\r\n",
        "a name with a space": b"X-Forwarded-For : " + home + b"\r\nX-Forwarded-For: 198.51.100.1\r\n",
        "a folded line": b"X-Forwarded-For: " + home + b"\r\n , 198.51.100.1\r\n",
        "a fold before": b"X-Pad: 1\r\n X-Forwarded-For: " + home + b"\r\nX-Forwarded-For: 198.51.100.1\r\n",
        "NUL": b"X-Forwarded-For: " + home + b"\x00\r\n",
        "NUL before a comma": b"X-Forwarded-For: \x00, " + home + b"\x00, 10.0.0.8\r\n",
        "latin-1": b"X-Forwarded-For: \xe9\xff, 198.51.100.1\r\n",
        "latin-1 last": b"X-Forwarded-For: " + home + b", \xa0\r\n",
        "a bare CR": b"X-Forwarded-For: " + home + b"\r, 198.51.100.1\r\n",
        "a bare LF": b"X-Forwarded-For: 198.51.100.1\nX-Other: " + home + b"\r\n",
        "64 KiB": b"X-Forwarded-For: " + b"6.6.6.6," * 8_192 + home + b"\r\n",
        "10,000 elements": b"X-Forwarded-For: " + b"," * 10_000 + home + b"\r\n",
        "10,000 lines": b"X-Forwarded-For: 6.6.6.6\r\n" * 10_000 + b"X-Forwarded-For: " + home + b"\r\n",
        "two keys": b"X-API-Key: open\r\nX-Forwarded-For: 198.51.100.1\r\n",
    }
    requests = {name: start + line + end for name, line in lines.items()}
    requests["HTTP/1.0 without a host"] = b"GET / HTTP/1.0\r\nX-API-Key: key_1\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
    requests["an absolute target"] = b"GET http://" + home + b"/ HTTP/1.1\r\n" + start.partition(b"\r\n")[2] + end
    requests["no header at all"] = b"GET / HTTP/1.1\r\n\r\n"
    requests["garbage"] = b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"
    requests["the PROXY protocol"] = b"PROXY TCP4 " + home + b" 127.0.0.1 1 2\r\n" + start + end
    return requests


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
