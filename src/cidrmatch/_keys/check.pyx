# cython: language_level=3, nonecheck=True
"""One key, one address, one answer: the half of the engine that runs in every request.

An engine publishes its data as a `View`: one version, never changed again.  A
check takes the current view once and asks only it, so its answer is that of
one version, and no reader ever locks:

    engine.view --> View 17                  a commit builds View 18 beside it
                    |- overlay   { key: Rule or None }    and moves the one reference
                    |- store     KeyStore or None
                    |- lists     NamedLists, by name
                    '- default   name or None

A `Rule` is what was said about one key.  It names its lists instead of
holding them, so a changed list is one new entry in `lists`, whatever the
number of keys linked to it.  The overlay holds what changed since the store
was built (None: removed), so a commit copies little; the store holds the rest,
without an object for a key.  A record of the store links lists by number.  The
view's `names` say which lists these are; they change only with the store.
Entries with conditions, and trials, are objects: a rule is made of such a
record when it is first asked for, and kept.

    lists of a key   own entries and linked lists, united;    none: the default list
    and also         every list it lies `within` must pass;   each is a level of its own

Within a level the most specific entry decides, and denies on a tie.  Entries
that come and go are judged by the engine's clock, read at most once a check.
Where an IPv6 address carries an IPv4 address by a translation that the policy
names, a deny entry for the inner address denies, too; nobody gets in by it.

Where the settings hash ids (ids.py), a view holds the hashes, and whoever asks by
`Checker` says the plain id.  A view's own methods take the id as it is held.

Whatever goes wrong raises or denies: there is no path from an exception to an
allowance.
Cost: a look-up in the overlay or in the store, an address parse, a table search; a `Decision` more for `check`.
Threads: views, rules and lists never change.
"""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.math cimport INFINITY, NAN, isfinite

from cidrmatch._core.address cimport Bits, OK, set_ipv4, take_address, write_address
from cidrmatch._keys.block cimport (
    ASK_OBJECTS, CLIENT_IP_UNKNOWN, DAMAGED, DENIED_BY_ENTRY, EMPTY_LIST, HAS_ENTRIES, INACTIVE, IS_ENABLED,
    LAST_ALLOWED, MATCHED, NEEDS_LIST, NEEDS_OBJECTS, NOT_ENFORCED, NOT_LISTED, STALE_DATA, UNKNOWN_KEY, UNRESTRICTED,
    Parts, Record, Verdict, record_covers,
)
from cidrmatch._keys.store cimport KeyStore, tuple_for, tuple_of, write_answers
from cidrmatch._keys.store_builder cimport name_of
from cidrmatch._core.prefix cimport Entry, Prefix, covers, read_prefix
from cidrmatch._core.allow_list cimport NOT_COMMON, AllowList, Table, ask_common, contains

from collections.abc import Mapping

from ..errors import SnapshotError, brief
from .._core.address import is_address
from .reasons import REASONS_BY_VERDICT, State
from .._core.refusal import address_problem, shown

__all__ = ["Checker", "Decision", "FrozenList", "NamedLists", "Rule", "Shadow", "View"]

cdef enum:
    MOST_REMEMBERED = 1000      # denied addresses that a shadow keeps
    MOST_GIVEN = 80             # characters of what a client sent, in a log
    MOST_KEPT = 65_536          # rules made of records, without those on trial
    SHELVES = 256               # dictionaries that share the named lists of a version; a power of two


cdef struct Client:
    Bits address
    bint is_known
    double now          # POSIX seconds, or NAN while nobody has asked


# -- Lists --------------------------------------------------------------------

