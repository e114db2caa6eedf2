# cython: language_level=3
"""The key store: what a million keys may be used from, in one block.  How a block looks is told in store.h.

    pairs --Builder--> one growing piece of memory, record after record
                       + buckets at its end  = a block
    block --KeyStore-> asked; saved as it is; mapped from a file, or from shared memory

Records are written one behind the other, and move once, to the block that is
made of them; so memory while building is the block twice, and nothing for each
key.  A new block out of an old one copies the records that did not change, as bytes.

A short list of entries stands in its record as it was given, IPv4 before IPv6.
A longer one is merged to sorted ranges, and what it was is in the notes.  Notes
are JSON, read only by whoever asks what was said about the key; a check does
not touch them.

Cost: a check, a hash and two places in memory; a batch, many of these at a time.
Threads: a store never changes; nobody writes, nobody locks.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.ref cimport Py_INCREF, PyObject
from cpython.unicode cimport PyUnicode_Check, PyUnicode_CheckExact
from libc.stdint cimport SIZE_MAX, UINT16_MAX, UINT32_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, qsort
from libc.string cimport memcpy, memset

from cidrmatch._core.address cimport (
    OK, Bits, Text, base_text, find_text, overlap, set_ipv4, take_address, vectors_here, width,
)
from cidrmatch._core.prefix cimport (
    Prefix, PrefixArray, RangeArray, check_is_list, has_host_bits, is_before, merge, new_prefix, widen,
)
from cidrmatch._core.allow_list cimport Answers, refuse_overlap

import json
import zlib
from array import array
from collections.abc import Mapping

from ..errors import InvalidPrefix, SnapshotError, quote
from .._core.condition import fields_of_condition
from .._core.prefix import Entry, take_apart
from .reasons import Reason
from .._core.refusal import wrong_key

__all__ = ["BY_NOTES", "ENABLED", "INACTIVE_ALONE", "LISTED", "Builder", "KeyStore"]

ENABLED = IS_ENABLED            # flags of a record, for the room above
INACTIVE_ALONE = NEEDS_LIST
LISTED = HAS_ENTRIES
BY_NOTES = NEEDS_OBJECTS

cdef extern from "_keys/c/store.h" nogil:
    enum:
        STORE_FORMAT
        STORE_ORDER
        UNIT
        BUCKET
        STORE_PAD
    void *block_memory(uint64_t size)
    const char *refuse_header(const StoreHeader *header, uint64_t size)
    void point_into(Store *store, const StoreHeader *header, const uint8_t *block)
    uint64_t fill_buckets(Store *store, Bucket *buckets)
    uint64_t digest_keys(const Store *store, uint64_t salt)
    int compare_records(const void *a, const void *b)
    void prefetch "CIDRMATCH_PREFETCH"(const void *where)
    const Record *record_at(const Store *store, uint64_t place, Parts *parts)
    uint64_t find_parts(const Record *record, Parts *parts)

cdef extern from "Python.h":
    PyObject *PyList_GET_ITEM(object items, Py_ssize_t i)
    tuple PyTuple_New(Py_ssize_t count)
    void PyTuple_SET_ITEM(object items, Py_ssize_t i, object item)

cdef enum:
    AHEAD = 16                  # objects that are fetched before they are needed
    SCANNED4 = 64               # entries that are asked one by one
    SCANNED6 = 32
    KEYS_IN_BUCKET = 5          # of 8, on the average
    MOST_SEEDS = 16
    LEAST_ROOM = 4096
    PIECE = 16 << 20            # bytes that are summed at a time

cdef size_t MOST_BYTES = 1 << 30        # of a key, or of notes
cdef tuple REASONS = tuple(Reason)
cdef object BARE = object()             # makes a store without a block, for who gives it one at once


# -- Keys ---------------------------------------------------------------------

cdef bytes encoded_key(object key):
    """The bytes of a key; half a surrogate pair has some, too."""
    return key.encode("utf-8", "surrogatepass")


cdef object name_of(object key, Py_ssize_t index=-1):
    """The exact text of a key, or TypeError: what is no text names no key, not even an unknown one."""
    if PyUnicode_CheckExact(key):
        return key
    if not PyUnicode_Check(key):
        raise wrong_key(key, None if index < 0 else index)
    return base_text(key)


cdef bint find_name(object key, Question *question) noexcept:
    """Point at the bytes of a key, if it is an exact ASCII `str`; they live as long as it does."""
    cdef Text text
    if not find_text(key, &text):
        return False
    question.key = text.start
    question.key_size = <size_t>text.length
    return True


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


# -- Building -----------------------------------------------------------------

@cython.final
cdef class Builder:
    """Builder()\n--\n\nWrite records one behind the other; `build` makes a `KeyStore` of them, and nothing is left."""

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

    @cython.embedsignature(False)       # it would show the names of the flags, which no other program can read
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
        """Read every entry, or raise.  Will the record alone tell what was given: few, no labels, IPv4 before IPv6?"""
        cdef Bits bits
        cdef Py_ssize_t i = 0
        cdef PrefixArray prefixes = self.prefixes
        cdef Py_ssize_t narrow_before_wide
        cdef bint is_labelled = False
        prefixes.narrow_size = 0
        prefixes.wide_size = 0
        narrow_before_wide = 0
        for entry in entries:
            if not prefixes.add_common(entry):
                is_labelled |= prefixes.add_entry(entry, i, "a store", &bits) is not None
            if prefixes.wide_size == 0:
                narrow_before_wide = prefixes.narrow_size
            i += 1
        return not is_labelled and self.is_short() and narrow_before_wide == prefixes.narrow_size

    cdef bint is_short(self) noexcept:
        return self.prefixes.narrow_size <= SCANNED4 and self.prefixes.wide_size <= SCANNED6

    cdef int add_record(self, const uint8_t *key, size_t key_size, uint32_t flags, int64_t created, tuple links,
                        tuple within, bytes notes) except -1:
        """Write a record of the prefixes that were read."""
        cdef Record draft
        cdef Record *record
        cdef Parts parts
        cdef PrefixArray prefixes = self.prefixes
        cdef RangeArray merged = None
        cdef Py_ssize_t narrow = prefixes.narrow_size, wide = prefixes.wide_size, i
        cdef uint64_t size
        if len(links) > UINT16_MAX or len(within) > UINT16_MAX:
            raise ValueError("a key is linked to at most 65,535 lists")
        if not self.is_short():
            merged = self.merged()
            narrow = 0
            while narrow < merged.size and merged.ranges[narrow].family == 4:
                narrow += 1
            wide = merged.size - narrow
            flags |= IS_SORTED4 | IS_SORTED6
        if key_size > MOST_BYTES or <size_t>len(notes) > MOST_BYTES:
            raise ValueError("the key, or what was said about it, is too long")
        # 1. how large?
        memset(&draft, 0, sizeof(Record))
        draft.notes_size = <uint32_t>len(notes)
        draft.key_size = <uint32_t>key_size
        draft.narrow = <uint32_t>narrow
        draft.wide = <uint32_t>wide
        draft.links = <uint16_t>len(links)
        draft.within = <uint16_t>len(within)
        draft.flags = flags
        draft.created = created
        size = (find_parts(&draft, &parts) + UNIT - 1) & ~<uint64_t>(UNIT - 1)
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
            write_ranges(&parts, merged, narrow)
        self.used += size
        self.keys += 1
        return 0

    cdef RangeArray merged(self):
        self.prefixes.sort()
        return merge(self.prefixes)

    cdef bint copy_record(self, const Record *record, const uint32_t *numbers, uint32_t lists) noexcept nogil:
        """Take over a record of another block, its links by their new numbers; False where it does not fit any more.

        The block may be a file that somebody rewrites in place, so the copy is what is judged, not the record.
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

    def copy(self, KeyStore store not None, without, numbers=None, *, bint in_order=False):
        """Take over all records of a store but for some keys.

        Args:
            without: the keys to leave out; those that are not there do not matter.
            numbers: for each list that a link may name, its new number; None: they stay.
            in_order: sorted by key, so that the same content gives the same bytes.
        """
        cdef set left_out = set()
        cdef const Record *record
        cdef Parts parts
        cdef uint64_t place
        cdef uint64_t limit = store.store.rest, most = <uint64_t>len(store)
        cdef uint64_t i, count = 0, size = 0
        cdef const Record **sorted_records
        cdef const uint32_t *numbers_at = NULL
        cdef uint32_t lists = store.lists
        cdef uint32_t[::1] renumbered
        cdef bint is_copied = True
        if numbers is not None:
            renumbered = as_numbers(numbers)
            numbers_at = &renumbered[0]
            lists = <uint32_t>renumbered.shape[0] - 1
        for key in without:
            if store.find(key, &record, &parts) == MATCHED:
                left_out.add(<uintptr_t>record)
        sorted_records = <const Record **>allocated(most, sizeof(void *))
        try:
            place = store.store.records // UNIT
            while place * UNIT < limit:
                record = store.record(place, &parts)
                if count == most:
                    raise SnapshotError("there are more keys than it says")
                check_links(record, &parts, lists)
                if not left_out or <uintptr_t>record not in left_out:
                    sorted_records[count] = record
                    count += 1
                    size += <uint64_t>record.size * UNIT
                place += record.size
            self.make_room(size)
            with nogil:
                if in_order:
                    qsort(sorted_records, count, sizeof(void *), compare_records)
                for i in range(count):
                    is_copied &= self.copy_record(sorted_records[i], numbers_at, lists)
            if not is_copied:
                raise SnapshotError("a record changed while it was copied")
        finally:
            PyMem_RawFree(sorted_records)

    def build(self, *, unsigned long long generation=0, unsigned int lists=0, bytes rest not None=b""):
        """Make a store of what was added.

        Args:
            generation: the number of this version of the data.
            lists: how many named lists there are.
            rest: bytes for the room above.
        Raises:
            ValueError: a key was added twice.
        Returns:
            `KeyStore`.  The builder is empty afterwards.
        """
        cdef KeyStore built = KeyStore.__new__(KeyStore, BARE)
        cdef uint64_t rest_at = self.used, keys = self.keys, buckets_at, bucket_count, size, salt, found = 1
        cdef StoreHeader *header
        cdef Parts parts
        cdef uint8_t *block
        # 1. places of all parts
        bucket_count = max(<uint64_t>1, (keys + KEYS_IN_BUCKET - 1) // KEYS_IN_BUCKET)
        buckets_at = (rest_at + STORE_PAD + <uint64_t>len(rest) + 63) & ~<uint64_t>63
        size = buckets_at + bucket_count * sizeof(Bucket)
        if rest_at >> 32 >= <uint64_t>UNIT:
            raise ValueError("the records take more than 32 GiB")
        # The records move once, to memory that has not grown: growing would have cut large pages into small ones.
        block = <uint8_t *>block_memory(size)
        if block is NULL:
            raise MemoryError()
        built.made = block
        if self.block is not NULL:
            memcpy(block + sizeof(StoreHeader), self.block + sizeof(StoreHeader), rest_at - sizeof(StoreHeader))
        PyMem_RawFree(self.block)
        self.block = NULL
        self.room = self.keys = 0
        self.used = sizeof(StoreHeader)
        memset(block + rest_at, 0, size - rest_at)
        memcpy(block + rest_at + STORE_PAD, PyBytes_AS_STRING(rest), <size_t>len(rest))
        # 2. the header
        header = <StoreHeader *>block
        memset(header, 0, sizeof(StoreHeader))
        memcpy(header.magic, b"cidrkeys", 8)
        header.format = STORE_FORMAT
        header.order = STORE_ORDER
        header.size = size
        header.generation = generation
        header.keys = keys
        header.records = sizeof(StoreHeader)
        header.rest = rest_at
        header.rest_size = <uint64_t>len(rest)
        header.buckets = buckets_at
        header.bucket_count = bucket_count
        header.lists = lists
        # 3. the buckets, by the first seed that spreads the keys well enough
        point_into(&built.store, header, block)
        for salt in range(<uint64_t>MOST_SEEDS):
            with nogil:
                memset(block + buckets_at, 0, bucket_count * sizeof(Bucket))
                header.seed[0] = digest_keys(&built.store, salt)
                header.seed[1] = digest_keys(&built.store, ~salt)
                point_into(&built.store, header, block)
                found = fill_buckets(&built.store, <Bucket *>(block + buckets_at))
            if found != 1:
                break
        if found > 1:
            record_at(&built.store, found, &parts)
            name = (<const char *>parts.key)[:record_at(&built.store, found, &parts).key_size]
            raise ValueError(f"the key {name.decode('utf-8', 'surrogatepass')!r} was added twice")
        if found == 1:
            raise ValueError("no seed spreads these keys")
        header.most_probes = built.store.most_probes
        built.open_block(block, size)
        return built


cdef void *allocated(uint64_t count, size_t size) except NULL:
    """Memory for so many items, at least for one; or MemoryError, also for a count that somebody wrote into a file."""
    cdef void *memory = PyMem_RawMalloc(max(<size_t>1, <size_t>count) * size) if count <= SIZE_MAX // size else NULL
    if memory is NULL:
        raise MemoryError()
    return memory


cdef int check_links(const Record *record, const Parts *parts, uint32_t lists) except -1:
    cdef uint32_t i
    for i in range(<uint32_t>record.links + record.within):
        if parts.links[i] >= lists:
            raise SnapshotError("a key is linked to a list that is not there")
    return 0


cdef object as_numbers(numbers):
    """Numbers as an array that is never empty."""
    return memoryview(array("I", [*numbers, 0]))


cdef void write_entries(const Parts *parts, PrefixArray prefixes) noexcept:
    cdef Py_ssize_t i
    cdef Bits bits
    for i in range(prefixes.narrow_size):
        widen(prefixes.narrow[i], &bits)
        (<uint32_t *>parts.first4)[i] = <uint32_t>(bits.upper >> 32)
        (<uint8_t *>parts.length4)[i] = bits.length
    for i in range(prefixes.wide_size):
        (<uint64_t *>parts.first6)[i] = prefixes.wide[i].upper
        (<uint64_t *>parts.first6)[prefixes.wide_size + i] = prefixes.wide[i].lower
        (<uint8_t *>parts.length6)[i] = <uint8_t>prefixes.wide[i].length


cdef void write_ranges(const Parts *parts, RangeArray merged, Py_ssize_t narrow) noexcept:
    cdef Py_ssize_t i, wide = merged.size - narrow
    for i in range(narrow):
        (<uint32_t *>parts.first4)[i] = <uint32_t>(merged.ranges[i].first_upper >> 32)
        (<uint32_t *>parts.last4)[i] = <uint32_t>(merged.ranges[i].last_upper >> 32)
    for i in range(wide):
        (<uint64_t *>parts.first6)[i] = merged.ranges[narrow + i].first_upper
        (<uint64_t *>parts.first6)[wide + i] = merged.ranges[narrow + i].first_lower
        (<uint64_t *>parts.last6)[i] = merged.ranges[narrow + i].last_upper
        (<uint64_t *>parts.last6)[wide + i] = merged.ranges[narrow + i].last_lower


def use_vectors(KeyStore store not None, int vectors, /):
    """The same block, asked with no wider vectors than these: 0 none, 1 AVX2, 2 AVX-512.  For tests and benchmarks."""
    cdef KeyStore narrowed = KeyStore.from_buffer(store)
    narrowed.store.vectors = min(vectors, vectors_here())
    return narrowed


def hash_of(bytes text not None, unsigned long long first, unsigned long long second, /):
    """The hash of a key under a seed, for tests: SipHash-1-3."""
    cdef uint64_t[2] seed = [first, second]
    return siphash(seed, <const uint8_t *>PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text))


