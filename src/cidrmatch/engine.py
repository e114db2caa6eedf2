"""Keys, named lists, links and a default: everything that changes, and the commits that publish it.

The engine keeps no data of its own beside its current `View` (see check.pyx).
A change works on a `Draft`, a view in the making, and publishes it by moving
one reference; whatever goes wrong before that leaves the old view standing:

    put_key() --> lock --> Draft --> validate, change, guard --> View n + 1 --> engine.view
                            ^                                                     ^
                            '-- transaction(): several changes, one commit        '-- readers look here, once a check

`Writer` has the changes, written once: an `Engine` commits each on its own, a
`Transaction` collects them.

What changed lately is an overlay of objects, some thousand keys at most.  When it
has grown, it is folded: a new `KeyStore` is made of the old one and the overlay,
beside the readers, and the next view has it and an overlay of what came since.

Invariants: the version grows by one with each commit; a published view never
changes; a record's entries were accepted by the policy, or imported as they were.
Cost: a commit copies the overlay, whatever the number of keys; a fold copies the store, in the background.
Threads: writers take turns by a lock; readers take none.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from dataclasses import replace as replaced  # where an argument has that name
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from ._core.check import Checker, FrozenList, Rule, Shadow, View, key_text
from ._core.prefix import check_is_list
from .errors import (
    Conflict,
    EngineError,
    FeatureOff,
    InUse,
    LockOut,
    NotPermitted,
    SnapshotError,
    UnknownName,
    brief,
)
from .file_lock import FileLock
from .following import Follower, Freshness, seconds_since_boot
from .forking import remember
from .policy import Policy, Report
from .records import KeyRecord, Settings, canonical, folded, opened
from .saving import Known, Standing, check_newer, next_revision
from .snapshot import (
    Identity,
    PathLike,
    Revision,
    checksum_of,
    flush_name,
    identify,
    open_block,
    remove_drafts,
    revision_at,
    revision_of,
    save_block,
)

if TYPE_CHECKING:
    from ._core.keystore import KeyStore
    from ._core.prefix import Entry, EntryLike
    from ._core.reasons import State

__all__ = ["Engine", "Transaction"]

_SMALLEST_FOLD = 2_048
"""An overlay this small is not worth folding into the store."""
_LARGEST_OVERLAY = 4
"""So many times the size from which one is folded in the background: then at once, within the commit."""
_NOTHING = object()

_log = logging.getLogger(__name__)


# -- A view in the making -----------------------------------------------------


@dataclass(slots=True)
class Draft:
    """Hold the changes to a view until they are published together."""

    start: View
    settings: Settings
    lists: dict[str, FrozenList]
    default: str | None
    rules: dict[str, Rule | None] = field(default_factory=dict)
    undo: list[tuple[str, Rule | None, bool]] | None = None
    is_over: bool = False

    def rule(self, key: str) -> Rule:
        """Find the rule of a key, changed or not."""
        key = key_text(key)
        rule = self.rules[key] if key in self.rules else self.start.rule(key)
        if rule is None:
            raise UnknownName(f"no key {key!r}")
        return rule

    def has_key(self, key: str) -> bool:
        """Whether the key exists in this draft."""
        key = key_text(key)
        return (self.rules[key] if key in self.rules else self.start.rule(key)) is not None

    def record(self, key: str) -> KeyRecord:
        """Find the record of a key, changed or not."""
        return cast("KeyRecord", self.rule(key).record)

    def set_record(self, key: str, record: KeyRecord) -> None:
        """Put a record as it is; whoever calls has validated it."""
        cutover = self.settings.policy.keys.cutover
        needs_list = (
            self.settings.policy.keys.new_keys_need_list and cutover is not None and record.created_at >= cutover
        )
        own = FrozenList(None, record.entries) if record.entries else None
        shadow = self._shadow(key, record)
        self.set_rule(key, Rule(record, own, record.lists, record.within, record.enabled, needs_list, shadow))

    def set_rule(self, key: str, rule: Rule | None) -> None:
        """Put a rule, or None to remove the key, so that it can be undone."""
        key = key_text(key)  # a subclass of str may have another hash than its text
        if self.undo is not None:
            self.undo.append((key, self.rules.get(key), key in self.rules))
        self.rules[key] = rule

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo the changes made inside, if an exception leaves."""
        outer, before = self.undo, (dict(self.lists), self.default)
        self.undo = []
        try:
            yield
        except BaseException:
            for key, rule, was_there in reversed(self.undo):
                if was_there:
                    self.rules[key] = rule
                else:
                    del self.rules[key]
            self.lists, self.default = before
            self.undo = outer
            raise
        self.undo = None if outer is None else outer + self.undo

    def _shadow(self, key: str, record: KeyRecord) -> Shadow | None:
        """The trial of a key; its counts go on while its entries stay the same."""
        old = self.rule(key) if self.has_key(key) else None
        if record.shadow is None or (
            old is not None and old.shadow is not None and old.shadow.list.entries == record.shadow
        ):
            return old.shadow if old is not None and record.shadow is not None else None
        return Shadow(FrozenList(None, record.shadow))

    def frozen(self, name: str) -> FrozenList:
        """Find a named list."""
        if name not in self.lists:
            raise UnknownName(f"no list {name!r}")
        return self.lists[name]

    def keys(self) -> Iterator[str]:
        """Name all keys of this draft."""
        yield from (key for key in self.start if key not in self.rules)
        yield from (key for key, rule in self.rules.items() if rule is not None)

    def keys_of(self, name: str) -> list[str]:
        """Name the keys that are linked to a list or lie within it."""
        start = self.start
        changed = {**start.overlay, **self.rules} if self.rules else start.overlay
        linked = [key for key, rule in changed.items() if rule is not None and name in (*rule.names, *rule.within)]
        if start.store is not None and name in start.names:
            linked += [key for key in start.store.keys_linked(start.names.index(name)) if key not in changed]
        return sorted(linked)

    def is_used(self, name: str) -> bool:
        """Whether a list can decide anything."""
        return name == self.default or bool(self.keys_of(name))

    def build(self, version: int) -> View:
        """Build the view: the same store and a larger overlay."""
        start = self.start
        overlay = {**start.overlay, **self.rules} if self.rules else start.overlay
        known = set(start.names)
        names = start.names + tuple(name for name in self.lists if name not in known)
        return View(start.store, overlay, dict(self.lists), self.default, version, self.settings, names)


