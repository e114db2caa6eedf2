# cython: language_level=3
"""Many addresses in one call: the input of a batch, its output, and the loops.

The input has one of three forms; the output has one:

    a list, or another iterable            each item is read like a single address
    a packed buffer (`Packed`)             4 or 16 bytes an address, or integers of 32 bits; read without the lock
    an Arrow array (`Chunk`, arrow.pyx)    read where it lies, without the lock

    answers (`Answers`)    [ 1 | 0 | 1 ... ]       "is it in?" is a byte an address
                           [ 7 | -1 | 0 ... ]      "which entry?" is 32 bits: its number, -1 where there is none

Answers must not overwrite input that was not read yet. So an output that shares a byte with the input is refused before
anything is written.

Invariants: a buffer is released exactly once, by the object that asked for it.
Cost: for each address only the parse and the search; 1 to 30 ns for a packed address.
Threads: while a buffer is read it cannot be resized; if another thread writes to it, each answer is right for some
state of the buffer.
"""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

from cidrmatch._core.address cimport Bits, overlap, read_address, width
from cidrmatch._core.arrow cimport PACKED, Chunk, Item, count_items, find_item, offers_arrow, parse_item, take_chunks
from cidrmatch._core.frozen cimport NOT_COMMON, Table, ask_common, ask_text, contains, find_entry
from cidrmatch._core.prefix cimport check_is_list

import sys
from array import array

__all__ = []

cdef extern from "_core/c/many.h" nogil:
    void each4(const Table *table, const uint8_t *packed, Py_ssize_t size, bint is_reversed, uint8_t *out)
    void each6(const Table *table, const uint8_t *packed, Py_ssize_t size, uint8_t *out)

cdef tuple OTHER_ORDER = (">", "!") if sys.byteorder == "little" else ("<",)    # of another machine


# -- Where a batch reads, and where it writes -------------------------------------

cdef object many(object addresses):
    """The addresses as a list or tuple, whose length is known."""
    check_is_list(addresses, "addresses")
    return addresses if type(addresses) is list or type(addresses) is tuple else list(addresses)


cdef enum Order:
    UNSTATED
    BIG
    LITTLE


cdef Order order_of(object byteorder) except *:
    if byteorder is None:
        return UNSTATED
    if byteorder == "big":
        return BIG
    if byteorder == "little":
        return LITTLE
    raise ValueError(f"byteorder is 'big' or 'little', not {byteorder!r}")


cdef str format_of(const Py_buffer *view):
    """The type of a buffer's items, in the notation of `struct`."""
    return "B" if view.format is NULL else (<bytes>view.format).decode("ascii", "replace")


