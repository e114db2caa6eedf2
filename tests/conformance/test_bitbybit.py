"""bitbybit, statement by statement; the id of the statement is in the name of its test."""

from typing import Any

import pytest

from cidrmatch import Decision, Engine, PolicyError, Reason, Report, State, presets, run_pipeline
from cidrmatch.advice.lint import lint

LISTED, UNLISTED = "203.0.113.10", "198.51.100.7"
TWENTY = [f"203.0.113.{low}" for low in range(1, 21)]
BODY = b'{"error":{"code":"IP_NOT_ALLOWED","message":"Request IP address is not in the API key\'s allowlist"}}'


def make(*entries: Any) -> Engine:
    engine = Engine(presets.bitbybit())
    engine.put_key("k", entries)
    return engine


def stored(engine: Engine, key: str = "k") -> list[str]:
    return [engine.policy.canonical(entry.prefix) for entry in engine.key(key).entries]


def codes_of_refusal(*entries: Any) -> set[str]:
    engine = Engine(presets.bitbybit())
    with pytest.raises(PolicyError) as error:
        engine.put_key("k", entries)
    assert engine.keys() == []
    return {problem.code for problem in error.value.report.errors}


def warnings(report: Report) -> list[tuple[int | None, str]]:
    return [(problem.index, problem.code) for problem in report.warnings]


def test_B1_key_is_limited_to_addresses_and_ranges() -> None:
    engine = make(LISTED, "192.0.2.0/24", "2001:db8:1::/48")
    for address in (LISTED, "192.0.2.0", "192.0.2.255", "2001:db8:1::9"):
        assert engine.allows("k", address)
    for address in ("203.0.113.9", "203.0.113.11", "192.0.3.0", "2001:db8:2::"):
        assert not engine.allows("k", address)


@pytest.mark.parametrize("address", [UNLISTED, "203.0.113.11", "2001:db8::1", "::203.0.113.10", None, "junk"])
def test_B2_any_other_address_gets_403(address: str | None) -> None:
    decision = make(LISTED).check("k", address)
    assert not decision.allowed
    assert decision.response().status == 403


@pytest.mark.parametrize("address", [UNLISTED, "2001:db8::1", None, "junk"])
def test_B3_body_is_exact_whatever_the_reason(address: str | None) -> None:
    response = make(LISTED).check("k", address).response()
    assert response.body == BODY
    headers = dict(response.headers)
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(len(BODY))


def test_B3_body_is_exact_when_a_deny_entry_decided() -> None:
    engine = make("203.0.113.0/24", {"prefix": LISTED, "effect": "deny"})
    decision = engine.check("k", LISTED)
    assert decision.reason is Reason.DENIED_BY_ENTRY
    assert decision.response().body == BODY


@pytest.mark.parametrize("address", [LISTED, "10.0.0.1", "2001:db8::1", None, "junk"])
def test_B4_without_entries_every_address_passes(address: str | None) -> None:
    engine = make()
    assert engine.allows("k", address)
    assert engine.check("k", address).reason is Reason.UNRESTRICTED
    assert engine.state("k") is State.UNRESTRICTED


def test_B4_key_works_as_before_once_its_entries_are_gone() -> None:
    engine = make(LISTED)
    assert not engine.allows("k", UNLISTED)
    engine.update_key("k", entries=[])
    assert engine.check("k", UNLISTED).reason is Reason.UNRESTRICTED


def test_B5_every_request_is_checked() -> None:
    engine = make()
    engine.put_shadow("k", [LISTED])
    for _ in range(500):
        engine.allows("k", UNLISTED)
        engine.check("k", LISTED)
    trial = engine.shadow("k")
    assert trial is not None
    assert (trial.would_deny, trial.would_allow) == (500, 500)  # none was skipped


def test_B5_no_verdict_is_kept_from_an_earlier_request() -> None:
    engine = make(LISTED)
    for _ in range(50):
        assert (engine.allows("k", LISTED), engine.allows("k", UNLISTED)) == (True, False)
        engine.update_key("k", entries=[UNLISTED])
        assert (engine.allows("k", LISTED), engine.allows("k", UNLISTED)) == (False, True)
        assert not engine.check("k", LISTED).allowed
        engine.update_key("k", entries=[LISTED])


