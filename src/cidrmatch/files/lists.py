"""Lists as people keep them: the table of all formats, and the one function that reads a file.

    office.txt           office.csv         office.json                 office.toml
    # the office         prefix,label       ["203.0.113.5",             entries = [
    203.0.113.5          203.0.113.5,HQ      {"prefix": "10.0.0.0/8",     "203.0.113.5",
    10.0.0.0/8   # VPN   10.0.0.0/8,VPN       "label": "VPN"}]            { prefix = "10.0.0.0/8", label = "VPN" },
                                                                        ]
    office.txt:2         office.csv:2       office.json:[0]             office.toml:entries[0]

The last row shows the *place* of "203.0.113.5" in each file.  The place is the line.  If the parser of a format gives
no lines, it is the position in the document.

The result is pairs of texts, (prefix, label), as they were written.  `parse_entry` decides whether a text is a prefix.
A policy decides what a product accepts.  `documents` turns a file into text and plain values.

    READERS: a row for each format       parser                 files of the suffix, and how it is told
    TEXT                                 in this room           .txt, .netset, .ipset
    CSV, JSON, JSONL, TOML               sheets, objects        .csv, .json, .jsonl, .ndjson, .toml
    AWS ... SPAMHAUS                     providers, walks       in .json, by the marks of its shape
    GEOFEED, MAXMIND, CROWDSEC           sheets                 in .csv, by its header or first row
    NGINX ... TERRAFORM_JSON             dialects               only if the caller names it

There are two rules.  Nothing is guessed: the suffix or the caller says the format.  A published shape is recognized in
a file of its suffix, if the file fits that shape and no other.  If two fit, the error names both.  What the caller says
is never overridden.  Nothing is lost: an unknown column, a key that is written twice and a row that is too long are
errors.  Each of these might be an entry that somebody believes to be in force.

Cost: the whole file is in memory, some hundred bytes an entry.
Threads: safe, keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._core import numbered_prefixes
from ..errors import brief
from .dialects.table import READ, dialect_parser
from .documents import STDIN, DocumentError, name_of, place_in, read_text
from .items import ListFileError, ListOptions
from .objects import is_own_document, parse_json_lines, parse_json_list, parse_toml_list
from .providers import SHAPES, alike, is_of_shape, provider_parser
from .sheets import SHEETS, is_own_sheet, is_sheet, parse_csv, sheet_parser
from .spans import split_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .items import Item, Mark, Parser

__all__ = ["READERS", "Format", "ListFile", "ListFileError", "Reader", "read_list"]


class Format(StrEnum):
    """The format of a file with a list."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    TOML = "toml"
    AWS = "aws"
    AZURE = "azure"
    CLOUDFLARE = "cloudflare"
    CROWDSEC = "crowdsec"
    FASTLY = "fastly"
    GCP = "gcp"
    GEOFEED = "geofeed"
    GITHUB = "github"
    MAXMIND = "maxmind"
    ORACLE = "oracle"
    SPAMHAUS = "spamhaus"
    ZSCALER = "zscaler"
    NGINX = "nginx"
    NGINX_GEO = "nginx-geo"
    HAPROXY_ACL = "haproxy-acl"
    HAPROXY_MAP = "haproxy-map"
    CADDY = "caddy"
    CADDY_JSON = "caddy-json"
    TRAEFIK_YAML = "traefik-yaml"
    TRAEFIK_TOML = "traefik-toml"
    ENVOY_RBAC = "envoy-rbac"
    KONG = "kong"
    APISIX = "apisix"
    APACHE = "apache"
    IPTABLES = "iptables"
    IP6TABLES = "ip6tables"
    IPSET = "ipset"
    NFT = "nft"
    AWS_WAF = "aws-waf"
    AWS_SECURITY_GROUP = "aws-security-group"
    AZURE_NSG = "azure-nsg"
    GCP_FIREWALL = "gcp-firewall"
    CLOUDFLARE_LIST = "cloudflare-list"
    CLOUDFLARE_CSV = "cloudflare-csv"
    TERRAFORM = "terraform"
    TERRAFORM_JSON = "terraform-json"


@dataclass(frozen=True, slots=True)
class Reader:
    """Hold what is known of one format.

    Attributes:
        parse: the parser.
        suffixes: of files that have this format, unless they fit another one.
        inside: the format whose suffixes such files have; None if only the caller can name the format.
        fits: whether a text has the shape of this format.
        has_fields: whether the options about fields make sense.
        has_picks: whether a file may have several lists, of which the user picks one.
    """

    parse: Parser
    suffixes: tuple[str, ...] = ()
    inside: Format | None = None
    fits: Callable[[str], bool] | None = None
    has_fields: bool = True
    has_picks: bool = False


def _parse_text(name: str, text: str, _options: ListOptions) -> Iterator[Item]:
    if text.startswith("{"):
        raise ListFileError(name, "is not a list as text, but looks like JSON; name its format, such as --format json")
    return iter([(line, prefix, None) for line, prefix in numbered_prefixes(text)])  # a generator would take longer


