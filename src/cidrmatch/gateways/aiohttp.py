"""The guard as a middleware of aiohttp: asked behind the middlewares that the host lists before it.

    web.Application(middlewares=[authenticate, allow_list_middleware(guard, key_of), count_quota])
                                                      '--denied--> the product's answer, before a websocket opens

The peer is that of the connection, which the transport knows.  `request.remote` is not asked: a middleware such as
those of aiohttp-remotes may have rewritten it.

Source: B2, B7, B8, U7, U9 to U11.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from .face import Face
from .guard import GuardDecision, let_through

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from .face import Origin, Steps
    from .guard import Guard

__all__ = ["allow_list_middleware", "decision_of"]

STATE: web.RequestKey[GuardDecision] = web.RequestKey("cidrmatch", GuardDecision)
"""The key of the decision at a request."""


def allow_list_middleware(
    guard: Guard,
    key: Callable[[web.Request], Awaitable[str | None] | str | None],
    *,
    without_key: str = "deny",
    steps: Steps | None = None,
) -> Middleware:
    """Make a middleware that lets a request through if its key may be used from where it comes.

    Args:
        guard: a `Guard`.
        key: gives the id of the request's key by the request, or None where it has none; may be a coroutine function.
            It is the host's authentication, so it must not take a key that it did not check.
        without_key: "deny" answers a request without a key by 401; "pass" lets it through unasked.
        steps: the host's other checks by the names of the policy's pipeline, functions of the request and the key's
            id; see `Face`.
    Raises:
        TypeError, ValueError: an argument is of another kind.
    """
    face = Face[web.Request](guard, key, _origin_of, without_key=without_key, steps=steps)

    @web.middleware
    async def allow_list(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await face.wait_for_decision(request)
        if answer.refusal is not None:
            told = answer.refusal
            return web.Response(body=told.body, status=told.status, headers=list(told.headers))
        if answer.found is not None:
            request[STATE] = answer.found
        return await handler(request)

    return allow_list


def decision_of(request: web.Request) -> GuardDecision:
    """Give the decision that let a request through.

    Raises:
        LookupError: no guard stands in front, or the request passed without a key.
    """
    return let_through(request.get(STATE))


def _origin_of(request: web.Request) -> Origin:
    """Give the address at the other end of the connection, and the header lines.

    A peer that is not known is no peer on a UNIX socket, so that the socket has to say that it is one.

    Raises:
        ConnectionError: the connection is gone, and nobody knows its peer.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionError("the connection is gone")
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family == getattr(socket, "AF_UNIX", None):
        return None, request.raw_headers
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple) or not peer or not peer[0]:
        raise ConnectionError("the connection does not say who its peer is")
    return str(peer[0]), request.raw_headers
