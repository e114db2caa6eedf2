"""When an entry counts, and whether it allows or denies.

A plain entry always allows.  Its condition is `None`, so the common case costs
nothing.  All other entries have a `Condition`:

              not_before           expires
    ----------|--------------------|----------> time
     waits      counts               is over        and never while it is disabled

An entry counts from the moment `not_before` on; at the moment `expires` it no
longer counts.  `Standing` names what an entry does at a moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, Protocol

from ..errors import quote

__all__ = ["FIELDS", "Condition", "Standing", "condition_of", "fields_of_condition", "fields_of_entry", "standing_of"]

FIELDS: Final = ("effect", "enabled", "not_before", "expires")


class Standing(StrEnum):
    """Say what an entry does at some moment."""

    COUNTS = "counts"
    WAITS = "waits"
    OVER = "over"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Say under which condition an entry counts.

    Attributes:
        effect: "allow", or "deny" to carve addresses out of a broader entry that allows.
        enabled: a disabled entry is stored and never counts.
        not_before: timezone-aware; the entry waits until then.
        expires: timezone-aware; from then on the entry is over.
    Raises:
        ValueError: another effect, a time without a zone, or an end that is not after the start.
        TypeError: a value of another type.
    """

    effect: Literal["allow", "deny"] = "allow"
    enabled: bool = True
    not_before: datetime | None = None
    expires: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse values that could be misunderstood."""
        if self.effect not in ("allow", "deny"):
            raise ValueError(f"effect is 'allow' or 'deny', not {quote(self.effect)}")
        enabled: object = self.enabled
        if type(enabled) is not bool:
            shown = quote(enabled) if isinstance(enabled, str) else repr(enabled)
            raise TypeError(f"enabled is True or False, not {shown}")
        for name in ("not_before", "expires"):
            moment = getattr(self, name)
            if moment is None:
                continue
            if not isinstance(moment, datetime):
                raise TypeError(f"{name} is a datetime, not {type(moment).__name__}")
            if moment.utcoffset() is None:
                raise ValueError(f"{name} needs a time zone: {moment.isoformat()} means another moment elsewhere")
        if self.start >= self.end:
            raise ValueError("expires must come after not_before")

    @property
    def start(self) -> float:
        """The first moment, in POSIX seconds."""
        return -math.inf if self.not_before is None else self.not_before.timestamp()

    @property
    def end(self) -> float:
        """The moment from which the entry is over, in POSIX seconds."""
        return math.inf if self.expires is None else self.expires.timestamp()

    def standing_at(self, moment: float) -> Standing:
        """Say what an entry under this condition does at a moment: it counts, waits, is over, or is disabled.

        Args:
            moment: in POSIX seconds, as an engine's clock gives it.
        Returns:
            A `Standing`, which is also its text: "counts", "waits", "over" or "disabled".
        Cost: some comparisons.
        Threads: safe, never changes.
        Source: the times of `Condition`; docs/keys.md, "Entries with conditions".

        >>> Condition(enabled=False).standing_at(0.0)
        <Standing.DISABLED: 'disabled'>
        """
        if not self.enabled:
            return Standing.DISABLED
        if moment < self.start:
            return Standing.WAITS
        return Standing.COUNTS if moment < self.end else Standing.OVER


class HasCondition(Protocol):
    """An object with a condition or None: an `Entry`, whose type this room cannot import."""

    @property
    def condition(self) -> Condition | None:
        """When it counts; None for always."""


def standing_of(entry: HasCondition, moment: float) -> Standing:
    """Say what an entry does at a moment in POSIX seconds; one without a condition counts always."""
    return Standing.COUNTS if entry.condition is None else entry.condition.standing_at(moment)


_ALWAYS: Final = Condition()


def condition_of(fields: Mapping[str, object]) -> Condition | None:
    """Build the condition from the fields of an entry; None when they say nothing special.

    A time may be a `datetime` or text in ISO 8601.
    """
    given = (name for name in FIELDS if name in fields)
    # None means "no time".  As `enabled` or `effect` it would allow addresses, so there it is refused.
    values = {name: fields[name] for name in given if fields[name] is not None or name not in ("not_before", "expires")}
    for name in ("not_before", "expires"):
        moment = values.get(name)
        if isinstance(moment, str):
            try:
                values[name] = datetime.fromisoformat(moment)
            except ValueError as error:
                why = "" if "isoformat" in str(error) else f": {error}"  # this message of Python repeats the whole text
                raise ValueError(f"{name} is no time in ISO 8601: {quote(moment)}{why}") from error
    condition = Condition(**values)  # type: ignore[arg-type]
    return None if condition == _ALWAYS else condition


def fields_of_condition(condition: Condition) -> dict[str, object]:
    """Give the fields from which `condition_of` builds this condition, as plain values; a time is text in ISO 8601."""
    fields: dict[str, object] = {}
    for name in FIELDS:
        value = getattr(condition, name)
        if isinstance(value, datetime):
            fields[name] = value.isoformat()
        elif value != getattr(_ALWAYS, name):
            fields[name] = value
    return fields


def fields_of_entry(prefix: str, label: str | None, condition: Condition | None) -> dict[str, object]:
    """Give an entry as a mapping of plain values that `parse_entry` takes; fields that are not set are left out."""
    fields: dict[str, object] = {"prefix": prefix}
    if label is not None:
        fields["label"] = label
    return fields if condition is None else fields | fields_of_condition(condition)
