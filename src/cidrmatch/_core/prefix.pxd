# cython: language_level=3
"""The declarations of the prefix room for other rooms; the essay is in prefix.pyx."""

from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t

from cidrmatch._core.address cimport (
    LENGTH_LEADING_ZERO, LENGTH_MISSING, LENGTH_NOT_A_NUMBER, LENGTH_TOO_LARGE, NETMASK, OK, Bits, Status, Text,
    parse_common,
)


# -- Bits ---------------------------------------------------------------------

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


# -- Common texts: inline, because a list has many ----------------------------

cdef inline Status parse_length(const uint8_t *text, Py_ssize_t length, uint8_t widest, uint8_t *value,
                                Py_ssize_t *position) noexcept nogil:
    """Parse the decimal digits after the slash."""
    cdef Py_ssize_t i
    cdef uint32_t result = 0
    position[0] = 0
    if length == 0:
        return LENGTH_MISSING
    for i in range(length):
        if not c'0' <= text[i] <= c'9':
            position[0] = i
            return NETMASK if text[i] == c'.' or text[i] == c':' else LENGTH_NOT_A_NUMBER
        if i < 4:
            result = result * 10 + (text[i] - c'0')
    if text[0] == c'0' and length > 1:
        return LENGTH_LEADING_ZERO
    if length > 3 or result > widest:
        return LENGTH_TOO_LARGE
    value[0] = <uint8_t>result
    return OK


cdef inline Py_ssize_t find_slash(const Text *text) noexcept nogil:
    """The position of the slash among the last four characters; the length of the text if there is none."""
    cdef Py_ssize_t i
    for i in range(2, min(4, text.length) + 1):
        if text.start[text.length - i] == c'/':
            return text.length - i
    return text.length


cdef inline bint parse_common_prefix(const Text *text, Bits *bits) noexcept nogil:
    """Parse a common text of a prefix without host bits, or give up.  Needs ROOM_BEFORE bytes before the text."""
    cdef Text address = Text(text.start, find_slash(text))
    cdef Py_ssize_t position
    if not parse_common(&address, bits):
        return False
    if address.length < text.length:
        if parse_length(text.start + address.length + 1, text.length - address.length - 1, bits.length, &bits.length,
                        &position) != OK:
            return False
    return not has_host_bits(bits)


# -- Objects ------------------------------------------------------------------

cdef class Prefix:
    cdef Bits bits


cdef class Entry:
    cdef Bits bits
    cdef Prefix as_object       # the `Prefix` object; None until somebody asks for it
    cdef readonly str label
    cdef readonly object condition


cdef Prefix new_prefix(const Bits *bits)
cdef Entry new_entry(const Bits *bits, object label)
cdef int take_uncommon_prefix(object value, bint mask_host_bits, Bits *bits, Py_ssize_t *position) except -1
cdef int refuse_prefix(object value, int status, Py_ssize_t position, Py_ssize_t index) except -1
cdef int read_prefix(object value, bint mask_host_bits, Bits *bits, Py_ssize_t index=*) except -1
cpdef int check_is_list(object entries, str noun=*) except -1
