"""What a command says: lines for people, or one JSON document for programs; and how a call ends.

    say         one line for people       verdict in its colour on a terminal, without colours elsewhere
    print_json  one line for programs     ASCII, on stdout, and then nothing else goes there
    fail        why a call is wrong       on stderr, exit 2
    finish      the end of every command  with the exit status, after all output went out

Lists, labels and names of files come from strangers, and a terminal obeys
control characters.  So this is the one wall before the terminal: whatever people
read goes through `say`, which escapes control characters and knows no markup.

What is said is for the commands to decide; nothing here knows a list or a key.
Cost: a line without colours is one write; rich takes 50 times as long for one with colours.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO, TypeVar

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["console", "count", "fail", "finish", "print_json", "printable", "say", "with_progress"]

_T = TypeVar("_T")

_LONG_INPUT = 50_000
"""A progress bar is shown for more entries than this."""

_COLOURS = {
    "green": ("allowed", "accepted", "clean", "+"),
    "red": ("denied", "refused", "error", "-"),
    "yellow": ("warning", "suspicious", "~"),
}
_STYLES = {word: colour for colour, words in _COLOURS.items() for word in words}
"""The colour of a line's first word, where that is a verdict."""


def console(stream: TextIO) -> Console:
    """Give a console that colours a terminal and nothing else, and not even that under NO_COLOR (no-color.org)."""
    coloured = stream.isatty() and not os.environ.get("NO_COLOR")
    return Console(file=stream, color_system="auto" if coloured else None, no_color=not coloured, highlight=False)


def say(out: Console, first: str, rest: str = "", *, place: str = "") -> None:
    """Print one line for people: nothing in it is markup, and no control character gets through.

    The first word has its colour; a place may stand before it.
    """
    before, word, after = (printable(text, out.encoding) for text in (place, first, rest))
    if out.color_system is None:  # rich would take 50 times as long, and a diff may have a million lines
        out.file.write(f"{before}{word}{after}\n")
    else:
        out.print(Text.assemble(before, (word, _STYLES.get(first, "")), after), soft_wrap=True)


def printable(text: str, encoding: str = "ascii") -> str:
    r"""Escape what is no visible character (ESC, a newline, a right-to-left mark) or not in the encoding.

    >>> printable("[red]B\u00fcro\x1b[2J", "utf-8")
    '[red]Büro\\x1b[2J'
    """
    if not text.isprintable():
        text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: `1 key`, `2,000 keys`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def print_json(**document: object) -> None:
    """Print one document as one line of ASCII; an indent would make the encoder ten times slower."""
    sys.stdout.write(json.dumps(document) + "\n")


def with_progress(entries: Sequence[_T]) -> Iterable[_T]:
    """Show a bar on the terminal while many entries are gone through."""
    if len(entries) <= _LONG_INPUT or sys.stderr is None or not sys.stderr.isatty():
        return entries
    from rich.progress import track  # noqa: PLC0415  its import is a tenth of the start, and few calls show a bar

    return track(entries, "Reading the list", console=console(sys.stderr), transient=True)


def fail(reason: str) -> NoReturn:
    """Say why a call cannot be answered, and end it (exit 2)."""
    say(console(sys.stderr), "error", f": {reason}")
    finish(2)


def finish(status: int) -> NoReturn:
    """End the call after all of its output went out: a reader that went away is noticed here."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a process may be started without one
        stream.flush()
    raise typer.Exit(status)
