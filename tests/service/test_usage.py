"""The usage log of the server: each question is on record, by whichever way it came.

Requirements: B25 (all requests), B26 (method and status), B28 (the address that was judged), B29 (blocked ones), C26.
"""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import Engine, presets
from cidrmatch.client import PeerAddress
from cidrmatch.gateways.guard import Guard
from cidrmatch.service import stores, usage
from cidrmatch.service.server import envoy
from cidrmatch.service.server.settings import Settings, SettingsError
from cidrmatch.service.usage import UsageFilter, UsageLog
from tests.databases import wait_until
from tests.service.serving import AWAY, HOME, serving


def read(folder: Path) -> UsageLog:
    return UsageLog(f"sqlite:///{folder / 'usage.db'}")


def test_B25_B26_B28_B29_each_question_is_on_record(tmp_path: Path) -> None:
    facts = ["X-Forwarded-Method: PUT", "X-Forwarded-Uri: /v1/orders?token=secret", "X-Request-Id: 7f"]
    with serving(tmp_path, f"--usage-log=sqlite:///{tmp_path / 'usage.db'}") as server, closing(read(tmp_path)) as log:
        server.ask("key_1", f"X-Forwarded-For: {HOME}", *facts)
        server.ask("key_1", f"X-Forwarded-For: {AWAY}", *facts)
        server.ask("nobody", f"X-Forwarded-For: {AWAY}", path="/auth/quiet")
        server.ask(None, f"X-Forwarded-For: {AWAY}", path="/envoy/v1/items?token=secret")
        server.post("/v1/check", json.dumps({"key": "key_1", "address": AWAY}).encode())
        server.post("/v1/check", json.dumps({"key": "key_1", "address": "nonsense"}).encode())
        wait_until(lambda: log.count() == 6, "the records")
        found = log.find(oldest_first=True)
        said = [(each.method, each.path, each.status, each.key, each.address, each.reason) for each in found]
        assert said == [
            ("PUT", "/v1/orders", None, "key_1", HOME, "matched"),
            ("PUT", "/v1/orders", 403, "key_1", AWAY, "ip_not_listed"),
            (None, None, 401, "nobody", AWAY, "unknown_key"),
            ("GET", "/v1/items", 401, None, AWAY, "no_key"),
            (None, None, None, "key_1", AWAY, "ip_not_listed"),
            (None, None, None, "key_1", None, "client_ip_unknown"),
        ]
        assert [each.request_id for each in found] == ["7f", "7f", None, None, None, None]
        assert found[0].revision is not None, "the data that was judged"
        page = 'cidrmatch_usage_records_total{outcome="written"} 6.0'
        wait_until(lambda: page.encode() in server.get("/metrics").body, "the counter, which is read twice a second")


def test_header_that_came_twice_is_not_believed(tmp_path: Path) -> None:
    twice = ["X-Forwarded-Method: PUT", "X-Forwarded-Method: GET", "X-Request-Id: 7f", "X-Request-Id: 80"]
    with serving(tmp_path, f"--usage-log=sqlite:///{tmp_path / 'usage.db'}") as server, closing(read(tmp_path)) as log:
        server.ask("key_1", f"X-Forwarded-For: {HOME}", *twice, b"X-Forwarded-Uri: /\xff")
        wait_until(lambda: log.count() == 1, "the record")
        (found,) = log.find()
        assert (found.method, found.path, found.request_id) == (None, "/\\xff", None)


def test_C26_log_keeps_less_of_addresses_and_hashes_keys_if_it_is_told(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(32)))
    options = [f"--usage-log=sqlite:///{tmp_path / 'usage.db'}", "--usage-mask=24/48", f"--usage-secret-file={secret}"]
    with serving(tmp_path, *options) as server, closing(read(tmp_path)) as log:
        server.ask("key_1", f"X-Forwarded-For: {HOME}")
        server.ask("key_1", "X-Forwarded-For: 2001:db8::9")
        wait_until(lambda: log.count() == 2, "the records")
        found = log.find(oldest_first=True)
        assert [each.address for each in found] == ["203.0.113.0", "2001:db8::"]
        assert all(re.fullmatch("[0-9a-f]{32}", each.key or "") for each in found)
        assert {each.masked for each in found} == {"address/24/48 key=hash"}
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("usage.db*"))
        assert b"key_1" not in stored, "nor in what the strategy looked at"
        assert HOME.encode() not in stored


def test_B25_workers_share_a_log_and_a_stop_writes_what_waits(tmp_path: Path) -> None:
    with serving(tmp_path, f"--usage-log=sqlite:///{tmp_path / 'usage.db'}", "--workers=2") as server:
        answers = [server.ask("key_1", f"X-Forwarded-For: {HOME}").status for _ in range(200)]
        assert answers == [204] * 200
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(20) == 0
        with closing(read(tmp_path)) as log:
            assert log.count(UsageFilter(key="key_1", allowed=True)) == 200
            assert log.count(UsageFilter(reason=["lost_crash", "lost_closed"])) == 0


def test_B25_question_of_envoy_is_on_record(tmp_path: Path) -> None:
    engine = Engine(presets.bitbybit())
    engine.put_key("key_1", [HOME])
    with closing(read(tmp_path)) as log:
        check = envoy.EnvoyCheck(Guard(engine, PeerAddress()), "x-api-key", None, lambda *_: None, usage=log)
        request_class = envoy.message_class("CheckRequest")
        for address in (HOME, AWAY):
            http = {
                "id": b"42",
                "method": b"POST",
                "path": b"/a/\xff?b=c",
                "headers": [{"key": "x-api-key", "value": "key_1"}],
            }
            source = {"address": {"socket_address": {"address": address}}}
            check.answer(request_class(attributes={"source": source, "request": {"http": http}}).SerializeToString())
        check.answer(b"\xff")
        assert log.flush()
        found = log.find(oldest_first=True)
        said = [(each.method, each.path, each.request_id, each.status, each.address, each.reason) for each in found]
        assert said == [
            ("POST", "/a/\\xff", "42", None, HOME, "matched"),
            ("POST", "/a/\\xff", "42", 403, AWAY, "ip_not_listed"),
            (None, None, None, 503, None, "guard_error"),
        ]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"usage_mask": "24/48"}, "need --usage-log"),
        ({"usage_days": 3}, "need --usage-log"),
        ({"usage_log": "sqlite:///u.db", "usage_mask": "33/48"}, "24/48"),
        ({"usage_log": "sqlite:///u.db", "usage_mask": "24"}, "24/48"),
        ({"usage_log": "sqlite:///u.db", "usage_mask": "-1/48"}, "24/48"),
        ({"usage_log": "sqlite:///u.db", "usage_days": 0}, "--usage-days"),
        ({"usage_log": "sqlite:///u.db", "usage_when_full": "wait"}, "--usage-when-full"),
    ],
)
def test_settings_of_a_log_that_are_none_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(named)):
        Settings("keys.snap", trusted=("127.0.0.1",), **options).check()


def test_rooms_give_their_names_without_being_asked_twice() -> None:
    assert usage.UsageLog is UsageLog
    for room in (usage, stores):
        assert all(getattr(room, name).__name__ == name for name in room.__all__)
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = room.nothing
