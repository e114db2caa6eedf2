"""The guard and its faces for ASGI and WSGI, without servers: what passes, and what is answered."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cidrmatch import Engine, Reason, Response, presets
from cidrmatch.client import (
    UNKNOWN_PEER,
    ClientAddress,
    PeerAddress,
    SingleHeader,
    TrustedHops,
    TrustedProxies,
)
from cidrmatch.gateways import asgi, wsgi
from cidrmatch.gateways.guard import Guard, GuardDecision

HOME, AWAY, PROXY = "203.0.113.9", "198.51.100.1", "10.0.0.7"
XFF = "x-forwarded-for"


def build_engine() -> Engine:
    engine = Engine(presets.bitbybit())
    engine.put_key("key_1", [(f"{HOME}/32", "home")])
    engine.put_key("open")
    return engine


def build_guard(**options: Any) -> Guard:
    return Guard(build_engine(), options.pop("client", TrustedProxies(["10.0.0.0/8"])), **options)


class Raises:
    """A strategy of the host's own that fails."""

    def find(self, peer: str | None, headers: Any = (), /) -> ClientAddress:
        raise RuntimeError(f"no luck with {peer}")


# The guard


def test_a_child_that_is_forked_while_another_thread_counts_checks_on() -> None:
    guard = build_guard()
    guard.check("key_1", HOME)
    guard._lock.acquire()  # as another thread would have it, which the child has not
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends the child if it waits for the lock
        status = 1
        try:
            is_allowed = guard.check("key_1", HOME).allowed
            status = 0 if is_allowed and guard.counts() == {"matched": 2} else 2
        finally:
            os._exit(status)
    guard._lock.release()
    assert os.waitpid(child, 0)[1] == 0
    assert guard.counts() == {"matched": 1}


def test_B28_decision_says_who_was_judged_and_how_it_was_found() -> None:
    guard = build_guard()
    found = guard.check("key_1", PROXY, [(XFF, f"6.6.6.6, {HOME}")])
    assert (found.allowed, found.reason, found.key, found.address) == (True, Reason.MATCHED, "key_1", HOME)
    assert found.client.trail == (PROXY, HOME)
    assert found.decision is not None
    assert found.decision.entry is not None
    assert (str(found.decision.entry), found.decision.label) == (f"{HOME}/32", "home")
    assert (found.decision.version, found.age) == (guard.engine.version, 0.0)
    facts = found.to_dict()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["trail"], facts["entry"], facts["error"]) == ([f"'{PROXY}'", f"'{HOME}'"], f"{HOME}/32", None)
    assert repr(found) == f"<GuardDecision allowed: matched, 'key_1' from {HOME}>"
    with pytest.raises(TypeError, match="truth"):
        bool(found)
    with pytest.raises(ValueError, match="allowed"):
        found.response()


@pytest.mark.parametrize(
    ("key", "peer", "header", "allowed", "reason", "status"),
    [
        ("key_1", PROXY, AWAY, False, "ip_not_listed", 403),
        ("key_1", PROXY, "junk", False, "client_ip_unknown", 403),
        ("key_1", PROXY, None, False, "client_ip_unknown", 403),
        ("key_1", PROXY, PROXY, False, "client_ip_unknown", 403),
        ("key_1", None, HOME, False, "client_ip_unknown", 403),
        ("key_1", AWAY, HOME, False, "ip_not_listed", 403),
        ("key_1", HOME, AWAY, True, "matched", None),
        ("nobody", PROXY, HOME, False, "unknown_key", 401),
        ("open", PROXY, "junk", True, "unrestricted", None),
        (None, PROXY, HOME, False, "no_key", 401),
    ],
)
def test_C23_what_is_denied_and_how_it_is_answered(
    key: str | None, peer: str | None, header: str | None, allowed: bool, reason: str, status: int | None
) -> None:
    guard = build_guard()
    found = guard.check(key, peer, [] if header is None else [(XFF, header)])
    assert (found.allowed, str(found.reason)) == (allowed, reason)
    if status is not None:
        assert found.response().status == status
    assert guard.counts() == {reason: 1}


