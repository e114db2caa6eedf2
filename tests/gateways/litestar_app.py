"""A service of Litestar: the guard is a guard function.  WAIT=1 makes coroutine functions of the host's checks."""

import os
from typing import Any

from litestar import Litestar, Request, WebSocket, get, websocket
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException

from cidrmatch.gateways.asgi import decision_of
from cidrmatch.gateways.litestar import NotAllowed, allow_list_guard, answer
from tests.gateways import host


def key_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    if connection.headers.get("X-API-Key") == "aborts":
        raise NotAuthorizedException
    return host.known(connection.headers.get("X-API-Key"))


async def key_of_waiting(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    return key_of(connection)


waits = bool(os.environ.get("WAIT"))
steps = host.STEPS[host.PRESET]
allowed = allow_list_guard(
    host.build_guard(),
    key_of_waiting if waits else key_of,
    without_key=os.environ.get("WITHOUT_KEY", "deny"),
    steps={name: host.waiting(step) for name, step in steps.items()} if waits else steps,
)


@get("/")
async def index(request: Request[Any, Any, Any]) -> dict[str, object]:
    scope: Any = request.scope
    try:
        found = decision_of(scope)
    except LookupError:
        return host.said(None)
    assert found is request.state.cidrmatch
    return host.said(found)


@websocket("/")
async def socket(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    scope: Any = socket.scope
    await socket.send_json(host.said(decision_of(scope)))
    await socket.close()


app = Litestar([index, socket], guards=[allowed], exception_handlers={NotAllowed: answer}, openapi_config=None)
bare = Litestar([index], guards=[allowed], openapi_config=None)
"""An application in which nobody registered what answers denials."""
