"""The guard: it makes one decision of a request's key, peer and headers, and any failure denies.

    key      --------------------------------------.
    peer     --strategy.find--> ClientAddress -----+--engine.check--> Decision --> GuardDecision --> on_decision
    headers  ---^                                                                     |
                                                                                      '-- .allowed  .response()

A gateway calls `guard.check` and acts by `.allowed`.  If anything raises on the way, the request is denied with the
reason "guard_error".  Examples are a strategy of the host, a clock, and a damaged record.  This denial is counted, and
given to `on_decision`.  It is answered with 503, or with 403 if the guard was made with `on_error="deny"`.  If
`on_decision` raises, the answer stays the same.

There is one counter for each reason, and none for keys or addresses, so the counters fit on a page of metrics.

Cost: a microsecond more than the strategy and the check.
Threads: safe; the counters are kept under a lock.
Source: B2, B28, U7; C23.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from ..client import ClientAddress
from ..engine.forking import remember
from ..errors import brief, quote
from ..policy.checks import check_switches
from ..policy.responses import json_response

if TYPE_CHECKING:
    from .._keys import Decision, Response
    from ..client import ClientStrategy, Headers
    from ..engine.engine import Engine

__all__ = ["GUARD_ERROR", "NO_KEY", "Guard", "GuardDecision", "check_face", "let_through", "refusal"]

GUARD_ERROR = "guard_error"
"""The reason of a denial if something raised."""
NO_KEY = "no_key"
"""The reason of a denial if the request has no key; all other reasons are those of `Reason`."""

_log = logging.getLogger(__name__)
_NOBODY = ClientAddress(None, "not_looked_for", ())


class GuardDecision:
    """Say whether a request passes, and why.

    Attributes:
        allowed: whether the request passes.
        reason: a `Reason`, "no_key" or "guard_error".
        key: the key's id, or None if the request has no key.
        client: the `ClientAddress`: the address that was judged, or why there was none, and what was looked at.
        decision: the engine's `Decision`, with entry, list and version; None without a key, and after an error.
        age: seconds since the engine's data was known to be current.
        error: the exception that was raised, or None.

    It has no truth value: ask `.allowed`.
    """

    __slots__ = ("_guard", "age", "allowed", "client", "decision", "error", "key", "reason")

    def __init__(
        self,
        guard: Guard,
        key: str | None,
        client: ClientAddress,
        decision: Decision | None,
        age: float,
        error: Exception | None = None,
    ) -> None:
        self._guard = guard
        self.key = key
        self.client = client
        self.decision = decision
        self.age = age
        self.error = error
        self.allowed: bool = decision is not None and decision.allowed is True
        self.reason: str = decision.reason if decision is not None else NO_KEY if error is None else GUARD_ERROR

    @property
    def address(self) -> str | None:
        """The address that was judged, in canonical text (B28), or None."""
        return self.client.address

    def response(self) -> Response:
        """Render the denial: in the product's form; with 401 without a key; with 503, or 403, after an error.

        Raises:
            ValueError: the request was allowed.
        """
        return self._guard.respond(self)

    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for a log: those of `Decision.to_dict`, and how the client was found.

        The elements of `trail` come from outside, so each is escaped, and cut if it is long.
        """
        facts: dict[str, object] = {} if self.decision is None else dict(self.decision.to_dict())
        facts.update(
            allowed=self.allowed,
            reason=str(self.reason),
            key=self.key,
            address=self.address,
            client_problem=self.client.problem,
            trail=[brief(element) for element in self.client.trail],
            age=self.age,
            error=None if self.error is None else type(self.error).__name__,
        )
        return facts

    def __bool__(self) -> NoReturn:
        raise TypeError("a GuardDecision has no truth value; ask its .allowed")

    def __repr__(self) -> str:
        said = "allowed" if self.allowed else "denied"
        return f"<GuardDecision {said}: {self.reason}, {brief(self.key)} from {self.address or self.client.problem}>"


