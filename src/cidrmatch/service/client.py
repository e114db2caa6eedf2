"""A client of the admin API: one class makes calls, two send them, waiting or with asyncio.

    Calls.key("key_1") --> Call[KeyFound]  --Client.do-->             KeyFound
                                           --await AsyncClient.do-->  KeyFound

    with Client("http://127.0.0.1:9180", token) as client:
        key = client.do(Calls.key("key_1"))
        done = client.do(Calls.update_key("key_1", entries=["203.0.113.0/24"], revision=key.revision))
        client.wait_until(done.revision)

A revision is text.  Who gives that of the thing that was read changes this thing, or is told `Stale`.  `ANY` replaces
whatever there is; `NEW` makes something new, and replaces nothing.

A call is sent once: who sends a change again after `Unavailable` looks first whether it was made.

It needs the extra `client`: httpx.  Threads: a client is as safe as one of httpx; results never change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote as quoted

import httpx

from ..errors import CidrmatchError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = [
    "ANY",
    "NEW",
    "AdminError",
    "AsyncClient",
    "Call",
    "Calls",
    "Client",
    "Commit",
    "Done",
    "Imported",
    "KeyFound",
    "NamedList",
    "NotAllowed",
    "NotFound",
    "Page",
    "Readers",
    "Refused",
    "Report",
    "Rules",
    "Stale",
    "Unavailable",
    "UsagePage",
]

ANY: Final = "*"
"""The revision of whatever there is."""
NEW: Final = "new"
"""The revision of what there is not yet."""
_ROOT: Final = "/v1/admin"
_SECONDS: Final = 30.0
_PAUSE: Final = 0.1
_ALIVE: Final = timedelta(seconds=15)
_T = TypeVar("_T")
_Entries = Sequence[str | Mapping[str, Any]]


# -- Errors -------------------------------------------------------------------


class AdminError(CidrmatchError):
    """The admin API refused a call, or did not answer.

    Attributes:
        status: of HTTP; 0 for no answer.
        reason: a stable name, for programs.
        problem: the problem document.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.reason = str(problem.get("reason", ""))
        super().__init__(status, problem)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}: {self.problem.get('detail', '')}"

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What the policy says of each entry: index, code, message, suggestion."""
        return list(self.problem.get("problems", ()))


class NotAllowed(AdminError):
    """The token is none, or its role is too low (401, 403)."""


class NotFound(AdminError):
    """There is nothing of this name (404)."""


class Stale(AdminError):
    """Somebody changed it meanwhile, or the call does not say which revision it saw (412, 428)."""


class Refused(AdminError):
    """The change, or the call, is refused (all other 4xx)."""


class Unavailable(AdminError):
    """The server or its store does not answer (5xx, or nothing).

    Attributes:
        is_unknown: whether a change may have been made all the same.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], *, is_unknown: bool = False) -> None:
        super().__init__(status, problem)
        self.is_unknown = is_unknown or self.reason == "unknown_outcome"


_ERRORS: Final[dict[int, type[AdminError]]] = {
    401: NotAllowed, 403: NotAllowed, 404: NotFound, 412: Stale, 428: Stale,
}  # fmt: skip


# -- Results ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFound:
    """Hold a key; entries are mappings with prefix, label, and a condition."""

    key: str
    created_at: datetime
    enabled: bool
    entries: list[dict[str, Any]]
    lists: list[str]
    within: list[str]
    owner: str | None
    shadow: list[dict[str, Any]] | None
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedList:
    """Hold a named list, and how many keys are linked to it."""

    name: str
    description: str
    entries: list[dict[str, Any]]
    is_default: bool
    linked_keys: int
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Hold what the policy says; problems as `AdminError.problems` has them."""

    policy: str
    ok: bool
    entries: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    warnings: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Tell of a change.

    Attributes:
        revision: of the data after it, and of the key or list that it changed.
        report: of the policy, with its warnings, or None.
        number: of a grant that was made.
        token: that was made; keep it, nobody tells it again.
    """

    revision: str
    report: Report | None = None
    number: int | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Tell of an import: how many rows were put, and each row with its status and its warnings, or its problem."""

    revision: str
    put: int
    refused: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """Hold a page of names; `after=page.next` asks for the next one, None is the end."""

    names: list[str]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Hold policy, switches and default list."""

    policy: str | dict[str, Any]
    enforced: bool
    unknown_key: str
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Describe a commit of the history; things are mappings with kind, name, before and after."""

    number: int
    revision: str
    at: datetime
    actor: str | None
    origin: str | None
    reason: str | None
    operation: str
    things: list[dict[str, Any]]


class UsagePage(NamedTuple):
    """Hold a page of the usage log: records as the API writes them, and what `before` takes for the next page."""

    records: list[dict[str, Any]]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Tell which revision the store has, the worker that answered, and each worker that reported lately."""

    revision: str
    here: str | None
    alive: dict[str, str]


