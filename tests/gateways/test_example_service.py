"""The service of examples/service: two workers behind one port, a proxy in front, and a change that reaches both.

Who answered is read in the log: each decision is a line there, with the number of the worker's process.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cidrmatch import Engine
from tests.gateways.serving import PYTHON, read, running, send
from tests.servers import ROOT, free_port, stop
from tests.shell import Shell, follow_console

EXAMPLE = ROOT / "examples" / "service"
TOKEN = "a token of the test"
HOME, AWAY = "203.0.113.9", "198.51.100.1"
COMMAND = ["uvicorn", "--no-proxy-headers", "--workers=2", "--port={port}", f"--app-dir={EXAMPLE}", "service:app"]
PROMISE = 10.0
"""Seconds within which every worker answers by a change, or denies everybody (B11, C19)."""
DECISION = re.compile(r"^\S+ \S+ (\d+) (\{.*\})$", re.MULTILINE)


class Service(NamedTuple):
    """A service that runs: where it listens, the file that its workers follow, and what they print."""

    port: int
    keys: Path
    log: Path

    def decisions(self) -> list[tuple[int, dict[str, Any]]]:
        """Read which worker decided what, in order."""
        printed = self.log.read_text(encoding="utf-8")
        return [(int(worker), ast.literal_eval(facts)) for worker, facts in DECISION.findall(printed)]


def compile_keys(folder: Path) -> Path:
    """Make the file of keys as README.md says it."""
    keys = folder / "keys.snap"
    command = ["-m", "cidrmatch", "compile", str(EXAMPLE / "empty.toml"), "--output", str(keys)]
    subprocess.run([sys.executable, *command], check=True, cwd=ROOT)
    return keys


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    keys, log = compile_keys(folder), folder / "log"
    with running(COMMAND, log, keys_file=str(keys), admin_token=TOKEN, proxies="127.0.0.1") as port:
        yield Service(int(port), keys, log)


def ask(
    service: Service,
    method: str,
    path: str,
    body: object = None,
    *,
    key: str | None = None,
    admin: str | None = None,
    **of: str,
) -> tuple[int, Any]:
    """Ask as a proxy would: `client` is what it adds to X-Forwarded-For, `forged` what came from outside."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close"]
    lines += [] if key is None else [f"X-API-Key: {key}"]
    lines += [] if admin is None else [f"Authorization: Bearer {admin}"]
    chain = [of[name] for name in ("forged", "client") if name in of]
    lines += [f"X-Forwarded-For: {', '.join(chain)}"] if chain else []
    sent = b"" if body is None else json.dumps(body).encode()
    lines += ["Content-Type: application/json", f"Content-Length: {len(sent)}"]
    reply = read(send(service.port, "\r\n".join([*lines, "", ""]).encode() + sent))
    return reply.status, json.loads(reply.body) if reply.body else None


def create(service: Service, *entries: object) -> tuple[str, str]:
    status, made = ask(service, "POST", "/admin/keys", list(entries), admin=TOKEN)
    assert (status, made["ok"]) == (200, True)
    return made["key"], made["secret"]


def wait_until_both_say(service: Service, status: int, secret: str, client: str) -> None:
    """Ask until both workers say this, and see that none goes back on it."""
    said: dict[int, int] = {}
    deadline = time.monotonic() + PROMISE
    while time.monotonic() < deadline:
        before = len(service.decisions())
        found, _ = ask(service, "GET", "/", key=secret, client=client)
        ((worker, facts),) = service.decisions()[before:]
        assert facts["allowed"] == (found == 200), "the log says what the client was told"
        assert said.get(worker) != status or found == status, "a worker went back to the old list"
        said[worker] = found
        if list(said.values()) == [status, status]:
            return
    raise AssertionError(f"the promise is broken: not both workers say {status}, but {said}")


