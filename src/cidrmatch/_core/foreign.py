"""Reading objects of other modules: `ipaddress` objects and mappings.

Their code is Python and may raise any exception.  So this module is Python,
too: only the `try` of the interpreter itself works reliably when memory runs
out.  An `Exception` that is caught here becomes a refusal.  Any other
exception, such as an interruption, is passed on and never becomes an answer.
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

    Only the exact classes are accepted.  The type of each part is checked,
    because somebody may have changed the object.  For anything else the result
    is None.
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
    """Whether a value is one text, network or mapping, and not a list: iterating over its items would be a mistake.

    The `__class__` of a value may raise.  Cython's `isinstance` with several types loses such an exception, so this is
    Python.
    """
    return isinstance(value, _SINGLE)


def fields_of(entry: Mapping[str, object]) -> dict[str, object]:
    """Read a mapping once; one that contradicts itself is no entry."""
    try:
        return dict(entry)
    except (KeyError, ValueError):
        raise TypeError(f"the mapping {type(entry).__name__} contradicts itself") from None
