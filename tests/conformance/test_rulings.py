"""Where the products disagree or stay silent: each ruling, shown on an engine or a policy."""

import ipaddress
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from cidrmatch import (
    AllowList,
    Condition,
    Engine,
    EngineError,
    Entry,
    InUse,
    Policy,
    PolicyError,
    Prefix,
    Reason,
    State,
    presets,
    run_pipeline,
)
from cidrmatch._keys import FrozenList

CUTOVER = datetime(2025, 6, 16, tzinfo=UTC)
LEGACY, NEW = CUTOVER - timedelta(days=1), CUTOVER + timedelta(days=1)
LISTED, UNLISTED = "203.0.113.10", "198.51.100.7"
POLICIES = {
    "nomsa": presets.nomsa(cutover=CUTOVER),
    "bitbybit": presets.bitbybit(),
    "unkey": presets.unkey(),
    "pigment": presets.pigment(),
}
NO_ADDRESS: list[Any] = [
    None,
    "",
    "junk",
    "unknown",
    "203.0.113.10\n",
    " 203.0.113.10",
    "203.0.113.10\0",
    "203.0.113.10:443",
    "[2001:db8::1]",
    "203.0.113.10, 198.51.100.7",
    "203.0.113.10/32",
    "203.0.113.010",
    "fe80::1%eth0",
    "\uff1203.0.113.10",
    "\ud800",
    "9" * 100_000,
    b"",
    b"203.0.113.10",
    bytes(5),
    bytearray(b"\xcb\x00\x71\x0a"),
    3405803786,
    True,
    1.0,
    [],
    ["203.0.113.10"],
    object(),
    ipaddress.ip_interface("203.0.113.10/24"),
    ipaddress.ip_network("203.0.113.10/32"),
    ipaddress.ip_address("fe80::1%eth0"),
]


def errors(policy: Policy, *entries: Any) -> list[tuple[int | None, str]]:
    return [(problem.index, problem.code) for problem in policy.validate(entries).errors]


def warnings(policy: Policy, *entries: Any) -> list[tuple[int | None, str]]:
    return [(problem.index, problem.code) for problem in policy.validate(entries).warnings]


def stored(policy: Policy, *entries: Any) -> list[str]:
    return [policy.canonical(entry.prefix) for entry in policy.accept(entries)]


def restricted(name: str, *entries: Any) -> Engine:
    """An engine of a product, with a key "k" that is restricted in the product's way."""
    engine = Engine(POLICIES[name])
    given = entries or (LISTED,)
    if name == "pigment":
        engine.put_list("office", given, description="Vienna")
        engine.put_key("k", lists=["office"])
    else:
        engine.put_key("k", given, created_at=NEW)
    return engine


def import_list(engine: Engine, name: str, *entries: Entry) -> None:
    """Put a list as it is, as an import does, without asking the policy."""
    with engine._drafting(None) as draft:
        draft.lists[name] = FrozenList(name, entries, "imported")


# What an entry is


def test_C1_exactly_9_passes_in_bitbybit_and_8_does_not() -> None:
    assert errors(POLICIES["bitbybit"], "128.0.0.0/9") == []
    assert errors(POLICIES["bitbybit"], "128.0.0.0/8") == [(0, "prefix_too_broad")]


def test_C2_exactly_33_passes_in_bitbybit_and_32_does_not() -> None:
    assert errors(POLICIES["bitbybit"], "2001:db8::/33") == []
    assert errors(POLICIES["bitbybit"], "2001:db8::/32") == [(0, "prefix_too_broad")]


def test_C3_minimum_prefix_is_a_field_per_family_and_the_others_have_none() -> None:
    for name in ("unkey", "pigment"):
        assert errors(POLICIES[name], "128.0.0.0/1") == []
    assert errors(POLICIES["unkey"], "8000::/1") == []
    only4, only6 = Policy(min_prefix_v4=16), Policy(min_prefix_v6=48)
    assert errors(only4, "10.0.0.0/15", "10.0.0.0/16", "2000::/3") == [(0, "prefix_too_broad")]
    assert errors(only6, "10.0.0.0/8", "2001:db8::/47", "2001:db8::/48") == [(1, "prefix_too_broad")]


@pytest.mark.parametrize("name", POLICIES)
def test_C4_nomsa_shows_the_bare_address_the_others_the_prefix(name: str) -> None:
    shown = LISTED if name == "nomsa" else f"{LISTED}/32"
    engine = restricted(name)
    assert engine.policy.canonical(Prefix(LISTED)) == shown
    assert engine.check("k", LISTED).to_dict()["entry"] == shown


