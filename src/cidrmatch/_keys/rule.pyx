# cython: language_level=3, nonecheck=True
"""The lists and rules of keys, in a form that a check can ask.

    Rule    record          all that was said about the key, as a `KeyRecord`
            own             FrozenList of its own entries
            names, within   the names of its lists; a view has the lists themselves
            shadow          a list on trial, and its counts

A rule holds the names of its lists, not the lists.  So a changed list is one new item in `NamedLists`, however many
keys are linked to it.

A list weighs its entries that cover an address and count now; c/tie.h has the rule by which one wins.  view.pyx decides
which lists a key has, and judge.pyx judges them together.

Cost: a table search for each list; in a list with times, also a step for each entry that covers the address.
Threads: lists and rules never change.  The counts of a `Shadow` change, and no check depends on them.
"""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport uint32_t

from cidrmatch._core.address cimport LONGEST_ADDRESS, Bits, write_address
from cidrmatch._core.allow_list cimport AllowList
from cidrmatch._core.frozen cimport bits_at, contains, find_entry
from cidrmatch._core.prefix cimport Entry, covers

from collections.abc import Mapping

from ..errors import brief

__all__ = ["FrozenList", "NamedLists", "Rule", "Shadow"]

cdef enum:
    MOST_REMEMBERED = 1000      # denied addresses that a `Shadow` keeps
    SHELVES = 256               # dictionaries that share the named lists of a version; a power of two


# -- Lists --------------------------------------------------------------------

@cython.final
cdef class FrozenList:
    """FrozenList(name, entries, description='')\n--\n\nHold the entries of one list, ready to be asked.

    A list without times is two tables, one of what it allows and one of what it
    denies.  A list with times is one table of all its prefixes, and what is said
    about each stands beside it, so that no moment changes anything here:

        table    [ 10.0.0.0/8      | 10.1.0.0/16      | 10.1.2.0/24 ]
        firsts   [ 0               | 1                | 3           | 4 ]
        said     [ allow, always   | deny, from 12:00 , deny, from 18:00 | allow, until 15:00 ]

    A check walks the entries that cover the address, the most specific first, and
    takes the first length at which something counts now.

    Args:
        name: the name of a named list, None for a key's own.
        entries: `tuple[Entry, ...]`.
        description: what the list is for, in words.
    """

    def __cinit__(self, name, tuple entries not None, str description not None=""):
        self.firsts = NULL
        self.said = NULL
        self.name = name
        self.entries = entries
        self.description = description
        allow, deny = [], []
        for entry in entries:
            condition = entry.condition
            if condition is not None and not condition.enabled:
                continue
            denies = condition is not None and condition.effect == "deny"
            self.may_deny |= denies
            self.is_timed |= condition is not None and (condition.not_before or condition.expires) is not None
            (deny if denies else allow).append(entry.prefix)
        if self.is_timed:
            self.allow = AllowList(allow + deny)
            self.note_all()
            return
        self.allow = AllowList(allow)
        self.deny = AllowList(deny) if deny else None

    def __repr__(self):
        named = "" if self.name is None else f" {brief(self.name)}"
        return f"<FrozenList{named} of {len(self.entries):,} entries>"

    def __dealloc__(self):
        PyMem_RawFree(self.firsts)
        PyMem_RawFree(self.said)

    cdef int note_all(self) except -1:
        """For each prefix, note all entries that have it: count them, then fill them in."""
        cdef Py_ssize_t i, size = len(self.allow), count = len(self.entries)
        cdef uint32_t at
        self.firsts = <uint32_t *>PyMem_RawCalloc(<size_t>size + 2, sizeof(uint32_t))
        self.said = <InForce *>PyMem_RawCalloc(<size_t>count + 1, sizeof(InForce))
        if self.firsts is NULL or self.said is NULL:
            raise MemoryError()
        # 1. how many entries has each prefix?  Counted at index + 2, so that after step 2 each first is at its index
        for entry in self.entries:
            if entry.condition is None or entry.condition.enabled:
                self.firsts[self.number_of(entry) + 2] += 1
        for i in range(2, size + 2):
            self.firsts[i] += self.firsts[i - 1]
        # 2. what?
        for entry in self.entries:
            if entry.condition is None or entry.condition.enabled:
                i = self.number_of(entry) + 1
                at = self.firsts[i]
                self.firsts[i] += 1
                self.said[at] = said_by(entry)
        return 0

    cdef Py_ssize_t number_of(self, Entry entry) except -1:
        """The number of an entry's prefix: the longest match of its first address, or an ancestor of that match."""
        cdef Py_ssize_t at = find_entry(&self.allow.table, &self.allow.entries, &entry.bits)
        cdef Bits bits
        while at >= 0:
            bits_at(&self.allow.entries, at, &bits)
            if bits.length == entry.bits.length:
                return at
            at = self.allow.entries.parents[at]
        raise AssertionError("a prefix of the list is not in its table")

    cdef int tell_time(self, Client *client, object clock) except -1:
        """Read the clock, if this list needs the time and it was not read before."""
        if self.is_timed and not isfinite(client.now):
            client.now = clock()
            if not isfinite(client.now):
                raise ValueError("the clock gave no finite number of seconds")
        return 0

    cdef int weigh_entries(self, const Bits *address, double now, Winner *found) except -1:
        """Weigh the entries that cover the address and count now, against the winner so far."""
        cdef Py_ssize_t at
        cdef uint32_t i
        cdef bint is_found = False
        cdef Bits bits
        if not self.is_timed:
            weigh(found, length_of_match(self.allow, address), False)
            if self.deny is not None:
                weigh(found, length_of_match(self.deny, address), True)
            return 0
        at = find_entry(&self.allow.table, &self.allow.entries, address)
        while at >= 0 and not is_found:  # what is behind is shorter
            bits_at(&self.allow.entries, at, &bits)
            for i in range(self.firsts[at], self.firsts[at + 1]):
                if self.said[i].start <= now < self.said[i].end:
                    is_found = True
                    weigh(found, bits.length, self.said[i].denies)
            at = self.allow.entries.parents[at]
        return 0

    cdef bint lets_in(self, const Bits *address, double now) except -1:
        """Does an entry allow the address, and no other deny it?"""
        cdef Winner found = Winner(NO_ENTRY, False)
        if not self.is_timed and self.deny is None:
            return contains(&self.allow.table, address)
        self.weigh_entries(address, now, &found)
        return found.length != NO_ENTRY and not found.denies


