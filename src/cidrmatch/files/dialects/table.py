"""All dialects by name: the table that reading, writing, the command line and the page share.

The names of the last rows are our own formats: they are written here and read by `lists`.

Limits have their sources in the rooms `lines`, `blocks` and `objects`, at the pattern or the writer of each dialect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ..._core import parse_prefix
from ...errors import InvalidPrefix, quote
from ..sheets import write_csv
from . import blocks, labels, lines, objects
from .dialect import Dialect, Limit, Rows, Source, refuse
from .objects import reading, written_json

if TYPE_CHECKING:
    from ..items import Item, ListOptions, Parser

__all__ = ["DIALECTS", "READ", "dialect_parser"]

_WORD: Final = r"[a-z][a-z0-9_]{0,26}"
"""A name in lower case; with "4" or "6" behind it, it fits the 28 characters of a chain, and ipset's 31."""
_NO_EMPTY_TRAEFIK: Final = (
    "Traefik refuses an empty sourceRange, and the routers that use it answer nobody or everybody by chance"
)
_NO_EMPTY_TERRAFORM: Final = "what an empty list means depends on the resource: some take it for everyone"
_CLOUDFLARE_LIMIT: Final = Limit(10_000, "an account, all lists together", is_quota=True)
_HYPHENS: Final = r"[a-z][a-z0-9-]{0,60}[a-z0-9]"


def _write_text(rows: Rows, _name: str) -> str:
    return "".join(f"{row.prefix}" + (f"  # {row.label}" if row.label else "") + "\n" for row in rows)


def _write_csv(rows: Rows, _name: str) -> str:
    return write_csv((row.prefix, row.label) for row in rows)


def _own_entries(rows: Rows) -> list[object]:
    return [{"prefix": str(row.prefix), "label": row.label} if row.label else str(row.prefix) for row in rows]


def _write_toml(rows: Rows, _name: str) -> str:
    entries = "".join(f"    {_toml_entry(str(row.prefix), row.label)},\n" for row in rows)
    return f"entries = [\n{entries}]\n"