def written(entry, /):
    """Give an entry as plain values: its text, or a mapping where there is more to say."""
    prefix, label, condition = take_apart(entry)
    prefix = str(prefix if type(prefix) is Prefix else Prefix(prefix))
    fields = {} if label is None else {"label": label}
    if condition is not None:
        fields.update(fields_of_condition(condition))
    return {"prefix": prefix, **fields} if fields else prefix


def notes_of(entries, /, **fields):
    """Write notes: JSON with sorted names, the same for the same content; fields are text, or entries, or None."""
    said = {"entries": list(map(written, entries))}     # no comprehension: check.pyx tells why, at `level_of`
    for name, value in fields.items():
        if value is not None:
            said[name] = value if type(value) is str else list(map(written, value))
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")


# -- The store ----------------------------------------------------------------

@cython.final
cdef class KeyStore:
    """KeyStore(lists=(), /)\n--\n\nHold lists for many keys in one block of memory: may this address use this key?

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

    def __cinit__(self, lists=(), /):
        cdef Builder builder
        cdef KeyStore built
        self.made = NULL
        self.kept = {}
        if lists is BARE:
            return
        builder = Builder()
        for key, entries in pairs_of(lists):
            try:
                builder.add(key, entries)
            except (InvalidPrefix, TypeError, ValueError) as error:
                raise named(error, key) from None
        built = builder.build()
        self.made, built.made = built.made, NULL
        self.open_block(self.made, built.header.size)

    @classmethod
    def from_buffer(cls, buffer, /):
        """Ask a block that lies elsewhere: a mapped file, shared memory, `bytes`.

        Args:
            buffer: any contiguous buffer, at an address that is a multiple of 8; it is held, and must not change.
        Raises:
            SnapshotError: this is no block, or of another format.
        Cost: constant; `verify` looks at all of it.
        """
        cdef KeyStore store = KeyStore.__new__(KeyStore, BARE)
        PyObject_GetBuffer(buffer, &store.view, PyBUF_SIMPLE)
        store.is_held = True
        store.open_block(<const uint8_t *>store.view.buf, <uint64_t>store.view.len)
        return store

    def __dealloc__(self):
        free(self.made)
        if self.is_held:
            PyBuffer_Release(&self.view)

    cdef int open_block(self, const uint8_t *block, uint64_t size) except -1:
        if <uintptr_t>block % UNIT:
            raise ValueError("a block begins at a multiple of 8")
        copy_header(&self.header, block, size)
        point_into(&self.store, &self.header, block)
        self.store.vectors = vectors_here()
        return 0

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, <void *>self.store.block, <Py_ssize_t>self.header.size, True, flags)

    @property
    def block(self):
        """All of its bytes, as a read-only `memoryview`."""
        return memoryview(self)

    @property
    def generation(self):
        """The number of this version of the data, within its epoch."""
        return self.header.generation

    @property
    def epoch(self):
        """Which history of the data this is a version of; 0 for a block that was never in a file."""
        return self.header.epoch

    @property
    def body_checksum(self):
        """The checksum of all bytes behind the header, as the header says it; 0 for a block that was never sealed."""
        return self.header.body_checksum

    @property
    def lists(self):
        """How many named lists the keys may be linked to."""
        return self.header.lists

    @property
    def rest(self):
        """The bytes that are kept for the room above."""
        cdef const uint8_t *start = self.store.block + self.store.rest + STORE_PAD
        return start[:self.header.rest_size]

    # 1. One question.

    cdef Verdict find(self, object key, const Record **record, Parts *parts) except *:
        """Find the record of a key; TypeError for a key that is no text."""
        cdef Question question
        cdef object name = key
        if not find_name(key, &question):
            name = encoded_key(name_of(key))
            question.key = <const uint8_t *>PyBytes_AS_STRING(name)
            question.key_size = <size_t>PyBytes_GET_SIZE(name)
        return find_record(&self.store, question.key, question.key_size,
                           siphash(self.store.seed, question.key, question.key_size), record, parts)

    cdef Verdict ask(self, object key, object address, const Record **record, Parts *parts) except *:
        """Answer, or say that the record needs more than its own entries (ASK_OBJECTS)."""
        cdef Question question
        cdef Text text
        cdef Verdict verdict
        if find_name(key, &question) and find_text(address, &text):
            # hot: begin
            question.text = text.start
            question.text_size = text.length
            verdict = ask_one(&self.store, &question, record, parts)
            if verdict != ASK_PARSER:
                return verdict
            # hot: end
        else:
            verdict = self.find(key, record, parts)
            if verdict != MATCHED:
                return verdict
            if not is_plain(record[0]):
                return ASK_OBJECTS
        return <Verdict>ask_parsed(self, record[0], parts, address)

    def allows(self, key, address, /):
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
        return self.verdict(key, address) <= LAST_ALLOWED

    def check(self, key, address, /):
        """Tell the `Reason` why a client address may use a key or not.

        Args, Returns, Raises, Cost: as `allows`, but for the `Reason`.
        """
        return REASONS[<int>self.verdict(key, address)]

    cdef Verdict verdict(self, object key, object address) except *:
        cdef const Record *record
        cdef Parts parts
        cdef Verdict verdict = self.ask(key, address, &record, &parts)
        if verdict == ASK_OBJECTS:
            raise LookupError(f"the key {key!r} has more to it than its entries; ask an Engine")
        return verdict

    # 2. Many questions.

    def allows_many(self, keys, addresses, /, *, out=None):
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
        cdef tuple asked_keys = held(keys), asked = held_for(asked_keys, addresses)
        cdef bytearray verdicts = bytearray(len(asked))
        cdef uint8_t[::1] found = verdicts
        cdef Py_ssize_t i
        if len(asked) > 0:
            self.ask_each(asked_keys, asked, None, &found[0])
        for i in range(len(asked)):
            if found[i] >= ASK_OBJECTS:
                found[i] = self.verdict(name_of(asked_keys[i], i), asked[i])
            found[i] = found[i] <= LAST_ALLOWED
        return given_out(verdicts, out, self)

    cdef int ask_each(self, tuple keys, tuple addresses, dict overlay, uint8_t *verdicts) except -1:
        """Answer all that can be answered without objects; ASK_OBJECTS or ASK_PARSER for the others."""
        cdef Py_ssize_t i, count = len(keys)
        cdef Text text
        cdef Question *questions = <Question *>allocated(<uint64_t>count, sizeof(Question))
        try:
            for i in range(count):
                questions[i].text = NULL
                if not find_name(keys[i], &questions[i]) or (overlay and keys[i] in overlay):
                    questions[i].key = NULL
                elif find_text(addresses[i], &text):
                    questions[i].text = text.start
                    questions[i].text_size = text.length
            with nogil:
                ask_many(&self.store, questions, count, verdicts)
        finally:
            PyMem_RawFree(questions)
        return 0

    # 3. What there is.

    def __len__(self):
        return <Py_ssize_t>self.header.keys

    def __reduce__(self):
        block = bytes(self)
        return unpickled, (block, zlib.crc32(block))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo, /):
        return self

    def __repr__(self):
        return f"<KeyStore of {len(self):,} keys, {self.header.size:,} bytes>"

    def __sizeof__(self):
        return object.__sizeof__(self) + (self.header.size if self.made is not NULL else 0)

    def __contains__(self, key):
        cdef const Record *record
        cdef Parts parts
        return self.find(key, &record, &parts) != UNKNOWN_KEY

    def __iter__(self):
        """Name the keys, in the order in which they lie."""
        cdef uint64_t place = self.store.records // UNIT
        cdef const Record *record
        cdef Parts parts
        while place * UNIT < self.store.rest:
            record = self.record(place, &parts)
            place += record.size
            yield key_text(record, &parts)

    cdef const Record *record(self, uint64_t place, Parts *parts) except NULL:
        cdef const Record *record
        memset(parts, 0, sizeof(Parts))     # else the compiler believes that it might stay unset
        record = record_at(&self.store, place, parts)
        if record is NULL or record.size == 0:
            raise SnapshotError("a record does not fit where it lies")
        return record

    def entries(self, key, /):
        """Give the entries of a key as they were put, IPv4 before IPv6 where nothing else was said.

        Returns:
            `tuple[Entry, ...]`.
        Raises:
            KeyError: no such key.  TypeError: it is no text.  SnapshotError: its record is damaged.
        """
        return self.facts(key)[0]

    def facts(self, key, /):
        """Give all that the record of a key says: entries, flags, links, within, created, notes."""
        cdef const Record *record
        cdef Parts parts
        cdef Verdict found = self.find(key, &record, &parts)
        if found == UNKNOWN_KEY:
            raise KeyError(key)
        if found == DAMAGED:
            raise SnapshotError(f"the record of the key {key!r} is damaged")
        return self.read(record, &parts)

    cdef tuple read(self, const Record *record, const Parts *parts):
        cdef uint32_t i
        cdef list links = [], within = []
        for i in range(record.links):
            links.append(parts.links[i])
        for i in range(record.within):
            within.append(parts.links[record.links + i])
        notes = read_notes((<const char *>parts.notes)[:record.notes_size])
        if "entries" in notes:
            entries = parse_notes(notes, "entries")         # None, which is not "no entries", raises below
        elif record.flags & (IS_SORTED4 | IS_SORTED6):
            raise SnapshotError("a long list comes without its entries")
        else:
            entries = read_entries(record, parts)
        return tuple(entries), record.flags, tuple(links), tuple(within), record.created, notes

    def keys_linked(self, unsigned int number, /):
        """Name the keys that are linked to a list, or lie within it, by the list's number."""
        cdef uint64_t place = self.store.records // UNIT
        cdef const Record *record
        cdef Parts parts
        cdef uint32_t i
        cdef list found = []
        while place * UNIT < self.store.rest:
            record = self.record(place, &parts)
            place += record.size
            for i in range(<uint32_t>record.links + record.within):
                if parts.links[i] == number:
                    found.append(key_text(record, &parts))
                    break
        return found

    def keys_bare(self):
        """Name the enabled keys without entries, links or `within`, but for those that need a list."""
        cdef uint64_t place = self.store.records // UNIT
        cdef const Record *record
        cdef Parts parts
        cdef list found = []
        while place * UNIT < self.store.rest:
            record = self.record(place, &parts)
            place += record.size
            if record.flags & (IS_ENABLED | HAS_ENTRIES | NEEDS_LIST) == IS_ENABLED:
                if record.links == 0 and record.within == 0:
                    found.append(key_text(record, &parts))
        return found

    def verify(self):
        """Look at every byte that a check may read.

        Raises:
            SnapshotError: with what is wrong.  After it has returned, every key is found, every entry is a prefix,
            every link names a list, and nothing lies outside.
        Cost: a second for some million keys.
        """
        cdef const char *reason
        with nogil:
            reason = find_fault(&self.store, &self.header)
        if reason is not NULL:
            raise SnapshotError(reason.decode("ascii"))

    # 4. Sums.

    def sealed_header(self, *, unsigned long long epoch, unsigned long long generation):
        """Give the header as it goes into a file, with its checksums.

        Args:
            epoch, generation: the revision that it says.
        Returns:
            `bytes`, 128 long.
        Cost: one pass over the block.
        """
        cdef StoreHeader header = self.header
        header.epoch = epoch
        header.generation = generation
        header.body_checksum = checksum(self.block[sizeof(StoreHeader):])
        header.header_checksum = sum_of_header(header)
        return header_bytes(&header)

    def check_sums(self, *, bint whole=True):
        """Compare the checksums with what they were made of; that of the body only if `whole`.

        Raises:
            SnapshotError: one of them is wrong.
        """
        check_header_sum(&self.header)
        if whole and checksum(self.block[sizeof(StoreHeader):]) != self.header.body_checksum:
            raise SnapshotError("the checksum of the body is wrong")


