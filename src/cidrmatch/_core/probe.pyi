from collections.abc import Iterable

from .allow_list import AllowList
from .prefix import EntryLike

__all__ = ["freeze_as", "table_bytes"]

def freeze_as(entries: Iterable[EntryLike], form: str, vectors: int = 3, /) -> AllowList:
    """Make an `AllowList` whose tables have a form that its size would not choose: to measure and to compare forms.

    Args:
        form: "by size", "scan", "ladder" or "map" (for IPv6, a trie, which may be too large: then it is a ladder).
        vectors: 0 what every machine has, 1 AVX2, 2 AVX-512, 3 gathers; no more are used than this machine has.
    """

def table_bytes(allow: AllowList, /) -> int:
    """Tell how many bytes of a list are its tables, without the entries: what checks read."""
