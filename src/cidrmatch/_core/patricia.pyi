from collections.abc import Iterable, Iterator, MutableMapping
from typing import ClassVar, TypeVar, overload

from _typeshed import SupportsItems

from .prefix import Prefix, PrefixLike

__all__ = ["PatriciaTrie"]

_V = TypeVar("_V")
_T = TypeVar("_T")

# The compiled half, Trie, is no public name.  Keys go in as text, packed bytes, ipaddress objects or Prefix,
# and come out as Prefix.
class PatriciaTrie(MutableMapping[Prefix, _V]):
    """Map prefixes of both families to any objects, and find the longest match.

    A mutable mapping: `trie[prefix]`, `get`, `pop`, `update`, `items` and the
    rest work on exact prefixes.  Keys go in as anything `parse_prefix` takes
    and come out as `Prefix`, in canonical order.  Junk raises; it is never
    "absent".  Pickles and copies; takes part in garbage collection.

    Args:
        items: a mapping, or pairs of prefix and value.
    Raises:
        InvalidPrefix, TypeError: as `parse_prefix`, with the position of the bad item; the trie then holds the items
            before it.
        RuntimeError: from an iterator, when prefixes came or went since it began.
    Cost: 40 bytes a node and the value's reference, at most two nodes a prefix; a
        search visits at most one node a bit.
    Threads: each operation is atomic under the interpreter lock; guard
        compound ones yourself.

    >>> trie = PatriciaTrie({"10.0.0.0/8": "net", "2001:db8::/32": "docs"})
    >>> trie.longest_match("10.1.2.3")
    (Prefix('10.0.0.0/8'), 'net')
    >>> list(trie)
    [Prefix('10.0.0.0/8'), Prefix('2001:db8::/32')]
    """

    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __init__(self, items: SupportsItems[PrefixLike, _V] | Iterable[tuple[PrefixLike, _V]] = (), /) -> None: ...
    def __getitem__(self, prefix: PrefixLike, /) -> _V: ...
    def __setitem__(self, prefix: PrefixLike, value: _V, /) -> None: ...
    def __delitem__(self, prefix: PrefixLike, /) -> None: ...
    def __contains__(self, prefix: object, /) -> bool: ...
    @overload
    def get(self, key: PrefixLike, default: None = None) -> _V | None: ...
    @overload
    def get(self, key: PrefixLike, default: _V) -> _V: ...
    @overload
    def get(self, key: PrefixLike, default: _T) -> _V | _T: ...
    @overload
    def pop(self, key: PrefixLike) -> _V: ...
    @overload
    def pop(self, key: PrefixLike, default: _V) -> _V: ...
    @overload
    def pop(self, key: PrefixLike, default: _T) -> _V | _T: ...
    @overload
    def setdefault(self: PatriciaTrie[_T | None], key: PrefixLike, default: None = None) -> _T | None: ...
    @overload
    def setdefault(self, key: PrefixLike, default: _V) -> _V: ...
    # Keywords are no prefixes, so `update` takes none.
    def update(  # type: ignore[override]
        self, items: SupportsItems[PrefixLike, _V] | Iterable[tuple[PrefixLike, _V]] = (), /
    ) -> None:
        """update(self, items=(), /)
        --

        Put many items.

        Args:
            items: a mapping, or pairs of prefix and value.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`, with the position of the bad item; the trie then holds the
                items before it.
        """
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Prefix]: ...
    def longest_match(self, prefix: PrefixLike, /) -> tuple[Prefix, _V] | None:
        """Find the longest stored prefix that covers an address or a prefix.

        Args:
            prefix: what `parse_prefix` takes; an address is the prefix of full length.
        Returns:
            `(Prefix, value)`, or None.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.
        Cost: one node a step, at most one step a bit.
        Source: RFC 4632 section 5.1 (longest match).

        >>> PatriciaTrie({"10.0.0.0/8": "a", "10.1.0.0/16": "b"}).longest_match("10.1.2.3")
        (Prefix('10.1.0.0/16'), 'b')
        """
    def covering(self, prefix: PrefixLike, /) -> list[tuple[Prefix, _V]]:
        """List the stored prefixes that cover an address or a prefix, itself included.

        Args:
            prefix: what `parse_prefix` takes.
        Returns:
            `list[(Prefix, value)]`, the most specific first.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.
        """
    def covered(self, prefix: PrefixLike, /) -> list[tuple[Prefix, _V]]:
        """List the stored prefixes that lie inside a prefix, itself included.

        Args:
            prefix: what `parse_prefix` takes.
        Returns:
            `list[(Prefix, value)]` in canonical order.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.
        """
    def aggregate(self) -> list[Prefix]:
        """Find the fewest prefixes that mean the same addresses as the keys.

        Returns:
            `list[Prefix]` in canonical order.
        Cost: one walk, about 100 ns a prefix.
        """
    def exclude(self, prefix: PrefixLike, /) -> list[Prefix]:
        """Find the fewest prefixes that mean the addresses of the keys, less those of one prefix.

        Args:
            prefix: what `parse_prefix` takes.
        Returns:
            `list[Prefix]` in canonical order; the trie itself does not change.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.

        >>> PatriciaTrie({"192.0.2.0/24": None}).exclude("192.0.2.128/25")
        [Prefix('192.0.2.0/25')]
        """
    def check_invariants(self) -> None:
        """Walk the whole trie and raise AssertionError where an invariant is broken.

        For tests and for a reader who doubts; costs a visit to every node.
        """
    def copy(self) -> PatriciaTrie[_V]:
        """copy(self)
        --

        Copy the map; the values are shared.
        """
