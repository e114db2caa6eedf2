"""A gateway with a committed file of examples/gateways, between a client and what stands behind it.

    client --> nginx, HAProxy, Caddy, Traefik, Envoy --> `cidrmatch serve`, or a server that is none
                                        '-------------> an application, which keeps what it got

Only ports, paths and the token of the committed file are replaced, as text.  So what is tested is what one copies.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socketserver
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from tests.gateways.serving import ask
from tests.servers import ROOT, free_port, path_of, started

EXAMPLES = ROOT / "examples" / "gateways"
PLACE_OF_TOKEN = "TOKEN-OF-CIDRMATCH"
Answer = Callable[[bytes], bytes | None]


class Gateway(NamedTuple):
    """How a gateway is started.

    Attributes:
        files: the committed files; the first is the one that it is started with.
        words: the command; {main} is the path of the first file, {folder} a folder of its own.
        own: a port of the committed file, by what it is replaced with: "in", "in6" (IPv6) or another word for any.
        changes: texts that are replaced, in all files; {folder} as above.
        proxied: texts that are replaced, so that the file's lines for the PROXY protocol count.
        opening: texts that are replaced, each by what would let a wrong server open the door.
        spoofing: the same, each by what would let the client name its own address.
        down, silent: the status if the server that it asks is down, or does not answer.
        checks_balancer: whether these lines say who may speak the PROXY protocol.
        body: whether a denial has the product's body.
    """

    files: tuple[str, ...]
    words: tuple[str, ...]
    own: dict[str, str]
    changes: dict[str, str]
    proxied: dict[str, str]
    opening: dict[str, str]
    down: int
    silent: int
    spoofing: dict[str, str] = {}  # noqa: RUF012  nobody writes
    checks_balancer: bool = True
    body: bool = True


def _uncommented(*lines: str) -> dict[str, str]:
    return {f"# {line}\n": f"{line}\n" for line in lines}


GATEWAYS = {
    "nginx": Gateway(
        files=("nginx.conf",),
        words=("nginx", "-p", "{folder}", "-e", "stderr", "-c", "{main}", "-g", "daemon off; error_log stderr;"),
        own={"listen 8080;": "listen 127.0.0.1:{in};", "listen [::]:8080;": "listen [::1]:{in6};"},
        changes={
            "events {}": "events {{}} pid {folder}/pid; worker_processes 1;",
            "http {\n": "http {{\naccess_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;"
            " fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n",
        },
        proxied={
            "listen 127.0.0.1:{in};": "",
            "# listen 8080 proxy_protocol;": "listen 127.0.0.1:{in} proxy_protocol;",
            **_uncommented("set_real_ip_from 127.0.0.1;", "real_ip_header proxy_protocol;"),
        },
        down=500,
        silent=500,
        opening={"proxy_pass http://$checked;": "proxy_pass http://application;"},
        spoofing={"X-Forwarded-For $remote_addr;": "X-Forwarded-For $http_x_forwarded_for;"},
        body=False,
    ),
    "haproxy": Gateway(
        files=("haproxy.cfg", "haproxy.lua"),
        words=("haproxy", "-f", "{main}"),
        own={"bind :8080": "bind 127.0.0.1:{in}", "bind :::8080 v6only": "bind ::1:{in6}"},
        changes={"/etc/haproxy": "{folder}"},
        proxied=_uncommented("tcp-request connection expect-proxy layer4 if {{ src 127.0.0.1 }}"),
        down=503,
        silent=503,
        opening={"http-request deny deny_status 503 unless {{ var(txn.cidrmatch) -m str allowed }}": ""},
    ),
    "caddy": Gateway(
        files=("Caddyfile",),
        words=("caddy", "run", "--adapter", "caddyfile", "--config", "{main}"),
        own={"http://:8080": "http://:{in}"},
        changes={"{{\n\t# Behind": "{{\n\tadmin off\n\t# Behind"},  # several run at once
        proxied=_uncommented(
            "servers {{",
            "\tlistener_wrappers {{",
            "\t\tproxy_protocol {{",
            "\t\t\tallow 127.0.0.1/32",
            "\t\t\tfallback_policy reject",
            "\t\t}}",
            "\t}}",
            "}}",
        ),
        down=502,
        silent=504,
        opening={f"header X-Cidrmatch-Token {PLACE_OF_TOKEN}\n": "\n"},
    ),
    "traefik": Gateway(
        files=("traefik.yaml", "traefik-dynamic.yaml"),
        words=("traefik", "--configFile={main}"),
        own={":8080": ":{in}", "127.0.0.1:8081": "127.0.0.1:{checked}", "127.0.0.1:8082": "127.0.0.1:{ask}"},
        changes={"/etc/traefik": "{folder}"},
        proxied=_uncommented("proxyProtocol:", '  trustedIPs: ["127.0.0.1"]'),
        down=502,
        silent=504,
        opening={"service: checked": "service: application"},
    ),
    "envoy": Gateway(
        files=("envoy.yaml",),
        words=("envoy", "-c", "{main}", "--concurrency", "1", "--disable-hot-restart", "-l", "error"),
        own={"port_value: 8080": "port_value: {in}"},
        changes={},
        proxied=_uncommented(
            "listener_filters:",
            "  - name: envoy.filters.listener.proxy_protocol",
            "    typed_config:",
            '      "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
        ),
        down=503,
        silent=503,
        opening={
            f"headers: [{{{{ name: x-cidrmatch-token, string_match: {{{{ exact: {PLACE_OF_TOKEN} }}}} }}}}]\n": "\n"
        },
        spoofing={"use_remote_address: true": "use_remote_address: false"},
        checks_balancer=False,
    ),
}


@contextmanager
def gateway(
    name: str,
    server: int,
    application: int,
    token: str,
    *,
    proxied: bool = False,
    more: Mapping[str, str] | None = None,
) -> Iterator[dict[str, int]]:
    """Run a gateway in front of a server that it asks and an application; give its ports by their words.

    `more` are texts that are replaced as well.
    """
    found = GATEWAYS[name]
    program = path_of(found.words[0])
    ports = {"in": free_port(), "in6": free_port(), "checked": free_port(), "ask": free_port()}
    if not any("{in6}" in text for text in found.own.values()):
        ports["in6"] = ports["in"]
    with tempfile.TemporaryDirectory() as folder:
        values: dict[str, Any] = {**ports, "folder": folder}
        changes = {**found.own, **found.changes, **(found.proxied if proxied else {}), **(more or {})}
        texts = {file: EXAMPLES.joinpath(file).read_text(encoding="utf-8") for file in found.files}
        changes |= {PLACE_OF_TOKEN: token}
        changes |= {"9180": str(server), "8000": str(application)}
        for old, new in changes.items():
            shown = old.format(**values) if "{in}" in old or "{{" in old or "}}" in old else old
            if not any(shown in text for text in texts.values()):
                raise AssertionError(f"{shown!r} is not in {found.files}")
            texts = {file: text.replace(shown, new.format(**values)) for file, text in texts.items()}
        for file, text in texts.items():
            Path(folder, file).write_text(text, encoding="utf-8")
        words = [word.format(main=Path(folder, found.files[0]), folder=folder) for word in found.words]
        with started([program, *words[1:]], ports["in"], environment={**os.environ, "HOME": folder}):
            for _ in range(100):  # Traefik listens before it has read its routers, and answers 404
                if proxied or ask(ports["in"], None).status != 404:
                    break
                time.sleep(0.05)
            yield ports


@contextmanager
def serve(snapshot: Path, token_file: Path, *options: str) -> Iterator[int]:
    """Run `cidrmatch serve`; give its port."""
    port = free_port()
    words = [sys.executable, "-m", "cidrmatch", "serve", "--snapshot", str(snapshot), "--trusted", "127.0.0.1"]
    words += ["--listen", f"127.0.0.1:{port}", "--token-file", str(token_file), *options]
    with started(words, port):
        yield port


class Answering:
    """A server of the test itself, on a free port: it keeps each request, and answers by a function.

    Where the function gives None, nothing is answered until the client closes.  `echoes` gives four bytes back after an
    answer with 101.
    """

    def __init__(self, answer: Answer, *, echoes: bool = False) -> None:
        self.answer = answer
        self._echoes = echoes
        self.requests: list[bytes] = []
        self.port = free_port()
        self._server: socketserver.ThreadingTCPServer | None = None

    def start(self) -> None:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 20

            def handle(self) -> None:
                outer.handle(self)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that left is no news."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def handle(self, handler: socketserver.StreamRequestHandler) -> None:
        request = b""
        while line := handler.rfile.readline():
            request += line
            if line in (b"\r\n", b"\n"):
                break
        if not request:
            return  # a look whether the port is open
        self.requests.append(request)
        answer = self.answer(request)
        if answer is None:
            handler.rfile.read(1)  # until the gateway gives up
            return
        handler.wfile.write(answer)
        if self._echoes and answer.startswith(b"HTTP/1.1 101"):
            handler.wfile.write(handler.rfile.read(4))


def response(status: int, body: bytes = b"", *lines: str) -> bytes:
    """Write a response, after which the connection closes."""
    length = [] if status in (101, 204) else [f"Content-Length: {len(body)}"]
    connection = [] if status == 101 else ["Connection: close"]
    head = [f"HTTP/1.1 {status} Status", *lines, *length, *connection, "", ""]
    return "\r\n".join(head).encode() + body


def upgraded(request: bytes) -> bytes:
    """Accept a websocket (RFC 6455, 4.2.2)."""
    line = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    said = hashlib.sha1(line.partition(b":")[2].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    accept = f"Sec-WebSocket-Accept: {base64.b64encode(said).decode()}"
    return response(101, b"", "Upgrade: websocket", "Connection: Upgrade", accept)


def application(request: bytes) -> bytes:
    """Answer as an application does: 200 with the request, or 101."""
    return upgraded(request) if b"upgrade: websocket" in request.lower() else response(200, request)


def proxy_v1(client: str, server: str = "127.0.0.1") -> bytes:
    return f"PROXY TCP{4 if '.' in client else 6} {client} {server} 1234 80\r\n".encode()


def proxy_v2(client: str, server: str = "127.0.0.1") -> bytes:
    addresses = ip_address(client).packed + ip_address(server).packed + struct.pack("!HH", 1234, 80)
    family = 0x11 if "." in client else 0x21
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, family, len(addresses)) + addresses


class Stand(NamedTuple):
    """What the tests of a gateway use.

    Attributes:
        name: the gateway.
        ports: of the gateway in front of `cidrmatch serve`.
        proxied: of the same behind a balancer that speaks the PROXY protocol.
        astray: of the same in front of `wrong`.
        wrong: the server that is none.
        application: behind all of them.
        token: the token of the three.
    """

    name: str
    ports: dict[str, int]
    proxied: dict[str, int]
    astray: dict[str, int]
    wrong: Answering
    application: Answering
    token: str


@contextmanager
def stand(name: str, server: int, token: str, more: Mapping[str, str] | None = None) -> Iterator[Stand]:
    """Start a gateway three times; `more` as for `gateway`."""
    path_of(GATEWAYS[name].words[0])
    with ExitStack() as stack:
        behind, wrong = Answering(application, echoes=True), Answering(lambda _: response(200))
        for each in (behind, wrong):
            each.start()
            stack.callback(each.stop)
        ports = stack.enter_context(gateway(name, server, behind.port, token, more=more))
        proxied = stack.enter_context(gateway(name, server, behind.port, token, proxied=True, more=more))
        astray = stack.enter_context(gateway(name, wrong.port, behind.port, token, more=more))
        yield Stand(name, ports, proxied, astray, wrong, behind, token)
