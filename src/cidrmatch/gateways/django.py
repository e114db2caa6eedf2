"""The guard as a middleware of Django, for WSGI and ASGI; one setting, checked at start, describes it.

    MIDDLEWARE = [..., "cidrmatch.gateways.django.AllowListMiddleware"]
    CIDRMATCH = {"guard": "shop.access.guard", "key": "shop.access.key_of"}

    request --> AllowListMiddleware --allowed--> the view, the decision in request.cidrmatch
                        '--denied--> the product's answer

setting             what it is
guard               a `Guard`, or the dotted path of one
key                 a function that gives the id of a request's key, or its dotted path; under ASGI, may be a coroutine
without_key         "deny" (401), or "pass"
drops_underscores   as in `wsgi.py`; it is used under WSGI only
steps               the host's other checks: names of the policy's pipeline to functions, dotted paths or None

If the setting is wrong, `ImproperlyConfigured` is raised when the server loads the application.  `manage.py check`
reports the same error if "cidrmatch.gateways.django.AllowListConfig" is among the INSTALLED_APPS.

The peer is REMOTE_ADDR, as the server gave it.  SECURE_PROXY_SSL_HEADER and USE_X_FORWARDED_HOST do not change it.
Remove every middleware that writes another address there.  Under WSGI, the guard cannot notice such a middleware.

Source: B2, B7, B8, U7, U9 to U11.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from . import asgi, wsgi
from .face import Answer, Face, Origin
from .guard import let_through

if TYPE_CHECKING:
    from .._keys import Response
    from .guard import GuardDecision

__all__ = [
    "AllowListConfig",
    "AllowListMiddleware",
    "build_face",
    "decision_of",
    "keep_answer",
    "leave_decision",
    "render",
]

GetResponse: TypeAlias = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

STATE = "cidrmatch"
"""The attribute of a request that holds the guard's decision."""
_NEEDED = frozenset(("guard", "key"))
_NAMES = _NEEDED | {"without_key", "drops_underscores", "steps"}


class AllowListMiddleware:
    """Let a request pass if its key may be used from the client's address; the setting CIDRMATCH describes the guard.

    Raises:
        ImproperlyConfigured: the setting is wrong.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._face = build_face()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Handle one request."""
        if self._is_async:
            return self._wait_for(request)
        answer = self._face.decide(request)
        keep_answer(request, answer)
        if answer.refusal is not None:
            return render(answer.refusal)
        leave_decision(request, answer)
        return self.get_response(request)

    async def _wait_for(self, request: HttpRequest) -> HttpResponseBase:
        answer = await self._face.wait_for_decision(request)
        keep_answer(request, answer)
        if answer.refusal is not None:
            return render(answer.refusal)
        leave_decision(request, answer)
        return await cast("Awaitable[HttpResponseBase]", self.get_response(request))


class AllowListConfig(AppConfig):
    """An app whose check of the setting runs in `manage.py check`."""

    name = "cidrmatch.gateways.django"
    label = "cidrmatch"

    def ready(self) -> None:
        """Register the check."""
        checks.register(_check_setting, checks.Tags.security)


def _check_setting(**_: object) -> list[checks.CheckMessage]:
    try:
        build_face()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="cidrmatch.E001")]
    return []


def build_face() -> Face[Any]:
    """Make the face that the setting CIDRMATCH describes.

    Raises:
        ImproperlyConfigured: the setting is wrong.
    """
    try:
        given = getattr(settings, "CIDRMATCH", None)
        if not isinstance(given, Mapping) or not given.keys() >= _NEEDED or not given.keys() <= _NAMES:
            needed, others = (", ".join(sorted(names)) for names in (_NEEDED, _NAMES - _NEEDED))
            raise TypeError(f"it is a dictionary with {needed}, and perhaps {others}")
        guard = _found(given["guard"])
        steps = given.get("steps")
        of_environ = wsgi.origin_by(guard, given.get("drops_underscores", False))

        def origin_of(request: Any) -> Origin:
            request = getattr(request, "_request", request)  # a request of rest_framework holds one of Django
            return asgi.origin_of(request.scope) if isinstance(request, ASGIRequest) else of_environ(request.META)

        return Face(
            guard,
            _found(given["key"]),
            origin_of,
            without_key=given.get("without_key", "deny"),
            steps=None if steps is None else {name: _found(step) for name, step in steps.items()},
        )
    except Exception as error:
        raise ImproperlyConfigured(f"CIDRMATCH cannot be used: {error}") from error


def _found(value: Any) -> Any:
    """Import what a dotted path names; give any other value as it is."""
    return import_string(value) if isinstance(value, str) else value


def render(response: Response) -> HttpResponse:
    """Make a Django response."""
    return HttpResponse(response.body, status=response.status, headers=dict(response.headers))


def keep_answer(request: HttpRequest, answer: Answer) -> None:
    """Keep the answer for the usage log, if there is one, whose middleware stands outside of Django."""
    if isinstance(request, ASGIRequest):
        asgi.keep_answer(request.scope, answer)
    else:
        wsgi.keep_answer(request.META, answer)


def leave_decision(request: HttpRequest, answer: Answer) -> None:
    """Keep the guard's decision as an attribute of a request that passed."""
    if answer.found is not None:
        vars(request)[STATE] = answer.found


def decision_of(request: HttpRequest) -> GuardDecision:
    """Give the decision by which a request passed; `request.cidrmatch` is the same.

    Raises:
        LookupError: no guard was asked about it, for instance because it passed without a key.
    """
    return let_through(getattr(request, STATE, None))
