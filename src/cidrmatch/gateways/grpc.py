"""The guard as an interceptor of a gRPC server, for threads and for asyncio.

    call --> AllowListInterceptor --allowed--> the method, the decision by `decision_of_call`
                      '--denied--> status, message, and ErrorInfo in "grpc-status-details-bin"

    denied because                 status                ErrorInfo.reason
    the address is not listed      PERMISSION_DENIED     IP_NOT_ALLOWED (bitbybit), FORBIDDEN (unkey), or our reason
    there is no key, or none such  UNAUTHENTICATED       NO_KEY, UNKNOWN_KEY
    a step of the host failed      by its `Response`     the step's name
    something raised               UNAVAILABLE           GUARD_ERROR

A call has no HTTP status, so the HTTP status of the denial is translated.  401, 403, 429 and 503 each have a gRPC
status.  Every other HTTP status becomes PERMISSION_DENIED.

The peer is the other end of the connection, such as "ipv4:203.0.113.9:4711"; nothing in gRPC rewrites it.  The
metadata of the call are its headers, and a name may occur several times.  But if there are several lines of
x-forwarded-for, gRPC gives only the last line to the server.  The nearest proxy wrote that line.  So the chain is
shorter, but nobody else can write into it.

The peer is known only when the method is called, so the guard is put around the method.  By then gRPC has read the
message of a unary call.

Interceptors that the host lists before this one are asked first.

Threads: a decision is kept in a context variable, and gRPC has one context for each call.
Source: B2, B7, B8, U7, U9 to U11; google/rpc/status.proto, google/rpc/error_details.proto, gRPC's naming of addresses.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import unquote

import grpc
import grpc.aio

from .._keys import Reason
from .face import Answer, Face
from .guard import let_through
from .usage import Kept, check_sink

if TYPE_CHECKING:
    from .face import Origin, Steps
    from .guard import Guard, GuardDecision
    from .usage import UsageSink

__all__ = ["AllowListInterceptor", "AsyncAllowListInterceptor", "decision_of_call"]

_PEER = re.compile(r"ipv4:([0-9.]+):[0-9]+|ipv6:\[([^\[\]]+)\]:[0-9]+|unix(?:-abstract)?:.*", re.ASCII | re.DOTALL)
_STATUS = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_CODES = {"bitbybit": "IP_NOT_ALLOWED", "unkey": "FORBIDDEN"}
"""The products' own words for "the address is not listed", by the name of their renderer (C13)."""

_kept: ContextVar[Kept | None] = ContextVar("cidrmatch_kept", default=None)
_decision: ContextVar[GuardDecision | None] = ContextVar("cidrmatch_decision", default=None)


class _Denial(NamedTuple):
    """What a client of a denied call is told."""

    code: grpc.StatusCode
    message: str
    trailing: tuple[tuple[str, bytes], ...]


