"""The host's checks as Django REST framework has them: authentication, permissions, throttles."""

from __future__ import annotations

from typing import Any

from django.urls import path
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from cidrmatch.gateways.django import decision_of
from cidrmatch.gateways.drf import AllowListPermission
from tests.gateways import host


class Keys(BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[Any, str] | None:
        given = request.headers.get("X-API-Key")
        if given is None:
            return None
        key = host.known(given)
        if key is None or (host.PRESET == "unkey" and host.validity(request, key) is not True):
            raise AuthenticationFailed
        return None, key

    def authenticate_header(self, request: Any) -> str:
        return "ApiKey"


class HasScope(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return host.PRESET == "unkey" or request.auth is None or host.scope(request, request.auth) is True


class HasPermission(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return host.PRESET == "bitbybit" or request.auth is None or host.permissions(request, request.auth) is True


class Quota(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        return host.PRESET == "bitbybit" or host.ratelimit(request, request.auth) is True


class Index(APIView):
    authentication_classes = (Keys,)
    permission_classes: Any = (HasScope, AllowListPermission, HasPermission)
    throttle_classes = (Quota,)

    def get(self, request: Any) -> Response:
        assert request.auth is None or decision_of(request) is request.cidrmatch
        return Response(host.said(vars(request._request).get("cidrmatch")))


class Turned(Index):
    permission_classes = (~AllowListPermission,)


class Either(Index):
    permission_classes = (AllowListPermission | HasScope,)


urlpatterns = [path("", Index.as_view()), path("turned", Turned.as_view()), path("either", Either.as_view())]
