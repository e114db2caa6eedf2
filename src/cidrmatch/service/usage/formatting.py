"""A batch of notes as rows of the log, and everything that one transaction writes with them.

    (time, GuardDecision, "GET", "/v1/orders", 403, "7f...", 0.0021)
        --> number 1794211200000123, lag 0, key b"key_live_1", kind 4, address cb007109, path b"/v1/orders", ...

    kind 4     ["GET", 403, false, "ip_not_listed", null, "bitbybit", null, null, ""]     table usage_words
    entry 9    ["203.0.113.0/24", "office", null]
    data 2     [17, "5/17"]

Words that many rows share are interned.  A cache maps them to their ids; it is forgotten when a transaction fails,
because its new ids failed with it.

A client can make up methods and paths.  A log knows the methods of HTTP, and others up to `_MOST_METHODS`; each further
one is written as "OTHER".
Texts that are too long are cut; a key keeps a hash of the rest, so two long keys stay two.

The number of a record is its time in microseconds, or one more than the number before.  So numbers grow in the order of
the notes, also if the clock goes back.

Cost: some 2 microseconds a record.  Threads: one at a time, the writer's.  Source: B25, B28; C16.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ..._core import format_address
from .record import LOST, STEPS_ONLY
from .schema import DAY_MICROS

if TYPE_CHECKING:
    from .buffer import Loss, Note
    from .databases import Connection
    from .masks import Mask

__all__ = ["Formatter", "Rows", "bytes_of", "stored_id", "stored_key", "stored_path"]

_log = logging.getLogger(__name__)

_LONGEST_KEY: Final = 512
_LONGEST_PATH: Final = 2_048
_LONGEST_ID: Final = 256
_LONGEST_TRAIL: Final = 1_024
_MOST_METHODS: Final = 64
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))
"""The methods of HTTP (RFC 9110, RFC 5789); no client's inventions take their places."""
_OTHER: Final = "OTHER"
_LONGEST_WORD: Final = 64
_MOST_BYTES: Final = 1_200
_MOST_CACHED: Final = 50_000
_MOST_MICROS: Final = 2**53
_MAPPED: Final = bytes(10) + b"\xff\xff"
"""The first 12 bytes of an IPv4-mapped IPv6 address (C16)."""


def bytes_of(text: str) -> bytes:
    """Give a text as the log keeps it; half a character survives."""
    return text.encode("utf-8", "surrogatepass")


