from typing import final

from .._core import AllowList

__all__ = ["CommonHeader"]

@final
class CommonHeader:
    """Hold what a strategy looks for in common requests.

    Args:
        trusted: an `AllowList` of peers that are believed, or None for all.
        name: of the header, in lower case.
        count: which element from the right is the client; 0 for the first that is not trusted.
        most_commas: 0 for a header with one value; a line with more commas is not common.
    """
    def __new__(cls, trusted: AllowList | None, name: bytes, count: int, most_commas: int = ...) -> CommonHeader: ...
    def find(self, peer: object, headers: object, /) -> tuple[bytes, None, tuple[str, ...]] | None:
        """Give what the strategy would, or None where the request is not a common one.

        Args:
            peer, headers: as the strategy takes them, or anything else.
        Returns:
            The fields of a `ClientAddress` that has an address, as a tuple; or None.
        """
