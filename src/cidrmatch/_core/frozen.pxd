# cython: language_level=3
"""The frozen form and the functions that search it; they are inline, so a check pays for no call.

The essays are in frozen.pyx, layout.h and search.h.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Bits, Text, find_text
from cidrmatch._core.multibit cimport ALL_IN, FIRST_LENGTH, NONE_IN, PARTLY_IN, MultibitTrie
from cidrmatch._core.prefix cimport lower_mask, upper_mask
from cidrmatch._core.prefixes cimport PrefixArray, RangeArray


cdef extern from "_core/c/layout.h" nogil:
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
        MultibitTrie trie

    ctypedef struct Table:
        int vectors
        Table4 table4
        Table6 table6

    ctypedef struct Entries4:
        Firsts4 firsts
        uint8_t *lengths
        MultibitTrie trie

    ctypedef struct Entries6:
        Firsts6 firsts
        uint8_t *lengths
        MultibitTrie trie

    int32_t order4(uint32_t address)
    int64_t order6(uint64_t upper)

cdef extern from "_core/c/search.h" nogil:
    bint contains4(const Table4 *table, uint32_t address)
    bint contains6(const Table6 *table, uint64_t upper, uint64_t lower, int vectors)
    uint32_t begun4(const Entries4 *entries, uint32_t address, int vectors)
    uint32_t begun6(const Entries6 *entries, uint64_t upper, uint64_t lower, int vectors)
    uint32_t ask_trie4(const MultibitTrie *trie, uint64_t upper)
    uint32_t ask_trie6(const MultibitTrie *trie, uint64_t upper)

cdef extern from "_core/c/ask.h" nogil:
    enum: NOT_COMMON
    int ask_text(const Table *table, const uint8_t *text, Py_ssize_t length)


cdef enum:
    NO_ENTRY = -1


cdef enum Form:
    BY_SIZE
    SCAN
    LADDER
    MAP


cdef struct Entries:
    Entries4 entries4
    Entries6 entries6
    int32_t *parents        # of both families; the IPv4 entries have the lower numbers


cdef struct Block:
    void *start             # where all arrays of a list lie
    Py_ssize_t size_bytes
    size_t table_bytes      # the part of these bytes that a check may read


# -- Is it in? ------------------------------------------------------------------

cdef inline bint contains(const Table *table, const Bits *address) noexcept nogil:
    """Is the address in one of the ranges of its own family?"""
    if address.family == 4:
        return contains4(&table.table4, <uint32_t>(address.upper >> 32))
    return contains6(&table.table6, address.upper, address.lower, table.vectors)


cdef inline int ask_common(const Table *table, object address) noexcept:
    """Is the address in the table? 1 or 0 for a common text; NOT_COMMON for others, which need `take_address`."""
    cdef Text text
    return ask_text(table, text.start, text.length) if find_text(address, &text) else NOT_COMMON


# -- Which entry? -----------------------------------------------------------------

cdef inline Py_ssize_t count_entries(const Entries *entries) noexcept nogil:
    return <Py_ssize_t>entries.entries4.firsts.count + entries.entries6.firsts.count


cdef inline uint32_t first4(const Entries4 *entries, Py_ssize_t i) noexcept nogil:
    return <uint32_t>order4(<uint32_t>entries.firsts.keys[i])


cdef inline uint64_t upper6(const Entries6 *entries, Py_ssize_t i) noexcept nogil:
    return <uint64_t>order6(<uint64_t>entries.firsts.keys[i])


cdef inline bint covers4(const Entries4 *entries, Py_ssize_t i, uint32_t address) noexcept nogil:
    """Does an entry of IPv4 cover the address?"""
    return <uint64_t>(first4(entries, i) ^ address) >> (32 - entries.lengths[i]) == 0


cdef inline bint covers6(const Entries6 *entries, Py_ssize_t i, uint64_t upper, uint64_t lower) noexcept nogil:
    return (
        (upper6(entries, i) ^ upper) & upper_mask(entries.lengths[i]) == 0
        and (entries.firsts.lower[i] ^ lower) & lower_mask(entries.lengths[i]) == 0
    )


cdef inline void bits_at(const Entries *entries, Py_ssize_t i, Bits *bits) noexcept nogil:
    """The prefix of entry `i`."""
    cdef Py_ssize_t i6 = i - entries.entries4.firsts.count
    if i6 < 0:
        bits.upper = <uint64_t>first4(&entries.entries4, i) << 32
        bits.lower = 0
        bits.family = 4
        bits.length = entries.entries4.lengths[i]
        return
    bits.upper = upper6(&entries.entries6, i6)
    bits.lower = entries.entries6.firsts.lower[i6]
    bits.family = 6
    bits.length = entries.entries6.lengths[i6]


cdef inline uint32_t find_length(const Entries *entries, const Bits *address) noexcept nogil:
    """FIRST_LENGTH plus the length of the longest match; or NONE_IN; or PARTLY_IN if `find_entry` has to be asked."""
    if address.family == 4:
        return ask_trie4(&entries.entries4.trie, address.upper)
    return ask_trie6(&entries.entries6.trie, address.upper)


cdef inline bint has_quick_no(const Table *table, uint8_t family) noexcept nogil:
    """Are the ranges much faster to search than the entries?"""
    return table.table4.map is not NULL if family == 4 else table.table6.trie.index is not NULL


cdef inline Py_ssize_t find_entry(const Table *table, const Entries *entries, const Bits *address) noexcept nogil:
    """The most specific entry that covers the address, or NO_ENTRY."""
    cdef Py_ssize_t at
    cdef uint32_t value = <uint32_t>(address.upper >> 32)
    cdef Py_ssize_t base = <Py_ssize_t>entries.entries4.firsts.count
    if has_quick_no(table, address.family) and not contains(table, address):
        return NO_ENTRY
    # Find the last entry that is not after the address in canonical order. The answer is this entry or its nearest
    # ancestor that covers.
    if address.family == 4:
        at = <Py_ssize_t>begun4(&entries.entries4, value, table.vectors) - 1
        while at != NO_ENTRY and not covers4(&entries.entries4, at, value):
            at = entries.parents[at]
        return at
    if entries.entries6.firsts.count == 0:
        return NO_ENTRY     # the arrays have no item to read
    at = <Py_ssize_t>begun6(&entries.entries6, address.upper, address.lower, table.vectors) - 1
    if at == NO_ENTRY:
        return NO_ENTRY
    at += base
    while at != NO_ENTRY and not covers6(&entries.entries6, at - base, address.upper, address.lower):
        at = entries.parents[at]
    return at


cdef int freeze(PrefixArray prefixes, int form, int vectors, Table *table, Entries *entries, Block *block) except -1
cdef bint contains_all(const Table *table, const Bits *prefix) noexcept nogil
cdef RangeArray ranges_of(const Table *table)
