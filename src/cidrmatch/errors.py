"""The exception family, on one screen.

    CidrmatchError
    ├── InvalidText (ValueError)      a text, or packed bytes, that cannot be taken
    │   ├── InvalidAddress                an address was expected
    │   └── InvalidPrefix                 a prefix or an entry of a list was expected
    ├── PolicyError (ValueError)      a list that a policy refuses, with its whole report
    ├── SnapshotError (ValueError)    a file, or a block of memory, that is no snapshot or a damaged one
    ├── NotFlushed (OSError)          a snapshot is in its place, but may not outlive a power failure
    └── EngineError                   a change that an engine refuses; nothing was changed
        ├── UnknownName (LookupError)     no such key, no such list, or no such entry of one
        ├── AlreadyExists                 there is a key of this name, and `replace=True` was not given
        ├── Conflict                      somebody else changed the data first
        ├── LockTimeout (TimeoutError)    somebody else kept the file locked
        ├── InUse                         the list is linked, or the default
        ├── LockOut                       the change would lock its own author out
        ├── NotPermitted                  the host's own role check said no
        └── FeatureOff                    allow lists are switched off

Every error about one text has the same facts: the text, the position where the
trouble starts, a code for programs, a reason for people, and, if there is one,
a suggestion that would be accepted.  A value of a type that is never an address
(``None``, ``5``, ``True``) is a ``TypeError``, as everywhere in Python.

This module imports no other module of cidrmatch, because the compiled core uses
it (ADR 0001).  A message needs facts of a policy's report; a `Protocol` here
describes them.  The report itself is `cidrmatch.Report`, some floors above.
"""

from __future__ import annotations

from typing import Any, Protocol

__all__ = [
    "AlreadyExists",
    "CidrmatchError",
    "Conflict",
    "EngineError",
    "FeatureOff",
    "HasProblems",
    "InUse",
    "InvalidAddress",
    "InvalidPrefix",
    "InvalidText",
    "IsProblem",
    "LockOut",
    "LockTimeout",
    "NotFlushed",
    "NotPermitted",
    "PolicyError",
    "SnapshotError",
    "UnknownName",
    "brief",
    "quote",
]

_SHOWN_CHARACTERS = 80
"""How many characters of a refused text a message shows."""
_BRIEF_CHARACTERS = 40
"""How many characters of a text a `repr` shows."""
_SHOWN_PROBLEMS = 20
"""How many errors of a list a message shows."""


def quote(text: object) -> str:
    """Show ``text`` escaped and cut, fit for a log line.

    >>> quote("10.0.0.1\\n")
    "'10.0.0.1\\\\n'"
    """
    if type(text) not in (str, bytes):
        return f"a value of type {type(text).__name__}"
    cut = text[:_SHOWN_CHARACTERS]  # type: ignore[index]
    return ascii(cut) + ("..." if len(cut) < len(text) else "")  # type: ignore[arg-type]


