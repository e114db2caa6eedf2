"""The command `convert`: what it writes and where, what it refuses, and what it never leaves half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cidrmatch.cli import app as cli

LIST = "prefix,label\n203.0.113.0/24,Vienna\n2001:db8::/48,\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("office.csv").write_text(LIST, encoding="utf-8")
    Path("empty.txt").write_text("# nobody\n", encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["convert", *arguments], prog_name="cidrmatch")


def test_it_writes_to_stdout() -> None:
    result = run("office.csv", "--to", "nginx")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "allow 203.0.113.0/24; # Vienna\nallow 2001:db8::/48;\ndeny all;\n"


def test_warnings_go_to_stderr() -> None:
    result = run("office.csv", "--to", "kong")
    assert result.exit_code == 0
    assert result.stderr == "warning: kong keeps no labels; 1 are not written\n"


def test_it_replaces_a_file_at_once_and_keeps_its_mode(folder: Path) -> None:
    path = folder / "list.conf"
    path.write_text("deny all;\n", encoding="ascii")
    path.chmod(0o640)
    before = path.stat().st_ino
    assert run("office.csv", "--to", "nginx", "-o", "list.conf").exit_code == 0
    assert path.read_text(encoding="utf-8").endswith("deny all;\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_ino != before
    assert sorted(os.listdir(folder)) == ["empty.txt", "list.conf", "office.csv"]


def test_a_link_stays_a_link_and_what_it_names_is_replaced(folder: Path) -> None:
    folder.joinpath("real.conf").write_text("", encoding="ascii")
    folder.joinpath("link.conf").symlink_to("real.conf")
    assert run("office.csv", "--to", "nginx", "-o", "link.conf").exit_code == 0
    assert folder.joinpath("link.conf").is_symlink()
    assert folder.joinpath("real.conf").read_text(encoding="utf-8").startswith("allow ")


def test_a_refused_list_leaves_the_old_file(folder: Path) -> None:
    path = folder / "plugin.json"
    path.write_text("old", encoding="ascii")
    result = run("empty.txt", "--to", "kong", "-o", "plugin.json")
    assert (result.exit_code, path.read_text(encoding="ascii")) == (1, "old")
    assert (
        "refused: the list is empty, and Kong takes an empty `allow` for no list, and lets everyone in" in result.stderr
    )


def test_a_list_with_a_bad_entry_is_refused(folder: Path) -> None:
    folder.joinpath("bad.txt").write_text("10.0.0.1/8\n", encoding="ascii")
    result = run("bad.txt", "--to", "nginx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "bad.txt:1" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "nginxx"], "'nginxx' is no format"),
        (["--to", "nginx", "--family", "5"], "4 or 6"),
        (["--to", "nginx", "--name", "x"], "nginx has no names"),
        (["--to", "caddy", "--name", "a b"], "'a b' is no name for caddy"),
        (["--to", "nginx", "-o", "none/list.conf"], "No such file"),
        ([], "Missing option"),
    ],
)
def test_a_wrong_call_ends_with_2(arguments: list[str], told: str) -> None:
    result = run("office.csv", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_one_family_and_a_name() -> None:
    assert run("office.csv", "--to", "aws-waf").exit_code == 1
    result = run("office.csv", "--to", "aws-waf", "--family", "6", "--name", "office")
    assert result.exit_code == 0
    assert '"Name": "office"' in result.stdout
    assert "2001:db8::/48" in result.stdout
    assert "203.0.113" not in result.stdout


def test_a_file_of_a_gateway_is_read_and_its_list_is_picked(folder: Path) -> None:
    folder.joinpath("edge.conf").write_text("geo $who { 10.0.0.0/8 office; # HQ\n 192.0.2.1 home; }", encoding="ascii")
    result = run("edge.conf", "--format", "nginx-geo", "--to", "csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--pick VALUE" in result.stderr
    result = run("edge.conf", "--format", "nginx-geo", "--pick", "office", "--to", "csv")
    assert (result.exit_code, result.stdout) == (0, "prefix,label\n10.0.0.0/8,HQ\n")
    result = run("office.csv", "--pick", "office", "--to", "csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "has one list in a file" in result.stderr
