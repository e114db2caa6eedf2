# cython: language_level=3
"""Functions for tests and benchmarks only; the library does not use this room."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t

from cidrmatch._core.address cimport vectors_here
from cidrmatch._keys.block cimport siphash
from cidrmatch._keys.store cimport KeyStore

__all__ = ["hash_of", "use_vectors"]


def use_vectors(KeyStore store not None, int vectors, /):
    """The same block, asked with no wider vectors than these: 0 none, 1 AVX2, 2 AVX-512."""
    cdef KeyStore narrowed = KeyStore.from_buffer(store)
    narrowed.store.vectors = min(vectors, vectors_here())
    return narrowed


def hash_of(bytes text not None, unsigned long long first, unsigned long long second, /):
    """The hash of a key under a seed: SipHash-1-3."""
    cdef uint64_t[2] seed = [first, second]
    return siphash(seed, <const uint8_t *>PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text))
