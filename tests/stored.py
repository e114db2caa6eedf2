"""Stores for tests: rows changed by hand, and a copy that is kept in step as a follower keeps its engine.

by_hand(url, "UPDATE keys SET ...")     a connection that knows nothing of the store; the triggers see it
Copy(store).look()                      everything at first, then what changed
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cidrmatch import Engine
from cidrmatch.engine.following import seconds_since_boot

if TYPE_CHECKING:
    from collections.abc import Callable

    from cidrmatch.service.stores.reading import Head
    from cidrmatch.service.stores.store import Store


def by_hand(url: str, *statements: str, **values: Any) -> None:
    """Execute statements in one transaction, past the store, without the checks of foreign keys that SQLite can do."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement), values)
    engine.dispose()


def ask(url: str, statement: str, **values: Any) -> Any:
    """Give the first value of a query."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        found = connection.execute(sa.text(statement), values).scalar()
    engine.dispose()
    return found


class Copy:
    """An engine that is fed from a store, one look at a time.

    Attributes:
        engine: the engine.
        looked: whether the last look took "everything", or "some".
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.engine = Engine(clock=clock)
        self.head: Head | None = None
        self.looked = ""
        self._feed = self.engine.feed()
        self.look()

    def look(self) -> None:
        """Take over what is new."""
        moment = seconds_since_boot()
        with self.store.look(self.head) as (head, reading):
            last, changed = self.head, None
            if last is not None and last.rules.policy == head.rules.policy:
                changed = reading.changed_since(head, last.revision, last.mark)
            if changed is None:
                keys, lists = reading.everything(head)
                self._feed.replace(head.revision, head.rules, keys, lists, moment=moment)
            else:
                self._feed.apply(head.revision, head.rules, *reading.some(head, changed), moment=moment)
            self.looked = "everything" if changed is None else "some"
        self.head = head
