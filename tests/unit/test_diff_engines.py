"""Two engines compared: what differs is told, and who gets in is what the engines themselves say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Engine, Prefix, presets
from cidrmatch.advice.engines import EngineDiff, KeyDiff, diff_engines, lines_of, title_of
from cidrmatch.files import config
from cidrmatch.policy.policy import Policy

CREATED = datetime(2026, 7, 1, tzinfo=UTC)
PREFIXES = ["10.0.0.0/8", "10.0.0.0/9", "10.1.0.0/16", "192.0.2.0/31", "192.0.2.1/32", "2001:db8::/32", "2001:db8::/33"]
ASKED = [
    "10.1.2.3",
    "10.2.0.0",
    "10.200.0.1",
    "192.0.2.0",
    "192.0.2.1",
    "8.8.8.8",
    "2001:db8::1",
    "2001:db8:8000::1",
    "::1",
]
KEYS = ["one", "two", "three", "nobody's"]

entries = st.lists(st.sampled_from(PREFIXES), max_size=3, unique=True)
names = st.lists(st.sampled_from(["office", "home"]), max_size=2, unique=True)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A configuration with two lists and up to three keys."""
    keys = [
        {
            "id": key,
            "created_at": CREATED.isoformat(),
            "lists": draw(names),
            "within": draw(names),
            "enabled": draw(st.booleans()),
        }
        | ({"entries": own} if (own := draw(entries)) else {})
        for key in KEYS[:3]
        if draw(st.integers(0, 3))
    ]
    document = {
        "format": 1,
        "policy": {"name": "any"},
        "unknown_key": draw(st.sampled_from(["deny", "deny", "pass"])),
        "enforced": draw(st.sampled_from([True, True, True, False])),
        "lists": [{"name": name, "entries": draw(entries)} for name in ("office", "home")],
        "keys": keys,
    }
    return document | draw(st.sampled_from([{}, {}, {"default": "office"}]))


def loaded(document: dict[str, Any]) -> Engine:
    return config.load(document, warn=lambda _problem: None)


@given(documents(), documents())
def test_who_gets_in_is_what_the_engines_say(one: dict[str, Any], other: dict[str, Any]) -> None:
    before, after = loaded(one), loaded(other)
    found = diff_engines(before, after)
    assert found.untold == ()
    assert found.is_equal is (config.dump(before) == config.dump(after))
    told = {each.key: each for each in found.keys}
    assert all(each.gained or each.lost for each in found.keys)
    for key in KEYS[:3]:
        if key not in before and key not in after:
            continue
        gained, lost = (
            (AllowList(told[key].gained), AllowList(told[key].lost)) if key in told else (AllowList(), AllowList())
        )
        for address in ASKED:
            was, now = before.allows(key, address), after.allows(key, address)
            assert (address in gained, address in lost) == (now and not was, was and not now), (key, address)


@given(documents())
def test_an_engine_equals_its_copies(document: dict[str, Any]) -> None:
    engine = loaded(document)
    for copy in (config.load(config.dump(engine), warn=lambda _problem: None), loaded(document)):
        found = diff_engines(engine, copy)
        assert found == EngineDiff((), (), ())
        assert found.is_equal


def two_engines() -> tuple[Engine, Engine]:
    engines = (Engine(presets.bitbybit()), Engine(presets.bitbybit()))
    for engine, office in zip(engines, (["198.51.100.0/24"], ["198.51.100.0/25", "203.0.113.4"]), strict=True):
        engine.put_list("office", office)
        engine.put_key("linked", lists=["office"], created_at=CREATED)
        engine.put_key("own", ["192.0.2.1"], created_at=CREATED)
    return engines


def test_a_change_of_a_list_is_told_for_each_key_that_uses_it() -> None:
    before, after = two_engines()
    found = diff_engines(before, after)
    assert [title_of(thing) for thing in found.things] == ["list 'office'"]
    assert found.keys == (KeyDiff("linked", (Prefix("203.0.113.4"),), (Prefix("198.51.100.128/25"),)),)
    assert list(lines_of(found.things[0])) == [
        ("-", "198.51.100.0/24"),
        ("+", "198.51.100.0/25"),
        ("+", "203.0.113.4/32"),
    ]
    assert repr(found) == "<EngineDiff: 1 things differ, 1 keys with other addresses>"
    with pytest.raises(TypeError, match="no truth value"):
        bool(found)


def test_entries_with_conditions_are_told_in_words_and_only_where_something_changed() -> None:
    engines = [Engine(Policy(name="any")), Engine(Policy(name="any"))]
    for engine, effect in zip(engines, ("allow", "deny"), strict=True):
        engine.put_list("office", [{"prefix": "10.0.0.0/8"}, {"prefix": "10.1.0.0/16", "effect": effect}])
        engine.put_key("linked", lists=["office"], created_at=CREATED)
        engine.put_key("other", [{"prefix": "10.1.0.0/16", "effect": "deny"}, "10.0.0.0/8"], created_at=CREATED)
    found = diff_engines(*engines)
    assert (found.keys, found.untold) == ((), ("linked",))
    assert list(lines_of(found.things[0])) == [("-", "10.1.0.0/16"), ("+", "10.1.0.0/16 effect=deny")]


def test_new_keys_and_other_rules_are_told() -> None:
    before, after = two_engines()
    after.put_list("office", ["198.51.100.0/24"])
    after.put_key("new", ["192.0.2.9"], created_at=CREATED)
    assert diff_engines(before, after).keys == (KeyDiff("new", (Prefix("192.0.2.9"),), ()),)
    assert diff_engines(after, before).keys == (KeyDiff("new", (), (Prefix("192.0.2.9"),)),)
    after.set_enforced(False)
    found = diff_engines(before, after)
    assert {each.key for each in found.keys} == {"linked", "new", "own"}
    assert "rules" in [thing.kind for thing in found.things]
