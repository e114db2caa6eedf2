# cython: language_level=3
"""The builder of a multibit trie, for the frozen form; the essay is in multibit.pyx."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from cidrmatch._core.prefixes cimport Prefix6, Range

cdef extern from "_core/c/layout.h" nogil:
    enum:
        INDEX_BITS
        NONE_IN
        ALL_IN
        PARTLY_IN
        FIRST_LENGTH
        ANSWERS

    ctypedef struct MultibitTrie:
        uint16_t *index
        uint16_t *rows
        uint16_t *nodes


cdef struct Shape:
    int row_bits
    int fork_bits
    int below               # how many low bits of the upper half the trie does not use
    uint32_t most_rows


cdef struct Intervals:
    # The input of a trie: ranges, or the entries of one family. They are sorted; two of them nest or are disjoint.
    const Range *ranges
    const uint64_t *array4
    const Prefix6 *array6
    uint32_t count


cdef enum:
    MOST_NESTED = 129       # prefixes, one of each length


cdef struct Enclosing:
    uint64_t last_upper
    uint64_t last_lower
    uint16_t answer


cdef struct BlockWalk:
    # The position of a walk through the intervals, from block to block of addresses.
    const Intervals *intervals
    uint32_t at             # number of the interval that begins next
    Range next
    uint16_t answer         # the answer inside `next`
    int depth
    Enclosing enclosing[MOST_NESTED]    # intervals that have begun and not ended, the broadest first


cdef class MultibitBuilder:
    cdef Shape shape
    cdef MultibitTrie trie
    cdef uint16_t *slots        # a hash table of nodes: the number of a node plus 1, or 0
    cdef uint32_t rows
    cdef uint32_t rows_room
    cdef uint32_t nodes         # 0 means that there is no trie
    cdef uint32_t nodes_room
    cdef bint is_full

    cdef int build4(self, const Intervals *intervals) except -1
    cdef int build6(self, const Intervals *intervals) except -1
    cdef int build(self, Shape shape, const Intervals *intervals) except -1
    cdef void fill(self, const Intervals *intervals) noexcept nogil
    cdef uint16_t word_for(self, BlockWalk *walk, uint64_t first, int left) noexcept nogil
    cdef uint16_t share(self, const uint16_t *node) noexcept nogil
    cdef uint16_t append_row(self, const uint16_t *row) noexcept nogil


cdef uint16_t interval_at(const Intervals *intervals, uint32_t i, Range *interval) noexcept nogil
