"""Answers for administrators: the error of an engine that refused a change becomes an HTTP response.

    raised by a change                                         status   reason
    PolicyError                                                422      policy; "problems" has each of them
    InvalidPrefix                                              422      invalid_prefix
    UnknownName                                                404      unknown_name
    NotPermitted                                               403      not_permitted
    AlreadyExists, Conflict, FeatureOff, InUse, LockOut        409      already_exists, conflict, ...
    every other EngineError                                    409      refused
    LockTimeout                                                503      lock_timeout

A refused change has changed nothing.  The answer has the form of RFC 9457.  The messages of `Conflict`, `LockTimeout`
and `NotPermitted` may name files or objects of the server, so other texts replace them.

Other errors get no answer here.  A snapshot that cannot be read is a fault of the server, and stays an error 500.

Threads: safe, keeps no state.
Source: RFC 9457; N13, B12, P1; C21, C22.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import (
    AlreadyExists,
    CidrmatchError,
    Conflict,
    EngineError,
    FeatureOff,
    InUse,
    InvalidPrefix,
    LockOut,
    LockTimeout,
    NotPermitted,
    PolicyError,
    UnknownName,
)
from .guard import refusal

if TYPE_CHECKING:
    from .._keys import Response

__all__ = ["REFUSED", "refused_change"]

REFUSED: Final = (PolicyError, InvalidPrefix, EngineError)
"""The errors that `refused_change` answers; use it to register an error handler with a framework."""

_ANSWERS: Final[dict[type[Exception], tuple[int, str]]] = {
    PolicyError: (422, "policy"),
    InvalidPrefix: (422, "invalid_prefix"),
    UnknownName: (404, "unknown_name"),
    NotPermitted: (403, "not_permitted"),
    AlreadyExists: (409, "already_exists"),
    Conflict: (409, "conflict"),
    FeatureOff: (409, "feature_off"),
    InUse: (409, "in_use"),
    LockOut: (409, "lock_out"),
    LockTimeout: (503, "lock_timeout"),
    EngineError: (409, "refused"),
}
_TITLES: Final = {
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    422: "Unprocessable Content",
    503: "Service Unavailable",
}
_INSTEAD: Final[dict[type[Exception], str]] = {
    Conflict: "somebody else changed the data first",
    LockTimeout: "another change is being made; try again",
    NotPermitted: "this change is not permitted",
}
"""The texts that replace error messages which are not for clients."""


def refused_change(error: CidrmatchError) -> Response:
    """Answer a change that an engine refused.

    Args:
        error: one of `REFUSED`.
    Returns:
        A `Response`.  For a `PolicyError` it has "problems", each as `Problem.to_dict` gives it.
    Raises:
        TypeError: the error is none of these.

    >>> from cidrmatch import Engine, PolicyError, presets
    >>> engine = Engine(presets.bitbybit())
    >>> try:
    ...     report = engine.put_key("key_live_1", ["203.0.113.7/24"])
    ... except PolicyError as error:
    ...     print(refused_change(error).status)
    422
    """
    kind = next((kind for kind in type(error).__mro__ if kind in _ANSWERS), None)
    if kind is None:
        raise TypeError(f"{type(error).__name__} is no change that was refused")
    status, reason = _ANSWERS[kind]
    detail = _INSTEAD.get(kind) or str(error).partition("\n")[0]
    problems = [problem.to_dict() for problem in error.report.problems] if isinstance(error, PolicyError) else None
    more = {"detail": detail, "reason": reason} | ({} if problems is None else {"problems": problems})
    return refusal(status, _TITLES[status], **more)
