"""A fleet, end to end: a store, the program that puts its snapshot in a bucket, the one that takes it, and an engine.

    SQLite --store follow --put--> bucket --take--> there.snap --Engine.follow--> allows or denies

Each arrow is a process of its own, as people start them.  The bucket is a folder, or S3 as moto serves it.  Whatever
breaks: the engine knows a change within ten seconds, or it denies everybody.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from sqlalchemy import delete, insert
from typer.testing import CliRunner

from cidrmatch import Engine, Reason, Revision, presets
from cidrmatch.cli.app import app
from cidrmatch.engine.following import seconds_since_boot
from cidrmatch.engine.heartbeat import heartbeat_path
from cidrmatch.service.stores.carrying import Putter, Taker
from cidrmatch.service.stores.errors import StoreError
from cidrmatch.service.stores.fleet import fleet, take
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.schema import readers
from cidrmatch.service.stores.shipping import Shelf
from cidrmatch.service.stores.store import Store

KEY, HOME = "key_1", "203.0.113.9"
OLDEST = 4.0
"""The `max_age` of the engine in these tests; a look at a bucket comes every half second."""


def wait_for(is_so: Callable[[], bool], within: float = 20.0) -> None:
    end = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.02)


class Fleet:
    """The processes of one test, and their files."""

    def __init__(self, folder: Path, url: str, environment: dict[str, str]) -> None:
        self.folder, self.url = folder, url
        self.environment = {**os.environ, **environment, "CIDRMATCH_STORE": f"sqlite:///{folder}/keys.db"}
        self.store = Store.create(f"sqlite:///{folder}/keys.db", policy=presets.bitbybit())
        self.processes: list[subprocess.Popen[bytes]] = []
        self.there = folder / "there.snap"

    def run(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cidrmatch", *words], env=self.environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def follow(self) -> subprocess.Popen[bytes]:
        return self.run(
            "store", "follow", "--snapshot", f"{self.folder}/here.snap", "--every", "0.5", "--put", self.url
        )

    def take(self) -> subprocess.Popen[bytes]:
        return self.run("take", self.url, "--snapshot", str(self.there), "--every", "0.5")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.store.close()


@pytest.fixture(params=["folder", "s3"])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    name, environment = f"b{uuid4().hex}", {}
    url = f"{tmp_path}/{name}/keys.json"
    if request.param == "s3":
        endpoint = request.getfixturevalue("s3")
        words = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=endpoint, **words).create_bucket(Bucket=name)
        environment = {"FSSPEC_S3_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
        environment |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        url = f"s3://{name}/keys.json"
    else:
        (tmp_path / name).mkdir()
    machines = Fleet(tmp_path, url, environment)
    yield machines
    machines.close()


@pytest.fixture
def worker(machines: Fleet) -> Iterator[Engine]:
    """An engine that follows the taken file, with both programs running."""
    with machines.store.change() as change:
        change.put_key(KEY, ["203.0.113.0/24", "198.51.100.1"])
    machines.follow()
    machines.take()
    wait_for(machines.there.exists, 40)
    worker = Engine.open(machines.there)
    stop = worker.follow(0.2, max_age=OLDEST)
    wait_for(lambda: worker.allows(KEY, HOME))
    yield worker
    stop()


def is_stale(worker: Engine) -> bool:
    return worker.check(KEY, HOME).reason is Reason.STALE_DATA


def test_B11_a_removed_address_is_denied_at_the_edge_within_ten_seconds_also_after_a_killed_putter(
    machines: Fleet, worker: Engine
) -> None:
    with machines.store.change() as change:
        change.update_key(KEY, entries=["198.51.100.1"])
    wait_for(lambda: not worker.allows(KEY, HOME), 10)
    wait_for(lambda: worker.allows(KEY, "198.51.100.1"), 10)  # denied by its list, and not because all are
    assert worker.revision == change.revision
    machines.processes[0].kill()
    wait_for(lambda: is_stale(worker))
    assert machines.processes[1].poll() is None
    machines.follow()
    wait_for(lambda: worker.allows(KEY, "198.51.100.1"), 40)
    for process in machines.processes[1:]:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert "Traceback" not in machines.log


@pytest.mark.parametrize("machines", ["folder"], indirect=True)
def test_C19_no_bucket_and_a_pointer_put_back_by_hand_deny_at_the_edge_alone(machines: Fleet, worker: Engine) -> None:
    pointer, gone = Path(machines.url), machines.folder / "gone"
    older = pointer.read_bytes()
    os.rename(pointer.parent, gone)
    wait_for(lambda: is_stale(worker))
    local = Engine.open(machines.folder / "here.snap")
    assert local.check(KEY, HOME).reason is not Reason.STALE_DATA
    wait_for(lambda: not local.refresh() and local.age < OLDEST)
    wait_for(lambda: "the snapshot is not put on its shelf" in machines.log)
    assert "the snapshot is as old as it was: StoreError: there is no pointer" in machines.log
    os.rename(gone, pointer.parent)
    wait_for(lambda: worker.allows(KEY, HOME))

    with machines.store.change() as change:
        change.update_key(KEY, entries=["198.51.100.1"])
    wait_for(lambda: worker.revision == change.revision)
    machines.processes[0].kill()
    machines.processes[0].wait()
    content = machines.there.read_bytes()
    pointer.write_bytes(json.dumps({**json.loads(older), "current_at": time.time()}).encode())
    wait_for(lambda: is_stale(worker))
    wait_for(lambda: "older than generation 2 of" in machines.log)
    assert machines.there.read_bytes() == content


# -- The two carriers ---------------------------------------------------------


def saved(path: Path) -> Engine:
    engine = Engine(presets.bitbybit())
    engine.put_key(KEY, ["203.0.113.0/24"])
    engine.save(path)
    return engine


def revision_of(engine: Engine) -> Revision:
    assert engine.revision is not None
    return engine.revision


def test_a_pointer_is_renewed_without_reading_the_file(tmp_path: Path) -> None:
    engine, shelf = saved(tmp_path / "here.snap"), Shelf(f"{tmp_path}/keys.json")
    putter = Putter(shelf, str(tmp_path / "here.snap"))
    putter.step()
    assert shelf.pointer() is None  # nothing was noted yet
    putter.note(seconds_since_boot() - 3, revision_of(engine))
    putter.step()
    first = shelf.pointer()
    os.unlink(tmp_path / "here.snap")
    putter.note(seconds_since_boot(), revision_of(engine))
    putter.step()
    second = shelf.pointer()
    assert first is not None
    assert second is not None
    assert first.name == second.name
    assert 2 < second.current_at - first.current_at < 60


def test_a_file_of_a_stranger_is_not_put(tmp_path: Path) -> None:
    engine, shelf = saved(tmp_path / "here.snap"), Shelf(f"{tmp_path}/keys.json")
    putter = Putter(shelf, str(tmp_path / "here.snap"))
    putter.note(seconds_since_boot(), revision_of(engine))
    with Engine.edit(tmp_path / "here.snap") as other:
        other.put_key("stranger", ["203.0.113.9"])
    with pytest.raises(StoreError, match="the file is of generation 2"):
        putter.step()
    assert not putter.try_step()
    assert shelf.pointer() is None


def test_of_two_putters_the_pointer_says_the_younger_age_and_one_from_the_future_is_replaced(tmp_path: Path) -> None:
    now = [1_000.0]
    saved(tmp_path / "here.snap")
    shelf = Shelf(f"{tmp_path}/keys.json", clock=lambda: now[0])
    young = shelf.put(tmp_path / "here.snap", age=1.0)
    assert shelf.put(tmp_path / "here.snap", age=8.0) == shelf.renew(young, age=5.0) == young
    now[0] = 500.0
    older = shelf.renew(young, age=0.0)
    assert older is not None
    assert older.current_at == 500.0
    os.unlink(tmp_path / "keys.json")
    assert shelf.renew(young, age=0.0) is None


def test_two_putters_of_one_revision_put_the_same_object(tmp_path: Path) -> None:
    """One followed each change, the other read everything at once; else the takers would take one after the other."""
    store = Store.create(f"sqlite:///{tmp_path}/keys.db", policy=presets.bitbybit())
    first, second = StoreFollower(store, nudges=()), StoreFollower(store, nudges=())
    for number in range(4):
        with store.change() as change:
            change.put_keys({f"key_{3 - number}": ["203.0.113.0/24"], f"key_{number + 2}": ["192.0.2.1"]}, replace=True)
            change.put_list(f"list_{9 - number}", ["198.51.100.1"])
        first.refresh()
    second.refresh()
    first.engine.save(tmp_path / "first.snap")
    second.engine.save(tmp_path / "second.snap")
    assert (tmp_path / "first.snap").read_bytes() == (tmp_path / "second.snap").read_bytes()
    store.close()


def test_replaced_objects_go_after_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, shelf = saved(tmp_path / "here.snap"), Shelf(f"{tmp_path}/keys.json")
    putter = Putter(shelf, str(tmp_path / "here.snap"))
    clock = [10.0]
    monkeypatch.setattr("cidrmatch.service.stores.carrying.seconds_since_boot", lambda: clock[0])
    for number in range(3):
        engine.put_key(f"more_{number}", ["203.0.113.9"])
        engine.save(tmp_path / "here.snap")
        putter.note(clock[0], revision_of(engine))
        putter.step()
        clock[0] += 1
    assert len(list(tmp_path.glob("keys-*.snap"))) == 3
    clock[0] += 3_599
    putter.step()
    assert len(list(tmp_path.glob("keys-*.snap"))) == 2
    pointer = shelf.pointer()
    assert pointer is not None
    shelf.remove(pointer.name)  # what the pointer names stays
    assert (tmp_path / pointer.name).exists()


def test_C19_a_clock_that_was_set_back_does_not_make_an_old_pointer_young(tmp_path: Path) -> None:
    now = [1_000.0]
    saved(tmp_path / "here.snap")
    shelf = Shelf(f"{tmp_path}/keys.json", clock=lambda: now[0])
    shelf.put(tmp_path / "here.snap", age=0.0)
    told = list[Revision]()
    taker = Taker(shelf, str(tmp_path / "there.snap"), told.append)
    now[0] = 1_030.0
    taker.step()
    worker = Engine.open(tmp_path / "there.snap")
    assert 29 < worker.age < 60
    now[0] = 1_000.0
    taker.step()
    assert not worker.refresh()
    assert 29 < worker.age < 60
    assert len(told) == 1


def test_C19_a_taker_that_dies_before_its_heartbeat_leaves_no_file_that_looks_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "here.snap")
    shelf = Shelf(f"{tmp_path}/keys.json")
    shelf.put(tmp_path / "here.snap", age=0.0)
    taker = Taker(shelf, str(tmp_path / "there.snap"), lambda _revision: None)
    monkeypatch.setattr(shelf, "age_of", lambda _pointer: 1 / 0)
    assert not taker.try_step()
    assert Engine.open(tmp_path / "there.snap").age > 1e8
    os.unlink(heartbeat_path(tmp_path / "there.snap"))
    taker.try_step()  # a file that is there already may be somebody else's
    assert not os.path.exists(heartbeat_path(tmp_path / "there.snap"))


# -- The commands -------------------------------------------------------------


def commands() -> CliRunner:
    with suppress(Exception):
        app.command("take")(take)
        app.command("fleet")(fleet)
    return CliRunner()


@pytest.fixture
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_take_once(tmp_path: Path) -> None:
    url, there = f"{tmp_path}/keys.json", str(tmp_path / "there.snap")
    assert commands().invoke(app, ["take", url, "--snapshot", there, "--once"]).exit_code == 1
    saved(tmp_path / "here.snap")
    Shelf(url).put(tmp_path / "here.snap", age=0.0)
    done = commands().invoke(app, ["take", url, "--snapshot", there, "--once"])
    assert (done.exit_code, done.stdout) == (0, f"accepted: {there} is at revision 1\n")
    assert Engine.open(there).age < 60


def test_a_shelf_that_is_none_and_an_extra_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = commands().invoke(app, ["take", f"{tmp_path}/keys.snap", "--snapshot", "x", "--once"])
    assert done.exit_code == 2
    assert "ends in .json" in done.stderr
    monkeypatch.setitem(sys.modules, "fsspec.config", None)
    done = commands().invoke(app, ["take", f"{tmp_path}/keys.json", "--snapshot", "x", "--once"])
    assert done.exit_code == 2
    assert "pip install 'cidrmatch[fleet]'" in done.stderr


def test_fleet_tells_who_lags_and_who_was_not_seen(tmp_path: Path) -> None:
    url, now = f"sqlite:///{tmp_path}/keys.db", [1_700_000_000.0]
    store = Store.create(url, policy=presets.bitbybit(), clock=lambda: now[0])

    def asked(*words: str, code: int) -> Any:
        done = commands().invoke(app, ["fleet", "--url", url, *words])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in words else done.stdout

    assert "nobody reports that it follows this store" in asked(code=1)
    with store.change() as change:
        change.put_key(KEY, ["203.0.113.0/24"])
    old = change.revision
    now[0] = time.time()
    with store.change() as change:
        change.put_key("key_2", ["203.0.113.0/24"])
    new, seen = change.revision, store.now().isoformat()
    assert old is not None
    assert new is not None
    rows = [("current", new, seen), ("lagging", Revision(old.epoch, 0), seen), ("late", old, seen)]
    rows += [("gone", new, "2020-01-01T00:00:00+00:00"), ("other", Revision(old.epoch - 1, 9), seen)]

    def report(*rows: tuple[str, Revision, str]) -> None:
        with store.database.writing() as connection:
            connection.execute(delete(readers))
            for name, revision, at in rows:
                values = {"epoch": revision.epoch, "number": revision.generation, "seen_at": at}
                connection.execute(insert(readers).values(tenant=1, name=name, **values))

    report(*rows)
    said = asked("--json", "--max-age", "300", code=1)
    assert {row["name"]: row["late"] for row in said["readers"]} == {
        "current": None, "late": None, "lagging": "lags", "gone": "not seen", "other": "another history",
    }  # fmt: skip
    assert (said["ok"], said["revision"]) == (False, 2)
    shown = asked("--max-age", "300", code=1)
    assert "suspicious: 3 readers are late" in shown
    assert "another history" in shown
    report(*rows[:1], rows[2])
    shown = asked("--max-age", "300", code=0)
    assert "clean: 2 readers, nobody is late" in shown
    assert "1 since" in shown
    store.close()
