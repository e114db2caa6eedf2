"""Snapshots: an engine in a file, mapped by whoever wants to ask it, and never half of one.

Requirements: B2, B5 (the answers are those of the engine that was saved), C23 (what cannot be read denies).
"""

import contextlib
import http.client
import json
import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cidrmatch import (
    Conflict,
    Engine,
    EngineError,
    Entry,
    KeyRecord,
    KeyStore,
    Policy,
    Reason,
    SnapshotError,
    State,
    presets,
)
from cidrmatch._keys import FrozenList, View
from cidrmatch._keys.block_file import open_block
from cidrmatch._keys.store import IS_ENABLED, NEEDS_OBJECTS, Builder
from cidrmatch.engine.folding import fold_view
from cidrmatch.engine.snapshots import snapshot_of, view_of_snapshot

HOME, OFFICE, ELSEWHERE = "203.0.113.5", "198.51.100.7", "192.0.2.1"
CUTOVER = datetime(2026, 1, 1, tzinfo=UTC)


def some_engine() -> Engine:
    """One of everything that can be said."""
    engine = Engine(presets.bitbybit(), clock=lambda: 1_800_000_000.0, unknown_key="deny")
    engine.put_list("office", ["198.51.100.0/24"], description="Wien, Österreich")
    engine.put_list("org", [{"prefix": "198.51.0.0/16"}, {"prefix": "198.51.100.66", "effect": "deny"}, HOME])
    engine.put_key("plain", [HOME, "2001:db8::/48"])
    engine.put_key("free")
    engine.put_key("off", [HOME], enabled=False)
    engine.put_key("linked", [HOME], lists=["office"])
    engine.put_key("within", [HOME, OFFICE, "198.51.100.66", ELSEWHERE], within=["org"])
    engine.put_key("denied", lists=["org"])
    engine.put_key("labelled", [("198.51.100.7", "CI ✓")], owner="me")
    engine.put_key("timed", [{"prefix": HOME, "expires": datetime(2027, 1, 1, tzinfo=UTC)}, {"prefix": OFFICE}])
    engine.put_key("waits", [{"prefix": HOME, "not_before": datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=5)))}])
    engine.put_key("schlüssel", ["2001:db8::1", HOME])
    engine.put_key("tried", [HOME])
    engine.put_shadow("tried", [OFFICE])
    return engine


KEYS = some_engine().keys()
ADDRESSES = [HOME, OFFICE, ELSEWHERE, "198.51.100.66", "2001:db8::1", "::ffff:203.0.113.5", None, "junk", b"\1\2\3\4"]


