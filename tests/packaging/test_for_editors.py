"""What an editor, a debugger or a log shows: signatures, docstrings, and reprs that stay short."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import cidrmatch
from cidrmatch import (
    AllowList,
    Condition,
    Engine,
    Entry,
    InvalidPrefix,
    KeyRecord,
    KeyStore,
    Outcome,
    PatriciaTrie,
    Policy,
    PolicyError,
    Problem,
    Response,
)
from cidrmatch._keys import FrozenList, Shadow
from cidrmatch.advice.explain import explain
from cidrmatch.files.lists import ListFile
from tools.stubs import PACKAGE, documented, with_docstrings

FACES = {"fastapi", "django", "drf", "flask", "grpc", "aiohttp", "litestar"}
"""Modules that only their frameworks import, some of which must be configured first."""
MIGRATIONS = "cidrmatch.service.stores.migrations."
"""Modules that Alembic runs."""
MODULES = [
    name
    for _, name, is_package in pkgutil.walk_packages([str(PACKAGE)], "cidrmatch.")
    if not is_package
    and name != "cidrmatch.__main__"
    and name.rpartition(".")[2] not in FACES
    and not name.startswith(MIGRATIONS)
]


def public_callables() -> Iterator[Any]:
    """Every public class and function, and every method that is our own."""
    for name in MODULES:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", []):
            thing = getattr(module, public)
            if not callable(thing) or not str(getattr(thing, "__module__", "")).startswith("cidrmatch"):
                continue
            yield pytest.param(thing, id=f"{name}.{public}")
            for home in thing.__mro__ if isinstance(thing, type) else ():
                if not home.__module__.startswith("cidrmatch"):
                    continue
                for attribute in vars(home):
                    if not attribute.startswith("_") and callable(getattr(thing, attribute)):
                        yield pytest.param(getattr(thing, attribute), id=f"{name}.{public}.{attribute}")


@pytest.mark.parametrize("thing", list(public_callables()))
def test_every_public_callable_has_a_signature(thing: Any) -> None:
    inspect.signature(thing)


@pytest.mark.parametrize(
    ("thing", "signature"),
    [
        (AllowList, "(entries=(), *, policy=None)"),
        (Entry, "(prefix, label=None, condition=None)"),
        (cidrmatch.Prefix, "(prefix, /)"),
        (KeyStore, "(lists=(), /)"),
        (FrozenList, "(name, entries, description='')"),
    ],
)
def test_a_signature_is_what_the_class_takes(thing: Any, signature: str) -> None:
    assert str(inspect.signature(thing)) == signature
    assert not thing.__doc__.startswith(thing.__name__)


def stubs() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.pyi"))
    assert len(found) >= 8
    return found


@pytest.mark.parametrize("stub", stubs(), ids=lambda stub: stub.name)
def test_a_stub_has_the_docstrings_of_its_module(stub: Path) -> None:
    """`make stubs` writes them."""
    text = stub.read_text(encoding="utf-8")
    for node, docstring in documented(stub, text):
        assert ast.get_docstring(node) == docstring, f"{stub.name}: {node.name}; run `make stubs`"


def test_what_editors_show_of_a_list_is_there() -> None:
    text = (PACKAGE / "_core" / "allow_list.pyi").read_text(encoding="utf-8")
    found = dict.fromkeys(
        node.name for node, docstring in documented(PACKAGE / "_core" / "allow_list.pyi", text) if docstring
    )
    assert {"AllowList", "contains", "contains_many", "match_many", "from_text", "aggregate"} <= set(found)


def test_docstrings_are_written_into_a_stub_and_taken_out_again() -> None:
    stub = PACKAGE / "_core" / "allow_list.pyi"
    text = stub.read_text(encoding="utf-8")
    bare = with_docstrings(text, [(node, None) for node, _ in documented(stub, text)])
    assert '"""' not in bare
    assert with_docstrings(bare, documented(stub, bare)) == text


LONG = "lorem \x1b\U0001f600" * 20_000
MANY = tuple(Entry(f"10.{number >> 8}.{number & 255}.0/24", LONG) for number in range(2000))
DENYING = Engine()
DENYING.put_key("k", ["10.0.0.0/8"])
REPORT = Policy(name=LONG, max_label_length=len(LONG)).validate([LONG] * 5000)
HUGE: list[Any] = [
    AllowList(MANY),
    AllowList(MANY[:2]),
    MANY[0],
    Entry("::1", LONG, Condition(effect="deny", expires=datetime(2026, 1, 1, tzinfo=UTC))),
    PatriciaTrie((entry.prefix, LONG) for entry in MANY),
    PatriciaTrie({"10.0.0.0/8": LONG}),
    KeyStore({str(number): ["10.0.0.0/8"] for number in range(2000)}),
    FrozenList(LONG, MANY, LONG),
    Shadow(FrozenList(LONG, MANY, LONG)),
    DENYING,
    Engine(Policy(name=LONG)),
    DENYING.view,
    DENYING.check(LONG, LONG),
    explain(DENYING, "k", LONG),
    explain(DENYING, "k", LONG).levels[0],
    explain(DENYING, "k", LONG).levels[0].lists[0],
    REPORT,
    REPORT.problems[0],
    Problem(7, LONG, LONG, REPORT.problems[0].severity, LONG, LONG),
    KeyRecord(created_at=datetime(2026, 1, 1, tzinfo=UTC), entries=MANY, lists=(LONG,) * 99, owner=LONG, shadow=MANY),
    Outcome(False, LONG, LONG, None),
    Outcome(False, "ip", DENYING.check(LONG, LONG), DENYING.check(LONG, LONG)),
    Outcome(True, None, None, DENYING.check(LONG, LONG)),
    Response(403, (("x", LONG),) * 99, LONG.encode()),
    InvalidPrefix(LONG, 5, "empty", LONG, LONG),
    PolicyError(REPORT),
    ListFile(LONG, ((LONG, LONG),) * 2000, (1,) * 2000),
    Policy(name=LONG),
    cidrmatch.presets.bitbybit(),
    cidrmatch.presets.nomsa(cutover=datetime(2026, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize("value", HUGE, ids=lambda value: type(value).__name__)
def test_the_repr_of_something_huge_is_short_and_printable(value: Any) -> None:
    shown = repr(value)
    assert len(shown) < 200, len(shown)
    assert shown.isprintable()


def test_the_repr_of_something_small_can_be_typed_in() -> None:
    names = {name: getattr(cidrmatch, name) for name in cidrmatch.__all__}
    small: list[Any] = [
        AllowList(["10.0.0.0/8", ("::1", "home")]),
        Entry("::1", "home"),
        PatriciaTrie({"10.0.0.0/8": "a", "::/0": None}),
    ]
    for value in small:
        assert eval(repr(value), names) == value


def test_a_trie_that_holds_itself_is_shown() -> None:
    trie: PatriciaTrie[Any] = PatriciaTrie()
    trie["10.0.0.0/8"] = trie
    assert repr(trie) == "PatriciaTrie({'10.0.0.0/8': ...})"


def test_the_message_of_a_hundred_thousand_errors_is_cut_with_a_count() -> None:
    message = str(PolicyError(Policy().validate(["junk"] * 100_000)))
    assert message.startswith("100000 errors in the list; nothing was applied\n  entry 0 'junk'")
    assert message.endswith("\n  and 99,980 more")
    assert len(message) < 3000
    assert "more" not in str(PolicyError(Policy().validate(["junk"] * 20)))
