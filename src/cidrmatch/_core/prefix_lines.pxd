# cython: language_level=3
"""The declarations of `PrefixLines` for other rooms; the essay is in prefix_lines.pyx."""

from libc.stdint cimport int32_t, uint32_t

from cidrmatch._core.address cimport Bits, Text
from cidrmatch._core.prefixes cimport PrefixArray


cdef struct Span:
    uint32_t start          # where the prefix is written, in bytes from the beginning
    uint32_t length
    int32_t line            # from 1


cdef class PrefixLines:
    cdef bytes content
    cdef Span *spans
    cdef Py_ssize_t size
    cdef Py_ssize_t room
    cdef PrefixArray prefixes   # of all entries, if every one of them is a prefix
    cdef readonly Py_ssize_t refused

    cdef int read(self) except -1
    cdef int add(self, Py_ssize_t begin, Py_ssize_t end, int32_t line) except -1
    cdef int parse(self, const Span *span, Bits *bits) except -1
    cdef Text text_of(self, const Span *span) noexcept
    cdef str text_at(self, Py_ssize_t i)
