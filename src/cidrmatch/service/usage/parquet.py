"""Records as Parquet, written in pieces and read back.

Columns are those of `UsageRecord`: `time` is a timestamp in microseconds, UTC; `trail` is a list.  Parquet has no half
characters; they become U+FFFD.

Needs the extra parquet: pyarrow and fsspec.
A page is made column by column, and what many rows share is read once.

Cost: 2 to 4 microseconds a row; memory for a row group of some thousand rows.  Threads: safe.  Source: B27.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import sub
from typing import TYPE_CHECKING, Any, Final

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from ..._core import format_address
from .errors import UsageError
from .record import FIELDS, UsageRecord
from .words import text_of, trail_of

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
_OF_KINDS: Final = (
    "method", "status", "allowed", "reason", "problem", "policy", "stopped_at", "would_allow", "masked",
)  # fmt: skip
_OF_ENTRIES: Final = ("entry", "label", "list")
_OF_DATA: Final = ("version", "revision")
"""What the words of a kind, an entry and the data are, in their order; see words.py."""
_HALF: Final = re.compile("[\ud800-\udfff]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _table(page: list[Row], words: Words) -> pa.Table:
    """Make a table of a page of rows, column by column."""
    numbers, lags, keys, kinds, packed, paths, trails, entries, data, ids, micros, lost = zip(*page, strict=True)
    seconds = [None if each is None else each / 1e6 for each in micros]
    columns = {
        "number": _array("number", numbers),
        "time": _array("time", list(map(sub, numbers, lags))),
        "key": _texts("key", keys),
        "path": _texts("path", paths),
        "request_id": _texts("request_id", ids),
        "seconds": _array("seconds", seconds),
        "lost": _array("lost", lost),
        **_shared(("address",), packed, lambda each: (_shown(each),)),
        **_shared(
            ("trail",), list(zip(trails, packed, strict=True)), lambda each: (trail_of(each[0], _shown(each[1])),)
        ),
        **_shared(_OF_KINDS, kinds, lambda kind: (*words.kinds[kind][:-1], words.kinds[kind][-1] or None)),
        **_shared(_OF_ENTRIES, entries, lambda entry: (None,) * 3 if entry is None else words.entries[entry]),
        **_shared(_OF_DATA, data, lambda each: (None,) * 2 if each is None else words.data[each]),
    }
    return pa.table([columns[name] for name in FIELDS], schema=SCHEMA)


def _shown(packed: bytes | None) -> str | None:
    return None if packed is None else format_address(bytes(packed))


def _shared(names: tuple[str, ...], values: Sequence[Any], read: Callable[[Any], Sequence[Any]]) -> dict[str, pa.Array]:
    """Make columns of what many rows share: each value is read once, and taken as often as it is there."""
    numbers: dict[Any, int] = {}
    places = pa.array([numbers.setdefault(value, len(numbers)) for value in values], pa.int32())
    columns = zip(*map(read, numbers), strict=True)
    return {name: _array(name, column).take(places) for name, column in zip(names, columns, strict=True)}


def _texts(name: str, values: Sequence[bytes | None]) -> pa.Array:
    """Make a column of texts."""
    try:
        return pa.array(values, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:  # half a character is no UTF-8
        return _array(name, list(map(text_of, values)))


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    kind = SCHEMA.field(name).type
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([_whole(value) for value in values], kind)


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
