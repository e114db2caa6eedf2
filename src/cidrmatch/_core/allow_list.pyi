from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NoReturn, Protocol, TypeAlias, TypeVar, final, overload, type_check_only

from _typeshed import ReadableBuffer, WriteableBuffer

from .address import AddressLike
from .arrow import ArrowArrayExportable, ArrowStreamExportable
from .prefix import Entry, EntryLike, Prefix, PrefixLike

__all__ = ["AllowList", "changes"]

_ManyAddresses: TypeAlias = Iterable[AddressLike] | ArrowArrayExportable | ArrowStreamExportable
_ManyEntries: TypeAlias = Iterable[EntryLike] | ArrowArrayExportable | ArrowStreamExportable
_ByteOrder: TypeAlias = Literal["big", "little"] | None
_Out = TypeVar("_Out", bound=WriteableBuffer)

@type_check_only
class SupportsAccept(Protocol):
    def accept(self, entries: Iterable[EntryLike], /) -> tuple[Entry, ...]: ...

@final
class AllowList:
    """Hold a frozen list of entries and tell which addresses are in it.

    Immutable, hashable, picklable.  An empty list allows nobody, and a list
    has no truth value: `if allow and address not in allow` would let everyone
    in when the list is empty, so it raises instead.

    Two lists are combined as sets of addresses, and the result is a list again:

        a & b    the addresses in both
        a - b    the addresses of `a` that are not in `b`
        a | b    the addresses in either
        a ^ b    the addresses in exactly one, `(a - b) | (b - a)`
        a <= b   whether every address of `a` is in `b`; so also <, >= and >

    `a & b` and `a - b` keep each entry of `a` that lies wholly in the result, and replace others by the broadest
    prefixes inside them that do.  So an address has the same label in the result as in `a`, and `b` gives no label.
    `a | b` keeps all entries of both; of equal prefixes that of `a`, with its label.  `==` compares entries and
    labels, so lists with equal addresses may be unequal; they are <= each other.

    Args:
        entries: an iterable of what `parse_entry` takes.  Order does not matter;
            of equal prefixes the first, with its label, is kept.  Or an Arrow array, chunked or
            not, of texts, or of addresses as `contains_many` takes them; a null is refused.
        policy: a `Policy` that the entries must satisfy; without one only the rules of
            text apply (a valid prefix, no host bits).
    Raises:
        InvalidPrefix: with `index`, the position of the first bad entry.
        PolicyError: the policy refused the list; its `report` names every reason.
        TypeError: an entry is of another type, or one text was given instead of a list; or
            an Arrow array has another format.
        ValueError: an entry has a condition, which only an `Engine` judges.
    Cost: 9 bytes an entry (IPv4) or 22 (IPv6), 8 or 33 a range, the labels; with more than 8,192 ranges a map of up
        to 4 MiB, with more than 32,768 entries another of up to 5 MiB; 100 to 200 ns an entry to build, in whatever
        order; to combine two lists, about as much as to build the result, and a pass over both.
    Threads: safe without a lock, never changes.
    Source: B6, B13 to B16, B20, B24; C6, C16, C18.

    >>> office = AllowList(["203.0.113.5", ("198.51.100.0/24", "Office"), "2001:db8::/48"])
    >>> "198.51.100.7" in office, "198.51.101.7" in office
    (True, False)
    >>> office - AllowList(["198.51.100.0/25", "2001:db8::/32"])
    AllowList([('198.51.100.128/25', 'Office'), '203.0.113.5/32'])
    """
    def __new__(cls, entries: _ManyEntries = (), *, policy: SupportsAccept | None = None) -> AllowList: ...
    def __contains__(self, address: AddressLike, /) -> bool: ...
    def contains(self, address: AddressLike, /) -> bool:
        """Tell whether an address is in the list: `address in allow`, as a method to pass on.

        Args:
            address: what `parse_address` takes.  A mapped address is its IPv4 address.
        Raises:
            InvalidAddress: junk is refused, it is never "not listed".
            TypeError: as `parse_address`.
        Cost: about 5 ns more than `in`.
        """
    def match(self, address: AddressLike, /) -> Entry | None:
        """Find the most specific entry that covers an address.

        Args:
            address: what `parse_address` takes.
        Returns:
            `Entry`, or None.
        Raises:
            InvalidAddress, TypeError: as `parse_address`.
        Cost: that of `contains` and an object, if the list is long; with labels, the search in a longer table and a
            step a nesting level.
        """
    def matches(self, address: AddressLike, /) -> list[Entry]:
        """List all entries that cover an address, the most specific first.

        Args:
            address: what `parse_address` takes.
        Returns:
            `list[Entry]`, perhaps empty.
        Raises:
            InvalidAddress, TypeError: as `parse_address`.
        """
    @classmethod
    def from_text(cls, text: str, /) -> AllowList:
        """Make a list from a text as people keep it: a prefix a line, and perhaps comments.

        Args:
            text: `str`.  A line ends with "\\n" or "\\r\\n"; what follows "#", white space around a prefix, empty
                lines and a byte order mark at the beginning say nothing.
        Raises:
            InvalidPrefix: with `line`, from 1, and `index`, the position among the prefixes.
            TypeError: the text is no `str`.
        Cost: some hundred ns a line.

        >>> AllowList.from_text("# the office\\n203.0.113.0/24  # Vienna\\n\\n2001:db8::/48\\n")
        AllowList(['203.0.113.0/24', '2001:db8::/48'])
        """
    @classmethod
    def from_lines(cls, lines: ReadableBuffer, /) -> AllowList:
        """Make a list from a buffer of lines, one prefix in each and nothing else: the fastest way from a file.

        Args:
            lines: `bytes`, or any contiguous buffer of bytes; lines end with "\\n", empty ones say nothing.
        Raises:
            InvalidPrefix: with `index`, the number of the line, from 0.
        Cost: as `AllowList(texts)`, without the texts.

        >>> AllowList.from_lines(b"203.0.113.0/24\\n2001:db8::/48\\n")
        AllowList(['203.0.113.0/24', '2001:db8::/48'])
        """
    @overload
    def contains_many(
        self, addresses: _ManyAddresses, /, *, family: None = None, byteorder: None = None, out: None = None
    ) -> bytes:
        """Tell for many addresses at once whether each is in the list.

        Args:
            addresses: an iterable of what `parse_address` takes; or an Arrow array, chunked or not, of strings (u, U,
                vu), uint32 (I; 10.0.0.1 is 0x0a000001) or fixed-size binary in network order (w:4, w:16); or, with
                `family`, a contiguous buffer of packed addresses: bytes (4 * n or 16 * n, network order), or 32-bit
                integers (IPv4 only).
            family: 4 or 6, the family of a packed buffer.
            byteorder: "big" or "little", how the four bytes of each 32-bit integer lie in memory; `sys.byteorder`
                for an `array` or NumPy array of numbers.  Nothing is guessed: integers without it are refused.
            out: a writable contiguous buffer of n bytes for the answers.
        Returns:
            `bytes`, n long: 1 where the address is in, 0 where it is not; or `out`, if that was given.
        Raises:
            InvalidAddress: with `index`, the position of the bad one, which may be a null; `out` may be filled up to
                there.
            ValueError: the buffer holds no whole number of addresses, its items are neither bytes nor 32-bit integers
                with their order stated, `out` has another size or shares memory with the addresses, the family is
                neither 4 nor 6, or an Arrow array contradicts itself.
            TypeError: as `parse_address`, or one text was given instead of many, or an Arrow array has another format.
            OSError: an Arrow stream failed.
        Cost: the parse and the search alone, 20 to 60 ns a text; a buffer, 1 to 30 ns an address.
        Threads: a buffer and an Arrow array are read without the interpreter lock.  A buffer cannot be resized
            meanwhile; if another thread writes to it, each answer is that of some state of its bytes.

        >>> AllowList(["203.0.113.0/24"]).contains_many(["203.0.113.7", "198.51.100.7"])
        b'\\x01\\x00'
        """
    @overload
    def contains_many(
        self, addresses: _ManyAddresses, /, *, family: None = None, byteorder: None = None, out: _Out
    ) -> _Out: ...
    @overload
    def contains_many(
        self, addresses: ReadableBuffer, /, *, family: Literal[4, 6], byteorder: _ByteOrder = None, out: None = None
    ) -> bytes: ...
    @overload
    def contains_many(
        self, addresses: ReadableBuffer, /, *, family: Literal[4, 6], byteorder: _ByteOrder = None, out: _Out
    ) -> _Out: ...
    @overload
    def match_many(
        self, addresses: _ManyAddresses, /, *, family: None = None, byteorder: None = None, out: None = None
    ) -> array[int]:
        """Tell for many addresses at once which entry matches: its number, so that `allow[number]` is that entry.

        Args:
            addresses, family, byteorder: as for `contains_many`.
            out: a writable contiguous buffer of n 32-bit integers of this machine, such as an `array("i")`.
        Returns:
            `array("i")`, n long: the number of the most specific entry, -1 where there is none; or `out`.
        Raises:
            InvalidAddress, ValueError, TypeError, OSError: as for `contains_many`.
        Cost: as `contains_many`, and a step a nesting level.
        Threads: as for `contains_many`.

        >>> office = AllowList(["203.0.113.0/24", "203.0.113.64/26"])
        >>> numbers = office.match_many(["203.0.113.7", "203.0.113.65", "198.51.100.7"])
        >>> list(numbers), office[numbers[1]]
        ([0, 1, -1], Entry('203.0.113.64/26'))
        """
    @overload
    def match_many(
        self, addresses: _ManyAddresses, /, *, family: None = None, byteorder: None = None, out: _Out
    ) -> _Out: ...
    @overload
    def match_many(
        self, addresses: ReadableBuffer, /, *, family: Literal[4, 6], byteorder: _ByteOrder = None, out: None = None
    ) -> array[int]: ...
    @overload
    def match_many(
        self, addresses: ReadableBuffer, /, *, family: Literal[4, 6], byteorder: _ByteOrder = None, out: _Out
    ) -> _Out: ...
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any, /) -> Any: ...
    def covers(self, prefix: PrefixLike, /) -> bool:
        """Tell whether every address of a prefix is in the list, by one entry or several.

        Args:
            prefix: what `parse_prefix` takes.  An IPv6 prefix around ::ffff:0:0/96 has these numbers, too, although no
                client does.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.

        >>> AllowList(["192.0.2.0/25", "192.0.2.128/25"]).covers("192.0.2.0/24")
        True
        """
    def aggregate(self) -> list[Prefix]:
        """Find the fewest prefixes that mean the same addresses; labels are not kept.

        Returns:
            `list[Prefix]` in canonical order.
        """
    def __len__(self) -> int: ...
    def __getitem__(self, number: int, /) -> Entry: ...
    def __sizeof__(self) -> int: ...
    def __iter__(self) -> Iterator[Entry]: ...
    def __bool__(self) -> NoReturn: ...
    def __copy__(self) -> AllowList: ...
    def __deepcopy__(self, memo: object, /) -> AllowList: ...
    def __or__(self, other: AllowList, /) -> AllowList: ...
    def __ror__(self, other: AllowList, /) -> AllowList: ...
    def __and__(self, other: AllowList, /) -> AllowList: ...
    def __rand__(self, other: AllowList, /) -> AllowList: ...
    def __sub__(self, other: AllowList, /) -> AllowList: ...
    def __rsub__(self, other: AllowList, /) -> AllowList: ...
    def __xor__(self, other: AllowList, /) -> AllowList: ...
    def __rxor__(self, other: AllowList, /) -> AllowList: ...
    def isdisjoint(self, other: AllowList, /) -> bool:
        """Tell whether no address is in both lists.

        Args:
            other: an `AllowList`.
        Raises:
            TypeError: it is something else.
        Cost: one pass over both lists, until an address in both is found.

        >>> AllowList(["10.0.0.0/8"]).isdisjoint(AllowList(["10.1.0.0/16"]))
        False
        """
    def issubset(self, other: AllowList, /) -> bool:
        """Tell whether every address of this list is in the other one, by whatever entries; so does `self <= other`.

        Addresses of ::ffff:0:0/96 do not count, because no IPv6 client has one.  `self < other` also asks whether the
        other list has more addresses.

        Args:
            other: an `AllowList`.
        Raises:
            TypeError: it is something else.
        Cost: one pass over both lists, until an address that the other one lacks is found.

        >>> AllowList(["192.0.2.0/24"]).issubset(AllowList(["192.0.2.0/25", "192.0.2.128/25"]))
        True
        """
    def issuperset(self, other: AllowList, /) -> bool:
        """Tell whether every address of the other list is in this one; so does `self >= other`.

        Args, Raises, Cost: as for `issubset`.
        """
    def __le__(self, other: AllowList, /) -> bool: ...
    def __lt__(self, other: AllowList, /) -> bool: ...
    def __ge__(self, other: AllowList, /) -> bool: ...
    def __gt__(self, other: AllowList, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def changes(before: AllowList, after: AllowList, /) -> tuple[list[Entry], list[Entry], list[tuple[Entry, Entry]]]:
    """Give the entries that only the later list has, those that only the earlier one has, and relabelled pairs.

    Entries are compared by their prefixes.  All three lists are in canonical order.
    """
