# cython: language_level=3
"""Arrow arrays of other libraries, read where they lie.

An object with `__arrow_c_array__` gives access to its memory: a schema has a
short text that tells the type of the items, and an array points at them.  No
module of Arrow is imported; only the structs are used.  An array that comes in
parts has `__arrow_c_stream__`, which gives one schema and then a chunk at a
time.

    format     what an item is                     buffers
    u, U       text, UTF-8                         nulls | offsets, 32 or 64 bits | characters
    vu         text, UTF-8                         nulls | views | long texts ... | their sizes, 64 bits
    I          IPv4, 10.0.0.1 is 0x0a000001        nulls | numbers in this machine's order
    w:4, w:16  IPv4 or IPv6 in network order       nulls | addresses, one after the other
    z, Z, vz   either, 4 or 16 bytes an item       as u, U and vu; only columns take it (column.pyx)

    "u"  offsets     [ 0 | 9 | 18 | 29 ]           text i is characters[offsets[i] : offsets[i + 1]]
         characters  [ 192.0.2.1192.0.2.72001:db8::1f ]

    "vu" view        [ 9 | 192.0.2.1...            ]    up to 12 characters: here
                     [ 13 | 2001 | number | offset ]    more: in the buffer of this number

A null is no address, so it is refused like a bad text, with its index.

Who releases what.  A struct in a capsule is moved out: it is copied, and its
`release` is set to NULL, so the capsule's own destructor does not release it.
From then on this room owns the copy, and releases it exactly once, also after
an error.  A `Chunk` releases its array; a schema is released as soon as it was
read.

What is checked.  The interface does not tell the size of a buffer, so it cannot
be checked.  An array whose last offset is too large is as dangerous as any
broken C extension.  Everything else is checked: counts, decreasing offsets,
missing buffers, and views that point outside their buffer.  The fast parsers
read up to ROOM_BEFORE bytes before a text.  These bytes must belong to the
array, too, so the first texts of a buffer are parsed by the careful parser.

Cost: some hundred ns for a chunk; then only the parse and the search of each item.
Threads: a chunk is read without the interpreter lock.  Its producer promises
that nobody writes to it.  If somebody does, answers are wrong, but no byte is
read outside of what was checked.
Source: https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface, PyCapsuleInterface.
"""

cimport cython
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memset

from cidrmatch._core.address cimport overlap, read_address

from sys import byteorder

from ..errors import InvalidAddress, quote

__all__ = []

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef struct ArrowSchema:        # as the C data interface has it
    const char *format
    const char *name
    const char *metadata
    int64_t flags
    int64_t n_children
    ArrowSchema **children
    ArrowSchema *dictionary
    void (*release)(ArrowSchema *schema) noexcept
    void *private_data

cdef struct ArrowArrayStream:   # as the C stream interface has it
    int (*get_schema)(ArrowArrayStream *stream, ArrowSchema *out) noexcept nogil
    int (*get_next)(ArrowArrayStream *stream, ArrowArray *out) noexcept nogil
    const char *(*get_last_error)(ArrowArrayStream *stream) noexcept
    void (*release)(ArrowArrayStream *stream) noexcept
    void *private_data

cdef Py_ssize_t MOST_ITEMS = PY_SSIZE_T_MAX // 16       # items have at most 16 bytes, so a size never overflows
cdef dict LAYOUTS = {           # layout, bytes of an item, family
    b"u": (STRINGS32, 4, 0),
    b"U": (STRINGS64, 8, 0),
    b"vu": (VIEWS, 16, 0),
    b"I": (PACKED, 4, 4),
    b"w:4": (PACKED, 4, 4),
    b"w:16": (PACKED, 16, 6),
    b"z": (STRINGS32, 4, 0),
    b"Z": (STRINGS64, 8, 0),
    b"vz": (VIEWS, 16, 0),
}
cdef tuple BINARY = (b"z", b"Z", b"vz")                 # an item is a packed address, or of a wrong size


# -- What an object offers -----------------------------------------------------

cdef bint offers_arrow(object addresses) except -1:
    """Is this an Arrow array?  The special methods are looked up on the type, as Python does."""
    cdef object kind = type(addresses)
    if kind is list or kind is tuple:
        return False
    return (
        hasattr(kind, "__arrow_c_array__") or hasattr(kind, "__arrow_c_stream__")
        or hasattr(kind, "__arrow_c_device_array__") or hasattr(kind, "__arrow_c_device_stream__")
    )


cdef list take_chunks(object addresses, bint takes_binary=False):
    """Take over the chunks of an Arrow array; they are released when the list is destroyed."""
    if hasattr(type(addresses), "__arrow_c_array__"):
        schema, array = addresses.__arrow_c_array__()
        return [take_array(schema, array, takes_binary)]
    if hasattr(type(addresses), "__arrow_c_stream__"):
        return take_stream(addresses.__arrow_c_stream__(), takes_binary)
    raise TypeError("an Arrow array that lies on a device is not read: copy it to the CPU first")