cdef int copy_header(StoreHeader *header, const uint8_t *block, uint64_t size) except -1:
    """Copy the header of a block, and check the copy.  What a mapped file says later is never read."""
    cdef const char *reason
    memset(header, 0, sizeof(StoreHeader))
    memcpy(header, block, min(size, <uint64_t>sizeof(StoreHeader)))
    reason = refuse_header(header, size)
    if reason is not NULL:
        raise SnapshotError(reason.decode("ascii"))
    return 0


cdef bytes header_bytes(const StoreHeader *header):
    return (<const char *>header)[:sizeof(StoreHeader)]


cdef object sum_of_header(StoreHeader header):
    header.header_checksum = 0
    return zlib.crc32(header_bytes(&header))


cdef int check_header_sum(const StoreHeader *header) except -1:
    if sum_of_header(header[0]) != header.header_checksum:
        raise SnapshotError("the checksum of the header is wrong")
    return 0


cdef object checksum(block):
    found = 0
    for begin in range(0, len(block), PIECE):
        found = zlib.crc32(block[begin : begin + PIECE], found)
    return found


def read_header(bytes start not None, unsigned long long size, /):
    """Read what the header of a file says, without the rest of the file.

    Args:
        start: the first 128 bytes; fewer if the file is shorter.
        size: of the file.
    Returns:
        Epoch, generation, and the checksum of the body.
    Raises:
        SnapshotError: it is no header, or its own checksum is wrong.
    """
    cdef StoreHeader header
    cdef bytes padded = start.ljust(sizeof(StoreHeader), b"\0")
    if len(start) < <Py_ssize_t>sizeof(StoreHeader):
        size = <unsigned long long>len(start)
    copy_header(&header, <const uint8_t *>PyBytes_AS_STRING(padded), size)
    check_header_sum(&header)
    return header.epoch, header.generation, header.body_checksum


