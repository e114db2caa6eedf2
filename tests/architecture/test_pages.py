"""Pages in docs/: each ends with the page that a newcomer needs next, and the reference of fields is the schema."""

import re

import pytest

from tests.architecture import configuration
from tests.architecture.reading import PACKAGE

DOCS = PACKAGE.parents[1] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
NEXT = re.compile(r"Next: \[([\w./-]+\.md)\]\(\1\), .*\w\.")


def next_of(page: str) -> str:
    matched = NEXT.fullmatch((DOCS / page).read_text(encoding="utf-8").rstrip("\n").rpartition("\n")[2])
    assert matched, f"docs/{page} ends with no line such as: Next: [keys.md](keys.md), what a list means for a key."
    return matched[1]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_ends_with_the_next_one(page: str) -> None:
    assert (DOCS / next_of(page)).is_file()
    assert next_of(page) != page


def test_a_newcomer_gets_from_the_first_hour_to_the_server_and_the_stores() -> None:
    way = ["first-hour.md"]
    while next_of(way[-1]) not in way:
        way.append(next_of(way[-1]))
    assert {"texts.md", "files.md", "configuration.md", "keys.md", "client-address.md", "server.md"} <= set(way)


def test_the_reference_of_fields_is_the_schema() -> None:
    text = configuration.PAGE.read_text(encoding="utf-8")
    written = text.partition(configuration.BEGIN)[2].partition(configuration.END)[0]
    assert written == configuration.tables(), "python -m tests.architecture.configuration writes it"


def test_every_field_of_the_schema_says_what_it_means() -> None:
    fields = [
        (name, field)
        for name, part in configuration.objects().items()
        for field, content in part["properties"].items()
        if not configuration.meaning_of(content).endswith(".")
    ]
    assert fields == []
