"""Documents: a file as text, a text as plain values, and the place of what is wrong in it.

    file or "-"  --read_text-->  str  --parse_json, parse_toml-->  dict, list, str ...  --> a reader of its own

    what is wrong                      its place, written before the reason
    the file cannot be read            office.toml
    bytes that are no text             office.toml:17                    place_in("office.toml", 17)
    something in the values            keys.toml:keys[3].entries[0]      place_in("keys.toml", path_of(...))

Each kind of document has its own reader, `lists` or `config`, which knows what the values mean.  The reader writes its
own error messages, so the parsers here raise ValueError and RecursionError, as Python's parsers do.

No value is lost.  A JSON object that names a key twice is refused; Python's parser would silently keep the last value.

A TOML key with very many parts (a.a.a ...) is refused before `tomllib` parses it, because the time and the memory that
`tomllib` needs grow with the square of the number of parts.
Cost: the whole file is in memory.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final, TypeAlias

from .._core import without_mark
from ..errors import CidrmatchError, quote

__all__ = [
    "STDIN",
    "DocumentError",
    "Place",
    "name_of",
    "noun_of",
    "parse_json",
    "parse_toml",
    "path_of",
    "place_in",
    "read_bytes",
    "read_text",
]

_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

STDIN: Final = "-"
"""The source that means standard input."""

Place: TypeAlias = tuple[str | int, ...]
"""The steps to a value in a document: `("keys", 3, "entries", 0)`."""


class DocumentError(CidrmatchError, ValueError):
    """Say which file could not be read as text, at which place, and why.

    Attributes:
        place: the file, and the line or the position in it if it is known.
        reason: what is wrong, in words.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


# -- Places -------------------------------------------------------------------


def name_of(source: str | Path) -> str:
    """Name a source for people: the file as the user named it, or `<stdin>`."""
    return "<stdin>" if source == STDIN else str(source)


def place_in(name: str, where: str | int | None) -> str:
    """Name a line or a path in a document: `office.csv:17`; only the document if neither is known."""
    return f"{name}:{where}" if where else name


def path_of(place: Place) -> str:
    """Write the steps to a value for people: `keys[3].entries[0]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


_NOUNS: Final = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def noun_of(value: object) -> str:
    """Name the type of a JSON or TOML value in words for its author."""
    return _NOUNS.get(type(value), f"a value of type {type(value).__name__}")


# -- From a file to text ------------------------------------------------------


def read_text(source: str | Path, content: bytes | None = None) -> str:
    """Read a file, or standard input, as UTF-8, or as UTF-16 if a byte order mark says so.  The mark is taken off.

    Args:
        source: a path, or `STDIN`.
        content: the bytes, if the caller has read them already; then the source is only their name.
    Raises:
        DocumentError: it cannot be read, or is neither; or it holds a NUL, as UTF-16 without a mark and UTF-32 do.
    """
    name = name_of(source)
    content = read_bytes(source) if content is None else content
    if content.startswith(_UTF16_MARKS):
        text = _decode_utf16(content, name)
    else:
        text = without_mark(_decode_utf8(content, name))
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        width, order = 32 if b"\0\0" in content else 16, "BE" if content.startswith(b"\0") else "LE"
        encoding = f"UTF-{width}{order}"
        cure = f"is it {encoding}? iconv -f {encoding} -t UTF-8 <old >new converts it"
        raise DocumentError(place_in(name, line), f"holds a NUL; {cure}")
    return text


def _decode_utf16(content: bytes, name: str) -> str:
    """Decode what PowerShell and some editors write; UTF-32 begins alike, and has a NUL next."""
    try:
        return content.decode("utf-16")
    except UnicodeDecodeError as error:
        raise DocumentError(name, "begins with the mark of UTF-16, but is not UTF-16") from error


def _decode_utf8(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(place_in(name, line), f"is not UTF-8: byte 0x{content[error.start]:02x}") from error


def read_bytes(source: str | Path) -> bytes:
    """Read a file, or standard input.

    Raises:
        DocumentError: it cannot be read.
    """
    name = name_of(source)
    if source == STDIN and sys.stdin is None:  # a process may be started without one
        raise DocumentError(name, "cannot be read: there is no standard input")
    try:
        return sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise DocumentError(name, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


# -- From text to values ------------------------------------------------------


def parse_json(text: str) -> object:
    """Parse JSON, and refuse an object that names a key twice.

    Raises:
        ValueError: it is no JSON (a `json.JSONDecodeError`, which has the line), an object names a key twice, or a
            number is too large.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, object_pairs_hook=_check_unique)


def _check_unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object; refuse equal keys, because the parser itself would silently keep the last of them."""
    built: dict[str, object] = {}
    for key, value in pairs:
        if key in built:
            raise ValueError(f"the key {quote(key)} stands twice")
        built[key] = value
    return built


_MOST_PARTS: Final = 64
"""The most parts of a TOML key; keys in our documents have one to three."""
_TOKEN: Final = re.compile(r"\"{3}|'{3}|[\"'#.=,\[\]{}\n]")
_ENDS: Final = {
    '"': re.compile(r'(?:\\.|[^"\\\n])*+"'),
    "'": re.compile(r"[^'\n]*+'"),
    '"""': re.compile(r'(?:\\.|(?!""")[^\\])*+"{3,5}', re.DOTALL),
    "'''": re.compile(r"(?:(?!''').)*+'{3,5}", re.DOTALL),
}


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML, and refuse a key for which the parser would need very much time or memory.

    Raises:
        ValueError: it is no TOML, or a key has too many parts.
        RecursionError: it is nested too deep.
    """
    _check_parts(text)
    return tomllib.loads(text)


def _check_parts(text: str) -> None:
    """Count the dots between two marks, outside strings and comments; stop at an error, which the parser will find."""
    at = dots = 0
    while token := _TOKEN.search(text, at):
        mark, at = token[0], token.end()
        if mark == ".":
            dots += 1
            if dots >= _MOST_PARTS:
                line = text.count("\n", 0, at) + 1
                raise ValueError(f"a key has more than {_MOST_PARTS} parts (at line {line})")
        elif mark in _ENDS:
            end = _ENDS[mark].match(text, at)
            if end is None:
                return
            at = end.end()
        elif mark == "#":
            at = text.find("\n", at)
            if at < 0:
                return
        else:
            dots = 0
