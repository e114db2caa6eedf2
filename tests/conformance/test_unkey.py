"""Unkey, statement by statement; the id of the statement is in the name of its test."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cidrmatch import Decision, Engine, FeatureOff, Outcome, Reason, State, presets, run_pipeline

LISTED, UNLISTED = "203.0.113.10", "198.51.100.7"
KEY = "key_2wxYz"
BODY = b'{"data":{"valid":false,"code":"FORBIDDEN","keyId":"key_2wxYz"}}'


def make(*entries: Any) -> Engine:
    engine = Engine(presets.unkey())
    engine.put_key(KEY, entries)
    return engine


class Verification:
    """A host's verification of a key: its own steps, and a quota that a request uses up."""

    def __init__(
        self, address: str, *, failure: object = True, is_permitted: bool = True, engine: Engine | None = None
    ) -> None:
        self.engine = make(LISTED) if engine is None else engine
        self.asked: list[str] = []
        self.quota = 10
        self.outcome: Outcome = run_pipeline(
            self.engine.policy,
            {
                "ratelimit": self.use_quota,  # in no order of ours: the preset has the order
                "permissions": self.step("permissions", is_permitted or "INSUFFICIENT_PERMISSIONS"),
                "validity": self.step("validity", failure),
            },
            lambda: self.check(address),
        )

    def step(self, name: str, answer: object) -> Callable[[], object]:
        def run() -> object:
            self.asked.append(name)
            return answer

        return run

    def use_quota(self) -> object:
        self.asked.append("ratelimit")
        self.quota -= 1
        return True

    def check(self, address: str) -> Decision:
        self.asked.append("ip")
        return self.engine.check(KEY, address)


@pytest.mark.parametrize("address", [UNLISTED, "203.0.113.11", "2001:db8::1", "::203.0.113.10", None, "junk"])
def test_U1_valid_key_from_an_unlisted_address_is_rejected(address: str | None) -> None:
    engine = make(LISTED)
    assert not engine.allows(KEY, address)
    assert not engine.check(KEY, address).allowed
    assert engine.allows(KEY, LISTED)


def test_U2_switched_off_lists_are_not_enforced() -> None:
    engine = make(LISTED)
    engine.set_enforced(False)
    decision = engine.check(KEY, UNLISTED)
    assert (decision.allowed, decision.reason) == (True, Reason.NOT_ENFORCED)
    assert engine.allows(KEY, UNLISTED)
    assert not engine.allows("a key that nobody made", UNLISTED)
    engine.set_enforced(True)
    assert (engine.allows(KEY, LISTED), engine.allows(KEY, UNLISTED)) == (True, False)


def test_U2_engine_that_starts_switched_off_makes_keys_without_lists() -> None:
    engine = Engine(presets.unkey(), enforced=False)
    engine.put_key(KEY)
    assert engine.allows(KEY, UNLISTED)
    with pytest.raises(FeatureOff):
        engine.put_key("another", [LISTED])
    assert engine.keys() == [KEY]


