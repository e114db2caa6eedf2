"""What a check answers, reason by reason, and what a decision tells."""

import gc
import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cidrmatch import Decision, Engine, Entry, KeyRecord, KeyStore, Policy, Reason, State, presets
from cidrmatch._keys import FrozenList, Rule, Shadow, View

CUTOVER = datetime(2025, 6, 16, tzinfo=UTC)


def entry(prefix: str, effect: str = "allow", label: str | None = None, **fields: object) -> dict[str, object]:
    return {"prefix": prefix, "effect": effect, "label": label, **fields}


def engine_with(*entries: Any) -> Engine:
    engine = Engine()
    engine.put_key("k", entries)
    return engine


def facts(decision: Decision) -> tuple[bool, str, str | None, str | None]:
    found = decision.entry
    return decision.allowed, decision.reason.value, None if found is None else str(found), decision.list_name


# -- One level ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "reason", "deciding"),
    [
        ("10.0.0.1", "matched", "10.0.0.0/8"),
        ("10.1.0.1", "denied_by_entry", "10.1.0.0/16"),
        ("10.1.2.1", "matched", "10.1.2.0/24"),
        ("10.1.2.3", "denied_by_entry", "10.1.2.3/32"),
        ("11.0.0.0", "ip_not_listed", None),
        ("9.255.255.255", "ip_not_listed", None),
        ("192.0.2.1", "denied_by_entry", "192.0.2.0/24"),
        ("::ffff:10.1.2.1", "matched", "10.1.2.0/24"),
        ("2001:db8::1", "matched", "2001:db8::/32"),
        ("2001:db8:1::1", "denied_by_entry", "2001:db8:1::/48"),
        ("a00::", "ip_not_listed", None),
    ],
)
def test_most_specific_entry_decides_and_denies_on_a_tie(client: str, reason: str, deciding: str | None) -> None:
    engine = engine_with(
        "10.0.0.0/8",
        entry("10.1.0.0/16", "deny"),
        "10.1.2.0/24",
        entry("10.1.2.3", "deny"),
        "192.0.2.0/24",
        entry("192.0.2.0/24", "deny"),
        "2001:db8::/32",
        entry("2001:db8:1::/48", "deny"),
    )
    assert facts(engine.check("k", client)) == (reason == "matched", reason, deciding, None)
    assert engine.allows("k", client) is (reason == "matched")


@pytest.mark.parametrize(
    "client", ["::ffff:10.1.2.1", "::ffff:0a01:0201", b"\x0a\x01\x02\x01", ipaddress.ip_address("10.1.2.1")]
)
def test_address_in_an_uncommon_form_is_judged_as_any_other(client: object) -> None:
    engine = engine_with("10.0.0.0/8")
    assert engine.check("k", client).reason is Reason.MATCHED
    assert engine.check("k", client).address == "10.1.2.1"
    assert engine.allows("k", client)
    assert engine.allows_many(["k"], [client]) == b"\1"


@pytest.mark.parametrize("others", [[], ["203.0.113.5"], [entry("10.0.0.1", enabled=False)]], ids=str)
def test_address_that_only_a_deny_entry_covers_is_denied_by_that_entry(others: list[Any]) -> None:
    """`denied_by_entry`: a deny entry covers the address, and no allow entry is more specific."""
    decision = engine_with(entry("10.0.0.0/8", "deny", "blocked"), *others).check("k", "10.0.0.1")
    assert facts(decision) == (False, "denied_by_entry", "10.0.0.0/8", None)
    assert decision.label == "blocked"


def test_deciding_entry_is_the_one_that_was_put() -> None:
    """With its condition: an entry that denies must not look like one that allows."""
    engine = engine_with("10.0.0.0/8", entry("10.1.0.0/16", "deny", "blocked"))
    for client, number in (("10.0.0.1", 0), ("10.1.0.1", 1)):
        assert engine.check("k", client).entry == engine.key("k").entries[number]


def test_deciding_entry_is_one_that_counts() -> None:
    """Not its twin that is switched off or over, though prefix and label are the same."""
    engine = engine_with(
        entry("10.0.0.0/8", enabled=False),
        entry("10.0.0.0/8", expires="2020-01-01T00:00:00Z"),
        entry("10.0.0.0/8", expires="2200-01-01T00:00:00Z"),
    )
    assert engine.check("k", "10.0.0.1").entry == engine.key("k").entries[2]


