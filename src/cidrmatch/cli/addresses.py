"""Addresses from a file or from standard input: read in blocks, answered in blocks, each on a line of its own.

    cidrmatch check office.txt - < seen.txt                 an address a line; comments and blank lines as in a list
    cidrmatch check office.txt --addresses seen.txt         the same from a file
    tail -f seen.txt | cidrmatch check office.txt -         each answer comes as soon as its line is there

    seen.txt  -->  [ "203.0.113.7", "junk", "192.0.2.1" ]  -->  answers of the first and the last, one write a block
                                     '-> stderr: seen.txt:2: error: 'junk' is not an address: ...

A line that is no address hides no other: it is told on stderr with its place, the others are answered, and the call
ends with status 2.  Input without any address is a wrong call, too, because "all are allowed" would be no answer.

This room knows no list and no key: a function of the caller answers the addresses of a block.  If it finds that one is
none, the block is looked through, address by address, and the function is called again without the bad ones.

Cost: the memory of a block, and about half a microsecond a line for a list, most of it for the answer's text.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias, cast

from .._core import format_address
from ..errors import InvalidAddress
from ..files.documents import STDIN, name_of, place_in
from .output import console, count, fail, finish, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Answer", "answer_all"]

Answer: TypeAlias = "Callable[[list[str]], tuple[str, int]]"
"""Answers some addresses: gives the text of the answers, and how many are allowed; or raises InvalidAddress."""

_BLOCK_SIZE: Final = 1 << 18
_MARK: Final = b"\xef\xbb\xbf"


def answer_all(source: str, answer: Answer, *, quiet: bool = False) -> None:
    """Answer every address of a file, tell every line that is none, and end the call.

    Args:
        source: a path, or `STDIN`.
        answer: answers the addresses of a block.
        quiet: whether no answer is printed.
    """
    name = name_of(source)
    asked = allowed = junk = 0
    for lines, texts in _numbered(_blocks(source)):
        try:
            said, passed = answer(texts)
        except InvalidAddress:
            good = _sifted(name, lines, texts)
            said, passed = answer(good)
            junk += len(texts) - len(good)
        asked += len(texts)
        allowed += passed
        if not quiet:
            sys.stdout.write(said)
            sys.stdout.flush()  # whoever follows a growing file waits for it
    if junk:
        fail(f"{count(junk, 'line')} of {name} cannot be read as an address")
    if not asked:
        fail(f"{name}: there is no address in it")
    finish(0 if allowed == asked else 1)


def _sifted(name: str, lines: Sequence[int], texts: list[str]) -> list[str]:
    """Tell which of some texts are no addresses, and give the others."""
    out, good = console(sys.stderr), []
    for line, text in zip(lines, texts, strict=True):
        try:
            format_address(text)
        except InvalidAddress as error:
            say(out, "error", f": {error}", place=f"{place_in(name, line)}: ")
        else:
            good.append(text)
    return good


def _numbered(blocks: Iterator[bytes]) -> Iterator[tuple[Sequence[int], list[str]]]:
    """Yield the texts of each block and their lines, without comments and blank lines."""
    first = 1
    for written in blocks:
        block = written.removeprefix(_MARK) if first == 1 else written
        contents = block.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
        lines: Sequence[int] = range(first, first + len(contents))
        first += len(contents)
        if not _is_bare(block):
            stripped = [(line, _address_in(content)) for line, content in zip(lines, contents, strict=True)]
            lines, contents = [line for line, text in stripped if text], [text for _, text in stripped if text]
        if contents:
            yield lines, contents


def _is_bare(block: bytes) -> bool:
    """Whether each line is an address or junk as it stands: no comment, no white space, no blank line."""
    return (
        block != b"" and not any(mark in block for mark in (b"#", b" ", b"\t", b"\r", b"\n\n")) and block[:1] != b"\n"
    )


def _address_in(content: str) -> str:
    """Take the comment and the white space off; a line with a "\\r" inside hides no address, and is junk as it is."""
    line = content.removesuffix("\r")
    return line if "\r" in line else line.partition("#")[0].strip(" \t")


def _blocks(source: str) -> Iterator[bytes]:
    """Yield the bytes of a file, whole lines at a time, as soon as they are there; or end the call (exit 2)."""
    left = bytearray()
    with _opened(source) as file:
        while piece := _read(source, file):
            end = piece.rfind(b"\n") + 1
            left += piece[:end] if end else piece
            if end:
                yield bytes(left)
                left = bytearray(piece[end:])
    if left:
        yield bytes(left)


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    if source == STDIN:
        if sys.stdin is None:  # a process may be started without one
            fail(f"{name_of(source)}: cannot be read: there is no standard input")
        yield sys.stdin.buffer
        return
    try:
        file = open(source, "rb")  # noqa: SIM115  closed below
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        fail(f"{source}: cannot be read: {getattr(error, 'strerror', None) or error}")
    with file:
        yield file


def _read(source: str, file: BinaryIO) -> bytes:
    """Read what is there, and wait only if nothing is."""
    try:
        return cast("bytes", file.read1(_BLOCK_SIZE))  # type: ignore[attr-defined]
    except OSError as error:
        fail(f"{name_of(source)}: cannot be read: {error.strerror}")