def test_B6_match_on_any_entry_passes() -> None:
    engine = make(*TWENTY)
    for address in TWENTY:
        decision = engine.check("k", address)
        assert decision.allowed
        assert str(decision.entry and decision.entry.prefix) == f"{address}/32"


class Request:
    """A host's request: its own steps, each of which notes that it was asked."""

    def __init__(self, *, authentic: bool = True, in_scope: bool = True, address: str = LISTED) -> None:
        self.engine = make(LISTED)
        self.asked: list[str] = []
        self.outcome = run_pipeline(
            self.engine.policy,
            {"authenticate": self.step("authenticate", authentic), "scope": self.step("scope", in_scope)},
            lambda: self.check(address),
        )

    def step(self, name: str, passes: bool) -> Any:
        def run() -> object:
            self.asked.append(name)
            return passes or f"{name} failed"

        return run

    def check(self, address: str) -> Decision:
        self.asked.append("ip")
        return self.engine.check("k", address)


def test_B7_address_is_checked_after_authentication_and_scope() -> None:
    request = Request()
    assert (request.outcome.passed, request.asked) == (True, ["authenticate", "scope", "ip"])
    request = Request(address=UNLISTED)
    assert (request.outcome.stopped_at, request.asked) == ("ip", ["authenticate", "scope", "ip"])
    assert request.outcome.decision is not None
    assert request.outcome.decision.response().body == BODY


def test_B7_invalid_key_is_401_not_403() -> None:
    request = Request(authentic=False, in_scope=False, address=UNLISTED)
    assert (request.outcome.passed, request.outcome.stopped_at) == (False, "authenticate")
    assert (request.outcome.failure, request.asked) == ("authenticate failed", ["authenticate"])
    response = make(LISTED).check("a key that nobody made", UNLISTED).response()
    assert response.status == 401
    assert b"IP_NOT_ALLOWED" not in response.body


def test_B8_missing_scope_wins_over_an_unlisted_address() -> None:
    request = Request(in_scope=False, address=UNLISTED)
    assert (request.outcome.stopped_at, request.outcome.failure) == ("scope", "scope failed")
    assert request.outcome.decision is None
    assert request.asked == ["authenticate", "scope"]


def test_B9_list_given_at_creation_is_in_force_from_the_first_moment() -> None:
    engine = make(LISTED)
    assert engine.version == 1  # no version in which the key existed without its list
    assert (engine.allows("k", LISTED), engine.allows("k", UNLISTED)) == (True, False)


def test_B9_key_with_a_refused_list_is_not_created() -> None:
    assert codes_of_refusal(LISTED, "10.0.0.0/99") == {"length_too_large"}


def test_B10_entries_are_added_edited_and_removed_then_saved() -> None:
    engine = make((LISTED, "Office"), "192.0.2.0/24")
    entries: list[Any] = list(engine.key("k").entries)
    entries.append("2001:db8::1")
    entries[0] = (LISTED, "Head office")
    del entries[1]
    assert stored(engine) == [f"{LISTED}/32", "192.0.2.0/24"]  # not before the save
    engine.update_key("k", entries=entries)
    assert stored(engine) == [f"{LISTED}/32", "2001:db8::1/128"]
    assert engine.check("k", LISTED).label == "Head office"
    assert (engine.allows("k", "192.0.2.1"), engine.allows("k", "2001:db8::1")) == (False, True)


def test_B10_edit_of_an_existing_key_leaves_the_rest_of_it() -> None:
    engine = Engine(presets.bitbybit())
    engine.put_key("k", [LISTED], owner="ann")
    before = engine.key("k")
    engine.update_key("k", entries=[UNLISTED])
    after = engine.key("k")
    assert (after.owner, after.created_at, after.enabled) == (before.owner, before.created_at, before.enabled)


