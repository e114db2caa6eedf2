"""Databases for tests: PostgreSQL, Redis and pgbouncer, on free ports of the loopback, each with a folder of its own.

    with Postgres() as server:
        server.url(server.create_database())     postgresql+psycopg://cidrmatch@127.0.0.1:40001/store_1
        server.kill(); server.start()            the same data, the same port
        server.pause(); server.resume()          it is there, and does not answer

A server that is not installed skips its tests; with CIDRMATCH_SERVERS=required it fails them.  Servers are stopped by
their ids.  They end at once when the thread that started them ends, so an interrupted test leaves none behind.

PostgreSQL refuses to run as root, and so does pgbouncer: for root, both run as the user postgres or nobody.
The time zone of PostgreSQL is one that is not UTC, half an hour aside: a moment that forgets its zone is seen.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.servers import connect, free_port, path_of

_USER = "cidrmatch"
_POSTGRES = "/usr/lib/postgresql"  # Debian keeps the programs there, by version, outside of PATH
_QUICK = {"fsync": "off", "full_page_writes": "off"}  # a killed server keeps its data, a killed machine does not
_ROOT = os.geteuid() == 0


def program_of_postgres(name: str) -> str:
    """Give the path of a program of the newest PostgreSQL that Debian installed, or of that in PATH."""
    found = sorted(Path(_POSTGRES).glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return str(found[-1]) if found else path_of(name)


class Server:
    """A server with its port and its folder; it can be stopped, killed, paused, and started again."""

    end = signal.SIGTERM
    """What asks it to end."""
    as_root = True
    """Whether it runs as root where we are root."""

    def __init__(self) -> None:
        self.port = free_port()
        self._kept = tempfile.TemporaryDirectory(prefix="db-")
        self.folder = Path(self._kept.name)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._give_away(self.folder)
            self._prepare()
        except BaseException:
            self._kept.cleanup()
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            self._kept.cleanup()

    @property
    def log(self) -> str:
        """Give what the server printed."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert not self.is_running
        with (self.folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                self._as_user(self._words()), cwd=self.folder, stdout=output, stderr=output, start_new_session=True
            )
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self._process is None or not self.is_running:
            return
        self.resume()
        self._process.send_signal(self.end)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it and its children, as a crash does."""
        if self._process is None:
            return
        family = self._signal(signal.SIGKILL)
        self._process.wait(20)
        wait_until(lambda: not any(map(_is_alive, family)), "the killed server ended")

    def pause(self) -> None:
        """Let it not answer: connections stay open, and new ones are taken by the kernel alone."""
        family = self._signal(signal.SIGSTOP)
        wait_until(lambda: all(_state_of(each) in "TZX" for each in family), "the children of the server stand still")

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> list[int]:
        """Send a signal to the server, then to its children; a server that stands still has no new ones."""
        assert self._process is not None
        if self._process.poll() is not None:
            return []
        first = [] if number is signal.SIGSTOP else _children_of(self._process.pid)
        self._process.send_signal(number)
        if number is signal.SIGSTOP:
            wait_until(lambda: _state_of(self.pid) in "TZ", "the server stands still")
        family = sorted({*first, *_children_of(self._process.pid)})
        for child in family:
            with suppress(ProcessLookupError):
                os.kill(child, number)
        if number is signal.SIGSTOP:  # a busy machine takes its time
            wait_until(lambda: all(_state_of(child) in "TZX" for child in family), "its children stand still")
        return family

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _wait(self) -> None:
        def answers() -> bool:
            if not self.is_running:
                raise RuntimeError(f"the server did not start: {self.log[-2_000:]}")
            return self._answers()

        wait_until(answers, "the server answers")

    def _as_user(self, words: Sequence[str]) -> list[str]:
        """Let a program end with us, and run as somebody else where it refuses root."""
        other = [] if self.as_root or not _ROOT else [f"--reuid={_other()}", f"--regid={_other()}", "--clear-groups"]
        return [path_of("setpriv"), *other, "--pdeathsig=KILL", "--", *words]

    def _give_away(self, path: Path) -> None:
        if _ROOT and not self.as_root:
            shutil.chown(path, _other())

    def _prepare(self) -> None:
        """Make what it needs in its folder."""

    def _words(self) -> Sequence[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        with suppress(OSError), connect(self.port):
            return True
        return False


class Postgres(Server):
    """A PostgreSQL; everybody on this machine may do everything in it.

    Args:
        settings: settings that differ from ours; `{"fsync": "on"}` makes it as slow as a real one.
    """

    end = signal.SIGINT  # "fast": it does not wait for its clients
    as_root = False

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self._settings = _QUICK | {
            "listen_addresses": "127.0.0.1",
            "max_connections": "200",
            "shared_buffers": "32MB",
            "timezone": "Asia/Kolkata",
            **(settings or {}),
        }
        self._made = 0
        super().__init__()

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """Give the URL of a database for SQLAlchemy, at the port of another server in front if one is given."""
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{port or self.port}/{database}"

    def create_database(self, template: str = "template1") -> str:
        """Make a database, empty or a copy of another to which nobody is connected, and give its name."""
        self._made += 1
        name = f"store_{self._made}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Execute a statement as somebody with psql would, outside of a transaction."""
        with self._connect(database) as connection:
            connection.execute(statement)

    def _connect(self, database: str = "postgres") -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=_USER, dbname=database, autocommit=True, connect_timeout=20
        )

    def _prepare(self) -> None:
        words = [program_of_postgres("initdb"), "--pgdata=data", f"--username={_USER}", "--auth=trust", "--no-sync"]
        words += ["--encoding=UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(self._as_user(words), cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr}")

    def _words(self) -> Sequence[str]:
        settings = {**self._settings, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        return [
            program_of_postgres("postgres"),
            *("-D", "data"),
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ]

    def _answers(self) -> bool:
        import psycopg

        with suppress(psycopg.OperationalError), self._connect():
            return True
        return False


class Redis(Server):
    """A Redis that keeps nothing: started again, it is empty."""

    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _words(self) -> Sequence[str]:
        return [path_of("redis-server"), "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", "."]

    def _answers(self) -> bool:
        with suppress(OSError), connect(self.port) as stream:
            stream.sendall(b"PING\r\n")
            return stream.recv(16) == b"+PONG\r\n"
        return False


class PgBouncer(Server):
    """A pgbouncer in front of a PostgreSQL; each transaction may get another connection."""

    end = signal.SIGINT
    as_root = False

    def __init__(self, behind: Postgres, pool_mode: str = "transaction") -> None:
        self._behind, self._pool_mode = behind, pool_mode
        super().__init__()

    def url(self, database: str = "postgres") -> str:
        return self._behind.url(database, self.port)

    def _prepare(self) -> None:
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": self.folder / "users",
            "admin_users": _USER,
            "pool_mode": self._pool_mode,
            "default_pool_size": 20,
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={self._behind.port} user={_USER}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self.folder / "users").write_text(f'"{_USER}" ""\n')
        (self.folder / "settings.ini").write_text("\n".join(lines) + "\n")

    def _words(self) -> Sequence[str]:
        return [path_of("pgbouncer"), "settings.ini"]


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Ask again and again until something is so; fail with `what` after many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds} seconds")
        time.sleep(0.02)


