# cython: language_level=3
"""`AllowList` for other rooms and other extensions; the essays are in allow_list.pyx and frozen.pyx."""

from cidrmatch._core.frozen cimport Block, Entries, Table
from cidrmatch._core.prefix cimport Entry
from cidrmatch._core.prefixes cimport PrefixArray


cdef class Source:
    cdef object entries
    cdef object lines
    cdef int form
    cdef int vectors


cdef class AllowList:
    cdef Table table            # is it in?
    cdef Entries entries        # which entry?
    cdef Block block            # where the arrays of both lie
    cdef dict labels            # by the entry's number; None when there are none
    cdef list objects           # of entries that were asked for, by number; None as long as nobody did
    cdef Py_hash_t hash

    cdef dict number_labels(self, dict labels)
    cdef PrefixArray prefixes(self)
    cdef object label_at(self, Py_ssize_t i)
    cdef Entry entry_at(self, Py_ssize_t i)
    cdef Entry make_entry(self, Py_ssize_t i)
