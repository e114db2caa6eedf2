"""The guard as an extension of Flask, behind real servers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from cidrmatch.gateways.flask import AllowListExtension, decision_of_request
from tests.gateways import host, scenarios
from tests.gateways.pages import write_page
from tests.gateways.scenarios import AT_AWAY, AT_HOME, HOME
from tests.gateways.serving import ask, running

APP = "tests.gateways.flask_app:app"
GUNICORN = ["gunicorn", "--bind=127.0.0.1:{port}", APP]
SERVERS = {
    "gunicorn": GUNICORN,
    "waitress": ["waitress", "--no-clear-untrusted-proxy-headers", "--listen=127.0.0.1:{port}", APP],
    "werkzeug": ["flask", "--app=tests.gateways.flask_app:app", "run", "--port={port}"],
}


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest) -> Iterator[int | str]:
    with running(SERVERS[request.param]) as found:
        yield found


def test_B2_B5_B6_B28_who_is_judged(port: int | str) -> None:
    scenarios.see_who_is_judged(partial(ask, port))
    assert ask(port, "key_1", AT_HOME, path="/no_such_page").status == 404
    assert ask(port, "key_1", AT_AWAY, path="/no_such_page").status == 403
    assert ask(port, "key_1", f"X_Forwarded_For: {HOME}").status in (400, 403)


def test_B2_the_headers_of_a_denial(port: int | str) -> None:
    scenarios.see_the_headers(port)


def test_B7_B8_authentication_and_scope_come_first(port: int | str) -> None:
    scenarios.see_authentication_first(partial(ask, port))


def test_C23_what_the_host_raises_lets_nobody_in(port: int | str) -> None:
    scenarios.see_errors_deny(partial(ask, port))
    assert ask(port, "aborts", AT_HOME).status == 503


def test_B3_C26_the_exact_body() -> None:
    with running(GUNICORN, show_address="no") as port:
        scenarios.see_the_exact_body(partial(ask, port))


def test_U1_U6_U7_U8_U9_U10_U11_the_order_and_the_answer_of_unkey() -> None:
    with running(GUNICORN, preset="unkey") as port:
        scenarios.see_the_answer_of_unkey(partial(ask, port))
        scenarios.see_the_order_of_unkey(partial(ask, port))


def test_request_without_a_key_passes_where_that_was_said() -> None:
    with running(GUNICORN, without_key="pass") as port:
        assert ask(port, None, AT_AWAY).status == 200
        assert ask(port, None, AT_AWAY).reason is None
        assert ask(port, "key_1", AT_AWAY).status == 403


@pytest.mark.parametrize("strategy", ["proxies", "peer"])
def test_C23_ProxyFix_is_noticed(strategy: str) -> None:
    with running(GUNICORN, proxyfix="1", strategy=strategy) as port:
        for lines in ([AT_HOME], [AT_AWAY]):
            assert ask(port, "key_1", *lines).status == 503
        assert ask(port, "local", "X-Forwarded-For: 127.0.0.1").status == 503


def test_C23_server_that_may_take_an_underscore_for_a_dash_is_refused() -> None:
    with running(["granian", "--interface=wsgi", "--host=127.0.0.1", "--port={port}", APP]) as port:
        for lines in ([f"X_Forwarded_For: {HOME}"], [AT_HOME], []):
            assert ask(port, "key_1", *lines).status == 503


def test_blueprint_may_be_guarded_alone() -> None:
    with running([word.replace(":app", ":parts") for word in GUNICORN]) as port:
        assert ask(port, "key_1", AT_AWAY).status == 200
        assert ask(port, "key_1", AT_AWAY, path="/inside").status == 403
        assert ask(port, "key_1", AT_HOME, path="/inside").address == HOME


def key_of(request: Any) -> str | None:
    return None


@pytest.mark.parametrize(
    "arguments",
    [{"guard": None}, {"key": "x-api-key"}, {"without_key": "allow"}, {"drops_underscores": 1}, {"steps": {}}],
)
def test_extension_is_made_of_what_it_says(arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        AllowListExtension(**{"guard": host.build_guard(), "key": key_of, **arguments})


def test_extension_is_at_the_application() -> None:
    app = Flask(__name__)
    extension = AllowListExtension(app, guard=host.build_guard(), key=key_of)
    assert app.extensions["cidrmatch"] is extension
    with app.test_request_context("/"):
        response = app.preprocess_request()
        assert response is not None
        assert getattr(response, "status_code", None) == 503, "no server said that it drops underscores"
        with pytest.raises(LookupError):
            decision_of_request()


def test_lines_of_the_page_work(tmp_path: Path) -> None:
    with running(["gunicorn", "--bind=127.0.0.1:{port}", "page_flask:app"], **write_page("flask", tmp_path)) as port:
        scenarios.see_the_page(partial(ask, port))