def test_C4_form_of_the_text_is_a_field_of_the_policy() -> None:
    bare = replace(POLICIES["bitbybit"], bare_addresses=True)
    assert stored(bare, LISTED, "2001:db8::1", "192.0.2.0/24") == [LISTED, "2001:db8::1", "192.0.2.0/24"]


PRIVATE = ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"]
PRIVATE += ["127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.255.255", "100.64.0.0", "100.127.255.255"]
PRIVATE += ["::1", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::", "febf:ffff::"]
PUBLIC = ["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"]
PUBLIC += ["126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "100.63.255.255", "100.128.0.0"]
PUBLIC += ["::2", "fbff:ffff::", "fe00::", "fe7f:ffff::", "fec0::", "203.0.113.5", "2001:db8::1", "198.18.0.1"]


@pytest.mark.parametrize("entry", PRIVATE)
def test_C5_private_address_warns_in_bitbybit_and_is_silent_elsewhere(entry: str) -> None:
    assert warnings(POLICIES["bitbybit"], entry) == [(0, "private")]
    assert errors(POLICIES["bitbybit"], entry) == []
    assert POLICIES["unkey"].validate([entry]).problems == ()
    if ":" not in entry:
        assert POLICIES["nomsa"].validate([entry]).problems == ()
        assert POLICIES["pigment"].validate([entry]).problems == ()


@pytest.mark.parametrize("entry", PUBLIC)
def test_C5_set_is_narrower_than_that_of_ipaddress(entry: str) -> None:
    assert POLICIES["bitbybit"].validate([entry]).problems == ()
    assert Policy(private="reject").validate([entry]).problems == ()


def test_C5_reject_can_be_chosen() -> None:
    policy = Policy(private="reject")
    assert errors(policy, *PRIVATE) == [(index, "private") for index in range(len(PRIVATE))]
    assert policy.validate(PRIVATE).accepted == ()


SAME = [
    ("2001:DB8::1", "2001:db8:0::1"),
    ("1.2.3.4", "1.2.3.4/32"),
    ("1.2.3.4", "::ffff:1.2.3.4"),
    ("1.2.3.4", "::ffff:102:304/128"),
    ("2001:db8::/48", "2001:0db8:0000::/48"),
    ("1.2.3.4", b"\1\2\3\4"),
    ("1.2.3.4", Entry("1.2.3.4", condition=Condition())),  # a condition that says nothing
    ("1.2.3.4", {"prefix": "1.2.3.4", "effect": "allow", "enabled": True}),
]


@pytest.mark.parametrize(("first", "second"), SAME)
@pytest.mark.parametrize("name", ["bitbybit", "unkey", "pigment"])
def test_C6_first_of_equals_is_kept_and_the_rest_reported(name: str, first: Any, second: Any) -> None:
    policy = POLICIES[name]
    if 4 not in policy.families or (name == "pigment" and Prefix(first).family == 6):
        policy = replace(policy, families=frozenset((4, 6)))
    for one, other in ((first, second), (second, first)):
        report = policy.validate([one, other])
        assert [(problem.index, problem.code) for problem in report.warnings if problem.code == "duplicate"] == [
            (1, "duplicate")
        ]
        assert [entry.prefix for entry in report.accepted] == [Prefix(first)]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_C6_duplicates_can_be_refused(first: Any, second: Any) -> None:
    assert (1, "duplicate") in errors(Policy(duplicates="reject"), first, second)


@pytest.mark.parametrize("second", ["::ffff:1.2.3.4", b"\1\2\3\4", Entry("1.2.3.4", condition=Condition())])
def test_C6_nomsa_refuses_a_duplicate_in_any_spelling(second: Any) -> None:
    assert (1, "duplicate") in errors(POLICIES["nomsa"], "1.2.3.4", second)


def test_C6_label_of_the_first_is_kept() -> None:
    engine = Engine(POLICIES["bitbybit"])
    engine.put_key("k", [("1.2.3.4", "first"), ("1.2.3.4/32", "second"), ("2001:DB8::1", None), ("2001:db8::1", "x")])
    assert [entry.label for entry in engine.key("k").entries] == ["first", None]
    assert engine.check("k", "1.2.3.4").label == "first"


# What a key without entries is


@pytest.mark.parametrize(
    ("name", "created_at", "state"),
    [
        ("bitbybit", NEW, State.UNRESTRICTED),
        ("unkey", NEW, State.UNRESTRICTED),
        ("pigment", NEW, State.UNRESTRICTED),
        ("nomsa", LEGACY, State.UNRESTRICTED),
    ],
)
def test_C7_key_without_a_list_is_unrestricted(name: str, created_at: datetime, state: State) -> None:
    engine = Engine(POLICIES[name])
    engine.put_key("k", created_at=created_at)
    assert engine.state("k") is state
    assert engine.check("k", UNLISTED).state is state


def test_C7_new_key_of_nomsa_without_an_address_is_inactive() -> None:
    engine = restricted("nomsa")
    engine.update_key("k", entries=[])
    assert (engine.state("k"), engine.allows("k", LISTED)) == (State.INACTIVE, False)


def test_C7_key_of_pigment_without_a_link_has_the_default_list() -> None:
    engine = restricted("pigment")
    engine.put_key("unlinked")
    assert engine.state("unlinked") is State.UNRESTRICTED
    engine.set_default("office")
    assert engine.state("unlinked") is State.RESTRICTED
    assert (engine.allows("unlinked", LISTED), engine.allows("unlinked", UNLISTED)) == (True, False)


@pytest.mark.parametrize("name", ["nomsa", "bitbybit", "unkey"])
def test_C7_products_without_a_default_list_have_none(name: str) -> None:
    engine = Engine(POLICIES[name])
    engine.put_key("k", created_at=LEGACY)
    engine.put_list("office", [LISTED])
    with pytest.raises(EngineError):
        engine.set_default("office")
    assert engine.state("k") is State.UNRESTRICTED


def test_C7_default_list_does_not_wake_an_inactive_key() -> None:
    engine = restricted("nomsa")
    engine.update_key("k", entries=[])
    engine.put_list("office", [LISTED])
    with pytest.raises(EngineError):
        engine.set_default("office")
    assert engine.check("k", LISTED).reason is Reason.INACTIVE


@pytest.mark.parametrize(
    "condition",
    [Condition(enabled=False), Condition(expires=LEGACY), Condition(not_before=datetime.max.replace(tzinfo=UTC))],
)
def test_C7_list_of_which_nothing_counts_is_still_a_list(condition: Condition) -> None:
    for name in ("bitbybit", "unkey"):
        engine = Engine(POLICIES[name])
        engine.put_key("k", [Entry(LISTED, None, condition)])
        assert engine.state("k") is State.RESTRICTED
        assert not engine.allows("k", LISTED)


@pytest.mark.parametrize("created_at", [CUTOVER, NEW])
def test_C8_new_key_is_refused_without_entries(created_at: datetime) -> None:
    engine = Engine(POLICIES["nomsa"])
    with pytest.raises(PolicyError):
        engine.put_key("k", created_at=created_at)
    with pytest.raises(PolicyError), engine.transaction() as change:
        change.put_key("k", created_at=created_at)
    assert engine.keys() == []


@pytest.mark.parametrize(
    "empty",
    [
        lambda engine: engine.update_key("k", entries=[]),
        lambda engine: engine.put_key("k", [], replace=True),
        lambda engine: engine.put_keys([("k", [])], replace=True),
    ],
    ids=["update_key", "put_key", "put_keys"],
)
def test_C8_new_key_whose_last_entry_goes_is_inactive(empty: Callable[[Engine], object]) -> None:
    engine = restricted("nomsa")
    empty(engine)
    assert engine.check("k", LISTED).reason is Reason.INACTIVE


def test_C8_new_key_whose_last_list_goes_is_inactive() -> None:
    engine = Engine(POLICIES["nomsa"])
    engine.put_list("office", [LISTED])
    engine.put_key("k", lists=["office"], created_at=NEW)
    assert engine.allows("k", LISTED)
    engine.unlink("k", "office")
    assert engine.check("k", LISTED).reason is Reason.INACTIVE


def test_C8_new_key_that_is_imported_empty_is_inactive() -> None:
    engine = restricted("nomsa")
    with engine._drafting(None) as draft:
        draft.set_record("imported", replace(draft.record("k"), entries=()))
    assert engine.state("imported") is State.INACTIVE
    assert engine.check("imported", LISTED).reason is Reason.INACTIVE


def legacy(*entries: str, lists: tuple[str, ...] = ()) -> Engine:
    engine = Engine(POLICIES["nomsa"])
    engine.put_list("office", [LISTED])
    engine.put_key("k", entries, lists=lists, created_at=LEGACY)
    return engine


@pytest.mark.parametrize(
    "empty",
    [
        lambda engine: engine.update_key("k", entries=[]),
        lambda engine: engine.put_key("k", [], replace=True),
        lambda engine: engine.put_key("k", [], created_at=LEGACY - timedelta(days=1), replace=True),
        lambda engine: engine.put_keys([("k", [])], replace=True),
    ],
    ids=["update_key", "put_key", "put_key with a time", "put_keys"],
)
def test_C9_list_of_a_legacy_key_cannot_be_emptied(empty: Callable[[Engine], object]) -> None:
    engine = legacy(LISTED)
    with pytest.raises(EngineError, match=r"disable|does not change"):
        empty(engine)
    with pytest.raises(EngineError, match=r"disable|does not change"), engine.transaction() as change:
        empty(change)  # type: ignore[arg-type]  # a transaction has the same changes
    assert (engine.state("k"), engine.allows("k", UNLISTED)) == (State.RESTRICTED, False)


@pytest.mark.parametrize(
    "empty",
    [
        lambda engine: engine.unlink("k", "office"),
        lambda engine: engine.update_key("k", lists=[]),
        lambda engine: engine.put_key("k", replace=True),
    ],
    ids=["unlink", "update_key", "put_key"],
)
def test_C9_last_link_of_a_legacy_key_cannot_be_taken_away(empty: Callable[[Engine], object]) -> None:
    engine = legacy(lists=("office",))
    with pytest.raises(EngineError, match="disable"):
        empty(engine)
    assert (engine.state("k"), engine.allows("k", UNLISTED)) == (State.RESTRICTED, False)


def test_C9_explicit_disable_lifts_the_restriction_and_keeps_the_entries() -> None:
    engine = legacy(LISTED)
    engine.update_key("k", enabled=False)
    assert (engine.state("k"), engine.allows("k", UNLISTED)) == (State.UNRESTRICTED, True)
    assert engine.check("k", UNLISTED).reason is Reason.UNRESTRICTED
    assert engine.key("k").entries == (Entry(LISTED),)
    engine.update_key("k", enabled=True)
    assert (engine.state("k"), engine.allows("k", UNLISTED)) == (State.RESTRICTED, False)


def test_C10_cutover_is_required() -> None:
    with pytest.raises(ValueError, match="cutover"):
        Engine(presets.nomsa())


def test_C10_moments_need_a_time_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        presets.nomsa(cutover=datetime(2025, 6, 16))
    engine = Engine(POLICIES["nomsa"])
    with pytest.raises(ValueError, match="zone"):
        engine.put_key("k", [LISTED], created_at=datetime(2025, 6, 17))
    assert engine.keys() == []


@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_C10_created_exactly_at_the_cutover_is_new(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    engine = Engine(POLICIES["nomsa"])
    with pytest.raises(PolicyError):
        engine.put_key("new", created_at=CUTOVER.astimezone(zone))
    engine.put_key("legacy", created_at=(CUTOVER - timedelta(microseconds=1)).astimezone(zone))
    engine.put_key("new", [LISTED], created_at=CUTOVER.astimezone(zone))
    engine.update_key("new", entries=[])
    assert {key: engine.state(key) for key in ("legacy", "new")} == {
        "legacy": State.UNRESTRICTED,
        "new": State.INACTIVE,
    }


# How a request is answered


def test_C11_order_of_checks_is_data_of_the_preset() -> None:
    orders = {name: policy.keys.pipeline for name, policy in POLICIES.items()}
    assert orders["bitbybit"] == ("authenticate", "scope", "ip")
    assert orders["unkey"] == ("validity", "ip", "permissions", "ratelimit")
    assert {name: order.count("ip") for name, order in orders.items()} == dict.fromkeys(POLICIES, 1)


@pytest.mark.parametrize("name", POLICIES)
def test_C11_host_cannot_reorder_and_cannot_forget(name: str) -> None:
    engine = restricted(name)
    order = engine.policy.keys.pipeline
    asked: list[str] = []

    def step(which: str) -> Callable[[], object]:
        return lambda: asked.append(which) or True  # type: ignore[func-returns-value]

    def ip() -> Any:
        asked.append("ip")
        return engine.check("k", LISTED)

    own = {which: step(which) for which in reversed(order) if which != "ip"}
    assert run_pipeline(engine.policy, own, ip).passed
    assert tuple(asked) == order
    for which in own:
        with pytest.raises(ValueError, match=which):
            run_pipeline(engine.policy, {other: step(other) for other in own if other != which}, ip)


@pytest.mark.parametrize("name", POLICIES)
def test_C12_each_preset_has_its_body(name: str) -> None:
    response = restricted(name).check("k", UNLISTED).response()
    assert response.status == 403
    assert response.body == {
        "bitbybit": b'{"error":{"code":"IP_NOT_ALLOWED",'
        b'"message":"Request IP address is not in the API key\'s allowlist"}}',
        "unkey": b'{"data":{"valid":false,"code":"FORBIDDEN","keyId":"k"}}',
    }.get(
        name,
        b'{"type":"about:blank","title":"Forbidden","status":403,'
        b'"detail":"the address is not on the allow list","reason":"ip_not_listed"}',
    )
    expected = "application/problem+json" if name in ("nomsa", "pigment") else "application/json"
    assert dict(response.headers)["content-type"] == expected


@pytest.mark.parametrize("name", POLICIES)
def test_C13_our_reason_stays_apart_from_the_products_code(name: str) -> None:
    engine = restricted(name)
    for address, reason in [(UNLISTED, Reason.NOT_LISTED), ("junk", Reason.CLIENT_IP_UNKNOWN)]:
        decision = engine.check("k", address)
        assert decision.reason is reason
        body = decision.response().body.decode()
        assert (str(reason) in body) == (name in ("nomsa", "pigment"))
    assert not {"IP_NOT_ALLOWED", "FORBIDDEN"} & {str(reason) for reason in Reason}


@pytest.mark.parametrize("name", POLICIES)
def test_C13_allowed_request_has_no_refusal(name: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        restricted(name).check("k", LISTED).response()


# Texts and addresses


@pytest.mark.parametrize("name", ["bitbybit", "unkey", "pigment"])
def test_C15_host_bits_are_refused_with_the_network_suggested(name: str) -> None:
    report = POLICIES[name].validate(["192.0.2.1", "203.0.113.7/24"])
    assert [(problem.index, problem.code) for problem in report.errors] == [(1, "host_bits")]
    assert "203.0.113.0/24" in str(report.errors[0])
    assert report.accepted == ()


def test_C15_mask_can_be_chosen_and_warns() -> None:
    policy = Policy(host_bits="mask")
    assert warnings(policy, "203.0.113.7/24", "2001:db8::1/48") == [(0, "host_bits_masked"), (1, "host_bits_masked")]
    assert stored(policy, "203.0.113.7/24", "2001:db8::1/48") == ["203.0.113.0/24", "2001:db8::/48"]


MAPPED: list[Any] = ["::ffff:203.0.113.10", "::FFFF:cb00:710a", "0:0:0:0:0:ffff:203.0.113.10"]
MAPPED += [bytes(10) + b"\xff\xff\xcb\x00\x71\x0a", ipaddress.ip_address("::ffff:203.0.113.10")]


@pytest.mark.parametrize("address", MAPPED)
@pytest.mark.parametrize("name", POLICIES)
def test_C16_mapped_client_is_the_ipv4_client(name: str, address: Any) -> None:
    decision = restricted(name).check("k", address)
    assert (decision.allowed, decision.address) == (True, LISTED)
    assert not restricted(name, "203.0.113.11").allows("k", address)


@pytest.mark.parametrize("name", POLICIES)
def test_C16_mapped_entry_becomes_its_ipv4_form(name: str) -> None:
    engine = restricted(name, "::ffff:203.0.113.10")
    assert [engine.allows("k", address) for address in (LISTED, "::203.0.113.10", "203.0.113.11")] == [
        True,
        False,
        False,
    ]
    if name != "nomsa":
        assert stored(POLICIES[name], "::ffff:203.0.113.0/120", "::ffff:192.0.2.1/128") == [
            "203.0.113.0/24",
            "192.0.2.1/32",
        ]


@pytest.mark.parametrize("entry", ["::/0", "::/1", "::/64", "::/80", "::fffe:0:0/95"])
def test_C16_broader_entry_does_not_answer_for_ipv4(entry: str) -> None:
    engine = restricted("unkey", entry)
    assert not engine.allows("k", LISTED)
    assert not engine.allows("k", "::ffff:203.0.113.10")
    assert engine.allows("k", "::fffe:0:1") == (Prefix(entry).covers("::fffe:0:1"))


def test_C16_mapped_entry_is_refused_where_ipv4_is_not_allowed() -> None:
    assert errors(Policy(families=frozenset((6,))), "::ffff:203.0.113.10") == [(0, "family")]


def test_C17_twenty_counts_after_collapsing() -> None:
    twenty = [f"203.0.113.{low}" for low in range(20)]
    assert len(POLICIES["bitbybit"].accept([*twenty, *(f"{text}/32" for text in twenty)])) == 20
    assert (None, "too_many_entries") in errors(POLICIES["bitbybit"], *twenty, *twenty, "192.0.2.1")


@pytest.mark.parametrize("name", ["nomsa", "bitbybit"])
@pytest.mark.parametrize(
    "condition",
    [Condition(enabled=False), Condition(effect="deny"), Condition(expires=LEGACY), Condition(not_before=NEW)],
)
def test_C17_entries_count_in_whatever_state(name: str, condition: Condition) -> None:
    twenty: list[Any] = [Entry(f"203.0.113.{low}", None, condition) for low in range(1, 21)]
    assert len(POLICIES[name].accept(twenty)) == 20
    assert errors(POLICIES[name], *twenty, "192.0.2.1") == [(None, "too_many_entries")]


@pytest.mark.parametrize("label", ["x", "x" * 255, "Büro 7", "\N{CAT FACE}" * 255, "a; b, 'c' \"d\""])
def test_C18_label_has_1_to_255_characters(label: str) -> None:
    engine = restricted("bitbybit", (LISTED, label))
    assert engine.check("k", LISTED).label == label


@pytest.mark.parametrize("label", ["", "x" * 256, "a\nb", "a\0b", "\x1b[31m", "\x7f", "\x85", "\t", "\u2028", "\ud800"])
def test_C18_other_labels_are_refused(label: str) -> None:
    assert errors(POLICIES["bitbybit"], (LISTED, label)) == [(0, "label_invalid")]


def test_C18_limit_is_configurable() -> None:
    policy = Policy(max_label_length=3)
    assert errors(policy, (LISTED, "abc"), ("192.0.2.1", "abcd")) == [(1, "label_invalid")]
    assert errors(Policy(labels="refuse"), (LISTED, "abc")) == [(0, "label_refused")]


# Named lists


def test_C21_list_that_is_linked_or_the_default_is_not_deleted() -> None:
    engine = restricted("pigment")
    with pytest.raises(InUse):
        engine.remove_list("office")
    engine.unlink("k", "office")
    engine.set_default("office")
    with pytest.raises(InUse):
        engine.remove_list("office")
    assert (sorted(engine.lists()), engine.default()) == (["office"], "office")
    engine.set_default(None)
    engine.remove_list("office")
    assert engine.lists() == {}


def test_C21_list_that_others_lie_within_is_not_deleted() -> None:
    engine = Engine(POLICIES["bitbybit"])
    engine.put_list("organisation", [LISTED])
    engine.put_key("k", within=["organisation"])
    with pytest.raises(InUse):
        engine.remove_list("organisation")


def test_C21_forced_deletion_lets_the_key_fall_to_the_default() -> None:
    engine = restricted("pigment")
    engine.put_list("default", [UNLISTED], description="Everyone else")
    engine.set_default("default")
    engine.remove_list("office", force=True)
    assert (engine.lists_of("k"), engine.check("k", UNLISTED).list_name) == ((), "default")
    assert not engine.allows("k", LISTED)
    engine.remove_list("default", force=True)
    assert (engine.default(), engine.state("k")) == (None, State.UNRESTRICTED)


def test_C21_key_falls_to_the_default_after_the_last_unlink_only() -> None:
    engine = restricted("pigment")
    engine.put_list("home", [LISTED], description="On call")
    engine.put_list("default", [UNLISTED], description="Everyone else")
    engine.set_default("default")
    engine.link("k", "home")
    engine.unlink("k", "office")
    assert (engine.allows("k", LISTED), engine.allows("k", UNLISTED)) == (True, False)
    engine.unlink("k", "home")
    assert (engine.allows("k", LISTED), engine.allows("k", UNLISTED)) == (False, True)


@pytest.mark.parametrize("name", ["bitbybit", "unkey", "pigment"])
def test_C22_linked_list_cannot_be_saved_empty(name: str) -> None:
    engine = Engine(POLICIES[name])
    engine.put_list("office", [LISTED], description="Vienna")
    engine.put_key("k", lists=["office"])
    with pytest.raises((EngineError, PolicyError)):
        engine.put_list("office", [], description="Vienna")
    with engine.transaction() as change:
        change.put_list("later", [LISTED], description="Vienna")
        change.link("k", "later")
        with pytest.raises((EngineError, PolicyError)):  # used by then, although nothing is published yet
            change.put_list("later", [], description="Vienna")
    assert [str(entry.prefix) for entry in engine.lists()["later"].entries] == [f"{LISTED}/32"]
    assert (sorted(engine.lists()), engine.allows("k", LISTED), engine.allows("k", UNLISTED)) == (
        ["later", "office"],
        True,
        False,
    )


def test_C22_default_list_cannot_be_saved_empty() -> None:
    engine = restricted("pigment")
    engine.set_default("office")
    engine.unlink("k", "office")
    with pytest.raises((EngineError, PolicyError)):
        engine.put_list("office", [], description="Vienna")
    assert not engine.allows("k", UNLISTED)


def test_C22_empty_list_cannot_be_linked() -> None:
    engine = Engine(POLICIES["bitbybit"])
    engine.put_list("empty", [])
    engine.put_key("k")
    changes: tuple[Callable[[], object], ...] = (
        lambda: engine.link("k", "empty"),
        lambda: engine.update_key("k", lists=["empty"]),
        lambda: engine.update_key("k", within=["empty"]),
    )
    for change in changes:
        with pytest.raises(EngineError):
            change()
    assert engine.state("k") is State.UNRESTRICTED


@pytest.mark.parametrize("address", [LISTED, "2001:db8::1"])
def test_C22_list_that_is_imported_empty_denies(address: str) -> None:
    engine = restricted("pigment")
    engine.put_key("default")
    engine.set_default("office")
    import_list(engine, "office")
    for key in ("k", "default"):
        decision = engine.check(key, address)
        assert (decision.allowed, decision.reason, decision.state) == (False, Reason.EMPTY_LIST, State.RESTRICTED)
        assert not engine.allows(key, address)
        assert decision.response().status == 403


def test_C22_level_that_is_imported_empty_denies() -> None:
    engine = Engine(POLICIES["bitbybit"])
    engine.put_list("organisation", [LISTED])
    engine.put_key("k", [LISTED], within=["organisation"])
    assert engine.allows("k", LISTED)
    import_list(engine, "organisation")
    assert engine.check("k", LISTED).reason is Reason.EMPTY_LIST


def every_kind_of_restriction() -> Engine:
    """One key for each way of being restricted; all of them let every address in."""
    engine = Engine(POLICIES["unkey"], clock=NEW.timestamp)
    everyone = ["0.0.0.0/0", "::/0"]
    engine.put_list("everyone", everyone)
    engine.put_key("own", everyone)
    engine.put_key("linked", lists=["everyone"])
    engine.put_key("both", everyone, lists=["everyone"])
    engine.put_key("within", within=["everyone"])
    engine.put_key("own and within", everyone, within=["everyone"])
    engine.put_key("timed", [Entry(entry, None, Condition(not_before=LEGACY)) for entry in everyone])
    engine.put_key("denying", [*everyone, Entry("192.0.2.0/24", None, Condition(effect="deny"))])
    engine.put_key("on trial", everyone)
    engine.put_shadow("on trial", everyone)
    return engine


@pytest.mark.parametrize("address", NO_ADDRESS, ids=lambda address: repr(address)[:30])
def test_C23_unknown_address_is_denied_by_every_restriction(address: Any) -> None:
    engine = every_kind_of_restriction()
    keys = engine.keys()
    assert len(keys) == 8
    for key in keys:
        assert engine.allows(key, LISTED)
        assert engine.allows(key, "2001:db8::1")
        decision = engine.check(key, address)
        assert (decision.allowed, decision.reason) == (False, Reason.CLIENT_IP_UNKNOWN), key
        assert decision.address is None
        assert not engine.allows(key, address)


@pytest.mark.parametrize("address", NO_ADDRESS, ids=lambda address: repr(address)[:30])
@pytest.mark.parametrize("name", ["bitbybit", "unkey", "pigment", "nomsa"])
def test_C23_unrestricted_key_asks_nothing_of_the_address(name: str, address: Any) -> None:
    engine = Engine(POLICIES[name])
    engine.put_key("k", created_at=LEGACY)
    assert engine.check("k", address).reason is Reason.UNRESTRICTED
    assert engine.allows("k", address)


def test_C23_address_that_lies_about_itself_is_not_believed() -> None:
    class Liar(str):
        __slots__ = ()

        def __str__(self) -> str:
            return LISTED

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return hash(LISTED)

        def encode(self, *args: object, **kwargs: object) -> bytes:
            return LISTED.encode()

    class Pretender:
        __class__ = str  # type: ignore[assignment]

        def __str__(self) -> str:
            return LISTED

        packed = b"\xcb\x00\x71\x0a"

    engine = restricted("unkey")
    assert not engine.allows("k", Liar(UNLISTED))
    assert engine.check("k", Liar("junk")).reason is Reason.CLIENT_IP_UNKNOWN
    assert engine.check("k", Pretender()).reason is Reason.CLIENT_IP_UNKNOWN


@pytest.mark.parametrize(("name", "entry"), [("unkey", "0.0.0.0/0"), ("unkey", "::/0"), ("pigment", "0.0.0.0/0")])
def test_C24_everyone_is_accepted_with_a_warning(name: str, entry: str) -> None:
    report = POLICIES[name].validate([entry])
    assert report.ok
    assert [problem.code for problem in report.warnings] == ["no_restriction"]
    assert "equals no restriction" in str(report.warnings[0])
    assert restricted(name, entry).state("k") is State.RESTRICTED


@pytest.mark.parametrize(
    "entries",
    [
        ["0.0.0.0/0"],
        ["::/0"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1"],
        ["::/1", "8000::/1"],
        [LISTED, "0.0.0.0/0"],
    ],
)
def test_C24_everyone_can_be_refused_in_one_piece_or_several(entries: list[str]) -> None:
    assert (None, "no_restriction") in errors(Policy(allow_any=False), *entries)
    assert "no_restriction" in [code for _, code in warnings(Policy(), *entries)]


def test_C24_almost_everyone_is_no_case_of_it() -> None:
    assert errors(Policy(allow_any=False), "0.0.0.0/1", "128.0.0.0/2", "::/1") == []


NEVER = ["0.0.0.0", "255.255.255.255", "224.0.0.0", "239.255.255.255", "224.0.0.0/4", "230.0.0.0/8"]
NEVER6 = ["::", "ff00::", "ff02::1", "ff00::/8", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("entry", NEVER)
def test_C25_entry_that_never_matches_is_refused_by_every_preset(name: str, entry: str) -> None:
    assert (0, "never_matches") in errors(POLICIES[name], entry)


@pytest.mark.parametrize("name", ["bitbybit", "unkey"])
@pytest.mark.parametrize("entry", NEVER6)
def test_C25_ipv6_entry_that_never_matches_is_refused(name: str, entry: str) -> None:
    assert (0, "never_matches") in errors(POLICIES[name], entry)


@pytest.mark.parametrize("entry", ["0.0.0.1", "255.255.255.254", "223.255.255.255", "240.0.0.1", "::2", "feff::"])
def test_C25_neighbours_are_accepted(entry: str) -> None:
    assert errors(POLICIES["unkey"], entry) == []


def test_C25_bare_list_applies_the_text_rules_only() -> None:
    bare = AllowList(NEVER + NEVER6)
    assert "0.0.0.0" in bare
    with pytest.raises(PolicyError):
        AllowList(["0.0.0.0"], policy=Policy())


@pytest.mark.parametrize("address", [UNLISTED, "2001:db8::1", "::ffff:198.51.100.7"])
def test_C26_bitbybits_body_shows_no_address_and_the_log_does(address: str) -> None:
    decision = restricted("bitbybit").check("k", address)
    response = decision.response()
    said = (response.body + repr(response.headers).encode()).decode()
    assert address not in said
    assert str(decision.address) not in said
    assert decision.to_dict()["address"] == decision.address == (UNLISTED if "ffff" in address else address)


@pytest.mark.parametrize("name", POLICIES)
def test_C26_no_product_shows_the_address_unless_asked(name: str) -> None:
    decision = restricted(name).check("k", UNLISTED)
    assert UNLISTED.encode() not in decision.response().body
    shown = json.loads(decision.response(show_address=True).body)
    assert UNLISTED in json.dumps(shown)
