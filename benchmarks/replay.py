"""What a replay of an access log costs, beside reading the lines, and beside asking the engine line by line.

    python -m benchmarks.replay              a million lines of the combined format, five rounds, some minutes
    python -m benchmarks.replay 100000 3     fewer lines, fewer rounds

    floor      reads the file in blocks and splits the lines; looks at nothing
    simple     for each line: one regular expression, `Engine.allows` before and after; what one would write
    replay     `replay(AccessLog(...), after, before)`, in Python
    command    `cidrmatch replay --json`, from the start of the process to its end

Each contestant is a process of its own, so its start counts.  They take turns, in a new order each round.  The answers
of the last three are compared in each round, before any number is told.  Two logs: addresses that come again (100,000
different ones), and a different address in each line.  A tenth of the requests change their answer.

Seconds are those of the processor, user and system, so another program on the machine changes little; the wall clock is
told beside them.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from benchmarks import machine

_LINE = (
    '{} - - [29/Nov/2026:{:02}:{:02}:{:02} +0000] "GET /v1/items/{}?page={} HTTP/1.1" 200 {} '
    '"https://www.example.com/page/{}" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) '
    'Chrome/120.0 Safari/537.36"\n'
)
_BEFORE = [f"{first}.0.0.0/8" for first in range(1, 224)]
_AFTER = [f"{first}.0.0.0/8" for first in range(1, 202)]

_FLOOR = """
import sys
lines = 0
with open(sys.argv[1], "rb") as log:
    while block := log.read(1 << 20):
        lines += len(block.split(b"\\n")) - 1
print(lines)
"""
_ENGINES = """
import json, re, sys
from cidrmatch import AllowList, Engine
from cidrmatch.files.lists import read_list
before, after = Engine(), Engine()
before.put_key("key_1", read_list(sys.argv[2]).entries)
after.put_key("key_1", read_list(sys.argv[3]).entries)
"""
_SIMPLE = (
    _ENGINES
    + r"""
line_of = re.compile(r'(\S+) \S+ \S+ \[[^\]]+\] "[^"]*" \d{3} (?:\d+|-) "[^"]*" "[^"]*"\n')
blocked = allowed = 0
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        address = line_of.fullmatch(line)[1]
        was, will = before.allows("key_1", address), after.allows("key_1", address)
        blocked += was and not will
        allowed += will and not was
print(json.dumps([blocked, allowed]))
"""
)
_REPLAY = (
    _ENGINES
    + """
from cidrmatch.advice.replay import replay
from cidrmatch.files.access_logs import AccessLog, LogOptions
report = replay(AccessLog(sys.argv[1], LogOptions(key="key_1")), after, before)
print(json.dumps([report.newly_blocked.requests, report.newly_allowed.requests]))
"""
)


class Cost(NamedTuple):
    """What one process cost."""

    seconds: float
    wall: float


def write_log(path: Path, lines: int, distinct: int) -> None:
    """Write a log of a seeded generator; with `distinct` 0 each line has an address of its own."""
    draw = random.Random(7)
    many = distinct or lines
    pool = [0x01000000 + n * (0xDF000000 // many) for n in range(many)]
    draw.shuffle(pool)
    with path.open("w", encoding="ascii") as log:
        for n in range(lines):
            number = draw.choice(pool) if distinct else pool[n]
            address = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
            at = n // 20
            numbers = (n % 997, n % 7, draw.randrange(9_999), n % 13)
            log.write(_LINE.format(address, at // 3600 % 24, at // 60 % 60, at % 60, *numbers))


def cost_of(words: list[str]) -> tuple[Cost, str]:
    """Run a process; give its cost and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wall, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1) or done.stderr:
        raise SystemExit(done.stderr)
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall), done.stdout


def run(log: Path, lines: int, rounds: int, folder: Path) -> dict[str, list[Cost]]:
    """Let all contestants take turns; compare their answers in each round."""
    before, after = folder / "before.txt", folder / "after.txt"
    before.write_text("\n".join(_BEFORE), encoding="ascii")
    after.write_text("\n".join(_AFTER), encoding="ascii")
    python, arguments = sys.executable, [str(log), str(before), str(after)]
    command = [python, "-m", "cidrmatch", "replay", "--json", str(log), "--list", str(after), "--before", str(before)]
    contestants = {
        "floor": [python, "-c", _FLOOR, str(log)],
        "simple": [python, "-c", _SIMPLE, *arguments],
        "replay": [python, "-c", _REPLAY, *arguments],
        "command": command,
    }
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    order, answers = list(contestants), {}
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            cost, answers[name] = cost_of(contestants[name])
            costs[name].append(cost)
        compare(answers, lines)
    return costs


def compare(answers: dict[str, str], lines: int) -> None:
    """Stop if two contestants do not agree."""
    told = json.loads(answers["command"])
    found = [told[name]["requests"] for name in ("newly_blocked", "newly_allowed")]
    simple, replayed = json.loads(answers["simple"]), json.loads(answers["replay"])
    if not (found == simple == replayed and int(answers["floor"]) == told["requests"] == lines and found[0] > 0):
        raise SystemExit(f"the answers differ: {simple}, {replayed}, {found}, {answers['floor']}")


def main() -> None:
    """Measure both logs, and print a table for each."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(json.dumps(machine.facts(["python", "-m", "benchmarks.replay", *sys.argv[1:]])))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, distinct in (("100,000 addresses", 100_000), ("all different", 0)):
            log = folder / "access.log"
            write_log(log, lines, distinct)
            costs = run(log, lines, rounds, folder)
            print(f"{lines:,} lines, {log.stat().st_size / 1e6:.0f} MB, {title}, {rounds} rounds")
            for who, each in costs.items():
                ratio = median(cost.seconds / floor.seconds for cost, floor in zip(each, costs["floor"], strict=True))
                seconds, wall = median(cost.seconds for cost in each), median(cost.wall for cost in each)
                print(f"  {who:8} {seconds:6.2f} s of the processor, {wall:6.2f} s on the wall, {ratio:5.1f} x floor")


if __name__ == "__main__":
    main()
