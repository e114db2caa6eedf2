"""The command line: what goes to which stream, with which exit status, and what never reaches a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import runpy
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cidrmatch import __main__, __version__
from cidrmatch.cli import app as cli
from cidrmatch.files import config
from cidrmatch.policy.presets import PRESETS

OFFICE = "prefix,label\n198.51.100.0/24,Office\n198.51.100.128/25,Upstairs\n203.0.113.5,\n2001:db8::/48,Büro\n"
HOSTILE = "[red]B\x1b[2J\n\u202e[/red]:smile:\x7f\x9b"
ESCAPED = r"[red]B\x1b[2J\n\u202e[/red]:smile:\x7f\x9b"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good list and a bad one, and no wish about colours in the environment."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)
    write("office.csv", OFFICE)
    write("bad.txt", "203.0.113.5\n203.0.113.7/24\n# fine\n010.0.0.1\n")
    return tmp_path


def write(name: str, content: str) -> None:
    with open(name, "w", encoding="utf-8", newline="") as file:
        file.write(content)


def run(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(cli.app, list(arguments), stdin, prog_name="cidrmatch")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def run_json(*arguments: str, code: int) -> Any:
    """Run with --json: one document on stdout, in ASCII and without controls, and nothing on stderr."""
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (code, "")
    assert result.stdout.removesuffix("\n").isprintable()
    assert result.stdout.isascii()
    return json.loads(result.stdout)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run_on_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    stdout, stderr = Terminal(), Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        patched.setattr(sys, "stderr", stderr)
        with pytest.raises(SystemExit) as ended:
            cli.app(arguments, prog_name="cidrmatch")
    assert isinstance(ended.value.code, int)
    return ended.value.code, stdout.getvalue(), stderr.getvalue()


# -- validate -----------------------------------------------------------------


def test_validate_accepts_a_list_without_limits_by_default() -> None:
    result = run("validate", "office.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "office.csv:3: warning: '198.51.100.128/25': covered by the broader entry '198.51.100.0/24'; "
        "one of the two is enough",
        "accepted under the policy custom: 4 entries, 1 warning",
    ]


def test_validate_refuses_with_every_reason_and_its_line() -> None:
    result = run("validate", "office.csv", "--preset", "nomsa")
    assert (result.exit_code, result.stderr) == (1, "")
    lines = result.stdout.splitlines()
    assert "office.csv:2: error: '198.51.100.0/24': CIDR notation is not accepted" in lines[0]
    assert any(line.startswith("office.csv:5: error: '2001:db8::/48': an IPv6 entry") for line in lines)
    assert lines[-1].startswith("refused under the policy nomsa: ")


def test_validate_names_the_list_where_no_entry_is_to_blame() -> None:
    result = run("validate", "-", "--preset", "pigment", stdin="# nobody\n")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "<stdin>: error: 0 valid entries, at least 1 needed",
        "refused under the policy pigment: 1 error, 0 warnings",
    ]


def test_validate_json_is_the_report_with_places() -> None:
    write("a.json", '["203.0.113.5", {"prefix": "10.0.0.0/16", "label": "VPN"}]')
    document = run_json("validate", "a.json", "--preset", "bitbybit", code=0)
    assert document["list"] == "a.json"
    assert (document["policy"], document["ok"], document["errors"]) == ("bitbybit", True, [])
    assert document["entries"] == [
        {"prefix": "203.0.113.5/32", "label": None},
        {"prefix": "10.0.0.0/16", "label": "VPN"},
    ]
    [warning] = document["warnings"]
    assert (warning["index"], warning["code"], warning["at"]) == (1, "private", "a.json:[1]")


def test_validate_json_of_a_refused_list_has_no_entries() -> None:
    document = run_json("validate", "bad.txt", code=1)
    assert (document["ok"], document["entries"]) == (False, [])
    assert [(error["at"], error["code"]) for error in document["errors"]] == [
        ("bad.txt:2", "host_bits"),
        ("bad.txt:4", "leading_zero"),
    ]


def test_a_summary_counts_the_problems_and_shows_the_first_of_each_kind() -> None:
    covered = "".join(f"10.0.0.{i}\n" for i in range(1_200))
    write("many.txt", "junk\n10.0.0.0/8\n10.0.0.0/8\n" + covered.replace("10.0.0.1200", ""))
    result = run("validate", "many.txt", "--summary")
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (1, "")
    assert lines[0] == "error: octet_too_large: 944 times"
    assert lines[1].startswith("  many.txt:260: error: '10.0.0.256': ")
    assert lines[4:6] == [
        "error: unexpected_character: 1 time",
        "  many.txt:1: error: 'junk': unexpected character 'j' (at position 0)",
    ]
    assert lines[6] == "warning: covered: 256 times"
    assert lines[-1] == "refused under the policy custom: 945 errors, 257 warnings"
    document = run_json("validate", "many.txt", "--summary", code=1)
    assert [(kind["code"], kind["count"], len(kind["first"])) for kind in document["summary"]] == [
        ("octet_too_large", 944, 3),
        ("unexpected_character", 1, 1),
        ("covered", 256, 3),
        ("duplicate", 1, 1),
    ]
    assert (document["ok"], document["accepted"]) == (False, 0)


def test_a_summary_of_a_good_list_is_its_last_line() -> None:
    write("one.txt", "203.0.113.5\n")
    assert run("validate", "one.txt", "--summary").stdout == run("validate", "one.txt").stdout


def test_validate_quietly_tells_the_verdict_by_the_status_alone() -> None:
    for options in ([], ["--json"], ["--summary"]):
        for name, code in (("office.csv", 0), ("bad.txt", 1)):
            result = run("validate", name, "--quiet", *options)
            assert (result.exit_code, result.stdout, result.stderr) == (code, "", "")
    assert "nosuch.txt: cannot be read" in run("validate", "nosuch.txt", "--quiet").stderr


@pytest.mark.parametrize("preset", PRESETS)
def test_validate_says_the_same_of_a_text_and_of_the_same_entries_in_a_document(preset: str) -> None:
    entries = [f"198.51.{i}.0/24" for i in range(300)] + ["198.51.0.0/16", "10.0.0.1", "203.0.113.5/32"] * 2
    write("long.txt", "\n".join(entries))
    write("long.json", json.dumps(entries))
    text, document = (run("validate", name, "--preset", preset) for name in ("long.txt", "long.json"))
    assert text.exit_code == document.exit_code
    shown = [re.sub(r"^long\.json(?::\[(\d+)\])?", _as_line, line) for line in document.stdout.splitlines()]
    assert text.stdout.splitlines() == shown


def _as_line(place: re.Match[str]) -> str:
    return "long.txt" if place[1] is None else f"long.txt:{int(place[1]) + 1}"


@pytest.mark.parametrize("preset", PRESETS)
def test_validate_knows_every_preset(preset: str) -> None:
    write("one.txt", "203.0.113.5")
    assert (
        f"accepted under the policy {preset}: 1 entry, 0 warnings"
        in run("validate", "one.txt", "--preset", preset).stdout
    )


def test_an_unknown_preset_is_a_wrong_call() -> None:
    result = run("validate", "office.csv", "--preset", "acme")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'acme' is no preset; there are nomsa, bitbybit, unkey, pigment" in result.stderr


# -- check --------------------------------------------------------------------


def test_check_allows_by_the_most_specific_entry() -> None:
    result = run("check", "office.csv", "198.51.100.200")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == 'allowed  198.51.100.200  by 198.51.100.128/25 "Upstairs" (office.csv:3)\n'


def test_check_denies_when_one_of_several_is_denied() -> None:
    result = run("check", "office.csv", "203.0.113.5", "192.0.2.1", "2001:DB8:0::1", "::ffff:198.51.100.1")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "allowed  203.0.113.5   by 203.0.113.5/32 (office.csv:4)",
        "denied   192.0.2.1     no entry covers it",
        'allowed  2001:db8::1   by 2001:db8::/48 "Büro" (office.csv:5)',
        'allowed  198.51.100.1  by 198.51.100.0/24 "Office" (office.csv:2)',
    ]


def test_check_says_when_a_list_has_nothing_to_offer() -> None:
    result = run("check", "-", "::1", stdin="10.0.0.0/8")
    assert (result.exit_code, result.stdout) == (1, "denied   ::1  the list has no IPv6 entry\n")
    result = run("check", "-", "10.0.0.1", stdin="")
    assert (result.exit_code, result.stdout) == (
        1,
        "denied   10.0.0.1  the list is empty, and an empty list allows nobody\n",
    )


def test_check_json_answers_in_the_order_of_the_arguments() -> None:
    document = run_json("check", "office.csv", "192.0.2.1", "::ffff:203.0.113.5", code=1)
    assert document == {
        "list": "office.csv",
        "allowed": False,
        "answers": [
            {"given": "192.0.2.1", "address": "192.0.2.1", "allowed": False, "entry": None},
            {
                "given": "::ffff:203.0.113.5",
                "address": "203.0.113.5",
                "allowed": True,
                "entry": {"prefix": "203.0.113.5/32", "label": None, "at": "office.csv:4"},
            },
        ],
        "warnings": [],
    }
    assert run_json("check", "office.csv", "203.0.113.5", code=0)["allowed"] is True


def test_the_first_of_equal_entries_is_named() -> None:
    write("twice.csv", "prefix,label\n10.0.0.0/8,first\n10.0.0.0/8,second\n")
    assert run("check", "twice.csv", "10.1.1.1").stdout.endswith('by 10.0.0.0/8 "first" (twice.csv:2)\n')


@pytest.mark.parametrize("address", ["junk", "203.0.113.5/32", "", "203.0.113.5\n", "fe80::1%eth0", "1", "office.csv"])
def test_an_argument_that_is_no_address_is_a_wrong_call_and_nothing_is_answered(address: str) -> None:
    for arguments in (["check", "office.csv", "203.0.113.5", address], ["explain", "office.csv", address]):
        for options in ([], ["--json"]):
            result = run(*arguments, *options)
            assert (result.exit_code, result.stdout) == (2, "")
            assert result.stderr.startswith("error: ")
            assert " is not an address: " in result.stderr


# -- explain ------------------------------------------------------------------


def test_explain_names_the_entry_and_the_broader_ones() -> None:
    result = run("explain", "office.csv", "198.51.100.200")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        'allowed  198.51.100.200  by 198.51.100.128/25 "Upstairs" (office.csv:3)',
        '  also by 198.51.100.0/24 "Office" (office.csv:2)',
    ]


def test_explain_names_the_neighbours_of_a_denied_address() -> None:
    result = run("explain", "office.csv", "198.51.101.1")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "denied   198.51.101.1  no entry covers it",
        '  nearest below: 198.51.100.0/24 "Office" (office.csv:2)',
        "  nearest above: 203.0.113.5/32 (office.csv:4)",
    ]


def test_explain_names_the_neighbour_that_ends_last_not_the_one_that_starts_last() -> None:
    result = run("explain", "-", "11.0.0.1", stdin="10.0.0.0/8\n10.9.0.0/16\n::/96\n")
    assert result.stdout.splitlines()[1:] == ["  nearest below: 10.0.0.0/8 (<stdin>:1)"]


def test_explain_knows_no_neighbours_in_the_other_family() -> None:
    result = run("explain", "-", "::1", stdin="10.0.0.0/8")
    assert result.stdout == "denied   ::1  the list has no IPv6 entry\n"


def test_explain_json_tells_the_same() -> None:
    office = {"prefix": "198.51.100.0/24", "label": "Office", "at": "office.csv:2"}
    document = run_json("explain", "office.csv", "::ffff:198.51.100.200", code=0)
    assert (document["given"], document["address"]) == ("::ffff:198.51.100.200", "198.51.100.200")
    assert (document["allowed"], document["entry"]["label"]) == (True, "Upstairs")
    assert document["broader"] == [office]
    assert document["nearest"] == {"below": None, "above": None}
    document = run_json("explain", "office.csv", "198.51.99.1", code=1)
    assert (document["allowed"], document["entry"], document["broader"]) == (False, None, [])
    assert document["nearest"] == {"below": None, "above": office}


# -- aggregate ----------------------------------------------------------------


def test_aggregate_prints_the_fewest_prefixes_one_a_line() -> None:
    result = run("aggregate", "-", stdin="192.0.2.128/25\n192.0.2.0/25\n192.0.2.7\n2001:db8::1\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "192.0.2.0/24\n2001:db8::1/128\n"


def test_what_aggregate_prints_is_a_list_again() -> None:
    once = run("aggregate", "office.csv").stdout
    assert run("aggregate", "-", stdin=once).stdout == once


def test_aggregate_of_nothing_prints_nothing() -> None:
    result = run("aggregate", "-", stdin="")
    assert (result.exit_code, result.stdout) == (0, "")


def test_aggregate_json() -> None:
    assert run_json("aggregate", "office.csv", code=0) == {
        "list": "office.csv",
        "prefixes": ["198.51.100.0/24", "203.0.113.5/32", "2001:db8::/48"],
    }


# -- Two lists combined ---------------------------------------------------------


def test_lists_are_combined_from_left_to_right_and_the_output_is_a_list_again() -> None:
    write("a.txt", "10.0.0.0/8\n2001:db8::/48\n")
    write("b.txt", "10.0.0.0/9\n2001:db8::/48\n192.0.2.1\n")
    write("c.txt", "10.128.0.0/10\n")
    printed = {
        ("union", "a.txt", "b.txt"): ["10.0.0.0/8", "10.0.0.0/9", "192.0.2.1/32", "2001:db8::/48"],
        ("intersect", "a.txt", "b.txt"): ["10.0.0.0/9", "2001:db8::/48"],
        ("subtract", "a.txt", "b.txt"): ["10.128.0.0/9"],
        ("subtract", "a.txt", "b.txt", "c.txt"): ["10.192.0.0/10"],
        ("symmetric", "a.txt", "b.txt"): ["10.128.0.0/9", "192.0.2.1/32"],
        ("symmetric", "a.txt", "b.txt", "c.txt"): ["10.192.0.0/10", "192.0.2.1/32"],
        ("intersect", "a.txt", "b.txt", "c.txt"): [],
    }
    for arguments, expected in printed.items():
        result = run(*arguments)
        assert (result.exit_code, result.stdout.splitlines(), result.stderr) == (0, expected, "")
    again = run("aggregate", "-", stdin=run("union", "a.txt", "b.txt").stdout)
    assert again.stdout.splitlines() == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/48"]


def test_labels_of_the_first_list_are_kept_in_csv_and_json() -> None:
    write("left.csv", 'prefix,label\n198.51.100.0/24,"Vienna, ""HQ"""\n203.0.113.5,\n')
    write("right.csv", "prefix,label\n198.51.100.0/25,theirs\n203.0.113.5,theirs\n")
    result = run("intersect", "left.csv", "right.csv", "--csv")
    assert result.stdout == 'prefix,label\n198.51.100.0/25,"Vienna, ""HQ"""\n203.0.113.5/32,\n'
    document = run("intersect", "left.csv", "right.csv", "--json").stdout
    assert json.loads(document) == {
        "entries": [{"prefix": "198.51.100.0/25", "label": 'Vienna, "HQ"'}, {"prefix": "203.0.113.5/32", "label": None}]
    }
    write("again.csv", result.stdout)
    write("again.json", document)
    assert run("diff", "again.csv", "again.json").stdout == "addresses: the same\nentries: the same\n"