def test_label_is_that_of_the_first_entry_that_counts() -> None:
    engine = engine_with(
        entry("10.0.0.0/8", label="off", enabled=False),
        entry("10.0.0.0/8", label="over", expires="2020-01-01T00:00:00Z"),
        entry("10.0.0.0/8", label="on", expires="2200-01-01T00:00:00Z"),
        entry("10.0.0.0/8", label="plain"),
    )
    assert engine.check("k", "10.0.0.1").label == "on"


def test_lists_are_united_and_the_most_specific_of_all_decides() -> None:
    engine = engine_with("10.0.0.0/8", "10.1.1.1")
    engine.put_list("office", [("10.1.0.0/16", "Lyon"), entry("10.2.0.0/16", "deny")])
    engine.put_list("home", ["10.1.0.0/16", "10.2.2.0/24", entry("10.3.0.0/16", "deny"), "192.0.2.1"])
    engine.update_key("k", lists=["office", "home"])
    for client, expected in {
        "10.0.0.1": (True, "matched", "10.0.0.0/8", None),
        "10.1.1.1": (True, "matched", "10.1.1.1/32", None),
        "10.1.1.2": (True, "matched", "10.1.0.0/16", "office"),
        "10.2.0.1": (False, "denied_by_entry", "10.2.0.0/16", "office"),
        "10.2.2.1": (True, "matched", "10.2.2.0/24", "home"),
        "10.3.0.1": (False, "denied_by_entry", "10.3.0.0/16", "home"),
        "192.0.2.1": (True, "matched", "192.0.2.1/32", "home"),
        "192.0.2.2": (False, "ip_not_listed", None, None),
    }.items():
        assert facts(engine.check("k", client)) == expected, client
    assert engine.check("k", "10.1.1.2").label == "Lyon"


# -- Several levels -----------------------------------------------------------


def test_every_list_that_a_key_lies_within_must_let_it_pass() -> None:
    engine = engine_with("10.0.0.0/8", entry("10.9.0.0/16", "deny"))
    engine.put_list("org", ["10.0.0.0/9", entry("10.1.0.0/16", "deny")])
    engine.put_list("land", ["10.0.0.0/10", entry("10.2.0.0/16", "deny")])
    engine.update_key("k", within=["org", "land"])
    for client, expected in {
        "10.0.0.1": (True, "matched", "10.0.0.0/8", None),
        "10.1.0.1": (False, "denied_by_entry", "10.1.0.0/16", "org"),
        "10.2.0.1": (False, "denied_by_entry", "10.2.0.0/16", "land"),
        "10.9.0.1": (False, "denied_by_entry", "10.9.0.0/16", None),
        "10.64.0.1": (False, "ip_not_listed", None, None),
        "10.128.0.1": (False, "ip_not_listed", None, None),
        "11.0.0.1": (False, "ip_not_listed", None, None),
    }.items():
        assert facts(engine.check("k", client)) == expected, client
    engine.update_key("k", entries=[])
    assert facts(engine.check("k", "10.0.0.1")) == (True, "matched", "10.0.0.0/9", "org")
    assert engine.state("k") is State.RESTRICTED


# -- The reasons, in the order of the questions -------------------------------


def test_each_reason_has_its_own_name_and_state() -> None:
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    engine.put_key("legacy", created_at=datetime(2020, 1, 1, tzinfo=UTC))
    engine.put_key("new", ["203.0.113.5"], created_at=CUTOVER)
    engine.put_key("inactive", ["203.0.113.5"], created_at=CUTOVER)
    engine.update_key("inactive", entries=[])
    with engine._drafting(None) as draft:
        draft.lists["empty"] = FrozenList("empty", ())
        draft.set_record("empty", KeyRecord(created_at=CUTOVER, lists=("empty",)))
    for key, client, reason, state in [
        ("legacy", None, Reason.UNRESTRICTED, State.UNRESTRICTED),
        ("new", "203.0.113.5", Reason.MATCHED, State.RESTRICTED),
        ("new", "203.0.113.6", Reason.NOT_LISTED, State.RESTRICTED),
        ("new", None, Reason.CLIENT_IP_UNKNOWN, State.RESTRICTED),
        ("new", "203.0.113.5 ", Reason.CLIENT_IP_UNKNOWN, State.RESTRICTED),
        ("empty", "203.0.113.5", Reason.EMPTY_LIST, State.RESTRICTED),
        ("empty", None, Reason.CLIENT_IP_UNKNOWN, State.RESTRICTED),
        ("inactive", "203.0.113.5", Reason.INACTIVE, State.INACTIVE),
        ("inactive", None, Reason.INACTIVE, State.INACTIVE),
        ("nobody", "203.0.113.5", Reason.UNKNOWN_KEY, None),
    ]:
        decision = engine.check(key, client)
        assert (decision.reason, decision.state) == (reason, state), key
        assert decision.allowed is (reason in (Reason.UNRESTRICTED, Reason.MATCHED))
        assert engine.allows(key, client) is decision.allowed


