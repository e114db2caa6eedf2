# cython: language_level=3, nonecheck=True
"""A batch of packed notes, and its rows for a database: bytes in place of objects.

    Noted     [ micros | took | lost | kind | entry | data | start | sizes of 5 texts ]     64 bytes a request
    texts     key_live_1 cb007109 /v1/orders 10.0.0.7 NUL 203.0.113.9 7f...                 one behind the other

What many requests share is a number in the batch: the kind, all words that are neither a client's text nor an entry's;
the entry, an entry's prefix and label with its list's name; and the version of the data.

`parts` numbers the rows, parts them by day, and writes one piece of bytes for each day:

    SQLite        rows of ROW characters, with numbers in decimals; then the texts.  `select_packed` reads this by
                  `substr`: one statement for any number of rows, and no value is bound alone
    PostgreSQL    the binary form of COPY

Cost: `parts` 0.3 microseconds a row, without the interpreter lock.
Threads: one at a time; packing.pyx says who.
Source: B25, B28; C16, C23; https://www.postgresql.org/docs/current/sql-copy.html
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from cidrmatch._core.address cimport Text

cdef extern from "_core/c/bits.h" nogil:
    void store_network32(uint8_t *packed, uint32_t word)
    void store_network64(uint8_t *packed, uint64_t word)

__all__ = ["SELECT_PACKED", "PackedNotes", "select_packed"]

cdef int64_t MOST_MICROS = <int64_t>1 << 53     # JSON keeps numbers up to here
cdef int64_t DAY_MICROS = 86_400_000_000


cdef int64_t micros_of(object seconds) except? -1:
    """Microseconds, at least 0 and at most what JSON keeps; ValueError or OverflowError for what is no number."""
    if seconds is None:
        return -1
    if type(seconds) is float and 0 <= <double>seconds and is_moment(seconds):
        return <int64_t>(<double>seconds * 1e6)
    return max(min(int(seconds * 1e6), MOST_MICROS), 0)


# -- A batch ------------------------------------------------------------------

@cython.final
cdef class PackedNotes:
    """PackedNotes()\n--\n\nHold some notes, packed, in the order in which they came.

    Attributes:
        count: how many notes.
        settled: how many notes they settle; a note of a loss settles as many as were lost.
        moments: those of the first and the last one, in seconds since 1970.
        kinds: the words of each kind: method, status, allowed, reason, problem, policy, step, and what a trial said.
        requests: how many of the notes are requests; the others tell of losses.
        entries: the words of each entry that decided: prefix, label, name of its list; the last two may be None.
        versions: the versions of the engine's data.
        denials: the moment, the address and the reason of each denial.
    """

    def __cinit__(self):
        self.kind_numbers, self.entry_numbers, self.version_numbers = {}, {}, {}
        self.entries, self.denials = [], []

    def __dealloc__(self):
        free(self.notes)
        free(self.texts)

    @property
    def kinds(self):
        return list(self.kind_numbers)

    @property
    def versions(self):
        return list(self.version_numbers)

    @property
    def moments(self):
        return tuple([self.notes[i].micros / 1e6 for i in (0, self.count - 1)]) if self.count > 0 else (0.0, 0.0)

    cdef int append(self, Noted *note, const Text *texts) except -1:
        """Append a note and its texts, or change nothing."""
        cdef Py_ssize_t i, size = 0
        for i in range(TEXTS):
            size += max(texts[i].length, 0)
        self.reserve(1, size)
        note.start = <uint32_t>self.text_size
        for i in range(TEXTS):
            note.sizes[i] = <int32_t>texts[i].length
            if texts[i].length > 0:
                memcpy(self.texts + self.text_size, texts[i].start, <size_t>texts[i].length)
                self.text_size += texts[i].length
        self.notes[self.count] = note[0]
        self.count += 1
        return 0

    cdef int reserve(self, Py_ssize_t notes, Py_ssize_t size) except -1:
        """Make room for more notes and for their texts."""
        cdef Py_ssize_t room = max(self.count + notes, 2 * self.room, 64)
        cdef Py_ssize_t text_room = max(self.text_size + size, 2 * self.text_room, 4_096)
        cdef void *grown
        if self.count + notes > self.room:
            grown = realloc(self.notes, <size_t>room * sizeof(Noted))
            if grown is NULL:
                raise MemoryError
            self.notes = <Noted *>grown
            self.room = room
        if self.text_size + size > self.text_room:
            grown = realloc(self.texts, <size_t>text_room)
            if grown is NULL:
                raise MemoryError
            self.texts = <uint8_t *>grown
            self.text_room = text_room
        return 0

    cdef int take_room(self, PackedNotes other) except -1:
        """Take over the memory of a batch that nobody needs any more.  Needs: this one has none yet."""
        self.notes, self.room, other.notes = other.notes, other.room, NULL
        self.texts, self.text_room, other.texts = other.texts, other.text_room, NULL
        other.count = other.room = other.text_room = other.text_size = 0
        return 0

    def add_loss(self, tuple words not None, double last, double seconds, int64_t lost, /):
        """Append a note that says that others are lost.

        Args:
            words: those of its kind.
            last: the moment of the last loss.
            seconds: from the first loss to the last one.
            lost: how many notes.
        """
        cdef Text[TEXTS] texts
        cdef Noted note
        cdef Py_ssize_t i
        for i in range(TEXTS):
            texts[i] = Text(NULL, -1)
        note.micros = <int64_t>(last * 1e6)
        note.took = micros_of(seconds)
        note.lost = lost
        note.entry = note.data = 0
        note.kind = number_of(self.kind_numbers, words)
        self.append(&note, texts)
        self.settled += lost

    def halves(self):
        """Give two batches with the first and the second half of the notes, without denials."""
        return self.part(0, self.count // 2), self.part(self.count // 2, self.count)

    cdef PackedNotes part(self, Py_ssize_t first, Py_ssize_t last):
        cdef PackedNotes part = PackedNotes()
        cdef Py_ssize_t i, at, end
        cdef Noted *note
        if first == last:
            return part
        at, end = self.notes[first].start, self.end_of(last - 1)
        part.reserve(last - first, end - at)
        part.count, part.text_size = last - first, end - at
        memcpy(part.notes, self.notes + first, <size_t>part.count * sizeof(Noted))
        memcpy(part.texts, self.texts + at, <size_t>part.text_size)
        for i in range(part.count):
            note = &part.notes[i]
            note.start -= <uint32_t>at
            part.settled += note.lost if note.lost > 0 else 1
            part.requests += note.lost == 0
        part.kind_numbers, part.version_numbers = self.kind_numbers, self.version_numbers
        part.entry_numbers, part.entries = self.entry_numbers, self.entries
        return part

    # -- Rows -----------------------------------------------------------------

    def parts(self, int64_t last, list kinds not None, list entries not None, list data not None, /, *, bint as_copy):
        """Make the rows of all notes, in pieces, one for each day.

        Args:
            last: the greatest number of the log.
            kinds, entries, data: for each number of this batch, the id in the database.
            as_copy: for COPY of PostgreSQL; else for `SELECT_PACKED` of SQLite.
        Returns:
            (day, rows, number of the last row, greatest lag, bytes) for each day.  A number is the moment in
            microseconds, or one more than the number before.
        """
        cdef Ids ids = Ids.__new__(Ids)
        cdef Py_ssize_t first = 0, end
        cdef int64_t number, lag, day
        cdef list made = []
        ids.take(kinds, entries, data)
        if (len(kinds) < len(self.kind_numbers) or len(entries) < len(self.entry_numbers)
                or len(data) < len(self.version_numbers)):
            raise ValueError("a number of this batch has no id")
        while first < self.count:
            # 1. the rows of one day
            number, lag, end = last, 0, first
            day = max(last + 1, self.notes[first].micros) // DAY_MICROS
            while end < self.count and max(number + 1, self.notes[end].micros) // DAY_MICROS == day:
                number = max(number + 1, self.notes[end].micros)
                lag = max(lag, number - self.notes[end].micros)
                end += 1
            # 2. their bytes
            piece = self.write_copy(first, end, last, ids) if as_copy else self.write_rows(first, end, last, ids)
            made.append((day, end - first, number, lag, piece))
            first, last = end, number
        return made

    cdef bytes write_rows(self, Py_ssize_t first, Py_ssize_t end, int64_t last, Ids ids):
        """Write some rows as `SELECT_PACKED` reads them."""
        cdef Py_ssize_t i, text, size = ROW * (end - first)
        cdef Py_ssize_t texts_start = self.notes[first].start, texts_end = self.end_of(end - 1)
        cdef bytes made = PyBytes_FromStringAndSize(NULL, size + texts_end - texts_start)
        cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(made)
        cdef int64_t number = last, at
        cdef Noted *note
        with nogil:
            memcpy(out + size, self.texts + texts_start, <size_t>(texts_end - texts_start))
            for i in range(first, end):
                note = &self.notes[i]
                number = max(number + 1, note.micros)
                out = put_digits(out, LONG_DIGITS, number)
                out = put_digits(out, LONG_DIGITS, number - note.micros)
                out = put_digits(out, LONG_DIGITS, note.took + 1)
                out = put_digits(out, LONG_DIGITS, note.lost)
                out = put_digits(out, DIGITS, ids.kinds[note.kind])
                out = put_digits(out, DIGITS, ids.entries[note.entry])
                out = put_digits(out, DIGITS, ids.data[note.data])
                at = size + note.start - texts_start + 1        # `substr` counts from 1
                for text in range(TEXTS):
                    out = put_digits(out, DIGITS, at)
                    out = put_digits(out, SIZE_DIGITS, note.sizes[text] + 1)
                    at += max(note.sizes[text], 0)
        return made

    cdef bytes write_copy(self, Py_ssize_t first, Py_ssize_t end, int64_t last, Ids ids):
        """Write some rows as COPY reads them."""
        cdef Py_ssize_t i, size = COPY_HEADER + 2
        cdef int64_t number = last
        cdef Noted *note
        cdef bytes made
        cdef uint8_t *out
        for i in range(first, end):
            note = &self.notes[i]
            size += COPY_ROW + 4 * ((note.entry > 0) + (note.data > 0)) + 8 * ((note.took >= 0) + (note.lost > 0))
            size += self.end_of(i) - note.start
        made = PyBytes_FromStringAndSize(NULL, size)
        out = <uint8_t *>PyBytes_AS_STRING(made)
        with nogil:
            memcpy(out, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", COPY_HEADER)
            out += COPY_HEADER
            for i in range(first, end):
                note = &self.notes[i]
                number = max(number + 1, note.micros)
                out = self.write_copied(out, note, number, ids)
            out[0] = out[1] = 0xff
        return made

    cdef uint8_t *write_copied(self, uint8_t *out, const Noted *note, int64_t number, Ids ids) noexcept nogil:
        """Write one row for COPY: how many columns, then the size and the value of each."""
        cdef const uint8_t *text = self.texts + note.start
        out[0], out[1] = 0, COLUMNS
        out = put_number(out + 2, 8, number)
        out = put_number(out, 8, number - note.micros)
        out = put_text(out, &text, note.sizes[KEY])
        out = put_number(out, 4, ids.kinds[note.kind])
        out = put_text(out, &text, note.sizes[ADDRESS])
        out = put_text(out, &text, note.sizes[PATH])
        out = put_text(out, &text, note.sizes[TRAIL])
        out = put_number(out, 4, ids.entries[note.entry], note.entry > 0)
        out = put_number(out, 4, ids.data[note.data], note.data > 0)
        out = put_text(out, &text, note.sizes[REQUEST_ID])
        out = put_number(out, 8, note.took, note.took >= 0)
        return put_number(out, 8, note.lost, note.lost > 0)

    cdef Py_ssize_t end_of(self, Py_ssize_t i) noexcept:
        """Where the texts of a note end."""
        return self.text_size if i + 1 == self.count else <Py_ssize_t>self.notes[i + 1].start


@cython.final
cdef class Ids:
    """The ids that a database gave to the numbers of a batch; those of entries and data begin with 0, for none."""

    def __dealloc__(self):
        free(self.kinds)
        free(self.entries)
        free(self.data)

    cdef int take(self, list kinds, list entries, list data) except -1:
        self.kinds = numbers_of(kinds)
        self.entries = numbers_of([0, *entries])
        self.data = numbers_of([0, *data])
        return 0


cdef int64_t *numbers_of(list numbers) except NULL:
    """Copy numbers into memory of their own, which the caller frees."""
    cdef int64_t *made = <int64_t *>realloc(NULL, <size_t>(len(numbers) + 1) * sizeof(int64_t))
    cdef Py_ssize_t i
    if made is NULL:
        raise MemoryError
    try:
        for i in range(len(numbers)):
            made[i] = numbers[i]
    except BaseException:
        free(made)
        raise
    return made


cdef uint32_t number_of(dict numbers, object name) except? 0xffff_ffff:
    """The number of a name, which is a new one if nobody has asked.  Runs no Python code for names of exact types."""
    cdef PyObject *found = PyDict_GetItemWithError(numbers, name)
    cdef Py_ssize_t number = len(numbers)
    if found is not NULL:
        return <object>found
    numbers[name] = number
    return <uint32_t>number


# -- Bytes of rows ------------------------------------------------------------

cdef enum:
    LONG_DIGITS = 18
    DIGITS = 10
    SIZE_DIGITS = 5
    ROW = 4 * LONG_DIGITS + 3 * DIGITS + TEXTS * (DIGITS + SIZE_DIGITS)
    COLUMNS = 12
    COPY_HEADER = 19
    COPY_ROW = 2 + 4 * COLUMNS + 8 + 8 + 4     # without what may be null, and texts


cdef inline uint8_t *put_digits(uint8_t *out, int digits, int64_t value) noexcept nogil:
    """Write a number in decimals, with zeros in front, and return what is behind it."""
    cdef int i
    cdef uint64_t rest = <uint64_t>value
    for i in range(digits - 1, -1, -1):
        out[i] = <uint8_t>(c'0' + rest % 10)
        rest //= 10
    return out + digits


cdef inline uint8_t *put_number(uint8_t *out, int size, int64_t value, bint is_given=True) noexcept nogil:
    """Write a number of 4 or 8 bytes with its size in front, or that there is none."""
    store_network32(out, <uint32_t>size if is_given else <uint32_t>-1)
    if not is_given:
        return out + 4
    if size == 8:
        store_network64(out + 4, <uint64_t>value)
    else:
        store_network32(out + 4, <uint32_t>value)
    return out + 4 + size


cdef inline uint8_t *put_text(uint8_t *out, const uint8_t **text, int32_t size) noexcept nogil:
    """Write the next text, and go on to the one behind it."""
    store_network32(out, <uint32_t>size)
    if size > 0:
        memcpy(out + 4, text[0], <size_t>size)
        text[0] += size
    return out + 4 + max(size, 0)


def select_packed(str data not None, str numbers not None, /):
    """Make the query of SQLite that reads packed rows.

    Args:
        data: the expression of the bytes.
        numbers: what stands behind FROM; its column `n` has the number of each row, from 0 on.
    """
    at = 0

    def number(digits):
        nonlocal at
        at += digits
        return f"CAST(substr({data}, i + {at - digits}, {digits}) AS INTEGER)"

    position, lag, took, lost = [number(LONG_DIGITS) for _ in range(4)]
    kind, entry, version = [number(DIGITS) for _ in range(3)]
    key, address, path, trail, request_id = [
        f"substr({data}, {number(DIGITS)}, nullif({number(SIZE_DIGITS)}, 0) - 1)" for _ in range(TEXTS)
    ]
    return (
        f"SELECT {position}, {lag}, {key}, {kind}, {address}, {path}, {trail}, nullif({entry}, 0),"
        f" nullif({version}, 0), {request_id}, nullif({took}, 0) - 1, nullif({lost}, 0)"
        f" FROM (SELECT 1 + {ROW} * n AS i FROM {numbers})"
    )


SELECT_PACKED = (
    "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2) "
    + select_packed("?1", "numbers")
)
