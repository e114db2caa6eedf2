"""`KeyRecord`: all that was said about one key, as a value that users put in and get back.

    KeyRecord --Rule-->  the form for checks  (rule.pyx)
        ^
        '--- a record of a `KeyStore`: the same as bytes  (records.py)

Nothing is checked here; the engine's `check_record` refuses what cannot be stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .._core import Entry  # noqa: TC001  the same
from ..errors import brief

__all__ = ["KeyRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """Hold what was said about a key.

    Attributes:
        entries: the key's own entries.
        lists: the named lists it is linked to, united with its entries (P6, P8).
        within: named lists that must let the address pass as well, such as an organisation's.
        created_at: timezone-aware; decides what is a legacy key (N2, N5).
        enabled: whether its lists are enforced; off keeps the entries.
        owner: whose key it is, for advice about backup keys (B30).
        shadow: entries on trial, which decide nothing (B31); None for no trial.
    """

    created_at: datetime
    entries: tuple[Entry, ...] = ()
    lists: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    enabled: bool = True
    owner: str | None = None
    shadow: tuple[Entry, ...] | None = None

    def __repr__(self) -> str:
        ties = f"{len(self.entries):,} entries, {len(self.lists):,} lists, within {len(self.within):,}"
        trial = "" if self.shadow is None else f", {len(self.shadow):,} entries on trial"
        owner = "" if self.owner is None else f", of {brief(self.owner)}"
        disabled = "" if self.enabled else ", disabled"
        return f"<KeyRecord of {self.created_at.isoformat()}: {ties}{trial}{owner}{disabled}>"
