"""Walks: one way through any JSON or TOML document to the addresses in it, by paths that are data.

    a path                       a document                                      what is found
    prefixes[].ip_prefix         {"prefixes": [{"ip_prefix": "192.0.2.0/24",     mark prefixes[0].ip_prefix
                                                "service": "S3"}, ...]}          prefix 192.0.2.0/24, field service=S3
    {service}[]                  {"hooks": ["192.0.2.0/24"], "web": [...]}       field service=hooks
    {cloud}.city : {city}[].range

A step of a path is a key, or a key with a name in braces.  The name stands for any text, which becomes a field.  `[]`
stands for each value of a list.  The fields of an address are the plain values of all objects around it.

Nothing is lost.  An object in which a path ends nowhere, and an address that is no text, are refused.  A value that no
path leads to is searched for addresses.  If it holds one, the document is refused, because it might be a list that
somebody believes to be in force; if it holds none, it is information.  A key in braces is taken only for what can be a
list of addresses.  A key whose name says that it excludes, or when an entry counts, is refused.  `aside` names keys
whose addresses are not to be let in.  An open shape has but one key that the user chose, so everything else is passed
over, but for what says when an entry counts.
Cost: some microseconds an address.
Threads: a `Walk` is frozen after it is made.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, TypeAlias

from ..errors import quote
from .documents import noun_of, path_of, place_in
from .items import CONDITIONS, ListFileError, has_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .documents import Place
    from .items import Fields

__all__ = ["Found", "Shape", "Walk", "texts_of"]

Found: TypeAlias = tuple["Place", str, "Fields"]
"""The place of an address, its text, and the fields around it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Hold the shape of a document.

    Attributes:
        paths: where the addresses are.
        marks: paths that must all exist for a document to be of this shape; * stands for any text in a key.
        labels: fields that, joined by commas, are the label.
        aside: keys of values that hold addresses and are not to be let in.
        is_open: whether values that no path leads to are passed over unseen.
    """

    paths: tuple[str, ...]
    marks: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    aside: frozenset[str] = frozenset()
    is_open: bool = False

    def fits(self, document: object) -> bool:
        """Return whether a document has all the marks of this shape."""
        return bool(self.marks) and all(_exists(document, _steps(mark)) for mark in self.marks)

    def is_like(self, document: object) -> bool:
        """Return whether a document has all the marks of this shape but one, and two at least."""
        have = sum(_exists(document, _steps(mark)) for mark in self.marks)
        return 1 < have == len(self.marks) - 1

    def missing(self, document: object) -> str | None:
        """Name a list of addresses that is a mark of this shape, and that a document lacks."""
        lists = (mark for mark in self.marks if any(path.startswith(f"{mark}[]") for path in self.paths))
        return next((mark for mark in lists if not _exists(document, _steps(mark))), None)

    @property
    def words(self) -> list[str]:
        """The keys of the marks without stars: a text of this shape holds each of them."""
        return [step.strip("*") for mark in self.marks for step in _steps(mark) if step not in (_EACH, "*")]

    def label_of(self, fields: Fields) -> str | None:
        """Join the fields of the label; None if there are none."""
        return ", ".join(text for name in self.labels for text in fields.get(name, ()) if text) or None


_EACH: Final = "[]"
_EXCLUDES: Final = re.compile(r"exclu|except|den(?:y|ied)|black_?list|block(?:ed|_?list)", re.IGNORECASE)
"""What a key has in its name if its value takes addresses out."""


def _steps(path: str) -> list[str]:
    """Take a path apart: ``values[].range`` is values, [] and range."""
    return [step for part in path.split(".") for step in re.findall(r"\[\]|(?:[^\[]|\[(?!\]))+", part)]


def _exists(value: object, steps: list[str]) -> bool:
    if not steps:
        return True
    step, rest = steps[0], steps[1:]
    if step == _EACH:
        return isinstance(value, list) and bool(value) and _exists(value[0], rest)
    return isinstance(value, dict) and any(
        _exists(child, rest) for key, child in value.items() if fnmatchcase(key, step)
    )


@dataclass(slots=True)
class _Node:
    """Hold what may come next on the paths that led here."""

    ends: bool = False
    each: _Node | None = None
    keys: dict[str, _Node] = field(default_factory=dict)
    named: list[tuple[str, re.Pattern[str], _Node]] = field(default_factory=list)

    def next(self, step: str) -> _Node:
        """Give the node behind a step; make it if there is none."""
        if step == _EACH:
            self.each = self.each or _Node()
            return self.each
        before, brace, rest = step.partition("{")
        if not brace:
            return self.keys.setdefault(step, _Node())
        name, _, behind = rest.partition("}")
        node = next((way for known, _, way in self.named if known == name), _Node())
        pattern = re.compile(f"{re.escape(before)}(.*){re.escape(behind)}", re.DOTALL)
        self.named.append((name, pattern, node))
        return node

    def may_lead_through(self, value: object) -> bool:
        """Return whether a value may be what comes next: an object, or a list that has addresses or objects."""
        if self.each is None:
            return isinstance(value, dict)
        return isinstance(value, list) and (
            not value
            or any(isinstance(child, dict) or (isinstance(child, str) and has_address(child)) for child in value)
        )

    @property
    def wanted(self) -> str:
        """What is expected here, in words."""
        if self.keys:
            return f"an object with the key {' or '.join(map(quote, self.keys))}"
        return "an object with lists of addresses" if self.named else "a list" if self.each else "a text"


class Walk:
    """Walk through documents of one shape.

    Attributes:
        shape: what is known of the documents.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._root = _Node()
        for path in shape.paths:
            node = self._root
            for step in _steps(path):
                node = node.next(step)
            node.ends = True

    def find(self, name: str, document: object) -> Iterator[Found]:
        """Yield place, prefix and fields of each address, in the order of the document.

        Args:
            name: of the file or the part of it, for messages.
            document: plain values.
        Raises:
            ListFileError: something is missing, of another type, or holds an address that no path leads to.
        """
        return self._from(name, self._root, document, (), {})

    def _from(self, name: str, node: _Node, value: object, place: Place, fields: Fields) -> Iterator[Found]:
        if isinstance(value, str) and node.ends:
            yield place, value, fields
        elif isinstance(value, list) and node.each:
            for index, child in enumerate(value):
                yield from self._from(name, node.each, child, (*place, index), fields)
        elif isinstance(value, dict) and (node.keys or node.named):
            yield from self._object(name, node, value, place, fields)
        else:
            raise ListFileError(_at(name, place), f"{node.wanted} was expected, not {noun_of(value)}")

    def _object(
        self, name: str, node: _Node, value: dict[str, object], place: Place, fields: Fields
    ) -> Iterator[Found]:
        """Take an object: first the fields, which hold for all addresses in it, then the addresses."""
        inside = dict(fields)
        ways = {key: found for key, child in value.items() if (found := self._way(node, key, child))}
        if not ways:
            raise ListFileError(_at(name, place), f"{node.wanted} was expected")
        for key, child in value.items():
            if key not in node.keys and not self.shape.is_open and _EXCLUDES.search(key):
                raise ListFileError(_at(name, (*place, key)), "names what is not to be let in, and is not read")
            if key not in ways:
                self._check_unread(name, child, (*place, key))
                inside[key] = texts_of(child)
        for key, (way, own) in ways.items():
            yield from self._from(name, way, value[key], (*place, key), {**inside, **own} if own else inside)

    def _way(self, node: _Node, key: str, child: object) -> tuple[_Node, Fields] | None:
        """Find what comes behind a key, and the field that the key itself is; None if no path leads there."""
        if key in node.keys:
            return node.keys[key], {}
        if key not in self.shape.aside:
            for name, pattern, way in node.named:
                matched = pattern.fullmatch(key)
                if matched and way.may_lead_through(child):
                    return way, {name: (matched[1].strip(" _"),)}
        return None

    def _check_unread(self, name: str, value: object, place: Place) -> None:
        """Refuse a value that no path leads to and that may hold an entry."""
        key = place[-1]
        if isinstance(key, str) and key.strip().lower() in CONDITIONS:
            raise ListFileError(_at(name, place), f"the key {quote(key)} says when an entry counts, and is not read")
        if self.shape.is_open:
            return
        found = None if key in self.shape.aside else _address_in(value)
        if found is not None:
            hint = "it might be an entry, so nothing is read (--format json --column reads one place)"
            raise ListFileError(_at(name, place), f"is not known here and holds the address {quote(found)}: {hint}")


def _at(name: str, place: Place) -> str:
    return place_in(name, path_of(place))


def texts_of(value: object) -> tuple[str, ...]:
    """Write a plain value, or a list of plain values, as texts that a filter compares."""
    if isinstance(value, list):
        return tuple(text for child in value if not isinstance(child, list) for text in texts_of(child))
    if isinstance(value, str):
        return (value,)
    return () if value is None or isinstance(value, dict) else (json.dumps(value, default=str),)


def _address_in(value: object) -> str | None:
    """Find an address in a value or in the values within it; a document may be nested deeper than Python's calls."""
    left = [value]
    while left:
        inner = left.pop()
        if isinstance(inner, str):
            if has_address(inner):
                return inner
        elif isinstance(inner, list):
            left.extend(inner)
        elif isinstance(inner, dict):
            left.extend((*inner, *inner.values()))
    return None
