"""Two processes edit one file while four follow it; the editors may be killed at any moment.

Each edit counts up two keys in one commit, the editor's own and the one for all:

    "a"       its one entry is 10.0.0.0 + the edits of a
    "b"       ... of b
    "total"   ... of both: were an edit lost, or seen by half, it would not be the sum

    editor    counts up, and then writes into a log when that was saved     a log never runs ahead of the file
    reader    notes again and again what it would answer by                 judged afterwards, by the logs

A reader is this same file in another process: `python -m tests.processes.test_editors reader ...`.  `make long`
makes 1,000 edits in each process, the ordinary suite some.

Requirements: B2, B5; C19 (a change is seen within the bound, or nobody is let in).
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cidrmatch import Engine
from cidrmatch.engine.following import seconds_since_boot

EDITORS, READERS = ("a", "b"), 4
SECONDS, MAX_AGE = 0.01, 2.0
LATE = 0.5
"""How late a thread may wake on a machine that is busy."""
BASE = 10 << 24


# -- In processes of their own ------------------------------------------------


def count_of(engine: Engine, key: str) -> int:
    [entry] = engine.key(key).entries
    return int.from_bytes(entry.prefix.packed, "big") - BASE


def edit(name: str, edits: int, path: str, log: str) -> None:
    """Edit until there are so many edits, whoever made them: a predecessor may have been killed."""
    with open(log, "a", encoding="ascii") as file:
        count = 0
        while count < edits:
            with Engine.edit(path, timeout=120) as engine:
                count = count_of(engine, name)
                if count < edits:
                    with engine.transaction() as change:
                        count += 1
                        for key, number in ((name, count), ("total", count_of(engine, "total") + 1)):
                            change.update_key(key, entries=[(BASE + number).to_bytes(4, "big")])
            file.write(f"{count} {seconds_since_boot()}\n")
            file.flush()


def follow(path: str, notes: str) -> None:
    """Note what would be answered by, until the key "over" says so."""
    engine = Engine.open(path)
    stop = engine.follow(SECONDS, max_age=MAX_AGE)
    with open(notes, "w", encoding="ascii") as file:
        while not engine.allows("over", "10.0.0.1"):
            now, is_stale, view = seconds_since_boot(), engine.is_stale, engine.view
            rules = [view.rule(key) for key in (*EDITORS, "total")]
            counts = [int.from_bytes(rule.record.entries[0].prefix.packed, "big") - BASE for rule in rules]  # type: ignore[union-attr]
            file.write(json.dumps([now, is_stale, *counts]) + "\n")
            time.sleep(0.002)
    stop()


# -- The test -----------------------------------------------------------------


def start(*arguments: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tests.processes.test_editors", *map(str, arguments)])


def read_log(path: Path) -> list[tuple[int, float]]:
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [(int(count), float(moment)) for count, moment in (line.split() for line in lines)]


def run_editors(edits: int, path: Path, logs: dict[str, Path], *, kills: bool) -> int:
    """Let both edit, and kill each after some edits if wanted; how many were killed."""
    rng, killed = random.Random(), 0
    editors = {name: start("editor", name, edits, path, logs[name]) for name in EDITORS}
    limits = {name: rng.randrange(3, 25) for name in EDITORS}
    while editors:
        for name, process in list(editors.items()):
            if process.poll() is not None:
                assert process.returncode == 0
                del editors[name]
            elif kills and len(read_log(logs[name])) >= limits[name]:
                time.sleep(rng.random() * 0.01)
                process.send_signal(signal.SIGKILL)
                if process.wait() == -signal.SIGKILL:
                    killed += 1
                    editors[name] = start("editor", name, edits, path, logs[name])
                    limits[name] = len(read_log(logs[name])) + rng.randrange(3, 25)
        time.sleep(0.003)
    return killed


def judge_reader(notes: Path, logs: dict[str, Path]) -> tuple[int, float]:
    """Every note must have what was saved MAX_AGE before; give the notes, and the oldest answer in seconds."""
    saved = {name: read_log(log) for name, log in logs.items()}
    at, oldest, lines = dict.fromkeys(EDITORS, 0), 0.0, notes.read_text(encoding="ascii").splitlines()
    last = [0, 0, 0]
    for line in lines:
        now, is_stale, *counts = json.loads(line)
        assert counts[2] == counts[0] + counts[1], "an edit was seen by half"
        assert all(new >= old for new, old in zip(counts, last, strict=True)), "it went back in time"
        last = counts
        for name, count in zip(EDITORS, counts, strict=False):
            log = saved[name]
            while at[name] < len(log) and log[at[name]][0] <= count:
                at[name] += 1
            if at[name] < len(log) and log[at[name]][1] < now and not is_stale:
                oldest = max(oldest, now - log[at[name]][1])
                assert now - log[at[name]][1] <= MAX_AGE + LATE, f"{name} {log[at[name]]} is not seen at {now}"
    return len(lines), oldest


def run(tmp_path: Path, edits: int, *, kills: bool) -> None:
    path, logs = tmp_path / "keys.snap", {name: tmp_path / f"{name}.log" for name in EDITORS}
    engine = Engine()
    engine.put_keys((key, ["10.0.0.0"]) for key in (*EDITORS, "total"))
    engine.save(path)
    notes = [tmp_path / f"{number}.notes" for number in range(READERS)]
    readers = [start("reader", path, note) for note in notes]
    began = time.monotonic()
    try:
        while not all(note.exists() and note.stat().st_size for note in notes):
            assert time.monotonic() - began < 60
            time.sleep(0.01)
        began = time.monotonic()
        killed = run_editors(edits, path, logs, kills=kills)
        seconds = time.monotonic() - began
        with Engine.edit(path) as engine:
            engine.put_key("over", ["10.0.0.1"])
        for reader in readers:
            assert reader.wait(30) == 0, "a reader is stuck"
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    final = Engine.open(path)
    counts = {key: count_of(final, key) for key in (*EDITORS, "total")}
    assert counts == {"a": edits, "b": edits, "total": 2 * edits}, "edits were lost"
    judged = [judge_reader(note, logs) for note in notes]
    assert {found.name for found in tmp_path.iterdir() if found.name.startswith(".keys")} == {".keys.snap.lock"}
    print(
        f"\n2 x {edits:,} edits in {seconds:.1f} s, {killed} editors killed, "
        f"{sum(count for count, _ in judged):,} looks by {READERS} readers, "
        f"the oldest answer {max(age for _, age in judged):.3f} s old (max_age {MAX_AGE})"
    )
    assert not kills or killed > 0


@pytest.mark.parametrize("kills", [False, True], ids=["in peace", "with kill -9"])
def test_C19_two_editors_and_four_readers(tmp_path: Path, kills: bool) -> None:
    run(tmp_path, int(os.environ.get("CIDRMATCH_EDITS", "60")), kills=kills)


@pytest.mark.long
@pytest.mark.parametrize("kills", [False, True], ids=["in peace", "with kill -9"])
def test_C19_two_editors_and_four_readers_for_long(tmp_path: Path, kills: bool) -> None:
    run(tmp_path, 1_000, kills=kills)


if __name__ == "__main__":
    if sys.argv[1] == "editor":
        edit(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
    else:
        follow(*sys.argv[2:])
