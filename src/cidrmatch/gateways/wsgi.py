"""The guard in front of a WSGI application: Flask, Django, Bottle, or none of them.

    server --environ--> AllowListMiddleware --allowed--> the application, the decision in environ["cidrmatch.decision"]
                              '--denied--> the product's answer

WSGI has a trap of its own.  Header names become variables, and `X-Forwarded-For` and `X_Forwarded_For` become one, so a
client that sends the second says what only the proxy may say.  gunicorn (from 22.0), waitress and werkzeug drop such
names; granian and `wsgiref` do not.  The guard therefore reads a header only under a server that is known to drop them,
or where the host says that they are dropped.

The strategies of this library read one header at most, so they are handed its one variable.  A strategy of the host's
own is handed all headers.

A middleware may have rewritten the peer already, such as werkzeug's ProxyFix.  It leaves the old value in the environ,
and the guard denies then, for a header would be believed twice.

Source: PEP 3333; B2, B7, U7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from ..client import UNKNOWN_PEER, PeerAddress, SingleHeader, TrustedHops, TrustedProxies
from ..errors import CidrmatchError
from ..policy.checks import check_switches
from .face import Face
from .guard import let_through
from .usage import KEPT, Kept, check_sink

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

    from ..client import Headers
    from .face import Answer, Origin, Steps
    from .guard import Guard, GuardDecision
    from .usage import UsageSink

__all__ = [
    "STATE",
    "AllowListMiddleware",
    "Environ",
    "RewrittenPeerError",
    "UnderscoreError",
    "UsageMiddleware",
    "decision_of",
    "headers_of",
    "keep_answer",
    "origin_by",
]

Environ: TypeAlias = dict[str, Any]

STATE = "cidrmatch.decision"
"""The name of the decision in the environ."""
_DROPPING = ("gunicorn", "waitress", "Werkzeug")
"""How the `SERVER_SOFTWARE` of servers begins that drop header names with underscores."""
_REWRITTEN = ("werkzeug.proxy_fix.orig",)
"""What middleware leaves behind that has rewritten the peer."""
_READING_ONE = (TrustedProxies, TrustedHops, SingleHeader)
"""The strategies that read one header, and say by `header` which."""
_PHRASES = {401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}


class RewrittenPeerError(CidrmatchError):
    """A middleware put another address in the place of the peer's."""


class UnderscoreError(CidrmatchError):
    """Nobody said that the server drops header names with underscores."""


class AllowListMiddleware:
    """AllowListMiddleware(app, guard=..., key=...): let a request through if its key may be used from where it comes.

    Args:
        app: the application behind it.
        guard: a `Guard`.
        key: gives the id of the request's key by its environ, or None where it has none.  It is the host's
            authentication, so it must not take a key that it did not check.
        without_key: "deny" answers a request without a key by 401; "pass" hands it to the application unasked.
        drops_underscores: True says that the server, or every proxy in front, drops header names with underscores.
            Needed for servers that are not known to do so, where the strategy reads a header.
        steps: the host's other checks by the names of the policy's pipeline, functions of the environ and the key's
            id; see `Face`.
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
        drops_underscores: bool = False,
        steps: Steps | None = None,
    ) -> None:
        origin = origin_by(guard, drops_underscores)
        self._face = Face(guard, key, origin, without_key=without_key, steps=steps)
        self.app = app
        self.guard = guard

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        answer = self._face.decide(environ)
        keep_answer(environ, answer)
        response = answer.refusal
        if response is None:
            if answer.found is not None:
                environ[STATE] = answer.found
            return self.app(environ, start_response)
        status = f"{response.status} {_PHRASES.get(response.status, 'Denied')}"
        start_response(status, list(response.headers))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [response.body]  # waitress would send it


class UsageMiddleware:
    """UsageMiddleware(app, usage=log): note every request in a usage log when its response has been sent.

    It stands outside of everything that may answer a request: app = UsageMiddleware(AllowListMiddleware(...), ...).

    Args:
        app: the application, with its guard.
        usage: a `UsageLog`; see `UsageSink`.
        request_id: the header with the request's id, or None.
    Raises:
        TypeError: `usage` takes no notes.
    """

    def __init__(self, app: WSGIApplication, *, usage: UsageSink, request_id: str | None = "x-request-id") -> None:
        check_sink(usage)
        self.app = app
        self._usage = usage
        self._variable = "" if request_id is None else "HTTP_" + request_id.upper().replace("-", "_")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1", "replace")
        named = environ.get(self._variable)
        kept = Kept(self._usage, environ.get("REQUEST_METHOD"), path.decode("utf-8", "surrogateescape"), named)
        environ[KEPT] = kept

        def watch(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            kept.status = int(status[:3])
            return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

        try:
            return _Body(self.app(environ, watch), kept)
        except Exception:
            kept.status = kept.status or 500  # the server answers so
            kept.note()
            raise


class _Body:
    """The body of a response; its request is noted when the server closes it, as PEP 3333 says."""

    def __init__(self, body: Iterable[bytes], kept: Kept) -> None:
        self._body = body
        self._kept = kept

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._kept.note()


def keep_answer(environ: Environ, answer: Answer) -> None:
    """Keep a face's answer for the usage log, if there is one."""
    kept = environ.get(KEPT)
    if kept is not None:
        kept.answer = answer


