"""Folding: the overlay of a view is moved into its store, while readers go on.

    View 17   overlay { a: Rule, b: None }    store [ b c d ... ]        a was put, b was removed
                 |                               |
                 '---------- fold_view ----------'------> store [ a c d ... ]
    View 18   overlay { e: Rule }             published meanwhile
    View 18'  overlay { e: Rule }             store [ a c d ... ]        the same data and the same version

Keys that changed since the last fold are Python objects in the overlay, some
thousand at most.  Each commit copies the overlay.  So when it is large,
`Folder` folds it: in the background, or within the commit if very many keys
changed at once.  A fold changes no answer.

If a fold fails, nothing changes.  The failure is logged, `Folder.error` holds
it, and after a pause the next commit tries again in the background.

Cost: a fold copies the store.  Threads: a fold takes no lock until it publishes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .._keys import Builder, View, write_record, write_rule

if TYPE_CHECKING:
    from .._keys import KeyRecord, KeyStore

__all__ = ["NO_LIST", "Folder", "fold_view", "store_of", "view_on_new_store"]

NO_LIST = 0xFFFFFFFF
"""The number of a list that no longer exists."""
_SMALLEST_FOLD = 2_048
"""An overlay this small is not worth folding into the store."""
_FOLD_NOW_FACTOR = 4
"""An overlay larger than this many times the background limit is folded at once, inside the commit."""
_FOLD_AGAIN = 1.0
"""Seconds after a failed fold until the next try; doubled by each failure after it, up to a minute."""
_NOTHING = object()

_log = logging.getLogger(__name__)


def fold_view(view: View) -> tuple[KeyStore, tuple[str, ...]]:
    """Make a store of a view; give it with the names of the lists that its records link by number.

    The new store has the records of the old store that are still valid, and the overlay.  The lists get new numbers, so
    removed lists have no number.
    """
    builder = Builder()
    names = tuple(view.lists)
    numbers = {name: number for number, name in enumerate(names)}
    if view.store is not None:
        builder.copy(view.store, view.overlay, [numbers.get(name, NO_LIST) for name in view.names])
    for key, rule in view.overlay.items():
        if rule is not None:
            write_rule(builder, key, rule, numbers)
    store = builder.build(generation=view.version, lists=len(names))
    for key, rule in view.overlay.items():
        if rule is not None and rule.shadow is not None:
            store.rules_made[key] = rule  # so that its counts go on
    for key, rule in (view.store.rules_made if view.store is not None else {}).copy().items():
        if rule.shadow is not None and key not in view.overlay:
            store.rules_made[key] = rule
    return store, names


def store_of(records: Iterable[tuple[str, KeyRecord, bool]], names: tuple[str, ...]) -> KeyStore:
    """Make a store of records that come one after the other, so that they are never all in memory.

    Args:
        records: keys, by their held ids, what was said about each, and whether it needs its list.
        names: of the named lists; a record links a list by its position.
    Raises:
        KeyError: a record names another list.  ValueError: a key came twice.
    """
    builder = Builder()
    numbers = {name: number for number, name in enumerate(names)}
    for key, record, needs_list in records:
        write_record(builder, key, record, numbers, needs_list=needs_list)
    return builder.build(lists=len(names))


def view_on_new_store(now: View, folded_from: View, store: KeyStore, names: tuple[str, ...]) -> View | None:
    """Give the view with a new store, and an overlay of what changed since; None if the store is outdated.

    Args:
        now: the current view.
        folded_from: the view from which the new store was made.
        store, names: the result of `fold_view` for that view.
    """
    if now.store is not folded_from.store:  # another fold was published meanwhile, or all data was replaced
        return None
    overlay = {key: rule for key, rule in now.overlay.items() if folded_from.overlay.get(key, _NOTHING) is not rule}
    return View(store, overlay, now.lists, now.default, now.version, now.settings, names)


class Folder:
    """Fold the overlay of an engine: on request, or after a commit if the overlay is large.

    Args:
        current: gives the engine's current view.
        publish: takes a view that was folded, and the result of `fold_view`.  It publishes the new store, unless the
            engine has another store by now, and returns whether it did.
    """

    def __init__(self, current: Callable[[], View], publish: Callable[[View, KeyStore, tuple[str, ...]], bool]) -> None:
        self.error: Exception | None = None
        self.thread: threading.Thread | None = None
        self.not_before = 0.0
        self._pause = 0.0
        self._current = current
        self._publish = publish

    def begin_anew(self) -> None:
        """Forget the thread, because a forked child does not have it."""
        self.thread = None

    def fold(self) -> None:
        """Fold the overlay; raises any error, and then the engine answers as before."""
        view = self._current()
        if view.overlay and not self._publish(view, *fold_view(view)):
            return  # the engine has another store by now, so this fold does not show that folds work again
        self.error, self._pause = None, 0.0

    def fold_if_large(self) -> None:
        """Keep commits cheap: fold in the background, or at once if very many keys changed.

        This is called after a change was published, so it must not raise.  After a failure, nothing is folded inside a
        commit until a fold has worked.
        """
        view = self._current()
        limit = max(_SMALLEST_FOLD, 2 * math.isqrt(0 if view.store is None else len(view.store)))
        if len(view.overlay) <= limit:
            return
        if len(view.overlay) > _FOLD_NOW_FACTOR * limit and self.error is None:
            self._try_to_fold()
        elif (self.thread is None or not self.thread.is_alive()) and time.monotonic() >= self.not_before:
            self._start_thread()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._try_to_fold, name="cidrmatch-fold", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread can be started now
            self._note_failure(error)
        else:
            self.thread = thread

    def _try_to_fold(self) -> None:
        try:
            self.fold()
        except Exception as error:  # any error, because the change before it was published
            self._note_failure(error)

    def _note_failure(self, error: Exception) -> None:
        self._pause = min(60.0, 2 * self._pause or _FOLD_AGAIN)
        self.not_before = time.monotonic() + self._pause
        self.error = error
        _log.error("a fold failed; the next one waits %.0f s: %s: %s", self._pause, type(error).__name__, error)
