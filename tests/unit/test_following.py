"""Followers: nothing but `stop` ends one, and whatever goes wrong with the file is seen by the age of the data.

Requirements: B2, B5, C19 (a removed address is denied within the bound, or everybody is), C23.
"""

import errno
import logging
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cidrmatch import Engine, Reason, SnapshotError
from cidrmatch._keys import block_file as snapshot_room
from cidrmatch._keys.block_file import open_block
from cidrmatch.advice.explain import explain
from cidrmatch.engine.following import Freshness, seconds_since_boot

HOME, ELSEWHERE = "203.0.113.5", "192.0.2.1"
QUICK = 0.005


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A snapshot with two keys."""
    engine = Engine(unknown_key="pass")
    engine.put_keys([("key", [HOME]), ("revoked", [HOME])])
    engine.put_key("free")
    engine.save(tmp_path / "keys.snap")
    return tmp_path / "keys.snap"


@pytest.fixture
def reader(path: Path) -> Iterator[Engine]:
    """An engine of that file; its follower is stopped at the end."""
    engine = Engine.open(path)
    yield engine
    if engine._follower is not None:
        engine._follower.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def revoke(path: Path) -> None:
    with Engine.edit(path) as engine:
        if has(engine, "revoked"):
            engine.remove_key("revoked")
            engine.put_key("revoked", [ELSEWHERE])


def has(engine: Engine, key: str) -> bool:
    return engine.view.rule(key) is not None


def edit(path: Path, key: str) -> None:
    with Engine.edit(path) as engine:
        engine.put_key(key, [HOME])


# Age


def test_age_is_that_of_the_last_look_that_succeeded(path: Path, reader: Engine) -> None:
    assert Engine().age == 0.0
    time.sleep(0.05)
    assert 0.05 <= reader.age < 10
    reader.refresh()
    assert reader.age < 0.05
    whole = path.read_bytes()
    newer = path.with_name("newer.snap")
    newer.write_bytes(whole)
    edit(newer, "more")
    newer.replace(path)
    assert reader.refresh()
    began = time.monotonic()
    for damage in (
        path.unlink,
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(whole[:100]),
        lambda: path.write_bytes(whole[:-1]),
        lambda: path.write_bytes(bytes(len(whole))),
        lambda: path.write_bytes(whole),  # rolled back
    ):
        damage()
        with pytest.raises((SnapshotError, OSError)):
            reader.refresh()
    assert reader.age >= time.monotonic() - began
    assert has(reader, "more")


def test_a_writer_that_saves_is_current(path: Path) -> None:
    engine = Engine.open(path)
    time.sleep(0.1)
    engine.put_key("more", [HOME])
    assert engine.age >= 0.1
    engine.save(path)
    assert engine.age < 0.1


# Stale data


def assert_everybody_is_denied(engine: Engine) -> None:
    for key in ("key", "free", "revoked", "nobody put it"):
        for address in (HOME, ELSEWHERE, None):
            assert engine.allows(key, address) is False
            decision = engine.check(key, address)
            assert (decision.allowed, decision.reason, decision.state) == (False, Reason.STALE_DATA, None)
            assert decision.to_dict()["reason"] == "stale_data"
            assert decision.response().status in (401, 403)
            assert decision.entry is None
    assert engine.allows_many(["key", "free", "nobody"], [HOME] * 3) == b"\0\0\0"
    assert engine.allows_many([], []) == b""
    out = bytearray(b"\1\1")
    assert engine.allows_many(["key", "free"], [HOME] * 2, out=out) == b"\0\0"
    for question in (engine.allows, engine.check):
        with pytest.raises(TypeError):
            question(b"key", HOME)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        engine.allows_many([None], [HOME])  # type: ignore[list-item]


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("is_enforced", [True, False])
def test_C19_data_that_is_too_old_denies_everybody_until_a_look_succeeds(
    path: Path, caplog: pytest.LogCaptureFixture, is_stored: bool, is_enforced: bool
) -> None:
    reader = Engine(unknown_key="pass")
    reader.put_keys([("key", [HOME]), ("revoked", [HOME]), ("free", [])])
    reader.set_enforced(is_enforced)
    reader.save(path, replace=True)
    if is_stored:
        reader = Engine.open(path)
    stop = reader.follow(QUICK, max_age=0.2)
    assert reader.allows("key", HOME)
    hidden = path.with_name("hidden")
    path.rename(hidden)
    assert reader.allows("key", HOME), "not at once"
    wait_for(lambda: reader.is_stale)
    assert reader.age >= 0.2
    assert_everybody_is_denied(reader)
    wait_for(lambda: "every check is denied" in caplog.text)
    explanation = explain(reader, "key", HOME)
    assert explanation.decision.reason is Reason.STALE_DATA
    assert "too old" in str(explanation)
    hidden.rename(path)
    wait_for(lambda: not reader.is_stale)
    assert reader.allows("key", HOME)
    stop()


def test_C19_the_watchdog_needs_no_look(
    path: Path, reader: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The look hangs, as on a file system whose server is gone."""
    goes_on = threading.Event()
    monkeypatch.setattr(Engine, "refresh", lambda *_, **__: goes_on.wait(30))
    stop = reader.follow(QUICK, max_age=0.1)
    wait_for(lambda: reader.is_stale)
    assert_everybody_is_denied(reader)
    goes_on.set()
    stop()


