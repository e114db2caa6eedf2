"""The command line where its output cannot be written: such a call is never "refused", and prints no traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
import typer

from cidrmatch.cli.streams import delivered, streams_that_exist

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = Path("/dev/full")
ALLOWED = ["check", "office.txt", "203.0.113.5"]
LOUD = [
    ALLOWED,
    ["validate", "bad.txt"],
    ["aggregate", "office.txt"],
    ["suggest", "office.txt"],
    ["schema"],
    ["--help"],
]
"""Calls that write to stdout, with whatever answer."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("office.txt").write_text("203.0.113.5\n", encoding="ascii")
    Path("bad.txt").write_text("junk\n", encoding="ascii")


def process(
    *arguments: str,
    stdout: IO[bytes] | int = subprocess.PIPE,
    stderr: IO[bytes] | int = subprocess.PIPE,
    before: Callable[[], None] | None = None,
) -> tuple[int, str]:
    command = [sys.executable, "-m", "cidrmatch", *arguments]
    ended = subprocess.run(command, stdout=stdout, stderr=stderr, preexec_fn=before, timeout=60, check=False)
    return ended.returncode, (ended.stderr or b"").decode()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("call", LOUD, ids=" ".join)
def test_a_full_disk_is_an_error_of_its_own(call: list[str]) -> None:
    with FULL.open("wb") as full:
        assert process(*call, stdout=full) == (2, "error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("call", LOUD, ids=" ".join)
def test_a_reader_that_has_gone_ends_the_call_as_the_signal_would(call: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        assert process(*call, stdout=gone) == (141, "")


@pytest.mark.parametrize("call", LOUD, ids=" ".join)
def test_a_missing_stdout_is_an_error_and_no_answer(call: list[str]) -> None:
    code, told = process(*call, before=lambda: os.close(1))
    assert (code, told) == (2, f"error: the output cannot be written: {os.strerror(errno.EBADF)}\n")


def test_messages_that_cannot_be_written_are_an_error_but_a_missing_stderr_is_a_wish() -> None:
    refused = ["check", "bad.txt", "203.0.113.5"]
    if FULL.exists():
        with FULL.open("wb") as full:
            assert process(*refused, stderr=full)[0] == 2
            assert process(*ALLOWED, stderr=full)[0] == 0
            assert process("--nope", stderr=full)[0] == 2
    assert process(*refused, before=lambda: os.close(2))[0] == 1
    assert process("--nope", before=lambda: os.close(2))[0] == 2
    assert process(*ALLOWED, before=lambda: os.closerange(1, 3))[0] == 2


def test_an_error_that_names_a_file_is_no_error_of_the_output() -> None:
    with pytest.raises(OSError, match=r"office\.txt"), delivered():
        raise OSError(errno.ENOSPC, "full", "office.txt")
    with pytest.raises(TimeoutError), delivered():
        raise OSError(errno.ETIMEDOUT, "slow")
    with pytest.raises(typer.Exit) as ended, delivered():
        raise OSError(errno.ENOSPC, "full")
    assert ended.value.exit_code == 2


def test_missing_streams_are_missing_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with streams_that_exist():
        assert sys.stderr.write("nobody hears it") == len("nobody hears it")
        assert (sys.stdout.isatty(), sys.stdout.writable(), sys.stderr.writable()) == (False, True, True)
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            sys.stdout.write("x")
    assert (sys.stdout, sys.stderr) == (None, None)
