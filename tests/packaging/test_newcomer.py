"""A newcomer walks through docs/first-hour.md: every block is run, in its order, in an empty folder, as it stands.

    ```toml, ```python    a file; its first line is a comment with its name
    ```console            `$` commands, in one shell from top to bottom, and what they print; `...` stands for anything
    ```pycon              an interactive session of Python, one for the whole page

One thing differs: `../cidrmatch` is not compiled again, but the wheel that was built of it is installed.
Requirements: B2, B5, C19.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell import Shell, follow_console

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "first-hour.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
pytestmark = pytest.mark.packaging


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def write_file(folder: Path, text: str) -> None:
    name = text.partition("\n")[0].removeprefix("# ")
    assert re.fullmatch(r"\w+\.\w+", name), f"no name of a file: {name}"
    (folder / name).write_text(text, encoding="utf-8")


def test_the_page_has_all_the_parts_of_the_walk() -> None:
    kinds = [kind for kind, _ in BLOCKS]
    assert set(kinds) == {"console", "pycon", "toml", "python"}
    assert PAGE.count("```") == 2 * len(BLOCKS)
    for step in ("pip install", "lint", "compile", "Engine.edit", "max_age=10", 'when_stale="deny"', "engine.age"):
        assert step in PAGE


def test_B2_B5_C19_what_the_page_shows_is_what_happens(shell: Shell, dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    session = ""
    for kind, text in BLOCKS:
        if kind == "console":
            follow_console(shell, text.replace("../cidrmatch", str(wheel)))
        elif kind == "pycon":
            session += text + "\n"  # what came before is said again
            (tmp_path / "session.txt").write_text(session, encoding="utf-8")
            shell.run("python -m doctest -o ELLIPSIS session.txt")
        else:
            write_file(tmp_path, text)
    where = shell.run("python -c 'import cidrmatch; print(cidrmatch.__file__)'")
    assert where.startswith(str(tmp_path))