EDITS: dict[str, Callable[[Engine], object]] = {
    "put_key": lambda engine: engine.put_key(KEY, [UNLISTED], replace=True),
    "put_key without entries": lambda engine: engine.put_key(KEY, replace=True),
    "put_key with links": lambda engine: engine.put_key(KEY, [LISTED], lists=["office"], replace=True),
    "put_keys": lambda engine: engine.put_keys([(KEY, [UNLISTED])], replace=True),
    "update_key": lambda engine: engine.update_key(KEY, entries=[UNLISTED]),
    "update_key to nothing": lambda engine: engine.update_key(KEY, entries=[]),
    "update_key links": lambda engine: engine.update_key(KEY, lists=["office"]),
    "update_key within": lambda engine: engine.update_key(KEY, within=["office"]),
    "update_key enabled": lambda engine: engine.update_key(KEY, enabled=False),
    "put_shadow": lambda engine: engine.put_shadow(KEY, [UNLISTED]),
    "put_list": lambda engine: engine.put_list("office", [UNLISTED]),
    "remove_list": lambda engine: engine.remove_list("office"),
    "link": lambda engine: engine.link(KEY, "office"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_U2_switched_off_lists_are_not_edited(edit: str) -> None:
    engine = make(LISTED)
    engine.put_list("office", ["192.0.2.0/24"])
    record, office = engine.key(KEY), engine.lists()["office"].entries
    engine.set_enforced(False)
    with pytest.raises(FeatureOff):
        EDITS[edit](engine)
    assert engine.key(KEY) == record
    assert engine.lists()["office"].entries == office
    with pytest.raises(FeatureOff), engine.transaction() as change:
        EDITS[edit](change)  # type: ignore[arg-type]  # a transaction has the same changes
    assert engine.key(KEY) == record


def test_U3_private_address_is_valid() -> None:
    engine = Engine(presets.unkey())
    assert engine.put_key(KEY, ["192.168.1.100"]).problems == ()
    assert (engine.allows(KEY, "192.168.1.100"), engine.allows(KEY, "192.168.1.101")) == (True, False)


def test_U4_no_minimum_prefix() -> None:
    engine = Engine(presets.unkey())
    assert engine.put_key(KEY, ["10.0.0.0/8"]).problems == ()
    addresses = ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"]
    assert [engine.allows(KEY, address) for address in addresses] == [False, True, True, False]
    assert engine.update_key(KEY, entries=["128.0.0.0/1", "8000::/1"]).ok


def test_U5_ipv6_addresses_and_ranges_are_valid() -> None:
    engine = Engine(presets.unkey())
    assert engine.put_key(KEY, ["2001:db8::/32", "2620:fe::fe"]).problems == ()
    inside = ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2620:fe::fe", "2001:DB8:0::1"]
    outside = ["2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "2620:fe::ff", "32.1.13.184"]
    assert [engine.allows(KEY, address) for address in inside + outside] == [True] * 4 + [False] * 4


def test_U6_address_is_checked_once_when_the_key_is_verified() -> None:
    verification = Verification(LISTED)
    assert verification.outcome.passed
    assert verification.asked == ["validity", "ip", "permissions", "ratelimit"]
    assert verification.outcome.decision is not None
    assert verification.outcome.decision.address == LISTED


def test_U6_step_that_is_left_out_is_an_error_not_a_pass() -> None:
    engine = make(LISTED)
    with pytest.raises(ValueError, match="validity"):
        run_pipeline(engine.policy, {"permissions": None, "ratelimit": None}, lambda: engine.check(KEY, LISTED))


@pytest.mark.parametrize("address", [UNLISTED, "2001:db8::1", None, "junk"])
def test_U7_unlisted_address_fails_with_forbidden(address: str | None) -> None:
    body = json.loads(make(LISTED).check(KEY, address).response().body)
    assert (body["data"]["valid"], body["data"]["code"]) == (False, "FORBIDDEN")


@pytest.mark.parametrize("address", [UNLISTED, None, "junk"])
def test_U8_body_is_exact(address: str | None) -> None:
    response = make(LISTED).check(KEY, address).response()
    assert response.body == BODY
    assert dict(response.headers)["content-length"] == str(len(BODY))


@pytest.mark.parametrize("key", ['key_"quoted"', "key_\\", "key_\n", "key_ключ", 'key","valid":true,"x":"'])
def test_U8_body_names_the_key_whatever_its_text(key: str) -> None:
    engine = Engine(presets.unkey())
    engine.put_keys([(KEY, [LISTED]), (key, [LISTED])])
    body = json.loads(engine.check(key, UNLISTED).response().body)
    assert body == {"data": {"valid": False, "code": "FORBIDDEN", "keyId": key}}
    assert list(body["data"]) == ["valid", "code", "keyId"]


def test_U9_blocked_request_uses_up_no_quota() -> None:
    blocked = Verification(UNLISTED)
    assert (blocked.outcome.stopped_at, blocked.quota) == ("ip", 10)
    assert "ratelimit" not in blocked.asked
    assert Verification(LISTED).quota == 9


def test_U10_wrong_address_and_wrong_permissions_give_forbidden() -> None:
    both = Verification(UNLISTED, is_permitted=False)
    assert both.asked == ["validity", "ip"]
    assert isinstance(both.outcome.failure, Decision)
    assert both.outcome.failure.response().body == BODY
    permissions = Verification(LISTED, is_permitted=False)
    assert (permissions.outcome.stopped_at, permissions.outcome.failure) == ("permissions", "INSUFFICIENT_PERMISSIONS")
    assert permissions.quota == 10


def test_U11_key_must_be_valid_and_listed() -> None:
    ends = {
        (failure, address): Verification(address, failure=failure).outcome
        for failure in (True, "EXPIRED")
        for address in (LISTED, UNLISTED)
    }
    assert [key for key, outcome in ends.items() if outcome.passed] == [(True, LISTED)]
    assert ends["EXPIRED", LISTED].failure == "EXPIRED"
    assert ends["EXPIRED", UNLISTED].failure == "EXPIRED"
    assert ends[True, UNLISTED].stopped_at == "ip"
    assert ends["EXPIRED", LISTED].decision is None


@pytest.mark.parametrize("answer", [1, "yes", None, 0, "", [True]])
def test_U11_only_true_means_valid(answer: object) -> None:
    assert not Verification(LISTED, failure=answer).outcome.passed


def test_U12_list_is_configured_on_the_key() -> None:
    engine = Engine(presets.unkey())
    engine.put_keys([("a", [LISTED]), ("b", [UNLISTED]), ("c", [])])
    allowed = {key: [engine.allows(key, address) for address in (LISTED, UNLISTED)] for key in "abc"}
    assert allowed == {"a": [True, False], "b": [False, True], "c": [True, True]}


def test_U13_range_covers_servers_that_are_added_later() -> None:
    engine = make("10.0.0.0/24")
    assert [engine.allows(KEY, f"10.0.0.{low}") for low in range(256)] == [True] * 256
    assert [engine.allows(KEY, address) for address in ("9.255.255.255", "10.0.1.0")] == [False, False]


def test_U14_unrestricted_is_told_apart_from_listed() -> None:
    engine = make("0.0.0.0/0", "::/0")  # lets everyone in, and still is a list
    engine.put_key("free")
    for address in (LISTED, "2001:db8::1"):
        listed, free = engine.check(KEY, address), engine.check("free", address)
        assert (listed.allowed, listed.reason, listed.state) == (True, Reason.MATCHED, State.RESTRICTED)
        assert (free.allowed, free.reason, free.state) == (True, Reason.UNRESTRICTED, State.UNRESTRICTED)


def test_U14_caller_chooses_a_stricter_limit_for_an_unrestricted_key() -> None:
    engine = make(LISTED)
    engine.put_key("free")
    limits = {Reason.UNRESTRICTED: 10, Reason.MATCHED: 1000}
    assert [limits[engine.check(key, LISTED).reason] for key in ("free", KEY)] == [10, 1000]
