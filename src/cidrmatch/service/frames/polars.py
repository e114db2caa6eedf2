"""Expressions for Polars: `look_up` asks a list, `decide` asks an engine.

    frame.with_columns(look_up("ip", office))                  look_up: {listed, reason, prefix}
    frame.with_columns(decide("key", "ip", engine))            decision: {allowed, reason, problem}
    frame.filter(look_up("ip", office).struct.field("listed"))

There is no expression that is only yes or no: turned around by `~`, it would let pass what is no address at all.

Strings of Polars are views, which the core reads where they lie; categories are decoded first.  Words and prefixes are
gathered as views, so no text is copied.  A row's answer depends on this row alone, so the expressions work in eager,
lazy and streaming frames, and by groups.

It needs the extra `polars`: polars and pyarrow.  answers.py tells what the fields mean.
Cost: docs/frames.md.  Threads: the core reads a column without the interpreter lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import polars as pl
import pyarrow as pa

from ..._core import PROBLEMS, AllowList, match_column
from ..._keys import judge_columns
from .answers import LIST_REASONS, REASONS, numbers_of, prefixes_of

if TYPE_CHECKING:
    from ...engine.engine import Engine

__all__ = ["decide", "look_up"]

Column: TypeAlias = "str | pl.Expr"
"""The name of a column, or an expression."""


def look_up(addresses: Column, allow: AllowList) -> pl.Expr:
    """Tell for each address whether it is in a list, why, and by which entry.

    Args:
        addresses: a column of `String`, `Categorical` or `Enum`, of binary with packed addresses, or of `UInt32`
            (10.0.0.1 is 0x0a000001).
        allow: the list.
    Returns:
        An expression named "look_up", a struct: `listed` (never null), `reason` (never null: "matched",
        "ip_not_listed", or the code of what is no address, as "leading_zero" or "not_given"), `prefix`.
    Raises:
        TypeError: at once for no list, and as polars' ComputeError for a column of another type.
    Cost: a text for each entry of the list; then as `match_many`, and the words.
    Source: B6, B14, B16; C16.

    >>> import polars as pl
    >>> from cidrmatch import AllowList
    >>> frame = pl.DataFrame({"ip": ["203.0.113.7", "198.51.100.7", "203.0.113.07", None]})
    >>> frame.select(look_up("ip", AllowList(["203.0.113.0/24"]))).unnest("look_up")["reason"].to_list()
    ['matched', 'ip_not_listed', 'leading_zero', 'not_given']
    """
    if not isinstance(allow, AllowList):
        raise TypeError(f"the list is an AllowList, not {type(allow).__name__}")
    reasons, prefixes = pl.Series(LIST_REASONS), pl.Series(prefixes_of(allow), dtype=pl.String)

    def answer(column: pl.Series) -> pl.Series:
        answers, numbers = match_column(allow, readable(column))
        by_row = series_of(answers, pa.uint8())
        return structs(
            listed=by_row == 0,
            reason=reasons.gather(by_row),
            prefix=prefixes.gather(series_of(numbers, pa.int32())),
        )

    fields = {"listed": pl.Boolean, "reason": pl.String, "prefix": pl.String}
    found = expression(addresses).map_batches(answer, return_dtype=pl.Struct(fields), is_elementwise=True)
    return found.alias("look_up")


def decide(keys: Column, addresses: Column, engine: Engine, *, entries: bool = False) -> pl.Expr:
    """Decide for each row whether its address may use its key, and why.

    Args:
        keys: a column of `String`, `Categorical` or `Enum`: the keys' ids.
        addresses: a column as for `look_up`.
        engine: the engine; each batch of rows is judged by the version that it has then.
        entries: whether to tell which entry of which list decided; this costs about a microsecond for each row.
    Returns:
        An expression named "decision", a struct: `allowed` and `reason` (never null), `problem` (a code where the row
        has no key or no address); with `entries`, also `prefix` and `list`.
    Raises:
        TypeError: at once for no engine, and as polars' ComputeError for a column of another type.
    Cost: as `Engine.allows_many`, without the Python objects.
    Source: B2, B5, U1, U6; C23.
    """
    if not hasattr(engine, "view"):
        raise TypeError(f"the engine is an Engine, not {type(engine).__name__}")
    reasons, problems = pl.Series(REASONS), pl.Series([None, *PROBLEMS[1:]])

    def answer(both: pl.Series) -> pl.Series:
        key, address = (readable(both.struct.field(name)) for name in ("key", "address"))
        allowed, verdicts, wrong, numbers, decided = judge_columns(engine, key, address, with_entries=entries)
        fields = {
            "allowed": series_of(allowed, pa.uint8()) != 0,
            "reason": reasons.gather(series_of(verdicts, pa.uint8())),
            "problem": problems.gather(series_of(wrong, pa.uint8())),
        }
        if entries:
            by_row = series_of(numbers, pa.int32())
            prefixes = [None if entry is None else str(entry.prefix) for entry, _ in decided]
            fields["prefix"] = pl.Series(prefixes, dtype=pl.String).gather(by_row)
            fields["list"] = pl.Series([name for _, name in decided], dtype=pl.String).gather(by_row)
        return structs(**fields)

    fields = {"allowed": pl.Boolean, "reason": pl.String, "problem": pl.String}
    if entries:
        fields |= {"prefix": pl.String, "list": pl.String}
    both = pl.struct(expression(keys).alias("key"), expression(addresses).alias("address"))
    return both.map_batches(answer, return_dtype=pl.Struct(fields), is_elementwise=True).alias("decision")


def expression(column: Column) -> pl.Expr:
    """Give the expression of a column that may be a name."""
    return pl.col(column) if isinstance(column, str) else column


def readable(column: pl.Series) -> pl.Series:
    """Give a column in a form that the core reads: decoded, if it has categories; nulls of a type."""
    return column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum, pl.Null) else column


def series_of(buffer: bytes | bytearray, kind: pa.DataType) -> pl.Series:
    """Take over a buffer of numbers as a series."""
    return cast("pl.Series", pl.from_arrow(numbers_of(buffer, kind)))


def structs(**fields: pl.Series) -> pl.Series:
    """Make a series of structs."""
    return pl.DataFrame(fields).to_struct()
