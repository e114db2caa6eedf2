"""`feeds.toml`: several feeds in one file.

    state = "/var/lib/cidrmatch"        where the state files are; by default beside this file

    [feeds.edge]
    source = "https://example.net/ranges.json"
    use = "allow"
    max_age = "7d"
    output = "edge.txt"

    [feeds.offices]
    hosts = ["vienna.example.net", "graz.example.net"]
    use = "allow"
    max_age = "1h"
    snapshot = "keys.snap"
    list = "offices"

Each key of a feed is a field of `Feed`, `Hosts`, `Proof`, `Bounds` or `Targets`.  Paths are relative to the file.  A
key that is unknown, or that another key makes useless, is an error: somebody believes that it is in force.

Threads: safe, keeps no state.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...errors import quote
from ...files.documents import DocumentError, noun_of, parse_toml, read_text
from ...files.lists import Format
from ...policy.presets import PRESETS
from ..durations import seconds_in
from .settings import Bounds, Feed, FeedSettingsError, Hosts, Proof, Targets

if TYPE_CHECKING:
    from ...policy.policy import Policy

__all__ = ["KEYS", "read_feeds"]

_HOSTS_LAST: Final = 3_600.0
"""The `max_age` of a feed of host names, unless it says another."""
_TIMES: Final = ("max_age", "timeout", "min_ttl", "max_ttl")
_PATHS: Final = ("token_file", "ca_file", "output", "snapshot", "id_secret_file")
_PARTS: Final[dict[str, type[Any]]] = {"hosts": Hosts, "proof": Proof, "bounds": Bounds, "targets": Targets}
_RENAMED: Final = {"format": "file_format", "list": "list_name", "hosts": "names"}
_OF_PARTS: Final = {item.name: part for part, kind in _PARTS.items() for item in dataclasses.fields(kind)}
_OF_FEED: Final = frozenset(item.name for item in dataclasses.fields(Feed)) - {*_PARTS, "name", "state"}
_TEXTS: Final = frozenset(
    ("source", "use", "insecure_source", "sha256", "sha256_url", "minisign_key", "signature_url", "store", "tenant",
     "list_name", "when_stale", *_PATHS)
)  # fmt: skip
_LISTS: Final = frozenset(("names", "nameservers", "hook"))
_ONLY_HOSTS: Final = frozenset(item.name for item in dataclasses.fields(Hosts)) - {"names"}

KEYS: Final = tuple(
    sorted(
        {next((short for short, long in _RENAMED.items() if long == name), name) for name in (*_OF_FEED, *_OF_PARTS)}
    )
)
"""Every key of a feed."""


def read_feeds(path: str | Path) -> dict[str, Feed]:
    """Read the feeds of a file.

    Args:
        path: of a `feeds.toml`.
    Returns:
        The feeds by their names, in the order of the file.
    Raises:
        FeedSettingsError: what is wrong in it, with the feed and the key.  DocumentError: it cannot be read.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "feeds.toml")
    ...     _ = file.write_text('[feeds.office]\\nsource = "office.txt"\\nuse = "allow"\\nmax_age = "2d"\\n')
    ...     read_feeds(file)["office"].max_age
    172800.0
    """
    name = str(path)
    try:
        document = parse_toml(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DocumentError):
            raise
        raise FeedSettingsError(name, f"is not TOML: {error}") from error
    unknown = set(document) - {"state", "feeds"}
    if unknown:
        raise FeedSettingsError(name, f"unknown key {quote(min(unknown))}; known: state, feeds")
    folder = Path(path).absolute().parent
    state = _text(name, "state", document.get("state", "."))
    feeds = document.get("feeds")
    if not isinstance(feeds, dict) or not feeds:
        raise FeedSettingsError(name, "a table such as [feeds.office] was expected")
    return {
        feed: _feed_of(f"{name}: feeds.{feed}", feed, table, folder, folder / state) for feed, table in feeds.items()
    }


def _feed_of(where: str, name: str, table: object, folder: Path, state: Path) -> Feed:
    if not isinstance(table, dict):
        raise FeedSettingsError(where, f"a table was expected, not {noun_of(table)}")
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    own: dict[str, Any] = {}
    for key, value in table.items():
        field = _RENAMED.get(str(key), str(key))
        if key not in KEYS:
            raise FeedSettingsError(where, f"unknown key {quote(key)}; known: {', '.join(KEYS)}")
        place = own if field in _OF_FEED else parts[_OF_PARTS[field]]
        place[field] = _value(where, key, field, value, folder)
    _check_needed(where, table)
    hosts = parts.pop("hosts")
    if hosts:
        own = {"max_age": _HOSTS_LAST} | own
    try:
        return Feed(
            name=name,
            state=str(state / f"{name}.feed"),
            hosts=Hosts(**hosts) if hosts else None,
            proof=Proof(**parts["proof"]),
            bounds=Bounds(**parts["bounds"]),
            targets=Targets(**parts["targets"]),
            **own,
        )
    except FeedSettingsError as error:
        raise FeedSettingsError(f"{where}.{error.where}", error.reason) from None


def _check_needed(where: str, table: dict[str, Any]) -> None:
    """Refuse a feed without its use or its source, and keys that say nothing there."""
    if "use" not in table:
        raise FeedSettingsError(where, "use is missing: 'allow' or 'deny'")
    if "hosts" not in table and (useless := _ONLY_HOSTS & set(table)):
        raise FeedSettingsError(where, f"{min(useless)} is for hosts, and there are none")
    for key in ("list", "id_secret_file"):
        if key in table and not {"snapshot", "store"} & set(table):
            raise FeedSettingsError(where, f"{key} is for a snapshot or a store, and there is neither")
    if "tenant" in table and "store" not in table:
        raise FeedSettingsError(where, "tenant is of a store, and there is none")


def _value(where: str, key: str, field: str, value: object, folder: Path) -> Any:
    """Take the value of a key, as its field has it; a number is judged by its part."""
    if field in _PATHS:
        return str(folder / _text(where, key, value))
    if field == "source":
        source = _text(where, key, value)
        return source if "://" in source else str(folder / source)
    reader = _READERS.get(field)
    return value if reader is None else reader(where, key, value)


def _switch(where: str, key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise FeedSettingsError(where, f"{key} is true or false, not {noun_of(value)}")
    return value


def _table(where: str, key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FeedSettingsError(where, f"{key} is a table, not {noun_of(value)}")
    return value


def _format(where: str, key: str, value: object) -> Format:
    return Format(_one_of(where, key, value, list(Format)))


def _policy(where: str, key: str, value: object) -> Policy:
    return PRESETS[_one_of(where, key, value, list(PRESETS))]()


def _one_of(where: str, key: str, value: object, known: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise FeedSettingsError(where, f"{key} is one of {', '.join(known)}, not {quote(value)}")
    return value


def _text(where: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise FeedSettingsError(where, f"{key} is a text, not {noun_of(value) if value else 'an empty one'}")
    return os.path.expanduser(value) if key in _PATHS else value


def _texts(where: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise FeedSettingsError(where, f"{key} is a list of texts")
    return tuple(value)


def _seconds(where: str, key: str, value: object) -> float:
    """Read a time: a number of seconds, or 90s, 15m, 2h, 7d."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    seconds = seconds_in(value, most_digits=9) if isinstance(value, str) else None
    if seconds is None:
        raise FeedSettingsError(where, f"{key} is a time such as 90s, 15m, 2h or 7d, not {quote(value)}")
    return float(seconds)


_READERS: Final[dict[str, Callable[[str, str, object], Any]]] = (
    dict.fromkeys(_TEXTS, _text) | dict.fromkeys(_TIMES, _seconds) | dict.fromkeys(_LISTS, _texts)
) | {"private_source": _switch, "private": _switch, "options": _table, "file_format": _format, "policy": _policy}
