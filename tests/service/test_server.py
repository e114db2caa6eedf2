"""The server as a process, on real sockets: what it answers, what it refuses, and how it stops.

Requirements: B2, B3, B11, C19 (a change is seen within ten seconds), C23.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cidrmatch import Engine
from tests.gateways.hostile import hostile
from tests.gateways.serving import read, send
from tests.servers import connect
from tests.service.serving import AWAY, HOME, TOKEN, Server, serving

AT_HOME, AT_AWAY = f"X-Forwarded-For: {HOME}", f"X-Forwarded-For: {AWAY}"
ALLOWED = b"GET /auth HTTP/1.1\r\nHost: t\r\nX-API-Key: key_1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
DENIED = ALLOWED.replace(b"203.0.113.9", b"198.51.100.1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), "--workers=2") as found:
        yield found


def workers_of(server: Server) -> list[int]:
    """The processes below the server."""
    pid = server.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


# -- Gateways -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "lines", "status"),
    [
        ("key_1", [AT_HOME], 204),
        ("key_1", [f"X-Forwarded-For: 6.6.6.6, {HOME}"], 204),
        ("key_1", ["X-Forwarded-For: 6.6.6.6", AT_HOME], 204),
        ("key_1", ["X-Forwarded-For: [2001:db8::9]:4711"], 204),
        ("key_1", [AT_AWAY], 403),
        ("key_1", [AT_HOME, AT_AWAY], 403),
        ("key_1", [f"{AT_HOME}, junk"], 403),
        ("key_1", [], 403),
        ("open", ["X-Forwarded-For: junk"], 204),
        ("nobody", [AT_HOME], 401),
        (None, [AT_HOME], 401),
    ],
)
def test_B2_B7_what_a_gateway_is_told(server: Server, key: str | None, lines: list[str], status: int) -> None:
    for path in ("/auth", "/auth/quiet", "/envoy/some/path?query"):
        told = 200 if status == 204 and path.startswith("/envoy/") else status
        assert server.ask(key, *lines, path=path).status == told


def test_B3_denial_is_the_products_and_only_an_allowance_has_the_token(server: Server) -> None:
    body = b'{"error":{"code":"IP_NOT_ALLOWED","message":"Request IP address is not in the API key\'s allowlist"}}'
    assert server.ask("key_1", AT_AWAY).body == body
    assert server.ask("key_1", AT_AWAY, path="/auth/quiet").body == b""
    assert f"x-cidrmatch-token: {TOKEN}\r\n".encode() in send(server.target, ALLOWED)
    assert b"token" not in send(server.target, DENIED)


def test_requests_on_one_connection_are_answered_in_order(server: Server) -> None:
    """Pipelined: one after the other, without waiting."""
    answers = send(server.target, (ALLOWED + DENIED) * 5)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"204", b"403"] * 5


@pytest.mark.parametrize("name", hostile())
def test_C23_hostile_requests_open_nothing(server: Server, name: str) -> None:
    request = hostile()[name].replace(b"GET / ", b"GET /auth ", 1)
    reply = read(send(server.target, request))
    assert reply.status in (0, 400, 401, 403, 404, 413, 431), (reply, name)
    assert server.ask("key_1", AT_HOME).status == 204


def test_head_that_never_ends_is_cut_off_and_idle_connections_stop_nobody(server: Server) -> None:
    """Slowloris: many connections that say nothing, or half of a head."""
    idle = [connect(server.target) for _ in range(200)]
    slow = [connect(server.target) for _ in range(50)]
    for stream in slow:
        stream.sendall(b"GET /auth HTTP/1.1\r\nHost:")
    for _ in range(20):
        assert server.ask("key_1", AT_HOME).status == 204
    slow[0].settimeout(15)
    assert b"204" not in slow[0].recv(1_000), "closed, or answered with an error"
    for stream in idle + slow:
        stream.close()


# -- The API ------------------------------------------------------------------


def test_one_check_and_many(server: Server) -> None:
    one = json.loads(server.post("/v1/check", b'{"key": "key_1", "address": "203.0.113.9"}').body)
    assert (one["allowed"], one["reason"], one["entry"]) == (True, "matched", "203.0.113.0/24")
    many = {
        "checks": [{"key": "key_1", "address": a} for a in (HOME, AWAY, "junk", "")] + [{"key": "x", "address": HOME}]
    }
    answers = json.loads(server.post("/v1/check", json.dumps(many).encode()).body)["answers"]
    assert [answer["reason"] for answer in answers] == [
        "matched", "ip_not_listed", "client_ip_unknown", "client_ip_unknown", "unknown_key",
    ]  # fmt: skip


def test_explanation_has_the_lines_for_people(server: Server) -> None:
    told = json.loads(server.get(f"/v1/explain?key=key_1&address={HOME}").body)
    assert told["lines"][0].startswith("allowed: the key 'key_1'")


def test_C18_every_problem_of_a_pasted_list_is_told(server: Server) -> None:
    text = "203.0.113.0/24  # office\n\n10.0.0.0/abc\n0.0.0.0/0\n"
    report = json.loads(
        server.post("/v1/lists/validate", json.dumps({"preset": "bitbybit", "text": text}).encode()).body
    )
    assert report["ok"] is False
    assert [problem["index"] for problem in report["errors"]] == [1, 2]
    good = json.loads(server.post("/v1/lists/validate", b'{"preset": "bitbybit", "entries": ["203.0.113.0/24"]}').body)
    assert good["ok"] is True


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/check", b"{", 400),
        ("/v1/check", b"[]", 422),
        ("/v1/check", b'{"key": "key_1"}', 422),
        ("/v1/check", b'{"key": 1, "address": "203.0.113.9"}', 422),
        ("/v1/check", b'{"key": "a", "key": "key_1", "address": "203.0.113.9"}', 400),
        ("/v1/check", b'{"key": "key_1", "address": NaN}', 400),
        ("/v1/check", b'{"key": "\xff", "address": "203.0.113.9"}', 400),
        ("/v1/check", b'{"checks": [], "key": "key_1"}', 422),
        ("/v1/check", json.dumps({"checks": [{}] * 1_001}).encode(), 422),
        ("/v1/check", b"[" * 100_000, 400),
        ("/v1/check", b" " * (1 << 20) + b"{}", 413),
        ("/v1/lists/validate", b'{"preset": "nobody", "entries": []}', 422),
        ("/v1/lists/validate", b'{"preset": "unkey", "text": 1}', 422),
        ("/v1/lists/validate", b'{"preset": "unkey", "entries": {}}', 422),
        ("/v1/nothing", b"{}", 404),
        ("/livez", b"{}", 405),
    ],
)
def test_errors_are_problems(server: Server, path: str, body: bytes, status: int) -> None:
    reply = server.post(path, body)
    problem = json.loads(reply.body)
    assert (reply.status, problem["status"], problem["type"]) == (status, status, "about:blank")


def test_body_of_another_type_is_refused(server: Server) -> None:
    assert (
        server.post("/v1/check", b'{"key": "key_1", "address": "203.0.113.9"}', "Content-Type: text/plain").status
        == 415
    )
    assert server.get("/v1/explain?key=a&key=b&address=c").status == 422


def test_api_asks_for_its_token(tmp_path: Path) -> None:
    token = tmp_path / "api"
    token.write_text("0123456789abcdef", encoding="ascii")
    body = b'{"key": "key_1", "address": "203.0.113.9"}'
    with serving(tmp_path, f"--api-token-file={token}") as server:
        for lines in ([], ["Authorization: Bearer 0123456789abcdeX"], ["Authorization: Bearer 0123456789abcdef"] * 2):
            assert server.post("/v1/check", body, *lines).status == 401
        assert server.post("/v1/check", body, "Authorization: Bearer 0123456789abcdef").status == 200
        assert server.ask("key_1", AT_HOME).status == 204
        assert server.get("/readyz").status == 200


# -- Operations ---------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_of_all_workers_have_no_key_and_no_address(tmp_path: Path, workers: int) -> None:
    def count(server: Server) -> float:
        page = server.get("/metrics").body.decode()
        found = re.search(r'decisions_total\{preset="bitbybit",reason="ip_not_listed"\} (\S+)', page)
        assert "key_1" not in page
        assert not re.search(r"\d+\.\d+\.\d+\.\d+|2001:db8", page)
        assert "cidrmatch_data_age_seconds" in page
        assert "cidrmatch_data_generation 2.0" in page
        return float(found[1]) if found else 0.0

    with serving(tmp_path, f"--workers={workers}") as server:
        for asked in (0, 20, 40):
            assert count(server) == asked
            for _ in range(20):
                server.ask("key_1", AT_AWAY)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the scheduler is that of Linux")
@pytest.mark.parametrize(("options", "policy"), [((), "SCHED_BATCH"), (("--no-batch",), "SCHED_OTHER")])
def test_every_thread_of_a_worker_is_batch_work_unless_told(
    tmp_path: Path, options: tuple[str, ...], policy: str
) -> None:
    with serving(tmp_path, *options) as server:
        assert server.ask("key_1", AT_HOME).status == 204
        (worker,) = workers_of(server)
        threads = [int(path.name) for path in Path(f"/proc/{worker}/task").iterdir()]
        assert len(threads) > 3
        assert {os.sched_getscheduler(thread) for thread in threads} == {getattr(os, policy)}


def test_B11_C19_change_is_seen_by_every_worker(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers=2") as server:
        assert server.ask("key_1", AT_AWAY).status == 403
        with Engine.edit(server.snapshot) as engine:
            engine.put_key("key_1", [AWAY], replace=True)
        deadline = time.monotonic() + 10
        while {server.ask("key_1", AT_AWAY).status for _ in range(20)} != {204}:
            assert time.monotonic() < deadline
        assert {server.ask("key_1", AT_HOME).status for _ in range(20)} == {403}
        assert {json.loads(server.get("/readyz").body)["generation"] for _ in range(20)} == {3}


def test_C23_stale_data_denies_and_is_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-age=1.5") as server:
        assert server.get("/readyz").status == 200
        server.snapshot.rename(tmp_path / "gone")
        deadline = time.monotonic() + 15
        while server.ask("key_1", AT_HOME).status != 403:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert b"stale_data" in send(server.target, ALLOWED)
        assert server.get("/readyz").status == 503
        assert server.get("/livez").status == 200
        (tmp_path / "gone").rename(server.snapshot)
        while server.ask("key_1", AT_HOME).status != 204:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_on_a_unix_socket_the_peer_is_trusted(tmp_path: Path) -> None:
    with serving(tmp_path, socket=True) as server:
        assert server.ask("key_1", AT_HOME).status == 204
        assert server.ask("key_1", AT_AWAY).status == 403
        assert server.ask("key_1").status == 403
        assert os.stat(str(server.target)).st_mode & 0o007 == 0


def test_killed_worker_is_replaced(tmp_path: Path) -> None:
    def wait_for_starts(count: int) -> None:
        while server.log.read_text(encoding="utf-8").count("Started worker") < count:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    deadline = time.monotonic() + 60
    with serving(tmp_path, "--workers=2") as server:
        wait_for_starts(2)
        os.kill(workers_of(server)[0], signal.SIGKILL)
        wait_for_starts(3)
        assert {server.ask("key_1", AT_HOME).status for _ in range(20)} == {204}
        assert {server.ask("key_1", AT_AWAY).status for _ in range(20)} == {403}
        with Engine.edit(server.snapshot) as engine:
            engine.put_key("key_2", [HOME])
        while b"cidrmatch_data_generation 3.0" not in server.get("/metrics").body:
            assert time.monotonic() < deadline, "the smallest generation is that of a worker that is gone"
            time.sleep(0.1)


class Load(threading.Thread):
    """Asks on one connection after the other, until the server takes no more; counts what was sent and not answered."""

    def __init__(self, target: int | str) -> None:
        super().__init__()
        self.target = target
        self.statuses: list[bytes] = []
        self.lost = 0
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.is_set():
            try:
                stream = connect(self.target)
            except OSError:
                return
            with stream:
                while not self.is_over.is_set():
                    try:
                        stream.sendall(ALLOWED)
                        answer = stream.recv(4_096)
                    except OSError:
                        answer = b""
                    if not answer:
                        self.lost += 1
                        break
                    self.statuses.append(answer[9:12])


@contextmanager
def under_load(server: Server) -> Iterator[list[Load]]:
    """Ask by four threads until the block ends."""
    load = [Load(server.target) for _ in range(4)]
    for thread in load:
        thread.start()
    try:
        yield load
    finally:
        for thread in load:
            thread.is_over.set()
            thread.join()


def test_swaps_under_load_give_no_error(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers=2") as server:
        with under_load(server) as load:
            for number in range(40):
                with Engine.edit(server.snapshot) as engine:
                    engine.put_key(f"key of swap {number}", ["192.0.2.1"])
                time.sleep(0.02)
        assert {status for thread in load for status in thread.statuses} == {b"204"}
        assert sum(thread.lost for thread in load) == 0


def test_SIGTERM_under_load_answers_what_was_accepted(tmp_path: Path) -> None:
    """A request on a connection that the server just closed was not accepted; each client sees that once at most."""
    with serving(tmp_path) as server:
        load = [Load(server.target) for _ in range(4)]
        for thread in load:
            thread.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        for thread in load:
            thread.join(20)
        assert {status for thread in load for status in thread.statuses} == {b"204"}
        assert all(thread.lost <= 1 for thread in load)


def test_log_is_json_lines_without_keys(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.ask("key_1", AT_AWAY)
        server.ask("a-secret-key", AT_HOME)
    lines = server.log.read_text(encoding="utf-8").splitlines()
    assert lines
    for line in lines:
        assert {"time", "level", "logger", "message"} <= set(json.loads(line))
        assert "key_1" not in line
        assert "a-secret-key" not in line


def test_readiness_names_the_revision_as_the_log_does(server: Server) -> None:
    facts = json.loads(server.get("/readyz").body)
    revision = Engine.open(server.snapshot).revision
    assert f"generation {facts['generation']} of epoch {facts['epoch']}" == str(revision)


def test_C26_swap_of_the_data_is_one_line_with_both_revisions(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        known = Engine.open(server.snapshot).revision
        with Engine.edit(server.snapshot) as engine:
            engine.put_key("key_1", [AWAY], replace=True)
        deadline = time.monotonic() + 10
        while server.ask("key_1", AT_AWAY).status != 204:
            assert time.monotonic() < deadline
    said = [json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines()]
    swaps = [(line["level"], line["message"]) for line in said if line["logger"].startswith("cidrmatch")]
    assert swaps == [("info", f"the data changed from {known} to {engine.revision}")]


def test_wrong_call_ends_before_it_listens(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="say it twice"), serving(tmp_path, "--listen=0.0.0.0:9180"):
        pass
    with pytest.raises(RuntimeError, match="--trusted"), serving(tmp_path, "--client=header:x-real-ip", "--trusted=*"):
        pass
    (tmp_path / "keys.snap").write_bytes(b"not a snapshot")
    with pytest.raises(RuntimeError, match="refused"), serving(tmp_path):
        pass


def test_C23_second_server_does_not_share_the_port(tmp_path: Path) -> None:
    """Both would answer, each by its own list."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with serving(tmp_path / "first") as server:
        second = serving(tmp_path / "second", f"--listen=127.0.0.1:{server.target}")
        with pytest.raises(RuntimeError, match="Address already in use"), second:
            pass
        assert server.ask("key_1", AT_HOME).status == 204


def test_socket_that_a_killed_server_left_is_taken_over_and_no_other(tmp_path: Path) -> None:
    with serving(tmp_path, socket=True) as server:
        (worker,) = workers_of(server)
        os.kill(server.process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while Path(f"/proc/{worker}").exists():
            assert time.monotonic() < deadline, "a worker ends with its parent"
            time.sleep(0.1)
    assert (tmp_path / "s").exists()
    with serving(tmp_path, socket=True) as server:
        assert server.ask("key_1", AT_HOME).status == 204
        with serving(tmp_path, socket=True) as second:
            assert second.process.wait(30) != 0
        assert b"Address already in use" in second.log.read_bytes()
        assert server.ask("key_1", AT_HOME).status == 204
    (tmp_path / "s").write_bytes(b"somebody's file")
    with pytest.raises(RuntimeError, match="Address already in use"), serving(tmp_path, socket=True):
        pass
    assert (tmp_path / "s").read_bytes() == b"somebody's file"


def test_no_answer_sends_the_caller_to_the_host_that_it_named(server: Server) -> None:
    assert server.get("/livez/").status == 404
