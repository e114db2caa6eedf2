"""Explanations: they say what the engine decides, from one version and one moment, and in safe text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Condition, Engine, Entry, Policy, Reason, presets
from cidrmatch._core.condition import Standing, standing_of
from cidrmatch.advice.explain import Explanation, explain

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CUTOVER = datetime(2026, 6, 16, tzinfo=UTC)


def build_engine(policy: Policy | None = None, **options: object) -> Engine:
    return Engine(policy or presets.bitbybit(), clock=NOW.timestamp, **options)  # type: ignore[arg-type]


@pytest.fixture
def engine() -> Engine:
    """A key with entries of all kinds, a linked list and a list around both."""
    engine = build_engine()
    engine.put_list(
        "office", [("198.51.100.0/24", "Vienna"), {"prefix": "198.51.100.64/26", "effect": "deny", "label": "Wi-Fi"}]
    )
    engine.put_list("company", ["198.51.100.0/24", "203.0.113.0/24"])
    entries = [
        {"prefix": "203.0.113.0/24", "expires": NOW + HOUR},
        {"prefix": "203.0.113.0/25", "expires": NOW},
        {"prefix": "203.0.113.0/26", "not_before": NOW + HOUR},
        {"prefix": "203.0.113.0/27", "enabled": False},
        {"prefix": "192.0.2.0/24", "not_before": NOW},
    ]
    engine.put_key("key_1", entries, lists=["office"], within=["company"])
    return engine


def check_agreement(engine: Engine, explanation: Explanation, key: str, address: object) -> None:
    """Whatever is told, the decision is the engine's own, and the levels lead to it."""
    decision = engine.check(key, address)
    assert explanation.decision.to_dict() == decision.to_dict()
    assert explanation.lines[0].startswith("allowed: " if decision.allowed else "denied: ")
    assert all(line.isprintable() and line.isascii() for line in explanation.lines)
    json.dumps(explanation.to_dict())
    if decision.reason in (Reason.MATCHED, Reason.NOT_LISTED, Reason.DENIED_BY_ENTRY, Reason.EMPTY_LIST):
        assert decision.allowed == all(level.decision.allowed for level in explanation.levels)
        decided = [
            level for level in explanation.levels for asked in level.lists for each in asked.covering if each.decides
        ]
        assert len(decided) == sum(level.decision.entry is not None for level in explanation.levels)


def test_every_covering_entry_is_told_with_what_it_does_now(engine: Engine) -> None:
    explanation = explain(engine, "key_1", "203.0.113.5")
    check_agreement(engine, explanation, "key_1", "203.0.113.5")
    assert str(explanation).splitlines() == [
        "allowed: the key 'key_1' from 203.0.113.5: the address is on the allow list",
        "the key is restricted: it has 5 entries of its own, is linked to 'office', lies within 'company'",
        "its own lists let the address pass",
        "  own entries: 4 of 5 cover it",
        "    203.0.113.0/27: allows, but is disabled",
        "    203.0.113.0/26: allows, but waits until 2026-07-01T01:00:00+00:00",
        "    203.0.113.0/25: allows, but is over since 2026-07-01T00:00:00+00:00",
        "    203.0.113.0/24: allows, and decides, until 2026-07-01T01:00:00+00:00",
        "  linked list 'office': none of 2 covers it",
        "the list 'company', which it lies within, lets the address pass",
        "  within list 'company': 1 of 2 covers it",
        "    203.0.113.0/24: allows, and decides",
    ]


def test_a_deny_entry_is_named_with_its_list_and_label(engine: Engine) -> None:
    explanation = explain(engine, "key_1", "::ffff:198.51.100.65")
    check_agreement(engine, explanation, "key_1", "::ffff:198.51.100.65")
    assert explanation.lines[0] == (
        "denied: the key 'key_1' from 198.51.100.65: an entry of the list denies the address"
    )
    assert explanation.lines[2] == "its own lists do not let the address pass: an entry of the list denies the address"
    assert "    198.51.100.64/26 'Wi-Fi': denies, and decides" in explanation.lines
    assert "    198.51.100.0/24 'Vienna': allows" in explanation.lines


def test_a_level_that_denies_is_told_although_the_first_one_passes(engine: Engine) -> None:
    explanation = explain(engine, "key_1", "192.0.2.1")
    check_agreement(engine, explanation, "key_1", "192.0.2.1")
    assert not explanation.decision.allowed
    assert "its own lists let the address pass" in explanation.lines
    assert (
        "the list 'company', which it lies within, does not let the address pass: "
        "the address is not on the allow list" in explanation.lines
    )


