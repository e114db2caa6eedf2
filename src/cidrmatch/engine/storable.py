"""What a store can hold: a record that it could not is refused before anything changes.

    put_key() --> Draft --> check_record --> overlay --fold--> store     nothing is left that a fold could refuse

A fold runs long after the change that brought a record, beside readers and often
in a thread.  So what it could not write, or would not give back as it was, is
never let in: `check_record` stands before each change.

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
"""Links, or lists that a key lies within: a record counts them in 16 bits."""
_MOST_TEXT = 1 << 30
"""Bytes that the name of a key, or the notes of its record, may take."""
_ENTRY_TEXT = 320
"""Bytes that an entry may take in notes, without its label."""


def check_name(noun: str, name: object) -> None:
    """Refuse what names nothing: TypeError for what is no text, ValueError for a blank one."""
    if type(name) is not str:
        raise TypeError(f"{noun} is named by a text, not {type(name).__name__}")
    if not name.strip():
        raise ValueError(f"{noun} needs a name")


def check_record(key: str, record: KeyRecord) -> None:
    """Refuse what no store can hold, or would not give back as it was.

    Raises:
        TypeError, ValueError: with the key and what is wrong.
    Cost: looks at each entry once.
    """
    check_name("a key", key)
    whose = f"the key {quote(key)}"
    if type(record.enabled) is not bool:
        raise TypeError(f"{whose}: enabled is True or False, not {record.enabled!r}")
    if record.owner is not None and type(record.owner) is not str:
        raise TypeError(f"{whose}: an owner is text or None, not {type(record.owner).__name__}")
    check_moment(f"{whose}: created_at", record.created_at)
    check_years(f"{whose}: created_at", record.created_at)
    _check_names(whose, "lists", record.lists)
    _check_names(whose, "within", record.within)
    _check_entries(whose, "entries", record.entries)
    if record.shadow is not None:
        _check_entries(whose, "shadow", record.shadow)
    if len(key) * 4 > _MOST_TEXT or _most_notes(record) > _MOST_TEXT:
        raise ValueError(f"{whose}: its name, or what is said about it, is too long to be stored")


def check_years(name: str, moment: datetime) -> None:
    """Refuse a moment that UTC has no date for, at an edge of the calendar; ValueError."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name} lies outside the years 1 to 9999 of UTC") from None


def _check_names(whose: str, field: str, names: object) -> None:
    if type(names) is not tuple or not all(type(name) is str for name in names):
        raise TypeError(f"{whose}: {field} is a tuple of names")
    if len(names) > _MOST_LINKS:
        raise ValueError(f"{whose}: {field} names {len(names):,} lists, at most {_MOST_LINKS:,} can be stored")


def _check_entries(whose: str, field: str, entries: object) -> None:
    if type(entries) is not tuple or not all(type(entry) is Entry for entry in entries):
        raise TypeError(f"{whose}: {field} is a tuple of Entry")


def _most_notes(record: KeyRecord) -> int:
    """How many bytes the notes of a record may take at most; JSON writes a character in up to 12."""
    entries = record.entries + (record.shadow or ())
    labels = sum(len(entry.label) for entry in entries if entry.label is not None)
    return 12 * (labels + len(record.owner or "")) + _ENTRY_TEXT * len(entries)
