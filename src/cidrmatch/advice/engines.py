"""Two engines compared: which keys, lists and rules differ, and whom each key lets in that it did not let in before.

    list "office"                     the name, and whether it is new or gone
      + 198.51.100.0/25 "Vienna"      an entry that came
      - 198.51.100.0/24 "Vienna"      an entry that went
      ~ owner: "acme", was none       any other fact
    key "key_live_1"                  whose own record may be the same
      gets in    203.0.113.4/32       addresses by its entries, its lists, the default, and what it lies within
      shut out   198.51.100.128/25

A key's addresses are told only if no entry of its lists has a condition, before and after.  With conditions they depend
on the moment, and the changes of entries have to say enough; `replay` and `explain` ask about moments.

Things are compared by the values of `engine/things.py`, as in the history of a store.

Cost: a pass over both engines.  A change of a list or a rule asks for the addresses of every key, some 10 us each.
Threads: safe; each engine is looked at in one version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .._core import AllowList
from .._keys import State
from ..engine.feeding import Rules
from ..engine.settings import settings_of
from ..engine.things import Thing, key_as_values, list_as_values, rules_as_values
from ..errors import quote
from .diff import diff

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._core import Prefix
    from .._keys import FrozenList, View
    from ..engine.engine import Engine

__all__ = ["EngineDiff", "KeyDiff", "describe_entry", "diff_engines", "differences", "lines_of", "title_of"]

_ENTRIES = ("entries", "shadow")
_EVERYONE: Final = AllowList(["0.0.0.0/0", "::/0"])
_NOBODY: Final = AllowList()


@dataclass(frozen=True, slots=True)
class KeyDiff:
    """Say whom a key lets in that it did not let in before, and whom it shuts out.

    Attributes:
        key: its held id.
        gained, lost: the addresses, as the fewest prefixes.
    """

    key: str
    gained: tuple[Prefix, ...]
    lost: tuple[Prefix, ...]


@dataclass(frozen=True, slots=True)
class EngineDiff:
    """Say how an engine differs from an earlier one.

    Attributes:
        things: the rules, lists and keys that differ, with their values before and after.
        keys: whom keys let in or shut out, for each key for which that differs and is known.
        untold: the keys whose addresses depend on the moment, and whose entries, lists or state differ.
    """

    things: tuple[Thing, ...]
    keys: tuple[KeyDiff, ...]
    untold: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether both engines have the same rules, lists and keys."""
        return not self.things

    def __bool__(self) -> NoReturn:
        raise TypeError("an EngineDiff has no truth value; ask its .is_equal, or its .keys")

    def __repr__(self) -> str:
        return f"<EngineDiff: {len(self.things):,} things differ, {len(self.keys):,} keys with other addresses>"


def diff_engines(before: Engine, after: Engine) -> EngineDiff:
    """Tell how an engine differs from an earlier one: its rules, lists and keys, and who gets in by which key.

    Args:
        before, after: the two engines; if one has an `id_secret`, both have the same.
    Returns:
        `EngineDiff`; things are sorted by kind and name, keys by their held ids.
    Cost: as the essay of this room says.
    """
    things = differences(before, after)
    names: Iterable[str] = [thing.name for thing in things]
    if any(thing.kind != "key" for thing in things):  # each key may use the list, the default or the switch
        names = {*before.view, *after.view}
    one, other = _Reaches(before.view), _Reaches(after.view)
    found, untold = [], []
    for name in sorted(names):
        was, now = one.of(name), other.of(name)
        if was is None or now is None:
            if one.entries_of(name) != other.entries_of(name):
                untold.append(name)
        elif was != now and (changed := diff(was, now)).gained + changed.lost:
            found.append(KeyDiff(name, changed.gained, changed.lost))
    return EngineDiff(tuple(things), tuple(found), tuple(untold))


