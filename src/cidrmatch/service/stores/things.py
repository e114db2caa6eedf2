"""The values of a history, as text and read again: a key or a list, before and after.

    KeyRecord   <-->  {"created_at": ..., "entries": [...], "lists": ["office"], "owner": "acme", "enabled": true}
    FrozenList  <-->  {"description": ..., "entries": [...]}

`engine/things.py` writes keys, lists and rules.  The history is read by people, and by `undo`, whose values go
through the policy like everybody's.

Threads: no state here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from types import NoneType
from typing import Any

from ..._keys import FrozenList, KeyRecord, parse_notes
from ...engine.things import key_as_values
from ...errors import brief
from .errors import SpoiltRow

__all__ = [
    "as_text",
    "key_as_text",
    "key_of_values",
    "list_of_values",
    "read_said",
]


_WRITE = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
"""Made once; `json.dumps` makes an encoder for each call."""


def as_text(values: object) -> str:
    """Write values as JSON, the same text for the same values."""
    return _WRITE(values)


def read_said(row: Sequence[object], text: object) -> Any:
    """Read values of the history; SpoiltRow if they are none."""
    try:
        said = None if text is None else json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        raise SpoiltRow("changed", row, f"the values are no JSON: {brief(text)}") from None
    if not isinstance(said, (dict, list, NoneType)):
        raise SpoiltRow("changed", row, f"the values are an object or a list, not {brief(text)}")
    return said


def key_as_text(record: KeyRecord) -> str:
    """Write a key as the text that `as_text` makes of its values; a plain one without building these values."""
    if record.lists or record.within or record.owner is not None or record.shadow is not None:
        return as_text(key_as_values(record))
    if not all(entry.label is None and entry.condition is None for entry in record.entries):
        return as_text(key_as_values(record))
    created_at, enabled = record.created_at.isoformat(), "true" if record.enabled else "false"
    entries = '","'.join(map(str, record.entries))  # no character of a prefix or a moment is escaped in JSON
    said = f'"{entries}"' if entries else ""
    return f'{{"created_at":"{created_at}","enabled":{enabled},"entries":[{said}],"lists":[],"owner":null,"within":[]}}'


def key_of_values(values: dict[str, Any]) -> KeyRecord:
    """Read a key that `key_as_values` wrote."""
    return KeyRecord(
        created_at=datetime.fromisoformat(values["created_at"]),
        entries=parse_notes(values, "entries") or (),
        lists=tuple(values["lists"]),
        within=tuple(values["within"]),
        enabled=values["enabled"],
        owner=values["owner"],
        shadow=parse_notes(values, "shadow"),
    )


def list_of_values(name: str, values: dict[str, Any]) -> FrozenList:
    """Read a named list that `list_as_values` wrote."""
    return FrozenList(name, parse_notes(values, "entries") or (), values["description"])