# -- Calls --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call(Generic[_T]):
    """Hold a call: what is sent, and how the answer is read."""

    method: str
    path: str
    read: Callable[[Any], _T]
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Calls:
    """Make calls.

    Changes take, where it means something:
        revision: of the thing that was read; `ANY`, `NEW`, or None where nothing is expected.
        reason: why, for the history.
        caller, force: an address that must not be locked out ("me": that of this client), and to do it all the same.
    """

    # Keys.

    @staticmethod
    def key(key: str) -> Call[KeyFound]:
        """Read a key."""
        return Call("GET", _path("keys", key), _key)

    @staticmethod
    def keys(after: str = "", limit: int = 100) -> Call[Page]:
        """Name keys."""
        return Call(
            "GET", "/keys", lambda said: Page(said["keys"], said["next"]), query=_query(after=after, limit=limit)
        )

    @staticmethod
    def put_key(
        key: str,
        entries: _Entries,
        *,
        revision: str = NEW,
        reason: str | None = None,
        caller: str | None = None,
        force: bool = False,
        **facts: Any,
    ) -> Call[Done]:
        """Create a key, or say all of it anew; facts are lists, within, enabled, owner, created_at."""
        said = {"entries": list(entries), **facts}
        return _change("PUT", _path("keys", key), said, revision, reason=reason, caller=caller, force=force)

    @staticmethod
    def update_key(
        key: str,
        *,
        revision: str,
        reason: str | None = None,
        caller: str | None = None,
        force: bool = False,
        **facts: Any,
    ) -> Call[Done]:
        """Change some facts of a key: entries, lists, within, enabled, owner."""
        return _change("PATCH", _path("keys", key), facts, revision, reason=reason, caller=caller, force=force)

    @staticmethod
    def delete_key(key: str, *, revision: str, reason: str | None = None) -> Call[Done]:
        """Remove a key."""
        return _change("DELETE", _path("keys", key), None, revision, reason=reason)

    @staticmethod
    def add_entries(key: str, entries: _Entries, **more: Any) -> Call[Done]:
        """Add entries to a key; more is revision, reason, caller, force."""
        return _change("POST", _path("keys", key, "entries", "add"), {"entries": list(entries)}, **more)

    @staticmethod
    def remove_entries(key: str, entries: _Entries, **more: Any) -> Call[Done]:
        """Remove entries of a key; more is revision, reason, caller, force."""
        return _change("POST", _path("keys", key, "entries", "remove"), {"entries": list(entries)}, **more)

    @staticmethod
    def link(key: str, name: str, **more: Any) -> Call[Done]:
        """Link a key to a named list; more is revision, reason."""
        return _change("PUT", _path("keys", key, "lists", name), None, **more)

    @staticmethod
    def unlink(key: str, name: str, **more: Any) -> Call[Done]:
        """Remove a link; more is revision, reason."""
        return _change("DELETE", _path("keys", key, "lists", name), None, **more)

    @staticmethod
    def import_keys(
        rows: Sequence[Mapping[str, Any]], *, replace: bool = False, partial: bool = False, reason: str | None = None
    ) -> Call[Imported]:
        """Put many keys, each with key, entries and the facts of `put_key`: all or none, or with `partial` the good."""
        query = _query(replace=replace, partial=partial, reason=reason)
        return Call("POST", "/import", _imported, {"keys": [dict(row) for row in rows]}, query)

    # Named lists.

    @staticmethod
    def named_list(name: str) -> Call[NamedList]:
        """Read a named list."""
        return Call("GET", _path("lists", name), _named_list)

    @staticmethod
    def lists(after: str = "", limit: int = 100) -> Call[Page]:
        """Name the lists."""
        query = _query(after=after, limit=limit)
        return Call("GET", "/lists", lambda said: Page(said["lists"], said["next"]), query=query)

    @staticmethod
    def keys_of_list(name: str, after: str = "", limit: int = 100) -> Call[Page]:
        """Name the keys that are linked to a list."""
        query = _query(after=after, limit=limit)
        return Call("GET", _path("lists", name, "keys"), lambda said: Page(said["keys"], said["next"]), query=query)

    @staticmethod
    def put_list(
        name: str, entries: _Entries, *, description: str = "", revision: str = NEW, **more: Any
    ) -> Call[Done]:
        """Create a named list, or say all of it anew; more is reason, caller, force."""
        said = {"entries": list(entries), "description": description}
        return _change("PUT", _path("lists", name), said, revision, **more)

    @staticmethod
    def delete_list(name: str, *, revision: str, force: bool = False, reason: str | None = None) -> Call[Done]:
        """Delete a named list; one that is in use needs `force`."""
        return _change("DELETE", _path("lists", name), None, revision, force=force, reason=reason)

    @staticmethod
    def add_to_list(name: str, entries: _Entries, **more: Any) -> Call[Done]:
        """Add entries to a named list; more is revision, reason, caller, force."""
        return _change("POST", _path("lists", name, "entries", "add"), {"entries": list(entries)}, **more)

    @staticmethod
    def remove_from_list(name: str, entries: _Entries, **more: Any) -> Call[Done]:
        """Remove entries of a named list; more is revision, reason, caller, force."""
        return _change("POST", _path("lists", name, "entries", "remove"), {"entries": list(entries)}, **more)

    # Rules.

    @staticmethod
    def rules() -> Call[Rules]:
        """Read policy, switches and default list."""
        return Call("GET", "/rules", lambda said: Rules(**said))

    @staticmethod
    def change_rules(*, reason: str | None = None, **facts: Any) -> Call[Done]:
        """Change policy, enforced, unknown_key."""
        return _change("PATCH", "/rules", facts, reason=reason)

    @staticmethod
    def set_default(name: str | None, *, reason: str | None = None) -> Call[Done]:
        """Make a list the default; None for no default."""
        return _change("DELETE" if name is None else "PUT", "/default", name and {"list": name}, reason=reason)

    @staticmethod
    def validate(entries: Sequence[Any], *, on_key: bool = True) -> Call[Report]:
        """Ask what the policy makes of entries; nothing is changed."""
        body = {"entries": list(entries), "on_key": on_key}
        return Call("POST", "/validate", lambda said: Report(**said["report"]), body)

    @staticmethod
    def put_assertion(holder: str, name: str, address: str, *, allow: bool, note: str = "") -> Call[Done]:
        """Say that a "list" or a "key" must always allow an address, or must always deny it."""
        return _change("PUT", _path("assertions", holder, name, address), {"allow": allow, "note": note})

    @staticmethod
    def drop_assertion(holder: str, name: str, address: str) -> Call[Done]:
        """Drop an assertion."""
        return _change("DELETE", _path("assertions", holder, name, address))

    @staticmethod
    def grant(key: str, prefix: str | None, *, reason: str, until: datetime) -> Call[Done]:
        """Let a key be used from one more prefix, or from everywhere, until a moment; `Done.number` names the grant."""
        said = {"key": key, "prefix": prefix, "reason": reason, "until": until.astimezone(UTC).isoformat()}
        return _change("POST", "/grants", said)

    @staticmethod
    def end_grant(number: int) -> Call[Done]:
        """End a grant before its time."""
        return _change("DELETE", _path("grants", str(number)))

    # History, tokens, readers.

    @staticmethod
    def history(
        *, kind: str | None = None, name: str | None = None, before: int | None = None, limit: int = 100
    ) -> Call[list[Commit]]:
        """Read commits, the latest first."""
        query = _query(kind=kind, name=name, before=before, limit=limit)
        return Call("GET", "/history", lambda said: list(map(_commit, said["commits"])), query=query)

    @staticmethod
    def undo(number: int, *, reason: str | None = None) -> Call[Done]:
        """Undo a commit."""
        return _change("POST", _path("history", str(number), "undo"), reason=reason)

    # The usage log, if the server keeps one; filters are those of the page, such as key, status, since, within.

    @staticmethod
    def usage(*, before: int | None = None, limit: int = 100, **filters: Any) -> Call[UsagePage]:
        """Find records, the newest first."""
        query = _query(before=before, limit=limit, **filters)
        return Call("GET", "/usage", lambda said: UsagePage(said["records"], said["next"]), query=query)

    @staticmethod
    def usage_count(**filters: Any) -> Call[int]:
        """Count records."""
        return Call("GET", "/usage/count", lambda said: int(said["records"]), query=_query(**filters))

    @staticmethod
    def usage_sums(by: str, *, limit: int = 100, **filters: Any) -> Call[list[dict[str, Any]]]:
        """Count requests by key, address, reason, hour, method, status or path; each has value, requests, blocked."""
        query = _query(by=by, limit=limit, **filters)
        return Call("GET", "/usage/sums", lambda said: list(said["sums"]), query=query)

    @staticmethod
    def preview(
        entries: _Entries, *, key: str | None = None, named_list: str | None = None, **more: Any
    ) -> Call[dict[str, Any]]:
        """Say whom a list would shut out, before it is saved; more is since, records, top."""
        named = {"key": key} if named_list is None else {"list": named_list}
        return Call("POST", "/preview", dict, {**named, "entries": list(entries), **more})

    @staticmethod
    def suggestion(key: str, **more: Any) -> Call[dict[str, Any]]:
        """Find the best list for the addresses from which a key passed; more: since, records, max_entries, ..."""
        return Call("GET", _path("keys", key, "suggestion"), dict, query=_query(**more))

    @staticmethod
    def create_token(name: str, role: str) -> Call[Done]:
        """Make a token: `Done.token`."""
        return _change("POST", "/tokens", {"name": name, "role": role})

    @staticmethod
    def delete_token(name: str) -> Call[Done]:
        """Remove a token."""
        return _change("DELETE", _path("tokens", name))

    @staticmethod
    def readers() -> Call[Readers]:
        """Ask who serves which revision."""
        return Call("GET", "/readers", _readers)


