"""`cidrmatch usage`: what is said, with which exit status; every command and every option.

Requirements: B26, B27, B29.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from cidrmatch.service.usage.command import moment_of, usage
from cidrmatch.service.usage.exporting import read_csv, read_json_lines
from cidrmatch.service.usage.filters import UsageFilter
from cidrmatch.service.usage.masks import Mask
from cidrmatch.service.usage.parquet import read_parquet
from tests.servers import ROOT
from tests.usage.usage_stand import make_guard, note_random, opened, peer_guard

if TYPE_CHECKING:
    from cidrmatch.service.usage.log import UsageLog


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UsageLog]:
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIDRMATCH_USAGE", url)
    monkeypatch.setenv("NO_COLOR", "1")
    with opened(url) as log:
        note_random(log, make_guard(), seed=5, count=200)
        assert log.flush()
        yield log


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(usage, list(arguments), prog_name="cidrmatch usage")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == code, result.output
    return result


def numbers(*arguments: str) -> list[int]:
    return [json.loads(line)["number"] for line in run("list", "--json", *arguments).stdout.splitlines()]


def test_list_shows_the_newest_first_one_a_line(log: UsageLog) -> None:
    lines = run("list", "--limit", "3", "--blocked").stdout.splitlines()
    records = log.find(UsageFilter(blocked=True), limit=3)
    assert len(lines) == 3
    for line, record in zip(lines, records, strict=True):
        moment, rest = line.split("  ", 1)
        assert moment.endswith("+00:00")
        assert rest.startswith(f"denied {record.stopped_at or record.reason}")
        assert str(record.status) in rest
    assert json.loads(run("list", "--json", "--limit", "1").stdout) == {
        **log.find(limit=1)[0].to_dict(),
        "trail": list(log.find(limit=1)[0].trail),
    }


def test_pages_follow_each_other(log: UsageLog) -> None:
    everything = numbers("--limit", "1000")
    first = numbers("--limit", "7")
    assert first + numbers("--limit", "1000", "--after", str(first[-1])) == everything
    assert numbers("--limit", "1000", "--oldest-first") == everything[::-1]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--key", "key_1"], UsageFilter(key="key_1")),
        (["--method", "GET", "--method", "DELETE"], UsageFilter(method=("GET", "DELETE"))),
        (["--status", "403", "--key", "key_1"], UsageFilter(status=403, key="key_1")),
        (["--reason", "no_key"], UsageFilter(reason="no_key")),
        (["--blocked"], UsageFilter(blocked=True)),
        (["--passed"], UsageFilter(blocked=False)),
        (["--within", "203.0.113.0/24"], UsageFilter(within="203.0.113.0/24")),
        (["--within-list", "list.txt"], UsageFilter(within="198.51.100.0/24")),
        (["--path", "/v2"], UsageFilter(path="/v2")),
        (["--path-prefix", "/v1"], UsageFilter(path_prefix="/v1")),
        (["--request-id", "r7"], UsageFilter(request_id="r7")),
        (["--since", "1h", "--until", "2100-01-01T00:00:00Z"], UsageFilter()),
        (["--since", "2100-01-01T00:00:00+01:00"], UsageFilter(status=999)),
        (["--until", "5m"], UsageFilter(status=999)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_B26_each_option_is_a_filter(log: UsageLog, tmp_path: Path, arguments: list[str], wanted: UsageFilter) -> None:
    (tmp_path / "list.txt").write_text("198.51.100.0/24\n")
    assert numbers("--limit", "1000", *arguments) == [record.number for record in log.find(wanted, limit=1_000)]


def test_B27_export_writes_what_matches_in_each_format(log: UsageLog, tmp_path: Path) -> None:
    expected = log.find(UsageFilter(key="key_1"), limit=1_000, oldest_first=True)
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        run("export", "--key", "key_1", "-o", name)
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as lines:
        assert list(read_csv(lines)) == expected
    assert list(read_json_lines((tmp_path / "out.jsonl").read_text().splitlines())) == expected
    assert list(read_parquet("out.parquet")) == expected
    data = run("export", "--key", "key_1").stdout_bytes
    assert list(read_csv(io.StringIO(data.decode(), newline=""))) == expected
    assert "say --format" in run("export", "-o", "out.xlsx", code=2).stderr
    assert "out/of/place.csv" in run("export", "-o", "out/of/place.csv", code=2).stderr
    assert not list(tmp_path.glob("*.part"))


def test_B29_top_counts_by_a_value(log: UsageLog) -> None:
    by_address = json.loads(run("top", "--by", "address", "--blocked", "--limit", "2", "--json").stdout)
    expected = log.sums("address", UsageFilter(blocked=True), limit=2)
    assert by_address == {"ok": True, "by": "address", "sums": [each._asdict() for each in expected]}
    lines = run("top", "--by", "hour").stdout.splitlines()
    assert 1 <= len(lines) <= 2
    assert "blocked  20" in lines[0]
    assert "blocked  -" in run("top").stdout


def test_tail_prints_each_record_that_comes_once(log: UsageLog) -> None:
    words = [
        sys.executable,
        "-m",
        "cidrmatch",
        "usage",
        "tail",
        "--json",
        "-n",
        "2",
        "--key",
        "key_9",
        "--seconds",
        "60",
    ]
    found = peer_guard().check("key_9", "203.0.113.9")
    for number in range(3):
        log.note(found, path=f"/before/{number}")
    assert log.flush()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        paths = [json.loads(child.stdout.readline())["path"] for _ in range(2)]
        for number in range(20):
            log.note(found, path=f"/after/{number}")
            time.sleep(0.01)
        paths += [json.loads(child.stdout.readline())["path"] for _ in range(20)]
        child.terminate()
    assert paths == ["/before/1", "/before/2", *(f"/after/{number}" for number in range(20))]


def test_a_gap_is_printed_as_such(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        log.note(peer_guard().check("key_1", "203.0.113.9"), path=7)  # type: ignore[arg-type]
        assert log.flush()
        shown = run("list", "--url", f"sqlite:///{tmp_path / 'usage.db'}").stdout
    assert "warning: 1 record lost within 0.0 s (lost_refused)" in shown


def test_texts_of_clients_are_printed_escaped(log: UsageLog) -> None:
    log.note(peer_guard().check("key_1", "203.0.113.9"), path="/\x1b[2J\nevil", request_id="\u202e")
    assert log.flush()
    (line,) = run("list", "--limit", "1").stdout.splitlines()
    assert "/\\x1b[2J\\nevil" in line
    assert "\\u202e" in line


def test_a_key_that_is_hashed_is_found_with_the_secret(tmp_path: Path) -> None:
    url, secret = f"sqlite:///{tmp_path / 'usage.db'}", b"nobody guesses it"
    (tmp_path / "secret").write_bytes(secret)
    with opened(url, mask=Mask(key="hash", secret=secret)) as log:
        log.note(peer_guard().check("key_1", "203.0.113.9"))
        assert log.flush()
        found = ["--url", url, "--key", "key_1", "--json"]
        assert len(run("list", *found, "--mask-secret-file", str(tmp_path / "secret")).stdout.splitlines()) == 1
        assert run("list", *found).stdout == ""
    assert "nothere" in run("list", "--url", url, "--mask-secret-file", "nothere", code=2).stderr
    assert "cut to /24" in run("list", "--url", url, "--within", "203.0.113.9", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "sqlite:///other.db"], "there is no such file"),
        (["--url", "mysql://x/y"], "not in 'mysql'"),
        (["--since", "yesterday"], "--since is a moment with its zone"),
        (["--until", "2026-01-01T00:00:00"], "--until is a moment with its zone"),
        (["--status", "7"], "status is a number from 100 to 999"),
        (["--within", "203.0.113.9/24"], "host bits are set"),
        (["--within", "::/0", "--within-list", "x"], "give one of the two"),
    ],
)
def test_a_wrong_call_is_told_so(log: UsageLog, arguments: list[str], message: str) -> None:
    assert message in run("list", *arguments, code=2).stderr
    assert not Path("other.db").exists()


def test_a_call_without_a_log_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CIDRMATCH_USAGE", raising=False)
    assert "which log?" in run("top", code=2).stderr


def test_how_long_ago() -> None:
    for text, seconds in (("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800)):
        assert moment_of("--since", text) == pytest.approx(time.time() - seconds, abs=5)


def test_the_command_is_hung_into_the_whole() -> None:
    words = [sys.executable, "-m", "cidrmatch", "usage", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in ("list", "tail", "export", "top"))
