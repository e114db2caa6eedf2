"""Answers for columns, as Arrow arrays: the numbers of the core turned into words, a column at a time.

    addresses   [ 203.0.113.7 | 203.0.113.07 | null ]
         |  match_column
    answers     [ 0 | 4 | 20 ]      numbers   [ 1 | 2 | 2 ]         one buffer each, taken over as they are
         |  take                         |  take
    words       [ matched | leading_zero | not_given ]   prefixes   [ 203.0.113.0/24 | null | null ]

`Listing` asks a list, `Deciding` an engine.  Both hold the words, so that a call makes none.

A struct is the answer of a row.  Its fields:

    of a list      listed, reason, prefix               prefix is null where no entry matches
    of an engine   allowed, reason, problem             problem is null where the row has a key and an address
                   and with entries: prefix, list       null where no entry decided, or the key's own entries did

`listed`, `allowed` and `reason` are never null.  The reason of a list is "matched", "ip_not_listed", or the code of the
`InvalidAddress` that a single address would have raised; "not_given" stands for a null.  The reasons of an engine are
those of `Reason`, and its problems are codes of the same kind; "key_not_given" stands for a null key.

It needs pyarrow.  Cost: beside the core's, a copy of each word.  Threads: safe without a lock, nothing changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ..._core import PROBLEMS, AllowList, match_column
from ..._keys import REASONS_BY_VERDICT, Reason, judge_columns

if TYPE_CHECKING:
    from ...engine.engine import Engine

__all__ = ["ENTRY_FIELDS", "LIST_REASONS", "REASONS", "Deciding", "Listing", "numbers_of", "prefixes_of", "readable"]

LIST_REASONS = (str(Reason.MATCHED), str(Reason.NOT_LISTED), *PROBLEMS[1:-1])
"""The reasons of a list, by the numbers of `match_column`; the last problem is one of keys."""
REASONS = tuple(map(str, REASONS_BY_VERDICT))
ENTRY_FIELDS = ("prefix", "list")


def prefixes_of(allow: AllowList) -> list[str | None]:
    """Write the prefix of each entry; behind the last is None, for "no entry"."""
    return [*(str(entry.prefix) for entry in allow), None]


def numbers_of(buffer: bytes | bytearray, kind: pa.DataType) -> pa.Array:
    """Take over a buffer of numbers as an array."""
    return pa.Array.from_buffers(kind, len(buffer) * 8 // kind.bit_width, [None, pa.py_buffer(buffer)])


def readable(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Give a column in a form that the core reads: decoded, if its texts are in a dictionary; nulls of a type."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column.cast(pa.string()) if pa.types.is_null(column.type) else column


class Listing:
    """Tell for columns of addresses whether each is in a list, why, and by which entry.

    Args:
        allow: the list.
    Raises:
        TypeError: it is no `AllowList`.
    Cost: a text for each entry.
    """

    def __init__(self, allow: AllowList) -> None:
        if not isinstance(allow, AllowList):
            raise TypeError(f"the list is an AllowList, not {type(allow).__name__}")
        self._allow = allow
        self._reasons = pa.array(LIST_REASONS, pa.string())
        self._prefixes = pa.array(prefixes_of(allow), pa.string())

    def answer(self, addresses: pa.Array | pa.ChunkedArray) -> pa.StructArray:
        """Answer a column.

        Args:
            addresses: an Arrow array of n texts, packed addresses (binary of 4 or 16 bytes) or uint32; perhaps chunked,
                perhaps with a dictionary.
        Returns:
            A struct array of n rows: `listed`, `reason`, `prefix`.
        Raises:
            TypeError: the column is of another type.
        """
        answers, numbers = match_column(self._allow, readable(addresses))
        by_row = numbers_of(answers, pa.uint8())
        return pa.StructArray.from_arrays(
            [
                pc.call_function("equal", [by_row, pa.scalar(0, pa.uint8())]),
                self._reasons.take(by_row),
                self._prefixes.take(numbers_of(numbers, pa.int32())),
            ],
            ["listed", "reason", "prefix"],
        )


class Deciding:
    """Decide for columns of keys and addresses whether each address may use its key, and why.

    Args:
        engine: the engine; each column is judged by the version that it has then.
        entries: whether to tell which entry of which list decided.
    Raises:
        TypeError: it is no `Engine`.
    """

    def __init__(self, engine: Engine, *, entries: bool = False) -> None:
        if not hasattr(engine, "view"):
            raise TypeError(f"the engine is an Engine, not {type(engine).__name__}")
        self._engine = engine
        self._entries = entries
        self._reasons = pa.array(REASONS, pa.string())
        self._problems = pa.array([None, *PROBLEMS[1:]], pa.string())

    def answer(self, keys: pa.Array | pa.ChunkedArray, addresses: pa.Array | pa.ChunkedArray) -> pa.StructArray:
        """Answer two columns of n rows.

        Args:
            keys: an Arrow array of texts.
            addresses: an Arrow array as for `Listing.answer`.
        Returns:
            A struct array of n rows: `allowed`, `reason`, `problem`; with entries, also `prefix` and `list`.
        Raises:
            TypeError, ValueError: a column is of another type, or the two differ in length.
        """
        allowed, verdicts, problems, numbers, entries = judge_columns(
            self._engine, readable(keys), readable(addresses), with_entries=self._entries
        )
        fields = {
            "allowed": numbers_of(allowed, pa.uint8()).cast(pa.bool_()),
            "reason": self._reasons.take(numbers_of(verdicts, pa.uint8())),
            "problem": self._problems.take(numbers_of(problems, pa.uint8())),
        }
        if self._entries:
            by_row = numbers_of(numbers, pa.int32())
            prefixes = [None if entry is None else str(entry.prefix) for entry, _ in entries]
            fields["prefix"] = pa.array(prefixes, pa.string()).take(by_row)
            fields["list"] = pa.array([name for _, name in entries], pa.string()).take(by_row)
        return pa.StructArray.from_arrays(list(fields.values()), list(fields))
