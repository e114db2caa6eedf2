"""The servers that tests start: each verb does what its name says, and nothing stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import psycopg
import pytest
import redis
import sqlalchemy as sa

from tests.databases import PgBouncer, Postgres, Redis, takes_connections, wait_until
from tests.servers import ROOT


def ask(url: str, statement: str) -> object:
    engine = sa.create_engine(
        url, poolclass=sa.NullPool, connect_args={"connect_timeout": 2, "prepare_threshold": None}
    )
    with engine.connect() as connection:
        return connection.execute(sa.text(statement)).scalar()


def test_a_killed_postgres_starts_again_with_its_data_at_its_port() -> None:
    with Postgres() as server:
        url = server.url(server.create_database())
        server.execute("CREATE TABLE kept AS SELECT 7 AS number", url.rpartition("/")[2])
        server.kill()
        assert not takes_connections(server.port)
        server.start()
        assert ask(url, "SELECT number FROM kept") == 7
        server.stop()
        server.start()
        assert ask(url, "SELECT number FROM kept") == 7
    assert not takes_connections(server.port)
    assert not server.folder.exists()


def test_a_paused_postgres_does_not_answer_those_that_are_connected_either(postgres: Postgres) -> None:
    engine = sa.create_engine(postgres.url(), connect_args={"connect_timeout": 2})
    with engine.connect() as connection:
        backend = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        postgres.pause()
        try:
            with open(f"/proc/{backend}/stat") as stat:
                assert stat.read().rpartition(")")[2].split()[0] == "T"
            with pytest.raises(sa.exc.OperationalError, match="timeout"):
                ask(postgres.url(), "SELECT 1")
        finally:
            postgres.resume()
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_pgbouncer_stands_in_front_of_a_postgres(postgres: Postgres) -> None:
    with PgBouncer(postgres) as front:
        assert ask(front.url(), "SELECT current_user") == "cidrmatch"
        where = f"host=127.0.0.1 port={front.port} user=cidrmatch dbname=pgbouncer"
        with psycopg.connect(where, autocommit=True) as console:
            settings = {row[0]: row[1] for row in console.execute("SHOW config")}
        assert settings["pool_mode"] == "transaction"


def test_a_redis_that_starts_again_is_empty_and_a_paused_one_is_silent() -> None:
    with Redis() as server, redis.Redis.from_url(server.url(), socket_timeout=0.2, retry=None) as client:
        client.set("kept", "7")
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.get("kept")
        server.resume()
        wait_until(lambda: client.get("kept") == b"7", "the server answers again")
        server.kill()
        server.start()
        assert client.get("kept") is None


def test_servers_end_with_a_test_that_is_killed() -> None:
    program = "from tests.databases import Redis; s = Redis(); s.start(); print(s.port, s.folder, flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, cwd=ROOT, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    port, folder = child.stdout.readline().split()
    assert takes_connections(int(port))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    wait_until(lambda: not takes_connections(int(port)), "the server ended")
    child.stdin.close()
    child.stdout.close()
    shutil.rmtree(folder)