def unpickled(bytes block not None, unsigned long sum_of_block, /):
    """Make a store of a block that came in a pickle; every byte of it is looked at first."""
    cdef KeyStore store = KeyStore.from_buffer(block)
    if zlib.crc32(block) != sum_of_block:
        raise SnapshotError("the checksum of the block is wrong")
    store.verify()
    return store


cdef tuple held(object items):
    """The items as a tuple, which holds them while the interpreter lock is released.  Keys mostly lie far away, so the
    objects are fetched some ahead of the one whose references are counted."""
    cdef Py_ssize_t i, count
    cdef tuple kept
    cdef PyObject *item
    check_is_list(items, "keys or addresses")
    if type(items) is not list:
        return tuple(items)
    kept = PyTuple_New(len(items))
    # To allocate may run finalizers, and one may change the list: from here on nothing runs but this.
    count = len(kept)
    if len(items) != count:
        raise ValueError("the list of keys or addresses changed while it was read")
    for i in range(count):
        if i + AHEAD < count:
            prefetch(PyList_GET_ITEM(items, i + AHEAD))
            prefetch(<char *>PyList_GET_ITEM(items, i + AHEAD) + 64)
        item = PyList_GET_ITEM(items, i)
        Py_INCREF(<object>item)
        PyTuple_SET_ITEM(kept, i, <object>item)
    return kept


