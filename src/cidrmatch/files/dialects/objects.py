"""Dialects that are plain values: JSON, YAML and TOML of gateways and clouds, as patterns and templates.

For each dialect there is a pattern, by which `shapes` reads, and a function that makes the document that is written.
The tables of patterns are the reference: which keys are understood, and what a key says that is not.

A rule of a cloud's firewall has ports.  An API is asked on port 443, so a rule for tcp/443 or for all traffic is read.
One for other ports says nothing about the API, and is refused until the user names its ports (`--pick tcp/8443`).

What a missing field means decides about safety.  Envoy takes an absent `prefix_len` for 0, which is everyone.  Kong
takes an empty `allow` for no list at all.  GCP takes absent source ranges for everyone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from ...errors import quote
from ..documents import Place, noun_of, path_of
from .dialect import Row, Rows, Source, refuse
from .shapes import (
    ANY,
    LABEL,
    PREFIX,
    Each,
    Either,
    Named,
    Nothing,
    One,
    Pattern,
    items_of,
    json_values,
    toml_values,
    yaml_values,
)

if TYPE_CHECKING:
    from ..items import Item

__all__ = [
    "APISIX",
    "AWS_SECURITY_GROUP",
    "AWS_WAF",
    "CADDY_JSON",
    "CLOUDFLARE",
    "ENVOY_RBAC",
    "GCP_FIREWALL",
    "KONG",
    "TRAEFIK",
    "apisix_document",
    "aws_security_group_document",
    "aws_waf_document",
    "azure_nsg_document",
    "caddy_document",
    "cloudflare_document",
    "envoy_document",
    "gcp_document",
    "kong_document",
    "read_azure_nsg",
    "read_terraform_json",
    "reading",
    "terraform_document",
    "write_traefik_toml",
    "write_traefik_yaml",
    "written_json",
]

_VALUES: Final = {"json": json_values, "toml": toml_values, "yaml": yaml_values}


def reading(pattern: Pattern, kind: str) -> Callable[[Source], Iterator[Item]]:
    """Make the reader of a dialect: values of this kind that fit the pattern."""
    values = _VALUES[kind]

    def read(source: Source) -> Iterator[Item]:
        try:
            yield from items_of(source, pattern, values(source))
        except RecursionError:
            refuse(source, None, "is nested deeper than can be read")

    return read


def written_json(document: Callable[[Rows, str], object]) -> Callable[[Rows, str], str]:
    """Make the writer of a dialect that is JSON; non-ASCII characters are escaped."""
    return lambda rows, name: json.dumps(document(rows, name), indent=2) + "\n"


def _texts(rows: Rows) -> list[str]:
    return [str(row.prefix) for row in rows]


def _cidrs(rows: Rows) -> list[str]:
    """Write each prefix with its length: these products take no single address."""
    return [f"{row.prefix.address}/{row.prefix.length}" for row in rows]


# -- Traefik ------------------------------------------------------------------

_IP_ALLOW_LIST: Final[Pattern] = {"sourceRange": Each(PREFIX), "ipStrategy?": ANY, "rejectStatusCode?": ANY}
_MIDDLEWARE: Final[Pattern] = Either(({"ipAllowList": _IP_ALLOW_LIST}, {"ipWhiteList": _IP_ALLOW_LIST}))
_OTHER_PARTS: Final[dict[str, Pattern]] = dict.fromkeys(("routers?", "services?", "serversTransports?"), ANY)
TRAEFIK: Final[Pattern] = Either(
    (
        {"http": {"middlewares": Named("middleware", _MIDDLEWARE), **_OTHER_PARTS}},
        {"tcp": {"middlewares": Named("middleware", _MIDDLEWARE), **_OTHER_PARTS}},
        {
            "kind": One(("Middleware", "MiddlewareTCP"), "is no middleware of Traefik"),
            "spec": _MIDDLEWARE,
            "apiVersion?": ANY,
            "metadata?": ANY,
        },
    )
)
"""`http.middlewares.NAME.ipAllowList` (Traefik 3; `ipWhiteList` in Traefik 2), or the resource of Kubernetes.

