# cython: language_level=3, nonecheck=True
"""Requests and their decisions, packed for a usage log: bytes in place of objects, and whole batches as rows.

    request --put--> the open batch --full, or taken--> batch, batch ...  --parts--> rows for a database
                     numbers and texts in C                                          without the interpreter lock

    Noted     [ micros | took | lost | kind | entry | data | start | sizes of 5 texts ]     64 bytes a request
    texts     key_live_1 cb007109 /v1/orders 10.0.0.7 NUL 203.0.113.9 7f...                 one behind the other

A decision is taken apart while it is in the processor's cache, in the thread of the request.  So no view and no object
has to live on, and a writer holds the interpreter lock for a moment a batch.  What many requests share is a number in
the batch: the kind, all words that are neither a client's text nor an entry's; the entry, with its list's name; and the
version of the data.

`put` first runs everything that may run Python code.  Then it appends in one go, so a batch is never seen half changed.

`parts` numbers the rows, parts them by day, and writes one piece of bytes for each day:

    SQLite        rows of ROW characters, with numbers in decimals; then the texts.  `SELECT_PACKED` reads this by
                  `substr`: one statement for any number of rows, and no value is bound alone
    PostgreSQL    the binary form of COPY

Cost: `put` some 0.7 microseconds; `parts` 0.3 a row, without the interpreter lock.
Threads: `put` and `take` may be called at once, under the interpreter lock; a batch that was taken changes no more.
Source: B25, B28; C16, C23; https://www.postgresql.org/docs/current/sql-copy.html
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy

from cidrmatch._core.address cimport LONGEST_ADDRESS, OK, Bits, Text, find_text, pack, take_address, write_address
from cidrmatch._keys.check cimport Decision

cdef extern from "_core/c/bits.h" nogil:
    void store_network32(uint8_t *packed, uint32_t word)
    void store_network64(uint8_t *packed, uint64_t word)

from .reasons import Reason

__all__ = ["SELECT_PACKED", "PackedNotes", "Packer"]

cdef enum:
    # The texts of a note.
    KEY
    ADDRESS
    PATH
    TRAIL
    REQUEST_ID
    TEXTS

cdef enum:
    # What `put` answers.
    TAKEN = 0
    AWAKE       # taken, and as many wait as wake the writer
    FULL
    FULL_LONG   # too many long ones wait

cdef enum:
    MOST_IN_A_BATCH = 2_000
    AWAKE_AT = 500          # notes that wait; the writer looks ten times a second anyway
    LONG = 2_000            # bytes of text; a note with more is a long one
    LONG_SHARE = 100        # one of so many notes that wait may be long
    LONGEST_KEY = 512       # bytes
    LONGEST_PATH = 2_048    # characters, as the next two
    LONGEST_TRAIL = 1_024
    LONGEST_ID = 256
    LONGEST_WORD = 64

cdef int64_t MOST_MICROS = <int64_t>1 << 53     # JSON keeps numbers up to here
cdef double MOST_SECONDS = 9e9                  # so are moments in microseconds
cdef int64_t DAY_MICROS = 86_400_000_000


cdef struct Noted:
    int64_t micros          # since 1970
    int64_t took            # microseconds; -1: nobody told
    int64_t lost            # how many notes are lost; 0 for a request
    uint32_t kind           # number in the batch
    uint32_t entry          # 1 more than the number in the batch; 0: none
    uint32_t data           # as well
    uint32_t start          # of its texts in the batch
    int32_t[5] sizes        # of them, in bytes; -1: none


# -- Texts --------------------------------------------------------------------

cdef object exact_text(object value):
    """The characters of an object, as an exact `str`: no code of a subclass runs when it is compared."""
    return "".join((str(value),))


cdef inline object word_of(object value):
    """A word that many requests share, cut to what the log keeps."""
    if value is None or type(value) is Reason:
        return value
    if not PyUnicode_CheckExact(value):
        value = exact_text(value)
    return value if len(<str>value) <= LONGEST_WORD else (<str>value)[:LONGEST_WORD]


cdef inline object point_at(object value, Py_ssize_t most, Text *text):
    """Point at a text in UTF-8, cut to some characters, and return what keeps it alive; half a character survives."""
    if value is None:
        text.start = NULL
        text.length = -1
        return None
    if find_text(value, text):
        text.length = min(text.length, most)
        return value
    return point_at_bytes(value[:most].encode("utf-8", "surrogatepass"), text)


cdef inline object point_at_bytes(object held, Text *text):
    if not PyBytes_CheckExact(held):
        raise TypeError(f"a text of the log is bytes, not {type(held).__name__}")
    text.start = <const uint8_t *>PyBytes_AS_STRING(held)
    text.length = PyBytes_GET_SIZE(held)
    return held


cdef bint join_common(object trail, uint8_t *into, Text *text) noexcept:
    """Join the elements of a common trail, with NUL between them, into a room of `LONGEST_TRAIL` bytes."""
    cdef Py_ssize_t i, room, size = 0
    cdef Text element
    if type(trail) is not tuple:
        return False
    for i in range(len(<tuple>trail)):
        if not find_text((<tuple>trail)[i], &element):
            return False
        if memchr(element.start, 0, <size_t>element.length) is not NULL:
            return False
        if i > 0 and size < LONGEST_TRAIL:
            into[size] = 0
            size += 1
        room = min(element.length, LONGEST_TRAIL - size)
        memcpy(into + size, element.start, <size_t>room)
        size += room
    text.start = into
    text.length = size
    return True


cdef object join_trail(object trail, Text *text):
    """Join the elements of any trail; return what keeps the text alive."""
    joined = "\0".join(trail)
    if joined.count("\0") >= len(trail):        # an element has one, too
        joined = "\0".join([element.replace("\0", "\ufffd") for element in trail])
    return point_at(joined, LONGEST_TRAIL, text)


cdef inline bint is_text_of(object trail, const Bits *address) noexcept:
    """Is the address alone the trail?  Then the trail is not kept, because a reader puts the address there."""
    cdef char[LONGEST_ADDRESS] shown
    cdef Text element
    return (type(trail) is tuple and len(<tuple>trail) == 1 and find_text((<tuple>trail)[0], &element)
            and element.length == write_address(address, shown)
            and memcmp(element.start, shown, <size_t>element.length) == 0)


cdef inline int64_t micros_of(object seconds) except? -1:
    """Microseconds, at least 0 and at most what JSON keeps; ValueError or OverflowError for what is no number."""
    if seconds is None:
        return -1
    if type(seconds) is float and 0 <= <double>seconds < MOST_SECONDS:
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
        places: each entry, as `Entry`, with the name of its list or None.
        versions: the versions of the engine's data.
        denials: the moment, the address and the reason of each denial.
    """

    cdef Noted *notes
    cdef uint8_t *texts
    cdef Py_ssize_t room, text_room, text_size
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t requests
    cdef readonly int64_t settled
    cdef Py_ssize_t long_ones
    cdef dict kind_numbers      # by their words
    cdef dict entry_numbers     # by the address of the object, which `entries` keeps alive, and the name of the list
    cdef list entries, lists
    cdef dict version_numbers
    cdef readonly list denials

    def __cinit__(self):
        self.kind_numbers, self.entry_numbers, self.version_numbers = {}, {}, {}
        self.entries, self.lists, self.denials = [], [], []

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
    def places(self):
        return list(zip(self.entries, self.lists))

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
        part.entry_numbers, part.entries, part.lists = self.entry_numbers, self.entries, self.lists
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
            with nogil:
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

    cdef int64_t *kinds
    cdef int64_t *entries
    cdef int64_t *data

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


