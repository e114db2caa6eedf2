from typing import Protocol, type_check_only

from .._core import Entry
from .check import Checker

__all__ = ["judge_columns"]

@type_check_only
class _Array(Protocol):
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...

@type_check_only
class _Stream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def judge_columns(
    checker: Checker, keys: _Array | _Stream, addresses: _Array | _Stream, /, *, with_entries: bool = False
) -> tuple[bytes, bytes, bytes, bytearray, list[tuple[Entry | None, str | None]]]:
    """Decide for each row of two Arrow arrays whether the address may use the key, and why.

    Args:
        checker: a `Checker`, such as an `Engine`.
        keys: an Arrow array of texts, chunked or not; nulls are allowed.
        addresses: an Arrow array as `match_column` takes it, of the same length.
        with_entries: whether to tell the deciding entry of each row.
    Returns:
        Three `bytes` for n rows (allowed: 1 or 0; the index of the `Reason`; the index of `PROBLEMS`), a `bytearray` of
        32-bit numbers and a list of (`Entry`, name of its list or None).  Row i was decided by the item of this list
        that its number names, none for 0; without `with_entries`, the `bytearray` is empty.
    Raises:
        TypeError: this is no Arrow array, or one of another format.
        ValueError: the arrays differ in length, or one contradicts itself.  OSError: an Arrow stream failed.
        Whatever the engine's clock raises.
    Cost: as the essay of this room says.
    Threads: safe without a lock; the answers are those of one version.
    Source: B2, B5, U1, U6; C23.
    """
