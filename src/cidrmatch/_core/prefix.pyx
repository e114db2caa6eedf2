# cython: language_level=3
"""Prefixes and entries: what a list is made of, and how prefixes become ranges.

A prefix is an address whose bits after `length` are zero.  On the number line
it is a range, and prefixes either nest or lie apart, they never half overlap:

    10.0.0.0/8    |--------------------------------------------|
    10.1.0.0/16        |-----------|
    10.1.2.0/24            |--|
    10.9.0.0/16                             |-----------|

Sorted by (family, first address, length), a prefix stands before everything
it covers.  So one pass over sorted prefixes merges them into the disjoint
ranges of addresses that they mean, and each range splits back into the fewest
prefixes that say the same (`aggregate`).

An entry is a prefix with an optional label, and perhaps a condition under
which it counts: what a person writes into a list.

A prefix is hashed with a seed of the process: the lists come from customers, and
a hash that everybody can compute lets one of them choose 20,000 that fall together.

Cost: parsing a prefix, one address parse and about 5 ns; merging, one step a
prefix after the sort.
Threads: `Prefix` and `Entry` never change once made.
Source: RFC 4632 section 3.1 (CIDR notation), RFC 4291 section 2.3.
"""

cimport cython
from cpython.bytes cimport PyBytes_Check
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport Py_EQ, Py_GT, Py_LE, Py_LT, Py_NE
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport INT32_MAX, SIZE_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memchr, memcpy, memset

from cidrmatch._core.address cimport (
    HOST_BITS, LENGTH_LEADING_ZERO, LENGTH_MISSING, LENGTH_NOT_A_NUMBER, LENGTH_TOO_LARGE, NETMASK, OK, WRONG_TYPE,
    ROOM_BEFORE, Bits, Status, Text, base_text, find_text, is_mapped, pack, parse_common, parse_unfolded, set_ipv4,
    take_object, width, write_address,
)

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network

from ..errors import InvalidPrefix, brief, quote
from .address import AddressLike
from .condition import FIELDS, Condition, condition_of
from .fields import entry_schema, prefix_schema
from .foreign import fields_of, is_single
from .refusal import refusal, shown, wrong_type

cdef extern from "_core/c/siphash.h" nogil:
    uint64_t siphash(const uint64_t *seed, const uint8_t *text, size_t size)

cdef enum:
    LONGEST_ADDRESS = 45    # ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255

__all__ = ["Entry", "EntryLike", "Prefix", "PrefixLike", "aggregate", "parse_entry", "parse_prefix"]


# Of this process, as the interpreter's own for texts, so PYTHONHASHSEED decides it, too.
cdef uint64_t[2] SEED = [<uint64_t>hash("cidrmatch, first word"), <uint64_t>hash("cidrmatch, second word")]
cdef object ALWAYS = Condition()        # says nothing, so an entry keeps None
cdef object ENTRY_FIELDS = frozenset(("prefix", "label", *FIELDS))


# -- Text and objects to bits -------------------------------------------------

# hot: begin
cdef Status parse_length(const uint8_t *text, Py_ssize_t length, uint8_t widest, uint8_t *value,
                         Py_ssize_t *position) noexcept nogil:
    """Parse the decimal digits after the slash."""
    cdef Py_ssize_t i
    cdef uint32_t result = 0
    position[0] = 0
    if length == 0:
        return LENGTH_MISSING
    for i in range(length):
        if not c'0' <= text[i] <= c'9':
            position[0] = i
            return NETMASK if text[i] == c'.' or text[i] == c':' else LENGTH_NOT_A_NUMBER
        if i < 4:
            result = result * 10 + (text[i] - c'0')
    if text[0] == c'0' and length > 1:
        return LENGTH_LEADING_ZERO
    if length > 3 or result > widest:
        return LENGTH_TOO_LARGE
    value[0] = <uint8_t>result
    return OK


cdef Status parse_prefix_text(const uint8_t *text, Py_ssize_t length, Bits *bits, Py_ssize_t *position) noexcept nogil:
    """Parse an address, or an address, a slash and a length; host bits stay as they are."""
    cdef const uint8_t *slash = <const uint8_t *>memchr(text, c'/', <size_t>length) if length > 0 else NULL
    cdef Py_ssize_t address_length = length if slash is NULL else slash - text
    cdef uint8_t prefix_length = 0
    cdef Text address = Text(text, address_length)
    cdef Status status = parse_unfolded(&address, bits, position)
    if status == OK and slash is not NULL:
        status = parse_length(slash + 1, length - address_length - 1, bits.length, &prefix_length, position)
        if status == OK:
            bits.length = prefix_length
        else:
            position[0] += address_length + 1
    return status


