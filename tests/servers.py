"""Programs that serve, started and stopped by the tests: on free ports of the loopback, with a folder of their own.

    with started([path_of("nginx"), "-c", ...], port):      stopped by its id, with all that it started

A program that is not installed skips its tests.  With CIDRMATCH_SERVERS=required, which CI sets, it fails them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
_WHERE = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", str(Path(sys.executable).parent)])


def path_of(program: str) -> str:
    """Give the path of an installed program; without it, skip the test, or fail it where CI wants it."""
    found = shutil.which(program, path=_WHERE)
    if found is None:
        if os.environ.get("CIDRMATCH_SERVERS") == "required":
            pytest.fail(f"{program} is not installed, and CIDRMATCH_SERVERS=required wants it")
        pytest.skip(f"{program} is not installed")
    return found


@contextmanager
def started(
    words: Sequence[str], target: int | str, log: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program and wait until `target`, a port or the path of a socket, takes connections; stop it at the end.

    What the program prints goes to `log`, if somebody wants to read it.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = log or Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                words, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            _wait_for(target, process, log)
            yield process
        finally:
            stop(process)


def _wait_for(target: int | str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(OSError), connect(target):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2_000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def connect(target: int | str, source: str = "") -> socket.socket:
    """Connect to a port of 127.0.0.1, from the address `source` if one is given, or to the path of a socket."""
    if isinstance(target, int):
        return socket.create_connection(("127.0.0.1", target), 30, (source, 0) if source else None)
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(30)
    try:
        stream.connect(target)
    except OSError:
        stream.close()
        raise
    return stream


async def live(receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Take part in the lifespan of an ASGI server: start and stop when it says so."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
