"""docs/files.md: each sample is read as the page says, each command prints what it shows, nothing is left out."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest

from cidrmatch.cli.reading import options_of
from cidrmatch.files.lists import READERS, Format, read_list
from tests.shell import Shell, blocks_of, follow_console, follow_session
from tests.unit.test_list_messages import SUGGESTED, TOLD, WHOLE_FILES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "files.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^### `(\w+)`\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAMPLES = {name: blocks for name, text in SECTION.findall(PAGE) if len(blocks := BLOCK.findall(text)) == 2}
SUFFIXES = {"text": ".txt", "csv": ".csv", "json": ".json", "toml": ".toml"}
FILES = {
    "office.csv": SAMPLES["csv"][0][1],
    "ip-ranges.json": SAMPLES["aws"][0][1],
    "both.json": '{"entries": [], "addresses": [], "ipv6_addresses": []}',
    "sites.csv": "Site,Network\nHQ,192.0.2.0/24\n",
    "ranges.txt": "192.0.2.10-15\n10.0.*\n",
}
"""The files that the sessions of the page begin with."""


def written(entry: tuple[str, str | None]) -> str:
    return " ".join(filter(None, entry))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_gives_the_entries_that_stand_behind_it(tmp_path: Path, name: str) -> None:
    (kind, sample), (expected, entries) = SAMPLES[name]
    assert expected == "entries"
    suffix = READERS[Format(name)].suffixes[:1] or (SUFFIXES[kind],)
    path = tmp_path / f"sample{suffix[0]}"
    path.write_text(sample, encoding="utf-8")
    for file_format in (None, Format(name)):
        assert [written(entry) for entry in read_list(path, file_format).entries] == entries.splitlines()


def test_every_format_is_named() -> None:
    pages = PAGE + (DOCS / "gateway-lists.md").read_text(encoding="utf-8")
    assert [str(name) for name in Format if f"`{name}`" not in pages] == []
    assert len(SAMPLES) >= 17


def test_every_suffix_is_named() -> None:
    assert [suffix for reader in READERS.values() for suffix in reader.suffixes if f"`{suffix}`" not in PAGE] == []


def test_every_option_is_named() -> None:
    options = options_of("")
    names = [typing.get_args(kind)[1].default for kind, _ in options.values()]
    assert len(names) == 6
    assert [name for name in names if not re.search(rf"^\| `{name}[ `]", PAGE, re.MULTILINE)] == []
    parameters = set(read_list.__kwdefaults__ or {}) | {"file_format"}
    assert [name for name in parameters - {"content"} if f"`{name}`" not in PAGE] == []


def test_the_commands_and_sessions_of_the_page_are_true(shell: Shell, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    blocks = blocks_of("files.md", "console", "python")
    assert {kind for kind, _ in blocks} == {"console", "python"}
    for kind, text in blocks:
        if kind == "console":
            follow_console(shell, text)
        else:
            follow_session(shell, tmp_path, text)


def test_the_messages_of_the_table_are_said() -> None:
    rows = re.findall(r"^\| (.+) \| ([^|]+) \|$", PAGE.partition("## What a message says")[2], re.MULTILINE)[1:]
    told = {text: reason for text, reason, *_ in (*SUGGESTED, *TOLD)}
    told |= {broken: reason for _, broken, reason, *_ in WHOLE_FILES}
    known = " ".join(
        (*told.values(), "a carriage return stands in the line", "holds a NUL; is it UTF-16 without a mark?")
    )
    assert len(rows) == 10
    for _, message in rows:
        assert re.sub(r"[$\\]", "", message.partition("; did you mean")[0]) in re.sub(r"[$\\]", "", known), message
