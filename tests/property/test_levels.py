"""What a list says of an address at a moment, against slow twins.

    entries that count now and cover the address -> the longest length -> denied if one of that length denies

The twin walks all entries for each question.  The second half puts IPv4 addresses into IPv6 addresses octet by octet,
as RFC 6052 section 2.2 draws it, and judges both.

Requirements: B2, B5 (only what is on the list passes), C23 (nobody gets in by what is not known).
"""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Engine, Policy
from cidrmatch._keys.judge import inner_address
from cidrmatch.advice.explain import explain
from cidrmatch.policy.plain import read_policy, write_policy

START = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS4 = ["10.0.0.0", "10.0.0.1", "10.0.0.128", "10.0.1.0", "10.1.0.0", "11.0.0.0", "1.0.0.0", "223.255.255.255"]
HOSTS6 = ["2001:db8::", "2001:db8::1", "2001:db8:0:1::", "2001:db9::", "::2", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]


@st.composite
def timed_entries(draw: st.DrawFn) -> dict[str, Any]:
    host = draw(st.sampled_from(HOSTS4 + HOSTS6))
    length = draw(st.sampled_from([0, 8, 9, 16, 24, 25, 31, 32] if "." in host else [0, 32, 47, 48, 64, 127, 128]))
    begin = draw(st.none() | st.integers(0, 8))
    end = draw(st.none() | st.integers(0 if begin is None else begin + 1, 10))
    return {
        "prefix": str(ip_network(f"{host}/{length}", strict=False)),
        "effect": draw(st.sampled_from(["allow", "allow", "deny"])),
        "enabled": draw(st.sampled_from([True, True, True, False])),
        "not_before": None if begin is None else START + timedelta(seconds=begin),
        "expires": None if end is None else START + timedelta(seconds=end),
    }


def judge_slowly(entries: list[dict[str, Any]], client: str, now: datetime) -> tuple[str, str | None, str | None]:
    """Give the reason, and the prefix and effect of what decided."""
    address, found = ip_address(client), []
    for entry in entries:
        network = ip_network(entry["prefix"])
        if network.version != address.version or address not in network or not entry["enabled"]:
            continue
        if (entry["not_before"] or START) <= now and (entry["expires"] is None or now < entry["expires"]):
            found.append((network.prefixlen, entry["effect"] == "deny", entry["prefix"]))
    if not entries:
        return "empty_list", None, None
    if not found:
        return "ip_not_listed", None, None
    _, denies, prefix = max(found, key=lambda item: item[:2])
    return ("denied_by_entry", prefix, "deny") if denies else ("matched", prefix, "allow")


def told(engine: Engine, key: str, client: str) -> tuple[str, str | None, str | None]:
    decision = engine.check(key, client)
    assert engine.allows(key, client) is decision.allowed is (decision.reason == "matched")
    entry = decision.entry
    if entry is None:
        return str(decision.reason), None, None
    return str(decision.reason), str(entry), "allow" if entry.condition is None else entry.condition.effect


@given(
    st.lists(st.lists(timed_entries(), min_size=1, max_size=8), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(HOSTS4 + HOSTS6), st.integers(0, 11)), min_size=1, max_size=12),
)
def test_B2_B5_entries_that_come_and_go_decide_as_the_slow_twin_says(
    lists: list[list[dict[str, Any]]], questions: list[tuple[str, int]]
) -> None:
    """Moments come in any order: a clock that was set back asks the same list."""
    now = START
    engine = Engine(Policy(), clock=lambda: now.timestamp())  # noqa: PLW0108 another moment each time
    for number, entries in enumerate(lists):
        engine.put_list(f"list {number}", entries)
    engine.put_key("linked", lists=[f"list {number}" for number in range(len(lists))])
    engine.put_key("own", lists[0])
    united = [entry for entries in lists for entry in entries]
    for is_folded in (False, True):
        if is_folded:
            engine.fold()
        for client, seconds in questions:
            now = START + timedelta(seconds=seconds)
            assert told(engine, "own", client) == judge_slowly(lists[0], client, now)
            assert told(engine, "linked", client) == judge_slowly(united, client, now)


# Addresses inside addresses


