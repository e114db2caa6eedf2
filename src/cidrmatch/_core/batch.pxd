# cython: language_level=3
"""The declarations of batches for lists and stores; the essay is in batch.pyx."""

from libc.stdint cimport uint8_t, uint32_t

from cidrmatch._core.address cimport Bits, fold_mapped, load_packed, set_ipv4, width
from cidrmatch._core.frozen cimport Entries, Table

cdef extern from "_core/c/each.h" nogil:
    uint32_t load_reversed32(const uint8_t *packed)


cdef class Packed:
    cdef Py_buffer view
    cdef bint has_view
    cdef uint8_t family
    cdef bint is_reversed       # integers whose first byte is the least
    cdef Py_ssize_t count


cdef class Answers:
    cdef Py_buffer view
    cdef bint has_view
    cdef Py_ssize_t count
    cdef object result


cdef struct Search:
    const Table *table
    const Entries *entries      # for "which entry?"; NULL for "is it in?"


cdef inline void read_packed(const uint8_t *start, Py_ssize_t i, uint8_t family, bint is_reversed,
                             Bits *bits) noexcept nogil:
    """Read packed address `i`; a mapped address becomes IPv4."""
    if is_reversed:
        set_ipv4(bits, load_reversed32(start + 4 * i))
    else:
        load_packed(start + i * (width(family) >> 3), family, bits)
    fold_mapped(bits)


cdef object answer_many(const Search *search, object addresses, object family, object byteorder, object out)
cdef int refuse_overlap(str noun) except -1
