"""What changed, for people, for programs, and for a hook.

    {"event": "changed", "feed": "edge", "use": "allow", "at": "2026-03-01T12:00:00+00:00",
     "removed": [{"prefix": "203.0.113.0/24", "label": "HQ"}], "lost": ["203.0.113.0/24"], "added": [], ...}

    changed   the list was taken over; what the publisher removed is in it, and so is what came
    refused   the publisher has a list that is not taken over
    gone      the publisher has no list any more
    stale     the last good list is too old

"changed" is told at least once, also after a crash and after a hook that failed; changes that were not told are told
together.  The other three are told once, when they begin.

A hook is a command.  It gets the event as JSON on its standard input, and its name in CIDRMATCH_FEED and
CIDRMATCH_FEED_EVENT.  No shell sees either.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..._core import Entry
    from ...advice.diff import ListDiff
    from .settings import Feed

__all__ = ["changed_event", "changes_of", "condition_event", "moment_of", "run_hook"]

_HOOK_SECONDS: Final = 60.0


def moment_of(seconds: float) -> str | None:
    """Write a moment in ISO 8601; None for 0, which stands for never."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def _facts(entries: Iterable[Entry]) -> list[dict[str, str | None]]:
    return [{"prefix": str(entry.prefix), "label": entry.label} for entry in entries]


def changes_of(found: ListDiff) -> dict[str, Any]:
    """Give what differs between two lists as plain values."""
    return {
        "gained": [str(prefix) for prefix in found.gained],
        "lost": [str(prefix) for prefix in found.lost],
        "added": _facts(found.added),
        "removed": _facts(found.removed),
        "relabelled": [{"from": was, "to": now} for was, now in _pairs(found)],
    }


def _pairs(found: ListDiff) -> Iterable[tuple[dict[str, str | None], dict[str, str | None]]]:
    return ((_facts([was])[0], _facts([now])[0]) for was, now in found.relabelled)


def _event(event: str, feed: Feed, now: float) -> dict[str, Any]:
    return {"event": event, "feed": feed.name, "use": feed.use, "source": feed.shown_source, "at": moment_of(now)}


def changed_event(feed: Feed, found: ListDiff, now: float) -> dict[str, Any]:
    """Make the event of a list that was taken over."""
    return _event("changed", feed, now) | changes_of(found)


def condition_event(event: str, feed: Feed, reason: str, now: float) -> dict[str, Any]:
    """Make the event of a condition that began."""
    return _event(event, feed, now) | {"reason": reason}


def run_hook(command: tuple[str, ...], event: dict[str, Any]) -> str | None:
    """Run a hook, and say what went wrong; None if nothing did."""
    told = {"CIDRMATCH_FEED": event["feed"], "CIDRMATCH_FEED_EVENT": event["event"]}
    try:
        done = subprocess.run(  # noqa: S603  the command of the one who wrote the settings, without a shell
            command,
            input=json.dumps(event).encode() + b"\n",
            env=os.environ | told,
            stdout=subprocess.DEVNULL,
            timeout=_HOOK_SECONDS,
            check=False,
        )
    except (OSError, ValueError) as error:
        return f"the hook could not be run: {error}"
    except subprocess.TimeoutExpired:
        return f"the hook was not done in {_HOOK_SECONDS:g} seconds"
    return None if done.returncode == 0 else f"the hook ended with status {done.returncode}"
