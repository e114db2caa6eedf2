"""What an engine knows of its keys: the settings that all views share, and a whole view as a store and back.

    view --folded-->    KeyStore                      beside those who read
         --canonical--> KeyStore, sorted, to a file   with policy, lists and default, as what is said `about` the whole
         <--opened--    KeyStore out of a file

A single key as a record of the store is the business of `_keys`.  Nothing here changes anything, and a damaged
snapshot gives no view.

What cannot be written is never let in: `check_record` stands before each change, so that a later fold has nothing to
refuse.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from .._core.prefix import Entry
from .._keys import Builder, FrozenList, KeyRecord, KeyStore, View, entry_as_values, parse_notes, write_rule
from ..errors import SnapshotError, quote
from ..policy.checks import check_switches
from ..policy.plain import read_policy, write_policy
from ..policy.responses import Response, render
from .ids import IdHash, check_said

if TYPE_CHECKING:
    from ..policy.policy import Policy

__all__ = ["Settings", "canonical", "check_record", "folded", "opened", "settings_of"]

_NO_LIST = 0xFFFFFFFF
_MOST_LINKS = 0xFFFF
"""Links, or lists that a key lies within: a record counts them in 16 bits."""
_MOST_TEXT = 1 << 30
"""Bytes that the name of a key, or the notes of its record, may take."""
_ENTRY_TEXT = 320
"""Bytes that an entry may take in notes, without its label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hold what all views of an engine share.

    Attributes:
        policy: what the product accepts.
        clock: the time in POSIX seconds.
        render: turns a decision into a response.
        is_enforced: whether allow lists are enforced at all (U2).
        unknown_passes: whether a key that nobody put passes, for hosts that check keys themselves.
        permits: the host's role check, called with actor, operation and the list's name (P1).
        id_hash: gives the id by which a key is held; None for ids that are held as they are.
    """

    policy: Policy
    clock: Callable[[], float] = time.time
    render: Callable[..., Response] = render
    is_enforced: bool = True
    unknown_passes: bool = False
    permits: Callable[[object, str, str], bool] | None = None
    id_hash: IdHash | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a switch that is neither on nor off: what is not True would enforce nothing."""
        check_switches(is_enforced=self.is_enforced, unknown_passes=self.unknown_passes)

    def unhashed(self) -> Settings:
        """Give the same for a small view that is asked by the names in it."""
        return self if self.id_hash is None else replace(self, id_hash=None)


def settings_of(view: View) -> Settings:
    """Give the settings of an engine's view; a view itself knows only what it asks of them."""
    return cast("Settings", view.settings)


# -- One record ---------------------------------------------------------------


def check_record(key: object, record: KeyRecord) -> None:
    """Refuse what no store can hold, or would not give back as it was.

    Raises:
        TypeError, ValueError: with the key and what is wrong.
    Cost: looks at each entry once.
    """
    if type(key) is not str:
        raise TypeError(f"a key is named by a text, not {type(key).__name__}")
    if not key.strip():
        raise ValueError("a key needs a name")
    whose = f"the key {quote(key)}"
    if type(record.enabled) is not bool:
        raise TypeError(f"{whose}: enabled is True or False, not {record.enabled!r}")
    if record.owner is not None and type(record.owner) is not str:
        raise TypeError(f"{whose}: an owner is text or None, not {type(record.owner).__name__}")
    _check_moment(whose, record.created_at)
    _check_names(whose, "lists", record.lists)
    _check_names(whose, "within", record.within)
    _check_entries(whose, "entries", record.entries)
    if record.shadow is not None:
        _check_entries(whose, "shadow", record.shadow)
    if len(key) * 4 > _MOST_TEXT or _most_notes(record) > _MOST_TEXT:
        raise ValueError(f"{whose}: its name, or what is said about it, is too long to be stored")


def _check_moment(whose: str, moment: object) -> None:
    if not isinstance(moment, datetime):
        raise TypeError(f"{whose}: created_at is a datetime, not {type(moment).__name__}")
    if moment.utcoffset() is None:
        raise ValueError(f"{whose}: created_at needs a time zone")
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{whose}: created_at lies outside the years 1 to 9999 of UTC") from None


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


# -- All of them ---------------------------------------------------------------


def canonical(view: View) -> KeyStore:
    """Make the store that goes to a file, sorted, so that the same content gives the same bytes."""
    settings = settings_of(view)
    lists = dict(sorted(view.lists.items()))
    numbers = {name: number for number, name in enumerate(lists)}
    said = {
        "policy": write_policy(settings.policy),
        "enforced": settings.is_enforced,
        "unknown_key": "pass" if settings.unknown_passes else "deny",
        "default": view.default,
        "lists": [
            {
                "name": name,
                "description": frozen.description,
                "entries": [entry_as_values(entry) for entry in frozen.entries],
            }
            for name, frozen in lists.items()
        ],
    }
    if settings.id_hash is not None:
        said["ids"] = settings.id_hash.said()
    builder = Builder()
    store, names = folded(view) if view.overlay else (view.store, view.names)
    if store is not None:
        builder.copy(store, (), [numbers.get(name, _NO_LIST) for name in names], in_order=True)
    about = json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")
    return builder.build(lists=len(lists), about=about)


def folded(view: View) -> tuple[KeyStore, tuple[str, ...]]:
    """Make a store of a view, and say which lists its records link by number.

    Taken over are the records of the old store that still hold, and the overlay.  The lists are numbered anew, so
    that those that were removed since the last fold take no number.
    """
    builder = Builder()
    names = tuple(view.lists)
    numbers = {name: number for number, name in enumerate(names)}
    if view.store is not None:
        builder.copy(view.store, view.overlay, [numbers.get(name, _NO_LIST) for name in view.names])
    for key, rule in view.overlay.items():
        if rule is not None:
            write_rule(builder, key, rule, numbers)
    store = builder.build(generation=view.version, lists=len(names))
    for key, rule in view.overlay.items():
        if rule is not None and rule.shadow is not None:
            store.rules_made[key] = rule  # its counts go on
    for key, rule in (view.store.rules_made if view.store is not None else {}).copy().items():
        if rule.shadow is not None and key not in view.overlay:
            store.rules_made[key] = rule
    return store, names


def opened(
    store: KeyStore,
    version: int,
    clock: Callable[[], float],
    permits: Callable[[object, str, str], bool] | None,
    id_hash: IdHash | None,
) -> View:
    """Make the view of a store that `canonical` made; SnapshotError if it is none, or holds its ids in another way."""
    try:
        said = json.loads(store.about)
        lists = {
            fields["name"]: FrozenList(fields["name"], parse_notes(fields, "entries") or (), fields["description"])
            for fields in said["lists"]
        }
        settings = Settings(
            policy=read_policy(said["policy"]),
            clock=clock,
            is_enforced=said["enforced"] is not False,
            unknown_passes=said["unknown_key"] == "pass",
            permits=permits,
            id_hash=id_hash,
        )
        names = tuple(lists)
        if len(names) != store.lists or list(names) != sorted(names):
            raise ValueError("it does not hold the lists that its keys are linked to")
        if said["default"] is not None and said["default"] not in lists:
            raise ValueError("its default is no list of it")
        view = View(store, {}, lists, said["default"], version, settings, names)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise SnapshotError(f"the snapshot does not say what an engine needs: {error}") from error
    check_said(said.get("ids"), id_hash)
    return view