def assert_equal(ours: Engine, theirs: Engine) -> None:
    keys = ours.keys()
    assert keys == theirs.keys()
    assert [ours.key(key) for key in keys] == [theirs.key(key) for key in keys]
    assert (ours.version, ours.default(), ours.policy) == (theirs.version, theirs.default(), theirs.policy)
    for name, frozen in theirs.lists().items():
        other = ours.lists()[name]
        assert (other.entries, other.description) == (frozen.entries, frozen.description)
        assert ours.keys_of(name) == theirs.keys_of(name)
    for key in [*keys, "unknown"]:
        for address in ADDRESSES:
            assert ours.check(key, address).to_dict() == theirs.check(key, address).to_dict(), (key, address)
    asked = [(key, address) for key in [*keys, "unknown"] for address in ADDRESSES]
    asked_keys, addresses = [key for key, _ in asked], [address for _, address in asked]
    assert ours.allows_many(asked_keys, addresses) == theirs.allows_many(asked_keys, addresses)
    assert list(theirs.allows_many(asked_keys, addresses)) == [theirs.allows(*pair) for pair in asked]


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("is_folded", [False, True])
def test_an_engine_comes_back_whole(tmp_path: Path, copied: bool, verified: bool, is_folded: bool) -> None:
    engine, path = some_engine(), tmp_path / "keys.snap"
    if is_folded:
        engine.fold()
    engine.save(path)
    opened = Engine.open(path, clock=lambda: 1_800_000_000.0, copy=copied, verify=verified)
    assert_equal(opened, engine)
    assert {found.name for found in tmp_path.iterdir()} == {"keys.snap", ".keys.snap.lock"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", presets.PRESETS)
def test_policies_and_switches_come_back(tmp_path: Path, name: str) -> None:
    policy = presets.nomsa(CUTOVER) if name == "nomsa" else presets.PRESETS[name]()
    for engine in (Engine(policy, unknown_key="pass"), Engine(policy, enforced=False), Engine(Policy(max_entries=3))):
        engine.save(tmp_path / "keys.snap", replace=True)
        opened = Engine.open(tmp_path / "keys.snap")
        assert opened.policy == engine.policy
        assert opened.check("unknown", HOME).allowed == engine.check("unknown", HOME).allowed
        assert opened.view.settings.is_enforced == engine.view.settings.is_enforced


def test_states_come_back(tmp_path: Path) -> None:
    """N2, N4, C22: inactive, legacy and empty lists."""
    engine = Engine(presets.nomsa(CUTOVER))
    old, new = CUTOVER - timedelta(days=1), CUTOVER
    engine.restore(
        keys={
            "old": KeyRecord(created_at=old),
            "new": KeyRecord(created_at=new),
            "full": KeyRecord(created_at=new, entries=(Entry(HOME),)),
            "empty": KeyRecord(created_at=old, lists=("empty",)),
        },
        lists=[FrozenList("empty", ()), FrozenList("default", (Entry(OFFICE),))],
    )
    engine.save(tmp_path / "keys.snap")
    opened = Engine.open(tmp_path / "keys.snap")
    states = {key: opened.state(key) for key in ("old", "new", "full", "empty")}
    assert states == {
        "old": State.UNRESTRICTED, "new": State.INACTIVE, "full": State.RESTRICTED, "empty": State.RESTRICTED
    }  # fmt: skip
    assert_equal(opened, engine)
    engine.restore(keys={"free": KeyRecord(created_at=old)}, lists=engine.lists().values(), default="default")
    engine.save(tmp_path / "keys.snap")
    assert opened.refresh()
    assert (opened.allows("free", HOME), opened.allows("free", OFFICE)) == (False, True)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = some_engine(), some_engine()
    for engine in (first, second):
        records = {key: replace(engine.key(key), created_at=CUTOVER) for key in KEYS}
        engine.restore(keys=records, lists=engine.lists().values())
    second.fold()
    second.put_list("zoo", [HOME])
    second.remove_list("zoo")
    first.put_list("zoo", [HOME])
    first.remove_list("zoo")
    first.save(tmp_path / "first")
    second.save(tmp_path / "second")
    Engine.open(tmp_path / "second").save(tmp_path / "third")
    first_bytes, second_bytes, third_bytes = ((tmp_path / name).read_bytes() for name in ("first", "second", "third"))
    assert first_bytes[128:] == second_bytes[128:], "but for the header, which names the history"
    assert second_bytes == third_bytes


def test_an_opened_engine_can_be_changed_and_saved(tmp_path: Path) -> None:
    path = tmp_path / "keys.snap"
    some_engine().save(path)
    opened = Engine.open(path, clock=lambda: 1_800_000_000.0)
    opened.put_key("more", [ELSEWHERE], lists=["org"])
    opened.remove_key("plain")
    opened.link("free", "office")
    opened.put_list("office", [ELSEWHERE])
    assert (opened.allows("linked", OFFICE), opened.allows("linked", ELSEWHERE)) == (False, True)
    with Engine.edit(path) as other:
        other.remove_key("off")
    with pytest.raises(Conflict, match="changes of its own"):
        opened.refresh()
    opened.save(path, replace=True)
    again = Engine.open(path, clock=lambda: 1_800_000_000.0)
    assert_equal(again, opened)
    opened.fold()
    assert_equal(again, opened)


# Following


def test_a_reader_goes_over_to_a_newer_generation(tmp_path: Path) -> None:
    engine, path = some_engine(), tmp_path / "keys.snap"
    engine.save(path)
    reader = Engine.open(path)
    assert not reader.refresh()
    old = reader.check("plain", HOME)
    engine.update_key("plain", entries=[OFFICE])
    engine.save(path)
    assert not reader.allows("plain", OFFICE)
    assert reader.refresh()
    assert not reader.refresh()
    assert (reader.allows("plain", OFFICE), reader.allows("plain", HOME)) == (True, False)
    assert old.to_dict()["allowed"], "a decision keeps the generation that it was made by"


def test_an_older_generation_or_a_damaged_file_is_refused(tmp_path: Path) -> None:
    engine, path = some_engine(), tmp_path / "keys.snap"
    engine.save(tmp_path / "old")
    engine.put_key("more", [HOME])
    engine.save(path)
    reader = Engine.open(path)
    os.replace(tmp_path / "old", path)
    with pytest.raises(SnapshotError, match="older"):
        reader.refresh()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        reader.refresh()
    path.write_bytes(b"cidrkeys")
    with pytest.raises(SnapshotError, match="shorter"):
        reader.refresh()
    assert reader.allows("more", HOME)
    engine.put_key("most", [HOME])
    engine.save(path, replace=True)
    assert reader.refresh()
    with pytest.raises(EngineError, match="not opened"):
        Engine().refresh()
    with pytest.raises(EngineError, match="not opened"):
        Engine().follow()


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_following_swaps_by_itself_and_says_what_it_refuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine, path = some_engine(), tmp_path / "keys.snap"
    engine.save(path)
    reader = Engine.open(path)
    stop = reader.follow(0.005)
    try:
        engine.put_key("more", [HOME])
        engine.save(path)
        wait_for(lambda: reader.allows("more", HOME))
        (tmp_path / "junk").write_bytes(b"x" * 500)
        os.replace(tmp_path / "junk", path)
        wait_for(lambda: "stays at generation" in caplog.text)
        assert reader.allows("more", HOME)
    finally:
        stop()
    assert "cidrmatch-follow" not in {thread.name for thread in threading.enumerate()}


# What is no snapshot


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("[[keys]]\n" * 100)
    for path, reason in (
        (tmp_path, "regular file"), (tmp_path / "fifo", "regular file"), (Path("/dev/null"), "regular file"),
        (tmp_path / "empty", "shorter"), (tmp_path / "text", "does not begin"),
    ):  # fmt: skip
        for copy in (False, True):
            with pytest.raises(SnapshotError, match=reason):
                Engine.open(path, copy=copy)
    with pytest.raises(FileNotFoundError):
        Engine.open(tmp_path / "nothing")


def small_snapshot(tmp_path: Path) -> bytes:
    engine = some_engine()
    for number in range(34):
        engine.put_key(f"key_{number}", [f"10.{number}.0.0/16"])
    engine.save(tmp_path / "small")
    block = (tmp_path / "small").read_bytes()
    assert abs(len(block) - 4_096) < 500
    return block


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    block = small_snapshot(tmp_path)
    path = tmp_path / "keys.snap"
    for size in range(len(block)):
        path.write_bytes(block[:size])
        for verify in (True, False):
            with pytest.raises(SnapshotError):
                open_block(path, verify=verify)
    path.write_bytes(block + b"\0")
    with pytest.raises(SnapshotError):
        open_block(path, verify=False)


def test_every_changed_byte_is_refused(tmp_path: Path) -> None:
    block = small_snapshot(tmp_path)
    path = tmp_path / "keys.snap"
    for at in range(len(block)):
        changed = bytearray(block)
        changed[at] ^= 1 << at % 8 or 1
        path.write_bytes(changed)
        with pytest.raises(SnapshotError):
            open_block(path)
        if at < 128:
            with pytest.raises(SnapshotError):
                open_block(path, verify=False)


@pytest.mark.long
def test_every_byte_changed_to_every_other_value_is_refused(tmp_path: Path) -> None:
    block = bytearray(small_snapshot(tmp_path))
    refused = 0
    for at in range(len(block)):
        for other in range(1, 256):
            block[at] ^= other
            try:
                KeyStore.from_buffer(block).check_sums()
            except SnapshotError:
                refused += 1
            block[at] ^= other
    print(f"{refused:,} of {255 * len(block):,} changed bytes refused")
    assert refused == 255 * len(block)


def reseal(path: Path, block: bytes, old: bytes, new: bytes) -> None:
    """Write a block that says something else, as long as before, with checksums that are right."""
    assert old in block
    changed = block.replace(old, new.ljust(len(old)))
    assert len(changed) == len(block)
    store = KeyStore.from_buffer(changed)
    path.write_bytes(store.sealed_header(epoch=store.epoch, generation=store.generation) + changed[128:])


def test_a_snapshot_that_says_nonsense_is_refused(tmp_path: Path) -> None:
    """The checksums are right, what they cover is not."""
    block, path = small_snapshot(tmp_path), tmp_path / "keys.snap"
    for old, new in (
        (b'"policy":"bitbybit"', b'"policy":"bitbibit"'),
        (b'"default":null', b'"default":"xy"'),
        (b'"default":null', b'"default":1000'),
        (b'"name":"office"', b'"name":"zffice"'),
        (b'"name":"org"', b'"xxxx":"org"'),
        (b'{"default"', b'["default"'),
        (b'"prefix":"198.51.100.66/32"', b'"prefix":"198.51.100.x6/32"'),
        (b'"effect":"deny"', b'"effect":"dens"'),
        (b'"unknown_key"', b'"unknown_kex"'),
    ):
        reseal(path, block, old, new)
        with pytest.raises(SnapshotError):
            Engine.open(path)


def test_a_key_that_its_hash_does_not_find_is_refused_by_verify_alone(tmp_path: Path) -> None:
    """The checksums are right, and every part of the file by itself; only together they are not."""
    path = tmp_path / "keys.snap"
    reseal(path, small_snapshot(tmp_path), b"plain", b"plane")
    with pytest.raises(SnapshotError):
        Engine.open(path, verify=True)
    engine = Engine.open(path, verify=False)
    assert not engine.allows("plain", HOME)
    assert not engine.allows("plane", HOME)


def test_notes_that_say_nonsense_deny(tmp_path: Path) -> None:
    """C23: a record that cannot be read is nobody's permission, and checks do not raise."""
    block, path = small_snapshot(tmp_path), tmp_path / "keys.snap"
    for old, new in (
        (b'"expires":"2027', b'"expires":"20x7'),
        (b'{"entries":[{"expires"', b'["entries":[{"expires"'),
        (b'{"entries":[{"expires"', b'{"entriez":[{"expires"'),
        (b'[{"expires":"2027', b'["{expires":"2027'),
        (b'"expires":"2027-01-01T00:00:00+00:00"', b'"expires":20270101000000000000000000'),
        (b'"expires":"2027-01-01T00:00:00+00:00"', b'"label":[[[[[[[[[[[[[]]]]]]]]]]]]]'),
    ):
        reseal(path, block, old, new)
        engine = Engine.open(path)
        assert engine.allows("plain", HOME)
        for address in ADDRESSES:
            assert engine.check("timed", address).reason is Reason.DAMAGED
            assert not engine.allows("timed", address)
        assert engine.allows_many(["timed"], [HOME]) == b"\0"
        assert engine.check("timed", HOME).state is None
        with pytest.raises(SnapshotError, match="damaged"):
            engine.key("timed")


def test_entries_that_are_null_are_not_no_entries() -> None:
    """C23: without any, the key would be unrestricted."""
    builder = Builder()
    builder.add("key", [], flags=IS_ENABLED | NEEDS_OBJECTS, notes=b'{"entries":null}')
    engine = Engine()
    engine.view = View(builder.build(), {}, {}, None, 0, engine.view.settings)
    assert engine.check("key", HOME).reason is Reason.DAMAGED


def test_a_link_to_a_list_that_the_view_does_not_have_is_damage_and_not_an_empty_list() -> None:
    """C23: an own entry that covers the address does not make up for it."""
    builder = Builder()
    builder.add("linked", ["198.51.100.1"], links=(1,))
    builder.add("within", [HOME], within=(1,))
    engine = Engine()
    engine.put_list("office", [HOME])
    lists = engine.view.lists
    engine.view = View(builder.build(lists=2), {}, lists, None, 0, engine.view.settings, ("office",))
    for key, address in (("linked", HOME), ("linked", "198.51.100.1"), ("within", HOME)):
        assert engine.check(key, address).reason is Reason.DAMAGED


# Other processes


def test_a_file_that_is_cut_short_ends_a_process_that_mapped_it_and_none_that_copied_it(tmp_path: Path) -> None:
    """The first is what mapping means; the second is what protects from it."""
    engine, path = Engine(), tmp_path / "keys.snap"
    engine.put_keys((f"key_{number}", ["10.0.0.1"]) for number in range(2_000))
    code = f"""
        import os, sys
        from cidrmatch import Engine
        engine = Engine.open({os.fspath(path)!r}, copy=sys.argv[1] == "copy", verify=False)
        os.truncate({os.fspath(path)!r}, 128)
        print(all(engine.allows(f"key_{{number}}", "10.0.0.1") for number in range(2_000)))
        """
    ends = {}
    for how in ("map", "copy"):
        engine.save(path, replace=True)
        said = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), how], capture_output=True, text=True, check=False
        )
        ends[how] = (said.returncode, said.stdout.strip())
    assert ends["copy"] == (0, "True")
    assert ends["map"] in ((-signal.SIGBUS, ""), (1, ""))  # AddressSanitizer takes the signal and says 1


