"""What goes wrong with a store.

    StoreError          there is no store, or it cannot be used as it is
      |- StoreUnavailable   the database does not answer; with `is_unknown`, a commit may have been made all the same
      |- SpoiltRow      a row that the store would not have written; nothing of the store is believed until it is mended
      '- NotYet (TimeoutError)   an engine does not have the data yet that somebody waits for
    AssertionBroken     a change would break what must hold for a list or a key

Errors of changes are those of an engine: `PolicyError`, `Conflict`, `LockOut` and the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import CidrmatchError, EngineError, brief

__all__ = ["AssertionBroken", "NotYet", "SpoiltRow", "StoreError", "StoreUnavailable"]


class StoreError(CidrmatchError):
    """A store cannot be used: it is not there, or its schema is another."""


class StoreUnavailable(StoreError):
    """The database does not answer, or refuses.

    Attributes:
        is_unknown: whether the change may have been made all the same, because the answer to a commit was lost.
    """

    def __init__(self, said: str, *, is_unknown: bool = False) -> None:
        self.is_unknown = is_unknown
        super().__init__(f"{said} (it is not known whether the change was made)" if is_unknown else said)


class SpoiltRow(StoreError):
    """A row says something that no store writes.

    Attributes:
        table: its table.
        row: the values of its primary key, without the tenant.
        reason: what is wrong.
    """

    def __init__(self, table: str, row: Sequence[object], reason: str) -> None:
        self.table = table
        self.row = tuple(row)
        self.reason = reason
        super().__init__(table, self.row, reason)

    def __str__(self) -> str:
        row = ", ".join(str(value) if type(value) is int else brief(value) for value in self.row)
        return f"table {self.table}, row ({row}): {self.reason}"


class AssertionBroken(EngineError):
    """A change would deny an address that must be allowed, or allow one that must be denied."""


class NotYet(StoreError, TimeoutError):
    """An engine does not answer by a revision, after all the time that somebody waited for it."""
