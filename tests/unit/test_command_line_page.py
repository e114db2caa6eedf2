"""docs/command-line.md: each block is run, in its order, in an empty folder, as it stands."""

from __future__ import annotations

from tests.shell import Shell, blocks_of, follow_console

BLOCKS = blocks_of("command-line.md", "console")


def test_what_the_page_shows_is_what_happens(shell: Shell) -> None:
    assert len(BLOCKS) == 2
    for _, text in BLOCKS:
        follow_console(shell, text)
