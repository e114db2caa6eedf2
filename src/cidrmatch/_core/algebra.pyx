# cython: language_level=3
"""The algebra of lists: which entries of a list, and which pieces of entries, lie in the addresses of another list?

`a & b` keeps what of the entries of `a` lies in the ranges of `b`.  `a - b` keeps what lies outside them, which is in
their complement.  So one question answers both:

    entries     10.0.0.0/8  "Corp"     |---------------------------------|
                10.1.0.0/16 "Vienna"        |-----------|
                10.9.0.0/16                                   |---|
    ranges                                        |-----------------------------|
    kept                                          |-----|                           10.1.128.0/17, a piece: "Vienna"
                                                         |-------|-------|          pieces of 10.0.0.0/8: "Corp"
                                                              |---|                 10.9.0.0/16, a whole entry

An entry that lies wholly in the ranges is kept as it is.  An entry that lies in them in part is replaced by its pieces:
the broadest prefixes that lie in it and in the ranges.  The pieces of a nested entry are among those of the entry
around it, so only outermost entries are split.  A piece has the label of the most specific entry that covers it.  So
the most specific match of an address has the same label before and after (ADR 0024).

Both inputs are sorted, so one pass over both is enough.  The pieces are added where their entry begins, so what is kept
is sorted again before it is frozen.

Invariants: no IPv6 piece lies in ::ffff:0:0/96 (ADR 0006); an entry that has this space inside it stays an entry.
Cost: one pass, and a step for each piece.
Threads: frozen lists are only read.
"""

from libc.stdint cimport uint8_t

from cidrmatch._core.address cimport Bits
from cidrmatch._core.frozen cimport NO_ENTRY, Entries, bits_at, count_entries
from cidrmatch._core.prefix cimport Entry, compare_bits, covers, new_entry
from cidrmatch._core.prefixes cimport PrefixArray, Range, RangeArray, is_before, range_of, split

__all__ = []


# -- Ranges ---------------------------------------------------------------------

cdef RangeArray complement(RangeArray ranges):
    """The ranges of all other addresses, of both families."""
    cdef RangeArray others = RangeArray()
    cdef Py_ssize_t at = add_gaps(ranges, 0, 4, others)
    add_gaps(ranges, at, 6, others)
    return others


cdef Py_ssize_t add_gaps(RangeArray ranges, Py_ssize_t at, uint8_t family, RangeArray gaps) except -1:
    """Add what the ranges of a family leave out, from number `at` on; give the number of the next family's first range.

    ranges      |-----|    |--------|
    gaps     |-|       |--|          |------|
    """
    cdef Bits everyone = Bits(0, 0, family, 0)
    cdef Range rest = range_of(&everyone), gap
    cdef const Range *one
    cdef bint is_rest = True        # is there anything behind the ranges so far?
    while at < ranges.size and ranges.ranges[at].family == family:
        one = &ranges.ranges[at]
        if is_before(rest.first_upper, rest.first_lower, one.first_upper, one.first_lower):
            gap = rest
            gap.last_lower = one.first_lower - 1
            gap.last_upper = one.first_upper - (one.first_lower == 0)
            gaps.push(&gap)
        rest.first_lower = one.last_lower + 1
        rest.first_upper = one.last_upper + (rest.first_lower == 0)
        is_rest = rest.first_lower != 0 or rest.first_upper != 0
        at += 1
    if is_rest:
        gaps.push(&rest)
    return at


cdef inline bint is_behind(const Range *entry, const Range *other) noexcept nogil:
    """Does the entry begin behind the end of the other range?"""
    if entry.family != other.family:
        return entry.family > other.family
    return is_before(other.last_upper, other.last_lower, entry.first_upper, entry.first_lower)


cdef inline bint holds(const Range *whole, const Range *entry) noexcept nogil:
    """Does all of the entry lie in the range?"""
    return (
        whole.family == entry.family
        and not is_before(entry.first_upper, entry.first_lower, whole.first_upper, whole.first_lower)
        and not is_before(whole.last_upper, whole.last_lower, entry.last_upper, entry.last_lower)
    )


# -- What lies in them ----------------------------------------------------------

cdef PrefixArray keep_within(const Entries *entries, RangeArray ranges, Py_ssize_t most):
    """Give the entries and pieces of entries that lie in the ranges, sorted; stop as soon as there are `most`."""
    cdef PrefixArray kept = PrefixArray()
    cdef Py_ssize_t i, at = 0
    cdef Bits bits
    cdef Range entry
    for i in range(count_entries(entries)):
        bits_at(entries, i, &bits)
        entry = range_of(&bits)
        while at < ranges.size and is_behind(&entry, &ranges.ranges[at]):
            at += 1
        if at == ranges.size or kept.count() >= most:
            break
        if holds(&ranges.ranges[at], &entry):
            kept.push(&bits)
        elif entries.parents[i] == NO_ENTRY:
            add_pieces(&entry, ranges, at, kept)
    kept.sort()
    return kept


