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

Cost: the guard's, some dictionary reads and two messages.  All allowances with one reason and state are one pair of
messages, which a server reads and does not change.
Threads: one event loop.
Source: B2, B3, B7, U7; C23, C26.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ...client import only_line
from ...errors import CidrmatchError
from ...gateways.asgi import origin_of
from .recording import ENVOY, note_question

if TYPE_CHECKING:
    from ..._core import AllowList
    from ...gateways.asgi import Message, Receive, Scope, Send
    from ...gateways.guard import Guard, GuardDecision
    from ..usage.log import UsageLog

    Lines = list[tuple[bytes, bytes]]
    Origin = tuple[str | None, Lines]
    Kind = tuple[str, str | None]

__all__ = ["Answerer", "ForwardAuth", "StrangerError", "facts_of", "is_forward", "key_of", "kind_of"]

_QUIET = "/auth/quiet"
_ENVOY = f"{ENVOY}/"
_BEARER = "bearer "
_NO_GATEWAY = [(b"x-cidrmatch-reason", b"no_gateway"), (b"content-length", b"0"), (b"cache-control", b"no-store")]
_match_key = re.compile(r"[!-+\--~]+").fullmatch
_NOT_STORED = [(b"cache-control", b"no-store")]
_NO_BODY = {"type": "http.response.body", "body": b""}


def is_forward(path: str) -> bool:
    """Is this a path of a gateway's question?"""
    return path in ("/auth", _QUIET) or path.startswith(_ENVOY)


def key_of(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Give the key of a request, or None: it has no line of this header, several, or one that is no key.

    A key is visible ASCII without a comma.  Some gateways join two lines by a comma, and some applications strip
    more blanks than others, so that they would use another key than the one that is judged.
    """
    only = only_line(headers, name)
    if only is None:
        return None
    text = only.decode("latin-1").strip(" \t")
    if name == b"authorization":
        if text[: len(_BEARER)].lower() != _BEARER:
            return None
        text = text[len(_BEARER) :].strip(" ")
    return text if _match_key(text) else None


class StrangerError(CidrmatchError):
    """The peer is no gateway."""


class Answerer:
    """Answerer(guard, key_header, token, note): decide about the requests that gateways ask about, in whatever form.

    Args:
        guard: a `Guard`.
        key_header: the name of the header with the key.
        token: what an allowance carries, or None.
        note: called with each decision and the seconds that it took.
        span: makes a context for each question, such as a span of a trace, which gets the reason by `set_attribute`;
            None makes none.
    Attributes:
        proof: the header with the token, for an answer that lets a request pass; or nothing.
    """

    def __init__(
        self,
        guard: Guard,
        key_header: str,
        token: str | None,
        note: Callable[[GuardDecision, float], None],
        span: Callable[[], AbstractContextManager[Any]] | None = None,
    ) -> None:
        self.guard = guard
        self.key_header = key_header.lower().encode("ascii")
        self.proof = [] if token is None else [(b"x-cidrmatch-token", token.encode("ascii"))]
        self._note = note
        self._span = span

    def ask(self, peer: str | None, headers: Lines) -> GuardDecision:
        """Decide about the request with these header lines, and note the decision; any failure denies."""
        started = perf_counter()
        found = self._decide(peer, headers) if self._span is None else self._decide_within(self._span(), peer, headers)
        self._note(found, perf_counter() - started)
        return found

    def fail(self, error: Exception) -> GuardDecision:
        """Deny a request whose header lines cannot be read, and note that."""
        found = self.guard.fail(error)
        self._note(found, 0.0)
        return found

    def _decide(self, peer: str | None, headers: Lines) -> GuardDecision:
        try:
            key = key_of(headers, self.key_header)
        except Exception as error:  # whatever it is, nobody gets in by it
            return self.guard.fail(error)
        return self.guard.check(key, peer, headers)

    def _decide_within(self, context: AbstractContextManager[Any], peer: str | None, headers: Lines) -> GuardDecision:
        with context as span:
            found = self._decide(peer, headers)
            span.set_attribute("cidrmatch.reason", str(found.reason))
        return found


def kind_of(found: GuardDecision) -> Kind:
    """Give the reason of a decision and the state of its key; all allowances of one kind are answered alike."""
    if found.decision is None:
        return found.reason, None
    try:
        return found.reason, found.decision.state
    except CidrmatchError:  # a damaged record; the decision stands
        return found.reason, None


def facts_of(kind: Kind) -> Lines:
    """Make the headers that every answer of this kind has."""
    reason, state = kind
    facts = [(b"x-cidrmatch-reason", str(reason).encode("ascii"))]
    if state is not None:
        facts.append((b"x-cidrmatch-state", str(state).encode("ascii")))
    return facts


class ForwardAuth(Answerer):
    """ForwardAuth(guard, key_header, token, note, gateways=...): answer the questions that gateways ask by HTTP.

    Args:
        gateways: who may ask.  A peer on a UNIX socket may, too; others are told 403, and never see the token.
        usage: the log that each question is noted in, or None.
    """

    def __init__(self, *given: Any, gateways: AllowList, usage: UsageLog | None = None) -> None:
        super().__init__(*given)
        self._usage = usage
        self._gateways = gateways
        self._allowances: dict[Kind, tuple[Message, Message]] = {}

    def gateway_of(self, scope: Scope) -> str | None:
        """Give the peer, which is the gateway.

        Raises:
            CidrmatchError: this peer may not ask, or is no address, or the server rewrote it.
        """
        peer, _ = origin_of(scope)
        if peer is None or peer in self._gateways:
            return peer
        raise StrangerError

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  no body is read
        """Answer one question."""
        try:
            peer = self.gateway_of(scope)
        except CidrmatchError:
            await send({"type": "http.response.start", "status": 403, "headers": _NO_GATEWAY})
            await send(_NO_BODY)
            return
        started = perf_counter()
        found = self.ask(peer, scope["headers"])
        denial = None if found.allowed else found.response()
        if self._usage is not None:
            status = None if denial is None else denial.status
            note_question(self._usage, scope, found, status, perf_counter() - started)
        if denial is None:
            with_204, with_200 = self._allowance(kind_of(found))
            await send(with_200 if scope["path"].startswith(_ENVOY) else with_204)
            await send(_NO_BODY)
            return
        is_quiet = scope["path"] == _QUIET
        body = b"" if is_quiet or scope["method"] == "HEAD" else denial.body
        told = [("content-length", "0"), ("cache-control", "no-store")] if is_quiet else denial.headers
        headers = facts_of(kind_of(found)) + [(name.encode("ascii"), value.encode("latin-1")) for name, value in told]
        await send({"type": "http.response.start", "status": denial.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _allowance(self, kind: Kind) -> tuple[Message, Message]:
        """Give the head of an allowance, with 204 and with 200; both are made once for each reason and state."""
        made = self._allowances.get(kind)
        if made is None:
            headers = (*facts_of(kind), *_NOT_STORED, *self.proof)
            with_204 = {"type": "http.response.start", "status": 204, "headers": headers}
            made = self._allowances[kind] = with_204, {**with_204, "status": 200}
        return made
