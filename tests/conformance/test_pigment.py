"""Pigment, statement by statement; the id of the statement is in the name of its test."""

from collections.abc import Callable
from typing import Any

import pytest

from cidrmatch import Engine, EngineError, NotPermitted, PolicyError, Reason, State, UnknownName, presets

OFFICE, HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9", "192.0.2.1"


def make(*keys: str, **settings: Any) -> Engine:
    """An engine with two lists, and keys that are linked to neither."""
    engine = Engine(presets.pigment(), **settings)
    engine.put_list("office", ["198.51.100.0/24"], description="Vienna", actor="admin")
    engine.put_list("home", [HOME], description="On call", actor="admin")
    for key in keys:
        engine.put_key(key)
    return engine


def passes(engine: Engine, key: str) -> list[bool]:
    """Whether the office, the home and an address elsewhere may use a key."""
    answers = [engine.allows(key, address) for address in (OFFICE, HOME, ELSEWHERE)]
    assert answers == [engine.check(key, address).allowed for address in (OFFICE, HOME, ELSEWHERE)]
    return answers


EDITS: dict[str, Callable[[Engine], object]] = {
    "create": lambda engine: engine.put_list("new", [HOME], description="New", actor="guest"),
    "replace": lambda engine: engine.put_list("office", [HOME], description="Mine", actor="guest"),
    "remove": lambda engine: engine.remove_list("home", actor="guest"),
    "remove, forced": lambda engine: engine.remove_list("office", force=True, actor="guest"),
    "link": lambda engine: engine.link("k", "home", actor="guest"),
    "unlink": lambda engine: engine.unlink("k", "office", actor="guest"),
    "default": lambda engine: engine.set_default("home", actor="guest"),
    "no default": lambda engine: engine.set_default(None, actor="guest"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_P1_only_an_admin_manages_lists(edit: str) -> None:
    engine = make("k", permits=lambda actor, operation, name: actor == "admin")
    engine.link("k", "office", actor="admin")
    engine.set_default("office", actor="admin")
    before = engine.version, sorted(engine.lists()), engine.lists_of("k"), engine.default(), passes(engine, "k")
    with pytest.raises(NotPermitted):
        EDITS[edit](engine)
    with pytest.raises(NotPermitted), engine.transaction() as change:
        EDITS[edit](change)  # type: ignore[arg-type]  # a transaction has the same changes
    assert before == (
        engine.version,
        sorted(engine.lists()),
        engine.lists_of("k"),
        engine.default(),
        passes(engine, "k"),
    )


@pytest.mark.parametrize("lists", [[], ["home"]])
def test_P1_links_are_not_changed_by_way_of_the_key(lists: list[str]) -> None:
    engine = make("k", permits=lambda actor, operation, name: actor == "admin")
    engine.link("k", "office", actor="admin")
    with pytest.raises(NotPermitted):
        engine.update_key("k", lists=lists)  # nobody's: what link and unlink refuse to a guest
    assert engine.lists_of("k") == ("office",)
    with pytest.raises(NotPermitted):
        engine.put_key("k", lists=lists, replace=True)
    assert passes(engine, "k") == [True, False, False]


@pytest.mark.parametrize("answer", [False, None, 0, 1, "no", "yes", object()])
def test_P1_only_true_permits(answer: object) -> None:
    engine = Engine(presets.pigment(), permits=lambda actor, operation, name: answer)  # type: ignore[arg-type, return-value]
    with pytest.raises(NotPermitted):
        engine.put_list("office", [OFFICE], description="Vienna", actor="admin")
    assert engine.lists() == {}


def test_P1_hook_is_told_who_does_what_to_which_list() -> None:
    heard: list[tuple[object, str, str]] = []

    def permits(actor: object, operation: str, name: str) -> bool:
        heard.append((actor, operation, name))
        return True

    engine = make(permits=permits)
    engine.set_default("office", actor="ann")
    assert heard == [("admin", "put_list", "office"), ("admin", "put_list", "home"), ("ann", "set_default", "office")]


def test_P1_hook_that_raises_refuses() -> None:
    def permits(actor: object, operation: str, name: str) -> bool:
        raise ConnectionError

    engine = Engine(presets.pigment(), permits=permits)
    with pytest.raises(ConnectionError):
        engine.put_list("office", [OFFICE], description="Vienna")
    assert (engine.lists(), engine.version) == ({}, 0)


def test_P2_lists_are_objects_of_their_own() -> None:
    engine = make()
    assert engine.keys() == []
    office = engine.lists()["office"]
    assert (office.name, office.description, [str(entry.prefix) for entry in office.entries]) == (
        "office",
        "Vienna",
        ["198.51.100.0/24"],
    )
    engine.put_key("k", lists=["office"])
    engine.remove_key("k")
    assert sorted(engine.lists()) == ["home", "office"]


def test_P2_keys_have_no_entries_of_their_own() -> None:
    engine = make("k")
    with pytest.raises(EngineError):
        engine.put_key("other", [HOME])
    with pytest.raises(EngineError):
        engine.update_key("k", entries=[HOME])
    assert (engine.keys(), engine.key("k").entries) == (["k"], ())


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_P3_list_without_a_name_is_refused(name: str) -> None:
    engine = Engine(presets.pigment())
    with pytest.raises((EngineError, TypeError, ValueError)):
        engine.put_list(name, [OFFICE], description="Vienna")
    assert engine.lists() == {}


@pytest.mark.parametrize("description", ["", " ", "\n\t"])
def test_P3_list_without_a_description_is_refused(description: str) -> None:
    engine = Engine(presets.pigment())
    with pytest.raises(EngineError, match="description"):
        engine.put_list("office", [OFFICE], description=description)
    with pytest.raises(EngineError, match="description"):
        engine.put_list("office", [OFFICE])
    assert engine.lists() == {}


def test_P3_list_without_addresses_is_refused() -> None:
    engine = Engine(presets.pigment())
    with pytest.raises(PolicyError) as error:
        engine.put_list("office", [], description="Vienna")
    assert [problem.code for problem in error.value.report.errors] == ["too_few_entries"]
    assert engine.lists() == {}


@pytest.mark.parametrize("entry", ["2001:db8::1", "2001:db8::/32", "::/0", "::1"])
def test_P4_ipv6_is_refused(entry: str) -> None:
    engine = make()
    with pytest.raises(PolicyError) as error:
        engine.put_list("office", [OFFICE, entry], description="Vienna")
    assert (1, "family") in [(problem.index, problem.code) for problem in error.value.report.errors]
    assert [str(entry.prefix) for entry in engine.lists()["office"].entries] == ["198.51.100.0/24"]


def test_P4_ipv6_client_is_not_listed_and_a_mapped_one_is_ipv4() -> None:
    engine = make("k")
    engine.put_list("everyone", ["0.0.0.0/0"], description="All of IPv4")
    engine.link("k", "everyone")
    assert engine.check("k", "2001:db8::1").reason is Reason.NOT_LISTED
    assert engine.check("k", "::198.51.100.7").reason is Reason.NOT_LISTED
    assert engine.check("k", "::ffff:198.51.100.7").reason is Reason.MATCHED


def test_P5_range_covers_its_first_and_its_last_address() -> None:
    engine = make("k")
    engine.link("k", "office")
    assert [engine.allows("k", f"198.51.100.{low}") for low in range(256)] == [True] * 256
    assert [engine.allows("k", address) for address in ("198.51.99.255", "198.51.101.0")] == [False, False]


@pytest.mark.parametrize("entry", ["198.51.100.1-198.51.100.9", "198.51.100.1-9", "198.51.100.0 - 198.51.100.255"])
def test_P5_dash_range_is_refused(entry: str) -> None:
    with pytest.raises(PolicyError) as error:
        make().put_list("office", [entry], description="Vienna")
    assert [problem.code for problem in error.value.report.errors][:1] == ["unexpected_character"]


def test_P6_lists_and_keys_are_linked_many_to_many() -> None:
    engine = make("a", "b", "c")
    for key, name in [("a", "office"), ("b", "office"), ("b", "home"), ("c", "home")]:
        engine.link(key, name)
    links = {key: sorted(engine.lists_of(key)) for key in "abc"}
    assert links == {"a": ["office"], "b": ["home", "office"], "c": ["home"]}
    assert {key: passes(engine, key) for key in "abc"} == {
        "a": [True, False, False],
        "b": [True, True, False],
        "c": [False, True, False],
    }


def test_P6_change_of_a_list_reaches_every_linked_key() -> None:
    engine = make("a", "b", "c")
    engine.link("a", "home")
    engine.link("b", "home")
    engine.link("c", "office")
    engine.put_list("home", [ELSEWHERE], description="Moved")
    assert [passes(engine, key) for key in "abc"] == [[False, False, True], [False, False, True], [True, False, False]]


def test_P6_link_to_an_unknown_list_or_of_an_unknown_key_is_refused() -> None:
    engine = make("k")
    changes: tuple[Callable[[], object], ...] = (
        lambda: engine.link("k", "nowhere"),
        lambda: engine.link("nobody", "office"),
        lambda: engine.put_key("k", lists=["office", "nowhere"], replace=True),
        lambda: engine.set_default("nowhere"),
    )
    for change in changes:
        with pytest.raises(UnknownName):
            change()
    assert (engine.lists_of("k"), engine.default()) == ((), None)


def test_P7_list_shows_its_linked_keys() -> None:
    engine = make("b", "a", "c", "d")
    for key in ("b", "a", "c"):
        engine.link(key, "office")
    engine.link("b", "office")  # once more changes nothing
    engine.put_key("e", lists=["home", "office"])
    assert (engine.keys_of("office"), engine.keys_of("home")) == (["a", "b", "c", "e"], ["e"])
    engine.unlink("a", "office")
    engine.remove_key("b")
    engine.put_key("e", lists=["home"], replace=True)
    assert (engine.keys_of("office"), engine.keys_of("home")) == (["c"], ["e"])


def test_P7_key_that_only_falls_to_the_default_is_not_linked() -> None:
    engine = make("k")
    engine.set_default("office")
    assert (engine.keys_of("office"), engine.lists_of("k")) == ([], ())


@pytest.mark.parametrize("order", [("office", "home"), ("home", "office")])
def test_P8_address_in_any_linked_list_passes(order: tuple[str, str]) -> None:
    engine = make("k")
    for name in order:
        engine.link("k", name)
    assert passes(engine, "k") == [True, True, False]
    assert [engine.check("k", address).list_name for address in (OFFICE, HOME, ELSEWHERE)] == ["office", "home", None]


def test_P9_default_is_on_or_off() -> None:
    engine = make("k")
    assert (engine.default(), passes(engine, "k")) == (None, [True, True, True])
    engine.set_default("office")
    assert (engine.default(), passes(engine, "k")) == ("office", [True, False, False])
    engine.set_default(None)
    assert (engine.default(), passes(engine, "k")) == (None, [True, True, True])


def test_P9_there_is_one_default_at_most() -> None:
    engine = make("k")
    engine.set_default("office")
    engine.set_default("home")
    assert (engine.default(), passes(engine, "k")) == ("home", [False, True, False])


def test_P10_default_applies_to_every_key_without_a_list_of_its_own() -> None:
    engine = make("a", "b", "c")
    engine.link("c", "home")
    engine.set_default("office")
    assert [passes(engine, key) for key in "ab"] == [[True, False, False]] * 2
    assert {engine.state(key) for key in "ab"} == {State.RESTRICTED}
    assert engine.check("a", OFFICE).list_name == "office"


def test_P10_key_with_a_list_ignores_the_default() -> None:
    engine = make("k")
    engine.set_default("office")
    engine.link("k", "home")
    assert passes(engine, "k") == [False, True, False]  # replaced, not united
    engine.unlink("k", "home")
    assert passes(engine, "k") == [True, False, False]


def test_P11_default_covers_keys_that_are_created_later() -> None:
    engine = make()
    engine.set_default("office")
    engine.put_key("later")
    engine.put_keys([("later still", [])])
    assert [passes(engine, key) for key in ("later", "later still")] == [[True, False, False]] * 2


def test_P12_list_that_is_neither_linked_nor_the_default_affects_nothing() -> None:
    engine = make("free", "linked")
    engine.link("linked", "home")
    before = passes(engine, "free"), passes(engine, "linked"), engine.state("free")
    engine.put_list("unused", [ELSEWHERE], description="Nobody's")
    engine.put_list("unused", ["0.0.0.0/0"], description="Nobody's")
    assert before == (passes(engine, "free"), passes(engine, "linked"), engine.state("free"))
    assert before == ([True, True, True], [False, True, False], State.UNRESTRICTED)
    engine.remove_list("unused")  # not in use: no need to force
    assert sorted(engine.lists()) == ["home", "office"]
