"""The admin API on a real server: what it reads and changes, what it refuses, and who may do it.

Requirements: B9, B10, B11, B12, B20, P1, P2, P3, P6, P7, P9, C8, C21, C22.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cidrmatch import presets
from cidrmatch.service.server.admin.operations import OPERATIONS, ROOT
from cidrmatch.service.stores.tokens import Tokens
from tests.architecture.reading import write_between
from tests.databases import Postgres
from tests.gateways.serving import PYTHON
from tests.servers import ROOT as FOLDER
from tests.servers import free_port, path_of, started
from tests.service.admin_stand import Stand, serving_store
from tests.service.serving import environment

HOME, AWAY = "203.0.113.9", "198.51.100.1"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with serving_store(tmp_path_factory.mktemp("admin")) as found:
        yield found


def put(stand: Stand, path: str, *entries: Any, **more: Any) -> str:
    """Put a key or a list, whatever there was; give its tag."""
    response = stand.call("PUT", path, {"entries": list(entries), **more}, tag="*")
    if response.status_code == 412:
        response = stand.call("PUT", path, {"entries": list(entries), **more})
    assert response.status_code in (200, 201), response.text
    return response.headers["etag"]


def prefixes(response: httpx.Response) -> list[str]:
    return [entry["prefix"] for entry in response.json()["entries"]]


def reason(response: httpx.Response) -> tuple[int, str]:
    """Give the status and the reason of a problem, whose form is checked."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    facts = response.json()
    assert (facts["type"], facts["status"]) == ("about:blank", response.status_code)
    return response.status_code, facts["reason"]


# -- Keys ---------------------------------------------------------------------


def test_B9_key_is_created_with_its_list_and_facts(stand: Stand) -> None:
    body = {"entries": ["203.0.113.0/24", {"prefix": "2001:db8::/48", "label": "lab"}], "owner": "acme"}
    made = stand.call("PUT", "/keys/b9", body, role="editor")
    assert made.status_code == 201
    found = stand.call("GET", "/keys/b9", role="viewer")
    assert found.headers["etag"] == made.headers["etag"] == f'"{made.json()["revision"]}"'
    facts = found.json()
    assert (facts["key"], facts["owner"], facts["enabled"], facts["shadow"]) == ("b9", "acme", True, None)
    assert facts["entries"] == [
        {"label": None, "prefix": "203.0.113.0/24"}, {"label": "lab", "prefix": "2001:db8::/48"},
    ]  # fmt: skip


def test_B10_entries_are_added_edited_and_removed(stand: Stand) -> None:
    put(stand, "/keys/b10", "203.0.113.0/24")
    added = stand.call("POST", "/keys/b10/entries/add", {"entries": ["198.51.100.0/24", "192.0.2.1"]}, role="editor")
    assert added.json()["report"]["ok"]
    removed = stand.call("POST", "/keys/b10/entries/remove", {"entries": ["203.0.113.0/24"]}, role="editor")
    found = stand.call("GET", "/keys/b10")
    assert prefixes(found) == ["198.51.100.0/24", "192.0.2.1/32"]
    assert found.headers["etag"] == removed.headers["etag"] != added.headers["etag"]
    changed = stand.call("PATCH", "/keys/b10", {"entries": ["192.0.2.2"]}, tag=found.headers["etag"])
    assert changed.status_code == 200
    assert prefixes(stand.call("GET", "/keys/b10")) == ["192.0.2.2/32"]
    assert reason(stand.call("POST", "/keys/b10/entries/remove", {"entries": ["10.9.9.9"]})) == (404, "unknown_name")


def test_B11_change_is_served_when_its_revision_is(stand: Stand) -> None:
    put(stand, "/keys/b11", "203.0.113.0/24")
    response = stand.call("POST", "/keys/b11/entries/add", {"entries": [AWAY]})
    revision = response.headers["x-cidrmatch-revision"]
    assert revision == response.json()["revision"]
    deadline = time.monotonic() + 10
    while stand.call("GET", "/readers").json()["here"] != revision:
        assert time.monotonic() < deadline
    assert stand.ask("b11", AWAY).status == 204
    assert stand.ask("b11", "192.0.2.1").status == 403