cdef int add_pieces(const Range *entry, RangeArray ranges, Py_ssize_t at, PrefixArray kept) except -1:
    """Add the broadest prefixes that lie in an entry and in the ranges from number `at` on."""
    cdef Range piece
    while at < ranges.size and not is_behind(&ranges.ranges[at], entry):
        piece = ranges.ranges[at]
        if is_before(piece.first_upper, piece.first_lower, entry.first_upper, entry.first_lower):
            piece.first_upper, piece.first_lower = entry.first_upper, entry.first_lower
        if is_before(entry.last_upper, entry.last_lower, piece.last_upper, piece.last_lower):
            piece.last_upper, piece.last_lower = entry.last_upper, entry.last_lower
        split(&piece, kept)
        at += 1
    return 0


cdef dict labels_within(const Entries *entries, dict labels, PrefixArray pieces):
    """The labels of pieces by their numbers: each has that of the most specific entry that covers it.

    Needs: each piece lies in an entry.
    """
    cdef dict found = {}
    cdef Py_ssize_t i, around, at = 0, count = count_entries(entries)
    cdef Bits piece, entry
    for i in range(pieces.count()):
        pieces.read(i, &piece)
        while at + 1 < count:       # go to the last entry that is not after the piece in canonical order
            bits_at(entries, at + 1, &entry)
            if compare_bits(&entry, &piece) > 0:
                break
            at += 1
        around = at
        bits_at(entries, around, &entry)
        while not covers(&entry, &piece):
            around = entries.parents[around]
            bits_at(entries, around, &entry)
        label = labels.get(around)
        if label is not None:
            found[i] = label
    return found


# -- Both -----------------------------------------------------------------------

cdef PrefixArray unite(const Entries *ours, const Entries *theirs):
    """The prefixes of both lists, sorted, each once."""
    cdef PrefixArray both = PrefixArray()
    cdef Py_ssize_t i
    cdef Bits bits
    for i in range(count_entries(ours)):
        bits_at(ours, i, &bits)
        both.push(&bits)
    for i in range(count_entries(theirs)):
        bits_at(theirs, i, &bits)
        both.push(&bits)
    both.sort()
    return both


cdef dict labels_of_both(const Entries *ours, dict our_labels, const Entries *theirs, dict their_labels):
    """The labels of what `unite` gives, by their numbers: of a prefix in both lists, the label is ours, or none."""
    cdef dict found = {}
    cdef Py_ssize_t i = 0, our = 0, their = 0, our_count = count_entries(ours), their_count = count_entries(theirs)
    cdef int order
    while our < our_count or their < their_count:
        order = compare_entries(ours, our, our_count, theirs, their, their_count)
        label = our_labels.get(our) if order <= 0 else their_labels.get(their)
        if label is not None:
            found[i] = label
        our += order <= 0
        their += order >= 0
        i += 1
    return found


cdef tuple changes_of_entries(const Entries *ours, dict our_labels, const Entries *theirs, dict their_labels):
    """The entries only in theirs, those only in ours, and pairs of those in both whose labels differ."""
    cdef list added = [], removed = [], relabelled = []
    cdef Py_ssize_t our = 0, their = 0, our_count = count_entries(ours), their_count = count_entries(theirs)
    cdef int order
    while our < our_count or their < their_count:
        order = compare_entries(ours, our, our_count, theirs, their, their_count)
        if order < 0:
            removed.append(entry_at(ours, our, our_labels.get(our)))
        elif order > 0:
            added.append(entry_at(theirs, their, their_labels.get(their)))
        elif our_labels or their_labels:
            was, now = our_labels.get(our), their_labels.get(their)
            if was != now:
                relabelled.append((entry_at(ours, our, was), entry_at(theirs, their, now)))
        our += order <= 0
        their += order >= 0
    return added, removed, relabelled


cdef Entry entry_at(const Entries *entries, Py_ssize_t i, object label):
    cdef Bits bits
    bits_at(entries, i, &bits)
    return new_entry(&bits, label)


cdef int compare_entries(const Entries *ours, Py_ssize_t our, Py_ssize_t our_count,
                         const Entries *theirs, Py_ssize_t their, Py_ssize_t their_count) noexcept nogil:
    """Which of two entries is first in canonical order?  Negative: ours; 0: both are equal; positive: theirs."""
    cdef Bits a, b
    if our == our_count or their == their_count:
        return 1 if our == our_count else -1
    bits_at(ours, our, &a)
    bits_at(theirs, their, &b)
    return compare_bits(&a, &b)
