from .allow_list import AllowList
from .arrow import ArrowArrayExportable, ArrowStreamExportable

__all__ = ["PROBLEMS", "match_column"]

PROBLEMS: tuple[str, ...]

def match_column(
    allow: AllowList, addresses: ArrowArrayExportable | ArrowStreamExportable, /
) -> tuple[bytes, bytearray]:
    """Tell for each row of an Arrow array which entry of a list matches, or why the row is no address.

    Args:
        allow: the list.
        addresses: an Arrow array, chunked or not, of a form that `contains_many` takes, or of variable-size binary (z,
            Z, vz) with packed addresses; nulls are allowed.
    Returns:
        Two buffers, `bytes` and a `bytearray` of 32-bit numbers of this machine, for n rows: 0 for "matched", 1 for
        "not listed", or 1 plus the index of `PROBLEMS`; and the number of the most specific entry, or `len(allow)`.
    Raises:
        TypeError: this is no Arrow array, or one of another format.
        ValueError: the array contradicts itself.  OSError: an Arrow stream failed.
    Cost: as `match_many`.
    Threads: the column is read without the interpreter lock.
    """
