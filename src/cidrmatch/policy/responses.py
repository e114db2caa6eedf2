"""Rendering denials: what a client is told when its request is denied, in each product's own form.

A renderer makes a `Response` from a `Decision` alone.  Two products prescribe
the body.  All other responses are problems by RFC 9457:

    renderer   the address is refused          the key is unknown
    bitbybit   403 IP_NOT_ALLOWED (B2, B3)     401 problem
    unkey      403 FORBIDDEN, keyId (U7, U8)   401 problem
    problem    403 problem                     401 problem

A product's code is not the same as a `Reason` of this library.  The reason goes
to the log, and into the `reason` member of a problem, never into a product's
prescribed body (C13).  The address is shown only with `show_address=True`
(C26).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .._keys import Reason, Response

if TYPE_CHECKING:
    from .._keys import Decision

__all__ = ["RENDERERS", "Response", "json_response", "render"]

Renderer = Callable[["Decision", bool], "Response"]


def render(decision: Decision, *, show_address: bool = False) -> Response:
    """Render a denial in the form of the decision's policy.

    Args:
        decision: a decision that denied.
        show_address: whether the body may name the address that was judged.
    Raises:
        ValueError: the decision allowed the request.
    Source: B2, B3, U7, U8; C12, C13, C26; RFC 9457.
    """
    if decision.allowed:
        raise ValueError("the request was allowed; there is nothing to refuse")
    name = "problem" if decision.reason is Reason.UNKNOWN_KEY else decision.policy.keys.response
    return RENDERERS[name](decision, show_address)


def json_response(status: int, content_type: str, body: dict[str, object]) -> Response:
    """Make a response of plain values, which nobody keeps."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    headers = (("content-type", content_type), ("content-length", str(len(text))), ("cache-control", "no-store"))
    return Response(status, headers, text)


def _problem(decision: Decision, show_address: bool) -> Response:
    """Render an RFC 9457 problem of no registered type: `type` is about:blank, `title` is that of the status."""
    status, title = (401, "Unauthorized") if decision.reason is Reason.UNKNOWN_KEY else (403, "Forbidden")
    body: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": decision.reason.text,
        "reason": str(decision.reason),
    }
    if show_address:
        body["address"] = decision.address
    return json_response(status, "application/problem+json", body)


def _bitbybit(decision: Decision, show_address: bool) -> Response:
    error: dict[str, object] = {
        "code": "IP_NOT_ALLOWED",
        "message": "Request IP address is not in the API key's allowlist",
    }
    if show_address:
        error["address"] = decision.address
    return json_response(403, "application/json", {"error": error})


def _unkey(decision: Decision, show_address: bool) -> Response:
    data: dict[str, object] = {"valid": False, "code": "FORBIDDEN", "keyId": decision.key}
    if show_address:
        data["address"] = decision.address
    return json_response(403, "application/json", {"data": data})


RENDERERS: Final[dict[str, Renderer]] = {"problem": _problem, "bitbybit": _bitbybit, "unkey": _unkey}
"""The renderers by the name that `KeyRules.response` holds."""
