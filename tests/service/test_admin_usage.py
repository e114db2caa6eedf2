"""The usage log by the admin API: found, counted, summed, exported; previews and suggestions; on both databases.

Requirements: B25 to B29, B31 (try a list before it restricts), C26.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cidrmatch import Policy
from cidrmatch.service.client import Calls, Client
from tests.databases import Postgres, wait_until
from tests.service.admin_stand import Stand, serving_store

HOME, AWAY, FAR = "203.0.113.9", "198.51.100.1", "2001:db8::1"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A server that has answered twelve questions about "key", and one about "=cmd()"."""
    folder = tmp_path_factory.mktemp("usage")
    with log_url(request.param, folder) as url, serving_store(folder, None, f"--usage-log={url}") as found:
        for key, entries in (("key", []), ("=cmd()", [HOME]), ("open", [])):
            assert found.call("PUT", f"/keys/{key}", {"entries": entries}).status_code == 201
        wait_until(lambda: found.ask("=cmd()", HOME).status == 204, "the keys")
        for address, times in ((HOME, 8), (AWAY, 3), (FAR, 1)):
            for _ in range(times):
                assert found.ask("key", address).status == 204
        found.ask("=cmd()", AWAY)
        wait_until(lambda: count(found, key="key") == 12 and count(found, key="=cmd()", status=403) == 1, "the records")
        yield found


