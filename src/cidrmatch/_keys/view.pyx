# cython: language_level=3, nonecheck=True
"""One version of an engine's data: which rule and which lists a key has.

    View 17                                               a commit builds View 18 beside it
    |- overlay   { key: Rule or None }    changed since the last fold; None: removed
    |- store     KeyStore or None         all other keys, without a Python object for each
    |- lists     NamedLists, by name
    '- default   name or None

The lists of a key form levels, in the same way for a rule and for a record:

    level 1     its own entries and linked lists, united; without any, the default list
    then        each list that the key lies `within` is a level of its own

judge.pyx asks them, in this order.

A record of the store links lists by number.  The view's `names` gives the list of each number; it changes only with the
store.  A record with conditions or a trial needs a rule.  The rule is made when the key is first asked for, and is kept
with the store.

A view holds ids plain or hashed, as the settings say.  Its methods take a held id; `held_id` makes one from a plain id.

Cost: a look-up; a rule that is made of a record takes some microseconds, once.
Threads: safe, because views never change.
"""

cimport cython
from libc.stdint cimport uint32_t

from cidrmatch._keys.block cimport (
    HAS_ENTRIES, INACTIVE, IS_ENABLED, MATCHED, NEEDS_LIST, UNRESTRICTED, Parts, Record,
)
from cidrmatch._keys.rule cimport FrozenList, NamedLists, Rule
from cidrmatch._keys.store cimport KeyStore
from cidrmatch._keys.store_builder cimport name_of

from ..errors import SnapshotError
from .reasons import State
from .records import read_record, read_rule

__all__ = ["View", "key_text"]

cdef enum:
    MOST_MADE = 65_536      # rules of records that are kept; those with a trial always are

cdef dict STATES = {
    <int>INACTIVE: State.INACTIVE, <int>UNRESTRICTED: State.UNRESTRICTED, <int>MATCHED: State.RESTRICTED,
}


@cython.final
cdef class View:
    """View(store, overlay, lists, default, version, settings, names=())\n--\n\nHold one version of an engine's data.

    Args:
        store: what was put before, as a `KeyStore`; or None.
        overlay: `dict[str, Rule | None]`, what was put or removed since; nobody changes it any more.
        lists: `NamedLists`, or a dictionary to make one of.
        default: the name of the default list, or None.
        version: the number of this version.
        settings: what does not change from version to version, the engine's `Settings`.
        names: of the lists that records of the store link by number.
    """

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
        rule = self.stored_rule(name)
        if rule is None:
            raise SnapshotError(f"the record of the key {name!r} is damaged")
        return rule

    def record(self, key, /):
        """Give what was said about a key, as a `KeyRecord`, by its held id; None if there is no such key.

        No rule is made, so this costs less than `rule` where nobody checks the key.
        """
        name = name_of(key)
        if name in self.overlay:
            rule = self.overlay[name]
            return None if rule is None else rule.record
        if self.store is None or name not in self.store:
            return None
        record = read_record(self.store, name, self.names)
        if record is None:
            raise SnapshotError(f"the record of the key {name!r} is damaged")
        return record

    cdef Rule stored_rule(self, object name):
        """The rule of a record, or None if it is damaged.  Each is made once, so that the counts of a trial go on."""
        cdef dict made = self.store.rules_made
        rule = made.get(name)
        if rule is None:
            rule = read_rule(self.store, name, self.names)
            if rule is None:
                return None
            if len(made) >= MOST_MADE:
                for other, old in list(made.items()):
                    if (<Rule>old).shadow is None:
                        made.pop(other, None)       # another thread may do the same
            rule = made.setdefault(name, rule)
        return rule

    def __contains__(self, held_id):
        """Whether this version has a key of this held id; TypeError for a key that is no text."""
        name = name_of(held_id)
        if name in self.overlay:
            return self.overlay[name] is not None
        return self.store is not None and name in self.store

    def __iter__(self):
        """Name the keys of this version."""
        for key in self.store or ():
            if key not in self.overlay:
                yield key
        for key, rule in self.overlay.items():
            if rule is not None:
                yield key

    cdef Terms terms_of(self, Rule rule, const Record *record) noexcept:
        """The terms of a key: from its rule, or from its record if `rule` is None."""
        cdef Terms terms
        if rule is not None:
            terms.has_lists = len(rule.own_level) + len(rule.names) > 0
            terms.has_within = len(rule.within) > 0
            terms.is_enabled = rule.is_enabled
            terms.needs_list = rule.needs_list
        else:
            terms.has_lists = record.flags & HAS_ENTRIES != 0 or record.links > 0
            terms.has_within = record.within > 0
            terms.is_enabled = record.flags & (IS_ENABLED | NEEDS_LIST) != 0     # as in `Rule`
            terms.needs_list = record.flags & NEEDS_LIST != 0
        terms.has_united = terms.has_lists or self.default is not None
        return terms

    cdef tuple levels_of(self, Rule rule, const Record *record, const Parts *parts):
        """The levels of a key: own and linked lists, united, or the default list; then each list that it lies within.

        Own entries in a record are not among them.  If a record links a list that does not exist, the list is None; if
        a rule names such a list, this raises KeyError.
        """
        cdef Terms terms = self.terms_of(rule, record)
        cdef tuple united = (), levels = ()
        cdef uint32_t i
        # No comprehension here: Cython 3.3 frees an item twice if memory runs out while a comprehension appends.
        if not terms.has_lists:
            if self.default is not None:
                levels = ((self.lists.existing(self.default),),)
        elif rule is not None:
            united = rule.own_level
            for name in rule.names:
                united += (self.lists.existing(name),)
            levels = (united,)
        else:
            for i in range(record.links):
                united += (self.list_by_number(parts.links[i]),)
            levels = (united,)
        if rule is not None:
            for name in rule.within:
                levels += ((self.lists.existing(name),),)
        else:
            for i in range(record.within):
                levels += ((self.list_by_number(parts.links[record.links + i]),),)
        return levels

    cdef FrozenList list_by_number(self, uint32_t number):
        """A list by its number in records, or None if there is no such list."""
        return self.lists.find(self.names[number]) if number < <size_t>len(self.names) else None

    def levels(self, Rule rule not None, /):
        """Give the levels by which a key is judged, in the order in which they are asked; all must pass.

        Returns:
            For each level how it belongs to the key, and its lists: "united", its own entries and linked lists;
            "default", the list that stands in for them; "within", a list that it lies within.
        Raises:
            KeyError: a list that the rule names is not there.
        """
        cdef Terms terms = self.terms_of(rule, NULL)
        cdef list named = []
        for level in self.levels_of(rule, NULL, NULL):
            how = "within" if named or not terms.has_united else "united" if terms.has_lists else "default"
            named.append((how, level))
        return tuple(named)

    def state(self, Rule rule not None, /):
        """Give the `State` of a key."""
        cdef Terms terms = self.terms_of(rule, NULL)
        return STATES[<int>judge_state(&terms)]


def key_text(key, /):
    """Give the exact text of a key; TypeError if it is none."""
    return name_of(key)
