"""Columns for Spark: `look_up` asks a list, `decide` asks the snapshot that lies on each machine.

    frame.withColumn("found", look_up("ip", office))                              found.listed, .reason, .prefix
    frame.withColumn("decision", decide("key", "ip", "/srv/keys.snap"))           decision.allowed, .reason, .problem

    driver     decide(...) --pickled: a path, no keys-->  tasks
    executor   worker 1 --'
               worker 2 --+--map--> /srv/keys.snap      one file in memory for all processes of a machine
               worker 3 --'

A process opens the snapshot when its first rows come, and keeps it for the next tasks; it opens it again when the path
leads to another file.  A file that is missing, damaged or of another revision than asked for fails the task, and so the
job.  There is no row without a decision, and none that is allowed because nobody could decide.

A list goes with the job: it is pickled.  The rows come as Arrow arrays, so pandas is not needed.

It needs the extra `spark`: PySpark 4.1 or newer, which needs Java 17, and pyarrow.  The executors need cidrmatch, too.
answers.py tells what the fields mean.
Cost: Spark moves each column to a Python process and back; this takes longer than the decisions.
Threads: a worker has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa  # noqa: TC002 - Spark reads the annotations of the functions that it calls
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import BooleanType, StringType, StructField, StructType

from ..._core import AllowList
from ..._keys import Revision, identify
from ...engine.engine import Engine
from ...errors import SnapshotError
from .answers import ENTRY_FIELDS, Deciding, Listing

if TYPE_CHECKING:
    from pyspark.sql import Column

    from ..._keys import Identity

__all__ = ["decide", "look_up"]


def look_up(addresses: Column | str, allow: AllowList) -> Column:
    """Tell for each address whether it is in a list, why, and by which entry.

    Args:
        addresses: a column of strings, or of binary with packed addresses; or its name.
        allow: the list.
    Returns:
        A column of structs: `listed`, `reason` (both never null), `prefix`.
    Raises:
        TypeError: at once for no list; a column of another type fails the job.
    Cost: the list is made once more in each task.
    Source: B6, B14, B16; C16.
    """
    if not isinstance(allow, AllowList):
        raise TypeError(f"the list is an AllowList, not {type(allow).__name__}")
    made: list[Listing] = []

    def answer(column: pa.Array) -> pa.Array:
        if not made:
            made.append(Listing(allow))
        return made[0].answer(column)

    return of_rows(answer, struct_of("listed", "prefix"))(addresses)


def decide(
    keys: Column | str,
    addresses: Column | str,
    snapshot: str,
    *,
    entries: bool = False,
    at: datetime | None = None,
    revision: Revision | None = None,
    verify: bool = True,
    id_secret: Callable[[], bytes] | None = None,
) -> Column:
    """Decide for each row whether its address may use its key, and why.

    Args:
        keys: a column of strings, the keys' ids; or its name.
        addresses: a column as for `look_up`.
        snapshot: the path of a file that `Engine.save` wrote, on each machine that has an executor.
        entries: whether to tell which entry of which list decided; this costs about a microsecond for each row.
        at: the moment for which entries with times are judged, with a time zone; None: when the row is judged.
        revision: what the file has to be; None takes whatever is there.  Give it where machines may differ.
        verify: as for `Engine.open`; each process looks at the whole file once.
        id_secret: gives the secret of a snapshot with hashed ids; it is called in each process.
    Returns:
        A column of structs: `allowed` and `reason` (never null), `problem`; with `entries`, also `prefix` and `list`.
    Raises:
        ValueError: `at` has no time zone.
        The job fails with the reason if the file is missing, damaged, or of another revision.
    Cost: a second for some million keys in each process, once; then as `Engine.allows_many`.
    Source: B2, B5, U1, U6; C23.
    """
    if at is not None and at.tzinfo is None:
        raise ValueError("the moment needs a time zone")
    asked = Asked(str(snapshot), None if at is None else at.timestamp(), revision, verify)

    def answer(key: pa.Array, address: pa.Array) -> pa.Array:
        return Deciding(engine_of(asked, id_secret), entries=entries).answer(key, address)

    fields = struct_of("allowed", "problem", *(ENTRY_FIELDS if entries else ()))
    return of_rows(answer, fields)(keys, addresses)


def of_rows(answer: Callable[..., pa.Array], gives: StructType) -> Callable[..., Column]:
    """Make a function of columns of a function of Arrow arrays."""
    make: Any = arrow_udf  # its types leave the default of an argument out
    return cast("Callable[..., Column]", make(answer, returnType=gives))


def struct_of(answer: str, *texts: str) -> StructType:
    """Give the type of an answer: yes or no, the reason, and texts that may be missing."""
    sure = [StructField(answer, BooleanType(), nullable=False), StructField("reason", StringType(), nullable=False)]
    return StructType([*sure, *(StructField(name, StringType()) for name in texts)])


# -- In a worker process ----------------------------------------------------------


class Asked(NamedTuple):
    """What a task asks for: a file, and how to open it."""

    path: str
    moment: float | None
    revision: Revision | None
    verify: bool


class Opened(NamedTuple):
    """The engine that this process opened last, and of which file."""

    asked: Asked
    identity: Identity
    engine: Engine


_opened: list[Opened] = []
"""At most one: tasks of one job ask for one file."""


def engine_of(asked: Asked, id_secret: Callable[[], bytes] | None) -> Engine:
    """Give the engine of a snapshot; it is opened once in a process, and again if the path leads to another file."""
    identity = identify(asked.path)
    for opened in _opened:
        if opened.asked == asked and opened.identity == identity:
            return opened.engine
    _opened.clear()
    engine = Engine.open(
        asked.path,
        verify=asked.verify,
        clock=time.time if asked.moment is None else Moment(asked.moment),
        id_secret=None if id_secret is None else id_secret(),
    )
    if asked.revision is not None and engine.revision != asked.revision:
        raise SnapshotError(f"{asked.path} is {engine.revision}, and the job asked for {asked.revision}")
    _opened.append(Opened(asked, identity, engine))
    return engine


class Moment(float):
    """A clock that stands still."""

    def __call__(self) -> float:
        return float(self)
