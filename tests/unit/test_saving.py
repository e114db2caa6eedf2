"""Saving over somebody, and over nobody: which file an engine stands on, who may replace it, and what is kept of it.

Requirements: B2, B5 (a revoked address stays revoked, whoever saves what), C19.
"""

import errno
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import (
    CidrmatchError,
    Conflict,
    Engine,
    EngineError,
    KeyStore,
    LockTimeout,
    NotFlushed,
    Revision,
    SnapshotError,
)
from cidrmatch._keys import View
from cidrmatch._keys.block_file import content_at, drawn_epoch
from cidrmatch._keys.store import Builder
from cidrmatch.engine.file_lock import FileLock
from cidrmatch.engine.revisions import Known, next_revision
from cidrmatch.engine.snapshots import snapshot_of

HOME, ELSEWHERE = "203.0.113.5", "192.0.2.1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A snapshot with two keys."""
    engine = Engine()
    engine.put_keys([("key", [HOME]), ("revoked", [HOME])])
    engine.save(tmp_path / "keys.snap")
    return tmp_path / "keys.snap"


# Where two ways meet


def test_B2_an_edit_saves_the_file_that_it_locked_wherever_the_process_goes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(path.parent)
    with Engine.edit(path.name) as engine:
        engine.remove_key("revoked")
        os.chdir(elsewhere)
    assert os.listdir(elsewhere) == []
    assert not Engine.open(path).allows("revoked", HOME)


