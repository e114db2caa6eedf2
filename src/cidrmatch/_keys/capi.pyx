# cython: language_level=3
"""The C interface for other extensions: a capsule with the functions that cidrmatch.h declares.

    AllowList --list_of--> Table     KeyStore --store_of--> Store      with the interpreter lock, once
    text, Table ---------> 1, 0, INVALID                               without the lock, many times

A text may lie anywhere, so the memory before it may not be readable.  But the
fast parser reads there.  So a text is first copied into a buffer with room
before it; no address is longer than 45 characters.

Cost: as the same question in Python, without the Python objects.
Threads: safe, because tables and stores never change; the caller must keep the Python object alive.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from cidrmatch._core.address cimport (
    LONGEST_ADDRESS, OK, ROOM_BEFORE, Bits, Text, fold_mapped, load_packed, parse_common, parse_unfolded,
)
from cidrmatch._keys.block cimport (
    ASK_PARSER, CLIENT_IP_UNKNOWN, MATCHED, NOT_LISTED, Parts, Question, Record, Store, Verdict, find_verdict,
    record_covers,
)
from cidrmatch._keys.store cimport KeyStore
from cidrmatch._core.allow_list cimport AllowList
from cidrmatch._core.frozen cimport Table, contains

__all__ = ["get_include"]

cdef extern from "cidrmatch.h":
    enum: CIDRMATCH_API_VERSION
    enum: CIDRMATCH_INVALID

    ctypedef struct CidrmatchApi:
        int version
        const void *(*list_of)(object allow) except NULL
        const void *(*store_of)(object store) except NULL
        int (*contains)(const void *list, const char *text, Py_ssize_t length) noexcept nogil
        int (*contains_packed)(const void *list, const uint8_t *packed, Py_ssize_t length) noexcept nogil
        int (*check)(const void *store, const char *key, Py_ssize_t key_length, const char *text,
                     Py_ssize_t length) noexcept nogil

cdef struct Copied:
    char[ROOM_BEFORE] room
    char[64] text


cdef bint parse_foreign(const char *text, Py_ssize_t length, Copied *copied, Bits *bits) noexcept nogil:
    """Parse a text that lies anywhere; a mapped address is its IPv4 address."""
    cdef Text found
    cdef Py_ssize_t position
    if length < 1 or length > LONGEST_ADDRESS:
        return False
    memcpy(copied.text, text, <size_t>length)
    found.start = <const uint8_t *>copied.text
    found.length = length
    if not parse_common(&found, bits):
        if parse_unfolded(&found, bits, &position) != OK:
            return False
        fold_mapped(bits)
    return True


cdef int contains_text(const Table *table, const char *text, Py_ssize_t length) noexcept nogil:
    cdef Copied copied
    cdef Bits bits
    if not parse_foreign(text, length, &copied, &bits):
        return CIDRMATCH_INVALID
    return contains(table, &bits)


cdef int contains_packed(const Table *table, const uint8_t *packed, Py_ssize_t length) noexcept nogil:
    cdef Bits bits
    if length != 4 and length != 16:
        return CIDRMATCH_INVALID
    load_packed(packed, 4 if length == 4 else 6, &bits)
    fold_mapped(&bits)
    return contains(table, &bits)


cdef int check_key(const Store *store, const char *key, Py_ssize_t key_length, const char *text,
                   Py_ssize_t length) noexcept nogil:
    cdef Copied copied
    cdef Question question
    cdef const Record *record
    cdef Parts parts
    cdef Verdict verdict
    cdef Bits client
    # The question has no text: the store then only finds the record, and answers ASK_PARSER.  Its own parser would read
    # memory before the text.
    question.key = <const uint8_t *>key
    question.key_size = <size_t>max(0, key_length)
    question.text = NULL
    question.text_size = 0
    verdict = find_verdict(store, &question, &record, &parts)
    if verdict != ASK_PARSER:
        return verdict
    if not parse_foreign(text, length, &copied, &client):
        return CLIENT_IP_UNKNOWN
    return MATCHED if record_covers(store, record, &parts, &client) else NOT_LISTED


cdef const void *list_of(object allow) except NULL:
    if type(allow) is not AllowList:
        raise TypeError(f"an AllowList was expected, not {type(allow).__name__}")
    return &(<AllowList>allow).table


cdef const void *store_of(object store) except NULL:
    if type(store) is not KeyStore:
        raise TypeError(f"a KeyStore was expected, not {type(store).__name__}")
    return &(<KeyStore>store).store


cdef CidrmatchApi api
api.version = CIDRMATCH_API_VERSION
api.list_of = list_of
api.store_of = store_of
api.contains = <int (*)(const void *, const char *, Py_ssize_t) noexcept nogil>contains_text
api.contains_packed = <int (*)(const void *, const uint8_t *, Py_ssize_t) noexcept nogil>contains_packed
api.check = <int (*)(const void *, const char *, Py_ssize_t, const char *, Py_ssize_t) noexcept nogil>check_key

_API = PyCapsule_New(&api, "cidrmatch._keys.capi._API", NULL)


def get_include():
    """The directory of `cidrmatch.h` and of the .pxd files' headers, for the compiler of another extension.

    Returns:
        `str`.
    """
    from pathlib import Path
    return str(Path(__file__).parents[1])
