"""The guard as an extension of Flask: asked before each request, in the order in which the host registers its checks.

    before_request: the host's authentication --> AllowListExtension.check --> the host's others --> the view
                                                       '--denied--> the product's answer

The peer is REMOTE_ADDR in the environ, and werkzeug's ProxyFix is noticed: it leaves the old peer there, and the guard
denies then, for a header would be believed twice.

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
    """AllowListExtension(app, guard=..., key=...): let a request through if its key may be used from where it comes.

    Args:
        app: the application; or None, and `init_app` is called later.
        guard: a `Guard`.
        key: gives the id of the request's key by the request, or None where it has none.  It is the host's
            authentication, so it must not take a key that it did not check.
        without_key: "deny" answers a request without a key by 401; "pass" lets it through unasked.
        steps: the host's other checks by the names of the policy's pipeline, functions of the request and the key's
            id; see `Face`.
        drops_underscores: as for the middleware of `wsgi.py`.
    Raises:
        TypeError, ValueError: an argument is of another kind.
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
        """Guard every request of an application, behind what it asks before a request already."""
        app.extensions[STATE] = self
        app.before_request(self.check)

    def check(self) -> Response | None:
        """Answer the current request if it is denied; for `before_request` of a blueprint, where not all is guarded."""
        asked = request._get_current_object()  # type: ignore[attr-defined]  # a proxy has it
        answer = self._face.decide(asked)
        if answer.refusal is not None:
            told = answer.refusal
            return Response(told.body, told.status, list(told.headers))
        if answer.found is not None:
            setattr(g, STATE, answer.found)
        return None


def decision_of_request() -> GuardDecision:
    """Give the decision that let the current request through, which is `flask.g.cidrmatch`, too.

    Raises:
        LookupError: no guard stands in front, or the request passed without a key.
    """
    return let_through(g.get(STATE))
