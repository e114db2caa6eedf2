"""Refusing changes: by their arguments, by what they would do to a key, or because they would lock the caller out.

    1. the arguments    take_once, read_links, judge_by_policy ...   are they complete, does the policy accept them?
    2. the change       check_change, check_permitted                do the product and the host allow it?
    3. the caller       check_not_locked_out ...                     would the change deny the caller?

Three rules keep a mistake from opening a key:

- None means "no own list".  An iterator that yields nothing was probably used up, so it is refused.
- A switch is True or False.  None, 0 and "" are refused, because they would count as "off".
- If a change leaves a key unrestricted, its `Report` has a warning (answers.py).

Nothing here changes anything.  Keys are named by their held ids.
Cost: that of judging entries by the policy; everything else is look-ups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sized
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from .._core import Entry, check_is_list, parse_prefix, take_apart
from .._keys import Checker, FrozenList, KeyRecord, Rule, View
from ..errors import EngineError, FeatureOff, InvalidPrefix, LockOut, NotPermitted, UnknownName
from ..policy.checks import check_moment
from ..policy.policy import Policy, Report

if TYPE_CHECKING:
    from .._core import EntryLike
    from .draft import Draft

__all__ = [
    "check_change",
    "check_list_lets_in",
    "check_not_locked_out",
    "check_permitted",
    "entries_without",
    "judge_by_policy",
    "judge_own_entries",
    "moment_of_creation",
    "read_links",
    "report_of_kept",
    "take_once",
    "view_of_list",
]

_T = TypeVar("_T")


# -- The arguments ------------------------------------------------------------


def take_once(items: Iterable[_T], noun: str = "entries") -> Collection[_T]:
    """Read an iterable once, as a list.  An empty result is accepted only from something whose length is 0."""
    check_is_list(items, noun)
    given = list(items)
    if not given and not (isinstance(items, Sized) and len(items) == 0):
        raise ValueError(f"the {noun} were an iterator that gave nothing; was it used up? for none of them, give []")
    return given


def moment_of_creation(draft: Draft, key: str, said: datetime | None, old: KeyRecord | None) -> datetime:
    """When a key was created: as given; or as stored; or now."""
    if said is None and old is not None:
        return old.created_at
    if said is None:
        return _now_by_the_clock(draft, key)
    check_moment("created_at", said)
    if old is not None and said != old.created_at:
        raise EngineError(f"the key {key!r} was created at {old.created_at.isoformat()}; that does not change")
    return said


def _now_by_the_clock(draft: Draft, key: str) -> datetime:
    """The time of the clock; EngineError before the cutover, because the key would then never need a list (N5)."""
    policy = draft.settings.policy
    now = datetime.fromtimestamp(draft.settings.clock(), UTC)
    if policy.keys.new_keys_need_list and not policy.keys.needs_list(now):
        cutover = "" if policy.keys.cutover is None else f" {policy.keys.cutover.isoformat()}"
        raise EngineError(
            f"by the clock it is {now.isoformat()}, before the cutover{cutover}, so the key {key!r} would never need "
            "a list; if that is meant, say created_at"
        )
    return now


def read_links(draft: Draft, names: Iterable[str]) -> tuple[str, ...]:
    """Check that each list exists and is not empty; drop repeated names."""
    if isinstance(names, str):
        raise TypeError("the names of lists were expected, not one text")
    links = tuple(dict.fromkeys(take_once(names, "names of lists")))
    for name in links:
        if not draft.frozen(name).entries:
            raise EngineError(f"the list {name!r} is empty: it would deny everyone")
    return links


def _identity(entry: Entry) -> tuple[object, object]:
    """The part of an entry that is equal in duplicates."""
    return entry.prefix, entry.condition


def entries_without(
    draft: Draft, whose: str, entries: tuple[Entry, ...], gone: Iterable[EntryLike]
) -> tuple[Entry, ...]:
    """Remove entries; UnknownName for an entry that is not there."""
    left = {_identity(entry): entry for entry in entries}
    for index, given in enumerate(take_once(gone)):
        entry = _read_entry(draft.settings.policy, index, given)
        if left.pop(_identity(entry), None) is None:
            others = [other for other in left.values() if other.prefix == entry.prefix]
            hint = f"; it has {others[0]!r}" if others else ""
            raise UnknownName(f"entry {index}: {whose} has no {entry!r}{hint}")
    return tuple(left.values())


def _read_entry(policy: Policy, index: int, given: EntryLike) -> Entry:
    prefix, label, condition = take_apart(given, f"entry {index}: ")
    try:
        return Entry(parse_prefix(prefix, host_bits=policy.host_bits), label, condition)
    except InvalidPrefix as error:
        error.index = index
        raise


# -- The change ---------------------------------------------------------------


def judge_by_policy(policy: Policy, entries: Collection[EntryLike]) -> Report:
    """Judge a list by the policy; PolicyError if it is refused.  The engine itself warns of open keys."""
    report = policy.validate(entries, on_key=False)
    report.entries()
    return report


def report_of_kept(draft: Draft, old: KeyRecord) -> Report:
    """The report on entries that do not change; they were judged before, or imported without judging."""
    return Report(draft.settings.policy, old.entries, ())


def judge_own_entries(
    draft: Draft,
    key: str,
    entries: Iterable[EntryLike] | None,
    created_at: datetime,
    old: KeyRecord | None,
    *,
    linked: bool,
) -> Report:
    """Judge a key's own entries.  The product and the key decide whether there may be no entries."""
    policy = draft.settings.policy
    given = () if entries is None else take_once(entries)
    if given and policy.keys.binding == "lists":
        raise EngineError(f"keys of {policy.name}, such as {key!r}, have no entries of their own; link a named list")
    may_be_empty = not (old is None and policy.keys.needs_list(created_at) and not linked)
    if may_be_empty and not given:
        return Report(policy, (), ())
    return judge_by_policy(policy, given)


