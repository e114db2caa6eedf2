# cython: language_level=3
"""Items of Arrow arrays, for batches and lists; the essay is in arrow.pyx."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from cidrmatch._core.address cimport OK, ROOM_BEFORE, Bits, Text, fold_mapped, parse_common, parse_unfolded


cdef struct ArrowArray:         # as the C data interface has it
    int64_t length
    int64_t null_count          # -1: nobody counted
    int64_t offset              # items to skip in each buffer
    int64_t n_buffers
    int64_t n_children
    const void **buffers
    ArrowArray **children
    ArrowArray *dictionary
    void (*release)(ArrowArray *array) noexcept
    void *private_data


cdef enum Layout:
    STRINGS32
    STRINGS64
    VIEWS
    PACKED


cdef enum:
    SHORT_VIEW = 12             # the longest text that lies in its view


cdef class Chunk:
    cdef ArrowArray array       # moved here: this object releases it
    cdef Layout layout
    cdef Py_ssize_t item_size   # bytes of an address, an offset or a view
    cdef uint8_t family         # of packed addresses
    cdef bint is_reversed
    cdef bint is_binary         # an item of strings or views is no text, but a packed address
    cdef Py_ssize_t before      # how many items the chunks before this one have
    cdef Py_ssize_t count
    cdef Py_ssize_t filled      # how many items stand before the first null
    cdef const uint8_t *items   # addresses, offsets or views; the first item of the array is at the pointer
    cdef const uint8_t *text    # of strings: the buffer of characters; this array uses those from `begin` to `end`
    cdef int64_t begin
    cdef int64_t end
    cdef int64_t data_count     # of views: how many buffers of long texts there are; `data_sizes` has their sizes
    cdef const uint8_t *data_sizes

    cdef int move(self, ArrowArray *lent) except -1
    cdef int read(self, bytes format, Py_ssize_t before) except -1
    cdef int read_strings(self, Py_ssize_t offset_size) except -1
    cdef int read_views(self) except -1
    cdef int refuse(self, Py_ssize_t i) except -1
    cdef bint reads(self, const void *start, Py_ssize_t size) noexcept nogil


cdef struct Item:
    Text text
    bint has_room               # ROOM_BEFORE bytes before the text may be read, too


cdef inline int64_t load_offset(const uint8_t *at, Py_ssize_t size) noexcept nogil:
    """Read an integer of 4 or 8 bytes, which need not be aligned."""
    cdef int32_t narrow
    cdef int64_t wide
    if size == 4:
        memcpy(&narrow, at, 4)
        return narrow
    memcpy(&wide, at, 8)
    return wide


cdef inline bint find_string(Chunk chunk, Py_ssize_t i, Py_ssize_t size, Item *item) noexcept nogil:
    # Each end is read only once and then checked, so another thread cannot change a value that was checked.
    cdef int64_t begin = load_offset(chunk.items + i * size, size)
    cdef int64_t end = load_offset(chunk.items + (i + 1) * size, size)
    if not chunk.begin <= begin <= end <= chunk.end:
        return False
    item.text.start = chunk.text + begin
    item.text.length = <Py_ssize_t>(end - begin)
    item.has_room = begin - chunk.begin >= ROOM_BEFORE
    return True


cdef inline bint find_view(Chunk chunk, Py_ssize_t i, Item *item) noexcept nogil:
    cdef const uint8_t *view = chunk.items + 16 * i
    cdef int64_t length = load_offset(view, 4), number, begin
    item.text.length = <Py_ssize_t>length
    # 1. a short text lies inside the view; the views before it are the room that the parser may read
    if length <= SHORT_VIEW:
        item.text.start = view + 4
        item.has_room = 16 * i + 4 >= ROOM_BEFORE
        return length >= 0
    # 2. a long text lies in a buffer, whose number and offset are in the view
    number = load_offset(view + 8, 4)
    begin = load_offset(view + 12, 4)
    if not 0 <= number < chunk.data_count or chunk.array.buffers[2 + number] is NULL:
        return False
    if begin < 0 or begin + length > load_offset(chunk.data_sizes + 8 * number, 8):
        return False
    item.text.start = <const uint8_t *>chunk.array.buffers[2 + number] + begin
    item.has_room = begin >= ROOM_BEFORE
    return True


cdef inline bint find_item(Chunk chunk, Py_ssize_t i, Item *item) noexcept nogil:
    """Point at text `i`; False if it is not inside its buffer."""
    if chunk.layout == STRINGS32:
        return find_string(chunk, i, 4, item)
    if chunk.layout == STRINGS64:
        return find_string(chunk, i, 8, item)
    return find_view(chunk, i, item)


cdef inline bint parse_item(const Item *item, Bits *bits) noexcept nogil:
    """Parse a text as an address; False if it is none, and then `refuse` raises the reason."""
    cdef Py_ssize_t position
    if item.has_room and parse_common(&item.text, bits):
        return True
    if parse_unfolded(&item.text, bits, &position) != OK:
        return False
    fold_mapped(bits)
    return True


cdef object broken(str what)
cdef bint offers_arrow(object addresses) except -1
cdef list take_chunks(object addresses, bint takes_binary=*)
cdef Py_ssize_t count_items(list chunks) except -1
