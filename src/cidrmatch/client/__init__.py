"""Who asks: finding the client's address, by one strategy that the host chooses.  Nothing here knows a key.

>>> from cidrmatch.client import TrustedProxies
>>> TrustedProxies(["10.0.0.0/8"]).find("10.0.0.7", [(b"x-forwarded-for", b"203.0.113.9")]).address
'203.0.113.9'
"""

from __future__ import annotations

from .common import only_line
from .proxy_protocol import Endpoint, ProxyHeader, ProxyProtocol, read_proxy_protocol
from .strategies import (
    ClientAddress,
    ClientStrategy,
    Headers,
    PeerAddress,
    SingleHeader,
    TrustedHops,
    TrustedProxies,
)
from .trusted import UNKNOWN_PEER

__all__ = [
    "UNKNOWN_PEER",
    "ClientAddress",
    "ClientStrategy",
    "Endpoint",
    "Headers",
    "PeerAddress",
    "ProxyHeader",
    "ProxyProtocol",
    "SingleHeader",
    "TrustedHops",
    "TrustedProxies",
    "only_line",
    "read_proxy_protocol",
]
