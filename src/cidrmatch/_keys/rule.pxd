# cython: language_level=3
"""The declarations of lists and rules, for the rooms that judge; the essay is in rule.pyx."""

from libc.stdint cimport uint32_t

from cidrmatch._core.address cimport Bits
from cidrmatch._core.allow_list cimport AllowList
from cidrmatch._core.frozen cimport Table
from cidrmatch._core.prefix cimport Entry


cdef extern from "_keys/c/tie.h" nogil:
    const int NO_ENTRY
    ctypedef struct Winner:
        int length
        int denies
    void weigh(Winner *found, int length, int denies)


cdef struct Client:
    Bits address
    bint is_read        # the given address was parsed
    bint is_known       # and it is a valid address
    double now          # POSIX seconds, or NAN until the clock is read


cdef struct InForce:
    # What one entry does, and when.
    double start            # POSIX seconds; it counts from `start` on, and no longer at `end`
    double end
    bint denies


cdef class FrozenList:
    cdef readonly object name
    cdef readonly tuple entries
    cdef readonly str description
    cdef bint is_timed
    cdef bint may_deny          # some entry denies, now or at another time
    cdef AllowList allow        # what is allowed; in a list with times, all prefixes
    cdef AllowList deny         # None: nothing is denied, or the list has times
    cdef uint32_t *firsts       # of a list with times: for each prefix of `allow` its first item in `said`, and the end
    cdef InForce *said

    cdef int note_all(self) except -1
    cdef Py_ssize_t number_of(self, Entry entry) except -1
    cdef int tell_time(self, Client *client, object clock) except -1
    cdef int weigh_entries(self, const Bits *address, double now, Winner *found) except -1
    cdef bint lets_in(self, const Bits *address, double now) except -1


cdef class NamedLists:
    cdef tuple shelves
    cdef Py_ssize_t count

    cdef int put_all(self, dict changes) except -1
    cdef FrozenList find(self, object name)
    cdef FrozenList existing(self, object name)


cdef class Shadow:
    cdef readonly FrozenList list
    cdef readonly unsigned long long would_allow
    cdef readonly unsigned long long would_deny
    cdef readonly dict denied

    cdef int note(self, const Client *client, bint passes) except -1


cdef class Rule:
    # Most keys have own entries without conditions, and nothing else.  Then `table` alone decides.  It is a copy of the
    # list's own table; it is in the rule itself, so that a check reads one object less.  `ask_simple` in check.pyx
    # reads `is_simple` and `table`, and nothing else.
    cdef Table table
    cdef bint is_simple
    cdef AllowList simple       # owns what `table` points to

    cdef readonly object record
    cdef readonly tuple names
    cdef readonly tuple within
    cdef readonly bint is_enabled
    cdef readonly bint needs_list
    cdef readonly Shadow shadow
    cdef tuple own_level


cdef Entry find_deciding(FrozenList frozen, const Bits *address, double now, bint denies)
cdef object text_of(const Client *client)
