"""How long, in the few characters that people type: a whole number and a unit.

    90s   15m   2h   7d        90, 900, 7200 and 604800 seconds

Threads: no state here.
"""

from __future__ import annotations

from typing import Final

__all__ = ["seconds_in"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds_in(text: str, most_digits: int | None = None) -> int | None:
    """Read a duration.

    Args:
        text: digits and one of s, m, h, d, without white space.
        most_digits: how many digits the number may have; None for any.
    Returns:
        The seconds; None if the text is no duration.

    >>> seconds_in("15m"), seconds_in("15"), seconds_in("1000s", 3)
    (900, None, None)
    """
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdecimal()):
        return None
    return None if most_digits is not None and len(number) > most_digits else int(number) * _UNITS[unit]
