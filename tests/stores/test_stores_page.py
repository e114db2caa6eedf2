"""docs/stores.md: each block is run, in its order, in an empty folder, as it stands.

```console     commands in one shell, and what they print; `...` stands for anything
```sql         a statement by hand, in keys.db
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers import ROOT
from tests.shell import Shell, follow_console

PAGE = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(console|sql)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def test_what_the_page_shows_is_what_happens(shell: Shell, tmp_path: Path) -> None:
    assert len(BLOCKS) >= 10
    for kind, text in BLOCKS:
        if kind == "console":
            follow_console(shell, text)
        else:
            with closing(sqlite3.connect(tmp_path / "keys.db")) as database, database:
                assert database.execute(text).rowcount == 1
