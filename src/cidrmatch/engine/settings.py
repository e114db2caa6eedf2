"""What all views of an engine share: its policy, its clock, its switches, and what the host brought along.

    engine.view --> View 17 --settings--> Settings    policy, clock, render, permits, id_hash, switches
                    View 18 -----'                    one object; when a switch is turned, the next view has another

A view asks its settings for what a check needs, and knows no more of them.  Rooms
from here upward ask `settings_of` for the whole.

Threads: safe, settings never change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from ..policy.checks import check_switches
from ..policy.responses import Response, render

if TYPE_CHECKING:
    from .._keys import View
    from ..policy.policy import Policy
    from .ids import IdHash

__all__ = ["Settings", "settings_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hold what all views of an engine share.

    Attributes:
        policy: what the product accepts.
        clock: the time in POSIX seconds.
        render: turns a decision into a response.
        is_enforced: whether allow lists are enforced at all (U2).
        unknown_passes: whether a key that nobody put passes, for hosts that check keys themselves.
        permits: the host's role check, called with actor, operation and the list's name (P1).
        id_hash: gives the id by which a key is held; None for ids that are held as they are.
    """

    policy: Policy
    clock: Callable[[], float] = time.time
    render: Callable[..., Response] = render
    is_enforced: bool = True
    unknown_passes: bool = False
    permits: Callable[[object, str, str], bool] | None = None
    id_hash: IdHash | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a switch that is neither on nor off: what is not True would enforce nothing."""
        check_switches(is_enforced=self.is_enforced, unknown_passes=self.unknown_passes)

    def unhashed(self) -> Settings:
        """Give the same for a small view that is asked by the names in it."""
        return self if self.id_hash is None else replace(self, id_hash=None)


def settings_of(view: View) -> Settings:
    """Give the settings of an engine's view; a view itself knows only what it asks of them."""
    return cast("Settings", view.settings)
