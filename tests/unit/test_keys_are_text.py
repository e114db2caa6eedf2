"""A key is text.  Whatever else is given is a mistake of the program, and never becomes an answer.

Under `unknown_key="pass"` an unknown key passes; so a key that nobody can have
must not count as an unknown one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Engine, KeyStore, Prefix
from cidrmatch.advice.explain import explain

HOME = "203.0.113.7"
NO_TEXT: list[Any] = [
    None,
    b"k",
    bytearray(b"k"),
    5,
    0,
    True,
    1.5,
    (),
    ("k",),
    ["k"],
    {"k"},
    {"k": "k"},
    object(),
    ipaddress.ip_address(HOME),
    ipaddress.ip_network("203.0.113.0/24"),
    Prefix(HOME),
    str,
]


def engine_with(*, stored: bool, word: str = "pass") -> Engine:
    engine = Engine(unknown_key=word)
    engine.put_list("office", [HOME])
    engine.put_key("k", [HOME])
    if stored:
        engine.fold()
    return engine


STORE = KeyStore({"k": [HOME]})
ENGINES = [engine_with(stored=stored, word=word) for stored in (False, True) for word in ("pass", "deny")]
ENGINES[1].set_enforced(False)

Question = Callable[[Any], object]


def questions_to(engine: Engine) -> dict[str, Question]:
    return {
        "allows": lambda key: engine.allows(key, HOME),
        "allows unknown": lambda key: engine.allows(key, None),
        "check": lambda key: engine.check(key, HOME),
        "allows_many": lambda key: engine.allows_many([key], [HOME]),
        "key": engine.key,
        "state": engine.state,
        "shadow": engine.shadow,
        "lists_of": engine.lists_of,
        "explain": lambda key: explain(engine, key, HOME),
        "put_key": lambda key: engine.put_key(key, [HOME]),
        "update_key": lambda key: engine.update_key(key, enabled=True),
        "remove_key": engine.remove_key,
        "link": lambda key: engine.link(key, "office"),
        "unlink": lambda key: engine.unlink(key, "office"),
        "put_shadow": lambda key: engine.put_shadow(key, [HOME]),
        "remove_shadow": engine.remove_shadow,
    }


def questions() -> Iterator[tuple[str, Question]]:
    for number, engine in enumerate(ENGINES):
        for name, ask in questions_to(engine).items():
            yield f"engine {number} {name}", ask
    yield "store allows", lambda key: STORE.allows(key, HOME)
    yield "store check", lambda key: STORE.check(key, HOME)
    yield "store allows_many", lambda key: STORE.allows_many([key], [HOME])
    yield "store entries", STORE.entries
    yield "store facts", STORE.facts
    yield "store in", lambda key: key in STORE


QUESTIONS = dict(questions())


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_about_what_is_no_text_is_a_type_error(name: str) -> None:
    versions = [engine.version for engine in ENGINES]
    for key in NO_TEXT:
        with pytest.raises(TypeError):
            QUESTIONS[name](key)
    assert [engine.version for engine in ENGINES] == versions


@pytest.mark.parametrize("name", [name for name in QUESTIONS if "allows" in name or "check" in name])
@given(key=st.one_of(st.none(), st.binary(), st.integers(), st.floats(), st.lists(st.text()), st.tuples(st.text())))
def test_no_object_that_is_no_text_is_ever_allowed(name: str, key: object) -> None:
    with pytest.raises(TypeError, match="a key is text"):
        QUESTIONS[name](key)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        (b"k", "decode it first"),
        (None, "a request without a key is refused before anybody asks"),
        (ipaddress.ip_address(HOME), "the key comes first, then the address"),
        (Prefix(HOME), "the key comes first, then the address"),
    ],
    ids=str,
)
def test_the_error_says_what_was_mistaken(key: Any, hint: str) -> None:
    for ask in (ENGINES[0].allows, ENGINES[0].check, STORE.allows):
        with pytest.raises(TypeError) as caught:
            ask(key, "k")
        assert str(caught.value) == f"a key is text, not {type(key).__name__}; {hint}"


@pytest.mark.parametrize("asked", [*ENGINES, STORE], ids=lambda asked: type(asked).__name__)
def test_a_batch_names_the_position_of_what_is_no_text(asked: Engine | KeyStore) -> None:
    out = bytearray(b"\x07" * 4)
    keys: list[Any] = ["k", "nobody", "k", None]
    with pytest.raises(TypeError, match=r"^key 3: a key is text, not NoneType"):
        asked.allows_many(keys, [HOME] * 4, out=out)
    assert out == b"\x07" * 4


def test_a_bad_address_is_an_answer_and_no_exception() -> None:
    for engine in (ENGINES[0], ENGINES[2]):
        for address in (None, "", "junk", b"junk", 5, [], object(), ipaddress.ip_network("203.0.113.0/24")):
            assert not engine.allows("k", address)
            assert not engine.check("k", address).allowed
            assert engine.allows_many(["k"], [address]) == b"\0"


class Name(StrEnum):
    K = "k"


class Elsewhere(str):
    """Says that it is another key."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return other == "other"


@pytest.mark.parametrize("key", [Name.K, Elsewhere("k")], ids=["enum", "lying"])
@pytest.mark.parametrize("stored", [False, True], ids=["overlay", "store"])
def test_a_key_of_a_class_of_its_own_is_its_text(key: str, stored: bool) -> None:
    engine = engine_with(stored=stored)
    decision = engine.check(key, "198.51.100.1")
    assert (decision.reason, type(decision.key), decision.key) == ("ip_not_listed", str, "k")
    assert not engine.allows(key, "198.51.100.1")
    assert engine.allows_many([key, key], [HOME, "198.51.100.1"]) == b"\1\0"
    assert explain(engine, key, HOME).decision.allowed


@pytest.mark.parametrize("key", [Name.K, Elsewhere("k")], ids=["enum", "lying"])
def test_a_change_by_a_key_of_a_class_of_its_own_is_seen_under_its_text(key: str) -> None:
    """A revocation must not land beside the key that it is meant for."""
    acts: tuple[Callable[[Engine], object], ...] = (
        lambda engine: engine.update_key(key, entries=["192.0.2.1"]),
        lambda engine: engine.remove_key(key),
    )
    for act in acts:
        engine = engine_with(stored=True, word="deny")
        act(engine)
        assert not engine.allows("k", HOME)
        engine.fold()
        assert not engine.allows("k", HOME)
    engine = engine_with(stored=False)
    with engine.transaction() as change:
        change.update_key(key, entries=["192.0.2.1"])
        change.update_key("k", owner="who")
    assert not engine.allows("k", HOME)
    assert engine.key("k").owner == "who"
