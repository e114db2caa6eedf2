"""The elements of a forwarding header, read from the right.

Each proxy adds the address of its own peer at the right end.  The elements further left were there before, and a client
may have written them:

    X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.8          written by  [client] [proxy 10.0.0.8] [proxy that asks us]
    Forwarded: for=6.6.6.6, for="[2001:db8::1]:443";proto=https, for=10.0.0.8
                                                      <------- read in this direction, and no further than needed

So elements are cut off at the right end.  What is left of an element's comma cannot change its meaning, not even an
unclosed quoted string.  Empty elements are skipped (RFC 9110 section 5.6.1).

An element names a node: an address, optionally in brackets and with a port.  Other elements have a code:

    unknown        "unknown" (RFC 7239 section 6.2)
    obfuscated     "_hidden" (section 6.3)
    zone           "fe80::1%eth0": a zone names an interface of one machine
    malformed      anything else

Cost: proportional to the elements that are read.
Threads: keeps no state.
Source: RFC 7239 sections 4 and 6, RFC 9110 sections 5.6.1 to 5.6.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from .._core import parse_address
from ..errors import InvalidAddress, quote

__all__ = ["BLANK", "FORWARDED", "LIST", "Grammar", "NodeError", "check_port", "grammar_of", "packed_of"]

BLANK = " \t"
"""White space inside a header: OWS of RFC 9110."""

_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_MOST_PORT = 65_535
_OBFUSCATED = re.compile(r"_[A-Za-z0-9._-]+", re.ASCII)
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_PAIR = re.compile(rf"({_WORD})=({_WORD}|{_QUOTED})", re.ASCII)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class NodeError(ValueError):
    """Say why an element names no address; the essay above lists the codes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Grammar(NamedTuple):
    """How a header is read: `elements` yields elements from the right, `packed` reads the address of one.

    An element is cut off only when it is asked for.  Empty elements are skipped.  Both functions raise `NodeError`.
    """

    elements: Callable[[str], Iterator[str]]
    packed: Callable[[str], bytes]


def _elements_of_list(text: str) -> Iterator[str]:
    """Yield the elements of a list like that of X-Forwarded-For, from the right."""
    while text:
        text, _, element = text.rpartition(",")
        if element := element.strip(BLANK):
            yield element


def _elements_of_forwarded(text: str) -> Iterator[str]:
    """Yield the elements of a `Forwarded` list, from the right; a comma in a quoted string separates nothing."""
    while text:
        begin = _begin_of_last(text)
        if element := text[begin:].strip(BLANK):
            yield element
        text = text[: begin - 1] if begin else ""


def _begin_of_last(text: str) -> int:
    """Find where the last element begins: behind the last comma that is not inside a quoted string."""
    comma, end = text.rfind(","), len(text)
    while (quotation := text.rfind('"', comma + 1, end)) >= 0:
        end = _opening(text, quotation)
        if end < comma:  # the comma stands in that quoted string
            comma = text.rfind(",", 0, end)
    return comma + 1


def _opening(text: str, closing: int) -> int:
    """Find the mark that opens the quoted string that ends at `closing`: the nearest one that is not escaped."""
    at = text.rfind('"', 0, closing)
    while at >= 0:
        begin = at
        while begin > 0 and text[begin - 1] == "\\":
            begin -= 1
        if (at - begin) % 2 == 0:
            return at
        at = text.rfind('"', 0, begin)
    raise NodeError("malformed")


def _node_of(element: str) -> str:
    """Read the node in `for` of an element of `Forwarded`; an element without `for` names nobody ("unknown")."""
    found: dict[str, str] = {}
    at = 0
    while at < len(element):
        if element[at] != ";":
            pair = _PAIR.match(element, at)
            if pair is None or pair[1].lower() in found:
                raise NodeError("malformed")
            found[pair[1].lower()] = pair[2]
            at = pair.end()
            if at < len(element) and element[at] != ";":
                raise NodeError("malformed")
        at += 1
    node = found.get("for")
    if node is None:
        raise NodeError("unknown" if found else "malformed")
    return _ESCAPED.sub(r"\1", node[1:-1]) if node[0] == '"' else node


def packed_of(node: str, port: str = "optional") -> bytes:
    """Read the address of a node: 4 or 16 bytes; an IPv4-mapped address becomes IPv4.

    Args:
        node: an address, optionally in brackets and with a port.
        port: "optional"; "never"; or "always": the last colon begins the port, also behind IPv6 without brackets.
    Raises:
        NodeError: it is no address.
    """
    if ":" in node and (port == "always" or node[0] == "[" or node.count(":") == 1):
        node = _host_of(node, port)
    elif port == "always":
        raise NodeError("malformed")
    try:
        return parse_address(node)
    except InvalidAddress as error:
        code = "zone" if error.code == "zone_id" else "malformed"
    if node.lower() == "unknown":
        code = "unknown"
    elif _OBFUSCATED.fullmatch(node):
        code = "obfuscated"
    raise NodeError(code)


def _host_of(node: str, port: str) -> str:
    """Take brackets and port off a node with a colon; the result need not be an address."""
    if port == "always":
        host, _, digits = node.rpartition(":")
        if host[:1] + host[-1:] == "[]":
            host = host[1:-1]
        rest = ":" + digits
    elif node[0] == "[":
        host, bracket, rest = node[1:].partition("]")
        if not bracket or ":" not in host:
            raise NodeError("malformed")
    else:
        host, _, digits = node.partition(":")
        rest = ":" + digits
    if rest and (port == "never" or not _is_port(rest)):
        raise NodeError("malformed")
    return host


def _is_port(text: str) -> bool:
    """Tell whether a text is a colon and a port, in digits or obfuscated (RFC 7239 section 6)."""
    port = text[1:]
    if text[0] != ":":
        return False
    if _PORT.fullmatch(port):
        return int(port) <= _MOST_PORT
    return _OBFUSCATED.fullmatch(port) is not None


def _packed_of_pairs(element: str) -> bytes:
    """Read the address of an element of `Forwarded`; there, IPv6 must be in brackets."""
    node = _node_of(element)
    if node.count(":") > 1 and node[0] != "[":
        raise NodeError("malformed")
    return packed_of(node)


LIST = Grammar(_elements_of_list, packed_of)
FORWARDED = Grammar(_elements_of_forwarded, _packed_of_pairs)


def check_port(port: str) -> None:
    """Raise ValueError unless this is a word for `port` that `packed_of` takes."""
    if port not in ("optional", "never", "always"):
        raise ValueError(f"port is 'optional', 'never' or 'always', not {quote(port)}")


def grammar_of(header: str, port: str = "optional") -> Grammar:
    """Give the grammar of a header by its name in lower case: RFC 7239 for "forwarded", else a plain list.

    Raises:
        ValueError: the port is another word; or it is not "optional" for "forwarded", whose elements show whether there
            is a port.
    """
    check_port(port)
    if port == "optional":
        return FORWARDED if header == "forwarded" else LIST
    if header == "forwarded":
        raise ValueError(f"an element of Forwarded shows its port, so port={port!r} is not for it")
    return Grammar(_elements_of_list, partial(packed_of, port=port))
