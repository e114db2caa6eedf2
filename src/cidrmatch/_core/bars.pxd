# cython: language_level=3
"""The declarations of bars; the essay is in bars.pyx."""

from cidrmatch._core.address cimport Bits


cdef class Bars:
    cdef Bits *bits         # sorted and disjoint
    cdef Py_ssize_t count

    cdef Py_ssize_t count_until(self, const Bits *bits) noexcept nogil
    cdef Py_ssize_t find_around(self, const Bits *bits) noexcept nogil
    cdef Py_ssize_t find_touching(self, const Bits *bits) noexcept nogil