def test_B2_B5_B7_B11_C19_change_reaches_both_workers_within_ten_seconds(service: Service) -> None:
    key, secret = create(service, "203.0.113.0/24")
    wait_until_both_say(service, 200, secret, HOME)
    wait_until_both_say(service, 403, secret, AWAY)
    status, report = ask(service, "PUT", f"/admin/keys/{key}", [AWAY], admin=TOKEN, client=AWAY)
    assert (status, report["entries"]) == (200, [{"label": None, "prefix": f"{AWAY}/32"}])
    wait_until_both_say(service, 200, secret, AWAY)
    wait_until_both_say(service, 403, secret, HOME)


def test_B3_B7_who_is_told_what(service: Service) -> None:
    _, secret = create(service, "203.0.113.0/24")
    wait_until_both_say(service, 200, secret, HOME)
    for client in (HOME, AWAY):
        assert ask(service, "GET", "/", client=client)[0] == 401
        assert ask(service, "GET", "/", key="of nobody", client=client)[0] == 401
    assert ask(service, "GET", "/", key=secret, client=HOME)[1]["address"] == HOME
    told = {"error": {"code": "IP_NOT_ALLOWED", "message": "Request IP address is not in the API key's allowlist"}}
    assert ask(service, "GET", "/", key=secret, client=AWAY) == (403, told)
    assert ask(service, "GET", "/", key=secret, forged=HOME, client=AWAY) == (403, told)
    assert ask(service, "GET", "/", key=secret) == (403, told)
    assert ask(service, "GET", "/", key=secret, client="junk") == (403, told)


def test_B28_log_says_of_each_decision_who_was_judged_and_why_and_holds_no_secret(service: Service) -> None:
    key, secret = create(service, {"prefix": "203.0.113.0/24", "label": "CI runners"})
    wait_until_both_say(service, 200, secret, HOME)
    before = len(service.decisions())
    ask(service, "GET", "/", key=secret, client=HOME)
    ask(service, "GET", "/", key=secret, forged=HOME, client=AWAY)
    ask(service, "GET", "/", key=secret, client="junk")
    ask(service, "GET", "/", key="of nobody", client=HOME)
    names = ("key", "address", "trail", "client_problem", "allowed", "reason")
    assert [tuple(facts[name] for name in names) for _, facts in service.decisions()[before:]] == [
        (key, HOME, ["'127.0.0.1'", f"'{HOME}'"], None, True, "matched"),
        (key, AWAY, ["'127.0.0.1'", f"'{AWAY}'"], None, False, "ip_not_listed"),
        (key, None, ["'127.0.0.1'", "'junk'"], "malformed", False, "client_ip_unknown"),
        (None, HOME, ["'127.0.0.1'", f"'{HOME}'"], None, False, "no_key"),
    ]
    for kept in (service.log, service.keys):
        assert secret.encode() not in kept.read_bytes()
        assert TOKEN.encode() not in kept.read_bytes()


def test_B10_refused_list_changes_nothing_and_says_each_problem(service: Service) -> None:
    key, secret = create(service, "203.0.113.0/24")
    kept = service.keys.read_bytes()
    bad: list[object] = ["198.51.100.0/24", "10.0.0.0/abc", "6.0.0.0/7", {"prefix": "192.0.2.1", "lable": "x"}]
    status, said = ask(service, "PUT", f"/admin/keys/{key}", bad, admin=TOKEN, client=HOME)
    assert (status, said["detail"]) == (422, "3 errors in the list; nothing was applied")
    assert [problem["index"] for problem in said["problems"]] == [1, 2, 3]
    odds: list[object] = [[], [None], [5], {}, "203.0.113.0/24", None]
    for odd in odds:
        assert ask(service, "PUT", f"/admin/keys/{key}?force=true", odd, admin=TOKEN, client=HOME)[0] == 422, odd
        assert ask(service, "POST", "/admin/keys", odd, admin=TOKEN, client=HOME)[0] == 422, odd
    assert ask(service, "PUT", "/admin/keys/key_of_nobody", ["203.0.113.0/24"], admin=TOKEN, client=HOME)[0] == 404
    assert service.keys.read_bytes() == kept
    wait_until_both_say(service, 403, secret, AWAY)
    wait_until_both_say(service, 200, secret, HOME)


