"""`cidrmatch feed`: what is said, with which exit status."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cidrmatch.service.feeds import pulling
from cidrmatch.service.feeds.command import feed, shown_age
from tests.feeds.publishing import write_list

GOOD = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "2001:db8::/48")
FEEDS = """
[feeds.edge]
source = "edge.txt"
use = "allow"
output = "out.txt"

[feeds.drop]
source = "drop.txt"
use = "deny"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("CIDRMATCH_FEEDS", raising=False)
    (tmp_path / "feeds.toml").write_text(FEEDS)
    write_list(tmp_path / "edge.txt", *GOOD)
    write_list(tmp_path / "drop.txt", "198.51.100.0/24")
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(feed, list(arguments), prog_name="cidrmatch feed")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == code, result.output
    return result


def facts(*arguments: str, code: int = 0) -> dict[str, Any]:
    found = json.loads(run(*arguments, "--json", code=code).stdout)
    assert found["ok"] == (code == 0)
    return {each["feed"]: each for each in found["feeds"]}


def test_a_look_says_what_was_taken_over_and_the_next_that_nothing_changed() -> None:
    first = run("pull").stdout.splitlines()
    assert first[0] == "edge: accepted: taken over, 3 entries of IPv4 and 1 entry of IPv6"
    assert "  + 203.0.113.0/24 let in" in first
    assert "  + entry 203.0.113.0/24 added (no label)" in first
    assert "  + 198.51.100.0/24 shut out" in first, "by the deny list"
    assert run("pull").stdout.splitlines() == [
        "edge: accepted: unchanged, 3 entries of IPv4 and 1 entry of IPv6",
        "drop: accepted: unchanged, 1 entry of IPv4",
    ]


def test_what_the_publisher_removed_is_said(folder: Path) -> None:
    run("pull", "edge")
    write_list(folder / "edge.txt", "203.0.113.0/24", "198.51.100.0/24", "2001:db8::/48")
    said = run("pull", "edge").stdout.splitlines()
    assert said[1:] == ["  - 192.0.2.0/24 shut out", "  - entry 192.0.2.0/24 removed by the publisher (no label)"]
    assert facts("pull", "edge")["edge"]["changes"] is None


def test_a_refused_list_is_said_and_accepted_once(folder: Path) -> None:
    run("pull", "edge")
    write_list(folder / "edge.txt", "203.0.113.0/24", "2001:db8::/48")
    refused = run("pull", "edge", code=1)
    assert "edge: refused: 512 of 768 IPv4 addresses are gone; max_shrink is 0.25" in refused.stderr
    assert "edge: warning: the last good list serves, 3 entries of IPv4 and 1 entry of IPv6, 0s old" in refused.stderr
    assert "`cidrmatch feed accept edge` takes it" in refused.stderr
    assert "refused: 512 of 768" in run("status", "edge", code=1).stdout
    assert facts("status", "edge", code=1)["edge"]["refused"]["code"] == "sudden"
    assert "taken over" in run("accept", "edge").stdout
    assert "there is nothing to accept: nothing was refused" in run("accept", "edge", code=1).stderr
    write_list(folder / "edge.txt", "0.0.0.0/0")
    run("pull", "edge", code=1)
    assert "this is never accepted" in run("accept", "edge", code=1).stderr
    assert facts("accept", "edge", code=1)["edge"]["code"] == "nothing_to_accept"


def test_the_exit_status_is_the_highest_and_no_feed_hides_another(folder: Path) -> None:
    (folder / "edge.txt").unlink()
    assert [facts("pull", code=2)[name]["ok"] for name in ("edge", "drop")] == [False, True]
    write_list(folder / "edge.txt", "0.0.0.0/0")
    run("pull", code=1)
    (folder / "edge.feed").write_text("junk")
    damaged = run("pull", code=2)
    assert "edge: error: " in damaged.stderr
    assert "drop: accepted: unchanged" in damaged.stdout
    assert facts("status", "edge", code=2)["edge"]["code"] == "damaged"


def test_status_says_what_is_in_force(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = run("status", "edge", code=1).stdout
    assert never.startswith("edge: warning: there is no good list yet; allow list from ")
    run("pull")
    assert (
        "edge: clean: the last good list serves, 3 entries of IPv4 and 1 entry of IPv6, 0s old" in run("status").stdout
    )
    found = facts("status", "edge")["edge"]
    assert (found["stale"], found["use"], found["max_age"]) == (False, "allow", 604_800)
    assert found["sizes"]["4"] == {"entries": 3, "addresses": 768}
    assert found["confirmed_at"].endswith("+00:00")
    later = time.time() + 8 * 86_400
    monkeypatch.setattr(pulling, "Puller", partial(pulling.Puller, clock=lambda: later))
    stale = run("status", code=1).stdout
    assert "edge: warning: the last good list is stale, 8d old: nobody passes by it" in stale
    assert "drop: warning: the last good list is stale, 8d old: it stays in force" in stale
    (folder / "edge.txt").unlink()
    run("pull", "edge", code=2)
    assert "is stale: nobody is in it" in (folder / "out.txt").read_text()


def test_an_output_that_is_behind_is_said(folder: Path) -> None:
    (folder / "feeds.toml").write_text(FEEDS.replace("out.txt", "none/out.txt"))
    assert "edge: error: an output is behind: " in run("pull", "edge", code=2).stderr
    assert "an output is behind" in run("status", "edge").stdout


def test_labels_of_a_publisher_are_printed_escaped(folder: Path) -> None:
    (folder / "edge.csv").write_text('prefix,label\n203.0.113.0/24,"\x1b[2J"\n')
    (folder / "feeds.toml").write_text(FEEDS.replace("edge.txt", "edge.csv"))
    assert r'added "\x1b[2J"' in run("pull", "edge").stdout


def test_many_changes_are_cut_and_json_has_all(folder: Path) -> None:
    write_list(folder / "edge.txt", *(f"203.0.{n}.0/24" for n in range(0, 200, 2)))
    assert "  ... and 180 more; --json has all" in run("pull", "edge").stdout
    (folder / "edge.feed").unlink()
    assert len(facts("pull", "edge")["edge"]["changes"]["gained"]) == 100


def test_a_wrong_call_is_told(folder: Path) -> None:
    assert "has no feed 'edgy'; there are edge, drop" in run("pull", "edgy", code=2).stderr
    assert "cannot be read" in run("pull", "--feeds", "none.toml", code=2).stderr
    (folder / "feeds.toml").write_text("x = 1")
    assert "unknown key 'x'" in run("status", code=2).stderr


def test_ages_for_people() -> None:
    assert [shown_age(age) for age in (0.4, 59, 60, 3_601, 90_000, float("inf"))] == [
        "0s", "59s", "1m", "1h 1s", "1d 1h", "of unknown age",
    ]  # fmt: skip