def test_a_label_with_a_carriage_return_is_read_again() -> None:
    write("left.csv", 'prefix,label\n10.0.0.0/8,"a\rb"\n')
    write("right.txt", "192.0.2.1\n")
    result = run("union", "left.csv", "right.txt", "--csv")
    assert result.stdout == 'prefix,label\n"10.0.0.0/8","a\rb"\n192.0.2.1/32,\n'


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["union", "office.csv"], "two lists or more"),
        (["subtract", "-", "office.csv", "-"], "only once"),
        (["intersect", "office.csv", "office.csv", "--csv", "--json"], "exclude each other"),
    ],
)
def test_a_call_that_combines_nothing_is_wrong_usage(arguments: list[str], told: str) -> None:
    result = run(*arguments, stdin="10.0.0.0/8")
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_a_bad_entry_of_one_list_refuses_the_result() -> None:
    """Without the bad entry, `subtract` would let in what was to be left out."""
    write("bad.txt", "198.51.100.7/24\n")
    result = run("subtract", "office.csv", "bad.txt")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 198.51.100.0/24?" in result.stderr


# -- diff ---------------------------------------------------------------------


def test_diff_of_equal_lists_is_clean_whatever_their_form() -> None:
    write("same.txt", "2001:DB8::/48\n198.51.100.0/24\n198.51.100.0/24\n")
    write("other.json", '["198.51.100.0/24", "2001:db8::/48"]')
    result = run("diff", "same.txt", "other.json")
    assert (result.exit_code, result.stdout) == (0, "addresses: the same\nentries: the same\n")


