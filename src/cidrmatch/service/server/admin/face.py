"""The admin API as an ASGI application: who asks, may they, what do they say; then a thread does the work.

    1. token      Authorization: Bearer cma_...     401    asked of the store at each request: a removed token is out
    2. path       parts, percent-decoded            404, 405
    3. role       viewer < editor < admin           403
    4. query, headers, body                         400, 413, 415, 422
    5. work       in a thread: the database blocks  404, 409, 412, 422, 428, 503
    6. answer     JSON, ETag, X-Cidrmatch-Revision; errors are problems by RFC 9457

The path is taken apart before it is decoded, so the id of a key may have a slash.  No line of the log has a token, a
key or an address; the history of the store has the author of each change.

Bounds: a body has at most 1 MiB, a list 10,000 entries, an import 10,000 keys, a page 1,000 names.
Threads: one event loop; at most eight threads read, four change, and two read many records of the usage log, so that
gateways are answered meanwhile, and tokens are found.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote_to_bytes

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from ....client import UNKNOWN_PEER
from ....errors import CidrmatchError, Conflict
from ....gateways.admin import REFUSED, refused_change
from ....gateways.asgi import origin_of
from ...stores.errors import StoreError, StoreUnavailable
from ...stores.tokens import Bearer, Tokens
from ...usage.errors import UsageUnavailable
from ..api import read_object
from .asked import Answer, Asked, Conditions, Refusal
from .described import judge_body, read_name, read_query
from .operations import OPERATIONS, ROOT, Operation

if TYPE_CHECKING:
    from ...._keys import Revision
    from ....client import ClientStrategy
    from ....engine.engine import Engine
    from ....gateways.asgi import Receive, Scope, Send
    from ...stores.store import Store
    from ...usage.log import UsageLog

__all__ = ["Admin"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_READERS, _WRITERS, _SLOW = 8, 4, 2
_ROOT = tuple(ROOT.split("/"))
_REFUSED = (Refusal, HTTPException, *REFUSED, StoreError, UsageUnavailable, ValueError)


class Admin:
    """Admin(store, client, served, engine): answer administrators.

    Args:
        store: what is read and changed.
        client: finds the address that a request comes from, for the history.
        served: gives the revision that this worker serves.
        engine: the data that this worker serves.
    Attributes:
        usage: the usage log; None until the server has opened one.
    """

    def __init__(
        self, store: Store, client: ClientStrategy, served: Callable[[], Revision | None], engine: Engine
    ) -> None:
        self.usage: UsageLog | None = None
        self._engine = engine
        self._store = store
        self._client = client
        self._served = served
        self._tokens = Tokens(store)
        self._reading, self._writing = CapacityLimiter(_READERS), CapacityLimiter(_WRITERS)
        self._slow = CapacityLimiter(_SLOW)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = _written(request, await self._answer(request))
        except ClientDisconnect:
            return
        except _REFUSED as error:
            response = _refused(error)
        except Exception:
            _log.exception("a request of the admin API failed")
            response = _problem(500, {"reason": "failed"})
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        bearer = await self._bearer(request)
        operation, names = _operation_of(request.method, request.scope)
        if not bearer.may(operation.role):
            detail = f"this needs the role {operation.role}, and the token {bearer.name!r} has {bearer.role}"
            raise Refusal(403, "role", detail)
        headers = request.headers
        match, none_match = (
            ", ".join(headers.getlist(name)) if name in headers else None for name in ("if-match", "if-none-match")
        )
        asked = Asked(
            store=self._store,
            bearer=bearer,
            names={name: read_name(name, text) for name, text in names.items()},
            query=read_query(operation, request.query_params.multi_items()),
            body=await _body_of(request, operation),
            conditions=Conditions.of(match, none_match),
            origin=self._origin_of(request.scope),
            served=self._served,
            engine=self._engine,
            usage=self.usage,
        )
        limiter = self._slow if operation.is_slow else self._writing if operation.is_change else self._reading
        return await self._beside(partial(operation.work, asked), limiter)

    async def _bearer(self, request: Request) -> Bearer:
        """Find whose token came; ask the store each time."""
        given = request.headers.getlist("authorization")
        kind, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        found = await self._beside(partial(self._tokens.find, token)) if kind.lower() == "bearer" else None
        if found is None:
            headers = {"www-authenticate": "Bearer"}
            raise Refusal(401, "token", "the admin API asks for a token of the store, as Bearer", headers)
        return found

    async def _beside(self, work: Callable[[], _T], limiter: CapacityLimiter | None = None) -> _T:
        return await to_thread.run_sync(work, limiter=limiter or self._reading)

    def _origin_of(self, scope: Scope) -> str | None:
        """Give the address of the client, or that of the peer if the gateway says none."""
        try:
            peer, headers = origin_of(scope)
            known = None if peer in (None, UNKNOWN_PEER) else peer
            return self._client.find(peer, headers).address or known
        except CidrmatchError:
            return None


# -- What is asked ------------------------------------------------------------


def _operation_of(method: str, scope: Scope) -> tuple[Operation, dict[str, str]]:
    """Find the operation, and what the path names."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    try:
        parts = [unquote_to_bytes(part).decode("utf-8") for part in raw.partition(b"?")[0].split(b"/")]
    except UnicodeDecodeError:
        raise Refusal(400, "invalid_path", "the path is no UTF-8, percent-encoded") from None
    methods = {}
    for operation in OPERATIONS:
        names = _names_in((*_ROOT, *operation.parts), parts)
        if names is not None:
            methods[operation.method] = operation, names
    if not methods:
        raise Refusal(404, "no_such_path", "the admin API has no such path")
    if method not in methods:
        raise Refusal(405, "method", f"this path takes {', '.join(methods)}", {"allow": ", ".join(methods)})
    return methods[method]


