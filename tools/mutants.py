"""Break the code on purpose, one line at a time, and see whether a test notices.

A mutation is a row of a table in tests/mutants: a file, a piece of its text, what
stands there instead, and what that breaks.  The rows are written by hand, for no
tool knows Cython and C, and a row that breaks a rule says more than a hundred
that swap an operator (ADR 0017).

    row --> copy of the tree, text replaced --> compile what the file affects --> ask tests --> killed, or survived
            build/mutants/base                  not optimised: seconds            the nearest first, the suite last

    tests of the row      those that should notice, in a second or two
    tests of the table    those of the room
    the suite             everything else that does not build distributions; not with --changed, which is to be quick

A failed test, a crash and a hang each kill.  Rows that change nothing that a test
could see say so in `equal`, with the reason; they are not run and do not count.

    make mutants                     all rows
    make mutants CHANGED=HEAD~1      rows of the files changed since then, and some of the others, by turns

The score is killed / (killed + survived); below 95 % (80 % for a share) is a failure, and so is a row
whose text is not in its file exactly once, that does not compile, or whose tests
fail without it.
Cost: of a processor's time, 3 seconds a row of Python, 8 to 12 one of Cython or C, several minutes a survivor.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "tests" / "mutants"
FOLDER = ROOT / "build" / "mutants"
PACKAGE = ROOT / "src" / "cidrmatch"
SUITE = (
    *(f"tests/{kind}" for kind in ("unit", "conformance", "property", "stateful", "exhaustive", "differential")),
    *(f"tests/packaging/test_{name}.py" for name in ("leaves", "hostile_store")),
)
LEAST_SCORE = 0.95
LEAST_SCORE_OF_A_SHARE = 0.8
"""A share is a sample: 24 rows out of a table with a score of 95 % fall below this once in two hundred times."""
SHARE = 24
"""Rows that a run with --changed asks."""
LIMIT_S = {"row": 120, "table": 300, "suite": 1_800}
SEED = "1"


# -- The table ----------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """Hold one row.

    Attributes:
        table: the name of its table: parser, search, store ...
        file: which file, from the top of the tree.
        old, new: what stands there exactly once, and what stands there instead.
        breaks: what goes wrong, in words.
        tests: which to ask first; without any, those of the table.
        near: the tests of the table.
        rooms: the extensions that its first tests ask, so that others are compiled only for later ones.
        rule: words of docs/keys.md that this row breaks.
        alone: the first tests compile the header by themselves, so nothing is built before they run.
        needs: a word among the processor's flags without which nobody runs this code.
        equal: why no test can notice, for a row that does not count.
    """

    table: str
    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    rule: str = ""
    alone: bool = False
    needs: str = ""
    equal: str = ""

    @property
    def place(self) -> str:
        """The file and the line."""
        text = (ROOT / self.file).read_text(encoding="utf-8")
        return f"{self.file}:{text[: text.find(self.old)].count(chr(10)) + 1}"

    @property
    def stages(self) -> list[tuple[str, tuple[str, ...]]]:
        """Which tests are asked, the nearest first."""
        found = [("row", self.tests), ("table", self.near), ("suite", SUITE)]
        return [(name, tests) for name, tests in found if tests]

    @property
    def digest(self) -> str:
        """A number of the row that stays the same while the row does."""
        return hashlib.sha256(f"{self.file}\0{self.old}\0{self.new}".encode()).hexdigest()


def read_tables(folder: Path = TABLES) -> list[Mutant]:
    """Read all rows; an unknown field is a TypeError."""
    rows: list[Mutant] = []
    for path in sorted(folder.glob("*.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        near, rooms = tuple(document.get("tests", ())), document.get("rooms", ())
        for row in document["mutant"]:
            lists = {"tests": tuple(row.get("tests", ())), "rooms": tuple(row.get("rooms", rooms))}
            rows.append(Mutant(path.stem, near=near, **{**row, **lists}))
    return rows


def find_fault(row: Mutant) -> str | None:
    """Say what is wrong with a row as it stands, or None."""
    path = ROOT / row.file
    if not path.is_file():
        return "there is no such file"
    count = path.read_text(encoding="utf-8").count(row.old)
    if count != 1:
        return f"the old text is there {count} times, not once"
    if row.old == row.new:
        return "the new text is the old one"
    for test in (*row.tests, *row.near):
        name, _, function = test.partition("::")
        if not (ROOT / name).exists():
            return f"there is no {name}"
        if function and f"def {function.rpartition('::')[2].partition('[')[0]}(" not in (ROOT / name).read_text(
            "utf-8"
        ):
            return f"there is no test {test}"
    return None


# -- Which rows ---------------------------------------------------------------


def git(*words: str) -> str:
    """What git prints; nothing where it fails, as without a history."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def changed_files(base: str) -> set[str]:
    """Name the files that differ from a commit, whether committed or not."""
    if not git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}"):
        print(f"there is no commit {base}: no file counts as changed")
        return set()
    return {*git("diff", "--name-only", base).split(), *git("ls-files", "--others", "--exclude-standard").split()}


