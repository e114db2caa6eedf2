from .._core import AddressLike, Prefix

__all__ = ["inner_address"]

def inner_address(translation: Prefix | str, address: AddressLike, /) -> str | None:
    """Give the IPv4 address that an IPv6 address carries, as text, or None.

    Args:
        translation: a `Prefix`, one of a policy's `translations`.
        address: what `parse_address` takes.
    """