cdef struct Said:
    # What one entry says about its prefix.
    double start            # POSIX seconds; the first moment belongs to it, the last does not
    double end
    bint denies


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

    cdef readonly object name
    cdef readonly tuple entries
    cdef readonly str description
    cdef bint is_timed
    cdef bint may_deny          # some entry does, now or at another time
    cdef AllowList allow        # of a list with times: all prefixes
    cdef AllowList deny         # None: nothing is denied, or the list has times
    cdef uint32_t *firsts       # of a list with times: for each prefix of `allow` the first of `said`, and one more
    cdef Said *said

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
        """Note for each prefix what is said about it: count, then fill in."""
        cdef Py_ssize_t i, size = len(self.allow), count = len(self.entries)
        cdef uint32_t at
        self.firsts = <uint32_t *>PyMem_RawCalloc(<size_t>size + 2, sizeof(uint32_t))
        self.said = <Said *>PyMem_RawCalloc(<size_t>count + 1, sizeof(Said))
        if self.firsts is NULL or self.said is NULL:
            raise MemoryError()
        # 1. how often is each said something about?  Counted two places on, so that 2. leaves each first in its place
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
        """The number of the very prefix of an entry: it begins where the entry does, or is an ancestor of what does."""
        cdef Py_ssize_t at = self.allow.find_entry(&entry.bits)
        cdef Bits bits
        while at >= 0:
            self.allow.bits_at(at, &bits)
            if bits.length == entry.bits.length:
                return at
            at = self.allow.parents[at]
        raise AssertionError("a prefix of the list is not in its table")

    cdef int tell_time(self, View view, Client *client) except -1:
        """Read the clock, if this list needs it and nobody did."""
        if self.is_timed and not isfinite(client.now):
            client.now = view.clock()
            if not isfinite(client.now):
                raise ValueError("the clock gave no finite number of seconds")
        return 0

    cdef int strongest(self, const Bits *address, double now, bint *denies) except -2:
        """The length of the most specific entry that counts now, or -1; it denies if one of that length does."""
        cdef Py_ssize_t at
        cdef uint32_t i
        cdef int allowed, denied
        cdef bint is_found
        cdef Bits bits
        denies[0] = False
        if not self.is_timed:
            allowed = length_of_match(self.allow, address)
            denied = -1 if self.deny is None else length_of_match(self.deny, address)
            denies[0] = denied >= allowed and denied >= 0
            return max(allowed, denied)
        at = self.allow.find_entry(address)
        while at >= 0:
            is_found = False
            for i in range(self.firsts[at], self.firsts[at + 1]):
                if self.said[i].start <= now < self.said[i].end:
                    is_found = True
                    denies[0] |= self.said[i].denies
            if is_found:
                self.allow.bits_at(at, &bits)
                return bits.length
            at = self.allow.parents[at]
        return -1

    cdef bint lets_in(self, const Bits *address, double now) except -1:
        """Does an entry allow the address, and no other deny it?"""
        cdef bint denies
        if not self.is_timed and self.deny is None:
            return contains(&self.allow.table, address)
        return self.strongest(address, now, &denies) >= 0 and not denies


cdef Said said_by(Entry entry) except *:
    cdef Said said
    if entry.condition is None:
        return Said(-INFINITY, INFINITY, False)
    said.start = entry.condition.start
    said.end = entry.condition.end
    said.denies = entry.condition.effect == "deny"
    return said


# Nobody writes to this dictionary; each version without lists on a shelf has it there.
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

    cdef tuple shelves
    cdef Py_ssize_t count

    def __cinit__(self, dict lists=None):
        self.shelves = EMPTY_SHELVES
        if lists:
            self.put_all(lists)

    cdef int put_all(self, dict changes) except -1:
        """Copy the shelves that change, once each; only for who makes this object."""
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


cdef Verdict judge_level(View view, tuple level, Client *client) except *:
    """Judge an address by lists that are united: the most specific entry decides, and denies on a tie."""
    cdef FrozenList frozen
    cdef bint has_entries = False, may_deny = False
    cdef Verdict verdict
    for frozen in level:
        frozen.tell_time(view, client)
        has_entries |= len(frozen.entries) > 0
        may_deny |= frozen.may_deny
    if not has_entries:
        return EMPTY_LIST
    if may_deny:
        verdict = weigh_level(level, &client.address, client.now)
        if verdict == MATCHED and view.translations and denied_within(view, level, client):
            return DENIED_BY_ENTRY
        return verdict
    for frozen in level:
        if frozen.lets_in(&client.address, client.now):
            return MATCHED
    return NOT_LISTED


cdef Verdict weigh_level(tuple level, const Bits *address, double now) except *:
    """Compare what allows with what denies, by length."""
    cdef FrozenList frozen
    cdef int longest = -1, length
    cdef bint is_denied = False, denies
    for frozen in level:
        length = frozen.strongest(address, now, &denies)
        if length > longest:
            longest = length
            is_denied = denies
        elif length == longest:
            is_denied |= denies
    if longest < 0:
        return NOT_LISTED
    return DENIED_BY_ENTRY if is_denied else MATCHED


cdef bint denied_within(View view, tuple level, Client *client) except -1:
    """Does the level deny the IPv4 address that a translator wrote into this IPv6 address?"""
    cdef Bits inner
    for prefix in view.translations:
        if find_inner(&(<Prefix>prefix).bits, &client.address, &inner):
            if weigh_level(level, &inner, client.now) == DENIED_BY_ENTRY:
                return True
    return False


cdef bint find_inner(const Bits *translation, const Bits *address, Bits *inner) noexcept nogil:
    """Read the IPv4 address behind the prefix of a translation; False if the address does not lie in it.

    RFC 6052 section 2.2: the octet of bits 64 to 71 is not part of it, whatever it holds.  RFC 3056: 2002::/16.
    """
    cdef uint64_t behind
    if not covers(translation, address):
        return False
    if translation.length == 16:
        set_ipv4(inner, <uint32_t>(address.upper >> 16))
    elif translation.length == 96:
        set_ipv4(inner, <uint32_t>address.lower)
    else:
        behind = address.lower << 8
        if translation.length < 64:
            behind = address.upper << translation.length | behind >> (64 - translation.length)
        set_ipv4(inner, <uint32_t>(behind >> 32))
    return True


