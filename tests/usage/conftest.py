"""The tests of the usage log, each on a file of SQLite and on a real PostgreSQL where it needs a database.

log_url     postgresql: a fresh database of the server     sqlite: a file that is not there yet

Left out in a library without its service, or without the extra, but not in CI.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Postgres, empty_database, ignored_without

collect_ignore_glob = ignored_without("cidrmatch.service.usage", "sqlalchemy", "psycopg")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database of each kind."""
    yield from empty_database(request, tmp_path / "usage.db")
