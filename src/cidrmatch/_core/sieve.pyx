# cython: language_level=3
"""A sieve for long lists: it finds the few entries about which there may be something to say.

A policy judges a list of a million entries, and most of these are plain: nothing is wrong with them.  To say so in
Python takes ten microseconds an entry.  So the sieve looks at every entry first, and the judge hears only those that
remain:

    entries   203.0.113.7   junk      10.0.0.0/8   10.1.0.0/16   203.0.113.7   ...
    remains                 refused                               twice
    covered                                        (3, 2)                          found later, when it is known who
                                                                                   is refused: pairs, entry and broader

An entry remains if it is no prefix, has a kind, family, breadth or label that is not accepted, lies in one of the
prefixes that the caller names, is written as an IPv4-mapped prefix, or is equal to another entry.

The sorted arrays of prefixes.pyx have room for the number of the entry beside each prefix:

    IPv4   [ number, 24 bits | first address, 32 | length, 6 ]        IPv6   [ upper | lower | number, 32 | length, 32 ]

Sorted, an entry stands behind all entries that cover it, and a stack holds those around it.

Invariants: `is_whole` is False if the sieve cannot judge the list: there are too many entries, or one is neither text,
a pair of text and label, a `Prefix`, nor an `Entry` without a condition.  Nothing else of such a sieve may be used.
Cost: 45 bytes an entry; about 100 ns an entry, and a sort.
Threads: belongs to the thread that made it.
"""

cimport cython
from cpython.mem cimport PyMem_RawFree
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_GET_LENGTH
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr, memset

from cidrmatch._core.address cimport OK, Bits, Text, find_text, width
from cidrmatch._core.bars cimport Bars
from cidrmatch._core.prefix cimport (
    Entry, Prefix, covers, find_slash, new_entry, parse_common_prefix, take_uncommon_prefix,
)
from cidrmatch._core.prefixes cimport (
    Prefix6, PrefixArray, Range, RangeArray, compare6, merge, resized, sort4, sort6, unpack4, unpack6,
)

__all__ = ["Sieve"]

cdef enum:
    NUMBER_BITS = 24
    NUMBER_AT4 = 40             # where the number begins in the word of an IPv4 prefix
    NUMBER_AT6 = 32             # and in the length of an IPv6 prefix
    MOST_AROUND = 130           # prefixes that can lie one in another: /0 to /128

cdef enum Mark:
    REMAINS = 1
    REPEATS = 2                 # an entry before it is equal
    REFUSED = 4