def test_B2_copies_that_reached_one_revision_by_different_ways_are_not_taken_for_each_other(path: Path) -> None:
    """Both are of one epoch and one number: what they say is compared, too."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    reader = Engine.open(path)
    with Engine.edit(path) as engine:
        engine.remove_key("revoked")
    with Engine.edit(copy) as engine:
        engine.put_key("new", [HOME])
    engine = Engine.open(copy)
    assert engine.revision == content_at(path)[0]
    with pytest.raises(Conflict):
        engine.save(path)
    engine.put_key("newer", [HOME])
    with pytest.raises(Conflict):
        engine.save(path)
    assert reader.refresh()
    assert not reader.allows("revoked", HOME)


def test_B2_a_file_that_is_gone_for_a_moment_is_not_made_anew_of_old_data(path: Path) -> None:
    worker = Engine.open(path)
    for number in range(4):
        worker.put_key(f"new {number}", [HOME])
    with Engine.edit(path) as engine:
        engine.remove_key("revoked")
    reader = Engine.open(path)
    os.rename(path, path.with_name("elsewhere"))
    with pytest.raises(Conflict, match="gone"):
        worker.save(path)
    assert not path.exists()
    os.rename(path.with_name("elsewhere"), path)
    assert not reader.refresh()
    os.remove(path)
    worker.save(path, replace=True)
    assert reader.refresh(), "said aloud, it is a later history"


def test_B2_a_look_during_a_save_never_makes_old_data_the_newest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Engine.open(path)
    with Engine.edit(path) as engine:
        engine.remove_key("revoked")

    def beside_a_look(view: View) -> KeyStore:
        worker.refresh()
        return snapshot_of(view)

    monkeypatch.setattr("cidrmatch.engine.engine.snapshot_of", beside_a_look)
    with pytest.raises(Conflict):
        worker.save(path)
    assert not Engine.open(path).allows("revoked", HOME)
    assert not worker.allows("revoked", HOME)


def test_C19_a_look_that_fails_half_way_moves_nothing_and_the_next_one_works(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Engine.open(path)
    with Engine.edit(path) as engine:
        engine.remove_key("revoked")
    with monkeypatch.context() as patch:
        patch.setattr(
            "cidrmatch.engine.engine.dataclasses.replace", lambda *_, **__: (_ for _ in ()).throw(MemoryError())
        )
        with pytest.raises(MemoryError):
            worker.refresh()
    assert worker.allows("revoked", HOME)
    assert worker.refresh()
    assert not worker.allows("revoked", HOME)


def test_C19_a_child_that_was_forked_between_two_references_reads_the_file_again(path: Path) -> None:
    worker = Engine.open(path)
    old = worker.view
    with Engine.edit(path) as engine:
        engine.remove_key("revoked")
    assert worker.refresh()
    worker.view = old  # what such a child would have
    assert worker.refresh()
    assert not worker.allows("revoked", HOME)


def test_a_save_that_fails_leaves_no_changes_that_do_not_exist(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Engine.open(path)
    with Engine.edit(path) as engine:
        engine.remove_key("revoked")

    def on_a_full_disk(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr("cidrmatch.engine.engine.save_block", on_a_full_disk)
        with pytest.raises(OSError, match="no space"):
            worker.save(path, replace=True)
    assert worker.refresh()
    assert not worker.allows("revoked", HOME)


def test_a_waiter_that_cannot_start_leaves_no_file_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with FileLock(str(path), None):
        open_files = set(os.listdir("/proc/self/fd"))
        monkeypatch.setattr(threading.Thread, "start", cannot_start)
        with pytest.raises(RuntimeError, match="start"), FileLock(str(path), 1.0):
            pass
        assert set(os.listdir("/proc/self/fd")) == open_files


# An engine stands on the file that it wrote


def test_a_worker_that_edits_and_saves_follows_again(path: Path) -> None:
    worker, other = Engine.open(path), Engine.open(path)
    worker.update_key("key", entries=[ELSEWHERE])
    worker.save(path)
    assert not worker.refresh(), "its own file is no news"
    assert other.refresh()
    other.update_key("revoked", entries=[ELSEWHERE])
    other.save(path)
    assert worker.refresh()
    assert not worker.allows("revoked", HOME)
    assert not worker.refresh()


def test_a_new_engine_stands_on_the_file_that_it_was_first_saved_to(tmp_path: Path) -> None:
    engine = Engine()
    assert engine.revision is None
    engine.put_key("key", [HOME])
    engine.save(tmp_path / "keys.snap")
    assert engine.revision == content_at(tmp_path / "keys.snap")[0]
    with Engine.edit(tmp_path / "keys.snap") as other:
        other.remove_key("key")
    assert engine.refresh()
    assert not engine.allows("key", HOME)


def test_a_copy_at_another_path_leaves_the_engine_where_it_stands(path: Path, tmp_path: Path) -> None:
    engine = Engine.open(path)
    for number in range(3):
        engine.put_key(f"more {number}", [HOME])
        engine.save(tmp_path / "copy.snap")
        assert Engine.open(tmp_path / "copy.snap").keys() == engine.keys()
    assert (engine.revision, Engine.open(path).keys()) == (content_at(path)[0], ["key", "revoked"])
    engine.save(path)
    os.replace(tmp_path / "copy.snap", path)
    assert not engine.refresh(), "the copy says the same"


def test_what_did_not_change_is_saved_as_it_was(path: Path) -> None:
    before = path.read_bytes()
    reader, engine = Engine.open(path), Engine.open(path)
    for _ in range(2):
        engine.save(path)
    assert path.read_bytes() == before
    assert not reader.refresh()
    assert (reader.age < 5, engine.version) == (True, reader.version)


def test_what_another_program_wrote_in_another_way_is_a_new_generation(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same data, but other bytes: under the same revision its readers would refuse it for ever."""
    reader, engine = Engine.open(path), Engine.open(path)

    def canonical_of_a_later_release(view: View) -> KeyStore:
        store = snapshot_of(view)
        builder = Builder()
        builder.copy(store, (), in_order=True)
        return builder.build(lists=store.lists, about=store.about + b" ")

    monkeypatch.setattr("cidrmatch.engine.engine.snapshot_of", canonical_of_a_later_release)
    engine.save(path)
    assert reader.refresh()
    assert reader.keys() == ["key", "revoked"]
    assert not engine.refresh()


def test_versions_never_lie_behind_the_generation_and_never_go_back(path: Path) -> None:
    engine = Engine.open(path)
    for _ in range(5):
        engine.put_key("more", [HOME], replace=True)
    engine.save(path)
    fresh = Engine()
    fresh.save(path, replace=True)
    assert fresh.revision is not None
    assert fresh.version == fresh.revision.generation == 7
    path.unlink()
    time.sleep(0.02)
    newest = Engine()
    newest.save(path)  # nobody can know how far the others were: a new epoch says that it is later
    version = engine.version
    assert engine.refresh()
    assert (engine.version, engine.keys()) == (version + 1, [])


# Lost updates


def test_of_two_workers_that_save_the_second_is_refused(path: Path) -> None:
    first, second = Engine.open(path), Engine.open(path)
    first.update_key("revoked", entries=[ELSEWHERE])
    second.update_key("key", entries=[ELSEWHERE])
    first.save(path)
    with pytest.raises(Conflict, match="replace=True"):
        second.save(path)
    assert not Engine.open(path).allows("revoked", HOME)
    with pytest.raises(Conflict, match=r"discard_changes=True.*replace=True"):
        second.refresh()
    assert second.refresh(discard_changes=True)
    assert not second.allows("revoked", HOME)
    assert second.allows("key", HOME), "its own change was discarded"
    second.update_key("key", entries=[ELSEWHERE])
    second.save(path)
    assert first.refresh()


