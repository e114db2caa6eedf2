"""Waiting until something has happened in another thread: with a thread of one's own, or in an event loop.

    follower --tell()--> threads that `wait`       a condition
                     --> loops that `wait_async`   an event of asyncio, which the follower sets through its loop

Threads: safe.  Cost: who waits in a loop takes no thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Waiting"]


class Waiting:
    """Let others wait until something is so; whoever changes anything calls `tell`."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._loops: set[Callable[[], object]] = set()

    def tell(self) -> None:
        """Let everybody who waits look again."""
        with self._condition:
            self._condition.notify_all()
            for call in self._loops:
                with suppress(RuntimeError):  # its loop has been closed
                    call()

    def wait(self, is_so: Callable[[], bool], timeout: float) -> bool:
        """Wait until something is so; return False if it is not so after so many seconds."""
        with self._condition:
            return self._condition.wait_for(is_so, timeout)

    async def wait_async(self, is_so: Callable[[], bool], timeout: float) -> bool:
        """As `wait`, and the event loop goes on meanwhile."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def call() -> object:
            return loop.call_soon_threadsafe(woken.set)

        with self._condition:
            self._loops.add(call)
        try:
            async with asyncio.timeout(timeout):
                while not is_so():
                    await woken.wait()
                    woken.clear()
        except TimeoutError:
            return is_so()
        finally:
            with self._condition:
                self._loops.discard(call)
        return True
