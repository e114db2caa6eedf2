"""The guard as a middleware of aiohttp: it is asked after the middlewares that the host lists before it.

    web.Application(middlewares=[authenticate, allow_list_middleware(guard, key_of), count_quota])
                                                      '--denied--> the product's answer, before a websocket opens

The peer is the other end of the connection, as the transport knows it.  `request.remote` is not used, because a
middleware may have rewritten it; those of aiohttp-remotes do.

Source: B2, B7, B8, U7, U9 to U11.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from .face import Face
from .guard import GuardDecision, let_through
from .usage import Kept, check_sink

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from .face import Origin, Steps
    from .guard import Guard
    from .usage import UsageSink

__all__ = ["allow_list_middleware", "decision_of", "usage_middleware"]

STATE: web.RequestKey[GuardDecision] = web.RequestKey("cidrmatch", GuardDecision)
"""The name under which a request holds the guard's decision."""
_KEPT: web.RequestKey[Kept] = web.RequestKey("cidrmatch.kept", Kept)


def allow_list_middleware(
    guard: Guard,
    key: Callable[[web.Request], Awaitable[str | None] | str | None],
    *,
    without_key: str = "deny",
    steps: Steps | None = None,
) -> Middleware:
    """Make a middleware that lets a request pass if its key may be used from the client's address.

    Args:
        guard: a `Guard`.
        key: gets the request and gives the id of its key, or None if it has no key; may be a coroutine function.
            It is the host's authentication, so it must check a key before it gives the id.
        without_key: "deny" answers a request without a key with 401; "pass" lets it pass, and the guard is not asked.
        steps: the host's other checks.  It maps names of the policy's pipeline to functions of the request and the
            key's id; see `Face`.
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
    """
    face = Face[web.Request](guard, key, _origin_of, without_key=without_key, steps=steps)

    @web.middleware
    async def allow_list(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await face.wait_for_decision(request)
        if (kept := request.get(_KEPT)) is not None:
            kept.answer = answer
        if answer.refusal is not None:
            told = answer.refusal
            return web.Response(body=told.body, status=told.status, headers=list(told.headers))
        if answer.found is not None:
            request[STATE] = answer.found
        return await handler(request)

    return allow_list


def usage_middleware(usage: UsageSink, *, request_id: str | None = "x-request-id") -> Middleware:
    """Make a middleware that notes every request in a usage log; the host lists it first.

    Args:
        usage: a `UsageLog`; see `UsageSink`.
        request_id: the header with the request's id, or None.
    Raises:
        TypeError: `usage` takes no notes.
    """
    check_sink(usage)

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        named = None if request_id is None else request.headers.get(request_id)
        kept = request[_KEPT] = Kept(usage, request.method, request.path, named)
        try:
            response = await handler(request)
            kept.status = response.status
            return response
        except web.HTTPException as error:
            kept.status = error.status
            raise
        except Exception:
            kept.status = 500  # aiohttp answers so
            raise
        finally:
            kept.note()

    return note


def decision_of(request: web.Request) -> GuardDecision:
    """Give the decision by which a request passed.

    Raises:
        LookupError: no guard was asked about it, for instance because it passed without a key.
    """
    return let_through(request.get(STATE))


def _origin_of(request: web.Request) -> Origin:
    """Give the address at the other end of the connection, and the header lines.

    On a UNIX socket the address is None.  An unknown peer does not show that the socket is a UNIX socket; only the
    socket's own family does.

    Raises:
        ConnectionError: the connection is gone, or it does not know its peer.
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
