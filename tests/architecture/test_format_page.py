"""The page about the snapshot format says where the fields of a header and a record lie, as block_layout.h has it."""

import re

import pytest

from tests.architecture.naming import ROOT
from tests.architecture.reading import PACKAGE

SIZES = {"char": 1, "uint16_t": 2, "uint32_t": 4, "int64_t": 8, "uint64_t": 8}
FIELD = re.compile(r"^\s+(\w+) (\w+)(?:\[(\d+)\])?;", re.MULTILINE)
ROW = re.compile(r"^\| (\d+) \| (\d+) \| `(\w+)` \|", re.MULTILINE)


def fields_of(struct: str) -> dict[str, tuple[int, int]]:
    """Give the place and the size of each field of a struct in block_layout.h, which has no gaps."""
    text = (PACKAGE / "_keys" / "c" / "block_layout.h").read_text(encoding="utf-8")
    body = re.search(rf"typedef struct {{([^}}]*)}} {struct};", text)
    assert body is not None
    at, found = 0, {}
    for kind, name, count in FIELD.findall(body[1]):
        size = SIZES[kind] * int(count or 1)
        assert at % SIZES[kind] == 0, name
        found[name] = (at, size)
        at += size
    return found


@pytest.mark.parametrize(("struct", "title"), [("StoreHeader", "## Header"), ("Record", "## Record")])
def test_the_page_has_every_field_where_the_code_has_it(struct: str, title: str) -> None:
    page = (ROOT / "docs" / "snapshot-format.md").read_text(encoding="utf-8")
    section = page.partition(f"\n{title}")[2].partition("\n## ")[0]
    said = {name: (int(at), int(size)) for at, size, name in ROW.findall(section)}
    fields = fields_of(struct)
    del fields["unused"]
    assert said == fields
