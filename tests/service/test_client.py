"""The client of the admin API, waiting and with asyncio, on a real server.

Requirements: B9, B10, B11, P7, P9, C21.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from cidrmatch.service.client import (
    ANY,
    AsyncClient,
    Calls,
    Client,
    NotAllowed,
    NotFound,
    Refused,
    Stale,
    Unavailable,
)
from tests.servers import free_port
from tests.service.admin_stand import Stand, serving_store

HOME, AWAY = "203.0.113.9", "198.51.100.1"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with serving_store(tmp_path_factory.mktemp("client"), None, "--workers=2") as found:
        yield found


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with Client(stand.base, stand.tokens["admin"]) as found:
        yield found


def test_B9_B10_B11_key_is_made_changed_and_served_by_every_worker(stand: Stand, client: Client) -> None:
    made = client.do(Calls.put_key("a/key", ["203.0.113.0/24"], owner="acme", reason="a new runner"))
    key = client.do(Calls.key("a/key"))
    assert (key.key, key.owner, key.revision) == ("a/key", "acme", made.revision)
    assert key.created_at.tzinfo is not None
    done = client.do(Calls.update_key("a/key", entries=[AWAY], revision=key.revision))
    client.wait_until(done.revision)
    assert {stand.ask("a/key", AWAY).status for _ in range(10)} == {204}
    assert {stand.ask("a/key", HOME).status for _ in range(10)} == {403}
    with pytest.raises(Stale) as stale:
        client.do(Calls.delete_key("a/key", revision=key.revision))
    assert (stale.value.status, stale.value.reason) == (412, "precondition_failed")
    client.do(Calls.delete_key("a/key", revision=done.revision))
    with pytest.raises(NotFound):
        client.do(Calls.key("a/key"))


def test_refusal_has_the_problems_of_the_policy(client: Client) -> None:
    with pytest.raises(Refused) as refused:
        client.do(Calls.put_key("bad", ["10.0.0.1/8"]))
    (problem,) = refused.value.problems
    assert (problem["index"], problem["code"]) == (0, "host_bits")
    assert "422 policy" in str(refused.value)
    report = client.do(Calls.validate(["10.0.0.1/9", HOME]))
    assert (report.ok, len(report.errors), report.policy) == (False, 1, "bitbybit")


def test_new_key_replaces_nothing_and_any_replaces_whatever_there_is(client: Client) -> None:
    client.do(Calls.put_key("twice", [HOME]))
    with pytest.raises(Stale):
        client.do(Calls.put_key("twice", [AWAY]))
    done = client.do(Calls.put_key("twice", [], revision=ANY))
    assert done.report is not None
    assert [each["code"] for each in done.report.warnings] == ["unrestricted"]


def test_P7_P9_C21_lists_are_made_linked_and_deleted(client: Client) -> None:
    made = client.do(Calls.put_list("office", ["198.51.100.0/24"], description="the office"))
    client.do(Calls.put_key("linked", [HOME]))
    client.do(Calls.link("linked", "office"))
    client.do(Calls.add_to_list("office", [AWAY, "192.0.2.1"]))
    assert client.do(Calls.keys_of_list("office")).names == ["linked"]
    found = client.do(Calls.named_list("office"))
    assert (found.description, len(found.entries), found.linked_keys, found.is_default) == ("the office", 3, 1, False)
    assert found.revision != made.revision
    with pytest.raises(Refused, match="in_use"):
        client.do(Calls.delete_list("office", revision=ANY))
    client.do(Calls.unlink("linked", "office"))
    client.do(Calls.delete_list("office", revision=ANY))
    assert "office" not in client.do(Calls.lists()).names
    with pytest.raises(Refused, match="no default list"):
        client.do(Calls.set_default("office"))
    assert client.do(Calls.set_default(None)).report is not None


def test_rules_grants_assertions_imports_and_history(client: Client) -> None:
    assert client.do(Calls.rules()).policy == "bitbybit"
    imported = client.do(
        Calls.import_keys([{"key": "row", "entries": [HOME]}, {"key": "no", "entries": ["x"]}], partial=True)
    )
    assert (imported.put, imported.refused, imported.rows[1]["problem"]["reason"]) == (1, 1, "policy")
    granted = client.do(Calls.grant("row", None, reason="night", until=datetime.now(UTC) + timedelta(hours=1)))
    assert granted.number is not None
    client.do(Calls.end_grant(granted.number))
    client.do(Calls.put_assertion("key", "row", HOME, allow=True))
    with pytest.raises(Refused, match=HOME):
        client.do(Calls.update_key("row", entries=["192.0.2.1"], revision=ANY))
    client.do(Calls.drop_assertion("key", "row", HOME))
    client.do(Calls.add_entries("row", [AWAY], reason="why"))
    latest = client.do(Calls.history(kind="key", name="row", limit=1))[0]
    assert (latest.operation, latest.actor, latest.reason) == ("add_entries", "the admin", "why")
    client.do(Calls.undo(latest.number))
    assert len(client.do(Calls.key("row")).entries) == 1
    client.do(Calls.change_rules(enforced=True))
    assert client.do(Calls.keys(limit=1)).next is not None


def test_token_is_made_used_and_removed(stand: Stand, client: Client) -> None:
    made = client.do(Calls.create_token("robot", "viewer"))
    assert made.token is not None
    assert made.token not in repr(made)
    with Client(stand.base, made.token) as robot:
        assert made.token not in repr(robot)
        robot.do(Calls.rules())
        with pytest.raises(NotAllowed):
            robot.do(Calls.put_key("x", []))
        client.do(Calls.delete_token("robot"))
        with pytest.raises(NotAllowed):
            robot.do(Calls.rules())


def test_same_calls_go_by_asyncio(stand: Stand) -> None:
    async def talk() -> None:
        async with AsyncClient(stand.base, stand.tokens["editor"]) as client:
            done = await client.do(Calls.put_key("async", [HOME]))
            await client.wait_until(done.revision)
            assert (await client.do(Calls.key("async"))).revision == done.revision
            with pytest.raises(NotAllowed):
                await client.do(Calls.change_rules(enforced=True))
            with pytest.raises(TimeoutError):
                await client.wait_until(done.revision.partition("-")[0] + "-999999", 0.2)

    asyncio.run(talk())


def test_lost_answer_says_whether_a_change_may_have_been_made() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "x") as client, pytest.raises(Unavailable) as unavailable:
        client.do(Calls.put_key("key_1", []))
    assert (unavailable.value.status, unavailable.value.is_unknown) == (0, False)

    def silent(_: httpx.Request) -> Any:
        raise httpx.ReadTimeout("nothing came")

    with Client("http://x", "x", transport=httpx.MockTransport(silent)) as client, pytest.raises(Unavailable) as lost:
        client.do(Calls.put_key("key_1", []))
    assert lost.value.is_unknown


@pytest.mark.parametrize(("status", "body"), [(500, b"oops"), (502, b"[]"), (404, b""), (418, b'{"reason":"tea"}')])
def test_answer_of_something_else_is_an_error_all_the_same(status: int, body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    kind = Unavailable if status >= 500 else NotFound if status == 404 else Refused
    with Client("http://x", "x", transport=transport) as client, pytest.raises(kind):
        client.do(Calls.rules())
