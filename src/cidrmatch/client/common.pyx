"""`CommonHeader`: reading common requests quickly, that is, one line of the header with addresses without ports.

    peer     10.0.0.7                                        a trusted proxy
    headers  [ (b"host", b"..."), (b"x-forwarded-for", b"6.6.6.6, 203.0.113.9, 10.0.0.8"), ... ]
                                                          <-----------  -------- read in this direction
    find     ClientAddress(203.0.113.9 packed, None, ("10.0.0.7", "10.0.0.8", "203.0.113.9"))

`CommonHeader.find` gives the same answer as its strategy, or None; then the strategy reads the request itself.  So
nothing is refused here, and strategies.py has the rules.  These requests are not common:

    headers that are no list of pairs; names and values that are neither `bytes` nor ASCII `str`
    a peer that is not trusted, a peer on a UNIX socket, an IPv4-mapped peer
    no line of the header, or several; a line of more than LONGEST characters or MOST_COMMAS commas
    an element with brackets or a port, an IPv4-mapped address, or any other text that `parse_common` does not parse
    a list that ends before there is an answer

Without this room, a strategy needs half of its time for comparing a dozen names, and a fourth for cutting texts.

Cost: a comparison for each line, and a new text for each element that is read.
Threads: safe, because it never changes.  No Python code runs while the headers are read.
Source: B6, C23.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.list cimport PyList_AsTuple, PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.ref cimport Py_INCREF, PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_SET_ITEM
from libc.stdint cimport uint8_t

from cidrmatch._core.address cimport Bits, Text, find_text, pack, parse_common
from cidrmatch._core.allow_list cimport AllowList
from cidrmatch._core.frozen cimport contains

__all__ = ["CommonHeader", "only_line"]

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        object (*tp_alloc)(type made, Py_ssize_t items)

    object PyUnicode_DecodeLatin1(const char *text, Py_ssize_t length, const char *errors)

cdef enum:
    LONGEST = 256       # characters of a line
    MOST_COMMAS = 8     # in a line, far fewer than a header may have


cdef inline bint find_ascii(object value, Text *text) noexcept:
    """Point at the characters of exact `bytes` or of an exact ASCII `str`; they live as long as this object."""
    if PyBytes_CheckExact(value):
        text.start = <const uint8_t *>PyBytes_AS_STRING(value)
        text.length = PyBytes_GET_SIZE(value)
        return True
    return find_text(value, text)


# hot: begin
cdef inline bint is_same_name(const Text *name, const Text *lower) noexcept nogil:
    """Are the names equal, apart from the case?  Needs: both have the same length."""
    cdef Py_ssize_t i
    cdef uint8_t letter
    for i in range(name.length):
        letter = name.start[i]
        if (letter | 0x20 if c'A' <= letter <= c'Z' else letter) != lower.start[i]:
            return False
    return True


cdef inline Py_ssize_t count_commas(const Text *line) noexcept nogil:
    cdef Py_ssize_t i, count = 0
    for i in range(line.length):
        count += line.start[i] == c','
    return count


cdef inline bint is_blank(uint8_t character) noexcept nogil:
    return character == c' ' or character == c'\t'


cdef void cut_last(Text *line, Text *element) noexcept nogil:
    """Cut the last element off a line that is not empty, with its comma and the white space around it."""
    cdef Py_ssize_t end = line.length, begin = end
    while begin > 0 and line.start[begin - 1] != c',':
        begin -= 1
    line.length = begin - 1 if begin > 0 else 0
    while begin < end and is_blank(line.start[begin]):
        begin += 1
    while end > begin and is_blank(line.start[end - 1]):
        end -= 1
    element.start = line.start + begin
    element.length = end - begin
# hot: end


cdef object find_line(list headers, const Text *lower):
    """Give the value of the only line with the name; None if there is none, more than one, or a strange pair."""
    cdef Py_ssize_t i
    cdef PyObject *pair
    cdef PyObject *found = NULL
    cdef Text name
    for i in range(PyList_GET_SIZE(headers)):
        pair = PyList_GET_ITEM(headers, i)
        if not PyTuple_CheckExact(<object>pair) or PyTuple_GET_SIZE(<object>pair) != 2:
            return None
        if not find_ascii(<object>PyTuple_GET_ITEM(<object>pair, 0), &name):
            return None
        if name.length == lower.length and is_same_name(&name, lower):
            if found is not NULL:
                return None
            found = PyTuple_GET_ITEM(<object>pair, 1)
    return None if found is NULL else <object>found


def only_line(headers, bytes name not None, /):
    """Give the value of the only header line with a name; None if there is no such line, or more than one.

    A key is read by this: of two lines, an application might use another one than the one that was judged.

    Args:
        headers: pairs of a name and a value, each bytes or ASCII text; the case of names does not matter.
        name: of the header, in lower case.
    Returns:
        The value as it was given; None, too, if any pair before it is no pair of texts.

    >>> only_line([(b"X-API-Key", b"key_live_1")], b"x-api-key")
    b'key_live_1'
    """
    cdef Text lower
    lower.start = <const uint8_t *>PyBytes_AS_STRING(name)
    lower.length = PyBytes_GET_SIZE(name)
    return find_line(<list>headers if PyList_CheckExact(headers) else list(headers), &lower)


cdef object make_answer(type answer, bytes packed, tuple trail):
    """Make a named tuple of an address, None and a trail, as `tuple.__new__` does, which takes six times as long."""
    cdef object made = (<PyTypeObject *>answer).tp_alloc(answer, 3)
    Py_INCREF(packed)
    PyTuple_SET_ITEM(made, 0, packed)
    Py_INCREF(None)
    PyTuple_SET_ITEM(made, 1, None)
    Py_INCREF(trail)
    PyTuple_SET_ITEM(made, 2, trail)
    return made


@cython.final
cdef class CommonHeader:
    """CommonHeader(answer, trusted, name, count, most_commas=8)\n--\n\nHold what a strategy looks for in requests.

    Args:
        answer: the class of the answer, `ClientAddress`; a tuple of three.
        trusted: an `AllowList` of peers that are believed, or None for all.
        name: of the header, in lower case.
        count: which element from the right is the client; 0 for the first that is not trusted.
        most_commas: 0 for a header with one value; a line with more commas is not common.
    """

    cdef type answer
    cdef AllowList trusted
    cdef bytes name
    cdef Py_ssize_t count
    cdef Py_ssize_t most_commas

    def __cinit__(self, type answer not None, AllowList trusted, bytes name not None, Py_ssize_t count,
                  Py_ssize_t most_commas=MOST_COMMAS):
        if not issubclass(answer, tuple):
            raise TypeError("an answer is a tuple")
        if trusted is None and count == 0:
            raise ValueError("the first that is not trusted needs somebody who is")
        self.answer = answer
        self.trusted = trusted
        self.name = name
        self.count = count
        self.most_commas = most_commas

    def __reduce__(self):
        return CommonHeader, (self.answer, self.trusted, self.name, self.count, self.most_commas)

    def find(self, peer, headers, /):
        """Give what the strategy would, or None where the request is not a common one.

        Args:
            peer, headers: as the strategy takes them, or anything else.
        Returns:
            The answer, which has an address; or None.
        """
        cdef Text text, lower, line
        cdef Bits bits
        if not PyList_CheckExact(headers) or not find_text(peer, &text) or not parse_common(&text, &bits):
            return None
        if self.trusted is not None and not contains(&self.trusted.table, &bits):
            return None
        lower.start = <const uint8_t *>PyBytes_AS_STRING(self.name)
        lower.length = PyBytes_GET_SIZE(self.name)
        value = find_line(<list>headers, &lower)    # kept until the end, because `line` points into it
        if not find_ascii(value, &line) or line.length > LONGEST or count_commas(&line) > self.most_commas:
            return None
        return self.find_in(peer, line)

    cdef object find_in(self, object peer, Text line):
        """Read the line from the right."""
        cdef Text element, text
        cdef Bits bits
        cdef Py_ssize_t left = self.count
        cdef list trail = [peer]
        while line.length > 0:
            cut_last(&line, &element)
            if element.length == 0:
                continue
            written = PyUnicode_DecodeLatin1(<const char *>element.start, element.length, NULL)
            if not find_text(written, &text) or not parse_common(&text, &bits):
                return None
            trail.append(written)
            left -= 1
            if left == 0 or (left < 0 and not contains(&self.trusted.table, &bits)):
                return make_answer(self.answer, pack(&bits), PyList_AsTuple(trail))
        return None
