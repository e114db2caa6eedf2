"""What the usage log gets of the questions that this server answers.

    asked by                  method and path of the client's request       status
    /auth                     x-forwarded-method, x-forwarded-uri           of a denial
    /envoy/v1/orders          those of the question; /envoy is cut off      of a denial
    Envoy by gRPC             those in its message                          of a denial
    POST /v1/check            none                                          none

Traefik and Caddy send these two headers by themselves, and our files for nginx and HAProxy set them.  A path is cut at
its query, which may hold a secret.  The request's id is the x-request-id line, or the one in Envoy's message.

What an application answers to a request that passed, only its gateway knows; such a record has no status.

Cost: a microsecond for each question, while there is a log.
Threads: safe; the log has a thread of its own that writes.
Source: B25, B28, B29.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._core import parse_address
from ...client import ClientAddress, only_line
from ...gateways.guard import GuardDecision
from .settings import SettingsError

if TYPE_CHECKING:
    from ..._keys import Decision
    from ...engine.engine import Engine
    from ...gateways.asgi import Scope
    from ...gateways.guard import Guard
    from ..usage.log import UsageLog
    from .settings import Settings

    Lines = list[tuple[bytes, bytes]]

__all__ = ["ENVOY", "note_answer", "note_question", "open_log", "path_of", "text_of"]

ENVOY = "/envoy"
"""What Envoy puts before the path of the client's request."""


def open_log(settings: Settings, engine: Engine | None) -> UsageLog | None:
    """Open the log that the settings name; None if they name none.

    Raises:
        SettingsError: the log is refused.
    """
    if settings.usage_log is None:
        return None
    from ..usage.errors import UsageError  # noqa: PLC0415  an extra
    from ..usage.log import UsageLog  # noqa: PLC0415
    from ..usage.masks import Mask  # noqa: PLC0415
    from ..usage.retention import Retention  # noqa: PLC0415

    more: dict[str, Any] = {}
    try:
        if settings.usage_mask is not None or settings.usage_secret_file is not None:
            bits4, bits6 = settings.kept_bits
            secret = None if settings.usage_secret_file is None else Path(settings.usage_secret_file).read_bytes()
            more["mask"] = Mask(bits4, bits6, "keep" if secret is None else "hash", secret)
        if settings.usage_days is not None:
            more["retention"] = Retention(days=settings.usage_days)
        return UsageLog(settings.usage_log, engine=engine, when_full=settings.usage_when_full, **more)
    except (UsageError, ValueError, OSError) as error:
        raise SettingsError(f"the usage log: {error}") from error


def note_question(log: UsageLog, scope: Scope, found: GuardDecision, status: int | None, seconds: float) -> None:
    """Note a question that came by HTTP."""
    headers: Lines = scope["headers"]
    if scope["path"].startswith(f"{ENVOY}/"):
        method, path = scope["method"], path_of(scope["path"].removeprefix(ENVOY))
    else:
        method = text_of(only_line(headers, b"x-forwarded-method"))
        path = path_of(text_of(only_line(headers, b"x-forwarded-uri")))
    request_id = text_of(only_line(headers, b"x-request-id"))
    log.note(found, method=method, path=path, status=status, request_id=request_id, seconds=seconds)


def note_answer(log: UsageLog, guard: Guard, key: str, decision: Decision) -> None:
    """Note an answer of the API: the caller found the address."""
    address = decision.address
    client = (
        ClientAddress(None, "malformed", ()) if address is None else ClientAddress(parse_address(address), None, ())
    )
    log.note(GuardDecision(guard, key, client, decision, guard.engine.age))


def path_of(target: str | None) -> str | None:
    """Cut a target at its query."""
    return target and target.partition("?")[0]


def text_of(value: bytes | None) -> str | None:
    """Give a value as the log has it; bytes that are no UTF-8 become escapes."""
    return None if value is None else value.decode("utf-8", "backslashreplace")
