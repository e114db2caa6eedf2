"""The guard as an interceptor of gRPC servers, for threads and for asyncio, with real clients."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cidrmatch.gateways import grpc as face
from tests.gateways import host
from tests.gateways.pages import write_page
from tests.gateways.scenarios import AT_AWAY, AT_HOME, AWAY, HOME, WHO
from tests.gateways.serving import running

SERVER = ["tests.gateways.grpc_app", "127.0.0.1:{port}"]
KINDS: dict[str, dict[str, str]] = {
    "threads": {"kind": "threads"},
    "asyncio": {"kind": "asyncio", "wait": "1"},
    "asyncio, nothing waits": {"kind": "asyncio"},
    "both": {"kind": "both"},
}
METHODS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
CODES = {200: "OK", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}


class Called(NamedTuple):
    """What came of a call: its status, what was judged, and the reason of ErrorInfo."""

    code: str
    said: Any
    reason: str | None
    domain: str | None = None


def call(
    target: int | str, key: str | None, *lines: str, method: str = "unary_unary", more: Any = (), path: str = ""
) -> Called:
    """Call a method with these header lines as metadata."""
    metadata = [] if key is None else [("x-api-key", key)]
    for line in lines:
        name, _, value = line.partition(":")
        metadata.append((name.lower(), value.strip()))
    address = f"127.0.0.1:{target}" if isinstance(target, int) else target if "[" in target else f"unix:{target}"
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        ask: Callable[..., Any] = getattr(channel, method)(f"/Judged/{path or method}")
        sent = iter([b"one", b"two"]) if method.startswith("stream") else b"one"
        try:
            reply = ask(sent, metadata=[*metadata, *more], timeout=30)
            replies = [reply] if isinstance(reply, bytes) else list(reply)
        except grpc.RpcError as error:
            return denied(error)
    assert len(set(replies)) == 1
    assert len(replies) == (2 if method.endswith("stream") else 1)
    return Called("OK", json.loads(replies[0]), None)


def denied(error: Any) -> Called:
    """Read what a denied call was told, with the library of gRPC."""
    status = rpc_status.from_call(error)
    if status is None:
        return Called(error.code().name, None, None)
    assert isinstance(status, status_pb2.Status)
    (detail,) = status.details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    return Called(error.code().name, None, info.reason, info.domain)


@pytest.fixture(scope="module", params=KINDS)
def port(request: pytest.FixtureRequest) -> Iterator[int | str]:
    with running(SERVER, **KINDS[request.param]) as found:
        yield found


@pytest.mark.parametrize("method", METHODS)
def test_B2_B3_B5_B6_B28_who_is_judged(port: int | str, method: str) -> None:
    for lines, status, address in WHO:
        if status == 200 and len(lines) == 1:  # of several lines, gRPC hands on the last
            expected = Called("OK", {"address": address, "reason": "matched"}, None)
        else:
            expected = Called("PERMISSION_DENIED", None, "IP_NOT_ALLOWED", "judged.example")
        assert call(port, "key_1", *lines, method=method) == expected, lines


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_B28_metadata_may_be_repeated_and_their_order_counts(kind: str) -> None:
    with running(SERVER, kind=kind, strategy="forwarded") as port:
        for addresses, judged in (
            (("6.6.6.6", HOME, "10.0.0.8"), HOME),
            ((HOME, "10.0.0.8"), HOME),
            ((HOME, AWAY), None),
        ):
            found = call(port, "key_1", *(f"Forwarded: for={address}" for address in addresses))
            assert (found.said and found.said["address"]) == judged
    with running(SERVER, kind=kind) as port:
        found = call(port, "key_1", "X-Forwarded-For: 6.6.6.6", f"X-Forwarded-For: {AWAY}, {HOME}")
        assert found.said["address"] == HOME
        assert call(port, "key_1", f"X_Forwarded_For: {HOME}").code == "PERMISSION_DENIED"


@pytest.mark.parametrize("method", METHODS)
def test_B7_B8_authentication_and_scope_come_first(port: int | str, method: str) -> None:
    for line in (AT_HOME, AT_AWAY, "X-Forwarded-For: junk"):
        for key in (None, "nobody"):
            found = call(port, key, line, method=method)
            assert (found.code, found.reason) == ("UNAUTHENTICATED", "NO_KEY")
        found = call(port, "no_scope", line, method=method)
        assert (found.code, found.reason) == ("PERMISSION_DENIED", "SCOPE")
    assert call(port, "open", "X-Forwarded-For: junk", method=method).said["reason"] == "unrestricted"


def test_C23_what_the_host_raises_lets_nobody_in(port: int | str) -> None:
    for key in ("raises", "broken"):
        for line in (AT_HOME, AT_AWAY):
            found = call(port, key, line)
            assert (found.code, found.reason) == ("UNAVAILABLE", "GUARD_ERROR")
    assert call(port, "key_1", AT_HOME).code == "OK"


def test_C23_metadata_of_bytes_and_repeated_keys_are_no_way_in(port: int | str) -> None:
    assert call(port, "key_1", more=[("x-forwarded-for-bin", HOME.encode())]).code == "PERMISSION_DENIED"
    assert call(port, "key_1", AT_HOME, more=[("trace-bin", b"\xff\x00")]).code == "OK"
    assert call(port, "key_1", AT_HOME, more=[("x-api-key", "open")]).code == "UNAUTHENTICATED"


def test_method_that_nobody_serves_is_unimplemented(port: int | str) -> None:
    assert call(port, "key_1", AT_HOME, path="none").code == "UNIMPLEMENTED"


@pytest.mark.parametrize("kind", KINDS)
def test_U1_U6_U7_U8_U9_U10_U11_the_order_of_unkey(kind: str) -> None:
    with running(SERVER, preset="unkey", **KINDS[kind]) as port:
        for line in (AT_HOME, AT_AWAY):
            assert call(port, "expired", line)[:3] == ("UNAUTHENTICATED", None, "VALIDITY")
        assert call(port, "no_permission", AT_AWAY)[:3] == ("PERMISSION_DENIED", None, "FORBIDDEN")
        assert call(port, "no_permission", AT_HOME)[:3] == ("PERMISSION_DENIED", None, "PERMISSIONS")
        for _ in range(5):
            assert call(port, "key_1", AT_AWAY)[:3] == ("PERMISSION_DENIED", None, "FORBIDDEN")
        assert [call(port, "key_1", AT_HOME).code for _ in range(4)] == ["OK"] * 2 + ["RESOURCE_EXHAUSTED"] * 2


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_call_without_a_key_passes_where_that_was_said(kind: str) -> None:
    with running(SERVER, kind=kind, without_key="pass") as port:
        for method in METHODS:
            assert call(port, "key_1", AT_HOME, method=method).said["address"] == HOME
            assert call(port, None, AT_AWAY, method=method).said == {"address": None, "reason": None}
            assert call(port, "key_1", AT_AWAY, method=method).code == "PERMISSION_DENIED"


def test_C23_coroutine_functions_are_no_way_in_where_nobody_waits() -> None:
    with running(SERVER, kind="threads", wait="1") as port:
        assert call(port, "key_1", AT_HOME)[:3] == ("UNAVAILABLE", None, "GUARD_ERROR")


def test_peer_is_the_client_where_nobody_stands_in_front() -> None:
    with running(SERVER, strategy="peer") as port:
        assert call(port, "local", AT_HOME).said["address"] == "127.0.0.1"
        assert call(port, "key_1", AT_HOME).code == "PERMISSION_DENIED"


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_peer_on_a_unix_socket_is_trusted_where_that_was_said(kind: str) -> None:
    server = ["tests.gateways.grpc_app", "unix:{path}"]
    with running(server, kind=kind, strategy="unix") as path:
        assert call(path, "key_1", f"X-Forwarded-For: {HOME}, 10.0.0.8").said["address"] == HOME
        assert call(path, "key_1", AT_AWAY).code == "PERMISSION_DENIED"
    with running(server, kind=kind, strategy="proxies") as path:
        assert call(path, "key_1", AT_HOME).code == "PERMISSION_DENIED"


def test_peer_over_IPv6() -> None:
    with running(["tests.gateways.grpc_app", "[::]:{port}"], strategy="proxies") as port:
        assert call(port, "key_1", AT_HOME).said["address"] == HOME
        assert call(f"[::1]:{port}", "key_1", AT_HOME).said["address"] == HOME


class Context:
    """What a method knows of its call, as far as the guard asks."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def peer(self) -> Any:
        return self._peer

    def invocation_metadata(self) -> Any:
        return (("x-api-key", "open"), ("x-forwarded-for", AWAY))