def _path(*parts: str) -> str:
    return "".join(f"/{quoted(part, safe='').replace('.', '%2E')}" for part in parts)


def _query(**said: Any) -> dict[str, str]:
    """Write a query; what is None or empty is not said."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in said.items()
        if value is not None and value != ""
    }


def _change(method: str, path: str, body: Any = None, revision: str | None = None, **said: Any) -> Call[Done]:
    headers = {}
    if revision == NEW:
        headers["if-none-match"] = ANY
    elif revision is not None:
        headers["if-match"] = ANY if revision == ANY else f'"{revision}"'
    return Call(method, path, _done, body, _query(**said), headers)


# -- Reading answers ----------------------------------------------------------


def _key(said: dict[str, Any]) -> KeyFound:
    return KeyFound(**{**said, "created_at": datetime.fromisoformat(said["created_at"])})


def _named_list(said: dict[str, Any]) -> NamedList:
    return NamedList(name=said["list"], **{name: value for name, value in said.items() if name != "list"})


def _done(said: dict[str, Any]) -> Done:
    report = said["report"] and Report(**said["report"])
    return Done(revision=said["revision"], report=report, number=said.get("number"), token=said.get("token"))


def _imported(said: dict[str, Any]) -> Imported:
    return Imported(**{name: value for name, value in said.items() if name != "report"})


def _commit(said: dict[str, Any]) -> Commit:
    facts = {name: value for name, value in said.items() if name != "epoch"}
    return Commit(**{**facts, "at": datetime.fromisoformat(said["at"])})


def _readers(said: dict[str, Any]) -> Readers:
    now = datetime.now(UTC)
    alive = [each for each in said["readers"] if now - datetime.fromisoformat(each["seen_at"]) < _ALIVE]
    found = {each["name"]: each["revision"] for each in alive}
    return Readers(revision=said["revision"], here=said["here"], alive=found)


def _serves(mine: str | None, wanted: str) -> bool:
    """Whether a revision is this one, or a later one of the same history."""
    if mine is None:
        return False
    (epoch, number), (epoch_wanted, number_wanted) = (text.split("-") for text in (mine, wanted))
    return epoch == epoch_wanted and int(number) >= int(number_wanted)


def _result(call: Call[_T], response: httpx.Response) -> _T:
    if response.is_success:
        return call.read(response.json())
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    problem = problem if isinstance(problem, dict) else {}
    if response.status_code >= 500:
        raise Unavailable(response.status_code, problem, is_unknown=response.status_code != 503)
    raise _ERRORS.get(response.status_code, Refused)(response.status_code, problem)


def _lost(error: httpx.TransportError) -> Unavailable:
    """Tell of a call without an answer; if there was a connection, a change may have been made."""
    is_unknown = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return Unavailable(0, {"reason": "no_answer", "detail": str(error)}, is_unknown=is_unknown)


def _waits(call: Call[Readers], revision: str, timeout: float) -> Iterator[Call[Readers]]:
    """Yield a call until time is over."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        yield call
    raise TimeoutError(f"after {timeout} seconds not every worker serves {revision}")


