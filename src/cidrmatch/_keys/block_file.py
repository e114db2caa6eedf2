"""Writing a block to a file, whole or not at all, and reading it, mapped or copied.

    save    .keys.snap.XXXX.tmp  written, flushed to the disk, renamed to keys.snap; then the directory is flushed
    open    keys.snap            mapped read-only, or copied; the header is always checked, the rest by default

A process that has mapped the old file keeps it until it unmaps it.  The name
always leads to a whole file, the old one or the new one.
docs/snapshot-format.md describes the bytes of the file.

    [ header, 128 bytes | all the rest ]
         |                    |
         |                    '-- CRC-32 in the header
         '-- CRC-32 of the header, with 0 for itself

A header says a *revision*: an epoch, which names one history of the data, and a
generation, which counts within it.  Revisions are ordered, epoch first:

    (E, 4)  (E, 5)  (E, 6)      saved one after the other by editors of the file
                        (F, 7)  a new engine replaced all of this; F > E, because an epoch begins with the time

A mapping shows every change inside its file.  If a program cuts a mapped file
short in place, every process that reads the lost part is ended (SIGBUS).  If a
program writes over the file, the mapped data changes.  `save` does neither.  To
be safe from other programs, small files are copied into memory when they are
opened.

Threads: no state here.  Source: POSIX rename, fsync; CRC-32 as in zlib.
"""

from __future__ import annotations

import mmap
import os
import secrets
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import NotFlushed, SnapshotError
from .store import HEADER_BYTES, KeyStore, read_header

__all__ = [
    "Identity",
    "Revision",
    "checksum_of",
    "content_at",
    "drawn_epoch",
    "flush_name",
    "identify",
    "open_block",
    "remove_drafts",
    "revision_of",
    "save_block",
]

_PIECE = 16 << 20
"""Bytes that are written or read at a time."""
_COPIED = 16 << 20
"""Files up to this size are copied into memory, unless the reader says otherwise."""
_LUCK_BITS = 22
"""The random bits of an epoch; the bits above are the time, in steps of four milliseconds."""

PathLike = str | os.PathLike[str]


class Revision(NamedTuple):
    """Name one version of the data in one history; later versions are larger.

    Attributes:
        epoch: the number of the history; it is drawn when an engine that stands on no file is saved.
        generation: the number of the version within the history.
    """

    epoch: int
    generation: int

    def __str__(self) -> str:
        return f"generation {self.generation} of epoch {self.epoch:x}"


def drawn_epoch(after: int) -> int:
    """Draw an epoch that is larger than `after`, and larger than epochs that were drawn some milliseconds earlier."""
    moment = time.time_ns() >> _LUCK_BITS << _LUCK_BITS
    return max(moment | secrets.randbits(_LUCK_BITS), after + 1)


@dataclass(frozen=True, slots=True)
class Identity:
    """Identify a file: another file of the same name, or the same file written over in place, has another identity.

    The time alone is not enough: systems store it in ticks, and a file may change twice in one tick.
    """

    device: int
    inode: int
    size: int
    modified: int
    header: bytes


def identify(path: PathLike) -> Identity:
    """Identify the file that a path leads to now; SnapshotError if it is no regular file."""
    descriptor = _open(path)
    try:
        with _naming(path):
            return _identity(descriptor)
    finally:
        os.close(descriptor)


def revision_of(path: PathLike, identity: Identity) -> Revision:
    """Read the revision of a file from its header; SnapshotError if it has no valid header."""
    with _naming(path):
        return Revision(*read_header(identity.header, identity.size)[:2])


def content_at(path: PathLike) -> tuple[Revision | str | None, int]:
    """Give the revision of a file, and the checksum of its body.

    If there is no file, the revision is None.  If the file is no snapshot, the revision is a text that says what is
    wrong.  In both cases the checksum is 0.
    """
    try:
        identity = identify(path)
        epoch, generation, checksum = read_header(identity.header, identity.size)
        return Revision(epoch, generation), checksum
    except FileNotFoundError:
        return None, 0
    except SnapshotError as error:
        return str(error), 0


@contextmanager
def _naming(path: PathLike) -> Iterator[None]:
    """Add the name of the file to a SnapshotError."""
    try:
        yield
    except SnapshotError as error:
        raise SnapshotError(f"{os.fspath(path)}: {error}") from None


def _open(path: PathLike) -> int:
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))


def _identity(descriptor: int) -> Identity:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise SnapshotError("a snapshot is a regular file")
    header = os.pread(descriptor, HEADER_BYTES, 0)
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, header)


# -- Writing ------------------------------------------------------------------