def test_administrator_is_not_locked_out_unless_forced(service: Service) -> None:
    key, secret = create(service, "203.0.113.0/24")
    kept = service.keys.read_bytes()
    for asked in ({"client": HOME}, {"client": "junk"}, {"forged": AWAY, "client": HOME}, {}):
        status, said = ask(service, "PUT", f"/admin/keys/{key}", [AWAY], admin=TOKEN, **asked)
        assert (status, said["reason"]) == (409, "lock_out"), asked
    assert service.keys.read_bytes() == kept
    wait_until_both_say(service, 200, secret, HOME)
    assert ask(service, "PUT", f"/admin/keys/{key}?force=true", [AWAY], admin=TOKEN, client=HOME)[0] == 200
    wait_until_both_say(service, 403, secret, HOME)


@pytest.mark.parametrize("admin", [None, "", " ", "a token", TOKEN + "x", "\xff"])
def test_only_the_administrator_changes_lists(service: Service, admin: str | None) -> None:
    kept = service.keys.read_bytes()
    assert ask(service, "POST", "/admin/keys", ["203.0.113.0/24"], admin=admin)[0] == 401
    assert ask(service, "PUT", "/admin/keys/key_1", ["0.0.0.0/0"], admin=admin, client=HOME)[0] == 401
    assert service.keys.read_bytes() == kept


def test_C23_server_that_rewrote_the_peer_lets_nobody_in(tmp_path: Path) -> None:
    """Without --no-proxy-headers uvicorn takes the peer from the header, and the first one is forged."""
    keys, secret = compile_keys(tmp_path), "a secret of the test"
    with Engine.edit(keys) as edited:
        edited.put_key(f"key_{hashlib.sha256(secret.encode()).hexdigest()[:32]}", ["203.0.113.0/24", "127.0.0.1"])
    words = [word for word in COMMAND if word != "--no-proxy-headers"]
    with running(words, keys_file=str(keys), admin_token=TOKEN, proxies="127.0.0.1") as port:
        service = Service(int(port), keys, tmp_path / "log")
        for of in ({"client": HOME}, {"forged": HOME, "client": AWAY}, {"client": "127.0.0.1"}):
            assert ask(service, "GET", "/", key=secret, **of)[0] == 503


@pytest.mark.parametrize("empty", [None, "", " "])
@pytest.mark.parametrize("name", ["KEYS_FILE", "ADMIN_TOKEN", "PROXIES"])
def test_service_does_not_start_without_what_it_needs(name: str, empty: str | None) -> None:
    given = {"KEYS_FILE": "keys.snap", "ADMIN_TOKEN": TOKEN, "PROXIES": "127.0.0.1"}
    given |= {"PATH": "", "PYTHONPATH": str(ROOT / "src"), name: empty or ""}
    if empty is None:
        del given[name]
    run = [sys.executable, "-c", "import service"]
    ended = subprocess.run(run, cwd=EXAMPLE, env=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert name in ended.stderr


def test_uvicorn_gives_up_when_the_workers_refuse_to_start(tmp_path: Path) -> None:
    words = [word.format(port=free_port()) for word in COMMAND]
    environment = {name: value for name, value in os.environ.items() if name != "ADMIN_TOKEN"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PYTHON, "-m", *words], env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        process.wait(60)
    finally:
        stop(process)
    assert "ADMIN_TOKEN" in log.read_text(encoding="utf-8")


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl")
def test_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    port = free_port()
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert page.count("```console\n") == len(blocks) == 5
    shell = Shell(tmp_path)
    try:
        for block in blocks:
            follow_console(
                shell, block.replace("localhost:8000", f"127.0.0.1:{port}").replace("--port 8000", f"--port {port}")
            )
    finally:
        shell.close()


def test_the_service_is_as_short_as_it_says() -> None:
    assert len((EXAMPLE / "service.py").read_text(encoding="utf-8").splitlines()) <= 60
