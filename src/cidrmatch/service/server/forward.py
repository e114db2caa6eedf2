"""Forward authentication: a gateway asks about each request before it passes it on.

    client --> gateway --the request's headers--> /auth          --> guard --> 204, or the product's denial
                  |                               /auth/quiet    the same without a body, for gateways that drop it
                  '------ method and path ------> /envoy/...     200, or the denial; Envoy appends the client's path

    header of an answer     holds
    x-cidrmatch-reason      why: a `Reason`, "no_key", "guard_error" or "no_gateway"
    x-cidrmatch-state       the `State` of the key; none for an unknown key
    x-cidrmatch-token       on an allowance only: the token that the gateway compares

Any server can answer 200.  So a gateway lets a request pass only if the answer has the token, which the client never
sees.  An answer without it, from a wrong server at the same address, opens nothing.

Envoy takes only 200 as a yes; it hands a 204 to the client as a denial.

The key is the value of one header line; two lines are no key.  The request's body is not read.

Cost: the guard's, some dictionary reads and two messages.
Threads: one event loop.
Source: B2, B3, B7, U7; C23, C26.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ...errors import CidrmatchError
from ...gateways.asgi import origin_of

if TYPE_CHECKING:
    from ..._core import AllowList
    from ...gateways.asgi import Receive, Scope, Send
    from ...gateways.guard import Guard, GuardDecision

    Lines = list[tuple[bytes, bytes]]

__all__ = ["Answerer", "ForwardAuth", "is_forward", "key_of"]

_QUIET = "/auth/quiet"
_ENVOY = "/envoy/"
_BEARER = "bearer "
_NO_GATEWAY = [(b"x-cidrmatch-reason", b"no_gateway"), (b"content-length", b"0"), (b"cache-control", b"no-store")]
_KEY = re.compile(r"[!-+\--~]+")
_NOT_STORED = [(b"cache-control", b"no-store")]


def is_forward(path: str) -> bool:
    """Is this a path of a gateway's question?"""
    return path in ("/auth", _QUIET) or path.startswith(_ENVOY)


def key_of(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Give the key of a request, or None: it has no line of this header, several, or one that is no key.

    A key is visible ASCII without a comma.  Some gateways join two lines by a comma, and some applications strip
    more blanks than others, so that they would use another key than the one that is judged.
    """
    values = [value for header, value in headers if header == name]
    if len(values) != 1:
        return None
    text = values[0].decode("latin-1").strip(" \t")
    if name == b"authorization":
        if text[: len(_BEARER)].lower() != _BEARER:
            return None
        text = text[len(_BEARER) :].strip(" ")
    return text if _KEY.fullmatch(text) else None


class Answerer(ABC):
    """Answerer(guard, key_header, token, note): decide about the requests that gateways ask about, in whatever form.

    Args:
        guard: a `Guard`.
        key_header: the name of the header with the key.
        token: what an allowance carries, or None.
        note: called with each decision and the seconds that it took.
        span: makes a context for each question, such as a span of a trace; it gets the decision by `set_attribute`.
    Attributes:
        proof: the header with the token, for an answer that lets a request pass; or nothing.
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
        self.key_header = key_header.lower().encode("ascii")
        self.proof = [] if token is None else [(b"x-cidrmatch-token", token.encode("ascii"))]
        self._said: dict[tuple[str, str | None], Lines] = {}
        self._note = note
        self._span = span

    @abstractmethod
    def origin_of(self, question: Any) -> tuple[str | None, Lines]:
        """Give the peer and the header lines of the request that a question is about; it may raise."""

    def ask(self, question: Any) -> GuardDecision:
        """Decide about one request, and note the decision."""
        started = perf_counter()
        with self._span() as span:
            found = self.decide(question)
            if span is not None:
                span.set_attribute("cidrmatch.reason", str(found.reason))
        self._note(found, perf_counter() - started)
        return found

    def decide(self, question: Any) -> GuardDecision:
        """Decide about one request; any failure denies."""
        try:
            peer, headers = self.origin_of(question)
            key = key_of(headers, self.key_header)
        except Exception as error:  # whatever it is, nobody gets in by it
            return self.guard.fail(error)
        return self.guard.check(key, peer, headers)

    def facts(self, found: GuardDecision) -> Lines:
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


class ForwardAuth(Answerer):
    """ForwardAuth(guard, key_header, token, note, gateways=...): answer the questions that gateways ask by HTTP.

    Args:
        gateways: who may ask.  A peer on a UNIX socket may, too; others are told 403, and never see the token.
    """

    def __init__(self, *given: Any, gateways: AllowList) -> None:
        super().__init__(*given)
        self._gateways = gateways

    def is_gateway(self, scope: Scope) -> bool:
        """May this peer ask?"""
        try:
            peer = origin_of(scope)[0]
            return peer is None or peer in self._gateways
        except CidrmatchError:
            return False

    def origin_of(self, question: Scope) -> tuple[str | None, Lines]:
        """Give the peer, which is the gateway, and the header lines."""
        return origin_of(question)[0], question["headers"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  no body is read
        """Answer one question."""
        if not self.is_gateway(scope):
            await send({"type": "http.response.start", "status": 403, "headers": _NO_GATEWAY})
            await send({"type": "http.response.body", "body": b""})
            return
        found = self.ask(scope)
        headers = self.facts(found)
        if found.allowed:
            headers = [*headers, *_NOT_STORED, *self.proof]
            status = 200 if scope["path"].startswith(_ENVOY) else 204
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        denial = found.response()
        is_quiet = scope["path"] == _QUIET
        body = b"" if is_quiet or scope["method"] == "HEAD" else denial.body
        told = [("content-length", "0"), ("cache-control", "no-store")] if is_quiet else denial.headers
        more = [(name.encode("ascii"), value.encode("latin-1")) for name, value in told]
        await send({"type": "http.response.start", "status": denial.status, "headers": headers + more})
        await send({"type": "http.response.body", "body": body})