def ask_in_child(engine: Engine, queue: "multiprocessing.Queue[bool]") -> None:
    queue.put(all(engine.allows(f"key_{number}", "10.0.0.1") for number in range(100)))


def test_it_works_after_fork(tmp_path: Path) -> None:
    engine = Engine()
    engine.put_keys((f"key_{number}", ["10.0.0.1"]) for number in range(100))
    engine.fold()
    engine.save(tmp_path / "keys.snap")
    context = multiprocessing.get_context("fork")
    for parent in (engine, Engine.open(tmp_path / "keys.snap")):
        queue: multiprocessing.Queue[bool] = context.Queue()
        child = context.Process(target=ask_in_child, args=(parent, queue))
        child.start()
        assert queue.get(timeout=30)
        child.join()
        assert child.exitcode == 0


def test_it_works_in_spawned_processes(tmp_path: Path) -> None:
    engine = Engine()
    engine.put_keys((f"key_{number}", ["10.0.0.1"]) for number in range(100))
    engine.save(tmp_path / "keys.snap")
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        asked = [(os.fspath(tmp_path / "keys.snap"), f"key_{number}") for number in range(20)]
        assert pool.starmap(ask_a_file, asked) == [True] * 20


def ask_a_file(path: str, key: str) -> bool:
    return Engine.open(path).allows(key, "10.0.0.1")