def test_B12_answer_of_a_change_has_the_warnings_of_the_policy(stand: Stand) -> None:
    response = stand.call("PUT", "/keys/b12", {"entries": ["10.0.0.0/9"]})
    assert [each["code"] for each in response.json()["report"]["warnings"]] == ["private"]
    opened = stand.call("PUT", "/keys/b12", {"entries": []}, tag=response.headers["etag"])
    assert [each["code"] for each in opened.json()["report"]["warnings"]] == ["unrestricted"]


def test_policy_names_each_problem_of_a_list(stand: Stand) -> None:
    response = stand.call("PUT", "/keys/bad", {"entries": ["203.0.113.0/24", "10.0.0.1/8", "nonsense"]})
    assert reason(response) == (422, "policy")
    assert [(each["index"], each["code"]) for each in response.json()["problems"]][:1] == [(1, "host_bits")]
    assert reason(stand.call("GET", "/keys/bad")) == (404, "unknown_name")


@pytest.mark.parametrize("key", ["a/b", "a b", "é", "%2F", "key?x=1", "..%2f", "#", "k" * 500, "\U0001f511"])
def test_key_may_have_any_characters(stand: Stand, key: str) -> None:
    path = f"/keys/{httpx.QueryParams({'k': key})}".replace("k=", "").replace("+", "%20")
    put(stand, path, HOME)
    assert stand.call("GET", path).json()["key"] == key
    assert stand.call("DELETE", path, tag="*").status_code == 200


@pytest.mark.parametrize("path", ["/keys/a%00b", "/keys/%FF", "/keys/", "/keys", "/nothing", "/keys/a/b", ""])
def test_path_that_names_nothing_is_refused(stand: Stand, path: str) -> None:
    assert stand.call("DELETE", path, tag="*").status_code in (400, 404, 405, 422)


def test_body_that_forgets_the_entries_does_not_open_a_key(stand: Stand) -> None:
    put(stand, "/keys/kept", HOME)
    assert reason(stand.call("PUT", "/keys/kept", {"owner": "acme"}, tag="*")) == (422, "invalid_body")
    assert prefixes(stand.call("GET", "/keys/kept")) == [f"{HOME}/32"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [(b"{", "application/json", 400), (b"[]", "application/json", 422), (b"{}", "text/plain", 415),
     (b'{"entries":[],"entries":["1.2.3.4"]}', "application/json", 400), (b" " * 1_100_000, "application/json", 413),
     (b'{"entries":[],"x":1}', "application/json", 422), (b'{"entries":"1.2.3.4"}', "application/json", 422)],
)  # fmt: skip
def test_body_that_is_none_is_refused(stand: Stand, body: bytes, kind: str, status: int) -> None:
    headers = {"authorization": f"Bearer {stand.tokens['admin']}", "content-type": kind}
    response = stand.client.put(f"{stand.base}/v1/admin/keys/none", content=body, headers=headers)
    assert reason(response) == (status, "invalid_body")


# -- Preconditions ------------------------------------------------------------


def test_change_by_an_old_revision_is_refused(stand: Stand) -> None:
    old = put(stand, "/keys/tagged", HOME)
    new = put(stand, "/keys/tagged", AWAY)
    for method, body in (("PUT", {"entries": []}), ("PATCH", {"enabled": False}), ("DELETE", None)):
        response = stand.call(method, "/keys/tagged", body, tag=old)
        assert reason(response) == (412, "precondition_failed")
        assert response.headers["etag"] == new
        assert reason(stand.call(method, "/keys/tagged", body)) == (428, "precondition_required")
        assert reason(stand.call(method, "/keys/tagged", body, tag=f"W/{new}")) == (412, "precondition_failed")
    assert stand.call("POST", "/keys/tagged/entries/add", {"entries": [HOME]}, tag=old).status_code == 412
    assert stand.call("DELETE", "/keys/tagged", tag=f'"x", {new}').status_code == 200


