"""The tests of stores: each where it needs one gets a real server, started once for all; or a file of SQLite.

store_url     postgresql: a fresh database of the server     sqlite: a file that is not there yet

Left out in a library without its service, or without the extra, but not in CI.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Postgres, Redis, empty_database, ignored_without

collect_ignore_glob = ignored_without("cidrmatch.service.stores", "sqlalchemy", "alembic", "psycopg", "redis")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Give the endpoint of an S3 without buckets, as moto serves it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database of each kind."""
    yield from empty_database(request, tmp_path / "store.db")
