"""A real Envoy that asks by gRPC, with the configuration that examples/gateways/envoy-grpc.yaml shows.

client at 127.0.0.9, .10 or .1 --> Envoy --CheckRequest--> cidrmatch serve
                                     '--allowed--> an application that says which headers it got
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.auth.v3 import external_auth_pb2

from cidrmatch import Engine, presets
from tests.gateways.serving import ask, read, send
from tests.servers import ROOT, free_port, path_of, started
from tests.service.serving import serving_envoy

LISTED, UNLISTED, PROXY = "127.0.0.9", "127.0.0.10", "127.0.0.1"
KEY, TOKEN = "key_1", "a-token-that-is-long-enough"
REFUSED = b'{"error":{"code":"IP_NOT_ALLOWED","message":"Request IP address is not in the API key\'s allowlist"}}'
EXAMPLE = ROOT / "examples" / "gateways" / "envoy-grpc.yaml"
REMOTE = "use_remote_address: true"
RAW = "encode_raw_headers: true"


class Application(BaseHTTPRequestHandler):
    """Says which header lines it got."""

    def do_GET(self) -> None:
        body = json.dumps({"lines": self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextmanager
def envoy(folder: Path, application: int, server: int, text: str | None = None) -> Iterator[int]:
    """Run Envoy with the example, on free ports and with our token."""
    program, port = path_of("envoy"), free_port()
    config = text or EXAMPLE.read_text(encoding="utf-8")
    for old, new in (
        ("port_value: 8080", f"port_value: {port}"),
        ("port_value: 8000", f"port_value: {application}"),
        ("port_value: 9181", f"port_value: {server}"),
        ("TOKEN-OF-CIDRMATCH", TOKEN),
    ):
        assert config.count(old) == 1
        config = config.replace(old, new)
    path = folder / f"envoy-{port}.yaml"
    path.write_text(config, encoding="utf-8")
    with started([program, "-c", str(path), "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"], port):
        yield port


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("envoy")
    engine = Engine(presets.bitbybit())
    for key in (KEY, "key_!"):
        engine.put_key(key, [LISTED])
    engine.save(folder / "keys.snap")
    folder.joinpath("token").write_text(TOKEN, encoding="ascii")
    return folder


@pytest.fixture(scope="module")
def edge(folder: Path, application: int) -> Iterator[int]:
    """Envoy at the edge."""
    with serving_envoy(folder, "--client=peer") as (_, server, _), envoy(folder, application, server) as port:
        yield port


@pytest.fixture(scope="module")
def behind(folder: Path, application: int) -> Iterator[int]:
    """Envoy behind a proxy at 127.0.0.1; it would append its own address in the place of one of the loopback."""
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count(REMOTE) == 1
    text = text.replace(REMOTE, f"{REMOTE}\n                skip_xff_append: true\n")
    with (
        serving_envoy(folder, "--client=envoy", f"--trusted={PROXY}") as (_, server, _),
        envoy(folder, application, server, text) as port,
    ):
        yield port


def lines_of(body: bytes) -> dict[str, str]:
    return {name.lower(): value for name, value in json.loads(body)["lines"]}


def test_a_request_passes_with_the_reason_and_without_the_token(edge: int) -> None:
    lines = ("X-Cidrmatch-Reason: forged", "X-Cidrmatch-State: forged", "X-Cidrmatch-Token: forged")
    reply = ask(edge, KEY, *lines, source=LISTED)
    assert reply.status == 200
    got = lines_of(reply.body)
    assert (got["x-cidrmatch-reason"], got["x-cidrmatch-state"]) == ("matched", "restricted")
    assert "x-cidrmatch-token" not in got
    assert TOKEN.encode() not in reply.body


def test_a_denial_is_the_response_of_the_product(edge: int) -> None:
    received = send(
        edge, f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-API-Key: {KEY}\r\n\r\n".encode(), UNLISTED
    )
    head, _, body = received.partition(b"\r\n\r\n")
    told = head.lower().split(b"\r\n")
    assert told[0] == b"http/1.1 403 forbidden"
    assert body == REFUSED
    assert told.count(b"content-type: application/json") == 1
    assert told.count(b"cache-control: no-store") == 1
    assert told.count(f"content-length: {len(REFUSED)}".encode()) == 1
    assert TOKEN.encode() not in received


def test_an_unknown_key_and_none_are_401(edge: int) -> None:
    assert ask(edge, "key_2", source=LISTED).status == 401
    assert ask(edge, None, source=LISTED).status == 401
    assert ask(edge, KEY, f"X-API-Key: {KEY}", source=LISTED).status == 401
    assert ask(edge, f"{KEY},{KEY}", source=LISTED).status == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Envoy-External-Address"])
def test_at_the_edge_no_header_says_who_the_client_is(edge: int, header: str) -> None:
    value = f"for={LISTED}" if header == "Forwarded" else LISTED
    reply = ask(edge, KEY, f"{header}: {value}", source=UNLISTED)
    assert (reply.status, reply.body) == (403, REFUSED)


@pytest.mark.parametrize("key", [b"key_\xff", b"key_\xc3"])
def test_a_key_of_other_bytes_is_no_key(edge: int, key: bytes) -> None:
    assert ask(edge, None, b"X-API-Key: " + key, source=LISTED).status in (400, 401)


def test_behind_a_proxy_its_header_is_read_from_the_right(behind: int) -> None:
    def status(source: str, *values: str) -> int:
        return ask(behind, KEY, *(f"X-Forwarded-For: {value}" for value in values), source=source).status

    assert status(PROXY, LISTED) == 200
    assert status(PROXY, f"6.6.6.6, {LISTED}") == 200
    assert status(PROXY, "6.6.6.6", LISTED) == 200
    assert status(PROXY, f"{LISTED}, {UNLISTED}") == 403
    assert status(PROXY) == 403
    assert status(UNLISTED, LISTED) == 403
    assert status(LISTED, UNLISTED) == 200


def test_joined_lines_open_no_door(folder: Path, application: int) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count(RAW) == 1
    text = text.replace(RAW, "encode_raw_headers: false")
    with serving_envoy(folder, "--client=peer") as (_, server, _), envoy(folder, application, server, text) as port:
        assert ask(port, KEY, source=LISTED).status == 200
        assert ask(port, KEY, source=UNLISTED).status == 403
        assert ask(port, KEY, f"X-API-Key: {KEY}", source=LISTED).status == 401
        assert ask(port, KEY, "X-API-Key: ", source=LISTED).status == 401
        assert ask(port, "key_!", source=LISTED).status == 401
        assert ask(port, None, b"X-API-Key: key_\xff", source=LISTED).status in (400, 401)


@pytest.mark.parametrize("name", ["X_API_Key", "X.API.Key", "X_Cidrmatch_Token", "X-API_Key"])
def test_a_name_that_looks_like_ours_does_not_reach_the_application(edge: int, name: str) -> None:
    reply = ask(edge, KEY, f"{name}: forged", "X-Other: kept", source=LISTED)
    assert reply.status == 200
    assert b"forged" not in reply.body
    assert lines_of(reply.body)["x-other"] == "kept"


def test_without_the_server_nobody_passes(folder: Path, application: int) -> None:
    with serving_envoy(folder, "--client=peer") as (_, server, _), envoy(folder, application, server) as port:
        assert ask(port, KEY, source=LISTED).status == 200
    with envoy(folder, application, free_port()) as lost:
        for source in (LISTED, UNLISTED):
            reply = ask(lost, KEY, source=source)
            assert (reply.status, reply.body) == (503, b"")


def says_ok(**response: Any) -> bytes:
    said: bytes = external_auth_pb2.CheckResponse(status={"code": 0}, **response).SerializeToString()
    return said


WRONG = {
    "nothing": b"",
    "OK": says_ok(),
    "OK, with other headers": says_ok(ok_response={"headers": [{"header": {"key": "x-user", "value": "1"}}]}),
    "no, with 200": external_auth_pb2.CheckResponse(
        status={"code": 7}, denied_response={"status": {"code": 200}, "body": "{}"}
    ).SerializeToString(),
    "OK, with another token": says_ok(
        ok_response={"headers": [{"header": {"key": "x-cidrmatch-token", "value": TOKEN[:-1]}}]}
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_server_that_says_ok_opens_nothing(name: str, folder: Path, application: int) -> None:
    handlers: dict[str, Any] = {"Check": grpc.unary_unary_rpc_method_handler(lambda message, context: WRONG[name])}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", handlers),)
    )
    wrong = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with envoy(folder, application, wrong) as port:
            for lines in ((), ("X-Cidrmatch-Token: guessed",), ("X-Cidrmatch-Token: ",)):
                reply = ask(port, KEY, *lines, source=LISTED)
                assert (reply.status, b"lines" in reply.body) == (503, False)
    finally:
        server.stop(0).wait()


def test_requests_of_other_forms_do_not_pass(edge: int) -> None:
    for request in (
        b"GET / HTTP/1.0\r\nX-API-Key: key_1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x-api-key\r\nX-API-Key: key_1\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nX-API-Key: key_1\r\n\r\n",
    ):
        assert read(send(edge, request, UNLISTED)).status != 200, request