def stored_key(key: str) -> bytes:
    """Give a key's id as the log keeps it: a long one is cut, and ends with a hash of all of it."""
    data = bytes_of(key)
    if len(data) <= _LONGEST_KEY:
        return data
    digest = hashlib.blake2b(data, digest_size=16).hexdigest().encode()
    return bytes_of(key[: _LONGEST_KEY // 8]) + b"..." + digest


def stored_path(path: str) -> bytes:
    """Give a path as the log keeps it."""
    return bytes_of(path[:_LONGEST_PATH])


def stored_id(request_id: str) -> bytes:
    """Give a request's id as the log keeps it."""
    return bytes_of(request_id[:_LONGEST_ID])


class Rows:
    """What one transaction writes.

    Attributes:
        last: the number of the last row.
        by_day: for each day the rows, in order, and the greatest lag.
        keys: for each key, when it was used last, and when it was allowed last, in microseconds.
        entries: for each entry and key, when it decided last; the key is b"" for an entry of a named list.
        denials: the moment, the address and the reason of each denial.
        settled: how many notes these rows settle, lost ones included.
        refused: the moments of notes that cannot be written.
    """

    def __init__(self, last: int) -> None:
        self.last = last
        self.by_day: dict[int, list[tuple[object, ...]]] = {}
        self.lags: dict[int, int] = {}
        self.keys: dict[bytes, tuple[int, int | None]] = {}
        self.entries: dict[tuple[int, bytes], int] = {}
        self.denials: list[tuple[float, bytes | None, object]] = []
        self.settled = 0
        self.refused: list[float] = []
        self.day = self.day_ends = 0
        self.of_day: list[tuple[object, ...]] = []

    def turn_to(self, day: int) -> None:
        """Let the next rows be of a day."""
        self.day, self.day_ends = day, (day + 1) * DAY_MICROS
        self.of_day = self.by_day.setdefault(day, [])
        self.lags.setdefault(day, 0)


class Formatter:
    """Formatter(mask, engine): make rows of notes.

    Args:
        mask: a `Mask`, or None.
        engine: an `Engine` whose revisions are written, or None.
    """

    def __init__(self, mask: Mask | None, engine: Any = None) -> None:
        self._mask = mask
        self._said = "" if mask is None else mask.said()
        self._engine = engine
        self._revisions: dict[int, str] = {}
        self.forget()

    def forget(self) -> None:
        """Forget the ids of words: a transaction failed, and its words may not be there."""
        self._kinds: dict[object, int] = {}
        self._places: dict[object, int] = {}
        self._data: dict[object, int] = {}
        self._methods: set[str] | None = None

    def format(self, connection: Connection, notes: Iterable[Note], losses: Iterable[Loss], last: int) -> Rows:
        """Make the rows of notes and losses, in this order.

        Args:
            connection: the transaction that will write the rows; it gets the words that are new.
            last: the greatest number in the log.
        """
        rows = Rows(last)
        self._learn_revision()
        for note in notes:
            try:
                self._add(connection, rows, note)
            except (AttributeError, TypeError, ValueError, OverflowError, UnicodeError):
                _log.exception("a request cannot be written to the usage log as it is; it is counted as refused")
                rows.refused.append(note[0])
            else:
                rows.settled += 1
        for loss in losses:
            self._add_loss(connection, rows, loss)
            rows.settled += loss.notes
        return rows

    def _add(self, connection: Connection, rows: Rows, note: Note) -> None:
        """Add the row of one note.  The commonest case is written out here: a call costs as much as a field."""
        at, found, method, path, status, request_id, seconds, stopped_at, key = note
        packed = place = data = trail = decision = None
        if found is None:
            words: tuple[object, ...] = (method, status, None, STEPS_ONLY, None, None, stopped_at, None)
        else:
            guarded: Any = found
            key, decision = guarded.key, guarded.decision
            packed, problem, trail = guarded.client
            if decision is None:
                words = (method, status, guarded.allowed, guarded.reason, problem, None, stopped_at, None)
            else:
                policy, would_allow = decision.policy.name, decision.would_allow
                words = (method, status, guarded.allowed, guarded.reason, problem, policy, stopped_at, would_allow)
                data = self._data.get(decision.version) or self._version(connection, decision.version)
                entry = decision.entry
                if entry is not None:
                    name = (entry, decision.list_name)
                    place = self._places.get(name) or self._place(connection, *name)
        kind = self._kinds.get(words) or self._kind(connection, words)
        micros = int(at * 1e6)
        if trail is not None:
            packed, trail = self._address(packed, trail)
        if words[2] is False:
            rows.denials.append((at, packed, words[3]))
        if key is not None:
            key = self._key(rows, key, micros, words[2], place, decision)
        if path is not None:
            path = path[:_LONGEST_PATH].encode("utf-8", "surrogatepass")  # type: ignore[index]
        if request_id is not None:
            request_id = stored_id(str(request_id))
        if seconds is not None:
            seconds = int(seconds * 1e6)  # type: ignore[operator]
            if not 0 <= seconds <= _MOST_MICROS:
                seconds = max(min(seconds, _MOST_MICROS), 0)
        self._put(rows, micros, (key, kind, packed, path, trail, place, data, request_id, seconds, None))

    def _put(self, rows: Rows, micros: int, columns: tuple[object, ...]) -> None:
        number = rows.last = micros if micros > rows.last else rows.last + 1
        if number >= rows.day_ends or rows.day_ends - number > DAY_MICROS:
            rows.turn_to(number // DAY_MICROS)
        lag = number - micros
        rows.lags[rows.day] = max(rows.lags[rows.day], lag)
        rows.of_day.append((number, lag, *columns))

    def _add_loss(self, connection: Connection, rows: Rows, loss: Loss) -> None:
        words = (None, None, None, LOST[loss.cause], None, None, None, None)
        kind = self._kinds.get(words) or self._kind(connection, words)
        micros = max(int((loss.last - loss.first) * 1e6), 0)
        self._put(rows, int(loss.last * 1e6), (None, kind, None, None, None, None, None, None, micros, loss.notes))

    # -- Fields ---------------------------------------------------------------

    def _key(self, rows: Rows, key: Any, micros: int, allowed: object, place: int | None, decision: Any) -> bytes:
        if type(key) is not str:
            key = str(key)
        if self._mask is not None:
            key = self._mask.named(key)
        data = key.encode("utf-8", "surrogatepass") if len(key) < 100 else stored_key(key)  # four bytes a character
        if allowed:
            rows.keys[data] = (micros, micros)
        else:
            before = rows.keys.get(data)
            rows.keys[data] = (micros, None if before is None else before[1])
        if place is not None:
            rows.entries[place, data if decision.list_name is None else b""] = micros
        return data

    def _address(self, packed: bytes | None, trail: Any) -> tuple[bytes | None, bytes | None]:
        """Give the address as it is kept, and its trail; no trail where a reader will put the address there."""
        mask = self._mask
        if packed is not None:
            if len(packed) == 16 and packed.startswith(_MAPPED):
                packed = packed[12:]
            if mask is not None and mask.hides_addresses:
                return mask.address(packed), b""
            if len(trail) == 1 and trail[0] == format_address(packed):
                return packed, None
        elif not trail or (mask is not None and mask.hides_addresses):
            return None, None
        text = "\0".join(trail)
        if text.count("\0") >= len(trail):  # an element has one, too
            text = "\0".join([element.replace("\0", "\ufffd") for element in trail])
        return packed, text[:_LONGEST_TRAIL].encode("utf-8", "surrogatepass")

    # -- Words ----------------------------------------------------------------

    def _kind(self, connection: Connection, words: tuple[object, ...]) -> int:
        """Intern the words of a kind; they come from outside, so their forms are checked here."""
        method, status, allowed, reason, problem, policy, stopped_at, would_allow = words
        clean = (
            self._method(connection, method),
            status if type(status) is int and 100 <= status <= 999 else None,
            allowed,
            str(reason),
            problem,
            None if policy is None else str(policy)[:_LONGEST_WORD],
            None if stopped_at is None else str(stopped_at)[:_LONGEST_WORD],
            would_allow,
            "" if allowed is None and reason != STEPS_ONLY else self._said,
        )
        number = self._intern(connection, "kind", clean)
        _remember(self._kinds, words, number)
        return number

    def _method(self, connection: Connection, method: object) -> str | None:
        if method is None:
            return None
        if self._methods is None:
            rows = connection.rows("SELECT words FROM usage_words WHERE what = 'kind'")
            self._methods = {json.loads(words)[0] for (words,) in rows} - {None}
        name = str(method)[:_LONGEST_WORD]
        if name not in self._methods and name not in _METHODS and len(self._methods) >= _MOST_METHODS:
            return _OTHER
        self._methods.add(name)
        return name

    def _place(self, connection: Connection, entry: Any, list_name: str | None) -> int:
        number = self._places.get((entry, list_name))
        if number is None:
            shown = str(entry.prefix) if self._may_show(entry.prefix) else None
            number = self._intern(connection, "entry", (shown, _short(entry.label), _short(list_name)))
            _remember(self._places, (entry, list_name), number)
        return number

    def _may_show(self, prefix: Any) -> bool:
        """A prefix that is narrower than the mask would tell the address."""
        if self._mask is None:
            return True
        bits = self._mask.address_prefix4 if prefix.family == 4 else self._mask.address_prefix6
        return bits is None or bool(prefix.length <= bits)

    def _version(self, connection: Connection, version: int) -> int:
        number = self._data.get(version)
        if number is None:
            number = self._intern(connection, "data", (version, self._revisions.get(version)))
            _remember(self._data, version, number)
        return number

    def _learn_revision(self) -> None:
        """Note which revision the engine's version of now is."""
        engine = self._engine
        if engine is None:
            return
        version = engine.view.version
        if version in self._revisions:
            return
        revision = engine.revision
        if revision is not None and engine.view.version == version:
            _remember(self._revisions, version, f"{revision.epoch}/{revision.generation}")
            self._data.pop(version, None)

    @staticmethod
    def _intern(connection: Connection, what: str, words: tuple[object, ...]) -> int:
        text = json.dumps(words)
        rows = connection.rows("SELECT id FROM usage_words WHERE what = ? AND words = ?", (what, text))
        if not rows:
            rows = connection.rows("INSERT INTO usage_words (what, words) VALUES (?, ?) RETURNING id", (what, text))
        return int(rows[0][0])


def _short(word: str | None) -> str | None:
    """Cut a word that does not fit into an index of PostgreSQL, whose rows have at most 2,704 bytes."""
    if word is None or len(json.dumps(word)) <= _MOST_BYTES:
        return word
    return f"{word[: _MOST_BYTES // 12 - 3]}..."  # a character has at most twelve bytes in JSON


def _remember(cache: dict[Any, Any], key: object, value: object) -> None:
    """Put something in a cache; forget all of it when it is large."""
    if len(cache) >= _MOST_CACHED:
        cache.clear()
    cache[key] = value
