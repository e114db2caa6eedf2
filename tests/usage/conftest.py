"""The tests of the usage log, each on a file of SQLite and on a real PostgreSQL where it needs a database.

log_url     postgresql: a fresh database of the server     sqlite: a file that is not there yet

Left out in a library without its service, or without the extra, but not in CI.
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.databases import Postgres


def is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


needed = ("cidrmatch.service.usage", "sqlalchemy", "psycopg")
collect_ignore_glob = [] if os.environ.get("CIDRMATCH_SERVERS") or all(map(is_there, needed)) else ["*"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'usage.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)