def save_block(target: str, store: KeyStore, revision: Revision, checksum: int, *, mode: int | None = None) -> Identity:
    """Write a store's block to a file, so that the name leads to the whole old file or the whole new one.

    Args:
        target: the path of the file, which is not a link; its directory must be writable.
        revision: the revision for the header.
        checksum: the result of `checksum_of` for this store; so the body is summed only once.
        mode: the permissions; None keeps those of the file that is replaced, and gives a new one 0600.
    Returns:
        The identity of the file that the name leads to now.
    Raises:
        PermissionError: the owner of the file that is replaced cannot be kept.  OSError: for another reason.
        In either case nothing was changed under that name.
    Cost: one pass.
    """
    directory, name = os.path.split(target)
    draft = os.path.join(directory, f".{name}.{os.urandom(6).hex()}.tmp")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with os.fdopen(descriptor, "r+b") as file, store.block as block:
            _keep_owner_and_mode(file.fileno(), target, mode)
            file.write(
                store.sealed_header(epoch=revision.epoch, generation=revision.generation, body_checksum=checksum)
            )
            for begin in range(HEADER_BYTES, len(block), _PIECE):
                file.write(block[begin : begin + _PIECE])
            file.flush()
            os.fsync(file.fileno())
            identity = _identity(file.fileno())
        os.replace(draft, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    return identity


def _keep_owner_and_mode(descriptor: int, target: str, mode: int | None) -> None:
    """Give a draft the owner and the mode of the file whose place it will take."""
    try:
        old = os.stat(target, follow_symlinks=False)
    except FileNotFoundError:
        old = None
    if old is not None:
        if not stat.S_ISREG(old.st_mode):
            raise SnapshotError(f"{target}: a snapshot is a regular file")
        now = os.fstat(descriptor)
        owner, group = (-1 if was == is_now else was for was, is_now in _pairs(old, now))
        try:
            if (owner, group) != (-1, -1):
                os.fchown(descriptor, owner, group)
        except PermissionError as error:
            whose = f"user {old.st_uid} and group {old.st_gid}"
            message = f"{os.strerror(error.errno or 0)}: the file belongs to {whose}, and would not any more"
            raise PermissionError(error.errno, message, target) from None
    wanted = mode if mode is not None else 0o600 if old is None else stat.S_IMODE(old.st_mode)
    os.fchmod(descriptor, wanted)


def _pairs(old: os.stat_result, now: os.stat_result) -> tuple[tuple[int, int], tuple[int, int]]:
    return (old.st_uid, now.st_uid), (old.st_gid, now.st_gid)


def remove_drafts(target: str) -> None:
    """Remove the drafts of writers that were killed. The caller holds the lock, so no other writer uses a draft now."""
    directory, name = os.path.split(target)
    start, end = f".{name}.", ".tmp"
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            between = entry.name[len(start) : -len(end)]
            if (
                entry.name == f"{start}{between}{end}"
                and len(between) == 12
                and set(between) <= set("0123456789abcdef")
            ):
                os.unlink(entry.path)


def checksum_of(store: KeyStore) -> int:
    """The checksum of a store's body, as the header of its file will have it."""
    return zlib.crc32(store.block[HEADER_BYTES:])


def flush_name(target: str) -> None:
    """Flush the directory, so that the new name survives a power failure.  On systems without this, nothing is done.

    Raises:
        NotFlushed: the name leads to the new file, but after a power failure it may not.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"{error.strerror}: the new snapshot is in its place, but its directory could not be flushed"
        raise NotFlushed(error.errno, message, target) from error


# -- Reading ------------------------------------------------------------------


def open_block(path: PathLike, *, verify: bool = True, copy: bool | None = None) -> tuple[KeyStore, Identity]:
    """Open a file that `save_block` wrote.

    Args:
        path: a regular file.
        verify: check every byte and every record first; without it only the header is checked, in constant time.
        copy: read the file into memory instead of mapping it; None does so up to 16 MiB.
    Returns:
        The store, and the identity of the file.
    Raises:
        SnapshotError: with what is wrong.  OSError: the file cannot be opened.
    """
    descriptor = _open(path)
    try:
        with _naming(path):
            identity = _identity(descriptor)
            if identity.size < HEADER_BYTES:
                raise SnapshotError("it is shorter than a header")
            is_copied = identity.size <= _COPIED if copy is None else copy
            block = _copied(descriptor, identity.size) if is_copied else _mapped(descriptor, identity.size)
            store = KeyStore.from_buffer(block)
            store.check_sums(whole=verify)
            if verify:
                store.verify()
            return store, identity
    finally:
        os.close(descriptor)


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    try:
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    except ValueError:  # the file is now shorter than its size was
        raise SnapshotError("the file became shorter while it was opened") from None


def _copied(descriptor: int, size: int) -> mmap.mmap:
    """A copy of the file in memory of this process; it begins at a page."""
    block = mmap.mmap(-1, size)
    done = 0
    while done < size:
        piece = os.read(descriptor, min(_PIECE, size - done))
        if not piece:
            raise SnapshotError("the file became shorter while it was read")
        block[done : done + len(piece)] = piece
        done += len(piece)
    return block
