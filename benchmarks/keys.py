"""The question of a request: may this address use this key?  A thousand keys, each with a list of its own.

    items    [ (key, address), ... ]     keys that the engine knows, fresh texts of addresses, half of them listed
    floor    d[key]                      what finding the key alone costs

The rivals are what one writes around them: a dictionary from key to a tree or
set.  The key's text is the one in the engine, as a session or a router would
hand it over; the address is new, as in a request.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytricia

from benchmarks import data, ways
from benchmarks.contestants import Contestant
from benchmarks.questions import PASS, DisagreementError, Question, Side
from benchmarks.ways import Way
from cidrmatch import Engine, Policy

Lists = dict[str, list[str]]
Pair = tuple[str, str]

PASSES = 8
ENTRIES = 20


def ask_nothing(_box: object, items: Iterable[Pair]) -> None:
    for _key, _address in items:
        pass


def ask_item(box: Any, items: Iterable[Pair]) -> None:
    for key, _address in items:
        box[key]


def ask_inside(box: Any, items: Iterable[Pair]) -> None:
    for key, address in items:
        address in box[key]  # noqa: B015  (the comparison is what is timed)


def ask_call(ask: Callable[[str, str], object], items: Iterable[Pair]) -> None:
    for key, address in items:
        ask(key, address)


def engine_of(lists: Lists) -> Engine:
    engine = Engine(Policy())
    engine.put_keys(lists.items())
    return engine


def trees_of(lists: Lists) -> dict[str, pytricia.PyTricia]:
    trees = {}
    for key, prefixes in lists.items():
        trees[key] = pytricia.PyTricia(32)
        for prefix in prefixes:
            trees[key][prefix] = True
        trees[key].freeze()
    return trees


INSIDE = Way(ask_inside, lambda box, items: [address in box[key] for key, address in items])

CONTESTANTS = (
    Contestant("the empty loop", lambda _lists: None, Way(ask_nothing), role="empty"),
    Contestant("d[key]", dict, Way(ask_item), role="floor"),
    Contestant(
        "engine.allows(key, ip)",
        lambda lists: engine_of(lists).allows,
        Way(ask_call, lambda ask, items: [ask(key, address) for key, address in items]),
        role="ours",
    ),
    Contestant(
        "engine.check(key, ip)",
        lambda lists: engine_of(lists).check,
        Way(ask_call, lambda ask, items: [ask(key, address).allowed for key, address in items]),
        role="ours",
    ),
    Contestant("pytricia", trees_of, INSIDE),
)


@dataclass(frozen=True)
class KeyQuestion(Question):
    """A list for each of `size` keys; the contestants get all of them."""

    unit: str = "check"

    def lists(self) -> Lists:
        rng = random.Random(self.size)
        prefixes = data.prefixes("v4", 100_000)
        return {f"key_live_{number:08x}": rng.sample(prefixes, ENTRIES) for number in range(self.size)}

    def entries(self) -> list[str]:
        return [prefix for prefixes in self.lists().values() for prefix in prefixes]

    def present(self) -> list[Contestant]:
        return list(self.contestants)

    def prepare(self) -> list[Side]:
        lists = self.lists()
        passes = self._passes(lists)
        sides, expected = [], None
        for contestant in self.contestants:
            box = contestant.build(lists)
            if contestant.way.answers is not None:
                answers = contestant.way.answers(box, passes(0))
                expected = expected or answers
                if answers != expected:
                    raise DisagreementError(f"{self.name}: {contestant.name} gives other answers")
            sides.append(Side(contestant, box, ways.own_copy(contestant.way.loop), passes, PASS, self.is_warm))
        return sides

    def _passes(self, lists: Lists) -> Callable[[int], list[Pair]]:
        """Keys at random; half of the addresses from the key's own list, half from anywhere."""
        rng = random.Random(f"passes {self.size}")
        keys = list(lists)
        addresses = {key: data.addresses(lists[key], 16) for key in keys}
        asked = [[(key, rng.choice(addresses[key])) for key in rng.choices(keys, k=PASS)] for _ in range(PASSES)]

        def take(turn: int) -> list[Pair]:
            return [(key, address.encode("ascii").decode("ascii")) for key, address in asked[turn % PASSES]]

        return take


def checks() -> list[Question]:
    """In cache, and with more keys than a near cache holds."""
    return [
        KeyQuestion("check/v4/1k keys/warm", "v4", 1_000, CONTESTANTS, is_warm=True),
        KeyQuestion("check/v4/100k keys", "v4", 100_000, CONTESTANTS),
    ]
