"""One writer of a file at a time, in all processes and all threads.

    keys.snap           each save replaces it, so a lock on it would be lost
    .keys.snap.lock     always empty, never removed: this file is locked

The lock is made by `flock`; it belongs to an open file.  Each holder opens the
lock file again.  So two threads of one process exclude each other like two
processes.  When a process ends, in any way, the system releases its lock.
Readers take no lock, because the name leads to a whole file at every moment.

A forked child also has the parent's open file, and could unlock the parent's
lock.  So it closes the file and unlocks nothing; the lock stays with the
parent.

Threads: the thread that acquired a lock holds it until it releases it.  Source: flock(2).
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from ..errors import Conflict, LockTimeout
from .forking import remember

__all__ = ["FileLock"]


class FileLock:
    """Hold the lock beside a file, as a context manager.

    Args:
        target: the file itself, not a link to it; it need not exist, but its directory must.
        timeout: seconds to wait for the lock; None waits for ever.
    Raises:
        LockTimeout: another writer held the lock all the time.  OSError: the lock file cannot be opened.
    """

    _descriptor: int | None = None

    def __init__(self, target: str, timeout: float | None) -> None:
        directory, name = os.path.split(target)
        self.target = target
        self.path = os.path.join(directory, f".{name}.lock")
        self.timeout = timeout

    def __enter__(self) -> Self:
        give_up = None if self.timeout is None else time.monotonic() + self.timeout
        remember(self)
        while True:
            self._descriptor = descriptor = _open_lock(self.path, self.target)
            try:
                self._wait(descriptor, give_up)
            except BaseException:
                self._let_go()
                raise
            if _is_same(descriptor, self.path):
                return self
            self._let_go()  # somebody removed the lock file meanwhile, so lock the new one

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def _wait(self, descriptor: int, give_up: float | None) -> None:
        """Wait in one system call, because the system serves waiting processes in turn.

        Polling would be unfair: a slow process could wait for ever while others are quick.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if give_up is None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                return
        waiter = _Waiter(descriptor)
        try:
            if not waiter.wait(give_up):
                raise LockTimeout(f"{self.target}: another writer had it locked for {self.timeout} seconds")
        except BaseException:
            if waiter.abandon():
                self._descriptor = None  # the waiter closes it
            raise

    def _let_go(self) -> None:
        """Unlock, then close.  `_descriptor` is kept until it is unlocked, so `__del__` can repeat what failed here."""
        descriptor = self._descriptor
        if descriptor is not None:
            _unlock(descriptor)
            self._descriptor = None
            os.close(descriptor)

    def __del__(self) -> None:
        self._let_go()

    def check_held(self) -> None:
        """Check that this process holds the lock; Conflict in a forked child of the process that took it."""
        if self._descriptor is None:
            raise Conflict(f"{self.target}: the lock belongs to the process that took it, not to this child of it")

    def begin_anew(self) -> None:
        """In a forked child, close the parent's file and unlock nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _Waiter:
    """Wait for a lock in a thread of its own, because a system call cannot be interrupted after a time."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.guard = threading.Lock()
        self.is_over = threading.Event()
        self.is_started = False
        self.is_abandoned = False
        self.error: OSError | None = None

    def wait(self, give_up: float) -> bool:
        """Return whether the lock was acquired in time."""
        threading.Thread(target=self._lock, name="cidrmatch-lock", daemon=True).start()
        self.is_started = True
        is_there = self.is_over.wait(max(0.0, give_up - time.monotonic()))
        if self.error is not None:
            raise self.error
        return is_there

    def abandon(self) -> bool:
        """Leave it to the thread to close the file; return False if there is no thread, or if it has ended."""
        with self.guard:
            self.is_abandoned = self.is_started and not self.is_over.is_set()
            return self.is_abandoned

    def _lock(self) -> None:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        except OSError as error:
            self.error = error
        with self.guard:
            self.is_over.set()
            if self.is_abandoned:
                _unlock(self.descriptor)
                os.close(self.descriptor)


def _unlock(descriptor: int) -> None:
    """Unlock explicitly: a forked child may have the file open, too, and closing it here would not release the lock."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _open_lock(path: str, target: str) -> int:
    """Open the lock file; a new one gets the owner of the target, so that this owner can lock it, too."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    with suppress(OSError):
        found = os.stat(target)
        os.fchown(descriptor, found.st_uid, found.st_gid)
        os.fchmod(descriptor, found.st_mode & 0o666 | 0o600)
    return descriptor


def _is_same(descriptor: int, path: str) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    return False
