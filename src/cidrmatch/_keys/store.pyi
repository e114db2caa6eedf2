import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, final, overload

from _typeshed import ReadableBuffer, WriteableBuffer

from .._core import AddressLike, Entry, EntryLike
from .reasons import Reason
from .store_builder import BlockBuilder

__all__ = ["HAS_ENTRIES", "HEADER_BYTES", "IS_ENABLED", "NEEDS_LIST", "NEEDS_OBJECTS", "Builder", "KeyStore"]

HAS_ENTRIES: int
HEADER_BYTES: int
IS_ENABLED: int
NEEDS_LIST: int
NEEDS_OBJECTS: int

_Out = TypeVar("_Out", bound=WriteableBuffer)

@final
class Builder(BlockBuilder):
    """Write records one behind the other; `build` makes a `KeyStore` of them, and nothing is left."""
    def __new__(cls) -> Builder: ...
    def copy(
        self, store: KeyStore, without: Iterable[str], numbers: Iterable[int] | None = None, *, in_order: bool = False
    ) -> None:
        """Take over all records of a store but for some keys.

        Args:
            without: the keys to leave out; those that are not there do not matter.
            numbers: for each list that a link may name, its new number; None: they stay.
            in_order: sorted by key, so that the same content gives the same bytes.
        """
    def build(self, *, generation: int = 0, lists: int = 0, about: bytes = b"") -> KeyStore:
        """Make a store of what was added.

        Args:
            generation: the number of this version of the data.
            lists: how many named lists there are.
            about: bytes about the whole.
        Raises:
            ValueError: a key was added twice.
        Returns:
            `KeyStore`.  The builder is empty afterwards.
        """

