from collections.abc import Iterator, Mapping
from typing import TypeVar, final, overload

from .._core import Entry
from .key_record import KeyRecord

__all__ = ["FrozenList", "NamedLists", "Rule", "Shadow"]

_T = TypeVar("_T")

@final
class FrozenList:
    """Hold the entries of one list, ready to be asked.

    A list without times is two tables, one of what it allows and one of what it
    denies.  A list with times is one table of all its prefixes, and what is said
    about each stands beside it, so that no moment changes anything here:

        table    [ 10.0.0.0/8      | 10.1.0.0/16      | 10.1.2.0/24 ]
        firsts   [ 0               | 1                | 3           | 4 ]
        said     [ allow, always   | deny, from 12:00 , deny, from 18:00 | allow, until 15:00 ]

    A check walks the entries that cover the address, the most specific first, and
    takes the first length at which something counts now.

    Args:
        name: the name of a named list, None for a key's own.
        entries: `tuple[Entry, ...]`.
        description: what the list is for, in words.
    """
    def __new__(cls, name: str | None, entries: tuple[Entry, ...], description: str = "") -> FrozenList: ...
    @property
    def description(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def entries(self) -> tuple[Entry, ...]: ...

@final
class NamedLists(Mapping[str, FrozenList]):
    """Hold the named lists of one version.  Immutable.

    The next version shares all of it but what changed.

    Each name lies on one of 256 shelves, by its hash, and a shelf is a dictionary:

        shelves   [ {office: ...} | {} | {home: ..., lab: ...} | {} | ... ]
                          |                       |
        next      [ {office: ...} | {} | {home: ..., lab: NEW} | {} | ... ]      one shelf is copied

    Args:
        lists: `dict[str, FrozenList]`, or None for no lists.
    Raises:
        TypeError: a list is no `FrozenList`.
    Cost: a look-up as in a dictionary; a changed version, 256 references and the shelves that changed.
    Threads: safe, never changes.
    """
    def __new__(cls, lists: dict[str, FrozenList] | None = None) -> NamedLists: ...
    def changed(self, changes: dict[str, FrozenList | None], /) -> NamedLists:
        """Give the lists with some of them put, or removed where there is None."""
    def __getitem__(self, name: str, /) -> FrozenList: ...
    @overload
    def get(self, name: str, default: None = None, /) -> FrozenList | None:
        """Give a list by its name, or the default."""
    @overload
    def get(self, name: str, default: FrozenList, /) -> FrozenList: ...
    @overload
    def get(self, name: str, default: _T, /) -> FrozenList | _T: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class Shadow:
    """Count what a list would have decided; it decides nothing (B31).

    Attributes:
        list: the `FrozenList` on trial.
        would_allow, would_deny: how many checks.
        denied: `dict[str, int]`, how often each address would have been denied, for the first 1,000 of them.
    """
    def __new__(cls, frozen: FrozenList, /) -> Shadow: ...
    @property
    def list(self) -> FrozenList: ...
    @property
    def would_allow(self) -> int: ...
    @property
    def would_deny(self) -> int: ...
    @property
    def denied(self) -> dict[str, int]: ...

@final
class Rule:
    """Hold what was said about one key.

    Args:
        record: all that was said, as a `KeyRecord`.
        own: the key's own entries as a `FrozenList`, or None.
        names: the named lists it is linked to.
        within: the named lists that must pass as well.
        is_enabled: whether its lists are enforced.
        needs_list: whether it is inactive rather than unrestricted while it has none.
        shadow: a `Shadow`, or None.
    """
    def __new__(
        cls,
        record: object,
        own: FrozenList | None,
        names: tuple[str, ...],
        within: tuple[str, ...],
        is_enabled: bool,
        needs_list: bool,
        shadow: Shadow | None,
    ) -> Rule: ...
    @property
    def record(self) -> KeyRecord: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def within(self) -> tuple[str, ...]: ...
    @property
    def is_enabled(self) -> bool: ...
    @property
    def needs_list(self) -> bool: ...
    @property
    def shadow(self) -> Shadow | None: ...
