# cython: language_level=3
"""The key store: may this address use this key, for millions of keys in one block.

    pairs --Builder--> a block --KeyStore--> asked; saved as it is; or mapped from a file or shared memory
                                   |
                                   '-- allows, check, allows_many     answer by the record alone, or ASK_OBJECTS
                                   '-- entries, facts, keys_linked    read a record
                                   '-- verify, check_sums             is the block valid?

block_layout.h describes a block, store_builder.pyx writes one.  This room opens a block, asks and reads it, and copies
its records into another block.  Notes are JSON (notes.py).

When a block is opened, its header is copied, and only the copy is checked and used.  So later changes of the header in
a memory-mapped file have no effect.

Cost: a check takes a hash and reads two places in memory; a batch does many of these at a time.
Threads: a store never changes, so no lock is needed.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree
from cpython.ref cimport Py_INCREF, PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, qsort
from libc.string cimport memcpy, memset

from cidrmatch._core.address cimport OK, Bits, Text, find_text, overlap, take_uncommon, vectors_here, width
from cidrmatch._core.batch cimport Answers, refuse_overlap
from cidrmatch._core.prefix cimport check_is_list, has_host_bits, new_prefix
from cidrmatch._keys.block cimport (
    ASK_OBJECTS, ASK_PARSER, CLIENT_IP_UNKNOWN, DAMAGED, HAS_ENTRIES, IS_ENABLED, IS_SORTED4, IS_SORTED6, LAST_ALLOWED,
    MATCHED, NEEDS_LIST, NEEDS_OBJECTS, NOT_LISTED, STORE_PAD, UNIT, UNKNOWN_KEY, Parts, Question, Record,
    StoreHeader, Verdict, compare_records, find_fault, find_name, find_record, find_verdict, find_verdicts, is_plain,
    point_into, prefetch, read_own, record_at, record_covers, refuse_header, siphash,
)
from cidrmatch._keys.store_builder cimport BlockBuilder, allocated, encoded_key, name_of

import zlib
from array import array

from ..errors import InvalidPrefix, SnapshotError
from .._core import Entry
from .notes import parse_notes, read_notes
from .reasons import REASONS_BY_VERDICT
from .store_builder import named, pairs_of

__all__ = ["HAS_ENTRIES", "HEADER_BYTES", "IS_ENABLED", "NEEDS_LIST", "NEEDS_OBJECTS", "Builder", "KeyStore"]

# The flags of a record and the size of a header, for Python, under their names in block_layout.h.
globals().update(HAS_ENTRIES=HAS_ENTRIES, IS_ENABLED=IS_ENABLED, NEEDS_LIST=NEEDS_LIST, NEEDS_OBJECTS=NEEDS_OBJECTS,
                 HEADER_BYTES=sizeof(StoreHeader))

cdef extern from "Python.h":
    PyObject *PyList_GET_ITEM(object items, Py_ssize_t i)
    tuple PyTuple_New(Py_ssize_t count)
    void PyTuple_SET_ITEM(object items, Py_ssize_t i, object item)

cdef enum:
    AHEAD = 16                  # how many objects ahead are prefetched
    PIECE = 16 << 20            # bytes that are summed at a time

cdef uint64_t STORES = 0                # made so far
cdef object BARE = object()             # makes a store without a block; the caller then sets the block


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
        global STORES
        cdef BlockBuilder builder
        STORES += 1
        self.serial = STORES
        self.own_block = NULL
        self.rules_made = {}
        if lists is BARE:
            return
        builder = BlockBuilder()
        for key, entries in pairs_of(lists):
            try:
                builder.add(key, entries)
            except (InvalidPrefix, TypeError, ValueError) as error:
                raise named(error, key) from None
        self.open_built(builder.build_block(0, 0, b""))

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
        free(self.own_block)
        if self.is_held:
            PyBuffer_Release(&self.view)

    cdef int open_block(self, const uint8_t *block, uint64_t size) except -1:
        if <uintptr_t>block % UNIT:
            raise ValueError("a block begins at a multiple of 8")
        copy_header(&self.header, block, size)
        point_into(&self.store, &self.header, block)
        self.store.vectors = vectors_here()
        return 0

    cdef int open_built(self, uint8_t *block) except -1:
        """Take over a block from a builder, and free it at the end."""
        self.own_block = block
        return self.open_block(block, (<StoreHeader *>block).size)

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
    def about(self):
        """The bytes about the whole, which no check reads."""
        cdef const uint8_t *start = self.store.block + self.store.records_end + STORE_PAD
        return start[:self.header.about_size]

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

    cdef Verdict find_verdict_for(self, object key, object address, const Record **record, Parts *parts) except *:
        """Answer by the record; ASK_OBJECTS if its own entries are not enough."""
        cdef Question question
        cdef Text text
        cdef Verdict verdict
        if find_name(key, &question) and find_text(address, &text):
            # hot: begin
            question.text = text.start
            question.text_size = text.length
            verdict = find_verdict(&self.store, &question, record, parts)
            if verdict != ASK_PARSER:
                return verdict
            # hot: end
        else:
            verdict = self.find(key, record, parts)
            if verdict != MATCHED:
                return verdict
            if not is_plain(record[0]):
                return ASK_OBJECTS
        return <Verdict>find_verdict_parsed(self, record[0], parts, address)

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
        return REASONS_BY_VERDICT[<int>self.verdict(key, address)]

    cdef Verdict verdict(self, object key, object address) except *:
        cdef const Record *record
        cdef Parts parts
        cdef Verdict verdict = self.find_verdict_for(key, address, &record, &parts)
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
        cdef tuple asked_keys = tuple_of(keys), asked = tuple_for(asked_keys, addresses)
        cdef bytearray verdicts = bytearray(len(asked))
        cdef uint8_t[::1] found = verdicts
        cdef Py_ssize_t i
        if len(asked) > 0:
            self.find_verdicts_for(asked_keys, asked, None, &found[0])
        for i in range(len(asked)):
            if found[i] >= ASK_OBJECTS:
                found[i] = self.verdict(name_of(asked_keys[i], i), asked[i])
            found[i] = found[i] <= LAST_ALLOWED
        return write_answers(verdicts, out, self)

    cdef int find_verdicts_for(self, tuple keys, tuple addresses, dict overlay, uint8_t *verdicts) except -1:
        """Answer the questions that need no Python objects; the verdict of the others is ASK_OBJECTS or ASK_PARSER."""
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
                find_verdicts(&self.store, questions, count, verdicts)
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
        return object.__sizeof__(self) + (self.header.size if self.own_block is not NULL else 0)

    def __contains__(self, key):
        cdef const Record *record
        cdef Parts parts
        return self.find(key, &record, &parts) != UNKNOWN_KEY

    def __iter__(self):
        """Name the keys, in the order in which they lie."""
        cdef uint64_t place = self.store.records // UNIT
        cdef const Record *record
        cdef Parts parts
        while place * UNIT < self.store.records_end:
            record = self.record(place, &parts)
            place += record.size
            yield key_text(record, &parts)

    cdef const Record *record(self, uint64_t place, Parts *parts) except NULL:
        cdef const Record *record
        memset(parts, 0, sizeof(Parts))     # avoids a compiler warning about unset values
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
            entries = parse_notes(notes, "entries")         # None does not mean "no entries"; it raises below
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
        while place * UNIT < self.store.records_end:
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
        while place * UNIT < self.store.records_end:
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

    def sealed_header(self, *, unsigned long long epoch, unsigned long long generation, body_checksum=None):
        """Give the header as it goes into a file, with its checksums.

        Args:
            epoch, generation: the revision that it says.
            body_checksum: of all behind the header, where somebody has summed it already; None to sum it now.
        Returns:
            `bytes`, 128 long.
        Cost: one pass over the block, without the checksum.
        """
        cdef StoreHeader header = self.header
        header.epoch = epoch
        header.generation = generation
        header.body_checksum = checksum(self.block[sizeof(StoreHeader):]) if body_checksum is None else body_checksum
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


# -- Building a store ---------------------------------------------------------

@cython.final
cdef class Builder(BlockBuilder):
    """Builder()\n--\n\nWrite records one behind the other; `build` makes a `KeyStore` of them, and nothing is left."""

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
        cdef uint64_t limit = store.store.records_end, most = <uint64_t>len(store)
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

    def build(self, *, unsigned long long generation=0, unsigned int lists=0, bytes about not None=b""):
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
        cdef KeyStore built = KeyStore.__new__(KeyStore, BARE)
        built.open_built(self.build_block(generation, lists, about))
        return built


cdef int check_links(const Record *record, const Parts *parts, uint32_t lists) except -1:
    cdef uint32_t i
    for i in range(<uint32_t>record.links + record.within):
        if parts.links[i] >= lists:
            raise SnapshotError("a key is linked to a list that is not there")
    return 0


cdef object as_numbers(numbers):
    """Numbers as an array that is never empty."""
    return memoryview(array("I", [*numbers, 0]))


# -- Headers and sums ---------------------------------------------------------

cdef int copy_header(StoreHeader *header, const uint8_t *block, uint64_t size) except -1:
    """Copy the header of a block, and check the copy."""
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


# -- Arguments and answers ----------------------------------------------------

cdef tuple tuple_of(object items):
    """The items as a tuple, which keeps them alive while the interpreter lock is released.  The objects of keys are
    mostly not in a cache, so they are prefetched before their references are counted."""
    cdef Py_ssize_t i, count
    cdef tuple found
    cdef PyObject *item
    check_is_list(items, "keys or addresses")
    if type(items) is not list:
        return tuple(items)
    found = PyTuple_New(len(items))
    # An allocation may run finalizers, and these may change the list.  From here on, no other code runs.
    count = len(found)
    if len(items) != count:
        raise ValueError("the list of keys or addresses changed while it was read")
    for i in range(count):
        if i + AHEAD < count:
            prefetch(PyList_GET_ITEM(items, i + AHEAD))
            prefetch(<char *>PyList_GET_ITEM(items, i + AHEAD) + 64)
        item = PyList_GET_ITEM(items, i)
        Py_INCREF(<object>item)
        PyTuple_SET_ITEM(found, i, <object>item)
    return found


cdef tuple tuple_for(tuple keys, object addresses):
    """The addresses as a tuple, one for each key."""
    cdef tuple found = tuple_of(addresses)
    if len(keys) != len(found):
        raise ValueError(f"{len(keys)} keys, but {len(found)} addresses")
    return found


cdef int find_verdict_parsed(KeyStore store, const Record *record, const Parts *parts, object address) except -1:
    """Ask a plain record about an address that needs the careful parser."""
    # It is declared in the .pxd so that it is not inlined: inlined into `find_verdict_for`, it adds 16 instructions to
    # a check.
    cdef Bits client
    cdef Py_ssize_t position
    if take_uncommon(address, &client, &position) != OK:
        return CLIENT_IP_UNKNOWN
    return MATCHED if record_covers(&store.store, record, parts, &client) else NOT_LISTED


cdef object write_answers(bytearray answers, object out, KeyStore store):
    """The answers as `bytes`, or in the caller's buffer; they are written only when all are known."""
    cdef Answers into = Answers(out, len(answers), 1)
    # Answers that are written into the block would change its records.
    if store is not None and overlap(store.store.block, <Py_ssize_t>store.header.size, into.view.buf, into.view.len):
        refuse_overlap("store")
    memcpy(into.view.buf, PyByteArray_AS_STRING(answers), <size_t>len(answers))
    return into.result


# -- What a record says -------------------------------------------------------

cdef object key_text(const Record *record, const Parts *parts):
    return (<const char *>parts.key)[:record.key_size].decode("utf-8", "surrogatepass")


cdef list read_entries(const Record *record, const Parts *parts):
    """The entries in the record itself, not those in its notes."""
    cdef list entries = []
    cdef int64_t at
    cdef Bits bits
    for at in range(<int64_t>record.count4 + record.count6):
        read_own(record, parts, at, &bits)
        entries.append(entry_of(&bits))
    return entries


cdef object entry_of(const Bits *bits):
    if not is_prefix_bits(bits):
        raise SnapshotError("an entry is no prefix")
    return Entry(new_prefix(bits))


cdef bint is_prefix_bits(const Bits *bits) noexcept nogil:
    """Is this a length of the family, and are there no host bits?"""
    return bits.length <= width(bits.family) and not has_host_bits(bits)
