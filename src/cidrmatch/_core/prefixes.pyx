# cython: language_level=3
"""Arrays of prefixes and of ranges: they are sorted, merged, and split into the fewest prefixes.

One prefix is in `prefix.pyx`.  This room has many prefixes, in three forms:

    PrefixArray    prefixes as they were read, then sorted, each once
    RangeArray     the disjoint ranges that they mean, in order, no two adjacent
    list[Prefix]   objects, for Python

    10.0.0.0/8    |--------------------------------------------|
    10.1.0.0/16        |-----------|                                     `merge` ->   one range
    11.0.0.0/8                                                  |------|

Prefixes are sorted by family, first address and length, so a prefix stands
before all prefixes that it covers.  So one pass merges sorted prefixes, and one
step for each range splits them again, into the fewest prefixes that fill it.

Invariants: a sorted array has no prefix twice.  Ranges are sorted, disjoint, and not adjacent.
Cost: reading takes one parse for each prefix; sorting takes four passes for IPv4; merging takes one step for each
prefix.
Threads: an array belongs to the thread that fills it.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport INT32_MAX, SIZE_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memchr, memcpy, memset

from cidrmatch._core.address cimport OK, ROOM_BEFORE, Bits, Text, find_text, is_mapped, width
from cidrmatch._core.prefix cimport (
    Entry, Prefix, check_is_list, has_host_bits, new_prefix, parse_common_prefix, read_prefix, refuse_prefix,
    take_uncommon_prefix,
)

from .prefix import take_apart

__all__ = ["aggregate"]

cdef enum:
    FEW = 64                # up to this many prefixes are sorted by insertion
    DIGIT_BITS = 10         # four digits are an IPv4 prefix; 4,096 counters lie in L1
    DIGITS = 4
    NUMBER_BITS = 24        # above the digits; a sieve has the number of an entry there, which decides nothing


# -- Prefixes -----------------------------------------------------------------

cdef class PrefixArray:
    """Two growing arrays of prefixes, one for each family.

    Most lists are IPv4.  So an IPv4 prefix is packed into one word, and sorting such prefixes means sorting words:

        array4   [ 203.0.113.0 | 24 ]       32 bits and 6
        array6   [ upper | lower | length ]
    """

    def __cinit__(self):
        self.array4 = NULL
        self.array6 = NULL

    def __dealloc__(self):
        PyMem_RawFree(self.array4)
        PyMem_RawFree(self.array6)

    cdef int resize4(self, Py_ssize_t room) except -1:
        """Make room for this many prefixes in all, or raise MemoryError and change nothing."""
        self.array4 = <uint64_t *>resized(self.array4, room, sizeof(uint64_t))
        self.room4 = room
        return 0

    cdef int resize6(self, Py_ssize_t room) except -1:
        self.array6 = <Prefix6 *>resized(self.array6, room, sizeof(Prefix6))
        self.room6 = room
        return 0

    cdef int push(self, const Bits *bits) except -1:
        if bits.family == 4:
            if self.size4 == self.room4:
                self.resize4(max(8, self.room4 * 2))
            self.array4[self.size4] = pack4(bits)
            self.size4 += 1
            return 0
        if self.size6 == self.room6:
            self.resize6(max(8, self.room6 * 2))
        self.array6[self.size6].upper = bits.upper
        self.array6[self.size6].lower = bits.lower
        self.array6[self.size6].length = bits.length
        self.size6 += 1
        return 0

    cdef Py_ssize_t count(self) noexcept nogil:
        return self.size4 + self.size6

    cdef void read(self, Py_ssize_t i, Bits *bits) noexcept nogil:
        """Read prefix `i`; those of IPv4 have the lower numbers."""
        if i < self.size4:
            unpack4(self.array4[i], bits)
        else:
            unpack6(&self.array6[i - self.size4], bits)

    cdef bint add_common(self, object text) except -1:
        """Add a prefix if it is a common text; return whether it was."""
        cdef Text found
        cdef Bits bits
        if not (find_text(text, &found) and parse_common_prefix(&found, &bits)):
            return False
        self.push(&bits)
        return True

    cdef object add_entry(self, object entry, Py_ssize_t index, str noun, Bits *bits):
        """Add the prefix of an entry that `add_common` refused, or raise; give its label.

        `noun` names the list in error messages.
        """
        cdef Py_ssize_t position
        cdef int status
        # 1. entries that need not be taken apart: a text, and objects that were read before
        if PyUnicode_CheckExact(entry):
            status = take_uncommon_prefix(entry, False, bits, &position)
            if status != OK:
                refuse_prefix(entry, status, position, index)
            self.push(bits)
            return None
        if type(entry) is Prefix:
            bits[0] = (<Prefix>entry).bits
            self.push(bits)
            return None
        if type(entry) is Entry and (<Entry>entry).condition is None:
            bits[0] = (<Entry>entry).bits
            self.push(bits)
            return (<Entry>entry).label
        # 2. every other form
        prefix, label, condition = take_apart(entry, f"entry {index}: ")
        if condition is not None:
            raise ValueError(f"entry {index}: only an Engine judges conditions, "
                             f"{noun} would let a denied or expired entry pass")
        read_prefix(prefix, False, bits, index)
        self.push(bits)
        return label

    cdef int add_lines(self, const uint8_t[::1] lines) except -1:
        """Add one prefix for each line; empty lines are skipped."""
        cdef Py_ssize_t begin = 0, size = lines.shape[0], number = 0
        cdef const uint8_t *end
        cdef Text line
        cdef Bits bits
        while begin < size:
            line.start = &lines[begin]
            end = <const uint8_t *>memchr(line.start, c'\n', <size_t>(size - begin))
            line.length = size - begin if end is NULL else end - line.start
            if line.length > 0:
                # Before the first lines there is no room that the fast parser may read, so they are parsed by the
                # careful parser.
                if begin < ROOM_BEFORE or not parse_common_prefix(&line, &bits):
                    read_prefix(line.start[:line.length].decode("latin-1"), False, &bits, number)
                self.push(&bits)
            begin += line.length + 1
            number += 1
        return 0

    cdef int sort(self) except -1:
        """Sort into canonical order and drop repetitions."""
        cdef void *spare
        if not is_sorted4(self.array4, self.size4):
            spare = resized(NULL, self.size4, sizeof(uint64_t))
            with nogil:
                sort4(self.array4, self.size4, <uint64_t *>spare)
            PyMem_RawFree(spare)
        if not is_sorted6(self.array6, self.size6):
            spare = resized(NULL, self.size6, sizeof(Prefix6))
            with nogil:
                sort6(self.array6, self.size6, <Prefix6 *>spare)
            PyMem_RawFree(spare)
        self.size4 = drop_repeated4(self.array4, self.size4)
        self.size6 = drop_repeated6(self.array6, self.size6)
        # Give back the memory that is not used.
        if 0 < self.size4 < self.room4:
            self.resize4(self.size4)
        if 0 < self.size6 < self.room6:
            self.resize6(self.size6)
        return 0


cdef void *resized(void *memory, Py_ssize_t count, size_t size) except NULL:
    """Make room for `count` items and keep the content; on failure `memory` is unchanged."""
    # A table numbers entries by int32_t.  On 64-bit systems that many items never overflow a size_t; on 32-bit systems
    # this is checked.
    if <size_t>count > INT32_MAX or <size_t>count > SIZE_MAX // size:
        raise MemoryError("one list or trie holds at most 2**31 - 1 items")
    memory = PyMem_RawRealloc(memory, <size_t>count * size)
    if memory is NULL:
        raise MemoryError()
    return memory


# hot: begin
cdef bint is_sorted4(const uint64_t *array, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(1, size):
        if array[i - 1] > array[i]:
            return False
    return True


cdef void sort4(uint64_t *array, Py_ssize_t size, uint64_t *spare) noexcept nogil:
    """Sort by counting digits, the last digit first: four passes, whatever the order was.

    A comparison sort of a million prefixes compares each of them about twenty
    times, and the processor mispredicts about ten of these branches.
    """
    cdef uint32_t[DIGITS][1 << DIGIT_BITS] counts
    cdef Py_ssize_t i, k
    cdef int digit, shift
    cdef uint32_t at, count
    if size <= FEW:
        insert4(array, size)
        return
    # 1. how often does each digit have each value?
    memset(counts, 0, sizeof(counts))
    for i in range(size):
        for digit in range(DIGITS):
            counts[digit][array[i] >> (DIGIT_BITS * digit) & ((1 << DIGIT_BITS) - 1)] += 1
    # 2. each value begins behind the smaller values; after four passes the result is in the array where it began
    for digit in range(DIGITS):
        at = 0
        for k in range(1 << DIGIT_BITS):
            count = counts[digit][k]
            counts[digit][k] = at
            at += count
        shift = DIGIT_BITS * digit
        for i in range(size):
            k = array[i] >> shift & ((1 << DIGIT_BITS) - 1)
            spare[counts[digit][k]] = array[i]
            counts[digit][k] += 1
        array, spare = spare, array


cdef void insert4(uint64_t *array, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef uint64_t word
    for i in range(1, size):
        word = array[i]
        k = i
        while k > 0 and array[k - 1] << NUMBER_BITS > word << NUMBER_BITS:
            array[k] = array[k - 1]
            k -= 1
        array[k] = word


cdef Py_ssize_t drop_repeated4(uint64_t *array, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i, different = 0
    for i in range(size):
        if different == 0 or array[different - 1] != array[i]:
            array[different] = array[i]
            different += 1
    return different


cdef int compare6(const void *first, const void *second) noexcept nogil:
    """Canonical order, as in `compare_bits`."""
    cdef const Prefix6 *a = <const Prefix6 *>first
    cdef const Prefix6 *b = <const Prefix6 *>second
    if a.upper != b.upper:
        return -1 if a.upper < b.upper else 1
    if a.lower != b.lower:
        return -1 if a.lower < b.lower else 1
    return <int>a.length - <int>b.length


cdef bint is_sorted6(const Prefix6 *array, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(1, size):
        if compare6(&array[i - 1], &array[i]) > 0:
            return False
    return True


cdef void sort6(Prefix6 *array, Py_ssize_t size, Prefix6 *spare) noexcept nogil:
    """Sort by the digits of the upper words; then sort each run of equal upper words, mostly short, by comparing."""
    cdef size_t[256] counts
    cdef Prefix6 *home = array
    cdef Py_ssize_t i, begin
    cdef size_t at, count
    cdef uint64_t differing = 0
    cdef int shift, k
    if size <= FEW:
        qsort(array, <size_t>size, sizeof(Prefix6), compare6)
        return
    # 1. digits of one byte; a digit that is equal in all prefixes is skipped
    for i in range(1, size):
        differing |= array[i].upper ^ array[0].upper
    for shift in range(0, 64, 8):
        if differing >> shift & 0xFF == 0:
            continue
        memset(counts, 0, sizeof(counts))
        for i in range(size):
            counts[array[i].upper >> shift & 0xFF] += 1
        at = 0
        for k in range(256):
            count = counts[k]
            counts[k] = at
            at += count
        for i in range(size):
            k = array[i].upper >> shift & 0xFF
            spare[counts[k]] = array[i]
            counts[k] += 1
        array, spare = spare, array
    if array != home:
        memcpy(home, array, <size_t>size * sizeof(Prefix6))
    # 2. runs of equal upper words
    begin = 0
    for i in range(1, size + 1):
        if i == size or home[i].upper != home[begin].upper:
            if i - begin > 1:
                qsort(home + begin, <size_t>(i - begin), sizeof(Prefix6), compare6)
            begin = i


cdef Py_ssize_t drop_repeated6(Prefix6 *array, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i, different = 0
    for i in range(size):
        if different == 0 or compare6(&array[different - 1], &array[i]) != 0:
            array[different] = array[i]
            different += 1
    return different
# hot: end


# -- Ranges -------------------------------------------------------------------

cdef class RangeArray:
    """Disjoint ranges in order, no two adjacent: the addresses that a list means."""

    def __cinit__(self):
        self.ranges = NULL

    def __dealloc__(self):
        PyMem_RawFree(self.ranges)

    cdef inline int add(self, const Bits *bits) except -1:
        """Add a prefix; it must not begin before the last range."""
        cdef Range added = range_of(bits)
        cdef Range *last = &self.ranges[self.size - 1] if self.size > 0 else NULL
        if last is not NULL and touches(last, &added):
            if is_before(last.last_upper, last.last_lower, added.last_upper, added.last_lower):
                last.last_upper = added.last_upper
                last.last_lower = added.last_lower
            return 0
        return self.push(&added)

    cdef inline int push(self, const Range *added) except -1:
        """Add a range; it must begin behind the last range, and not touch it."""
        if self.size == self.room:
            self.ranges = <Range *>resized(self.ranges, max(8, self.room * 2), sizeof(Range))
            self.room = max(8, self.room * 2)
        self.ranges[self.size] = added[0]
        self.size += 1
        return 0


cdef bint touches(const Range *a, const Range *b) noexcept nogil:
    """Does `b` overlap `a`, or follow it without a gap?  Needs: `b` does not start before `a`."""
    cdef uint64_t next_lower = a.last_lower + 1
    cdef uint64_t next_upper = a.last_upper + (next_lower == 0)
    if a.family != b.family:
        return False
    if next_upper == 0 and next_lower == 0:     # a ends where the family ends
        return True
    return not is_before(next_upper, next_lower, b.first_upper, b.first_lower)


cdef RangeArray merge(PrefixArray array):
    """Merge sorted prefixes into the fewest ranges, in one pass."""
    cdef RangeArray merged = RangeArray()
    cdef Py_ssize_t i
    cdef Bits bits
    for i in range(array.size4):
        unpack4(array.array4[i], &bits)
        merged.add(&bits)
    for i in range(array.size6):
        unpack6(&array.array6[i], &bits)
        merged.add(&bits)
    return merged


cdef int split(const Range *whole, PrefixArray prefixes) except -1:
    """Add the fewest prefixes that fill the range, from left to right; a prefix inside ::ffff:0:0/96 is left out.

        .1        .4                .8        .11
        |---------|-----------------|---------|      192.0.2.1 to 192.0.2.11
        /32  /31       /30             /30           each is as broad as its start and the range's end allow
    """
    cdef Range left = whole[0]
    cdef Range block
    cdef Bits bits
    while True:
        bits = broadest_at_start(&left)
        # No IPv6 client has a mapped address.  As text, such a prefix would even mean IPv4 addresses (C16).
        if not is_mapped(&bits):
            prefixes.push(&bits)
        block = range_of(&bits)
        if block.last_upper == left.last_upper and block.last_lower == left.last_lower:
            return 0
        left.first_lower = block.last_lower + 1
        left.first_upper = block.last_upper + (left.first_lower == 0)


cdef Bits broadest_at_start(const Range *left) noexcept nogil:
    """The broadest prefix that begins where the range begins and ends inside it."""
    cdef Bits bits
    cdef Range block
    cdef uint8_t length = width(left.family)
    bits.upper = left.first_upper
    bits.lower = left.first_lower
    bits.family = left.family
    bits.length = length
    while length > 0:
        length -= 1
        bits.length = length
        block = range_of(&bits)
        if has_host_bits(&bits) or is_before(left.last_upper, left.last_lower, block.last_upper, block.last_lower):
            bits.length = length + 1
            break
    return bits


cdef list prefixes_of(RangeArray merged):
    """The fewest prefixes that fill some ranges, as objects."""
    cdef PrefixArray prefixes = PrefixArray()
    cdef Py_ssize_t i
    for i in range(merged.size):
        split(&merged.ranges[i], prefixes)
    return objects_of(prefixes)


cdef list objects_of(PrefixArray prefixes):
    cdef Py_ssize_t i
    cdef Bits bits
    cdef list objects = []
    for i in range(prefixes.count()):
        prefixes.read(i, &bits)
        objects.append(new_prefix(&bits))
    return objects


# -- The public function ------------------------------------------------------

def aggregate(prefixes, /):
    """Find the fewest prefixes that mean the same addresses.

    Args:
        prefixes: an iterable of what `parse_prefix` takes.
    Returns:
        `list[Prefix]` in canonical order, none covering, touching or equal to another.
    Raises:
        InvalidPrefix: with `index`, the position of the bad one.
        TypeError: one is of another type, or one text was given instead of a list.
    Cost: n log n for the sort, some 100 ns a prefix.
    Threads: safe, keeps no state.

    >>> aggregate(["192.0.2.0/25", "192.0.2.128/25", "192.0.2.7"])
    [Prefix('192.0.2.0/24')]
    """
    cdef PrefixArray array = PrefixArray()
    cdef Bits bits
    check_is_list(prefixes, "prefixes")
    for i, prefix in enumerate(prefixes):
        read_prefix(prefix, False, &bits, i)
        array.push(&bits)
    array.sort()
    return prefixes_of(merge(array))