cdef Py_ssize_t find_slash(const Text *text) noexcept nogil:
    """Where the slash is, among the last characters; or the end, and then there is none."""
    cdef Py_ssize_t i
    for i in range(2, min(4, text.length) + 1):
        if text.start[text.length - i] == c'/':
            return text.length - i
    return text.length


cdef bint parse_common_prefix(const Text *text, Bits *bits) noexcept nogil:
    """Parse the common texts of a prefix without host bits, or give up; ROOM_BEFORE bytes stand before the text."""
    cdef Text address = Text(text.start, find_slash(text))
    cdef Py_ssize_t position
    if not parse_common(&address, bits):
        return False
    if address.length < text.length:
        if parse_length(text.start + address.length + 1, text.length - address.length - 1, bits.length, &bits.length,
                        &position) != OK:
            return False
    return not has_host_bits(bits)


cdef void fold_mapped_prefix(Bits *bits) noexcept nogil:
    """::ffff:203.0.113.0/120 is 203.0.113.0/24; a prefix broader than /96 stays IPv6 (C16)."""
    cdef uint8_t length = bits.length
    if length >= 96 and is_mapped(bits):
        set_ipv4(bits, <uint32_t>bits.lower)
        bits.length = length - 96


cdef void mask(Bits *bits) noexcept nogil:
    bits.upper &= upper_mask(bits.length)
    bits.lower &= lower_mask(bits.length)
# hot: end


cdef int take_prefix(object value, bint mask_host_bits, Bits *bits, Py_ssize_t *position) except -1:
    """Take any accepted object as a prefix; a refusal is a status, as in `take_address`."""
    cdef Text text
    cdef int status
    position[0] = 0
    if type(value) is Prefix:
        bits[0] = (<Prefix>value).bits
        return OK
    # 1. the bits
    if find_text(value, &text):
        if parse_common_prefix(&text, bits):
            return OK
        status = parse_prefix_text(text.start, text.length, bits, position)
    elif PyUnicode_Check(value) and find_text(base_text(value), &text):
        return take_prefix(base_text(value), mask_host_bits, bits, position)
    else:
        status = take_object(value, bits, position)
    if status != OK:
        return status
    # 2. mapped prefixes are IPv4, and only then host bits are judged
    fold_mapped_prefix(bits)
    if mask_host_bits:
        mask(bits)
    elif has_host_bits(bits):
        return HOST_BITS
    return OK


cdef int read_prefix(object value, bint mask_host_bits, Bits *bits, Py_ssize_t index=-1) except -1:
    """Take a prefix or raise: InvalidPrefix for a bad text, TypeError for another type."""
    cdef Py_ssize_t position = 0
    cdef int status = take_prefix(value, mask_host_bits, bits, &position)
    if status == OK:
        return 0
    if status == WRONG_TYPE:
        raise wrong_type("a prefix", value, None if index < 0 else index)
    value = shown(value)
    if status == HOST_BITS:
        position = value.find("/")
    raise refusal(InvalidPrefix, status, value, position, is_prefix, None if index < 0 else index)


def is_prefix(str text):
    cdef Bits bits
    cdef Py_ssize_t position
    return take_prefix(text, False, &bits, &position) == OK


cdef bint is_masking(object host_bits) except -1:
    if host_bits == "reject":
        return False
    if host_bits == "mask":
        return True
    raise ValueError(f"host_bits is 'reject' or 'mask', not {host_bits!r}")


# -- Entries ------------------------------------------------------------------

cdef object checked_label(object label, str where=""):
    if label is None:
        return None
    if not PyUnicode_Check(label):
        raise TypeError(f"{where}a label is text or None, not {type(label).__name__}")
    return base_text(label)


cpdef int check_is_list(object entries, str noun="entries") except -1:
    """Refuse one text, network or mapping where a list is meant; to walk over its items is never meant."""
    if type(entries) is not list and type(entries) is not tuple and is_single(entries):
        raise TypeError(f"a list of {noun} was expected, not one {type(entries).__name__}")
    return 0


