"""Masks for personal data: an address is cut to a prefix, and a key's id becomes a keyed hash.

    203.0.113.9    /24     203.0.113.0
    2001:db8::9    /48     2001:db8::
    "key_live_1"   hash    "5f0c...e1", 32 digits of BLAKE2b under the secret

The record says so in `masked`.  Whoever asks for a key asks with its plain id, and the filter hashes it, too.  With a
mask for addresses, no trail and no entry narrower than the mask is kept, because both may tell the address.

Cost: a microsecond for a key that was not seen lately.  Threads: safe.  Source: RFC 7693.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from ...errors import quote

__all__ = ["Mask", "kept_bits"]

_SHORTEST, _LONGEST = 16, hashlib.blake2b.MAX_KEY_SIZE
_BYTES: Final = 16
_REMEMBERED: Final = 20_000


@dataclass(frozen=True)
class Mask:
    """Mask(address_prefix4=24, address_prefix6=48, key="hash", secret=...): what the log does not keep.

    Args:
        address_prefix4, address_prefix6: how many bits of an address are kept; None for all.
        key: "keep" or "hash".
        secret: 16 to 64 bytes that nobody can guess, for "hash".
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.

    >>> Mask().address(bytes([203, 0, 113, 9]))
    b'\\xcb\\x00q\\x00'
    """

    address_prefix4: int | None = 24
    address_prefix6: int | None = 48
    key: Literal["hash", "keep"] = "keep"
    secret: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, most in (("address_prefix4", 32), ("address_prefix6", 128)):
            bits = getattr(self, name)
            if bits is not None and (type(bits) is not int or not 0 <= bits <= most):
                raise ValueError(f"{name} is a number of bits from 0 to {most}, or None")
        if self.key not in ("hash", "keep"):
            raise ValueError(f"key is 'hash' or 'keep', not {quote(self.key)}")
        if self.key == "hash" and not (isinstance(self.secret, bytes) and _SHORTEST <= len(self.secret) <= _LONGEST):
            raise ValueError(f"key='hash' needs a secret of {_SHORTEST} to {_LONGEST} bytes")
        object.__setattr__(self, "hashed", lru_cache(_REMEMBERED)(self._hash))

    def _hash(self, key: str) -> str:
        data = key.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self.secret or b"", digest_size=_BYTES).hexdigest()

    def named(self, key: str) -> str:
        """Give what stands for a key in the log."""
        if self.key == "keep":
            return key
        hashed: str = self.hashed(key)  # type: ignore[attr-defined]
        return hashed

    def address(self, packed: bytes) -> bytes:
        """Cut a packed address to its first bits; the rest is 0."""
        bits = self.address_prefix4 if len(packed) == 4 else self.address_prefix6
        return packed if bits is None else _cut(packed, bits)

    @property
    def hides_addresses(self) -> bool:
        """Whether any address loses bits."""
        return self.address_prefix4 not in (None, 32) or self.address_prefix6 not in (None, 128)

    def said(self) -> str:
        """Say in one line what the mask does, for the record."""
        bits = ("all" if bits is None else str(bits) for bits in (self.address_prefix4, self.address_prefix6))
        return f"address/{'/'.join(bits)} key={self.key}"


def _cut(packed: bytes, bits: int) -> bytes:
    width = 8 * len(packed)
    kept = int.from_bytes(packed, "big") >> (width - bits) << (width - bits)
    return kept.to_bytes(len(packed), "big")


def kept_bits(said: str) -> dict[int, int]:
    """Read from what a record says of its mask how many bits each family keeps; families that keep all are not there.

    >>> kept_bits("address/24/all key=keep")
    {4: 24}
    """
    bits = said.partition(" ")[0].split("/")[1:]
    return {family: int(number) for family, number in zip((4, 6), bits, strict=True) if number != "all"}
