"""What goes wrong with a feed.

    FeedError
    ├── FeedRefused         the publisher's list was read, and is not taken over
    ├── FeedUnreachable     no list was read: no answer, no file, an answer that is none
    └── FeedStateError      the state file cannot be read or written, or another program holds it

`code` is a stable name, for programs; `reason` is the same in words.  None of them changes the last good list.
"""

from __future__ import annotations

from ...errors import CidrmatchError

__all__ = ["FeedError", "FeedRefused", "FeedStateError", "FeedUnreachable", "in_one_line"]


class FeedError(CidrmatchError):
    """A feed was not taken over.

    Attributes:
        code: a stable name, for programs.
        reason: what is wrong, in words.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class FeedRefused(FeedError):
    """The publisher's list was read, and is refused.

    Attributes:
        digest: of the list, if it could be read; a person who accepts it accepts this one.
    """

    digest: str | None = None


class FeedUnreachable(FeedError):
    """No list was read.  The code "gone" says that the publisher has no such list any more."""


class FeedStateError(FeedError):
    """The state file cannot be read or written."""


def in_one_line(error: Exception) -> str:
    """Write an error in one line; that of a policy has a line for each entry."""
    return "; ".join(line.strip() for line in str(error).splitlines())