APP = """
import os
from urllib.parse import parse_qs
from cidrmatch import Engine

engine = Engine.open(os.environ["KEYS"])          # before the fork: --preload
engine.put_key("early", ["10.0.0.1"])

def app(environ, start_response):
    asked = parse_qs(environ["QUERY_STRING"])
    allowed = engine.allows(asked["key"][0], asked["ip"][0])
    start_response("200 OK" if allowed else "403 Forbidden", [])
    return [str(os.getpid()).encode()]
"""


def test_it_works_in_gunicorn_with_preload(tmp_path: Path) -> None:
    """A real server, its workers forked from a process that has the engine already."""
    pytest.importorskip("gunicorn")
    engine = Engine()
    engine.put_keys((f"key_{number}", ["10.0.0.1"]) for number in range(100))
    engine.save(tmp_path / "keys.snap")
    (tmp_path / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", "--workers=2", f"--bind=127.0.0.1:{port}", "app:app"],
        cwd=tmp_path, env={**os.environ, "KEYS": os.fspath(tmp_path / "keys.snap")}, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask(key: str, address: str) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("GET", f"/?key={key}&ip={address}")
            response = connection.getresponse()
            return response.status, response.read()

    def is_up() -> bool:
        with contextlib.suppress(OSError):
            return ask("key_1", "10.0.0.1")[0] == 200
        return False

    try:
        wait_for(is_up)
        workers = set()
        for number in range(100):
            status, worker = ask(f"key_{number}", "10.0.0.1")
            assert status == 200
            workers.add(worker)
            assert ask(f"key_{number}", "10.0.0.2")[0] == 403
        assert ask("early", "10.0.0.1")[0] == 200
        assert ask("late", "10.0.0.1")[0] == 403
        assert str(server.pid).encode() not in workers
    finally:
        server.terminate()
        server.wait(30)


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """The old one or the new one, and never anything else under that name."""
    path = tmp_path / "keys.snap"
    code = f"""
        from cidrmatch import Engine
        engine = Engine()
        engine.put_keys((f"key_{{number}}", ["10.0.0.1"]) for number in range(500))
        print("ready", flush=True)
        while True:
            engine.put_key("last", ["10.0.0.2"])
            engine.save({os.fspath(path)!r})
        """
    generation = 0
    for turn in range(int(os.environ.get("CIDRMATCH_KILLS", "12"))):
        writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.001 * (turn * 7 % 40))
        writer.kill()
        writer.wait()
        writer.stdout.close()
        if path.exists():
            generation = max(generation, Engine.open(path).version)
    assert generation > 0


