"""What an administrator is told when a change was refused: a status, a reason, each problem, and no name of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import (
    AlreadyExists,
    CidrmatchError,
    Conflict,
    Engine,
    EngineError,
    InvalidAddress,
    InvalidPrefix,
    LockTimeout,
    NotFlushed,
    SnapshotError,
    errors,
    parse_address,
    presets,
)
from cidrmatch.gateways.admin import REFUSED, refused_change

HOME, AWAY = "203.0.113.9", "198.51.100.1"


def bitbybit() -> Engine:
    engine = Engine(presets.bitbybit(), permits=lambda actor, operation, name: actor == "admin")
    engine.put_list("office", [HOME], actor="admin")
    engine.put_key("key_1", [HOME], lists=["office"], actor="admin")
    return engine


def nomsa() -> Engine:
    cutover = datetime(2025, 6, 16, tzinfo=UTC)
    engine = Engine(presets.nomsa(cutover=cutover))
    engine.put_key("old", [HOME], created_at=datetime(2025, 6, 15, tzinfo=UTC))
    return engine


def off() -> Engine:
    engine = bitbybit()
    engine.set_enforced(False)
    return engine


CHANGES: dict[str, tuple[Callable[[], Engine], Callable[[Engine], object], int, str, str]] = {
    "policy": (
        bitbybit, lambda engine: engine.put_key("key_2", ["10.0.0.0/8", "junk"]), 422, "policy", "2 errors in the list"
    ),
    "an entry that cannot be read": (
        bitbybit, lambda engine: engine.remove_entries("key_1", ["junk"]), 422, "invalid_prefix", "'junk'"
    ),
    "no such key": (bitbybit, lambda engine: engine.update_key("key_9", entries=[HOME]), 404, "unknown_name", "key_9"),
    "a role": (
        bitbybit, lambda engine: engine.put_list("office", [HOME], actor="guest"), 403, "not_permitted", "not permitted"
    ),
    "a key that is there": (bitbybit, lambda engine: engine.put_key("key_1", [HOME]), 409, "already_exists", "key_1"),
    "a version": (
        bitbybit, lambda engine: engine.update_key("key_1", entries=[AWAY], if_version=9), 409, "conflict", "somebody"
    ),
    "a list that is used": (
        bitbybit, lambda engine: engine.remove_list("office", actor="admin"), 409, "in_use", "office"
    ),
    "a lock-out": (
        bitbybit, lambda engine: engine.update_key("key_1", lists=[], entries=[AWAY], caller=HOME, actor="admin"),
        409, "lock_out", HOME,
    ),
    "the feature is off": (off, lambda engine: engine.update_key("key_1", entries=[AWAY]), 409, "feature_off", "off"),
    "a legacy key": (nomsa, lambda engine: engine.update_key("old", entries=[]), 409, "refused", "cannot be emptied"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_each_refusal_of_an_engine_has_a_status_and_a_reason(name: str) -> None:
    build, change, status, reason, said = CHANGES[name]
    engine = build()
    version = engine.version
    with pytest.raises(REFUSED) as refused:
        change(engine)
    told = refused_change(refused.value)
    body = json.loads(told.body)
    assert (told.status, body["status"], body["reason"], engine.version) == (status, status, reason, version)
    assert said in body["detail"]
    assert "\n" not in body["detail"]
    assert set(body) - {"problems"} == {"type", "title", "status", "detail", "reason"}
    assert dict(told.headers)["content-type"] == "application/problem+json"
    assert ("problems" in body) == (name == "policy")


def test_B12_C6_each_problem_of_a_list_is_told() -> None:
    with pytest.raises(errors.PolicyError) as refused:
        bitbybit().put_key("key_2", ["203.0.113.7/24", "10.0.0.1", "junk"])
    problems = json.loads(refused_change(refused.value).body)["problems"]
    assert [(problem["index"], problem["code"], problem["severity"]) for problem in problems] == [
        (0, "host_bits", "error"), (1, "private", "warning"), (2, "unexpected_character", "error"),
    ]  # fmt: skip
    assert problems[0]["suggestion"] == "203.0.113.0/24"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Conflict("/srv/keys.snap is of generation 5"), 409),
        (LockTimeout("/srv/keys.snap: another writer had it locked"), 503),
        (errors.NotPermitted("<User root password=hunter2> may not link 'office'"), 403),
    ],
)
def test_what_is_not_for_clients_is_not_told(error: EngineError, status: int) -> None:
    told = refused_change(error)
    assert told.status == status
    assert b"/srv" not in told.body
    assert b"hunter2" not in told.body


def test_error_of_a_subclass_is_told_as_its_kind() -> None:
    class Mine(AlreadyExists):
        """An error of a host's own."""

    assert json.loads(refused_change(Mine("there is one")).body)["reason"] == "already_exists"


@pytest.mark.parametrize("kind", [Conflict, LockTimeout, errors.NotPermitted])
def test_what_is_not_for_clients_is_not_told_of_a_subclass_either(kind: type[EngineError]) -> None:
    mine = type("Mine", (kind,), {})
    told = refused_change(mine("/srv/keys.snap"))
    assert json.loads(told.body) == json.loads(refused_change(kind("?")).body)


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (errors.NotPermitted("?"), "Forbidden"),
        (errors.UnknownName("?"), "Not Found"),
        (errors.InUse("?"), "Conflict"),
        (LockTimeout("?"), "Service Unavailable"),
    ],
)
def test_title_is_that_of_the_status(error: EngineError, title: str) -> None:
    assert json.loads(refused_change(error).body)["title"] == title


def test_title_of_a_list_that_was_refused() -> None:
    """As RFC 9110 has it; the `http` of older Pythons says "Unprocessable Entity"."""
    with pytest.raises(errors.PolicyError) as refused:
        bitbybit().put_key("key_2", ["junk"])
    assert json.loads(refused_change(refused.value).body)["title"] == "Unprocessable Content"


def test_every_error_of_an_engine_is_answered() -> None:
    named: list[Any] = [getattr(errors, name) for name in errors.__all__]
    kinds = [kind for kind in named if isinstance(kind, type) and issubclass(kind, EngineError)]
    reasons = [json.loads(refused_change(kind("what is wrong")).body)["reason"] for kind in kinds]
    assert len(set(reasons)) == len(kinds) == 9, "each has a reason of its own"


def test_what_is_no_refused_change_is_not_answered(tmp_path: Path) -> None:
    with pytest.raises(InvalidAddress) as junk:
        parse_address("junk")
    for error in (junk.value, SnapshotError("/srv/keys.snap: damaged"), NotFlushed("full"), CidrmatchError("?")):
        assert not isinstance(error, REFUSED)
        with pytest.raises(TypeError, match="no change that was refused"):
            refused_change(error)
    assert issubclass(InvalidPrefix, REFUSED)
