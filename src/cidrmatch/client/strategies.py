"""Who asks: one strategy finds the client's address, and says what it looked at.

A server knows its peer: the address at the other end of the connection.  Behind a proxy the peer is the proxy, and the
client's address stands in a header.  Anybody can send such a header, so only those parts of it are believed that a
trusted proxy wrote:

    client 203.0.113.9 --> proxy 10.0.0.8 --> proxy 10.0.0.7 --> us, and our peer is 10.0.0.7
    X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.8
                     ^ sent by the client   ^ written by 10.0.0.7
                              ^ written by 10.0.0.8

    PeerAddress()                            10.0.0.7       no proxy stands in front of us
    TrustedProxies(["10.0.0.0/8"])           203.0.113.9    the first address from the right that is not trusted
    TrustedHops(2)                           203.0.113.9    the second address from the right
    SingleHeader("x-real-ip", ["10.0.0.7"])                 the value of a header that only the proxy sets

A host chooses one strategy.  Nothing is guessed: if a header or an element cannot be used, no strategy tries a second
header, the next element or the peer.  Then there is *no address*, with a code that says why, and an engine denies the
request (C23).

Two rules keep this safe.  The list in a header is read from the right, and no further than needed; so what a client
writes further left changes nothing.  The header of a peer is believed only if the peer is trusted; a peer that is not
trusted is itself the client.

`CommonHeader` reads requests of a common form faster, with the same answer.

Cost: less than half a microsecond for a common request with a list of three addresses, some microseconds for other
requests.  A header may have up to 8,192 characters and 100 elements.
Threads: a strategy never changes, and keeps no state.
Source: B6, B28, C23; RFC 7239, RFC 9110 section 5.6.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeAlias

from .._core import format_address, parse_address
from ..errors import InvalidAddress, brief, quote
from .common import CommonHeader
from .forwarded import BLANK, FORWARDED, NodeError, check_port, grammar_of, packed_of
from .trusted import UNKNOWN_PEER, check_peer, check_switches, trusted_set

if TYPE_CHECKING:
    from .._core import AllowList, PrefixLike

__all__ = [
    "MOST_CHARACTERS",
    "MOST_ELEMENTS",
    "ClientAddress",
    "ClientStrategy",
    "Headers",
    "PeerAddress",
    "SingleHeader",
    "TrustedHops",
    "TrustedProxies",
]

MOST_CHARACTERS = 8_192
"""The most characters of all lines of one header together; with more there is no address ("too_long")."""
MOST_ELEMENTS = 100
"""The most elements of all lines of one header, empty ones included; with more there is no address ("too_many")."""

UNIX = "unix"
"""How a trail shows a peer on a UNIX socket."""

_OF_NAMES = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")

Headers: TypeAlias = Iterable[tuple[bytes, bytes]] | Iterable[tuple[str, str]] | Mapping[str, str]
"""Header lines in the order in which they came: pairs of `bytes` (ASGI) or of `str`, or a mapping with one line for
each name.  The case of names does not matter; a `str` holds the bytes as latin-1, as HTTP servers give them."""


class ClientAddress(NamedTuple):
    """Say who asks, or why nobody knows.

    Attributes:
        packed: the address, 4 or 16 bytes in network order, or None.
        problem: why there is none, a stable code, or None: "no_peer", "malformed_peer", "missing", "repeated",
            "malformed", "unknown", "obfuscated", "zone", "all_trusted", "too_few", "too_long", "too_many".
        trail: the elements that were looked at, from the peer on, as they were written.  They come from outside, so
            show them with `repr` or `ascii`, and cut them.

    Exactly one of `packed` and `problem` is None.  There is no truth value: ask `packed` or `problem`.
    """

    packed: bytes | None
    problem: str | None
    trail: tuple[str, ...]

    @property
    def address(self) -> str | None:
        """The address in canonical text (RFC 5952), or None."""
        return None if self.packed is None else format_address(self.packed)

    def __bool__(self) -> NoReturn:
        raise TypeError("a ClientAddress has no truth value; ask its .address or its .problem")

    def __repr__(self) -> str:
        whom = self.problem if self.packed is None else self.address
        return f"<ClientAddress {whom}, by {' < '.join(map(brief, self.trail)) or 'nothing'}>"


_TEXTS = (str, bytes)
_NO_PAIRS = "headers are pairs of a name and a value, each bytes or str"

_new = tuple.__new__
"""Makes a `ClientAddress` from its fields in half the time; used for the most frequent answers."""


class ClientStrategy(Protocol):
    """What every strategy can do."""

    def find(self, peer: str | None, headers: Headers = (), /) -> ClientAddress: ...  # find the client's address


class PeerAddress:
    """The peer is the client: no proxy stands in front, and no header is read.

    >>> PeerAddress().find("203.0.113.9", [(b"x-forwarded-for", b"6.6.6.6")])
    <ClientAddress 203.0.113.9, by '203.0.113.9'>
    """

    __slots__ = ()

    def find(self, peer: str | None, headers: Headers = (), /) -> ClientAddress:  # noqa: ARG002  as the others
        """Find the client's address.

        Args:
            peer: the address at the other end of the connection, as the server gives it; None or "" on a UNIX socket;
                `UNKNOWN_PEER` where the server does not say it.
            headers: not looked at.
        Returns:
            `ClientAddress`.  Never raises for what a client sent.
        """
        return _of_peer(peer)

    def __repr__(self) -> str:
        return "PeerAddress()"


class _BehindProxies:
    """The common part of the strategies that read a header: which peers are believed, and the text of the header."""

    __slots__ = ("_common", "_grammar", "_length", "_name", "_name_bytes", "_trusted", "_unix")

    def __init__(self, header: str, trusted: AllowList | None, unix: bool, port: str = "optional") -> None:
        if not isinstance(header, str) or not header or not set(header.lower()) <= _OF_NAMES:
            raise ValueError(f"{quote(header)} is no name of a header")
        check_switches(unix=unix)
        self._name = header.lower()
        self._name_bytes = self._name.encode("ascii")
        self._length = len(header)
        self._grammar = grammar_of(self._name, port)
        self._trusted = trusted
        self._unix = unix
        self._common: CommonHeader[ClientAddress] | None = None

    @property
    def header(self) -> str:
        """The name of the header that is read, in lower case."""
        return self._name

    def _read_common(self, port: str, **bounds: int) -> None:
        """Read common requests by `CommonHeader`, if an element may be an address without a port."""
        if port != "always" and self._grammar is not FORWARDED:
            self._common = CommonHeader(ClientAddress, self._trusted, self._name_bytes, **bounds)

    def _stranger(self, peer: str | None) -> ClientAddress | None:
        """Give the answer for a peer that is not believed; None if the peer is believed."""
        check_peer(peer)
        if not peer and self._unix:
            return None
        answer = _of_peer(peer)
        packed = answer.packed
        return None if packed is not None and (self._trusted is None or packed in self._trusted) else answer

    def _lines(self, headers: Headers) -> list[str | bytes]:
        """Give the values of all lines of the header."""
        length, name, name_bytes = self._length, self._name, self._name_bytes
        pairs: Any = headers if type(headers) is list else headers.items() if isinstance(headers, Mapping) else headers
        try:
            lines = [
                value
                for key, value in pairs
                if len(key) == length
                and (key.lower() == name_bytes if isinstance(key, bytes) else str.lower(key) == name)
            ]
        except (TypeError, ValueError) as error:
            raise TypeError(_NO_PAIRS) from error
        for line in lines:
            if not isinstance(line, _TEXTS):
                raise TypeError(f"{_NO_PAIRS}; the value of {self._name} is {type(line).__name__}")
        return lines

    def _shown(self, *more: str) -> str:
        said = [*more, f"header={self._name!r}"]
        if self._trusted is not None:
            said.insert(0, f"<{len(self._trusted)} trusted prefixes>")
        return f"{type(self).__name__}({', '.join([*said, *(['unix=True'] if self._unix else [])])})"


class TrustedProxies(_BehindProxies):
    """The client is the first address from the right that is not a trusted proxy.

    Args:
        prefixes: the proxies, as an `AllowList` takes them.  Never the addresses of clients.
        header: "forwarded" is read by RFC 7239; any other name as a list like that of X-Forwarded-For.
        port: "optional", "never", or "always" for proxies that write a port behind every address, also behind IPv6
            without brackets.
        unix: whether a peer on a UNIX socket is trusted; only then `prefixes` may be empty.
        trust_everyone: whether `prefixes` may contain all addresses of a family, so that any peer can name any client.
    Raises:
        ValueError, TypeError: the prefixes are refused, or the header's name, or the port.

    A peer that is not trusted is the client itself, and its header is not read.  If all addresses are trusted, there is
    no client ("all_trusted").  If an element on the way cannot be read, there is no client either.

    >>> proxies = TrustedProxies(["10.0.0.0/8"])
    >>> proxies.find("10.0.0.7", [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.9, 10.0.0.8")])
    <ClientAddress 203.0.113.9, by '10.0.0.7' < '10.0.0.8' < '203.0.113.9'>
    >>> proxies.find("198.51.100.1", [(b"x-forwarded-for", b"203.0.113.9")]).address
    '198.51.100.1'
    >>> proxies.find("10.0.0.7").problem
    'missing'
    """

    __slots__ = ()
    _trusted: AllowList

    def __init__(
        self,
        prefixes: Iterable[PrefixLike],
        *,
        header: str = "x-forwarded-for",
        port: str = "optional",
        unix: bool = False,
        trust_everyone: bool = False,
    ) -> None:
        trusted = trusted_set(prefixes, trust_everyone=trust_everyone, may_be_empty=unix is True)
        super().__init__(header, trusted, unix, port)
        self._read_common(port, count=0)

    def find(self, peer: str | None, headers: Headers = (), /) -> ClientAddress:
        """Find the client's address.

        Args:
            peer: the address at the other end of the connection, as the server gives it; None or "" on a UNIX socket;
                `UNKNOWN_PEER` where the server does not say it.
            headers: all header lines of the request.
        Returns:
            `ClientAddress`.  Never raises for what a client sent.
        Raises:
            TypeError: the peer is no text, or the headers are no pairs of `bytes` or `str`.
        """
        if self._common is not None and (answer := self._common.find(peer, headers)) is not None:
            return answer
        stranger = self._stranger(peer)
        if stranger is not None:
            return stranger
        trail = [peer or UNIX]
        trusted, (elements, packed_of_element) = self._trusted, self._grammar
        try:
            for element in elements(_joined(self._lines(headers))):
                trail.append(element)
                packed = packed_of_element(element)
                if packed not in trusted:
                    return ClientAddress(packed, None, tuple(trail))
            raise NodeError("all_trusted" if len(trail) > 1 else "missing")
        except NodeError as error:
            return ClientAddress(None, error.code, tuple(trail))

    def __repr__(self) -> str:
        return self._shown()


class TrustedHops(_BehindProxies):
    """The client is the value at position `count` from the right, because `count` proxies are in front.

    Args:
        count: how many values the proxies wrote, from 1.
        header: as for `TrustedProxies`.
        trusted: the peers that are believed, as prefixes.  None believes every peer; then only the proxies may be able
            to reach the port.
        unix, trust_everyone: as for `TrustedProxies`.
    Raises:
        ValueError, TypeError: the count is no whole number from 1 to 100; or as `TrustedProxies`.

    With fewer values there is no address ("too_few").  Values before the client's may be "unknown" or obfuscated,
    because they name proxies.  If a value cannot be read, there is no address.

    >>> TrustedHops(2).find("10.0.0.7", [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.9, 10.0.0.8")]).address
    '203.0.113.9'
    """

    __slots__ = ("_count",)

    def __init__(
        self,
        count: int,
        *,
        header: str = "x-forwarded-for",
        trusted: Iterable[PrefixLike] | None = None,
        unix: bool = False,
        trust_everyone: bool = False,
    ) -> None:
        if type(count) is not int:
            raise TypeError(f"a count of hops is a whole number, not {type(count).__name__}")
        if not 1 <= count <= MOST_ELEMENTS:
            raise ValueError(f"a count of hops is 1 to {MOST_ELEMENTS}, not {count}; PeerAddress() is for none")
        believed = (
            None if trusted is None else trusted_set(trusted, trust_everyone=trust_everyone, may_be_empty=unix is True)
        )
        super().__init__(header, believed, unix)
        self._count = count
        self._read_common("optional", count=count)

    def find(self, peer: str | None, headers: Headers = (), /) -> ClientAddress:
        """Find the client's address: arguments, answer and errors as those of `TrustedProxies.find`."""
        if self._common is not None and (answer := self._common.find(peer, headers)) is not None:
            return answer
        stranger = self._stranger(peer)
        if stranger is not None:
            return stranger
        trail = [peer or UNIX]
        left, (elements, packed_of_element) = self._count, self._grammar
        try:
            for element in elements(_joined(self._lines(headers))):
                trail.append(element)
                left -= 1
                try:
                    packed = packed_of_element(element)
                except NodeError as error:
                    if left == 0 or error.code not in ("unknown", "obfuscated"):
                        raise
                    continue
                if left == 0:
                    return ClientAddress(packed, None, tuple(trail))
            raise NodeError("too_few" if len(trail) > 1 else "missing")
        except NodeError as error:
            return ClientAddress(None, error.code, tuple(trail))

    def __repr__(self) -> str:
        return self._shown(str(self._count))


class SingleHeader(_BehindProxies):
    """The client is the value of a header that the proxy sets; the proxy replaces what a client sent in this header.

    Args:
        name: the header, such as "cf-connecting-ip" or "x-real-ip".
        trusted: the peers that are believed, as prefixes.
        port: "optional", "never", or "always" for a header that always ends with a port, even behind IPv6 without
            brackets.
        unix, trust_everyone: as for `TrustedProxies`.
    Raises:
        ValueError, TypeError: as `TrustedProxies`; or the port is another word.

    The header must have one line with one value.  With a second line there is no address ("repeated"), because one of
    the lines may be the client's own.

    >>> SingleHeader("x-real-ip", ["10.0.0.7"]).find("10.0.0.7", [(b"x-real-ip", b"203.0.113.9")]).address
    '203.0.113.9'
    """

    __slots__ = ("_port",)

    def __init__(
        self,
        name: str,
        trusted: Iterable[PrefixLike],
        *,
        port: str = "optional",
        unix: bool = False,
        trust_everyone: bool = False,
    ) -> None:
        believed = trusted_set(trusted, trust_everyone=trust_everyone, may_be_empty=unix is True)
        super().__init__(name, believed, unix)
        check_port(port)
        self._port = port
        self._read_common(port, count=1, most_commas=0)

    def find(self, peer: str | None, headers: Headers = (), /) -> ClientAddress:
        """Find the client's address: arguments, answer and errors as those of `TrustedProxies.find`."""
        if self._common is not None and (answer := self._common.find(peer, headers)) is not None:
            return answer
        stranger = self._stranger(peer)
        if stranger is not None:
            return stranger
        trail = [peer or UNIX]
        try:
            lines = self._lines(headers)
            if len(lines) > 1:
                raise NodeError("repeated")
            element = _joined(lines).strip(BLANK)
            if not element:
                raise NodeError("missing")
            trail.append(element)
            return ClientAddress(packed_of(element, self._port), None, tuple(trail))
        except NodeError as error:
            return ClientAddress(None, error.code, tuple(trail))

    def __repr__(self) -> str:
        return self._shown()


def _joined(lines: list[str | bytes]) -> str:
    """Join the lines of a header as RFC 9110 section 5.3 does, within the bounds."""
    if len(lines) == 1:
        (line,) = lines
        text = line if isinstance(line, str) else line.decode("latin-1")
    else:
        if not lines:
            raise NodeError("missing")
        if sum(map(len, lines)) > MOST_CHARACTERS:
            raise NodeError("too_long")
        text = ",".join([line if isinstance(line, str) else line.decode("latin-1") for line in lines])
    if len(text) >= MOST_ELEMENTS:
        if len(text) > MOST_CHARACTERS:
            raise NodeError("too_long")
        if text.count(",") >= MOST_ELEMENTS:
            raise NodeError("too_many")
    return text


def _of_peer(peer: str | None) -> ClientAddress:
    """Give the peer as the client."""
    check_peer(peer)
    if not peer:
        return ClientAddress(None, "no_peer", ())
    try:
        return _new(ClientAddress, (parse_address(peer), None, (peer,)))
    except InvalidAddress as error:
        if peer == UNKNOWN_PEER:
            return ClientAddress(None, "no_peer", ())
        return ClientAddress(None, "zone" if error.code == "zone_id" else "malformed_peer", (peer,))
