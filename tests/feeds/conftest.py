"""The tests of feeds, with a publisher on the loopback.

Left out in a library without its service, or without the extra, but not in CI.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import ignored_without

collect_ignore_glob = ignored_without("cidrmatch.service.feeds", "httpx", "cryptography", "dns", "trustme")

if not collect_ignore_glob:
    from tests.feeds.publishing import Publisher

    @pytest.fixture
    def publisher(tmp_path: Path) -> Iterator[Publisher]:
        """A publisher that answers by https, with a certificate of an authority of the test."""
        with Publisher(tmp_path) as publisher:
            yield publisher
