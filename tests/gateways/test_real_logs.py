"""Access logs that nginx, HAProxy, Caddy and Traefik really write are read: the client, the key, the request.

    client at 127.0.0.9 --> the program, which answers by itself --> its log --> AccessLog

Some requests try to write into the log what is not theirs: a quote, a brace, a blank, a second client.  A program that
is not installed skips its tests, or fails them where CI wants it.
"""

from __future__ import annotations

import base64
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cidrmatch.client import TrustedProxies
from cidrmatch.files.access_logs import AccessLog, LogOptions
from tests.gateways.serving import send
from tests.servers import free_port, path_of, started

HERE = "127.0.0.9"
REQUESTS = (
    ("/v1/items?page=2", "key_1", "curl/8.5"),
    ("/v1/a%20b", "key_1", 'a "quoted" agent'),
    ('/v1?q="6.6.6.6"', "key_1", "\\"),
    ("/v1/{x}|", "a}b|c#d", '" 200 1 "-" "6.6.6.6'),
    ("/v1/last", "key_2", "x] 6.6.6.6 - - [01/Jan/2020:00:00:00 +0000]"),
)
"""Path, key and user agent of each request."""


def request_of(path: str, key: str, agent: str) -> bytes:
    credentials = base64.b64encode(f"{key}:secret".encode())
    head = [
        f"GET {path} HTTP/1.1".encode(),
        b"Host: www.example.com",
        b"Connection: close",
        b"X-API-Key: " + key.encode(),
        b"Authorization: Basic " + credentials,
        b"User-Agent: " + agent.encode(),
        b"X-Forwarded-For: 198.51.100.7, 192.0.2.1",
    ]
    return b"\r\n".join([*head, b"", b""])


Asked = Callable[[Path], Any]


@contextmanager
def written(words: list[str], port: int, log: Path, output: Path | None = None) -> Iterator[None]:
    """Start a program, wait until it logs, send all requests, and wait until its log has a line for each."""
    with started(words, port, output):
        deadline = time.monotonic() + 20
        while (not log.exists() or b"/warm" not in log.read_bytes()) and time.monotonic() < deadline:
            send(port, request_of("/warm", "key_0", "-"), HERE)  # Traefik serves before it has its settings
        for request in REQUESTS:
            send(port, request_of(*request), HERE)
        deadline = time.monotonic() + 20
        while (not log.exists() or log.read_bytes().count(b"/v1") < len(REQUESTS)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


NGINX = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ worker_connections 128; }}
http {{
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    log_format own '{own}';
    log_format object escape=json
        '{{"ip":"$remote_addr","key":"$http_x_api_key","at":"$time_iso8601","uri":"$request_uri"}}';
    access_log {folder}/combined.log;
    access_log {folder}/own.log own;
    access_log {folder}/object.log object;
    server {{ listen 127.0.0.1:{port}; location / {{ return 403 "no"; }} }}
}}
"""
OWN = '$remote_addr [$time_iso8601] "$http_x_api_key" "$http_x_forwarded_for" $status "$request_uri" $request_time'


def log_of_nginx(folder: Path, name: str) -> Path:
    program, port = path_of("nginx"), free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, own=OWN), encoding="utf-8")
    log = folder / name
    with written([program, "-p", str(folder), "-e", "stderr", "-c", str(config)], port, log):
        return log


HAPROXY = """
global
    log stdout format {syslog} local0
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port}
    option http-no-delay
    capture request header X-API-Key len 64
    capture request header User-Agent len 64
    http-request return status 403 content-type text/plain string no
