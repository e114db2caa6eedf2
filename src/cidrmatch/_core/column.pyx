# cython: language_level=3
"""A column of addresses: each row has an answer, and a row that holds no address has the reason in its place.

`contains_many` raises at the first bad address.  Among a billion rows of a log there always is one, so a column says in
each row what was wrong with it:

    address            answer       entry
    203.0.113.7        0            2         the entry of this number matches
    198.51.100.7       1            5         no entry matches: the number behind the last entry of 5
    203.0.113.07       1 + status   5         no address: LEADING_ZERO
    null               1 + NOT_GIVEN    5

`PROBLEMS` names the statuses.  An answer is a byte and an entry's number 32 bits, each in one buffer for all rows, so
whoever asked turns them into words and prefixes without touching a row.

Besides the forms that a batch takes (arrow.pyx), a column has packed addresses as items of 4 or 16 bytes: databases and
Spark have no other binary type.

Cost: the parse and the search alone, as `match_many`; a refused text is read twice.
Threads: as arrow.pyx; the whole column is read without the interpreter lock.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

from cidrmatch._core.address cimport OK, Bits
from cidrmatch._core.allow_list cimport AllowList
from cidrmatch._core.arrow cimport Chunk, broken, count_items, offers_arrow, take_chunks
from cidrmatch._core.frozen cimport NO_ENTRY, find_entry

from .refusal import CODES

__all__ = ["PROBLEMS", "match_column"]

PROBLEMS = (*CODES, "not_given", "key_not_given")


cdef object broken_item(Chunk chunk, Py_ssize_t i):
    """The error for an item outside of its buffer."""
    return broken(f"text {chunk.before + i} does not lie in its buffer")


def match_column(AllowList allow not None, addresses, /):
    """Tell for each row of an Arrow array which entry of a list matches, or why the row is no address.

    Args:
        allow: the list.
        addresses: an Arrow array, chunked or not, of a form that `contains_many` takes, or of variable-size binary (z,
            Z, vz) with packed addresses; nulls are allowed.
    Returns:
        Two buffers, `bytes` and a `bytearray` of 32-bit numbers of this machine, for n rows: 0 for "matched", 1 for
        "not listed", or 1 plus the index of `PROBLEMS`; and the number of the most specific entry, or `len(allow)`.
    Raises:
        TypeError: this is no Arrow array, or one of another format.
        ValueError: the array contradicts itself.  OSError: an Arrow stream failed.
    Cost: as `match_many`.
    Threads: the column is read without the interpreter lock.
    """
    if not offers_arrow(addresses):
        raise TypeError(f"a column is an Arrow array, not {type(addresses).__name__}")
    cdef list chunks = take_chunks(addresses, True)
    cdef Py_ssize_t count = count_items(chunks), done
    cdef object answers = PyBytes_FromStringAndSize(NULL, count)    # nobody else has it yet, so it may be written
    cdef bytearray numbers = bytearray(count * sizeof(int32_t))
    cdef uint8_t *into = <uint8_t *>PyBytes_AS_STRING(answers)
    cdef char *entries = numbers
    cdef Chunk chunk
    for chunk in chunks:
        with nogil:
            done = match_items(allow, chunk, into + chunk.before,
                               entries + chunk.before * <Py_ssize_t>sizeof(int32_t))
        if done < chunk.count:
            raise broken_item(chunk, done)
    return answers, numbers


cdef Py_ssize_t match_items(AllowList allow, Chunk chunk, uint8_t *answers, char *numbers) noexcept nogil:
    """Answer the items of a chunk; return how many, which are fewer than all if one is broken."""
    cdef int32_t nothing = <int32_t>(allow.entries.entries4.firsts.count + allow.entries.entries6.firsts.count)
    cdef int32_t number
    cdef Py_ssize_t i, found
    cdef Bits bits
    cdef int status
    # hot: begin
    for i in range(chunk.count):
        status = read_item(chunk, i, &bits)
        if status == BROKEN:
            return i
        found = find_entry(&allow.table, &allow.entries, &bits) if status == OK else NO_ENTRY
        number = <int32_t>found if found != NO_ENTRY else nothing
        answers[i] = 0 if found != NO_ENTRY else <uint8_t>(1 + status)
        memcpy(numbers + i * <Py_ssize_t>sizeof(int32_t), &number, sizeof(int32_t))
    # hot: end
    return chunk.count
