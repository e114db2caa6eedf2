"""What a change is answered with: a `Report`, and in it a warning for each thing that is open now.

    put_key(...)         the policy's report on the entries, and a warning if every address passes for the key
    remove_list(...)     a report without entries, and one warning for each reason why keys are open now:
                         "no entries: every address passes for 2 keys: 'a', 'b'"

A change that leaves a key unrestricted says so, always, with the code "unrestricted".
Many keys are named by the first few of them.

Nothing here refuses or changes anything.  Keys are named by their held ids.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._keys import State
from ..errors import quote
from ..policy.policy import Report
from ..policy.problems import UNRESTRICTED, Problem, Severity

if TYPE_CHECKING:
    from .draft import Draft

__all__ = ["problem_of_key", "report_of", "warn_of_open", "warn_of_switch", "warning", "with_warning_if_open"]

_MOST_NAMED = 5
"""Keys that one warning names."""


def warning(message: str, code: str = UNRESTRICTED) -> Problem:
    """Make a warning about no entry in particular; by default, that something is open."""
    return Problem(None, "", code, Severity.WARNING, message)


def problem_of_key(problem: Problem, key: str) -> Problem:
    """Say of which key a problem speaks, where a change was about many."""
    return dataclasses.replace(problem, message=f"the key {quote(key)}: {problem.message}")


def report_of(draft: Draft, problems: Iterable[Problem]) -> Report:
    """A report of a change that brought no entries of its own."""
    return Report(draft.settings.policy, (), tuple(problems))


def _why_open(draft: Draft, key: str) -> str | None:
    """Why every address passes for a key, as this draft has it; None if not every address does."""
    if draft.state(key) is not State.UNRESTRICTED:
        return None
    record = draft.record(key)
    has_list = record.entries or record.lists or record.within or draft.default is not None
    return "the list is not enforced: every address passes" if has_list else "no entries: every address passes"


def with_warning_if_open(draft: Draft, key: str, report: Report) -> Report:
    """Add a warning to a report, if every address passes for the key now."""
    message = _why_open(draft, key)
    return report if message is None else dataclasses.replace(report, problems=(*report.problems, warning(message)))


def warn_of_open(draft: Draft, keys: Iterable[str]) -> list[Problem]:
    """One warning for each reason why every address passes for some of these keys."""
    keys_by_message: dict[str, list[str]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        message = _why_open(draft, key)
        if message is not None:
            keys_by_message[message].append(key)
    return [warning(f"{message} for {_some(found)}") for message, found in keys_by_message.items()]


def _some(keys: list[str]) -> str:
    """Name keys: how many, and the first of them by name."""
    first = ", ".join(map(quote, heapq.nsmallest(_MOST_NAMED, keys)))
    return f"{len(keys):,} key{'s' * (len(keys) != 1)}: {first}{' ...' * (len(keys) > _MOST_NAMED)}"


def warn_of_switch(enforced: bool) -> list[Problem]:
    """One warning where no list is enforced any more."""
    return [] if enforced else [warning("allow lists are not enforced: every address passes for every key")]