@cython.final
cdef class Packed:
    """A buffer of packed addresses; it cannot move or change its size while it is read."""

    def __cinit__(self, object buffer, object family, object byteorder):
        cdef Order order
        if family not in (4, 6):
            raise ValueError(f"family is 4 or 6, not {family!r}")
        order = order_of(byteorder)
        self.family = family
        PyObject_GetBuffer(buffer, &self.view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        self.has_view = True
        item_format = format_of(&self.view)
        # 1. which type and which byte order?
        if self.view.itemsize == 1 or item_format.endswith("s"):
            if order == LITTLE:
                raise ValueError("bytes are addresses in network order, which is big-endian")
        elif self.view.itemsize == 4 and self.family == 4 and item_format.endswith(("i", "I", "l", "L")):
            if order == UNSTATED:
                raise ValueError("32-bit integers need their byteorder stated: 'big' or 'little'")
            if item_format.startswith((">", "!") if order == LITTLE else "<"):
                raise ValueError(f"the buffer says {item_format!r}, which is not {byteorder}-endian")
            self.is_reversed = order == LITTLE
        else:
            raise ValueError(f"packed addresses are bytes in network order or, for IPv4, 32-bit integers, "
                             f"not items of format {item_format!r} and {self.view.itemsize} bytes")
        # 2. how many?
        self.count = self.view.len // (width(self.family) >> 3)
        if self.view.len % (width(self.family) >> 3):
            raise ValueError(f"{self.view.len} bytes are no whole number of addresses "
                             f"of {width(self.family) >> 3} bytes")

    def __dealloc__(self):
        if self.has_view:
            PyBuffer_Release(&self.view)


@cython.final
cdef class Answers:
    """The output of a batch: a new object, or a buffer of the caller, which can neither move nor be resized."""

    def __cinit__(self, object out, Py_ssize_t count, Py_ssize_t item_size):
        self.count = count
        if out is None and item_size == 1:
            # Nobody else has this object yet, so it may be written.
            self.result = PyBytes_FromStringAndSize(NULL, count)
            self.view.buf = PyBytes_AS_STRING(self.result)
            return
        self.result = array("i", bytes(count * item_size)) if out is None else out
        PyObject_GetBuffer(self.result, &self.view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT)
        self.has_view = True
        item_format = format_of(&self.view)
        fits = self.view.itemsize == item_size and self.view.len == count * item_size
        kind = ("b", "B", "c", "?") if item_size == 1 else ("i", "l")
        if not fits or not item_format.endswith(kind) or item_format.startswith(OTHER_ORDER):
            raise ValueError(f"out has {self.view.len} bytes in items of format {item_format!r}, "
                             f"not {count} {'bytes' if item_size == 1 else '32-bit integers'}")

    def __dealloc__(self):
        if self.has_view:
            PyBuffer_Release(&self.view)


cdef int refuse_overlap(str noun) except -1:
    """Refuse an output that overlaps the input: answers would overwrite addresses that are still to be read."""
    raise ValueError(f"out lies in the buffer of the {noun}")


# -- The loops --------------------------------------------------------------------

cdef object answer_many(const Search *search, object addresses, object family, object byteorder, object out):
    """Answer each address; an answer has one byte or 32 bits."""
    cdef Py_ssize_t size = answer_size(search)
    cdef Packed packed
    if family is None:
        if byteorder is not None:
            raise ValueError("byteorder is of a packed buffer: say its family, too")
        if offers_arrow(addresses):
            return answer_chunks(search, take_chunks(addresses), out)
        addresses = many(addresses)
        answers = Answers(out, len(addresses), size)
        if search.entries is NULL:
            contains_each(search.table, addresses, answers)
        else:
            match_each(search, addresses, answers)
    else:
        packed = Packed(addresses, family, byteorder)
        answers = Answers(out, packed.count, size)
        if overlap(packed.view.buf, packed.view.len, answers.view.buf, answers.view.len):
            refuse_overlap("addresses")
        with nogil:
            answer_packed(search, <const uint8_t *>packed.view.buf, packed.count, packed.family, packed.is_reversed,
                          answers.view.buf)
    return answers.result


cdef inline Py_ssize_t answer_size(const Search *search) noexcept nogil:
    return sizeof(uint8_t) if search.entries is NULL else sizeof(int32_t)


# hot: begin
cdef void answer_packed(const Search *search, const uint8_t *start, Py_ssize_t count, uint8_t family,
                        bint is_reversed, void *into) noexcept nogil:
    if search.entries is not NULL:
        match_packed(search, start, count, family, is_reversed, <char *>into)
    elif family == 4:
        each4(search.table, start, count, is_reversed, <uint8_t *>into)
    else:
        each6(search.table, start, count, <uint8_t *>into)
# hot: end


cdef object answer_chunks(const Search *search, list chunks, object out):
    cdef Answers answers = Answers(out, count_items(chunks), answer_size(search))
    cdef char *into = <char *>answers.view.buf
    cdef Chunk chunk
    cdef Py_ssize_t done
    for chunk in chunks:
        if chunk.reads(answers.view.buf, answers.view.len):
            refuse_overlap("addresses")
    for chunk in chunks:
        with nogil:
            done = answer_chunk(search, chunk, into + chunk.before * answer_size(search))
        if done < chunk.count:
            chunk.refuse(done)
    return answers.result


cdef Py_ssize_t answer_chunk(const Search *search, Chunk chunk, void *into) noexcept nogil:
    """Answer up to the first item that is no address; return how many items were answered."""
    if chunk.layout == PACKED:
        answer_packed(search, chunk.items, chunk.filled, chunk.family, chunk.is_reversed, into)
        return chunk.filled
    if search.entries is NULL:
        return contains_chunk(search.table, chunk, <uint8_t *>into)
    return match_chunk(search, chunk, <char *>into)


cdef int contains_each(const Table *table, object addresses, Answers answers) except -1:
    cdef Py_ssize_t i = 0, count = answers.count
    cdef uint8_t *into = <uint8_t *>answers.view.buf
    cdef Bits bits
    cdef int answer
    for address in addresses:
        if i == count:
            raise ValueError("the list of addresses grew while it was read")
        answer = ask_common(table, address)
        if answer == NOT_COMMON:
            read_address(address, &bits, i)
            answer = contains(table, &bits)
        into[i] = <uint8_t>answer
        i += 1
    if i < count:
        raise ValueError("the list of addresses shrank while it was read")
    return 0


cdef Py_ssize_t contains_chunk(const Table *table, Chunk chunk, uint8_t *into) noexcept nogil:
    cdef Py_ssize_t i
    cdef Item item
    cdef Bits bits
    cdef int answer
    # hot: begin
    for i in range(chunk.filled):
        if not find_item(chunk, i, &item):
            return i
        answer = ask_text(table, item.text.start, item.text.length) if item.has_room else NOT_COMMON
        if answer == NOT_COMMON:
            if not parse_item(&item, &bits):
                return i
            answer = contains(table, &bits)
        into[i] = <uint8_t>answer
    # hot: end
    return chunk.filled


cdef inline void write_number(char *into, Py_ssize_t i, int32_t number) noexcept nogil:
    """Write answer `i`; the caller's buffer need not be aligned for 32-bit numbers."""
    memcpy(into + i * <Py_ssize_t>sizeof(int32_t), &number, sizeof(int32_t))


cdef int match_each(const Search *search, object addresses, Answers answers) except -1:
    cdef Py_ssize_t i = 0
    cdef char *into = <char *>answers.view.buf
    cdef Bits bits
    for address in addresses:
        if i == answers.count:
            raise ValueError("the list of addresses grew while it was read")
        read_address(address, &bits, i)
        write_number(into, i, <int32_t>find_entry(search.table, search.entries, &bits))
        i += 1
    if i < answers.count:
        raise ValueError("the list of addresses shrank while it was read")
    return 0


cdef void match_packed(const Search *search, const uint8_t *start, Py_ssize_t count, uint8_t family,
                       bint is_reversed, char *into) noexcept nogil:
    cdef Py_ssize_t i
    cdef Bits bits
    # hot: begin
    for i in range(count):
        read_packed(start, i, family, is_reversed, &bits)
        write_number(into, i, <int32_t>find_entry(search.table, search.entries, &bits))
    # hot: end


cdef Py_ssize_t match_chunk(const Search *search, Chunk chunk, char *into) noexcept nogil:
    cdef Py_ssize_t i
    cdef Item item
    cdef Bits bits
    # hot: begin
    for i in range(chunk.filled):
        if not (find_item(chunk, i, &item) and parse_item(&item, &bits)):
            return i
        write_number(into, i, <int32_t>find_entry(search.table, search.entries, &bits))
    # hot: end
    return chunk.filled
