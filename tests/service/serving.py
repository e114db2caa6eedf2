"""A real `cidrmatch serve` on a free port, with a snapshot of its own.

    with serving(folder) as server:
        server.ask("key_1", "X-Forwarded-For: 203.0.113.9")

The peer is 127.0.0.1, which is trusted.  key_1 may be used from 203.0.113.0/24 and 2001:db8::/48, "open" from anywhere.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cidrmatch import Engine, presets
from tests.gateways.serving import PYTHON, Reply, ask, read, send
from tests.servers import ROOT, free_port, started

TOKEN = "a token of the gateway alone"
TOKEN = TOKEN.replace(" ", "-")
HOME, AWAY = "203.0.113.9", "198.51.100.1"


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    target: int | str
    snapshot: Path
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, key: str | None, *lines: str | bytes, path: str = "/auth") -> Reply:
        return ask(self.target, key, *lines, path=path)

    def get(self, path: str, *lines: str) -> Reply:
        return ask(self.target, None, *lines, path=path)

    def post(self, path: str, body: bytes, *lines: str) -> Reply:
        head = [f"POST {path} HTTP/1.1", "Host: test", "Connection: close", f"Content-Length: {len(body)}", *lines]
        if not any(line.lower().startswith("content-type") for line in lines):
            head.append("Content-Type: application/json")
        return read(send(self.target, "\r\n".join([*head, "", ""]).encode() + body))


def make_snapshot(path: Path) -> None:
    engine = Engine(presets.bitbybit())
    engine.put_key("key_1", ["203.0.113.0/24", "2001:db8::/48"])
    engine.put_key("open")
    engine.save(path)


@contextmanager
def serving(folder: Path, *options: str, socket: bool = False) -> Iterator[Server]:
    """Run a server; it trusts 127.0.0.1 and has a token."""
    snapshot, token, log = folder / "keys.snap", folder / "token", folder / "log"
    if not snapshot.exists():
        make_snapshot(snapshot)
    token.write_text(TOKEN + "\n", encoding="ascii")
    target: int | str = str(folder / "s") if socket else free_port()
    listen = f"unix:{target}" if socket else f"127.0.0.1:{target}"
    words = [
        PYTHON, "-m", "cidrmatch", "serve", f"--snapshot={snapshot}", f"--listen={listen}", f"--token-file={token}",
        "--trusted=127.0.0.1", *options,
    ]  # fmt: skip
    with started(words, target, log, environment()) as process:
        yield Server(target, snapshot, process, log)


@contextmanager
def serving_envoy(
    folder: Path, *options: str, http: int | None = None, port: int | None = None
) -> Iterator[tuple[int, int, subprocess.Popen[bytes]]]:
    """Run a server that Envoy asks by gRPC; give its port for HTTP, that for gRPC, and the process."""
    http, port = http or free_port(), port or free_port()
    with started(envoy_words(folder, http, port, *options), port, None, environment()) as process:
        yield http, port, process


def envoy_words(folder: Path, http: int, port: int, *options: str) -> list[str]:
    """Give the command of such a server; the folder has keys.snap and a token."""
    return [
        PYTHON, "-m", "cidrmatch", "serve", f"--snapshot={folder / 'keys.snap'}", f"--token-file={folder / 'token'}",
        f"--listen=127.0.0.1:{http}", f"--grpc-listen=127.0.0.1:{port}", *options,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}