def test_if_none_match_creates_and_replaces_nothing(stand: Stand) -> None:
    only_new = {"if-none-match": "*"}
    assert stand.call("PUT", "/lists/fresh", {"entries": [HOME]}, headers=only_new).status_code == 201
    assert reason(stand.call("PUT", "/lists/fresh", {"entries": [AWAY]}, headers=only_new))[0] == 412
    found = stand.call("GET", "/lists/fresh")
    same = stand.call("GET", "/lists/fresh", headers={"if-none-match": found.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert stand.call("GET", "/lists/fresh", headers={"if-none-match": '"x"'}).status_code == 200
    for wrong in ("x", "", '"a" "b"', '"a", *'):
        assert reason(stand.call("GET", "/lists/fresh", headers={"if-none-match": wrong})) == (400, "invalid_header")


def test_tag_of_another_epoch_fits_nothing(stand: Stand) -> None:
    tag = put(stand, "/keys/epoch", HOME)
    epoch, _, number = tag.strip('"').partition("-")
    other = f'"{int(epoch, 16) - 1:x}-{number}"'
    assert reason(stand.call("DELETE", "/keys/epoch", tag=other)) == (412, "precondition_failed")


def test_change_of_something_that_is_not_there_is_404(stand: Stand) -> None:
    for method, path in (("PATCH", "/keys/gone"), ("DELETE", "/keys/gone"), ("DELETE", "/lists/gone")):
        body: dict[str, Any] | None = {} if method == "PATCH" else None
        assert reason(stand.call(method, path, body, tag="*")) == (404, "unknown_name")
    assert stand.call("PUT", "/keys/gone", {"entries": []}, tag="*").status_code == 412


# -- Lists --------------------------------------------------------------------


def test_P6_P7_list_names_its_keys(stand: Stand) -> None:
    put(stand, "/lists/office", "198.51.100.0/24", description="the office")
    for key in ("p7_a", "p7_b"):
        put(stand, f"/keys/{key}", HOME)
        assert stand.call("PUT", f"/keys/{key}/lists/office", role="editor").status_code == 200
    found = stand.call("GET", "/lists/office", role="viewer").json()
    assert (found["linked_keys"], found["description"], found["is_default"]) == (2, "the office", False)
    first = stand.call("GET", "/lists/office/keys", params={"limit": 1}).json()
    assert first == {"keys": ["p7_a"], "next": "p7_a"}
    rest = stand.call("GET", "/lists/office/keys", params={"limit": 1, "after": first["next"]}).json()
    assert rest == {"keys": ["p7_b"], "next": None}


def test_C21_list_in_use_is_deleted_by_force_alone(stand: Stand) -> None:
    put(stand, "/lists/used", "198.51.100.0/24")
    put(stand, "/keys/c21", lists=["used"])
    assert reason(stand.call("DELETE", "/lists/used", tag="*")) == (409, "in_use")
    response = stand.call("DELETE", "/lists/used", tag="*", params={"force": "true"})
    assert [each["code"] for each in response.json()["report"]["warnings"]] == ["unrestricted"]
    assert stand.call("GET", "/keys/c21").json()["lists"] == []


def test_C22_list_in_use_cannot_be_emptied(stand: Stand) -> None:
    put(stand, "/lists/c22", "198.51.100.0/24")
    put(stand, "/keys/c22", lists=["c22"])
    assert reason(stand.call("POST", "/lists/c22/entries/remove", {"entries": ["198.51.100.0/24"]})) == (409, "refused")
    assert stand.call("POST", "/lists/c22/entries/add", {"entries": [HOME]}).status_code == 200
    assert len(prefixes(stand.call("GET", "/lists/c22"))) == 2


def test_P9_one_list_is_the_default_or_none(stand: Stand) -> None:
    put(stand, "/lists/standard", "198.51.100.0/24")
    assert reason(stand.call("PUT", "/default", {"list": "standard"})) == (409, "refused")  # bitbybit has none
    assert stand.call("PATCH", "/rules", {"policy": {"name": "mine"}}).status_code == 200
    assert stand.call("PUT", "/default", {"list": "standard"}).status_code == 200
    found = stand.call("GET", "/default", role="viewer")
    assert found.json() == {"list": "standard"}
    assert stand.call("GET", "/lists/standard").json()["is_default"]
    assert reason(stand.call("DELETE", "/default", tag='"old"'))[0] == 412
    assert stand.call("DELETE", "/default", tag=found.headers["etag"]).status_code == 200
    assert stand.call("GET", "/default").json() == {"list": None}
    assert reason(stand.call("PUT", "/default", {"list": "nowhere"})) == (404, "unknown_name")
    assert stand.call("PATCH", "/rules", {"policy": "bitbybit"}).status_code == 200


def test_trial_of_a_list_is_put_and_ended(stand: Stand) -> None:
    put(stand, "/keys/trial", HOME)
    assert stand.call("PUT", "/keys/trial/shadow", {"entries": [AWAY]}).status_code == 200
    assert stand.call("GET", "/keys/trial").json()["shadow"] == [{"label": None, "prefix": f"{AWAY}/32"}]
    assert stand.call("DELETE", "/keys/trial/shadow").status_code == 200
    assert stand.call("GET", "/keys/trial").json()["shadow"] is None


def test_names_come_in_pages(stand: Stand) -> None:
    for number in range(3):
        put(stand, f"/lists/page_{number}", HOME)
    seen: list[str] = []
    after: str | None = "page"
    while after is not None:
        page = stand.call("GET", "/lists", params={"after": after, "limit": 1}).json()
        seen, after = seen + page["lists"], page["next"]
    assert [name for name in seen if name.startswith("page_")] == ["page_0", "page_1", "page_2"]
    keys = stand.call("GET", "/keys", params={"limit": 1000}).json()
    assert keys["next"] is None
    for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"other": 1}, {"after": "a\0b"}):
        assert reason(stand.call("GET", "/keys", params=wrong)) == (422, "invalid_query")


