# cython: language_level=3, nonecheck=True
"""Many prefixes to be compared with one: is it inside one of them, does it touch one?

The prefixes are disjoint and sorted, so two steps of bisection answer both questions:

    bars      |-----|   |--|        |-----------|
    asked        |-|                                  around: the first bar has all of it
                      |--------|                      touching: the second bar lies inside it
                                 |-|                  neither

Cost: log n comparisons.
Threads: safe, never changes once made.
"""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc

from cidrmatch._core.address cimport Bits
from cidrmatch._core.prefix cimport Prefix, compare_bits, covers

__all__ = ["without_covered"]


@cython.final
cdef class Bars:
    """Disjoint prefixes, in canonical order."""

    def __cinit__(self, list prefixes):
        cdef Prefix prefix
        self.bits = <Bits *>PyMem_RawMalloc(max(1, len(prefixes)) * sizeof(Bits))
        if self.bits is NULL:
            raise MemoryError()
        for prefix in sorted(prefixes):
            self.bits[self.count] = prefix.bits
            self.count += 1

    def __dealloc__(self):
        PyMem_RawFree(self.bits)

    cdef Py_ssize_t count_until(self, const Bits *bits) noexcept nogil:
        """How many stand before this prefix in canonical order, or are equal to it?"""
        cdef Py_ssize_t low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) >> 1
            if compare_bits(&self.bits[middle], bits) <= 0:
                low = middle + 1
            else:
                high = middle
        return low

    cdef Py_ssize_t find_around(self, const Bits *bits) noexcept nogil:
        """The one that has all of this prefix, or -1."""
        cdef Py_ssize_t at = self.count_until(bits) - 1
        return at if at >= 0 and covers(&self.bits[at], bits) else -1

    cdef Py_ssize_t find_touching(self, const Bits *bits) noexcept nogil:
        """The first one that has an address of this prefix, or -1."""
        cdef Py_ssize_t at = self.count_until(bits)
        if at > 0 and covers(&self.bits[at - 1], bits):
            return at - 1
        return at if at < self.count and covers(bits, &self.bits[at]) else -1


def without_covered(list outside, list entries, /):
    """Keep those of some tuples whose first item, a `Prefix`, is in none of the entries, which are disjoint."""
    cdef Bars covering = Bars(entries)
    return [one for one in outside if covering.find_around(&(<Prefix?>one[0]).bits) < 0]
