"""What the command costs for a million lines, as a whole process, beside `grepcidr` on the same job.

    python -m benchmarks.command               a million lines, five rounds
    python -m benchmarks.command 100000 3      fewer lines, fewer rounds

    few addresses     a list of a million lines, two addresses           cidrmatch check LIST A B
    many addresses    a list of ten thousand lines, a million addresses  cidrmatch check LIST - < ADDRESSES
                                                                         grepcidr -f LIST < ADDRESSES
    both              a list and addresses of a million lines each       the same
    validate          a list of a million lines, a third of which other     cidrmatch validate LIST
                      entries cover

First the answers are compared: the addresses that are allowed are those that grepcidr prints.  Both programs then take
turns.  Seconds are those of the clock, so the machine has to be quiet; the processor's seconds of the child (user and
system) and its largest memory stand beside them.  Output goes to a file that is thrown away.

grepcidr (Debian package `grepcidr`) merges its list and prints the lines that match, without the entry; cidrmatch names
for each address the entry and its line.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

from benchmarks import machine

COMMAND = (sys.executable, "-m", "cidrmatch")
GREPCIDR = shutil.which("grepcidr")


def write_list(path: Path, count: int, lengths: list[int]) -> None:
    source = random.Random(1_618)
    with path.open("w", encoding="ascii") as file:
        for _ in range(count):
            length = source.choice(lengths)
            first = source.randrange(1 << 24, 224 << 24) >> (32 - length) << (32 - length)
            file.write(f"{IPv4Address(first)}/{length}\n")


def write_addresses(path: Path, count: int) -> None:
    source = random.Random(2_718)
    with path.open("w", encoding="ascii") as file:
        file.writelines(f"{IPv4Address(source.randrange(1 << 24, 224 << 24))}\n" for _ in range(count))


RUNNER = """
import json, os, sys, time
stdin, stdout, *command = sys.argv[1:]
began = time.perf_counter()
child = os.posix_spawn(command[0], command, os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
])
_, status, usage = os.wait4(child, 0)
took = time.perf_counter() - began
print(json.dumps([os.waitstatus_to_exitcode(status), took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024]))
"""
"""Starts a command and reports about it; it is small, because a child begins with the memory of its parent."""


def run(command: tuple[str, ...], stdin: Path | None, stdout: Path) -> tuple[float, float, int]:
    """Run a command; return its seconds by the clock, those of the processor, and its largest memory in MB."""
    told = subprocess.run(
        [sys.executable, "-ISc", RUNNER, str(stdin or os.devnull), str(stdout), *command],
        capture_output=True,
        check=True,
    )
    status, clock, processor, memory = json.loads(told.stdout)
    if status not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return clock, processor, memory


def check_equal(folder: Path, listed: Path, asked: Path) -> None:
    """Compare the answers of both programs."""
    run((*COMMAND, "check", str(listed), "-"), asked, folder / "ours")
    run((str(GREPCIDR), "-f", str(listed)), asked, folder / "theirs")
    ours = [line.split()[1] for line in (folder / "ours").read_text().splitlines() if line.startswith("allowed")]
    if ours != (folder / "theirs").read_text().split():
        raise SystemExit(f"the answers differ for {listed.name}")


def main(count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        long, short, nested, asked = (folder / file for file in ("long.txt", "short.txt", "nested.txt", "asked.txt"))
        write_list(long, count, [32, 32, 32, 28, 24])
        write_list(short, count // 100, [32, 28, 24, 20])
        write_list(nested, count, [24] * 60 + [22] * 38 + [16] * 2)
        write_addresses(asked, count)
        jobs: dict[str, tuple[tuple[str, ...], Path | None]] = {
            "few addresses": ((*COMMAND, "check", str(long), "1.2.3.4", "198.51.100.7"), None),
            "many addresses": ((*COMMAND, "check", str(short), "-"), asked),
            "both": ((*COMMAND, "check", str(long), "-"), asked),
            "validate": ((*COMMAND, "validate", str(nested)), None),
            "validate --quiet": ((*COMMAND, "validate", str(nested), "--quiet"), None),
        }
        if GREPCIDR is not None:
            for listed in (short, long):
                check_equal(folder, listed, asked)
            jobs["many addresses, grepcidr"] = (GREPCIDR, "-f", str(short)), asked
            jobs["both, grepcidr"] = (GREPCIDR, "-f", str(long)), asked
        found: dict[str, list[tuple[float, float, int]]] = {job: [] for job in jobs}
        for _ in range(rounds):
            for job, (command, stdin) in jobs.items():
                found[job].append(run(command, stdin, folder / "output"))
        for job, runs in found.items():
            clock, processor, memory = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"{job:26} {clock:6.2f} s   processor {processor:6.2f} s   {memory:5.0f} MB")
    print(json.dumps(machine.facts(["python", "-m", "benchmarks.command", *sys.argv[1:]])))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:])) if len(sys.argv) == 3 else main(1_000_000, 5)
