"""The answer of a change: a `Report` with a warning for everything that is open now.

    put_key(...)         the policy's report on the entries, and a warning if every address passes for the key
    remove_list(...)     a report without entries, and one warning for each reason why keys are open now:
                         "no entries: every address passes for 2 keys: 'a', 'b'"

If a change leaves a key unrestricted, its report always has a warning with the
code "unrestricted".  If there are many such keys, the warning names the first
few.

Nothing here refuses or changes anything.  Reports name keys by their held ids.
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
    """Make a warning that is not about an entry; by default with the code "unrestricted"."""
    return Problem(None, "", code, Severity.WARNING, message)


def problem_of_key(problem: Problem, key: str) -> Problem:
    """Add the key to a problem, for a change of many keys."""
    return dataclasses.replace(problem, message=f"the key {quote(key)}: {problem.message}")


def report_of(draft: Draft, problems: Iterable[Problem]) -> Report:
    """Make the report of a change without entries."""
    return Report(draft.settings.policy, (), tuple(problems))


def _why_open(draft: Draft, key: str) -> str | None:
    """Why every address passes for a key in this draft; None if the key is not open."""
    if draft.state(key) is not State.UNRESTRICTED:
        return None
    record = draft.record(key)
    has_list = record.entries or record.lists or record.within or draft.default is not None
    return "the list is not enforced: every address passes" if has_list else "no entries: every address passes"


def with_warning_if_open(draft: Draft, key: str, report: Report) -> Report:
    """Add a warning to a report if the key is open now."""
    message = _why_open(draft, key)
    return report if message is None else dataclasses.replace(report, problems=(*report.problems, warning(message)))


def warn_of_open(draft: Draft, keys: Iterable[str]) -> list[Problem]:
    """Make one warning for each reason why some of these keys are open."""
    keys_by_message: dict[str, list[str]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        message = _why_open(draft, key)
        if message is not None:
            keys_by_message[message].append(key)
    return [warning(f"{message} for {_some(found)}") for message, found in keys_by_message.items()]


def _some(keys: list[str]) -> str:
    """Write the number of keys, and the names of the first few."""
    first = ", ".join(map(quote, heapq.nsmallest(_MOST_NAMED, keys)))
    return f"{len(keys):,} key{'s' * (len(keys) != 1)}: {first}{' ...' * (len(keys) > _MOST_NAMED)}"


def warn_of_switch(enforced: bool) -> list[Problem]:
    """Make a warning if no list is enforced any more."""
    return [] if enforced else [warning("allow lists are not enforced: every address passes for every key")]
