"""The order in which a face asks, written once for functions and coroutine functions; whatever goes wrong denies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cidrmatch import Engine, Response, presets
from cidrmatch.client import PeerAddress
from cidrmatch.gateways.face import Answer, Face
from cidrmatch.gateways.guard import Guard

HOME, AWAY = "203.0.113.9", "198.51.100.1"
ORDERS = {"bitbybit": ["scope", "ip"], "unkey": ["validity", "ip", "permissions", "ratelimit"]}


def build_guard(preset: str = "bitbybit") -> Guard:
    engine = Engine(presets.PRESETS[preset]())
    engine.put_key("key_1", [HOME])
    return Guard(engine, PeerAddress())


def decide(face: Face[Any], request: object = "request") -> Answer:
    return face.decide(request)


def decide_waiting(face: Face[Any], request: object = "request") -> Answer:
    return asyncio.run(face.wait_for_decision(request))


BOTH = pytest.mark.parametrize("ask", [decide, decide_waiting])


def build(
    preset: str, peer: str = HOME, key: Any = "key_1", waits: bool = False, **answers: Any
) -> tuple[Face[Any], list[str]]:
    """A face, and the names of what it asks, in order."""
    guard, asked = build_guard(preset), list[str]()
    check = guard.check

    def noted(*arguments: Any) -> Any:
        asked.append("ip")
        return check(*arguments)

    guard.check = noted  # type: ignore[method-assign, assignment]  # to see when it is asked

    def step(name: str) -> Callable[[Any, str], object]:
        def ask(request: Any, found: str) -> object:
            asked.append(name)
            assert (request, found) == ("request", key)
            answer = answers.get(name, True)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        async def wait(request: Any, found: str) -> object:
            await asyncio.sleep(0)
            return ask(request, found)

        return wait if waits else ask

    steps: Any = {name: step(name) for name in ORDERS[preset] if name != "ip"}
    if preset == "bitbybit":
        steps["authenticate"] = None
    return Face(guard, lambda request: key, lambda request: (peer, ()), steps=steps), asked


@pytest.mark.parametrize("preset", ORDERS)
@pytest.mark.parametrize(("ask", "waits"), [(decide, False), (decide_waiting, False), (decide_waiting, True)])
def test_C11_order_is_that_of_the_preset(preset: str, ask: Any, waits: bool) -> None:
    face, asked = build(preset, waits=waits)
    answer = ask(face)
    assert (answer.refusal, answer.stopped_at, asked) == (None, None, ORDERS[preset])
    assert answer.found is not None
    assert answer.found.allowed


@BOTH
@pytest.mark.parametrize(
    ("preset", "failing", "asked_last"),
    [
        ("bitbybit", "scope", "scope"),  # B8
        ("bitbybit", "none", "ip"),
        ("unkey", "validity", "validity"),  # U11
        ("unkey", "permissions", "ip"),  # U10
        ("unkey", "ratelimit", "ip"),  # U9
    ],
)
def test_B8_U9_U10_U11_first_failure_ends_a_request_from_elsewhere(
    ask: Any, preset: str, failing: str, asked_last: str
) -> None:
    answers: dict[str, Any] = {failing: False}
    face, asked = build(preset, AWAY, **answers)
    answer = ask(face)
    assert answer.refusal is not None
    assert answer.refusal.status == 403
    assert (asked[-1], answer.stopped_at) == (asked_last, None if asked_last == "ip" else failing)


@BOTH
@pytest.mark.parametrize("said", [False, None, 1, "yes", 0, "", object(), [True]])
def test_step_passes_by_true_alone(ask: Any, said: object) -> None:
    face, asked = build("unkey", permissions=said)
    answer = ask(face)
    assert (answer.refusal.status, answer.stopped_at, asked[-1]) == (403, "permissions", "permissions")
    told = Response(418, (), b"mine")
    assert ask(build("unkey", permissions=told)[0]).refusal is told


@BOTH
@pytest.mark.parametrize("name", ["validity", "permissions", "ratelimit"])
@pytest.mark.parametrize("error", [KeyError("no"), StopIteration(True), StopAsyncIteration(), GeneratorExit()])
def test_C23_whatever_a_step_raises_denies(
    ask: Any, name: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    answers: dict[str, Any] = {name: error}
    face, _ = build("unkey", **answers)
    if isinstance(error, GeneratorExit):
        with pytest.raises(GeneratorExit):
            ask(face)
        return
    answer = ask(face)
    assert (answer.refusal.status, answer.found.reason) == (503, "guard_error")


@BOTH
@pytest.mark.parametrize("error", [OSError("no"), StopIteration(Answer(None, None))])
def test_C23_whatever_a_key_or_an_origin_raises_denies(
    ask: Any, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: Any) -> Any:
        raise error

    async def fail_later(request: Any) -> Any:
        await asyncio.sleep(0)
        raise OSError("no")

    guard = build_guard()
    for key, origin in ((fail, lambda request: (HOME, ())), (lambda request: "key_1", fail)):
        for without_key in ("deny", "pass"):
            assert ask(Face(guard, key, origin, without_key=without_key)).refusal.status == 503
    assert ask(Face(guard, fail_later, lambda request: (HOME, ()))).refusal.status == 503
    assert guard.counts() == {"guard_error": 5}


class Never:
    """Can be awaited, and is no coroutine."""

    def __await__(self) -> Any:
        return iter(())


def test_C23_nothing_is_awaited_where_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    async def key(request: Any) -> str:
        return "key_1"

    for odd in (key, lambda request: Never()):
        face = Face[Any](build_guard(), odd, lambda request: (HOME, ()))
        answer = face.decide("request")
        assert answer.refusal is not None
        assert (answer.refusal.status, "plain function" in caplog.text) == (503, True)
    assert decide_waiting(Face(build_guard(), key, lambda request: (HOME, ()))).refusal is None


@BOTH
def test_B7_request_without_a_key_is_401_before_any_step(ask: Any) -> None:
    face, asked = build("unkey", AWAY, key=None)
    answer = ask(face)
    assert (answer.refusal.status, answer.found.reason, asked) == (401, "no_key", ["ip"])
    passing = Face[Any](build_guard(), lambda request: None, lambda request: (AWAY, ()), without_key="pass")
    assert ask(passing) == Answer(None, None)
    for odd in ("", 0, False):
        empty = Face[Any](build_guard(), {"request": odd}.get, lambda request: (HOME, ()), without_key="pass")
        assert ask(empty).refusal.status in (401, 503), "a key that is empty is none that passes"


def test_wait_that_is_cancelled_passes_nobody() -> None:
    async def key(request: Any) -> str:
        await asyncio.sleep(60)
        return "key_1"

    async def cancel() -> None:
        face = Face[Any](build_guard(), key, lambda request: (HOME, ()))
        task = asyncio.create_task(face.wait_for_decision("request"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())


def test_steps_are_those_of_the_policy_and_functions() -> None:
    def origin(request: Any) -> Any:
        return HOME, ()

    odd: Any
    for odd in ({}, {"scope": None}, {"authenticate": None, "scope": None, "ip": None}, {"authenticate": None}):
        with pytest.raises(ValueError, match="steps of bitbybit"):
            Face[Any](build_guard(), lambda request: None, origin, steps=odd)
    for odd in (True, "scope", 1, False, 0, "", ()):
        with pytest.raises(TypeError, match="'scope' is a function"):
            Face[Any](build_guard(), lambda request: None, origin, steps={"authenticate": None, "scope": odd})


def test_steps_that_are_changed_afterwards_change_nothing() -> None:
    steps: Any = {"authenticate": None, "scope": lambda request, key: False}
    face = Face[Any](build_guard(), lambda request: "key_1", lambda request: (HOME, ()), steps=steps)
    steps["scope"] = None
    assert face.decide("request").stopped_at == "scope"
