"""Why a check ends as it does, in words and as data.

An explanation uses one version of the engine's data and one moment.  Nothing is judged here.  For each *level*, the
compiled core is asked about a key that has only this level.  The explanation tells the core's answers.

    key_1 from 203.0.113.7            decision    the whole key, as `Engine.check` has it
      level 1: its own lists          decision    own entries and linked lists, united; or the default list
        own entries                     the entries that cover the address, most specific first
        linked list 'office'            each with what it does now: counts, waits, over, disabled
      level 2: within 'org'           decision    one level for each list the key lies within; all must pass

The core is asked about a copy of the key, so an explanation adds nothing to the counts of a list on trial.

Keys, labels and names of lists may come from strangers.  So they are quoted and escaped in the lines, and cut if they
are long.
Cost: looks at each entry of the lists that apply.  It is made for people, not for each request.
Threads: safe, takes no lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, cast

from .._core import Standing, standing_of
from .._keys import Checker, FrozenList, Reason, Rule, Shadow, State, View, carried_by, client_of, key_text, rule_of
from ..engine.settings import settings_of
from ..errors import brief, quote
from ..policy.reach import allows

if TYPE_CHECKING:
    from .._core import Entry
    from .._keys import Decision, KeyRecord
    from ..engine.engine import Engine
    from ..engine.settings import Settings

__all__ = ["AskedList", "Covering", "Explanation", "Level", "explain"]

Relation: TypeAlias = Literal["own", "linked", "default", "within"]


@dataclass(frozen=True, slots=True)
class Covering:
    """Hold an entry that covers the address.

    Attributes:
        entry: the entry.
        standing: whether it counts at the moment of the explanation.
        decides: whether this entry decides for its level.
    """

    entry: Entry
    standing: Standing
    decides: bool


@dataclass(frozen=True, slots=True)
class AskedList:
    """Hold what one list says about the address.

    Attributes:
        relation: how the list belongs to the key.
        name: its name; None for the key's own entries.
        size: how many entries it holds.
        covering: those that cover the address, the most specific first.
    """

    relation: Relation
    name: str | None
    size: int
    covering: tuple[Covering, ...]

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {brief(self.name)}"
        return f"<AskedList, {self.relation}{name}: {len(self.covering):,} of {self.size:,} entries cover the address>"


@dataclass(frozen=True, slots=True)
class Level:
    """Hold lists that are judged together, and their common decision.

    Attributes:
        lists: the lists.
        decision: what the core decides for a key that has only this level.
    """

    lists: tuple[AskedList, ...]
    decision: Decision

    def __repr__(self) -> str:
        return f"<Level of {len(self.lists):,} lists: {self.decision!r}>"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Say why a check ended as it did; `str()` gives all of it as text for people.

    Attributes:
        decision: the decision that is explained.
        levels: the lists that apply to the key, level by level.
        lines: the explanation as lines of text.
    """

    decision: Decision
    levels: tuple[Level, ...]
    lines: tuple[str, ...]

    def __bool__(self) -> NoReturn:
        raise TypeError("an Explanation has no truth value; ask its .decision.allowed")

    def __repr__(self) -> str:
        return f"<Explanation of {self.decision!r}>"

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for JSON."""
        return {
            **self.decision.to_dict(),
            "levels": [self._level_to_dict(level) for level in self.levels],
            "lines": list(self.lines),
        }

    def _level_to_dict(self, level: Level) -> dict[str, object]:
        return {
            "passes": level.decision.allowed,
            "reason": str(level.decision.reason),
            "lists": [
                {
                    "relation": asked.relation,
                    "list": asked.name,
                    "entries": asked.size,
                    "covering": [
                        self.decision.policy.entry_to_dict(covering.entry)
                        | {"now": str(covering.standing), "decides": covering.decides}
                        for covering in asked.covering
                    ],
                }
                for asked in level.lists
            ],
        }


def explain(engine: Engine, key: str, address: object) -> Explanation:
    """Explain what a check of this key and this address answers now.

    Args:
        engine: the engine that is asked.
        key: the key's id; an unknown key is explained, too.
        address: what `parse_address` takes; anything else is explained as "no address".
    Returns:
        `Explanation`.
    Raises:
        TypeError: the key is no text.  Whatever the engine's clock raises.

    >>> engine = Engine(presets.bitbybit())
    >>> report = engine.put_key("key_1", [("198.51.100.0/24", "Office")])
    >>> print(explain(engine, "key_1", "198.51.100.7"))
    allowed: the key 'key_1' from 198.51.100.7: the address is on the allow list
    the key is restricted: it has 1 entry of its own
    its own lists let the address pass
      own entries: 1 of 1 covers it
        198.51.100.0/24 'Office': allows, and decides
    """
    view = engine.view
    settings = settings_of(view)
    now = settings.clock()
    asking = _Asking(view, replace(settings.unhashed(), clock=lambda: now), key, address)
    decision = engine.check(key, address) if engine.is_stale else asking.decide(asking.copy)
    levels = tuple(asking.levels())
    return Explanation(decision, levels, tuple(_tell(asking, decision, levels)))


# -- Asking the core ----------------------------------------------------------


class _Asking:
    """Holds one question about a key and an address, with one version of the data and one moment."""

    def __init__(self, view: View, settings: Settings, key: str, address: object) -> None:
        self.view, self.settings, self.key, self.address = view, settings, key_text(key), address
        self.rule = view.rule(view.held_id(key))
        self.now = settings.clock()

    @property
    def record(self) -> KeyRecord:
        """The key's record.  Needs: the key is known."""
        return cast("Rule", self.rule).record

    @property
    def copy(self) -> Rule | None:
        """A copy of the key's rule, whose list on trial has new counts; None for an unknown key."""
        rule = self.rule
        if rule is None:
            return None
        shadow = None if rule.shadow is None else Shadow(rule.shadow.list)
        return rule_of(rule.record, needs_list=rule.needs_list, shadow=shadow)

    def decide(self, rule: Rule | None, *, is_enforced: bool | None = None) -> Decision:
        """Ask the core what it decides if the key has this rule."""
        settings = self.settings if is_enforced is None else replace(self.settings, is_enforced=is_enforced)
        rules: dict[str, Rule | None] = {} if rule is None else {self.key: rule}
        checker = Checker()
        checker.view = View(None, rules, self.view.lists, self.view.default, self.view.version, settings)
        return checker.check(self.key, self.address)

    def levels(self) -> Iterator[Level]:
        """Ask about each level by itself, also about levels that the check did not reach."""
        if self.rule is None:
            return
        for how, lists in self.view.levels(self.rule):
            yield self._level(lists, "linked" if how == "united" else how)

    def _level(self, lists: tuple[FrozenList, ...], relation: Relation) -> Level:
        own = lists[0] if lists[0].name is None else None
        names = tuple(frozen.name for frozen in lists if frozen.name is not None)
        decision = self.decide(Rule(self.record, own, names, (), True, False, None), is_enforced=True)
        asked = (self._ask(frozen, "own" if frozen is own else relation, decision) for frozen in lists)
        return Level(tuple(asked), decision)

    def _ask(self, frozen: FrozenList, relation: Relation, decision: Decision) -> AskedList:
        """Find the entries of a list that cover the address, and mark the entry that decides for the level."""
        client, found, carried = client_of(decision), [], carried_by(decision)
        covering = [
            entry
            for entry in frozen.entries
            if (client is not None and entry.prefix.covers(client))
            or (not allows(entry) and any(map(entry.prefix.covers, carried)))
        ]
        decider = decision.entry if decision.list_name == frozen.name else None
        for entry in sorted(covering, key=lambda entry: -entry.prefix.length):
            standing = standing_of(entry, self.now)
            decides = (
                decider is not None
                and entry.prefix == decider.prefix
                and standing is Standing.COUNTS
                and allows(entry) is decision.allowed
            )
            if decides:
                decider = None
            found.append(Covering(entry, standing, decides))
        return AskedList(relation, frozen.name, len(frozen.entries), tuple(found))


