"""Lists as gateways keep them: what each dialect reads, what it refuses, and what is written.

The rule under test: reading never turns a denial into an allowance, and writing never lets somebody else in.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cidrmatch import AllowList, CidrmatchError, Condition, Entry, InvalidPrefix
from cidrmatch.files.dialects.dialect import Source
from cidrmatch.files.dialects.labels import ANY, AWS, COMMENT, LOST, QUOTED_128, harmless
from cidrmatch.files.dialects.table import DIALECTS
from cidrmatch.files.dialects.writing import UnwritableList, write_list
from cidrmatch.files.lists import READERS, Format, ListFileError, read_list

if TYPE_CHECKING:
    from cidrmatch._core import EntryLike
    from cidrmatch.files.items import Item

MIXED: list[EntryLike] = [("203.0.113.0/24", "Vienna"), "198.51.100.7", ("2001:db8::/48", "VPN")]


def read(dialect: str, text: str, pick: str | None = None) -> list[Item]:
    reader = DIALECTS[dialect].read
    assert reader is not None
    return list(reader(Source("list", text, pick)))


def pairs(dialect: str, text: str, pick: str | None = None) -> list[tuple[str, str | None]]:
    return [(prefix, label) for _, prefix, label in read(dialect, text, pick)]


def kong(**config: object) -> str:
    return json.dumps({"name": "ip-restriction", "config": config})


def group(protocol: str = "tcp", first: int = 443, last: int = 443, **more: object) -> str:
    permission = {"IpProtocol": protocol, "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    return json.dumps({"IpPermissions": [permission | more]})


def azure(**changes: object) -> str:
    rule = {"access": "Allow", "direction": "Inbound", "protocol": "Tcp", "destinationPortRange": "443"}
    return json.dumps({"properties": rule | {"sourceAddressPrefix": "10.0.0.0/8"} | changes})


def gcp(**changes: object) -> str:
    rule = {"sourceRanges": ["10.0.0.0/8"], "allowed": [{"IPProtocol": "tcp", "ports": ["443"]}]}
    return json.dumps(rule | changes)


def rbac(principals: object, permissions: object = None, **changes: object) -> str:
    policy = {"principals": principals, "permissions": permissions or [{"any": True}]}
    return json.dumps({"rules": {"action": "ALLOW", "policies": {"one": policy}} | changes})


RANGE = {"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}
TEN, TWO = ("10.0.0.0/8", None), ("192.0.2.1", None)
EVERYONE: list[tuple[str, str | None]] = [("0.0.0.0/0", None), ("::/0", None)]

READ: list[tuple[str, str, str | None, list[tuple[str, str | None]]]] = [
    ("nginx", "allow 10.0.0.0/8; # VPN\ndeny all;", None, [("10.0.0.0/8", "VPN")]),
    ("nginx", "# the office\nallow 10.0.0.0/8;\nallow 192.0.2.1;\r\ndeny all;", None, [TEN, TWO]),
    ("nginx", "allow 10.0.0.0/8; allow 192.0.2.1; # both\ndeny all;", None, [TEN, TWO]),
    ("nginx", "deny all;", None, []),
    ("nginx", "allow all;", None, EVERYONE),
    ("nginx", "allow 10.0.0.0/8;\ndeny 192.0.2.0/24;\ndeny all;\ndeny 1.2.3.4;", None, [TEN]),
    ("nginx", "allow '10.0.0.0/8' ;deny\nall;", None, [TEN]),
    ("nginx-geo", "geo $a { default 0; 10.0.0.0/8 1; # VPN\n }", None, [("10.0.0.0/8", "VPN")]),
    ("nginx-geo", "geo $remote_addr $a {\n 10.0.0.0/8 office;\n 192.0.2.1 home; }", "home", [TWO]),
    ("nginx-geo", "geo $a { 10.0.0.0/8 0; 10.1.0.0/16 1; }", "1", [("10.1.0.0/16", None)]),
    ("nginx-geo", "geo $a { default 0; }", None, []),
    ("haproxy-acl", "# VPN\n\n10.0.0.0/8\n  192.0.2.1 \r\n", None, [TEN, TWO]),
    ("haproxy-map", "#\n10.0.0.0/8 1\n192.0.2.1\t1", None, [TEN, TWO]),
    ("haproxy-map", "10.0.0.0/8 be_a\n192.0.2.1 be_b", "be_b", [TWO]),
    ("apache", "<RequireAny>\n# VPN\nRequire ip 10.0.0.0/8 192.0.2.1\n</RequireAny>", None, [TEN, TWO]),
    ("apache", "require IP 10.0.0.0/8\nRequire all denied", None, [TEN]),
    ("apache", "Require all granted", None, EVERYONE),
    ("caddy", "@a remote_ip 10.0.0.0/8 192.0.2.1", None, [TEN, TWO]),
    ("caddy", "@a {\n client_ip 10.0.0.0/8 # VPN\n client_ip 192.0.2.1\n}", None, [("10.0.0.0/8", "VPN"), TWO]),
    ("caddy", "@a remote_ip 10.0.0.0/8\n@b remote_ip 192.0.2.1", "b", [TWO]),
    ("caddy", "remote_ip 10.0.0.0/8\nremote_ip 192.0.2.1", None, [TEN, TWO]),
    ("caddy", "@a {\n remote_ip\n}", None, []),
    ("caddy-json", '[{"remote_ip": {"ranges": ["10.0.0.0/8"]}}]', None, [TEN]),
    ("caddy-json", '{"client_ip": {"ranges": ["10.0.0.0/8"]}}', None, [TEN]),
    ("iptables", "*filter\n:a - [0:0]\n-A a -s 10.0.0.0/8 -j RETURN\n-A a -j DROP\nCOMMIT", None, [TEN]),
    ("iptables", "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/8 -j ACCEPT\nCOMMIT", None, [TEN]),
    (
        "iptables",
        '-A a -s 1.2.3.4 -j DROP\n-A b -s 10.0.0.0/8 -m comment --comment "a VPN" -j ACCEPT\n-A b -j REJECT',
        "b",
        [("10.0.0.0/8", "a VPN")],
    ),
    ("ipset", 'create a hash:net family inet\nadd a 10.0.0.0/8 comment "VPN"', None, [("10.0.0.0/8", "VPN")]),
    ("ipset", "create a hash:ip\ncreate b hash:net\nadd a 1.2.3.4\nadd b 192.0.2.1 -exist", "b", [TWO]),
    (
        "ipset",
        "create x4 hash:net\ncreate x6 hash:net family inet6\nadd x6 ::1\nadd x4 192.0.2.1",
        "x",
        [TWO, ("::1", None)],
    ),
    (
        "nft",
        'table ip t { set s { type ipv4_addr; elements = { 10.0.0.0/8 comment "a b", 192.0.2.1 } } }',
        None,
        [("10.0.0.0/8", "a b"), TWO],
    ),
    (
        "nft",
        "table ip t {\n set s {\n type ipv4_addr\n flags interval\n}\n chain c {\n ip saddr @s drop\n}\n}",
        "s",
        [],
    ),
    ("terraform", 'locals {\n a = ["10.0.0.0/8", # VPN\n"192.0.2.1"]\n}', None, [("10.0.0.0/8", "VPN"), TWO]),
    (
        "terraform",
        'variable "a" {\n type = list(string)\n default = ["192.0.2.1"] // home\n}',
        None,
        [("192.0.2.1", "home")],
    ),
    ("terraform", 'region = "eu"\nn = { a = ["x"] }\na = ["10.0.0.0/8"]\nb = ["192.0.2.1",]', "b", [TWO]),
    ("terraform", "a = []", None, []),
    ("ipset", "create a hash:net\nadd a 10.0.0.0/8\nflush a\nadd a 192.0.2.1", None, [TWO]),
    ("nft", "table ip t { set s { type ipv4_addr; elements = { 10.0.0.0/8 } } }\nflush set ip t s", None, []),
    ("terraform-json", '{"locals": {"a": ["10.0.0.0/8"]}}', None, [TEN]),
    ("terraform-json", '{"variable": {"a": {"type": "list(string)", "default": ["192.0.2.1"]}}}', None, [TWO]),
    ("terraform-json", '{"a": ["10.0.0.0/8"], "region": "eu"}', "a", [TEN]),
    (
        "traefik-yaml",
        "http:\n  middlewares:\n    a:\n      ipAllowList:\n        sourceRange:\n        - 10.0.0.0/8",
        None,
        [TEN],
    ),
    ("traefik-yaml", '{"http": {"middlewares": {"a": {"ipWhiteList": {"sourceRange": ["192.0.2.1"]}}}}}', None, [TWO]),
    (
        "traefik-yaml",
        "kind: Middleware\nspec: {ipAllowList: {sourceRange: [10.0.0.0/8], ipStrategy: {depth: 2}}}",
        None,
        [TEN],
    ),
    ("traefik-toml", '[tcp.middlewares.a.ipAllowList]\nsourceRange = ["10.0.0.0/8"]', None, [TEN]),
    ("envoy-rbac", rbac([RANGE]), None, [TEN]),
    (
        "envoy-rbac",
        rbac([{"or_ids": {"ids": [RANGE, {"directRemoteIp": {"addressPrefix": "::1", "prefixLen": 128}}]}}]),
        None,
        [TEN, ("::1/128", None)],
    ),
    ("kong", kong(allow=["10.0.0.0/8"], deny=[], message="no"), None, [TEN]),
    ("apisix", '{"plugins": {"ip-restriction": {"whitelist": ["10.0.0.0/8"]}}}', None, [TEN]),
    ("apisix", '{"whitelist": ["10.0.0.0/8"], "blacklist": null}', None, [TEN]),
    ("aws-waf", '{"IPSet": {"Name": "a", "Addresses": ["10.0.0.0/8"]}, "LockToken": "x"}', None, [TEN]),
    (
        "aws-security-group",
        group(IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "VPN"}]),
        None,
        [("10.0.0.0/8", "VPN")],
    ),
    ("aws-security-group", group("tcp", 8000, 8010), "tcp/8000-8010", [TEN]),
    ("aws-security-group", '{"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": []}]}', None, []),
    ("azure-nsg", azure(), None, [TEN]),
    (
        "azure-nsg",
        json.dumps(json.loads(azure(sourceAddressPrefixes=["192.0.2.1"], sourceAddressPrefix=""))["properties"]),
        None,
        [TWO],
    ),
    ("gcp-firewall", gcp(), None, [TEN]),
    ("gcp-firewall", gcp(allowed=[{"IPProtocol": "tcp", "ports": ["22"]}]), "tcp/22", [TEN]),
    ("cloudflare-list", '[{"ip": "10.0.0.0/8", "comment": "VPN"}]', None, [("10.0.0.0/8", "VPN")]),
    ("cloudflare-list", '{"result": [{"id": "1", "ip": "192.0.2.1"}], "success": true, "errors": []}', None, [TWO]),
    ("cloudflare-csv", '10.0.0.0/8,"a, b"\n\n192.0.2.1\n', None, [("10.0.0.0/8", "a, b"), TWO]),
]


@pytest.mark.parametrize(("dialect", "text", "pick", "expected"), READ)
def test_a_dialect_reads(dialect: str, text: str, pick: str | None, expected: list[tuple[str, str | None]]) -> None:
    assert pairs(dialect, text, pick) == expected


def test_each_dialect_has_a_sample_that_is_read_and_one_that_is_refused() -> None:
    names = {name for name, dialect in DIALECTS.items() if dialect.read is not None}
    assert {row[0] for row in READ} | {"ip6tables"} == names
    assert {row[0] for row in REFUSED} | {"ip6tables"} == names


REFUSED: list[tuple[str, str, str | None, str]] = [
    (
        "nginx",
        "deny 10.1.0.0/16;\nallow 10.0.0.0/8;\ndeny all;",
        None,
        r"^list:1: denies '10.1.0.0/16' before .* no holes; subtract",
    ),
    ("nginx", "deny 1.2.3.4; allow all;", None, "^list:1: denies"),
    ("nginx", "allow 10.0.0.0/8;", None, r"nothing denies the other addresses, so they pass; end it with 'deny all;'"),
    ("nginx", "", None, "nothing denies"),
    ("nginx", "deny all;\nallow 10.0.0.0/8;", None, "^list:2: never counts"),
    ("nginx", "allow unix:;\ndeny all;", None, "`unix:` is no address"),
    ("nginx", "location / {\nallow 10.0.0.0/8;\ndeny all;\n}", None, "^list:1: '{' begins or ends another block"),
    ("nginx", "satisfy any;\ndeny all;", None, "'satisfy any' is no `allow`"),
    ("nginx", "allow 10.0.0.0/8\ndeny all;", None, "is no `allow`"),
    ("nginx", "deny all", None, "ends without ';'"),
    ("nginx", 'allow "10.0.0.0/8;\ndeny all;', None, "in quotes ends on its line"),
    ("nginx-geo", "geo $a { 10.0.0.0/8 1; 192.0.2.0/24 2; }", None, "values '1', '2'; name the one .*--pick"),
    ("nginx-geo", "geo $a { 10.0.0.0/8 1; 10.1.0.0/16 0; }", None, "^list:1: .* no holes"),
    ("nginx-geo", "geo $a { 10.0.0.0/8 1; 10.1.0.0/16 0; }", "1", "'10.1.0.0/16' has the value '0' inside a prefix"),
    ("nginx-geo", "geo $a { 10.0.0.0/8 1; 10.0.0.0/8 0; }", "1", "no holes"),
    ("nginx-geo", "geo $a { default 1; 10.0.0.0/8 0; }", None, "addresses in no prefix have"),
    ("nginx-geo", "geo $a { default 1; 10.0.0.0/8 1; }", None, "addresses in no prefix have the value '1', too"),
    ("nginx-geo", "geo $a { default 0; 10.0.0.0/8 0; }", "0", "addresses in no prefix have"),
    ("nginx-geo", "geo $a { 10.0.0.0/8 a; }", "b", "no prefix has the value 'b'; there are 'a'"),
    ("nginx-geo", "geo $a { ranges; 10.0.0.0-10.1.0.0 1; }", None, "'ranges' is no prefix"),
    ("nginx-geo", "geo $a { include x; }", None, "'include x'"),
    ("nginx-geo", "map $a $b { 10.0.0.0/8 1; }", None, "one block `geo"),
    ("nginx-geo", "geo $a { 10.0.0.0/8 1; } geo $b { }", None, "another block"),
    ("haproxy-acl", "10.0.0.0/8 # VPN", None, "^list:1: HAProxy takes a comment only on a line of its own"),
    ("haproxy-map", "10.0.0.0/8", None, "has no value"),
    ("haproxy-map", "10.0.0.0/8 deny", None, "--pick"),
    ("haproxy-map", "10.0.0.0/8 a\n10.1.0.0/16 b", "a", "^list:2: .*no holes"),
    ("haproxy-map", "10.0.0.0/8 a\nx b", "a", "^list:2: "),
    ("apache", "Require not ip 10.0.0.0/8", None, "is none of"),
    ("apache", "<RequireAll>\nRequire ip 10.0.0.0/8\n</RequireAll>", None, "'<RequireAll>' is none of"),
    ("apache", "Require valid-user", None, "is none of"),
    ("apache", "Require ip \\\n10.0.0.0/8", None, "goes on in the next line"),
    ("apache", "# nothing", None, "has no Require line, and then Apache lets everyone in"),
    ("caddy", "@a not remote_ip 10.0.0.0/8", None, "is no `remote_ip`"),
    ("caddy", "@a {\n remote_ip 10.0.0.0/8\n path /a\n}", None, "^list:3: 'path /a' is no `remote_ip`"),
    ("caddy", "@a {\n remote_ip 10.0.0.0/8\n client_ip 10.0.0.0/8\n}", None, "must be in both"),
    ("caddy", "@a {\n}", None, "matches everyone"),
    ("caddy", "@a remote_ip private_ranges", None, "`private_ranges` is no prefix"),
    ("caddy", "@a remote_ip {$RANGES}", None, "placeholder"),
    ("caddy", "@a remote_ip 10.0.0.0/8\n@b remote_ip 10.0.0.0/8", None, "2 matchers; name one"),
    ("caddy", "@a remote_ip 10.0.0.0/8", "b", "no matcher '@b'; there are '@a'"),
    ("caddy", "@a remote_ip 10.0.0.0/8\n@a remote_ip 10.0.0.0/8", None, "stands twice"),
    ("caddy", "@a {\nremote_ip 10.0.0.0/8", None, "is not closed"),
    ("caddy", "", None, "there is no `remote_ip`"),
    ("caddy-json", "[]", None, "everyone matches"),
    ("caddy-json", '[{"not": [{"remote_ip": {"ranges": []}}]}]', None, "not understood"),
    ("caddy-json", '[{"remote_ip": {"ranges": []}, "path": ["/a"]}]', None, r"^list:\[0\]"),
    ("caddy-json", '[{"remote_ip": {"ranges": ["private_ranges"]}}]', None, "no prefix"),
    ("iptables", "-A a -s 10.0.0.0/8 -j RETURN", None, "end it with '-A a -j DROP'"),
    ("iptables", ":INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.0/8 -j DROP", None, "^list:2: denies '10.0.0.0/8'"),
    ("iptables", "-A a ! -s 10.0.0.0/8 -j RETURN\n-A a -j DROP", None, "'!' is another condition"),
    ("iptables", "-A a -s 10.0.0.0/8 -p tcp -j RETURN\n-A a -j DROP", None, "'-p' is another condition"),
    ("iptables", "-A a -s 10.0.0.0/8 -m conntrack -j RETURN\n-A a -j DROP", None, "a rule is -s PREFIX"),
    ("iptables", "-A a -s 10.0.0.0/8 -j LOG\n-A a -j DROP", None, "a rule is -s PREFIX"),
    ("iptables", "-A INPUT -s 10.0.0.0/8 -j RETURN\n-A INPUT -j DROP", None, "RETURN in INPUT"),
    ("iptables", "-A a -j DROP\n-A b -j DROP", None, "2 chains; name one"),
    ("iptables", "-A a -j DROP", "b", "no chain 'b'"),
    ("iptables", "*filter\nCOMMIT", None, "there is no rule"),
    ("iptables", "-I a -j DROP", None, "'-I' is no line"),
    (
        "iptables",
        "*nat\n:INPUT DROP\nCOMMIT\n*filter\n-A INPUT -s 1.2.3.4 -j ACCEPT",
        None,
        "^list:1: another table, 'nat'",
    ),
    ("nginx-geo", "geo $a { default 1; default 0; 10.0.0.0/8 1; }", None, "`default` stands twice"),
    ("nft", "table ip a { set s { type ipv4_addr; } }\ntable ip b { set s { type ipv4_addr; } }", None, "two tables"),
    ("nft", "flush ruleset x y z", None, "a set or a chain may be flushed"),
    ("ipset", "flush a", None, "'flush' is no line"),
    ("gcp-firewall", gcp(allowed=[]), None, "^list:allowed: is empty, and then the rule allows nothing"),
    (
        "envoy-rbac",
        json.dumps({"policies": {"a": {"permissions": [], "principals": [RANGE]}}}),
        None,
        "permits nothing",
    ),
    ("iptables", "-A a -s 1.2.3.4 -s 10.0.0.0/8 -j DROP", None, "'-s' stands twice"),
    ("ipset", "create a hash:net\nadd a 10.0.0.0/8\nadd a 10.1.0.0/16 nomatch", None, "^list:3: 'nomatch' is a hole"),
    ("ipset", "create a hash:net timeout 60\nadd a 10.0.0.0/8", None, "'timeout' is an option"),
    ("ipset", "create a hash:net,port\nadd a 10.0.0.0/8,80", None, "more than prefixes"),
    ("ipset", "create a hash:net\ncreate b hash:net", None, "several sets, such as 'a', 'b'; name one"),
    ("ipset", "create a hash:net\nadd b 10.0.0.0/8", None, "'b' is not created above"),
    ("ipset", "create a hash:net\ndel a 10.0.0.0/8", None, "'del' is no line"),
    ("ipset", "create a hash:net\ncreate a hash:net", None, "created twice"),
    ("ipset", "create a hash:net", "b", "no set 'b'"),
    ("ipset", "", None, "no set is created"),
    ("nft", "table ip t { set s { type ipv4_addr; timeout 1h; } }", None, "'timeout' is not understood"),
    (
        "nft",
        "table ip t { set s { type ipv4_addr; elements = { 10.0.0.0/8 timeout 1h } } }",
        None,
        "an element is a prefix",
    ),
    ("nft", "table ip t { set s { type ipv4_addr . inet_service; } }", None, "'.' is not understood"),
    ("nft", "table ip t { set s { type inet_service; } }", None, "no list of prefixes"),
    ("nft", "table ip t { map s { type ipv4_addr : verdict; } }", None, "'map' is not understood"),
    ("nft", "table ip t { set s { type ipv4_addr; flags timeout; } }", None, "the flags of a list"),
    (
        "nft",
        "table ip t { set s { type ipv4_addr; }\n chain c {\n ip saddr @s drop\n } }",
        None,
        "whom to deny; name the set",
    ),
    ("nft", "table ip t { set a { type ipv4_addr; } set b { type ipv4_addr; } }", None, "several sets"),
    ("nft", "table ip t { set a { type ipv4_addr; } }", "b", "no set 'b'"),
    ("nft", "table ip t { }", None, "there is no set"),
    ("nft", "table ip t { set a {", None, "ends in the middle"),
    ("nft", "add element ip t s { 10.0.0.0/8 }", None, "`table` blocks"),
    ("terraform", 'a = ["${var.x}"]', None, "is a template"),
    ("terraform", 'a = concat(["10.0.0.0/8"], var.x)', None, "is no plain list; name the list"),
    ("terraform", 'a = ["10.0.0.0/8", var.x]', None, "'var.x' is not understood"),
    ("terraform", 'a = [for x in y : "10.0.0.0/8"]', None, "'for' is not understood"),
    ("terraform", 'a = ["10.0.0.0/8" "10.1.0.0/16"]', None, "not understood"),
    ("terraform", 'a = ["10.0.0.0/8"] + b', None, "not understood"),
    ("terraform", 'a = ["10.0.0.0/8"]\nb = []', None, "2 lists; name one"),
    ("terraform", 'a = ["10.0.0.0/8"]', "b", "no list 'b'; there are 'a'"),
    ("terraform", 'a = ["10.0.0.0/8"]\na = []', None, "stands twice"),
    ("terraform", 'resource "x" "y" {\n a = ["10.0.0.0/8"]\n}', None, "'resource' is no attribute"),
    ("terraform", 'locals {\n a = ["10.0.0.0/8"]', None, "not closed"),
    ("terraform-json", '{"locals": {"a": ["${x}"]}}', None, "is a template"),
    ("terraform-json", '{"a": ["10.0.0.0/8"], "b": []}', None, "2 of them"),
    ("traefik-yaml", "a: &x [10.0.0.0/8]\nb: *x", None, r"has the alias \*x"),
    (
        "traefik-yaml",
        "http: {middlewares: {a: {ipAllowList: {sourceRange: []}}, b: {chain: {}}}}",
        None,
        "not one middleware",
    ),
    ("traefik-yaml", "http: {middlewares: {a: {chain: {}}}}", None, "not understood"),
    ("traefik-yaml", "http:\n  a: 1\n  a: 2", None, "^list:3: a key .* twice"),
    ("traefik-yaml", "a: [", None, "is not YAML"),
    ("traefik-yaml", "a\n---\nb", None, "2 documents"),
    ("traefik-toml", "a", None, "is not TOML"),
    (
        "traefik-toml",
        '[http.middlewares.a.ipAllowList]\nsourceRange = ["10.0.0.0/8"]\nexcept = []',
        None,
        "'except' is not understood",
    ),
    ("envoy-rbac", rbac([RANGE], action="DENY"), None, "another action"),
    ("envoy-rbac", rbac([RANGE], action="LOG"), None, "another action"),
    ("envoy-rbac", rbac([RANGE], [{"header": {}}]), None, "'any' is missing|not understood"),
    ("envoy-rbac", rbac([RANGE], [{"any": False}]), None, "limits what may be asked"),
    ("envoy-rbac", rbac([{"not_id": RANGE}]), None, "not understood"),
    ("envoy-rbac", rbac([{"and_ids": {"ids": [RANGE]}}]), None, "not understood"),
    ("envoy-rbac", rbac([RANGE | {"header": {}}]), None, "'header' is not understood"),
    ("envoy-rbac", rbac([{"any": True}]), None, "not understood"),
    ("envoy-rbac", rbac([{"remote_ip": {"address_prefix": "10.0.0.1"}}]), None, "takes it for /0, everyone; write 32"),
    ("envoy-rbac", rbac([{"remote_ip": {"address_prefix": "10.0.0.0/8", "prefix_len": 8}}]), None, "without a length"),
    ("envoy-rbac", rbac([{"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": "8"}}]), None, "from 0 to 128"),
    ("envoy-rbac", rbac([{"remote_ip": {"prefix_len": 8}}]), None, "address_prefix is missing"),
    ("envoy-rbac", '{"shadow_rules": {}}', None, "not understood"),
    ("envoy-rbac", '{"rules": {"policies": {}}, "shadow_rules": {}}', None, "'shadow_rules' is not understood"),
    ("kong", kong(allow=["10.0.0.0/8"], deny=["10.1.0.0/16"]), None, r"^list:config.deny: .* no holes"),
    ("kong", kong(deny=["10.1.0.0/16"]), None, "'allow' is missing"),
    ("kong", '{"name": "cors", "config": {"allow": []}}', None, "'cors' is another plugin"),
    ("kong", '{"name": "ip-restriction", "enabled": false, "config": {"allow": []}}', None, "the plugin is off"),
    ("kong", '{"name": "ip-restriction", "consumer": {"id": "x"}, "config": {"allow": []}}', None, "one consumer"),
    ("kong", kong(allow=["10.0.0.0/8", 7]), None, r"^list:config.allow\[1\]: a text was expected, not a number"),
    ("apisix", '{"ip-restriction": {"blacklist": ["10.0.0.0/8"]}}', None, "'whitelist' is missing"),
    ("apisix", '{"whitelist": [], "blacklist": ["10.0.0.0/8"]}', None, "no holes"),
    ("apisix", '{"whitelist": [], "_meta": {"disable": true}}', None, "'_meta' is not understood"),
    ("aws-waf", '{"Addresses": "10.0.0.0/8"}', None, "a list was expected, not a text"),
    ("aws-waf", "[", None, "is not JSON"),
    ("aws-waf", '{"Addresses": [], "Addresses": []}', None, "twice"),
    ("aws-security-group", group("tcp", 22, 22), None, r"tcp/22, not for tcp/443.*--pick tcp/22"),
    ("aws-security-group", group(), "tcp/22", "the pick is 'tcp/22'"),
    ("aws-security-group", group(UserIdGroupPairs=[{"GroupId": "x"}]), None, "another security group"),
    ("aws-security-group", group(PrefixListIds=[{"PrefixListId": "x"}]), None, "managed prefix list"),
    ("aws-security-group", '{"SecurityGroups": []}', None, "0 security groups"),
    ("azure-nsg", azure(access="Deny"), None, "no Allow rule"),
    ("azure-nsg", azure(direction="Outbound"), None, "no Inbound rule"),
    ("azure-nsg", azure(sourceAddressPrefix="*"), None, r"'\*' means everyone"),
    ("azure-nsg", azure(sourceAddressPrefix="VirtualNetwork"), None, "a service tag"),
    ("azure-nsg", azure(destinationPortRange="22"), None, "tcp/22"),
    ("azure-nsg", azure(destinationPortRanges=["80"]), None, "tcp/443,80"),
    ("azure-nsg", azure(sourcePortRange="1024-2048"), None, "a condition besides the source"),
    ("azure-nsg", azure(destinationAddressPrefix="10.0.0.4"), None, "a condition besides the source"),
    ("gcp-firewall", gcp(sourceRanges=[]), None, "no sourceRanges"),
    ("gcp-firewall", gcp(denied=[{"IPProtocol": "all"}]), None, "whom to deny"),
    ("gcp-firewall", gcp(allowed=[{"IPProtocol": "tcp", "ports": ["22"]}]), None, "tcp/22"),
    ("gcp-firewall", gcp(allowed=[{"IPProtocol": "tcp"}]), None, "any port"),
    ("gcp-firewall", gcp(sourceTags=["x"]), None, "by their tags"),
    ("gcp-firewall", gcp(disabled=True), None, "is off"),
    ("gcp-firewall", gcp(direction="EGRESS"), None, "incoming"),
    ("cloudflare-list", '[{"asn": 1}]', None, "'asn' is not understood"),
    (
        "cloudflare-list",
        '{"result": [], "success": true, "result_info": {"cursors": {"after": "x"}}}',
        None,
        "more pages",
    ),
    ("cloudflare-list", '{"result": [], "success": false}', None, "an error"),
    ("cloudflare-csv", "10.0.0.0/8,a,b", None, "^list:1: a row has"),
    ("cloudflare-csv", ",a", None, "the first cell is empty"),
    ("cloudflare-csv", '10.0.0.0/8,"a', None, "is not CSV"),
]


@pytest.mark.parametrize(("dialect", "text", "pick", "reason"), REFUSED)
def test_what_a_dialect_does_not_understand_is_refused(dialect: str, text: str, pick: str | None, reason: str) -> None:
    with pytest.raises(ListFileError, match=reason) as caught:
        read(dialect, text, pick)
    assert caught.value.place.startswith("list")


def test_yaml_without_pyyaml_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ListFileError, match=r"pip install 'cidrmatch\[yaml\]'"):
        read("traefik-yaml", "http: {}")
    assert pairs("envoy-rbac", rbac([RANGE])) == [TEN]


# -- Writing ------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [name for name, one in DIALECTS.items() if one.empty])
def test_an_empty_list_is_refused_where_it_would_be_everyone_or_an_error(dialect: str) -> None:
    with pytest.raises(UnwritableList, match=r"the list is empty, and .*; remove the rule instead"):
        write_list([], dialect)
    with pytest.raises(UnwritableList, match="the list is empty"):
        write_list(["10.0.0.0/8"], dialect, family=6)


@pytest.mark.parametrize("dialect", [name for name, one in DIALECTS.items() if not one.empty and one.read])
def test_an_empty_list_is_nobody_and_is_read_as_such(dialect: str) -> None:
    assert read(dialect, write_list([], dialect).text) == []


def test_nobody_of_envoy_is_allow_without_a_policy() -> None:
    """Envoy refuses a policy without principals."""
    rules = json.loads(write_list([], "envoy-rbac").text)["typed_config"]["rules"]
    assert rules == {"action": "ALLOW", "policies": {}}


@pytest.mark.parametrize("dialect", ["aws-waf", "azure-nsg", "gcp-firewall"])
def test_a_list_of_both_families_is_two_files_where_a_file_holds_one(dialect: str) -> None:
    with pytest.raises(UnwritableList, match="holds one family, and the list has both"):
        write_list(MIXED, dialect)
    four, six = (pairs(dialect, write_list(MIXED, dialect, family=family).text) for family in (4, 6))
    assert [prefix for prefix, _ in four + six] == ["198.51.100.7/32", "203.0.113.0/24", "2001:db8::/48"]


@pytest.mark.parametrize(("dialect", "family"), [("iptables", 4), ("ip6tables", 6)])
def test_a_dialect_of_one_family_takes_no_other(dialect: str, family: int) -> None:
    with pytest.raises(UnwritableList, match=rf"holds only IPv{family}.*--family {family}"):
        write_list(MIXED, dialect)
    with pytest.raises(UnwritableList, match="holds only"):
        write_list(MIXED, dialect, family=10 - family)
    assert write_list(MIXED, dialect, family=family).text


@pytest.mark.parametrize(
    ("dialect", "prefix", "pieces"),
    [
        ("aws-waf", "0.0.0.0/0", 2),
        ("aws-waf", "::/0", 2),
        ("ipset", "::/0", 2),
        ("apache", "0.0.0.0/0", 2),
        ("cloudflare-list", "0.0.0.0/0", 256),
        ("cloudflare-csv", "2000::/3", 512),
        ("haproxy-acl", "::/0", 96),
        ("haproxy-map", "::/95", 1),
    ],
)
def test_a_prefix_that_a_product_does_not_take_is_split_and_told(dialect: str, prefix: str, pieces: int) -> None:
    written = write_list([prefix], dialect)
    found = [one for one, _ in pairs(dialect, written.text, "1" if dialect == "haproxy-map" else None)]
    assert len(found) == pieces
    assert any(f"{prefix} is written as {pieces} prefixes" in told for told in written.warnings) == (pieces > 1)
    if dialect.startswith("haproxy"):
        assert "::ffff:0:0/96" not in AllowList(found).aggregate()
    else:
        assert AllowList(found).aggregate() == AllowList([prefix]).aggregate()


def test_a_mapping_product_gets_no_ipv6_prefix_that_covers_ipv4_clients() -> None:
    found = AllowList(prefix for prefix, _ in pairs("haproxy-acl", write_list(["::/0"], "haproxy-acl").text))
    assert not any(prefix.covers("::ffff:0:0/97") for prefix in found.aggregate())
    assert "::fffe:ffff:ffff" in found
    assert "::1:0:0:0" in found


def test_cloudflare_takes_no_ipv6_prefix_longer_than_64() -> None:
    with pytest.raises(UnwritableList, match=r"2001:db8::1/128 is longer than /64.* would admit others"):
        write_list(["2001:db8::1"], "cloudflare-list")


def test_limits_refuse_and_quotas_warn() -> None:
    many = [f"10.{n >> 8}.{n & 255}.1" for n in range(10_001)]
    with pytest.raises(UnwritableList, match="10,001 prefixes are more than the 10,000 of an IP set"):
        write_list(many, "aws-waf")
    assert write_list(many[:10_000], "aws-waf").warnings == ()
    with pytest.raises(UnwritableList, match="4,000 of a rule"):
        write_list(many[:4_001], "azure-nsg")
    with pytest.raises(UnwritableList, match="5,000 of a rule"):
        write_list(many[:5_001], "gcp-firewall")
    assert write_list([*many[:60], "::1"], "aws-security-group").warnings == ()
    (warning,) = write_list(many[:61], "aws-security-group").warnings
    assert (
        "61 prefixes are more than the 60 of a security group, of each family, unless the quota was raised" in warning
    )


def test_6to4_and_compatible_addresses_do_not_pass_a_map_by_the_ipv4_address_inside() -> None:
    assert write_list(["203.0.113.5"], "haproxy-map").text == "::/96 0\n2002::/16 0\n203.0.113.5/32 1\n"
    assert "2002::/16 0" not in write_list(["2002::/16"], "haproxy-map").text
    assert "2002::/16 0\n" in write_list(["2002:1::/32"], "haproxy-map").text
    (warning,) = write_list(["203.0.113.5"], "haproxy-acl").warnings
    assert "2002::/16" in warning


def test_an_entry_is_written_once_in_canonical_text() -> None:
    given = ["::FFFF:203.0.113.5", "203.0.113.5", "2001:DB8::/32", "10.0.0.0/8"]
    assert write_list(given, "text").text == "10.0.0.0/8\n203.0.113.5/32\n2001:db8::/32\n"


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(InvalidPrefix):
        write_list(["10.0.0.1/8"], "nginx")
    with pytest.raises(TypeError):
        write_list("10.0.0.0/8", "nginx")
    condition = Condition(effect="deny")
    with pytest.raises(ValueError, match="condition"):
        write_list([Entry("10.0.0.0/8", None, condition)], "nginx")
    with pytest.raises(ValueError, match="condition"):
        write_list([Entry("10.0.0.0/8", None, Condition(expires=datetime(2030, 1, 1, tzinfo=UTC)))], "nginx")
    with pytest.raises(ValueError, match="'nginxx' is no format that is written; there are nginx, "):
        write_list([], "nginxx")
    with pytest.raises(ValueError, match="family is 4 or 6"):
        write_list([], "nginx", family=5)
    assert issubclass(UnwritableList, CidrmatchError)


NAMED = [name for name, dialect in DIALECTS.items() if dialect.name_pattern]


@pytest.mark.parametrize("dialect", NAMED)
def test_a_name_stands_in_the_file_and_is_never_configuration(dialect: str) -> None:
    family = 6 if dialect == "ip6tables" else 4
    assert "office7" in write_list(MIXED, dialect, name="office7", family=family).text
    for name in ("", "a b", "a;", "a\n", "a}", 'a"', "$a", "a#", "é", "٣", "-a", "a" * 200):
        if dialect == "aws-waf" and name == "-a":
            continue
        with pytest.raises(ValueError, match="is no name for"):
            write_list(MIXED, dialect, name=name, family=family)


def test_a_dialect_without_names_takes_none() -> None:
    with pytest.raises(ValueError, match="nginx has no names"):
        write_list(MIXED, "nginx", name="office")


def test_labels_that_are_lost_or_changed_are_told() -> None:
    assert write_list(MIXED, "nginx").warnings == ()
    assert write_list(MIXED, "kong").warnings == ("kong keeps no labels; 2 are not written",)
    (told,) = write_list([("10.0.0.0/8", "a;b"), ("11.0.0.0/8", "ab")], "nginx").warnings
    assert told == "1 labels have characters that nginx does not keep, or are too long"


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("Wien, 2. Stock (VPN)", "Wien, 2. Stock (VPN)"),
        ("Zürich 東京 Ελλάδα हिन्दी", "Zürich 東京 Ελλάδα हिन्दी"),
        ("a\nallow all;", "a_allow all_"),
        ("${a} %{b} {$c} {{d}}", "__a_ %_b_ __c_ __d__"),
        ("*/ ' \" ` \\ # $", "_/ ' _ _ _ _ _"),
        ("a\u2028b\u202ec\u200bd\x00e\x7ff\x85g\ud800h", "a_b_c_d_e_f_g_h"),
        ("a\u3000b", "a_b"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_comment_holds_only_harmless_characters(label: str | None, kept: str | None) -> None:
    assert harmless(label, COMMENT) == kept


def test_other_places_hold_other_characters() -> None:
    assert harmless("é #{$}", AWS) == "_ #{$}"
    assert harmless("Vienna", LOST) is None
    assert harmless("a\0b\ud800;", ANY) == "a_b?;"
    assert harmless("é" * 100, QUOTED_128) == "é" * 63


def test_read_list_knows_each_dialect_by_its_name_alone(tmp_path: Path) -> None:
    for name, dialect in DIALECTS.items():
        assert name in set(Format)
        if dialect.read is not None:
            assert READERS[Format(name)].suffixes == ()
            assert READERS[Format(name)].fits is None
    path = tmp_path / "list.json"
    path.write_text(kong(allow=["10.0.0.0/8"]), encoding="ascii")
    assert read_list(path, Format.KONG).entries == (("10.0.0.0/8", None),)
    with pytest.raises(ListFileError, match=r"list\.json: "):
        read_list(path)
    with pytest.raises(ListFileError, match="has no fields"):
        read_list(path, Format.KONG, where={"a": "b"})