# -- The caller ---------------------------------------------------------------


def test_caller_is_not_locked_out_unless_forced(stand: Stand) -> None:
    tag = put(stand, "/keys/caller", "203.0.113.0/24")
    body = {"entries": ["192.0.2.0/24"]}
    for caller in (HOME, "me"):
        response = stand.call(
            "PUT", "/keys/caller", body, tag=tag, params={"caller": caller}, headers={"x-forwarded-for": HOME}
        )
        assert reason(response) == (409, "lock_out")
    assert reason(stand.call("PUT", "/keys/caller", body, tag=tag, params={"caller": "x"}))[0] == 422
    forced = {"caller": "me", "force": "true"}
    assert stand.call("PUT", "/keys/caller", body, tag=tag, params=forced).status_code == 200


def test_history_says_who_from_where_and_why(stand: Stand) -> None:
    put(stand, "/keys/told", HOME)
    headers = {"x-forwarded-for": f"6.6.6.6, {AWAY}"}
    said = {"reason": "größer: CI"}
    stand.call("POST", "/keys/told/entries/add", {"entries": [AWAY]}, role="editor", headers=headers, params=said)
    found = stand.call("GET", "/history", params={"kind": "key", "name": "told", "limit": 1}).json()
    (commit,) = found["commits"]
    assert [commit[name] for name in ("actor", "origin", "reason", "operation")] == [
        "the editor", AWAY, "größer: CI", "add_entries",
    ]  # fmt: skip
    assert commit["things"][0]["before"]["entries"] == [f"{HOME}/32"]
    assert found["next"] == commit["number"]
    rest = stand.call("GET", "/history", params={"kind": "key", "name": "told", "before": found["next"]}).json()
    assert [each["operation"] for each in rest["commits"]] == ["put_key"]


