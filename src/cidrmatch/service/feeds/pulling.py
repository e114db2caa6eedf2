"""One look at a source: from the lock to the outputs.

    1. lock the state file, and read it                            one puller of a feed at a time
    2. fetch the list, or hear that it is the same                 fetching.py; names: hosts.py
    3. check its digest and its signature, read it, judge it       proofs.py, listing.py, bounds.py
    4. write the state file: the new list, or why there is none    from here on it is the last good list
    5. bring the outputs up to date                                delivering.py
    6. tell the hook what changed, and write that it was told      events.py

A program that is killed between two steps leaves a whole state file.  The next look makes up for the steps that are
missing: outputs are compared each time, and a change that was not told is kept until it was.

Whatever goes wrong in steps 2 and 3, the last good list stays.  It grows old, and `max_age` ends it.

Threads: a puller may be used by many threads; they take turns.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ..._core import AllowList
from ..._keys import remove_drafts
from ...advice.diff import diff
from ...engine.file_lock import FileLock
from ...errors import LockTimeout, quote
from .bounds import Size, check_alone, check_step, size_of
from .delivering import deliver, items_of
from .errors import FeedError, FeedRefused, FeedStateError, FeedUnreachable
from .events import changed_event, condition_event, run_hook
from .fetching import Fetched, Fetcher
from .hosts import Resolver, hosts_in_force, list_of_hosts, resolve
from .listing import accepted_by, body_of, list_in, name_of_source
from .proofs import check_digest, check_signature, digest_in, minisign_key_of, sha256_of
from .resolvers import dns_resolver
from .state import Kept, Trouble, read_kept, write_kept

if TYPE_CHECKING:
    from ...advice.diff import ListDiff
    from .settings import Feed
    from .state import HostAnswer

__all__ = ["Pulled", "Puller", "Status"]

Outcome = Literal["unchanged", "changed", "refused", "unreachable"]
_MOST_SIDECAR: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Say what is known of a feed at a moment.

    Attributes:
        feed: its settings.
        allow: the list in force: the last good one; an empty one if it is stale and does not stay, or if there is none.
        is_stale: whether the last good list is older than `max_age`, or there is none; for host names, whether any name
            has no answer that is young enough.
        age: seconds since the publisher was seen to have the last good list; infinite if nobody knows.
        sizes: of the list in force, for each family.
        kept: everything else that the state file says.
        hosts: the answers for host names that are in force.
    """

    feed: Feed
    allow: AllowList
    is_stale: bool
    age: float
    sizes: dict[int, Size]
    kept: Kept
    hosts: dict[str, HostAnswer]

    @property
    def exit_status(self) -> int:
        """0: the list is in force and what the publisher has; 1: it is stale, or a newer one was refused."""
        return 1 if self.is_stale or self.kept.refused is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """Say what a look came to.

    Attributes:
        outcome: "unchanged", "changed", "refused" or "unreachable".
        code, reason: why the publisher's list was not taken; "" if it was.
        changes: how the list in force differs from the one before; None if it does not.
        status: what is known afterwards.
    """

    outcome: Outcome
    code: str
    reason: str
    changes: ListDiff | None
    status: Status

    @property
    def exit_status(self) -> int:
        """0: unchanged or taken over; 1: refused; 2: no list could be read, or an output is behind."""
        if self.outcome == "unreachable" or self.status.kept.undelivered:
            return 2
        return 1 if self.outcome == "refused" else 0


