"""Tokens of the admin API: found by their hash alone, named in the history without it.

Requirements: P1 (who may change lists), B11 (a token is no data of a follower).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from cidrmatch import presets
from cidrmatch.errors import AlreadyExists, Conflict, NotPermitted, UnknownName
from cidrmatch.service.stores.schema import changed, tokens
from cidrmatch.service.stores.store import Store
from cidrmatch.service.stores.tokens import PREFIX, Bearer, Tokens


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    found = Store.create(store_url, policy=presets.bitbybit())
    yield found
    found.close()


def test_P1_token_is_found_with_its_role_and_nothing_else_is(store: Store) -> None:
    mine = Tokens(store)
    token = mine.create("anna", "admin")
    assert token.startswith(PREFIX)
    assert len(token) == len(PREFIX) + 64
    assert mine.find(token) == Bearer("anna", "admin")
    for other in (
        "",
        PREFIX,
        token[:-1],
        token + "0",
        token.upper(),
        f" {token}",
        token.removeprefix(PREFIX),
        "é" * 68,
    ):
        assert mine.find(other) is None
    mine.remove("anna")
    assert mine.find(token) is None


def test_token_of_another_tenant_is_none_here(store: Store, store_url: str) -> None:
    other = Store.create(store_url, "other", policy=presets.bitbybit())
    token = Tokens(other).create("anna", "admin")
    assert Tokens(store).find(token) is None
    assert Tokens(other).find(token) == Bearer("anna", "admin")
    other.close()


def test_no_table_holds_a_token_and_the_history_holds_no_hash(store: Store) -> None:
    token = Tokens(store).create("ci", "editor", actor="anna", reason="a pipeline")
    Tokens(store).remove("ci")
    token_2 = Tokens(store).create("ci", "viewer")
    with store.database.reading() as connection:
        held = [row.hash for row in connection.execute(select(tokens))]
        told = json.dumps([[str(value) for value in row] for row in connection.execute(select(changed))])
    assert not {token, token_2} & set(held)
    assert held[0] not in told
    assert PREFIX not in told
    with store.reading() as data:
        commits = data.history(kind="token", name="ci")
    assert [commit.operation for commit in commits] == ["create_token", "remove_token", "create_token"]
    assert (commits[2].actor, commits[2].reason) == ("anna", "a pipeline")
    assert commits[1].things[0].after is None


def test_B11_change_of_tokens_is_a_change_of_nothing_for_a_follower(store: Store) -> None:
    Tokens(store).create("anna", "admin")
    with store.look() as (before, _):
        pass
    Tokens(store).create("ci", "editor")
    with store.look(before) as (head, reading):
        found = reading.changed_since(head, before.revision, before.mark)
    assert head.revision > before.revision
    assert found is not None
    assert (found.keys, found.lists, found.rules) == (set(), set(), False)


def test_token_that_cannot_be_made_changes_nothing(store: Store) -> None:
    mine = Tokens(store)
    mine.create("ci", "editor")
    with pytest.raises(AlreadyExists):
        mine.create("ci", "viewer")
    for name, role in (("x", "root"), ("x", "Admin"), (" ", "admin"), ("a\0b", "admin")):
        with pytest.raises(ValueError, match=r"role|name"):
            mine.create(name, role)
    with pytest.raises(UnknownName):
        mine.remove("x")
    assert [(each.name, each.role) for each in mine.list()] == [("ci", "editor")]


def test_token_cannot_be_undone(store: Store) -> None:
    Tokens(store).create("ci", "editor")
    with store.reading() as data:
        number = data.revision.generation
    with pytest.raises(Conflict, match="token"), store.change() as change:
        change.undo(number)


@pytest.mark.parametrize(
    ("mine", "asked", "may"),
    [("viewer", "viewer", True), ("viewer", "editor", False), ("editor", "viewer", True), ("editor", "admin", False),
     ("admin", "admin", True), ("admin", "editor", True)],
)  # fmt: skip
def test_P1_role_may_what_earlier_roles_may(mine: str, asked: str, may: bool) -> None:
    assert Bearer("x", mine).may(asked) is may


def test_P1_change_may_bring_a_role_check_of_its_own(store: Store) -> None:
    asked = []

    def permits(actor: object, operation: str, name: str) -> bool:
        asked.append((actor, operation, name))
        return False

    with pytest.raises(NotPermitted), store.change(actor="ci", permits=permits) as change:
        change.put_list("office", ["198.51.100.0/24"])
    assert asked == [("ci", "put_list", "office")]


def test_change_says_what_it_began_with(store: Store) -> None:
    with store.change() as change:
        change.put_key("key_1", ["203.0.113.0/24"])
        assert change.revision_of_key("key_1") is None
    with store.change() as change:
        assert change.base.generation == change.revision_of_key("key_1") == 1
        assert change.revision_of_list("office") is None
        assert change.rules.policy == presets.bitbybit()