@final
class KeyStore:
    """Hold lists for many keys in one block of memory: may this address use this key?

    Args:
        lists: a mapping from key to entries, or pairs of both; entries are what an `AllowList` takes.
    Raises:
        InvalidPrefix: with `key`, and `index`, the position of the first bad entry in its list.
        TypeError, ValueError: a key is no text or came twice, an entry is of another kind or has a condition; the
            message names the key.
    Cost: 173 bytes for a key with 20 IPv4 entries; a check, a hash of the key, two places in memory
        and a comparison with each entry of a short list.
    Threads: safe without a lock, never changes; processes that map one file, or were forked, share the memory.
    Source: B2, B5; C23.

    An `Engine` has states, named lists and edits; a `KeyStore` has keys and
    their entries.  A key that it does not hold is denied, and so is everybody
    for a key whose list is empty.

    >>> store = KeyStore({"key_live_1": ["203.0.113.0/24", "2001:db8::/48"]})
    >>> store.allows("key_live_1", "203.0.113.7"), store.allows("key_live_1", "198.51.100.7")
    (True, False)
    >>> str(store.check("key_live_2", "203.0.113.7"))
    'unknown_key'
    """
    def __new__(
        cls, lists: Mapping[str, Iterable[EntryLike]] | Iterable[tuple[str, Iterable[EntryLike]]] = (), /
    ) -> KeyStore: ...
    @classmethod
    def from_buffer(cls, buffer: ReadableBuffer, /) -> KeyStore:
        """Ask a block that lies elsewhere: a mapped file, shared memory, `bytes`.

        Args:
            buffer: any contiguous buffer, at an address that is a multiple of 8; it is held, and must not change.
        Raises:
            SnapshotError: this is no block, or of another format.
        Cost: constant; `verify` looks at all of it.
        """
    @property
    def rules_made(self) -> dict[str, Any]: ...
    @property
    def block(self) -> memoryview:
        """All of its bytes, as a read-only `memoryview`."""
    @property
    def generation(self) -> int:
        """The number of this version of the data, within its epoch."""
    @property
    def epoch(self) -> int:
        """Which history of the data this is a version of; 0 for a block that was never in a file."""
    @property
    def body_checksum(self) -> int:
        """The checksum of all bytes behind the header, as the header says it; 0 for a block that was never sealed."""
    @property
    def lists(self) -> int:
        """How many named lists the keys may be linked to."""
    @property
    def about(self) -> bytes:
        """The bytes about the whole, which no check reads."""
    def allows(self, key: str, address: AddressLike | None, /) -> bool:
        """Tell whether a client address may use a key.

        Args:
            key: the key's id, text.
            address: what `parse_address` takes, or None when it is not known.
        Returns:
            `bool`.  A bad or unknown address is False, never an exception, and so is an unknown key.
        Raises:
            TypeError: the key is no text.
            LookupError: the key needs what only an `Engine` knows: named lists, conditions, states.
        Cost: as the class says.
        Source: B2, B5; C23.
        """
    def check(self, key: str, address: AddressLike | None, /) -> Reason:
        """Tell the `Reason` why a client address may use a key or not.

        Args, Returns, Raises, Cost: as `allows`, but for the `Reason`.
        """
    @overload
    def allows_many(
        self, keys: Iterable[str], addresses: Iterable[AddressLike | None], /, *, out: None = None
    ) -> bytes:
        """Tell for many keys and addresses at once whether each address may use its key.

        Args:
            keys, addresses: two lists of the same length, of what `allows` takes.
            out: a writable contiguous buffer of n bytes.
        Returns:
            `bytes`, n long, 1 or 0 each; or `out`.
        Raises:
            TypeError: a key is no text; the message names its position.
            ValueError: the lists differ in length, or `out` does, or it lies in the store's own block.
            LookupError: as `allows`.
        Cost: several questions wait for memory at a time.
        Threads: releases the interpreter lock.

        >>> store = KeyStore({"key_live_1": ["203.0.113.0/24"]})
        >>> list(store.allows_many(["key_live_1", "key_live_1"], ["203.0.113.7", "198.51.100.7"]))
        [1, 0]
        """
    @overload
    def allows_many(self, keys: Iterable[str], addresses: Iterable[AddressLike | None], /, *, out: _Out) -> _Out: ...
    def entries(self, key: str, /) -> tuple[Entry, ...]:
        """Give the entries of a key as they were put, IPv4 before IPv6 where nothing else was said.

        Returns:
            `tuple[Entry, ...]`.
        Raises:
            KeyError: no such key.  TypeError: it is no text.  SnapshotError: its record is damaged.
        """
    def facts(
        self, key: str, /
    ) -> tuple[tuple[Entry, ...], int, tuple[int, ...], tuple[int, ...], int, dict[str, Any]]:
        """Give all that the record of a key says: entries, flags, links, within, created, notes."""
    def keys_linked(self, number: int, /) -> list[str]:
        """Name the keys that are linked to a list, or lie within it, by the list's number."""
    def keys_bare(self) -> list[str]:
        """Name the enabled keys without entries, links or `within`, but for those that need a list."""
    def verify(self) -> None:
        """Look at every byte that a check may read.

        Raises:
            SnapshotError: with what is wrong.  After it has returned, every key is found, every entry is a prefix,
            every link names a list, and nothing lies outside.
        Cost: a second for some million keys.
        """
    def sealed_header(self, *, epoch: int, generation: int, body_checksum: int | None = None) -> bytes:
        """Give the header as it goes into a file, with its checksums.

        Args:
            epoch, generation: the revision that it says.
            body_checksum: of all behind the header, where somebody has summed it already; None to sum it now.
        Returns:
            `bytes`, 128 long.
        Cost: one pass over the block, without the checksum.
        """
    def check_sums(self, *, whole: bool = True) -> None:
        """Compare the checksums with what they were made of; that of the body only if `whole`.

        Raises:
            SnapshotError: one of them is wrong.
        """
    if sys.version_info >= (3, 12):
        def __buffer__(self, flags: int, /) -> memoryview: ...

    def __copy__(self) -> KeyStore: ...
    def __deepcopy__(self, memo: object, /) -> KeyStore: ...
    def __len__(self) -> int: ...
    def __contains__(self, key: str, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...

def read_header(start: bytes, size: int, /) -> tuple[int, int, int]:
    """Read what the header of a file says, without the rest of the file.

    Args:
        start: the first 128 bytes; fewer if the file is shorter.
        size: of the file.
    Returns:
        Epoch, generation, and the checksum of the body.
    Raises:
        SnapshotError: it is no header, or its own checksum is wrong.
    """

def unpickled(block: bytes, sum_of_block: int, /) -> KeyStore:
    """Make a store of a block that came in a pickle; every byte of it is looked at first."""
