"""Writing a rule as a record of the store, and reading a record as a rule.

    Rule  --write_rule-->  [ numbers | key | entries | numbers of lists | notes ]  --read_rule-->  Rule

A record holds the entries as numbers, the links as numbers of lists, and flags.  Labels, owner, conditions and a list
on trial are JSON in its notes.  A check of a key with conditions or a trial needs the notes, and makes a rule of them.

A damaged record gives no rule; it is never read in part.
Threads: no state here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import SnapshotError
from .key_record import KeyRecord
from .notes import notes_of, parse_notes
from .rule import FrozenList, Rule, Shadow
from .store import HAS_ENTRIES, IS_ENABLED, NEEDS_LIST, NEEDS_OBJECTS, Builder, KeyStore

__all__ = ["read_record", "read_rule", "rule_of", "write_record", "write_rule"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAMAGED = (SnapshotError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What reading a damaged record raises."""


def rule_of(record: KeyRecord, *, needs_list: bool, shadow: Shadow | None) -> Rule:
    """Make the rule of a record: with its own entries as a frozen list, and its lists by their names.

    Args:
        record: what was said about the key.
        needs_list: whether the key is inactive while it has no list.
        shadow: the trial of the record's `shadow` entries, with its counts; None for no trial.
    """
    own = FrozenList(None, record.entries) if record.entries else None
    return Rule(record, own, record.lists, record.within, record.enabled, needs_list, shadow)


def write_rule(builder: Builder, key: str, rule: Rule, numbers: Mapping[str, int]) -> None:
    """Write a rule as a record: the part that a check reads as numbers, the rest as notes."""
    write_record(builder, key, rule.record, numbers, needs_list=rule.needs_list)


def write_record(
    builder: Builder, key: str, record: KeyRecord, numbers: Mapping[str, int], *, needs_list: bool
) -> None:
    """Write what was said about a key; no rule is made.

    Args:
        numbers: the number of each list that the record may name; KeyError if it names another.
        needs_list: as for `rule_of`.
    """
    is_plain = record.shadow is None and all(entry.condition is None for entry in record.entries)
    flags = (
        IS_ENABLED * record.enabled
        | NEEDS_LIST * needs_list
        | HAS_ENTRIES * bool(record.entries)
        | NEEDS_OBJECTS * (not is_plain)
    )
    notes = b""
    if not is_plain or record.owner is not None:
        notes = notes_of(record.entries, shadow=record.shadow, owner=record.owner)
    builder.add(
        key,
        record.entries if is_plain else (),
        flags=flags,
        created=(record.created_at - _EPOCH) // _MICROSECOND,
        links=tuple(numbers[name] for name in record.lists),
        within=tuple(numbers[name] for name in record.within),
        notes=notes,
    )


def read_rule(store: KeyStore, key: str, names: tuple[str, ...]) -> Rule | None:
    """Make the rule of a record of the store; None if the record is damaged.

    Args:
        names: the names of the lists that records link by number.
    """
    try:
        facts = store.facts(key)
        record = _record_of_facts(facts, names)
        trial = None if record.shadow is None else Shadow(FrozenList(None, record.shadow))
        return rule_of(record, needs_list=bool(facts[1] & NEEDS_LIST), shadow=trial)
    except _DAMAGED:
        return None


def read_record(store: KeyStore, key: str, names: tuple[str, ...]) -> KeyRecord | None:
    """Give what a record of the store says, without a rule; None if the record is damaged."""
    try:
        return _record_of_facts(store.facts(key), names)
    except _DAMAGED:
        return None


def _record_of_facts(facts: tuple[Any, ...], names: tuple[str, ...]) -> KeyRecord:
    entries, flags, links, within, created, notes = facts
    shadow = parse_notes(notes, "shadow")
    if bool(entries) != bool(flags & HAS_ENTRIES):
        raise SnapshotError("a record tells other entries than its flags")  # a key without any could be open
    if not isinstance(notes.get("owner"), str | None):
        raise SnapshotError("a record tells an owner that is no text")
    return KeyRecord(
        created_at=_EPOCH + timedelta(microseconds=created),
        entries=entries,
        lists=tuple(names[number] for number in links),
        within=tuple(names[number] for number in within),
        enabled=bool(flags & IS_ENABLED),
        owner=notes.get("owner"),
        shadow=shadow,
    )