def inner_address(translation, address, /):
    """Give the IPv4 address that an IPv6 address carries, as text, or None.

    Args:
        translation: a `Prefix`, one of a policy's `translations`.
        address: what `parse_address` takes.
    """
    cdef Client client
    cdef Bits bits, inner
    cdef Py_ssize_t position
    read_prefix(translation, False, &bits)
    if take_address(address, &client.address, &position) != OK or not find_inner(&bits, &client.address, &inner):
        return None
    client.address = inner
    client.is_known = True
    return text_of(&client)


cdef int length_of_match(AllowList allow, const Bits *address) noexcept nogil:
    """The length of the longest match, or -1."""
    cdef Py_ssize_t at = allow.find_entry(address)
    cdef Bits entry
    if at < 0:
        return -1
    allow.bits_at(at, &entry)
    return entry.length


@cython.final
cdef class Shadow:
    """Shadow(frozen, /)\n--\n\nCount what a list would have decided; it decides nothing (B31).

    Attributes:
        list: the `FrozenList` on trial.
        would_allow, would_deny: how many checks.
        denied: `dict[str, int]`, how often each address would have been denied, for the first 1,000 of them.
    """

    cdef readonly FrozenList list
    cdef readonly unsigned long long would_allow
    cdef readonly unsigned long long would_deny
    cdef readonly dict denied

    def __cinit__(self, FrozenList frozen not None, /):
        self.list = frozen
        self.denied = {}

    def __repr__(self):
        return f"<Shadow: {self.would_allow:,} would be allowed, {self.would_deny:,} denied>"

    cdef int note(self, View view, Client *client) except -1:
        if client.is_known and judge_level(view, (self.list,), client) == MATCHED:
            self.would_allow += 1
            return 0
        self.would_deny += 1
        address = text_of(client) or "unknown"
        if address in self.denied or len(self.denied) < MOST_REMEMBERED:
            self.denied[address] = self.denied.get(address, 0) + 1
        return 0


# -- Rules and views ----------------------------------------------------------

@cython.final
cdef class Rule:
    """Rule(record, own, names, within, is_enabled, needs_list, shadow)\n--\n\nHold what was said about one key.

    Args:
        record: the engine's own record of the key.
        own: the key's own entries as a `FrozenList`, or None.
        names: the named lists it is linked to.
        within: the named lists that must pass as well.
        is_enabled: whether its lists are enforced.
        needs_list: whether it is inactive rather than unrestricted while it has none.
        shadow: a `Shadow`, or None.
    """

    # Most keys have entries of their own without conditions, and nothing else.  Then `table` is the whole truth:
    # a copy of the list's own, at the head of the rule, so that a check touches one object less.
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


