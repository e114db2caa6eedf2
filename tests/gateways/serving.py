"""Real servers on free ports of the loopback, started and stopped by the tests, and a client that sends bytes.

    with running("uvicorn", strategy="proxies") as port:
        reply = ask(port, "key_1", "X-Forwarded-For: 203.0.113.9")
    with running(["gunicorn", "--bind=127.0.0.1:{port}", "some.module:app"]) as port:

A request is bytes, so that it may be what no client library sends.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers import ROOT, connect, free_port, started

ASGI, WSGI = "tests.gateways.apps:asgi_app", "tests.gateways.apps:wsgi_app"
PYTHON = sys.executable
COMMANDS: dict[str, list[str]] = {
    "uvicorn": ["uvicorn", "--no-proxy-headers", "--log-level=warning", "--host=127.0.0.1", "--port={port}", ASGI],
    "uvicorn, as it comes": ["uvicorn", "--log-level=warning", "--host=127.0.0.1", "--port={port}", ASGI],
    "uvicorn, h11": ["uvicorn", "--http=h11", "--no-proxy-headers", "--host=127.0.0.1", "--port={port}", ASGI],
    "hypercorn": ["hypercorn", "--bind=127.0.0.1:{port}", ASGI],
    "granian": ["granian", "--interface=asgi", "--host=127.0.0.1", "--port={port}", ASGI],
    "gunicorn": ["gunicorn", "--bind=127.0.0.1:{port}", WSGI],
    "waitress": ["waitress", "--no-clear-untrusted-proxy-headers", "--listen=127.0.0.1:{port}", WSGI],
    "granian, wsgi": ["granian", "--interface=wsgi", "--host=127.0.0.1", "--port={port}", WSGI],
    "gunicorn, on a UNIX socket": ["gunicorn", "--bind=unix:{path}", WSGI],
    "granian, on a UNIX socket": ["granian", "--interface=asgi", "--uds={path}", ASGI],
    "hypercorn, on a UNIX socket": ["hypercorn", "--bind=unix:{path}", ASGI],
    "uvicorn, on a UNIX socket": ["uvicorn", "--no-proxy-headers", "--uds={path}", ASGI],
}
ASGI_SERVERS = ("uvicorn", "uvicorn, h11", "hypercorn", "granian")
WSGI_SERVERS = ("gunicorn", "waitress")


class Reply(NamedTuple):
    """What a server answered: its status, and what the body says."""

    status: int
    address: str | None
    reason: str | None
    body: bytes


@contextmanager
def running(server: str | list[str], log: Path | None = None, /, **options: str) -> Iterator[int | str]:
    """Run a server by its name here, or by its words; give its port, or the path of its socket.

    What the server prints goes to `log`, if somebody wants to read it.
    """
    command = COMMANDS[server] if isinstance(server, str) else server
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    environment |= {name.upper(): value for name, value in options.items()}
    with tempfile.TemporaryDirectory() as folder:
        port, path = free_port(), f"{folder}/server.sock"
        target: int | str = path if "{path}" in " ".join(command) else port
        words = [PYTHON, "-m", *(word.format(port=port, path=path) for word in command)]
        with started(words, target, log, environment):
            yield target


def send(target: int | str, request: bytes, source: str = "") -> bytes:
    """Send bytes, and read until the server closes or is silent for a second after something came.

    `source` is an address of the loopback, such as 127.0.0.9, that the connection comes from.
    """
    with connect(target, source) as stream:
        stream.sendall(request)
        received = b""
        with suppress(OSError):
            while piece := stream.recv(65_536):
                received += piece
                stream.settimeout(1)
        return received


def ask(target: int | str, key: str | None, *lines: str | bytes, path: str = "/", source: str = "") -> Reply:
    """Send a request with these header lines."""
    head = [f"GET {path} HTTP/1.1".encode(), b"Host: test", b"Connection: close"]
    head += [] if key is None else [b"X-API-Key: " + key.encode()]
    head += [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    return read(send(target, b"\r\n".join([*head, b"", b""]), source))


def read(received: bytes) -> Reply:
    """Read a reply; status 0 where the server closed without one."""
    found = re.match(rb"HTTP/1\.[01] (\d{3})", received)
    head, _, body = received.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        body = b"".join(chunks(body))
    said: Any = None
    with suppress(ValueError):
        said = json.loads(body)
    facts = said.get("error", said) if isinstance(said, dict) else {}
    return Reply(int(found[1]) if found else 0, facts.get("address"), facts.get("reason"), body)


def chunks(body: bytes) -> Iterator[bytes]:
    """Yield the pieces of a chunked body."""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        yield rest[:length]
        body = rest[length + 2 :] if length else b""
