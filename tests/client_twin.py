"""The slow obvious twin of the client room: everything is read, from the left, and only then judged.

    header lines --join with ","--> elements --read each--> (address or code) --> judged from the right

It differs from the library in how it reads, not in what it decides, so it can only be asked about chains in which every
element by itself is clear: no quotation marks that do not close.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

PORT = re.compile(r"(?P<host>.*?)(:(?P<port>\d{1,5}|_[A-Za-z0-9._-]+))?")


def read(node: str) -> IPv4Address | IPv6Address | str:
    """The address of a node, or the code of what it is."""
    try:
        return fold(ip_address(node)) if "%" not in node and is_canonical(node) else code_of(node)
    except ValueError:
        pass
    for pattern in (r"\[([^\]]*:[^\]]*)\](?::(.*))?", r"([^:]*):(.*)"):
        found = re.fullmatch(pattern, node, re.DOTALL)
        if found:
            host, port = found[1], found[2]
            if port is not None and not is_port(port):
                return "malformed"
            try:
                return fold(ip_address(host)) if "%" not in host and is_canonical(host) else code_of(host)
            except ValueError:
                return code_of(host)
    return code_of(node)


def is_canonical(text: str) -> bool:
    """What `ipaddress` takes and `inet_pton` does not is none of ours: only ASCII is an address."""
    return text.isascii()


def is_port(text: str) -> bool:
    if re.fullmatch(r"[0-9]{1,5}", text):
        return int(text) <= 65535
    return re.fullmatch(r"_[A-Za-z0-9._-]+", text) is not None


def fold(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def code_of(host: str) -> str:
    if host.lower() == "unknown":
        return "unknown"
    if re.fullmatch(r"_[A-Za-z0-9._-]+", host):
        return "obfuscated"
    before, percent, _ = host.partition("%")
    if percent and ":" in before:
        try:
            ip_address(before)
        except ValueError:
            return "malformed"
        return "zone"
    return "malformed"


def elements_of(lines: list[str]) -> list[str]:
    return [element for element in (part.strip(" \t") for part in ",".join(lines).split(",")) if element]


def trusted_proxies(prefixes: list[str], peer: str, lines: list[str]) -> str:
    """The address, or the code, by trusted proxies and a header like X-Forwarded-For."""
    networks = [ip_network(prefix) for prefix in prefixes]

    def is_trusted(address: IPv4Address | IPv6Address) -> bool:
        return any(address.version == network.version and address in network for network in networks)

    whom = read(peer)
    assert not isinstance(whom, str)
    if not is_trusted(whom):
        return str(whom)
    elements = elements_of(lines)
    if not elements:
        return "missing"
    for element in reversed(elements):
        found = read(element)
        if isinstance(found, str):
            return found
        if not is_trusted(found):
            return str(found)
    return "all_trusted"


def trusted_hops(count: int, lines: list[str]) -> str:
    """The address, or the code, by a number of hops."""
    elements = elements_of(lines)
    if not elements:
        return "missing"
    for number, element in enumerate(reversed(elements), start=1):
        found = read(element)
        if isinstance(found, str) and (number == count or found not in ("unknown", "obfuscated")):
            return found
        if number == count:
            return str(found)
    return "too_few"
