"""docs/stores.md: each block is run, in its order, in an empty folder, as it stands.

```console     commands in one shell, and what they print; `...` stands for anything
```sql         a statement by hand, in keys.db
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.shell import Shell, blocks_of, follow_console

BLOCKS = blocks_of("stores.md", "console", "sql")


def test_what_the_page_shows_is_what_happens(shell: Shell, tmp_path: Path) -> None:
    assert len(BLOCKS) >= 10
    for kind, text in BLOCKS:
        if kind == "console":
            follow_console(shell, text)
        else:
            with closing(sqlite3.connect(tmp_path / "keys.db")) as database, database:
                assert database.execute(text).rowcount == 1