SIX_TO_FOUR, WELL_KNOWN = "2002::/16", "64:ff9b::/96"
TRANSLATIONS = [SIX_TO_FOUR, WELL_KNOWN] + [
    f"{IPv6Address(0x20010DB8_01220344_00000000_00000000 >> 128 - length << 128 - length)}/{length}"
    for length in (32, 40, 48, 56, 64, 96)
]
# Which octets of the IPv6 address hold the IPv4 address: octet 8 is left out (RFC 6052 section 2.2).
OCTETS = {
    16: (2, 3, 4, 5),
    32: (4, 5, 6, 7),
    40: (5, 6, 7, 9),
    48: (6, 7, 9, 10),
    56: (7, 9, 10, 11),
    64: (9, 10, 11, 12),
    96: (12, 13, 14, 15),
}


def carrying(translation: str, inner: str, rest: int = 0) -> str:
    network = ip_network(translation)
    octets = bytearray((int(network.network_address) | rest & int(network.hostmask)).to_bytes(16, "big"))
    for place, octet in zip(OCTETS[network.prefixlen], IPv4Address(inner).packed, strict=True):
        octets[place] = octet
    return str(IPv6Address(bytes(octets)))


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
        ("2002::/16", "2002:c000:221::"),
    ],
)
def test_examples_of_the_rfcs_are_read_and_denied(translation: str, expected: str) -> None:
    """RFC 6052 section 2.4, table 3; RFC 3056 section 2."""
    assert carrying(translation, "192.0.2.33") == str(IPv6Address(expected))
    assert inner_address(translation, expected) == "192.0.2.33"
    engine = Engine(Policy(translations=(translation,)))
    engine.put_key("k", ["0.0.0.0/0", "::/0", {"prefix": "192.0.2.33", "effect": "deny"}])
    decision = engine.check("k", expected)
    assert (decision.allowed, str(decision.reason), str(decision.entry)) == (False, "denied_by_entry", "192.0.2.33/32")
    lines = str(explain(engine, "k", expected))
    assert "the address carries 192.0.2.33" in lines
    assert "192.0.2.33/32: denies, and decides" in lines


@given(
    st.lists(timed_entries(), min_size=1, max_size=10),
    st.lists(st.sampled_from(TRANSLATIONS), max_size=4, unique=True),
    st.sampled_from(TRANSLATIONS),
    st.sampled_from(HOSTS4),
    st.integers(0, 2**128 - 1) | st.just(0),
    st.sampled_from(["::/0", "2001:db8::/33", "2000::/3"]),
)
def test_B5_deny_entry_for_the_inner_address_denies_and_nobody_gets_in_by_it(
    entries: list[dict[str, Any]], named: list[str], translation: str, inner: str, rest: int, everyone: str
) -> None:
    entries = [*entries, {"prefix": everyone, "effect": "allow", "enabled": True, "not_before": None, "expires": None}]
    client = carrying(translation, inner, rest)
    answers = []
    for translations in ((), tuple(named)):
        engine = Engine(Policy(translations=translations), clock=START.timestamp)
        engine.put_key("k", entries)
        answers.append(told(engine, "k", client))
    outer, both = answers
    assert outer == judge_slowly(entries, client, START)
    carried = [inner_address(each, client) for each in named]
    judged = [judge_slowly(entries, each, START) for each in carried if each is not None]
    denied = [each for each in judged if each[0] == "denied_by_entry"]
    assert both == (denied[0] if outer[0] == "matched" and denied else outer)
    if translation in named:
        assert inner in carried


def test_nothing_inside_is_judged_unless_the_policy_says_so() -> None:
    engine = Engine(Policy())
    engine.put_key("k", ["::/0", {"prefix": "192.0.2.33", "effect": "deny"}])
    assert engine.allows("k", "64:ff9b::192.0.2.33")


@pytest.mark.parametrize(
    "given",
    ["2002::/17", "2003::/16", "64:ff9b::/95", "64:ff9b::", "10.0.0.0/8", "2001:db8:0:0:100::/96", "junk", "::/0"],
)
def test_prefix_that_carries_no_addresses_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"translation|bits 64 to 71|junk"):
        Policy(translations=(given,))


def test_one_text_is_no_list_of_translations() -> None:
    one: Any = "64:ff9b::/96"
    with pytest.raises(TypeError, match="a list of translations"):
        Policy(translations=one)


def test_policy_with_translations_is_written_and_read() -> None:
    policy = Policy(translations=tuple(TRANSLATIONS))
    written: Any = write_policy(policy)
    assert written["translations"] == [str(prefix) for prefix in policy.translations]
    assert read_policy(written) == policy
