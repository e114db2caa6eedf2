"""Nomsa, statement by statement; the id of the statement is in the name of its test."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cidrmatch import Engine, EngineError, LockOut, PolicyError, Reason, State, presets

CUTOVER = datetime(2025, 6, 16, tzinfo=UTC)
LEGACY, NEW = CUTOVER - timedelta(days=1), CUTOVER + timedelta(days=1)
OFFICE = "203.0.113.5"
TWENTY = [f"203.0.113.{low}" for low in range(1, 21)]
FROM_ANYWHERE = ["198.51.100.1", "10.0.0.1", "2001:db8::1", "::ffff:198.51.100.1"]


def make() -> Engine:
    return Engine(presets.nomsa(cutover=CUTOVER))


def codes(error: pytest.ExceptionInfo[PolicyError]) -> set[str]:
    return {problem.code for problem in error.value.report.errors}


def stored(engine: Engine, key: str) -> list[str]:
    return [engine.policy.canonical(entry.prefix) for entry in engine.key(key).entries]


@pytest.mark.parametrize("created_at", [LEGACY, NEW])
@pytest.mark.parametrize("key", ["k", "key with spaces", "ключ", "\N{CAT FACE}", "x" * 10_000])
def test_N1_any_key_can_carry_a_list(key: str, created_at: datetime) -> None:
    engine = make()
    engine.put_key(key, [OFFICE], created_at=created_at)
    assert engine.state(key) is State.RESTRICTED
    assert engine.check(key, OFFICE).reason is Reason.MATCHED
    assert engine.check(key, "203.0.113.6").reason is Reason.NOT_LISTED


@pytest.mark.parametrize("created_at", [CUTOVER, NEW])
def test_N2_new_key_must_have_a_list(created_at: datetime) -> None:
    engine = make()
    with pytest.raises(PolicyError):
        engine.put_key("k", created_at=created_at)
    assert engine.keys() == []
    assert engine.check("k", OFFICE).reason is Reason.UNKNOWN_KEY


def test_N2_new_key_cannot_have_its_list_switched_off() -> None:
    engine = make()
    with pytest.raises(EngineError):
        engine.put_key("k", [OFFICE], created_at=NEW, enabled=False)
    engine.put_key("k", [OFFICE], created_at=NEW)
    with pytest.raises(EngineError):
        engine.update_key("k", enabled=False)
    assert not engine.allows("k", "198.51.100.1")


def test_N2_key_without_a_stated_time_is_created_now() -> None:
    late = Engine(presets.nomsa(cutover=CUTOVER), clock=NEW.timestamp)
    with pytest.raises(PolicyError):
        late.put_key("k")
    early = Engine(presets.nomsa(cutover=CUTOVER), clock=LEGACY.timestamp)
    with pytest.raises(EngineError, match="before the cutover"):  # a clock that is wrong must not make it free for good
        early.put_key("k")
    early.put_key("k", created_at=LEGACY)
    assert early.state("k") is State.UNRESTRICTED


@pytest.mark.parametrize(
    "entries",
    [
        [],
        ["2001:db8::1"],
        ["2001:db8::1", "2001:db8::2"],
        ["junk"],
        ["", "010.0.0.1"],
        ["203.0.113.0/24"],
        ["0.0.0.0"],
        [None],
        {}.keys(),
    ],
)
def test_N3_creation_needs_a_valid_ipv4_address(entries: Any) -> None:
    engine = make()
    with pytest.raises(PolicyError):
        engine.put_key("k", entries, created_at=NEW)
    assert (engine.keys(), engine.version) == ([], 0)


@pytest.mark.parametrize("bad", ["2001:db8::1", "junk", "203.0.113.0/24"])
def test_N3_one_valid_address_does_not_carry_a_bad_one_in(bad: str) -> None:
    engine = make()
    with pytest.raises(PolicyError):
        engine.put_key("k", [OFFICE, bad], created_at=NEW)
    assert engine.keys() == []


def test_N3_one_valid_ipv4_address_is_enough() -> None:
    engine = make()
    engine.put_key("k", [OFFICE], created_at=NEW)
    assert engine.allows("k", OFFICE)


@pytest.mark.parametrize("address", [OFFICE, *FROM_ANYWHERE, None, "junk"])
def test_N4_new_key_without_an_address_is_inactive_for_everyone(address: str | None) -> None:
    engine = make()
    engine.put_key("k", [OFFICE], created_at=NEW)
    engine.update_key("k", entries=[])
    assert engine.state("k") is State.INACTIVE
    assert engine.check("k", address).reason is Reason.INACTIVE
    assert not engine.check("k", address).allowed
    assert not engine.allows("k", address)


def test_N4_inactive_is_told_apart_from_not_listed() -> None:
    engine = make()
    engine.put_key("inactive", [OFFICE], created_at=NEW)
    engine.update_key("inactive", entries=[])
    engine.put_key("listed", [OFFICE], created_at=NEW)
    reasons = [json.loads(engine.check(key, "1.1.1.1").response().body)["reason"] for key in ("inactive", "listed")]
    assert reasons == ["inactive", "ip_not_listed"]


def test_N4_valid_address_makes_the_key_usable() -> None:
    engine = make()
    engine.put_key("k", [OFFICE], created_at=NEW)
    engine.update_key("k", entries=[])
    with pytest.raises(PolicyError):
        engine.update_key("k", entries=["2001:db8::1"])
    assert engine.state("k") is State.INACTIVE
    engine.update_key("k", entries=["203.0.113.6"])
    assert (engine.allows("k", "203.0.113.6"), engine.allows("k", OFFICE)) == (True, False)


def test_N4_list_of_the_organisation_does_not_stand_in_for_the_keys_own() -> None:
    engine = make()
    engine.put_list("organisation", [OFFICE])
    engine.put_key("k", [OFFICE], within=["organisation"], created_at=NEW)
    engine.update_key("k", entries=[])
    assert engine.check("k", OFFICE).reason is Reason.INACTIVE
    assert engine.state("k") is State.INACTIVE


@pytest.mark.parametrize("address", [*FROM_ANYWHERE, None, "junk", ""])
def test_N5_legacy_key_keeps_working_without_restriction(address: str | None) -> None:
    engine = make()
    engine.put_key("k", created_at=LEGACY)
    decision = engine.check("k", address)
    assert (decision.allowed, decision.reason, decision.state) == (True, Reason.UNRESTRICTED, State.UNRESTRICTED)
    assert engine.allows("k", address)


def test_N5_legacy_key_stays_unrestricted_as_time_goes_by() -> None:
    now = LEGACY.timestamp()
    engine = Engine(presets.nomsa(cutover=CUTOVER), clock=lambda: now)
    engine.put_key("k", created_at=LEGACY)
    now = NEW.timestamp() + 10 * 365 * 86_400
    assert engine.allows("k", "198.51.100.1")
    engine.put_key("k", owner="somebody", replace=True)  # saved again, years later: still created before the cutover
    assert engine.state("k") is State.UNRESTRICTED


def test_N6_list_of_a_legacy_key_is_turned_on_by_hand_and_for_that_key_alone() -> None:
    engine = make()
    engine.put_key("a", created_at=LEGACY)
    engine.put_key("b", created_at=LEGACY)
    engine.put_key("c", [OFFICE], created_at=NEW)
    assert engine.state("a") is State.UNRESTRICTED
    engine.update_key("a", entries=[OFFICE])
    assert (engine.state("a"), engine.state("b")) == (State.RESTRICTED, State.UNRESTRICTED)


@pytest.mark.parametrize("created_at", [LEGACY, NEW])
def test_N7_only_the_listed_addresses_pass(created_at: datetime) -> None:
    engine = make()
    engine.put_key("k", ["203.0.113.1", "203.0.113.3"], created_at=created_at)
    passed = [low for low in range(256) if engine.allows("k", f"203.0.113.{low}")]
    assert passed == [1, 3]
    assert [engine.allows("k", address) for address in FROM_ANYWHERE] == [False] * len(FROM_ANYWHERE)
    assert engine.allows("k", "::ffff:203.0.113.1")


@pytest.mark.parametrize("entry", ["192.168.1.100", "10.0.0.1", "172.16.0.1", "127.0.0.1"])
def test_N8_private_ipv4_address_is_accepted_without_complaint(entry: str) -> None:
    engine = make()
    assert engine.put_key("k", [entry], created_at=NEW).problems == ()
    assert stored(engine, "k") == [entry]
    assert engine.allows("k", entry)


@pytest.mark.parametrize("entry", ["2001:db8::1", "::1", "fe80::1", "::203.0.113.5", b"\0" * 15 + b"\1"])
def test_N8_ipv6_is_refused(entry: str | bytes) -> None:
    engine = make()
    engine.put_key("k", [OFFICE], created_at=NEW)
    with pytest.raises(PolicyError) as error:
        engine.update_key("k", entries=[OFFICE, entry])
    assert "family" in codes(error)
    assert stored(engine, "k") == [OFFICE]


def assert_twenty_pass_and_not_more(created_at: datetime) -> None:
    engine = make()
    engine.put_key("k", TWENTY, created_at=created_at)
    assert [engine.allows("k", address) for address in TWENTY] == [True] * 20
    with pytest.raises(PolicyError) as error:
        engine.update_key("k", entries=[*TWENTY, "203.0.113.21"])
    assert codes(error) == {"too_many_entries"}
    with pytest.raises(PolicyError):
        engine.put_key("other", [*TWENTY, "203.0.113.21"], created_at=created_at)
    assert (engine.keys(), stored(engine, "k")) == (["k"], TWENTY)
    assert not engine.allows("k", "203.0.113.21")


def test_N9_twenty_addresses_pass_and_the_21st_is_refused() -> None:
    assert_twenty_pass_and_not_more(NEW)


@pytest.mark.parametrize("again", [OFFICE, "::ffff:203.0.113.5", "::FFFF:cb00:7105", b"\xcb\x00\x71\x05"])
def test_N10_duplicate_is_an_error_not_a_merge(again: str | bytes) -> None:
    engine = make()
    with pytest.raises(PolicyError) as error:
        engine.put_key("k", [OFFICE, "203.0.113.6", again], created_at=NEW)
    assert codes(error) == {"duplicate"}
    assert [problem.index for problem in error.value.report.errors] == [2]
    assert engine.keys() == []


@pytest.mark.parametrize("entry", ["203.0.113.5/32", "203.0.113.0/24", "0.0.0.0/0", "::ffff:203.0.113.5/128"])
def test_N11_cidr_is_refused_by_the_letter(entry: str) -> None:
    engine = make()
    with pytest.raises(PolicyError) as error:
        engine.put_key("k", [entry], created_at=NEW)
    assert "kind" in codes(error)


@pytest.mark.parametrize("entry", ["203.0.113.1-203.0.113.9", "203.0.113.1-9", "203.0.113.1 - 203.0.113.9"])
def test_N12_dash_range_is_refused(entry: str) -> None:
    engine = make()
    with pytest.raises(PolicyError) as error:
        engine.put_key("k", ["203.0.113.1", entry], created_at=NEW)
    assert "unexpected_character" in codes(error)
    assert engine.keys() == []


def test_N13_saving_replaces_the_whole_list() -> None:
    engine = make()
    engine.put_key("k", ["203.0.113.1", "203.0.113.2"], created_at=NEW)
    engine.update_key("k", entries=["203.0.113.2", "203.0.113.3"])
    assert [low for low in range(5) if engine.allows("k", f"203.0.113.{low}")] == [2, 3]


def test_N13_nothing_applies_before_the_save() -> None:
    engine = make()
    engine.put_key("k", ["203.0.113.1"], created_at=NEW)
    with engine.transaction() as change:
        change.update_key("k", entries=["203.0.113.2"])
        change.update_key("k", entries=["203.0.113.3"])
        assert [low for low in range(5) if engine.allows("k", f"203.0.113.{low}")] == [1]
        assert engine.version == 1
    assert [low for low in range(5) if engine.allows("k", f"203.0.113.{low}")] == [3]
    assert engine.version == 2


def test_N13_refused_save_leaves_the_old_list_whole() -> None:
    engine = make()
    engine.put_key("k", ["203.0.113.1", "203.0.113.2"], created_at=NEW)

    def typed() -> Any:
        yield "203.0.113.3"
        assert not engine.allows("k", "203.0.113.3")
        raise InterruptedError

    with pytest.raises(PolicyError):
        engine.update_key("k", entries=["203.0.113.3", "junk"])
    with pytest.raises(InterruptedError):
        engine.update_key("k", entries=typed())
    assert [low for low in range(5) if engine.allows("k", f"203.0.113.{low}")] == [1, 2]
    assert engine.version == 1


def test_N13_refused_save_inside_a_larger_change_leaves_nothing_behind() -> None:
    engine = make()
    engine.put_key("k", ["203.0.113.1"], created_at=NEW)
    with engine.transaction() as change:
        with pytest.raises(LockOut):  # noticed late, when the new list is already in place
            change.update_key("k", entries=["203.0.113.2"], caller="203.0.113.1")
        change.put_key("other", [OFFICE], created_at=NEW)
    assert engine.keys() == ["k", "other"]
    assert [low for low in range(5) if engine.allows("k", f"203.0.113.{low}")] == [1]


def test_N14_legacy_keys_have_the_same_limit() -> None:
    assert_twenty_pass_and_not_more(LEGACY)


@pytest.mark.parametrize("created_at", [LEGACY, NEW])
def test_N15_list_follows_the_server_to_its_new_address(created_at: datetime) -> None:
    engine = make()
    engine.put_key("k", [OFFICE, "203.0.113.6"], created_at=created_at)
    engine.update_key("k", entries=["198.51.100.9", "203.0.113.6"])
    answers = [engine.allows("k", address) for address in (OFFICE, "203.0.113.6", "198.51.100.9")]
    assert answers == [False, True, True]
    assert engine.key("k").created_at == created_at