@cython.final
cdef class View:
    """View(store, overlay, lists, default, version, settings, names=())\n--\n\nHold one version of an engine's data.

    Args:
        store: what was put before, as a `KeyStore`; or None.
        overlay: `dict[str, Rule | None]`, what was put or removed since; nobody changes it any more.
        lists: `NamedLists`, or a dictionary to make one of.
        default: the name of the default list, or None.
        version: the number of this version.
        settings: what does not change from version to version, see `Settings` in records.py.
        names: of the lists that records of the store link by number.
    """

    cdef readonly KeyStore store
    cdef readonly dict overlay
    cdef readonly NamedLists lists
    cdef readonly object default
    cdef readonly unsigned long long version
    cdef readonly object settings
    cdef readonly tuple names
    cdef dict numbers           # of the names
    cdef bint has_overlay
    cdef bint is_common         # a key of the overlay may be asked without another question
    cdef object clock
    cdef object id_hash         # gives the held id of a plain one; None: ids are held as they are
    cdef bint is_enforced
    cdef bint unknown_passes
    cdef tuple translations     # of the policy

    def __cinit__(self, KeyStore store, dict overlay not None, lists not None, default, version, settings,
                  tuple names not None=()):
        self.store = store
        self.overlay = overlay
        self.has_overlay = len(overlay) > 0
        self.lists = lists if type(lists) is NamedLists else NamedLists(lists)
        self.default = default
        self.version = version
        self.settings = settings
        self.names = names
        self.numbers = {}
        for name in names:
            self.numbers[name] = len(self.numbers)
        self.clock = settings.clock
        self.id_hash = settings.id_hash
        self.is_enforced = settings.is_enforced
        self.is_common = self.has_overlay and self.is_enforced
        self.unknown_passes = settings.unknown_passes
        self.translations = settings.policy.translations

    def following(self, dict overlay not None, NamedLists lists not None, default, version, settings):
        """Make the view of a later version on the same store, with the same names and numbers."""
        cdef View view = View(self.store, overlay, lists, default, version, settings)
        view.names, view.numbers = self.names, self.numbers
        return view

    def number_of(self, name, /):
        """Give the number by which records of the store link a list, or None."""
        return self.numbers.get(name)

    def __repr__(self):
        stored = 0 if self.store is None else len(self.store)
        keys = f"{stored:,} keys stored, {len(self.overlay):,} changed"
        return f"<View {self.version}: {keys}, {len(self.lists):,} lists>"

    def held_id(self, key, /):
        """Give the id under which this view holds a key; TypeError for a key that is no text."""
        name = name_of(key)
        return name if self.id_hash is None else self.id_hash(name)

    def rule(self, key, /):
        """Give the rule of a key by its held id, or None; TypeError for a key that is no text."""
        name = name_of(key)
        if name in self.overlay:
            return self.overlay[name]
        if self.store is None or name not in self.store:
            return None
        rule = self.made_rule(name)
        if rule is None:
            raise SnapshotError(f"the record of the key {name!r} is damaged")
        return rule

    cdef Rule made_rule(self, object name):
        """The rule that a record amounts to, None for a damaged one.  Made once, so that a trial goes on counting."""
        cdef dict kept = self.store.rules_made
        rule = kept.get(name)
        if rule is None:
            rule = self.settings.thaw(self.store, name, self.names)
            if rule is None:
                return None
            if len(kept) >= MOST_KEPT:
                for other, made in list(kept.items()):
                    if (<Rule>made).shadow is None:
                        kept.pop(other, None)       # another thread may do the same
            rule = kept.setdefault(name, rule)
        return rule

    def __iter__(self):
        """Name the keys of this version."""
        for key in self.store or ():
            if key not in self.overlay:
                yield key
        for key, rule in self.overlay.items():
            if rule is not None:
                yield key

    cdef FrozenList list_by_number(self, uint32_t number):
        """A list as a record links it, or None where there is no such list."""
        return self.lists.find(self.names[number]) if number < <size_t>len(self.names) else None

    cdef tuple level_of(self, Rule rule):
        """The lists of a key, united; its own, or else the default."""
        cdef tuple level
        if not rule.names:
            if rule.own_level or self.default is None:
                return rule.own_level
            return (self.lists.existing(self.default),)
        # No comprehension here or below: Cython 3.3 frees an item twice when memory runs out while it appends one.
        level = rule.own_level
        for name in rule.names:
            level += (self.lists.existing(name),)
        return level

    def state(self, Rule rule not None, /):
        """Give the `State` of a key."""
        cdef bint has_level = len(rule.own_level) + len(rule.names) > 0 or self.default is not None
        if has_level or (rule.within and not rule.needs_list):
            return State.RESTRICTED if rule.is_enabled else State.UNRESTRICTED
        return State.INACTIVE if rule.needs_list else State.UNRESTRICTED


@cython.nonecheck(False)    # a rule is there
cdef inline int ask_simple(PyObject *found, object address) noexcept:
    """The common case, in as few steps through memory as can be: 1 or 0; NOT_COMMON for all that `judge` looks at."""
    # hot: begin
    if type(<object>found) is Rule and (<Rule>found).is_simple:
        return ask_common(&(<Rule>found).table, address)
    return NOT_COMMON
    # hot: end


cdef Verdict judge(View view, Rule rule, object address, Client *client) except *:
    """Judge one request.  Each return is a reason; the order of the questions is the order of the reasons."""
    cdef Py_ssize_t position
    cdef Verdict verdict
    cdef tuple level
    if rule is None:
        return UNKNOWN_KEY
    if rule.shadow is not None:
        client.is_known = take_address(address, &client.address, &position) == OK
        rule.shadow.note(view, client)
    if not view.is_enforced:
        return NOT_ENFORCED
    # 1. the state
    level = view.level_of(rule)
    if not level and rule.needs_list:
        return INACTIVE
    if not level and not rule.within:
        return UNRESTRICTED
    if not rule.is_enabled:
        return UNRESTRICTED
    # 2. the address
    client.is_known = take_address(address, &client.address, &position) == OK
    if not client.is_known:
        return CLIENT_IP_UNKNOWN
    # 3. its own lists, then each list that it lies within
    verdict = judge_level(view, level, client) if level else MATCHED
    for name in rule.within:
        if verdict != MATCHED:
            break
        verdict = judge_level(view, (view.lists.existing(name),), client)
    return verdict


def key_text(key, /):
    """Give the exact text of a key; TypeError if it is none."""
    return name_of(key)


