"""What a decision keeps: the text that was refused and why, in this process and in another."""

from __future__ import annotations

import copy
import ipaddress
import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import (
    AllowList,
    Decision,
    Engine,
    InvalidAddress,
    Outcome,
    Policy,
    Reason,
    Report,
    parse_address,
    presets,
)
from cidrmatch.advice.explain import explain
from tests.strategies import any_texts

HOME = "203.0.113.7"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
FACTS = (
    *("allowed", "reason", "key", "state", "version", "policy", "address", "given", "entry", "label", "list_name"),
    "would_allow",
)


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = Engine(presets.bitbybit(), clock=NOW.timestamp)
    engine.put_list("office", [(HOME, "Lyon")])
    engine.put_key("own", ["198.51.100.0/24"])
    engine.put_key("linked", lists=["office"])
    engine.put_key(
        "timed", [{"prefix": "10.9.0.0/16", "expires": NOW + timedelta(days=1)}, {"prefix": HOME, "effect": "deny"}]
    )
    engine.put_key("tried", ["192.0.2.0/24"])
    engine.put_shadow("tried", [HOME])
    engine.put_key("free")
    return engine


KEYS = ["own", "linked", "timed", "tried", "free", "nobody"]
ADDRESSES: list[Any] = [
    *(HOME, "198.51.100.9", "10.9.1.1", "192.0.2.1", "::ffff:203.0.113.7", "2001:db8::1", ipaddress.ip_address(HOME)),
    *(b"\xcb\x00q\x07", None, "", "203.0.113.7:443", "junk\n", b"junk", 5, [], ipaddress.ip_network("203.0.113.0/24")),
]


