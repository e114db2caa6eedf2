"""What the core asks of objects that are not its own: `ipaddress` objects and mappings.

Their code is Python and may raise anything, so it is called from Python: where
an exception has to be caught, the interpreter's own `try` is the one that also
works when memory runs out.  Whatever is caught here becomes a refusal; what is
no `Exception` (an interruption) passes through and is never an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

__all__ = ["fields_of", "is_single", "parts_of"]

_SINGLE = (str, bytes, bytearray, memoryview, Mapping, IPv4Network, IPv6Network)
_ADDRESS_OF = {IPv4Network: IPv4Address, IPv6Network: IPv6Address}


def parts_of(value: Any) -> tuple[bytes, int, bool] | None:
    """Take an `ipaddress` object apart: packed address, prefix length, whether it has a zone id.

    Only exact classes count, and each part is checked for what it is, because
    somebody may have changed the object.  None for anything else.
    """
    kind = type(value)
    address, length = value, 128 if kind is IPv6Address else 32
    try:
        if kind in _ADDRESS_OF:
            address, length = value.network_address, value.prefixlen
            if type(address) is not _ADDRESS_OF[kind]:
                return None
        if type(address) not in (IPv4Address, IPv6Address):
            return None
        packed = address.packed
        has_zone = type(address) is IPv6Address and address.scope_id is not None
    except Exception:  # an object that somebody broke may raise anything
        return None
    width = 4 if type(address) is IPv4Address else 16
    if type(packed) is not bytes or len(packed) != width or type(length) is not int:
        return None
    return (packed, length, has_zone) if 0 <= length <= 8 * width else None


def is_single(value: object) -> bool:
    """Whether a value is one text, network or mapping, over whose items nobody means to walk.

    Such a value's `__class__` may raise.  Cython's `isinstance` with several types loses what was raised.
    """
    return isinstance(value, _SINGLE)


def fields_of(entry: Mapping[str, object]) -> dict[str, object]:
    """Read a mapping once; one that contradicts itself is no entry."""
    try:
        return dict(entry)
    except (KeyError, ValueError):
        raise TypeError(f"the mapping {type(entry).__name__} contradicts itself") from None
