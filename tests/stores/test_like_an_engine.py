"""A store and an engine live through the same changes: records, reports and refusals are equal.

    one of some changes --> Engine.put_key(...)                    report, or error
                        --> store.change(): change.put_key(...)    the same report, or the same error
                        --> store.reading().engine() == engine     and a copy that only reads what changed

The changes are drawn at random, from few names and few prefixes, so that most of them meet what is there.  Half of
them are wrong in some way.  Several changes in one commit may fail one by one, and the commit goes on.

Requirements: B9, B10, P2 to P12, N2 to N15, C6 to C9, C17, C21, C22, by being those of the engine.
"""

from __future__ import annotations

import random
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from cidrmatch import Engine, KeyRules, Policy, presets
from cidrmatch.errors import CidrmatchError
from cidrmatch.files.config import dump
from cidrmatch.service.stores.store import Store
from tests.stored import Copy

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_700_000_000
CUTOVER = datetime.fromtimestamp(START + 50, UTC)
KEYS = ("k1", "k2", "k3", "ключ", "break-glass:1", "q\"uo'te", "\u202ertl", "x" * 3_000)
LISTS = ("office", "home", "org", "empty one")
PREFIXES = ("203.0.113.7", "203.0.113.0/24", "203.0.113.8", "198.51.100.0/24", "192.0.2.1", "192.0.2.1/32",
            "10.0.0.0/8", "2001:db8::/48", "2001:db8::1", "::ffff:203.0.113.9", "0.0.0.0/0", "203.0.113.1-9",
            "203.0.113.7/24", "", "x", "127.0.0.1", "8.0.0.0/7")  # fmt: skip
CLIENTS = ("203.0.113.7", "198.51.100.9", "192.0.2.1", "2001:db8::5", "9.9.9.9", "127.0.0.1")
POLICIES: dict[str, Policy] = {
    "nomsa": presets.nomsa(cutover=CUTOVER),
    "bitbybit": presets.bitbybit(),
    "unkey": presets.unkey(),
    "pigment": presets.pigment(),
    "both": Policy(min_entries=1, keys=KeyRules(new_keys_need_list=True, cutover=CUTOVER)),
}
Said: TypeAlias = tuple[str, tuple[Any, ...], dict[str, Any]]


class Clock:
    """A clock that goes on with each change."""

    def __init__(self) -> None:
        self.now = float(START)

    def __call__(self) -> float:
        return self.now


class Drawn:
    """Draw changes."""

    def __init__(self, seed: int, policy: Policy) -> None:
        self.random = random.Random(seed)
        self.policy = policy
        self.good = tuple(prefix for prefix in PREFIXES if not policy.validate([prefix]).errors)

    def some(self, values: tuple[str, ...], most: int) -> list[str]:
        return self.random.choices(values, k=self.random.randint(0, most))

    def entries(self) -> list[Any]:
        given: list[Any] = list(self.some(self.good if self.random.random() < 0.8 else PREFIXES, 4))
        for place, prefix in enumerate(given):
            more = self.random.random() * (5 if self.policy.name == "nomsa" else 1)  # which takes nothing but addresses
            if more < 0.15:
                given[place] = {
                    "prefix": prefix,
                    "label": self.random.choice(("a", "büro", "l" * 255, "\u202e", "a\nb")),
                }
            elif more < 0.3:
                given[place] = {"prefix": prefix, "effect": self.random.choice(("deny", "allow"))}
            elif more < 0.4:
                moment = datetime.fromtimestamp(START + self.random.randint(0, 3_000), UTC)
                given[place] = {"prefix": prefix, self.random.choice(("not_before", "expires")): moment.isoformat()}
        return given

    def facts(self, *names: str) -> dict[str, Any]:
        """Say some of the facts."""
        make: dict[str, Callable[[], Any]] = {
            "lists": lambda: self.some(LISTS, 2),
            "within": lambda: self.some(LISTS, 1),
            "created_at": lambda: CUTOVER + timedelta(seconds=self.random.choice((-10, 0, 10))),
            "enabled": lambda: self.random.random() < 0.5,
            "owner": lambda: self.random.choice(("acme", None)),
            "replace": lambda: True,
            "caller": lambda: self.random.choice(CLIENTS),
            "force": lambda: self.random.random() < 0.5,
        }
        return {name: make[name]() for name in names if self.random.random() < 0.35}

    def change(self) -> Said:
        key, name = self.random.choice(KEYS), self.random.choice(LISTS)
        guard = ("caller", "force")
        about_key = ("lists", "within", "enabled", "owner", *guard)
        on_key = self.entries() if self.policy.keys.binding == "key" or self.random.random() < 0.2 else None
        what_for = self.random.choice(("", "d", "d" * 10_000))
        kinds: list[tuple[int, Said]] = [
            (4, ("put_key", (key, on_key), self.facts("created_at", "replace", *about_key))),
            (2, ("update_key", (key,), self.facts(*about_key) | {"entries": on_key})),
            (3, ("add_entries", (key, self.entries()), self.facts(*guard))),
            (2, ("remove_entries", (key, self.entries()[:1]), self.facts(*guard))),
            (1, ("remove_key", (key,), {})),
            (1, ("put_keys", ({each: self.entries() for each in self.some(KEYS, 3)},), self.facts("replace"))),
            (4, ("put_list", (name, self.entries()), self.facts(*guard) | {"description": what_for})),
            (2, ("add_to_list", (name, self.entries()), self.facts(*guard))),
            (2, ("remove_from_list", (name, self.entries()[:1]), self.facts(*guard))),
            (1, ("remove_list", (name,), self.facts("force"))),
            (3, ("link", (key, name), {})),
            (2, ("unlink", (key, name), {})),
            (1, ("set_default", (self.random.choice((*LISTS, None)),), {})),
            (1, ("put_shadow", (key, self.entries()), {})),
            (1, ("remove_shadow", (key,), {})),
            (1, ("set_enforced", (self.random.random() < 0.7,), {})),
        ]  # fmt: skip
        return self.random.choices([said for _, said in kinds], [weight for weight, _ in kinds])[0]


