"""Providers: the shapes in which clouds and others publish their addresses, as data.

    name         what is published                                 label                  it is told by
    aws          ip-ranges.json                                    service, region        createDate, prefixes
    gcp          cloud.json, goog.json, and lists of crawlers      service, scope         creationTime, prefixes
    azure        ServiceTags_*.json                                name of the tag        changeNumber, cloud, values
    github       the answer of api.github.com/meta                 the key of the list    hooks, web
    cloudflare   the answer of its API, or ips-v4 and ips-v6       the network, if named  success, result.ipv4_cidrs
    fastly       the answer of public-ip-list                      none                   addresses, ipv6_addresses
    oracle       public_ip_ranges.json                             region, tags           last_updated_timestamp
    zscaler      cenr/json of a cloud: its enforcement nodes       city                   continent :, city :
    spamhaus     drop.txt, drop_v4.json and drop_v6.json           number of the case     cidr, sblid

`walks` reads them all and says what happens to unknown keys.  A document is of a shape if it has all the marks of it;
two shapes that both fit are for the user to choose between, which `lists` says.

Three decisions.  GitHub: each list of the document that has an address is read, whatever its name, so a new service of
theirs is not lost.  Zscaler: a client comes from `range`; the tunnel ends `gre`, `vpn` and `ext` are where routers of
customers connect to, so they are no entries.  Spamhaus: the line of metadata is passed over.
Threads: safe, keeps no state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._core import numbered_prefixes
from ..errors import quote
from .documents import parse_json, place_in
from .items import Filter, ListFileError
from .objects import load_json, numbered_values, walk_items
from .walks import Shape, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .items import Item, ListOptions, Parser

__all__ = ["SHAPES", "alike", "is_of_shape", "provider_parser"]

SHAPES: Final = {
    "aws": Shape(
        paths=("prefixes[].ip_prefix", "ipv6_prefixes[].ipv6_prefix"),
        marks=("createDate", "prefixes", "ipv6_prefixes"),
        labels=("service", "region"),
    ),
    "gcp": Shape(
        paths=("prefixes[].ipv4Prefix", "prefixes[].ipv6Prefix"),
        marks=("creationTime", "prefixes"),
        labels=("service", "scope"),
    ),
    "azure": Shape(
        paths=("values[].properties.addressPrefixes[]",),
        marks=("changeNumber", "cloud", "values"),
        labels=("name",),
    ),
    "github": Shape(
        paths=("{service}[]",),
        marks=("verifiable_password_authentication", "hooks", "web"),
        labels=("service",),
    ),
    "cloudflare": Shape(
        paths=("result.ipv4_cidrs[]", "result.ipv6_cidrs[]", "result.{network}_cidrs[]"),
        marks=("success", "result.ipv4_cidrs", "result.ipv6_cidrs"),
        labels=("network",),
    ),
    "fastly": Shape(
        paths=("addresses[]", "ipv6_addresses[]"),
        marks=("addresses", "ipv6_addresses"),
    ),
    "oracle": Shape(
        paths=("regions[].cidrs[].cidr",),
        marks=("last_updated_timestamp", "regions"),
        labels=("region", "tags"),
    ),
    "zscaler": Shape(
        paths=("{cloud}.continent :{continent}.city :{city}[].range", "svpnIPs[]", "svpnIPs[].range"),
        marks=("*.continent :*.city :*",),
        labels=("city",),
        aside=frozenset({"ext", "gre", "vpn"}),
    ),
    "spamhaus": Shape(
        paths=("cidr",),
        marks=("cidr", "sblid"),
        labels=("sblid",),
    ),
}
"""The published shapes.  That of "spamhaus" is the shape of one line."""

_IN_LINES: Final = frozenset({"spamhaus"})
"""Whose JSON is a document on each line."""
_AS_TEXT: Final = frozenset({"cloudflare", "spamhaus"})
"""Who publishes lists as text, too."""


def provider_parser(provider: str) -> Parser:
    """Make the parser of a provider's files."""
    walk = Walk(SHAPES[provider])
    read = _read_lines if provider in _IN_LINES else _read_document

    def parse(name: str, text: str, options: ListOptions) -> Iterator[Item]:
        if options.column is not None or options.label_column is not None:
            raise ListFileError(name, f"the format {provider} says which key is the prefix; --column is for json")
        if provider in _AS_TEXT and text.lstrip()[:1] not in ("{", "["):
            return _read_text(name, text, provider, options)
        return read(name, text, walk, options)

    return parse


def _read_document(name: str, text: str, walk: Walk, options: ListOptions) -> Iterator[Item]:
    wanted, document = Filter(name, options.where), load_json(name, text)
    yield from walk_items(name, document, walk, wanted)
    if lost := walk.shape.missing(document):
        raise ListFileError(name, f"the key {quote(lost)} is missing; is the file whole?")
    wanted.check()


def _read_lines(name: str, text: str, walk: Walk, options: ListOptions) -> Iterator[Item]:
    wanted = Filter(name, options.where)
    for line, value in numbered_values(name, text):
        if isinstance(value, dict) and value.get("type") == "metadata" and "cidr" not in value:
            continue
        yield from ((line, prefix, label) for _, prefix, label in walk_items(place_in(name, line), value, walk, wanted))
    wanted.check()


def _read_text(name: str, text: str, provider: str, options: ListOptions) -> Iterator[Item]:
    """Read a list as text; a comment behind an entry is its label, as Spamhaus writes it."""
    if options.where:
        raise ListFileError(name, f"{provider} as text has no fields, so --where cannot choose")
    lines = text.split("\n")
    for line, prefix in numbered_prefixes(text):
        yield line, prefix, lines[line - 1].partition(";")[2].strip() or None


# -- Which shape --------------------------------------------------------------


def is_of_shape(provider: str, text: str) -> bool:
    """Return whether a text is a document of a provider's shape; one that lacks its words is not parsed."""
    shape = SHAPES[provider]
    if not text.lstrip().startswith("{") or not all(word in text for word in shape.words):
        return False
    return shape.fits(_value_of(_first_line(text) if provider in _IN_LINES else text))


def alike(text: str) -> list[str]:
    """Name the providers whose shape a document has but for one mark."""
    whole, first = _value_of(text), _value_of(_first_line(text))
    return [name for name, shape in SHAPES.items() if shape.is_like(first if name in _IN_LINES else whole)]


def _first_line(text: str) -> str:
    return text.lstrip().partition("\n")[0]


def _value_of(text: str) -> object:
    """Give the value of a JSON text; None if it is no JSON."""
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return None