def test_a_look_that_took_too_long_is_not_believed(reader: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real, waits = snapshot_room.identify, threading.Event()

    def slow(name: object) -> object:
        waits.wait(30)
        return real(name)  # type: ignore[arg-type]

    monkeypatch.setattr("cidrmatch.engine.engine.identify", slow)
    reader.follow(10.0, max_age=10.2)
    reader._freshness._max_age = 0.1
    reader._freshness.judge(-1.0, denies=True)
    time.sleep(0.2)
    waits.set()
    time.sleep(0.1)
    assert reader.is_stale


def test_stale_data_is_served_where_that_is_wanted(
    path: Path, reader: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    reader.follow(QUICK, max_age=0.1, when_stale="serve")
    path.unlink()
    wait_for(lambda: "it is served all the same" in caplog.text)
    assert caplog.text.count("it is served all the same") == 1
    assert reader.allows("key", HOME)
    assert reader.age >= 0.1


def test_after_stop_stale_data_stays_denied_until_a_refresh_succeeds(path: Path, reader: Engine) -> None:
    stop = reader.follow(QUICK, max_age=0.1)
    hidden = path.with_name("hidden")
    path.rename(hidden)
    wait_for(lambda: reader.is_stale)
    stop()
    stop()
    assert not reader.allows("key", HOME)
    with pytest.raises(FileNotFoundError):
        reader.refresh()
    assert not reader.allows("key", HOME)
    hidden.rename(path)
    reader.refresh()
    assert reader.allows("key", HOME)


def test_a_later_follower_takes_the_place_of_an_earlier_one(path: Path, reader: Engine) -> None:
    stop_first = reader.follow(QUICK, max_age=0.1)
    reader.follow(QUICK)
    path.unlink()
    time.sleep(0.3)
    assert reader.allows("key", HOME), "nobody asks for an age any more"
    stop_first()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": 0}, "so many seconds"),
        ({"seconds": float("nan")}, "so many seconds"),
        ({"seconds": True}, "so many seconds, not True"),
        ({"seconds": 0.5, "max_age": True}, "larger than the 0.5 seconds between two looks, not True"),
        ({"seconds": 2.0, "max_age": 1.0}, "larger than"),
        ({"seconds": 2.0, "max_age": float("nan")}, "larger than"),
        ({"when_stale": "allow"}, "'deny' or 'serve'"),
    ],
)
def test_a_follower_that_makes_no_sense_is_refused(reader: Engine, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reader.follow(**arguments)  # type: ignore[arg-type]


# Nothing but stop ends a follower


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(), ValueError("cannot mmap an empty file"), KeyboardInterrupt(), SystemExit(1),
        OSError(errno.EIO, "Input/output error"), RecursionError(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_a_look_raises_the_next_one_is_made(
    path: Path, reader: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    raised = []

    def fail(name: object) -> object:
        raised.append(name)
        raise error

    stop = reader.follow(QUICK)
    monkeypatch.setattr("cidrmatch.engine.engine.identify", fail)
    wait_for(lambda: len(raised) > 3)
    monkeypatch.undo()
    revoke(path)
    wait_for(lambda: not reader.allows("revoked", HOME))
    stop()
    assert caplog.text.count("stays at generation") == 1, "once"


def test_not_even_a_log_that_raises_ends_it(path: Path, reader: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise MemoryError

    handler = Broken()
    logging.getLogger("cidrmatch").addHandler(handler)
    try:
        reader.follow(QUICK, max_age=0.1)
        hidden = path.with_name("hidden")
        path.rename(hidden)
        wait_for(lambda: reader.is_stale)
        hidden.rename(path)
        wait_for(lambda: not reader.is_stale)
    finally:
        logging.getLogger("cidrmatch").removeHandler(handler)


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("left", [0, 100])
def test_a_file_cut_short_between_its_stat_and_its_reading_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, copied: bool, left: int
) -> None:
    real = snapshot_room._identity

    def identify_and_cut(descriptor: int) -> object:
        found = real(descriptor)
        os.truncate(path, left)
        return found

    monkeypatch.setattr(snapshot_room, "_identity", identify_and_cut)
    with pytest.raises(SnapshotError, match="became shorter"):
        open_block(path, copy=copied)


def test_a_follower_survives_chdir(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    reader = Engine.open("keys.snap")
    stop = reader.follow(QUICK)
    os.chdir(tmp_path / "elsewhere")
    try:
        revoke(path)
        wait_for(lambda: not reader.allows("revoked", HOME))
    finally:
        stop()


def test_a_small_file_may_be_written_over_in_place(path: Path, tmp_path: Path) -> None:
    """What `cp` and `rsync --inplace` do, and `truncate`: nobody is ended by SIGBUS, nobody asks half a file."""
    newer = tmp_path / "newer.snap"
    shutil.copy(path, newer)
    revoke(newer)
    reader = Engine.open(path)
    stop = reader.follow(QUICK)
    try:
        os.truncate(path, 0)
        time.sleep(0.05)
        assert reader.allows("revoked", HOME)
        assert reader.age > 0
        shutil.copyfile(newer, path)
        wait_for(lambda: not reader.allows("revoked", HOME))
        with open(path, "r+b") as file:  # byte by byte, as slow as can be
            for byte in newer.read_bytes():
                file.write(bytes([byte ^ 1]))
                file.flush()
        assert reader.allows("key", HOME)
        assert not reader.allows("revoked", HOME)
    finally:
        stop()


def test_a_file_written_over_in_place_within_one_tick_of_the_clock_is_seen(path: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.snap"
    shutil.copy(path, newer)
    with Engine.edit(newer) as engine:
        engine.update_key("revoked", entries=[ELSEWHERE])
    assert newer.stat().st_size == path.stat().st_size
    os.utime(path, ns=(5, 5))
    reader = Engine.open(path)
    shutil.copyfile(newer, path)
    os.utime(path, ns=(5, 5))
    assert reader.refresh()
    assert not reader.allows("revoked", HOME)


# Fork


def in_child(act: Callable[[], object]) -> object:
    """What a forked child makes of it, in ten seconds at most."""
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[object] = context.Queue()
    child = context.Process(target=lambda: queue.put(act()))
    child.start()
    try:
        return queue.get(timeout=20)
    finally:
        child.kill()
        child.join()


def test_a_follower_starts_again_in_a_forked_child(path: Path, reader: Engine) -> None:
    stop = reader.follow(QUICK, max_age=1.0)
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[object] = context.Queue()

    def act() -> None:
        names = {thread.name for thread in threading.enumerate()}
        queue.put(names >= {"cidrmatch-follow", "cidrmatch-watch"})
        wait_for(lambda: not reader.allows("revoked", HOME))
        queue.put(reader.check("revoked", ELSEWHERE).reason)
        reader._follower.stop()  # type: ignore[union-attr]

    child = context.Process(target=act)
    child.start()
    try:
        assert queue.get(timeout=20) is True
        revoke(path)
        assert queue.get(timeout=20) is Reason.MATCHED
        child.join(20)
        assert child.exitcode == 0
        wait_for(lambda: not reader.allows("revoked", HOME))
    finally:
        child.kill()
        child.join()
        stop()
    assert in_child(lambda: "cidrmatch-follow" in {thread.name for thread in threading.enumerate()}) is False


def test_a_child_forked_while_another_thread_commits_can_change_its_engine() -> None:
    engine = Engine()
    is_inside, may_end = threading.Event(), threading.Event()

    def commit() -> None:
        with engine.transaction() as transaction:
            transaction.put_key("slow", [HOME])
            is_inside.set()
            may_end.wait(60)

    writer = threading.Thread(target=commit)
    writer.start()
    is_inside.wait(20)

    def change() -> object:
        engine.put_key("child", [HOME])
        engine.fold()
        return engine.keys()

    try:
        assert in_child(change) == ["child"]
    finally:
        may_end.set()
        writer.join()
    assert engine.keys() == ["slow"]


def test_a_child_forked_while_another_thread_saves_can_save(path: Path, tmp_path: Path) -> None:
    is_inside, may_end = threading.Event(), threading.Event()

    def slowly() -> None:
        with Engine.edit(path) as engine:
            engine.put_key("parent", [HOME])
            is_inside.set()
            may_end.wait(60)

    writer = threading.Thread(target=slowly)
    writer.start()
    is_inside.wait(20)
    copy = tmp_path / "copy.snap"

    def save() -> object:
        engine = Engine.open(path)
        engine.put_key("child", [HOME])
        engine.save(copy)
        return engine.keys()

    try:
        assert in_child(save) == ["child", "free", "key", "revoked"]
    finally:
        may_end.set()
        writer.join()
    assert has(Engine.open(path), "parent")


def test_a_child_does_not_have_its_parents_lock(path: Path) -> None:
    """It neither saves under it nor unlocks it, and does not keep it when the parent is gone."""
    with Engine.edit(path) as engine:
        engine.put_key("parent", [HOME])

        def act() -> object:
            try:
                engine.save(path)
            except Exception as error:
                return str(error)
            return "saved"

        assert "belongs to the process" in str(in_child(act))
        with pytest.raises(TimeoutError), Engine.edit(path, timeout=0.05):
            raise AssertionError("the child unlocked it")
    assert has(Engine.open(path), "parent")


def test_a_look_that_ends_late_never_makes_the_data_older() -> None:
    """Two looks overlap: the one that began later has ended, and then the earlier one does."""
    now = seconds_since_boot()
    freshness = Freshness(Engine(), now - 100)
    freshness.note(now - 10)
    freshness.note(now - 50)
    assert 10 <= freshness.age < 40
