"""The last good list for others: a list file, a named list of a snapshot, a named list of a store.

    use     in a list file         in a named list of an engine
    allow   the entries            allow entries that expire when the list is stale
    deny    the entries            deny entries that do not expire

An engine gets the age of the list with each entry: `expires` is the moment at which the list is stale.  So an engine
fails closed by itself, also if nobody pulls any more.  Where other settings or a wrong clock gave entries a later
moment, the look that finds the list stale ends them.  A list file knows no time.  The look that finds the list stale
writes the file without entries.

Each delivery compares first, and writes only what differs.  So the next look makes up for a delivery that failed, and a
look without news writes nothing.  An `expires` is renewed when a tenth of `max_age` is gone; so entries may expire this
much earlier than the list is stale, and never later.

Threads: the caller holds the lock of the feed; files, snapshots and stores are locked by themselves.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..._core import Condition, Prefix
from ..._keys import remove_drafts
from ...advice.hosts import host_label
from ...engine.engine import Engine
from ...engine.file_lock import FileLock
from ...errors import CidrmatchError, Conflict, UnknownName, quote
from .errors import in_one_line
from .whole_file import write_whole

if TYPE_CHECKING:
    from ..._core import Entry
    from ..stores.store import Store
    from .settings import Feed
    from .state import HostAnswer

__all__ = ["Item", "deliver", "items_of"]

_RENEWED: Final = 0.1
"""The part of `max_age` after which an `expires` is written anew."""
_LOCK_SECONDS: Final = 60.0
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Item:
    """Hold an entry to deliver.

    Attributes:
        prefix, label: of the entry.
        expires: when it is too old, in seconds since 1970; infinite for never.
        answered_at: when the answer for its host name came, or None.
    """

    prefix: Prefix
    label: str | None
    expires: float
    answered_at: float | None = None


def items_of(feed: Feed, entries: Iterable[Entry], confirmed_at: float, hosts: dict[str, HostAnswer]) -> list[Item]:
    """Give each entry of a list that is in force with its last moment.

    Args:
        feed: its settings.
        entries: of the list.
        confirmed_at: when the publisher was seen to have the list; for host names each answer has a moment of its own.
        hosts: the answers that are in force.
    """
    latest: dict[str, tuple[float, str]] = {}
    for name, answer in hosts.items():
        for text in answer.addresses:
            latest[text] = max(latest.get(text, (-math.inf, name)), (answer.answered_at, name))
    items = []
    for entry in entries:
        if entry.prefix.address not in latest:
            items.append(Item(entry.prefix, entry.label, confirmed_at + feed.lasts))
            continue
        answered_at, name = latest[entry.prefix.address]
        items.append(Item(entry.prefix, f"host {name}", answered_at + feed.lasts, answered_at))
    return items


def deliver(feed: Feed, items: Sequence[Item], now: float, *, is_stale: bool) -> list[str]:
    """Bring every output of a feed up to date, and say which could not be.

    Args:
        feed: its settings.
        items: what is in force; none if the list is stale and does not stay.
        now: in seconds since 1970.
        is_stale: whether the list is stale.
    """
    targets, told = feed.targets, []
    works = ((targets.output, _to_file), (targets.snapshot, _to_snapshot), (targets.store, _to_store))
    for output, work in works:
        if output is None:
            continue
        try:
            work(feed, items, now, is_stale)
        except (OSError, CidrmatchError) as error:
            told.append(f"{quote(_shown(output))}: {in_one_line(error)}")
        except ModuleNotFoundError:
            told.append(f"{quote(_shown(output))}: stores need their extra: pip install 'cidrmatch[sql]'")
    return told


def _shown(output: str) -> str:
    """Show an output; the URL of a store without what may be a password."""
    scheme, separator, rest = output.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else output


# -- A list file --------------------------------------------------------------


def _to_file(feed: Feed, items: Sequence[Item], _now: float, is_stale: bool) -> None:
    output = os.path.realpath(feed.targets.output or "")
    content = (_json_of(items) if output.lower().endswith(".json") else _text_of(feed, items, is_stale)).encode()
    with FileLock(output, _LOCK_SECONDS):
        remove_drafts(output)
        with suppress(OSError):
            if Path(output).read_bytes() == content:
                return
        write_whole(output, content, 0o644)


def _json_of(items: Sequence[Item]) -> str:
    entries = [{"prefix": str(item.prefix)} | ({} if item.label is None else {"label": item.label}) for item in items]
    return json.dumps({"entries": entries}, indent=1) + "\n"


def _text_of(feed: Feed, items: Sequence[Item], is_stale: bool) -> str:
    lines = [f"# {feed.name}, {feed.use} list: written by `cidrmatch feed pull`; changes are lost"]
    if is_stale:
        lines.append(f"# the list is stale: {_what_stays(feed, items)}")
    lines += [f"{item.prefix}{'' if item.label is None else f'  # {_one_line(item.label)}'}" for item in items]
    return "\n".join(lines) + "\n"


def _what_stays(feed: Feed, items: Sequence[Item]) -> str:
    if not items:
        return "nobody is in it"
    return "it stays" if feed.keeps_stale else "names without an answer that is young enough are left out"


def _one_line(label: str) -> str:
    """Escape what would end the line of a comment, or hide what follows it."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in label)


