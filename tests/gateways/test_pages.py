"""The pages of docs/gateways: the lines for ASGI and WSGI are run here, and all have the same parts.

The lines of the other pages are run by the tests of their frameworks.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from tests.gateways import scenarios
from tests.gateways.pages import BLOCK, PAGES, write_page
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


@pytest.mark.parametrize("name", SERVERS)
def test_lines_of_the_page_work(name: str, tmp_path: Path) -> None:
    with running(SERVERS[name], **write_page(name, tmp_path)) as port:
        scenarios.see_the_page(partial(ask, port))


def test_every_face_has_a_page() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_page_has_its_parts_and_its_sentences_are_short(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    for part in PARTS:
        assert f"\n## {part}\n" in text
    prose = re.sub(r"^    .*$|^\|.*$|^#.*$", "", BLOCK.sub("", text), flags=re.MULTILINE)
    for sentence in re.split(r"[.:;]\s+|\n\n|\n- ", prose):
        assert len(sentence.split()) <= 25, sentence
