# cython: language_level=3
"""Items of a column, for columns of keys and addresses; the essay is in column.pyx."""

from libc.stdint cimport uint8_t

from cidrmatch._core.address cimport (
    NOT_ASCII, OK, PACKED_SIZE, WRONG_TYPE, Bits, Text, fold_mapped, load_packed, parse_common, parse_unfolded,
)
from cidrmatch._core.arrow cimport PACKED, Chunk, Item, find_item
from cidrmatch._core.batch cimport read_packed


cdef enum Outcome:
    # What a status does not tell about an item; these numbers follow the last `Status`.
    NOT_GIVEN = WRONG_TYPE + 1      # a null
    KEY_NOT_GIVEN
    BROKEN = 255                    # the item does not lie in its buffer: the whole column is refused


cdef inline bint is_null(Chunk chunk, Py_ssize_t i) noexcept nogil:
    """Is item `i` a null?  Of the items before `filled`, none is."""
    cdef Py_ssize_t at = <Py_ssize_t>chunk.array.offset + i
    if i < chunk.filled:
        return False
    return not (<const uint8_t *>chunk.array.buffers[0])[at >> 3] >> (at & 7) & 1


cdef inline int refused(const Text *text, int status) noexcept nogil:
    """The status of a refused text: as for a `str`, a character that is not ASCII counts before all other mistakes."""
    cdef Py_ssize_t i
    for i in range(text.length):
        if text.start[i] >= 0x80:
            return NOT_ASCII
    return status


cdef inline int read_item(Chunk chunk, Py_ssize_t i, Bits *bits) noexcept nogil:
    """Read an item as an address: its `Status`, NOT_GIVEN or BROKEN.  Needs: 0 <= i < chunk.count."""
    cdef Item item
    cdef Py_ssize_t position
    cdef int status
    if is_null(chunk, i):
        return NOT_GIVEN
    if chunk.layout == PACKED:
        read_packed(chunk.items, i, chunk.family, chunk.is_reversed, bits)
        return OK
    if not find_item(chunk, i, &item):
        return BROKEN
    if chunk.is_binary:
        if item.text.length != 4 and item.text.length != 16:
            return PACKED_SIZE
        load_packed(item.text.start, 4 if item.text.length == 4 else 6, bits)
    elif item.has_room and parse_common(&item.text, bits):
        return OK
    else:
        status = parse_unfolded(&item.text, bits, &position)
        if status != OK:
            return refused(&item.text, status)
    fold_mapped(bits)
    return OK


cdef object broken_item(Chunk chunk, Py_ssize_t i)
