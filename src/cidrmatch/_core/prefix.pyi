from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal, TypeAlias, final

from .address import AddressLike
from .condition import Condition

__all__ = ["Entry", "EntryLike", "Prefix", "PrefixLike", "parse_entry", "parse_prefix"]

PrefixLike: TypeAlias = AddressLike | IPv4Network | IPv6Network | Prefix
EntryLike: TypeAlias = PrefixLike | tuple[PrefixLike, str | None] | Mapping[str, object] | Entry
_HostBits: TypeAlias = Literal["reject", "mask"]

@final
class Prefix:
    """Hold a prefix: a family, a first address and a length.  Immutable and hashable.

    Args:
        prefix: what `parse_prefix` takes.
    Raises:
        InvalidPrefix, TypeError: as `parse_prefix`.
    Threads: safe, never changes.
    Source: RFC 4632 section 3.1, RFC 5952 for the text.

    Prefixes sort by family, first address and length, so that each stands
    before all that it covers.

    >>> prefix = Prefix("2001:DB8::/32")
    >>> str(prefix), prefix.family, prefix.length
    ('2001:db8::/32', 6, 32)
    >>> prefix.covers("2001:db8:1::/48")
    True
    """
    def __new__(cls, prefix: PrefixLike, /) -> Prefix: ...
    @property
    def packed(self) -> bytes:
        """The first address as `bytes`, 4 or 16 long, network order."""
    @property
    def length(self) -> int:
        """How many leading bits count: 0 to 32, or 0 to 128."""
    @property
    def family(self) -> Literal[4, 6]:
        """4 or 6."""
    @property
    def is_address(self) -> bool:
        """Whether the prefix is a single address: a /32, or a /128 of IPv6."""
    @property
    def address(self) -> str:
        """The canonical text of the first address, without the length."""
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any, /) -> Any: ...
    def covers(self, other: PrefixLike, /) -> bool:
        """Tell whether every address of `other` is one of this prefix.

        Args:
            other: what `parse_prefix` takes; a prefix of the other family is never covered.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.
        Cost: one comparison, after parsing.
        """
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __lt__(self, other: Prefix, /) -> bool: ...
    def __le__(self, other: Prefix, /) -> bool: ...
    def __gt__(self, other: Prefix, /) -> bool: ...
    def __ge__(self, other: Prefix, /) -> bool: ...

@final
class Entry:
    """Hold one entry of a list: a prefix, and what is said of it.

    Immutable and hashable.

    Args:
        prefix: what `parse_prefix` takes.
        label: text or None.
        condition: a `Condition`, or None for an entry that allows, always.  Only an `Engine`
            judges conditions; an `AllowList` refuses entries that have one.
    Raises:
        InvalidPrefix, TypeError: as `parse_prefix`; TypeError for a label or condition of another type.
    Threads: safe, never changes.
    Source: B20; the limits on a label (C18) are a policy's business.

    >>> Entry("198.51.100.0/24", "Office")
    Entry('198.51.100.0/24', 'Office')
    """
    def __new__(cls, prefix: PrefixLike, label: str | None = None, condition: Condition | None = None) -> Entry: ...
    @property
    def prefix(self) -> Prefix:
        """The `Prefix`: which addresses."""
    @property
    def label(self) -> str | None: ...
    @property
    def condition(self) -> Condition | None: ...
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any, /) -> Any: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

def parse_prefix(prefix: PrefixLike, /, *, host_bits: _HostBits = "reject") -> Prefix:
    """Turn text, an address or a network into a `Prefix`.

    An address is the prefix of full length.  A mapped prefix of length 96 or
    more becomes the IPv4 prefix it stands for.

    Args:
        prefix: text such as "203.0.113.0/24" or "2001:db8::1"; `bytes` of length 4 or 16
            (one address, network order); an `ipaddress` address or network of exactly that
            class; or a `Prefix`.
        host_bits: "reject" refuses set bits behind the length, "mask" clears them.
    Returns:
        `Prefix`.
    Raises:
        InvalidPrefix: the text is no prefix; the error names position, reason and suggestion.
        TypeError: the value is of another type.
        ValueError: `host_bits` is neither word.
    Cost: about 60 ns for IPv4 text, 90 ns for IPv6.
    Threads: safe, keeps no state.
    Source: RFC 4632 section 3.1; C15, C16, B13, B15.

    >>> parse_prefix("203.0.113.7/24", host_bits="mask")
    Prefix('203.0.113.0/24')
    >>> parse_prefix("203.0.113.7/24")
    Traceback (most recent call last):
    cidrmatch.errors.InvalidPrefix: ... host bits are set (at position 11); did you mean 203.0.113.0/24?
    """

def parse_entry(entry: EntryLike, /, *, host_bits: _HostBits = "reject") -> Entry:
    """Turn any accepted form of an entry into an `Entry`.

    Args:
        entry: what `parse_prefix` takes; an `Entry`; a tuple `(prefix, label)`; or a mapping
            with the key "prefix", perhaps "label", perhaps those of a `Condition` (times as `datetime`
            or ISO 8601 text), and no other.
        host_bits: as for `parse_prefix`.
    Returns:
        `Entry`.
    Raises:
        InvalidPrefix, TypeError, ValueError: as for `parse_prefix`.
    Cost: as `parse_prefix`, and an object more.
    Threads: safe, keeps no state.
    Source: B20.

    >>> parse_entry(("198.51.100.0/24", "Office")).label
    'Office'
    """

def take_apart(entry: object, /, where: str = "") -> tuple[PrefixLike, str | None, Condition | None]:
    """Split an entry in any accepted form into what names its prefix, its label and its condition.

    Each part is read once, and text is taken by its base class, so what is
    judged here is what everyone sees afterwards.  `where` begins the message
    of a TypeError.
    """

def check_is_list(entries: object, noun: str = ...) -> int:
    """Refuse one text, network or mapping where a list is meant; iterating over its items would be a mistake."""

def entries_as_written(facts: tuple[tuple[str, str | None, str | None], ...], /) -> tuple[Entry, ...] | None:
    """Make the entries of texts that `str` wrote, or give None: then the caller looks closely, and says what is wrong.

    Args:
        facts: for each entry the text of its prefix, its label or None, and its condition.
    Returns:
        `tuple[Entry, ...]`; None if an entry has a condition, or if a text is another than `str` of its entry.
    Cost: about 100 ns an entry.
    """
