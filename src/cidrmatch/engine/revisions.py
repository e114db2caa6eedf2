"""Which file an engine stands on, and which revision it may write.

    file     (E, 5)          (E, 6) by somebody else
    engine   opened (E, 5)   changed ------------------> save: Conflict, the file is not the one it stands on

An engine *stands on* the file that it was opened from, or was first saved to.
It knows the revision of that file, and its own version with the same data.  If
the engine is at another version now, it has changes of its own.  A file at
another path is a copy; the engine remembers what it wrote there, and still
stands on the first file.

No function here reads or changes a file or an engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._keys import Identity, Revision, drawn_epoch
from ..errors import Conflict, SnapshotError

__all__ = ["BaseFile", "Known", "check_newer", "is_as_before", "next_revision", "revision_of_copy"]


@dataclass(frozen=True, slots=True)
class Known:
    """Remember a file that the engine read or wrote.

    Attributes:
        revision: what its header said.
        version: the engine's version that has the same data.
        checksum: of the file's body.
    """

    revision: Revision
    version: int
    checksum: int


@dataclass(frozen=True, slots=True)
class BaseFile:
    """Remember the file that an engine stands on.

    Attributes:
        path: absolute, with symbolic links as they were given, because a link may later lead to a newer file.
        identity: which file was at the path at the last look.
        known: what the file held.
        verify, copy: how the file is opened.
    """

    path: str
    identity: Identity
    known: Known
    verify: bool = True
    copy: bool | None = None


def is_as_before(now: BaseFile | None, before: BaseFile | None) -> bool:
    """Whether an engine knows the same revision of its file as before, at any path."""
    return (None if now is None else now.known) == (None if before is None else before.known)


def check_newer(base_file: BaseFile, revision: Revision) -> None:
    """Raise SnapshotError if a file has an earlier revision than the engine."""
    if revision < base_file.known.revision:
        raise SnapshotError(f"{base_file.path}: it is of {revision}, older than {base_file.known.revision}")


def next_revision(
    there: Revision | str | None,
    content: int,
    known: Known | None,
    base: Known | None,
    version: int,
    checksum: int,
    *,
    replace: bool,
) -> Revision:
    """Choose the revision that a save writes.

    Args:
        there: the revision of the file at the path; None if there is no file; a text that says what is wrong if it is
            damaged.
        content: the checksum of this file; two copies of a file may have the same revision with different content.
        known: what the engine remembers about the path.
        base: the file that the engine stands on, at this path or another.
        version: of the engine's data.
        checksum: of the body that would be written; another program may write the same data with other bytes.
        replace: whether a file that the engine does not know may be replaced, or a file that is gone written again.
    Returns:
        The same revision for the same data.  For changed data a larger revision.  If another history is replaced, or
        there was no file, a revision in a new epoch.
    Raises:
        Conflict: this engine does not know the file there; or a file that it knows is gone, and may come back.
    """
    if there is None and known is not None:
        if not replace:
            raise Conflict(f"the file is gone, which was of {known.revision}; save with replace=True to make it anew")
        latest = max(known.revision, known.revision if base is None else base.revision)
        return Revision(drawn_epoch(latest.epoch), max(version, latest.generation + 1))
    found = (there, content)
    mine = next((one for one in (known, base) if one is not None and found == (one.revision, one.checksum)), None)
    if there is None:
        mine = base
    if mine is None and there is not None:
        if not replace:
            raise Conflict(_tell(there, known))
        old = there if isinstance(there, Revision) else Revision(0, 0)
        is_older = base is not None and old.epoch == base.revision.epoch and old < base.revision
        if base is None or not is_older:
            latest = max(old, base.revision if base is not None else old)
            return Revision(drawn_epoch(latest.epoch), max(version, old.generation + 1, latest.generation + 1))
        mine = base
    if mine is None:
        return Revision(drawn_epoch(0), version)
    if (version, checksum) == (mine.version, mine.checksum):
        return mine.revision
    return Revision(mine.revision.epoch, max(version, mine.revision.generation + 1))


def revision_of_copy(
    there: Revision | str | None, content: int, fed: Revision, checksum: int, *, replace: bool
) -> Revision:
    """Choose the revision of a file that a fed engine writes: always that of its source.

    Args:
        there, content, checksum, replace: as for `next_revision`.
        fed: the revision of the source that the engine's data is of.
    Raises:
        Conflict: the file there is of a later revision, is damaged, or has other content under the same revision.
    """
    is_fine = there is None or (isinstance(there, Revision) and there < fed) or (there, content) == (fed, checksum)
    if not is_fine and not replace:
        found = f"of {there}" if isinstance(there, Revision) else f"damaged ({there})"
        raise Conflict(f"the file there is {found}, and this engine's source gives {fed}; replace=True drops the file")
    return fed


def _tell(there: Revision | str, known: Known | None) -> str:
    """Make the message of a Conflict: what the file is, what the engine knows, and what can be done."""
    found = f"the file there is of {there}" if isinstance(there, Revision) else f"the file there is damaged ({there})"
    stands = "stands on no file" if known is None else f"knows {known.revision}"
    return (
        f"{found}, but this engine {stands}; change it by Engine.edit(), or save with replace=True to drop what it says"
    )