def test_commit_is_undone_unless_a_later_one_changed_the_same(stand: Stand) -> None:
    put(stand, "/keys/undone", HOME)
    number = int(put(stand, "/keys/undone", AWAY).strip('"').partition("-")[2])
    assert reason(stand.call("POST", f"/history/{number - 1}/undo")) == (409, "conflict")
    assert stand.call("POST", f"/history/{number}/undo").status_code == 200
    assert prefixes(stand.call("GET", "/keys/undone")) == [f"{HOME}/32"]
    assert reason(stand.call("POST", "/history/999999/undo")) == (404, "unknown_name")


# -- Many keys ----------------------------------------------------------------


def test_import_puts_all_rows_or_none_and_says_why(stand: Stand) -> None:
    rows = [
        {"key": "in_1", "entries": [HOME]},
        {"key": "in_2", "entries": ["10.0.0.1/8"]},
        {"key": "in_3", "entries": []},
    ]
    response = stand.call("POST", "/import", {"keys": rows})
    assert reason(response) == (422, "rows")
    (row,) = response.json()["rows"]
    assert (row["index"], row["key"], row["status"], row["problem"]["reason"]) == (1, "in_2", 422, "policy")
    assert row["problem"]["problems"][0]["code"] == "host_bits"
    assert reason(stand.call("GET", "/keys/in_1"))[0] == 404
    partial = stand.call("POST", "/import", {"keys": rows}, params={"partial": "true"}).json()
    assert (partial["put"], partial["refused"]) == (2, 1)
    assert [row["status"] for row in partial["rows"]] == [201, 422, 201]
    assert [each["code"] for each in partial["rows"][2]["warnings"]] == ["unrestricted"]
    assert [row["status"] for row in stand.call("POST", "/import", {"keys": rows[:1]}).json()["rows"]] == [409]
    again = stand.call("POST", "/import", {"keys": rows[:1]}, params={"replace": "true"}).json()
    assert [row["status"] for row in again["rows"]] == [200]


# -- Rules, assertions, grants ------------------------------------------------


def test_rules_are_changed_with_warnings_and_by_a_policy_that_accepts_everything(stand: Stand) -> None:
    put(stand, "/keys/ruled", HOME)
    assert stand.call("GET", "/rules", role="viewer").json()["policy"] == "bitbybit"
    off = stand.call("PATCH", "/rules", {"enforced": False, "unknown_key": "pass"})
    assert [each["code"] for each in off.json()["report"]["warnings"]] == ["unrestricted", "unrestricted"]
    assert reason(stand.call("POST", "/keys/ruled/entries/add", {"entries": [AWAY]})) == (409, "feature_off")
    assert stand.call("PATCH", "/rules", {"enforced": True, "unknown_key": "deny"}).status_code == 200
    assert reason(stand.call("PATCH", "/rules", {"policy": "pigment"})) == (409, "refused")
    assert stand.call("PATCH", "/rules", {"policy": {"name": "mine"}}).status_code == 200
    assert stand.call("PATCH", "/rules", {"policy": "bitbybit"}).status_code == 200
    for wrong in ({"policy": "other"}, {"policy": {"keys": {"response": "x"}}}, {"policy": {"min_entries": -1}}):
        assert stand.call("PATCH", "/rules", wrong).status_code == 422


