from .store import KeyStore

__all__ = ["hash_of", "use_vectors"]

def use_vectors(store: KeyStore, vectors: int, /) -> KeyStore:
    """The same block, asked with no wider vectors than these: 0 none, 1 AVX2, 2 AVX-512."""

def hash_of(text: bytes, first: int, second: int, /) -> int:
    """The hash of a key under a seed: SipHash-1-3."""
