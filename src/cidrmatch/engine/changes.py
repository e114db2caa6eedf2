"""The changes of keys and lists.

    put_key() --> Draft --> 1. the arguments are read and judged by the policy               (refusals.py)
                            2. one function decides whether the record may change in this way
                            3. if the caller's address is given: would it be denied now?
                            --> Report, with a warning for each key that is open now   (answers.py)

The class `Changes` has all changes.  An `Engine` commits each change by itself;
a `Transaction` collects changes for one commit.  A refused change has changed
nothing.

Callers pass the plain id of a key.  Each change first asks the draft for the
held id (ids.py), and then uses only the held id.

Cost: that of judging the arguments; see each change.
Threads: writers take turns, see engine.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from .._keys import FrozenList, KeyRecord, named, pairs_of
from ..errors import AlreadyExists, Conflict, EngineError, InUse, UnknownName
from ..policy.checks import check_switches
from ..policy.problems import UNRESTRICTED, Problem
from .answers import problem_of_key, report_of, warn_of_open, warning, with_warning_if_open
from .refusals import (
    check_change,
    check_list_lets_in,
    check_not_locked_out,
    check_permitted,
    entries_without,
    judge_by_policy,
    judge_own_entries,
    moment_of_creation,
    read_links,
    report_of_kept,
    take_once,
)
from .storable import check_name

if TYPE_CHECKING:
    from .._core import Entry, EntryLike
    from ..policy.policy import Report
    from .draft import Draft

__all__ = ["Changes", "Transaction"]

_MOST_TOLD = 100
"""The most warnings about single entries in the report of a change of many keys."""


class Changes:
    """The changes; a subclass decides what happens to the draft."""

    def _drafting(self, if_version: int | None) -> AbstractContextManager[Draft]:
        raise NotImplementedError

    # 1. Keys.

    def put_key(
        self,
        key: str,
        entries: Iterable[EntryLike] | None = None,
        *,
        lists: Iterable[str] = (),
        within: Iterable[str] = (),
        created_at: datetime | None = None,
        enabled: bool = True,
        owner: str | None = None,
        replace: bool = False,
        actor: object = None,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Create a key.  `update_key` changes an existing key, `add_entries` adds entries to it.

        Args:
            key: the key's id.
            entries: its own entries, judged by the policy; None for no list of its own.
            lists: named lists to link it to.
            within: named lists that must let an address pass as well.
            created_at: timezone-aware; by default now.  It never changes afterwards.
            enabled: whether its lists are enforced.
            owner: the name of whoever owns the key.
            replace: replace everything that an existing key has; only its `created_at` and its trial are kept.
            actor: who makes the change, for the host's role check on links to named lists.
            caller: the address that this change comes from; a change that would deny this address is refused.
            force: make the change even if it denies the caller.
            if_version: refuse the change unless the data still has this version.
        Returns:
            The policy's `Report` with its warnings; it has the warning "unrestricted" if every address passes now.
        Raises:
            PolicyError: the entries were refused.  AlreadyExists: the key exists, and `replace` is False.
            UnknownName: no such list.  Conflict, LockOut, FeatureOff, NotPermitted.
            EngineError: the product does not allow the change; or the clock is before the product's cutover, and
            `created_at` was not given.  TypeError: a switch is not True or False.
            ValueError: the entries were an iterator that yielded nothing.
            In every case nothing was changed.
        Cost: that of judging the entries.
        Source: N3, N13, B9, B10, U12; C8, C9.
        """
        check_name("a key", key)
        check_switches(enabled=enabled, replace=replace, force=force)
        with self._drafting(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key) if draft.has_key(key) else None
            if old is not None and not replace:
                raise AlreadyExists(f"there is a key {key!r}; update_key changes it, replace=True says all of it anew")
            created_at = moment_of_creation(draft, key, created_at, old)
            links = read_links(draft, lists)
            report = judge_own_entries(draft, key, entries, created_at, old, linked=bool(links))
            record = KeyRecord(
                created_at=created_at,
                entries=report.accepted,
                lists=links,
                within=read_links(draft, within),
                enabled=enabled,
                owner=owner,
                shadow=old.shadow if old else None,
            )
            return _put_judged(draft, key, record, report, actor=actor, caller=caller, force=force)

    def update_key(
        self,
        key: str,
        *,
        entries: Iterable[EntryLike] | None = None,
        lists: Iterable[str] | None = None,
        within: Iterable[str] | None = None,
        enabled: bool | None = None,
        owner: str | None = None,
        actor: object = None,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Change some facts of a key; an argument that is None changes nothing.

        Args, Raises: as `put_key`.  An empty list (`[]`) removes all entries, or all links.
        Returns:
            The policy's `Report` on the key's entries, as of `put_key`.
        Source: N13, N15, B10; C8, C9.
        """
        check_switches(enabled=True if enabled is None else enabled, force=force)
        with self._drafting(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            links = old.lists if lists is None else read_links(draft, lists)
            if entries is None:
                report = report_of_kept(draft, old)
            else:
                report = judge_own_entries(draft, key, entries, old.created_at, old, linked=bool(links))
            record = dataclasses.replace(
                old,
                entries=report.accepted,
                lists=links,
                within=old.within if within is None else read_links(draft, within),
                enabled=old.enabled if enabled is None else enabled,
                owner=old.owner if owner is None else owner,
            )
            return _put_judged(draft, key, record, report, actor=actor, caller=caller, force=force)

    def add_entries(
        self,
        key: str,
        entries: Iterable[EntryLike],
        *,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Add entries to a key; all of them, or none.

        Args:
            entries: they are added behind the key's entries; then the policy judges the whole list.
            caller, force, if_version: as for `put_key`.
        Returns:
            The policy's `Report` on the whole list; its indices are positions in it.
        Raises:
            As `put_key`.  UnknownName: no such key.
        Cost: that of judging the whole list.
        Source: B10.
        """

        def with_more(_: Draft, __: str, old: tuple[Entry, ...]) -> Collection[EntryLike]:
            return (*old, *take_once(entries))

        return self._change_entries(key, with_more, caller=caller, force=force, if_version=if_version)

    def remove_entries(
        self,
        key: str,
        entries: Iterable[EntryLike],
        *,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Remove entries of a key; all of them, or none.

        Args:
            entries: an entry is found by its prefix and its condition; its label does not matter.
            caller, force, if_version: as for `put_key`.
        Returns:
            The policy's `Report` on what is left.
        Raises:
            UnknownName: no such key, or it has no such entry.  Else as `put_key`.
        Cost: that of judging what is left.
        Source: B10; C9.
        """

        def without_some(draft: Draft, key: str, old: tuple[Entry, ...]) -> Collection[EntryLike]:
            return entries_without(draft, f"the key {key!r}", old, entries)

        return self._change_entries(key, without_some, caller=caller, force=force, if_version=if_version)

    def _change_entries(
        self,
        key: str,
        change: Callable[[Draft, str, tuple[Entry, ...]], Collection[EntryLike]],
        *,
        caller: object,
        force: bool,
        if_version: int | None,
    ) -> Report:
        """Replace the entries of a key by what `change` makes of the draft, the held id and the old entries."""
        check_switches(force=force)
        with self._drafting(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            report = judge_own_entries(
                draft, key, change(draft, key, old.entries), old.created_at, old, linked=bool(old.lists)
            )
            record = dataclasses.replace(old, entries=report.accepted)
            return _put_judged(draft, key, record, report, caller=caller, force=force)

    def remove_key(self, key: str, *, if_version: int | None = None) -> Report:
        """Remove a key; afterwards it is unknown.

        Returns:
            A `Report` that warns if unknown keys pass.
        Raises:
            UnknownName: no such key.  FeatureOff: it has a list, and lists cannot be edited now (U2).
        """
        with self._drafting(if_version) as draft:
            key = draft.held_id(key)
            check_change(draft, key, draft.record(key), None)
            draft.set_rule(key, None)
            passes = draft.settings.unknown_passes
            return report_of(draft, [warning("the key is unknown now: every address passes")] if passes else [])

    def put_keys(
        self,
        lists: Mapping[str, Iterable[EntryLike] | None] | Iterable[tuple[str, Iterable[EntryLike] | None]],
        *,
        replace: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Create many keys at once: all of them, in one commit, or none.

        Args:
            lists: a mapping from key to entries, or pairs of both; entries as for `put_key`.
            replace: replace those keys that exist already.
        Returns:
            A `Report` of warnings: which keys are open, and the first 100 warnings about single entries.
        Raises:
            As `put_key`; the error names the key.
        """
        check_switches(replace=replace)
        with self._drafting(if_version) as draft:
            inner, told, open_keys = Transaction(draft), list[Problem](), list[str]()
            for key, entries in pairs_of(lists):
                try:
                    report = inner.put_key(key, entries, replace=replace)
                except (TypeError, ValueError) as error:
                    raise named(error, key) from None
                held = draft.held_id(key)
                for problem in report.problems:
                    if problem.code == UNRESTRICTED:
                        open_keys.append(held)
                    else:
                        told.append(problem_of_key(problem, held))
            more = [warning(f"{len(told) - _MOST_TOLD:,} more warnings", code="more")] if told[_MOST_TOLD:] else []
            return report_of(draft, [*told[:_MOST_TOLD], *more, *warn_of_open(draft, open_keys)])

    # 2. Named lists.

    def put_list(
        self,
        name: str,
        entries: Iterable[EntryLike],
        *,
        description: str = "",
        actor: object = None,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Create a named list, or replace it for every key that is linked to it.

        Args:
            name: the name of the list.
            entries: judged by the policy.
            description: what it is for.
            actor: who makes the change, for the host's role check.
            caller, force, if_version: as for `put_key`.
        Returns:
            The policy's `Report`.
        Raises:
            PolicyError, EngineError, ValueError: as `put_key`; a used list cannot be emptied (C22).
        Source: P1 to P5; C22.
        """
        check_name("a list", name)

        def replaced_by(_: Draft) -> tuple[Collection[EntryLike], str]:
            return take_once(entries), description

        return self._change_list(name, replaced_by, actor=actor, caller=caller, force=force, if_version=if_version)

    def add_to_list(
        self,
        name: str,
        entries: Iterable[EntryLike],
        *,
        actor: object = None,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Add entries to a named list, as `add_entries` does for a key; the role check is asked about "put_list"."""

        def with_more(draft: Draft) -> tuple[Collection[EntryLike], str]:
            old = draft.frozen(name)
            return (*old.entries, *take_once(entries)), old.description

        return self._change_list(name, with_more, actor=actor, caller=caller, force=force, if_version=if_version)

    def remove_from_list(
        self,
        name: str,
        entries: Iterable[EntryLike],
        *,
        actor: object = None,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Remove entries of a named list, as `remove_entries` does; the role check is asked about "put_list"."""

        def without_some(draft: Draft) -> tuple[Collection[EntryLike], str]:
            old = draft.frozen(name)
            return entries_without(draft, f"the list {name!r}", old.entries, entries), old.description

        return self._change_list(name, without_some, actor=actor, caller=caller, force=force, if_version=if_version)

    def _change_list(
        self,
        name: str,
        change: Callable[[Draft], tuple[Collection[EntryLike], str]],
        *,
        actor: object,
        caller: object,
        force: bool,
        if_version: int | None,
    ) -> Report:
        """Put a named list with the entries and the description that `change`, a function of the draft, returns."""
        check_switches(force=force)
        with self._drafting(if_version) as draft:
            check_permitted(draft, actor, "put_list", name)
            entries, description = change(draft)
            return _put_list(draft, name, entries, description, caller=caller, force=force)

    def remove_list(
        self, name: str, *, force: bool = False, actor: object = None, if_version: int | None = None
    ) -> Report:
        """Delete a named list; with `force`, it is first unlinked from all keys (C21).

        Returns:
            A `Report` that warns of keys that are open now.
        Raises:
            InUse: it is linked or the default, and `force` is False.  UnknownName, FeatureOff, NotPermitted.
            EngineError: a key must not lose this list; what `unlink` refuses is refused here, too.
        """
        check_switches(force=force)
        with self._drafting(if_version) as draft:
            check_permitted(draft, actor, "remove_list", name)
            draft.frozen(name)
            linked, is_default = draft.keys_of(name), draft.default == name
            if (linked or is_default) and not force:
                uses = [f"linked to {len(linked)} keys"] * bool(linked) + ["the default"] * is_default
                raise InUse(f"the list {name!r} is {' and '.join(uses)}; unlink it first, or force")
            bare = draft.keys_on_default() if is_default else []
            for key in linked:
                old = draft.record(key)
                record = dataclasses.replace(
                    old,
                    lists=tuple(other for other in old.lists if other != name),
                    within=tuple(other for other in old.within if other != name),
                )
                check_change(draft, key, old, record)
                draft.set_record(key, record)
            draft.default = None if is_default else draft.default
            draft.set_list(name, None)
            return report_of(draft, warn_of_open(draft, (*linked, *bare)))

    def link(self, key: str, name: str, *, actor: object = None, if_version: int | None = None) -> Report:
        """Link a key to one more named list (P6)."""
        with self._drafting(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            linked = dataclasses.replace(old, lists=read_links(draft, (*old.lists, name)))
            return _put_judged(draft, key, linked, report_of_kept(draft, old), actor=actor)

    def unlink(self, key: str, name: str, *, actor: object = None, if_version: int | None = None) -> Report:
        """Remove a link; after the last link, the default list applies (C21).

        Returns:
            A `Report` that warns if every address passes now.
        Raises:
            UnknownName: no such key, or no such link.
            EngineError: it is the last list of a legacy key, which can only be disabled (C9).
        """
        with self._drafting(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            if name not in old.lists:
                raise UnknownName(f"the key {key!r} is not linked to the list {name!r}")
            left = tuple(other for other in old.lists if other != name)
            return _put_judged(
                draft, key, dataclasses.replace(old, lists=left), report_of_kept(draft, old), actor=actor
            )

    def set_default(self, name: str | None, *, actor: object = None, if_version: int | None = None) -> Report:
        """Make a named list the default for keys without own or linked lists; None for no default (P9 to P11).

        Returns:
            A `Report` that warns of keys for which every address passes now.
        Cost: looks at every key if there was a default and there is none now.
        """
        with self._drafting(if_version) as draft:
            check_permitted(draft, actor, "set_default", name or "")
            if name is not None:
                if not draft.settings.policy.keys.default_list:
                    raise EngineError(f"{draft.settings.policy.name} has no default list")
                read_links(draft, (name,))
            bare = draft.keys_on_default() if name is None and draft.default is not None else []
            draft.default = name
            return report_of(draft, warn_of_open(draft, bare))

    # 3. Lists on trial.

    def put_shadow(self, key: str, entries: Iterable[EntryLike], *, if_version: int | None = None) -> Report:
        """Put a list of a key on trial: it decides nothing; what it would have decided is counted (B31)."""
        with self._drafting(if_version) as draft:
            key = draft.held_id(key)
            report = judge_by_policy(draft.settings.policy, take_once(entries))
            _put_judged(draft, key, dataclasses.replace(draft.record(key), shadow=report.accepted), report)
            return report

    def remove_shadow(self, key: str, *, if_version: int | None = None) -> None:
        """End the trial."""
        with self._drafting(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            _put_judged(draft, key, dataclasses.replace(old, shadow=None), report_of_kept(draft, old))


class Transaction(Changes):
    """Collect changes that are published in one commit, or not at all."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @contextmanager
    def _drafting(self, if_version: int | None) -> Iterator[Draft]:
        if self._draft.is_over:
            raise EngineError("the transaction is over")
        if if_version is not None and if_version != self._draft.start.version:
            raise Conflict(f"the data is at version {self._draft.start.version}, not {if_version}")
        with self._draft.all_or_nothing():
            yield self._draft


# -- Putting ------------------------------------------------------------------


def _put_judged(
    draft: Draft,
    key: str,
    record: KeyRecord,
    report: Report,
    *,
    actor: object = None,
    caller: object = None,
    force: bool = False,
) -> Report:
    """Put a record whose entries were judged, if the change itself is allowed; give the complete report."""
    old = draft.record(key) if draft.has_key(key) else None
    check_change(draft, key, old, record)
    now_linked = {*record.lists, *record.within}
    then_linked = set() if old is None else {*old.lists, *old.within}
    for name in sorted(now_linked ^ then_linked):
        check_permitted(draft, actor, "link" if name in now_linked else "unlink", name)
    draft.set_record(key, record)
    if caller is not None and not force:
        check_not_locked_out(draft, key, caller)
    return with_warning_if_open(draft, key, report)


def _put_list(
    draft: Draft,
    name: str,
    entries: Collection[EntryLike],
    description: str,
    *,
    caller: object = None,
    force: bool = False,
) -> Report:
    """Judge a named list and put it."""
    policy = draft.settings.policy
    if not isinstance(description, str):
        raise TypeError(f"a description is text, not {type(description).__name__}")
    if policy.keys.describe_lists and not description.strip():
        raise EngineError(f"the list {name!r} needs a description")
    report = judge_by_policy(policy, entries)
    frozen = FrozenList(name, report.accepted, description)
    if not frozen.entries and draft.is_used(name):
        raise EngineError(f"the list {name!r} is in use and cannot be empty: it would deny everyone")
    draft.set_list(name, frozen)
    if caller is not None and not force:
        check_list_lets_in(draft, frozen, caller)
    return report
