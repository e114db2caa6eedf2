"""`cidrmatch suggest`: the lines it reads (`read_observed`), what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cidrmatch import Prefix
from cidrmatch.cli import app as cli
from cidrmatch.files.lists import read_list
from cidrmatch.files.observed import ObservedFileError, read_observed

SEEN = "    120 203.0.113.4\n30\t203.0.113.6\n192.0.2.250\n2001:db8::9, 88   # lab\n\n# nothing\n"


def run(*arguments: str, stdin: str = SEEN) -> Result:
    result = CliRunner().invoke(cli.app, ["suggest", "-", *arguments], stdin, prog_name="cidrmatch")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def entries(result: Result) -> list[str]:
    return [line for line in result.stdout.splitlines() if not line.startswith("#")]


def run_json(*arguments: str, code: int, stdin: str = SEEN) -> Any:
    result = run(*arguments, "--json", stdin=stdin)
    assert (result.exit_code, result.stderr) == (code, "")
    return json.loads(result.stdout)


# -- Reading ----------------------------------------------------------------------


def test_counts_stand_before_or_behind_the_address_or_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    path.write_text(
        "\ufeffaddress,count\r\n203.0.113.4,2\r\n  3 203.0.113.4\r\n::ffff:203.0.113.4\r\n2001:DB8::/64 , 7\r\n",
        "utf-8",
    )
    assert read_observed(path) == {Prefix("203.0.113.4"): 6, Prefix("2001:db8::/64"): 7}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("203.0.113.256", "is not a prefix: an octet is at most 255"),
        ("203.0.113.7/24", "host bits are set"),
        ("7", "is not a prefix"),
        ("0 203.0.113.4", "the count of '0 203.0.113.4' is not from 1 to"),
        ("203.0.113.4,0", "is not from 1 to"),
        ("1" * 19 + " 203.0.113.4", "is not from 1 to"),
        ("-1 203.0.113.4", "is no address, no count and address, and no address, comma and count"),
        ("1.5 203.0.113.4", "is no address, no count"),
        ("203.0.113.4,1,2", "is no address, no count"),
        ("203.0.113.4 7", "is no address, no count"),
        ("2 203.0.113.4,7", "has two counts"),
        ("\u0662 203.0.113.4", "is no address, no count"),
        ("address,count", "is no address"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_used(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "seen.txt"
    path.write_text(f"203.0.113.4\n{line}\n010.0.0.1\n", encoding="utf-8")
    with pytest.raises(ObservedFileError) as caught:
        read_observed(path)
    assert [place for place, _ in caught.value.problems] == [f"{path}:2", f"{path}:3"]
    assert reason in caught.value.problems[0][1]
    assert str(caught.value).startswith(f"{path}:2: ")


def test_a_file_that_is_not_there_has_no_bad_lines(tmp_path: Path) -> None:
    with pytest.raises(ObservedFileError, match="No such file") as caught:
        read_observed(tmp_path / "nowhere")
    assert caught.value.problems == ()


# -- The list -----------------------------------------------------------------------


def test_B17_the_output_is_a_list_again(tmp_path: Path) -> None:
    result = run("--preset", "bitbybit", "--max-entries", "3")
    assert (result.exit_code, result.stderr) == (0, "")
    (tmp_path / "list.txt").write_text(result.stdout, encoding="utf-8")
    assert [prefix for prefix, _ in read_list(tmp_path / "list.txt").entries] == entries(result)
    assert entries(result) == ["192.0.2.250/32", "203.0.113.4/30", "2001:db8::/64"]


@pytest.mark.parametrize("share", ["1%", "1 %", "0.01", "0.5%"])
def test_a_share_of_requests_may_be_left_out(share: str) -> None:
    result = run("--max-entries", "3", "--leave-out", share)
    assert result.exit_code == 0
    assert ("# left out: 1 of 239 requests" in result.stdout) is (share != "0.5%" or 239 * 0.005 >= 1)
    assert entries(run("--max-entries", "3", "--leave-out", "0.4%"))[0] == "192.0.2.250/32"


@pytest.mark.parametrize("share", ["100%", "1", "-1%", "a", "1%%", "1e-2", ""])
def test_a_share_that_is_none_is_a_wrong_call(share: str) -> None:
    result = run("--leave-out", share)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--leave-out" in result.stderr


def test_what_must_be_in_or_out_may_be_named_several_times() -> None:
    wishes = ["--must-include", "198.51.100.1", "--must-include", "198.51.100.3", "--must-exclude", "203.0.113.5"]
    result = run("--preset", "bitbybit", "--max-entries", "4", *wishes)
    assert result.exit_code == 1
    assert entries(result) == ["198.51.100.0/30", "203.0.113.4/32", "203.0.113.6/32", "2001:db8::/64"]
    assert "#   192.0.2.250/32, 1 request: no room: " in result.stdout


def test_wishes_that_contradict_each_other_end_the_call() -> None:
    result = run("--must-include", "203.0.113.4", "--must-exclude", "203.0.113.0/24")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: must_include 203.0.113.4/32 and must_exclude 203.0.113.0/24 contradict")
    assert run("--must-include", "203.0.113.400").exit_code == 2
    assert run("--preset", "nobody").exit_code == 2
    assert run("--max-entries", "0").exit_code == 2
    assert "nobody to list" in run(stdin="# nobody\n").stderr


def test_bad_lines_are_told_on_stderr_and_refuse_the_file() -> None:
    result = run(stdin="203.0.113.4\n\x1b[2J\n" + "300.0.0.1\n" * 30)
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("<stdin>:2: error: ")
    assert "\x1b" not in result.stderr
    assert len(lines) == 21
    assert lines[-1] == "refused: 31 bad lines in -; nothing of it is used"
    assert [error["at"] for error in run_json(code=1, stdin="x\n203.0.113.4\ny\n")["errors"]] == [
        "<stdin>:1",
        "<stdin>:3",
    ]


def test_a_file_that_cannot_be_read_ends_the_call() -> None:
    result = CliRunner().invoke(cli.app, ["suggest", "nowhere.txt"], prog_name="cidrmatch")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nowhere.txt" in result.stderr


def test_who_stays_outside_is_told_shortly_and_the_policy_warns() -> None:
    many = "".join(f"{number} 10.0.{number}.1\n" for number in range(1, 60))
    result = run("--preset", "nomsa", stdin=many)
    assert result.exit_code == 1
    assert len(entries(result)) == 20
    assert result.stdout.endswith("#   and 19 prefixes more; --json names them\n")
    assert "warning: '10.0.0.1/32': it won't match" in run("--preset", "bitbybit", stdin="10.0.0.1\n").stderr


def test_json_has_all_facts() -> None:
    found = run_json("--preset", "bitbybit", "--max-entries", "3", code=0)
    assert (found["source"], found["has_all"], found["policy"]) == ("-", True, "bitbybit")
    assert (found["extra"], found["admitted"]) == ({"ipv4": 2, "ipv6_64s": 0}, {"ipv4": 5, "ipv6_64s": 1})
    assert run_json("--preset", "nomsa", code=1)["left_out"] == [
        {"prefix": "2001:db8::9/128", "requests": 88, "reason": "family"}
    ]


def test_a_border_that_no_list_reaches_is_told() -> None:
    """Of two equal outliers the budget has room for one and a third."""
    seen = "97 203.0.113.1\n3 203.0.113.2\n97 203.0.113.129\n3 203.0.113.130\n"
    result = run("--max-entries", "2", "--leave-out", "2%", stdin=seen)
    assert "# 2 entries: 5 IPv4 admitted, 2 never seen\n" in result.stdout
    assert "# no list that may leave out as much has less than 2 never seen\n" not in result.stdout
    wider = seen.replace(".2\n", ".5\n").replace(".130", ".133")
    result = run("--max-entries", "2", "--leave-out", "2%", stdin=wider)
    assert "# 2 entries: 9 IPv4 admitted, 6 never seen\n" in result.stdout
    assert "# no list that may leave out as much has less than 4 never seen\n" in result.stdout
