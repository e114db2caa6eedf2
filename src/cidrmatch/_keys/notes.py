"""The notes of a record, as JSON: facts about a key that its numbers do not hold.

    entries, shadow   --notes_of-->  {"entries":[...],"owner":"acme"}  --read_notes, parse_notes-->  entries
                                     JSON in ASCII, names sorted

Notes are at the end of a record.  A record has notes if its numbers alone do not give the entries back, because of
labels, conditions, a long list, or another order.  The named lists of an engine are written in the same form.

Cost: that of JSON.  Threads: no state here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .._core import Entry, EntryLike, Prefix, fields_of_entry, take_apart
from ..errors import SnapshotError

__all__ = ["entry_as_values", "notes_of", "parse_notes", "read_notes"]


def entry_as_values(entry: EntryLike, /) -> str | dict[str, Any]:
    """Give an entry as plain values: its text, or a mapping if it has a label or a condition."""
    prefix, label, condition = take_apart(entry)
    text = str(prefix if type(prefix) is Prefix else Prefix(prefix))
    fields = fields_of_entry(text, label, condition)
    return fields if len(fields) > 1 else text


def notes_of(entries: Iterable[EntryLike], /, **fields: str | Iterable[EntryLike] | None) -> bytes:
    """Write notes: JSON with sorted names, the same bytes for the same content.  A field is text, entries, or None."""
    said: dict[str, object] = {"entries": [entry_as_values(entry) for entry in entries]}
    for name, value in fields.items():
        if value is not None:
            said[name] = value if isinstance(value, str) else [entry_as_values(entry) for entry in value]
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")


def read_notes(notes: bytes, /) -> dict[str, Any]:
    """Read what `notes_of` wrote; SnapshotError if it is something else."""
    if not notes:
        return {}
    try:
        found = json.loads(notes)
    except ValueError as error:
        raise SnapshotError(f"the notes of a key are no JSON: {error}") from None
    if type(found) is not dict:
        raise SnapshotError("the notes of a key are no JSON object")
    return found


def parse_notes(notes: dict[str, Any], name: str, /) -> tuple[Entry, ...] | None:
    """Make the entries that notes hold under a name; None if there are none under it."""
    if notes.get(name) is None:
        return None
    return tuple(Entry(Prefix(prefix), label, condition) for prefix, label, condition in map(take_apart, notes[name]))
