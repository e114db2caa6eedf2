"""Break-glass: for a time, a key may be used from one more address, or from everywhere.

    grant 17   key_1, 198.51.100.7/32, until 14:00    --> list "break-glass:17" [ 198.51.100.7/32 until 14:00 ]
                                                          key_1 is linked to it, besides its own lists

A grant is no change of the key: the key keeps its entries and its links, and people go on editing them.  It is added
when data is read for an engine, as a named list whose entries expire.  So each engine ends it at its moment by itself,
also if the database is gone; and lint lists it, because it is a list.

A grant that is over stays among the data, where it opens nothing, until the key gets another grant a day later.  So
the data of one revision is the same whenever it is read, and so is a snapshot of it.

A grant is believed if the history says the same: a row that was written or prolonged by hand is spoilt.  A key that is
removed takes its grants along, so a later key of the same name has none.

A key without lists of its own keeps the default list beside the grant.  A grant changes nothing for a key that every
address may use, and it stays within the lists that a key lies within.

Threads: no state here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..._core import parse_entry
from ..._keys import FrozenList, KeyRecord

__all__ = ["PREFIX", "Grant", "grant_as_values", "granted", "list_of_grant"]

PREFIX = "break-glass:"
"""How the name of a grant's list begins; no other list may have such a name."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Describe a grant.

    Attributes:
        number: of the commit that made it; its name.
        key: which key, by its held id.
        prefix: from where; None for everywhere.
        reason: why.
        expires: until when, timezone-aware.
    """

    number: int
    key: str
    prefix: str | None
    reason: str
    expires: datetime

    @property
    def name(self) -> str:
        """The name of its list."""
        return f"{PREFIX}{self.number}"


def grant_as_values(number: object, key: object, prefix: object, reason: object, expires: object) -> dict[str, object]:
    """Write the row of a grant as values for the history, where each reading finds it again."""
    return {"number": number, "key": key, "prefix": prefix, "reason": reason, "expires": expires}


def list_of_grant(grant: Grant) -> FrozenList:
    """Make the named list of a grant; ValueError if its prefix is none."""
    prefixes = ("0.0.0.0/0", "::/0") if grant.prefix is None else (grant.prefix,)
    entries = tuple(parse_entry({"prefix": prefix, "expires": grant.expires.isoformat()}) for prefix in prefixes)
    return FrozenList(grant.name, entries, f"break-glass until {grant.expires.isoformat()}: {grant.reason}")


def granted(record: KeyRecord, grants: Iterable[Grant], default: str | None, *, needs_list: bool) -> KeyRecord:
    """Give the record of a key with its grants.

    Args:
        record: the key as people see it.
        grants: those of this key.
        default: the name of the default list, or None.
        needs_list: whether the key is inactive while it has no list (N4).
    """
    has_list = bool(record.entries or record.lists)
    is_restricted = record.enabled and (has_list or record.within or default is not None or needs_list)
    if not is_restricted or (record.within and not has_list and default is None and not needs_list):
        return record
    own = record.lists if has_list or default is None else (default,)
    return dataclasses.replace(record, lists=(*own, *(grant.name for grant in grants)))
