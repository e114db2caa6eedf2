"""The guard as a middleware of aiohttp, behind its own server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cidrmatch.client import TrustedProxies
from cidrmatch.gateways.aiohttp import allow_list_middleware, decision_of
from cidrmatch.gateways.guard import Guard
from tests.gateways import host, scenarios
from tests.gateways.pages import write_page
from tests.gateways.scenarios import AT_AWAY, AT_HOME, AWAY, HOME
from tests.gateways.serving import ask, running

SERVER = ["tests.gateways.aiohttp_app", "{port}"]
KINDS: dict[str, dict[str, str]] = {"functions": {}, "coroutine functions": {"wait": "1"}}


@pytest.fixture(scope="module", params=KINDS)
def port(request: pytest.FixtureRequest) -> Iterator[int | str]:
    with running(SERVER, **KINDS[request.param]) as found:
        yield found


def test_B2_B5_B6_B28_who_is_judged(port: int | str) -> None:
    scenarios.see_who_is_judged(partial(ask, port))
    assert ask(port, "key_1", AT_AWAY, path="/no_such_page").status == 403
    assert ask(port, "key_1", AT_HOME, path="/no_such_page").status == 404


def test_B2_the_headers_of_a_denial(port: int | str) -> None:
    scenarios.see_the_headers(port)


def test_B7_B8_authentication_and_scope_come_first(port: int | str) -> None:
    scenarios.see_authentication_first(partial(ask, port))


def test_C23_what_the_host_raises_lets_nobody_in(port: int | str) -> None:
    scenarios.see_errors_deny(partial(ask, port))
    assert ask(port, "aborts", AT_HOME).status == 503


def test_C23_header_names_with_underscores_and_bytes_are_no_way_in(port: int | str) -> None:
    assert ask(port, "key_1", f"X_Forwarded_For: {HOME}").status == 403
    assert ask(port, "key_1", b"X-Forwarded-For: " + HOME.encode() + b", \xe9\xff").status in (400, 403)


@pytest.mark.parametrize("kind", KINDS)
def test_U1_U6_U7_U8_U9_U10_U11_the_order_and_the_answer_of_unkey(kind: str) -> None:
    with running(SERVER, preset="unkey", **KINDS[kind]) as port:
        scenarios.see_the_answer_of_unkey(partial(ask, port))
        scenarios.see_the_order_of_unkey(partial(ask, port))


def test_request_without_a_key_passes_where_that_was_said() -> None:
    with running(SERVER, without_key="pass") as port:
        assert ask(port, None, AT_AWAY).body == b'{"address": null, "reason": null}'
        assert ask(port, "key_1", AT_AWAY).status == 403


def test_B2_B28_websockets_open_for_listed_clients_only(port: int | str) -> None:
    def open_socket(address: str) -> Any:
        headers = {"X-API-Key": "key_1", "X-Forwarded-For": address}
        with connect(f"ws://127.0.0.1:{port}/socket", additional_headers=headers, proxy=None) as websocket:
            return json.loads(websocket.recv(30))

    assert open_socket(HOME) == {"address": HOME, "reason": "matched"}
    with pytest.raises(InvalidStatus) as refused:
        open_socket(AWAY)
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["error"]["code"] == "IP_NOT_ALLOWED"


@pytest.mark.parametrize("strategy", ["proxies", "peer", "strangers"])
def test_C23_middleware_that_rewrites_the_remote_changes_nothing(strategy: str) -> None:
    with running(SERVER, remotes="1", strategy=strategy) as port:
        assert ask(port, "key_1", AT_HOME).status == (200 if strategy == "proxies" else 403)
        assert ask(port, "key_1", AT_AWAY).status == 403
        if strategy != "proxies":
            assert ask(port, "local", AT_HOME).address == "127.0.0.1"


def test_peer_on_a_unix_socket_is_trusted_where_that_was_said() -> None:
    server = ["tests.gateways.aiohttp_app", "{path}"]
    with running(server, strategy="unix") as path:
        assert ask(path, "key_1", f"X-Forwarded-For: {HOME}, 10.0.0.8").address == HOME
    with running(server, strategy="proxies") as path:
        assert ask(path, "key_1", AT_HOME).status == 403


class Transport:
    """A connection of which not all is known."""

    def __init__(self, family: int | None, peer: Any) -> None:
        self.known = {"peername": peer, "socket": None if family is None else self}
        self.family = family

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.known.get(name, default)


@pytest.mark.parametrize(
    ("transport", "status"),
    [
        (None, 503),
        (Transport(socket.AF_INET, None), 503),
        (Transport(socket.AF_INET, ""), 503),
        (Transport(socket.AF_INET6, ("",)), 503),
        (Transport(None, None), 503),
        (Transport(None, ""), 503),
        (Transport(socket.AF_UNIX, ""), 200),
        (Transport(socket.AF_INET, ("10.0.0.7", 1)), 200),
        (Transport(socket.AF_INET, ("198.51.100.1", 1)), 403),
    ],
)
def test_C23_peer_that_is_not_known_is_no_peer_on_a_unix_socket(
    transport: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard(host.build_guard().engine, TrustedProxies(["10.0.0.0/8"], unix=True))
    middleware = allow_list_middleware(guard, lambda request: "key_1")
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": HOME})
    request._protocol.transport = transport

    async def handler(asked: web.Request) -> web.StreamResponse:
        assert decision_of(asked).address == HOME
        return web.Response()

    assert asyncio.run(_answer(middleware, request, handler)).status == status
    with pytest.raises(LookupError):
        decision_of(make_mocked_request("GET", "/"))


async def _answer(middleware: Any, request: web.Request, handler: Any) -> web.StreamResponse:
    answer: web.StreamResponse = await middleware(request, handler)
    return answer


@pytest.mark.parametrize(
    "arguments", [{"guard": None}, {"key": "x-api-key"}, {"without_key": "allow"}, {"steps": {"scope": None}}]
)
def test_middleware_is_made_of_what_it_says(arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        allow_list_middleware(**{"guard": host.build_guard(), "key": lambda request: None, **arguments})


def test_lines_of_the_page_work(tmp_path: Path) -> None:
    words = ["aiohttp.web", "-H127.0.0.1", "-P{port}", "page_aiohttp:build"]
    with running(words, **write_page("aiohttp", tmp_path)) as port:
        scenarios.see_the_page(partial(ask, port))