def _is_served(found: Readers, revision: str) -> bool:
    return _serves(found.here, revision) and all(_serves(mine, revision) for mine in found.alive.values())


# -- Sending ------------------------------------------------------------------


class _Sender:
    """What both clients say to httpx."""

    def __init__(self, url: str, token: str, **options: Any) -> None:
        headers = {"authorization": f"Bearer {token}", "user-agent": "cidrmatch"}
        self._url = url.rstrip("/") + _ROOT
        self._options: dict[str, Any] = {"timeout": _SECONDS, **options, "headers": headers}

    def _said(self, call: Call[Any]) -> dict[str, Any]:
        url = self._url + call.path
        return {"method": call.method, "url": url, "json": call.body, "params": call.query, "headers": call.headers}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._url}>"  # and not the token


class Client(_Sender):
    """Client(url, token): send calls and wait for their answers.

    Args:
        url: of the server, such as "https://lists.example:9180".
        token: of the store, "cma_...".
        options: for httpx, such as `verify` or `timeout`.
    """

    def __init__(self, url: str, token: str, **options: Any) -> None:
        super().__init__(url, token, **options)
        self._http = httpx.Client(**self._options)

    def do(self, call: Call[_T]) -> _T:
        """Send a call once.

        Raises:
            AdminError: it was refused, or there was no answer.
        """
        try:
            response = self._http.request(**self._said(call))
        except httpx.TransportError as error:
            raise _lost(error) from error
        return _result(call, response)

    def wait_until(self, revision: str, timeout: float = 10.0) -> None:
        """Wait until every worker serves a revision, or a later one: that which answers, and those that report.

        Raises:
            TimeoutError: one does not, after this time.  AdminError: as `do`.
        """
        for call in _waits(Calls.readers(), revision, timeout):
            if _is_served(self.do(call), revision):
                return
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncClient(_Sender):
    """As `Client`, for asyncio."""

    def __init__(self, url: str, token: str, **options: Any) -> None:
        super().__init__(url, token, **options)
        self._http = httpx.AsyncClient(**self._options)

    async def do(self, call: Call[_T]) -> _T:
        """Send a call once; see `Client.do`."""
        try:
            response = await self._http.request(**self._said(call))
        except httpx.TransportError as error:
            raise _lost(error) from error
        return _result(call, response)

    async def wait_until(self, revision: str, timeout: float = 10.0) -> None:
        """Wait until every worker serves a revision; see `Client.wait_until`."""
        for call in _waits(Calls.readers(), revision, timeout):
            if _is_served(await self.do(call), revision):
                return
            await asyncio.sleep(_PAUSE)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()