def test_diff_shows_addresses_entries_and_labels() -> None:
    write("new.csv", "prefix,label\n198.51.100.0/25,Office\n203.0.113.5,Gate\n203.0.113.4,\n2001:db8::/48,\n")
    result = run("diff", "office.csv", "new.csv")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "addresses",
        "  + 203.0.113.4/32",
        "  - 198.51.100.128/25",
        "entries",
        '  + 198.51.100.0/25 "Office" (new.csv:2)',
        "  + 203.0.113.4/32 (new.csv:4)",
        '  - 198.51.100.0/24 "Office" (office.csv:2)',
        '  - 198.51.100.128/25 "Upstairs" (office.csv:3)',
        '  ~ 203.0.113.5/32 "Gate" (new.csv:3), was no label',
        '  ~ 2001:db8::/48 (new.csv:5), was "Büro"',
    ]


def test_diff_tells_other_entries_with_the_same_addresses() -> None:
    write("halves.txt", "10.0.0.0/9\n10.128.0.0/9")
    result = run("diff", "halves.txt", "-", stdin="10.0.0.0/8")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "addresses: the same"


def test_diff_json() -> None:
    write("new.csv", "prefix,label\n198.51.100.0/24,HQ\n192.0.2.0/31,\n")
    office = {"prefix": "198.51.100.0/24", "label": "Office", "at": "office.csv:2"}
    assert run_json("diff", "office.csv", "new.csv", code=1) == {
        "old": "office.csv",
        "new": "new.csv",
        "equal": False,
        "gained": ["192.0.2.0/31"],
        "lost": ["203.0.113.5/32", "2001:db8::/48"],
        "added": [{"prefix": "192.0.2.0/31", "label": None, "at": "new.csv:3"}],
        "removed": [
            {"prefix": "198.51.100.128/25", "label": "Upstairs", "at": "office.csv:3"},
            {"prefix": "203.0.113.5/32", "label": None, "at": "office.csv:4"},
            {"prefix": "2001:db8::/48", "label": "Büro", "at": "office.csv:5"},
        ],
        "relabelled": [{"from": office, "to": {"prefix": "198.51.100.0/24", "label": "HQ", "at": "new.csv:2"}}],
    }
    assert run_json("diff", "office.csv", "office.csv", code=0)["equal"] is True


