"""One look at a source: what is taken, what is refused, what stays, and what is said of it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cidrmatch import AllowList, presets
from cidrmatch.files.lists import Format
from cidrmatch.service.feeds import Bounds, Feed, FeedStateError, Proof, Puller, Targets
from tests.feeds.publishing import Clock, write_list

GOOD = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "2001:db8::/48")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def feed_of(folder: Path, **settings: Any) -> Feed:
    given: dict[str, Any] = {"name": "edge", "use": "allow", "state": str(folder / "edge.feed")}
    return Feed(**given | {"source": str(folder / "list.txt")} | settings)


def texts(allow: AllowList) -> set[str]:
    return {str(entry.prefix) for entry in allow}


# -- What is taken ------------------------------------------------------------


def test_the_first_good_list_is_taken_and_the_second_look_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    puller = Puller(feed_of(tmp_path), clock=clock)
    first = puller.pull()
    assert (first.outcome, first.exit_status, texts(first.status.allow)) == ("changed", 0, set(GOOD))
    assert first.changes is not None
    assert {str(entry.prefix) for entry in first.changes.added} == set(GOOD)
    clock.now += 100
    second = puller.pull()
    assert (second.outcome, second.exit_status, second.changes) == ("unchanged", 0, None)
    kept = second.status.kept
    assert (kept.changed_at, kept.confirmed_at, kept.looked_at) == (clock.now - 100, clock.now, clock.now)
    assert Puller(feed_of(tmp_path), clock=clock).status() == second.status


def test_labels_survive_the_state_file(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text('prefix,label\n203.0.113.0/24,"B\u00fcro, ""1"""\n203.0.112.0/24,\n')
    Puller(feed_of(tmp_path, source=str(tmp_path / "list.csv"))).pull()
    allow = Puller(feed_of(tmp_path, source=str(tmp_path / "list.csv"))).status().allow
    assert [entry.label for entry in allow] == [None, 'B\u00fcro, "1"']


def test_a_format_is_handed_to_read_list(tmp_path: Path) -> None:
    (tmp_path / "list").write_text('["203.0.113.0/24"]')
    assert Puller(feed_of(tmp_path, source=str(tmp_path / "list"))).pull().code == "unreadable"
    assert Puller(feed_of(tmp_path, source=str(tmp_path / "list"), file_format=Format.JSON)).pull().exit_status == 0


def test_what_the_publisher_removes_is_told_and_takes_effect(tmp_path: Path, clock: Clock) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    puller = Puller(feed_of(tmp_path, bounds=Bounds(max_shrink=0.5)), clock=clock)
    puller.pull()
    write_list(tmp_path / "list.txt", *GOOD[1:])
    pulled = puller.pull()
    assert pulled.outcome == "changed"
    assert pulled.changes is not None
    assert [str(entry.prefix) for entry in pulled.changes.removed] == ["203.0.113.0/24"]
    assert [str(prefix) for prefix in pulled.changes.lost] == ["203.0.113.0/24"]
    assert "203.0.113.7" not in pulled.status.allow


# -- What is refused ----------------------------------------------------------

EVERYONE = [
    (["0.0.0.0/0"], "everyone"),
    (["::/0"], "everyone"),
    (["0.0.0.0/1", "128.0.0.0/1"], "too_broad"),
    ([f"{n}.0.0.0/8" for n in range(256)], "everyone"),
    (["8.0.0.0/7"], "too_broad"),
    (["2000::/15"], "too_broad"),
    ([f"{n}.0.0.0/8" for n in range(65)], "too_much"),
    ([f"{n:x}::/16" for n in range(0x2000, 0x2801)], "too_much"),
    ([], "empty"),
    (["# only a comment"], "empty"),
    (["203.0.113.7/24"], "unreadable"),
    (["office.example.net"], "unreadable"),
    (["<html><body>503</body></html>"], "unreadable"),
]


