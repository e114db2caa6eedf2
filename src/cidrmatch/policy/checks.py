"""Checks of single values: a switch, a choice, a number, a moment.  Each error names the value.

These checks protect against open lists.  A switch that is None, 0 or "" would
count as "off", and a misspelt choice would have no effect.

Nothing here knows what the values are for.
Cost: some comparisons.  Threads: safe, keeps no state.
"""

from __future__ import annotations

from datetime import datetime

__all__ = ["check_choice", "check_moment", "check_number", "check_subset", "check_switches"]


def check_choice(name: str, value: object, *choices: str) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}")


def check_subset(name: str, value: object, choices: set[object]) -> None:
    """Raise ValueError unless the value is a `frozenset` of at least one of the choices."""
    if not isinstance(value, frozenset) or not value or not value <= choices:
        raise ValueError(f"{name} is a frozenset of {', '.join(map(repr, sorted(choices, key=str)))}, not {value!r}")


def check_switches(**switches: object) -> None:
    """Raise TypeError unless each value is True or False."""
    for name, value in switches.items():
        if type(value) is not bool:
            raise TypeError(f"{name} is True or False, not {value!r}")


def check_number(name: str, value: object, least: int, most: int | None) -> None:
    """Raise ValueError unless the value is a whole number between two bounds; True and False are none."""
    if type(value) is not int or value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is a whole number {bounds}, not {value!r}")


def check_moment(name: str, value: object) -> None:
    """Raise TypeError unless the value is a `datetime`, and ValueError if it has no time zone."""
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} needs a time zone")
