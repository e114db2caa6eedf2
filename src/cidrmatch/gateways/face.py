"""What all faces share: the order in which one request's questions are asked, and what its answer is.

    request --origin--> peer, headers ---.
            --key-----> the key's id ----+--> steps before --> guard.check --> steps behind --> Answer

A face turns a request of its framework into these questions, and an `Answer` into what its framework sends.  The steps
are the host's own checks, such as scopes and a rate limit; the policy says where the address check stands among them
(B7, B8, U9 to U11).  The first that fails ends the request, so a blocked one uses no quota.

Keys and steps may be coroutine functions, where the face can wait for them.  The order is written once, as a
coroutine.  Where nobody can wait, it never waits, so it ends when it is resumed for the first time.  Where the address
alone is asked about, which is most of the time, there is no order, and no coroutine.

Whatever raises on the way denies.  A step fails by any answer but True; a `Response` is what its client is told.

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

__all__ = ["Answer", "Face", "Steps"]

RequestT = TypeVar("RequestT")
Origin: TypeAlias = "tuple[str | None, Headers]"
"""The peer of a request, and its header lines."""
Steps: TypeAlias = Mapping[str, Callable[[Any, str], object] | None]
"""The host's own checks by the names of the policy: functions of the request and the key's id."""


class Answer(NamedTuple):
    """Say what becomes of a request.

    Attributes:
        refusal: what the client is told, or None where the request passes.
        found: the guard's decision; None where it was not asked.
        stopped_at: the name of the host's step that failed, or None.
    """

    refusal: Response | None
    found: GuardDecision | None
    stopped_at: str | None = None


_ADDRESS_ALONE = ("ip",)
"""The order of a face without steps."""


class Face(Generic[RequestT]):
    """Face(guard, key, origin): ask all questions about a request.

    Args:
        guard: a `Guard`.
        key: gives the id of a request's key, or None where it has none.  It is the host's authentication, so it must
            not take a key that it did not check.
        origin: gives the peer and the header lines of a request.
        without_key: "deny" answers a request without a key by 401; "pass" lets it through unasked.
        steps: the host's checks by the names in the policy's pipeline, each a function or None for one that the host
            makes elsewhere; None asks about the address alone.
    Raises:
        TypeError, ValueError: an argument is of another kind, or a step of the policy is missing.
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
        """Decide about a request; a key or a step that would have to be awaited is an error, and denies."""
        asked = self.ask(request, can_wait=False)
        if isinstance(asked, GuardDecision):
            return _answer_of(asked)
        try:
            asked.send(None)
        except StopIteration as end:
            return cast("Answer", end.value)
        raise RuntimeError("a request that nobody waits for has waited")

    async def wait_for_decision(self, request: RequestT) -> Answer:
        """Decide about a request, and wait for keys and steps that have to be awaited."""
        asked = self.ask(request)
        return _answer_of(asked) if isinstance(asked, GuardDecision) else await asked

    def ask(self, request: RequestT, *, can_wait: bool = True) -> GuardDecision | Coroutine[Any, Any, Answer]:
        """Ask about a request.

        Returns:
            The guard's decision, where the address alone is asked about and the key is at hand, as in most requests.
            Else a coroutine, which has to be awaited, and gives an `Answer`.
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
        """Ask in order; where nothing can be awaited, nothing is, so that this ends when it is first resumed."""
        found: GuardDecision | None = None
        try:
            key: Any = await _value_of(given, can_wait)
            if key is None:
                if self._passes_without_key:
                    return Answer(None, None)
                return _answer_of(self.guard.check(None, peer, headers))
            for name in self._order:
                if name == "ip":
                    found = self.guard.check(key, peer, headers)
                    if not found.allowed:
                        return _answer_of(found)
                    continue
                step = self._steps[name]
                said = True if step is None else await _value_of(step(request, key), can_wait)
                if said is not True:
                    told = said if isinstance(said, Response) else refusal(403, "Forbidden")
                    return Answer(told, found, name)
        except Exception as error:  # whatever it is, nobody gets in by it
            return _answer_of(self.guard.fail(error))
        return Answer(None, found)


def _answer_of(found: GuardDecision) -> Answer:
    """Make the answer of a request about which nothing but the address was left to ask."""
    return Answer(None if found.allowed else found.response(), found)


async def _value_of(given: object, can_wait: bool) -> object:
    """Give what a function of the host's gave, or wait for it."""
    if not inspect.isawaitable(given):
        return given
    if can_wait:
        return await given
    if inspect.iscoroutine(given):
        given.close()
    raise TypeError("nothing can be awaited here; give a plain function")
