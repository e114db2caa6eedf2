"""The order of checks: the first failure ends the request, and nothing is silently left out."""

from collections.abc import Callable
from typing import Any

import pytest

from cidrmatch import Decision, Engine, KeyRules, Outcome, Policy, presets, run_pipeline

LISTED, UNLISTED = "203.0.113.5", "198.51.100.9"
ORDERS = {
    "bitbybit": ("authenticate", "scope", "ip"),
    "unkey": ("validity", "ip", "permissions", "ratelimit"),
    "pigment": ("authenticate", "ip"),
}


def run(policy: Policy, client: str, failing: dict[str, object] | None = None) -> tuple[Outcome, list[str]]:
    """The outcome, and the names of the steps that were asked."""
    asked: list[str] = []
    engine = Engine(Policy())
    engine.put_key("k", [LISTED])

    def step(name: str) -> Callable[[], object]:
        def ask() -> object:
            asked.append(name)
            return (failing or {}).get(name, True)

        return ask

    def ip() -> Decision:
        asked.append("ip")
        return engine.check("k", client)

    steps = {name: step(name) for name in policy.keys.pipeline if name != "ip"}
    return run_pipeline(policy, steps, ip), asked


@pytest.mark.parametrize("name", ORDERS)
def test_C11_order_is_that_of_the_preset(name: str) -> None:
    outcome, asked = run(presets.PRESETS[name](), LISTED)
    assert tuple(asked) == ORDERS[name]
    assert (outcome.passed, outcome.stopped_at, outcome.failure) == (True, None, None)
    assert outcome.decision is not None
    assert outcome.decision.allowed


def test_U9_blocked_request_uses_no_quota() -> None:
    outcome, asked = run(presets.unkey(), UNLISTED)
    assert asked == ["validity", "ip"]
    assert (outcome.passed, outcome.stopped_at) == (False, "ip")
    assert outcome.failure is outcome.decision
    assert outcome.decision is not None
    assert outcome.decision.reason == "ip_not_listed"


@pytest.mark.parametrize(
    ("name", "failing", "stopped_at"),
    [
        ("bitbybit", ["authenticate"], "authenticate"),  # B7
        ("bitbybit", ["scope"], "scope"),  # B8
        ("bitbybit", [], "ip"),
        ("unkey", ["validity"], "validity"),  # U11
        ("unkey", ["permissions"], "ip"),  # U10
        ("unkey", ["permissions", "ratelimit"], "ip"),
    ],
)
def test_B7_B8_U10_U11_first_failure_wins_over_an_unlisted_address(
    name: str, failing: list[str], stopped_at: str
) -> None:
    outcome, asked = run(presets.PRESETS[name](), UNLISTED, dict.fromkeys(failing, False))
    assert outcome.stopped_at == stopped_at == asked[-1]
    assert not outcome.passed


@pytest.mark.parametrize("answer", [False, None, 1, "yes", 0, "", object()])
def test_step_passes_by_true_alone_and_its_answer_is_handed_back(answer: object) -> None:
    outcome, asked = run(presets.unkey(), LISTED, {"permissions": answer})
    assert (outcome.passed, outcome.stopped_at, outcome.failure) == (False, "permissions", answer)
    assert outcome.decision is not None
    assert "ratelimit" not in asked
    early, _ = run(presets.unkey(), LISTED, {"validity": answer})
    assert early.decision is None


def test_step_that_the_host_does_not_have_is_left_out_by_name() -> None:
    engine = Engine()
    engine.put_key("k")
    outcome = run_pipeline(presets.bitbybit(), {"authenticate": None, "scope": None}, lambda: engine.check("k", None))
    assert outcome.passed


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({}, "missing: authenticate, scope"),
        ({"authenticate": None}, "missing: scope"),
        ({"authenticate": None, "scope": None, "quota": None}, "unknown: quota"),
        ({"authenticate": None, "scope": None, "ip": None}, "unknown: ip"),
        ({"scopes": None}, "missing: authenticate, scope .*; unknown: scopes"),
    ],
)
def test_missing_or_unknown_step_is_refused_before_any_is_asked(steps: dict[str, None], message: str) -> None:
    def ip() -> Decision:
        raise AssertionError

    with pytest.raises(ValueError, match=message):
        run_pipeline(presets.bitbybit(), steps, ip)


def test_step_that_raises_is_heard() -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_pipeline(presets.pigment(), {"authenticate": fail}, fail)
    with pytest.raises(ZeroDivisionError):
        run_pipeline(presets.pigment(), {"authenticate": None}, fail)


@pytest.mark.parametrize("pipeline", [(), ("authenticate",), ("ip", "ip"), ("ip", "scope", "scope")])
def test_pipeline_names_each_step_once_and_ip_among_them(pipeline: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="pipeline"):
        KeyRules(pipeline=pipeline)


def test_outcome_is_immutable() -> None:
    outcome, _ = run(presets.pigment(), LISTED)
    with pytest.raises(AttributeError):
        outcome.passed = False  # type: ignore[misc]
