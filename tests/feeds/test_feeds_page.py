"""docs/feeds.md: its commands are run, its configurations are read, and its tables have every key, code and default.

```console     commands in one shell, and what they print
```pycon       a session with Python
```toml        a feeds.toml that is read
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from cidrmatch.service.feeds import Bounds, Feed, Hosts, Targets, read_feeds
from cidrmatch.service.feeds.command import feed as command
from cidrmatch.service.feeds.configuration import KEYS
from tests.servers import ROOT
from tests.shell import Shell, blocks_of, follow_console, follow_session

PAGE = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")
SOURCES = ROOT / "src" / "cidrmatch" / "service" / "feeds"


def table(heading: str) -> list[list[str]]:
    """Give the rows of the first table below a heading."""
    below = PAGE.partition(f"\n## {heading}\n")[2]
    rows = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", below, re.MULTILINE)
    assert rows is not None, heading
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in rows[1].splitlines()]


def test_what_the_page_shows_is_what_happens(shell: Shell, tmp_path: Path) -> None:
    blocks = blocks_of("feeds.md", "console", "pycon")
    assert len(blocks) == 5
    for kind, text in blocks:
        if kind == "console":
            follow_console(shell, text)
        else:
            follow_session(shell, tmp_path, text)


@pytest.mark.parametrize("text", [text for _, text in blocks_of("feeds.md", "toml")])
def test_configurations_of_the_page_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "feeds.toml").write_text(text)
    assert read_feeds(tmp_path / "feeds.toml")


def test_the_page_has_every_key_and_no_other() -> None:
    assert sorted(row[0].strip("`") for row in table("Every key of a feed")) == list(KEYS)


def test_defaults_of_the_page_are_those_of_the_code() -> None:
    renamed = {"list_name": "list", "file_format": "format", "names": "hosts"}
    known: dict[str, Any] = {
        renamed.get(item.name, item.name): item.default
        for kind in (Feed, Bounds, Hosts, Targets)
        for item in dataclasses.fields(kind)
    }
    checked = 0
    for key, default, _ in table("Every key of a feed"):
        found = re.fullmatch(r"`([0-9.]+|false)`", default)
        if found:
            value = {"false": False}.get(found[1], found[1])
            assert known[key.strip("`")] == (float(value) if isinstance(value, str) else value), key
            checked += 1
    assert checked >= 12


def test_the_page_has_every_code_of_a_refusal() -> None:
    told = {code for row in table("What is refused") for code in re.findall(r"`(\w+)`", row[0])}
    code = "".join(path.read_text(encoding="utf-8") for path in SOURCES.glob("*.py"))
    raised = set(re.findall(r'FeedRefused\(\s*"(\w+)"', code)) | {"names", "digest_missing", "signature_missing"}
    assert told == raised


def test_the_page_has_every_command() -> None:
    told = {row[0].strip("`").split()[0] for row in table("On the command line")}
    assert told == {each.callback.__name__ for each in command.registered_commands if each.callback is not None}
