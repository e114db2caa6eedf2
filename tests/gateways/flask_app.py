"""A service of Flask: the guard is asked before each request, or (PROXYFIX=1) behind a middleware that must go."""

from __future__ import annotations

import os

from flask import Blueprint, Flask, Request, g
from werkzeug.exceptions import Unauthorized
from werkzeug.middleware.proxy_fix import ProxyFix

from cidrmatch.gateways.flask import AllowListExtension, decision_of_request
from tests.gateways import host


def key_of(request: Request) -> str | None:
    if request.headers.get("X-API-Key") == "aborts":
        raise Unauthorized
    return host.known(request.headers.get("X-API-Key"))


guard = host.build_guard()
extension = AllowListExtension(
    guard=guard, key=key_of, steps=host.STEPS[host.PRESET], without_key=os.environ.get("WITHOUT_KEY", "deny")
)
app = Flask(__name__)
parts = Flask(__name__)
"""An application of which one blueprint alone is guarded."""


@app.get("/")
def index() -> dict[str, object]:
    found = g.get("cidrmatch")
    assert found is None or decision_of_request() is found
    return host.said(found)


inside = Blueprint("inside", __name__)
inside.before_request(extension.check)
inside.get("/inside")(index)
parts.get("/")(index)
parts.register_blueprint(inside)

extension.init_app(app)
if os.environ.get("PROXYFIX"):
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]  # as its page says