class _Interceptor:
    """What the two interceptors share.

    Args:
        guard: a `Guard`.
        key: gets the context of a call and gives the id of its key, or None if it has no key.  It is the host's
            authentication, so it must check a key before it gives the id.
        without_key: "deny" answers a call without a key with UNAUTHENTICATED; "pass" lets it pass, and the guard is
            not asked.
        steps: the host's other checks.  It maps names of the policy's pipeline to functions of the context and the
            key's id; see `Face`.
        domain: the name of the service, for ErrorInfo.
        usage: a `UsageLog` that notes every call, or None; see `UsageSink`.  A call's method is "POST", as HTTP/2 has
            it, its path is the name of the method, and its status is the HTTP status that the code stands for.
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
    """

    def __init__(
        self,
        guard: Guard,
        key: Callable[[Any], object],
        *,
        without_key: str = "deny",
        steps: Steps | None = None,
        domain: str = "cidrmatch",
        usage: UsageSink | None = None,
    ) -> None:
        if not isinstance(domain, str):
            raise TypeError("domain is the name of the service")
        self._face = Face[Any](guard, key, _origin_of, without_key=without_key, steps=steps)
        self._domain = domain
        if usage is not None:
            check_sink(usage)
        self._usage = usage

    @contextmanager
    def _noted(self, context: Any, path: str) -> Iterator[None]:
        """Note a call in the usage log when the block ends."""
        if self._usage is None:
            yield
            return
        named = dict(context.invocation_metadata() or ()).get("x-request-id")
        kept = Kept(self._usage, "POST", path, named if isinstance(named, str) else None)
        _kept.set(kept)
        has_ended = False
        try:
            yield
            has_ended = True
        finally:
            if kept.status is None:
                kept.status = _http_status(context.code(), has_ended)
            kept.note()

    def _path_of(self, details: grpc.HandlerCallDetails) -> str:
        """Give the path of a method; only the log asks for it."""
        return "" if self._usage is None else details.method

    def _denial(self, answer: Answer) -> _Denial | None:
        """Say what the client of a denied call is told.  If the call passes, keep the decision and give None."""
        kept = None if self._usage is None else _kept.get()
        if kept is not None:
            kept.answer = answer
            kept.status = None if answer.refusal is None else answer.refusal.status
        _decision.set(answer.found if answer.refusal is None else None)
        if answer.refusal is None:
            return None
        code = _STATUS.get(answer.refusal.status, grpc.StatusCode.PERMISSION_DENIED)
        reason, message = _reason_of(answer)
        details = _status(code.value[0], message, reason, self._domain)
        return _Denial(code, message, (("grpc-status-details-bin", details),))

    def _check(self, context: grpc.ServicerContext) -> None:
        """Abort a call that is denied; for methods that run in threads."""
        denial = self._denial(self._face.decide(context))
        if denial is not None:
            context.set_trailing_metadata(denial.trailing)
            context.abort(denial.code, denial.message)
            _never()

    async def _wait(self, context: Any) -> None:
        """Abort a call that is denied; wait for its key and steps if they have to be awaited."""
        denial = self._denial(await self._face.wait_for_decision(context))
        if denial is not None:
            await context.abort(denial.code, denial.message, denial.trailing)
            _never()

    def _around(self, method: Callable[..., Any], streams: bool, path: str) -> Callable[..., Any]:
        """Put the check in front of a method for threads.

        If the method streams, a generator does the check.  The reason: `grpc.aio` calls such a method in the thread of
        its loop, where an abort would wait for itself.  It iterates over the generator in another thread.
        """
        if streams:

            def streaming(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
                with self._noted(context, path):
                    self._check(context)
                    yield from method(request, context)

            return streaming

        def guarded(request: Any, context: grpc.ServicerContext) -> Any:
            with self._noted(context, path):
                self._check(context)
                return method(request, context)

        return guarded

    def _around_async(self, method: Callable[..., Any], streams: bool, path: str) -> Callable[..., Any]:
        """Put the check in front of a method of an asyncio server; the method itself may be one for threads."""
        if inspect.isasyncgenfunction(method):

            async def streaming(request: Any, context: Any) -> AsyncIterator[Any]:
                with self._noted(context, path):
                    await self._wait(context)
                    async for reply in method(request, context):
                        yield reply

            return streaming
        if inspect.iscoroutinefunction(method):

            async def waiting(request: Any, context: Any) -> Any:
                with self._noted(context, path):
                    await self._wait(context)
                    return await method(request, context)

            return waiting
        return self._around(method, streams, path)


class AllowListInterceptor(_Interceptor, grpc.ServerInterceptor):
    """AllowListInterceptor(guard, key): the interceptor for `grpc.server(..., interceptors=[...])`."""

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Put the guard in front of the called method."""
        return _replaced(continuation(handler_call_details), self._around, self._path_of(handler_call_details))


class AsyncAllowListInterceptor(_Interceptor, grpc.aio.ServerInterceptor):
    """AsyncAllowListInterceptor(guard, key): the same for `grpc.aio.server`; `key` may be a coroutine function."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Put the guard in front of the called method."""
        return _replaced(
            await continuation(handler_call_details), self._around_async, self._path_of(handler_call_details)
        )


def decision_of_call() -> GuardDecision:
    """Give the decision by which the current call passed.

    Raises:
        LookupError: no guard was asked about it, for instance because it passed without a key.
    """
    return let_through(_decision.get(), "call")


def _replaced(handler: Any, around: Callable[[Callable[..., Any], bool, str], Callable[..., Any]], path: str) -> Any:
    """Make a handler whose method is guarded.  None means that nobody serves the call, and stays None."""
    if handler is None:
        return None
    kind = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    method = around(getattr(handler, kind), handler.response_streaming, path)
    return make(method, handler.request_deserializer, handler.response_serializer)


def _http_status(code: Any, has_ended: bool) -> int:
    """Give the HTTP status that a code of a call stands for; a method that raised without a code is an error."""
    if code is None or code in (grpc.StatusCode.OK, grpc.StatusCode.OK.value[0]):
        return 200 if has_ended else 500
    return next((status for status, each in _STATUS.items() if code in (each, each.value[0])), 500)


def _origin_of(context: Any) -> Origin:
    """Give the address at the other end of the connection, and those metadata that are text.

    Raises:
        ValueError: the name that gRPC gives the peer has an unknown form.
    """
    metadata = context.invocation_metadata() or ()
    headers = [(name, value) for name, value in metadata if isinstance(value, str)]
    found = _PEER.fullmatch(unquote(context.peer()))
    if found is None:
        raise ValueError("the peer is neither ipv4:, ipv6: nor unix:")
    return found[1] or found[2], headers


def _reason_of(answer: Answer) -> tuple[str, str]:
    """Give the reason of a denial in the form of ErrorInfo, and a sentence for people."""
    found = answer.found
    if answer.stopped_at is not None:
        return answer.stopped_at.upper(), f"the request did not pass: {answer.stopped_at}"
    if found is None or found.decision is None:
        reason = "guard_error" if found is None else found.reason
        return reason.upper(), "no key was given" if reason == "no_key" else "the request could not be checked"
    reason = found.decision.reason
    own = str(reason).upper()
    return own if reason is Reason.UNKNOWN_KEY else _CODES.get(found.decision.policy.keys.response, own), reason.text


def _status(code: int, message: str, reason: str, domain: str) -> bytes:
    """Write a google.rpc.Status with one ErrorInfo, in the wire format of protobuf, without a library.

    Status     1 code, 2 message, 3 details: Any     Any     1 type_url, 2 value     ErrorInfo     1 reason, 2 domain

    The code is a number; every other field is bytes with their length.
    """
    info = _field(1, reason.encode()) + _field(2, domain.encode())
    detail = _field(1, b"type.googleapis.com/google.rpc.ErrorInfo") + _field(2, info)
    return b"\x08" + _varint(code) + _field(2, message.encode()) + _field(3, detail)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    more = b""
    while value > 0x7F:
        more += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return more + bytes((value,))


def _never() -> NoReturn:
    """Stop a denied call if the abort did not raise; gRPC's own abort always raises."""
    raise RuntimeError("a denied call was aborted and went on")
