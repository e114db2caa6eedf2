"""How a request reaches a usage log: who keeps the answer, and who notes it when the request has ended.

    UsageMiddleware, outermost:    puts a `Kept` into the request  ...............................  notes, at the end
        the host's authentication                                                            status, seconds
            a face of the guard:       kept.answer = its `Answer`
                the application                                          status

So the log has every request: those that the guard denied, those that a step of the host ended, and those that the guard
was never asked about.  The status is what the client was told, by whomever.

`asgi.UsageMiddleware` serves Starlette, FastAPI, Litestar and Django under ASGI; `wsgi.UsageMiddleware` serves Flask
and Django under WSGI.  aiohttp and gRPC have their own.

The log is anything that has the method `note` of `UsageSink`; a `UsageLog` has it.  Nothing that it raises reaches a
request.  A path is noted without its query, which may hold secrets.

Cost: a microsecond or two a request.  Threads: safe.  Source: B25, B28.
"""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .face import Answer
    from .guard import GuardDecision

__all__ = ["KEPT", "Kept", "UsageSink", "check_sink"]

_log = logging.getLogger(__name__)

KEPT = "cidrmatch.kept"
"""The name of the `Kept` in a scope, or an environ."""


class UsageSink(Protocol):
    """What takes notes of requests."""

    def note(
        self,
        found: GuardDecision | None,
        *,
        key: str | None = None,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        seconds: float | None = None,
        stopped_at: str | None = None,
    ) -> None: ...  # note a request; quick, and raises nothing


class Kept:
    """Keep what is known of one request until it ends.

    Args:
        usage: where the request is noted.
        method, path, request_id: of the request, as `UsageSink.note` has them.

    A face writes `answer`, and whoever watches the response writes `status`.
    """

    __slots__ = ("_began", "_usage", "answer", "method", "path", "request_id", "status")

    def __init__(self, usage: UsageSink, method: str | None, path: str | None, request_id: str | None) -> None:
        self._usage: UsageSink | None = usage
        self._began = perf_counter()
        self.answer: Answer | None = None
        self.method = method
        self.path = path
        self.request_id = request_id
        self.status: int | None = None

    def note(self) -> None:
        """Note the request, once; never raises."""
        usage, self._usage = self._usage, None
        if usage is None:
            return
        answer = self.answer
        try:
            usage.note(
                None if answer is None else answer.found,
                key=None if answer is None else answer.key,
                method=self.method,
                path=self.path,
                status=self.status,
                request_id=self.request_id,
                seconds=perf_counter() - self._began,
                stopped_at=None if answer is None else answer.stopped_at,
            )
        except Exception:
            _log.exception("a request was not noted in the usage log; its answer stands")


def check_sink(usage: object) -> None:
    """Refuse what takes no notes.

    Raises:
        TypeError: it has no method `note`.
    """
    if not callable(getattr(usage, "note", None)):
        raise TypeError(f"usage is a UsageLog, or has its method note, and {type(usage).__name__} has none")