def _names_in(pattern: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    """Give what the parts of a path name by a pattern; None if they do not fit."""
    if len(pattern) != len(parts):
        return None
    names = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            names[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return names


async def _body_of(request: Request, operation: Operation) -> dict[str, Any]:
    if operation.takes is None:
        return {}
    body = await read_object(request)
    judge_body(operation.takes, body)
    return body


# -- What is answered ---------------------------------------------------------


def _written(request: Request, answer: Answer) -> Response:
    headers = {"content-type": answer.content_type, "cache-control": "no-store"}
    if answer.revision is not None:
        headers["x-cidrmatch-revision"] = answer.revision
    if answer.tag is not None:
        headers["etag"] = f'"{answer.tag}"'
        known = request.headers.get("if-none-match") if request.method == "GET" else None
        if known is not None and Conditions.of(None, known).has(answer.tag):
            del headers["content-type"]
            return Response(status_code=304, headers=headers)
    if answer.stream is not None:
        return StreamingResponse(answer.stream, answer.status, headers, answer.content_type)
    return Response(json.dumps(answer.body, separators=(",", ":")).encode("ascii"), answer.status, headers)


def _refused(error: Exception) -> Response:
    """Answer an error of the caller, or of the store."""
    if isinstance(error, Refusal):
        return _problem(error.status, error.facts, error.headers)
    if isinstance(error, HTTPException):  # of the reader of bodies
        return _problem(error.status_code, {"detail": error.detail, "reason": "invalid_body"})
    if isinstance(error, Conflict):
        return _problem(409, {"detail": str(error), "reason": "conflict"})
    if isinstance(error, REFUSED):
        response = refused_change(error)
        return Response(response.body, response.status, dict(response.headers))
    if isinstance(error, StoreError | UsageUnavailable):
        return _unavailable(error)
    return _problem(422, {"detail": str(error), "reason": "invalid"})


def _unavailable(error: StoreError | UsageUnavailable) -> Response:
    """Answer that a database cannot be used; whether a change was made is said, if it is not known."""
    _log.warning("the admin API cannot use its database: %s", error)
    if isinstance(error, UsageUnavailable):
        return _problem(503, {"detail": "the usage log does not answer", "reason": "usage"}, {"retry-after": "1"})
    is_unknown = isinstance(error, StoreUnavailable) and error.is_unknown
    detail = "the store does not answer, or cannot be used as it is; the log of the server says more"
    if is_unknown:
        detail = "the store did not confirm the change; look whether it was made"
    return _problem(
        503, {"detail": detail, "reason": "unknown_outcome" if is_unknown else "store"}, {"retry-after": "1"}
    )


def _problem(status: int, facts: dict[str, object], headers: dict[str, str] | None = None) -> Response:
    said = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, **facts}
    more = {"content-type": "application/problem+json", "cache-control": "no-store", **(headers or {})}
    return Response(json.dumps(said, separators=(",", ":")).encode("ascii"), status, more)
