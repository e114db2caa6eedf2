"""The guard as an extension of Flask: it is asked before each request, after the checks that were registered before it.

    before_request: the host's authentication --> AllowListExtension.check --> the host's others --> the view
                                                       '--denied--> the product's answer

The peer is REMOTE_ADDR in the environ.  werkzeug's ProxyFix changes REMOTE_ADDR, and leaves the old peer in the
environ.  The guard notices this and denies, because otherwise a header would be trusted twice.

Source: B2, B7, B8, U7, U9 to U11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Request, Response, g, request

from . import wsgi
from .face import Face
from .guard import let_through

if TYPE_CHECKING:
    from flask import Flask

    from .face import Steps
    from .guard import Guard, GuardDecision

__all__ = ["AllowListExtension", "decision_of_request"]

STATE = "cidrmatch"
"""The name of the decision in `flask.g`, and of the extension in `app.extensions`."""


class AllowListExtension:
    """AllowListExtension(app, guard=..., key=...): let a request pass if its key may be used from the client's address.

    Args:
        app: the application; or None, and then the host calls `init_app` later.
        guard: a `Guard`.
        key: gets the request and gives the id of its key, or None if it has no key.  It is the host's authentication,
            so it must check a key before it gives the id.
        without_key: "deny" answers a request without a key with 401; "pass" lets it pass, and the guard is not asked.
        steps: the host's other checks.  It maps names of the policy's pipeline to functions of the request and the
            key's id; see `Face`.
        drops_underscores: as for the middleware of `wsgi.py`.
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        guard: Guard,
        key: Callable[[Request], str | None],
        without_key: str = "deny",
        steps: Steps | None = None,
        drops_underscores: bool = False,
    ) -> None:
        origin_of = wsgi.origin_by(guard, drops_underscores)
        self._face = Face[Request](
            guard, key, lambda asked: origin_of(asked.environ), without_key=without_key, steps=steps
        )
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Guard every request of an application, after the `before_request` functions that it already has."""
        app.extensions[STATE] = self
        app.before_request(self.check)

    def check(self) -> Response | None:
        """Answer the current request if it is denied; to guard only a blueprint, pass this to its `before_request`."""
        asked = request._get_current_object()  # type: ignore[attr-defined]  # a proxy has it
        answer = self._face.decide(asked)
        wsgi.keep_answer(asked.environ, answer)
        if answer.refusal is not None:
            told = answer.refusal
            return Response(told.body, told.status, list(told.headers))
        if answer.found is not None:
            setattr(g, STATE, answer.found)
        return None


def decision_of_request() -> GuardDecision:
    """Give the decision by which the current request passed; `flask.g.cidrmatch` is the same.

    Raises:
        LookupError: no guard was asked about it, for instance because it passed without a key.
    """
    return let_through(g.get(STATE))