cdef tuple held_for(tuple keys, object addresses):
    """The addresses as a tuple, one for each key."""
    cdef tuple kept = held(addresses)
    if len(keys) != len(kept):
        raise ValueError(f"{len(keys)} keys, but {len(kept)} addresses")
    return kept


cdef int ask_parsed(KeyStore store, const Record *record, const Parts *parts, object address) except -1:
    """Ask a plain record for an address that the careful parser has to look at."""
    # Declared in the .pxd, so that it stays a call: inlined into `ask`, it costs every check 16 instructions.
    cdef Bits client
    cdef Py_ssize_t position
    if take_address(address, &client, &position) != OK:
        return CLIENT_IP_UNKNOWN
    return MATCHED if record_covers(&store.store, record, parts, &client) else NOT_LISTED


cdef object key_text(const Record *record, const Parts *parts):
    return (<const char *>parts.key)[:record.key_size].decode("utf-8", "surrogatepass")


cdef object given_out(bytearray answers, object out, KeyStore store):
    """The answers as `bytes`, or in the buffer that was given; written at the end, so never by half."""
    cdef Answers into = Answers(out, len(answers), 1)
    # Answers written into the block would change what it says of its keys.
    if store is not None and overlap(store.store.block, <Py_ssize_t>store.header.size, into.view.buf, into.view.len):
        refuse_overlap("store")
    memcpy(into.view.buf, PyByteArray_AS_STRING(answers), <size_t>len(answers))
    return into.result