def test_B12_wrong_entries_block_the_caller_with_a_warning_only() -> None:
    engine = make()
    report = engine.update_key("k", entries=["192.168.1.100"])  # the caller's own, seen from inside
    assert (report.ok, warnings(report)) == (True, [(0, "private")])
    assert stored(engine) == ["192.168.1.100/32"]
    assert engine.check("k", LISTED).response().status == 403


def test_B13_single_ipv4_address_matches_itself_alone_and_is_stored_as_a_32() -> None:
    engine = make(LISTED)
    assert stored(engine) == [f"{LISTED}/32"]
    assert [str(entry.prefix) for entry in engine.key("k").entries] == [f"{LISTED}/32"]
    assert [low for low in range(256) if engine.allows("k", f"203.0.113.{low}")] == [10]


def test_B14_range_matches_both_its_ends() -> None:
    engine = make("203.0.113.0/24")
    assert all(engine.allows("k", f"203.0.113.{low}") for low in range(256))
    assert not engine.allows("k", "203.0.112.255")
    assert not engine.allows("k", "203.0.114.0")


def test_B15_single_ipv6_address_matches_itself_alone_and_is_stored_as_a_128() -> None:
    engine = make("2001:db8::10")
    assert stored(engine) == ["2001:db8::10/128"]
    assert [low for low in range(32) if engine.allows("k", f"2001:db8::{low:x}")] == [16]


def test_B16_ipv6_range_is_valid_and_matches_both_its_ends() -> None:
    engine = make("2001:db8::/48")
    assert stored(engine) == ["2001:db8::/48"]
    addresses = ["2001:db8::", "2001:db8:0:ffff:ffff:ffff:ffff:ffff", "2001:db8:1::", "2001:db7:ffff:ffff::"]
    assert [engine.allows("k", address) for address in addresses] == [True, True, False, False]


def test_B17_twenty_entries_pass_and_the_21st_is_refused() -> None:
    assert len(stored(make(*TWENTY))) == 20
    assert codes_of_refusal(*TWENTY, "2001:db8::1") == {"too_many_entries"}
    mixed = [f"192.0.2.{low}" for low in range(10)] + [f"2001:db8:{low}::/48" for low in range(11)]
    assert len(stored(make(*mixed[:20]))) == 20
    assert codes_of_refusal(*mixed) == {"too_many_entries"}  # the families count together


@pytest.mark.parametrize(("first", "length"), [("128.0.0.0", 9), ("35.128.0.0", 9), ("35.192.0.0", 10)])
def test_B18_ipv4_range_of_9_or_longer_passes(first: str, length: int) -> None:
    assert stored(make(f"{first}/{length}")) == [f"{first}/{length}"]


@pytest.mark.parametrize("entry", ["128.0.0.0/8", "35.0.0.0/8", "10.0.0.0/8", "0.0.0.0/1", "0.0.0.0/0"])
def test_B18_ipv4_range_broader_than_9_is_refused(entry: str) -> None:
    assert "prefix_too_broad" in codes_of_refusal(entry)
    assert "prefix_too_broad" in codes_of_refusal(LISTED, entry)


@pytest.mark.parametrize("entry", ["::ffff:35.0.0.0/104", "::ffff:0:0/96"])
def test_B18_mapped_range_is_as_broad_as_its_ipv4_form(entry: str) -> None:
    assert "prefix_too_broad" in codes_of_refusal(entry)
    assert stored(make("::ffff:35.128.0.0/105")) == ["35.128.0.0/9"]


@pytest.mark.parametrize("entry", ["2001:db8::/33", "2001:db8:8000::/33", "2001:db8::/34"])
def test_B19_ipv6_range_of_33_or_longer_passes(entry: str) -> None:
    assert stored(make(entry)) == [entry]


@pytest.mark.parametrize("entry", ["2001:db8::/32", "2001:db8::/31", "2000::/9", "::/0"])
def test_B19_ipv6_range_broader_than_33_is_refused(entry: str) -> None:
    assert "prefix_too_broad" in codes_of_refusal(entry)