def test_assertion_refuses_a_change_that_breaks_it(stand: Stand) -> None:
    put(stand, "/lists/door", "198.51.100.0/24")
    path = f"/assertions/list/door/{AWAY}"
    assert stand.call("PUT", path, {"allow": True, "note": "the door"}).status_code == 200
    (said,) = stand.call("GET", "/assertions", params={"holder": "list", "name": "door"}).json()["assertions"]
    assert said == {"holder": "list", "name": "door", "address": AWAY, "allow": True, "note": "the door"}
    broken = stand.call("PUT", "/lists/door", {"entries": [HOME]}, tag="*")
    assert reason(broken)[0] == 409
    assert "the door" in broken.json()["detail"]
    assert stand.call("DELETE", path).status_code == 200
    assert reason(stand.call("DELETE", path))[0] == 404
    assert reason(stand.call("PUT", "/assertions/list/door/nowhere", {"allow": True}))[0] == 422


def test_grant_is_made_listed_and_ended(stand: Stand) -> None:
    put(stand, "/keys/glass", HOME)
    said = {"key": "glass", "prefix": AWAY, "reason": "night shift", "until": "2099-01-01T00:00:00Z"}
    made = stand.call("POST", "/grants", said)
    assert made.status_code == 201
    number = made.json()["number"]
    assert [each["number"] for each in stand.call("GET", "/grants").json()["grants"]] == [number]
    assert stand.call("DELETE", f"/grants/{number}").status_code == 200
    assert reason(stand.call("DELETE", f"/grants/{number}"))[0] == 404
    assert reason(stand.call("POST", "/grants", {**said, "until": "2000-01-01T00:00:00Z"})) == (422, "invalid")
    assert reason(stand.call("POST", "/grants", {**said, "until": "tomorrow"})) == (422, "invalid_body")


def test_list_is_judged_by_the_policy_of_the_tenant_without_a_change(stand: Stand) -> None:
    before = stand.call("GET", "/self").json()["revision"]
    report = stand.call("POST", "/validate", {"entries": ["203.0.113.0/7", 5, HOME]}, role="viewer").json()["report"]
    assert (report["policy"], report["ok"], len(report["errors"])) == ("bitbybit", False, 2)
    assert stand.call("GET", "/self").json()["revision"] == before


# -- Who may ------------------------------------------------------------------


def test_P1_each_operation_asks_for_its_role(stand: Stand) -> None:
    """A role that is too low is refused before anything else is looked at."""
    roles = ["viewer", "editor", "admin"]
    for operation in OPERATIONS:
        path = re.sub("{number}", "1", re.sub("{holder}", "key", operation.path))
        for role in roles[: roles.index(operation.role)]:
            response = stand.call(operation.method, re.sub("{.*?}", "x", path), role=role)
            assert reason(response) == (403, "role"), (operation, role)


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer x", "Basic x", "Bearer cma_" + "0" * 64])
def test_P1_without_a_token_nothing_is_told(stand: Stand, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given}
    for path in ("/keys", "/keys/b9", "/nothing", ""):
        response = stand.client.get(f"{stand.base}{ROOT}{path}", headers=headers)
        assert reason(response) == (401, "token")
        assert response.headers["www-authenticate"] == "Bearer"


def test_P1_token_is_out_at_once_when_it_is_removed(stand: Stand) -> None:
    made = stand.call("POST", "/tokens", {"name": "short", "role": "viewer"})
    assert made.status_code == 201
    mine = {"authorization": f"bearer {made.json()['token']}"}
    assert stand.client.get(f"{stand.base}{ROOT}/self", headers=mine).json()["name"] == "short"
    assert "short" in [each["name"] for each in stand.call("GET", "/tokens").json()["tokens"]]
    assert reason(stand.call("POST", "/tokens", {"name": "short", "role": "admin"})) == (409, "already_exists")
    assert stand.call("DELETE", "/tokens/short").status_code == 200
    assert stand.client.get(f"{stand.base}{ROOT}/self", headers=mine).status_code == 401