def test_B28_strategy_sees_every_line_of_a_header() -> None:
    lines = [(XFF, HOME), (XFF, PROXY)]
    assert build_guard().check("key_1", PROXY, lines).address == HOME
    single = build_guard(client=SingleHeader(XFF, ["10.0.0.0/8"]))
    assert single.check("key_1", PROXY, lines[:1]).allowed
    repeated = single.check("key_1", PROXY, lines[:1] * 2)
    assert (repeated.allowed, repeated.client.problem) == (False, "repeated")


def test_key_that_is_empty_is_an_unknown_one_and_not_none() -> None:
    found = build_guard().check("", HOME)
    assert (found.allowed, found.reason, found.key) == (False, Reason.UNKNOWN_KEY, "")


def test_age_is_that_of_the_data() -> None:
    class Old:
        """An engine whose data was last known to be current some time ago."""

        age = 7.5
        check = build_engine().check

    odd: Any = Old()
    guard = Guard(odd, PeerAddress())
    assert (guard.check("key_1", HOME).age, guard.check("key_1", AWAY).to_dict()["age"]) == (7.5, 7.5)


def test_B2_C26_denial_has_the_form_of_the_product_and_shows_the_address_where_that_was_said() -> None:
    response = build_guard().check("key_1", AWAY).response()
    assert (response.status, json.loads(response.body)["error"]["code"]) == (403, "IP_NOT_ALLOWED")
    assert AWAY.encode() not in response.body
    shown = build_guard(show_address=True).check("key_1", AWAY).response()
    assert json.loads(shown.body)["error"]["address"] == AWAY


@pytest.mark.parametrize(("on_error", "status"), [("unavailable", 503), ("deny", 403)])
@pytest.mark.parametrize("peer", [HOME, b"1234", 5])
def test_C23_whatever_raises_denies_and_is_counted(
    on_error: str, status: int, peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = Raises() if peer == HOME else PeerAddress()
    seen: list[GuardDecision] = []
    guard = build_guard(client=client, on_error=on_error, on_decision=seen.append)
    found = guard.check("open", peer)
    assert (found.allowed, found.reason, found.decision, found.address) == (False, "guard_error", None, None)
    assert found.response().status == status
    assert (guard.counts(), seen) == ({"guard_error": 1}, [found])
    assert "denied because its check failed" in caplog.text
    assert json.dumps(found.to_dict())


def test_key_that_is_no_text_is_an_error_and_denies(caplog: pytest.LogCaptureFixture) -> None:
    odd: Any = b"open"
    found = build_guard().check(odd, HOME)
    assert (found.allowed, found.reason, type(found.error)) == (False, "guard_error", TypeError)


def test_a_denial_that_cannot_be_rendered_is_answered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = build_guard().check("key_1", AWAY)
    broken = GuardDecision(build_guard(), "key_1", found.client, Odd(), 0.0)  # type: ignore[arg-type]
    assert broken.allowed is False
    assert broken.response().status == 503


class Odd:
    """What a `Decision` never is: neither allowed nor able to say why."""

    allowed = "yes"
    reason = Reason.NOT_LISTED

    def response(self, **_: object) -> Response:
        raise ZeroDivisionError


def test_B7_refusal_without_a_product_is_a_problem_that_no_cache_keeps() -> None:
    response = build_guard().check(None, HOME).response()
    assert json.loads(response.body) == {"type": "about:blank", "title": "Unauthorized", "status": 401}
    assert dict(response.headers) == {
        "content-type": "application/problem+json",
        "content-length": str(len(response.body)),
        "cache-control": "no-store",
    }


def test_counts_are_a_copy() -> None:
    guard = build_guard()
    guard.check("key_1", HOME)
    guard.counts().clear()
    assert guard.counts() == {"matched": 1}


def test_what_on_decision_raises_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    def fail(found: GuardDecision) -> None:
        raise OSError("the log is full")

    guard = build_guard(on_decision=fail)
    assert guard.check("key_1", HOME).allowed
    assert not guard.check("key_1", AWAY).allowed
    assert guard.counts() == {"matched": 1, "ip_not_listed": 1, "on_decision_failed": 2}
    assert caplog.text.count("the answer stands") == 2


def test_counts_of_threads_are_whole() -> None:
    guard = build_guard()

    def ask() -> None:
        for _ in range(500):
            guard.check("key_1", HOME)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guard.counts() == {"matched": 2_000}


@pytest.mark.parametrize(
    "arguments",
    [
        {"engine": None}, {"client": None}, {"client": PeerAddress}, {"client": "203.0.113.9"}, {"on_error": "allow"},
        {"on_decision": "log"}, {"show_address": 1},
    ],
)  # fmt: skip
def test_guard_is_made_of_what_it_says(arguments: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"engine": build_engine(), "client": PeerAddress(), **arguments}
    with pytest.raises((TypeError, ValueError)):
        Guard(whole.pop("engine"), whole.pop("client"), **whole)


# ASGI


def key_of(scope: Any) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return str(value.decode("latin-1"))
    return None


def connect(
    app: Any, kind: str = "http", peer: Any = (PROXY, 4711), key: str | None = "key_1", **more: Any
) -> tuple[list[Any], Any]:
    """Ask an application once; what it sent, and its scope."""
    headers = [(b"x-forwarded-for", more.pop("xff", HOME).encode())]
    if key is not None:
        headers.append((b"x-api-key", key.encode()))
    scope = {"type": kind, "client": peer, "headers": headers, **more}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": f"{kind}.connect" if kind == "websocket" else "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent, scope


async def inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "inner", "scope": scope})