def take_apart(entry, /, str where=""):
    """Split an entry in any accepted form into what names its prefix, its label and its condition.

    Each part is read once, and text is taken by its base class, so what is
    judged here is what everyone sees afterwards.  `where` begins the message
    of a TypeError.
    """
    condition = None
    if PyUnicode_Check(entry) or PyBytes_Check(entry):
        return shown(entry), None, None
    if type(entry) is Entry:
        return (<Entry>entry).prefix, (<Entry>entry).label, (<Entry>entry).condition
    if type(entry) is tuple:
        if len(entry) != 2:
            raise TypeError(f"{where}an entry as a tuple is (prefix, label), not {len(entry)} items")
        prefix, label = entry
    elif isinstance(entry, Mapping):
        fields = fields_of(entry)
        if not fields.keys() <= ENTRY_FIELDS or "prefix" not in fields:
            raise TypeError(f"{where}an entry as a mapping has the key 'prefix' and perhaps 'label' or a condition, "
                            f"not {quote_all(fields)}")
        prefix, label = fields["prefix"], fields.get("label")
        condition = condition_of(fields)
    else:
        return entry, None, None
    if PyUnicode_Check(prefix) or PyBytes_Check(prefix):
        prefix = shown(prefix)
    return prefix, checked_label(label, where), condition


cdef str quote_all(object values):
    return ", ".join(map(quote, values)) or "nothing"


@cython.final
@cython.freelist(16)
cdef class Prefix:
    """Prefix(prefix, /)\n--\n\nHold a prefix: a family, a first address and a length.  Immutable and hashable.

    Args:
        prefix: what `parse_prefix` takes.
    Raises:
        InvalidPrefix, TypeError: as `parse_prefix`.
    Threads: safe, never changes.
    Source: RFC 4632 section 3.1, RFC 5952 for the text.

    Prefixes sort by family, first address and length, so that each stands
    before all that it covers.

    >>> prefix = Prefix("2001:DB8::/32")
    >>> str(prefix), prefix.family, prefix.length
    ('2001:db8::/32', 6, 32)
    >>> prefix.covers("2001:db8:1::/48")
    True
    """

    def __cinit__(self, prefix, /):
        if prefix is not BLANK:
            read_prefix(prefix, False, &self.bits)

    @property
    def packed(self):
        """The first address as `bytes`, 4 or 16 long, network order."""
        return pack(&self.bits)

    @property
    def length(self):
        """How many leading bits count: 0 to 32, or 0 to 128."""
        return self.bits.length

    @property
    def family(self):
        """4 or 6."""
        return self.bits.family

    @property
    def is_address(self):
        """Whether the prefix is a single address: a /32, or a /128 of IPv6."""
        return self.bits.length == width(self.bits.family)

    @property
    def address(self):
        """The canonical text of the first address, without the length."""
        cdef char text[LONGEST_ADDRESS]
        return text[:write_address(&self.bits, text)].decode("ascii")

    def covers(self, other, /):
        """Tell whether every address of `other` is one of this prefix.

        Args:
            other: what `parse_prefix` takes; a prefix of the other family is never covered.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.
        Cost: one comparison, after parsing.
        """
        cdef Bits bits
        read_prefix(other, False, &bits)
        return covers(&self.bits, &bits)

    def __str__(self):
        return f"{self.address}/{self.bits.length}"

    def __repr__(self):
        return f"Prefix('{self}')"

    def __hash__(self):
        cdef uint64_t[3] words = [self.bits.upper, self.bits.lower, <uint64_t>self.bits.family << 8 | self.bits.length]
        return <Py_hash_t>siphash(SEED, <const uint8_t *>words, sizeof(words))

    def __richcmp__(self, other, int operation):
        cdef int order
        if type(other) is not Prefix:
            return NotImplemented
        order = compare_bits(&self.bits, &(<Prefix>other).bits)
        if operation == Py_EQ:
            return order == 0
        if operation == Py_NE:
            return order != 0
        if operation == Py_LT:
            return order < 0
        if operation == Py_LE:
            return order <= 0
        return order > 0 if operation == Py_GT else order >= 0

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler, /):
        """Let a pydantic field be a prefix: given and written as text."""
        return prefix_schema(cls, parse_prefix)

    def __reduce__(self):
        return Prefix, (str(self),)


