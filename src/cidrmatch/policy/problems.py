"""`Problem`: one thing that is wrong with a list, and whether it refuses the list.

    entry 3 '10.0.0.1/8': host bits are set (at position 9); did you mean 10.0.0.0/8?
          |  |            |                                  |
          |  text         message                            hint, here with a suggestion
          index           '----------------- advice ------------------------------------'

A code is a stable name, for programs; message and hint are for people.
Threads: safe, a problem never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..errors import brief, quote

__all__ = ["UNRESTRICTED", "Problem", "Severity"]

UNRESTRICTED: Final = "unrestricted"
"""The code of the warning that a key without entries lets every address pass."""


class Severity(StrEnum):
    """Whether a problem refuses the list."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """Name one thing that is wrong, or worth a look, about one entry or the list.

    Attributes:
        index: position of the entry in the list, or None for the list as a whole.
        text: the entry as it was given.
        code: a stable name, for programs.
        severity: `Severity.ERROR` or `Severity.WARNING`.
        message: what is wrong, in words.
        hint: what to do about it, or None.
        suggestion: the entry that the hint names, as a text that the policy accepts in this place; None if the hint
            names no entry.
    """

    index: int | None
    text: str
    code: str
    severity: Severity
    message: str
    hint: str | None = None
    suggestion: str | None = None

    def __repr__(self) -> str:
        where = "the list" if self.index is None else f"entry {self.index} {brief(self.text)}"
        return f"<Problem {brief(self.code)}, {self.severity}: {where}>"

    def __str__(self) -> str:
        return f"the list: {self.line}" if self.index is None else f"entry {self.index} {self.line}"

    @property
    def line(self) -> str:
        """The entry's text, if there is one, and then `advice`; the caller adds the place of the entry."""
        return self.advice if self.index is None else f"{quote(self.text)}: {self.advice}"

    @property
    def advice(self) -> str:
        """The message, and then the hint if there is one."""
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, object]:
        """Give the fields as plain values, for JSON."""
        return {
            "index": self.index,
            "text": self.text,
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "hint": self.hint,
            "suggestion": self.suggestion,
        }