def test_the_facts_are_told_as_data(engine: Engine) -> None:
    facts = explain(engine, "key_1", "198.51.100.65").to_dict()
    assert (facts["allowed"], facts["reason"], facts["list"]) == (False, "denied_by_entry", "office")
    assert facts["levels"] == [
        {
            "passes": False,
            "reason": "denied_by_entry",
            "lists": [
                {"relation": "own", "list": None, "entries": 5, "covering": []},
                {
                    "relation": "linked",
                    "list": "office",
                    "entries": 2,
                    "covering": [
                        {
                            "prefix": "198.51.100.64/26",
                            "label": "Wi-Fi",
                            "effect": "deny",
                            "now": "counts",
                            "decides": True,
                        },
                        {"prefix": "198.51.100.0/24", "label": "Vienna", "now": "counts", "decides": False},
                    ],
                },
            ],
        },
        {
            "passes": True,
            "reason": "matched",
            "lists": [
                {
                    "relation": "within",
                    "list": "company",
                    "entries": 2,
                    "covering": [{"prefix": "198.51.100.0/24", "now": "counts", "decides": True}],
                }
            ],
        },
    ]


def test_the_default_list_is_told_as_such() -> None:
    engine = build_engine(Policy())
    engine.put_list("office", ["198.51.100.0/24"])
    engine.set_default("office")
    engine.put_key("key_1")
    lines = explain(engine, "key_1", "198.51.100.7").lines
    assert "the key is restricted: it has no list of its own, so the default list 'office' applies" in lines
    assert "the default list 'office' lets the address pass" in lines


def test_a_key_within_a_list_and_without_one_of_its_own() -> None:
    engine = build_engine()
    engine.put_list("company", ["198.51.100.0/24"])
    engine.put_key("key_1", within=["company"])
    lines = explain(engine, "key_1", "198.51.100.7").lines
    assert lines[1] == "the key is restricted: it lies within 'company'"
    assert len([line for line in lines if line.startswith("its own")]) == 0


def test_an_unrestricted_key_says_why() -> None:
    engine = build_engine()
    engine.put_key("free")
    assert explain(engine, "free", None).lines == (
        "allowed: the key 'free' from an unknown address: nothing restricts this key",
        "the key is unrestricted: it has no list, and there is no default list",
        "the address of the client was not given",
    )
    engine.put_key("off", ["198.51.100.0/24"], enabled=False)
    lines = explain(engine, "off", "203.0.113.1").lines
    assert lines[1:] == (
        "the key is unrestricted: its lists are kept, but were disabled",
        "its own lists would not let the address pass: the address is not on the allow list",
        "  own entries: none of 1 covers it",
    )
    assert "its own lists would let the address pass" in explain(engine, "off", "198.51.100.1").lines


def test_inactive_and_legacy_keys_are_told_by_the_cutover() -> None:
    engine = build_engine(presets.nomsa(cutover=CUTOVER))
    engine.put_key("legacy", created_at=CUTOVER - HOUR)
    assert explain(engine, "legacy", "203.0.113.5").lines[1] == (
        "the key is unrestricted: it has no list, and one created 2026-06-15T23:00:00+00:00, before the cutover, "
        "needs none"
    )
    engine.put_key("new", ["203.0.113.5"], created_at=CUTOVER)
    assert "    203.0.113.5: allows, and decides" in explain(engine, "new", "203.0.113.5").lines
    engine.update_key("new", entries=[])
    explanation = explain(engine, "new", "203.0.113.5")
    assert not explanation.decision.allowed
    assert explanation.lines[1] == (
        "the key is inactive: it has no list, and one created 2026-06-16T00:00:00+00:00, not before the cutover, "
        "needs one"
    )


@pytest.mark.parametrize(("unknown_key", "words"), [("deny", "are denied"), ("pass", "pass")])
def test_an_unknown_key_is_told_with_what_becomes_of_it(unknown_key: str, words: str) -> None:
    engine = build_engine(unknown_key=unknown_key)
    for key in ("nobody", ""):
        explanation = explain(engine, key, "203.0.113.5")
        check_agreement(engine, explanation, key, "203.0.113.5")
        assert explanation.lines[1] == f"nobody put this key, and unknown keys {words} here"
        assert explanation.levels == ()


def test_a_feature_that_is_off_is_told_with_what_the_lists_would_say(engine: Engine) -> None:
    engine.set_enforced(False)
    explanation = explain(engine, "key_1", "192.0.2.1")
    assert explanation.decision.allowed
    assert explanation.lines[1] == "allow lists are switched off for all keys"
    assert (
        "the list 'company', which it lies within, would not let the address pass: the address is not on the allow list"
        in explanation.lines
    )


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (None, "was not given"),
        ("203.0.113.5\n", r"is no address: '203.0.113.5\n'"),
        (5, "is no address: a value of type int"),
        ("x" * 500, f"is no address: '{'x' * 80}'..."),
    ],
)
def test_an_address_that_is_none_is_denied_and_told(engine: Engine, address: object, words: str) -> None:
    explanation = explain(engine, "key_1", address)
    check_agreement(engine, explanation, "key_1", address)
    assert explanation.decision.reason is Reason.CLIENT_IP_UNKNOWN
    assert explanation.lines[2] == f"the address of the client {words}"
    assert "  own entries: 5 entries" in explanation.lines


