"""Judges that are older than us: what the C library says about a text."""

import socket

MAPPED = bytes(10) + b"\xff\xff"
"""What an IPv4-mapped IPv6 address begins with."""


def inet_pton(text: str) -> bytes | None:
    """The packed address, a mapped one folded to IPv4, as we promise to fold it; None where the text is refused."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text).removeprefix(MAPPED)
        except (OSError, ValueError):  # ValueError: a NUL inside, or a lone surrogate
            continue
    return None
