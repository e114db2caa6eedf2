# cython: language_level=3
"""`AllowList` for other rooms and other extensions; the essays are in allow_list.pyx and frozen.pyx."""

from cidrmatch._core.frozen cimport Block, Entries, Table
from cidrmatch._core.prefix cimport Entry
from cidrmatch._core.prefixes cimport PrefixArray


cdef class Source:
    cdef object entries
    cdef object lines           # a buffer of lines, or a `PrefixArray` of what was read already
    cdef dict labels            # by the numbers of sorted prefixes; None if there are none, or if they are to be read
    cdef int form
    cdef int vectors


cdef class AllowList:
    cdef Table table            # for "is it in?"
    cdef Entries entries        # for "which entry?"
    cdef Block block            # the memory of all their arrays
    cdef dict labels            # labels by the entry's number; None if there are no labels
    cdef list objects           # `Entry` objects that were asked for, by number; None until the first one
    cdef Py_hash_t hash

    cdef dict number_labels(self, dict labels)
    cdef object label_at(self, Py_ssize_t i)
    cdef Entry entry_at(self, Py_ssize_t i)
    cdef Entry make_entry(self, Py_ssize_t i)