@cython.final
cdef class Sieve:
    """Sieve(entries, *, families, has_addresses, has_ranges, least4, least6, named, most_label)\n--\n\nSift a list.

    Args:
        entries: a sequence of entries.
        families: the families that are accepted.
        has_addresses, has_ranges: whether entries without and with a slash are accepted.
        least4, least6: the shortest length that is accepted; 0 for any.
        named: disjoint prefixes; an entry inside one of them remains.
        most_label: the longest label that is accepted; 0 for none.
    """

    cdef Bits *bits             # of each entry; the family is 0 if it is no prefix
    cdef uint8_t *marks
    cdef Py_ssize_t size
    cdef PrefixArray sorted
    cdef dict labels
    cdef bint accepts4, accepts6, has_addresses, has_ranges
    cdef uint8_t least4, least6
    cdef Py_ssize_t most_label
    cdef Bars named
    cdef readonly bint is_whole

    def __cinit__(self, entries, *, families, bint has_addresses, bint has_ranges, uint8_t least4, uint8_t least6,
                  list named, Py_ssize_t most_label):
        cdef Py_ssize_t count = len(entries), i = 0
        self.bits = NULL
        self.marks = NULL
        if count >= 1 << NUMBER_BITS:
            return
        self.accepts4 = 4 in families
        self.accepts6 = 6 in families
        self.has_addresses = has_addresses
        self.has_ranges = has_ranges
        self.least4 = least4
        self.least6 = least6
        self.most_label = most_label
        self.named = Bars(named)
        self.labels = {}
        self.sorted = PrefixArray()
        self.bits = <Bits *>resized(NULL, max(1, count), sizeof(Bits))
        self.marks = <uint8_t *>resized(NULL, max(1, count), sizeof(uint8_t))
        memset(self.marks, 0, <size_t>count)
        for entry in entries:
            if i == count or not self.add(entry, i):
                return
            i += 1
        if i < count:
            return
        self.size = count
        self.sort()
        self.is_whole = True

    def __dealloc__(self):
        PyMem_RawFree(self.bits)
        PyMem_RawFree(self.marks)

    # 1. Each entry alone.

    cdef bint add(self, object entry, Py_ssize_t i) except -1:
        """Look at an entry; return whether its form is known."""
        cdef Bits *bits = &self.bits[i]
        cdef bint is_cidr
        if type(entry) is tuple:
            if len(<tuple>entry) != 2 or not PyUnicode_CheckExact((<tuple>entry)[0]):
                return False
            label = (<tuple>entry)[1]
            entry = (<tuple>entry)[0]
            if label is not None:
                if not PyUnicode_CheckExact(label):
                    return False
                self.note_label(label, i)
        if PyUnicode_CheckExact(entry):
            return self.add_text(entry, i)
        if type(entry) is Prefix:
            bits[0] = (<Prefix>entry).bits
        elif type(entry) is Entry and (<Entry>entry).condition is None:
            bits[0] = (<Entry>entry).bits
            if (<Entry>entry).label is not None:
                self.note_label((<Entry>entry).label, i)
        else:
            return False
        is_cidr = bits.length < width(bits.family)
        self.judge(i, is_cidr)
        return True

    cdef bint add_text(self, object text, Py_ssize_t i) except -1:
        cdef Bits *bits = &self.bits[i]
        cdef Text found
        cdef Py_ssize_t position
        cdef bint is_ascii = find_text(text, &found)
        if not (is_ascii and parse_common_prefix(&found, bits)):
            if not is_ascii or take_uncommon_prefix(text, False, bits, &position) != OK:
                bits.family = 0
                self.marks[i] |= REMAINS
                return True
            if bits.family == 4 and memchr(found.start, c':', <size_t>found.length) is not NULL:
                self.marks[i] |= REMAINS    # IPv4-mapped
        self.judge(i, find_slash(&found) < found.length)
        return True

    cdef int note_label(self, object label, Py_ssize_t i) except -1:
        self.labels[i] = label
        if not 1 <= PyUnicode_GET_LENGTH(label) <= self.most_label or not label.isprintable():
            self.marks[i] |= REMAINS
        return 0

    cdef int judge(self, Py_ssize_t i, bint is_cidr) except -1:
        """Mark an entry that remains for itself, and put its prefix to the others."""
        cdef Bits *bits = &self.bits[i]
        cdef bint is_accepted = self.accepts4 if bits.family == 4 else self.accepts6
        cdef bint is_kind = self.has_ranges if is_cidr else self.has_addresses
        cdef uint8_t least = self.least4 if bits.family == 4 else self.least6
        if not is_accepted or not is_kind or bits.length < least or self.named.find_around(bits) >= 0:
            self.marks[i] |= REMAINS
        self.sorted.push(bits)
        if bits.family == 4:
            self.sorted.array4[self.sorted.size4 - 1] |= <uint64_t>i << NUMBER_AT4
        else:
            self.sorted.array6[self.sorted.size6 - 1].length |= <uint64_t>i << NUMBER_AT6
        return 0

    # 2. The entries together.

    cdef int sort(self) except -1:
        """Sort by the prefixes, and mark those that are equal."""
        cdef PrefixArray array = self.sorted
        cdef void *spare = resized(NULL, max(1, array.size4), sizeof(uint64_t))
        cdef Py_ssize_t k
        with nogil:
            sort4(array.array4, array.size4, <uint64_t *>spare)
        PyMem_RawFree(spare)
        spare = resized(NULL, max(1, array.size6), sizeof(array.array6[0]))
        with nogil:
            sort6(array.array6, array.size6, <Prefix6 *>spare)
        PyMem_RawFree(spare)
        for k in range(1, array.size4):
            if (array.array4[k - 1] ^ array.array4[k]) & ((<uint64_t>1 << NUMBER_AT4) - 1) == 0:
                self.mark_equal(self.number4(k - 1), self.number4(k))
        # Equal prefixes of IPv6 are in any order, so the first entry is brought to their front.
        for k in range(array.size6 - 1, 0, -1):
            if compare6(&array.array6[k - 1], &array.array6[k]) == 0:
                if self.number6(k - 1) > self.number6(k):
                    array.array6[k - 1], array.array6[k] = array.array6[k], array.array6[k - 1]
                self.mark_equal(self.number6(k - 1), self.number6(k))
        return 0

    cdef Py_ssize_t number4(self, Py_ssize_t k) noexcept nogil:
        return <Py_ssize_t>(self.sorted.array4[k] >> NUMBER_AT4)

    cdef Py_ssize_t number6(self, Py_ssize_t k) noexcept nogil:
        return <Py_ssize_t>(self.sorted.array6[k].length >> NUMBER_AT6)

    cdef void mark_equal(self, Py_ssize_t first, Py_ssize_t later) noexcept nogil:
        self.marks[first] |= REMAINS
        self.marks[later] |= REMAINS | REPEATS

    def remaining(self):
        """Give the numbers of the entries that remain, in order."""
        cdef Py_ssize_t i
        return [i for i in range(self.size) if self.marks[i] & REMAINS]

    def covered(self, refused, /):
        """Give the entries that a broader entry covers, each with the nearest one, as pairs of numbers.

        Args:
            refused: the numbers of the entries that count for nothing.
        """
        cdef Py_ssize_t i, k
        cdef list pairs = []
        cdef Py_ssize_t[MOST_AROUND] around
        cdef int depth = 0
        for i in refused:
            self.marks[i] |= REFUSED
        for k in range(self.sorted.size4 + self.sorted.size6):
            i = self.number4(k) if k < self.sorted.size4 else self.number6(k - self.sorted.size4)
            if self.marks[i] & (REPEATS | REFUSED):
                continue
            while depth > 0 and not covers(&self.bits[around[depth - 1]], &self.bits[i]):
                depth -= 1
            if depth > 0:
                pairs.append((i, around[depth - 1]))
            around[depth] = i
            depth += 1
        return pairs

    def entries(self):
        """Give every prefix once, as the first `Entry` that has it, in the order of the list."""
        cdef list kept = []
        cdef Py_ssize_t i
        for i in range(self.size):
            if self.bits[i].family != 0 and not self.marks[i] & REPEATS:
                kept.append(new_entry(&self.bits[i], self.labels.get(i) if self.labels else None))
        return tuple(kept)

    def lengths(self):
        """Count the prefixes of each family and length, each prefix once."""
        cdef Py_ssize_t[2][129] counts
        cdef Py_ssize_t i
        memset(counts, 0, sizeof(counts))
        for i in range(self.size):
            if self.bits[i].family != 0 and not self.marks[i] & REPEATS:
                counts[self.bits[i].family == 6][self.bits[i].length] += 1
        return {4: [counts[0][i] for i in range(33)], 6: [counts[1][i] for i in range(129)]}

    def ranges(self):
        """Give the disjoint ranges of addresses that all entries together have: family, first and last as numbers."""
        cdef PrefixArray plain = PrefixArray()
        cdef RangeArray merged
        cdef Range found
        cdef Py_ssize_t k
        cdef Bits bits
        for k in range(self.sorted.size4):
            unpack4(self.sorted.array4[k] & ((<uint64_t>1 << NUMBER_AT4) - 1), &bits)
            plain.push(&bits)
        for k in range(self.sorted.size6):
            unpack6(&self.sorted.array6[k], &bits)
            plain.push(&bits)
        merged = merge(plain)
        result = []
        for k in range(merged.size):
            found = merged.ranges[k]
            if found.family == 4:
                result.append((4, found.first_upper >> 32, found.last_upper >> 32))
            else:
                result.append((6, (<object>found.first_upper << 64) | found.first_lower,
                               (<object>found.last_upper << 64) | found.last_lower))
        return result
