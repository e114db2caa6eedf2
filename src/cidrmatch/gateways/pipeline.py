"""The order of a request's checks: where the address check stands among a host's own.

The order is data of the preset (C11); the checks are the host's own functions.
The first that fails ends the request.  So a blocked client costs nothing of what
stands behind the address check, a rate limit's quota above all (U9):

    bitbybit    authenticate > scope > ip                         (B7, B8)
    unkey       validity > ip > permissions > ratelimit           (U9 to U11)

Nothing here knows a transport or a framework.  Whose address it is, and what a
client is told, is said elsewhere: by the host, and by `Decision.response`.
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
    """Say how far a request came.

    Attributes:
        passed: whether every step passed.
        stopped_at: the name of the step that failed, or None.
        failure: what that step answered; for "ip" the `Decision`.
        decision: the `Decision`, or None when the request never came to the address check.
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
    """Give the order of a policy's checks, or refuse steps that are not those of the policy.

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
        steps: a function for each of the host's own steps, or None for one that the host does not
            have.  A step passes by returning True; anything else is a failure and is handed back.
        ip: makes the address check: `lambda: engine.check(key, address)`.
    Returns:
        `Outcome`.
    Raises:
        ValueError: a step of the policy is missing, or one is given that the policy does not know:
            a check that is silently left out would be an allowance.
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
