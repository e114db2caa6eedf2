"""Files of gateways and feeds that are made to mean more here than there: each is refused, or read as it is meant.

A file may mislead by what replaces what stands above, by names that look like a pair, by comments and texts of several
lines, by types that nobody expects, and by its size.
"""

from __future__ import annotations

import json

import pytest

from cidrmatch.files.dialects.writing import write_list
from cidrmatch.files.lists import Format, ListFileError, read_list

PAIR = "create {0} hash:net\ncreate {1} hash:net family inet6\nadd {0} 10.0.0.0/8\nadd {1} 2001:db8::/32\n"
SET = "set {0} {{ type {1}; elements = {{ {2} }} }}\n"
MAPPED = "::ffff:203.0.113.0/120"


def entries(file_format: str, text: str, pick: str | None = None) -> list[str]:
    found = read_list("list", Format(file_format), content=text.encode(), pick=pick)
    return [prefix for prefix, _ in found.entries]


def nested(depth: int) -> str:
    principal: object = {"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}
    for _ in range(depth):
        principal = {"or_ids": {"ids": [principal]}}
    return json.dumps({"policies": {"a": {"permissions": [{"any": True}], "principals": [principal]}}})


TWO_SPELLINGS = {"address_prefix": "10.0.0.0", "addressPrefix": "0.0.0.0", "prefix_len": 8}

REFUSED = [
    (
        "iptables",
        "*filter\n-A a -s 10.0.0.0/8 -j RETURN\nCOMMIT\n*filter\n-A a -j DROP\nCOMMIT\n",
        "^list:4: another table begins, and replaces the one above",
    ),
    (
        "iptables",
        ":a - [0:0]\n-A a -s 10.0.0.0/8 -j RETURN\n:a - [0:0]\n-A a -j DROP\n",
        "^list:3: the chain 'a' stands above, and is emptied",
    ),
    ("ipset", PAIR.format("allow4", "blocked6"), "several sets, such as 'allow4', 'blocked6'; name one"),
    ("ipset", PAIR.format("allow", "blocked"), "several sets"),
    ("ipset", "create a4 hash:net\ncreate a6 hash:net", "several sets"),
    (
        "nft",
        f"table ip a {{\n{SET.format('a4', 'ipv4_addr', '10.0.0.0/8')}{SET.format('b6', 'ipv6_addr', '::/8')}}}",
        "several sets",
    ),
    ("nft", "table ip a { set a { type ipv4_addr\n flags interval", "ends in the middle"),
    (
        "nft",
        f"table ip a {{\n{SET.format('a', 'ipv4_addr', '10.0.0.0/8')}chain c {{\ndrop\nip saddr @a return\n}}\n}}",
        "the chain has the rule 'drop'",
    ),
    (
        "nft",
        f"table ip a {{\n{SET.format('a', 'ipv4_addr', '10.0.0.0/8')}}}\nflush set ip b a\n",
        "another table has the set of this name",
    ),
    ("terraform", 'region = "eu" /* old:\nallow = ["10.0.0.0/8"]\nold = 1 */\n', "^list:1: a comment /. ... ./"),
    ("terraform", 'x = f(<<EOT\n)\nallow = ["10.0.0.0/8"]\ny = f(\nEOT\n)\n', "^list:1: begins a text of several"),
    ("terraform", 'x = "${f("\n allow = ["10.0.0.0/8"]', "^list:1: has a template with quotes"),
    ("terraform", 'x = "${a} ${ {} f("\n allow = ["10.0.0.0/8"]', "^list:1: has a template with quotes"),
    ("terraform", 'a = f#(\nb = ["10.0.0.0/8"]\n#)\nc = ["192.0.2.0/24"]', "there are 2 lists"),
    ("terraform", 'a = toset(["10.0.0.0/8"])\nc = ["192.0.2.0/24"]', "^list:1: 'a' holds the address '10.0.0.0/8'"),
    ("terraform", "locals {\n" * 20_000, "^list:2: 'locals' is no attribute"),
    ("traefik-yaml", r'http: "\UFFFFFFFF"', "is not YAML"),
    ("traefik-yaml", r'http: "\U00110000"', "is not YAML"),
    ("azure-nsg", '{"destinationPortRanges": 5}', "^list:destinationPortRanges: a list was expected, not a number"),
    ("gcp-firewall", '{"sourceRanges": ["10.0.0.0/8"], "allowed": 5}', "^list:allowed: a list was expected"),
    ("envoy-rbac", nested(200), "nested deeper than can be read"),
    (
        "envoy-rbac",
        json.dumps({"policies": {"a": {"permissions": [{"any": True}], "principals": [{"remote_ip": TWO_SPELLINGS}]}}}),
        "two spellings",
    ),
    (
        "kong",
        '{"name": "ip-restriction", "config": {"allow": ["10.0.0.0/8"], "deny": 0}}',
        "^list:config.deny: denies addresses",
    ),
    ("haproxy-map", "10.0.0.0/8\u00a01\n", "has no value"),
    ("geofeed", "# feed\r10.0.0.0/8,US,,,\r", "is not CSV"),
    (
        "github",
        '{"verifiable_password_authentication": true, "hooks": ["10.0.0.0/8"], "web": [], "excluded": ["10.1.0.0/16"]}',
        "^list:excluded: names what is not to be let in",
    ),
    (
        "aws",
        '{"createDate": "x", "prefixes": [{"ip_prefix": "10.0.0.0/8", "enabled": false}], "ipv6_prefixes": []}',
        "'enabled' says when an entry counts",
    ),
    ("nginx", f"allow {MAPPED};\ndeny all;", "^list:1: '::ffff:203.0.113.0/120' is an IPv6 prefix with IPv4 addresses"),
    ("nginx-geo", f"geo $a {{ {MAPPED} 1; }}", "write the IPv4 prefix that is meant"),
    ("kong", json.dumps({"name": "ip-restriction", "config": {"allow": ["0:0:0:0:0:FFFF:a00:1"]}}), "IPv4 addresses"),
]


@pytest.mark.parametrize(("file_format", "text", "reason"), REFUSED)
def test_a_misleading_file_is_refused(file_format: str, text: str, reason: str) -> None:
    if "yaml" in file_format:
        pytest.importorskip("yaml")
    with pytest.raises(ListFileError, match=reason):
        entries(file_format, text)


def test_the_picked_set_is_read_without_one_that_looks_like_its_pair() -> None:
    text = "create office hash:net\ncreate office4 hash:net\nadd office 10.0.0.0/8\nadd office4 192.0.2.0/24\n"
    assert entries("ipset", text, pick="office") == ["10.0.0.0/8"]
    swapped = PAIR.replace(" family inet6", "").format("a6", "a4")  # both are of IPv4, so a6 is no set of IPv6
    assert entries("ipset", swapped.replace("2001:db8::/32", "192.0.2.0/24"), pick="a") == ["192.0.2.0/24"]


@pytest.mark.parametrize("names", [("a4", "a6"), ("a_v4", "a_v6"), ("a-ipv4", "a-ipv6"), ("a", "a6")])
def test_two_sets_that_differ_only_in_their_family_are_one_list(names: tuple[str, str]) -> None:
    assert entries("ipset", PAIR.format(*names)) == ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(("file_format", "everyone"), [("iptables", "0.0.0.0/0"), ("ip6tables", "::/0")])
def test_a_chain_that_lets_everyone_in_says_nothing_of_the_other_family(file_format: str, everyone: str) -> None:
    assert entries(file_format, "-A a -j RETURN") == [everyone]


def test_haproxy_takes_an_ipv4_client_for_a_mapped_address() -> None:
    assert entries("haproxy-acl", MAPPED) == [MAPPED]


def test_a_list_is_picked_beside_values_that_are_not_read() -> None:
    text = 'cidr = "10.0.0.0/16"\nallow = ["192.0.2.0/24"] // VPN\nname = "${x}-allow"\n'
    assert entries("terraform", text, pick="allow") == ["192.0.2.0/24"]


def test_a_condition_is_noticed_however_it_is_written() -> None:
    for file_format, text in (
        ("csv", "prefix,Enabled\n10.0.0.0/8,false\n"),
        ("json", '[{"prefix": "10.0.0.0/8", "Enabled": false}]'),
    ):
        with pytest.raises(ListFileError, match="'Enabled' says when an entry counts"):
            read_list("list", Format(file_format), content=text.encode(), column="prefix")


def test_a_label_with_a_return_is_read_again() -> None:
    text = write_list([("10.0.0.0/8", "a\rb")], "csv").text
    assert read_list("list", Format.CSV, content=text.encode()).entries == (("10.0.0.0/8", "a\rb"),)
