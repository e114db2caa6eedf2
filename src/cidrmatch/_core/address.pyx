# cython: language_level=3
"""Addresses: text, packed bytes and `ipaddress` objects in, `Bits` out, and back.

`Bits` hold the bits of an address or a prefix, left-aligned, so that one
piece of code serves both families.  Bit 0 is the first bit on the wire and
the most significant bit of `upper`:

     bit    0              31 32             63 64                      127
            [ upper                           ] [ lower                   ]
    IPv4    [ 203.0.113.5    | 0              ] [ 0                       ]
    IPv6    [ 2001:0db8      | 0000:0000      ] [ 0000:0000:0000:0001     ]

An address is a prefix of full length: 32 bits, or 128.

The parsers are strict (RFC 4291 section 2.2, RFC 6943 section 3.1.1): four
decimal octets without leading zeros, or eight hexadecimal groups with at most
one `::` and perhaps a dotted tail.  They accept exactly the texts that
`inet_pton` accepts.  If they refuse a text, they return a status and the
position where the trouble starts; only `read_address` makes an exception of
these.  They read no byte outside the text, allocate nothing and know nothing of
Python.

The parsers below never see most texts: `parse_common` (text.h) parses common
texts, many characters at a time, and gives up on all others.  So the parsers
below are careful rather than fast.  They also find out what is wrong with a
text.

Cost: about 10 ns for common IPv4 text, 20 ns for common IPv6 text, and several times as much for other texts.
Threads: nothing here keeps state.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.unicode cimport PyUnicode_Check, PyUnicode_FromObject

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ..errors import InvalidAddress
from .foreign import parts_of
from .refusal import refusal, shown, wrong_type

__all__ = ["AddressLike", "format_address", "parse_address"]

cdef extern from "_core/c/bits.h" nogil:
    uint32_t load_network32(const uint8_t *packed)
    uint64_t load_network64(const uint8_t *packed)
    void store_network32(uint8_t *packed, uint32_t word)
    void store_network64(uint8_t *packed, uint64_t word)

cdef extern from *:
    """
    _Static_assert(sizeof(PyASCIIObject) >= ROOM_BEFORE, "the header of a str is shorter than the room before a text");
    """

AddressLike = str | bytes | IPv4Address | IPv6Address

cdef enum:
    NOT_HEX = 16

cdef uint8_t HEX[256]


cdef void fill_hex() noexcept:
    cdef int code
    for code in range(256):
        if c'0' <= code <= c'9':
            HEX[code] = <uint8_t>(code - c'0')
        elif c'a' <= (code | 0x20) <= c'f':
            HEX[code] = <uint8_t>((code | 0x20) - c'a' + 10)
        else:
            HEX[code] = NOT_HEX

fill_hex()

# -- Text to bits -------------------------------------------------------------

# hot: begin
cdef Status parse_ipv4(const uint8_t *text, Py_ssize_t length, uint32_t *value, Py_ssize_t *position) noexcept nogil:
    """Parse four decimal octets that fill the text."""
    cdef Py_ssize_t i = 0, start
    cdef uint32_t result = 0, octet
    cdef int count
    for count in range(4):
        # 1. the dot between two octets
        if count > 0:
            position[0] = i
            if i == length:
                return OCTET_COUNT
            if text[i] != c'.':
                return UNEXPECTED_CHARACTER
            i += 1
        # 2. the octet
        start = i
        octet = 0
        while i < length and c'0' <= text[i] <= c'9':
            octet = octet * 10 + (text[i] - c'0')
            i += 1
            if octet > 255:
                position[0] = start
                return OCTET_TOO_LARGE
        # 3. it has at least one digit, and no leading zero
        position[0] = i
        if i == start:
            return OCTET_COUNT if i == length else UNEXPECTED_CHARACTER
        if text[start] == c'0' and i - start > 1:
            position[0] = start
            return LEADING_ZERO
        result = result << 8 | octet
    if i < length:
        return OCTET_COUNT if text[i] == c'.' else UNEXPECTED_CHARACTER
    value[0] = result
    return OK


cdef Status parse_ipv6(const uint8_t *text, Py_ssize_t length, Bits *bits, Py_ssize_t *position) noexcept nogil:
    """Parse hexadecimal groups that fill the text.  The text has at least one character."""
    cdef uint32_t groups[8]
    cdef Py_ssize_t i = 0, start
    cdef int count = 0      # groups read
    cdef int gap = -1       # groups before the "::", or -1
    cdef uint32_t value
    cdef Status status
    # 1. a colon at the start is half of a "::"
    if text[0] == c':':
        if length < 2 or text[1] != c':':
            position[0] = 0
            return UNEXPECTED_CHARACTER
        gap = 0
        i = 2
    while i < length:
        # 2. one group; a ninth group is refused
        start = i
        value = 0
        while i < length and HEX[text[i]] != NOT_HEX:
            if i - start == 4:
                position[0] = start
                return GROUP_TOO_LONG
            value = value << 4 | HEX[text[i]]
            i += 1
        position[0] = i
        if i == start:
            return ZONE_ID if text[i] == c'%' else UNEXPECTED_CHARACTER
        if count == 8:
            position[0] = start
            return GROUP_COUNT
        # 3. or a dotted IPv4 address in the place of the last two groups
        if i < length and text[i] == c'.':
            if count > 6:
                position[0] = start
                return GROUP_COUNT
            status = parse_ipv4(text + start, length - start, &value, position)
            if status != OK:
                position[0] += start
                return status
            groups[count] = value >> 16
            groups[count + 1] = value & 0xFFFF
            count += 2
            break
        groups[count] = value
        count += 1
        # 4. the colon after the group, and perhaps a second colon
        if i == length:
            break
        if text[i] != c':':
            return ZONE_ID if text[i] == c'%' else UNEXPECTED_CHARACTER
        i += 1
        if i == length:
            return UNEXPECTED_CHARACTER
        if text[i] == c':':
            if gap >= 0:
                return DOUBLE_COMPRESSION
            gap = count
            i += 1
    # 5. a "::" stands for at least one group
    if (count < 8) != (gap >= 0):
        position[0] = length
        return GROUP_COUNT
    join_groups(groups, count, gap, bits)
    return OK


cdef void join_groups(const uint32_t *groups, int count, int gap, Bits *bits) noexcept nogil:
    """Put the groups into place: those before the gap at the left end, those after it at the right end."""
    cdef uint64_t words[2]
    cdef int i, place
    words[0] = words[1] = 0
    for i in range(count):
        place = i if gap < 0 or i < gap else i + 8 - count
        words[place >> 2] |= <uint64_t>groups[i] << (48 - 16 * (place & 3))
    bits.upper = words[0]
    bits.lower = words[1]
    bits.family = 6
    bits.length = 128


cdef bint looks_like_ipv6(const uint8_t *text, Py_ssize_t length) noexcept nogil:
    """Is there a colon before any dot?  In a valid text the first five characters decide this."""
    cdef Py_ssize_t i
    for i in range(length):
        if text[i] == c':':
            return True
        if text[i] == c'.':
            return False
    return False


cdef Status parse_unfolded(const Text *text, Bits *bits, Py_ssize_t *position) noexcept nogil:
    """Parse an address of either family, character by character; a mapped address stays IPv6."""
    cdef uint32_t value
    cdef Status status
    if text.length == 0:
        position[0] = 0
        return EMPTY
    if looks_like_ipv6(text.start, text.length):
        return parse_ipv6(text.start, text.length, bits, position)
    status = parse_ipv4(text.start, text.length, &value, position)
    if status == OK:
        set_ipv4(bits, value)
    return status


cdef void load_packed(const uint8_t *packed, uint8_t family, Bits *bits) noexcept nogil:
    """Read 4 or 16 bytes in network order; a mapped address stays IPv6."""
    if family == 4:
        set_ipv4(bits, load_network32(packed))
        return
    bits.upper = load_network64(packed)
    bits.lower = load_network64(packed + 8)
    bits.family = 6
    bits.length = 128
# hot: end


# -- Python objects to bits ---------------------------------------------------

cdef object base_text(object value):
    """The real characters of a `str` or of a subclass; methods that a subclass overrides are not called."""
    return PyUnicode_FromObject(value)


cdef Py_ssize_t first_not_ascii(str text):
    cdef Py_ssize_t i
    for i in range(len(text)):
        if ord(text[i]) > 127:
            return i
    return 0


cdef int take_address(object value, Bits *bits, Py_ssize_t *position) except -1:
    """Take any accepted object as an address; a refusal is a status.

    Raises only what is no refusal, such as an interruption while Python code of
    `ipaddress` runs.  An interruption must not look like an answer.
    """
    cdef Text text
    if find_text(value, &text) and parse_common(&text, bits):
        return OK
    return take_uncommon(value, bits, position)


cdef int take_uncommon(object value, Bits *bits, Py_ssize_t *position) except -1:
    """As `take_address`, for objects that `parse_common` has already refused, so that it is not called again."""
    cdef Text text
    cdef int status
    if find_text(value, &text):
        status = parse_unfolded(&text, bits, position)
    elif is_network(value):
        return WRONG_TYPE
    else:
        status = take_object(value, bits, position)
    if status == OK:
        fold_mapped(bits)
    return status


cdef bint is_network(object value) noexcept:
    return type(value) is IPv4Network or type(value) is IPv6Network


cdef int take_object(object value, Bits *bits, Py_ssize_t *position) except -1:
    """Take an object that is not plain ASCII text: the slow half of `take_address`; a mapped address stays IPv6."""
    cdef Text text
    position[0] = 0
    if PyUnicode_Check(value):
        plain = base_text(value)
        if find_text(plain, &text):
            return parse_unfolded(&text, bits, position)
        position[0] = first_not_ascii(plain)
        return NOT_ASCII
    if not PyBytes_Check(value):
        parts = parts_of(value)
        if parts is None:
            return WRONG_TYPE
        value, length, has_zone = parts
        if has_zone:
            return ZONE_ID
        load_packed(<const uint8_t *>PyBytes_AS_STRING(value), 4 if PyBytes_GET_SIZE(value) == 4 else 6, bits)
        bits.length = length
        return OK
    if PyBytes_GET_SIZE(value) != 4 and PyBytes_GET_SIZE(value) != 16:
        return PACKED_SIZE
    load_packed(<const uint8_t *>PyBytes_AS_STRING(value), 4 if PyBytes_GET_SIZE(value) == 4 else 6, bits)
    return OK


cdef int read_address(object value, Bits *bits, Py_ssize_t index) except -1:
    """Take an address or raise: InvalidAddress for a bad text, TypeError for another type."""
    cdef Py_ssize_t position = 0
    cdef int status = take_address(value, bits, &position)
    if status == OK:
        return 0
    if status == WRONG_TYPE:
        raise wrong_type("an address", value, None if index == NO_INDEX else index)
    raise refusal(InvalidAddress, status, shown(value), position, is_address, None if index == NO_INDEX else index)


def is_address(str text):
    """Return whether a text is an address, in any form that `parse_address` takes."""
    cdef Bits bits
    cdef Py_ssize_t position
    return take_address(text, &bits, &position) == OK


# -- Bits to text and bytes ---------------------------------------------------

cdef int write_ipv4(uint32_t value, char *out) noexcept nogil:
    cdef int size = 0, shift
    cdef uint32_t octet
    for shift in range(24, -1, -8):
        octet = value >> shift & 0xFF
        if octet >= 100:
            out[size] = <char>(c'0' + octet // 100)
            size += 1
        if octet >= 10:
            out[size] = <char>(c'0' + octet // 10 % 10)
            size += 1
        out[size] = <char>(c'0' + octet % 10)
        out[size + 1] = c'.'
        size += 2
    return size - 1     # without the last dot


cdef int write_group(uint32_t group, char *out) noexcept nogil:
    """Write a group in lower case without leading zeros."""
    cdef const char *digits = b"0123456789abcdef"
    cdef int size = 0, shift
    for shift in range(12, -1, -4):
        if size > 0 or shift == 0 or group >> shift:
            out[size] = digits[group >> shift & 15]
            size += 1
    return size


cdef int write_ipv6(uint64_t upper, uint64_t lower, char *out) noexcept nogil:
    """Write by RFC 5952: the longest run of two or more zero groups, the first of equals, is "::"."""
    cdef uint32_t groups[8]
    cdef int i, size = 0, run = 0, best = 1, gap = -1
    for i in range(8):
        groups[i] = <uint32_t>((upper if i < 4 else lower) >> (48 - 16 * (i & 3)) & 0xFFFF)
        run = 0 if groups[i] else run + 1
        if run > best:
            best = run
            gap = i - run + 1
    i = 0
    while i < 8:
        if i == gap:
            out[size] = out[size + 1] = c':'
            size += 2
            i += best
            continue
        if i > 0 and i != gap + best:
            out[size] = c':'
            size += 1
        size += write_group(groups[i], out + size)
        i += 1
    return size


cdef int write_address(const Bits *bits, char *out) noexcept nogil:
    """Write the canonical text, at most LONGEST_ADDRESS characters, and return how many."""
    if bits.family == 4:
        return write_ipv4(<uint32_t>(bits.upper >> 32), out)
    return write_ipv6(bits.upper, bits.lower, out)


cdef bytes pack(const Bits *bits):
    """Pack into 4 or 16 bytes, network order."""
    cdef bytes packed = PyBytes_FromStringAndSize(NULL, width(bits.family) >> 3)
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(packed)
    if bits.family == 4:
        store_network32(out, <uint32_t>(bits.upper >> 32))
    else:
        store_network64(out, bits.upper)
        store_network64(out + 8, bits.lower)
    return packed


def parse_address(address, /):
    """Turn an address into its packed form.

    An IPv4-mapped IPv6 address comes out as the IPv4 address that it is.

    Args:
        address: text; `bytes` of length 4 or 16, network order; or an `IPv4Address`
            or `IPv6Address` of exactly that class.
    Returns:
        `bytes`, 4 or 16 long, network order.
    Raises:
        InvalidAddress: the text is no address, the bytes have another length, or
            there is a zone id.
        TypeError: the value is of another type (`None`, an integer, a network).
    Cost: about 40 ns for IPv4 text, 60 ns for IPv6.
    Threads: safe, keeps no state.
    Source: RFC 4291 section 2.2, RFC 6943 section 3.1.1; C16.

    >>> parse_address("203.0.113.5")
    b'\\xcb\\x00q\\x05'
    >>> parse_address("::ffff:203.0.113.5") == parse_address("203.0.113.5")
    True
    """
    cdef Bits bits
    read_address(address, &bits, NO_INDEX)
    return pack(&bits)


def format_address(address, /):
    """Write an address in its canonical text.

    Args:
        address: as for `parse_address`.
    Returns:
        `str`: dotted decimal, or the text that RFC 5952 prescribes.
    Raises:
        InvalidAddress, TypeError: as for `parse_address`.
    Cost: about 100 ns.
    Threads: safe, keeps no state.
    Source: RFC 5952 section 4; C16.

    >>> format_address("2001:DB8:0:0:0:0:0:1")
    '2001:db8::1'
    """
    cdef Bits bits
    cdef char text[LONGEST_ADDRESS]
    read_address(address, &bits, NO_INDEX)
    return text[:write_address(&bits, text)].decode("ascii")
