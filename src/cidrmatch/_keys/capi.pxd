# cython: language_level=3
"""The functions of the C interface, for other Cython modules to cimport; the essay is in cidrmatch.h."""

from libc.stdint cimport uint8_t

from cidrmatch._keys.block cimport Store
from cidrmatch._core.frozen cimport Table

cdef int contains_text(const Table *table, const char *text, Py_ssize_t length) noexcept nogil
cdef int contains_packed(const Table *table, const uint8_t *packed, Py_ssize_t length) noexcept nogil
cdef int check_key(const Store *store, const char *key, Py_ssize_t key_length, const char *text,
                   Py_ssize_t length) noexcept nogil
