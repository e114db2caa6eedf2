# cython: language_level=3
"""The declarations of the judge, for the room of checks; the essay is in judge.pyx."""

from cidrmatch._core.address cimport Bits
from cidrmatch._keys.block cimport Parts, Record, Verdict
from cidrmatch._keys.rule cimport Client, FrozenList, Rule
from cidrmatch._keys.view cimport View


cdef enum OwnEntries:
    # Do the own entries of a record cover an address? NO_OWN: it has no entries.
    NO_OWN
    OWN_MISS
    OWN_COVER


cdef Verdict judge_rule(View view, Rule rule, object address, Client *client) except *
cdef Verdict judge_stored(View view, object key, const Record *record, const Parts *parts, object address,
                          Client *client) except *
cdef bint passes_trial(View view, FrozenList frozen, Client *client) except -1
cdef Verdict judge_level(tuple level, OwnEntries own, Client *client, object clock, tuple translations) except *
cdef Verdict weigh_level(tuple level, const Bits *address, double now) except *
cdef bint is_inner_denied(tuple level, const Client *client, tuple translations, Bits *inner) except -1
cdef bint find_inner(const Bits *translation, const Bits *address, Bits *inner) noexcept nogil