def choose(rows: Sequence[Mutant], changed: set[str], share: int, turn: int) -> list[Mutant]:
    """Choose the rows of changed files, then others by turns, `share` in all.

    Each turn begins where the one before ended, so all rows have theirs; one turn always gives the same rows.
    """
    touched = [row for row in rows if row.file in changed]
    others = [row for row in rows if row.file not in changed]
    return [*by_turns(touched, share, turn), *by_turns(others, max(0, share - len(touched)), turn)]


def by_turns(rows: Sequence[Mutant], count: int, turn: int) -> list[Mutant]:
    """Choose `count` rows, in an order that mixes the tables."""
    mixed = sorted(rows, key=lambda row: row.digest)
    begin = turn * count % max(1, len(mixed))
    return (mixed[begin:] + mixed[:begin])[:count]


# -- The core -----------------------------------------------------------------


def neighbours(path: Path) -> Iterator[Path]:
    """Name the files of the core that one of them reads."""
    text = path.read_text(encoding="utf-8")
    for header in re.findall(r'(?:from|#include) "([\w/]+\.h)"', text):
        yield PACKAGE / header if "/" in header else path.with_name(header)
    for floor, room in re.findall(r"cidrmatch\.(\w+)\.(\w+) cimport", text):
        yield PACKAGE / floor / f"{room}.pxd"
    if path.suffix == ".pyx" and path.with_suffix(".pxd").exists():
        yield path.with_suffix(".pxd")


def everything_read(path: Path) -> set[Path]:
    """Name the files that an extension is made of."""
    found, waiting = {path}, [path]
    while waiting:
        new = [other for other in neighbours(waiting.pop()) if other.exists() and other not in found]
        found.update(new)
        waiting.extend(new)
    return found


def affected_rooms(file: str) -> list[str]:
    """Name the extensions that have to be compiled again when a file changes."""
    if not file.endswith((".pyx", ".pxd", ".h")):
        return []
    rooms = sorted(PACKAGE.rglob("*.pyx"))
    return [room.stem for room in rooms if ROOT / file in everything_read(room)]


# -- Running ------------------------------------------------------------------


@dataclass
class Done:
    """Say how a program ended: `code` is None when its time was up."""

    code: int | None
    text: str


_running: set[int] = set()
"""Programs that were started and did not end, each with a group of its own."""


def end_all(*_: object) -> None:
    """End what runs, and this program: whoever interrupts it waits for nobody."""
    for group in list(_running):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    os._exit(130)


