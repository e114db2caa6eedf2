"""Many addresses in one call: from standard input or a file, with junk among them, about a list or about a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from cidrmatch.cli import addresses
from cidrmatch.cli import app as cli

if TYPE_CHECKING:
    from collections.abc import Iterable

OFFICE = "prefix,label\n198.51.100.0/24,Büro\n198.51.100.128/25,\n203.0.113.5,Gate\n"
KEYS = """
format = 1
policy = { name = "acme" }
[[keys]]
id = "key_1"
created_at = 2026-07-01T00:00:00Z
entries = ["198.51.100.0/24", { prefix = "198.51.100.128/25", label = "Upstairs" }]
[end]
"""
ADDRESSES = ("198.51.100.1", "198.51.100.200", "203.0.113.5", "192.0.2.1", "2001:DB8:0::1", "::ffff:203.0.113.5")
JUNK = ("junk", "203.0.113.5/32", "203.0.113.05", "1", "büro", "203.0.113.5 x", "fe80::1%eth0", "\x1b[2J")
SUBJECTS = (["office.csv"], ["key_1", "--config", "keys.toml"], ["key_1", "--snapshot", "keys.snap"])


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterable[None]:
    """A folder with a list, a configuration and its snapshot; each test only reads them."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("addresses"))
    Path("office.csv").write_text(OFFICE, encoding="utf-8")
    Path("keys.toml").write_text(KEYS, encoding="utf-8")
    run("compile", "keys.toml", "-o", "keys.snap")
    yield
    os.chdir(before)


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(cli.app, list(arguments), stdin, prog_name="cidrmatch")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def single_calls(command: str, subject: list[str], asked: Iterable[str]) -> tuple[str, int]:
    """What calls with one address each print, and the status of all of them together."""
    results = [run(command, subject[0], address, *subject[1:]) for address in asked]
    return "".join(result.stdout for result in results), max(result.exit_code for result in results)


# -- The same answers as single calls -----------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS, ids=" ".join)
@pytest.mark.parametrize("command", ["check", "explain"])
def test_a_file_of_addresses_is_answered_as_single_calls_are(command: str, subject: list[str]) -> None:
    expected = single_calls(command, subject, ADDRESSES)
    Path("seen.txt").write_text("\n".join(ADDRESSES), encoding="ascii")
    from_file = run(command, *subject, "--addresses", "seen.txt")
    from_stdin = run(command, subject[0], "-", *subject[1:], stdin="\r\n".join(ADDRESSES) + "\r\n")
    by_option = run(command, *subject, "--addresses", "-", stdin="\ufeff" + "  # seen\n\n".join(ADDRESSES))
    for result in (from_file, from_stdin, by_option):
        assert (result.stdout, result.exit_code, result.stderr) == (*expected, "")


def test_all_allowed_is_status_zero_and_one_denied_is_one() -> None:
    assert run("check", "office.csv", "-", stdin="203.0.113.5\n198.51.100.1").exit_code == 0
    assert run("check", "office.csv", "-", stdin="203.0.113.5\n192.0.2.1\n198.51.100.1").exit_code == 1
    assert run("explain", "office.csv", "-", stdin="203.0.113.5").exit_code == 0


@pytest.mark.parametrize("subject", SUBJECTS, ids=" ".join)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(lines=st.lists(st.sampled_from([*ADDRESSES, *JUNK, "", "# x"]), min_size=1, max_size=12))
def test_junk_anywhere_changes_no_other_answer(subject: list[str], lines: list[str]) -> None:
    good = [line for line in lines if line in ADDRESSES]
    junk = [number for number, line in enumerate(lines, 1) if line in JUNK]
    result = run("check", subject[0], "-", *subject[1:], stdin="\n".join(lines))
    expected = single_calls("check", subject, good) if good else ("", 2)
    assert result.stdout == expected[0]
    assert result.exit_code == (2 if junk else expected[1])
    told = result.stderr.splitlines()
    assert [line.split(": ")[0] for line in told[:-1]] == [f"<stdin>:{number}" for number in junk]
    assert result.stderr.isascii()
    assert "\x1b" not in result.stderr


