"""When an entry counts: the borders of its time, what is refused, and the forms in which it is given."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from cidrmatch import AllowList, Condition, Engine, Entry, Policy, PolicyError, parse_entry
from cidrmatch._core.condition import Standing, condition_of, fields_of_condition, standing_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVENING = NOON + timedelta(hours=6)


def test_plain_condition_always_allows() -> None:
    condition = Condition()
    assert (condition.effect, condition.enabled, condition.not_before, condition.expires) == ("allow", True, None, None)
    assert (condition.start, condition.end) == (-math.inf, math.inf)


def test_moments_are_posix_seconds_whatever_the_zone() -> None:
    condition = Condition(not_before=NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), expires=EVENING)
    assert (condition.start, condition.end) == (NOON.timestamp(), EVENING.timestamp())
    assert condition == Condition(not_before=NOON, expires=EVENING)


def test_what_an_entry_does_changes_at_its_first_moment_and_at_the_first_after_its_last() -> None:
    first, end = NOON.timestamp(), EVENING.timestamp()
    timed = Condition(effect="deny", not_before=NOON, expires=EVENING)
    moments = (first - 1, first, math.nextafter(end, first), end)
    assert [str(timed.standing_at(moment)) for moment in moments] == ["waits", "counts", "counts", "over"]
    assert all(
        Condition(enabled=False, not_before=NOON, expires=EVENING).standing_at(moment) is Standing.DISABLED
        for moment in moments
    )
    assert Condition(not_before=NOON).standing_at(1e12) is Condition(expires=NOON).standing_at(0) is Standing.COUNTS
    assert standing_of(Entry("::/0"), first) is standing_of(Entry("::/0", None, timed), first) is Standing.COUNTS
    assert standing_of(Entry("::/0", None, timed), end) is Standing.OVER


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
def test_first_and_last_moment_of_the_calendar_are_taken(zone: timezone) -> None:
    condition = Condition(not_before=datetime.min.replace(tzinfo=zone), expires=datetime.max.replace(tzinfo=zone))
    assert condition.start < NOON.timestamp() < condition.end


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"effect": "Allow"}, ValueError, "'allow' or 'deny', not 'Allow'"),
        ({"effect": None}, ValueError, "effect"),
        ({"effect": True}, ValueError, "effect"),
        ({"enabled": 1}, TypeError, "True or False, not 1"),
        ({"enabled": "no"}, TypeError, "enabled"),
        ({"enabled": None}, TypeError, "enabled"),
        ({"not_before": datetime(2026, 1, 1)}, ValueError, "not_before needs a time zone"),
        ({"expires": datetime(2026, 1, 1)}, ValueError, "expires needs a time zone"),
        ({"expires": date(2026, 1, 1)}, TypeError, "a datetime, not date"),
        ({"expires": "2026-01-01"}, TypeError, "a datetime, not str"),
        ({"not_before": 1_700_000_000}, TypeError, "a datetime, not int"),
        ({"not_before": NOON, "expires": NOON}, ValueError, "expires must come after not_before"),
        ({"not_before": EVENING, "expires": NOON}, ValueError, "expires must come after not_before"),
    ],
)
def test_what_could_be_misread_is_refused(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Condition(**fields)


def test_condition_is_an_immutable_value() -> None:
    condition = Condition(effect="deny")
    with pytest.raises(AttributeError):
        condition.effect = "allow"  # type: ignore[misc]
    assert {condition, Condition(effect="deny")} == {condition}


def test_fields_that_say_nothing_special_are_no_condition() -> None:
    assert condition_of({}) is None
    assert condition_of({"prefix": "10.0.0.0/8", "label": "x"}) is None
    assert condition_of({"effect": "allow", "enabled": True, "not_before": None, "expires": None}) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"effect": "deny"},
        {"enabled": False},
        {"not_before": "2026-01-01T12:00:00+00:00"},
        {
            "effect": "deny",
            "enabled": False,
            "not_before": "2026-01-01T12:00:00+05:30",
            "expires": "2027-01-01T00:00:00.000001+00:00",
        },
    ],
)
def test_a_condition_says_the_fields_that_it_was_built_of(fields: dict[str, object]) -> None:
    condition = condition_of(fields)
    assert condition is not None
    assert fields_of_condition(condition) == fields


def test_fields_may_hold_moments_as_text_or_objects() -> None:
    expected = Condition(effect="deny", not_before=NOON, expires=EVENING)
    assert condition_of({"effect": "deny", "not_before": "2026-01-01T12:00:00Z", "expires": EVENING}) == expected
    assert condition_of({"effect": "deny", "not_before": NOON, "expires": "2026-01-01T19:00:00+01:00"}) == expected
    assert condition_of({"enabled": False}) == Condition(enabled=False)


@pytest.mark.parametrize(
    "fields", [{"expires": "tomorrow"}, {"expires": "2026-01-01T12:00"}, {"expires": "2026-01-01"}, {"effect": ""}]
)
def test_text_that_is_no_moment_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        condition_of(fields)
    with pytest.raises(ValueError):
        parse_entry({"prefix": "10.0.0.0/8", **fields})
    report = Policy().validate([{"prefix": "10.0.0.0/8", **fields}])
    assert [problem.code for problem in report.errors] == ["condition"]


def test_entry_carries_its_condition() -> None:
    entry = parse_entry({"prefix": "10.0.0.0/8", "label": "x", "effect": "deny"})
    assert entry == Entry("10.0.0.0/8", "x", Condition(effect="deny"))
    assert entry != Entry("10.0.0.0/8", "x")
    assert "deny" in repr(entry)
    for wrong in ("deny", {"effect": "deny"}, True):
        with pytest.raises(TypeError, match="a condition is"):
            Entry("10.0.0.0/8", None, wrong)  # type: ignore[arg-type]


def test_allow_list_alone_refuses_entries_with_a_condition() -> None:
    with pytest.raises(ValueError):
        AllowList([Entry("10.0.0.0/8", None, Condition(effect="deny"))])


def test_duplicates_have_the_same_prefix_and_the_same_condition() -> None:
    deny = {"prefix": "10.0.0.0/8", "effect": "deny"}
    accepted = Policy().accept(["10.0.0.0/8", deny, {**deny, "label": "again"}, ("10.0.0.0/8", "again")])
    assert accepted == (Entry("10.0.0.0/8"), Entry("10.0.0.0/8", None, Condition(effect="deny")))
    with pytest.raises(PolicyError):
        Policy(duplicates="reject").accept([deny, deny])


@pytest.mark.parametrize(
    ("offset", "counts"),
    [(-0.001, False), (0, True), (0.001, True), (6 * 3600 - 0.001, True), (6 * 3600, False), (10**9, False)],
)
@pytest.mark.parametrize("before", [-(10**9), 3600, 10**9])
def test_first_moment_belongs_to_the_entry_and_the_last_does_not(offset: float, counts: bool, before: float) -> None:
    """Whatever moment was asked about before; the clock may go back."""
    now = [NOON.timestamp() + before]
    engine = Engine(clock=lambda: now[0])
    engine.put_key("k", [Entry("10.0.0.0/8", None, Condition(not_before=NOON, expires=EVENING))])
    engine.check("k", "10.0.0.1")
    now[0] = NOON.timestamp() + offset
    assert engine.allows("k", "10.0.0.1") is counts
    assert engine.check("k", "10.0.0.1").reason == ("matched" if counts else "ip_not_listed")


@pytest.mark.parametrize(("field", "error"), [("effect", ValueError), ("enabled", TypeError)])
def test_none_is_no_effect_and_no_switch_but_it_is_no_time(field: str, error: type[Exception]) -> None:
    """The NULL of a row in a database must not let anybody in."""
    entry = {"prefix": "10.0.0.0/8", "not_before": None, "expires": None}
    assert parse_entry(entry).condition is None
    with pytest.raises(error, match=field):
        parse_entry(entry | {field: None})
    engine = Engine()
    with pytest.raises(PolicyError, match=field):
        engine.put_key("k", [entry | {field: None}])


@pytest.mark.parametrize("is_folded", [False, True])
@pytest.mark.parametrize("times", [{}, {"not_before": NOON, "expires": EVENING}])
def test_a_disabled_entry_never_counts_for_either_side(times: dict[str, Any], is_folded: bool) -> None:
    engine = Engine(clock=lambda: NOON.timestamp() + 1)
    engine.put_key("allow", [Entry("10.0.0.0/8", None, Condition(enabled=False, **times)), "192.0.2.1"])
    engine.put_key("deny", ["10.0.0.0/8", Entry("10.1.0.0/16", None, Condition(effect="deny", enabled=False, **times))])
    engine.put_list("office", [Entry("10.0.0.0/8", None, Condition(enabled=False, **times))])
    engine.put_key("linked", ["192.0.2.1"], lists=["office"])
    if is_folded:
        engine.fold()
    assert not engine.allows("allow", "10.1.2.3")
    assert engine.allows("deny", "10.1.2.3")
    assert not engine.allows("linked", "10.1.2.3")


def test_several_moments_in_one_list() -> None:
    now = [0.0]
    engine = Engine(clock=lambda: now[0])
    hours = [NOON + timedelta(hours=hour) for hour in range(6)]
    engine.put_key(
        "k",
        [
            Entry("10.0.0.0/8", None, Condition(not_before=hours[0], expires=hours[4])),
            Entry("10.1.0.0/16", None, Condition(effect="deny", not_before=hours[1], expires=hours[3])),
            Entry("10.1.2.0/24", None, Condition(not_before=hours[2])),
            Entry("10.1.0.0/16", None, Condition(effect="deny", enabled=False)),
        ],
    )
    expected = {-1: "-----", 0: "-aaa-", 1: "-add-", 2: "-ada-", 3: "-aaa-", 4: "---a-", 5: "---a-"}
    clients = ["9.255.255.255", "10.0.0.0", "10.1.0.0", "10.1.2.255", "11.0.0.0"]
    letters = {"matched": "a", "denied_by_entry": "d", "ip_not_listed": "-"}
    for hour in [0, 3, -1, 5, 1, 4, 2, 0, 2, 1, 3, 4, 5, -1]:
        now[0] = (NOON + timedelta(hours=hour, minutes=30)).timestamp()
        assert "".join(letters[engine.check("k", client).reason] for client in clients) == expected[hour], hour


def test_clock_is_read_at_most_once_a_check_and_only_where_there_are_times() -> None:
    reads: list[None] = []

    def clock() -> float:
        reads.append(None)
        return NOON.timestamp()

    engine = Engine(clock=clock)
    timed = {"prefix": "10.0.0.0/8", "expires": "2030-01-01T00:00:00Z"}
    engine.put_list("one", [timed])
    engine.put_list("two", [timed])
    engine.put_key("timed", [timed], lists=["one", "two"], within=["one", "two"])
    engine.put_key("plain", ["10.0.0.0/8", {"prefix": "10.1.0.0/16", "effect": "deny"}])
    reads.clear()
    assert engine.allows("plain", "10.0.0.1")
    assert reads == []
    decision = engine.check("timed", "10.0.0.1")
    assert decision.to_dict()["entry"] == "10.0.0.0/8"
    assert len(reads) == 1
