# cython: language_level=3
"""A prefix and an entry: what a list is made of.

A prefix is an address whose bits after `length` are zero.  Its addresses are a range.  Of two prefixes, one contains
the other or they are disjoint; they never overlap in part:

    10.0.0.0/8    |--------------------------------------------|
    10.1.0.0/16        |-----------|
    10.1.2.0/24            |--|
    10.9.0.0/16                             |-----------|

An entry is what a person writes into a list: a prefix with an optional label
and an optional condition.

Arrays of prefixes are in `prefixes.pyx`.

The hash of a prefix uses a seed of the process.  Lists come from customers.  If
everybody could compute the hash, a customer could choose 20,000 prefixes with
equal hashes.

Cost: parsing a prefix takes about 5 ns more than parsing its address.
Threads: `Prefix` and `Entry` never change once made.
Source: RFC 4632 section 3.1 (CIDR notation), RFC 4291 section 2.3.
"""

cimport cython
from cpython.bytes cimport PyBytes_Check
from cpython.object cimport Py_EQ, Py_GT, Py_LE, Py_LT, Py_NE
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from cidrmatch._core.address cimport (
    HOST_BITS, LONGEST_ADDRESS, OK, WRONG_TYPE, Bits, Status, Text, base_text, find_text, is_mapped, pack,
    parse_unfolded, set_ipv4, take_object, width, write_address,
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

__all__ = ["Entry", "EntryLike", "Prefix", "PrefixLike", "parse_entry", "parse_prefix"]


# The seed of this process.  It is made from the interpreter's hashes of texts, so PYTHONHASHSEED decides it, too.
cdef uint64_t[2] SEED = [<uint64_t>hash("cidrmatch, first word"), <uint64_t>hash("cidrmatch, second word")]
cdef object ALWAYS = Condition()        # this condition changes nothing, so an entry stores None instead
cdef object ENTRY_FIELDS = frozenset(("prefix", "label", *FIELDS))


# -- Text and objects to bits -------------------------------------------------

# hot: begin
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
    if type(value) is Prefix:
        bits[0] = (<Prefix>value).bits
        return OK
    if find_text(value, &text) and parse_common_prefix(&text, bits):
        return OK
    return take_uncommon_prefix(value, mask_host_bits, bits, position)


cdef int take_uncommon_prefix(object value, bint mask_host_bits, Bits *bits, Py_ssize_t *position) except -1:
    """As `take_prefix`, for objects that `parse_common_prefix` has already refused, so that it is not called again."""
    cdef Text text
    cdef int status
    position[0] = 0
    # 1. the bits
    if find_text(value, &text):
        status = parse_prefix_text(text.start, text.length, bits, position)
    elif PyUnicode_Check(value) and find_text(base_text(value), &text):
        return take_prefix(base_text(value), mask_host_bits, bits, position)
    else:
        status = take_object(value, bits, position)
    if status != OK:
        return status
    # 2. a mapped prefix becomes IPv4; after that, host bits are checked
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
    return 0 if status == OK else refuse_prefix(value, status, position, index)


cdef int refuse_prefix(object value, int status, Py_ssize_t position, Py_ssize_t index) except -1:
    """Raise the exception of a status that is not OK."""
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
    """Refuse one text, network or mapping where a list is meant; iterating over its items would be a mistake."""
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


cdef object BLANK = object()    # makes Prefix() and Entry() return an empty object; only this module has it


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
        self.as_object = prefix if type(prefix) is Prefix else Prefix(prefix)
        self.bits = self.as_object.bits
        self.label = checked_label(label)
        self.condition = None if condition is None or condition == ALWAYS else condition

    @property
    def prefix(self):
        """The `Prefix`: which addresses."""
        if self.as_object is None:
            self.as_object = new_prefix(&self.bits)
        return self.as_object

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
    """An entry without a condition; its label was checked when it was read."""
    cdef Entry entry = Entry(BLANK)
    entry.bits = bits[0]
    entry.label = label
    return entry


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


def entries_as_written(tuple facts not None, /):
    """Make the entries of texts that `str` wrote, or give None: then the caller looks closely, and says what is wrong.

    Args:
        facts: for each entry the text of its prefix, its label or None, and its condition.
    Returns:
        `tuple[Entry, ...]`; None if an entry has a condition, or if a text is another than `str` of its entry.
    Cost: about 100 ns an entry.
    """
    cdef Bits bits
    cdef Py_ssize_t position
    cdef list found = []
    for prefix, label, condition in facts:
        if condition is not None or type(prefix) is not str or not (label is None or type(label) is str):
            return None
        if take_prefix(prefix, False, &bits, &position) != OK or not is_as_written(&bits, prefix):
            return None
        found.append(new_entry(&bits, label))
    return tuple(found)


cdef bint is_as_written(const Bits *bits, str parsed):
    """Is the text, from which the bits were parsed, the one that `str` writes?"""
    cdef char[LONGEST_ADDRESS] address
    cdef int length = write_address(bits, address)
    cdef Text text
    # What was parsed has a length without leading zeros, so nothing but the slash is left to ask behind the address.
    return (find_text(parsed, &text) and text.length > length and memcmp(text.start, address, <size_t>length) == 0
            and text.start[length] == c'/')


PrefixLike = AddressLike | IPv4Network | IPv6Network | Prefix
EntryLike = PrefixLike | tuple[PrefixLike, str | None] | Mapping[str, object] | Entry