def test_a_forced_save_begins_a_history_that_readers_go_over_to(path: Path) -> None:
    reader, loser, winner = (Engine.open(path) for _ in range(3))
    for number in range(9):
        loser.put_key(f"more {number}", [HOME])
    loser.save(path)
    assert reader.refresh()
    winner.remove_key("revoked")
    winner.save(path, replace=True)
    assert reader.refresh()
    assert not reader.allows("revoked", HOME)
    with pytest.raises(Conflict):
        loser.save(path)


def test_a_writer_that_starts_anew_is_not_ignored(path: Path) -> None:
    """It does not know how far its predecessor was, and its readers follow all the same."""
    for _ in range(5):
        with Engine.edit(path) as engine:
            engine.put_key("more", [HOME], replace=True)
    reader = Engine.open(path)
    restarted = Engine()
    restarted.put_key("key", [HOME])
    with pytest.raises(Conflict, match="stands on no file"):
        restarted.save(path)
    assert reader.allows("revoked", HOME)
    restarted.save(path, replace=True)
    assert reader.refresh()
    assert not reader.allows("revoked", HOME)


def test_a_damaged_file_is_replaced_on_demand_only(path: Path) -> None:
    engine = Engine.open(path)
    engine.remove_key("revoked")
    path.write_bytes(b"junk" * 50)
    with pytest.raises(Conflict, match="damaged"):
        engine.save(path)
    engine.save(path, replace=True)
    assert Engine.open(path).keys() == ["key"]


