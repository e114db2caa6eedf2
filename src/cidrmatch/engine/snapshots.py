"""Making a snapshot of a view, and a view of a snapshot: the keys as a store, all else in `about`.

    View --snapshot_of--> KeyStore [ records, sorted | about: {"policy", "enforced", "default", "lists", "ids" ...} ]
         <--view_of_snapshot--

The same content always gives the same bytes: keys are sorted, and lists are
numbered by the order of their names. docs/snapshot-format.md describes the
bytes; `_keys` reads and writes files.

A damaged snapshot gives no view.
Cost: copies the store. A damaged record is found when its key is asked, or by
`verify`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from .._keys import Builder, FrozenList, KeyStore, View, entry_as_values, parse_notes
from ..errors import SnapshotError
from ..policy.plain import read_policy, write_policy
from .folding import NO_LIST, fold_view
from .ids import IdHash, check_said
from .settings import Settings, settings_of

__all__ = ["snapshot_of", "view_of_snapshot"]


def snapshot_of(view: View) -> KeyStore:
    """Make the store for a file. It is sorted, so that the same content gives the same bytes."""
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
    store, names = fold_view(view) if view.overlay else (view.store, view.names)
    if store is not None:
        builder.copy(store, (), [numbers.get(name, NO_LIST) for name in names], in_order=True)
    about = json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")
    return builder.build(lists=len(lists), about=about)


def view_of_snapshot(
    store: KeyStore,
    version: int,
    clock: Callable[[], float],
    permits: Callable[[object, str, str], bool] | None,
    id_hash: IdHash | None,
) -> View:
    """Make the view of a store that `snapshot_of` made.

    Raises:
        SnapshotError: it is no snapshot, or it holds ids in another way.
    """
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