def check_permitted(draft: Draft, actor: object, operation: str, name: str) -> None:
    """Refuse a change of a named list that the feature gate (U2) or the host's role check (P1) does not allow."""
    if not draft.settings.is_enforced:
        raise FeatureOff("allow lists are switched off; they cannot be edited")
    permits = draft.settings.permits
    if permits is not None and permits(actor, operation, name) is not True:
        raise NotPermitted(f"{actor!r} may not {operation} {name!r}")


def check_change(draft: Draft, key: str, old: KeyRecord | None, new: KeyRecord | None) -> None:
    """Refuse a change of a key if it is not allowed; None stands for a key that does not exist, before or after."""
    policy = draft.settings.policy
    # 1. by the feature gate (U2)
    if not draft.settings.is_enforced and _restriction(old) != _restriction(new):
        raise FeatureOff(f"allow lists are switched off; that of the key {key!r} cannot be edited")
    if new is None or not policy.keys.new_keys_need_list:
        return
    # 2. by the product: a new key keeps its list (N2)
    if policy.keys.needs_list(new.created_at):
        if not new.enabled:
            raise EngineError(f"the key {key!r} was created at the cutover or later and cannot do without its list")
        return
    # 3. a legacy key cannot lose all its entries and links (C9), nor the last list that it lies within
    if old is None or not new.enabled:
        return
    lost_its_list = (old.entries or old.lists) and not (new.entries or new.lists)
    lost_all = old.within and not (new.entries or new.lists or new.within)
    if lost_its_list or lost_all:
        raise EngineError(
            f"the list of the legacy key {key!r} cannot be emptied; to lift the restriction, disable it (enabled=False)"
        )


def _restriction(record: KeyRecord | None) -> tuple[object, ...]:
    """The parts of a record that make up its allow list."""
    if record is None:
        return (), (), (), True, None
    return record.entries, record.lists, record.within, record.enabled, record.shadow


# -- The caller ---------------------------------------------------------------


def check_not_locked_out(draft: Draft, key: str, caller: object) -> None:
    """Raise LockOut if a change would deny the address that it comes from."""
    probe = Checker()
    probe.view = draft.probe(key, counts=False)
    decision = probe.check(key, caller)
    if not decision.allowed:
        raise LockOut(f"{decision.address or 'an unknown address'} would be denied: {decision.reason.text}")


def check_list_lets_in(draft: Draft, frozen: FrozenList, caller: object) -> None:
    """Raise LockOut if a named list alone would deny the address that the change comes from."""
    probe = Checker()
    probe.view = view_of_list(draft, frozen)
    if not probe.allows("", caller):
        raise LockOut(f"the list {frozen.name!r} would deny the address that this change comes from")


def view_of_list(draft: Draft, frozen: FrozenList) -> View:
    """Give a view in which the key "" has this list alone, to ask what the list lets in."""
    record = KeyRecord(created_at=datetime.fromtimestamp(0, UTC))
    rule = Rule(record, frozen, (), (), True, False, None)
    return View(None, {"": rule}, {}, None, 0, draft.settings.unhashed())