def test_empty_list_beside_one_with_entries_adds_nothing() -> None:
    engine = engine_with("10.0.0.0/8")
    with engine._drafting(None) as draft:
        draft.lists["empty"] = FrozenList("empty", ())
        draft.set_record("k", KeyRecord(created_at=CUTOVER, entries=(Entry("10.0.0.0/8"),), lists=("empty",)))
    assert engine.check("k", "10.0.0.1").reason == "matched"
    assert engine.check("k", "11.0.0.1").reason == "ip_not_listed"


# -- The decision -------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        (b"\xcb\x00\x71\x05", "203.0.113.5"),
        (ipaddress.ip_address("2001:db8::1"), "2001:db8::1"),
        ("junk", None),
        (None, None),
        (5, None),
    ],
)
@pytest.mark.parametrize("key", ["own", "free", "linked", "nobody"])
def test_B28_evaluated_address_is_shown_in_canonical_form(key: str, given: object, shown: str | None) -> None:
    engine = Engine()
    engine.put_list("office", ["10.0.0.0/8"])
    engine.put_key("own", ["10.0.0.0/8"])
    engine.put_key("free")
    engine.put_key("linked", lists=["office"])
    assert engine.check(key, given).address == shown


def test_decision_as_plain_values() -> None:
    engine = Engine(presets.bitbybit())
    engine.put_list("office", [("203.0.113.5", "Lyon")])
    engine.put_key("k", lists=["office"])
    decision = engine.check("k", "203.0.113.5")
    assert decision.to_dict() == {
        "allowed": True,
        "reason": "matched",
        "key": "k",
        "address": "203.0.113.5",
        "given": "203.0.113.5",
        "problem": None,
        "suggestion": None,
        "entry": "203.0.113.5/32",
        "label": "Lyon",
        "list": "office",
        "state": "restricted",
        "version": 2,
    }
    assert decision.policy is engine.policy
    assert repr(decision) == "<Decision allowed: matched, 'k' from 203.0.113.5>"
    denied = engine.check("nobody", None)
    assert repr(denied) == "<Decision denied: unknown_key, 'nobody' from None>"
    unknown = denied.to_dict()
    assert {name for name, value in unknown.items() if value is None} == {
        *("address", "given", "suggestion", "entry", "label", "list", "state")
    }
    assert unknown["problem"] == "not_given"


def test_C4_entry_is_written_as_the_product_shows_it() -> None:
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    engine.put_key("k", ["203.0.113.5"])
    assert engine.check("k", "203.0.113.5").to_dict()["entry"] == "203.0.113.5"


def test_decision_has_no_truth_value_and_cannot_be_changed() -> None:
    decision: Any = engine_with("10.0.0.0/8").check("k", "11.0.0.1")
    with pytest.raises(TypeError, match="allowed"):
        bool(decision)
    for name in ("allowed", "reason", "key", "state", "version", "anything"):
        with pytest.raises(AttributeError):
            setattr(decision, name, True)
    assert decision.allowed is False


def test_decision_that_nobody_made_allows_nothing() -> None:
    decision = Decision.__new__(Decision)
    assert decision.allowed is False
    with pytest.raises(TypeError, match=r"Engine\.check"):
        _ = decision.reason


def test_decisions_are_no_leak() -> None:
    engine = engine_with("10.0.0.0/8")
    for _ in range(100):
        engine.check("k", "10.0.0.1")
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(1000):
        engine.check("k", "10.0.0.1").to_dict()
    gc.collect()
    assert len(gc.get_objects()) - before < 50


# -- Trials -------------------------------------------------------------------