"""


def log_of_haproxy(folder: Path, syslog: str) -> Path:
    program, port = path_of("haproxy"), free_port()
    config, log = folder / "haproxy.cfg", folder / "haproxy.log"
    config.write_text(HAPROXY.format(port=port, syslog=syslog), encoding="utf-8")
    with written([program, "-f", str(config)], port, log, log):
        return log


CADDY = """
{{
    admin off
    auto_https off
    storage file_system {folder}
}}
http://127.0.0.1:{port}, http://www.example.com:{port} {{
    bind 127.0.0.1
    log {{
        output file {folder}/access.log
        format json
    }}
    respond "no" 403
}}
"""


def log_of_caddy(folder: Path) -> Path:
    program, port = path_of("caddy"), free_port()
    config, log = folder / "Caddyfile", folder / "access.log"
    config.write_text(CADDY.format(port=port, folder=folder), encoding="utf-8")
    with written([program, "run", "--adapter", "caddyfile", "--config", str(config)], port, log):
        return log


def log_of_traefik(folder: Path, log_format: str) -> Path:
    program, port = path_of("traefik"), free_port()
    log = folder / "access.log"
    words = [
        program,
        f"--entrypoints.web.address=127.0.0.1:{port}",
        "--accesslog=true",
        f"--accesslog.filepath={log}",
        f"--accesslog.format={log_format}",
        "--accesslog.fields.headers.defaultmode=keep",
    ]
    with written(words, port, log):
        return log


def check(log: Path, name: str, keys: list[str | None], paths: list[str], **options: Any) -> list[str | None]:
    """Read a log, and compare what does not depend on the program."""
    read = AccessLog(log, LogOptions(**options))
    requests = [request for request in read if "/v1" in str(request.path)]
    assert read.format is not None
    assert (read.format.name, read.problems) == (name, [])
    assert [request.key for request in requests] == keys
    assert [request.path for request in requests] == paths
    assert {request.method for request in requests} <= {"GET", None}
    if name != "haproxy":  # whose times have no zone
        assert all(request.time is not None and abs(request.time - time.time()) < 600 for request in requests)
    return [request.address for request in requests]


PATHS = [path for path, _, _ in REQUESTS]
KEYS = [key for _, key, _ in REQUESTS]
ALL = [HERE] * len(REQUESTS)


def test_B28_nginx_combined(folder: Path) -> None:
    log = log_of_nginx(folder, "combined.log")
    assert check(log, "combined", list(KEYS), PATHS, key_field="user", blocked_status=403) == ALL
    assert all(request.allowed is False for request in AccessLog(log, LogOptions(blocked_status=403)))


def test_B28_nginx_with_a_log_format_of_its_own_and_the_client_behind_it(folder: Path) -> None:
    log = log_of_nginx(folder, "own.log")
    options: dict[str, Any] = {"log_format": OWN, "key_field": "$http_x_api_key"}
    assert check(log, OWN, list(KEYS), PATHS, **options) == ALL
    behind = {"client": TrustedProxies(["127.0.0.0/8", "192.0.2.1"]), "header_field": "$http_x_forwarded_for"}
    assert check(log, OWN, list(KEYS), PATHS, **options, **behind) == ["198.51.100.7"] * len(REQUESTS)


def test_B28_nginx_that_writes_json(folder: Path) -> None:
    log = log_of_nginx(folder, "object.log")
    names = {"address_field": "ip", "key_field": "key", "time_field": "at", "path_field": "uri"}
    assert check(log, "json", list(KEYS), PATHS, log_format="json", **names) == ALL


@pytest.mark.parametrize("syslog", ["raw", "rfc3164", "rfc5424"])
def test_B28_haproxy_with_captured_headers(folder: Path, syslog: str) -> None:
    log = log_of_haproxy(folder, syslog)
    text = log.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "/v1" in line]
    log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    assert check(log, "haproxy", list(KEYS), PATHS, key_field="capture.1") == ALL
    agents = [request.key for request in AccessLog(log, LogOptions(key_field="capture.2"))]
    assert agents == [agent for _, _, agent in REQUESTS]


def test_B28_caddy(folder: Path) -> None:
    log = log_of_caddy(folder)
    assert check(log, "caddy", list(KEYS), PATHS, key_field=r"request.headers.X-Api-Key") == ALL


@pytest.mark.parametrize("log_format", ["common", "json"])
def test_B28_traefik_and_no_header_of_a_stranger(folder: Path, log_format: str) -> None:
    log = log_of_traefik(folder, log_format)
    name = "traefik" if log_format == "common" else "traefik-json"
    field = None if log_format == "common" else "request_X-Api-Key"
    keys: list[str | None] = [None] * len(REQUESTS) if field is None else list(KEYS)
    paths = [path.replace("{x}|", "%7Bx%7D%7C") for path in PATHS]
    assert check(log, name, keys, paths, key_field=field) == ALL
    assert all(request.allowed is False for request in AccessLog(log, LogOptions(blocked_status=404)))
    if log_format == "json":
        assert json.loads(log.read_text(encoding="utf-8").splitlines()[0])["ClientHost"] == HERE