class Puller:
    """Take a feed over, look by look.

    Args:
        feed: its settings.
        resolver: asks for host names; by default DNS.
        on_event: gets each event, before the hook does; if it raises, the event is told again at the next look.
        clock: the time in seconds since 1970.
        lock_seconds: how long to wait for another puller of the same feed.

    >>> import pathlib, tempfile
    >>> from cidrmatch.service.feeds import Feed
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "office.txt").write_text("203.0.113.0/24\\n")
    ...     feed = Feed(name="office", use="allow", source=f"{folder}/office.txt", state=f"{folder}/office.feed")
    ...     pulled = Puller(feed).pull()
    ...     pulled.outcome, "203.0.113.7" in pulled.status.allow
    ('changed', True)
    """

    def __init__(
        self,
        feed: Feed,
        *,
        resolver: Resolver | None = None,
        on_event: Callable[[dict[str, Any]], object] | None = None,
        clock: Callable[[], float] = time.time,
        lock_seconds: float = 60.0,
    ) -> None:
        self.feed = feed
        self._resolver = resolver
        self._on_event = on_event
        self._clock = clock
        self._lock_seconds = lock_seconds
        self._path = os.path.realpath(feed.state)

    def pull(self, *, accept: bool = False) -> Pulled:
        """Look at the source once, and take its list over if nothing speaks against it.

        Args:
            accept: take the list that the last look refused as "sudden", if the publisher still has just this one.
        Returns:
            What came of it.  A list that is refused, or that cannot be read, is no exception.
        Raises:
            FeedStateError: the state file is damaged, cannot be read or written, or is locked by another puller.
        Threads: a source in the network is asked by an event loop of its own, so call this in a thread, never inside a
        running loop.
        """
        try:
            with FileLock(self._path, self._lock_seconds):
                remove_drafts(self._path)
                return self._pull(accept=accept)
        except LockTimeout as error:
            raise FeedStateError("locked", str(error)) from error
        except FeedError:
            raise
        except OSError as error:
            raise FeedStateError("state", f"{quote(self._path)}: {error.strerror or error}") from error

    def status(self) -> Status:
        """Say what is known of the feed now; nothing is fetched, and nothing is written.

        Raises:
            FeedStateError: the state file is damaged, or cannot be read.
        """
        return self._status(self._read(), self._clock())

    # 1. The state file.

    def _read(self) -> Kept:
        return read_kept(self._path, self.feed.name, self.feed.use)

    def _write(self, kept: Kept) -> None:
        write_kept(self._path, kept, self.feed.name, self.feed.use)

    def _pull(self, *, accept: bool) -> Pulled:
        before = self._read()
        now = self._clock()
        trouble: FeedError | None = None
        kept = replace(before, looked_at=now, source=self.feed.shown_source, failed=None)
        try:
            kept, trouble = self._look(kept, now, accept=accept)
        except FeedRefused as error:
            trouble = error
            kept = replace(kept, refused=Trouble(error.code, error.reason, now, error.digest))
        except FeedError as error:
            trouble = error
            kept = replace(kept, failed=Trouble(error.code, error.reason, now))
        changes = self._changes(before, kept)
        if changes is not None and self._tells:
            was = before.allow if before.told is None else before.told
            kept = replace(kept, told=AllowList() if was is None else was)
        self._write(kept)
        kept = self._serve(kept, now)
        return Pulled(
            outcome=_outcome_of(trouble, changes),
            code="" if trouble is None else trouble.code,
            reason="" if trouble is None else trouble.reason,
            changes=changes,
            status=self._status(kept, now),
        )

    def _changes(self, before: Kept, kept: Kept) -> ListDiff | None:
        """Compare the last good list with the one before this look; None if they are equal."""
        if kept.allow is None or kept.allow is before.allow:
            return None
        found = diff(AllowList() if before.allow is None else before.allow, kept.allow)
        return found if before.allow is None or not found.is_equal else None

    # 2. and 3. The list of the publisher.

    def _look(self, kept: Kept, now: float, *, accept: bool) -> tuple[Kept, FeedError | None]:
        if self.feed.hosts is not None:
            return self._look_at_hosts(kept, now)
        terms = _terms_of(self.feed)
        knows = kept.allow is not None and kept.terms == terms
        fetcher = Fetcher(self.feed)
        source = self.feed.source or ""
        found = fetcher.get(
            source, etag=kept.etag if knows else None, last_modified=kept.last_modified if knows else None
        )
        if found is None:
            return replace(kept, confirmed_at=now, refused=None), None
        signed_at = self._check_proof(fetcher, found.content, kept)
        allow = list_in(found.content, self.feed)
        self._check_bounds(kept, allow, accept=accept)
        return _with_list(kept, allow, found, terms, signed_at, now), None

    def _check_proof(self, fetcher: Fetcher, content: bytes, kept: Kept) -> int | None:
        """Check the digest and the signature of the publisher's bytes; give the moment of the signature."""
        proof, source = self.feed.proof, self.feed.source or ""
        if proof.sha256 is not None:
            check_digest(content, proof.sha256, "the digest that was pinned")
        if proof.sha256_url is not None:
            digest = digest_in(self._sidecar(fetcher, proof.sha256_url, "digest_missing"), name_of_source(source))
            check_digest(content, digest, "that of the sidecar")
        if proof.minisign_key is None:
            return None
        url = proof.signature_url or _beside(source, ".minisig")
        signature = self._sidecar(fetcher, url, "signature_missing")
        return check_signature(content, signature, minisign_key_of(proof.minisign_key), kept.signed_at)

    def _sidecar(self, fetcher: Fetcher, source: str, code: str) -> bytes:
        """Fetch what stands beside the list; a list whose proof is not there is refused."""
        try:
            found = fetcher.get(source)
        except FeedUnreachable as error:
            if error.code == "gone":
                raise FeedRefused(code, error.reason) from error
            raise
        if found is None or len(found.content) > _MOST_SIDECAR:
            raise FeedRefused(code, f"{quote(source)}: is no sidecar of a list")
        return found.content

    def _check_bounds(self, kept: Kept, allow: AllowList, *, accept: bool) -> None:
        """Refuse a list beyond the bounds, unless a person accepted just this one."""
        try:
            check_alone(allow, self.feed.bounds)
            if kept.allow is not None and kept.allow != allow:
                check_step(kept.allow, allow, diff(kept.allow, allow), self.feed.bounds)
        except FeedRefused as error:
            was, digest = kept.refused, body_of(allow)[1]
            if accept and error.code == "sudden" and was is not None and was.digest == digest:
                return
            error.digest = digest
            raise

    def _look_at_hosts(self, kept: Kept, now: float) -> tuple[Kept, FeedError | None]:
        """Ask for the names that are due; what is wrong with one name does not hide the others."""
        hosts = self.feed.hosts
        if hosts is None:
            raise FeedError("hosts", "the feed names no hosts")
        found = resolve(hosts, kept.hosts, self._resolver or dns_resolver(hosts.nameservers), now)
        allow = list_of_hosts(hosts_in_force(self.feed, found.answers, now))
        if len(allow):
            accepted_by(self.feed, allow)
        told = [*found.refused, *found.failed]
        kind = "refused" if found.refused else "failed"
        trouble = Trouble("names", "; ".join(told), now) if told else None
        kept = replace(
            kept,
            allow=allow,
            hosts=found.answers,
            confirmed_at=min((answer.answered_at for answer in found.answers.values()), default=kept.confirmed_at),
            changed_at=kept.changed_at if allow == kept.allow else now,
            refused=trouble if kind == "refused" else None,
            failed=trouble if kind == "failed" else None,
        )
        if trouble is None:
            return kept, None
        return kept, (FeedRefused if kind == "refused" else FeedUnreachable)("names", trouble.reason)

    # 5. and 6. The outputs, and the hook.

    def _serve(self, kept: Kept, now: float) -> Kept:
        """Bring outputs up to date, tell what is to be told, and write down what could not be."""
        status = self._status(kept, now)
        undelivered: list[str] = []
        if kept.allow is not None:
            items = items_of(self.feed, status.allow, kept.confirmed_at, status.hosts)
            undelivered = deliver(self.feed, items, now, is_stale=status.is_stale)
        after, wrong = self._tell(kept, status, now)
        if wrong is not None:
            undelivered.append(wrong)
        after = replace(after, undelivered=tuple(undelivered))
        if after != kept:
            self._write(after)
        return after

    @property
    def _tells(self) -> bool:
        return bool(self.feed.targets.hook) or self._on_event is not None

    def _tell(self, kept: Kept, status: Status, now: float) -> tuple[Kept, str | None]:
        """Tell what changed and which condition began; give what went wrong."""
        if not self._tells:
            return kept, None
        condition, reason = _condition_of(status)
        events: list[tuple[dict[str, Any], dict[str, Any]]] = []
        if kept.told is not None and kept.allow is not None:
            events.append((changed_event(self.feed, diff(kept.told, kept.allow), now), {"told": None}))
        if condition and condition != kept.said:
            event = condition_event(condition.partition(":")[0], self.feed, reason, now)
            events.append((event, {"said": condition}))
        for event, noted in events:
            if (wrong := self._send(event)) is not None:
                return kept, wrong
            kept = replace(kept, **noted)
        return (kept if condition else replace(kept, said="")), None

    def _send(self, event: dict[str, Any]) -> str | None:
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception as error:
                return f"the event could not be told: {error or type(error).__name__}"
        return run_hook(self.feed.targets.hook, event) if self.feed.targets.hook else None

    # What is in force.

    def _status(self, kept: Kept, now: float) -> Status:
        feed = self.feed
        hosts = hosts_in_force(feed, kept.hosts, now) if feed.hosts is not None else {}
        age = kept.age(now)
        if feed.hosts is not None:
            young = replace(feed, when_stale="deny") if feed.use == "allow" else feed
            is_stale = len(hosts_in_force(young, kept.hosts, now)) < len(feed.hosts.names)
            allow = list_of_hosts(hosts)
        else:
            is_stale = age > feed.max_age
            stays = kept.allow is not None and (not is_stale or feed.keeps_stale)
            allow = kept.allow if stays and kept.allow is not None else AllowList()
        return Status(feed=feed, allow=allow, is_stale=is_stale, age=age, sizes=size_of(allow), kept=kept, hosts=hosts)