# -- Telling ------------------------------------------------------------------


def _tell(asking: _Asking, decision: Decision, levels: tuple[Level, ...]) -> Iterator[str]:
    """Write an explanation as lines of text."""
    verdict = "allowed" if decision.allowed else "denied"
    whom = decision.address or "an unknown address"
    yield f"{verdict}: the key {quote(decision.key)} from {whom}: {decision.reason.text}"
    yield _tell_state(asking, levels)
    if decision.address is None:
        given = "was not given" if asking.address is None else f"is no address: {quote(asking.address)}"
        yield f"the address of the client {given}"
    for inner in carried_by(decision):
        yield f"the address carries {inner.address}: what denies that one denies it, too"
    is_asked = decision.reason not in (Reason.UNRESTRICTED, Reason.NOT_ENFORCED, Reason.INACTIVE, Reason.STALE_DATA)
    for level in levels:
        yield _tell_level(level, is_asked=is_asked)
        for asked in level.lists:
            yield f"  {_tell_list(asked, decision.address)}"
            yield from (f"    {_tell_entry(covering, decision)}" for covering in asked.covering)
    if decision.would_allow is not None:
        yield f"the list on trial would {'allow' if decision.would_allow else 'deny'} it; it decides nothing"


def _tell_state(asking: _Asking, levels: tuple[Level, ...]) -> str:
    """Say which state the key is in, and why."""
    view, rule = asking.view, asking.rule
    if rule is None:
        return f"nobody put this key, and unknown keys {'pass' if view.settings.unknown_passes else 'are denied'} here"
    if not view.settings.is_enforced:
        return "allow lists are switched off for all keys"
    created = f"created {asking.record.created_at.isoformat()}"
    if view.state(rule) is State.INACTIVE:
        return f"the key is inactive: it has no list, and one {created}, not before the cutover, needs one"
    if not levels:
        legacy = asking.settings.policy.keys.new_keys_need_list
        return "the key is unrestricted: it has no list" + (
            f", and one {created}, before the cutover, needs none" if legacy else ", and there is no default list"
        )
    if not rule.is_enabled:
        return "the key is unrestricted: its lists are kept, but were disabled"
    return f"the key is restricted: {_tell_ties(asking.record, view.default)}"


