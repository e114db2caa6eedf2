# cython: language_level=3
"""Writing a block: records one behind the other, then its header and its buckets.

    entries --read_entries--> numbers --add_record--> one growing piece of memory with all records
                                                                |
    a block  <-- header, about, buckets <-- build_block --------'

Records are copied once, into the block.  So building needs twice the memory of the block, and no other memory for each
key.  A record of another block is copied as bytes.

A short list of entries is stored as it was given, IPv4 before IPv6.  A longer list is merged to sorted ranges, and its
entries are in the notes. block_layout.h describes a block.  `Builder` in store.pyx has the functions that need a
`KeyStore`.

Cost: a step for each entry; for a block, two hashes for each key and one copy of the records.
Threads: a builder belongs to one thread.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.unicode cimport PyUnicode_Check, PyUnicode_CheckExact
from libc.stdint cimport SIZE_MAX, UINT16_MAX, UINT32_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from cidrmatch._core.address cimport Bits, base_text
from cidrmatch._core.prefix cimport check_is_list
from cidrmatch._core.prefixes cimport PrefixArray, RangeArray, merge, unpack4
from cidrmatch._keys.block cimport (
    HAS_ENTRIES, IS_ENABLED, IS_SORTED4, IS_SORTED6, STORE_PAD, UNIT, Bucket, Parts, Question, Record, Store,
    StoreHeader, block_memory, block_size, digest_keys, fill_buckets, find_name, find_parts, point_into, record_at,
    rounded, write_header,
)

from collections.abc import Mapping

from ..errors import quote
from .._core import wrong_key
from .notes import notes_of

__all__ = ["BlockBuilder", "named", "pairs_of"]

cdef enum:
    SCANNED4 = 64               # a list with more entries is stored as ranges
    SCANNED6 = 32
    KEYS_IN_BUCKET = 5          # of 8 places, on average
    MOST_SEEDS = 16
    LEAST_ROOM = 4096

cdef size_t MOST_BYTES = 1 << 30        # of a key, or of notes


# -- Keys ---------------------------------------------------------------------

cdef bytes encoded_key(object key):
    """The bytes of a key; half of a surrogate pair is allowed."""
    return key.encode("utf-8", "surrogatepass")


cdef object name_of(object key, Py_ssize_t index=-1):
    """The key as an exact `str`; TypeError for anything but a text, which cannot even be an unknown key."""
    if PyUnicode_CheckExact(key):
        return key
    if not PyUnicode_Check(key):
        raise wrong_key(key, None if index < 0 else index)
    return base_text(key)


def pairs_of(lists, /):
    """Yield key and entries of a mapping or of pairs; TypeError or ValueError with the position of what is no pair."""
    cdef Py_ssize_t i = 0
    if isinstance(lists, (str, bytes)):
        raise TypeError(f"a mapping from key to entries was expected, or pairs of both, not one {type(lists).__name__}")
    for pair in lists.items() if isinstance(lists, Mapping) else lists:
        if type(pair) is not tuple and type(pair) is not list:
            raise TypeError(f"item {i}: a pair of a key and its entries was expected, not {type(pair).__name__}")
        if len(pair) != 2:
            raise ValueError(f"item {i}: a pair of a key and its entries was expected, not {len(pair)} items")
        yield pair[0], pair[1]
        i += 1


def named(error, key, /):
    """Give an error about the entries of a key with the key's name: in `key` where it has one, else in its message."""
    if hasattr(error, "key"):
        error.key = key
        return error
    return type(error)(f"the key {quote(key)}: {error}") if type(error) in (TypeError, ValueError) else error


# -- Records ------------------------------------------------------------------