@pytest.mark.parametrize(
    ("address", "given", "code", "suggestion"),
    [
        ("203.0.113.7:443", "203.0.113.7:443", "unexpected_character", "203.0.113.7"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443", "unexpected_character", "2001:db8::1"),
        ("203.0.113.7, 10.0.0.1", "203.0.113.7, 10.0.0.1", "unexpected_character", None),
        ("203.0.113.007", "203.0.113.007", "leading_zero", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1%eth0", "zone_id", "fe80::1"),
        ("203.0.113.7/32", "203.0.113.7/32", "unexpected_character", "203.0.113.7"),
        ("", "", "empty", None),
        (None, None, "not_given", None),
        (5, "<int>", "wrong_type", None),
        (b"203.0.113.7", "b'203.0.113.7'", "packed_size", None),
        (ipaddress.ip_network("203.0.113.0/24"), "203.0.113.0/24", "wrong_type", None),
    ],
    ids=str,
)
def test_a_refused_address_keeps_its_text_and_why(
    engine: Engine, address: Any, given: str | None, code: str, suggestion: str | None
) -> None:
    for key in KEYS:
        decision = engine.check(key, address)
        problem = decision.problem
        assert isinstance(problem, InvalidAddress)
        assert (decision.given, problem.code, problem.suggestion) == (given, code, suggestion)
        facts = decision.to_dict()
        assert (facts["address"], facts["given"], facts["problem"]) == (None, given, code)
        assert facts["suggestion"] == suggestion
        assert json.loads(json.dumps(facts)) == facts


def test_a_port_is_called_a_port(engine: Engine) -> None:
    assert str(engine.check("own", "203.0.113.7:443").problem) == (
        "'203.0.113.7:443' is not an address: a port is not part of an address (at position 11); "
        "did you mean 203.0.113.7?"
    )
    shown = repr(engine.check("own", "203.0.113.7:443"))
    assert shown == "<Decision denied: client_ip_unknown, 'own' from '203.0.113.7:443'>"


def refusal_of(address: Any) -> Exception | None:
    try:
        parse_address(address)
    except (InvalidAddress, TypeError) as error:
        return error
    return None


@given(address=st.one_of(st.none(), any_texts(), st.binary(max_size=17), st.integers()))
def test_either_the_address_or_the_problem_is_none(engine: Engine, address: Any) -> None:
    """And the problem is what `parse_address` would have raised."""
    for key in KEYS:
        decision = engine.check(key, address)
        assert (decision.address is None) != (decision.problem is None)
        expected = refusal_of(address)
        assert (decision.problem is None) == (expected is None)
        if isinstance(expected, InvalidAddress):
            assert str(decision.problem) == str(expected)
        elif expected is not None and decision.problem is not None:
            assert decision.problem.code == ("not_given" if address is None else "wrong_type")


def test_what_a_client_sent_is_cut_for_a_log_and_kept_whole(engine: Engine) -> None:
    sent = "\x1b[2J" + "x" * 100_000
    decision = engine.check("own", sent)
    assert decision.given == sent
    assert decision.to_dict()["given"] == sent[:80] + "..."
    assert len(repr(decision)) < 200
    assert repr(decision).isprintable()


def test_a_text_that_lies_is_shown_by_its_characters(engine: Engine) -> None:
    class Lying(str):
        __slots__ = ()

        def __str__(self) -> str:
            return HOME

    assert engine.check("own", Lying("junk")).given == "junk"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_a_pickled_decision_has_the_same_facts(engine: Engine, key: str, address: Any) -> None:
    decision = engine.check(key, address)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(decision, protocol))
        assert type(again) is Decision
        for name in FACTS:
            assert getattr(again, name) == getattr(decision, name), name
        assert str(again.problem) == str(decision.problem)
        assert repr(again) == repr(decision)
        assert again.to_dict() == decision.to_dict()
        assert pickle.loads(pickle.dumps(again)).to_dict() == decision.to_dict()
        if not decision.allowed:
            assert again.response(show_address=True) == decision.response(show_address=True)
        with pytest.raises(TypeError):
            bool(again)


def test_a_decision_crosses_to_another_process(engine: Engine) -> None:
    code = (
        "import pickle, sys; decision = pickle.load(sys.stdin.buffer); "
        "print(decision.allowed, decision.reason, decision.label, decision.policy.name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(engine.check("linked", HOME)), capture_output=True, check=True
    )
    assert done.stdout.decode().split() == ["True", "matched", "Lyon", "bitbybit"]


def test_a_decision_does_not_take_the_data_along(engine: Engine) -> None:
    large = Engine()
    large.put_keys((f"key_{number}", [HOME]) for number in range(2000))
    assert len(pickle.dumps(large.check("key_7", HOME))) < 4000


def test_a_copy_of_a_decision_is_the_decision(engine: Engine) -> None:
    decision = engine.check("own", HOME)
    assert copy.copy(decision) is decision
    assert copy.deepcopy(decision) is decision
    assert copy.deepcopy([decision])[0] is decision


def test_a_decision_that_nobody_made_tells_nothing() -> None:
    decision = Decision.__new__(Decision)
    assert decision.allowed is False
    assert repr(decision) == "<Decision that nobody made>"
    for name in set(FACTS) - {"allowed", "key"}:
        with pytest.raises(TypeError, match=r"Engine\.check"):
            getattr(decision, name)
    for ask in (decision.to_dict, decision.response, lambda: pickle.dumps(decision)):
        with pytest.raises(TypeError, match=r"Engine\.check"):
            ask()


def test_a_pickle_that_says_something_else_than_true_allows_nothing(engine: Engine) -> None:
    reduced: Any = engine.check("linked", HOME).__reduce__()
    make, (facts, render) = reduced
    assert make(facts, render).allowed is True
    for word in (1, "yes", [True], None):
        assert make(facts | {"allowed": word}, render).allowed is False
    for broken in ({}, {"allowed": True}):
        with pytest.raises(KeyError):
            make(broken, render)


REFUSED: list[Any] = [
    Policy(max_entries=1).validate(["203.0.113.7", "203.0.113.8"]),
    Policy().validate(["203.0.113.7"]),
    Outcome(False, "ip", None, None),
    Outcome(True, None, None, None),
    AllowList(),
    AllowList(["203.0.113.7"]),
    explain(Engine(), "nobody", HOME),
    Engine().check("nobody", HOME),
]


@pytest.mark.parametrize("answer", REFUSED, ids=lambda answer: type(answer).__name__)
def test_an_answer_has_no_truth_value(answer: Any) -> None:
    """`if report:` and `if outcome:` were True for what was refused."""
    with pytest.raises(TypeError, match="has no truth value"):
        bool(answer)
    with pytest.raises(TypeError, match="has no truth value"):
        assert answer


def test_the_truth_of_a_report_and_an_outcome_is_asked_by_name() -> None:
    report, outcome = REFUSED[0], REFUSED[2]
    assert isinstance(report, Report)
    assert (report.ok, outcome.passed, Reason.MATCHED in list(Reason)) == (False, False, True)
