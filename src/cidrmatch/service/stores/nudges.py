"""Nudges: they tell a follower that there is something new, so that it looks at once.

    commit --> channel "cidrmatch": "main 18c2 17" --> nudge --hurry--> follower --look--> database

A nudge carries no data, and nothing depends on it: a follower looks every two seconds anyway.  A nudge that came twice,
or for nothing, costs one look.  A nudge that is lost costs two seconds.

    SqliteNudge     asks the file every 50 ms whether anybody has written to it
    PostgresNudge   LISTEN, on a connection of its own; the store notifies within its transaction
    RedisNudge      SUBSCRIBE; the store publishes after its commit

A channel may be dead without an error: the server is paused, the network is silent, a pooler has taken the
subscription away.  So each nudge sends a number that nobody else knows through it, every 1.5 seconds, and wants it back
within two.  If it does not come back, the nudge connects anew, after a pause that grows up to five seconds.

    probe --nonce--> channel --nonce--> alive         no nonce: dead, known within four seconds

Cost: a few hundred bytes a second.  Threads: each nudge has one.  Source: B11, C19.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import select
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from .errors import StoreUnavailable
from .sqlite_file import identity_of

if TYPE_CHECKING:
    from ..._keys import Revision
    from .database import Database

__all__ = ["CHANNEL", "Channel", "Nudge", "PostgresNudge", "RedisNudge", "SqliteNudge", "notice", "nudges_for"]

_log = logging.getLogger(__name__)

CHANNEL: Final = "cidrmatch"
"""The name of the channel, in PostgreSQL and in Redis."""
_PROBE_SECONDS: Final = 1.5
_ANSWER_SECONDS: Final = 2.0
_STEP_SECONDS: Final = 0.25
_SQLITE_SECONDS: Final = 0.05
_LONGEST_PAUSE: Final = 5.0
_MOST_CHARACTERS: Final = 1_000  # PostgreSQL takes 8,000 bytes


def notice(tenant: str, revision: Revision) -> str:
    """Write what a nudge says: the tenant and its revision; a very long name is left out."""
    name = tenant if len(tenant) <= _MOST_CHARACTERS else ""
    return f"{name} {revision.epoch:x} {revision.generation}"


def _concerns(said: str, tenant: str) -> bool:
    """Whether a notice is for a tenant; so is one that nobody understands."""
    parts = said.rsplit(" ", 2)
    return len(parts) != 3 or parts[0] in ("", tenant)


class Channel(Protocol):
    """What a nudge listens to."""

    def probe(self, nonce: str) -> None:
        """Send a nonce that comes back among the messages."""
        ...

    def messages(self) -> Iterable[str]:
        """Wait for a short time, and give what came."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Nudge:
    """Hurry a follower when there is something new; each nudge belongs to one follower."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._hurry: Callable[[], None] = lambda: None
        self._tenant = ""
        self._alive_at: float | None = None
        self._error: str | None = "it was not started"
        self._count = 0
        self._channel: Channel | None = None
        self._left: list[Channel | None] = []  # channels of the parent, which a child must not close

    def start(self, hurry: Callable[[], None], tenant: str) -> None:
        """Start the thread.

        Args:
            hurry: is called whenever there may be something new.
            tenant: whose changes are asked for.
        """
        self._hurry, self._tenant = hurry, tenant
        self._is_over = threading.Event()
        self._alive_at, self._error = None, None
        self._thread = threading.Thread(
            target=self._run, args=(self._is_over,), name=f"cidrmatch-{type(self).__name__}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop; a thread that hangs is left alone after some seconds."""
        self._is_over.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_ANSWER_SECONDS)

    def begin_anew(self) -> None:
        """Start again, in a forked child."""
        self._left.append(self._channel)
        if self._thread is not None and not self._is_over.is_set():
            self.start(self._hurry, self._tenant)

    def before_fork(self) -> None:
        """Close what must not be open in two processes."""

    def after_fork(self) -> None:
        """Open it again."""

    @property
    def age(self) -> float | None:
        """Seconds since the channel was known to be alive; None if it never was."""
        at = self._alive_at
        return None if at is None else time.monotonic() - at

    @property
    def is_alive(self) -> bool:
        """Whether the channel has answered lately."""
        age = self.age
        return self._error is None and age is not None and age < _PROBE_SECONDS + _ANSWER_SECONDS + _STEP_SECONDS

    def health(self) -> dict[str, Any]:
        """Tell how it is, as plain values."""
        age = self.age
        return {
            "name": type(self).__name__,
            "is_alive": self.is_alive,
            "age": None if age is None else round(age, 3),
            "error": self._error,
            "nudges": self._count,
        }

    # In the thread.

    def _open(self) -> Channel:
        raise NotImplementedError

    def _run(self, is_over: threading.Event) -> None:
        pause = 0.0
        while not is_over.wait(pause * random.uniform(0.5, 1.0)):  # noqa: S311  nothing secret
            began = time.monotonic()
            try:
                self._serve(is_over)
            except Exception as error:
                self._tell(error)
            lasted = time.monotonic() - began
            pause = 0.1 if lasted > _LONGEST_PAUSE else min(_LONGEST_PAUSE, max(0.1, 2 * pause))

    def _tell(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if self._error is None:
            _log.warning("%s is dead; changes are found by looking every few seconds: %s", type(self).__name__, said)
        self._error = said

    def _serve(self, is_over: threading.Event) -> None:
        """Listen until the channel is dead."""
        channel = self._channel = self._open()
        with closing(channel):
            self._nudge()  # while nobody listened, there may have been something
            nonce, sent_at = None, float("-inf")
            while not is_over.is_set():
                now = time.monotonic()
                if nonce is None and now - sent_at >= _PROBE_SECONDS:
                    nonce, sent_at = secrets.token_hex(8), now
                    channel.probe(nonce)
                if self._hear(channel.messages(), nonce):
                    nonce = None
                    self._alive_at, self._error = time.monotonic(), None
                if nonce is not None and time.monotonic() - sent_at > _ANSWER_SECONDS:
                    raise TimeoutError("what was sent through the channel did not come back")

    def _hear(self, messages: Iterable[str], nonce: str | None) -> bool:
        """Nudge for each message that is not the nonce; return whether the nonce was there."""
        found = False
        for said in messages:
            if said == nonce:
                found = True
            elif _concerns(said, self._tenant):
                self._nudge()
        return found

    def _nudge(self) -> None:
        self._count += 1
        self._hurry()


# SQLite.


class _File:
    """Ask a file whether anybody else has written to it: PRAGMA data_version, then the head of the tenant.

    Reports of readers write, too; the head tells whether it was a change.
    """

    def __init__(self, path: str, tenant: str, lock: threading.Lock) -> None:
        self._path, self._tenant, self._lock = path, tenant, lock
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[object, ...] = ()
        self._nonces: list[str] = []

    def probe(self, nonce: str) -> None:
        self._nonces.append(nonce)

    def messages(self) -> Iterator[str]:
        """Answer the nonce only after the file was asked."""
        time.sleep(_SQLITE_SECONDS)
        with self._lock:
            is_new = self._is_new()
        if is_new:
            yield ""
        yield from self._nonces
        self._nonces = []

    def _is_new(self) -> bool:
        connection = self._connection
        if connection is None:
            connection = self._connection = sqlite3.connect(
                f"{Path(self._path).as_uri()}?mode=rw", uri=True, timeout=_ANSWER_SECONDS, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip
            self._seen = ()
        identity = identity_of(self._path)
        version = connection.execute("PRAGMA data_version").fetchone()
        if self._seen[:2] == (identity, version):
            return False
        if self._seen and self._seen[0] != identity:
            raise StoreUnavailable(f"{self._path} is another file now")
        query = "SELECT epoch, number, mark FROM tenants WHERE name = ?"
        head = connection.execute(query, (self._tenant,)).fetchone()
        is_new = self._seen[2:] != (head,)
        self._seen = (identity_of(self._path), version, head)
        return is_new

    def close(self) -> None:
        with self._lock:
            self.let_go()

    def let_go(self) -> None:
        """Close the connection; the caller has the lock."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SqliteNudge(Nudge):
    """SqliteNudge(path): ask a file of SQLite every 50 ms whether anybody has written to it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = os.path.abspath(path)
        self._lock = threading.Lock()  # held while the file is asked, and by the parent during a fork
        self._file: _File | None = None

    def _open(self) -> Channel:
        self._file = _File(self._path, self._tenant, self._lock)
        return self._file

    def before_fork(self) -> None:
        """Close the file: a child must not inherit it open."""
        self._lock.acquire()
        if self._file is not None:
            self._file.let_go()

    def after_fork(self) -> None:
        """Let the thread open the file again."""
        self._lock.release()

    def begin_anew(self) -> None:
        """Start again with a new lock, in a forked child."""
        self._lock = threading.Lock()
        super().begin_anew()


# PostgreSQL.


class _Session:
    """A connection of PostgreSQL, used through libpq itself: each wait has a bound, whatever the server does."""

    def __init__(self, words: dict[str, Any]) -> None:
        import psycopg  # noqa: PLC0415  only for who has it
        from psycopg import pq  # noqa: PLC0415

        self._connection = psycopg.connect(**words, autocommit=True)
        self._libpq = self._connection.pgconn
        self._bad = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
        self._is_busy = False

    def send(self, query: str, *values: str) -> None:
        """Send a query; `step` gives the value of its first row when it comes."""
        self._libpq.send_query_params(query.encode(), [value.encode() for value in values])
        self._is_busy = True
        self._libpq.flush()

    def step(self, seconds: float) -> Iterator[str]:
        """Wait for what comes, for a while, and give the answer of the query, and the notifications.

        Raises:
            StoreUnavailable: a query failed, or the connection broke.
        """
        poll = select.poll()
        poll.register(self._libpq.socket, select.POLLIN)
        poll.poll(seconds * 1_000)
        self._libpq.flush()
        self._libpq.consume_input()
        while self._is_busy and not self._libpq.is_busy():
            result = self._libpq.get_result()
            self._is_busy = result is not None
            if result is not None and result.status in self._bad:
                raise StoreUnavailable(result.get_error_message())
            if result is not None and result.ntuples and (value := result.get_value(0, 0)):
                yield value.decode("utf-8", "replace")
        while (found := self._libpq.notifies()) is not None:
            yield found.extra.decode("utf-8", "replace")

    def ask(self, query: str, *values: str) -> None:
        """Send a query and wait for its end."""
        self.send(query, *values)
        deadline = time.monotonic() + _ANSWER_SECONDS
        while self._is_busy:
            for _ in self.step(_STEP_SECONDS):
                pass
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not answer")

    def close(self) -> None:
        self._connection.close()


class _Listening:
    """LISTEN on the channel of the store, and on one for the nonces.

    At first a nonce comes from another session: behind a pooler that gives sessions away it would not arrive.  Later
    the own session gives it back as the answer of a query, if it still listens to both channels.  It does not
    notify itself: PostgreSQL wakes every session that listens to anything, so a thousand followers would wake each
    other a million times in 1.5 seconds.
    """

    def __init__(self, words: dict[str, Any]) -> None:
        self._own = f"{CHANNEL}_{secrets.token_hex(8)}"
        self._session = _Session(words)
        try:
            self._session.ask(f"LISTEN {CHANNEL}")
            self._session.ask(f"LISTEN {self._own}")
            self._check_from_outside(words)
        except BaseException:
            self._session.close()
            raise

    def _check_from_outside(self, words: dict[str, Any]) -> None:
        nonce = secrets.token_hex(8)
        with closing(_Session(words)) as other:
            other.ask("SELECT pg_notify($1, $2)", self._own, nonce)
            deadline = time.monotonic() + _ANSWER_SECONDS
            while nonce not in list(self._session.step(_STEP_SECONDS)):
                if time.monotonic() > deadline:
                    raise TimeoutError("no notification of another session arrives: is there a pooler in between?")

    def probe(self, nonce: str) -> None:
        query = "SELECT $1::text WHERE ARRAY[$2, $3]::text[] <@ ARRAY(SELECT pg_listening_channels())"
        self._session.send(query, nonce, self._own, CHANNEL)

    def messages(self) -> Iterable[str]:
        return self._session.step(_STEP_SECONDS)

    def close(self) -> None:
        self._session.close()


class PostgresNudge(Nudge):
    """PostgresNudge(words): listen to what the store notifies, on a connection of its own.

    Args:
        words: what `psycopg.connect` takes; see `Database.connect_args`.
    """

    def __init__(self, words: dict[str, Any]) -> None:
        super().__init__()
        self._words = words

    def _open(self) -> Channel:
        return _Listening(self._words)


# Redis.


class _Subscribed:
    """SUBSCRIBE to the channel of the store, and to one for the nonces."""

    def __init__(self, client: Any, channel: str) -> None:
        self._own = f"{channel}:{secrets.token_hex(8)}"
        self._client = client
        self._subscription = client.pubsub(ignore_subscribe_messages=True)
        self._subscription.subscribe(channel, self._own)

    def probe(self, nonce: str) -> None:
        self._client.publish(self._own, nonce)

    def messages(self) -> Iterator[str]:
        found = self._subscription.get_message(timeout=_STEP_SECONDS)
        while found is not None:
            yield found["data"].decode("utf-8", "replace")
            found = self._subscription.get_message(timeout=0)

    def close(self) -> None:
        with suppress(Exception):
            self._subscription.close()
        self._client.close()


class RedisNudge(Nudge):
    """RedisNudge(url): subscribe to a channel of Redis; the store publishes to it.

    nudge = RedisNudge("redis://localhost")
    Store(url, announce=nudge.announce)                    the side that writes
    StoreFollower(store, nudges=[nudge])                   the side that reads

    Args:
        url: of the server; "rediss://" for TLS.
        channel: the name of the channel.  Nonces go to channels whose names begin with it and a colon.
    """

    def __init__(self, url: str, *, channel: str = CHANNEL) -> None:
        super().__init__()
        self._url, self._topic = url, channel
        self._sending: threading.Thread | None = None

    def _client(self) -> Any:
        from redis import Redis  # noqa: PLC0415  only for who has it
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        waits = {"socket_timeout": _ANSWER_SECONDS, "socket_connect_timeout": _ANSWER_SECONDS}
        return Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), **waits)

    def _open(self) -> Channel:
        return _Subscribed(self._client(), self._topic)

    def announce(self, said: str) -> None:
        """Publish a notice, as well as it goes: wait for a second at most, and fail in silence.

        While a notice hangs, the next ones are not sent: followers look by themselves.
        """
        if self._sending is not None and self._sending.is_alive():
            return
        self._sending = threading.Thread(target=self._publish, args=(said,), name="cidrmatch-publish", daemon=True)
        self._sending.start()
        self._sending.join(1.0)

    def _publish(self, said: str) -> None:
        try:
            with closing(self._client()) as client:
                client.publish(self._topic, said)
        except Exception as error:
            _log.warning("a change was not published to Redis; followers find it by looking: %s", error)


def nudges_for(database: Database) -> list[Nudge]:
    """Make the nudges that a database has by itself."""
    if database.kind == "postgresql":
        return [PostgresNudge(database.connect_args())]
    path = database.url.database
    return [SqliteNudge(path)] if path and path != ":memory:" and not path.startswith("file:") else []