def test_junk_is_told_with_its_place_and_counted_at_the_end() -> None:
    result = run("check", "office.csv", "-", stdin="203.0.113.5\n203.0.113.05\n# fine\njunk\n192.0.2.1\n")
    assert (result.exit_code, len(result.stdout.splitlines())) == (2, 2)
    assert result.stderr.splitlines() == [
        "<stdin>:2: error: '203.0.113.05' is not an address: an octet has no leading zero (some programs would read it"
        " as octal) (at position 10); did you mean 203.0.113.5?",
        "<stdin>:4: error: 'junk' is not an address: unexpected character 'j' (at position 0)",
        "error: 2 lines of <stdin> cannot be read as an address",
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 16, 64])
def test_blocks_cut_no_line_and_lose_no_number(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_BLOCK_SIZE", size)
    asked = [*ADDRESSES, "junk", *ADDRESSES]
    result = run("check", "office.csv", "-", stdin="\ufeff" + "\n".join(asked))
    assert result.stdout == single_calls("check", ["office.csv"], ADDRESSES)[0] * 2
    assert result.stderr.startswith("<stdin>:7: error: ")


@pytest.mark.parametrize("line", ["203.0.113.5 # x\r192.0.2.1", "# x\r192.0.2.1", "192.0.2.1\r#\r"])
def test_no_address_hides_in_a_comment_behind_a_carriage_return(line: str) -> None:
    result = run("check", "office.csv", "-", stdin=f"203.0.113.5\r\n{line}\r\n# y\r\n".encode())
    assert result.exit_code == 2
    assert "<stdin>:2: error: " in result.stderr
    assert "1 line of <stdin> cannot be read" in result.stderr


def test_bytes_that_are_no_text_are_junk_on_their_line() -> None:
    result = run("check", "office.csv", "-", stdin=b"203.0.113.5\n\xff\xfe1\n192.0.2.1\n")
    assert (result.exit_code, len(result.stdout.splitlines())) == (2, 2)
    assert result.stderr.startswith("<stdin>:2: error: ")


# -- JSON, and no answer at all -------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS, ids=" ".join)
@pytest.mark.parametrize("command", ["check", "explain"])
def test_json_of_many_addresses_is_a_document_a_line(command: str, subject: list[str]) -> None:
    result = run(command, subject[0], "-", *subject[1:], "--json", stdin="\n".join([*ADDRESSES, "junk"]))
    found = [json.loads(line) for line in result.stdout.splitlines()]
    expected = [json.loads(run(command, subject[0], each, *subject[1:], "--json").stdout) for each in ADDRESSES]
    assert found == ([each["answers"][0] for each in expected] if command == "check" else expected)
    assert (result.exit_code, "<stdin>:7: error" in result.stderr) == (2, True)


@pytest.mark.parametrize("subject", SUBJECTS, ids=" ".join)
def test_quiet_prints_no_answer_and_has_the_same_status(subject: list[str]) -> None:
    for asked, code in ((["198.51.100.1"], 0), (["198.51.100.1", "192.0.2.1"], 1), (["junk"], 2)):
        single = run("check", subject[0], *asked, *subject[1:], "--quiet")
        many = run("check", subject[0], "-", *subject[1:], "-q", "--json", stdin="\n".join(asked))
        assert (single.exit_code, single.stdout) == (many.exit_code, many.stdout) == (code, "")
        assert bool(single.stderr) == bool(many.stderr) == (code == 2)


# -- Wrong calls ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-", "-"], "standard input can be read only once"),
        (["-", "--addresses", "-"], "standard input can be read only once"),
        (["key_1", "--config", "-", "-"], "standard input can be read only once"),
        (["office.csv", "--addresses", "seen.txt", "192.0.2.1"], "not both"),
        (["office.csv"], "name an address"),
        (["office.csv", "--addresses", "nosuch.txt"], "nosuch.txt: cannot be read: No such file"),
        (["office.csv", "--addresses", "."], ".: cannot be read: Is a directory"),
        (["office.csv", "--addresses", "a\0b"], "cannot be read"),
    ],
)
def test_a_wrong_call_is_told_and_answers_nothing(arguments: list[str], reason: str) -> None:
    for command in ("check", "explain"):
        result = run(command, *arguments, stdin="192.0.2.1\n")
        assert (result.exit_code, result.stdout) == (2, "")
        assert reason in " ".join(result.stderr.split())


def test_a_dash_stands_alone() -> None:
    result = run("check", "office.csv", "192.0.2.1", "-", stdin="192.0.2.1\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "stands alone" in result.stderr


@pytest.mark.parametrize("stdin", ["", "\n\n", "# nothing\n", "\ufeff"])
def test_no_address_at_all_is_no_yes(stdin: str) -> None:
    for options in ([], ["--quiet"], ["--json"]):
        result = run("check", "office.csv", "-", *options, stdin=stdin)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "error: <stdin>: there is no address in it\n"


def test_an_empty_list_is_told_once_and_denies_everybody() -> None:
    Path("empty.txt").write_text("# nobody\n", encoding="ascii")
    result = run("check", "empty.txt", "-", stdin="192.0.2.1\n::1\n")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "denied   192.0.2.1  the list is empty, and an empty list allows nobody",
        "denied   ::1  the list is empty, and an empty list allows nobody",
    ]
    assert result.stderr.count("warning: no entries") == 1


def test_an_answer_comes_as_soon_as_its_line_is_there() -> None:
    command = [sys.executable, "-m", "cidrmatch", "check", "office.csv", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as running:
        stdin, stdout = cast("IO[bytes]", running.stdin), cast("IO[bytes]", running.stdout)
        for address in (b"203.0.113.5", b"192.0.2.1"):
            stdin.write(address + b"\n")
            assert stdout.readline().split()[1] == address
        stdin.close()
        assert running.wait(60) == 1


def test_a_process_without_standard_input_says_so() -> None:
    command = [sys.executable, "-m", "cidrmatch", "check", "office.csv", "-"]
    ended = subprocess.run(command, capture_output=True, preexec_fn=lambda: os.close(0), timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr == b"error: <stdin>: cannot be read: there is no standard input\n"