`ipStrategy` says how the client's address is found, `rejectStatusCode` what a denial is: neither says who gets in.
Source: doc.traefik.io, Middlewares, IPAllowList.
"""


def write_traefik_yaml(rows: Rows, name: str) -> str:
    """Write a middleware of Traefik's file provider as YAML; each prefix is a text in quotes."""
    lines = "".join(f"          - {_quoted(row)}{_behind(row)}\n" for row in rows)
    return f"http:\n  middlewares:\n    {name}:\n      ipAllowList:\n        sourceRange:\n{lines}"


def write_traefik_toml(rows: Rows, name: str) -> str:
    """Write the same as TOML."""
    lines = "".join(f"  {_quoted(row)},{_behind(row)}\n" for row in rows)
    return f"[http.middlewares.{name}.ipAllowList]\nsourceRange = [\n{lines}]\n"


def _quoted(row: Row) -> str:
    return f'"{row.prefix}"'


def _behind(row: Row) -> str:
    return f" # {row.label}" if row.label else ""


# -- Envoy --------------------------------------------------------------------


def _cidr_range(source: Source, place: Place, value: Any) -> Iterator[Item]:
    """Read a CidrRange; without `prefix_len` Envoy takes it for /0."""
    names = {"addressPrefix": "address_prefix", "prefixLen": "prefix_len"}  # both spellings of protobuf's JSON
    if type(value) is not dict or not {names.get(key, key) for key in value} <= set(names.values()):
        refuse(
            source, path_of(place), f"an object with address_prefix and prefix_len was expected, not {noun_of(value)}"
        )
    fields = {names.get(key, key): one for key, one in value.items()}
    if len(fields) < len(value):
        refuse(source, path_of(place), "the same field stands twice, in two spellings; keep one")
    address, length = fields.get("address_prefix"), fields.get("prefix_len")
    if type(address) is not str:
        refuse(source, path_of(place), "address_prefix is missing or no text")
    if length is None:
        refuse(source, path_of(place), "without prefix_len Envoy takes it for /0, everyone; write 32, or 128 for IPv6")
    if type(length) is not int or not 0 <= length <= 128:
        refuse(source, path_of(place), f"prefix_len is a number from 0 to 128, not {noun_of(length)}")
    if "/" in address:
        refuse(source, path_of(place), f"address_prefix is an address without a length, not {quote(address)}")
    yield path_of(place), f"{address}/{length}", None


def _any_of(source: Source, place: Place, value: Any) -> Iterator[Item]:
    return items_of(source, {"ids": Each(_PRINCIPAL)}, value, place)


_PRINCIPAL: Final[Pattern] = Either(
    (
        {"direct_remote_ip": _cidr_range},
        {"remote_ip": _cidr_range},
        {"directRemoteIp": _cidr_range},
        {"remoteIp": _cidr_range},
        {"or_ids": _any_of},
        {"orIds": _any_of},
    )
)
_RULES: Final[Pattern] = {
    "action?": One(("ALLOW", 0), "is another action: a DENY rule is a list of whom to deny, a LOG rule denies nobody"),
    "policies": Named(
        "policy",
        {
            "permissions": Each(
                {"any": One((True,), "limits what may be asked, so the principals are no list")},
                empty="then the policy permits nothing",
            ),
            "principals": Each(_PRINCIPAL),
        },
        may_be_none=True,
    ),
}
_FILTER: Final[Pattern] = {
    "rules": _RULES,
    "@type?": ANY,
    "rules_stat_prefix?": ANY,
    "rulesStatPrefix?": ANY,
}
ENVOY_RBAC: Final[Pattern] = Either(
    (
        {"name": ANY, "typed_config": _FILTER},
        {"name": ANY, "typedConfig": _FILTER},
        _FILTER,
        _RULES,
    )
)
"""The filter `envoy.filters.http.rbac` or its configuration: one policy, which permits any request of its principals.

Source: envoyproxy.io, config.rbac.v3.RBAC, and core.v3.CidrRange ("defaults to 0 when unset").
"""