cdef Verdict judge_key(View view, object key, object address, Client *client, Decision decision) except *:
    """Judge one request, for the exact text of a key; a decision is told the rule, where one is at hand."""
    cdef PyObject *found
    cdef Rule rule
    cdef int answer
    client.is_known = False
    client.now = NAN
    if view.has_overlay:
        found = PyDict_GetItemWithError(view.overlay, key)
        if found is not NULL:
            if decision is not None:
                decision.rule = <object>found
            if view.is_enforced:
                answer = ask_simple(found, address)
                if answer != NOT_COMMON:
                    # No branch on a yes or no that nobody can foresee.
                    return <Verdict>(NOT_LISTED - (<int>NOT_LISTED - <int>MATCHED) * answer)
            rule = <object>found        # held while Python code runs
            return judge(view, rule, address, client)
    if view.store is None:
        return UNKNOWN_KEY
    return judge_stored(view, key, address, client, decision)


cdef Verdict judge_stored(View view, object key, object address, Client *client, Decision decision) except *:
    """As `judge`, for a key of the store."""
    cdef const Record *record
    cdef Parts parts
    cdef Verdict verdict
    cdef Rule rule
    # 1. most keys are their own entries, and the store answers for them
    if view.is_enforced:
        verdict = view.store.find_verdict_for(key, address, &record, &parts)
        if verdict != ASK_OBJECTS:
            return verdict
    else:
        verdict = view.store.find(key, &record, &parts)
        if verdict != MATCHED:
            return verdict
    # 2. links, states, the default
    if not record.flags & NEEDS_OBJECTS:
        verdict = judge_record(view, record, &parts, address, client)
        if verdict != ASK_OBJECTS:
            return verdict
    # 3. conditions
    rule = view.made_rule(key)
    if rule is None:
        return DAMAGED
    if decision is not None:
        decision.rule = rule
    return judge(view, rule, address, client)


cdef Verdict judge_record(View view, const Record *record, const Parts *parts, object address,
                          Client *client) except *:
    """Judge by a record and the lists it links; ASK_OBJECTS where one of them denies, for then lengths decide."""
    cdef bint has_own = record.flags & HAS_ENTRIES != 0
    cdef bint is_listed = False, has_entries = has_own
    cdef Py_ssize_t position
    cdef Verdict verdict
    cdef FrozenList frozen
    cdef uint32_t i
    cdef object default = None if has_own or record.links > 0 else view.default
    if not view.is_enforced:
        return NOT_ENFORCED
    # 1. the state
    if not has_own and record.links == 0 and default is None:
        if record.flags & NEEDS_LIST:
            return INACTIVE
        if record.within == 0:
            return UNRESTRICTED
    if not record.flags & (IS_ENABLED | NEEDS_LIST):
        return UNRESTRICTED
    # 2. the address
    client.is_known = take_address(address, &client.address, &position) == OK
    if not client.is_known:
        return CLIENT_IP_UNKNOWN
    # 3. its own entries and lists, then each list that it lies within
    if has_own or record.links > 0 or default is not None:
        if has_own:
            is_listed = record_covers(&view.store.store, record, parts, &client.address)
        for i in range(max(<uint32_t>record.links, <uint32_t>(default is not None))):
            frozen = view.lists.existing(default) if default is not None else view.list_by_number(parts.links[i])
            if frozen is None:
                return DAMAGED
            if frozen.may_deny:
                return ASK_OBJECTS
            frozen.tell_time(view, client)
            has_entries |= len(frozen.entries) > 0
            is_listed |= frozen.lets_in(&client.address, client.now)
        if not is_listed:
            return NOT_LISTED if has_entries else EMPTY_LIST
    for i in range(record.within):
        frozen = view.list_by_number(parts.links[record.links + i])
        if frozen is None:
            return DAMAGED
        verdict = judge_level(view, (frozen,), client)
        if verdict != MATCHED:
            return verdict
    return MATCHED


cdef Entry find_deciding(FrozenList frozen, const Bits *address, double now, bint denies):
    """The first entry of the strongest length that counts now with this effect, or None."""
    cdef Entry entry
    cdef bint is_denied
    cdef int length = frozen.strongest(address, now, &is_denied)
    if length < 0 or is_denied != denies:
        return None
    for entry in frozen.entries:
        if entry.bits.length == length and covers(&entry.bits, address) and counts(entry.condition, not denies, now):
            return entry
    return None


cdef bint counts(condition, bint allows, double now) except -1:
    """Does an entry count at this moment, for this effect?  `now` is NAN where no entry has times."""
    if condition is None:
        return allows
    if not condition.enabled or (condition.effect == "allow") != allows:
        return False
    return not (now < condition.start or now >= condition.end)


cdef inline bint is_allowed(View view, Verdict verdict) noexcept:
    return (verdict <= LAST_ALLOWED) | ((verdict == UNKNOWN_KEY) & view.unknown_passes)


cdef object text_of(const Client *client):
    cdef char text[45]
    if not client.is_known:
        return None
    return text[:write_address(&client.address, text)].decode("ascii")


