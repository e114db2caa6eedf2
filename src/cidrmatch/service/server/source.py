"""Where a worker's data comes from: a snapshot, or a store, which can be changed through the admin API, too.

    --snapshot   Engine.open, follow          every worker has the same file in memory
    --store      StoreFollower --> engine     every worker looks by itself, and Admin answers /v1/admin

A worker that starts while the database is away denies every request until there is data.

Threads: those of the follower.  Source: B11, C19.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ...engine.engine import Engine

if TYPE_CHECKING:
    from .admin.face import Admin
    from .settings import Settings

__all__ = ["Source", "open_source"]

_log = logging.getLogger(__name__)
_LOOKS_EVERY = 0.5
_ASKS_EVERY = 2.0
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Source:
    """Hold where the data comes from.

    Attributes:
        engine: answers checks, and follows the data.
        document: describes what the server answers.
        admin: the admin API; None without a store.
        stop: ends the following of a store.
    """

    engine: Engine
    document: bytes
    admin: Admin | None = None
    stop: Callable[[], None] = lambda: None


def open_source(settings: Settings) -> Source:
    """Open the snapshot, or the store, and follow it.

    Raises:
        SnapshotError, StoreError, OSError: as `Engine.open` and `Store`.
    """
    secret = None if settings.id_secret_file is None else Path(settings.id_secret_file).read_bytes()
    document = files(__package__ or "").joinpath("openapi.json").read_bytes()
    if settings.store is not None:
        return _open_store(settings, settings.store, secret, document)
    engine = Engine.open(settings.snapshot, id_secret=secret)
    engine.follow(min(_LOOKS_EVERY, settings.max_age / 4), max_age=settings.max_age, when_stale=settings.when_stale)
    return Source(engine, document)


def _open_store(settings: Settings, url: str, secret: bytes | None, document: bytes) -> Source:
    from ..stores.errors import StoreError  # noqa: PLC0415  an extra
    from ..stores.following import StoreFollower  # noqa: PLC0415
    from ..stores.store import Store  # noqa: PLC0415
    from .admin.described import describe  # noqa: PLC0415
    from .admin.face import Admin  # noqa: PLC0415

    store = Store(url, settings.tenant, id_secret=secret)
    follower = StoreFollower(
        store, every=min(_ASKS_EVERY, settings.max_age / 4), max_age=settings.max_age, when_stale=settings.when_stale
    )
    try:
        follower.start(_START_SECONDS)
    except StoreError as error:
        _log.error("there is no data of the store yet, so every request is denied: %s", error)
        follower.start(None)
    admin = Admin(store, settings.strategy(), lambda: follower.revision, follower.engine)
    described = json.dumps(describe(json.loads(document))).encode("ascii")
    return Source(follower.engine, described, admin, follower.stop)
