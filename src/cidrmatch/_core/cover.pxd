# cython: language_level=3
"""The declarations of covers: leaves, nodes and costs; the essay is in cover.pyx."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Bits
from cidrmatch._core.bars cimport Bars
from cidrmatch._core.prefix cimport lower_mask, upper_mask
from cidrmatch._core.prefixes cimport is_before

cdef extern from "_core/c/bits.h" nogil:
    int leading_zeros(uint64_t word)

cdef enum:
    TOGETHER = -1           # shared bits of leaves of two families: their node is no prefix
    END = -2                # shared bits of the last leaf and none


cdef struct Leaf:
    Bits bits
    uint64_t weight         # requests


cdef struct Cost:           # one number of 128 bits
    uint64_t upper
    uint64_t lower


cdef struct Factors:        # what a request that is left out costs, and a unit beyond the observed
    Cost per_request
    uint64_t per_unit
    uint64_t budget         # a part with more requests than this cannot be left out whole
    Py_ssize_t fixed_from   # leaves from here on are not left out


cdef struct Node:
    size_t choices          # where its choices begin; there is one for each number of entries from 1 on
    uint64_t extra          # how many units its prefix has beyond those of its leaves
    uint32_t first          # its first leaf
    uint32_t middle         # the first leaf of its right half
    uint32_t end            # the leaf after its last one
    uint8_t length
    uint8_t is_entry        # whether its prefix may be an entry


cdef struct Pending:        # a part of the tree whose parent was not reached yet
    uint32_t first          # its first leaf
    Py_ssize_t node         # its node; -1 for a leaf
    Py_ssize_t table        # where its table of costs begins
    Py_ssize_t most         # its table has costs for 0 to this many entries
    uint64_t weight
    uint64_t units


cdef struct Part:           # a part of the tree on the way back, and how many entries it has
    uint32_t first
    uint32_t end
    Py_ssize_t node
    Py_ssize_t entries


cdef class Observed:
    cdef uint8_t unit4              # lengths: what is longer is cut to this
    cdef uint8_t unit6
    cdef uint8_t shortest4          # no entry is shorter
    cdef uint8_t shortest6
    cdef Leaf *leaves
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef Node *nodes                # one less than leaves
    cdef uint32_t *choices
    cdef uint8_t *is_required       # of each leaf: OPTIONAL, REQUIRED or FREE
    cdef Py_ssize_t most
    cdef bint is_settled
    cdef uint64_t total

    cdef int push(self, object value, object weight, Py_ssize_t index) except -1
    cdef int append(self, const Leaf *leaf) except -1
    cdef int sort(self) except -1
    cdef int sift(self, Bars refused, Bars required, list outside) except -1
    cdef void fold(self) noexcept nogil
    cdef int place(self, const Leaf *whole, Bars refused, Bars excluded, Bars required, list outside) except -1
    cdef void join(self) noexcept nogil
    cdef int check_settled(self) except -1
    cdef int plant(self, Bars excluded) except -1
    cdef void add_node(self, Py_ssize_t at, const Pending *left, Pending *right, int length, uint32_t end,
                       Bars excluded, size_t *choices) noexcept nogil
    cdef Pending fill_tables(self, Factors *factors, Pending *pending, Cost *tables, Cost *spare) noexcept nogil
    cdef Bits bits_of(self, const Part *part) noexcept nogil
    cdef tuple collect(self, Py_ssize_t node, Py_ssize_t entries)
    cdef list entries_of(self, const uint32_t *tops)


# -- Costs ----------------------------------------------------------------------

# hot: begin
cdef inline Cost plus(Cost a, Cost b) noexcept nogil:
    cdef Cost total
    total.lower = a.lower + b.lower
    total.upper = a.upper + b.upper + (total.lower < a.lower)
    return total


cdef inline bint is_less(Cost a, Cost b) noexcept nogil:
    return is_before(a.upper, a.lower, b.upper, b.lower)
# hot: end


# -- Prefixes -------------------------------------------------------------------

cdef inline void cut(Bits *bits, uint8_t length) noexcept nogil:
    """Make a prefix broader: keep this many of its leading bits."""
    bits.upper &= upper_mask(length)
    bits.lower &= lower_mask(length)
    bits.length = length


cdef inline uint64_t units_of(uint8_t family, uint8_t length) noexcept nogil:
    """How many units a prefix has: addresses of IPv4, /64s of IPv6.  All of IPv6 has 2**64, which is 0 here."""
    if family == 4:
        return <uint64_t>1 << (32 - length)
    if length >= 64:
        return 1
    return 0 if length == 0 else <uint64_t>1 << (64 - length)


cdef inline int shared_bits(const Bits *a, const Bits *b) noexcept nogil:
    """How many leading bits two disjoint prefixes share."""
    if a.family != b.family:
        return TOGETHER
    if a.upper != b.upper:
        return leading_zeros(a.upper ^ b.upper)
    return 64 + leading_zeros(a.lower ^ b.lower)


cdef inline bint are_halves(const Bits *a, const Bits *b) noexcept nogil:
    """Are two disjoint prefixes the halves of one prefix?"""
    return a.family == b.family and a.length == b.length and shared_bits(a, b) == <int>a.length - 1
