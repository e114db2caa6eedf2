"""Each file of examples/gateways, by the real gateway, in front of the real `cidrmatch serve`.

client at 127.0.0.9 or .10 --> gateway --> `cidrmatch serve`, or a server that is none
                                  '-----> application, which must see nothing of a request that was denied
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cidrmatch import Engine, presets
from cidrmatch.service.usage.filters import UsageFilter
from cidrmatch.service.usage.log import UsageLog
from tests.databases import wait_until
from tests.gateways.gateway_stand import GATEWAYS, Answer, Stand, gateway, proxy_v1, proxy_v2, response, serve, stand
from tests.gateways.hostile import hostile
from tests.gateways.serving import ask, read, send
from tests.servers import connect

if TYPE_CHECKING:
    from cidrmatch.service.usage.record import UsageRecord

LISTED, UNLISTED = "127.0.0.9", "127.0.0.10"
DENIAL = b'{"error":{"code":"IP_NOT_ALLOWED","message":"Request IP address is not in the API key\'s allowlist"}}'


class Served(NamedTuple):
    port: int
    snapshot: Path
    token: str
    usage: UsageLog


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gateways")
    engine = Engine(presets.bitbybit())
    engine.put_key("near", [LISTED, "::1", "2001:db8::9"])
    engine.put_key("far", ["203.0.113.0/24"])
    engine.put_key("moving", ["203.0.113.0/24"])
    engine.put_key("open")
    engine.save(folder / "keys.snap")
    token = secrets.token_hex(16)
    (folder / "token").write_text(token, encoding="ascii")
    url = f"sqlite:///{folder / 'usage.db'}"
    with serve(folder / "keys.snap", folder / "token", f"--usage-log={url}") as port, closing(UsageLog(url)) as usage:
        yield Served(port, folder / "keys.snap", token, usage)


@pytest.fixture(scope="module", params=GATEWAYS)
def standing(request: pytest.FixtureRequest, served: Served) -> Iterator[Stand]:
    with stand(request.param, served.port, served.token) as found:
        yield found


@pytest.fixture
def here(standing: Stand) -> Stand:
    standing.application.requests.clear()
    standing.wrong.requests.clear()
    return standing


def test_listed_client_reaches_the_application(here: Stand) -> None:
    reply = ask(here.ports["in"], "near", source=LISTED, path="/a/b?c=d")
    assert reply.status == 200
    (request,) = here.application.requests
    assert request.startswith(b"GET /a/b?c=d HTTP/1.1\r\n")
    addresses = re.findall(rb"(?im)^x-forwarded-for: (.*)\r$", request)
    assert addresses == [b"127.0.0.9, 127.0.0.1" if here.name == "traefik" else b"127.0.0.9"]


def test_B25_B26_B28_B29_each_request_is_on_record(here: Stand, served: Served) -> None:
    asked = [("near", LISTED, 200), ("near", UNLISTED, 403), ("nobody", LISTED, 401)]
    path = f"/on/record/{here.name}"
    for key, source, _ in asked:
        ask(here.ports["in"], key, source=source, path=f"{path}?secret=1")

    def found() -> list[UsageRecord]:
        return served.usage.find(UsageFilter(path=path))

    wait_until(lambda: len(found()) == len(asked), "the records")
    records = found()[::-1]
    assert [(each.key, each.address) for each in records] == [(key, source) for key, source, _ in asked]
    assert [each.allowed for each in records] == [True, False, False]
    assert [each.status for each in records[1:]] == [403, 401]
    assert {(each.method, each.policy, each.masked) for each in records} == {("GET", "bitbybit", None)}
    assert all(each.seconds is not None and 0 < each.seconds < 10 for each in records)
    blocked = served.usage.find(UsageFilter(path=path, key="near", method="GET", status=403, blocked=True))
    assert [each.address for each in blocked] == [UNLISTED]


def test_body_of_an_allowed_request_reaches_the_application(here: Stand) -> None:
    head = b"POST / HTTP/1.1\r\nHost: test\r\nX-API-Key: near\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
    assert read(send(here.ports["in"], head + b"hello", LISTED)).status == 200
    assert b"content-length: 5" in here.application.requests[0].lower()


def test_token_reaches_neither_the_application_nor_the_client(here: Stand) -> None:
    head = b"GET / HTTP/1.1\r\nHost: test\r\nX-API-Key: near\r\nConnection: close\r\n\r\n"
    received = send(here.ports["in"], head, LISTED)
    assert b" 200 " in received
    assert here.token.encode() not in received + here.application.requests[0]
    denied = send(here.ports["in"], head, UNLISTED)
    assert b" 403 " in denied
    assert here.token.encode() not in denied


def test_denial_is_the_products(here: Stand) -> None:
    reply = ask(here.ports["in"], "near", source=UNLISTED)
    assert reply.status == 403
    if GATEWAYS[here.name].body:
        assert reply.body == DENIAL
    assert here.application.requests == []


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "PUT", "BREW"])
def test_denial_of_any_method(here: Stand, method: str) -> None:
    head = f"{method} / HTTP/1.1\r\nHost: test\r\nX-API-Key: near\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert read(send(here.ports["in"], head.encode(), UNLISTED)).status in (400, 403, 405)
    assert here.application.requests == []


@pytest.mark.parametrize(
    "path", ["/auth", "/auth/quiet", "/cidrmatch", "/envoy/", "/v1/keys", "/metrics", "//", "/a/../b"]
)
def test_no_path_is_let_through(here: Stand, path: str) -> None:
    assert ask(here.ports["in"], "near", source=UNLISTED, path=path).status in (400, 401, 403, 404)
    assert here.application.requests == []


def test_unknown_key_and_no_key(here: Stand) -> None:
    unknown = ask(here.ports["in"], "who", source=LISTED)
    assert unknown.status == 401
    if GATEWAYS[here.name].body:
        assert json.loads(unknown.body)["reason"] == "unknown_key"
    assert ask(here.ports["in"], None, source=LISTED).status == 401
    assert here.application.requests == []


def test_two_keys_are_no_key(here: Stand) -> None:
    """A server may read the first line and the application the last."""
    for first, second in (("near", "far"), ("far", "near"), ("near", "near")):
        assert ask(here.ports["in"], first, f"X-API-Key: {second}", source=LISTED).status in (400, 401)
    assert here.application.requests == []


SPOOFS: tuple[list[str], ...] = (
    [f"X-Forwarded-For: {LISTED}"],
    ["X-Forwarded-For: 127.0.0.1"],
    [f"X-Forwarded-For: {LISTED}", f"X-Forwarded-For: {LISTED}"],
    [f"X-Forwarded-For: {LISTED}, 127.0.0.1", "X-Forwarded-For: 127.0.0.1"],
    [f"X_Forwarded_For: {LISTED}"],
    [f"X-Forwarded-For: {LISTED}", f"X_Forwarded_For: {LISTED}"],
    ["X_API_Key: open"],
    ["X-Forwarded-For: junk"],
    ["X-Forwarded-For:"],
    [f"X-Forwarded-For: {LISTED},"],
    [f"X-Real-IP: {LISTED}", f"Forwarded: for={LISTED}", f"X-Envoy-External-Address: {LISTED}"],
    ["X-Cidrmatch-Token: guess", "X-Cidrmatch-Reason: matched", "X-Cidrmatch-State: restricted"],
    ["X-Cidrmatch-Token: TOKEN-OF-CIDRMATCH"],
    ["X-HTTP-Method-Override: OPTIONS", "X-Original-URL: /auth", "X-Forwarded-Uri: /"],
)


@pytest.mark.parametrize("lines", SPOOFS, ids=" + ".join)
def test_client_is_who_connects_whatever_it_says(here: Stand, lines: list[str]) -> None:
    assert ask(here.ports["in"], "near", *lines, source=UNLISTED).status in (400, 403)
    assert here.application.requests == []
    assert ask(here.ports["in"], "near", *lines, source=LISTED).status in (200, 400)


@pytest.mark.parametrize(
    "tokens", ["close, X-Forwarded-For", "x-api-key", "close, X-Cidrmatch-Token", "keep-alive, host"]
)
def test_client_cannot_have_a_line_removed_to_its_gain(here: Stand, tokens: str) -> None:
    """RFC 9110, 7.6.1: a proxy removes the headers that `Connection` names."""
    lines = [f"Connection: {tokens}", f"X-Forwarded-For: {LISTED}", "X-Cidrmatch-Token: guess"]
    assert ask(here.ports["in"], "near", *lines, source=UNLISTED).status in (400, 401, 403)
    assert here.application.requests == []


def test_no_line_of_the_client_passes_as_an_allowance_to_the_application(here: Stand) -> None:
    assert ask(here.ports["in"], "near", "X-Cidrmatch-Token: guess", source=LISTED).status == 200
    assert b"guess" not in here.application.requests[0]


@pytest.mark.parametrize("mark", "!#$%&'*+.^_`|~")
def test_name_that_an_application_may_read_as_the_keys_is_removed(here: Stand, mark: str) -> None:
    """CGI, WSGI and PHP make one variable of X-API-Key and X_API_Key; some also of X.API.Key."""
    names = [f"X{mark}API{mark}Key", f"X-API{mark}Key", f"x{mark}Forwarded-For"]
    reply = ask(here.ports["in"], "near", *(f"{name}: far" for name in names), source=LISTED)
    assert reply.status in (200, 400)
    assert b"far" not in b"".join(here.application.requests)


@pytest.mark.parametrize("name", hostile("near", LISTED))
def test_hostile_requests_of_an_unlisted_client(here: Stand, name: str) -> None:
    with connect(here.ports["in"], UNLISTED) as stream:
        stream.settimeout(2)
        received = b""
        with suppress(OSError):  # silence, or an end in the middle of what is sent
            stream.sendall(hostile("near", LISTED)[name])
            while piece := stream.recv(65_536):
                received += piece
                stream.settimeout(0.5)
    reply = read(received)
    assert reply.status in (0, 400, 401, 403, 408, 413, 426, 431), reply
    assert here.application.requests == []


def test_second_request_of_a_connection_is_judged_anew(here: Stand) -> None:
    first = b"GET /1 HTTP/1.1\r\nHost: test\r\nX-API-Key: near\r\n\r\n"
    second = b"GET /2 HTTP/1.1\r\nHost: test\r\nX-API-Key: far\r\nConnection: close\r\n\r\n"
    received = send(here.ports["in"], first + second, LISTED)
    assert b" 200 " in received
    assert b" 403 " in received
    assert [request.split()[1] for request in here.application.requests] == [b"/1"]


def test_IPv6_client(here: Stand) -> None:
    """Envoy names itself, not ::1, for a client on its own loopback; the PROXY protocol brings it other addresses."""
    for key, status in (("near", 403 if here.name == "envoy" else 200), ("far", 403)):
        with socket.create_connection(("::1", here.ports["in6"]), 10) as stream:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nX-API-Key: " + key.encode() + b"\r\n\r\n")
            assert read(stream.recv(65_536)).status == status


@pytest.mark.parametrize("version", [proxy_v1, proxy_v2])
@pytest.mark.parametrize(("client", "server"), [(LISTED, "127.0.0.1"), ("2001:db8::9", "2001:db8::1")])
def test_PROXY_protocol_names_the_client(
    here: Stand, version: Callable[[str, str], bytes], client: str, server: str
) -> None:
    port = here.proxied["in"]
    request = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-API-Key: near\r\n"
    request += f"X-Forwarded-For: {LISTED}\r\n\r\n".encode()
    other = UNLISTED if "." in client else "2001:db8::a"
    assert read(send(port, version(client, server) + request, "127.0.0.1")).status == 200
    here.application.requests.clear()
    assert read(send(port, version(other, server) + request, "127.0.0.1")).status == 403
    if GATEWAYS[here.name].checks_balancer:
        assert read(send(port, version(client, server) + request, UNLISTED)).status in (0, 400, 403)
    assert here.application.requests == []


WEBSOCKET = (
    b"GET /socket HTTP/1.1\r\nHost: test\r\nX-API-Key: near\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_websocket_opens_for_an_allowed_client_only(here: Stand) -> None:
    with socket.create_connection(("127.0.0.1", here.ports["in"]), 10, (LISTED, 0)) as stream:
        stream.sendall(WEBSOCKET)
        received = stream.recv(65_536)
        assert read(received).status == 101
        stream.sendall(b"ping")
        while not received.endswith(b"ping"):
            piece = stream.recv(65_536)
            assert piece
            received += piece
    assert len(here.application.requests) == 1
    assert read(send(here.ports["in"], WEBSOCKET, UNLISTED)).status == 403
    assert len(here.application.requests) == 1


@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: Upgrade", "Upgrade: h2c"],
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"],
        ["Connection: Upgrade", "Upgrade: websocket, h2c"],
        ["Connection: Upgrade", "Upgrade: h2c, websocket"],
        ["Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"],
        ["Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"],
        ["Connection: Upgrade", "Upgrade: H2C"],
        ["Connection: Upgrade", "Upgrade: TLS/1.2"],
    ],
    ids=" + ".join,
)
def test_C23_no_tunnel_but_a_websocket_passes(here: Stand, lines: list[str]) -> None:
    """In a tunnel to another protocol, such as HTTP/2, nobody would be asked about the requests that follow."""
    head = ["GET / HTTP/1.1", "Host: test", "X-API-Key: near", *lines, "", ""]
    assert read(send(here.ports["in"], "\r\n".join(head).encode(), LISTED)).status != 101
    for request in here.application.requests:
        told = [
            line.partition(b":")[2].strip().lower()
            for line in request.split(b"\r\n")
            if line.lower().startswith(b"upgrade:")
        ]
        assert told in ([], [b"websocket"])


def _echo(request: bytes) -> bytes:
    """Give the client's own lines back, as a server does that shows what it got."""
    _, _, lines = request.decode("latin-1").partition("\r\n")
    kept = [line for line in lines.split("\r\n") if line.lower().startswith("x-")]
    return response(200, b"", *kept)