def test_edits_in_two_threads_lose_nothing(path: Path) -> None:
    def edit(name: str) -> None:
        for number in range(20):
            with Engine.edit(path) as engine:
                engine.put_key(f"{name} {number}", [HOME])

    threads = [threading.Thread(target=edit, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Engine.open(path).keys()) == 2 + 40


def edit_and_fail(path: Path) -> None:
    with Engine.edit(path) as engine:
        engine.remove_key("key")
        raise ZeroDivisionError


def test_an_edit_that_fails_saves_nothing_and_unlocks(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        edit_and_fail(path)
    assert path.read_bytes() == before
    with Engine.edit(path, timeout=1) as engine:
        engine.remove_key("revoked")
        engine.save(path)  # inside is no deadlock
        engine.remove_key("key")
    assert Engine.open(path).keys() == []
    engine.put_key("after", [HOME])  # the engine goes on
    engine.save(path)


def test_who_waits_too_long_for_another_writer_is_told(path: Path) -> None:
    with FileLock(os.path.realpath(path), None):
        began = time.monotonic()
        with pytest.raises(LockTimeout, match="another writer"), Engine.edit(path, timeout=0.1):
            raise AssertionError("never entered")
        with pytest.raises(EngineError), Engine.edit(path, timeout=0):
            raise AssertionError("never entered")
        with pytest.raises(TimeoutError):
            Engine.open(path).save(path, timeout=0.1)
        assert time.monotonic() - began < 10
    for _ in range(3):  # those who gave up let go of it
        with Engine.edit(path, timeout=10) as engine:
            engine.put_key("more", [HOME], replace=True)


def test_a_lock_file_that_is_removed_leaves_one_writer_at_a_time(path: Path) -> None:
    target = os.path.realpath(path)
    first = FileLock(target, None)
    waits = threading.Thread(target=lambda: FileLock(target, 30).__enter__().__exit__(None, None, None))
    with first:
        waits.start()
        time.sleep(0.05)
        os.unlink(first.path)
        with FileLock(target, 1):
            pass
    waits.join(30)
    assert not waits.is_alive()


# Changes of one's own


@pytest.mark.parametrize("is_folded", [False, True])
def test_B2_refresh_never_drops_a_change_that_was_folded(path: Path, is_folded: bool) -> None:
    engine = Engine.open(path)
    engine.remove_key("revoked")
    if is_folded:
        engine.fold()
    for _ in range(3):
        with Engine.edit(path) as other:
            other.put_key("more", [HOME], replace=True)
    with pytest.raises(Conflict, match="changes of its own"):
        engine.refresh()
    assert not engine.allows("revoked", HOME)


@pytest.mark.parametrize("is_folded", [False, True])
def test_a_change_that_was_taken_back_is_a_change(path: Path, is_folded: bool) -> None:
    engine = Engine.open(path)
    engine.put_key("more", [HOME], replace=True)
    engine.remove_key("more")
    engine.set_enforced(True)
    if is_folded:
        engine.fold()
    with Engine.edit(path) as other:
        other.put_key("other", [HOME])
    with pytest.raises(Conflict):
        engine.refresh()


# Equal revisions, older ones


def test_an_equal_revision_with_other_content_is_refused(path: Path, tmp_path: Path) -> None:
    reader, engine = Engine.open(path), Engine.open(path)
    engine.remove_key("revoked")
    engine.save(tmp_path / "one")
    with Engine.edit(path) as other:
        other.put_key("more", [HOME], replace=True)
    assert reader.refresh()
    assert content_at(tmp_path / "one")[0] == reader.revision
    os.replace(tmp_path / "one", path)
    with pytest.raises(SnapshotError, match="the same revision with other content"):
        reader.refresh()
    assert reader.keys() == ["key", "more", "revoked"]


def test_an_epoch_counts_before_a_generation(path: Path, tmp_path: Path) -> None:
    old = path.read_bytes()
    Engine().save(path, replace=True)
    reader = Engine.open(path)
    path.write_bytes(old)
    with pytest.raises(SnapshotError, match="older"):
        reader.refresh()
    assert reader.keys() == []


KNOWN = st.builds(Known, st.builds(Revision, st.integers(1, 3), st.integers(0, 5)), st.integers(0, 8), st.just(7))


@given(
    there=st.one_of(st.none(), st.just("junk"), st.builds(Revision, st.integers(1, 3), st.integers(0, 5))),
    known=st.none() | KNOWN,
    base=st.none() | KNOWN,
    more=st.integers(0, 3),
    content=st.sampled_from([7, 7, 8]),
    replace=st.booleans(),
)
def test_whatever_is_saved_is_later_than_what_was_there(
    there: Revision | str | None, known: Known | None, base: Known | None, more: int, content: int, replace: bool
) -> None:
    version = max(one.version for one in (known, base, Known(Revision(0, 0), 0, 0)) if one is not None) + more
    mine = [one for one in (known, base) if one is not None]
    is_mine = known is None if there is None else content == 7 and there in [one.revision for one in mine]
    if not is_mine and not replace:
        with pytest.raises(Conflict):
            next_revision(there, content, known, base, version, 7, replace=replace)
        return
    found = next_revision(there, content, known, base, version, 7, replace=replace)
    same_data = [one.revision for one in mine if one.version == version]
    if isinstance(there, Revision):
        assert found > there or (found == there and there in same_data and content == 7)
        assert found.generation > there.generation or found == there
    assert found in same_data or found.generation >= version or found.epoch > 3


OPERATIONS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["change", "save", "force", "refresh", "discard", "fold"])),
    max_size=14,
)