def run(command: Sequence[str], folder: Path, limit_s: float, **environment: str) -> Done:
    """Run a program, and end it and its children when its time is up."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _running.add(process.pid)
    with suppress(OSError):  # where memory is short it is the one to go: a mutant may take all there is
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        text, _ = process.communicate(timeout=limit_s)
        return Done(process.returncode, text)
    except subprocess.TimeoutExpired:
        return Done(None, "")
    finally:
        with suppress(ProcessLookupError):  # also what a test left running
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        _running.discard(process.pid)


def compile_core(tree: Path, rooms: Iterable[str] = ()) -> Done:
    """Compile rooms of a tree, all without any named, without optimising."""
    words = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    return run(words, tree, 600, CIDRMATCH_BUILD="quick", CIDRMATCH_ROOMS=" ".join(rooms))


def ask(tree: Path, tests: Iterable[str], limit_s: float, *options: str) -> Done:
    """Run tests of a tree."""
    words = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-m", "not packaging"]
    source = str(tree / "src")
    return run([*words, f"--hypothesis-seed={SEED}", *options, *tests], tree, limit_s,
               PYTHONPATH=source, HYPOTHESIS_PROFILE="dev")  # fmt: skip


@dataclass
class Base:
    """The tree as it is, compiled; mutants begin as copies of it."""

    tree: Path = FOLDER / "base"
    sound: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self) -> None:
        """Copy the tree and compile what is not compiled yet; what an interrupted run left goes."""
        self.tree.mkdir(parents=True, exist_ok=True)
        for left in FOLDER.iterdir():
            if left != self.tree:
                shutil.rmtree(left, ignore_errors=True)
        for name in ("src", "tests", "docs", "examples", "benchmarks", "tools"):
            copy_changed(ROOT / name, self.tree / name)
        for path in ROOT.glob("*.*"):
            if path.is_file():
                shutil.copy2(path, self.tree)
        shutil.copy2(ROOT / "LICENSE", self.tree)
        shutil.copy2(ROOT / "Makefile", self.tree)
        done = compile_core(self.tree)
        if done.code != 0:
            sys.exit(f"the core does not compile:\n{done.text}")

    def check(self, tests: Iterable[str], limit_s: float) -> None:
        """Run tests that were not run yet; if one fails here, it tells nothing about a mutant."""
        with self.lock:
            new = [test for test in dict.fromkeys(tests) if test not in self.sound]
            done = ask(self.tree, new, limit_s) if new else Done(0, "")
            failed = re.findall(r"^(?:FAILED|ERROR) ([^ \n]+)", done.text, re.MULTILINE)
            if done.code != 0 and failed:  # once more: some tests go by the clock, and the machine may be busy
                done = ask(self.tree, failed, limit_s)
            if done.code != 0:
                sys.exit(f"tests fail on the code as it is:\n{done.text}")
            self.sound.update(new)


def copy_changed(source: Path, target: Path) -> None:
    """Make a folder equal to another: what is equal keeps its time, so it is not compiled again."""
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and is_copied(path)}
    there = {path.relative_to(target) for path in target.rglob("*") if path.is_file() and is_copied(path)}
    for path in there - wanted:
        (target / path).unlink()
    for path in wanted:
        if path in there and (source / path).read_bytes() == (target / path).read_bytes():
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)


def is_copied(path: Path) -> bool:
    """Whether a file belongs to the sources."""
    return path.suffix not in (".so", ".pyc") and ".egg-info" not in str(path)


# -- One mutant ---------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """Say how a mutant ended."""

    row: Mutant
    outcome: str
    """killed, survived or broken"""
    by: str
    """which test noticed, or what is wrong with the row"""
    seconds: float


def try_mutant(row: Mutant, base: Base, asked: Sequence[str]) -> Verdict:
    """Make a mutant in a folder of its own and ask tests until one notices."""
    begun = time.monotonic()
    tree = FOLDER / row.digest[:12]
    shutil.rmtree(tree, ignore_errors=True)
    try:
        outcome, by = judge(row, base, tree, asked)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return Verdict(row, outcome, by, time.monotonic() - begun)


def judge(row: Mutant, base: Base, tree: Path, asked: Sequence[str]) -> tuple[str, str]:
    """Say how the mutant ended, and why; `asked` names the stages."""
    rooms = affected_rooms(row.file)
    shutil.copytree(base.tree, tree, ignore=None if rooms else shutil.ignore_patterns("build"))
    path = tree / row.file
    path.write_text(path.read_text(encoding="utf-8").replace(row.old, row.new), encoding="utf-8")
    stages = [(stage, tests) for stage, tests in row.stages if stage in asked]
    for number, (stage, tests) in enumerate(stages):
        first = [] if row.alone else [room for room in rooms if room in (row.rooms or rooms)]
        due = first if number == 0 else rooms
        done = compile_core(tree, due) if due else Done(0, "")
        if done.code != 0:
            return "broken", f"it does not compile: {last_line(done.text)}"
        rooms = [room for room in rooms if room not in due]
        base.check(tests, LIMIT_S[stage])
        done = ask(tree, tests, LIMIT_S[stage], "-x")
        if done.code in (4, 5):
            return "broken", f"the tests do not run: {last_line(done.text)}"
        if done.code != 0:
            return "killed", f"{stage}: {named_failure(done)}"
    return "survived", ""


def last_line(text: str) -> str:
    """The last line that says something, or the compiler's first error."""
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "")


def named_failure(done: Done) -> str:
    """Name the test that failed."""
    if done.code is None:
        return "its time was up"
    if done.code < 0:
        return f"it crashed ({signal.Signals(-done.code).name})"
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.text, re.MULTILINE)
    return found[1] if found else last_line(done.text)


# -- The report ---------------------------------------------------------------