def test_no_line_of_the_log_has_a_token_or_a_key(stand: Stand) -> None:
    put(stand, "/keys/a_secret_key", HOME)
    log = stand.log.read_text(encoding="utf-8")
    assert "a_secret_key" not in log
    assert "cma_" not in log
    assert not [line for line in log.splitlines() if json.loads(line)["level"] == "error"]


def test_P1_P3_lists_of_a_workspace_are_edited_by_admins(tmp_path: Path) -> None:
    with serving_store(tmp_path, policy=presets.pigment()) as stand:
        said = {"entries": ["198.51.100.0/24"], "description": "the office"}
        assert reason(stand.call("PUT", "/lists/office", said, role="editor")) == (403, "not_permitted")
        assert reason(stand.call("PUT", "/lists/office", {"entries": [HOME]})) == (409, "refused")
        assert stand.call("PUT", "/lists/office", said).status_code == 201
        assert stand.call("PUT", "/keys/key_1", {"entries": []}, role="editor").status_code == 201
        assert reason(stand.call("PUT", "/keys/key_1/lists/office", role="editor")) == (403, "not_permitted")
        assert stand.call("PUT", "/keys/key_1/lists/office").status_code == 200


def test_store_in_postgresql_is_administered_likewise(tmp_path: Path) -> None:
    with Postgres() as server, serving_store(tmp_path, server.url(server.create_database())) as stand:
        test_B9_key_is_created_with_its_list_and_facts(stand)
        test_B10_entries_are_added_edited_and_removed(stand)
        test_B11_change_is_served_when_its_revision_is(stand)
        test_change_by_an_old_revision_is_refused(stand)
        test_import_puts_all_rows_or_none_and_says_why(stand)
        test_P6_P7_list_names_its_keys(stand)
        server.kill()
        assert reason(stand.call("GET", "/keys")) == (503, "store")
        server.start()
        assert Tokens(stand.store).find(stand.tokens["viewer"]) is not None
        assert stand.call("GET", "/keys").status_code == 200


# -- The page -----------------------------------------------------------------

PAGE = FOLDER / "docs" / "admin-api.md"
BEGIN, END = "<!-- operations: begin -->\n", "<!-- operations: end -->\n"


def table_of_operations() -> str:
    lines = ["| request | role | what it does |", "|---|---|---|"]
    for operation in OPERATIONS:
        said = (operation.work.__doc__ or "").partition("\n")[0].removesuffix(".")
        lines.append(f"| `{operation.method} {operation.path}` | {operation.role} | {said} |")
    return "\n".join(lines) + "\n"


def test_page_has_a_line_for_each_operation() -> None:
    """To write the table anew: `python -m tests.service.test_admin`."""
    assert table_of_operations() == PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def test_session_of_the_page_is_one(tmp_path: Path) -> None:
    first, second, of_usage = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    serve = next(line for line in first.splitlines() if "serve" in line)
    port = free_port()
    mine = {**environment(), "CIDRMATCH_STORE": f"sqlite:///{tmp_path / 'keys.db'}"}
    function = f'cidrmatch() {{ {PYTHON} -m cidrmatch "$@"; }}\n'
    made = first.replace(serve, "").replace("sqlite:///keys.db", mine["CIDRMATCH_STORE"])
    bash(function + made, tmp_path)
    words = [PYTHON, "-m", *serve.replace("///", f"///{tmp_path}/").split(), f"--listen=127.0.0.1:{port}"]
    with started(words, port, tmp_path / "log", mine):
        told = bash((second + of_usage).replace("9180", str(port)), tmp_path)
    assert '"warnings":[]' in told
    assert '"operation":"update_key"' in told
    assert '"here":' in told
    assert '"newly_blocked":{"requests":0,' in told
    assert (tmp_path / "usage.csv").read_text(encoding="utf-8").startswith('"number","time",')


def bash(script: str, folder: Path) -> str:
    path_of("curl")
    words = ["bash", "-e", "-c", script]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


if __name__ == "__main__":
    write_between(PAGE, BEGIN, END, table_of_operations())
