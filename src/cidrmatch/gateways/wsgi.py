"""The guard in front of a WSGI application: Flask, Django, Bottle, or none of them.

    server --environ--> AllowListMiddleware --allowed--> the application, the decision in environ["cidrmatch.decision"]
                              '--denied--> the product's answer

WSGI has a trap of its own.  Header names become variables, and `X-Forwarded-For` and `X_Forwarded_For` become one, so
a client that sends the second adds to what the proxy says in the first.  Servers drop such names or join them, by a
setting (gunicorn: `header_map = "drop"`, the default since 22.0).  Whoever believes a header has to know which.

A middleware may have rewritten the peer already, such as werkzeug's ProxyFix.  It leaves the old value in the environ,
and the guard denies then, for a header would be believed twice.

Source: PEP 3333; B2, B7, U7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from .guard import Guard, GuardDecision, check_face

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

__all__ = ["AllowListMiddleware", "decision_of"]

Environ: TypeAlias = dict[str, Any]

STATE = "cidrmatch.decision"
"""The name of the decision in the environ."""
_REWRITTEN = ("werkzeug.proxy_fix.orig",)
"""What middleware leaves behind that has rewritten the peer."""
_PHRASES = {401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}


class RewrittenPeerError(RuntimeError):
    """A middleware put another address in the place of the peer's."""


class AllowListMiddleware:
    """AllowListMiddleware(app, guard=..., key=...): let a request through if its key may be used from where it comes.

    Args:
        app: the application behind it.
        guard: a `Guard`.
        key: gives the id of the request's key by its environ, or None where it has none.  It is the host's
            authentication, so it must not take a key that it did not check.
        without_key: "deny" answers a request without a key by 401; "pass" hands it to the application unasked.
    Raises:
        TypeError, ValueError: an argument is of another kind.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        guard: Guard,
        key: Callable[[Environ], str | None],
        without_key: str = "deny",
    ) -> None:
        self._passes_without_key = check_face(guard, key, without_key)
        self.app = app
        self.guard = guard
        self._key = key

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        found = self._decide(environ)
        if found is None or found.allowed:
            if found is not None:
                environ[STATE] = found
            return self.app(environ, start_response)
        response = found.response()
        status = f"{response.status} {_PHRASES.get(response.status, 'Denied')}"
        start_response(status, list(response.headers))
        return [response.body]

    def _decide(self, environ: Environ) -> GuardDecision | None:
        """Ask the guard; None where a request without a key passes."""
        try:
            for name in _REWRITTEN:
                if name in environ:
                    raise RewrittenPeerError(
                        f"a middleware rewrote the peer ({name}); the guard reads the header itself"
                    )
            key = self._key(environ)
            peer = environ.get("REMOTE_ADDR") or None
            headers = list(headers_of(environ))
        except Exception as error:  # whatever it is, nobody gets in by it
            return self.guard.fail(error)
        if key is None and self._passes_without_key:
            return None
        return self.guard.check(key, peer, headers)


def headers_of(environ: Environ) -> Iterator[tuple[str, str]]:
    """Yield the headers of an environ, each name once: what came in several lines the server has joined."""
    for name, value in environ.items():
        if name.startswith("HTTP_") and isinstance(value, str):
            yield name[5:].replace("_", "-").lower(), value


def decision_of(environ: Environ) -> GuardDecision:
    """Give the decision that let a request through.

    Raises:
        LookupError: no guard stands in front, or the request passed without a key.
    """
    found = environ.get(STATE)
    if not isinstance(found, GuardDecision):
        raise LookupError("no guard has decided about this request")
    return found
