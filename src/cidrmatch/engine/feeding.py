"""Feeding an engine from a source that is no file, such as a database.

    source     revision (E, 7): everything            --replace-->  View n + 1      engine.revision is (E, 7)
               revision (E, 9): two keys, one list    --apply---->  View n + 2      engine.revision is (E, 9)
               nothing new                            --note----->  engine.age is small again

A fed engine takes no changes of its own: they would be overwritten, and nobody
else would see them.  Whoever changes data changes it in the source.

Who feeds has judged everything by the policy.  The view is published first and
its revision is set after that, both under the engine's lock.  So who sees a
revision is answered by that revision, or by a later one.

`moment` is always the time, by `seconds_since_boot`, at which a look at the
source began: the data was current then.

Threads: one thread feeds; checks take no lock.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._keys import FrozenList, KeyRecord, Revision
    from ..policy.policy import Policy
    from .draft import Draft
    from .following import Freshness

__all__ = ["Feed", "Rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Hold what a source says besides keys and lists.

    Attributes:
        policy: what the product accepts.
        is_enforced: whether allow lists are enforced at all (U2).
        unknown_passes: whether an unknown key passes.
        default: the name of the default list, or None (P9).
    """

    policy: Policy
    is_enforced: bool = True
    unknown_passes: bool = False
    default: str | None = None


class Feed:
    """Keep an engine in step with a source; made by `Engine.feed`.

    Attributes:
        revision: the revision of the engine's data; None before the first `replace`.
        freshness: when the data was last current.
    """

    def __init__(
        self, lock: threading.RLock, drafting: Callable[[], AbstractContextManager[Draft]], freshness: Freshness
    ) -> None:
        self._lock = lock
        self._drafting = drafting
        self.freshness = freshness
        self.revision: Revision | None = None

    def begin_anew(self, lock: threading.RLock) -> None:
        """Take the engine's new lock, in a forked child."""
        self._lock = lock

    def replace(
        self,
        revision: Revision,
        rules: Rules,
        keys: Mapping[str, KeyRecord],
        lists: Iterable[FrozenList],
        *,
        moment: float,
    ) -> None:
        """Replace all data, in one commit or not at all.

        Args:
            revision: of the data.
            rules, keys, lists: the data; keys by their held ids.
            moment: when the look at the source began.
        Raises:
            UnknownName: a key, or the default, names a list that is not among them.
            TypeError, ValueError: a record that no store can hold, or two lists of one name.
        """
        with self._lock:
            with self._drafting() as draft:
                _settle(draft, rules)
                draft.replace_all(keys, lists, rules.default)
            self._stand(revision, moment)

    def apply(
        self,
        revision: Revision,
        rules: Rules,
        keys: Mapping[str, KeyRecord | None],
        lists: Mapping[str, FrozenList | None],
        *,
        moment: float,
    ) -> None:
        """Replace some keys and lists, in one commit or not at all; None removes one.

        Args, Raises: as `replace`.
        Cost: that of the keys and lists that changed, however many there are.
        """
        with self._lock:
            with self._drafting() as draft:
                _settle(draft, rules)
                for name, frozen in lists.items():
                    draft.set_list(name, frozen)
                for key, record in keys.items():
                    if record is None:
                        draft.set_rule(key, None)
                    else:
                        draft.set_record(key, record)
                _check_names(draft, rules.default, (record for record in keys.values() if record is not None))
                for name in (name for name, frozen in lists.items() if frozen is None):
                    if draft.is_used(name):
                        raise ValueError(f"the list {name!r} is gone, and a key or the default still names it")
            self._stand(revision, moment)

    def note(self, moment: float) -> None:
        """Note that the source had nothing newer when a look at it began."""
        self.freshness.note(moment)

    def _stand(self, revision: Revision, moment: float) -> None:
        self.revision = revision
        self.freshness.note(moment)


def _settle(draft: Draft, rules: Rules) -> None:
    """Take over the rules; a policy that did not change stays the same object."""
    said: dict[str, Any] = {"is_enforced": rules.is_enforced, "unknown_passes": rules.unknown_passes}
    if rules.policy != draft.settings.policy:
        said["policy"] = rules.policy
    draft.settings = dataclasses.replace(draft.settings, **said)
    draft.default = rules.default


def _check_names(draft: Draft, default: str | None, records: Iterable[KeyRecord]) -> None:
    """Raise UnknownName if something names a list that does not exist."""
    if default is not None:
        draft.frozen(default)
    for record in records:
        for name in (*record.lists, *record.within):
            draft.frozen(name)