def envoy_document(rows: Rows, name: str) -> object:
    """Write the filter; `direct_remote_ip` is the other end of the connection, which no header replaces.

    Without a policy the action ALLOW lets nobody in.
    """
    principals = [
        {"direct_remote_ip": {"address_prefix": row.prefix.address, "prefix_len": row.prefix.length}} for row in rows
    ]
    policies = {name: {"permissions": [{"any": True}], "principals": principals}} if rows else {}
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": policies},
        },
    }


# -- Kong and APISIX ----------------------------------------------------------

KONG: Final[Pattern] = {
    "name": One(("ip-restriction",), "is another plugin"),
    "config": {
        "allow": Each(PREFIX),
        "deny?": Nothing("denies addresses, and a list of prefixes has no holes; subtract them from `allow`"),
        "status?": ANY,
        "message?": ANY,
    },
    "enabled?": One((True,), "means that the plugin is off, and everyone gets in"),
    "consumer?": Nothing("limits the list to one consumer"),
    "consumer_group?": Nothing("limits the list to a group of consumers"),
    **dict.fromkeys(("id?", "instance_name?", "tags?", "created_at?", "updated_at?", "route?", "service?"), ANY),
    **dict.fromkeys(("protocols?", "ordering?"), ANY),
}
"""The plugin ip-restriction, as the Admin API takes and gives it.  Source: kong/plugins/ip-restriction/schema.lua."""

_APISIX_PLUGIN: Final[Pattern] = {
    "whitelist": Each(PREFIX),
    "blacklist?": Nothing("denies addresses, and a list of prefixes has no holes; subtract them from `whitelist`"),
    "message?": ANY,
    "response_code?": ANY,
}
APISIX: Final[Pattern] = Either(
    ({"ip-restriction": _APISIX_PLUGIN}, {"plugins": {"ip-restriction": _APISIX_PLUGIN}}, _APISIX_PLUGIN)
)
"""The plugin ip-restriction; its schema wants one of whitelist and blacklist, with at least one item.

Source: apisix/plugins/ip-restriction.lua.
"""


def kong_document(rows: Rows, _name: str) -> object:
    """Write the plugin for the Admin API."""
    return {"name": "ip-restriction", "config": {"allow": _texts(rows)}}


def apisix_document(rows: Rows, _name: str) -> object:
    """Write the value of `plugins`."""
    return {"ip-restriction": {"whitelist": _texts(rows)}}


# -- Caddy --------------------------------------------------------------------


def _ranges(source: Source, place: Place, value: Any) -> Iterator[Item]:
    for mark, prefix, label in items_of(source, {"ranges": Each(PREFIX)}, value, place):
        if prefix == "private_ranges" or "{" in prefix:
            refuse(source, mark, f"{quote(prefix)} is no prefix; write the prefixes that are meant")
        yield mark, prefix, label


_CADDY_MATCHER: Final[Pattern] = Either(({"remote_ip": _ranges}, {"client_ip": _ranges}))


def _caddy_match(source: Source, place: Place, value: Any) -> Iterator[Item]:
    """Read the value of `match`: matcher sets, of which one must match; without any, everyone does."""
    if value == []:
        refuse(source, path_of(place), "there is no matcher, and then everyone matches; add one of remote_ip")
    return items_of(source, Each(_CADDY_MATCHER) if isinstance(value, list) else _CADDY_MATCHER, value, place)


CADDY_JSON: Final[Pattern] = _caddy_match
"""The value of `match` in a route, or one matcher set of it.  Source: caddyserver.com, JSON of http.matchers."""


def caddy_document(rows: Rows, _name: str) -> object:
    """Write the value of `match`; no ranges match nobody."""
    return [{"remote_ip": {"ranges": _texts(rows)}}]


# -- AWS ----------------------------------------------------------------------

_IP_SET: Final[Pattern] = {
    "Addresses": Each(PREFIX),
    "IPAddressVersion?": ANY,
    **dict.fromkeys(("Name?", "Scope?", "Id?", "ARN?", "Description?", "LockToken?", "Tags?"), ANY),
}
AWS_WAF: Final[Pattern] = Either(({"IPSet": _IP_SET, "LockToken?": ANY}, _IP_SET))
"""What `aws wafv2 create-ip-set` takes, or `get-ip-set` gives.  Source: AWS WAF, API reference, CreateIPSet: prefixes
"except for /0", 10,000 in a set, one family in a set.
"""


