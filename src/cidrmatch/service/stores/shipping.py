"""Snapshots in object storage: a machine that reaches no database takes its data from a bucket.

    keys.json            the pointer: {"object": "keys-9f86d0....snap", "sha256": ..., "size": ..., "epoch": ...,
       |                               "generation": ..., "current_at": ...}
       v
    keys-9f86d0....snap  an object is written once, under the hash of its bytes, and never changed

    put     1. the object, unless it is there    2. the pointer           so a pointer never names what is not there
    renew                                        2. the pointer           the same object, known to be current later
    take    1. the pointer    2. its object, whose size, hash, header and records are checked    3. the local file

A pointer moves forward: an older revision is not put over a later one, and a later one that is here is not replaced by
an older one.  `current_at` is the time, by the clock of the machine that puts, at which the data was last known to be
current.  Whoever takes adds the age by its own clock, so both clocks count towards `max_age`: keep them in step.

Listings are cached by many file systems, so nothing is listed; every read goes past the caches.

Cost: one small read for each look; the object, if it is new.  Threads: safe; what is kept is only a hash.
Source: C19.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import fsspec

from ..._keys import Revision, identify, open_block
from ...errors import SnapshotError, quote
from .errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._keys import Identity

__all__ = ["Pointer", "Shelf"]

_FORMAT: Final = 1
_MOST_POINTER: Final = 65_536
_MOST_AHEAD: Final = 2.0
"""Seconds that a pointer's clock may be ahead; one that is far ahead would make old data look new."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Say which object is the latest snapshot.

    Attributes:
        name: of the object, beside the pointer.
        sha256: of its bytes, in hexadecimal digits.
        size: in bytes.
        revision: of its data.
        current_at: when the data was last known to be current, in POSIX seconds of the machine that put it.
    """

    name: str
    sha256: str
    size: int
    revision: Revision
    current_at: float

    def to_json(self) -> bytes:
        """Write the pointer."""
        facts = {
            "format": _FORMAT, "object": self.name, "sha256": self.sha256, "size": self.size,
            "epoch": self.revision.epoch, "generation": self.revision.generation, "current_at": self.current_at,
        }  # fmt: skip
        return json.dumps(facts, sort_keys=True).encode("ascii")

    @classmethod
    def from_json(cls, text: bytes) -> Pointer:
        """Read a pointer; StoreError if it is none."""
        try:
            said = json.loads(text)
            if said["format"] != _FORMAT:
                raise ValueError(f"its format is {said['format']!r}, and {_FORMAT} is known")
            found = cls(
                _checked(said, "object", str), _checked(said, "sha256", str), _checked(said, "size", int),
                Revision(_checked(said, "epoch", int), _checked(said, "generation", int)),
                float(_checked(said, "current_at", float, int)),
            )  # fmt: skip
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreError(f"this is no pointer to a snapshot: {error}") from None
        if os.path.basename(found.name) != found.name or not found.name.endswith(f"-{found.sha256}.snap"):
            raise StoreError(f"the pointer names {quote(found.name)}, which is no object of it")
        return found


def _checked(said: dict[str, Any], name: str, *kinds: type) -> Any:
    if type(said[name]) not in kinds:
        raise ValueError(f"{name} is {said[name]!r}")
    return said[name]


class Shelf:
    """Shelf(url): the place where snapshots lie, on any file system that fsspec knows.

    Args:
        url: of the pointer, such as "s3://bucket/keys.json", "memory://keys.json" or a path; it ends in .json.
        clock: gives the time in POSIX seconds.
        options: for the file system, such as its endpoint.
    Raises:
        StoreError: the URL names no file system, or does not end in .json.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time, **options: Any) -> None:
        if not url.endswith(".json"):
            raise StoreError(f"a pointer's name ends in .json, not {quote(url)}")
        try:
            self._files, self._path = fsspec.url_to_fs(url, use_listings_cache=False, **options)
        except (ValueError, ImportError, TypeError) as error:
            raise StoreError(f"{quote(url)}: {error}") from None
        self._clock = clock
        self._folder, _, name = self._path.rpartition("/")
        self._stem = name.removesuffix(".json")
        self._known: tuple[Identity, str] | None = None  # a local file, and the hash of its bytes

    def _beside(self, name: str) -> str:
        return f"{self._folder}/{name}" if self._folder else name

    # Putting

    def put(self, snapshot: str | Path, *, age: float, only: Revision | None = None) -> Pointer:
        """Put a snapshot file, and let the pointer name it.

        Args:
            snapshot: a file that `Engine.save` wrote.
            age: the seconds since its data was known to be current.
            only: the revision that the file must be of; None for any.
        Returns:
            The pointer as it is now; another putter's, if that one names the same data and knows it to be younger.
        Raises:
            StoreError: the pointer names a later revision, or the file is another.  SnapshotError: the file is damaged.
            OSError: of the file system.
        """
        current_at = self._clock() - age  # before all that takes time
        content, revision = _read(snapshot)
        if only is not None and revision != only:
            raise StoreError(f"the file is of {revision}, not of {only}")
        digest = hashlib.sha256(content).hexdigest()
        pointer = Pointer(f"{self._stem}-{digest}.snap", digest, len(content), revision, current_at)
        there = self._not_later(revision)
        if there is None or there.name != pointer.name:
            self._files.pipe_file(self._beside(pointer.name), content)
        return self._point(pointer, there)

    def renew(self, pointer: Pointer, *, age: float) -> Pointer | None:
        """Say anew how old the data is that a pointer names; no object is read or written.

        Args:
            pointer: what `put` or `renew` returned.
            age: the seconds since its data was known to be current.
        Returns:
            The pointer as it is now; None if the pointer there is gone, or names something else: then put it.
        Raises:
            StoreError: the pointer there is of a later revision.  OSError: of the file system.
        """
        renewed = replace(pointer, current_at=self._clock() - age)
        there = self._not_later(pointer.revision)
        return None if there is None or there.name != pointer.name else self._point(renewed, there)

    def _not_later(self, revision: Revision) -> Pointer | None:
        there = self.pointer()
        if there is not None and there.revision > revision:
            raise StoreError(f"the pointer is of {there.revision}, later than {revision}")
        return there

    def _point(self, pointer: Pointer, there: Pointer | None) -> Pointer:
        """Write the pointer, unless the one there says the same of a later moment that is not in the future."""
        is_same = there is not None and there.name == pointer.name
        if there is not None and is_same and pointer.current_at <= there.current_at <= self._clock() + _MOST_AHEAD:
            return there
        self._write_pointer(pointer)
        return pointer

    def remove(self, name: str) -> None:
        """Remove an object, unless the pointer names it or it is gone."""
        there = self.pointer()
        if there is not None and there.name != name:
            with suppress(FileNotFoundError):
                self._files.rm_file(self._beside(name))

    def _write_pointer(self, pointer: Pointer) -> None:
        """Replace the pointer at once: an object store does so by itself, a folder by a rename."""
        if "file" not in (self._files.protocol if isinstance(self._files.protocol, tuple) else (self._files.protocol,)):
            self._files.pipe_file(self._path, pointer.to_json())
            return
        draft = f"{self._path}.{secrets.token_hex(4)}.tmp"
        Path(draft).write_bytes(pointer.to_json())
        os.replace(draft, self._path)

    def prune(self, keep: set[str]) -> int:
        """Remove objects that nobody needs; a machine may still be taking one that the pointer named a minute ago.

        Args:
            keep: names of objects that stay, besides the one that the pointer names.
        Returns:
            How many were removed.
        """
        there = self.pointer()
        named = keep | ({there.name} if there is not None else set())
        self._files.invalidate_cache()
        found = [os.path.basename(path) for path in self._files.ls(self._folder, detail=False)]
        gone = [
            name for name in found
            if name.startswith(f"{self._stem}-") and name.endswith(".snap") and name not in named
        ]  # fmt: skip
        for name in gone:
            self._files.rm_file(self._beside(name))
        return len(gone)

    # Taking

    def pointer(self) -> Pointer | None:
        """Read the pointer; None if there is none.  StoreError if it is damaged."""
        self._files.invalidate_cache()
        try:
            text = self._files.cat_file(self._path, start=0, end=_MOST_POINTER)
        except FileNotFoundError:
            return None
        return Pointer.from_json(text)

    def age_of(self, pointer: Pointer) -> float:
        """Give the seconds since the data of a pointer was known to be current; never less than 0.

        Raises:
            StoreError: the pointer comes from the future: the clocks of the two machines are not in step.
        """
        age = self._clock() - pointer.current_at
        if not age >= -_MOST_AHEAD:
            raise StoreError(f"the pointer is {-age:.1f} seconds ahead of this machine's clock")
        return max(0.0, age)

    def take(self, target: str | Path) -> tuple[Pointer, bool]:
        """Take the latest snapshot to a local file, unless the file has it.

        Other content under the same revision is taken, too: it comes of a history that parted from the one here.
        An engine that had the old content refuses it, and its data grows old (`Engine.refresh`).

        Args:
            target: the path of the file; it leads to a whole snapshot at every moment, once there is one.
        Returns:
            The pointer, and whether the file is another now.
        Raises:
            StoreError: there is no pointer, it is damaged, it is older than the file, or its object is not what it
                says.  SnapshotError: the object is no snapshot.  OSError: of a file system.
        """
        pointer = self.pointer()
        if pointer is None:
            raise StoreError(f"there is no pointer {quote(self._path)}")
        there = _revision_at(target)
        if there == pointer.revision and self._digest_at(target) == pointer.sha256:
            return pointer, False
        if there is not None and there > pointer.revision:
            raise StoreError(f"the pointer is of {pointer.revision}, older than {there}, which is here")
        content = self._files.cat_file(self._beside(pointer.name))
        if len(content) != pointer.size or hashlib.sha256(content).hexdigest() != pointer.sha256:
            raise StoreError(f"the object {quote(pointer.name)} is not what its pointer says")
        _place(Path(target), content, pointer.revision)
        return pointer, True

    def _digest_at(self, path: str | Path) -> str:
        """Give the hash of a local file, which is read only if it is another than at the last look."""
        identity = identify(path)
        if self._known is None or self._known[0] != identity:
            self._known = identity, hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return self._known[1]


def _read(snapshot: str | Path) -> tuple[bytes, Revision]:
    """Read a snapshot and check it; a file that is replaced meanwhile is a StoreError."""
    store, identity = open_block(snapshot, copy=True)
    content = Path(snapshot).read_bytes()
    if identify(snapshot) != identity:
        raise StoreError(f"{quote(str(snapshot))} was replaced while it was read")
    return content, Revision(store.epoch, store.generation)


def _revision_at(path: str | Path) -> Revision | None:
    try:
        store, _ = open_block(path, verify=False)
    except (FileNotFoundError, SnapshotError):
        return None
    return Revision(store.epoch, store.generation)


def _place(target: Path, content: bytes, revision: Revision) -> None:
    """Write a file beside the target, check it as a snapshot, and rename it."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as file:
            os.chmod(draft, 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        store, _ = open_block(draft)
        if Revision(store.epoch, store.generation) != revision:
            raise StoreError("the object is of another revision than its pointer says")
        os.replace(draft, target)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
