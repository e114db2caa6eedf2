"""What a dialect is: a name, a reader, a writer, and the limits of the product that reads the file.

    text --read--> items (mark, prefix as written, label)          a mark is a line, or a path such as `Addresses[3]`
    rows --write--> text                                           a row is a canonical prefix and a harmless label

The limits are data.  `writing` checks them, the page docs/gateway-lists.md tells them, and each has its source here or
in the room that defines the dialect.

Threads: safe, keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, TypeAlias

from ..documents import place_in
from ..items import Item, ListFileError, Mark
from .labels import LOST, Charset

if TYPE_CHECKING:
    from ..._core import Prefix

__all__ = [
    "ALL_PREFIXES",
    "Dialect",
    "Limit",
    "Row",
    "Rows",
    "Source",
    "everyone",
    "refuse",
]

ALL_PREFIXES: Final = ("0.0.0.0/0", "::/0")
"""What "all" means in a dialect that has such a word."""


class Source(NamedTuple):
    """Hold a text to read, the name of its file, and what the user chose in it.

    Attributes:
        name: the file as the user named it; it begins each refusal.
        text: its content.
        pick: which set, variable, value or port is meant, where a file has several; None if the user did not say.
    """

    name: str
    text: str
    pick: str | None = None


class Row(NamedTuple):
    """Hold what a writer writes of one entry."""

    prefix: Prefix
    label: str | None


Rows: TypeAlias = Sequence[Row]


class Limit(NamedTuple):
    """Hold how many prefixes a product takes.

    Attributes:
        most: the largest number.
        of: what has this limit, for people.
        is_quota: whether a customer may have more, so more is a warning and no refusal.
        is_of_family: whether each family has the limit for itself.
    """

    most: int
    of: str
    is_quota: bool = False
    is_of_family: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Describe one form of a list.

    Attributes:
        name: the word for `--format` and `--to`.
        about: what reads such files, for people.
        write: takes rows and the name of the list, and gives the text.
        read: yields the items of a text, or raises `ListFileError`; None for our own formats, which `lists` reads.
        empty: why an empty list is refused; "" if the dialect can say "nobody".
        name_pattern: which names the product takes for a list; None if the dialect has no names.
        default_name: the name of a list for which the user says none.
        labels: which characters of a label are written; `LOST` if the dialect keeps no labels.
        one_family: whether one file holds only IPv4 or only IPv6.
        only_family: the one family that there is, or None.
        shortest: the least length of a prefix, of IPv4 and of IPv6; broader ones are split.
        longest6: the largest length of an IPv6 prefix.
        limit: how many prefixes the product takes.
        note: a warning that each list gets that has IPv4 entries.
        is_mapping: whether the product takes an IPv4 client for an address in ::ffff:0:0/96, too.
    """

    name: str
    about: str
    write: Callable[[Rows, str], str]
    read: Callable[[Source], Iterator[Item]] | None = None
    empty: str = ""
    name_pattern: str | None = None
    default_name: str = "allow_list"
    labels: Charset = LOST
    one_family: bool = False
    only_family: int | None = None
    shortest: tuple[int, int] = (0, 0)
    longest6: int = 128
    limit: Limit | None = None
    note: str = ""
    is_mapping: bool = False


def refuse(source: Source, mark: Mark | None, reason: str) -> NoReturn:
    """Refuse a file: at this place, for this reason; the reason ends with what to do."""
    raise ListFileError(place_in(source.name, mark), reason)


def everyone(mark: Mark, label: str | None = None, prefixes: Sequence[str] = ALL_PREFIXES) -> Iterator[Item]:
    """Yield the items that mean every address."""
    for prefix in prefixes:
        yield mark, prefix, label