@contextmanager
def log_url(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database for a log."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'usage.db'}"
        return
    with Postgres() as server:
        yield server.url(server.create_database())


def count(stand: Stand, **query: object) -> int:
    found: int = stand.call("GET", "/usage/count", role="viewer", params=query).json()["records"]
    return found


def test_B26_B28_B29_filters_combine_and_pages_follow_each_other(stand: Stand) -> None:
    assert count(stand, key="key", within="203.0.113.0/24") == 8
    assert count(stand, key="key", allowed="false") == 0
    assert count(stand, blocked="true", key="=cmd()", status=403, decided="ip_not_listed") == 1
    seen, before = [], None
    while True:
        query = {"key": "key", "limit": 5} | ({} if before is None else {"before": before})
        page = stand.call("GET", "/usage", role="viewer", params=query).json()
        seen += [record["address"] for record in page["records"]]
        before = page["next"]
        if before is None:
            break
    assert seen == [FAR, *[AWAY] * 3, *[HOME] * 8]
    (blocked,) = stand.call("GET", "/usage", params={"key": "=cmd()", "status": 403}).json()["records"]
    assert (blocked["address"], blocked["reason"], blocked["status"]) == (AWAY, "ip_not_listed", 403)
    assert blocked["trail"] == ["127.0.0.1", AWAY]


def test_B26_sums(stand: Stand) -> None:
    found = stand.call("GET", "/usage/sums", role="viewer", params={"by": "address", "key": "key"}).json()
    assert found["sums"] == [
        {"value": HOME, "requests": 8, "blocked": 0},
        {"value": AWAY, "requests": 3, "blocked": 0},
        {"value": FAR, "requests": 1, "blocked": 0},
    ]


def test_B27_export_of_all_matching_rows(stand: Stand) -> None:
    answer = stand.call("GET", "/usage/export", role="viewer", params={"within": "0.0.0.0/0"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == count(stand, within="0.0.0.0/0")
    assert {row["key"] for row in rows} == {"key", "'=cmd()"}, "no cell begins as a formula does"
    lines = stand.call("GET", "/usage/export", params={"format": "jsonl", "key": "=cmd()", "status": 403}).text
    (line,) = map(json.loads, lines.splitlines())
    assert (line["key"], line["address"]) == ("=cmd()", AWAY)


def test_last_use_of_a_key(stand: Stand) -> None:
    def used() -> dict[str, str | None]:
        found: dict[str, str | None] = stand.call("GET", "/keys/key/last-use", role="viewer").json()
        return found

    wait_until(lambda: used()["seen"] is not None, "the last use, which is written every some seconds")
    newest = stand.call("GET", "/usage", params={"key": "key", "limit": 1}).json()["records"][0]["time"]
    wait_until(lambda: used() == {"seen": newest, "allowed": newest}, "the newest")
    assert stand.call("GET", "/keys/nobody/last-use").json() == {"seen": None, "allowed": None}


def test_B31_preview_says_who_would_be_shut_out_and_changes_nothing(stand: Stand) -> None:
    before = stand.call("GET", "/keys/key").json()
    found = stand.call("POST", "/preview", {"key": "key", "entries": ["203.0.113.0/24"]}, role="viewer").json()
    blocked = found["newly_blocked"]
    assert (found["requests"], found["masked"], blocked["requests"], found["newly_allowed"]["requests"]) == (
        12,
        0,
        4,
        0,
    )
    assert blocked["by_address"] == [{"address": AWAY, "requests": 3}, {"address": FAR, "requests": 1}]
    assert stand.call("GET", "/keys/key").json() == before
    nobody = stand.call("POST", "/preview", {"key": "key", "entries": [HOME, AWAY, FAR]}).json()
    assert nobody["newly_blocked"]["requests"] == 0
    refused = stand.call("POST", "/preview", {"key": "key", "entries": ["0.0.0.0/0"]})
    assert refused.status_code == 422, "what the policy refuses is not previewed"
    assert stand.call("POST", "/preview", {"key": "nobody", "entries": [HOME]}).status_code == 404
    assert stand.call("POST", "/preview", {"list": "nothing", "entries": [HOME]}).status_code == 404
    assert stand.call("POST", "/preview", {"entries": [HOME]}).status_code == 422
    assert stand.call("POST", "/preview", {"key": "key", "list": "x", "entries": [HOME]}).status_code == 422


def test_B31_suggestion_is_one_that_shuts_nobody_out(stand: Stand) -> None:
    found = stand.call("GET", "/keys/key/suggestion", role="viewer", params={"max_entries": 3}).json()
    assert sorted(found["entries"]) == sorted([f"{AWAY}/32", f"{FAR}/128", f"{HOME}/32"]) or found["extra"]["ipv4"] == 0
    again = stand.call("POST", "/preview", {"key": "key", "entries": found["entries"]}).json()
    assert again["newly_blocked"]["requests"] == 0
    assert stand.call("GET", "/keys/open/suggestion").status_code == 404


def test_C26_an_address_that_was_denied_gets_into_no_suggestion(stand: Stand) -> None:
    assert count(stand, key="=cmd()", within=AWAY, blocked="true") == 1
    found = stand.call("GET", "/keys/%3Dcmd()/suggestion", role="viewer").json()
    assert found["entries"] == [f"{HOME}/32"]


def test_client_asks_the_log_by_types(stand: Stand) -> None:
    with Client(stand.base, stand.tokens["viewer"]) as client:
        page = client.do(Calls.usage(key="key", limit=5))
        assert ([each["address"] for each in page.records], len(page.records)) == ([FAR, AWAY, AWAY, AWAY, HOME], 5)
        assert client.do(Calls.usage(key="key", before=page.next)).next is None
        assert client.do(Calls.usage_count(key="=cmd()", status=403)) == 1
        assert client.do(Calls.usage_count(key="key", allowed=False)) == 0, "False is a filter, too"
        assert client.do(Calls.usage_count(key="key", allowed=True)) == 12
        assert client.do(Calls.usage_sums("key", key="key")) == [{"value": "key", "requests": 12, "blocked": 0}]
        found = client.do(Calls.suggestion("key", max_entries=5))
        assert client.do(Calls.preview(found["entries"], key="key"))["newly_blocked"]["requests"] == 0


def test_server_without_a_log_says_so(tmp_path: Path) -> None:
    with serving_store(tmp_path) as found:
        answer = found.call("GET", "/usage")
        assert (answer.status_code, answer.json()["reason"]) == (404, "no_usage_log")


def test_C26_masked_records_are_counted_and_not_replayed(tmp_path: Path) -> None:
    log = f"--usage-log=sqlite:///{tmp_path / 'usage.db'}"
    with serving_store(tmp_path, None, log, "--usage-mask=24/128") as found:
        found.call("PUT", "/keys/key", {"entries": []})
        found.call("PUT", "/keys/last", {"entries": []})
        wait_until(lambda: found.ask("last", FAR).status == 204, "the keys")
        assert [found.ask("key", address).status for address in (FAR, HOME)] == [204, 204]
        wait_until(lambda: count(found, key="key") == 2, "the records")
        report = found.call("POST", "/preview", {"key": "key", "entries": ["203.0.113.0/24"]}).json()
        assert (report["requests"], report["masked"], report["newly_blocked"]["requests"]) == (1, 1, 1)


def test_B31_preview_of_a_named_list_asks_the_records_of_all_keys(tmp_path: Path) -> None:
    log = f"--usage-log=sqlite:///{tmp_path / 'usage.db'}"
    with serving_store(tmp_path, None, log, policy=Policy()) as found:
        assert found.call("PUT", "/lists/office", {"entries": ["203.0.113.0/24"]}).status_code == 201
        for key in ("one", "two"):
            assert found.call("PUT", f"/keys/{key}", {"entries": [], "lists": ["office"]}).status_code == 201
        wait_until(lambda: found.ask("two", HOME).status == 204, "the keys")
        assert found.ask("one", HOME).status == 204
        wait_until(lambda: count(found, allowed="true", key="one") == 1, "the records")
        report = found.call("POST", "/preview", {"list": "office", "entries": [AWAY]}).json()
        assert {each["key"] for each in report["newly_blocked"]["by_key"]} == {"one", "two"}
        assert report["newly_allowed"]["requests"] == 0
        assert found.call("GET", "/lists/office").json()["entries"][0]["prefix"] == "203.0.113.0/24"
