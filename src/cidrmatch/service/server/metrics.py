"""What /metrics shows: how many decisions with which reason, how long they took, and how old the data is.

    cidrmatch_decisions_total{reason, preset}     a counter
    cidrmatch_decision_seconds                    a histogram: finding the client and judging the key
    cidrmatch_data_generation                     of the revision that is served; the smallest of all workers
    cidrmatch_data_age_seconds                    since the data was known to be current; the largest of all workers
    cidrmatch_log_records_dropped_total           log lines that could not be written

No label holds a key or an address.  One worker counts in its memory, which takes a fourth of the time.  Several workers
write their numbers to files in the folder that PROMETHEUS_MULTIPROC_DIR names, and whichever is asked adds them up; the
gauges of a worker that is gone do not count.

Threads: safe.
"""

from __future__ import annotations

import asyncio
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

if TYPE_CHECKING:
    from ...engine.engine import Engine
    from ...gateways.guard import GuardDecision

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_TRIES, _PAUSE = 50, 0.02
_SECONDS = (5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 1.0)


class Metrics:
    """Metrics(engine): the numbers of this worker.

    Args:
        engine: the `Engine` whose revision and age are shown.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "cidrmatch_decisions", "Decisions by reason.", ("reason", "preset"), registry=self._registry
        )
        self._by_reason: dict[tuple[str, str], Counter] = {}
        self._seconds = Histogram(
            "cidrmatch_decision_seconds", "Time of a decision.", buckets=_SECONDS, registry=self._registry
        )
        self._generation = Gauge(
            "cidrmatch_data_generation", "The generation that is served.", registry=self._registry,
            multiprocess_mode="livemin",
        )  # fmt: skip
        self._age = Gauge(
            "cidrmatch_data_age_seconds", "Seconds since the data was known to be current.", registry=self._registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self.dropped = Counter(
            "cidrmatch_log_records_dropped", "Log lines that could not be written.", registry=self._registry
        )
        self.look()

    def note(self, found: GuardDecision, seconds: float) -> None:
        """Count a decision."""
        preset = self._engine.policy.name
        counter = self._by_reason.get((found.reason, preset))
        if counter is None:
            counter = self._by_reason[found.reason, preset] = self._decisions.labels(str(found.reason), preset)
        counter.inc()
        self._seconds.observe(seconds)

    def look(self) -> None:
        """Set the gauges; call it every second, because another worker may show them."""
        revision = self._engine.revision
        self._generation.set(0 if revision is None else revision.generation)
        self._age.set(self._engine.age)

    async def page(self) -> bytes:
        """Give the page of all workers."""
        self.look()
        folder = os.environ.get(_FOLDER)
        if folder is None:
            return generate_latest(self._registry)
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        for _ in range(_TRIES):
            with suppress(struct.error):  # a worker that starts has a file without a header, for a moment
                return generate_latest(registry)
            await asyncio.sleep(_PAUSE)
        raise RuntimeError(f"the numbers in {folder} cannot be read")


def _forget_the_dead(folder: Path) -> None:
    """Remove the gauges of processes that are gone: gauge_livemax_1234.db."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except PermissionError:
            continue  # another user's process has this number now, or ours has changed its user
        except ProcessLookupError:
            with suppress(FileNotFoundError):
                path.unlink()