def test_an_empty_list_is_told_to_deny() -> None:
    engine = build_engine()
    engine.put_list("office", ["198.51.100.0/24"])
    engine.put_key("key_1", lists=["office"])
    empty = build_engine()
    office = type(engine.lists()["office"])("office", ())
    empty.restore(keys={"key_1": engine.key("key_1")}, lists=[office])
    explanation = explain(empty, "key_1", "198.51.100.1")
    check_agreement(empty, explanation, "key_1", "198.51.100.1")
    assert explanation.lines[2:] == (
        "its own lists do not let the address pass: the allow list is empty",
        "  linked list 'office': it is empty",
    )


def test_a_list_on_trial_is_told_and_not_counted(engine: Engine) -> None:
    engine.put_shadow("key_1", ["198.51.100.0/24"])
    for address, verb in (("198.51.100.1", "allow"), ("203.0.113.5", "deny")):
        assert explain(engine, "key_1", address).lines[-1] == (f"the list on trial would {verb} it; it decides nothing")
    shadow = engine.shadow("key_1")
    assert shadow is not None
    assert (shadow.would_allow, shadow.would_deny) == (0, 0)


def test_hostile_names_and_labels_are_escaped() -> None:
    hostile = "[red]\x1b[2J\n\u202e"
    engine = build_engine(Policy())
    engine.put_list(hostile, [("198.51.100.0/24", "B\u00fcro")])
    engine.put_key(hostile, lists=[hostile])
    explanation = explain(engine, hostile, "198.51.100.7")
    check_agreement(engine, explanation, hostile, "198.51.100.7")
    assert r"\x1b[2J\n\u202e" in explanation.lines[0]
    assert r"'B\xfcro'" in str(explanation)


def test_a_key_that_lies_about_itself_is_explained_as_the_core_sees_it() -> None:
    class Liar(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "free"

    engine = build_engine(unknown_key="pass")
    engine.put_key("free")
    engine.put_key("key_1", ["198.51.100.0/24"])
    explanation = explain(engine, Liar("key_1"), "203.0.113.1")
    assert explanation.decision.reason is Reason.NOT_LISTED


def test_the_clock_is_read_once_and_may_fail() -> None:
    ticks = iter([NOW.timestamp()])
    engine = Engine(presets.bitbybit(), clock=lambda: next(ticks))
    engine.put_key("key_1", [{"prefix": "203.0.113.5", "expires": NOW}], created_at=NOW)
    assert not explain(engine, "key_1", "203.0.113.5").decision.allowed
    with pytest.raises(StopIteration):
        explain(engine, "key_1", "203.0.113.5")


def test_standing_follows_the_clock() -> None:
    entry = Entry("203.0.113.5", None, Condition(not_before=NOW, expires=NOW + HOUR))
    moments = [NOW.timestamp() + seconds for seconds in (-1, 0, 3599, 3600)]
    assert [standing_of(entry, moment) for moment in moments] == [
        Standing.WAITS,
        Standing.COUNTS,
        Standing.COUNTS,
        Standing.OVER,
    ]
    assert standing_of(Entry("203.0.113.5"), 0) is Standing.COUNTS
    assert standing_of(Entry("203.0.113.5", None, Condition(enabled=False)), 0) is Standing.DISABLED


conditions = st.builds(
    lambda effect, enabled, start, end: Condition(
        effect=effect,
        enabled=enabled,
        not_before=None if start is None else NOW - HOUR,
        expires=None if end is None else NOW + end * HOUR,
    ),
    st.sampled_from(["allow", "deny"]),
    st.booleans(),
    st.sampled_from([None, True]),
    st.sampled_from([None, 0, 1]),
)
entries = st.builds(
    Entry,
    st.tuples(st.integers(0, 3), st.sampled_from([30, 31, 32])).map(
        lambda pair: f"192.0.2.{pair[0] >> 32 - pair[1] << 32 - pair[1]}/{pair[1]}"
    ),
    st.none(),
    st.one_of(st.none(), conditions),
)
several = st.lists(entries, min_size=1, max_size=5)


@given(st.lists(entries, max_size=5), several, several, st.integers(0, 3), st.booleans(), st.booleans())
def test_explanations_agree_with_the_engine(
    own: list[Entry], office: list[Entry], company: list[Entry], last: int, is_linked: bool, is_within: bool
) -> None:
    engine = build_engine(Policy())
    engine.put_list("office", office)
    engine.put_list("company", company)
    engine.put_key("key_1", own, lists=["office"] * is_linked, within=["company"] * is_within)
    address = f"192.0.2.{last}"
    check_agreement(engine, explain(engine, "key_1", address), "key_1", address)
