"""Ready ways to ask for the addresses of a host name: each makes a resolver for `Puller`.

    dns_resolver()               by DNS, with the time to live of the answer; needs the extra `feeds`
    system_resolver(ttl=300)     by the system (/etc/hosts, NSS ...), which tells no time to live: the caller says it

A resolver of your own is any callable that takes a name and gives an `Answer`.  It raises OSError or LookupError if
there is none.

Plain DNS is not signed.  Whoever can forge answers between the resolver and its server can let himself in, for as long
as the time to live says.  Ask a server on the same machine that validates DNSSEC.

Threads: safe.  Source: RFC 1035; RFC 2308 (names without addresses).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Final

from .errors import FeedError
from .hosts import Answer, Resolver

__all__ = ["dns_resolver", "system_resolver"]

_KINDS: Final = ("A", "AAAA")


def dns_resolver(nameservers: Sequence[str] = (), *, seconds: float = 5.0) -> Resolver:
    """Make a resolver that asks by DNS.

    Args:
        nameservers: addresses, perhaps as "address#port"; by default those of the system.
        seconds: how long one question may take.
    Raises:
        FeedError: the extra is missing, or the system names no server.
    """
    try:
        import dns.exception  # noqa: PLC0415  an extra
        import dns.nameserver  # noqa: PLC0415
        import dns.resolver  # noqa: PLC0415
    except ModuleNotFoundError:
        raise FeedError("extra", "host names need their extra: pip install 'cidrmatch[feeds]'") from None
    try:
        asked = dns.resolver.Resolver(configure=not nameservers)
        if nameservers:
            asked.nameservers = [_nameserver(dns.nameserver.Do53Nameserver, text) for text in nameservers]
    except (dns.exception.DNSException, ValueError, OSError) as error:
        raise FeedError("nameservers", f"no name server can be asked: {error}") from None
    asked.lifetime = seconds

    def resolver(name: str) -> Answer:
        addresses: list[str] = []
        ttls: list[float] = []
        for kind in _KINDS:
            try:
                answer = asked.resolve(f"{name}.", kind, search=False)
            except dns.resolver.NoAnswer:  # the name has addresses of the other family only, or none
                continue
            except dns.exception.DNSException as error:
                raise LookupError(f"{kind}: {' '.join(str(error).split()) or type(error).__name__}") from error
            addresses += [record.address for record in answer]
            ttls.append(answer.chaining_result.minimum_ttl)
        return Answer(tuple(addresses), min(ttls, default=0.0))

    return resolver


def _nameserver(kind: Any, text: str) -> Any:
    address, _, port = text.partition("#")
    socket.getaddrinfo(address, None, flags=socket.AI_NUMERICHOST)
    return kind(address, int(port or 53))


def system_resolver(*, ttl: float) -> Resolver:
    """Make a resolver that asks the system.

    Args:
        ttl: seconds for which each answer is good, because the system does not say it.
    """

    def resolver(name: str) -> Answer:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return Answer(tuple(sorted({str(address[0]) for *_, address in found})), ttl)

    return resolver
