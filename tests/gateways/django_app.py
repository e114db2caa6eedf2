"""A service of Django: the guard is a middleware, or (FACE=drf) a permission of Django REST framework.

WAIT=1 makes coroutine functions of the host's checks.
"""

from __future__ import annotations

import os
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from cidrmatch.gateways.django import decision_of
from tests.gateways import host

DRF = os.environ.get("FACE") == "drf"
guard = host.build_guard()
steps = {name: host.waiting(step) if os.environ.get("WAIT") else step for name, step in host.STEPS[host.PRESET].items()}


def key_of(request: Any) -> str | None:
    return request.auth if DRF else host.known(request.headers.get("X-API-Key"))


async def key_of_waiting(request: HttpRequest) -> str | None:
    return key_of(request)


def index(request: HttpRequest) -> HttpResponse:
    found: Any = getattr(request, "cidrmatch", None)
    assert found is None or decision_of(request) is found
    return JsonResponse(host.said(found))


async def index_async(request: HttpRequest) -> HttpResponse:
    return index(request)


if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="of the tests",
        ROOT_URLCONF="tests.gateways.django_drf" if DRF else __name__,
        INSTALLED_APPS=["rest_framework"] if DRF else [],
        MIDDLEWARE=[] if DRF else ["cidrmatch.gateways.django.AllowListMiddleware"],
        SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
        USE_X_FORWARDED_HOST=True,
        USE_X_FORWARDED_PORT=True,
        CIDRMATCH={
            "guard": f"{__name__}.guard",
            "key": f"{__name__}.{'key_of_waiting' if os.environ.get('WAIT') else 'key_of'}",
            "without_key": os.environ.get("WITHOUT_KEY", "deny"),
            **({} if DRF else {"steps": steps}),
        },
        REST_FRAMEWORK={
            "EXCEPTION_HANDLER": os.environ.get("HANDLER", "cidrmatch.gateways.drf.exception_handler"),
            "UNAUTHENTICATED_USER": None,
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        },
    )
    django.setup()
urlpatterns = [path("", index), path("async", index_async)]
wsgi_app = get_wsgi_application()
asgi_app = get_asgi_application()