cdef class Checker:
    """Checker()\n--\n\nAnswer checks from the current view; `Engine` adds everything that changes it.

    Attributes:
        view: the current version of the data.
        is_stale: whether the data is older than it may be; while it is, every check is denied, whatever the view says.
    """

    # Flags here, not in the view: data grows stale when nobody can build a view, and a view never changes.
    # A checker that hashes ids once takes the long way ever after.
    cdef View current
    cdef bint is_old
    cdef bint hashes_ids
    cdef bint is_special        # either of them
    cdef bint is_direct         # neither, and a key of the overlay may be asked without another question

    @property
    def view(self):
        return self.current

    @view.setter
    def view(self, View view):
        if view is not None and view.id_hash is not None:
            self.hashes_ids = self.is_special = True    # before anybody can ask the view
        self.is_direct = False                          # the old view goes at the next line, which may let others run
        self.current = view
        self.choose_way()

    @property
    def is_stale(self):
        return self.is_old

    @is_stale.setter
    def is_stale(self, bint is_stale):
        self.is_old = is_stale
        self.is_special = is_stale or self.hashes_ids
        self.choose_way()

    cdef void choose_way(self) noexcept:
        self.is_direct = self.current is not None and self.current.is_common and not self.is_special

    def allows(self, key, address, /):
        """Tell whether a client address may use a key: `check(...)` without the reasons.

        Args:
            key: the key's id, text.
            address: what `parse_address` takes, or None when it is not known.
        Returns:
            `bool`.  A bad or unknown address is False for a restricted key, never an exception.
        Raises:
            TypeError: the key is no text, such as None, bytes, or an address where the two were swapped.
            Whatever the engine's clock raises, for a key whose entries have times.
        Cost: about three dictionary look-ups, for a key with 20 IPv4 entries.
        Threads: safe without a lock; the answer is that of one version.
        Source: B2, B5, U1, U6; C23.
        """
        cdef View view = self.current
        cdef PyObject *found
        cdef int answer
        if not PyUnicode_CheckExact(key):
            return judge_yes_or_no(self, view, name_of(key), address)
        # As in `judge_key`, without a call and without counting references: the view holds the rule, if it is one.
        if self.is_direct:
            found = PyDict_GetItemWithError(view.overlay, key)
            if found is not NULL:
                answer = ask_simple(found, address)
                if answer != NOT_COMMON:
                    return answer != 0
        return judge_yes_or_no(self, view, key, address)

    def allows_many(self, keys, addresses, /, *, out=None):
        """Tell for many keys and addresses at once whether each address may use its key.

        Args:
            keys, addresses: two lists of the same length, of what `allows` takes.
            out: a writable contiguous buffer of n bytes.
        Returns:
            `bytes`, n long, 1 or 0 each; or `out`.
        Raises:
            TypeError: a key is no text; the message names its position.
            ValueError: the lists differ in length, or `out` does, or it lies in the block of a store that was mapped.
                Whatever the engine's clock raises.
        Cost: for keys in the store several wait for memory at a time, without the interpreter lock; for others as
            `allows`.
        Threads: safe without a lock; the answers are those of one version.
        Source: B2, B5, U1, U6; C23.
        """
        cdef View view = self.current
        cdef tuple asked_keys = tuple_of(keys), asked = tuple_for(asked_keys, addresses)
        cdef Py_ssize_t i, count = len(asked)
        cdef bytearray answers = bytearray(b"\xff" * count)
        cdef uint8_t[::1] into = answers
        cdef Verdict verdict
        cdef Client client
        if self.is_special:
            asked_keys = held_ids(view, asked_keys)
            if self.is_old:
                return write_answers(bytearray(count), out, view.store)
        if count > 0 and view.store is not None and view.is_enforced:
            view.store.find_verdicts_for(asked_keys, asked, view.overlay, &into[0])
        for i in range(count):
            verdict = <Verdict>into[i]
            if verdict >= ASK_OBJECTS:
                key = asked_keys[i]
                if not PyUnicode_CheckExact(key):
                    key = name_of(key, i)
                verdict = judge_key(view, key, asked[i], &client, None)
            into[i] = is_allowed(view, verdict)
        return write_answers(answers, out, view.store)

    def check(self, key, address, /):
        """Decide whether a client address may use a key, and say why.

        Args:
            key: the key's id, text.
            address: what `parse_address` takes, or None when it is not known.
        Returns:
            `Decision`.
        Raises:
            TypeError: the key is no text.
            Whatever the engine's clock raises, for a key whose entries have times.
        Cost: as `allows`, and one small object.
        Threads: safe without a lock; the answer is that of one version.
        Source: B2, B28, U7, U14; C23.
        """
        cdef Decision decision
        cdef View view
        if not PyUnicode_CheckExact(key):
            return Checker.check(self, name_of(key), address)
        decision = Decision.__new__(Decision)
        view = self.current
        decision.view = view
        decision.key = key
        decision.asked = address
        if self.is_special:
            decision.verdict = judge_special(self, view, key, address, &decision.client, decision)
        else:
            decision.verdict = judge_key(view, key, address, &decision.client, decision)
        return decision


