r"""The PROXY protocol: before the client's first byte, a proxy sends a header that says who connected to it.

    version 1   PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n          a line, at most 107 bytes
    version 2   [ \r\n\r\n\0\r\nQUIT\n | 2 1 | 1 1 | length ][ addresses ][ type | length | value ] ...
                  12 bytes              |     |     2 bytes   12, 36 or 216   TLVs, up to the length
                                        |     family and transport
                                        version and command

`read_proxy_protocol` reads the bytes that have arrived so far.  It answers "more" until the header is whole; then "ok"
with the content, or "bad" with a code.  It never reads behind the header.  Nothing is repaired: a header that does not
follow the specification is bad, and the caller has to close the connection.

This header is as dangerous as a forwarded header: whoever may send it can name any client.  So `ProxyProtocol` requires
it from trusted peers, and refuses it from all others.  In no mode is the header optional.

The answer does not depend on the pieces in which a header arrives.  If you ask after each piece, the answer is "more"
until the last byte of a good header.  After "bad" or "ok", more bytes do not change the answer.

Cost: some microseconds for a header; with a checksum, 0.1 microseconds for each byte.
Threads: keeps no state.
Source: HAProxy Technologies, The PROXY protocol, versions 1 and 2 (proxy-protocol.txt, 2026/04/27).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, TypeAlias

from .._core import format_address, parse_address
from ..errors import InvalidAddress, quote
from .trusted import check_peer, check_switches, trusted_set

if TYPE_CHECKING:
    from .._core import PrefixLike

__all__ = ["MOST_ANNOUNCED", "Endpoint", "ProxyHeader", "ProxyProtocol", "read_proxy_protocol"]

MOST_ANNOUNCED = 4_096
"""The largest length that a header of version 2 may announce, by default."""

_LINE_START: Final = b"PROXY"
_LINE_STARTS = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN ", b"PROXY UNKNOWN\r")
_MOST_OF_LINE = 107
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED = 16
"""Bytes of version 2 before the addresses."""

_COMMANDS = {0x20: "local", 0x21: "proxy"}
_SIZES = {0: 0, 1: 4, 2: 16, 3: 108}
"""Bytes of one address of each family; IPv4 and IPv6 have a port in addition."""
_TRANSPORTS = {0: None, 1: "stream", 2: "datagram"}

CRC32C, UNIQUE_ID, SSL = 0x03, 0x05, 0x20
"""The types of TLV whose length is limited."""
_BOUNDS = {CRC32C: (4, 4), UNIQUE_ID: (0, 128), SSL: (5, 0xFFFF)}

_Bytes: TypeAlias = bytes | bytearray | memoryview


class Endpoint(NamedTuple):
    """One end of a connection.

    Attributes:
        address: canonical text; for a UNIX socket "unix:" and its escaped path, so that no path looks like an address.
        port: 0 to 65535; None for a UNIX socket.
    """

    address: str
    port: int | None


class ProxyHeader(NamedTuple):
    """Hold what was read so far.

    Attributes:
        status: "ok", "more" (not whole yet) or "bad".
        problem: why it is bad, a stable code, or None: "signature", "too_long", "malformed", "version", "family",
            "length", "tlv", "checksum", "not_trusted".
        consumed: how many bytes the header has; the bytes behind them are the client's. 0 unless the status is "ok".
        version: 1 or 2, or None where there is no header.
        command: "proxy", or "local" for a connection of the proxy's own, such as a health check; None where there is
            no header.
        source, destination: both ends as the proxy saw them; None for "local", and if the proxy does not say.
        transport: "stream", "datagram" or None.
        tlvs: pairs of type and value, in their order.
    """

    status: str
    problem: str | None = None
    consumed: int = 0
    version: int | None = None
    command: str | None = None
    source: Endpoint | None = None
    destination: Endpoint | None = None
    transport: str | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a ProxyHeader has no truth value; ask its .status")


_MORE = ProxyHeader("more")


class _RefusedError(Exception):
    """Carries the code of a problem from where it is found to the answer."""


def read_proxy_protocol(data: _Bytes, /, *, limit: int = MOST_ANNOUNCED) -> ProxyHeader:
    r"""Read the header at the beginning of a connection.

    Args:
        data: all bytes that have arrived so far.
        limit: the largest length that version 2 may announce, 216 to 65535.
    Returns:
        `ProxyHeader`.  Never raises for what a peer sent.
    Raises:
        TypeError: the data are no bytes.
        ValueError: the limit is another number.

    >>> header = read_proxy_protocol(b"PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\nGET /")
    >>> header.status, header.source, header.consumed
    ('ok', Endpoint(address='203.0.113.9', port=56324), 47)
    >>> read_proxy_protocol(b"PROXY TC").status, read_proxy_protocol(b"GET / HTTP/1.1").problem
    ('more', 'signature')
    """
    _check_limit(limit)
    start = _first(data, _FIXED + limit)
    try:
        if start.startswith(_SIGNATURE):
            return _read_binary(start, limit)
        if start.startswith(_LINE_START):
            return _read_line(start[:_MOST_OF_LINE])
    except _RefusedError as refused:
        return _bad(str(refused))
    return _MORE if _may_be_header(start) else _bad("signature")


def _check_limit(limit: int) -> None:
    """Raise unless every kind of address fits into the limit."""
    if type(limit) is not int or not 216 <= limit <= 0xFFFF:
        raise ValueError(f"a limit is a whole number of bytes from 216 to 65535, not {quote(limit)}")


def _first(data: _Bytes, count: int) -> bytes:
    """Copy the first `count` bytes, or all if there are fewer."""
    if not isinstance(data, _Bytes):
        raise TypeError(f"what arrived is bytes, not {type(data).__name__}")
    return bytes(data[:count])


def _may_be_header(start: bytes) -> bool:
    """Tell whether these bytes may be the beginning of a header of either version."""
    return _SIGNATURE.startswith(start) or _LINE_START.startswith(start)


def _bad(problem: str) -> ProxyHeader:
    return ProxyHeader("bad", problem)


# Version 1


def _read_line(data: bytes) -> ProxyHeader:
    """Read a line of at most 107 bytes; CR and LF are only at its end, together."""
    end = data.find(b"\r\n")
    line = data[:end] if end >= 0 else data.removesuffix(b"\r")
    if not any(start.startswith(data[: len(start)]) for start in _LINE_STARTS) or b"\r" in line or b"\n" in line:
        raise _RefusedError("malformed")
    if end < 0:
        if len(data) == _MOST_OF_LINE:
            raise _RefusedError("too_long")
        return _MORE
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":  # the rest of the line has no meaning
        return ProxyHeader("ok", None, end + 2, 1, "proxy")
    if len(words) != 6:
        raise _RefusedError("malformed")
    family = 4 if words[1] == b"TCP4" else 6
    source, destination = _read_endpoint(words[2], words[4], family), _read_endpoint(words[3], words[5], family)
    return ProxyHeader("ok", None, end + 2, 1, "proxy", source, destination, "stream")


def _read_endpoint(address: bytes, port: bytes, family: int) -> Endpoint:
    """Read an address and a port, in exactly the form that the specification requires."""
    if not _is_port(port):
        raise _RefusedError("malformed")
    try:
        text = address.decode("ascii")
        packed = parse_address(text)
    except (UnicodeDecodeError, InvalidAddress):
        raise _RefusedError("malformed") from None
    if (":" in text) != (family == 6):
        raise _RefusedError("malformed")
    return Endpoint(format_address(packed), int(port))


def _is_port(digits: bytes) -> bool:
    return digits.isdigit() and len(digits) <= 5 and (digits == b"0" or digits[:1] != b"0") and int(digits) <= 0xFFFF


# Version 2


def _read_binary(data: bytes, limit: int) -> ProxyHeader:
    command = "local" if len(data) < 13 else _COMMANDS.get(data[12])
    if command is None:
        raise _RefusedError("version")
    if len(data) < _FIXED:
        return _MORE
    end = _FIXED + int.from_bytes(data[14:16], "big")
    if end > _FIXED + limit:
        raise _RefusedError("too_long")
    family, transport = data[13] >> 4, data[13] & 0x0F
    is_known = family in _SIZES and transport in _TRANSPORTS and (family == 0) == (transport == 0)
    if command == "proxy" and not is_known:
        raise _RefusedError("family")
    if len(data) < end:
        return _MORE
    behind = _FIXED + 2 * _SIZES.get(family, 0) + (4 if family in (1, 2) else 0)
    if command == "local":
        _check_local(data[:end], behind)
        return ProxyHeader("ok", None, end, 2, command)
    if end < behind:
        raise _RefusedError("length")
    tlvs = _read_tlvs(data[behind:end])
    _check_sum(data[:end], tlvs, behind)
    source = destination = None
    if family:
        source, destination = _endpoints(data[_FIXED:behind], family, _SIZES[family])
    return ProxyHeader("ok", None, end, 2, command, source, destination, _TRANSPORTS[transport], tlvs)


def _check_local(header: bytes, behind: int) -> None:
    """Refuse a wrong checksum; everything else in the block is ignored.

    Without this, one wrong bit could turn a header with a checksum into "local", a connection of the proxy's own.
    """
    try:
        tlvs = _read_tlvs(header[behind:])
    except _RefusedError:
        return
    _check_sum(header, tlvs, behind)


def _endpoints(block: bytes, family: int, size: int) -> tuple[Endpoint, Endpoint]:
    ends = block[:size], block[size : 2 * size]
    if family == 3:
        first, second = ("unix:" + ascii(end.rstrip(b"\0").decode("latin-1"))[1:-1] for end in ends)
        return Endpoint(first, None), Endpoint(second, None)
    ports = block[2 * size :]
    first, second = map(format_address, ends)
    return Endpoint(first, int.from_bytes(ports[:2], "big")), Endpoint(second, int.from_bytes(ports[2:], "big"))


def _read_tlvs(block: bytes) -> tuple[tuple[int, bytes], ...]:
    """Read types, lengths and values, which must fill the block exactly."""
    found = []
    at = 0
    while at < len(block):
        begin = at + 3
        end = begin + int.from_bytes(block[at + 1 : begin], "big")
        if end > len(block):
            raise _RefusedError("tlv")
        found.append((block[at], block[begin:end]))
        at = end
    for kind, value in found:
        least, most = _BOUNDS.get(kind, (0, len(block)))
        if not least <= len(value) <= most:
            raise _RefusedError("tlv")
    if [kind for kind, _ in found].count(CRC32C) > 1:
        raise _RefusedError("tlv")
    return tuple(found)


def _check_sum(header: bytes, tlvs: tuple[tuple[int, bytes], ...], at: int) -> None:
    """Compare the checksum, if there is one, with the checksum of the header with zeros in its place."""
    for kind, value in tlvs:
        if kind == CRC32C:
            zeroed = header[: at + 3] + bytes(4) + header[at + 7 :]
            if crc32c(zeroed) != int.from_bytes(value, "big"):
                raise _RefusedError("checksum")
        at += 3 + len(value)


def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        found.append(value)
    return tuple(found)


_CRC_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Compute CRC-32C (Castagnoli; RFC 3720 appendix B.4), which `zlib` does not have.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC_TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


# Who may send it


class ProxyProtocol:
    """Require the header from trusted peers, and refuse it from all others.

    Args:
        trusted: the proxies, as an `AllowList` takes them.
        limit: the length that version 2 may announce.
        unix, trust_everyone: as for `TrustedProxies`.
    Raises:
        ValueError, TypeError: as `TrustedProxies`.

    >>> proxies = ProxyProtocol(["10.0.0.0/8"])
    >>> proxies.read("10.0.0.7", b"GET / HTTP/1.1").problem
    'signature'
    >>> proxies.read("198.51.100.1", b"PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\\r\\n").problem
    'not_trusted'
    """

    __slots__ = ("_limit", "_trusted", "_unix")

    def __init__(
        self,
        trusted: Iterable[PrefixLike],
        *,
        limit: int = MOST_ANNOUNCED,
        unix: bool = False,
        trust_everyone: bool = False,
    ) -> None:
        _check_limit(limit)
        check_switches(unix=unix)
        self._trusted = trusted_set(trusted, trust_everyone=trust_everyone)
        self._limit = limit
        self._unix = unix

    def read(self, peer: str | None, data: _Bytes, /) -> ProxyHeader:
        """Read the header at the beginning of a connection from this peer.

        Args:
            peer: the address at the other end of the connection; None or "" on a UNIX socket.
            data: all bytes that have arrived so far.
        Returns:
            `ProxyHeader`.  For a peer that is not trusted: "bad" if the data begins with a header, "more" if that is
            not clear yet, else "ok" with nothing consumed and the peer itself as the source, without a port.
        """
        if self._is_trusted(peer):
            return read_proxy_protocol(data, limit=self._limit)
        start = _first(data, len(_SIGNATURE))
        if start.startswith((_LINE_START, _SIGNATURE)):
            return _bad("not_trusted")
        if _may_be_header(start):
            return _MORE
        try:
            return ProxyHeader("ok", source=Endpoint(format_address(peer or ""), None))
        except InvalidAddress:
            return _bad("not_trusted")

    def _is_trusted(self, peer: str | None) -> bool:
        check_peer(peer)
        try:
            return peer in self._trusted if peer else self._unix
        except InvalidAddress:
            return False
