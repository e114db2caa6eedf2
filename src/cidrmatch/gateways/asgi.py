"""The guard in front of an ASGI application: Starlette, FastAPI, Litestar, Quart, or none of them.

    server --scope--> AllowListMiddleware --allowed--> the application, the decision in scope["state"]
                            '--denied--> the product's answer; a websocket is closed before it opens

http        the response of the denial
websocket   the same, where the server has "websocket.http.response"; else a close with 1008, which is a 403
lifespan    passed through
others      refused: a protocol that nobody looked at is no way in

A server may have rewritten the peer already, by a header that it believed.  uvicorn does so for peers on 127.0.0.1
unless it is started with `--no-proxy-headers`.  A rewritten peer has no port, so a peer with port 0 is denied, and the
log names the setting.

A peer on a UNIX socket has no address, and the scope no `client`.  A server that does not know its peer gives none
either, such as uvicorn for a client that is gone already.  So the scope has to prove the socket by its `server`:

    uvicorn     client None       server ("/run/app.sock", None)    a UNIX socket, as ASGI says it
    granian     client ("", "0")  server ("/run/app.sock", "0")     a UNIX socket
    hypercorn   client None       server None                       not told, so there is no peer

Source: ASGI 3.0, HTTP and WebSocket; B2, B7, U7.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ..client import UNKNOWN_PEER
from ..errors import CidrmatchError
from .face import Face, answer_of
from .guard import GuardDecision, let_through
from .usage import KEPT, Kept, check_sink

if TYPE_CHECKING:
    from .._keys import Response
    from .face import Answer, Origin, Steps
    from .guard import Guard
    from .usage import UsageSink

__all__ = [
    "STATE",
    "AllowListMiddleware",
    "RewrittenPeerError",
    "Scope",
    "UsageMiddleware",
    "decision_of",
    "keep_answer",
    "leave_decision",
    "origin_of",
    "refuse_websocket",
]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
KeyOf: TypeAlias = Callable[[Scope], "str | Awaitable[str | None] | None"]

STATE = "cidrmatch"
"""The name of the decision in `scope["state"]`, which Starlette shows as `request.state.cidrmatch`."""


class RewrittenPeerError(CidrmatchError):
    """The server put another address in the place of the peer's."""


class AllowListMiddleware:
    """AllowListMiddleware(app, guard=..., key=...): let a request through if its key may be used from where it comes.

    Args:
        app: the application behind it.
        guard: a `Guard`.
        key: gives the id of the request's key by its scope, or None where it has none; may be a coroutine function.  It
            is the host's authentication, so it must not take a key that it did not check.
        without_key: "deny" answers a request without a key by 401; "pass" hands it to the application unasked.
        steps: the host's other checks by the names of the policy's pipeline, functions of the scope and the key's id;
            see `Face`.
    Raises:
        TypeError, ValueError: an argument is of another kind.
    """

    def __init__(
        self,
        app: Application,
        *,
        guard: Guard,
        key: KeyOf,
        without_key: str = "deny",
        steps: Steps | None = None,
    ) -> None:
        self._face = Face(guard, key, origin_of, without_key=without_key, steps=steps)
        self.app = app
        self.guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise ValueError(f"the guard does not know the protocol {kind!r}, so it lets none of it through")
        asked = self._face.ask(scope)
        answer = answer_of(asked) if isinstance(asked, GuardDecision) else await asked
        keep_answer(scope, answer)
        denial = answer.refusal
        if denial is None:
            leave_decision(scope, answer.found)
            await self.app(scope, receive, send)
        elif kind == "http":
            await _answer(send, "http.response", denial)
        else:
            await refuse_websocket(scope, receive, send, denial)


class UsageMiddleware:
    """UsageMiddleware(app, usage=log): note every request in a usage log when it has ended.

    It stands outside of everything that may answer a request: app = UsageMiddleware(AllowListMiddleware(...), ...).

    Args:
        app: the application, with its guard.
        usage: a `UsageLog`; see `UsageSink`.
        request_id: the header with the request's id, or None.
    Raises:
        TypeError: `usage` takes no notes.
    """

    def __init__(self, app: Application, *, usage: UsageSink, request_id: str | None = "x-request-id") -> None:
        check_sink(usage)
        self.app = app
        self._usage = usage
        self._header = b"" if request_id is None else request_id.lower().encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        named = next((value for name, value in scope["headers"] if name == self._header), None)
        request_id = None if named is None else named.decode("latin-1")
        kept = scope[KEPT] = Kept(self._usage, scope.get("method", "GET"), scope["path"], request_id)

        async def watch(message: Message) -> None:
            kept.status = _status_after(message, kept.status)
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            kept.status = kept.status or 500  # the server answers so
            raise
        finally:
            kept.note()


def _status_after(message: Message, status: int | None) -> int | None:
    """Tell the status of a request after it was sent a message; an open websocket is 101, a refused one 403."""
    kind = message["type"]
    if kind in ("http.response.start", "websocket.http.response.start"):
        return int(message["status"])
    if kind == "websocket.accept":
        return 101
    return status or 403 if kind == "websocket.close" else status


def keep_answer(scope: Mapping[str, Any], answer: Answer) -> None:
    """Keep a face's answer for the usage log, if there is one."""
    kept = scope.get(KEPT)
    if kept is not None:
        kept.answer = answer


def leave_decision(scope: Scope, found: GuardDecision | None) -> None:
    """Leave the decision, if there is one, in the state of a request that passed."""
    if found is not None:
        scope.setdefault("state", {})[STATE] = found


def decision_of(scope: Scope) -> GuardDecision:
    """Give the decision that let a request through.

    Raises:
        LookupError: no guard stands in front, or the request passed without a key.
    """
    return let_through(scope.get("state", {}).get(STATE))


def origin_of(scope: Mapping[str, Any]) -> Origin:
    """Give the address at the other end of the connection, and the header lines.

    The address is None for a peer on a UNIX socket.  It is `UNKNOWN_PEER` where the scope has none and proves no such
    socket.

    Raises:
        RewrittenPeerError: the server took the address from a header.
    """
    client = scope.get("client")
    if not client or not client[0]:
        return None if _is_on_unix_socket(scope) else UNKNOWN_PEER, scope["headers"]
    host, port = client[0], client[1]
    if port == 0:
        raise RewrittenPeerError(
            "the server took the peer's address from a header: start uvicorn with --no-proxy-headers, and remove"
            " ProxyFix or ProxyHeadersMiddleware; the guard reads the header itself"
        )
    return host if type(host) is str else str(host), scope["headers"]


def _is_on_unix_socket(scope: Mapping[str, Any]) -> bool:
    """Does the server listen on a path?  One without a slash could be the name of a host without a port."""
    server: Any = scope.get("server")
    return bool(server) and type(server[0]) is str and "/" in server[0] and server[1] in (None, "0")


async def _answer(send: Send, kind: str, response: Response) -> None:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": f"{kind}.start", "status": response.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": response.body, "more_body": False})


async def refuse_websocket(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Refuse a websocket that is not open yet."""
    await receive()  # the handshake; a server waits for an answer to it
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await _answer(send, "websocket.http.response", response)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
