# cython: language_level=3
"""The declarations of the key store for other extensions; the essays are in store.pyx and block_layout.h."""

from libc.stdint cimport uint8_t, uint64_t

from cidrmatch._keys.block cimport Parts, Record, Store, StoreHeader, Verdict


cdef class KeyStore:
    cdef Store store
    cdef StoreHeader header     # a copy, made when the block was opened; the header in the block is not read again
    cdef uint8_t *own_block     # NULL: the block belongs to another object, which `view` holds
    cdef Py_buffer view
    cdef bint is_held
    cdef uint64_t serial        # from 1 on; no other store of this process has it
    cdef readonly dict rules_made       # rules made of records, by key, so that each is made once; see view.pyx

    cdef int open_block(self, const uint8_t *block, uint64_t size) except -1
    cdef int open_built(self, uint8_t *block) except -1
    cdef Verdict find_verdict_for(self, object key, object address, const Record **record, Parts *parts) except *
    cdef int find_verdicts_for(self, tuple keys, tuple addresses, dict overlay, uint8_t *verdicts) except -1
    cdef Verdict find(self, object key, const Record **record, Parts *parts) except *
    cdef Verdict verdict(self, object key, object address) except *
    cdef const Record *record(self, uint64_t place, Parts *parts) except NULL
    cdef tuple read(self, const Record *record, const Parts *parts)


cdef int find_verdict_parsed(KeyStore store, const Record *record, const Parts *parts, object address) except -1
cdef tuple tuple_of(object items)
cdef tuple tuple_for(tuple keys, object addresses)
cdef object write_answers(bytearray answers, object out, KeyStore store)