def test_lists_that_came_after_a_fold_do_not_move_the_links_of_keys(tmp_path: Path) -> None:
    """Lists are numbered by their names in a file; "a" takes the number that "b" had."""
    engine = Engine()
    engine.put_list("b", ["192.0.2.1"])
    engine.put_key("k", lists=["b"], within=["b"])
    engine.fold()
    engine.put_list("a", ["198.51.100.1"])
    engine.save(tmp_path / "keys.snap")
    reader = Engine.open(tmp_path / "keys.snap")
    assert reader.lists_of("k") == ("b",)
    assert reader.allows("k", "192.0.2.1")
    assert not reader.allows("k", "198.51.100.1")


@pytest.mark.parametrize("switch", [None, 0, "", "no", [], True])
def test_U2_a_switch_that_is_not_plainly_off_enforces(switch: object) -> None:
    engine = Engine()
    engine.put_key("k", ["192.0.2.1"])
    store = snapshot_of(engine.view)
    builder = Builder()
    builder.copy(store, ())
    odd = builder.build(lists=store.lists, about=json.dumps(json.loads(store.about) | {"enforced": switch}).encode())
    engine.view = view_of_snapshot(odd, 1, engine.view.settings.clock, None, None)
    assert not engine.allows("k", "198.51.100.1")