WRONG: dict[str, Answer] = {
    "200": lambda _: response(200, b"welcome"),
    "204": lambda _: response(204),
    "200, another token": lambda _: response(200, b"", "X-Cidrmatch-Token: " + "0" * 32),
    "204, no token": lambda _: response(204, b"", "X-Cidrmatch-Token:"),
    "200, the token in the file": lambda _: response(200, b"", "X-Cidrmatch-Token: TOKEN-OF-CIDRMATCH"),
    "200, what the client sent": _echo,
    "302": lambda _: response(302, b"", "Location: /"),
    "304": lambda _: response(304),
    "404": lambda _: response(404),
    "500": lambda _: response(500),
    "101": lambda _: response(101, b"", "Upgrade: websocket", "Connection: Upgrade"),
    "no HTTP": lambda _: b"220 mail.example ESMTP\r\n",
    "nothing": lambda _: b"",
    "half a head": lambda _: b"HTTP/1.1 204 No Content\r\nX-Cidrmatch-",
    "silence": lambda _: None,
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_server_opens_nothing(here: Stand, name: str) -> None:
    here.wrong.answer = WRONG[name]
    started = time.monotonic()
    reply = ask(here.astray["in"], "near", "X-Cidrmatch-Token: guess", source=LISTED)
    assert reply.status == GATEWAYS[here.name].silent if name == "silence" else reply.status >= 300, reply
    assert here.application.requests == []
    assert time.monotonic() - started < 8
    wait_until(lambda: bool(here.wrong.requests), "the wrong server was asked", 10)  # it may be slower than the gateway


@pytest.mark.parametrize("name", ["200", "204", "101"])
def test_wrong_server_opens_no_websocket(here: Stand, name: str) -> None:
    here.wrong.answer = WRONG[name]
    reply = read(send(here.astray["in"], WEBSOCKET, LISTED))
    assert reply.status == 0 or reply.status >= 300, reply
    assert here.application.requests == []
    wait_until(lambda: bool(here.wrong.requests), "the wrong server was asked", 10)


def test_right_token_is_what_opens(here: Stand) -> None:
    """So the refusals of the other tests are about the token."""
    status = 200 if here.name == "envoy" else 204
    here.wrong.answer = lambda _: response(status, b"", f"X-Cidrmatch-Token: {here.token}")
    assert ask(here.astray["in"], "near", source=UNLISTED).status == 200
    assert len(here.application.requests) == 1


def test_lines_that_the_pages_warn_of_would_open_the_door(here: Stand, served: Served) -> None:
    """So the tests above would notice them."""
    found = GATEWAYS[here.name]
    here.wrong.answer = lambda _: response(200)
    with gateway(here.name, here.wrong.port, here.application.port, here.token, more=found.opening) as ports:
        assert ask(ports["in"], "near", source=UNLISTED).status == 200
    if found.spoofing:
        with gateway(here.name, served.port, here.application.port, here.token, more=found.spoofing) as ports:
            assert ask(ports["in"], "near", f"X-Forwarded-For: {LISTED}", source=UNLISTED).status == 200


def test_script_that_fails_opens_nothing(served: Served) -> None:
    """HAProxy goes on with the next line, so that line has to deny."""
    more = {"local answer = ask(txn)": 'error("broken")'}
    with stand("haproxy", served.port, served.token, more) as found:
        assert ask(found.ports["in"], "near", source=LISTED).status == 503
        assert found.application.requests == []
    with stand("haproxy", served.port, served.token, {**more, **GATEWAYS["haproxy"].opening}) as found:
        assert ask(found.ports["in"], "near", source=UNLISTED).status == 200


def test_server_that_is_down_opens_nothing(here: Stand) -> None:
    here.wrong.stop()
    try:
        assert ask(here.astray["in"], "near", source=LISTED).status == GATEWAYS[here.name].down
        assert here.application.requests == []
    finally:
        here.wrong.start()


def test_edit_of_the_snapshot_is_seen_within_ten_seconds(here: Stand, served: Served) -> None:
    def seen(status: int) -> bool:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if ask(here.ports["in"], "moving", source=UNLISTED).status == status:
                return True
            time.sleep(0.1)
        return False

    for entries, status in (["127.0.0.10"], 200), (["203.0.113.0/24"], 403):
        with Engine.edit(served.snapshot) as newest:
            newest.put_key("moving", entries, replace=True)
        assert seen(status)
