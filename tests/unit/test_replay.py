"""Replay: what a report names and counts, what is left out and said, and a change that is only proposed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cidrmatch import AllowList, Condition, Engine, Entry, PolicyError, Prefix, Reason, Revision, presets
from cidrmatch.advice.replay import RecordedRequest, Tally, proposed, replay

OFFICE = AllowList(["203.0.113.0/24"])
EVERYONE = AllowList(["0.0.0.0/0", "::/0"])


def engine_of(*entries: Any, **more: Any) -> Engine:
    engine = Engine(**more)
    engine.put_key("key_1", entries)
    return engine


def seen(address: str | None, count: int = 1, key: str | None = "key_1", **more: Any) -> RecordedRequest:
    return RecordedRequest(key, address, count, **more)


def test_B31_a_report_counts_by_key_by_address_and_by_reason() -> None:
    requests = [
        seen("198.51.100.7", 2),
        seen("203.0.113.7", 5),
        seen("198.51.100.8", 3, key="key_2"),
        seen("198.51.100.7", 4, key="key_2"),
        seen("junk", 1),
    ]
    engine = engine_of("203.0.113.0/24")
    engine.put_key("key_2", ["192.0.2.1"])
    report = replay(requests, engine, before=EVERYONE)
    blocked = report.newly_blocked
    assert (report.requests, report.still_allowed, report.still_denied, report.newly_allowed.requests) == (15, 5, 1, 0)
    assert (blocked.requests, blocked.keys, blocked.addresses) == (9, 2, 2)
    assert blocked.by_key == (Tally("key_2", 7), Tally("key_1", 2))
    assert blocked.by_address == (Tally("198.51.100.7", 6), Tally("198.51.100.8", 3))
    assert blocked.by_reason == {Reason.NOT_LISTED: 9}
    assert not report.is_unchanged
    assert repr(report) == "<ReplayReport of 15 requests: 9 newly blocked, 0 newly allowed>"
    with pytest.raises(TypeError, match="no truth value"):
        bool(report)


def test_equal_counts_are_told_in_the_order_of_names() -> None:
    requests = [seen("192.0.2.9"), seen(None), seen("192.0.2.10")]
    assert [tally.name for tally in replay(requests, engine_of(), EVERYONE).newly_allowed.by_address] == [None]
    found = replay(requests, OFFICE, EVERYONE, top=1).newly_blocked
    assert found.by_address == (Tally("192.0.2.10", 1),)
    assert found.addresses == 2


def test_B28_an_example_tells_the_request_and_what_decided() -> None:
    deny = Entry(Prefix("203.0.113.7"), None, Condition(effect="deny"))
    request = seen("203.0.113.7", time=5.0, method="GET", path="/v1", allowed=True, place="access.log:7")
    (example,) = replay([request], engine_of("203.0.113.0/24", deny)).newly_blocked.examples
    assert example.to_dict() == {
        "key": "key_1",
        "address": "203.0.113.7",
        "count": 1,
        "time": 5.0,
        "method": "GET",
        "path": "/v1",
        "allowed": True,
        "place": "access.log:7",
        "before": None,
        "after": "denied_by_entry",
        "entry": "203.0.113.7/32",
        "list": None,
        "problem": None,
    }
    (compared,) = replay([request], EVERYONE, engine_of("192.0.2.1")).newly_allowed.examples
    assert (compared.before, compared.after, compared.entry) == (Reason.NOT_LISTED, Reason.MATCHED, "0.0.0.0/0")


def test_the_first_of_equal_requests_is_the_example_and_each_group_has_one() -> None:
    requests = [seen("192.0.2.1", path=path) for path in ("/a", "/c")] + [seen("192.0.2.2", path="/b")]
    found = replay(requests, OFFICE, EVERYONE, examples=2).newly_blocked
    assert [(example.request.address, example.request.path) for example in found.examples] == [
        ("192.0.2.1", "/a"),
        ("192.0.2.2", "/b"),
    ]
    assert replay(requests, OFFICE, EVERYONE, examples=0).newly_blocked.examples == ()


@pytest.mark.parametrize(
    ("address", "problem"),
    [(None, "no address was recorded"), ("010.0.0.1", "no leading zero"), ("-", "a dash range is not accepted")],
)
def test_C23_an_address_that_is_none_is_denied_and_told_in_the_engines_words(address: str | None, problem: str) -> None:
    for judge in (OFFICE, engine_of("203.0.113.0/24")):
        report = replay([seen(address, 3, allowed=True)], judge)
        assert report.without_address == 3
        assert report.newly_blocked.by_reason == {Reason.CLIENT_IP_UNKNOWN: 3}
        (example,) = report.bad_addresses
        assert problem in str(example.problem)
        assert example.after is Reason.CLIENT_IP_UNKNOWN
    unrestricted = replay([seen(address, 3, allowed=True)], engine_of())
    assert (unrestricted.without_address, unrestricted.is_unchanged) == (3, True)


def test_a_bad_address_among_good_ones_changes_no_other_answer() -> None:
    requests = [seen("203.0.113.7"), seen("junk"), seen("192.0.2.1"), seen("junk", 2)]
    report = replay(requests, OFFICE, EVERYONE)
    assert (report.still_allowed, report.still_denied, report.newly_blocked.requests) == (1, 3, 1)
    assert (report.without_address, len(report.bad_addresses)) == (3, 1)


def test_C7_an_empty_list_allows_nobody_and_says_so() -> None:
    assert replay([seen("192.0.2.1")], AllowList([]), EVERYONE).newly_blocked.by_reason == {Reason.EMPTY_LIST: 1}


def test_a_request_without_a_key_is_counted_and_not_asked() -> None:
    requests = [seen("203.0.113.7", 2, key=None, allowed=True), seen("192.0.2.1", 1, allowed=True)]
    report = replay(requests, engine_of("203.0.113.0/24"))
    assert (report.without_key, report.requests, report.newly_blocked.requests) == (2, 1, 1)
    assert replay(requests, OFFICE).without_key == 0
    assert replay(requests[:1], engine_of()).requests == 0


class NoKeys:
    """Columns that know no key at all."""

    keys = None
    addresses = ("203.0.113.7", "192.0.2.1")
    counts: tuple[int, ...] | None = None
    allowed = None

    def batches(self) -> Any:
        yield self

    def times(self) -> list[None]:
        return [None, None]

    def row(self, index: int) -> RecordedRequest:
        return RecordedRequest(None, self.addresses[index])


def test_columns_without_keys_ask_a_list_and_no_engine() -> None:
    columns = NoKeys()
    found = replay(columns, OFFICE, EVERYONE)
    assert (found.newly_blocked.requests, found.newly_blocked.by_key, found.newly_blocked.keys) == (1, (), 0)
    assert replay(columns, engine_of()).without_key == 2
    columns.counts = (4, 5)
    assert replay(columns, engine_of()).without_key == 9
    assert replay(columns, OFFICE, EVERYONE).newly_blocked.requests == 5


def timed_engine(start: datetime, now: float) -> Engine:
    return engine_of(Entry(Prefix("203.0.113.0/24"), None, Condition(not_before=start)), clock=lambda: now)


def test_B31_a_request_is_asked_at_its_own_time_or_at_a_given_one() -> None:
    start = datetime(2026, 6, 16, 12, tzinfo=UTC)
    noon, later = start.timestamp(), (start + timedelta(hours=1)).timestamp()
    requests = [seen("203.0.113.7", time=noon - 0.25, allowed=True), seen("203.0.113.7", time=noon, allowed=True)]
    engine = timed_engine(start, later)
    assert replay(requests, engine).newly_blocked.requests == 1
    assert replay(requests, engine, at=noon).is_unchanged
    assert replay(requests, engine, at=noon - 1).newly_blocked.requests == 2


def test_a_request_without_a_time_is_asked_now_and_counted_where_it_matters() -> None:
    start = datetime(2026, 6, 16, 12, tzinfo=UTC)
    requests = [seen("203.0.113.7", 3, allowed=True), seen("203.0.113.7", 1, key="other", allowed=False)]
    after = replay(requests, timed_engine(start, start.timestamp()))
    assert (after.is_unchanged, after.without_time) == (True, 3)
    before = replay(requests, timed_engine(start, start.timestamp() - 1))
    assert (before.newly_blocked.requests, before.without_time) == (3, 3)


def test_the_times_of_the_earlier_engine_matter_too() -> None:
    noon = datetime(2026, 6, 16, 12, tzinfo=UTC)
    requests = [seen("203.0.113.7", time=noon.timestamp() + step) for step in (-1, 0)]
    for after in (engine_of("203.0.113.0/24"), OFFICE):
        report = replay(requests, after, before=timed_engine(noon, 0))
        assert (report.still_allowed, report.newly_allowed.requests) == (1, 1)


def test_the_engine_says_what_now_is_whichever_side_it_is_on() -> None:
    start = datetime(2026, 6, 16, 12, tzinfo=UTC)
    before = replay([seen("203.0.113.7")], OFFICE, before=timed_engine(start, start.timestamp()))
    assert (before.is_unchanged, before.without_time) == (True, 1)
    other = timed_engine(start, start.timestamp() - 1)
    assert replay([seen("203.0.113.7")], timed_engine(start, start.timestamp()), before=other).is_unchanged


def test_before_everything_passed_also_what_has_no_address() -> None:
    requests = [seen("203.0.113.7", 2), seen("192.0.2.1"), seen("junk"), seen(None, key=None)]
    report = replay(requests, OFFICE, "open")
    assert (report.still_allowed, report.newly_blocked.requests) == (2, 3)
    assert {example.before for example in report.newly_blocked.examples} == {Reason.UNRESTRICTED}
    assert replay(requests[:2], engine_of(), "open").is_unchanged


def test_a_replay_asks_the_data_at_its_beginning() -> None:
    engine = engine_of("203.0.113.0/24")

    def rows() -> Any:
        yield seen("203.0.113.7", allowed=True)
        engine.put_key("key_1", ["192.0.2.1"], replace=True)
        yield seen("203.0.113.8", allowed=True)

    assert replay(rows(), engine).is_unchanged


def test_P9_a_default_list_and_C21_its_times_are_asked_too() -> None:
    start = datetime(2026, 6, 16, 12, tzinfo=UTC)
    engine = Engine(clock=lambda: 0.0)
    engine.put_key("key_1", [])
    engine.put_list("all", [Entry(Prefix("203.0.113.0/24"), None, Condition(expires=start))], description="d")
    engine.set_default("all")
    noon = start.timestamp()
    found = replay([seen("203.0.113.7", time=noon + step, allowed=True) for step in (-1, 0, 1)], engine)
    assert (found.still_allowed, found.newly_blocked.requests) == (1, 2)


def test_a_proposed_change_is_asked_and_not_committed() -> None:
    engine = engine_of("203.0.113.0/24")
    version = engine.version
    view = proposed(engine, lambda change: change.put_key("key_1", ["192.0.2.0/24"], replace=True))
    found = replay([seen("203.0.113.7"), seen("192.0.2.1")], view, before=engine)
    assert (found.newly_blocked.requests, found.newly_allowed.requests) == (1, 1)
    assert engine.version == version
    assert engine.allows("key_1", "203.0.113.7")
    again = proposed(view, lambda change: change.remove_key("key_1"))
    assert replay([seen("192.0.2.1")], again, before=view).newly_blocked.by_reason == {Reason.UNKNOWN_KEY: 1}
    with pytest.raises(PolicyError):
        proposed(Engine(presets.bitbybit()), lambda change: change.put_key("key_1", ["10.0.0.0/8"]))


def test_C7_a_proposed_policy_judges_the_same_data() -> None:
    engine = engine_of()
    june = datetime(2020, 6, 16, tzinfo=UTC)
    view = proposed(engine, policy=presets.nomsa(cutover=june))
    found = replay([seen("203.0.113.7")], view, before=engine)
    assert found.newly_blocked.by_reason == {Reason.INACTIVE: 1}
    assert engine.allows("key_1", "203.0.113.7")


def test_a_replay_of_hashed_ids_asks_by_the_plain_id() -> None:
    engine = engine_of("203.0.113.0/24", id_secret=b"0" * 32)
    assert replay([seen("203.0.113.7", allowed=True)], engine).is_unchanged


def test_a_stale_engine_is_asked_about_its_data() -> None:
    engine = engine_of("203.0.113.0/24")
    engine.is_stale = True
    assert not engine.allows("key_1", "203.0.113.7")
    assert replay([seen("203.0.113.7", allowed=True)], engine).is_unchanged


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: replay([], "office"), "a list, an engine or a view is asked, not str"),  # type: ignore[arg-type]
        (lambda: replay([], OFFICE, Revision), "a list, an engine or a view"),  # type: ignore[arg-type]
        (lambda: replay([], OFFICE, at=math.nan), "a moment is a number of seconds, not nan"),
        (lambda: replay([], OFFICE, top=-1), "not negative"),
        (lambda: replay([], OFFICE, examples=-1), "not negative"),
        (lambda: replay([seen("192.0.2.1", 0)], OFFICE), "at least 1, not 0"),
        (lambda: replay([seen("192.0.2.1", True)], OFFICE), "a whole number, not bool"),
        (lambda: replay([seen(b"\x01\x02\x03\x04")], OFFICE), "text or None, not bytes"),  # type: ignore[arg-type]
        (lambda: replay([seen("192.0.2.1", key=5)], engine_of()), "text"),  # type: ignore[arg-type]
        (
            lambda: replay([seen("192.0.2.1", time=math.inf)], timed_engine(datetime.now(UTC), 0)),
            "a number of seconds, not inf",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], object], error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        call()


def test_a_report_is_bounded_and_says_how_many_there_are() -> None:
    requests = (
        seen(f"198.{number >> 16}.{number >> 8 & 255}.{number & 255}", key=f"key_{number}") for number in range(65_537)
    )
    report = replay(requests, OFFICE, EVERYONE, examples=3, top=4)
    facts: Any = json.loads(json.dumps(report.to_dict()))
    blocked = facts["newly_blocked"]
    assert (facts["requests"], blocked["requests"], blocked["keys"], blocked["addresses"]) == (
        65_537,
        65_537,
        65_537,
        65_537,
    )
    assert [len(blocked[name]) for name in ("examples", "by_key", "by_address")] == [3, 4, 4]


def test_names_beyond_a_limit_count_in_the_sums_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[replay.__module__], "_MOST_NAMES", 2)
    requests = [seen("192.0.2.1", 2), seen("192.0.2.2"), seen("192.0.2.3"), seen("192.0.2.1", 5)]
    found = replay(requests, OFFICE, EVERYONE).newly_blocked
    assert (found.requests, found.addresses, found.by_address) == (9, 2, (Tally("192.0.2.1", 7), Tally("192.0.2.2", 1)))
