"""A snapshot's heartbeat: data whose source nobody looks at grows old, also if the file is there and unchanged.

Requirements: C19 (a removed address is denied within the bound, or everybody is).
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import Engine, Reason, Revision
from cidrmatch.engine import heartbeat
from cidrmatch.engine.following import seconds_since_boot
from cidrmatch.engine.heartbeat import NEVER, HeartbeatReader, heartbeat_path, write_heartbeat

HOME = "203.0.113.5"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    engine = Engine()
    engine.put_key("key", [HOME])
    engine.save(tmp_path / "keys.snap")
    return tmp_path / "keys.snap"


def revision_at(path: Path) -> Revision:
    revision = Engine.open(path).revision
    assert revision is not None
    return revision


def spoil(path: Path, **values: Any) -> None:
    """Write a heartbeat of this moment, with some other values."""
    write_heartbeat(path, seconds_since_boot(), revision_at(path))
    beat = Path(heartbeat_path(path))
    beat.write_text(json.dumps(json.loads(beat.read_text(encoding="ascii")) | values), encoding="ascii")


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def test_a_file_without_a_heartbeat_is_as_current_as_the_last_look(path: Path) -> None:
    engine = Engine.open(path)
    began = seconds_since_boot()
    assert engine.refresh() is False
    assert engine.age <= seconds_since_boot() - began


def test_C19_the_age_counts_from_the_heartbeat_also_when_the_file_is_opened(path: Path) -> None:
    write_heartbeat(path, seconds_since_boot() - 50, revision_at(path))
    engine = Engine.open(path)
    assert 50 <= engine.age < 100
    engine.refresh()
    assert 50 <= engine.age < 100
    write_heartbeat(path, seconds_since_boot() - 5, revision_at(path))
    engine.refresh()
    assert 5 <= engine.age < 50


@pytest.fixture
def follower(path: Path) -> Iterator[Engine]:
    write_heartbeat(path, seconds_since_boot(), revision_at(path))
    engine = Engine.open(path)
    stop = engine.follow(0.01, max_age=0.2)
    yield engine
    stop()


def test_C19_a_worker_denies_when_nobody_looks_at_the_source_any_more(path: Path, follower: Engine) -> None:
    wait_for(lambda: follower.check("key", HOME).reason is Reason.STALE_DATA)
    write_heartbeat(path, seconds_since_boot() + 0.0, revision_at(path))
    wait_for(lambda: follower.allows("key", HOME))
    wait_for(lambda: follower.check("key", HOME).reason is Reason.STALE_DATA)


def test_C19_once_there_was_a_heartbeat_there_must_be_one(path: Path, follower: Engine) -> None:
    os.unlink(heartbeat_path(path))
    wait_for(lambda: follower.check("key", HOME).reason is Reason.STALE_DATA)


def test_C19_old_data_is_denied_from_the_first_moment_of_a_new_worker(path: Path) -> None:
    write_heartbeat(path, seconds_since_boot() - 50, revision_at(path))
    engine = Engine.open(path)
    stop = engine.follow(0.01, max_age=10)
    wait_for(lambda: engine.check("key", HOME).reason is Reason.STALE_DATA)
    stop()


@pytest.mark.parametrize(
    "values",
    [
        {"boot": "another start"},
        {"boot": None},
        {"at": seconds_since_boot() + 1e6},
        {"at": float("nan")},
        {"at": "1.5"},
        {"at": True},
        {"generation": "1"},
        {"generation": 1.5},
        {"epoch": 17},
        {"epoch": "no number"},
        {"padding": "x" * 2_000},
    ],
)
def test_C19_a_heartbeat_that_is_not_ours_proves_nothing(path: Path, values: dict[str, Any]) -> None:
    spoil(path, **values)
    assert Engine.open(path).age > 1e8


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 900, b"null"])
def test_C19_a_damaged_heartbeat_proves_nothing(path: Path, content: bytes) -> None:
    Path(heartbeat_path(path)).write_bytes(content)
    assert Engine.open(path).age > 1e8


def test_a_heartbeat_of_a_later_revision_is_not_about_this_file(path: Path) -> None:
    now, reader = seconds_since_boot(), HeartbeatReader()
    write_heartbeat(path, now, Revision(5, 7))
    assert reader.moment(path, Revision(5, 6), now) == NEVER
    assert reader.moment(path, Revision(5, 7), now) == now
    assert reader.moment(path, Revision(5, 8), now) == now
    assert reader.moment(path, Revision(4, 9), now) == NEVER


def test_a_later_file_is_taken_over_with_the_moment_of_its_heartbeat(path: Path) -> None:
    write_heartbeat(path, seconds_since_boot() - 50, revision_at(path))
    reader = Engine.open(path)
    with Engine.edit(path) as engine:
        engine.add_entries("key", ["203.0.113.6"])
    assert reader.refresh() is True
    assert reader.allows("key", "203.0.113.6")
    assert reader.age >= 50


def test_links_lead_to_one_heartbeat_which_the_readers_of_the_file_may_read(path: Path, tmp_path: Path) -> None:
    os.chmod(path, 0o640)
    (tmp_path / "link.snap").symlink_to(path)
    write_heartbeat(tmp_path / "link.snap", seconds_since_boot() - 50, revision_at(path))
    assert Path(f"{path}.alive").stat().st_mode & 0o777 == 0o640
    assert Engine.open(tmp_path / "link.snap").age >= 50
    assert sorted(each.name for each in tmp_path.iterdir() if "alive" in each.name) == ["keys.snap.alive"]


def test_a_heartbeat_that_cannot_be_written_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_heartbeat(path, 1.0, Revision(5, 7))
    before = Path(heartbeat_path(path)).read_bytes()

    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no space"):
        write_heartbeat(path, 2.0, Revision(5, 8))
    assert Path(heartbeat_path(path)).read_bytes() == before
    assert not [each for each in path.parent.iterdir() if each.name.startswith(".keys.snap.alive")]


def test_a_system_without_a_name_for_its_start(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(heartbeat, "_BOOT", tmp_path / "none")
    write_heartbeat(path, seconds_since_boot(), revision_at(path))
    assert Engine.open(path).age < 100
