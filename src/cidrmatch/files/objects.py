"""Objects: our own lists as JSON, JSON lines and TOML, and why a text is none of them.

    office.json                 office.jsonl                              office.toml
    ["203.0.113.5",             "203.0.113.5"                             entries = [
     {"prefix": "10.0.0.0/8",   {"prefix": "10.0.0.0/8", "label": "VPN"}    "203.0.113.5",
      "label": "VPN"}]                                                      { prefix = "10.0.0.0/8", label = "VPN" },
                                                                          ]
    office.json:[0]             office.jsonl:1                            office.toml:entries[0]

A JSON document may also be an object with the one key "entries", as in TOML.  Beside it "$schema" may stand, which
editors read.  The last row shows the place of "203.0.113.5".

An unknown key is an error: it might be an entry, or say that one does not count.  A filter makes the keys known that it
names.  If the user names a column, it is a key of each object, or a whole path such as `items[].ip`; then only that is
read.
Cost: the whole file is in memory.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..errors import quote
from .documents import noun_of, parse_json, parse_toml, path_of, place_in
from .items import Filter, ListFileError
from .walks import Shape, Walk, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .items import Fields, Item, ListOptions

__all__ = [
    "is_own_document",
    "load_json",
    "numbered_values",
    "parse_json_lines",
    "parse_json_list",
    "parse_toml_list",
    "walk_items",
]


# -- The formats --------------------------------------------------------------


def parse_json_list(name: str, text: str, options: ListOptions) -> Iterator[Item]:
    """Read a JSON document: a list of entries, or an object with the key "entries"."""
    return _parse_document(name, load_json(name, text), options)


def parse_toml_list(name: str, text: str, options: ListOptions) -> Iterator[Item]:
    """Read a TOML document with the key "entries"."""
    try:
        document = parse_toml(text)
    except (ValueError, RecursionError) as error:
        raise ListFileError(name, f"is not TOML: {error}") from error
    return _parse_document(name, document, options)


def parse_json_lines(name: str, text: str, options: ListOptions) -> Iterator[Item]:
    """Read a JSON value on each line: a text, or an object with "prefix" and perhaps "label"."""
    wanted = Filter(name, options.where)
    walk = None if options.column is None else _chosen((options.column,), options)
    for line, value in numbered_values(name, text):
        place = place_in(name, line)
        if walk is not None:
            yield from ((line, prefix, label) for _, prefix, label in walk_items(place, value, walk, wanted))
        elif wanted.takes(_fields_of(value)):
            yield (line, *_parse_item(place, value, options))
    wanted.check()


def _parse_document(name: str, document: object, options: ListOptions) -> Iterator[Item]:
    wanted = Filter(name, options.where)
    if options.column is not None:
        yield from walk_items(name, document, _chosen(_paths_of(options.column, document), options), wanted)
    elif isinstance(document, list):
        yield from _parse_items(name, "", document, options, wanted)
    else:
        yield from _parse_items(name, "entries", _entries_of(name, document), options, wanted)
    wanted.check()


def _entries_of(name: str, document: object) -> list[object]:
    """Take a document with the one key "entries", and perhaps "$schema", which is for editors."""
    if not isinstance(document, dict):
        raise ListFileError(name, f"a list of entries was expected, not {noun_of(document)}")
    if not isinstance(document.get("$schema", ""), str):
        raise ListFileError(name, "the key '$schema' must be a text")
    if "prefix" in document and "entries" not in document:
        raise ListFileError(
            name, "one entry stands alone; write a list around it: [...], or name JSON lines: --format jsonl"
        )
    _check_keys(name, [key for key in document if key != "$schema"], ["entries"])
    entries: object = document.get("entries")
    if not isinstance(entries, list):
        what = "is missing" if "entries" not in document else f"must be a list, not {noun_of(entries)}"
        raise ListFileError(name, f"the key 'entries' {what}")
    return entries


def _parse_items(name: str, path: str, items: Iterable[object], options: ListOptions, wanted: Filter) -> Iterator[Item]:
    for index, item in enumerate(items):
        mark = f"{path}[{index}]"
        prefix, label = _parse_item(place_in(name, mark), item, options)
        if not options.where or wanted.takes(_fields_of(item)):
            yield mark, prefix, label


def _parse_item(place: str, item: object, options: ListOptions) -> tuple[str, str | None]:
    """Take a text, or an object with "prefix" and perhaps "label"."""
    if isinstance(item, str):
        return item, None
    if not isinstance(item, dict):
        raise ListFileError(place, f"an entry is a text or an object with prefix and label, not {noun_of(item)}")
    key = options.label_column or "label"
    _check_keys(place, item, ["prefix", key, *options.where])
    prefix, label = item.get("prefix"), item.get(key)
    if not isinstance(prefix, str):
        what = "is missing" if "prefix" not in item else f"must be a text, not {noun_of(prefix)}"
        raise ListFileError(place, f"the key 'prefix' {what}")
    if label is not None and not isinstance(label, str):
        raise ListFileError(place, f"the key {quote(key)} must be a text, not {noun_of(label)}")
    return prefix, label


def _check_keys(place: str, found: Iterable[str], known: list[str]) -> None:
    unknown = [key for key in found if key not in known]
    if unknown:
        raise ListFileError(place, f"unknown key {quote(unknown[0])}; known: {', '.join(known)}")


def _fields_of(value: object) -> Fields:
    return {key: texts_of(child) for key, child in value.items()} if isinstance(value, dict) else {}


# -- A column that the user names ---------------------------------------------


def _paths_of(column: str, document: object) -> tuple[str, ...]:
    """Give the path of a column: its own, or that of a key in each object of the list."""
    if "[]" in column:
        return (column,)
    return (f"[].{column}",) if isinstance(document, list) else (f"entries[].{column}",)


def _chosen(paths: tuple[str, ...], options: ListOptions) -> Walk:
    """Make the walk on which only what the user named is read."""
    return Walk(Shape(paths, labels=(options.label_column or "label",), is_open=True))


def walk_items(name: str, document: object, walk: Walk, wanted: Filter) -> Iterator[Item]:
    """Yield an item for each address of a document that the filter takes."""
    for place, prefix, fields in walk.find(name, document):
        if wanted.takes(fields):
            yield path_of(place), prefix, walk.shape.label_of(fields)


def is_own_document(text: str) -> bool:
    """Return whether a text is a JSON document with the key "entries"."""
    if not text.lstrip().startswith("{") or '"entries"' not in text:
        return False
    try:
        document = parse_json(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "entries" in document


# -- From text to values ------------------------------------------------------


def load_json(name: str, text: str) -> object:
    """Parse JSON, or refuse the file with the cause and the cure.

    Raises:
        ListFileError: it is no JSON, or more than can be read.
    """
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        reason = _cause_of(text, error) or error.msg
        raise ListFileError(place_in(name, error.lineno), f"is not JSON: {reason} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # a key twice, a number or a nesting beyond all bounds
        raise ListFileError(name, f"is not JSON that can be read: {error}") from error


def _cause_of(text: str, error: json.JSONDecodeError) -> str | None:
    """Say what stands where JSON was expected, for the slips that people make."""
    before, behind = text[: error.pos].rstrip(), text[error.pos :].lstrip()
    if error.msg.startswith("Illegal trailing comma") or (before.endswith(",") and behind[:1] in ("]", "}")):
        return "a comma stands before the closing bracket; take that comma out"
    if behind.startswith(("#", "//", "/*")):
        return "JSON has no comments; take the comment out, or keep the list as text or TOML"
    if behind.startswith("'"):
        return "a text stands in single quotes; JSON has double quotes"
    if error.msg == "Extra data" and "\n" in text[len(before) : len(text) - len(behind)]:
        return "another value follows on a line of its own; if this is JSON lines, name the format: --format jsonl"
    return None


def numbered_values(name: str, text: str) -> Iterator[tuple[int, object]]:
    """Yield the JSON value of each line that is not blank, with the number of the line.

    Raises:
        ListFileError: a line is no JSON.
    """
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip(" \t\r"):
            try:
                value = parse_json(content)
            except json.JSONDecodeError as error:
                reason = _cause_of(content, error) or error.msg
                raise ListFileError(place_in(name, line), f"is not JSON: {reason} (column {error.colno})") from error
            except (ValueError, RecursionError) as error:
                raise ListFileError(place_in(name, line), f"is not JSON that can be read: {error}") from error
            yield line, value