def asgi_app(key: Callable[[Any], Any] = key_of, **options: Any) -> asgi.AllowListMiddleware:
    without_key = options.pop("without_key", "deny")
    return asgi.AllowListMiddleware(inner, guard=build_guard(**options), key=key, without_key=without_key)


def test_B5_asgi_lets_through_and_leaves_the_decision_in_the_state() -> None:
    sent, scope = connect(asgi_app())
    assert [message["type"] for message in sent] == ["inner"]
    found = asgi.decision_of(scope)
    assert (found.allowed, found.address, found) == (True, HOME, scope["state"]["cidrmatch"])
    sent, scope = connect(asgi_app(), "websocket", state={"host": 1})
    assert (sent[0]["type"], scope["state"]["host"]) == ("inner", 1)


def test_B2_asgi_answers_a_denial_in_the_form_of_the_product() -> None:
    sent, scope = connect(asgi_app(), xff=AWAY)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 403
    assert json.loads(sent[1]["body"])["error"]["code"] == "IP_NOT_ALLOWED"
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(sent[1]["body"])).encode()
    with pytest.raises(LookupError):
        asgi.decision_of(scope)


def test_asgi_closes_a_websocket_before_it_opens() -> None:
    cases: tuple[Any, ...] = ({}, None, {"tls": {}})
    for extensions in cases:
        sent, _ = connect(asgi_app(), "websocket", xff=AWAY, extensions=extensions)
        assert sent == [{"type": "websocket.close", "code": 1008, "reason": "not allowed"}]
    sent, _ = connect(asgi_app(), "websocket", xff=AWAY, extensions={"websocket.http.response": {}})
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 403


def test_asgi_takes_the_handshake_of_a_websocket_before_it_answers() -> None:
    done: list[str] = []

    async def receive() -> Any:
        done.append("handshake")
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        done.append(message["type"])

    scope: Any = {"type": "websocket", "client": (AWAY, 4711), "headers": [(b"x-api-key", b"key_1")]}
    asyncio.run(asgi_app()(scope, receive, send))
    assert done == ["handshake", "websocket.close"]