cdef object BLANK = object()    # asks Prefix() and Entry() for a body to fill in; nobody outside has it


cdef Prefix new_prefix(const Bits *bits):
    cdef Prefix prefix = Prefix(BLANK)
    prefix.bits = bits[0]
    return prefix


@cython.final
@cython.freelist(16)
cdef class Entry:
    """Entry(prefix, label=None, condition=None)\n--\n\nHold one entry of a list: a prefix, and what is said of it.

    Immutable and hashable.

    Args:
        prefix: what `parse_prefix` takes.
        label: text or None.
        condition: a `Condition`, or None for an entry that allows, always.  Only an `Engine`
            judges conditions; an `AllowList` refuses entries that have one.
    Raises:
        InvalidPrefix, TypeError: as `parse_prefix`; TypeError for a label or condition of another type.
    Threads: safe, never changes.
    Source: B20; the limits on a label (C18) are a policy's business.

    >>> Entry("198.51.100.0/24", "Office")
    Entry('198.51.100.0/24', 'Office')
    """

    def __cinit__(self, prefix, label=None, condition=None):
        if prefix is BLANK:
            return
        if condition is not None and type(condition) is not Condition:
            raise TypeError(f"a condition is a Condition or None, not {type(condition).__name__}")
        self.made = prefix if type(prefix) is Prefix else Prefix(prefix)
        self.bits = self.made.bits
        self.label = checked_label(label)
        self.condition = None if condition is None or condition == ALWAYS else condition

    @property
    def prefix(self):
        """The `Prefix`: which addresses."""
        if self.made is None:
            self.made = new_prefix(&self.bits)
        return self.made

    def __str__(self):
        return str(self.prefix)

    def __repr__(self):
        if self.condition is not None:
            return f"Entry('{self.prefix}', {label_shown(self.label)}, {self.condition!r})"
        return f"Entry('{self.prefix}')" if self.label is None else f"Entry('{self.prefix}', {label_shown(self.label)})"

    def __hash__(self):
        return hash((self.prefix, self.label, self.condition))

    def __eq__(self, other):
        if type(other) is not Entry:
            return NotImplemented
        return (
            compare_bits(&self.bits, &(<Entry>other).bits) == 0
            and self.label == (<Entry>other).label
            and self.condition == (<Entry>other).condition
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler, /):
        """Let a pydantic field be an entry: a text or a mapping, and written as such."""
        return entry_schema(cls, parse_entry)

    def __reduce__(self):
        return Entry, (self.prefix, self.label, self.condition)


cdef str label_shown(object label):
    return "None" if label is None else brief(label)


cdef Entry new_entry(const Bits *bits, object label):
    """One that always allows; the label was checked when it was read."""
    cdef Entry entry = Entry(BLANK)
    entry.bits = bits[0]
    entry.label = label
    return entry


# -- Arrays of prefixes and of ranges -----------------------------------------

cdef enum:
    FEW = 64                # so few are sorted by insertion
    DIGIT_BITS = 10         # four digits are a narrow prefix; 4,096 counters lie in L1
    DIGITS = 4