cdef InForce said_by(Entry entry) except *:
    cdef InForce said
    if entry.condition is None:
        return InForce(-INFINITY, INFINITY, False)
    said.start = entry.condition.start
    said.end = entry.condition.end
    said.denies = entry.condition.effect == "deny"
    return said


# This dictionary is never written; it is every shelf that has no lists.
cdef tuple EMPTY_SHELVES = ({},) * SHELVES


@cython.final
cdef class NamedLists:
    """NamedLists(lists=None)\n--\n\nHold the named lists of one version.  Immutable.

    The next version shares all of it but what changed.

    Each name lies on one of 256 shelves, by its hash, and a shelf is a dictionary:

        shelves   [ {office: ...} | {} | {home: ..., lab: ...} | {} | ... ]
                          |                       |
        next      [ {office: ...} | {} | {home: ..., lab: NEW} | {} | ... ]      one shelf is copied

    Args:
        lists: `dict[str, FrozenList]`, or None for no lists.
    Raises:
        TypeError: a list is no `FrozenList`.
    Cost: a look-up as in a dictionary; a changed version, 256 references and the shelves that changed.
    Threads: safe, never changes.
    """

    def __cinit__(self, dict lists=None):
        self.shelves = EMPTY_SHELVES
        if lists:
            self.put_all(lists)

    cdef int put_all(self, dict changes) except -1:
        """Copy the shelves that change, each once.  Needs: nobody else has this object yet."""
        cdef list shelves = list(self.shelves)
        cdef dict own = {}
        cdef dict shelf
        cdef Py_ssize_t at
        for name, frozen in changes.items():
            if frozen is not None and type(frozen) is not FrozenList:
                raise TypeError(f"a list is a FrozenList, not {type(frozen).__name__}")
            at = hash(name) & (SHELVES - 1)
            shelf = own.get(at)
            if shelf is None:
                shelf = own[at] = shelves[at] = dict(shelves[at])
            self.count -= name in shelf
            if frozen is None:
                shelf.pop(name, None)
            else:
                shelf[name] = frozen
                self.count += 1
        self.shelves = tuple(shelves)
        return 0

    def changed(self, dict changes not None, /):
        """Give the lists with some of them put, or removed where there is None."""
        cdef NamedLists other = NamedLists()
        other.shelves, other.count = self.shelves, self.count
        other.put_all(changes)
        return other

    cdef FrozenList find(self, object name):
        """A list by its name, or None."""
        return (<dict>self.shelves[hash(name) & (SHELVES - 1)]).get(name)

    cdef FrozenList existing(self, object name):
        """A list by its name; KeyError if there is none."""
        cdef FrozenList frozen = self.find(name)
        if frozen is None:
            raise KeyError(name)
        return frozen

    def __getitem__(self, name):
        return self.existing(name)

    def get(self, name, default=None, /):
        """Give a list by its name, or the default."""
        frozen = self.find(name)
        return default if frozen is None else frozen

    def __contains__(self, name):
        return self.find(name) is not None

    def __len__(self):
        return self.count

    def __iter__(self):
        """Name all lists, sorted."""
        names = []
        for shelf in self.shelves:
            names.extend(shelf)
        return iter(sorted(names))

    keys = Mapping.keys
    items = Mapping.items
    values = Mapping.values

    def __eq__(self, other):
        return dict(self) == dict(other) if isinstance(other, Mapping) else NotImplemented

    __hash__ = None

    def __repr__(self):
        return f"<NamedLists: {self.count:,} lists>"


