r"""The state file of a feed: the last good list, and what is known of it.

    {"format": 2, "name": "edge", "use": "allow", "confirmed_at": ..., "etag": ..., "entries": 2, "sha256_of_all": ...}
    ["203.0.113.0/24", "HQ"]
    ["2001:db8::/48", null]

The first line has the facts.  One line an entry follows.  If a hook has not been told of the last change, the entries
of the list as it was told stand below them, and `told` says how many they are.

The file is written whole or not at all.  A damaged file is an error, and never "there was no list yet": the bounds on
sudden changes would be lost, and with them the last good list.

`confirmed_at` is the last moment at which the publisher was seen to have exactly this list.  The age of a list counts
from there.  A clock that was set back makes the age unknown, which is taken for too old until the next look.

Cost: a look reads and writes the whole file.
Threads: safe; the caller holds the lock of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from ..._core import AllowList
from ...errors import quote
from .errors import FeedStateError
from .listing import body_of, entries_in
from .proofs import sha256_of
from .whole_file import write_whole

__all__ = ["HostAnswer", "Kept", "Trouble", "age_of", "read_kept", "write_kept"]

_FORMAT: Final = 2
_CLOCK_SLACK: Final = 60.0
"""Seconds by which two looks at the clock may differ without meaning."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Say what was wrong with the last look.

    Attributes:
        code, reason: as in `FeedError`.
        at: when, in seconds since 1970.
        digest: of the list that was refused; None if there was no list.
    """

    code: str
    reason: str
    at: float
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """Hold the last answer for a host name: its addresses, when it came, and for how many seconds it is not asked."""

    addresses: tuple[str, ...]
    answered_at: float
    ttl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Hold what is kept of a feed.

    Attributes:
        allow: the last good list; None before there was one.
        told: the list as the hook was told of it last, if that is another one; else None.
        source: the source for people.
        terms: the digest of the settings under which the list was taken; under others the list is fetched anew.
        looked_at, confirmed_at, changed_at: moments in seconds since 1970; 0 for never.
        etag, last_modified: by which the publisher is asked again.
        sha256: of the publisher's bytes.
        signed_at: the moment in the signature, or None.
        refused: the list that the publisher has now, if it was refused.
        failed: why the last look gave no list.
        undelivered: which outputs are behind, and why.
        said: which condition the hook was told of last; "" for none.
        hosts: for each host name its last answer.
    """

    allow: AllowList | None = None
    told: AllowList | None = None
    source: str = ""
    terms: str = ""
    looked_at: float = 0.0
    confirmed_at: float = 0.0
    changed_at: float = 0.0
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    signed_at: int | None = None
    refused: Trouble | None = None
    failed: Trouble | None = None
    undelivered: tuple[str, ...] = ()
    said: str = ""
    hosts: Mapping[str, HostAnswer] = field(default_factory=dict)

    @property
    def digest(self) -> str | None:
        """The digest of the last good list."""
        return None if self.allow is None else body_of(self.allow)[1]

    def age(self, now: float) -> float:
        """Give the seconds since the publisher had this list; infinite if nobody knows."""
        return math.inf if self.allow is None else age_of(self.confirmed_at, now)


def age_of(moment: float, now: float) -> float:
    """Give the seconds since a moment; infinite if the clock was set back behind it."""
    age = now - moment
    return math.inf if age < -_CLOCK_SLACK else max(age, 0.0)


_PLAIN: Final = tuple(item.name for item in fields(Kept) if item.name not in ("allow", "told"))


def write_kept(path: str, kept: Kept, name: str, use: str) -> None:
    """Write a state file.

    Raises:
        FeedStateError: it cannot be written; the old one is there.
    """
    bodies = [b"" if allow is None else body_of(allow)[0] for allow in (kept.allow, kept.told)]
    body = b"".join(bodies)
    facts: dict[str, Any] = {"format": _FORMAT, "name": name, "use": use}
    facts |= asdict(replace(kept, allow=None, told=None))
    del facts["allow"]
    facts["entries"] = None if kept.allow is None else len(kept.allow)
    facts["told"] = None if kept.told is None else len(kept.told)
    facts["sha256_of_all"] = _digest_of(facts, body)
    try:
        write_whole(path, json.dumps(facts).encode() + b"\n" + body, 0o600)
    except OSError as error:
        raise FeedStateError("state", f"{quote(path)}: cannot be written: {error.strerror or error}") from error


def _digest_of(facts: dict[str, Any], body: bytes) -> str:
    """Give the digest of all that a state file says: a damaged moment would keep a list in force for ever."""
    return sha256_of(json.dumps(facts, sort_keys=True).encode() + b"\n" + body)


def read_kept(path: str, name: str, use: str) -> Kept:
    """Read a state file; where there is none, give what is kept of a new feed.

    Raises:
        FeedStateError: it cannot be read, it is damaged, or it is of another feed.
    """
    try:
        with open(path, "rb") as file:
            first, body = file.readline(), file.read()
    except FileNotFoundError:
        return Kept()
    except OSError as error:
        raise FeedStateError("state", f"{quote(path)}: cannot be read: {error.strerror or error}") from error
    try:
        facts = json.loads(first)
        digest = facts.pop("sha256_of_all")
        if facts["format"] != _FORMAT or digest != _digest_of(facts, body):
            raise ValueError("the digest is of something else, or the format is of another version")
        kept = _kept_of(facts, body)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        advice = "its last good list is lost; who removes it begins anew, without bounds on what changed"
        raise FeedStateError(
            "damaged", f"{quote(path)}: is no state file of a feed, or damaged ({error}); {advice}"
        ) from None
    if (facts["name"], facts["use"]) != (name, use):
        whose = f"the feed {quote(facts['name'])} for use as {facts['use']}"
        raise FeedStateError("state", f"{quote(path)}: is of {whose}, not of {quote(name)} for use as {use}")
    return kept


def _kept_of(facts: dict[str, Any], body: bytes) -> Kept:
    entries, told = facts["entries"], facts["told"]
    lines = body.splitlines(keepends=True)
    if len(lines) != (entries or 0) + (told or 0):
        raise ValueError("it has another number of entries")
    plain = {item: facts[item] for item in _PLAIN}
    for item in ("refused", "failed"):
        plain[item] = None if plain[item] is None else Trouble(**plain[item])
    plain["undelivered"] = tuple(plain["undelivered"])
    plain["hosts"] = {
        host: HostAnswer(tuple(answer["addresses"]), answer["answered_at"], answer["ttl"])
        for host, answer in plain["hosts"].items()
    }
    parts = (lines[: entries or 0], lines[entries or 0 :])
    lists = (
        None if count is None else AllowList(entries_in(b"".join(part), count))
        for count, part in zip((entries, told), parts, strict=True)
    )
    return Kept(allow=next(lists), told=next(lists), **plain)