def aws_waf_document(rows: Rows, name: str) -> object:
    """Write the input of `aws wafv2 create-ip-set --cli-input-json`; an empty set matches nobody."""
    family = rows[0].prefix.family if rows else 4
    return {"Name": name, "Scope": "REGIONAL", "IPAddressVersion": f"IPV{family}", "Addresses": _cidrs(rows)}


def _check_ports(source: Source, place: Place, ports: str) -> None:
    if ports != source.pick and (source.pick is not None or ports not in ("tcp/443", "all")):
        pick = f"the pick is {quote(source.pick)}" if source.pick is not None else f"name these (--pick {ports})"
        refuse(source, path_of(place), f"the rule is for {ports}, not for tcp/443, on which an API is asked; {pick}")


_AWS_PERMISSION: Final[Pattern] = {
    "IpRanges?": Each({"CidrIp": PREFIX, "Description?": LABEL}),
    "Ipv6Ranges?": Each({"CidrIpv6": PREFIX, "Description?": LABEL}),
    "UserIdGroupPairs?": Nothing("admits another security group, whose addresses nobody knows here"),
    "PrefixListIds?": Nothing("admits a managed prefix list, whose prefixes stand elsewhere"),
    **dict.fromkeys(("IpProtocol?", "FromPort?", "ToPort?"), ANY),
}


def _permission(source: Source, place: Place, value: Any) -> Iterator[Item]:
    if isinstance(value, dict):
        protocol, first, last = (value.get(key) for key in ("IpProtocol", "FromPort", "ToPort"))
        ports = f"{first}" if first == last else f"{first}-{last}"
        _check_ports(source, place, "all" if protocol == "-1" else f"{protocol}/{ports}")
    return items_of(source, _AWS_PERMISSION, value, place)


_AWS_GROUP: Final[Pattern] = {
    "IpPermissions": Each(_permission),
    "IpPermissionsEgress?": ANY,
    **dict.fromkeys(
        ("GroupId?", "GroupName?", "Description?", "OwnerId?", "VpcId?", "Tags?", "SecurityGroupArn?"), ANY
    ),
}


def _one_group(source: Source, place: Place, value: Any) -> Iterator[Item]:
    if isinstance(value, list) and len(value) != 1:
        refuse(source, path_of(place), f"there are {len(value)} security groups; ask AWS for the one that is meant")
    return items_of(source, Each(_AWS_GROUP), value, place)


AWS_SECURITY_GROUP: Final[Pattern] = Either(({"SecurityGroups": _one_group}, _AWS_GROUP))
"""What `aws ec2 authorize-security-group-ingress` takes, or `describe-security-groups` gives for one group.

Source: Amazon EC2, API reference, IpPermission; Amazon VPC quotas: 60 rules of each family, which may be raised.
"""


def aws_security_group_document(rows: Rows, _name: str) -> object:
    """Write the input of `aws ec2 authorize-security-group-ingress --cli-input-json`, without the group's id.

    A group without a rule admits nobody.
    """
    ranges = {
        key: [_described(row, cidr) for row in rows if row.prefix.family == family]
        for key, cidr, family in (("IpRanges", "CidrIp", 4), ("Ipv6Ranges", "CidrIpv6", 6))
    }
    permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443} | {
        key: one for key, one in ranges.items() if one
    }
    return {"IpPermissions": [permission] if rows else []}


def _described(row: Row, key: str) -> dict[str, str]:
    described = {key: f"{row.prefix.address}/{row.prefix.length}"}
    return described | {"Description": row.label} if row.label else described


# -- Azure --------------------------------------------------------------------


def _no_tag(source: Source, place: Place, value: Any) -> Iterator[Item]:
    """Read a source of Azure: "*" and service tags are words, not prefixes."""
    if isinstance(value, str) and not value[:1].isdigit() and ":" not in value:
        told = (
            "means everyone"
            if value in ("*", "Internet", "Any")
            else "is a service tag, whose prefixes stand elsewhere"
        )
        refuse(source, path_of(place), f"{quote(value)} {told}; write the prefixes that are meant")
    return items_of(source, PREFIX, value, place)


