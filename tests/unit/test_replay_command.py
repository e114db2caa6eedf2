"""`cidrmatch replay`: what is compared, what is said to whom, and how the call ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import Engine
from cidrmatch.cli import output
from tests.unit.test_access_logs import HAPROXY
from tests.unit.test_cli import run, run_json, run_on_terminal, write

LINE = '{address} - {key} [29/Nov/2026:19:43:{second:02} +0000] "GET /v1/{second} HTTP/1.1" {status} 5\n'
CONFIG = """
format = 1
policy = {{ name = "acme", max_entries = 2 }}
[[keys]]
id = "key_1"
created_at = 2026-01-01T00:00:00Z
entries = {entries}
[end]
"""


def line(address: str, key: str = "-", status: int = 200, second: int = 0) -> str:
    return LINE.format(address=address, key=key, status=status, second=second)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log, lists and configurations, and no wish about colours in the environment."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)
    write(
        "access.log",
        line("203.0.113.7") + line("198.51.100.7", "key_1", 403, 1) + line("198.51.100.7", "key_2", 200, 2),
    )
    write("new.txt", "203.0.113.0/24\n")
    write("old.txt", "198.51.100.0/24\n")
    write("keys.toml", CONFIG.format(entries='["198.51.100.0/24"]'))
    write("new.toml", CONFIG.format(entries='["203.0.113.0/24"]'))
    return tmp_path


def test_B31_a_list_is_tried_on_the_requests_of_a_log() -> None:
    result = run("replay", "access.log", "--list", "new.txt")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "replayed: 3 requests of 1 log; before: every request passed",
        "- newly blocked: 2 requests, from 1 address",
        "            2  the address is not on the allow list",
        "            2  address 198.51.100.7",
        "    for example access.log:2: GET /v1/1 from 198.51.100.7: the address is not on the allow list",
        "+ newly allowed: 0 requests",
        "  unchanged: 1 allowed, 0 denied",
    ]


def test_a_list_that_changes_nothing_is_exit_0() -> None:
    write("all.txt", "203.0.113.0/24\n198.51.100.7\n")
    result = run("replay", "access.log", "access.log", "--list", "all.txt")
    assert result.exit_code == 0
    assert result.stdout.startswith("replayed: 6 requests of 2 logs;")
    assert "  unchanged: 6 allowed, 0 denied" in result.stdout


def compared(*arguments: str, code: int = 1) -> tuple[int, int, int, int, str]:
    found = run_json("replay", "access.log", *arguments, code=code)
    blocked, allowed = found["newly_blocked"], found["newly_allowed"]
    return blocked["requests"], allowed["requests"], found["still_allowed"], found["still_denied"], found["before"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--list", "new.txt", "--before", "old.txt"], (2, 1, 0, 0, "old.txt")),
        (["--list", "new.txt", "--key", "key_1", "--before-config", "keys.toml"], (2, 1, 0, 0, "keys.toml")),
        (["--config", "new.toml", "--key", "key_1", "--before", "old.txt"], (2, 1, 0, 0, "old.txt")),
        (["--config", "new.toml", "--key", "key_1", "--before-config", "keys.toml"], (2, 1, 0, 0, "keys.toml")),
        (["--config", "keys.toml", "--key", "key_1", "--list", "new.txt"], (2, 1, 0, 0, "keys.toml")),
        (["--config", "keys.toml", "--key", "key_9", "--list", "new.txt"], (0, 1, 0, 2, "keys.toml")),
        (["--config", "keys.toml", "--key", "key_1"], (1, 0, 2, 0, "every request passed")),
        (["--config", "keys.toml", "--key-field", "user"], (1, 0, 1, 0, "every request passed")),
        (
            ["--list", "new.txt", "--blocked-status", "403"],
            (1, 0, 1, 1, "the log, where 403 is the status of a blocked request"),
        ),
    ],
)
def test_B31_both_sides_are_a_list_a_configuration_or_the_log(arguments: list[str], expected: tuple[Any, ...]) -> None:
    assert compared(*arguments) == expected


def test_a_snapshot_is_asked_on_either_side(folder: Path) -> None:
    for name, entries in (("old.snap", ["198.51.100.0/24"]), ("new.snap", ["203.0.113.0/24"])):
        engine = Engine(id_secret=b"0" * 32)
        engine.put_key("key_1", entries)
        engine.save(folder / name)
    write("secret", "0" * 32)
    given = ["--key", "key_1", "--id-secret-file", "secret"]
    assert compared("--snapshot", "new.snap", "--before-snapshot", "old.snap", *given)[:4] == (2, 1, 0, 0)
    assert compared("--snapshot", "old.snap", "--list", "new.txt", *given)[:4] == (2, 1, 0, 0)


def test_json_has_all_facts_and_is_bounded() -> None:
    write(
        "access.log",
        "".join(line(f"192.0.2.{number}", f"key_{number}", second=number) for number in range(50)) + "junk\n",
    )
    found = run_json(
        "replay", "access.log", "--list", "new.txt", "--key-field", "user", "--top", "4", "--examples", "2", code=1
    )
    blocked = found["newly_blocked"]
    assert (blocked["requests"], blocked["keys"], blocked["addresses"]) == (50, 50, 50)
    assert [len(blocked[name]) for name in ("by_key", "by_address", "examples")] == [4, 4, 2]
    assert found["logs"] == [
        {
            "log": "access.log",
            "format": "common",
            "requests": 50,
            "unreadable": 1,
            "problems": [
                {
                    "place": "access.log:51",
                    "reason": "is not common: ident was expected after column 4",
                    "line": "'junk'",
                }
            ],
        }
    ]
    assert blocked["examples"][0]["place"] == "access.log:1"


def test_B26_what_is_left_out_is_told_on_stderr_and_with_strict_is_exit_2() -> None:
    write(
        "access.log",
        line("203.0.113.7", "key_1") + "junk\x1b[2J\n" * 7 + line("010.0.0.1", "key_1") + line("203.0.113.8"),
    )
    result = run("replay", "access.log", "--config", "new.toml", "--key-field", "user", "--blocked-status", "403")
    assert result.exit_code == 1
    told = result.stderr.splitlines()
    assert told[0] == r"access.log:2: warning: is not common: ident was expected after column 8: 'junk\x1b[2J'"
    assert [each.partition(":")[0] for each in told[:5]] == ["access.log"] * 5
    assert told[5:] == [
        "access.log: warning: 7 lines could not be read, and were not asked",
        "access.log:9: warning: '010.0.0.1' is no address: an octet has no leading zero"
        " (some programs would read it as octal)",
        "warning: without an address: 1 request",
        "warning: not asked, because no key is named: 1 request",
    ]
    example = "for example access.log:9: GET /v1/0 from 010.0.0.1 with 'key_1': an octet has no leading zero"
    assert example in result.stdout
    write("good.txt", "203.0.113.0/24\n198.51.100.0/24\n")
    write("some.log", line("203.0.113.7") + "junk\n")
    assert run("replay", "some.log", "--list", "good.txt").exit_code == 0
    assert run("replay", "some.log", "--list", "good.txt", "--strict").exit_code == 2
    assert run("replay", "access.log", "--list", "good.txt", "--blocked-status", "403", "--strict").exit_code == 2


def test_times_that_nobody_knows_are_told() -> None:
    entry = '{ prefix = "203.0.113.0/24", not_before = 2026-11-29T19:00:00Z }'
    write("keys.toml", CONFIG.format(entries=f"[{entry}]"))
    write("haproxy.log", HAPROXY + "\n")
    call = ["replay", "haproxy.log", "--config", "keys.toml", "--key", "key_1"]
    assert "because their time is not known: 1 request" in run(*call).stderr
    assert run(*call, "--timezone", "UTC").exit_code == 0
    assert run(*call, "--timezone", "Europe/Vienna").exit_code == 1
    assert run(*call, "--at", "2026-11-29T19:00:00Z").exit_code == 0
    assert run(*call, "--at", "2026-11-29T19:00:00+01:00").exit_code == 1


def test_B28_the_client_behind_trusted_proxies_is_replayed() -> None:
    write("own.log", "192.0.2.1 203.0.113.7\n203.0.113.9 198.51.100.1\n")
    call = ["replay", "own.log", "--list", "new.txt", "--format", "$remote_addr $http_x_forwarded_for"]
    assert "1 request, from 1 address" in run(*call).stdout
    behind = [*call, "--header-field", "http_x_forwarded_for"]
    assert run(*behind, "--trusted-proxy", "192.0.2.1").exit_code == 0
    assert run(*behind, "--trusted-hops", "1", "--trusted-proxy", "192.0.2.0/24").exit_code == 0
    assert "198.51.100.1" in run(*behind, "--trusted-hops", "1").stdout


def test_a_json_log_is_read_by_the_names_given() -> None:
    write("app.log", json.dumps({"ip": "203.0.113.7", "k": "key_1", "s": 403, "m": "PUT", "p": "/x", "t": 5}) + "\n")
    names = ["--address-field", "ip", "--key-field", "k", "--status-field", "s", "--method-field", "m"]
    names += ["--path-field", "p", "--time-field", "t"]
    found = run_json(
        "replay", "app.log", "--format", "json", *names, "--list", "new.txt", "--blocked-status", "403", code=1
    )
    (example,) = found["newly_allowed"]["examples"]
    assert {name: example[name] for name in ("key", "method", "path", "time")} == {
        "key": "key_1",
        "method": "PUT",
        "path": "/x",
        "time": 5.0,
    }


def test_B18_a_preset_must_take_the_list() -> None:
    write("broad.txt", "10.0.0.0/8\n")
    result = run("replay", "access.log", "--list", "broad.txt", "--preset", "bitbybit")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "broad.txt:1: error: '10.0.0.0/8': an IPv4 range broader than /9" in result.stderr
    assert run("replay", "access.log", "--list", "new.txt", "--preset", "bitbybit").exit_code == 1
    found = run_json("replay", "access.log", "--list", "broad.txt", "--preset", "bitbybit", code=1)
    assert found["errors"][0]["at"] == "broad.txt:1"


def test_a_list_that_the_policy_of_the_configuration_refuses_is_refused() -> None:
    write("many.txt", "192.0.2.1\n192.0.2.2\n192.0.2.3\n")
    result = run("replay", "access.log", "--config", "keys.toml", "--key", "key_1", "--list", "many.txt")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "refused" in result.stderr
    result = run("replay", "access.log", "--list", "bad.txt")
    assert result.exit_code == 2
    write("bad.txt", "203.0.113.7/24\n")
    result = run("replay", "access.log", "--list", "bad.txt")
    assert (result.exit_code, "did you mean 203.0.113.0/24?" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "what is proposed? name --list, --config or --snapshot"),
        (["--config", "keys.toml", "--snapshot", "a"], "are two files; name one"),
        (["--config", "keys.toml", "--list", "new.txt"], "name it with --key"),
        (["--config", "keys.toml", "--preset", "bitbybit"], "--preset judges --list by itself"),
        (["--list", "new.txt", "--preset", "acme"], "is no preset"),
        (
            ["--list", "new.txt", "--before", "old.txt", "--blocked-status", "403"],
            "--before and --blocked-status say",
        ),
        (["--list", "-", "--before", "-"], "standard input can be read only once"),
        (["--list", "new.txt", "--format", "jsonl"], "is no format of a log"),
        (["--list", "new.txt", "--key", "a", "--key-field", "user"], "name one"),
        (["--list", "new.txt", "--trusted-proxy", "192.0.2.1"], "name both"),
        (["--list", "new.txt", "--trusted-hops", "0"], "a count of hops is 1 to"),
        (["--list", "new.txt", "--trusted-proxy", "0.0.0.0/0", "--header-field", "x"], "0.0.0.0/0"),
        (["--list", "new.txt", "--timezone", "Mars"], "is no time zone"),
        (["--list", "new.txt", "--at", "now"], "is no time of ISO 8601"),
        (["--list", "new.txt", "--at", "2026-06-16"], "needs a time zone"),
        (["--list", "new.txt", "--top", "-1"], "top"),
    ],
)
def test_a_call_that_makes_no_sense_is_exit_2_and_says_why(arguments: list[str], error: str) -> None:
    result = run("replay", "access.log", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert error in " ".join(result.stderr.replace("│", "").split())


def test_a_log_of_which_nothing_can_be_asked_is_exit_2() -> None:
    write("junk.log", "junk\n")
    own = ("--format", "json", "--address-field", "ip", "--status-field")
    write("own.log", '{"ip": "198.51.100.7", "status": 200}\n')
    write("both.log", line("203.0.113.7") + line("203.0.113.7").strip() + ' "-" "-"\n')
    for call, error in (
        (["none.log", "--list", "new.txt"], "none.log: cannot be read: No such file"),
        (["junk.log", "--list", "new.txt"], "junk.log: its first lines fit no format that is known"),
        (
            ["junk.log", "--list", "new.txt", "--format", "common"],
            "none of 1 line can be read as an access log",
        ),
        (["both.log", "--list", "new.txt"], "its first lines fit common and combined; name the format (--format)"),
        (["access.log", "junk.log", "--list", "new.txt", "--format", "common"], "none of 1 line can be read"),
        (["access.log", "--config", "new.toml"], "none of 3 requests names a key: name it (--key)"),
        (
            ["own.log", "--list", "new.txt", *own, "x", "--blocked-status", "403"],
            "none of 1 request tells what was decided then",
        ),
        (
            ["access.log", "--list", "new.txt", "--key-field", "x"],
            "the format common has no field 'x'; it has",
        ),
    ):
        result = run("replay", *call)
        assert (result.exit_code, result.stdout) == (2, ""), call
        assert error in result.stderr
    write("empty.log", "")
    assert run("replay", "empty.log", "--list", "new.txt").exit_code == 0


def test_a_log_may_come_by_standard_input() -> None:
    result = run("replay", "-", "--list", "new.txt", stdin=line("198.51.100.7"))
    assert (result.exit_code, "<stdin>:1: GET" in result.stdout) == (1, True)


def test_a_long_log_shows_progress_on_a_terminal_and_only_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    call = ["replay", "access.log", "--list", "new.txt"]
    assert run_on_terminal(monkeypatch, *call)[2] == ""
    monkeypatch.setattr(output, "_LONG_FILE", 10)
    code, stdout, stderr = run_on_terminal(monkeypatch, *call)
    assert (code, "Reading the logs: access.log" in stderr, "Reading" in stdout) == (1, True, False)
    assert run(*call).stderr == ""
    monkeypatch.setattr(sys, "stderr", None)
    with output.progress_of_bytes("Reading", ["access.log"]) as watch:
        assert watch is None


def test_control_characters_of_a_log_never_reach_a_terminal() -> None:
    write("access.log", 'x\x1b[2J\u202ey - - [29/Nov/2026:19:43:00 +0000] "GET /\x1b[2J HTTP/1.1" 200 5\n')
    result = run("replay", "access.log", "--list", "new.txt")
    assert all(part.isprintable() for part in (result.stdout + result.stderr).split("\n"))
    assert r"x\x1b[2J\u202ey" in result.stdout