class Guard:
    """Guard(engine, client): decide about requests, and count the decisions.

    Args:
        engine: an `Engine`.
        client: a strategy, such as `TrustedProxies([...])`.
        on_error: "unavailable" answers an error with 503, "deny" with 403.
        on_decision: called with each `GuardDecision`, in the thread of the request; it must be quick.
        show_address: whether a denial may tell the client which address was judged (C26).
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.

    >>> from cidrmatch import Engine, presets
    >>> from cidrmatch.client import PeerAddress
    >>> engine = Engine(presets.bitbybit())
    >>> report = engine.put_key("key_live_1", ["203.0.113.0/24"])
    >>> guard = Guard(engine, PeerAddress())
    >>> guard.check("key_live_1", "203.0.113.9").allowed
    True
    >>> guard.check("key_live_1", "198.51.100.1").response().status
    403
    """

    def __init__(
        self,
        engine: Engine,
        client: ClientStrategy,
        *,
        on_error: str = "unavailable",
        on_decision: Callable[[GuardDecision], object] | None = None,
        show_address: bool = False,
    ) -> None:
        if not callable(getattr(engine, "check", None)):
            raise TypeError(f"an engine is an Engine, not {type(engine).__name__}")
        if isinstance(client, type | str | bytes) or not callable(getattr(client, "find", None)):
            raise TypeError(f"a client is a strategy such as PeerAddress(), not {quote(client)}")
        if on_error not in ("unavailable", "deny"):
            raise ValueError(f"on_error is 'unavailable' or 'deny', not {quote(on_error)}")
        if on_decision is not None and not callable(on_decision):
            raise TypeError("on_decision is a function, or None")
        check_switches(show_address=show_address)
        self.engine = engine
        self.client = client
        self._on_error = on_error
        self._on_decision = on_decision
        self._show_address = show_address
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        remember(self)

    def begin_anew(self) -> None:
        """Make the lock again in a forked child: another thread of the parent may have had it."""
        self._lock = threading.Lock()

    def check(self, key: str | None, peer: str | None, headers: Headers = ()) -> GuardDecision:
        """Decide about one request.

        Args:
            key: the key's id, as the host's authentication found it; None is denied.
            peer: the address at the other end of the connection; None or "" on a UNIX socket;
                `UNKNOWN_PEER` if the server does not say the address.
            headers: all header lines of the request.
        Returns:
            `GuardDecision`.  This never raises an `Exception`: if anything goes wrong, the request is denied.
        """
        client = _NOBODY
        try:
            client = self.client.find(peer, headers)
            decision = None if key is None else self.engine.check(key, client.packed)
            found = GuardDecision(self, key, client, decision, self.engine.age)
        except Exception as error:  # whatever it is, nobody gets in by it
            found = GuardDecision(self, key, client, None, 0.0, error)
            _log.exception("a request was denied because its check failed")
        self._note(found)
        return found

    def fail(self, error: Exception) -> GuardDecision:
        """Deny a request because the gateway itself raised, before it could call `check`."""
        found = GuardDecision(self, None, _NOBODY, None, 0.0, error)
        _log.error("a request was denied because its check failed", exc_info=error)
        self._note(found)
        return found

    def respond(self, found: GuardDecision) -> Response:
        """Render a denial; see `GuardDecision.response`."""
        if found.allowed:
            raise ValueError("the request was allowed; there is nothing to refuse")
        if found.decision is not None:
            try:
                return found.decision.response(show_address=self._show_address)
            except Exception:
                _log.exception("a denial could not be rendered in the product's form")
        if found.reason == NO_KEY:
            return refusal(401, "Unauthorized")
        return refusal(503, "Service Unavailable") if self._on_error == "unavailable" else refusal(403, "Forbidden")

    def counts(self) -> dict[str, int]:
        """Give the number of decisions for each reason since the guard was made; and of failures of `on_decision`."""
        with self._lock:
            return dict(self._counts)

    def _note(self, found: GuardDecision) -> None:
        """Call `on_decision`, and count the decision; a failure is logged and does not change the answer."""
        failed = False
        if self._on_decision is not None:
            try:
                self._on_decision(found)
            except Exception:
                failed = True
                _log.exception("on_decision failed; the answer stands")
        counts, reason = self._counts, found.reason
        self._lock.acquire()  # a third of the time that `with` takes
        try:
            counts[reason] = counts.get(reason, 0) + 1
            if failed:
                counts["on_decision_failed"] = counts.get("on_decision_failed", 0) + 1
        finally:
            self._lock.release()

    def __repr__(self) -> str:
        return f"<Guard of {self.engine!r} by {self.client!r}>"


def let_through(found: object, asked: str = "request") -> GuardDecision:
    """Give the decision that a face kept for a request that passed.

    Raises:
        LookupError: there is none, because no guard was asked, or the request passed without a key.
    """
    if not isinstance(found, GuardDecision):
        raise LookupError(f"no guard has decided about this {asked}")
    return found


def check_face(guard: Guard, key: object, without_key: str) -> bool:
    """Check the arguments that all faces have; return whether a request without a key passes.

    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
    """
    if not isinstance(guard, Guard):
        raise TypeError(f"a guard is a Guard, not {type(guard).__name__}")
    if not callable(key):
        raise TypeError("key is a function that gives the id of a request's key")
    if without_key not in ("deny", "pass"):
        raise ValueError(f"without_key is 'deny' or 'pass', not {quote(without_key)}")
    return without_key == "pass"


def refusal(status: int, title: str, **more: object) -> Response:
    """Render a refusal in the form of RFC 9457, not of a product; it says about the request only what `more` has."""
    body = {"type": "about:blank", "title": title, "status": status, **more}
    return json_response(status, "application/problem+json", body)
