# cython: language_level=3
"""`PrefixLines`: a text with a prefix on each line, read without a Python object for each line.

A list of a million lines is 16 MB of text.  As texts and numbers of Python it would be 300 MB, and making these objects
would take longer than everything else.  So the text stays as it is, and each entry is three numbers:

    content    # the office \\n 203.0.113.0/24   # Vienna \\r\\n 2001:db8::/48 \\n
    spans                       [13, 14 bytes, line 2]          [41, 13 bytes, line 3]
    prefixes   [ 203.0.113.0/24 ] [ 2001:db8::/48 ]             what `freeze` makes a list of

What a line means is said in lines.py, and `numbered_prefixes` there is the twin of this room.  This room knows `#` and
no other comment.  What it does not know is an entry that is no prefix, and `refused` counts these.  Whoever finds any
reads the text in the other way, which knows every comment and has the words for what is wrong.  If there is none, the
same entries at the same lines come out of both.

The frozen list has other numbers for its entries, because it is sorted and has each prefix once.  `first_lines` finds
for each of them the line where it is written first.

Invariants: spans lie inside the content and are in the order of the lines.
Cost: 12 bytes a line and the text itself; 20 to 40 ns a line.  `first_lines` takes as long again, and 4 bytes an entry.
Threads: safe, never changes once made; but `freeze` sorts the prefixes, so it belongs to one thread.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree
from libc.stdint cimport INT32_MAX, uint8_t
from libc.string cimport memchr

from cidrmatch._core.address cimport OK, ROOM_BEFORE, vectors_here
from cidrmatch._core.allow_list cimport AllowList, Source
from cidrmatch._core.frozen cimport BY_SIZE, Entries, begun4, begun6, bits_at
from cidrmatch._core.prefix cimport Prefix, compare_bits, parse_common_prefix, take_uncommon_prefix
from cidrmatch._core.prefixes cimport resized

from array import array

__all__ = ["PrefixLines", "number_of"]

cdef enum:
    MARK_SIZE = 3           # bytes of a byte order mark in UTF-8


@cython.final
cdef class PrefixLines:
    """PrefixLines(content, /)\n--\n\nRead a text with a prefix on each line; a sequence of the entries as written.

    Args:
        content: `bytes`, UTF-8, at most 2 GiB.
    Raises:
        ValueError: it is no UTF-8, or larger.
    Cost: 20 to 40 ns a line.
    Threads: safe, but for `freeze`.

    >>> lines = PrefixLines(b"# the office\\n203.0.113.0/24  # Vienna\\n")
    >>> list(lines), lines.line(0), lines.freeze()
    (['203.0.113.0/24'], 2, AllowList(['203.0.113.0/24']))
    """

    def __cinit__(self, bytes content not None, /):
        self.spans = NULL
        if PyBytes_GET_SIZE(content) > INT32_MAX:
            raise ValueError("a text of at most 2 GiB was expected")
        if not content.isascii():
            content.decode("utf-8")     # or it raises UnicodeDecodeError, which is a ValueError
        self.content = content
        self.prefixes = PrefixArray()
        self.read()

    def __dealloc__(self):
        PyMem_RawFree(self.spans)

    cdef int read(self) except -1:
        """Find every line, and add its entry if it has one."""
        cdef const char *start = PyBytes_AS_STRING(self.content)
        cdef const char *newline
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.content), begin = 0, end
        cdef int32_t line = 1
        if self.content.startswith(b"\xef\xbb\xbf"):
            begin = MARK_SIZE
        while begin < size:
            newline = <const char *>memchr(start + begin, c'\n', <size_t>(size - begin))
            end = size if newline is NULL else newline - start
            self.add(begin, end, line)
            begin = end + 1
            line += 1
        return 0

    cdef int add(self, Py_ssize_t begin, Py_ssize_t end, int32_t line) except -1:
        """Add the entry of a line: without a comment, and without the white space around it."""
        cdef const uint8_t *start = <const uint8_t *>PyBytes_AS_STRING(self.content)
        cdef const uint8_t *comment
        cdef Bits bits
        cdef Span span
        if end > begin and start[end - 1] == c'\r':
            end -= 1
        # No entry hides in a comment: a line with a "\r" inside is refused as it is.
        if end > begin and memchr(start + begin, c'\r', <size_t>(end - begin)) is NULL:
            comment = <const uint8_t *>memchr(start + begin, c'#', <size_t>(end - begin))
            if comment is not NULL:
                end = comment - start
        while end > begin and is_blank(start[end - 1]):
            end -= 1
        while end > begin and is_blank(start[begin]):
            begin += 1
        if end == begin:
            return 0
        span = Span(<uint32_t>begin, <uint32_t>(end - begin), line)
        if self.size == self.room:
            self.spans = <Span *>resized(self.spans, max(64, self.room * 2), sizeof(Span))
            self.room = max(64, self.room * 2)
        self.spans[self.size] = span
        self.size += 1
        if self.parse(&span, &bits):
            self.prefixes.push(&bits)
        else:
            self.refused += 1
        return 0

    cdef Text text_of(self, const Span *span) noexcept:
        return Text(<const uint8_t *>PyBytes_AS_STRING(self.content) + span.start, <Py_ssize_t>span.length)

    cdef int parse(self, const Span *span, Bits *bits) except -1:
        """Parse an entry; return whether it is a prefix."""
        cdef Text text = self.text_of(span)
        cdef Py_ssize_t position
        # Before the first lines there may be no room that the fast parser may read.
        if span.start >= ROOM_BEFORE and parse_common_prefix(&text, bits):
            return True
        plain = text.start[:text.length].decode("utf-8")
        return take_uncommon_prefix(plain, False, bits, &position) == OK

    cdef str text_at(self, Py_ssize_t i):
        cdef Text text = self.text_of(&self.spans[i])
        return text.start[:text.length].decode("utf-8")

    def __len__(self):
        return self.size

    def __getitem__(self, Py_ssize_t i):
        if not 0 <= i < self.size:
            raise IndexError(f"there are {self.size} entries, no entry {i}")
        return self.text_at(i)

    def __iter__(self):
        return map(self.__getitem__, range(self.size))

    def line(self, Py_ssize_t i, /):
        """Give the line of an entry, from 1."""
        if not 0 <= i < self.size:
            raise IndexError(f"there are {self.size} entries, no entry {i}")
        return self.spans[i].line

    def freeze(self):
        """Make the list of all entries.

        Raises:
            ValueError: an entry is no prefix; `refused` counts these.
        """
        if self.refused:
            raise ValueError(f"{self.refused} entries are no prefixes")
        return AllowList(Source(None, self.prefixes, BY_SIZE, vectors_here()))

    def first_lines(self, AllowList allow not None, /):
        """Give for each entry of the list that `freeze` made the line where it is written first.

        Returns:
            `array("i")`, as long as the list.
        Raises:
            ValueError: an entry of this text is not in the list.
        """
        cdef object lines = array("i", bytes(len(allow) * sizeof(int32_t)))
        cdef int32_t[::1] first = lines
        cdef Py_ssize_t i, at
        cdef Bits bits
        for i in range(self.size):
            at = find_exactly(&allow.entries, &bits, allow.table.vectors) if self.parse(&self.spans[i], &bits) else -1
            if at < 0:
                raise ValueError(f"entry {i} is not in the list")
            if first[at] == 0:
                first[at] = self.spans[i].line
        return lines


cdef inline bint is_blank(uint8_t character) noexcept nogil:
    return character == c' ' or character == c'\t'


cdef Py_ssize_t find_exactly(const Entries *entries, const Bits *bits, int vectors) noexcept nogil:
    """The number of the entry that is this prefix, or -1.

    Entries with the same first address follow each other, the broader before the narrower.
    """
    cdef Py_ssize_t at, base = <Py_ssize_t>entries.entries4.firsts.count
    if bits.family == 4:
        at = <Py_ssize_t>begun4(&entries.entries4, <uint32_t>(bits.upper >> 32), vectors) - 1
        while at >= 0 and entries.entries4.lengths[at] > bits.length:
            at -= 1
    else:
        if entries.entries6.firsts.count == 0:
            return -1
        at = <Py_ssize_t>begun6(&entries.entries6, bits.upper, bits.lower, vectors) - 1
        while at >= 0 and entries.entries6.lengths[at] > bits.length:
            at -= 1
        at = at + base if at >= 0 else -1
    return at if at >= 0 and is_entry(entries, at, bits) else -1


cdef bint is_entry(const Entries *entries, Py_ssize_t at, const Bits *bits) noexcept nogil:
    cdef Bits found
    bits_at(entries, at, &found)
    return compare_bits(&found, bits) == 0


def number_of(AllowList allow not None, Prefix prefix not None, /):
    """Find the number of the entry that is this prefix, or None: `allow[number].prefix == prefix`."""
    cdef Py_ssize_t at = find_exactly(&allow.entries, &prefix.bits, allow.table.vectors)
    return None if at < 0 else at
