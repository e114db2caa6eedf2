"""A gRPC server with a method of each kind: `python -m tests.gateways.grpc_app ADDRESS`.

KIND is "threads", "asyncio", or "both": asyncio, with methods for threads.  WAIT=1 makes coroutine functions of the
host's checks.  All methods answer with what was judged, as JSON.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio

from cidrmatch.gateways.grpc import AllowListInterceptor, AsyncAllowListInterceptor, decision_of_call
from tests.gateways import host

KIND = os.environ.get("KIND", "threads")


def key_of(context: Any) -> str | None:
    found = [value for name, value in context.invocation_metadata() or () if name == "x-api-key"]
    return host.known(found[0]) if len(found) == 1 else None


async def key_of_waiting(context: Any) -> str | None:
    return key_of(context)


def judged() -> bytes:
    try:
        return host.said_bytes(decision_of_call())
    except LookupError:
        return host.said_bytes(None)


def unary_unary(request: bytes, context: Any) -> bytes:
    return judged()


def unary_stream(request: bytes, context: Any) -> Iterator[bytes]:
    yield judged()
    yield judged()


def stream_unary(requests: Iterator[bytes], context: Any) -> bytes:
    list(requests)
    return judged()


def stream_stream(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
    for _ in requests:
        yield judged()


async def unary_unary_async(request: bytes, context: Any) -> bytes:
    await asyncio.sleep(0)
    return judged()


async def unary_stream_async(request: bytes, context: Any) -> AsyncIterator[bytes]:
    yield judged()
    await asyncio.sleep(0)
    yield judged()


async def stream_unary_async(requests: AsyncIterator[bytes], context: Any) -> bytes:
    async for _ in requests:
        pass
    return judged()


async def stream_stream_async(requests: AsyncIterator[bytes], context: Any) -> None:
    async for _ in requests:
        await context.write(judged())


THREADS: dict[str, Callable[..., Any]] = {
    "unary_unary": unary_unary,
    "unary_stream": unary_stream,
    "stream_unary": stream_unary,
    "stream_stream": stream_stream,
}
ASYNCIO: dict[str, Callable[..., Any]] = {
    "unary_unary": unary_unary_async,
    "unary_stream": unary_stream_async,
    "stream_unary": stream_unary_async,
    "stream_stream": stream_stream_async,
}


def service(methods: dict[str, Callable[..., Any]]) -> grpc.GenericRpcHandler:
    handlers = {name: getattr(grpc, f"{name}_rpc_method_handler")(method) for name, method in methods.items()}
    return grpc.method_handlers_generic_handler("Judged", handlers)


def options() -> dict[str, Any]:
    waits = bool(os.environ.get("WAIT"))
    steps = host.STEPS[host.PRESET]
    return {
        "key": key_of_waiting if waits else key_of,
        "steps": {name: host.waiting(step) for name, step in steps.items()} if waits else steps,
        "without_key": os.environ.get("WITHOUT_KEY", "deny"),
        "domain": "judged.example",
    }


def main(address: str) -> None:
    if KIND == "threads":
        server = grpc.server(
            ThreadPoolExecutor(4), interceptors=[AllowListInterceptor(host.build_guard(), **options())]
        )
        server.add_generic_rpc_handlers((service(THREADS),))
        server.add_insecure_port(address)
        server.start()
        server.wait_for_termination()
    else:
        asyncio.run(serve(address))


async def serve(address: str) -> None:
    server = grpc.aio.server(
        ThreadPoolExecutor(4), interceptors=[AsyncAllowListInterceptor(host.build_guard(), **options())]
    )
    server.add_generic_rpc_handlers((service(THREADS if KIND == "both" else ASYNCIO),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