def outcome(writer: Any, said: Said) -> object:
    """Make a change and say what came of it, so that two can be compared."""
    name, arguments, facts = said
    try:
        report = getattr(writer, name)(*arguments, **facts)
    except (CidrmatchError, ValueError, TypeError) as error:
        return type(error), str(error)
    if report is None or name == "set_enforced":  # a store says nothing about the switch
        return None
    return report.accepted, sorted(problem.line for problem in report.problems)


def everything(engine: Engine) -> object:
    return {key: engine.key(key) for key in engine.view}, [*engine.lists()], engine.default(), engine.is_enforced


def commit_to(open_change: Any, changes: list[Said], commits: bool) -> list[object]:
    """Make several changes in one commit; those that fail leave the others alone.  Some commits are given up."""
    found: list[object] = []
    try:
        with open_change() as writer:
            found += [outcome(writer, said) for said in changes]
            if not commits:
                raise KeyError("given up")
    except KeyError as error:
        found.append(str(error))
    return found


def live(store: Store, twin: Engine, clock: Clock, drawn: Drawn, steps: int) -> int:
    """Make random changes to both; give how many were taken."""
    copy, taken = Copy(store, clock), 0
    for step in range(steps):
        clock.now += drawn.random.choice((0.25, 1.0, 7.0))
        if drawn.random.random() < 0.8:
            said = drawn.change()
            ours = outcome_of_one(store, said)
            assert ours == outcome(twin, said), (step, said)
            taken += not (isinstance(ours, tuple) and isinstance(ours[0], type))
        else:
            changes = [drawn.change() for _ in range(drawn.random.randint(2, 4))]
            commits = drawn.random.random() < 0.8
            changes = [said for said in changes if said[0] != "set_enforced"]  # no part of an engine's transaction
            assert commit_to(store.change, changes, commits) == commit_to(twin.transaction, changes, commits), changes
        if step % 5 == 0:
            copy.look()
            assert everything(copy.engine) == everything(twin), step
            for key in KEYS:
                assert [copy.engine.allows(key, each) for each in CLIENTS] == [
                    twin.allows(key, each) for each in CLIENTS
                ]
        if step % 50 == 0 or step == steps - 1:
            with store.reading() as data:
                made = data.engine()
            assert everything(made) == everything(twin), step
            assert dump(made) == dump(twin)
    return taken


def outcome_of_one(store: Store, said: Said) -> object:
    """Make one change in one commit; the error leaves the block, so the commit is undone."""
    name, arguments, facts = said
    try:
        with store.change() as change:
            report = getattr(change, name)(*arguments, **facts)
    except (CidrmatchError, ValueError, TypeError) as error:
        return type(error), str(error)
    if report is None or name == "set_enforced":
        return None
    return report.accepted, sorted(problem.line for problem in report.problems)


def both(url: str, policy: Policy, **more: Any) -> tuple[Store, Engine, Clock]:
    clock = Clock()
    store = Store.create(url, policy=policy, clock=clock, **more)
    return store, Engine(policy, clock=clock, **more), clock


@pytest.mark.parametrize("name", POLICIES)
def test_B9_B10_a_store_answers_changes_as_an_engine_does(store_url: str, name: str) -> None:
    store, twin, clock = both(store_url, POLICIES[name])
    with closing(store):
        taken = live(store, twin, clock, Drawn(7, POLICIES[name]), 100)
    assert taken > 5  # most are refused, and not all


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("name", POLICIES)
def test_B9_B10_a_store_answers_some_thousand_changes_as_an_engine_does(store_url: str, name: str, seed: int) -> None:
    store, twin, clock = both(store_url, POLICIES[name])
    with closing(store):
        live(store, twin, clock, Drawn(seed, POLICIES[name]), 1_500)
