"""The guard as a dependency of FastAPI: it is asked after the host's authentication, before what depends on it.

    authenticated --> scope --> allowed --> rate limit --> the endpoint
    the host's own              |  this file
    401         403             '-- NotAllowed --> the product's answer; a websocket is closed before it opens

FastAPI calls a dependency after all dependencies that it depends on itself.  So `Depends` says the order of a
policy's checks: `key` is the host's authentication, or a scope check that depends on the authentication.  Checks that
follow the address check depend on this dependency (B7, B8, U9 to U11).

A denial is an exception, and `install` registers the function that answers it.  Without `install`, a denial is an error
500.  If an endpoint changes lists, it raises the engine's errors; `install` registers an answer to these, too
(`admin.py`).

Starlette has no dependencies.  Use the middleware of `asgi.py` there, behind the host's authentication.

Source: B2, B7, U7.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import Depends
from starlette.requests import HTTPConnection  # noqa: TC002  FastAPI reads the annotation
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from .admin import REFUSED, refused_change
from .asgi import keep_answer, leave_decision, origin_of
from .face import Face
from .guard import Guard, GuardDecision, check_face

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from .._keys import Response as Told
    from .face import Answer

__all__ = ["NotAllowed", "allow_list_dependency", "answer", "answer_change", "install"]


class NotAllowed(Exception):
    """A request was denied; `response` is what its client is told, `found` the decision."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("a request was denied, and nothing answers that: call install(app)")
        self.found = answer.found
        self.response = answer.refusal


class _Asked(NamedTuple):
    """What the face is asked about: a connection, and its key, which FastAPI has already found."""

    connection: HTTPConnection
    key: Any


def allow_list_dependency(
    guard: Guard, key: Callable[..., Any], *, without_key: str = "deny"
) -> Callable[..., Awaitable[GuardDecision | None]]:
    """Make a dependency that lets a request or a websocket pass if its key may be used from the client's address.

    Args:
        guard: a `Guard`.
        key: a dependency that gives the id of the request's key, or None if it has no key.  It is the host's
            authentication, so it must check a key before it gives the id.  It may raise HTTPException(401) itself.
        without_key: "deny" answers a request without a key with 401; "pass" lets it pass, and the guard is not asked.
    Returns:
        A dependency.  Its value is the `GuardDecision`, or None for a request that passed without a key.
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
    """
    check_face(guard, key, without_key)
    face = Face[_Asked](
        guard, lambda asked: asked.key, lambda asked: origin_of(asked.connection.scope), without_key=without_key
    )

    found_before = Depends(key)

    async def allowed(connection: HTTPConnection, key_id: Any = found_before) -> GuardDecision | None:
        answer = await face.wait_for_decision(_Asked(connection, key_id))
        keep_answer(connection.scope, answer)
        if answer.refusal is not None:
            raise NotAllowed(answer)
        leave_decision(connection.scope, answer.found)
        return answer.found

    return allowed


def install(app: Starlette) -> None:
    """Register the answers to denials and to refused changes; an application mounted in another needs its own call."""
    app.add_exception_handler(NotAllowed, answer)
    for kind in REFUSED:
        app.add_exception_handler(kind, answer_change)


async def answer(connection: Any, error: Exception) -> Any:
    """Answer a denial in the form of the product.  A websocket that cannot get this response is closed."""
    if not isinstance(error, NotAllowed) or error.response is None:
        raise error
    response = _render(error.response)
    if not isinstance(connection, WebSocket):
        return response
    can_answer = "websocket.http.response" in (connection.scope.get("extensions") or {})
    if can_answer and connection.application_state is WebSocketState.CONNECTING:
        await connection.send_denial_response(response)
    else:
        await connection.close(1008, "not allowed")
    return None


async def answer_change(connection: Any, error: Exception) -> Response:
    """Answer a request whose change an engine refused."""
    if not isinstance(error, REFUSED) or isinstance(connection, WebSocket):
        raise error
    return _render(refused_change(error))


def _render(told: Told) -> Response:
    """Make a Starlette response."""
    return Response(told.body, told.status, dict(told.headers))
