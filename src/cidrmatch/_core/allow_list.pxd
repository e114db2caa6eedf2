# cython: language_level=3
"""The frozen form, for other extensions; the essays are in table.pyx and search.h."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Bits, Text, find_text
from cidrmatch._core.arrow cimport Chunk
from cidrmatch._core.prefix cimport Entry
from cidrmatch._core.prefixes cimport Prefix6, PrefixArray, Range


cdef extern from "_core/c/search.h" nogil:
    enum:
        NODE4
        NODE6
        SCAN4
        MAP_PIECES
        INDEX_BITS
        ROW_BITS4
        FORK_BITS4
        BELOW4
        ROW_BITS6
        FORK_BITS6
        BELOW6
        NONE_IN
        ALL_IN
        PARTLY_IN
        FIRST_LENGTH
        ANSWERS

    ctypedef struct Ladder:
        uint32_t nodes
        uint32_t height
        uint32_t posts

    ctypedef struct Firsts4:
        uint32_t count
        int32_t *keys
        int32_t *posts
        Ladder ladder

    ctypedef struct Firsts6:
        uint32_t count
        int64_t *keys
        uint64_t *lower
        int64_t *posts
        Ladder ladder

    ctypedef struct Trie:
        uint16_t *index
        uint16_t *rows
        uint16_t *nodes

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
        Trie trie

    ctypedef struct Table:
        int vectors
        Table4 ipv4
        Table6 ipv6

    ctypedef struct Entries4:
        Firsts4 firsts
        uint8_t *lengths
        Trie trie

    ctypedef struct Entries6:
        Firsts6 firsts
        uint8_t *lengths
        Trie trie

    bint contains4(const Table4 *table, uint32_t address)
    bint contains6(const Table6 *table, uint64_t upper, uint64_t lower, int vectors)

cdef extern from "_core/c/ask.h" nogil:
    enum: NOT_COMMON
    int ask_text(const Table *table, const uint8_t *text, Py_ssize_t length)


cdef inline bint contains(const Table *table, const Bits *address) noexcept nogil:
    """Is the address in one of the ranges of its own family?"""
    if address.family == 4:
        return contains4(&table.ipv4, <uint32_t>(address.upper >> 32))
    return contains6(&table.ipv6, address.upper, address.lower, table.vectors)


cdef inline int ask_common(const Table *table, object address) noexcept:
    """Is the address in, if it is a common text?  1 or 0; NOT_COMMON for whatever `take_address` has to look at."""
    cdef Text text
    return ask_text(table, text.start, text.length) if find_text(address, &text) else NOT_COMMON


cdef enum:
    MOST_NESTED = 129       # prefixes, one of each length


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


cdef int refuse_overlap(str noun) except -1


cdef struct Shape:
    int row_bits
    int fork_bits
    int below               # bits of the upper half that no word looks at
    uint32_t most_rows


cdef struct Spans:
    # What a trie tells apart: ranges, or the entries of a family; sorted, and they nest or lie apart.
    const Range *ranges
    const uint64_t *narrow
    const Prefix6 *wide
    uint32_t count


cdef struct Open:
    uint64_t last_upper
    uint64_t last_lower
    uint16_t answer


cdef struct Walk:
    # Through the spans, from block to block of addresses.
    const Spans *spans
    uint32_t at             # which is next to begin
    Range next
    uint16_t answer         # of that one
    int depth
    Open open[MOST_NESTED]  # those that have begun and not ended, the broadest first


cdef class TrieBuilder:
    cdef Shape shape
    cdef Trie trie
    cdef uint16_t *slots        # numbers of nodes and one, by the hash of their words
    cdef uint32_t rows
    cdef uint32_t rows_room
    cdef uint32_t nodes         # 0: there is no trie
    cdef uint32_t nodes_room
    cdef bint is_full

    cdef int make(self, Shape shape, const Spans *spans) except -1
    cdef void fill(self, const Spans *spans) noexcept nogil
    cdef uint16_t word_for(self, Walk *walk, uint64_t first, int left) noexcept nogil
    cdef uint16_t share(self, const uint16_t *node) noexcept nogil
    cdef uint16_t append_row(self, const uint16_t *row) noexcept nogil


cdef class AllowList:
    cdef Table table
    cdef Entries4 narrow
    cdef Entries6 wide
    cdef int32_t *parents       # of all entries
    cdef void *block            # where all of the above lies
    cdef Py_ssize_t size_bytes
    cdef size_t table_bytes     # of these, what a check may read
    cdef dict labels            # by the entry's number; None when there are none
    cdef list made              # entries that were asked for, by number, if there are few; None as long as nobody did
    cdef Py_hash_t hash

    cdef int freeze(self, PrefixArray prefixes, dict labels, int form, int vectors) except -1
    cdef size_t lay_out(self, uint8_t *base, uint32_t blocks, TrieBuilder ranges, TrieBuilder narrow,
                        TrieBuilder wide) noexcept nogil
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
    cdef uint32_t find_length(self, const Bits *address) noexcept nogil
    cdef Py_ssize_t find_entry(self, const Bits *address) noexcept nogil
    cdef bint has_quick_no(self, uint8_t family) noexcept nogil
    cdef void bits_at(self, Py_ssize_t i, Bits *bits) noexcept nogil
    cdef dict number_labels(self, dict labels)
    cdef PrefixArray prefixes(self)
    cdef object label_at(self, Py_ssize_t i)
    cdef Entry entry_at(self, Py_ssize_t i)
    cdef Entry make_entry(self, Py_ssize_t i)
