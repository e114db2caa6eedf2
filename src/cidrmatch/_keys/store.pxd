# cython: language_level=3
"""The key store for other extensions; the essays are in store.h and keystore.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Bits
from cidrmatch._core.prefix cimport PrefixArray, RangeArray


cdef extern from "_keys/c/store.h" nogil:
    ctypedef enum Verdict:
        UNRESTRICTED
        MATCHED
        NOT_ENFORCED
        NOT_LISTED
        DENIED_BY_ENTRY
        CLIENT_IP_UNKNOWN
        EMPTY_LIST
        INACTIVE
        UNKNOWN_KEY
        DAMAGED
        STALE_DATA
        ASK_OBJECTS
        ASK_PARSER
        LAST_ALLOWED

    enum:
        IS_ENABLED
        NEEDS_LIST
        HAS_ENTRIES
        NEEDS_OBJECTS
        IS_SORTED4
        IS_SORTED6

    ctypedef struct Bucket:
        uint32_t[8] places

    ctypedef struct StoreHeader:
        char[8] magic
        uint32_t format
        uint32_t order
        uint64_t size
        uint64_t generation
        uint64_t keys
        uint64_t records
        uint64_t rest
        uint64_t rest_size
        uint64_t buckets
        uint64_t bucket_count
        uint64_t[2] seed
        uint32_t most_probes
        uint32_t lists
        uint32_t body_checksum
        uint32_t header_checksum
        uint64_t epoch

    ctypedef struct Record:
        uint32_t size
        uint32_t notes_size
        uint32_t key_size
        uint32_t narrow
        uint32_t wide
        uint16_t links
        uint16_t within
        uint32_t flags
        int64_t created

    ctypedef struct Parts:
        const uint8_t *key
        const uint32_t *first4
        const uint32_t *last4
        const uint8_t *length4
        const uint32_t *links
        const uint64_t *first6
        const uint64_t *last6
        const uint8_t *length6
        const uint8_t *notes

    ctypedef struct Store:
        const uint8_t *block
        const Bucket *buckets
        uint64_t bucket_count
        uint64_t records
        uint64_t rest
        uint64_t[2] seed
        uint32_t most_probes
        int vectors

    ctypedef struct Asked:
        uint64_t upper
        uint64_t lower
        uint32_t value
        int family

    ctypedef struct Question:
        const uint8_t *key
        size_t key_size
        const uint8_t *text
        Py_ssize_t text_size

    uint64_t siphash(const uint64_t *seed, const uint8_t *text, size_t size)
    Verdict find_record(const Store *store, const uint8_t *key, size_t size, uint64_t hash, const Record **record,
                        Parts *parts)
    bint own_entries_cover(const Store *store, const Record *record, const Parts *parts, const Asked *asked)
    bint is_plain(const Record *record)
    Verdict ask_one(const Store *store, const Question *question, const Record **record, Parts *parts)
    void ask_many(const Store *store, const Question *questions, Py_ssize_t count, uint8_t *verdicts)


cdef inline bint record_covers(const Store *store, const Record *record, const Parts *parts,
                               const Bits *address) noexcept nogil:
    """Does one of the record's own entries cover an address that was parsed elsewhere?"""
    cdef Asked asked
    asked.family = address.family
    asked.upper = address.upper
    asked.lower = address.lower
    asked.value = <uint32_t>(address.upper >> 32)
    return own_entries_cover(store, record, parts, &asked)


cdef class Builder:
    cdef uint8_t *block
    cdef uint64_t used
    cdef uint64_t room
    cdef uint64_t keys
    cdef PrefixArray prefixes

    cdef int make_room(self, uint64_t size) except -1
    cdef bint read_entries(self, object entries) except -1
    cdef bint is_short(self) noexcept
    cdef RangeArray merged(self)
    cdef int add_record(self, const uint8_t *key, size_t key_size, uint32_t flags, int64_t created, tuple links,
                        tuple within, bytes notes) except -1
    cdef bint copy_record(self, const Record *record, const uint32_t *numbers, uint32_t lists) noexcept nogil


cdef class KeyStore:
    cdef Store store
    cdef StoreHeader header     # copied when the block was opened; nobody reads the one in the block again
    cdef uint8_t *made          # NULL: the block is somebody else's, and `view` holds it
    cdef Py_buffer view
    cdef bint is_held
    cdef readonly dict kept     # for the room above: what it made of records

    cdef int open_block(self, const uint8_t *block, uint64_t size) except -1
    cdef Verdict ask(self, object key, object address, const Record **record, Parts *parts) except *
    cdef int ask_each(self, tuple keys, tuple addresses, dict overlay, uint8_t *verdicts) except -1
    cdef Verdict find(self, object key, const Record **record, Parts *parts) except *
    cdef Verdict verdict(self, object key, object address) except *
    cdef const Record *record(self, uint64_t place, Parts *parts) except NULL
    cdef tuple read(self, const Record *record, const Parts *parts)


cdef int ask_parsed(KeyStore store, const Record *record, const Parts *parts, object address) except -1
cdef object name_of(object key, Py_ssize_t index=*)
cdef tuple held(object items)
cdef tuple held_for(tuple keys, object addresses)
cdef object given_out(bytearray answers, object out, KeyStore store)
