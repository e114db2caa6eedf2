"""Laws of dialects: what is written is read again, and a label is never configuration.

The readers of other projects are the second opinion: tomllib, json, csv, PyYAML and python-hcl2.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import json
import re
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hcl2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Prefix
from cidrmatch.files.dialects.dialect import Source
from cidrmatch.files.dialects.labels import harmless
from cidrmatch.files.dialects.table import DIALECTS
from cidrmatch.files.dialects.writing import write_list
from cidrmatch.files.lists import Format, read_list

KEPT = {
    "nginx", "nginx-geo", "caddy", "iptables", "ip6tables", "ipset", "nft", "aws-security-group",
    "cloudflare-list", "cloudflare-csv", "terraform", "csv", "json", "toml",
}  # fmt: skip
"""Dialects from which labels are read again."""

HOLE = ipaddress.IPv6Network("::ffff:0:0/96")
HOSTILE = st.sampled_from([
    "a\nallow all;\n", "\r\ndeny 1.2.3.4;", '"; }', "*/", "#", "${a}", "%{ if x }", "{$HOME}", "{{ env }}", "\\",
    "\\\n",
    "`x`", "$(x)", "'", "<!--", "\u2028allow all;", "\x85", "\x00", "=cmd()", '",', "] }", "--", "//", "/*", "\ud800",
    "@a", "\t", "# #", "\u202e", "x" * 300,
])  # fmt: skip
LABELS = st.none() | st.lists(HOSTILE | st.text(max_size=10), max_size=4).map("".join)


@st.composite
def networks(draw: st.DrawFn) -> str:
    width = draw(st.sampled_from([32, 128]))
    length, number = draw(st.integers(0, width)), draw(st.integers(0, (1 << width) - 1))
    kind = ipaddress.IPv4Network if width == 32 else ipaddress.IPv6Network
    return str(kind((number >> (width - length) << (width - length), length)))


@st.composite
def lists(draw: st.DrawFn) -> list[tuple[str, str | None]]:
    return [(network, draw(LABELS)) for network in draw(st.lists(networks(), max_size=8, unique=True))]


def fitting(dialect: str, entries: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Keep what the dialect can hold, unsplit."""
    row = DIALECTS[dialect]
    family = row.only_family or (4 if row.one_family else None)

    def fits(prefix: Prefix) -> bool:
        lengths = range(row.shortest[prefix.family == 6], (row.longest6 if prefix.family == 6 else 32) + 1)
        if row.is_mapping and prefix.family == 6 and HOLE.subnet_of(ipaddress.IPv6Network(str(prefix))):
            return False
        return prefix.length in lengths and family in (None, prefix.family) and prefix.length > 0

    return [entry for entry in entries if fits(Prefix(entry[0]))] or [("10.0.0.0/16" if family != 6 else "::1", None)]


def read_again(dialect: str, text: str) -> list[tuple[str, str | None]]:
    reader = DIALECTS[dialect].read
    if reader is not None:
        return [(str(Prefix(prefix)), label) for _, prefix, label in reader(Source("list", text))]
    with TemporaryDirectory() as folder:
        path = Path(folder, "list")
        path.write_bytes(text.encode())
        named = "label" if text.startswith("prefix,label") else None  # then a label may be any text, and also a mask
        listed = read_list(path, Format(dialect), label_column=named)
        return [(str(Prefix(prefix)), label) for prefix, label in listed.entries]


@pytest.mark.parametrize("dialect", DIALECTS)
@given(given=lists())
def test_what_is_written_is_read_again(dialect: str, given: list[tuple[str, str | None]]) -> None:
    entries = fitting(dialect, given)
    charset = DIALECTS[dialect].labels
    expected = [
        (str(entry.prefix), harmless(entry.label, charset) if dialect in KEPT else None) for entry in AllowList(entries)
    ]
    again = read_again(dialect, write_list(entries, dialect).text)
    if dialect == "cloudflare-csv":  # a spreadsheet would take these characters for a formula
        expected = [(prefix, label and re.sub(r"^[=+\-@]", "_", label)) for prefix, label in expected]
    assert sorted(again) == sorted(expected)


IN_JSON = ("aws-security-group", "cloudflare-list")
IN_COMMENTS = [
    name
    for name, one in DIALECTS.items()
    if one.labels.most_bytes and name not in (*IN_JSON, "cloudflare-csv", "csv", "json", "toml")
]
ABOVE = ("haproxy-acl", "haproxy-map", "apache")
"""Dialects whose comments have lines of their own."""
BEHIND = re.compile(r" +# [^#;{}$\"\\]*$| -m comment --comment \"[^\"\\]*\"| comment \"[^\"\\]*\"")
"""A comment, by its form alone: this pattern knows no dialect's grammar."""


@pytest.mark.parametrize("dialect", IN_COMMENTS)
@given(given=lists())
def test_a_label_adds_nothing_but_a_comment(dialect: str, given: list[tuple[str, str | None]]) -> None:
    entries = fitting(dialect, given)
    bare = write_list([prefix for prefix, _ in entries], dialect).text
    lines = write_list(entries, dialect).text.split("\n")
    if dialect in ABOVE:
        lines = [line for line in lines if not re.fullmatch(r" *# [^#;{}$\"\\]*", line)]
    assert "\n".join(BEHIND.sub("", line) for line in lines) == bare


@pytest.mark.parametrize("dialect", IN_JSON)
@given(given=lists())
def test_a_label_in_json_is_a_text_of_its_own(dialect: str, given: list[tuple[str, str | None]]) -> None:
    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(one) for one in value]
        if isinstance(value, dict):
            return {key: without(one) for key, one in value.items() if key not in ("Description", "comment")}
        return value

    entries = fitting(dialect, given)
    bare = write_list([prefix for prefix, _ in entries], dialect).text
    assert without(json.loads(write_list(entries, dialect).text)) == json.loads(bare)


def prefixes_of(entries: list[tuple[str, str | None]]) -> list[str]:
    return [str(entry.prefix) for entry in AllowList(entries)]


@given(given=lists())
def test_readers_of_other_projects_see_the_same_prefixes(given: list[tuple[str, str | None]]) -> None:
    def written(dialect: str) -> str:
        return write_list(fitting(dialect, given), dialect).text

    expected = prefixes_of(fitting("terraform", given))
    traefik: Any = yaml.safe_load(written("traefik-yaml"))
    assert traefik == tomllib.loads(written("traefik-toml"))
    assert traefik["http"]["middlewares"]["allow_list"] == {"ipAllowList": {"sourceRange": expected}}
    assert json.loads(written("terraform-json")) == {"locals": {"allow_list": expected}}
    assert json.loads(written("kong"))["config"] == {"allow": expected}
    assert json.loads(written("apisix"))["ip-restriction"] == {"whitelist": expected}
    rows = list(csv.reader(io.StringIO(written("cloudflare-csv"), newline=""), strict=True))
    assert [row[0] for row in rows] == prefixes_of(fitting("cloudflare-csv", given))


@given(given=lists())
def test_python_hcl2_sees_the_same_prefixes(given: list[tuple[str, str | None]]) -> None:
    entries = fitting("terraform", given)
    found: Any = hcl2.loads(write_list(entries, "terraform").text)
    assert [text.strip('"') for text in found["locals"][0]["allow_list"]] == prefixes_of(entries)
