"""The questions of people, without a server: where their work is done.

Requirements: C18 (a whole list is judged).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from cidrmatch import Engine, Policy
from cidrmatch.advice.explain import explain
from cidrmatch.client import PeerAddress
from cidrmatch.gateways.guard import Guard
from cidrmatch.service.server import api
from cidrmatch.service.server.metrics import Metrics


def ask(path: str, query: bytes = b"", body: bytes = b"") -> int:
    engine = Engine()
    engine.put_key("key_1", ["203.0.113.0/24"])
    app = api.make_api(Guard(engine, PeerAddress()), Metrics(engine), None, 10.0, lambda _app: nullcontext(), b"{}")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", b"application/json")]
    method = "POST" if body else "GET"
    scope = {"type": "http", "path": path, "query_string": query, "method": method, "headers": headers}
    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize("question", ["validate", "explain"])
def test_long_work_keeps_no_gateway_waiting(monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    """It is done in another thread than the one that answers gateways."""
    threads: list[threading.Thread] = []

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            threads.append(threading.current_thread())
            return function(*given, **named)

        return call

    monkeypatch.setattr(Policy, "validate", noted(Policy.validate))
    monkeypatch.setattr(api, "explain", noted(explain))
    if question == "validate":
        body = json.dumps({"preset": "unkey", "entries": ["203.0.113.0/24"]}).encode()
        assert ask("/v1/lists/validate", body=body) == 200
    else:
        assert ask("/v1/explain", b"key=key_1&address=203.0.113.9") == 200
    assert threads[-1] is not threading.current_thread()