cdef bint judge_yes_or_no(Checker checker, View view, object key, object address) except -1:
    """Whether a request passes, in all cases; apart from the common one, which needs no `Client` and no room for it."""
    cdef Client client
    if checker.is_special:
        return is_allowed(view, judge_special(checker, view, key, address, &client, None))
    return is_allowed(view, judge_key(view, key, address, &client, None))


cdef Verdict judge_special(Checker checker, View view, object key, object address, Client *client,
                           Decision decision) except *:
    """As `judge_key`, for a checker whose data is stale, or has hashed ids."""
    if checker.is_old:
        return STALE_DATA
    return judge_key(view, view.held_id(key), address, client, decision)


cdef tuple held_ids(View view, tuple keys):
    """The ids under which a view holds many keys; TypeError with its position for one that is no text."""
    cdef list ids = list(keys)
    cdef Py_ssize_t i
    for i in range(len(ids)):
        ids[i] = view.held_id(name_of(ids[i], i))
    return tuple(ids)


# -- The decision -------------------------------------------------------------

cdef tuple FACTS = (
    "allowed", "reason", "key", "state", "version", "policy", "address", "given", "problem", "entry", "label",
    "list_name", "would_allow",
)


@cython.final
cdef class Kept:
    """The facts of a decision that another process made, by name."""

    cdef dict facts


def kept_decision(dict facts not None, render, /):
    """Make the decision that was pickled: the same facts, without the data that it was made from."""
    cdef Decision decision = Decision.__new__(Decision)
    cdef Kept kept = Kept.__new__(Kept)
    kept.facts = {"render": render}
    for name in FACTS:
        kept.facts[name] = facts[name]
    decision.key = facts["key"]
    decision.asked = kept
    return decision