def takes_connections(port: int) -> bool:
    """Tell whether anybody listens at a port of 127.0.0.1."""
    with socket.socket() as stream:
        return stream.connect_ex(("127.0.0.1", port)) == 0


def _other() -> str:
    """Name the user that runs what refuses root."""
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


def _stat(pid: int) -> list[str]:
    """Read the state of a process and the id of its parent; processes that are gone have state Z and no parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return ["Z", "0"]


def _state_of(pid: int) -> str:
    return _stat(pid)[0]


def _is_alive(pid: int) -> bool:
    return _state_of(pid) not in "ZX"


def _children_of(pid: int) -> list[int]:
    """List the children; those of PostgreSQL lead groups of their own, so a signal to its group misses them."""
    ids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [each for each in ids if _stat(each)[1] == str(pid)]


def is_there(name: str) -> bool:
    """Tell whether a module is installed; it is not imported."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def ignored_without(*needed: str) -> list[str]:
    """Give what a conftest leaves out if any of these modules is missing; nothing in CI."""
    return [] if os.environ.get("CIDRMATCH_SERVERS") or all(map(is_there, needed)) else ["*"]


def empty_database(request: pytest.FixtureRequest, path: Path) -> Iterator[str]:
    """Give the URL of an empty database of the kind that the fixture's parameter names; in SQLite, at a path."""
    if request.param == "sqlite":
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)
