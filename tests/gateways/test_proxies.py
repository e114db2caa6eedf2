"""The guard behind a real nginx and a real HAProxy, each with the lines that its page documents.

client at 127.0.0.9 or .10 --> nginx, HAProxy (127.0.0.1), which append the client --> uvicorn, gunicorn --> guard

The client's own words are to the left of what the proxy wrote, so they never decide.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gateways.hostile import hostile
from tests.gateways.serving import ask, read, running, send
from tests.servers import free_port, path_of, started

LISTED, UNLISTED = "127.0.0.9", "127.0.0.10"
NGINX = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port}
    option forwardfor
    default_backend app
backend app
    server app 127.0.0.1:{upstream}
"""


@contextmanager
def nginx(upstream: int | str) -> Iterator[int]:
    program, port = path_of("nginx"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, port=port, upstream=upstream), encoding="utf-8")
        with started([program, "-p", folder, "-e", "stderr", "-c", str(config)], port):
            yield port


@contextmanager
def haproxy(upstream: int | str) -> Iterator[int]:
    program, port = path_of("haproxy"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "haproxy.cfg")
        config.write_text(HAPROXY.format(port=port, upstream=upstream), encoding="utf-8")
        with started([program, "-f", str(config)], port):
            yield port


PROXIES = {"nginx": nginx, "haproxy": haproxy}


@pytest.fixture(
    scope="module", params=[f"{proxy}, {server}" for proxy in PROXIES for server in ("uvicorn", "gunicorn")]
)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    proxy, server = request.param.split(", ")
    path_of(proxy)
    with running(server, strategy="one proxy") as upstream, PROXIES[proxy](upstream) as found:
        yield found


SPOOFS: tuple[list[str], ...] = (
    [],
    [f"X-Forwarded-For: {LISTED}"],
    ["X-Forwarded-For: 127.0.0.1"],
    [f"X-Forwarded-For: {LISTED}", f"X-Forwarded-For: {LISTED}"],
    [f"X-Forwarded-For: {LISTED}", f"X_Forwarded_For: {LISTED}"],
    ["X-Forwarded-For: junk"],
    ["X-Forwarded-For:"],
    [f"X-Forwarded-For: {LISTED},"],
    [f"X-Real-IP: {LISTED}", f"Forwarded: for={LISTED}"],
    [f"Forwarded: for={LISTED}", "Connection: x-real-ip"],
)


@pytest.mark.parametrize("lines", SPOOFS, ids=" + ".join)
def test_B28_client_is_who_speaks_to_the_proxy_whatever_it_says(port: int, lines: list[str]) -> None:
    allowed = ask(port, "near", *lines, source=LISTED)
    assert (allowed.status, allowed.address) == (200, LISTED)
    denied = ask(port, "near", *lines, source=UNLISTED)
    assert (denied.status, denied.address) == (403, UNLISTED)


@pytest.mark.parametrize("tokens", ["X-Forwarded-For", "close, x-forwarded-for", "x-forwarded-for, X-API-Key"])
def test_C23_client_cannot_have_the_line_of_the_proxy_removed_to_its_gain(port: int, tokens: str) -> None:
    """RFC 9110, 7.6.1: a proxy removes the headers that `Connection` names; without the line there is no client."""
    lines = [f"Connection: {tokens}", f"X-Forwarded-For: {LISTED}"]
    assert ask(port, "near", *lines, source=UNLISTED).status in (401, 403)
    assert ask(port, "near", *lines, source=LISTED).status in (200, 401, 403)


@pytest.mark.parametrize("name", hostile("near", LISTED))
def test_C23_hostile_requests_pass_no_proxy_to_an_allowance(port: int, name: str) -> None:
    reply = read(send(port, hostile("near", LISTED)[name], UNLISTED))
    assert reply.status in (400, 401, 403, 431), (reply, name)


def test_C23_proxies_are_here_where_ci_runs() -> None:
    if os.environ.get("CIDRMATCH_SERVERS") == "required":
        for proxy in PROXIES:
            path_of(proxy)