class _Reaches:
    """The addresses that the keys of a view let in, as long as no entry has a condition."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.settings = settings_of(view)
        self.named: dict[str, AllowList | None] = {}

    def of(self, name: str) -> AllowList | None:
        """Give the addresses of a key; None if they depend on the moment.  The order is that of the judge."""
        rule = self.view.rule(name)
        if rule is None:
            return _EVERYONE if self.settings.unknown_passes else _NOBODY
        state = self.view.state(rule)
        if not self.settings.is_enforced or state is State.UNRESTRICTED:
            return _EVERYONE
        if state is State.INACTIVE:
            return _NOBODY
        reach = _EVERYONE
        for _, lists in self.view.levels(rule):
            level = self._united(lists)
            if level is None:
                return None
            reach &= level
        return reach

    def entries_of(self, name: str) -> object:
        """Give all by which a key is judged, to compare it."""
        rule = self.view.rule(name)
        if rule is None:
            return self.settings.unknown_passes
        levels = [[frozen.entries for frozen in lists] for _, lists in self.view.levels(rule)]
        return self.settings.is_enforced, self.view.state(rule), levels

    def _united(self, lists: Iterable[FrozenList]) -> AllowList | None:
        level = _NOBODY
        for frozen in lists:
            part = self._addresses(frozen)
            if part is None:
                return None
            level |= part
        return level

    def _addresses(self, frozen: FrozenList) -> AllowList | None:
        """Give the addresses of a list; those of a named list are kept, because many keys are linked to it."""
        if frozen.name is None:
            return _unconditional(frozen)
        if frozen.name not in self.named:
            self.named[frozen.name] = _unconditional(frozen)
        return self.named[frozen.name]


def _unconditional(frozen: FrozenList) -> AllowList | None:
    if any(entry.condition is not None for entry in frozen.entries):
        return None
    return AllowList(frozen.entries)


def differences(before: Engine, after: Engine, held_id: Callable[[str], str] = str) -> list[Thing]:
    """Give what is different in two engines, as things of a history.

    Args:
        before, after: the two engines.
        held_id: gives for an id of `after` the one that `before` holds.
    """
    sides = [{name: list_as_values(frozen) for name, frozen in engine.lists().items()} for engine in (before, after)]
    found = list(_of_kind("list", *sides))
    keys = [
        {name(key): key_as_values(record) for key in view if (record := view.record(key)) is not None}
        for view, name in ((before.view, str), (after.view, held_id))
    ]
    found += _of_kind("key", *keys)
    rules = [{"": _rules_of(engine)} for engine in (before, after)]
    return [*_of_kind("rules", *rules), *found]


def _of_kind(kind: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Thing]:
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one != other:
            yield Thing(kind, name, one, other)


def _rules_of(engine: Engine) -> dict[str, Any]:
    settings = engine.view.settings
    rules = Rules(
        policy=engine.policy,
        is_enforced=engine.is_enforced,
        unknown_passes=settings.unknown_passes,
        default=engine.default(),
    )
    return rules_as_values(rules)


def title_of(thing: Thing) -> str:
    """Name a thing, and say whether it is new or gone."""
    named = thing.kind if not thing.name else f"{thing.kind} {quote(thing.name)}"
    if thing.before is None and thing.after is None:
        return f"{named}: changed by hand, what it was is not known"
    return named + (": new" if thing.before is None else ": gone" if thing.after is None else "")


def lines_of(thing: Thing) -> Iterator[tuple[str, str]]:
    """Give what is different, as signs and lines."""
    if isinstance(thing.before, list) or isinstance(thing.after, list):  # assertions
        yield from _of_entries("", thing.before or [], thing.after or [])
        return
    before, after = thing.before or {}, thing.after or {}
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if name in _ENTRIES:
            yield from _of_entries("" if name == "entries" else "on trial: ", one or [], other or [])
        elif one != other and not (thing.after is None or (thing.before is None and not other)):
            yield "~", f"{name}: {_said(other)}" + (f", was {_said(one)}" if thing.before is not None else "")


def _of_entries(before_each: str, before: Any, after: Any) -> Iterator[tuple[str, str]]:
    one, other = ({describe_entry(entry): None for entry in each} for each in (before, after))
    yield from (("-", before_each + entry) for entry in one if entry not in other)
    yield from (("+", before_each + entry) for entry in other if entry not in one)


def describe_entry(entry: str | dict[str, Any]) -> str:
    """Write an entry, or an assertion, in one line."""
    if isinstance(entry, str):
        return entry
    fields = dict(entry)
    words = [str(fields.pop("prefix", None) or fields.pop("address", ""))]
    if "allow" in fields:
        words.insert(0, "must allow" if fields.pop("allow") else "must deny")
    label = fields.pop("label", None) or fields.pop("note", None)
    words += [f'"{label}"'] if label else []
    return " ".join([*words, *(f"{name}={_said(value)}" for name, value in fields.items() if value not in (None, ""))])


def _said(value: object) -> str:
    return "none" if value is None else value if isinstance(value, str) and value else json.dumps(value)