def _azure_rule(source: Source, place: Place, value: Any) -> Iterator[Item]:
    if isinstance(value, dict):
        several = value.get("destinationPortRanges") or []
        if not isinstance(several, list):
            refuse(source, path_of((*place, "destinationPortRanges")), f"a list was expected, not {noun_of(several)}")
        ranges = [*([value["destinationPortRange"]] if value.get("destinationPortRange") else []), *several]
        ports = f"{str(value.get('protocol')).lower()}/{','.join(map(str, ranges))}"
        _check_ports(source, place, "all" if ports == "*/*" else ports)
        if value.get("sourceAddressPrefix") in (None, ""):
            value = {key: one for key, one in value.items() if key != "sourceAddressPrefix"}
    return items_of(source, _AZURE_RULE, value, place)


_ANYWHERE: Final = One(("*",), "is a condition besides the source; a list of prefixes cannot say it")
_AZURE_RULE: Final[Pattern] = {
    "access": One(("Allow",), "is no Allow rule: it lists whom to deny"),
    "direction": One(("Inbound",), "is no Inbound rule"),
    "sourceAddressPrefix?": _no_tag,
    "sourceAddressPrefixes?": Each(_no_tag),
    "sourcePortRange?": _ANYWHERE,
    "sourcePortRanges?": Nothing("limits the client's ports"),
    "sourceApplicationSecurityGroups?": Nothing("admits a group whose addresses nobody knows here"),
    "destinationApplicationSecurityGroups?": Nothing("limits the rule to a group"),
    "destinationAddressPrefixes?": Nothing("limits the rule to some destinations"),
    "destinationAddressPrefix?": _ANYWHERE,
    **dict.fromkeys(("protocol?", "destinationPortRange?", "destinationPortRanges?", "priority?", "description?"), ANY),
    **dict.fromkeys(("name?", "id?", "etag?", "type?", "provisioningState?", "resourceGroup?"), ANY),
}
_AZURE_RESOURCE: Final[Pattern] = {
    "properties": _azure_rule,
    **dict.fromkeys(("name?", "id?", "etag?", "type?"), ANY),
}


def read_azure_nsg(source: Source) -> Iterator[Item]:
    """Read one security rule, as a resource with `properties`, or flat as `az network nsg rule show` prints it."""
    value = json_values(source)
    if isinstance(value, dict) and "properties" in value:
        return items_of(source, _AZURE_RESOURCE, value)
    return _azure_rule(source, (), value)


def azure_nsg_document(rows: Rows, name: str) -> object:
    """Write a rule that admits the sources.

    The default rules of a group deny the others, but for those in the same virtual network.
    """
    return {
        "name": name,
        "properties": {
            "access": "Allow",
            "direction": "Inbound",
            "priority": 100,
            "protocol": "Tcp",
            "sourceAddressPrefixes": _texts(rows),
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "443",
        },
    }


# -- GCP ----------------------------------------------------------------------


def _gcp_rule(source: Source, place: Place, value: Any) -> Iterator[Item]:
    if isinstance(value, dict):
        allowed = value.get("allowed")
        for index, one in enumerate(allowed if isinstance(allowed, list) else []):
            protocol = str(one.get("IPProtocol")).lower() if isinstance(one, dict) else ""
            listed = one.get("ports") if isinstance(one, dict) else None
            ports = ",".join(map(str, listed)) if isinstance(listed, list) else "any port"
            _check_ports(source, (*place, "allowed", index), "all" if protocol == "all" else f"{protocol}/{ports}")
        if not value.get("sourceRanges"):
            refuse(source, path_of(place), "there are no sourceRanges, and then GCP admits everyone or goes by tags")
    return items_of(source, _GCP_RULE, value, place)


