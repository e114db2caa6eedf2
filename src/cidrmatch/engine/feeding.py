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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._keys import View
from ..errors import UnknownName, quote
from .folding import store_of
from .settings import Settings, settings_of
from .storable import check_name, check_record

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
        self,
        lock: threading.RLock,
        drafting: Callable[[], AbstractContextManager[Draft]],
        publish: Callable[[Callable[[View], View]], None],
        freshness: Freshness,
    ) -> None:
        self._lock = lock
        self._drafting = drafting
        self._publish = publish
        self.freshness = freshness
        self.revision: Revision | None = None

    def begin_anew(self, lock: threading.RLock) -> None:
        """Take the engine's new lock, in a forked child."""
        self._lock = lock

    def replace(
        self,
        revision: Revision,
        rules: Rules,
        keys: Iterable[tuple[str, KeyRecord]],
        lists: Iterable[FrozenList],
        *,
        moment: float,
    ) -> None:
        """Replace all data, in one commit or not at all.  The counts of trials begin anew.

        Args:
            revision: of the data.
            rules, keys, lists: the data; keys by their held ids.
            moment: when the look at the source began.
        Raises:
            UnknownName: a key, or the default, names a list that is not among them.
            TypeError, ValueError: a record that no store can hold, two lists of one name, or a key that came twice.
        Cost: that of writing a store; records are read one after the other.
        Threads: checks go on; each is answered by the old data or by the new data.
        """
        named = _by_name(lists)
        if rules.default is not None and rules.default not in named:
            raise UnknownName(f"the default is a list that does not exist: {quote(rules.default)}")
        names = tuple(named)
        store = store_of(_checked(rules.policy, keys, named), names)

        def renewed(view: View) -> View:
            settings = _settled(settings_of(view), rules)
            return View(store, {}, named, rules.default, view.version + 1, settings, names)

        with self._lock:
            self._publish(renewed)
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

        Args, Raises: as `replace`.  ValueError: the policy is another, which only `replace` takes over.
        Cost: that of the keys and lists that changed, however many there are.
        """
        with self._lock:
            with self._drafting() as draft:
                if rules.policy != draft.settings.policy:
                    raise ValueError("the policy is another one now; everything has to be replaced")
                draft.settings, draft.default = _settled(draft.settings, rules), rules.default
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


def _settled(settings: Settings, rules: Rules) -> Settings:
    """Take over the rules; a policy that did not change stays the same object."""
    policy = settings.policy if rules.policy == settings.policy else rules.policy
    return dataclasses.replace(
        settings, policy=policy, is_enforced=rules.is_enforced, unknown_passes=rules.unknown_passes
    )


def _by_name(lists: Iterable[FrozenList]) -> dict[str, FrozenList]:
    """Sort the lists by their names, as a snapshot does; each name is there once."""
    found: dict[str, FrozenList] = {}
    for frozen in lists:
        check_name("a list", frozen.name)
        name = str(frozen.name)
        if name in found:
            raise ValueError(f"there are two lists of the name {quote(name)}")
        found[name] = frozen
    return dict(sorted(found.items()))


def _checked(
    policy: Policy, keys: Iterable[tuple[str, KeyRecord]], lists: Mapping[str, FrozenList]
) -> Iterator[tuple[str, KeyRecord, bool]]:
    """Give the records that a store can hold and whose lists exist, and whether each needs its list."""
    needs_list = policy.keys.needs_list
    for key, record in keys:
        check_record(key, record)
        for name in record.lists + record.within:
            if name not in lists:
                raise UnknownName(f"the key {quote(key)} is linked to a list that does not exist: {quote(name)}")
        yield key, record, needs_list(record.created_at)


def _check_names(draft: Draft, default: str | None, records: Iterable[KeyRecord]) -> None:
    """Raise UnknownName if something names a list that does not exist."""
    if default is not None:
        draft.frozen(default)
    for record in records:
        for name in (*record.lists, *record.within):
            draft.frozen(name)
