"""docs/suggest.md: each block is run, in its order, in an empty folder, as it stands.

```console     commands in one shell, and what they print
```pycon       a session with Python
"""

from __future__ import annotations

from pathlib import Path

from tests.shell import Shell, blocks_of, follow_console, follow_session

BLOCKS = blocks_of("suggest.md", "console", "pycon")


def test_what_the_page_shows_is_what_happens(shell: Shell, tmp_path: Path) -> None:
    assert [kind for kind, _ in BLOCKS] == ["console", "console", "console", "pycon"]
    for kind, text in BLOCKS:
        if kind == "console":
            follow_console(shell, text)
        else:
            follow_session(shell, tmp_path, text)