cdef Py_ssize_t count_items(list chunks) except -1:
    cdef Chunk last
    if not chunks:
        return 0
    last = chunks[len(chunks) - 1]
    return last.before + last.count


cdef Chunk take_array(object schema_capsule, object array_capsule, bint takes_binary):
    cdef ArrowSchema *schema = <ArrowSchema *>PyCapsule_GetPointer(schema_capsule, "arrow_schema")
    cdef Chunk chunk = Chunk.__new__(Chunk)
    # Move the array first, so that it is released even if the schema is refused.
    chunk.move(<ArrowArray *>PyCapsule_GetPointer(array_capsule, "arrow_array"))
    chunk.read(take_format(schema, takes_binary), 0)
    return chunk


cdef list take_stream(object capsule, bint takes_binary):
    cdef Stream stream = Stream.__new__(Stream)
    cdef list chunks = []
    stream.move(<ArrowArrayStream *>PyCapsule_GetPointer(capsule, "arrow_array_stream"))
    format = stream.read_format(takes_binary)
    while True:
        chunk = stream.read_chunk()
        if chunk is None:
            return chunks
        chunk.read(format, count_items(chunks))
        chunks.append(chunk)


# -- Schemas ---------------------------------------------------------------------

cdef bytes take_format(ArrowSchema *lent, bint takes_binary):
    """Read the format of a schema; the schema is moved out and released."""
    cdef ArrowSchema schema = lent[0]
    if schema.release is NULL:
        raise ValueError("the Arrow schema was taken before")
    lent.release = NULL
    try:
        return accepted_format(&schema, takes_binary)
    finally:
        schema.release(&schema)


cdef bytes accepted_format(const ArrowSchema *schema, bint takes_binary):
    if schema.format is NULL:
        raise ValueError("the Arrow schema has no format")
    format = <bytes>schema.format
    shown = quote(format.decode("ascii", "backslashreplace"))
    if schema.dictionary is not NULL:
        raise TypeError(f"a dictionary-encoded Arrow array (indices {shown}) is not read: decode it first, in pyarrow "
                        f"with .dictionary_decode()")
    if format not in LAYOUTS or (format in BINARY and not takes_binary):
        hint = "; pass one column" if format == b"+s" else ""
        raise TypeError(f"an Arrow array of addresses has format 'u', 'U' or 'vu' (text), 'I' (uint32), "
                        f"'w:4' or 'w:16' (packed), not {shown}{hint}")
    return format


# -- Arrays ----------------------------------------------------------------------

