from collections.abc import Iterable

from .prefix import Prefix, PrefixLike

__all__ = ["aggregate"]

def aggregate(prefixes: Iterable[PrefixLike], /) -> list[Prefix]:
    """Find the fewest prefixes that mean the same addresses.

    Args:
        prefixes: an iterable of what `parse_prefix` takes.
    Returns:
        `list[Prefix]` in canonical order, none covering, touching or equal to another.
    Raises:
        InvalidPrefix: with `index`, the position of the bad one.
        TypeError: one is of another type, or one text was given instead of a list.
    Cost: n log n for the sort, some 100 ns a prefix.
    Threads: safe, keeps no state.

    >>> aggregate(["192.0.2.0/25", "192.0.2.128/25", "192.0.2.7"])
    [Prefix('192.0.2.0/24')]
    """
