"""Questions of people and programs: /v1/check, /v1/explain, /v1/lists/validate, and the health of the server.

    POST /v1/check            {"key": "key_1", "address": "203.0.113.9"}, or {"checks": [...]} with up to 1,000
    GET  /v1/explain          ?key=key_1&address=203.0.113.9
    POST /v1/lists/validate   {"preset": "bitbybit", "entries": ["203.0.113.0/24", ...]} or {"text": "one a line"}
    GET  /livez  /readyz  /metrics  /openapi.json

The address is what the caller says, so these answers are not for requests that come from outside: /auth finds the
client itself.  With an API token, /v1 asks for "Authorization: Bearer TOKEN".  Every error is a problem by RFC 9457.

Bounds: a body has at most 1 MiB, a question 1,000 checks, a list 10,000 entries.
Threads: one event loop.  `validate` and `explain` look at whole lists, which may take a second, so they run in
another thread, one after the other, and gateways are answered meanwhile.
Source: C12, C13, C18, C26; RFC 9457.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ...advice.explain import explain
from ...errors import quote
from ...policy.presets import PRESETS
from ...version import __version__
from .metrics import CONTENT_TYPE_LATEST
from .recording import note_answer

if TYPE_CHECKING:
    from starlette.types import Lifespan

    from ...gateways.guard import Guard
    from ..usage.log import UsageLog
    from .metrics import Metrics

__all__ = ["MOST_BYTES", "MOST_CHECKS", "MOST_ENTRIES", "make_api", "read_object"]

MOST_BYTES = 1 << 20
MOST_CHECKS = 1_000
MOST_ENTRIES = 10_000
Endpoint = Callable[[Request], Awaitable[Response]]


def make_api(
    guard: Guard,
    metrics: Metrics,
    token: str | None,
    max_age: float,
    lifespan: Lifespan[Starlette],
    document: bytes,
    usage: UsageLog | None = None,
) -> Starlette:
    """Make the application of everything that is no gateway's question.

    Args:
        guard: the `Guard` whose engine is asked.
        metrics: what /metrics shows.
        token: what /v1 asks for, or None.
        max_age: the age of data, in seconds, from which the server is not ready.
        lifespan: what runs beside it.
        document: describes the API.
        usage: the log that each check is noted in, or None.
    """
    questions = _Questions(guard, metrics, max_age, document, usage)
    guarded = [
        ("/v1/check", questions.check, "POST"),
        ("/v1/explain", questions.explain, "GET"),
        ("/v1/lists/validate", questions.validate, "POST"),
    ]
    free = [
        ("/livez", questions.livez),
        ("/readyz", questions.readyz),
        ("/metrics", questions.metrics_page),
        ("/openapi.json", questions.openapi),
    ]
    routes = [Route(path, _asking_for(token, endpoint), methods=[method]) for path, endpoint, method in guarded]
    routes += [Route(path, endpoint, methods=["GET"]) for path, endpoint in free]
    handlers = {HTTPException: _told, ClientDisconnect: _gone, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False  # a redirect would go to whatever host the caller named
    return app


def _asking_for(token: str | None, endpoint: Endpoint) -> Endpoint:
    """Let an endpoint answer only who has the token."""
    if token is None:
        return endpoint
    wanted = f"Bearer {token}".encode("ascii")

    async def guarded(request: Request) -> Response:
        given = request.headers.getlist("authorization")
        if len(given) != 1 or not hmac.compare_digest(given[0].encode("latin-1"), wanted):
            raise HTTPException(401, "the API asks for its token", {"www-authenticate": "Bearer"})
        return await endpoint(request)

    return guarded


class _Questions:
    """The endpoints."""

    def __init__(self, guard: Guard, metrics: Metrics, max_age: float, document: bytes, usage: UsageLog | None) -> None:
        self._guard = guard
        self._engine = guard.engine
        self._usage = usage
        self._metrics = metrics
        self._max_age = max_age
        self._turn = asyncio.Lock()
        self._document = document

    async def check(self, request: Request) -> Response:
        """Answer one check, or many by one version of the data."""
        body = await read_object(request)
        if "checks" not in body:
            return _json(self._answer(_check_of(body, "")))
        checks = body["checks"]
        _expect(set(body) == {"checks"}, "a question with checks has nothing else")
        _expect(isinstance(checks, list) and len(checks) <= MOST_CHECKS, f"checks is a list of up to {MOST_CHECKS}")
        asked = [_check_of(check, f"checks[{index}]: ") for index, check in enumerate(checks)]
        return _json({"answers": [self._answer(each) for each in asked]})

    def _answer(self, asked: tuple[str, str]) -> dict[str, object]:
        decision = self._engine.check(*asked)
        if self._usage is not None:
            note_answer(self._usage, self._guard, asked[0], decision)
        return decision.to_dict()

    async def explain(self, request: Request) -> Response:
        """Say why a check ends as it does."""
        query = request.query_params.multi_items()
        _expect(sorted(name for name, _ in query) == ["address", "key"], "the query has one key and one address")
        return await self._beside(lambda: _json(explain(self._engine, **dict(query)).to_dict()))

    async def _beside(self, work: Callable[[], Response]) -> Response:
        """Do long work in another thread, one after the other, so that gateways get their share of the processor."""
        async with self._turn:
            return await run_in_threadpool(work)

    async def validate(self, request: Request) -> Response:
        """Say every problem of a list under a product's rules."""
        body = await read_object(request)
        preset = body.get("preset")
        make = PRESETS.get(preset) if isinstance(preset, str) else None
        if make is None:
            raise HTTPException(422, f"preset is one of {', '.join(PRESETS)}, not {quote(preset)}")
        _expect(set(body) in ({"preset", "entries"}, {"preset", "text"}), "a list has a preset, and entries or a text")
        entries = _lines_of(body["text"]) if "text" in body else body["entries"]
        _expect(isinstance(entries, list), "entries is a list")
        _expect(len(entries) <= MOST_ENTRIES, f"a list has at most {MOST_ENTRIES:,} entries")
        return await self._beside(lambda: _json(make().validate(entries).to_dict()))

    async def livez(self, request: Request) -> Response:  # noqa: ARG002  as the others
        """Say that the process answers."""
        return _json({"alive": True, "version": __version__})

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002  as the others
        """Say whether the data is current, and which it is."""
        engine = self._engine
        age, revision = engine.age, engine.revision
        is_ready = age <= self._max_age and not engine.is_stale
        facts = {
            "ready": is_ready,
            "version": __version__,
            "epoch": None if revision is None else f"{revision.epoch:x}",
            "generation": None if revision is None else revision.generation,
            "age": round(age, 3),
            "max_age": self._max_age,
            "keys": len(engine),
            "preset": engine.policy.name,
        }
        return _json(facts, 200 if is_ready else 503)

    async def metrics_page(self, request: Request) -> Response:  # noqa: ARG002  as the others
        """Show the counters."""
        return Response(await self._metrics.page(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi(self, request: Request) -> Response:  # noqa: ARG002  as the others
        """Give the description of this API."""
        return Response(self._document, headers={"content-type": "application/json"})


def _check_of(check: object, place: str) -> tuple[str, str]:
    """Read one check; an address of any text is judged, and one that is none is denied."""
    _expect(isinstance(check, dict) and set(check) == {"key", "address"}, f"{place}a check has a key and an address")
    assert isinstance(check, dict)  # noqa: S101  said by the line above
    key, address = check["key"], check["address"]
    _expect(isinstance(key, str) and isinstance(address, str), f"{place}key and address are texts")
    return key, address


def _lines_of(text: object) -> list[str]:
    """Read a pasted list: an entry a line, without comments and empty lines."""
    if not isinstance(text, str):
        raise HTTPException(422, "text is a text")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


async def read_object(request: Request) -> dict[str, Any]:
    """Read the body, a JSON object of bounded size."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "the body is application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"a body has at most {MOST_BYTES} bytes")
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is no JSON document with each name once") from None
    if not isinstance(found, dict):
        raise HTTPException(422, "the body is an object")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _expect(is_so: bool, said: str) -> None:
    if not is_so:
        raise HTTPException(422, said)


def _json(
    facts: object, status: int = 200, kind: str = "application/json", more: Mapping[str, str] | None = None
) -> Response:
    body = json.dumps(facts, separators=(",", ":")).encode("ascii")
    return Response(body, status, {"content-type": kind, "cache-control": "no-store", **(more or {})})


async def _told(request: Request, error: Exception) -> Response:  # noqa: ARG001  as Starlette calls it
    """Render an error of the caller."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this class
    title = HTTPStatus(error.status_code).phrase
    detail = {} if error.detail == title else {"detail": error.detail}
    facts = {"type": "about:blank", "title": title, "status": error.status_code, **detail}
    return _json(facts, error.status_code, "application/problem+json", error.headers)


async def _gone(request: Request, error: Exception) -> Response:  # noqa: ARG001  as Starlette calls it
    """Answer nobody: the caller has gone."""
    return Response(status_code=400)


async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001  as Starlette calls it
    """Render an error of ours, without a word about it; Starlette logs it."""
    facts = {"type": "about:blank", "title": "Internal Server Error", "status": 500}
    return _json(facts, 500, "application/problem+json")
