"""Items: what a parser of lists yields, the options that it takes, the filter, and the error that refuses a file.

    (name, text, ListOptions)  --a parser-->  (17, "203.0.113.5", "HQ"), (18, "10.0.0.0/8", None), ...
                                               mark, prefix, label

    where={"service": ["S3"]}    fields of an item                        is it taken?
                                 {"service": "S3", "region": "eu"}        yes
                                 {"service": "EC2", "region": "eu"}       no

A parser is a function.  `lists` has the table of all of them, and each room of parsers imports only this room.  A mark
is the line of an item, or its position in a document.

A filter that finds nothing is an error, never an empty list: an empty list denies everyone, or with some products
allows everyone.  So each wanted value must be there at least once, and the error names values that are there.
Threads: a `Filter` belongs to one reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, TypeAlias

from .._core import is_address
from ..errors import quote
from .documents import DocumentError

__all__ = [
    "CONDITIONS",
    "PARTS",
    "Fields",
    "Filter",
    "Item",
    "ListFileError",
    "ListOptions",
    "Mark",
    "Parser",
    "has_address",
]

Mark: TypeAlias = int | str
"""The position of an entry in its file: a line, or a path such as ``entries[3]``."""

Item: TypeAlias = tuple[Mark, str, str | None]
"""What a parser yields: mark, prefix, label."""

Fields: TypeAlias = Mapping[str, tuple[str, ...]]
"""The fields of an item as texts; a field may have several values, as tags have."""

CONDITIONS: Final = frozenset({"effect", "enabled", "not_before", "expires"})
"""Fields of a configuration that may turn an entry off, or make it deny; a list never passes over them."""

PARTS: Final = frozenset(
    {"mask", "netmask", "subnet_mask", "subnetmask", "wildcard", "length", "prefix_length", "prefixlen", "prefixlength"}
    | {"bits", "end", "last", "end_ip", "last_ip", "range_end"}
)
"""Columns that say how many addresses an entry has; without them an address is another entry."""

_MOST_KEPT: Final = 10_000
"""How many values of a field are kept for a message."""
_SHOWN: Final = 5
"""How many fields or values a message names."""


class ListFileError(DocumentError):
    """Say which file holds no list that can be read, at which place, and why.

    Attributes:
        place: the file, and the line or the position in it if it is known.
        reason: what is wrong, in words.
    """


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Hold what a user says about the fields of a list.

    Attributes:
        column: the column, or the key in each object, that holds the prefix; None if the format says it.
        label_column: the same for the label.
        where: for a field, the values that are taken; an entry must have one of them in each field.
        pick: the set, variable, value or port that is meant, if a file of a gateway has several.
    """

    column: str | None = None
    label_column: str | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pick: str | None = None

    @property
    def names_fields(self) -> bool:
        """Whether the options need a format with named fields."""
        return bool(self.column is not None or self.label_column is not None or self.where)


Parser: TypeAlias = Callable[[str, str, ListOptions], Iterator[Item]]
"""Reads one format: the name of the file for messages, its text, the options."""


_ADDRESS_LIKE: Final = re.compile(r"\s*\[?([0-9A-Fa-f:.]+)")


def has_address(text: str) -> bool:
    """Return whether a text begins with an address, whatever is behind it: a length, a dash, a comment."""
    found = _ADDRESS_LIKE.match(text)
    return found is not None and is_address(found[1])


class Filter:
    """Take the items whose fields have the wanted values, and notice values that no item has."""

    def __init__(self, name: str, where: Mapping[str, tuple[str, ...]]) -> None:
        self._name = name
        self._where = where
        self._values: dict[str, set[str]] = {wanted: set() for wanted in where}
        self._fields: dict[str, None] = {}
        self._taken = 0

    def takes(self, fields: Fields) -> bool:
        """Return whether an item with these fields is wanted."""
        if not self._where:
            return True
        if len(self._fields) < _MOST_KEPT:
            self._fields.update(dict.fromkeys(fields))
        fits = True
        for wanted, values in self._where.items():
            found = fields.get(wanted, ())
            seen = self._values[wanted]
            seen.update(value for value in found if len(seen) < _MOST_KEPT or value in values)
            fits = fits and not set(found).isdisjoint(values)
        self._taken += fits
        return fits

    def check(self) -> None:
        """Refuse a field or a value that no item had, and values that never come together.

        Raises:
            ListFileError: the filter is not one for this file.
        """
        for wanted, values in self._where.items():
            if wanted not in self._fields:
                raise ListFileError(self._name, f"no entry has a field {quote(wanted)}{_told(wanted, self._fields)}")
            for value in values:
                if value not in self._values[wanted]:
                    known = _told(value, self._values[wanted])
                    raise ListFileError(self._name, f"no entry has {quote(wanted)} equal to {quote(value)}{known}")
        if self._where and not self._taken:
            raise ListFileError(self._name, "no entry has all the wanted values together")


def _told(wanted: str, known: Mapping[str, None] | set[str]) -> str:
    """Name what is like the wanted text, or what there is."""
    names = sorted(known)
    by_lower = {name.lower(): name for name in names}
    near = [by_lower[found] for found in get_close_matches(wanted.lower(), by_lower, 3)] or names[:_SHOWN]
    more = ", ..." if len(near) < len(names) else ""
    return f"; there are: {', '.join(near)}{more}" if near else ""
