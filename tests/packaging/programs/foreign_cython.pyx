# cython: language_level=3
"""An extension of somebody else, in Cython: it asks lists and stores by `cimport`."""

from cidrmatch._keys.capi cimport check_key, contains_packed as packed_in, contains_text
from cidrmatch._keys.store cimport KeyStore
from cidrmatch._core.allow_list cimport AllowList

def contains(AllowList allow not None, str text not None):
    cdef bytes raw = text.encode("utf-8")
    cdef const char *start = raw
    cdef Py_ssize_t length = len(raw)
    with nogil:
        answer = contains_text(&allow.table, start, length)
    return answer

def contains_packed(AllowList allow not None, bytes packed not None):
    cdef const unsigned char *start = packed
    return packed_in(&allow.table, start, len(packed))

def check(KeyStore store not None, str key not None, str text not None):
    cdef bytes name = key.encode("utf-8"), raw = text.encode("utf-8")
    cdef const char *key_start = name
    cdef const char *start = raw
    cdef Py_ssize_t key_length = len(name), length = len(raw)
    with nogil:
        verdict = check_key(&store.store, key_start, key_length, start, length)
    return verdict
