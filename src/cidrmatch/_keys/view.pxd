# cython: language_level=3
"""The declarations of `View`, for the rooms that judge and check; the essay is in view.pyx."""

from libc.stdint cimport uint32_t

from cidrmatch._keys.block cimport INACTIVE, MATCHED, UNRESTRICTED, Parts, Record, Verdict
from cidrmatch._keys.rule cimport FrozenList, NamedLists, Rule
from cidrmatch._keys.store cimport KeyStore


cdef struct Terms:
    # What was said about a key, without the lists themselves.
    bint has_lists      # own entries, or linked lists
    bint has_united     # own entries, linked lists, or a default list instead
    bint has_within
    bint is_enabled
    bint needs_list


cdef class View:
    cdef readonly KeyStore store
    cdef readonly dict overlay
    cdef readonly NamedLists lists
    cdef readonly object default
    cdef readonly unsigned long long version
    cdef readonly object settings
    cdef readonly tuple names
    cdef dict numbers           # of the names
    cdef bint has_overlay
    cdef bint is_common         # a key of the overlay may be judged by its rule at once
    cdef object clock
    cdef object id_hash         # gives the held id of a plain one; None: ids are held as they are
    cdef bint is_enforced
    cdef bint unknown_passes
    cdef tuple translations     # of the policy

    cdef Rule stored_rule(self, object name)
    cdef Terms terms_of(self, Rule rule, const Record *record) noexcept
    cdef tuple levels_of(self, Rule rule, const Record *record, const Parts *parts)
    cdef FrozenList list_by_number(self, uint32_t number)


cdef inline Verdict judge_state(const Terms *terms) noexcept:
    """The state of a key: INACTIVE, UNRESTRICTED, or MATCHED for a restricted key."""
    if not terms.has_united:
        if terms.needs_list:
            return INACTIVE
        if not terms.has_within:
            return UNRESTRICTED
    if not terms.is_enabled:
        return UNRESTRICTED
    return MATCHED