cdef list read_entries(const Record *record, const Parts *parts):
    """Entries that stand in the record itself."""
    cdef list entries = []
    cdef uint32_t i
    cdef Bits bits
    for i in range(record.narrow):
        set_ipv4(&bits, parts.first4[i])
        bits.length = parts.length4[i]
        entries.append(entry_of(&bits))
    for i in range(record.wide):
        bits.upper = parts.first6[i]
        bits.lower = parts.first6[record.wide + i]
        bits.family = 6
        bits.length = parts.length6[i]
        entries.append(entry_of(&bits))
    return entries


cdef object entry_of(const Bits *bits):
    if not is_prefix_bits(bits):
        raise SnapshotError("an entry is no prefix")
    return Entry(new_prefix(bits))


cdef bint is_prefix_bits(const Bits *bits) noexcept nogil:
    """Is the length one of the family, and no bit set behind it?"""
    return bits.length <= width(bits.family) and not has_host_bits(bits)


cdef object parse_written(entry):
    """An entry out of notes."""
    prefix, label, condition = take_apart(entry)
    return Entry(Prefix(prefix), label, condition)


def parse_notes(notes, name, /):
    """Entries that notes hold under a name, or None."""
    cdef list entries = []
    if notes.get(name) is None:
        return None
    for entry in notes[name]:
        entries.append(parse_written(entry))
    return tuple(entries)


