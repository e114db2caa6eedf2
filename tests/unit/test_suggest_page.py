"""docs/suggest.md: each block is run, in its order, in an empty folder, as it stands.

```console     commands in one shell, and what they print
```pycon       a session with Python
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ROOT
from tests.shell import Shell, follow_console

PAGE = (ROOT / "docs" / "suggest.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(console|pycon)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def test_what_the_page_shows_is_what_happens(shell: Shell, tmp_path: Path) -> None:
    assert [kind for kind, _ in BLOCKS] == ["console", "console", "console", "pycon"]
    for kind, text in BLOCKS:
        if kind == "console":
            follow_console(shell, text)
        else:
            (tmp_path / "session.txt").write_text(text, encoding="utf-8")
            assert shell.run("python -m doctest session.txt") == ""
