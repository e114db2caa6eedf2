"""The service of examples/service: two workers behind one port, a proxy in front, and a change that reaches both."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.serving import ROOT, read, running, send

EXAMPLE = ROOT / "examples" / "service"
TOKEN = "a token of the test"
HOME, AWAY = "203.0.113.9", "198.51.100.1"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    keys = tmp_path_factory.mktemp("service") / "keys.snap"
    compile_keys = ["-m", "cidrmatch", "compile", str(EXAMPLE / "empty.toml"), "--output", str(keys)]
    subprocess.run([sys.executable, *compile_keys], check=True, cwd=ROOT)
    command = ["uvicorn", "--no-proxy-headers", "--workers=2", "--port={port}", f"--app-dir={EXAMPLE}", "service:app"]
    with running(command, keys_file=str(keys), admin_token=TOKEN, proxies="127.0.0.1") as found:
        yield int(found)


def ask(
    port: int,
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
    reply = read(send(port, "\r\n".join([*lines, "", ""]).encode() + sent))
    return reply.status, json.loads(reply.body) if reply.body else None


def create(port: int, *entries: str) -> tuple[str, str]:
    status, made = ask(port, "POST", "/admin/keys", list(entries), admin=TOKEN)
    assert (status, made["ok"]) == (200, True)
    return made["key"], made["secret"]


def wait_until_both_say(port: int, status: int, secret: str, client: str) -> set[int]:
    """Ask until both workers have been heard and each says this now; their process ids, where they told them.

    A denial names no worker, so there it is many in a row that must agree: the kernel spreads connections.
    """
    deadline, in_a_row, workers = time.monotonic() + 10, 0, set[int]()
    while time.monotonic() < deadline:
        found, said = ask(port, "GET", "/", key=secret, client=client)
        in_a_row = in_a_row + 1 if found == status else 0
        workers |= {said["worker"]} if found == 200 else set()
        if in_a_row >= 30 and (status != 200 or len(workers) == 2):
            return workers
    raise AssertionError(f"ten seconds have passed, and not both workers say {status}")


def test_B2_B5_B7_B11_change_reaches_both_workers_within_ten_seconds(port: int) -> None:
    key, secret = create(port, "203.0.113.0/24")
    assert len(wait_until_both_say(port, 200, secret, HOME)) == 2
    wait_until_both_say(port, 403, secret, AWAY)
    status, report = ask(port, "PUT", f"/admin/keys/{key}", [AWAY], admin=TOKEN, client=AWAY)
    assert (status, report["entries"]) == (200, [{"label": None, "prefix": f"{AWAY}/32"}])
    assert len(wait_until_both_say(port, 200, secret, AWAY)) == 2
    wait_until_both_say(port, 403, secret, HOME)


def test_B3_B7_B28_who_is_told_what(port: int) -> None:
    _, secret = create(port, "203.0.113.0/24")
    wait_until_both_say(port, 200, secret, HOME)
    for client in (HOME, AWAY):
        assert ask(port, "GET", "/", client=client)[0] == 401
        assert ask(port, "GET", "/", key="of nobody", client=client)[0] == 401
    assert ask(port, "GET", "/", key=secret, client=HOME)[1]["address"] == HOME
    told = {"error": {"code": "IP_NOT_ALLOWED", "message": "Request IP address is not in the API key's allowlist"}}
    assert ask(port, "GET", "/", key=secret, client=AWAY) == (403, told)
    assert ask(port, "GET", "/", key=secret, forged=HOME, client=AWAY) == (403, told)
    assert ask(port, "GET", "/", key=secret) == (403, told)
    assert ask(port, "GET", "/", key=secret, client="junk") == (403, told)


def test_B10_refused_list_changes_nothing_and_says_each_problem(port: int) -> None:
    key, secret = create(port, "203.0.113.0/24")
    status, said = ask(port, "PUT", f"/admin/keys/{key}", ["198.51.100.0/24", "10.0.0.0/abc", "6.0.0.0/7"], admin=TOKEN)
    assert status == 422
    assert [problem["index"] for problem in said["problems"]] == [1, 2]
    wait_until_both_say(port, 403, secret, AWAY)
    wait_until_both_say(port, 200, secret, HOME)
    assert ask(port, "PUT", "/admin/keys/key_of_nobody", ["203.0.113.0/24"], admin=TOKEN, client=HOME)[0] == 404


def test_administrator_is_not_locked_out_unless_forced(port: int) -> None:
    key, secret = create(port, "203.0.113.0/24")
    for asked in ({"client": HOME}, {"client": "junk"}, {}):
        assert ask(port, "PUT", f"/admin/keys/{key}", [AWAY], admin=TOKEN, **asked)[0] == 409, asked
    wait_until_both_say(port, 200, secret, HOME)
    assert ask(port, "PUT", f"/admin/keys/{key}?force=true", [AWAY], admin=TOKEN, client=HOME)[0] == 200
    wait_until_both_say(port, 403, secret, HOME)


@pytest.mark.parametrize("admin", [None, "", "a token", TOKEN + "x", "\xff"])
def test_only_the_administrator_changes_lists(port: int, admin: str | None) -> None:
    assert ask(port, "POST", "/admin/keys", ["203.0.113.0/24"], admin=admin)[0] == 401
    assert ask(port, "PUT", "/admin/keys/key_1", ["0.0.0.0/0"], admin=admin, client=HOME)[0] == 401


@pytest.mark.parametrize("missing", ["KEYS_FILE", "ADMIN_TOKEN", "PROXIES"])
def test_service_does_not_start_without_what_it_needs(missing: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.snap"
    subprocess.run(
        [sys.executable, "-m", "cidrmatch", "compile", str(EXAMPLE / "empty.toml"), "--output", str(keys)],
        check=True,
        cwd=ROOT,
    )
    given = {
        "KEYS_FILE": str(keys),
        "ADMIN_TOKEN": TOKEN,
        "PROXIES": "127.0.0.1",
        "PATH": "",
        "PYTHONPATH": str(ROOT / "src"),
    }
    del given[missing]
    run = [sys.executable, "-c", "import service"]
    ended = subprocess.run(run, cwd=EXAMPLE, env=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert missing in ended.stderr


def test_the_service_is_as_short_as_it_says() -> None:
    lines = (EXAMPLE / "service.py").read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 60
