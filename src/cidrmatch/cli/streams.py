"""What a call does if its output cannot be written: a full disk, a reader that has gone, no standard output at all.

    what happened                        exit status   on stderr
    the reader of a pipe has gone        141           nothing: `cidrmatch diff OLD NEW | head -1` is no mistake
    a full disk, a quota, a closed file  2             error: the output cannot be written: No space left on device
    stdout is not there (`>&-`)          2             the same, with another reason
    stderr is not there (`2>&-`)         the answer's  nothing: whoever closes it wants no messages

No such end is 1, which means "denied" or "refused": the answer was not delivered, and that is no answer.  141 is the
status that a shell gives for a program that SIGPIPE ended (128 + 13).  The signal itself stays ignored, because it
would end `cidrmatch serve` as soon as a client hangs up.

This room knows no command.  `app` runs every command inside `delivered`.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TextIO, cast

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["delivered", "streams_that_exist"]

_READER_GONE: Final = 141
_NOT_WRITTEN: Final = 2
_OF_OUTPUT: Final = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""Errors of a write, whose file has no name; an error of reading names its file and is told by its command."""


class _Missing(io.TextIOBase):
    """Stands for a stdout that the process was started without: a write fails, as it does in other programs."""

    def writable(self) -> bool:
        return True

    def write(self, _text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class _Unheard(io.TextIOBase):
    """Stands for a stderr that the process was started without: messages are dropped."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def streams_that_exist() -> Iterator[None]:
    """Put a stream in the place of a missing one, so that commands need not ask."""
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stdout or cast("TextIO", _Missing())
    sys.stderr = sys.stderr or cast("TextIO", _Unheard())
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def delivered() -> Iterator[None]:
    """Run a part of a call; if its output cannot be written, end the call with the status of the table."""
    try:
        yield
    except OSError as error:
        if not _is_of_output(error):
            raise
        raise typer.Exit(_tell(error)) from None


def _is_of_output(error: OSError) -> bool:
    return error.filename is None and error.errno in _OF_OUTPUT


def _tell(error: OSError) -> int:
    """Say what could not be written, if anybody can hear it; drop what is left of the output; give the status."""
    if error.errno != errno.EPIPE:
        with suppress(OSError):  # perhaps it was stderr that failed
            sys.stderr.write(f"error: the output cannot be written: {error.strerror}\n")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _drop(stream)
    return _READER_GONE if error.errno == errno.EPIPE else _NOT_WRITTEN


def _drop(stream: TextIO) -> None:
    """Lead a stream to nowhere: at its end, the interpreter writes what is left, and would fail once more."""
    with suppress(OSError, ValueError):  # a stream without a file, or a closed one
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
