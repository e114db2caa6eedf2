# cython: language_level=3
"""What other rooms of the core may use of the prefix room; the essay is in prefix.pyx."""

from libc.stdint cimport UINT64_MAX, uint8_t, uint64_t

from cidrmatch._core.address cimport Bits, Text

cdef extern from "_core/c/bits.h" nogil:
    bint is_before(uint64_t a_upper, uint64_t a_lower, uint64_t b_upper, uint64_t b_lower)


cdef struct Range:
    uint64_t first_upper
    uint64_t first_lower
    uint64_t last_upper
    uint64_t last_lower
    uint8_t family


cdef inline uint64_t upper_mask(uint8_t length) noexcept nogil:
    """The network bits of a prefix that lie in the upper word."""
    if length == 0:
        return 0
    return UINT64_MAX if length >= 64 else UINT64_MAX << (64 - length)


cdef inline uint64_t lower_mask(uint8_t length) noexcept nogil:
    """The network bits of a prefix that lie in the lower word."""
    return 0 if length <= 64 else UINT64_MAX << (128 - length)


cdef inline bint has_host_bits(const Bits *bits) noexcept nogil:
    """Is a bit set behind the length?"""
    return bits.upper & ~upper_mask(bits.length) != 0 or bits.lower & ~lower_mask(bits.length) != 0


cdef inline bint covers(const Bits *prefix, const Bits *other) noexcept nogil:
    """Is every address of `other` one of `prefix`?  Families never meet."""
    return (
        prefix.family == other.family
        and prefix.length <= other.length
        and (prefix.upper ^ other.upper) & upper_mask(prefix.length) == 0
        and (prefix.lower ^ other.lower) & lower_mask(prefix.length) == 0
    )


cdef inline int compare_bits(const Bits *a, const Bits *b) noexcept nogil:
    """Canonical order: family, first address, broader before narrower.  Negative, 0 or positive."""
    if a.family != b.family:
        return -1 if a.family < b.family else 1
    if a.upper != b.upper:
        return -1 if a.upper < b.upper else 1
    if a.lower != b.lower:
        return -1 if a.lower < b.lower else 1
    return <int>a.length - <int>b.length


cdef class Prefix:
    cdef Bits bits


cdef class Entry:
    cdef Bits bits
    cdef Prefix made            # the prefix as an object; None until somebody asks for it
    cdef readonly str label
    cdef readonly object condition


cdef struct Wide:
    uint64_t upper
    uint64_t lower
    uint64_t length


cdef inline Range range_of(const Bits *bits) noexcept nogil:
    """From the first address to the last; an IPv4 range fills its unused bits, so both families add alike."""
    cdef Range result
    result.first_upper = bits.upper
    result.first_lower = bits.lower
    result.last_upper = bits.upper | ~upper_mask(bits.length)
    result.last_lower = bits.lower | ~lower_mask(bits.length)
    result.family = bits.family
    return result


cdef enum:
    LENGTH_BITS = 6         # of a narrow prefix: its first address, then its length


cdef inline void widen(uint64_t narrow, Bits *bits) noexcept nogil:
    """An IPv4 prefix out of its one word."""
    bits.upper = narrow >> LENGTH_BITS << 32
    bits.lower = 0
    bits.family = 4
    bits.length = <uint8_t>(narrow & ((1 << LENGTH_BITS) - 1))


cdef inline void unpack_wide(const Wide *wide, Bits *bits) noexcept nogil:
    bits.upper = wide.upper
    bits.lower = wide.lower
    bits.family = 6
    bits.length = <uint8_t>wide.length


cdef inline uint64_t narrow_of(const Bits *bits) noexcept nogil:
    """The one word of an IPv4 prefix."""
    return bits.upper >> 32 << LENGTH_BITS | bits.length


cdef class PrefixArray:
    cdef uint64_t *narrow
    cdef Py_ssize_t narrow_size
    cdef Py_ssize_t narrow_room
    cdef Wide *wide
    cdef Py_ssize_t wide_size
    cdef Py_ssize_t wide_room

    cdef int resize_narrow(self, Py_ssize_t room) except -1
    cdef int resize_wide(self, Py_ssize_t room) except -1
    cdef int push(self, const Bits *bits) except -1
    cdef bint add_common(self, object text) except -1
    cdef object add_entry(self, object entry, Py_ssize_t index, str noun, Bits *bits)
    cdef int add_lines(self, const uint8_t[::1] lines) except -1
    cdef int sort(self) except -1


cdef class RangeArray:
    cdef Range *ranges
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    cdef int add(self, const Bits *bits) except -1


cdef Prefix new_prefix(const Bits *bits)
cdef bint parse_common_prefix(const Text *text, Bits *bits) noexcept nogil
cdef Entry new_entry(const Bits *bits, object label)
cdef int read_prefix(object value, bint mask_host_bits, Bits *bits, Py_ssize_t index=*) except -1
cpdef int check_is_list(object entries, str noun=*) except -1
cdef list prefixes_of(RangeArray merged)
cdef RangeArray merge(PrefixArray array)
cdef int split(const Range *range, list prefixes) except -1