@pytest.mark.parametrize(
    "peer",
    [
        "", "203.0.113.9", "203.0.113.9:1", "ipv4:203.0.113.9", "ipv4:unix:1", "ipv6:2001:db8::9:1", "ipv6:[]:1",
        "vsock:1:2", "fd:3", "unknown", "dns:home:1", "ipv4:203.0.113.9:1,ipv4:10.0.0.7:1", "xunix:", "UNIX:/a",
        "ipv6:%5B::1%5D", "ipv4:203.0.113.9:1\n", None,
    ],
)  # fmt: skip
def test_C23_peer_that_is_named_in_an_unknown_way_denies(peer: Any, caplog: pytest.LogCaptureFixture) -> None:
    guard = host.build_guard()
    interceptor = face.AllowListInterceptor(guard, lambda context: "open")

    class Aborted(Exception):
        pass

    class Whole(Context):
        said: Any = None

        def set_trailing_metadata(self, trailing: Any) -> None:
            self.said = trailing

        def abort(self, code: Any, message: str) -> None:
            raise Aborted(code)

    called: list[Any] = []
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: called.append(request))
    details: Any = None
    guarded: Any = interceptor.intercept_service(lambda _: handler, details)
    with pytest.raises(Aborted):
        guarded.unary_unary(b"", Whole(peer))
    assert (called, guard.counts()) == ([], {"guard_error": 1})
    with pytest.raises(LookupError):
        face.decision_of_call()


