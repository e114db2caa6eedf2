"""`Response`: what a client is told when a request is denied. policy/responses.py makes responses."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import brief

__all__ = ["Response"]


@dataclass(frozen=True, slots=True)
class Response:
    """Hold an HTTP response, ready to send.

    Attributes:
        status: the status code.
        headers: pairs of name and value.
        body: the bytes of the body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        return f"<Response {self.status}: {brief(self.body)}>"
