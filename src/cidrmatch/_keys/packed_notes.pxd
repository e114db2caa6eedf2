# cython: language_level=3
"""The declarations of `PackedNotes`, for the room that packs; the essay is in packed_notes.pyx."""

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from cidrmatch._core.address cimport Text

cdef enum:
    # The texts of a note.
    KEY
    ADDRESS
    PATH
    TRAIL
    REQUEST_ID
    TEXTS

cdef struct Noted:
    int64_t micros          # since 1970
    int64_t took            # microseconds; -1: nobody told
    int64_t lost            # how many notes are lost; 0 for a request
    uint32_t kind           # number in the batch
    uint32_t entry          # 1 more than the number in the batch; 0: none
    uint32_t data           # as well
    uint32_t start          # of its texts in the batch
    int32_t[5] sizes        # of them, in bytes; -1: none


cdef class PackedNotes:
    cdef Noted *notes
    cdef uint8_t *texts
    cdef Py_ssize_t room, text_room, text_size
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t requests
    cdef readonly int64_t settled
    cdef Py_ssize_t long_ones
    cdef dict kind_numbers      # by their words
    cdef dict entry_numbers     # by the address of the tuple, which `entries` keeps alive
    cdef readonly list entries
    cdef dict version_numbers
    cdef readonly list denials

    cdef int append(self, Noted *note, const Text *texts) except -1
    cdef int reserve(self, Py_ssize_t notes, Py_ssize_t size) except -1
    cdef int take_room(self, PackedNotes other) except -1
    cdef PackedNotes part(self, Py_ssize_t first, Py_ssize_t last)
    cdef bytes write_rows(self, Py_ssize_t first, Py_ssize_t end, int64_t last, Ids ids)
    cdef bytes write_copy(self, Py_ssize_t first, Py_ssize_t end, int64_t last, Ids ids)
    cdef uint8_t *write_copied(self, uint8_t *out, const Noted *note, int64_t number, Ids ids) noexcept nogil
    cdef Py_ssize_t end_of(self, Py_ssize_t i) noexcept


cdef class Ids:
    cdef int64_t *kinds
    cdef int64_t *entries
    cdef int64_t *data

    cdef int take(self, list kinds, list entries, list data) except -1


cdef int64_t micros_of(object seconds) except? -1
cdef uint32_t number_of(dict numbers, object name) except? 0xffff_ffff


cdef inline bint is_moment(double seconds) noexcept:
    """Is this a number of seconds whose microseconds JSON keeps?"""
    return fabs(seconds) < 9e9