cdef class BlockBuilder:
    """BlockBuilder()\n--\n\nWrite records one behind the other, and make a block of them."""

    def __cinit__(self):
        self.block = NULL
        self.prefixes = PrefixArray()
        self.used = sizeof(StoreHeader)

    def __dealloc__(self):
        PyMem_RawFree(self.block)

    cdef int make_room(self, uint64_t size) except -1:
        cdef uint64_t room = self.room
        cdef void *grown
        if self.used + size <= room:
            return 0
        room = max(<uint64_t>LEAST_ROOM, room + (room >> 1), self.used + size)
        grown = PyMem_RawRealloc(self.block, room)
        if grown is NULL:
            raise MemoryError()
        self.block = <uint8_t *>grown
        self.room = room
        return 0

    @cython.embedsignature(False)       # it would show the names of flags, which Python does not know
    def add(self, key, entries, /, *, unsigned int flags=IS_ENABLED | HAS_ENTRIES, long long created=0,
            tuple links not None=(), tuple within not None=(), bytes notes not None=b""):
        """add($self, key, entries, /, *, flags=5, created=0, links=(), within=(), notes=b'')\n--\n\nAdd a key.

        Args:
            key: text.
            entries: what an `AllowList` takes; for `flags` other than the default, those without conditions.
            flags, created, links, within, notes: as a record has them; notes of its own are added where the
                entries alone do not tell what was given.
        Raises:
            InvalidPrefix: with `index`.  TypeError, ValueError: the key or an entry is of another kind.
        """
        cdef Question question
        cdef bint tells_all
        if not PyUnicode_CheckExact(key):
            raise TypeError(f"a key is named by a text, not {type(key).__name__}")
        check_is_list(entries)
        entries = entries if type(entries) is list or type(entries) is tuple else list(entries)
        tells_all = self.read_entries(entries)
        if not notes and not tells_all:
            notes = notes_of(entries)
        if find_name(key, &question):
            self.add_record(question.key, question.key_size, flags, created, links, within, notes)
        else:
            name = encoded_key(key)
            self.add_record(<const uint8_t *>PyBytes_AS_STRING(name), <size_t>PyBytes_GET_SIZE(name), flags, created,
                            links, within, notes)

    cdef bint read_entries(self, object entries) except -1:
        """Read every entry, or raise; return whether the binary record alone reproduces the entries.

        It does if there are few entries without labels, and IPv4 entries stand before IPv6 entries.
        """
        cdef Bits bits
        cdef Py_ssize_t i = 0
        cdef PrefixArray prefixes = self.prefixes
        cdef Py_ssize_t before6 = 0         # IPv4 entries that stand before the first IPv6 entry
        cdef bint is_labelled = False
        prefixes.size4 = 0
        prefixes.size6 = 0
        for entry in entries:
            if not prefixes.add_common(entry):
                is_labelled |= prefixes.add_entry(entry, i, "a store", &bits) is not None
            if prefixes.size6 == 0:
                before6 = prefixes.size4
            i += 1
        return not is_labelled and self.is_short() and before6 == prefixes.size4

    cdef bint is_short(self) noexcept:
        return self.prefixes.size4 <= SCANNED4 and self.prefixes.size6 <= SCANNED6

    cdef int add_record(self, const uint8_t *key, size_t key_size, uint32_t flags, int64_t created, tuple links,
                        tuple within, bytes notes) except -1:
        """Write a record of the prefixes that were read."""
        cdef Record draft
        cdef Record *record
        cdef Parts parts
        cdef PrefixArray prefixes = self.prefixes
        cdef RangeArray merged = None
        cdef Py_ssize_t count4 = prefixes.size4, count6 = prefixes.size6, i
        cdef uint64_t size
        if len(links) > UINT16_MAX or len(within) > UINT16_MAX:
            raise ValueError("a key is linked to at most 65,535 lists")
        if not self.is_short():
            prefixes.sort()
            merged = merge(prefixes)
            count4 = 0
            while count4 < merged.size and merged.ranges[count4].family == 4:
                count4 += 1
            count6 = merged.size - count4
            flags |= IS_SORTED4 | IS_SORTED6
        if key_size > MOST_BYTES or <size_t>len(notes) > MOST_BYTES:
            raise ValueError("the key, or what was said about it, is too long")
        # 1. how large?
        memset(&draft, 0, sizeof(Record))
        draft.notes_size = <uint32_t>len(notes)
        draft.key_size = <uint32_t>key_size
        draft.count4 = <uint32_t>count4
        draft.count6 = <uint32_t>count6
        draft.links = <uint16_t>len(links)
        draft.within = <uint16_t>len(within)
        draft.flags = flags
        draft.created = created
        size = rounded(find_parts(&draft, &parts), UNIT)
        if size // UNIT > UINT32_MAX:
            raise ValueError("the record of a key takes more than 32 GiB")
        draft.size = <uint32_t>(size // UNIT)
        self.make_room(size)
        # 2. write
        record = <Record *>(self.block + self.used)
        memset(record, 0, size)
        record[0] = draft
        find_parts(record, &parts)
        memcpy(<void *>parts.key, key, key_size)
        for i in range(draft.links):
            (<uint32_t *>parts.links)[i] = links[i]
        for i in range(draft.within):
            (<uint32_t *>parts.links)[draft.links + i] = within[i]
        memcpy(<void *>parts.notes, PyBytes_AS_STRING(notes), draft.notes_size)
        if merged is None:
            write_entries(&parts, prefixes)
        else:
            write_ranges(&parts, merged, count4)
        self.used += size
        self.keys += 1
        return 0

    cdef bint copy_record(self, const Record *record, const uint32_t *numbers, uint32_t lists) noexcept nogil:
        """Copy a record of another block, with new numbers of links; False if the copy is not valid.

        The block may be a file that somebody rewrites in place, so the copy is checked, not the record.
        """
        cdef uint64_t size = <uint64_t>record.size * UNIT
        cdef Record *copy = <Record *>(self.block + self.used)
        cdef Parts parts
        cdef uint32_t i
        if size < sizeof(Record) or size > self.room - self.used:
            return False
        memcpy(copy, record, size)
        copy.size = <uint32_t>(size // UNIT)
        if find_parts(copy, &parts) > size:
            return False
        for i in range(<uint32_t>copy.links + copy.within):
            if parts.links[i] >= lists:
                return False
            if numbers is not NULL:
                (<uint32_t *>parts.links)[i] = numbers[parts.links[i]]
        self.used += size
        self.keys += 1
        return True

    cdef uint8_t *build_block(self, uint64_t generation, uint32_t lists, bytes about) except NULL:
        """Make a block of the records; the builder is empty afterwards.  The caller gives the block back by `free`."""
        cdef uint64_t records_end = self.used, keys = self.keys, bucket_count, size
        cdef StoreHeader *header
        cdef uint8_t *block
        # 1. memory.  The records are copied into new memory, because memory that has grown does not have large pages
        bucket_count = max(<uint64_t>1, (keys + KEYS_IN_BUCKET - 1) // KEYS_IN_BUCKET)
        if records_end >> 32 >= <uint64_t>UNIT:
            raise ValueError("the records take more than 32 GiB")
        size = block_size(records_end, <uint64_t>len(about), bucket_count)
        block = <uint8_t *>block_memory(size)
        if block is NULL:
            raise MemoryError()
        # 2. header, records, the part about the whole
        header = write_header(block, records_end, <uint64_t>len(about), keys, bucket_count)
        header.generation = generation
        header.lists = lists
        if self.block is not NULL:
            memcpy(block + sizeof(StoreHeader), self.block + sizeof(StoreHeader), records_end - sizeof(StoreHeader))
        memset(block + records_end, 0, size - records_end)
        memcpy(block + records_end + STORE_PAD, PyBytes_AS_STRING(about), <size_t>len(about))
        PyMem_RawFree(self.block)
        self.block = NULL
        self.room = self.keys = 0
        self.used = sizeof(StoreHeader)
        # 3. buckets
        try:
            enter_keys(block, header)
        except BaseException:
            free(block)
            raise
        return block


cdef int enter_keys(uint8_t *block, StoreHeader *header) except -1:
    """Fill the buckets, with the first seed that spreads the keys well enough."""
    cdef uint64_t salt, found = 1
    cdef const Record *twice
    cdef Store store
    cdef Parts parts
    point_into(&store, header, block)
    for salt in range(<uint64_t>MOST_SEEDS):
        with nogil:
            memset(block + header.buckets, 0, header.bucket_count * sizeof(Bucket))
            header.seed[0] = digest_keys(&store, salt)
            header.seed[1] = digest_keys(&store, ~salt)
            point_into(&store, header, block)
            found = fill_buckets(&store, <Bucket *>(block + header.buckets))
        if found != 1:
            break
    if found > 1:
        twice = record_at(&store, found, &parts)
        name = (<const char *>parts.key)[:twice.key_size]
        raise ValueError(f"the key {name.decode('utf-8', 'surrogatepass')!r} was added twice")
    if found == 1:
        raise ValueError("no seed spreads these keys")
    header.most_probes = store.most_probes
    return 0


cdef void *allocated(uint64_t count, size_t size) except NULL:
    """Memory for `count` items, at least for one; MemoryError also for an impossible count from a file."""
    cdef void *memory = PyMem_RawMalloc(max(<size_t>1, <size_t>count) * size) if count <= SIZE_MAX // size else NULL
    if memory is NULL:
        raise MemoryError()
    return memory


cdef void write_entries(const Parts *parts, PrefixArray prefixes) noexcept:
    cdef Py_ssize_t i
    cdef Bits bits
    for i in range(prefixes.size4):
        unpack4(prefixes.array4[i], &bits)
        (<uint32_t *>parts.first4)[i] = <uint32_t>(bits.upper >> 32)
        (<uint8_t *>parts.length4)[i] = bits.length
    for i in range(prefixes.size6):
        (<uint64_t *>parts.first6)[i] = prefixes.array6[i].upper
        (<uint64_t *>parts.first6)[prefixes.size6 + i] = prefixes.array6[i].lower
        (<uint8_t *>parts.length6)[i] = <uint8_t>prefixes.array6[i].length


cdef void write_ranges(const Parts *parts, RangeArray merged, Py_ssize_t count4) noexcept:
    cdef Py_ssize_t i, count6 = merged.size - count4
    for i in range(count4):
        (<uint32_t *>parts.first4)[i] = <uint32_t>(merged.ranges[i].first_upper >> 32)
        (<uint32_t *>parts.last4)[i] = <uint32_t>(merged.ranges[i].last_upper >> 32)
    for i in range(count6):
        (<uint64_t *>parts.first6)[i] = merged.ranges[count4 + i].first_upper
        (<uint64_t *>parts.first6)[count6 + i] = merged.ranges[count4 + i].first_lower
        (<uint64_t *>parts.last6)[i] = merged.ranges[count4 + i].last_upper
        (<uint64_t *>parts.last6)[count6 + i] = merged.ranges[count4 + i].last_lower