@given(operations=OPERATIONS)
def test_no_sequence_of_saves_loses_what_was_saved_unless_told_so(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("saves") / "keys.snap"
    Engine().save(path)
    engines, reader = [Engine.open(path) for _ in range(3)], Engine.open(path)
    saved, last = set[str](), reader.revision
    for step, (number, what) in enumerate(operations):
        engine = engines[number]
        before = set(engine.keys())
        if what == "change":
            engine.put_key(f"{number} {step}", [HOME])
        elif what == "fold":
            engine.fold()
        elif what in ("save", "force"):
            try:
                engine.save(path, replace=what == "force")
            except Conflict:
                assert what == "save"
                continue
            assert what == "force" or saved <= before, "an edit was lost"
            now = engine.revision
            assert last is not None
            assert now is not None
            assert now > last or (now == last and saved == before)
            saved, last = before, now
            reader.refresh()
            assert set(reader.keys()) == saved
        else:
            try:
                engine.refresh(discard_changes=what == "discard")
            except Conflict:
                assert what == "refresh"
                assert set(engine.keys()) == before
                continue
            assert set(engine.keys()) in (before, saved)
            assert what == "refresh" or set(engine.keys()) == saved


# What is kept of the file that is replaced


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_the_mode_of_a_file_stays_and_a_new_one_is_for_its_owner_alone(tmp_path: Path, mode: int) -> None:
    old_mask = os.umask(0)
    try:
        engine, path = Engine(), tmp_path / "keys.snap"
        engine.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(mode)
        engine.put_key("key", [HOME])
        engine.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        engine.save(path, mode=0o604)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
        Engine().save(tmp_path / "other.snap", mode=0o640)
        assert stat.S_IMODE((tmp_path / "other.snap").stat().st_mode) == 0o640
    finally:
        os.umask(old_mask)


def test_a_symbolic_link_stays_one_and_leads_to_the_new_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "current.snap"
    link.symlink_to("../keys.snap")
    engine = Engine.open(link)
    engine.remove_key("revoked")
    engine.save(link)
    assert link.is_symlink()
    assert Engine.open(path).keys() == ["key"]
    assert os.listdir(tmp_path / "links") == ["current.snap"]
    assert not Engine.open(path).refresh()
    with Engine.edit(path) as other:
        other.put_key("more", [HOME], replace=True)
    assert engine.refresh()
    (tmp_path / "next.snap").write_bytes(path.read_bytes())
    with Engine.edit(tmp_path / "next.snap") as other:
        other.remove_key("more")
    link.unlink()
    link.symlink_to("../next.snap")
    assert engine.refresh(), "a link may be moved to a later file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_of_a_file_stays(path: Path) -> None:
    os.chown(path, 12345, 23456)
    with Engine.edit(path) as engine:
        engine.remove_key("revoked")
    found = path.stat()
    assert (found.st_uid, found.st_gid) == (12345, 23456)


def test_an_owner_that_cannot_be_kept_is_an_error_and_nothing_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    engine = Engine.open(path)
    engine.remove_key("revoked")
    before, real = path.read_bytes(), os.stat

    def stat_of_another(name: str, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(name, follow_symlinks=follow_symlinks)
        if name != os.path.realpath(path):
            return found
        return os.stat_result([value + (at == stat.ST_UID) for at, value in enumerate(found)])

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "stat", stat_of_another)
    with pytest.raises(PermissionError, match="belongs to user"):
        engine.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert {found.name for found in path.parent.iterdir()} == {"keys.snap", ".keys.snap.lock"}
    engine.save(path)


def test_a_directory_that_cannot_be_flushed_is_an_error_that_says_what_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, real = Engine.open(path), os.fsync
    engine.remove_key("revoked")

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotFlushed, match="in its place") as caught:
        engine.save(path)
    monkeypatch.undo()
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, CidrmatchError)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, os.path.realpath(path))
    assert Engine.open(path).keys() == ["key"]
    assert not engine.refresh(), "the engine stands on what it wrote"


def test_what_killed_writers_left_is_removed_and_nothing_else(path: Path, tmp_path: Path) -> None:
    left = [".keys.snap.0123456789ab.tmp", ".keys.snap.ba9876543210.tmp"]
    other = [".keys.snap.tmp", ".keys.snap.0123456789AB.tmp", ".other.snap.0123456789ab.tmp", "0123456789ab.tmp"]
    for name in [*left, *other]:
        (tmp_path / name).touch()
    with Engine.edit(path) as engine:
        engine.put_key("more", [HOME], replace=True)
    assert {found.name for found in tmp_path.iterdir()} == {"keys.snap", ".keys.snap.lock", *other}


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Conflict, match="regular file"):
        Engine().save(tmp_path / "fifo")
    with pytest.raises(SnapshotError, match="regular file"):
        Engine().save(tmp_path / "fifo", replace=True)
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_a_lock_file_that_was_removed_meanwhile_is_no_lock(path: Path) -> None:
    """Whoever opened it before cannot have it beside somebody who made a new one."""
    lock = FileLock(str(path), 5.0)
    with FileLock(str(path), None) as first:
        waiter = threading.Thread(target=lock.__enter__)
        waiter.start()
        time.sleep(0.2)
        os.remove(first.path)
    waiter.join()
    with pytest.raises(LockTimeout), FileLock(str(path), 0.05):
        pass
    lock.__exit__(None, None, None)


def test_epochs_that_are_drawn_in_one_moment_differ_and_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cidrmatch._keys.block_file.time.time_ns", lambda: 1_800_000_000_000_000_000)
    drawn = [drawn_epoch(0) for _ in range(64)]
    assert len(set(drawn)) > 60
    assert max(drawn) - min(drawn) < 1 << 22
    assert drawn_epoch(1 << 62) == (1 << 62) + 1, "a clock that was set back makes no older history"


def test_bytes_are_on_the_disk_before_the_name_leads_to_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        happened.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_replace(source: str, target: str) -> None:
        happened.append("name")
        replace(source, target)

    engine = Engine()
    engine.put_key("k", ["203.0.113.9"])
    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    engine.save(path, replace=True)
    assert happened == ["file", "name", "directory"]
