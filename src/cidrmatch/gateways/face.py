"""What all faces share: the order in which one request's questions are asked, and what its answer is.

    request --origin--> peer, headers ---.
            --key-----> the key's id ----+--> steps before --> guard.check --> steps behind --> Answer

A face turns a request of its framework into these questions.  It turns the `Answer` into what the framework sends.

The steps are the host's own checks, such as scopes and a rate limit.  The policy says where the address check stands
among them (B7, B8, U9 to U11).  The first check that fails ends the request, so a blocked request uses no quota.

Key functions and steps may be coroutine functions if the face can wait for them.  The order is written only once, as
a coroutine.  If the face cannot wait, this coroutine never waits, so it ends when it is resumed for the first time.
In the common case there are no steps, and the key is at hand.  Then only the address is asked about, and no coroutine
is made.

If anything raises on the way, the request is denied.  A step passes only if it returns True.  If a step returns a
`Response`, the client gets this response.

Threads: safe where the host's functions are.
Source: B7, B8, U9, U10, U11, C11, C23.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from .._keys import Response
from .guard import GuardDecision, check_face, refusal
from .pipeline import order_of

if TYPE_CHECKING:
    from ..client import Headers
    from .guard import Guard

__all__ = ["Answer", "Face", "Steps", "answer_of"]

RequestT = TypeVar("RequestT")
Origin: TypeAlias = "tuple[str | None, Headers]"
"""The peer of a request, and its header lines."""
Steps: TypeAlias = Mapping[str, Callable[[Any, str], object] | None]
"""The host's own checks: names of the policy's pipeline, each with a function of the request and the key's id."""


class Answer(NamedTuple):
    """Say whether a request passes, and what its client is told if not.

    Attributes:
        refusal: what the client is told, or None if the request passes.
        found: the guard's decision; None if the guard was not asked.
        stopped_at: the name of the host's step that failed, or None.
        key: the key's id where the guard was not asked, or None.
    """

    refusal: Response | None
    found: GuardDecision | None
    stopped_at: str | None = None
    key: str | None = None


_ADDRESS_ALONE = ("ip",)
"""The order of a face without steps."""


class Face(Generic[RequestT]):
    """Face(guard, key, origin): ask all questions about a request.

    Args:
        guard: a `Guard`.
        key: gives the id of a request's key, or None if it has no key.  It is the host's authentication, so it must
            check a key before it gives the id.
        origin: gives the peer and the header lines of a request.
        without_key: "deny" answers a request without a key with 401; "pass" lets it pass, and the guard is not asked.
        steps: the host's other checks.  It maps each name of the policy's pipeline to a function, or to None for a
            check that the host makes elsewhere.  Without `steps`, only the address is checked.
    Raises:
        TypeError, ValueError: an argument has a wrong type or value, or a step of the policy is missing.
    """

    def __init__(
        self,
        guard: Guard,
        key: Callable[[RequestT], object],
        origin: Callable[[RequestT], Origin],
        *,
        without_key: str = "deny",
        steps: Steps | None = None,
    ) -> None:
        self._passes_without_key = check_face(guard, key, without_key)
        self.guard = guard
        self._key = key
        self._origin = origin
        self._steps = dict(steps or {})
        self._order = _ADDRESS_ALONE if steps is None else order_of(guard.engine.policy, steps)
        for name, step in self._steps.items():
            if step is not None and not callable(step):
                raise TypeError(f"the step {name!r} is a function, or None")

    def decide(self, request: RequestT) -> Answer:
        """Decide about a request without waiting.  If a key or a step has to be awaited, the request is denied."""
        asked = self.ask(request, can_wait=False)
        if isinstance(asked, GuardDecision):
            return answer_of(asked)
        try:
            asked.send(None)
        except StopIteration as end:
            return cast("Answer", end.value)
        raise RuntimeError("a request that nobody waits for has waited")

    async def wait_for_decision(self, request: RequestT) -> Answer:
        """Decide about a request; wait for the key and the steps if they have to be awaited."""
        asked = self.ask(request)
        return answer_of(asked) if isinstance(asked, GuardDecision) else await asked

    def ask(self, request: RequestT, *, can_wait: bool = True) -> GuardDecision | Coroutine[Any, Any, Answer]:
        """Ask about a request.

        Returns:
            The guard's decision, if there are no steps and the key is a `str`; this is the common case.  Otherwise a
            coroutine that gives an `Answer`.
        """
        try:
            peer, headers = self._origin(request)
            key = self._key(request)
            if type(key) is str and self._order == _ADDRESS_ALONE:
                return self.guard.check(key, peer, headers)
        except Exception as error:  # whatever it is, nobody gets in by it
            return self.guard.fail(error)
        return self._ask_in_order(request, peer, headers, key, can_wait)

    async def _ask_in_order(
        self, request: RequestT, peer: str | None, headers: Headers, given: object, can_wait: bool
    ) -> Answer:
        """Ask in the policy's order.  If `can_wait` is False, this never waits, so it ends when it is first resumed."""
        found: GuardDecision | None = None
        try:
            key: Any = await _value_of(given, can_wait)
            if key is None:
                if self._passes_without_key:
                    return Answer(None, None)
                return answer_of(self.guard.check(None, peer, headers))
            for name in self._order:
                if name == "ip":
                    found = self.guard.check(key, peer, headers)
                    if not found.allowed:
                        return answer_of(found)
                    continue
                step = self._steps[name]
                said = True if step is None else await _value_of(step(request, key), can_wait)
                if said is not True:
                    told = said if isinstance(said, Response) else refusal(403, "Forbidden")
                    return Answer(told, found, name, key)
        except Exception as error:  # whatever it is, nobody gets in by it
            return answer_of(self.guard.fail(error))
        return Answer(None, found)


def answer_of(found: GuardDecision) -> Answer:
    """Make the answer from the guard's decision, if no step is left to ask."""
    return Answer(None if found.allowed else found.response(), found)


async def _value_of(given: object, can_wait: bool) -> object:
    """Give the value that a function of the host returned; wait for it if it has to be awaited."""
    if not inspect.isawaitable(given):
        return given
    if can_wait:
        return await given
    if inspect.iscoroutine(given):
        given.close()
    raise TypeError("nothing can be awaited here; give a plain function")
