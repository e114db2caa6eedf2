"""`Engine`: it holds keys, named lists, links and a default list, and commits changes of them.

The engine has no data besides its current `View` (see view.pyx).  A change
(changes.py) works on a `Draft` of the next view (draft.py).  The engine
publishes the next view by replacing one reference.  If anything goes wrong
before, the old view stays in place:

    put_key() --> lock --> Draft --> validate, change, guard --> View n + 1 --> engine.view
                            ^                                                     ^
                            '-- transaction(): several changes, one commit        '-- a check reads this once

When the overlay of a view is large, it is folded into the store (folding.py).

An engine with an `id_secret` holds hashes of its keys' ids, see ids.py.  A
method that takes a key takes the plain id; a method that lists keys gives the
hashes.

Invariants: the version grows by one with each commit; a published view never
changes; a record's entries were accepted by the policy, or imported as they were.
Cost: a commit copies the overlay, however many keys there are; a fold copies the store, in the background.
Threads: writers take turns by a lock; readers need no lock.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from .._keys import (
    Checker,
    FrozenList,
    Identity,
    KeyRecord,
    Revision,
    Shadow,
    View,
    checksum_of,
    content_at,
    flush_name,
    identify,
    open_block,
    remove_drafts,
    revision_of,
    save_block,
)
from ..errors import Conflict, EngineError, FeatureOff, SnapshotError, UnknownName, brief
from ..policy.checks import check_switches
from ..policy.presets import check_policy
from .answers import report_of, warn_of_open, warn_of_switch, warning
from .changes import Changes, Transaction
from .draft import Draft, records_by_held_id
from .feeding import Feed
from .file_lock import FileLock
from .folding import Folder, view_on_new_store
from .following import Follower, Freshness, seconds_since_boot
from .forking import remember
from .heartbeat import HeartbeatReader
from .ids import id_hash_of
from .revisions import BaseFile, Known, check_newer, is_as_before, next_revision, revision_of_copy
from .settings import Settings, settings_of
from .snapshots import snapshot_of, view_of_snapshot

if TYPE_CHECKING:
    from .._keys import KeyStore, PathLike, State
    from ..policy.policy import Policy, Report

__all__ = ["Engine", "Transaction"]

# -- The engine ---------------------------------------------------------------


def _at_version(view: View, version: int) -> View:
    """The same data under another number."""
    return view.following(view.overlay, view.lists, view.default, version, view.settings)


class Engine(Checker, Changes):
    """Keep keys and their lists, and answer: may this client address use this key?

    Args:
        policy: what the product accepts and how its lists are tied to keys.
        clock: gives the time in POSIX seconds, for entries with times.
        enforced: False switches the whole feature off: lists are neither edited nor enforced (U2).
        unknown_key: "deny" or "pass": what happens to a key that the engine does not know; "pass" is for hosts that
            check keys themselves.
        permits: the host's role check for named lists, called with actor, operation and name (P1).
        id_secret: 16 to 64 bytes; ids of keys are held, saved and listed as their hashes under it.
    Raises:
        ValueError: the policy's new keys need a list, but it has no cutover (C10); or the secret has a wrong length.
        TypeError: `policy` is no `Policy`, `enforced` is not True or False, or the secret is not bytes.
    Cost: `allows` takes about as long as three dictionary look-ups; `check` also makes a small object.
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
        id_secret: bytes | None = None,
    ) -> None:
        policy = check_policy(policy)
        check_switches(enforced=enforced)
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
            id_hash=id_hash_of(id_secret),
        )
        self._lock = threading.RLock()
        self._folder = Folder(lambda: self.view, self._publish_folded)
        self._looks = threading.Lock()  # held during a look at the file
        self._base_file: BaseFile | None = None
        self._known: dict[str, Known] = {}  # files that were read or written, by their real paths
        self._freshness = Freshness(self)
        self._heartbeat = HeartbeatReader()
        self._follower: Follower | None = None
        self._feed: Feed | None = None
        self._held: FileLock | None = None  # while `edit` has the file
        self.view = View(None, {}, {}, None, 0, settings)
        remember(self)

    def begin_anew(self) -> None:
        """Make new locks and threads in a forked child; the room `forking` calls this."""
        self._lock = threading.RLock()
        self._looks = threading.Lock()
        self._folder.begin_anew()
        self._freshness.begin_anew()
        if self._feed is not None:
            self._feed.begin_anew(self._lock)
        if self._follower is not None:
            self._follower.begin_anew()

    @contextmanager
    def _drafting(self, if_version: int | None) -> Iterator[Draft]:
        if self._feed is not None:
            raise EngineError("this engine is kept in step with a source; change the data there")
        with self._committing(if_version) as draft:
            yield draft

    @contextmanager
    def _committing(self, if_version: int | None = None) -> Iterator[Draft]:
        with self._lock:
            start = self.view
            if if_version is not None and if_version != start.version:
                raise Conflict(f"the data is at version {start.version}, not {if_version}")
            draft = Draft.of(start)
            try:
                yield draft
                if self.view is not start:
                    raise Conflict("another change was committed inside this transaction")
                self.view = draft.build(start.version + 1)
            finally:
                draft.is_over = True
            self._folder.fold_if_large()

    # The file.

    def save(
        self, path: PathLike, *, replace: bool = False, mode: int | None = None, timeout: float | None = 60.0
    ) -> None:
        """Write everything to a file, as one block that other processes can map.

        An engine stands on the file that it was opened from, or was first saved to: `refresh` and `follow` look at this
        file.  A file at another path is a copy.

        Args:
            path: where; the path leads to a whole file at every moment, the old one or the new one.  A link stays a
                link.
            replace: also replace a file that this engine neither read nor wrote.
            mode: permissions; by default those of the file that is replaced, and 0600 for a new one.
            timeout: seconds to wait for other writers; None waits for ever.
        Raises:
            Conflict: somebody else wrote the file that is there.  LockTimeout: another writer took too long.
            PermissionError: the owner of the file cannot be kept.  OSError: it cannot be written for another reason.
            In all these cases the file is unchanged.
            NotFlushed: the new data is in place, but a power failure may undo it.
        Cost: copies the store twice and writes it.
        Threads: others may read and write meanwhile; one version is saved.  Do not call it inside a transaction of this
        engine.
        Not saved: the clock, the role check, and the counts of trials.
        """
        target = os.path.realpath(path)
        with self._locked(target, timeout):
            remove_drafts(target)
            began = seconds_since_boot()
            with self._lock:  # read together, because a look may take over another file at any moment
                view, base_file, known = self.view, self._base_file, self._known.get(target)
                fed = None if self._feed is None else self._feed.revision
            is_own = self._feed is None and (base_file is None or os.path.realpath(base_file.path) == target)
            base = None if base_file is None else base_file.known
            store = snapshot_of(view)
            checksum = checksum_of(store)
            there, content = content_at(target)
            if fed is None:
                revision = next_revision(there, content, known, base, view.version, checksum, replace=replace)
            else:
                revision = revision_of_copy(there, content, fed, checksum, replace=replace)
            known = Known(revision, view.version, checksum)
            identity = save_block(target, store, revision, checksum, mode=mode)
            with self._lock:
                if not is_own:
                    self._known[target] = known
                elif is_as_before(self._base_file, base_file):  # otherwise a look has taken over this file meanwhile
                    stands = base_file or BaseFile(os.path.abspath(path), identity, known)
                    self._stand_as_saved(dataclasses.replace(stands, identity=identity, known=known))
            if is_own:
                self._freshness.note(began)
            flush_name(target)

    def _locked(self, target: str, timeout: float | None) -> AbstractContextManager[object]:
        """Lock the file against other writers, unless `edit` holds its lock already."""
        if self._held is not None and self._held.target == target:
            self._held.check_held()
            return nullcontext()
        return FileLock(target, timeout)

    def _stand_as_saved(self, base_file: BaseFile) -> None:
        """Stand on a file that was written; the engine's version becomes at least the file's generation."""
        known, view, generation = base_file.known, self.view, base_file.known.revision.generation
        if generation > view.version:
            if view.version == known.version:  # nothing was committed since
                base_file = dataclasses.replace(base_file, known=dataclasses.replace(known, version=generation))
            view = _at_version(view, generation)
        self._stand(base_file, view)

    def _stand(self, base_file: BaseFile, view: View) -> None:
        """Stand on a file, with a view.  Needs: the caller holds the lock, or nobody else has this engine yet.

        Nothing here can fail.  If the process is forked between the last two lines, the child's view is older than its
        `_base_file`, and the child's next look reads the file again.
        """
        self._known[os.path.realpath(base_file.path)] = base_file.known
        self._base_file = base_file
        self.view = view

    @classmethod
    def open(
        cls,
        path: PathLike,
        *,
        verify: bool = True,
        copy: bool | None = None,
        clock: Callable[[], float] = time.time,
        permits: Callable[[object, str, str], bool] | None = None,
        id_secret: bytes | None = None,
    ) -> Engine:
        """Make an engine of a file that `save` wrote.

        Args:
            path: a regular file, or a link to one.
            verify: check every byte and every record first.  Without this, opening takes constant time, but a damaged
                file can give wrong answers; use it only for files that nobody else can write.
            copy: True reads the file into memory, so later changes of the file do not matter.  False maps the file, and
                processes that map it share the memory; if somebody cuts the file short in place, these processes are
                ended.  By default, a file of up to 16 MiB is copied, and a larger file is mapped.
            clock, permits: as for `Engine`; they are not in a file.
            id_secret: the secret that the file's ids were hashed with; None for a file with plain ids.
        Raises:
            SnapshotError: with what is wrong with the file, or that the secret is wrong, missing or needless.
            OSError: it cannot be opened.
        Cost: some milliseconds, and the time to make the named lists; with `verify`, a second for some million keys.

        >>> import tempfile, pathlib
        >>> engine = Engine(presets.bitbybit())
        >>> report = engine.put_key("key_live_1", ["203.0.113.0/24"])
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = pathlib.Path(directory, "keys.snap")
        ...     engine.save(path)
        ...     Engine.open(path).allows("key_live_1", "203.0.113.7")
        True
        """
        path = os.path.abspath(path)  # a follower looks at the same file after a change of the directory
        began = seconds_since_boot()
        id_hash = id_hash_of(id_secret)
        store, identity = open_block(path, verify=verify, copy=copy)
        engine = cls()
        view = view_of_snapshot(store, store.generation, clock, permits, id_hash)
        known = Known(Revision(store.epoch, store.generation), store.generation, store.body_checksum)
        engine._stand(BaseFile(path, identity, known, verify, copy), view)
        engine._freshness = Freshness(engine, engine._heartbeat.moment(path, known.revision, began))
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
        id_secret: bytes | None = None,
    ) -> Iterator[Engine]:
        """Change a file as its only writer: lock it, open it, let the caller change the engine, save it, unlock.

        Any number of processes and threads may edit a file in this way, and no edit is lost.

        Args:
            path: a file that `save` wrote.
            timeout: seconds to wait for other writers; None waits for ever.
            verify, copy, clock, permits, id_secret: as for `open`.
        Returns:
            A context manager that gives the engine; if its block raises, nothing is saved.
        Raises:
            LockTimeout: another writer took too long.  SnapshotError, OSError: as `open` and `save`.
        Cost: opens and writes the whole file.
        Threads: two threads that edit one file take turns.  A thread that edits the same file inside its own edit waits
        for itself.

        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = pathlib.Path(directory, "keys.snap")
        ...     Engine(presets.bitbybit()).save(path)
        ...     with Engine.edit(path) as engine:
        ...         report = engine.put_key("key_live_1", ["203.0.113.0/24"])
        ...     Engine.open(path).allows("key_live_1", "203.0.113.7")
        True
        """
        path = os.path.abspath(path)  # the locked file is the saved file, also after a change of the directory
        with FileLock(os.path.realpath(path), timeout) as lock:
            engine = cls.open(path, verify=verify, copy=copy, clock=clock, permits=permits, id_secret=id_secret)
            engine._held = lock
            try:
                yield engine
                if engine._has_changes():
                    engine.save(path)
            finally:
                engine._held = None

    def _has_changes(self) -> bool:
        """Whether there are commits that the file does not have; folding does not change this."""
        return self._base_file is not None and self.view.version > self._base_file.known.version

    def _lags(self, base_file: BaseFile) -> bool:
        """Whether the view is older than `base_file`, because this process was forked inside `_stand`."""
        return self.view.version < base_file.known.version

    def refresh(self, *, discard_changes: bool = False) -> bool:
        """Look whether the file has a later revision, and take it over.

        Args:
            discard_changes: also take over the file if this engine has changes that were not saved; these are lost.
        Returns:
            Whether the data changed.
        Raises:
            SnapshotError: the new file is damaged, has an earlier revision, or has the same revision with other
                content.
            Conflict: this engine has changes of its own.  EngineError: it stands on no file.  In all cases the engine
            is unchanged, and its `age` grows.
        Cost: a look at the file; if there is something new, also the cost of opening it.
        Threads: checks go on; each is answered by one revision.
        """
        with self._looks:
            base_file = self._base_file
            if base_file is None:
                raise EngineError("this engine was not opened from a file, and not saved to one")
            discards = discard_changes and self._has_changes()
            began = seconds_since_boot()
            identity = identify(base_file.path)
            if identity != base_file.identity or discards or self._lags(base_file):
                self._check_newer(base_file, revision_of(base_file.path, identity), discards=discards)
                store, identity = open_block(base_file.path, verify=base_file.verify, copy=base_file.copy)
                moment = self._heartbeat.moment(base_file.path, Revision(store.epoch, store.generation), began)
                return self._take_over(base_file, store, identity, moment, discards=discards)
            self._freshness.note(self._heartbeat.moment(base_file.path, base_file.known.revision, began))
            return False

    def _check_newer(self, base_file: BaseFile, revision: Revision, *, discards: bool) -> None:
        check_newer(base_file, revision)
        if revision != base_file.known.revision and self._has_changes() and not discards:
            raise Conflict(
                f"{base_file.path} is of {revision} now, and this engine has changes of its own: refresh with "
                "discard_changes=True drops them, save with replace=True drops what the file says"
            )

    def _take_over(
        self, base_file: BaseFile, store: KeyStore, identity: Identity, moment: float, *, discards: bool
    ) -> bool:
        """Take over a store that was opened, unless the engine already has the same data."""
        with self._lock:
            if self._base_file is not base_file:
                return False  # the engine was saved meanwhile, so it has newer data
            revision = Revision(store.epoch, store.generation)
            self._check_newer(base_file, revision, discards=discards)
            is_same = revision == base_file.known.revision
            if is_same and store.body_checksum != base_file.known.checksum:
                raise SnapshotError(f"{base_file.path}: it has the same revision with other content: {revision}")
            known, view = base_file.known, self.view
            is_other = not is_same or discards or self._lags(base_file)
            if is_other:
                settings, version = (
                    settings_of(view),
                    max(store.generation, known.version, view.version + 1),
                )
                view = view_of_snapshot(store, version, settings.clock, settings.permits, settings.id_hash)
                known = Known(revision, version, store.body_checksum)
            self._stand(dataclasses.replace(base_file, identity=identity, known=known), view)
            self._freshness.note(moment)
            return is_other

    @property
    def age(self) -> float:
        """Seconds since the data was known to be current; 0.0 for an engine that stands on no file and is not fed.

        Only a successful look at the file, or at the source, makes it small again: see `refresh` and `follow`.
        The data of a file with a heartbeat is as old as the heartbeat says, see heartbeat.py.
        """
        return 0.0 if self._base_file is None and self._feed is None else self._freshness.age

    @property
    def revision(self) -> Revision | None:
        """The revision of the file that the engine stands on, as it last read or wrote it; or of its source."""
        if self._feed is not None:
            return self._feed.revision
        return None if self._base_file is None else self._base_file.known.revision

    def feed(self) -> Feed:
        """Make the door by which a source that is no file keeps this engine in step, for ever; see `Feed`.

        Raises:
            EngineError: the engine stands on a file, or is fed already.
        """
        with self._lock:
            if self._base_file is not None or self._feed is not None:
                raise EngineError("this engine stands on a file, or is fed already")
            self._feed = Feed(self._lock, self._committing, self._publish_made, self._freshness)
            return self._feed

    def follow(
        self, seconds: float = 1.0, *, max_age: float | None = None, when_stale: str = "deny"
    ) -> Callable[[], None]:
        """Refresh again and again, in a thread of its own; each problem with a new file is logged once.

        An engine has one follower; a new follower replaces the old one.

        Args:
            seconds: between two looks.
            max_age: the data is stale from this age on, in seconds; larger than `seconds`.
            when_stale: "deny" denies every check with the reason `stale_data`, until a look succeeds; "serve" goes on
                answering by the old data.  Both log a warning.
        Returns:
            A function that stops the follower and waits until it has stopped.  Nothing else ends a follower.
        Raises:
            EngineError: this engine stands on no file.  ValueError: an argument is out of range.
        Threads: one thread looks, and with `max_age` another watches the age.  In a forked child the follower starts
        again by itself.
        """
        if self._base_file is None:
            raise EngineError("this engine was not opened from a file, and not saved to one")
        follower = Follower(self, self._freshness, seconds, max_age, when_stale)
        with self._lock:
            if self._follower is not None:
                self._follower.let_go()
            self._follower = follower
            follower.start()
        return follower.stop

    # The overlay and the store.

    def fold(self) -> None:
        """Fold the overlay into the store now; this changes no answer of a check.

        Raises:
            Any error of the fold, such as MemoryError; the engine answers as before.
        Cost: copies the store.  Threads: others may read and write meanwhile; their changes stay in the overlay.
        """
        self._folder.fold()

    def _publish_folded(self, folded_from: View, store: KeyStore, names: tuple[str, ...]) -> bool:
        """Take over a store that was made of an earlier view; False if the engine has another store by now."""
        with self._lock:
            view = view_on_new_store(self.view, folded_from, store, names)
            if view is not None:
                self.view = view
            return view is not None

    def _publish_made(self, make: Callable[[View], View]) -> None:
        """Publish the view that a function makes of the current one."""
        with self._lock:
            self.view = make(self.view)

    @property
    def fold_error(self) -> Exception | None:
        """The error of the last fold that the engine started by itself; None if that fold, or a later one, worked.

        Checks and changes still work, but each commit copies a larger overlay.
        """
        return self._folder.error

    @contextmanager
    def transaction(self, *, if_version: int | None = None) -> Iterator[Transaction]:
        """Make several changes in one commit: all are published together, or none.

        Args:
            if_version: refuse unless the data still has this version.
        Raises:
            Conflict: it has another version.  An exception inside the block discards all changes.

        >>> engine = Engine(presets.pigment())
        >>> with engine.transaction() as change:
        ...     _ = change.put_list("office", ["198.51.100.0/24"], description="Vienna")
        ...     _ = change.put_key("key_1", lists=["office"])
        >>> engine.version
        1
        """
        with self._drafting(if_version) as draft:
            yield Transaction(draft)

    def __repr__(self) -> str:
        return f"<Engine of {brief(self.policy.name)} at version {self.version}: {len(self.view.lists):,} named lists>"

    @property
    def policy(self) -> Policy:
        """What the product accepts."""
        return settings_of(self.view).policy

    @property
    def version(self) -> int:
        """The number of the current version of the data; each commit adds one."""
        return self.view.version

    @property
    def is_enforced(self) -> bool:
        """Whether allow lists are enforced at all; if not, every address passes for every key.

        Cost: reads some attributes.
        Threads: safe without a lock; the answer is that of one version.
        Source: U2; `set_enforced` switches it.
        """
        return self.view.settings.is_enforced

    def set_enforced(self, enforced: bool) -> Report:
        """Switch the whole feature on or off (U2).  While it is off, lists are neither edited nor enforced.

        Returns:
            A `Report`; if the feature is off now, it warns that every key is open.
        Raises:
            TypeError: `enforced` is not True or False.
        """
        check_switches(enforced=enforced)
        with self._drafting(None) as draft:
            draft.settings = dataclasses.replace(draft.settings, is_enforced=enforced)
            return report_of(draft, warn_of_switch(enforced))

    # What there is.

    def __len__(self) -> int:
        """Count the keys.

        Cost: looks at each key of the overlay; the store knows the number of its keys.
        Threads: safe without a lock; the count is that of one version.
        Source: `keys` names them.

        >>> engine = Engine(presets.bitbybit())
        >>> report = engine.put_key("key_live_1", ["203.0.113.0/24"])
        >>> len(engine)
        1
        """
        view = self.view
        store = () if view.store is None else view.store
        return len(store) + sum((rule is not None) - (key in store) for key, rule in view.overlay.items())

    def __contains__(self, key: str) -> bool:
        """Tell whether the engine has a key, with a list or without, for a host that keeps its keys here.

        Raises:
            TypeError: the key is not text.
        Cost: a look-up; in an engine with an `id_secret`, a hash.  Threads: safe, sees one version.
        """
        view = self.view
        return view.held_id(key) in view

    def __bool__(self) -> bool:
        """Always True, also without keys: an engine that knows no key denies everybody."""
        return True

    def keys(self) -> list[str]:
        """Name all keys, sorted; their hashes, if the engine has an `id_secret`."""
        return sorted(self.view)

    def key(self, key: str) -> KeyRecord:
        """Give the record of a key; UnknownName if there is none."""
        now = self._now()
        return now.record(now.held_id(key))

    def lists(self) -> dict[str, FrozenList]:
        """Give the named lists by name."""
        return dict(self.view.lists)

    def keys_of(self, name: str) -> list[str]:
        """Name the keys linked to a list, sorted (P7); their hashes, if the engine has an `id_secret`.

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
        """Give the `State` of a key; UnknownName for an unknown key."""
        view = self.view
        rule = view.rule(view.held_id(key))
        if rule is None:
            raise UnknownName(f"no key {key!r}")
        return view.state(rule)

    def shadow(self, key: str) -> Shadow | None:
        """Give the trial of a key, with its counts, or None."""
        view = self.view
        rule = view.rule(view.held_id(key))
        return None if rule is None else rule.shadow

    def _now(self) -> Draft:
        return Draft.of(self.view)

    # All of it at once.

    def restore(
        self,
        *,
        keys: Mapping[str, KeyRecord],
        lists: Iterable[FrozenList] = (),
        default: str | None = None,
        enforced: bool | None = None,
    ) -> Report:
        """Replace all data by records and lists from elsewhere, in one commit, or not at all.

        The policy judges nothing here; the caller has to.  So an empty list is
        possible, and it denies (C8, C22).

        Args:
            keys: the record of each key.
            lists: the named lists.
            default: the name of the default list, or None.
            enforced: switch the whole feature on or off in the same commit; None leaves it as it is.
        Returns:
            A `Report` that warns of keys for which every address passes.
        Raises:
            UnknownName: a key, or the default, names a list that is not among them.
            FeatureOff: the feature is off and stays off (U2).
            TypeError, ValueError: a record that no store can hold, a list without a name, or two lists of one name.
        """
        with self._drafting(None) as draft:
            if enforced is not None:
                check_switches(enforced=enforced)
            if not draft.settings.is_enforced and enforced is not True:
                raise FeatureOff("allow lists are switched off; they cannot be edited")
            keys = records_by_held_id(draft, keys)
            forgets = draft.settings.unknown_passes and any(key not in keys for key in draft.start)
            draft.replace_all(keys, lists, default)
            draft.settings = dataclasses.replace(draft.settings, is_enforced=enforced is not False)
            gone = [warning("keys are unknown now: every address passes")] if forgets else []
            return report_of(draft, [*warn_of_open(draft, keys), *gone, *warn_of_switch(draft.settings.is_enforced)])
