"""Writing a file so that its name leads to all of the old content or to all of the new content, at every moment.

    .edge.feed.0123456789ab.tmp   written and flushed to the disk, then renamed to edge.feed; then the folder is flushed

A writer that is killed leaves its draft; the next writer, which holds the lock, removes it by
`remove_drafts`, which knows such names from snapshots.
Threads: one writer of a file at a time; the caller holds a lock.  Source: POSIX rename, fsync.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

__all__ = ["write_whole"]


def write_whole(path: str, content: bytes, mode: int) -> None:
    """Write a file, whole or not at all.

    Args:
        path: a link stays a link; its folder must be writable.
        content: all of it.
        mode: the permissions of a new file; those of a file that is replaced are kept.
    Raises:
        OSError: nothing was changed; or, from the flush of the folder, a power failure may undo it.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    draft = os.path.join(folder, f".{name}.{os.urandom(6).hex()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            _take_owner_and_mode(descriptor, target, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(draft, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    flush_folder(folder)


def _take_owner_and_mode(descriptor: int, target: str, mode: int) -> None:
    """Give a draft the owner and the mode of the file that it replaces."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    now = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def flush_folder(folder: str) -> None:
    """Flush a folder, so that a new name in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
