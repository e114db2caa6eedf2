"""Entries that stand for host names: their labels, from which `lint` tells the name and the age of the answer.

    203.0.113.7/32   "host office.example.net, answered 2026-03-01T12:00:00+00:00"

A list holds addresses and no names.  Whoever resolves a name (docs/feeds.md) puts its addresses into a list.  The label
says where they come from, and when the answer came.

Threads: safe, keeps no state.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["host_label", "read_host_label"]

_LABEL: Final = re.compile(r"host ([^ ,]{1,253}), answered ([0-9T:.+-]{20,40})")


def host_label(host: str, answered_at: float) -> str:
    """Write the label of an entry that stands for a host name.

    Args:
        host: the name.
        answered_at: when its last answer came, in seconds since 1970.

    >>> host_label("office.example.net", 1772366400.0)
    'host office.example.net, answered 2026-03-01T12:00:00+00:00'
    """
    moment = datetime.fromtimestamp(answered_at, UTC).replace(microsecond=0)
    return f"host {host}, answered {moment.isoformat()}"


def read_host_label(label: str | None) -> tuple[str, datetime] | None:
    """Give the host name and the moment in a label that `host_label` wrote; None for any other label."""
    found = None if label is None else _LABEL.fullmatch(label)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[2])
    except ValueError:
        return None
    return None if moment.utcoffset() is None else (found[1], moment)
