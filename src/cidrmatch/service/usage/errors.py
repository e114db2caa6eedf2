"""What goes wrong with a usage log.

    UsageError              there is no log, or it cannot be used as it is
      '- UsageUnavailable   the database does not answer, refuses, or has no room

A request never sees one of these: `UsageLog.note` raises nothing.
"""

from __future__ import annotations

from ...errors import CidrmatchError

__all__ = ["UsageError", "UsageUnavailable"]


class UsageError(CidrmatchError):
    """A usage log cannot be used: its database is none, or its tables are of another program."""


class UsageUnavailable(UsageError):
    """The database does not answer, or refuses.

    Attributes:
        is_full: whether it has no room: the disk is full.
        is_gone: whether a day was dropped while it was read.
    """

    def __init__(self, said: str, *, is_full: bool = False, is_gone: bool = False) -> None:
        self.is_full = is_full
        self.is_gone = is_gone
        super().__init__(said)
