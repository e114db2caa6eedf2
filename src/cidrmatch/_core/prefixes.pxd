# cython: language_level=3
"""The declarations of arrays of prefixes and ranges for other rooms; the essay is in prefixes.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from cidrmatch._core.address cimport Bits
from cidrmatch._core.prefix cimport lower_mask, upper_mask

cdef extern from "_core/c/bits.h" nogil:
    bint is_before(uint64_t a_upper, uint64_t a_lower, uint64_t b_upper, uint64_t b_lower)


# -- One prefix in an array ---------------------------------------------------

cdef struct Prefix6:
    uint64_t upper
    uint64_t lower
    uint64_t length


cdef enum:
    LENGTH_BITS = 6         # for the length, in the word of an IPv4 prefix: its first address, then its length


cdef inline uint64_t pack4(const Bits *bits) noexcept nogil:
    """The one word of an IPv4 prefix."""
    return bits.upper >> 32 << LENGTH_BITS | bits.length


cdef inline void unpack4(uint64_t word, Bits *bits) noexcept nogil:
    """An IPv4 prefix out of its one word."""
    bits.upper = word >> LENGTH_BITS << 32
    bits.lower = 0
    bits.family = 4
    bits.length = <uint8_t>(word & ((1 << LENGTH_BITS) - 1))


cdef inline void unpack6(const Prefix6 *prefix, Bits *bits) noexcept nogil:
    bits.upper = prefix.upper
    bits.lower = prefix.lower
    bits.family = 6
    bits.length = <uint8_t>prefix.length


# -- Ranges -------------------------------------------------------------------

cdef struct Range:
    uint64_t first_upper
    uint64_t first_lower
    uint64_t last_upper
    uint64_t last_lower
    uint8_t family


cdef inline Range range_of(const Bits *bits) noexcept nogil:
    """The range of a prefix. In an IPv4 range the unused bits of `last` are set, so adding 1 works as for IPv6."""
    cdef Range result
    result.first_upper = bits.upper
    result.first_lower = bits.lower
    result.last_upper = bits.upper | ~upper_mask(bits.length)
    result.last_lower = bits.lower | ~lower_mask(bits.length)
    result.family = bits.family
    return result


# -- Arrays -------------------------------------------------------------------

cdef class PrefixArray:
    cdef uint64_t *array4
    cdef Py_ssize_t size4
    cdef Py_ssize_t room4
    cdef Prefix6 *array6
    cdef Py_ssize_t size6
    cdef Py_ssize_t room6

    cdef int resize4(self, Py_ssize_t room) except -1
    cdef int resize6(self, Py_ssize_t room) except -1
    cdef int push(self, const Bits *bits) except -1
    cdef Py_ssize_t count(self) noexcept nogil
    cdef void read(self, Py_ssize_t i, Bits *bits) noexcept nogil
    cdef bint add_common(self, object text) except -1
    cdef object add_entry(self, object entry, Py_ssize_t index, str noun, Bits *bits)
    cdef int add_lines(self, const uint8_t[::1] lines) except -1
    cdef int sort(self) except -1


cdef class RangeArray:
    cdef Range *ranges
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    cdef int add(self, const Bits *bits) except -1
    cdef int push(self, const Range *added) except -1


cdef void sort4(uint64_t *array, Py_ssize_t size, uint64_t *spare) noexcept nogil
cdef void sort6(Prefix6 *array, Py_ssize_t size, Prefix6 *spare) noexcept nogil
cdef int compare6(const void *first, const void *second) noexcept nogil
cdef void *resized(void *memory, Py_ssize_t count, size_t size) except NULL
cdef RangeArray merge(PrefixArray array)
cdef int split(const Range *range, PrefixArray prefixes) except -1
cdef list prefixes_of(RangeArray merged)
cdef list objects_of(PrefixArray prefixes)
