# cython: language_level=3
"""The frozen form, for other extensions; the essay is in table.pyx."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Key
from cidrmatch._core.prefix cimport Entry, KeyArray


cdef struct Pair:
    uint64_t upper
    uint64_t lower


cdef struct Table:
    Py_ssize_t count4
    uint32_t *first4
    uint32_t *last4
    Py_ssize_t count6
    Pair *first6
    Pair *last6


cdef bint contains(const Table *table, const Key *address) noexcept nogil


cdef class AllowList:
    cdef Table table
    cdef KeyArray entries
    cdef int32_t *parents
    cdef dict labels            # by position in the input, see Key.index; None when there are none
    cdef Py_hash_t hash

    cdef int add(self, object entry) except -1
    cdef Py_ssize_t find_entry(self, const Key *address) noexcept nogil
    cdef object label_at(self, Py_ssize_t i)
    cdef Entry entry_at(self, Py_ssize_t i)
    cdef bytes contains_each(self, object addresses)
    cdef bytes contains_packed(self, const uint8_t[::1] packed, uint8_t family)