def test_what_a_host_says_of_its_own_is_sent_as_it_is() -> None:
    steps: Any = {"authenticate": None, "scope": lambda request, key: Response(418, (("x-why", "\xe9"),), b"no")}
    face = asgi.AllowListMiddleware(inner, guard=build_guard(), key=key_of, steps=steps)
    sent, _ = connect(face)
    assert (sent[0]["status"], sent[0]["headers"], sent[1]["body"]) == (418, [(b"x-why", b"\xe9")], b"no")
    behind = wsgi.AllowListMiddleware(
        wsgi_inner, guard=build_guard(), key=lambda environ: environ["HTTP_X_API_KEY"], steps=steps
    )
    assert call(behind) == ("418 Denied", {"x-why": "\xe9"}, b"no")


def test_asgi_passes_lifespan_and_refuses_what_it_does_not_know() -> None:
    sent, _ = connect(asgi_app(), "lifespan")
    assert sent[0]["type"] == "inner"
    with pytest.raises(ValueError, match="protocol"):
        connect(asgi_app(), "webtransport")


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_asgi_without_a_key(kind: str) -> None:
    sent, _ = connect(asgi_app(), kind, key=None)
    assert sent[0].get("status", sent[0].get("code")) == (401 if kind == "http" else 1008)
    sent, scope = connect(asgi_app(without_key="pass"), kind, key=None)
    assert sent[0]["type"] == "inner"
    with pytest.raises(LookupError):
        asgi.decision_of(scope)


def test_asgi_key_may_be_a_coroutine_and_what_it_raises_denies(caplog: pytest.LogCaptureFixture) -> None:
    async def slow(scope: Any) -> str | None:
        await asyncio.sleep(0)
        return key_of(scope)

    def fail(scope: Any) -> str | None:
        raise KeyError("no such secret")

    assert connect(asgi_app(slow))[0][0]["type"] == "inner"
    for key in (fail, lambda scope: 5):
        assert connect(asgi_app(key), key="open")[0][0]["status"] == 503


