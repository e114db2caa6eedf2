"""The options that say how a list is written: every command that takes a list has them, and reads by them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer
from typer.main import get_command

from cidrmatch.cli.app import app
from cidrmatch.cli.reading import PLAIN, reads_lists
from cidrmatch.service.stores.editing import keys, lists
from tests.unit.test_cli import run, write
from tests.unit.test_provider_files import AWS

if TYPE_CHECKING:
    from pathlib import Path

    import click

OPTIONS = {"format", "column", "label-column", "where", "split-ranges", "pick"}


def names_of(command: click.Command) -> set[str]:
    return {name.removeprefix("--") for option in command.params for name in option.opts if name.startswith("--")}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_command_that_takes_a_list_has_the_options() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name in (
        "validate",
        "check",
        "explain",
        "aggregate",
        "union",
        "intersect",
        "subtract",
        "symmetric",
        "diff",
        "convert",
    ):
        assert names_of(commands[name]) >= OPTIONS, name
    assert names_of(commands["replay"]) >= {f"list-{option}" for option in OPTIONS}
    for group in (keys, lists):
        for name, command in get_command(group).commands.items():  # type: ignore[attr-defined]
            assert ("file" in names_of(command)) == (names_of(command) >= OPTIONS), name


def test_a_providers_file_is_filtered() -> None:
    write("ip-ranges.json", json.dumps(AWS))
    result = run("aggregate", "ip-ranges.json", "--where", "service=S3", "--where", "region=us-east-1")
    assert (result.exit_code, result.stdout) == (0, "192.0.2.128/25\n")
    result = run("aggregate", "ip-ranges.json", "--where", "service=S3", "--where", "service=EC2")
    assert result.stdout.split() == ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/40"]


def test_a_column_has_a_name_and_a_label() -> None:
    write("sites.csv", "Site,Network\nHQ,192.0.2.0/24\n")
    result = run("check", "sites.csv", "192.0.2.7", "--column", "Network", "--label-column", "Site")
    assert (result.exit_code, result.stdout) == (0, 'allowed  192.0.2.7  by 192.0.2.0/24 "HQ" (sites.csv:2)\n')


def test_ranges_are_split_where_the_call_says_so_and_a_hint_tells_it() -> None:
    write("a.txt", "192.0.2.0-192.0.2.2\n10.0.*\n")
    refused = run("aggregate", "a.txt")
    assert refused.exit_code == 1
    assert "hint: of 2 entries --split-ranges makes prefixes (replay: --list-split-ranges)\n" in refused.stderr
    result = run("aggregate", "a.txt", "--split-ranges")
    assert (result.exit_code, result.stdout) == (0, "10.0.0.0/16\n192.0.2.0/31\n192.0.2.2/32\n")
    write("b.txt", "192.0.2.9-1\n")
    assert "hint" not in run("aggregate", "b.txt").stderr


def test_a_text_without_fields_is_not_read_past_a_filter() -> None:
    write("a.txt", "192.0.2.1\n")
    for options in (["--where", "x=y"], ["--column", "ip"], ["--label-column", "ip"], ["--pick", "x"]):
        result = run("check", "a.txt", "192.0.2.1", *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "error: a.txt: the format text has" in result.stderr


@pytest.mark.parametrize("given", ["service", "=S3", ""])
def test_a_filter_is_a_field_and_a_value(given: str) -> None:
    write("a.csv", "prefix\n")
    result = run("check", "a.csv", "192.0.2.1", "--where", given)
    assert result.exit_code == 2
    assert "is not FIELD=VALUE, such as service=S3" in result.stderr


def test_options_of_lists_do_not_go_with_a_configuration() -> None:
    for options in (["--split-ranges"], ["--where", "x=y"], ["--column", "ip"], ["--format", "csv"]):
        result = run("check", "--config", "a.toml", "key", "192.0.2.1", *options)
        assert result.exit_code == 2
        assert "tells how LIST is written" in result.stderr


def test_a_command_gets_the_options_in_the_place_of_its_parameter() -> None:
    def command(source: str, reading: object = PLAIN, as_json: bool = False) -> None:
        """Do it."""
        assert (source, as_json) == ("a", True)
        assert reading != PLAIN

    made = reads_lists("list-")(command)
    assert made.__doc__ == "Do it."
    single = typer.Typer()
    single.command()(made)
    names = [option.name for option in get_command(single).params]
    assert names[:7] == ["source", "list_format", "column", "label_column", "where", "split_ranges", "pick"]
    given = {"list_format": None, "column": "x", "label_column": None, "where": ["a=b"], "split_ranges": True}
    made("a", **given, pick=None, as_json=True)
