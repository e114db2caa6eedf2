from collections.abc import Iterable
from typing import Generic, TypeVar, final

from .._core import AllowList

__all__ = ["CommonHeader", "only_line"]

_AnswerT = TypeVar("_AnswerT", bound=tuple[bytes | None, str | None, tuple[str, ...]])

_LineT = TypeVar("_LineT", bytes, str)

def only_line(headers: Iterable[tuple[_LineT, _LineT]], name: bytes, /) -> _LineT | None:
    """Give the value of the only header line with a name; None if there is no such line, or more than one.

    A key is read by this: of two lines, an application might use another one than the one that was judged.

    Args:
        headers: pairs of a name and a value, each bytes or ASCII text; the case of names does not matter.
        name: of the header, in lower case.
    Returns:
        The value as it was given; None, too, if any pair before it is no pair of texts.

    >>> only_line([(b"X-API-Key", b"key_live_1")], b"x-api-key")
    b'key_live_1'
    """

@final
class CommonHeader(Generic[_AnswerT]):
    """Hold what a strategy looks for in requests.

    Args:
        answer: the class of the answer, `ClientAddress`; a tuple of three.
        trusted: an `AllowList` of peers that are believed, or None for all.
        name: of the header, in lower case.
        count: which element from the right is the client; 0 for the first that is not trusted.
        most_commas: 0 for a header with one value; a line with more commas is not common.
    """
    def __new__(
        cls, answer: type[_AnswerT], trusted: AllowList | None, name: bytes, count: int, most_commas: int = ...
    ) -> CommonHeader[_AnswerT]: ...
    def find(self, peer: object, headers: object, /) -> _AnswerT | None:
        """Give what the strategy would, or None where the request is not a common one.

        Args:
            peer, headers: as the strategy takes them, or anything else.
        Returns:
            The answer, which has an address; or None.
        """
