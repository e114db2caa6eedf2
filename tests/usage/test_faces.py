"""Requests through each face reach the log, with method, path, status, request id and time; and a log stops none.

Each framework runs in this process, with a guard that trusts the peer's header.

    allowed     the status is the application's         denied      the status is our answer's
    stopped     by a step of the host                   unasked     no face was asked: the status is the application's

Requirements: B25, B28, C26.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cidrmatch import Engine, presets
from cidrmatch.client import TrustedProxies
from cidrmatch.gateways import asgi, wsgi
from cidrmatch.gateways.guard import Guard, GuardDecision
from tests.servers import ROOT, free_port

LISTED, UNLISTED = "203.0.113.9", "198.51.100.1"


class Sink:
    """Take notes in memory."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []

    def note(self, found: GuardDecision | None, **facts: Any) -> None:
        self.notes.append({"found": found, **facts})

    def told(self) -> list[tuple[object, ...]]:
        """Give reason, address, method, path, status, request id and step of each note."""
        for note in self.notes:
            assert 0 <= note["seconds"] < 30
        return [
            (
                None if note["found"] is None else str(note["found"].reason),
                None if note["found"] is None else note["found"].address,
                *(note[name] for name in ("method", "path", "status", "request_id", "stopped_at")),
            )
            for note in self.notes
        ]


class Broken:
    """Fail at every note."""

    def note(self, found: GuardDecision | None, **facts: Any) -> None:
        raise OSError("the log is down")


def make_guard(preset: str = "bitbybit") -> Guard:
    engine = Engine(presets.PRESETS[preset]())
    engine.put_key("key_1", ["203.0.113.0/24"])
    return Guard(engine, TrustedProxies(["127.0.0.1", "10.0.0.7"]))


def steps() -> dict[str, Any]:
    return {
        "authenticate": None,
        "scope": lambda request, key: "stopped" not in str(getattr(request, "path", None) or request["path"]),
    }


EXPECTED = [
    ("matched", LISTED, "GET", "/made", 201, "r1", None),
    ("ip_not_listed", UNLISTED, "POST", "/made", 403, "r2", None),
    ("no_key", None, "GET", "/made", 401, None, None),
    ("matched", LISTED, "GET", "/missing", 404, "r4", None),
]
"""What the requests of `ask_all` leave."""
Ask = Callable[[str, str, dict[str, str]], int]


def ask_all(ask: Ask) -> None:
    """Ask as four clients do; check what they are told."""
    key = {"x-api-key": "key_1"}
    assert ask("GET", "/made", {**key, "x-forwarded-for": LISTED, "x-request-id": "r1"}) == 201
    assert ask("POST", "/made", {**key, "x-forwarded-for": UNLISTED, "x-request-id": "r2"}) == 403
    assert ask("GET", "/made", {"x-forwarded-for": LISTED}) == 401
    assert ask("GET", "/missing", {**key, "x-forwarded-for": LISTED, "x-request-id": "r4"}) == 404


