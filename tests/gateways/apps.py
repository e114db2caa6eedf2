"""The applications that the servers of these tests run, each with the guard in front.

They answer with the address that was judged, so that a client sees what the server made of its request:

    200  {"address": "203.0.113.9", "reason": "matched"}
    403  the product's denial, with the address (bitbybit)

What stands between the client and the server is said by environment variables.
"""

from __future__ import annotations

import json
import os
from typing import Any

from cidrmatch import Engine, presets
from cidrmatch.client import ClientStrategy, PeerAddress, TrustedHops, TrustedProxies
from cidrmatch.gateways import asgi, wsgi
from cidrmatch.gateways.guard import Guard, GuardDecision
from tests.servers import live

STRATEGIES: dict[str, ClientStrategy] = {
    "peer": PeerAddress(),
    "proxies": TrustedProxies(["127.0.0.0/8", "::1", "10.0.0.0/8"]),
    "forwarded": TrustedProxies(["127.0.0.0/8", "::1", "10.0.0.0/8"], header="forwarded"),
    "hops": TrustedHops(1, trusted=["127.0.0.0/8", "::1"]),
    "unix": TrustedProxies(["10.0.0.0/8"], unix=True),
    "strangers": TrustedProxies(["10.0.0.0/8"]),
    "one proxy": TrustedProxies(["127.0.0.1"]),
}


def build_guard() -> Guard:
    engine = Engine(presets.bitbybit())
    engine.put_key("key_1", [("203.0.113.0/24", "home"), "2001:db8::/48"])
    engine.put_key("local", ["127.0.0.1"])
    engine.put_key("near", ["127.0.0.9"])
    engine.put_key("open")
    return Guard(engine, STRATEGIES[os.environ.get("STRATEGY", "proxies")], show_address=True)


def said(found: GuardDecision) -> bytes:
    return json.dumps({"address": found.address, "reason": str(found.reason)}).encode()


def key_of_scope(scope: Any) -> str | None:
    found = [value for name, value in scope["headers"] if name == b"x-api-key"]
    return found[0].decode("latin-1") if len(found) == 1 else None


async def inner_asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    body = said(asgi.decision_of(scope))
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body.decode()})
        await send({"type": "websocket.close"})
        return
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


def inner_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    body = said(wsgi.decision_of(environ))
    start_response("200 OK", [("content-length", str(len(body)))])
    return [body]


asgi_app = asgi.AllowListMiddleware(inner_asgi, guard=build_guard(), key=key_of_scope)
wsgi_app = wsgi.AllowListMiddleware(inner_wsgi, guard=build_guard(), key=lambda environ: environ.get("HTTP_X_API_KEY"))
