"""A batch of packed notes as rows of the log, and the words that it names by number.

    batch kind 0     (GET, 403, False, ip_not_listed ...)          usage_words: id 4
    batch entry 0    203.0.113.0/24, "office", no list              id 9
    batch data 0     version 17                                    id 2

    kind 4     ["GET", 403, false, "ip_not_listed", null, "bitbybit", null, null, ""]     table usage_words
    entry 9    ["203.0.113.0/24", "office", null]
    data 2     [17, "5/17"]

A batch has each of these words once, so little of this is done for each record; the rows are made by packed_notes.pyx.
A cache maps words to their ids; it is forgotten when a transaction fails, because its new ids failed with it.

A client can make up methods and paths.  A log knows the methods of HTTP, and others up to `_MOST_METHODS`; each further
one is written as "OTHER".
Texts that are too long are cut; a key keeps a hash of the rest, so two long keys stay two.

Cost: some 0.1 milliseconds a batch.  Threads: one at a time, the writer's.  Source: B25, B28; C16.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..._keys import Packer
from .record import STEPS_ONLY

if TYPE_CHECKING:
    from ..._core import Prefix
    from ..._keys import PackedNotes
    from .databases import Connection
    from .masks import Mask

__all__ = ["Formatter", "Part", "bytes_of", "packer_for", "stored_id", "stored_key", "stored_path"]

_LONGEST_KEY: Final = 512
_LONGEST_PATH: Final = 2_048
_LONGEST_ID: Final = 256
_MOST_METHODS: Final = 64
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))
"""The methods of HTTP (RFC 9110, RFC 5789); no client's inventions take their places."""
_OTHER: Final = "OTHER"
_LONGEST_WORD: Final = 64
_MOST_BYTES: Final = 1_200
_MOST_CACHED: Final = 50_000


def bytes_of(text: str | bytes) -> bytes:
    """Give a text as the log keeps it; half a character survives."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


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


def packer_for(size: int, mask: Mask | None) -> Packer:
    """Make the packer of a log: at most so many notes wait, and a mask is put on in the thread of the request."""
    if mask is None:
        return Packer(size, stored_key)
    return Packer(size, stored_key, mask.named, mask.address if mask.hides_addresses else None)


class Part(NamedTuple):
    """The rows of one day in a batch.

    Attributes:
        day: since 1970.
        rows: how many.
        last: the number of the last one.
        lag: the greatest.
        data: the rows, as `Connection.append_packed` takes them.
    """

    day: int
    rows: int
    last: int
    lag: int
    data: bytes


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
        self._entries: dict[object, int] = {}
        self._data: dict[object, int] = {}
        self._methods: set[str] | None = None

    def parts(self, connection: Connection, kind: str, batch: PackedNotes, last: int) -> list[Part]:
        """Make the rows of a batch, day by day.

        Args:
            connection: the transaction that will write the rows; it gets the words that are new.
            kind: of the database.
            last: the greatest number in the log.
        """
        self._learn_revision()
        kinds = [self._kinds.get(words) or self._kind(connection, words) for words in batch.kinds]
        data = [self._data.get(version) or self._version(connection, version) for version in batch.versions]
        entries = [self._entries.get(entry) or self._entry(connection, entry) for entry in batch.entries]
        return [Part(*part) for part in batch.parts(last, kinds, entries, data, as_copy=kind == "postgresql")]

    def known_parts(self, batch: PackedNotes, last: int) -> list[Part] | None:
        """Make the rows of a batch for SQLite, as `parts`, if all of its words have ids; else None."""
        self._learn_revision()
        kinds = [self._kinds.get(words, 0) for words in batch.kinds]
        data = [self._data.get(version, 0) for version in batch.versions]
        entries = [self._entries.get(entry, 0) for entry in batch.entries]
        if not (all(kinds) and all(data) and all(entries)):
            return None
        return [Part(*part) for part in batch.parts(last, kinds, entries, data, as_copy=False)]

    # -- Words ----------------------------------------------------------------

    def _kind(self, connection: Connection, words: tuple[object, ...]) -> int:
        """Intern the words of a kind; they come from outside, so their forms are checked here."""
        method, status, allowed, reason, problem, policy, stopped_at, would_allow = words
        clean = (
            self._method(connection, method),
            status if type(status) is int and 100 <= status <= 999 else None,
            allowed,
            STEPS_ONLY if reason is None else str(reason),
            problem,
            policy,
            stopped_at,
            would_allow,
            "" if allowed is None and reason not in (None, STEPS_ONLY) else self._said,
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

    def _entry(self, connection: Connection, entry: tuple[Prefix, str | None, str | None]) -> int:
        prefix, label, list_name = entry
        shown = str(prefix) if self._may_show(prefix) else None
        number = self._intern(connection, "entry", (shown, _short(label), _short(list_name)))
        _remember(self._entries, entry, number)
        return number

    def _may_show(self, prefix: Prefix) -> bool:
        """A prefix that is narrower than the mask would tell the address."""
        if self._mask is None:
            return True
        bits = self._mask.address_prefix4 if prefix.family == 4 else self._mask.address_prefix6
        return bits is None or prefix.length <= bits

    def _version(self, connection: Connection, version: int) -> int:
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