READERS: Final[dict[Format, Reader]] = {
    Format.TEXT: Reader(_parse_text, (".txt", ".netset", ".ipset"), has_fields=False),
    Format.CSV: Reader(parse_csv, (".csv",), Format.CSV, is_own_sheet),
    Format.JSON: Reader(parse_json_list, (".json",), Format.JSON, is_own_document),
    Format.JSONL: Reader(parse_json_lines, (".jsonl", ".ndjson")),
    Format.TOML: Reader(parse_toml_list, (".toml",)),
    **{
        Format(name): Reader(provider_parser(name), inside=Format.JSON, fits=partial(is_of_shape, name))
        for name in SHAPES
    },
    **{Format(name): Reader(sheet_parser(name), inside=Format.CSV, fits=partial(is_sheet, name)) for name in SHEETS},
    **{Format(name): Reader(dialect_parser(name), has_fields=False, has_picks=True) for name in READ},
}
"""All formats.  A new one is a member of `Format`, and a row here."""

_BY_SUFFIX: Final = {suffix: name for name, reader in READERS.items() for suffix in reader.suffixes}


@dataclass(frozen=True, slots=True)
class ListFile:
    """Hold the entries of one file in their order, and the position of each.

    Attributes:
        name: the file as the user named it, or ``<stdin>``.
        entries: pairs (prefix, label) as written; `parse_entry` takes such a pair.
        marks: for each entry its line, or its position in the document.
    """

    name: str
    entries: tuple[tuple[str, str | None], ...]
    marks: tuple[Mark, ...]

    def __repr__(self) -> str:
        return f"<ListFile {brief(self.name)} of {len(self.entries):,} entries>"

    def place(self, index: int) -> str:
        """Name the place of an entry: ``office.csv:17``."""
        return place_in(self.name, self.marks[index])


def read_list(
    source: str | Path,
    file_format: Format | None = None,
    *,
    content: bytes | None = None,
    column: str | None = None,
    label_column: str | None = None,
    where: Mapping[str, str | Iterable[str]] | None = None,
    split: bool = False,
    pick: str | None = None,
) -> ListFile:
    """Read the entries of a list.

    Args:
        source: a path, or ``"-"`` for standard input.
        file_format: the format; by default the suffix of the path says it, with the published shapes that are
            recognized in files of that suffix; and standard input is text.
        content: the bytes of the list, if the caller has them already: then nothing is read, and the source is only
            their name, in messages and for the suffix.
        column: CSV: the column with the prefix; JSON: that key of each object, or a path such as ``items[].ip``.
        label_column: the same for the label.
        where: for a field, the value or the values that are taken: ``{"service": "S3"}``.
        split: make prefixes of dash ranges and wildcards, as `split_span` does; each has the label and the place of
            the text that it comes from.
        pick: files of gateways: the set, variable, value or port that is meant, if there are several.
    Returns:
        `ListFile`; it may have no entries.
    Raises:
        ListFileError: it cannot be read, or it does not have that format and shape; two formats fit; or no entry has
            what `where` wants.
    Threads: safe, keeps no state.
    """
    name = name_of(source)
    wanted = {field: (values,) if isinstance(values, str) else tuple(values) for field, values in (where or {}).items()}
    options = ListOptions(column, label_column, wanted, pick)
    own = file_format or _format_of(source)
    try:
        text = read_text(source, content)
    except DocumentError as error:
        raise ListFileError(error.place, error.reason) from error
    items = _parse(name, text, file_format or _recognized(name, own, text), options)
    if split:
        items = list(split_items(items))
    return ListFile(name, tuple((prefix, label) for _, prefix, label in items), tuple(mark for mark, _, _ in items))


def _parse(name: str, text: str, chosen: Format, options: ListOptions) -> list[Item]:
    """Parse a text of a known format; if it is refused and looks like another format, the error says so."""
    reader = READERS[chosen]
    if options.names_fields and not reader.has_fields:
        raise ListFileError(name, f"the format {chosen} has no fields; --column and --where are for CSV and JSON")
    if options.pick is not None and not reader.has_picks:
        raise ListFileError(name, f"the format {chosen} has one list in a file; leave out what to pick")
    try:
        return list(reader.parse(name, text, options))
    except ListFileError as error:
        fitting = [other for other in _fitting(reader.inside, text) if other != chosen]
        if fitting:
            raise ListFileError(error.place, f"{error.reason}; it looks like {_choices(fitting)}") from error
        if chosen is not Format.JSON or not (near := alike(text)):
            raise
        part = f"it looks like {_choices(map(Format, near))}, of which a part is missing"
        raise ListFileError(error.place, f"{error.reason}; {part}") from error


def _format_of(source: str | Path) -> Format:
    """Give the format that the suffix says."""
    if source == STDIN:
        return Format.TEXT
    suffix = Path(source).suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise ListFileError(str(source), f"the suffix tells no format; name one (--format): {', '.join(Format)}")
    return _BY_SUFFIX[suffix]


def _recognized(name: str, own: Format, text: str) -> Format:
    """Find the one format that a text of a suffix has; if it is none of the published ones, the suffix decides."""
    fitting = _fitting(READERS[own].inside, text)
    if len(fitting) > 1:
        raise ListFileError(name, f"fits {len(fitting)} formats; say which one it is: {_choices(fitting)}")
    return fitting[0] if fitting else own


def _fitting(inside: Format | None, text: str) -> list[Format]:
    """Name the formats of files with the same suffix that a text fits."""
    if inside is None:
        return []
    return [name for name, reader in READERS.items() if reader.inside == inside and reader.fits and reader.fits(text)]


def _choices(formats: Iterable[Format]) -> str:
    return " or ".join(f"--format {name}" for name in formats)
