"""The guard as a dependency of FastAPI, behind real servers; and Starlette with the middleware."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from cidrmatch import EngineError, InvalidPrefix, LockOut, PolicyError, SnapshotError
from cidrmatch.gateways.fastapi import allow_list_dependency, answer_change, install
from tests.gateways import scenarios
from tests.gateways.pages import write_page
from tests.gateways.scenarios import AT_AWAY, AT_HOME, AWAY, HOME
from tests.gateways.serving import ask, running

APP = "tests.gateways.fastapi_app:app"
SERVERS = {
    "uvicorn": ["uvicorn", "--no-proxy-headers", "--log-level=warning", "--port={port}", APP],
    "hypercorn": ["hypercorn", "--bind=127.0.0.1:{port}", APP],
    "granian": ["granian", "--interface=asgi", "--host=127.0.0.1", "--port={port}", APP],
}


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest) -> Iterator[int | str]:
    with running(SERVERS[request.param]) as found:
        yield found


def test_B2_B5_B6_B28_who_is_judged(port: int | str) -> None:
    scenarios.see_who_is_judged(partial(ask, port))


def test_B2_the_headers_of_a_denial(port: int | str) -> None:
    scenarios.see_the_headers(port)


def test_B7_B8_authentication_and_scope_come_first(port: int | str) -> None:
    scenarios.see_authentication_first(partial(ask, port))


def test_C23_what_the_host_raises_lets_nobody_in(port: int | str) -> None:
    scenarios.see_errors_deny(partial(ask, port))
    assert ask(port, "raises", AT_HOME, path="/known").status == 500


def test_B7_key_that_is_none_is_answered_by_the_guard(port: int | str) -> None:
    assert ask(port, None, AT_HOME, path="/known").status == 401
    assert ask(port, "key_1", AT_HOME, path="/known").status == 200
    assert ask(port, None, AT_HOME, path="/pass") == ask(port, None, AT_AWAY, path="/pass")
    assert ask(port, None, AT_AWAY, path="/pass").status == 200
    assert ask(port, "key_1", AT_AWAY, path="/pass").status == 403


@pytest.mark.parametrize("server", SERVERS)
def test_B3_C26_the_exact_body(server: str) -> None:
    with running(SERVERS[server], show_address="no") as port:
        scenarios.see_the_exact_body(partial(ask, port))


@pytest.mark.parametrize("server", SERVERS)
def test_U1_U6_U7_U8_U9_U10_U11_the_order_and_the_answer_of_unkey(server: str) -> None:
    with running(SERVERS[server], preset="unkey") as port:
        scenarios.see_the_answer_of_unkey(partial(ask, port))
        scenarios.see_the_order_of_unkey(partial(ask, port))


def open_socket(port: int | str, path: str, key: str, address: str, *messages: str) -> Any:
    """Open a websocket; what it says."""
    headers = {"X-API-Key": key, "X-Forwarded-For": address}
    with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers, proxy=None) as websocket:
        for message in messages:
            websocket.send(message)
        return json.loads(websocket.recv(30))


def test_B2_B28_websockets_open_for_listed_clients_only(port: int | str) -> None:
    assert open_socket(port, "/", "key_1", HOME) == {"address": HOME, "reason": "matched"}
    with pytest.raises(InvalidStatus) as refused:
        open_socket(port, "/", "key_1", AWAY)
    assert refused.value.response.status_code == 403
    body = refused.value.response.body
    assert not body or json.loads(body)["error"]["code"] == "IP_NOT_ALLOWED"


def test_websocket_that_is_open_already_is_closed_with_1008(port: int | str) -> None:
    assert open_socket(port, "/late", "", HOME, "key_1")["address"] == HOME
    for address, key in ((AWAY, "key_1"), (HOME, "nobody")):
        with pytest.raises(ConnectionClosedError) as closed:
            open_socket(port, "/late", "", address, key)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_C23_server_that_rewrote_the_peer_is_refused() -> None:
    with running([word for word in SERVERS["uvicorn"] if word != "--no-proxy-headers"]) as port:
        for path in ("/", "/known", "/pass"):
            assert ask(port, "key_1", AT_HOME, path=path).status == 503
        assert ask(port, "local", "X-Forwarded-For: 127.0.0.1").status in (403, 503)


def test_denial_that_nothing_answers_is_no_way_in() -> None:
    with running([word.replace(":app", ":bare") for word in SERVERS["uvicorn"]]) as port:
        assert ask(port, "key_1", AT_HOME).status == 200
        assert ask(port, "key_1", AT_AWAY).status == 500
        assert ask(port, None, AT_HOME).status == 500


def test_refused_change_is_answered_to_requests_and_to_nothing_else() -> None:
    async def connect(kind: str, error: Exception) -> Any:
        scope = {"type": kind, "headers": []}
        receive: Any = None
        connection = WebSocket(scope, receive, receive) if kind == "websocket" else Request(scope)
        return await answer_change(connection, error)

    told = asyncio.run(connect("http", LockOut("203.0.113.9 would be denied")))
    assert (told.status_code, json.loads(told.body)["reason"]) == (409, "lock_out")
    for kind, error in (("websocket", LockOut("no")), ("http", SnapshotError("damaged"))):
        with pytest.raises(type(error)):
            asyncio.run(connect(kind, error))
    app = FastAPI()
    install(app)
    assert {PolicyError, InvalidPrefix, EngineError} <= set(app.exception_handlers)


@pytest.mark.parametrize("arguments", [{"guard": None}, {"key": "x-api-key"}, {"without_key": "allow"}])
def test_dependency_is_made_of_what_it_says(arguments: dict[str, Any]) -> None:
    from tests.gateways.fastapi_app import anybody, guard

    with pytest.raises((TypeError, ValueError)):
        allow_list_dependency(**{"guard": guard, "key": anybody, **arguments})


def test_guard_adds_nothing_to_the_description_of_the_service() -> None:
    from tests.gateways.fastapi_app import app

    assert isinstance(app, FastAPI)
    described = app.openapi()["paths"]["/"]["get"]
    assert (described.get("parameters", []), "requestBody" in described) == ([], False)


@pytest.mark.parametrize("number", [0, 1])
def test_lines_of_the_page_work(number: int, tmp_path: Path) -> None:
    words = ["uvicorn", "--no-proxy-headers", "--log-level=warning", "--port={port}", "page_fastapi:app"]
    with running(words, **write_page("fastapi", tmp_path, number)) as port:
        scenarios.see_the_page(partial(ask, port))
