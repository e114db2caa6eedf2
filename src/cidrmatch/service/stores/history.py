"""The history of a tenant: who changed what, when, from where, why, and what it was before.

    changes   17  at 12:00  anna  from 203.0.113.9  "new office"  put_list          one row for each commit
    changed   17  list  office   before: null   after: {"entries": [...]}           one for each thing that it changed

A commit that was made by hand, past the store, has the operation "by hand" and no values.
Rows of the history are appended, and never changed or removed.

Cost: an index finds the commits of a key or a list.  Threads: safe, within a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..._keys import Revision
from ...engine.things import Thing
from .schema import changed, changes
from .things import read_said

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Commit", "read_history"]


@dataclass(frozen=True, slots=True)
class Commit:
    """Describe a commit.

    Attributes:
        revision: what it made.
        at: when, in ISO 8601.
        actor, origin, reason: who made it, from where, and why; None if nobody said.
        operation: what it was, in a word.
        things: what it changed; if the history was asked about one key or list, that alone.
    """

    revision: Revision
    at: str
    actor: str | None
    origin: str | None
    reason: str | None
    operation: str
    things: tuple[Thing, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the commit as plain values, for JSON."""
        facts = {name: getattr(self, name) for name in ("at", "actor", "origin", "reason", "operation")}
        things = [{"kind": each.kind, "name": each.name, "before": each.before, "after": each.after}
                  for each in self.things]  # fmt: skip
        return {"number": self.revision.generation, "epoch": f"{self.revision.epoch:x}", **facts, "things": things}


def read_history(
    connection: Connection, tenant: int, *, kind: str | None, name: str | None, before: int | None, limit: int
) -> list[Commit]:
    """Read commits, the latest first.

    Args:
        kind, name: only those that changed this kind of thing, or this thing; None for all.
        before: only those before this number; None for the latest.
        limit: the most.
    """
    asked = [changed.c.tenant == tenant]
    asked += [] if kind is None else [changed.c.kind == kind]
    asked += [] if name is None else [changed.c.name == name]
    query = select(changes).where(changes.c.tenant == tenant)
    if kind is not None or name is not None:
        query = query.where(changes.c.number.in_(select(changed.c.number).where(*asked)))
    if before is not None:
        query = query.where(changes.c.number < before)
    rows = connection.execute(query.order_by(changes.c.number.desc()).limit(limit)).all()
    things: dict[int, list[Thing]] = {row.number: [] for row in rows}
    found = select(changed).where(*asked, changed.c.number.between(min(things, default=0), max(things, default=0)))
    for row in connection.execute(found.order_by(changed.c.kind, changed.c.name)):
        where = (row.number, row.kind, row.name)
        values = (read_said(where, text) for text in (row.before, row.after))
        things[row.number].append(Thing(row.kind, row.name, *values))
    return [
        Commit(
            Revision(row.epoch, row.number), row.at, row.actor, row.origin, row.reason, row.operation,
            tuple(things[row.number]),
        )
        for row in rows
    ]  # fmt: skip
