"""The order of a request's checks: where the address check stands among the host's own checks.

The preset says the order (C11).  The host's functions make the checks.  The first check that fails ends the request.
So a blocked client uses nothing of the later checks, such as the quota of a rate limit (U9):

    bitbybit    authenticate > scope > ip                         (B7, B8)
    unkey       validity > ip > permissions > ratelimit           (U9 to U11)

Nothing here knows a transport or a framework.  The host finds the client's address.  `Decision.response` says what the
client is told.
Cost: a call for each step.
Threads: safe, keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from ..errors import brief

if TYPE_CHECKING:
    from .._keys import Decision
    from ..policy.policy import Policy

__all__ = ["Outcome", "order_of", "run_pipeline"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Say which step stopped a request, or that every step passed.

    Attributes:
        passed: whether every step passed.
        stopped_at: the name of the step that failed, or None.
        failure: what that step answered; for "ip" the `Decision`.
        decision: the `Decision`; None if a step before the address check failed.
    """

    passed: bool
    stopped_at: str | None
    failure: object
    decision: Decision | None

    def __bool__(self) -> NoReturn:
        raise TypeError("an Outcome has no truth value; ask its .passed")

    def __repr__(self) -> str:
        if self.passed:
            return f"<Outcome passed: {self.decision!r}>"
        failure = self.failure if self.failure is self.decision else brief(self.failure)
        return f"<Outcome stopped at {brief(self.stopped_at)}: {failure}>"


def order_of(policy: Policy, steps: Mapping[str, object]) -> tuple[str, ...]:
    """Give the order of a policy's checks; refuse steps that are not exactly those of the policy.

    Raises:
        ValueError: as `run_pipeline`.
    """
    order = policy.keys.pipeline
    missing = [name for name in order if name not in steps and name != "ip"]
    unknown = [name for name in steps if name not in order or name == "ip"]
    if missing or unknown:
        raise ValueError(
            f"the steps of {policy.name} are {', '.join(order)}"
            + (f"; missing: {', '.join(missing)} (None leaves one out)" if missing else "")
            + (f"; unknown: {', '.join(unknown)}" if unknown else "")
        )
    return order


def run_pipeline(
    policy: Policy, steps: Mapping[str, Callable[[], object] | None], ip: Callable[[], Decision]
) -> Outcome:
    """Run a request's checks in the order of the policy, up to the first failure.

    Args:
        policy: its `keys.pipeline` is the order.
        steps: a function for each step of the host, or None for a step that the host does not have.  A step passes
            only if it returns True; any other value is a failure, and `Outcome.failure` holds it.
        ip: makes the address check: `lambda: engine.check(key, address)`.
    Returns:
        `Outcome`.
    Raises:
        ValueError: a step of the policy is missing, or the policy does not know a given step.  A check that is left
            out silently would let requests pass.
        Whatever a step raises.
    Source: B7, B8, U9 to U11; C11.
    """
    order = order_of(policy, steps)
    decision: Decision | None = None
    for name in order:
        if name == "ip":
            decision = ip()
            if not decision.allowed:
                return Outcome(False, name, decision, decision)
            continue
        step = steps[name]
        answer = True if step is None else step()
        if answer is not True:
            return Outcome(False, name, answer, decision)
    return Outcome(True, None, None, decision)
