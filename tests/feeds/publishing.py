"""A publisher on the loopback: real TLS, real HTTP, and answers as bad as a test wants them.

    publisher.put("/list.txt", b"203.0.113.0/24\n", etag='"1"')     served, and compared with If-None-Match
    publisher.answer("/list.txt", raw=b"HTTP/1.1 ...")              these bytes, whatever was asked
    publisher.answer("/list.txt", content=b"...", drips=True)       a byte now and then
    publisher.feed(folder, use="allow")                             a feed of /list.txt that trusts the publisher

Everything that was asked is in `publisher.asked`, with its headers.
"""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from cidrmatch.service.feeds import Feed

__all__ = ["Clock", "Page", "Publisher", "write_list"]


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Page:
    """Hold what is answered for one path."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    wait: threading.Event | None = None
    drips: bool = False


class Publisher:
    """A server with pages, in a thread of its own."""

    def __init__(self, folder: Path, *, tls: bool = True) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        publisher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                publisher._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # clients of these tests go away in the middle

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.root = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for page in self.pages.values():
            if page.wait is not None:
                page.wait.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def put(self, path: str, content: bytes | str, **headers: str) -> None:
        """Publish a page; headers have "_" for "-"."""
        content = content.encode() if isinstance(content, str) else content
        self.pages[path] = Page(content, headers={name.replace("_", "-"): text for name, text in headers.items()})

    def answer(self, path: str, **page: Any) -> None:
        """Publish a page with any status or with any bytes."""
        self.pages[path] = Page(**page)

    def feed(self, folder: Path, path: str = "/list.txt", **settings: Any) -> Feed:
        """Give a feed of a page, for use as an allow list unless the test says otherwise."""
        given: dict[str, Any] = {
            "name": "edge",
            "use": "allow",
            "state": str(folder / "edge.feed"),
            "source": self.root + path,
        }
        given |= {"private_source": True, "ca_file": str(self.ca_file), "timeout": 20.0}
        return Feed(**given | settings)

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self.asked.append((handler.path, {name.lower(): text for name, text in handler.headers.items()}))
        page = self.pages.get(handler.path, Page(status=404))
        if page.wait is not None:
            page.wait.wait(30)
        if page.raw is not None:
            handler.wfile.write(page.raw)
            handler.close_connection = True
            return
        if "etag" in page.headers and handler.headers.get("If-None-Match") == page.headers["etag"]:
            page = replace(page, status=304, content=b"")
        handler.send_response(page.status)
        for name, text in page.headers.items():
            handler.send_header(name, text)
        handler.send_header("Content-Length", str(len(page.content)))
        handler.end_headers()
        if not page.drips:
            handler.wfile.write(page.content)
            return
        for number in range(len(page.content)):
            handler.wfile.write(page.content[number : number + 1])
            time.sleep(0.05)


def write_list(path: Path, *entries: str) -> Path:
    """Write a list, one entry a line."""
    path.write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    return path