# -- The changes --------------------------------------------------------------


class Writer:
    """Offer the changes; where they go is up to the subclass."""

    def _open(self, if_version: int | None) -> AbstractContextManager[Draft]:
        raise NotImplementedError

    # 1. Keys.

    def put_key(
        self,
        key: str,
        entries: Iterable[EntryLike] = (),
        *,
        lists: Iterable[str] = (),
        within: Iterable[str] = (),
        created_at: datetime | None = None,
        enabled: bool = True,
        owner: str | None = None,
        actor: object = None,
        caller: object = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Create a key, or replace all that was said about it.

        Args:
            key: the key's id.
            entries: its own entries, judged by the policy.
            lists: named lists to link it to.
            within: named lists that must let an address pass as well.
            created_at: timezone-aware; by default now.  It never changes once it is said.
            enabled: whether its lists are enforced.
            owner: whose key it is.
            actor: who makes the change, for the host's role check on links to named lists.
            caller: the address this change comes from; a change that would deny it is refused.
            force: make the change although it denies the caller.
            if_version: refuse the change unless the data is still at this version.
        Returns:
            The policy's `Report`, for its warnings.
        Raises:
            PolicyError: the entries were refused.  UnknownName: no such list.  Conflict, LockOut, FeatureOff.
            EngineError: the product does not allow it.  In every case nothing was changed.
        Source: N3, N13, B9, B10, U12; C8, C9.
        """
        _check_name("a key", key)
        with self._open(if_version) as draft:
            old = draft.record(key) if draft.has_key(key) else None
            if created_at is None:
                created_at = old.created_at if old else datetime.fromtimestamp(draft.settings.clock(), UTC)
            if created_at.utcoffset() is None:
                raise ValueError("created_at needs a time zone")
            if old is not None and created_at != old.created_at:
                raise EngineError(f"the key {key!r} was created at {old.created_at.isoformat()}; that does not change")
            links = _checked_links(draft, lists)
            report, accepted = _judge_entries(draft, entries, created_at, old, linked=bool(links))
            record = KeyRecord(
                created_at=created_at,
                entries=accepted,
                lists=links,
                within=_checked_links(draft, within),
                enabled=enabled,
                owner=owner,
                shadow=old.shadow if old else None,
            )
            _save(draft, key, record, actor=actor, caller=caller, force=force)
            return report

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

        Args, Raises: as `put_key`.
        Returns:
            The policy's `Report` on the key's entries.
        Source: N13, N15, B10; C8, C9.
        """
        with self._open(if_version) as draft:
            old = draft.record(key)
            links = old.lists if lists is None else _checked_links(draft, lists)
            if entries is None:  # they were judged when they came, and may have been imported
                report, accepted = Report(draft.settings.policy, old.entries, ()), old.entries
            else:
                report, accepted = _judge_entries(draft, entries, old.created_at, old, linked=bool(links))
            record = replace(
                old,
                entries=accepted,
                lists=links,
                within=old.within if within is None else _checked_links(draft, within),
                enabled=old.enabled if enabled is None else enabled,
                owner=old.owner if owner is None else owner,
            )
            _save(draft, key, record, actor=actor, caller=caller, force=force)
            return report

    def remove_key(self, key: str, *, if_version: int | None = None) -> None:
        """Forget a key; from then on it is unknown."""
        with self._open(if_version) as draft:
            draft.rule(key)
            draft.set_rule(key, None)

    def put_keys(self, pairs: Iterable[tuple[str, Iterable[EntryLike]]], *, if_version: int | None = None) -> None:
        """Create or replace many keys at once: all of them, in one commit, or none.

        Args:
            pairs: key and entries.
        """
        with self._open(if_version) as draft:
            inner = Transaction(draft)
            for key, entries in pairs:
                inner.put_key(key, entries)

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
            PolicyError, EngineError: as `put_key`; a used list cannot be emptied (C22).
        Source: P1 to P5; C22.
        """
        _check_name("a list", name)
        with self._open(if_version) as draft:
            _check_permitted(draft, actor, "put_list", name)
            if not isinstance(description, str):
                raise TypeError(f"a description is text, not {type(description).__name__}")
            if draft.settings.policy.keys.describe_lists and not description.strip():
                raise EngineError(f"the list {name!r} needs a description")
            report = draft.settings.policy.validate(entries, on_key=False)
            frozen = FrozenList(name, report.entries(), description)
            if not frozen.entries and draft.is_used(name):
                raise EngineError(f"the list {name!r} is in use and cannot be empty: it would deny everyone")
            draft.lists[name] = frozen
            if caller is not None and not force:
                _check_caller(draft, caller, frozen)
            return report

    def remove_list(
        self, name: str, *, force: bool = False, actor: object = None, if_version: int | None = None
    ) -> None:
        """Delete a named list; forced, it is unlinked everywhere first (C21)."""
        with self._open(if_version) as draft:
            _check_permitted(draft, actor, "remove_list", name)
            draft.frozen(name)
            linked = draft.keys_of(name)
            if (linked or draft.default == name) and not force:
                uses = [f"linked to {len(linked)} keys"] * bool(linked) + ["the default"] * (draft.default == name)
                raise InUse(f"the list {name!r} is {' and '.join(uses)}; unlink it first, or force")
            for key in linked:
                record = draft.record(key)
                lists = tuple(other for other in record.lists if other != name)
                within = tuple(other for other in record.within if other != name)
                draft.set_record(key, replace(record, lists=lists, within=within))
            if draft.default == name:
                draft.default = None
            del draft.lists[name]

    def link(self, key: str, name: str, *, actor: object = None, if_version: int | None = None) -> None:
        """Link a key to a named list, beside those it has (P6)."""
        with self._open(if_version) as draft:
            record = draft.record(key)
            linked = replace(record, lists=_checked_links(draft, (*record.lists, name)))
            _save(draft, key, linked, actor=actor)

    def unlink(self, key: str, name: str, *, actor: object = None, if_version: int | None = None) -> None:
        """Take a link away; after the last one the default list applies (C21)."""
        with self._open(if_version) as draft:
            record = draft.record(key)
            if name not in record.lists:
                raise UnknownName(f"the key {key!r} is not linked to the list {name!r}")
            left = tuple(other for other in record.lists if other != name)
            _save(draft, key, replace(record, lists=left), actor=actor)

    def set_default(self, name: str | None, *, actor: object = None, if_version: int | None = None) -> None:
        """Make a named list the default for keys without a list of their own, or None for no default (P9 to P11)."""
        with self._open(if_version) as draft:
            _check_permitted(draft, actor, "set_default", name or "")
            if name is not None:
                if not draft.settings.policy.keys.default_list:
                    raise EngineError(f"{draft.settings.policy.name} has no default list")
                _checked_links(draft, (name,))
            draft.default = name

    # 3. Lists on trial.

    def put_shadow(self, key: str, entries: Iterable[EntryLike], *, if_version: int | None = None) -> Report:
        """Try a list on a key: it decides nothing, and what it would have decided is counted (B31)."""
        with self._open(if_version) as draft:
            report = draft.settings.policy.validate(entries, on_key=False)
            _save(draft, key, replace(draft.record(key), shadow=report.entries()))
            return report

    def remove_shadow(self, key: str, *, if_version: int | None = None) -> None:
        """End the trial."""
        with self._open(if_version) as draft:
            _save(draft, key, replace(draft.record(key), shadow=None))


def _check_name(noun: str, name: object) -> None:
    if type(name) is not str:
        raise TypeError(f"{noun} is named by a text, not {type(name).__name__}")
    if not name.strip():
        raise ValueError(f"{noun} needs a name")


def _check_permitted(draft: Draft, actor: object, operation: str, name: str) -> None:
    if not draft.settings.is_enforced:
        raise FeatureOff("allow lists are switched off; they cannot be edited")
    permits = draft.settings.permits
    if permits is not None and permits(actor, operation, name) is not True:
        raise NotPermitted(f"{actor!r} may not {operation} {name!r}")


def _checked_links(draft: Draft, names: Iterable[str]) -> tuple[str, ...]:
    """Check that each list exists and is not empty; a list linked twice is linked once."""
    if isinstance(names, str):
        raise TypeError("the names of lists were expected, not one text")
    links = tuple(dict.fromkeys(names))
    for name in links:
        if not draft.frozen(name).entries:
            raise EngineError(f"the list {name!r} is empty: it would deny everyone")
    return links


def _judge_entries(
    draft: Draft, entries: Iterable[EntryLike], created_at: datetime, old: KeyRecord | None, *, linked: bool
) -> tuple[Report, tuple[Entry, ...]]:
    """Judge a key's own entries; whether they may be none depends on the product and the key."""
    policy = draft.settings.policy
    rules = policy.keys
    check_is_list(entries)
    given = list(entries)
    if given and rules.binding == "lists":
        raise EngineError(f"keys of {policy.name} have no entries of their own; link a named list")
    is_new = rules.new_keys_need_list and rules.cutover is not None and created_at >= rules.cutover
    may_be_empty = not (old is None and is_new and not linked)
    judged = replace(policy, min_entries=0) if may_be_empty and not given else policy
    report = judged.validate(given)
    return report, report.entries()


def _save(
    draft: Draft, key: str, record: KeyRecord, *, actor: object = None, caller: object = None, force: bool = False
) -> None:
    """Put a record that has been judged, unless the change itself is not allowed."""
    old = draft.record(key) if draft.has_key(key) else KeyRecord(created_at=record.created_at)
    if record.owner is not None and type(record.owner) is not str:
        raise TypeError(f"an owner is text or None, not {type(record.owner).__name__}")
    # 1. by the feature gate (U2) and the host's role check (P1)
    if not draft.settings.is_enforced and _restriction(record) != _restriction(old):
        raise FeatureOff("allow lists are switched off; they cannot be edited")
    now_linked, then_linked = {*record.lists, *record.within}, {*old.lists, *old.within}
    for name in sorted(now_linked ^ then_linked):
        _check_permitted(draft, actor, "link" if name in now_linked else "unlink", name)
    # 2. by the product (C8, C9)
    draft.set_record(key, record)
    if draft.rule(key).needs_list and not record.enabled:
        raise EngineError("a key created at the cutover or later cannot do without its list")
    is_legacy = draft.settings.policy.keys.new_keys_need_list and not draft.rule(key).needs_list
    if is_legacy and record.enabled and (old.entries or old.lists) and not (record.entries or record.lists):
        raise EngineError("a legacy key's list cannot be emptied; to lift the restriction, disable it (enabled=False)")
    # 3. by the guard against locking oneself out
    if caller is not None and not force:
        trial = replace(draft, rules=dict(draft.rules))
        trial.set_record(key, replace(record, shadow=None))  # a question of ours is no request to count
        probe = Checker()
        probe.view = trial.build(draft.start.version)
        decision = probe.check(key, caller)
        if not decision.allowed:
            raise LockOut(f"{decision.address or 'an unknown address'} would be denied: {decision.reason.text}")


def _restriction(record: KeyRecord) -> tuple[object, ...]:
    """What of a record makes up its allow list."""
    return record.entries, record.lists, record.within, record.enabled, record.shadow


def _check_caller(draft: Draft, caller: object, frozen: FrozenList) -> None:
    probe = Checker()
    record = KeyRecord(created_at=datetime.fromtimestamp(0, UTC))
    rule = Rule(record, frozen, (), (), True, False, None)
    probe.view = View(None, {"": rule}, {}, None, 0, draft.settings)
    if not probe.allows("", caller):
        raise LockOut(f"the list {frozen.name!r} would deny the address that this change comes from")


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


# -- The engine ---------------------------------------------------------------


def _at_version(view: View, version: int) -> View:
    """The same data under another number."""
    return View(view.store, view.overlay, view.lists, view.default, version, view.settings, view.names)


class Engine(Checker, Writer):
    """Keep keys and their lists, and answer: may this client address use this key?

    Args:
        policy: what the product accepts and how its lists are tied to keys.
        clock: gives the time in POSIX seconds, for entries that come and go.
        enforced: False switches the whole feature off: lists are neither edited nor enforced (U2).
        unknown_key: "deny", or "pass" for a host that has checked the key itself.
        permits: the host's role check for named lists, called with actor, operation and name (P1).
    Raises:
        ValueError: the policy's keys need a cutover and it has none (C10).
    Cost: `allows` about three dictionary look-ups, `check` a small object more.
    Threads: checks take no lock and see one version; changes take turns.

    >>> engine = Engine(presets.bitbybit())
    >>> report = engine.put_key("key_live_1", ["203.0.113.0/24", "2001:db8::/48"])
    >>> engine.check("key_live_1", "203.0.113.7")
    <Decision allowed: matched, 'key_live_1' from 203.0.113.7>
    >>> engine.check("key_live_1", "198.51.100.7").response().status
    403
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        clock: Callable[[], float] = time.time,
        enforced: bool = True,
        unknown_key: str = "deny",
        permits: Callable[[object, str, str], bool] | None = None,
    ) -> None:
        policy = Policy() if policy is None else policy
        if policy.keys.new_keys_need_list and policy.keys.cutover is None:
            raise ValueError(f"the policy {policy.name!r} needs a cutover: presets.nomsa(cutover=...)")
        if unknown_key not in ("deny", "pass"):
            raise ValueError(f"unknown_key is 'deny' or 'pass', not {unknown_key!r}")
        settings = Settings(
            policy=policy,
            clock=clock,
            is_enforced=enforced,
            unknown_passes=unknown_key == "pass",
            permits=permits,
        )
        self._lock = threading.RLock()
        self._folder: threading.Thread | None = None
        self._looks = threading.Lock()  # one look at the file at a time
        self._standing: Standing | None = None
        self._known: dict[str, Known] = {}  # what was read or written, by the file's own path
        self._freshness = Freshness(self)
        self._follower: Follower | None = None
        self._held: FileLock | None = None  # while `edit` has the file
        self.view = View(None, {}, {}, None, 0, settings)
        remember(self)

    def begin_anew(self) -> None:
        """Make new locks and threads, in a forked child; it is called by itself."""
        self._lock = threading.RLock()
        self._looks = threading.Lock()
        self._folder = None
        self._freshness.begin_anew()
        if self._follower is not None:
            self._follower.begin_anew()

    @contextmanager
    def _open(self, if_version: int | None) -> Iterator[Draft]:
        with self._lock:
            start = self.view
            if if_version is not None and if_version != start.version:
                raise Conflict(f"the data is at version {start.version}, not {if_version}")
            draft = Draft(start, cast("Settings", start.settings), dict(start.lists), start.default)
            try:
                yield draft
                if self.view is not start:
                    raise Conflict("another change was committed inside this transaction")
                self.view = draft.build(start.version + 1)
            finally:
                draft.is_over = True
            self._fold_if_large()

    # The file.

    def save(
        self, path: PathLike, *, replace: bool = False, mode: int | None = None, timeout: float | None = 60.0
    ) -> None:
        """Write everything to a file, as one block that other processes can map.

        The first file that an engine is saved to, or was opened from, is the one that it stands on: from then on
        `refresh` and `follow` look at it.  A file at another path is a copy.

        Args:
            path: it leads to the whole old file until it leads to the whole new one; a link stays a link.
            replace: also replace a file that this engine neither read nor wrote, whatever it says.
            mode: permissions; by default those of the file that is replaced, and 0600 for a new one.
            timeout: seconds to wait for other writers; None waits for ever.
        Raises:
            Conflict: somebody else wrote the file that is there.  LockTimeout: another writer did not end.
            PermissionError: the file's owner cannot be kept.  OSError: nothing was changed under that name.
            NotFlushed: the new data is in place, but may not outlive a power failure.
        Cost: copies the store twice and writes it.
        Threads: beside readers and writers; what is saved is one version.  Not inside a transaction of this engine.
        Not saved: the clock, the role check, and the counts of trials.
        """
        target = os.path.realpath(path)
        with self._locked(target, timeout):
            remove_drafts(target)
            began = seconds_since_boot()
            standing = self._standing
            is_own = standing is None or os.path.realpath(standing.path) == target
            view = self.view
            store = canonical(view)
            known = self._next_known(target, view.version, checksum_of(store), is_own=is_own, replace=replace)
            identity = save_block(target, store, known.revision, mode=mode)
            with self._lock:
                self._known[target] = known
                if is_own:
                    stands = standing or Standing(os.path.abspath(path), identity, known)
                    self._stand(replaced(stands, identity=identity, known=known))
            if is_own:
                self._freshness.note(began)
            flush_name(target)

    def _locked(self, target: str, timeout: float | None) -> AbstractContextManager[object]:
        """Lock out other writers of a file; `edit` has done so already."""
        if self._held is not None and self._held.target == target:
            self._held.check_held()
            return nullcontext()
        return FileLock(target, timeout)

    def _next_known(self, target: str, version: int, checksum: int, *, is_own: bool, replace: bool) -> Known:
        """Say what the file will be once it is saved; this engine's version never lies behind that."""
        there = revision_at(target)
        with self._lock:
            base = None if self._standing is None else self._standing.known
            revision = next_revision(there, self._known.get(target), base, version, checksum, replace=replace)
            if is_own and revision.generation > self.view.version:
                is_all = self.view.version == version  # nothing was committed since
                self.view = _at_version(self.view, revision.generation)
                version = self.view.version if is_all else version
            return Known(revision, version, checksum)

    def _stand(self, standing: Standing) -> None:
        """Stand on a file; whoever calls has the lock, or an engine of his own."""
        self._standing = standing
        self._known[os.path.realpath(standing.path)] = standing.known

    @classmethod
    def open(
        cls,
        path: PathLike,
        *,
        verify: bool = True,
        copy: bool | None = None,
        clock: Callable[[], float] = time.time,
        permits: Callable[[object, str, str], bool] | None = None,
    ) -> Engine:
        """Make an engine of a file that `save` wrote.

        Args:
            path: a regular file, or a link to one.
            verify: check every byte and every record first.  Without it opening takes constant time, and a
                damaged file can give wrong answers: for files that nobody else can write.
            copy: read the file into memory, where nothing that is done to the file matters.  False maps it, shared
                by all processes that do so; who then cuts it short in place ends them.  By default a file of
                up to 16 MiB is copied and a larger one is mapped.
            clock, permits: as for `Engine`; they are not in a file.
        Raises:
            SnapshotError: with what is wrong with the file.  OSError: it cannot be opened.
        Cost: some milliseconds and the named lists; with `verify`, a second for some million keys.

        >>> import tempfile, pathlib
        >>> engine = Engine(presets.bitbybit())
        >>> report = engine.put_key("key_live_1", ["203.0.113.0/24"])
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = pathlib.Path(directory, "keys.snap")
        ...     engine.save(path)
        ...     Engine.open(path).allows("key_live_1", "203.0.113.7")
        True
        """
        path = os.path.abspath(path)  # a follower looks at the same file when the process has gone elsewhere
        began = seconds_since_boot()
        store, identity = open_block(path, verify=verify, copy=copy)
        engine = cls()
        engine.view = opened(store, store.generation, clock, permits)
        known = Known(Revision(store.epoch, store.generation), store.generation, store.body_checksum)
        engine._stand(Standing(path, identity, known, verify, copy))
        engine._freshness = Freshness(engine, began)
        return engine

    @classmethod
    @contextmanager
    def edit(
        cls,
        path: PathLike,
        *,
        timeout: float | None = 60.0,
        verify: bool = True,
        copy: bool | None = None,
        clock: Callable[[], float] = time.time,
        permits: Callable[[object, str, str], bool] | None = None,
    ) -> Iterator[Engine]:
        """Change what is in a file, as the only writer: lock it, open what is there, change that, save it, unlock.

        Whoever edits in this way, in whatever process or thread, loses nothing of what others edited.

        Args:
            path: a file that `save` wrote.
            timeout: seconds to wait for other writers; None waits for ever.
            verify, copy, clock, permits: as for `open`.
        Returns:
            A context manager that gives the engine; an exception inside saves nothing.
        Raises:
            LockTimeout: another writer did not end.  SnapshotError, OSError: as `open` and `save`.
        Cost: opens and writes the whole file.
        Threads: two that edit one file take turns; one that edits a file twice at a time waits for itself.

        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = pathlib.Path(directory, "keys.snap")
        ...     Engine(presets.bitbybit()).save(path)
        ...     with Engine.edit(path) as engine:
        ...         report = engine.put_key("key_live_1", ["203.0.113.0/24"])
        ...     Engine.open(path).allows("key_live_1", "203.0.113.7")
        True
        """
        with FileLock(os.path.realpath(path), timeout) as lock:
            engine = cls.open(path, verify=verify, copy=copy, clock=clock, permits=permits)
            engine._held = lock
            try:
                yield engine
                if engine._has_changes():
                    engine.save(path)
            finally:
                engine._held = None

    def _has_changes(self) -> bool:
        """Whether there are commits that the file does not have: by their number, wherever they are kept."""
        return self._standing is not None and self.view.version != self._standing.known.version

    def refresh(self, *, discard_changes: bool = False) -> bool:
        """Look whether the file has a later revision, and go over to it.

        Args:
            discard_changes: drop what was changed here and not saved, and go over to what the file has.
        Returns:
            Whether the data is another now.
        Raises:
            SnapshotError: the new file is damaged, of an earlier revision, or of the same with other content.
            Conflict: this engine has changes of its own.  EngineError: it stands on no file.
            In every case the engine stays as it is, and its `age` grows.
        Cost: one look at the file's header; opening, if there is something new.
        Threads: checks go on; each is answered by one revision.
        """
        with self._looks:
            standing = self._standing
            if standing is None:
                raise EngineError("this engine was not opened from a file, and not saved to one")
            discards = discard_changes and self._has_changes()
            began = seconds_since_boot()
            identity = identify(standing.path)
            if identity != standing.identity or discards:
                self._check_newer(standing, revision_of(standing.path, identity), discards=discards)
                store, identity = open_block(standing.path, verify=standing.verify, copy=standing.copy)
                return self._take_over(standing, store, identity, began, discards=discards)
            self._freshness.note(began)
            return False

    def _check_newer(self, standing: Standing, revision: Revision, *, discards: bool) -> None:
        check_newer(standing, revision)
        if revision != standing.known.revision and self._has_changes() and not discards:
            raise Conflict(
                f"{standing.path} is of {revision} now, and this engine has changes of its own: refresh with "
                "discard_changes=True drops them, save with replace=True drops what the file says"
            )

    def _take_over(
        self, standing: Standing, store: KeyStore, identity: Identity, began: float, *, discards: bool
    ) -> bool:
        """Go over to a store that was opened, unless it is what the engine has already."""
        with self._lock:
            if self._standing is not standing:
                return False  # it was saved meanwhile, which is later
            revision = Revision(store.epoch, store.generation)
            self._check_newer(standing, revision, discards=discards)
            is_same = revision == standing.known.revision
            if is_same and store.body_checksum != standing.known.checksum:
                raise SnapshotError(f"{standing.path}: it has the same revision with other content: {revision}")
            known = standing.known
            if not is_same or discards:
                settings, version = cast("Settings", self.view.settings), max(store.generation, self.version + 1)
                self.view = opened(store, version, settings.clock, settings.permits)
                known = Known(revision, version, store.body_checksum)
            self._stand(replaced(standing, identity=identity, known=known))
            self._freshness.note(began)
            return not is_same or discards

    @property
    def age(self) -> float:
        """Seconds since the data was known to be current; 0.0 for an engine that stands on no file.

        Only a look at the file that succeeds makes it small again: see `refresh` and `follow`.
        """
        return 0.0 if self._standing is None else self._freshness.age

    @property
    def revision(self) -> Revision | None:
        """The revision of the file that the engine stands on, as it last read or wrote it; None without a file."""
        return None if self._standing is None else self._standing.known.revision

    def follow(
        self, seconds: float = 1.0, *, max_age: float | None = None, when_stale: str = "deny"
    ) -> Callable[[], None]:
        """Refresh now and then, in a thread of its own; what is wrong with a new file is logged, once a file.

        An engine has one follower: a later one takes the place of an earlier one.

        Args:
            seconds: between two looks.
            max_age: the age in seconds at which the data counts as stale; larger than `seconds`.
            when_stale: "deny" denies every check for the reason `stale_data`, until a look succeeds; "serve" goes on
                with the old data.  Both log a warning.
        Returns:
            What stops it, and waits until it has stopped.  Nothing else ends it.
        Raises:
            EngineError: this engine stands on no file.  ValueError: an argument makes no sense.
        Threads: one looks, and with `max_age` another watches the clock.  A forked process starts its own by itself.
        """
        if self._standing is None:
            raise EngineError("this engine was not opened from a file, and not saved to one")
        follower = Follower(self, self._freshness, seconds, max_age, when_stale)
        if self._follower is not None:
            self._follower.let_go()
        self._follower = follower
        follower.start()
        return follower.stop

    # The overlay and the store.

    def fold(self) -> None:
        """Fold what changed lately into the store now; nothing that a check answers changes by it.

        Cost: copies the store.  Threads: beside readers and writers; what is written meanwhile stays in the overlay.
        """
        view = self.view
        if not view.overlay:
            return
        store = folded(view)
        with self._lock:
            now = self.view
            if now.store is not view.store:
                return  # somebody else folded meanwhile, or all was replaced
            overlay = {key: rule for key, rule in now.overlay.items() if view.overlay.get(key, _NOTHING) is not rule}
            self.view = View(store, overlay, now.lists, now.default, now.version, now.settings, now.names)

    def _fold_if_large(self) -> None:
        """Keep commits cheap: fold in the background, or now if a bulk of changes came at once."""
        view = self.view
        limit = max(_SMALLEST_FOLD, 2 * math.isqrt(0 if view.store is None else len(view.store)))
        if len(view.overlay) <= limit:
            return
        if len(view.overlay) > _LARGEST_OVERLAY * limit:
            self.fold()
        elif self._folder is None or not self._folder.is_alive():
            self._folder = threading.Thread(target=self.fold, name="cidrmatch-fold", daemon=True)
            self._folder.start()

    @contextmanager
    def transaction(self, *, if_version: int | None = None) -> Iterator[Transaction]:
        """Make several changes as one: all are published together, or none.

        Args:
            if_version: refuse unless the data is still at this version.
        Raises:
            Conflict: it is not.  An exception inside the block discards all changes.

        >>> engine = Engine(presets.pigment())
        >>> with engine.transaction() as change:
        ...     _ = change.put_list("office", ["198.51.100.0/24"], description="Vienna")
        ...     _ = change.put_key("key_1", lists=["office"])
        >>> engine.version
        1
        """
        with self._open(if_version) as draft:
            yield Transaction(draft)

    def __repr__(self) -> str:
        return f"<Engine of {brief(self.policy.name)} at version {self.version}: {len(self.view.lists):,} named lists>"

    @property
    def policy(self) -> Policy:
        """What the product accepts."""
        return self.view.settings.policy

    @property
    def version(self) -> int:
        """How many commits there were."""
        return self.view.version

    def set_enforced(self, enforced: bool) -> None:
        """Switch the whole feature on or off (U2): off, lists are neither edited nor enforced."""
        with self._open(None) as draft:
            draft.settings = replace(draft.settings, is_enforced=enforced)

    # What there is.

    def keys(self) -> list[str]:
        """Name all keys, sorted."""
        return sorted(self.view)

    def key(self, key: str) -> KeyRecord:
        """Give the record of a key; UnknownName if there is none."""
        return self._now().record(key)

    def lists(self) -> dict[str, FrozenList]:
        """Give the named lists by name."""
        return dict(self.view.lists)

    def keys_of(self, name: str) -> list[str]:
        """Name the keys linked to a list, sorted (P7).

        Cost: looks at every key.
        """
        now = self._now()
        now.frozen(name)
        return now.keys_of(name)

    def lists_of(self, key: str) -> tuple[str, ...]:
        """Name the lists a key is linked to."""
        return self.key(key).lists

    def default(self) -> str | None:
        """Name the default list, or None."""
        return self.view.default

    def state(self, key: str) -> State:
        """Say what the lists of a key amount to; UnknownName for an unknown key."""
        view = self.view
        rule = view.rule(key)
        if rule is None:
            raise UnknownName(f"no key {key!r}")
        return view.state(rule)

    def shadow(self, key: str) -> Shadow | None:
        """Give the trial of a key, with its counts, or None."""
        rule = self.view.rule(key)
        return None if rule is None else rule.shadow

    def _now(self) -> Draft:
        view = self.view
        return Draft(view, cast("Settings", view.settings), view.lists, view.default)

    # All of it at once.

    def restore(
        self, *, keys: Mapping[str, KeyRecord], lists: Iterable[FrozenList] = (), default: str | None = None
    ) -> None:
        """Replace all data by what was kept elsewhere, as it is: in one commit, or not at all.

        Nothing is judged by the policy, that is up to the caller; so an empty list can
        come in this way, and it denies (C8, C22).

        Raises:
            UnknownName: a key, or the default, names a list that is not among them.
        """
        with self._open(None) as draft:
            draft.lists = {str(frozen.name): frozen for frozen in lists}
            draft.default = default
            draft.rules = dict.fromkeys(draft.start)
            for key, record in keys.items():
                draft.set_record(key, record)
                for name in (*record.lists, *record.within):
                    draft.frozen(name)
            if default is not None:
                draft.frozen(default)