def _toml_entry(prefix: str, label: str | None) -> str:
    """Write an entry; JSON's escapes of a text without surrogates are TOML's, too, but for DEL."""
    if label is None:
        return f'"{prefix}"'
    quoted = json.dumps(label, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f'{{ prefix = "{prefix}", label = {quoted} }}'


_ROWS: Final = (
    Dialect(
        name="nginx",
        about="nginx, `allow` and `deny`",
        read=blocks.read_nginx,
        write=blocks.write_nginx,
        labels=labels.COMMENT,
    ),
    Dialect(
        name="nginx-geo",
        about="nginx, a `geo` block",
        read=blocks.read_nginx_geo,
        write=blocks.write_nginx_geo,
        labels=labels.COMMENT,
        name_pattern=_WORD,
    ),
    Dialect(
        name="haproxy-acl",
        about="HAProxy, a file of patterns",
        read=lines.read_haproxy_acl,
        write=lines.write_haproxy_acl,
        labels=labels.COMMENT,
        note="HAProxy takes a client in 2002::/16 or ::/96 for the IPv4 address inside, and lets it in if that is "
        "listed; deny these with !{ src 2002::/16 ::/96 }, or write haproxy-map",
        is_mapping=True,
    ),
    Dialect(
        name="haproxy-map",
        about="HAProxy, a map",
        read=lines.read_haproxy_map,
        write=lines.write_haproxy_map,
        labels=labels.COMMENT,
        is_mapping=True,
    ),
    Dialect(
        name="caddy",
        about="Caddy, a named matcher of a Caddyfile",
        read=blocks.read_caddy,
        write=blocks.write_caddy,
        labels=labels.COMMENT,
        name_pattern=_WORD,
    ),
    Dialect(
        name="caddy-json",
        about="Caddy, `match` of a route in JSON",
        read=reading(objects.CADDY_JSON, "json"),
        write=written_json(objects.caddy_document),
    ),
    Dialect(
        name="traefik-yaml",
        about="Traefik, the middleware `ipAllowList` in YAML",
        read=reading(objects.TRAEFIK, "yaml"),
        write=objects.write_traefik_yaml,
        labels=labels.COMMENT,
        name_pattern=_WORD,
        empty=_NO_EMPTY_TRAEFIK,
    ),
    Dialect(
        name="traefik-toml",
        about="Traefik, the middleware `ipAllowList` in TOML",
        read=reading(objects.TRAEFIK, "toml"),
        write=objects.write_traefik_toml,
        labels=labels.COMMENT,
        name_pattern=_WORD,
        empty=_NO_EMPTY_TRAEFIK,
    ),
    Dialect(
        name="envoy-rbac",
        about="Envoy, the filter RBAC",
        read=reading(objects.ENVOY_RBAC, "yaml"),
        write=written_json(objects.envoy_document),
        name_pattern=_WORD,
    ),
    Dialect(
        name="kong",
        about="Kong, the plugin ip-restriction",
        read=reading(objects.KONG, "json"),
        write=written_json(objects.kong_document),
        empty="Kong takes an empty `allow` for no list, and lets everyone in",
    ),
    Dialect(
        name="apisix",
        about="APISIX, the plugin ip-restriction",
        read=reading(objects.APISIX, "json"),
        write=written_json(objects.apisix_document),
        empty="APISIX refuses a `whitelist` without items",
    ),
    Dialect(
        name="apache",
        about="Apache, `Require ip`",
        read=lines.read_apache,
        write=lines.write_apache,
        labels=labels.COMMENT,
        shortest=(1, 1),
    ),
    Dialect(
        name="iptables",
        about="iptables, a chain for iptables-restore",
        read=lines.read_iptables,
        write=lines.write_iptables,
        labels=labels.QUOTED_255,
        name_pattern=_WORD,
        only_family=4,
    ),
    Dialect(
        name="ip6tables",
        about="ip6tables, a chain for ip6tables-restore",
        read=lines.read_ip6tables,
        write=lines.write_iptables,
        labels=labels.QUOTED_255,
        name_pattern=_WORD,
        only_family=6,
    ),
    Dialect(
        name="ipset",
        about="ipset, two sets for ipset restore",
        read=lines.read_ipset,
        write=lines.write_ipset,
        labels=labels.QUOTED_255,
        name_pattern=_WORD,
        shortest=(1, 1),
    ),
    Dialect(
        name="nft",
        about="nftables, a table with two sets and a chain",
        read=blocks.read_nft,
        write=blocks.write_nft,
        labels=labels.QUOTED_128,
        name_pattern=_WORD,
    ),
    Dialect(
        name="aws-waf",
        about="AWS WAF, an IP set",
        read=reading(objects.AWS_WAF, "json"),
        write=written_json(objects.aws_waf_document),
        name_pattern=r"[A-Za-z0-9_-]{1,128}",
        one_family=True,
        shortest=(1, 1),
        limit=Limit(10_000, "an IP set"),
    ),
    Dialect(
        name="aws-security-group",
        about="AWS, ingress of a security group",
        read=reading(objects.AWS_SECURITY_GROUP, "json"),
        write=written_json(objects.aws_security_group_document),
        labels=labels.AWS,
        limit=Limit(60, "a security group, of each family", is_quota=True, is_of_family=True),
    ),
    Dialect(
        name="azure-nsg",
        about="Azure, a rule of a network security group",
        read=objects.read_azure_nsg,
        write=written_json(objects.azure_nsg_document),
        name_pattern=r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?",
        one_family=True,
        limit=Limit(4_000, "a rule"),
        empty="Azure refuses a rule without sources; a rule that is not there admits nobody",
    ),
    Dialect(
        name="gcp-firewall",
        about="GCP, a firewall rule",
        read=reading(objects.GCP_FIREWALL, "json"),
        write=written_json(objects.gcp_document),
        name_pattern=_HYPHENS,
        default_name="allow-list",
        one_family=True,
        limit=Limit(5_000, "a rule"),
        empty="GCP takes a rule without source ranges for everyone",
    ),
    Dialect(
        name="cloudflare-list",
        about="Cloudflare, the items of a list in JSON",
        read=reading(objects.CLOUDFLARE, "json"),
        write=written_json(objects.cloudflare_document),
        labels=labels.CLOUDFLARE,
        shortest=(8, 12),
        longest6=64,
        limit=_CLOUDFLARE_LIMIT,
    ),
    Dialect(
        name="cloudflare-csv",
        about="Cloudflare, the items of a list in CSV",
        read=lines.read_cloudflare_csv,
        write=lines.write_cloudflare_csv,
        labels=labels.CLOUDFLARE,
        shortest=(8, 12),
        longest6=64,
        limit=_CLOUDFLARE_LIMIT,
    ),
    Dialect(
        name="terraform",
        about="Terraform, a list of strings in HCL",
        read=blocks.read_terraform,
        write=blocks.write_terraform,
        labels=labels.COMMENT,
        name_pattern=_WORD,
        empty=_NO_EMPTY_TERRAFORM,
    ),
    Dialect(
        name="terraform-json",
        about="Terraform, a list of strings in JSON",
        read=objects.read_terraform_json,
        write=written_json(objects.terraform_document),
        name_pattern=_WORD,
        empty=_NO_EMPTY_TERRAFORM,
    ),
    Dialect(name="text", about="a text, a prefix a line", write=_write_text, labels=labels.COMMENT),
    Dialect(name="csv", about="CSV with the columns prefix and label", write=_write_csv, labels=labels.ANY),
    Dialect(
        name="json",
        about="JSON, a list of entries",
        write=written_json(lambda rows, _name: _own_entries(rows)),
        labels=labels.ANY,
    ),
    Dialect(name="toml", about="TOML, a document with entries", write=_write_toml, labels=labels.ANY),
)

DIALECTS: Final = {row.name: row for row in _ROWS}
"""Each dialect by its name."""

READ: Final = tuple(row.name for row in _ROWS if row.read is not None)
"""The names of the dialects that are read here; the others are our own formats."""


def dialect_parser(name: str) -> Parser:
    """Give the parser of a dialect, for the table of `lists`."""
    dialect = DIALECTS[name]
    reader = dialect.read
    if reader is None:
        raise ValueError(f"{name} is one of our own formats")

    def parse(source: str, text: str, options: ListOptions) -> Iterator[Item]:
        given = Source(source, text, options.pick)
        items = reader(given)
        return items if dialect.is_mapping else _without_mapped(given, items)

    return parse


def _without_mapped(source: Source, items: Iterator[Item]) -> Iterator[Item]:
    """Refuse ::ffff:203.0.113.0/120, which is 203.0.113.0/24 to us: nginx, for instance, admits nobody by it."""
    for item in items:
        mark, prefix, _ = item
        if ":" in prefix and _is_ipv4(prefix):
            refuse(
                source,
                mark,
                f"{quote(prefix)} is an IPv6 prefix with IPv4 addresses inside, and many gateways admit no IPv4 client "
                "by it; write the IPv4 prefix that is meant",
            )
        yield item


def _is_ipv4(prefix: str) -> bool:
    try:
        return parse_prefix(prefix).family == 4
    except InvalidPrefix:
        return False
