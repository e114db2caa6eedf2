"""Attempts from outside: an alarm for an address that is denied again and again.

    203.0.113.9    12:00:01 denied, :02 denied, :03 denied ...   the 100th within a minute --> the alarm, once a minute

Only denials by an allow list count: `Reason.NOT_LISTED`, `Reason.DENIED_BY_ENTRY`, `Reason.CLIENT_IP_UNKNOWN`,
`Reason.EMPTY_LIST`, and an unknown or a missing key.  An address is counted as the log keeps it, so a mask makes one
address of many.

The counts are of one window, which begins with the first denial after the last one ended.  At most `_MOST_ADDRESSES`
addresses are counted in a window; the number of those that were not is in `uncounted`.

Cost: 0.2 microseconds a denial.  Threads: one at a time, the writer's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..._core import format_address
from ..._keys import Reason

__all__ = ["Alarm", "Attempts", "Watch"]

_log = logging.getLogger(__name__)
_MOST_ADDRESSES: Final = 100_000
_COUNTED: Final = frozenset(
    (
        Reason.NOT_LISTED,
        Reason.DENIED_BY_ENTRY,
        Reason.CLIENT_IP_UNKNOWN,
        Reason.EMPTY_LIST,
        Reason.UNKNOWN_KEY,
        "no_key",
    )
)


class Attempts(NamedTuple):
    """So many requests of an address were denied since a moment, in seconds since 1970."""

    address: str | None
    requests: int
    since: float


@dataclass(frozen=True)
class Alarm:
    """Alarm(call, threshold=100, seconds=60): call a function with `Attempts`, from the writer's thread.

    Args:
        call: gets `Attempts`, once for each address and window.  If it raises, the log says so.
        threshold: so many denials within `seconds`.
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
    """

    call: Callable[[Attempts], object]
    threshold: int = 100
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if not callable(self.call):
            raise TypeError("an alarm calls a function")
        if type(self.threshold) is not int or self.threshold < 1:
            raise ValueError("threshold is a number of requests, 1 or more")
        if not self.seconds > 0:
            raise ValueError("seconds is more than 0")


class Watch:
    """Count denials by address, and give the alarm."""

    def __init__(self, alarm: Alarm | None) -> None:
        self._alarm = alarm
        self._counts: dict[bytes | None, int] = {}
        self._since = 0.0
        self.attempts = 0
        """How many denials there were."""
        self.alarms = 0
        """How often the alarm was given."""
        self.uncounted = 0
        """Denials of addresses beyond the most that are counted."""

    def see(self, at: float, packed: bytes | None, reason: object) -> None:
        """See a denial."""
        if reason not in _COUNTED:
            return
        self.attempts += 1
        alarm = self._alarm
        if alarm is None:
            return
        if not self._since <= at < self._since + alarm.seconds:
            self._counts.clear()
            self._since = at
        count = self._counts.get(packed, 0) + 1
        if count == 1 and len(self._counts) >= _MOST_ADDRESSES:
            self.uncounted += 1
            return
        self._counts[packed] = count
        if count == alarm.threshold:
            self._give(alarm, Attempts(None if packed is None else format_address(packed), count, self._since))

    def _give(self, alarm: Alarm, attempts: Attempts) -> None:
        self.alarms += 1
        try:
            alarm.call(attempts)
        except Exception:
            _log.exception("the alarm for attempts from outside failed")
