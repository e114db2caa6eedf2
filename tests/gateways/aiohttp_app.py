"""A service of aiohttp: `python -m tests.gateways.aiohttp_app PORT`, or a path of a UNIX socket.

WAIT=1 makes coroutine functions of the host's checks.  REMOTES=1 puts a middleware in front that rewrites
`request.remote` by a header.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from aiohttp import web

from cidrmatch.gateways.aiohttp import allow_list_middleware, decision_of
from tests.gateways import host


def key_of(request: web.Request) -> str | None:
    if request.headers.get("X-API-Key") == "aborts":
        raise web.HTTPOk
    return host.known(request.headers.get("X-API-Key"))


async def key_of_waiting(request: web.Request) -> str | None:
    return key_of(request)


@web.middleware
async def remotes(request: web.Request, handler: Any) -> Any:
    return await handler(request.clone(remote=request.headers.get("X-Forwarded-For", "6.6.6.6")))


async def index(request: web.Request) -> web.Response:
    try:
        return web.json_response(host.said(decision_of(request)))
    except LookupError:
        return web.json_response(host.said(None))


async def websocket(request: web.Request) -> web.WebSocketResponse:
    opened = web.WebSocketResponse()
    await opened.prepare(request)
    await opened.send_json(host.said(decision_of(request)))
    await opened.close()
    return opened


def build() -> web.Application:
    steps = host.STEPS[host.PRESET]
    waits = bool(os.environ.get("WAIT"))
    guarded = allow_list_middleware(
        host.build_guard(),
        key_of_waiting if waits else key_of,
        without_key=os.environ.get("WITHOUT_KEY", "deny"),
        steps={name: host.waiting(step) for name, step in steps.items()} if waits else steps,
    )
    app = web.Application(middlewares=[remotes, guarded] if os.environ.get("REMOTES") else [guarded])
    app.add_routes([web.get("/", index), web.get("/socket", websocket)])
    return app


if __name__ == "__main__":
    where = sys.argv[1]
    if where.isdigit():
        web.run_app(build(), host="127.0.0.1", port=int(where))
    else:
        web.run_app(build(), path=where)