def _outcome_of(trouble: FeedError | None, changes: ListDiff | None) -> Outcome:
    if isinstance(trouble, FeedRefused):
        return "refused"
    if trouble is not None:
        return "unreachable"
    return "unchanged" if changes is None else "changed"


def _condition_of(status: Status) -> tuple[str, str]:
    """Name the condition that a hook is told of, with its reason; "" for none."""
    kept = status.kept
    if status.is_stale and (kept.allow is not None or status.feed.hosts is not None):
        return "stale", f"the last good list is older than {status.feed.max_age:g} seconds"
    if kept.refused is not None:
        return f"refused:{kept.refused.code}:{kept.refused.digest or kept.refused.reason}", kept.refused.reason
    if kept.failed is not None and kept.failed.code == "gone":
        return "gone", kept.failed.reason
    return "", ""


def _with_list(kept: Kept, allow: AllowList, found: Fetched, terms: str, signed_at: int | None, now: float) -> Kept:
    """Keep a list that was taken."""
    is_new = allow != kept.allow
    return replace(
        kept,
        allow=allow if is_new else kept.allow,
        terms=terms,
        confirmed_at=now,
        changed_at=now if is_new else kept.changed_at,
        etag=found.etag,
        last_modified=found.last_modified,
        sha256=sha256_of(found.content),
        signed_at=signed_at,
        refused=None,
    )


def _terms_of(feed: Feed) -> str:
    """Give a digest of the settings by which a list is judged: under other ones it is fetched and judged anew."""
    policy = None if feed.policy is None else dataclasses.asdict(feed.policy)
    said = (feed.source, feed.file_format, sorted(feed.options.items()), feed.proof, feed.bounds, _ordered(policy))
    return sha256_of(repr(said).encode())


def _ordered(value: Any) -> Any:
    """Give a value whose `repr` is the same in every process: sets have no order of their own."""
    if isinstance(value, dict):
        return sorted((name, repr(_ordered(item))) for name, item in value.items())
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value


def _beside(source: str, suffix: str) -> str:
    """Name the file beside a source; the query of a URL stays behind its path."""
    if "://" not in source:
        return source + suffix
    path, question, query = source.partition("?")
    return path + suffix + question + query
