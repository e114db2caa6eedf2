"""docs/gateway-lists.md: each format is there, its sample is what we write, and its limits are those of the code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cidrmatch.files.dialects.table import DIALECTS
from cidrmatch.files.dialects.writing import write_list
from tests.servers import ROOT

if TYPE_CHECKING:
    from cidrmatch.files.dialects.dialect import Dialect

PAGE = ROOT / "docs" / "gateway-lists.md"
SAMPLE = [("203.0.113.0/24", "Vienna"), ("198.51.100.7", None), ("2001:db8::/48", "VPN")]
GATEWAYS = [name for name, dialect in DIALECTS.items() if dialect.read is not None]
LABELS_READ = {
    "nginx", "nginx-geo", "caddy", "iptables", "ip6tables", "ipset", "nft", "aws-security-group", "cloudflare-list",
    "cloudflare-csv", "terraform", "csv", "json", "toml",
}  # fmt: skip


def sample(name: str) -> str:
    """Write the list of the page; where a file holds one family, that is IPv4."""
    dialect = DIALECTS[name]
    family = dialect.only_family or (4 if dialect.one_family else None)
    return write_list(SAMPLE, name, family=family).text


def facts() -> str:
    """Give the table of the page."""
    rows = ["| format | for | labels | empty list | families | limit |", "|---|---|---|---|---|---|"]
    return "\n".join(rows + [_row(name, dialect) for name, dialect in DIALECTS.items()])


def _row(name: str, dialect: Dialect) -> str:
    labels = "lost"
    if dialect.labels.most_bytes:
        labels = "written, read" if name in LABELS_READ else "written"
    families = f"IPv{dialect.only_family}" if dialect.only_family else "one in a file" if dialect.one_family else "both"
    limit = f"{dialect.limit.most:,}{' (quota)' if dialect.limit.is_quota else ''}" if dialect.limit else ""
    empty = "refused" if dialect.empty else "nobody"
    return f"| `{name}` | {dialect.about} | {labels} | {empty} | {families} | {limit} |"


def test_the_table_is_the_one_of_the_code() -> None:
    assert facts() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_sample_of_each_format_is_what_we_write(name: str) -> None:
    found = re.search(
        rf"^## {name}\n\n```\w+\n(.*?)```\n\n(.+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    assert found[1] == sample(name)


def test_the_page_has_no_format_that_is_gone() -> None:
    sections = re.findall(r"^## ([a-z0-9-]+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sections == GATEWAYS
