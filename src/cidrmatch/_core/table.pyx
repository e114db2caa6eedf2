# cython: language_level=3
"""The table and `AllowList`: a list of entries, frozen for one question.

Everything is decided when a list is made; a check only compares numbers.  A
list is kept twice, because the two questions want different things:

"Is the address in?" needs no entries, only where the addresses begin and
end.  Overlapping and adjacent prefixes are merged into disjoint ranges, one
pair of arrays for each family, the second right behind the first:

    first4   [ 10.0.0.0       | 198.51.100.0   | 203.0.113.5 ]    sorted, no two equal
    last4    [ 10.255.255.255 | 198.51.100.255 | 203.0.113.5 ]    last[i] >= first[i], last[i] + 1 < first[i + 1]
    find a:  the last i with first[i] <= a; the answer is a <= last[i]

"Which entry?" needs them all, sorted, and for each the nearest broader one:

    entries  [ 10.0.0.0/8 | 10.1.0.0/16 | 10.1.2.0/24 | 10.9.0.0/16 | 203.0.113.5/32 ]
    parents  [ -1         | 0           | 1           | 0           | -1             ]
    find a:  the last i with first(i) <= a; while entry i does not cover a, go to its parent

The first step finds the most specific entry or one inside it (prefixes nest
or lie apart), so the first ancestor that covers is the longest match, and
the ancestors after it are all the others.

Cost: a check, one address parse and a binary search without branches; a
match, the same and a step a nesting level.  Building, one sort and two passes.
Threads: frozen after `__cinit__`; nobody writes, nobody locks.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Key, fold_mapped, load_packed, read_address, width
from cidrmatch._core.prefix cimport (
    Entry, KeyArray, Range, RangeArray, check_is_list, compare_keys, covers, is_before, merge, new_prefix,
    prefixes_of, range_of, read_prefix,
)

from .prefix import take_apart

__all__ = ["AllowList"]

cdef enum:
    NO_ENTRY = -1
    SHOWN_ENTRIES = 3       # in a repr
    SCANNED = 32            # so few ranges are counted one after the other; halving them waits for each load in turn


# -- The table: ranges only ---------------------------------------------------

cdef void *allocate(Py_ssize_t count, size_t size) except NULL:
    """Allocate an array; never an empty one, so that NULL always means failure."""
    # A table has no more ranges than the KeyArray has keys, and that was checked against SIZE_MAX.
    cdef void *memory = PyMem_RawMalloc(<size_t>max(count, 1) * size)
    if memory is NULL:
        raise MemoryError()
    return memory


cdef int build_table(Table *table, RangeArray merged) except -1:
    """Allocate first, then fill; on failure `free_table` finds what there is."""
    cdef Py_ssize_t i, count4 = 0
    while count4 < merged.size and merged.ranges[count4].family == 4:
        count4 += 1
    table.count4 = count4
    table.count6 = merged.size - count4
    table.first4 = <uint32_t *>allocate(count4, 2 * sizeof(uint32_t))
    table.last4 = table.first4 + count4
    table.first6 = <Pair *>allocate(table.count6, 2 * sizeof(Pair))
    table.last6 = table.first6 + table.count6
    for i in range(count4):
        table.first4[i] = <uint32_t>(merged.ranges[i].first_upper >> 32)
        table.last4[i] = <uint32_t>(merged.ranges[i].last_upper >> 32)
    for i in range(table.count6):
        table.first6[i].upper = merged.ranges[count4 + i].first_upper
        table.first6[i].lower = merged.ranges[count4 + i].first_lower
        table.last6[i].upper = merged.ranges[count4 + i].last_upper
        table.last6[i].lower = merged.ranges[count4 + i].last_lower
    return 0


cdef void free_table(Table *table) noexcept:
    PyMem_RawFree(table.first4)     # and last4, which lies behind it; the same for IPv6
    PyMem_RawFree(table.first6)


cdef Py_ssize_t find_range4(const Table *table, uint32_t address) noexcept nogil:
    """The last range that begins at or before the address; 0 if none does, so compare again."""
    cdef const uint32_t *base = table.first4
    cdef Py_ssize_t left = table.count4, half, i
    cdef uint32_t begun = 0
    if left <= SCANNED:
        for i in range(left):
            begun += base[i] <= address     # the compiler takes four at a time
        return begun - (begun > 0)
    while left > 1:
        half = left >> 1
        base += half & -<Py_ssize_t>(base[half] <= address)     # arithmetic, no branch to miss
        left -= half
    return base - table.first4


cdef Py_ssize_t find_range6(const Table *table, uint64_t upper, uint64_t lower) noexcept nogil:
    """The same for IPv6."""
    cdef const Pair *base = table.first6
    cdef Py_ssize_t left = table.count6, half
    while left > 1:
        half = left >> 1
        base += half & -<Py_ssize_t>(not is_before(upper, lower, base[half].upper, base[half].lower))
        left -= half
    return base - table.first6


cdef bint contains(const Table *table, const Key *address) noexcept nogil:
    """Is the address in one of the ranges of its own family?"""
    cdef Py_ssize_t i
    cdef uint32_t value
    if address.family == 4:
        if table.count4 == 0:
            return False
        value = <uint32_t>(address.upper >> 32)
        i = find_range4(table, value)
        return (table.first4[i] <= value) & (value <= table.last4[i])    # bitwise: nobody can guess the answer
    if table.count6 == 0:
        return False
    i = find_range6(table, address.upper, address.lower)
    return not (
        is_before(address.upper, address.lower, table.first6[i].upper, table.first6[i].lower)
        | is_before(table.last6[i].upper, table.last6[i].lower, address.upper, address.lower)
    )


cdef bint contains_all(const Table *table, const Key *prefix) noexcept nogil:
    """Is a whole prefix in?  Ranges are never adjacent, so one range must hold both its ends."""
    cdef Range wanted = range_of(prefix)
    cdef Py_ssize_t i
    if not contains(table, prefix):
        return False
    if prefix.family == 4:
        i = find_range4(table, <uint32_t>(prefix.upper >> 32))
        return <uint32_t>(wanted.last_upper >> 32) <= table.last4[i]
    i = find_range6(table, prefix.upper, prefix.lower)
    return not is_before(table.last6[i].upper, table.last6[i].lower, wanted.last_upper, wanted.last_lower)


# -- The entries: which one, and which others ---------------------------------

cdef void find_parents(const Key *entries, Py_ssize_t count, int32_t *parents) noexcept nogil:
    """Name for each entry the nearest one that covers it.

    It is the entry before, or one of that one's ancestors: whatever covers
    entry i begins before it and covers all that begins in between.
    """
    cdef Py_ssize_t i
    cdef int32_t at
    for i in range(count):
        at = <int32_t>(i - 1)
        while at != NO_ENTRY and not covers(&entries[at], &entries[i]):
            at = parents[at]
        parents[i] = at


@cython.final
cdef class AllowList:
    """Hold a frozen list of entries and tell which addresses are in it.

    Immutable, hashable, picklable.  An empty list allows nobody, and a list
    has no truth value: `if allow and address not in allow` would let everyone
    in when the list is empty, so it raises instead.

    Args:
        entries: an iterable of what `parse_entry` takes.  Order does not matter;
            of equal prefixes the first, with its label, is kept.
        policy: a `Policy` that the entries must satisfy; without one only the rules of
            text apply (a valid prefix, no host bits).
    Raises:
        InvalidPrefix: with `index`, the position of the first bad entry.
        PolicyError: the policy refused the list; its `report` names every reason.
        TypeError: an entry is of another type, or one text was given instead of a list.
        ValueError: an entry has a condition, which only an `Engine` judges.
    Cost: 28 bytes an entry, 8 (IPv4) or 32 (IPv6) a range, and the labels.  Building sorts: n log n.
    Threads: safe without a lock, never changes.
    Source: B6, B13 to B16, B20, B24; C6, C16, C18.

    >>> office = AllowList(["203.0.113.5", ("198.51.100.0/24", "Office"), "2001:db8::/48"])
    >>> "198.51.100.7" in office, "198.51.101.7" in office
    (True, False)
    """

    def __cinit__(self, entries=(), *, policy=None):
        self.entries = KeyArray()
        self.parents = NULL
        self.hash = -1
        # 1. read: every entry is valid or nothing is kept
        check_is_list(entries)
        if policy is not None:
            entries = policy.accept(entries)
        for entry in entries:
            self.add(entry)
        # 2. freeze: sort, find who covers whom, merge
        self.entries.sort()
        self.entries.trim()
        self.parents = <int32_t *>allocate(self.entries.size, sizeof(int32_t))
        find_parents(self.entries.keys, self.entries.size, self.parents)
        build_table(&self.table, merge(self.entries))

    cdef int add(self, object entry) except -1:
        """Read one more entry, while the list is made."""
        cdef Key key
        label = None
        if type(entry) is not str:      # most entries are plain text and have no label
            entry, label, condition = take_apart(entry, f"entry {self.entries.size}: ")
            if condition is not None:
                raise ValueError(f"entry {self.entries.size}: only an Engine judges conditions, "
                                 "an AllowList would let a denied or expired entry pass")
        read_prefix(entry, False, &key, self.entries.size)
        if label is not None:
            if self.labels is None:
                self.labels = {}
            self.labels[self.entries.size] = label
        self.entries.push(&key)
        return 0

    def __dealloc__(self):
        free_table(&self.table)
        PyMem_RawFree(self.parents)

    # 1. Is it in?

    def __contains__(self, address):
        cdef Key key
        read_address(address, &key)
        return contains(&self.table, &key)

    def contains(self, address, /):
        """Tell whether an address is in the list: `address in allow`, as a method to pass on.

        Args:
            address: what `parse_address` takes.  A mapped address is its IPv4 address.
        Raises:
            InvalidAddress: junk is refused, it is never "not listed".
            TypeError: as `parse_address`.
        Cost: about 30 ns for 20 IPv4 entries, 50 ns for IPv6.
        """
        cdef Key key
        read_address(address, &key)
        return contains(&self.table, &key)

    def contains_many(self, addresses, /, *, family=None):
        """Tell for many addresses at once whether each is in the list.

        Args:
            addresses: an iterable of what `parse_address` takes; or, with `family`, a contiguous buffer
                of bytes: packed addresses, 4 * n or 16 * n bytes in network order.
            family: 4 or 6, the family of a packed buffer.
        Returns:
            `bytes`, n long: 1 where the address is in, 0 where it is not.
        Raises:
            InvalidAddress: with `index`, the position of the bad one.
            ValueError: the buffer holds no whole number of addresses, its items are wider than a byte (they
                would have a byte order of their own), or the family is neither 4 nor 6.
            TypeError: as `parse_address`, or one text was given instead of many.
        Cost: the parse and the search alone; a buffer is read without the interpreter lock.

        >>> AllowList(["203.0.113.0/24"]).contains_many(["203.0.113.7", "198.51.100.7"])
        b'\\x01\\x00'
        """
        if family is None:
            check_is_list(addresses, "addresses")
            return self.contains_each(addresses if type(addresses) is tuple else list(addresses))
        if family not in (4, 6):
            raise ValueError(f"family is 4 or 6, not {family!r}")
        return self.contains_packed(octets_of(addresses), family)

    cdef bytes contains_each(self, object addresses):
        cdef Py_ssize_t i = 0
        cdef bytes answers = PyBytes_FromStringAndSize(NULL, len(addresses))
        cdef char *out = PyBytes_AS_STRING(answers)
        cdef Key key
        for address in addresses:
            read_address(address, &key, i)
            out[i] = contains(&self.table, &key)
            i += 1
        return answers

    cdef bytes contains_packed(self, const uint8_t[::1] packed, uint8_t family):
        cdef Py_ssize_t size_bytes = width(family) >> 3
        cdef Py_ssize_t i, count = packed.shape[0] // size_bytes
        cdef bytes answers = PyBytes_FromStringAndSize(NULL, count)
        cdef char *out = PyBytes_AS_STRING(answers)
        cdef const uint8_t *start
        cdef Key key
        if packed.shape[0] % size_bytes:
            raise ValueError(f"{packed.shape[0]} bytes are no whole number of addresses of {size_bytes} bytes")
        if count == 0:
            return answers
        start = &packed[0]
        with nogil:
            for i in range(count):
                load_packed(start + i * size_bytes, family, &key)
                fold_mapped(&key)
                out[i] = contains(&self.table, &key)
        return answers

    def covers(self, prefix, /):
        """Tell whether every address of a prefix is in the list, by one entry or several.

        Args:
            prefix: what `parse_prefix` takes.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.

        >>> AllowList(["192.0.2.0/25", "192.0.2.128/25"]).covers("192.0.2.0/24")
        True
        """
        cdef Key key
        read_prefix(prefix, False, &key)
        return contains_all(&self.table, &key)

    # 2. Which entry?

    cdef Py_ssize_t find_entry(self, const Key *address) noexcept nogil:
        """The most specific entry that covers the address, or NO_ENTRY."""
        cdef const Key *entries = self.entries.keys
        cdef Py_ssize_t at = 0, left = self.entries.size, half
        if left == 0:
            return NO_ENTRY
        # 1. the last entry that is not after the address in canonical order, where the full length comes last
        while left > 1:
            half = left >> 1
            if compare_keys(&entries[at + half], address) <= 0:
                at += half
            left -= half
        # 2. it or its nearest ancestor that covers
        while at != NO_ENTRY and not covers(&entries[at], address):
            at = self.parents[at]
        return at

    cdef object label_at(self, Py_ssize_t i):
        return None if self.labels is None else self.labels.get(self.entries.keys[i].index)

    cdef Entry entry_at(self, Py_ssize_t i):
        cdef const Key *key = &self.entries.keys[i]
        return Entry(new_prefix(key), self.label_at(i))

    def match(self, address, /):
        """Find the most specific entry that covers an address.

        Args:
            address: what `parse_address` takes.
        Returns:
            `Entry`, or None.
        Raises:
            InvalidAddress, TypeError: as `parse_address`.
        Cost: as `contains`, a step a nesting level, and two objects.
        """
        cdef Key key
        cdef Py_ssize_t at
        read_address(address, &key)
        at = self.find_entry(&key)
        return None if at == NO_ENTRY else self.entry_at(at)

    def matches(self, address, /):
        """List all entries that cover an address, the most specific first.

        Args:
            address: what `parse_address` takes.
        Returns:
            `list[Entry]`, perhaps empty.
        Raises:
            InvalidAddress, TypeError: as `parse_address`.
        """
        cdef Key key
        cdef Py_ssize_t at
        cdef list found = []
        read_address(address, &key)
        at = self.find_entry(&key)
        while at != NO_ENTRY:
            found.append(self.entry_at(at))
            at = self.parents[at]
        return found

    # 3. The list as a value.

    def aggregate(self):
        """Find the fewest prefixes that mean the same addresses; labels are not kept.

        Returns:
            `list[Prefix]` in canonical order.
        """
        return prefixes_of(merge(self.entries))

    def __len__(self):
        return self.entries.size

    def __iter__(self):
        return EntryIterator(self)

    def __bool__(self):
        raise TypeError("an AllowList has no truth value: an empty list allows nobody; ask len(allow) or `is None`")

    def __or__(self, other):
        if type(self) is not AllowList or type(other) is not AllowList:
            return NotImplemented
        return AllowList([*self, *other])

    def __eq__(self, other):
        cdef AllowList that
        cdef Py_ssize_t i
        if type(other) is not AllowList:
            return NotImplemented
        that = other
        if self.entries.size != that.entries.size:
            return False
        for i in range(self.entries.size):
            if compare_keys(&self.entries.keys[i], &that.entries.keys[i]) != 0:
                return False
            if self.label_at(i) != that.label_at(i):
                return False
        return True

    def __hash__(self):
        if self.hash == -1:
            self.hash = hash(tuple(self))   # two threads may both compute it, and write the same
        return self.hash

    def __reduce__(self):
        return AllowList, (tuple(self),)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo, /):
        return self

    def __repr__(self):
        cdef Py_ssize_t i
        shown = []
        for i in range(min(self.entries.size, SHOWN_ENTRIES)):
            entry = self.entry_at(i)
            shown.append(repr(str(entry)) if entry.label is None else repr((str(entry), entry.label)))
        more = self.entries.size - SHOWN_ENTRIES
        return f"AllowList([{', '.join(shown)}])" if more <= 0 else f"<AllowList [{', '.join(shown)}, and {more} more]>"


cdef object octets_of(object buffer):
    """View a buffer as the bytes that it holds, or refuse one whose bytes could be in another order."""
    view = memoryview(buffer)
    if view.itemsize != 1 or not view.c_contiguous:
        raise ValueError("packed addresses are a contiguous buffer of bytes in network order, "
                         f"not items of format {view.format!r} and {view.itemsize} bytes")
    return view.cast("B")


cdef class EntryIterator:
    """Give the entries in canonical order; threads that share it get each entry once."""

    cdef AllowList allow
    cdef Py_ssize_t next_index

    def __cinit__(self, AllowList allow not None):
        self.allow = allow
        self.next_index = 0

    def __iter__(self):
        return self

    def __next__(self):
        cdef Py_ssize_t i = self.next_index
        if i >= self.allow.entries.size:
            raise StopIteration
        self.next_index = i + 1
        return self.allow.entry_at(i)
