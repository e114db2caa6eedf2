"""The guard as a permission of Django REST framework: it is asked after authentication and before the throttles.

    authentication --> permission_classes: [HasScope, AllowListPermission] --> throttles --> the view
    401                                               |
                                                      '--> NotAllowed --> exception_handler: the product's answer

The setting CIDRMATCH is described in `django.py`.  Its key function gets the request of rest_framework, which has
`user` and `auth`.  Use this permission or the middleware, not both.

If REST_FRAMEWORK names the handler below, the answer has the product's form.  Without the handler the status is the
same, but the form is that of rest_framework:

    REST_FRAMEWORK = {"EXCEPTION_HANDLER": "cidrmatch.gateways.drf.exception_handler"}

Source: B7, B8, U9, U10.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from rest_framework import views
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission

from .django import build_face, keep_answer, leave_decision, render

if TYPE_CHECKING:
    from django.http import HttpResponse
    from rest_framework.request import Request

    from .._keys import Response

__all__ = ["AllowListPermission", "NotAllowed", "exception_handler"]


class NotAllowed(APIException):
    """A request was denied; `response` is what its client is told."""

    def __init__(self, response: Response) -> None:
        super().__init__("the request is not allowed", "not_allowed")
        self.status_code = response.status
        self.response = response


_face = cache(build_face)


class AllowListPermission(BasePermission):
    """Let a request pass if its key may be used from the client's address."""

    def has_permission(self, request: Request, view: views.APIView) -> bool:  # noqa: ARG002  as rest_framework calls it
        """Return True if a request passes.  A denial is an exception, so that `~` cannot turn it into True.

        Raises:
            NotAllowed: the request is denied.
        """
        answer = _face().decide(request)
        keep_answer(getattr(request, "_request", request), answer)
        if answer.refusal is not None:
            raise NotAllowed(answer.refusal)
        leave_decision(request, answer)
        leave_decision(getattr(request, "_request", request), answer)
        return True


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer a denial in the form of the product; leave all else to rest_framework."""
    response = views.exception_handler(exc, context)
    return render(exc.response) if isinstance(exc, NotAllowed) else response