def test_diff_never_takes_the_mapped_addresses_of_ipv6_for_all_of_ipv4() -> None:
    write("narrow.txt", "::fffe:0:0/96")
    write("everyone.txt", "::/0")
    document = run_json("diff", "narrow.txt", "everyone.txt", code=1)
    assert len(document["gained"]) == 95
    assert all(":" in prefix for prefix in document["gained"])
    assert not any(ip_address("::ffff:1.2.3.4") in ip_network(prefix) for prefix in document["gained"])


def test_diff_reads_standard_input_for_one_list_only() -> None:
    result = run("diff", "-", "-", stdin="10.0.0.0/8")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "standard input can be read only once" in result.stderr


# -- A configuration ----------------------------------------------------------

KEYS = """
format = 1
policy = { name = "acme", private = "warn" }
[[lists]]
name = "office"
entries = [{ prefix = "198.51.100.0/24", label = "Büro" }, { prefix = "198.51.100.64/26", effect = "deny" }]
[[keys]]
id = "key_1"
created_at = 2026-07-01T00:00:00Z
entries = ["203.0.113.5", { prefix = "203.0.113.6", expires = 2026-07-02T00:00:00Z }]
lists = ["office"]
[end]
"""


@pytest.fixture
def keys(folder: Path) -> str:
    write("keys.toml", KEYS)
    return "keys.toml"


def test_check_asks_a_configuration_about_a_key(keys: str) -> None:
    result = run("check", "--config", keys, "key_1", "203.0.113.5", "198.51.100.7")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "allowed  203.0.113.5   by 203.0.113.5/32 (its own list)",
        "allowed  198.51.100.7  by 198.51.100.0/24 \"Büro\" (list 'office')",
    ]
    result = run("check", "key_1", "203.0.113.6", "198.51.100.65", "203.0.113.6", "--config", keys)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "denied   203.0.113.6    the address is not on the allow list",
        "denied   198.51.100.65  by 198.51.100.64/26 (list 'office')",
        "denied   203.0.113.6    the address is not on the allow list",
    ]
    result = run("check", "--config", keys, "nobody", "203.0.113.5")
    assert (result.exit_code, result.stdout) == (1, "denied   203.0.113.5  the key is not known\n")


def test_check_of_a_key_in_json_holds_the_decisions(keys: str) -> None:
    document = run_json("check", "--config", keys, "key_1", "::ffff:203.0.113.5", "198.51.100.65", code=1)
    assert (document["config"], document["key"], document["allowed"]) == ("keys.toml", "key_1", False)
    first, second = document["answers"]
    assert (first["given"], first["address"], first["allowed"]) == ("::ffff:203.0.113.5", "203.0.113.5", True)
    assert (second["reason"], second["list"], second["state"]) == ("denied_by_entry", "office", "restricted")
    assert run_json("check", "--config", keys, "key_1", "203.0.113.5", code=0)["allowed"] is True


def test_explain_of_a_key_tells_all_that_decides(keys: str) -> None:
    result = run("explain", "--config", keys, "key_1", "198.51.100.65")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "denied: the key 'key_1' from 198.51.100.65: an entry of the list denies the address",
        "the key is restricted: it has 2 entries of its own, is linked to 'office'",
        "its own lists do not let the address pass: an entry of the list denies the address",
        "  own entries: none of 2 covers it",
        "  linked list 'office': 2 of 2 cover it",
        "    198.51.100.64/26: denies, and decides",
        r"    198.51.100.0/24 'B\xfcro': allows",
    ]
    document = run_json("explain", "--config", keys, "key_1", "203.0.113.5", code=0)
    assert (document["config"], document["allowed"], len(document["levels"])) == ("keys.toml", True, 1)


def test_lint_names_what_looks_like_a_mistake(keys: str) -> None:
    result = run("lint", "--config", keys)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "keys.toml: key 'key_1': advice: 203.0.113.6/32: it is over since 2026-07-02T00:00:00+00:00",
        "clean: 0 warnings, 1 of advice",
    ]
    write("keys.toml", KEYS.replace("203.0.113.5", "10.0.0.1").replace('lists = ["office"]', 'owner = "acme"'))
    result = run("lint", "--config", keys)
    assert result.exit_code == 1
    assert "keys.toml: key 'key_1': warning: 10.0.0.1/32: it won't match" in result.stdout
    assert "keys.toml: owner 'acme': advice: all keys (1) are restricted" in result.stdout
    assert result.stdout.endswith("suspicious: 1 warning, 3 of advice\n")
    document = run_json("lint", "--config", keys, code=1)
    assert (document["clean"], len(document["findings"])) == (False, 4)
    assert {finding["code"] for finding in document["findings"]} == {
        "unused_list",
        "private",
        "expired",
        "no_backup_key",
    }


def test_a_configuration_comes_from_standard_input_in_both_formats(keys: str) -> None:
    written = {"toml": KEYS, "json": config.dumps(config.loads(KEYS, "toml"), "json")}
    for text in written.values():
        for mark in ("", "\ufeff", "\n \n"):
            result = run("check", "--config", "-", "key_1", "203.0.113.5", stdin=mark + text)
            assert (result.exit_code, result.stdout[:7]) == (0, "allowed")
    expected = run("lint", "--config", keys)
    result = run("lint", "--config", "-", stdin=KEYS)
    assert result.stdout == expected.stdout.replace("keys.toml", "-")
    assert run("lint", "--config", "-", "--quiet", stdin=KEYS).stdout == ""
    assert run("lint", "--config", "-", "--quiet", stdin=KEYS).exit_code == expected.exit_code
    result = run("lint", "--config", "-", stdin="format = 1")
    assert (result.exit_code, result.stderr[:20]) == (2, "error: <stdin>: the ")
    result = run("lint", "--config", "-", stdin='{"format": 1}')
    assert (result.exit_code, result.stdout) == (1, "")


# -- Engines ------------------------------------------------------------------