@pytest.mark.parametrize(("entries", "code"), EVERYONE, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("use", ["allow", "deny"])
def test_what_is_never_taken(tmp_path: Path, entries: list[str], code: str, use: str) -> None:
    """Neither as the first list nor after a good one; not for either use; and the last good list stays."""
    write_list(tmp_path / "list.txt", *entries)
    first = Puller(feed_of(tmp_path, use=use)).pull()
    assert (first.outcome, first.code, first.exit_status, len(first.status.allow)) == ("refused", code, 1, 0)
    write_list(tmp_path / "list.txt", *GOOD)
    loose = Bounds(max_growth=1_000, max_shrink=1)
    puller = Puller(feed_of(tmp_path, use=use, bounds=loose))
    assert puller.pull().exit_status == 0
    write_list(tmp_path / "list.txt", *entries)
    pulled = puller.pull(accept=True)
    assert (pulled.code, pulled.exit_status, texts(pulled.status.allow)) == (code, 1, set(GOOD))
    assert pulled.status.kept.refused is not None
    assert pulled.status.exit_status == 1
    write_list(tmp_path / "list.txt", *GOOD)
    assert puller.pull().status.exit_status == 0


def test_one_below_each_bound_is_taken(tmp_path: Path) -> None:
    for number, entries in enumerate(
        ([f"{n}.0.0.0/8" for n in range(64)], ["2000::/16"], [f"{n:x}::/16" for n in range(0x2000, 0x2800)])
    ):
        write_list(tmp_path / "list.txt", *entries)
        assert Puller(feed_of(tmp_path, state=str(tmp_path / f"{number}.feed"))).pull().exit_status == 0


def test_a_policy_judges_the_list_too(tmp_path: Path) -> None:
    write_list(tmp_path / "list.txt", "203.0.113.0/24")
    pulled = Puller(feed_of(tmp_path, policy=presets.nomsa())).pull()
    assert (pulled.code, pulled.exit_status) == ("policy", 1)
    assert "203.0.113.0/24" in pulled.reason
    write_list(tmp_path / "list.txt", "203.0.113.7")
    assert Puller(feed_of(tmp_path, policy=presets.nomsa())).pull().exit_status == 0


def test_every_bad_entry_is_told_with_its_line(tmp_path: Path) -> None:
    write_list(tmp_path / "list.txt", "203.0.113.0/24", *(f"10.0.0.{n}/24" for n in range(1, 9)))
    reason = Puller(feed_of(tmp_path)).pull().reason
    assert "list.txt:2" in reason
    assert reason.endswith("and 3 more")


BEFORE = [f"203.0.{n}.0/24" for n in range(100)]
STEPS = [
    (BEFORE[:75], "", "a quarter may go"),
    (BEFORE[:74], "sudden", "more than a quarter may not"),
    (BEFORE + [f"198.51.{n}.0/24" for n in range(50)], "", "a half more may come"),
    (BEFORE + [f"198.51.{n}.0/24" for n in range(51)], "sudden", "more than a half more may not"),
    ([f"198.51.{n}.0/24" for n in range(100)], "sudden", "another list of the same size"),
    (["203.0.0.0/18", "203.0.64.0/19", "203.0.96.0/22"], "sudden", "same addresses in far fewer entries"),
    ([*BEFORE, "2001:db8::/32"], "sudden", "a family that is new, and large"),
    ([*BEFORE, "2001:db8::/56"], "", "a family that is new, and small"),
    ([*BEFORE, "12.0.0.0/8"], "sudden", "one entry, many addresses"),
]


@pytest.mark.parametrize(("after", "code", "why"), STEPS, ids=[why for *_, why in STEPS])
def test_a_sudden_change_is_refused_and_a_person_may_accept_it_once(
    tmp_path: Path, after: list[str], code: str, why: str
) -> None:
    puller = Puller(feed_of(tmp_path))
    write_list(tmp_path / "list.txt", *BEFORE)
    puller.pull()
    write_list(tmp_path / "list.txt", *after)
    pulled = puller.pull()
    assert pulled.code == code, pulled.reason
    if not code:
        return
    assert texts(pulled.status.allow) == set(BEFORE)
    assert puller.pull().code == code, "a second look accepts nothing by itself"
    write_list(tmp_path / "list.txt", *after, "11.0.0.0/8")
    assert puller.pull(accept=True).code == code, "the publisher has another list meanwhile"
    assert puller.pull(accept=True).outcome == "changed", "now this one was refused, and is accepted"
    write_list(tmp_path / "list.txt", *BEFORE)
    assert puller.pull().code == "sudden", "accepted once"


def test_a_family_never_goes_as_a_whole_by_itself(tmp_path: Path) -> None:
    puller = Puller(feed_of(tmp_path, bounds=Bounds(max_shrink=1)))
    write_list(tmp_path / "list.txt", "203.0.113.7", "2001:db8::7")
    puller.pull()
    write_list(tmp_path / "list.txt", "203.0.113.7")
    assert puller.pull().reason == "all 1 IPv6 entries are gone"


def test_a_small_list_may_change_by_one(tmp_path: Path) -> None:
    puller = Puller(feed_of(tmp_path))
    for entries in (["203.0.113.7", "203.0.113.9"], ["203.0.113.7", "203.0.113.9", "203.0.113.11"], ["203.0.113.7"]):
        write_list(tmp_path / "list.txt", *entries)
        pulled = puller.pull()
    assert pulled.code == "sudden", "two of three"
    write_list(tmp_path / "list.txt", "203.0.113.7", "203.0.113.9")
    assert puller.pull().outcome == "changed", "one of three"


def test_other_settings_judge_the_list_anew(tmp_path: Path) -> None:
    write_list(tmp_path / "list.txt", "11.0.0.0/8")
    feed = feed_of(tmp_path)
    Puller(feed).pull()
    strict = Puller(replace(feed, bounds=Bounds(min_prefix4=9))).pull()
    assert (strict.code, texts(strict.status.allow)) == ("too_broad", {"11.0.0.0/8"})


# -- Age ----------------------------------------------------------------------


def test_an_allow_list_that_is_stale_lets_nobody_in(tmp_path: Path, clock: Clock) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    puller = Puller(feed_of(tmp_path, max_age=3_600), clock=clock)
    puller.pull()
    clock.now += 3_600
    assert not puller.status().is_stale
    clock.now += 1
    found = puller.status()
    assert (found.is_stale, len(found.allow), found.exit_status, found.age) == (True, 0, 1, 3_601)
    assert puller.pull().exit_status == 0
    assert not puller.status().is_stale


@pytest.mark.parametrize("settings", [{"use": "deny"}, {"use": "allow", "when_stale": "keep"}])
def test_a_deny_list_that_is_stale_stays_and_says_so(tmp_path: Path, clock: Clock, settings: dict[str, str]) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    puller = Puller(feed_of(tmp_path, **settings), clock=clock)
    puller.pull()
    clock.now += 30 * 86_400
    found = puller.status()
    assert (found.is_stale, texts(found.allow), found.exit_status) == (True, set(GOOD), 1)


def test_a_refused_list_does_not_make_the_last_good_one_younger(tmp_path: Path, clock: Clock) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    puller = Puller(feed_of(tmp_path, max_age=3_600), clock=clock)
    puller.pull()
    write_list(tmp_path / "list.txt", "0.0.0.0/0")
    clock.now += 3_601
    pulled = puller.pull()
    assert (pulled.code, pulled.status.is_stale, len(pulled.status.allow)) == ("everyone", True, 0)


def test_a_feed_that_vanishes_removes_nothing_until_it_is_stale(tmp_path: Path, clock: Clock) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    puller = Puller(feed_of(tmp_path, max_age=3_600), clock=clock)
    puller.pull()
    (tmp_path / "list.txt").unlink()
    clock.now += 3_600
    pulled = puller.pull()
    assert (pulled.outcome, pulled.code, pulled.exit_status) == ("unreachable", "gone", 2)
    assert texts(pulled.status.allow) == set(GOOD)
    clock.now += 1
    assert len(puller.pull().status.allow) == 0


def test_a_clock_that_was_set_back_makes_the_age_unknown_until_the_next_look(tmp_path: Path, clock: Clock) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    puller = Puller(feed_of(tmp_path), clock=clock)
    puller.pull()
    clock.now -= 30
    assert not puller.status().is_stale, "two clocks of one machine differ a little"
    clock.now -= 31
    found = puller.status()
    assert (found.is_stale, found.age, len(found.allow)) == (True, math.inf, 0)
    assert not puller.pull().status.is_stale


# -- The state file -----------------------------------------------------------


def test_a_damaged_state_file_is_an_error_and_never_a_new_beginning(tmp_path: Path) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    feed = feed_of(tmp_path)
    Puller(feed).pull()
    state = tmp_path / "edge.feed"
    whole = state.read_bytes()
    first = whole.index(b"\n")
    for damaged in (
        b"",
        whole[:-1],
        whole[: first + 1],
        whole[:first],
        whole.replace(b"203.0.113", b"203.0.112"),
        whole.replace(b'"confirmed_at": ', b'"confirmed_at": 9'),
        re.sub(rb'"confirmed_at": [0-9.]+', b'"confirmed_at": NaN', whole),
        b"{}\n",
        b"[]\n",
    ):
        state.write_bytes(damaged)
        with pytest.raises(FeedStateError) as caught:
            Puller(feed).pull()
        assert caught.value.code == "damaged"
        assert state.read_bytes() == damaged
    state.write_bytes(whole)
    with pytest.raises(FeedStateError, match="is of the feed 'edge' for use as allow, not of 'edge' for use as deny"):
        Puller(replace(feed, use="deny")).pull()


def test_a_state_file_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    with pytest.raises(FeedStateError):
        Puller(feed_of(tmp_path, state=str(tmp_path / "no folder" / "edge.feed"))).pull()


def test_the_state_file_is_for_its_owner_and_keeps_its_mode(tmp_path: Path) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    feed = feed_of(tmp_path)
    Puller(feed).pull()
    state = tmp_path / "edge.feed"
    assert state.stat().st_mode & 0o777 == 0o600
    state.chmod(0o640)
    Puller(feed).pull()
    assert state.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == [".edge.feed.lock", "edge.feed", "list.txt"]


# -- Laws ---------------------------------------------------------------------

PREFIXES = st.one_of(
    st.builds(lambda a, n: f"{a}.0.0.0/{n}", st.integers(0, 255), st.sampled_from([0, 1, 7, 8, 9, 16])),
    st.builds(lambda a, b: f"{a}.{b}.0.0/16", st.integers(0, 255), st.integers(0, 255)),
    st.builds(lambda a, n: f"{a:x}::/{n}", st.integers(0, 0xFFFF), st.sampled_from([0, 1, 3, 15, 16, 32])),
    st.sampled_from(["", "#", "junk", "::ffff:0:0/96", "::/1", "8000::/1"]),
)
CONTENTS = st.one_of(
    st.binary(max_size=60), st.lists(PREFIXES, max_size=12).map(lambda lines: "\n".join(lines).encode())
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(contents=st.lists(CONTENTS, min_size=1, max_size=4), accepts=st.booleans())
def test_whatever_comes_the_list_is_never_everyone_never_nobody_and_never_lost(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], accepts: bool
) -> None:
    folder = tmp_path_factory.mktemp("law")
    write_list(folder / "list.txt", *GOOD)
    bounds = Bounds(max_growth=1_000, max_shrink=1)
    puller = Puller(feed_of(folder, bounds=bounds))
    puller.pull()
    for content in contents:
        before = puller.status().allow
        (folder / "list.txt").write_bytes(content)
        after = puller.pull(accept=accepts).status.allow
        assert len(after), "nobody"
        assert not after.covers("0.0.0.0/0")
        assert not after.covers("::/0")
        assert all(entry.prefix.length >= (8 if entry.prefix.family == 4 else 16) for entry in after)
        try:
            is_good = after == AllowList.from_text(content.decode())
        except ValueError:
            is_good = False
        assert is_good or after == before


MOVES = st.tuples(st.integers(-8_000, 8_000), st.sampled_from(["good", "bad", "gone", "no look"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(moves=st.lists(MOVES, min_size=1, max_size=8), use=st.sampled_from(["allow", "deny"]))
def test_whatever_the_clock_does_an_allow_list_is_in_force_only_while_it_is_young(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, str]], use: str
) -> None:
    folder, clock = tmp_path_factory.mktemp("clock"), Clock()
    puller = Puller(feed_of(folder, use=use, max_age=3_600), clock=clock)
    confirmed: float | None = None
    for seconds, move in moves:
        clock.now += seconds
        (folder / "list.txt").unlink(missing_ok=True)
        if move in ("good", "bad"):
            write_list(folder / "list.txt", *(GOOD if move == "good" else ["0.0.0.0/0"]))
        if move != "no look":
            puller.pull()
        confirmed = clock.now if move == "good" else confirmed
        is_young = confirmed is not None and -60 <= clock.now - confirmed <= 3_600
        found = puller.status()
        assert found.is_stale is not is_young
        assert bool(len(found.allow)) is (is_young or (use == "deny" and confirmed is not None))


# -- Outputs and events -------------------------------------------------------


def test_a_hook_is_told_at_least_once_also_after_it_failed(tmp_path: Path, clock: Clock) -> None:
    told = tmp_path / "told.jsonl"
    hook = (
        "/bin/sh",
        "-c",
        f'[ -e {tmp_path}/broken ] && exit 3; echo "$CIDRMATCH_FEED $CIDRMATCH_FEED_EVENT" >&2; cat >> {told}',
    )
    write_list(tmp_path / "list.txt", *GOOD)
    puller = Puller(feed_of(tmp_path, targets=Targets(hook=hook), max_age=3_600), clock=clock)
    puller.pull()
    write_list(tmp_path / "list.txt", *GOOD, "203.0.112.0/24")
    (tmp_path / "broken").touch()
    pulled = puller.pull()
    assert (pulled.outcome, pulled.exit_status) == ("changed", 2)
    assert pulled.status.kept.undelivered == ("the hook ended with status 3",)
    write_list(tmp_path / "list.txt", *GOOD, "203.0.112.0/24", "203.0.111.0/24")
    puller.pull()
    (tmp_path / "broken").unlink()
    assert puller.pull().exit_status == 0
    assert puller.pull().exit_status == 0
    events = [json.loads(line) for line in told.read_text().splitlines()]
    assert [event["event"] for event in events] == ["changed", "changed"]
    assert events[0]["added"][0] == {"prefix": "192.0.2.0/24", "label": None}
    assert events[1]["gained"] == ["203.0.111.0/24", "203.0.112.0/24"], "both changes at once"
    write_list(tmp_path / "list.txt", "0.0.0.0/0")
    for _ in range(2):
        puller.pull()
    (tmp_path / "list.txt").unlink()
    clock.now += 3_601
    for _ in range(2):
        puller.pull()
    write_list(tmp_path / "list.txt", *GOOD[:3], "203.0.112.0/24", "203.0.111.0/24", "2001:db8::/48")
    puller.pull()
    (tmp_path / "list.txt").unlink()
    for _ in range(2):
        puller.pull()
    events = [json.loads(line) for line in told.read_text().splitlines()]
    assert [event["event"] for event in events[2:]] == ["refused", "stale", "gone"]
    assert events[2]["reason"] == "the list has 0.0.0.0/0, which is everyone"


def test_a_callable_is_told_and_told_again_if_it_raises(tmp_path: Path) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    told: list[dict[str, Any]] = []

    def on_event(event: dict[str, Any]) -> None:
        told.append(event)
        if len(told) == 1:
            raise RuntimeError("not now")

    puller = Puller(feed_of(tmp_path), on_event=on_event)
    assert puller.pull().status.kept.undelivered == ("the event could not be told: not now",)
    assert puller.pull().exit_status == 0
    assert puller.pull().exit_status == 0
    assert [event["event"] for event in told] == ["changed", "changed"]
    assert told[0]["added"] == told[1]["added"]


def test_a_digest_that_was_pinned(tmp_path: Path) -> None:
    write_list(tmp_path / "list.txt", *GOOD)
    other = Puller(feed_of(tmp_path, proof=Proof(sha256="0" * 64))).pull()
    assert (other.code, other.exit_status, len(other.status.allow)) == ("digest", 1, 0)
    digest = other.reason.split()[5].rstrip(",")
    assert Puller(feed_of(tmp_path, proof=Proof(sha256=digest))).pull().exit_status == 0


def test_options_are_handed_to_read_list_and_those_of_a_wrong_type_are_told(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(
        '[{"ip": "203.0.113.0/24", "for": "web"}, {"ip": "203.0.112.0/24", "for": "dns"}]'
    )
    feed = feed_of(tmp_path, source=str(tmp_path / "list.json"))
    options = {"column": "ip", "where": {"for": "web"}}
    assert texts(Puller(replace(feed, options=options)).pull().status.allow) == {"203.0.113.0/24"}
    for wrong in ({"where": 5}, {"where": {"for": 5}}):
        pulled = Puller(replace(feed, options=wrong)).pull()
        assert (pulled.code, pulled.exit_status) == ("options", 2)
