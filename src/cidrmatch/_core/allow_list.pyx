# cython: language_level=3
"""`AllowList`: a list of entries that tells which addresses are in it, and by which entry.

    texts, tuples, mappings, lines, Arrow   --read-->   prefixes and labels   --freeze-->   Table, Entries

All work is done when a list is made; a check only compares numbers.  This room reads the entries, and has the Python
type.  The frozen form and its finders are in frozen.pyx, many addresses in one call in batch.pyx.

Labels are not part of the frozen form: a dict maps the number of an entry to its label; it is None if there are no
labels.  In a long list without labels, a match needs no search of the entries: tries give the length of the longest
match.

Invariants: a list is empty until it is whole, and never changes afterwards.
Cost: a check takes one address parse and reads a few cache lines.  A match reads a longer table, takes a step for each
nesting level, and may make an object.  Building takes a few passes, and five more if the entries are not sorted.
Threads: a list never changes after `__cinit__`, so no lock is needed.  A short list keeps the objects that `match`
returned; these are guarded by the interpreter lock.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree
from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t

from cidrmatch._core.address cimport NO_INDEX, Bits, read_address, vectors_here
from cidrmatch._core.algebra cimport (
    changes_of_entries, complement, keep_within, labels_of_both, labels_within, unite,
)
from cidrmatch._core.arrow cimport PACKED, Chunk, Item, broken, find_item, offers_arrow, take_chunks
from cidrmatch._core.batch cimport Search, answer_many, read_packed
from cidrmatch._core.frozen cimport (
    BY_SIZE, FIRST_LENGTH, NONE_IN, NOT_COMMON, NO_ENTRY, ask_common, bits_at, contains, contains_all,
    count_entries, find_entry, find_length, freeze, ranges_of,
)
from cidrmatch._core.prefix cimport (
    Entry, check_is_list, compare_bits, new_entry, new_prefix, parse_common_prefix, read_prefix,
)
from cidrmatch._core.prefixes cimport Prefix6, PrefixArray, RangeArray, pack4, prefixes_of

import sys
from operator import index

from ..errors import InvalidPrefix, brief
from .fields import allow_list_schema
from .lines import frozen_text
from .prefix import parse_entry

__all__ = ["AllowList", "changes"]

cdef enum:
    SHOWN_ENTRIES = 3       # in a repr
    MOST_OBJECTS = 4_096    # entries of a list that keeps its objects; in longer lists making one is faster

cdef Py_ssize_t NO_LIMIT = sys.maxsize


# -- Reading ----------------------------------------------------------------------

# Labels while a list is made: { the prefix as the array holds it: (its position there, label) }.  The keys are bytes,
# because their hash is keyed; numbers could be chosen so that all of them collide.

cdef object name4(uint64_t word):
    return PyBytes_FromStringAndSize(<const char *>&word, sizeof(word))


cdef object name6(const Prefix6 *prefix):
    return PyBytes_FromStringAndSize(<const char *>prefix, sizeof(Prefix6))


cdef dict read_entries(object entries, PrefixArray prefixes):
    """Read every entry, or raise; give the labels."""
    cdef dict labels = {}
    cdef Bits bits
    cdef Py_ssize_t i = 0
    for entry in entries:
        if not prefixes.add_common(entry):      # most entries are plain text and have no label
            label = prefixes.add_entry(entry, i, "an AllowList", &bits)
            if label is not None:
                note_label(labels, prefixes, bits.family, label)
        i += 1
    if labels:
        drop_late_labels(labels, prefixes)
    return labels


cdef int read_chunks(list chunks, PrefixArray prefixes) except -1:
    """Read every item of an Arrow array as an entry, or raise."""
    cdef Chunk chunk
    cdef Item item
    cdef Bits bits
    cdef Py_ssize_t i
    for chunk in chunks:
        for i in range(chunk.filled):
            if chunk.layout == PACKED:
                read_packed(chunk.items, i, chunk.family, chunk.is_reversed, &bits)
            elif not (find_item(chunk, i, &item) and item.has_room and parse_common_prefix(&item.text, &bits)):
                read_prefix(item_text(chunk, i), False, &bits, chunk.before + i)
            prefixes.push(&bits)
        refuse_null(chunk)
    return 0


cdef int refuse_null(Chunk chunk) except -1:
    """Refuse the first null of an Arrow array, if there is one."""
    if chunk.filled < chunk.count:
        raise InvalidPrefix("<null>", 0, "empty", "a null is no prefix", None, chunk.before + chunk.filled)
    return 0


cdef object item_text(Chunk chunk, Py_ssize_t i):
    """The text of an item of an Arrow array."""
    cdef Item item
    if not find_item(chunk, i, &item):
        raise broken(f"text {chunk.before + i} does not lie in its buffer")
    return item.text.start[:item.text.length].decode("utf-8", "replace")


cdef list texts_of(list chunks):
    """The entries of an Arrow array as texts, for a policy, because a policy judges texts as they were written."""
    cdef list texts = []
    cdef Chunk chunk
    cdef Bits bits
    cdef Py_ssize_t i
    for chunk in chunks:
        for i in range(chunk.filled):
            if chunk.layout == PACKED:
                read_packed(chunk.items, i, chunk.family, chunk.is_reversed, &bits)
                texts.append(new_prefix(&bits).address)
            else:
                texts.append(item_text(chunk, i))
        refuse_null(chunk)
    return texts


cdef int note_label(dict labels, PrefixArray prefixes, uint8_t family, object label) except -1:
    """Note the label of the prefix that was pushed last; of equal prefixes the first label is kept."""
    cdef Py_ssize_t last
    if family == 4:
        last = prefixes.size4 - 1
        labels.setdefault(name4(prefixes.array4[last]), (last, label))
    else:
        last = prefixes.size6 - 1
        labels.setdefault(name6(&prefixes.array6[last]), (last, label))
    return 0


cdef int drop_late_labels(dict labels, PrefixArray prefixes) except -1:
    """Of equal prefixes the first is kept.  If the first has no label, drop the labels of the later ones."""
    cdef Py_ssize_t i
    for i in range(prefixes.size4):
        drop_late_label(labels, name4(prefixes.array4[i]), i)
    for i in range(prefixes.size6):
        drop_late_label(labels, name6(&prefixes.array6[i]), i)
    return 0


cdef int drop_late_label(dict labels, object name, Py_ssize_t position) except -1:
    labelled = labels.get(name)
    if labelled is not None and labelled[0] > position:
        del labels[name]
    return 0


@cython.final
cdef class Source:
    """The input of an `AllowList` that this library makes in another way than by a list of entries."""

    def __cinit__(self, entries, lines, int form, int vectors):
        self.entries = entries
        self.lines = lines
        self.form = form
        self.vectors = vectors


# -- The type ---------------------------------------------------------------------

@cython.final
cdef class AllowList:
    """AllowList(entries=(), *, policy=None)\n--\n\nHold a frozen list of entries and tell which addresses are in it.

    Immutable, hashable, picklable.  An empty list allows nobody, and a list
    has no truth value: `if allow and address not in allow` would let everyone
    in when the list is empty, so it raises instead.

    Two lists are combined as sets of addresses, and the result is a list again:

        a & b    the addresses in both
        a - b    the addresses of `a` that are not in `b`
        a | b    the addresses in either
        a ^ b    the addresses in exactly one, `(a - b) | (b - a)`
        a <= b   whether every address of `a` is in `b`; so also <, >= and >

    `a & b` and `a - b` keep each entry of `a` that lies wholly in the result, and replace others by the broadest
    prefixes inside them that do.  So an address has the same label in the result as in `a`, and `b` gives no label.
    `a | b` keeps all entries of both; of equal prefixes that of `a`, with its label.  `==` compares entries and
    labels, so lists with equal addresses may be unequal; they are <= each other.

    Args:
        entries: an iterable of what `parse_entry` takes.  Order does not matter;
            of equal prefixes the first, with its label, is kept.  Or an Arrow array, chunked or
            not, of texts, or of addresses as `contains_many` takes them; a null is refused.
        policy: a `Policy` that the entries must satisfy; without one only the rules of
            text apply (a valid prefix, no host bits).
    Raises:
        InvalidPrefix: with `index`, the position of the first bad entry.
        PolicyError: the policy refused the list; its `report` names every reason.
        TypeError: an entry is of another type, or one text was given instead of a list; or
            an Arrow array has another format.
        ValueError: an entry has a condition, which only an `Engine` judges.
    Cost: 9 bytes an entry (IPv4) or 22 (IPv6), 8 or 33 a range, the labels; with more than 8,192 ranges a map of up
        to 4 MiB, with more than 32,768 entries another of up to 5 MiB; 100 to 200 ns an entry to build, in whatever
        order; to combine two lists, about as much as to build the result, and a pass over both.
    Threads: safe without a lock, never changes.
    Source: B6, B13 to B16, B20, B24; C6, C16, C18.

    >>> office = AllowList(["203.0.113.5", ("198.51.100.0/24", "Office"), "2001:db8::/48"])
    >>> "198.51.100.7" in office, "198.51.101.7" in office
    (True, False)
    >>> office - AllowList(["198.51.100.0/25", "2001:db8::/32"])
    AllowList([('198.51.100.128/25', 'Office'), '203.0.113.5/32'])
    """

    def __cinit__(self, entries=(), *others, policy=None):
        cdef PrefixArray prefixes = PrefixArray()
        cdef dict labels = None
        cdef Source source = Source(entries, None, BY_SIZE, vectors_here())
        self.block.start = NULL
        self.hash = -1
        if others:
            raise TypeError("the entries are one list, and a policy is a keyword: AllowList(entries, policy=...)")
        # 1. read: if one entry is not valid, no list is made
        if type(entries) is Source:
            source = entries
        if type(source.lines) is PrefixArray:
            prefixes = source.lines
        elif source.lines is not None:
            prefixes.add_lines(source.lines)
        elif policy is None and offers_arrow(source.entries):
            read_chunks(take_chunks(source.entries), prefixes)
        else:
            check_is_list(source.entries)
            entries = texts_of(take_chunks(source.entries)) if offers_arrow(source.entries) else source.entries
            labels = read_entries(entries if policy is None else policy.accept(entries), prefixes)
        # 2. freeze: sort, merge, find the parent of each entry
        prefixes.sort()
        freeze(prefixes, source.form, source.vectors, &self.table, &self.entries, &self.block)
        self.labels = self.number_labels(labels) if labels else source.labels

    @classmethod
    def from_text(cls, text, /):
        """Make a list from a text as people keep it: a prefix a line, and perhaps comments.

        Args:
            text: `str`.  A line ends with "\\n" or "\\r\\n"; what follows "#", white space around a prefix, empty
                lines and a byte order mark at the beginning say nothing.
        Raises:
            InvalidPrefix: with `line`, from 1, and `index`, the position among the prefixes.
            TypeError: the text is no `str`.
        Cost: some hundred ns a line.

        >>> AllowList.from_text("# the office\\n203.0.113.0/24  # Vienna\\n\\n2001:db8::/48\\n")
        AllowList(['203.0.113.0/24', '2001:db8::/48'])
        """
        return frozen_text(cls, text)

    @classmethod
    def from_lines(cls, lines, /):
        """Make a list from a buffer of lines, one prefix in each and nothing else: the fastest way from a file.

        Args:
            lines: `bytes`, or any contiguous buffer of bytes; lines end with "\\n", empty ones say nothing.
        Raises:
            InvalidPrefix: with `index`, the number of the line, from 0.
        Cost: as `AllowList(texts)`, without the texts.

        >>> AllowList.from_lines(b"203.0.113.0/24\\n2001:db8::/48\\n")
        AllowList(['203.0.113.0/24', '2001:db8::/48'])
        """
        return cls(Source(None, memoryview(lines), BY_SIZE, vectors_here()))

    cdef dict number_labels(self, dict labels):
        """The labels by the numbers of their entries."""
        cdef dict numbered = {}
        cdef Py_ssize_t i
        cdef Bits bits
        cdef Prefix6 prefix6
        for i in range(len(self)):
            bits_at(&self.entries, i, &bits)
            if bits.family == 4:
                labelled = labels.get(name4(pack4(&bits)))
            else:
                prefix6 = Prefix6(bits.upper, bits.lower, bits.length)
                labelled = labels.get(name6(&prefix6))
            if labelled is not None:
                numbered[i] = labelled[1]
        return numbered

    def __dealloc__(self):
        PyMem_RawFree(self.block.start)

    # 1. Is it in?

    def __contains__(self, address):
        cdef Bits bits
        # hot: begin
        cdef int answer = ask_common(&self.table, address)
        if answer != NOT_COMMON:
            return answer
        # hot: end
        read_address(address, &bits, NO_INDEX)
        return contains(&self.table, &bits)

    def contains(self, address, /):
        """Tell whether an address is in the list: `address in allow`, as a method to pass on.

        Args:
            address: what `parse_address` takes.  A mapped address is its IPv4 address.
        Raises:
            InvalidAddress: junk is refused, it is never "not listed".
            TypeError: as `parse_address`.
        Cost: about 5 ns more than `in`.
        """
        cdef Bits bits
        cdef int answer = ask_common(&self.table, address)
        if answer != NOT_COMMON:
            return answer != 0
        read_address(address, &bits, NO_INDEX)
        return contains(&self.table, &bits)

    def contains_many(self, addresses, /, *, family=None, byteorder=None, out=None):
        """Tell for many addresses at once whether each is in the list.

        Args:
            addresses: an iterable of what `parse_address` takes; or an Arrow array, chunked or not, of strings (u, U,
                vu), uint32 (I; 10.0.0.1 is 0x0a000001) or fixed-size binary in network order (w:4, w:16); or, with
                `family`, a contiguous buffer of packed addresses: bytes (4 * n or 16 * n, network order), or 32-bit
                integers (IPv4 only).
            family: 4 or 6, the family of a packed buffer.
            byteorder: "big" or "little", how the four bytes of each 32-bit integer lie in memory; `sys.byteorder`
                for an `array` or NumPy array of numbers.  Nothing is guessed: integers without it are refused.
            out: a writable contiguous buffer of n bytes for the answers.
        Returns:
            `bytes`, n long: 1 where the address is in, 0 where it is not; or `out`, if that was given.
        Raises:
            InvalidAddress: with `index`, the position of the bad one, which may be a null; `out` may be filled up to
                there.
            ValueError: the buffer holds no whole number of addresses, its items are neither bytes nor 32-bit integers
                with their order stated, `out` has another size or shares memory with the addresses, the family is
                neither 4 nor 6, or an Arrow array contradicts itself.
            TypeError: as `parse_address`, or one text was given instead of many, or an Arrow array has another format.
            OSError: an Arrow stream failed.
        Cost: the parse and the search alone, 20 to 60 ns a text; a buffer, 1 to 30 ns an address.
        Threads: a buffer and an Arrow array are read without the interpreter lock.  A buffer cannot be resized
            meanwhile; if another thread writes to it, each answer is that of some state of its bytes.

        >>> AllowList(["203.0.113.0/24"]).contains_many(["203.0.113.7", "198.51.100.7"])
        b'\\x01\\x00'
        """
        cdef Search search = Search(&self.table, NULL)
        return answer_many(&search, addresses, family, byteorder, out)

    def covers(self, prefix, /):
        """Tell whether every address of a prefix is in the list, by one entry or several.

        Args:
            prefix: what `parse_prefix` takes.  An IPv6 prefix around ::ffff:0:0/96 has these numbers, too, although no
                client does.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.

        >>> AllowList(["192.0.2.0/25", "192.0.2.128/25"]).covers("192.0.2.0/24")
        True
        """
        cdef Bits bits
        read_prefix(prefix, False, &bits)
        return contains_all(&self.table, &bits)

    # 2. Which entry?

    cdef object label_at(self, Py_ssize_t i):
        return None if self.labels is None else self.labels.get(i)

    cdef Entry entry_at(self, Py_ssize_t i):
        """The `Entry` object of an entry; a short list keeps the objects that it made."""
        if count_entries(&self.entries) > MOST_OBJECTS:
            return self.make_entry(i)
        if self.objects is None:
            self.objects = [None] * len(self)
        if self.objects[i] is None:
            self.objects[i] = self.make_entry(i)
        return self.objects[i]

    cdef Entry make_entry(self, Py_ssize_t i):
        cdef Bits bits
        bits_at(&self.entries, i, &bits)
        return new_entry(&bits, self.label_at(i))

    def match(self, address, /):
        """Find the most specific entry that covers an address.

        Args:
            address: what `parse_address` takes.
        Returns:
            `Entry`, or None.
        Raises:
            InvalidAddress, TypeError: as `parse_address`.
        Cost: that of `contains` and an object, if the list is long; with labels, the search in a longer table and a
            step a nesting level.
        """
        cdef Bits bits
        cdef Py_ssize_t at
        cdef uint32_t found
        read_address(address, &bits, NO_INDEX)
        found = find_length(&self.entries, &bits)
        if found >= FIRST_LENGTH and self.labels is None:       # labels need the entry's number
            bits.length = <uint8_t>(found - FIRST_LENGTH)
            bits.upper &= ~(UINT64_MAX >> bits.length)      # no answer is longer than 48 bits
            bits.lower = 0
            return new_entry(&bits, None)
        if found == NONE_IN:
            return None
        at = find_entry(&self.table, &self.entries, &bits)
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
        cdef Bits bits
        cdef Py_ssize_t at
        cdef list found = []
        read_address(address, &bits, NO_INDEX)
        at = find_entry(&self.table, &self.entries, &bits)
        while at != NO_ENTRY:
            found.append(self.entry_at(at))
            at = self.entries.parents[at]
        return found

    def match_many(self, addresses, /, *, family=None, byteorder=None, out=None):
        """Tell for many addresses at once which entry matches: its number, so that `allow[number]` is that entry.

        Args:
            addresses, family, byteorder: as for `contains_many`.
            out: a writable contiguous buffer of n 32-bit integers of this machine, such as an `array("i")`.
        Returns:
            `array("i")`, n long: the number of the most specific entry, -1 where there is none; or `out`.
        Raises:
            InvalidAddress, ValueError, TypeError, OSError: as for `contains_many`.
        Cost: as `contains_many`, and a step a nesting level.
        Threads: as for `contains_many`.

        >>> office = AllowList(["203.0.113.0/24", "203.0.113.64/26"])
        >>> numbers = office.match_many(["203.0.113.7", "203.0.113.65", "198.51.100.7"])
        >>> list(numbers), office[numbers[1]]
        ([0, 1, -1], Entry('203.0.113.64/26'))
        """
        cdef Search search = Search(&self.table, &self.entries)
        return answer_many(&search, addresses, family, byteorder, out)

    # 3. The list as a value.

    def aggregate(self):
        """Find the fewest prefixes that mean the same addresses; labels are not kept.

        Returns:
            `list[Prefix]` in canonical order.
        """
        return prefixes_of(ranges_of(&self.table))

    def __len__(self):
        return count_entries(&self.entries)

    def __getitem__(self, number):
        try:
            return self.entry_at(range(len(self))[index(number)])
        except IndexError:
            raise IndexError(f"the list has {len(self)} entries, no entry {number}") from None

    def __sizeof__(self):
        return object.__sizeof__(self) + self.block.size_bytes

    def __iter__(self):
        return EntryIterator(self)

    def __bool__(self):
        raise TypeError("an AllowList has no truth value: an empty list allows nobody; ask len(allow) or `is None`")

    def __eq__(self, other):
        cdef AllowList that
        cdef Py_ssize_t i
        cdef Bits ours, theirs
        if type(other) is not AllowList:
            return NotImplemented
        that = other
        if self.entries.entries4.firsts.count != that.entries.entries4.firsts.count or len(self) != len(that):
            return False
        for i in range(len(self)):
            bits_at(&self.entries, i, &ours)
            bits_at(&that.entries, i, &theirs)
            if compare_bits(&ours, &theirs) != 0 or self.label_at(i) != that.label_at(i):
                return False
        return True

    def __hash__(self):
        if self.hash == -1:
            self.hash = hash(tuple(self))   # if two threads compute it, both write the same value
        return self.hash

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler, /):
        """Let a pydantic field be a list: of what is given as texts or mappings, and written as such."""
        return allow_list_schema(cls, Entry, parse_entry)

    def __reduce__(self):
        return AllowList, (tuple(self),)

    # 4. Algebra: `algebra.pyx` says what is kept of which list, and with which labels.

    def __and__(self, other):
        return pieces_of(self, ranges_of(&(<AllowList>other).table)) if are_lists(self, other) else NotImplemented

    def __sub__(self, other):
        return pieces_of(self, others_than(other)) if are_lists(self, other) else NotImplemented

    def __or__(self, other):
        return united(self, other) if are_lists(self, other) else NotImplemented

    def __xor__(self, other):
        if not are_lists(self, other):
            return NotImplemented
        return united(pieces_of(self, others_than(other)), pieces_of(other, others_than(self)))

    def isdisjoint(self, other, /):
        """Tell whether no address is in both lists.

        Args:
            other: an `AllowList`.
        Raises:
            TypeError: it is something else.
        Cost: one pass over both lists, until an address in both is found.

        >>> AllowList(["10.0.0.0/8"]).isdisjoint(AllowList(["10.1.0.0/16"]))
        False
        """
        return has_none(self, ranges_of(&as_list(other).table))

    def issubset(self, other, /):
        """Tell whether every address of this list is in the other one, by whatever entries; so does `self <= other`.

        Addresses of ::ffff:0:0/96 do not count, because no IPv6 client has one.  `self < other` also asks whether the
        other list has more addresses.

        Args:
            other: an `AllowList`.
        Raises:
            TypeError: it is something else.
        Cost: one pass over both lists, until an address that the other one lacks is found.

        >>> AllowList(["192.0.2.0/24"]).issubset(AllowList(["192.0.2.0/25", "192.0.2.128/25"]))
        True
        """
        return has_none(self, others_than(as_list(other)))

    def issuperset(self, other, /):
        """Tell whether every address of the other list is in this one; so does `self >= other`.

        Args, Raises, Cost: as for `issubset`.
        """
        return as_list(other).issubset(self)

    def __le__(self, other):
        return self.issubset(other) if are_lists(self, other) else NotImplemented

    def __lt__(self, other):
        return self.issubset(other) and not other.issubset(self) if are_lists(self, other) else NotImplemented

    def __ge__(self, other):
        return other.issubset(self) if are_lists(self, other) else NotImplemented

    def __gt__(self, other):
        return other.issubset(self) and not self.issubset(other) if are_lists(self, other) else NotImplemented

    def __copy__(self):
        return self

    def __deepcopy__(self, memo, /):
        return self

    def __repr__(self):
        cdef Py_ssize_t i
        shown = []
        for i in range(min(len(self), SHOWN_ENTRIES)):
            entry = self.entry_at(i)
            shown.append(f"'{entry}'" if entry.label is None else f"('{entry}', {brief(entry.label)})")
        more = len(self) - SHOWN_ENTRIES
        return f"AllowList([{', '.join(shown)}])" if more <= 0 else f"<AllowList [{', '.join(shown)}, and {more} more]>"


# -- Algebra ----------------------------------------------------------------------

cdef bint are_lists(object one, object other) noexcept:
    return type(one) is AllowList and type(other) is AllowList


cdef AllowList as_list(object other):
    if type(other) is not AllowList:
        raise TypeError(f"an AllowList was expected, not {type(other).__name__}")
    return other


cdef RangeArray others_than(AllowList allow):
    """The ranges of all addresses that are not in the list."""
    return complement(ranges_of(&allow.table))


cdef bint has_none(AllowList allow, RangeArray ranges) except -1:
    """Is no address of the list in the ranges?"""
    return keep_within(&allow.entries, ranges, 1).count() == 0


cdef AllowList pieces_of(AllowList allow, RangeArray ranges):
    """What of a list lies in the ranges, as a list."""
    cdef PrefixArray kept = keep_within(&allow.entries, ranges, NO_LIMIT)
    return new_list(kept, None if allow.labels is None else labels_within(&allow.entries, allow.labels, kept))


cdef AllowList united(AllowList one, AllowList other):
    """The entries of both lists; of equal prefixes the first list's is kept."""
    cdef dict labels = None
    if one.labels is not None or other.labels is not None:
        labels = labels_of_both(&one.entries, labels_of(one), &other.entries, labels_of(other))
    return new_list(unite(&one.entries, &other.entries), labels)


cdef dict labels_of(AllowList allow):
    """The labels by the numbers of their entries, perhaps none."""
    return {} if allow.labels is None else allow.labels


cdef AllowList new_list(PrefixArray prefixes, dict labels):
    """A list of sorted prefixes, with labels by their numbers."""
    cdef Source source = Source(None, prefixes, BY_SIZE, vectors_here())
    source.labels = labels if labels else None
    return AllowList(source)


def changes(AllowList before not None, AllowList after not None, /):
    """Give the entries that only the later list has, those that only the earlier one has, and relabelled pairs.

    Entries are compared by their prefixes.  All three lists are in canonical order.
    """
    return changes_of_entries(&before.entries, labels_of(before), &after.entries, labels_of(after))


# -- Entries, one by one ------------------------------------------------------------

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
        if i >= len(self.allow):
            raise StopIteration
        self.next_index = i + 1
        return self.allow.entry_at(i)
