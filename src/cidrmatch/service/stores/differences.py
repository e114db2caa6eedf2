"""How a thing changed, as lines for people: a key, a list or the rules, before and after.

    list "office"                     the name, and whether it is new or gone
      + 198.51.100.0/25 "Vienna"      an entry that came
      - 198.51.100.0/24 "Vienna"      an entry that went
      ~ owner: "acme", was none       any other fact

The values are those of the history (things.py).  Two engines are compared by the same values, for `store import`.

Threads: no state here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ...errors import quote
from ...policy.plain import write_policy
from .history import Thing
from .things import key_as_values, list_as_values

if TYPE_CHECKING:
    from ...engine.engine import Engine

__all__ = ["describe_entry", "differences", "lines_of", "title_of"]

_ENTRIES = ("entries", "shadow")


def differences(before: Engine, after: Engine, held_id: Callable[[str], str]) -> list[Thing]:
    """Give what is different in two engines, as things of a history.

    Args:
        before: the engine of a store; it names keys by their held ids.
        after: an engine with plain ids.
        held_id: gives the held id of a plain one.
    """
    sides = [{name: list_as_values(frozen) for name, frozen in engine.lists().items()} for engine in (before, after)]
    found = list(_of_kind("list", *sides))
    keys = [
        {name(key): key_as_values(engine.key(key)) for key in engine.view}
        for engine, name in ((before, str), (after, held_id))
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
    return {
        "policy": write_policy(engine.policy),
        "enforced": engine.is_enforced,
        "unknown_key": "pass" if settings.unknown_passes else "deny",
        "default": engine.default(),
    }


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