_GCP_RULE: Final[Pattern] = {
    "sourceRanges": Each(PREFIX),
    "allowed": Each({"IPProtocol": ANY, "ports?": ANY}, empty="then the rule allows nothing"),
    "denied?": Nothing("makes it a rule of whom to deny"),
    "direction?": One(("INGRESS",), "is no rule for incoming traffic"),
    "disabled?": One((False,), "means that the rule is off"),
    "sourceTags?": Nothing("admits instances by their tags, too"),
    "sourceServiceAccounts?": Nothing("admits instances by their accounts, too"),
    "destinationRanges?": Nothing("limits the rule to some destinations"),
    **dict.fromkeys(("name?", "description?", "network?", "priority?", "targetTags?", "targetServiceAccounts?"), ANY),
    **dict.fromkeys(("id?", "kind?", "selfLink?", "creationTimestamp?", "logConfig?"), ANY),
}
GCP_FIREWALL: Final[Pattern] = _gcp_rule
"""A firewall rule of a VPC network.  Source: Compute Engine API, firewalls: without source ranges and tags a rule
admits every source.  Cloud NGFW quotas: 5,000 source ranges in a rule, all of one family.
"""


def gcp_document(rows: Rows, name: str) -> object:
    """Write a rule; what no rule admits, the network's implied rule denies."""
    return {
        "name": name,
        "direction": "INGRESS",
        "priority": 1000,
        "allowed": [{"IPProtocol": "tcp", "ports": ["443"]}],
        "sourceRanges": _cidrs(rows),
    }


# -- Cloudflare ---------------------------------------------------------------

_CLOUDFLARE_ITEMS: Final[Pattern] = Each(
    {"ip": PREFIX, "comment?": LABEL, **dict.fromkeys(("id?", "created_on?", "modified_on?"), ANY)}
)


def _whole_page(source: Source, place: Place, value: Any) -> Iterator[Item]:
    """Read `result_info`: with a cursor there are more items, which are not in the file."""
    cursors = value.get("cursors") if isinstance(value, dict) else None
    if isinstance(cursors, dict) and cursors.get("after"):
        refuse(source, path_of(place), "there are more pages; fetch all items and give them in one file")
    return iter(())


CLOUDFLARE: Final[Pattern] = Either(
    (
        _CLOUDFLARE_ITEMS,
        {
            "result": _CLOUDFLARE_ITEMS,
            "result_info?": _whole_page,
            "success": One((True,), "means that the answer is an error"),
            "errors?": Nothing("has errors"),
            "messages?": ANY,
        },
    )
)
"""The items of a list of addresses, as the API takes them, or its answer.

Source: developers.cloudflare.com, Lists, custom lists: IPv4 from /8 to /32, IPv6 from /12 to /64.
"""


def cloudflare_document(rows: Rows, _name: str) -> object:
    """Write the body of "update all list items"; an empty list matches nobody."""
    return [{"ip": str(row.prefix)} | ({"comment": row.label} if row.label else {}) for row in rows]


# -- Terraform ----------------------------------------------------------------


def _strings(source: Source, place: Place, value: Any) -> Iterator[Item]:
    for mark, prefix, label in items_of(source, Each(PREFIX), value, place):
        if "${" in prefix or "%{" in prefix:
            refuse(source, mark, f"{quote(prefix)} is a template; write the prefix")
        yield mark, prefix, label


_VARIABLE: Final[Pattern] = {
    "default": _strings,
    **dict.fromkeys(("type?", "description?", "sensitive?", "nullable?", "validation?"), ANY),
}
_TERRAFORM_JSON: Final[Pattern] = Either(
    (
        {"locals": Named("local value", _strings)},
        {"variable": Named("variable", _VARIABLE)},
    )
)
"""Terraform's JSON: `locals` or `variable`, with a list of strings, which are templates to Terraform."""


def read_terraform_json(source: Source) -> Iterator[Item]:
    """Read `.tf.json`, or a file of values, `.tfvars.json`."""
    value = json_values(source)
    is_code = isinstance(value, dict) and any(isinstance(value.get(key), dict) for key in ("locals", "variable"))
    return items_of(source, _TERRAFORM_JSON if is_code else Named("variable", _strings), value)


def terraform_document(rows: Rows, name: str) -> object:
    """Write a local value, a list of strings."""
    return {"locals": {name: _texts(rows)}}