def test_B20_label_comes_back_on_reading() -> None:
    engine = make((LISTED, "Büro, \N{CAT FACE}"), "192.0.2.0/24", {"prefix": "2001:db8::/48", "label": "Lyon"})
    labels = ["Büro, \N{CAT FACE}", None, "Lyon"]
    assert [entry.label for entry in engine.key("k").entries] == labels
    assert [engine.check("k", address).label for address in (LISTED, "192.0.2.9", "2001:db8::9")] == labels
    engine.update_key("k", owner="ann")  # an edit of something else
    assert [entry.label for entry in engine.key("k").entries] == labels


def test_B21_examples_of_the_product_are_valid() -> None:
    report = presets.bitbybit().validate(["203.0.113.10", "198.51.100.0/24", "35.192.0.0/12"])
    assert report.problems == ()
    engine = make("203.0.113.10", "198.51.100.0/24", "35.192.0.0/12")
    assert [engine.allows("k", address) for address in ("35.191.255.255", "35.192.0.0", "35.207.255.255")] == [
        False,
        True,
        True,
    ]
    assert not engine.allows("k", "35.208.0.0")


@pytest.mark.parametrize("entry", ["10.1.2.3", "10.0.0.0/9", "172.16.0.1", "172.31.255.255", "192.168.0.0/16"])
def test_B22_private_range_is_accepted(entry: str) -> None:
    report = Engine(presets.bitbybit()).put_key("k", [entry])
    assert (report.ok, len(report.accepted)) == (True, 1)


@pytest.mark.parametrize("entry", ["10.1.2.3", "10.0.0.0/9", "172.16.0.1", "172.31.255.255", "192.168.0.0/16"])
def test_B23_warning_says_that_a_private_range_will_not_match(entry: str) -> None:
    report = Engine(presets.bitbybit()).put_key("k", [LISTED, entry])
    assert warnings(report) == [(1, "private")]
    said = str(report.warnings[0])
    assert "won't match" in said
    assert "public address" in said


@pytest.mark.parametrize("entry", ["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255"])
def test_B23_neighbours_of_the_private_ranges_do_not_warn(entry: str) -> None:
    assert Engine(presets.bitbybit()).put_key("k", [entry]).problems == ()


def test_B24_families_mix_in_one_list() -> None:
    engine = make(LISTED, "2001:db8::/48", "192.0.2.0/24", "2001:db8:ffff::1")
    for address in (LISTED, "2001:db8::7", "192.0.2.255", "2001:db8:ffff::1"):
        assert engine.allows("k", address)
    for address in ("::203.0.113.10", "2001:db8:1::", "32.1.13.184", "c000:200::"):
        assert not engine.allows("k", address)  # the same first bytes, the other family


@pytest.mark.parametrize("entries", [(), (LISTED,), (UNLISTED,)])
@pytest.mark.parametrize(
    ("given", "evaluated"),
    [
        (LISTED, LISTED),
        ("::ffff:203.0.113.10", LISTED),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        (b"\xcb\x00\x71\x0a", LISTED),
        ("junk", None),
        (None, None),
    ],
)
def test_B28_record_shows_the_address_that_was_evaluated(
    entries: tuple[str, ...], given: str | bytes | None, evaluated: str | None
) -> None:
    decision = make(*entries).check("k", given)
    assert decision.address == evaluated
    assert decision.to_dict()["address"] == evaluated


def test_B30_restriction_of_a_key_leaves_the_owners_other_keys_alone() -> None:
    engine = Engine(presets.bitbybit())
    engine.put_key("main", owner="ann")
    engine.put_key("backup", owner="ann")
    engine.put_key("strict", [UNLISTED], owner="ann")
    engine.update_key("main", entries=[LISTED])
    answers = {key: engine.allows(key, UNLISTED) for key in ("main", "backup", "strict")}
    assert answers == {"main": False, "backup": True, "strict": True}
    assert engine.state("backup") is State.UNRESTRICTED
    engine.remove_key("main")
    assert engine.allows("backup", LISTED)