def _tell_ties(record: KeyRecord, default: str | None) -> str:
    """Say which lists a key has: its own, linked lists, the default list, and lists that it lies within."""
    ties = []
    if record.entries:
        ties.append(f"has {_count(len(record.entries))} of its own")
    if record.lists:
        ties.append(f"is linked to {', '.join(map(quote, record.lists))}")
    if not ties and default is not None:
        ties.append(f"has no list of its own, so the default list {quote(default)} applies")
    if record.within:
        ties.append(f"lies within {', '.join(map(quote, record.within))}")
    return f"it {', '.join(ties)}"


def _tell_level(level: Level, *, is_asked: bool) -> str:
    """Say whether a level lets the address pass."""
    first = level.lists[0]
    title = {
        "default": f"the default list {quote(first.name)}",
        "within": f"the list {quote(first.name)}, which it lies within,",
    }.get(first.relation, "its own lists")
    verb = "let" if first.relation in ("own", "linked") else "lets"
    if level.decision.allowed:
        return f"{title} {verb if is_asked else 'would let'} the address pass"
    do_not = f"{'do' if verb == 'let' else 'does'} not" if is_asked else "would not"
    return f"{title} {do_not} let the address pass: {level.decision.reason.text}"


def _tell_list(asked: AskedList, address: str | None) -> str:
    title = "own entries" if asked.name is None else f"{asked.relation} list {quote(asked.name)}"
    covering = len(asked.covering)
    if asked.size == 0:
        return f"{title}: it is empty"
    if address is None:
        return f"{title}: {_count(asked.size)}"
    return f"{title}: {covering or 'none'} of {asked.size:,} {'cover' if covering > 1 else 'covers'} it"


def _tell_entry(covering: Covering, decision: Decision) -> str:
    """Say what an entry is, whether it allows or denies, whether it decides, and when it counts."""
    entry = covering.entry
    label = "" if entry.label is None else f" {quote(entry.label)}"
    effect = "allows" if allows(entry) else "denies"
    decides = ", and decides" if covering.decides else ""
    return f"{decision.policy.canonical(entry.prefix)}{label}: {effect}{decides}{_tell_standing(covering)}"


def _tell_standing(covering: Covering) -> str:
    condition = covering.entry.condition
    if condition is None:
        return ""
    start, end = (moment and moment.isoformat() for moment in (condition.not_before, condition.expires))
    return {
        Standing.COUNTS: f", until {end}" if end else "",
        Standing.WAITS: f", but waits until {start}",
        Standing.OVER: f", but is over since {end}",
        Standing.DISABLED: ", but is disabled",
    }[covering.standing]


def _count(entries: int) -> str:
    return f"{entries:,} {'entry' if entries == 1 else 'entries'}"
