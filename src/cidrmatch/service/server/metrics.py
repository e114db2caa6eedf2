"""What /metrics shows: how many decisions with which reason, how long they took, and how old the data is.

    cidrmatch_decisions_total{reason, preset}     a counter
    cidrmatch_decision_seconds                    a histogram: finding the client and judging the key
    cidrmatch_data_generation                     of the revision that is served; the smallest of all workers
    cidrmatch_data_age_seconds                    since the data was known to be current; the largest of all workers
    cidrmatch_log_records_dropped_total           log lines that could not be written
    cidrmatch_usage_records_total{outcome}        records of the usage log: written, or lost_full and so on
    cidrmatch_usage_alarms_total                  addresses that were denied again and again

    decision --note--> one worker:        `_Tally`, numbers in its memory -----------------> the page
                       several workers:   `_Files`, a file each in a folder --added up---> the page

No label holds a key or an address.  The preset is that of the last look, so a decision within half a second after the
policy was renamed may count for the old name.  Several workers write their numbers to files in the folder that
PROMETHEUS_MULTIPROC_DIR names, and whichever is asked adds them up.  What a worker counted stays when it is gone; its
gauges do not count.

Cost: 0.5 us for each decision in memory, 3.6 us in files.
Threads: an event loop notes decisions and makes the page.  Records may be dropped in any thread.
"""

from __future__ import annotations

import asyncio
import os
import struct
from bisect import bisect_left
from collections import defaultdict
from contextlib import suppress
from itertools import accumulate
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
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from ...engine.engine import Engine
    from ...gateways.guard import GuardDecision
    from ..usage.log import UsageLog

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_TRIES, _PAUSE = 50, 0.02
_DECISIONS = "cidrmatch_decisions", "Decisions by reason.", ("reason", "preset")
_TIME = "cidrmatch_decision_seconds", "Time of a decision."
_SECONDS = (5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 1.0)


class _Tally(Collector):
    """Count decisions in memory, and give the numbers when the page is made."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions: dict[str, dict[str, int]] = {}
        self._up_to = [0] * (len(_SECONDS) + 1)  # the decisions in each bucket; the last one has no bound
        self._seconds = 0.0
        registry.register(self)

    def count_for(self, preset: str) -> None:
        """Count the decisions from now on for this preset."""
        self._by_reason = self._decisions.setdefault(preset, defaultdict(int))

    def note(self, found: GuardDecision, seconds: float) -> None:
        self._by_reason[found.reason] += 1
        self._up_to[bisect_left(_SECONDS, seconds)] += 1
        self._seconds += seconds

    def collect(self) -> Iterator[Metric]:
        name, about, labels = _DECISIONS
        decisions = CounterMetricFamily(name, about, labels=labels)
        for preset, by_reason in self._decisions.items():
            for reason, count in by_reason.items():
                decisions.add_metric((str(reason), preset), count)
        yield decisions
        bounds = (*map(str, _SECONDS), "+Inf")
        yield HistogramMetricFamily(
            *_TIME, buckets=list(zip(bounds, accumulate(self._up_to), strict=True)), sum_value=self._seconds
        )


class _Files:
    """Count decisions in this worker's file."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._preset = ""
        self._decisions = Counter(*_DECISIONS, registry=registry)
        self._by_kind: dict[tuple[str, str], Counter] = {}
        self._seconds = Histogram(*_TIME, buckets=_SECONDS, registry=registry)

    def count_for(self, preset: str) -> None:
        """Count the decisions from now on for this preset."""
        self._preset = preset

    def note(self, found: GuardDecision, seconds: float) -> None:
        kind = found.reason, self._preset
        counter = self._by_kind.get(kind)
        if counter is None:
            counter = self._by_kind[kind] = self._decisions.labels(str(found.reason), kind[1])
        counter.inc()
        self._seconds.observe(seconds)


class Metrics:
    """Metrics(engine): the numbers of this worker.

    Args:
        engine: the `Engine` whose revision, age and policy are shown.
        usage: the usage log whose counts are shown, or None.
    Attributes:
        note: counts a decision and the seconds that it took.
        dropped: the counter of log lines that could not be written.
    """

    def __init__(self, engine: Engine, usage: UsageLog | None = None) -> None:
        self._engine = engine
        self._usage = usage
        self._noted: dict[str, int] = {}
        self._registry = CollectorRegistry()
        self._counts = (_Files if _FOLDER in os.environ else _Tally)(self._registry)
        self.note = self._counts.note
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
        if usage is not None:
            self._records = Counter(
                "cidrmatch_usage_records", "Records of the usage log.", ("outcome",), registry=self._registry
            )
            self._alarms = Counter(
                "cidrmatch_usage_alarms", "Addresses that were denied again and again.", registry=self._registry
            )
        self.look()

    def look(self) -> None:
        """Set the gauges and the preset; call it every second, because another worker may show them."""
        self._counts.count_for(self._engine.policy.name)
        revision = self._engine.revision
        self._generation.set(0 if revision is None else revision.generation)
        self._age.set(self._engine.age)
        if self._usage is not None:
            self._add_usage(self._usage.counts())

    def _add_usage(self, counts: dict[str, int]) -> None:
        """Add what the counts of the usage log have gained since the last look."""
        for name, count in counts.items():
            gained, self._noted[name] = count - self._noted.get(name, 0), count
            if name == "alarms":
                self._alarms.inc(gained)
            elif name not in ("waiting", "attempts"):
                self._records.labels(name).inc(gained)

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