cdef Py_ssize_t count_filled(const uint8_t *validity, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """How many items stand before the first null.  Each item has a bit, the lowest bit first; a 0 is a null."""
    cdef Py_ssize_t i = 0, at
    while i < count:
        at = first + i
        if at & 7 == 0 and count - i >= 8 and validity[at >> 3] == 0xFF:
            i += 8
            continue
        if not validity[at >> 3] >> (at & 7) & 1:
            return i
        i += 1
    return count


cdef object broken(str what):
    return ValueError(f"the Arrow array contradicts itself: {what}")


@cython.final
cdef class Chunk:
    """An Arrow array that was moved here, and the places of its items, after all checks that are possible."""

    def __dealloc__(self):
        if self.array.release is not NULL:
            self.array.release(&self.array)

    cdef int move(self, ArrowArray *lent) except -1:
        if lent.release is NULL:
            raise ValueError("the Arrow array was taken before")
        self.array = lent[0]
        lent.release = NULL
        return 0

    cdef int read(self, bytes format, Py_ssize_t before) except -1:
        """Find the items, or raise ValueError."""
        cdef const ArrowArray *array = &self.array
        cdef Py_ssize_t size
        self.layout, self.item_size, self.family = LAYOUTS[format]
        size = self.item_size
        self.is_reversed = format == b"I" and byteorder == "little"
        self.is_binary = format in BINARY
        # 1. the counts
        if array.length < 0 or array.offset < 0 or not -1 <= array.null_count <= array.length:
            raise broken(f"length {array.length}, offset {array.offset}, nulls {array.null_count}")
        if array.length > MOST_ITEMS - max(array.offset, before):
            raise broken(f"{array.length} items after {max(array.offset, before)} do not fit into memory")
        if array.n_children != 0 or array.dictionary is not NULL:
            raise broken(f"format {format.decode()!r} has neither children nor a dictionary")
        if array.n_buffers < 3 if self.layout == VIEWS else array.n_buffers != (2 if self.layout == PACKED else 3):
            raise broken(f"format {format.decode()!r} has not {array.n_buffers} buffers")
        self.before = before
        self.count = <Py_ssize_t>array.length
        if self.count == 0:
            return 0
        # 2. nulls
        if array.buffers is NULL or array.buffers[1] is NULL:
            raise broken("its buffers are missing")
        if array.buffers[0] is not NULL:
            self.filled = count_filled(<const uint8_t *>array.buffers[0], <Py_ssize_t>array.offset, self.count)
        elif array.null_count > 0:
            raise broken("it has nulls, but does not say which")
        else:
            self.filled = self.count
        # 3. items
        self.items = <const uint8_t *>array.buffers[1] + <Py_ssize_t>array.offset * size
        if self.layout == VIEWS:
            self.read_views()
        elif self.layout != PACKED:
            self.read_strings(size)
        return 0

    cdef int read_strings(self, Py_ssize_t offset_size) except -1:
        self.text = <const uint8_t *>self.array.buffers[2]
        self.begin = load_offset(self.items, offset_size)
        self.end = load_offset(self.items + self.count * offset_size, offset_size)
        if not 0 <= self.begin <= self.end:
            raise broken(f"its texts begin at {self.begin} and end at {self.end}")
        if self.text is NULL and self.begin < self.end:
            raise broken("its characters are missing")
        return 0

    cdef int read_views(self) except -1:
        self.data_count = self.array.n_buffers - 3
        self.data_sizes = <const uint8_t *>self.array.buffers[self.array.n_buffers - 1]
        if self.data_sizes is NULL and self.data_count > 0:
            raise broken("the sizes of its buffers are missing")
        return 0

    cdef int refuse(self, Py_ssize_t i) except -1:
        """Raise the error for item `i`."""
        cdef Item item
        cdef Bits bits
        cdef Py_ssize_t index = self.before + i
        if i == self.filled:
            raise InvalidAddress("<null>", 0, "empty", "a null is no address", None, index)
        if not find_item(self, i, &item):
            raise broken(f"text {index} does not lie in its buffer")
        read_address(item.text.start[:item.text.length].decode("utf-8", "replace"), &bits, index)
        raise ValueError(f"text {index} of the Arrow array changed while it was read")

    cdef bint reads(self, const void *start, Py_ssize_t size) noexcept nogil:
        """Does an answer depend on this memory?  Other memory of the producer, such as other items, does not matter."""
        cdef Py_ssize_t item = self.count + (self.layout == STRINGS32 or self.layout == STRINGS64), number
        if self.count == 0:
            return False
        if overlap(start, size, self.array.buffers, <Py_ssize_t>self.array.n_buffers * sizeof(void *)):
            return True
        # 1. the bits of nulls, and the items
        if self.array.buffers[0] is not NULL and overlap(
                start, size, <const uint8_t *>self.array.buffers[0] + (self.array.offset >> 3),
                <Py_ssize_t>((self.array.offset & 7) + self.count + 7) >> 3):
            return True
        if overlap(start, size, self.items, item * self.item_size):
            return True
        # 2. the characters, and the buffers of views
        if self.begin < self.end and overlap(
                start, size, self.text + self.begin, <Py_ssize_t>(self.end - self.begin)):
            return True
        if overlap(start, size, self.data_sizes, <Py_ssize_t>self.data_count * sizeof(int64_t)):
            return True
        for number in range(<Py_ssize_t>self.data_count):
            if self.array.buffers[2 + number] is not NULL and overlap(
                    start, size, self.array.buffers[2 + number],
                    <Py_ssize_t>load_offset(self.data_sizes + 8 * number, 8)):
                return True
        return False


# -- Streams ---------------------------------------------------------------------

@cython.final
cdef class Stream:
    """An Arrow stream that was moved here."""

    cdef ArrowArrayStream stream

    def __dealloc__(self):
        if self.stream.release is not NULL:
            self.stream.release(&self.stream)

    cdef int move(self, ArrowArrayStream *lent) except -1:
        if lent.release is NULL:
            raise ValueError("the Arrow stream was taken before")
        self.stream = lent[0]
        lent.release = NULL
        return 0

    cdef int check(self, int error) except -1:
        cdef const char *said
        if error == 0:
            return 0
        said = self.stream.get_last_error(&self.stream)
        reason = "no reason given" if said is NULL else (<bytes>said).decode("utf-8", "replace")
        raise OSError(error, f"the Arrow stream failed: {reason}")

    cdef bytes read_format(self, bint takes_binary):
        cdef ArrowSchema schema
        cdef int error
        memset(&schema, 0, sizeof(schema))
        with nogil:
            error = self.stream.get_schema(&self.stream, &schema)
        self.check(error)
        return take_format(&schema, takes_binary)

    cdef Chunk read_chunk(self):
        """The next chunk; None behind the last."""
        cdef Chunk chunk = Chunk.__new__(Chunk)
        cdef ArrowArray array
        cdef int error
        memset(&array, 0, sizeof(array))
        # Without the interpreter lock: the producer may wait for a thread of its own that needs this lock.
        with nogil:
            error = self.stream.get_next(&self.stream, &array)
        self.check(error)
        if array.release is NULL:
            return None
        chunk.move(&array)
        return chunk
