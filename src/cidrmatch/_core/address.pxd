# cython: language_level=3
"""The declarations of the address room for other rooms; the essay is in address.pyx."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from cpython.unicode cimport PyUnicode_CheckExact

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef extern from "_core/c/bits.h" nogil:
    bint is_mapped6 "CIDRMATCH_IS_MAPPED6"(uint64_t upper, uint64_t lower)

cdef extern from "_core/c/parse.h" nogil:
    enum: ROOM_BEFORE
    int parse_text(int vectors, const uint8_t *text, Py_ssize_t length, uint32_t *value, uint64_t *upper,
                   uint64_t *lower)

cdef extern from "_core/c/vectors.h" nogil:
    int vectors_here()


cdef enum Status:
    # In the order of `REASONS` in refusal.py.
    OK = 0
    EMPTY
    NOT_ASCII
    UNEXPECTED_CHARACTER
    LEADING_ZERO
    OCTET_TOO_LARGE
    OCTET_COUNT
    GROUP_TOO_LONG
    GROUP_COUNT
    DOUBLE_COMPRESSION
    ZONE_ID
    LENGTH_MISSING
    LENGTH_NOT_A_NUMBER
    LENGTH_LEADING_ZERO
    LENGTH_TOO_LARGE
    NETMASK
    HOST_BITS
    PACKED_SIZE
    WRONG_TYPE


cdef struct Bits:
    uint64_t upper      # bits 0 to 63, bit 0 is the most significant
    uint64_t lower      # bits 64 to 127
    uint8_t family      # 4 or 6
    uint8_t length      # how many bits count: 0 to 32, or 0 to 128


cdef enum:
    NO_INDEX = -1           # of a single address, which is not in a list
    LONGEST_ADDRESS = 45    # characters: ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255


cdef struct Text:
    const uint8_t *start
    Py_ssize_t length


cdef inline uint8_t width(uint8_t family) noexcept nogil:
    """How many bits an address of the family has."""
    return 32 if family == 4 else 128


cdef inline bint is_mapped(const Bits *bits) noexcept nogil:
    """Is this IPv6 address inside ::ffff:0:0/96, and so an IPv4 address?"""
    return bits.family == 6 and is_mapped6(bits.upper, bits.lower)


cdef inline void set_ipv4(Bits *bits, uint32_t value) noexcept nogil:
    bits.upper = <uint64_t>value << 32
    bits.lower = 0
    bits.family = 4
    bits.length = 32


cdef inline void fold_mapped(Bits *bits) noexcept nogil:
    """Turn ::ffff:a.b.c.d into the IPv4 address a.b.c.d (C16)."""
    if is_mapped(bits):
        set_ipv4(bits, <uint32_t>bits.lower)


cdef inline bint overlap(const void *first, Py_ssize_t first_size, const void *second,
                         Py_ssize_t second_size) noexcept nogil:
    """Do two pieces of memory share a byte? An empty piece shares none."""
    cdef uintptr_t a = <uintptr_t>first, b = <uintptr_t>second
    return first_size > 0 and second_size > 0 and (b - a < <size_t>first_size or a - b < <size_t>second_size)


cdef inline bint find_text(object value, Text *text) noexcept:
    """Point at the characters of an exact ASCII `str`. They live as long as the `str`; its header is before them."""
    if not (PyUnicode_CheckExact(value) and PyUnicode_IS_COMPACT_ASCII(value)):
        return False
    text.start = <const uint8_t *>PyUnicode_DATA(value)
    text.length = PyUnicode_GET_LENGTH(value)
    return True


cdef inline bint parse_common(const Text *text, Bits *bits) noexcept nogil:
    """Parse a common text of either family, but no mapped address. Needs ROOM_BEFORE readable bytes before the text."""
    cdef uint32_t value
    cdef int family = parse_text(vectors_here(), text.start, text.length, &value, &bits.upper, &bits.lower)
    if family == 4:
        set_ipv4(bits, value)
        return True
    bits.family = 6
    bits.length = 128
    return family == 6 and not is_mapped(bits)


cdef object base_text(object value)
cdef Status parse_unfolded(const Text *text, Bits *bits, Py_ssize_t *position) noexcept nogil
cdef void load_packed(const uint8_t *packed, uint8_t family, Bits *bits) noexcept nogil
cdef int take_address(object value, Bits *bits, Py_ssize_t *position) except -1
cdef int take_uncommon(object value, Bits *bits, Py_ssize_t *position) except -1
cdef int take_object(object value, Bits *bits, Py_ssize_t *position) except -1
cdef int read_address(object value, Bits *bits, Py_ssize_t index) except -1
cdef int write_address(const Bits *bits, char *out) noexcept nogil
cdef bytes pack(const Bits *bits)
