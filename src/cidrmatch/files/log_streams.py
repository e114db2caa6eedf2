"""Logs as blocks of whole lines: from a file or standard input, plain, gzip or zstd.

    access.log.gz  --open_log-->  bytes  --blocks_of-->  "line 1\\nline 2\\n ... line 1200\\n"     about 256 KiB
                                                        "line 1201\\n ..."                       the next one

The first bytes of a file say how it is compressed, not its name.  A file of several gzip members or zstd frames, as log
rotation writes them, is read to its end.

A block ends behind a whole line; the last line of a file may have no newline.  Bytes that are no UTF-8 become lone
surrogates, which no address and no known key has; so one bad byte costs one answer and never a whole file.
Cost: one block is in memory.  A line of more than a mebibyte is refused, because no access log has one.
Source: RFC 1952 section 2.3.1 (gzip); RFC 8878 section 3.1.1 (zstd).
"""

from __future__ import annotations

import gzip
import importlib
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from .documents import STDIN, DocumentError, name_of

__all__ = ["AccessLogError", "Block", "blocks_of", "open_log"]

_BLOCK: Final = 256 << 10
"""How many bytes are read at once: few enough to stay in the cache of a processor."""
_LONGEST: Final = 1 << 20
"""The most bytes of one line."""
_FED: Final = 4096
"""How many bytes of zstd are decompressed at once: no more than some hundred megabytes can come of them."""
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_NO_ZSTD: Final = (
    "is compressed with zstd, which this Python does not read: install cidrmatch[zstd], use Python 3.14, or pipe it "
    "through zstdcat"
)


class Block(NamedTuple):
    """Hold whole lines of a log.

    Attributes:
        text: the lines, each with its newline.
        first_line: the number of the first one in its log, from 1.
        lines: how many there are.
        has_escaped_quotes: whether a backslash stands before a quote somewhere.
    """

    text: str
    first_line: int
    lines: int
    has_escaped_quotes: bool


class AccessLogError(DocumentError):
    """Say which log cannot be read, at which place, and why.

    Attributes:
        place: the file, and the line if it is known.
        reason: what is wrong, in words.
    """


@contextmanager
def open_log(source: str | Path, watch: Callable[[int, int | None], None] | None = None) -> Iterator[Any]:
    """Open a log, and decompress it if it is compressed.

    Args:
        source: a path, or `STDIN`.
        watch: called with the number of bytes that were read of the file as it lies there, and its size, or None.
    Raises:
        AccessLogError: it cannot be opened, or there is nothing that reads zstd.
    """
    name = name_of(source)
    if source == STDIN and sys.stdin is None:  # a process may be started without one
        raise AccessLogError(name, "cannot be read: there is no standard input")
    with ExitStack() as stack:
        try:
            raw = sys.stdin.buffer if source == STDIN else stack.enter_context(Path(source).open("rb", _BLOCK))
            opened = _decompressed(raw, name, watch)
        except AccessLogError:
            raise
        except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
            raise AccessLogError(name, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
        yield opened


class _Source(io.RawIOBase):
    """Passes a file on, with its first bytes, which were read already; tells how far it was read."""

    def __init__(self, first: bytes, file: Any, watch: Callable[[int, int | None], None] | None) -> None:
        self._first, self._file, self._watch, self._done = first, file, watch, 0
        self._size = os.fstat(file.fileno()).st_size if watch is not None and file.seekable() else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        read = self._first[: len(buffer)] or self._file.read(len(buffer))
        self._first = self._first[len(read) :]
        buffer[: len(read)] = read
        self._done += len(read)
        if self._watch is not None:
            self._watch(self._done, self._size)
        return len(read)


class _Frames:
    """Reads zstd, frame after frame.

    A decompressor of either module ends with a frame, and says whether the frame was whole; a stream reader of the
    module zstandard would take a file that is cut short for one that ends.
    """

    def __init__(self, file: IO[bytes], begin: Callable[[], Any]) -> None:
        self._file, self._begin, self._frame, self._left = file, begin, begin(), b""
        self._is_inside = False

    def read(self, _size: int) -> bytes:
        """Give the next bytes, few or many; none at the end."""
        while True:
            data = self._left or self._file.read(_FED)
            self._left = b""
            if not data:
                if self._is_inside:
                    raise EOFError("the file ends inside a zstd frame")
                return b""
            found: bytes = self._frame.decompress(data)
            self._is_inside = not self._frame.eof
            if self._frame.eof:
                self._left, self._frame = self._frame.unused_data, self._begin()
            if found:
                return found


def _decompressed(raw: Any, name: str, watch: Callable[[int, int | None], None] | None) -> Any:
    first = raw.read(4)  # a pipe may give fewer bytes at a time
    if watch is None and raw.seekable():
        raw.seek(-len(first), os.SEEK_CUR)  # standard input may be a file of which a part was read before
        file = raw
    else:
        file = io.BufferedReader(_Source(first, raw, watch), _BLOCK)
    if first.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if first == _ZSTD:
        return _Frames(file, _zstd_decompressor(name))
    return file


def _zstd_decompressor(name: str) -> Callable[[], Any]:
    for module, decompressor in (
        ("compression.zstd", lambda zstd: zstd.ZstdDecompressor),
        ("zstandard", lambda zstd: zstd.ZstdDecompressor().decompressobj),
    ):
        try:
            return decompressor(importlib.import_module(module))  # type: ignore[no-any-return,no-untyped-call]
        except ImportError:
            continue
    raise AccessLogError(name, _NO_ZSTD)


def blocks_of(file: Any, name: str) -> Iterator[Block]:
    """Yield blocks of whole lines; each line ends with a newline, also the last one.

    Raises:
        AccessLogError: the compressed data is damaged or cut short, a line is too long, or reading fails.
    """
    rest, first_line = b"", 1
    while read := _read(file, name):
        end = read.rfind(b"\n") + 1
        if end == 0:
            rest += read
            if len(rest) > _LONGEST:
                reason = f"has a line of more than {_LONGEST:,} bytes: this is no log"
                raise AccessLogError(f"{name}:{first_line}", reason)
            continue
        block = _block(rest + read[:end], first_line)
        rest, first_line = read[end:], first_line + block.lines
        yield block
    if rest:
        yield _block(rest + b"\n", first_line)


def _block(content: bytes, first_line: int) -> Block:
    # A backslash is looked for first, because one character is found much faster than two.
    has_escaped_quotes = b"\\" in content and b'\\"' in content
    text = content.decode("utf-8", "surrogateescape")
    return Block(text, first_line, content.count(b"\n"), has_escaped_quotes)


def _read(file: Any, name: str) -> bytes:
    try:
        return file.read(_BLOCK)  # type: ignore[no-any-return]
    except (OSError, EOFError, zlib.error) as error:
        raise AccessLogError(name, f"cannot be read: {error}") from error
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # the type is that of whichever module reads zstd
            raise
        raise AccessLogError(name, f"cannot be read: {error}") from error