def test_diff_of_engines_tells_things_and_who_gets_in(keys: str) -> None:
    """The configuration and its snapshot are equal; another configuration lets in others."""
    assert run("compile", keys, "-o", "keys.snap").exit_code == 0
    for other in (keys, "keys.snap"):
        result = run("diff", "--engines", keys, other)
        assert (result.exit_code, result.stdout) == (0, "equal: the same rules, lists and keys\n")
    document = config.dump(config.loads(KEYS, "toml"))
    added = {"id": "key_new", "created_at": "2026-07-01T00:00:00+00:00", "entries": ["192.0.2.0/24"]}
    write("new.json", json.dumps(document | {"keys": [*document["keys"], added]}))
    result = run("diff", "--engines", "keys.snap", "new.json")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "key 'key_new': new"
    assert result.stdout.splitlines()[-2:] == ["addresses of key 'key_new'", "  + 192.0.2.0/24"]
    facts = run_json("diff", "--engines", "new.json", "keys.snap", code=1)
    assert facts["keys"] == [{"key": "key_new", "gained": [], "lost": ["192.0.2.0/24"]}]
    assert [(thing["kind"], thing["name"], thing["after"]) for thing in facts["things"]] == [("key", "key_new", None)]


def test_diff_of_engines_refuses_what_it_cannot_read(keys: str) -> None:
    write("list.txt", "10.0.0.0/8")
    assert run("diff", "--engines", keys, "list.txt").exit_code == 1
    assert run("diff", "--engines", keys, "none.snap").exit_code == 2
    assert run("diff", "--engines", keys, keys, "--format", "text").exit_code == 2
    assert run("diff", "list.txt", "list.txt", "--id-secret-file", "list.txt").exit_code == 2


def test_decompile_writes_the_configuration_of_a_snapshot(keys: str) -> None:
    assert run("compile", keys, "-o", "keys.snap").exit_code == 0
    for name in ("again.toml", "again.json"):
        result = run("decompile", "keys.snap", "-o", name)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("accepted: ")
        assert config.dump(config.load(name)) == config.dump(config.loads(KEYS, "toml"))
        assert run("diff", "--engines", "keys.snap", name).exit_code == 0
    assert run("decompile", "keys.snap", "-o", "again.yaml").exit_code == 2
    assert run("decompile", "none.snap", "-o", "again.toml").exit_code == 2
    assert run("decompile", "keys.snap", "-o", "none/again.toml").exit_code == 2
    assert run("decompile", keys, "-o", "other.toml").exit_code == 1
    assert run_json("decompile", "keys.snap", "-o", "again.json", code=0)["config"] == "again.json"


def test_a_snapshot_with_hashed_ids_has_no_configuration(keys: str) -> None:
    Path("secret").write_bytes(bytes(range(32)))
    assert run("compile", keys, "-o", "keys.snap", "--id-secret-file", "secret").exit_code == 0
    assert run("diff", "--engines", keys, "keys.snap", "--id-secret-file", "secret").exit_code == 0
    result = run("decompile", "keys.snap", "-o", "again.toml")
    assert result.exit_code != 0
    assert not Path("again.toml").exists()


def test_schema_prints_the_schema() -> None:
    result = run("schema")
    assert (result.exit_code, result.stderr, json.loads(result.stdout)) == (0, "", config.schema())


CONFIG_CALLS = [
    ["check", "key_1", "203.0.113.5"],
    ["explain", "key_1", "203.0.113.5"],
    ["lint"],
]


