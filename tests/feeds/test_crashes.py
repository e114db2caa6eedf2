"""Pullers that are killed at any moment, two pullers at once, and disks that are full.

child    pull, and the publisher's list grows by one each time ...          kill -9
parent   the state file is whole; the list in it was published; the next look brings the outputs up to date
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cidrmatch.files.lists import read_list
from cidrmatch.service.feeds import Bounds, Feed, FeedStateError, Puller, Targets
from tests.feeds.publishing import write_list

LOOKS = """
import sys
from pathlib import Path
from tests.feeds.test_crashes import feed_of, publish
from cidrmatch.service.feeds import Puller

folder, number = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
while True:
    number += 1
    publish(folder, number)
    Puller(feed_of(folder)).pull()
"""


def feed_of(folder: Path, **settings: Any) -> Feed:
    hook = ("/bin/sh", "-c", f"cat >> {folder}/told.jsonl")
    given: dict[str, Any] = {"name": "edge", "use": "allow", "state": str(folder / "edge.feed")}
    given |= {"source": str(folder / "list.txt"), "bounds": Bounds(max_growth=1_000, max_shrink=1)}
    return Feed(**given | {"targets": Targets(output=str(folder / "out.txt"), hook=hook)} | settings)


def entries(number: int) -> list[str]:
    """Give the list of a number; each list tells which one it is."""
    return [f"11.{number >> 8 & 255}.{number & 255}.0/24", *(f"12.0.{n}.0/24" for n in range(number % 200 + 1))]


def publish(folder: Path, number: int) -> None:
    write_list(folder / "draft", *entries(number))
    os.replace(folder / "draft", folder / "list.txt")


def number_of(texts: list[str]) -> int:
    first = next(text for text in texts if text.startswith("11.")).split(".")
    return int(first[1]) << 8 | int(first[2])


def kill_often(folder: Path, times: int) -> None:
    lot, number = random.Random(7), 0
    publish(folder, 0)
    Puller(feed_of(folder)).pull()
    for _ in range(times):
        child = subprocess.Popen(
            [sys.executable, "-c", LOOKS, str(folder), str(number)], stdout=subprocess.PIPE, start_new_session=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(lot.uniform(0.0, 0.15))
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        found = [str(entry.prefix) for entry in Puller(feed_of(folder)).status().allow]
        assert set(found) == set(entries(number_of(found))), "a whole list, and one that was published"
        assert number <= number_of(found) <= number + 10_000
        pulled = Puller(feed_of(folder)).pull()
        assert pulled.exit_status == 0
        number = number_of([text for text, _ in read_list(folder / "list.txt").entries])
        for texts in (
            [str(entry.prefix) for entry in pulled.status.allow],
            [text for text, _ in read_list(folder / "out.txt").entries],
        ):
            assert set(texts) == set(entries(number))
        assert not list(folder.glob(".*.tmp")), "drafts of the killed"
    assert set(told_of(folder)) == set(entries(number)), "every change was told, at least once"


def told_of(folder: Path) -> set[str]:
    """Give the list that somebody has who follows the events alone; a killed hook may have left half a line."""
    known: set[str] = set()
    decoder = json.JSONDecoder()
    for line in (folder / "told.jsonl").read_text().splitlines():
        at = line.rfind('{"event"')
        try:
            event, _ = decoder.raw_decode(line, at)
        except ValueError:
            continue
        known |= {entry["prefix"] for entry in event["added"]}
        known -= {entry["prefix"] for entry in event["removed"]}
    return known


def test_a_puller_that_is_killed_leaves_a_whole_list(tmp_path: Path) -> None:
    kill_often(tmp_path, 8)


@pytest.mark.long
def test_a_puller_that_is_killed_very_often_leaves_a_whole_list(tmp_path: Path) -> None:
    kill_often(tmp_path, 300)


STEPS = ("open", "fchmod", "fsync", "replace")


@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_fails_at_any_step_leaves_the_last_good_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    feed = feed_of(tmp_path, targets=Targets())
    publish(tmp_path, 1)
    Puller(feed).pull()
    publish(tmp_path, 2)
    real = getattr(os, step)

    def fails(*given: Any, **more: Any) -> Any:
        is_draft = step != "open" or str(given[0]).endswith(".tmp")
        if is_draft:
            raise OSError(28, "No space left on device")
        return real(*given, **more)

    monkeypatch.setattr(os, step, fails)
    with pytest.raises(FeedStateError, match="No space left on device"):
        Puller(feed).pull()
    monkeypatch.undo()
    assert number_of([str(entry.prefix) for entry in Puller(feed).status().allow]) == 1
    assert not list(tmp_path.glob(".*.tmp"))
    assert Puller(feed).pull().outcome == "changed"


def test_two_pullers_take_turns(tmp_path: Path) -> None:
    publish(tmp_path, 0)
    Puller(feed_of(tmp_path)).pull()
    work = """
import sys
from pathlib import Path
from tests.feeds.test_crashes import feed_of, publish
from cidrmatch.service.feeds import Puller

folder, first = Path(sys.argv[1]), int(sys.argv[2])
for number in range(first, first + 40):
    write = folder / f"draft{first}"
    pulled = Puller(feed_of(folder)).pull()
    assert pulled.exit_status == 0, pulled
"""
    children = [subprocess.Popen([sys.executable, "-c", work, str(tmp_path), str(first)]) for first in (1, 1_001)]
    number = 0
    while any(child.poll() is None for child in children):
        number += 1
        publish(tmp_path, number)
        time.sleep(0.005)
    assert [child.wait() for child in children] == [0, 0]
    assert Puller(feed_of(tmp_path)).pull().exit_status == 0
    assert set(told_of(tmp_path)) == set(entries(number))
    assert {text for text, _ in read_list(tmp_path / "out.txt").entries} == set(entries(number))


def test_a_puller_does_not_wait_for_ever(tmp_path: Path) -> None:
    publish(tmp_path, 0)
    seen: list[str] = []

    def on_event(_: object) -> None:
        with pytest.raises(FeedStateError) as caught:
            Puller(feed, lock_seconds=0.05).pull()
        seen.append(caught.value.code)

    feed = feed_of(tmp_path, targets=Targets())
    Puller(feed, on_event=on_event).pull()
    assert seen == ["locked"]
