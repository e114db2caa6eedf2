"""Days of the log that move to Parquet files, on any file system of fsspec.

    archive(log, "s3://bucket/usage")     s3://bucket/usage/day=2026-11-27/usage.parquet     whole days, once each
                                          s3://bucket/usage/day=2026-11-28/usage.parquet

The names make a Hive partition `day`, which pyarrow, Polars, DuckDB and Spark know.  A file is written under another
name first, so a reader never sees half of one.  A day is dropped from the database only if its file is read back and
has as many records.

Needs the extra parquet.  Cost: that of an export.  Threads: safe; two programs that archive at once do the work twice.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import fsspec
import pyarrow.parquet as pq

from .errors import UsageError
from .schema import DAY_MICROS, drop_day, lock_last

if TYPE_CHECKING:
    from .questions import Questions

__all__ = ["archive"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_LATE_MICROS: Final = 3_600_000_000
"""A day is whole an hour after its end: no writer holds records of it any more."""


def archive(log: Questions, url: str, *, drop: bool = False, **options: Any) -> list[str]:
    """Write each whole day that has no file yet, the oldest first; a day is whole an hour after its end.

    Args:
        log: a `UsageLog`.
        url: a folder of fsspec.
        drop: whether to drop a day from the database when its file is read back and is whole.
        options: for the file system.
    Returns:
        The files that were written.
    Raises:
        UsageError: a file that was written does not hold what the day holds; it is left, and so is the day.
        UsageUnavailable: the database does not answer.
        OSError: the file system refuses.
    """
    files, folder = fsspec.core.url_to_fs(url, **options)
    today = (time.time_ns() // 1000 - _LATE_MICROS) // DAY_MICROS
    written = []
    for day in log.days():
        if day >= today:
            continue
        path = f"{folder}/day={(_EPOCH + day * _DAY):%Y-%m-%d}/usage.parquet"
        if not files.exists(path):
            _write(log, files, path, day)
            written.append(path)
        if drop:
            _drop(log, files, path, day)
    return written


def _drop(log: Questions, files: Any, path: str, day: int) -> None:
    """Drop a day whose file is whole."""
    with files.open(path, "rb") as opened:
        found = pq.read_metadata(opened).num_rows
    with log.database.writing() as connection:
        lock_last(connection, log.database.kind)
        ((records,),) = connection.rows("SELECT records FROM usage_days WHERE day = ?", (day,))
        if found != records:
            raise UsageError(f"{path} has {found} records, and its day has {records}: the day is not dropped")
        drop_day(connection, day)


def _write(log: Questions, files: Any, path: str, day: int) -> None:
    draft = f"{path}.part"
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    with files.open(draft, "wb") as file:
        for chunk in log.export(None, "parquet", day=day):
            file.write(chunk)
    files.mv(draft, path)
