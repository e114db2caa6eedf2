"""The guard as a guard function of Litestar: it is asked after the middlewares, in the order of Litestar's layers.

    middleware: the host's authentication --> guards=[has_scope, allowed, has_quota] --> the handler
                                                                 '--> NotAllowed --> answer: the product's answer
                                                                 '--> a websocket is closed with 1008 before it opens

The host registers `answer` as the answer to a denial.  Without it, a denial is an error 500:

    Litestar(..., guards=[allowed], exception_handlers={NotAllowed: answer})

Source: B2, B7, B8, U7, U9 to U11.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from litestar import Response
from litestar.exceptions import WebSocketException

from . import asgi
from .face import Face

if TYPE_CHECKING:
    from litestar import Request
    from litestar.connection import ASGIConnection
    from litestar.handlers.base import BaseRouteHandler

    from .._keys import Response as Told
    from .face import Origin, Steps
    from .guard import Guard

    Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]

__all__ = ["NotAllowed", "allow_list_guard", "answer"]


class NotAllowed(Exception):
    """A request was denied; `response` is what its client is told."""

    def __init__(self, response: Told) -> None:
        super().__init__("a request was denied, and nothing answers that: exception_handlers={NotAllowed: answer}")
        self.response = response


def allow_list_guard(
    guard: Guard,
    key: Callable[[Connection], Awaitable[str | None] | str | None],
    *,
    without_key: str = "deny",
    steps: Steps | None = None,
) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """Make a guard function that lets a connection pass if its key may be used from the client's address.

    Args:
        guard: a `Guard`.
        key: gets the connection and gives the id of its key, or None if it has no key; may be a coroutine function.
            It is the host's authentication, so it must check a key before it gives the id.
        without_key: "deny" answers a request without a key with 401; "pass" lets it pass, and the guard is not asked.
        steps: the host's other checks.  It maps names of the policy's pipeline to functions of the connection and the
            key's id; see `Face`.
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
    """

    def origin_of(connection: Connection) -> Origin:
        scope: Any = connection.scope
        return asgi.origin_of(scope)

    face = Face["Connection"](guard, key, origin_of, without_key=without_key, steps=steps)

    async def allowed(connection: Connection, _: BaseRouteHandler) -> None:
        scope: Any = connection.scope
        answer = await face.wait_for_decision(connection)
        asgi.keep_answer(scope, answer)
        if answer.refusal is None:
            asgi.leave_decision(scope, answer.found)
        elif scope["type"] == "websocket":
            raise WebSocketException(detail="not allowed", code=1008)
        else:
            raise NotAllowed(answer.refusal)

    return allowed


def answer(_: Request[Any, Any, Any], error: NotAllowed) -> Response[bytes]:
    """Answer a denial in the form of the product."""
    told = error.response
    headers = {name.lower(): value for name, value in told.headers}
    headers.pop("content-length", None)  # Litestar writes it
    media_type = headers.pop("content-type", None)
    return Response(told.body, status_code=told.status, media_type=media_type, headers=headers)
