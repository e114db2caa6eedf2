"""Records as Parquet, written in pieces and read back.

Columns are those of `UsageRecord`: `time` is a timestamp in microseconds, UTC; `trail` is a list.  Parquet has no half
characters; they become U+FFFD.

Needs the extra parquet: pyarrow and fsspec.
Cost: some microseconds a row; memory for a row group of some thousand rows.  Threads: safe.  Source: B27.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import UsageError
from .record import FIELDS, UsageRecord

if TYPE_CHECKING:
    from .words import Row, Words

__all__ = ["SCHEMA", "parquet_chunks", "read_parquet"]

_TYPES: Final = {
    "number": pa.int64(),
    "time": pa.timestamp("us", tz="UTC"),
    "status": pa.int32(),
    "trail": pa.list_(pa.string()),
    "allowed": pa.bool_(),
    "would_allow": pa.bool_(),
    "version": pa.int64(),
    "seconds": pa.float64(),
    "lost": pa.int64(),
}
SCHEMA: Final = pa.schema([(name, _TYPES.get(name, pa.string())) for name in FIELDS])
_HALF: Final = re.compile("[\ud800-\udfff]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _table(page: list[Row], words: Words) -> pa.Table:
    records = [words.record(row) for row in page]
    columns = []
    for field in SCHEMA:
        values: list[Any] = [getattr(record, field.name) for record in records]
        if field.name == "time":
            values = [row[0] - row[1] for row in page]
        try:
            columns.append(pa.array(values, field.type))
        except UnicodeEncodeError:
            columns.append(pa.array([_whole(value) for value in values], field.type))
    return pa.table(columns, schema=SCHEMA)


def _whole(value: Any) -> Any:
    """Replace half characters."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    return [_whole(element) for element in value] if isinstance(value, tuple) else value


def parquet_chunks(pages: Iterable[list[Row]], words: Words) -> Iterator[bytes]:
    """Write pages of rows as one Parquet file, in pieces."""
    sink = io.BytesIO()
    with pq.ParquetWriter(_Forward(sink), SCHEMA, compression="zstd") as writer:
        for page in pages:
            writer.write_table(_table(page, words))
            yield _taken(sink)
    yield _taken(sink)


class _Forward(io.RawIOBase):
    """A file that is only written; it tells where it is, whatever was taken away."""

    def __init__(self, sink: io.BytesIO) -> None:
        self._sink = sink
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        self._at += len(data)
        return self._sink.write(data)


def _taken(sink: io.BytesIO) -> bytes:
    data = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return data


def read_parquet(url: str, **options: Any) -> Iterator[UsageRecord]:
    """Read a file that was exported or archived, row group by row group.

    Args:
        url: of fsspec, such as a path, or "s3://bucket/usage/day=2026-11-28/usage.parquet".
        options: for the file system.
    Raises:
        UsageError: the file has other columns.
    """
    with fsspec.open(url, "rb", **options) as opened, pq.ParquetFile(opened) as file:
        missing = set(FIELDS) - set(file.schema_arrow.names)
        if missing:
            raise UsageError(f"this is no export of a usage log: it has no column {', '.join(sorted(missing))}")
        for batch in file.iter_batches(columns=list(FIELDS)):
            for values in batch.to_pylist():
                values["time"] = ((values["time"] - _EPOCH) // timedelta(microseconds=1)) / 1e6
                values["trail"] = tuple(values["trail"] or ())
                yield UsageRecord(**values)