def advice_on_backups(engine: Engine) -> list[str]:
    """The owners of whom lint says that they have no backup key."""
    return [finding.name for finding in lint(engine) if finding.code == "no_backup_key"]


def test_B30_lint_says_when_an_owner_has_no_backup_key() -> None:
    engine = Engine(presets.bitbybit())
    engine.put_key("main", [LISTED], owner="ann")
    engine.put_key("second", [UNLISTED], owner="ann")
    engine.put_key("of nobody", [LISTED])
    engine.put_key("free", owner="bob")  # somebody else's, and no help to ann
    engine.put_key("of nobody, free")
    assert advice_on_backups(engine) == ["ann"]
    engine.put_key("backup", owner="ann")
    assert advice_on_backups(engine) == []
    engine.update_key("backup", entries=[LISTED])
    assert advice_on_backups(engine) == ["ann"]
    engine.update_key("second", enabled=False)  # its list is kept and not enforced: it serves as a backup
    assert engine.allows("second", "192.0.2.1")
    assert advice_on_backups(engine) == []


def test_B30_key_on_trial_is_still_a_backup() -> None:
    engine = Engine(presets.bitbybit())
    engine.put_key("main", [LISTED], owner="ann")
    engine.put_key("backup", owner="ann")
    engine.put_shadow("backup", [LISTED])
    assert advice_on_backups(engine) == []


def test_B31_list_on_trial_decides_nothing_and_counts_what_it_would_do() -> None:
    engine = make()
    engine.put_shadow("k", [LISTED])
    assert engine.state("k") is State.UNRESTRICTED
    decisions = [engine.check("k", address) for address in (LISTED, UNLISTED, UNLISTED, "junk")]
    assert [(decision.allowed, decision.reason) for decision in decisions] == [(True, Reason.UNRESTRICTED)] * 4
    assert [decision.would_allow for decision in decisions] == [True, False, False, False]
    trial = engine.shadow("k")
    assert trial is not None
    assert (trial.would_allow, trial.would_deny) == (1, 3)
    assert trial.denied[UNLISTED] == 2


def test_B31_trial_of_a_wider_list_lets_nobody_in() -> None:
    engine = make(LISTED)
    engine.put_shadow("k", [LISTED, UNLISTED])
    decision = engine.check("k", UNLISTED)
    assert (decision.allowed, decision.would_allow) == (False, True)
    assert decision.response().body == BODY
    assert not engine.allows("k", UNLISTED)


def test_B31_after_the_trial_the_list_is_put_in_force() -> None:
    engine = make()
    engine.put_shadow("k", [LISTED])
    trial = engine.shadow("k")
    assert trial is not None
    engine.update_key("k", entries=trial.list.entries)
    engine.remove_shadow("k")
    assert (engine.allows("k", LISTED), engine.allows("k", UNLISTED)) == (True, False)
    assert (engine.shadow("k"), engine.check("k", LISTED).would_allow) == (None, None)


def test_B31_save_of_the_key_does_not_end_the_trial() -> None:
    engine = make()
    engine.put_shadow("k", [LISTED])
    engine.put_key("k", [UNLISTED], replace=True)
    engine.update_key("k", owner="ann")
    decision = engine.check("k", LISTED)
    assert (decision.allowed, decision.would_allow) == (False, True)


def test_B31_trial_is_judged_by_the_same_policy() -> None:
    engine = make()
    with pytest.raises(PolicyError):
        engine.put_shadow("k", ["128.0.0.0/8"])
    assert engine.shadow("k") is None


def test_B32_labelled_range_covers_a_dynamic_environment() -> None:
    engine = make(("198.51.100.0/24", "Autoscaling, Frankfurt"), (LISTED, "Office"))
    decisions = [engine.check("k", f"198.51.100.{low}") for low in range(256)]
    assert {(decision.allowed, decision.label) for decision in decisions} == {(True, "Autoscaling, Frankfurt")}
    assert engine.check("k", LISTED).label == "Office"
