"""Checks of single values: a switch, a choice, a number, a moment; each refuses with the name of what was given.

A value of the wrong kind is not a matter of taste here.  A switch that is None,
0 or "" would be taken for "off", and a misspelt choice would be passed over.

Nothing here knows what the values are for.
Cost: some comparisons.  Threads: safe, keeps no state.
"""

from __future__ import annotations

from datetime import datetime

__all__ = ["check_choice", "check_moment", "check_number", "check_subset", "check_switches"]


def check_choice(name: str, value: object, *choices: str) -> None:
    """Refuse what is none of the choices; ValueError."""
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}")


def check_subset(name: str, value: object, choices: set[object]) -> None:
    """Refuse what is no `frozenset` of some of the choices; ValueError."""
    if not isinstance(value, frozenset) or not value or not value <= choices:
        raise ValueError(f"{name} is a frozenset of {', '.join(map(repr, sorted(choices, key=str)))}, not {value!r}")


def check_switches(**switches: object) -> None:
    """Refuse what is neither True nor False; TypeError."""
    for name, value in switches.items():
        if type(value) is not bool:
            raise TypeError(f"{name} is True or False, not {value!r}")


def check_number(name: str, value: object, least: int, most: int | None) -> None:
    """Refuse what is no whole number between two bounds; ValueError, also for True and False."""
    if type(value) is not int or value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is a whole number {bounds}, not {value!r}")


def check_moment(name: str, value: object) -> None:
    """Refuse what is no moment: TypeError for what is no `datetime`, ValueError for one without a time zone."""
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} needs a time zone")
