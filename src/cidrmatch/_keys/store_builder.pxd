# cython: language_level=3
"""The declarations of the builder for other rooms; the essay is in store_builder.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from cidrmatch._core.prefixes cimport PrefixArray
from cidrmatch._keys.block cimport Record


cdef class BlockBuilder:
    cdef uint8_t *block
    cdef uint64_t used
    cdef uint64_t room
    cdef uint64_t keys
    cdef PrefixArray prefixes

    cdef int make_room(self, uint64_t size) except -1
    cdef bint read_entries(self, object entries) except -1
    cdef bint is_short(self) noexcept
    cdef int add_record(self, const uint8_t *key, size_t key_size, uint32_t flags, int64_t created, tuple links,
                        tuple within, bytes notes) except -1
    cdef bint copy_record(self, const Record *record, const uint32_t *numbers, uint32_t lists) noexcept nogil
    cdef uint8_t *build_block(self, uint64_t generation, uint32_t lists, bytes about) except NULL


cdef void *allocated(uint64_t count, size_t size) except NULL
cdef bytes encoded_key(object key)
cdef object name_of(object key, Py_ssize_t index=*)
