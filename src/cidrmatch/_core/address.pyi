from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

AddressLike: TypeAlias = str | bytes | IPv4Address | IPv6Address

def parse_address(address: AddressLike) -> bytes: ...
def format_address(address: AddressLike) -> str: ...
