"""Bytes as a list: all entries of the publisher, or what is wrong with them.

    bytes --read_list--> texts --parse_entry--> entries --policy--> AllowList
                                |                    |
                                refused with their places; nothing of the list is taken

Whatever formats `read_list` knows, a feed has: its `file_format` and its `options` are handed on.
Cost: that of `read_list`; some hundred bytes and a microsecond an entry.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import json
from itertools import islice
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from ..._core import AllowList, parse_entry
from ...errors import InvalidPrefix, PolicyError
from ...files.lists import ListFileError, read_list
from .errors import FeedError, FeedRefused, in_one_line
from .fetching import unpacked
from .proofs import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..._core import Entry
    from ...files.lists import ListFile
    from .settings import Feed

__all__ = ["accepted_by", "body_of", "entries_in", "list_in", "name_of_source"]

_SHOWN: Final = 5
"""How many bad entries a refusal shows."""


def name_of_source(source: str) -> str:
    """Give the name of a list without folders: it says the format, and a sidecar calls the list by it.

    >>> name_of_source("https://example.net/lists/edge%20v2.json?token=1")
    'edge v2.json'
    """
    path = unquote(urlsplit(source).path) if "://" in source else source
    return path.rpartition("/")[2] or "list"


def list_in(content: bytes, feed: Feed) -> AllowList:
    """Read the list of a publisher.

    Raises:
        FeedRefused: it is no list, an entry is no prefix, or the policy refuses it.
        FeedUnreachable: packed bytes cannot be unpacked.  FeedError: an option is of a wrong type.
    """
    name = name_of_source(feed.source or "")
    if name.lower().endswith(".gz"):
        content, name = unpacked(content, feed.max_bytes, name), name[:-3]
    try:
        file = read_list(name, feed.file_format, content=content, **feed.options)
    except ListFileError as error:
        raise FeedRefused("unreadable", f"this is no list: {error}") from error
    except (TypeError, AttributeError) as error:  # an option of another type than its name promises
        raise FeedError("options", f"the options do not fit: {error}") from error
    return AllowList(accepted_by(feed, list(_entries_of(file))))


def accepted_by(feed: Feed, entries: Iterable[Entry]) -> Iterable[Entry]:
    """Give the entries as the policy of a feed has them; without a policy as they are.

    Raises:
        FeedRefused: the policy refuses the list.
    """
    if feed.policy is None:
        return entries
    try:
        return feed.policy.accept(entries)
    except PolicyError as error:
        raise FeedRefused("policy", f"the policy {feed.policy.name} refuses the list: {in_one_line(error)}") from error


def _entries_of(file: ListFile) -> Iterator[Entry]:
    """Yield the entries, or refuse all if one is no prefix."""
    wrong: list[str] = []
    number = 0
    for index, written in enumerate(file.entries):
        try:
            entry = parse_entry(written)
        except InvalidPrefix as error:
            number += 1
            if number <= _SHOWN:
                wrong.append(f"{file.place(index)}: {error}")
            continue
        yield entry
    if wrong:
        more = f"; and {number - _SHOWN:,} more" if number > _SHOWN else ""
        raise FeedRefused("unreadable", f"entries that are no prefixes: {'; '.join(wrong)}{more}")


def body_of(entries: Iterable[Entry]) -> tuple[bytes, str]:
    """Write entries one a line, as JSON, and give the digest of these bytes: equal lists have equal digests.

    >>> body_of(AllowList([("203.0.113.0/24", "HQ"), "2001:db8::/48"]))[0]
    b'["203.0.113.0/24", "HQ"]\\n["2001:db8::/48", null]\\n'
    """
    body = "".join(f'["{entry.prefix}", {_label(entry.label)}]\n' for entry in entries).encode("ascii")
    return body, sha256_of(body)


def _label(label: str | None) -> str:
    return "null" if label is None else encode_basestring_ascii(label)


def entries_in(body: bytes, count: int) -> tuple[Entry, ...]:
    """Read so many entries of what `body_of` wrote; ValueError if it is damaged."""
    entries = tuple(parse_entry(tuple(json.loads(line))) for line in islice(body.splitlines(), count))
    if len(entries) != count:
        raise ValueError("entries are missing")
    return entries
