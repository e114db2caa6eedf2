"""Lists in a database, changed while requests run; every worker knows within ten seconds (B11, C19).

people --change--> tables --look, every two seconds--> follower --feed--> engine --> requests
                     |                                    ^
                     '---nudge: there is something new ---'

schema      the tables
upgrading   makes them, and brings those of an older program to today's form
following   an engine for requests, kept in step with a store
nudges      what hurries it: SQLite's own counter, LISTEN of PostgreSQL, Redis
by_hand     rows that somebody changes with psql or sqlite3 are changes, too
tokens      who may use the admin API
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import StoreError, StoreUnavailable
    from .following import StoreFollower
    from .store import Store

__all__ = ["Store", "StoreError", "StoreFollower", "StoreUnavailable"]

_ROOMS = {"Store": "store", "StoreFollower": "following", "StoreError": "errors", "StoreUnavailable": "errors"}


def __getattr__(name: str) -> Any:
    """Import a room when its name is first used: others here need no database."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