@pytest.mark.parametrize("client", [TrustedProxies(["10.0.0.0/8"]), PeerAddress(), SingleHeader("x", ["10.0.0.0/8"])])
def test_asgi_denies_where_a_server_rewrote_the_peer(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    sent, _ = connect(asgi_app(client=client), peer=(HOME, 0))
    assert sent[0]["status"] == 503
    assert "--no-proxy-headers" in caplog.text


ON_UNIX_SOCKETS = [
    TrustedProxies([], unix=True), TrustedHops(1, unix=True), SingleHeader(XFF, [], unix=True)
]  # fmt: skip
NO_PEERS: list[Any] = [None, (), ("", 1), [None, None], ("", "0")]


@pytest.mark.parametrize("peer", NO_PEERS)
@pytest.mark.parametrize("server", [("/run/app.sock", None), ["./app.sock", None], ("/run/app.sock", "0")])
def test_asgi_peer_on_a_unix_socket(peer: Any, server: Any) -> None:
    assert connect(asgi_app(), peer=peer, server=server)[0][0]["status"] == 403
    for unix in ON_UNIX_SOCKETS:
        sent, scope = connect(asgi_app(client=unix), peer=peer, server=server)
        assert (sent[0]["type"], asgi.decision_of(scope).address) == ("inner", HOME)


@pytest.mark.parametrize("peer", NO_PEERS)
@pytest.mark.parametrize(
    "server",
    [
        None, (), ("127.0.0.1", 8000), ("::1", 8000), ("testserver", None), ("app.sock", None), ("", None),
        (None, None), (b"/run/app.sock", None), ("/", 80), ("/run/app.sock", 0), ("127.0.0.1", "0"),
    ],
)  # fmt: skip
def test_C23_asgi_peer_that_is_not_known_is_none_on_a_unix_socket(peer: Any, server: Any) -> None:
    for unix in [*ON_UNIX_SOCKETS, PeerAddress(), TrustedHops(1)]:
        denied: list[GuardDecision] = []
        app = asgi_app(client=unix, on_decision=denied.append)
        assert connect(app, peer=peer, server=server)[0][0]["status"] == 403
        assert [(found.client.problem, found.client.trail) for found in denied] == [("no_peer", ())]
        assert connect(app, peer=peer, server=server, key="open")[0][0]["type"] == "inner", "nothing is asked of it"


def test_C23_asgi_scope_without_client_and_server_has_no_peer() -> None:
    assert asgi.origin_of({"headers": []}) == (UNKNOWN_PEER, [])


# WSGI


def call(app: Any, **environ: Any) -> tuple[str, dict[str, str], bytes]:
    said: list[Any] = []
    environ = {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": HOME, "HTTP_X_API_KEY": "key_1", **environ}
    environ.setdefault("SERVER_SOFTWARE", "gunicorn/27.0.1")
    body = b"".join(
        app({name: value for name, value in environ.items() if value is not None}, lambda *a: said.extend(a))
    )
    return said[0], dict(said[1]), body


def wsgi_inner(environ: Any, start_response: Any) -> list[bytes]:
    found = environ.get("cidrmatch.decision")
    start_response("200 OK", [])
    return [repr(found).encode()]


def wsgi_app(
    key: Callable[[Any], Any] = lambda environ: environ.get("HTTP_X_API_KEY"), **options: Any
) -> wsgi.AllowListMiddleware:
    without_key = options.pop("without_key", "deny")
    return wsgi.AllowListMiddleware(wsgi_inner, guard=build_guard(**options), key=key, without_key=without_key)


def test_B5_wsgi_lets_through_and_leaves_the_decision_in_the_environ() -> None:
    status, _, body = call(wsgi_app())
    assert (status, body) == ("200 OK", f"<GuardDecision allowed: matched, 'key_1' from {HOME}>".encode())
    environ: Any = {"cidrmatch.decision": "forged"}
    with pytest.raises(LookupError):
        wsgi.decision_of(environ)


def test_B2_wsgi_answers_a_denial_in_the_form_of_the_product() -> None:
    status, headers, body = call(wsgi_app(), HTTP_X_FORWARDED_FOR=AWAY)
    assert (status, json.loads(body)["error"]["code"]) == ("403 Forbidden", "IP_NOT_ALLOWED")
    assert (headers["content-type"], headers["content-length"]) == ("application/json", str(len(body)))


def test_wsgi_denial_of_a_HEAD_request_has_the_headers_alone() -> None:
    status, headers, body = call(wsgi_app(), HTTP_X_FORWARDED_FOR=AWAY, REQUEST_METHOD="HEAD")
    whole = call(wsgi_app(), HTTP_X_FORWARDED_FOR=AWAY, REQUEST_METHOD="GET")
    assert (status, headers, body) == (*whole[:2], b"")


@pytest.mark.parametrize("odd", ["yes", 1, None])
def test_wsgi_switch_is_true_or_false(odd: Any) -> None:
    with pytest.raises(TypeError, match="drops_underscores"):
        wsgi.AllowListMiddleware(wsgi_inner, guard=build_guard(), key=key_of, drops_underscores=odd)


def test_wsgi_without_a_key_and_with_one_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    assert call(wsgi_app(), HTTP_X_API_KEY=None)[0] == "401 Unauthorized"
    assert call(wsgi_app(without_key="pass"), HTTP_X_API_KEY=None)[0] == "200 OK"
    assert call(wsgi_app(lambda environ: environ["no"]))[0] == "503 Service Unavailable"
    assert call(wsgi_app(lambda environ: 5))[0] == "503 Service Unavailable"


def test_wsgi_denies_where_a_middleware_rewrote_the_peer(caplog: pytest.LogCaptureFixture) -> None:
    status, _, _ = call(wsgi_app(), **{"werkzeug.proxy_fix.orig": {"REMOTE_ADDR": "6.6.6.6"}})
    assert status == "503 Service Unavailable"
    assert "proxy_fix" in caplog.text


@pytest.mark.parametrize("server", ["granian", "WSGIServer/0.2 CPython/3.11.7", "", None, "not gunicorn/27.0.1"])
def test_wsgi_denies_where_an_underscore_may_be_a_dash(server: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert call(wsgi_app(), SERVER_SOFTWARE=server)[0] == "503 Service Unavailable"
    assert "drops_underscores=True" in caplog.text
    said = wsgi.AllowListMiddleware(
        wsgi_inner, guard=build_guard(), key=lambda environ: environ["HTTP_X_API_KEY"], drops_underscores=True
    )
    assert call(said, SERVER_SOFTWARE=server)[0] == "200 OK"
    assert call(wsgi_app(client=PeerAddress()), SERVER_SOFTWARE=server, REMOTE_ADDR=HOME)[0] == "200 OK"


class SecondHeader(TrustedProxies):
    """A strategy of the host's own, which reads another header than it says."""

    def find(self, peer: str | None, headers: Any = (), /) -> ClientAddress:
        return super().find(peer, [(XFF, value) for name, value in headers if name == "x-second"])


class PeerOrHeader(PeerAddress):
    """A strategy of the host's own, which inherits from one that reads no header."""

    def find(self, peer: str | None, headers: Any = (), /) -> ClientAddress:
        return super().find(dict(headers).get(XFF, peer))


def test_wsgi_strategy_of_the_host_sees_all_headers(caplog: pytest.LogCaptureFixture) -> None:
    app = wsgi_app(client=SecondHeader(["10.0.0.0/8"]))
    assert call(app, HTTP_X_FORWARDED_FOR=AWAY, HTTP_X_SECOND=HOME)[0] == "200 OK"
    assert call(app, HTTP_X_FORWARDED_FOR=HOME, HTTP_X_SECOND=AWAY)[0] == "403 Forbidden"
    assert call(wsgi_app(client=PeerOrHeader()), HTTP_X_FORWARDED_FOR=HOME)[0] == "200 OK"
    unclear = call(wsgi_app(client=PeerOrHeader()), HTTP_X_FORWARDED_FOR=HOME, SERVER_SOFTWARE="granian")
    assert unclear[0] == "503 Service Unavailable"


def test_wsgi_peer_on_a_unix_socket_and_odd_ones(caplog: pytest.LogCaptureFixture) -> None:
    unix = TrustedProxies(["10.0.0.0/8"], unix=True)
    assert call(wsgi_app(), REMOTE_ADDR="")[0] == "403 Forbidden"
    assert call(wsgi_app(client=unix), REMOTE_ADDR="")[0] == "200 OK"
    assert call(wsgi_app(client=unix), REMOTE_ADDR=None)[0] == "403 Forbidden", "a server that does not say the peer"
    assert call(wsgi_app(), REMOTE_ADDR=b"1234")[0] == "503 Service Unavailable"


@pytest.mark.parametrize("face", [asgi.AllowListMiddleware, wsgi.AllowListMiddleware])
@pytest.mark.parametrize(
    "arguments",
    [{"guard": None}, {"guard": build_engine()}, {"key": "x-api-key"}, {"without_key": "allow"}, {"without_key": None}],
)
def test_faces_are_made_of_what_they_say(face: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        face(inner, **{"guard": build_guard(), "key": key_of, **arguments})


def test_nothing_is_logged_about_requests_that_are_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connect(asgi_app())
    call(wsgi_app(), HTTP_X_FORWARDED_FOR=AWAY)
    assert [record for record in caplog.records if record.name.startswith("cidrmatch")] == []