cdef dict read_notes(bytes notes):
    if not notes:
        return {}
    try:
        found = json.loads(notes)
    except ValueError as error:
        raise SnapshotError(f"the notes of a key are no JSON: {error}") from None
    if type(found) is not dict:
        raise SnapshotError("the notes of a key are no JSON object")
    return found


# -- Verifying ----------------------------------------------------------------

cdef const char *find_fault(const Store *store, const StoreHeader *header) noexcept nogil:
    """What is wrong with the records or the buckets; NULL if nothing is."""
    cdef uint64_t place = store.records // UNIT, keys = 0, entered = 0, i
    cdef const Record *record
    cdef const Record *found
    cdef Parts parts, other
    cdef const char *reason
    cdef uint32_t k
    while place * UNIT < store.rest:
        record = record_at(store, place, &parts)
        if record is NULL or record.size == 0:
            return "a record does not fit where it lies"
        reason = find_fault_of(record, &parts, header.lists)
        if reason is not NULL:
            return reason
        if find_record(store, parts.key, record.key_size, siphash(store.seed, parts.key, record.key_size), &found,
                       &other) != MATCHED or found != record:
            return "a key is not found where its hash says"
        keys += 1
        place += record.size
    for i in range(store.bucket_count):
        for k in range(<uint32_t>BUCKET):
            entered += store.buckets[i].places[k] != 0
    if keys != header.keys or entered != header.keys:
        return "there are not as many keys as it says"
    return NULL