def report(verdicts: Sequence[Verdict], left_out: Sequence[Mutant], seconds: float, least: float) -> int:
    """Print the table, survivors and the score; 0 if all is well."""
    print(f"\n{'table':12}{'rows':>6}{'killed':>8}{'survived':>10}{'broken':>8}{'seconds':>9}")
    for table in dict.fromkeys(verdict.row.table for verdict in verdicts):
        those = [verdict for verdict in verdicts if verdict.row.table == table]
        counts = [sum(verdict.outcome == outcome for verdict in those) for outcome in ("killed", "survived", "broken")]
        spent = sum(verdict.seconds for verdict in those)
        print(f"{table:12}{len(those):6}{counts[0]:8}{counts[1]:10}{counts[2]:8}{spent:9.0f}")
    for verdict in verdicts:
        if verdict.outcome != "killed":
            print(f"\n{verdict.outcome}: {verdict.row.breaks}\n  {verdict.row.place}  {verdict.by}")
            print("".join(f"  - {line}\n" for line in verdict.row.old.strip("\n").splitlines()), end="")
            print("".join(f"  + {line}\n" for line in verdict.row.new.strip("\n").splitlines()), end="")
    equal = [row for row in left_out if row.equal]
    print(f"\nequal, so not run: {len(equal)}; for another processor: {len(left_out) - len(equal)}")
    killed = sum(verdict.outcome == "killed" for verdict in verdicts)
    survived = sum(verdict.outcome == "survived" for verdict in verdicts)
    score = killed / max(1, killed + survived)
    print(f"score {100 * score:.1f} %: {killed} killed, {survived} survived, in {seconds:.0f} s")
    is_broken = any(verdict.outcome == "broken" for verdict in verdicts)
    return 0 if verdicts and score >= least and not is_broken else 1


def has_flag(flag: str) -> bool:
    """Whether the processor has an instruction set."""
    try:
        return not flag or flag in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False


def _is_meant(row: Mutant, word: str, tables: set[str]) -> bool:
    return row.table == word if word in tables else word in row.breaks


def main() -> int:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(description="break the code on purpose and see whether a test notices")
    parser.add_argument("words", nargs="*", help="only rows of these tables, or with these words in what they break")
    parser.add_argument("--changed", metavar="BASE", help="rows of files changed since BASE, and some of the others")
    parser.add_argument("--share", type=int, default=SHARE, help="how many rows with --changed (%(default)s)")
    parser.add_argument("--near", action="store_true", help="do not ask the whole suite about what survives")
    parser.add_argument("--workers", type=int, default=2, help="how many at a time (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="name the test that noticed")
    options = parser.parse_args()
    begun = time.monotonic()
    rows = read_tables()
    if options.words:
        tables = {row.table for row in rows}
        rows = [row for row in rows if any(_is_meant(row, word, tables) for word in options.words)]
    faults = [(row, fault) for row in rows if (fault := find_fault(row))]
    for row, fault in faults:
        print(f"{row.table}: {row.breaks}: {fault}")
    if faults:
        return 1
    left_out = [row for row in rows if row.equal or not has_flag(row.needs)]
    rows = [row for row in rows if row not in left_out]
    if options.changed is not None:
        turn = int(git("rev-list", "--count", "HEAD") or 0)
        rows = choose(rows, changed_files(options.changed), options.share, turn)
    asked = tuple(LIMIT_S) if options.changed is None and not options.near else ("row", "table")
    signal.signal(signal.SIGINT, end_all)
    signal.signal(signal.SIGTERM, end_all)
    base = Base()
    base.make()
    base.check((test for row in rows for _, tests in row.stages[:1] for test in tests), LIMIT_S["suite"])
    with ThreadPoolExecutor(options.workers) as pool:
        verdicts = list(show(pool.map(lambda row: try_mutant(row, base, asked), rows), len(rows), options.verbose))
    least = LEAST_SCORE if options.changed is None else LEAST_SCORE_OF_A_SHARE
    return report(verdicts, left_out, time.monotonic() - begun, least)


def show(verdicts: Iterable[Verdict], count: int, is_verbose: bool) -> Iterator[Verdict]:
    """Print a line for each mutant as it ends."""
    for number, verdict in enumerate(verdicts, 1):
        by = f"  [{verdict.by}]" if is_verbose or verdict.outcome == "broken" else ""
        what = f"{verdict.row.table}: {verdict.row.breaks}{by}"
        print(f"{number:4}/{count} {verdict.outcome:9}{verdict.seconds:6.1f} s  {what}", flush=True)
        yield verdict


if __name__ == "__main__":
    sys.exit(main())
