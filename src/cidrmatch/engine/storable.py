"""Checking that a store can hold a record; a record that it cannot hold is refused before anything changes.

    put_key() --> Draft --> check_record --> overlay --fold--> store     a fold cannot fail because of a record

A fold runs long after the change that put a record, and often in a thread.  So
a record that a fold could not write, or could not give back unchanged, is
refused in the change: each change calls `check_record`.

Cost: looks at each entry of a record once.  Threads: safe, keeps no state.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .._core import Entry
from ..errors import quote
from ..policy.checks import check_moment

if TYPE_CHECKING:
    from .._keys import KeyRecord

__all__ = ["check_name", "check_record", "check_years"]

_MOST_LINKS = 0xFFFF
"""The most links, and the most lists that a key lies within: a record counts them in 16 bits."""
_MOST_TEXT = 1 << 30
"""The most bytes of a key's name, or of the notes of its record."""
_TEXT, _ENTRY = {str}, {Entry}
_ENTRY_TEXT = 320
"""The most bytes of an entry in notes, without its label."""


def check_name(noun: str, name: object) -> None:
    """Check a name: TypeError if it is no text, ValueError if it is blank."""
    if type(name) is not str:
        raise TypeError(f"{noun} is named by a text, not {type(name).__name__}")
    if not name.strip():
        raise ValueError(f"{noun} needs a name")


def check_record(key: str, record: KeyRecord) -> None:
    """Refuse a record that a store cannot hold, or cannot give back unchanged.

    Raises:
        TypeError, ValueError: with the key and what is wrong.
    Cost: looks at each entry once.
    """
    check_name("a key", key)
    try:
        _check(record)
    except (TypeError, ValueError) as error:
        raise type(error)(f"the key {quote(key)}: {error}") from None
    if len(key) * 4 > _MOST_TEXT or _most_notes(record) > _MOST_TEXT:
        raise ValueError(f"the key {quote(key)}: its name, or what is said about it, is too long to be stored")


def _check(record: KeyRecord) -> None:
    if type(record.enabled) is not bool:
        raise TypeError(f"enabled is True or False, not {record.enabled!r}")
    if record.owner is not None and type(record.owner) is not str:
        raise TypeError(f"an owner is text or None, not {type(record.owner).__name__}")
    check_moment("created_at", record.created_at)
    check_years("created_at", record.created_at)
    _check_names("lists", record.lists)
    _check_names("within", record.within)
    _check_entries("entries", record.entries)
    if record.shadow is not None:
        _check_entries("shadow", record.shadow)


def check_years(name: str, moment: datetime) -> None:
    """Raise ValueError for a moment outside the years 1 to 9999 of UTC."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name} lies outside the years 1 to 9999 of UTC") from None


def _check_names(field: str, names: object) -> None:
    if type(names) is not tuple or not {*map(type, names)} <= _TEXT:
        raise TypeError(f"{field} is a tuple of names")
    if len(names) > _MOST_LINKS:
        raise ValueError(f"{field} names {len(names):,} lists, at most {_MOST_LINKS:,} can be stored")


def _check_entries(field: str, entries: object) -> None:
    if type(entries) is not tuple or not {*map(type, entries)} <= _ENTRY:
        raise TypeError(f"{field} is a tuple of Entry")


def _most_notes(record: KeyRecord) -> int:
    """An upper bound for the bytes of a record's notes; JSON writes a character in up to 12 bytes."""
    entries = record.entries if record.shadow is None else record.entries + record.shadow
    labels = 0
    for entry in entries:
        if entry.label is not None:
            labels += len(entry.label)
    return 12 * (labels + len(record.owner or "")) + _ENTRY_TEXT * len(entries)
