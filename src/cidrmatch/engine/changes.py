"""The changes: what may be said about keys and lists, when it is refused, and what it is answered with.

    put_key() --> Draft --> 1. what was given is read and judged by the policy
                            2. the change of the record is judged (one function, whatever the way)
                            3. the guard asks whether its own author would be denied
                            --> Report, with a warning for each key that every address passes now

`Writer` has the changes, written once: an `Engine` commits each on its own, a
`Transaction` collects them.

Three rules keep a mistake from opening a key:

- None is "no list of its own".  An iterator that gave nothing was probably used up, and is refused.
- A switch is True or False.  None, 0 and "" are refused, for each of them would be "off".
- A change that leaves a key unrestricted says so in its `Report`, with the code "unrestricted".

Whatever is refused, nothing was changed.

Whoever changes a key says its plain id.  Each change first asks the draft for the
held id (ids.py), and what comes after knows only that.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from .._core.prefix import Entry, check_is_list, parse_prefix, take_apart
from .._keys import Checker, FrozenList, KeyRecord, Rule, State, View, named, pairs_of
from ..errors import (
    AlreadyExists,
    Conflict,
    EngineError,
    FeatureOff,
    InUse,
    InvalidPrefix,
    LockOut,
    NotPermitted,
    UnknownName,
    quote,
)
from ..policy.checks import check_switches
from ..policy.policy import Policy, Report
from ..policy.problems import UNRESTRICTED, Problem, Severity

if TYPE_CHECKING:
    from .._core.prefix import EntryLike
    from .draft import Draft

__all__ = ["Transaction", "Writer", "tell", "warn_of_open", "warn_of_switch", "warning"]

_T = TypeVar("_T")

_MOST_NAMED = 5
"""Keys that one warning names."""
_MOST_TOLD = 100
"""Warnings about single entries that a change of many keys passes on."""


class Writer:
    """Offer the changes; where they go is up to the subclass."""

    def _open(self, if_version: int | None) -> AbstractContextManager[Draft]:
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
        """Create a key.  To change one there is `update_key`, to change its entries `add_entries`.

        Args:
            key: the key's id.
            entries: its own entries, judged by the policy; None for no list of its own.
            lists: named lists to link it to.
            within: named lists that must let an address pass as well.
            created_at: timezone-aware; by default now.  It never changes once it is said.
            enabled: whether its lists are enforced.
            owner: whose key it is.
            replace: say all of an existing key anew: what is not said is dropped, but for the moment and the trial.
            actor: who makes the change, for the host's role check on links to named lists.
            caller: the address this change comes from; a change that would deny it is refused.
            force: make the change although it denies the caller.
            if_version: refuse the change unless the data is still at this version.
        Returns:
            The policy's `Report`, for its warnings; "unrestricted" among them if every address passes now.
        Raises:
            PolicyError: the entries were refused.  AlreadyExists: the key is there, and `replace` was not said.
            UnknownName: no such list.  Conflict, LockOut, FeatureOff, NotPermitted.
            EngineError: the product does not allow it; or the clock is before the product's cutover, and
            `created_at` was not said.  TypeError: a switch is not True or False.
            ValueError: the entries were an iterator that gave nothing.
            In every case nothing was changed.
        Cost: that of judging the entries.
        Source: N3, N13, B9, B10, U12; C8, C9.
        """
        _check_name("a key", key)
        check_switches(enabled=enabled, replace=replace, force=force)
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key) if draft.has_key(key) else None
            if old is not None and not replace:
                raise AlreadyExists(f"there is a key {key!r}; update_key changes it, replace=True says all of it anew")
            created_at = _moment_of(draft, key, created_at, old)
            links = _checked_links(draft, lists)
            report = _judge_entries(draft, key, entries, created_at, old, linked=bool(links))
            record = KeyRecord(
                created_at=created_at,
                entries=report.accepted,
                lists=links,
                within=_checked_links(draft, within),
                enabled=enabled,
                owner=owner,
                shadow=old.shadow if old else None,
            )
            return _save(draft, key, record, report, actor=actor, caller=caller, force=force)

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
        """Change some of what was said about a key; what is None stays.

        Args, Raises: as `put_key`.  An empty list (`[]`) takes all entries, or links, away.
        Returns:
            The policy's `Report` on the key's entries, as of `put_key`.
        Source: N13, N15, B10; C8, C9.
        """
        check_switches(enabled=True if enabled is None else enabled, force=force)
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            links = old.lists if lists is None else _checked_links(draft, lists)
            if entries is None:
                report = _unjudged(draft, old)
            else:
                report = _judge_entries(draft, key, entries, old.created_at, old, linked=bool(links))
            record = dataclasses.replace(
                old,
                entries=report.accepted,
                lists=links,
                within=old.within if within is None else _checked_links(draft, within),
                enabled=old.enabled if enabled is None else enabled,
                owner=old.owner if owner is None else owner,
            )
            return _save(draft, key, record, report, actor=actor, caller=caller, force=force)

    def add_entries(
        self,
        key: str,
        entries: Iterable[EntryLike],
        *,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Add entries to those of a key; all of them, or none.

        Args:
            entries: they go behind the key's entries, and the policy judges the whole list.
            caller, force, if_version: as for `put_key`.
        Returns:
            The policy's `Report` on the whole list; its indices are positions in it.
        Raises:
            As `put_key`.  UnknownName: no such key.
        Cost: that of judging the whole list.
        Source: B10.
        """
        check_switches(force=force)
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            entries = (*draft.record(key).entries, *_taken(entries))
            return _save_entries(draft, key, entries, caller=caller, force=force)

    def remove_entries(
        self,
        key: str,
        entries: Iterable[EntryLike],
        *,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Take entries of a key away; all of them, or none.

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
        check_switches(force=force)
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            left = _without(draft, f"the key {key!r}", draft.record(key).entries, entries)
            return _save_entries(draft, key, left, caller=caller, force=force)

    def remove_key(self, key: str, *, if_version: int | None = None) -> Report:
        """Forget a key; from then on it is unknown.

        Returns:
            A `Report` that warns if unknown keys pass.
        Raises:
            UnknownName: no such key.  FeatureOff: it has a list, and lists cannot be edited now (U2).
        """
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            _judge_change(draft, key, draft.record(key), None)
            draft.set_rule(key, None)
            passes = draft.settings.unknown_passes
            return tell(draft, [warning("the key is unknown now: every address passes")] if passes else [])

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
            replace: say all of those keys anew that are there already.
        Returns:
            A `Report` of warnings: which keys every address passes, and the first 100 about single entries.
        Raises:
            As `put_key`; the error names the key.
        """
        check_switches(replace=replace)
        with self._open(if_version) as draft:
            inner, told, opened = Transaction(draft), list[Problem](), list[str]()
            for key, entries in pairs_of(lists):
                try:
                    report = inner.put_key(key, entries, replace=replace)
                except (TypeError, ValueError) as error:
                    raise named(error, key) from None
                held = draft.held_id(key)
                for problem in report.problems:
                    if problem.code == UNRESTRICTED:
                        opened.append(held)
                    else:
                        told.append(_of_key(problem, held))
            more = [warning(f"{len(told) - _MOST_TOLD:,} more warnings", code="more")] if told[_MOST_TOLD:] else []
            return tell(draft, [*told[:_MOST_TOLD], *more, *warn_of_open(draft, opened)])

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
        """Create a named list, or replace it, for every key that is linked to it.

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
        _check_name("a list", name)
        check_switches(force=force)
        with self._open(if_version) as draft:
            _check_permitted(draft, actor, "put_list", name)
            return _save_list(draft, name, _taken(entries), description, caller=caller, force=force)

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
        """Add entries to a named list, as `add_entries` does for a key; the role check is asked for "put_list"."""
        check_switches(force=force)
        with self._open(if_version) as draft:
            _check_permitted(draft, actor, "put_list", name)
            old = draft.frozen(name)
            entries = (*old.entries, *_taken(entries))
            return _save_list(draft, name, entries, old.description, caller=caller, force=force)

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
        """Take entries of a named list away, as `remove_entries` does; the role check is asked for "put_list"."""
        check_switches(force=force)
        with self._open(if_version) as draft:
            _check_permitted(draft, actor, "put_list", name)
            old = draft.frozen(name)
            left = _without(draft, f"the list {name!r}", old.entries, entries)
            return _save_list(draft, name, left, old.description, caller=caller, force=force)

    def remove_list(
        self, name: str, *, force: bool = False, actor: object = None, if_version: int | None = None
    ) -> Report:
        """Delete a named list; forced, it is unlinked everywhere first (C21).

        Returns:
            A `Report` that warns of the keys that every address passes now.
        Raises:
            InUse: it is linked or the default, and `force` was not said.  UnknownName, FeatureOff, NotPermitted.
            EngineError: a key may not lose it; what `unlink` refuses is refused here.
        """
        check_switches(force=force)
        with self._open(if_version) as draft:
            _check_permitted(draft, actor, "remove_list", name)
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
                _judge_change(draft, key, old, record)
                draft.set_record(key, record)
            draft.default = None if is_default else draft.default
            draft.set_list(name, None)
            return tell(draft, warn_of_open(draft, (*linked, *bare)))

    def link(self, key: str, name: str, *, actor: object = None, if_version: int | None = None) -> Report:
        """Link a key to a named list, beside those it has (P6)."""
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            linked = dataclasses.replace(old, lists=_checked_links(draft, (*old.lists, name)))
            return _save(draft, key, linked, _unjudged(draft, old), actor=actor)

    def unlink(self, key: str, name: str, *, actor: object = None, if_version: int | None = None) -> Report:
        """Take a link away; after the last one the default list applies (C21).

        Returns:
            A `Report` that warns if every address passes now.
        Raises:
            UnknownName: no such key, or no such link.
            EngineError: it is a legacy key's last list, which is not emptied but disabled (C9).
        """
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            if name not in old.lists:
                raise UnknownName(f"the key {key!r} is not linked to the list {name!r}")
            left = tuple(other for other in old.lists if other != name)
            return _save(draft, key, dataclasses.replace(old, lists=left), _unjudged(draft, old), actor=actor)

    def set_default(self, name: str | None, *, actor: object = None, if_version: int | None = None) -> Report:
        """Make a named list the default for keys without a list of their own, or None for no default (P9 to P11).

        Returns:
            A `Report` that warns of the keys that every address passes now.
        Cost: looks at every key if there was a default and there is none now.
        """
        with self._open(if_version) as draft:
            _check_permitted(draft, actor, "set_default", name or "")
            if name is not None:
                if not draft.settings.policy.keys.default_list:
                    raise EngineError(f"{draft.settings.policy.name} has no default list")
                _checked_links(draft, (name,))
            bare = draft.keys_on_default() if name is None and draft.default is not None else []
            draft.default = name
            return tell(draft, warn_of_open(draft, bare))

    # 3. Lists on trial.

    def put_shadow(self, key: str, entries: Iterable[EntryLike], *, if_version: int | None = None) -> Report:
        """Try a list on a key: it decides nothing, and what it would have decided is counted (B31)."""
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            report = _judged(draft.settings.policy, _taken(entries))
            _save(draft, key, dataclasses.replace(draft.record(key), shadow=report.accepted), report)
            return report

    def remove_shadow(self, key: str, *, if_version: int | None = None) -> None:
        """End the trial."""
        with self._open(if_version) as draft:
            key = draft.held_id(key)
            old = draft.record(key)
            _save(draft, key, dataclasses.replace(old, shadow=None), _unjudged(draft, old))


class Transaction(Writer):
    """Collect changes that are published together, or not at all."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @contextmanager
    def _open(self, if_version: int | None) -> Iterator[Draft]:
        if self._draft.is_over:
            raise EngineError("the transaction is over")
        if if_version is not None and if_version != self._draft.start.version:
            raise Conflict(f"the data is at version {self._draft.start.version}, not {if_version}")
        with self._draft.all_or_nothing():
            yield self._draft


# -- What was given -----------------------------------------------------------


def _check_name(noun: str, name: object) -> None:
    if type(name) is not str:
        raise TypeError(f"{noun} is named by a text, not {type(name).__name__}")
    if not name.strip():
        raise ValueError(f"{noun} needs a name")


def _taken(items: Iterable[_T], noun: str = "entries") -> Collection[_T]:
    """Take what was given once; nothing is taken only from what is empty by its length."""
    check_is_list(items, noun)
    given = list(items)
    if not given and not (isinstance(items, Sized) and len(items) == 0):
        raise ValueError(f"the {noun} were an iterator that gave nothing; was it used up? for none of them, give []")
    return given


def _moment_of(draft: Draft, key: str, said: datetime | None, old: KeyRecord | None) -> datetime:
    """When a key was created: as it was said, or as it was known, or now."""
    if said is None and old is not None:
        return old.created_at
    if said is None:
        return _now(draft, key)
    if not isinstance(said, datetime):
        raise TypeError(f"created_at is a datetime, not {type(said).__name__}")
    if said.utcoffset() is None:
        raise ValueError("created_at needs a time zone")
    if old is not None and said != old.created_at:
        raise EngineError(f"the key {key!r} was created at {old.created_at.isoformat()}; that does not change")
    return said


def _now(draft: Draft, key: str) -> datetime:
    """The moment by the clock; a clock that is wrong must not make a key that is free for good (N5)."""
    policy = draft.settings.policy
    now = datetime.fromtimestamp(draft.settings.clock(), UTC)
    if policy.keys.new_keys_need_list and not policy.keys.needs_list(now):
        cutover = "" if policy.keys.cutover is None else f" {policy.keys.cutover.isoformat()}"
        raise EngineError(
            f"by the clock it is {now.isoformat()}, before the cutover{cutover}, so the key {key!r} would never need "
            "a list; if that is meant, say created_at"
        )
    return now


def _checked_links(draft: Draft, names: Iterable[str]) -> tuple[str, ...]:
    """Check that each list exists and is not empty; a list linked twice is linked once."""
    if isinstance(names, str):
        raise TypeError("the names of lists were expected, not one text")
    links = tuple(dict.fromkeys(_taken(names, "names of lists")))
    for name in links:
        if not draft.frozen(name).entries:
            raise EngineError(f"the list {name!r} is empty: it would deny everyone")
    return links


def _identity(entry: Entry) -> tuple[object, object]:
    """What makes two entries duplicates of each other."""
    return entry.prefix, entry.condition


def _without(draft: Draft, whose: str, entries: tuple[Entry, ...], gone: Iterable[EntryLike]) -> tuple[Entry, ...]:
    """What is left of entries without those that were named; each must be there."""
    left = {_identity(entry): entry for entry in entries}
    for index, given in enumerate(_taken(gone)):
        entry = _read_entry(draft.settings.policy, index, given)
        if left.pop(_identity(entry), None) is None:
            others = [other for other in left.values() if other.prefix == entry.prefix]
            hint = f"; it has {others[0]!r}" if others else ""
            raise UnknownName(f"entry {index}: {whose} has no {entry!r}{hint}")
    return tuple(left.values())


def _read_entry(policy: Policy, index: int, given: EntryLike) -> Entry:
    prefix, label, condition = take_apart(given, f"entry {index}: ")
    try:
        return Entry(parse_prefix(prefix, host_bits=policy.host_bits), label, condition)
    except InvalidPrefix as error:
        error.index = index
        raise


# -- Judging ------------------------------------------------------------------


def _judged(policy: Policy, entries: Collection[EntryLike]) -> Report:
    """What the policy says of a list, or PolicyError; whether a key is open the engine knows better, and says."""
    report = policy.validate(entries, on_key=False)
    report.entries()
    return report


def _unjudged(draft: Draft, old: KeyRecord) -> Report:
    """The report on entries that stay: they were judged when they came, or imported as they were."""
    return Report(draft.settings.policy, old.entries, ())


def _judge_entries(
    draft: Draft,
    key: str,
    entries: Iterable[EntryLike] | None,
    created_at: datetime,
    old: KeyRecord | None,
    *,
    linked: bool,
) -> Report:
    """Judge a key's own entries; whether they may be none depends on the product and the key."""
    policy = draft.settings.policy
    given = () if entries is None else _taken(entries)
    if given and policy.keys.binding == "lists":
        raise EngineError(f"keys of {policy.name}, such as {key!r}, have no entries of their own; link a named list")
    may_be_empty = not (old is None and policy.keys.needs_list(created_at) and not linked)
    if may_be_empty and not given:
        return Report(policy, (), ())
    return _judged(policy, given)


def _check_permitted(draft: Draft, actor: object, operation: str, name: str) -> None:
    if not draft.settings.is_enforced:
        raise FeatureOff("allow lists are switched off; they cannot be edited")
    permits = draft.settings.permits
    if permits is not None and permits(actor, operation, name) is not True:
        raise NotPermitted(f"{actor!r} may not {operation} {name!r}")


def _judge_change(draft: Draft, key: str, old: KeyRecord | None, new: KeyRecord | None) -> None:
    """Refuse what may not become of a key, whatever the way; None is a key that is not there."""
    policy = draft.settings.policy
    # 1. by the feature gate (U2)
    if not draft.settings.is_enforced and _restriction(old) != _restriction(new):
        raise FeatureOff(f"allow lists are switched off; that of the key {key!r} cannot be edited")
    if new is None or not policy.keys.new_keys_need_list:
        return
    # 2. by the product: a new key keeps its list (N2)
    if policy.keys.needs_list(new.created_at):
        if not new.enabled:
            raise EngineError(f"the key {key!r} was created at the cutover or later and cannot do without its list")
        return
    # 3. a legacy key's list is not emptied (C9); nor does it lose the last list that it lies within
    if old is None or not new.enabled:
        return
    lost_its_list = (old.entries or old.lists) and not (new.entries or new.lists)
    lost_all = old.within and not (new.entries or new.lists or new.within)
    if lost_its_list or lost_all:
        raise EngineError(
            f"the list of the legacy key {key!r} cannot be emptied; to lift the restriction, disable it (enabled=False)"
        )


def _restriction(record: KeyRecord | None) -> tuple[object, ...]:
    """What of a record makes up its allow list."""
    if record is None:
        return (), (), (), True, None
    return record.entries, record.lists, record.within, record.enabled, record.shadow


# -- Saving -------------------------------------------------------------------


def _save(
    draft: Draft,
    key: str,
    record: KeyRecord,
    report: Report,
    *,
    actor: object = None,
    caller: object = None,
    force: bool = False,
) -> Report:
    """Put a record whose entries have been judged, unless the change itself is not allowed; give the whole report."""
    old = draft.record(key) if draft.has_key(key) else None
    _judge_change(draft, key, old, record)
    now_linked = {*record.lists, *record.within}
    then_linked = set() if old is None else {*old.lists, *old.within}
    for name in sorted(now_linked ^ then_linked):
        _check_permitted(draft, actor, "link" if name in now_linked else "unlink", name)
    draft.set_record(key, record)
    if caller is not None and not force:
        _check_not_locked_out(draft, key, caller)
    message = _open_message(draft, key)
    return report if message is None else dataclasses.replace(report, problems=(*report.problems, warning(message)))


def _save_entries(
    draft: Draft, key: str, entries: Collection[EntryLike], *, caller: object = None, force: bool = False
) -> Report:
    old = draft.record(key)
    report = _judge_entries(draft, key, entries, old.created_at, old, linked=bool(old.lists))
    record = dataclasses.replace(old, entries=report.accepted)
    return _save(draft, key, record, report, caller=caller, force=force)


def _save_list(
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
    report = _judged(policy, entries)
    frozen = FrozenList(name, report.accepted, description)
    if not frozen.entries and draft.is_used(name):
        raise EngineError(f"the list {name!r} is in use and cannot be empty: it would deny everyone")
    draft.set_list(name, frozen)
    if caller is not None and not force:
        _check_list_lets_in(draft, frozen, caller)
    return report


def _check_not_locked_out(draft: Draft, key: str, caller: object) -> None:
    """Refuse a change that would deny the very address that it comes from."""
    probe = Checker()
    probe.view = draft.probe(key, counts=False)
    decision = probe.check(key, caller)
    if not decision.allowed:
        raise LockOut(f"{decision.address or 'an unknown address'} would be denied: {decision.reason.text}")


def _check_list_lets_in(draft: Draft, frozen: FrozenList, caller: object) -> None:
    probe = Checker()
    record = KeyRecord(created_at=datetime.fromtimestamp(0, UTC))
    rule = Rule(record, frozen, (), (), True, False, None)
    probe.view = View(None, {"": rule}, {}, None, 0, draft.settings.unhashed())
    if not probe.allows("", caller):
        raise LockOut(f"the list {frozen.name!r} would deny the address that this change comes from")


# -- What a change is answered with -------------------------------------------


def warning(message: str, code: str = UNRESTRICTED) -> Problem:
    return Problem(None, "", code, Severity.WARNING, message)


def _of_key(problem: Problem, key: str) -> Problem:
    return dataclasses.replace(problem, message=f"the key {quote(key)}: {problem.message}")


def tell(draft: Draft, problems: Iterable[Problem]) -> Report:
    """A report of a change that brought no entries of its own."""
    return Report(draft.settings.policy, (), tuple(problems))


def _open_message(draft: Draft, key: str) -> str | None:
    """Why every address passes for a key, as this draft has it; None if not every address does."""
    if draft.state(key) is not State.UNRESTRICTED:
        return None
    record = draft.record(key)
    has_list = record.entries or record.lists or record.within or draft.default is not None
    return "the list is not enforced: every address passes" if has_list else "no entries: every address passes"


def warn_of_open(draft: Draft, keys: Iterable[str]) -> list[Problem]:
    """One warning for each reason why every address passes for some of these keys."""
    opened: dict[str, list[str]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        message = _open_message(draft, key)
        if message is not None:
            opened[message].append(key)
    return [warning(f"{message} for {_some(found)}") for message, found in opened.items()]


def _some(keys: list[str]) -> str:
    """Name keys: how many, and the first of them by name."""
    first = ", ".join(map(quote, heapq.nsmallest(_MOST_NAMED, keys)))
    return f"{len(keys):,} key{'s' * (len(keys) != 1)}: {first}{' ...' * (len(keys) > _MOST_NAMED)}"


def warn_of_switch(enforced: bool) -> list[Problem]:
    """One warning where no list is enforced any more."""
    return [] if enforced else [warning("allow lists are not enforced: every address passes for every key")]
