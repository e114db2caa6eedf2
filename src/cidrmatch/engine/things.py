"""What a change is about, as plain values: a key, a named list or the rules, before and after.

    KeyRecord   -->  {"created_at": ..., "entries": [...], "lists": ["office"], "owner": "acme", "enabled": true}
    FrozenList  -->  {"description": ..., "entries": [...]}
    Rules       -->  {"policy": ..., "enforced": true, "unknown_key": "deny", "default": "office"}

Entries are written as `entry_as_values` writes them: a text, or an object with a label or a condition.  The history of
a store keeps such values, and two engines are compared by them.

Threads: no state here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._keys import FrozenList, KeyRecord, entry_as_values
from ..policy.plain import write_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._core import Entry
    from .feeding import Rules

__all__ = ["Thing", "key_as_values", "list_as_values", "rules_as_values"]


@dataclass(frozen=True, slots=True)
class Thing:
    """Say how one thing changed.

    Attributes:
        kind: "key", "list", "rules"; in the history of a store also "assertions", "grant" or "token".
        name: of the key (its held id), the list or the token; "" for the rules.
        before, after: plain values; None: it did not exist, or does not exist any more.
    """

    kind: str
    name: str
    before: dict[str, Any] | list[Any] | None
    after: dict[str, Any] | list[Any] | None


def key_as_values(record: KeyRecord) -> dict[str, Any]:
    """Write a key."""
    values: dict[str, Any] = {
        "created_at": record.created_at.isoformat(),
        "enabled": record.enabled,
        "entries": _written(record.entries),
        "lists": list(record.lists),
        "within": list(record.within),
        "owner": record.owner,
    }
    return values if record.shadow is None else values | {"shadow": _written(record.shadow)}


def list_as_values(frozen: FrozenList) -> dict[str, Any]:
    """Write a named list."""
    return {"description": frozen.description, "entries": _written(frozen.entries)}


def rules_as_values(rules: Rules) -> dict[str, Any]:
    """Write the policy, the switches and the default list."""
    return {
        "policy": write_policy(rules.policy),
        "enforced": rules.is_enforced,
        "unknown_key": "pass" if rules.unknown_passes else "deny",
        "default": rules.default,
    }


def _written(entries: Sequence[Entry]) -> list[str | dict[str, Any]]:
    return [entry_as_values(entry) for entry in entries]
