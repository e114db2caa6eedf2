"""The guard as a guard function of Litestar, behind real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from litestar.connection import ASGIConnection
from litestar.exceptions import WebSocketException
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cidrmatch import Response
from cidrmatch.gateways.litestar import NotAllowed, allow_list_guard, answer
from tests.gateways import host, scenarios
from tests.gateways.pages import write_page
from tests.gateways.scenarios import AT_AWAY, AT_HOME, AWAY, HOME
from tests.gateways.serving import ask, running

APP = "tests.gateways.litestar_app:app"
UVICORN = ["uvicorn", "--no-proxy-headers", "--log-level=warning", "--port={port}", APP]
SERVERS = {
    "uvicorn": UVICORN,
    "hypercorn": ["hypercorn", "--bind=127.0.0.1:{port}", APP],
    "granian": ["granian", "--interface=asgi", "--host=127.0.0.1", "--port={port}", APP],
}
OPTIONS = {"granian": {"wait": "1"}}


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest) -> Iterator[int | str]:
    with running(SERVERS[request.param], **OPTIONS.get(request.param, {})) as found:
        yield found


def test_B2_B5_B6_B28_who_is_judged(port: int | str) -> None:
    scenarios.see_who_is_judged(partial(ask, port))


def test_B2_the_headers_of_a_denial(port: int | str) -> None:
    scenarios.see_the_headers(port)


def test_B7_B8_authentication_and_scope_come_first(port: int | str) -> None:
    scenarios.see_authentication_first(partial(ask, port))


def test_C23_what_the_host_raises_lets_nobody_in(port: int | str) -> None:
    scenarios.see_errors_deny(partial(ask, port))
    assert ask(port, "aborts", AT_HOME).status == 503


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_U1_U6_U7_U8_U9_U10_U11_the_order_and_the_answer_of_unkey(server: str) -> None:
    with running(SERVERS[server], preset="unkey", **OPTIONS.get(server, {})) as port:
        scenarios.see_the_answer_of_unkey(partial(ask, port))
        scenarios.see_the_order_of_unkey(partial(ask, port))


def test_B2_B28_websockets_open_for_listed_clients_only(port: int | str) -> None:
    def open_socket(key: str, address: str) -> Any:
        headers = {"X-API-Key": key, "X-Forwarded-For": address}
        with connect(f"ws://127.0.0.1:{port}/", additional_headers=headers, proxy=None) as websocket:
            return json.loads(websocket.recv(30))

    assert open_socket("key_1", HOME) == {"address": HOME, "reason": "matched"}
    for key, address in (("key_1", AWAY), ("nobody", HOME), ("raises", HOME)):
        with pytest.raises(InvalidStatus) as refused:
            open_socket(key, address)
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("key", ["key_1", None])
def test_B2_websocket_that_is_denied_is_closed_with_1008(key: str | None) -> None:
    scope: Any = {"type": "websocket", "client": (AWAY, 4711), "headers": []}
    allowed: Any = allow_list_guard(host.build_guard(), lambda connection: key)
    with pytest.raises(WebSocketException) as closed:
        asyncio.run(allowed(ASGIConnection(scope), None))
    assert closed.value.code == 1008


def test_request_without_a_key_passes_where_that_was_said() -> None:
    with running(UVICORN, without_key="pass") as port:
        assert ask(port, None, AT_AWAY).body == b'{"address":null,"reason":null}'
        assert ask(port, "key_1", AT_AWAY).status == 403


def test_C23_server_that_rewrote_the_peer_is_refused() -> None:
    with running([word for word in UVICORN if word != "--no-proxy-headers"]) as port:
        assert ask(port, "key_1", AT_HOME).status == 503


def test_denial_that_nothing_answers_is_no_way_in() -> None:
    with running([word.replace(":app", ":bare") for word in UVICORN]) as port:
        assert ask(port, "key_1", AT_HOME).status == 200
        assert ask(port, "key_1", AT_AWAY).status == 500
        assert ask(port, None, AT_HOME).status == 500


@pytest.mark.parametrize(
    "arguments", [{"guard": None}, {"key": "x-api-key"}, {"without_key": "allow"}, {"steps": {"scope": None}}]
)
def test_guard_function_is_made_of_what_it_says(arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        allow_list_guard(**{"guard": host.build_guard(), "key": lambda connection: None, **arguments})


def test_response_of_the_host_may_have_no_headers() -> None:
    request: Any = None
    response = answer(request, NotAllowed(Response(403, (), b"no")))
    assert (response.status_code, response.content) == (403, b"no")


def test_lines_of_the_page_work(tmp_path: Path) -> None:
    words = ["uvicorn", "--no-proxy-headers", "--log-level=warning", "--port={port}", "page_litestar:app"]
    with running(words, **write_page("litestar", tmp_path)) as port:
        scenarios.see_the_page(partial(ask, port))