def test_trial_remembers_a_thousand_addresses_and_counts_all() -> None:
    engine = engine_with("10.0.0.0/8")
    engine.put_shadow("k", ["10.0.0.0/24"])
    for number in range(1100):
        engine.allows("k", f"10.1.{number // 256}.{number % 256}")
    engine.allows("k", "10.1.0.0")
    engine.allows("k", "10.1.255.255")
    shadow = engine.shadow("k")
    assert shadow is not None
    assert (shadow.would_allow, shadow.would_deny, len(shadow.denied)) == (0, 1102, 1000)
    assert shadow.denied["10.1.0.0"] == 2
    assert "10.1.255.255" not in shadow.denied


# -- The parts ----------------------------------------------------------------


def never_none(value: Any) -> Any:
    return [] if value is None else value


def never_text(value: Any) -> Any:
    return None if isinstance(value, str) else value


def test_parts_refuse_what_they_cannot_be_made_of() -> None:
    settings = Engine().view.settings
    anything: Any
    for anything in (None, 5, "x", object(), [Entry("10.0.0.1")]):
        builds: tuple[Callable[[Any], object], ...] = (
            lambda value: FrozenList("x", value),
            lambda value: FrozenList("x", (), never_text(value)),
            Shadow,
            lambda value: Rule(None, never_none(value), (), (), True, False, None),
            lambda value: Rule(None, None, value, (), True, False, None),
            lambda value: Rule(None, None, (), value, True, False, None),
            lambda value: Rule(None, None, (), (), True, False, never_none(value)),
            lambda value: View(never_none(value), {}, {}, None, 0, settings),
            lambda value: View(None, value, {}, None, 0, settings),
            lambda value: View(None, {}, value, None, 0, settings),
            lambda value: View(None, {}, {}, None, 0, settings, value),
        )
        for build in builds:
            with pytest.raises(TypeError):
                build(anything)
    with pytest.raises((OverflowError, TypeError)):
        View(None, {}, {}, None, -1, settings)
    with pytest.raises(AttributeError):
        View(None, {}, {}, None, 0, object())  # type: ignore[arg-type]


def test_parts_show_what_they_were_made_of() -> None:
    frozen = FrozenList("office", (Entry("10.0.0.0/8"),), "Vienna")
    assert (frozen.name, frozen.entries, frozen.description) == ("office", (Entry("10.0.0.0/8"),), "Vienna")
    shadow = Shadow(frozen)
    record = KeyRecord(created_at=CUTOVER)
    rule = Rule(record, frozen, ("a",), ("b",), True, False, shadow)
    assert (rule.record, rule.names, rule.within, rule.is_enabled, rule.needs_list, rule.shadow) == (
        (record, ("a",), ("b",), True, False, shadow)
    )
    store = KeyStore({"k": ["10.0.0.1"], "gone": []})
    view = View(
        store, {"gone": None, "more": rule}, {"office": frozen}, "office", 7, Engine().view.settings, ("office", "left")
    )
    assert sorted(view) == ["k", "more"]
    assert (view.rule("more"), view.rule("gone"), view.rule("nobody")) == (rule, None, None)
    made = view.rule("k")
    assert made is not None
    assert made is view.rule("k")
    assert made.record.entries == (Entry("10.0.0.1"),)
    assert (view.version, view.default, list(view.lists), view.store) == (7, "office", ["office"], store)
    assert view.names == ("office", "left")
    with pytest.raises(TypeError):
        view.state(None)  # type: ignore[arg-type]
    for part, name in ((frozen, "entries"), (rule, "names"), (view, "lists"), (shadow, "would_allow")):
        with pytest.raises(AttributeError):
            setattr(part, name, None)


def test_state_of_a_key_within_a_list_alone_and_of_one_with_the_default() -> None:
    engine = Engine(Policy())
    engine.put_list("org", ["10.0.0.0/8"])
    engine.put_key("within", within=["org"])
    engine.put_key("plain")
    assert (engine.state("within"), engine.state("plain")) == (State.RESTRICTED, State.UNRESTRICTED)
    engine.set_default("org")
    assert engine.state("plain") is State.RESTRICTED
    engine.update_key("within", enabled=False)
    assert engine.state("within") is State.UNRESTRICTED
    assert engine.check("within", "11.0.0.1").reason == "unrestricted"
