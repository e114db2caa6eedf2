# cython: language_level=3
"""The headers in `c/`, for Cython: what a block holds and who asks it.

The essays are in block_layout.h, find.h and answer.h.

The structs here name the fields that Cython code uses.  Only block_layout.h describes the layout.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Bits, Text, find_text, set_ipv4


cdef extern from "_keys/c/reason.h" nogil:
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


cdef extern from "_keys/c/block_layout.h" nogil:
    enum:
        UNIT
        STORE_PAD

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
        uint64_t size
        uint64_t generation
        uint64_t epoch
        uint64_t keys
        uint64_t about_size
        uint64_t buckets
        uint64_t bucket_count
        uint64_t[2] seed
        uint32_t most_probes
        uint32_t lists
        uint32_t body_checksum
        uint32_t header_checksum

    ctypedef struct Record:
        uint32_t size
        uint32_t notes_size
        uint32_t key_size
        uint32_t count4
        uint32_t count6
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
        uint64_t records
        uint64_t records_end
        uint64_t[2] seed
        uint32_t most_probes
        int vectors

    uint64_t rounded(uint64_t size, uint64_t to)
    uint64_t find_parts(const Record *record, Parts *parts)
    const Record *record_at(const Store *store, uint64_t place, Parts *parts)
    const char *refuse_header(const StoreHeader *header, uint64_t size)
    void point_into(Store *store, const StoreHeader *header, const uint8_t *block)


cdef extern from "_keys/c/find.h" nogil:
    uint64_t siphash(const uint64_t *seed, const uint8_t *text, size_t size)
    void prefetch "CIDRMATCH_PREFETCH"(const void *where)
    Verdict find_record(const Store *store, const uint8_t *key, size_t size, uint64_t hash, const Record **record,
                        Parts *parts)


cdef extern from "_keys/c/answer.h" nogil:
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

    bint own_entries_cover(const Store *store, const Record *record, const Parts *parts, const Asked *asked)
    int64_t longest_own_entry(const Record *record, const Parts *parts, const Asked *asked)
    bint is_plain(const Record *record)
    Verdict find_verdict(const Store *store, const Question *question, const Record **record, Parts *parts)
    void find_verdicts(const Store *store, const Question *questions, Py_ssize_t count, uint8_t *verdicts)


cdef extern from "_keys/c/build.h" nogil:
    void *block_memory(uint64_t size)
    uint64_t block_size(uint64_t records_end, uint64_t about_size, uint64_t bucket_count)
    StoreHeader *write_header(uint8_t *block, uint64_t records_end, uint64_t about_size, uint64_t keys,
                              uint64_t bucket_count)
    uint64_t fill_buckets(Store *store, Bucket *buckets)
    uint64_t digest_keys(const Store *store, uint64_t salt)
    int compare_records(const void *a, const void *b)


cdef extern from "_keys/c/verify.h" nogil:
    const char *find_fault(const Store *store, const StoreHeader *header)


cdef inline Asked asked_of(const Bits *address) noexcept nogil:
    """The question about an address that was parsed elsewhere."""
    cdef Asked asked
    asked.family = address.family
    asked.upper = address.upper
    asked.lower = address.lower
    asked.value = <uint32_t>(address.upper >> 32)
    return asked


cdef inline bint record_covers(const Store *store, const Record *record, const Parts *parts,
                               const Bits *address) noexcept nogil:
    """Does one of the record's own entries cover an address?"""
    cdef Asked asked = asked_of(address)
    return own_entries_cover(store, record, parts, &asked)


cdef inline int64_t longest_own(const Record *record, const Parts *parts, const Bits *address) noexcept nogil:
    """The number of the record's own entry with the longest match; -1 if there is none, or the list is a long one."""
    cdef Asked asked = asked_of(address)
    return longest_own_entry(record, parts, &asked)


cdef inline void read_own(const Record *record, const Parts *parts, int64_t at, Bits *bits) noexcept nogil:
    """Read an entry by its number, as `longest_own` counts.  Needs: the record has it, and its lists are short ones."""
    cdef int64_t at6 = at - record.count4
    if at < record.count4:
        set_ipv4(bits, parts.first4[at])
        bits.length = parts.length4[at]
    else:
        bits.upper, bits.lower = parts.first6[at6], parts.first6[record.count6 + at6]
        bits.family = 6
        bits.length = parts.length6[at6]


cdef inline bint find_name(object key, Question *question) noexcept:
    """Point at the bytes of a key, if it is an exact ASCII `str`.  The bytes live as long as the `str`."""
    cdef Text text
    if not find_text(key, &text):
        return False
    question.key = text.start
    question.key_size = <size_t>text.length
    return True