# -- A named list -------------------------------------------------------------


def _entries_of(feed: Feed, items: Sequence[Item], *, labels: bool) -> list[dict[str, Any]]:
    """Give the entries as an engine takes them."""
    entries: list[dict[str, Any]] = []
    for item in items:
        entry: dict[str, Any] = {"prefix": str(item.prefix)}
        if labels and item.label is not None:
            name = item.label.removeprefix("host ")
            entry["label"] = item.label if item.answered_at is None else host_label(name, item.answered_at)
        if feed.use == "deny":
            entry["effect"] = "deny"
        if feed.use == "allow" and item.expires < math.inf:
            entry["expires"] = datetime.fromtimestamp(item.expires, UTC)
        entries.append(entry)
    return entries


def _is_current(feed: Feed, items: Sequence[Item], there: Sequence[Entry], *, labels: bool) -> bool:
    """Whether a named list has what is to be delivered, and its times are late enough."""
    slack = _RENEWED * feed.max_age
    wanted = {item.prefix: item for item in items}
    if len(there) != len(wanted):
        return False
    effect = feed.use
    for entry in there:
        item, condition = wanted.get(entry.prefix), entry.condition or Condition()
        if item is None or condition.effect != effect or not condition.enabled or condition.not_before is not None:
            return False
        if item.answered_at is None and entry.label != (item.label if labels else None):
            return False
        expires = item.expires if feed.use == "allow" else math.inf
        if condition.end != expires and not expires - slack <= condition.end <= expires:
            return False
    return True


def _due(
    feed: Feed, items: Sequence[Item], there: Sequence[Entry] | None, now: float, *, is_stale: bool, labels: bool
) -> list[dict[str, Any]] | None:
    """Give the entries that a named list gets; None if it has them, or if there is no such list yet and none in force.

    A list in use cannot be emptied.  So where nothing is in force, what still allows in there ends.
    """
    if items or not is_stale:
        is_current = there is not None and _is_current(feed, items, there, labels=labels)
        return None if is_current else _entries_of(feed, items, labels=labels)
    conditions = [entry.condition or Condition() for entry in there or ()]
    if feed.use == "deny" or not any(each.effect == "allow" and each.end > now for each in conditions):
        return None
    return _entries_of(feed, [Item(entry.prefix, entry.label, now) for entry in there or ()], labels=True)


def _describe(feed: Feed) -> str:
    return f"feed {feed.name}: {feed.shown_source}"


def _secret_of(feed: Feed) -> bytes | None:
    file = feed.targets.id_secret_file
    return None if file is None else Path(file).read_bytes()


def _to_snapshot(feed: Feed, items: Sequence[Item], now: float, is_stale: bool) -> None:
    targets = feed.targets
    name = targets.list_name or feed.name
    with Engine.edit(targets.snapshot or "", timeout=_LOCK_SECONDS, id_secret=_secret_of(feed)) as engine:
        labels = engine.policy.labels != "refuse"
        frozen = engine.lists().get(name)
        there = None if frozen is None else frozen.entries
        due = _due(feed, items, there, now, is_stale=is_stale, labels=labels)
        if due is not None:
            engine.put_list(name, due, description=_describe(feed))


def _to_store(feed: Feed, items: Sequence[Item], now: float, is_stale: bool) -> None:
    from ..stores.errors import StoreError  # noqa: PLC0415  an extra
    from ..stores.store import Store  # noqa: PLC0415

    targets = feed.targets
    try:
        store = Store(targets.store or "", targets.tenant, id_secret=_secret_of(feed))
    except ValueError as error:
        raise StoreError(str(error)) from error
    try:
        _put_in_store(store, feed, items, now, is_stale)
    finally:
        store.close()


def _put_in_store(store: Store, feed: Feed, items: Sequence[Item], now: float, is_stale: bool) -> None:
    """Replace a list of a store, unless somebody else changed it since it was compared; then compare again."""
    name = feed.targets.list_name or feed.name
    for attempt in range(_TRIES):
        with store.reading() as data:
            labels = data.rules.policy.labels != "refuse"
            found = None
            with suppress(UnknownName):
                found = data.named_list(name)
        there = None if found is None else found.value.entries
        due = _due(feed, items, there, now, is_stale=is_stale, labels=labels)
        if due is None:
            return
        try:
            with store.change("feed", actor=f"feed {feed.name}", reason=_describe(feed)) as change:
                change.expect_list(name, None if found is None else found.revision)
                change.put_list(name, due, description=_describe(feed))
            return
        except Conflict:
            if attempt == _TRIES - 1:
                raise