cdef class PrefixArray:
    """A growing array of prefixes; what sorts, merges and freezes works on it.

    Most lists are IPv4, so such a prefix is one word, and sorting sorts words:

        narrow   [ 203.0.113.0 | 24 ]       32 bits and 6
        wide     [ upper | lower | length ]
    """

    def __cinit__(self):
        self.narrow = NULL
        self.wide = NULL

    def __dealloc__(self):
        PyMem_RawFree(self.narrow)
        PyMem_RawFree(self.wide)

    cdef int resize_narrow(self, Py_ssize_t room) except -1:
        """Give room for so many in all, or raise MemoryError and change nothing."""
        self.narrow = <uint64_t *>resized(self.narrow, room, sizeof(uint64_t))
        self.narrow_room = room
        return 0

    cdef int resize_wide(self, Py_ssize_t room) except -1:
        self.wide = <Wide *>resized(self.wide, room, sizeof(Wide))
        self.wide_room = room
        return 0

    cdef int push(self, const Bits *bits) except -1:
        if bits.family == 4:
            if self.narrow_size == self.narrow_room:
                self.resize_narrow(max(8, self.narrow_room * 2))
            self.narrow[self.narrow_size] = narrow_of(bits)
            self.narrow_size += 1
            return 0
        if self.wide_size == self.wide_room:
            self.resize_wide(max(8, self.wide_room * 2))
        self.wide[self.wide_size].upper = bits.upper
        self.wide[self.wide_size].lower = bits.lower
        self.wide[self.wide_size].length = bits.length
        self.wide_size += 1
        return 0

    cdef bint add_common(self, object text) except -1:
        """Add a prefix in a common text, or tell that it is none."""
        cdef Text found
        cdef Bits bits
        if not (find_text(text, &found) and parse_common_prefix(&found, &bits)):
            return False
        self.push(&bits)
        return True

    cdef object add_entry(self, object entry, Py_ssize_t index, str noun, Bits *bits):
        """Add the prefix of an entry in any form, or raise; give its label.  The noun names the list that is made."""
        prefix, label, condition = take_apart(entry, f"entry {index}: ")
        if condition is not None:
            raise ValueError(f"entry {index}: only an Engine judges conditions, "
                             f"{noun} would let a denied or expired entry pass")
        read_prefix(prefix, False, bits, index)
        self.push(bits)
        return label

    cdef int add_lines(self, const uint8_t[::1] lines) except -1:
        """Add a prefix a line; an empty line says nothing."""
        cdef Py_ssize_t begin = 0, size = lines.shape[0], number = 0
        cdef const uint8_t *end
        cdef Text line
        cdef Bits bits
        while begin < size:
            line.start = &lines[begin]
            end = <const uint8_t *>memchr(line.start, c'\n', <size_t>(size - begin))
            line.length = size - begin if end is NULL else end - line.start
            if line.length > 0:
                # The first lines have no room before them: they take the careful way.
                if begin < ROOM_BEFORE or not parse_common_prefix(&line, &bits):
                    read_prefix(line.start[:line.length].decode("latin-1"), False, &bits, number)
                self.push(&bits)
            begin += line.length + 1
            number += 1
        return 0

    cdef int sort(self) except -1:
        """Sort into canonical order and drop repetitions."""
        cdef void *spare
        if not is_sorted_narrow(self.narrow, self.narrow_size):
            spare = resized(NULL, self.narrow_size, sizeof(uint64_t))
            with nogil:
                sort_narrow(self.narrow, self.narrow_size, <uint64_t *>spare)
            PyMem_RawFree(spare)
        if not is_sorted_wide(self.wide, self.wide_size):
            spare = resized(NULL, self.wide_size, sizeof(Wide))
            with nogil:
                sort_wide(self.wide, self.wide_size, <Wide *>spare)
            PyMem_RawFree(spare)
        self.narrow_size = drop_repeated_narrow(self.narrow, self.narrow_size)
        self.wide_size = drop_repeated_wide(self.wide, self.wide_size)
        # The room behind them is not needed any more.
        if 0 < self.narrow_size < self.narrow_room:
            self.resize_narrow(self.narrow_size)
        if 0 < self.wide_size < self.wide_room:
            self.resize_wide(self.wide_size)
        return 0


cdef void *resized(void *memory, Py_ssize_t count, size_t size) except NULL:
    """Give `count` items of room, what is there kept; on failure `memory` is as it was."""
    # A table names entries by int32_t; so many of our items never overflow a size on 64 bits, and 32 bits are checked.
    if <size_t>count > INT32_MAX or <size_t>count > SIZE_MAX // size:
        raise MemoryError("a list has at most 2**31 - 1 entries")
    memory = PyMem_RawRealloc(memory, <size_t>count * size)
    if memory is NULL:
        raise MemoryError()
    return memory


