# cython: language_level=3
"""The frozen form, for other extensions; the essays are in table.pyx and search.h."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Key, Text, find_text
from cidrmatch._core.arrow cimport Chunk
from cidrmatch._core.prefix cimport Entry, PrefixArray, Range


cdef extern from "search.h" nogil:
    enum:
        NODE4
        NODE6
        SCAN4
        MAP_PIECES
        FORK
        FORK_BITS
        NONE_IN
        PARTLY_IN
        ALL_IN

    ctypedef struct Ladder:
        uint32_t nodes
        uint32_t height
        uint32_t posts

    ctypedef struct Firsts4:
        uint32_t count
        int32_t *keys
        int32_t *posts
        uint8_t *lengths
        Ladder ladder

    ctypedef struct Firsts6:
        uint32_t count
        int64_t *keys
        uint64_t *lower
        int64_t *posts
        uint8_t *lengths
        Ladder ladder

    ctypedef struct Table4:
        Firsts4 firsts
        uint32_t first
        uint32_t *last
        uint32_t *map
        uint64_t *blocks
        bint is_scan

    ctypedef struct Pair:
        uint64_t upper
        uint64_t lower

    ctypedef struct Table6:
        Firsts6 firsts
        Pair *last
        uint16_t *index
        uint16_t *nodes

    ctypedef struct Table:
        int vectors
        Table4 ipv4
        Table6 ipv6

    bint contains4(const Table4 *table, uint32_t address)
    bint contains6(const Table6 *table, uint64_t upper, uint64_t lower, int vectors)

cdef extern from "ask.h" nogil:
    enum: NOT_COMMON
    int ask_text(const Table *table, const uint8_t *text, Py_ssize_t length)


cdef inline bint contains(const Table *table, const Key *address) noexcept nogil:
    """Is the address in one of the ranges of its own family?"""
    if address.family == 4:
        return contains4(&table.ipv4, <uint32_t>(address.upper >> 32))
    return contains6(&table.ipv6, address.upper, address.lower, table.vectors)


cdef inline int ask_common(const Table *table, object address) noexcept:
    """Is the address in, if it is a common text?  1 or 0; NOT_COMMON for whatever `take_address` has to look at."""
    cdef Text text
    return ask_text(table, text.start, text.length) if find_text(address, &text) else NOT_COMMON


cdef class Packed:
    cdef Py_buffer view
    cdef bint is_held
    cdef uint8_t family
    cdef bint is_reversed       # integers whose first byte is the least
    cdef Py_ssize_t count


cdef class Answers:
    cdef Py_buffer view
    cdef bint is_held
    cdef Py_ssize_t count
    cdef object result


cdef class Trie:
    cdef uint16_t *index        # 65,536 words
    cdef uint16_t *nodes        # FORK words each
    cdef uint16_t *slots        # numbers of nodes, by the hash of their words
    cdef uint32_t count         # of nodes; 0: there is no trie
    cdef bint is_full

    cdef int make(self, const Range *ranges, uint32_t count) except -1
    cdef void fill(self, const Range *ranges, uint32_t count) noexcept nogil
    cdef uint16_t word_for(self, uint64_t first, int level, const Range *ranges, uint32_t *at,
                           uint32_t count) noexcept nogil
    cdef uint16_t share(self, const uint16_t *node) noexcept nogil
    cdef uint16_t append(self, const uint16_t *words, uint32_t nodes) noexcept nogil


cdef class AllowList:
    cdef Table table
    cdef Firsts4 narrow         # entries of IPv4
    cdef Firsts6 wide           # of IPv6
    cdef int32_t *parents       # of all entries
    cdef void *block            # where all of the above lies
    cdef Py_ssize_t size_bytes
    cdef size_t table_bytes     # of these, what a check may read
    cdef dict labels            # by the entry's number; None when there are none
    cdef list made              # entries that were asked for, by number, if there are few; None as long as nobody did
    cdef Py_hash_t hash

    cdef int freeze(self, PrefixArray prefixes, dict labels, int form, int vectors) except -1
    cdef size_t lay_out(self, uint8_t *base, uint32_t blocks, uint32_t forks) noexcept nogil
    cdef object answer_many(self, object addresses, object family, object byteorder, object out, Py_ssize_t item_size)
    cdef void answer_packed(self, const uint8_t *start, Py_ssize_t count, uint8_t family, bint is_reversed, void *into,
                            Py_ssize_t item_size) noexcept nogil
    cdef object answer_chunks(self, list chunks, object out, Py_ssize_t item_size)
    cdef Py_ssize_t answer_chunk(self, Chunk chunk, void *into, Py_ssize_t item_size) noexcept nogil
    cdef int contains_each(self, object addresses, Answers answers) except -1
    cdef Py_ssize_t contains_chunk(self, Chunk chunk, uint8_t *into) noexcept nogil
    cdef int match_each(self, object addresses, Answers answers) except -1
    cdef void match_packed(self, const uint8_t *start, Py_ssize_t count, uint8_t family, bint is_reversed,
                           int32_t *into) noexcept nogil
    cdef Py_ssize_t match_chunk(self, Chunk chunk, int32_t *into) noexcept nogil
    cdef Py_ssize_t find_entry(self, const Key *address) noexcept nogil
    cdef bint has_quick_no(self, uint8_t family) noexcept nogil
    cdef void key_at(self, Py_ssize_t i, Key *key) noexcept nogil
    cdef dict number_labels(self, dict labels)
    cdef PrefixArray prefixes(self)
    cdef object label_at(self, Py_ssize_t i)
    cdef Entry entry_at(self, Py_ssize_t i)
    cdef Entry make_entry(self, Py_ssize_t i)