@cython.final
@cython.freelist(16)
cdef class Decision:
    """Decision()\n--\n\nSay whether a request passes, and everything that led there.  Immutable.

    Decisions come from `Engine.check`.  Entry, label and texts are worked out
    when they are asked for, from the version that was judged.  A decision that
    is pickled takes its facts along and leaves that version behind.

    Exactly one of `address` and `problem` is None.
    """

    cdef View view              # None: the facts are in `asked`, as `Kept`; or nobody made this decision
    cdef Rule rule
    cdef Verdict verdict
    cdef Client client
    cdef readonly object key
    cdef object asked           # as the address

    cdef object kept(self, str name):
        """A fact of a decision without a view."""
        if type(self.asked) is not Kept:
            raise TypeError("a Decision comes from Engine.check()")
        return (<Kept>self.asked).facts[name]

    @property
    def allowed(self):
        """Whether the request passes; False for a decision that nobody made."""
        if self.view is None:
            return type(self.asked) is Kept and self.kept("allowed") is True
        return is_allowed(self.view, self.verdict)

    @property
    def reason(self):
        """The `Reason`."""
        if self.view is None:
            return self.kept("reason")
        return REASONS_BY_VERDICT[<int>self.verdict]

    @property
    def state(self):
        """The `State` of the key, or None for a key of which nothing is known that holds."""
        cdef Rule rule
        if self.view is None:
            return self.kept("state")
        rule = self.known_rule()
        return None if rule is None else self.view.state(rule)

    cdef Rule known_rule(self):
        """The rule that was judged, or None; for a record of the store it is made now."""
        if self.verdict == UNKNOWN_KEY or self.verdict == DAMAGED or self.verdict == STALE_DATA:
            return None
        if self.rule is None and self.view is not None:
            self.rule = self.view.rule(self.view.held_id(self.key))
        return self.rule

    @property
    def version(self):
        """The version of the engine's data that was judged."""
        return self.kept("version") if self.view is None else self.view.version

    @property
    def policy(self):
        """The engine's `Policy`."""
        return self.kept("policy") if self.view is None else self.view.settings.policy

    @property
    def address(self):
        """The evaluated address in canonical text (B28), or None when it was unknown or no address."""
        cdef Client client
        if self.view is None:
            return self.kept("address")
        self.find_client(&client)
        return text_of(&client)

    @property
    def given(self):
        """What was given as the address, as text and uncut; None if nothing was.

        It comes from the client: show it with `repr` or `ascii`, and cut.
        """
        return self.given_text()

    cdef object given_text(self):
        if self.view is None:
            return self.kept("given")
        if self.asked is None:
            return None
        given = shown(self.asked)
        return repr(given) if type(given) is bytes else given

    @property
    def problem(self):
        """Why that is no address, as an `InvalidAddress` with code, reason and suggestion; None if it is one.

        Its code is "not_given" where the address was None, and "wrong_type" for an object that is never an address.
        """
        cdef Bits bits
        cdef Py_ssize_t position = 0
        cdef int status
        if self.view is None:
            return self.kept("problem")
        if self.client.is_known:
            return None
        status = take_address(self.asked, &bits, &position)
        return None if status == OK else address_problem(self.asked, status, position, is_address)

    cdef int find_client(self, Client *client) except -1:
        """The client that was judged.  The common case judges a text and keeps no address, so it is read again."""
        cdef Py_ssize_t position
        client[0] = self.client
        if not client.is_known:
            client.is_known = take_address(self.asked, &client.address, &position) == OK
        return 0

    cdef object deciding(self):
        """The entry that decided, with the name of its list; or None."""
        cdef Client client
        cdef Bits inner
        cdef tuple level
        if self.verdict != MATCHED and self.verdict != DENIED_BY_ENTRY:
            return None, None
        self.find_client(&client)
        level = self.deciding_level(&client)
        if weigh_level(level, &client.address, client.now) == self.verdict:
            return self.strongest_of(level, &client.address, client.now)
        # Not the address itself is denied, but the one that it carries.
        for prefix in self.view.translations:
            if find_inner(&(<Prefix>prefix).bits, &client.address, &inner):
                if weigh_level(level, &inner, client.now) == DENIED_BY_ENTRY:
                    return self.strongest_of(level, &inner, client.now)
        return None, None

    cdef object strongest_of(self, tuple level, const Bits *address, double now):
        """The entry of a level that decides about an address, with the name of its list."""
        cdef FrozenList frozen
        cdef Entry entry, best = None
        name = None
        for frozen in level:
            entry = find_deciding(frozen, address, now, self.verdict == DENIED_BY_ENTRY)
            if entry is not None and (best is None or entry.bits.length > best.bits.length):
                best, name = entry, frozen.name
        return best, name

    cdef tuple deciding_level(self, Client *client):
        """The lists of the level that decided: the key's own, or the first `within` that denied."""
        cdef Rule rule = self.known_rule()
        cdef tuple level = self.view.level_of(rule)
        if level and (self.verdict == MATCHED or judge_level(self.view, level, client) == self.verdict):
            return level
        for name in rule.within:
            level = (self.view.lists.existing(name),)
            if judge_level(self.view, level, client) == self.verdict:
                break
        return level

    @property
    def entry(self):
        """The entry that decided: the most specific that covers the address, or None."""
        return self.kept("entry") if self.view is None else self.deciding()[0]

    @property
    def label(self):
        """The label of that entry, or None."""
        entry = self.entry
        return None if entry is None else entry.label

    @property
    def list_name(self):
        """The named list that holds that entry, or None for the key's own entries."""
        return self.kept("list_name") if self.view is None else self.deciding()[1]

    @property
    def would_allow(self):
        """What the key's shadow list would have said, or None without one (B31)."""
        cdef Client client = self.client
        cdef Rule rule
        if self.view is None:
            return self.kept("would_allow")
        rule = self.known_rule()
        if rule is None or rule.shadow is None:
            return None
        return client.is_known and judge_level(self.view, (rule.shadow.list,), &client) == MATCHED

    def response(self, *, show_address=False):
        """Render the denial in the product's own form: `.status`, `.headers`, `.body`.

        Args:
            show_address: whether the body may tell the client which address was judged.
        Raises:
            ValueError: the request was allowed, so there is nothing to refuse.
        Source: B2, B3, U7, U8; C12, C13, C26.
        """
        render = self.kept("render") if self.view is None else self.view.settings.render
        return render(self, show_address=show_address)

    def to_dict(self):
        """Give the facts as plain values, for a log or JSON.

        `given` is what the client sent, cut to 80 characters; `problem` is a code, as `InvalidAddress` has it.
        """
        entry, list_name = (self.entry, self.list_name) if self.view is None else self.deciding()
        state, problem, given = self.state, self.problem, self.given
        return {
            "allowed": self.allowed,
            "reason": str(self.reason),
            "key": self.key,
            "address": self.address,
            "given": given if given is None or len(given) <= MOST_GIVEN else given[:MOST_GIVEN] + "...",
            "problem": None if problem is None else problem.code,
            "suggestion": None if problem is None else problem.suggestion,
            "entry": None if entry is None else self.policy.canonical(entry.prefix),
            "label": None if entry is None else entry.label,
            "list": list_name,
            "state": None if state is None else str(state),
            "version": self.version,
        }

    def __bool__(self):
        raise TypeError("a Decision has no truth value; ask its .allowed")

    def __reduce__(self):
        cdef dict facts = {}
        for name in FACTS:
            facts[name] = getattr(self, name)
        return kept_decision, (facts, self.kept("render") if self.view is None else self.view.settings.render)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo, /):
        return self

    def __repr__(self):
        if self.view is None and type(self.asked) is not Kept:
            return "<Decision that nobody made>"
        given = self.given_text()
        whom = self.address or (None if given is None else brief(given))
        return f"<Decision {'allowed' if self.allowed else 'denied'}: {self.reason}, {brief(self.key)} from {whom}>"
