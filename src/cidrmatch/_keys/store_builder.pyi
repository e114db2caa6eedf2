from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from typing_extensions import disjoint_base

from .._core import EntryLike

__all__ = ["BlockBuilder", "named", "pairs_of"]

_Entries = TypeVar("_Entries")

@disjoint_base
class BlockBuilder:
    """Write records one behind the other, and make a block of them."""
    def __init__(self) -> None: ...
    def add(
        self,
        key: str,
        entries: Iterable[EntryLike],
        /,
        *,
        flags: int = ...,
        created: int = 0,
        links: tuple[int, ...] = (),
        within: tuple[int, ...] = (),
        notes: bytes = b"",
    ) -> None:
        """Add a key.

        Args:
            key: text.
            entries: what an `AllowList` takes; for `flags` other than the default, those without conditions.
            flags, created, links, within, notes: as a record has them; notes of its own are added where the
                entries alone do not tell what was given.
        Raises:
            InvalidPrefix: with `index`.  TypeError, ValueError: the key or an entry is of another kind.
        """

def pairs_of(lists: Mapping[str, _Entries] | Iterable[tuple[str, _Entries]], /) -> Iterator[tuple[str, _Entries]]:
    """Yield key and entries of a mapping or of pairs; TypeError or ValueError with the position of what is no pair."""

def named(error: Exception, key: object, /) -> Exception:
    """Give an error about the entries of a key with the key's name: in `key` where it has one, else in its message."""
