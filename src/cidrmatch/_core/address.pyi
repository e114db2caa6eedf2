from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

__all__ = ["AddressLike", "format_address", "parse_address"]

AddressLike: TypeAlias = str | bytes | IPv4Address | IPv6Address

def parse_address(address: AddressLike, /) -> bytes: ...
def format_address(address: AddressLike, /) -> str: ...
