"""Forward authentication: a gateway asks about each request before it passes it on.

    client --> gateway --the request's headers--> /auth          --> guard --> 204, or the product's denial
                  '------ method and path ------> /envoy/...     the same; Envoy appends the client's path
                                                  /auth/quiet    the same without a body, for gateways that drop it

    header of an answer     holds
    x-cidrmatch-reason      why: a `Reason`, "no_key" or "guard_error"
    x-cidrmatch-state       the `State` of the key; none for an unknown key
    x-cidrmatch-token       on an allowance only: the token that the gateway compares

Any server can answer 200.  So a gateway lets a request pass only if the answer has the token, which the client never
sees.  An answer without it, from a wrong server at the same address, opens nothing.

The key is the value of one header line; two lines are no key.  The request's body is not read.

Cost: the guard's, some dictionary reads and two messages.
Threads: one event loop.
Source: B2, B3, B7, U7; C23, C26.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ...errors import CidrmatchError
from ...gateways.asgi import origin_of

if TYPE_CHECKING:
    from ...gateways.asgi import Receive, Scope, Send
    from ...gateways.guard import Guard, GuardDecision

__all__ = ["ForwardAuth", "is_forward", "key_of"]

_QUIET = "/auth/quiet"
_ENVOY = "/envoy/"
_BEARER = "bearer "


def is_forward(path: str) -> bool:
    """Is this a path of a gateway's question?"""
    return path in ("/auth", _QUIET) or path.startswith(_ENVOY)


def key_of(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Give the key of a request, or None: it has no line of this header, several, or one that is no text."""
    values = [value for header, value in headers if header == name]
    if len(values) != 1:
        return None
    try:
        text = values[0].decode("utf-8").strip(" \t")
    except UnicodeDecodeError:
        return None
    if name == b"authorization":
        if text[: len(_BEARER)].lower() != _BEARER:
            return None
        text = text[len(_BEARER) :].strip(" ")
    return text or None


class ForwardAuth:
    """ForwardAuth(guard, key_header, token, note): answer the questions of gateways.

    Args:
        guard: a `Guard`.
        key_header: the name of the header with the key.
        token: what an allowance carries, or None.
        note: called with each decision and the seconds that it took.
        span: makes a context for each question, such as a span of a trace; it gets the decision by `set`.
    """

    def __init__(
        self,
        guard: Guard,
        key_header: str,
        token: str | None,
        note: Callable[[GuardDecision, float], None],
        span: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.guard = guard
        self._key_header = key_header.lower().encode("ascii")
        self._allowance = [(b"cache-control", b"no-store")]
        if token is not None:
            self._allowance.append((b"x-cidrmatch-token", token.encode("ascii")))
        self._said: dict[tuple[str, str | None], list[tuple[bytes, bytes]]] = {}
        self._note = note
        self._span = span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  no body is read
        """Answer one question."""
        started = perf_counter()
        with self._span() as span:
            found = self.decide(scope)
            if span is not None:
                span.set_attribute("cidrmatch.reason", str(found.reason))
        self._note(found, perf_counter() - started)
        headers = self.facts(found)
        if found.allowed:
            await send({"type": "http.response.start", "status": 204, "headers": headers + self._allowance})
            await send({"type": "http.response.body", "body": b""})
            return
        denial = found.response()
        is_quiet = scope["path"] == _QUIET
        body = b"" if is_quiet or scope["method"] == "HEAD" else denial.body
        told = [("content-length", "0"), ("cache-control", "no-store")] if is_quiet else denial.headers
        more = [(name.encode("ascii"), value.encode("latin-1")) for name, value in told]
        await send({"type": "http.response.start", "status": denial.status, "headers": headers + more})
        await send({"type": "http.response.body", "body": body})

    def decide(self, scope: Scope) -> GuardDecision:
        """Decide about the request that a gateway asks about; any failure denies."""
        try:
            peer, headers = origin_of(scope)
            key = key_of(scope["headers"], self._key_header)
        except Exception as error:  # whatever it is, nobody gets in by it
            return self.guard.fail(error)
        return self.guard.check(key, peer, headers)

    def facts(self, found: GuardDecision) -> list[tuple[bytes, bytes]]:
        """Give the headers that every answer with this reason and state has; the list is shared."""
        state = None
        if found.decision is not None:
            with suppress(CidrmatchError):  # of a damaged record; the decision stands
                state = found.decision.state
        said = self._said.get((found.reason, state))
        if said is None:
            said = [(b"x-cidrmatch-reason", str(found.reason).encode("ascii"))]
            if state is not None:
                said.append((b"x-cidrmatch-state", str(state).encode("ascii")))
            self._said[found.reason, state] = said
        return said