def brief(text: object) -> str:
    """Show ``text`` escaped and cut to some 40 characters, escapes counted: for a ``repr``.

    >>> brief("a label" * 100)
    "'a labela labela labela labela labela lab'..."
    """
    if type(text) not in (str, bytes):
        return f"a value of type {type(text).__name__}"
    cut = text[:_BRIEF_CHARACTERS]  # type: ignore[index]
    while len(ascii(cut)) > _BRIEF_CHARACTERS + 3:
        cut = cut[: len(cut) // 2]
    return ascii(cut) + ("..." if len(cut) < len(text) else "")  # type: ignore[arg-type]


class CidrmatchError(Exception):
    """The base of every error that cidrmatch raises on purpose."""

    def __init__(self, *args: object) -> None:  # built-in exceptions have no signature that an editor could show
        super().__init__(*args)


class InvalidText(CidrmatchError, ValueError):
    """Say that a text is not what was asked for, and what would be.

    Attributes:
        text: the whole text that was given (``str``, or ``bytes`` for a packed address).
        position: index of the character where the trouble starts.
        code: a stable name of the reason, for programs (``"host_bits"``).
        reason: the same in words.
        suggestion: a text that would be taken, or ``None``.
        index: position of the entry in its list, or ``None``.
        key: the key that the list belongs to, if many keys were given; else ``None``.
        line: the line in the text of the list, counted from 1; or ``None``.
    """

    noun = "valid"
    key: str | None = None

    def __init__(
        self,
        text: str | bytes,
        position: int,
        code: str,
        reason: str,
        suggestion: str | None = None,
        index: int | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(text, position, code, reason, suggestion, index, line)
        self.text = text
        self.position = position
        self.code = code
        self.reason = reason
        self.suggestion = suggestion
        self.index = index
        self.line = line

    def __repr__(self) -> str:
        where = "" if self.index is None else f", entry {self.index}"
        return f"<{type(self).__name__} {brief(self.text)}: {self.code} at position {self.position}{where}>"

    def __str__(self) -> str:
        where = "" if self.key is None else f"the key {quote(self.key)}: "
        if self.line is not None:
            where += f"line {self.line}: "
        elif self.index is not None:
            where += f"entry {self.index}: "
        hint = "" if self.suggestion is None else f"; did you mean {self.suggestion}?"
        return f"{where}{quote(self.text)} is not {self.noun}: {self.reason} (at position {self.position}){hint}"


class InvalidAddress(InvalidText):
    """An address was expected: IPv4 or IPv6 text, or 4 or 16 packed bytes."""

    noun = "an address"


class InvalidPrefix(InvalidText):
    """A prefix was expected: an address, or an address, a slash and a length."""

    noun = "a prefix"


class IsProblem(Protocol):
    """Tell one thing that is wrong with a list: what a `Problem` of a policy has."""

    @property
    def index(self) -> int | None: ...  # position of the entry in the list, or ``None`` for the list as a whole

    @property
    def text(self) -> str: ...  # the entry as it was given

    @property
    def code(self) -> str: ...  # a stable name, for programs

    @property
    def severity(self) -> str: ...  # ``"error"`` or ``"warning"``

    @property
    def message(self) -> str: ...  # what is wrong, in words

    @property
    def hint(self) -> str | None: ...  # what to do about it, or ``None``

    @property
    def suggestion(self) -> str | None: ...  # the entry that the hint names, or ``None``

    def to_dict(self) -> dict[str, object]: ...  # give the fields as plain values


class HasProblems(Protocol):
    """Hold what is wrong with a list: what a `Report` of a policy has."""

    @property
    def policy(self) -> Any: ...  # the policy that judged

    @property
    def accepted(self) -> tuple[Any, ...]: ...  # the entries to store, each an `Entry`; empty if there is any error

    @property
    def problems(self) -> tuple[IsProblem, ...]: ...  # every error and warning, in the order of the entries

    @property
    def errors(self) -> tuple[IsProblem, ...]: ...  # the problems that refuse the list

    @property
    def warnings(self) -> tuple[IsProblem, ...]: ...  # the problems that do not

    @property
    def ok(self) -> bool: ...  # whether the list is accepted

    def to_dict(self) -> dict[str, object]: ...  # give the report as plain values


class PolicyError(CidrmatchError, ValueError):
    """A policy refused a list; ``report`` holds every reason, entry by entry.

    Nothing of the list was applied.  ``report`` is the policy's `Report`.  ``key`` names the key if the lists of many
    keys were given; else it is ``None``.
    """

    key: str | None = None

    def __init__(self, report: HasProblems) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        errors = self.report.errors
        whose = "" if self.key is None else f" of the key {quote(self.key)}"
        lines = [f"{len(errors)} error{'s' if len(errors) != 1 else ''} in the list{whose}; nothing was applied"]
        lines += [f"  {problem}" for problem in errors[:_SHOWN_PROBLEMS]]
        if len(errors) > _SHOWN_PROBLEMS:
            lines.append(f"  and {len(errors) - _SHOWN_PROBLEMS:,} more")
        return "\n".join(lines)


class EngineError(CidrmatchError):
    """An engine refused a change, and nothing was changed."""


class UnknownName(EngineError, LookupError):
    """There is no key, or no list, of this name; or no such entry in it."""


class AlreadyExists(EngineError):
    """There is a key of this name; only ``replace=True`` replaces it."""


class Conflict(EngineError):
    """The data is no longer at the version that the change was made for."""


class LockTimeout(EngineError, TimeoutError):
    """Another writer kept the lock beside the file for too long; nothing was changed."""


class InUse(EngineError):
    """The list is linked to keys, or is the default (C21)."""


class LockOut(EngineError):
    """The change would deny the very address it came from."""


class NotPermitted(EngineError):
    """The host's own role check refused the change (P1)."""


class FeatureOff(EngineError):
    """Allow lists are switched off, so they cannot be edited (U2)."""


class SnapshotError(CidrmatchError, ValueError):
    """A file or a block was refused: it is no snapshot, it is damaged, or it is older than the data that is there."""


class NotFlushed(CidrmatchError, OSError):
    """The new snapshot is in its place, but its directory could not be flushed to the disk.

    Readers have the new data, and the engine stands on the new file.  After a
    power failure the name may lead to the old file again.  It is safe to save
    once more.
    """