def test_B2_a_fold_that_ends_late_brings_back_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile the key was changed, and another fold was quicker."""
    engine = Engine()
    engine.put_key("k", ["192.0.2.1"])

    def beside_a_quicker_one(view: View) -> tuple[KeyStore, tuple[str, ...]]:
        monkeypatch.undo()
        made = fold_view(view)
        engine.update_key("k", entries=["198.51.100.1"])
        engine.fold()
        return made

    monkeypatch.setattr("cidrmatch.engine.folding.fold_view", beside_a_quicker_one)
    engine.fold()
    assert not engine.allows("k", "192.0.2.1")
    assert engine.allows("k", "198.51.100.1")


def test_a_fold_that_published_nothing_is_no_proof_that_folds_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile the engine went over to a newer file.  Only a fold that works, or has nothing to do, ends the error."""

    def fail(_view: View) -> object:
        raise MemoryError("no room")

    def beside_a_refresh(view: View) -> tuple[KeyStore, tuple[str, ...]]:
        made = fold_view(view)
        assert engine.refresh(discard_changes=True)
        return made

    path = tmp_path / "keys.snap"
    Engine().save(path)
    engine = Engine.open(path)
    with monkeypatch.context() as broken:
        broken.setattr("cidrmatch.engine.folding._SMALLEST_FOLD", 1)
        broken.setattr("cidrmatch.engine.folding.fold_view", fail)
        engine.put_keys({f"k{number}": ["192.0.2.1"] for number in range(10)})
    assert isinstance(engine.fold_error, MemoryError)
    with Engine.edit(path) as editor:
        editor.put_key("later", ["192.0.2.1"])
    with monkeypatch.context() as slow:
        slow.setattr("cidrmatch.engine.folding.fold_view", beside_a_refresh)
        engine.fold()
    assert engine.keys() == ["later"]
    assert isinstance(engine.fold_error, MemoryError)
    engine.fold()
    assert engine.view.overlay == {}
    assert repr(engine.fold_error) == "None"
