"""The pages of docs/gateways: the lines for ASGI and WSGI are run here, and all have the same parts.

The lines of the other pages are run by the tests of their frameworks.  The lines of the pages for gateways that ask
`cidrmatch serve` stand in examples/gateways, which test_gateway_examples.py runs.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from tests.gateways import scenarios
from tests.gateways.gateway_stand import EXAMPLES, GATEWAYS
from tests.gateways.pages import PAGES, write_page
from tests.gateways.serving import ask, running

SERVERS = {
    "asgi": [
        "uvicorn",
        "--no-proxy-headers",
        "--lifespan=off",
        "--log-level=warning",
        "--port={port}",
        "page_asgi:app",
    ],
    "wsgi": ["gunicorn", "--bind=127.0.0.1:{port}", "page_wsgi:app"],
}
NAMES = ("aiohttp", "asgi", "django", "fastapi", "flask", "grpc", "litestar", "wsgi")
PARTS = ("The order of your checks", "What would open the door", "Which address was judged")
PARTS_OF_ASKING = ("What would open the door", "When cidrmatch is down", "Which address was judged")
FENCED = re.compile(r"^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", SERVERS)
def test_lines_of_the_page_work(name: str, tmp_path: Path) -> None:
    with running(SERVERS[name], **write_page(name, tmp_path)) as port:
        scenarios.see_the_page(partial(ask, port))


def test_every_face_has_a_page() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted([*NAMES, *GATEWAYS])


@pytest.mark.parametrize("name", GATEWAYS)
def test_lines_of_a_page_stand_in_the_file_to_copy(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    lines = [line.strip() for block in FENCED.findall(text) for line in block.splitlines()]
    assert lines
    files = "".join((EXAMPLES / file).read_text(encoding="utf-8") for file in GATEWAYS[name].files)
    known = {line.strip() for line in files.splitlines()}
    assert [line for line in lines if line not in known] == []


@pytest.mark.parametrize("name", [*NAMES, *GATEWAYS])
def test_page_has_its_parts_and_its_sentences_are_short(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    for part in PARTS if name in NAMES else PARTS_OF_ASKING:
        assert f"\n## {part}\n" in text
    prose = re.sub(r"^    .*$|^\|.*$|^#.*$", "", FENCED.sub("", text), flags=re.MULTILINE)
    for sentence in re.split(r"[.:;]\s+|\n\n|\n- ", prose):
        assert len(sentence.split()) <= 25, sentence