def select_packed():
    """Make the statement that reads packed rows: its parameters are the bytes, and where the last row begins."""
    at = 0

    def number(digits):
        nonlocal at
        at += digits
        return f"CAST(substr(?1, i + {at - digits}, {digits}) AS INTEGER)"

    position, lag, took, lost = [number(LONG_DIGITS) for _ in range(4)]
    kind, entry, data = [number(DIGITS) for _ in range(3)]
    key, address, path, trail, request_id = [
        f"substr(?1, {number(DIGITS)}, nullif({number(SIZE_DIGITS)}, 0) - 1)" for _ in range(TEXTS)
    ]
    return (
        f"WITH RECURSIVE rows(i) AS (SELECT 1 UNION ALL SELECT i + {ROW} FROM rows WHERE i < 1 + {ROW} * (?2 - 1))"
        f" SELECT {position}, {lag}, {key}, {kind}, {address}, {path}, {trail}, nullif({entry}, 0), nullif({data}, 0),"
        f" {request_id}, nullif({took}, 0) - 1, nullif({lost}, 0) FROM rows"
    )


SELECT_PACKED = select_packed()


# -- What requests append to --------------------------------------------------

@cython.final
cdef class Packer:
    """Packer(size, shorten_key, name_key=None, cut_address=None)\n--\n\nPack notes into batches, as many as may wait.

    Args:
        size: the most notes that wait.
        shorten_key: gives the bytes of a key that is long, or no ASCII.
        name_key: gives what stands for a key, or None.
        cut_address: cuts packed addresses, or None.  Then no trail is kept.

    Attributes:
        waiting: how many notes wait.
        most_long: the most long notes that may.
    """

    cdef object name_key, cut_address, shorten_key
    cdef PackedNotes open
    cdef list closed
    cdef readonly Py_ssize_t size, waiting, most_long
    cdef Py_ssize_t long_ones

    def __cinit__(self, Py_ssize_t size, shorten_key, name_key=None, cut_address=None):
        self.size = size
        self.most_long = size // LONG_SHARE + 1
        self.shorten_key, self.name_key, self.cut_address = shorten_key, name_key, cut_address
        self.open = PackedNotes()
        self.closed = []

    def take(self):
        """Take the oldest batch, or None."""
        cdef PackedNotes batch, fresh = PackedNotes()
        if self.closed:
            batch = self.closed.pop(0)
        elif self.open.count > 0:
            batch, self.open = self.open, fresh
        else:
            return None
        self.waiting -= batch.count
        self.long_ones -= batch.long_ones
        return batch

    def put(self, double at, found, method, path, status, request_id, seconds, stopped_at, key, /):
        """Pack a note.

        Args:
            at: the moment, in seconds since 1970.
            found: a `GuardDecision`, or None.
            method, path, status, request_id, seconds, stopped_at, key: as `UsageLog.note` has them.
        Returns:
            0: it is taken.  1: and the writer should be woken.  2: it is not, because too many wait.  3: too many long
            ones do.
        Raises:
            Whatever a value raises that is none; then nothing is changed.
        """
        cdef object allowed = None, reason = None, problem = None, policy = None, would_allow = None
        cdef object entry = None, list_name = None, version = None, packed = None, trail = None
        cdef object judged, named = None, denial = None, _held_key, _held_path, _held_id, _held_client
        cdef PackedNotes batch, fresh = PackedNotes() if self.open.count >= MOST_IN_A_BATCH else None
        cdef uint8_t[LONGEST_TRAIL] trail_room
        cdef uint8_t[16] address_room
        cdef Py_ssize_t i, size = 0
        cdef Text[TEXTS] texts
        cdef tuple words
        cdef Noted note
        if self.waiting >= self.size:
            return FULL
        if not fabs(at) < MOST_SECONDS:
            raise ValueError(f"{at} is no moment of our time")
        # 1. what may run Python code, or collect garbage
        if found is not None:
            key, judged, allowed, reason = found.key, found.decision, bool(found.allowed), found.reason
            packed, problem, trail = found.client
            if type(judged) is Decision and (<Decision>judged).view is not None:
                version = (<Decision>judged).view.version
                policy = (<Decision>judged).view.settings.policy.name
                would_allow = (<Decision>judged).would_allow
                entry, list_name = (<Decision>judged).deciding()
            elif judged is not None:
                version, policy, would_allow = int(judged.version), judged.policy.name, judged.would_allow
                would_allow = None if would_allow is None else bool(would_allow)
                entry, list_name = judged.entry, judged.list_name
        words = (word_of(method), status if type(status) is int else None, allowed, word_of(reason), word_of(problem),
                 word_of(policy), word_of(stopped_at), would_allow)
        note.micros = <int64_t>(at * 1e6)
        note.took = micros_of(seconds)
        note.lost = 0
        _held_key = self.point_at_key(key, &texts[KEY])
        _held_path = point_at(path, LONGEST_PATH, &texts[PATH])
        if request_id is not None and not PyUnicode_CheckExact(request_id):
            request_id = exact_text(request_id)
        _held_id = point_at(request_id, LONGEST_ID, &texts[REQUEST_ID])
        _held_client = self.point_at_client(packed, trail, texts, address_room, trail_room)
        if entry is not None:
            named = <size_t><PyObject *>entry
            if list_name is not None:
                named = (named, list_name if PyUnicode_CheckExact(list_name) else exact_text(list_name))
        if allowed is False:
            denial = (at, None if texts[ADDRESS].length < 0 else
                      texts[ADDRESS].start[:texts[ADDRESS].length], reason)
        # 2. what does neither
        for i in range(TEXTS):
            size += max(texts[i].length, 0)
        if size > LONG and self.long_ones >= self.most_long:
            return FULL_LONG
        batch = self.open
        if batch.count >= MOST_IN_A_BATCH and fresh is not None:
            self.closed.append(batch)
            self.open = batch = fresh
        batch.reserve(1, size)
        note.kind = number_of(batch.kind_numbers, words)
        note.data = 0 if version is None else number_of(batch.version_numbers, version) + 1
        note.entry = 0
        if entry is not None:
            note.entry = number_of(batch.entry_numbers, named) + 1
            if note.entry > <size_t>len(batch.entries):
                batch.entries.append(entry)
                batch.lists.append(list_name)
        if denial is not None:
            batch.denials.append(denial)
        batch.append(&note, texts)
        batch.settled += 1
        batch.requests += 1
        self.waiting += 1
        if size > LONG:
            batch.long_ones += 1
            self.long_ones += 1
        return AWAKE if self.waiting == AWAKE_AT else TAKEN

    cdef object point_at_key(self, object key, Text *text):
        """Point at a key as the log keeps it, and return what keeps it alive."""
        if key is None:
            return point_at(None, 0, text)
        if not PyUnicode_CheckExact(key):
            key = exact_text(key)
        if self.name_key is not None:
            key = self.name_key(key)
        if find_text(key, text) and text.length <= LONGEST_KEY:
            return key
        return point_at_bytes(self.shorten_key(key), text)

    cdef object point_at_client(self, object packed, object trail, Text *texts, uint8_t *address_room,
                                uint8_t *trail_room):
        """Point at the address and the trail as the log keeps them, and return what keeps them alive."""
        cdef Py_ssize_t position
        cdef Bits address
        texts[ADDRESS] = texts[TRAIL] = Text(NULL, -1)
        if packed is not None:
            if take_address(packed, &address, &position) != OK:
                raise ValueError("a strategy gave an address that is none")
            if self.cut_address is not None:
                texts[TRAIL] = Text(trail_room, 0)
                return point_at_bytes(self.cut_address(pack(&address)), &texts[ADDRESS])
            texts[ADDRESS] = Text(address_room, store_address(&address, address_room))
            if is_text_of(trail, &address):
                return None
        elif not trail or self.cut_address is not None:
            return None
        return None if join_common(trail, trail_room, &texts[TRAIL]) else join_trail(trail, &texts[TRAIL])


cdef inline Py_ssize_t store_address(const Bits *address, uint8_t *out) noexcept nogil:
    """Write the 4 or 16 bytes of an address in network order, and return how many."""
    if address.family == 4:
        store_network32(out, <uint32_t>(address.upper >> 32))
        return 4
    store_network64(out, address.upper)
    store_network64(out + 8, address.lower)
    return 16
