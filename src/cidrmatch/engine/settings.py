"""What all views of an engine share: its policy, its clock, its switches, and functions of the host.

    engine.view --> View 17 --settings--> Settings    policy, clock, render, permits, id_hash, switches
                    View 18 -----'                    one object; if a switch changes, the next view has another object

A view reads only those settings that a check needs.  This floor and the floors
above call `settings_of` for all of them.

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
        clock: gives the time in POSIX seconds.
        render: turns a decision into a response.
        is_enforced: whether allow lists are enforced at all (U2).
        unknown_passes: whether an unknown key passes, for hosts that check keys themselves.
        permits: the host's role check, called with actor, operation and the list's name (P1).
        id_hash: gives the held id of a plain id; None if ids are held plain.
    """

    policy: Policy
    clock: Callable[[], float] = time.time
    render: Callable[..., Response] = render
    is_enforced: bool = True
    unknown_passes: bool = False
    permits: Callable[[object, str, str], bool] | None = None
    id_hash: IdHash | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a switch that is not a bool: a false value of another type would switch enforcement off."""
        check_switches(is_enforced=self.is_enforced, unknown_passes=self.unknown_passes)

    def unhashed(self) -> Settings:
        """Give the same settings without an id hash, for a small view whose keys are asked by their held ids."""
        return self if self.id_hash is None else replace(self, id_hash=None)


def settings_of(view: View) -> Settings:
    """Give all settings of an engine's view."""
    return cast("Settings", view.settings)
