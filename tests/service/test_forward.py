"""The gateway's question, without a server: one ASGI call each.

Requirements: B2, B3, B7, U7 (what is answered), C23 (nobody gets in by what is not known), C26 (what is told).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cidrmatch import AllowList, Engine, Response, SnapshotError, presets
from cidrmatch.client import TrustedProxies
from cidrmatch.gateways.asgi import RewrittenPeerError
from cidrmatch.gateways.guard import Guard, GuardDecision
from cidrmatch.service.server.app import tracer
from cidrmatch.service.server.forward import ForwardAuth, is_forward, key_of

HOME, AWAY, TOKEN = b"203.0.113.9", b"198.51.100.1", "0123456789abcdef"
BODY = b'{"error":{"code":"IP_NOT_ALLOWED","message":"Request IP address is not in the API key\'s allowlist"}}'
GATEWAYS = AllowList(["10.0.0.0/8"])
Lines = Iterable[tuple[bytes, bytes]]


def guard_of(preset: str = "bitbybit", **more: Any) -> Guard:
    engine = Engine(presets.PRESETS[preset]())
    engine.put_key("key_1", ["203.0.113.0/24"])
    engine.put_key("open")
    return Guard(engine, TrustedProxies(["10.0.0.0/8"]), **more)


def ask(
    lines: Lines, path: str = "/auth", guard: Guard | None = None, method: str = "GET", key_header: str = "x-api-key"
) -> tuple[int, dict[bytes, bytes], bytes, list[GuardDecision]]:
    noted: list[GuardDecision] = []
    sent: list[Any] = []

    def note(found: GuardDecision, _seconds: float) -> None:
        noted.append(found)

    forward = ForwardAuth(guard or guard_of(), key_header, TOKEN, note, gateways=GATEWAYS)
    scope = {"type": "http", "path": path, "method": method, "client": ("10.0.0.7", 4711), "headers": list(lines)}

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the body is not read")

    asyncio.run(forward(scope, receive, send))
    start, body = sent
    names = [name for name, _ in start["headers"]]
    assert len(names) == len(set(names)), "each header once"
    return start["status"], dict(start["headers"]), body["body"], noted


def request(address: bytes = HOME, key: bytes = b"key_1") -> list[tuple[bytes, bytes]]:
    return [(b"x-api-key", key), (b"x-forwarded-for", address)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/auth", 204), ("/auth/quiet", 204), ("/envoy/", 200), ("/envoy/any/path", 200), ("/envoy//auth/quiet", 200)],
)
def test_B2_allowance_has_the_token(path: str, expected: int) -> None:
    """Envoy takes 200 alone as a yes."""
    status, headers, body, noted = ask(request(), path)
    assert (status, body) == (expected, b"")
    assert headers == {
        b"cache-control": b"no-store",
        b"x-cidrmatch-reason": b"matched",
        b"x-cidrmatch-state": b"restricted",
        b"x-cidrmatch-token": TOKEN.encode(),
    }
    assert [found.allowed for found in noted] == [True]


@pytest.mark.parametrize("path", ["/auth", "/envoy/x"])
def test_B3_denial_is_the_products_and_has_no_token(path: str) -> None:
    status, headers, body, noted = ask(request(AWAY), path)
    assert (status, body) == (403, BODY)
    assert headers == {
        b"x-cidrmatch-reason": b"ip_not_listed",
        b"x-cidrmatch-state": b"restricted",
        b"content-type": b"application/json",
        b"content-length": str(len(BODY)).encode(),
        b"cache-control": b"no-store",
    }
    assert [found.allowed for found in noted] == [False]


def test_quiet_denial_has_the_status_and_no_body() -> None:
    status, headers, body, _ = ask(request(AWAY), "/auth/quiet")
    assert (status, body, headers[b"content-length"]) == (403, b"", b"0")
    assert b"content-type" not in headers


def test_HEAD_has_the_length_and_no_body() -> None:
    status, headers, body, _ = ask(request(AWAY), method="HEAD")
    assert (status, body, headers[b"content-length"]) == (403, b"", str(len(BODY)).encode())


def test_U7_another_product_answers_in_its_own_form() -> None:
    _, _, body, _ = ask(request(AWAY), guard=guard_of("unkey"))
    assert body == b'{"data":{"valid":false,"code":"FORBIDDEN","keyId":"key_1"}}'


@pytest.mark.parametrize(
    ("lines", "status", "reason"),
    [
        ([(b"x-forwarded-for", HOME)], 401, b"no_key"),
        ([*request(), (b"x-api-key", b"key_1")], 401, b"no_key"),
        ([*request(key=b"\xff")], 401, b"no_key"),
        ([*request(key=b" ")], 401, b"no_key"),
        ([*request(key=b"key_1,key_1")], 401, b"no_key"),
        ([*request(key=b"key_1, open")], 401, b"no_key"),
        ([*request(key=b"key 1")], 401, b"no_key"),
        ([*request(key=b"key_1\xc2\xa0")], 401, b"no_key"),
        ([*request(key=b"key_1\x00")], 401, b"no_key"),
        ([*request(key=b"key_1\x7f")], 401, b"no_key"),
        ([*request(key=b"nobody")], 401, b"unknown_key"),
        ([(b"x-api-key", b"key_1")], 403, b"client_ip_unknown"),
        ([*request(HOME + b", junk")], 403, b"client_ip_unknown"),
        ([*request(), (b"x-forwarded-for", AWAY)], 403, b"ip_not_listed"),
    ],
)
def test_B7_C23_what_is_not_known_is_denied(lines: Lines, status: int, reason: bytes) -> None:
    found = ask(lines)
    assert (found[0], found[1][b"x-cidrmatch-reason"]) == (status, reason)
    assert b"x-cidrmatch-token" not in found[1]


def test_bearer_key_is_what_stands_behind_the_scheme() -> None:
    for value, wanted in (
        (b"Bearer key_1", "key_1"),
        (b"bearer  key_1 ", "key_1"),
        (b"Basic key_1", None),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"key_1", None),
    ):
        assert key_of([(b"authorization", value)], b"authorization") == wanted
    assert ask([(b"authorization", b"Bearer key_1"), (b"x-forwarded-for", HOME)], key_header="Authorization")[0] == 204


def test_C23_peer_that_the_server_rewrote_is_refused() -> None:
    forward = ForwardAuth(guard_of(), "x-api-key", None, lambda *_: None, gateways=GATEWAYS)
    scope = {"path": "/auth", "method": "GET", "client": ("10.0.0.7", 0), "headers": request()}
    with pytest.raises(RewrittenPeerError):
        forward.gateway_of(scope)
    assert forward.gateway_of({**scope, "client": ("10.0.0.7", 1)}) == "10.0.0.7"


def test_C23_failure_before_the_guard_denies() -> None:
    forward = ForwardAuth(guard_of(), "x-api-key", None, lambda *_: None, gateways=GATEWAYS)
    found = forward.ask("10.0.0.7", None)  # type: ignore[arg-type]
    assert (found.allowed, found.reason, found.response().status) == (False, "guard_error", 503)


class Damaged:
    """A decision whose state cannot be told."""

    def __init__(self, allowed: bool) -> None:
        self.allowed = allowed
        self.reason = "matched" if allowed else "ip_not_listed"

    @property
    def state(self) -> str:
        raise SnapshotError("damaged")

    def response(self, *, show_address: bool) -> Response:
        return Response(403, (), b"no")


@pytest.mark.parametrize(("allowed", "status"), [(True, 204), (False, 403)])
def test_C23_state_that_cannot_be_told_changes_no_answer(
    monkeypatch: pytest.MonkeyPatch, allowed: bool, status: int
) -> None:
    monkeypatch.setattr(Engine, "check", lambda *_: Damaged(allowed))
    assert ask(request())[0] == status


@pytest.mark.parametrize("client", [("198.51.100.1", 4711), ("unknown", 4711), ("10.0.0.7", 0), None])
def test_C23_token_is_told_to_gateways_alone(client: tuple[str, int] | None) -> None:
    """Whoever reaches the server with a key of its own would read it, and could open every gateway's door."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    forward = ForwardAuth(guard_of(), "x-api-key", TOKEN, lambda *_: None, gateways=GATEWAYS)
    scope = {"type": "http", "path": "/auth", "method": "GET", "client": client, "headers": request(key=b"open")}
    asyncio.run(forward(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 403
    assert dict(sent[0]["headers"])[b"x-cidrmatch-reason"] == b"no_gateway"
    assert TOKEN.encode() not in repr(sent).encode()


def test_only_the_paths_of_gateways_are_theirs() -> None:
    assert all(map(is_forward, ("/auth", "/auth/quiet", "/envoy/", "/envoy/v1/check")))
    assert not any(map(is_forward, ("/", "/auth/", "/auth/x", "/AUTH", "/envoy", "/v1/check", "/authx", "//auth")))


def test_question_is_a_span_where_somebody_receives_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = pytest.importorskip("opentelemetry.trace")
    told: list[object] = []

    class Span:
        def set_attribute(self, name: str, value: str) -> None:
            told.append((name, value))

    class Tracer:
        @contextmanager
        def start_as_current_span(self, name: str) -> Iterator[Span]:
            told.append(name)
            yield Span()

    assert tracer() is None, "nobody receives them"
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: "a provider of the host")
    monkeypatch.setattr(trace, "get_tracer", lambda _name: Tracer())
    forward = ForwardAuth(guard_of(), "x-api-key", TOKEN, lambda *_: None, tracer(), gateways=GATEWAYS)
    assert not forward.ask("10.0.0.7", request(AWAY)).allowed
    assert told == ["cidrmatch.auth", ("cidrmatch.reason", "ip_not_listed")]
