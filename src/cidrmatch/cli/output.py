"""What a command says: lines for people, or one JSON document for programs; and how a call ends.

    say         one line for people       on a terminal the verdict has its colour; elsewhere there are no colours
    print_json  one line for programs     ASCII on stdout; nothing else is written to stdout
    fail        why a call is wrong       on stderr, exit 2
    finish      the end of every command  writes out all output, then ends with the exit status
    write_whole a file that -o names      all of the new content, or the old file

Lists, labels and names of files may come from strangers, and a terminal obeys control characters.  So the lines for
people go through `say`, which escapes control characters and knows no markup.

The commands decide what to say.  Nothing here knows a list or a key.
Cost: a line without colours is one write.  For a line with colours, rich takes 50 times as long.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, TextIO, TypeVar

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "console",
    "count",
    "fail",
    "finish",
    "lines_of",
    "print_json",
    "printable",
    "progress_of_bytes",
    "say",
    "with_progress",
    "write_whole",
]

_T = TypeVar("_T")

_LONG_INPUT = 50_000
"""A progress bar is shown for more entries than this."""
_LONG_FILE = 16 << 20
"""A progress bar is shown for files of more bytes than this."""

_COLOURS = {
    "green": ("allowed", "accepted", "clean", "+"),
    "red": ("denied", "refused", "error", "-"),
    "yellow": ("warning", "suspicious", "~"),
}
_STYLES = {word: colour for colour, words in _COLOURS.items() for word in words}
"""The colour of a line's first word, if this word is a verdict."""


def console(stream: TextIO) -> Console:
    """Give a console that uses colours only on a terminal, and only without NO_COLOR (no-color.org)."""
    coloured = stream.isatty() and not os.environ.get("NO_COLOR")
    return Console(file=stream, color_system="auto" if coloured else None, no_color=not coloured, highlight=False)


def say(out: Console, first: str, rest: str = "", *, place: str = "") -> None:
    """Print one line for people: nothing in it is taken as markup, and control characters are escaped.

    The word `first` is printed in its colour.  The text `place` is printed before it.
    """
    before, word, after = (printable(text, out.encoding) for text in (place, first, rest))
    if out.color_system is None:  # rich would take 50 times as long, and a diff may have a million lines
        out.file.write(f"{before}{word}{after}\n")
    else:
        out.print(Text.assemble(before, (word, _STYLES.get(first, "")), after), soft_wrap=True)


def lines_of(out: Console, lines: Iterable[tuple[str, str, str]]) -> str:
    """Give the text of many lines for people, to write it at once; each is its place, its first word and the rest."""
    if out.color_system is None:
        encoding = out.encoding
        return "".join(f"{printable(place + first + rest, encoding)}\n" for place, first, rest in lines)
    with out.capture() as captured:
        for place, first, rest in lines:
            say(out, first, rest, place=place)
    return captured.get()


def printable(text: str, encoding: str = "ascii") -> str:
    r"""Escape characters that are not printable (ESC, a newline, a right-to-left mark) or not in the encoding.

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
    """Print one document as one line of ASCII; with an indent the encoder would be ten times slower."""
    sys.stdout.write(json.dumps(document) + "\n")


def with_progress(entries: Sequence[_T]) -> Iterable[_T]:
    """Give the entries back; if there are many, a bar on the terminal shows how far they were read."""
    if len(entries) <= _LONG_INPUT or sys.stderr is None or not sys.stderr.isatty():
        return entries
    from rich.progress import track  # noqa: PLC0415  the import takes a tenth of the start, and few calls show a bar

    return track(entries, "Reading the list", console=console(sys.stderr), transient=True)


@contextmanager
def progress_of_bytes(
    what: str, sources: Sequence[str]
) -> Iterator[Callable[[str], Callable[[int, int | None], None]] | None]:
    """Give a function that makes the `watch` of each source; or None, if nobody looks or there is little to read."""
    sizes = {source: _size_of(source) for source in sources}
    is_long = any(size is None or size > _LONG_FILE for size in sizes.values())
    if not is_long or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress  # noqa: PLC0415  as in `with_progress`

    with Progress(console=console(sys.stderr), transient=True) as bar:

        def watch_of(source: str) -> Callable[[int, int | None], None]:
            task = bar.add_task(printable(f"{what}: {source}"), total=sizes[source])
            return lambda done, _size: bar.update(task, completed=done)

        yield watch_of


def _size_of(source: str) -> int | None:
    try:
        return os.stat(source).st_size
    except (OSError, ValueError):  # standard input; a file that is not there is told when it is read
        return None


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the collector of garbage: a million entries or problems are no garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def fail(reason: str) -> NoReturn:
    """Print why a call cannot be answered, and end it (exit 2)."""
    say(console(sys.stderr), "error", f": {reason}")
    finish(2)


def finish(status: int) -> NoReturn:
    """Write out all output, then end the call; an error of the output is raised here, and `streams` tells it."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    raise typer.Exit(status)


def write_whole(output: str, text: str, mode: int) -> None:
    """Write a file whole or not at all; one that is there keeps its mode, and a link stays a link.

    Args:
        output: the path.
        text: all of the content; its line ends stay as they are.
        mode: the permissions of a new file.
    Raises:
        OSError: nothing was changed.
    """
    path = os.path.realpath(output)
    folder, name = os.path.split(path)
    descriptor, draft = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            mode = os.stat(path).st_mode & 0o7777
        os.chmod(draft, mode)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
