"""The guard as a middleware of Django and as a permission of Django REST framework, behind real servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings

from cidrmatch import Engine, Response, presets
from cidrmatch.client import PeerAddress
from cidrmatch.gateways import django as face
from cidrmatch.gateways.guard import Guard
from tests.gateways import django_app, scenarios
from tests.gateways.pages import write_page
from tests.gateways.scenarios import AT_AWAY, AT_HOME, AWAY, HOME
from tests.gateways.serving import ask, running
from tests.servers import ROOT

WSGI, ASGI = "tests.gateways.django_app:wsgi_app", "tests.gateways.django_app:asgi_app"
SERVERS = {
    "gunicorn": ["gunicorn", "--bind=127.0.0.1:{port}", WSGI],
    "waitress": ["waitress", "--no-clear-untrusted-proxy-headers", "--listen=127.0.0.1:{port}", WSGI],
    "uvicorn": ["uvicorn", "--no-proxy-headers", "--log-level=warning", "--port={port}", ASGI],
    "granian": ["granian", "--interface=asgi", "--host=127.0.0.1", "--port={port}", ASGI],
}
OPTIONS = {"granian": {"wait": "1"}}
"""Under granian, the host's checks are coroutine functions."""


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest) -> Iterator[int | str]:
    with running(SERVERS[request.param], **OPTIONS.get(request.param, {})) as found:
        yield found


@pytest.mark.parametrize("path", ["/", "/async"])
def test_B2_B5_B6_B28_who_is_judged(port: int | str, path: str) -> None:
    scenarios.see_who_is_judged(partial(ask, port, path=path))


def test_B2_the_headers_of_a_denial(port: int | str) -> None:
    scenarios.see_the_headers(port)


def test_B7_B8_authentication_and_scope_come_first(port: int | str) -> None:
    scenarios.see_authentication_first(partial(ask, port))


def test_C23_what_the_host_raises_lets_nobody_in(port: int | str) -> None:
    scenarios.see_errors_deny(partial(ask, port))


def test_B28_settings_about_forwarding_do_not_touch_the_peer(port: int | str) -> None:
    lines = ["X-Forwarded-Proto: https", f"X-Forwarded-Host: {HOME}", "X-Forwarded-Port: 0", f"X-Forwarded: {HOME}"]
    assert ask(port, "key_1", *lines).status == 403
    assert ask(port, "key_1", *lines, AT_HOME).address == HOME
    assert ask(port, "key_1", f"X_Forwarded_For: {HOME}").status in (400, 403)
    assert ask(port, "key_1", f"X_Forwarded_For: {HOME}", AT_AWAY).status in (400, 403)


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_B3_C26_the_exact_body(server: str) -> None:
    with running(SERVERS[server], show_address="no") as port:
        scenarios.see_the_exact_body(partial(ask, port))


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "granian"])
def test_U1_U6_U7_U8_U9_U10_U11_the_order_and_the_answer_of_unkey(server: str) -> None:
    with running(SERVERS[server], preset="unkey", **OPTIONS.get(server, {})) as port:
        scenarios.see_the_answer_of_unkey(partial(ask, port))
        scenarios.see_the_order_of_unkey(partial(ask, port))


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_request_without_a_key_passes_where_that_was_said(server: str) -> None:
    with running(SERVERS[server], without_key="pass") as port:
        assert ask(port, None, AT_AWAY).body == b'{"address": null, "reason": null}'
        assert ask(port, "key_1", AT_AWAY).status == 403


def test_C23_server_that_rewrote_the_peer_is_refused() -> None:
    with running([word for word in SERVERS["uvicorn"] if word != "--no-proxy-headers"]) as port:
        assert ask(port, "key_1", AT_HOME).status == 503


def test_C23_server_that_may_take_an_underscore_for_a_dash_is_refused() -> None:
    with running(["granian", "--interface=wsgi", "--host=127.0.0.1", "--port={port}", WSGI]) as port:
        for lines in ([f"X_Forwarded_For: {HOME}"], [AT_HOME], []):
            assert ask(port, "key_1", *lines).status == 503


def test_C23_coroutine_functions_are_no_way_in_where_nobody_waits() -> None:
    with running(SERVERS["gunicorn"], wait="1") as port:
        assert ask(port, "key_1", AT_HOME).status == 503


# Django REST framework


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_B2_B5_B6_B7_B8_B28_permission_of_rest_framework(server: str) -> None:
    with running(SERVERS[server], face="drf") as port:
        scenarios.see_who_is_judged(partial(ask, port))
        for line in (AT_HOME, AT_AWAY, "X-Forwarded-For: junk"):
            assert ask(port, None, line).status == 401
            assert ask(port, "nobody", line).status == 401
            refused = ask(port, "no_scope", line)
            assert (refused.status, b"IP_NOT_ALLOWED" in refused.body) == (403, False)
        assert ask(port, "raises", AT_HOME).status == 500
        for path in ("/turned", "/either"):
            assert ask(port, "key_1", AT_AWAY, path=path).status == 403
        assert ask(port, "key_1", AT_HOME, path="/either").status == 200
        assert ask(port, "key_1", AT_HOME, path="/turned").status == 403