cdef const char *find_fault_of(const Record *record, const Parts *parts, uint32_t lists) noexcept nogil:
    cdef uint32_t i
    cdef Bits bits
    cdef bint is_sorted = record.flags & IS_SORTED4 != 0
    if record.flags & ~<uint32_t>(IS_ENABLED | NEEDS_LIST | HAS_ENTRIES | NEEDS_OBJECTS | IS_SORTED4 | IS_SORTED6):
        return "a record has flags that no record has"
    if is_sorted != (record.flags & IS_SORTED6 != 0):
        return "a record is sorted by half"
    if (record.narrow > 0 or record.wide > 0) and not record.flags & (HAS_ENTRIES | NEEDS_OBJECTS):
        return "a record without entries has some"
    for i in range(<uint32_t>record.links + record.within):
        if parts.links[i] >= lists:
            return "a key is linked to a list that is not there"
    for i in range(record.narrow):
        if is_sorted:
            if parts.last4[i] < parts.first4[i] or (i > 0 and parts.first4[i] <= parts.last4[i - 1]):
                return "ranges are not sorted"
        else:
            set_ipv4(&bits, parts.first4[i])
            bits.length = parts.length4[i]
            if not is_prefix_bits(&bits):
                return "an entry is no prefix"
    for i in range(record.wide):
        bits.upper = parts.first6[i]
        bits.lower = parts.first6[record.wide + i]
        bits.family = 6
        if is_sorted:
            if is_before(parts.last6[i], parts.last6[record.wide + i], bits.upper, bits.lower):
                return "ranges are not sorted"
            if i > 0 and not is_before(parts.last6[i - 1], parts.last6[record.wide + i - 1], bits.upper, bits.lower):
                return "ranges are not sorted"
        else:
            bits.length = parts.length6[i]
            if not is_prefix_bits(&bits):
                return "an entry is no prefix"
    return NULL