Mapping.register(NamedLists)


# -- Entries ------------------------------------------------------------------

cdef int length_of_match(AllowList allow, const Bits *address) noexcept nogil:
    """The length of the longest match, or NO_ENTRY."""
    cdef Py_ssize_t at = find_entry(&allow.table, &allow.entries, address)
    cdef Bits entry
    if at < 0:
        return NO_ENTRY
    bits_at(&allow.entries, at, &entry)
    return entry.length


cdef Entry find_deciding(FrozenList frozen, const Bits *address, double now, bint denies):
    """The first entry that wins in this list and has this effect, or None."""
    cdef Entry entry
    cdef Winner found = Winner(NO_ENTRY, False)
    frozen.weigh_entries(address, now, &found)
    if found.length == NO_ENTRY or <bint>found.denies != denies:
        return None
    for entry in frozen.entries:
        if entry.bits.length != found.length or not covers(&entry.bits, address):
            continue
        if counts(entry.condition, not denies, now):
            return entry
    return None


cdef bint counts(condition, bint allows, double now) except -1:
    """Does an entry count at this moment, for this effect?  `now` is NAN if no entry has times."""
    if condition is None:
        return allows
    if not condition.enabled or (condition.effect == "allow") != allows:
        return False
    return not (now < condition.start or now >= condition.end)


cdef object text_of(const Client *client):
    cdef char text[LONGEST_ADDRESS]
    if not client.is_known:
        return None
    return text[:write_address(&client.address, text)].decode("ascii")


# -- Rules --------------------------------------------------------------------

@cython.final
cdef class Shadow:
    """Shadow(frozen, /)\n--\n\nCount what a list would have decided; it decides nothing (B31).

    Attributes:
        list: the `FrozenList` on trial.
        would_allow, would_deny: how many checks.
        denied: `dict[str, int]`, how often each address would have been denied, for the first 1,000 of them.
    """

    def __cinit__(self, FrozenList frozen not None, /):
        self.list = frozen
        self.denied = {}

    def __repr__(self):
        return f"<Shadow: {self.would_allow:,} would be allowed, {self.would_deny:,} denied>"

    cdef int note(self, const Client *client, bint passes) except -1:
        """Count one request that the list would let pass, or not."""
        if passes:
            self.would_allow += 1
            return 0
        self.would_deny += 1
        address = text_of(client) or "unknown"
        if address in self.denied or len(self.denied) < MOST_REMEMBERED:
            self.denied[address] = self.denied.get(address, 0) + 1
        return 0


@cython.final
cdef class Rule:
    """Rule(record, own, names, within, is_enabled, needs_list, shadow)\n--\n\nHold what was said about one key.

    Args:
        record: all that was said, as a `KeyRecord`.
        own: the key's own entries as a `FrozenList`, or None.
        names: the named lists it is linked to.
        within: the named lists that must pass as well.
        is_enabled: whether its lists are enforced.
        needs_list: whether it is inactive rather than unrestricted while it has none.
        shadow: a `Shadow`, or None.
    """

    def __cinit__(self, record, FrozenList own, tuple names not None, tuple within not None,
                  bint is_enabled, bint needs_list, Shadow shadow):
        self.record = record
        self.own_level = () if own is None else (own,)
        self.names = names
        self.within = within
        self.is_enabled = is_enabled or needs_list      # a key that needs its list cannot do without it (N2)
        self.needs_list = needs_list
        self.shadow = shadow
        if own is not None and is_enabled and not names and not within and shadow is None:
            if own.entries and not own.is_timed and not own.may_deny:
                self.simple = own.allow
                self.table = self.simple.table
                self.is_simple = True
