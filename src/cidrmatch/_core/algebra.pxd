# cython: language_level=3
"""The declarations of the algebra of lists for other rooms; the essay is in algebra.pyx."""

from cidrmatch._core.frozen cimport Entries
from cidrmatch._core.prefixes cimport PrefixArray, RangeArray


cdef RangeArray complement(RangeArray ranges)
cdef PrefixArray keep_within(const Entries *entries, RangeArray ranges, Py_ssize_t most)
cdef dict labels_within(const Entries *entries, dict labels, PrefixArray pieces)
cdef PrefixArray unite(const Entries *ours, const Entries *theirs)
cdef dict labels_of_both(const Entries *ours, dict our_labels, const Entries *theirs, dict their_labels)
cdef tuple changes_of_entries(const Entries *ours, dict our_labels, const Entries *theirs, dict their_labels)
