"""The server as one ASGI application, made anew in each worker.

    path                         answered by
    /auth, /auth/quiet           forward.py, without a framework: the hot path
    /envoy/...                   the same
    /v1/admin/...                admin/face.py, if the data comes from a store
    everything else              api.py, by Starlette
    another port, by gRPC        envoy.py, beside the application, if the settings say so

A worker opens the snapshot, which all workers share in memory, or the store, and follows it.  An engine takes newer
data over between two requests, so each request is judged by one version of it.

Threads: one event loop in each worker, granian's for input and output, and the two threads of a follower.  On Linux
they run as SCHED_BATCH: a thread that wakes does not interrupt the one that runs.  docs/adr/0021 has the figures.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..._core import AllowList
from ...gateways.guard import Guard
from . import logs
from .api import make_api
from .forward import ForwardAuth, is_forward
from .metrics import Metrics
from .recording import open_log
from .settings import ENVIRONMENT, Settings, read_token
from .source import open_source

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from starlette.applications import Starlette

    from ...gateways.asgi import Application, Receive, Scope, Send
    from ..usage.log import UsageLog

__all__ = ["build", "is_admin", "make_app", "tracer"]

_STOP_SECONDS = 10.0
_LOOKS_EVERY = 0.5
"""Seconds between two looks at the snapshot, and between two settings of the gauges."""


def build() -> Application:
    """Make the application of a worker, by the settings in the environment."""
    settings = Settings.from_json(os.environ[ENVIRONMENT])
    if settings.batch:
        _run_as_batch()
    _end_with(os.getppid())
    app = make_app(settings)
    gc.collect()
    gc.freeze()  # what is here stays; a collection would look at it again, for milliseconds
    return app


def make_app(settings: Settings) -> Application:
    """Make the application.

    Raises:
        SettingsError, SnapshotError, StoreError, OSError: as `Settings.check` and `open_source`.
    """
    source = open_source(settings)
    engine, admin = source.engine, source.admin
    guard = Guard(engine, settings.strategy(), show_address=settings.show_address)
    usage = open_log(settings, engine)
    if admin is not None:
        admin.usage = usage
    metrics = Metrics(engine, usage)
    logs.dropped(metrics.dropped.inc)
    shared = guard, settings.key_header, read_token(settings.token_file, "--token-file"), metrics.note, tracer()
    gateways = AllowList(settings.trusted)
    forward = ForwardAuth(*shared, gateways=gateways, usage=usage) if settings.is_behind_gateways else None
    listening = _by_grpc(settings.grpc_address, shared, usage)

    @asynccontextmanager
    async def beside(_app: Starlette) -> AsyncIterator[None]:
        looking = asyncio.create_task(_look(metrics))
        try:
            async with listening():
                yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            await asyncio.to_thread(source.stop)
            if usage is not None:
                await asyncio.to_thread(usage.close)

    token = read_token(settings.api_token_file, "--api-token-file")
    api = make_api(guard, metrics, token, settings.max_age, beside, source.document, usage)

    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if forward is not None and scope["type"] == "http" and is_forward(scope["path"]):
            return forward(scope, receive, send)
        if admin is not None and scope["type"] == "http" and is_admin(scope["path"]):
            return admin(scope, receive, send)
        return api(scope, receive, send)

    return app


def is_admin(path: str) -> bool:
    """Whether a path is one of the admin API."""
    return path == "/v1/admin" or path.startswith("/v1/admin/")


def _by_grpc(
    address: tuple[str, int] | None, shared: tuple[Any, ...], usage: UsageLog | None
) -> Callable[[], AbstractAsyncContextManager[object]]:
    """Make what answers Envoy by gRPC while the application runs; nothing without an address."""
    if address is None:
        return nullcontext
    from .envoy import EnvoyCheck, listening  # noqa: PLC0415  an extra

    return partial(listening, EnvoyCheck(*shared, usage=usage), *address)


def _run_as_batch() -> None:
    """Have the scheduler take this process for batch work, before it has other threads; they inherit it.

    Where somebody chose another policy, it stays.  Other systems than Linux have none of this.
    """
    with suppress(AttributeError, OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _end_with(parent: int) -> None:
    """End this worker soon after its parent, which may have been killed: it would go on by data that nobody changes."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOKS_EVERY)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_STOP_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="cidrmatch-parent", daemon=True).start()


async def _look(metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(_LOOKS_EVERY)
        metrics.look()


def tracer() -> Callable[[], AbstractContextManager[Any]] | None:
    """Give what makes a span by OpenTelemetry; None if it is not installed, or if nobody receives spans."""
    try:
        from opentelemetry import trace  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        return None
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider) and not os.environ.get(
        "OTEL_PYTHON_TRACER_PROVIDER"
    ):
        return None
    found = trace.get_tracer("cidrmatch")
    return lambda: found.start_as_current_span("cidrmatch.auth")