class Mild(Context):
    """A call that goes on after it was aborted, as none of gRPC's does; keeps what it was told."""

    told: Any = None

    def set_trailing_metadata(self, trailing: Any) -> None:
        self.told = trailing

    def abort(self, code: Any, message: str) -> None:
        pass


class MildAsync(Context):
    """The same for asyncio."""

    async def abort(self, code: Any, message: str, trailing: Any) -> None:
        pass


def guarded(key: str | None, method: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A method for threads with the guard around it."""
    handler: Any = grpc.unary_unary_rpc_method_handler(method)
    details: Any = None
    interceptor = face.AllowListInterceptor(host.build_guard(), lambda context: key, **options)
    around: Any = interceptor.intercept_service(lambda _: handler, details)
    method_around: Callable[..., Any] = around.unary_unary
    return method_around


def test_call_that_goes_on_after_it_was_aborted_is_stopped() -> None:
    method = guarded(None, lambda request, context: pytest.fail("it was called"))
    with pytest.raises(RuntimeError, match="aborted"):
        method(b"", Mild("ipv4:127.0.0.1:1"))


@pytest.mark.parametrize("streams", [False, True])
def test_call_of_asyncio_that_goes_on_after_it_was_aborted_is_stopped(streams: bool) -> None:
    async def unary(request: Any, context: Any) -> bytes:
        return pytest.fail("it was called")

    async def streaming(request: Any, context: Any) -> AsyncIterator[bytes]:
        yield pytest.fail("it was called")

    make: Any = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
    handler = make(streaming if streams else unary)
    interceptor = face.AsyncAllowListInterceptor(host.build_guard(), lambda context: None)

    async def call_it() -> None:
        async def continuation(_: Any) -> Any:
            return handler

        details: Any = None
        around: Any = await interceptor.intercept_service(continuation, details)
        context = MildAsync("ipv4:127.0.0.1:1")
        if streams:
            await anext(around.unary_stream(b"", context))
        else:
            await around.unary_unary(b"", context)

    with pytest.raises(RuntimeError, match="aborted"):
        asyncio.run(call_it())


def test_decision_of_a_call_is_gone_when_the_next_in_its_context_is_denied() -> None:
    passing = guarded("open", lambda request, context: None)
    failing = guarded("local", lambda request, context: pytest.fail("it was called"))

    def two_calls() -> None:
        passing(b"", Mild("ipv4:198.51.100.1:1"))
        assert face.decision_of_call().key == "open"
        with pytest.raises(RuntimeError, match="aborted"):
            failing(b"", Mild("ipv4:198.51.100.1:1"))
        with pytest.raises(LookupError):
            face.decision_of_call()

    contextvars.copy_context().run(two_calls)


@pytest.mark.parametrize("length", [1, 120, 127, 128, 255, 256, 20_000])
def test_details_of_a_denial_may_be_long(length: int) -> None:
    method = guarded("another", lambda request, context: None, domain="d" * length)
    context = Mild("ipv4:127.0.0.1:1")
    with pytest.raises(RuntimeError, match="aborted"):
        method(b"", context)
    ((name, details),) = context.told
    status = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (name, info.domain) == ("grpc-status-details-bin", "d" * length)
    assert (status.code, info.reason) == (16, "UNKNOWN_KEY"), "a key that is not known is not one that is not listed"


@pytest.mark.parametrize("made", [face.AllowListInterceptor, face.AsyncAllowListInterceptor])
@pytest.mark.parametrize(
    "arguments", [{"guard": None}, {"key": "x-api-key"}, {"without_key": "allow"}, {"steps": {}}, {"domain": b"x"}]
)
def test_interceptors_are_made_of_what_they_say(made: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        made(**{"guard": host.build_guard(), "key": lambda context: None, **arguments})


def test_lines_of_the_page_work(tmp_path: Path) -> None:
    settings = write_page("grpc", tmp_path)
    page = tmp_path / "page_grpc.py"
    text = page.read_text(encoding="utf-8")
    assert text.count('"127.0.0.1:50051"') == 1
    page.write_text("import sys\n" + text.replace('"127.0.0.1:50051"', "sys.argv[1]"), encoding="utf-8")
    with running(["page_grpc", "127.0.0.1:{port}"], **settings) as port:
        assert isinstance(port, int)
        for key, line, code in (
            ("secret of key_live_1", AT_HOME, "OK"),
            ("secret of key_live_1", AT_AWAY, "PERMISSION_DENIED"),
            ("another", AT_HOME, "UNAUTHENTICATED"),
        ):
            metadata = (("x-api-key", key), ("x-forwarded-for", line.partition(": ")[2]))
            with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
                ask: Any = channel.unary_unary("/Shop/Hello")
                try:
                    found = Called("OK", ask(b"", metadata=metadata, timeout=30), None)
                except grpc.RpcError as error:
                    found = denied(error)
            assert found.code == code
            assert code != "OK" or found.said == f"hello from {HOME}".encode()