def test_U1_U6_U7_U8_U9_U10_U11_permission_of_rest_framework() -> None:
    with running(SERVERS["gunicorn"], face="drf", preset="unkey") as port:
        scenarios.see_the_answer_of_unkey(partial(ask, port))
        assert ask(port, "expired", AT_HOME).status == ask(port, "expired", AT_AWAY).status == 401
        assert json.loads(ask(port, "no_permission", AT_AWAY).body)["data"]["code"] == "FORBIDDEN"
        refused = ask(port, "no_permission", AT_HOME)
        assert (refused.status, b"FORBIDDEN" in refused.body) == (403, False)
        for _ in range(5):
            assert ask(port, "key_1", AT_AWAY).status == 403
        assert [ask(port, "key_1", AT_HOME).status for _ in range(4)] == [200, 200, 429, 429]


def test_permission_without_its_handler_has_the_right_status() -> None:
    handler = "rest_framework.views.exception_handler"
    with running(SERVERS["gunicorn"], face="drf", handler=handler) as port:
        denied = ask(port, "key_1", AT_AWAY)
        assert (denied.status, denied.body) == (403, b'{"detail":"the request is not allowed"}')
        assert ask(port, None, AT_HOME).status == 401
    with running(SERVERS["gunicorn"], face="drf", without_key="pass") as port:
        assert ask(port, None, AT_AWAY).status == 200


# The setting


WHOLE: dict[str, Any] = {"guard": "tests.gateways.django_app.guard", "key": "tests.gateways.django_app.key_of"}


@pytest.mark.parametrize(
    "setting",
    [
        None, {}, "guard", {"guard": WHOLE["guard"]}, {"key": WHOLE["key"]}, {**WHOLE, "unknown": 1},
        {**WHOLE, "guard": "no.such.module"}, {**WHOLE, "guard": "tests.gateways.django_app.none"},
        {**WHOLE, "guard": WHOLE["key"]}, {**WHOLE, "key": WHOLE["guard"]}, {**WHOLE, "without_key": "allow"},
        {**WHOLE, "drops_underscores": "yes"}, {**WHOLE, "steps": {}}, {**WHOLE, "steps": {"authenticate": None}},
        {**WHOLE, "steps": {"authenticate": None, "scope": WHOLE["guard"]}}, {**WHOLE, "steps": "scope"},
        {**WHOLE, "steps": {"authenticate": None, "scope": None, "quota": None}},
    ],
)  # fmt: skip
def test_setting_is_checked_at_start(setting: Any) -> None:
    with override_settings(CIDRMATCH=setting), pytest.raises(ImproperlyConfigured, match="CIDRMATCH"):
        face.AllowListMiddleware(lambda request: HttpResponse())
    with override_settings(CIDRMATCH=WHOLE):
        face.AllowListMiddleware(lambda request: HttpResponse())


def manage(setting: str) -> subprocess.CompletedProcess[str]:
    """Run the checks of a project with this setting."""
    text = f"""
import django
from django.conf import settings
from django.core.management import call_command
settings.configure(INSTALLED_APPS=["cidrmatch.gateways.django.AllowListConfig"], CIDRMATCH={setting})
django.setup()
call_command("check")
"""
    return subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)


def test_setting_is_checked_by_manage_check() -> None:
    wrong = manage("{'guard': 'no.such.module', 'key': 'len'}")
    assert wrong.returncode != 0
    assert "cidrmatch.E001" in wrong.stderr
    right = manage(
        "{'guard': __import__('tests.gateways.host', fromlist=['host']).build_guard(), 'key': 'builtins.repr'}"
    )
    assert (right.returncode, "no issues" in right.stdout) == (0, True), right.stderr


def test_decision_is_at_the_request_and_nowhere_else() -> None:
    engine = Engine(presets.bitbybit())
    engine.put_key("key_1", ["127.0.0.1"])
    setting = {"guard": Guard(engine, PeerAddress()), "key": lambda request: request.GET.get("key")}
    seen: list[Any] = []

    def view(request: Any) -> HttpResponse:
        seen.append(face.decision_of(request))
        return HttpResponse()

    async def view_async(request: Any) -> HttpResponse:
        return view(request)

    with override_settings(CIDRMATCH=setting):
        answer: Any = face.AllowListMiddleware(view)(RequestFactory().get("/?key=key_1"))
        assert (answer.status_code, seen[0].address) == (200, "127.0.0.1")
        middleware: Any = face.AllowListMiddleware(view_async)
        request = AsyncRequestFactory().get("/?key=key_1")
        answer = asyncio.run(middleware(request))
        assert answer.status_code == 503, "Django's own client has port 0, as a rewritten peer has"
        scope: Any = request.scope
        scope["client"] = ("127.0.0.1", 4711)
        answer = asyncio.run(middleware(request))
        assert (answer.status_code, seen[1].address) == (200, "127.0.0.1")
        denied = RequestFactory().get("/?key=key_1", REMOTE_ADDR=AWAY)
        answer = face.AllowListMiddleware(view)(denied)
        assert (answer.status_code, answer["Content-Type"], len(seen)) == (403, "application/json", 2)
        with pytest.raises(LookupError):
            face.decision_of(denied)
        denied.__dict__["cidrmatch"] = "forged"
        with pytest.raises(LookupError):
            face.decision_of(denied)


def test_response_of_the_host_is_sent_as_it_is() -> None:
    response = face.render(Response(418, (("content-type", "text/plain"), ("x-host", "1")), b"no"))
    assert (response.status_code, response.content, response["X-Host"]) == (418, b"no", "1")
    assert django_app.guard.counts() is not None


@pytest.mark.parametrize("number", [0, 1])
def test_lines_of_the_page_work(number: int, tmp_path: Path) -> None:
    words = ["gunicorn", "--bind=127.0.0.1:{port}", "page_django:application"]
    with running(words, **write_page("django", tmp_path, number)) as port:
        scenarios.see_the_page(partial(ask, port))