def origin_by(guard: Guard, drops_underscores: bool) -> Callable[[Environ], Origin]:
    """Make the function that gives the peer of an environ, and those headers that the guard's strategy reads.

    Args:
        guard: where its strategy reads no header, no header can be mistaken.
        drops_underscores: as for `AllowListMiddleware`.
    Raises:
        TypeError: `drops_underscores` is not True or False.  The function raises `RewrittenPeerError` where a
            middleware rewrote the peer, and `UnderscoreError` where one header may be taken for another.
    """
    check_switches(drops_underscores=drops_underscores)
    client = getattr(guard, "client", None)
    is_clear = drops_underscores or type(client) is PeerAddress  # a host's own may inherit from it, and read headers
    find_headers = _headers_for(client)

    def origin_of(environ: Environ) -> Origin:
        for name in _REWRITTEN:
            if name in environ:
                raise RewrittenPeerError(f"a middleware rewrote the peer ({name}); the guard reads the header itself")
        if not (is_clear or str(environ.get("SERVER_SOFTWARE", "")).startswith(_DROPPING)):
            raise UnderscoreError(
                "this server may take X_Forwarded_For for X-Forwarded-For; see that it drops header names with"
                " underscores, and say drops_underscores=True"
            )
        peer = environ.get("REMOTE_ADDR")  # gunicorn gives "" on a UNIX socket; nothing at all proves no socket
        return UNKNOWN_PEER if peer is None else peer, find_headers(environ)

    return origin_of


def _headers_for(client: object) -> Callable[[Environ], Headers]:
    """Make the function that gives the headers of an environ that a strategy reads; a host's own may read any."""
    kind = type(client)
    if kind is PeerAddress:
        return lambda _environ: ()
    if not isinstance(client, _READING_ONE) or kind not in _READING_ONE:
        return lambda environ: list(headers_of(environ))
    variable = "HTTP_" + client.header.upper().replace("-", "_")
    name = _name_of(variable)  # not the strategy's, where that has an underscore: such a header never comes

    def find_one(environ: Environ) -> Headers:
        value = environ.get(variable)
        return [(name, value)] if isinstance(value, str) else []

    return find_one


def headers_of(environ: Environ) -> Iterator[tuple[str, str]]:
    """Yield the headers of an environ, each name once: what came in several lines the server has joined."""
    for variable, value in environ.items():
        if variable.startswith("HTTP_") and isinstance(value, str):
            yield _name_of(variable), value


def _name_of(variable: str) -> str:
    """Give the name of the header that a server puts into a variable."""
    return variable[5:].replace("_", "-").lower()


def decision_of(environ: Environ) -> GuardDecision:
    """Give the decision that let a request through.

    Raises:
        LookupError: no guard stands in front, or the request passed without a key.
    """
    return let_through(environ.get(STATE))
