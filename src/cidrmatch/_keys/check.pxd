# cython: language_level=3
"""The declarations of `Decision`, for columns of requests and for a log; the essay is in check.pyx."""

from libc.stdint cimport uint64_t

from cidrmatch._core.address cimport Bits
from cidrmatch._keys.block cimport LAST_ALLOWED, UNKNOWN_KEY, Verdict
from cidrmatch._keys.rule cimport Client, Rule
from cidrmatch._keys.view cimport View


cdef struct Own:
    # An entry of a record.
    uint64_t store          # the serial number of the store
    uint64_t number         # of the entry in the store; 0: it has none
    bint is_bare            # the record has no notes, so no labels
    Bits bits


cdef class Decision:
    cdef View view              # None: `asked` holds `Facts`; or the object was not made by a check
    cdef Rule rule
    cdef Verdict verdict
    cdef Client client
    cdef readonly object key
    cdef object asked           # what was given as the address

    cdef object fact(self, str name)
    cdef Rule known_rule(self)
    cdef object given_text(self)
    cdef int find_client(self, Client *client) except -1
    cdef bint is_of_record(self, Own *own) except -1
    cdef object deciding(self)
    cdef object winner_of(self, tuple level, const Bits *address, double now)
    cdef tuple deciding_level(self, Client *client)


cdef inline bint is_allowed(View view, Verdict verdict) noexcept:
    """Does a request with this verdict pass?"""
    return (verdict <= LAST_ALLOWED) | ((verdict == UNKNOWN_KEY) & view.unknown_passes)
