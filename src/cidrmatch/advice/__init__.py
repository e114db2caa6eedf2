"""For people: why a check ends as it does, what deserves a look, how two lists differ.

    diff.py      two lists             addresses gained and lost, entries added, removed, relabelled
    engines.py   two engines           the same of keys, lists and rules, and who gets in by which key
    explain.py   one key, one address  every list that applies, what each says, and what decided
    hosts.py     labels of entries     the host name that an entry stands for, and the age of its answer
    lint.py      a whole engine        what is allowed and still looks like a mistake
    replay.py    recorded requests     whose answer a proposed list, policy or configuration would change
    judges.py                          asks lists and engines about many requests, for a replay
    suggest.py   observed addresses    the best list for them within a policy

Each function gives a value with the facts.  Some values also have sentences for people.  Nothing here decides who gets
in: the core and the policies decide, and advice asks them.  Nothing here changes an engine.
"""

from __future__ import annotations

from .diff import diff
from .replay import replay
from .suggest import suggest

__all__ = ["diff", "replay", "suggest"]