def without_address(notes: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Blank the address where there was no key: the guard may have looked for it, or not."""
    return [(note[0], None, *note[2:]) if note[0] == "no_key" else note for note in notes]


# -- ASGI ---------------------------------------------------------------------


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/raises":
        raise RuntimeError("no luck")
    status = 201 if scope["path"] == "/made" else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask_asgi(app: Any) -> Ask:
    def ask(method: str, path: str, headers: dict[str, str]) -> int:
        sent: list[dict[str, Any]] = []
        received = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            message = next(received, None)
            while message is None:  # the client stays
                await asyncio.sleep(60)
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": b"secret=1", "root_path": "", "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("10.0.0.7", 4711), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        asyncio.run(app(scope, receive, send))
        return int(sent[0]["status"])

    return ask


def key_of_scope(scope: Any) -> str | None:
    return dict(scope["headers"]).get(b"x-api-key", b"").decode() or None


def test_B25_requests_through_asgi_reach_the_log() -> None:
    sink = Sink()
    guarded = asgi.AllowListMiddleware(application, guard=make_guard(), key=key_of_scope, steps=steps())
    app = asgi.UsageMiddleware(guarded, usage=sink)
    ask = ask_asgi(app)
    ask_all(ask)
    assert without_address(sink.told()) == EXPECTED
    key = {"x-api-key": "key_1", "x-forwarded-for": LISTED}
    assert ask("GET", "/stopped", key) == 403
    with pytest.raises(RuntimeError):
        ask("GET", "/raises", key)
    stopped, raised = sink.told()[4:]
    assert stopped == (None, None, "GET", "/stopped", 403, None, "scope")
    assert sink.notes[4]["key"] == "key_1"
    assert raised == ("matched", LISTED, "GET", "/raises", 500, None, None)


def test_B25_a_request_that_no_guard_was_asked_about_reaches_the_log() -> None:
    sink = Sink()
    assert ask_asgi(asgi.UsageMiddleware(application, usage=sink, request_id=None))("GET", "/made", {}) == 201
    assert sink.told() == [(None, None, "GET", "/made", 201, None, None)]


def test_websockets_reach_the_log() -> None:
    sink = Sink()

    async def accept(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})

    app = asgi.UsageMiddleware(asgi.AllowListMiddleware(accept, guard=make_guard(), key=key_of_scope), usage=sink)

    async def open_one(address: str) -> None:
        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(_: Any) -> None:
            pass

        headers = [(b"x-api-key", b"key_1"), (b"x-forwarded-for", address.encode())]
        scope = {"type": "websocket", "path": "/live", "headers": headers, "client": ("10.0.0.7", 4711)}
        await app(scope, receive, send)

    asyncio.run(open_one(LISTED))
    asyncio.run(open_one(UNLISTED))
    assert sink.told() == [
        ("matched", LISTED, "GET", "/live", 101, None, None),
        ("ip_not_listed", UNLISTED, "GET", "/live", 403, None, None),
    ]


def test_lifespan_reaches_no_log() -> None:
    sink, seen = Sink(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(asgi.UsageMiddleware(app, usage=sink)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert (seen, sink.notes) == (["lifespan"], [])


def test_C26_a_log_that_fails_stops_no_request(caplog: pytest.LogCaptureFixture) -> None:
    guarded = asgi.AllowListMiddleware(application, guard=make_guard(), key=key_of_scope)
    ask_all(ask_asgi(asgi.UsageMiddleware(guarded, usage=Broken())))
    below = wsgi.AllowListMiddleware(wsgi_application, guard=make_guard(), key=key_of_environ, drops_underscores=True)
    ask_all(ask_wsgi(wsgi.UsageMiddleware(below, usage=Broken())))
    assert caplog.text.count("a request was not noted") == 8


@pytest.mark.parametrize("middleware", [asgi.UsageMiddleware, wsgi.UsageMiddleware])
def test_what_takes_no_notes_is_refused(middleware: Any) -> None:
    with pytest.raises(TypeError, match="usage is a UsageLog, or has its method note, and str has none"):
        middleware(application, usage="usage.db")


# -- WSGI ---------------------------------------------------------------------


def wsgi_application(environ: Any, start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/raises":
        raise RuntimeError("no luck")
    start_response("201 Created" if environ["PATH_INFO"] == "/made" else "404 Not Found", [])
    return [b""]


def ask_wsgi(app: Any) -> Ask:
    def ask(method: str, path: str, headers: dict[str, str]) -> int:
        told: list[str] = []
        variables = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
        environ = {
            "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "REMOTE_ADDR": "10.0.0.7",
            "QUERY_STRING": "secret=1", "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr, "wsgi.input": io.BytesIO(), **variables,
        }  # fmt: skip
        body = app(environ, lambda status, _headers, _info=None: told.append(status))
        list(body)
        if hasattr(body, "close"):
            body.close()
        return int(told[0][:3])

    return ask


def key_of_environ(environ: Any) -> str | None:
    key: str | None = environ.get("HTTP_X_API_KEY")
    return key


def test_B25_requests_through_wsgi_reach_the_log() -> None:
    sink = Sink()
    guarded = wsgi.AllowListMiddleware(wsgi_application, guard=make_guard(), key=key_of_environ, drops_underscores=True)
    ask = ask_wsgi(wsgi.UsageMiddleware(guarded, usage=sink))
    ask_all(ask)
    assert without_address(sink.told()) == EXPECTED
    with pytest.raises(RuntimeError):
        ask("GET", "/raises", {"x-api-key": "key_1", "x-forwarded-for": LISTED})
    assert ask("GET", "/\xc3\xa9\xff", {}) == 401
    raised, odd = sink.told()[4:]
    assert raised == ("matched", LISTED, "GET", "/raises", 500, None, None)
    assert odd[3] == "/\xe9\udcff"


def test_a_request_of_wsgi_is_noted_when_its_body_is_closed() -> None:
    sink = Sink()
    steps_taken: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"one"
            steps_taken.append("sent")

        def close(self) -> None:
            assert sink.notes == []
            steps_taken.append("closed")

    def slow(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body()

    ask_wsgi(wsgi.UsageMiddleware(slow, usage=sink))("GET", "/", {})
    assert steps_taken == ["sent", "closed"]
    assert [note["status"] for note in sink.notes] == [200]


def test_B25_requests_through_flask_reach_the_log() -> None:
    from flask import Flask, Response

    from cidrmatch.gateways.flask import AllowListExtension

    app, sink = Flask("shop"), Sink()
    AllowListExtension(
        app, guard=make_guard(), key=lambda request: request.headers.get("X-API-Key"), drops_underscores=True
    )
    app.route("/made")(lambda: Response(status=201))
    app.route("/made", methods=["POST"], endpoint="posted")(lambda: Response(status=201))
    ask_all(ask_wsgi(wsgi.UsageMiddleware(app.wsgi_app, usage=sink)))
    assert without_address(sink.told()) == EXPECTED


# -- Frameworks on ASGI -------------------------------------------------------


def test_B25_requests_through_fastapi_reach_the_log() -> None:
    from fastapi import Depends, FastAPI
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from cidrmatch.gateways.fastapi import allow_list_dependency, install

    def key_of(connection: HTTPConnection) -> str | None:
        return connection.headers.get("x-api-key")

    key_of.__annotations__["connection"] = HTTPConnection
    sink = Sink()
    app = FastAPI()
    install(app)
    allowed = [Depends(allow_list_dependency(make_guard(), key_of))]
    app.add_api_route("/made", lambda: Response(status_code=201), methods=["GET", "POST"], dependencies=allowed)
    app.add_api_route("/missing", lambda: Response(status_code=404), dependencies=allowed)
    ask_all(ask_asgi(asgi.UsageMiddleware(app, usage=sink)))
    assert without_address(sink.told()) == EXPECTED


def test_B25_requests_through_litestar_reach_the_log() -> None:
    from litestar import Litestar, Response, route

    from cidrmatch.gateways.litestar import NotAllowed, allow_list_guard, answer

    sink = Sink()

    @route(["/made", "/missing"], http_method=["GET", "POST"], sync_to_thread=False)
    def made(request: Any) -> Response[None]:
        return Response(None, status_code=201 if request.scope["path"] == "/made" else 404)

    from litestar import Request

    made.fn.__annotations__.update({"request": Request, "return": Response[None]})
    guard = allow_list_guard(make_guard(), lambda connection: connection.headers.get("x-api-key"))
    handlers: Any = {NotAllowed: answer}
    app = Litestar([made], guards=[guard], exception_handlers=handlers, openapi_config=None)
    ask_all(ask_asgi(asgi.UsageMiddleware(app, usage=sink)))  # type: ignore[arg-type]
    assert without_address(sink.told()) == EXPECTED


DJANGO = """
    from cidrmatch.gateways import asgi, wsgi
    from tests.gateways import django_app
    from tests.usage.test_faces import Sink, ask_asgi, ask_wsgi
    sink = Sink()
    apps = (ask_wsgi, wsgi, django_app.wsgi_app), (ask_asgi, asgi, django_app.asgi_app)
    for ask, gateway, app in apps:
        ask = ask(gateway.UsageMiddleware(app, usage=sink))
        for key, path in (("open", "/"), ("key_1", "/"), ("no_scope", "/"), ("open", "/missing")):
            ask("GET", path, {"x-api-key": key, "host": "localhost"})
    for note in sink.told():
        print(*note)
"""
DJANGO_EXPECTED = """
unrestricted 10.0.0.7 GET / 200 None None
ip_not_listed 10.0.0.7 GET / 403 None None
None None GET / 403 None scope
unrestricted 10.0.0.7 GET /missing 404 None None
"""


@pytest.mark.parametrize("face", ["middleware", "drf"])
def test_B25_requests_through_django_reach_the_log(face: str) -> None:
    """In a process of its own: a process has one Django, with one setting."""
    words = [sys.executable, "-W", "error", "-c", textwrap.dedent(DJANGO)]
    environment = {**os.environ, "FACE": face, "PRESET": "bitbybit", "STRATEGY": "peer"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = DJANGO_EXPECTED.lstrip() * 2
    if face == "drf":  # the host's own step stands before the permission, and a path without a view has none
        expected = expected.replace("403 None scope", "403 None None")
        expected = expected.replace("unrestricted 10.0.0.7 GET /missing", "None None GET /missing")
    assert done.stdout == expected


# -- aiohttp and gRPC ---------------------------------------------------------


def test_B25_requests_through_aiohttp_reach_the_log() -> None:
    from aiohttp import ClientSession, web

    from cidrmatch.gateways.aiohttp import allow_list_middleware, usage_middleware

    sink, port = Sink(), free_port()

    async def made(_: web.Request) -> web.Response:
        return web.Response(status=201)

    async def raises(_: web.Request) -> web.Response:
        raise RuntimeError("no luck")

    guarded = allow_list_middleware(make_guard(), lambda request: request.headers.get("x-api-key"))
    app = web.Application(middlewares=[usage_middleware(sink), guarded])
    app.router.add_route("*", "/made", made)
    app.router.add_route("*", "/raises", raises)

    async def ask_them() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        key = {"x-api-key": "key_1"}
        async with ClientSession() as session:
            for method, path, headers in (
                ("GET", "/made", {**key, "x-forwarded-for": LISTED, "x-request-id": "r1"}),
                ("POST", "/made", {**key, "x-forwarded-for": UNLISTED, "x-request-id": "r2"}),
                ("GET", "/made", {"x-forwarded-for": LISTED}),
                ("GET", "/missing", {**key, "x-forwarded-for": LISTED, "x-request-id": "r4"}),
                ("GET", "/raises", {**key, "x-forwarded-for": LISTED}),
            ):
                async with session.request(method, f"http://127.0.0.1:{port}{path}?secret=1", headers=headers):
                    pass
        await runner.cleanup()

    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    asyncio.run(ask_them())
    assert without_address(sink.told()) == [*EXPECTED, ("matched", LISTED, "GET", "/raises", 500, None, None)]


def key_of_call(context: Any) -> str | None:
    found = [value for name, value in context.invocation_metadata() if name == "x-api-key"]
    return found[0] if found else None


GRPC_EXPECTED = [
    ("matched", LISTED, "POST", "/shop/made", 200, "r1", None),
    ("ip_not_listed", UNLISTED, "POST", "/shop/made", 403, None, None),
    ("no_key", None, "POST", "/shop/made", 401, None, None),
    ("matched", LISTED, "POST", "/shop/raises", 500, None, None),
    ("matched", LISTED, "POST", "/shop/busy", 429, None, None),
    ("matched", LISTED, "POST", "/shop/many", 200, None, None),
]
CALLS: list[tuple[str, dict[str, str]]] = [
    ("made", {"x-api-key": "key_1", "x-forwarded-for": LISTED, "x-request-id": "r1"}),
    ("made", {"x-api-key": "key_1", "x-forwarded-for": UNLISTED}),
    ("made", {"x-forwarded-for": LISTED}),
    ("raises", {"x-api-key": "key_1", "x-forwarded-for": LISTED}),
    ("busy", {"x-api-key": "key_1", "x-forwarded-for": LISTED}),
    ("many", {"x-api-key": "key_1", "x-forwarded-for": LISTED}),
]


def call_all(port: int) -> None:
    """Call as six clients do; check which calls pass."""
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        passed = []
        for name, metadata in CALLS:
            kinds: Any = channel
            make = kinds.unary_stream if name == "many" else kinds.unary_unary
            try:
                answer = make(f"/shop/{name}")(b"", metadata=tuple(metadata.items()), timeout=20)
                passed.append(b"".join(answer) if name == "many" else answer)
            except grpc.RpcError:
                passed.append(None)
    assert [each is not None for each in passed] == [True, False, False, False, False, True]


def test_B25_calls_of_grpc_in_threads_reach_the_log() -> None:
    import grpc

    from cidrmatch.gateways.grpc import AllowListInterceptor

    sink = Sink()

    def raises(request: bytes, context: Any) -> bytes:
        raise RuntimeError("no luck")

    methods: dict[str, Any] = {
        "made": grpc.unary_unary_rpc_method_handler(lambda request, context: b"made"),
        "raises": grpc.unary_unary_rpc_method_handler(raises),
        "busy": grpc.unary_unary_rpc_method_handler(
            lambda request, context: context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
        ),
        "many": grpc.unary_stream_rpc_method_handler(lambda request, context: iter([b"a", b"b"])),
    }
    guard = AllowListInterceptor(make_guard(), key_of_call, usage=sink)
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[guard])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
        call_all(port)
    finally:
        server.stop(0).wait()
    assert without_address(sink.told()) == GRPC_EXPECTED


def test_B25_calls_of_grpc_with_asyncio_reach_the_log() -> None:
    import grpc
    import grpc.aio

    from cidrmatch.gateways.grpc import AsyncAllowListInterceptor

    sink = Sink()

    async def made(request: bytes, context: Any) -> bytes:
        return b"made"

    async def raises(request: bytes, context: Any) -> bytes:
        raise RuntimeError("no luck")

    async def busy(request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
        return b""

    async def many(request: bytes, context: Any) -> Any:
        yield b"a"
        yield b"b"

    methods: dict[str, Any] = {
        "made": grpc.unary_unary_rpc_method_handler(made),
        "raises": grpc.unary_unary_rpc_method_handler(raises),
        "busy": grpc.unary_unary_rpc_method_handler(busy),
        "many": grpc.unary_stream_rpc_method_handler(many),
    }

    async def serve(then: Callable[[int], Awaitable[None]]) -> None:
        guard = AsyncAllowListInterceptor(make_guard(), key_of_call, usage=sink)
        server = grpc.aio.server(interceptors=[guard])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop", methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            await then(port)
        finally:
            await server.stop(0)

    logging.getLogger("grpc").setLevel(logging.CRITICAL)
    asyncio.run(serve(lambda port: asyncio.to_thread(call_all, port)))
    assert without_address(sink.told()) == GRPC_EXPECTED
