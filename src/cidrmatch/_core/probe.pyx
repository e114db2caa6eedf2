# cython: language_level=3
"""Functions for tests and benchmarks only; the library does not use this room.

    freeze_as      make a list in another form than its size would choose, to compare forms
    table_bytes    how many bytes of a list a check may read

The forms are those of `Form` in frozen.pxd.
"""

from cidrmatch._core.address cimport vectors_here
from cidrmatch._core.allow_list cimport AllowList, Source
from cidrmatch._core.frozen cimport BY_SIZE, LADDER, MAP, SCAN

__all__ = ["freeze_as", "table_bytes"]

cdef dict FORMS = {"by size": BY_SIZE, "scan": SCAN, "ladder": LADDER, "map": MAP}


def freeze_as(entries, str form not None, int vectors=3, /):
    """Make an `AllowList` whose tables have a form that its size would not choose: to measure and to compare forms.

    Args:
        form: "by size", "scan", "ladder" or "map" (for IPv6, a trie, which may be too large: then it is a ladder).
        vectors: 0 what every machine has, 1 AVX2, 2 AVX-512, 3 gathers; no more are used than this machine has.
    """
    return AllowList(Source(entries, None, FORMS[form], min(vectors, vectors_here())))


def table_bytes(AllowList allow not None, /):
    """Tell how many bytes of a list are its tables, without the entries: what checks read."""
    return allow.block.table_bytes