@pytest.mark.parametrize("arguments", CONFIG_CALLS)
def test_a_configuration_with_a_mistake_is_refused_whole(arguments: list[str]) -> None:
    write("keys.toml", KEYS.replace("203.0.113.5", "203.0.113.5/24").replace("lists = [", "list = ["))
    result = run(*arguments, "--config", "keys.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("keys.toml:keys[0]: error: unknown: 'list'; known: id, created_at")
    assert lines[1].startswith("keys.toml:keys[0].entries[0]: error: '203.0.113.5/24': host bits are set")
    assert lines[2:] == ["refused: 2 errors in keys.toml; nothing of it is used"]
    document = run_json(*arguments, "--config", "keys.toml", code=1)
    assert (document["config"], document["ok"]) == ("keys.toml", False)
    assert [error["at"] for error in document["errors"]] == ["keys.toml:keys[0]", "keys.toml:keys[0].entries[0]"]


@pytest.mark.parametrize("arguments", CONFIG_CALLS)
def test_a_configuration_that_cannot_be_read_is_a_wrong_call(arguments: list[str], keys: str) -> None:
    write("cut.toml", KEYS.removesuffix("[end]\n"))
    for name, reason in (
        ("none.toml", "cannot be read: No such file or directory"),
        ("cut.toml", "the last line must be [end]; without it the file may have been cut short"),
        ("office.csv", "the suffix tells no format: .toml or .json was expected"),
    ):
        for options in ([], ["--json"]):
            result = run(*arguments, "--config", name, *options)
            assert (result.exit_code, result.stdout) == (2, "")
            assert result.stderr == f"error: {name}: {reason}\n"


@pytest.mark.parametrize("command", ["check", "explain"])
def test_a_wrong_call_about_a_key_is_refused_before_anything_is_read(command: str) -> None:
    result = run(command, "--config", "none.toml", "key_1", "junk")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'junk' is not an address" in result.stderr
    result = run(command, "--config", "none.toml", "--format", "json", "key_1", "::1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--format tells how LIST is written" in result.stderr


def test_lint_needs_a_configuration() -> None:
    assert run("lint").exit_code == 2


def test_a_missing_extra_of_configurations_is_named(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    result = run("lint", "--config", keys)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: configuration files need their extra: pip install 'cidrmatch[config]'\n"


def test_hostile_configurations_are_shown_escaped() -> None:
    write("keys.json", json.dumps({"format": 1, "policy": {}, HOSTILE: 1, "default": HOSTILE}))
    result = run("lint", "--config", "keys.json")
    assert result.exit_code == 1
    assert "\\x1b[2J" in result.stderr
    assert result.stderr.replace("\n", "").isprintable()
    key = {"id": HOSTILE, "created_at": "2026-07-01T00:00:00Z", "entries": [{"prefix": "10.0.0.0/8", "label": "[red]"}]}
    write("keys.json", json.dumps({"format": 1, "policy": {"private": "warn"}, "keys": [key]}))
    for command in (["check", HOSTILE, "10.1.1.1"], ["explain", HOSTILE, "10.1.1.1"], ["lint"]):
        result = run(*command, "--config", "keys.json")
        assert result.stdout.replace("\n", "").isprintable()
        assert ("[red]" if command[0] == "check" else "\\x1b[2J") in result.stdout


def test_a_terminal_gets_colours_for_keys(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, stdout, _ = run_on_terminal(monkeypatch, "explain", "--config", keys, "key_1", "203.0.113.5")
    assert stdout.startswith("\x1b[32mallowed\x1b[0m: the key 'key_1' from 203.0.113.5")


# -- Refusals and wrong calls -------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "bad.txt", "203.0.113.5"],
        ["explain", "bad.txt", "203.0.113.5"],
        ["aggregate", "bad.txt"],
        ["diff", "office.csv", "bad.txt"],
        ["diff", "bad.txt", "office.csv"],
    ],
)
def test_a_list_with_one_bad_entry_is_refused_whole(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "bad.txt:2: error: '203.0.113.7/24': host bits are set (at position 11); did you mean 203.0.113.0/24?",
        "bad.txt:4: error: '010.0.0.1': an octet has no leading zero (some programs would read it as octal) "
        "(at position 0)",
        "refused: 2 errors in bad.txt; nothing of the list is used",
    ]
    document = run_json(*arguments, code=1)
    assert (document["list"], document["ok"]) == ("bad.txt", False)
    assert [(error["at"], error["code"]) for error in document["errors"]] == [
        ("bad.txt:2", "host_bits"),
        ("bad.txt:4", "leading_zero"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "none.txt"],
        ["check", "none.txt", "203.0.113.5"],
        ["explain", "none.txt", "203.0.113.5"],
        ["aggregate", "none.txt"],
        ["diff", "office.csv", "none.txt"],
    ],
)
def test_a_file_that_cannot_be_read_is_a_wrong_call(arguments: list[str]) -> None:
    for options in ([], ["--json"]):
        result = run(*arguments, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "error: none.txt: cannot be read: No such file or directory\n"


def test_a_file_of_another_shape_is_a_wrong_call() -> None:
    write("a.csv", "prefix,note\n1.2.3.4,x\n")
    result = run("check", "a.csv", "1.2.3.4")
    assert (result.exit_code, result.stdout) == (2, "")
    told = "unknown column 'note'; the columns are prefix and label; --column prefix reads that one and passes over the"
    assert result.stderr == f"error: a.csv:1: {told} others\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["check"],
        ["check", "office.csv"],
        ["aggregate", "office.csv", "extra"],
        ["check", "--loud"],
        ["--loud"],
    ],
)
def test_a_wrong_call_says_how_to_call(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: cidrmatch ")


def test_a_call_without_a_command_shows_the_help_as_an_error() -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == run("--help").stdout
    assert "\n  explain " in result.stderr


def test_an_unknown_format_is_a_wrong_call() -> None:
    assert run("aggregate", "office.csv", "--format", "xml").exit_code == 2


@pytest.mark.parametrize(
    ("content", "file_format"),
    [
        ("10.0.0.0/8", "text"),
        ("prefix\n10.0.0.0/8", "csv"),
        ('["10.0.0.0/8"]', "json"),
        ("entries=['10.0.0.0/8']", "toml"),
    ],
)
def test_a_named_format_is_used_for_standard_input_by_every_command(content: str, file_format: str) -> None:
    write("same.txt", "10.0.0.0/8")
    named = ["--format", file_format]
    assert run("validate", "-", *named, stdin=content).exit_code == 0
    assert run("check", "-", "10.1.1.1", *named, stdin=content).exit_code == 0
    assert run("explain", "-", "10.1.1.1", *named, stdin=content).exit_code == 0
    assert run("aggregate", "-", *named, stdin=content).stdout == "10.0.0.0/8\n"
    write("list", content)
    assert run("diff", "list", "-", *named, stdin=content).exit_code == 0


def test_help_and_version_go_to_stdout() -> None:
    assert run("--version").stdout == f"cidrmatch {__version__}\n"
    for arguments in ([], ["validate"], ["check"], ["explain"], ["aggregate"], ["diff"], ["lint"], ["schema"]):
        result = run(*arguments, "--help")
        assert (result.exit_code, result.stderr) == (0, "")
        assert "Usage: cidrmatch" in result.stdout


# -- What reaches a terminal --------------------------------------------------


def test_hostile_labels_are_shown_escaped_and_are_no_markup() -> None:
    write("hostile.json", json.dumps([{"prefix": "10.0.0.0/8", "label": HOSTILE}]))
    result = run("check", "hostile.json", "10.1.1.1")
    assert result.stdout == f'allowed  10.1.1.1  by 10.0.0.0/8 "{ESCAPED}" (hostile.json:[0])\n'
    assert run_json("check", "hostile.json", "10.1.1.1", code=0)["answers"][0]["entry"]["label"] == HOSTILE


def test_a_lone_surrogate_in_a_label_is_shown_escaped() -> None:
    write("hostile.json", '[{"prefix": "10.0.0.0/8", "label": "\\ud800"}]')
    assert '"\\ud800"' in run("check", "hostile.json", "10.1.1.1").stdout


def test_hostile_entries_are_shown_escaped() -> None:
    write("hostile.json", json.dumps([HOSTILE]))
    for result in (run("validate", "hostile.json"), run("aggregate", "hostile.json")):
        assert result.exit_code == 1
        shown = result.stdout + result.stderr
        assert "[red]B\\x1b[2J\\n" in shown
        assert shown.replace("\n", "").isprintable()


def test_hostile_file_names_are_shown_escaped() -> None:
    name = HOSTILE.replace("/", "") + ".txt"
    write(name, "10.0.0.0/8\nx\n")
    for arguments in (["validate", name], ["aggregate", name], ["aggregate", "no" + name]):
        result = run(*arguments)
        shown = result.stdout + result.stderr
        assert "[red]B\\x1b[2J\\n" in shown
        assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "office.csv", HOSTILE],
        ["aggregate", "office.csv", HOSTILE],
        ["aggregate", f"--{HOSTILE}"],
        [f"--{HOSTILE}"],
        [HOSTILE],
        ["aggregate", "office.csv", "--format", HOSTILE],
        ["validate", "office.csv", "--preset", HOSTILE],
    ],
)
def test_hostile_arguments_are_shown_escaped(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "\\x1b[2J" in result.stderr
    assert result.stderr.replace("\n", "").isprintable()


def test_characters_that_the_output_cannot_show_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
        with pytest.raises(SystemExit):
            cli.app(["check", "office.csv", "2001:db8::1"])
        assert b'"B\\xfcro"' in written.getvalue()


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    code, stdout, stderr = run_on_terminal(monkeypatch, "check", "office.csv", "203.0.113.5", "192.0.2.1")
    assert (code, stderr) == (1, "")
    assert stdout.splitlines() == [
        "\x1b[32mallowed\x1b[0m  203.0.113.5  by 203.0.113.5/32 (office.csv:4)",
        "\x1b[31mdenied\x1b[0m   192.0.2.1    no entry covers it",
    ]
    _, stdout, _ = run_on_terminal(monkeypatch, "validate", "office.csv")
    assert stdout.startswith("office.csv:3: \x1b[33mwarning\x1b[0m: ")


def test_a_terminal_gets_long_lines_whole_and_hostile_text_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    write("hostile.json", json.dumps([{"prefix": "10.0.0.0/8", "label": HOSTILE + "x" * 300}]))
    _, stdout, _ = run_on_terminal(monkeypatch, "check", "hostile.json", "10.1.1.1")
    assert ESCAPED + "x" * 300 in stdout
    assert stdout.count("\n") == 1


def test_no_color_is_honoured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for arguments in (
        ["check", "office.csv", "192.0.2.1"],
        ["check", "bad.txt", "192.0.2.1"],
        ["check", "none.txt", "::"],
    ):
        _, stdout, stderr = run_on_terminal(monkeypatch, *arguments)
        assert "\x1b" not in stdout + stderr
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" in run_on_terminal(monkeypatch, "check", "office.csv", "192.0.2.1")[1]


def test_what_is_no_terminal_gets_no_colours_whatever_the_environment_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in run("check", "office.csv", "192.0.2.1").stdout


# -- Long input ---------------------------------------------------------------


@pytest.fixture
def long_list(folder: Path) -> str:
    """60,000 addresses, more than are read without a word."""
    write("long.txt", "".join(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(60_000)))
    return "long.txt"


def test_a_long_list_shows_progress_on_a_terminal_and_only_on_stderr(
    long_list: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(long_list, encoding="ascii") as file:
        write("long.csv", "prefix\n" + file.read())
    for command in (["aggregate", "long.csv"], ["check", "long.csv", "10.0.0.1", "--json"]):
        code, stdout, stderr = run_on_terminal(monkeypatch, *command)
        assert code == 0
        assert "Reading the list" in stderr
        assert stderr.endswith("\x1b[1A\x1b[2K")  # the bar is wiped away
        assert "Reading the list" not in stdout


def test_a_list_that_is_read_at_once_shows_no_progress(long_list: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_on_terminal(monkeypatch, "aggregate", "office.csv")[2] == ""
    assert run_on_terminal(monkeypatch, "aggregate", long_list)[2] == ""


def test_a_long_list_shows_no_progress_where_nobody_looks(long_list: str) -> None:
    result = run("aggregate", long_list)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("10.0.0.0/17\n")


def test_one_bad_entry_of_a_long_list_refuses_it_with_its_line(long_list: str) -> None:
    with open(long_list, "a", encoding="ascii") as file:
        file.write("10.0.0.300")
    result = run("check", long_list, "10.0.0.1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("long.txt:60001: error: '10.0.0.300': an octet is at most 255 (at position 7)")


def test_one_enormous_entry_is_refused_and_shown_cut() -> None:
    write("enormous.txt", "1" * 5_000_000)
    result = run("check", "enormous.txt", "10.0.0.1")
    assert result.exit_code == 1
    assert len(result.stderr) < 400


# -- As a process -------------------------------------------------------------


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cidrmatch", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False, **options)


def test_the_process_reads_standard_input_and_ends_with_the_answer() -> None:
    for address, code in (("10.1.1.1", 0), ("11.1.1.1", 1), ("junk", 2)):
        ended = process("check", "-", address, input="10.0.0.0/8 # all\n")
        assert ended.returncode == code
        assert bool(ended.stdout) == (code < 2)
        assert bool(ended.stderr) == (code == 2)


def test_the_process_prints_labels_in_any_locale() -> None:
    ended = process("check", "office.csv", "2001:db8::1", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert ended.stdout == 'allowed  2001:db8::1  by 2001:db8::/48 "B\\xfcro" (office.csv:5)\n'


def test_a_process_without_standard_input_or_error_still_answers(long_list: str) -> None:
    ended = process("check", "-", "10.1.1.1", preexec_fn=lambda: os.close(0))
    assert (ended.returncode, ended.stderr) == (2, "error: <stdin>: cannot be read: there is no standard input\n")
    for name, address in (("office.csv", "203.0.113.5"), (long_list, "10.0.0.1")):
        ended = process("check", name, address, preexec_fn=lambda: os.close(2))
        assert (ended.returncode, ended.stdout[:7]) == (0, "allowed")


def test_a_reader_that_goes_away_ends_the_process_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cidrmatch", "aggregate", "office.csv"]
    with os.fdopen(writing, "wb") as stdout:
        ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (141, b"")


def read_from_terminal(*arguments: str, **environment: str) -> str:
    """Run the command with a real terminal as stdout and stderr."""
    here, there = pty.openpty()
    command = [sys.executable, "-m", "cidrmatch", *arguments]
    subprocess.run(command, stdout=there, stderr=there, env={**os.environ, **environment}, timeout=60, check=False)
    os.close(there)
    shown = b""
    try:
        while piece := os.read(here, 65536):
            shown += piece
    except OSError:  # the other end is closed: all was read
        pass
    os.close(here)
    return shown.decode()


def test_a_real_terminal_gets_colours_unless_no_color_is_set() -> None:
    assert "\x1b[32mallowed" in read_from_terminal("check", "office.csv", "203.0.113.5")
    assert "\x1b" not in read_from_terminal("check", "office.csv", "203.0.113.5", NO_COLOR="1")


# -- The console script -------------------------------------------------------


def test_python_m_runs_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["cidrmatch", "--version"])
    monkeypatch.delitem(sys.modules, "cidrmatch.__main__")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cidrmatch", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"cidrmatch {__version__}\n"


def forget_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each module of the command line imported anew."""
    for name in [name for name in sys.modules if name.startswith("cidrmatch.cli.")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("missing", ["typer", "rich.console"])
def test_a_missing_extra_is_named_with_the_way_to_get_it(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forget_the_command_line(monkeypatch)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "The command line needs its extra: pip install 'cidrmatch[cli]'\n"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_the_library_works_without_the_extra_and_the_command_says_what_is_missing(missing: str) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None; import cidrmatch.__main__ as m; print('imported'); m.main()"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "imported\n")
    assert ended.stderr == "The command line needs its extra: pip install 'cidrmatch[cli]'\n"


def test_any_other_missing_module_is_not_blamed_on_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_the_command_line(monkeypatch)
    monkeypatch.setitem(sys.modules, "cidrmatch.files.lists", None)
    with pytest.raises(ModuleNotFoundError, match=r"cidrmatch\.files\.lists"):
        __main__.main()


# -- Snapshots ----------------------------------------------------------------

TWO_KEYS = """
format = 1
policy = "bitbybit"

[[lists]]
name = "office"
entries = ["198.51.100.0/24"]

[[keys]]
id = "key_1"
created_at = 2026-07-01T00:00:00Z
entries = [{ prefix = "203.0.113.5", label = "CI" }]
lists = ["office"]

[[keys]]
id = "free"
created_at = 2026-07-01T00:00:00Z

[end]
"""


def test_a_configuration_is_compiled_and_asked_as_a_snapshot() -> None:
    """B2, B5: the answers are those of the configuration."""
    write("keys.toml", TWO_KEYS)
    for generation in (1, 2):
        result = run("compile", "keys.toml", "-o", "keys.snap")
        assert (result.exit_code, result.stderr) == (0, "")
        assert f"2 keys, {os.stat('keys.snap').st_size} bytes, generation {generation}" in result.stdout
    facts = run_json("compile", "keys.toml", "-o", "keys.snap", code=0)
    assert (facts["generation"], facts["keys"]) == (3, 2)
    for key in ("key_1", "free", "nobody"):
        for command in ("check", "explain"):
            for address in ("203.0.113.5", "198.51.100.7", "192.0.2.1"):
                by_config = run(command, "--config", "keys.toml", key, address)
                by_snapshot = run(command, "--snapshot", "keys.snap", key, address)
                assert (by_snapshot.exit_code, by_snapshot.stdout) == (by_config.exit_code, by_config.stdout)
    answer = run_json("check", "--snapshot", "keys.snap", "key_1", "203.0.113.5", code=0)
    assert (answer["snapshot"], answer["answers"][0]["label"]) == ("keys.snap", "CI")


def test_snapshots_are_inspected_and_verified() -> None:
    write("keys.toml", TWO_KEYS)
    run("compile", "keys.toml", "--output", "keys.snap")
    result = run("inspect", "keys.snap")
    assert result.exit_code == 0
    assert "list 'office': 1 entry" in result.stdout
    facts = run_json("inspect", "keys.snap", code=0)
    assert (facts["keys"], facts["lists"], facts["policy"], facts["default"]) == (2, {"office": 1}, "bitbybit", None)
    assert run("verify", "keys.snap").stdout == "clean: 2 keys, generation 1\n"
    assert run_json("verify", "keys.snap", code=0)["ok"] is True
    with open("keys.snap", "r+b") as file:
        file.seek(200)
        file.write(b"\xff")
    result = run("verify", "keys.snap")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "checksum of the body" in result.stderr
    assert run_json("verify", "keys.snap", code=1)["ok"] is False
    assert run("check", "--snapshot", "keys.snap", "key_1", "203.0.113.5").exit_code == 1


def test_snapshots_that_cannot_be_read_or_written_are_a_wrong_call() -> None:
    write("keys.toml", TWO_KEYS)
    for call in (
        ("verify", "nothing.snap"),
        ("inspect", "nothing.snap"),
        ("compile", "keys.toml", "-o", "no/such/directory/keys.snap"),
        ("compile", "nothing.toml", "-o", "keys.snap"),
        ("compile", "keys.toml"),
        ("check", "--snapshot", "a", "--config", "keys.toml", "key_1", "203.0.113.5"),
        ("check", "--snapshot", "a", "--format", "csv", "key_1", "203.0.113.5"),
    ):
        result = run(*call)
        assert (result.exit_code, result.stdout) == (2, ""), call
    assert run("verify", "keys.toml").exit_code == 1
    write("bad.toml", TWO_KEYS.replace("203.0.113.5", "203.0.113.555"))
    assert run("compile", "bad.toml", "-o", "keys.snap").exit_code == 1
    assert not os.path.exists("keys.snap")


# -- What opens ---------------------------------------------------------------


def test_an_empty_list_file_is_told_to_let_every_address_pass() -> None:
    write("empty.txt", "")
    result = run("validate", "empty.txt", "--preset", "bitbybit")
    assert (result.exit_code, result.stdout) == (
        0,
        "empty.txt: warning: no entries: every address passes\n"
        "accepted under the policy bitbybit: 0 entries, 1 warning\n",
    )
    document = run_json("validate", "empty.txt", code=0)
    assert [warning["code"] for warning in document["warnings"]] == ["unrestricted"]
    assert run("validate", "empty.txt", "--preset", "nomsa").exit_code == 1


def test_check_says_what_an_empty_list_means_alone_and_on_a_key() -> None:
    write("empty.txt", "")
    result = run("check", "empty.txt", "203.0.113.5")
    assert (result.exit_code, result.stdout) == (
        1,
        "denied   203.0.113.5  the list is empty, and an empty list allows nobody\n",
    )
    told = "no entries: a list by itself allows nobody, but on a key it lets every address pass (bitbybit, unkey)"
    assert result.stderr == f"empty.txt: warning: {told}\n"
    assert run_json("check", "empty.txt", "203.0.113.5", code=1)["warnings"] == [told]


OPEN = """
format = 1
policy = "bitbybit"
[[keys]]
id = "key_1"
created_at = 2026-07-01T00:00:00Z
entries = []
[end]
"""


def test_a_configuration_whose_entries_are_empty_warns_where_it_is_used() -> None:
    write("open.toml", OPEN)
    result = run("check", "--config", "open.toml", "key_1", "203.0.113.5")
    assert result.exit_code == 0
    assert result.stderr == "open.toml:keys[0].entries: warning: no entries: every address passes\n"


def test_lint_counts_the_open_keys_and_a_wide_open_configuration_is_suspicious() -> None:
    write("open.toml", OPEN.replace("[[keys]]", 'unknown_key = "pass"\nenforced = false\n[[keys]]'))
    result = run("lint", "--config", "open.toml")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "open.toml: engine 'bitbybit': warning: enforced is false: every key passes from every address",
        "open.toml: engine 'bitbybit': warning: unknown_key is 'pass': a key that nobody put passes from every address",
        "open.toml: key 'key_1': warning: no entries: every address passes",
        "suspicious: 3 warnings, 0 of advice; 1 open key",
    ]
    document = run_json("lint", "--config", "open.toml", code=1)
    assert (document["clean"], document["open_keys"]) == (False, 1)
