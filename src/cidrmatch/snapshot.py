"""A block in a file: written whole or not at all, mapped by every process that reads it.

    save    .keys.snap.XXXX  written, flushed to the disk, renamed to keys.snap; then the directory is flushed
    open    keys.snap        mapped read-only; header checked always, all of it if the reader wants (and by default)

Whoever has the old file mapped keeps it until he lets go; a name always leads to
a whole file, the old one or the new.  What lies in the file is told byte by byte
in docs/snapshot-format.md.

    [ header, 128 bytes | all the rest ]
         |                    |
         |                    '-- CRC-32 in the header
         '-- CRC-32 of the header, with 0 for itself

A mapping is only as steady as its file: a program that cuts a mapped file short
ends every process that touches the lost part (SIGBUS).  `save` never does that.
On a file system where others might, open with `copy=True`: the file is read into
memory once, and nothing that happens to it later matters.

Threads: no state here.  Source: POSIX rename, fsync; CRC-32 as in zlib.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ._core.keystore import KeyStore
from .errors import SnapshotError

__all__ = ["Identity", "identify", "open_block", "save_block"]

_HEADER = 128
_CHECKSUMS = struct.Struct("=II")
_CHECKSUMS_AT = 104
_PIECE = 16 << 20
"""Bytes that are written or read at a time."""

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Identity:
    """Tell one file from the next of the same name."""

    device: int
    inode: int
    size: int
    modified: int


def identify(path: PathLike) -> Identity:
    """Say which file a path leads to now."""
    return _identity(os.stat(path))


def _identity(found: os.stat_result) -> Identity:
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


# -- Writing ------------------------------------------------------------------


def save_block(path: PathLike, store: KeyStore) -> None:
    """Write a store's block to a file, so that the path leads to the whole old file or the whole new one.

    Args:
        path: where; its directory must be writable.
    Raises:
        OSError: nothing was changed under that name.
    Cost: one pass for the checksum, one to write.
    """
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    with store.block as block:
        header = sealed_header(block)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(header)
                for begin in range(_HEADER, len(block), _PIECE):
                    file.write(block[begin : begin + _PIECE])
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, target)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
    _flush_directory(target.parent)


def sealed_header(block: memoryview) -> bytes:
    """Give the header of a block with its checksums."""
    header = bytearray(block[:_HEADER])
    body = _checksum(block[_HEADER:])
    _CHECKSUMS.pack_into(header, _CHECKSUMS_AT, body, 0)
    _CHECKSUMS.pack_into(header, _CHECKSUMS_AT, body, zlib.crc32(header))
    return bytes(header)


def _checksum(block: memoryview) -> int:
    found = 0
    for begin in range(0, len(block), _PIECE):
        found = zlib.crc32(block[begin : begin + _PIECE], found)
    return found


def _flush_directory(directory: Path) -> None:
    """Make the new name last; where directories cannot be flushed, the system does as it likes."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- Reading ------------------------------------------------------------------


def open_block(path: PathLike, *, verify: bool = True, copy: bool = False) -> tuple[KeyStore, Identity]:
    """Open a file that `save_block` wrote.

    Args:
        path: a regular file.
        verify: check every byte and every record first; without it only the header is checked, in constant time.
        copy: read the file into memory instead of mapping it.
    Returns:
        The store, and which file that was.
    Raises:
        SnapshotError: with what is wrong.  OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise SnapshotError(f"{os.fspath(path)}: a snapshot is a regular file")
        if found.st_size < _HEADER:
            raise SnapshotError(f"{os.fspath(path)}: it is shorter than a header")
        block = _copied(descriptor, found.st_size) if copy else _mapped(descriptor, found.st_size)
    finally:
        os.close(descriptor)
    try:
        store = KeyStore.from_buffer(block)
        with memoryview(block) as view:
            check_sums(view, verify=verify)
        if verify:
            store.verify()
    except SnapshotError as error:
        raise SnapshotError(f"{os.fspath(path)}: {error}") from None
    return store, _identity(found)


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)


def _copied(descriptor: int, size: int) -> mmap.mmap:
    """The file in memory of our own, at the start of a page."""
    block = mmap.mmap(-1, size)
    done = 0
    while done < size:
        piece = os.read(descriptor, min(_PIECE, size - done))
        if not piece:
            raise SnapshotError("the file became shorter while it was read")
        block[done : done + len(piece)] = piece
        done += len(piece)
    return block


def check_sums(block: memoryview, *, verify: bool) -> None:
    """Compare the checksums of a block, that of its body only if wanted; SnapshotError if one is wrong."""
    header = bytearray(block[:_HEADER])
    body, own = _CHECKSUMS.unpack_from(header, _CHECKSUMS_AT)
    _CHECKSUMS.pack_into(header, _CHECKSUMS_AT, body, 0)
    if zlib.crc32(header) != own:
        raise SnapshotError("the checksum of the header is wrong")
    if verify and _checksum(block[_HEADER:]) != body:
        raise SnapshotError("the checksum of the body is wrong")