# hot: begin
cdef bint is_sorted_narrow(const uint64_t *keys, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(1, size):
        if keys[i - 1] > keys[i]:
            return False
    return True


cdef void sort_narrow(uint64_t *keys, Py_ssize_t size, uint64_t *spare) noexcept nogil:
    """Sort by counting digits, the last digit first: four passes, whatever the order was.

    A comparison sort asks twenty times where a million prefixes belong, and
    guesses wrong ten times.
    """
    cdef uint32_t[DIGITS][1 << DIGIT_BITS] counts
    cdef Py_ssize_t i, k
    cdef int digit, shift
    cdef uint32_t at, count
    if size <= FEW:
        insert_narrow(keys, size)
        return
    # 1. how often does each digit have each value?
    memset(counts, 0, sizeof(counts))
    for i in range(size):
        for digit in range(DIGITS):
            counts[digit][keys[i] >> (DIGIT_BITS * digit) & ((1 << DIGIT_BITS) - 1)] += 1
    # 2. so each value begins behind the smaller ones; four passes end in the array where they began
    for digit in range(DIGITS):
        at = 0
        for k in range(1 << DIGIT_BITS):
            count = counts[digit][k]
            counts[digit][k] = at
            at += count
        shift = DIGIT_BITS * digit
        for i in range(size):
            k = keys[i] >> shift & ((1 << DIGIT_BITS) - 1)
            spare[counts[digit][k]] = keys[i]
            counts[digit][k] += 1
        keys, spare = spare, keys


cdef void insert_narrow(uint64_t *keys, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef uint64_t key
    for i in range(1, size):
        key = keys[i]
        k = i
        while k > 0 and keys[k - 1] > key:
            keys[k] = keys[k - 1]
            k -= 1
        keys[k] = key


cdef Py_ssize_t drop_repeated_narrow(uint64_t *keys, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i, kept = 0
    for i in range(size):
        if kept == 0 or keys[kept - 1] != keys[i]:
            keys[kept] = keys[i]
            kept += 1
    return kept


cdef int compare_wide(const void *first, const void *second) noexcept nogil:
    """Canonical order, as in `compare_keys`."""
    cdef const Wide *a = <const Wide *>first
    cdef const Wide *b = <const Wide *>second
    if a.upper != b.upper:
        return -1 if a.upper < b.upper else 1
    if a.lower != b.lower:
        return -1 if a.lower < b.lower else 1
    return <int>a.length - <int>b.length


cdef bint is_sorted_wide(const Wide *keys, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(1, size):
        if compare_wide(&keys[i - 1], &keys[i]) > 0:
            return False
    return True


cdef void sort_wide(Wide *keys, Py_ssize_t size, Wide *spare) noexcept nogil:
    """Sort by the digits of the upper words, then compare where these are equal: mostly, few are."""
    cdef size_t[256] counts
    cdef Wide *home = keys
    cdef Py_ssize_t i, begin
    cdef size_t at, count
    cdef uint64_t differing = 0
    cdef int shift, k
    if size <= FEW:
        qsort(keys, <size_t>size, sizeof(Wide), compare_wide)
        return
    # 1. digits of a byte; those that all have in common are left out
    for i in range(1, size):
        differing |= keys[i].upper ^ keys[0].upper
    for shift in range(0, 64, 8):
        if differing >> shift & 0xFF == 0:
            continue
        memset(counts, 0, sizeof(counts))
        for i in range(size):
            counts[keys[i].upper >> shift & 0xFF] += 1
        at = 0
        for k in range(256):
            count = counts[k]
            counts[k] = at
            at += count
        for i in range(size):
            k = keys[i].upper >> shift & 0xFF
            spare[counts[k]] = keys[i]
            counts[k] += 1
        keys, spare = spare, keys
    if keys != home:
        memcpy(home, keys, <size_t>size * sizeof(Wide))
    # 2. runs of equal upper words
    begin = 0
    for i in range(1, size + 1):
        if i == size or home[i].upper != home[begin].upper:
            if i - begin > 1:
                qsort(home + begin, <size_t>(i - begin), sizeof(Wide), compare_wide)
            begin = i


cdef Py_ssize_t drop_repeated_wide(Wide *keys, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i, kept = 0
    for i in range(size):
        if kept == 0 or compare_wide(&keys[kept - 1], &keys[i]) != 0:
            keys[kept] = keys[i]
            kept += 1
    return kept
# hot: end


cdef class RangeArray:
    """Disjoint ranges in order, no two adjacent: the addresses that a list means."""

    def __cinit__(self):
        self.ranges = NULL

    def __dealloc__(self):
        PyMem_RawFree(self.ranges)

    cdef inline int add(self, const Bits *bits) except -1:
        """Add a prefix that begins no earlier than the last range."""
        cdef Range added = range_of(bits)
        cdef Range *last = &self.ranges[self.size - 1] if self.size > 0 else NULL
        if last is not NULL and touches(last, &added):
            if is_before(last.last_upper, last.last_lower, added.last_upper, added.last_lower):
                last.last_upper = added.last_upper
                last.last_lower = added.last_lower
            return 0
        if self.size == self.room:
            self.ranges = <Range *>resized(self.ranges, max(8, self.room * 2), sizeof(Range))
            self.room = max(8, self.room * 2)
        self.ranges[self.size] = added
        self.size += 1
        return 0


cdef bint touches(const Range *a, const Range *b) noexcept nogil:
    """Does `b`, which starts no earlier than `a`, overlap `a` or follow it without a gap?"""
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
    for i in range(array.narrow_size):
        widen(array.narrow[i], &bits)
        merged.add(&bits)
    for i in range(array.wide_size):
        unpack_wide(&array.wide[i], &bits)
        merged.add(&bits)
    return merged


cdef int split(const Range *whole, list prefixes) except -1:
    """Append the fewest prefixes that fill the range, from left to right; what is ::ffff:0:0/96 is left out.

        .1        .4                .8        .11
        |---------|-----------------|---------|      192.0.2.1 to 192.0.2.11
        /32  /31       /30             /30           each as broad as its start and the end allow
    """
    cdef Range left = whole[0]
    cdef Range block
    cdef Bits bits
    while True:
        bits = broadest_at_start(&left)
        # No client has a mapped address, it is IPv4.  As text such a rest would even mean IPv4 addresses (C16).
        if not is_mapped(&bits):
            prefixes.append(new_prefix(&bits))
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


# -- The public functions -----------------------------------------------------

def parse_prefix(prefix, /, *, host_bits="reject"):
    """Turn text, an address or a network into a `Prefix`.

    An address is the prefix of full length.  A mapped prefix of length 96 or
    more becomes the IPv4 prefix it stands for.

    Args:
        prefix: text such as "203.0.113.0/24" or "2001:db8::1"; `bytes` of length 4 or 16
            (one address, network order); an `ipaddress` address or network of exactly that
            class; or a `Prefix`.
        host_bits: "reject" refuses set bits behind the length, "mask" clears them.
    Returns:
        `Prefix`.
    Raises:
        InvalidPrefix: the text is no prefix; the error names position, reason and suggestion.
        TypeError: the value is of another type.
        ValueError: `host_bits` is neither word.
    Cost: about 60 ns for IPv4 text, 90 ns for IPv6.
    Threads: safe, keeps no state.
    Source: RFC 4632 section 3.1; C15, C16, B13, B15.

    >>> parse_prefix("203.0.113.7/24", host_bits="mask")
    Prefix('203.0.113.0/24')
    >>> parse_prefix("203.0.113.7/24")
    Traceback (most recent call last):
    cidrmatch.errors.InvalidPrefix: ... host bits are set (at position 11); did you mean 203.0.113.0/24?
    """
    cdef Bits bits
    read_prefix(prefix, is_masking(host_bits), &bits)
    return new_prefix(&bits)


def parse_entry(entry, /, *, host_bits="reject"):
    """Turn any accepted form of an entry into an `Entry`.

    Args:
        entry: what `parse_prefix` takes; an `Entry`; a tuple `(prefix, label)`; or a mapping
            with the key "prefix", perhaps "label", perhaps those of a `Condition` (times as `datetime`
            or ISO 8601 text), and no other.
        host_bits: as for `parse_prefix`.
    Returns:
        `Entry`.
    Raises:
        InvalidPrefix, TypeError, ValueError: as for `parse_prefix`.
    Cost: as `parse_prefix`, and an object more.
    Threads: safe, keeps no state.
    Source: B20.

    >>> parse_entry(("198.51.100.0/24", "Office")).label
    'Office'
    """
    cdef Bits bits
    prefix, label, condition = take_apart(entry)
    read_prefix(prefix, is_masking(host_bits), &bits)
    return Entry(new_prefix(&bits), label, condition)


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


cdef list prefixes_of(RangeArray merged):
    cdef list prefixes = []
    cdef Py_ssize_t i
    for i in range(merged.size):
        split(&merged.ranges[i], prefixes)
    return prefixes


PrefixLike = AddressLike | IPv4Network | IPv6Network | Prefix
EntryLike = PrefixLike | tuple[PrefixLike, str | None] | Mapping[str, object] | Entry
