"""A snapshot file that is kept in step with a store: one process of a machine follows, and all workers map the file.

    store --StoreFollower--> engine --save, if there is something new--> keys.snap          (E, 17)
                                    --after each successful look-------> keys.snap.alive    (E, 17) at 81234.5

The file is saved first; the heartbeat is written after that (engine/heartbeat.py).  Before the very first file there is
a heartbeat that proves nothing, so that no file is ever without one.  If the store does not answer, the
heartbeat stays as it is.  So every worker counts the age of its data as if it asked the store itself.

If somebody else writes the file, it is saved again, or that is refused because the other one is of a later revision.
A save that fails later on is told and tried again; meanwhile no heartbeat is written, and the workers' data grows old.

Threads: one thread copies.  Cost: a small file every second; a snapshot for each new revision.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..._keys import identify
from ...engine.following import seconds_since_boot
from ...engine.heartbeat import expect_heartbeat, write_heartbeat
from ...errors import CidrmatchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from ..._keys import Identity, Revision
    from ...engine.engine import Engine

__all__ = ["SnapshotCopy"]

_log = logging.getLogger(__name__)


class SnapshotCopy:
    """Keep a snapshot in step with a fed engine.

    Args:
        engine: of a `StoreFollower`.
        path: of the snapshot.
        tell: called with each revision that was saved.
        beat: called after each heartbeat, with its moment and the revision of the file; it must not take long.
    Attributes:
        saved: the revision of the file; None before the first save.
    """

    def __init__(
        self,
        engine: Engine,
        path: str,
        tell: Callable[[Revision], None],
        beat: Callable[[float, Revision], None] = lambda _moment, _revision: None,
    ) -> None:
        self._engine = engine
        self._path = path
        self._tell = tell
        self._beat = beat
        self._told = ""
        self._identity: Identity | None = None  # of the file as it was saved; somebody else's gets no heartbeat
        self._beat_at = float("-inf")
        self.saved: Revision | None = None

    def step(self, *, replace: bool = False) -> None:
        """Save the file if there is something new, and write a heartbeat if the store was looked at since the last.

        Args:
            replace: also replace a file that is of another source, or damaged.
        Raises:
            Conflict, OSError: as `Engine.save`; nothing says then that the file is current.
        """
        moment = seconds_since_boot() - self._engine.age  # before the revision, which may only be later
        revision = self._engine.revision
        if revision is None or moment <= self._beat_at:
            return
        if revision != self.saved or self._identity != _identity_of(self._path):
            expect_heartbeat(self._path, revision)
            self._engine.save(self._path, replace=replace)
            self._identity = _identity_of(self._path)
            is_other, self.saved = revision != self.saved, revision
            if is_other:
                self._tell(revision)
        write_heartbeat(self._path, moment, revision)
        self._beat_at = moment
        self._beat(moment, revision)

    def run(self, is_over: Event, seconds: float) -> None:
        """Make a step again and again, until the event is set; what goes wrong is logged once."""
        while not is_over.wait(seconds):
            try:
                self.step()
                self._told = ""
            except (CidrmatchError, OSError) as error:
                if str(error) != self._told:
                    self._told = str(error)
                    _log.warning("the snapshot stays at %s: %s", self.saved, error)


def _identity_of(path: str) -> Identity | None:
    """Tell which file is at a path; None if there is none."""
    try:
        return identify(path)
    except FileNotFoundError:
        return None
