from typing import Any, TypeVar

from .prefix import Prefix

__all__ = ["without_covered"]

_Row = TypeVar("_Row", bound=tuple[Any, ...])

def without_covered(outside: list[_Row], entries: list[Prefix], /) -> list[_Row]:
    """Keep those of some tuples whose first item, a `Prefix`, is in none of the entries, which are disjoint."""
